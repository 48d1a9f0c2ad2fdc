/* change.c - repin, retry, fork: rehearsed first, then one transaction.
 *
 *   read the tale ─► may it? ─► rehearse what it would be ─► claim ─► records, row ─► told
 *                                     another process has it: CONFLICT ◄─┘
 */
#include "engine/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/owner.h"

/* -- writing ---------------------------------------------------------------------------- */

typedef struct moving {
  tm_engine_fn done;
  void *ctx;
} moving;

static void moved(tm_after *a, const tm_err *err) {
  moving *m = a->ctx;
  tm_run *r = a->run;
  tm_err own = *err;
  if (own.code == TM_OK && a->op && a->op->status == TM_OP_EXISTS)
    tm_err_set(&own, TM_CONFLICT, "there is a run %s already; choose another --id", r->id);
  else if (own.code == TM_OK && r->lost)
    tm_err_set(&own, TM_CONFLICT, "run %s was taken up by another process a moment ago", r->id);
  r->forgotten = true;
  m->done(m->ctx, own.code == TM_OK ? r->id : NULL, &own);
}

/* A run that is only written, and forgotten when that is durable. */
static tm_run *hand_of(tm_engine *e, const tm_tale *t) {
  tm_run *r = tm_run_new(e, t->run, t->workflow, t->closure);
  r->epoch = t->epoch;
  tm_closure_lend(t->closure, tm_turn_of(e)->batch);
  return r;
}

static void append(tm_run *r, const tm_record *rec) {
  tm_op *op = tm_turn_op(r->engine, r, TM_OP_RECORD);
  tm_arena *a = &tm_turn_of(r->engine)->batch->arena;
  op->u.record = tm_journal_copy(a, rec);
}

static void tell_when_durable(tm_run *r, tm_op *op, tm_engine_fn done, void *ctx) {
  tm_after *after = tm_turn_after(r->engine, moved, r, NULL);
  moving *m = tm_arena_new(&tm_turn_of(r->engine)->batch->arena, moving);
  *m = (moving){.done = done, .ctx = ctx};
  after->op = op;
  after->ctx = m;
}

tm_run *tm_change_create(tm_engine *e, const tm_tale *t, tm_engine_fn done, void *ctx) {
  tm_run *r = hand_of(e, t);
  tm_turn *turn = tm_turn_of(e);
  tm_arena *a = &turn->batch->arena;
  tm_op *op = tm_batch_add(turn->batch, TM_OP_RUN_NEW);
  op->u.run = (tm_run_row){
      .id = tm_arena_strdup(a, t->run),
      .workflow = tm_arena_strdup(a, t->workflow),
      .state = tm_arena_strdup(a, t->state),
      .reason = tm_arena_strdup(a, t->reason),
      .result = tm_arena_strdup(a, t->result),
      .closure = tm_arena_strdup(a, t->closure->hash.hex),
      .input_hash = tm_arena_strdup(a, t->input_hash),
      .parent = tm_arena_strdup(a, t->parent),
      .epoch = t->epoch,
      .created = t->created,
      .updated = t->updated,
  };
  r->owned = true;
  turn->guard = r;
  for (size_t i = 0; i < t->count; i++)
    append(r, &t->records[i]);
  tell_when_durable(r, op, done, ctx);
  return r;
}

/* -- may it? ---------------------------------------------------------------------------- */

static bool is(const char *state, const char *word) {
  return strcmp(state, word) == 0;
}

static bool parked(const tm_run *r) {
  return r->state == TM_RUN_WAITING && !r->owned && r->uncommitted == 0 && !r->claiming;
}

/* Nobody works on it. A run that only waits in this process is put out of its memory. */
static int check_idle(tm_engine *e, const tm_tale *t, tm_err *err) {
  tm_run *r = tm_engine_find(e, t->run);
  if (e->broken.code != TM_OK) {
    *err = e->broken;
    return -1;
  }
  if ((r && !parked(r)) ||
      (*t->owner && strcmp(t->owner, e->owner) != 0 && tm_owner_alive(t->owner)))
    return tm_err_set(err, TM_CONFLICT,
                      "run %s is being worked on; try again when it waits or has ended",
                      t->run);
  if (r) {
    r->lost = true;
    tm_engine_forget(r);
    if (r->pending == 0)
      tm_engine_settle_forgotten(r);
  }
  return 0;
}

static int check_repin(const tm_tale *t, const tm_closure *to, tm_err *err) {
  if (!is(t->state, "queued") && !is(t->state, "running") && !is(t->state, "waiting") &&
      !is(t->state, "diverged"))
    return tm_err_set(err, TM_CONFLICT,
                      "run %s is %s: only a run that has not ended moves to other sources; "
                      "`tidemill fork %s` makes a new one",
                      t->run, t->state, t->run);
  if (strcmp(t->sources, to->hash.hex) == 0 && !is(t->state, "diverged"))
    return tm_err_set(err, TM_CONFLICT, "run %s has these sources already", t->run);
  return 0;
}

static int check_retry(const tm_tale *t, tm_err *err) {
  if (is(t->state, "failed") && t->epoch == 0) /* import.c */
    return tm_err_set(err, TM_CONFLICT,
                      "run %s was imported, and may be retried where it came from; `tidemill "
                      "fork %s --from STEP` makes a new run of it",
                      t->run, t->run);
  if (is(t->state, "failed"))
    return 0;
  return tm_err_set(
      err, TM_CONFLICT, "run %s is %s; only a failed run is retried%s", t->run, t->state,
      is(t->state, "diverged") ? " (one that diverged is moved with `tidemill repin`)" : "");
}

/* -- the records of a move -------------------------------------------------------------- */

static void add(tm_tale *t, tm_arena *a, tm_record_kind kind, const char *place,
                const char *name, const tm_json *body) {
  tm_record *more = tm_arena_array(a, tm_record, t->count + 1);
  if (t->count)
    memcpy(more, t->records, t->count * sizeof *more);
  t->records = more;
  tm_record *r = &more[t->count++];
  r->kind = (int)kind;
  r->place = tm_arena_strdup(a, place);
  r->name = tm_arena_strdup(a, name);
  r->body = tm_json_text(a, body, &r->body_len);
  tm_verify_link(t, t->count - 1, a);
}

static void add_repin(tm_tale *t, tm_arena *a, const char *by, int64_t at) {
  tm_json *body = tm_json_new_object(a);
  tm_json_set_str(a, body, "was", t->sources);
  tm_json_set_str(a, body, "now", t->closure->hash.hex);
  tm_json_set_str(a, body, "by", by);
  tm_json_set_int(a, body, "at", at);
  add(t, a, TM_RECORD_REPIN, "", "repin", body);
}

/* What a retry makes void: the END, and all since the failure that was its cause. That is the
 * last outcome, when it is a failure; else one with the error that the run ended with. Without
 * either the script itself failed. */
static int64_t retry_from(const tm_journal *j) {
  const tm_entry *end = tm_journal_end(j), *last = NULL, *same = NULL;
  const tm_json *error = tm_json_get(end->body, "e");
  for (const tm_entry *e = j->first; e && e != end; e = e->next) {
    if (e->kind == TM_RECORD_DONE || e->kind == TM_RECORD_FAIL)
      last = e;
    const tm_json *own = e->kind == TM_RECORD_FAIL ? tm_json_get(e->body, "e") : NULL;
    if (own && error && tm_json_equal(own, error))
      same = e;
  }
  if (same)
    return same->seq;
  return last && last->kind == TM_RECORD_FAIL ? last->seq : end->seq;
}

/* A lock is asked for again, and with it all that was done under it; and so is one that another
 * branch let go since. */
static int64_t outside_locks(const tm_journal *j, int64_t from) {
  const tm_entry *lock;
  while ((lock = tm_fork_lock(j, from)))
    from = lock->seq;
  return from;
}

static int add_retry(tm_tale *t, tm_arena *a, tm_engine *e, const char *by, tm_err *err) {
  tm_journal j = {.arena = a};
  if (tm_journal_load(&j, a, e->ports.store, t->run, err) < 0)
    return -1;
  if (!tm_journal_end(&j)) {
    tm_journal_free(&j);
    return tm_err_set(err, TM_INTERNAL, "run %s has failed, but its journal has no end",
                      t->run);
  }
  int64_t from = outside_locks(&j, retry_from(&j));
  const tm_entry *undo = tm_fork_undo(&j, from);
  if (undo)
    tm_err_set(err, TM_CONFLICT,
               "run %s has undone what it had done (record %lld: %s); start a new one", t->run,
               (long long)undo->seq, undo->name);
  tm_journal_free(&j);
  if (err->code != TM_OK)
    return -1;
  tm_json *body = tm_json_new_object(a);
  t->voided = (size_t)from;
  tm_json_set_int(a, body, "from", from);
  tm_json_set_str(a, body, "by", by);
  tm_json_set_int(a, body, "at", tm_engine_now(e));
  add(t, a, TM_RECORD_RETRY, "", "retry", body);
  return 0;
}

static int rehearse(tm_verdict *v, tm_arena *a, tm_engine *e, const tm_tale *t, tm_err *err) {
  if (tm_verify_play(v, a, t, &e->ports, err) < 0)
    return -1;
  return v->equal ? 0 : tm_err_set(err, TM_DIVERGED, "run %s: %s", t->run, v->message);
}

static int rehearse_retry(tm_arena *a, tm_engine *e, const tm_tale *t, tm_err *err) {
  tm_verdict v;
  if (rehearse(&v, a, e, t, err) < 0)
    return -1;
  if (v.ended && is(v.ended, "failed"))
    return tm_err_set(
        err, TM_CONFLICT,
        "run %s would only fail again: %s. Mend its workflow, then `tidemill retry %s "
        "--to disk`",
        t->run, v.message ? v.message : "the script fails by itself", t->run);
  return 0;
}

static int close_gate(void *ctx, const tm_gate_row *row) {
  tm_run *r = ctx;
  tm_op *op = tm_turn_op(r->engine, r, TM_OP_GATE_CLOSE);
  tm_arena *a = &tm_turn_of(r->engine)->batch->arena;
  op->u.gate.id = tm_arena_strdup(a, row->id);
  op->u.gate.state = "closed";
  return 0;
}

bool tm_change_rests(const tm_tale *t) {
  const tm_run_row row = {.id = t->run, .state = t->state, .reason = t->reason};
  return tm_control_is_paused(&row);
}

/* An event that was used up in what a RETRY makes void is pending again. */
static int give_event_back(tm_run *r, const tm_record *rec, tm_err *err) {
  tm_engine *e = r->engine;
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  tm_json *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  if (rec->kind != TM_RECORD_DONE)
    return 0;
  if (tm_json_parse(&body, a, rec->body, rec->body_len, &opts, err) < 0)
    return -1;
  const char *kind = tm_json_get_str(body, "k");
  const char *sid = tm_json_get_str(tm_json_get(body, "m"), "id");
  if (!kind || !is(kind, tm_call_word(TM_CALL_WAIT)) || !sid)
    return 0;
  tm_op *op = tm_turn_op(e, r, TM_OP_SIGNAL_FREE);
  op->u.signal.sid = tm_arena_strdup(a, sid);
  op->u.signal.place = tm_arena_strdup(a, rec->place);
  return 0;
}

static int give_events_back(tm_run *r, const tm_tale *t, size_t from, tm_err *err) {
  for (size_t i = t->voided; t->voided && i < from; i++)
    if (give_event_back(r, &t->records[i], err) < 0)
      return -1;
  return 0;
}

/* Claim, records from `from` on, sources, no gates; queued, or still paused. */
static int write_move(tm_engine *e, const tm_tale *t, size_t from, tm_engine_fn done, void *ctx,
                      tm_err *err) {
  tm_run *r = hand_of(e, t);
  tm_gate_filter open = {.run = t->run, .open = true};
  if (e->ports.store->vt->gates(e->ports.store, &open, close_gate, r, err) < 0 ||
      give_events_back(r, t, from, err) < 0) {
    r->forgotten = true;
    if (r->pending == 0)
      tm_run_free(&r);
    return -1;
  }
  for (size_t i = from; i < t->count; i++)
    append(r, &t->records[i]);
  tm_turn_op(e, r, TM_OP_RUN_PIN)->u.run.closure =
      tm_arena_strdup(&tm_turn_of(e)->batch->arena, t->closure->hash.hex);
  tm_op *op = tm_turn_op(e, r, TM_OP_RUN_SET);
  bool rests = tm_change_rests(t);
  op->u.run.state = rests ? "waiting" : "queued";
  op->u.run.reason = rests ? tm_arena_strdup(&tm_turn_of(e)->batch->arena, t->reason) : NULL;
  op->u.run.owner = "";
  tell_when_durable(r, NULL, done, ctx);
  return 0;
}

/* -- repin, retry ----------------------------------------------------------------------- */

static int repin(tm_engine *e, tm_arena *a, const char *run, tm_closure *to, const char *by,
                 tm_engine_fn done, void *ctx, tm_err *err) {
  tm_tale t;
  tm_verdict v;
  if (tm_verify_read(&t, a, e->ports.store, run, err) < 0 || check_repin(&t, to, err) < 0)
    return -1;
  t.closure = to;
  size_t from = t.count;
  if (rehearse(&v, a, e, &t, err) < 0 || check_idle(e, &t, err) < 0)
    return -1;
  add_repin(&t, a, by, tm_engine_now(e));
  return write_move(e, &t, from, done, ctx, err);
}

void tm_change_repin(tm_engine *e, const char *run, tm_closure *to, const char *by,
                     tm_engine_fn done, void *ctx) {
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_arena_init(&a, 0);
  if (repin(e, &a, run, to, by, done, ctx, &err) < 0)
    done(ctx, NULL, &err);
  tm_arena_free(&a);
}

static int retry(tm_engine *e, tm_arena *a, const char *run, tm_closure *to, const char *by,
                 tm_engine_fn done, void *ctx, tm_err *err) {
  tm_tale t;
  tm_closure *own = NULL;
  if (tm_verify_read(&t, a, e->ports.store, run, err) < 0 || check_retry(&t, err) < 0 ||
      tm_engine_closure(e, t.sources, &own, err) < 0)
    return -1;
  size_t from = t.count;
  t.closure = to ? to : own;
  int rc = add_retry(&t, a, e, by, err);
  if (rc == 0 && to && strcmp(to->hash.hex, t.sources) != 0)
    add_repin(&t, a, by, tm_engine_now(e));
  if (rc == 0)
    rc = rehearse_retry(a, e, &t, err);
  if (rc == 0)
    rc = check_idle(e, &t, err);
  if (rc == 0)
    rc = write_move(e, &t, from, done, ctx, err);
  tm_closure_release(&own);
  return rc;
}

void tm_change_retry(tm_engine *e, const char *run, tm_closure *to, const char *by,
                     tm_engine_fn done, void *ctx) {
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_arena_init(&a, 0);
  if (retry(e, &a, run, to, by, done, ctx, &err) < 0)
    done(ctx, NULL, &err);
  tm_arena_free(&a);
}
