/* store.h - what a database has to do for an engine.
 *
 * Writes go in batches: one batch is one transaction, applied in the order of its
 * ops, durable when `done` says 0. Reads are synchronous, on a connection of
 * their own, and see the last finished commit. `commit` never calls back before
 * it returns, calls back exactly once, through `post`, in the order of commits.
 *
 * An error from a commit means *unknown*, never "not written": the store refuses
 * all further commits, and the engine stops, reopens and reads back. A batch
 * belongs to the store from commit to done.
 *
 *   FENCE a ─ ops on a ─ FENCE b ─ ops on b ─ GATE_DECIDE ─ RUN_NEW c ─ ops on c
 *   └ group of a ────┘   └ group of b ────┘   └ in none     └ group of c ──────┘
 *
 *   RUN_NEW, RUN_CLAIM and FENCE open a group; a chained RUN_NEW is also the last op of the one
 *   before it. When that fails (EXISTS, LOST, FENCED), the ops of the group are skipped and
 *   marked FENCED, and the batch goes on behind it. An op that ends a guarded group, or stands in
 *   none, says so below.
 */
#ifndef TM_STORE_STORE_H
#define TM_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "text/json.h"

typedef enum tm_op_kind {
  TM_OP_RUN_NEW,   /* status EXISTS when the id is taken: the ops it guards are skipped */
  TM_OP_RUN_CLAIM, /* epoch+1 and owner, when the epoch is still `epoch` and the journal is
                      still `records` long (0: however long); else LOST: its owner lived, and
                      has gone on, perhaps to its end. Guards like a fence */
  TM_OP_FENCE,     /* FENCED when the run has another epoch by now, or another owner (NULL:
                      whoever): of two that claimed the same epoch one has it, and the other
                      does not know yet */
  TM_OP_RUN_SET,   /* state, reason, wake_at, owner, result of the guarded run, all five; with a
                      NULL state the owner alone */
  TM_OP_RUN_PIN,   /* the guarded run's closure from now on */
  TM_OP_RECORD,    /* append to the guarded run's journal; another seq than its length is a bug
                      and fails the batch */
  TM_OP_BLOB,      /* content by hash, stored once; in no group, it harms nobody */
  TM_OP_CLOSURE,   /* manifest by hash, with its files, stored once; in no group */
  TM_OP_GATE_NEW,  /* of the guarded run; EXISTS when the id is taken */
  TM_OP_GATE_DECIDE,  /* open -> decided, else LOST; with a digest, only a gate of that digest.
                         Needs no fence and ends a guarded group */
  TM_OP_GATE_CLOSE,   /* open -> closed (run cancelled, gate moot), else LOST; guarded */
  TM_OP_EFFECT_CLAIM, /* by the guarded run; EXISTS (and `found`) when ns+action+key is taken by
                         another run or place. Claimed again by the same: OK, and `found` */
  TM_OP_EFFECT_DONE,  /* the result of an effect that the guarded run claimed; LOST when it did
                         not, or when there is a result already: the first one stays */
  TM_OP_EFFECT_DROP, /* give a claim without result up (it certainly did not happen): by the run
                        that claimed it, else LOST; guarded */
  TM_OP_EFFECT_TAKE, /* the claim without result of the run `run`, which has ended, becomes the
                        guarded run's; LOST when it is not that run's, has a result, or the run
                        has not ended (done, failed, cancelled) */
  TM_OP_DECISION,    /* EXISTS (and `found`) when ns+name+key has one that holds: the first one
                        stays, unless it is the one of `version`. A former one is kept as past.
                        OK: `version` is the new one's */
  TM_OP_SIGNAL_NEW,  /* to any run; EXISTS (and `found`) when it has one of that sid, LOST when
                        it has ended or there is none. Needs no fence and ends a guarded group */
  TM_OP_SIGNAL_EMIT, /* the same, sent by the guarded run */
  TM_OP_SIGNAL_CONSUME, /* the guarded run's signal `sid` is used up by `place`; LOST when
                           another place has it */
  TM_OP_SIGNAL_FREE, /* it is not, after all: pending again; LOST when another place has it */
  TM_OP_SIGNAL_MOVE, /* all pending ones of `run` are the guarded run's from now on */
  TM_OP_LOCK_WANT, /* the guarded run joins the line for ns+key, once; EXISTS (and `found`, the
                      holder) when it is not the first in it */
  TM_OP_LOCK_DROP, /* the guarded run leaves the line; without a key, every line it stands in */
  TM_OP_CELL_PUT, /* another body for the cell `name`, whose version is still `version` (0: there
                      is none) and is one more then; else EXISTS (and `found`): another process
                      was faster; LOST when there is none. In no group */
  TM_OP_ORDER_NEW,  /* kept until it is carried out or lifted; it replaces an earlier one of its
                      target, unless that ranks higher (LOST). For a run: LOST when it has ended
                      or there is none. Needs no fence and ends a guarded group */
  TM_OP_ORDER_GIVE, /* the same, given by the guarded run */
  TM_OP_ORDER_LIFT, /* gone, when it is there and was given at `at` (0: whenever); else LOST.
                       Needs no fence and ends a guarded group */
  TM_OP_ORDER_DONE, /* the guarded run has carried out what was ordered of it, if anything was */
  TM_OP_DECISION_VOID, /* the one of ns+name+key holds no more, by whom and why; LOST when there
                          is none that holds. Needs no fence and ends a guarded group */
  TM_OP_CACHE,      /* an answer by the hash of what was asked, got by the guarded run; EXISTS
                          when there is one that has not expired: the first one stays */
  TM_OP_SPEND_HOLD, /* the guarded run's call at `place` may cost `nano` in scope and day. LOST when
                       what was spent has reached a limit, EXISTS when what is held for others
                       does; both with `found`, what was spent and is held. Held already: OK */
  TM_OP_SPEND_ADD, /* it cost `nano`: spent in scope and day, and so much less is held for it */
  TM_OP_SPEND_DROP, /* nothing more is held for the guarded run's call (without a place: for all of
                       its calls), which counts as `calls` where it was held */
  TM_OP_RUN_DROP, /* an ended run and its gates are there no more, nor what is held for it of
                      budgets; LOST when it is not as `run` says (epoch, records), when a run that
                      it started is there, when the one that started it has not ended, or when an
                      effect that it claimed has no result. Effects and decisions stay. In no
                      group, like the next three */
  TM_OP_SWEEP,    /* what dropped runs left behind, records and signals, and answers that have
                      expired: at most `limit` rows; `swept` says how many, 0: there are none */
  TM_OP_CLOSURE_DROP, /* sources that no run has; LOST when one has them by now */
  TM_OP_BLOB_DROP,    /* a file of no sources; LOST when there are new ones */
} tm_op_kind;

typedef enum tm_op_status { TM_OP_OK, TM_OP_EXISTS, TM_OP_LOST, TM_OP_FENCED } tm_op_status;

/* A run's row. Strings are "" or NULL when absent. Times in ms since 1970; those
 * that the store writes (created, updated) are of the moment of the commit call. */
typedef struct tm_run_row {
  const char *id;
  const char *workflow;
  const char *state;   /* queued running waiting done failed cancelled diverged */
  const char *reason;  /* JSON: what it waits for, or why it stopped */
  const char *owner;   /* who runs it now: "host:boot:pid:start", NULL: nobody */
  const char *closure; /* hash */
  const char *input_hash;
  const char *parent; /* id, or NULL */
  const char *result; /* JSON, once it ended */
  int64_t epoch;      /* fencing token: grows with each claim */
  int64_t wake_at;    /* 0: no timer */
  int64_t created, updated;
  int64_t records; /* journal length */
} tm_run_row;

typedef struct tm_record {
  int64_t seq;       /* from 0, without gaps */
  int kind;          /* the journal's own numbers */
  const char *place; /* branch path and ordinal, "" for the run itself */
  const char *name;  /* for people and queries: unit, action, gate */
  const char *body;  /* JSON */
  size_t body_len;
  const char *chain; /* hex hash over the previous chain and this record */
} tm_record;

typedef struct tm_gate_row {
  const char *id; /* "RUN/NAME" or "RUN/NAME.2" */
  const char *run, *workflow, *place, *name;
  const char *state;    /* open, approved, rejected, expired, closed */
  const char *digest;   /* what exactly is approved */
  const char *body;     /* JSON: ask, show, answer schema, kind */
  const char *decision; /* JSON: answer, note; NULL while open */
  const char *by;
  int64_t opened, expires /* 0: never */, decided;
} tm_gate_row;

typedef struct tm_effect_row {
  const char *ns, *action, *key; /* ns: the workflow's name */
  const char *args_hash;
  const char *run, *place; /* who claimed it first */
  const char *result;      /* JSON; NULL: not known yet */
} tm_effect_row;

typedef struct tm_decision_row {
  const char *ns, *name, *key;
  const char *input_hash; /* "" when none was given */
  const char *value;      /* JSON */
  const char *run;
  int64_t at;
  int64_t expires;       /* 0: never */
  int64_t version;       /* counts the decisions of a key, from 1 */
  int64_t voided;        /* when it was reopened; 0: it was not */
  const char *by, *note; /* who reopened it, and why */
} tm_decision_row;

/* Neither reopened nor expired. */
bool tm_decision_holds(const tm_decision_row *d, int64_t now);

/* What was answered, by the hash of what was asked. */
typedef struct tm_cache_row {
  const char *hash;
  const char *scope; /* what all that may stand in for each other have in common; NULL: none */
  const char *value; /* JSON */
  const void
      *vector;       /* of one with a scope: 32-bit floats, of length 1 together; see reuse.h */
  size_t vector_len; /* bytes */
  const char *run;   /* who asked */
  int64_t at, expires; /* 0: never */
} tm_cache_row;

/* Something that a run is told from outside, kept until the run asks for it. */
typedef struct tm_signal_row {
  const char *run, *sid; /* sid: unique in the run, whoever sends it twice */
  const char *name;
  const char *body;  /* JSON */
  const char *place; /* who used it up; NULL: pending */
  int64_t at;
} tm_signal_row;

/* A run's stand in the line for a key; the first in line has the lock. */
typedef struct tm_lock_row {
  const char *ns, *key, *run;
} tm_lock_row;

/* A small text by name, of no run: what processes have to agree on. */
typedef struct tm_cell_row {
  const char *name;
  int64_t version; /* from 1, one more with each write */
  const char *body;
} tm_cell_row;
/* Bytes by their hash. */
typedef struct tm_content {
  const char *hash;
  const void *bytes;
  size_t len;
} tm_content;

/* A closure or a blob that is kept. Runs and closures have numbers that grow and are never used
 * again: what came after those that were seen is looked at when it is dropped. */
typedef struct tm_unused {
  const char *hash;
  int64_t uses; /* of a closure: by runs that have it, or had it before they were moved */
  int64_t seen_run, seen_closure; /* the newest ones when this was told */
} tm_unused;

/* What somebody wants of a run that a living process has, or of many runs. */
typedef struct tm_order_row {
  const char *target; /* "run:ID", "workflow:NAME" or "all"; one order each */
  const char *run;    /* ID, when it is for a run; else NULL */
  const char *what;   /* the engine's own word */
  int64_t rank;
  const char *note, *by;
  int64_t at;
} tm_order_row;

/* A budget's account, of a scope ("all", "workflow:NAME", "key:VARIABLE") and a day in UTC. Money
 * is in billionths of a USD. */
typedef struct tm_spend_row {
  const char *scope, *day; /* "2026-11-20" */
  const char *place;
  int64_t nano;                    /* spent; of HOLD: what the call may cost */
  int64_t calls;                   /* the same: 1, or 0 for what is no model call */
  int64_t held_nano, held_calls;   /* for calls under way */
  int64_t limit_nano, limit_calls; /* of HOLD; -1: no limit */
} tm_spend_row;

typedef struct tm_op tm_op;
struct tm_op {
  tm_op *next;
  tm_op_kind kind;
  bool chained;        /* RUN_NEW: skipped when the group in front of it did not open */
  tm_op_status status; /* set by the store */
  union {
    tm_run_row run; /* RUN_NEW (all), RUN_CLAIM (id, epoch, owner, records), FENCE (id, epoch,
                       owner), RUN_SET (state, reason, wake_at, owner, result), RUN_PIN
                       (closure) */
    tm_record record;
    tm_content blob;
    struct {
      tm_content manifest;
      const tm_content *files; /* NULL: they came as BLOBs */
      size_t count;
    } closure;
    tm_unused unused; /* CLOSURE_DROP, BLOB_DROP: as `closures` told it */
    struct {
      int64_t limit, swept;
    } sweep;
    tm_gate_row gate;
    tm_effect_row effect;
    tm_decision_row decision;
    tm_cache_row cache;
    tm_signal_row signal;
    tm_lock_row lock;
    tm_cell_row cell;
    tm_order_row order;
    tm_spend_row spend;
  } u;
  /* EXISTS (SPEND_HOLD: LOST, too): the row that was there, copied into the batch's arena; NULL
   * otherwise. */
  union {
    const tm_run_row *run;
    const tm_effect_row *effect;
    const tm_decision_row *decision;
    const tm_signal_row *signal;
    const tm_lock_row *lock;
    const tm_cell_row *cell;
    const tm_spend_row *spend;
  } found;
};

typedef struct tm_batch {
  tm_arena arena; /* holds the ops and everything they point at */
  tm_op *first, **last;
  size_t count;
  void (*seal)(void *sealed); /* before it is written, on the thread that does; or NULL */
  void *sealed;
  void (*done)(struct tm_batch *b, const tm_err *err); /* err->code TM_OK: durable */
  void *ctx;
  bool alone;            /* nothing else is in flight: the store may commit on this thread */
  struct tm_batch *next; /* from here on the store's own: its queue, */
  int64_t at;            /* the time of the commit call, */
  tm_err err;            /* and what `done` is told */
} tm_batch;

tm_batch *tm_batch_new(void);
/* A zeroed op at the end; it and all it points at should live in b->arena. Never NULL. */
tm_op *tm_batch_add(tm_batch *b, tm_op_kind kind);
void tm_batch_free(tm_batch **b);

typedef struct tm_store tm_store;

/* Called for each row; what it points at is valid during the call. Non-zero ends the reading. */
typedef int (*tm_run_fn)(void *ctx, const tm_run_row *row);
typedef int (*tm_record_fn)(void *ctx, const tm_record *r);
typedef int (*tm_gate_fn)(void *ctx, const tm_gate_row *row);
typedef int (*tm_signal_fn)(void *ctx, const tm_signal_row *row);
typedef int (*tm_lock_fn)(void *ctx, const tm_lock_row *row);
typedef int (*tm_cell_fn)(void *ctx, const tm_cell_row *row);
typedef int (*tm_unused_fn)(void *ctx, const tm_unused *row);
typedef int (*tm_order_fn)(void *ctx, const tm_order_row *row);
typedef int (*tm_decision_fn)(void *ctx, const tm_decision_row *row);
typedef int (*tm_cache_fn)(void *ctx, const tm_cache_row *row);

/* A look through a scope's answers that takes long; its owner's until `done`. */
typedef struct tm_look tm_look;
struct tm_look {
  const char *scope;
  int64_t now, limit;
  tm_cache_fn fn; /* on another thread; the same otherwise */
  void *ctx;
  void (*done)(tm_look *look); /* posted, exactly once, whatever befalls it */
  tm_err err;
  tm_look *next; /* the store's own */
};

typedef struct tm_run_filter {
  const char *id;               /* exact */
  const char *prefix;           /* of the id */
  const char *workflow, *state; /* NULL: any */
  const char *parent;           /* its children only */
  bool unfinished;              /* queued, running or waiting */
  int64_t *after; /* those that have ended, oldest first, from behind this place (0: from the
                     first); it moves on with each row. With workflow and limit alone */
  int64_t limit;  /* 0: all */
} tm_run_filter;

typedef struct tm_gate_filter {
  const char *id, *run; /* NULL: any */
  bool open;
} tm_gate_filter;

typedef struct tm_signal_filter {
  const char *run;
  const char *name, *sid; /* NULL: any */
  bool pending;
} tm_signal_filter;

typedef struct tm_lock_filter {
  const char *run;      /* every line it stands in, or */
  const char *ns, *key; /* one line */
} tm_lock_filter;

typedef struct tm_cell_filter {
  const char *name;   /* exact, or */
  const char *prefix; /* of the name */
} tm_cell_filter;

/* One statement of the user's. */
typedef struct tm_query {
  const char *text;
  size_t len;
  const tm_json *values; /* for its `?`: texts, numbers, booleans, nulls; NULL: none */
} tm_query;

typedef struct tm_rows {
  tm_json *rows;   /* [{COLUMN: value}] */
  int64_t changes; /* rows that were inserted, changed or deleted */
} tm_rows;

typedef struct tm_decision_filter {
  const char *ns, *name, *key; /* NULL: any */
  bool past;                   /* those too that were followed by another one */
} tm_decision_filter;

/* A driver: the base struct first in its own, one const literal at the file's end. */
typedef struct tm_store_vt {
  const char *name;
  void (*close)(tm_store *s); /* waits for queued batches; their `done` is posted, not called */
  void (*commit)(tm_store *s, tm_batch *b);
  /* Rows in order: runs newest first, records by seq, gates oldest first. Inside a callback
   * further reads and commits are fine. */
  int (*runs)(tm_store *s, const tm_run_filter *f, tm_run_fn fn, void *ctx, tm_err *err);
  int (*journal)(tm_store *s, const char *run, int64_t from_seq, tm_record_fn fn, void *ctx,
                 tm_err *err);
  int (*gates)(tm_store *s, const tm_gate_filter *f, tm_gate_fn fn, void *ctx, tm_err *err);
  /* 1 found, 0 not, -1 error (TM_LIMIT when a soft arena is full); copied into the arena. */
  int (*blob)(tm_store *s, const char *hash, tm_arena *a, const char **bytes, size_t *len,
              tm_err *err);
  int (*closure)(tm_store *s, const char *hash, tm_arena *a, const char **manifest, size_t *len,
                 tm_err *err);
  int (*effect)(tm_store *s, const tm_effect_row *key, tm_arena *a, tm_effect_row *out,
                tm_err *err);
  int (*decision)(tm_store *s, const tm_decision_row *key, tm_arena *a, tm_decision_row *out,
                  tm_err *err);
  /* By name and key, the newest of a key first. */
  int (*decisions)(tm_store *s, const tm_decision_filter *f, tm_decision_fn fn, void *ctx,
                   tm_err *err);
  /* By hash, without its vector, expired or not. */
  int (*cached)(tm_store *s, const char *hash, tm_arena *a, tm_cache_row *out, tm_err *err);
  /* Of a scope, newest first, at most `limit`; those that have expired by `now` left out. */
  int (*similar)(tm_store *s, const char *scope, int64_t now, int64_t limit, tm_cache_fn fn,
                 void *ctx, tm_err *err);
  /* The same without holding up the owner's thread. NULL: `similar` does not. */
  void (*look)(tm_store *s, tm_look *look);
  /* Signals in the order in which they came, a line in its order. */
  int (*signals)(tm_store *s, const tm_signal_filter *f, tm_signal_fn fn, void *ctx,
                 tm_err *err);
  int (*locks)(tm_store *s, const tm_lock_filter *f, tm_lock_fn fn, void *ctx, tm_err *err);
  /* Cells by name. */
  int (*cells)(tm_store *s, const tm_cell_filter *f, tm_cell_fn fn, void *ctx, tm_err *err);
  /* The closures of one run (those that it had before, too), or, for NULL, all that are kept with
   * their uses. */
  int (*closures)(tm_store *s, const char *run, tm_unused_fn fn, void *ctx, tm_err *err);
  /* All blobs that are kept: their hashes. */
  int (*blobs)(tm_store *s, tm_unused_fn fn, void *ctx, tm_err *err);
  /* Has the run claimed an effect that has no result? 1, 0, -1 */
  int (*in_doubt)(tm_store *s, const char *run, tm_err *err);
  /* Statements of the user's own, in the transaction of the next batch:
   *
   *   begin ─► query … ─► check ─► commit(b): all of it, or nothing
   *        └─► abandon: nothing of it
   *
   * NULL: this store has no tables. `begin` waits for what was committed before, and for other
   * processes (TM_TEMP when that takes too long); from then on nobody else writes. A statement is
   * refused or fails as TM_USAGE (not allowed, not understood), TM_CONFLICT (a constraint) or
   * TM_LIMIT; whatever else befalls it breaks the store. The user's statements and ours do not see
   * each other's tables. */
  int (*begin)(tm_store *s, tm_err *err);
  int (*query)(tm_store *s, const tm_query *q, tm_arena *a, tm_rows *out, tm_err *err);
  int (*check)(tm_store *s, tm_err *err); /* would the transaction's end be refused? */
  void (*abandon)(tm_store *s);
  /* All of them, by target: there are few. */
  int (*orders)(tm_store *s, tm_order_fn fn, void *ctx, tm_err *err);
  /* The account of a scope and day: what was spent, what is held; zeros when there is none. `scope`
   * and `day` of `out` are those asked for. */
  int (*account)(tm_store *s, const char *scope, const char *day, tm_spend_row *out,
                 tm_err *err);
  /* Did another process commit since the last time this was asked? */
  bool (*changed)(tm_store *s);
  /* Findings for `doctor`: integrity of the file, settings. 0 fine; 1 findings, each told to
   * fn. */
  int (*verify)(tm_store *s, void (*fn)(void *ctx, const char *finding), void *ctx,
                tm_err *err);
} tm_store_vt;

struct tm_store {
  const tm_store_vt *vt;
};

/* How the store gets back to its owner's thread. */
typedef struct tm_store_host {
  void (*post)(void *ctx, void (*fn)(void *arg), void *arg);
  void *ctx;
  const tm_clock *clock;
  int busy_ms; /* how long to wait for another process that writes; 0: 10 s */
} tm_store_host;

/* "sqlite:PATH" (directories are created) or "memory:". Errors: TM_CONFIG for a file that is
 * not ours or a newer schema, TM_TEMP when it is locked, with what to do. */
int tm_store_open(tm_store **out, const char *url, const tm_store_host *host, tm_err *err);
void tm_store_close(tm_store **s);

/* The drivers. */
int tm_store_mem_open(tm_store **out, const tm_store_host *host, tm_err *err);
int tm_store_sqlite_open(tm_store **out, const char *path, const tm_store_host *host,
                         tm_err *err);

#endif
