/* json_error.c - what is wrong with a JSON text, where, and what to do about it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/json_parser.h"
#include "text/json_scan.h"

static void locate(const char *text, size_t at, size_t *line, size_t *column) {
  *line = *column = 1;
  for (size_t i = 0; i < at; i++) {
    if (text[i] == '\n') {
      ++*line;
      *column = 1;
    } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
      ++*column;
    }
  }
}

char *tm_json_fail(tm_json_parser *p, const char *at, tm_code code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tm_err_setv(p->err, code, fmt, args);
  va_end(args);
  size_t byte = (size_t)(at - p->base), line, column;
  locate(p->text, byte, &line, &column);
  tm_err_wrap(p->err, "line %zu, column %zu (byte %zu)", line, column, byte);
  return NULL;
}

char *tm_json_fail_memory(tm_json_parser *p) {
  p->arena->failed = true;
  tm_err_set(p->err, TM_LIMIT,
             "the JSON text of %zu bytes needs more memory than the %zu bytes it may take; "
             "send a smaller one",
             p->len, p->arena->limit);
  return NULL;
}

/* The code point of the well-formed character of n bytes at s; n is 2 to 4. */
static unsigned code_point(const char *s, size_t n) {
  unsigned code = (unsigned char)*s & (0xFFu >> (n + 1));
  for (size_t i = 1; i < n; i++)
    code = code << 6 | ((unsigned char)s[i] & 0x3Fu);
  return code;
}

tm_json_words tm_json_found(const tm_json_parser *p, const char *at) {
  unsigned char c = (unsigned char)*at;
  size_t n = at < p->end ? scan_character(at, (size_t)(p->end - at)) : 0;
  tm_json_words w;
  if (at >= p->end)
    snprintf(w.text, sizeof w.text, "the end of the text");
  else if (c == '\n' || c == '\r')
    snprintf(w.text, sizeof w.text, "a line break");
  else if (c == '\'')
    snprintf(w.text, sizeof w.text, "a single quote");
  else if (c > 0x20 && c < 0x7F)
    snprintf(w.text, sizeof w.text, "'%c'", c);
  else if (n > 1)
    snprintf(w.text, sizeof w.text, "'%.*s' (U+%04X)", (int)n, at, code_point(at, n));
  else
    snprintf(w.text, sizeof w.text, "the byte 0x%02X", c);
  return w;
}

tm_json_words tm_json_shown(const char *key, size_t len) {
  tm_json_words w;
  size_t n = len;
  if (len > sizeof w.text - 4)
    for (n = sizeof w.text - 4; ((unsigned char)key[n] & 0xC0) == 0x80;)
      n--;
  for (size_t i = 0; i < n; i++)
    w.text[i] = (unsigned char)key[i] < 0x20 || key[i] == 0x7F ? '?' : key[i];
  memcpy(w.text + n, n < len ? "..." : "", n < len ? 4 : 1);
  return w;
}

char *tm_json_fail_value(tm_json_parser *p, const char *at) {
  if (at >= p->end)
    return tm_json_fail(p, at, TM_USAGE, "the text ends where a value was expected");
  if (*at == ']' || *at == '}')
    return tm_json_fail(p, at, TM_USAGE,
                        "'%c' where a value was expected; is there a comma too many?", *at);
  if (*at == '\'')
    return tm_json_fail(p, at, TM_USAGE, "strings are written in double quotes");
  if (*at == '/')
    return tm_json_fail(p, at, TM_USAGE, "JSON has no comments");
  if (memcmp(at, "\xEF\xBB\xBF", 3) == 0)
    return tm_json_fail(p, at, TM_USAGE,
                        "a byte order mark; save the text as UTF-8 without one");
  if (*at == '+' || *at == '.')
    return tm_json_fail(p, at, TM_USAGE,
                        "a number begins with a digit or with '-', not with '%c'", *at);
  if (strncmp(at, "NaN", 3) == 0 || strncmp(at, "Infinity", 8) == 0)
    return tm_json_fail(p, at, TM_USAGE,
                        "NaN and Infinity are no JSON numbers; use null or a string");
  if (strncmp(at, "None", 4) == 0 || strncmp(at, "True", 4) == 0 ||
      strncmp(at, "False", 5) == 0)
    return tm_json_fail(p, at, TM_USAGE, "JSON writes null, true and false in small letters");
  return tm_json_fail(p, at, TM_USAGE, "%s where a value was expected",
                      tm_json_found(p, at).text);
}

char *tm_json_fail_string(tm_json_parser *p, const char *at) {
  unsigned char c = (unsigned char)*at;
  if (at >= p->end)
    return tm_json_fail(p, at, TM_USAGE, "the text ends inside a string");
  if (c >= 0x80)
    return tm_json_fail(p, at, TM_USAGE, "the byte 0x%02X is not valid UTF-8 here", c);
  return tm_json_fail(p, at, TM_USAGE, "%s inside a string; write it as %s",
                      tm_json_found(p, at).text,
                      c == '\n'   ? "\\n"
                      : c == '\r' ? "\\r"
                      : c == '\t' ? "\\t"
                                  : "\\u and four hex digits");
}
