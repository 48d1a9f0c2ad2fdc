/* entry.c - an ask's way into the lane of a model, and out again. */
#include "llm/ask.h"
#include "llm/retry.h"

#define BODY_MOST 131072 /* bytes; what is longer is mostly pictures, which cost far less */

/* Tokens, as far as can be told before: four bytes each, and the most that may be answered. */
static double need_of(const tm_llm_ask *ask) {
  size_t body = ask->wire.body_len < BODY_MOST ? ask->wire.body_len : BODY_MOST;
  int64_t output = tm_json_int(tm_json_get(ask->question.config, "maxOutputTokens"), 0);
  return (double)(body / 4) + (double)(output > 0 ? output : 0);
}

tm_lane_word tm_ask_enter(tm_llm_ask *ask, void (*called)(void *ctx, tm_lane_word word)) {
  tm_lane_to to = {.provider = ask->question.provider,
                   .model = ask->question.model,
                   .secret = ask->wire.secret,
                   .url = ask->wire.url,
                   .exempt = ask->provider->call != NULL};
  ask->pass.need = need_of(ask);
  ask->pass.called = called;
  ask->pass.ctx = ask;
  return tm_lane_enter(&ask->llm->lanes, &ask->pass, &to);
}

void tm_ask_leave(tm_llm_ask *ask, tm_llm_class class, const tm_http_res *res,
                  int64_t asked_ms) {
  int64_t input = tm_llm_count(ask->answer.usage, "/input");
  int64_t output = tm_llm_count(ask->answer.usage, "/output");
  double used = input < 0 ? -1 : (double)(input + (output > 0 ? output : 0));
  bool obeyed = class == TM_LLM_RATE_LIMITED && asked_ms <= TM_RETRY_ASKED_MAX;
  tm_lane_leave(&ask->llm->lanes, &ask->pass, class, res, used, obeyed ? asked_ms : -1);
}
