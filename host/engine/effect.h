/* effect.h - the row of an action's key in the store: who has it, what came of it.
 *
 * One row a key, in the name of the workflow and the action; the run and the place that claimed
 * it stand in it until there is a result, and after.
 */
#ifndef TM_ENGINE_EFFECT_H
#define TM_ENGINE_EFFECT_H

#include "engine/engine.h"

/* The row of the branch's action: 1, 0 there is none, -1. Copied into the arena. */
int tm_effect_find(tm_branch *b, tm_arena *a, tm_effect_row *out, tm_err *err);
/* Was it claimed by this very call? */
bool tm_effect_is_ours(const tm_branch *b, const tm_effect_row *row);
/* An op on the branch's key, in this turn, guarded by its run. */
tm_op *tm_effect_op(tm_branch *b, tm_op_kind kind);

/* What became of the run that has a key without a result. */
typedef enum tm_effect_left {
  TM_EFFECT_HELD,  /* it goes on, and will tell */
  TM_EFFECT_ENDED, /* it was ended in between (terminated, stopped at a limit): it never tells */
  TM_EFFECT_STUCK  /* it diverged, or was imported: it may go on one day */
} tm_effect_left;
tm_effect_left tm_effect_left_by(tm_engine *e, const tm_effect_row *row, char state[16]);
/* When the receiver may first have seen the key, wall ms, from the journal of the run that has
 * it. Not to be found: long ago, so that no window is open any more. */
int64_t tm_effect_since(tm_branch *b, const tm_effect_row *row);

#endif
