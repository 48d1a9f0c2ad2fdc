/* sqlite_reuse.h - what outlives the run that made it: decisions by their keys, answers by the
 * hash of what was asked.
 *
 * Reads for either connection; writes are ops of the writer (sqlite_write.h).
 */
#ifndef TM_STORE_SQLITE_REUSE_H
#define TM_STORE_SQLITE_REUSE_H

#include "store/apply.h"
#include "store/sqlite_conn.h"

/* 1 found, 0 not, -1; copied into the arena. */
int tm_reuse_find_decision(tm_conn *c, const tm_decision_row *key, tm_arena *a,
                           tm_decision_row *out, tm_err *err);
int tm_reuse_find_cached(tm_conn *c, const char *hash, tm_arena *a, tm_cache_row *out,
                         tm_err *err);
int tm_reuse_read_decisions(tm_conn *c, const tm_decision_filter *f, tm_decision_fn fn,
                            void *ctx, tm_err *err);
int tm_reuse_read_similar(tm_conn *c, const char *scope, int64_t now, int64_t limit,
                          tm_cache_fn fn, void *ctx, tm_err *err);

/* The ops; ctx is the tm_writer. */
int tm_reuse_decide(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_reuse_void(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_reuse_cache(void *ctx, tm_batch *b, tm_op *op, tm_err *err);

#endif
