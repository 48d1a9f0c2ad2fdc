/* program.h - a closure, compiled: chunks, prompt units and schemas, each once for all its runs.
 *
 * A program hangs on its closure (closure->cache) and dies with it. Chunks are kept as bytecode
 * that we made ourselves from the closure's text; script-made bytecode is never loaded.
 */
#ifndef TM_SCRIPT_PROGRAM_H
#define TM_SCRIPT_PROGRAM_H

#include "engine/closure.h"
#include "script/vm.h"
#include "text/prompt.h"

typedef struct tm_program tm_program;

/* The program of a closure, made at the first call. */
tm_program *tm_program_of(tm_closure *c);

/* A unit, parsed and compiled at the first call. Errors name the file and line, or what is missing. */
int tm_program_unit(const tm_prompt **out, const char **hash, tm_program *p, const char *name,
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

/* -- vms that wait for a run ------------------------------------------------------------ */

/* A vm with the library and one workflow's file loaded, as a run finds it at its begin. */
typedef struct tm_spare {
  struct tm_spare *next;
  char *workflow;
  tm_vm *vm;
  int flow, library; /* as in tm_guest */
} tm_spare;

/* A spare vm for that workflow, now the caller's; NULL: there is none. */
tm_spare *tm_program_take(tm_program *p, const char *workflow);
/* Give one back, rewound. */
void tm_program_give(tm_program *p, tm_spare *spare);
/* Is a vm that has loaded `workflow` worth keeping? Not in a process with a single run, and only so
 * many: each costs its memory twice. */
bool tm_program_wants(const tm_program *p);
/* One more, made of what `vm` has loaded: the caller's, to give later. NULL: it cannot be kept. */
tm_spare *tm_program_spare(tm_program *p, const char *workflow, tm_vm *vm, int flow,
                           int library);
/* One that was not rewound: the vm goes, too. */
void tm_program_drop(tm_program *p, tm_spare **spare);

const tm_closure *tm_program_closure(const tm_program *p);

#endif
