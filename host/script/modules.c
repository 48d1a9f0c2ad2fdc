/* modules.c - `require`, and the library's parts as they are first used.
 */
#include "script/modules.h"

#include <stdio.h>
#include <string.h>

#include "script/args.h"
#include "script/guest.h"

/* Which file of lua/tidemill/ a primitive lives in. */
static const struct {
  const char *part, *names;
} homes[] = {
    {"action", " fetch "},
    {"agent", " agent "},
    {"branches", " all map race within "},
    {"child", " call continue_as start "},
    {"clock", " env log now random sleep uuid "},
    {"contract", " check fill validate "},
    {"decide", " decide "},
    {"embed", " embed similar "},
    {"event", " emit wait "},
    {"gate", " gate "},
    {"lock", " lock "},
    {"state", " state "},
    {"tools", " tools "},
    {"verbs", " exec file http "},
};

static int l_home(lua_State *L) {
  char word[64], message[160];
  const char *name = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : luaL_typename(L, 1);
  snprintf(word, sizeof word, " %s ", name);
  for (size_t i = 0; i < sizeof homes / sizeof *homes; i++)
    if (strstr(homes[i].names, word)) {
      lua_pushstring(L, homes[i].part);
      return 1;
    }
  snprintf(message, sizeof message,
           "mill.%.60s does not exist; docs/primitives.md lists what does", name);
  return tm_args_fail(L, "usage", message);
}

static int l_library(lua_State *L) {
  tm_guest *g = tm_vm_owner(L);
  char file[64];
  tm_err err = TM_ERR_INIT;
  snprintf(file, sizeof file, "tidemill/%s.lua", luaL_checkstring(L, 1));
  if (tm_program_library(L, g->program, file, &err) < 0)
    return luaL_error(L, "%s", err.msg);
  if (g->spare)
    g->spare->lacks = true;
  return 1;
}

const luaL_Reg tm_modules_functions[] = {
    {"home", l_home},
    {"library", l_library},
    {NULL, NULL},
};

/* -- require --------------------------------------------------------------------------- */

static int load_module(lua_State *L, const char *name) {
  tm_guest *g = tm_vm_owner(L);
  char file[256] = "workflows/";
  size_t n = strlen(file);
  for (const char *s = name; *s && n + 5 < sizeof file; s++)
    file[n++] = *s == '.' ? '/' : *s;
  snprintf(file + n, sizeof file - n, ".lua");
  tm_err err = TM_ERR_INIT;
  if (tm_program_chunk(L, g->program, file, &err) < 0)
    return luaL_error(L, "module \"%s\": %s", name, err.msg);
  lua_call(L, 0, 1);
  return 1;
}

static int l_require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
    return 1;
  lua_pop(L, 1);
  if (strcmp(name, "tidemill") == 0)
    lua_rawgeti(L, LUA_REGISTRYINDEX, ((tm_guest *)tm_vm_owner(L))->library);
  else if (strcmp(name, "cjson") == 0)
    tm_sandbox_open_cjson(L);
  else
    load_module(L, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
  }
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(1));
  return 1;
}

void tm_modules_install(lua_State *L) {
  lua_newtable(L);
  lua_pushcclosure(L, l_require, 1);
  lua_setglobal(L, "require");
}
