/* verb.c - the verbs inside an action's body: what is kept of them, and what they leave
 * unknown.
 */
#include <stdint.h>
#include <string.h>

#include "engine/engine.h"

/* Names of headers whose values never reach the journal. */
static bool is_secret(const char *name) {
  static const char *const words[] = {"authorization", "api-key", "api_key", "cookie",
                                      "token",         "secret",  "password"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasestr(name, words[i]))
      return true;
  return false;
}

static tm_json *masked(tm_arena *a, const tm_json *request) {
  tm_json *copy = tm_json_copy(a, request);
  const tm_json *headers = tm_json_get(copy, "headers");
  for (size_t i = 0; i < tm_json_len(headers); i++) {
    const tm_json_member *m = tm_json_member_at(headers, i);
    if (is_secret(m->key))
      tm_json_set_str(a, (tm_json *)(uintptr_t)headers, m->key, "***");
  }
  return copy;
}

static void record_verb(tm_branch *b, tm_call_kind kind, const tm_json *value,
                        const tm_json *error) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *o = tm_json_new_object(&a);
  tm_json_set(&a, o, "request", masked(&a, b->verb_request));
  if (error)
    tm_json_set(&a, o, "error", error);
  else if (value)
    tm_json_set(&a, o, "response", value);
  tm_exec_attempt(b, kind, o);
  tm_arena_free(&a);
}

/* Did the verb do something out there? A body that raises behind it has not simply failed. */
static bool wrote(const tm_branch *b, tm_call_kind kind, const tm_json *value) {
  const tm_json *request = b->verb_request;
  const char *what = tm_json_get_str(request, kind == TM_CALL_HTTP ? "method" : "op");
  if (kind == TM_CALL_EXEC)
    return tm_json_int(tm_json_get(value, "code"), -1) == 0;
  if (!what || kind == TM_CALL_FILE)
    return what && strcmp(what, "read") != 0;
  return strcmp(what, "GET") != 0 && tm_json_int(tm_json_get(value, "status"), 0) < 400;
}

void tm_verb_done(tm_branch *b, tm_call_kind kind, const tm_json *value, const tm_json *error) {
  if (b->dead || b->run->lost || b->run->ended)
    return;
  tm_arena *a = &b->verb_scratch;
  if (error && tm_json_bool(tm_json_get(error, "unknown"), false))
    b->action.unknown = true;
  if (kind == TM_CALL_HOST) {
    tm_json *outcome = tm_json_new_object(a);
    tm_json_set(a, outcome, error ? "error" : "ok", error ? error : value);
    tm_action_outcome(b, outcome);
    return;
  }
  record_verb(b, kind, value, error);
  if (!error && wrote(b, kind, value))
    b->action.wrote = true;
  if (error)
    tm_run_answer(b, TM_ANSWER_ERROR, tm_json_copy(a, error), NULL);
  else
    tm_run_answer(b, TM_ANSWER_VALUE, value ? tm_json_copy(a, value) : NULL, NULL);
}
