/* ask.c - the ask machine: one question until it is answered or given up.
 *
 *                 start
 *                   │ a turn of the loop: nothing is told before start has returned
 *                   v
 *          ┌───> SENDING ── HTTP, or a function in this process
 *          │        │ what came back, as an answer or a class of error; told as an attempt
 *          │        ├── retryable, retries left ─────────────> WAITING ─┐ backoff, or what the
 *          ├────────│──────────────────────────────────────────────────┘ server asked for
 *          │        ├── no JSON, or against the schema or a check, repairs left: the model's
 * own ├────────┤   answer and the errors are put behind the messages │        ├── prose of
 * reason_then_extract: put behind the messages, with the wish └────────┤   for the JSON
 *                   v
 *                 DONE ── value and meta, or an error
 *
 * What an ask holds while it waits is small, because a thousand wait at once: `arena` has the
 * request and the conversation, `sent` one block with the bytes of the attempt under way. The
 * trees that a request is built from, and that an answer is read into, are gone by the end of
 * the callback that made them (tm_llm.work).
 */
#include "llm/ask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "llm/answer.h"
#include "llm/attempt.h"
#include "llm/retry.h"
#include "text/checks.h"

#define ARENA_MAX    TM_LLM_WORK_MAX
#define REPAIRS      2
#define RETRIES      2
#define LIMIT_ROUNDS 10 /* of either, whatever is asked for */
#define ADVICE_MAX   20

struct tm_llm_ask {
  tm_list link;
  tm_llm *llm;
  tm_arena arena;
  char *sent;
  tm_llm_events events;
  const tm_provider *provider;
  tm_llm_question question;
  tm_json *messages; /* our own list, once there is more in it than the request's */
  tm_shape *shape;
  tm_checks *checks; /* or NULL */
  bool reasoning;    /* the phase "reason" of reason_then_extract */
  bool two_phases;
  int retries, repairs; /* allowed */
  int64_t timeout_ms;

  int n;     /* attempts so far */
  int tries; /* of this turn of the conversation */
  int round; /* repairs so far */
  tm_http_call *call;
  tm_timer *timer;
  tm_llm_wire wire;
  tm_llm_answer answer;
  const tm_json *dropped; /* in arena */
  tm_llm_counts used;     /* over all attempts */
  int64_t started_ns, sent_ns, sent_at;
  bool telling, cancelled;
};

/* What an attempt came to. */
typedef struct outcome {
  tm_llm_class class;
  const char *message;
  const char *code; /* word of tm_err's code, for what is wrong on our side; or NULL */
  tm_json *value;
  tm_schema_report report;
  int status;
  int64_t retry_in_ms; /* -1: not again */
} outcome;

static void send_next(void *ctx);

/* -- life ------------------------------------------------------------------------ */

static void release(tm_llm_ask *ask) {
  tm_http_cancel(&ask->call);
  tm_timer_cancel(&ask->timer);
  tm_list_remove(&ask->link);
  tm_shape_drop(&ask->shape);
  tm_arena_free(&ask->arena);
  tm_free(ask->sent);
  tm_free(ask);
}

void tm_llm_cancel(tm_llm_ask **ask_ptr) {
  tm_llm_ask *ask = *ask_ptr;
  *ask_ptr = NULL;
  if (!ask)
    return;
  if (ask->telling)
    ask->cancelled = true; /* whoever is telling releases it */
  else
    release(ask);
}

void tm_llm_cancel_all(tm_llm *l) {
  while (!tm_list_empty(&l->asks)) {
    tm_llm_ask *ask = TM_LIST_OF(l->asks.next, tm_llm_ask, link);
    assert(!ask->telling && "closed from inside a callback");
    tm_llm_cancel(&ask);
  }
}

/* -- the end --------------------------------------------------------------------------------
 */

static void put_optional(tm_arena *a, tm_json *o, const char *key, const char *text) {
  tm_json_set(a, o, key, text ? tm_json_new_str(a, text) : tm_json_null(a));
}

static int64_t elapsed_ms(int64_t since_ns) {
  return (tm_clock_ns() - since_ns) / 1000000;
}

static tm_json *meta_of(tm_arena *a, const tm_llm_ask *ask) {
  const tm_llm_answer *answer = &ask->answer;
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "model", tm_json_get_str(ask->question.request, "model"));
  put_optional(a, o, "model_answered", answer->model);
  tm_json_set_str(a, o, "provider", ask->provider->name);
  put_optional(a, o, "request_id", answer->request_id);
  put_optional(a, o, "fingerprint", answer->fingerprint);
  put_optional(a, o, "finish", answer->finish);
  tm_json_set_int(a, o, "attempts", ask->n);
  tm_json_set_int(a, o, "rounds", ask->round);
  tm_json_set_int(a, o, "latency_ms", elapsed_ms(ask->started_ns));
  tm_json_set(a, o, "usage", tm_llm_usage(a, ask->used));
  tm_json_set(a, o, "dropped", ask->dropped ? ask->dropped : tm_json_new_array(a));
  return o;
}

static tm_json *error_of(tm_arena *a, const tm_llm_ask *ask, const outcome *o) {
  tm_json *error = tm_json_new_object(a);
  const char *message = o->message ? o->message : tm_llm_class_word(o->class);
  tm_json_set_str(a, error, "kind", "llm");
  tm_json_set_str(a, error, "class", tm_llm_class_word(o->class));
  tm_json_set(a, error, "message",
              tm_attempt_bytes(a, message, strlen(message), ask->wire.secret));
  tm_json_set_bool(a, error, "retryable", tm_llm_retryable(o->class) && !o->code);
  if (o->status)
    tm_json_set_int(a, error, "status", o->status);
  tm_json_set_str(a, error, "provider", ask->question.provider);
  tm_json_set_str(a, error, "model", ask->question.model);
  if (o->code)
    tm_json_set_str(a, error, "code", o->code);
  if (o->report.count)
    tm_json_set(a, error, "errors", tm_schema_report_json(a, &o->report));
  return error;
}

static void finish(tm_llm_ask *ask, const outcome *o) {
  tm_arena *a = &ask->llm->told;
  tm_arena_reset(a);
  tm_json *meta = meta_of(a, ask);
  tm_json *error = o->class == TM_LLM_NONE ? NULL : error_of(a, ask, o);
  ask->telling = true;
  ask->events.done(ask->events.ctx, error ? NULL : o->value, meta, error);
  release(ask);
}

/* What is wrong before anything was sent. */
static void fail_unsent(tm_llm_ask *ask, tm_llm_class class, const tm_err *err) {
  finish(ask, &(outcome){.class = class, .message = err->msg, .code = tm_err_word(err->code)});
}

/* -- the conversation ------------------------------------------------------------ */

static void add_message(tm_llm_ask *ask, const char *role, const char *text, size_t len) {
  tm_arena *a = &ask->arena;
  tm_json *message = tm_json_new_object(a), *parts = tm_json_new_array(a);
  tm_json *part = tm_json_new_object(a);
  tm_json_set(a, part, "text", tm_json_new_strn(a, text, len));
  tm_json_push(a, parts, part);
  tm_json_set_str(a, message, "role", role);
  tm_json_set(a, message, "content", parts);
  if (!ask->messages)
    ask->messages = tm_json_copy(a, ask->question.messages);
  tm_json_push(a, ask->messages, message);
  ask->question.messages = ask->messages;
}

/* What the model said last; nothing is not repeated, because providers refuse an empty turn. */
static void add_own_answer(tm_llm_ask *ask) {
  if (ask->answer.text_len)
    add_message(ask, "model", ask->answer.text, ask->answer.text_len);
}

static void ask_for_repair(tm_llm_ask *ask, const outcome *o) {
  tm_buf text = TM_BUF_INIT;
  tm_buf_puts(&text, "Your last answer cannot be used:\n");
  for (size_t i = 0; i < o->report.count; i++)
    tm_buf_printf(&text, "- %s\n", o->report.errors[i].advice);
  if (!o->report.count)
    tm_buf_printf(&text, "- %s\n", o->message);
  tm_buf_printf(&text, "Write the whole answer again, corrected,%s and nothing else.",
                ask->shape ? " as one JSON value" : "");
  add_own_answer(ask);
  add_message(ask, "user", tm_buf_str(&text), text.len);
  tm_buf_free(&text);
  ask->round++;
  ask->tries = 0;
}

static void ask_for_extract(tm_llm_ask *ask) {
  static const char wish[] = "Now give the result of the above as one JSON value that fits the "
                             "required schema, and nothing else.";
  add_own_answer(ask);
  add_message(ask, "user", wish, sizeof wish - 1);
  ask->reasoning = false;
  ask->tries = 0;
}

/* -- judging --------------------------------------------------------------------- */

static void too_large(outcome *o) {
  o->class = TM_LLM_SERVER;
  o->message = "the answer is too large to be taken in";
}

/* A strict dialect may have wanted an object around it; servers that do not care leave it out.
 */
static tm_json *unwrap(const tm_llm_ask *ask, tm_json *value) {
  bool is = ask->wire.wrapped && tm_json_type_of(value) == TM_JSON_OBJECT &&
            tm_json_len(value) == 1 && tm_json_get(value, "value");
  return is ? (tm_json *)tm_json_get(value, "value") : value;
}

/* What holding the value to something came to: 0, 1 or -1, as tm_schema_check answers. */
static void judged(tm_llm_ask *ask, outcome *o, int rc, const char *what, const tm_err *err) {
  tm_arena *work = &ask->llm->work;
  if (rc == 0)
    return;
  o->class = TM_LLM_BAD_OUTPUT;
  o->message =
      rc < 0 || !o->report.count
          ? tm_arena_strdup(work, err->msg)
          : tm_arena_printf(work, "the answer %s: %s%s", what, o->report.errors[0].message,
                            o->report.count > 1 ? " (and more)" : "");
}

static void judge_shape(tm_llm_ask *ask, outcome *o) {
  tm_err err = TM_ERR_INIT;
  int rc = tm_answer_check(o->value, ask->shape->schema, &o->report, &err);
  judged(ask, o, rc, "does not fit the schema", &err);
}

/* What stands in an answer of the right shape; the prose that it is extracted from is free. */
static void judge_content(tm_llm_ask *ask, outcome *o) {
  tm_err err = TM_ERR_INIT;
  if (o->class != TM_LLM_NONE || !ask->checks || ask->reasoning)
    return;
  const tm_json *vars = tm_json_get(ask->question.request, "vars");
  int rc = tm_checks_run(ask->checks, o->value, vars, &o->report, &err);
  judged(ask, o, rc, "fails a check", &err);
}

static void judge(tm_llm_ask *ask, outcome *o) {
  tm_arena *work = &ask->llm->work;
  const tm_llm_answer *answer = &ask->answer;
  tm_err err = TM_ERR_INIT;
  o->report = (tm_schema_report){.arena = work, .max = ADVICE_MAX};
  if (!answer->text) {
    too_large(o);
  } else if (!ask->question.shape) {
    o->value = tm_json_new_strn(work, answer->text, answer->text_len);
    if (!o->value)
      too_large(o);
  } else if (tm_answer_json(&o->value, work, answer->text, answer->text_len, &err) < 0) {
    o->class = TM_LLM_BAD_OUTPUT;
    o->message = tm_arena_strdup(work, err.msg);
  } else {
    o->value = unwrap(ask, o->value);
    judge_shape(ask, o);
  }
  judge_content(ask, o);
}

static int64_t base_ms(const tm_llm *l) {
  const char *text = tm_llm_setting(&l->settings, "TIDEMILL_RETRY_BASE_MS");
  long ms = text ? strtol(text, NULL, 10) : TM_RETRY_BASE_MS;
  return ms > 0 && ms <= 60000 ? ms : TM_RETRY_BASE_MS;
}

static int64_t retry_in(tm_llm_ask *ask, const tm_http_res *res) {
  const tm_llm_answer *answer = &ask->answer;
  bool worth = answer->retry > 0 || (answer->retry == 0 && tm_llm_retryable(answer->class));
  if (!worth || ask->tries > ask->retries)
    return -1;
  int64_t asked = res ? tm_retry_asked(res, tm_clock_wall(&tm_clock_system)) : -1;
  if (asked < 0)
    return tm_retry_backoff(&ask->llm->dice, base_ms(ask->llm), ask->tries - 1);
  return asked + (int64_t)((double)asked * 0.1 * tm_dice_unit(&ask->llm->dice));
}

/* -- attempts -------------------------------------------------------------------- */

static void add(int64_t *sum, const tm_json *usage, const char *pointer) {
  int64_t n = tm_llm_count(usage, pointer);
  if (n >= 0)
    *sum = *sum < 0 ? n : *sum + n;
}

static void count_usage(tm_llm_ask *ask) {
  const tm_json *usage = ask->answer.usage;
  add(&ask->used.input, usage, "/input");
  add(&ask->used.cached_input, usage, "/cached_input");
  add(&ask->used.output, usage, "/output");
  add(&ask->used.reasoning, usage, "/reasoning");
  add(&ask->used.total, usage, "/total");
}

static const char *phase(const tm_llm_ask *ask) {
  return ask->reasoning ? "reason" : ask->two_phases ? "extract" : "answer";
}

/* false: the listener has cancelled the ask, which is gone. */
static bool tell_attempt(tm_llm_ask *ask, const outcome *o, const tm_http_res *res) {
  if (!ask->events.attempt)
    return true;
  tm_arena *a = &ask->llm->told;
  tm_arena_reset(a);
  tm_attempt t = {.n = ask->n,
                  .round = ask->round,
                  .phase = phase(ask),
                  .question = &ask->question,
                  .wire = &ask->wire,
                  .answer = &ask->answer,
                  .response = res ? res->body : ask->answer.text,
                  .response_len = res ? res->body_len : ask->answer.text_len,
                  .status = o->status,
                  .first_byte_ms = res ? res->first_byte_ms : 0,
                  .latency_ms = elapsed_ms(ask->sent_ns),
                  .at = ask->sent_at,
                  .class = o->class,
                  .message = o->message,
                  .retry_in_ms = o->retry_in_ms};
  ask->telling = true;
  ask->events.attempt(ask->events.ctx, tm_attempt_json(a, &t));
  ask->telling = false;
  if (!ask->cancelled)
    return true;
  release(ask);
  return false;
}

/* What came back is in ask->answer; `res` is NULL when it was a function. */
static void settle(tm_llm_ask *ask, const tm_http_res *res) {
  outcome o = {.class = ask->answer.class,
               .message = ask->answer.message,
               .status = res ? res->status : 0,
               .retry_in_ms = -1};
  count_usage(ask);
  if (o.class == TM_LLM_NONE)
    judge(ask, &o);
  else
    o.retry_in_ms = retry_in(ask, res);
  if (!tell_attempt(ask, &o, res))
    return;
  if (o.retry_in_ms >= 0) {
    ask->timer = tm_timer_start(ask->llm->loop, o.retry_in_ms, send_next, ask);
  } else if (o.class == TM_LLM_BAD_OUTPUT && ask->round < ask->repairs) {
    ask_for_repair(ask, &o);
    send_next(ask);
  } else if (o.class == TM_LLM_NONE && ask->reasoning) {
    ask_for_extract(ask);
    send_next(ask);
  } else {
    finish(ask, &o);
  }
}

/* -- sending --------------------------------------------------------------------- */

static void arrived(void *ctx, const tm_http_res *res) {
  tm_llm_ask *ask = ctx;
  tm_arena *work = &ask->llm->work;
  ask->call = NULL;
  tm_arena_reset(work);
  tm_http_res masked = *res; /* a server that echoes our key must not put it into a value */
  masked.body = tm_llm_mask(work, res->body, &masked.body_len, ask->wire.secret);
  tm_llm_receive(&ask->answer, work, ask->provider, &masked);
  const char *id = ask->answer.request_id;
  size_t len = id ? strlen(id) : 0;
  ask->answer.request_id = tm_llm_mask(work, id, &len, ask->wire.secret);
  settle(ask, &masked);
}

static void run_function(void *ctx) {
  tm_llm_ask *ask = ctx;
  ask->timer = NULL;
  ask->telling = true;
  tm_arena_reset(&ask->llm->work);
  ask->provider->call(ask->provider, &ask->answer, &ask->llm->work, &ask->question);
  ask->telling = false;
  if (ask->cancelled)
    release(ask);
  else
    settle(ask, NULL);
}

static tm_llm_class class_of(tm_code code, tm_llm_class config) {
  return code == TM_CONFIG ? config : TM_LLM_INVALID;
}

static int start_http(tm_llm_ask *ask, tm_err *err) {
  tm_http_req req = {.method = ask->wire.method,
                     .url = ask->wire.url,
                     .headers = ask->wire.headers,
                     .header_count = ask->wire.header_count,
                     .body = ask->wire.body,
                     .body_len = ask->wire.body_len,
                     .first_byte_ms = ask->timeout_ms,
                     .total_ms = ask->timeout_ms};
  return tm_http_start(&ask->call, ask->llm->http, &req, arrived, ask, err);
}

static char *keep(char **at, const char *text, size_t len) {
  char *copy = *at;
  memcpy(copy, text, len);
  copy[len] = '\0';
  *at += len + 1;
  return copy;
}

/* The strings of the wire as one block of our own: what is built in `work` does not last. */
static void keep_wire(tm_llm_ask *ask, const tm_llm_wire *wire) {
  size_t url = strlen(wire->url), secret = wire->secret ? strlen(wire->secret) : 0;
  size_t size = wire->body_len + url + secret + 3;
  for (size_t i = 0; i < wire->header_count; i++)
    size += strlen(wire->headers[i].value) + 1;
  tm_free(ask->sent);
  char *at = ask->sent = tm_realloc(NULL, size);
  ask->wire = *wire;
  ask->wire.body = keep(&at, wire->body, wire->body_len);
  ask->wire.url = keep(&at, wire->url, url);
  ask->wire.secret = wire->secret ? keep(&at, wire->secret, secret) : NULL;
  for (size_t i = 0; i < wire->header_count; i++)
    ask->wire.headers[i].value =
        keep(&at, wire->headers[i].value, strlen(wire->headers[i].value));
  if (wire->dropped && !ask->dropped)
    ask->dropped = tm_json_copy(&ask->arena, wire->dropped);
  ask->wire.dropped = NULL;
}

static int build(tm_llm_ask *ask, tm_err *err) {
  tm_llm *l = ask->llm;
  tm_llm_wire wire;
  ask->question.shape = ask->reasoning ? NULL : ask->shape;
  ask->question.phase = phase(ask);
  ask->question.round = ask->round;
  if (ask->arena.failed)
    return tm_err_set(err, TM_LIMIT, "the conversation with the model has become too large");
  tm_arena_reset(&l->work);
  if (ask->provider->build(&wire, &l->work, &ask->question, &l->settings, err) < 0)
    return -1;
  keep_wire(ask, &wire);
  return 0;
}

static void send_next(void *ctx) {
  tm_llm_ask *ask = ctx;
  tm_err err = TM_ERR_INIT;
  ask->timer = NULL;
  ask->answer = (tm_llm_answer){0};
  if (build(ask, &err) < 0) {
    fail_unsent(ask, class_of(err.code, TM_LLM_AUTH), &err);
    return;
  }
  ask->n++;
  ask->tries++;
  ask->sent_ns = tm_clock_ns();
  ask->sent_at = tm_clock_wall(&tm_clock_system);
  if (ask->provider->call)
    ask->timer = tm_timer_start(ask->llm->loop, 0, run_function, ask);
  else if (start_http(ask, &err) < 0)
    fail_unsent(ask, class_of(err.code, TM_LLM_NETWORK), &err);
}

/* -- starting -------------------------------------------------------------------- */

static int bounded(const tm_json *request, const char *key, int otherwise) {
  int64_t n = tm_json_int(tm_json_get(request, key), otherwise);
  return n < 0 ? 0 : n > LIMIT_ROUNDS ? LIMIT_ROUNDS : (int)n;
}

/* All of it but the schema, which the shape has. */
static tm_json *copy_request(tm_arena *a, const tm_json *request) {
  tm_json *out = tm_json_new_object(a);
  for (size_t i = 0; i < tm_json_len(request); i++) {
    const tm_json_member *m = tm_json_member_at(request, i);
    if (strcmp(m->key, "schema") != 0)
      tm_json_setn(a, out, m->key, m->key_len, tm_json_copy(a, &m->value));
  }
  return a->failed ? NULL : out;
}

/* The schema and the checks that the answer is held to. */
static int read_contract(tm_llm_ask *ask, const tm_json *request, tm_err *err) {
  const tm_json *schema = tm_json_get(request, "schema");
  const tm_json *checks = tm_json_get(ask->question.request, "checks"); /* lives as long */
  const char *mode = tm_json_get_str(request, "mode"), *unit = tm_json_get_str(request, "unit");
  if (!unit)
    unit = "this question";
  if (checks && tm_checks_compile(&ask->checks, &ask->arena, checks, err) < 0)
    return tm_err_wrap(err, "the checks of %s", unit);
  if (!schema || tm_json_type_of(schema) == TM_JSON_NULL)
    return 0;
  ask->two_phases = mode && strcmp(mode, "reason_then_extract") == 0;
  ask->reasoning = ask->two_phases;
  if (tm_shape_get(&ask->shape, &ask->llm->shapes, schema, err) < 0)
    return tm_err_wrap(err, "the output schema of %s", unit);
  return 0;
}

static int read_request(tm_llm_ask *ask, const tm_json *request, tm_err *err) {
  const tm_json *messages = tm_json_get(request, "messages");
  if (!messages || tm_json_type_of(messages) != TM_JSON_ARRAY || !tm_json_len(messages))
    return tm_err_set(err, TM_USAGE, "a question to a model needs at least one message");
  ask->retries = bounded(request, "retries", RETRIES);
  ask->repairs = bounded(request, "repair", REPAIRS);
  ask->timeout_ms = tm_json_int(tm_json_get(request, "timeout_ms"), 0);
  return read_contract(ask, request, err);
}

int tm_llm_start(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_llm_events *ev,
                 tm_err *err) {
  tm_llm_ask *ask = tm_new(tm_llm_ask);
  *out = NULL;
  ask->llm = l;
  ask->events = *ev;
  ask->used = (tm_llm_counts){-1, -1, -1, -1, -1};
  ask->started_ns = tm_clock_ns();
  tm_arena_init(&ask->arena, ARENA_MAX);
  tm_list_init(&ask->link);
  const tm_json *kept = copy_request(&ask->arena, request);
  if (!kept) {
    tm_err_set(err, TM_LIMIT, "the question is larger than %zu bytes", ARENA_MAX);
    goto fail;
  }
  ask->provider = tm_llm_question_of(&ask->question, &ask->arena, l, kept, err);
  if (!ask->provider || read_request(ask, request, err) < 0)
    goto fail;
  tm_list_append(&l->asks, &ask->link);
  ask->timer = tm_timer_start(l->loop, 0, send_next, ask);
  *out = ask;
  return 0;

fail:
  release(ask);
  return -1;
}
