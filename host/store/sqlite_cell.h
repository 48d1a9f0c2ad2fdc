/* sqlite_cell.h - cells of an SQLite store: small texts by name, each with a version. */
#ifndef TM_STORE_SQLITE_CELL_H
#define TM_STORE_SQLITE_CELL_H

#include "store/apply.h"
#include "store/sqlite_conn.h"

/* CELL_PUT; ctx is the tm_writer. */
int tm_cell_put(void *ctx, tm_batch *b, tm_op *op, tm_err *err);
int tm_cell_read(tm_conn *c, const tm_cell_filter *f, tm_cell_fn fn, void *ctx, tm_err *err);

#endif
