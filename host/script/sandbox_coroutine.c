/* sandbox_coroutine.c - the script's own coroutines.
 *
 * Replaced for two reasons. A stop inside a coroutine has to stop the one that resumed it, too.
 * And the branches of a run are coroutines that only the host may resume, yield or close: a
 * script that did would answer a primitive with values of its own.
 */
#include "script/sandbox.h"
#include "script/vm.h"

static int l_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = tm_vm_spawn(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

/* [-0, +0, e] */
static lua_State *check_own(lua_State *L, const char *what) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  if (!tm_vm_spawned(co))
    luaL_error(L, "coroutine.%s: this is a branch of the run; only the run resumes it", what);
  return co;
}

/* Why `co` cannot be resumed with nargs values, or NULL. */
static const char *unfit(lua_State *co, int nargs) {
  if (lua_status(co) == LUA_YIELD)
    return lua_checkstack(co, nargs) ? NULL : "too many arguments to resume";
  lua_Debug ar;
  if (lua_status(co) != LUA_OK)
    return "cannot resume dead coroutine";
  if (lua_getstack(co, 0, &ar))
    return "cannot resume non-suspended coroutine";
  if (lua_gettop(co) == 0)
    return "cannot resume dead coroutine";
  return lua_checkstack(co, nargs) ? NULL : "too many arguments to resume";
}

/* Resume with the nargs values on top. Gives how many came back, or -1 with the error on top.
 * [-nargs, +n, e] */
static int resume(lua_State *L, lua_State *co, int nargs) {
  int nresults = 0;
  const char *why = co == L ? "cannot resume non-suspended coroutine" : unfit(co, nargs);
  if (why) {
    lua_pop(L, nargs);
    lua_pushstring(L, why);
    return -1;
  }
  lua_xmove(L, co, nargs);
  int status = tm_vm_enter(L, co, nargs, &nresults);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (!lua_checkstack(L, nresults + 1)) {
    lua_pop(co, nresults);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, nresults);
  return nresults;
}

static int l_resume(lua_State *L) {
  lua_State *co = check_own(L, "resume");
  int n = resume(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, n >= 0);
  lua_insert(L, n < 0 ? -2 : -(n + 1));
  return n < 0 ? 2 : n + 1;
}

/* An error closes what is still open in the coroutine and goes on with the place in front. */
static int fail_wrapped(lua_State *L, lua_State *co) {
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    tm_vm_charge(L, 1);
    lua_pop(L, 1);
    status = lua_resetthread(co);
    tm_vm_charge(L, 1);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int call_wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int n = resume(L, co, lua_gettop(L));
  return n < 0 ? fail_wrapped(L, co) : n;
}

static int l_wrap(lua_State *L) {
  l_create(L);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

static int l_yield(lua_State *L) {
  if (tm_vm_is_branch(L))
    return luaL_error(L, "coroutine.yield: not inside a coroutine of your own");
  return lua_yield(L, lua_gettop(L));
}

static int l_isyieldable(lua_State *L) {
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  lua_pushboolean(L, tm_vm_spawned(co) && lua_isyieldable(co));
  return 1;
}

/* Suspended or dead, as coroutine.close wants it. */
static bool closable(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (co == L)
    return false;
  return lua_status(co) != LUA_OK || !lua_getstack(co, 0, &ar);
}

/* Open variables of the coroutine are closed by script code, so a stop may happen in there. */
static int l_close(lua_State *L) {
  lua_State *co = check_own(L, "close");
  if (!closable(L, co))
    return luaL_error(L, "cannot close a running coroutine");
  tm_vm_charge(L, 1);
  int status = lua_resetthread(co);
  tm_vm_charge(L, 1);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK)
    return 1;
  lua_xmove(co, L, 1);
  return 2;
}

void tm_sandbox_coroutine(lua_State *L) {
  static const luaL_Reg replaced[] = {
      {"create", l_create}, {"resume", l_resume}, {"isyieldable", l_isyieldable},
      {"wrap", l_wrap},     {"yield", l_yield},   {"close", l_close},
      {NULL, NULL},
  };
  luaL_setfuncs(L, replaced, 0);
}
