/* api_prompt_run.c - one call of one unit, without a workflow, a run or a journal.
 *
 * The request is built as mill.llm builds it and asked by the same machine: schema, checks,
 * retries, repair and ladder are those of a run. Nothing is kept, so nothing counts in `usage`.
 *
 * Of tools those are offered that the unit describes itself (toolDefs): a name in `tools` is an action
 * or step of some workflow. What the model asks for is told, and not done.
 */
#include <string.h>

#include "face/api.h"

typedef struct asking {
  tm_arena *arena;
  tm_json *attempts, *out;
  bool done;
  tidemill *t;
} asking;

static void on_attempt(void *ctx, const tm_json *attempt) {
  asking *x = ctx;
  tm_json_push(x->arena, x->attempts, tm_json_copy(x->arena, attempt));
}

static void on_done(void *ctx, const tm_json *value, const tm_json *meta,
                    const tm_json *error) {
  asking *x = ctx;
  tm_arena *a = x->arena;
  if (error)
    tm_json_set(a, x->out, "error", tm_json_copy(a, error));
  else
    tm_json_set(a, x->out, "value", value ? tm_json_copy(a, value) : tm_json_null(a));
  if (meta)
    tm_json_set(a, x->out, "meta", tm_json_copy(a, meta));
  tm_json_set(a, x->out, "attempts", x->attempts);
  x->done = true;
}

/* Nobody is there to ask once more: what is put off in a run ends here. */
static void on_later(void *ctx, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                     const tm_json *error) {
  (void)state;
  asking *x = ctx;
  tm_arena *a = x->arena;
  const char *message = tm_json_get_str(error, "message");
  tm_json *e = tm_json_copy(a, error);
  tm_json_set_str(a, e, "message",
                  tm_arena_printf(a, "%s; ask again in %lld s", message ? message : "?",
                                  (long long)(wait_ms + 999) / 1000));
  on_done(ctx, NULL, meta, e);
}

static void on_waiting(void *ctx, const tm_json *why) {
  asking *x = ctx;
  tm_json *event = tm_json_new_object(x->arena);
  tm_json_set_str(x->arena, event, "event", "call.waiting");
  tm_json_set(x->arena, event, "name", tm_json_get(x->out, "unit"));
  tm_json_set(x->arena, event, "waiting", tm_json_copy(x->arena, why));
  tm_api_say(x->t, event);
}

/* -- tools ----------------------------------------------------------------------------- */

static tm_json *offered(tm_arena *a, tm_program *p, const char *unit, const tm_json *def,
                        tm_err *err) {
  const tm_json *input = tm_json_get(def, "inputSchema");
  const char *name = tm_json_get_str(def, "name"), *text = tm_json_str(input, NULL);
  const tm_contract *contract;
  if (!input || !tm_json_get_str(def, "description")) {
    tm_err_set(err, TM_USAGE,
               "prompts/%s.prompt: toolDefs: %s needs a description and an inputSchema to be "
               "offered",
               unit, name);
    return NULL;
  }
  if ((text ? tm_program_text(&contract, p, text, err)
            : tm_program_inline(&contract, p, input, err)) < 0) {
    tm_err_wrap(err, "prompts/%s.prompt: toolDefs: the inputSchema of %s", unit, name);
    return NULL;
  }
  tm_json *tool = tm_json_new_object(a);
  tm_json_set_str(a, tool, "name", name);
  tm_json_set(a, tool, "description", tm_json_get(def, "description"));
  tm_json_set(a, tool, "schema", contract->document);
  return tool;
}

static bool is_among(const tm_json *defs, const char *name) {
  for (size_t i = 0; i < tm_json_len(defs); i++)
    if (strcmp(tm_json_get_str(tm_json_at(defs, i), "name"), name) == 0)
      return true;
  return false;
}

/* {tools} for the request; the names of those that cannot be offered go to `out`. */
static int read_tools(tm_json **opts, tm_json *out, tm_arena *a, tm_program *p,
                      const tm_prompt *unit, tm_err *err) {
  const tm_json *names = tm_json_get(unit->meta, "tools");
  const tm_json *defs = tm_json_get(unit->meta, "toolDefs");
  tm_json *tools = tm_json_new_array(a), *unknown = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(defs); i++) {
    const tm_json *tool = offered(a, p, unit->name, tm_json_at(defs, i), err);
    if (!tool)
      return -1;
    tm_json_push(a, tools, tool);
  }
  for (size_t i = 0; i < tm_json_len(names); i++)
    if (!is_among(defs, tm_json_str(tm_json_at(names, i), NULL)))
      tm_json_push(a, unknown, tm_json_at(names, i));
  if (tm_json_len(unknown))
    tm_json_set(a, out, "not_offered", unknown);
  *opts = tm_json_new_object(a);
  tm_json_set(a, *opts, "tools", tools);
  return 0;
}

int tm_api_prompt_run(tm_json **out, tm_arena *a, tidemill *t, tm_closure *c, const char *name,
                      const tm_json *vars, tm_err *err) {
  const tm_prompt *unit;
  const char *hash;
  tm_json *request, *opts;
  tm_program *p = tm_program_of(c);
  tm_llm *llm;
  tm_llm_ask *ask;
  asking x = {
      .arena = a, .attempts = tm_json_new_array(a), .out = tm_json_new_object(a), .t = t};
  tm_llm_events ev = {.attempt = on_attempt,
                      .waiting = on_waiting,
                      .done = on_done,
                      .later = on_later,
                      .ctx = &x};
  tm_json_set_str(a, x.out, "schema", "tidemill.promptrun/1");
  tm_json_set_str(a, x.out, "unit", name);
  if (!tm_closure_file(c, tm_arena_printf(a, "prompts/%s.prompt", name)))
    return tm_err_set(err, TM_NOTFOUND,
                      "there is no prompt unit \"%s\": prompts/%s.prompt does not exist", name,
                      name);
  if (tm_program_unit(&unit, &hash, p, name, err) < 0 ||
      read_tools(&opts, x.out, a, p, unit, err) < 0 ||
      tm_request_build(&request, a, c, unit, vars, opts, err) < 0 ||
      tm_world_llm(t, &llm, err) < 0)
    return -1;
  tm_json_set_str(a, x.out, "hash", hash);
  tm_json_set(a, x.out, "model", tm_json_get(request, "model"));
  if (tm_llm_start(&ask, llm, request, &ev, err) < 0)
    return -1;
  while (!x.done)
    tm_loop_turn(t->loop, -1);
  *out = x.out;
  return 0;
}
