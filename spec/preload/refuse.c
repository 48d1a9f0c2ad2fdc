/* refuse.c - preloaded into a program: its n-th allocation is refused, whoever asks for it.
 *
 *   TIDEMILL_REFUSE=N    the N-th one, of all threads and libraries, from 1
 *   TIDEMILL_ASKED=FILE  at the end: how many there were
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEN __attribute__((visibility("default")))

/* glibc's own, below the names that this file takes. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

static atomic_ulong asked;
static unsigned long refused; /* 0: none, also before main */

static __attribute__((constructor)) void begin(void) {
  const char *n = getenv("TIDEMILL_REFUSE");
  atomic_store(&asked, 0);
  refused = n ? strtoul(n, NULL, 10) : 0;
}

static __attribute__((destructor)) void end(void) {
  const char *path = getenv("TIDEMILL_ASKED");
  unsigned long n = atomic_load(&asked);
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file)
    return;
  fprintf(file, "%lu\n", n);
  fclose(file);
}

static int no(void) {
  if (atomic_fetch_add(&asked, 1) + 1 != refused)
    return 0;
  errno = ENOMEM;
  return 1;
}

SEEN void *malloc(size_t size) {
  return no() ? NULL : __libc_malloc(size);
}

SEEN void *calloc(size_t count, size_t size) {
  return no() ? NULL : __libc_calloc(count, size);
}

SEEN void *realloc(void *p, size_t size) {
  return no() ? NULL : __libc_realloc(p, size);
}
