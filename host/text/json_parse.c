/* json_parse.c - text to tree, without recursion and without a copy for each string.
 *
 * The text is copied into the arena once, with zeros behind it. Strings stay where they
 * are: escapes are undone in place and a NUL goes over the closing quote. Values that are
 * not yet in a closed container wait on a stack of 16-byte cells; an open container is a
 * frame on the same stack, and what is above the topmost frame are its children:
 *
 *   { "a": [1, 2,             ->   | frame { | key "a" | frame [ | 1 | 2 |
 *
 * A key cell and the value cell behind it are laid out as a tm_json_member, so closing a
 * container moves the cells above its frame to the arena as they are and puts the value
 * over the frame. The zeros behind the text end every scan: NUL is no legal byte in it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/json_parser.h"
#include "text/json_scan.h"
#include "text/number.h"

#define PADDING     16 /* bytes of zeros: a load of 8 may start at the end */
#define FIRST_CELLS 256
#define NO_FRAME    SIZE_MAX

/* -- the stack ------------------------------------------------------------------------- */

/* Make room on the stack. In a soft arena it counts against the limit, for a closed
 * container will need that much there. */
static bool grow(tm_json_parser *p) {
  size_t cap = p->cap * 2;
  tm_json_cell *was = p->stack == p->first ? NULL : p->stack, *stack = NULL;
  if (!p->arena->limit) {
    stack = tm_realloc(was, cap * sizeof(tm_json_cell));
  } else {
    size_t left = (p->arena->limit - p->arena->used) / sizeof(tm_json_cell);
    cap = cap < left ? cap : left;
    if (cap > p->cap)
      stack = tm_try_realloc(was, cap * sizeof(tm_json_cell));
    if (!stack) {
      tm_json_fail_memory(p);
      return false;
    }
  }
  if (!was)
    memcpy(stack, p->first, p->top * sizeof(tm_json_cell));
  p->stack = stack;
  p->cap = cap;
  return true;
}

/* A new cell on top, NULL when memory ran out. */
static inline tm_json_cell *push(tm_json_parser *p) {
  if (p->top == p->cap && !grow(p))
    return NULL;
  return &p->stack[p->top++];
}

/* -- strings --------------------------------------------------------------------------- */

/* `at` is behind the opening quote; *len gets the bytes of the string, which stands at `at`
 * with a NUL behind it. Returns what follows the closing quote. */
static inline char *read_string(tm_json_parser *p, char *at, uint32_t *len) {
  char *start = at;
  for (;;) {
    uint64_t special = scan_special(scan_load(at));
    if (!special) {
      at += 8;
      continue;
    }
    at += scan_first(special);
    if (*at == '"') {
      *at = '\0';
      *len = (uint32_t)(at - start);
      return at + 1;
    }
    if (*at == '\\') {
      char *to = at;
      at = tm_json_unescape(p, at, &to);
      *len = (uint32_t)(to - start);
      return at;
    }
    size_t n = (unsigned char)*at < 0x80 ? 0 : scan_character(at, (size_t)(p->end - at));
    if (!n)
      return tm_json_fail_string(p, at);
    at += n;
  }
}

/* -- numbers and words ----------------------------------------------------------------- */

static inline bool is_digit(char c) {
  return (unsigned char)(c - '0') < 10;
}

/* Take in digits, up to where they end. More than 19 run over; the caller counts them. */
static inline char *take_digits(char *at, uint64_t *digits) {
  uint64_t n = *digits;
  for (; is_digit(*at); at++)
    n = n * 10 + (uint64_t)(*at - '0');
  *digits = n;
  return at;
}

/* "e-12" at `at`; *exp10 gets it added. Beyond 99999 it grows no more: that is zero or
 * too large for any mantissa a text of 1 GiB can hold, which strtod then finds. */
static char *take_exponent(char *at, int *exp10, bool *exact) {
  bool down = at[1] == '-';
  at += at[1] == '-' || at[1] == '+' ? 2 : 1;
  int e = 0;
  for (; is_digit(*at); at++) {
    if (e < 99999)
      e = e * 10 + (*at - '0');
    else
      *exact = false;
  }
  *exp10 += down ? -e : e;
  return at;
}

/* The rest of a number that is no plain integer; `at` is behind its whole part. */
static char *read_real(tm_json_parser *p, char *text, char *at, uint64_t digits, tm_json *out) {
  char *whole = text + (*text == '-');
  ptrdiff_t count = at - whole;
  int exp10 = 0;
  if (*at == '.') {
    char *point = at++;
    at = take_digits(at, &digits);
    ptrdiff_t places = at - point - 1;
    if (places == 0)
      return tm_json_fail(p, at, TM_USAGE,
                          "%s where a digit was expected, behind the point of a number",
                          tm_json_found(p, at).text);
    count += places;
    exp10 = places > 99999 ? -99999 : -(int)places;
  }
  bool exact = count <= 19;
  if ((*at | 0x20) == 'e') {
    at = take_exponent(at, &exp10, &exact);
    if (!is_digit(at[-1]))
      return tm_json_fail(p, at, TM_USAGE, "%s where the digits of an exponent were expected",
                          tm_json_found(p, at).text);
  }
  double d = tm_number_read(digits, exp10, exact, text);
  if (isinf(d))
    return tm_json_fail(p, text, TM_USAGE,
                        "the number is too large; the largest is about 1.8e308");
  out->type = TM_JSON_DOUBLE;
  out->u.d = d;
  return at;
}

static inline char *read_number(tm_json_parser *p, char *at, tm_json *out) {
  char *text = at;
  bool negative = *at == '-';
  char *whole = at += negative;
  uint64_t digits = 0;
  at = take_digits(at, &digits);
  if (at == whole)
    return tm_json_fail(p, at, TM_USAGE, "%s where the digits of a number were expected",
                        tm_json_found(p, at).text);
  if (*whole == '0' && at - whole > 1)
    return tm_json_fail(p, whole, TM_USAGE,
                        "a number with a zero in front; leave the zero out");
  bool fits = at - whole < 19 || (at - whole == 19 && digits <= (uint64_t)INT64_MAX + negative);
  if (*at == '.' || (*at | 0x20) == 'e' || !fits || (negative && digits == 0))
    return read_real(p, text, at, digits, out);
  out->type = TM_JSON_INT;
  out->u.i = (int64_t)(negative ? 0 - digits : digits);
  return at;
}

static inline char *read_word(tm_json_parser *p, char *at, const char *word, size_t len) {
  return memcmp(at, word, len) == 0 ? at + len : tm_json_fail_value(p, at);
}

/* -- containers ------------------------------------------------------------------------ */

static inline char *skip_space(char *at) {
  while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
    at++;
  return at;
}

static inline char *read_key(tm_json_parser *p, char *at) {
  at = skip_space(at);
  if (*at != '"') {
    if (*at == '}')
      return tm_json_fail(p, at, TM_USAGE,
                          "'}' where a key was expected; is there a comma too many?");
    return tm_json_fail(p, at, TM_USAGE, "%s where a key in double quotes was expected",
                        tm_json_found(p, at).text);
  }
  tm_json_cell *c = push(p);
  if (!c)
    return NULL;
  c->key.key = at + 1;
  if (!(at = read_string(p, at + 1, &c->key.len)))
    return NULL;
  c->key.hash = scan_key_hash(c->key.key, c->key.len);
  at = skip_space(at);
  if (*at != ':')
    return tm_json_fail(p, at, TM_USAGE, "%s where a colon was expected, behind the key \"%s\"",
                        tm_json_found(p, at).text, tm_json_shown(c->key.key, c->key.len).text);
  return at + 1;
}

static inline bool open_container(tm_json_parser *p, char *at, bool object) {
  if (p->depth == p->max_depth) {
    tm_json_fail(p, at, TM_LIMIT,
                 "arrays and objects stand more than %u deep in each other, which is the limit",
                 p->max_depth);
    return false;
  }
  tm_json_cell *c = push(p);
  if (!c)
    return false;
  c->frame = (tm_json_frame_cell){p->frame, object};
  p->frame = p->top - 1;
  p->depth++;
  return true;
}

/* Move the children above the topmost frame into the arena; the frame's cell gets the value. */
static inline bool close_container(tm_json_parser *p) {
  tm_json_cell *frame = &p->stack[p->frame];
  size_t cells = p->top - p->frame - 1;
  tm_json_frame_cell was = frame->frame;
  tm_json v = {.type = was.object ? TM_JSON_OBJECT : TM_JSON_ARRAY,
               .len = (uint32_t)(was.object ? cells / 2 : cells)};
  if (cells) {
    void *children = tm_arena_alloc(p->arena, cells * sizeof(tm_json_cell));
    if (!children) {
      tm_json_fail_memory(p);
      return false;
    }
    memcpy(children, frame + 1, cells * sizeof(tm_json_cell));
    if (was.object) {
      v.u.members = children;
      if (!tm_json_settle(p, v.u.members, &v.len))
        return false;
    } else {
      v.u.items = children;
    }
  }
  frame->value = v;
  p->top = p->frame + 1;
  p->frame = was.parent;
  p->depth--;
  return true;
}

/* -- the loop -------------------------------------------------------------------------- */

/* A value that is no container, into a new cell. */
static inline char *read_scalar(tm_json_parser *p, char *at) {
  tm_json_cell *c = push(p);
  if (!c)
    return NULL;
  c->value = (tm_json){.type = TM_JSON_NULL};
  switch (*at) {
  case '"':
    c->value.type = TM_JSON_STRING;
    c->value.u.s = at + 1;
    return read_string(p, at + 1, &c->value.len);
  case 'n':
    return read_word(p, at, "null", 4);
  case 't':
  case 'f':
    c->value.type = TM_JSON_BOOL;
    c->value.u.b = *at == 't';
    return *at == 't' ? read_word(p, at, "true", 4) : read_word(p, at, "false", 5);
  default:
    return *at == '-' || is_digit(*at) ? read_number(p, at, &c->value)
                                       : tm_json_fail_value(p, at);
  }
}

/* Behind a value: close what closes. Returns the place of a comma, or of the end of the
 * text when the outermost value is complete. */
static inline char *after_value(tm_json_parser *p, char *at) {
  for (;;) {
    at = skip_space(at);
    if (p->frame == NO_FRAME)
      return at == p->end ? at
                          : tm_json_fail(p, at, TM_USAGE, "%s behind the end of the value",
                                         tm_json_found(p, at).text);
    bool object = p->stack[p->frame].frame.object;
    if (*at == ',')
      return at;
    if (*at != (object ? '}' : ']')) {
      if (at >= p->end)
        return tm_json_fail(p, at, TM_USAGE, "the text ends inside an %s",
                            object ? "object" : "array");
      return tm_json_fail(p, at, TM_USAGE, "%s where ',' or '%c' was expected",
                          tm_json_found(p, at).text, object ? '}' : ']');
    }
    if (!close_container(p))
      return NULL;
    at++;
  }
}

static bool parse(tm_json_parser *p) {
  char *at = p->base;
  for (;;) {
    at = skip_space(at);
    if (*at == '{' || *at == '[') {
      bool object = *at == '{';
      if (!open_container(p, at, object))
        return false;
      at = skip_space(at + 1);
      if (*at != (object ? '}' : ']')) {
        if (object && !(at = read_key(p, at)))
          return false;
        continue;
      }
    } else if (!(at = read_scalar(p, at))) {
      return false;
    }
    if (!(at = after_value(p, at)))
      return false;
    if (p->frame == NO_FRAME)
      return true;
    at++;
    if (p->stack[p->frame].frame.object && !(at = read_key(p, at)))
      return false;
  }
}

/* The copy that the tree's strings will stand in. */
static bool copy_text(tm_json_parser *p) {
  p->base = tm_arena_alloc(p->arena, p->len + PADDING);
  if (!p->base)
    return false;
  if (p->len)
    memcpy(p->base, p->text, p->len);
  p->end = p->base + p->len;
  memset(p->end, 0, PADDING);
  return true;
}

/* A limit as asked for, 0 being the usual one, but never above the highest. */
static size_t limit_of(size_t asked, size_t usual, size_t highest) {
  size_t limit = asked ? asked : usual;
  return limit < highest ? limit : highest;
}

int tm_json_parse(tm_json **out, tm_arena *a, const char *text, size_t len,
                  const tm_json_opts *opts, tm_err *err) {
  static const tm_json_opts defaults = {0};
  const tm_json_opts *o = opts ? opts : &defaults;
  size_t max_bytes = limit_of(o->max_bytes, TM_JSON_BYTES, TM_JSON_BYTES_MAX);
  size_t max_depth = limit_of(o->max_depth, TM_JSON_DEPTH, TM_JSON_DEPTH_MAX);
  *out = NULL;
  if (len > max_bytes)
    return tm_err_set(err, TM_LIMIT, "the JSON text has %zu bytes, at most %zu are read", len,
                      max_bytes);
  tm_json_cell first[FIRST_CELLS];
  tm_json_parser p = {.arena = a,
                      .stack = first,
                      .first = first,
                      .cap = FIRST_CELLS,
                      .text = text,
                      .len = len,
                      .err = err,
                      .frame = NO_FRAME,
                      .max_depth = (uint32_t)max_depth,
                      .last_wins = o->last_wins};
  tm_json *root = tm_arena_alloc(a, sizeof *root);
  if (!root || !copy_text(&p)) {
    tm_json_fail_memory(&p);
    return -1;
  }
  bool ok = parse(&p);
  if (ok) {
    *root = p.stack[0].value;
    *out = root;
    if (p.had_duplicates && o->had_duplicates)
      *o->had_duplicates = true;
  }
  if (p.stack != first)
    free(p.stack);
  return ok ? 0 : -1;
}
