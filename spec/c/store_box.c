/* store_box.c - a store in a box, for its tests. */
#include "store_box.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"
#include "store/apply.h"
#include "store/migrate.h"

/* -- the owner's thread ---------------------------------------------------------------- */

static void post(void *ctx, void (*fn)(void *arg), void *arg) {
  box *b = ctx;
  parcel *p = tm_new(parcel);
  *p = (parcel){fn, arg, NULL};
  pthread_mutex_lock(&b->mutex);
  *b->last = p;
  b->last = &p->next;
  pthread_cond_signal(&b->come);
  pthread_mutex_unlock(&b->mutex);
}

static void take_one(box *b) {
  pthread_mutex_lock(&b->mutex);
  while (!b->first)
    pthread_cond_wait(&b->come, &b->mutex);
  parcel *p = b->first;
  b->first = p->next;
  if (!b->first)
    b->last = &b->first;
  pthread_mutex_unlock(&b->mutex);
  p->fn(p->arg);
  tm_free(p);
}

static void keep_found(box *b, const tm_op *op) {
  tm_err err = TM_ERR_INIT;
  if (op->kind == TM_OP_RUN_NEW && op->found.run) {
    tm_run_row *row = tm_arena_new(&b->arena, tm_run_row);
    tm_apply_copy_run(&b->arena, row, op->found.run, &err);
    b->found_run = row;
  } else if (op->kind == TM_OP_EFFECT_CLAIM && op->found.effect) {
    tm_effect_row *row = tm_arena_new(&b->arena, tm_effect_row);
    tm_apply_copy_effect(&b->arena, row, op->found.effect, &err);
    b->found_effect = row;
  }
}

static void told(tm_batch *batch, const tm_err *err) {
  box *b = batch->ctx;
  size_t i = 0;
  b->told++;
  b->err = *err;
  b->found_run = NULL;
  b->found_effect = NULL;
  for (tm_op *op = batch->first; op; op = op->next, i++) {
    if (i < sizeof b->statuses / sizeof b->statuses[0])
      b->statuses[i] = op->status;
    keep_found(b, op);
  }
  tm_batch_free(&batch);
}

/* -- opening --------------------------------------------------------------------------- */

static int64_t fixed_time(void *ctx) {
  (void)ctx;
  return 1000;
}

static const tm_clock fixed_clock = {fixed_time, fixed_time, NULL};

int box_open_url(box *b, const char *url, tm_err *err) {
  *b = (box){.last = NULL};
  b->last = &b->first;
  b->host = (tm_store_host){.post = post, .ctx = b, .clock = &fixed_clock};
  pthread_mutex_init(&b->mutex, NULL);
  pthread_cond_init(&b->come, NULL);
  tm_arena_init(&b->arena, 0);
  snprintf(b->url, sizeof b->url, "%s", url);
  return tm_store_open(&b->store, url, &b->host, err);
}

static void must(int rc, const tm_err *err) {
  if (rc == 0)
    return;
  fprintf(stderr, "store_box: %s\n", err->msg);
  abort();
}

void box_open(box *b, const char *kind) {
  char dir[] = "/tmp/tidemill-store-XXXXXX", url[128];
  tm_err err = TM_ERR_INIT;
  bool file = strcmp(kind, "sqlite") == 0;
  if (file && !mkdtemp(dir))
    abort();
  if (file)
    snprintf(url, sizeof url, "sqlite:%s/db/t.db", dir);
  must(box_open_url(b, file ? url : "memory:", &err), &err);
  if (file)
    memcpy(b->dir, dir, sizeof dir);
}

static void must_sql(sqlite3 *db, const char *sql) {
  char *msg = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &msg) == SQLITE_OK)
    return;
  fprintf(stderr, "store_box: %s\n", msg);
  abort();
}

void box_open_old(box *b, unsigned version, const char *sql) {
  sqlite3 *db;
  box_open(b, "sqlite");
  tm_store_close(&b->store);
  if (unlink(box_path(b, "")) != 0 || sqlite3_open(box_path(b, ""), &db) != SQLITE_OK)
    abort();
  must_sql(db, "PRAGMA application_id = 1416456556; PRAGMA journal_mode = WAL");
  for (unsigned v = 0; v < version; v++)
    must_sql(db, tm_migrate_step(v));
  must_sql(db, sql);
  sqlite3_close(db);
  chmod(box_path(b, ""), 0600);
  box_reopen(b);
}

void box_reopen(box *b) {
  tm_err err = TM_ERR_INIT;
  tm_store_close(&b->store);
  must(tm_store_open(&b->store, b->url, &b->host, &err), &err);
}

const char *box_path(const box *b, const char *end) {
  static char path[160];
  snprintf(path, sizeof path, "%s%s", b->url + strlen("sqlite:"), end);
  return path;
}

tm_buf box_slurp(const char *path) {
  tm_buf all = TM_BUF_INIT;
  char part[4096];
  FILE *f = fopen(path, "r");
  for (size_t n; f && (n = fread(part, 1, sizeof part, f)) > 0;)
    tm_buf_put(&all, part, n);
  if (f)
    fclose(f);
  return all;
}

void box_close(box *b) {
  tm_store_close(&b->store);
  box_wait(b);
  if (b->dir[0]) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
    if (system(command) != 0)
      abort();
  }
  tm_arena_free(&b->arena);
  pthread_cond_destroy(&b->come);
  pthread_mutex_destroy(&b->mutex);
}

/* -- writing --------------------------------------------------------------------------- */

tm_batch *box_batch(box *b) {
  tm_batch *batch = tm_batch_new();
  batch->done = told;
  batch->ctx = b;
  return batch;
}

void box_send(box *b, tm_batch *batch) {
  b->sent++;
  b->store->vt->commit(b->store, batch);
}

void box_wait(box *b) {
  while (b->told < b->sent)
    take_one(b);
}

tm_code box_commit(box *b, tm_batch *batch) {
  box_send(b, batch);
  box_wait(b);
  return b->err.code;
}

tm_op *op_run(tm_batch *b, const char *id) {
  tm_op *op = tm_batch_add(b, TM_OP_RUN_NEW);
  op->u.run =
      (tm_run_row){.id = tm_arena_strdup(&b->arena, id), .workflow = "flow", .state = "queued"};
  op->u.run.epoch = 1;
  return op;
}

tm_op *op_fence(tm_batch *b, const char *id, int64_t epoch) {
  tm_op *op = tm_batch_add(b, TM_OP_FENCE);
  op->u.run.id = tm_arena_strdup(&b->arena, id);
  op->u.run.epoch = epoch;
  return op;
}

tm_op *op_claim(tm_batch *b, const char *id, int64_t epoch, const char *owner) {
  tm_op *op = tm_batch_add(b, TM_OP_RUN_CLAIM);
  op->u.run.id = tm_arena_strdup(&b->arena, id);
  op->u.run.epoch = epoch;
  op->u.run.owner = tm_arena_strdup(&b->arena, owner);
  return op;
}

tm_op *op_record(tm_batch *b, int64_t seq, const char *body) {
  tm_op *op = tm_batch_add(b, TM_OP_RECORD);
  op->u.record = (tm_record){.seq = seq,
                             .kind = 7,
                             .place = "1.2",
                             .name = "unit",
                             .body = tm_arena_strdup(&b->arena, body),
                             .body_len = strlen(body),
                             .chain = "c0ffee"};
  return op;
}

tm_op *op_state(tm_batch *b, const char *state) {
  tm_op *op = tm_batch_add(b, TM_OP_RUN_SET);
  op->u.run.state = state;
  return op;
}

void box_add_run(box *b, const char *id) {
  tm_batch *batch = box_batch(b);
  op_run(batch, id);
  CHECK_INT(box_commit(b, batch), TM_OK);
}

tm_code box_append(box *b, const char *id, int64_t from, int64_t to) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, id, 1);
  for (int64_t seq = from; seq < to; seq++)
    op_record(batch, seq, "x");
  return box_commit(b, batch);
}

/* -- reading --------------------------------------------------------------------------- */

typedef struct reading {
  box *b;
  tm_buf text;
  tm_run_row *run;
  tm_gate_row *gate;
} reading;

static const char *take(reading *r) {
  const char *s = tm_arena_strdup(&r->b->arena, tm_buf_str(&r->text));
  tm_buf_free(&r->text);
  return s;
}

static void separate(reading *r) {
  if (r->text.len)
    tm_buf_putc(&r->text, ' ');
}

static int on_run(void *ctx, const tm_run_row *row) {
  reading *r = ctx;
  tm_err err = TM_ERR_INIT;
  r->run = tm_arena_new(&r->b->arena, tm_run_row);
  tm_apply_copy_run(&r->b->arena, r->run, row, &err);
  separate(r);
  tm_buf_puts(&r->text, row->id);
  return 0;
}

static int on_record(void *ctx, const tm_record *rec) {
  reading *r = ctx;
  separate(r);
  tm_buf_printf(&r->text, "%lld:", (long long)rec->seq);
  tm_buf_put(&r->text, rec->body, rec->body_len);
  return 0;
}

static int on_gate(void *ctx, const tm_gate_row *row) {
  reading *r = ctx;
  tm_err err = TM_ERR_INIT;
  r->gate = tm_arena_new(&r->b->arena, tm_gate_row);
  tm_apply_copy_gate(&r->b->arena, r->gate, row, &err);
  separate(r);
  tm_buf_puts(&r->text, row->id);
  return 0;
}

static void on_finding(void *ctx, const char *finding) {
  reading *r = ctx;
  tm_buf_printf(&r->text, "%s\n", finding);
}

const tm_run_row *box_run(box *b, const char *id) {
  reading r = {.b = b};
  tm_err err = TM_ERR_INIT;
  tm_run_filter f = {.id = id};
  CHECK_INT(b->store->vt->runs(b->store, &f, on_run, &r, &err), 0);
  tm_buf_free(&r.text);
  return r.run;
}

const char *box_ids(box *b, const tm_run_filter *f) {
  reading r = {.b = b};
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->runs(b->store, f, on_run, &r, &err), 0);
  return take(&r);
}

const char *box_journal(box *b, const char *id, int64_t from) {
  reading r = {.b = b};
  tm_err err = TM_ERR_INIT;
  if (b->store->vt->journal(b->store, id, from, on_record, &r, &err) < 0)
    tm_buf_puts(&r.text, err.msg);
  return take(&r);
}

const tm_gate_row *box_gate(box *b, const char *id) {
  reading r = {.b = b};
  tm_err err = TM_ERR_INIT;
  tm_gate_filter f = {.id = id};
  CHECK_INT(b->store->vt->gates(b->store, &f, on_gate, &r, &err), 0);
  tm_buf_free(&r.text);
  return r.gate;
}

const char *box_gates(box *b, const tm_gate_filter *f) {
  reading r = {.b = b};
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->gates(b->store, f, on_gate, &r, &err), 0);
  return take(&r);
}

const char *box_verify(box *b) {
  reading r = {.b = b};
  tm_err err = TM_ERR_INIT;
  int rc = b->store->vt->verify(b->store, on_finding, &r, &err);
  if (rc < 0)
    tm_buf_puts(&r.text, err.msg);
  CHECK_INT(rc != 0, r.text.len != 0);
  return take(&r);
}
