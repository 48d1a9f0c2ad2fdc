/* template_value.c - values as a template sees them: truth, members, and how they print.
 *
 * The rules are JavaScript's, because a prompt file must give the same text here as in the
 * tools it is shared with. NULL is `undefined`. One rule is ours: an int64 keeps its digits.
 */
#include "text/number.h"
#include "text/template_tree.h"

/* -- white space ----------------------------------------------------------------------- */

size_t tm_template_blank_at(const char *s, size_t len) {
  const unsigned char *u = (const unsigned char *)s;
  if (len == 0)
    return 0;
  if (u[0] == ' ' || (u[0] >= '\t' && u[0] <= '\r'))
    return 1;
  if (len >= 2 && u[0] == 0xC2 && u[1] == 0xA0)
    return 2;
  if (len < 3 || u[0] < 0xE1 || u[0] > 0xEF)
    return 0;
  unsigned c = (u[0] & 0x0Fu) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu);
  bool blank = c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
               c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF;
  return blank ? 3 : 0;
}

bool tm_template_is_blank(const char *s, size_t len) {
  for (size_t w; len > 0; s += w, len -= w)
    if ((w = tm_template_blank_at(s, len)) == 0)
      return false;
  return true;
}

slice tm_template_trim(slice t) {
  for (size_t w; (w = tm_template_blank_at(t.s, t.len)) > 0;)
    t = (slice){t.s + w, t.len - w};
  for (size_t w = 1; w > 0;) {
    w = 0;
    for (size_t n = 1; n <= 3 && n <= t.len && !w; n++)
      w = tm_template_blank_at(t.s + t.len - n, n) == n ? n : 0;
    t.len -= w;
  }
  return t;
}

/* -- truth and sameness ---------------------------------------------------------------- */

bool tm_template_truthy(const tm_json *v, bool zero_counts) {
  if (!v)
    return false;
  switch (tm_json_type_of(v)) {
  case TM_JSON_NULL:
    return false;
  case TM_JSON_BOOL:
    return tm_json_bool(v, false);
  case TM_JSON_INT:
  case TM_JSON_DOUBLE:
    return zero_counts || tm_json_number(v, 0) != 0;
  case TM_JSON_STRING: {
    size_t len;
    tm_json_str(v, &len);
    return len > 0;
  }
  case TM_JSON_ARRAY:
    return tm_json_len(v) > 0;
  case TM_JSON_OBJECT:
    return true;
  }
  return false;
}

/* The tree copies containers shallowly, so one container may have several heads; they share
 * their first item. */
static bool same_container(const tm_json *a, const tm_json *b) {
  if (tm_json_len(a) != tm_json_len(b) || tm_json_len(a) == 0)
    return false;
  if (tm_json_type_of(a) == TM_JSON_ARRAY)
    return tm_json_at(a, 0) == tm_json_at(b, 0);
  return tm_json_member_at(a, 0) == tm_json_member_at(b, 0);
}

static bool is_number(const tm_json *v) {
  return tm_json_type_of(v) == TM_JSON_INT || tm_json_type_of(v) == TM_JSON_DOUBLE;
}

bool tm_template_same(const tm_json *a, const tm_json *b) {
  if (a == b)
    return true;
  if (!a || !b)
    return false;
  if (is_number(a) && is_number(b))
    return tm_json_equal(a, b);
  if (tm_json_type_of(a) != tm_json_type_of(b))
    return false;
  if (tm_json_type_of(a) == TM_JSON_ARRAY || tm_json_type_of(a) == TM_JSON_OBJECT)
    return same_container(a, b);
  return tm_json_equal(a, b);
}

/* -- members --------------------------------------------------------------------------- */

/* UTF-16 code units, as JavaScript counts a string's length. */
static int64_t count_units(const char *s, size_t len) {
  int64_t units = 0;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    units += ((c & 0xC0) != 0x80) + (c >= 0xF0);
  }
  return units;
}

static const tm_json *item_named(const tm_json *array, slice name) {
  size_t i = 0;
  if (name.len == 0 || name.len > 9 || (name.s[0] == '0' && name.len > 1))
    return NULL;
  for (size_t k = 0; k < name.len; k++) {
    if (name.s[k] < '0' || name.s[k] > '9')
      return NULL;
    i = i * 10 + (size_t)(name.s[k] - '0');
  }
  return tm_json_at(array, i);
}

const tm_json *tm_template_member(tm_arena *scratch, const tm_json *v, slice name) {
  if (!v)
    return NULL;
  switch (tm_json_type_of(v)) {
  case TM_JSON_OBJECT:
    return tm_json_getn(v, name.s, name.len);
  case TM_JSON_ARRAY:
    if (slice_is(name, "length"))
      return tm_json_new_int(scratch, (int64_t)tm_json_len(v));
    return item_named(v, name);
  case TM_JSON_STRING:
    if (slice_is(name, "length")) {
      size_t len;
      const char *s = tm_json_str(v, &len);
      return tm_json_new_int(scratch, count_units(s, len));
    }
    return NULL;
  default:
    return NULL;
  }
}

/* -- printing -------------------------------------------------------------------------- */

static void print_double(tm_buf *out, double d) {
  char text[TM_NUMBER_TEXT];
  tm_buf_put(out, text, tm_number_write_double(text, d, TM_NUMBER_SHORTEST));
}

static void print_list(tm_buf *out, const tm_json *list) {
  for (size_t i = 0; i < tm_json_len(list); i++) {
    if (i)
      tm_buf_putc(out, ',');
    tm_template_print(out, tm_json_at(list, i));
  }
}

void tm_template_print(tm_buf *out, const tm_json *v) {
  if (!v)
    return;
  switch (tm_json_type_of(v)) {
  case TM_JSON_NULL:
    break;
  case TM_JSON_STRING: {
    size_t len;
    const char *s = tm_json_str(v, &len);
    tm_buf_put(out, s, len);
    break;
  }
  case TM_JSON_DOUBLE:
    print_double(out, tm_json_number(v, 0));
    break;
  case TM_JSON_ARRAY:
    print_list(out, v);
    break;
  case TM_JSON_OBJECT:
    tm_buf_puts(out, "[object Object]");
    break;
  default:
    tm_json_print(out, v);
  }
}

static void break_line(tm_buf *out, size_t indent, size_t level) {
  if (!indent)
    return;
  tm_buf_putc(out, '\n');
  for (size_t i = 0; i < indent * level; i++)
    tm_buf_putc(out, ' ');
}

static void print_key(tm_buf *out, tm_arena *scratch, const tm_json_member *m, bool spaced) {
  const tm_json *key = tm_json_new_strn(scratch, m->key, m->key_len);
  if (key)
    tm_json_print(out, key);
  else
    out->failed = true;
  tm_buf_puts(out, spaced ? ": " : ":");
}

static void print_json(tm_buf *out, tm_arena *scratch, const tm_json *v, size_t indent,
                       size_t level) {
  tm_json_type type = tm_json_type_of(v);
  bool object = type == TM_JSON_OBJECT;
  size_t n = tm_json_len(v);
  if (type == TM_JSON_DOUBLE) {
    print_double(out, tm_json_number(v, 0));
    return;
  }
  if (n == 0 || (!object && type != TM_JSON_ARRAY)) {
    tm_json_print(out, v);
    return;
  }
  tm_buf_putc(out, object ? '{' : '[');
  for (size_t i = 0; i < n && !out->failed; i++) {
    if (i)
      tm_buf_putc(out, ',');
    break_line(out, indent, level + 1);
    if (object)
      print_key(out, scratch, tm_json_member_at(v, i), indent > 0);
    print_json(out, scratch, object ? &tm_json_member_at(v, i)->value : tm_json_at(v, i),
               indent, level + 1);
  }
  break_line(out, indent, level);
  tm_buf_putc(out, object ? '}' : ']');
}

void tm_template_print_json(tm_buf *out, tm_arena *scratch, const tm_json *v, size_t indent) {
  if (v)
    print_json(out, scratch, v, indent, 0);
  else
    tm_buf_puts(out, "null");
}
