/* attempt.h - what is told of one attempt: enough to see and to pay for it, and no secret.
 */
#ifndef TM_LLM_ATTEMPT_H
#define TM_LLM_ATTEMPT_H

#include "llm/provider.h"

typedef struct tm_attempt {
  int n, round, rung;
  const char *phase;
  const tm_llm_question *question;
  const tm_llm_wire *wire;
  const tm_llm_answer *answer;
  const char *response; /* NULL: nothing came */
  size_t response_len;
  int status;
  int64_t first_byte_ms, latency_ms, at; /* at: ms since 1970, when it started */
  const double *usd;                     /* NULL: not known */
  tm_llm_class class;
  const char *message;
  bool unsure;         /* a good answer, below the confidence that is asked for */
  int64_t retry_in_ms; /* -1: no further attempt of this */
} tm_attempt;

/* What the attempt is made of must outlive the tree: its strings are not copied. */
tm_json *tm_attempt_json(tm_arena *a, const tm_attempt *t);

/* The headers as one object, the values of those that carry a key as "***". */
tm_json *tm_attempt_headers(tm_arena *a, const tm_llm_wire *wire);
/* Bytes as a string, or as {"base64": ...} when they are not UTF-8; the secret masked. */
tm_json *tm_attempt_bytes(tm_arena *a, const char *bytes, size_t len, const char *secret);

#endif
