/* journal.h - the append-only story of one run, and the laws it rests on.
 *
 *  1. Commit, then tell. Nothing from outside is told to a script, and no effect leaves the
 *     host, before the record it rests on is committed. All records of one turn of the loop are
 *     one transaction. A clock reading or a dice roll may be told at once: it stands in the
 *     batch ahead of whatever it influences.
 *  2. A call's place is its branch path and its ordinal in that branch, never an arrival order.
 *     Its identity is the hash of its canonical request.
 *  3. Same place, other identity = diverged. The run stops and keeps its state; nothing is
 *     overwritten.
 *  4. Intent before effect. A non-repeatable action commits its intent, with key and epoch,
 *     before it starts. A crash in between is *unknown*, settled by the action's policy, never
 *     guessed.
 *  5. A run keeps its closure: it is resumed from the sources it started with, and nothing else.
 *  6. Replay does no I/O and costs nothing.
 *  7. The journal's order of completions is the order of resumptions, live and in replay.
 *  8. The host's word is final: a script cannot swallow a stop.
 *  9. An approval is bound to exactly what the person saw.
 * 10. Confidence may ask for more; it never removes a gate.
 *
 * Records, in the order of `seq`; `body` is JSON with short keys:
 *
 *   START    run begins       {input, workflow, closure, step?, env?, at} + {fork?, seed?}
 *                             + {events?} + {parent, depth, budget?}: of a child
 *   NOTE     a noted call     {k kind, i identity (not of a log), v value, w?, s?}
 *   OPEN     a wait begins    {k, i, q request, w where, s step?, at}
 *                             + {due} | {gate, digest, expires?}
 *                             | {key, epoch} + {taken: the run whose doubt it was, since}
 *                             | {child, due?}: a call | {to}: continue_as
 *                             | {due, back: {state, meta, error}}: a model is asked again then
 *   ATTEMPT  one try          {k, a: what was sent and what came back} + {at}: of a verb
 *   DECIDED  a gate's end     {gate, approved, answer?, note?, by, digest, at}
 *   DONE     a call's result  {k, i, v value, m meta?, q request, w, s?, ms, at}
 *                             (q when no OPEN holds it) + {edited}: by a fork, hash of what was
 *   FAIL     a call's error   {k, i, e error, m?, q, w, s?, ms, at}
 *   CANCEL   asked to stop    {note?, by, at}
 *   END      run is over      {state, v result | e error, at} + {llm_calls?, usd?}: spent
 *                             + {continued?}: the run that goes on
 *   RETRY    goes on          {from, by, at}: a failed run, again
 *   REPIN    other sources    {was, now, by, at}: hashes of closures
 *
 *   A RETRY voids the records from `from` up to itself: they stay, are hashed and shown, and
 *   tell a replay nothing. From then on the journal's *story* is what stands before `from` and
 *   behind the RETRY. `from` is the END, or the FAIL of the call that was the end's cause.
 *   After a REPIN the run is `now`'s; tm_run.closure is changed in the same transaction. Gates
 *   that were opened before it are asked anew (law 9).
 *   A fork is a run whose START has {fork: {run, seq, copied}, seed}: its next `copied` records
 *   are copies of the other run's story before `seq`, without what was pending there; its dice
 *   stay the other's.
 *   `at` of ATTEMPT, DONE and FAIL is missing in journals from before it was kept, and `copied` as
 *   well: nothing that a run does rests on them.
 *
 *   A DONE of an llm call whose answer was used again has m {…, cached: {hit, run, at, …}} and no
 *   ATTEMPT (reuse.h); one of recall and decide has what decision.h says.
 *
 *   place "4" is the fourth call of the main branch; "4/0.2" the second call of the first
 *   branch that was forked at place 4. Records of the run itself have the place "".
 *   chain = BLAKE2b-256(previous chain, "seq kind", place, name, body), each field behind its
 *   length, in hex; the first previous is "".
 *
 * A tm_journal holds what was loaded for a replay, in the arena it was given.
 */
#ifndef TM_ENGINE_JOURNAL_H
#define TM_ENGINE_JOURNAL_H

#include "base/map.h"
#include "engine/call.h"
#include "store/store.h"
#include "text/json.h"

/* clang-format off */
#define TM_RECORD_KINDS(X)                                                              \
  X(START, "start") X(NOTE, "note") X(OPEN, "open") X(ATTEMPT, "attempt")               \
  X(DECIDED, "decided") X(DONE, "done") X(FAIL, "fail") X(CANCEL, "cancel")             \
  X(END, "end") X(RETRY, "retry") X(REPIN, "repin")
/* clang-format on */

typedef enum tm_record_kind {
#define X(name, word) TM_RECORD_##name,
  TM_RECORD_KINDS(X)
#undef X
      TM_RECORD_KIND_COUNT
} tm_record_kind;

const char *tm_record_word(int kind); /* "?" for a number that is none */

/* One record as loaded. */
typedef struct tm_entry {
  struct tm_entry *next;      /* of the whole journal */
  struct tm_entry *next_here; /* of the same place */
  int64_t seq;
  tm_record_kind kind;
  const char *place, *name;
  const tm_json *body;
  bool spent; /* of a call that failed, and that a RETRY asks anew: nothing goes on from it */
} tm_entry;

/* All records of one place. */
typedef struct tm_place {
  tm_entry *first, *last;
  bool asked;                /* the script has come by */
  struct tm_branch *waiting; /* held here during a replay; NULL: none, or gone */
} tm_place;

typedef struct tm_journal {
  tm_arena *arena;
  tm_entry *first, *last;
  tm_entry *cursor; /* the next record that a replay looks at; NULL: the frontier */
  tm_map places;    /* place -> tm_place */
  int64_t length;   /* of all records, void ones too: the next one's seq */
  int64_t pinned;   /* seq of the last REPIN; 0: none */
  int moves;        /* RETRYs and REPINs: gates opened after them get ids of their own */
  char chain[TM_HASH_HEX + 1];
} tm_journal;

/* Read and verify a run's journal and keep its story: gaps, unknown kinds, bodies that do not
 * parse and a broken chain are TM_INTERNAL errors that name the record. `j` is zeroed by the
 * caller; free with _free. */
int tm_journal_load(tm_journal *j, tm_arena *a, tm_store *store, const char *run, tm_err *err);
void tm_journal_free(tm_journal *j);

/* Records of a place, or NULL. */
tm_place *tm_journal_at(const tm_journal *j, const char *place);
/* The first record of a kind at a place, or NULL. */
const tm_entry *tm_place_find(const tm_place *p, tm_record_kind kind);
const tm_entry *tm_place_last(const tm_place *p, tm_record_kind kind); /* the last one */
/* DONE or FAIL or, for a noted call, NOTE; NULL while there is none. */
const tm_entry *tm_place_outcome(const tm_place *p);
/* A record that no script asked for so far, or NULL. */
const tm_entry *tm_journal_unasked(const tm_journal *j);

/* The END of the story, or NULL. */
const tm_entry *tm_journal_end(const tm_journal *j);

/* A record as it is, its texts in the arena. */
tm_record tm_journal_copy(tm_arena *a, const tm_record *r);

/* The chain's next link. */
void tm_journal_link(char chain[TM_HASH_HEX + 1], const tm_record *r);

/* Identity of a call: 32 hex digits of the hash of kind, name and canonical request. */
#define TM_IDENTITY 32
void tm_journal_identity(char out[TM_IDENTITY + 1], tm_call_kind kind, const char *name,
                         const tm_json *request);

#endif
