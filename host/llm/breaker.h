/* breaker.h - when a model is not asked any more, and when it is tried again.
 *
 *   CLOSED ── of the last `calls` attempts too many failed, or too many broke their schema ──┐
 *      ^                                                                                     v
 *      │ it was answered        HALF <── the cool-down has passed: one process, ─────────  OPEN
 *      └───────────────────── one probe                     one request                      ^
 *                                └── it failed again, or its process is gone ────────────────┘
 *
 * The window is a process's own and counts attempts, not time; the state is shared. So that many short
 * processes see together what none of them sees alone, each folds what it saw into counts that all
 * share, when it ends, and begins with them. An hour halves those.
 */
#ifndef TM_LLM_BREAKER_H
#define TM_LLM_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "llm/llm.h"

#define TM_BREAKER_CALLS_MAX 1000
#define TM_BREAKER_PROBE_MS  60000 /* a probe that has not ended by then counts as gone */

typedef struct tm_breaker_rule {
  double errors, bad_outputs; /* shares of the last `calls` attempts */
  int calls;                  /* 0: never opens */
  int64_t cool_down_ms;
} tm_breaker_rule;

/* Lenient: a provider that fails three times out of ten does not open it. Of 40 attempts that fail
 * with a chance of 0.3 each, 30 or more fail once in a hundred million times. */
#define TM_BREAKER_DEFAULT ((tm_breaker_rule){0.75, 0.75, 40, 30000})

typedef enum tm_breaker_word {
  TM_BREAKER_CLOSED,
  TM_BREAKER_OPEN,
  TM_BREAKER_HALF
} tm_breaker_word;
const char *tm_breaker_text(tm_breaker_word w); /* "closed" "open" "half-open" */

typedef struct tm_breaker {
  tm_breaker_word word;
  int64_t until;             /* OPEN: no probe before; HALF: it counts as gone after; wall ms */
  char owner[TM_ID_LEN + 1]; /* HALF: who probes */
  char why[96];              /* "31 of the last 40 attempts failed (server_error)" */
} tm_breaker;

/* What an attempt means for the model that was asked. */
typedef enum tm_breaker_mark { TM_MARK_OK, TM_MARK_ERROR, TM_MARK_BAD } tm_breaker_mark;
tm_breaker_mark tm_breaker_mark_of(tm_llm_class class);

typedef struct tm_breaker_window {
  unsigned char *last; /* of rule.calls marks */
  int count, at, marks[3];
} tm_breaker_window;

/* What the last attempts of all processes came to, by mark. */
typedef struct tm_breaker_recent {
  double marks[3];
  int64_t at; /* wall ms; they have faded since */
} tm_breaker_recent;

/* As it is now; less than half a failure is none, and then nothing is worth remembering. */
void tm_breaker_fade(tm_breaker_recent *r, int64_t now);
/* Own attempts on top, of rule->calls in all the newest. */
void tm_breaker_fold(tm_breaker_recent *r, const tm_breaker_rule *rule, const int64_t own[3],
                     int64_t now);
/* A window that nothing was noted in begins with what others saw, the failures as the oldest. */
void tm_breaker_prime(tm_breaker_window *w, const tm_breaker_rule *rule, tm_breaker_recent r,
                      int64_t now);

/* One more; true when there is reason to open, which *why says. */
bool tm_breaker_note(tm_breaker_window *w, const tm_breaker_rule *rule, tm_llm_class class,
                     char why[96]);
/* As if nothing had been seen. */
void tm_breaker_forget(tm_breaker_window *w);
void tm_breaker_free(tm_breaker_window *w);

#endif
