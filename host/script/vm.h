/* vm.h - one lua_State for one run: bounded, deterministic, sandboxed (lua.h from here upwards
 * only in script/ and face/kit*.c).
 *
 * A vm owns its state. Memory is counted by its allocator and capped; instructions are counted
 * by a hook between two tm_vm_resume calls. Once stopped (limit or kill) a vm never runs script
 * code again, whatever the script's pcall does: the hook leaves by a yield that is never
 * resumed. Running out of memory is always a stop, also outside a resume.
 *
 * Never call lua_resetthread on a branch: it runs the script's __close handlers with no budget.
 * Drop the reference instead.
 */
#ifndef TM_SCRIPT_VM_H
#define TM_SCRIPT_VM_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

typedef struct tm_vm tm_vm;

typedef struct tm_vm_opts {
  size_t memory;    /* bytes; 0: 64 MiB */
  uint64_t steps;   /* VM instructions for one resume; 0: 200 million */
  uint32_t cpu_ms;  /* the backstop behind them, for work that costs more; 0: 20 s */
  const char *seed; /* of math.random: the run's */
  bool trusted;     /* no sandbox, no limits: the test runner */
  void *owner;      /* tm_vm_owner(L) gives it back, in any coroutine */
  const struct tm_globals
      *globals; /* of a sandbox, from tm_globals_read; NULL: assembled anew */
} tm_vm_opts;

typedef enum tm_vm_status {
  TM_VM_DONE,   /* the coroutine returned; its values are on its stack */
  TM_VM_YIELD,  /* it waits in a primitive */
  TM_VM_ERROR,  /* it raised; the error value is on top of its stack */
  TM_VM_STOPPED /* the host ended it: see err (TM_LIMIT); the vm is dead */
} tm_vm_status;

/* A vm with its sandbox (about 15 KB and 20 us). `opts` is copied, its owner is not touched.
 * TM_LIMIT when `memory` is too little for Lua itself. */
int tm_vm_open(tm_vm **out, const tm_vm_opts *opts, tm_err *err);
/* Frees everything at once; no script code runs, not even of variables that are still to be
 * closed. */
void tm_vm_close(tm_vm **vm);
/* The main state: for tm_vm_protect and the registry. Branches are made on it by lua_newthread.
 */
lua_State *tm_vm_state(tm_vm *vm);
tm_vm *tm_vm_of(lua_State *L);        /* of any coroutine; through the extra space */
void *tm_vm_owner(lua_State *L);      /* what tm_vm_opts said */
size_t tm_vm_memory(const tm_vm *vm); /* bytes that Lua holds now */

/* Let the collector sleep until twice as much is used as now, checked at each resume and every
 * few instructions: most runs end before. */
void tm_vm_rest_collector(tm_vm *vm);

/* Keep the vm as it is now, between two resumes, for tm_vm_rewind: a copy of its memory, once. False,
 * and nothing is kept: it has asked something about its run (tm_vm_is_personal), is stopped, or
 * holds what lies outside of its pool. */
bool tm_vm_keep(tm_vm *vm);
/* The vm as it was kept, to the byte, as if no script had run in it since. False: it was not kept, was
 * stopped, or has what a finalizer has to free; it can only be closed. */
bool tm_vm_rewind(tm_vm *vm);
/* Hand a vm that was rewound to another run. */
void tm_vm_hand_over(tm_vm *vm, void *owner, const char *seed);
/* What the script knows now is its own run's: it cannot be kept for another. */
void tm_vm_is_personal(lua_State *L);

/* Compile a text chunk ("=file" or "@file" as chunk name); bytecode is refused. On success the
 * function is on L's stack [-0, +1]; on failure nothing is, and err has file:line. */
int tm_vm_load(lua_State *L, const char *chunk, const char *text, size_t len, tm_err *err);

/* Run a C function under protection with `arg` as light userdata [-0, +0]: the wall for
 * everything that touches the stack outside a resume (out of memory there is an error, not a
 * panic). */
int tm_vm_protect(tm_vm *vm, lua_CFunction fn, void *arg, tm_err *err);

/* Resume a coroutine with nargs values on its stack. The only place where script code runs. err
 * is set for TM_VM_STOPPED only. */
tm_vm_status tm_vm_resume(tm_vm *vm, lua_State *co, int nargs, int *nresults, tm_err *err);

/* Stop the vm at the next instruction, from inside a callback of it: what pcall cannot eat.
 * Outside of a resume: the next one reports it. The first stop counts; its code and text are
 * what is reported. */
void tm_vm_stop(tm_vm *vm, tm_code code, const char *why);
bool tm_vm_stopped(const tm_vm *vm); /* for good */

/* An error value to text for people, without running script code: strings as they are, error
 * tables by their `message`, others by type. [-0, +0] */
void tm_vm_describe(lua_State *L, int index, char *out, size_t size);

/* "workflows/x.lua:12" of the innermost script line on L; false and "" when there is none. */
bool tm_vm_where(lua_State *L, char *out, size_t size);

/* What keeps a primitive that was called on L from waiting, for its message: "your own
 * coroutine", "the order function of table.sort" …; NULL when nothing does. Valid until the
 * next call.
 * [-0, +0] */
const char *tm_vm_blocked_by(lua_State *L);

/* -- for the C functions that a script can reach --------------------------------------- */

/* Count work that the hook cannot see, in units of one instruction. When the budget is used up
 * or the vm is stopped this does not return: own nothing but Lua values when you call it. */
void tm_vm_charge(lua_State *L, uint64_t steps);
/* Make sure that a result of `bytes` fits, and the buffer it is built in, collecting garbage if
 * need be. Raises an error that names `who` when it never could; when it cannot now the vm is
 * stopped.
 * [-0, +0, e] */
void tm_vm_reserve(lua_State *L, size_t bytes, const char *who);
/* From now on something in the vm has a finalizer that matters; whoever makes the first such
 * userdata says so. Without it closing a vm calls none. */
void tm_vm_has_finalizers(lua_State *L);
/* The run's own dice. */
tm_dice *tm_vm_dice(lua_State *L);

/* Coroutines of the script itself; branches of the run are made by lua_newthread. [-0, +1, m]
 */
lua_State *tm_vm_spawn(lua_State *L);
bool tm_vm_spawned(lua_State *co); /* made by tm_vm_spawn */
/* The coroutine that tm_vm_resume runs, as opposed to one of the script's own. */
bool tm_vm_is_branch(lua_State *L);
/* lua_resume for a coroutine of the script's own; does not return when the vm was stopped in
 * it. */
int tm_vm_enter(lua_State *from, lua_State *co, int nargs, int *nresults);

/* -- sandbox.c
 * ---------------------------------------------------------------------------------- */

/* The globals a script sees, in a fresh state; docs/sandbox.md lists them. [-0, +0, m] */
void tm_sandbox_install(lua_State *L);
/* The same, from what tm_globals_read found in such a state. */
void tm_sandbox_install_copy(lua_State *L, const struct tm_globals *g);
/* Replace the table on top by a read-only view of it; `name` is for the message when a script
 * writes to it. The table itself stays writable for those who hold it. [-1, +1, m] */
void tm_sandbox_freeze(lua_State *L, const char *name);
/* Opener of `require "cjson"` [-0, +1, e]: lua-cjson, but `encode` prints canonically. */
int tm_sandbox_open_cjson(lua_State *L);

#endif
