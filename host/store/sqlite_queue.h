/* sqlite_queue.h - what stands in line in an SQLite store: a run's signals, runs for a lock. */
#ifndef TM_STORE_SQLITE_QUEUE_H
#define TM_STORE_SQLITE_QUEUE_H

#include "store/apply.h"
#include "store/sqlite_conn.h"

/* Ops; ctx is the tm_writer. tm_queue_signal is SIGNAL_EMIT, and SIGNAL_NEW outside a group. */
int tm_queue_signal(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_queue_consume(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_queue_free(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_queue_move(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_queue_want(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_queue_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err);

int tm_queue_read_signals(tm_conn *c, const tm_signal_filter *f, tm_signal_fn fn, void *ctx,
                          tm_err *err);
int tm_queue_read_locks(tm_conn *c, const tm_lock_filter *f, tm_lock_fn fn, void *ctx,
                        tm_err *err);

#endif
