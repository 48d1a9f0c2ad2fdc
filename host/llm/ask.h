/* ask.h - what the files of the ask machine share: the registry, an ask, and what an attempt
 * came to.
 *
 *   llm.c     who there is; preview, describe
 *   ask.c     the machine: sending, waiting, going on
 *   talk.c    the conversation: repairs and phases; judging an answer
 *   tell.c    what is told: attempts, meta, errors
 *   resume.c  where an ask stands, as JSON, and going on from there
 *   ladder.c  which model and configuration is next
 *   lane.c    the line in front of a model: limits, breaker
 *   entry.c   an ask's way in there and out again
 */
#ifndef TM_LLM_ASK_H
#define TM_LLM_ASK_H

#include "base/id.h"
#include "base/list.h"
#include "llm/cassette.h"
#include "llm/ladder.h"
#include "llm/lane.h"
#include "llm/prices.h"
#include "llm/provider.h"
#include "llm/stream.h"
#include "text/checks.h"

#define TM_LLM_WORK_MAX ((size_t)32 << 20)
#define TM_LLM_STREAM_ABOVE \
  16000 /* tokens of output: longer answers outlast plain requests \
         */
#define TM_LLM_TOOLS  128
#define TM_LLM_ROUNDS 10 /* repairs and retries each, whatever is asked for */

struct tm_llm {
  tm_loop *loop;
  tm_http *http;
  tm_llm_settings settings;
  tm_provider **functions; /* owned */
  size_t function_count;
  tm_provider *cassette;
  const tm_guard *guard; /* of media URLs; NULL: none */
  tm_recorder *recorder; /* NULL: nothing is recorded */
  tm_prices prices;
  tm_models models;
  tm_list asks;
  tm_dice dice; /* of the jitter, which is nobody's record */
  tm_shapes shapes;
  tm_lanes lanes;
  /* For what begins and ends in one callback of the loop: building a request, reading an answer
   * (work, soft), what is told of it (told, firm). No such callback runs inside another. */
  tm_arena work, told;
};

struct tm_llm_ask {
  tm_list link;
  tm_llm *llm;
  tm_arena arena;
  char *sent;
  tm_llm_events events;
  const tm_json *request; /* without its schema, which the shape has */
  const tm_provider *provider;
  tm_llm_question question;
  tm_json *messages; /* our own list, once there is more in it than the request's */
  tm_shape *shape;
  tm_checks *checks; /* or NULL */
  tm_llm_tool *tools;
  size_t tool_count;
  tm_ladder ladder;
  bool two_phases, reasoning; /* reason_then_extract; and its phase "reason" */
  bool streaming;             /* wished for */
  int retries, repairs;       /* allowed */
  int64_t connect_ms, first_byte_ms, idle_ms, total_ms;

  int n;     /* attempts so far */
  int tries; /* of this turn of the conversation */
  int round; /* repairs so far, of this rung */
  int rounds;
  tm_http_call *call;
  tm_llm_stream *stream; /* of this attempt; NULL: a plain one */
  tm_timer *timer;
  tm_llm_wire wire;
  tm_llm_answer answer;
  const tm_json *dropped; /* in arena */
  tm_pass pass;           /* through the lane of who is asked */
  bool waiting_told;      /* that it is in line */
  tm_llm_counts used;     /* over all attempts */
  double usd;             /* of all attempts whose price is known */
  bool priced, unpriced;  /* there was one; there was one whose price is not known */
  int64_t started_ns, sent_ns, sent_at;
  bool sent_any; /* a byte of an attempt that has ended may have left */
  bool telling, cancelled;
};

/* What an attempt came to. */
typedef struct tm_outcome {
  tm_llm_class class;
  const char *message;
  const char *code; /* word of tm_err's code, for what is wrong on our side; or NULL */
  tm_json *value;
  const tm_json *tool_calls; /* checked, arguments parsed; NULL: none */
  bool unsure;               /* an answer, but below the confidence that is asked for */
  tm_schema_report report;
  int status;
  int64_t retry_in_ms; /* -1: not again */
} tm_outcome;

/* The provider of a name, NULL when there is none. A function hides a built-in. */
const tm_provider *tm_llm_provider(const tm_llm *l, const char *name, size_t len);
/* All of them, by number; NULL past the end. */
const tm_provider *tm_llm_provider_at(const tm_llm *l, size_t i);

/* Fill provider, model, request, config and messages of a question to `model`, and return who
 * answers it. NULL: TM_USAGE, the model is not written as PROVIDER/MODEL; TM_CONFIG, nobody has
 * that name. */
const tm_provider *tm_llm_question_of(tm_llm_question *q, tm_arena *a, const tm_llm *l,
                                      const tm_json *request, const char *model, tm_err *err);
/* The request's tools, in arena `a`, each with a reference to its shape. */
int tm_llm_tools_get(tm_llm_tool **out, size_t *count, tm_arena *a, tm_llm *l,
                     const tm_json *request, tm_err *err);
void tm_llm_tools_drop(tm_llm_tool *tools, size_t count);
/* Whether the question's answer is to be streamed. */
bool tm_llm_streams(const tm_json *request, const tm_json *config);

/* Silently, all that is open. In ask.c. */
void tm_llm_cancel_all(tm_llm *l);

/* -- talk.c ---------------------------------------------------------------------------- */

/* Is what came back an answer? Sets class, message and value. */
void tm_ask_judge(tm_llm_ask *ask, tm_outcome *o);
/* Put the next turn behind the messages. */
void tm_ask_for_repair(tm_llm_ask *ask, const tm_outcome *o);
void tm_ask_for_extract(tm_llm_ask *ask);
/* As if nothing had been said yet. */
void tm_ask_anew(tm_llm_ask *ask);

/* -- tell.c ---------------------------------------------------------------------------- */

/* false: the listener has cancelled the ask. `res` is NULL when it was a function. */
bool tm_ask_tell_attempt(tm_llm_ask *ask, const tm_outcome *o, const tm_http_res *res);
/* What it waits in line for. */
bool tm_ask_tell_waiting(tm_llm_ask *ask);
bool tm_ask_tell_news(tm_llm_ask *ask, const char *text, size_t len);
void tm_ask_tell_end(tm_llm_ask *ask, const tm_outcome *o);
/* The next try lies far ahead: `later`, which ends the ask as `done` does. */
void tm_ask_tell_later(tm_llm_ask *ask, const tm_outcome *o);
int64_t tm_ask_elapsed_ms(const tm_llm_ask *ask); /* not counting waits that were put off */

/* -- entry.c --------------------------------------------------------------------------- */

/* Into the lane of who is asked: the wire is built. */
tm_lane_word tm_ask_enter(tm_llm_ask *ask, void (*called)(void *ctx, tm_lane_word word));
/* What came of it, said to the lane before anybody who is told of it may ask again. asked_ms: the wait
 * that the other side wants; -1: none. */
void tm_ask_leave(tm_llm_ask *ask, tm_llm_class class, const tm_http_res *res,
                  int64_t asked_ms);

/* -- resume.c -------------------------------------------------------------------------- */

/* Where the ask stands between two tries: what `later` tells and tm_llm_resume takes. */
tm_json *tm_ask_state(tm_arena *a, const tm_llm_ask *ask);
/* Stand there again, before anything is sent; the step of the ladder is still to be taken.
 * TM_INTERNAL: it is no such state. */
int tm_ask_resume(tm_llm_ask *ask, const tm_json *state, tm_err *err);

#endif
