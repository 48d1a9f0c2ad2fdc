/* args.h - what the library's Lua half checks its arguments with, and how it complains.
 *
 * Written in C because each run has its own copy of what is written in Lua.
 */
#ifndef TM_SCRIPT_ARGS_H
#define TM_SCRIPT_ARGS_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

#define TM_ARGS_ERROR "tidemill.error" /* the metatable of error tables {kind, message, …} */

/* "file:line" of the script line that led here; our own library does not count. "" for none. */
void tm_args_caller(lua_State *L, char *out, size_t size);
/* Raise {kind, message} with the caller's place in front of the message. Does not return. */
int tm_args_fail(lua_State *L, const char *kind, const char *message);
/* The same for an argument of the wrong type: "WHAT must be a TYPE, not number". */
int tm_args_wrong(lua_State *L, int index, const char *what, const char *type);

/* fail(kind, message) · known(what, opts, "name name:type …") -> opts or {} · want(what, value, type) -> value ·
 * milliseconds(what, duration or nil) -> integer or nil */
extern const luaL_Reg tm_args_functions[];

#endif
