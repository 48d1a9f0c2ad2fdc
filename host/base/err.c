/* err.c - set, wrap and name errors.
 *
 * A message is always UTF-8 without control characters (but line ends and tabs): it goes into
 * JSON and onto terminals, and quotes what others wrote. What a caller cut inside a character
 * ("%.80s"), what is no character at all and what could drive a terminal becomes a question
 * mark.
 */
#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool continues(char byte) {
  return ((unsigned char)byte & 0xC0) == 0x80;
}

static bool is_control(unsigned char byte) {
  return (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F;
}

/* Bytes of the character at s, 0 when it may not stand in a message: not enough bytes, or more
 * than needed, or half of a pair, or beyond Unicode; or it is a control character. */
static size_t char_len(const char *s) {
  unsigned char lead = (unsigned char)s[0], next = (unsigned char)s[lead ? 1 : 0];
  if (lead < 0x80)
    return !is_control(lead);
  if (lead == 0xC2 && next < 0xA0) /* the control characters beyond ASCII */
    return 0;
  size_t len = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || (lead == 0xE0 && next < 0xA0) ||
      (lead == 0xED && next > 0x9F) || (lead == 0xF0 && next < 0x90) ||
      (lead == 0xF4 && next > 0x8F))
    return 0;
  for (size_t i = 1; i < len; i++)
    if (!continues(s[i]))
      return 0;
  return len;
}

/* One question mark for each run of bytes that are no character. */
static void mend(char *msg) {
  char *to = msg;
  for (const char *from = msg; *from;) {
    size_t len = char_len(from);
    if (len) {
      memmove(to, from, len);
      to += len;
      from += len;
    } else {
      *to++ = '?';
      for (from++; continues(*from);)
        from++;
    }
  }
  *to = '\0';
}

/* End msg at `len` bytes, or before the character that would be cut there. */
static void cut(char *msg, size_t len) {
  while (len > 0 && continues(msg[len]))
    len--;
  msg[len] = '\0';
}

static void format(char msg[TM_ERR_MAX + 4], const char *fmt, va_list args) {
  int n = vsnprintf(msg, TM_ERR_MAX + 4, fmt, args);
  if (n < 0)
    msg[0] = '\0';
  if (n >= TM_ERR_MAX)
    cut(msg, TM_ERR_MAX - 1);
  mend(msg);
}

int tm_err_setv(tm_err *err, tm_code code, const char *fmt, va_list args) {
  char msg[TM_ERR_MAX + 4]; /* the arguments may point into err->msg */
  format(msg, fmt, args);
  err->code = code;
  memcpy(err->msg, msg, strlen(msg) + 1);
  return -1;
}

int tm_err_set(tm_err *err, tm_code code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tm_err_setv(err, code, fmt, args);
  va_end(args);
  return -1;
}

int tm_err_wrap(tm_err *err, const char *fmt, ...) {
  char what[TM_ERR_MAX + 4];
  va_list args;
  va_start(args, fmt);
  format(what, fmt, args);
  va_end(args);
  return tm_err_set(err, err->code, "%s: %s", what, err->msg);
}

void tm_err_clear(tm_err *err) {
  err->code = TM_OK;
  err->msg[0] = '\0';
}

const char *tm_err_word(tm_code code) {
  switch (code) {
#define X(name, number, word) \
  case TM_##name:             \
    return word;
    TM_ERR_CODES(X)
#undef X
  }
  return "internal";
}
