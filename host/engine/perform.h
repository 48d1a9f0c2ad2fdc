/* perform.h - the one door: "perform a call of kind K with this request".
 *
 * For the guest's bindings. Nothing here runs script code; an awaited, verb or inner call is
 * followed by the guest's yield, a noted call is answered at once.
 */
#ifndef TM_ENGINE_PERFORM_H
#define TM_ENGINE_PERFORM_H

#include "engine/run.h"

/* May the branch make this call here? -1 and why not: a verb outside an action's body, anything
 * else inside one. */
int tm_perform_allows(const tm_branch *b, tm_call_kind kind, tm_err *err);

/* Ask for an awaited, verb or inner call. `request` is recorded and hashed, `live` (may be NULL)
 * is what only the executor needs; both are copied. `where` is "file:line" or "".
 *   FORK     {n, max?, race?}: starts n branches; answered when all have returned or one has
 *            raised; in a race, when the first has ended
 *   OUTCOME  {ok: value} | {error: {…}}: the end of an action's body */
void tm_perform_call(tm_branch *b, tm_call_kind kind, const char *name, const tm_json *request,
                     const tm_json *live, const char *where);

/* A noted call: the answer, valid until the branch's next call. NULL: refused; err says why
 * (TM_DIVERGED: the run is over, the guest must stop running it). */
const tm_json *tm_perform_note(tm_branch *b, tm_call_kind kind, const char *name,
                               const tm_json *request, const char *where, tm_err *err);

/* A statement of a db action's body, at once. */
int tm_perform_query(tm_branch *b, const tm_query *q, tm_arena *a, tm_rows *out, tm_err *err);

/* The branch is in this station from now on, for people; copied. */
void tm_perform_step(tm_branch *b, const char *step);

#endif
