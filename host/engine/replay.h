/* replay.h - the journal answers: outcomes in their order, and what it means when they do not
 * fit.
 */
#ifndef TM_ENGINE_REPLAY_H
#define TM_ENGINE_REPLAY_H

#include "engine/run.h"

/* Read the run's journal, and what its START says: it replays from here on. */
int tm_replay_load(tm_run *r, tm_err *err);

/* The branch has just come to a place that the journal knows. Marks it asked; false: another
 * call stands there, and the run has diverged. */
bool tm_replay_matches(tm_branch *b, tm_place *p);

/* Nothing is ready: queue the journal's next outcome for delivery, or find that the frontier is
 * reached, end the replay and launch what was held. False: the run has diverged. */
bool tm_replay_next(tm_run *r);

/* The script has come to its end. False: the journal holds more, and the run has diverged. */
bool tm_replay_ends(tm_run *r);

#endif
