/* budget.h - what a run's model calls cost, and when it may make no more.
 *
 * The cost of a call stands in its record's meta (`usd`); a run's spend is their sum, so a
 * replay adds nothing. What a call costs is the model floor's word; unknown is
 * null, never zero.
 */
#ifndef TM_ENGINE_BUDGET_H
#define TM_ENGINE_BUDGET_H

#include "engine/run.h"

/* The error of a call that the budget ({llm_calls?, usd?}, may be NULL) does not allow; NULL:
 * go. */
tm_json *tm_budget_refuses(tm_branch *b, const tm_json *budget);
/* What a child of the run may spend, in arena `a`: the rest of its own workflow's budget and of
 * what it was left itself; NULL: no limit. */
tm_json *tm_budget_left(const tm_run *r, const tm_json *budget, tm_arena *a);
/* Is all that is left held for calls under way? Then the call waits for their end, so that calls
 * side by side overshoot a budget by one of them at most. */
bool tm_budget_full(const tm_branch *b, const tm_json *budget);
/* Hold what the request may cost, and what its call has cost so far, where a budget in USD stands. */
void tm_budget_hold(tm_branch *b, const tm_json *budget, const tm_json *request);
/* It is given up: nothing is held for it. */
void tm_budget_release(tm_branch *b);
/* Did the call fail without a byte of it on its way to a provider? It is none of a budget's calls. */
bool tm_budget_unsent(const tm_json *meta, const tm_json *error);
/* A call's outcome is told to the branch, live or in a replay: add what it cost to the run, to the
 * branch and to those that forked it; nothing is held for it any more. */
void tm_budget_add(tm_branch *b, const tm_json *meta);

#endif
