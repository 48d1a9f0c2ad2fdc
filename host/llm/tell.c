/* tell.c - what is told of an ask: each attempt, text as it comes, and the end. */
#include <string.h>

#include "base/clock.h"
#include "llm/ask.h"
#include "llm/attempt.h"
#include "llm/spelt.h"

static int64_t elapsed_ms(int64_t since_ns) {
  return (tm_clock_ns() - since_ns) / 1000000;
}

int64_t tm_ask_elapsed_ms(const tm_llm_ask *ask) {
  return elapsed_ms(ask->started_ns);
}

#define FLOOD_KEPT 65536 /* bytes of an answer that was cut off for its size */

/* -- attempts -------------------------------------------------------------------------- */

static void add(int64_t *sum, const tm_json *usage, const char *pointer) {
  int64_t n = tm_llm_count(usage, pointer);
  if (n >= 0)
    *sum = *sum < 0 ? n : *sum + n;
}

static void count_usage(tm_llm_ask *ask) {
  const tm_json *usage = ask->answer.usage;
  add(&ask->used.input, usage, "/input");
  add(&ask->used.cached_input, usage, "/cached_input");
  add(&ask->used.cache_write, usage, "/cache_write");
  add(&ask->used.output, usage, "/output");
  add(&ask->used.reasoning, usage, "/reasoning");
  add(&ask->used.total, usage, "/total");
}

/* What this attempt cost. One that was not answered, and told nothing of tokens, costs nothing
 * that could be known. */
static bool price(tm_llm_ask *ask, const tm_outcome *o, double *usd) {
  const tm_llm_question *q = &ask->question;
  if (tm_prices_usd(usd, &ask->llm->prices, q->provider, q->model, ask->answer.usage)) {
    ask->usd += *usd;
    ask->priced = true;
    return true;
  }
  if (ask->answer.usage || !tm_llm_retryable(o->class))
    ask->unpriced = true;
  return false;
}

static size_t response_len(const tm_http_res *res) {
  bool flood = res->fault == TM_HTTP_LIMIT || res->fault == TM_HTTP_ABORTED;
  return flood && res->body_len > FLOOD_KEPT ? FLOOD_KEPT : res->body_len;
}

/* The bytes that came: of HTTP, or what a function wrote. */
static const char *response_of(size_t *len, const tm_llm_ask *ask, const tm_http_res *res) {
  const tm_llm_answer *answer = &ask->answer;
  if (res) {
    *len = res->body_len;
    return res->body;
  }
  *len = answer->said ? answer->said_len : answer->text_len;
  return answer->said ? answer->said : answer->text;
}

static tm_json *attempt_json(tm_arena *a, const tm_llm_ask *ask, const tm_outcome *o,
                             const tm_http_res *res, const double *usd) {
  tm_attempt t = {.n = ask->n,
                  .round = ask->round,
                  .rung = (int)ask->ladder.rung,
                  .phase = ask->question.phase,
                  .question = &ask->question,
                  .wire = &ask->wire,
                  .answer = &ask->answer,
                  .status = o->status,
                  .first_byte_ms = res ? res->first_byte_ms : 0,
                  .latency_ms = elapsed_ms(ask->sent_ns),
                  .at = ask->sent_at,
                  .usd = usd,
                  .class = o->class,
                  .message = o->message,
                  .unsure = o->unsure,
                  .retry_in_ms = o->retry_in_ms};
  t.response = response_of(&t.response_len, ask, res);
  if (res)
    t.response_len = response_len(res);
  return tm_attempt_json(a, &t);
}

/* Attempts that will be made again are not worth keeping: a replay would only wait. */
static void record(tm_llm_ask *ask, tm_arena *a, const tm_outcome *o, const tm_http_res *res) {
  const tm_llm_answer *answer = &ask->answer;
  bool settled = o->retry_in_ms < 0 && (res ? res->fault == TM_HTTP_OK : answer->text != NULL);
  size_t len;
  const char *came = response_of(&len, ask, res);
  if (!settled || ask->provider == ask->llm->cassette)
    return;
  const char *said = tm_llm_mask(a, came, &len, ask->wire.secret);
  tm_recorder_put(ask->llm->recorder, a, ask->provider, &ask->question, &ask->wire, answer,
                  o->status, said, len);
}

bool tm_ask_tell_attempt(tm_llm_ask *ask, const tm_outcome *o, const tm_http_res *res) {
  tm_arena *a = &ask->llm->told;
  double usd = 0;
  count_usage(ask);
  bool priced = price(ask, o, &usd);
  tm_arena_reset(a);
  if (ask->llm->recorder)
    record(ask, a, o, res);
  if (!ask->events.attempt)
    return true;
  ask->telling = true;
  ask->events.attempt(ask->events.ctx, attempt_json(a, ask, o, res, priced ? &usd : NULL));
  ask->telling = false;
  return !ask->cancelled;
}

bool tm_ask_tell_waiting(tm_llm_ask *ask) {
  tm_arena *a = &ask->llm->told;
  int64_t ms;
  if (!ask->events.waiting)
    return true;
  tm_arena_reset(a);
  tm_json *why = tm_json_new_object(a);
  tm_json_set_str(a, why, "for", tm_lane_waits_for(&ask->pass, &ms));
  if (ms >= 0)
    tm_json_set_int(a, why, "ms", ms);
  ask->telling = true;
  ask->events.waiting(ask->events.ctx, why);
  ask->telling = false;
  return !ask->cancelled;
}

bool tm_ask_tell_news(tm_llm_ask *ask, const char *text, size_t len) {
  if (!ask->events.delta || !len)
    return true;
  ask->telling = true;
  text = tm_llm_mask(&ask->llm->work, text, &len, ask->wire.secret);
  text = tm_llm_mask_spelt(&ask->llm->work, text, &len, ask->wire.secret);
  ask->events.delta(ask->events.ctx, text, len);
  ask->telling = false;
  return !ask->cancelled;
}

/* -- the end --------------------------------------------------------------------------- */

/* A model is told only when it is not the one that was asked for first. */
static void put_models(tm_arena *a, tm_json *o, const tm_llm_ask *ask) {
  const char *model = tm_ladder_model(&ask->ladder, ask->request);
  const char *first = tm_json_get_str(ask->request, "model");
  tm_json_lend_str(a, o, "model", model);
  if (first && strcmp(first, model) != 0)
    tm_json_lend_str(a, o, "model_first", first);
  tm_json_lend_str(a, o, "model_answered", ask->answer.model);
  tm_json_lend_str(a, o, "provider", ask->question.provider);
}

static tm_json *meta_of(tm_arena *a, const tm_llm_ask *ask, const tm_outcome *outcome) {
  const tm_llm_answer *answer = &ask->answer;
  tm_json *o = tm_json_new_object(a);
  put_models(a, o, ask);
  tm_json_lend_str(a, o, "request_id", answer->request_id);
  tm_json_lend_str(a, o, "fingerprint", answer->fingerprint);
  tm_json_lend_str(a, o, "finish", answer->finish);
  tm_json_lend_int(a, o, "attempts", ask->n);
  tm_json_lend_int(a, o, "rounds", ask->rounds);
  if (ask->ladder.rung)
    tm_json_lend_int(a, o, "rung", (int64_t)ask->ladder.rung);
  tm_json_lend_int(a, o, "latency_ms", tm_ask_elapsed_ms(ask));
  tm_json_lend(a, o, "usage", tm_llm_usage(a, ask->used));
  tm_json_lend(a, o, "usd",
               ask->priced && !ask->unpriced ? tm_json_new_double(a, ask->usd)
                                             : tm_json_null(a));
  tm_json_lend(a, o, "dropped", ask->dropped ? ask->dropped : tm_json_new_array(a));
  if (outcome->unsure)
    tm_json_set_bool(a, o, "unsure", true);
  if (!ask->sent_any)
    tm_json_set_bool(a, o, "unsent", true);
  if (outcome->tool_calls && outcome->class == TM_LLM_NONE)
    tm_json_lend(a, o, "tool_calls", outcome->tool_calls);
  return o;
}

static tm_json *error_of(tm_arena *a, const tm_llm_ask *ask, const tm_outcome *o) {
  tm_json *error = tm_json_new_object(a);
  const char *message = o->message ? o->message : tm_llm_class_word(o->class);
  tm_json_set_str(a, error, "kind", "llm");
  tm_json_set_str(a, error, "class", tm_llm_class_word(o->class));
  tm_json_set(a, error, "message",
              tm_attempt_bytes(a, message, strlen(message), ask->wire.secret));
  tm_json_set_bool(a, error, "retryable", tm_llm_retryable(o->class) && !o->code);
  if (o->status)
    tm_json_set_int(a, error, "status", o->status);
  tm_json_set_str(a, error, "provider", ask->question.provider);
  tm_json_set_str(a, error, "model", ask->question.model);
  if (o->code)
    tm_json_set_str(a, error, "code", o->code);
  if (o->report.count)
    tm_json_set(a, error, "errors", tm_schema_report_json(a, &o->report));
  return error;
}

void tm_ask_tell_end(tm_llm_ask *ask, const tm_outcome *o) {
  tm_arena *a = &ask->llm->told;
  tm_arena_reset(a);
  tm_json *meta = meta_of(a, ask, o);
  tm_json *error = o->class == TM_LLM_NONE ? NULL : error_of(a, ask, o);
  ask->telling = true;
  ask->events.done(ask->events.ctx, error ? NULL : o->value, meta, error);
}

void tm_ask_tell_later(tm_llm_ask *ask, const tm_outcome *o) {
  tm_arena *a = &ask->llm->told;
  tm_arena_reset(a);
  tm_json *state = tm_ask_state(a, ask), *meta = meta_of(a, ask, o),
          *error = error_of(a, ask, o);
  ask->telling = true;
  ask->events.later(ask->events.ctx, o->retry_in_ms, state, meta, error);
}
