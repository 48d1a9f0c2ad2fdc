/* limits.h - how much may be asked of whom, as tidemill.yaml says it.
 *
 *   limits:
 *     openai: { requests_per_minute: 500, tokens_per_minute: 200000, concurrent: 20 }
 *     openai/gpt-4.1: { concurrent: 4 }
 *     breaker: { errors: 0.75, bad_outputs: 0.75, calls: 40, cool_down: 30s }     or false
 *
 * A provider's limit is for all its models together; a model's comes on top of it.
 */
#ifndef TM_LLM_LIMITS_H
#define TM_LLM_LIMITS_H

#include "llm/breaker.h"
#include "text/json.h"

typedef struct tm_limit {
  const char *name;                     /* PROVIDER or PROVIDER/MODEL */
  int64_t requests, tokens, concurrent; /* 0: no limit; the first two in a minute */
} tm_limit;

typedef struct tm_limits {
  const tm_limit *all;
  size_t count;
  tm_breaker_rule breaker;
} tm_limits;

/* Out of a table, in arena `a`; NULL: no limits, and the breaker's default. TM_CONFIG names what
 * is wrong as it stands in the table ("limits: openai: ..."). */
int tm_limits_read(tm_limits *out, tm_arena *a, const tm_json *table, tm_err *err);
/* By its name; NULL when there is none. */
const tm_limit *tm_limits_of(const tm_limits *l, const char *name);

#endif
