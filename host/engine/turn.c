/* turn.c - one turn's writing: a batch, its guards, and what to do when it is durable.
 *
 * Ops of one run stand behind a fence with its epoch (or behind the claim that takes the run
 * up): a run that another process has taken meanwhile writes nothing more, and is dropped.
 */
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "engine/engine.h"

#define ALONE_OPS 8

static void submitted(tm_batch *batch, const tm_err *err);
static void seal(void *turn);

tm_turn *tm_turn_of(tm_engine *e) {
  if (e->turn)
    return e->turn;
  tm_turn *t = tm_new(tm_turn);
  t->engine = e;
  t->batch = tm_batch_new();
  t->batch->seal = seal;
  t->batch->sealed = t;
  t->batch->done = submitted;
  t->batch->ctx = t;
  t->last = &t->first;
  t->last_link = &t->links;
  e->turn = t;
  if (!e->turning && !e->announced && e->ports.wake) {
    e->announced = true;
    e->ports.wake(e->ports.ctx);
  }
  return t;
}

tm_after *tm_turn_after(tm_engine *e, void (*fn)(tm_after *, const tm_err *), tm_run *r,
                        tm_branch *b) {
  tm_turn *t = tm_turn_of(e);
  tm_after *a = tm_arena_new(&t->batch->arena, tm_after);
  a->fn = fn;
  a->run = r;
  a->branch = b;
  a->call = b ? b->ordinal : 0;
  if (r)
    r->pending++;
  if (b)
    b->refs++;
  *t->last = a;
  t->last = &a->next;
  return a;
}

bool tm_after_awaited(const tm_after *a, const tm_err *err) {
  const tm_branch *b = a->branch;
  return err->code == TM_OK && !b->dead && !b->run->lost && !b->run->ended &&
         b->phase == TM_PHASE_LIVE && b->ordinal == a->call;
}

/* -- guards ---------------------------------------------------------------------------- */

static void guard_done(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  r->uncommitted--;
  if (a->op == r->claim)
    r->claim = NULL;
  if (err->code != TM_OK) {
    r->lost = true;
  } else if (a->op->status != TM_OP_OK && !r->lost) {
    tm_log(TM_LOG_INFO, "engine", "run %s was taken over by another process", r->id);
    r->lost = true;
    tm_engine_forget(r);
  } else if (r->unsettled && !r->claim && !r->lost && !r->ended) {
    r->unsettled = false;
    tm_engine_make_runnable(r);
  }
}

static void put_guard(tm_engine *e, tm_run *r) {
  tm_turn *t = tm_turn_of(e);
  tm_op *op = tm_batch_add(t->batch, r->owned ? TM_OP_FENCE : TM_OP_RUN_CLAIM);
  op->u.run.id = tm_arena_strdup(&t->batch->arena, r->id);
  op->u.run.epoch = r->epoch;
  op->u.run.owner = tm_arena_strdup(&t->batch->arena, e->owner);
  if (!r->owned) {
    op->u.run.updated = tm_engine_now(e);
    op->u.run.records = r->next_seq;
    r->owned = true;
    r->epoch++;
    r->claim = op;
  }
  t->guard = r;
  t->guarding = op;
  tm_turn_watch(r, op);
}

tm_op *tm_turn_guard(tm_run *r) {
  if (tm_turn_of(r->engine)->guard != r)
    put_guard(r->engine, r);
  return r->engine->turn->guarding;
}

void tm_turn_watch(tm_run *r, tm_op *guard) {
  r->uncommitted++;
  tm_turn_after(r->engine, guard_done, r, NULL)->op = guard;
}

tm_op *tm_turn_op(tm_engine *e, tm_run *r, tm_op_kind kind) {
  tm_turn *t = tm_turn_of(e);
  if (t->guard != r)
    put_guard(e, r);
  return tm_batch_add(t->batch, kind);
}

tm_op *tm_turn_free(tm_engine *e, tm_op_kind kind) {
  tm_turn *t = tm_turn_of(e);
  t->guard = NULL;
  return tm_batch_add(t->batch, kind);
}

/* Every byte that is written is hashed, which is left to the thread that writes: batches go
 * through it in their order, and a run outlives those that it has records in. */
static void seal(void *turn) {
  const tm_turn *t = turn;
  for (tm_link *l = t->links; l; l = l->next) {
    tm_journal_link(l->last, l->record);
    memcpy(l->chain, l->last, sizeof l->chain);
  }
}

static void put_link(tm_turn *t, tm_run *r, tm_record *rec) {
  tm_link *l = tm_arena_new(&t->batch->arena, tm_link);
  l->record = rec;
  l->last = r->chain;
  rec->chain = l->chain;
  *t->last_link = l;
  t->last_link = &l->next;
}

void tm_turn_record(tm_run *r, tm_record_kind kind, const char *place, const char *name,
                    const tm_json *body) {
  tm_engine *e = r->engine;
  tm_op *op = tm_turn_op(e, r, TM_OP_RECORD);
  tm_arena *a = &e->turn->batch->arena;
  tm_buf_reset(&e->scratch);
  tm_json_print(&e->scratch, body);
  tm_record *rec = &op->u.record;
  rec->seq = r->next_seq++;
  rec->kind = (int)kind;
  rec->place = tm_arena_strdup(a, place);
  rec->name = tm_arena_strdup(a, name);
  rec->body = tm_arena_strndup(a, e->scratch.data, e->scratch.len);
  rec->body_len = e->scratch.len;
  put_link(e->turn, r, rec);
}

/* -- submitting ------------------------------------------------------------------------ */

static void release(tm_after *a) {
  if (a->branch)
    a->branch->refs--;
  if (a->run && --a->run->pending == 0)
    tm_engine_settle_forgotten(a->run);
}

static void submitted(tm_batch *batch, const tm_err *err) {
  tm_turn *t = batch->ctx;
  tm_engine *e = t->engine;
  e->in_flight--;
  e->effects -= t->effects;
  if (err->code != TM_OK)
    tm_engine_break(e, err);
  tm_engine_beat(e);
  for (tm_after *a = t->first, *next; a; a = next) {
    next = a->next;
    a->fn(a, err);
    release(a);
  }
  tm_engine_rest(e);
  tm_batch_free(&batch);
  tm_free(t);
}

/* One run stepping along has nobody to keep waiting: handing its batch to another thread would
 * only cost it time. A crowd's batch goes to the thread, so that scripts run while it syncs. */
static bool alone(const tm_engine *e, const tm_batch *b) {
  return e->in_flight == 0 && e->tasks == 0 && tm_list_empty(&e->runnable) &&
         b->count <= ALONE_OPS;
}

void tm_turn_submit(tm_engine *e) {
  tm_turn *t = e->turn;
  t->batch->alone = alone(e, t->batch);
  e->turn = NULL;
  e->in_flight++;
  e->effects += t->effects;
  TM_FAULT("turn.submit");
  e->ports.store->vt->commit(e->ports.store, t->batch);
}

void tm_turn_discard(tm_turn **turn) {
  tm_turn *t = *turn;
  *turn = NULL;
  if (!t)
    return;
  for (tm_after *a = t->first; a; a = a->next)
    if (a->run && --a->run->pending == 0 && tm_list_empty(&a->run->link))
      tm_run_free(&a->run); /* its start is among what does not happen */
  tm_batch_free(&t->batch);
  tm_free(t);
}
