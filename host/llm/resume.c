/* resume.c - where an ask stands between two tries, as JSON, and going on from there.
 *
 *   {n, tries, round, rounds, rung, fall: numbers as in tm_llm_ask, reasoning?,
 *    said: [messages put behind the request's], usage, usd?, unpriced?, unsent?, ms: latency so far}
 *
 * The request is not in it: whoever goes on has it anyway. What was said is, because the model's
 * own answers are nowhere else.
 */
#include "base/clock.h"
#include "llm/ask.h"

#define ATTEMPTS_MAX 100000               /* more than the limits of all rounds allow */
#define MS_MAX       INT64_C(31536000000) /* a year */

static tm_json *said(tm_arena *a, const tm_llm_ask *ask) {
  size_t given = tm_json_len(tm_json_get(ask->request, "messages"));
  tm_json *list = tm_json_new_array(a);
  for (size_t i = given; i < tm_json_len(ask->messages); i++)
    tm_json_push(a, list, tm_json_at(ask->messages, i));
  return list;
}

tm_json *tm_ask_state(tm_arena *a, const tm_llm_ask *ask) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_int(a, o, "n", ask->n);
  tm_json_set_int(a, o, "tries", ask->tries);
  tm_json_set_int(a, o, "round", ask->round);
  tm_json_set_int(a, o, "rounds", ask->rounds);
  tm_json_set_int(a, o, "rung", (int64_t)ask->ladder.rung);
  tm_json_set_int(a, o, "fall", (int64_t)ask->ladder.fall);
  if (ask->reasoning)
    tm_json_set_bool(a, o, "reasoning", true);
  tm_json_set(a, o, "said", said(a, ask));
  tm_json_set(a, o, "usage", tm_llm_usage(a, ask->used));
  if (ask->priced)
    tm_json_set(a, o, "usd", tm_json_new_double(a, ask->usd));
  if (ask->unpriced)
    tm_json_set_bool(a, o, "unpriced", true);
  if (!ask->sent_any)
    tm_json_set_bool(a, o, "unsent", true);
  tm_json_set_int(a, o, "ms", tm_ask_elapsed_ms(ask));
  return o;
}

/* A number of the state in 0 .. most; -1 when it is none. */
static int64_t number(const tm_json *state, const char *key, size_t most) {
  int64_t n = tm_json_int(tm_json_get(state, key), -1);
  return n > (int64_t)most ? -1 : n;
}

static void take_said(tm_llm_ask *ask, const tm_json *list) {
  if (!tm_json_len(list))
    return;
  ask->messages = tm_json_copy(&ask->arena, tm_json_get(ask->request, "messages"));
  for (size_t i = 0; i < tm_json_len(list); i++)
    tm_json_push(&ask->arena, ask->messages, tm_json_copy(&ask->arena, tm_json_at(list, i)));
}

static void take_used(tm_llm_ask *ask, const tm_json *state) {
  const tm_json *usage = tm_json_get(state, "usage"), *usd = tm_json_get(state, "usd");
  ask->used = (tm_llm_counts){.input = tm_llm_count(usage, "/input"),
                              .cached_input = tm_llm_count(usage, "/cached_input"),
                              .cache_write = tm_llm_count(usage, "/cache_write"),
                              .output = tm_llm_count(usage, "/output"),
                              .reasoning = tm_llm_count(usage, "/reasoning"),
                              .total = tm_llm_count(usage, "/total")};
  ask->priced = usd != NULL;
  ask->usd = tm_json_number(usd, 0);
  ask->unpriced = tm_json_bool(tm_json_get(state, "unpriced"), false);
  ask->sent_any = !tm_json_bool(tm_json_get(state, "unsent"), false);
}

int tm_ask_resume(tm_llm_ask *ask, const tm_json *state, tm_err *err) {
  size_t rungs = tm_json_len(ask->ladder.tries), falls = tm_json_len(ask->ladder.fallback);
  int64_t n = number(state, "n", ATTEMPTS_MAX), tries = number(state, "tries", ATTEMPTS_MAX);
  int64_t round = number(state, "round", TM_LLM_ROUNDS), ms = number(state, "ms", MS_MAX);
  int64_t rounds = number(state, "rounds", ATTEMPTS_MAX);
  int64_t rung = number(state, "rung", rungs ? rungs - 1 : 0),
          fall = number(state, "fall", falls);
  if (n < 0 || tries < 0 || round < 0 || rounds < 0 || rung < 0 || fall < 0 || ms < 0)
    return tm_err_set(err, TM_INTERNAL,
                      "what was kept of this call to a model does not fit its request; the "
                      "journal is damaged, restore the database from a backup");
  ask->n = (int)n;
  ask->tries = (int)tries;
  ask->round = (int)round;
  ask->rounds = (int)rounds;
  ask->ladder.rung = (size_t)rung;
  ask->ladder.fall = (size_t)fall;
  ask->reasoning = ask->two_phases && tm_json_bool(tm_json_get(state, "reasoning"), false);
  ask->started_ns = tm_clock_ns() - ms * 1000000;
  take_said(ask, tm_json_get(state, "said"));
  take_used(ask, state);
  return 0;
}
