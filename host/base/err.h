/* err.h - the one error type.
 *
 * A tm_err is a plain value on the caller's stack: nothing to free. The first
 * to know sets it; each caller may wrap it with what *it* was doing. Functions
 * that can fail return 0 or -1 and take `tm_err *err` last; err is never NULL.
 * Asserts are for our own mistakes, tm_err is for everybody else's.
 */
#ifndef TM_BASE_ERR_H
#define TM_BASE_ERR_H

#include <stdarg.h>

/* code, the process's exit code, the word in JSON errors. One table: the
 * command line, the C API (which returns the negative) and scripts share it. */
#define TM_ERR_CODES(X)        \
  X(OK, 0, "ok")               \
  X(FAILED, 1, "failed")       \
  X(USAGE, 2, "usage")         \
  X(CONFIG, 3, "config")       \
  X(NOTFOUND, 4, "not_found")  \
  X(CONFLICT, 5, "conflict")   \
  X(CANCELLED, 6, "cancelled") \
  X(DIVERGED, 7, "diverged")   \
  X(WAITING, 8, "waiting")     \
  X(FINDINGS, 9, "findings")   \
  X(LIMIT, 10, "limit")        \
  X(INTERNAL, 70, "internal")  \
  X(TEMP, 75, "temporary")

typedef enum tm_code {
#define X(name, number, word) TM_##name = number,
  TM_ERR_CODES(X)
#undef X
} tm_code;

#define TM_ERR_MAX 1024 /* bytes; a longer message is cut at a character */

typedef struct tm_err {
  tm_code code;
  char msg[TM_ERR_MAX];
} tm_err;

#define TM_ERR_INIT ((tm_err){.code = TM_OK, .msg = {0}})

/* Set code and message; always returns -1, so `return tm_err_set(...)` reads well. */
int tm_err_set(tm_err *err, tm_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int tm_err_setv(tm_err *err, tm_code code, const char *fmt, va_list args);

/* Put "what we were doing: " in front of the message; always returns -1. */
int tm_err_wrap(tm_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void tm_err_clear(tm_err *err);

/* "conflict", "usage" ...: the stable word of a code. */
const char *tm_err_word(tm_code code);

#endif
