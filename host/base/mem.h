/* mem.h - memory by lifetime.
 *
 * Three lifetimes: the engine's (tm_alloc family: out of memory ends the process
 * with exit code 70, which is safe because runs are durable), a run's or a
 * call's (an arena, released whole). An arena's memory is never freed piecemeal.
 *
 * A *soft* arena has a byte limit and returns NULL when that is reached, and
 * remembers it (`failed`): it is what everything that comes from outside is
 * parsed into, so that a bomb is an error and not the end. A *firm* arena
 * (limit 0) never returns NULL. When the machine has no memory, both end the
 * process: a run must not fail for that.
 */
#ifndef TM_BASE_MEM_H
#define TM_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

void *tm_alloc(size_t size);            /* zeroed; never NULL */
void *tm_realloc(void *p, size_t size); /* never NULL */
char *tm_strdup(const char *s);         /* NULL stays NULL */
char *tm_strndup(const char *s, size_t len);
void tm_free(void *p); /* NULL is fine */
#define tm_new(type)          ((type *)tm_alloc(sizeof(type)))
#define tm_new_array(type, n) ((type *)tm_alloc(sizeof(type) * (n)))

/* Test hook: this thread's n-th fallible allocation from now on fails (soft arenas and soft
 * buffers only); 0 switches it off. Returns how many were asked for since the last call. */
size_t tm_mem_fail_at(size_t n);

/* One fallible allocation is asked for: has the test hook chosen it to fail? For allocators that
 * need not go to malloc for each. */
bool tm_mem_refused(void);

/* A raw allocation below a limit that the caller keeps; NULL only when the test hook says so. */
void *tm_try_realloc(void *p, size_t size);

/* fopen, where a lack of memory is no answer either. */
FILE *tm_mem_fopen(const char *path, const char *mode);
/* Give what is free back to the system, where the C library can (glibc keeps it otherwise). */
void tm_mem_release(void);

typedef struct tm_chunk tm_chunk;
typedef struct tm_arena {
  tm_chunk *head; /* newest chunk, first in the list */
  char *at, *end; /* free space in it */
  size_t used;    /* bytes asked of malloc so far */
  size_t limit;   /* 0: firm */
  bool failed;    /* a soft arena ran out once */
} tm_arena;

void tm_arena_init(tm_arena *a, size_t limit);
/* A firm one whose first bytes are `room` (16-byte aligned, often on the stack): no malloc for
 * what is mostly small. */
void tm_arena_init_in(tm_arena *a, void *room, size_t size);
/* 16-byte aligned, not zeroed. NULL only from a soft arena. */
void *tm_arena_alloc(tm_arena *a, size_t size);
void *tm_arena_zalloc(tm_arena *a, size_t size);
char *tm_arena_strndup(tm_arena *a, const char *s, size_t len); /* NUL added */
char *tm_arena_strdup(tm_arena *a, const char *s);
char *tm_arena_printf(tm_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Forget everything but keep the newest chunk (if it is no larger than 1 MiB) for reuse. */
void tm_arena_reset(tm_arena *a);
/* Release everything; the arena may be used again as a fresh one with the same limit. */
void tm_arena_free(tm_arena *a);
#define tm_arena_new(a, type)      ((type *)tm_arena_zalloc((a), sizeof(type)))
#define tm_arena_array(a, type, n) ((type *)tm_arena_zalloc((a), sizeof(type) * (n)))

#endif
