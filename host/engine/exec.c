/* exec.c - calls at the frontier go live: who executes what.
 *
 * A call is launched only when nothing that it rests on is still on its way to the disk (law
 * 1): its own run's records of this turn come first.
 */
#include <string.h>

#include "engine/backoff.h"
#include "engine/budget.h"
#include "engine/child.h"
#include "engine/decision.h"
#include "engine/engine.h"
#include "engine/held.h"
#include "engine/lock.h"
#include "engine/reuse.h"
#include "engine/signal.h"
#include "engine/spend.h"

#define RECORDS_MAX 1000000

/* -- tasks: work outside the engine ---------------------------------------------------- */

void tm_exec_start_task(tm_branch *b, tm_call_kind kind, const char *name,
                        const tm_json *request) {
  tm_engine *e = b->run->engine;
  tm_err err = TM_ERR_INIT;
  if (e->broken.code != TM_OK)
    return; /* stopped: its claims are given back, another process may be at it already */
  tm_task *t = tm_new(tm_task);
  *t = (tm_task){.engine = e, .branch = b, .kind = kind, .state = tm_backoff_state(b)};
  b->task = t;
  e->tasks++;
  if (kind != TM_CALL_LLM && kind != TM_CALL_EMBED) {
    e->begun++;
    b->action.reached = true;
  }
  tm_engine_enters(e, b); /* a host function runs inside */
  int rc = e->ports.start(e->ports.ctx, t, name, request, &err);
  tm_engine_enters(e, NULL);
  if (rc == 0)
    return;
  tm_json *error = tm_run_error(&b->scratch, tm_call_word(kind), "%s", err.msg);
  tm_json_set_str(&b->scratch, error, "code", tm_err_word(err.code));
  tm_json_set_bool(&b->scratch, error, "unknown", false);
  tm_task_finish(t, NULL, NULL, error);
}

void tm_exec_attempt(tm_branch *b, tm_call_kind kind, const tm_json *attempt) {
  _Alignas(16) char room[512];
  tm_arena a;
  tm_arena_init_in(&a, room, sizeof room);
  tm_json *body = tm_json_new_object(&a);
  tm_json_lend_str(&a, body, "k", tm_call_word(kind));
  tm_json_lend(&a, body, "a", attempt);
  if (tm_call_class_of(kind) == TM_CALL_VERB) /* a model's has its time inside */
    tm_json_lend_int(&a, body, "at", tm_engine_now(b->run->engine));
  tm_turn_record(b->run, TM_RECORD_ATTEMPT, b->place, b->name, body);
  tm_arena_free(&a);
}

void tm_task_attempt(tm_task *t, const tm_json *attempt) {
  tm_branch *b = t->branch;
  if (!b || b->run->lost || b->run->ended)
    return;
  tm_exec_attempt(b, t->kind, attempt);
  if (t->kind == TM_CALL_LLM || t->kind == TM_CALL_EMBED)
    tm_spend_attempt(b, attempt);
  tm_event_call(b, "call.attempt", "attempt", attempt);
}

void tm_task_delta(tm_task *t, const char *text, size_t len) {
  tm_branch *b = t->branch;
  tm_arena a;
  if (!b || b->run->lost || b->run->ended || !t->engine->ports.event)
    return;
  tm_arena_init(&a, 0);
  tm_event_call(b, "call.delta", "text",
                tm_json_new_strn(&a, text, tm_json_utf8_valid(text, len)));
  tm_arena_free(&a);
}

void tm_task_waiting(tm_task *t, const tm_json *why) {
  tm_branch *b = t->branch;
  if (b && !b->run->lost && !b->run->ended)
    tm_event_call(b, "call.waiting", "waiting", why);
}

void tm_task_finish(tm_task *t, const tm_json *value, const tm_json *meta,
                    const tm_json *error) {
  tm_branch *b = t->branch;
  tm_call_kind kind = t->kind;
  t->engine->tasks--;
  tm_free(t);
  if (!b)
    return;
  b->task = NULL;
  if (kind == TM_CALL_LLM || kind == TM_CALL_EMBED)
    tm_spend_settle(b, !tm_budget_unsent(meta, error));
  if (b->kind == TM_CALL_LLM)
    tm_reuse_done(b, kind, value, meta, error);
  else if (b->kind == TM_CALL_EMBED)
    tm_embed_done(b, value, meta, error);
  else
    tm_verb_done(b, kind, value, error);
}

void tm_task_later(tm_task *t, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                   const tm_json *error) {
  tm_branch *b = t->branch;
  if (b && t->kind == TM_CALL_EMBED && b->kind == TM_CALL_LLM) {
    tm_task_finish(t, NULL, meta, error); /* no answer waits for a look for like ones */
    return;
  }
  t->engine->tasks--;
  tm_free(t);
  if (!b)
    return;
  b->task = NULL;
  tm_spend_settle(b, false); /* held again when it goes on, and counted when it ends */
  tm_budget_release(b);
  if (!b->run->lost && !b->run->ended)
    tm_backoff_begin(b, wait_ms, state, tm_reuse_so_far(b, meta), error);
  tm_flight_fail(b, false);
}

/* -- launching ------------------------------------------------------------------------- */

static int64_t long_due(tm_branch *b) {
  const tm_entry *open = tm_place_find(b->past, TM_RECORD_OPEN);
  if (open)
    return tm_json_int(tm_json_get(open->body, "due"), 0);
  return tm_engine_now(b->run->engine) + tm_json_int(tm_json_get(b->request, "ms"), 0);
}

static void launch_sleep(tm_branch *b) {
  int64_t due = long_due(b);
  if (!tm_place_find(b->past, TM_RECORD_OPEN)) {
    tm_json *body = tm_exec_open_body(b);
    tm_json_set_int(&b->scratch, body, "due", due);
    tm_turn_record(b->run, TM_RECORD_OPEN, b->place, b->name, body);
  }
  b->recorded = true;
  tm_engine_set_timer(b, due);
}

tm_json *tm_exec_open_body(tm_branch *b) {
  tm_arena *a = &b->scratch;
  tm_json *body = tm_json_new_object(a);
  tm_json_lend_str(a, body, "k", tm_call_word(b->kind));
  tm_json_lend_str(a, body, "i", b->identity);
  tm_json_lend(a, body, "q", b->request);
  tm_json_lend_str(a, body, "w", b->where);
  if (*b->step)
    tm_json_lend_str(a, body, "s", b->step);
  tm_json_lend_int(a, body, "at", tm_engine_now(b->run->engine));
  return body;
}

/* -- the switch ------------------------------------------------------------------------ */

static void go(tm_branch *b) {
  if (!b->past && !b->back && !b->reuse) /* who asks again has been told of */
    tm_event_call(b, "call.started", NULL, NULL);
  switch (b->kind) {
  case TM_CALL_LLM:
    tm_reuse_launch(b);
    break;
  case TM_CALL_EMBED:
    tm_embed_launch(b);
    break;
  case TM_CALL_SLEEP:
    launch_sleep(b);
    break;
  case TM_CALL_GATE:
    tm_gate_launch(b);
    break;
  case TM_CALL_RECALL:
    tm_decision_recall(b);
    break;
  case TM_CALL_DECIDE:
    tm_decision_make(b);
    break;
  case TM_CALL_WAIT:
    tm_signal_launch(b);
    break;
  case TM_CALL_EMIT:
    tm_signal_emit(b);
    break;
  case TM_CALL_CALL:
  case TM_CALL_START:
    tm_child_launch(b);
    break;
  case TM_CALL_CONTINUE:
    tm_child_continue(b);
    break;
  case TM_CALL_LOCK:
    tm_lock_launch(b);
    break;
  default:
    tm_action_launch(b);
  }
}

static void go_after(tm_after *a, const tm_err *err) {
  tm_branch *b = a->branch;
  if (!tm_after_awaited(a, err))
    return;
  if (b->run->order == TM_ORDER_PAUSE)
    b->phase = TM_PHASE_HELD;
  else
    go(b);
}

/* Does nothing but write to the store, behind the records it rests on. */
static bool is_a_row(tm_call_kind k) {
  return k == TM_CALL_SLEEP || k == TM_CALL_GATE || k == TM_CALL_WAIT || k == TM_CALL_EMIT ||
         k == TM_CALL_CALL || k == TM_CALL_START || k == TM_CALL_CONTINUE || k == TM_CALL_LOCK;
}

/* A journal is read whole for each replay. Who needs more than a million records goes on as a fresh
 * run: that is still allowed. */
static bool too_long(const tm_branch *b) {
  int64_t max = b->run->engine->ports.records_max;
  return b->run->next_seq >= (max ? max : RECORDS_MAX) && b->kind != TM_CALL_CONTINUE;
}

static void stop_at(tm_branch *b) {
  tm_err err;
  tm_err_set(
      &err, TM_LIMIT,
      "%s: the run's journal has %lld records, the most that a run may have, and \"%s\" was "
      "not begun; a run that never ends goes on as a fresh one by mill.continue_as",
      b->where, (long long)b->run->next_seq, b->name);
  tm_run_stop(b->run, &err);
}

void tm_exec_launch(tm_branch *b) {
  tm_run *r = b->run;
  if (too_long(b)) {
    stop_at(b);
    return;
  }
  if (r->order == TM_ORDER_PAUSE)
    return; /* held until it is taken up again */
  b->phase = TM_PHASE_LIVE;
  if (is_a_row(b->kind) || r->uncommitted == 0)
    go(b);
  else
    tm_turn_after(r->engine, go_after, r, b);
}

/* It waited for the rest of a budget. */
static void money_due(tm_branch *b) {
  if (b->run->order == TM_ORDER_PAUSE) {
    b->phase = TM_PHASE_HELD;
    tm_flight_fail(b, false);
  } else if (b->kind == TM_CALL_EMBED) {
    tm_embed_launch(b);
  } else {
    tm_reuse_go_on(b);
  }
}

void tm_exec_due(tm_branch *b) {
  if (b->dead || b->run->lost || b->run->ended)
    return;
  if (b->kind == TM_CALL_SLEEP)
    tm_run_outcome(b, NULL, NULL, NULL);
  else if (b->money_waits)
    money_due(b);
  else if (b->kind == TM_CALL_LLM || b->kind == TM_CALL_EMBED)
    tm_backoff_due(b);
  else if (b->kind == TM_CALL_GATE)
    tm_gate_due(b);
  else if (b->kind == TM_CALL_WAIT)
    tm_signal_due(b);
  else if (b->kind == TM_CALL_CALL)
    tm_child_due(b);
  else
    tm_action_due(b);
}

void tm_exec_abandon(tm_branch *b) {
  tm_engine *e = b->run->engine;
  tm_engine_clear_timer(b);
  bool asked = false;
  if (b->task) {
    tm_task *t = b->task;
    b->task = NULL;
    t->branch = NULL;
    e->ports.cancel(e->ports.ctx, t);
    asked = !t->unsent;
    e->tasks--;
    tm_free(t);
  }
  tm_spend_settle(b, asked);
  tm_budget_release(b);
  tm_held_gone(b);
  tm_like_gone(b);
  tm_flight_gone(b);
  if (b->kind == TM_CALL_WAIT)
    tm_signal_give_back(b);
  else if (b->kind == TM_CALL_CALL)
    tm_child_abandon(b);
  else if (b->kind == TM_CALL_LOCK)
    tm_lock_gone(b);
  if ((b->gate || b->phase == TM_PHASE_HELD) && !b->run->lost && !b->run->ended)
    tm_gate_close(b);
}
