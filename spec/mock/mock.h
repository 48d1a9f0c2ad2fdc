/* mock.h - a stand-in for model providers and for the world that actions act on.
 *
 *   server.c  sockets and HTTP/1.1: whole requests in, replies out
 *   play.c    rules, faults, and answers in the words of OpenAI and Anthropic
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
  MOCK_CLOSE     /* not at all, and the connection is closed */
} mock_manner;

typedef struct mock_reply {
  int status;
  tm_buf headers; /* lines that end in CRLF */
  tm_buf body;
  mock_manner manner;
  int64_t delay_ms;
} mock_reply;

typedef struct mock mock;
struct mock {
  tm_arena arena; /* as long as the program */
  const tm_json *rules;
  int *rule_uses;    /* by rule */
  tm_map fault_uses; /* by fault, as text */
  tm_map effects;    /* "/refunds KEY" -> the stored answer */
  tm_buf log;        /* JSON objects with commas between them */
  bool keep_log, quit;
  int64_t requests, models, executed;
};

int mock_load_rules(mock *m, const char *file, tm_err *err);
/* The whole reply to one request. */
void mock_answer(mock *m, const mock_request *r, mock_reply *out);

/* world.c: true when the path is the world's or the log's. */
bool mock_is_model(const mock_request *r);
void mock_world(mock *m, const mock_request *r, mock_reply *out);
void mock_log(mock *m, const mock_request *r);

#endif
