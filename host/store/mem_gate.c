/* mem_gate.c - gates of the store in memory: a map by id. */
#include "store/mem_gate.h"

#include <string.h>

#include "store/apply.h"

static bool is_open(const tm_gate_row *g) {
  return strcmp(g->state, "open") == 0;
}

int tm_mem_gate_new(tm_map *gates, tm_arena *arena, const tm_run_row *run, tm_batch *b,
                    tm_op *op, tm_err *err) {
  if (tm_map_get(gates, op->u.gate.id)) {
    op->status = TM_OP_EXISTS;
    return 0;
  }
  tm_gate_row *g = tm_arena_new(arena, tm_gate_row);
  tm_map_set(gates, op->u.gate.id, g);
  if (tm_apply_copy_gate(arena, g, &op->u.gate, err) < 0)
    return -1;
  g->run = run->id;
  g->workflow = run->workflow;
  g->state = "open";
  g->decision = g->by = NULL;
  g->decided = 0;
  if (!g->opened)
    g->opened = b->at;
  return 0;
}

void tm_mem_gate_decide(tm_map *gates, tm_arena *arena, tm_batch *b, tm_op *op) {
  const tm_gate_row *set = &op->u.gate;
  tm_gate_row *g = tm_map_get(gates, set->id);
  const char *digest = set->digest ? set->digest : "";
  bool shown = g && (!*digest || (g->digest && strcmp(digest, g->digest) == 0));
  if (!shown || !is_open(g)) {
    op->status = TM_OP_LOST;
    return;
  }
  g->state = tm_arena_strdup(arena, set->state);
  g->decision = tm_arena_strdup(arena, set->decision);
  g->by = tm_arena_strdup(arena, set->by);
  g->decided = set->decided ? set->decided : b->at;
}

void tm_mem_gate_close(tm_map *gates, const char *run, tm_batch *b, tm_op *op) {
  tm_gate_row *g = tm_map_get(gates, op->u.gate.id);
  if (!g || strcmp(g->run, run) != 0 || !is_open(g)) {
    op->status = TM_OP_LOST;
    return;
  }
  g->state = "closed";
  g->decided = b->at;
}

void tm_mem_gate_drop(tm_map *gates, const char *run) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(gates, &i));)
    if (strcmp(((tm_gate_row *)e->value)->run, run) == 0)
      tm_map_remove(gates, e->key);
}

void tm_mem_gate_read(tm_map *gates, const tm_gate_filter *f, tm_gate_fn fn, void *ctx) {
  size_t end = gates->used; /* the reader may open gates */
  for (size_t i = 0; i < end; i++) {
    if (!gates->entries[i].key)
      continue;
    tm_gate_row g = *(const tm_gate_row *)gates->entries[i].value;
    bool wanted = (!f->id || strcmp(f->id, g.id) == 0) &&
                  (!f->run || strcmp(f->run, g.run) == 0) && (!f->open || is_open(&g));
    if (wanted && fn(ctx, &g) != 0)
      break;
  }
}
