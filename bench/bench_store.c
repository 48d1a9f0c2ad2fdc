/* bench_store.c - what a commit costs, and how many records a second the store takes.
 *
 *   bench_store [DIRECTORY]     default: the current one; it should lie on the disk in question
 *
 * Beside each figure stands an anchor from the same run: the sync of a file without
 * any database, and a bare SQLite loop that inserts the same records.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"

#define RUNS    100
#define COMMITS 2000
#define FIRST   150 /* of them: as many as a short program makes, on a log that still grows */
#define BODY    100 /* bytes of a record */

static void die(const char *what, const char *why) {
  fprintf(stderr, "bench_store: %s: %s\n", what, why);
  exit(1);
}

static void report(const char *metric, double value) {
  printf("bench=store metric=%s value=%.1f\n", metric, value);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report_times(const char *metric, double *us, size_t n) {
  char name[64];
  qsort(us, n, sizeof *us, by_size);
  report(metric, us[n / 2]);
  snprintf(name, sizeof name, "%s_p99", metric);
  report(name, us[n * 99 / 100]);
}

static double us_since(int64_t start) {
  return (double)(tm_clock_ns() - start) / 1000.0;
}

/* -- a loop of one's own, as small as they come ---------------------------------------- */

typedef struct parcel {
  void (*fn)(void *arg);
  void *arg;
  struct parcel *next;
} parcel;

typedef struct loop {
  int fd;
  pthread_mutex_t mutex;
  parcel *first, **last;
  int pending; /* batches on their way */
} loop;

static void post(void *ctx, void (*fn)(void *arg), void *arg) {
  loop *l = ctx;
  parcel *p = tm_new(parcel);
  *p = (parcel){fn, arg, NULL};
  pthread_mutex_lock(&l->mutex);
  *l->last = p;
  l->last = &p->next;
  pthread_mutex_unlock(&l->mutex);
  uint64_t one = 1;
  if (write(l->fd, &one, sizeof one) < 0)
    die("post", "eventfd");
}

static void turn(loop *l) {
  struct pollfd fd = {.fd = l->fd, .events = POLLIN};
  uint64_t count;
  if (poll(&fd, 1, -1) < 0 || read(l->fd, &count, sizeof count) < 0)
    die("loop", "poll");
  pthread_mutex_lock(&l->mutex);
  parcel *p = l->first;
  l->first = NULL;
  l->last = &l->first;
  pthread_mutex_unlock(&l->mutex);
  while (p) {
    parcel *next = p->next;
    p->fn(p->arg);
    tm_free(p);
    p = next;
  }
}

static void done(tm_batch *b, const tm_err *err) {
  if (err->code != TM_OK)
    die("commit", err->msg);
  loop *l = b->ctx;
  l->pending--;
  tm_batch_free(&b);
}

/* -- work ------------------------------------------------------------------------------ */

typedef struct bench {
  loop loop;
  tm_store *store;
  char ids[RUNS][24];
  int64_t seqs[RUNS];
  char body[BODY + 1], chain[65];
} bench;

static void fill(bench *x) {
  memset(x->body, 'x', BODY);
  memset(x->chain, 'a', 64);
  for (int i = 0; i < RUNS; i++)
    snprintf(x->ids[i], sizeof x->ids[i], "run-%016d", i);
}

static void open_store(bench *x, const char *path) {
  char url[512];
  tm_err err = TM_ERR_INIT;
  tm_store_host host = {.post = post, .ctx = &x->loop, .clock = &tm_clock_system};
  snprintf(url, sizeof url, "sqlite:%s", path);
  if (tm_store_open(&x->store, url, &host, &err) < 0)
    die("open", err.msg);
}

static tm_batch *new_batch(bench *x, bool alone) {
  tm_batch *b = tm_batch_new();
  b->done = done;
  b->ctx = &x->loop;
  b->alone = alone;
  return b;
}

static void send(bench *x, tm_batch *b) {
  x->loop.pending++;
  x->store->vt->commit(x->store, b);
}

static void drain(bench *x, int down_to) {
  while (x->loop.pending > down_to)
    turn(&x->loop);
}

static void add_run(bench *x, tm_batch *b, int i) {
  tm_op *op = tm_batch_add(b, TM_OP_RUN_NEW);
  op->u.run = (tm_run_row){.id = x->ids[i],
                           .workflow = "support_ticket",
                           .state = "running",
                           .owner = "host:boot:4711:99",
                           .closure = x->chain,
                           .input_hash = x->chain,
                           .epoch = 1};
}

static void add_record(bench *x, tm_batch *b, int run) {
  tm_batch_add(b, TM_OP_FENCE)->u.run = (tm_run_row){.id = x->ids[run], .epoch = 1};
  tm_batch_add(b, TM_OP_RECORD)->u.record = (tm_record){.seq = x->seqs[run]++,
                                                        .kind = 3,
                                                        .place = "1.2.3",
                                                        .name = "classify",
                                                        .body = x->body,
                                                        .body_len = BODY,
                                                        .chain = x->chain};
}

static void bench_open(bench *x, const char *path) {
  int64_t start = tm_clock_ns();
  open_store(x, path);
  tm_batch *b = new_batch(x, true);
  for (int i = 0; i < RUNS; i++)
    add_run(x, b, i);
  send(x, b);
  drain(x, 0);
  report("create_first_commit_us", us_since(start));
  start = tm_clock_ns();
  tm_store_close(&x->store);
  report("close_us", us_since(start));
  start = tm_clock_ns();
  open_store(x, path);
  report("open_us", us_since(start));
}

static void bench_commit(bench *x, const char *metric, bool alone) {
  static double us[COMMITS];
  for (int i = 0; i < COMMITS; i++) {
    tm_batch *b = new_batch(x, alone);
    add_record(x, b, i % RUNS);
    int64_t start = tm_clock_ns();
    send(x, b);
    drain(x, 0);
    us[i] = us_since(start);
  }
  if (alone)
    report_times("commit_first_us", us, FIRST);
  report_times(metric, us, COMMITS);
}

/* Batches of `size` records, one of each run in turn; up to `depth` of them in flight. */
static void bench_rate(bench *x, const char *metric, int size, int depth, int total) {
  int64_t start = tm_clock_ns();
  for (int sent = 0, run = 0; sent < total; sent += size) {
    tm_batch *b = new_batch(x, false);
    for (int i = 0; i < size; i++, run = (run + 1) % RUNS)
      add_record(x, b, run);
    send(x, b);
    drain(x, depth - 1);
  }
  drain(x, 0);
  report(metric, total / (us_since(start) / 1e6));
}

static int count_record(void *ctx, const tm_record *r) {
  int64_t *bytes = ctx;
  *bytes += (int64_t)r->body_len;
  return 0;
}

static void bench_read(bench *x) {
  tm_err err = TM_ERR_INIT;
  int64_t bytes = 0, start = tm_clock_ns();
  for (int i = 0; i < RUNS; i += 10)
    if (x->store->vt->journal(x->store, x->ids[i], 0, count_record, &bytes, &err) < 0)
      die("journal", err.msg);
  report("read_records_per_s", (double)(bytes / BODY) / (us_since(start) / 1e6));
}

/* -- anchors --------------------------------------------------------------------------- */

/* What the disk takes for 12 KB that lie in the file already. */
static void bench_sync(const char *path) {
  static double us[COMMITS];
  static char pages[12288];
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  for (int i = 0; fd >= 0 && i < COMMITS; i++)
    if (pwrite(fd, pages, sizeof pages, (off_t)i * (off_t)sizeof pages) < 0)
      die("sync", "write");
  fsync(fd);
  for (int i = 0; i < COMMITS; i++) {
    int64_t start = tm_clock_ns();
    if (pwrite(fd, pages, sizeof pages, (off_t)i * (off_t)sizeof pages) < 0 ||
        fdatasync(fd) < 0)
      die("sync", "fdatasync");
    us[i] = us_since(start);
  }
  close(fd);
  unlink(path);
  report_times("anchor_sync_us", us, COMMITS);
}

static void run_sql(sqlite3 *db, const char *sql) {
  char *msg = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK)
    die(sql, msg);
}

/* SQLite as anyone would write it: one table, a unique index, one transaction for `size`
 * records. */
static void bench_bare(const bench *x, const char *path, int size, int total) {
  sqlite3 *db;
  sqlite3_stmt *st;
  double *us = tm_new_array(double, (size_t)(total / size));
  if (sqlite3_open(path, &db) != SQLITE_OK)
    die(path, sqlite3_errmsg(db));
  run_sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
              "CREATE TABLE IF NOT EXISTS j (pos INTEGER PRIMARY KEY, run TEXT, seq INT, kind "
              "INT, place TEXT, name TEXT, body TEXT, chain TEXT, UNIQUE (run, seq))");
  sqlite3_prepare_v2(db,
                     "INSERT INTO j (run, seq, kind, place, name, body, chain) "
                     "VALUES (?1, ?2, 3, '1.2.3', 'classify', ?3, ?4)",
                     -1, &st, NULL);
  int64_t begin = tm_clock_ns(), base = begin; /* seq: unique over calls */
  for (int i = 0; i < total; i += size) {
    int64_t start = tm_clock_ns();
    run_sql(db, "BEGIN IMMEDIATE");
    for (int k = i; k < i + size; k++) {
      sqlite3_bind_text(st, 1, x->ids[k % RUNS], -1, SQLITE_STATIC);
      sqlite3_bind_int64(st, 2, base + k / RUNS);
      sqlite3_bind_text(st, 3, x->body, BODY, SQLITE_STATIC);
      sqlite3_bind_text(st, 4, x->chain, 64, SQLITE_STATIC);
      if (sqlite3_step(st) != SQLITE_DONE)
        die("insert", sqlite3_errmsg(db));
      sqlite3_reset(st);
    }
    run_sql(db, "COMMIT");
    us[i / size] = us_since(start);
  }
  if (size == 1) {
    report_times("anchor_sqlite_commit_first_us", us, FIRST);
    report_times("anchor_sqlite_commit_us", us, (size_t)total);
  } else {
    char name[64];
    snprintf(name, sizeof name, "anchor_sqlite_records_per_s_%d", size);
    report(name, total / (us_since(begin) / 1e6));
  }
  tm_free(us);
  sqlite3_finalize(st);
  sqlite3_close(db);
}

static void drop(const char *path) {
  static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", path, ends[i]);
    unlink(name);
  }
}

int main(int argc, char **argv) {
  static bench x;
  char path[400], bare[420];
  snprintf(path, sizeof path, "%s/bench-store.db", argc > 1 ? argv[1] : ".");
  snprintf(bare, sizeof bare, "%s.bare", path);
  drop(path);
  drop(bare);
  x.loop.fd = eventfd(0, EFD_CLOEXEC);
  x.loop.last = &x.loop.first;
  pthread_mutex_init(&x.loop.mutex, NULL);
  fill(&x);
  bench_sync(bare);
  bench_open(&x, path);
  bench_commit(&x, "commit_us", true);
  bench_commit(&x, "commit_threaded_us", false);
  bench_bare(&x, bare, 1, COMMITS);
  bench_rate(&x, "records_per_s_100", 100, 1, 100000);
  bench_rate(&x, "records_per_s_100_in_flight_8", 100, 8, 300000);
  bench_rate(&x, "records_per_s", 1000, 4, 600000);
  bench_bare(&x, bare, 100, 100000);
  bench_bare(&x, bare, 1000, 300000);
  bench_read(&x);
  tm_store_close(&x.store);
  drop(path);
  drop(bare);
  return 0;
}
