/* flight.c - the same question at the same time is asked once, in one process.
 *
 * A flight is found by the question's hash from the moment it is asked until the answer is on
 * disk, where the next one finds it. Only then are those told who follow: their records name the run
 * whose journal has the words of the model, and it may turn out to be another process's. Who follows
 * has no task: the leader's is the engine's work.
 */
#include <stdio.h>

#include "engine/reuse.h"

typedef struct tm_flight {
  char hash[TM_HASH_HEX + 1];
  tm_engine *engine;
  tm_branch *leader; /* NULL: it has landed, and is on its way to the disk */
  tm_list followers; /* tm_reuse.link */
  tm_arena arena;
  const tm_json *value, *meta;
  char run[64];
  int64_t at;
} tm_flight;

static void release(tm_flight *f) {
  tm_arena_free(&f->arena);
  tm_free(f);
}

static tm_branch *branch_of(tm_list *link) {
  return TM_LIST_OF(link, tm_reuse, link)->branch;
}

/* -- following ------------------------------------------------------------------------- */

static void tell(const tm_flight *f, tm_branch *b) {
  tm_run_outcome(b, f->value, NULL, tm_reuse_meta(b, f->meta, "flight", f->run, f->at));
}

bool tm_flight_join(tm_branch *b) {
  tm_engine *e = b->run->engine;
  tm_reuse *u = b->reuse;
  tm_flight *f = tm_map_get(&e->flights, u->hash);
  bool follows = f != NULL;
  if (!f) {
    f = tm_new(tm_flight);
    f->engine = e;
    f->leader = b;
    snprintf(f->hash, sizeof f->hash, "%s", u->hash);
    tm_arena_init(&f->arena, 0);
    tm_list_init(&f->followers);
    tm_map_set(&e->flights, f->hash, f);
  } else {
    tm_list_append(&f->followers, &u->link);
  }
  u->flight = f;
  return follows;
}

/* -- the end of it --------------------------------------------------------------------- */

/* Not at once: this may be the middle of a run's end, or of the engine's. */
static void ask_again(tm_engine *e, tm_branch *b) {
  b->reuse->flight = NULL;
  tm_list_append(&e->again, &b->reuse->link);
  if (!e->turning && !e->announced && e->ports.wake) {
    e->announced = true;
    e->ports.wake(e->ports.ctx);
  }
}

/* The leader's record is on the disk, or it was another process's run by then. */
static void landed(tm_after *a, const tm_err *err) {
  tm_flight *f = a->ctx;
  tm_list *l;
  tm_map_remove(&f->engine->flights, f->hash);
  while ((l = tm_list_shift(&f->followers))) {
    tm_branch *b = branch_of(l);
    b->reuse->flight = NULL;
    if (err->code == TM_OK && a->op->status == TM_OP_OK)
      tell(f, b);
    else if (err->code == TM_OK)
      ask_again(f->engine, b);
  }
  release(f);
}

void tm_flight_land(tm_branch *b, const tm_json *value, const tm_json *meta) {
  tm_flight *f = b->reuse->flight;
  if (!f)
    return;
  if (b->run->lost || b->run->ended) {
    tm_flight_fail(b, false);
    return;
  }
  b->reuse->flight = NULL;
  f->leader = NULL;
  f->value = tm_json_copy(&f->arena, value);
  f->meta = tm_json_copy(&f->arena, meta);
  f->at = tm_engine_now(b->run->engine);
  snprintf(f->run, sizeof f->run, "%s", b->run->id);
  tm_op *guard = tm_turn_guard(b->run);
  tm_after *a = tm_turn_after(b->run->engine, landed, b->run, NULL);
  a->ctx = f;
  a->op = guard;
}

void tm_flight_fail(tm_branch *b, bool alone) {
  tm_flight *f = b->reuse ? b->reuse->flight : NULL;
  tm_list *l;
  if (!f)
    return;
  b->reuse->flight = NULL;
  tm_map_remove(&b->run->engine->flights, f->hash);
  while ((l = tm_list_shift(&f->followers))) {
    tm_branch *follower = branch_of(l);
    follower->reuse->alone = alone;
    ask_again(b->run->engine, follower);
  }
  release(f);
}

void tm_flight_gone(tm_branch *b) {
  tm_reuse *u = b->reuse;
  if (!u)
    return;
  tm_list_remove(&u->link);
  if (u->flight && u->flight->leader == b)
    tm_flight_fail(b, false);
  u->flight = NULL;
}

void tm_flight_turn(tm_engine *e) {
  tm_list now, *l;
  tm_list_init(&now);
  while ((l = tm_list_shift(&e->again)))
    tm_list_append(&now, l);
  while ((l = tm_list_shift(&now))) {
    tm_branch *b = branch_of(l);
    if (b->dead || b->run->lost || b->run->ended)
      continue;
    b->phase = TM_PHASE_HELD; /* where it stays, when the run pauses */
    tm_exec_launch(b);
    tm_engine_make_runnable(b->run);
  }
}

void tm_flight_close(tm_engine *e) {
  tm_map_entry *m;
  for (size_t i = 0; (m = tm_map_next(&e->flights, &i));)
    release(m->value);
  tm_map_free(&e->flights);
}
