/* circle.h - runs that wait for each other, so that none of them goes on.
 *
 * A run is stuck when all that its branches wait for are other runs (a lock, a key, a child), and
 * each of these is stuck too: the largest set of which that is true. Whoever waits for a person, a
 * clock or an event as well, or is at work, is not in it.
 */
#ifndef TM_ENGINE_CIRCLE_H
#define TM_ENGINE_CIRCLE_H

#include "engine/engine.h"

/* The stuck runs, as [{run, reason}], each circle in the order in which its runs wait; who waits
 * for a circle from outside stands behind all of them. In arena `a`. 0, -1. */
int tm_circle_find(tm_json **out, tm_arena *a, tm_engine *e, tm_err *err);

#endif
