/* test_store_file.c - what only a store on disk can get wrong: whose file it is, other
 * processes, damage.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"
#include "store/migrate.h"
#include "store_box.h"

/* -- the file -------------------------------------------------------------------------- */

static int mode_of(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

static void the_file_is_for_its_owner_only(void) {
  box b;
  char dir[128];
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  CHECK_INT(mode_of(box_path(&b, "")), 0600);
  CHECK_INT(mode_of(box_path(&b, "-wal")), 0600);
  CHECK_INT(mode_of(box_path(&b, ".lock")), 0600);
  snprintf(dir, sizeof dir, "%s/db", b.dir);
  CHECK_INT(mode_of(dir), 0700);
  box_close(&b);
}

static void it_is_all_there_after_reopening(void) {
  box b;
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  CHECK_INT(box_append(&b, "r1", 0, 3), TM_OK);
  box_reopen(&b);
  CHECK(access(box_path(&b, "-wal"), F_OK) == 0);
  CHECK_STR(box_journal(&b, "r1", 0), "0:x 1:x 2:x");
  CHECK_INT(box_append(&b, "r1", 3, 4), TM_OK);
  CHECK_STR(box_verify(&b), "");
  tm_store_close(&b.store);
  CHECK(access(box_path(&b, "-wal"), F_OK) < 0); /* one file to copy, once nobody has it open */
  box_reopen(&b);
  CHECK_STR(box_journal(&b, "r1", 2), "2:x 3:x");
  box_close(&b);
}

static void write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  if (!f)
    abort();
  fputs(text, f);
  fclose(f);
}

static void run_sql(const char *path, const char *sql) {
  sqlite3 *db;
  char *msg = NULL;
  int rc = sqlite3_open(path, &db);
  if (rc == SQLITE_OK)
    rc = sqlite3_exec(db, sql, NULL, NULL, &msg);
  if (rc != SQLITE_OK)
    fprintf(stderr, "%s: %s\n", sql, msg);
  CHECK_INT(rc, SQLITE_OK);
  sqlite3_close(db);
}

static int read_number(void *ctx, int n, char **values, char **names) {
  (void)n, (void)names;
  *(int *)ctx = atoi(values[0]);
  return 0;
}

static int number(const char *path, const char *sql) {
  sqlite3 *db;
  int found = -1;
  CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
  CHECK_INT(sqlite3_exec(db, sql, read_number, &found, NULL), SQLITE_OK);
  sqlite3_close(db);
  return found;
}

/* Opening must fail with this code and word, and leave the file as it is. */
static void refuses(const char *path, const char *word) {
  box b;
  char url[160];
  tm_err err = TM_ERR_INIT;
  tm_buf before = box_slurp(path);
  snprintf(url, sizeof url, "sqlite:%s", path);
  CHECK_INT(box_open_url(&b, url, &err), -1);
  CHECK_INT(err.code, TM_CONFIG);
  if (!strstr(err.msg, word))
    CHECK_STR(err.msg, word);
  CHECK(access(box_path(&b, "-wal"), F_OK) < 0);
  tm_buf after = box_slurp(path);
  CHECK(before.len == after.len &&
        memcmp(tm_buf_str(&before), tm_buf_str(&after), after.len) == 0);
  tm_buf_free(&before);
  tm_buf_free(&after);
  box_close(&b);
}

static void a_file_that_is_not_ours_is_refused_and_not_touched(void) {
  char dir[] = "/tmp/tidemill-store-XXXXXX", path[64];
  REQUIRE(mkdtemp(dir));
  refuses(dir, "not a file");
  snprintf(path, sizeof path, "%s/notes.txt", dir);
  write_file(path, "shopping list\n");
  refuses(path, "another file");
  snprintf(path, sizeof path, "%s/other.db", dir);
  run_sql(path, "CREATE TABLE t (a)");
  refuses(path, "another program's SQLite database");
  snprintf(path, sizeof path, "%s/notes.txt/deeper/t.db", dir);
  refuses(path, "cannot be reached");
  refuses("/proc/tidemill/t.db", "cannot be created");
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", dir); /* and no lock beside it */
  CHECK_INT(system(command), 0);
}

static void a_newer_schema_is_refused(void) {
  box b;
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  tm_store_close(&b.store);
  char path[160], back[64];
  snprintf(back, sizeof back, "PRAGMA user_version = %d",
           number(box_path(&b, ""), "PRAGMA user_version"));
  run_sql(box_path(&b, ""), "PRAGMA user_version = 99");
  snprintf(path, sizeof path, "%s", box_path(&b, ""));
  refuses(path, "version 99");
  run_sql(path, back);
  box_reopen(&b);
  CHECK(box_run(&b, "r1"));
  box_close(&b);
}

static void a_newer_schema_that_is_only_in_the_log_is_refused_too(void) {
  box a, b;
  tm_err err = TM_ERR_INIT;
  box_open(&a, "sqlite");
  box_add_run(&a, "r1");
  run_sql(box_path(&a, ""), "PRAGMA user_version = 99");
  CHECK_INT(box_open_url(&b, a.url, &err), -1);
  CHECK_INT(err.code, TM_CONFIG);
  CHECK(strstr(err.msg, "version 99"));
  box_close(&b);
  box_close(&a);
}

/* In version 2 effects had the number of their run, and nothing said which sources it had had. */
static void effects_and_sources_of_version_2_are_kept(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  tm_effect_row key = {.ns = "flow", .action = "pay", .key = "k"}, row;
  box_open_old(
      &b, 2,
      "INSERT INTO tm_run (n, epoch, records, last, wake_at, created, updated, state, id)"
      " VALUES (1, 1, 2, 2, 0, 1, 1, 'done', 'r1');"
      "INSERT INTO tm_journal (pos, run, prev, seq, kind, body) VALUES (1, 1, 0, 0, 0, "
      "'{}'), (2, 1, 1, 1, 10, '{\"was\":\"c1\",\"now\":\"c2\"}');"
      "INSERT INTO tm_effect VALUES ('flow', 'pay', 'k', 'h', 1, '1', '7')");
  CHECK_INT(b.store->vt->effect(b.store, &key, &b.arena, &row, &err), 1);
  CHECK_STR(row.run, "r1");
  CHECK_STR(row.result, "7");
  CHECK_INT(number(box_path(&b, ""), "SELECT count(*) FROM tm_pin"), 2);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

/* What each schema added, with something in it: from that version on. */
static const char *const left_by[] = {
    NULL,
    "INSERT INTO tm_blob VALUES (1, 'f', x'00');"
    "INSERT INTO tm_closure VALUES (1, 'c', x'7b7d');"
    "INSERT INTO tm_run (n, epoch, wake_at, created, updated, state, id, workflow, closure)"
    " VALUES (1, 1, 0, 1, 1, 'queued', 'r1', 'flow', 'c');"
    "INSERT INTO tm_journal (pos, run, prev, seq, kind, body) VALUES (1, 1, 0, 0, 7, 'x');"
    "INSERT INTO tm_gate (n, run, id, name, place, state, opened, expires)"
    " VALUES (1, 1, 'r1/a@1', 'a', '1', 'open', 1, 0);"
    "INSERT INTO tm_decision (ns, name, key, value, run, at)"
    " VALUES ('flow', 'd', 'k', '5', 'r1', 1);",
    "INSERT INTO tm_signal VALUES (1, 1, 's', 'hello', '8', NULL, 1);"
    "INSERT INTO tm_lock VALUES (1, 1, 'flow', 'customer');",
    "INSERT INTO tm_cell VALUES ('rate', 1, '9');",
    "INSERT INTO tm_pin VALUES (1, 'c');",
    "INSERT INTO tm_cache (hash, value, at, expires) VALUES ('q', '10', 1, 0);",
    "INSERT INTO tm_spent VALUES ('all', '2026-11-20', 11, 1);"
    "INSERT INTO tm_spending (scope, run, place, day, nano)"
    " VALUES ('all', 1, '1', '2026-11-20', 12);",
    "INSERT INTO tm_order VALUES ('run:r1', 'r1', 'cancel', 2, '', '', 1);",
    "", /* another index */
    "UPDATE tm_spending SET calls = 0;",
    "", /* another table for what there was */
};
#define LEFT (sizeof left_by / sizeof left_by[0])

static int counted(void *ctx) {
  return ++*(int *)ctx, 0;
}
static int on_signal(void *ctx, const tm_signal_row *row) {
  CHECK_STR(row->body, "8");
  return counted(ctx);
}
static int on_lock(void *ctx, const tm_lock_row *row) {
  CHECK_STR(row->key, "customer");
  return counted(ctx);
}
static int on_cell(void *ctx, const tm_cell_row *row) {
  CHECK_STR(row->body, "9");
  return counted(ctx);
}
static int on_order(void *ctx, const tm_order_row *row) {
  CHECK_STR(row->target, "run:r1");
  return counted(ctx);
}

static void check_rest(box *b, unsigned version) {
  int n = 0;
  tm_err err = TM_ERR_INIT;
  tm_store *s = b->store;
  tm_cache_row answer;
  tm_spend_row spent = {.nano = 0};
  CHECK_INT(s->vt->signals(s, &(tm_signal_filter){.run = "r1"}, on_signal, &n, &err), 0);
  CHECK_INT(s->vt->locks(s, &(tm_lock_filter){.run = "r1"}, on_lock, &n, &err), 0);
  CHECK_INT(s->vt->cells(s, &(tm_cell_filter){.name = "rate"}, on_cell, &n, &err), 0);
  CHECK_INT(s->vt->orders(s, on_order, &n, &err), 0);
  CHECK_INT(n, (version > 1) * 2 + (version > 2) + (version > 6));
  CHECK_INT(s->vt->cached(s, "q", &b->arena, &answer, &err), version > 4);
  CHECK_INT(s->vt->account(s, "all", "2026-11-20", &spent, &err), 0);
  CHECK_INT(spent.nano, version > 5 ? 11 : 0);
  CHECK_INT(spent.held_nano, version > 5 ? 12 : 0);
  CHECK_INT(spent.held_calls, version > 5 && version < 9);
}

static void what_any_earlier_schema_held_is_there_now(void) {
  unsigned version = 1;
  for (; tm_migrate_step(version - 1); version++) {
    box b;
    char sql[4000] = "";
    const char *bytes;
    size_t len;
    tm_err err = TM_ERR_INIT;
    tm_effect_row effect = {.ns = "flow", .action = "pay", .key = "k"};
    tm_decision_row decision = {.ns = "flow", .name = "d", .key = "k"};
    REQUIRE(version < LEFT); /* a new schema wants a row above */
    for (unsigned v = 1; v <= version; v++)
      strncat(sql, left_by[v], sizeof sql - strlen(sql) - 1);
    snprintf(sql + strlen(sql), sizeof sql - strlen(sql),
             "INSERT INTO tm_effect VALUES ('flow', 'pay', 'k', 'h', %s, '1', '7'); %s",
             version < 4 ? "1" : "'r1'",
             version < 10 ? "UPDATE tm_run SET records = 1, last = 1"
                          : "INSERT INTO tm_head VALUES (1, 1, 1, 1)");
    box_open_old(&b, version, sql);
    CHECK_STR(box_run(&b, "r1")->state, "queued");
    CHECK_STR(box_journal(&b, "r1", 0), "0:x");
    CHECK_STR(box_gate(&b, "r1/a@1")->state, "open");
    CHECK_INT(b.store->vt->blob(b.store, "f", &b.arena, &bytes, &len, &err), 1);
    CHECK_INT(b.store->vt->closure(b.store, "c", &b.arena, &bytes, &len, &err), 1);
    CHECK_INT(b.store->vt->effect(b.store, &effect, &b.arena, &effect, &err), 1);
    CHECK_STR(effect.run, "r1");
    CHECK_STR(effect.result, "7");
    CHECK_INT(b.store->vt->decision(b.store, &decision, &b.arena, &decision, &err), 1);
    CHECK_STR(decision.value, "5");
    check_rest(&b, version);
    CHECK_STR(err.msg, "");
    CHECK_STR(box_verify(&b), "");
    box_close(&b);
  }
  CHECK_INT(version, LEFT);
}

static void unknown_urls_are_refused(void) {
  static const char *const urls[] = {"", "sqlite:", "postgres://x", "t.db", "memory:x"};
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    box b;
    tm_err err = TM_ERR_INIT;
    CHECK_INT(box_open_url(&b, urls[i], &err), -1);
    CHECK_INT(err.code, TM_CONFIG);
    box_close(&b);
  }
}

static void damage_is_found_and_never_read_over(void) {
  static const struct {
    const char *sql, *finding;
  } cases[] = {
      {"DELETE FROM tm_journal WHERE seq = 1", "gap before run r1, record 2"},
      {"DELETE FROM tm_journal WHERE seq = 2", "journal of run r1 does not end"},
      {"UPDATE tm_head SET records = 2", "journal of run r1 does not end"},
      {"UPDATE tm_journal SET run = 2 WHERE seq = 1", "gap before run r1, record 2"},
      {"INSERT INTO tm_journal (run, prev, seq, kind) VALUES (1, 0, 0, 1)",
       "has other records"},
      {"DELETE FROM tm_head", "has other records"},
      {"INSERT INTO tm_head VALUES (9, 1, 1, 1)", "run number 9, which does not exist"},
      {"UPDATE tm_gate SET decided = 5", "gate r1/a is open and decided"},
      {"UPDATE tm_effect SET run = 77", "the run that claimed it does not exist"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    box b;
    box_open(&b, "sqlite");
    box_add_run(&b, "r1");
    CHECK_INT(box_append(&b, "r1", 0, 3), TM_OK);
    tm_batch *batch = box_batch(&b);
    op_fence(batch, "r1", 1);
    tm_batch_add(batch, TM_OP_GATE_NEW)->u.gate.id = "r1/a";
    tm_batch_add(batch, TM_OP_EFFECT_CLAIM)->u.effect =
        (tm_effect_row){.ns = "flow", .action = "pay", .key = "k"};
    CHECK_INT(box_commit(&b, batch), TM_OK);
    CHECK_STR(box_verify(&b), "");
    tm_store_close(&b.store);
    run_sql(box_path(&b, ""), cases[i].sql);
    box_reopen(&b);
    const char *found = box_verify(&b);
    if (!strstr(found, cases[i].finding))
      CHECK_STR(found, cases[i].finding);
    if (i < 4)
      CHECK(strstr(box_journal(&b, "r1", 0), "the file is damaged"));
    box_close(&b);
  }
}

static void another_journal_mode_is_set_right(void) {
  box b;
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  tm_store_close(&b.store);
  run_sql(box_path(&b, ""), "PRAGMA journal_mode = DELETE");
  box_reopen(&b);
  CHECK_STR(box_verify(&b), "");
  CHECK(access(box_path(&b, "-wal"), F_OK) == 0);
  box_close(&b);
}

static void the_log_does_not_grow_without_end(void) {
  box b;
  struct stat st;
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  for (int64_t i = 0; i < 150; i++) { /* 15 MB of pages */
    tm_batch *batch = box_batch(&b);
    op_fence(batch, "r1", 1);
    char *body = tm_arena_alloc(&batch->arena, 100001);
    memset(body, 'x', 100000);
    body[100000] = '\0';
    op_record(batch, i, body);
    batch->alone = i % 2;
    CHECK_INT(box_commit(&b, batch), TM_OK);
  }
  CHECK(stat(box_path(&b, "-wal"), &st) == 0 && st.st_size < 7 * 1024 * 1024);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

/* -- more than one --------------------------------------------------------------------- */

static void two_handles_on_one_file_see_each_other(void) {
  box a, b;
  tm_err err = TM_ERR_INIT;
  box_open(&a, "sqlite");
  REQUIRE(box_open_url(&b, a.url, &err) == 0);
  box_add_run(&a, "r1");
  CHECK(b.store->vt->changed(b.store));
  CHECK(!b.store->vt->changed(b.store));
  CHECK(!a.store->vt->changed(a.store));
  CHECK(box_run(&b, "r1"));
  for (int64_t i = 0; i < 20; i++) /* each has to notice that its idea of the journal is old */
    CHECK_INT(box_append(i % 2 ? &a : &b, "r1", i, i + 1), TM_OK);
  CHECK(a.store->vt->changed(a.store));
  CHECK(b.store->vt->changed(b.store));
  CHECK_INT(box_run(&a, "r1")->records, 20);

  tm_batch *batch = box_batch(&b); /* b takes the run over; a is fenced out */
  op_claim(batch, "r1", 1, "b");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(box_append(&a, "r1", 20, 21), TM_OK);
  CHECK_INT(box_run(&a, "r1")->records, 20);
  box_close(&b);
  CHECK_STR(box_verify(&a), "");
  box_close(&a);
}

static int exit_status(pid_t pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

#define SHARED 150 /* records of each process */

/* One of several processes: its own run, and the shared counter for which all compete. */
static void compete(const char *url, int me) {
  box b;
  tm_err err = TM_ERR_INIT;
  char id[16];
  snprintf(id, sizeof id, "own-%d", me);
  if (box_open_url(&b, url, &err) < 0) {
    fprintf(stderr, "%s\n", err.msg);
    _exit(1);
  }
  tm_batch *batch = box_batch(&b);
  op_run(batch, id);
  box_send(&b, batch);
  for (int64_t i = 0; i < SHARED; i++) {
    batch = box_batch(&b);
    batch->alone = i % 3 == 0;
    op_claim(batch, "shared", i, id); /* exactly one of all processes gets each epoch */
    op_fence(batch, id, 1);
    op_record(batch, i, "x");
    if (box_commit(&b, batch) != TM_OK) {
      fprintf(stderr, "%s\n", b.err.msg);
      _exit(2);
    }
  }
  box_close(&b);
  _exit(0);
}

static void processes_share_a_file(void) {
  box b;
  pid_t pids[3];
  box_open(&b, "sqlite");
  tm_batch *batch = box_batch(&b);
  op_run(batch, "shared")->u.run.epoch = 0;
  CHECK_INT(box_commit(&b, batch), TM_OK);
  tm_store_close(&b.store); /* SQLite's connections must not be taken through fork */
  for (int i = 0; i < 3; i++)
    if ((pids[i] = fork()) == 0)
      compete(b.url, i);
  for (int i = 0; i < 3; i++)
    CHECK_INT(exit_status(pids[i]), 0);
  box_reopen(&b);
  CHECK_INT(box_run(&b, "shared")->epoch, SHARED);
  CHECK_INT(box_run(&b, "own-0")->records, SHARED);
  CHECK_INT(box_run(&b, "own-1")->records, SHARED);
  CHECK_INT(box_run(&b, "own-2")->records, SHARED);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void processes_may_all_create_the_file(void) {
  box b;
  pid_t pids[4];
  box_open(&b, "sqlite");
  tm_store_close(&b.store);
  char command[160];
  snprintf(command, sizeof command, "rm -r %s/db", b.dir);
  CHECK_INT(system(command), 0);
  for (int i = 0; i < 4; i++)
    if ((pids[i] = fork()) == 0) {
      box_reopen(&b);
      char id[16];
      snprintf(id, sizeof id, "r%d", i);
      box_add_run(&b, id);
      tm_store_close(&b.store);
      _exit((int)b.err.code);
    }
  for (int i = 0; i < 4; i++)
    CHECK_INT(exit_status(pids[i]), 0);
  box_reopen(&b);
  CHECK_INT((int)strlen(box_ids(&b, &(tm_run_filter){.prefix = "r"})), 11);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void a_lock_that_stays_taken_is_told_with_its_holder(void) {
  box b;
  char pid[32];
  box_open(&b, "sqlite");
  tm_store_close(&b.store);
  b.host.busy_ms = 5;
  box_reopen(&b);
  int fd = open(box_path(&b, ".lock"), O_RDWR);
  CHECK_INT(flock(fd, LOCK_EX), 0);
  tm_batch *batch = box_batch(&b);
  batch->alone = true; /* must not wait on this thread, and be told like any other */
  op_run(batch, "r1");
  CHECK_INT(box_commit(&b, batch), TM_TEMP);
  snprintf(pid, sizeof pid, "process %d ", (int)getpid());
  if (!strstr(b.err.msg, pid))
    CHECK_STR(b.err.msg, pid);
  close(fd);
  batch = box_batch(&b); /* it may rest on the batch that failed */
  op_run(batch, "r2");
  CHECK_INT(box_commit(&b, batch), TM_TEMP);
  box_reopen(&b);
  CHECK_STR(box_ids(&b, &(tm_run_filter){.id = NULL}), "");
  box_add_run(&b, "r1");
  box_close(&b);
}

CHECK_SUITE(store_file) {
  CHECK_RUN(the_file_is_for_its_owner_only);
  CHECK_RUN(it_is_all_there_after_reopening);
  CHECK_RUN(a_file_that_is_not_ours_is_refused_and_not_touched);
  CHECK_RUN(a_newer_schema_is_refused);
  CHECK_RUN(a_newer_schema_that_is_only_in_the_log_is_refused_too);
  CHECK_RUN(effects_and_sources_of_version_2_are_kept);
  CHECK_RUN(what_any_earlier_schema_held_is_there_now);
  CHECK_RUN(unknown_urls_are_refused);
  CHECK_RUN(damage_is_found_and_never_read_over);
  CHECK_RUN(another_journal_mode_is_set_right);
  CHECK_RUN(the_log_does_not_grow_without_end);
  CHECK_RUN(two_handles_on_one_file_see_each_other);
  CHECK_RUN(processes_share_a_file);
  CHECK_RUN(processes_may_all_create_the_file);
  CHECK_RUN(a_lock_that_stays_taken_is_told_with_its_holder);
}
