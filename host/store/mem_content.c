/* mem_content.c - blobs and closures of the store in memory. */
#include "store/mem_content.h"

#include <string.h>

typedef struct content {
  const char *bytes;
  size_t len;
} content;

static void put_once(tm_map *map, tm_arena *arena, const tm_content *c) {
  if (tm_map_get(map, c->hash))
    return;
  content *kept = tm_arena_new(arena, content);
  kept->bytes = tm_arena_strndup(arena, c->bytes, c->len);
  kept->len = c->len;
  tm_map_set(map, c->hash, kept);
}

void tm_mem_content_put(tm_mem_content *m, tm_arena *arena, const tm_op *op) {
  if (op->kind == TM_OP_BLOB) {
    put_once(&m->blobs, arena, &op->u.blob);
    return;
  }
  for (size_t i = 0; i < op->u.closure.count; i++)
    put_once(&m->blobs, arena, &op->u.closure.files[i]);
  m->newest += !tm_map_get(&m->closures, op->u.closure.manifest.hash);
  put_once(&m->closures, arena, &op->u.closure.manifest);
}

void tm_mem_content_drop_blob(tm_mem_content *m, tm_op *op) {
  if (m->newest > op->u.unused.seen_closure || !tm_map_remove(&m->blobs, op->u.unused.hash))
    op->status = TM_OP_LOST;
}

void tm_mem_content_drop_closure(tm_mem_content *m, tm_op *op, bool used) {
  const char *newest = NULL;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&m->closures, &i));)
    newest = e->key;
  if (used || (newest && strcmp(newest, op->u.unused.hash) == 0) ||
      !tm_map_remove(&m->closures, op->u.unused.hash))
    op->status = TM_OP_LOST;
}

int tm_mem_content_read(const tm_map *map, const char *hash, tm_arena *a, const char **bytes,
                        size_t *len, tm_err *err) {
  const content *kept = tm_map_get(map, hash);
  if (!kept)
    return 0;
  *len = kept->len;
  return tm_apply_copy_bytes(a, bytes, kept->bytes, kept->len, err) < 0 ? -1 : 1;
}

int tm_mem_content_blobs(const tm_mem_content *m, tm_unused_fn fn, void *ctx) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&m->blobs, &i));) {
    const tm_unused row = {.hash = e->key};
    if (fn(ctx, &row) != 0)
      break;
  }
  return 0;
}

void tm_mem_content_free(tm_mem_content *m) {
  tm_map_free(&m->blobs);
  tm_map_free(&m->closures);
}
