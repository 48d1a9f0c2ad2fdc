/* pool.h - a vm's blocks, cut from a few chunks and given back all at once.
 *
 * A run's Lua state is some two thousand small blocks that live as long as the run, and with a
 * hundred branches some ten thousand. The first TM_POOL_BYTES of a vm come from here, in a tenth of
 * malloc's time; a vm that grows beyond them, and every large block, is malloc's, which gives memory
 * back to others. So a run never holds more than that which is free, and a script cannot make it.
 */
#ifndef TM_SCRIPT_POOL_H
#define TM_SCRIPT_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define TM_POOL_FINE   64 /* classes 8 bytes apart */
#define TM_POOL_COARSE 8
#define TM_POOL_CHUNKS 15
#define TM_POOL_BYTES  ((size_t)1 << 20)

typedef struct tm_stranger tm_stranger;

typedef struct tm_pool {
  char *at, *end; /* free space in the newest chunk */
  void *idle[TM_POOL_FINE + TM_POOL_COARSE];
  struct {
    char *base;
    size_t size;
  } chunks[TM_POOL_CHUNKS];
  int count;
  tm_stranger *strangers; /* blocks that are malloc's own */
} tm_pool;

typedef struct tm_pool_image tm_pool_image;

/* A block of `size` bytes, 8-byte aligned; NULL when there is no memory. */
void *tm_pool_take(tm_pool *p, size_t size);
/* A block that was taken with exactly that size. */
void tm_pool_give(tm_pool *p, void *block, size_t size);
/* The same block in another size, as realloc does. A smaller one is never refused. */
void *tm_pool_resize(tm_pool *p, void *block, size_t old, size_t size);
/* Gives everything back, whatever was taken. */
void tm_pool_drop(tm_pool *p);

/* A copy of all chunks, in the caller's hands (tm_free); NULL: a block lies outside of them, or
 * there is no memory. */
tm_pool_image *tm_pool_keep(const tm_pool *p);
/* Each block as it was when it was kept, at the same address; whatever was taken since then is given
 * back. */
void tm_pool_rewind(tm_pool *p, const tm_pool_image *image);

#endif
