/* mem_queue.h - signals and lines for locks of the store in memory: two lists in their order.
 *
 * Strings are kept in the store's arena; the lists themselves are freed with _free.
 */
#ifndef TM_STORE_MEM_QUEUE_H
#define TM_STORE_MEM_QUEUE_H

#include "store/store.h"

typedef struct tm_mem_queue {
  tm_arena *arena;
  tm_signal_row *signals;
  size_t signal_count, signal_cap;
  tm_lock_row *locks;
  size_t lock_count, lock_cap;
} tm_mem_queue;

/* SIGNAL_NEW and SIGNAL_EMIT, to a run that takes signals or does not (any more). */
int tm_mem_queue_signal(tm_mem_queue *q, tm_batch *b, tm_op *op, bool takes, tm_err *err);
/* The other ops of signals and locks, of the guarded run. */
int tm_mem_queue_apply(tm_mem_queue *q, const char *run, tm_batch *b, tm_op *op, tm_err *err);
int tm_mem_queue_signals(const tm_mem_queue *q, const tm_signal_filter *f, tm_signal_fn fn,
                         void *ctx);
int tm_mem_queue_locks(const tm_mem_queue *q, const tm_lock_filter *f, tm_lock_fn fn,
                       void *ctx);
/* All signals and stands of a run that is dropped. */
void tm_mem_queue_forget(tm_mem_queue *q, const char *run);
void tm_mem_queue_free(tm_mem_queue *q);

#endif
