/* spoil.c - a right answer with something wrong in its bytes: letters, numbers, labels.
 *
 * What is looked for is in the answers of all providers, whole or as events: the letters "cat"
 * of "category", the first brace, the names of what is counted.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "mock.h"

/* Puts `with` in the place of `len` bytes at `at`. */
static void splice(tm_buf *body, size_t at, size_t len, const char *with, size_t with_len) {
  tm_buf out = TM_BUF_INIT;
  tm_buf_put(&out, body->data, at);
  tm_buf_put(&out, with, with_len);
  tm_buf_put(&out, body->data + at + len, body->len - at - len);
  tm_buf_reset(body);
  tm_buf_put(body, out.data, out.len);
  tm_buf_free(&out);
}

/* -- letters and members --------------------------------------------------------------- */

static const struct letters {
  const char *name, *from, *to;
  size_t to_len, from_len; /* from_len 0: `to` stands behind it */
} letters[] = {
#define ROW(name, from, to, from_len) \
  { name, from, to, sizeof(to) - 1, from_len }
    ROW("nulbytes", "cat", "c\0t", 3),
    ROW("invalidutf8", "cat", "c\xC3(t", 3),
    ROW("overlong", "cat", "c\xC0\x80t", 3),
    ROW("surrogate", "cat", "c\\ud800t", 3),
    ROW("control", "cat", "c\x01t", 3),
    ROW("badescape", "cat", "c\\qt", 3),
    ROW("hugenumber", "{", "\"x\":1e99999,", 0),
    ROW("longnumber", "{", "\"x\":1234567890123456789012345678901234567890,", 0),
    ROW("nan", "{", "\"x\":NaN,", 0),
    ROW("twokeys", "{", "\"x\":1,\"x\":2,", 0),
#undef ROW
};

static bool change_letters(tm_buf *body, const char *name) {
  for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
    const struct letters *l = &letters[i];
    const char *hit = strcmp(l->name, name) == 0 ? strstr(tm_buf_str(body), l->from) : NULL;
    if (!hit)
      continue;
    size_t at = (size_t)(hit - body->data) + (l->from_len ? 0 : 1);
    splice(body, at, l->from_len, l->to, l->to_len);
    return true;
  }
  return false;
}

/* -- what is counted ------------------------------------------------------------------- */

/* "prompt_tokens", "promptTokenCount", "eval_count" ... and the bytes of their number. */
static bool counts(const char *name, size_t len) {
  static const char *const ends[] = {"_tokens", "TokenCount", "eval_count"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (len >= strlen(ends[i]) &&
        memcmp(name + len - strlen(ends[i]), ends[i], strlen(ends[i])) == 0)
      return true;
  return false;
}

static void put_count(tm_buf *out, const char *name, const char *digits, size_t len) {
  if (strcmp(name, "negativeusage") == 0)
    tm_buf_printf(out, "-%.*s1", (int)len, digits);
  else if (strcmp(name, "hugeusage") == 0)
    tm_buf_puts(out, "9223372036854775807");
  else if (strcmp(name, "endlessusage") == 0)
    tm_buf_puts(out, "1e300");
  else
    tm_buf_puts(out, strcmp(name, "wordusage") == 0 ? "\"many\"" : "null"); /* nousage */
}

static void change_counts(tm_buf *body, const char *name) {
  tm_buf out = TM_BUF_INIT;
  for (size_t at = 0; at < body->len;) {
    const char *text = body->data + at;
    size_t digits = at && body->data[at - 1] == ':' ? strspn(text, "0123456789") : 0;
    const char *end = body->data + at - (at > 1 ? 2 : 0), *begin = end;
    while (begin > body->data && begin[-1] != '"')
      begin--;
    if (digits && *end == '"' && counts(begin, (size_t)(end - begin)))
      put_count(&out, name, text, digits);
    else
      tm_buf_put(&out, text, digits = digits ? digits : 1);
    at += digits;
  }
  tm_buf_reset(body);
  tm_buf_put(body, tm_buf_str(&out), out.len);
  tm_buf_free(&out);
}

/* -- labels and encodings -------------------------------------------------------------- */

static void set_type(mock_reply *out, const char *line) {
  char *type = strstr(tm_buf_str(&out->headers), "Content-Type:");
  if (type)
    splice(&out->headers, (size_t)(type - out->headers.data), strcspn(type, "\n") + 1, line,
           strlen(line));
}

static void widen(tm_buf *body) {
  tm_buf out = TM_BUF_INIT;
  tm_buf_put(&out, "\xFF\xFE", 2);
  for (size_t i = 0; i < body->len; i++) {
    tm_buf_putc(&out, body->data[i]);
    tm_buf_putc(&out, '\0');
  }
  tm_buf_reset(body);
  tm_buf_put(body, out.data, out.len);
  tm_buf_free(&out);
}

void mock_spoil(mock_reply *out, const char *name) {
  size_t len = strlen(name);
  if (!out->body.len || change_letters(&out->body, name))
    return;
  if (len > 5 && strcmp(name + len - 5, "usage") == 0)
    change_counts(&out->body, name);
  else if (strcmp(name, "bom") == 0)
    splice(&out->body, 0, 0, "\xEF\xBB\xBF", 3);
  else if (strcmp(name, "utf16") == 0)
    widen(&out->body);
  else if (strcmp(name, "wrongtype") == 0)
    set_type(out, "Content-Type: text/html; charset=latin1\r\n");
  else if (strcmp(name, "notype") == 0)
    set_type(out, "");
  else if (strcmp(name, "nogzip") == 0)
    tm_buf_puts(&out->headers, "Content-Encoding: gzip\r\n");
}
