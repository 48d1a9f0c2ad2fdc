/* sqlite_write.c - batches into transactions, op by op.
 *
 * The journal's end of a run (its head) is kept in memory while the run writes: a
 * fence is then a look into a map, and however many records a transaction brings,
 * tm_head hears of them once, before COMMIT.
 *
 *   take the lock (caller) ─ BEGIN IMMEDIATE ─ did others commit? forget the heads
 *     ─ ops of all batches ─ heads into tm_head ─ COMMIT, one sync ─ drop the lock (caller)
 */
#include "store/sqlite_write.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "store/apply.h"
#include "store/sqlite_cell.h"
#include "store/sqlite_drop.h"
#include "store/sqlite_effect.h"
#include "store/sqlite_order.h"
#include "store/sqlite_queue.h"
#include "store/sqlite_read.h"
#include "store/sqlite_reuse.h"
#include "store/sqlite_spend.h"
#include "store/sqlite_user.h"

#define HEADS_MAX       8192 /* runs; then the map starts afresh */
#define OWNER_MAX       96
#define PAGE            4096
#define FRAME           (PAGE + 24)
#define WAL_AHEAD       (128 * 1024)
#define WAL_MARGIN      16   /* frames that a small commit may need */
#define CHECKPOINT_FROM 1000 /* frames: about 4 MB */

struct tm_head {
  const char *id;
  int64_t n, epoch;
  int64_t records, last; /* the journal's length, and pos of its newest record */
  int64_t updated;
  char owner[OWNER_MAX]; /* what is longer is told from others by its beginning */
  bool dirty;
  tm_head *next_dirty;
};

/* -- heads ----------------------------------------------------------------------------- */

static void forget_heads(tm_writer *w) {
  tm_map_free(&w->heads);
  tm_map_free(&w->known);
  tm_arena_reset(&w->arena);
  w->dirty = NULL;
}

static tm_head *keep_head(tm_writer *w, const char *id, tm_head head) {
  tm_head *h = tm_arena_new(&w->arena, tm_head);
  *h = head;
  h->id = tm_arena_strdup(&w->arena, id);
  tm_map_set(&w->heads, id, h);
  return h;
}

static void keep_owner(tm_head *h, const char *owner) {
  snprintf(h->owner, sizeof h->owner, "%s", owner ? owner : "");
}

/* 1 found, 0 there is no such run, -1. */
static int find_head(tm_writer *w, const char *id, tm_head **out, tm_err *err) {
  tm_use u;
  *out = tm_map_get(&w->heads, id);
  if (*out)
    return 1;
  if (tm_conn_use(&u, &w->conn, TM_SQL_HEAD, err) < 0)
    return -1;
  tm_conn_text(&u, id);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    *out = keep_head(w, id,
                     (tm_head){.n = tm_conn_num(&u, 0),
                               .epoch = tm_conn_num(&u, 1),
                               .records = tm_conn_num(&u, 2),
                               .last = tm_conn_num(&u, 3)});
    keep_owner(*out, tm_conn_col(&u, 4));
  }
  tm_conn_end(&u);
  return rc;
}

static void touch(tm_writer *w, tm_head *h, int64_t at) {
  h->updated = at;
  if (h->dirty)
    return;
  h->dirty = true;
  h->next_dirty = w->dirty;
  w->dirty = h;
}

static int flush_heads(tm_writer *w, tm_err *err) {
  for (; w->dirty; w->dirty = w->dirty->next_dirty) {
    tm_head *h = w->dirty;
    tm_use u;
    if (tm_conn_use(&u, &w->conn, TM_SQL_HEAD_SET, err) < 0)
      return -1;
    tm_conn_int(&u, h->n);
    tm_conn_int(&u, h->records);
    tm_conn_int(&u, h->last);
    tm_conn_int(&u, h->updated);
    if (tm_conn_run(&u, err) < 0)
      return -1;
    h->dirty = false;
  }
  return 0;
}

int tm_writer_forget(tm_writer *w, const char *run, tm_err *err) {
  if (flush_heads(w, err) < 0)
    return -1;
  tm_map_remove(&w->heads, run);
  return 0;
}

/* -- ops: runs and records ------------------------------------------------------------- */

static int run_taken(tm_writer *w, tm_batch *b, tm_op *op, tm_err *err) {
  tm_run_row *found = tm_arena_new(&b->arena, tm_run_row);
  op->status = TM_OP_EXISTS;
  op->found.run = found;
  if (flush_heads(w, err) < 0) /* the row must not lag behind the journal */
    return -1;
  return tm_read_find_run(&w->conn, op->u.run.id, &b->arena, found, err) < 0 ? -1 : 0;
}

static int run_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_run_row *r = &op->u.run;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_RUN_NEW, err) < 0)
    return -1;
  tm_conn_int(&u, r->epoch);
  tm_conn_int(&u, r->wake_at);
  tm_conn_int(&u, r->created ? r->created : b->at);
  tm_conn_int(&u, b->at);
  tm_conn_text(&u, r->state);
  tm_conn_text(&u, r->id);
  tm_conn_text(&u, r->workflow);
  tm_conn_text(&u, r->owner);
  tm_conn_text(&u, r->closure);
  tm_conn_text(&u, r->input_hash);
  tm_conn_text(&u, r->parent);
  tm_conn_text(&u, r->reason);
  tm_conn_text(&u, r->result);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  if (!tm_conn_hit(&w->conn))
    return run_taken(w, b, op, err);
  int64_t n = sqlite3_last_insert_rowid(w->conn.db);
  w->guarded = keep_head(w, r->id, (tm_head){.n = n, .epoch = r->epoch});
  keep_owner(w->guarded, r->owner);
  return 0;
}

static int run_claim(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  tm_head *h;
  tm_use u;
  if (find_head(w, op->u.run.id, &h, err) < 0)
    return -1;
  if (!h || !tm_apply_claims(op, h->epoch, h->records)) {
    op->status = TM_OP_LOST;
    return 0;
  }
  if (tm_conn_use(&u, &w->conn, TM_SQL_RUN_CLAIM, err) < 0)
    return -1;
  tm_conn_int(&u, h->n);
  tm_conn_text(&u, op->u.run.owner);
  tm_conn_int(&u, b->at);
  h->epoch++;
  keep_owner(h, op->u.run.owner);
  w->guarded = h;
  return tm_conn_run(&u, err);
}

static int fence(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  if (find_head(w, op->u.run.id, &w->guarded, err) < 0)
    return -1;
  if (!w->guarded ||
      !tm_apply_fenced_by(op, w->guarded->epoch, w->guarded->owner, OWNER_MAX - 1))
    op->status = TM_OP_FENCED;
  return 0;
}

static tm_head *guarded(tm_writer *w) {
  assert(w->guarded && "an op that needs a run stands outside of any group");
  return w->guarded;
}

int64_t tm_writer_guarded(const tm_writer *w) {
  assert(w->guarded && "an op that needs a run stands outside of any group");
  return w->guarded->n;
}

const char *tm_writer_guarded_id(const tm_writer *w) {
  assert(w->guarded && "an op that needs a run stands outside of any group");
  return w->guarded->id;
}

int tm_writer_run(tm_use *u, tm_op *op, tm_op_status missed, tm_err *err) {
  tm_conn *c = u->conn;
  if (tm_conn_run(u, err) < 0)
    return -1;
  if (!tm_conn_hit(c))
    op->status = missed;
  return 0;
}

static int run_set(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_run_row *r = &op->u.run;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, r->state ? TM_SQL_RUN_SET : TM_SQL_RUN_OWNER, err) < 0)
    return -1;
  keep_owner(guarded(w), r->owner);
  tm_conn_int(&u, guarded(w)->n);
  tm_conn_text(&u, r->owner);
  tm_conn_int(&u, b->at);
  if (r->state) {
    tm_conn_text(&u, r->state);
    tm_conn_text(&u, r->reason);
    tm_conn_int(&u, r->wake_at);
    tm_conn_text(&u, r->result);
  }
  return tm_conn_run(&u, err);
}

/* The closure that the guarded run has now is kept as long as the run is. */
static int pin(tm_writer *w, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_PIN, err) < 0)
    return -1;
  tm_conn_int(&u, guarded(w)->n);
  return tm_conn_run(&u, err);
}

static int run_pin(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  tm_use u;
  if (pin(w, err) < 0 || tm_conn_use(&u, &w->conn, TM_SQL_RUN_PIN, err) < 0)
    return -1;
  tm_conn_int(&u, guarded(w)->n);
  tm_conn_text(&u, op->u.run.closure);
  tm_conn_int(&u, b->at);
  return tm_conn_run(&u, err) < 0 ? -1 : pin(w, err);
}

static int record(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  tm_head *h = guarded(w);
  const tm_record *r = &op->u.record;
  tm_use u;
  if (tm_apply_check_seq(r, h->records, err) < 0 ||
      tm_conn_use(&u, &w->conn, TM_SQL_RECORD, err) < 0)
    return -1;
  tm_conn_int(&u, h->n);
  tm_conn_int(&u, h->last);
  tm_conn_int(&u, r->seq);
  tm_conn_int(&u, r->kind);
  tm_conn_text(&u, r->place);
  tm_conn_text(&u, r->name);
  tm_conn_text(&u, r->chain);
  tm_conn_textn(&u, r->body, r->body_len);
  if (tm_conn_run(&u, err) < 0)
    return -1;
  h->last = sqlite3_last_insert_rowid(w->conn.db);
  h->records++;
  w->records++;
  touch(w, h, b->at);
  return 0;
}

/* -- ops: contents --------------------------------------------------------------------- */

static int put_once(tm_writer *w, tm_sql which, const tm_content *c, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, which, err) < 0)
    return -1;
  tm_conn_text(&u, c->hash);
  tm_conn_bytes(&u, c->bytes, c->len);
  return tm_conn_run(&u, err);
}

static int blob(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  return put_once(ctx, TM_SQL_BLOB, &op->u.blob, err);
}

/* 1 stored, 0 not, -1 */
static int has_closure(tm_writer *w, const char *hash, tm_err *err) {
  tm_use u;
  if (tm_map_get(&w->known, hash))
    return 1;
  if (tm_conn_use(&u, &w->conn, TM_SQL_HAS_CLOSURE, err) < 0)
    return -1;
  tm_conn_text(&u, hash);
  int rc = tm_conn_step(&u, err);
  tm_conn_end(&u);
  return rc;
}

/* Where a closure is, its files are: they are dropped after it. */
static int closure(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b;
  tm_writer *w = ctx;
  const tm_content *manifest = &op->u.closure.manifest;
  int rc = has_closure(w, manifest->hash, err);
  for (size_t i = 0; rc == 0 && i < op->u.closure.count; i++)
    rc = put_once(w, TM_SQL_BLOB, &op->u.closure.files[i], err);
  if (rc == 0)
    rc = put_once(w, TM_SQL_CLOSURE, manifest, err);
  tm_map_set(&w->known, manifest->hash, w);
  return rc < 0 ? -1 : 0;
}

/* -- ops: gates ------------------------------------------------------------------------ */

static int gate_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_gate_row *g = &op->u.gate;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_GATE_NEW, err) < 0)
    return -1;
  tm_conn_int(&u, guarded(w)->n);
  tm_conn_text(&u, g->id);
  tm_conn_text(&u, g->place);
  tm_conn_text(&u, g->name);
  tm_conn_text(&u, g->digest);
  tm_conn_text(&u, g->body);
  tm_conn_int(&u, g->opened ? g->opened : b->at);
  tm_conn_int(&u, g->expires);
  return tm_writer_run(&u, op, TM_OP_EXISTS, err);
}

static int gate_decide(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  const tm_gate_row *g = &op->u.gate;
  tm_use u;
  w->guarded = NULL;
  if (tm_conn_use(&u, &w->conn, TM_SQL_GATE_DECIDE, err) < 0)
    return -1;
  tm_conn_text(&u, g->id);
  tm_conn_text(&u, g->digest);
  tm_conn_text(&u, g->state);
  tm_conn_text(&u, g->decision);
  tm_conn_text(&u, g->by);
  tm_conn_int(&u, g->decided ? g->decided : b->at);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

static int gate_close(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  tm_writer *w = ctx;
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_GATE_CLOSE, err) < 0)
    return -1;
  tm_conn_text(&u, op->u.gate.id);
  tm_conn_int(&u, guarded(w)->n);
  tm_conn_int(&u, b->at);
  return tm_writer_run(&u, op, TM_OP_LOST, err);
}

/* From outside of any group. */
static int signal_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  ((tm_writer *)ctx)->guarded = NULL;
  return tm_queue_signal(ctx, b, op, err);
}

static int order_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  ((tm_writer *)ctx)->guarded = NULL;
  return tm_sqlite_order_give(ctx, b, op, err);
}

static int order_lift(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  ((tm_writer *)ctx)->guarded = NULL;
  return tm_sqlite_order_lift(ctx, b, op, err);
}

static int decision_void(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  ((tm_writer *)ctx)->guarded = NULL;
  return tm_reuse_void(ctx, b, op, err);
}

static const tm_apply_fn apply_fns[TM_OP_KINDS] = {
    [TM_OP_RUN_NEW] = run_new,
    [TM_OP_RUN_CLAIM] = run_claim,
    [TM_OP_FENCE] = fence,
    [TM_OP_RUN_SET] = run_set,
    [TM_OP_RUN_PIN] = run_pin,
    [TM_OP_RECORD] = record,
    [TM_OP_BLOB] = blob,
    [TM_OP_CLOSURE] = closure,
    [TM_OP_GATE_NEW] = gate_new,
    [TM_OP_GATE_DECIDE] = gate_decide,
    [TM_OP_GATE_CLOSE] = gate_close,
    [TM_OP_EFFECT_CLAIM] = tm_sqlite_effect_claim,
    [TM_OP_EFFECT_DONE] = tm_sqlite_effect_done,
    [TM_OP_EFFECT_DROP] = tm_sqlite_effect_drop,
    [TM_OP_EFFECT_TAKE] = tm_sqlite_effect_take,
    [TM_OP_DECISION] = tm_reuse_decide,
    [TM_OP_DECISION_VOID] = decision_void,
    [TM_OP_CACHE] = tm_reuse_cache,
    [TM_OP_SIGNAL_NEW] = signal_new,
    [TM_OP_SIGNAL_EMIT] = tm_queue_signal,
    [TM_OP_SIGNAL_CONSUME] = tm_queue_consume,
    [TM_OP_SIGNAL_FREE] = tm_queue_free,
    [TM_OP_SIGNAL_MOVE] = tm_queue_move,
    [TM_OP_LOCK_WANT] = tm_queue_want,
    [TM_OP_LOCK_DROP] = tm_queue_drop,
    [TM_OP_CELL_PUT] = tm_cell_put,
    [TM_OP_RUN_DROP] = tm_drop_run,
    [TM_OP_SWEEP] = tm_drop_sweep,
    [TM_OP_CLOSURE_DROP] = tm_drop_closure,
    [TM_OP_BLOB_DROP] = tm_drop_blob,
    [TM_OP_ORDER_NEW] = order_new,
    [TM_OP_ORDER_GIVE] = tm_sqlite_order_give,
    [TM_OP_ORDER_LIFT] = order_lift,
    [TM_OP_ORDER_DONE] = tm_sqlite_order_done,
    [TM_OP_SPEND_HOLD] = tm_sqlite_spend_hold,
    [TM_OP_SPEND_ADD] = tm_sqlite_spend_add,
    [TM_OP_SPEND_DROP] = tm_sqlite_spend_drop,
};

/* -- transactions ---------------------------------------------------------------------- */

static int run_plain(tm_writer *w, tm_sql which, tm_err *err) {
  tm_use u;
  return tm_conn_use(&u, &w->conn, which, err) < 0 ? -1 : tm_conn_run(&u, err);
}

static int read_version(tm_writer *w, int64_t *out, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, &w->conn, TM_SQL_VERSION, err) < 0)
    return -1;
  int rc = tm_conn_step(&u, err);
  if (rc == 1)
    *out = tm_conn_num(&u, 0);
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

/* When others committed: remember that they did, and forget what they may have changed. */
static int notice_others(tm_writer *w, tm_err *err) {
  int64_t version = w->version;
  if (read_version(w, &version, err) < 0)
    return -1;
  bool others = version != w->version;
  w->version = version;
  w->foreign |= others;
  if (others || w->heads.count > HEADS_MAX)
    forget_heads(w);
  return 0;
}

/* A commit that makes its log longer has to sync the file's new size too, which takes twice the
 * time of one that overwrites. So the log is grown ahead, by zeros (no frame starts with them),
 * in single pages: pages written by one large write are also written back as one. Only inside
 * our transaction, when nobody else appends; a failure shows in the real write. */
static void grow_log(tm_writer *w) {
  static const char zeros[PAGE];
  sqlite3_file *log = NULL;
  int64_t need = (int64_t)(w->wal_frames + WAL_MARGIN) * FRAME;
  sqlite3_int64 size = 0;
  if (need <= w->wal_bytes)
    return;
  if (sqlite3_file_control(w->conn.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != 0 ||
      !log->pMethods || log->pMethods->xFileSize(log, &size) != SQLITE_OK)
    return;
  int ahead = size < need ? WAL_AHEAD / PAGE : 0;
  for (int i = 0; i < ahead; i++, size += PAGE)
    if (log->pMethods->xWrite(log, zeros, PAGE, size) != SQLITE_OK)
      break;
  w->wal_bytes = size;
}

static void pass_points(int64_t n, const char *point) {
  for (int64_t i = 0; tm_fault_armed && i < n; i++)
    tm_fault_hit(point);
}

static int commit(tm_writer *w, tm_err *err) {
  pass_points(w->records, "record.pre");
  TM_FAULT("store.commit.pre");
  if (run_plain(w, TM_SQL_COMMIT, err) < 0)
    return tm_err_set(
        err, err->code,
        "%s. The outcome is unknown: the last step may be in the database or not, "
        "and the next start reads it back",
        err->msg);
  TM_FAULT("store.commit.post");
  pass_points(w->records, "record.post");
  return 0;
}

static int begin(tm_writer *w, tm_err *err) {
  if (w->open)
    return 0;
  if (run_plain(w, TM_SQL_BEGIN, err) < 0 || notice_others(w, err) < 0)
    return -1;
  grow_log(w);
  return 0;
}

static void roll_back(tm_writer *w) {
  tm_err ignored = TM_ERR_INIT;
  if (!sqlite3_get_autocommit(w->conn.db))
    run_plain(w, TM_SQL_ROLLBACK, &ignored);
  forget_heads(w);
}

static int fill(tm_writer *w, tm_batch *first, const tm_batch *end, tm_err *err) {
  for (tm_batch *b = first; b != end; b = b->next) {
    w->guarded = NULL;
    if (tm_apply_batch(apply_fns, w, b, err) < 0)
      return -1;
  }
  return flush_heads(w, err);
}

int tm_writer_commit(tm_writer *w, tm_batch *first, const tm_batch *end, tm_err *err) {
  assert((w->open || w->broken.code == TM_OK) && "a broken writer was asked to write");
  w->records = 0;
  bool written = w->broken.code == TM_OK && begin(w, &w->broken) == 0 &&
                 fill(w, first, end, &w->broken) == 0 && commit(w, &w->broken) == 0;
  w->open = false;
  if (written)
    return 0;
  roll_back(w);
  *err = w->broken;
  return -1;
}

int tm_writer_begin(tm_writer *w, tm_err *err) {
  if (w->broken.code != TM_OK) {
    *err = w->broken;
    return -1;
  }
  if (begin(w, err) < 0) {
    roll_back(w);
    return -1;
  }
  w->open = true;
  return 0;
}

int tm_writer_query(tm_writer *w, const tm_query *q, tm_arena *a, tm_rows *out, tm_err *err) {
  assert(w->open);
  if (w->broken.code == TM_OK && tm_user_query(&w->conn, q, a, out, err) == 0)
    return 0;
  if (w->broken.code != TM_OK)
    *err = w->broken;
  else if (err->code != TM_USAGE && err->code != TM_CONFLICT && err->code != TM_LIMIT)
    w->broken = *err; /* the disk's, not the statement's: what is left of the transaction? */
  return -1;
}

void tm_writer_abandon(tm_writer *w) {
  roll_back(w);
  w->open = false;
}

bool tm_writer_foreign(tm_writer *w) {
  tm_err ignored = TM_ERR_INIT;
  if (w->broken.code == TM_OK)
    notice_others(w, &ignored);
  bool foreign = w->foreign;
  w->foreign = false;
  return foreign;
}

/* -- the log --------------------------------------------------------------------------- */

/* Called by SQLite after each commit of this connection. */
static int on_commit(void *ctx, sqlite3 *db, const char *name, int frames) {
  (void)db, (void)name;
  tm_writer *w = ctx;
  w->wal_frames = frames;
  return SQLITE_OK;
}

bool tm_writer_wants_checkpoint(const tm_writer *w) {
  return w->wal_frames >= w->checkpoint_at && w->broken.code == TM_OK;
}

/* Passive: never waits for readers; what they still need is copied the next time. The log then
 * starts over at its beginning, so that its pages are overwritten and not appended. A failure
 * is not one of durability (the log has it all) and shows again in a commit if it matters. */
void tm_writer_checkpoint(tm_writer *w) {
  int log = 0, copied = 0;
  sqlite3_wal_checkpoint_v2(w->conn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &copied);
  w->wal_frames = copied < log ? log : 0;
  w->checkpoint_at = w->wal_frames + CHECKPOINT_FROM;
}

int tm_writer_start(tm_writer *w, tm_err *err) {
  tm_arena_init(&w->arena, 0);
  w->checkpoint_at = CHECKPOINT_FROM;
  sqlite3_wal_hook(w->conn.db, on_commit, w);
  return read_version(w, &w->version, err);
}

void tm_writer_stop(tm_writer *w, bool checkpoint) {
  tm_conn_close(&w->conn, checkpoint && w->broken.code == TM_OK);
  tm_map_free(&w->heads);
  tm_map_free(&w->known);
  tm_arena_free(&w->arena);
}
