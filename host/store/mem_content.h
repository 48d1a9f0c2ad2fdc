/* mem_content.h - blobs and closures of the store in memory: bytes by their hash, each once. */
#ifndef TM_STORE_MEM_CONTENT_H
#define TM_STORE_MEM_CONTENT_H

#include "base/map.h"
#include "store/apply.h"

typedef struct tm_mem_content {
  tm_map blobs, closures; /* by hash */
  int64_t newest;         /* closure's number */
} tm_mem_content;

/* The ops BLOB, CLOSURE and BLOB_DROP; what they keep lives in the arena. */
void tm_mem_content_put(tm_mem_content *m, tm_arena *arena, const tm_op *op);
void tm_mem_content_drop_blob(tm_mem_content *m, tm_op *op);
/* CLOSURE_DROP, when no run uses it; the newest one stays. */
void tm_mem_content_drop_closure(tm_mem_content *m, tm_op *op, bool used);
/* 1 found, 0 not, -1 error: as tm_store_vt.blob. */
int tm_mem_content_read(const tm_map *map, const char *hash, tm_arena *a, const char **bytes,
                        size_t *len, tm_err *err);
int tm_mem_content_blobs(const tm_mem_content *m, tm_unused_fn fn, void *ctx);
void tm_mem_content_free(tm_mem_content *m);

#endif
