/* sqlite_effect.c - effects in an SQLite store: claimed, done, given up, taken over. */
#include "store/sqlite_effect.h"

#include <string.h>

#include "store/sqlite_read.h"
#include "store/sqlite_write.h"

static void bind_key(tm_use *u, const tm_effect_row *e) {
  tm_conn_text(u, e->ns);
  tm_conn_text(u, e->action);
  tm_conn_text(u, e->key);
}

static bool same(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Taken: by whom? */
static int taken(tm_writer *w, tm_batch *b, tm_op *op, tm_err *err) {
  tm_effect_row *found = tm_arena_new(&b->arena, tm_effect_row);
  op->found.effect = found;
  if (tm_read_find_effect(&w->conn, &op->u.effect, &b->arena, found, err) < 0)
    return -1;
  if (!same(found->run, tm_writer_guarded_id(w)) || !same(found->place, op->u.effect.place))
    op->status = TM_OP_EXISTS;
  return 0;
}

int tm_sqlite_effect_claim(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_EFFECT_CLAIM, err) < 0)
    return -1;
  bind_key(&u, &op->u.effect);
  tm_conn_text(&u, op->u.effect.args_hash);
  tm_conn_text(&u, tm_writer_guarded_id(w));
  tm_conn_text(&u, op->u.effect.place);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  return tm_conn_hit(&w->conn) ? 0 : taken(w, b, op, err);
}

int tm_sqlite_effect_done(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_EFFECT_DONE, err) < 0)
    return -1;
  bind_key(&u, &op->u.effect);
  tm_conn_text(&u, tm_writer_guarded_id(w));
  tm_conn_text(&u, op->u.effect.result);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

int tm_sqlite_effect_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_EFFECT_DROP, err) < 0)
    return -1;
  bind_key(&u, &op->u.effect);
  tm_conn_text(&u, tm_writer_guarded_id(w));
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

int tm_sqlite_effect_take(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_EFFECT_TAKE, err) < 0)
    return -1;
  bind_key(&u, &op->u.effect);
  tm_conn_text(&u, tm_writer_guarded_id(w));
  tm_conn_text(&u, op->u.effect.place);
  tm_conn_text(&u, op->u.effect.run);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}
