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
#include "store/mem_content.h"
#include "store/mem_effect.h"
#include "store/mem_gate.h"
#include "store/mem_order.h"
#include "store/mem_queue.h"
#include "store/mem_reuse.h"
#include "store/mem_spend.h"

typedef struct mem_run {
  tm_run_row row;
  tm_record *records;
  size_t cap;
  int64_t n;   /* in order of creation */
  tm_map pins; /* closures that it had */
} mem_run;

typedef struct mem_store {
  tm_store base;
  tm_store_host host;
  tm_arena arena;
  tm_map runs, gates;     /* by id; see mem_gate.h */
  tm_mem_content content; /* blobs and closures */
  tm_mem_effects effects; /* actions' keys */
  tm_map orders;          /* by target */
  tm_mem_queue queue;     /* signals and locks */
  tm_mem_reuse reuse;     /* decisions and answers */
  tm_map cells;           /* by name, see mem_cell.h */
  tm_mem_spend spend;     /* budgets */
  int64_t newest;         /* run's number */
  mem_run *guarded;       /* the open group's run */
  tm_err broken;          /* why no commit is taken any more */
} mem_store;

static const char *keep(mem_store *m, const char *s) {
  return tm_arena_strdup(&m->arena, s);
}

static bool same(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "") == 0;
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
  r->n = ++m->newest;
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
  mem_run *r = guarded(m);
  if (r->row.closure)
    tm_map_set(&r->pins, r->row.closure, r);
  r->row.closure = keep(m, op->u.run.closure);
  r->row.updated = b->at;
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

static int content(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  tm_mem_content_put(&m->content, &m->arena, op);
  return 0;
}

/* -- ops: gates, effects --------------------------------------------------------------- */

static int gate_new(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  return tm_mem_gate_new(&m->gates, &m->arena, &guarded(m)->row, b, op, err);
}

static int gate_decide(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  m->guarded = NULL;
  tm_mem_gate_decide(&m->gates, &m->arena, b, op);
  return 0;
}

static int gate_close(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  mem_store *m = ctx;
  tm_mem_gate_close(&m->gates, guarded(m)->row.id, b, op);
  return 0;
}

static int effect(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  const mem_run *from = op->u.effect.run ? tm_map_get(&m->runs, op->u.effect.run) : NULL;
  return tm_mem_effect_apply(&m->effects, guarded(m)->row.id,
                             from && tm_apply_over(from->row.state), b, op, err);
}

static int reuse(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  return tm_mem_reuse_apply(&m->reuse, b, op, err);
}

static int decision_void(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  ((mem_store *)ctx)->guarded = NULL;
  return reuse(ctx, b, op, err);
}

/* -- ops: signals and locks ------------------------------------------------------------ */

static int signal_emit(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  const mem_run *to = tm_map_get(&m->runs, op->u.signal.run);
  return tm_mem_queue_signal(&m->queue, b, op, to && tm_apply_unfinished(to->row.state), err);
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

/* -- ops: what nobody needs any more --------------------------------------------------- */

static bool ended(const char *state) {
  return tm_apply_over(state) || same(state, "imported");
}

static int mem_in_doubt(tm_store *s, const char *run, tm_err *err) {
  (void)err;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&((mem_store *)s)->effects.by_key, &i));) {
    const tm_effect_row *effect = e->value;
    if (effect && !effect->result && same(effect->run, run))
      return 1;
  }
  return 0;
}

static bool may_drop(mem_store *m, const mem_run *r, const tm_run_row *as) {
  tm_err ignored = TM_ERR_INIT;
  if (!r || r->row.epoch != as->epoch || r->row.records != as->records ||
      !ended(r->row.state) || mem_in_doubt(&m->base, r->row.id, &ignored))
    return false;
  const mem_run *parent = r->row.parent ? tm_map_get(&m->runs, r->row.parent) : NULL;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&m->runs, &i));)
    if (same(((mem_run *)e->value)->row.parent, r->row.id))
      return false;
  return !parent || ended(parent->row.state);
}

static void free_run(mem_run *r) {
  tm_free(r->records);
  tm_map_free(&r->pins);
  tm_free(r);
}

static int run_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  mem_run *r = tm_map_get(&m->runs, op->u.run.id);
  if (!may_drop(m, r, &op->u.run)) {
    op->status = TM_OP_LOST;
    return 0;
  }
  tm_mem_gate_drop(&m->gates, r->row.id);
  tm_mem_queue_forget(&m->queue, r->row.id);
  tm_mem_order_forget(&m->orders, r->row.id);
  tm_mem_spend_forget(&m->spend, r->row.id);
  tm_map_remove(&m->runs, op->u.run.id);
  if (m->guarded == r)
    m->guarded = NULL;
  free_run(r);
  return 0;
}

/* Of a run nothing is left: it is dropped whole. */
static int sweep(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)err;
  op->u.sweep.swept = tm_mem_reuse_sweep(&((mem_store *)ctx)->reuse, b->at, op->u.sweep.limit);
  return 0;
}

static int64_t uses_of(const mem_store *m, const char *hash) {
  int64_t uses = 0;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&m->runs, &i));) {
    const mem_run *r = e->value;
    uses += same(r->row.closure, hash) || tm_map_get(&r->pins, hash) != NULL;
  }
  return uses;
}

static int closure_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  mem_store *m = ctx;
  tm_mem_content_drop_closure(&m->content, op, uses_of(m, op->u.unused.hash) > 0);
  return 0;
}

static int blob_drop(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  (void)b, (void)err;
  tm_mem_content_drop_blob(&((mem_store *)ctx)->content, op);
  return 0;
}

static int order(void *ctx, tm_batch *b, tm_op *op, tm_err *err) {
  mem_store *m = ctx;
  const mem_run *to = op->u.order.run ? tm_map_get(&m->runs, op->u.order.run) : NULL;
  bool takes = !op->u.order.run || (to && tm_apply_unfinished(to->row.state));
  if (op->kind == TM_OP_ORDER_NEW || op->kind == TM_OP_ORDER_LIFT)
    m->guarded = NULL;
  return tm_mem_order_apply(&m->orders, &m->arena, b, op, takes, err);
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
    [TM_OP_BLOB] = content,
    [TM_OP_CLOSURE] = content,
    [TM_OP_GATE_NEW] = gate_new,
    [TM_OP_GATE_DECIDE] = gate_decide,
    [TM_OP_GATE_CLOSE] = gate_close,
    [TM_OP_EFFECT_CLAIM] = effect,
    [TM_OP_EFFECT_DONE] = effect,
    [TM_OP_EFFECT_DROP] = effect,
    [TM_OP_EFFECT_TAKE] = effect,
    [TM_OP_DECISION] = reuse,
    [TM_OP_DECISION_VOID] = decision_void,
    [TM_OP_CACHE] = reuse,
    [TM_OP_SIGNAL_NEW] = signal_new,
    [TM_OP_SIGNAL_EMIT] = signal_emit,
    [TM_OP_SIGNAL_CONSUME] = queue,
    [TM_OP_SIGNAL_FREE] = queue,
    [TM_OP_SIGNAL_MOVE] = queue,
    [TM_OP_LOCK_WANT] = queue,
    [TM_OP_LOCK_DROP] = queue,
    [TM_OP_CELL_PUT] = cell_put,
    [TM_OP_RUN_DROP] = run_drop,
    [TM_OP_SWEEP] = sweep,
    [TM_OP_CLOSURE_DROP] = closure_drop,
    [TM_OP_BLOB_DROP] = blob_drop,
    [TM_OP_ORDER_NEW] = order,
    [TM_OP_ORDER_GIVE] = order,
    [TM_OP_ORDER_LIFT] = order,
    [TM_OP_ORDER_DONE] = order,
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
    free_run(e->value);
  }
  tm_map_free(&m->runs);
  tm_map_free(&m->gates);
  tm_mem_content_free(&m->content);
  tm_mem_effect_free(&m->effects);
  tm_map_free(&m->orders);
  tm_mem_reuse_free(&m->reuse);
  tm_mem_queue_free(&m->queue);
  tm_mem_cell_free(&m->cells);
  tm_mem_spend_free(&m->spend);
  tm_arena_free(&m->arena);
  tm_free(m);
}

/* -- the contract: reading ------------------------------------------------------------- */

static bool run_wanted(const tm_run_filter *f, const tm_run_row *r) {
  return (!f->id || strcmp(f->id, r->id) == 0) &&
         (!f->prefix || strncmp(f->prefix, r->id, strlen(f->prefix)) == 0) &&
         (!f->workflow || same(f->workflow, r->workflow)) &&
         (!f->state || same(f->state, r->state)) &&
         (!f->parent || same(f->parent, r->parent)) &&
         (!f->unfinished || tm_apply_unfinished(r->state));
}

/* Those that have ended, oldest first. */
static int mem_ended(mem_store *m, const tm_run_filter *f, tm_run_fn fn, void *ctx) {
  int64_t left = f->limit > 0 ? f->limit : INT64_MAX;
  tm_map_entry *e;
  for (size_t i = 0; left > 0 && (e = tm_map_next(&m->runs, &i));) {
    const mem_run *r = e->value;
    if (r->n <= *f->after || !ended(r->row.state) ||
        (f->workflow && !same(f->workflow, r->row.workflow)))
      continue;
    tm_run_row row = r->row;
    *f->after = r->n;
    if (fn(ctx, &row) != 0)
      break;
    left--;
  }
  return 0;
}

static int mem_runs(tm_store *s, const tm_run_filter *f, tm_run_fn fn, void *ctx, tm_err *err) {
  (void)err;
  mem_store *m = (mem_store *)s;
  if (f->after)
    return mem_ended(m, f, fn, ctx);
  int64_t left = f->limit > 0 ? f->limit : INT64_MAX;
  for (size_t i = m->runs.used; i-- > 0 && left > 0;) {
    const mem_run *r = m->runs.entries[i].value;
    if (!r || !run_wanted(f, &r->row))
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
  tm_mem_gate_read(&((mem_store *)s)->gates, f, fn, ctx);
  return 0;
}

static int mem_blob(tm_store *s, const char *hash, tm_arena *a, const char **bytes, size_t *len,
                    tm_err *err) {
  return tm_mem_content_read(&((mem_store *)s)->content.blobs, hash, a, bytes, len, err);
}

static int mem_closure(tm_store *s, const char *hash, tm_arena *a, const char **manifest,
                       size_t *len, tm_err *err) {
  return tm_mem_content_read(&((mem_store *)s)->content.closures, hash, a, manifest, len, err);
}

static int mem_effect(tm_store *s, const tm_effect_row *key, tm_arena *a, tm_effect_row *out,
                      tm_err *err) {
  const tm_effect_row *e = tm_mem_effect_find(&((mem_store *)s)->effects, key);
  if (!e)
    return 0;
  return tm_apply_copy_effect(a, out, e, err) < 0 ? -1 : 1;
}

static int mem_decision(tm_store *s, const tm_decision_row *key, tm_arena *a,
                        tm_decision_row *out, tm_err *err) {
  const tm_decision_row *d = tm_mem_reuse_decision(&((mem_store *)s)->reuse, key);
  if (!d)
    return 0;
  return tm_apply_copy_decision(a, out, d, err) < 0 ? -1 : 1;
}

static int mem_decisions(tm_store *s, const tm_decision_filter *f, tm_decision_fn fn, void *ctx,
                         tm_err *err) {
  (void)err;
  return tm_mem_reuse_decisions(&((mem_store *)s)->reuse, f, fn, ctx);
}

static int mem_cached(tm_store *s, const char *hash, tm_arena *a, tm_cache_row *out,
                      tm_err *err) {
  const tm_cache_row *row = tm_mem_reuse_cached(&((mem_store *)s)->reuse, hash);
  if (!row)
    return 0;
  return tm_apply_copy_cache(a, out, row, err) < 0 ? -1 : 1;
}

static int mem_similar(tm_store *s, const char *scope, int64_t now, int64_t limit,
                       tm_cache_fn fn, void *ctx, tm_err *err) {
  (void)err;
  return tm_mem_reuse_similar(&((mem_store *)s)->reuse, scope, now, limit, fn, ctx);
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

static int mem_closures(tm_store *s, const char *run, tm_unused_fn fn, void *ctx, tm_err *err) {
  (void)err;
  mem_store *m = (mem_store *)s;
  const mem_run *r = run ? tm_map_get(&m->runs, run) : NULL;
  tm_map_entry *e;
  for (size_t i = 0; (!run || r) && (e = tm_map_next(&m->content.closures, &i));) {
    const tm_unused row = {.hash = e->key,
                           .uses = run ? 1 : uses_of(m, e->key),
                           .seen_run = m->newest,
                           .seen_closure = m->content.newest};
    bool wanted = !r || same(r->row.closure, e->key) || tm_map_get(&r->pins, e->key);
    if (wanted && fn(ctx, &row) != 0)
      break;
  }
  return 0;
}

static int mem_blobs(tm_store *s, tm_unused_fn fn, void *ctx, tm_err *err) {
  (void)err;
  return tm_mem_content_blobs(&((mem_store *)s)->content, fn, ctx);
}

static int mem_account(tm_store *s, const char *scope, const char *day, tm_spend_row *out,
                       tm_err *err) {
  (void)err;
  tm_mem_spend_account(&((mem_store *)s)->spend, scope, day, out);
  return 0;
}

static int mem_orders(tm_store *s, tm_order_fn fn, void *ctx, tm_err *err) {
  (void)err;
  return tm_mem_order_read(&((mem_store *)s)->orders, fn, ctx);
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
  for (size_t i = 0; (e = tm_map_next(&m->effects.by_key, &i));) {
    const tm_effect_row *effect = e->value;
    if (!effect || effect->result || tm_map_get(&m->runs, effect->run))
      continue;
    fn(ctx, "an effect has no result, and the run that claimed it does not exist");
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
    .decisions = mem_decisions,
    .cached = mem_cached,
    .similar = mem_similar,
    .signals = mem_signals,
    .locks = mem_locks,
    .cells = mem_cells,
    .closures = mem_closures,
    .blobs = mem_blobs,
    .in_doubt = mem_in_doubt,
    .orders = mem_orders,
    .account = mem_account,
    .changed = mem_changed,
    .verify = mem_verify,
};

int tm_store_mem_open(tm_store **out, const tm_store_host *host, tm_err *err) {
  (void)err;
  mem_store *m = tm_new(mem_store);
  m->base.vt = &mem_vt;
  m->queue.arena = m->reuse.arena = &m->arena;
  m->effects.arena = m->spend.arena = &m->arena;
  m->host = *host;
  *out = &m->base;
  return 0;
}
