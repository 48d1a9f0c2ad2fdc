/* cells.c - what the model floor shares with other processes, kept in the store's cells. */
#include "face/cells.h"

typedef struct reading {
  tm_arena *a;
  const char *text;
  int64_t version;
} reading;

static int keep(void *ctx, const tm_cell_row *row) {
  reading *r = ctx;
  r->text = tm_arena_strdup(r->a, row->body);
  r->version = row->version;
  return 1;
}

static int read_cell(void *ctx, const char *name, tm_arena *a, const char **text,
                     int64_t *version) {
  tm_face_cells *c = ctx;
  tm_err ignored = TM_ERR_INIT;
  tm_cell_filter f = {.name = name};
  reading r = {.a = a};
  if (c->store->vt->cells(c->store, &f, keep, &r, &ignored) < 0)
    return -1;
  *text = r.text;
  *version = r.version;
  return r.text != NULL;
}

/* In the batch's arena. */
typedef struct writing {
  tm_face_cells *cells;
  void (*done)(void *arg, bool written);
  void *arg;
} writing;

static void committed(tm_batch *b, const tm_err *err) {
  writing w = *(writing *)b->ctx;
  bool ok = err->code == TM_OK && b->first->status == TM_OP_OK;
  w.cells->writing--;
  tm_batch_free(&b);
  w.done(w.arg, ok);
}

static void write_cell(void *ctx, const char *name, int64_t version, const char *text,
                       void (*done)(void *arg, bool written), void *arg) {
  tm_face_cells *c = ctx;
  tm_batch *b = tm_batch_new();
  writing *w = tm_arena_new(&b->arena, writing);
  *w = (writing){c, done, arg};
  tm_batch_add(b, TM_OP_CELL_PUT)->u.cell =
      (tm_cell_row){.name = tm_arena_strdup(&b->arena, name),
                    .version = version,
                    .body = tm_arena_strdup(&b->arena, text)};
  b->done = committed;
  b->ctx = w;
  c->writing++;
  c->store->vt->commit(c->store, b);
}

static void settle(void *ctx) {
  tm_face_cells *c = ctx;
  while (c->writing)
    tm_loop_turn(c->loop, 50);
}

typedef struct listing {
  void (*fn)(void *arg, const char *name, const char *text);
  void *arg;
} listing;

static int list(void *ctx, const tm_cell_row *row) {
  listing *l = ctx;
  l->fn(l->arg, row->name, row->body);
  return 0;
}

static void each(void *ctx, const char *prefix,
                 void (*fn)(void *arg, const char *name, const char *text), void *arg) {
  tm_face_cells *c = ctx;
  tm_err ignored = TM_ERR_INIT;
  tm_cell_filter f = {.prefix = prefix};
  listing l = {fn, arg};
  c->store->vt->cells(c->store, &f, list, &l, &ignored);
}

tm_llm_cells tm_cells_port(tm_face_cells *c, tm_store *store, tm_loop *loop) {
  *c = (tm_face_cells){.store = store, .loop = loop};
  return (tm_llm_cells){
      .read = read_cell, .write = write_cell, .settle = settle, .each = each, .ctx = c};
}
