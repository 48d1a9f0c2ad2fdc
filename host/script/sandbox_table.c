/* sandbox_table.c - the table library, its loops counted: __len may lie, and a range may be as
 * long as an integer allows, but no instruction is executed in these loops for the hook to see.
 */
#include <limits.h>
#include <string.h>

#include "script/sandbox.h"
#include "script/vm.h"

/* t[to] = t[from] */
static void copy_item(lua_State *L, int from_table, lua_Integer from, int to_table,
                      lua_Integer to) {
  lua_geti(L, from_table, from);
  lua_seti(L, to_table, to);
}

/* Work of a loop over low..high. */
static void charge_range(lua_State *L, lua_Integer low, lua_Integer high) {
  if (low <= high)
    tm_vm_charge(L, (lua_Unsigned)high - (lua_Unsigned)low);
}

static int l_insert(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer end = (lua_Integer)((lua_Unsigned)luaL_len(L, 1) + 1);
  int nargs = lua_gettop(L);
  if (nargs != 2 && nargs != 3)
    return luaL_error(L, "wrong number of arguments to 'insert'");
  lua_Integer at = nargs == 2 ? end : luaL_checkinteger(L, 2);
  luaL_argcheck(L, nargs == 2 || (lua_Unsigned)at - 1 < (lua_Unsigned)end, 2,
                "position out of bounds");
  charge_range(L, at, end);
  for (lua_Integer i = end; i > at; i--)
    copy_item(L, 1, i - 1, 1, i);
  lua_seti(L, 1, at);
  return 0;
}

static int l_remove(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer size = luaL_len(L, 1);
  lua_Integer at = luaL_optinteger(L, 2, size);
  luaL_argcheck(L, at == size || (lua_Unsigned)at - 1 <= (lua_Unsigned)size, 2,
                "position out of bounds");
  charge_range(L, at, size);
  lua_geti(L, 1, at);
  for (; at < size; at++)
    copy_item(L, 1, at + 1, 1, at);
  lua_pushnil(L);
  lua_seti(L, 1, at);
  return 1;
}

/* move(a, first, last, to, b): backwards where the ranges overlap that way. */
static int l_move(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
  lua_Integer to = luaL_checkinteger(L, 4);
  int target = lua_isnoneornil(L, 5) ? 1 : 5;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, target, LUA_TTABLE);
  lua_pushvalue(L, target);
  if (last < first)
    return 1;
  luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
  lua_Integer n = last - first + 1;
  luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
  charge_range(L, first, last);
  bool forward = to > last || to <= first || (target != 1 && !lua_compare(L, 1, 5, LUA_OPEQ));
  for (lua_Integer i = 0; i < n; i++) {
    lua_Integer k = forward ? i : n - 1 - i;
    copy_item(L, 1, first + k, target, to + k);
  }
  return 1;
}

static void add_item(lua_State *L, luaL_Buffer *b, lua_Integer i) {
  size_t len = 0;
  lua_geti(L, 1, i);
  const char *s = lua_isstring(L, -1) ? lua_tolstring(L, -1, &len) : NULL;
  if (!s)
    luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
  tm_sandbox_room(L, b, len, "table.concat");
  luaL_addvalue(b);
}

static int l_concat(lua_State *L) {
  size_t len;
  luaL_Buffer b;
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *separator = luaL_optlstring(L, 2, "", &len);
  lua_Integer first = luaL_optinteger(L, 3, 1);
  lua_Integer last = lua_isnoneornil(L, 4) ? luaL_len(L, 1) : luaL_checkinteger(L, 4);
  charge_range(L, first, last);
  luaL_buffinit(L, &b);
  for (lua_Integer i = first; i <= last; i++) {
    add_item(L, &b, i);
    if (i == last)
      break; /* `last` may be the largest integer */
    tm_sandbox_room(L, &b, len, "table.concat");
    luaL_addlstring(&b, separator, len);
  }
  luaL_pushresult(&b);
  return 1;
}

static int l_unpack(lua_State *L) {
  lua_Integer first = luaL_optinteger(L, 2, 1);
  lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
  if (first > last)
    return 0;
  lua_Unsigned n = (lua_Unsigned)last - (lua_Unsigned)first;
  if (n >= INT_MAX || !lua_checkstack(L, (int)n + 1))
    return luaL_error(L, "too many results to unpack");
  tm_vm_charge(L, n);
  for (lua_Unsigned i = 0; i <= n; i++)
    lua_geti(L, 1, first + (lua_Integer)i);
  return (int)n + 1;
}

void tm_sandbox_table(lua_State *L) {
  static const luaL_Reg replaced[] = {
      {"concat", l_concat}, {"insert", l_insert},      {"move", l_move}, {"remove", l_remove},
      {"unpack", l_unpack}, {"sort", tm_sandbox_sort}, {NULL, NULL},
  };
  luaL_setfuncs(L, replaced, 0);
}

const char *tm_sandbox_table_role(lua_CFunction fn) {
  if (fn == tm_sandbox_sort)
    return "the order function of table.sort";
  if (fn == l_concat || fn == l_insert || fn == l_move || fn == l_remove || fn == l_unpack)
    return "a metamethod that a function of the table library calls";
  return NULL;
}
