/* gate.c - a question to a person: opened once, decided once, bound to what was shown.
 *
 *                approve (answer held to its schema)
 *       open ──┬─────────────────────────────────────► approved
 *              ├─ reject ────────────────────────────► rejected
 *              ├─ deadline ──────────────────────────► expired
 *              └─ the run no longer asks ────────────► closed
 *
 * Each move is a compare-and-set on `open` in the store: exactly one wins, and the others are
 * told who did. The digest covers kind, name, what was shown, the answer's schema, the expiry,
 * the sources.
 */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/park.h"
#include "text/schema.h"

static const char *kind_word(tm_gate_kind k) {
  static const char *const words[] = {"none", "gate", "action", "doubt"};
  return words[k];
}

static void digest_of(char out[TM_HASH_HEX + 1], const tm_branch *b, const tm_json *body,
                      int64_t expires) {
  tm_hasher h;
  tm_hash content = tm_json_hash(body);
  char when[24];
  snprintf(when, sizeof when, "%lld", (long long)expires);
  tm_hash_begin(&h);
  tm_hash_add_field(&h, b->run->id, strlen(b->run->id));
  tm_hash_add_field(&h, b->place, strlen(b->place));
  tm_hash_add_field(&h, b->identity, strlen(b->identity));
  tm_hash_add_field(&h, content.hex, TM_HASH_HEX);
  tm_hash_add_field(&h, b->run->closure->hash.hex, TM_HASH_HEX);
  tm_hash_add_field(&h, when, strlen(when));
  memcpy(out, tm_hash_end(&h).hex, TM_HASH_HEX + 1);
}

/* What a person sees of a mill.gate: the request without what only the engine needs. */
static tm_json *shown(tm_branch *b) {
  static const char *const keys[] = {"ask", "show", "answer"};
  tm_json *body = tm_json_new_object(&b->scratch);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const tm_json *v = tm_json_get(b->request, keys[i]);
    if (v)
      tm_json_set(&b->scratch, body, keys[i], v);
  }
  return body;
}

/* -- opening --------------------------------------------------------------------------- */

static void say_open(tm_after *a, const tm_err *err) {
  if (!tm_after_awaited(a, err) || !a->branch->gate)
    return;
  tm_json *o = tm_json_new_object(&a->branch->scratch);
  tm_json_set_str(&a->branch->scratch, o, "gate", a->branch->gate_id);
  tm_json_set_str(&a->branch->scratch, o, "ask", a->ctx);
  tm_event_call(a->branch, "gate.opened", NULL, o);
}

static void wait_at(tm_branch *b, tm_gate_kind kind, const char *id, int64_t expires) {
  b->gate = kind;
  b->gate_id = tm_arena_strdup(&b->scratch, id);
  b->recorded = true;
  if (expires)
    tm_engine_set_timer(b, expires);
  tm_engine_make_runnable(
      b->run); /* it settles, also when no script asked for the gate just now */
}

static void store_gate(tm_branch *b, const char *digest, const tm_json *body, int64_t expires) {
  tm_engine *e = b->run->engine;
  tm_op *op = tm_turn_op(e, b->run, TM_OP_GATE_NEW);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  op->u.gate = (tm_gate_row){
      .id = tm_arena_strdup(a, b->gate_id),
      .run = tm_arena_strdup(a, b->run->id),
      .workflow = tm_arena_strdup(a, b->run->workflow),
      .place = tm_arena_strdup(a, b->place),
      .name = tm_arena_strdup(a, b->name),
      .state = "open",
      .digest = tm_arena_strdup(a, digest),
      .body = tm_json_text(a, body, NULL),
      .opened = tm_engine_now(e),
      .expires = expires,
  };
}

/* RUN/NAME@PLACE, "!" for a doubt and its number, "~" and the number of moves (RETRY, REPIN)
 * behind which it is asked: what was decided before a move is spent. */
static const char *fresh_id(tm_branch *b, tm_gate_kind kind, const tm_json *again) {
  int moves = b->run->journal.moves;
  return tm_arena_printf(&b->scratch, "%s/%s@%s%s%s%s", b->run->id, b->name, b->place,
                         kind == TM_GATE_DOUBT ? "!" : "",
                         again ? tm_json_text(&b->scratch, again, NULL) : "",
                         moves ? tm_arena_printf(&b->scratch, "~%d", moves) : "");
}

void tm_gate_open(tm_branch *b, tm_gate_kind kind, tm_json *body, int64_t expires) {
  tm_arena *a = &b->scratch;
  char digest[TM_HASH_HEX + 1];
  tm_json_set_str(a, body, "kind", kind_word(kind));
  digest_of(digest, b, body, expires);
  const char *id = fresh_id(b, kind, tm_json_get(body, "again"));
  tm_json *open = tm_exec_open_body(b);
  tm_json_set_str(a, open, "gate", id);
  tm_json_set_str(a, open, "gk", kind_word(kind));
  tm_json_set_str(a, open, "digest", digest);
  if (expires)
    tm_json_set_int(a, open, "expires", expires);
  tm_turn_record(b->run, TM_RECORD_OPEN, b->place, b->name, open);
  wait_at(b, kind, id, expires);
  store_gate(b, digest, body, expires);
  tm_after *after = tm_turn_after(b->run->engine, say_open, b->run, b);
  const char *ask = tm_json_get_str(body, "ask");
  after->ctx = tm_arena_strdup(a, ask ? ask : "");
}

typedef struct shown_then {
  tm_arena *arena;
  tm_json *body; /* NULL: there is no such gate */
} shown_then;

static int take_body(void *ctx, const tm_gate_row *row) {
  shown_then *s = ctx;
  tm_err err = TM_ERR_INIT;
  tm_json_parse(&s->body, s->arena, row->body, strlen(row->body), NULL, &err);
  return 1;
}

/* The run was moved to other sources since: what was shown is asked anew, under another digest.
 */
static void ask_anew(tm_branch *b, tm_gate_kind kind, const tm_entry *open) {
  tm_store *s = b->run->engine->ports.store;
  tm_gate_filter f = {.id = tm_json_get_str(open->body, "gate")};
  shown_then then = {.arena = &b->scratch};
  tm_err err = TM_ERR_INIT;
  if (s->vt->gates(s, &f, take_body, &then, &err) < 0) {
    tm_engine_break(b->run->engine, &err);
    return;
  }
  tm_gate_open(b, kind, then.body ? then.body : shown(b),
               tm_json_int(tm_json_get(open->body, "expires"), 0));
}

void tm_gate_reopen(tm_branch *b, tm_gate_kind kind, const tm_entry *open) {
  if (open->seq < b->run->journal.pinned) {
    ask_anew(b, kind, open);
    return;
  }
  b->opened = tm_json_int(tm_json_get(open->body, "at"), b->opened);
  wait_at(b, kind, tm_json_get_str(open->body, "gate"),
          tm_json_int(tm_json_get(open->body, "expires"), 0));
  tm_gate_notice(b);
}

static int take_id(void *ctx, const tm_gate_row *row) {
  tm_branch *b = ctx;
  b->gate_id = tm_arena_strdup(&b->scratch, row->id);
  return 1;
}

/* A process that died between the record that ended the wait and this left its gate open. */
static bool find_left_open(tm_branch *b) {
  tm_store *s = b->run->engine->ports.store;
  tm_err err = TM_ERR_INIT;
  const char *id = NULL;
  for (const tm_entry *e = b->past ? b->past->first : NULL; e; e = e->next_here)
    if (e->kind == TM_RECORD_OPEN && tm_json_get(e->body, "gate"))
      id = tm_json_get_str(e->body, "gate");
  b->gate_id = NULL;
  tm_gate_filter f = {.id = id, .open = true};
  if (id && s->vt->gates(s, &f, take_id, b, &err) < 0)
    tm_engine_break(b->run->engine, &err);
  return b->gate_id != NULL;
}

void tm_gate_close(tm_branch *b) {
  if (!b->gate && !find_left_open(b))
    return;
  tm_op *op = tm_turn_op(b->run->engine, b->run, TM_OP_GATE_CLOSE);
  tm_arena *a = &tm_turn_of(b->run->engine)->batch->arena;
  op->u.gate.id = tm_arena_strdup(a, b->gate_id);
  op->u.gate.state = "closed";
  op->u.gate.decided = tm_engine_now(b->run->engine);
  b->gate = TM_GATE_NONE;
}

/* -- mill.gate ------------------------------------------------------------------------- */

static void ask_outcome(tm_branch *b, const tm_json *decision) {
  const char *state = tm_json_get_str(decision, "state");
  const tm_json *on_timeout = tm_json_get(b->request, "on_timeout");
  const char *then = tm_json_str(on_timeout, NULL);
  tm_arena *a = &b->scratch;
  if (!state || strcmp(state, "expired") != 0) {
    tm_run_outcome(b, decision, NULL, NULL);
    return;
  }
  if (then && strcmp(then, "fail") == 0) {
    tm_run_outcome(
        b, NULL, tm_run_error(a, "timeout", "nobody answered the gate \"%s\" in time", b->name),
        NULL);
    return;
  }
  tm_json *value = tm_json_copy(a, decision);
  tm_json_set_bool(a, value, "approved", !then);
  if (!then)
    tm_json_set(a, value, "answer", tm_json_get(on_timeout, "answer"));
  tm_json_set_str(a, value, "by", "timeout");
  tm_run_outcome(b, value, NULL, NULL);
}

void tm_gate_launch(tm_branch *b) {
  const tm_entry *open = tm_place_last(b->past, TM_RECORD_OPEN);
  const tm_entry *decided = tm_place_find(b->past, TM_RECORD_DECIDED);
  if (decided) {
    b->recorded = true;
    ask_outcome(b, decided->body);
  } else if (open) {
    tm_gate_reopen(b, TM_GATE_ASK, open);
  } else {
    int64_t ms = tm_json_int(tm_json_get(b->request, "deadline_ms"), 0);
    tm_gate_open(b, TM_GATE_ASK, shown(b), ms ? tm_engine_now(b->run->engine) + ms : 0);
  }
}

/* -- the decision comes in ------------------------------------------------------------- */

static tm_json *decision_of(tm_branch *b, const tm_gate_row *row) {
  tm_arena *a = &b->scratch;
  tm_json *d = tm_json_new_object(a), *given = NULL;
  tm_err err = TM_ERR_INIT;
  tm_json_set_str(a, d, "gate", row->id);
  tm_json_set_str(a, d, "state", row->state);
  tm_json_set_bool(a, d, "approved", strcmp(row->state, "approved") == 0);
  if (row->decision &&
      tm_json_parse(&given, a, row->decision, strlen(row->decision), NULL, &err) == 0)
    for (size_t i = 0; i < tm_json_len(given); i++) {
      const tm_json_member *m = tm_json_member_at(given, i);
      tm_json_set(a, d, m->key, &m->value);
    }
  tm_json_set_str(a, d, "by", row->by ? row->by : "");
  tm_json_set_int(a, d, "at", row->decided);
  tm_json_set_str(a, d, "digest", row->digest);
  return d;
}

static void take(tm_branch *b, const tm_gate_row *row) {
  tm_gate_kind kind = b->gate;
  tm_json *d = decision_of(b, row);
  b->gate = TM_GATE_NONE;
  tm_engine_clear_timer(b);
  tm_turn_record(b->run, TM_RECORD_DECIDED, b->place, b->name, d);
  tm_event_call(b, "gate.decided", "decision", d);
  if (kind == TM_GATE_ASK)
    ask_outcome(b, d);
  else
    tm_action_decided(b, kind, d);
}

static int take_decided(void *ctx, const tm_gate_row *row) {
  if (strcmp(row->state, "open") != 0)
    take(ctx, row);
  return 1;
}

void tm_gate_notice(tm_branch *b) {
  tm_err err = TM_ERR_INIT;
  tm_store *s = b->run->engine->ports.store;
  if (b->dead || !b->gate || b->run->lost || b->run->ended)
    return;
  tm_gate_filter f = {.id = b->gate_id};
  if (s->vt->gates(s, &f, take_decided, b, &err) < 0)
    tm_engine_break(b->run->engine, &err);
}

static int is_decided(void *ctx, const tm_gate_row *row) {
  if (strcmp(row->state, "open") != 0 && strcmp(row->state, "closed") != 0)
    *(bool *)ctx = true;
  return *(bool *)ctx;
}

bool tm_gate_decided(const tm_engine *e, const char *run, const char *id) {
  bool found = false;
  tm_err err = TM_ERR_INIT;
  tm_gate_filter f = {.id = id, .run = run};
  e->ports.store->vt->gates(e->ports.store, &f, is_decided, &found, &err);
  return found;
}

static void expired(tm_after *a, const tm_err *err) {
  tm_engine *e = a->run->engine;
  tm_err ignored = TM_ERR_INIT;
  if (err->code == TM_OK && tm_park_holds(e, a->run->id))
    tm_engine_rouse(e, a->run->id, &ignored); /* it was parked meanwhile */
  else if (err->code == TM_OK)
    tm_gate_notice(a->branch); /* whoever won */
}

static tm_op *decide_op(tm_engine *e, const char *id, const char *state) {
  tm_turn *t = tm_turn_of(e);
  tm_op *op = tm_batch_add(t->batch, TM_OP_GATE_DECIDE);
  op->u.gate.id = tm_arena_strdup(&t->batch->arena, id);
  op->u.gate.state = state;
  op->u.gate.decided = tm_engine_now(e);
  op->u.gate.by = "";
  t->guard = NULL;
  return op;
}

void tm_gate_due(tm_branch *b) {
  decide_op(b->run->engine, b->gate_id, "expired");
  tm_turn_after(b->run->engine, expired, b->run, b);
}

/* -- deciding -------------------------------------------------------------------------- */

typedef struct deciding {
  tm_engine *engine;
  tm_engine_fn done;
  void *ctx;
  char run[64], gate[256];
  const tm_json *decision;
  bool approve;
  bool found;
  tm_err *err;
} deciding;

static int check_answer(const deciding *d, const tm_gate_row *row) {
  tm_arena a;
  tm_json *body;
  tm_schema *schema;
  tm_arena_init(&a, 0);
  int rc = tm_json_parse(&body, &a, row->body, strlen(row->body), NULL, d->err);
  const tm_json *wanted = rc == 0 ? tm_json_get(body, "answer") : NULL;
  const tm_json *answer = tm_json_get(d->decision, "answer");
  if (rc == 0 && wanted && !answer)
    rc = tm_err_set(d->err, TM_USAGE,
                    "the gate \"%s\" wants an answer (--answer JSON) that holds to its schema",
                    row->name);
  else if (rc == 0 && wanted) {
    tm_schema_report report = {.arena = &a, .max = 3};
    rc = tm_schema_compile(&schema, &a, wanted, NULL, d->err);
    if (rc == 0)
      rc = tm_schema_check(schema, answer, &report, d->err);
    if (rc == 1)
      rc = tm_err_set(d->err, TM_USAGE, "the answer does not fit the gate \"%s\": %s",
                      row->name, report.errors[0].message);
  }
  tm_arena_free(&a);
  return rc;
}

static void say_decided(const deciding *d, const tm_gate_row *row) {
  char when[TM_CLOCK_TEXT];
  tm_clock_format(row->decided, when);
  if (strcmp(row->state, "closed") == 0)
    tm_err_set(d->err, TM_CONFLICT, "the gate \"%s\" is closed: its run no longer asks",
               row->name);
  else
    tm_err_set(d->err, TM_CONFLICT, "the gate \"%s\" was already %s%s%s at %s", row->name,
               row->state, row->by && *row->by ? " by " : "", row->by ? row->by : "", when);
}

static int check_gate(void *ctx, const tm_gate_row *row) {
  deciding *d = ctx;
  const char *seen = tm_json_get_str(d->decision, "digest");
  d->found = true;
  snprintf(d->run, sizeof d->run, "%s", row->run);
  if (strcmp(row->state, "open") != 0)
    say_decided(d, row);
  else if (row->expires && row->expires <= tm_engine_now(d->engine))
    tm_err_set(d->err, TM_CONFLICT, "the gate \"%s\" has expired", row->name);
  else if (seen && strcmp(seen, row->digest) != 0)
    tm_err_set(d->err, TM_CONFLICT,
               "what the gate \"%s\" asks now is not what was shown; look at it again",
               row->name);
  else if (d->approve)
    check_answer(d, row);
  return 1;
}

static void wake_run(tm_engine *e, const char *id) {
  tm_err err = TM_ERR_INIT;
  tm_run *r = tm_engine_find(e, id);
  if (!r) {
    tm_engine_rouse(e, id, &err);
    return;
  }
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next)
    tm_gate_notice(TM_LIST_OF(l, tm_branch, link));
}

static int find_winner(void *ctx, const tm_gate_row *row) {
  say_decided(ctx, row);
  return 1;
}

static void decided(tm_after *a, const tm_err *err) {
  deciding *d = a->ctx;
  tm_err own = *err;
  d->err = &own;
  tm_engine *e = d->engine;
  if (err->code == TM_OK && a->op->status == TM_OP_OK) {
    wake_run(e, d->run);
  } else if (err->code == TM_OK) {
    tm_err ignored = TM_ERR_INIT;
    tm_gate_filter f = {.id = d->gate};
    tm_err_set(&own, TM_CONFLICT, "the gate was decided by somebody else a moment ago");
    e->ports.store->vt->gates(e->ports.store, &f, find_winner, d, &ignored);
  }
  if (d->done)
    d->done(d->ctx, d->run, &own);
}

void tm_engine_decide(tm_engine *e, const char *gate, bool approve, const tm_json *decision,
                      tm_engine_fn done, void *ctx) {
  tm_err err = e->broken;
  deciding probe = {.engine = e, .decision = decision, .approve = approve, .err = &err};
  tm_gate_filter f = {.id = gate};
  tm_store *s = e->ports.store;
  if (err.code == TM_OK && s->vt->gates(s, &f, check_gate, &probe, &err) == 0 && !probe.found)
    tm_err_set(&err, TM_NOTFOUND, "there is no gate %s", gate);
  if (err.code != TM_OK) {
    done(ctx, NULL, &err);
    return;
  }
  tm_op *op = decide_op(e, gate, approve ? "approved" : "rejected");
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  tm_json *kept = tm_json_new_object(a);
  const char *by = tm_json_get_str(decision, "by");
  op->u.gate.by = tm_arena_strdup(a, by ? by : "");
  op->u.gate.digest = tm_arena_strdup(a, tm_json_get_str(decision, "digest"));
  if (tm_json_get(decision, "answer"))
    tm_json_set(a, kept, "answer", tm_json_get(decision, "answer"));
  if (tm_json_get(decision, "note"))
    tm_json_set(a, kept, "note", tm_json_get(decision, "note"));
  op->u.gate.decision = tm_json_text(a, kept, NULL);
  deciding *d = tm_arena_new(a, deciding);
  *d = probe;
  d->done = done;
  d->ctx = ctx;
  snprintf(d->gate, sizeof d->gate, "%s", gate);
  tm_after *after = tm_turn_after(e, decided, NULL, NULL);
  after->op = op;
  after->ctx = d;
}
