/* heard.h - what a model has said so far, from one body or piece by piece.
 *
 *   plain     one JSON body ───────── provider.read ──┐
 *                                                     ├─> heard ──> answer
 *   streamed  many JSON events ────── provider.event ─┘
 *
 * Both roads fill the same thing, so that a streamed answer cannot differ from a plain one by
 * how it is judged. What was heard is no answer before `whole` is set: that is the terminator
 * of a stream, or the fact that the body was one JSON value.
 */
#ifndef TM_LLM_HEARD_H
#define TM_LLM_HEARD_H

#include "base/buf.h"
#include "text/json.h"

#define TM_HEARD_TEXT  ((size_t)16 << 20)
#define TM_HEARD_CALLS 128

/* Counts as a server told them; -1: not told. Negative and absurd ones count as not told.
 * input includes what came from a cache and what was written to one; output includes hidden
 * reasoning. */
typedef struct tm_llm_counts {
  int64_t input, cached_input, cache_write, output, reasoning, total;
} tm_llm_counts;
#define TM_LLM_COUNTS_NONE ((tm_llm_counts){-1, -1, -1, -1, -1, -1})

/* The model wants a tool to be called. */
typedef struct tm_heard_tool {
  const char *id, *name; /* id may be NULL */
  tm_buf text;           /* arguments as JSON text */
  const tm_json *opaque; /* has to go back unchanged in front of the call; or NULL */
} tm_heard_tool;

typedef struct tm_heard {
  tm_arena *a; /* the small things; soft */
  tm_buf text, refusal;
  tm_heard_tool *tools;
  size_t tool_count;
  const tm_json *opaque;                               /* waits for the next tool call */
  const char *finish, *model, *fingerprint, *id, *why; /* NULL: not told */
  tm_llm_counts counts;
  bool counted, whole;
  const tm_json *error; /* the provider's own, in the middle of a stream */
} tm_heard;

void tm_heard_init(tm_heard *h, tm_arena *a);
void tm_heard_free(tm_heard *h);

/* Append a piece of text; NULL and null are no piece. -1 (TM_FAILED): `what` is no text. */
int tm_heard_say(tm_heard *h, tm_buf *to, const tm_json *piece, const char *what, tm_err *err);
/* The tool call at this place, made when it is new; TM_LIMIT over TM_HEARD_CALLS. */
int tm_heard_tool_at(tm_heard_tool **out, tm_heard *h, size_t i, tm_err *err);
/* A further tool call with its arguments, a string of JSON or the JSON itself. */
int tm_heard_call(tm_heard *h, const tm_json *id, const tm_json *name, const tm_json *arguments,
                  tm_err *err);
/* Remember a value that has to go back in front of the next tool call. */
void tm_heard_opaque(tm_heard *h, const tm_json *value);
/* Set *to to a copy of the string, if it is one; else leave it. */
void tm_heard_keep(tm_heard *h, const char **to, const tm_json *string);
/* True when something did not fit into memory. */
bool tm_heard_failed(const tm_heard *h);

#endif
