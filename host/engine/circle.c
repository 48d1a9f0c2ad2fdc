/* circle.c - the rows of waiting runs, less those that can go on, until no more can. */
#include "engine/circle.h"

#include <string.h>

#include "engine/wake.h"

typedef struct node {
  const char *id;
  const tm_json *reason;
  bool free; /* it can go on, or waits for one that can */
  bool told;
} node;

typedef struct graph {
  tm_engine *engine;
  tm_arena *arena;
  node *nodes;
  size_t count, cap;
  tm_map by_id; /* id -> its number, from 1 */
} graph;

static bool is(const char *a, const char *b) {
  return a && strcmp(a, b) == 0;
}

/* Waits for runs alone, and for nothing that has come. */
static bool is_bound(tm_engine *e, const tm_run_row *row, const tm_json *reason) {
  for (size_t i = 0; i < tm_json_len(reason); i++) {
    const tm_json *why = tm_json_at(reason, i);
    const char *what = tm_json_get_str(why, "for");
    if (!tm_json_get_str(why, "run") || tm_json_get(why, "until") ||
        !(is(what, "key") || is(what, "lock") || is(what, "call")) || tm_wake_came(e, row, why))
      return false;
  }
  return tm_json_len(reason) > 0;
}

static int note(void *ctx, const tm_run_row *row) {
  graph *g = ctx;
  bool rests = is(row->state, "waiting") && !(row->owner && *row->owner);
  const tm_json *reason = rests ? tm_wake_reason(row, g->arena) : NULL;
  if (!reason || !is_bound(g->engine, row, reason))
    return 0;
  if (g->count == g->cap) {
    g->cap = g->cap ? 2 * g->cap : 32;
    g->nodes = tm_realloc(g->nodes, g->cap * sizeof *g->nodes);
  }
  node *n = &g->nodes[g->count++];
  *n = (node){.id = tm_arena_strdup(g->arena, row->id), .reason = reason};
  tm_map_set(&g->by_id, n->id, (void *)g->count);
  return 0;
}

static node *node_of(const graph *g, const tm_json *why) {
  size_t number = (size_t)tm_map_get(&g->by_id, tm_json_get_str(why, "run"));
  return number ? &g->nodes[number - 1] : NULL;
}

static bool waits_for_free(const graph *g, const node *n) {
  for (size_t i = 0; i < tm_json_len(n->reason); i++) {
    const node *other = node_of(g, tm_json_at(n->reason, i));
    if (!other || other->free)
      return true;
  }
  return false;
}

static void settle(graph *g) {
  for (bool any = true; any;) {
    any = false;
    for (size_t i = 0; i < g->count; i++)
      if (!g->nodes[i].free && waits_for_free(g, &g->nodes[i]))
        any = g->nodes[i].free = true;
  }
}

static void tell(graph *g, tm_json *out, node *n) {
  tm_json *o = tm_json_new_object(g->arena);
  n->told = true;
  tm_json_set_str(g->arena, o, "run", n->id);
  tm_json_set(g->arena, o, "reason", n->reason);
  tm_json_push(g->arena, out, o);
}

static node *next(const graph *g, const node *n) {
  return node_of(g, tm_json_at(n->reason, 0));
}

/* Along the first of each one's reasons: after as many steps as there are runs it is in a circle. */
static void tell_circle(graph *g, tm_json *out, node *n) {
  for (size_t i = 0; i < g->count; i++)
    n = next(g, n);
  for (; !n->told; n = next(g, n))
    tell(g, out, n);
}

int tm_circle_find(tm_json **out, tm_arena *a, tm_engine *e, tm_err *err) {
  graph g = {.engine = e, .arena = a};
  tm_run_filter f = {.state = "waiting"};
  int rc = e->ports.store->vt->runs(e->ports.store, &f, note, &g, err);
  *out = tm_json_new_array(a);
  settle(&g);
  for (size_t i = 0; i < g.count; i++)
    if (!g.nodes[i].free && !g.nodes[i].told)
      tell_circle(&g, *out, &g.nodes[i]);
  for (size_t i = 0; i < g.count; i++)
    if (!g.nodes[i].free && !g.nodes[i].told)
      tell(&g, *out, &g.nodes[i]);
  tm_free(g.nodes);
  tm_map_free(&g.by_id);
  return rc < 0 ? -1 : 0;
}
