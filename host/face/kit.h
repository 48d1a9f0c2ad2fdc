/* kit.h - commands that are written in Lua: busted, with the engine as a module, and questions to
 * a module of lua/. Each in a Lua state of its own, which no run shares. */
#ifndef TM_FACE_KIT_H
#define TM_FACE_KIT_H

#include "face/cli.h"

/* The command: runs the specs of the project in -C DIR (default: here) with the arguments that
 * were given to it. 0 when all passed, 1 when not, 3 when busted is not installed. */
int tm_kit_test(tm_cli *c);

/* Call the function that the module is (`tidemill.NAME`, lua/tidemill/NAME.lua) with a value, in
 * the project's directory: its answer, in the cli's arena. 0, or the exit code with the message
 * told. */
int tm_kit_ask(const tm_json **answer, tm_cli *c, const char *module, const tm_json *request);

/* The module `tidemill.engine`, a lua_CFunction that opens it: kit_engine.c. */
struct lua_State;
int tm_kit_engine(struct lua_State *L);

/* The module `tidemill.jobs`, likewise: kit_jobs.c. */
int tm_kit_jobs(struct lua_State *L);

#endif
