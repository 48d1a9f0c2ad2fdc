/* args.c - options, types and durations of the primitives, with messages that name the script's
 * line.
 */
#include "script/args.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "text/number.h"

#define MESSAGE 512

/* "file:line"; this is done for every call. */
static void print_place(char *out, size_t size, const char *file, int line) {
  char number[TM_NUMBER_TEXT];
  size_t digits = tm_number_write_int(number, line), len = strlen(file);
  if (len > size - digits - 2)
    len = size - digits - 2;
  memcpy(out, file, len);
  out[len] = ':';
  memcpy(out + len + 1, number, digits + 1);
}

void tm_args_caller(lua_State *L, char *out, size_t size) {
  lua_Debug ar;
  *out = 0;
  for (int level = 1; lua_getstack(L, level, &ar); level++)
    if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0 && *ar.source == '@') {
      print_place(out, size, ar.source + 1, ar.currentline);
      return;
    }
}

static int fail_at(lua_State *L, const char *where, const char *kind, const char *message) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  lua_pushfstring(L, "%s%s%s", where, *where ? ": " : "", message);
  lua_setfield(L, -2, "message");
  luaL_setmetatable(L, TM_ARGS_ERROR);
  return lua_error(L);
}

int tm_args_fail(lua_State *L, const char *kind, const char *message) {
  char where[256];
  tm_args_caller(L, where, sizeof where);
  return fail_at(L, where, kind, message);
}

/* Where the function at `index` was written. */
static void place_of(lua_State *L, int index, char *out, size_t size) {
  lua_Debug ar;
  lua_pushvalue(L, index);
  if (lua_getinfo(L, ">S", &ar) && ar.linedefined > 0 && *ar.source == '@')
    print_place(out, size, ar.source + 1, ar.linedefined);
}

/* fail(kind, message, fn?). A tail call has no line: then that of `fn` is told, which the message is
 * about. */
static int l_fail(lua_State *L) {
  char where[256];
  const char *kind = luaL_checkstring(L, 1), *message = luaL_checkstring(L, 2);
  tm_args_caller(L, where, sizeof where);
  if (!*where && lua_isfunction(L, 3))
    place_of(L, 3, where, sizeof where);
  return fail_at(L, where, kind, message);
}

/* Of the names "a b:type c", the one that is `name`: what stands behind it, ":type" or a space
 * or the end. NULL: it is not among them. */
static const char *listed(const char *names, const char *name) {
  size_t len = strlen(name);
  for (const char *at = names; (at = strstr(at, name)); at += len) {
    bool starts = at == names || at[-1] == ' ';
    if (starts && (at[len] == ' ' || at[len] == ':' || !at[len]))
      return at + len;
  }
  return NULL;
}

static int unknown_option(lua_State *L, const char *what, const char *names) {
  char message[MESSAGE];
  int key = lua_gettop(L) - 1;
  bool text = lua_type(L, key) == LUA_TSTRING;
  int n = snprintf(message, sizeof message, "%s does not know the option \"%.60s\"; it takes ",
                   what, text ? lua_tostring(L, key) : luaL_typename(L, key));
  for (size_t at = (size_t)n; *names && at < sizeof message - 1; names++) {
    if (*names == ':')
      names += strcspn(names, " ");
    if (!*names)
      break;
    message[at++] = *names;
    message[at] = 0;
  }
  return tm_args_fail(L, "usage", message);
}

/* The option on top of the stack against the type that stands behind its name. */
static void hold_type(lua_State *L, const char *what, const char *type) {
  char of[MESSAGE / 2], want[16];
  if (*type != ':')
    return;
  snprintf(want, sizeof want, "%.*s", (int)strcspn(type + 1, " "), type + 1);
  if (strcmp(luaL_typename(L, -1), want) == 0)
    return;
  snprintf(of, sizeof of, "%s: %s", what, lua_tostring(L, -2));
  tm_args_wrong(L, lua_gettop(L), of, want);
}

static int l_known(lua_State *L) {
  const char *what = luaL_checkstring(L, 1), *names = luaL_checkstring(L, 3);
  char message[MESSAGE];
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    return 1;
  }
  if (!lua_istable(L, 2)) {
    snprintf(message, sizeof message, "%s takes a table of options, not a %s", what,
             luaL_typename(L, 2));
    return tm_args_fail(L, "usage", message);
  }
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    const char *type =
        lua_type(L, -2) == LUA_TSTRING ? listed(names, lua_tostring(L, -2)) : NULL;
    if (!type)
      return unknown_option(L, what, names);
    hold_type(L, what, type);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, 2);
  return 1;
}

int tm_args_wrong(lua_State *L, int index, const char *what, const char *type) {
  char message[MESSAGE];
  snprintf(message, sizeof message, "%s must be a %s, not %s", what, type,
           luaL_typename(L, index));
  return tm_args_fail(L, "usage", message);
}

static int l_want(lua_State *L) {
  const char *what = luaL_checkstring(L, 1), *type = luaL_checkstring(L, 3);
  if (strcmp(luaL_typename(L, 2), type) != 0)
    return tm_args_wrong(L, 2, what, type);
  lua_pushvalue(L, 2);
  return 1;
}

static int64_t duration(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TNUMBER) {
    lua_Number s = lua_tonumber(L, index);
    return s >= 0 && s < 1e12 ? (int64_t)(s * 1000) : -1;
  }
  size_t len;
  const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
  return text ? tm_clock_duration(text, len) : -1;
}

static int l_milliseconds(lua_State *L) {
  const char *what = luaL_checkstring(L, 1);
  char message[MESSAGE];
  if (lua_isnoneornil(L, 2))
    return 0;
  int64_t ms = duration(L, 2);
  if (ms < 0) {
    snprintf(message, sizeof message,
             "%s must be seconds or a text like \"90s\", \"5m\", \"2h\", \"3d\"", what);
    return tm_args_fail(L, "usage", message);
  }
  lua_pushinteger(L, ms);
  return 1;
}

const luaL_Reg tm_args_functions[] = {
    {"fail", l_fail}, {"known", l_known}, {"milliseconds", l_milliseconds},
    {"want", l_want}, {NULL, NULL},
};
