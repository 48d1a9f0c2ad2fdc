/* llm.h - one question to a model, asked until it is answered or given up.
 *
 * The common request and answer are JSON (formats below); a provider turns them
 * into its wire format and back and knows nothing else. The ask machine around it
 * does what every provider needs: bounded retries with backoff and Retry-After,
 * local validation, bounded repair with the errors fed back, reason_then_extract.
 *
 *   request  {unit, model:"provider/model", messages:[Dotprompt messages],
 *             config:{temperature, maxOutputTokens, topP, topK, stopSequences, seed,
 *             reasoningEffort …}, schema?, schema_name?, mode:"direct"|"reason_then_extract",
 *             repair:N (2), retries:N (2, each time something is asked), stream? (else only
 * when maxOutputTokens is over 16,000), tries?, fallback? (ladder.h), timeout_ms (600,000, of
 * each attempt), timeouts?:{connect_ms (10,000), first_byte_ms (the total), idle_ms (120,000),
 * total_ms}, vars?, tools?:[{name, description?, schema}],
 *             tool_choice?:"auto"|"none"|"required"|{name}, checks? (text/checks.h, over vars),
 *             confidence? (ladder.h)}
 *             A message has a role (system, user, model, tool) and parts: {text},
 *             {media:{url, contentType}}, {toolRequest:{ref, name, input, opaque?}},
 *             {toolResponse:{ref, name, output}}.
 *   value    the answer: a JSON value that holds to `schema`, or a string without one, which
 *             passes the checks; with meta.tool_calls the text beside them
 *   meta     {model, model_first?, model_answered, provider, request_id, fingerprint, finish,
 *             attempts, rounds, rung?, unsure?, unsent?, latency_ms, usage:{input, cached_input,
 *             cache_write, output, reasoning, total}, usd, dropped:[…],
 *             tool_calls?:[{id, name, arguments, opaque?}]}
 *             model: who was asked last; model_first: who was asked first, when that is
 *             another; rounds: repairs that were needed; rung: of tries, from 0; unsure:
 *             true, it is below the confidence that is asked for; usage, usd: over all
 *             attempts, input with what came from a cache or went to it, output with
 *             reasoning, null for what is not known; unsent: true, no byte of it left for
 *             anybody; dropped: names in config that the model does not
 *             take; tool_calls: arguments hold to the tool's schema; opaque: goes back unchanged
 *   attempt  {n, round (from 0), rung?, unsure?, phase:"answer"|"reason"|"extract"|"embed",
 *             provider, model, method, url, headers, request, response, status, request_id, first_byte_ms,
 *             latency_ms, at (ms since 1970), usage, usd, streamed?, error?:{class, message},
 *             retry_in_ms?}; request and response are the exact bytes as a string, or
 *             {"base64":…} when they are not UTF-8; header secrets, and the key wherever else
 *             it turns up, are "***"
 *   error    {kind:"llm", class: one of TM_LLM_CLASSES, message, retryable, status?, provider,
 *             model, code?, errors?}; code: tm_err_word of what is wrong on our side ("config":
 *             a key is missing); errors: the report of a bad_output
 *
 * Providers, and the settings each reads, are in docs/providers.md; what every fault comes to
 * is in docs/faults.md. TIDEMILL_RETRY_BASE_MS (500): a wait is anywhere in 0 … base · 2^n, at
 * most 16 · base. TIDEMILL_LONG_WAIT_MS (30,000): a wait beyond it is put off (`later`), unless a
 * model of fallback stands ready. Nobody waits for more than a day.
 */
#ifndef TM_LLM_LLM_H
#define TM_LLM_LLM_H

#include "base/clock.h"
#include "net/http.h"
#include "text/schema.h"

/* unavailable: its breaker is open, nothing was asked (lane.h). */
#define TM_LLM_CLASSES(X)         \
  X(NETWORK, "network")           \
  X(TIMEOUT, "timeout")           \
  X(RATE_LIMITED, "rate_limited") \
  X(OVERLOADED, "overloaded")     \
  X(SERVER, "server_error")       \
  X(QUOTA, "quota")               \
  X(AUTH, "auth")                 \
  X(INVALID, "invalid_request")   \
  X(CONTEXT, "context_overflow")  \
  X(REFUSED, "refused")           \
  X(FILTERED, "filtered")         \
  X(TRUNCATED, "truncated")       \
  X(BAD_OUTPUT, "bad_output")     \
  X(UNAVAILABLE, "unavailable")

typedef enum tm_llm_class {
  TM_LLM_NONE,
#define X(name, word) TM_LLM_##name,
  TM_LLM_CLASSES(X)
#undef X
} tm_llm_class;

const char *tm_llm_class_word(tm_llm_class c);

typedef struct tm_llm tm_llm;
typedef struct tm_llm_ask tm_llm_ask;

/* Where settings come from: getenv-like. Keys are read when a request is built, never kept. */
typedef const char *(*tm_llm_env)(void *ctx, const char *name);

int tm_llm_open(tm_llm **out, tm_loop *loop, tm_http *http, tm_llm_env env, void *env_ctx,
                tm_err *err);
void tm_llm_close(tm_llm **l);

/* A provider in the same process: scripted rules, a test, the embedder's own. `model` is what
 * stands behind "name/", `request` {unit, vars, messages, schema?, config?, tools?}. Puts the
 * answer's text (JSON text when a schema is asked for; a wish for tools as function.c has it)
 * into `answer`; -1: the error is the model's: TM_TEMP is tried again (class overloaded),
 * anything else is not (invalid_request). Called from the loop. */
typedef int (*tm_llm_fn)(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                         tm_err *err);
void tm_llm_register(tm_llm *l, const char *name, tm_llm_fn fn, void *ctx);

typedef struct tm_llm_events {
  /* Text of a streamed answer as it comes, at least one whole character; NULL: not wanted. What
   * has come since the last attempt is void when that attempt turns out to have an error. */
  void (*delta)(void *ctx, const char *text, size_t len);
  /* After each attempt, answered or not. */
  void (*attempt)(void *ctx, const tm_json *attempt);
  /* It has to wait for its turn, for at least so long: {for, ms?}; NULL: not wanted. */
  void (*waiting)(void *ctx, const tm_json *why);
  /* Exactly once, unless cancelled: value and meta, or meta and error. Valid in the call. */
  void (*done)(void *ctx, const tm_json *value, const tm_json *meta, const tm_json *error);
  /* Instead of done, when the next try is further away than TIDEMILL_LONG_WAIT_MS: the ask is
   * over here; tm_llm_resume goes on with it from `state` when wait_ms have passed, in whatever
   * process. meta and error are what done would tell now. NULL: such waits are
   * waited here, for a minute at most. */
  void (*later)(void *ctx, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                const tm_json *error);
  void *ctx;
} tm_llm_events;

/* Where processes keep what they all have to obey: small texts by name, each with a version. */
typedef struct tm_llm_cells {
  /* 1: text (in the arena) and version; 0: there is none; -1: it cannot be read. */
  int (*read)(void *ctx, const char *name, tm_arena *a, const char **text, int64_t *version);
  /* Write it if its version is still this one (0: there is none). `done` is called once from the loop,
   * never before this returns: was it written, or was another process faster? */
  void (*write)(void *ctx, const char *name, int64_t version, const char *text,
                void (*done)(void *arg, bool written), void *arg);
  /* Wait until every write has told. Not from a callback. */
  void (*settle)(void *ctx);
  /* All whose names begin so. */
  void (*each)(void *ctx, const char *prefix,
               void (*fn)(void *arg, const char *name, const char *text), void *arg);
  void *ctx;
} tm_llm_cells;

/* How much may be asked of whom (limits.h; NULL: no limits), shared through cells (NULL: with nobody),
 * by this clock (NULL: the system's). Before the first question. TM_CONFIG: what is wrong. */
int tm_llm_restrain(tm_llm *l, const tm_json *limits, const tm_llm_cells *cells,
                    const tm_clock *clock, tm_err *err);
/* Is this a table of limits? TM_CONFIG: no, and why. */
int tm_llm_check_limits(const tm_json *limits, tm_err *err);
/* What holds back whom, of all processes: an array of {model, key (a short hash of it), breaker?:
 * {state, until, why}, recent?: {answered, failed, broken}, hold_until?, told?:{requests?, tokens?: {limit, left}}, concurrent?}; times in
 * ms since 1970. */
tm_json *tm_llm_restraint(tm_llm *l, tm_arena *a);

/* Start; nothing is called back before this returns. `request` is copied. -1, and then nothing
 * is called back ever: the request is malformed (TM_USAGE), or its provider is not one of ours
 * (TM_CONFIG). A missing key is an error that `done` tells, of class auth and code config. */
int tm_llm_start(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_llm_events *ev,
                 tm_err *err);
/* The same from where an ask of this request was put off; NULL: from the beginning. What it had
 * used by then is counted on in meta. TM_INTERNAL: it is no state of such an ask. */
int tm_llm_resume(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_json *state,
                  const tm_llm_events *ev, tm_err *err);
void tm_llm_cancel(tm_llm_ask **ask);
/* May a byte of any attempt have left for a provider? */
bool tm_llm_sent(const tm_llm_ask *ask);

/* The vectors of texts: request {model, input:[text], config?:{dimensions}, as? (of a cassette:
 * whose vectors it is to play), retries?, timeout_ms?, fallback?}, value an array of arrays of numbers in the order of the texts; meta,
 * attempts and errors as above; `state` from `later`, or NULL. */
int tm_llm_embed(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_json *state,
                 const tm_llm_events *ev, tm_err *err);

/* Append every settled attempt from now on to a cassette (cassette.h); NULL: no more. The model
 * "cassette/FILE" replays one. */
int tm_llm_record(tm_llm *l, const char *path, tm_err *err);

/* What media URLs of messages are held to, as far as their text shows: a provider of one's own
 * would fetch them. The guard outlives l; NULL: anything goes. */
void tm_llm_set_guard(tm_llm *l, const tm_guard *guard);

/* A table of prices (prices.h), copied; what is given last counts first. */
int tm_llm_set_prices(tm_llm *l, const tm_json *table, tm_err *err);
/* The same for what models do not take (models.h). */
int tm_llm_set_models(tm_llm *l, const tm_json *table, tm_err *err);

/* The exact request that would be sent first: {method, url, headers (masked), body (string)}.
 * TM_CONFIG when a key is missing: the message names the variable. */
int tm_llm_preview(tm_json **out, tm_arena *a, tm_llm *l, const tm_json *request, tm_err *err);
/* The same where no key is set: another text stands in for it, masked like the key. */
int tm_llm_sketch(tm_json **out, tm_arena *a, tm_llm *l, const tm_json *request, tm_err *err);

/* The names of common settings that PROVIDER/MODEL would drop from a request: an array. Nothing
 * is sent, and no key is needed. */
int tm_llm_drops(tm_json **out, tm_arena *a, tm_llm *l, const char *model, tm_err *err);
/* Its price, {input, cached_input?, cache_write?, output}; NULL: not known. */
const tm_json *tm_llm_price(const tm_llm *l, const char *model);

/* What one attempt of a request may cost, in USD: every token that its texts can be (three bytes to
 * one), and as many out as maxOutputTokens says, or 4,096. 0: its model has no price. */
double tm_llm_estimate(const tm_llm *l, const tm_json *request);
/* The environment variable with the key that PROVIDER/MODEL is asked with; NULL: without one. */
const char *tm_llm_key_name(const tm_llm *l, const char *model);

/* Providers, whether a key was found (masked), base URL, what else they can: an array, for doctor
 * and `models`. */
tm_json *tm_llm_describe(tm_llm *l, tm_arena *a);

#endif
