/* tidemill.h - embed the Tidemill workflow engine.
 *
 * Data crosses the border as JSON text with a length (SIZE_MAX: strlen). Text that comes back
 * (`char **out`) is the caller's: release it with tidemill_free. `len` and `out` pointers may be
 * NULL. Functions return 0 or a negative code (TIDEMILL_E*); the code's magnitude is the exit
 * code of the command line, and tidemill_errmsg has the sentence. JSON shapes are versioned:
 * {"schema":"tidemill.run/1", …}; docs/embedding.md lists them.
 *
 * An engine belongs to one thread at a time. Different engines may run in different threads and
 * processes, also on one database. From any thread: tidemill_wakeup, tidemill_complete,
 * tidemill_fail. Callbacks run on the engine's thread, inside tidemill_dispatch or tidemill_run.
 */
#ifndef TIDEMILL_H
#define TIDEMILL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TIDEMILL_API __attribute__((visibility("default")))
#else
#define TIDEMILL_API
#endif

#define TIDEMILL_VERSION_MAJOR  0
#define TIDEMILL_VERSION_MINOR  1
#define TIDEMILL_VERSION_PATCH  0
#define TIDEMILL_VERSION_STRING "0.1.0"

enum tidemill_code {
  TIDEMILL_OK = 0,
  TIDEMILL_EFAILED = -1, /* the run failed */
  TIDEMILL_EUSAGE = -2,  /* a wrong argument or invalid input */
  TIDEMILL_ECONFIG = -3, /* settings, a key (also why a run failed), another's database */
  TIDEMILL_ENOTFOUND = -4,
  TIDEMILL_ECONFLICT = -5, /* the id exists with other input; the gate is already decided */
  TIDEMILL_ECANCELLED = -6,
  TIDEMILL_EDIVERGED = -7, /* the journal and the script disagree */
  TIDEMILL_EWAITING = -8,  /* still waiting: for a person, or the timeout was reached */
  TIDEMILL_ELIMIT = -10,   /* a size, depth or memory limit */
  TIDEMILL_EINTERNAL = -70,
  TIDEMILL_ETEMP = -75 /* temporary: the database is busy, the disk is full */
};

typedef struct tidemill tidemill;
typedef struct tidemill_options tidemill_options;
typedef struct tidemill_call tidemill_call;

/* -- library ------------------------------------------------------------------ */
/* "0.1.0" of the library that is loaded, which may differ from TIDEMILL_VERSION_STRING. */
TIDEMILL_API const char *tidemill_version(void);
/* The stable word of a code: "conflict", "usage" … */
TIDEMILL_API const char *tidemill_strerror(int code);
/* Release what a function handed out. NULL is fine. */
TIDEMILL_API void tidemill_free(void *p);

/* -- options: string keys, so that they can grow ---------------------------------
 *   dir      the project: workflows/, prompts/ (default ".")
 *   db       "sqlite:PATH" or "memory:" (default sqlite:DIR/.tidemill/tidemill.db)
 *   model    "PROVIDER/MODEL" for every unit, or "UNIT=PROVIDER/MODEL"; may be set repeatedly
 *   memory   bytes of memory for one run's script, "32M" (default 64M)
 *   steps    VM instructions between two waits of a script (default 200000000)
 *   clock    "system", or "virtual": time stands still until tidemill_advance
 *   record   a cassette: the file that each model attempt goes to; model "cassette/FILE" replays it
 *   http_private  what mill.http may reach beside the internet, "127.0.0.1:8080, *.internal"; may
 *            be set repeatedly (docs/primitives.md)
 *   by       who decides gates through this handle (default: the user's login name)
 *   watchdog "60s": the process ends, code 70, when its engine is away so long (default 0: never)
 *   paused   "true": all is paused before anything is taken up, until "resume" with "all"
 */
TIDEMILL_API tidemill_options *tidemill_options_new(void);
/* TIDEMILL_EUSAGE for an unknown key or a value that does not parse. Copies both. */
TIDEMILL_API int tidemill_options_set(tidemill_options *o, const char *key, const char *value);
TIDEMILL_API void tidemill_options_free(tidemill_options *o);

/* -- engine ------------------------------------------------------------------- */
/* Open an engine on a project and its database (created when absent). Nothing runs until
 * tidemill_run or tidemill_dispatch. `o` is copied; NULL: the defaults. When it fails *out is still
 * a handle (NULL only without memory), good for tidemill_errmsg and tidemill_close. */
TIDEMILL_API int tidemill_open(tidemill **out, const tidemill_options *o);
/* Runs in flight stay in the journal, for the next tidemill_control "resume". NULL is fine. */
TIDEMILL_API void tidemill_close(tidemill *t);
/* The sentence, and as JSON {"error":{code,message,run_id?,step?,…}}, of the last failed call;
 * valid until the next call on this engine. */
TIDEMILL_API const char *tidemill_errmsg(const tidemill *t);
TIDEMILL_API const char *tidemill_errjson(tidemill *t);

/* -- extend --------------------------------------------------------------------- */
/* A function in this process, called by the engine. It must finish each call exactly once, by
 * tidemill_complete or tidemill_fail, before it returns or later, from any thread. */
typedef void (*tidemill_fn)(void *user, tidemill_call *call);

/* An action's body in C: `flow:action "NAME" { host = true, … }` in Lua enters it. */
TIDEMILL_API int tidemill_register_action(tidemill *t, const char *name, tidemill_fn fn,
                                          void *user);
/* A model provider: "NAME/anything" as a model asks it. The call's input is the request
 * {unit, vars, messages, schema?, tools?, config, phase}; its result is the answer: a JSON string
 * (the text), or any other JSON value where a schema asks for one; or, where tools are offered,
 * {"tool_calls": [{name, arguments}], "text"?}. It is finished before it returns. */
TIDEMILL_API int tidemill_register_provider(tidemill *t, const char *name, tidemill_fn fn,
                                            void *user);

/* What the call is about; valid until it is finished. */
TIDEMILL_API const char *tidemill_call_name(const tidemill_call *c);
TIDEMILL_API const char *tidemill_call_input(const tidemill_call *c, size_t *len);
/* The idempotency key for the other side: the same on every retry, for ever. "" for models. */
TIDEMILL_API const char *tidemill_call_key(const tidemill_call *c);
/* Finish with a result (JSON). TIDEMILL_EUSAGE when it is not JSON: the call is still open then. */
TIDEMILL_API int tidemill_complete(tidemill_call *c, const char *json, size_t len);
/* Finish with an error. happened: 0 the effect certainly did not happen, 1 it may have. */
TIDEMILL_API int tidemill_fail(tidemill_call *c, const char *message, int happened);

/* What happens, as it happens: a JSON object an event (docs/embedding.md), never again in a
 * replay. NULL fn: stop. */
typedef void (*tidemill_event_fn)(void *user, const char *json, size_t len);
TIDEMILL_API void tidemill_on_event(tidemill *t, tidemill_event_fn fn, void *user);

/* -- runs -------------------------------------------------------------------------- */
/* Start a run of workflows/WORKFLOW.lua; returns when it is on disk. *id: its id. `opts`: NULL or
 * {"id": KEY}: started twice with one id and input it is one run, another input is
 * TIDEMILL_ECONFLICT. */
TIDEMILL_API int tidemill_start(tidemill *t, const char *workflow, const char *input,
                                size_t len, const char *opts, char **id);

/* Decide a gate; an action in doubt is TIDEMILL_ECONFLICT here, see _resolve. `run`, here and
 * below: a run's id, or a unique prefix of 6 characters or more; `gate`: its name, NULL: the only
 * open one. `opts`: NULL or {"answer", "note", "by", "digest"}; the answer is held to the gate's
 * schema. One decision wins; a later one is TIDEMILL_ECONFLICT and says who won. */
TIDEMILL_API int tidemill_approve(tidemill *t, const char *run, const char *gate,
                                  const char *opts);
TIDEMILL_API int tidemill_reject(tidemill *t, const char *run, const char *gate,
                                 const char *opts);
/* Settle an action in doubt (`action`: its name, NULL: the only one). `result`: what it returned;
 * NULL: it did not happen, and is done now. `opts`: NULL or {"note", "by"}. One word counts, as at
 * a gate. */
TIDEMILL_API int tidemill_resolve(tidemill *t, const char *run, const char *action,
                                  const char *result, size_t len, const char *opts);

/* Send an event that the workflow declares; `json`: its payload (NULL: null), held to the event's
 * schema: TIDEMILL_EUSAGE, and nothing kept, when it does not fit. It is kept until the run asks by
 * mill.wait. `opts`: NULL or {"id": KEY}: the same event under one id is kept once; another one is
 * TIDEMILL_ECONFLICT, as is a run that has ended. After mill.continue_as the last run hears it. */
TIDEMILL_API int tidemill_signal(tidemill *t, const char *run, const char *event,
                                 const char *json, size_t len, const char *opts);

/* Give an order. It is carried out in tidemill_run or tidemill_dispatch, or by the process that has
 * the run. op:
 *   "cancel"     its handlers and undo run; "terminate": it ends now, without clean-up; opts of
 *                these and of "pause": NULL or {"note", "by"}
 *   "pause"      nothing new begins until "resume"; `run` NULL with {"workflow": NAME} or {"all":
 *                true}: for all of these, those to come too; "resume" with the same lifts it
 *   "resume"     goes on; `run` NULL: all that is unfinished, not paused, and nobody's alive
 *   "repin"      moved to other sources, proven by a replay first (TIDEMILL_EDIVERGED); opts
 *                {"sources": "disk" (default) or a hash that it had before, "by"}. It revives a
 *                diverged run. docs/change.md
 *   "retry"      a failed run goes on from its last good record; with "sources" moved at once */
TIDEMILL_API int tidemill_control(tidemill *t, const char *run, const char *op,
                                  const char *opts);

/* One run: {schema, id, workflow, state, reason, created, updated, result?, error?, parent?,
 * continued?, state_fields?}. */
TIDEMILL_API int tidemill_get(tidemill *t, const char *run, char **out, size_t *len);
/* The result of a run that is done (after mill.continue_as: of the last one), as JSON; else
 * TIDEMILL_EWAITING, _EFAILED, _ECANCELLED … */
TIDEMILL_API int tidemill_result(tidemill *t, const char *run, char **out, size_t *len);
/* {schema, runs:[…]}, newest first. filter: NULL or {workflow, state, unfinished, limit}. */
TIDEMILL_API int tidemill_list(tidemill *t, const char *filter, char **out, size_t *len);
/* {schema, gates:[{id, run, name, ask, show, answer, digest, opened, expires, …}]}. filter: NULL or
 * {run, all}. */
TIDEMILL_API int tidemill_gates(tidemill *t, const char *filter, char **out, size_t *len);
/* What mill.decide keeps: {schema, decisions:[{workflow, name, key, version, state: "holds" |
 * "expired" | "reopened", value, run, at, expires?, reopened?, by?, note?}]}, by name and key, the
 * newest first. filter: NULL or {workflow, name, key, all}; all: those too that were followed. */
TIDEMILL_API int tidemill_decisions(tidemill *t, const char *filter, char **out, size_t *len);
/* A decision holds no more: the next run that asks decides anew; runs that were told it keep it.
 * opts: NULL or {"note", "by"}, kept with it. TIDEMILL_ECONFLICT when it held no more. */
TIDEMILL_API int tidemill_reopen(tidemill *t, const char *workflow, const char *name,
                                 const char *key, const char *opts);
/* The journal of a run, in order: {schema, run, records:[…]}. opts: NULL or {"raw": true, for the
 * exact bytes of every model attempt, "from": SEQ}. */
TIDEMILL_API int tidemill_history(tidemill *t, const char *run, const char *opts, char **out,
                                  size_t *len);

/* -- what a run keeps: docs/change.md ---------------------------------------------------- */
/* A document about a run, or about all (NULL). Nothing is written or asked. The shapes are in
 * docs/embedding.md. op:
 *   "replay"  does the script still ask for what the journal holds? verdict: "equal" | "diverged";
 *             opts {"sources": "disk" | HASH}: on these sources and not on its own
 *   "diff"    what changed since it began: files, models, prices; opts {"sources"}, as above
 *   "export"  its capsule, all of it in one document; opts {"redact": true}: texts become hashes
 *   "fsck"    findings about its records; run NULL: of all
 *   "usage"   what the models cost; run NULL: of all; opts {"by": "model" | "workflow" | "unit" |
 *             "day", "since", "until": a day or a time, "workflow"}
 *   "drift"   where another model answered than was asked, or not always the same one; of a run and
 *             some beside it; run NULL: of the newest
 *   "models"  the providers with their keys, the units' models with price and dropped settings
 *   "trace"   its spans and those of the runs that it began, as one OTLP/JSON request; opts
 *             {"content": true}: what was said, too; {"service": NAME}
 *   "blame"   the files behind a record, opts {"seq": N}, with the commits that git knows of them;
 *             git is asked, and nothing of it changed */
TIDEMILL_API int tidemill_examine(tidemill *t, const char *run, const char *op,
                                  const char *opts, char **out, size_t *len);
/* A new run (*id) with a copy of another one's journal up to a record: opts {"from": step, call or
 * seq, "with": [files to take from the disk], "edit": {CALL: another result}, "id"}. */
TIDEMILL_API int tidemill_fork(tidemill *t, const char *run, const char *opts, char **id);
/* Put a capsule's run (*id) into the database, verified; TIDEMILL_EUSAGE when it was changed. One
 * that had not ended is "imported": nothing takes it up. */
TIDEMILL_API int tidemill_import(tidemill *t, const char *capsule, size_t len, char **id);

/* Take away runs that ended long ago, and what no run needs any more; effects and decisions stay:
 * {schema, dry_run, runs, records, gates, events, sources, files, kept: {family, in_doubt}}. opts:
 * {"older_than": "30d" (instead of `retain` in tidemill.yaml), "workflow", "dry_run"}. */
TIDEMILL_API int tidemill_gc(tidemill *t, const char *opts, char **out, size_t *len);

/* -- prompts, checks ----------------------------------------------------------------- */
/* op "list" (name NULL), "show", "render" (input: the variables; the exact first request), or "run":
 * the unit is asked once, as by mill.llm, without a run or a journal; it returns when answered. */
TIDEMILL_API int tidemill_prompt(tidemill *t, const char *op, const char *name,
                                 const char *input, size_t len, char **out, size_t *len_out);
/* All mistakes in the project's files, found without a run: {schema, ok, files, findings: [{file,
 * line?, message}]}. what: NULL or "": every prompt, schema and script; or a list, with commas
 * between: a workflow's name, "prompts", "prompts/UNIT". */
TIDEMILL_API int tidemill_check(tidemill *t, const char *what, char **out, size_t *len);
/* {schema, ok, checks:[{name, ok, detail, hint?}], limits}: project, database, keys, models, runs. */
TIDEMILL_API int tidemill_doctor(tidemill *t, char **out, size_t *len);

/* -- the loop -------------------------------------------------------------------------- */
/* Work until `run` (NULL: every run of this engine) has ended or waits for something outside, or
 * timeout_ms (-1: none) is over; a gate with a deadline is waited for until then. 0 when done, else
 * TIDEMILL_EFAILED, _ECANCELLED, _EDIVERGED, _EWAITING … as the run's state says. */
TIDEMILL_API int tidemill_run(tidemill *t, const char *run, int64_t timeout_ms);

/* For your own loop: poll the fd for reading, at most timeout ms (-1: no timer), then dispatch. */
TIDEMILL_API int tidemill_fd(const tidemill *t);
TIDEMILL_API int64_t tidemill_timeout(const tidemill *t);
/* Do what is due, sleeping at most max_ms: 1 while there is work that is ready, 0 when it waits. */
TIDEMILL_API int tidemill_dispatch(tidemill *t, int64_t max_ms);
/* The fd becomes readable: a thread that waits for it comes back. */
TIDEMILL_API void tidemill_wakeup(tidemill *t);
/* A virtual clock goes on by ms; what becomes due runs at the next dispatch. */
TIDEMILL_API int tidemill_advance(tidemill *t, int64_t ms);

#ifdef __cplusplus
}
#endif
#endif
