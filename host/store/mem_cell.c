/* mem_cell.c - cells of the store in memory. */
#include "store/mem_cell.h"

#include <stdlib.h>
#include <string.h>

typedef struct mem_cell {
  int64_t version;
  char *body;
} mem_cell;

static int taken(const mem_cell *c, tm_batch *b, tm_op *op, tm_err *err) {
  tm_cell_row *found = tm_arena_new(&b->arena, tm_cell_row);
  op->found.cell = found;
  op->status = TM_OP_EXISTS;
  return tm_apply_copy_cell(&b->arena, found,
                            &(tm_cell_row){op->u.cell.name, c->version, c->body}, err);
}

int tm_mem_cell_put(tm_map *cells, tm_batch *b, tm_op *op, tm_err *err) {
  const tm_cell_row *put = &op->u.cell;
  mem_cell *c = tm_map_get(cells, put->name);
  if (c && c->version != put->version)
    return taken(c, b, op, err);
  if (!c && put->version) {
    op->status = TM_OP_LOST;
    return 0;
  }
  if (!c)
    tm_map_set(cells, put->name, c = tm_new(mem_cell));
  c->version++;
  tm_free(c->body);
  c->body = tm_strdup(put->body);
  return 0;
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(tm_map_entry *const *)a)->key, (*(tm_map_entry *const *)b)->key);
}

int tm_mem_cell_read(const tm_map *cells, const tm_cell_filter *f, tm_cell_fn fn, void *ctx) {
  size_t n = 0, len = f->prefix ? strlen(f->prefix) : 0;
  tm_map_entry *e, **wanted = tm_new_array(tm_map_entry *, cells->count + 1);
  for (size_t i = 0; (e = tm_map_next(cells, &i));)
    if (f->name ? strcmp(e->key, f->name) == 0 : strncmp(e->key, f->prefix, len) == 0)
      wanted[n++] = e;
  qsort(wanted, n, sizeof *wanted, by_name);
  for (size_t i = 0; i < n; i++) {
    const mem_cell *c = wanted[i]->value;
    if (fn(ctx, &(tm_cell_row){wanted[i]->key, c->version, c->body}) != 0)
      break;
  }
  tm_free(wanted);
  return 0;
}

void tm_mem_cell_free(tm_map *cells) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(cells, &i));) {
    mem_cell *c = e->value;
    tm_free(c->body);
    tm_free(c);
  }
  tm_map_free(cells);
}
