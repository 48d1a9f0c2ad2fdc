/* sqlite_order.h - orders in an SQLite store. */
#ifndef TM_STORE_SQLITE_ORDER_H
#define TM_STORE_SQLITE_ORDER_H

#include "store/apply.h"
#include "store/sqlite_conn.h"

/* Ops; ctx is the tm_writer. GIVE is ORDER_NEW too, outside of a group. */
int tm_sqlite_order_give(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_sqlite_order_lift(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_sqlite_order_done(void *ctx, tm_batch *b, tm_op *op, tm_err *err);

int tm_sqlite_order_read(tm_conn *c, tm_order_fn fn, void *ctx, tm_err *err);

#endif
