/* program.h - a closure, compiled: chunks, prompt units and schemas, each once for all its runs.
 *
 * A program hangs on its closure (closure->cache) and dies with it. Chunks are kept as bytecode
 * that we made ourselves from the closure's text; script-made bytecode is never loaded.
 */
#ifndef TM_SCRIPT_PROGRAM_H
#define TM_SCRIPT_PROGRAM_H

#include "engine/closure.h"
#include "script/spare.h"
#include "script/vm.h"
#include "text/prompt.h"

typedef struct tm_program tm_program;

/* The program of a closure, made at the first call. */
tm_program *tm_program_of(tm_closure *c);

/* A unit, parsed and compiled at the first call. Errors name the file and line, or what is missing. */
int tm_program_unit(const tm_prompt **out, const char **hash, tm_program *p, const char *name,
                    tm_err *err);

/* The files that a unit is read from: itself, its partials, the schemas that it names; an object
 * with a member for each. TM_NOTFOUND: there is no such unit. */
int tm_program_unit_files(tm_json **out, tm_arena *a, tm_program *p, const char *name,
                          tm_err *err);

typedef struct tm_contract {
  const tm_json *document;
  const tm_schema *schema;
  const char *name; /* of its file, or "a schema" */
} tm_contract;

/* A schema as a script names it: workflows/schemas/NAME.json, or else Picoschema (a scalar's one line,
 * or YAML). */
int tm_program_text(const tm_contract **out, tm_program *p, const char *text, tm_err *err);
/* workflows/schemas/NAME.json. */
int tm_program_schema(const tm_contract **out, tm_program *p, const char *name, tm_err *err);
/* A schema written in the workflow (JSON Schema or Picoschema), shared by equal documents. */
int tm_program_inline(const tm_contract **out, tm_program *p, const tm_json *document,
                      tm_err *err);

/* Push the chunk of a source file (a function); `name` relative to the project. [-0, +1] on success,
 * and nothing on failure. */
int tm_program_chunk(lua_State *L, tm_program *p, const char *name, tm_err *err);
/* The same for a file of our own lua/. */
int tm_program_library(lua_State *L, tm_program *p, const char *name, tm_err *err);

/* What a run's sandbox is made from, for tm_vm_opts; NULL: assembled anew. */
const struct tm_globals *tm_program_globals(tm_program *p);

/* Every part of the library (lua/tidemill/NAME.lua) that a run of this program has loaded so far, by
 * its NAME: call with *at 0 at first, until NULL. */
const char *tm_program_part(const tm_program *p, size_t *at);

/* Its spare vms; NULL in a process with a single run, which would gain nothing. */
tm_spares *tm_program_spares(tm_program *p);

const tm_closure *tm_program_closure(const tm_program *p);

#endif
