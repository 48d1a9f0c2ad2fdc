/* sandbox_base.c - the basic functions that are replaced or removed, and the list of those that
 * call back.
 */
#include <string.h>

#include "script/sandbox.h"
#include "script/vm.h"

/* -- text without addresses ------------------------------------------------------------ */

/* The result of __tostring, which has to be a string; false when there is none. [-0, +0..1, e]
 */
static bool call_tostring(lua_State *L, int index) {
  if (!luaL_callmeta(L, index, "__tostring"))
    return false;
  if (!lua_isstring(L, -1))
    luaL_error(L, "'__tostring' must return a string");
  return true;
}

/* "table", "function" …, or what the metatable's __name says. [-0, +1, m] */
static void push_kind(lua_State *L, int index) {
  int type = luaL_getmetafield(L, index, "__name");
  if (type == LUA_TSTRING)
    return;
  if (type != LUA_TNIL)
    lua_pop(L, 1);
  lua_pushstring(L, luaL_typename(L, index));
}

const char *tm_sandbox_tostring(lua_State *L, int index, size_t *len) {
  index = lua_absindex(L, index);
  if (call_tostring(L, index))
    return lua_tolstring(L, -1, len);
  switch (lua_type(L, index)) {
  case LUA_TNUMBER:
  case LUA_TSTRING:
    lua_pushvalue(L, index);
    break;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    break;
  case LUA_TNIL:
    lua_pushliteral(L, "nil");
    break;
  case LUA_TLIGHTUSERDATA:
    lua_pushstring(L, lua_touserdata(L, index) ? "userdata" : "null");
    break;
  default:
    push_kind(L, index);
  }
  return lua_tolstring(L, -1, len);
}

static int l_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  tm_sandbox_tostring(L, 1, NULL);
  return 1;
}

/* -- tables ---------------------------------------------------------------------------- */

static void refuse_field(lua_State *L, const char *field, const char *why) {
  lua_pushstring(L, field);
  if (lua_rawget(L, 2) != LUA_TNIL)
    luaL_error(L, "setmetatable: %s is not there in workflows: %s", field, why);
  lua_pop(L, 1);
}

static int l_setmetatable(lua_State *L) {
  int type = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  if (type == LUA_TTABLE) {
    refuse_field(L, "__gc",
                 "when it would run differs in each replay; use a variable with <close>");
    refuse_field(L, "__mode", "when an entry would go differs in each replay");
  }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

static int l_rawget(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  tm_sandbox_thaw(L, 1);
  lua_rawget(L, 1);
  return 1;
}

static int l_rawset(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  lua_pushvalue(L, 1);
  if (tm_sandbox_thaw(L, 4))
    return luaL_error(L, "rawset: the libraries are read-only; use a local");
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 1;
}

/* -- xpcall ---------------------------------------------------------------------------- */

/* Stands in front of the script's handler: after a stop the handler may run with hooks off,
 * where nothing could end it, so it is not entered. */
static int guard_handler(lua_State *L) {
  if (tm_vm_stopped(tm_vm_of(L)))
    return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

/* The stack is: f, handler, true, results of f. */
static int finish_xpcall(lua_State *L, int status, lua_KContext skip) {
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L) - (int)skip;
  lua_pushboolean(L, false);
  lua_pushvalue(L, -2);
  return 2;
}

static int l_xpcall(lua_State *L) {
  int nargs = lua_gettop(L) - 2;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, guard_handler, 1);
  lua_replace(L, 2);
  lua_pushboolean(L, true);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  int status = lua_pcallk(L, nargs, LUA_MULTRET, 2, 2, finish_xpcall);
  return finish_xpcall(L, status, 2);
}

/* -- the list -------------------------------------------------------------------------- */

void tm_sandbox_base(lua_State *L) {
  static const luaL_Reg replaced[] = {
      {"next", tm_sandbox_next}, {"pairs", tm_sandbox_pairs},
      {"rawget", l_rawget},      {"rawset", l_rawset},
      {"tostring", l_tostring},  {"setmetatable", l_setmetatable},
      {"xpcall", l_xpcall},      {NULL, NULL},
  };
  static const char *const removed[] = {"collectgarbage", "dofile", "load",
                                        "loadfile",       "print",  "warn"};
  luaL_setfuncs(L, replaced, 0);
  for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
    lua_pushnil(L);
    lua_setfield(L, -2, removed[i]);
  }
}

static const char *base_role(lua_CFunction fn) {
  if (fn == guard_handler)
    return "the message handler of xpcall";
  if (fn == l_tostring)
    return "a __tostring metamethod";
  return NULL;
}

const char *tm_sandbox_role(lua_CFunction fn) {
  const char *role = base_role(fn);
  if (!role)
    role = tm_sandbox_string_role(fn);
  if (!role)
    role = tm_sandbox_table_role(fn);
  return role;
}
