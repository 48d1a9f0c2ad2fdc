/* sandbox_pattern.c - string.find, match, gmatch and gsub over the counted matcher. */
#include <ctype.h>
#include <string.h>

#include "script/pattern.h"
#include "script/sandbox.h"
#include "script/vm.h"

/* Where a search begins, as an offset: from 1, or from the end when negative. */
static size_t start_offset(lua_Integer from, size_t len) {
  if (from > 0)
    return (size_t)from - 1;
  if (from == 0 || from < -(lua_Integer)len)
    return 0;
  return len - (size_t)-from;
}

/* -- find and match -------------------------------------------------------------------- */

static bool is_plain(const char *p, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (p[i] != '\0' && strchr("^$*+?.([%-", p[i]))
      return false;
  return true;
}

/* memmem takes linear time whatever the bytes are. */
static int find_plain(lua_State *L, const char *s, size_t len, size_t from, const char *p,
                      size_t plen) {
  tm_vm_charge(L, (len - from) / 16);
  const char *at = plen ? memmem(s + from, len - from, p, plen) : s + from;
  if (!at)
    return lua_pushnil(L), 1;
  lua_pushinteger(L, at - s + 1);
  lua_pushinteger(L, at - s + (lua_Integer)plen);
  return 2;
}

/* The first place from `s` on where the pattern matches; *end is the match's end, NULL if none.
 */
static const char *search(tm_pattern *m, const char *s, const char *p, const char **end) {
  bool anchored = *p == '^';
  p += anchored;
  for (;; s++) {
    *end = tm_pattern_match(m, s, p);
    if (*end || anchored || s >= m->subject_end)
      return s;
  }
}

static int find_or_match(lua_State *L, bool find) {
  size_t len, plen;
  const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &plen);
  size_t from = start_offset(luaL_optinteger(L, 3, 1), len);
  if (from > len)
    return lua_pushnil(L), 1;
  if (find && (lua_toboolean(L, 4) || is_plain(p, plen)))
    return find_plain(L, s, len, from, p, plen);
  tm_pattern m;
  const char *end;
  tm_pattern_init(&m, L, s, len, p, plen);
  const char *start = search(&m, s + from, p, &end);
  if (!end)
    return lua_pushnil(L), 1;
  if (!find)
    return tm_pattern_push_all(&m, start, end);
  lua_pushinteger(L, start - s + 1);
  lua_pushinteger(L, end - s);
  return 2 + tm_pattern_push_all(&m, NULL, NULL);
}

static int l_find(lua_State *L) {
  return find_or_match(L, true);
}
static int l_match(lua_State *L) {
  return find_or_match(L, false);
}

/* -- gmatch ---------------------------------------------------------------------------- */

typedef struct hunt {
  tm_pattern m;
  const char *pattern;
  const char *at, *last_end; /* an empty match right behind the last one does not count */
} hunt;

/* Upvalues: subject and pattern, so that they stay, and the hunt. */
static int next_match(lua_State *L) {
  hunt *h = lua_touserdata(L, lua_upvalueindex(3));
  h->m.L = L;
  for (; h->at <= h->m.subject_end; h->at++) {
    const char *start = h->at, *end = tm_pattern_match(&h->m, start, h->pattern);
    if (end && end != h->last_end) {
      h->at = h->last_end = end;
      return tm_pattern_push_all(&h->m, start, end);
    }
  }
  return 0;
}

static int l_gmatch(lua_State *L) {
  size_t len, plen;
  const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &plen);
  size_t from = start_offset(luaL_optinteger(L, 3, 1), len);
  lua_settop(L, 2);
  hunt *h = lua_newuserdatauv(L, sizeof *h, 0);
  tm_pattern_init(&h->m, L, s, len, p, plen);
  h->pattern = p;
  h->at = s + (from > len ? len + 1 : from);
  h->last_end = NULL;
  lua_pushcclosure(L, next_match, 3);
  return 1;
}

/* -- gsub ------------------------------------------------------------------------------ */

static void add(lua_State *L, luaL_Buffer *b, const char *s, size_t len) {
  tm_sandbox_room(L, b, len, "string.gsub");
  luaL_addlstring(b, s, len);
}

/* Add the value on top. [-1, +0, e] */
static void add_top(lua_State *L, luaL_Buffer *b) {
  size_t len;
  lua_tolstring(L, -1, &len);
  tm_sandbox_room(L, b, len, "string.gsub");
  luaL_addvalue(b);
}

/* The replacement string at index 3, its %0 to %9 filled in. */
static void add_template(tm_pattern *m, luaL_Buffer *b, const char *start, const char *end) {
  lua_State *L = m->L;
  size_t len;
  const char *r = lua_tolstring(L, 3, &len), *r_end = r + len, *mark;
  tm_vm_charge(L, len / 16);
  while ((mark = memchr(r, '%', (size_t)(r_end - r))) != NULL) {
    char c = mark[1]; /* a NUL stands behind the string */
    add(L, b, r, (size_t)(mark - r));
    if (c == '%') {
      add(L, b, "%", 1);
    } else if (c == '0') {
      add(L, b, start, (size_t)(end - start));
    } else if (isdigit((unsigned char)c)) {
      tm_pattern_push(m, c - '1', start, end);
      add_top(L, b);
    } else {
      luaL_error(L, "invalid use of '%%' in replacement string");
    }
    r = mark + 2;
  }
  add(L, b, r, (size_t)(r_end - r));
}

/* What replaces a match; false when the match stays as it is. */
static bool add_replacement(tm_pattern *m, luaL_Buffer *b, const char *start, const char *end) {
  lua_State *L = m->L;
  int type = lua_type(L, 3);
  if (type == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, tm_pattern_push_all(m, start, end), 1);
  } else if (type == LUA_TTABLE) {
    tm_pattern_push(m, 0, start, end);
    lua_gettable(L, 3);
  } else {
    add_template(m, b, start, end);
    return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    add(L, b, start, (size_t)(end - start));
    return false;
  }
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  add_top(L, b);
  return true;
}

/* Replace up to `most` matches; how many there were. `kept` marks what is not copied yet. */
static lua_Integer replace(tm_pattern *m, luaL_Buffer *b, const char *p, lua_Integer most,
                           bool *changed) {
  const char *s = m->subject, *kept = s, *last_end = NULL;
  bool anchored = *p == '^';
  lua_Integer n = 0;
  p += anchored;
  while (n < most) {
    const char *end = tm_pattern_match(m, s, p);
    if (end && end != last_end) {
      n++;
      add(m->L, b, kept, (size_t)(s - kept));
      *changed |= add_replacement(m, b, s, end);
      s = kept = last_end = end;
    } else if (s++ >= m->subject_end) {
      break;
    }
    if (anchored)
      break;
  }
  add(m->L, b, kept, (size_t)(m->subject_end - kept));
  return n;
}

static int l_gsub(lua_State *L) {
  size_t len, plen;
  const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &plen);
  int type = lua_type(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)len + 1);
  bool changed = false;
  tm_pattern m;
  luaL_Buffer b;
  luaL_argexpected(L,
                   type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                       type == LUA_TTABLE,
                   3, "string/function/table");
  tm_pattern_init(&m, L, s, len, p, plen);
  luaL_buffinit(L, &b);
  lua_Integer n = replace(&m, &b, p, most, &changed);
  if (changed)
    luaL_pushresult(&b);
  else
    lua_pushvalue(L, 1);
  lua_pushinteger(L, n);
  return 2;
}

/* -- the list -------------------------------------------------------------------------- */

void tm_sandbox_pattern(lua_State *L) {
  static const luaL_Reg replaced[] = {
      {"find", l_find}, {"match", l_match}, {"gmatch", l_gmatch},
      {"gsub", l_gsub}, {NULL, NULL},
  };
  luaL_setfuncs(L, replaced, 0);
}

const char *tm_sandbox_pattern_role(lua_CFunction fn) {
  return fn == l_gsub ? "the replacement function of string.gsub" : NULL;
}
