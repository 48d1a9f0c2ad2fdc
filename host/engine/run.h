/* run.h - one run: its journal, its branches, and the door through which they perform calls.
 *
 *   script ─► tm_perform_call ─► yield         tm_perform_note ─► answered at once
 *                   │
 *    journal has this place? ── yes: answered when its turn in the journal comes ─┐
 *                   │ no (the frontier is reached)                                │
 *             tm_exec_launch (exec.c, action.c, gate.c)                           │
 *                   │ completion on the loop                                      │
 *             tm_run_outcome ─► record in this turn's batch ─► commit             │
 *                                                                │                │
 *                                                          delivery queue ◄───────┘
 *                                                                │
 *                                                guest's resume(branch, answer)
 *
 * A run belongs to its engine. Its strings live in its arena; a call's request and answer live
 * in the branch's scratch arena, which is reset when the branch performs its next call.
 */
#ifndef TM_ENGINE_RUN_H
#define TM_ENGINE_RUN_H

#include "base/heap.h"
#include "base/id.h"
#include "base/list.h"
#include "engine/closure.h"
#include "engine/journal.h"

typedef struct tm_engine tm_engine;
typedef struct tm_run tm_run;
typedef struct tm_branch tm_branch;
typedef struct tm_task tm_task;
typedef struct tm_turn tm_turn;
typedef struct tm_hold tm_hold;
typedef struct tm_reuse tm_reuse;

/* What a branch is resumed with. */
typedef enum tm_answer_kind {
  TM_ANSWER_VALUE, /* the call's result (and meta, may be NULL) */
  TM_ANSWER_ERROR, /* raise this error table */
  TM_ANSWER_BEGIN, /* a new branch: run its function (value: the input, for the main branch) */
  TM_ANSWER_ENTER  /* an action's body: value {"enter":"run"|"probe","key":…} */
} tm_answer_kind;

typedef struct tm_answer {
  tm_answer_kind kind;
  const tm_json *value, *meta;
} tm_answer;

/* The language above. All are called from the engine's thread. */
typedef struct tm_guest_vt {
  /* Prepare the program of run->closure; nothing runs yet. err: TM_USAGE and friends,
   * file:line. */
  int (*open)(void **guest, void *ctx, tm_run *run, tm_err *err);
  /* Run the branch until it performs its next awaited call, returns (tm_run_return), raises
   * (tm_run_raise) or is stopped (tm_run_stop). Exactly one of these is called before it
   * returns. */
  void (*resume)(void *guest, tm_branch *b, const tm_answer *answer);
  /* The branch is gone (cancelled or finished). */
  void (*drop)(void *guest, tm_branch *b);
  void (*close)(void **guest);
} tm_guest_vt;

/* Phases of the call a branch waits in. */
typedef enum tm_phase {
  TM_PHASE_IDLE, /* not in a call */
  TM_PHASE_HELD, /* performed during a replay: answered from the journal or launched at its end
                  */
  TM_PHASE_LIVE, /* launched */
  TM_PHASE_BODY, /* inside an action's body */
  TM_PHASE_FORKED,  /* waits for its children */
  TM_PHASE_ANSWERED /* outcome recorded, delivery under way */
} tm_phase;

/* The state of an action under way: action.c. */
typedef struct tm_action {
  const char *key;            /* the idempotency key */
  char hash[TM_HASH_HEX + 1]; /* of the canonical arguments */
  bool probing;               /* the body entered is the probe */
  int64_t since;              /* wall ms of its first intent; 0: none yet */
  bool reached;               /* a verb of the body was begun */
  bool wrote;                 /* … and did something out there */
  bool unknown;               /* a verb ended without knowing whether it happened */
  const char *why;            /* nobody knows how it ended, in words; NULL: it was cut off */
  bool approved;              /* a person approved it in this process */
  bool claimed;               /* the key is ours, with an intent: it may have happened */
  bool told_held;             /* the records say that another call has the key */
  int tries, probes;          /* times each body was entered in this process */
  int doubts; /* times a person was asked whether it happened, in this process */
} tm_action;

/* The gate a branch waits at: gate.c. */
typedef enum tm_gate_kind {
  TM_GATE_NONE,
  TM_GATE_ASK,     /* mill.gate */
  TM_GATE_APPROVE, /* an action above its limit */
  TM_GATE_DOUBT    /* an action whose outcome nobody knows */
} tm_gate_kind;

struct tm_branch {
  tm_list link;  /* in run->branches */
  tm_list ready; /* in run->ready or run->deliveries */
  tm_run *run;
  tm_branch *parent;
  char *path;                  /* "" for the main branch */
  uint32_t index;              /* among its siblings, from 0 */
  uint32_t ordinal;            /* of its latest call, from 1 */
  uint32_t children, finished; /* of a fork under way */
  uint32_t window, started;    /* at most so many children at once */
  bool race;                   /* the first child to end decides, the others are cancelled */
  bool draining;    /* dropped, but between an intent and its result: that comes first */
  uint32_t drains;  /* children that are draining */
  bool settled;     /* the fork's answer is known, and waits for them */
  void *slot;       /* the guest's own */
  bool dead;        /* cancelled or finished; freed when refs is 0 */
  int refs;         /* continuations that point here */
  const char *step; /* the station it is in, for people; "" none */
  double usd;       /* spent in it and in the branches it forked, as far as it was told */

  /* the call it waits in */
  tm_phase phase;
  tm_call_kind kind;
  char *place, *name, *where;
  char identity[TM_IDENTITY + 1];
  const tm_json *request; /* what is recorded and hashed */
  const tm_json *live;    /* what only the executor needs; NULL: none */
  tm_place *past;         /* its records from before, or NULL */
  tm_arena scratch;       /* the call's: reset by the next one */
  tm_arena verb_scratch;  /* a verb's, inside an action's body */
  const tm_json *verb_request;
  tm_answer answer;
  tm_task *task;       /* the executor's work under way */
  const tm_json *back; /* where a model's call that was put off goes on: backoff.c; or NULL */
  int64_t due;         /* wall ms at which tm_exec_due is called; 0: none */
  tm_heap_node timer;  /* in the engine's heap while it is due, by monotonic ms */
  int64_t opened;      /* wall ms */
  bool recorded;       /* an OPEN record holds the request */
  tm_action action;
  tm_gate_kind gate;
  const char *gate_id;
  tm_list held;          /* in engine->held: another call has the action's key */
  bool waits;            /* for a row of the store: an event, a child's end, a lock, a key */
  const char *waits_for; /* the run in whose hands that is; NULL: nobody's */
  const char *signal;    /* the id of the event that its outcome used up; NULL: none */
  tm_reuse *reuse;       /* its question to a model, when answers to it are kept: reuse.h */
  tm_hold *holds;        /* locks that its script holds: lock.c */
  double cost;           /* held for its call of what its run may spend: budget.c */
  char spend_day[11];    /* of the budgets that its call is held in; "": none: spend.c */
  tm_list saving;        /* in engine->saving: others hold the rest of a budget */
  int money_waits;       /* how often in a row */
};

typedef enum tm_run_state {
  TM_RUN_QUEUED,
  TM_RUN_RUNNING,
  TM_RUN_WAITING,
  TM_RUN_DONE,
  TM_RUN_FAILED,
  TM_RUN_CANCELLED,
  TM_RUN_DIVERGED
} tm_run_state;

const char *tm_run_state_word(tm_run_state s);

struct tm_run {
  tm_list link;     /* in engine->runs */
  tm_list runnable; /* in engine->runnable */
  tm_engine *engine;
  char id[64];
  const char *seed; /* of its dice: its id, or the id of the run that it was forked from */
  char *workflow;
  const char *only_step; /* run this step instead of main; NULL: main */
  tm_closure *closure;
  tm_arena arena;
  const tm_json *input;
  tm_json *
      settings; /* read while the file loaded; kept in START, so that a replay reads the same */
  tm_run_state state;
  int64_t epoch;
  bool owned;    /* this process holds the claim */
  bool claiming; /* a claim is on its way */
  bool replaying;
  bool rehearsed;      /* by verify.c: it stops at the frontier */
  tm_json *difference; /* of a run that diverged: what stands where, see verify.h */
  bool ended;          /* END is in the batch or committed */
  bool lost;           /* fenced: nothing more may be written */
  bool forgotten;      /* out of the engine's tables: freed when nothing points at it */
  bool cancelling;
  bool unwinding; /* main has raised, and undoes what it did: its calls are wanted still */
  int order;      /* a tm_order that was given and is not carried out yet, or 0 */
  const char *order_note, *order_by;
  const tm_json *order_reason; /* of a pause of many; NULL: it was for this run alone */
  bool order_kept;    /* the order is a row of the store, to be marked done: orders.h */
  bool parked_here;   /* until its replay is over: its timers stay as they were set here, */
  int64_t mono_ahead; /* monotonic less wall ms at that time */
  bool asked;         /* taken up by its name: a person wants it to go on */
  bool begins_paused; /* stored as a paused row, and not entered */
  bool claims;        /* keys of actions: others may wait for them */
  bool was_held;      /* its row said that it waits for a key */
  tm_turn *turn;      /* the turn that last held an op of this run */
  int pending;        /* continuations of batches that still point here */
  int uncommitted;    /* turns with ops of this run that are not yet durable */
  const tm_op *claim; /* on its way: it may be lost, and all that stands behind it; or NULL */
  bool unsettled;     /* it would wait, but for that claim */
  int64_t next_seq;
  int64_t llm_calls;
  double usd;  /* spent on models that have a price, summed from the journal */
  double held; /* for model calls under way: what they may cost */
  int holding; /* such calls */
  /* Up to the last record that was sealed (turn.c): while batches are under way, the writer's. */
  char chain[TM_HASH_HEX + 1];
  tm_journal journal;
  tm_list branches, ready, deliveries;
  bool litter; /* some of the branches are dead */
  tm_branch *main;
  void *guest;
  tm_dice dice;
  const tm_json *result, *error;
  int64_t created;
  tm_map fields;            /* mill.state: field -> tm_json* */
  const char *parent;       /* id of the run that called or started it; NULL: none */
  int64_t depth;            /* parents above it */
  const tm_json *allowance; /* {usd?, llm_calls?}: what its parent had left; NULL: no limit */
  const tm_json *events;    /* {NAME: schema}: what it declares to hear; NULL: nothing */
  const char *continued;    /* id of the run that goes on for it; NULL: none */
  tm_map taken;             /* ids of events used up in this process */
  tm_map locks;             /* keys it ever asked for: lock.c */
};

/* -- for the guest: how a branch ends (perform.h has the rest) ------------------------- */

void tm_run_return(tm_branch *b, const tm_json *value);
void tm_run_raise(tm_branch *b, const tm_json *error);
/* The host ended the script: limits. */
void tm_run_stop(tm_run *r, const tm_err *err);

/* -- for the engine -------------------------------------------------------------------- */

tm_run *tm_run_new(tm_engine *e, const char *id, const char *workflow, tm_closure *closure);
/* Open the guest and its main branch; on failure the run fails with err. */
void tm_run_begin(tm_run *r);
/* Resume what is ready, deliver what is committed, replay what is journaled, until it waits. */
void tm_run_drive(tm_run *r);
/* The call's outcome is known: record it in this turn's batch; the branch is resumed once it is
 * durable. Exactly one of value and error. */
void tm_run_outcome(tm_branch *b, const tm_json *value, const tm_json *error,
                    const tm_json *meta);
/* Queue an answer that needs no record (a body to enter, a verb's result). */
void tm_run_answer(tm_branch *b, tm_answer_kind kind, const tm_json *value,
                   const tm_json *meta);
/* Right after its call: is the branch to enter its action's body, and would be the next to go on? Then
 * it may do so without coming back first, and has its order here. False: its answer will come. */
bool tm_run_enters(tm_branch *b, tm_answer *order);
/* End the run: record, row, event. */
void tm_run_finish(tm_run *r, tm_run_state state, const tm_json *result, const tm_json *error);
void tm_run_diverge(tm_run *r, const char *place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A setting that the file asks for while it loads; null when it is not set. */
const tm_json *tm_run_setting(tm_run *r, const char *name);
/* A fork (children, window set): start as many children as the window lets. */
void tm_run_fork(tm_branch *b);
/* The branch is gone: its call is given up, its children too. */
void tm_run_drop(tm_branch *b);
/* Cancelled, and not in the midst of cleaning up. */
bool tm_run_gives_up(const tm_run *r);
/* It goes on by itself: a row that says that it waits is claimed first. */
void tm_run_goes_on(tm_run *r);
/* Give the claim back and wait, for `reason` alone, until somebody takes the run up. */
tm_op *tm_run_rest(tm_run *r, const tm_json *reason);
/* From here on every call that waits or comes is answered {kind="cancelled"}. */
void tm_run_cancel(tm_run *r);
/* Release everything; only when nothing points here (pending is 0). */
void tm_run_free(tm_run **r);
/* Why it waits, in arena `a`: [{for, name, place, gate?, key?, run?, at?, until?}], `gate` being the
 * id of one, `run` the run that it waits for, `at` the process that looks after it. NULL: it does not. */
tm_json *tm_run_reason(tm_run *r, tm_arena *a);

/* {kind, message, …}: an error as scripts and records see it. */
tm_json *tm_run_error(tm_arena *a, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
