/* store.c - stores by URL, batches, and the rule of groups that all drivers share. */
#include "store/store.h"

#include <assert.h>
#include <string.h>

#include "store/apply.h"

/* -- batches --------------------------------------------------------------------------- */

tm_batch *tm_batch_new(void) {
  tm_batch *b = tm_new(tm_batch);
  tm_arena_init(&b->arena, 0);
  b->last = &b->first;
  return b;
}

tm_op *tm_batch_add(tm_batch *b, tm_op_kind kind) {
  tm_op *op = tm_arena_new(&b->arena, tm_op);
  op->kind = kind;
  *b->last = op;
  b->last = &op->next;
  b->count++;
  return op;
}

void tm_batch_free(tm_batch **b) {
  if (!*b)
    return;
  tm_arena_free(&(*b)->arena);
  tm_free(*b);
  *b = NULL;
}

/* -- groups ---------------------------------------------------------------------------- */

static bool opens_group(tm_op_kind kind) {
  return kind == TM_OP_RUN_NEW || kind == TM_OP_RUN_CLAIM || kind == TM_OP_FENCE;
}

static bool ends_group(tm_op_kind kind) {
  return kind == TM_OP_GATE_DECIDE || kind == TM_OP_SIGNAL_NEW || kind == TM_OP_DECISION_VOID ||
         kind == TM_OP_ORDER_NEW || kind == TM_OP_ORDER_LIFT;
}

/* Contents by hash may be stored whoever asks; a run further on may rest on them. */
static bool in_group(const tm_op *op) {
  if (opens_group(op->kind))
    return op->chained;
  return !ends_group(op->kind) && op->kind != TM_OP_BLOB && op->kind != TM_OP_CLOSURE &&
         op->kind != TM_OP_CELL_PUT && op->kind < TM_OP_RUN_DROP;
}

bool tm_apply_claims(const tm_op *op, int64_t epoch, int64_t records) {
  const tm_run_row *found = &op->u.run;
  return found->epoch == epoch && (!found->records || found->records == records);
}

bool tm_apply_fenced_by(const tm_op *op, int64_t epoch, const char *owner, size_t len) {
  const tm_run_row *mine = &op->u.run;
  return mine->epoch == epoch &&
         (!mine->owner || strncmp(mine->owner, owner ? owner : "", len) == 0);
}

int tm_apply_batch(const tm_apply_fn fns[TM_OP_KINDS], void *ctx, tm_batch *b, tm_err *err) {
  bool skip = false;
  if (b->seal)
    b->seal(b->sealed);
  for (tm_op *op = b->first; op; op = op->next) {
    op->status = skip && in_group(op) ? TM_OP_FENCED : TM_OP_OK;
    if (op->status == TM_OP_OK && fns[op->kind](ctx, b, op, err) < 0)
      return -1;
    if (opens_group(op->kind))
      skip = op->status != TM_OP_OK;
    else if (ends_group(op->kind))
      skip = false;
  }
  return 0;
}

bool tm_decision_holds(const tm_decision_row *d, int64_t now) {
  return !d->voided && (!d->expires || now < d->expires);
}

bool tm_apply_decides(const tm_op *op, const tm_decision_row *stands, int64_t now) {
  return !stands || !tm_decision_holds(stands, now) ||
         stands->version == op->u.decision.version;
}

static bool reached(int64_t limit, int64_t sum) {
  return limit >= 0 && sum >= limit;
}

bool tm_apply_affords(tm_batch *b, tm_op *op, const tm_spend_row *now) {
  const tm_spend_row *want = &op->u.spend;
  bool spent = reached(want->limit_nano, now->nano) || reached(want->limit_calls, now->calls);
  bool held = reached(want->limit_nano, now->nano + now->held_nano) ||
              reached(want->limit_calls, now->calls + now->held_calls);
  if (!spent && !held)
    return true;
  tm_spend_row *found = tm_arena_new(&b->arena, tm_spend_row);
  *found = *want;
  found->nano = now->nano;
  found->calls = now->calls;
  found->held_nano = now->held_nano;
  found->held_calls = now->held_calls;
  op->found.spend = found;
  op->status = spent ? TM_OP_LOST : TM_OP_EXISTS;
  return false;
}

int tm_apply_check_seq(const tm_record *r, int64_t records, tm_err *err) {
  if (r->seq == records)
    return 0;
  return tm_err_set(err, TM_INTERNAL,
                    "record %lld was to be appended to a journal of %lld records. Nothing was "
                    "written; this is a bug of Tidemill's, please report it",
                    (long long)r->seq, (long long)records);
}

static bool is_one_of(const char *state, const char *const words[3]) {
  for (int i = 0; state && i < 3; i++)
    if (strcmp(state, words[i]) == 0)
      return true;
  return false;
}

bool tm_apply_over(const char *state) {
  return is_one_of(state, (const char *const[]){"done", "failed", "cancelled"});
}

bool tm_apply_unfinished(const char *state) {
  return is_one_of(state, (const char *const[]){"queued", "running", "waiting"});
}

/* Runs on the owner's thread; a `done` may free its batch. */
static void deliver(void *arg) {
  tm_batch *b = arg;
  while (b) {
    tm_batch *next = b->next;
    b->next = NULL;
    b->done(b, &b->err);
    b = next;
  }
}

void tm_apply_post(const tm_store_host *host, tm_batch *first) {
  host->post(host->ctx, deliver, first);
}

/* -- copies ---------------------------------------------------------------------------- */

static int copied(const tm_arena *a, tm_err *err) {
  if (!a->failed)
    return 0;
  return tm_err_set(err, TM_LIMIT,
                    "a row of the database is larger than the %zu bytes left for it", a->limit);
}

int tm_apply_copy_run(tm_arena *a, tm_run_row *out, const tm_run_row *row, tm_err *err) {
  *out = *row;
  out->id = tm_arena_strdup(a, row->id);
  out->workflow = tm_arena_strdup(a, row->workflow);
  out->state = tm_arena_strdup(a, row->state);
  out->reason = tm_arena_strdup(a, row->reason);
  out->owner = tm_arena_strdup(a, row->owner);
  out->closure = tm_arena_strdup(a, row->closure);
  out->input_hash = tm_arena_strdup(a, row->input_hash);
  out->parent = tm_arena_strdup(a, row->parent);
  out->result = tm_arena_strdup(a, row->result);
  return copied(a, err);
}

int tm_apply_copy_gate(tm_arena *a, tm_gate_row *out, const tm_gate_row *row, tm_err *err) {
  *out = *row;
  out->id = tm_arena_strdup(a, row->id);
  out->run = tm_arena_strdup(a, row->run);
  out->workflow = tm_arena_strdup(a, row->workflow);
  out->place = tm_arena_strdup(a, row->place);
  out->name = tm_arena_strdup(a, row->name);
  out->state = tm_arena_strdup(a, row->state);
  out->digest = tm_arena_strdup(a, row->digest);
  out->body = tm_arena_strdup(a, row->body);
  out->decision = tm_arena_strdup(a, row->decision);
  out->by = tm_arena_strdup(a, row->by);
  return copied(a, err);
}

int tm_apply_copy_effect(tm_arena *a, tm_effect_row *out, const tm_effect_row *row,
                         tm_err *err) {
  *out = (tm_effect_row){
      .ns = tm_arena_strdup(a, row->ns),
      .action = tm_arena_strdup(a, row->action),
      .key = tm_arena_strdup(a, row->key),
      .args_hash = tm_arena_strdup(a, row->args_hash),
      .run = tm_arena_strdup(a, row->run),
      .place = tm_arena_strdup(a, row->place),
      .result = tm_arena_strdup(a, row->result),
  };
  return copied(a, err);
}

int tm_apply_copy_decision(tm_arena *a, tm_decision_row *out, const tm_decision_row *row,
                           tm_err *err) {
  *out = (tm_decision_row){
      .ns = tm_arena_strdup(a, row->ns),
      .name = tm_arena_strdup(a, row->name),
      .key = tm_arena_strdup(a, row->key),
      .input_hash = tm_arena_strdup(a, row->input_hash),
      .value = tm_arena_strdup(a, row->value),
      .run = tm_arena_strdup(a, row->run),
      .at = row->at,
      .expires = row->expires,
      .version = row->version,
      .voided = row->voided,
      .by = tm_arena_strdup(a, row->by),
      .note = tm_arena_strdup(a, row->note),
  };
  return copied(a, err);
}

int tm_apply_copy_cache(tm_arena *a, tm_cache_row *out, const tm_cache_row *row, tm_err *err) {
  *out = (tm_cache_row){
      .hash = tm_arena_strdup(a, row->hash),
      .scope = tm_arena_strdup(a, row->scope),
      .value = tm_arena_strdup(a, row->value),
      .run = tm_arena_strdup(a, row->run),
      .at = row->at,
      .expires = row->expires,
  };
  return copied(a, err);
}

int tm_apply_copy_signal(tm_arena *a, tm_signal_row *out, const tm_signal_row *row,
                         tm_err *err) {
  *out = (tm_signal_row){
      .run = tm_arena_strdup(a, row->run),
      .sid = tm_arena_strdup(a, row->sid),
      .name = tm_arena_strdup(a, row->name),
      .body = tm_arena_strdup(a, row->body),
      .place = tm_arena_strdup(a, row->place),
      .at = row->at,
  };
  return copied(a, err);
}

int tm_apply_copy_lock(tm_arena *a, tm_lock_row *out, const tm_lock_row *row, tm_err *err) {
  *out = (tm_lock_row){
      .ns = tm_arena_strdup(a, row->ns),
      .key = tm_arena_strdup(a, row->key),
      .run = tm_arena_strdup(a, row->run),
  };
  return copied(a, err);
}

int tm_apply_copy_cell(tm_arena *a, tm_cell_row *out, const tm_cell_row *row, tm_err *err) {
  *out = (tm_cell_row){
      .name = tm_arena_strdup(a, row->name),
      .version = row->version,
      .body = tm_arena_strdup(a, row->body),
  };
  return copied(a, err);
}

int tm_apply_copy_order(tm_arena *a, tm_order_row *out, const tm_order_row *row, tm_err *err) {
  *out = *row;
  out->target = tm_arena_strdup(a, row->target);
  out->run = tm_arena_strdup(a, row->run);
  out->what = tm_arena_strdup(a, row->what);
  out->note = tm_arena_strdup(a, row->note);
  out->by = tm_arena_strdup(a, row->by);
  return copied(a, err);
}

int tm_apply_copy_bytes(tm_arena *a, const char **out, const void *bytes, size_t len,
                        tm_err *err) {
  *out = tm_arena_strndup(a, bytes, len);
  return copied(a, err);
}

/* -- opening --------------------------------------------------------------------------- */

int tm_store_open(tm_store **out, const char *url, const tm_store_host *host, tm_err *err) {
  static const char sqlite[] = "sqlite:", memory[] = "memory:";
  assert(host->post && host->clock);
  if (strcmp(url, memory) == 0)
    return tm_store_mem_open(out, host, err);
  if (strncmp(url, sqlite, sizeof sqlite - 1) == 0 && url[sizeof sqlite - 1])
    return tm_store_sqlite_open(out, url + sizeof sqlite - 1, host, err);
  return tm_err_set(err, TM_CONFIG,
                    "the database \"%s\" is not understood. Use sqlite:PATH, such as "
                    "sqlite:.tidemill/tidemill.db, or memory: for one that is forgotten",
                    url);
}

void tm_store_close(tm_store **s) {
  if (*s)
    (*s)->vt->close(*s);
  *s = NULL;
}
