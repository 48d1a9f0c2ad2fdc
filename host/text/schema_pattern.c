/* schema_pattern.c - the plain patterns, matched in one pass without a regex engine.
 *
 * Most patterns in schemas are rows of sets with counts: ^INV-[0-9]{4}-[0-9]+$. When each
 * repeated set shares no character with what may come behind it, taking as many as there are
 * is the only way to match, so nothing is ever tried twice:
 *
 *   ^ I N V - [0-9]{4} - [0-9]+ $      a row of steps {set, min, max}
 *
 * Everything else (groups, alternatives, overlapping sets, no ^) is for PCRE2.
 */
#include "text/schema_program.h"

#define STEPS_MAX 40
#define MANY      UINT32_MAX

/* What a set says of characters beyond ASCII. */
typedef enum beyond { BEYOND_NONE, BEYOND_ALL, BEYOND_NO_LINE_ENDS } beyond;

typedef struct step {
  uint64_t ascii[2];
  uint32_t min, max;
  beyond beyond;
} step;

struct plain_pattern {
  uint32_t count;
  bool whole; /* ends with $ */
  step steps[];
};

/* -- sets ------------------------------------------------------------------------------ */

static void add(step *s, unsigned c) {
  s->ascii[c >> 6] |= UINT64_C(1) << (c & 63);
}

static void add_range(step *s, unsigned from, unsigned to) {
  for (unsigned c = from; c <= to; c++)
    add(s, c);
}

static void invert(step *s) {
  s->ascii[0] = ~s->ascii[0];
  s->ascii[1] = ~s->ascii[1];
  s->beyond = BEYOND_ALL;
}

static bool overlaps(const step *a, const step *b) {
  return (a->ascii[0] & b->ascii[0]) || (a->ascii[1] & b->ascii[1]) || (a->beyond && b->beyond);
}

/* -- reading a pattern ----------------------------------------------------------------- */

typedef struct reader {
  const char *s, *end;
} reader;

/* \d, \w, \D, \W as a set; an escaped mark as itself. False: not plain. */
static bool read_escape(reader *r, step *s, int *single) {
  if (r->s == r->end)
    return false;
  char c = *r->s++;
  *single = -1;
  switch (c) {
  case 'd':
  case 'D':
    add_range(s, '0', '9');
    break;
  case 'w':
  case 'W':
    add_range(s, '0', '9');
    add_range(s, 'a', 'z');
    add_range(s, 'A', 'Z');
    add(s, '_');
    break;
  default:
    if (!strchr("^$\\.*+?()[]{}|/-", c))
      return false;
    *single = c;
    add(s, (unsigned char)c);
    return true;
  }
  if (c == 'D' || c == 'W')
    invert(s);
  return true;
}

/* One character or escape inside [ ]. *single is -1 for a set. */
static bool read_class_atom(reader *r, step *s, int *single) {
  char c = *r->s++;
  if (c == '\\') {
    step part = {0};
    if (!read_escape(r, &part, single) || part.beyond)
      return false;
    s->ascii[0] |= part.ascii[0];
    s->ascii[1] |= part.ascii[1];
    return true;
  }
  if ((unsigned char)c >= 0x80)
    return false;
  *single = c;
  add(s, (unsigned char)c);
  return true;
}

static bool read_class(reader *r, step *s) {
  bool negated = r->s < r->end && *r->s == '^';
  r->s += negated;
  bool first = true;
  for (; r->s < r->end && *r->s != ']'; first = false) {
    int from, to;
    if (!read_class_atom(r, s, &from))
      return false;
    if (r->end - r->s < 2 || r->s[0] != '-' || r->s[1] == ']')
      continue;
    r->s++;
    if (!read_class_atom(r, s, &to) || from < 0 || to < from)
      return false;
    add_range(s, (unsigned)from, (unsigned)to);
  }
  if (r->s == r->end || first)
    return false; /* no end, or [] and [^] */
  r->s++;
  if (negated)
    invert(s);
  return true;
}

static bool read_atom(reader *r, step *s) {
  char c = *r->s++;
  int single;
  if (c == '\\')
    return read_escape(r, s, &single);
  if (c == '[')
    return read_class(r, s);
  if (c == '.') {
    add(s, '\n');
    add(s, '\r');
    invert(s);
    s->beyond = BEYOND_NO_LINE_ENDS;
    return true;
  }
  if ((unsigned char)c >= 0x80 || strchr("^$*+?()]{}|", c))
    return false;
  add(s, (unsigned char)c);
  return true;
}

static bool read_number(reader *r, uint32_t *n) {
  const char *start = r->s;
  for (*n = 0; r->s < r->end && *r->s >= '0' && *r->s <= '9' && r->s - start < 6; r->s++)
    *n = *n * 10 + (uint32_t)(*r->s - '0');
  return r->s > start;
}

/* The count behind an atom. What ECMA-262 or PCRE2 would refuse is not plain. */
static bool read_count(reader *r, step *s) {
  s->min = s->max = 1;
  if (r->s == r->end || !*r->s || !strchr("*+?{", *r->s))
    return true;
  char c = *r->s++;
  s->max = c == '?' ? 1 : MANY;
  s->min = c == '+';
  if (c == '{') {
    if (!read_number(r, &s->min))
      return false;
    s->max = s->min;
    if (r->s < r->end && *r->s == ',') {
      r->s++;
      if (!read_number(r, &s->max))
        s->max = MANY;
    }
    if (r->s == r->end || *r->s++ != '}' || s->max < s->min || s->min > 0xffff)
      return false;
  }
  return r->s == r->end || !strchr("*+?{", *r->s);
}

/* Is taking as many as there are always right? */
static bool is_greedy_exact(const step *steps, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (steps[i].min == steps[i].max)
      continue;
    for (uint32_t k = i + 1; k < count; k++) {
      if (overlaps(&steps[i], &steps[k]))
        return false;
      if (steps[k].min > 0)
        break;
    }
  }
  return true;
}

const plain_pattern *tm_schema_pattern_new(tm_arena *a, const char *s, size_t len) {
  step steps[STEPS_MAX];
  reader r = {s, s + len};
  uint32_t count = 0;
  bool whole = false;
  if (len == 0 || *r.s++ != '^')
    return NULL;
  while (r.s < r.end && !whole) {
    if (*r.s == '$' && r.s + 1 == r.end) {
      whole = true;
      break;
    }
    if (count == STEPS_MAX)
      return NULL;
    steps[count] = (step){0};
    if (!read_atom(&r, &steps[count]) || !read_count(&r, &steps[count]))
      return NULL;
    count++;
  }
  if (!is_greedy_exact(steps, count))
    return NULL;
  plain_pattern *p = tm_arena_alloc(a, sizeof *p + count * sizeof *steps);
  if (!p)
    return NULL;
  p->count = count;
  p->whole = whole;
  if (count)
    memcpy(p->steps, steps, count * sizeof *steps);
  return p;
}

/* -- matching -------------------------------------------------------------------------- */

/* Length of the character beyond ASCII at s if the set has it, else 0. */
static size_t beyond_len(const step *t, const char *s, const char *end) {
  unsigned char lead = (unsigned char)*s;
  size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (t->beyond == BEYOND_NONE || (size_t)(end - s) < len)
    return 0;
  bool line_end = len == 3 && lead == 0xe2 && (unsigned char)s[1] == 0x80 &&
                  ((unsigned char)s[2] == 0xa8 || (unsigned char)s[2] == 0xa9);
  return t->beyond == BEYOND_NO_LINE_ENDS && line_end ? 0 : len;
}

bool tm_schema_pattern_match(const plain_pattern *p, const char *s, size_t len) {
  const char *end = s + len;
  for (uint32_t i = 0; i < p->count; i++) {
    const step *t = &p->steps[i];
    uint32_t n = 0;
    /* without $ nobody asks what comes behind the last step */
    uint32_t max = i + 1 == p->count && !p->whole ? t->min : t->max;
    for (; n < max && s < end; n++) {
      unsigned char c = (unsigned char)*s;
      if (c < 0x80) {
        if (!(t->ascii[c >> 6] >> (c & 63) & 1))
          break;
        s++;
      } else {
        size_t more = beyond_len(t, s, end);
        if (more == 0)
          break;
        s += more;
      }
    }
    if (n < t->min)
      return false;
  }
  return !p->whole || s == end;
}
