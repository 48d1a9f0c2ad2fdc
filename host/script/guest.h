/* guest.h - a run's script: one vm, one coroutine for each branch.
 *
 * The engine knows it only as tm_guest_vt. Nothing outside resume() touches a coroutine's stack;
 * answers wait in the branch until the continuation takes them.
 */
#ifndef TM_SCRIPT_GUEST_H
#define TM_SCRIPT_GUEST_H

#include "engine/perform.h"
#include "script/program.h"
#include "script/vm.h"

/* The guest_ctx of the engine's ports. */
typedef struct tm_guest_host {
  size_t memory;  /* bytes for one run; 0: the vm's default */
  uint64_t steps; /* instructions between two waits; 0: the vm's default */
  tm_list spares; /* vms that wait for a run, by program: at first an empty list */
} tm_guest_host;

extern const tm_guest_vt tm_guest_lua;

/* Give back the memory of vms that no run has needed since the last call; every second or so. */
void tm_guest_trim(tm_guest_host *host);

/* Load a source file without starting a run: a workflow as a run would load it, with its top level,
 * its modules and the schemas it names; a file in a folder of workflows/ is only compiled. The error
 * is the one that a run would have. */
int tm_guest_check(tm_closure *c, const tm_guest_host *host, struct tm_engine *engine,
                   const char *file, tm_err *err);

typedef struct tm_guest tm_guest;

struct tm_guest {
  tm_run *run;
  tm_vm *vm;
  tm_program *program;
  tm_branch *current;      /* being resumed; NULL: the file is loading */
  lua_State *co;           /* current's coroutine, or the loading one */
  const tm_answer *answer; /* what the continuation takes */
  tm_arena scratch;        /* requests on their way into perform: reset there */
  tm_err err;
  bool checking; /* only looked at: there is no input to hold to its schema */
  bool diverged; /* a noted call found the run diverged: do not resume again */
  int flow;      /* registry reference of the workflow's table */
  int library;   /* of lua/tidemill.lua's table */
  tm_spare
      *spare; /* what its vm is kept by, to be another run's; NULL: it goes with this one */
};

/* A branch's coroutine, in branch->slot. */
typedef struct tm_thread {
  lua_State *co;
  int ref;       /* in the registry */
  int functions; /* of the table of functions of a fork under way; LUA_NOREF: none */
} tm_thread;

/* bind.c: the table `core` that lua/tidemill.lua is written over [-0, +1, m]. */
int tm_bind_open(lua_State *L);
/* The value on top, as an error for records: tables as they are, texts as {kind="script"}. [-0, +0] */
tm_json *tm_bind_error(lua_State *L, tm_arena *a);

/* messages.c: is `list` (NULL: none) a conversation, messages of user, model and tool? TM_USAGE, with
 * `what` for its name. Then put it behind `to`. */
int tm_messages_check(const tm_json *list, const char *what, tm_err *err);
void tm_messages_append(tm_arena *a, tm_json *to, const tm_json *list);

/* Is it "cassette/FILE"? */
bool tm_request_is_cassette(const char *model);
/* The model of a unit's call: the script's own option (opts, may be NULL); --model UNIT=, --model;
 * models of tidemill.yaml and the unit's own front matter; the project's default. A cassette of
 * --model goes before the script's, which it plays. NULL: none. */
const char *tm_request_model(const tm_closure *c, const tm_prompt *unit, const tm_json *opts);
/* request.c: the common model request of a unit: rendered messages, model, config, schema. */
int tm_request_build(tm_json **out, tm_arena *a, const tm_closure *c, const tm_prompt *unit,
                     const tm_json *vars, const tm_json *opts, tm_err *err);

#endif
