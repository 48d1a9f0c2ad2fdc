/* sandbox.h - the parts of the sandbox, one file each; the door is tm_sandbox_install in vm.h.
 *
 * Every function of these libraries counts its work with tm_vm_charge and owns nothing but Lua
 * values while it may raise or leave.
 */
#ifndef TM_SCRIPT_SANDBOX_H
#define TM_SCRIPT_SANDBOX_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Each replaces and removes functions in the library table on top of the stack. [-0, +0, m] */
void tm_sandbox_base(lua_State *L);
void tm_sandbox_coroutine(lua_State *L);
void tm_sandbox_math(lua_State *L);
void tm_sandbox_string(lua_State *L);
void tm_sandbox_pattern(lua_State *L);
void tm_sandbox_table(lua_State *L);

/* next and pairs, in the order of keys (sandbox_pairs.c). */
int tm_sandbox_next(lua_State *L);
int tm_sandbox_pairs(lua_State *L);
/* table.sort (sandbox_sort.c). */
int tm_sandbox_sort(lua_State *L);

/* The value at `index` as text without an address, by its __tostring or __name. Returns it, and
 * leaves it on the stack. [-0, +1, e] */
const char *tm_sandbox_tostring(lua_State *L, int index, size_t *len);
/* Make room for `more` bytes in a buffer, or raise an error that names `who`. [-0, +0, e] */
void tm_sandbox_room(lua_State *L, luaL_Buffer *b, size_t more, const char *who);
/* The table behind a frozen one at `index` instead of it, there; else nothing happens. [-0, +0]
 */
bool tm_sandbox_thaw(lua_State *L, int index);

/* Who calls back from `fn`: "the order function of table.sort"; NULL when it calls nobody, or
 * lets waiting through. */
const char *tm_sandbox_role(lua_CFunction fn);
const char *tm_sandbox_string_role(lua_CFunction fn);
const char *tm_sandbox_pattern_role(lua_CFunction fn);
const char *tm_sandbox_table_role(lua_CFunction fn);

#endif
