/* wake.h - what a waiting run waits for has come: find the run, wherever it is.
 *
 *   it is in this engine   its branches look for what came
 *   it is parked           it is taken up; nobody has it, its row says what it waits for
 *   another process has it that one looks by itself, when it sees that others committed
 */
#ifndef TM_ENGINE_WAKE_H
#define TM_ENGINE_WAKE_H

#include "engine/engine.h"

/* Something came for a run. */
void tm_wake_run(tm_engine *e, const char *id);
/* Has a waiting run, which nobody has, something to go on with? By the reason in its row. */
bool tm_wake_ready(tm_engine *e, const tm_run_row *row);
/* The same, of one entry of that reason: an event, a child's end, a lock, a key. */
bool tm_wake_came(tm_engine *e, const tm_run_row *row, const tm_json *reason);
/* The branch looks whether what it waits for has come. */
void tm_wake_look(tm_branch *b);

/* A run's row: 1, 0 there is none, -1. Copied into the arena. */
int tm_wake_row(tm_engine *e, const char *id, tm_arena *a, tm_run_row *out, tm_err *err);
/* Why its run rests or how it ended, as a list or an object; NULL: the row does not say. */
const tm_json *tm_wake_reason(const tm_run_row *row, tm_arena *a);
bool tm_wake_over(const char *state); /* done, failed or cancelled; a diverged run may go on */
bool tm_wake_ended(const tm_run_row *row); /* the same */
/* The run that goes on for one that is done by mill.continue_as; NULL: it is simply done. */
const char *tm_wake_successor(const tm_run_row *row, tm_arena *a);

#endif
