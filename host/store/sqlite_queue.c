/* sqlite_queue.c - what stands in line: a run's signals, runs for a lock. */
#include "store/sqlite_queue.h"

#include "store/sqlite_write.h"

/* -- rows ------------------------------------------------------------------------------ */

static void read_signal(const tm_use *u, tm_signal_row *out) {
  *out = (tm_signal_row){
      .run = tm_conn_col(u, 0),
      .sid = tm_conn_col(u, 1),
      .name = tm_conn_col(u, 2),
      .body = tm_conn_col(u, 3),
      .place = tm_conn_col(u, 4),
      .at = tm_conn_num(u, 5),
  };
}

static void read_lock(const tm_use *u, tm_lock_row *out) {
  *out = (tm_lock_row){
      .ns = tm_conn_col(u, 0),
      .key = tm_conn_col(u, 1),
      .run = tm_conn_col(u, 2),
  };
}

int tm_queue_read_signals(tm_conn *c, const tm_signal_filter *f, tm_signal_fn fn, void *ctx,
                          tm_err *err) {
  tm_use u;
  tm_signal_row row;
  int rc;
  if (tm_conn_use(&u, c, f->pending ? TM_SQL_READ_PENDING : TM_SQL_READ_SIGNALS, err) < 0)
    return -1;
  tm_conn_text(&u, f->run);
  tm_conn_text(&u, f->name);
  tm_conn_text(&u, f->sid);
  while ((rc = tm_conn_step(&u, err)) == 1) {
    read_signal(&u, &row);
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

int tm_queue_read_locks(tm_conn *c, const tm_lock_filter *f, tm_lock_fn fn, void *ctx,
                        tm_err *err) {
  tm_use u;
  tm_lock_row row;
  int rc;
  if (tm_conn_use(&u, c, f->run ? TM_SQL_READ_LOCKS : TM_SQL_READ_LINE, err) < 0)
    return -1;
  tm_conn_text(&u, f->run ? f->run : f->ns);
  if (!f->run)
    tm_conn_text(&u, f->key);
  while ((rc = tm_conn_step(&u, err)) == 1) {
    read_lock(&u, &row);
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

/* -- signals --------------------------------------------------------------------------- */

typedef struct taking {
  tm_batch *batch;
  tm_op *op;
  tm_err *err;
} taking;

static int take_signal(void *ctx, const tm_signal_row *row) {
  taking *t = ctx;
  tm_signal_row *found = tm_arena_new(&t->batch->arena, tm_signal_row);
  t->op->found.signal = found;
  t->op->status = TM_OP_EXISTS;
  tm_apply_copy_signal(&t->batch->arena, found, row, t->err);
  return 1;
}

int tm_queue_signal(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_signal_row *s = &op->u.signal;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_SIGNAL_NEW, err) < 0)
    return -1;
  tm_conn_text(&u, s->run);
  tm_conn_text(&u, s->sid);
  tm_conn_text(&u, s->name);
  tm_conn_text(&u, s->body);
  tm_conn_int(&u, s->at ? s->at : b->at);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  if (tm_conn_hit(&w->conn))
    return 0;
  taking t = {b, op, err};
  tm_signal_filter f = {.run = s->run, .sid = s->sid};
  op->status = TM_OP_LOST;
  return tm_queue_read_signals(&w->conn, &f, take_signal, &t, err);
}

/* Hits the signal of that sid and place, or nothing. */
static int by_place(tm_writer *w, tm_sql which, tm_op *op, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, which, err) < 0)
    return -1;
  tm_conn_int(&u, tm_writer_guarded(w));
  tm_conn_text(&u, op->u.signal.sid);
  tm_conn_text(&u, op->u.signal.place);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

int tm_queue_consume(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  return by_place(ctx, TM_SQL_SIGNAL_CONSUME, op, err);
}

int tm_queue_free(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  return by_place(ctx, TM_SQL_SIGNAL_FREE, op, err);
}

int tm_queue_move(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_SIGNAL_MOVE, err) < 0)
    return -1;
  tm_conn_int(&u, tm_writer_guarded(w));
  tm_conn_text(&u, op->u.signal.run);
  return tm_conn_run(&u, err);
}

/* -- locks ----------------------------------------------------------------------------- */

/* Who is the first in the line that the guarded run has just joined? */
static int look_first(tm_writer *w, tm_batch *b, tm_op *op, tm_err *err) {
  tm_use u;
  tm_lock_row row;
  if (tm_conn_use(&u, &w->conn, TM_SQL_READ_LINE, err) < 0)
    return -1;
  tm_conn_text(&u, op->u.lock.ns);
  tm_conn_text(&u, op->u.lock.key);
  int rc = tm_conn_step(&u, err);
  if (rc == 1 && tm_conn_num(&u, 3) != tm_writer_guarded(w)) {
    tm_lock_row *found = tm_arena_new(&b->arena, tm_lock_row);
    op->found.lock = found;
    op->status = TM_OP_EXISTS;
    read_lock(&u, &row);
    if (tm_apply_copy_lock(&b->arena, found, &row, err) < 0)
      rc = -1;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

int tm_queue_want(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_LOCK_WANT, err) < 0)
    return -1;
  tm_conn_int(&u, tm_writer_guarded(w));
  tm_conn_text(&u, op->u.lock.ns);
  tm_conn_text(&u, op->u.lock.key);
  return tm_conn_run(&u, err) < 0 ? -1 : look_first(w, b, op, err);
}

int tm_queue_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  bool all = !op->u.lock.key;
  if (tm_conn_use(&u, &w->conn, all ? TM_SQL_LOCK_DROP_ALL : TM_SQL_LOCK_DROP, err) < 0)
    return -1;
  tm_conn_int(&u, tm_writer_guarded(w));
  if (!all) {
    tm_conn_text(&u, op->u.lock.ns);
    tm_conn_text(&u, op->u.lock.key);
  }
  return tm_conn_run(&u, err);
}
