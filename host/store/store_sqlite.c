/* store_sqlite.c - the store's contract on an SQLite file: who writes when, on which thread.
 *
 *   owner's thread                          writer's thread (started when first needed)
 *     commit(b) ── queue ─────────────────►  take all of the queue, one transaction
 *     done(b)   ◄─ post ───────────────────  in the order of the commits
 *
 * A batch that is alone, with nothing queued and the lock free, is committed right in
 * the owner's thread. That saves two changes of threads (measured: some 20 of 130
 * microseconds, most of which is the sync); its `done` still comes through post.
 *
 * A transaction of the user's own is begun, filled and committed by the owner's
 * thread, which has the writer (`open`) meanwhile.
 *
 * The writing connection belongs to whoever set `busy`; the reading one to the
 * owner's thread alone.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/apply.h"
#include "store/migrate.h"
#include "store/sqlite_cell.h"
#include "store/sqlite_drop.h"
#include "store/sqlite_look.h"
#include "store/sqlite_order.h"
#include "store/sqlite_queue.h"
#include "store/sqlite_read.h"
#include "store/sqlite_reuse.h"
#include "store/sqlite_spend.h"
#include "store/sqlite_user.h"
#include "store/sqlite_write.h"

#define BUSY_MS   10000
#define USER_MS   1000 /* the owner's thread waits for other processes no longer */
#define GROUP_OPS 8192 /* of one transaction: bounds how long the first batch in it waits */

typedef struct sqlite_store {
  tm_store base;
  tm_store_host host;
  char *path; /* absolute: the reading connection is opened later, perhaps elsewhere */
  int wait_ms;
  tm_filelock lock;
  tm_writer writer;
  tm_conn reader;
  tm_looker *looker; /* NULL until it is wanted */

  pthread_mutex_t mutex;   /* guards all below */
  pthread_cond_t wake;     /* the writer's thread: there is work, */
  pthread_cond_t idle;     /* the owner's: it is done */
  tm_batch *first, **last; /* the queue */
  bool busy;               /* a thread uses the writer */
  bool checkpoint;         /* the writer's thread is asked for one */
  bool stop;
  bool open; /* the owner's thread has begun a transaction, and is `busy` with it */
  bool started;
  pthread_t thread;
} sqlite_store;

/* -- transactions ---------------------------------------------------------------------- */

/* All batches of a transaction share its fate. */
static void set_errors(tm_batch *first, const tm_err *err) {
  for (tm_batch *b = first; b && err->code != TM_OK; b = b->next)
    b->err = *err;
}

/* The lock is held, and dropped. */
static void commit_locked(sqlite_store *s, tm_batch *first) {
  tm_err err = TM_ERR_INIT;
  tm_writer_commit(&s->writer, first, NULL, &err);
  tm_filelock_release(&s->lock);
  set_errors(first, &err);
}

static void commit_group(sqlite_store *s, tm_batch *first) {
  tm_writer *w = &s->writer;
  if (w->broken.code == TM_OK && tm_filelock_take(&s->lock, s->wait_ms, &w->broken) == 0)
    commit_locked(s, first);
  else
    set_errors(first, &w->broken); /* later batches rest on this one: no commit any more */
}

static void run_checkpoint(sqlite_store *s) {
  if (!tm_filelock_try(&s->lock))
    return; /* another process writes; there is time */
  tm_writer_checkpoint(&s->writer);
  tm_filelock_release(&s->lock);
}

/* -- the writer's thread --------------------------------------------------------------- */

/* Off the queue: as many batches as make a transaction. */
static tm_batch *take_group(sqlite_store *s) {
  tm_batch *first = s->first, *b = first;
  for (size_t ops = b->count; b->next && ops + b->next->count <= GROUP_OPS; b = b->next)
    ops += b->next->count;
  s->first = b->next;
  if (!s->first)
    s->last = &s->first;
  b->next = NULL;
  return first;
}

/* One transaction or checkpoint, if there is anything to do. The mutex is held, but not
 * meanwhile. Batches are told before a checkpoint, and under the mutex: whoever hears of a
 * commit finds the writer idle again, unless it is copying. */
static bool work(sqlite_store *s) {
  if (!s->first && !s->checkpoint)
    return false;
  tm_batch *group = s->first ? take_group(s) : NULL;
  s->busy = true;
  if (group) {
    pthread_mutex_unlock(&s->mutex);
    commit_group(s, group);
    pthread_mutex_lock(&s->mutex);
    tm_apply_post(&s->host, group);
  }
  s->checkpoint = false;
  if (tm_writer_wants_checkpoint(&s->writer)) {
    pthread_mutex_unlock(&s->mutex);
    run_checkpoint(s);
    pthread_mutex_lock(&s->mutex);
  }
  s->busy = false;
  pthread_cond_signal(&s->idle);
  return true;
}

static void *write_loop(void *arg) {
  sqlite_store *s = arg;
  pthread_mutex_lock(&s->mutex);
  do
    while (s->busy || (!s->first && !s->checkpoint && !s->stop))
      pthread_cond_wait(&s->wake, &s->mutex);
  while (work(s));
  pthread_mutex_unlock(&s->mutex);
  return NULL;
}

/* Signals go to the owner's threads, never to this one. */
static bool start_thread(sqlite_store *s) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&s->thread, NULL, write_loop, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc == 0;
}

/* The mutex is held. Without threads to be had, the work is done here, if slowly. */
static void wake_thread(sqlite_store *s) {
  if (!s->started)
    s->started = start_thread(s);
  if (s->started)
    pthread_cond_signal(&s->wake);
  else
    while (work(s))
      ;
}

/* -- commit ---------------------------------------------------------------------------- */

/* The mutex is held. May this thread be the writer now? Waiting for another process's lock
 * would hold up the owner's loop, so that is left to the writer's thread. */
static bool may_commit_here(sqlite_store *s, const tm_batch *b) {
  if (s->open) {
    s->open = false;
    return true;
  }
  return b->alone && !s->first && !s->busy && s->writer.broken.code == TM_OK &&
         tm_filelock_try(&s->lock);
}

static void sqlite_commit(tm_store *base, tm_batch *b) {
  sqlite_store *s = (sqlite_store *)base;
  b->next = NULL;
  b->at = tm_clock_wall(s->host.clock);
  b->err.code = TM_OK;
  pthread_mutex_lock(&s->mutex);
  if (may_commit_here(s, b)) {
    s->busy = true;
    pthread_mutex_unlock(&s->mutex);
    commit_locked(s, b);
    pthread_mutex_lock(&s->mutex);
    tm_apply_post(&s->host, b);
    s->busy = false;
    s->checkpoint = tm_writer_wants_checkpoint(&s->writer);
  } else {
    *s->last = b;
    s->last = &b->next;
  }
  if (s->first || s->checkpoint)
    wake_thread(s);
  pthread_mutex_unlock(&s->mutex);
}

/* -- transactions of the user's own ---------------------------------------------------- */

/* The mutex is held. What was committed before comes before. */
static void wait_for_writer(sqlite_store *s) {
  if (s->first && !s->busy)
    wake_thread(s);
  while (s->busy || s->first)
    pthread_cond_wait(&s->idle, &s->mutex);
}

static void give_writer_back(sqlite_store *s) {
  pthread_mutex_lock(&s->mutex);
  s->busy = s->open = false;
  if (s->checkpoint)
    wake_thread(s);
  pthread_mutex_unlock(&s->mutex);
}

static int sqlite_begin(tm_store *base, tm_err *err) {
  sqlite_store *s = (sqlite_store *)base;
  pthread_mutex_lock(&s->mutex);
  wait_for_writer(s);
  s->busy = true;
  pthread_mutex_unlock(&s->mutex);
  int wait = s->wait_ms < USER_MS ? s->wait_ms : USER_MS;
  if (tm_filelock_take(&s->lock, wait, err) < 0) {
    give_writer_back(s);
    return -1;
  }
  s->open = tm_writer_begin(&s->writer, err) == 0;
  if (s->open)
    return 0;
  tm_filelock_release(&s->lock);
  give_writer_back(s);
  return -1;
}

static int sqlite_query(tm_store *base, const tm_query *q, tm_arena *a, tm_rows *out,
                        tm_err *err) {
  return tm_writer_query(&((sqlite_store *)base)->writer, q, a, out, err);
}

static int sqlite_check(tm_store *base, tm_err *err) {
  return tm_user_check(&((sqlite_store *)base)->writer.conn, err);
}

static void sqlite_abandon(tm_store *base) {
  sqlite_store *s = (sqlite_store *)base;
  tm_writer_abandon(&s->writer);
  tm_filelock_release(&s->lock);
  give_writer_back(s);
}

/* -- reads ----------------------------------------------------------------------------- */

/* The reading connection, opened when it is first wanted; NULL: err is set. */
static tm_conn *reader(tm_store *base, tm_err *err) {
  sqlite_store *s = (sqlite_store *)base;
  if (s->reader.db || tm_conn_open(&s->reader, s->path, true, err) == 0)
    return &s->reader;
  return NULL;
}

static int sqlite_runs(tm_store *s, const tm_run_filter *f, tm_run_fn fn, void *ctx,
                       tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_read_runs(c, f, fn, ctx, err) : -1;
}

static int sqlite_journal(tm_store *s, const char *run, int64_t from_seq, tm_record_fn fn,
                          void *ctx, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_read_journal(c, run, from_seq, fn, ctx, err) : -1;
}

static int sqlite_gates(tm_store *s, const tm_gate_filter *f, tm_gate_fn fn, void *ctx,
                        tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_read_gates(c, f, fn, ctx, err) : -1;
}

static int sqlite_blob(tm_store *s, const char *hash, tm_arena *a, const char **bytes,
                       size_t *len, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_read_find_bytes(c, TM_SQL_READ_BLOB, hash, a, bytes, len, err) : -1;
}

static int sqlite_closure(tm_store *s, const char *hash, tm_arena *a, const char **manifest,
                          size_t *len, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_read_find_bytes(c, TM_SQL_READ_CLOSURE, hash, a, manifest, len, err) : -1;
}

static int sqlite_effect(tm_store *s, const tm_effect_row *key, tm_arena *a, tm_effect_row *out,
                         tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_read_find_effect(c, key, a, out, err) : -1;
}

static int sqlite_decision(tm_store *s, const tm_decision_row *key, tm_arena *a,
                           tm_decision_row *out, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_reuse_find_decision(c, key, a, out, err) : -1;
}

static int sqlite_decisions(tm_store *s, const tm_decision_filter *f, tm_decision_fn fn,
                            void *ctx, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_reuse_read_decisions(c, f, fn, ctx, err) : -1;
}

static int sqlite_cached(tm_store *s, const char *hash, tm_arena *a, tm_cache_row *out,
                         tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_reuse_find_cached(c, hash, a, out, err) : -1;
}

static int sqlite_similar(tm_store *s, const char *scope, int64_t now, int64_t limit,
                          tm_cache_fn fn, void *ctx, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_reuse_read_similar(c, scope, now, limit, fn, ctx, err) : -1;
}

static void sqlite_look(tm_store *base, tm_look *look) {
  sqlite_store *s = (sqlite_store *)base;
  if (!s->looker)
    s->looker = tm_looker_new(s->path, &s->host);
  tm_looker_ask(s->looker, look);
}

static int sqlite_signals(tm_store *s, const tm_signal_filter *f, tm_signal_fn fn, void *ctx,
                          tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_queue_read_signals(c, f, fn, ctx, err) : -1;
}

static int sqlite_locks(tm_store *s, const tm_lock_filter *f, tm_lock_fn fn, void *ctx,
                        tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_queue_read_locks(c, f, fn, ctx, err) : -1;
}

static int sqlite_cells(tm_store *s, const tm_cell_filter *f, tm_cell_fn fn, void *ctx,
                        tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_cell_read(c, f, fn, ctx, err) : -1;
}

static int sqlite_closures(tm_store *s, const char *run, tm_unused_fn fn, void *ctx,
                           tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_drop_read_closures(c, run, fn, ctx, err) : -1;
}

static int sqlite_blobs(tm_store *s, tm_unused_fn fn, void *ctx, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_drop_read_blobs(c, fn, ctx, err) : -1;
}

static int sqlite_in_doubt(tm_store *s, const char *run, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_drop_read_doubt(c, run, err) : -1;
}

static int sqlite_orders(tm_store *s, tm_order_fn fn, void *ctx, tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_sqlite_order_read(c, fn, ctx, err) : -1;
}

static int sqlite_account(tm_store *s, const char *scope, const char *day, tm_spend_row *out,
                          tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_sqlite_spend_state(c, scope, day, out, err) : -1;
}

static int sqlite_verify(tm_store *s, void (*fn)(void *ctx, const char *finding), void *ctx,
                         tm_err *err) {
  tm_conn *c = reader(s, err);
  return c ? tm_read_verify(c, fn, ctx, err) : -1;
}

/* Asked of the writing connection, because to the reading one our own commits are foreign.
 * While a transaction runs nobody else can commit, and what came before it will be told the
 * next time. */
static bool sqlite_changed(tm_store *base) {
  sqlite_store *s = (sqlite_store *)base;
  pthread_mutex_lock(&s->mutex);
  bool changed = !s->busy && tm_writer_foreign(&s->writer);
  pthread_mutex_unlock(&s->mutex);
  return changed;
}

/* -- opening and closing --------------------------------------------------------------- */

static char *absolute(const char *path) {
  char *dir = path[0] == '/' ? NULL : getcwd(NULL, 0);
  if (!dir)
    return tm_strdup(path);
  size_t n = strlen(dir), len = strlen(path);
  char *full = tm_alloc(n + len + 2);
  memcpy(full, dir, n);
  full[n] = '/';
  memcpy(full + n + 1, path, len);
  free(dir);
  return full;
}

static void release(sqlite_store *s, bool checkpoint) {
  tm_looker_free(&s->looker);
  tm_conn_close(&s->reader, false);
  tm_writer_stop(&s->writer, checkpoint);
  tm_filelock_close(&s->lock);
  pthread_cond_destroy(&s->wake);
  pthread_cond_destroy(&s->idle);
  pthread_mutex_destroy(&s->mutex);
  tm_free(s->path);
  tm_free(s);
}

/* The last process on the file copies the log into it and removes the log, under the lock like
 * every write. Whoever holds the lock now is a process that closes later, and does it then. */
static void sqlite_close(tm_store *base) {
  sqlite_store *s = (sqlite_store *)base;
  if (s->open)
    sqlite_abandon(base);
  pthread_mutex_lock(&s->mutex);
  s->stop = true;
  pthread_cond_signal(&s->wake);
  pthread_mutex_unlock(&s->mutex);
  if (s->started)
    pthread_join(s->thread, NULL);
  release(s, tm_filelock_try(&s->lock));
}

static const tm_store_vt sqlite_vt = {
    .name = "sqlite",
    .close = sqlite_close,
    .commit = sqlite_commit,
    .runs = sqlite_runs,
    .journal = sqlite_journal,
    .gates = sqlite_gates,
    .blob = sqlite_blob,
    .closure = sqlite_closure,
    .effect = sqlite_effect,
    .decision = sqlite_decision,
    .decisions = sqlite_decisions,
    .cached = sqlite_cached,
    .similar = sqlite_similar,
    .look = sqlite_look,
    .signals = sqlite_signals,
    .locks = sqlite_locks,
    .cells = sqlite_cells,
    .closures = sqlite_closures,
    .blobs = sqlite_blobs,
    .in_doubt = sqlite_in_doubt,
    .begin = sqlite_begin,
    .query = sqlite_query,
    .check = sqlite_check,
    .abandon = sqlite_abandon,
    .orders = sqlite_orders,
    .account = sqlite_account,
    .changed = sqlite_changed,
    .verify = sqlite_verify,
};

/* Its statistics of memory take a lock of the whole process for each block: an eighth of a commit.
 * A program that has used SQLite before us keeps them. */
static void do_not_count_memory(void) {
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int tm_store_sqlite_open(tm_store **out, const char *path, const tm_store_host *host,
                         tm_err *err) {
  sqlite_store *s = tm_new(sqlite_store);
  do_not_count_memory();
  s->base.vt = &sqlite_vt;
  s->host = *host;
  s->wait_ms = host->busy_ms > 0 ? host->busy_ms : BUSY_MS;
  s->path = absolute(path);
  s->lock = TM_FILELOCK_INIT;
  s->last = &s->first;
  pthread_mutex_init(&s->mutex, NULL);
  pthread_cond_init(&s->wake, NULL);
  pthread_cond_init(&s->idle, NULL);
  if (tm_migrate_open(&s->writer.conn, s->path, &s->lock, s->wait_ms, err) < 0 ||
      tm_writer_start(&s->writer, err) < 0)
    goto fail;
  *out = &s->base;
  return 0;

fail:
  release(s, false);
  return -1;
}
