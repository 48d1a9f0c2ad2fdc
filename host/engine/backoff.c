/* backoff.c - a model's call that is put off: its record, its timer, and going on. */
#include "engine/backoff.h"

#include "engine/engine.h"

/* The script does not hear of it: to a replay the record is a wait that its outcome ends. */
static void say(tm_after *after, const tm_err *err) {
  tm_branch *b = after->branch;
  if (err->code != TM_OK || b->dead || b->run->lost || b->run->ended || !tm_backoff_is(b))
    return;
  char until[TM_CLOCK_TEXT];
  tm_json *facts = tm_json_new_object(&b->scratch);
  tm_clock_format(b->due, until);
  tm_json_set_str(&b->scratch, facts, "until", until);
  tm_json_lend(&b->scratch, facts, "error", tm_json_get(b->back, "error"));
  tm_event_call(b, "call.backoff", NULL, facts);
}

/* Until then; the run settles also when no script asked for anything just now. */
static void wait_until(tm_branch *b, int64_t due) {
  b->recorded = true;
  tm_engine_set_timer(b, due);
  tm_engine_make_runnable(b->run);
}

void tm_backoff_begin(tm_branch *b, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                      const tm_json *error) {
  tm_arena *a = &b->scratch;
  int64_t due = tm_engine_now(b->run->engine) + wait_ms;
  tm_json *back = tm_json_new_object(a);
  tm_json_lend(a, back, "state", tm_json_copy(a, state));
  tm_json_lend(a, back, "meta", tm_json_copy(a, meta));
  tm_json_lend(a, back, "error", tm_json_copy(a, error));
  b->back = back;
  tm_json *open = tm_exec_open_body(b);
  tm_json_lend_int(a, open, "due", due);
  tm_json_lend(a, open, "back", back);
  tm_turn_record(b->run, TM_RECORD_OPEN, b->place, b->name, open);
  wait_until(b, due);
  tm_turn_after(b->run->engine, say, b->run, b);
}

/* The last one, unless the call has failed since and is asked anew. */
static const tm_entry *put_off_before(const tm_branch *b) {
  const tm_entry *open = tm_place_last(b->past, TM_RECORD_OPEN);
  return open && !open->spent ? open : NULL;
}

bool tm_backoff_waits(tm_branch *b) {
  const tm_entry *first = tm_place_find(b->past, TM_RECORD_OPEN), *open = put_off_before(b);
  if (first && !b->recorded)
    b->recorded = true; /* it has the request */
  if (b->back || !open)
    return false;
  int64_t due = tm_json_int(tm_json_get(open->body, "due"), 0);
  b->opened = tm_json_int(tm_json_get(first->body, "at"), b->opened);
  b->back = tm_json_get(open->body, "back");
  if (due <= tm_engine_now(b->run->engine))
    return false;
  wait_until(b, due);
  return true;
}

/* Others may wait for the same run's time: whoever claims it asks. */
void tm_backoff_due(tm_branch *b) {
  tm_run_goes_on(b->run);
  tm_exec_launch(b);
}

static bool asks(const tm_branch *b) {
  return b->kind == TM_CALL_LLM || b->kind == TM_CALL_EMBED;
}

bool tm_backoff_is(const tm_branch *b) {
  return asks(b) && b->phase == TM_PHASE_LIVE && b->due != 0 && !b->money_waits;
}

const tm_json *tm_backoff_state(const tm_branch *b) {
  return asks(b) ? tm_json_get(b->back, "state") : NULL;
}

void tm_backoff_explain(const tm_branch *b, tm_arena *a, tm_json *reason) {
  static const char *const facts[] = {"provider", "model", "class", "message"};
  const tm_json *error = tm_json_get(b->back, "error");
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    const char *text = tm_json_get_str(error, facts[i]);
    if (text)
      tm_json_set_str(a, reason, facts[i], text);
  }
}
