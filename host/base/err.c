/* err.c - set, wrap and name errors; a message is never cut inside a character. */
#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool continues(char byte) {
  return ((unsigned char)byte & 0xC0) == 0x80;
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
