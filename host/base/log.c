/* log.c - one line a message, in one write, fit for a terminal and for a collector.
 *
 * Bytes that could move a terminal's cursor or break a JSON line are escaped.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define LINE_MAX_BYTES 16384 /* of a message; the rest is cut */

static const char *const words[] = {"debug", "info", "warn", "error"};

static struct {
  tm_log_fn fn;
  void *ctx;
} sink;
static atomic_int threshold = -1; /* -1: not yet read from the environment */

void tm_log_set_sink(tm_log_fn fn, void *ctx) {
  sink.fn = fn;
  sink.ctx = ctx;
}

void tm_log_set_level(tm_log_level level) {
  atomic_store(&threshold, (int)level);
}

static int level_from_environment(void) {
  const char *wanted = getenv("TIDEMILL_LOG");
  for (int i = 0; wanted && i < 4; i++)
    if (strcmp(wanted, words[i]) == 0)
      return i;
  return TM_LOG_WARN;
}

static bool wanted(tm_log_level level) {
  int at = atomic_load(&threshold);
  if (at < 0) {
    at = level_from_environment();
    atomic_store(&threshold, at);
  }
  return (int)level >= at;
}

/* Bytes of the well-formed character at s, 0 when it is none. Overlong forms and
 * surrogates pass: a log line is shown, not compared. */
static size_t character(const char *s, size_t left) {
  unsigned char c = (unsigned char)*s;
  size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
  if (n > left)
    return 0;
  for (size_t i = 1; i < n; i++)
    if (((unsigned char)s[i] & 0xC0) != 0x80)
      return 0;
  return n;
}

static void put_escaped(tm_buf *line, const char *s, bool json) {
  size_t len = strlen(s);
  for (size_t i = 0; i < len;) {
    unsigned char c = (unsigned char)s[i];
    size_t n = character(s + i, len - i);
    if (n == 0)
      tm_buf_puts(line, "\xEF\xBF\xBD");
    else if (c == '\n')
      tm_buf_puts(line, "\\n");
    else if (c < 0x20 || c == 0x7F)
      tm_buf_printf(line, "\\u%04x", c);
    else if (json && (c == '"' || c == '\\'))
      tm_buf_printf(line, "\\%c", c);
    else
      tm_buf_put(line, s + i, n);
    i += n ? n : 1;
  }
}

static void put_json(tm_buf *line, const char *time, tm_log_level level, const char *component,
                     const char *msg) {
  tm_buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"", time, words[level]);
  put_escaped(line, component, true);
  tm_buf_puts(line, "\",\"message\":\"");
  put_escaped(line, msg, true);
  tm_buf_puts(line, "\"}\n");
}

static void put_text(tm_buf *line, const char *time, tm_log_level level, const char *component,
                     const char *msg) {
  tm_buf_printf(line, "%s %-5s ", time, words[level]);
  put_escaped(line, component, false);
  tm_buf_puts(line, ": ");
  put_escaped(line, msg, false);
  tm_buf_putc(line, '\n');
}

static void to_stderr(tm_log_level level, const char *component, const char *msg) {
  const char *format = getenv("TIDEMILL_LOG_FORMAT");
  char time[TM_CLOCK_TEXT];
  tm_clock_format(tm_clock_wall(&tm_clock_system), time);
  tm_buf line = TM_BUF_INIT;
  if (format && strcmp(format, "json") == 0)
    put_json(&line, time, level, component, msg);
  else
    put_text(&line, time, level, component, msg);
  if (write(STDERR_FILENO, line.data, line.len) < 0) {
    /* nobody is left to be told */
  }
  tm_buf_free(&line);
}

void tm_log(tm_log_level level, const char *component, const char *fmt, ...) {
  if (!wanted(level))
    return;
  tm_buf msg = TM_BUF_INIT;
  va_list args;
  va_start(args, fmt);
  tm_buf_vprintf(&msg, fmt, args);
  va_end(args);
  if (msg.len > LINE_MAX_BYTES)
    msg.data[LINE_MAX_BYTES] = '\0';
  if (sink.fn)
    sink.fn(sink.ctx, level, component, tm_buf_str(&msg));
  else
    to_stderr(level, component, tm_buf_str(&msg));
  tm_buf_free(&msg);
}
