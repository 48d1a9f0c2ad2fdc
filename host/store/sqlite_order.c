/* sqlite_order.c - orders in an SQLite store: one row a target.
 */
#include "store/sqlite_order.h"

#include "store/sqlite_write.h"

int tm_sqlite_order_give(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_order_row *o = &op->u.order;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_ORDER_NEW, err) < 0)
    return -1;
  tm_conn_text(&u, o->target);
  tm_conn_text(&u, o->run);
  tm_conn_text(&u, o->what);
  tm_conn_int(&u, o->rank);
  tm_conn_text(&u, o->note);
  tm_conn_text(&u, o->by);
  tm_conn_int(&u, o->at ? o->at : b->at);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

int tm_sqlite_order_lift(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_ORDER_LIFT, err) < 0)
    return -1;
  tm_conn_text(&u, op->u.order.target);
  tm_conn_int(&u, op->u.order.at);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

int tm_sqlite_order_done(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_ORDER_DONE, err) < 0)
    return -1;
  tm_conn_text(&u, op->u.order.target);
  tm_conn_text(&u, op->u.order.target + sizeof "run:" - 1);
  return tm_conn_run(&u, err);
}

int tm_sqlite_order_read(tm_conn *c, tm_order_fn fn, void *ctx, tm_err *err) {
  tm_use u;
  int rc;
  if (tm_conn_use(&u, c, TM_SQL_READ_ORDERS, err) < 0)
    return -1;
  while ((rc = tm_conn_step(&u, err)) == 1) {
    tm_order_row row = {
        .target = tm_conn_col(&u, 0),
        .run = tm_conn_col(&u, 1),
        .what = tm_conn_col(&u, 2),
        .rank = tm_conn_num(&u, 3),
        .note = tm_conn_col(&u, 4),
        .by = tm_conn_col(&u, 5),
        .at = tm_conn_num(&u, 6),
    };
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}
