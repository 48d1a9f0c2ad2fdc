/* stack.c - reads a script's stack and its values for messages: where it stands, what it
 * raised, and what keeps it from waiting. Nothing here runs script code or asks for memory.
 */
#include <stdio.h>
#include <string.h>

#include "script/sandbox.h"
#include "script/vm.h"

bool tm_vm_where(lua_State *L, char *out, size_t size) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0) {
      snprintf(out, size, "%s:%d", ar.short_src, ar.currentline);
      return true;
    }
  }
  if (size)
    out[0] = '\0';
  return false;
}

/* -- what was raised ------------------------------------------------------------------- */

static void copy(char *out, size_t size, const char *s, size_t len) {
  snprintf(out, size, "%.*s", (int)(len < size ? len : size), s);
}

/* The string at `index`, which is one: no conversion, so no allocation. */
static void copy_string(lua_State *L, int index, char *out, size_t size) {
  size_t len;
  const char *s = lua_tolstring(L, index, &len);
  copy(out, size, s, len);
}

static bool is_key(lua_State *L, int index, const char *key) {
  return lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), key) == 0;
}

/* The string at `key` of the table at `index`. Looking it up would have to make the key, which
 * may fail; walking over the table cannot. */
static bool find_string(lua_State *L, int index, const char *key, char *out, size_t size) {
  bool found = false;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (!found && is_key(L, -2, key) && lua_type(L, -1) == LUA_TSTRING) {
      copy_string(L, -1, out, size);
      found = true;
    }
    lua_pop(L, 1);
  }
  return found;
}

static void describe_table(lua_State *L, int index, char *out, size_t size) {
  if (!lua_checkstack(L, 3) || !find_string(L, lua_absindex(L, index), "message", out, size))
    copy(out, size, "(a table without a message was raised)", size);
}

static void describe_number(lua_State *L, int index, char *out, size_t size) {
  if (lua_isinteger(L, index))
    snprintf(out, size, "%lld", (long long)lua_tointeger(L, index));
  else
    snprintf(out, size, "%.14g", lua_tonumber(L, index));
}

void tm_vm_describe(lua_State *L, int index, char *out, size_t size) {
  int type = lua_type(L, index);
  if (type == LUA_TSTRING)
    copy_string(L, index, out, size);
  else if (type == LUA_TTABLE)
    describe_table(L, index, out, size);
  else if (type == LUA_TNUMBER)
    describe_number(L, index, out, size);
  else
    snprintf(out, size, "(a %s was raised)", lua_typename(L, type));
}

/* -- what keeps it from waiting -------------------------------------------------------- */

/* The C function at a level, NULL for a Lua function. */
static lua_CFunction c_function(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "f", ar);
  lua_CFunction fn = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return fn;
}

/* Level 0 is the primitive itself. pcall and the like let a wait through; the innermost
 * function with a role does not, so it is to blame. */
static const char *blame(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_CFunction fn = c_function(L, &ar);
    const char *role = fn ? tm_sandbox_role(fn) : NULL;
    if (role)
      return role;
  }
  return "a metamethod, or a module that is being loaded";
}

const char *tm_vm_blocked_by(lua_State *L) {
  if (tm_vm_spawned(L))
    return "your own coroutine";
  if (lua_isyieldable(L))
    return NULL;
  return lua_checkstack(L, 2) ? blame(L) : "a full stack";
}
