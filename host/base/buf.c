/* buf.c - a growing run of bytes; capacity doubles, one byte is kept for the NUL. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

#define CAP_MIN ((size_t)64)

void tm_buf_init(tm_buf *b, size_t limit) {
  *b = (tm_buf){.limit = limit};
}

static bool grow(tm_buf *b, size_t need) {
  size_t cap = b->cap < CAP_MIN ? CAP_MIN : b->cap;
  while (cap < need)
    cap = cap > SIZE_MAX / 2 ? need : cap * 2;
  char *data = b->limit ? tm_try_realloc(b->data, cap) : tm_realloc(b->data, cap);
  if (!data)
    return false;
  b->data = data;
  b->cap = cap;
  return true;
}

bool tm_buf_reserve(tm_buf *b, size_t n) {
  if (b->failed)
    return false;
  if (n < b->cap - b->len && (!b->limit || n <= b->limit - b->len))
    return true;
  bool fits = !b->limit || n <= b->limit - b->len;
  if (fits && n < SIZE_MAX - b->len - 1 && grow(b, b->len + n + 1))
    return true;
  if (!b->limit)
    tm_realloc(NULL, SIZE_MAX); /* firm and more than memory can be: ends the process */
  b->failed = true;
  return false;
}

void tm_buf_put(tm_buf *b, const void *bytes, size_t n) {
  if (!tm_buf_reserve(b, n))
    return;
  if (n)
    memcpy(b->data + b->len, bytes, n);
  b->len += n;
  b->data[b->len] = '\0';
}

void tm_buf_puts(tm_buf *b, const char *s) {
  tm_buf_put(b, s, strlen(s));
}

void tm_buf_putc(tm_buf *b, char c) {
  tm_buf_put(b, &c, 1);
}

void tm_buf_vprintf(tm_buf *b, const char *fmt, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  if (n > 0 && tm_buf_reserve(b, (size_t)n)) {
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
  }
  va_end(again);
}

void tm_buf_printf(tm_buf *b, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tm_buf_vprintf(b, fmt, args);
  va_end(args);
}

void tm_buf_reset(tm_buf *b) {
  b->len = 0;
  b->failed = false;
  if (b->data)
    b->data[0] = '\0';
}

char *tm_buf_take(tm_buf *b, size_t *len) {
  char *data = b->data ? b->data : tm_alloc(1);
  if (len)
    *len = b->len;
  tm_buf_init(b, b->limit);
  return data;
}

void tm_buf_free(tm_buf *b) {
  tm_free(b->data);
  tm_buf_init(b, b->limit);
}

const char *tm_buf_str(const tm_buf *b) {
  return b->data ? b->data : "";
}
