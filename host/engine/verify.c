/* verify.c - an engine whose doors are shut, one run in it, and what became of it.
 */
#include "engine/verify.h"

#include <string.h>

#include "engine/replay.h"
#include "text/changes.h"

#define MAX_CHANGES 10

/* -- the tale, and a store that knows nothing else -------------------------------------- */

typedef struct shut_store {
  tm_store base;
  const tm_tale *tale;
} shut_store;

static int tell_journal(tm_store *s, const char *run, int64_t from, tm_record_fn fn, void *ctx,
                        tm_err *err) {
  const tm_tale *t = ((shut_store *)s)->tale;
  (void)run, (void)err;
  for (size_t i = (size_t)from; i < t->count; i++)
    if (fn(ctx, &t->records[i]) != 0)
      break;
  return 0;
}

static int no_gates(tm_store *s, const tm_gate_filter *f, tm_gate_fn fn, void *ctx,
                    tm_err *err) {
  (void)s, (void)f, (void)fn, (void)ctx, (void)err;
  return 0;
}

/* A rehearsal asks for no more than this: the rest of the contract is missing on purpose. */
static const tm_store_vt shut_vt = {
    .name = "shut",
    .journal = tell_journal,
    .gates = no_gates,
};

static int start_nothing(void *ctx, tm_task *task, const char *name, const tm_json *request,
                         tm_err *err) {
  (void)ctx, (void)task, (void)name, (void)request;
  return tm_err_set(err, TM_INTERNAL, "a rehearsal starts nothing");
}

static void cancel_nothing(void *ctx, tm_task *task) {
  (void)ctx, (void)task;
}

/* -- reading a tale --------------------------------------------------------------------- */

typedef struct reading {
  tm_tale *tale;
  tm_arena *arena;
  size_t cap;
  bool found;
} reading;

static int read_row(void *ctx, const tm_run_row *row) {
  reading *r = ctx;
  r->found = true;
  *r->tale = (tm_tale){
      .run = tm_arena_strdup(r->arena, row->id),
      .workflow = tm_arena_strdup(r->arena, row->workflow),
      .state = tm_arena_strdup(r->arena, row->state),
      .owner = tm_arena_strdup(r->arena, row->owner ? row->owner : ""),
      .sources = tm_arena_strdup(r->arena, row->closure),
      .input_hash = tm_arena_strdup(r->arena, row->input_hash),
      .parent = tm_arena_strdup(r->arena, row->parent),
      .reason = tm_arena_strdup(r->arena, row->reason),
      .result = tm_arena_strdup(r->arena, row->result),
      .epoch = row->epoch,
      .created = row->created,
      .updated = row->updated,
  };
  return 1;
}

static int read_record(void *ctx, const tm_record *rec) {
  reading *r = ctx;
  tm_tale *t = r->tale;
  tm_arena *a = r->arena;
  if (t->count == r->cap) {
    r->cap = r->cap ? 2 * r->cap : 64;
    tm_record *more = tm_arena_array(a, tm_record, r->cap);
    if (t->count)
      memcpy(more, t->records, t->count * sizeof *more);
    t->records = more;
  }
  t->records[t->count++] = tm_journal_copy(a, rec);
  return 0;
}

int tm_verify_read(tm_tale *out, tm_arena *a, tm_store *store, const char *run, tm_err *err) {
  tm_run_filter f = {.id = run};
  reading r = {.tale = out, .arena = a};
  *out = (tm_tale){.closure = NULL};
  if (store->vt->runs(store, &f, read_row, &r, err) < 0)
    return -1;
  if (!r.found)
    return tm_err_set(err, TM_NOTFOUND, "there is no run %s", run);
  return store->vt->journal(store, run, 0, read_record, &r, err) < 0 ? -1 : 0;
}

void tm_verify_link(tm_tale *t, size_t from, tm_arena *a) {
  char chain[TM_HASH_HEX + 1] = "";
  if (from > 0)
    memcpy(chain, t->records[from - 1].chain, sizeof chain);
  for (size_t i = from; i < t->count; i++) {
    t->records[i].seq = (int64_t)i;
    tm_journal_link(chain, &t->records[i]);
    t->records[i].chain = tm_arena_strdup(a, chain);
  }
}

/* -- playing ---------------------------------------------------------------------------- */

static void say(tm_verdict *v, tm_arena *a, const char *message) {
  v->equal = false;
  v->message = tm_arena_strdup(a, message);
}

/* The first call that waits: what the script asks for where the journal has nothing more. */
static const tm_branch *first_held(const tm_run *r) {
  for (const tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead && b->phase == TM_PHASE_HELD)
      return b;
  }
  return NULL;
}

/* Does a branch ask to go on as another run? Timers may wait beside it. */
static bool asks_to_continue(const tm_run *r) {
  for (const tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead && b->phase == TM_PHASE_HELD && b->kind == TM_CALL_CONTINUE)
      return true;
  }
  return false;
}

/* The journal says that the run ended, and the script goes on. */
static void goes_on(tm_verdict *v, tm_arena *a, const tm_run *r, const tm_entry *end) {
  const tm_branch *b = first_held(r);
  say(v, a,
      tm_arena_printf(a, "the run ended with record %lld (%s); the script goes on%s%s%s%s%s%s",
                      (long long)end->seq, end->name, b ? ": " : "",
                      b && *b->where ? b->where
                      : b            ? "it"
                                     : "",
                      b ? " asks for " : "", b ? tm_call_word(b->kind) : "", b ? " " : "",
                      b ? b->name : ""));
}

static bool same_end(const tm_run *r, const tm_entry *end) {
  const char *state = tm_json_get_str(end->body, "state");
  const tm_json *value = tm_json_get(end->body, "v"), *error = tm_json_get(end->body, "e");
  if (!state || strcmp(state, tm_run_state_word(r->state)) != 0)
    return false;
  const tm_json *was = r->state == TM_RUN_DONE ? value : error;
  const tm_json *is = r->state == TM_RUN_DONE ? r->result : r->error;
  bool nothing = !was || tm_json_type_of(was) == TM_JSON_NULL;
  return is ? was && tm_json_equal(was, is) : nothing;
}

static void judge_end(tm_verdict *v, tm_arena *a, const tm_run *r, const tm_entry *end) {
  const char *why = tm_json_get_str(r->error, "message");
  v->ended = tm_run_state_word(r->state);
  if (why)
    v->message = tm_arena_strdup(a, why);
  if (end && !same_end(r, end))
    say(v, a,
        tm_arena_printf(
            a, "the script ends %s%s%s; the journal has another end (record %lld: %s)",
            v->ended, why ? ": " : "", why ? why : "", (long long)end->seq, end->name));
  else if (end && r->next_seq > r->journal.length + 1)
    say(v, a, "the script makes notes that the journal does not have");
}

/* An end that the script did not come to by itself: it waits there still. */
static bool ended_by_host(const tm_run *r, const tm_entry *end) {
  const char *error = tm_json_get_str(tm_json_get(end->body, "e"), "kind");
  if (error && strcmp(error, "terminated") == 0)
    return true;
  return tm_json_get(end->body, "continued") && asks_to_continue(r);
}

static void judge(tm_verdict *v, tm_arena *a, const tm_run *r) {
  const tm_entry *end = tm_journal_end(&r->journal);
  v->equal = true;
  if (r->state == TM_RUN_DIVERGED)
    say(v, a, tm_json_get_str(r->error, "message"));
  else if (r->ended)
    judge_end(v, a, r, end);
  else if (end && ended_by_host(r, end))
    v->ended = tm_arena_strdup(a, end->name);
  else if (end)
    goes_on(v, a, r, end);
}

static void tell(tm_verdict *v, tm_arena *a, const tm_run *r, size_t records) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "verdict", v->equal ? "equal" : "diverged");
  tm_json_set_int(a, o, "records", (int64_t)records);
  if (v->equal)
    tm_json_set_str(a, o, "ended", v->ended);
  if (v->message)
    tm_json_set_str(a, o, v->equal ? "error" : "message", v->message);
  const tm_json *d =
      v->equal ? NULL : tm_json_copy(a, r->difference ? r->difference : tm_json_new_object(a));
  for (size_t i = 0; i < tm_json_len(d); i++)
    tm_json_set(a, o, tm_json_member_at(d, i)->key, &tm_json_member_at(d, i)->value);
  const tm_json *was = tm_json_get(tm_json_get(d, "stands"), "request");
  const tm_json *is = tm_json_get(tm_json_get(d, "asked"), "request");
  if (was && is)
    tm_json_set(a, o, "changes", tm_changes_of(a, was, is, MAX_CHANGES));
  v->told = o;
}

static int play(tm_verdict *v, tm_arena *a, tm_engine *shut, const tm_tale *t, tm_err *err) {
  tm_run *r = tm_run_new(shut, t->run, t->workflow, t->closure);
  tm_err open = TM_ERR_INIT;
  tm_list_append(&shut->runs, &r->link); /* freed with its engine */
  r->rehearsed = true;
  if (tm_replay_load(r, err) < 0)
    return -1;
  r->state = TM_RUN_RUNNING;
  if (shut->ports.guest->open(&r->guest, shut->ports.guest_ctx, r, &open) < 0) {
    say(v, a, open.msg);
  } else {
    tm_run_begin(r);
    tm_run_drive(r);
    judge(v, a, r);
  }
  tell(v, a, r, t->count);
  return 0;
}

int tm_verify_play(tm_verdict *out, tm_arena *a, const tm_tale *t, const tm_ports *ports,
                   tm_err *err) {
  shut_store store = {.base = {.vt = &shut_vt}, .tale = t};
  tm_ports doors = {
      .clock = ports->clock,
      .store = &store.base,
      .guest = ports->guest,
      .guest_ctx = ports->guest_ctx,
      .start = start_nothing,
      .cancel = cancel_nothing,
  };
  tm_engine *shut;
  *out = (tm_verdict){.equal = false};
  if (tm_engine_open(&shut, &doors, err) < 0)
    return -1;
  int rc = play(out, a, shut, t, err);
  tm_engine_close(&shut);
  return rc;
}

int tm_replay_check(tm_verdict *out, tm_arena *a, tm_engine *e, const char *run,
                    tm_closure *with, tm_err *err) {
  tm_tale t;
  tm_closure *own = NULL;
  if (tm_verify_read(&t, a, e->ports.store, run, err) < 0)
    return -1;
  if (!with && tm_engine_closure(e, t.sources, &own, err) < 0)
    return -1;
  t.closure = with ? with : own;
  int rc = tm_verify_play(out, a, &t, &e->ports, err);
  tm_closure_release(&own);
  return rc;
}
