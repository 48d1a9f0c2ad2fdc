/* frame.c - the events of a stream, one a line, as Server-Sent Events or lines of JSON, in all
 * the shapes that are legal, and some that are not.
 *
 *   cr crlf          other line ends
 *   nospace          "data:" without a space
 *   comments         comments, ids, retry and unknown fields between
 *   split            the data of each event in two lines
 *   ssebom           a byte order mark in front
 *   nodone           without the last event
 *   midcut           half of the events, and a regular end
 *   errormid         half of the events, then the provider's own error
 *   badjsonmid       half of the events, then one that is no JSON
 *   wrongtypesmid    half of the events, then one with a number where text should be
 *   listmid          half of the events, then one that is a list
 */
#include <stdio.h>

#include "mock.h"

typedef struct frame {
  tm_buf *out;
  const char *style, *end; /* end: of a line */
  bool lines, named;
} frame;

static bool is(const frame *f, const char *style) {
  return strcmp(f->style, style) == 0;
}

/* Where the JSON may be broken into two lines: behind its first comma outside a string. */
static size_t seam(const char *json, size_t len) {
  bool quoted = false;
  for (size_t i = 0; i < len; i++) {
    if (json[i] == '\\')
      i++;
    else if (json[i] == '"')
      quoted = !quoted;
    else if (json[i] == ',' && !quoted)
      return i + 1;
  }
  return len;
}

/* Anthropic and Responses name their events by the type within. */
static void put_name(frame *f, const char *json, size_t len) {
  const char *type = memmem(json, len, "{\"type\":\"", 9);
  if (f->named && type == json)
    tm_buf_printf(f->out, "event: %.*s%s", (int)strcspn(json + 9, "\""), json + 9, f->end);
}

static void put_event(frame *f, const char *json, size_t len) {
  const char *colon = is(f, "nospace") ? "data:" : "data: ";
  if (f->lines) {
    tm_buf_put(f->out, json, len);
    tm_buf_puts(f->out, f->end);
    return;
  }
  if (is(f, "comments"))
    tm_buf_printf(f->out, ": keep-alive%sid: 7%sretry: 10%sother: x%s", f->end, f->end, f->end,
                  f->end);
  put_name(f, json, len);
  size_t cut = is(f, "split") ? seam(json, len) : len;
  tm_buf_printf(f->out, "%s%.*s%s", colon, (int)cut, json, f->end);
  if (cut < len)
    tm_buf_printf(f->out, "%s%.*s%s", colon, (int)(len - cut), json + cut, f->end);
  tm_buf_puts(f->out, f->end);
}

static void put_error(frame *f) {
  static const char error[] = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                              "\"code\":\"overloaded_error\",\"message\":\"too busy\"}}";
  put_event(f, error, sizeof error - 1);
}

/* A piece of text that is none. */
static const char *const wrong[] = {
    [MOCK_CHAT] = "{\"choices\":[{\"index\":0,\"delta\":{\"content\":7}}]}",
    [MOCK_RESPONSES] = "{\"type\":\"response.output_text.delta\",\"delta\":7}",
    [MOCK_ANTHROPIC] = "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
                       "\"text_delta\",\"text\":7}}",
    [MOCK_GEMINI] = "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":7}]}}]}",
    [MOCK_OLLAMA] = "{\"message\":{\"content\":7},\"done\":false}"};

void mock_frame(tm_buf *out, const tm_buf *events, mock_dialect dialect, const char *style) {
  frame f = {.out = out, .style = style, .lines = dialect == MOCK_OLLAMA};
  f.named = dialect == MOCK_ANTHROPIC || dialect == MOCK_RESPONSES;
  f.end = is(&f, "crlf") ? "\r\n" : is(&f, "cr") && !f.lines ? "\r" : "\n";
  size_t count = 0, n = 0;
  for (size_t i = 0; i < events->len; i++)
    count += events->data[i] == '\n';
  size_t style_len = strlen(style);
  bool half = is(&f, "midcut") || (style_len > 3 && strcmp(style + style_len - 3, "mid") == 0);
  size_t last = half ? count / 2 : is(&f, "nodone") ? count - 1 : count;
  if (is(&f, "ssebom"))
    tm_buf_puts(out, "\xEF\xBB\xBF");
  for (const char *at = events->data, *end; n < last; at = end + 1, n++) {
    end = strchr(at, '\n');
    put_event(&f, at, (size_t)(end - at));
  }
  if (is(&f, "errormid"))
    put_error(&f);
  else if (is(&f, "badjsonmid"))
    put_event(&f, "{\"oops\": [", 10);
  else if (is(&f, "listmid"))
    put_event(&f, "[7]", 3);
  else if (is(&f, "wrongtypesmid"))
    put_event(&f, wrong[dialect], strlen(wrong[dialect]));
}
