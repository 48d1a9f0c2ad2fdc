/* openai.c - Chat Completions: of all who speak OpenAI's API (vLLM, llama.cpp, Ollama, Azure's
 * v1, gateways) by OPENAI_BASE_URL, and OpenAI's own as "openai-chat".
 *
 *   POST BASE/chat/completions
 *   {model, messages:[{role, content}], response_format?:{type:"json_schema",
 * json_schema:{name, schema, strict}}, tools?:[{type:"function", function}],
 * max_completion_tokens? ...}
 *   -> {id, model, choices:[{message:{content, refusal?, tool_calls?}, finish_reason}], usage}
 *   or, with stream:true, events {choices:[{delta, finish_reason}]} and at last "[DONE]"
 *
 *   POST BASE/embeddings {model, input:[text], dimensions?} -> {data:[{index, embedding}],
 * usage}
 */
#include <string.h>

#include "llm/provider.h"

/* -- asking ---------------------------------------------------------------------------- */

#define NO_SAMPLING TM_MODEL_NO_SAMPLING

static const tm_llm_field fields[] = {
    {"temperature", "temperature", NO_SAMPLING},
    {"topP", "top_p", NO_SAMPLING},
    {"frequencyPenalty", "frequency_penalty", NO_SAMPLING | TM_MODEL_SAMPLING_BARE},
    {"presencePenalty", "presence_penalty", NO_SAMPLING | TM_MODEL_SAMPLING_BARE},
    {"maxOutputTokens", "max_completion_tokens", 0},
    {"stopSequences", "stop", TM_MODEL_NO_STOP},
    {"seed", "seed", 0},
    {"reasoningEffort", "reasoning_effort", 0},
    {"verbosity", "verbosity", 0},
    /* not OpenAI's own, but taken by most others: the last of the table */
    {"topK", "top_k", NO_SAMPLING},
};
#define FIELDS (sizeof fields / sizeof *fields)

/* {key: {...}} around an inner object, with its type. */
static tm_json *nested(tm_arena *a, const char *type, const char *key, const char *inner_key,
                       const tm_json *value, tm_json **inner) {
  *inner = tm_json_new_object(a);
  tm_json_lend(a, *inner, inner_key, value);
  tm_json *o = tm_llm_typed(a, type, key, *inner);
  *inner = (tm_json *)tm_json_get(o, key);
  return o;
}

static tm_json *file_part(tm_arena *a, const tm_llm_media *media) {
  tm_json *inner;
  tm_json *part = nested(a, "file", "file", "filename",
                         tm_json_new_str(a, tm_llm_media_name(a, media)), &inner);
  tm_json_set_str(a, inner, "file_data", media->url);
  return part;
}

static int put_part(tm_json *out, tm_arena *a, const tm_json *part, tm_err *err) {
  const tm_json *text = tm_json_get(part, "text");
  tm_llm_media media;
  tm_json *inner;
  if (text)
    tm_json_push(a, out, tm_llm_typed(a, "text", "text", text));
  else if (tm_llm_media_of(&media, a, part) && tm_llm_media_is(&media, "image/"))
    tm_json_push(
        a, out,
        nested(a, "image_url", "image_url", "url", tm_json_new_str(a, media.url), &inner));
  else if (media.data && tm_llm_media_is(&media, "application/pdf"))
    tm_json_push(a, out, file_part(a, &media));
  else if (!tm_json_get(part, "metadata") && !tm_json_get(part, "toolRequest"))
    return tm_llm_refuse_part("openai", part, "text, images, and PDF as a data: URL", err);
  return 0;
}

/* The model's own requests; NULL: it made none. */
static tm_json *tool_calls(tm_arena *a, const tm_json *message) {
  const tm_json *parts = tm_json_get(message, "content");
  tm_json *calls = tm_json_new_array(a), *inner;
  for (size_t i = 0; i < tm_json_len(parts); i++) {
    const tm_json *request = tm_json_get(tm_json_at(parts, i), "toolRequest");
    if (!request)
      continue;
    tm_json *call =
        nested(a, "function", "function", "name", tm_json_get(request, "name"), &inner);
    tm_json_set(a, inner, "arguments", tm_llm_as_text(a, tm_json_get(request, "input")));
    tm_json_set(a, call, "id", tm_json_get(request, "ref"));
    tm_json_push(a, calls, call);
  }
  return tm_json_len(calls) ? calls : NULL;
}

/* One message for each result. */
static int put_results(tm_json *messages, tm_arena *a, const tm_json *message, tm_err *err) {
  const tm_json *parts = tm_json_get(message, "content");
  for (size_t i = 0; i < tm_json_len(parts); i++) {
    const tm_json *response = tm_json_get(tm_json_at(parts, i), "toolResponse");
    if (!response)
      return tm_llm_refuse_part("openai", tm_json_at(parts, i),
                                "toolResponse in a message of the role tool", err);
    tm_json *out = tm_json_new_object(a);
    tm_json_set_str(a, out, "role", "tool");
    tm_json_set(a, out, "tool_call_id", tm_json_get(response, "ref"));
    tm_json_set(a, out, "content", tm_llm_as_text(a, tm_json_get(response, "output")));
    tm_json_push(a, messages, out);
  }
  return 0;
}

static int put_message(tm_json *messages, tm_arena *a, const tm_json *message, tm_err *err) {
  const char *role = tm_llm_role(message);
  if (strcmp(role, "tool") == 0)
    return put_results(messages, a, message, err);
  tm_json *out = tm_json_new_object(a), *content = tm_llm_plain(a, message);
  tm_json *calls = tool_calls(a, message);
  tm_json_lend_str(a, out, "role", role);
  if (!content) {
    const tm_json *parts = tm_json_get(message, "content");
    content = tm_json_new_array(a);
    for (size_t i = 0; i < tm_json_len(parts); i++)
      if (put_part(content, a, tm_json_at(parts, i), err) < 0)
        return -1;
  }
  tm_json_lend(a, out, "content", calls && !tm_json_len(content) ? tm_json_null(a) : content);
  if (calls)
    tm_json_lend(a, out, "tool_calls", calls);
  tm_json_push(a, messages, out);
  return 0;
}

static void put_schema(tm_llm_wire *wire, tm_json *body, tm_arena *a,
                       const tm_llm_question *q) {
  const tm_lowered *lowered = tm_shape_lower(q->shape, TM_DIALECT_OPENAI);
  tm_json *inner;
  tm_json *format = nested(a, "json_schema", "json_schema", "name",
                           tm_json_new_str(a, tm_llm_schema_name(a, q->request)), &inner);
  tm_json_lend(a, inner, "schema", lowered->schema);
  tm_json_lend(a, inner, "strict", tm_json_new_bool(a, lowered->strict));
  wire->wrapped = lowered->wrapped;
  tm_json_set(a, body, "response_format", format);
}

void tm_openai_put_function(tm_json *o, tm_arena *a, const tm_llm_tool *tool) {
  const tm_lowered *lowered = tm_shape_lower(tool->shape, TM_DIALECT_OPENAI);
  if (tool->description)
    tm_json_set_str(a, o, "description", tool->description);
  tm_json_set(a, o, "parameters", lowered->schema);
  tm_json_set_bool(a, o, "strict", lowered->strict);
}

static void put_tools(tm_json *body, tm_arena *a, const tm_llm_question *q) {
  const char *name, *choice = tm_llm_tool_choice(q, &name);
  tm_json *list = tm_json_new_array(a), *inner;
  for (size_t i = 0; i < q->tool_count; i++) {
    const tm_llm_tool *tool = &q->tools[i];
    tm_json *name_of = tm_json_new_str(a, tool->name);
    tm_json *o = nested(a, "function", "function", "name", name_of, &inner);
    tm_openai_put_function(inner, a, tool);
    tm_json_push(a, list, o);
  }
  tm_json_set(a, body, "tools", list);
  if (name)
    tm_json_set(a, body, "tool_choice",
                nested(a, "function", "function", "name", tm_json_new_str(a, name), &inner));
  else if (choice)
    tm_json_set_str(a, body, "tool_choice", choice);
}

int tm_openai_put_headers(tm_llm_wire *out, tm_arena *a, const tm_provider *p,
                          const tm_llm_question *q, const tm_llm_settings *s, tm_err *err) {
  if (tm_llm_key(&out->secret, p, s, q, err) < 0)
    return -1;
  tm_llm_put_types(out, q, "text/event-stream");
  tm_llm_put_bearer(out, a);
  tm_llm_put_header(out, "OpenAI-Organization", tm_llm_setting(s, "OPENAI_ORG_ID"));
  tm_llm_put_header(out, "OpenAI-Project", tm_llm_setting(s, "OPENAI_PROJECT_ID"));
  return 0;
}

static int build_embeddings(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                            const tm_llm_settings *s, tm_err *err) {
  static const tm_llm_field names[] = {{"dimensions", "dimensions", 0}};
  tm_json *body = tm_json_new_object(a);
  out->url = tm_llm_url(a, &tm_openai_chat, s, "/embeddings");
  tm_json_set_str(a, body, "model", q->model);
  tm_json_set(a, body, "input", q->input);
  tm_json_set_str(a, body, "encoding_format", "float");
  tm_llm_put_config(out, a, body, q->config, names, 1, 0, NULL);
  return tm_llm_put_body(out, a, body, err);
}

static void put_stream(tm_json *body, tm_arena *a) {
  tm_json *options = tm_json_new_object(a);
  tm_json_set_bool(a, options, "include_usage", true);
  tm_json_set_bool(a, body, "stream", true);
  tm_json_set(a, body, "stream_options", options);
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  *out = (tm_llm_wire){.method = "POST"};
  if (tm_openai_put_headers(out, a, &tm_openai_chat, q, s, err) < 0)
    return -1;
  if (q->input)
    return build_embeddings(out, a, q, s, err);
  out->url = tm_llm_url(a, &tm_openai_chat, s, "/chat/completions");
  tm_json *body = tm_json_new_object(a), *messages = tm_json_new_array(a);
  tm_json_lend_str(a, body, "model", q->model);
  for (size_t i = 0; i < tm_json_len(q->messages); i++)
    if (put_message(messages, a, tm_json_at(q->messages, i), err) < 0)
      return -1;
  tm_json_lend(a, body, "messages", messages);
  size_t known = tm_llm_own_base(&tm_openai_chat, s) ? FIELDS - 1 : FIELDS;
  tm_llm_put_config(out, a, body, q->config, fields, known, tm_llm_openai_rules(q), NULL);
  if (q->shape)
    put_schema(out, body, a, q);
  if (q->tool_count)
    put_tools(body, a, q);
  if (q->stream)
    put_stream(body, a);
  return tm_llm_put_body(out, a, body, err);
}

/* -- reading --------------------------------------------------------------------------- */

static void read_usage(tm_heard *h, const tm_json *usage) {
  if (!usage || tm_json_type_of(usage) != TM_JSON_OBJECT)
    return;
  h->counted = true;
  h->counts = (tm_llm_counts){
      .input = tm_llm_count(usage, "/prompt_tokens"),
      .cached_input = tm_llm_count(usage, "/prompt_tokens_details/cached_tokens"),
      .cache_write = tm_llm_count(usage, "/prompt_tokens_details/cache_write_tokens"),
      .output = tm_llm_count(usage, "/completion_tokens"),
      .reasoning = tm_llm_count(usage, "/completion_tokens_details/reasoning_tokens"),
      .total = tm_llm_count(usage, "/total_tokens")};
}

static void read_names(tm_heard *h, const tm_json *body, const tm_json *choice) {
  tm_heard_keep(h, &h->model, tm_json_get(body, "model"));
  tm_heard_keep(h, &h->fingerprint, tm_json_get(body, "system_fingerprint"));
  tm_heard_keep(h, &h->finish, tm_json_get(choice, "finish_reason"));
  read_usage(h, tm_json_get(body, "usage"));
}

/* Content is text, null, or (with some servers) a list of parts. */
static int read_content(tm_heard *h, const tm_json *content, tm_err *err) {
  if (!content || tm_json_type_of(content) != TM_JSON_ARRAY)
    return tm_heard_say(h, &h->text, content, "message.content", err);
  for (size_t i = 0; i < tm_json_len(content); i++)
    if (tm_heard_say(h, &h->text, tm_json_get(tm_json_at(content, i), "text"),
                     "a part of message.content", err) < 0)
      return -1;
  return 0;
}

static int read_body(tm_heard *h, const tm_json *body, tm_err *err) {
  const tm_json *choice = tm_json_at(tm_json_get(body, "choices"), 0);
  const tm_json *message = tm_json_get(choice, "message");
  read_names(h, body, choice);
  if (!choice || !message || tm_json_type_of(message) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_FAILED, choice ? "no message in choices[0]" : "no choices");
  const tm_json *calls = tm_json_get(message, "tool_calls");
  for (size_t i = 0; i < tm_json_len(calls); i++) {
    const tm_json *call = tm_json_at(calls, i), *f = tm_json_get(call, "function");
    if (tm_heard_call(h, tm_json_get(call, "id"), tm_json_get(f, "name"),
                      tm_json_get(f, "arguments"), err) < 0)
      return -1;
  }
  if (tm_heard_say(h, &h->refusal, tm_json_get(message, "refusal"), "message.refusal", err) < 0)
    return -1;
  return read_content(h, tm_json_get(message, "content"), err);
}

/* A piece of a tool call; without an index (some servers) an id begins the next. */
static int hear_call(tm_heard *h, const tm_json *piece, tm_err *err) {
  const tm_json *f = tm_json_get(piece, "function"), *id = tm_json_get(piece, "id");
  int64_t next = (int64_t)h->tool_count, last = next ? next - 1 : 0;
  int64_t i = tm_json_int(tm_json_get(piece, "index"), tm_json_str(id, NULL) ? next : last);
  tm_heard_tool *tool;
  if (tm_heard_tool_at(&tool, h, i < 0 ? TM_HEARD_CALLS : (size_t)i, err) < 0)
    return -1;
  tm_heard_keep(h, &tool->id, id);
  tm_heard_keep(h, &tool->name, tm_json_get(f, "name"));
  return tm_heard_say(h, &tool->text, tm_json_get(f, "arguments"), "a tool call's arguments",
                      err);
}

static int hear(tm_heard *h, const tm_json *event, tm_err *err) {
  const tm_json *choices = tm_json_get(event, "choices"), *choice = tm_json_at(choices, 0);
  const tm_json *delta = tm_json_get(choice, "delta"),
                *calls = tm_json_get(delta, "tool_calls");
  if (!choices && !tm_json_get(event, "usage"))
    return tm_err_set(err, TM_FAILED, "an event without choices");
  read_names(h, event, choice);
  for (size_t i = 0; i < tm_json_len(calls); i++)
    if (hear_call(h, tm_json_at(calls, i), err) < 0)
      return -1;
  if (tm_heard_say(h, &h->refusal, tm_json_get(delta, "refusal"), "delta.refusal", err) < 0)
    return -1;
  return read_content(h, tm_json_get(delta, "content"), err);
}

static int read_vectors(tm_json **out, tm_heard *h, const tm_json *body, tm_err *err) {
  const tm_json *data = tm_json_get(body, "data");
  *out = tm_json_new_array(h->a);
  tm_heard_keep(h, &h->model, tm_json_get(body, "model"));
  read_usage(h, tm_json_get(body, "usage"));
  h->counts.output = 0; /* vectors are no tokens */
  for (size_t i = 0; i < tm_json_len(data); i++) {
    const tm_json *item = tm_json_at(data, i);
    if (tm_json_int(tm_json_get(item, "index"), (int64_t)i) != (int64_t)i)
      return tm_err_set(err, TM_FAILED, "data is not in the order of the texts");
    tm_json_push(h->a, *out, tm_json_get(item, "embedding"));
  }
  return 0;
}

static const tm_llm_finish finishes[] = {
    {"length", TM_LLM_TRUNCATED}, {"content_filter", TM_LLM_FILTERED}, {NULL, TM_LLM_NONE}};

#define CHAT(as)                                                                         \
  .name = as, .key_env = "OPENAI_API_KEY", .base_env = "OPENAI_BASE_URL",                \
  .base = "https://api.openai.com/v1", .build = build, .read = read_body, .event = hear, \
  .last = "[DONE]", .finishes = finishes, .vectors = read_vectors

const tm_provider tm_openai_chat = {CHAT("openai-chat")};
const tm_provider tm_openai_elsewhere = {CHAT("openai")};
