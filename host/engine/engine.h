/* engine.h - many runs, one store, one turn at a time.
 *
 * The engine has no thread and no loop of its own: whoever owns it calls tm_engine_turn when
 * something happened or is due. All it needs from outside comes in as ports, so a simulation
 * can own the clock, the store, the network and every crash.
 *
 *   turn:  completions ─► drive runnable runs ─► one batch ─► store.commit
 *                 ▲                                              │ durable
 *                 └────────── continuations of the batch ◄───────┘
 */
#ifndef TM_ENGINE_ENGINE_H
#define TM_ENGINE_ENGINE_H

#include <stdatomic.h>

#include "engine/run.h"

/* Work outside the engine, under way for one branch. */
struct tm_task {
  tm_engine *engine;
  tm_branch *branch; /* NULL once the branch does not want it any more */
  tm_call_kind kind;
  void *handle;         /* the port's own */
  const tm_json *state; /* of a model's call that goes on: where; NULL: at its beginning */
  bool unsent;          /* said by `cancel`: no byte of it left, it counts for nothing */
};

/* A budget of a day that a model call counts for. */
typedef struct tm_scope {
  const char *name;  /* in the store: "all", "workflow:NAME", "key:VARIABLE" */
  const char *about; /* for people */
  double usd;        /* the limits; -1: none */
  int64_t llm_calls;
} tm_scope;

#define TM_SCOPES 3

typedef struct tm_ports {
  const tm_clock *clock;
  tm_store *store;
  const tm_guest_vt *guest;
  void *guest_ctx;
  /* Start LLM, HTTP, EXEC, FILE or HOST work; finishes through tm_task_finish, exactly once,
   * never before it returns. -1: nothing was started. `request` lives until then. */
  int (*start)(void *ctx, tm_task *task, const char *name, const tm_json *request, tm_err *err);
  /* Not wanted any more: after this, no tm_task_finish. Sets task->unsent of a model's call. */
  void (*cancel)(void *ctx, tm_task *task);
  /* The sources as they are on disk now; a new reference. */
  int (*sources)(void *ctx, tm_closure **out, tm_err *err);
  /* A named setting for mill.env; NULL when it is not set. */
  const char *(*setting)(void *ctx, const char *name);
  /* The budgets that a workflow's call of a model ("PROVIDER/MODEL") counts for; returns how many.
   * Their texts are good until the next call. May be NULL: there are none. */
  size_t (*scopes)(void *ctx, const char *workflow, const char *model, tm_scope out[TM_SCOPES]);
  /* What one attempt of a model request may cost, in USD; 0: not known. May be NULL. */
  double (*cost)(void *ctx, const tm_json *request);
  /* What happens, for people; may be NULL. */
  void (*event)(void *ctx, const tm_json *event);
  bool park;           /* a waiting run leaves the memory */
  int64_t records_max; /* of one journal; 0: a million */
  bool still_clock;    /* time stands still until it is moved: every timer is a long wait */
  /* The engine wants a turn soon. */
  void (*wake)(void *ctx);
  void *ctx;
} tm_ports;

/* What was attempted, for the journal; before finish, any number of times. */
void tm_task_attempt(tm_task *t, const tm_json *attempt);
/* A piece of an answer that is still coming: told, never recorded. */
void tm_task_delta(tm_task *t, const char *text, size_t len);
/* It waits for its turn, {for, ms?}: told, never recorded. */
void tm_task_waiting(tm_task *t, const tm_json *why);
/* The end of the work: value (and meta), or error {kind, message, unknown?}. Releases the task.
 */
void tm_task_finish(tm_task *t, const tm_json *value, const tm_json *meta,
                    const tm_json *error);

/* The end of a model's task for now: it is started again with `state` when wait_ms have passed,
 * in this process or in another. meta and error: as they would be told now. Releases the task. */
void tm_task_later(tm_task *t, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                   const tm_json *error);

/* Something to do when a batch is durable. */
typedef struct tm_after tm_after;
struct tm_after {
  tm_after *next;
  void (*fn)(tm_after *a, const tm_err *err);
  tm_run *run; /* kept alive until fn has run; may be NULL */
  tm_branch *branch;
  uint32_t call; /* ordinal of the call that the branch was in */
  tm_op *op;
  void *ctx;
};

/* The batch is durable, and the branch waits for it still: a cancel may have ended that call, and
 * the script may be in another one, undoing. */
bool tm_after_awaited(const tm_after *a, const tm_err *err);

/* A record whose place in its run's chain is made when it is written. */
typedef struct tm_link {
  struct tm_link *next;
  const tm_record *record;
  char *last; /* of the run: the chain up to the record before */
  char chain[TM_HASH_HEX + 1];
} tm_link;

/* One turn's writing. */
struct tm_turn {
  tm_batch *batch;
  tm_link *links, **last_link; /* of its records */
  tm_run *guard;               /* whose fence stands last */
  tm_op *guarding;             /* that fence */
  tm_after *first, **last;
  tm_engine *engine;
  int effects; /* bodies of actions that reached out, whose results are in it */
};

/* A copy of the store's orders: orders.h. */
typedef struct tm_orders {
  tm_arena arena;
  tm_map by_target;
  int pauses;  /* of many, among them */
  bool lifted; /* one of these has gone since they were looked at */
  bool read;
} tm_orders;

/* What a watchdog in another thread may look at. */
typedef struct tm_beat {
  _Atomic(uint64_t) count;       /* odd while the engine is at work; grows with each piece */
  _Atomic(const tm_branch *) at; /* whose script or host function is running; NULL: none */
  int depth;
} tm_beat;

struct tm_engine {
  tm_ports ports;
  tm_beat beat;
  char owner[96];
  tm_list runs, runnable;
  tm_map by_id;
  tm_map unborn;  /* id -> tm_run on its way to the store: its row may be there already */
  tm_turn *turn;  /* being filled; NULL: nothing yet */
  int in_flight;  /* batches at the store */
  int effects;    /* bodies of actions that reached out, whose results are in these */
  int begun;      /* tasks of such bodies, in this turn */
  tm_heap timers; /* of branches; by monotonic time, as the next one */
  tm_map parked;  /* id -> park.c's own: runs that wait outside of memory */
  tm_heap parked_timers;
  tm_buf scratch;
  tm_err broken;   /* a commit's outcome is unknown: the engine has stopped */
  int tasks;       /* executors at work */
  int looks;       /* through the store, on its thread; also such as nobody wants any more */
  tm_list held;    /* branches whose action's key another call has: held.c */
  tm_list saving;  /* branches whose call waits for the rest of a budget */
  tm_map closures; /* hash -> tm_closure, one reference each */
  tm_branch *txn;  /* whose body the store's open transaction is for; NULL: none is open */
  bool txn_kept;   /* the body returned, its record is in the turn */
  tm_err txn_err;  /* its first statement that failed */
  tm_orders orders;
  tm_map flights; /* questions that are being asked, by their hash: flight.c */
  tm_list again;  /* tm_reuse.link of those whose leader has failed */
  bool turning;
  bool announced; /* wake was called since the last turn */
};

int tm_engine_open(tm_engine **out, const tm_ports *ports, tm_err *err);
/* Nothing new from here on: gives the runs' claims back, so that another process need not see
 * this one dead. Afterwards let the store finish (in_flight and looks 0), then close. */
void tm_engine_stop(tm_engine *e);
void tm_engine_close(tm_engine **e);

/* Do all that can be done now. Returns ms until something is due, 0 when there is more to do at
 * once, -1 when only the world can bring something. */
int64_t tm_engine_turn(tm_engine *e);
/* Nothing runnable, nothing due, nothing at the store, no executor at work. */
bool tm_engine_idle(const tm_engine *e);

typedef void (*tm_engine_fn)(void *ctx, const char *id, const tm_err *err);

/* Start a run; `done` is called when it is durable, or with the error. `id` and `step` may be
 * NULL. Starting twice with the same id and input gives the same id. */
void tm_engine_start(tm_engine *e, const char *workflow, const tm_json *input, const char *id,
                     const char *step, tm_engine_fn done, void *ctx);
/* Take up a run from the store: claims, loads, replays. NULL id: all unfinished ones that
 * nobody alive owns. Returns how many were taken up, -1 on error. */
int tm_engine_resume(tm_engine *e, const char *id, tm_err *err);
/* The same, of one workflow's runs. */
int tm_engine_resume_workflow(tm_engine *e, const char *workflow, tm_err *err);
/* Look at the store for what other processes decided about runs that wait here. */
void tm_engine_notice(tm_engine *e);
/* Decide a gate of a run that is waiting anywhere; see gate.h. */
void tm_engine_decide(tm_engine *e, const char *gate, bool approve, const tm_json *decision,
                      tm_engine_fn done, void *ctx);
/* What one run waits for has come: as resume, but a paused run stays where it is. */
int tm_engine_rouse(tm_engine *e, const char *id, tm_err *err);
tm_run *tm_engine_find(const tm_engine *e, const char *id);

/* -- for the files of this floor ------------------------------------------------------- */

int64_t tm_engine_now(const tm_engine *e);  /* wall ms */
int64_t tm_engine_mono(const tm_engine *e); /* monotonic ms, of timers */
/* Add the ops of a new run, its guest open, to the turn; `fn` is told with its RUN_NEW. `chained`: only
 * if the group before it holds. */
tm_after *tm_engine_store_new(tm_run *r, bool chained, void (*fn)(tm_after *, const tm_err *));
/* The new run is durable: from here on it runs. */
void tm_engine_enter(tm_run *r);
/* Around each piece of work, for the watchdog. May be nested. */
static inline void tm_engine_beat(tm_engine *e) {
  if (e->beat.depth++ == 0)
    atomic_fetch_add_explicit(&e->beat.count, 1, memory_order_relaxed);
}
static inline void tm_engine_rest(tm_engine *e) {
  if (--e->beat.depth == 0)
    atomic_fetch_add_explicit(&e->beat.count, 1, memory_order_relaxed);
}
static inline void tm_engine_enters(tm_engine *e, const tm_branch *b) {
  atomic_store_explicit(&e->beat.at, b, memory_order_relaxed);
}
/* Of a run's workflow and input: what its row is compared by. */
void tm_engine_hash_input(tm_run *r, char out[TM_HASH_HEX + 1]);
/* The run of that id that is on its way to the store, or NULL. Nobody else here takes it up. */
tm_run *tm_engine_unborn(const tm_engine *e, const char *id);
/* The turn that is being filled; the batch's arena is for ops and what they point at. */
tm_turn *tm_turn_of(tm_engine *e);
tm_op *tm_turn_op(tm_engine *e, tm_run *r, tm_op_kind kind); /* guarded by r's fence */
tm_op *tm_turn_guard(tm_run *r); /* that fence: TM_OP_OK when what it guards was written */
tm_op *tm_turn_free(tm_engine *e, tm_op_kind kind); /* guarded by nobody, and ends a group */
tm_after *tm_turn_after(tm_engine *e, void (*fn)(tm_after *, const tm_err *), tm_run *r,
                        tm_branch *b);
/* Append a record to r's journal; the body is the engine's scratch buffer. */
void tm_turn_record(tm_run *r, tm_record_kind kind, const char *place, const char *name,
                    const tm_json *body);
/* Put a guard's fate under watch: a run whose guard is not OK is lost. */
void tm_turn_watch(tm_run *r, tm_op *guard);
void tm_turn_submit(tm_engine *e);
void tm_turn_discard(tm_turn **t); /* nothing of it happens; its continuations are not called */
void tm_engine_make_runnable(tm_run *r);
void tm_engine_set_timer(tm_branch *b, int64_t due);
void tm_engine_clear_timer(tm_branch *b);
void tm_engine_forget(tm_run *r); /* out of the tables; freed when nothing points at it */
void tm_engine_settle_forgotten(tm_run *r);
/* The store cannot be read: what it would have said is not known, so nothing goes on that rests
 * on it. The engine stops as after a commit that failed; every run stays as it is. */
void tm_engine_break(tm_engine *e, const tm_err *err);
/* The sources of a hash, loaded once; a new reference. */
int tm_engine_closure(tm_engine *e, const char *hash, tm_closure **out, tm_err *err);

/* control.c: orders from outside. `note` and `by` may be NULL. 1: another living process has the
 * run, and will see the order; -1: the run cannot be had (TM_CONFLICT).
 *   cancel     cooperative: its pending calls fail with {kind="cancelled"}, it cleans up, ends
 *   terminate  ends now, without clean-up
 *   pause      nothing new begins; what is under way ends; then it is a row until resumed */
typedef enum tm_order {
  TM_ORDER_NONE,
  TM_ORDER_CANCEL,
  TM_ORDER_TERMINATE,
  TM_ORDER_PAUSE
} tm_order;
int tm_control_give(tm_engine *e, const char *id, tm_order order, const char *note,
                    const char *by, tm_err *err);
/* The replay is over: what was asked for meanwhile. */
void tm_control_obey(tm_run *r);
/* A run that was taken up only to be ended or paused: done, without its script. */
bool tm_control_asleep(tm_run *r);
/* Is it a paused row? One that rests under a pause of many is none any more when that is lifted. */
bool tm_control_paused(tm_engine *e, const tm_run_row *row);
bool tm_control_is_paused(const tm_run_row *row); /* whatever became of the pause since */
/* Rests under a pause of many, which may be lifted by now. */
bool tm_control_rests(const tm_run_row *row);
/* A run of this engine gets an order that is kept in the store. */
void tm_control_obey_row(tm_run *r, tm_order order, const tm_order_row *row);
/* The run was just claimed, or comes under a pause: what the store's orders want of it. */
void tm_control_inherit(tm_run *r);
/* Pause a workflow (NULL: all of them) until it is resumed: here, and in every other process. */
void tm_control_pause_many(tm_engine *e, const char *workflow, const char *note,
                           const char *by);
/* Lift that pause, and take up what rested under it and nobody has. */
void tm_control_resume_many(tm_engine *e, const char *workflow);
/* A run that pauses and has nothing under way: it leaves the memory. */
void tm_control_settle(tm_run *r);

/* events.c: what people see */
void tm_event_run(tm_run *r, const char *event, const char *key, const tm_json *value);
void tm_event_call(tm_branch *b, const char *event, const char *key, const tm_json *value);

/* exec.c: a call at the frontier goes live; a timer fired; the run gives it up. */
void tm_exec_launch(tm_branch *b);
void tm_exec_due(tm_branch *b);
void tm_exec_abandon(tm_branch *b);
/* {k, i, q, w, s, at}: the body of an OPEN record, in the branch's scratch. */
tm_json *tm_exec_open_body(tm_branch *b);
/* What was tried, as a record of the branch's call. */
void tm_exec_attempt(tm_branch *b, tm_call_kind kind, const tm_json *attempt);
void tm_exec_start_task(tm_branch *b, tm_call_kind kind, const char *name,
                        const tm_json *request);

/* verb.c: a verb of an action's body has ended. */
void tm_verb_done(tm_branch *b, tm_call_kind kind, const tm_json *value, const tm_json *error);

/* action.c */
void tm_action_launch(tm_branch *b);
void tm_action_due(tm_branch *b);
void tm_action_outcome(tm_branch *b, const tm_json *outcome); /* the body's end */
void tm_action_later(tm_branch *b, const char *why);          /* the database is busy */
/* Does the branch wait in an action that may have happened, and has no result yet? */
bool tm_action_started(const tm_branch *b);
/* Is it a read, without intent? No record says how far it had come, so a cancel lets it end: a
 * replay could not tell when to interrupt it. */
bool tm_action_reads(const tm_branch *b);
/* The person decided the gate that the action waited at. */
void tm_action_decided(tm_branch *b, tm_gate_kind kind, const tm_json *decision);

/* gate.c */
void tm_gate_launch(tm_branch *b);
void tm_gate_due(tm_branch *b);
/* Open a gate of a branch: record and row. `body` is what a person sees: {ask, show, answer?,
 * …}. */
void tm_gate_open(tm_branch *b, tm_gate_kind kind, tm_json *body, int64_t expires);
/* Wait again at a gate that was opened before a crash. */
void tm_gate_reopen(tm_branch *b, tm_gate_kind kind, const tm_entry *open);
/* The branch no longer waits at its gate: nobody need answer it. In a replay: the gate that was
 * left open by a process that died before it could close it. */
void tm_gate_close(tm_branch *b);
/* Is that gate of a run decided (`id` NULL: any of its gates)? The run itself is not in memory. */
bool tm_gate_decided(const tm_engine *e, const char *run, const char *id);
/* Does a decision for the gate this branch waits at lie in the store? Then take it. */
void tm_gate_notice(tm_branch *b);

#endif
