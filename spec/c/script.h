/* script.h - runs a piece of Lua in a vm of its own and keeps what it printed, for the specs of
 * host/script. `print` and `show` (values as %q) write into `out`; `blocked` tells what keeps a
 * primitive from waiting; `wait` is one.
 */
#ifndef TM_SPEC_SCRIPT_H
#define TM_SPEC_SCRIPT_H

#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "check.h"
#include "script/globals.h"
#include "script/vm.h"

typedef struct script {
  tm_vm *vm;
  lua_State *co;
  tm_vm_status status;
  tm_err err;
  tm_buf out;
  char error[TM_ERR_MAX]; /* of a script that raised, or that does not compile */
  int nresults;
  double seconds; /* of processor time */
} script;

typedef struct script_job {
  script *s;
  const char *source;
  size_t len;
  bool bare; /* no cjson, whose buffers have to be freed one by one */
  bool compiled;
} script_job;

static inline int script_print(lua_State *L) {
  script *s = tm_vm_owner(L);
  for (int i = 1, n = lua_gettop(L); i <= n; i++) {
    size_t len;
    lua_getglobal(L, "tostring");
    lua_pushvalue(L, i);
    lua_call(L, 1, 1);
    const char *text = lua_tolstring(L, -1, &len);
    tm_buf_put(&s->out, i > 1 ? " " : "", i > 1);
    tm_buf_put(&s->out, text, len);
    lua_pop(L, 1);
  }
  tm_buf_putc(&s->out, '\n');
  return 0;
}

static inline int script_blocked(lua_State *L) {
  const char *by = tm_vm_blocked_by(L);
  lua_pushstring(L, by ? by : "nothing");
  return 1;
}

static inline int script_wait(lua_State *L) {
  return lua_yield(L, lua_gettop(L));
}

static inline int script_load(lua_State *L) {
  script_job *job = lua_touserdata(L, 1);
  static const luaL_Reg extra[] = {{"print", script_print},
                                   {"blocked", script_blocked},
                                   {"wait", script_wait},
                                   {NULL, NULL}};
  lua_pushglobaltable(L);
  luaL_setfuncs(L, extra, 0);
  if (!job->bare) {
    tm_sandbox_open_cjson(L);
    lua_setglobal(L, "cjson");
  }
  job->s->co = lua_newthread(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "spec");
  tm_err err = TM_ERR_INIT;
  job->compiled = tm_vm_load(job->s->co, "=x", job->source, job->len, &err) == 0;
  snprintf(job->s->error, sizeof job->s->error, "%s", err.msg);
  return 0;
}

static inline double script_cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void script_go(script *s, int nargs) {
  double start = script_cpu();
  s->status = tm_vm_resume(s->vm, s->co, nargs, &s->nresults, &s->err);
  s->seconds = script_cpu() - start;
  if (s->status == TM_VM_ERROR)
    tm_vm_describe(s->co, -1, s->error, sizeof s->error);
}

/* A run's globals are a copy (script/globals.h), and so are these; NULL when that failed. */
static inline const tm_globals *script_globals(void) {
  static tm_globals *globals;
  static tm_arena arena;
  tm_vm *model;
  tm_err err = TM_ERR_INIT;
  if (!globals && tm_vm_open(&model, &(tm_vm_opts){.memory = 0}, &err) == 0) {
    tm_globals_read(&globals, &arena, tm_vm_state(model), &err);
    tm_vm_close(&model);
  }
  return globals;
}

static inline bool script_run_job(script *s, tm_vm_opts opts, script_job job) {
  memset(s, 0, sizeof *s);
  opts.owner = s;
  if (!opts.seed)
    opts.seed = "spec";
  if (!opts.trusted && !getenv("TM_SPEC_ASSEMBLED"))
    opts.globals = script_globals();
  if (tm_vm_open(&s->vm, &opts, &s->err) < 0 ||
      tm_vm_protect(s->vm, script_load, &job, &s->err) < 0) {
    s->status = TM_VM_STOPPED;
    return false;
  }
  s->status = TM_VM_ERROR;
  if (job.compiled)
    script_go(s, 0);
  return job.compiled;
}

/* Open, compile, run until it ends or waits. False when there is nothing to resume. */
static inline bool script_run(script *s, tm_vm_opts opts, const char *source) {
  return script_run_job(s, opts, (script_job){.s = s, .source = source, .len = strlen(source)});
}

static inline bool script_run_bare(script *s, tm_vm_opts opts, const char *source) {
  return script_run_job(
      s, opts, (script_job){.s = s, .source = source, .len = strlen(source), .bare = true});
}

static inline void script_close(script *s) {
  tm_vm_close(&s->vm);
  tm_buf_free(&s->out);
}

static inline const char *script_out(script *s) {
  return s->status == TM_VM_STOPPED ? s->err.msg
         : s->status == TM_VM_ERROR ? s->error
                                    : tm_buf_str(&s->out);
}

#endif
