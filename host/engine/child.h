/* child.h - runs that runs start: mill.call, mill.start, and the one that goes on:
 * mill.continue_as.
 *
 *   call      the parent's OPEN record and the child's row and START are one transaction; the
 *             parent waits, durably, until the child has ended (in whatever process)
 *   start     the parent's DONE record and the child, one transaction; nobody waits
 *   continue  END of the one and START of the other, one transaction; pending events move on
 *
 * A child's id is its parent's and its place: "r" at place "4/0.2" starts "r:4-0.2". Ids that
 * would be too long are cut, and a hash of the whole stands behind. A run goes on as "r~2",
 * "r~3" …
 *
 * A run that is tried again (RETRY) and asks for the same child anew has the one that it had,
 * when that is done or still at work; else, or for another input, a new one: "r:4-0.2.1", the
 * number being that of the run's moves.
 *
 * Money: a child begins with what its parent has left at that moment (`budget` in its START) as
 * a limit on top of its workflow's own; what it and its children spent stands in its END and
 * counts in the parent from the moment the parent is told that it ended. Children at work side
 * by side do not see each other's spending. What a started child spends never counts in its
 * parent.
 */
#ifndef TM_ENGINE_CHILD_H
#define TM_ENGINE_CHILD_H

#include "engine/engine.h"

/* mill.call and mill.start: request {input, timeout_ms?, budget?}, name: the workflow. */
void tm_child_launch(tm_branch *b);
void tm_child_due(tm_branch *b);
void tm_child_look(tm_branch *b);
/* The branch does not wait for its child any more: the child is cancelled. */
void tm_child_abandon(tm_branch *b);
/* The run is cancelled, and every child of it that has not ended. */
void tm_child_cancel_all(tm_run *r);
/* A run has ended, durably: its parent may wait for it. */
void tm_child_ended(tm_run *r);
/* Has that run, and whoever goes on for it, ended? */
bool tm_child_over(tm_engine *e, const char *id);
/* mill.continue_as: request {input}. */
void tm_child_continue(tm_branch *b);

#endif
