/* prompt.h - a prompt unit: a Dotprompt file, parsed.
 *
 *   NAME[.VARIANT].prompt
 *   # a licence line, or none
 *   ---                         front matter (strict YAML)
 *   model: openai/gpt-4.1-mini
 *   config: { temperature: 0, maxOutputTokens: 800 }
 *   input:  { schema: { text: string }, default: { … } }
 *   output: { schema: { category(enum): [billing, bug] } }
 *   tidemill.mode: reason_then_extract
 *   ---
 *   {{role "system"}} … {{text}}
 *
 * A unit lives in the arena it was parsed into and is read-only afterwards.
 */
#ifndef TM_TEXT_PROMPT_H
#define TM_TEXT_PROMPT_H

#include "text/schema.h"
#include "text/template.h"

/* The settings under `tidemill.`: name, what it is (for messages and docs). */
#define TM_PROMPT_SETTINGS(X)                                                                 \
  X(mode, "direct or reason_then_extract")                                                    \
  X(repair, "a number of rounds to mend a bad answer, 0 to 10")                               \
  X(retries, "a number of times to send a failed call again, 0 to 20")                        \
  X(timeout, "a duration such as 60s, or milliseconds")                                       \
  X(tries, "a list of what to try in order")                                                  \
  X(fallback, "a list of model names")                                                        \
  X(checks, "an object of content checks, or a list of them")                                 \
  X(stream, "true or false")                                                                  \
  X(timeouts, "an object of durations: connect, first_byte, idle, total")                     \
  X(seed, "a whole number")                                                                   \
  X(confidence, "{ of: a member of the answer, at_least: a number, else: return or review }") \
  X(cache, "exact, or an object of ttl, similar, of and embed")

typedef struct tm_prompt {
  const char *name;             /* with the variant: "classify" or "classify.short" */
  const char *model;            /* "provider/model" or NULL */
  const char *description;      /* or NULL */
  const tm_json *config;        /* object, possibly empty */
  const tm_json *input_schema;  /* JSON Schema or NULL */
  const tm_json *input_default; /* object or NULL */
  const tm_json *output_schema; /* JSON Schema or NULL: free text */
  const char *output_format;    /* "json", "text" or NULL */
  const tm_json *settings; /* the tidemill.* keys as one object: {"mode": …, "repair": 2, …};
                            * `timeout` is in milliseconds, whatever was written, and
                            * `cache` {ttl_ms?, similar?, of?, embed?} */
  const tm_json *ext;      /* all x.y keys: {"x": {"y": …}}, split at the last dot */
  const tm_json *meta;     /* all front matter as read */
  tm_schema *input;        /* compiled; NULL without a schema */
  tm_schema *output;
  tm_template *body;
} tm_prompt;

typedef struct tm_prompt_source {
  /* Source of a partial ("_name.prompt" without its front matter); NULL when there is none. */
  tm_template_partial partial;
  /* A schema by name (workflows/schemas/NAME.json); NULL when there is none. */
  tm_schema_named schema;
  void *ctx;
  bool keep_unknown; /* a file of another tool: unknown keys stay in `meta` and are no error */
} tm_prompt_source;

/* Parse and compile one file; NULL src: no partials, no named schemas. Errors name the file
 * and the line. Unknown keys outside Dotprompt's own and `x.y` extension keys, and unknown
 * tidemill.* settings, are errors (TM_USAGE). */
int tm_prompt_parse(tm_prompt **out, tm_arena *a, const char *name, const char *file,
                    const char *text, size_t len, const tm_prompt_source *src, tm_err *err);

/* Put `vars` (an object; NULL: none) on top of input.default, check them against the input
 * schema, and render the messages. The template sees the @ variables of `context` (an object
 * or NULL) and @metadata.prompt, @metadata.messages. Bad variables are TM_USAGE. */
int tm_prompt_render(tm_json **messages, tm_arena *a, const tm_prompt *p, const tm_json *vars,
                     const tm_json *context, const tm_json *history, tm_err *err);

#endif
