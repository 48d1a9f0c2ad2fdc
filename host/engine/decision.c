/* decision.c - decisions: looked up, made, reopened.
 */
#include "engine/decision.h"

#include <string.h>

static tm_decision_row key_of(const tm_branch *b) {
  const char *input = tm_json_get_str(b->request, "input_hash");
  return (tm_decision_row){
      .ns = b->run->workflow,
      .name = b->name,
      .key = tm_json_get_str(b->request, "key"),
      .input_hash = input ? input : "",
  };
}

static void fail(tm_branch *b, const tm_err *err) {
  tm_run_outcome(b, NULL, tm_run_error(&b->scratch, "internal", "%s", err->msg), NULL);
}

static void other_input(tm_branch *b, const tm_decision_row *row) {
  tm_json *error =
      tm_run_error(&b->scratch, "conflict",
                   "the decision \"%s\" for key \"%s\" was made from another input (by run "
                   "%s); use another key for another question, or reopen it",
                   b->name, row->key, row->run);
  tm_run_outcome(b, NULL, error, NULL);
}

static void put_facts(tm_json *o, tm_arena *a, const tm_decision_row *row) {
  tm_json_set_str(a, o, "run", row->run);
  tm_json_set_int(a, o, "at", row->at);
  tm_json_set_int(a, o, "version", row->version);
}

static void decided_as(tm_branch *b, const tm_decision_row *row, bool found) {
  tm_arena *a = &b->scratch;
  tm_err err = TM_ERR_INIT;
  tm_json *value = NULL;
  bool same = strcmp(row->input_hash, key_of(b).input_hash) == 0;
  if (!same && !tm_json_bool(tm_json_get(b->request, "peek"), false)) {
    other_input(b, row);
    return;
  }
  if (tm_json_parse(&value, a, row->value, strlen(row->value), NULL, &err) < 0) {
    fail(b, &err);
    return;
  }
  tm_json *out = tm_json_new_object(a);
  tm_json_set_bool(a, out, "found", found);
  tm_json_set(a, out, "value", value);
  put_facts(out, a, row);
  if (!same)
    tm_json_set_bool(a, out, "other_input", true);
  tm_run_outcome(b, out, NULL, NULL);
}

/* None that holds; `past` is the one that did, or NULL. */
static void undecided(tm_branch *b, const tm_decision_row *past) {
  tm_arena *a = &b->scratch;
  tm_json *out = tm_json_new_object(a);
  tm_json_set_bool(a, out, "found", false);
  if (past) {
    tm_json *was = tm_json_new_object(a);
    put_facts(was, a, past);
    tm_json_set_str(a, was, "end", past->voided ? "reopened" : "expired");
    if (past->voided && past->by)
      tm_json_set_str(a, was, "by", past->by);
    if (past->voided && past->note)
      tm_json_set_str(a, was, "note", past->note);
    tm_json_set(a, out, "was", was);
  }
  tm_run_outcome(b, out, NULL, NULL);
}

void tm_decision_recall(tm_branch *b) {
  tm_store *s = b->run->engine->ports.store;
  tm_decision_row key = key_of(b), row;
  tm_err err = TM_ERR_INIT;
  int found = s->vt->decision(s, &key, &b->scratch, &row, &err);
  if (found < 0 && err.code != TM_LIMIT)
    tm_engine_break(b->run->engine, &err);
  else if (found < 0)
    fail(b, &err);
  else if (found && tm_decision_holds(&row, tm_engine_now(b->run->engine)))
    decided_as(b, &row, true);
  else
    undecided(b, found ? &row : NULL);
}

static void stored(tm_after *after, const tm_err *err) {
  tm_branch *b = after->branch;
  if (!tm_after_awaited(after, err))
    return;
  const tm_op *op = after->op;
  decided_as(b, op->status == TM_OP_EXISTS ? op->found.decision : &op->u.decision,
             op->status == TM_OP_EXISTS);
}

void tm_decision_make(tm_branch *b) {
  tm_engine *e = b->run->engine;
  tm_op *op = tm_turn_op(e, b->run, TM_OP_DECISION);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  tm_decision_row key = key_of(b);
  int64_t now = tm_engine_now(e), ttl = tm_json_int(tm_json_get(b->request, "ttl_ms"), 0);
  op->u.decision = (tm_decision_row){
      .ns = tm_arena_strdup(a, key.ns),
      .name = tm_arena_strdup(a, key.name),
      .key = tm_arena_strdup(a, key.key),
      .input_hash = tm_arena_strdup(a, key.input_hash),
      .value = tm_json_text(a, tm_json_get(b->request, "value"), NULL),
      .run = tm_arena_strdup(a, b->run->id),
      .at = now,
      .expires = ttl > 0 ? now + ttl : 0,
      .version = tm_json_int(tm_json_get(b->request, "over"), 0),
      .by = tm_arena_printf(a, "run %s", b->run->id),
  };
  tm_turn_after(e, stored, b->run, b)->op = op;
}

/* -- from outside ---------------------------------------------------------------------- */

typedef struct reopening {
  tm_engine_fn done;
  void *ctx;
} reopening;

static void reopened(tm_after *after, const tm_err *err) {
  const reopening *r = after->ctx;
  const tm_decision_row *d = &after->op->u.decision;
  tm_err own = *err;
  if (own.code == TM_OK && after->op->status != TM_OP_OK)
    tm_err_set(&own, TM_CONFLICT,
               "the decision \"%s\" for key \"%s\" does not hold any more: somebody was faster",
               d->name, d->key);
  r->done(r->ctx, NULL, &own);
}

static int find_one(tm_engine *e, const tm_decision_row *which, tm_err *err) {
  tm_arena a;
  tm_decision_row row;
  tm_arena_init(&a, 0);
  int found = e->ports.store->vt->decision(e->ports.store, which, &a, &row, err);
  if (found == 0)
    tm_err_set(err, TM_NOTFOUND,
               "workflow %s has no decision \"%s\" for key \"%s\"; `tidemill decisions %s` "
               "lists them",
               which->ns, which->name, which->key, which->ns);
  else if (found > 0 && !tm_decision_holds(&row, tm_engine_now(e)))
    tm_err_set(err, TM_CONFLICT,
               "the decision \"%s\" for key \"%s\" %s already; the next run that "
               "asks decides anew",
               which->name, which->key, row.voided ? "was reopened" : "has expired");
  tm_arena_free(&a);
  return err->code == TM_OK ? 0 : -1;
}

void tm_decision_reopen(tm_engine *e, const tm_decision_row *which, tm_engine_fn done,
                        void *ctx) {
  tm_err err = e->broken;
  if (err.code != TM_OK || find_one(e, which, &err) < 0) {
    done(ctx, NULL, &err);
    return;
  }
  tm_turn *t = tm_turn_of(e);
  tm_arena *a = &t->batch->arena;
  tm_op *op = tm_batch_add(t->batch, TM_OP_DECISION_VOID);
  t->guard = NULL; /* it ends the group in front of it */
  op->u.decision = (tm_decision_row){
      .ns = tm_arena_strdup(a, which->ns),
      .name = tm_arena_strdup(a, which->name),
      .key = tm_arena_strdup(a, which->key),
      .by = tm_arena_strdup(a, which->by),
      .note = tm_arena_strdup(a, which->note),
  };
  reopening *r = tm_arena_new(a, reopening);
  *r = (reopening){done, ctx};
  tm_after *after = tm_turn_after(e, reopened, NULL, NULL);
  after->op = op;
  after->ctx = r;
}
