/* sandbox_cjson.c - `require "cjson"`: lua-cjson, except that encode prints canonically.
 *
 * lua-cjson writes members in Lua's table order, which differs in each process: a prompt or a
 * request made with it would not be the same in a replay.
 */
#include <lua.h>

#include <lua-cjson.h>

#include "script/sandbox.h"
#include "script/value.h"
#include "script/vm.h"

#define ENCODE_MAX ((size_t)16 << 20) /* of tree: shared tables are written out each time */

/* Text and tree live in userdata while they are built: pushing the result may raise. */
typedef struct scratch {
  tm_arena arena;
  tm_buf text;
} scratch;

static int free_scratch(lua_State *L) {
  scratch *s = lua_touserdata(L, 1);
  tm_arena_free(&s->arena);
  tm_buf_free(&s->text);
  return 0;
}

/* [-0, +1, m] */
static scratch *new_scratch(lua_State *L) {
  scratch *s = lua_newuserdatauv(L, sizeof *s, 0);
  tm_arena_init(&s->arena, ENCODE_MAX);
  tm_buf_init(&s->text, ENCODE_MAX);
  if (luaL_newmetatable(L, "tidemill.scratch")) {
    lua_pushcfunction(L, free_scratch);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, free_scratch);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return s;
}

static int l_encode(lua_State *L) {
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  scratch *s = new_scratch(L);
  if (tm_value_read(&v, L, 1, &s->arena, &err) < 0)
    return luaL_error(L, "cjson.encode: %s", err.msg);
  tm_json_print_canonical(&s->text, v);
  if (s->text.failed)
    return luaL_error(L, "cjson.encode: the value is too large");
  tm_vm_charge(L, (s->arena.used + s->text.len) / 32);
  tm_vm_reserve(L, s->text.len, "cjson.encode");
  lua_pushlstring(L, tm_buf_str(&s->text), s->text.len);
  return 1;
}

/* `new` would hand out an instance with the stock encode, and what the settings of encode say
 * does not hold for ours. */
int tm_sandbox_open_cjson(lua_State *L) {
  static const char *const removed[] = {"new",
                                        "encode_sparse_array",
                                        "encode_max_depth",
                                        "encode_number_precision",
                                        "encode_keep_buffer",
                                        "encode_invalid_numbers"};
  tm_vm_has_finalizers(L);
  lua_pushcfunction(L, luaopen_cjson);
  lua_call(L, 0, 1);
  for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
    lua_pushnil(L);
    lua_setfield(L, -2, removed[i]);
  }
  lua_pushcfunction(L, l_encode);
  lua_setfield(L, -2, "encode");
  tm_sandbox_freeze(L, "cjson");
  return 1;
}
