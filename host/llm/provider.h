/* provider.h - what one wire format has to know: how to ask, and how to read an answer.
 *
 *   question ── build ──> wire ── HTTP, or `call` in this process ──> bytes
 *                                                                       │ read, event
 *                                                      answer <── heard ┘
 *
 * A provider keeps nothing between the two and decides nothing about retries. What all of them
 * share (faults, statuses, error bodies, masking, streams) is in receive.c and stream.c.
 * Everything lives in the arena that is handed in, which is soft: a NULL out of it is "too
 * large". A further provider is one file like openai.c and one row in llm.c; docs/providers.md
 * shows how.
 */
#ifndef TM_LLM_PROVIDER_H
#define TM_LLM_PROVIDER_H

#include "llm/heard.h"
#include "llm/llm.h"
#include "llm/mask.h"
#include "llm/models.h"
#include "llm/shape.h"

typedef struct tm_llm_settings {
  tm_llm_env env;
  void *ctx;
} tm_llm_settings;

/* The setting's text, or NULL when it is absent or empty. */
const char *tm_llm_setting(const tm_llm_settings *s, const char *name);

/* A tool that the model may want to be called. */
typedef struct tm_llm_tool {
  const char *name, *description; /* description may be NULL */
  tm_shape *shape;                /* of its arguments, an object */
} tm_llm_tool;

typedef struct tm_llm_question {
  const char *provider, *model; /* what stands before and behind the first "/" */
  const tm_json *request;       /* the common request, see llm.h */
  const tm_json *config;        /* of this attempt; NULL: nothing is set */
  const tm_json *messages;      /* of this turn: with repairs and reasoning so far */
  const tm_json *input;         /* the texts to be embedded; NULL: an answer is wanted */
  tm_shape *shape;              /* NULL: prose is wanted */
  const tm_llm_tool *tools;
  size_t tool_count;
  const char *phase; /* "answer", "reason" or "extract" */
  int round;         /* repairs so far */
  unsigned rules;    /* what the model does not take: models.h */
  bool stream;
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
  const char *said; /* what a function wrote, where the text is only a part of it; or NULL */
  size_t said_len;
  const tm_json *tool_calls; /* array of {id, name, arguments (text), opaque?}; NULL: none */
  const tm_json *vectors;    /* of an embedding: an array of arrays of numbers; else NULL */
  const char *message;       /* for people, when class is set */
  int retry;                 /* the server's word on it: 1 yes, -1 no, 0 by class */
  int64_t wait_ms;           /* what an error body asks for; 0: nothing */
  const char *finish, *model, *request_id, *fingerprint; /* NULL: not told */
  const tm_json *usage;                                  /* NULL: not told */
} tm_llm_answer;

/* A word for the end of an answer that makes it none, or not all of one. */
typedef struct tm_llm_finish {
  const char *word;
  tm_llm_class class;
} tm_llm_finish;

typedef struct tm_provider tm_provider;
struct tm_provider {
  const char *name;
  /* Settings: the key (the first that is set), the base URL, and what it is otherwise. */
  const char *key_env, *other_key_env, *base_env, *base;
  bool keyless; /* a key is sent when there is one, and never needed */
  /* Who answers when base_env leads to a server that is not the provider's own; NULL: same. */
  const tm_provider *elsewhere;
  /* The request as bytes. TM_CONFIG: a setting is missing; TM_USAGE: cannot be said here. */
  int (*build)(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
               const tm_llm_settings *s, tm_err *err);
  /* A 2xx answer that is a JSON object. -1: it is not what this API answers (err says how). */
  int (*read)(tm_heard *h, const tm_json *body, tm_err *err);
  /* One event of a stream, a JSON object without a member "error"; sets h->whole at the end. */
  int (*event)(tm_heard *h, const tm_json *event, tm_err *err);
  const char *last;              /* an event that is no JSON and ends the stream; or NULL */
  const char *counter;           /* "\"name\":" of a number that only counts events; or NULL */
  bool lines;                    /* a stream is lines of JSON, not Server-Sent Events */
  const tm_llm_finish *finishes; /* ends with {NULL}; what is not in it is a good end */
  /* Embeddings: the vectors out of a 2xx body, in the order of the texts. NULL: has none. */
  int (*vectors)(tm_json **out, tm_heard *h, const tm_json *body, tm_err *err);
  /* Instead of HTTP and read: answer in this process. */
  void (*call)(const tm_provider *p, tm_llm_answer *out, tm_arena *a, const tm_llm_question *q);
};

extern const tm_provider tm_openai, tm_openai_chat, tm_openai_responses;
extern const tm_provider
    tm_openai_elsewhere; /* "openai" at another base URL: Chat Completions */
extern const tm_provider tm_anthropic, tm_gemini, tm_ollama;

/* A provider that is a function; owned by the caller (tm_free). */
tm_provider *tm_function_new(const char *name, tm_llm_fn fn, void *ctx);
/* The tool calls out of what a function wrote as its text, if the question offers tools and it is
 * a wish for them (function.c). */
void tm_function_read(tm_llm_answer *out, tm_arena *a, const tm_llm_question *q);

/* -- helpers for build (build.c) ------------------------------------------------------- */

/* The question's rules for OpenAI's models, which depend on the reasoning effort that is asked
 * for. */
unsigned tm_llm_openai_rules(const tm_llm_question *q);

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
               const tm_llm_question *q, tm_err *err);
void tm_llm_put_header(tm_llm_wire *wire, const char *name, const char *value);
/* Content-Type, and Accept by whether a stream is wanted. */
void tm_llm_put_types(tm_llm_wire *wire, const tm_llm_question *q, const char *streamed);
/* As Authorization: Bearer; nothing without a key. */
void tm_llm_put_bearer(tm_llm_wire *wire, tm_arena *a);
/* Print the body into the wire; -1 when the arena ran out. */
int tm_llm_put_body(tm_llm_wire *wire, tm_arena *a, const tm_json *body, tm_err *err);
/* The schema's name on the wire: at most 64 of [A-Za-z0-9_-]. */
const char *tm_llm_schema_name(tm_arena *a, const tm_json *request);

/* -- what OpenAI's two APIs share (openai.c) ------------------------------------------- */

/* Key, types, organization and project, for a request to `p`. */
int tm_openai_put_headers(tm_llm_wire *out, tm_arena *a, const tm_provider *p,
                          const tm_llm_question *q, const tm_llm_settings *s, tm_err *err);
/* A tool's description, parameters and strictness, beside its name in `o`. */
void tm_openai_put_function(tm_json *o, tm_arena *a, const tm_llm_tool *tool);

/* -- messages (message.c) ---------------------------------------------------------
 * A part is one of {text}, {media:{url, contentType}}, {toolRequest:{ref, name, input,
 * opaque?}}, {toolResponse:{ref, name, output}}, {metadata}. */

/* "assistant" for "model", or the role itself; NULL for one that there is not. */
const char *tm_llm_role(const tm_json *message);
/* Does each message have a role? A provider's build gets no others. */
int tm_llm_check_roles(const tm_json *messages, tm_err *err);
/* Is each media URL one that a provider may fetch: data:, gs:, or http(s) as the guard lets it?
 * Without a guard anything is. */
int tm_llm_check_media(const tm_json *messages, const tm_guard *guard, tm_err *err);
/* All text parts of a message joined, when it has only such; else NULL. */
tm_json *tm_llm_plain(tm_arena *a, const tm_json *message);
/* All system messages as one text, "" when there are none; NULL: one of them holds more than
 * text. */
tm_json *tm_llm_system(tm_arena *a, const tm_json *messages);
/* A part's media: its URL and type ("image/png"), the base64 text of a data: URL or NULL. */
typedef struct tm_llm_media {
  const char *url, *type, *data;
} tm_llm_media;
bool tm_llm_media_of(tm_llm_media *out, tm_arena *a, const tm_json *part);
bool tm_llm_media_is(const tm_llm_media *m, const char *type); /* "image/" or a whole type */
/* A file name for media that want one: "file.pdf". */
const char *tm_llm_media_name(tm_arena *a, const tm_llm_media *m);
/* What cannot be sent: TM_USAGE, with what can in `can`. Always -1. */
int tm_llm_refuse_part(const char *provider, const tm_json *part, const char *can, tm_err *err);
/* The value as text: a string itself, else its JSON. */
tm_json *tm_llm_as_text(tm_arena *a, const tm_json *value);
/* {type:"text", text} and the like: an object with `type` and one member more. */
tm_json *tm_llm_typed(tm_arena *a, const char *type, const char *key, const tm_json *value);

/* request.tool_choice: "auto", "none", "required", or a tool's name in *name. NULL: not set. */
const char *tm_llm_tool_choice(const tm_llm_question *q, const char **name);

/* -- helpers for read (receive.c) ------------------------------------------------------ */

tm_json *tm_llm_usage(tm_arena *a, tm_llm_counts c);
int64_t tm_llm_count(const tm_json *o, const char *pointer);

/* Any outcome of HTTP to an answer, when no stream was wanted. */
void tm_llm_receive(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                    const tm_http_res *res, bool embedding);
/* What was heard to its end, as an answer. */
void tm_llm_heard_out(tm_llm_answer *out, tm_arena *a, const tm_provider *p, const tm_heard *h);
/* A fault below HTTP; and bytes that are not what the API answers: `how`. */
void tm_llm_faulty(tm_llm_answer *out, tm_arena *a, const tm_http_res *res);
void tm_llm_misunderstood(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                          const tm_http_res *res, const char *how);
/* The provider's own error object, or the body when there is none. */
void tm_llm_complain(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                     const tm_http_res *res, const tm_json *error);
/* Request id and x-should-retry. */
void tm_llm_read_headers(tm_llm_answer *out, tm_arena *a, const tm_http_res *res);
/* At most `max` bytes for a message: what does not print is \xNN. */
const char *tm_llm_quote(tm_arena *a, const char *text, size_t len, size_t max);
bool tm_llm_retryable(tm_llm_class c);

#endif
