/* value.h - Lua values and JSON values, exact both ways.
 *
 * Integers stay integers, doubles doubles; null is cjson.null (light userdata NULL); arrays
 * carry a metatable that says so, the empty one too. Objects have no order in Lua: they come
 * back sorted by key. A table with mixed keys, holes, a cycle, a function, NaN or invalid UTF-8
 * is an error that names the path.
 */
#ifndef TM_SCRIPT_VALUE_H
#define TM_SCRIPT_VALUE_H

#include <lua.h>

#include "text/json.h"

#define TM_VALUE_DEPTH 100                /* tables in tables that tm_value_read accepts */
#define TM_VALUE_BYTES ((size_t)32 << 20) /* and how much it makes of them, about */

/* [-0, +1, m] */
void tm_value_push(lua_State *L, const tm_json *v);
/* The value at `index` into arena `a`; -1 with err (TM_USAGE, "at /items/2: a function …";
 * TM_LIMIT for depth and size: a table that stands in many places is written out in each, so a
 * small script can name a value that fills any memory). nil gives null; a read-only view is
 * read through; metatables are otherwise ignored, except that a table with __pairs is refused.
 * Never raises, except for memory. L may be of any vm, also of none of ours. [-0, +0] */
int tm_value_read(tm_json **out, lua_State *L, int index, tm_arena *a, tm_err *err);
/* Mark the table on top as an array [-0, +0, m]; the metatable of arrays [-0, +1, m]. */
void tm_value_mark_array(lua_State *L);
void tm_value_array_mt(lua_State *L);

#endif
