/* api.h - what stands behind the handles of tidemill.h: the composition of all floors.
 */
#ifndef TM_FACE_API_H
#define TM_FACE_API_H

#include "engine/engine.h"
#include "face/cells.h"
#include "face/options.h"
#include "llm/llm.h"
#include "net/guard.h"
#include "net/proc.h"
#include "script/guest.h"
#include "tidemill.h"

#define TM_API_NOTICE_MS 40 /* how often a waiting engine looks for other processes' commits */

typedef struct tm_host_fn {
  tidemill *owner;
  tidemill_fn fn;
  void *user;
  char *name;
} tm_host_fn;

struct tidemill {
  tidemill_options *options;
  tm_loop *loop;
  tm_http *http;   /* opened at the first request */
  tm_guard *guard; /* of mill.http and of media; opened with the first */
  tm_llm *llm;     /* opened at the first model call */
  tm_store *store;
  tm_face_cells cells; /* what the model floor shares */
  tm_engine *engine;
  tm_guest_host guest;
  tm_clock clock;
  int64_t virtual_now;
  tm_closure *sources;
  uint64_t stamp;
  int64_t stamped; /* mono ms */
  tm_map actions, providers, rules;
  tidemill_event_fn event;
  void *event_user;
  tm_buf event_text;
  int64_t noticed, trimmed; /* mono ms */
  bool adopted;             /* runs that a dead process left have been looked for */
  bool labelled;
  struct tm_watchdog *watchdog; /* NULL: none */
  tm_arena scopes;              /* texts of the budgets last asked for */
  tm_err err;
  char *errjson;
};

/* The last error becomes the handle's; returns the public code. */
int tm_api_fail(tidemill *t, const tm_err *err);
/* Before each public call. TIDEMILL_EINTERNAL for a handle that did not open. */
int tm_api_enter(tidemill *t);
/* A value as the caller's own text. */
int tm_api_give(const tm_json *v, char **out, size_t *len);
/* JSON of the caller: NULL text gives an empty object. */
int tm_api_json(tm_json **out, tm_arena *a, const char *what, const char *text, size_t len,
                tm_err *err);
/* The full id of a run from an id or a unique prefix. */
int tm_api_find_run(tidemill *t, const char *given, tm_arena *a, tm_run_row *row, tm_err *err);
/* To the run that goes on for one that is done by mill.continue_as, along the whole chain. */
int tm_api_follow(tidemill *t, tm_arena *a, tm_run_row *row, tm_err *err);
/* Only these members (a list that ends with NULL) in an object of the caller's. */
int tm_api_members(const tm_json *o, const char *const *known, const char *what, tm_err *err);

/* Waiting for a continuation of the engine: hand tm_api_finished and a zeroed one to it, then wait:
 * _await gives the error as it is, _wait makes it the engine's last one and gives its code. */
typedef struct tm_api_waiting {
  bool done;
  char id[64];
  tm_err err;
} tm_api_waiting;
void tm_api_finished(void *ctx, const char *id, const tm_err *err); /* a tm_engine_fn */
int tm_api_await(tidemill *t, tm_api_waiting *w, tm_err *err);
int tm_api_wait(tidemill *t, tm_api_waiting *w);

/* A member of a document, left out when there is nothing to say: ms since 1970 as RFC 3339; a text;
 * a stored JSON text as a value. */
void tm_api_put_time(tm_arena *a, tm_json *o, const char *key, int64_t ms);
void tm_api_put_text(tm_arena *a, tm_json *o, const char *key, const char *s);
void tm_api_put_json(tm_arena *a, tm_json *o, const char *key, const char *text);

/* Why a run has no result: its error, or what it waits for. */
void tm_api_explain(tm_err *err, const tm_run_row *row);
/* "repin" and "retry" of tidemill_control: api_change.c. */
int tm_api_move(tidemill *t, const char *run, const char *op, const tm_json *opts, tm_err *err);
/* Orders that stand before everything else: option "paused", and runs that hung too often. */
int tm_api_begin(tidemill *t, tm_err *err);
/* "usage" of tidemill_examine, of one run or (NULL) of all: api_usage.c. */
int tm_api_usage(tm_json **out, tm_arena *a, tidemill *t, const char *run, const tm_json *opts,
                 tm_err *err);
/* "drift" of tidemill_examine, of one run or (NULL) of the newest: api_drift.c. */
int tm_api_drift(tm_json **out, tm_arena *a, tidemill *t, const tm_run_row *row, tm_err *err);
/* "models" of tidemill_examine: api_models.c. */
int tm_api_models(tm_json **out, tm_arena *a, tidemill *t, tm_err *err);
/* "trace" of tidemill_examine: an ExportTraceServiceRequest as text, appended: api_trace.c. */
int tm_api_trace(tm_buf *out, tm_arena *a, tidemill *t, const char *run, const tm_json *opts,
                 tm_err *err);
/* "blame" of tidemill_examine, into a document: api_blame.c. */
int tm_api_blame(tm_json *out, tm_arena *a, tidemill *t, const tm_run_row *row,
                 const tm_json *opts, tm_err *err);
/* "run" of tidemill_prompt: api_prompt_run.c. */
int tm_api_prompt_run(tm_json **out, tm_arena *a, tidemill *t, tm_closure *c, const char *name,
                      const tm_json *vars, tm_err *err);
/* "prompts/a/b.prompt" -> "a/b"; false: this file is no unit. */
bool tm_api_unit_name(const char *file, char out[256]);
/* The sources on disk now, shared while nothing changes; a new reference. */
int tm_api_sources(tidemill *t, tm_closure **out, tm_err *err);

/* world.c: what the engine asks of the outside */
int tm_world_start(void *ctx, tm_task *task, const char *name, const tm_json *request,
                   tm_err *err);
void tm_world_cancel(void *ctx, tm_task *task);
/* A registered provider as a tm_llm_fn; ctx is its tm_host_fn. */
int tm_world_provider(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                      tm_err *err);
/* budgets.c: tm_ports.scopes and .cost. */
size_t tm_budgets_scopes(void *ctx, const char *workflow, const char *model,
                         tm_scope out[TM_SCOPES]);
double tm_budgets_cost(void *ctx, const tm_json *request);
/* How today's accounts stand, in words; is one of them used up? */
int tm_budgets_tell(bool *used_up, tm_buf *out, tm_arena *a, tidemill *t, tm_err *err);
/* The model floor, opened at first use. */
int tm_world_llm(tidemill *t, tm_llm **out, tm_err *err);
/* To whom tidemill_on_event named, if there is one; ctx: the tidemill. */
void tm_api_say(void *ctx, const tm_json *event);
void tm_world_close(tidemill *t);

#endif
