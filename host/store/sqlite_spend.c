/* sqlite_spend.c - budgets: what was spent by scope and day (tm_spent), and what is held for
 * calls under way (tm_spending).
 */
#include "store/sqlite_spend.h"

#include "store/apply.h"
#include "store/sqlite_write.h"

/* A statement over scope, run and place; the rest is bound by the caller. */
static int begin(tm_use *u, tm_writer *w, tm_sql which, const tm_spend_row *row, tm_err *err) {
  if (tm_conn_use(u, &w->conn, which, err) < 0)
    return -1;
  tm_conn_text(u, row->scope);
  tm_conn_int(u, tm_writer_guarded(w));
  tm_conn_text(u, row->place);
  return 0;
}

int tm_sqlite_spend_state(tm_conn *c, const char *scope, const char *day, tm_spend_row *out,
                          tm_err *err) {
  tm_use u;
  *out = (tm_spend_row){.scope = scope, .day = day};
  if (tm_conn_use(&u, c, TM_SQL_SPEND_STATE, err) < 0)
    return -1;
  tm_conn_text(&u, scope);
  tm_conn_text(&u, day);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    out->nano = tm_conn_num(&u, 0);
    out->calls = tm_conn_num(&u, 1);
    out->held_nano = tm_conn_num(&u, 2);
    out->held_calls = tm_conn_num(&u, 3);
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

int tm_sqlite_spend_hold(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_spend_row *row = &op->u.spend;
  tm_spend_row now;
  tm_use u;
  if (begin(&u, w, TM_SQL_SPEND_AGAIN, row, err) < 0)
    return -1;
  tm_conn_text(&u, row->day);
  tm_conn_int(&u, row->calls);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  if (tm_conn_hit(&w->conn)) /* a call that was asked before a crash */
    return 0;
  if (tm_sqlite_spend_state(&w->conn, row->scope, row->day, &now, err) < 0)
    return -1;
  if (!tm_apply_affords(b, op, &now))
    return 0;
  if (begin(&u, w, TM_SQL_SPEND_HOLD, row, err) < 0)
    return -1;
  tm_conn_text(&u, row->day);
  tm_conn_int(&u, row->calls);
  tm_conn_int(&u, row->nano);
  return tm_conn_run(&u, err);
}

int tm_sqlite_spend_add(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  const tm_spend_row *row = &op->u.spend;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_SPEND_ADD, err) < 0)
    return -1;
  tm_conn_text(&u, row->scope);
  tm_conn_text(&u, row->day);
  tm_conn_int(&u, row->nano);
  if (tm_conn_run(&u, err) < 0 || begin(&u, w, TM_SQL_SPEND_LESS, row, err) < 0)
    return -1;
  tm_conn_int(&u, row->nano);
  return tm_conn_run(&u, err);
}

int tm_sqlite_spend_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  const tm_spend_row *row = &op->u.spend;
  tm_use u;
  if (row->calls) {
    if (tm_conn_use(&u, &w->conn, TM_SQL_SPEND_CALLS, err) < 0)
      return -1;
    tm_conn_int(&u, tm_writer_guarded(w));
    tm_conn_text(&u, row->place);
    tm_conn_int(&u, row->calls);
    if (tm_conn_run(&u, err) < 0)
      return -1;
  }
  if (tm_conn_use(&u, &w->conn, TM_SQL_SPEND_DROP, err) < 0)
    return -1;
  tm_conn_int(&u, tm_writer_guarded(w));
  tm_conn_text(&u, row->place);
  return tm_conn_run(&u, err);
}
