/* provider.h - what one wire format has to know: how to ask, and how to read an answer.
 *
 *   question ── build ──> wire ── HTTP, or `call` in this process ──> bytes ── read ──> answer
 *
 * A provider keeps nothing between the two and decides nothing about retries. What all of them
 * share (faults, statuses, error bodies, masking) is in receive.c. Everything lives in the
 * arena that is handed in, which is soft: a NULL out of it is "too large".
 */
#ifndef TM_LLM_PROVIDER_H
#define TM_LLM_PROVIDER_H

#include "llm/llm.h"
#include "llm/shape.h"

typedef struct tm_llm_settings {
  tm_llm_env env;
  void *ctx;
} tm_llm_settings;

/* The setting's text, or NULL when it is absent or empty. */
const char *tm_llm_setting(const tm_llm_settings *s, const char *name);

typedef struct tm_llm_question {
  const char *provider, *model; /* what stands before and behind the first "/" */
  const tm_json *request;       /* the common request, see llm.h */
  const tm_json *messages;      /* of this turn: with repairs and reasoning so far */
  tm_shape *shape;              /* NULL: prose is wanted */
  const char *phase;            /* "answer", "reason" or "extract" */
  int round;                    /* repairs so far */
} tm_llm_question;

typedef struct tm_llm_wire {
  const char *method, *url;
  tm_http_header headers[8];
  size_t header_count;
  const char *body;
  size_t body_len;
  const tm_json *dropped; /* array: names in config that this model does not take */
  const char *secret;     /* the key's text, to be masked wherever it turns up; or NULL */
  bool wrapped;           /* the answer is expected under "value", see shape.h */
} tm_llm_wire;

typedef struct tm_llm_answer {
  tm_llm_class class; /* TM_LLM_NONE: `text` is the answer */
  const char *text;
  size_t text_len;
  const char *message; /* for people, when class is set */
  int retry;           /* the server's word on it: 1 yes, -1 no, 0 by class */
  const char *finish, *model, *request_id, *fingerprint; /* NULL: not told */
  const tm_json *usage;                                  /* NULL: not told */
} tm_llm_answer;

typedef struct tm_provider tm_provider;
struct tm_provider {
  const char *name;
  const char *key_env, *base_env, *base; /* settings, and the URL when base_env is not set */
  /* The request as bytes. TM_CONFIG: a setting is missing; TM_USAGE: cannot be said here. */
  int (*build)(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
               const tm_llm_settings *s, tm_err *err);
  /* A 2xx answer that is a JSON object. -1: it is not what this API answers (err says how). */
  int (*read)(tm_llm_answer *out, tm_arena *a, const tm_json *body, tm_err *err);
  /* Instead of HTTP and read: answer in this process. */
  void (*call)(const tm_provider *p, tm_llm_answer *out, tm_arena *a, const tm_llm_question *q);
};

extern const tm_provider tm_openai, tm_anthropic;

/* A provider that is a function; owned by the caller (tm_free). */
tm_provider *tm_function_new(const char *name, tm_llm_fn fn, void *ctx);

/* -- helpers for build (build.c) ------------------------------------------------- */

/* What a model does not take; models.inc has the rules. */
enum {
  TM_MODEL_NO_SAMPLING = 1,   /* temperature, topP, topK, penalties */
  TM_MODEL_SAMPLING_BARE = 2, /* temperature and topP only with reasoningEffort "none" */
  TM_MODEL_NO_STOP = 4,
  TM_MODEL_VERSION_2023 = 8 /* sampling only under Anthropic's version of 2023 */
};
unsigned tm_llm_model_rules(const char *provider, const char *model);

/* One of config's names on the wire. It is dropped when the model has any of `unless`. */
typedef struct tm_llm_field {
  const char *name, *wire;
  unsigned unless;
} tm_llm_field;

/* Copy config to `body` by the table (`count` fields); what is not in it, or not taken by a
 * model of these rules, is listed in wire->dropped. `handled` (NULL-terminated) is somebody
 * else's. */
void tm_llm_put_config(tm_llm_wire *wire, tm_arena *a, tm_json *body, const tm_json *config,
                       const tm_llm_field *fields, size_t count, unsigned rules,
                       const char *const *handled);
void tm_llm_drop(tm_llm_wire *wire, tm_arena *a, const char *name);

/* The base URL (of base_env, else the provider's own) with `path` put in before any query. */
const char *tm_llm_url(tm_arena *a, const tm_provider *p, const tm_llm_settings *s,
                       const char *path);
bool tm_llm_own_base(const tm_provider *p, const tm_llm_settings *s);
/* The key; or NULL where none is needed, at a base of one's own. -1, TM_CONFIG: one is. */
int tm_llm_key(const char **key, const tm_provider *p, const tm_llm_settings *s,
               const char *model, tm_err *err);
void tm_llm_put_header(tm_llm_wire *wire, const char *name, const char *value);
/* Print the body into the wire; -1 when the arena ran out. */
int tm_llm_put_body(tm_llm_wire *wire, tm_arena *a, const tm_json *body, tm_err *err);

/* "assistant" for "model", or the role itself; NULL for one that cannot be sent yet. */
const char *tm_llm_role(const tm_json *message);
/* All text parts of a message joined, when it has only such; else NULL. */
tm_json *tm_llm_plain(tm_arena *a, const tm_json *message);
/* A part's media: its URL and type ("image/png"), the base64 text of a data: URL or NULL. */
typedef struct tm_llm_media {
  const char *url, *type, *data;
} tm_llm_media;
bool tm_llm_media_of(tm_llm_media *out, tm_arena *a, const tm_json *part);

/* -- helpers for read (receive.c) ------------------------------------------------ */

/* Counts as a server told them; -1: not told. Negative and absurd ones count as not told. */
typedef struct tm_llm_counts {
  int64_t input, cached_input, output, reasoning, total;
} tm_llm_counts;
tm_json *tm_llm_usage(tm_arena *a, tm_llm_counts c);
int64_t tm_llm_count(const tm_json *o, const char *pointer);

/* Any outcome of HTTP to an answer. */
void tm_llm_receive(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                    const tm_http_res *res);
/* The text with "***" for every occurrence of the secret; the text itself when there is none.
 */
const char *tm_llm_mask(tm_arena *a, const char *text, size_t *len, const char *secret);
/* At most `max` bytes for a message: what does not print is \xNN. */
const char *tm_llm_quote(tm_arena *a, const char *text, size_t len, size_t max);
bool tm_llm_retryable(tm_llm_class c);

#endif
