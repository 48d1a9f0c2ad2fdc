/* sandbox.c - the globals a script sees: an allow-list, read-only libraries, nothing that
 * differs from one process to the next. docs/sandbox.md has the reason of each entry.
 */
#include "script/sandbox.h"

#include <lualib.h>
#include <string.h>

#include "script/globals.h"
#include "script/vm.h"

/* -- read-only libraries ------------------------------------------------------------
 *
 *   string (empty table) ── metatable { __index = the real table, __newindex = refuse_write,
 *                                       __metatable = false, __name = "library string" }
 *
 * An empty table in front, since Lua asks __newindex only for keys that are absent.
 */
static int refuse_write(lua_State *L) {
  luaL_getmetafield(L, 1, "__name");
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
  return luaL_error(L, "cannot set '%s' in the %s: it is read-only; use a local", key,
                    lua_tostring(L, -1));
}

void tm_sandbox_freeze(lua_State *L, const char *name) {
  lua_createtable(L, 0, 0);
  lua_createtable(L, 0, 4);
  lua_rotate(L, -3, -1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, refuse_write);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_pushfstring(L, "library %s", name);
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
}

bool tm_sandbox_thaw(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (!lua_getmetatable(L, index))
    return false;
  lua_pushliteral(L, "__newindex");
  lua_rawget(L, -2);
  bool frozen = lua_tocfunction(L, -1) == refuse_write;
  if (frozen) {
    lua_pushliteral(L, "__index");
    lua_rawget(L, -3);
    tm_globals_complete(L, -1);
    lua_replace(L, index);
  }
  lua_pop(L, 2);
  return frozen;
}

/* -- no weak tables -----------------------------------------------------------------
 *
 * When an entry of a weak table goes is a matter of the collector, and no two processes agree.
 * To refuse __mode in setmetatable is not enough: a script may write it into the metatable
 * later. So the name that the collector looks for, a string that Lua makes once and never
 * frees, gets other bytes: any "__mode" that is written from then on is another string and
 * means nothing.
 */
static void forget_weakness(lua_State *L) {
  lua_pushliteral(L, "__mode");
  char *name = (char *)lua_tostring(L, -1);
  memset(name, 0xFF, strlen(name));
  lua_pop(L, 1);
}

/* -- assembly -------------------------------------------------------------------------- */

static const struct library {
  const char *name;
  lua_CFunction open;
  void (*tame)(lua_State *L);
} libraries[] = {
    {"coroutine", luaopen_coroutine, tm_sandbox_coroutine},
    {"math", luaopen_math, tm_sandbox_math},
    {"string", luaopen_string, tm_sandbox_string},
    {"table", luaopen_table, tm_sandbox_table},
    {"utf8", luaopen_utf8, NULL},
};

static void open_library(lua_State *L, const struct library *lib) {
  lua_pushcfunction(L, lib->open);
  lua_pushstring(L, lib->name);
  lua_call(L, 1, 1);
  if (lib->tame)
    lib->tame(L);
  tm_sandbox_freeze(L, lib->name);
  lua_setglobal(L, lib->name);
}

/* getmetatable("") would hand out the way to every string method of the run. */
static void guard_string_methods(lua_State *L) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

void tm_sandbox_install(lua_State *L) {
  forget_weakness(L);
  lua_pushcfunction(L, luaopen_base);
  lua_call(L, 0, 1);
  tm_sandbox_base(L);
  lua_pop(L, 1);
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
    open_library(L, &libraries[i]);
  guard_string_methods(L);
}

void tm_sandbox_install_copy(lua_State *L, const tm_globals *g) {
  forget_weakness(L);
  tm_globals_set(L, g);
}
