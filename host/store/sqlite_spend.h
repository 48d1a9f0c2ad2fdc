/* sqlite_spend.h - the ops of budgets over SQLite; a tm_apply_fn each, its ctx a tm_writer.
 */
#ifndef TM_STORE_SQLITE_SPEND_H
#define TM_STORE_SQLITE_SPEND_H

#include "store/sqlite_conn.h"
#include "store/store.h"

/* The account, read on any connection. */
int tm_sqlite_spend_state(tm_conn *c, const char *scope, const char *day, tm_spend_row *out,
                          tm_err *err);
int tm_sqlite_spend_hold(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_sqlite_spend_add(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_sqlite_spend_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err);

#endif
