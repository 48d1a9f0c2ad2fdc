/* control.c - orders from outside: cancel, terminate, pause.
 *
 * A run that is not in memory is taken up first. Cancel needs its script (handlers and undo
 * run); terminate and pause need only its journal. Of a run that another living process has, the
 * order is kept in the store, and that process sees it.
 */
#include <string.h>

#include "engine/engine.h"
#include "engine/held.h"
#include "engine/orders.h"
#include "engine/owner.h"
#include "engine/replay.h"
#include "engine/wake.h"

#define PAUSED "[{\"for\":\"pause\"" /* how a paused run's reason begins */

static int refuse(const char *id, const char *why, tm_err *err) {
  return tm_err_set(err, TM_CONFLICT, "run %s cannot be had: %s", id, why);
}

/* -- cancel ---------------------------------------------------------------------------- */

static void cancel_recorded(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  if (err->code != TM_OK || r->lost || r->ended)
    return;
  tm_run_drive(r); /* what was recorded before the cancel is told before it */
  if (r->ended || r->lost)
    return;
  tm_run_cancel(r);
  tm_engine_make_runnable(r);
}

static void cancel(tm_run *r) {
  tm_json *body = tm_json_new_object(&r->arena);
  tm_json_set_str(&r->arena, body, "note", r->order_note);
  tm_json_set_str(&r->arena, body, "by", r->order_by);
  tm_json_set_int(&r->arena, body, "at", tm_engine_now(r->engine));
  tm_turn_record(r, TM_RECORD_CANCEL, "", "cancel", body);
  tm_orders_done(r);
  tm_turn_after(r->engine, cancel_recorded, r, NULL);
}

/* -- terminate ------------------------------------------------------------------------- */

static int close_gate(void *ctx, const tm_gate_row *row) {
  tm_run *r = ctx;
  if (strcmp(row->state, "open") != 0)
    return 0;
  tm_op *op = tm_turn_op(r->engine, r, TM_OP_GATE_CLOSE);
  op->u.gate.id = tm_arena_strdup(&tm_turn_of(r->engine)->batch->arena, row->id);
  op->u.gate.state = "closed";
  op->u.gate.decided = tm_engine_now(r->engine);
  return 0;
}

static void terminate(tm_run *r) {
  tm_err err = TM_ERR_INIT;
  tm_gate_filter open = {.run = r->id, .open = true};
  tm_store *s = r->engine->ports.store;
  tm_json *error = tm_run_error(&r->arena, "terminated", "the run was terminated%s%s%s%s",
                                *r->order_by ? " by " : "", r->order_by,
                                *r->order_note ? ": " : "", r->order_note);
  if (!r->guest)
    s->vt->gates(s, &open, close_gate, r, &err);
  tm_orders_done(r);
  tm_run_finish(r, TM_RUN_CANCELLED, NULL, error);
}

/* -- pause ----------------------------------------------------------------------------- */

static void left(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  tm_err own = TM_ERR_INIT;
  bool kept = err->code == TM_OK && a->op->status == TM_OP_OK;
  if (kept)
    tm_event_run(r, "run.paused", "note", tm_json_new_str(&r->arena, r->order_note));
  tm_engine_forget(r);
  if (kept && r->order_reason && !tm_orders_pause(r->engine, r->workflow))
    tm_engine_rouse(r->engine, r->id, &own); /* the pause was lifted meanwhile */
}

static const tm_json *pause_reason(tm_run *r) {
  tm_arena *a = &r->arena;
  if (r->order_reason)
    return r->order_reason;
  tm_json *reason = tm_json_new_array(a), *why = tm_json_new_object(a);
  tm_json_set_str(a, why, "for", "pause"); /* first: see PAUSED */
  tm_json_set_str(a, why, "note", r->order_note);
  tm_json_set_str(a, why, "by", r->order_by);
  tm_json_push(a, reason, why);
  return reason;
}

static void leave(tm_run *r) {
  tm_held_leave(r);
  tm_op *op = tm_run_rest(r, pause_reason(r));
  tm_orders_done(r);
  tm_turn_after(r->engine, left, r, NULL)->op = op;
  r->lost = true; /* nothing of it happens here any more: a timer, a decision, another order */
}

static bool under_way(const tm_branch *b) {
  return b->task || b->phase == TM_PHASE_BODY || b->phase == TM_PHASE_ANSWERED;
}

void tm_control_settle(tm_run *r) {
  for (const tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead && under_way(b))
      return;
  }
  leave(r);
}

bool tm_control_is_paused(const tm_run_row *row) {
  return strcmp(row->state, "waiting") == 0 && row->reason &&
         strncmp(row->reason, PAUSED, sizeof PAUSED - 1) == 0;
}

bool tm_control_rests(const tm_run_row *row) {
  tm_arena a;
  if (!tm_control_is_paused(row))
    return false;
  tm_arena_init(&a, 0);
  const tm_json *why = tm_json_at(tm_wake_reason(row, &a), 0);
  bool many = tm_json_get(why, "workflow") || tm_json_get(why, "all");
  tm_arena_free(&a);
  return many;
}

bool tm_control_paused(tm_engine *e, const tm_run_row *row) {
  return tm_control_is_paused(row) &&
         (!tm_control_rests(row) || tm_orders_pause(e, row->workflow));
}

/* -- pausing many ---------------------------------------------------------------------- */

static void pause_kept(tm_after *a, const tm_err *err) {
  tm_engine *e = a->ctx;
  if (err->code != TM_OK)
    return;
  tm_orders_read(e);
  tm_orders_look(e);
}

static tm_op *many_op(tm_engine *e, tm_op_kind kind, const char *workflow) {
  tm_op *op = tm_turn_free(e, kind);
  op->u.order.target =
      workflow ? tm_arena_printf(&tm_turn_of(e)->batch->arena, "workflow:%s", workflow) : "all";
  return op;
}

void tm_control_pause_many(tm_engine *e, const char *workflow, const char *note,
                           const char *by) {
  tm_op *op = many_op(e, TM_OP_ORDER_NEW, workflow);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  op->u.order.what = "pause";
  op->u.order.note = tm_arena_strdup(a, note ? note : "");
  op->u.order.by = tm_arena_strdup(a, by ? by : "");
  tm_turn_after(e, pause_kept, NULL, NULL)->ctx = e;
}

typedef struct lifting {
  tm_engine *engine;
  const char *workflow;
} lifting;

static void pause_lifted(tm_after *a, const tm_err *err) {
  const lifting *l = a->ctx;
  tm_err own = TM_ERR_INIT;
  if (err->code != TM_OK)
    return;
  tm_orders_read(l->engine);
  tm_engine_resume_workflow(l->engine, l->workflow, &own);
}

void tm_control_resume_many(tm_engine *e, const char *workflow) {
  many_op(e, TM_OP_ORDER_LIFT, workflow);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  lifting *l = tm_arena_new(a, lifting);
  *l = (lifting){e, workflow ? tm_arena_strdup(a, workflow) : NULL};
  tm_turn_after(e, pause_lifted, NULL, NULL)->ctx = l;
}

/* -- giving and obeying ---------------------------------------------------------------- */

static void obey(tm_run *r) {
  if (r->order == TM_ORDER_CANCEL)
    cancel(r);
  else if (r->order == TM_ORDER_TERMINATE)
    terminate(r);
  else
    tm_engine_make_runnable(r); /* it settles */
}

void tm_control_obey(tm_run *r) {
  if (r->order != TM_ORDER_NONE)
    obey(r);
}

bool tm_control_asleep(tm_run *r) {
  tm_err err = TM_ERR_INIT;
  if (r->order == TM_ORDER_PAUSE) {
    leave(r);
    return true;
  }
  if (r->order != TM_ORDER_TERMINATE || tm_replay_load(r, &err) < 0)
    return false;
  r->replaying = false;
  terminate(r);
  return true;
}

/* From now on; carried out at once, or when its replay is over. */
static void give(tm_run *r, tm_order order, const char *note, const char *by) {
  r->order = (int)order;
  r->order_note = tm_arena_strdup(&r->arena, note ? note : "");
  r->order_by = tm_arena_strdup(&r->arena, by ? by : "");
  r->order_reason = NULL;
  r->order_kept = false;
}

static void take_row(tm_run *r, tm_order order, const tm_order_row *row) {
  give(r, order, row->note, row->by);
  if (row->run)
    r->order_kept = true;
  else
    r->order_reason = tm_orders_reason(row, &r->arena);
}

void tm_control_obey_row(tm_run *r, tm_order order, const tm_order_row *row) {
  take_row(r, order, row);
  if (!r->claiming && !r->replaying)
    obey(r);
}

void tm_control_inherit(tm_run *r) {
  const tm_order_row *own = tm_orders_of(r->engine, r->id);
  const tm_order_row *pause = tm_orders_pause(r->engine, r->workflow);
  if (r->order != TM_ORDER_NONE)
    return;
  if (own && r->asked && tm_orders_kind(own) == TM_ORDER_PAUSE)
    tm_orders_lift(r->engine, own); /* given before it was resumed */
  else if (own)
    take_row(r, tm_orders_kind(own), own);
  if (r->order == TM_ORDER_NONE && pause)
    take_row(r, TM_ORDER_PAUSE, pause);
}

/* 0: it is in memory; 1: another living process has it; -1. */
static int bring_in(tm_engine *e, const char *id, tm_err *err) {
  tm_arena a;
  tm_run_row row;
  if (tm_engine_find(e, id) || tm_engine_unborn(e, id))
    return 0;
  int n = tm_engine_resume(e, id, err);
  if (n != 0)
    return n < 0 ? -1 : 0;
  tm_arena_init(&a, 0);
  int found = tm_wake_row(e, id, &a, &row, err);
  bool goes_on =
      found == 1 && (strcmp(row.state, "running") == 0 || strcmp(row.state, "waiting") == 0 ||
                     strcmp(row.state, "queued") == 0);
  bool elsewhere = goes_on && row.owner && tm_owner_alive(row.owner);
  tm_arena_free(&a);
  return found < 0 ? -1 : elsewhere ? 1 : refuse(id, "it has ended", err);
}

int tm_control_give(tm_engine *e, const char *id, tm_order order, const char *note,
                    const char *by, tm_err *err) {
  int where = bring_in(e, id, err);
  if (where == 1)
    tm_orders_give(e, NULL, id, order, note, by);
  if (where != 0)
    return where;
  tm_run *found = tm_engine_find(e, id), *r = found ? found : tm_engine_unborn(e, id);
  if (r->ended || r->lost)
    return refuse(id, r->ended ? "it has ended" : "it is just being paused", err);
  give(r, order, note, by);
  if (found && !r->claiming && !r->replaying)
    obey(r);
  return 0;
}
