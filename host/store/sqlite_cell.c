/* sqlite_cell.c - cells of an SQLite store. */
#include "store/sqlite_cell.h"

#include "store/sqlite_write.h"

int tm_cell_read(tm_conn *c, const tm_cell_filter *f, tm_cell_fn fn, void *ctx, tm_err *err) {
  tm_use u;
  int rc;
  if (tm_conn_use(&u, c, f->name ? TM_SQL_READ_CELL : TM_SQL_READ_CELLS, err) < 0)
    return -1;
  tm_conn_text(&u, f->name ? f->name : f->prefix);
  while ((rc = tm_conn_step(&u, err)) == 1) {
    tm_cell_row row = {
        .name = tm_conn_col(&u, 0), .version = tm_conn_num(&u, 1), .body = tm_conn_col(&u, 2)};
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

typedef struct taking {
  tm_batch *batch;
  tm_op *op;
  tm_err *err;
} taking;

static int take(void *ctx, const tm_cell_row *row) {
  taking *t = ctx;
  tm_cell_row *found = tm_arena_new(&t->batch->arena, tm_cell_row);
  t->op->found.cell = found;
  t->op->status = TM_OP_EXISTS;
  tm_apply_copy_cell(&t->batch->arena, found, row, t->err);
  return 1;
}

int tm_cell_put(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_cell_row *cell = &op->u.cell;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, cell->version ? TM_SQL_CELL_SET : TM_SQL_CELL_NEW, err) < 0)
    return -1;
  tm_conn_text(&u, cell->name);
  tm_conn_text(&u, cell->body);
  if (cell->version)
    tm_conn_int(&u, cell->version);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  if (tm_conn_hit(&w->conn))
    return 0;
  taking t = {b, op, err};
  op->status = TM_OP_LOST;
  return tm_cell_read(&w->conn, &(tm_cell_filter){.name = cell->name}, take, &t, err);
}
