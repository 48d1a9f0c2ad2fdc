/* buf.h - a growing run of bytes.
 *
 * A tm_buf owns `data`; free it with tm_buf_free or take it with tm_buf_take.
 * The content is always followed by a NUL that `len` does not count. A soft
 * buffer (limit > 0) sets `failed` instead of growing past its limit or ending
 * the process, and takes nothing more; check it once at the end.
 */
#ifndef TM_BASE_BUF_H
#define TM_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct tm_buf {
  char *data;
  size_t len, cap;
  size_t limit; /* 0: firm */
  bool failed;
} tm_buf;

#define TM_BUF_INIT ((tm_buf){0})

void tm_buf_init(tm_buf *b, size_t limit);
/* Room for n more bytes (and the NUL); false only when soft and exhausted. */
bool tm_buf_reserve(tm_buf *b, size_t n);
void tm_buf_put(tm_buf *b, const void *bytes, size_t n);
void tm_buf_puts(tm_buf *b, const char *s);
void tm_buf_putc(tm_buf *b, char c);
void tm_buf_printf(tm_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tm_buf_vprintf(tm_buf *b, const char *fmt, va_list args);
void tm_buf_reset(tm_buf *b); /* len 0 and not failed, memory kept */
/* The bytes, now the caller's (free with tm_free); the buffer is empty afterwards.
 * Never NULL; len may be. */
char *tm_buf_take(tm_buf *b, size_t *len);
void tm_buf_free(tm_buf *b);
/* NUL-terminated view; "" when empty. */
const char *tm_buf_str(const tm_buf *b);

#endif
