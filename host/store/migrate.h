/* migrate.h - the schema of a database file, its version, and whose file it is. */
#ifndef TM_STORE_MIGRATE_H
#define TM_STORE_MIGRATE_H

#include "store/filelock.h"
#include "store/sqlite_conn.h"

/* Open the writing connection. Creates the file and the schema when there is none, under the
 * lock; refuses, untouched, a file that is not ours or has a newer schema. */
int tm_migrate_open(tm_conn *c, const char *path, tm_filelock *lock, int wait_ms, tm_err *err);

/* The SQL that brings a schema of that version to the next (of 0: from an empty file); NULL: it is
 * the newest. For specs, which make files of older versions. */
const char *tm_migrate_step(unsigned version);

#endif
