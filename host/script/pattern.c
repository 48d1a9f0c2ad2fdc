/* pattern.c - Lua 5.4's patterns, with every step counted.
 *
 * The pattern is read while it is matched, as in stock Lua: a malformed end that is never
 * reached is no error. `match` walks along subject and pattern as long as there is one way to
 * go, and calls itself where there are several:
 *
 *   x*  x+   as many as possible, then fewer   ─┐
 *   x-       none, then more                    ├─ match(rest of subject, rest of pattern)
 *   x?       one, then none                     │
 *   ( )      a capture is undone on failure    ─┘
 */
#include "script/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "script/vm.h"

#define DEPTH_MAX 200 /* nested calls of match: the limit of stock Lua */
#define BATCH     256 /* steps charged at once */
#define OPEN      (-1)
#define POSITION  (-2)

typedef tm_pattern matcher;

static const char *match(matcher *m, const char *s, const char *p);

static void tick(matcher *m, size_t steps) {
  m->ticks += (unsigned)(steps < BATCH ? steps : 0);
  if (m->ticks < BATCH && steps < BATCH)
    return;
  size_t due = m->ticks + (steps < BATCH ? 0 : steps);
  m->ticks = 0;
  tm_vm_charge(m->L, due);
}

/* -- one character --------------------------------------------------------------------- */

/* The end of the item (a character, a class, a set) that starts at p. */
static const char *item_end(matcher *m, const char *p) {
  char first = *p++;
  if (first == '%') {
    if (p == m->pattern_end)
      luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (first != '[')
    return p;
  p += *p == '^';
  do { /* a ] in the first place is a member */
    if (p == m->pattern_end)
      luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == '%' && p < m->pattern_end)
      p++;
  } while (*p != ']');
  return p + 1;
}

/* Is c in the class of this letter? Any other character stands for itself. */
static bool in_class(int c, int letter) {
  bool in;
  switch (tolower(letter)) {
  case 'a':
    in = isalpha(c);
    break;
  case 'c':
    in = iscntrl(c);
    break;
  case 'd':
    in = isdigit(c);
    break;
  case 'g':
    in = isgraph(c);
    break;
  case 'l':
    in = islower(c);
    break;
  case 'p':
    in = ispunct(c);
    break;
  case 's':
    in = isspace(c);
    break;
  case 'u':
    in = isupper(c);
    break;
  case 'w':
    in = isalnum(c);
    break;
  case 'x':
    in = isxdigit(c);
    break;
  case 'z': /* from Lua 5.1, undocumented, and still there */
    in = c == '\0';
    break;
  default:
    return letter == c;
  }
  return isupper(letter) ? !in : in;
}

static int byte_at(const char *p) {
  return (unsigned char)*p;
}

/* Is c in the set from [ at `p` to ] at `last`? */
static bool in_set(int c, const char *p, const char *last) {
  bool wanted = p[1] != '^';
  p += wanted ? 1 : 2;
  for (; p < last; p++) {
    if (*p == '%') {
      if (in_class(c, byte_at(++p)))
        return wanted;
    } else if (p[1] == '-' && p + 2 < last) {
      if (byte_at(p) <= c && c <= byte_at(p + 2))
        return wanted;
      p += 2;
    } else if (byte_at(p) == c) {
      return wanted;
    }
  }
  return !wanted;
}

/* Does the character at s match the item from p to `end`? */
static bool fits(const matcher *m, const char *s, const char *p, const char *end) {
  if (s >= m->subject_end)
    return false;
  switch (*p) {
  case '.':
    return true;
  case '%':
    return in_class(byte_at(s), byte_at(p + 1));
  case '[':
    return in_set(byte_at(s), p, end - 1);
  default:
    return *p == *s;
  }
}

/* -- repetition ------------------------------------------------------------------------ */

/* The item from p to `end`, as often as it fits, then fewer. */
static const char *match_longest(matcher *m, const char *s, const char *p, const char *end) {
  const char *far = s;
  while (fits(m, far, p, end))
    far++;
  tick(m, (size_t)(far - s));
  for (; far >= s; far--) {
    const char *result = match(m, far, end + 1);
    if (result)
      return result;
  }
  return NULL;
}

static const char *match_shortest(matcher *m, const char *s, const char *p, const char *end) {
  for (;; s++) {
    const char *result = match(m, s, end + 1);
    if (result || !fits(m, s, p, end))
      return result;
  }
}

/* -- captures -------------------------------------------------------------------------- */

static const char *open_capture(matcher *m, const char *s, const char *p) {
  bool place = p[1] == ')';
  if (m->level >= TM_PATTERN_CAPTURES)
    luaL_error(m->L, "too many captures");
  m->captures[m->level++] = (tm_capture){s, place ? POSITION : OPEN};
  const char *result = match(m, s, p + (place ? 2 : 1));
  if (!result)
    m->level--;
  return result;
}

static const char *close_capture(matcher *m, const char *s, const char *p) {
  int i = m->level - 1;
  while (i >= 0 && m->captures[i].len != OPEN)
    i--;
  if (i < 0)
    luaL_error(m->L, "invalid pattern capture");
  m->captures[i].len = s - m->captures[i].start;
  const char *result = match(m, s, p + 1);
  if (!result)
    m->captures[i].len = OPEN;
  return result;
}

/* The text of an earlier capture again: the place behind it, or NULL. */
static const char *repeat_capture(matcher *m, const char *s, int digit) {
  int i = digit - '1';
  if (i < 0 || i >= m->level || m->captures[i].len == OPEN)
    luaL_error(m->L, "invalid capture index %%%d", i + 1);
  tm_capture c = m->captures[i];
  if (c.len == POSITION || c.len > m->subject_end - s)
    return NULL;
  tick(m, (size_t)c.len / 16);
  return memcmp(c.start, s, (size_t)c.len) == 0 ? s + c.len : NULL;
}

/* -- %b and %f ------------------------------------------------------------------------- */

/* A stretch between two balanced characters, which stand at p: the place behind it, or NULL. */
static const char *skip_balanced(matcher *m, const char *s, const char *p) {
  if (p + 1 >= m->pattern_end)
    luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (s >= m->subject_end || *s != p[0])
    return NULL;
  size_t depth = 1;
  for (const char *at = s + 1; at < m->subject_end; at++) {
    if (*at == p[1] && --depth == 0) {
      tick(m, (size_t)(at - s));
      return at + 1;
    }
    depth += *at == p[0] && p[0] != p[1];
  }
  tick(m, (size_t)(m->subject_end - s));
  return NULL;
}

/* Between a character outside and one inside of the set at *p; the ends count as '\0'. Moves *p
 * behind the set. */
static bool at_frontier(matcher *m, const char *s, const char **p) {
  const char *set = *p;
  if (*set != '[')
    luaL_error(m->L, "missing '[' after '%%f' in pattern");
  *p = item_end(m, set);
  int before = s == m->subject ? '\0' : byte_at(s - 1);
  int here = s < m->subject_end ? byte_at(s) : '\0';
  return !in_set(before, set, *p - 1) && in_set(here, set, *p - 1);
}

/* -- the walk -------------------------------------------------------------------------- */

/* A way that lies ahead: go on at (s, p), or it is decided: s is the result. */
typedef struct way {
  const char *s, *p;
  bool decided;
} way;

static way decide(const char *s) {
  return (way){s, NULL, true};
}

static way go(const char *s, const char *p) {
  return s ? (way){s, p, false} : decide(NULL);
}

static way take_item(matcher *m, const char *s, const char *p) {
  const char *end = item_end(m, p), *result;
  char suffix = *end; /* a NUL stands behind the pattern */
  if (suffix == '*')
    return decide(match_longest(m, s, p, end));
  if (suffix == '-')
    return decide(match_shortest(m, s, p, end));
  if (!fits(m, s, p, end))
    return suffix == '?' ? go(s, end + 1) : decide(NULL);
  if (suffix == '+')
    return decide(match_longest(m, s + 1, p, end));
  if (suffix != '?')
    return go(s + 1, end);
  result = match(m, s + 1, end + 1);
  return result ? decide(result) : go(s, end + 1);
}

static way take_escape(matcher *m, const char *s, const char *p) {
  char letter = p + 1 < m->pattern_end ? p[1] : '\0';
  const char *rest = p + 2;
  if (letter == 'b')
    return go(skip_balanced(m, s, rest), p + 4);
  if (letter == 'f')
    return at_frontier(m, s, &rest) ? go(s, rest) : decide(NULL);
  if (isdigit((unsigned char)letter))
    return go(repeat_capture(m, s, letter), rest);
  return take_item(m, s, p);
}

static way take(matcher *m, const char *s, const char *p) {
  switch (*p) {
  case '(':
    return decide(open_capture(m, s, p));
  case ')':
    return decide(close_capture(m, s, p));
  case '$':
    if (p + 1 == m->pattern_end)
      return decide(s == m->subject_end ? s : NULL);
    return take_item(m, s, p);
  case '%':
    return take_escape(m, s, p);
  default:
    return take_item(m, s, p);
  }
}

static const char *match(matcher *m, const char *s, const char *p) {
  way w = go(s, p);
  if (m->depth++ == DEPTH_MAX)
    luaL_error(m->L, "pattern too complex");
  while (!w.decided && w.p < m->pattern_end) {
    tick(m, 1);
    w = take(m, w.s, w.p);
  }
  m->depth--;
  return w.s;
}

/* -- the door -------------------------------------------------------------------------- */

void tm_pattern_init(tm_pattern *m, lua_State *L, const char *subject, size_t subject_len,
                     const char *pattern, size_t pattern_len) {
  m->L = L;
  m->subject = subject;
  m->subject_end = subject + subject_len;
  m->pattern_end = pattern + pattern_len;
  m->ticks = 0;
  m->depth = 0;
  m->level = 0;
}

const char *tm_pattern_match(tm_pattern *m, const char *at, const char *pattern) {
  m->depth = 0;
  m->level = 0;
  tick(m, 1);
  return match(m, at, pattern);
}

void tm_pattern_push(tm_pattern *m, int i, const char *start, const char *end) {
  if (i >= m->level) {
    if (i > 0)
      luaL_error(m->L, "invalid capture index %%%d", i + 1);
    lua_pushlstring(m->L, start, (size_t)(end - start));
    return;
  }
  tm_capture c = m->captures[i];
  if (c.len == OPEN)
    luaL_error(m->L, "unfinished capture");
  else if (c.len == POSITION)
    lua_pushinteger(m->L, c.start - m->subject + 1);
  else
    lua_pushlstring(m->L, c.start, (size_t)c.len);
}

int tm_pattern_push_all(tm_pattern *m, const char *start, const char *end) {
  int n = m->level == 0 && start ? 1 : m->level;
  luaL_checkstack(m->L, n, "too many captures");
  for (int i = 0; i < n; i++)
    tm_pattern_push(m, i, start, end);
  return n;
}
