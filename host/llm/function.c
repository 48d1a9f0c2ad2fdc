/* function.c - a provider that is a function in this process: scripted rules, a test, the
 * embedder's own model.
 *
 * Its request is {unit, vars, config, messages, schema, tools} or {input}, without what
 * concerns only the wire. Its URL is "function:NAME". When it was offered tools, an answer
 * {"tool_calls": [{name, arguments, id?, opaque?}], "text"?} is a wish for them.
 */
#include <string.h>

#include "llm/provider.h"

typedef struct function {
  tm_provider base;
  tm_llm_fn fn;
  void *ctx;
  char name[]; /* base.name points here */
} function;

static tm_json *request_of(tm_arena *a, const tm_llm_question *q) {
  static const char *const kept[] = {"unit", "vars", "input", "tools", "tool_choice"};
  tm_json *out = tm_json_new_object(a);
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    const tm_json *v = tm_json_get(q->request, kept[i]);
    if (v)
      tm_json_set(a, out, kept[i], v);
  }
  if (q->config)
    tm_json_set(a, out, "config", q->config);
  if (q->messages)
    tm_json_set(a, out, "messages", q->messages);
  if (q->shape)
    tm_json_set(a, out, "schema", q->shape->doc);
  tm_json_set_str(a, out, "phase", q->phase ? q->phase : "answer");
  tm_json_set_int(a, out, "round", q->round);
  return out;
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  (void)s;
  *out = (tm_llm_wire){.method = "CALL"};
  out->url = tm_arena_printf(a, "function:%s", q->provider);
  return tm_llm_put_body(out, a, request_of(a, q), err);
}

/* -- tools ----------------------------------------------------------------------------- */

static bool is_wish(const tm_json *v) {
  const tm_json *calls = tm_json_get(v, "tool_calls");
  size_t known = 1 + (tm_json_get_str(v, "text") != NULL);
  return calls && tm_json_type_of(calls) == TM_JSON_ARRAY && tm_json_len(calls) &&
         tm_json_len(v) == known;
}

/* Arguments go as text, as they come from any other model. */
static tm_json *call_of(tm_arena *a, const tm_json *wish, size_t n) {
  tm_json *o = tm_json_new_object(a);
  const char *id = tm_json_get_str(wish, "id"), *name = tm_json_get_str(wish, "name");
  const tm_json *arguments = tm_json_get(wish, "arguments");
  const tm_json *opaque = tm_json_get(wish, "opaque");
  tm_json_set_str(a, o, "id", id ? id : tm_arena_printf(a, "call_%zu", n + 1));
  tm_json_set_str(a, o, "name", name ? name : "");
  tm_json_set(a, o, "arguments",
              arguments ? tm_llm_as_text(a, arguments) : tm_json_new_str(a, ""));
  if (opaque)
    tm_json_set(a, o, "opaque", opaque);
  return o;
}

void tm_function_read(tm_llm_answer *out, tm_arena *a, const tm_llm_question *q) {
  tm_json *v, *list;
  tm_err ignored = TM_ERR_INIT;
  if (!out->text || !q->tool_count ||
      tm_json_parse(&v, a, out->text, out->text_len, NULL, &ignored) < 0 || !is_wish(v))
    return;
  const tm_json *calls = tm_json_get(v, "tool_calls");
  list = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(calls); i++)
    tm_json_push(a, list, call_of(a, tm_json_at(calls, i), i));
  out->tool_calls = list;
  out->said = out->text;
  out->said_len = out->text_len;
  out->text = tm_json_str(tm_json_get(v, "text"), &out->text_len);
  if (!out->text) {
    out->text = "";
    out->text_len = 0;
  }
  out->finish = "tool_calls";
}

static void call(const tm_provider *p, tm_llm_answer *out, tm_arena *a,
                 const tm_llm_question *q) {
  const function *f = (const function *)(const void *)p;
  tm_err err = TM_ERR_INIT;
  tm_buf text;
  tm_buf_init(&text, (size_t)16 << 20);
  *out = (tm_llm_answer){.model = q->model, .finish = "stop"};
  int rc = f->fn(f->ctx, q->model, request_of(a, q), &text, &err);
  if (rc == 0 && (text.failed || tm_json_utf8_valid(tm_buf_str(&text), text.len) != text.len))
    rc = tm_err_set(&err, TM_FAILED, "the answer is %s",
                    text.failed ? "larger than 16 MiB" : "not UTF-8");
  if (rc == 0) {
    out->text = tm_arena_strndup(a, tm_buf_str(&text), text.len);
    out->text_len = text.len;
    tm_function_read(out, a, q);
  } else {
    out->class = err.code == TM_TEMP ? TM_LLM_OVERLOADED : TM_LLM_INVALID;
    out->message = tm_arena_printf(a, "%s/%s: %s", p->name, q->model, err.msg);
  }
  tm_buf_free(&text);
}

tm_provider *tm_function_new(const char *name, tm_llm_fn fn, void *ctx) {
  function *f = tm_alloc(sizeof *f + strlen(name) + 1);
  memcpy(f->name, name, strlen(name) + 1);
  f->base = (tm_provider){.name = f->name, .build = build, .call = call};
  f->fn = fn;
  f->ctx = ctx;
  return &f->base;
}
