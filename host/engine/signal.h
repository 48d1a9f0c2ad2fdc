/* signal.h - events: what a run is told from outside, and asks for when it is ready to hear.
 *
 *   mill.workflow { events = { paid = SCHEMA } }   declared, kept in START: {events: {paid: SCHEMA}}
 *   sent      ─► held to its schema ─► a row of the run, once for each id (SIGNAL_NEW, SIGNAL_EMIT)
 *   mill.wait ─► the oldest pending row of that name ─► its outcome and SIGNAL_CONSUME, one batch
 *
 * An event that comes before it is asked for is kept. A wait that is dropped before the script
 * heard of its event gives it back.
 */
#ifndef TM_ENGINE_SIGNAL_H
#define TM_ENGINE_SIGNAL_H

#include "engine/engine.h"

/* Send an event to a run; `done` is called when it is durable, or with the error: TM_USAGE for
 * an event that the run does not declare or a payload that breaks its schema, TM_NOTFOUND,
 * TM_CONFLICT for a run that has ended, or an `id` (NULL: a fresh one) that was used for
 * another event. The same id and event again is kept once. A run that went on by
 * mill.continue_as hears of it there; done's id is the run that has it. */
void tm_engine_signal(tm_engine *e, const char *run, const char *event, const tm_json *payload,
                      const char *id, tm_engine_fn done, void *ctx);

/* mill.wait: request {timeout_ms?}, name: the event. */
void tm_signal_launch(tm_branch *b);
void tm_signal_due(tm_branch *b);
void tm_signal_look(tm_branch *b);
/* The branch will not hear of the event that its outcome used up. */
void tm_signal_give_back(tm_branch *b);
/* mill.emit: request {run, payload}. */
void tm_signal_emit(tm_branch *b);
bool tm_signal_pending(tm_engine *e, const char *run, const char *event);

#endif
