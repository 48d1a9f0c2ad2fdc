/* filelock.c - the writer's lock, and the directory that database and lock lie in. */
#include "store/filelock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define PAUSE_MIN_US 50
#define PAUSE_MAX_US 5000

/* -- directories ----------------------------------------------------------------------- */

/* "a/b/c" -> "a/b", "c" -> ".", "/c" -> "/". The caller frees it. */
static char *parent_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash)
    return tm_strdup(".");
  return tm_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int sync_dir(const char *dir, tm_err *err) {
  int rc = 0, fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) < 0)
    rc = tm_err_set(err, TM_CONFIG,
                    "the directory %s cannot be made durable: %s. Put the database on a disk "
                    "that can sync, or choose another one with --db",
                    dir, strerror(errno));
  if (fd >= 0)
    close(fd);
  return rc;
}

int tm_filelock_sync_dirs(const char *path, int levels, tm_err *err) {
  char *dir = parent_of(path);
  int rc = sync_dir(dir, err);
  if (rc == 0 && levels > 0)
    rc = tm_filelock_sync_dirs(dir, levels - 1, err);
  tm_free(dir);
  return rc;
}

static int make_dir(const char *dir, tm_err *err) {
  if (mkdir(dir, 0700) == 0)
    return 1;
  if (errno == EEXIST)
    return 0;
  return tm_err_set(err, TM_CONFIG,
                    "the directory %s for the database cannot be created: %s. Create it, or "
                    "choose another place with --db",
                    dir, strerror(errno));
}

int tm_filelock_make_dirs(const char *path, tm_err *err) {
  char *dir = parent_of(path);
  int made = 0, rc = 0;
  if (access(dir, F_OK) < 0) {
    made = tm_filelock_make_dirs(dir, err);
    rc = made < 0 ? -1 : make_dir(dir, err);
  }
  tm_free(dir);
  return rc < 0 ? -1 : made + rc;
}

/* -- the lock -------------------------------------------------------------------------- */

int tm_filelock_open(tm_filelock *l, const char *db_path, tm_err *err) {
  size_t len = strlen(db_path);
  l->path = tm_alloc(len + sizeof ".lock");
  memcpy(l->path, db_path, len);
  memcpy(l->path + len, ".lock", sizeof ".lock");
  l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (l->fd >= 0)
    return 0;
  return tm_err_set(err, TM_CONFIG,
                    "%s cannot be opened for writing: %s. The database and its directory must "
                    "be writable for you; change that, or choose another one with --db",
                    l->path, strerror(errno));
}

bool tm_filelock_try(tm_filelock *l) {
  int rc;
  do
    rc = flock(l->fd, LOCK_EX | LOCK_NB);
  while (rc < 0 && errno == EINTR);
  return rc == 0;
}

void tm_filelock_release(tm_filelock *l) {
  flock(l->fd, LOCK_UN);
}

void tm_filelock_close(tm_filelock *l) {
  if (l->fd >= 0)
    close(l->fd);
  tm_free(l->path);
  *l = TM_FILELOCK_INIT;
}

/* Who holds it, as the kernel tells; 0: not known. Asking is better than writing the process's
 * id into the file at each commit: it costs the writers nothing and is never out of date. A
 * line of /proc/locks: "7: FLOCK  ADVISORY  WRITE 4711 08:02:123456 0 EOF". */
static long holder(const tm_filelock *l) {
  struct stat st;
  FILE *f = fopen("/proc/locks", "re");
  long found = 0;
  char line[256];
  if (!f)
    return 0;
  while (!found && fstat(l->fd, &st) == 0 && fgets(line, sizeof line, f)) {
    long pid;
    unsigned maj, min;
    uintmax_t ino;
    if (sscanf(line, "%*d: FLOCK %*s WRITE %ld %x:%x:%ju", &pid, &maj, &min, &ino) == 4 &&
        ino == st.st_ino && maj == major(st.st_dev) && min == minor(st.st_dev))
      found = pid;
  }
  fclose(f);
  return found;
}

static int busy(const tm_filelock *l, int wait_ms, tm_err *err) {
  long pid = holder(l);
  char who[48] = "another process";
  if (pid > 0)
    snprintf(who, sizeof who, "process %ld", pid);
  return tm_err_set(err, TM_TEMP,
                    "the database is busy: %s held %s for %d ms. Nothing was written; wait "
                    "until it is done, or end it, and try again",
                    who, l->path, wait_ms);
}

int tm_filelock_take(tm_filelock *l, int wait_ms, tm_err *err) {
  int64_t end = tm_clock_ns() + (int64_t)wait_ms * 1000000;
  long pause_us = PAUSE_MIN_US;
  while (!tm_filelock_try(l)) {
    if (errno != EWOULDBLOCK)
      return tm_err_set(err, TM_CONFIG,
                        "%s cannot be locked: %s. Put the database on a local disk, not on a "
                        "network share without locks",
                        l->path, strerror(errno));
    if (tm_clock_ns() >= end)
      return busy(l, wait_ms, err);
    nanosleep(&(struct timespec){0, pause_us * 1000}, NULL);
    pause_us = pause_us * 2 < PAUSE_MAX_US ? pause_us * 2 : PAUSE_MAX_US;
  }
  return 0;
}
