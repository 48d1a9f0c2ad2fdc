/* orders.h - orders that wait in the store for the process that has the run.
 *
 *   run:ID         cancel, terminate or pause, of a run that another living process has
 *   workflow:NAME  pause: its runs rest, and new ones begin as paused rows, until it is lifted
 *   all            the same, of every workflow
 *
 * A process sees them within a moment, as it sees everything that others commit. The engine
 * keeps a copy: read when it first matters, and whenever it may have changed.
 */
#ifndef TM_ENGINE_ORDERS_H
#define TM_ENGINE_ORDERS_H

#include "engine/engine.h"

/* The copy is to be as the store is. */
void tm_orders_read(tm_engine *e);
void tm_orders_free(tm_engine *e);
/* Carry out what can be carried out here. */
void tm_orders_look(tm_engine *e);

/* The pause that a workflow's runs are under: its own, or that of all; NULL: none. */
const tm_order_row *tm_orders_pause(tm_engine *e, const char *workflow);
/* [{"for":"pause", note, by} + {workflow} | {all}]: the reason of a run that rests under it. */
tm_json *tm_orders_reason(const tm_order_row *pause, tm_arena *a);
/* What is wanted of one run; NULL: nothing. */
const tm_order_row *tm_orders_of(tm_engine *e, const char *run);

tm_order tm_orders_kind(const tm_order_row *row);

/* For whoever has the run; in this turn, guarded by `from` unless that is NULL. Lost when the
 * run has ended by then. */
void tm_orders_give(tm_engine *e, tm_run *from, const char *run, tm_order order,
                    const char *note, const char *by);
/* Nobody is left to carry it out, or wants it. */
void tm_orders_lift(tm_engine *e, const tm_order_row *row);
/* It was carried out, in the group of ops of the run. */
void tm_orders_done(tm_run *r);

#endif
