/* backoff.h - a model's call that is put off: the next try is too far ahead for a process.
 *
 *   asked ─► put off ─► OPEN {due, back} ─► timer ─► claim ─► asked, from back.state on
 *                             │                ▲
 *                             └─ crash, park ──┴─ a replay finds the last OPEN, and waits for
 *                                                 the rest of the time
 */
#ifndef TM_ENGINE_BACKOFF_H
#define TM_ENGINE_BACKOFF_H

#include "engine/run.h"

/* The task has ended with this; record it and wait. */
void tm_backoff_begin(tm_branch *b, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                      const tm_json *error);
/* The call is to go live: true, it was put off and waits for its time; false, go on now. */
bool tm_backoff_waits(tm_branch *b);
void tm_backoff_due(tm_branch *b);

/* Does it wait like this now? */
bool tm_backoff_is(const tm_branch *b);
/* Where its call goes on; NULL: at its beginning. */
const tm_json *tm_backoff_state(const tm_branch *b);
/* Which model, and what it said, into the reason to wait, in arena `a`. */
void tm_backoff_explain(const tm_branch *b, tm_arena *a, tm_json *reason);

#endif
