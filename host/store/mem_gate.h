/* mem_gate.h - gates of the store in memory: a map by id, kept in the store's arena. */
#ifndef TM_STORE_MEM_GATE_H
#define TM_STORE_MEM_GATE_H

#include "base/map.h"
#include "store/store.h"

/* The ops, into op->status. NEW: of the run `run`, whose strings outlive the gate. */
int tm_mem_gate_new(tm_map *gates, tm_arena *arena, const tm_run_row *run, tm_batch *b,
                    tm_op *op, tm_err *err);
void tm_mem_gate_decide(tm_map *gates, tm_arena *arena, tm_batch *b, tm_op *op);
void tm_mem_gate_close(tm_map *gates, const char *run, tm_batch *b, tm_op *op);
/* All of a run. */
void tm_mem_gate_drop(tm_map *gates, const char *run);

/* Those that are there when it begins, oldest first. */
void tm_mem_gate_read(tm_map *gates, const tm_gate_filter *f, tm_gate_fn fn, void *ctx);

#endif
