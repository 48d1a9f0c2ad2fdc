/* test_store_death.c - what is left of a store on disk when its process dies in the middle, its
 * log is torn, or its disk refuses.
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "check.h"
#include "store_box.h"

/* -- deaths ---------------------------------------------------------------------------- */

/* A process that creates the file, commits records one by one, tells each on the pipe when it
 * is acknowledged, and is killed at the named point. */
static void live_and_die(const box *at, const char *crash, int pipe_fd, bool alone) {
  box b;
  tm_err err = TM_ERR_INIT;
  setenv("TIDEMILL_CRASH_AT", crash, 1);
  tm_fault_init();
  if (box_open_url(&b, at->url, &err) < 0)
    _exit(1);
  for (int64_t i = 0; i < 6; i++) {
    tm_batch *batch = box_batch(&b);
    batch->alone = alone;
    if (i == 0)
      op_run(batch, "r1");
    else
      op_fence(batch, "r1", 1);
    op_record(batch, i, "x");
    if (box_commit(&b, batch) != TM_OK || write(pipe_fd, "x", 1) != 1)
      _exit(2);
  }
  tm_store_close(&b.store);
  _exit(0);
}

/* Records that were acknowledged before the process died of the point. */
static int acknowledged(const box *b, const char *crash, bool alone) {
  int fds[2], n = 0, status = 0;
  char c;
  if (pipe(fds) < 0)
    abort();
  pid_t pid = fork();
  if (pid == 0)
    live_and_die(b, crash, fds[1], alone);
  close(fds[1]);
  while (read(fds[0], &c, 1) == 1)
    n++;
  close(fds[0]);
  waitpid(pid, &status, 0);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  return n;
}

static void what_was_acknowledged_survives_every_death(void) {
  static const struct {
    const char *crash;
    int told, kept; /* acknowledged, and found after reopening */
  } cases[] = {
      {"store.create.file:1", 0, 0},   {"store.create.page:1", 0, 0},
      {"store.create.schema:1", 0, 0}, {"store.commit.pre:1", 0, 0},
      {"store.commit.post:1", 0, 1},   {"store.commit.pre:4", 3, 3},
      {"store.commit.post:4", 3, 4},   {"record.pre:6", 5, 5},
      {"record.post:1", 0, 1},         {"record.post:6", 5, 6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0] * 2; i++) {
    box b;
    box_open(&b, "sqlite");
    tm_store_close(&b.store);
    unlink(box_path(&b, ""));
    CHECK_INT(acknowledged(&b, cases[i / 2].crash, i % 2), cases[i / 2].told);
    box_reopen(&b);
    const tm_run_row *r = box_run(&b, "r1");
    CHECK_INT(r ? r->records : 0, cases[i / 2].kept);
    CHECK_STR(box_verify(&b), "");
    if (!r)
      box_add_run(&b, "r1");
    CHECK_INT(box_append(&b, "r1", cases[i / 2].kept, 9), TM_OK);
    CHECK_STR(box_verify(&b), "");
    box_close(&b);
  }
}

/* The log cut at every few bytes: what is left opens, and is a beginning of what was there. */
static void a_torn_log_is_read_up_to_the_tear(void) {
  box b;
  box_open(&b, "sqlite");
  tm_store_close(&b.store);
  unlink(box_path(&b, ""));
  CHECK_INT(acknowledged(&b, "store.commit.post:6", true), 5);
  tm_buf log = box_slurp(box_path(&b, "-wal")), db = box_slurp(box_path(&b, ""));
  int64_t before = 0;
  for (size_t len = 0; len <= log.len && len < 400000; len += 997) {
    FILE *f = fopen(box_path(&b, "-wal"), "w");
    fwrite(log.data, 1, len, f);
    fclose(f);
    f = fopen(box_path(&b, ""), "w");
    fwrite(db.data, 1, db.len, f);
    fclose(f);
    unlink(box_path(&b, "-shm"));
    box_reopen(&b);
    const tm_run_row *r = box_run(&b, "r1");
    CHECK(r ? r->records >= before : before == 0);
    before = r ? r->records : 0;
    CHECK_STR(box_verify(&b), "");
    tm_store_close(&b.store);
  }
  CHECK_INT(before, 6);
  tm_buf_free(&log);
  tm_buf_free(&db);
  box_close(&b);
}

/* -- a disk that refuses --------------------------------------------------------------- */

/* A file layer over SQLite's own in which the n-th write or sync fails, and all after it. */
typedef struct layer { /* one for each kind of file that SQLite knows */
  sqlite3_io_methods io;
  const sqlite3_io_methods *real;
} layer;

static struct {
  sqlite3_vfs vfs, *real;
  layer layers[4];
  int left, code; /* operations until it fails; 0: it never does */
  int syncs;      /* so far */
} bad;

static int fails(void) {
  if (bad.left == 0 || --bad.left > 0)
    return SQLITE_OK;
  bad.left = 1;
  return bad.code;
}

static const sqlite3_io_methods *real_of(const sqlite3_file *f) {
  return ((const layer *)f->pMethods)->real;
}

static int bad_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
  int rc = fails();
  return rc ? rc : real_of(f)->xWrite(f, p, n, at);
}

static int bad_sync(sqlite3_file *f, int flags) {
  bad.syncs++;
  return fails() ? SQLITE_IOERR_FSYNC : real_of(f)->xSync(f, flags);
}

static int bad_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out) {
  (void)vfs;
  int rc = bad.real->xOpen(bad.real, name, f, flags, out);
  if (rc != SQLITE_OK || !f->pMethods)
    return rc;
  layer *l = bad.layers;
  while (l->real && l->real != f->pMethods)
    l++;
  l->real = f->pMethods;
  l->io = *f->pMethods;
  l->io.xWrite = bad_write;
  l->io.xSync = bad_sync;
  f->pMethods = &l->io;
  return rc;
}

static void install_bad_disk(void) {
  bad.real = sqlite3_vfs_find(NULL);
  bad.vfs = *bad.real;
  bad.vfs.zName = "bad";
  bad.vfs.pNext = NULL;
  bad.vfs.xOpen = bad_open;
  sqlite3_vfs_register(&bad.vfs, 1);
}

/* Create, write and close on a disk whose n-th operation fails: how many records were
 * acknowledged, and whether nothing failed at all. */
static int write_on_bad_disk(const box *at, int n, int code, bool *whole) {
  box b;
  tm_err err = TM_ERR_INIT;
  int told = 0;
  bad.left = n;
  bad.code = code;
  *whole = false;
  if (box_open_url(&b, at->url, &err) < 0) {
    CHECK(err.code != TM_OK && err.msg[0]);
    goto out;
  }
  for (int64_t i = 0; i < 4; i++) {
    tm_batch *batch = box_batch(&b);
    batch->alone = i % 2;
    if (i == 0)
      op_run(batch, "r1");
    else
      op_fence(batch, "r1", 1);
    op_record(batch, i, "x");
    if (box_commit(&b, batch) == TM_OK)
      told++;
    else
      CHECK(b.err.code == TM_INTERNAL || b.err.code == TM_TEMP);
  }
  *whole = told == 4;

out:
  tm_store_close(&b.store);
  *whole &= bad.left != 1;
  bad.left = 0;
  box_close(&b);
  return told;
}

static void fail_each_operation(int code) {
  bool whole = false;
  int n = 0;
  while (!whole && n < 1000) {
    box b;
    box_open(&b, "sqlite");
    tm_store_close(&b.store);
    unlink(box_path(&b, ""));
    int told = write_on_bad_disk(&b, ++n, code, &whole);
    box_reopen(&b);
    const tm_run_row *r = box_run(&b, "r1");
    CHECK(r ? r->records >= told && r->records <= told + 1 : told == 0);
    CHECK_STR(box_verify(&b), "");
    box_close(&b);
  }
  CHECK(n > 20 && n < 1000);
}

static void each_failing_write_or_sync_loses_nothing_acknowledged(void) {
  install_bad_disk();
  fail_each_operation(SQLITE_FULL);
  fail_each_operation(SQLITE_IOERR_WRITE);
  sqlite3_vfs_unregister(&bad.vfs);
}

/* How often the disk was synced for one commit. */
static int syncs_of_commit(box *b, int64_t seq, bool alone) {
  tm_batch *batch = box_batch(b);
  int before = bad.syncs;
  batch->alone = alone;
  op_fence(batch, "r1", 1);
  op_record(batch, seq, "x");
  CHECK_INT(box_commit(b, batch), TM_OK);
  return bad.syncs - before;
}

static void a_commit_is_synced_once_before_it_is_told(void) {
  box b;
  install_bad_disk();
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  CHECK_INT(syncs_of_commit(&b, 0, false), 1);
  CHECK_INT(syncs_of_commit(&b, 1, true), 1);
  box_reopen(&b);
  CHECK_INT(syncs_of_commit(&b, 2, false), 2); /* a new log: its header, too */
  CHECK_INT(syncs_of_commit(&b, 3, false), 1);
  CHECK_INT(syncs_of_commit(&b, 4, true), 1);
  box_close(&b);
  sqlite3_vfs_unregister(&bad.vfs);
}

static void a_failed_commit_says_that_nobody_knows_and_stops_the_store(void) {
  box b;
  install_bad_disk();
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  bad.code = SQLITE_IOERR_FSYNC;
  bad.left = 1;
  CHECK_INT(box_append(&b, "r1", 0, 1), TM_INTERNAL);
  CHECK(strstr(b.err.msg, "outcome is unknown"));
  bad.left = 0;
  CHECK_INT(box_append(&b, "r1", 0, 1), TM_INTERNAL);
  box_reopen(&b);
  int64_t records = box_run(&b, "r1")->records;
  CHECK(records == 0 || records == 1);
  CHECK_INT(box_append(&b, "r1", records, 2), TM_OK);
  box_close(&b);
  sqlite3_vfs_unregister(&bad.vfs);
}

static void a_full_disk_is_said_in_words(void) {
  box b;
  install_bad_disk();
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  bad.code = SQLITE_FULL;
  bad.left = 1;
  CHECK_INT(box_append(&b, "r1", 0, 1), TM_TEMP);
  CHECK(strstr(b.err.msg, "the disk is full") && strstr(b.err.msg, "Free some space"));
  bad.left = 0;
  box_close(&b);
  sqlite3_vfs_unregister(&bad.vfs);
}

CHECK_SUITE(store_death) {
  CHECK_RUN(what_was_acknowledged_survives_every_death);
  CHECK_RUN(a_torn_log_is_read_up_to_the_tear);
}

CHECK_SUITE(store_disk) {
  CHECK_RUN(a_commit_is_synced_once_before_it_is_told);
  CHECK_RUN(each_failing_write_or_sync_loses_nothing_acknowledged);
  CHECK_RUN(a_failed_commit_says_that_nobody_knows_and_stops_the_store);
  CHECK_RUN(a_full_disk_is_said_in_words);
}
