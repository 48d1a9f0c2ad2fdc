/* cli_prompt_run.c - `prompt run`: one unit asked once; its value on stdout, the rest on stderr. */
#include <stdio.h>
#include <string.h>

#include "face/cli.h"

static void put_tokens(tm_buf *b, const tm_json *usage, const char *key, const char *word) {
  int64_t n = tm_json_int(tm_json_get(usage, key), -1);
  if (n >= 0)
    tm_buf_printf(b, ", %lld tokens %s", (long long)n, word);
}

/* "openai/gpt-4.1 (answered by gpt-4.1-2025-04-14), 2 attempts, 120 tokens in, 30 tokens out …" */
static void tell_meta(tm_cli *c, const tm_json *meta) {
  const char *model = tm_json_get_str(meta, "model");
  const char *answered = tm_json_get_str(meta, "model_answered");
  const char *name = model ? strchr(model, '/') : NULL;
  const tm_json *usage = tm_json_get(meta, "usage"), *usd = tm_json_get(meta, "usd");
  int64_t attempts = tm_json_int(tm_json_get(meta, "attempts"), 0);
  tm_buf b = TM_BUF_INIT;
  tm_buf_printf(&b, "%s", model ? model : "?");
  if (answered && name && strcmp(answered, name + 1) != 0)
    tm_buf_printf(&b, " (answered by %s)", answered);
  tm_buf_printf(&b, ", %lld attempt%s", (long long)attempts, attempts == 1 ? "" : "s");
  put_tokens(&b, usage, "input", "in");
  put_tokens(&b, usage, "output", "out");
  if (tm_json_number(usd, -1) >= 0)
    tm_buf_printf(&b, ", %g USD", tm_json_number(usd, 0));
  tm_buf_puts(&b, ", ");
  tm_cli_text_duration(&b, tm_json_int(tm_json_get(meta, "latency_ms"), 0));
  tm_cli_note(c, "%s; kept in no journal", tm_buf_str(&b));
  tm_buf_free(&b);
}

/* What the model wants done: {tool_calls: [{name, arguments}], text?}; NULL: nothing. */
static tm_json *wish(tm_cli *c, const tm_json *answer) {
  tm_arena *a = &c->arena;
  const tm_json *calls = tm_json_get(tm_json_get(answer, "meta"), "tool_calls");
  const char *text = tm_json_get_str(answer, "value");
  tm_json *out = tm_json_new_object(a), *list = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(calls); i++) {
    tm_json *call = tm_json_new_object(a);
    tm_json_set(a, call, "name", tm_json_get(tm_json_at(calls, i), "name"));
    tm_json_set(a, call, "arguments", tm_json_get(tm_json_at(calls, i), "arguments"));
    tm_json_push(a, list, call);
  }
  tm_json_set(a, out, "tool_calls", list);
  if (text && *text)
    tm_json_set_str(a, out, "text", text);
  return tm_json_len(list) ? out : NULL;
}

static void tell_tools(tm_cli *c, const tm_json *answer) {
  const tm_json *unknown = tm_json_get(answer, "not_offered");
  size_t calls = tm_json_len(tm_json_get(tm_json_get(answer, "meta"), "tool_calls"));
  for (size_t i = 0; i < tm_json_len(unknown); i++)
    tm_cli_note(c,
                "%s was not offered: it is a workflow's, and the unit's toolDefs do not "
                "describe it",
                tm_json_str(tm_json_at(unknown, i), NULL));
  if (calls)
    tm_cli_note(c, "it asks for %zu call%s of tools; none was made", calls,
                calls == 1 ? "" : "s");
}

static int code_of(const tm_json *error) {
  const char *code = tm_json_get_str(error, "code");
  return !error ? 0 : code && strcmp(code, "config") == 0 ? 3 : 1;
}

static int tell_error(tm_cli *c, const tm_json *error) {
  const char *message = tm_json_get_str(error, "message");
  const char *class = tm_json_get_str(error, "class");
  return tm_cli_fail(c, code_of(error), "%s: %s", class ? class : "llm",
                     message ? message : "the call failed");
}

static void on_event(void *user, const char *text, size_t len) {
  tm_cli *c = user;
  tm_json *event;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&event, &c->arena, text, len, NULL, &err) < 0)
    return;
  const char *what = tm_json_get_str(tm_json_get(event, "waiting"), "for");
  if (what)
    tm_cli_note(c, "waiting for %s", what);
}

int tm_cli_prompt_run(tm_cli *c, const char *name, const char *input, size_t input_len) {
  char *text = NULL;
  size_t len = 0;
  if (!tm_cli_has(c, TM_FLAG_DB))
    c->value[TM_FLAG_DB] = "memory:"; /* nothing is kept: no database is made, or waited for */
  int code = tm_cli_open(c);
  if (code)
    return code;
  tidemill_on_event(c->engine, on_event, c);
  int rc = tidemill_prompt(c->engine, "run", name, input, input_len, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len), *error = tm_json_get(answer, "error");
  const tm_json *attempts = tm_json_get(answer, "attempts");
  bool raw = tm_cli_has(c, TM_FLAG_RAW);
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, answer, false);
    return code_of(error);
  }
  for (size_t i = 0; raw && i < tm_json_len(attempts); i++)
    tm_cli_print_attempt(c, tm_arena_printf(&c->arena, "attempt %zu: %s", i + 1, name),
                         tm_json_at(attempts, i));
  if (tm_json_len(attempts))
    tell_meta(c, tm_json_get(answer, "meta"));
  tell_tools(c, answer);
  if (error)
    return tell_error(c, error);
  const tm_json *wanted = wish(c, answer);
  if (!raw)
    tm_cli_print_value(c, wanted ? wanted : tm_json_get(answer, "value"), true);
  return 0;
}
