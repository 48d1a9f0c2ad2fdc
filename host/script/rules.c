/* rules.c - the scripted model: a Lua file that answers each unit by plain rules. */
#include "script/rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script/value.h"
#include "script/vm.h"

#define FILE_MAX   ((size_t)1 << 20)
#define STEPS_MAX  20000000           /* of one rule: a tenth of what a workflow has */
#define ANSWER_MAX ((size_t)16 << 20) /* of tree, while an answer is read */

struct tm_rules {
  char *path, *source, *about;
  size_t len;
  tm_vm *vm;
};

/* One visit of the vm; what its protected steps hand to each other. */
typedef struct visit {
  tm_rules *r;
  const tm_json *request;
  const char *unit;
  lua_State *co;
  int nresults;
  bool retryable;
  tm_arena arena;
  tm_buf *answer;
} visit;

/* Registry keys by address: what the file returned, and the coroutine that runs. */
static const char table_key, thread_key;

/* -- the file -------------------------------------------------------------------------- */

static int read_file(tm_rules *r, tm_err *err) {
  FILE *f = tm_mem_fopen(r->path, "rb");
  if (!f)
    return tm_err_set(err, TM_NOTFOUND, "cannot open the rules of the scripted model, %s: %s",
                      r->path, strerror(errno));
  r->source = tm_alloc(FILE_MAX + 1);
  r->len = fread(r->source, 1, FILE_MAX + 1, f);
  bool failed = ferror(f);
  fclose(f);
  if (failed)
    return tm_err_set(err, TM_NOTFOUND, "cannot read %s: %s", r->path, strerror(errno));
  return 0;
}

/* -- the vm ---------------------------------------------------------------------------- */

static int l_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  tm_value_mark_array(L);
  return 1;
}

/* What a rule needs of `tidemill` to build an answer: array and null. */
static int open_values(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, l_array);
  lua_setfield(L, -2, "array");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}

static int l_require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (strcmp(name, "tidemill") == 0)
    return open_values(L);
  if (strcmp(name, "cjson") == 0)
    return tm_sandbox_open_cjson(L);
  return luaL_error(
      L, "require: a rules file can have \"cjson\" and \"tidemill\" only, not \"%s\"", name);
}

/* A coroutine for script code, kept in the registry. [-0, +0, m] */
static lua_State *new_thread(lua_State *L) {
  lua_State *co = lua_newthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &thread_key);
  return co;
}

static int prepare_file(lua_State *L) {
  visit *v = lua_touserdata(L, 1);
  lua_pushcfunction(L, l_require);
  lua_setglobal(L, "require");
  v->co = new_thread(L);
  return 0;
}

/* The field of the table on top, without script code. [-0, +1, m] */
static int raw_field(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  return lua_rawget(L, -2);
}

/* Keep what the file returned, and what it says about itself. */
static int keep_table(lua_State *L) {
  visit *v = lua_touserdata(L, 1);
  if (v->nresults < 1 || !lua_istable(v->co, 1))
    return luaL_error(
        L, "a rules file returns a table { units = { NAME = function(vars) … end } }");
  lua_settop(v->co, 1);
  lua_xmove(v->co, L, 1);
  if (raw_field(L, "units") != LUA_TTABLE)
    return luaL_error(
        L, "the rules have no table `units`; add units = { NAME = function(vars) … end }");
  lua_pop(L, 1);
  if (raw_field(L, "about") == LUA_TSTRING && !v->r->about)
    v->r->about = tm_strdup(lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &table_key);
  return 0;
}

/* Resume the visit's coroutine; an error value gives its text. */
static int run(visit *v, int nargs, tm_err *err) {
  char what[TM_ERR_MAX];
  switch (tm_vm_resume(v->r->vm, v->co, nargs, &v->nresults, err)) {
  case TM_VM_DONE:
    return 0;
  case TM_VM_STOPPED:
    return -1;
  case TM_VM_YIELD:
    return tm_err_set(err, TM_FAILED, "a rule cannot wait for anything");
  case TM_VM_ERROR:
    break;
  }
  tm_vm_describe(v->co, -1, what, sizeof what);
  return tm_err_set(err, TM_FAILED, "%s", what);
}

static int start(tm_rules *r, tm_err *err) {
  tm_vm_opts opts = {.seed = "rules", .steps = STEPS_MAX};
  visit v = {.r = r};
  char *chunk = NULL;
  int result = -1;
  tm_vm_close(&r->vm);
  if (tm_vm_open(&r->vm, &opts, err) < 0 || tm_vm_protect(r->vm, prepare_file, &v, err) < 0)
    goto done;
  chunk = tm_alloc(strlen(r->path) + 2);
  chunk[0] = '@';
  memcpy(chunk + 1, r->path, strlen(r->path));
  if (tm_vm_load(v.co, chunk, r->source, r->len, err) < 0 || run(&v, 0, err) < 0)
    goto done;
  result = tm_vm_protect(r->vm, keep_table, &v, err);

done:
  tm_free(chunk);
  if (result < 0) {
    err->code = err->code == TM_LIMIT ? TM_LIMIT : TM_CONFIG;
    tm_err_wrap(err, "loading the rules of the scripted model from %s", r->path);
  }
  return result;
}

int tm_rules_open(tm_rules **out, const char *path, tm_err *err) {
  tm_rules *r = tm_new(tm_rules);
  r->path = tm_strdup(path);
  if (read_file(r, err) < 0 || start(r, err) < 0) {
    tm_rules_close(&r);
    return -1;
  }
  *out = r;
  return 0;
}

const char *tm_rules_about(const tm_rules *r) {
  return r->about ? r->about : "";
}

void tm_rules_close(tm_rules **r) {
  tm_rules *d = *r;
  if (!d)
    return;
  tm_vm_close(&d->vm);
  tm_free(d->about);
  tm_free(d->source);
  tm_free(d->path);
  tm_free(d);
  *r = NULL;
}

/* -- an answer ------------------------------------------------------------------------- */

static void push_or_empty(lua_State *L, const tm_json *v) {
  if (v)
    tm_value_push(L, v);
  else
    lua_createtable(L, 0, 0);
}

/* Put the rule and its arguments into a fresh coroutine: rule(vars, request), or the rule's
 * value. */
static int prepare_rule(lua_State *L) {
  visit *v = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &table_key);
  raw_field(L, "units");
  if (raw_field(L, v->unit) == LUA_TNIL)
    return luaL_error(L, "the scripted model %s has no rule for unit %s; add units.%s",
                      v->r->path, v->unit, v->unit);
  v->co = new_thread(L);
  push_or_empty(L, tm_json_get(v->request, "vars"));
  push_or_empty(L, v->request);
  lua_xmove(L, v->co, 3);
  return 0;
}

/* What the rule raised, on top of its coroutine: may it be tried again? */
static int read_failure(lua_State *L) {
  visit *v = lua_touserdata(L, 1);
  lua_xmove(v->co, L, 1);
  if (lua_istable(L, -1)) {
    raw_field(L, "retryable");
    v->retryable = lua_toboolean(L, -1);
  }
  return 0;
}

static bool stays_text(const visit *v) {
  const char *phase = tm_json_get_str(v->request, "phase");
  bool raw = v->nresults > 1 && lua_type(v->co, 2) == LUA_TSTRING &&
             strcmp(lua_tostring(v->co, 2), "raw") == 0;
  return raw || !tm_json_get(v->request, "schema") || (phase && strcmp(phase, "reason") == 0);
}

/* The results stand at 1 … of the coroutine, which has ended. */
static int read_answer(lua_State *L) {
  visit *v = lua_touserdata(L, 1);
  tm_err err = TM_ERR_INIT;
  tm_json *value;
  if (v->nresults < 1 || lua_isnil(v->co, 1))
    return luaL_error(L, "it returned nothing");
  if (lua_type(v->co, 1) == LUA_TSTRING && stays_text(v)) {
    size_t len;
    const char *text = lua_tolstring(v->co, 1, &len);
    tm_buf_put(v->answer, text, len);
    return 0;
  }
  if (tm_value_read(&value, v->co, 1, &v->arena, &err) < 0)
    return luaL_error(L, "what it returned is no JSON value: %s", err.msg);
  tm_json_print_canonical(v->answer, value);
  return 0;
}

/* A rule that is a plain value is its own result. */
static int call_rule(visit *v, tm_err *err) {
  tm_vm *vm = v->r->vm;
  if (!lua_isfunction(v->co, 1)) {
    lua_settop(v->co, 1);
    v->nresults = 1;
  } else if (run(v, 2, err) < 0) {
    tm_err ignored = TM_ERR_INIT;
    if (!tm_vm_stopped(vm) && tm_vm_protect(vm, read_failure, v, &ignored) == 0 && v->retryable)
      err->code = TM_TEMP;
    return -1;
  }
  return tm_vm_protect(vm, read_answer, v, err);
}

int tm_rules_answer(tm_rules *r, const tm_json *request, tm_buf *answer, tm_err *err) {
  const char *unit = tm_json_get_str(request, "unit");
  visit v = {.r = r, .request = request, .unit = unit ? unit : "", .answer = answer};
  if (tm_vm_stopped(r->vm) && start(r, err) < 0)
    return -1;
  if (tm_vm_protect(r->vm, prepare_rule, &v, err) < 0) {
    err->code = err->code == TM_LIMIT ? TM_LIMIT : TM_CONFIG;
    return -1;
  }
  tm_arena_init(&v.arena, ANSWER_MAX);
  int result = call_rule(&v, err);
  tm_arena_free(&v.arena);
  return result < 0 ? tm_err_wrap(err, "the rule for unit %s in %s", v.unit, r->path) : 0;
}
