/* mock.h - a stand-in for model providers and for the world that actions act on.
 *
 *   server.c  sockets and HTTP/1.1: whole requests in, replies out
 *   play.c    rules, and what the model says
 *   fault.c   faults: what is sent instead of an answer, or done to one
 *   spoil.c   a right answer with something wrong in its bytes
 *   speak.c   an answer in the words of each provider
 *   frame.c   the events of a stream on the wire
 *   world.c   effects by idempotency key, and the log of everything received
 */
#ifndef TM_MOCK_H
#define TM_MOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "text/json.h"

#define MOCK_HEADERS 64

typedef struct mock_request {
  const char *method, *path; /* path with its query */
  struct {
    const char *name, *value; /* name in lower case */
  } headers[MOCK_HEADERS];
  size_t header_count;
  const char *body;
  size_t body_len;
} mock_request;

const char *mock_header(const mock_request *r, const char *name); /* NULL when absent */

/* How a reply is sent. */
typedef enum mock_manner {
  MOCK_WHOLE,
  MOCK_HANG,     /* not at all, and the connection stays */
  MOCK_RESET,    /* not at all, and the connection is reset */
  MOCK_TRUNCATE, /* half of it, then the connection is closed */
  MOCK_CLOSE,    /* not at all, and the connection is closed */
  MOCK_CUT,      /* half of it, then the connection is reset */
  MOCK_STALL,    /* half of it, and the connection stays */
  MOCK_LAST,     /* all of it, then the connection is closed */
  MOCK_SNAP,     /* all of it, then the connection is reset */
  MOCK_LINGER    /* all of it but its end is not told, and the connection stays */
} mock_manner;

typedef struct mock_reply {
  int status;
  tm_buf headers; /* lines that end in CRLF */
  tm_buf body;
  tm_buf raw;       /* all bytes of the reply, instead of the above; empty: none */
  const char *drip; /* sent behind it again and again, without an end; NULL: nothing */
  size_t step;      /* bytes sent at a time; 0: no limit */
  mock_manner manner;
  int64_t delay_ms;
} mock_reply;

typedef struct mock mock;
struct mock {
  tm_arena arena; /* as long as the program */
  const tm_json *rules;
  int *rule_uses;    /* by rule */
  int *rule_fits;    /* also when its share left the request to the next rule */
  tm_map fault_uses; /* by fault, as text */
  tm_map effects;    /* "/refunds KEY" -> the stored answer */
  tm_buf log;        /* JSON objects with commas between them */
  bool keep_log, quit;
  int64_t requests, models, executed;
};

int mock_load_rules(mock *m, const char *file, tm_err *err);
/* The whole reply to one request. */
void mock_answer(mock *m, const mock_request *r, mock_reply *out);

typedef enum mock_dialect {
  MOCK_NO_MODEL,
  MOCK_CHAT,
  MOCK_RESPONSES,
  MOCK_ANTHROPIC,
  MOCK_GEMINI,
  MOCK_OLLAMA,
  MOCK_VECTORS
} mock_dialect;

/* speak.c: by the path; whether a stream is wanted; the answer, whole or one event a line. */
mock_dialect mock_dialect_of(const mock_request *r);
bool mock_streams(const mock_request *r, const tm_json *body);
void mock_speak(tm_buf *out, const mock_request *r, const tm_json *body, const tm_buf *text,
                const tm_json *tool, bool streamed, size_t piece);

/* frame.c: events on the wire; style "" is the plain one. */
void mock_frame(tm_buf *out, const tm_buf *events, mock_dialect dialect, const char *style);

/* fault.c: in the place of an answer (false: this one does not take it), for a provider that
 * streams lines or events; and to an answer. */
/* spoil.c: an answer whose headers and body are whole. */
void mock_spoil(mock_reply *out, const char *name);
bool mock_fault_replaces(mock_reply *out, const char *name, bool lines);
void mock_fault_spoils(mock_reply *out, const char *name);
/* What a model says by this fault instead of `text`; NULL: nothing else. */
const char *mock_fault_says(const char *name);

/* world.c: true when the path is the world's or the log's. */
bool mock_is_model(const mock_request *r);
void mock_world(mock *m, const mock_request *r, mock_reply *out);
void mock_log(mock *m, const mock_request *r);

#endif
