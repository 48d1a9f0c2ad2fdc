/* function.c - a provider that is a function in this process: scripted rules, a test, the
 * embedder's own model.
 *
 * Its request is {unit, vars, config, messages, schema, tools} or {input}, without what
 * concerns only the wire. Its URL is "function:NAME".
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
