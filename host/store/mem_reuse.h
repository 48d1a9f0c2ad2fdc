/* mem_reuse.h - decisions and answers of the store in memory: two lists in their order, and who
 * is the latest of each key.
 *
 * Strings are kept in the store's arena; the lists themselves are freed with _free.
 */
#ifndef TM_STORE_MEM_REUSE_H
#define TM_STORE_MEM_REUSE_H

#include "base/buf.h"
#include "base/map.h"
#include "store/store.h"

typedef struct tm_mem_reuse {
  tm_arena *arena;
  tm_map decisions; /* ns, name, key -> the latest, which leads to those before it */
  tm_map answers;   /* hash -> the latest, which leads to all that are older */
  struct tm_mem_answer *newest;
  tm_buf key; /* scratch */
} tm_mem_reuse;

/* Take away answers that have expired; how many, at most `limit`. */
int64_t tm_mem_reuse_sweep(tm_mem_reuse *m, int64_t now, int64_t limit);
/* DECISION, DECISION_VOID and CACHE. */
int tm_mem_reuse_apply(tm_mem_reuse *m, tm_batch *b, tm_op *op, tm_err *err);
/* The latest one, or NULL. */
const tm_decision_row *tm_mem_reuse_decision(tm_mem_reuse *m, const tm_decision_row *key);
const tm_cache_row *tm_mem_reuse_cached(const tm_mem_reuse *m, const char *hash);
int tm_mem_reuse_decisions(const tm_mem_reuse *m, const tm_decision_filter *f,
                           tm_decision_fn fn, void *ctx);
int tm_mem_reuse_similar(const tm_mem_reuse *m, const char *scope, int64_t now, int64_t limit,
                         tm_cache_fn fn, void *ctx);
void tm_mem_reuse_free(tm_mem_reuse *m);

#endif
