/* control.c - orders from outside: cancel, terminate, pause.
 *
 * A run that is not in memory is taken up first. Cancel needs its script (handlers and undo
 * run); terminate and pause need only its journal.
 */
#include <string.h>

#include "engine/engine.h"
#include "engine/replay.h"

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
  tm_run_finish(r, TM_RUN_CANCELLED, NULL, error);
}

/* -- pause ----------------------------------------------------------------------------- */

static void left(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  if (err->code == TM_OK && a->op->status == TM_OP_OK)
    tm_event_run(r, "run.paused", "note", tm_json_new_str(&r->arena, r->order_note));
  tm_engine_forget(r);
}

static void leave(tm_run *r) {
  tm_arena *a = &r->arena;
  tm_json *reason = tm_json_new_array(a), *why = tm_json_new_object(a);
  tm_json_set_str(a, why, "for", "pause"); /* first: see PAUSED */
  tm_json_set_str(a, why, "note", r->order_note);
  tm_json_set_str(a, why, "by", r->order_by);
  tm_json_push(a, reason, why);
  tm_op *op = tm_run_rest(r, reason);
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

bool tm_control_paused(const tm_run_row *row) {
  return row->reason && strncmp(row->reason, PAUSED, sizeof PAUSED - 1) == 0;
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

static int bring_in(tm_engine *e, const char *id, tm_err *err) {
  if (tm_engine_find(e, id))
    return 0;
  int n = tm_engine_resume(e, id, err);
  if (n == 0)
    return refuse(id, "it has ended, or another process runs it", err);
  return n < 0 ? -1 : 0;
}

int tm_control_give(tm_engine *e, const char *id, tm_order order, const char *note,
                    const char *by, tm_err *err) {
  if (bring_in(e, id, err) < 0)
    return -1;
  tm_run *r = tm_engine_find(e, id);
  if (r->ended || r->lost)
    return refuse(id, r->ended ? "it has ended" : "it is just being paused", err);
  r->order = (int)order;
  r->order_note = tm_arena_strdup(&r->arena, note ? note : "");
  r->order_by = tm_arena_strdup(&r->arena, by ? by : "");
  if (!r->claiming && !r->replaying)
    obey(r);
  return 0;
}
