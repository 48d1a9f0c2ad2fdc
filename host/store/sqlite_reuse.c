/* sqlite_reuse.c - decisions by their keys, answers by the hash of what was asked. */
#include "store/sqlite_reuse.h"

#include "store/sqlite_write.h"

/* -- decisions ------------------------------------------------------------------------- */

static void read_decision(const tm_use *u, tm_decision_row *out) {
  *out = (tm_decision_row){
      .ns = tm_conn_col(u, 0),
      .name = tm_conn_col(u, 1),
      .key = tm_conn_col(u, 2),
      .input_hash = tm_conn_col(u, 3),
      .value = tm_conn_col(u, 4),
      .run = tm_conn_col(u, 5),
      .at = tm_conn_num(u, 6),
      .expires = tm_conn_num(u, 7),
      .version = tm_conn_num(u, 8),
      .voided = tm_conn_num(u, 9),
      .by = tm_conn_col(u, 10),
      .note = tm_conn_col(u, 11),
  };
}

static void bind_key(tm_use *u, const tm_decision_row *d) {
  tm_conn_text(u, d->ns);
  tm_conn_text(u, d->name);
  tm_conn_text(u, d->key);
}

int tm_reuse_find_decision(tm_conn *c, const tm_decision_row *key, tm_arena *a,
                           tm_decision_row *out, tm_err *err) {
  tm_use u;
  tm_decision_row row;
  if (tm_conn_use(&u, c, TM_SQL_FIND_DECISION, err) < 0)
    return -1;
  bind_key(&u, key);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    read_decision(&u, &row);
    rc = tm_apply_copy_decision(a, out, &row, err) < 0 ? -1 : 1;
  }
  tm_conn_end(&u);
  return rc;
}

int tm_reuse_read_decisions(tm_conn *c, const tm_decision_filter *f, tm_decision_fn fn,
                            void *ctx, tm_err *err) {
  tm_use u;
  tm_decision_row row;
  int rc;
  if (tm_conn_use(&u, c, f->past ? TM_SQL_READ_ALL_DECISIONS : TM_SQL_READ_DECISIONS, err) < 0)
    return -1;
  tm_conn_text(&u, f->ns);
  tm_conn_text(&u, f->name);
  tm_conn_text(&u, f->key);
  while ((rc = tm_conn_step(&u, err)) == 1) {
    read_decision(&u, &row);
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

static int void_it(tm_conn *c, const tm_decision_row *d, int64_t at, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, c, TM_SQL_DECISION_VOID, err) < 0)
    return -1;
  bind_key(&u, d);
  tm_conn_int(&u, at);
  tm_conn_text(&u, d->by);
  tm_conn_text(&u, d->note);
  return tm_conn_run(&u, err);
}

/* The one that stands goes to those of the past, as one that was reopened if it still held. */
static int follow(tm_conn *c, const tm_decision_row *d, int64_t at, tm_err *err) {
  tm_use u;
  if (void_it(c, d, at, err) < 0 || tm_conn_use(&u, c, TM_SQL_DECISION_PAST, err) < 0)
    return -1;
  bind_key(&u, d);
  return tm_conn_run(&u, err);
}

static int put(tm_conn *c, const tm_decision_row *d, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, c, TM_SQL_DECISION, err) < 0)
    return -1;
  bind_key(&u, d);
  tm_conn_text(&u, d->input_hash);
  tm_conn_text(&u, d->value);
  tm_conn_text(&u, d->run);
  tm_conn_int(&u, d->at);
  tm_conn_int(&u, d->expires);
  tm_conn_int(&u, d->version);
  return tm_conn_run(&u, err);
}

int tm_reuse_decide(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_conn *c = &((tm_writer *)ctx)->conn;
  tm_decision_row *d = &op->u.decision, *stands = tm_arena_new(&b->arena, tm_decision_row);
  int found = tm_reuse_find_decision(c, d, &b->arena, stands, err);
  if (found < 0)
    return -1;
  if (!tm_apply_decides(op, found ? stands : NULL, b->at)) {
    op->status = TM_OP_EXISTS;
    op->found.decision = stands;
    return 0;
  }
  d->at = d->at ? d->at : b->at;
  if (found && follow(c, d, b->at, err) < 0)
    return -1;
  d->version = found ? stands->version + 1 : 1;
  return put(c, d, err);
}

int tm_reuse_void(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_conn *c = &((tm_writer *)ctx)->conn;
  if (void_it(c, &op->u.decision, b->at, err) < 0)
    return -1;
  if (!tm_conn_hit(c))
    op->status = TM_OP_LOST;
  return 0;
}

/* -- answers --------------------------------------------------------------------------- */

static void read_cached(const tm_use *u, tm_cache_row *out) {
  *out = (tm_cache_row){
      .hash = tm_conn_col(u, 0),
      .scope = tm_conn_col(u, 1),
      .value = tm_conn_col(u, 2),
      .run = tm_conn_col(u, 3),
      .at = tm_conn_num(u, 4),
      .expires = tm_conn_num(u, 5),
  };
}

int tm_reuse_find_cached(tm_conn *c, const char *hash, tm_arena *a, tm_cache_row *out,
                         tm_err *err) {
  tm_use u;
  tm_cache_row row;
  if (tm_conn_use(&u, c, TM_SQL_FIND_CACHED, err) < 0)
    return -1;
  tm_conn_text(&u, hash);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    read_cached(&u, &row);
    rc = tm_apply_copy_cache(a, out, &row, err) < 0 ? -1 : 1;
  }
  tm_conn_end(&u);
  return rc;
}

int tm_reuse_read_similar(tm_conn *c, const char *scope, int64_t now, int64_t limit,
                          tm_cache_fn fn, void *ctx, tm_err *err) {
  tm_use u;
  tm_cache_row row;
  int rc;
  if (tm_conn_use(&u, c, TM_SQL_READ_SIMILAR, err) < 0)
    return -1;
  tm_conn_text(&u, scope);
  tm_conn_int(&u, now);
  tm_conn_int(&u, limit);
  while ((rc = tm_conn_step(&u, err)) == 1) {
    read_cached(&u, &row);
    row.vector = sqlite3_column_blob(u.st, 6);
    row.vector_len = tm_conn_len(&u, 6);
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

static int drop_expired(tm_conn *c, const char *hash, int64_t now, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, c, TM_SQL_CACHE_DROP, err) < 0)
    return -1;
  tm_conn_text(&u, hash);
  tm_conn_int(&u, now);
  return tm_conn_run(&u, err);
}

int tm_reuse_cache(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_conn *c = &((tm_writer *)ctx)->conn;
  const tm_cache_row *row = &op->u.cache;
  tm_use u;
  if (drop_expired(c, row->hash, b->at, err) < 0 || tm_conn_use(&u, c, TM_SQL_CACHE, err) < 0)
    return -1;
  tm_conn_text(&u, row->hash);
  tm_conn_text(&u, row->scope);
  tm_conn_text(&u, row->value);
  if (row->vector)
    tm_conn_bytes(&u, row->vector, row->vector_len);
  else
    tm_conn_text(&u, NULL);
  tm_conn_text(&u, row->run);
  tm_conn_int(&u, row->at ? row->at : b->at);
  tm_conn_int(&u, row->expires);
  return tm_writer_run(&u, op, TM_OP_EXISTS, err);
}
