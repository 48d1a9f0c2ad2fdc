/* kit_engine.c - the public API as the Lua module `tidemill.engine`.
 *
 * The module follows tidemill.h one to one; JSON crosses as Lua values. A method returns its
 * value, or nil and an error table {code, message, …}; only wrong argument types raise.
 * Whatever a binding allocates outside Lua hangs on a scratch userdata, so an error thrown by
 * any lua_ call frees it.
 *
 * A test runs workflows with Lua functions as models and actions: the engine calls back into
 * the state that is just driving it (`L` of the engine, set by each method).
 */
#include "face/kit.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "script/value.h"

#define ENGINE  "tidemill.engine"
#define SCRATCH "tidemill.scratch"

typedef struct callback {
  struct engine *engine;
  int fn; /* in the registry */
  struct callback *next;
} callback;

typedef struct engine {
  tidemill *t;  /* NULL: closed */
  pid_t owner;  /* who opened it: its thread is not in a fork, so a fork must not close it */
  lua_State *L; /* who drives it now */
  callback *callbacks;
  char complaint[512]; /* what a callback raised; told by the method that drove it */
} engine;

/* -- memory that survives a throw ------------------------------------------------------ */

typedef struct scratch {
  tm_arena arena;
  char *text; /* of the API */
  tidemill_options *options;
} scratch;

/* [-0, +1, m] */
static scratch *scratch_new(lua_State *L) {
  scratch *s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  tm_arena_init(&s->arena, 0);
  luaL_setmetatable(L, SCRATCH);
  return s;
}

static void scratch_clear(scratch *s) {
  tm_arena_free(&s->arena);
  tidemill_free(s->text);
  tidemill_options_free(s->options);
  s->text = NULL;
  s->options = NULL;
}

static int scratch_gc(lua_State *L) {
  scratch_clear(luaL_checkudata(L, 1, SCRATCH));
  return 0;
}

/* The value at `index` as JSON text; NULL for nil. An argument error if it is none. */
static const char *json_arg(lua_State *L, int index, scratch *s, size_t *len) {
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  *len = 0;
  if (lua_isnoneornil(L, index))
    return NULL;
  if (tm_value_read(&v, L, index, &s->arena, &err) < 0)
    luaL_argerror(L, index, lua_pushfstring(L, "%s", err.msg));
  return tm_json_text(&s->arena, v, len);
}

/* Push what JSON text says; nil when there is none. [-0, +1, m] */
static void push_json(lua_State *L, scratch *s, const char *text, size_t len) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  tm_json_opts opts = {.max_bytes = SIZE_MAX};
  if (text && tm_json_parse(&v, &s->arena, text, len, &opts, &err) == 0)
    tm_value_push(L, v);
  else
    lua_pushnil(L);
}

/* -- methods --------------------------------------------------------------------------- */

static engine *check_engine(lua_State *L) {
  engine *e = luaL_checkudata(L, 1, ENGINE);
  luaL_argcheck(L, e->t, 1, "the engine is closed");
  lua_settop(L, 5); /* what a method pushes is never taken for an argument */
  e->L = L;
  return e;
}

/* nil and the error of the last call. [-0, +2, m] */
static int push_error(lua_State *L, engine *e, scratch *s) {
  const char *json = e->t ? tidemill_errjson(e->t) : NULL;
  lua_pushnil(L);
  push_json(L, s, json, json ? strlen(json) : 0);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "error");
    lua_remove(L, -2);
  }
  return 2;
}

/* The end of each method: true, the id, or the JSON that came; or nil and the error. */
static int answer(lua_State *L, engine *e, scratch *s, int rc, size_t len) {
  int count = 1;
  if (rc < 0)
    count = push_error(L, e, s);
  else if (s->text)
    push_json(L, s, s->text, len);
  else
    lua_pushboolean(L, 1);
  scratch_clear(s);
  return count;
}

static void set_option(lua_State *L, scratch *s, const char *key, const char *value) {
  if (tidemill_options_set(s->options, key, value) < 0)
    luaL_error(L, "tidemill.engine.open: %s = '%s' is not accepted", key, value);
}

/* open{dir, db, model = "P/M" or {…}, clock, memory, steps, by} -> engine | nil, error */
static int l_open(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  engine *e = lua_newuserdatauv(L, sizeof *e, 0);
  memset(e, 0, sizeof *e);
  luaL_setmetatable(L, ENGINE);
  scratch *s = scratch_new(L);
  s->options = tidemill_options_new();
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    const char *key = luaL_checkstring(L, -2);
    if (!lua_istable(L, -1)) {
      set_option(L, s, key, luaL_checkstring(L, -1));
      continue;
    }
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1))
      set_option(L, s, key, luaL_checkstring(L, -1));
    lua_pop(L, 1);
  }
  e->owner = getpid();
  int rc = tidemill_open(&e->t, s->options);
  if (rc < 0) {
    int count = push_error(L, e, s);
    tidemill_close(e->t);
    e->t = NULL;
    scratch_clear(s);
    return count;
  }
  scratch_clear(s);
  lua_pushvalue(L, -2);
  return 1;
}

static int l_close(lua_State *L) {
  engine *e = luaL_checkudata(L, 1, ENGINE);
  e->L = L;
  if (e->owner == getpid())
    tidemill_close(e->t);
  e->t = NULL;
  for (callback *next; e->callbacks; e->callbacks = next) {
    next = e->callbacks->next;
    luaL_unref(L, LUA_REGISTRYINDEX, e->callbacks->fn);
    tm_free(e->callbacks);
  }
  return 0;
}

/* start(workflow, input, opts) -> id */
static int l_start(lua_State *L) {
  engine *e = check_engine(L);
  const char *workflow = luaL_checkstring(L, 2);
  size_t len, opts_len;
  scratch *s = scratch_new(L);
  const char *input = json_arg(L, 3, s, &len), *opts = json_arg(L, 4, s, &opts_len);
  int rc =
      tidemill_start(e->t, workflow, input ? input : "null", input ? len : 4, opts, &s->text);
  if (rc < 0)
    return answer(L, e, s, rc, 0);
  lua_pushstring(L, s->text);
  scratch_clear(s);
  return 1;
}

/* A callback's own error ends the method that drove the engine. */
static void complain(lua_State *L, engine *e) {
  if (!e->complaint[0])
    return;
  lua_pushstring(L, e->complaint);
  e->complaint[0] = 0;
  lua_error(L);
}

/* run(run, timeout_ms) -> "ok" | "waiting", "failed" …, error */
static int l_run(lua_State *L) {
  engine *e = check_engine(L);
  int rc = tidemill_run(e->t, luaL_optstring(L, 2, NULL), luaL_optinteger(L, 3, -1));
  complain(L, e);
  scratch *s = scratch_new(L);
  lua_pushstring(L, tidemill_strerror(rc));
  if (rc < 0) {
    push_error(L, e, s);
    lua_remove(L, -2);
  }
  scratch_clear(s);
  return rc < 0 ? 2 : 1;
}

static int by_run(lua_State *L, int (*fn)(tidemill *, const char *, char **, size_t *)) {
  engine *e = check_engine(L);
  const char *run = luaL_checkstring(L, 2);
  size_t len = 0;
  scratch *s = scratch_new(L);
  int rc = fn(e->t, run, &s->text, &len);
  return answer(L, e, s, rc, len);
}

static int l_get(lua_State *L) {
  return by_run(L, tidemill_get);
}

static int l_result(lua_State *L) {
  return by_run(L, tidemill_result);
}

static int by_filter(lua_State *L, int (*fn)(tidemill *, const char *, char **, size_t *)) {
  engine *e = check_engine(L);
  size_t len = 0, filter_len;
  scratch *s = scratch_new(L);
  const char *filter = json_arg(L, 2, s, &filter_len);
  int rc = fn(e->t, filter, &s->text, &len);
  return answer(L, e, s, rc, len);
}

static int l_list(lua_State *L) {
  return by_filter(L, tidemill_list);
}

static int l_gates(lua_State *L) {
  return by_filter(L, tidemill_gates);
}

static int l_decisions(lua_State *L) {
  return by_filter(L, tidemill_decisions);
}

/* reopen(workflow, name, key, opts) -> true | nil, error */
static int l_reopen(lua_State *L) {
  engine *e = check_engine(L);
  const char *workflow = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
  const char *key = luaL_checkstring(L, 4);
  size_t len;
  scratch *s = scratch_new(L);
  const char *opts = json_arg(L, 5, s, &len);
  int rc = tidemill_reopen(e->t, workflow, name, key, opts);
  return answer(L, e, s, rc, 0);
}

static int l_history(lua_State *L) {
  engine *e = check_engine(L);
  const char *run = luaL_checkstring(L, 2);
  size_t len = 0, opts_len;
  scratch *s = scratch_new(L);
  const char *opts = json_arg(L, 3, s, &opts_len);
  int rc = tidemill_history(e->t, run, opts, &s->text, &len);
  return answer(L, e, s, rc, len);
}

static int with_opts(lua_State *L,
                     int (*fn)(tidemill *, const char *, const char *, const char *)) {
  engine *e = check_engine(L);
  const char *run = luaL_optstring(L, 2, NULL), *what = luaL_optstring(L, 3, NULL);
  size_t len;
  scratch *s = scratch_new(L);
  const char *opts = json_arg(L, 4, s, &len);
  int rc = fn(e->t, run, what, opts);
  return answer(L, e, s, rc, 0);
}

static int l_approve(lua_State *L) {
  return with_opts(L, tidemill_approve);
}

static int l_reject(lua_State *L) {
  return with_opts(L, tidemill_reject);
}

static int with_value(lua_State *L, int (*fn)(tidemill *, const char *, const char *,
                                              const char *, size_t, const char *)) {
  engine *e = check_engine(L);
  const char *run = luaL_checkstring(L, 2), *what = luaL_optstring(L, 3, NULL);
  size_t len = 0, opts_len;
  scratch *s = scratch_new(L);
  const char *value = json_arg(L, 4, s, &len), *opts = json_arg(L, 5, s, &opts_len);
  int rc = fn(e->t, run, what, value, len, opts);
  return answer(L, e, s, rc, 0);
}

/* signal(run, event, payload, opts) */
static int l_signal(lua_State *L) {
  luaL_checkstring(L, 3);
  return with_value(L, tidemill_signal);
}

/* resolve(run, action, result, opts): nil as result: it did not happen */
static int l_resolve(lua_State *L) {
  return with_value(L, tidemill_resolve);
}

static int l_control(lua_State *L) {
  return with_opts(L, tidemill_control);
}

static int l_prompt(lua_State *L) {
  engine *e = check_engine(L);
  const char *op = luaL_checkstring(L, 2), *name = luaL_optstring(L, 3, NULL);
  size_t len = 0, input_len;
  scratch *s = scratch_new(L);
  const char *input = json_arg(L, 4, s, &input_len);
  int rc = tidemill_prompt(e->t, op, name, input, input_len, &s->text, &len);
  return answer(L, e, s, rc, len);
}

static int l_doctor(lua_State *L) {
  engine *e = check_engine(L);
  size_t len = 0;
  scratch *s = scratch_new(L);
  int rc = tidemill_doctor(e->t, &s->text, &len);
  return answer(L, e, s, rc, len);
}

/* examine(run, op, opts) -> document */
static int l_examine(lua_State *L) {
  engine *e = check_engine(L);
  const char *run = luaL_optstring(L, 2, NULL), *op = luaL_checkstring(L, 3);
  size_t len = 0, opts_len;
  scratch *s = scratch_new(L);
  const char *opts = json_arg(L, 4, s, &opts_len);
  int rc = tidemill_examine(e->t, run, op, opts, &s->text, &len);
  return answer(L, e, s, rc, len);
}

/* An id that came as text, not as JSON. */
static int answer_id(lua_State *L, engine *e, scratch *s, int rc) {
  if (rc < 0)
    return answer(L, e, s, rc, 0);
  lua_pushstring(L, s->text);
  scratch_clear(s);
  return 1;
}

/* gc(opts) -> document */
static int l_gc(lua_State *L) {
  engine *e = check_engine(L);
  size_t len = 0, opts_len;
  scratch *s = scratch_new(L);
  const char *opts = json_arg(L, 2, s, &opts_len);
  int rc = tidemill_gc(e->t, opts, &s->text, &len);
  return answer(L, e, s, rc, len);
}

/* fork(run, opts) -> id */
static int l_fork(lua_State *L) {
  engine *e = check_engine(L);
  const char *run = luaL_checkstring(L, 2);
  size_t len;
  scratch *s = scratch_new(L);
  const char *opts = json_arg(L, 3, s, &len);
  return answer_id(L, e, s, tidemill_fork(e->t, run, opts, &s->text));
}

/* import(text) -> id */
static int l_import(lua_State *L) {
  engine *e = check_engine(L);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  scratch *s = scratch_new(L);
  return answer_id(L, e, s, tidemill_import(e->t, text, len, &s->text));
}

static int l_dispatch(lua_State *L) {
  engine *e = check_engine(L);
  int rc = tidemill_dispatch(e->t, luaL_optinteger(L, 2, 0));
  complain(L, e);
  lua_pushboolean(L, rc > 0);
  return 1;
}

static int l_advance(lua_State *L) {
  engine *e = check_engine(L);
  scratch *s = scratch_new(L);
  return answer(L, e, s, tidemill_advance(e->t, luaL_checkinteger(L, 2)), 0);
}

/* timeout() -> ms until the next timer, -1 without one */
static int l_timeout(lua_State *L) {
  lua_pushinteger(L, tidemill_timeout(check_engine(L)->t));
  return 1;
}

/* -- callbacks ------------------------------------------------------------------------------
 */

static callback *callback_new(lua_State *L, engine *e, int index) {
  luaL_checktype(L, index, LUA_TFUNCTION);
  lua_pushvalue(L, index);
  int fn = luaL_ref(L, LUA_REGISTRYINDEX);
  callback *cb = tm_new(callback);
  *cb = (callback){.engine = e, .fn = fn, .next = e->callbacks};
  e->callbacks = cb;
  return cb;
}

typedef struct visit {
  callback *cb;
  tidemill_call *call; /* NULL: an event */
  const char *text;
  size_t len;
} visit;

/* Under protection, with a visit: call the function with what came, finish the call with what
 * it returns. Nothing may be thrown through the engine. */
static int enter(lua_State *L) {
  visit *v = lua_touserdata(L, 1);
  scratch *s = scratch_new(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, v->cb->fn);
  push_json(L, s, v->text, v->len);
  if (!v->call) {
    lua_call(L, 1, 0);
    return 0;
  }
  lua_pushstring(L, tidemill_call_key(v->call));
  lua_pushstring(L, tidemill_call_name(v->call));
  lua_call(L, 3, 1);
  tm_err err = TM_ERR_INIT;
  tm_json *result;
  if (tm_value_read(&result, L, -1, &s->arena, &err) < 0)
    return luaL_error(L, "what the function returned is not JSON: %s", err.msg);
  size_t len;
  const char *text = tm_json_text(&s->arena, result, &len);
  tidemill_complete(v->call, text, len);
  v->call = NULL;
  scratch_clear(s);
  return 0;
}

/* error "text" or error {message, happened}: the world's answer to an action, the model's to an
 * ask. */
static void fail_call(lua_State *L, tidemill_call *call) {
  int happened = 0;
  const char *message = lua_tostring(L, -1);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "happened");
    happened = lua_toboolean(L, -1);
    lua_getfield(L, -2, "message");
    message = lua_tostring(L, -1);
  }
  tidemill_fail(call, message ? message : "the test's function raised an error", happened);
}

static void on_call(void *user, tidemill_call *call) {
  callback *cb = user;
  lua_State *L = cb->engine->L;
  visit v = {.cb = cb, .call = call};
  v.text = tidemill_call_input(call, &v.len);
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 8)) {
    tidemill_fail(call, "the Lua stack is full", 0);
    return;
  }
  lua_pushcfunction(L, enter);
  lua_pushlightuserdata(L, &v);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK && v.call)
    fail_call(L, v.call);
  lua_settop(L, top);
}

static void on_event(void *user, const char *json, size_t len) {
  callback *cb = user;
  engine *e = cb->engine;
  visit v = {.cb = cb, .text = json, .len = len};
  int top = lua_gettop(e->L);
  if (!lua_checkstack(e->L, 8))
    return;
  lua_pushcfunction(e->L, enter);
  lua_pushlightuserdata(e->L, &v);
  if (lua_pcall(e->L, 1, 0, 0) != LUA_OK && !e->complaint[0])
    snprintf(e->complaint, sizeof e->complaint, "on_event: %s",
             lua_isstring(e->L, -1) ? lua_tostring(e->L, -1) : "an error");
  lua_settop(e->L, top);
}

/* on_event(fn), nil: stop */
static int l_on_event(lua_State *L) {
  engine *e = check_engine(L);
  if (lua_isnoneornil(L, 2))
    tidemill_on_event(e->t, NULL, NULL);
  else
    tidemill_on_event(e->t, on_event, callback_new(L, e, 2));
  return 0;
}

/* provider(name, function(request) -> answer), action(name, function(args, key) -> result) */
static int registering(lua_State *L, int (*fn)(tidemill *, const char *, tidemill_fn, void *)) {
  engine *e = check_engine(L);
  const char *name = luaL_checkstring(L, 2);
  callback *cb = callback_new(L, e, 3);
  scratch *s = scratch_new(L);
  return answer(L, e, s, fn(e->t, name, on_call, cb), 0);
}

static int l_provider(lua_State *L) {
  return registering(L, tidemill_register_provider);
}

static int l_action(lua_State *L) {
  return registering(L, tidemill_register_action);
}

/* -- helpers of the module ------------------------------------------------------------------
 */

/* duration("3d") -> ms */
static int l_duration(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  int64_t ms = tm_clock_duration(text, len);
  luaL_argcheck(L, ms >= 0, 1, "expected a duration such as \"30s\", \"2h\" or \"3d\"");
  lua_pushinteger(L, ms);
  return 1;
}

/* time("2026-01-01T00:00:00.000Z") -> ms since 1970 */
static int l_time(lua_State *L) {
  int64_t ms = tm_cli_text_time(luaL_checkstring(L, 1));
  luaL_argcheck(L, ms >= 0, 1, "expected an RFC 3339 time");
  lua_pushinteger(L, ms);
  return 1;
}

/* setenv(name, value), nil: unset. What mill.env and the providers see. */
static int l_setenv(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *value = luaL_optstring(L, 2, NULL);
  if (value)
    setenv(name, value, 1);
  else
    unsetenv(name);
  return 0;
}

/* The child of l_doomed: runs the function with the crash point armed; never returns. */
static void child(lua_State *L, const char *point) {
  if (point)
    setenv("TIDEMILL_CRASH_AT", point, 1);
  else
    unsetenv("TIDEMILL_CRASH_AT");
  tm_fault_init();
  int rc = lua_pcall(L, 0, 0, 0);
  if (rc != LUA_OK)
    fprintf(stderr, "%s\n", lua_isstring(L, -1) ? lua_tostring(L, -1) : "an error");
  fflush(NULL);
  _exit(rc == LUA_OK ? 0 : 1);
}

/* doomed(fn, point) -> "exit" | "killed", code: call fn in a process of its own that dies by
 * SIGKILL when it passes the point ("store.commit.post:3"); nil: it lives. */
static int l_doomed(lua_State *L) {
  const char *point = luaL_optstring(L, 2, NULL);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, 1);
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0)
    return luaL_error(L, "cannot fork: %s", strerror(errno));
  if (pid == 0)
    child(L, point);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  lua_pushstring(L, WIFSIGNALED(status) ? "killed" : "exit");
  lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return 2;
}

static const luaL_Reg methods[] = {{"signal", l_signal},
                                   {"examine", l_examine},
                                   {"fork", l_fork},
                                   {"import", l_import},
                                   {"start", l_start},
                                   {"run", l_run},
                                   {"get", l_get},
                                   {"result", l_result},
                                   {"list", l_list},
                                   {"gates", l_gates},
                                   {"approve", l_approve},
                                   {"reject", l_reject},
                                   {"resolve", l_resolve},
                                   {"control", l_control},
                                   {"history", l_history},
                                   {"prompt", l_prompt},
                                   {"doctor", l_doctor},
                                   {"dispatch", l_dispatch},
                                   {"advance", l_advance},
                                   {"timeout", l_timeout},
                                   {"on_event", l_on_event},
                                   {"provider", l_provider},
                                   {"action", l_action},
                                   {"close", l_close},
                                   {"decisions", l_decisions},
                                   {"reopen", l_reopen},
                                   {"gc", l_gc},
                                   {NULL, NULL}};

static const luaL_Reg functions[] = {{"open", l_open},     {"duration", l_duration},
                                     {"time", l_time},     {"doomed", l_doomed},
                                     {"setenv", l_setenv}, {NULL, NULL}};

int tm_kit_engine(lua_State *L) {
  luaL_newmetatable(L, SCRATCH);
  lua_pushcfunction(L, scratch_gc);
  lua_setfield(L, -2, "__gc");
  luaL_newmetatable(L, ENGINE);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
