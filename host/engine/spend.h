/* spend.h - budgets of a day, kept in the store: every process on it has the same ones.
 *
 *   launch ─ HOLD in each scope ─┬─ all held ──────────► asked ─ ATTEMPT + ADD ─ DONE + DROP
 *                                ├─ one is used up ────► FAIL {kind="budget"} + DROP
 *                                └─ others hold its rest ─► DROP; tried again when they end
 *
 * What a call may cost is held before it is asked, and what it cost stands in the transaction of
 * the record that says so. A call is let through while spent and held are below the limit, so a
 * budget is overshot by one call at most, as far as the estimate is not too low. A replay comes
 * by none of this. What a dead process held stays held until its run goes on or the day is over.
 */
#ifndef TM_ENGINE_SPEND_H
#define TM_ENGINE_SPEND_H

#include "engine/engine.h"

/* The request (in the branch's scratch, or its own) may be asked, as far as the run's own budget
 * goes: ask it when the day's budgets allow it. An EMBED costs money and is no model call. */
void tm_spend_ask(tm_branch *b, tm_call_kind kind, const tm_json *request);
/* An attempt was recorded in this turn. */
void tm_spend_attempt(tm_branch *b, const tm_json *attempt);
/* The call has ended (its outcome is recorded in this turn), or is given up; `asked`: a model's
 * counts. */
void tm_spend_settle(tm_branch *b, bool asked);
/* Wait until another call has ended, or a moment; then the call is launched again. */
void tm_spend_wait(tm_branch *b);
/* Those that wait in this process look again. */
void tm_spend_wake(tm_engine *e);
/* Another's answer is told, or waited for: what a process that is dead held for the call is free. It may
 * have asked. */
void tm_spend_inherit(tm_branch *b);
/* The run ends: nothing more is held for it. */
void tm_spend_end(tm_run *r);

#endif
