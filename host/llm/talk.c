/* talk.c - the conversation of an ask: is what came back an answer, and what is said if not. */
#include <string.h>

#include "llm/answer.h"
#include "llm/ask.h"

#define ADVICE_MAX 20

/* -- what is said next ----------------------------------------------------------------- */

static void add_message(tm_llm_ask *ask, const char *role, const char *text, size_t len) {
  tm_arena *a = &ask->arena;
  tm_json *message = tm_json_new_object(a), *parts = tm_json_new_array(a);
  tm_json *part = tm_json_new_object(a);
  tm_json_set(a, part, "text", tm_json_new_strn(a, text, len));
  tm_json_push(a, parts, part);
  tm_json_set_str(a, message, "role", role);
  tm_json_set(a, message, "content", parts);
  if (!ask->messages)
    ask->messages = tm_json_copy(a, ask->question.messages);
  tm_json_push(a, ask->messages, message);
  ask->question.messages = ask->messages;
}

/* What the model said last; nothing is not repeated, because providers refuse an empty turn. */
static void add_own_answer(tm_llm_ask *ask) {
  if (ask->answer.text_len)
    add_message(ask, "model", ask->answer.text, ask->answer.text_len);
}

void tm_ask_for_repair(tm_llm_ask *ask, const tm_outcome *o) {
  tm_buf text = TM_BUF_INIT;
  tm_buf_puts(&text, "Your last answer cannot be used:\n");
  for (size_t i = 0; i < o->report.count; i++)
    tm_buf_printf(&text, "- %s\n", o->report.errors[i].advice);
  if (!o->report.count)
    tm_buf_printf(&text, "- %s\n", o->message);
  if (ask->answer.tool_calls)
    tm_buf_puts(&text, "Answer again, with the tool calls corrected.");
  else
    tm_buf_printf(&text, "Write the whole answer again, corrected,%s and nothing else.",
                  ask->shape ? " as one JSON value" : "");
  add_own_answer(ask);
  add_message(ask, "user", tm_buf_str(&text), text.len);
  tm_buf_free(&text);
  ask->round++;
  ask->rounds++;
  ask->tries = 0;
}

void tm_ask_for_extract(tm_llm_ask *ask) {
  static const char wish[] = "Now give the result of the above as one JSON value that fits the "
                             "required schema, and nothing else.";
  add_own_answer(ask);
  add_message(ask, "user", wish, sizeof wish - 1);
  ask->reasoning = false;
  ask->tries = 0;
}

void tm_ask_anew(tm_llm_ask *ask) {
  ask->messages = NULL;
  ask->round = ask->tries = 0;
  ask->reasoning = ask->two_phases;
}

/* -- judging --------------------------------------------------------------------------- */

static void too_large(tm_outcome *o) {
  o->class = TM_LLM_SERVER;
  o->message = "the answer is too large to be taken in";
}

/* A strict dialect may have wanted an object around it; servers that do not care leave it out.
 */
static tm_json *unwrap(const tm_llm_ask *ask, tm_json *value) {
  bool is = ask->wire.wrapped && tm_json_type_of(value) == TM_JSON_OBJECT &&
            tm_json_len(value) == 1 && tm_json_get(value, "value");
  return is ? (tm_json *)tm_json_get(value, "value") : value;
}

/* What holding a value to something came to: 0, 1 or -1, as tm_schema_check answers. */
static void judged(tm_llm_ask *ask, tm_outcome *o, int rc, const char *what,
                   const tm_err *err) {
  tm_arena *work = &ask->llm->work;
  if (rc == 0)
    return;
  o->class = TM_LLM_BAD_OUTPUT;
  o->message = rc < 0 || !o->report.count
                   ? tm_arena_strdup(work, err->msg)
                   : tm_arena_printf(work, "%s: %s%s", what, o->report.errors[0].message,
                                     o->report.count > 1 ? " (and more)" : "");
}

/* Holds a value to a schema; `what` begins the message. */
static void hold(tm_llm_ask *ask, tm_outcome *o, tm_json *value, const tm_schema *schema,
                 const char *what) {
  tm_err err = TM_ERR_INIT;
  int rc = tm_answer_check(value, schema, &o->report, &err);
  judged(ask, o, rc, what, &err);
}

/* What stands in an answer of the right shape; the prose that it is extracted from is free. */
static void judge_content(tm_llm_ask *ask, tm_outcome *o) {
  tm_err err = TM_ERR_INIT;
  if (o->class != TM_LLM_NONE || !ask->checks || ask->reasoning || o->tool_calls)
    return;
  const tm_json *vars = tm_json_get(ask->request, "vars");
  int rc = tm_checks_run(ask->checks, o->value, vars, &o->report, &err);
  judged(ask, o, rc, "the answer fails a check", &err);
}

static void judge_text(tm_llm_ask *ask, tm_outcome *o) {
  tm_arena *work = &ask->llm->work;
  const tm_llm_answer *answer = &ask->answer;
  tm_err err = TM_ERR_INIT;
  if (!answer->text) {
    too_large(o);
  } else if (!ask->question.shape || o->tool_calls) {
    o->value = tm_json_new_strn(work, answer->text, answer->text_len);
    if (!o->value)
      too_large(o);
  } else if (tm_answer_json(&o->value, work, answer->text, answer->text_len, &err) < 0) {
    o->class = TM_LLM_BAD_OUTPUT;
    o->message = tm_arena_strdup(work, err.msg);
  } else {
    o->value = unwrap(ask, o->value);
    hold(ask, o, o->value, ask->shape->schema, "the answer does not fit the schema");
  }
}

/* -- tool calls ------------------------------------------------------------------------ */

static const tm_llm_tool *tool_named(const tm_llm_ask *ask, const char *name) {
  for (size_t i = 0; i < ask->tool_count; i++)
    if (strcmp(ask->tools[i].name, name) == 0)
      return &ask->tools[i];
  return NULL;
}

/* Arguments that are nothing stand for none. */
static tm_json *arguments_of(tm_llm_ask *ask, tm_outcome *o, const tm_json *call,
                             const char *name) {
  tm_arena *work = &ask->llm->work;
  tm_err err = TM_ERR_INIT;
  size_t len = 0;
  const char *text = tm_json_str(tm_json_get(call, "arguments"), &len);
  tm_json *out = NULL;
  if (!len)
    return tm_json_new_object(work);
  if (tm_json_parse(&out, work, text, len, NULL, &err) == 0)
    return out;
  o->class = TM_LLM_BAD_OUTPUT;
  o->message =
      tm_arena_printf(work, "the arguments of the tool %s are no JSON: %.300s", name, err.msg);
  return NULL;
}

static void judge_calls(tm_llm_ask *ask, tm_outcome *o) {
  tm_arena *work = &ask->llm->work;
  const tm_json *calls = ask->answer.tool_calls;
  tm_json *list = tm_json_new_array(work);
  for (size_t i = 0; i < tm_json_len(calls) && o->class == TM_LLM_NONE; i++) {
    tm_json *call = tm_json_copy(work, tm_json_at(calls, i));
    const char *name = tm_json_get_str(call, "name");
    const tm_llm_tool *tool = name ? tool_named(ask, name) : NULL;
    if (!tool) {
      o->class = TM_LLM_BAD_OUTPUT;
      o->message = tm_arena_printf(work, "there is no tool called \"%.60s\"", name ? name : "");
      return;
    }
    tm_json *arguments = arguments_of(ask, o, call, name);
    if (arguments)
      hold(ask, o, arguments, tool->shape->schema,
           tm_arena_printf(work, "the arguments of the tool %s do not fit their schema", name));
    tm_json_set(work, call, "arguments", arguments);
    tm_json_push(work, list, call);
  }
  o->tool_calls = list;
}

/* -- embeddings ------------------------------------------------------------------------ */

static bool is_vector(const tm_json *v) {
  for (size_t i = 0; i < tm_json_len(v); i++) {
    tm_json_type type = tm_json_type_of(tm_json_at(v, i));
    if (type != TM_JSON_INT && type != TM_JSON_DOUBLE)
      return false;
  }
  return v && tm_json_type_of(v) == TM_JSON_ARRAY && tm_json_len(v);
}

/* One vector for each text. A function answers with them as JSON text. */
static void judge_vectors(tm_llm_ask *ask, tm_outcome *o) {
  tm_arena *work = &ask->llm->work;
  const tm_llm_answer *answer = &ask->answer;
  const tm_json *list = answer->vectors;
  tm_json *parsed;
  tm_err err = TM_ERR_INIT;
  if (!list && answer->text &&
      tm_json_parse(&parsed, work, answer->text, answer->text_len, NULL, &err) == 0)
    list = parsed;
  size_t want = tm_json_len(ask->question.input), count = tm_json_len(list);
  bool good = count == want;
  for (size_t i = 0; i < count && good; i++)
    good = is_vector(tm_json_at(list, i));
  if (good) {
    o->value = tm_json_copy(work, list);
    return;
  }
  o->class = TM_LLM_SERVER;
  o->message =
      tm_arena_printf(work, "%zu texts were to be embedded, and %zu vectors came", want, count);
}

void tm_ask_judge(tm_llm_ask *ask, tm_outcome *o) {
  if (ask->question.input) {
    judge_vectors(ask, o);
    return;
  }
  o->report = (tm_schema_report){.arena = &ask->llm->work, .max = ADVICE_MAX};
  if (ask->answer.tool_calls)
    judge_calls(ask, o);
  if (o->class == TM_LLM_NONE)
    judge_text(ask, o);
  judge_content(ask, o);
  o->unsure = o->class == TM_LLM_NONE && !ask->reasoning && !o->tool_calls &&
              tm_ladder_unsure(ask->request, o->value);
}
