/* guest.c - opening a workflow, resuming its branches, telling the engine how it went.
 *
 * The one wall between host and script: code of the script runs only inside tm_vm_resume, and
 * whatever it does (raise, loop, eat memory, yield) comes back here as one of four statuses.
 */
#include "script/guest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "script/modules.h"
#include "script/value.h"

/* -- coroutines ------------------------------------------------------------------------ */

static tm_thread *spawn(tm_guest *g) {
  lua_State *L = tm_vm_state(g->vm);
  tm_thread *t = tm_new(tm_thread);
  t->functions = LUA_NOREF;
  t->co = lua_newthread(L);
  t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return t;
}

static void drop_thread(tm_guest *g, tm_thread *t) {
  lua_State *L = tm_vm_state(g->vm);
  luaL_unref(L, LUA_REGISTRYINDEX, t->ref);
  luaL_unref(L, LUA_REGISTRYINDEX, t->functions);
  tm_free(t);
}

static void drop(void *guest, tm_branch *b) {
  drop_thread(guest, b->slot);
  b->slot = NULL;
}

/* -- opening --------------------------------------------------------------------------- */

static int push_library(lua_State *L) {
  tm_guest *g = tm_vm_owner(L);
  if (tm_program_library(L, g->program, "tidemill.lua", &g->err) < 0)
    return luaL_error(L, "%s", g->err.msg);
  tm_bind_open(L);
  lua_call(L, 1, 1);
  g->library = luaL_ref(L, LUA_REGISTRYINDEX);
  tm_modules_install(L);
  return 0;
}

static int load_workflow(lua_State *L) {
  tm_guest *g = tm_vm_owner(L);
  char name[256];
  snprintf(name, sizeof name, "workflows/%s.lua", g->run->workflow);
  if (tm_program_chunk(L, g->program, name, &g->err) < 0)
    return luaL_error(L, "%s", g->err.msg);
  lua_call(L, 0, 1);
  g->flow = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* The one thing of loading that is each run's own: its input is held to the schema. */
static int prepare(lua_State *L) {
  tm_guest *g = tm_vm_owner(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->library);
  lua_getfield(L, -1, "_prepare");
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->flow);
  lua_pushstring(L, g->run->workflow);
  if (g->checking)
    lua_pushnil(L);
  else
    tm_value_push(L, g->run->input);
  lua_pushstring(L, g->run->only_step);
  lua_call(L, 4, 0);
  lua_pushnil(L);
  lua_setfield(L, -2, "_prepare"); /* has done its work: its memory is for the script */
  return 0;
}

static int say_load_error(tm_guest *g, lua_State *co, tm_vm_status status, tm_err *err) {
  tm_arena a;
  if (g->err.code != TM_OK) {
    *err = g->err;
    return -1;
  }
  if (status == TM_VM_YIELD)
    return tm_err_set(err, TM_USAGE, "the file yields while it loads");
  tm_arena_init(&a, 0);
  tm_json *e = tm_bind_error(co, &a);
  const char *message = tm_json_get_str(e, "message");
  tm_err_set(err, TM_USAGE, "%s", message ? message : "the workflow cannot be loaded");
  tm_arena_free(&a);
  return -1;
}

/* A part of the loading, as a coroutine of its own so that the script's top level has its limits
 * too. */
static int enter(tm_guest *g, lua_CFunction loader, tm_err *err) {
  int results;
  tm_thread *t = spawn(g);
  g->co = t->co;
  lua_pushcfunction(t->co, loader);
  tm_err_clear(&g->err);
  tm_vm_status s = tm_vm_resume(g->vm, t->co, 0, &results, err);
  int rc = 0;
  if (s == TM_VM_STOPPED)
    rc = -1;
  else if (s != TM_VM_DONE)
    rc = say_load_error(g, t->co, s, err);
  g->co = NULL;
  drop_thread(g, t);
  return rc;
}

/* The library, then the file. */
static int load(tm_guest *g, lua_CFunction loader, tm_err *err) {
  lua_gc(tm_vm_state(g->vm), LUA_GCSTOP); /* little of what loads is garbage */
  if (tm_vm_protect(g->vm, push_library, NULL, err) < 0)
    return tm_err_wrap(err, "loading the library");
  return enter(g, loader, err);
}

static void close_guest(void **guest) {
  tm_guest *g = *guest;
  *guest = NULL;
  if (g->spare)
    tm_spare_give(tm_program_spares(g->program), &g->spare);
  else
    tm_vm_close(&g->vm);
  tm_arena_free(&g->scratch);
  tm_free(g);
}

static tm_guest *new_guest(tm_run *run) {
  tm_guest *g = tm_new(tm_guest);
  tm_arena_init(&g->scratch, 0);
  g->run = run;
  g->flow = g->library = LUA_NOREF;
  g->program = tm_program_of(run->closure);
  return g;
}

static int open_vm(tm_guest *g, const tm_guest_host *host, tm_err *err) {
  tm_vm_opts opts = {.memory = host->memory,
                     .steps = host->steps,
                     .seed = g->run->seed,
                     .owner = g,
                     .globals = tm_program_globals(g->program)};
  return tm_vm_open(&g->vm, &opts, err);
}

/* -- spare vms ------------------------------------------------------------------------- */

/* The parts of the library that runs of this program use: in a vm that is kept, they are loaded
 * once for all runs that it will have. */
static int load_ahead(lua_State *L) {
  tm_guest *g = tm_vm_owner(L);
  const char *file;
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->library);
  for (size_t at = 0; (file = tm_program_part(g->program, &at));) {
    lua_getfield(L, -1, "_part");
    lua_pushlstring(L, file, strlen(file) - strlen(".lua"));
    lua_call(L, 1, 0);
  }
  return 0;
}

static bool take_spare(tm_guest *g, tm_spares *spares) {
  tm_spare *s = spares ? tm_spare_take(spares, g->run->workflow) : NULL;
  if (!s)
    return false;
  g->spare = s;
  g->vm = s->vm;
  g->flow = s->flow;
  g->library = s->library;
  tm_vm_hand_over(g->vm, g, g->run->seed);
  return true;
}

static void make_spare(tm_guest *g, tm_spares *spares, tm_list *looked_at) {
  tm_err ignored = TM_ERR_INIT;
  if (!spares || !tm_spare_wanted(spares) ||
      tm_vm_protect(g->vm, load_ahead, NULL, &ignored) < 0)
    return;
  lua_gc(tm_vm_state(g->vm), LUA_GCCOLLECT);
  if (tm_vm_keep(g->vm))
    g->spare = tm_spare_new(spares, looked_at, g->run->workflow, g->vm, g->flow, g->library);
}

void tm_guest_trim(tm_guest_host *host) {
  tm_spare_trim(&host->spares);
}

/* A vm whose file has been loaded, and has not been told of its run. */
static int get_vm(tm_guest *g, tm_guest_host *host, tm_err *err) {
  if (take_spare(g, tm_program_spares(g->program)))
    return 0;
  if (open_vm(g, host, err) < 0 || load(g, load_workflow, err) < 0)
    return -1;
  make_spare(g, tm_program_spares(g->program), &host->spares);
  return 0;
}

static int open_guest(void **out, void *ctx, tm_run *run, tm_err *err) {
  char file[256];
  snprintf(file, sizeof file, "workflows/%s.lua", run->workflow);
  if (!tm_closure_file(run->closure, file))
    return tm_err_set(err, TM_NOTFOUND, "there is no workflow \"%s\": %s does not exist",
                      run->workflow, file);
  tm_guest *g = new_guest(run);
  if (get_vm(g, ctx, err) < 0 || enter(g, prepare, err) < 0) {
    close_guest((void **)&g);
    return -1;
  }
  tm_vm_rest_collector(g->vm);
  *out = g;
  return 0;
}

/* -- checking -------------------------------------------------------------------------- */

/* "workflows/lib/x.lua", whose name stands where a workflow's does. */
static int compile_file(lua_State *L) {
  tm_guest *g = tm_vm_owner(L);
  char name[256];
  snprintf(name, sizeof name, "workflows/%s.lua", g->run->workflow);
  if (tm_program_chunk(L, g->program, name, &g->err) < 0)
    return luaL_error(L, "%s", g->err.msg);
  return 0;
}

int tm_guest_check(tm_closure *c, const tm_guest_host *host, tm_engine *engine,
                   const char *file, tm_err *err) {
  const size_t folder = strlen("workflows/"), ending = strlen(".lua");
  char name[256];
  snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - folder - ending), file + folder);
  tm_run run = {.engine = engine, .workflow = name, .closure = c, .seed = "check"};
  tm_arena_init(&run.arena, 0);
  tm_guest *g = new_guest(&run);
  g->checking = true;
  bool workflow = !strchr(name, '/');
  int rc = open_vm(g, host, err);
  if (rc == 0)
    rc = load(g, workflow ? load_workflow : compile_file, err);
  if (rc == 0 && workflow)
    rc = enter(g, prepare, err);
  close_guest((void **)&g);
  tm_arena_free(&run.arena);
  return rc;
}

/* -- resuming -------------------------------------------------------------------------- */

/* main: library._main(flow, input, step); a child: its function of the parent's fork. */
static int push_start(lua_State *L) {
  tm_guest *g = tm_vm_owner(L);
  tm_branch *b = g->current;
  tm_thread *t = b->slot;
  if (b->parent) {
    tm_thread *parent = b->parent->slot;
    lua_rawgeti(L, LUA_REGISTRYINDEX, parent->functions);
    lua_rawgeti(L, -1, (lua_Integer)b->index + 1);
    lua_xmove(L, t->co, 1);
    lua_pop(L, 1);
    return 0;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->library);
  lua_getfield(L, -1, "_main");
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->flow);
  tm_value_push(L, g->run->input);
  lua_pushstring(L, g->run->only_step);
  lua_xmove(L, t->co, 4);
  lua_pop(L, 1);
  return 0;
}

static int start_branch(tm_guest *g, tm_branch *b, tm_err *err) {
  b->slot = spawn(g);
  return tm_vm_protect(g->vm, push_start, NULL, err);
}

/* The value that a finished branch left on its stack, as JSON. */
static void returned(tm_guest *g, tm_branch *b, lua_State *co, int results) {
  tm_json *value = NULL;
  tm_err err = TM_ERR_INIT;
  if (b->parent) {
    tm_run_return(b, NULL);
    return;
  }
  tm_arena_reset(&g->scratch);
  lua_settop(co, results > 0 ? lua_gettop(co) - results + 1 : 0);
  int rc = results > 0 ? tm_value_read(&value, co, -1, &g->scratch, &err) : 0;
  if (rc < 0) {
    tm_err_wrap(&err, "the result of the workflow is no JSON");
    tm_run_raise(b, tm_run_error(&g->scratch, "script", "%s", err.msg));
  } else {
    tm_run_return(b, value ? value : tm_json_null(&g->scratch));
  }
}

static void raised(tm_guest *g, tm_branch *b, lua_State *co) {
  tm_arena_reset(&g->scratch);
  tm_run_raise(b, tm_bind_error(co, &g->scratch));
}

static void resume(void *guest, tm_branch *b, const tm_answer *answer) {
  tm_guest *g = guest;
  tm_err err = TM_ERR_INIT;
  int results = 0;
  g->current = b;
  g->answer = answer;
  if (answer->kind == TM_ANSWER_BEGIN && start_branch(g, b, &err) < 0) {
    tm_run_stop(g->run, &err);
    return;
  }
  lua_State *co = ((tm_thread *)b->slot)->co;
  int args = answer->kind == TM_ANSWER_BEGIN ? lua_gettop(co) - 1 : 0;
  g->co = co;
  tm_vm_status s = tm_vm_resume(g->vm, co, args, &results, &err);
  g->co = NULL;
  g->answer = NULL;
  if (s == TM_VM_DONE)
    returned(g, b, co, results);
  else if (s == TM_VM_ERROR && !g->diverged)
    raised(g, b, co);
  else if (s == TM_VM_STOPPED && !g->diverged)
    tm_run_stop(g->run, &err);
  g->current = NULL;
}

const tm_guest_vt tm_guest_lua = {
    .open = open_guest,
    .resume = resume,
    .drop = drop,
    .close = close_guest,
};
