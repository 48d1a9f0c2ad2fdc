/* lock.c - one run of a workflow at a time for a key.
 */
#include "engine/lock.h"

#include <string.h>

#include "engine/wake.h"

struct tm_hold {
  tm_hold *next;
  const char *key;
};

/* How many branches of a run hold a key; kept also at 0, for the keys it ever asked for. */
typedef struct stand {
  int holders;
} stand;

static stand *stand_of(tm_run *r, const char *key) {
  stand *s = tm_map_get(&r->locks, key);
  if (s)
    return s;
  s = tm_arena_new(&r->arena, stand);
  tm_map_set(&r->locks, key, s);
  return s;
}

/* -- the line ----------------------------------------------------------------------- */

typedef struct front {
  char run[64];
} front;

static int take_front(void *ctx, const tm_lock_row *row) {
  front *f = ctx;
  strncpy(f->run, row->run, sizeof f->run - 1);
  return 1;
}

static front front_of(tm_engine *e, const char *ns, const char *key) {
  front f = {.run = ""};
  tm_err err = TM_ERR_INIT;
  tm_lock_filter which = {.ns = ns, .key = key};
  if (e->ports.store->vt->locks(e->ports.store, &which, take_front, &f, &err) < 0)
    tm_engine_break(e, &err);
  return f;
}

bool tm_lock_is_first(tm_engine *e, const char *ns, const char *key, const char *run) {
  return strcmp(front_of(e, ns, key).run, run) == 0;
}

static tm_op *line_op(tm_run *r, tm_op_kind kind, const char *key) {
  tm_op *op = tm_turn_op(r->engine, r, kind);
  tm_arena *a = &tm_turn_of(r->engine)->batch->arena;
  op->u.lock =
      (tm_lock_row){.ns = tm_arena_strdup(a, r->workflow), .key = tm_arena_strdup(a, key)};
  return op;
}

/* -- getting it ----------------------------------------------------------------------- */

static void wait_for(tm_branch *b, const char *holder) {
  b->waits = true;
  b->waits_for = tm_arena_strdup(&b->scratch, holder);
  tm_engine_make_runnable(b->run); /* it may give its claim back now */
}

static void joined(tm_after *after, const tm_err *err) {
  tm_branch *b = after->branch;
  if (!tm_after_awaited(after, err))
    return;
  if (after->op->status != TM_OP_EXISTS) {
    tm_run_outcome(b, NULL, NULL, NULL);
    return;
  }
  wait_for(b, after->op->found.lock->run);
  tm_lock_look(b); /* another process may have let go before this one could hear of it */
}

void tm_lock_launch(tm_branch *b) {
  stand_of(b->run, b->name);
  tm_op *op = line_op(b->run, TM_OP_LOCK_WANT, b->name);
  tm_turn_after(b->run->engine, joined, b->run, b)->op = op;
}

void tm_lock_look(tm_branch *b) {
  front f = front_of(b->run->engine, b->run->workflow, b->name);
  if (strcmp(f.run, b->run->id) == 0)
    tm_run_outcome(b, NULL, NULL, NULL);
  else
    b->waits_for = tm_arena_strdup(&b->scratch, f.run);
}

void tm_lock_held(tm_branch *b) {
  tm_hold *h = tm_arena_new(&b->run->arena, tm_hold);
  h->key = tm_arena_strdup(&b->run->arena, b->name);
  h->next = b->holds;
  b->holds = h;
  stand_of(b->run, h->key)->holders++;
}

/* -- letting go -------------------------------------------------------------------------- */

static void left(tm_after *after, const tm_err *err) {
  tm_engine *e = after->run->engine;
  if (err->code != TM_OK || after->op->status != TM_OP_OK)
    return;
  front f = front_of(e, after->run->workflow, after->ctx);
  if (*f.run)
    tm_wake_run(e, f.run);
}

static void tell_next(tm_run *r, const tm_op *op, const char *key) {
  tm_after *after = tm_turn_after(r->engine, left, r, NULL);
  after->op = (tm_op *)(uintptr_t)op;
  after->ctx = tm_arena_strdup(&tm_turn_of(r->engine)->batch->arena, key);
}

static bool asks_for(const tm_branch *b, const char *key) {
  bool asking = b->phase == TM_PHASE_LIVE || b->phase == TM_PHASE_HELD ||
                (b->phase == TM_PHASE_ANSWERED && b->answer.kind == TM_ANSWER_VALUE);
  return !b->dead && asking && b->kind == TM_CALL_LOCK && strcmp(b->name, key) == 0;
}

static bool wanted(tm_run *r, const char *key, const tm_branch *but) {
  if (stand_of(r, key)->holders > 0)
    return true;
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (b != but && asks_for(b, key))
      return true;
  }
  return false;
}

static void leave(tm_run *r, const char *key, const tm_branch *b) {
  if (!r->lost && !r->ended && !wanted(r, key, b))
    tell_next(r, line_op(r, TM_OP_LOCK_DROP, key), key);
}

void tm_lock_release(tm_branch *b, const char *key, bool fresh) {
  tm_hold **at = &b->holds;
  while (*at && strcmp((*at)->key, key) != 0)
    at = &(*at)->next;
  if (!*at)
    return;
  *at = (*at)->next;
  stand_of(b->run, key)->holders--;
  if (fresh)
    leave(b->run, key, b);
}

void tm_lock_gone(tm_branch *b) {
  tm_run *r = b->run;
  while (b->holds) {
    const char *key = b->holds->key;
    b->holds = b->holds->next;
    stand_of(r, key)->holders--;
    if (!r->replaying)
      leave(r, key, b);
  }
  if (b->kind == TM_CALL_LOCK && b->phase == TM_PHASE_LIVE)
    leave(r, b->name, b);
  else if (b->kind == TM_CALL_LOCK && b->phase == TM_PHASE_HELD)
    stand_of(r, b->name); /* it may stand in line: looked at when the replay is over */
}

static int note_stand(void *ctx, const tm_lock_row *row) {
  stand_of(ctx, row->key);
  return 0;
}

static void note_stands(tm_run *r) {
  tm_err err = TM_ERR_INIT;
  tm_lock_filter mine = {.run = r->id};
  if (r->engine->ports.store->vt->locks(r->engine->ports.store, &mine, note_stand, r, &err) < 0)
    tm_engine_break(r->engine, &err);
}

void tm_lock_end(tm_run *r) {
  tm_map_entry *entry;
  const tm_op *op = NULL;
  if (!r->guest || (r->journal.moves && !r->rehearsed))
    note_stands(r); /* ended without its script, or moved to one that asks for other locks */
  for (size_t i = 0; (entry = tm_map_next(&r->locks, &i));) {
    if (!op)
      op = tm_turn_op(r->engine, r, TM_OP_LOCK_DROP);
    tell_next(r, op, entry->key);
  }
}

typedef struct stands {
  tm_run *run;
  tm_arena arena;
  const char **keys;
  size_t count, cap;
} stands;

static int collect(void *ctx, const tm_lock_row *row) {
  stands *s = ctx;
  if (strcmp(row->ns, s->run->workflow) != 0 || wanted(s->run, row->key, NULL))
    return 0;
  if (s->count == s->cap) {
    s->cap = s->cap ? 2 * s->cap : 8;
    s->keys = tm_realloc(s->keys, s->cap * sizeof *s->keys);
  }
  s->keys[s->count++] = tm_arena_strdup(&s->arena, row->key);
  return 0;
}

void tm_lock_reconcile(tm_run *r) {
  stands s = {.run = r};
  tm_err err = TM_ERR_INIT;
  tm_lock_filter mine = {.run = r->id};
  if (r->locks.used == 0 && r->journal.moves == 0)
    return;
  tm_arena_init(&s.arena, 0);
  if (r->engine->ports.store->vt->locks(r->engine->ports.store, &mine, collect, &s, &err) < 0)
    tm_engine_break(r->engine, &err);
  for (size_t i = 0; i < s.count; i++)
    leave(r, s.keys[i], NULL);
  tm_free(s.keys);
  tm_arena_free(&s.arena);
}
