/* sqlite_drop.c - taking out of an SQLite store what nobody needs any more.
 *
 *   ended ─ RUN_DROP ─► removed: a row without a name, and its journal ─ SWEEP… ─► nothing
 *
 * A journal may be long, and a transaction has to be short: others write meanwhile. So a dropped
 * run keeps its row until the last of its records is gone, newest first, and at each commit the
 * file is whole: a removed run has the records that its row says.
 *
 * The newest run's row and the newest closure stay: their numbers would be used again, and "what
 * came after those that were seen" would miss something. Pages that become free are used again by
 * what is written next; the file does not shrink. Moving pages to its end, to cut it, costs a map
 * that every write has to keep; `VACUUM` does it better, once, when somebody wants the space back.
 */
#include "store/sqlite_drop.h"

#include "store/sqlite_read.h"
#include "store/sqlite_write.h"

/* -- reading --------------------------------------------------------------------------- */

int tm_drop_read_ended(tm_conn *c, const tm_run_filter *f, tm_run_fn fn, void *ctx,
                       tm_err *err) {
  tm_use u;
  tm_run_row row;
  int rc;
  if (tm_conn_use(&u, c, TM_SQL_READ_ENDED, err) < 0)
    return -1;
  tm_conn_int(&u, *f->after);
  tm_conn_text(&u, f->workflow);
  tm_conn_int(&u, f->limit > 0 ? f->limit : -1);
  while ((rc = tm_conn_step(&u, err)) == 1) {
    tm_read_run(&u, &row);
    *f->after = tm_conn_num(&u, 14);
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

static int tell(tm_use *u, tm_unused_fn fn, void *ctx, tm_err *err) {
  int rc;
  while ((rc = tm_conn_step(u, err)) == 1) {
    const tm_unused row = {.hash = tm_conn_col(u, 0),
                           .seen_run = tm_conn_num(u, 1),
                           .seen_closure = tm_conn_num(u, 2),
                           .uses = tm_conn_num(u, 3)};
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(u);
  return rc < 0 ? -1 : 0;
}

int tm_drop_read_closures(tm_conn *c, const char *run, tm_unused_fn fn, void *ctx,
                          tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, c, run ? TM_SQL_READ_CLOSURES_OF : TM_SQL_READ_CLOSURES, err) < 0)
    return -1;
  if (run)
    tm_conn_text(&u, run);
  return tell(&u, fn, ctx, err);
}

int tm_drop_read_blobs(tm_conn *c, tm_unused_fn fn, void *ctx, tm_err *err) {
  tm_use u;
  return tm_conn_use(&u, c, TM_SQL_READ_BLOBS, err) < 0 ? -1 : tell(&u, fn, ctx, err);
}

int tm_drop_read_doubt(tm_conn *c, const char *run, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, c, TM_SQL_READ_DOUBT, err) < 0)
    return -1;
  tm_conn_text(&u, run);
  int rc = tm_conn_step(&u, err);
  tm_conn_end(&u);
  return rc;
}

/* -- runs ------------------------------------------------------------------------------ */

static int run_for(tm_writer *w, tm_sql which, int64_t n, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, which, err) < 0)
    return -1;
  tm_conn_int(&u, n);
  return tm_conn_run(&u, err);
}

/* The number of a run; 0: there is none. */
static int number_of(tm_writer *w, const char *id, int64_t *out, tm_err *err) {
  tm_use u;
  *out = 0;
  if (tm_conn_use(&u, &w->conn, TM_SQL_HEAD, err) < 0)
    return -1;
  tm_conn_text(&u, id);
  int rc = tm_conn_step(&u, err);
  if (rc == 1)
    *out = tm_conn_num(&u, 0);
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

/* An order that nobody carried out is no order for the next run of that name. */
static int drop_orders(tm_writer *w, const char *id, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_DROP_ORDERS, err) < 0)
    return -1;
  tm_conn_text(&u, id);
  return tm_conn_run(&u, err);
}

int tm_drop_run(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  int64_t n;
  if (tm_writer_forget(w, op->u.run.id, err) < 0 || number_of(w, op->u.run.id, &n, err) < 0 ||
      tm_conn_use(&u, &w->conn, TM_SQL_RUN_DROP, err) < 0)
    return -1;
  tm_conn_text(&u, op->u.run.id);
  tm_conn_int(&u, op->u.run.epoch);
  tm_conn_int(&u, op->u.run.records);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  if (!tm_conn_hit(&w->conn)) {
    op->status = TM_OP_LOST;
    return 0;
  }
  if (run_for(w, TM_SQL_DROP_GATES, n, err) < 0 || run_for(w, TM_SQL_DROP_LOCKS, n, err) < 0 ||
      run_for(w, TM_SQL_DROP_SPENDING, n, err) < 0 || drop_orders(w, op->u.run.id, err) < 0)
    return -1;
  return run_for(w, TM_SQL_DROP_PINS, n, err);
}

/* -- what they left -------------------------------------------------------------------- */

typedef struct remains {
  int64_t n, last, records;
} remains;

/* 1, or 0: nothing is left of any dropped run. */
static int find_remains(tm_writer *w, remains *out, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_DROPPED, err) < 0)
    return -1;
  int rc = tm_conn_step(&u, err);
  if (rc == 1)
    *out = (remains){tm_conn_num(&u, 0), tm_conn_num(&u, 1), tm_conn_num(&u, 2)};
  tm_conn_end(&u);
  return rc;
}

static int sweep_answers(tm_writer *w, int64_t now, int64_t limit, int64_t *swept,
                         tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_DROP_ANSWERS, err) < 0)
    return -1;
  tm_conn_int(&u, now);
  tm_conn_int(&u, limit);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  *swept += sqlite3_changes64(w->conn.db);
  return 0;
}

static int sweep_signals(tm_writer *w, const remains *r, int64_t limit, int64_t *swept,
                         tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_DROP_SIGNALS, err) < 0)
    return -1;
  tm_conn_int(&u, r->n);
  tm_conn_int(&u, limit);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  *swept += sqlite3_changes64(w->conn.db);
  return 0;
}

/* The newest record goes. A journal that breaks off is damaged: its row goes alone, and `doctor`
 * tells of what is left. */
static int sweep_record(tm_use *u, remains *r, tm_err *err) {
  tm_conn_again(u);
  tm_conn_int(u, r->last);
  tm_conn_int(u, r->n);
  int rc = tm_conn_step(u, err);
  r->last = rc == 1 ? tm_conn_num(u, 0) : 0;
  r->records = rc == 1 ? r->records - 1 : 0;
  return rc < 0 ? -1 : 0;
}

static int keep_end(tm_writer *w, const remains *r, int64_t at, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_HEAD_SET, err) < 0)
    return -1;
  tm_conn_int(&u, r->n);
  tm_conn_int(&u, r->records);
  tm_conn_int(&u, r->last);
  tm_conn_int(&u, at);
  return tm_conn_run(&u, err);
}

static int keep_remains(tm_writer *w, const remains *r, int64_t at, tm_err *err) {
  if (keep_end(w, r, at, err) < 0)
    return -1;
  if (r->records > 0)
    return 0;
  return run_for(w, TM_SQL_DROP_ROW, r->n, err) < 0 ? -1
                                                    : run_for(w, TM_SQL_DROP_HEAD, r->n, err);
}

static int sweep_journal(tm_writer *w, remains *r, int64_t limit, int64_t *swept, tm_err *err) {
  tm_use u;
  int rc = tm_conn_use(&u, &w->conn, TM_SQL_DROP_RECORD, err);
  if (rc < 0)
    return -1;
  for (; rc == 0 && r->records > 0 && *swept < limit; ++*swept)
    rc = sweep_record(&u, r, err);
  tm_conn_end(&u);
  return rc;
}

int tm_drop_sweep(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  remains r;
  int64_t limit = op->u.sweep.limit, swept = 0;
  int rc = sweep_answers(w, b->at, limit, &swept, err);
  while (rc >= 0 && swept < limit && (rc = find_remains(w, &r, err)) == 1) {
    if (sweep_signals(w, &r, limit - swept, &swept, err) < 0 ||
        sweep_journal(w, &r, limit, &swept, err) < 0 || keep_remains(w, &r, b->at, err) < 0)
      return -1;
  }
  op->u.sweep.swept = swept;
  return rc < 0 ? -1 : 0;
}

/* -- contents -------------------------------------------------------------------------- */

static int drop_content(tm_writer *w, tm_sql which, tm_op *op, int64_t seen, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, which, err) < 0)
    return -1;
  tm_conn_text(&u, op->u.unused.hash);
  tm_conn_int(&u, seen);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

int tm_drop_closure(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_map_remove(&w->known, op->u.unused.hash);
  return drop_content(w, TM_SQL_CLOSURE_DROP, op, op->u.unused.seen_run, err);
}

int tm_drop_blob(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  return drop_content(ctx, TM_SQL_BLOB_DROP, op, op->u.unused.seen_closure, err);
}
