/* txn.c - an action on the user's own tables: its statements and its record, one transaction. */
#include "engine/txn.h"

#include <string.h>

#include "engine/perform.h"
#include "engine/wake.h"

bool tm_txn_is(const tm_branch *b) {
  return b->kind == TM_CALL_ACTION && tm_json_bool(tm_json_get(b->request, "db"), false);
}

static void abandon(tm_engine *e) {
  tm_store *s = e->ports.store;
  if (e->txn)
    s->vt->abandon(s);
  e->txn = NULL;
}

/* -- beginning ------------------------------------------------------------------------- */

/* While the transaction is open nobody else commits: what is read now stays true. */
static bool still_ours(const tm_branch *b) {
  tm_run *r = b->run;
  tm_arena a;
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  int found = tm_wake_row(r->engine, r->id, &a, &row, &err);
  bool ours = found == 1 && r->owned && row.epoch == r->epoch && row.owner &&
              strcmp(row.owner, r->engine->owner) == 0;
  if (found < 0)
    tm_engine_break(r->engine, &err);
  tm_arena_free(&a);
  return ours;
}

static bool is_known(const tm_branch *b) {
  tm_store *s = b->run->engine->ports.store;
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_effect_row key = {.ns = b->run->workflow, .action = b->name, .key = b->action.key}, row;
  tm_arena_init(&a, 0);
  int known = *b->action.key ? s->vt->effect(s, &key, &a, &row, &err) : 0;
  if (known < 0)
    tm_engine_break(b->run->engine, &err);
  tm_arena_free(&a);
  return known != 0;
}

static tm_json *db_error(tm_arena *a, const tm_err *err) {
  const char *code = err->code == TM_CONFLICT ? "constraint" : tm_err_word(err->code);
  tm_json *e = tm_run_error(a, "db", "%s", err->msg);
  tm_json_set_str(a, e, "code", code);
  return e;
}

static void no_tables(tm_branch *b) {
  tm_err err = TM_ERR_INIT;
  tm_err_set(&err, TM_CONFIG,
             "action \"%s\" needs a database with tables: use sqlite:PATH instead of %s: (in a "
             "spec, durable = true)",
             b->name, b->run->engine->ports.store->vt->name);
  tm_run_outcome(b, NULL, db_error(&b->scratch, &err), NULL);
}

bool tm_txn_begin(tm_branch *b) {
  tm_engine *e = b->run->engine;
  tm_store *s = e->ports.store;
  tm_err err = TM_ERR_INIT;
  b->phase = TM_PHASE_LIVE;
  if (!s->vt->begin) {
    no_tables(b);
    return false;
  }
  if (s->vt->begin(s, &err) < 0) {
    if (err.code == TM_TEMP)
      tm_action_later(b, err.msg);
    else
      tm_engine_break(e, &err);
    return false;
  }
  e->txn = b;
  tm_err_clear(&e->txn_err);
  bool ours = still_ours(b), known = ours && is_known(b);
  if (ours && !known)
    return true;
  abandon(e);
  if (e->broken.code != TM_OK)
    return false;
  if (known) {
    tm_action_launch(b);
  } else {
    b->run->lost = true;
    tm_engine_forget(b->run);
  }
  return false;
}

/* -- statements ------------------------------------------------------------------------ */

int tm_perform_query(tm_branch *b, const tm_query *q, tm_arena *a, tm_rows *out, tm_err *err) {
  tm_engine *e = b->run->engine;
  tm_store *s = e->ports.store;
  if (e->txn != b || b->phase != TM_PHASE_BODY)
    return tm_err_set(err, TM_USAGE,
                      "statements work only inside the run of an action that says db = true");
  if (e->txn_err.code != TM_OK)
    return tm_err_set(err, e->txn_err.code,
                      "after a statement that failed (%s) no other is run", e->txn_err.msg);
  if (s->vt->query(s, q, a, out, err) == 0)
    return 0;
  e->txn_err = *err;
  if (err->code != TM_USAGE && err->code != TM_CONFLICT && err->code != TM_LIMIT)
    tm_engine_break(e, err); /* the disk's fault, not the statement's */
  return -1;
}

/* -- the end --------------------------------------------------------------------------- */

static void put_effect(tm_branch *b, tm_op_kind kind, const tm_json *value) {
  tm_op *op = tm_turn_op(b->run->engine, b->run, kind);
  tm_arena *a = &tm_turn_of(b->run->engine)->batch->arena;
  op->u.effect = (tm_effect_row){
      .ns = tm_arena_strdup(a, b->run->workflow),
      .action = tm_arena_strdup(a, b->name),
      .key = tm_arena_strdup(a, b->action.key),
      .args_hash = tm_arena_strdup(a, b->action.hash),
      .run = tm_arena_strdup(a, b->run->id),
      .place = tm_arena_strdup(a, b->place),
      .result = value ? tm_json_text(a, value, NULL) : "null",
  };
}

bool tm_txn_keep(tm_branch *b, const tm_json *value, const tm_json **error) {
  tm_engine *e = b->run->engine;
  tm_store *s = e->ports.store;
  if (e->txn != b || b->run->lost || b->run->ended || b->dead)
    return true; /* nobody hears of it: it is undone */
  if (e->txn_err.code == TM_OK)
    s->vt->check(s, &e->txn_err);
  if (e->txn_err.code != TM_OK) {
    *error = db_error(&b->scratch, &e->txn_err);
    return false;
  }
  if (*b->action.key) {
    put_effect(b, TM_OP_EFFECT_CLAIM, NULL);
    put_effect(b, TM_OP_EFFECT_DONE, value);
  }
  tm_run_outcome(b, value, NULL, NULL);
  e->txn_kept = true;
  return true;
}

void tm_txn_settle(tm_engine *e) {
  bool kept = e->txn_kept;
  e->txn_kept = false;
  if (!e->txn)
    return;
  if (kept) {
    e->txn = NULL;
    tm_turn_submit(e);
  } else {
    abandon(e);
  }
}
