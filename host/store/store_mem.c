/* store_mem.c - the store's contract without a disk, for tests and dry runs.
 *
 * Everything lives in maps by key; strings are copied into one arena that only
 * grows until the store is closed. A commit is applied at once and told later,
 * through `post`, so that its user sees the same order of events as with a disk.
 * A batch that fails (a bug of ours) is not taken back: the store is broken then.
 */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "store/apply.h"
#include "store/mem_cell.h"
#include "store/mem_queue.h"
#include "store/mem_spend.h"

typedef struct mem_run {
  tm_run_row row;
  tm_record *records;
  size_t cap;
} mem_run;

typedef struct mem_bytes {
  const char *bytes;
  size_t len;
} mem_bytes;

typedef struct mem_store {
  tm_store base;
  tm_store_host host;
  tm_arena arena;
  tm_map runs, gates;        /* by id */
  tm_map blobs, closures;    /* by hash */
  tm_map effects, decisions; /* by their three names, see key3 */
  tm_mem_queue queue;        /* signals and locks */
  tm_map cells;              /* by name, see mem_cell.h */
  tm_mem_spend spend;        /* budgets */
  tm_buf key;                /* scratch of key3 */
  mem_run *guarded;          /* the open group's run */
  tm_err broken;             /* why no commit is taken any more */
} mem_store;

static const char *keep(mem_store *m, const char *s) {
  return tm_arena_strdup(&m->arena, s);
}

static bool same(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Three names as one key; the NULs keep ("a", "bc") and ("ab", "c") apart. */
static const tm_buf *key3(mem_store *m, const char *a, const char *b, const char *c) {
  tm_buf_reset(&m->key);
  tm_buf_put(&m->key, a, strlen(a) + 1);
  tm_buf_put(&m->key, b, strlen(b) + 1);
  tm_buf_puts(&m->key, c);
  return &m->key;
}

/* -- ops: runs and records ------------------------------------------------------------- */

static int run_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  mem_run *taken = tm_map_get(&m->runs, op->u.run.id);
  if (taken) {
    tm_run_row *found = tm_arena_new(&b->arena, tm_run_row);
    op->found.run = found;
    op->status = TM_OP_EXISTS;
    return tm_apply_copy_run(&b->arena, found, &taken->row, err);
  }
  mem_run *r = tm_new(mem_run);
  m->guarded = r;
  tm_map_set(&m->runs, op->u.run.id, r);
  if (tm_apply_copy_run(&m->arena, &r->row, &op->u.run, err) < 0)
    return -1;
  r->row.records = 0;
  r->row.updated = b->at;
  if (!r->row.created)
    r->row.created = b->at;
  return 0;
}

static int run_claim(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  mem_run *r = tm_map_get(&m->runs, op->u.run.id);
  if (!r || !tm_apply_claims(op, r->row.epoch, r->row.records)) {
    op->status = TM_OP_LOST;
    return 0;
  }
  m->guarded = r;
  r->row.epoch++;
  r->row.owner = keep(m, op->u.run.owner);
  r->row.updated = b->at;
  return 0;
}

static int fence(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  m->guarded = tm_map_get(&m->runs, op->u.run.id);
  const tm_run_row *row = m->guarded ? &m->guarded->row : NULL;
  if (!row || !tm_apply_fenced_by(op, row->epoch, row->owner, SIZE_MAX))
    op->status = TM_OP_FENCED;
  return 0;
}

static mem_run *guarded(mem_store *m) {
  assert(m->guarded && "an op that needs a run stands outside of any group");
  return m->guarded;
}

static int run_set(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  tm_run_row *row = &guarded(m)->row;
  const tm_run_row *set = &op->u.run;
  row->owner = keep(m, set->owner);
  row->updated = b->at;
  if (!set->state)
    return 0;
  row->state = keep(m, set->state);
  row->reason = keep(m, set->reason);
  row->wake_at = set->wake_at;
  row->result = keep(m, set->result);
  return 0;
}

static int run_pin(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  tm_run_row *row = &guarded(m)->row;
  row->closure = keep(m, op->u.run.closure);
  row->updated = b->at;
  return 0;
}

static int record(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  mem_run *r = guarded(m);
  const tm_record *rec = &op->u.record;
  if (tm_apply_check_seq(rec, r->row.records, err) < 0)
    return -1;
  size_t n = (size_t)r->row.records;
  if (n == r->cap) {
    r->cap = r->cap ? r->cap * 2 : 16;
    r->records = tm_realloc(r->records, r->cap * sizeof *r->records);
  }
  r->records[n] = (tm_record){
      .seq = rec->seq,
      .kind = rec->kind,
      .place = keep(m, rec->place),
      .name = keep(m, rec->name),
      .body = tm_arena_strndup(&m->arena, rec->body, rec->body_len),
      .body_len = rec->body_len,
      .chain = keep(m, rec->chain),
  };
  r->row.records++;
  r->row.updated = b->at;
  return 0;
}

/* -- ops: contents --------------------------------------------------------------------- */

static int put_once(mem_store *m, tm_map *map, const tm_op *op) {
  if (tm_map_get(map, op->u.blob.hash))
    return 0;
  mem_bytes *kept = tm_arena_new(&m->arena, mem_bytes);
  kept->bytes = tm_arena_strndup(&m->arena, op->u.blob.bytes, op->u.blob.len);
  kept->len = op->u.blob.len;
  tm_map_set(map, op->u.blob.hash, kept);
  return 0;
}

static int blob(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  return put_once(m, &m->blobs, op);
}

static int closure(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  return put_once(m, &m->closures, op);
}

/* -- ops: gates, effects, decisions ---------------------------------------------------- */

static int gate_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  const mem_run *r = guarded(m);
  if (tm_map_get(&m->gates, op->u.gate.id)) {
    op->status = TM_OP_EXISTS;
    return 0;
  }
  tm_gate_row *g = tm_arena_new(&m->arena, tm_gate_row);
  tm_map_set(&m->gates, op->u.gate.id, g);
  if (tm_apply_copy_gate(&m->arena, g, &op->u.gate, err) < 0)
    return -1;
  g->run = r->row.id;
  g->workflow = r->row.workflow;
  g->state = "open";
  g->decision = g->by = NULL;
  g->decided = 0;
  if (!g->opened)
    g->opened = b->at;
  return 0;
}

static int gate_decide(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  m->guarded = NULL;
  const tm_gate_row *set = &op->u.gate;
  tm_gate_row *g = tm_map_get(&m->gates, set->id);
  bool shown = g && (same(set->digest, "") || same(set->digest, g->digest));
  if (!shown || strcmp(g->state, "open") != 0) {
    op->status = TM_OP_LOST;
    return 0;
  }
  g->state = keep(m, set->state);
  g->decision = keep(m, set->decision);
  g->by = keep(m, set->by);
  g->decided = set->decided ? set->decided : b->at;
  return 0;
}

static int gate_close(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  const mem_run *r = guarded(m);
  tm_gate_row *g = tm_map_get(&m->gates, op->u.gate.id);
  if (!g || g->run != r->row.id || strcmp(g->state, "open") != 0) {
    op->status = TM_OP_LOST;
    return 0;
  }
  g->state = "closed";
  g->decided = b->at;
  return 0;
}

static tm_effect_row *find_effect(mem_store *m, const tm_effect_row *e) {
  const tm_buf *key = key3(m, e->ns, e->action, e->key);
  return tm_map_getn(&m->effects, key->data, key->len);
}

static int effect_claim(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  const char *run = guarded(m)->row.id;
  tm_effect_row *taken = find_effect(m, &op->u.effect);
  if (taken) {
    tm_effect_row *found = tm_arena_new(&b->arena, tm_effect_row);
    op->found.effect = found;
    if (strcmp(taken->run, run) != 0 || !same(taken->place, op->u.effect.place))
      op->status = TM_OP_EXISTS;
    return tm_apply_copy_effect(&b->arena, found, taken, err);
  }
  tm_effect_row *e = tm_arena_new(&m->arena, tm_effect_row);
  tm_map_setn(&m->effects, m->key.data, m->key.len, e);
  if (tm_apply_copy_effect(&m->arena, e, &op->u.effect, err) < 0)
    return -1;
  e->run = run;
  e->result = NULL;
  return 0;
}

/* The effect, when the guarded run claimed it and nothing came of it yet; NULL marks the op
 * LOST. */
static tm_effect_row *claimed(mem_store *m, tm_op *op) {
  tm_effect_row *e = find_effect(m, &op->u.effect);
  if (e && strcmp(e->run, guarded(m)->row.id) == 0 && !e->result)
    return e;
  op->status = TM_OP_LOST;
  return NULL;
}

static int effect_done(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  tm_effect_row *e = claimed(m, op);
  if (e)
    e->result = keep(m, op->u.effect.result);
  return 0;
}

static int effect_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  if (claimed(m, op))
    tm_map_setn(&m->effects, m->key.data, m->key.len, NULL);
  return 0;
}

static int decide(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  const tm_decision_row *d = &op->u.decision;
  const tm_buf *key = key3(m, d->ns, d->name, d->key);
  tm_decision_row *taken = tm_map_getn(&m->decisions, key->data, key->len);
  if (taken) {
    tm_decision_row *found = tm_arena_new(&b->arena, tm_decision_row);
    op->found.decision = found;
    op->status = TM_OP_EXISTS;
    return tm_apply_copy_decision(&b->arena, found, taken, err);
  }
  tm_decision_row *kept = tm_arena_new(&m->arena, tm_decision_row);
  tm_map_setn(&m->decisions, key->data, key->len, kept);
  if (tm_apply_copy_decision(&m->arena, kept, d, err) < 0)
    return -1;
  if (!kept->at)
    kept->at = b->at;
  return 0;
}

/* -- ops: signals and locks ------------------------------------------------------------ */

static bool unfinished(const char *state) {
  return same(state, "queued") || same(state, "running") || same(state, "waiting");
}

static int signal_emit(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  const mem_run *to = tm_map_get(&m->runs, op->u.signal.run);
  return tm_mem_queue_signal(&m->queue, b, op, to && unfinished(to->row.state), err);
}

static int signal_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  ((mem_store *)ctx)->guarded = NULL;
  return signal_emit(ctx, b, op, err);
}

static int queue(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  return tm_mem_queue_apply(&m->queue, guarded(m)->row.id, b, op, err);
}

static int cell_put(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  return tm_mem_cell_put(&((mem_store *)ctx)->cells, b, op, err);
}

static int spend(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  return tm_mem_spend_apply(&m->spend, guarded(m)->row.id, b, op);
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
    [TM_OP_EFFECT_CLAIM] = effect_claim,
    [TM_OP_EFFECT_DONE] = effect_done,
    [TM_OP_EFFECT_DROP] = effect_drop,
    [TM_OP_DECISION] = decide,
    [TM_OP_SIGNAL_NEW] = signal_new,
    [TM_OP_SIGNAL_EMIT] = signal_emit,
    [TM_OP_SIGNAL_CONSUME] = queue,
    [TM_OP_SIGNAL_FREE] = queue,
    [TM_OP_SIGNAL_MOVE] = queue,
    [TM_OP_LOCK_WANT] = queue,
    [TM_OP_LOCK_DROP] = queue,
    [TM_OP_CELL_PUT] = cell_put,
    [TM_OP_SPEND_HOLD] = spend,
    [TM_OP_SPEND_ADD] = spend,
    [TM_OP_SPEND_DROP] = spend,
};

/* -- the contract: writing ------------------------------------------------------------- */

static void mem_commit(tm_store *s, tm_batch *b) {
  mem_store *m = (mem_store *)s;
  b->next = NULL;
  b->at = tm_clock_wall(m->host.clock);
  b->err = m->broken;
  m->guarded = NULL;
  if (b->err.code == TM_OK && tm_apply_batch(apply_fns, m, b, &b->err) < 0)
    m->broken = b->err;
  tm_apply_post(&m->host, b);
}

static void mem_close(tm_store *s) {
  mem_store *m = (mem_store *)s;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&m->runs, &i));) {
    mem_run *r = e->value;
    tm_free(r->records);
    tm_free(r);
  }
  tm_map_free(&m->runs);
  tm_map_free(&m->gates);
  tm_map_free(&m->blobs);
  tm_map_free(&m->closures);
  tm_map_free(&m->effects);
  tm_map_free(&m->decisions);
  tm_mem_queue_free(&m->queue);
  tm_mem_cell_free(&m->cells);
  tm_mem_spend_free(&m->spend);
  tm_buf_free(&m->key);
  tm_arena_free(&m->arena);
  tm_free(m);
}

/* -- the contract: reading ------------------------------------------------------------- */

static bool run_wanted(const tm_run_filter *f, const tm_run_row *r) {
  return (!f->id || strcmp(f->id, r->id) == 0) &&
         (!f->prefix || strncmp(f->prefix, r->id, strlen(f->prefix)) == 0) &&
         (!f->workflow || same(f->workflow, r->workflow)) &&
         (!f->state || same(f->state, r->state)) &&
         (!f->parent || same(f->parent, r->parent)) && (!f->unfinished || unfinished(r->state));
}

static int mem_runs(tm_store *s, const tm_run_filter *f, tm_run_fn fn, void *ctx, tm_err *err) {
  (void)err;
  mem_store *m = (mem_store *)s;
  int64_t left = f->limit > 0 ? f->limit : INT64_MAX;
  for (size_t i = m->runs.used; i-- > 0 && left > 0;) {
    const mem_run *r = m->runs.entries[i].value;
    if (!run_wanted(f, &r->row))
      continue;
    tm_run_row row = r->row;
    if (fn(ctx, &row) != 0)
      break;
    left--;
  }
  return 0;
}

static int mem_journal(tm_store *s, const char *run, int64_t from_seq, tm_record_fn fn,
                       void *ctx, tm_err *err) {
  (void)err;
  mem_store *m = (mem_store *)s;
  const mem_run *r = tm_map_get(&m->runs, run);
  int64_t end = r ? r->row.records : 0;
  for (int64_t i = from_seq > 0 ? from_seq : 0; i < end; i++) {
    tm_record rec = r->records[i]; /* a commit inside fn may move the array */
    if (fn(ctx, &rec) != 0)
      break;
  }
  return 0;
}

static int mem_gates(tm_store *s, const tm_gate_filter *f, tm_gate_fn fn, void *ctx,
                     tm_err *err) {
  (void)err;
  mem_store *m = (mem_store *)s;
  size_t end = m->gates.used;
  for (size_t i = 0; i < end; i++) {
    tm_gate_row g = *(const tm_gate_row *)m->gates.entries[i].value;
    bool wanted = (!f->id || strcmp(f->id, g.id) == 0) &&
                  (!f->run || strcmp(f->run, g.run) == 0) &&
                  (!f->open || strcmp(g.state, "open") == 0);
    if (wanted && fn(ctx, &g) != 0)
      break;
  }
  return 0;
}

static int read_bytes(const tm_map *map, const char *hash, tm_arena *a, const char **bytes,
                      size_t *len, tm_err *err) {
  const mem_bytes *kept = tm_map_get(map, hash);
  if (!kept)
    return 0;
  *len = kept->len;
  return tm_apply_copy_bytes(a, bytes, kept->bytes, kept->len, err) < 0 ? -1 : 1;
}

static int mem_blob(tm_store *s, const char *hash, tm_arena *a, const char **bytes, size_t *len,
                    tm_err *err) {
  return read_bytes(&((mem_store *)s)->blobs, hash, a, bytes, len, err);
}

static int mem_closure(tm_store *s, const char *hash, tm_arena *a, const char **manifest,
                       size_t *len, tm_err *err) {
  return read_bytes(&((mem_store *)s)->closures, hash, a, manifest, len, err);
}

static int mem_effect(tm_store *s, const tm_effect_row *key, tm_arena *a, tm_effect_row *out,
                      tm_err *err) {
  const tm_effect_row *e = find_effect((mem_store *)s, key);
  if (!e)
    return 0;
  return tm_apply_copy_effect(a, out, e, err) < 0 ? -1 : 1;
}

static int mem_decision(tm_store *s, const tm_decision_row *key, tm_arena *a,
                        tm_decision_row *out, tm_err *err) {
  mem_store *m = (mem_store *)s;
  const tm_buf *k = key3(m, key->ns, key->name, key->key);
  const tm_decision_row *d = tm_map_getn(&m->decisions, k->data, k->len);
  if (!d)
    return 0;
  return tm_apply_copy_decision(a, out, d, err) < 0 ? -1 : 1;
}

static int mem_signals(tm_store *s, const tm_signal_filter *f, tm_signal_fn fn, void *ctx,
                       tm_err *err) {
  (void)err;
  return tm_mem_queue_signals(&((mem_store *)s)->queue, f, fn, ctx);
}

static int mem_locks(tm_store *s, const tm_lock_filter *f, tm_lock_fn fn, void *ctx,
                     tm_err *err) {
  (void)err;
  return tm_mem_queue_locks(&((mem_store *)s)->queue, f, fn, ctx);
}

static int mem_cells(tm_store *s, const tm_cell_filter *f, tm_cell_fn fn, void *ctx,
                     tm_err *err) {
  (void)err;
  return tm_mem_cell_read(&((mem_store *)s)->cells, f, fn, ctx);
}

static int mem_account(tm_store *s, const char *scope, const char *day, tm_spend_row *out,
                       tm_err *err) {
  (void)err;
  tm_mem_spend_account(&((mem_store *)s)->spend, scope, day, out);
  return 0;
}

/* Nobody else can reach this memory. */
static bool mem_changed(tm_store *s) {
  (void)s;
  return false;
}

static int mem_verify(tm_store *s, void (*fn)(void *ctx, const char *finding), void *ctx,
                      tm_err *err) {
  (void)err;
  mem_store *m = (mem_store *)s;
  int findings = 0;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&m->effects, &i));) {
    const tm_effect_row *effect = e->value;
    if (!effect || tm_map_get(&m->runs, effect->run))
      continue;
    fn(ctx, "an effect was claimed by a run that does not exist");
    findings = 1;
  }
  return findings;
}

static const tm_store_vt mem_vt = {
    .name = "memory",
    .close = mem_close,
    .commit = mem_commit,
    .runs = mem_runs,
    .journal = mem_journal,
    .gates = mem_gates,
    .blob = mem_blob,
    .closure = mem_closure,
    .effect = mem_effect,
    .decision = mem_decision,
    .signals = mem_signals,
    .locks = mem_locks,
    .cells = mem_cells,
    .account = mem_account,
    .changed = mem_changed,
    .verify = mem_verify,
};

int tm_store_mem_open(tm_store **out, const tm_store_host *host, tm_err *err) {
  (void)err;
  mem_store *m = tm_new(mem_store);
  m->base.vt = &mem_vt;
  m->queue.arena = m->spend.arena = &m->arena;
  m->host = *host;
  *out = &m->base;
  return 0;
}
