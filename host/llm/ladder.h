/* ladder.h - which model and which configuration is asked next.
 *
 *   tries     [{}, {temperature: 0}, {model: "openai/bigger"}]   when an answer is no good:
 *             bad_output, truncated, context_overflow; or good and unsure: confidence
 *   fallback  ["anthropic/other", "ollama/local"]                when a provider does not
 * answer: network, timeout, rate_limited, overloaded, server_error, quota,
 *             unavailable
 *
 *   confidence  {of: "confidence", at_least: 0.8}   which member of the answer says how sure it
 *             is; below the number, or when there is none, it is unsure
 *
 * Both only move forward, so their lengths bound an ask. A refusal, a filter, a wrong key and a
 * malformed request are results: asking somebody else would hide them.
 */
#ifndef TM_LLM_LADDER_H
#define TM_LLM_LADDER_H

#include <stdbool.h>

#include "llm/llm.h"

#define TM_LADDER_MAX 16 /* of each */

typedef struct tm_ladder {
  const tm_json *tries, *fallback; /* NULL: there is none */
  size_t rung, fall;               /* index in tries; models of fallback used up */
} tm_ladder;

/* Out of a request, which outlives it. TM_USAGE: it is malformed. */
int tm_ladder_open(tm_ladder *out, const tm_json *request, tm_err *err);
/* Step on after this outcome; false: there is no next. */
bool tm_ladder_next(tm_ladder *l, tm_llm_class class);
/* Step on from an answer that is good and unsure; false: there is no next. */
bool tm_ladder_doubt(tm_ladder *l);
/* Of this step: the model as PROVIDER/MODEL, and the configuration. */
const char *tm_ladder_model(const tm_ladder *l, const tm_json *request);
const tm_json *tm_ladder_config(const tm_ladder *l, tm_arena *a, const tm_json *request);
/* Is an answer below what the request asks for? */
bool tm_ladder_unsure(const tm_json *request, const tm_json *value);
/* All models that it may come to, by number; NULL past the end. */
const char *tm_ladder_model_at(const tm_ladder *l, size_t i);

#endif
