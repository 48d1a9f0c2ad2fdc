/* filelock.h - one writer at a time, over all processes on a machine.
 *
 * The lock is a file of its own beside the database, PATH.lock, taken for the time of
 * one transaction or checkpoint. It goes when its process dies, whatever it dies of.
 * SQLite's own locks are not enough: before 3.51.3 two connections that write and
 * checkpoint a write-ahead log at the same moment can damage it.
 */
#ifndef TM_STORE_FILELOCK_H
#define TM_STORE_FILELOCK_H

#include <stdbool.h>

#include "base/err.h"

typedef struct tm_filelock {
  int fd; /* -1: closed */
  char *path;
} tm_filelock;

#define TM_FILELOCK_INIT ((tm_filelock){.fd = -1, .path = NULL})

/* Create the directories that `path` lies in, private to the user: how many there were to
 * create, or -1. */
int tm_filelock_make_dirs(const char *path, tm_err *err);
/* Make a new file's name durable, and those of the `levels` directories created for it. */
int tm_filelock_sync_dirs(const char *path, int levels, tm_err *err);

int tm_filelock_open(tm_filelock *l, const char *db_path, tm_err *err);
bool tm_filelock_try(tm_filelock *l);
/* Waits; TM_TEMP after `wait_ms`, naming the process that holds it. */
int tm_filelock_take(tm_filelock *l, int wait_ms, tm_err *err);
void tm_filelock_release(tm_filelock *l);
void tm_filelock_close(tm_filelock *l);

#endif
