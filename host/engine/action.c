/* action.c - one effect, under one key, with its intent on disk before it starts.
 *
 *   launch ─► effect known? ── same arguments ──► its stored result
 *                │ no       ── other arguments ─► conflict
 *                │          ── another call is at it: held until that one ends (held.h)
 *                │          ── a run that was ended left it: the claim is taken over ─► unknown
 *                ▼
 *             blast > gate_above? ── yes ─► gate ── rejected ─► error "rejected"
 *                │ no                        │ approved
 *                ▼                           ▼
 *             claim the key + record the intent, one transaction (law 4)
 *                ▼ committed
 *             enter the body ── returned ─► result ─► effect done + outcome, one transaction
 *                │    ▲    └─── raised, certainly not happened ─► claim dropped + error
 *                │    │
 *                │    └─ retry (same key) ◄─── probe says "not applied" ◄─┐
 *                ▼                                                        │
 *             unknown: a verb was cut off, or the process died with the intent on disk
 *                └─ policy: retry · probe ────────────────────────────────┘ · ask (doubt)
 *
 * A repeatable action (and mill.fetch) has no key, no intent, no gate: it just enters its body.
 * Tries that lead nowhere end at the person, never at a guess.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/effect.h"
#include "engine/engine.h"
#include "engine/held.h"
#include "engine/txn.h"

#define MAX_TRIES  3 /* bodies entered in one process before a person is asked */
#define MAX_PROBES 5
#define BACKOFF_MS 1000              /* doubled each time */
#define WINDOW_MS  INT64_C(86400000) /* how long a receiver keeps a key, if it does not say */

static bool flag(const tm_branch *b, const char *name) {
  return tm_json_bool(tm_json_get(b->request, name), false);
}

static bool repeatable(const tm_branch *b) {
  return b->kind == TM_CALL_FETCH || flag(b, "repeatable");
}

static void fail(tm_branch *b, const tm_json *error) {
  tm_run_outcome(b, NULL, error, NULL);
}

/* -- what the records of this place tell ----------------------------------------------- */

typedef enum stage {
  STAGE_NEW,
  STAGE_ASKED, /* waits for approval */
  STAGE_APPROVED,
  STAGE_REJECTED,
  STAGE_INTENT,  /* may have happened */
  STAGE_DOUBTED, /* waits for a person to tell whether it happened */
  STAGE_APPLIED, /* the person says it did */
  STAGE_NOT_APPLIED
} stage;

static bool is_doubt(const tm_entry *e) {
  const char *gate = tm_json_get_str(e->body, "gk");
  return e->kind == TM_RECORD_OPEN && gate && strcmp(gate, "doubt") == 0;
}

static stage stage_of_open(const tm_entry *e) {
  if (!tm_json_get(e->body, "gk"))
    return STAGE_INTENT;
  return is_doubt(e) ? STAGE_DOUBTED : STAGE_ASKED;
}

/* An intent came too late: another call had the key. Then the body was not entered. */
static bool is_too_late(const tm_entry *e) {
  return e->kind == TM_RECORD_ATTEMPT && tm_json_get(tm_json_get(e->body, "a"), "held_by");
}

/* By the records of a call from `e` on. */
static stage stage_since(const tm_entry *e, const tm_entry **last) {
  stage s = STAGE_NEW, before = STAGE_NEW;
  for (; e; e = e->next_here) {
    if (e->kind == TM_RECORD_OPEN) {
      before = s;
      s = stage_of_open(e);
    } else if (is_too_late(e))
      s = before;
    else if (e->kind == TM_RECORD_DECIDED && s == STAGE_ASKED)
      s = tm_json_bool(tm_json_get(e->body, "approved"), false) ? STAGE_APPROVED
                                                                : STAGE_REJECTED;
    else if (e->kind == TM_RECORD_DECIDED && s == STAGE_DOUBTED)
      s = tm_json_bool(tm_json_get(e->body, "approved"), false) ? STAGE_APPLIED
                                                                : STAGE_NOT_APPLIED;
    else
      continue;
    *last = e;
  }
  return s;
}

static stage stage_of(const tm_branch *b, const tm_entry **last) {
  return stage_since(b->past ? b->past->first : NULL, last);
}

/* -- the body -------------------------------------------------------------------------- */

static void enter(tm_branch *b, const char *which) {
  tm_arena *a = &b->scratch;
  tm_json *v = tm_json_new_object(a);
  b->action.probing = strcmp(which, "probe") == 0;
  b->action.unknown = b->action.wrote = false;
  if (b->action.probing)
    b->action.probes++;
  else
    b->action.tries++;
  tm_json_lend_str(a, v, "enter", which);
  tm_json_lend_str(a, v, "key", b->action.key);
  if (flag(b, "host") && !b->action.probing) {
    tm_json_set(a, v, "args", tm_json_get(b->request, "args"));
    b->phase = TM_PHASE_BODY;
    tm_exec_start_task(b, TM_CALL_HOST, b->name, v);
    return;
  }
  tm_run_answer(b, TM_ANSWER_ENTER, v, NULL);
}

/* Its intent came to nothing, and the records say so: a replay does not wait for its outcome.
 */
static void record_held(tm_branch *b, const tm_effect_row *taken) {
  tm_json *attempt = tm_json_new_object(&b->scratch);
  tm_json_set_str(&b->scratch, attempt, "held_by", taken->run);
  tm_exec_attempt(b, TM_CALL_ACTION, attempt);
  b->action.claimed = false;
  b->action.told_held = true;
}

/* A branch that drains goes on as what it was when it was dropped, in a replay as well. */
static void too_late(tm_branch *b, const tm_effect_row *taken) {
  b->action.claimed = false;
  if (!b->draining && !tm_run_gives_up(b->run))
    record_held(b, taken);
  tm_action_launch(b);
}

static void intent_stored(tm_after *after, const tm_err *err) {
  tm_branch *b = after->branch;
  if (!tm_after_awaited(after, err))
    return;
  if (after->op->status == TM_OP_EXISTS)
    too_late(b, after->op->found.effect);
  else
    enter(b, "run");
}

/* `taken`: the run whose intent it takes over; NULL: it is its own. */
static void record_intent(tm_branch *b, const char *taken) {
  tm_arena *a = &b->scratch;
  tm_json *open = tm_exec_open_body(b);
  tm_json_set_str(a, open, "key", b->action.key);
  tm_json_set_int(a, open, "epoch", b->run->epoch);
  if (taken) {
    tm_json_set_str(a, open, "taken", taken);
    tm_json_set_int(a, open, "since", b->action.since);
  }
  tm_turn_record(b->run, TM_RECORD_OPEN, b->place, b->name, open);
  b->recorded = true;
  if (!b->action.since)
    b->action.since = tm_engine_now(b->run->engine);
}

static void owned_now(tm_after *after, const tm_err *err) {
  if (tm_after_awaited(after, err))
    enter(after->branch, "run");
}

/* Behind all that its run has written, and with a claim that is on the disk: its transaction looks
 * there whether the run is still ours. */
static void enter_txn(tm_branch *b) {
  tm_run *r = b->run;
  if (r->owned && r->uncommitted == 0) {
    enter(b, "run");
    return;
  }
  if (!r->owned) {
    tm_op *op = tm_turn_op(r->engine, r, TM_OP_RUN_SET); /* the claim goes in front of it */
    op->u.run.owner = r->engine->owner;
  }
  tm_turn_after(r->engine, owned_now, r, b);
}

static void claim_and_enter(tm_branch *b) {
  if (tm_txn_is(b)) {
    enter_txn(b);
    return;
  }
  tm_op *op = tm_effect_op(b, TM_OP_EFFECT_CLAIM);
  record_intent(b, NULL);
  b->action.claimed = b->run->claims = true;
  b->action.told_held = false;
  tm_turn_after(b->run->engine, intent_stored, b->run, b)->op = op;
}

/* -- the key is known: stored result, conflict, or somebody is at it ------------------- */

static void stored_result(tm_branch *b, const tm_effect_row *row) {
  tm_arena *a = &b->scratch;
  tm_err err = TM_ERR_INIT;
  tm_json *value, *meta = tm_json_new_object(a);
  if (tm_json_parse(&value, a, row->result, strlen(row->result), NULL, &err) < 0) {
    fail(b, tm_run_error(a, "internal", "the stored result of %s: %s", b->name, err.msg));
    return;
  }
  tm_json_set_str(a, meta, "stored_by", row->run);
  tm_run_outcome(b, value, NULL, meta);
}

/* With a record: an intent without an outcome would be waited for by every replay. */
static void cancelled(tm_branch *b) {
  fail(b, tm_run_error(&b->scratch, "cancelled", "the run was cancelled"));
}

static void hold(tm_branch *b, const tm_effect_row *row) {
  if (tm_run_gives_up(b->run))
    cancelled(b);
  else
    tm_held_begin(b, row->run);
}

/* -- a claim whose run was ended in between: terminated, or stopped at a limit --------- */

static void taken_over(tm_after *after, const tm_err *err);

/* The claim becomes this run's, and what came of it is settled by this action's policy. */
static void take_over(tm_branch *b, const tm_effect_row *row) {
  if (tm_run_gives_up(b->run)) {
    cancelled(b);
    return;
  }
  tm_op *op = tm_effect_op(b, TM_OP_EFFECT_TAKE);
  op->u.effect.run = tm_arena_strdup(&tm_turn_of(b->run->engine)->batch->arena, row->run);
  b->action.since = tm_effect_since(b, row);
  record_intent(b, row->run);
  b->action.claimed = b->run->claims = true;
  b->action.told_held = false;
  tm_turn_after(b->run->engine, taken_over, b->run, b)->op = op;
}

/* A diverged or imported run may still go on: its claim stays its own. */
static void in_doubt(tm_branch *b, const tm_effect_row *row, const char *state) {
  fail(b, tm_run_error(&b->scratch, "in_doubt",
                       "action \"%s\" was begun under key \"%s\" by run %s, which is %s and "
                       "may still go on; see to that run, or use another key",
                       b->name, b->action.key, row->run, state));
}

static bool needs_gate(const tm_branch *b) {
  const tm_json *limit = tm_json_get(b->request, "gate_above");
  const tm_json *blast = tm_json_get(b->request, "blast");
  return limit && tm_json_number(blast, 0) > tm_json_number(limit, 0);
}

static void conflict(tm_branch *b, const tm_effect_row *row) {
  fail(b, tm_run_error(&b->scratch, "conflict",
                       "action \"%s\" was done under key \"%s\" with other arguments (by run "
                       "%s); use another key for another effect",
                       b->name, b->action.key, row->run));
}

/* The process died before it could say that it came too late, or a retry made that void. Without
 * it a replay would take the call for one that began. */
static void say_held(tm_branch *b, const tm_effect_row *row) {
  const tm_entry *last = NULL;
  if (stage_of(b, &last) == STAGE_INTENT && !b->draining && !b->action.told_held &&
      !tm_run_gives_up(b->run))
    record_held(b, row);
}

/* The key is another call's, and there is no result yet. True when that settles what to do. */
static bool claimed_elsewhere(tm_branch *b, const tm_effect_row *row, stage s) {
  char state[16];
  tm_effect_left left = tm_effect_left_by(b->run->engine, row, state);
  if (left == TM_EFFECT_ENDED && needs_gate(b) && s < STAGE_INTENT && s != STAGE_APPROVED)
    return false; /* what follows may be a new try: not without the person's yes */
  if (left == TM_EFFECT_ENDED) {
    take_over(b, row);
    return true;
  }
  if (left == TM_EFFECT_STUCK) {
    in_doubt(b, row, state);
    return true;
  }
  say_held(b, row);
  hold(b, row);
  return true;
}

/* True when the effect's row settles what to do with the call, which is at stage `s`. */
static bool known_effect(tm_branch *b, stage s) {
  tm_effect_row row;
  tm_err err = TM_ERR_INIT;
  int found = tm_effect_find(b, &b->scratch, &row, &err);
  b->action.claimed = false;
  if (found == 0)
    return false;
  if (found > 0 && (row.result || strcmp(row.args_hash, b->action.hash) != 0))
    say_held(b, &row);
  if (found < 0 && err.code == TM_LIMIT)
    fail(b, tm_run_error(&b->scratch, "internal", "%s", err.msg));
  else if (found < 0)
    tm_engine_break(b->run->engine, &err);
  else if (strcmp(row.args_hash, b->action.hash) != 0)
    conflict(b, &row);
  else if (row.result)
    stored_result(b, &row);
  else if (tm_effect_is_ours(b, &row))
    b->action.claimed = b->run->claims = true;
  else
    return claimed_elsewhere(b, &row, s);
  return !b->action.claimed;
}

static void effect_settled(tm_after *a, const tm_err *err) {
  if (err->code == TM_OK)
    tm_held_notice(a->run->engine, a->run->id);
}

/* -- gates ----------------------------------------------------------------------------- */

static void copy_members(tm_branch *b, tm_json *to, const char *const *keys, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const tm_json *v = tm_json_get(b->request, keys[i]);
    if (v)
      tm_json_set(&b->scratch, to, keys[i], v);
  }
}

static void ask_approval(tm_branch *b) {
  static const char *const keys[] = {"irreversible", "blast", "gate_above", "on_unknown"};
  tm_arena *a = &b->scratch;
  tm_json *body = tm_json_new_object(a);
  tm_json_set(a, body, "ask", tm_json_new_str(a, tm_arena_printf(a, "Do %s?", b->name)));
  tm_json_set(a, body, "show", tm_json_get(b->request, "args"));
  tm_json_set_str(a, body, "action", b->name);
  tm_json_set_str(a, body, "key", b->action.key);
  copy_members(b, body, keys, sizeof keys / sizeof *keys);
  tm_gate_open(b, TM_GATE_APPROVE, body, 0);
}

/* Each doubt is a gate of its own: an answer that was given to an earlier one is spent. */
static int doubts_before(const tm_branch *b) {
  int n = 0;
  for (const tm_entry *e = b->past ? b->past->first : NULL; e; e = e->next_here)
    n += is_doubt(e);
  return n;
}

static void ask_doubt(tm_branch *b, const char *why) {
  tm_arena *a = &b->scratch;
  int nth = doubts_before(b) + ++b->action.doubts;
  tm_json *body = tm_json_new_object(a);
  tm_json_set_str(
      a, body, "ask",
      tm_arena_printf(a,
                      "Did %s happen? %s. Look at the other side under the key, and resolve "
                      "it: applied, with its result, or not applied; then it is done now.",
                      b->name, why));
  tm_json_set(a, body, "show", tm_json_get(b->request, "args"));
  tm_json_set_str(a, body, "action", b->name);
  tm_json_set_str(a, body, "key", b->action.key);
  if (nth > 1)
    tm_json_set_int(a, body, "again", nth);
  tm_gate_open(b, TM_GATE_DOUBT, body, 0);
}

static void rejected(tm_branch *b, const tm_json *decision) {
  tm_arena *a = &b->scratch;
  const char *by = tm_json_get_str(decision, "by");
  tm_json *e = tm_run_error(a, "rejected", "action \"%s\" was rejected%s%s", b->name,
                            by && *by ? " by " : "", by ? by : "");
  if (tm_json_get(decision, "note"))
    tm_json_set(a, e, "note", tm_json_get(decision, "note"));
  tm_json_set_str(a, e, "by", by ? by : "");
  fail(b, e);
}

/* It certainly did not happen: the key is free for others. */
static void drop_claim(tm_branch *b, const tm_json *error) {
  tm_effect_op(b, TM_OP_EFFECT_DROP);
  fail(b, error);
  tm_turn_after(b->run->engine, effect_settled, b->run, NULL);
}

/* It did not happen yet. Is it wanted still? */
static void do_now(tm_branch *b) {
  if (tm_run_gives_up(b->run) && tm_txn_is(b))
    cancelled(b);
  else if (tm_run_gives_up(b->run))
    drop_claim(b, tm_run_error(&b->scratch, "cancelled", "the run was cancelled"));
  else
    claim_and_enter(b);
}

static void applied(tm_branch *b, const tm_json *value) {
  tm_op *op = tm_effect_op(b, TM_OP_EFFECT_DONE);
  op->u.effect.result =
      value ? tm_json_text(&tm_turn_of(b->run->engine)->batch->arena, value, NULL) : "null";
  tm_run_outcome(b, value, NULL, NULL);
  tm_turn_after(b->run->engine, effect_settled, b->run, NULL);
}

/* -- unknown --------------------------------------------------------------------------- */

static void try_later(tm_branch *b, int times) {
  int64_t wait = (int64_t)BACKOFF_MS << (times > 6 ? 6 : times);
  b->phase = TM_PHASE_LIVE;
  tm_engine_set_timer(b, tm_engine_now(b->run->engine) + wait);
}

/* Does the receiver still know the key? Past its window a second try would be a second effect.
 */
static bool in_window(const tm_branch *b) {
  int64_t window = tm_json_int(tm_json_get(b->request, "window_ms"), WINDOW_MS);
  return tm_engine_now(b->run->engine) - b->action.since <= window;
}

static void settle_unknown(tm_branch *b, const char *why) {
  const char *policy = tm_json_get_str(b->request, "on_unknown");
  bool retry = !policy || strcmp(policy, "retry") == 0;
  b->phase = TM_PHASE_LIVE;
  if (policy && strcmp(policy, "probe") == 0 && b->action.probes < MAX_PROBES)
    enter(b, "probe");
  else if (retry && b->action.tries < MAX_TRIES && in_window(b))
    enter(b, "run");
  else if (retry && !in_window(b))
    ask_doubt(b, "The other side may have forgotten the key by now");
  else
    ask_doubt(b, why);
}

static void taken_over(tm_after *after, const tm_err *err) {
  tm_branch *b = after->branch;
  if (!tm_after_awaited(after, err))
    return;
  if (after->op->status == TM_OP_OK)
    settle_unknown(b,
                   tm_arena_printf(&b->scratch, "Run %s began it, and was ended before it knew",
                                   after->op->u.effect.run));
  else
    too_late(b, &after->op->u.effect);
}

void tm_action_due(tm_branch *b) {
  if (tm_txn_is(b))
    tm_action_launch(b);
  else
    settle_unknown(b, b->action.why ? b->action.why : "It was tried and cut off");
}

void tm_action_later(tm_branch *b, const char *why) {
  tm_log(TM_LOG_INFO, "action", "%s waits: %s", b->name, why);
  try_later(b, b->action.tries);
}

/* -- launching ------------------------------------------------------------------------- */

/* When its first intent was recorded, wall ms; 0: there is none. */
static int64_t first_intent(const tm_branch *b) {
  for (const tm_entry *e = b->past ? b->past->first : NULL; e; e = e->next_here)
    if (e->kind == TM_RECORD_OPEN && !tm_json_get(e->body, "gk"))
      return tm_json_int(tm_json_get(e->body, "since"),
                         tm_json_int(tm_json_get(e->body, "at"), 0));
  return 0;
}

static void read_request(tm_branch *b) {
  const char *key = tm_json_get_str(b->request, "key");
  const tm_json *args = tm_json_get(b->request, "args");
  b->action.key = key ? key : "";
  tm_hash h = args ? tm_json_hash(args) : tm_hash_bytes("", 0);
  memcpy(b->action.hash, h.hex, sizeof b->action.hash);
  b->action.since = first_intent(b);
}

static void by_stage(tm_branch *b, stage s, const tm_entry *last) {
  switch (s) {
  case STAGE_ASKED:
    tm_gate_reopen(b, TM_GATE_APPROVE, last);
    break;
  case STAGE_DOUBTED:
    tm_gate_reopen(b, TM_GATE_DOUBT, last);
    break;
  case STAGE_REJECTED:
    rejected(b, last->body);
    break;
  case STAGE_APPLIED:
    applied(b, tm_json_get(last->body, "answer"));
    break;
  case STAGE_INTENT:
    if (b->action.claimed)
      settle_unknown(b, "The process died between its start and its result");
    else if (tm_run_gives_up(b->run))
      cancelled(b);
    else
      claim_and_enter(b); /* the key was another call's then: the body was not entered */
    break;
  case STAGE_NOT_APPLIED:
    do_now(b);
    break;
  case STAGE_APPROVED:
    claim_and_enter(b);
    break;
  case STAGE_NEW:
    if (needs_gate(b))
      ask_approval(b);
    else
      claim_and_enter(b);
  }
}

void tm_action_launch(tm_branch *b) {
  const tm_entry *last = NULL;
  stage s = stage_of(b, &last);
  if (s == STAGE_APPROVED && last->seq < b->run->journal.pinned)
    s = STAGE_NEW; /* approved on other sources */
  if (b->action.approved && (s == STAGE_NEW || s == STAGE_ASKED))
    s = STAGE_APPROVED;
  b->recorded = s != STAGE_NEW;
  if (repeatable(b)) {
    enter(b, "run");
    return;
  }
  read_request(b);
  bool keyless = tm_txn_is(b) && !*b->action.key;
  if (keyless || !known_effect(b, s))
    by_stage(b, s, last);
}

void tm_action_decided(tm_branch *b, tm_gate_kind kind, const tm_json *decision) {
  bool yes = tm_json_bool(tm_json_get(decision, "approved"), false);
  b->action.approved = kind == TM_GATE_APPROVE && yes;
  if (kind == TM_GATE_APPROVE && !yes)
    rejected(b, decision);
  else if (kind == TM_GATE_DOUBT && yes)
    applied(b, tm_json_get(decision, "answer"));
  else if ((tm_txn_is(b) && !*b->action.key) ||
           !known_effect(b, kind == TM_GATE_APPROVE ? STAGE_APPROVED : STAGE_NOT_APPLIED))
    do_now(b);
}

/* Is it between its intent and its result? A cancel does not come in between. A call that was
 * launched and has not looked at its key yet (it waits for the claim of its run) is what its
 * records say: those since a RETRY, for what failed before has ended. */
bool tm_action_started(const tm_branch *b) {
  const tm_entry *first = b->past ? b->past->first : NULL, *last = NULL;
  if (b->kind != TM_CALL_ACTION)
    return false;
  bool looked = b->phase != TM_PHASE_HELD && *b->action.key;
  if (looked || b->action.claimed)
    return b->action.claimed;
  while (first && first->spent)
    first = first->next_here;
  stage s = stage_since(first, &last);
  return s == STAGE_INTENT || s >= STAGE_DOUBTED;
}

bool tm_action_reads(const tm_branch *b) {
  return b->kind == TM_CALL_FETCH || (b->kind == TM_CALL_ACTION && repeatable(b));
}

/* -- the body's end ------------------------------------------------------ */

static void probed(tm_branch *b, const tm_json *ok, const tm_json *error) {
  if (error)
    try_later(b, b->action.probes);
  else if (!ok || tm_json_type_of(ok) == TM_JSON_NULL)
    do_now(b);
  else
    applied(b, ok);
}

static void raised(tm_branch *b, const tm_json *error) {
  bool unknown = b->action.unknown || b->action.wrote ||
                 tm_json_bool(tm_json_get(error, "unknown"), false);
  if (repeatable(b)) {
    fail(b, error);
  } else if (!unknown) {
    drop_claim(b, error);
  } else {
    const char *message = tm_json_get_str(error, "message");
    tm_log(TM_LOG_INFO, "action", "%s: the outcome is unknown: %s", b->name,
           message ? message : "");
    if (message)
      b->action.why =
          tm_arena_printf(&b->scratch, "It was tried, and ended with \"%.300s\"", message);
    try_later(b, b->action.tries);
  }
}

void tm_action_outcome(tm_branch *b, const tm_json *outcome) {
  const tm_json *error = tm_json_get(outcome, "error"), *ok = tm_json_get(outcome, "ok");
  tm_engine *e = b->run->engine;
  if (tm_txn_is(b) && !error && tm_txn_keep(b, ok, &error))
    return;
  b->phase = TM_PHASE_LIVE;
  if (tm_txn_is(b))
    fail(b, error);
  else if (b->action.probing)
    probed(b, ok, error);
  else if (error)
    raised(b, error);
  else if (repeatable(b))
    tm_run_outcome(b, ok, NULL, NULL);
  else
    applied(b, ok);
  if (e->turn && b->action.reached)
    e->turn->effects++;
}
