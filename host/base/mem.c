/* mem.c - allocation that cannot fail, allocation that may, and arenas.
 *
 * An arena is a list of chunks, each about as large as all before it together:
 *
 *   head -> [ next | size | used ........ at      end ] -> [ older ] -> ...
 */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define ALIGN     16
#define CHUNK_MIN ((size_t)1024)
#define CHUNK_MAX ((size_t)1 << 20) /* a larger one only for a single large piece */

struct tm_chunk {
  _Alignas(ALIGN) tm_chunk *next;
  size_t size; /* with this header */
};

/* -- plain memory ---------------------------------------------------------------------- */

static _Noreturn void out_of_memory(size_t size) {
  fprintf(stderr,
          "tidemill: out of memory (%zu bytes were refused). Runs are kept in the store; free "
          "some memory or lift the limit, then start again.\n",
          size);
  _exit(70);
}

void tm_mem_release(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

FILE *tm_mem_fopen(const char *path, const char *mode) {
  FILE *f = fopen(path, mode);
  if (!f && errno == ENOMEM)
    out_of_memory(BUFSIZ);
  return f;
}

void *tm_alloc(size_t size) {
  void *p = calloc(1, size ? size : 1);
  if (!p)
    out_of_memory(size);
  return p;
}

void *tm_realloc(void *p, size_t size) {
  void *q = realloc(p, size ? size : 1);
  if (!q)
    out_of_memory(size);
  return q;
}

char *tm_strndup(const char *s, size_t len) {
  char *copy = tm_realloc(NULL, len + 1);
  if (len)
    memcpy(copy, s, len);
  copy[len] = '\0';
  return copy;
}

char *tm_strdup(const char *s) {
  return s ? tm_strndup(s, strlen(s)) : NULL;
}

void tm_free(void *p) {
  free(p);
}

/* -- memory that may run out ----------------------------------------------------------- */

/* The test hook counts by thread, so that a store's thread does not move the count. */
static _Thread_local size_t asked, fail_at;

size_t tm_mem_fail_at(size_t n) {
  size_t before = asked;
  asked = 0;
  fail_at = n;
  return before;
}

bool tm_mem_refused(void) {
  return ++asked == fail_at;
}

void *tm_try_realloc(void *p, size_t size) {
  return tm_mem_refused() ? NULL : tm_realloc(p, size);
}

/* -- arenas ---------------------------------------------------------------------------- */

void tm_arena_init(tm_arena *a, size_t limit) {
  *a = (tm_arena){.limit = limit};
}

void tm_arena_init_in(tm_arena *a, void *room, size_t size) {
  *a = (tm_arena){.at = room, .end = (char *)room + size};
}

static void *fail(tm_arena *a, size_t size) {
  if (!a->limit)
    out_of_memory(size);
  a->failed = true;
  return NULL;
}

/* Bytes for a new chunk that holds at least `size`; 0 when the limit forbids it. */
static size_t chunk_size(const tm_arena *a, size_t size) {
  size_t need = sizeof(tm_chunk) + size;
  size_t want = a->used < CHUNK_MIN ? CHUNK_MIN : a->used > CHUNK_MAX ? CHUNK_MAX : a->used;
  if (want < need)
    want = need;
  if (!a->limit)
    return want;
  size_t left = a->used < a->limit ? a->limit - a->used : 0;
  if (need > left)
    return 0;
  return want < left ? want : left;
}

/* A soft arena is soft at its limit (and where a test says so): a run must not fail because the
 * machine has no memory just now. */
static tm_chunk *new_chunk(const tm_arena *a, size_t bytes) {
  if (a->limit && tm_mem_refused())
    return NULL;
  tm_chunk *c = malloc(bytes);
  if (!c)
    out_of_memory(bytes);
  return c;
}

static bool grow(tm_arena *a, size_t size) {
  size_t bytes = chunk_size(a, size);
  tm_chunk *c = bytes ? new_chunk(a, bytes) : NULL;
  if (!c)
    return false;
  c->next = a->head;
  c->size = bytes;
  a->head = c;
  a->at = (char *)c + sizeof *c;
  a->end = (char *)c + bytes;
  a->used += bytes;
  return true;
}

void *tm_arena_alloc(tm_arena *a, size_t size) {
  if (size > SIZE_MAX / 2)
    return fail(a, size);
  size_t n = size ? (size + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
  if ((size_t)(a->end - a->at) < n && !grow(a, n))
    return fail(a, size);
  void *p = a->at;
  a->at += n;
  return p;
}

void *tm_arena_zalloc(tm_arena *a, size_t size) {
  void *p = tm_arena_alloc(a, size);
  return p ? memset(p, 0, size) : NULL;
}

char *tm_arena_strndup(tm_arena *a, const char *s, size_t len) {
  char *copy = len < SIZE_MAX ? tm_arena_alloc(a, len + 1) : fail(a, len);
  if (!copy)
    return NULL;
  if (len)
    memcpy(copy, s, len);
  copy[len] = '\0';
  return copy;
}

char *tm_arena_strdup(tm_arena *a, const char *s) {
  return s ? tm_arena_strndup(a, s, strlen(s)) : NULL;
}

char *tm_arena_printf(tm_arena *a, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  char *out = n < 0 ? fail(a, 0) : tm_arena_alloc(a, (size_t)n + 1);
  if (out)
    vsnprintf(out, (size_t)n + 1, fmt, again);
  va_end(again);
  va_end(args);
  return out;
}

static void drop_chunks(tm_chunk *c) {
  while (c) {
    tm_chunk *next = c->next;
    free(c);
    c = next;
  }
}

void tm_arena_reset(tm_arena *a) {
  tm_chunk *kept = a->head;
  if (!kept || kept->size > CHUNK_MAX) {
    tm_arena_free(a);
    return;
  }
  drop_chunks(kept->next);
  kept->next = NULL;
  a->at = (char *)kept + sizeof *kept;
  a->used = kept->size;
  a->failed = false;
}

void tm_arena_free(tm_arena *a) {
  drop_chunks(a->head);
  tm_arena_init(a, a->limit);
}
