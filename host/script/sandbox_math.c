/* sandbox_math.c - math.random from the run's own dice, which fall the same way in each replay;
 * and no function that only some builds of Lua have.
 */
#include "script/sandbox.h"
#include "script/vm.h"

/* A number in 0..last, each as likely: draw just enough bits, and again when beyond. */
static lua_Unsigned draw(tm_dice *dice, lua_Unsigned last) {
  lua_Unsigned mask = last;
  for (int shift = 1; shift < 64; shift *= 2)
    mask |= mask >> shift;
  lua_Unsigned got = tm_dice_next(dice) & mask;
  while (got > last)
    got = tm_dice_next(dice) & mask;
  return got;
}

static int push_between(lua_State *L, lua_Integer low, lua_Integer high) {
  luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
  lua_Unsigned span = (lua_Unsigned)high - (lua_Unsigned)low;
  lua_pushinteger(L, (lua_Integer)(draw(tm_vm_dice(L), span) + (lua_Unsigned)low));
  return 1;
}

/* random(): [0, 1) · random(n): 1..n · random(0): 64 bits · random(m, n): m..n */
static int l_random(lua_State *L) {
  switch (lua_gettop(L)) {
  case 0:
    lua_pushnumber(L, tm_dice_unit(tm_vm_dice(L)));
    return 1;
  case 1: {
    lua_Integer high = luaL_checkinteger(L, 1);
    if (high != 0)
      return push_between(L, 1, high);
    lua_pushinteger(L, (lua_Integer)tm_dice_next(tm_vm_dice(L)));
    return 1;
  }
  case 2:
    return push_between(L, luaL_checkinteger(L, 1), luaL_checkinteger(L, 2));
  default:
    return luaL_error(L, "wrong number of arguments");
  }
}

static int l_randomseed(lua_State *L) {
  return luaL_error(
      L, "math.randomseed: the dice belong to the run and are seeded from its id, so "
         "that a replay throws the same; just call math.random");
}

void tm_sandbox_math(lua_State *L) {
  static const luaL_Reg replaced[] = {
      {"random", l_random},
      {"randomseed", l_randomseed},
      {NULL, NULL},
  };
  static const char *const relics[] = {"atan2", "cosh", "frexp", "ldexp",
                                       "log10", "pow",  "sinh",  "tanh"};
  luaL_setfuncs(L, replaced, 0);
  for (size_t i = 0; i < sizeof relics / sizeof *relics; i++) {
    lua_pushnil(L);
    lua_setfield(L, -2, relics[i]);
  }
}
