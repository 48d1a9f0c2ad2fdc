/* request.c - a unit and its variables become the common model request (llm/llm.h).
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "script/guest.h"
#include "text/checks.h"

bool tm_request_is_cassette(const char *model) {
  return model && strncmp(model, "cassette/", 9) == 0;
}

const char *tm_request_model(const tm_closure *c, const tm_prompt *unit, const tm_json *opts) {
  char key[256];
  snprintf(key, sizeof key, "?%s", unit->name);
  const char *set = tm_closure_model(c, unit->name);
  const char *const choices[] = {tm_request_is_cassette(set) ? set : NULL,
                                 tm_json_get_str(opts, "model"),
                                 set,
                                 tm_json_get_str(c->models, key),
                                 unit->model,
                                 tm_json_get_str(c->models, "?")};
  for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
    if (choices[i])
      return choices[i];
  return NULL;
}

static void copy_members(tm_arena *a, tm_json *to, const tm_json *from) {
  for (size_t i = 0; i < tm_json_len(from); i++) {
    const tm_json_member *m = tm_json_member_at(from, i);
    tm_json_set(a, to, m->key, &m->value);
  }
}

/* The unit's seed and configuration, and over them what the script sets for this call. */
static tm_json *config_of(tm_arena *a, const tm_prompt *unit, const tm_json *opts) {
  static const char *const ours[] = {"model",   "checks",   "tools", "tool_choice",
                                     "history", "messages", "cache"};
  tm_json *config = tm_json_new_object(a);
  const tm_json *seed = tm_json_get(unit->settings, "seed");
  if (seed)
    tm_json_set(a, config, "seed", seed);
  copy_members(a, config, unit->config);
  copy_members(a, config, opts);
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    tm_json_remove(config, ours[i]);
  return config;
}

/* A set of checks is an object or a list of objects. */
static void add_checks(tm_arena *a, tm_json *to, const tm_json *checks) {
  bool list = checks && tm_json_type_of(checks) == TM_JSON_ARRAY;
  for (size_t i = 0; list && i < tm_json_len(checks); i++)
    tm_json_push(a, to, tm_json_at(checks, i));
  if (checks && !list)
    tm_json_push(a, to, checks);
}

/* The checks of this call, behind those of the unit. */
static int put_checks(tm_json *request, tm_arena *a, const tm_prompt *unit, const tm_json *opts,
                      tm_err *err) {
  const tm_json *own = tm_json_get(unit->settings, "checks");
  const tm_json *more = tm_json_get(opts, "checks");
  tm_json *all = tm_json_new_array(a);
  tm_checks *checks;
  if (!more)
    return 0;
  if (tm_checks_compile(&checks, a, more, err) < 0)
    return tm_err_wrap(err, "mill.llm(\"%s\")", unit->name);
  add_checks(a, all, own);
  add_checks(a, all, more);
  tm_json_set(a, request, "checks", all);
  return 0;
}

/* {idle: "30s"} as {idle_ms: 30000}; the unit's reader has seen that they are durations. */
static tm_json *in_ms(tm_arena *a, const tm_json *timeouts) {
  tm_json *out = tm_json_new_object(a);
  for (size_t i = 0; i < tm_json_len(timeouts); i++) {
    const tm_json_member *m = tm_json_member_at(timeouts, i);
    size_t len = 0;
    const char *text = tm_json_str(&m->value, &len);
    int64_t ms = text ? tm_clock_duration(text, len) : tm_json_int(&m->value, 0);
    tm_json_set_int(a, out, tm_arena_printf(a, "%s_ms", m->key), ms);
  }
  return out;
}

static int put_tools(tm_json *request, tm_arena *a, const tm_prompt *unit, const tm_json *opts,
                     tm_err *err) {
  const tm_json *tools = tm_json_get(opts, "tools"), *choice = tm_json_get(opts, "tool_choice");
  if (choice && !tm_json_len(tools))
    return tm_err_set(err, TM_USAGE, "mill.llm(\"%s\"): tool_choice, and there are no tools",
                      unit->name);
  if (choice)
    tm_json_set(a, request, "tool_choice", choice);
  if (tm_json_len(tools))
    tm_json_set(a, request, "tools", tools);
  return 0;
}

/* What the unit renders, and the conversation that the script puts around it. */
static int render(tm_json **out, tm_arena *a, const tm_prompt *unit, const tm_json *vars,
                  const tm_json *opts, tm_err *err) {
  const tm_json *history = tm_json_get(opts, "history"), *more = tm_json_get(opts, "messages");
  if (tm_messages_check(history, "history", err) < 0 ||
      tm_messages_check(more, "messages", err) < 0)
    return tm_err_wrap(err, "mill.llm(\"%s\")", unit->name);
  if (tm_prompt_render(out, a, unit, vars, NULL, tm_json_len(history) ? history : NULL, err) <
      0)
    return -1;
  tm_messages_append(a, *out, more);
  return 0;
}

/* How answers are reused, unless this call wants one of its own. The embedding model is that of
 * the unit "embed", if one is set for it; a cassette plays its vectors, too. */
static void put_cache(tm_json *request, tm_arena *a, const tm_closure *c, const tm_prompt *unit,
                      const tm_json *opts, const char *model) {
  const tm_json *given = tm_json_get(unit->settings, "cache");
  const char *embed = tm_json_get_str(c->models, "embed");
  tm_json_remove(request, "cache");
  if (!given || !tm_json_bool(tm_json_get(opts, "cache"), true))
    return;
  tm_json *own = tm_json_copy(a, given);
  if (embed && tm_json_get(given, "embed"))
    tm_json_set_str(a, own, "embed", embed);
  if (tm_json_get(given, "embed") && tm_request_is_cassette(model))
    tm_json_set_str(a, own, "played_by", model);
  tm_json_set(a, request, "cache", own);
}

/* A cassette has the answers of all rungs, in the order in which they came: asking another model
 * would ask for its key. */
static void stay_with_cassette(tm_json *request, tm_arena *a, const char *model) {
  const tm_json *tries = tm_json_get(request, "tries");
  tm_json *own = tm_json_new_array(a);
  if (!tm_request_is_cassette(model))
    return;
  for (size_t i = 0; i < tm_json_len(tries); i++) {
    tm_json *rung = tm_json_copy(a, tm_json_at(tries, i));
    tm_json_remove(rung, "model");
    tm_json_push(a, own, rung);
  }
  if (tries)
    tm_json_set(a, request, "tries", own);
  tm_json_remove(request, "fallback");
}

int tm_request_build(tm_json **out, tm_arena *a, const tm_closure *c, const tm_prompt *unit,
                     const tm_json *vars, const tm_json *opts, tm_err *err) {
  tm_json *messages;
  const char *model = tm_request_model(c, unit, opts);
  if (render(&messages, a, unit, vars, opts, err) < 0)
    return -1;
  if (!model)
    return tm_err_set(
        err, TM_CONFIG,
        "no model is configured for unit \"%s\": pass --model PROVIDER/MODEL, or "
        "name one in tidemill.yaml or the unit's front matter (scripted/demo answers "
        "offline)",
        unit->name);
  tm_json *r = tm_json_new_object(a);
  copy_members(a, r, unit->settings);
  const tm_json *timeouts = tm_json_get(unit->settings, "timeouts");
  if (timeouts)
    tm_json_set(a, r, "timeouts", in_ms(a, timeouts));
  if (tm_json_get(unit->settings, "timeout"))
    tm_json_set(a, r, "timeout_ms", tm_json_get(unit->settings, "timeout"));
  tm_json_set_str(a, r, "unit", unit->name);
  tm_json_set_str(a, r, "model", model);
  tm_json_set(a, r, "vars", vars);
  tm_json_set(a, r, "messages", messages);
  tm_json_set(a, r, "config", config_of(a, unit, opts));
  if (put_tools(r, a, unit, opts, err) < 0)
    return -1;
  if (unit->output_schema)
    tm_json_set(a, r, "schema", unit->output_schema);
  tm_json_set_str(a, r, "schema_name", unit->name);
  put_cache(r, a, c, unit, opts, model);
  stay_with_cassette(r, a, model);
  *out = r;
  return put_checks(r, a, unit, opts, err);
}
