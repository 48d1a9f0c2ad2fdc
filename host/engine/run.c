/* run.c - a run's life: its branches, what wakes them, how it ends.
 *
 *            start                      drive                     settle
 *   QUEUED ─────────► RUNNING ────────────────────► RUNNING ◄──────────────► WAITING
 *                        │ main returns       │ main raises, stop   │ only gates, rows and
 *                        ▼                    ▼                     │ long sleeps: claim given
 *                      DONE                 FAILED                  │ back, script parked
 *                        journal and script disagree: DIVERGED      │ cancel, terminate
 *                                                 CANCELLED ◄───────┘
 */
#include "engine/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/backoff.h"
#include "engine/budget.h"
#include "engine/child.h"
#include "engine/engine.h"
#include "engine/held.h"
#include "engine/lock.h"
#include "engine/park.h"
#include "engine/replay.h"
#include "engine/spend.h"
#include "engine/txn.h"

#define LONG_WAIT_MS 2000 /* a longer sleep gives the claim back while it lasts */

const char *tm_run_state_word(tm_run_state s) {
  static const char *const words[] = {"queued", "running",   "waiting", "done",
                                      "failed", "cancelled", "diverged"};
  return words[s];
}

tm_json *tm_run_error(tm_arena *a, const char *kind, const char *fmt, ...) {
  va_list args;
  tm_buf text = TM_BUF_INIT;
  va_start(args, fmt);
  tm_buf_vprintf(&text, fmt, args);
  va_end(args);
  tm_json *e = tm_json_new_object(a);
  tm_json_set_str(a, e, "kind", kind);
  tm_json_set(a, e, "message", tm_json_new_strn(a, tm_buf_str(&text), text.len));
  tm_buf_free(&text);
  return e;
}

/* -- branches -------------------------------------------------------------------------- */

static tm_branch *new_branch(tm_run *r, tm_branch *parent, uint32_t index) {
  tm_branch *b = tm_new(tm_branch);
  tm_arena_init(&b->scratch, 0);
  tm_arena_init(&b->verb_scratch, 0);
  b->run = r;
  b->parent = parent;
  b->index = index;
  b->step = parent ? parent->step : "";
  if (parent) {
    tm_buf path = TM_BUF_INIT;
    tm_buf_printf(&path, "%s/%u", parent->place, index);
    b->path = tm_buf_take(&path, NULL);
  } else {
    b->path = tm_strdup("");
  }
  tm_list_init(&b->ready);
  tm_list_init(&b->held);
  tm_list_init(&b->saving);
  tm_list_append(&r->branches, &b->link);
  return b;
}

static void free_branch(tm_branch *b) {
  tm_list_remove(&b->link);
  tm_list_remove(&b->ready);
  tm_list_remove(&b->held);
  tm_list_remove(&b->saving);
  tm_arena_free(&b->scratch);
  tm_arena_free(&b->verb_scratch);
  tm_free(b->path);
  tm_free(b);
}

/* All of a fork's children, save one (NULL: none). */
static void drop_children(tm_branch *parent, const tm_branch *spared) {
  tm_run *r = parent->run;
  tm_list *next;
  for (tm_list *l = r->branches.next; l != &r->branches; l = next) {
    next = l->next;
    tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    bool is_spared = spared && spared->index == b->index;
    if (b->parent == parent && !b->dead && !b->draining && !is_spared)
      tm_run_drop(b);
  }
}

/* An action whose intent is on disk is never interrupted: the branch hears of its outcome (and
 * no script code runs any more), and only then does whoever dropped it go on. Live and in a
 * replay alike, so the order of resumptions stays the journal's. */
void tm_run_drop(tm_branch *b) {
  if (b->phase == TM_PHASE_FORKED)
    drop_children(b, NULL);
  if (b->drains || tm_action_started(b)) {
    b->draining = true;
    b->parent->drains++;
    return;
  }
  tm_exec_abandon(b);
  if (b->past)
    b->past->waiting = NULL;
  tm_list_remove(&b->ready);
  b->dead = b->run->litter = true;
}

/* Dead branches are freed between resumes, when no continuation points at them. */
static void sweep(tm_run *r) {
  tm_list *next;
  if (!r->litter)
    return;
  r->litter = false;
  for (tm_list *l = r->branches.next; l != &r->branches; l = next) {
    next = l->next;
    tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead)
      continue;
    tm_lock_gone(b);
    if (r->guest && b->slot)
      r->engine->ports.guest->drop(r->guest, b);
    b->slot = NULL;
    if (b->refs == 0)
      free_branch(b);
    else
      r->litter = true;
  }
}

/* The fork's answer: at once, or when the last of its dropped branches has heard of its
 * outcome. */
static void conclude(tm_branch *b, tm_answer_kind kind, const tm_json *value) {
  b->settled = b->drains > 0;
  if (b->settled)
    b->answer = (tm_answer){.kind = kind, .value = value};
  else
    tm_run_answer(b, kind, value, NULL);
}

static void drained(tm_branch *b) {
  tm_branch *parent = b->parent;
  b->dead = b->run->litter = true;
  if (--parent->drains > 0)
    return;
  if (parent->draining)
    drained(parent);
  else if (parent->settled)
    conclude(parent, parent->answer.kind, parent->answer.value);
}

void tm_run_fork(tm_branch *b) {
  if (b->children == 0)
    tm_run_answer(b, TM_ANSWER_VALUE, NULL, NULL);
  while (b->started < b->children && b->started - b->finished < b->window) {
    tm_branch *child = new_branch(b->run, b, b->started++);
    tm_run_answer(child, TM_ANSWER_BEGIN, NULL, NULL);
  }
}

void tm_run_return(tm_branch *b, const tm_json *value) {
  tm_run *r = b->run;
  tm_branch *parent = b->parent;
  if (!parent) {
    if (tm_replay_ends(r))
      tm_run_finish(r, r->cancelling ? TM_RUN_CANCELLED : TM_RUN_DONE, value, NULL);
    return;
  }
  b->dead = b->run->litter = true;
  if (parent->race)
    drop_children(parent, b);
  if (++parent->finished == parent->children || parent->race)
    conclude(parent, TM_ANSWER_VALUE, NULL);
  else
    tm_run_fork(parent);
}

void tm_run_raise(tm_branch *b, const tm_json *error) {
  tm_run *r = b->run;
  tm_branch *parent = b->parent;
  if (!parent) {
    if (tm_replay_ends(r))
      tm_run_finish(r, r->cancelling ? TM_RUN_CANCELLED : TM_RUN_FAILED, NULL, error);
    return;
  }
  b->dead = b->run->litter = true;
  drop_children(parent, b);
  conclude(parent, TM_ANSWER_ERROR, tm_json_copy(&parent->scratch, error));
}

/* -- answers --------------------------------------------------------------------------- */

void tm_run_answer(tm_branch *b, tm_answer_kind kind, const tm_json *value,
                   const tm_json *meta) {
  b->answer = (tm_answer){.kind = kind, .value = value, .meta = meta};
  if (b->phase != TM_PHASE_BODY)
    b->phase = TM_PHASE_ANSWERED;
  if (b->past)
    b->past->waiting = NULL;
  tm_list_append(&b->run->ready, &b->ready);
  tm_engine_make_runnable(b->run);
}

bool tm_run_enters(tm_branch *b, tm_answer *order) {
  tm_list *ready = &b->run->ready;
  bool alone = ready->next == &b->ready && ready->prev == &b->ready;
  if (!alone || b->answer.kind != TM_ANSWER_ENTER || tm_txn_is(b))
    return false;
  tm_list_remove(&b->ready);
  b->phase = TM_PHASE_BODY;
  *order = b->answer;
  return true;
}

static void outcome_event(tm_branch *b) {
  if (!b->run->engine->ports.event)
    return;
  tm_json *facts = tm_json_new_object(&b->scratch);
  tm_json_lend_int(&b->scratch, facts, "ms", tm_engine_now(b->run->engine) - b->opened);
  const char *model = tm_json_get_str(b->answer.meta, "model");
  if (model)
    tm_json_lend_str(&b->scratch, facts, "model", model);
  const char *hit = tm_json_get_str(tm_json_get(b->answer.meta, "cached"), "hit");
  if (hit)
    tm_json_lend_str(&b->scratch, facts, "hit", hit);
  if (b->answer.kind == TM_ANSWER_ERROR)
    tm_json_lend(&b->scratch, facts, "error", b->answer.value);
  tm_event_call(b, "call.done", NULL, facts);
}

static void deliver(tm_after *a, const tm_err *err) {
  tm_branch *b = a->branch;
  if (err->code != TM_OK || b->dead || b->run->lost || b->run->ended)
    return;
  outcome_event(b);
  tm_list_append(&b->run->deliveries, &b->ready);
  tm_engine_make_runnable(b->run);
}

/* What a script may look at in any error: {kind, code, message, step?, retryable}. The code is the
 * kind where nothing more is known. */
static tm_json *whole_error(tm_branch *b, const tm_json *error) {
  tm_arena *a = &b->scratch;
  tm_json *e = tm_json_copy(a, error);
  if (tm_json_type_of(e) != TM_JSON_OBJECT)
    return e;
  if (!tm_json_get(e, "code") && tm_json_get(e, "kind"))
    tm_json_set(a, e, "code", tm_json_get(e, "kind"));
  if (!tm_json_get(e, "step") && *b->step)
    tm_json_set_str(a, e, "step", b->step);
  if (!tm_json_get(e, "retryable"))
    tm_json_set_bool(a, e, "retryable", false);
  return e;
}

static tm_json *outcome_body(tm_branch *b, const tm_json *value, const tm_json *error,
                             const tm_json *meta) {
  tm_arena *a = &b->scratch;
  tm_json *body = tm_json_new_object(a);
  tm_json_lend_str(a, body, "k", tm_call_word(b->kind));
  tm_json_lend_str(a, body, "i", b->identity);
  if (error)
    tm_json_lend(a, body, "e", whole_error(b, error));
  else
    tm_json_lend(a, body, "v", value ? tm_json_copy(a, value) : tm_json_null(a));
  if (meta)
    tm_json_lend(a, body, "m", tm_json_copy(a, meta));
  if (!b->recorded)
    tm_json_lend(a, body, "q", b->request);
  if (*b->where)
    tm_json_lend_str(a, body, "w", b->where);
  if (*b->step)
    tm_json_lend_str(a, body, "s", b->step);
  int64_t now = tm_engine_now(b->run->engine);
  tm_json_lend_int(a, body, "ms", now - b->opened);
  tm_json_lend_int(a, body, "at", now);
  return body;
}

static tm_op *set_row(tm_run *r, tm_run_state state, const tm_json *reason, int64_t wake,
                      bool keep);

void tm_run_outcome(tm_branch *b, const tm_json *value, const tm_json *error,
                    const tm_json *meta) {
  tm_run *r = b->run;
  if (r->lost || r->ended || b->dead)
    return;
  tm_json *body = outcome_body(b, value, error, meta);
  if (b->waits && r->state == TM_RUN_WAITING) /* its row must not wait for what it has had */
    set_row(r, TM_RUN_RUNNING, NULL, 0, true);
  tm_turn_record(r, error ? TM_RECORD_FAIL : TM_RECORD_DONE, b->place, b->name, body);
  b->answer = (tm_answer){
      .kind = error ? TM_ANSWER_ERROR : TM_ANSWER_VALUE,
      .value = tm_json_get(body, error ? "e" : "v"),
      .meta = tm_json_get(body, "m"),
  };
  b->phase = TM_PHASE_ANSWERED;
  tm_engine_clear_timer(b);
  tm_turn_after(r->engine, deliver, r, b);
}

/* -- driving --------------------------------------------------------------------------- */

static void resume(tm_run *r, tm_branch *b) {
  tm_answer answer = b->answer;
  if (b->draining && b->phase == TM_PHASE_ANSWERED && answer.kind != TM_ANSWER_ENTER) {
    drained(b);
    return;
  }
  if (b->phase == TM_PHASE_ANSWERED &&
      (b->kind == TM_CALL_LLM || b->kind == TM_CALL_EMBED || b->kind == TM_CALL_CALL))
    tm_budget_add(b, answer.meta);
  if (b->phase == TM_PHASE_ANSWERED && b->kind == TM_CALL_LOCK &&
      answer.kind == TM_ANSWER_VALUE)
    tm_lock_held(b);
  if (answer.kind == TM_ANSWER_ENTER && tm_txn_is(b) && !tm_txn_begin(b))
    return;
  if (answer.kind == TM_ANSWER_ENTER)
    b->phase = TM_PHASE_BODY;
  else if (b->phase != TM_PHASE_BODY)
    b->phase = TM_PHASE_IDLE;
  tm_engine_enters(r->engine, b);
  r->engine->ports.guest->resume(r->guest, b, &answer);
  tm_engine_enters(r->engine, NULL);
  tm_txn_settle(r->engine);
}

void tm_run_begin(tm_run *r) {
  r->main = new_branch(r, NULL, 0);
  tm_run_answer(r->main, TM_ANSWER_BEGIN, r->input, NULL);
}

/* `now`: of the monotonic clock. */
static bool waits_long(const tm_branch *b, int64_t now) {
  if (b->phase != TM_PHASE_LIVE)
    return b->phase == TM_PHASE_FORKED;
  if (b->due && b->timer.due <= now)
    return false; /* its timer fires in the next turn */
  if (b->gate || b->waits)
    return true;
  return (b->kind == TM_CALL_SLEEP || tm_backoff_is(b)) &&
         (b->run->engine->ports.still_clock || b->timer.due - now > LONG_WAIT_MS);
}

/* Does it wait for nothing but people and long timers? `wake` is the earliest of these. */
static bool only_long_waits(const tm_run *r, int64_t *wake) {
  int64_t now = tm_engine_mono(r->engine);
  *wake = 0;
  for (const tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (b->dead)
      continue;
    if (!waits_long(b, now))
      return false;
    if (b->due && (!*wake || b->due < *wake))
      *wake = b->due;
  }
  return true;
}

static void say_waiting(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  int64_t wake;
  if (err->code != TM_OK || r->lost || r->state != TM_RUN_WAITING)
    return;
  if (!r->ended && r->order == TM_ORDER_NONE && !only_long_waits(r, &wake)) {
    tm_run_goes_on(r); /* what it waited for came before the row was on the disk */
    return;
  }
  tm_arena arena;
  tm_arena_init(&arena, 0);
  tm_event_run(r, "run.waiting", "reason", tm_run_reason(r, &arena));
  tm_arena_free(&arena);
  tm_held_look_again(r);
  tm_park_run(r);
  tm_held_rest(r->engine, r->id);
}

static tm_op *set_row(tm_run *r, tm_run_state state, const tm_json *reason, int64_t wake,
                      bool keep) {
  r->state = state;
  tm_op *op = tm_turn_op(r->engine, r, TM_OP_RUN_SET);
  op->u.run.state = tm_run_state_word(state);
  op->u.run.wake_at = wake;
  op->u.run.updated = tm_engine_now(r->engine);
  op->u.run.owner = keep ? r->engine->owner : "";
  if (reason)
    op->u.run.reason = tm_json_text(&tm_turn_of(r->engine)->batch->arena, reason, NULL);
  r->owned = keep;
  return op;
}

static void settle(tm_run *r) {
  int64_t wake;
  bool waits = only_long_waits(r, &wake);
  /* A claim that is given back before it is heard of would be made anew on top of one that may be
   * lost: the store could not tell its records from ours. */
  r->unsettled = waits && r->claim;
  if (r->unsettled)
    return;
  if (waits && (r->state != TM_RUN_WAITING || r->owned)) {
    tm_arena arena;
    tm_arena_init(&arena, 0);
    set_row(r, TM_RUN_WAITING, tm_run_reason(r, &arena), wake, false);
    tm_arena_free(&arena);
    tm_turn_after(r->engine, say_waiting, r, NULL);
  } else if (!waits && r->state == TM_RUN_WAITING) {
    set_row(r, TM_RUN_RUNNING, NULL, 0, true);
  }
}

void tm_run_goes_on(tm_run *r) {
  if (r->state == TM_RUN_WAITING)
    set_row(r, TM_RUN_RUNNING, NULL, 0, true);
}

tm_op *tm_run_rest(tm_run *r, const tm_json *reason) {
  return set_row(r, TM_RUN_WAITING, reason, 0, false);
}

void tm_run_drive(tm_run *r) {
  while (!r->ended && !r->lost) {
    tm_list *l = tm_list_shift(&r->ready);
    if (!l)
      l = tm_list_shift(&r->deliveries);
    if (l)
      resume(r, TM_LIST_OF(l, tm_branch, ready));
    else if (!r->replaying || !tm_replay_next(r))
      break;
    sweep(r);
  }
  if (!r->ended && !r->lost)
    (r->order == TM_ORDER_PAUSE && !r->replaying ? tm_control_settle : settle)(r);
}

/* Not what is between its intent and its result; not what ended before the branch heard of the
 * cancel, although its record stands behind it; not what undoes; not what drains: a replay takes that for
 * begun until a record tells its end. */
static bool can_cancel(const tm_branch *b) {
  if (b->dead || b->draining || b->run->unwinding ||
      (b->phase != TM_PHASE_HELD && b->phase != TM_PHASE_LIVE) || tm_action_reads(b))
    return false;
  return !(b->phase == TM_PHASE_HELD && tm_place_outcome(b->past)) && !tm_action_started(b);
}

bool tm_run_gives_up(const tm_run *r) {
  return r->cancelling && !r->unwinding;
}

void tm_run_cancel(tm_run *r) {
  r->cancelling = true;
  if (!r->replaying)
    tm_run_goes_on(r); /* its row names calls that are given up below */
  tm_child_cancel_all(r);
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!can_cancel(b)) {
      if (b->phase == TM_PHASE_HELD && !b->dead && !r->replaying)
        tm_exec_launch(b); /* a read that was kept back for the cancel's record */
      continue;
    }
    tm_exec_abandon(b);
    tm_run_answer(b, TM_ANSWER_ERROR,
                  tm_run_error(&b->scratch, "cancelled", "the run was cancelled"), NULL);
  }
  tm_held_look_again(r); /* what drains, and waits for a key */
}

/* -- the end --------------------------------------------------------------------------- */

static void abandon_all(tm_run *r) {
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next)
    tm_exec_abandon(TM_LIST_OF(l, tm_branch, link));
}

static void say_end(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  if (err->code == TM_OK && !r->lost) {
    char event[24];
    bool done = r->state == TM_RUN_DONE;
    snprintf(event, sizeof event, "run.%s", tm_run_state_word(r->state));
    tm_event_run(r, event, done ? "result" : "error", done ? r->result : r->error);
  }
  tm_engine_forget(r);
  if (err->code == TM_OK && !r->lost)
    tm_child_ended(r);
  if (r->claims || r->journal.length > 0)
    tm_held_notice(r->engine, r->id); /* it may have left a key that others wait for */
}

/* What a parent and `tidemill result` look for in the end of a run. */
static const tm_json *add_facts(tm_run *r, tm_json *body) {
  tm_arena *a = &r->arena;
  if (r->llm_calls)
    tm_json_set_int(a, body, "llm_calls", r->llm_calls);
  if (r->usd > 0)
    tm_json_set(a, body, "usd", tm_json_new_double(a, r->usd));
  if (!r->continued)
    return NULL;
  tm_json *reason = tm_json_new_object(a);
  tm_json_set_str(a, reason, "continued", r->continued);
  tm_json_set_str(a, body, "continued", r->continued);
  return reason;
}

void tm_run_finish(tm_run *r, tm_run_state state, const tm_json *result, const tm_json *error) {
  if (r->ended || r->lost)
    return;
  abandon_all(r);
  if (state == TM_RUN_CANCELLED)
    tm_child_cancel_all(r);
  tm_arena *a = &r->arena;
  r->result = result ? tm_json_copy(a, result) : NULL;
  r->error = error ? tm_json_copy(a, error) : NULL;
  tm_json *body = tm_json_new_object(a);
  tm_json_set_str(a, body, "state", tm_run_state_word(state));
  if (state == TM_RUN_DONE)
    tm_json_set(a, body, "v", r->result ? r->result : tm_json_null(a));
  else
    tm_json_set(a, body, "e", r->error ? r->error : tm_json_null(a));
  tm_json_set_int(a, body, "at", tm_engine_now(r->engine));
  const tm_json *reason = add_facts(r, body);
  tm_lock_end(r);
  tm_spend_end(r);
  tm_turn_record(r, TM_RECORD_END, "", tm_run_state_word(state), body);
  tm_op *row = set_row(r, state, state == TM_RUN_DONE ? reason : r->error, 0, false);
  if (state == TM_RUN_DONE)
    row->u.run.result =
        tm_json_text(&tm_turn_of(r->engine)->batch->arena, tm_json_get(body, "v"), NULL);
  r->ended = true;
  tm_turn_after(r->engine, say_end, r, NULL);
}

void tm_run_stop(tm_run *r, const tm_err *err) {
  tm_arena *a = &r->arena;
  tm_run_finish(r, TM_RUN_FAILED, NULL,
                tm_run_error(a, err->code == TM_LIMIT ? "limit" : "script", "%s", err->msg));
}

void tm_run_diverge(tm_run *r, const char *place, const char *fmt, ...) {
  va_list args;
  if (r->ended || r->lost)
    return;
  tm_buf text = TM_BUF_INIT;
  tm_buf_printf(&text, "diverged at place %s: ", place);
  va_start(args, fmt);
  tm_buf_vprintf(&text, fmt, args);
  va_end(args);
  r->ended = true; /* before giving up its calls: open gates stay open */
  abandon_all(r);
  r->error = tm_run_error(&r->arena, "diverged", "%s", tm_buf_str(&text));
  tm_buf_free(&text);
  set_row(r, TM_RUN_DIVERGED, r->error, 0, false);
  tm_turn_after(r->engine, say_end, r, NULL);
}

/* -- reasons --------------------------------------------------------------------------- */

static tm_json *reason_of(tm_branch *b, tm_arena *a) {
  tm_json *o = tm_json_new_object(a);
  bool backs_off = tm_backoff_is(b);
  tm_json_set_str(a, o, "for",
                  b->gate         ? "gate"
                  : backs_off     ? "backoff"
                  : tm_held_is(b) ? "key"
                                  : tm_call_word(b->kind));
  tm_json_set_str(a, o, "name", b->name);
  tm_json_set_str(a, o, "place", b->place);
  if (b->gate)
    tm_json_set_str(a, o, "gate", b->gate_id);
  if (tm_held_is(b))
    tm_json_set_str(a, o, "key", b->action.key);
  if (b->waits_for)
    tm_json_set_str(a, o, "run", b->waits_for);
  if (tm_held_is(b))
    tm_json_set_str(a, o, "at", b->run->engine->owner);
  if (b->due) {
    char until[TM_CLOCK_TEXT];
    tm_clock_format(b->due, until);
    tm_json_set_str(a, o, "until", until);
  }
  if (backs_off)
    tm_backoff_explain(b, a, o);
  return o;
}

tm_json *tm_run_reason(tm_run *r, tm_arena *a) {
  tm_json *all = tm_json_new_array(a);
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead && (b->phase == TM_PHASE_LIVE || b->phase == TM_PHASE_BODY))
      tm_json_push(a, all, reason_of(b, a));
  }
  return all;
}

/* -- settings -------------------------------------------------------------------------- */

const tm_json *tm_run_setting(tm_run *r, const char *name) {
  const tm_ports *p = &r->engine->ports;
  const tm_json *known = tm_json_get(r->settings, name);
  if (known)
    return known;
  if (r->replaying)
    return tm_json_null(&r->arena);
  const char *text = p->setting ? p->setting(p->ctx, name) : NULL;
  if (!r->settings)
    r->settings = tm_json_new_object(&r->arena);
  return tm_json_set(&r->arena, r->settings, name, tm_json_new_str(&r->arena, text));
}

/* -- making and freeing ---------------------------------------------------------------- */

tm_run *tm_run_new(tm_engine *e, const char *id, const char *workflow, tm_closure *closure) {
  tm_run *r = tm_new(tm_run);
  r->engine = e;
  snprintf(r->id, sizeof r->id, "%s", id);
  tm_arena_init(&r->arena, 0);
  r->seed = r->id;
  r->workflow = tm_arena_strdup(&r->arena, workflow);
  r->closure = tm_closure_retain(closure);
  r->journal.arena = &r->arena;
  r->state = TM_RUN_QUEUED;
  tm_list_init(&r->link);
  tm_list_init(&r->runnable);
  tm_list_init(&r->branches);
  tm_list_init(&r->ready);
  tm_list_init(&r->deliveries);
  return r;
}

void tm_run_free(tm_run **run) {
  tm_run *r = *run;
  *run = NULL;
  if (!r)
    return;
  r->lost = true; /* nothing more is written */
  abandon_all(r);
  while (!tm_list_empty(&r->branches)) {
    tm_branch *b = TM_LIST_OF(r->branches.next, tm_branch, link);
    if (r->guest && b->slot)
      r->engine->ports.guest->drop(r->guest, b);
    free_branch(b);
  }
  if (r->guest)
    r->engine->ports.guest->close(&r->guest);
  tm_list_remove(&r->link);
  tm_list_remove(&r->runnable);
  tm_journal_free(&r->journal);
  tm_map_free(&r->fields);
  tm_map_free(&r->taken);
  tm_map_free(&r->locks);
  tm_closure_release(&r->closure);
  tm_arena_free(&r->arena);
  tm_free(r);
}
