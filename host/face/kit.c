/* kit.c - what is written in Lua beside the runs: a trusted Lua state with the modules of lua/. For
 * `tidemill test` it has busted, the engine (kit_engine.c) and copies of itself (kit_jobs.c), too.
 */
#include "face/kit.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/embed.h"
#include "script/value.h"

/* A searcher for the modules of lua/ in the binary: "tidemill.test" is tidemill/test.lua. */
static int l_search(lua_State *L) {
  const char *path = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  const tm_embed_file *f = tm_embed_find(lua_pushfstring(L, "%s.lua", path));
  if (!f) {
    lua_pushfstring(L, "no file '%s.lua' in the program", path);
    return 1;
  }
  lua_pushfstring(L, "@%s", f->name);
  if (luaL_loadbufferx(L, f->bytes, f->len, lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, f->name);
  return 2;
}

/* Ours come before the files of package.path: a program has one test kit, its own. */
static void add_searcher(lua_State *L) {
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "insert");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_remove(L, -2);
  lua_pushinteger(L, 2);
  lua_pushcfunction(L, l_search);
  lua_call(L, 3, 0);
  lua_pop(L, 1);
}

/* Lua's library, ours, and what the module `name` is. [-0, +1, e] */
static void open_module(lua_State *L, const char *name) {
  luaL_openlibs(L);
  add_searcher(L);
  lua_getglobal(L, "require");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

/* With the cli as light userdata: returns busted's exit code. */
static int drive(lua_State *L) {
  tm_cli *c = lua_touserdata(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, tm_kit_engine);
  lua_setfield(L, -2, "tidemill.engine");
  lua_pushcfunction(L, tm_kit_jobs);
  lua_setfield(L, -2, "tidemill.jobs");
  open_module(L, "tidemill.test_main");
  lua_createtable(L, c->arg_count, 1);
  for (int i = 0; i < c->arg_count; i++) {
    lua_pushstring(L, c->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_call(L, 1, 1);
  return 1;
}

/* 0, or the exit code with the message told. */
static int go_to_project(tm_cli *c) {
  const char *dir = c->value[TM_FLAG_DIR];
  if (dir && chdir(dir) < 0)
    return tm_cli_fail(c, 3, "cannot go to %s: %s", dir, strerror(errno));
  return 0;
}

int tm_kit_test(tm_cli *c) {
  int code = go_to_project(c);
  if (code)
    return code;
  unsetenv("TIDEMILL_MODEL"); /* a spec asks the models that it or its project names */
  lua_State *L = luaL_newstate();
  if (!L)
    return tm_cli_fail(c, 70, "out of memory");
  lua_pushcfunction(L, drive);
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    code = (int)lua_tointeger(L, -1);
  else
    code = tm_cli_fail(c, 1, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "an error");
  lua_close(L);
  return code;
}

/* -- a question to a module --------------------------------------------------------------- */

typedef struct question {
  tm_cli *c;
  const char *module;
  const tm_json *request;
  tm_json *answer;
} question;

/* With the question as light userdata. The request gets `array`, which marks a list as one. */
static int mark_array(lua_State *L) {
  lua_settop(L, 1);
  tm_value_mark_array(L);
  return 1;
}

static int pose(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  tm_err err = TM_ERR_INIT;
  open_module(L, q->module);
  tm_value_push(L, q->request);
  lua_pushcfunction(L, mark_array);
  lua_setfield(L, -2, "array");
  lua_call(L, 1, 1);
  if (tm_value_read(&q->answer, L, -1, &q->c->arena, &err) < 0)
    return luaL_error(L, "%s: %s", q->module, err.msg);
  return 0;
}

int tm_kit_ask(const tm_json **answer, tm_cli *c, const char *module, const tm_json *request) {
  question q = {.c = c, .module = module, .request = request};
  int code = go_to_project(c);
  if (code)
    return code;
  lua_State *L = luaL_newstate();
  if (!L)
    return tm_cli_fail(c, 70, "out of memory");
  lua_pushcfunction(L, pose);
  lua_pushlightuserdata(L, &q);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    code = tm_cli_fail(c, 70, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "an error");
  lua_close(L);
  *answer = q.answer;
  return code;
}
