/* held.h - calls whose key another call has: they wait as rows, and are woken when that one is
 * settled.
 *
 *   another call is at the key ─► held: the row says {for="key", name, place, key, run, at}, and its
 *      ▲                            │   run stands in the line of the one that has it (LOCK_WANT)
 *      │                            │ that one is at work here: the call is held in memory
 *      │                            │ it rests, or is elsewhere: parked
 *      │                            ▼
 *      └───────── still held ◄── done, given up, or its run has ended ─► launched again (action.c)
 *
 * Who settles a key wakes the runs in its own run's line, wherever they are, save those that another
 * living process (`at`) looks after: that one sees the commit. Who joins the line looks again when
 * its stand is durable, and when its row is: the key may have been settled before.
 */
#ifndef TM_ENGINE_HELD_H
#define TM_ENGINE_HELD_H

#include "engine/engine.h"

/* The branch's call waits for its key, which the run `holder` has. */
void tm_held_begin(tm_branch *b, const char *holder);
bool tm_held_is(const tm_branch *b);
/* Is the key settled? Then the call goes on. */
void tm_held_look(tm_branch *b);
/* The same, for all branches of a run. */
void tm_held_look_again(tm_run *r);
/* The branch does not wait any more. */
void tm_held_gone(tm_branch *b);
/* The run rests as a row: it waits for no key until it is taken up. */
void tm_held_leave(tm_run *r);
/* The run `holder` has settled a key, or has ended: those that wait for it look. */
void tm_held_notice(tm_engine *e, const char *holder);

/* By one entry of a row's reason: which run has the key now? False: nobody, the call would go on. */
bool tm_held_by(char run[64], tm_engine *e, const tm_run_row *row, const tm_json *reason);
/* Does the row say that its run waits for a key? */
bool tm_held_says(const tm_run_row *row);
/* At the frontier: leave lines in which a process that died left the run standing. */
void tm_held_reconcile(tm_run *r);

/* The run waits for one that is at work in this engine: it is wanted again before long. */
bool tm_held_near(const tm_run *r);
/* The run `holder` rests: those that wait for it need not stay in memory. */
void tm_held_rest(tm_engine *e, const char *holder);

#endif
