/* bind.c - the C half of `require "tidemill"`: perform, note, pure functions.
 *
 * A binding owns nothing but the guest's scratch arena, so a Lua error cannot leak. Each one
 * checks, builds, performs; whatever waits goes through perform(), which is a jump.
 */
#include <stdio.h>
#include <string.h>

#include "script/args.h"
#include "script/guest.h"
#include "script/modules.h"
#include "script/value.h"

#define SCHEMA_TYPE "tidemill.schema"

static tm_guest *guest_of(lua_State *L) {
  return tm_vm_owner(L);
}

/* The run itself: what its script learns from it is not another run's to know. */
static tm_run *run_of(lua_State *L) {
  tm_vm_is_personal(L);
  return guest_of(L)->run;
}

static const tm_json *argument(lua_State *L, int index) {
  tm_guest *g = guest_of(L);
  tm_json *v = NULL;
  tm_err_clear(&g->err);
  if (lua_isnoneornil(L, index))
    return NULL;
  if (tm_value_read(&v, L, index, &g->scratch, &g->err) < 0) {
    char message[TM_ERR_MAX];
    snprintf(message, sizeof message, "%s", g->err.msg);
    tm_err_clear(&g->err);
    tm_args_fail(L, "usage", message);
  }
  tm_vm_charge(L, g->scratch.used / 16); /* the hook does not see what reading a value costs */
  return v;
}

/* -- errors ---------------------------------------------------------------------------- */

static int error_tostring(lua_State *L) {
  lua_getfield(L, 1, "message");
  return 1;
}

tm_json *tm_bind_error(lua_State *L, tm_arena *a) {
  tm_json *e;
  tm_err err = TM_ERR_INIT;
  char text[TM_ERR_MAX];
  if (lua_gettop(L) > 0 && lua_istable(L, -1) && tm_value_read(&e, L, -1, a, &err) == 0 &&
      tm_json_type_of(e) == TM_JSON_OBJECT && tm_json_get_str(e, "message"))
    return e;
  tm_vm_describe(L, -1, text, sizeof text);
  size_t valid = tm_json_utf8_valid(text, strlen(text));
  text[valid] = 0;
  return tm_run_error(a, "script", "%s", text);
}

/* -- performing: the one door ---------------------------------------------------------- */

static void must_be_able_to_wait(lua_State *L, tm_call_kind kind) {
  tm_guest *g = guest_of(L);
  char message[512];
  const char *blocker = tm_vm_blocked_by(L);
  if (!g->current)
    snprintf(message, sizeof message,
             "%s cannot be called while the file loads; call it inside flow.main or a step",
             tm_call_author(kind));
  else if (blocker || L != g->co)
    snprintf(message, sizeof message, "%s cannot wait inside %s; %s", tm_call_author(kind),
             blocker ? blocker : "your own coroutine",
             L != g->co ? "use mill.all or mill.map for branches that wait"
                        : "call it before, and use its result there");
  else
    return;
  tm_args_fail(L, "usage", message);
}

static void must_be_allowed(lua_State *L, tm_call_kind kind) {
  tm_err err = TM_ERR_INIT;
  if (tm_perform_allows(guest_of(L)->current, kind, &err) < 0)
    tm_args_fail(L, "usage", err.msg);
}

/* Return an answer, or raise it. */
static int give(lua_State *L, const tm_answer *a) {
  lua_settop(L, 0);
  if (a->value)
    tm_value_push(L, a->value);
  else
    lua_pushnil(L);
  if (a->kind == TM_ANSWER_ERROR) {
    if (lua_istable(L, -1))
      luaL_setmetatable(L, TM_ARGS_ERROR);
    return lua_error(L);
  }
  if (a->kind == TM_ANSWER_ENTER)
    lua_pushboolean(L,
                    true); /* an order to enter the body, and no result that looks like one */
  else if (a->meta)
    tm_value_push(L, a->meta);
  else
    return 1;
  return 2;
}

/* The answer has come. */
static int finish(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return give(L, guest_of(L)->answer);
}

static int perform(lua_State *L, tm_call_kind kind, const char *name, const tm_json *request,
                   const tm_json *live) {
  tm_guest *g = guest_of(L);
  tm_answer order;
  char where[256] = "";
  if (tm_call_class_of(kind) == TM_CALL_AWAITED) /* the others leave no record */
    tm_args_caller(L, where, sizeof where);
  tm_perform_call(g->current, kind, name, request ? request : tm_json_null(&g->scratch), live,
                  where);
  if (tm_run_enters(g->current, &order))
    return give(L, &order);
  return lua_yieldk(L, 0, 0, finish); /* a jump: nothing after this line runs */
}

static tm_call_kind kind_argument(lua_State *L, int index) {
  int kind = tm_call_by_word(luaL_checkstring(L, index));
  luaL_argcheck(L, kind >= 0, index, "unknown kind of call");
  return (tm_call_kind)kind;
}

/* perform(kind, name, request, live) -> value, meta | order, true: enter the action's body; live:
 * what only the executor needs, which is not recorded */
static int l_perform(lua_State *L) {
  tm_call_kind kind = kind_argument(L, 1);
  const char *name = luaL_checkstring(L, 2);
  must_be_able_to_wait(L, kind);
  must_be_allowed(L, kind);
  tm_arena_reset(&guest_of(L)->scratch);
  const tm_json *request = argument(L, 3);
  return perform(L, kind, name, request, argument(L, 4));
}

/* note(kind, name, request) -> value, at once */
static int l_note(lua_State *L) {
  tm_guest *g = guest_of(L);
  tm_call_kind kind = kind_argument(L, 1);
  const char *name = luaL_checkstring(L, 2);
  char where[256];
  if (!g->current || (L != g->co && kind != TM_CALL_LOG))
    must_be_able_to_wait(L, kind);
  must_be_allowed(L, kind);
  tm_arena_reset(&g->scratch);
  const tm_json *request = argument(L, 3);
  tm_args_caller(L, where, sizeof where);
  tm_err_clear(&g->err);
  const tm_json *v = tm_perform_note(
      g->current, kind, name, request ? request : tm_json_null(&g->scratch), where, &g->err);
  if (!v) {
    g->diverged = true;
    tm_vm_stop(g->vm, TM_DIVERGED, g->err.msg);
    return luaL_error(L, "%s", g->err.msg);
  }
  tm_value_push(L, v);
  return 1;
}

/* Raise {kind="db", code, message}. */
static int fail_query(lua_State *L, const tm_err *err) {
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "db");
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, err->code == TM_CONFLICT ? "constraint" : tm_err_word(err->code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, err->msg);
  lua_setfield(L, -2, "message");
  luaL_setmetatable(L, TM_ARGS_ERROR);
  return lua_error(L);
}

/* query(statement, values) -> rows, changes: inside a db action's body, at once */
static int l_query(lua_State *L) {
  tm_guest *g = guest_of(L);
  tm_query q = {.text = luaL_checklstring(L, 1, &q.len)};
  tm_rows out;
  tm_err err = TM_ERR_INIT;
  if (!g->current)
    return tm_args_fail(L, "usage", "a statement cannot be run while the file loads");
  tm_arena_reset(&g->scratch);
  q.values = argument(L, 2);
  if (tm_perform_query(g->current, &q, &g->scratch, &out, &err) < 0)
    return fail_query(L, &err);
  tm_vm_charge(L, g->scratch.used / 16);
  tm_value_push(L, out.rows);
  lua_pushinteger(L, out.changes);
  return 2;
}

/* setting(name) -> text or null: read while the file loads, it is kept with the run; nothing
 * when the file did not read it then (the caller asks by a note) */
static int l_setting(lua_State *L) {
  tm_guest *g = guest_of(L);
  const char *name = luaL_checkstring(L, 1);
  const tm_json *v =
      g->current ? tm_json_get(run_of(L)->settings, name) : tm_run_setting(run_of(L), name);
  if (!v)
    return 0;
  tm_value_push(L, v);
  return 1;
}

/* fork(functions, max, race): runs them as branches; returns when all have, in a race when the
 * first has; raises the first error */
static int l_fork(lua_State *L) {
  tm_guest *g = guest_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1), max = luaL_optinteger(L, 2, n);
  must_be_able_to_wait(L, TM_CALL_FORK);
  must_be_allowed(L, TM_CALL_FORK);
  tm_thread *t = g->current->slot;
  luaL_unref(L, LUA_REGISTRYINDEX, t->functions);
  lua_pushvalue(L, 1);
  t->functions = luaL_ref(L, LUA_REGISTRYINDEX);
  tm_arena_reset(&g->scratch);
  tm_json *request = tm_json_new_object(&g->scratch);
  tm_json_set_int(&g->scratch, request, "n", n);
  tm_json_set_int(&g->scratch, request, "max", max);
  if (lua_toboolean(L, 3))
    tm_json_set_bool(&g->scratch, request, "race", true);
  return perform(L, TM_CALL_FORK, "fork", request, NULL);
}

/* step(name) -> the name before: the station that calls belong to, for people */
static int l_step(lua_State *L) {
  tm_guest *g = guest_of(L);
  const char *name = luaL_optstring(L, 1, "");
  if (!g->current || L != g->co)
    return 0;
  lua_pushstring(L, g->current->step);
  tm_perform_step(g->current, name);
  return 1;
}

/* cancelled(): was the run asked to stop, as far as the journal has told? */
static int l_cancelled(lua_State *L) {
  lua_pushboolean(L, run_of(L)->cancelling);
  return 1;
}

/* unwinding(): what comes from now on cleans up, and is done in a cancelled run too */
static int l_unwinding(lua_State *L) {
  run_of(L)->unwinding = true;
  return 0;
}

/* events({NAME: schema}): what the workflow declares to hear; while the file loads */
static int l_events(lua_State *L) {
  tm_guest *g = guest_of(L);
  tm_arena_reset(&g->scratch);
  const tm_json *v = argument(L, 1);
  tm_run *run = run_of(L);
  if (!run->events && tm_json_type_of(v) == TM_JSON_OBJECT)
    run->events = tm_json_copy(&run->arena, v);
  return 0;
}

/* -- contracts: pure ------------------------------------------------------------------- */

static const tm_contract *contract_at(lua_State *L, int index) {
  return *(const tm_contract **)luaL_checkudata(L, index, SCHEMA_TYPE);
}

/* schema(name, Picoschema text or table) -> schema */
static int l_schema(lua_State *L) {
  tm_guest *g = guest_of(L);
  const tm_contract *c = NULL;
  tm_err err = TM_ERR_INIT;
  if (luaL_testudata(L, 1, SCHEMA_TYPE)) {
    lua_settop(L, 1);
    return 1;
  }
  const tm_contract **box = lua_newuserdatauv(L, sizeof *box, 0);
  luaL_setmetatable(L, SCHEMA_TYPE);
  int rc = -1;
  if (lua_type(L, 1) == LUA_TSTRING)
    rc = tm_program_text(&c, g->program, lua_tostring(L, 1), &err);
  else if (lua_istable(L, 1))
    rc = tm_program_inline(&c, g->program, argument(L, 1), &err);
  else
    return tm_args_wrong(L, 1, "a schema", "name, a Picoschema text or a table");
  if (rc < 0)
    return tm_args_fail(L, "usage", err.msg);
  *box = c;
  return 1;
}

/* check(value, schema) -> true | false, errors */
static int l_check(lua_State *L) {
  tm_guest *g = guest_of(L);
  const tm_contract *c = contract_at(L, 2);
  tm_err err = TM_ERR_INIT;
  tm_arena_reset(&g->scratch);
  const tm_json *v = argument(L, 1);
  tm_schema_report report = {.arena = &g->scratch};
  int rc = tm_schema_check(c->schema, v ? v : tm_json_null(&g->scratch), &report, &err);
  if (rc < 0)
    return tm_args_fail(L, "usage", err.msg);
  lua_pushboolean(L, rc == 0);
  if (rc == 0)
    return 1;
  tm_value_push(L, tm_schema_report_json(&g->scratch, &report));
  return 2;
}

/* fill(value, schema) -> the value with what is absent from `default` */
static int l_fill(lua_State *L) {
  tm_guest *g = guest_of(L);
  const tm_contract *c = contract_at(L, 2);
  tm_arena_reset(&g->scratch);
  const tm_json *v = argument(L, 1);
  tm_value_push(L, tm_schema_fill(&g->scratch, c->schema, v ? v : tm_json_null(&g->scratch)));
  return 1;
}

/* document(schema) -> the JSON Schema as a table */
static int l_document(lua_State *L) {
  tm_value_push(L, contract_at(L, 1)->document);
  return 1;
}

/* -- JSON, durations ------------------------------------------------------------------- */

static int l_encode(lua_State *L) {
  tm_guest *g = guest_of(L);
  size_t len;
  tm_arena_reset(&g->scratch);
  const tm_json *v = argument(L, 1);
  const char *text = tm_json_text(&g->scratch, v ? v : tm_json_null(&g->scratch), &len);
  lua_pushlstring(L, text, len);
  return 1;
}

/* hash(value) -> hex SHA-256 of its canonical form */
static int l_hash(lua_State *L) {
  tm_guest *g = guest_of(L);
  tm_arena_reset(&g->scratch);
  const tm_json *v = argument(L, 1);
  lua_pushstring(L, tm_json_hash(v ? v : tm_json_null(&g->scratch)).hex);
  return 1;
}

/* decode(text) -> value | nil, message */
static int l_decode(lua_State *L) {
  tm_guest *g = guest_of(L);
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  tm_json *v;
  tm_err err = TM_ERR_INIT;
  tm_arena_reset(&g->scratch);
  if (tm_json_parse(&v, &g->scratch, text, len, NULL, &err) < 0) {
    lua_pushnil(L);
    lua_pushstring(L, err.msg);
    return 2;
  }
  tm_value_push(L, v);
  return 1;
}

/* array(table) -> the table, marked as an array also when it is empty */
static int l_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  tm_value_mark_array(L);
  return 1;
}

/* -- models ---------------------------------------------------------------------------- */

/* llm(unit, vars, opts, budget) -> value, meta */
static int l_llm(lua_State *L) {
  tm_guest *g = guest_of(L);
  const char *name = luaL_checkstring(L, 1), *hash;
  const tm_prompt *unit;
  tm_json *live_request;
  tm_err err = TM_ERR_INIT;
  tm_arena *a = &g->scratch;
  must_be_able_to_wait(L, TM_CALL_LLM);
  must_be_allowed(L, TM_CALL_LLM);
  tm_arena_reset(a);
  const tm_json *vars = argument(L, 2), *opts = argument(L, 3);
  if (!vars)
    vars = tm_json_new_object(a);
  if (tm_program_unit(&unit, &hash, g->program, name, &err) < 0 ||
      tm_request_build(&live_request, a, tm_program_closure(g->program), unit, vars, opts,
                       &err) < 0)
    return tm_args_fail(L, err.code == TM_CONFIG ? "config" : "usage", err.msg);
  tm_json *request = tm_json_new_object(a), *live = tm_json_new_object(a);
  tm_json_set_str(a, request, "prompt", hash);
  tm_json_set(a, request, "model", tm_json_get(live_request, "model"));
  tm_json_set(a, request, "vars", vars);
  if (opts)
    tm_json_set(a, request, "opts", opts);
  tm_json_set(a, live, "request", live_request);
  const tm_json *budget = argument(L, 4);
  if (budget)
    tm_json_set(a, live, "budget", budget);
  run_of(L)->llm_calls++;
  return perform(L, TM_CALL_LLM, name, request, live);
}

/* unit(name) -> {tools, toolDefs, confidence, output} | nothing, when it says nothing of the first
 * three (or cannot be read, which llm() tells) */
static int l_unit(lua_State *L) {
  tm_guest *g = guest_of(L);
  const char *hash, *const keys[] = {"tools", "toolDefs", "tidemill.confidence"};
  const tm_prompt *unit;
  tm_err err = TM_ERR_INIT;
  if (tm_program_unit(&unit, &hash, g->program, luaL_checkstring(L, 1), &err) < 0)
    return 0;
  tm_arena_reset(&g->scratch);
  tm_json *out = tm_json_new_object(&g->scratch);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const tm_json *v = tm_json_get(unit->meta, keys[i]);
    if (v)
      tm_json_set(&g->scratch, out, i < 2 ? keys[i] : "confidence", v);
  }
  if (!tm_json_len(out))
    return 0;
  if (unit->output_schema)
    tm_json_set(&g->scratch, out, "output", unit->output_schema);
  tm_value_push(L, out);
  return 1;
}

/* spent() -> USD of the model calls that this branch, and the branches it forked, were told of */
static int l_spent(lua_State *L) {
  tm_guest *g = guest_of(L);
  lua_pushnumber(L, g->current ? g->current->usd : 0);
  return 1;
}

/* model(unit) -> the model that is set for it, on the command line or in tidemill.yaml; nil */
static int l_model(lua_State *L) {
  const tm_json *models = tm_program_closure(guest_of(L)->program)->models;
  const char *unit = luaL_checkstring(L, 1);
  const char *own = tm_json_get_str(models, unit);
  lua_pushfstring(L, "?%s", unit);
  lua_pushstring(L, own ? own : tm_json_get_str(models, lua_tostring(L, -1)));
  return 1;
}

/* cassette(unit) -> "cassette/FILE", when one is set for it or for all units; nil */
static int l_cassette(lua_State *L) {
  const tm_closure *c = tm_program_closure(guest_of(L)->program);
  const char *model = tm_closure_model(c, luaL_checkstring(L, 1));
  lua_pushstring(L, tm_request_is_cassette(model) ? model : NULL);
  return 1;
}

/* -- the table ------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"array", l_array},
    {"cancelled", l_cancelled},
    {"cassette", l_cassette},
    {"check", l_check},
    {"decode", l_decode},
    {"document", l_document},
    {"encode", l_encode},
    {"events", l_events},
    {"fill", l_fill},
    {"fork", l_fork},
    {"hash", l_hash},
    {"llm", l_llm},
    {"model", l_model},
    {"note", l_note},
    {"perform", l_perform},
    {"query", l_query},
    {"schema", l_schema},
    {"setting", l_setting},
    {"spent", l_spent},
    {"step", l_step},
    {"unit", l_unit},
    {"unwinding", l_unwinding},
    {NULL, NULL},
};

/* core.NAME for the first time: most runs use few of them. */
static int l_find(lua_State *L) {
  const luaL_Reg *const lists[] = {functions, tm_args_functions, tm_modules_functions};
  const char *name = luaL_checkstring(L, 2);
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    for (const luaL_Reg *f = lists[i]; f->name; f++)
      if (strcmp(f->name, name) == 0) {
        lua_pushvalue(L, 2);
        lua_pushcfunction(L, f->func);
        lua_rawset(L, 1);
        lua_pushcfunction(L, f->func);
        return 1;
      }
  return 0;
}

int tm_bind_open(lua_State *L) {
  luaL_newmetatable(L, SCHEMA_TYPE);
  lua_pop(L, 1);
  if (luaL_newmetatable(L, TM_ARGS_ERROR)) {
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_pop(L, 1);
  lua_createtable(L, 0, 16);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_find);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  luaL_getmetatable(L, TM_ARGS_ERROR);
  lua_setfield(L, -2, "error_mt");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}
