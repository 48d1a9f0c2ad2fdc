/* pool.c - chunks, and lists of idle blocks by size.
 *
 *   chunk  [ block | block | idle | block | at ........ end ]
 *                              └── idle[class] -> next idle block of that class -> NULL
 *
 * A block's capacity is its class's; who gives one back says its size, so blocks need no
 * header. A block in a list of a smaller class than it could serve is only a little waste.
 */
#include "script/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct tm_pool_image {
  tm_pool pool;
  char bytes[];
};

#define FINE_MAX    ((size_t)512)
#define COARSE_MAX  ((size_t)6144)
#define MALLOC_HEAD 16

/* The address sanitizer looks at malloc's blocks: there, each one is malloc's. */
#if defined(__SANITIZE_ADDRESS__)
#define POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLED 0
#endif
#endif
#ifndef POOLED
#define POOLED 1
#endif

static const uint16_t coarse[TM_POOL_COARSE] = {768, 1024, 1536, 2048, 3072, 4096, 5120, 6144};
static const uint16_t chunk_kb[TM_POOL_CHUNKS] = {16, 8,  8,   8,   8,   8,   24, 48,
                                                  64, 96, 128, 128, 128, 128, 216};

/* The smallest class whose blocks hold `size` bytes, which is 1..COARSE_MAX. */
static inline int class_of(size_t size) {
  if (size <= FINE_MAX)
    return (int)((size - 1) / 8);
  int i = 0;
  while (coarse[i] < size)
    i++;
  return TM_POOL_FINE + i;
}

static inline size_t class_size(int c) {
  return c < TM_POOL_FINE ? ((size_t)c + 1) * 8 : coarse[c - TM_POOL_FINE];
}

static inline void make_idle(tm_pool *p, void *block, int c) {
  *(void **)block = p->idle[c];
  p->idle[c] = block;
}

/* A piece of any size, as a block of the largest class that fits into it. */
static void make_piece_idle(tm_pool *p, char *piece, size_t size) {
  if (size < 8)
    return;
  int c = size >= COARSE_MAX ? TM_POOL_FINE + TM_POOL_COARSE - 1 : class_of(size);
  make_idle(p, piece, class_size(c) > size ? c - 1 : c);
}

static bool inside(const tm_pool *p, const void *block) {
  for (int i = 0; i < p->count; i++)
    if ((uintptr_t)block - (uintptr_t)p->chunks[i].base < p->chunks[i].size)
      return true;
  return false;
}

static bool add_chunk(tm_pool *p) {
  if (!POOLED || p->count == TM_POOL_CHUNKS)
    return false;
  size_t size = ((size_t)chunk_kb[p->count] << 10) - MALLOC_HEAD;
  char *base = malloc(size);
  if (!base)
    return false;
  make_piece_idle(p, p->at, (size_t)(p->end - p->at));
  p->chunks[p->count].base = base;
  p->chunks[p->count++].size = size;
  p->at = base;
  p->end = base + size;
  return true;
}

/* What stands before a block of malloc's own. */
struct tm_stranger {
  tm_stranger *next, **at; /* at: what points here */
};

static void link_stranger(tm_stranger *s) {
  *s->at = s;
  if (s->next)
    s->next->at = &s->next;
}

static void *take_stranger(tm_pool *p, size_t size) {
  tm_stranger *s = malloc(sizeof *s + size);
  if (!s)
    return NULL;
  *s = (tm_stranger){.next = p->strangers, .at = &p->strangers};
  link_stranger(s);
  return s + 1;
}

static void free_stranger(tm_stranger *s) {
  *s->at = s->next;
  if (s->next)
    s->next->at = s->at;
  free(s);
}

static void free_strangers(tm_pool *p) {
  while (p->strangers)
    free_stranger(p->strangers);
}

void *tm_pool_take(tm_pool *p, size_t size) {
  if (tm_mem_refused())
    return NULL;
  if (size > COARSE_MAX)
    return take_stranger(p, size);
  int c = class_of(size);
  void *block = p->idle[c];
  if (block) {
    p->idle[c] = *(void **)block;
    return block;
  }
  size_t need = class_size(c);
  if ((size_t)(p->end - p->at) < need && !add_chunk(p))
    return take_stranger(p, size);
  block = p->at;
  p->at += need;
  return block;
}

void tm_pool_give(tm_pool *p, void *block, size_t size) {
  if (size <= COARSE_MAX && inside(p, block)) {
    make_idle(p, block, class_of(size));
    return;
  }
  free_stranger((tm_stranger *)block - 1);
}

/* Cut the tail off; what lies behind the smaller class is idle from now on. */
static void *shrink(tm_pool *p, char *block, size_t old, size_t size) {
  size_t had = class_size(class_of(old)), has = class_size(class_of(size));
  make_piece_idle(p, block + has, had - has);
  return block;
}

static void *resize_stranger(void *block, size_t old, size_t size) {
  if (size > old && tm_mem_refused())
    return NULL;
  tm_stranger *s = realloc((tm_stranger *)block - 1, sizeof *s + size);
  if (s)
    link_stranger(s);
  else if (size <= old)
    return block; /* it could not be made smaller: it still serves */
  return s ? s + 1 : NULL;
}

void *tm_pool_resize(tm_pool *p, void *block, size_t old, size_t size) {
  bool own = old <= COARSE_MAX && inside(p, block);
  if (!own)
    return resize_stranger(block, old, size);
  if (size <= old)
    return shrink(p, block, old, size);
  if (size <= COARSE_MAX && class_of(size) == class_of(old))
    return tm_mem_refused() ? NULL : block;
  void *moved = tm_pool_take(p, size);
  if (!moved)
    return NULL;
  memcpy(moved, block, old);
  make_idle(p, block, class_of(old));
  return moved;
}

void tm_pool_drop(tm_pool *p) {
  free_strangers(p);
  for (int i = 0; i < p->count; i++)
    free(p->chunks[i].base);
  p->count = 0;
}

/* -- keeping and rewinding ------------------------------------------------------------- */

/* The bytes of chunk i that were ever taken. */
static size_t filled(const tm_pool *p, int i) {
  return i == p->count - 1 ? (size_t)(p->at - p->chunks[i].base) : p->chunks[i].size;
}

tm_pool_image *tm_pool_keep(const tm_pool *p) {
  size_t total = 0;
  for (int i = 0; i < p->count; i++)
    total += filled(p, i);
  if (p->strangers || tm_mem_refused())
    return NULL;
  tm_pool_image *image = malloc(sizeof *image + total);
  if (!image)
    return NULL;
  image->pool = *p;
  char *to = image->bytes;
  for (int i = 0; i < p->count; to += filled(p, i++))
    memcpy(to, p->chunks[i].base, filled(p, i));
  return image;
}

void tm_pool_rewind(tm_pool *p, const tm_pool_image *image) {
  const tm_pool *before = &image->pool;
  free_strangers(p);
  for (int i = before->count; i < p->count; i++)
    free(p->chunks[i].base);
  *p = *before;
  const char *from = image->bytes;
  for (int i = 0; i < p->count; from += filled(p, i++))
    memcpy(p->chunks[i].base, from, filled(p, i));
}
