/* lock.h - mill.lock(key, fn): one run of a workflow at a time for a key, first come first
 * served.
 *
 *   lock ─► the run joins the line (LOCK_WANT) ─► first in it? ─ yes ─► outcome: the script goes on
 *                                                       │ no
 *                                                       └─► waits, durably, until the first leaves
 *   fn's end, the branch's end, the run's end ─► it leaves (LOCK_DROP); the next one is woken
 *
 * A stand in the line is the run's, not the process's: a crash changes nothing. Branches of one
 * run hold a lock together; the run leaves the line when the last of them has let go. A
 * diverged run keeps its stands: it is in the midst of what the lock protects.
 */
#ifndef TM_ENGINE_LOCK_H
#define TM_ENGINE_LOCK_H

#include "engine/engine.h"

void tm_lock_launch(tm_branch *b);
void tm_lock_look(tm_branch *b);
/* The branch is told that it has the lock, live or in a replay. */
void tm_lock_held(tm_branch *b);
/* The note "unlock": `fresh` when it is not a replay's. */
void tm_lock_release(tm_branch *b, const char *key, bool fresh);
/* The branch is gone, or does not wait any more: what it held or waited for is let go. */
void tm_lock_gone(tm_branch *b);
/* The run is over: leave every line. Before its END's batch is left. */
void tm_lock_end(tm_run *r);
/* At the frontier: leave lines in which a process that died left the run standing. */
void tm_lock_reconcile(tm_run *r);
/* The first in line for a key: is it that run? */
bool tm_lock_is_first(tm_engine *e, const char *ns, const char *key, const char *run);

#endif
