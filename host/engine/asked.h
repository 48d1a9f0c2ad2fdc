/* asked.h - what models were asked and what came back, read off the journals.
 *
 * Law 6: money, tokens and who answered are projections of journal rows. Nothing is counted
 * while a run goes, and so nothing is counted twice by a replay, a retry or a fork: a fork's
 * journal has the results of the shared part, not the attempts that they cost.
 *
 *   START ─ ATTEMPT ─ ATTEMPT ─ DONE ─ …        body of an attempt: what it was, and its cost
 *            └─────────┴── one call ┘           body of an end: the call's meta
 *
 * Journals are read record by record; of a run no more is kept than a time for each call.
 */
#ifndef TM_ENGINE_ASKED_H
#define TM_ENGINE_ASKED_H

#include "engine/journal.h"

typedef struct tm_asked {
  const tm_run_row *run;
  int64_t seq;
  tm_record_kind kind; /* ATTEMPT, or the call's end: DONE or FAIL */
  const char *place, *unit;
  const tm_json *body; /* llm.h's attempt; or its meta */
  int64_t at;          /* of the attempt, or of the call's last one; ms since 1970 */
} tm_asked;

typedef struct tm_asked_filter {
  const char *run, *workflow; /* NULL: any */
  int64_t since, until;       /* attempts from `since` on and before `until`; 0: no bound */
  int64_t newest;             /* runs at most, the newest; 0: all */
} tm_asked_filter;

/* Valid during the call. Non-zero ends the reading. */
typedef int (*tm_asked_fn)(void *ctx, const tm_asked *a);

/* Tell every attempt at a model, and every end of a call that has one: runs newest first, the
 * records of a run in their order. */
int tm_asked_each(tm_store *s, const tm_asked_filter *f, tm_asked_fn fn, void *ctx,
                  tm_err *err);

#endif
