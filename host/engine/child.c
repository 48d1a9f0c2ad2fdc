/* child.c - runs that runs start.
 */
#include "engine/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/orders.h"
#include "engine/wake.h"

#define MAX_DEPTH 64 /* of children of children */
#define MAX_LINKS 10000

/* -- ids ------------------------------------------------------------------------------ */

/* `base` and what comes behind it; when that is too long, a hash of both instead of their
 * middle. */
static void join_id(char out[64], const char *base, const char *behind) {
  if (snprintf(out, 64, "%s%s", base, behind) < 64)
    return;
  const tm_span both[] = {{base, strlen(base)}, {behind, strlen(behind)}};
  tm_hash h = tm_hash_spans(both, 2);
  snprintf(out, 64, "%.24s:%.32s", base, h.hex);
}

/* `moves`: of the run, before it asks again for a child that it had; 0: the first time. */
static void child_id(char out[64], const tm_branch *b, int moves) {
  tm_arena *a = &b->run->arena;
  char *place = tm_arena_printf(a, moves ? ":%s.%d" : ":%s", b->place, moves);
  for (char *c = place; *c; c++)
    *c = *c == '/' ? '-' : *c;
  join_id(out, b->run->id, place);
}

/* "r" -> "r~2", "r~2" -> "r~3"; "r~2:1", a child of that one, -> "r~2:1~2". */
static void next_id(char out[64], const char *id) {
  tm_buf base = TM_BUF_INIT, behind = TM_BUF_INIT;
  const char *tilde = strrchr(id, '~');
  bool linked = tilde && tilde[1] && tilde[1 + strspn(tilde + 1, "0123456789")] == 0;
  tm_buf_put(&base, id, linked ? (size_t)(tilde - id) : strlen(id));
  tm_buf_printf(&behind, "~%ld", linked ? strtol(tilde + 1, NULL, 10) + 1 : 2);
  if (base.len + behind.len > 63) {
    tm_hash h = tm_hash_bytes(base.data, base.len);
    tm_buf_reset(&base);
    tm_buf_printf(&base, "%.16s:%.32s", id, h.hex);
  }
  snprintf(out, 64, "%.63s", tm_buf_str(&base));
  size_t room = 64 - strlen(out);
  snprintf(out + strlen(out), room, "%s", tm_buf_str(&behind));
  tm_buf_free(&base);
  tm_buf_free(&behind);
}

typedef struct totals totals;

/* -- making one ------------------------------------------------------------------------- */

static void born(tm_after *after, const tm_err *err) {
  tm_run *c = after->run;
  if (err->code == TM_OK && after->op->status == TM_OP_OK)
    tm_engine_enter(c);
  else
    c->lost = c->forgotten = true;
}

static tm_run *conceive(tm_run *r, const char *id, const char *workflow, const tm_json *input,
                        tm_err *err) {
  const tm_ports *p = &r->engine->ports;
  tm_run *c = tm_run_new(r->engine, id, workflow, r->closure);
  c->input = tm_json_copy(&c->arena, input ? input : tm_json_null(&c->arena));
  c->created = tm_engine_now(r->engine);
  c->state = TM_RUN_RUNNING;
  if (p->guest->open(&c->guest, p->guest_ctx, c, err) < 0)
    tm_run_free(&c);
  return c;
}

static void refuse(tm_branch *b, const tm_err *err) {
  tm_json *e = tm_run_error(&b->scratch, "child", "%s", err->msg);
  tm_json_set_str(&b->scratch, e, "code", tm_err_word(err->code));
  tm_json_set_str(&b->scratch, e, "workflow", b->name);
  tm_run_outcome(b, NULL, e, NULL);
}

static bool is_done(const tm_run_row *row) {
  return strcmp(row->state, "done") == 0;
}

/* Before a RETRY the run may have asked for the same child: it is taken for what it is asked for
 * now, unless it came to a bad end that its parent would wait for. */
static bool had(tm_branch *b, tm_run *c) {
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  char hash[TM_HASH_HEX + 1];
  if (!b->run->journal.moves ||
      tm_wake_row(b->run->engine, c->id, &b->scratch, &row, &err) != 1)
    return false;
  tm_engine_hash_input(c, hash);
  bool good = b->kind == TM_CALL_START || is_done(&row) || !tm_wake_ended(&row);
  if (good && strcmp(row.input_hash, hash) == 0)
    return true;
  child_id(c->id, b, b->run->journal.moves);
  return false;
}

static tm_run *make_child(tm_branch *b) {
  tm_run *r = b->run, *c;
  char id[64];
  tm_err err = TM_ERR_INIT;
  child_id(id, b, 0);
  if (r->depth >= MAX_DEPTH) {
    tm_err_set(&err, TM_LIMIT,
               "mill.call and mill.start are nested %d deep; does a workflow start "
               "itself for ever?",
               MAX_DEPTH);
    refuse(b, &err);
    return NULL;
  }
  c = conceive(r, id, b->name, tm_json_get(b->request, "input"), &err);
  if (!c) {
    refuse(b, &err);
    return NULL;
  }
  c->parent = tm_arena_strdup(&c->arena, r->id);
  c->depth = r->depth + 1;
  c->allowance = tm_budget_left(r, tm_json_get(b->request, "budget"), &c->arena);
  return c;
}

static void wait_for(tm_branch *b, const char *id, int64_t due) {
  b->recorded = b->waits = true;
  b->waits_for = tm_arena_strdup(&b->scratch, id);
  if (due)
    tm_engine_set_timer(b, due);
}

static void call(tm_branch *b) {
  tm_arena *a = &b->scratch;
  int64_t ms = tm_json_int(tm_json_get(b->request, "timeout_ms"), 0);
  int64_t due = ms ? b->opened + ms : 0;
  tm_run *c = make_child(b);
  if (!c)
    return;
  bool old = had(b, c);
  tm_json *open = tm_exec_open_body(b);
  tm_json_set_str(a, open, "child", c->id);
  if (due)
    tm_json_set_int(a, open, "due", due);
  tm_turn_record(b->run, TM_RECORD_OPEN, b->place, b->name, open);
  wait_for(b, c->id, due);
  if (!old) {
    tm_engine_store_new(c, true, born);
    return;
  }
  tm_run_free(&c);
  tm_child_look(b);
}

static void start(tm_branch *b) {
  tm_run *c = make_child(b);
  if (!c)
    return;
  bool old = had(b, c);
  tm_run_outcome(b, tm_json_new_str(&b->scratch, tm_arena_strdup(&b->scratch, c->id)), NULL,
                 NULL);
  if (old)
    tm_run_free(&c);
  else
    tm_engine_store_new(c, true, born);
}

static bool retried_since(const tm_entry *open) {
  for (const tm_entry *e = open->next; e; e = e->next)
    if (e->kind == TM_RECORD_RETRY)
      return true;
  return false;
}

static int walk(tm_engine *e, const char *id, tm_arena *a, tm_run_row *last, totals *sum,
                tm_err *err);

/* A child that failed, or was cancelled with its parent, is no answer to another try; and one that
 * the run has from the run it was forked from is not its own to wait for. */
static bool is_spent(tm_branch *b, const tm_entry *open) {
  tm_engine *e = b->run->engine;
  const char *id = tm_json_get_str(open->body, "child");
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  if (!retried_since(open) || tm_wake_row(e, id, &b->scratch, &row, &err) != 1)
    return false;
  bool own = row.parent && strcmp(row.parent, b->run->id) == 0;
  return !own || (walk(e, id, &b->scratch, &row, NULL, &err) == 1 && !is_done(&row));
}

void tm_child_launch(tm_branch *b) {
  const tm_entry *open = tm_place_last(b->past, TM_RECORD_OPEN);
  if (b->kind == TM_CALL_START) {
    start(b);
  } else if (open && !is_spent(b, open)) {
    wait_for(b, tm_json_get_str(open->body, "child"),
             tm_json_int(tm_json_get(open->body, "due"), 0));
    tm_child_look(b);
  } else {
    call(b);
  }
}

/* -- hearing of its end -------------------------------------------------------------------- */

typedef struct ending {
  tm_arena *arena;
  tm_json *body; /* of the END record */
  tm_err *err;
} ending;

static int read_end(void *ctx, const tm_record *rec) {
  ending *e = ctx;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  tm_json_parse(&e->body, e->arena, rec->body, rec->body_len, &opts, e->err);
  return 1;
}

static const tm_json *end_of(tm_engine *e, const tm_run_row *row, tm_arena *a, tm_err *err) {
  tm_store *s = e->ports.store;
  ending end = {.arena = a, .err = err};
  s->vt->journal(s, row->id, row->records - 1, read_end, &end, err);
  return end.body;
}

struct totals {
  int64_t llm_calls;
  double usd;
};

static void add_totals(totals *t, const tm_json *end) {
  t->llm_calls += tm_json_int(tm_json_get(end, "llm_calls"), 0);
  t->usd += tm_json_number(tm_json_get(end, "usd"), 0);
}

/* Along the chain of mill.continue_as: 1 and the last one, when all have ended. What they spent
 * is summed when `sum` is given. */
static int walk(tm_engine *e, const char *id, tm_arena *a, tm_run_row *last, totals *sum,
                tm_err *err) {
  for (int links = 0; links < MAX_LINKS; links++) {
    int found = tm_wake_row(e, id, a, last, err);
    if (found <= 0)
      return found < 0 ? -1
                       : tm_err_set(err, TM_NOTFOUND, "run %s is not in this database", id);
    if (!tm_wake_ended(last))
      return 0;
    if (sum)
      add_totals(sum, end_of(e, last, a, err));
    id = tm_wake_successor(last, a);
    if (!id)
      return 1;
  }
  return tm_err_set(err, TM_INTERNAL, "run %s is continued by itself", id);
}

bool tm_child_over(tm_engine *e, const char *id) {
  tm_arena a;
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  int over = walk(e, id, &a, &row, NULL, &err);
  tm_arena_free(&a);
  return over != 0; /* one that cannot be read is told to the parent */
}

static tm_json *failure(tm_branch *b, const tm_run_row *row, const tm_json *end) {
  tm_arena *a = &b->scratch;
  const tm_json *error = tm_json_get(end, "e");
  const char *message = tm_json_get_str(error, "message");
  tm_json *e = tm_run_error(a, "child", "run %s of workflow \"%s\" %s%s%s", row->id, b->name,
                            strcmp(row->state, "cancelled") == 0 ? "was cancelled" : row->state,
                            message ? ": " : "", message ? message : "");
  tm_json_set_str(a, e, "run", row->id);
  tm_json_set_str(a, e, "workflow", b->name);
  tm_json_set_str(a, e, "state", row->state);
  if (error && tm_json_type_of(error) == TM_JSON_OBJECT)
    tm_json_set(a, e, "error", error);
  return e;
}

static void tell_end(tm_branch *b, const tm_run_row *row, const totals *spent) {
  tm_arena *a = &b->scratch;
  tm_err err = TM_ERR_INIT;
  tm_json *meta = tm_json_new_object(a);
  const tm_json *end = end_of(b->run->engine, row, a, &err);
  tm_json_set_str(a, meta, "run", row->id);
  tm_json_set_int(a, meta, "llm_calls", spent->llm_calls);
  tm_json_set(a, meta, "usd", tm_json_new_double(a, spent->usd));
  if (strcmp(row->state, "done") == 0)
    tm_run_outcome(b, tm_json_get(end, "v"), NULL, meta);
  else
    tm_run_outcome(b, NULL, failure(b, row, end), meta);
}

void tm_child_look(tm_branch *b) {
  tm_run_row row;
  totals spent = {0};
  tm_err err = TM_ERR_INIT;
  /* also when a copy is in memory: it may have been taken over, and have ended elsewhere */
  int over = walk(b->run->engine, b->waits_for, &b->scratch, &row, &spent, &err);
  if (over < 0)
    refuse(b, &err);
  else if (over)
    tell_end(b, &row, &spent);
}

void tm_child_ended(tm_run *r) {
  if (r->parent)
    tm_wake_run(r->engine, r->parent);
}

/* -- cancelling
 * -------------------------------------------------------------------------------- */

/* The order stands in the store with what this run did: whoever has the child, or takes it up
 * next, carries it out, also when this process ends now. */
static void cancel(tm_run *r, const char *id, const char *why) {
  tm_engine *e = r->engine;
  tm_err err = TM_ERR_INIT;
  tm_order_row row = {.run = id, .note = why, .by = "tidemill"};
  tm_run *c = tm_engine_find(e, id);
  if (c && (c->ended || c->cancelling || c->order == TM_ORDER_CANCEL)) /* once is enough */
    return;
  tm_orders_give(e, r, id, TM_ORDER_CANCEL, why, row.by);
  if (!c && tm_engine_resume(e, id, &err) > 0)
    c = tm_engine_find(e, id);
  if (c && !c->lost)
    tm_control_obey_row(c, TM_ORDER_CANCEL, &row);
}

typedef struct brood {
  tm_engine *engine;
  tm_arena arena;
  const char **ids;
  size_t count, cap;
} brood;

static void note_child(brood *k, const char *id) {
  if (k->count == k->cap) {
    k->cap = k->cap ? 2 * k->cap : 8;
    k->ids = tm_realloc(k->ids, k->cap * sizeof *k->ids);
  }
  k->ids[k->count++] = tm_arena_strdup(&k->arena, id);
}

static int see_fork(void *ctx, const tm_record *start) {
  tm_arena a;
  tm_json *body = NULL;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  tm_json_parse(&body, &a, start->body, start->body_len, NULL, &err);
  *(bool *)ctx = tm_json_get(body, "fork") != NULL;
  tm_arena_free(&a);
  return 1;
}

/* Its row has the run it was forked from as parent; it is nobody's child. */
static bool is_fork(tm_engine *e, const char *id) {
  bool forked = false;
  tm_err err = TM_ERR_INIT;
  e->ports.store->vt->journal(e->ports.store, id, 0, see_fork, &forked, &err);
  return forked;
}

static int collect(void *ctx, const tm_run_row *row) {
  note_child(ctx, row->id);
  return 0;
}

void tm_child_cancel_all(tm_run *r) {
  tm_engine *e = r->engine;
  brood k = {.engine = e};
  tm_err err = TM_ERR_INIT;
  tm_run_filter mine = {.parent = r->id, .unfinished = true};
  if (r->rehearsed)
    return;
  tm_arena_init(&k.arena, 0);
  e->ports.store->vt->runs(e->ports.store, &mine, collect, &k, &err);
  for (size_t i = 0; i < k.count; i++)
    if (!is_fork(e, k.ids[i]))
      cancel(r, k.ids[i], "its parent was cancelled");
  tm_free(k.ids);
  tm_arena_free(&k.arena);
}

/* The last of the chain that the branch waits for, if it has not ended. */
static void cancel_waited(tm_branch *b, const char *id, const char *why) {
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  if (tm_engine_find(b->run->engine, id))
    cancel(b->run, id, why);
  else if (walk(b->run->engine, id, &b->scratch, &row, NULL, &err) == 0)
    cancel(b->run, row.id, why);
}

void tm_child_abandon(tm_branch *b) {
  if (b->kind != TM_CALL_CALL || b->run->lost || b->run->ended || b->run->rehearsed)
    return;
  const char *id = b->phase == TM_PHASE_LIVE ? b->waits_for : NULL;
  if (b->phase == TM_PHASE_HELD && !tm_place_outcome(b->past)) {
    const tm_entry *open = tm_place_last(b->past, TM_RECORD_OPEN);
    id = open ? tm_json_get_str(open->body, "child") : NULL;
  }
  if (id)
    cancel_waited(b, id, "its parent no longer waits for it");
}

void tm_child_due(tm_branch *b) {
  tm_child_look(b);
  if (b->phase != TM_PHASE_LIVE)
    return;
  cancel_waited(b, b->waits_for, "its time is over");
  tm_run_outcome(b, NULL,
                 tm_run_error(&b->scratch, "timeout",
                              "run %s of workflow \"%s\" did not end in time", b->waits_for,
                              b->name),
                 NULL);
}

/* -- mill.continue_as
 * ------------------------------------------------------------------------------ */

static bool is_above(const tm_branch *up, const tm_branch *b) {
  for (; b; b = b->parent)
    if (b == up)
      return true;
  return false;
}

/* Nothing else may be at work: only those that wait for this branch, and timers that guard it.
 */
static bool is_alone(const tm_branch *b) {
  for (tm_list *l = b->run->branches.next; l != &b->run->branches; l = l->next) {
    const tm_branch *o = TM_LIST_OF(l, tm_branch, link);
    bool timer = o->phase == TM_PHASE_LIVE && o->kind == TM_CALL_SLEEP;
    if (!o->dead && !timer && !is_above(o, b))
      return false;
  }
  return true;
}

static void go_on_as(tm_branch *b, tm_run *c) {
  tm_run *r = b->run;
  tm_json *open = tm_exec_open_body(b);
  tm_json_set_str(&b->scratch, open, "to", c->id);
  tm_turn_record(r, TM_RECORD_OPEN, b->place, b->name, open);
  r->continued = tm_arena_strdup(&r->arena, c->id);
  tm_run_finish(r, TM_RUN_DONE, NULL, NULL);
  tm_engine_store_new(c, true, born);
  tm_op *op = tm_turn_op(r->engine, c, TM_OP_SIGNAL_MOVE);
  op->u.signal.run = tm_arena_strdup(&tm_turn_of(r->engine)->batch->arena, r->id);
}

void tm_child_continue(tm_branch *b) {
  tm_run *r = b->run, *c;
  char id[64];
  tm_err err = TM_ERR_INIT;
  if (r->order == TM_ORDER_CANCEL && !r->cancelling)
    return; /* it is told in a moment, and reaches nobody who goes on */
  if (!is_alone(b)) {
    tm_run_outcome(
        b, NULL,
        tm_run_error(&b->scratch, "usage",
                     "mill.continue_as ends the run, but other branches are at work"),
        NULL);
    return;
  }
  next_id(id, r->id);
  c = conceive(r, id, r->workflow, tm_json_get(b->request, "input"), &err);
  if (!c) {
    tm_run_outcome(b, NULL, tm_run_error(&b->scratch, tm_err_word(err.code), "%s", err.msg),
                   NULL);
    return;
  }
  c->parent = r->parent ? tm_arena_strdup(&c->arena, r->parent) : NULL;
  c->depth = r->depth;
  c->allowance = tm_budget_left(r, NULL, &c->arena);
  go_on_as(b, c);
}
