/* globals.h - the globals of a sandbox, written down once and set up in each vm.
 *
 * Assembling them (stock libraries, then what sandbox.c replaces and freezes) costs five times
 * what setting up the result does, since nearly every table grows and half the entries are
 * replaced. So it is done in a vm of its own, and what came out is kept as a list. And the
 * tables behind the read-only libraries are filled by and by: a name is looked up in the list
 * when a script asks for it, and all of them when it looks at the table as a whole.
 */
#ifndef TM_SCRIPT_GLOBALS_H
#define TM_SCRIPT_GLOBALS_H

#include <lua.h>

#include "base/err.h"
#include "base/mem.h"

typedef struct tm_globals tm_globals;

/* Write down the globals of L and the metatable of strings: tables, C functions and constants,
 * nothing else. All is kept in `a`. TM_INTERNAL when there is something else. */
int tm_globals_read(tm_globals **out, tm_arena *a, lua_State *L, tm_err *err);
/* The same in another, fresh state, which `g` has to outlive. [-0, +0, m] */
void tm_globals_set(lua_State *L, const tm_globals *g);
/* Make sure that all is there in the table at `index`, if it is one of a library. [-0, +0, m]
 */
void tm_globals_complete(lua_State *L, int index);

#endif
