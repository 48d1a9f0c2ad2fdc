/* verify.h - a rehearsal: a journal played again with nothing at stake (law 6 as a question).
 *
 * A fresh guest runs a run's sources, or other ones, against its records, up to where the
 * records end. All doors are shut: no store is written, no task started, no event told. What
 * comes out is whether the script asks for what the journal holds.
 *
 *   equal     {verdict, records, ended: the state it ends in; null: it goes on behind them}
 *   diverged  {verdict, records, message, place?, record?, asked?, stands?, changes?}
 *             asked, stands: {kind, name, where?, request?}
 *             changes: [{at, was, is}] of the request
 */
#ifndef TM_ENGINE_VERIFY_H
#define TM_ENGINE_VERIFY_H

#include "engine/engine.h"

/* What is played: all of it in one arena, but the closure, which is the caller's. */
typedef struct tm_tale {
  const char *run, *workflow;
  const char *state, *owner, *sources, *input_hash; /* as the row has them; sources: a hash */
  const char *parent, *reason, *result;
  int64_t epoch, created, updated;
  tm_closure *closure;
  tm_record *records;
  size_t count;
  size_t voided; /* of a retry: the first record that it makes void; 0: none */
} tm_tale;

typedef struct tm_verdict {
  bool equal;
  const char *ended;   /* the script came to its end: "done", "failed" …; NULL: it goes on */
  const tm_json *told; /* as above, in the caller's arena */
  const char *message; /* why it is not equal, or the error that it ended with */
} tm_verdict;

/* A run's records, as they stand in the store; the closure is left NULL. The chain is verified
 * when it is played. TM_NOTFOUND. */
int tm_verify_read(tm_tale *out, tm_arena *a, tm_store *store, const char *run, tm_err *err);
/* Give records from seq `from` on their numbers and links anew. */
void tm_verify_link(tm_tale *t, size_t from, tm_arena *a);
/* Play it. -1 only when it cannot be played: a damaged journal (TM_INTERNAL). Of the ports,
 * clock, guest and guest_ctx are used. */
int tm_verify_play(tm_verdict *out, tm_arena *a, const tm_tale *t, const tm_ports *ports,
                   tm_err *err);

/* All of it: is run `run` equal on the sources `with` (NULL: its own)? */
int tm_replay_check(tm_verdict *out, tm_arena *a, tm_engine *e, const char *run,
                    tm_closure *with, tm_err *err);

#endif
