/* ollama.c - Ollama's own API.
 *
 *   POST BASE/api/chat
 *   {model, messages:[{role, content, images?, tool_calls?, tool_name?}], stream, format?:
 * SCHEMA, tools?, think?, options?:{temperature, num_predict, seed ...}}
 *   -> {model, message:{content, tool_calls?}, done:true, done_reason, prompt_eval_count,
 *       eval_count}
 *   or lines of the same object, of which the last has done:true
 *
 *   POST BASE/api/embed {model, input:[text]} -> {embeddings:[[number]], prompt_eval_count}
 *
 * OLLAMA_HOST is a URL, or host and port alone, as Ollama's own tools take it; 0.0.0.0, which
 * means "everywhere" to a server, is this machine to a client.
 */
#include <string.h>
#include <strings.h>

#include "llm/provider.h"

static const tm_llm_field fields[] = {
    {"temperature", "temperature", TM_MODEL_NO_SAMPLING},
    {"topP", "top_p", TM_MODEL_NO_SAMPLING},
    {"topK", "top_k", TM_MODEL_NO_SAMPLING},
    {"maxOutputTokens", "num_predict", 0},
    {"stopSequences", "stop", TM_MODEL_NO_STOP},
    {"seed", "seed", 0},
    {"frequencyPenalty", "frequency_penalty", TM_MODEL_NO_SAMPLING},
    {"presencePenalty", "presence_penalty", TM_MODEL_NO_SAMPLING},
    {"contextTokens", "num_ctx", 0},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const handled[] = {"reasoningEffort", NULL};

/* -- asking ---------------------------------------------------------------------------- */

/* A base without a scheme gets one, and without a port Ollama's. */
static const char *url(tm_arena *a, const tm_llm_settings *s, const char *path) {
  const char *host = tm_llm_setting(s, tm_ollama.base_env);
  if (!host || strncasecmp(host, "http://", 7) == 0 || strncasecmp(host, "https://", 8) == 0)
    return tm_llm_url(a, &tm_ollama, s, path);
  size_t len = strcspn(host, "/");
  const char *bracket = memchr(host, ']', len), *from = bracket ? bracket : host;
  bool port = memchr(from, ':', len - (size_t)(from - host)) != NULL;
  bool everywhere = strncmp(host, "0.0.0.0", 7) == 0;
  size_t skip = everywhere ? 7 : 0;
  return tm_arena_printf(a, port ? "http://%s%.*s%s" : "http://%s%.*s:11434%s",
                         everywhere ? "127.0.0.1" : "", (int)(len - skip), host + skip, path);
}

static tm_json *call_of(tm_arena *a, const tm_json *request) {
  const tm_json *input = tm_json_get(request, "input");
  tm_json *o = tm_json_new_object(a), *f = tm_json_new_object(a);
  tm_json_set(a, f, "name", tm_json_get(request, "name"));
  tm_json_set(a, f, "arguments", input ? input : tm_json_new_object(a));
  tm_json_set(a, o, "function", f);
  return o;
}

typedef struct turn {
  tm_buf text;
  tm_json *images, *calls;
} turn;

static int take_part(turn *t, tm_arena *a, const tm_json *part, tm_err *err) {
  size_t len;
  const char *text = tm_json_str(tm_json_get(part, "text"), &len);
  const tm_json *request = tm_json_get(part, "toolRequest");
  tm_llm_media media;
  if (text)
    tm_buf_put(&t->text, text, len);
  else if (request)
    tm_json_push(a, t->calls, call_of(a, request));
  else if (tm_llm_media_of(&media, a, part) && media.data && tm_llm_media_is(&media, "image/"))
    tm_json_push(a, t->images, tm_json_new_str(a, media.data));
  else if (!tm_json_get(part, "metadata"))
    return tm_llm_refuse_part("ollama", part, "text, and images as data: URLs", err);
  return 0;
}

static int put_turn(tm_json *messages, tm_arena *a, const tm_json *message, const char *role,
                    tm_err *err) {
  const tm_json *parts = tm_json_get(message, "content");
  turn t = {TM_BUF_INIT, tm_json_new_array(a), tm_json_new_array(a)};
  int rc = 0;
  for (size_t i = 0; i < tm_json_len(parts) && rc == 0; i++)
    rc = take_part(&t, a, tm_json_at(parts, i), err);
  tm_json *out = tm_json_new_object(a);
  tm_json_set_str(a, out, "role", role);
  tm_json_set(a, out, "content", tm_json_new_strn(a, tm_buf_str(&t.text), t.text.len));
  if (tm_json_len(t.images))
    tm_json_set(a, out, "images", t.images);
  if (tm_json_len(t.calls))
    tm_json_set(a, out, "tool_calls", t.calls);
  tm_json_push(a, messages, out);
  tm_buf_free(&t.text);
  return rc;
}

static int put_results(tm_json *messages, tm_arena *a, const tm_json *message, tm_err *err) {
  const tm_json *parts = tm_json_get(message, "content");
  for (size_t i = 0; i < tm_json_len(parts); i++) {
    const tm_json *response = tm_json_get(tm_json_at(parts, i), "toolResponse");
    if (!response)
      return tm_llm_refuse_part("ollama", tm_json_at(parts, i),
                                "toolResponse in a message of the role tool", err);
    tm_json *out = tm_json_new_object(a);
    tm_json_set_str(a, out, "role", "tool");
    tm_json_set(a, out, "tool_name", tm_json_get(response, "name"));
    tm_json_set(a, out, "content", tm_llm_as_text(a, tm_json_get(response, "output")));
    tm_json_push(a, messages, out);
  }
  return 0;
}

static int put_messages(tm_json *body, tm_arena *a, const tm_json *all, tm_err *err) {
  tm_json *messages = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(all); i++) {
    const tm_json *message = tm_json_at(all, i);
    const char *role = tm_llm_role(message);
    int rc = strcmp(role, "tool") == 0 ? put_results(messages, a, message, err)
                                       : put_turn(messages, a, message, role, err);
    if (rc < 0)
      return -1;
  }
  tm_json_set(a, body, "messages", messages);
  return 0;
}

static void put_effort(tm_llm_wire *wire, tm_json *body, tm_arena *a, const char *effort) {
  static const char *const levels[] = {"low", "medium", "high", "max"};
  for (size_t i = 0; effort && i < sizeof levels / sizeof *levels; i++)
    if (strcmp(effort, levels[i]) == 0) {
      tm_json_set_str(a, body, "think", effort);
      return;
    }
  if (effort && strcmp(effort, "none") == 0)
    tm_json_set_bool(a, body, "think", false);
  else if (effort)
    tm_llm_drop(wire, a, "reasoningEffort");
}

static void put_tools(tm_llm_wire *wire, tm_json *body, tm_arena *a, const tm_llm_question *q) {
  tm_json *list = tm_json_new_array(a);
  for (size_t i = 0; i < q->tool_count; i++) {
    tm_json *f = tm_json_new_object(a);
    tm_json_set_str(a, f, "name", q->tools[i].name);
    if (q->tools[i].description)
      tm_json_set_str(a, f, "description", q->tools[i].description);
    tm_json_set(a, f, "parameters",
                tm_shape_lower(q->tools[i].shape, TM_DIALECT_GRAMMAR)->schema);
    tm_json_push(a, list, tm_llm_typed(a, "function", "function", f));
  }
  tm_json_set(a, body, "tools", list);
  if (tm_json_get(q->request, "tool_choice"))
    tm_llm_drop(wire, a, "tool_choice");
}

static int build_embeddings(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                            const tm_llm_settings *s, tm_err *err) {
  static const tm_llm_field names[] = {{"dimensions", "dimensions", 0}};
  tm_json *body = tm_json_new_object(a);
  out->url = url(a, s, "/api/embed");
  tm_json_set_str(a, body, "model", q->model);
  tm_json_set(a, body, "input", q->input);
  tm_llm_put_config(out, a, body, q->config, names, 1, 0, NULL);
  return tm_llm_put_body(out, a, body, err);
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  *out = (tm_llm_wire){.method = "POST"};
  if (tm_llm_key(&out->secret, &tm_ollama, s, q, err) < 0)
    return -1;
  tm_llm_put_types(out, q, "application/x-ndjson");
  tm_llm_put_bearer(out, a);
  if (q->input)
    return build_embeddings(out, a, q, s, err);
  out->url = url(a, s, "/api/chat");
  tm_json *body = tm_json_new_object(a), *options = tm_json_new_object(a);
  tm_json_set_str(a, body, "model", q->model);
  if (put_messages(body, a, q->messages, err) < 0)
    return -1;
  tm_json_set_bool(a, body, "stream", q->stream);
  if (q->shape) {
    const tm_lowered *lowered = tm_shape_lower(q->shape, TM_DIALECT_GRAMMAR);
    tm_json_set(a, body, "format", lowered->schema);
    out->wrapped = lowered->wrapped;
  }
  if (q->tool_count)
    put_tools(out, body, a, q);
  put_effort(out, body, a, tm_json_get_str(q->config, "reasoningEffort"));
  tm_llm_put_config(out, a, options, q->config, fields, FIELDS, q->rules, handled);
  if (tm_json_len(options))
    tm_json_set(a, body, "options", options);
  return tm_llm_put_body(out, a, body, err);
}

/* -- reading --------------------------------------------------------------------------- */

/* Ollama leaves a count of nothing out, or tells 0 for a prompt that it had in its cache. */
static void read_usage(tm_heard *h, const tm_json *o) {
  h->counted = true;
  h->counts = TM_LLM_COUNTS_NONE;
  h->counts.input = tm_llm_count(o, "/prompt_eval_count");
  h->counts.output = tm_llm_count(o, "/eval_count");
}

/* A line of a stream, or all of an answer: they look the same. */
static int hear(tm_heard *h, const tm_json *o, tm_err *err) {
  const tm_json *message = tm_json_get(o, "message"), *done = tm_json_get(o, "done");
  const tm_json *calls = tm_json_get(message, "tool_calls");
  if (!message && !done)
    return tm_err_set(err, TM_FAILED, "neither message nor done");
  for (size_t i = 0; i < tm_json_len(calls); i++) {
    const tm_json *call = tm_json_at(calls, i), *f = tm_json_get(call, "function");
    if (tm_heard_call(h, tm_json_get(call, "id"), tm_json_get(f, "name"),
                      tm_json_get(f, "arguments"), err) < 0)
      return -1;
  }
  if (tm_json_bool(done, false)) {
    h->whole = true;
    tm_heard_keep(h, &h->model, tm_json_get(o, "model"));
    tm_heard_keep(h, &h->finish, tm_json_get(o, "done_reason"));
    read_usage(h, o);
  }
  return tm_heard_say(h, &h->text, tm_json_get(message, "content"), "message.content", err);
}

static int read_body(tm_heard *h, const tm_json *body, tm_err *err) {
  if (hear(h, body, err) < 0)
    return -1;
  if (!tm_json_get(body, "message"))
    return tm_err_set(err, TM_FAILED, "no message");
  return h->whole ? 0 : tm_err_set(err, TM_FAILED, "it is not done");
}

static int read_vectors(tm_json **out, tm_heard *h, const tm_json *body, tm_err *err) {
  const tm_json *list = tm_json_get(body, "embeddings");
  (void)err;
  tm_heard_keep(h, &h->model, tm_json_get(body, "model"));
  read_usage(h, body);
  h->counts.output = 0;
  *out = list ? tm_json_copy(h->a, list) : tm_json_new_array(h->a);
  return 0;
}

/* "load" and "unload" answer a request that only moved the model. */
static const tm_llm_finish finishes[] = {{"length", TM_LLM_TRUNCATED},
                                         {"load", TM_LLM_OVERLOADED},
                                         {"unload", TM_LLM_OVERLOADED},
                                         {NULL, TM_LLM_NONE}};

const tm_provider tm_ollama = {.name = "ollama",
                               .key_env = "OLLAMA_API_KEY",
                               .base_env = "OLLAMA_HOST",
                               .base = "http://127.0.0.1:11434",
                               .keyless = true,
                               .build = build,
                               .read = read_body,
                               .event = hear,
                               .lines = true,
                               .finishes = finishes,
                               .vectors = read_vectors};
