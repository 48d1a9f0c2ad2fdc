/* sqlite_drop.h - taking out of an SQLite store what nobody needs any more. */
#ifndef TM_STORE_SQLITE_DROP_H
#define TM_STORE_SQLITE_DROP_H

#include "store/apply.h"
#include "store/sqlite_conn.h"

/* Ops; ctx is the tm_writer. */
int tm_drop_run(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_drop_sweep(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_drop_closure(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_drop_blob(void *ctx, tm_batch *b, tm_op *op, tm_err *err);

int tm_drop_read_ended(tm_conn *c, const tm_run_filter *f, tm_run_fn fn, void *ctx,
                       tm_err *err);
int tm_drop_read_closures(tm_conn *c, const char *run, tm_unused_fn fn, void *ctx, tm_err *err);
int tm_drop_read_blobs(tm_conn *c, tm_unused_fn fn, void *ctx, tm_err *err);
int tm_drop_read_doubt(tm_conn *c, const char *run, tm_err *err);

#endif
