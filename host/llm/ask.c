/* ask.c - the ask machine: one question until it is answered or given up.
 *
 *                 start
 *                   │ a turn of the loop: nothing is told before start has returned
 *                   v
 *          ┌───> IN LINE ── may this model be asked now? (lane.c) no: as if nobody answered
 *          │        v
 *          │     SENDING ── HTTP, or a function in this process
 *          │        │ what came back, as an answer or a class of error; told as an attempt
 *          │        ├── retryable, retries left ─────────────> WAITING ─┐ backoff, or what the
 *          ├────────│──────────────────────────────────────────────────┘ server asked for
 *          │        ├── the same, far ahead ──> PUT OFF: `later` has all that tm_llm_resume needs
 *          │        ├── no JSON, or against schema or checks, repairs left: the model's answer
 *          ├────────┤   and the errors are put behind the messages
 *          │        ├── prose of reason_then_extract: put behind the messages, with the wish
 *          └────────┤   for the JSON
 *          ^        ├── no good, or nobody there: the next of tries and fallback, from the
 *          └────────┤   start
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
#include "llm/retry.h"
#include "llm/spelt.h"

#define ARENA_MAX    TM_LLM_WORK_MAX
#define REPAIRS      2
#define RETRIES      2
#define STREAM_MAX   ((size_t)32 << 20) /* each token comes in a frame of its own */
#define CLEAN_MAX    ((size_t)64 << 20) /* an answer without our key in it */
#define TELL_WAIT_MS 1000               /* in line; a shorter wait is nobody's business */
#define LINGER_MS    100 /* of a stream that has ended, for the connection to be kept */

static void send_next(void *ctx);

/* -- life ------------------------------------------------------------------------------ */

static void release(tm_llm_ask *ask) {
  tm_http_cancel(&ask->call);
  tm_lane_drop(&ask->llm->lanes, &ask->pass);
  tm_timer_cancel(&ask->timer);
  tm_list_remove(&ask->link);
  tm_llm_stream_free(&ask->stream);
  tm_shape_drop(&ask->shape);
  tm_llm_tools_drop(ask->tools, ask->tool_count);
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

bool tm_llm_sent(const tm_llm_ask *ask) {
  return ask->sent_any || tm_http_sent(ask->call) || (ask->telling && ask->provider->call);
}

void tm_llm_cancel_all(tm_llm *l) {
  while (!tm_list_empty(&l->asks)) {
    tm_llm_ask *ask = TM_LIST_OF(l->asks.next, tm_llm_ask, link);
    assert(!ask->telling && "closed from inside a callback");
    tm_llm_cancel(&ask);
  }
}

static void finish(tm_llm_ask *ask, const tm_outcome *o) {
  tm_ask_tell_end(ask, o);
  release(ask);
}

/* What is wrong before anything was sent. */
static void fail_unsent(tm_llm_ask *ask, tm_llm_class class, const tm_err *err) {
  finish(ask,
         &(tm_outcome){.class = class, .message = err->msg, .code = tm_err_word(err->code)});
}

/* -- the next step --------------------------------------------------------------------- */

static int64_t number_set(const tm_llm *l, const char *name, int64_t least, int64_t most,
                          int64_t otherwise) {
  const char *text = tm_llm_setting(&l->settings, name);
  char *end;
  long long ms = text ? strtoll(text, &end, 10) : -1;
  return text && end != text && !*end && ms >= least && ms <= most ? ms : otherwise;
}

static int64_t base_ms(const tm_llm *l) {
  return number_set(l, "TIDEMILL_RETRY_BASE_MS", 1, 60000, TM_RETRY_BASE_MS);
}

static bool is_long(const tm_llm *l, int64_t ms) {
  return ms > number_set(l, "TIDEMILL_LONG_WAIT_MS", 0, TM_RETRY_ASKED_MAX, TM_RETRY_LONG_MS);
}

/* Somebody else can be asked at once. */
static bool has_fallback(const tm_llm_ask *ask, tm_llm_class class) {
  tm_ladder ahead = ask->ladder;
  return tm_ladder_next(&ahead, class) && ahead.fall > ask->ladder.fall;
}

/* What the other side wants us to wait; -1: it did not say. */
static int64_t asked_for(const tm_llm_ask *ask, const tm_http_res *res) {
  int64_t asked = res ? tm_retry_asked(res, tm_clock_wall(&tm_clock_system)) : -1;
  return asked < 0 && ask->answer.wait_ms > 0 ? ask->answer.wait_ms : asked;
}

/* A tenth on top of what was asked for, at most: not all who were sent away come back at once. */
static int64_t wait_of(tm_llm_ask *ask, int64_t asked) {
  tm_dice *dice = &ask->llm->dice;
  if (asked < 0)
    return tm_retry_backoff(dice, base_ms(ask->llm), ask->tries - 1);
  return asked + (int64_t)((double)asked * 0.1 * tm_dice_unit(dice));
}

/* Sets retry_in_ms, if it is to be tried again. */
static void look_ahead(tm_llm_ask *ask, const tm_http_res *res, tm_outcome *o) {
  const tm_llm_answer *answer = &ask->answer;
  bool worth = answer->retry > 0 || (answer->retry == 0 && tm_llm_retryable(answer->class));
  if (!worth || ask->tries > ask->retries)
    return;
  int64_t asked = asked_for(ask, res), wait = wait_of(ask, asked);
  if (asked > TM_RETRY_ASKED_MAX)
    o->message = tm_arena_printf(
        &ask->llm->work, "%s (and wants us to wait for more than a day, which we do not)",
        o->message ? o->message : tm_llm_class_word(o->class));
  else if (!is_long(ask->llm, wait) || !has_fallback(ask, o->class))
    o->retry_in_ms = !ask->events.later && wait > TM_RETRY_HERE_MS ? TM_RETRY_HERE_MS : wait;
}

/* The provider, model and configuration of the ladder's step. */
static int take_rung(tm_llm_ask *ask, tm_err *err) {
  tm_llm_question *q = &ask->question;
  const tm_json *config = tm_ladder_config(&ask->ladder, &ask->arena, ask->request);
  const char *model = tm_ladder_model(&ask->ladder, ask->request);
  const tm_json *input = q->input;
  ask->provider = tm_llm_question_of(q, &ask->arena, ask->llm, ask->request, model, err);
  if (!ask->provider)
    return -1;
  q->config = config;
  q->input = input;
  q->tools = ask->tools;
  q->tool_count = ask->tool_count;
  if (input && !ask->provider->call && !ask->provider->vectors)
    return tm_err_set(err, TM_USAGE,
                      "%s has no embeddings; ask openai, gemini or ollama for them",
                      q->provider);
  ask->streaming = !input && tm_llm_streams(ask->request, config);
  return 0;
}

static void next_rung(tm_llm_ask *ask) {
  tm_err err = TM_ERR_INIT;
  tm_ask_anew(ask);
  if (take_rung(ask, &err) < 0)
    fail_unsent(ask, TM_LLM_INVALID, &err);
  else
    send_next(ask);
}

/* What came back is in ask->answer; `res` is NULL when it was a function. */
static void settle(tm_llm_ask *ask, const tm_http_res *res) {
  tm_outcome o = {.class = ask->answer.class,
                  .message = ask->answer.message,
                  .status = res ? res->status : 0,
                  .retry_in_ms = -1};
  if (o.class == TM_LLM_NONE)
    tm_ask_judge(ask, &o);
  else
    look_ahead(ask, res, &o);
  ask->sent_any = ask->sent_any || !res || res->sent;
  tm_ask_leave(ask, o.class, res, asked_for(ask, res));
  if (!tm_ask_tell_attempt(ask, &o, res)) {
    release(ask);
  } else if (o.retry_in_ms > 0 && ask->events.later && is_long(ask->llm, o.retry_in_ms)) {
    tm_ask_tell_later(ask, &o);
    release(ask);
  } else if (o.retry_in_ms >= 0) {
    ask->timer = tm_timer_start(ask->llm->loop, o.retry_in_ms, send_next, ask);
  } else if (o.class == TM_LLM_BAD_OUTPUT && ask->round < ask->repairs) {
    tm_ask_for_repair(ask, &o);
    send_next(ask);
  } else if (o.class == TM_LLM_NONE && ask->reasoning && !o.tool_calls) {
    tm_ask_for_extract(ask);
    send_next(ask);
  } else if ((o.class != TM_LLM_NONE && tm_ladder_next(&ask->ladder, o.class)) ||
             (o.unsure && tm_ladder_doubt(&ask->ladder))) {
    next_rung(ask);
  } else {
    finish(ask, &o);
  }
}

/* -- receiving ------------------------------------------------------------------------- */

/* A stream that said our key is heard again without it. */
static void hear_again(tm_llm_ask *ask, const tm_http_res *res) {
  tm_llm_stream_free(&ask->stream);
  ask->stream = tm_llm_stream_new(ask->provider, &ask->llm->work);
  if (res->status >= 200 && res->status < 300)
    tm_llm_stream_feed(ask->stream, res->body, res->body_len);
  ask->stream->told = ask->stream->heard.text.len;
}

/* What waited in case it was the beginning of our key. False: the listener has cancelled. */
static bool tell_rest(tm_llm_ask *ask) {
  size_t len;
  const char *rest = tm_llm_stream_news(ask->stream, &len, NULL);
  return ask->answer.class != TM_LLM_NONE || tm_ask_tell_news(ask, rest, len);
}

/* `res` says nothing of our key any more. */
static void heard(tm_llm_ask *ask, const tm_http_res *res) {
  tm_arena *work = &ask->llm->work;
  bool wanted = true;
  tm_arena_reset(work);
  if (ask->stream) {
    tm_llm_stream_end(&ask->answer, work, ask->stream, res, ask->wire.secret);
    wanted = tell_rest(ask);
    tm_llm_stream_free(&ask->stream);
  } else {
    tm_llm_receive(&ask->answer, work, ask->provider, res, ask->question.input != NULL);
  }
  if (ask->answer.text) /* joined from parts that did not stand behind each other */
    ask->answer.text =
        tm_llm_mask(work, ask->answer.text, &ask->answer.text_len, ask->wire.secret);
  if (wanted)
    settle(ask, res);
  else
    release(ask);
}

static void arrived(void *ctx, const tm_http_res *res) {
  tm_llm_ask *ask = ctx;
  tm_http_res mine = *res;
  tm_arena clean; /* not `work`, which each event of a stream begins anew */
  tm_arena_init(&clean, CLEAN_MAX);
  ask->call = NULL;
  tm_llm_scrub_answer(&mine, &clean, ask->wire.secret);
  if (ask->stream)
    mine.body = tm_llm_scrub_spelt(&clean, mine.body, &mine.body_len, &ask->stream->heard.text,
                                   ask->wire.secret);
  if (ask->stream && mine.body != res->body)
    hear_again(ask, &mine);
  heard(ask, &mine);
  tm_arena_free(&clean);
}

/* Bytes of a stream. When it has ended, a server that keeps the line open is not waited for. */
static int came(void *ctx, int status, const char *bytes, size_t len, tm_err *err) {
  tm_llm_ask *ask = ctx;
  if (status < 200 || status >= 300)
    return 0;
  int rc = tm_llm_stream_feed(ask->stream, bytes, len);
  size_t news_len;
  const char *news = tm_llm_stream_news(ask->stream, &news_len, ask->wire.secret);
  if (ask->stream->heard.whole || ask->stream->heard.error)
    tm_http_hurry(ask->call, LINGER_MS);
  if (!tm_ask_tell_news(ask, news, news_len)) {
    release(ask);
    return tm_err_set(err, TM_CANCELLED, "cancelled");
  }
  return rc < 0 ? tm_err_set(err, TM_FAILED, "%s", ask->stream->err.msg) : 0;
}

static void run_function(void *ctx) {
  tm_llm_ask *ask = ctx;
  ask->timer = NULL;
  ask->telling = true;
  tm_arena_reset(&ask->llm->work);
  ask->provider->call(ask->provider, &ask->answer, &ask->llm->work, &ask->question);
  ask->telling = false;
  const tm_llm_answer *answer = &ask->answer;
  if (!ask->cancelled && ask->streaming && answer->class == TM_LLM_NONE && answer->text)
    tm_ask_tell_news(ask, answer->text, answer->text_len);
  if (ask->cancelled)
    release(ask);
  else
    settle(ask, NULL);
}

/* -- sending --------------------------------------------------------------------------- */

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
                     .connect_ms = ask->connect_ms,
                     .first_byte_ms = ask->first_byte_ms,
                     .idle_ms = ask->idle_ms,
                     .total_ms = ask->total_ms};
  if (ask->streaming) {
    ask->stream = tm_llm_stream_new(ask->provider, &ask->llm->work);
    req.on_data = came;
    req.max_body = STREAM_MAX;
  }
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

static const char *phase(const tm_llm_ask *ask) {
  return ask->question.input ? "embed"
         : ask->reasoning    ? "reason"
         : ask->two_phases   ? "extract"
                             : "answer";
}

static int build(tm_llm_ask *ask, tm_err *err) {
  tm_llm *l = ask->llm;
  tm_llm_question *q = &ask->question;
  tm_llm_wire wire;
  q->shape = ask->reasoning ? NULL : ask->shape;
  q->stream = ask->streaming && !ask->provider->call;
  q->phase = phase(ask);
  q->round = ask->round;
  if (ask->arena.failed)
    return tm_err_set(err, TM_LIMIT, "the conversation with the model has become too large");
  tm_arena_reset(&l->work);
  if (ask->provider->build(&wire, &l->work, q, &l->settings, err) < 0)
    return -1;
  keep_wire(ask, &wire);
  return 0;
}

static void send_now(tm_llm_ask *ask) {
  tm_err err = TM_ERR_INIT;
  ask->n++;
  ask->tries++;
  ask->sent_ns = tm_clock_ns();
  ask->sent_at = tm_clock_wall(&tm_clock_system);
  if (ask->provider->call)
    ask->timer = tm_timer_start(ask->llm->loop, 0, run_function, ask);
  else if (start_http(ask, &err) < 0)
    fail_unsent(ask, class_of(err.code, TM_LLM_NETWORK), &err);
}

/* The breaker is open: on to somebody else, or the end. */
static void turned_away(tm_llm_ask *ask) {
  tm_outcome o = {.class = TM_LLM_UNAVAILABLE, .retry_in_ms = -1};
  if (tm_ladder_next(&ask->ladder, o.class)) {
    next_rung(ask);
    return;
  }
  o.message = tm_lane_shut(&ask->llm->work, &ask->llm->lanes, &ask->pass);
  finish(ask, &o);
}

/* Out of the line. */
static void called(void *ctx, tm_lane_word word) {
  tm_llm_ask *ask = ctx;
  tm_timer_cancel(&ask->timer);
  if (word == TM_LANE_GO)
    send_now(ask);
  else
    turned_away(ask);
}

/* The provider wants everybody to wait for long: as if it had said so to this ask. Where others stand
 * behind a short pause, these come back over as long again. True: it is not in line any more. */
static bool put_off(tm_llm_ask *ask) {
  int64_t ms = tm_lane_pause(&ask->llm->lanes, &ask->pass);
  tm_outcome o = {.class = TM_LLM_RATE_LIMITED, .retry_in_ms = -1};
  bool elsewhere = has_fallback(ask, o.class);
  if (!is_long(ask->llm, ms) || (!elsewhere && !ask->events.later && ms <= TM_RETRY_HERE_MS))
    return false;
  tm_lane_drop(&ask->llm->lanes, &ask->pass);
  o.message = tm_arena_printf(&ask->llm->work, "%s/%s wants a pause, for %lld s from now",
                              ask->question.provider, ask->question.model,
                              (long long)(ms + 999) / 1000);
  if (elsewhere) {
    tm_ladder_next(&ask->ladder, o.class);
    next_rung(ask);
  } else if (ask->events.later) {
    o.retry_in_ms = ms + (int64_t)((double)ms * tm_dice_unit(&ask->llm->dice));
    tm_ask_tell_later(ask, &o);
    release(ask);
  } else {
    finish(ask, &o);
  }
  return true;
}

/* Every second that it is in line; told once. */
static void in_line(void *ctx) {
  tm_llm_ask *ask = ctx;
  ask->timer = NULL;
  if (put_off(ask))
    return;
  if (!ask->waiting_told && !tm_ask_tell_waiting(ask)) {
    release(ask);
    return;
  }
  ask->waiting_told = true;
  ask->timer = tm_timer_start(ask->llm->loop, TELL_WAIT_MS, in_line, ask);
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
  ask->waiting_told = false;
  switch (tm_ask_enter(ask, called)) {
  case TM_LANE_GO:
    send_now(ask);
    break;
  case TM_LANE_WAIT:
    if (!put_off(ask))
      ask->timer = tm_timer_start(ask->llm->loop, TELL_WAIT_MS, in_line, ask);
    break;
  case TM_LANE_SHUT:
    turned_away(ask);
    break;
  }
}

/* -- starting -------------------------------------------------------------------------- */

static int bounded(const tm_json *request, const char *key, int otherwise) {
  int64_t n = tm_json_int(tm_json_get(request, key), otherwise);
  return n < 0 ? 0 : n > TM_LLM_ROUNDS ? TM_LLM_ROUNDS : (int)n;
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

/* A total that is shorter than another of them ends it, so the others need no cap. */
static void read_times(tm_llm_ask *ask, const tm_json *request) {
  const tm_json *times = tm_json_get(request, "timeouts");
  int64_t total = tm_json_int(tm_json_get(request, "timeout_ms"), 0);
  ask->total_ms = tm_json_int(tm_json_get(times, "total_ms"), total);
  ask->connect_ms = tm_json_int(tm_json_get(times, "connect_ms"), 0);
  ask->idle_ms = tm_json_int(tm_json_get(times, "idle_ms"), 0);
  ask->first_byte_ms = tm_json_int(tm_json_get(times, "first_byte_ms"), ask->total_ms);
}

/* The schema and the checks that the answer is held to. */
static int read_contract(tm_llm_ask *ask, const tm_json *request, tm_err *err) {
  const tm_json *schema = tm_json_get(request, "schema");
  const tm_json *checks = tm_json_get(ask->request, "checks"); /* lives as long */
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

/* Whoever may be asked later has to be there now: better than to find out in need. */
static int check_ladder(tm_llm_ask *ask, tm_err *err) {
  const char *model;
  tm_llm_question q;
  for (size_t i = 0; (model = tm_ladder_model_at(&ask->ladder, i)); i++)
    if (*model && !tm_llm_question_of(&q, &ask->arena, ask->llm, ask->request, model, err))
      return tm_err_wrap(err, "tries or fallback");
  return 0;
}

static int read_messages(const tm_json *request, tm_err *err) {
  const tm_json *messages = tm_json_get(request, "messages");
  if (!messages || tm_json_type_of(messages) != TM_JSON_ARRAY || !tm_json_len(messages))
    return tm_err_set(err, TM_USAGE, "a question to a model needs at least one message");
  return 0;
}

static int read_input(tm_llm_ask *ask, tm_err *err) {
  const tm_json *input = tm_json_get(ask->request, "input");
  bool good = input && tm_json_type_of(input) == TM_JSON_ARRAY && tm_json_len(input);
  for (size_t i = 0; i < tm_json_len(input) && good; i++)
    good = tm_json_str(tm_json_at(input, i), NULL) != NULL;
  ask->question.input = input;
  return good ? 0 : tm_err_set(err, TM_USAGE, "what is to be embedded must be a list of texts");
}

static int read_request(tm_llm_ask *ask, const tm_json *request, bool embedding, tm_err *err) {
  if (tm_ladder_open(&ask->ladder, ask->request, err) < 0)
    return -1;
  if (embedding && read_input(ask, err) < 0)
    return -1;
  if (take_rung(ask, err) < 0 || check_ladder(ask, err) < 0)
    return -1;
  ask->retries = bounded(request, "retries", RETRIES);
  ask->repairs = bounded(request, "repair", REPAIRS);
  read_times(ask, request);
  if (embedding)
    return 0;
  if (read_messages(request, err) < 0 || read_contract(ask, request, err) < 0)
    return -1;
  int rc =
      tm_llm_tools_get(&ask->tools, &ask->tool_count, &ask->arena, ask->llm, ask->request, err);
  ask->question.tools = ask->tools;
  ask->question.tool_count = ask->tool_count;
  return rc;
}

/* From where it was put off: the ladder's step, and the conversation behind it. */
static int go_on(tm_llm_ask *ask, const tm_json *state, tm_err *err) {
  if (tm_ask_resume(ask, state, err) < 0 || take_rung(ask, err) < 0)
    return -1;
  if (ask->messages)
    ask->question.messages = ask->messages;
  return 0;
}

static int start(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_json *state,
                 const tm_llm_events *ev, bool embedding, tm_err *err) {
  tm_llm_ask *ask = tm_new(tm_llm_ask);
  *out = NULL;
  ask->llm = l;
  ask->events = *ev;
  ask->used = TM_LLM_COUNTS_NONE;
  ask->started_ns = tm_clock_ns();
  tm_arena_init(&ask->arena, ARENA_MAX);
  tm_list_init(&ask->link);
  ask->request = copy_request(&ask->arena, request);
  if (!ask->request) {
    tm_err_set(err, TM_LIMIT, "the question is larger than %zu bytes", ARENA_MAX);
    goto fail;
  }
  if (read_request(ask, request, embedding, err) < 0)
    goto fail;
  if (state && go_on(ask, state, err) < 0)
    goto fail;
  tm_list_append(&l->asks, &ask->link);
  ask->timer = tm_timer_start(l->loop, 0, send_next, ask);
  *out = ask;
  return 0;

fail:
  release(ask);
  return -1;
}

int tm_llm_start(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_llm_events *ev,
                 tm_err *err) {
  return start(out, l, request, NULL, ev, false, err);
}

int tm_llm_resume(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_json *state,
                  const tm_llm_events *ev, tm_err *err) {
  return start(out, l, request, state, ev, false, err);
}

int tm_llm_embed(tm_llm_ask **out, tm_llm *l, const tm_json *request, const tm_json *state,
                 const tm_llm_events *ev, tm_err *err) {
  return start(out, l, request, state, ev, true, err);
}
