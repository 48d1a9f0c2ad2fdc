/* park.h - a run that waits is a row: its script leaves the memory, an id and a due time stay.
 *
 *   waiting, its row durable ─► parked ─┬─ its timer is due ──────────────┐
 *                                       ├─ what it waits for has come ────┼─► taken up, by replay
 *                                       └─ another process has taken it ──┴─► forgotten here
 */
#ifndef TM_ENGINE_PARK_H
#define TM_ENGINE_PARK_H

#include "engine/engine.h"

/* The run's row says waiting, and is durable: put it out of memory, if the ports say so. */
void tm_park_run(tm_run *r);
/* It is in memory again; a timer that was set here keeps its time. */
void tm_park_enter(tm_run *r);
bool tm_park_holds(const tm_engine *e, const char *id);

/* Take up those whose time has come. */
void tm_park_fire(tm_engine *e);
/* Somebody committed: take up those for whom something came. */
void tm_park_look(tm_engine *e);
/* Monotonic ms of the earliest timer, of one run (NULL: of any); 0: there is none. */
int64_t tm_park_due(const tm_engine *e, const char *id);
void tm_park_free(tm_engine *e);

#endif
