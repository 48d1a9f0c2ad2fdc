/* perform.c - calls come in: places, identities, what is legal where, forks, noted calls.
 */
#include "engine/perform.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/lock.h"
#include "engine/replay.h"
#include "engine/txn.h"
#include "text/number.h"

int tm_perform_allows(const tm_branch *b, tm_call_kind kind, tm_err *err) {
  bool body = b->phase == TM_PHASE_BODY;
  bool verb = tm_call_class_of(kind) == TM_CALL_VERB || kind == TM_CALL_OUTCOME;
  if (body && kind != TM_CALL_OUTCOME && verb && tm_txn_is(b))
    return tm_err_set(
        err, TM_USAGE,
        "%s does not work inside the db action \"%s\": its statements are one transaction, "
        "for which others wait; call it in an action of its own",
        tm_call_author(kind), b->name);
  if (body == verb || (body && kind == TM_CALL_LOG))
    return 0;
  if (body)
    return tm_err_set(
        err, TM_USAGE,
        "%s does not work inside an action's run or probe: the body of \"%s\" is one "
        "record and is not replayed; call it before the action and pass the result in",
        tm_call_author(kind), b->name);
  return tm_err_set(
      err, TM_USAGE,
      "%s works only inside an action's run or probe, or in mill.fetch: there its "
      "result is journaled and its effect has a key",
      tm_call_author(kind));
}

void tm_perform_step(tm_branch *b, const char *step) {
  b->step = step && *step ? tm_arena_strdup(&b->run->arena, step) : "";
}

/* -- places ---------------------------------------------------------------------------- */

static void set_place(tm_branch *b) {
  char number[TM_NUMBER_TEXT];
  size_t digits = tm_number_write_int(number, ++b->ordinal), path = strlen(b->path);
  char *place = b->place = tm_arena_alloc(&b->scratch, path + 1 + digits + 1);
  memcpy(place, b->path, path);
  if (path)
    place[path++] = '.';
  memcpy(place + path, number, digits + 1);
}

static void begin_call(tm_branch *b, tm_call_kind kind, const char *name,
                       const tm_json *request, const char *where) {
  tm_arena_reset(&b->scratch);
  set_place(b);
  b->kind = kind;
  b->name = tm_arena_strdup(&b->scratch, name);
  b->where = tm_arena_strdup(&b->scratch, where);
  b->request = tm_json_copy(&b->scratch, request);
  b->live = NULL;
  b->past = NULL;
  b->reuse = NULL;
  b->waits = false;
  b->money_waits = 0;
  b->waits_for = b->signal = NULL;
  b->back = NULL;
  b->action = (tm_action){.key = ""};
  b->recorded = false;
  b->opened = tm_engine_now(b->run->engine);
}

/* -- awaited calls --------------------------------------------------------------------- */

static void perform_awaited(tm_branch *b, const tm_json *live) {
  tm_run *r = b->run;
  tm_journal_identity(b->identity, b->kind, b->name, b->request);
  if (live)
    b->live = tm_json_copy(&b->scratch, live);
  b->past = tm_journal_at(&r->journal, b->place);
  b->phase = TM_PHASE_HELD;
  if (b->past && !tm_replay_matches(b, b->past))
    return;
  if (tm_run_gives_up(r)) {
    tm_run_answer(b, TM_ANSWER_ERROR,
                  tm_run_error(&b->scratch, "cancelled", "the run was cancelled"), NULL);
    return;
  }
  if (!r->replaying)
    tm_exec_launch(b);
}

/* -- verbs: inside an action's body, no place of their own ----------------------------- */

static void perform_verb(tm_branch *b, tm_call_kind kind, const char *name,
                         const tm_json *request) {
  tm_arena_reset(&b->verb_scratch);
  b->verb_request = tm_json_copy(&b->verb_scratch, request);
  tm_exec_start_task(b, kind, name, b->verb_request);
}

/* -- forks ----------------------------------------------------------------------------- */

static void perform_fork(tm_branch *b) {
  int64_t n = tm_json_int(tm_json_get(b->request, "n"), 0);
  int64_t max = tm_json_int(tm_json_get(b->request, "max"), n);
  b->children = (uint32_t)n;
  b->window = (uint32_t)(max < 1 ? 1 : max);
  b->race = tm_json_bool(tm_json_get(b->request, "race"), false);
  b->started = b->finished = 0;
  b->phase = TM_PHASE_FORKED;
  tm_run_fork(b);
}

void tm_perform_call(tm_branch *b, tm_call_kind kind, const char *name, const tm_json *request,
                     const tm_json *live, const char *where) {
  if (kind == TM_CALL_OUTCOME) {
    tm_action_outcome(b, request);
    return;
  }
  if (tm_call_class_of(kind) == TM_CALL_VERB) {
    perform_verb(b, kind, name, request);
    return;
  }
  assert(b->phase == TM_PHASE_IDLE);
  begin_call(b, kind, name, request, where);
  if (kind == TM_CALL_FORK)
    perform_fork(b);
  else
    perform_awaited(b, live);
}

/* -- noted calls ----------------------------------------------------------------------- */

static tm_json *roll(tm_branch *b) {
  tm_dice dice;
  char seed[512];
  int n = snprintf(seed, sizeof seed, "%s %s", b->run->seed, b->place);
  tm_dice_seed(&dice, seed, (size_t)n);
  const tm_json *lo = tm_json_get(b->request, "m"), *hi = tm_json_get(b->request, "n");
  if (!lo)
    return tm_json_new_double(&b->scratch, tm_dice_unit(&dice));
  uint64_t span = (uint64_t)tm_json_int(hi, 0) - (uint64_t)tm_json_int(lo, 0) + 1;
  uint64_t at = span ? tm_dice_next(&dice) % span : tm_dice_next(&dice);
  return tm_json_new_int(&b->scratch, (int64_t)((uint64_t)tm_json_int(lo, 0) + at));
}

static tm_json *uuid(tm_branch *b) {
  unsigned char x[16];
  tm_id_random(x, sizeof x);
  x[6] = (unsigned char)((x[6] & 0x0f) | 0x40); /* version 4, RFC 9562 */
  x[8] = (unsigned char)((x[8] & 0x3f) | 0x80);
  char text[40];
  snprintf(text, sizeof text,
           "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", x[0], x[1],
           x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], x[12], x[13], x[14],
           x[15]);
  return tm_json_new_str(&b->scratch, text);
}

static tm_json *setting(tm_branch *b) {
  const tm_ports *p = &b->run->engine->ports;
  return tm_json_new_str(&b->scratch, p->setting ? p->setting(p->ctx, b->name) : NULL);
}

static const tm_json *fresh_note(tm_branch *b) {
  switch (b->kind) {
  case TM_CALL_NOW:
    return tm_json_new_int(&b->scratch, tm_engine_now(b->run->engine));
  case TM_CALL_RANDOM:
    return roll(b);
  case TM_CALL_UUID:
    return uuid(b);
  case TM_CALL_ENV:
    return setting(b);
  default:
    return b->request; /* state and log: what was given */
  }
}

static void apply_note(tm_branch *b, const tm_json *value, bool fresh) {
  tm_run *r = b->run;
  if (b->kind == TM_CALL_STATE)
    tm_map_set(&r->fields, b->name, tm_json_copy(&r->arena, tm_json_get(value, "value")));
  if (b->kind == TM_CALL_UNLOCK)
    tm_lock_release(b, b->name, fresh);
  if (b->kind == TM_CALL_LOG && fresh)
    tm_event_call(b, "log", "log", value);
}

static void record_note(tm_branch *b, const tm_json *value) {
  tm_arena *a = &b->scratch;
  tm_json *body = tm_json_new_object(a);
  tm_json_set_str(a, body, "k", tm_call_word(b->kind));
  if (b->kind != TM_CALL_LOG)
    tm_json_set_str(a, body, "i", b->identity);
  tm_json_set(a, body, "v", value);
  if (*b->where)
    tm_json_set_str(a, body, "w", b->where);
  if (*b->step)
    tm_json_set_str(a, body, "s", b->step);
  tm_turn_record(b->run, TM_RECORD_NOTE, b->place, b->name, body);
}

/* A log line inside an action's body is one of the action's attempts: it has no place. */
static const tm_json *log_in_body(tm_branch *b, const tm_json *request) {
  tm_json *a = tm_json_new_object(&b->verb_scratch);
  tm_json_set(&b->verb_scratch, a, "log", request);
  tm_exec_attempt(b, TM_CALL_LOG, a);
  tm_event_call(b, "log", "log", request);
  return request;
}

const tm_json *tm_perform_note(tm_branch *b, tm_call_kind kind, const char *name,
                               const tm_json *request, const char *where, tm_err *err) {
  if (b->phase == TM_PHASE_BODY)
    return log_in_body(b, request);
  begin_call(b, kind, name, request, where);
  *b->identity = 0;
  if (kind != TM_CALL_LOG)
    tm_journal_identity(b->identity, kind, name, b->request);
  tm_place *past = tm_journal_at(&b->run->journal, b->place);
  if (past && !tm_replay_matches(b, past)) {
    tm_err_set(err, TM_DIVERGED, "the run has diverged");
    return NULL;
  }
  const tm_entry *e = tm_place_outcome(past);
  const tm_json *value = e ? tm_json_get(e->body, "v") : fresh_note(b);
  apply_note(b, value, !e);
  if (!e)
    record_note(b, value);
  return value;
}
