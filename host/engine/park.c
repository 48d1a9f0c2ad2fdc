/* park.c - the list of runs that wait outside of memory, and its timers.
 */
#include "engine/park.h"

#include <string.h>

#include "base/log.h"
#include "engine/held.h"
#include "engine/wake.h"

/* What is due by then, or was due while nobody ran it, needs its run in memory. */
#define SOON_MS 2000

typedef struct parked {
  tm_heap_node timer;
  int64_t mono_ahead; /* of its timer: tm_run */
  char id[64];
} parked;

static bool can_park(const tm_run *r) {
  return r->engine->ports.park && r->state == TM_RUN_WAITING && !r->owned && !r->lost &&
         !r->ended && r->uncommitted == 0 && r->order == TM_ORDER_NONE &&
         tm_list_empty(&r->runnable) && tm_list_empty(&r->ready) &&
         tm_list_empty(&r->deliveries);
}

/* Waits for a child, or a key, of a run that is at work here: it is wanted again before long. */
static bool wanted_soon(const tm_run *r) {
  if (tm_held_near(r))
    return true;
  for (const tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead && b->kind == TM_CALL_CALL && b->waits &&
        tm_engine_find(r->engine, b->waits_for))
      return true;
  }
  return false;
}

/* The branch whose timer is due first; NULL: none has one. */
static const tm_branch *first_due(const tm_run *r) {
  const tm_branch *first = NULL;
  for (const tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead && b->due && (!first || b->timer.due < first->timer.due))
      first = b;
  }
  return first;
}

void tm_park_run(tm_run *r) {
  tm_engine *e = r->engine;
  if (!can_park(r) || wanted_soon(r))
    return;
  const tm_branch *first = first_due(r);
  if (first && first->timer.due - tm_engine_mono(e) <= SOON_MS)
    return;
  parked *p = tm_new(parked);
  strcpy(p->id, r->id);
  tm_map_set(&e->parked, p->id, p);
  if (first) {
    p->mono_ahead = first->timer.due - first->due;
    tm_heap_put(&e->parked_timers, &p->timer, first->timer.due);
  }
  r->lost = true; /* this copy of it writes nothing more */
  tm_engine_forget(r);
  tm_run *parent = r->parent ? tm_engine_find(e, r->parent) : NULL;
  if (!parent || parent->pending)
    return;
  tm_park_run(parent); /* it was kept for this one */
  tm_engine_settle_forgotten(parent);
}

static void drop(tm_engine *e, parked *p) {
  tm_heap_remove(&e->parked_timers, &p->timer);
  tm_map_remove(&e->parked, p->id);
  tm_free(p);
}

void tm_park_enter(tm_run *r) {
  parked *p = tm_map_get(&r->engine->parked, r->id);
  if (!p)
    return;
  r->parked_here = p->timer.at != 0;
  r->mono_ahead = p->mono_ahead;
  drop(r->engine, p);
}

bool tm_park_holds(const tm_engine *e, const char *id) {
  return tm_map_get(&e->parked, id) != NULL;
}

/* Taken up, or no longer ours to take up: either way it is not parked here any more. */
static void rouse(tm_engine *e, parked *p) {
  tm_err err = TM_ERR_INIT;
  char id[sizeof p->id];
  memcpy(id, p->id, sizeof id);
  if (tm_engine_rouse(e, id, &err) < 0)
    tm_log(TM_LOG_ERROR, "park", "run %s: %s", id, err.msg);
  if ((p = tm_map_get(&e->parked, id)))
    drop(e, p);
}

void tm_park_fire(tm_engine *e) {
  int64_t now = tm_engine_mono(e);
  tm_heap_node *n;
  while ((n = tm_heap_first(&e->parked_timers)) && n->due <= now)
    rouse(e, TM_HEAP_OF(n, parked, timer));
}

static bool ready(tm_engine *e, const char *id) {
  tm_arena a;
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  bool yes = tm_wake_row(e, id, &a, &row, &err) == 1 &&
             (strcmp(row.state, "waiting") != 0 || tm_wake_ready(e, &row));
  tm_arena_free(&a);
  return yes;
}

void tm_park_look(tm_engine *e) {
  tm_map_entry *m;
  for (size_t i = 0; (m = tm_map_next(&e->parked, &i));)
    if (ready(e, m->key))
      rouse(e, m->value);
}

int64_t tm_park_due(const tm_engine *e, const char *id) {
  const parked *p = id ? tm_map_get(&e->parked, id) : NULL;
  const tm_heap_node *first = tm_heap_first(&e->parked_timers);
  if (id)
    return p && p->timer.at ? p->timer.due : 0;
  return first ? first->due : 0;
}

void tm_park_free(tm_engine *e) {
  tm_map_entry *m;
  for (size_t i = 0; (m = tm_map_next(&e->parked, &i));)
    tm_free(m->value);
  tm_map_free(&e->parked);
  tm_heap_free(&e->parked_timers);
}
