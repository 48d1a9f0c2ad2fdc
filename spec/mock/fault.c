/* fault.c - faults: what is sent instead of an answer, or done to one.
 *
 * A number is that status with an error body. docs/faults.md lists all the others, with what
 * the asking side makes of them.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mock.h"

#define MIB   ((size_t)1 << 20)
#define FLOOD (40 * MIB) /* more than anybody takes */

static void refuse(mock_reply *out, int status, const char *code) {
  out->status = status;
  tm_buf_puts(&out->headers, "Content-Type: application/json\r\n");
  tm_buf_printf(
      &out->body,
      "{\"error\":{\"message\":\"the mock says %d\",\"type\":\"mock\",\"code\":\"%s\"}}",
      status, code);
}

/* -- without an answer ----------------------------------------------------------------- */

static bool silent(const char *name, mock_manner *manner) {
  static const struct {
    const char *name;
    mock_manner manner;
  } table[] = {{"reset", MOCK_RESET}, {"close", MOCK_CLOSE}, {"hang", MOCK_HANG}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(name, table[i].name) == 0)
      return *manner = table[i].manner, true;
  return false;
}

/* -- answers with status 200 that are none --------------------------------------------- */

static const struct body {
  const char *name, *type, *body;
} bodies[] = {
    {"garbage", "application/json", "{\"choices\": [oops"},
    {"page", "text/html", "<!doctype html><title>Bad gateway</title>"},
    {"nochoices", "application/json", "{\"choices\":[],\"content\":null}"},
    {"empty", "application/json", ""},
    {"list", "application/json", "[]"},
    {"wrongtypes", "application/json",
     "{\"choices\":[{\"message\":{\"content\":7}}],\"output\":7,\"content\":7,\"candidates\":"
     "[{\"finishReason\":\"STOP\",\"content\":{\"parts\":[{\"text\":7}]}}],\"message\":{"
     "\"content\":7},\"done\":true}"},
    {"number", "application/json", "7"},
    {"null", "application/json", "null"},
    {"blank", "application/json", " \n\t\r\n"},
    {"object", "application/json", "{}"},
    {"200error", "application/json",
     "{\"error\":{\"message\":\"it "
     "broke\",\"type\":\"server_error\",\"code\":\"server_error\"}}"},
};

static const struct body *body_named(const char *name) {
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
    if (strcmp(bodies[i].name, name) == 0)
      return &bodies[i];
  return NULL;
}

/* -- statuses with something beside ---------------------------------------------------- */

static const struct status {
  const char *name;
  int status;
  const char *code, *headers;
} statuses[] = {
    {"quota", 429, "insufficient_quota", ""},
    {"context", 400, "context_length_exceeded", ""},
    {"filter", 400, "content_filter", ""},
    {"429s", 429, "", "Retry-After: 0\r\n"},
    {"429ms", 429, "", "retry-after-ms: 3\r\n"},
    {"429date", 429, "",
     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"},
    {"429negative", 429, "", "Retry-After: -20\r\n"},
    {"429garbage", 429, "", "Retry-After: tomorrow at noon\r\n"},
    {"429huge", 429, "", "Retry-After: 99999999999\r\n"},
    {"429hugems", 429, "", "retry-after-ms: 1e300\r\n"},
    {"429future", 429, "", "Retry-After: Thu, 31 Dec 2099 23:59:59 GMT\r\n"},
    {"429fraction", 429, "", "Retry-After: 0.001\r\n"},
    {"429empty", 429, "", "Retry-After:\r\n"},
    {"429baddate", 429, "", "Retry-After: Sun, 99 Nov 1994 99:99:99 GMT\r\n"},
    {"429badms", 429, "", "retry-after-ms: soon\r\n"},
    {"503s", 503, "", "Retry-After: 0\r\n"},
    {"noretry", 500, "", "x-should-retry: false\r\n"},
    {"retry400", 400, "", "x-should-retry: true\r\n"},
    {"redirect", 307, "", "Location: http://127.0.0.1:1/landing\r\n"},
    {"redirectfile", 301, "", "Location: file:///etc/passwd\r\n"},
    {"redirectloop", 302, "", "Location: /fault/redirectloop/v1\r\n"},
};

/* A gateway's page under a status, for a status that a gateway has. */
static bool send_page(mock_reply *out, const char *name) {
  size_t len = strlen(name);
  if (len != 7 || strcmp(name + 3, "page") != 0)
    return false;
  out->status = atoi(name);
  tm_buf_puts(&out->headers, "Content-Type: text/html\r\n");
  tm_buf_puts(&out->body, "<!doctype html><title>nginx</title>the mock says so");
  return true;
}

static bool send_status(mock_reply *out, const char *name) {
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
    if (strcmp(statuses[i].name, name) == 0) {
      tm_buf_puts(&out->headers, statuses[i].headers);
      return refuse(out, statuses[i].status, statuses[i].code), true;
    }
  return false;
}

/* -- bytes that are no HTTP, or far too many of them ----------------------------------- */

static void fill(tm_buf *out, char c, size_t count) {
  tm_buf_reserve(out, count);
  memset(out->data + out->len, c, count);
  out->len += count;
  out->data[out->len] = '\0';
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void half_head(tm_buf *out) {
  tm_buf_puts(out, "HTTP/1.1 200 OK\r\nContent-Ty");
}

static void bad_gzip(tm_buf *out) {
  static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xec, 0xc1, 0x81};
  tm_buf_puts(out, OK_HEAD "Content-Encoding: gzip\r\n\r\n");
  tm_buf_put(out, head, sizeof head);
}

static void bad_chunk(tm_buf *out) {
  tm_buf_puts(out, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\nzz\r\n1}\r\n");
}

static void cut_chunk(tm_buf *out) {
  tm_buf_puts(out, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n40\r\n{\"choices\":[");
}

static void no_http(tm_buf *out) {
  tm_buf_puts(out, "SSH-2.0-OpenSSH_9.2p1\r\n");
}

static void huge_header(tm_buf *out) {
  tm_buf_puts(out, "HTTP/1.1 200 OK\r\nX-Long: ");
  fill(out, 'x', 8 * MIB);
  tm_buf_puts(out, "\r\nContent-Length: 0\r\n\r\n");
}

static void many_headers(tm_buf *out) {
  tm_buf_puts(out, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 100000; i++)
    tm_buf_printf(out, "X-%d: some value of a header\r\n", i);
  tm_buf_puts(out, "Content-Length: 0\r\n\r\n");
}

static void flood_1xx(tm_buf *out) {
  for (int i = 0; i < 100000; i++)
    tm_buf_puts(out, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

static void huge_body(tm_buf *out) {
  tm_buf_puts(out, OK_HEAD "\r\n{\"choices\":[{\"message\":{\"content\":\"");
  fill(out, 'x', FLOOD);
}

/* A raw deflate stream may repeat a block that ends on a byte: this one is 64 KiB of "a". */
static void gzip_bomb(tm_buf *out) {
  static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
  static const unsigned char start[] = {0xec, 0xc1, 0x81, 0,    0,    0,    0,   0x80,
                                        0x20, 0xd6, 0xfd, 0x25, 0x16, 0xa9, 0x0a};
  static const unsigned char end[] = {0x6a, 0, 0, 0, 0xff, 0xff};
  tm_buf_puts(out, OK_HEAD "Content-Encoding: gzip\r\n\r\n");
  tm_buf_put(out, head, sizeof head);
  for (int i = 0; i < 4096; i++) {
    tm_buf_put(out, start, sizeof start);
    fill(out, '\0', 63);
    tm_buf_put(out, end, sizeof end);
  }
}

static void deep_json(tm_buf *out) {
  tm_buf_puts(out, OK_HEAD "Content-Length: 1000000\r\n\r\n");
  fill(out, '[', 1000000);
}

static void huge_error(tm_buf *out) {
  tm_buf_puts(out,
              "HTTP/1.1 500 Broken\r\nContent-Type: application/json\r\n\r\n{\"error\":\"");
  fill(out, 'x', FLOOD);
}

/* Quotation marks and braces: what a reader of JSON does most with. */
static void quotes(tm_buf *out) {
  tm_buf_puts(out, OK_HEAD "\r\n[");
  fill(out, '"', 8 * MIB);
}

#define EVENTS_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

static void deep_event(tm_buf *out) {
  tm_buf_puts(out, EVENTS_HEAD "data: {\"choices\":");
  fill(out, '[', 1000000);
  tm_buf_puts(out, "\n\n");
}

static void deep_line(tm_buf *out) {
  tm_buf_puts(out, EVENTS_HEAD "{\"message\":{},\"done\":false}\n{\"message\":");
  fill(out, '[', 1000000);
  tm_buf_puts(out, "\n");
}

static void huge_line(tm_buf *out) {
  tm_buf_puts(out, EVENTS_HEAD "data: ");
  fill(out, 'x', FLOOD);
}

/* The event over and over: all there is so far is copied behind itself. */
static void flood(tm_buf *out, const char *event) {
  tm_buf_puts(out, EVENTS_HEAD);
  tm_buf_reserve(out, 2 * FLOOD);
  size_t head = out->len;
  tm_buf_puts(out, event);
  while (out->len - head < FLOOD / 2)
    tm_buf_put(out, out->data + head, out->len - head);
  tm_buf_put(out, out->data + head, out->len - head);
}

static void line_flood(tm_buf *out) {
  flood(out, "{\"message\":{\"content\":\"\"},\"done\":false}\n");
}

static void blank_flood(tm_buf *out) {
  flood(out, "\n\n \n");
}

static void event_flood(tm_buf *out) {
  flood(out, "data: {\"type\":\"ping\",\"choices\":[],\"candidates\":[]}\n\n");
}

static void comment_flood(tm_buf *out) {
  flood(out, ": ping\n\n");
}

static void half_body(tm_buf *out) {
  tm_buf_puts(out, OK_HEAD "\r\n{\"id\":");
}

static void half_stream(tm_buf *out) {
  tm_buf_puts(out, EVENTS_HEAD);
}

static const struct raw {
  const char *name;
  void (*write)(tm_buf *out);
  mock_manner manner;
  void (*lines)(tm_buf *out); /* for a provider that streams lines; NULL: the same */
  const char *drip;
} raws[] = {{"cuthead", half_head, MOCK_LAST, NULL, NULL},
            {"stallhead", half_head, MOCK_LINGER, NULL, NULL},
            {"resethead", half_head, MOCK_SNAP, NULL, NULL},
            {"drip", half_body, MOCK_WHOLE, NULL, " "},
            {"commentdrip", half_stream, MOCK_WHOLE, NULL, ": still there\n\n"},
            {"badgzip", bad_gzip, MOCK_LAST, NULL, NULL},
            {"badchunk", bad_chunk, MOCK_LAST, NULL, NULL},
            {"cutchunk", cut_chunk, MOCK_LAST, NULL, NULL},
            {"nohttp", no_http, MOCK_LAST, NULL, NULL},
            {"hugeheader", huge_header, MOCK_LAST, NULL, NULL},
            {"manyheaders", many_headers, MOCK_LAST, NULL, NULL},
            {"flood1xx", flood_1xx, MOCK_LAST, NULL, NULL},
            {"hugebody", huge_body, MOCK_LAST, NULL, NULL},
            {"gzipbomb", gzip_bomb, MOCK_LAST, NULL, NULL},
            {"deepjson", deep_json, MOCK_WHOLE, NULL, NULL},
            {"quotes", quotes, MOCK_LAST, NULL, NULL},
            {"hugeerror", huge_error, MOCK_LAST, NULL, NULL},
            {"deepevent", deep_event, MOCK_LAST, deep_line, NULL},
            {"hugeline", huge_line, MOCK_LAST, NULL, NULL},
            {"eventflood", event_flood, MOCK_LAST, line_flood, NULL},
            {"commentflood", comment_flood, MOCK_LAST, blank_flood, NULL}};

static bool send_raw(mock_reply *out, const char *name, bool lines) {
  for (size_t i = 0; i < sizeof raws / sizeof *raws; i++)
    if (strcmp(raws[i].name, name) == 0) {
      (lines && raws[i].lines ? raws[i].lines : raws[i].write)(&out->raw);
      out->manner = raws[i].manner;
      bool comment = raws[i].drip && *raws[i].drip == ':'; /* lines have none */
      out->drip = lines && comment ? "\n" : raws[i].drip;
      return true;
    }
  return false;
}

/* -- the doors ------------------------------------------------------------------------- */

static bool is_number(const char *name) {
  return isdigit((unsigned char)*name) && name[strspn(name, "0123456789")] == '\0';
}

bool mock_fault_replaces(mock_reply *out, const char *name, bool lines) {
  if (is_number(name))
    return refuse(out, atoi(name), ""), true;
  if (silent(name, &out->manner) || send_status(out, name) || send_page(out, name) ||
      send_raw(out, name, lines))
    return true;
  const struct body *b = body_named(name);
  if (!b)
    return false;
  tm_buf_printf(&out->headers, "Content-Type: %s\r\n", b->type);
  tm_buf_puts(&out->body, b->body);
  return true;
}

void mock_fault_spoils(mock_reply *out, const char *name) {
  static const struct {
    const char *name;
    mock_manner manner;
  } table[] = {{"truncate", MOCK_TRUNCATE}, {"lost", MOCK_RESET},    {"cut", MOCK_CUT},
               {"stall", MOCK_STALL},       {"linger", MOCK_LINGER}, {"snap", MOCK_SNAP}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(name, table[i].name) == 0)
      out->manner = table[i].manner;
  mock_spoil(out, name);
  if (strcmp(name, "slow") == 0)
    out->delay_ms += 50;
  else if (strcmp(name, "bytes") == 0)
    out->step = 1;
}

const char *mock_fault_says(const char *name) {
  static const char *const table[][2] = {
      {"fenced", "```json\n{\"category\":\"bug\"}\n```"},
      {"prose", "Here you are: {\"category\":\"bug\"} as you wished."},
      {"twice", "{\"category\":\"bug\"} or {\"category\":\"billing\"}"},
      {"trailingcomma", "{\"category\":\"bug\",}"},
      {"singlequotes", "{'category':'bug'}"},
      {"doubleencoded", "\"{\\\"category\\\":\\\"bug\\\"}\""},
      {"cutjson", "{\"category\":\"bu"},
      {"wrongschema", "{\"category\":\"rant\"}"},
      {"missingfield", "{}"},
      {"extrafield", "{\"category\":\"bug\",\"more\":1}"},
      {"nulescape", "{\"category\":\"bug\",\"note\":\"a\\u0000b\"}"},
      {"duplicatekeys", "{\"category\":\"bug\",\"category\":\"billing\"}"},
      {"hugeinteger", "{\"category\":99999999999999999999999999}"},
      {"nothing", ""}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i][0], name) == 0)
      return table[i][1];
  return NULL;
}
