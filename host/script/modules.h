/* modules.h - where code comes from: parts of our library, cjson, modules of the closure.
 */
#ifndef TM_SCRIPT_MODULES_H
#define TM_SCRIPT_MODULES_H

#include <lauxlib.h>
#include <lua.h>

/* library(name) -> the chunk of lua/tidemill/NAME.lua · home(primitive) -> the NAME it lives in */
extern const luaL_Reg tm_modules_functions[];

/* `require` for scripts [-0, +0, m]. */
void tm_modules_install(lua_State *L);

#endif
