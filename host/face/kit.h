/* kit.h - `tidemill test`: busted in a Lua state of its own, with the engine as a module. */
#ifndef TM_FACE_KIT_H
#define TM_FACE_KIT_H

#include "face/cli.h"

/* The command: runs the specs of the project in -C DIR (default: here) with the arguments that
 * were given to it. 0 when all passed, 1 when not, 3 when busted is not installed. */
int tm_kit_test(tm_cli *c);

/* The module `tidemill.engine`, a lua_CFunction that opens it: kit_engine.c. */
struct lua_State;
int tm_kit_engine(struct lua_State *L);

/* The module `tidemill.jobs`, likewise: kit_jobs.c. */
int tm_kit_jobs(struct lua_State *L);

#endif
