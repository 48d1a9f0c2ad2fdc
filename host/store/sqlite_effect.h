/* sqlite_effect.h - effects in an SQLite store: one row for a key of an action. Ops, a tm_apply_fn
 * each, with a tm_writer for ctx; sqlite_read.h finds a row.
 */
#ifndef TM_STORE_SQLITE_EFFECT_H
#define TM_STORE_SQLITE_EFFECT_H

#include "store/store.h"

int tm_sqlite_effect_claim(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_sqlite_effect_done(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_sqlite_effect_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_sqlite_effect_take(void *ctx, tm_batch *b, tm_op *op, tm_err *err);

#endif
