/* pattern.h - Lua 5.4's patterns, with every step counted.
 *
 * The stock matcher backtracks without looking at the clock: 28 characters can keep it busy for
 * seconds, and the hook never sees it. This one charges the script's budget as it goes, so a
 * match may not return (see tm_vm_charge): own nothing but Lua values around it.
 */
#ifndef TM_SCRIPT_PATTERN_H
#define TM_SCRIPT_PATTERN_H

#include <lua.h>
#include <stddef.h>

#define TM_PATTERN_CAPTURES 32

typedef struct tm_capture {
  const char *start;
  ptrdiff_t len; /* or what pattern.c says */
} tm_capture;

typedef struct tm_pattern {
  lua_State *L;
  const char *subject, *subject_end;
  const char *pattern_end;
  unsigned ticks; /* steps not charged yet */
  int depth;
  int level; /* captures begun */
  tm_capture captures[TM_PATTERN_CAPTURES];
} tm_pattern;

void tm_pattern_init(tm_pattern *m, lua_State *L, const char *subject, size_t subject_len,
                     const char *pattern, size_t pattern_len);
/* Match `pattern` (inside the one given to init) at `at`: the end of the match, or NULL. Raises
 * for a malformed pattern. */
const char *tm_pattern_match(tm_pattern *m, const char *at, const char *pattern);
/* Push capture i (0 is the first); without captures, capture 0 is the whole match. [-0, +1, e]
 */
void tm_pattern_push(tm_pattern *m, int i, const char *start, const char *end);
/* Push all captures, or the whole match when there are none and `start` is given; how many.
 * [-0, +n, e] */
int tm_pattern_push_all(tm_pattern *m, const char *start, const char *end);

#endif
