/* watchdog.h - the last resort: a process whose engine does not come back ends itself.
 *
 * Scripts are bounded in memory, instructions and CPU time from inside. What is left is C code
 * that never returns (a host function, a bug of ours): it would hold up every run, for ever. A
 * thread looks whether the engine is still at the same piece of work after so long; then it says
 * which run was at work, notes the run in DB.hung, and ends the process with code 70. Nothing is
 * cleaned up: the journal is safe, as after any crash, and a supervisor starts the process anew.
 *
 * A run that was noted three times is paused when the next process opens the database, so that
 * it does not bring that one down too. Who resumes it by its id tries it once more.
 */
#ifndef TM_FACE_WATCHDOG_H
#define TM_FACE_WATCHDOG_H

#include "engine/engine.h"

#define TM_WATCHDOG_TIMES 3

typedef struct tm_watchdog tm_watchdog;

/* `db`: the store's URL; a database in memory has no notes. NULL when no thread can be had. */
tm_watchdog *tm_watchdog_start(tm_engine *e, const char *db, int64_t limit_ms);
void tm_watchdog_stop(tm_watchdog **w);
/* Give the order to pause what was noted too often; it stands in the engine's turn. */
void tm_watchdog_read(tm_engine *e, const char *db);

#endif
