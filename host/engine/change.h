/* change.h - a run moves on from where it cannot: other sources, another try, another life.
 *
 *   repin  the same story on other sources: proven equal by a rehearsal first
 *   retry  a failed run goes on from its last good record
 *   fork   a new run that shares the story up to a record
 *
 * Each is one transaction. What a run was before stays in its journal and can be gone back to.
 */
#ifndef TM_ENGINE_CHANGE_H
#define TM_ENGINE_CHANGE_H

#include "engine/verify.h"

/* Move a run that has not ended, or has diverged, to the sources `to`, and let it be taken up
 * again. Its open gates are closed and asked anew. TM_DIVERGED when a rehearsal on `to` is not
 * equal; TM_CONFLICT when it has ended, or is at work. done's id is the run's. */
void tm_change_repin(tm_engine *e, const char *run, tm_closure *to, const char *by,
                     tm_engine_fn done, void *ctx);

/* Is it paused? Then a repin leaves it so. */
bool tm_change_rests(const tm_tale *t);

/* Let a failed run go on: its end is void and so is the failed call that caused it. With other
 * sources (`to`, may be NULL) it is moved to them at once. TM_CONFLICT when it has not failed,
 * or would only fail again in the same way. */
void tm_change_retry(tm_engine *e, const char *run, tm_closure *to, const char *by,
                     tm_engine_fn done, void *ctx);

typedef struct tm_fork {
  const char *id;      /* of the new run; NULL: a fresh one */
  const char *from;    /* the first record that is not shared, see tm_fork_find; NULL: all are,
                          or with an edited result, all up to that */
  tm_closure *closure; /* the new run's; NULL: the old one's */
  const char *edited;  /* the call (name, step or place) whose result is another; NULL: none */
  const tm_json *result; /* that result */
} tm_fork;

/* The new run is queued: take it up with tm_engine_resume. Finished calls before the record are
 * shared: their results are told, and their effects not repeated. TM_DIVERGED when the new
 * sources or the edited result do not fit the shared part. done's id is the new run's. */
void tm_change_fork(tm_engine *e, const char *run, const tm_fork *how, tm_engine_fn done,
                    void *ctx);
/* The seq of the first record about `what`: a seq in digits, a step, a call's name, a place.
 * TM_NOTFOUND. */
int tm_fork_find(int64_t *seq, const tm_journal *j, const char *what, tm_err *err);

/* The first record of the outermost lock (mill.lock) that the story holds at `seq`; NULL: it
 * holds none. A story cannot go on from inside one: the lock itself is no longer the run's. */
const tm_entry *tm_fork_lock(const tm_journal *j, int64_t seq);
/* The first undo of what stands before `seq`, done behind it; NULL: there is none. A story
 * cannot take for done what was undone. */
const tm_entry *tm_fork_undo(const tm_journal *j, int64_t seq);

/* Write a run that is not there yet, with all its records: row and closure as the tale says.
 * The caller may add ops of that run (tm_turn_op) before the turn ends. */
tm_run *tm_change_create(tm_engine *e, const tm_tale *t, tm_engine_fn done, void *ctx);

#endif
