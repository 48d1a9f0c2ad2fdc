/* json_print.c - tree to text: compact, pretty and canonical. */
#include <stdlib.h>
#include <string.h>

#include "text/json.h"
#include "text/json_scan.h"
#include "text/number.h"

/* -- pieces ---------------------------------------------------------------------------- */

static inline bool fits(const tm_buf *b, size_t n) {
  return b->cap - b->len > n && (!b->limit || b->limit - b->len >= n);
}

static inline void put(tm_buf *b, const char *s, size_t n) {
  if (fits(b, n)) {
    memcpy(b->data + b->len, s, n);
    b->len += n;
  } else {
    tm_buf_put(b, s, n);
  }
}

static inline void put_char(tm_buf *b, char c) {
  if (fits(b, 1))
    b->data[b->len++] = c;
  else
    tm_buf_putc(b, c);
}

#define ESCAPE_MAX 6 /* bytes: \u0000 */

/* The escape of a quote, a backslash or a control character; returns what is behind it. */
static inline char *write_escape(char *to, unsigned char c) {
  static const char hex[] = "0123456789abcdef";
  static const char letters[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                 ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\'};
  *to++ = '\\';
  if (letters[c]) {
    *to++ = letters[c];
    return to;
  }
  memcpy(to, "u00", 3);
  to[3] = hex[c >> 4];
  to[4] = hex[c & 15];
  return to + 5;
}

static inline bool escaped(char c) {
  return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* Copies the run at s that needs no escape; returns its length. Whole blocks are written: what
 * does not belong is written over. */
static inline size_t copy_run(char *to, const char *s, size_t len) {
  size_t n = 0;
  for (; len - n >= SCAN_WIDE; n += SCAN_WIDE) {
    size_t plain = scan_wide_escaped(s + n);
    memcpy(to + n, s + n, SCAN_WIDE);
    if (plain < SCAN_WIDE)
      return n + plain;
  }
  if (len - n >= 8) {
    uint64_t flags = scan_escaped(scan_load(s + n));
    memcpy(to + n, s + n, 8);
    if (flags)
      return n + scan_first(flags);
    n += 8;
  }
  if (len - n >= 4 && !scan_escaped(scan_few(s + n, len - n))) {
    memcpy(to + n, s + n, 4);
    memcpy(to + len - 4, s + len - 4, 4);
    return len;
  }
  for (; n < len && !escaped(s[n]); n++)
    to[n] = s[n];
  return n;
}

/* With room for as many escapes; returns what is behind it. */
static inline char *write_part(char *to, const char *s, size_t len) {
  for (;;) {
    size_t n = copy_run(to, s, len);
    to += n;
    if (n == len)
      return to;
    to = write_escape(to, (unsigned char)s[n]);
    s += n + 1;
    len -= n + 1;
  }
}

#define PART 256 /* of a string, so that the room for its escapes is small */

static void put_long(tm_buf *b, const char *s, size_t len) {
  char own[PART * ESCAPE_MAX];
  put_char(b, '"');
  while (len) {
    size_t n = len < PART ? len : PART;
    bool direct = fits(b, n * ESCAPE_MAX);
    char *at = direct ? b->data + b->len : own;
    size_t written = (size_t)(write_part(at, s, n) - at);
    if (direct)
      b->len += written;
    else
      put(b, own, written);
    s += n;
    len -= n;
  }
  put_char(b, '"');
}

static inline void put_string(tm_buf *b, const char *s, size_t len) {
  if (len > PART || !fits(b, len * ESCAPE_MAX + 2)) {
    put_long(b, s, len);
    return;
  }
  char *at = b->data + b->len;
  *at++ = '"';
  at = write_part(at, s, len);
  *at++ = '"';
  b->len = (size_t)(at - b->data);
}

static inline void put_number(tm_buf *b, const tm_json *v, tm_number_form form) {
  char own[TM_NUMBER_TEXT];
  bool direct = fits(b, TM_NUMBER_TEXT);
  char *at = direct ? b->data + b->len : own;
  size_t n = v->type == TM_JSON_INT ? tm_number_write_int(at, v->u.i)
                                    : tm_number_write_double(at, v->u.d, form);
  if (direct)
    b->len += n;
  else
    put(b, own, n);
}

static inline void put_scalar(tm_buf *b, const tm_json *v, tm_number_form form) {
  switch ((tm_json_type)v->type) {
  case TM_JSON_STRING:
    put_string(b, v->u.s, v->len);
    break;
  case TM_JSON_INT:
  case TM_JSON_DOUBLE:
    put_number(b, v, form);
    break;
  case TM_JSON_BOOL:
    put(b, v->u.b ? "true" : "false", v->u.b ? 4 : 5);
    break;
  default:
    put(b, "null", 4);
  }
}

/* The inline puts leave the NUL behind the content to the end. */
static void finish(tm_buf *b) {
  if (b->data)
    b->data[b->len] = '\0';
}

static bool is_container(const tm_json *v) {
  return v->type == TM_JSON_ARRAY || v->type == TM_JSON_OBJECT;
}

/* -- compact --------------------------------------------------------------------------- */

static void print(tm_buf *b, const tm_json *v) {
  if (!is_container(v)) {
    put_scalar(b, v, TM_NUMBER_DOUBLE);
    return;
  }
  bool object = v->type == TM_JSON_OBJECT;
  put_char(b, object ? '{' : '[');
  for (uint32_t i = 0; i < v->len; i++) {
    if (i)
      put_char(b, ',');
    if (object) {
      const tm_json_member *m = &v->u.members[i];
      put_string(b, m->key, m->key_len);
      put_char(b, ':');
      print(b, &m->value);
    } else {
      print(b, &v->u.items[i]);
    }
  }
  put_char(b, object ? '}' : ']');
}

void tm_json_print(tm_buf *out, const tm_json *v) {
  static const tm_json none = {.type = TM_JSON_NULL};
  print(out, v ? v : &none);
  finish(out);
}

/* -- pretty ---------------------------------------------------------------------------- */

static void new_line(tm_buf *b, size_t depth) {
  put_char(b, '\n');
  for (size_t i = 0; i < depth; i++)
    put(b, "  ", 2);
}

static void print_pretty(tm_buf *b, const tm_json *v, size_t depth) {
  if (!is_container(v)) {
    put_scalar(b, v, TM_NUMBER_DOUBLE);
    return;
  }
  bool object = v->type == TM_JSON_OBJECT;
  put_char(b, object ? '{' : '[');
  for (uint32_t i = 0; i < v->len; i++) {
    if (i)
      put_char(b, ',');
    new_line(b, depth + 1);
    if (object) {
      const tm_json_member *m = &v->u.members[i];
      put_string(b, m->key, m->key_len);
      put(b, ": ", 2);
    }
    print_pretty(b, object ? &v->u.members[i].value : &v->u.items[i], depth + 1);
  }
  if (v->len)
    new_line(b, depth);
  put_char(b, object ? '}' : ']');
}

void tm_json_print_pretty(tm_buf *out, const tm_json *v) {
  static const tm_json none = {.type = TM_JSON_NULL};
  print_pretty(out, v ? v : &none, 0);
  finish(out);
}

/* -- canonical ------------------------------------------------------------------------- */

/* A byte's rank among bytes at the same place of two keys, for the order of UTF-16. That
 * differs from the order of UTF-8 in one thing: characters beyond U+FFFF (bytes F0-F4), being
 * written with surrogates (D800-DFFF), come before U+E000-U+FFFF (bytes EE and EF). */
static int rank(char byte) {
  int c = (unsigned char)byte;
  return c == 0xEE || c == 0xEF ? c + 0x10 : c;
}

static int by_utf16(const void *left, const void *right) {
  const tm_json_member *a = *(const tm_json_member *const *)left;
  const tm_json_member *b = *(const tm_json_member *const *)right;
  size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
  for (size_t i = 0; i < n; i++)
    if (a->key[i] != b->key[i])
      return rank(a->key[i]) - rank(b->key[i]);
  return a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
}

static void sort_members(const tm_json_member **order, size_t n) {
  bool in_order = true;
  for (size_t i = 1; in_order && i < n; i++)
    in_order = by_utf16(&order[i - 1], &order[i]) < 0;
  if (!in_order)
    qsort(order, n, sizeof *order, by_utf16);
}

static void print_canonical(tm_buf *b, const tm_json *v);

static void print_members(tm_buf *b, const tm_json *v, const tm_json_member **order) {
  for (uint32_t i = 0; i < v->len; i++)
    order[i] = &v->u.members[i];
  sort_members(order, v->len);
  for (uint32_t i = 0; i < v->len; i++) {
    if (i)
      put_char(b, ',');
    put_string(b, order[i]->key, order[i]->key_len);
    put_char(b, ':');
    print_canonical(b, &order[i]->value);
  }
}

static void print_object(tm_buf *b, const tm_json *v) {
  const tm_json_member *few[16], **order = few;
  size_t size = v->len * sizeof *order;
  put_char(b, '{');
  if (v->len > sizeof few / sizeof few[0])
    order = b->limit ? tm_try_realloc(NULL, size) : tm_realloc(NULL, size);
  if (order)
    print_members(b, v, order);
  else
    b->failed = true;
  put_char(b, '}');
  if (order != few)
    free(order);
}

static void print_canonical(tm_buf *b, const tm_json *v) {
  if (v->type == TM_JSON_OBJECT) {
    print_object(b, v);
    return;
  }
  if (v->type != TM_JSON_ARRAY) {
    put_scalar(b, v, TM_NUMBER_SHORTEST);
    return;
  }
  put_char(b, '[');
  for (uint32_t i = 0; i < v->len; i++) {
    if (i)
      put_char(b, ',');
    print_canonical(b, &v->u.items[i]);
  }
  put_char(b, ']');
}

void tm_json_print_canonical(tm_buf *out, const tm_json *v) {
  static const tm_json none = {.type = TM_JSON_NULL};
  print_canonical(out, v ? v : &none);
  finish(out);
}

tm_hash tm_json_hash(const tm_json *v) {
  tm_buf text = TM_BUF_INIT;
  tm_json_print_canonical(&text, v);
  tm_hash hash = tm_hash_bytes(text.data, text.len);
  tm_buf_free(&text);
  return hash;
}

/* -- into an arena --------------------------------------------------------------------- */

#define FIRST_TEXT 1000 /* bytes: malloc's quick size, which most texts do not outgrow */

char *tm_json_text(tm_arena *a, const tm_json *v, size_t *len) {
  tm_buf b;
  tm_buf_init(&b, a->limit);
  if (!a->limit || a->limit > FIRST_TEXT)
    tm_buf_reserve(&b, FIRST_TEXT);
  tm_json_print(&b, v);
  char *text = b.failed ? NULL : tm_arena_strndup(a, tm_buf_str(&b), b.len);
  a->failed |= b.failed;
  if (len)
    *len = text ? b.len : 0;
  tm_buf_free(&b);
  return text;
}

size_t tm_json_format_double(char out[32], double d) {
  return tm_number_write_double(out, d, TM_NUMBER_DOUBLE);
}
