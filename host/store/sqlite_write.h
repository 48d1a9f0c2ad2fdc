/* sqlite_write.h - the writing side of an SQLite store: batches into transactions.
 *
 * A writer is used by one thread at a time, and under the writer's lock.
 */
#ifndef TM_STORE_SQLITE_WRITE_H
#define TM_STORE_SQLITE_WRITE_H

#include "base/map.h"
#include "store/sqlite_conn.h"

typedef struct tm_head tm_head;

typedef struct tm_writer {
  tm_conn conn;
  tm_map heads;     /* by run id: where its journal ends. True as long as nobody else commits */
  tm_map known;     /* closures that are stored; as true as the heads */
  tm_arena arena;   /* of the heads */
  tm_head *dirty;   /* heads that tm_run does not know yet, chained */
  tm_head *guarded; /* the open group's run */
  int64_t version;  /* of the data, as this connection last saw it */
  bool foreign;     /* others committed since tm_writer_foreign was asked */
  int64_t records;  /* appended in this transaction */
  int wal_frames;   /* in the write-ahead log after the last commit */
  int checkpoint_at; /* that many are time for a checkpoint */
  int64_t wal_bytes; /* size of its file */
  tm_err broken;     /* why no commit is taken any more */
  bool open;         /* a transaction was begun for the user's statements */
} tm_writer;

/* Takes an open connection over. */
int tm_writer_start(tm_writer *w, tm_err *err);
/* With a checkpoint only under the lock; a broken writer leaves the log for recovery anyway. */
void tm_writer_stop(tm_writer *w, bool checkpoint);

/* One transaction, or the open one, of the batches from first up to, not with, end. An error breaks
 * the writer. */
int tm_writer_commit(tm_writer *w, tm_batch *first, const tm_batch *end, tm_err *err);

/* What tm_run does not know yet is written; the run is forgotten. */
int tm_writer_forget(tm_writer *w, const char *run, tm_err *err);

/* A transaction that statements of the user's go into, before a batch does. On error there is none.
 */
int tm_writer_begin(tm_writer *w, tm_err *err);
int tm_writer_query(tm_writer *w, const tm_query *q, tm_arena *a, tm_rows *out, tm_err *err);
void tm_writer_abandon(tm_writer *w);

/* For ops that have files of their own: number and id of the open group's run. */
int64_t tm_writer_guarded(const tm_writer *w);
const char *tm_writer_guarded_id(const tm_writer *w);
/* Run an op's statement; when it hit no row, the op has the status `missed`. */
int tm_writer_run(tm_use *u, tm_op *op, tm_op_status missed, tm_err *err);

/* Did others commit since the last call? */
bool tm_writer_foreign(tm_writer *w);

/* Time to copy the log into the database? */
bool tm_writer_wants_checkpoint(const tm_writer *w);
void tm_writer_checkpoint(tm_writer *w);

#endif
