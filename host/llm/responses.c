/* responses.c - OpenAI's Responses API: "openai" at api.openai.com, "openai-responses"
 * anywhere.
 *
 *   POST BASE/responses
 *   {model, input:[items], store:false, text?:{format:{type:"json_schema", name, schema,
 * strict}, verbosity?}, reasoning?:{effort}, tools?, max_output_tokens? ...}
 *   -> {status, output:[{type:"message", content:[{type:"output_text", text}]} | {type:
 *       "function_call", call_id, name, arguments} | {type:"reasoning", ...}], usage, error}
 *   or events response.output_text.delta ..., at last response.completed | failed | incomplete
 *      with that whole body inside
 *
 * A status of 200 says nothing: `status` in the body does. Nothing is stored with OpenAI: the
 * journal has it, and reasoning comes back encrypted to be put in front of its tool call.
 */
#include <string.h>

#include "llm/provider.h"

static const tm_llm_field fields[] = {
    {"temperature", "temperature", TM_MODEL_NO_SAMPLING},
    {"topP", "top_p", TM_MODEL_NO_SAMPLING},
    {"maxOutputTokens", "max_output_tokens", 0},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const handled[] = {"reasoningEffort", "verbosity", NULL};

/* -- asking ---------------------------------------------------------------------------- */

static int put_part(tm_json *out, tm_arena *a, const tm_json *part, bool own, tm_err *err) {
  const tm_json *text = tm_json_get(part, "text");
  tm_llm_media media;
  if (text) {
    tm_json_push(a, out, tm_llm_typed(a, own ? "output_text" : "input_text", "text", text));
  } else if (tm_llm_media_of(&media, a, part) && tm_llm_media_is(&media, "image/")) {
    tm_json *url = tm_json_new_str(a, media.url);
    tm_json_push(a, out, tm_llm_typed(a, "input_image", "image_url", url));
  } else if (media.url && tm_llm_media_is(&media, "application/pdf")) {
    tm_json *url = tm_json_new_str(a, media.url);
    tm_json *file = tm_llm_typed(a, "input_file", media.data ? "file_data" : "file_url", url);
    if (media.data)
      tm_json_set_str(a, file, "filename", tm_llm_media_name(a, &media));
    tm_json_push(a, out, file);
  } else if (!tm_json_get(part, "metadata")) {
    return tm_llm_refuse_part("openai", part, "text, images and PDF", err);
  }
  return 0;
}

static void put_call(tm_json *input, tm_arena *a, const tm_json *request) {
  const tm_json *opaque = tm_json_get(request, "opaque");
  for (size_t i = 0; i < tm_json_len(opaque); i++)
    tm_json_push(a, input, tm_json_at(opaque, i));
  tm_json *item = tm_llm_typed(a, "function_call", "call_id", tm_json_get(request, "ref"));
  tm_json_set(a, item, "name", tm_json_get(request, "name"));
  tm_json_set(a, item, "arguments", tm_llm_as_text(a, tm_json_get(request, "input")));
  tm_json_push(a, input, item);
}

static void put_result(tm_json *input, tm_arena *a, const tm_json *response) {
  tm_json *item =
      tm_llm_typed(a, "function_call_output", "call_id", tm_json_get(response, "ref"));
  tm_json_set(a, item, "output", tm_llm_as_text(a, tm_json_get(response, "output")));
  tm_json_push(a, input, item);
}

static void put_turn(tm_json *input, tm_arena *a, const char *role, const tm_json *content) {
  tm_json *out = tm_json_new_object(a);
  tm_json_set_str(a, out, "role", role);
  tm_json_set(a, out, "content", content);
  tm_json_push(a, input, out);
}

/* Tool calls and results are items beside the messages, not parts of them. */
static int put_message(tm_json *input, tm_arena *a, const tm_json *message, tm_err *err) {
  const char *role = tm_llm_role(message);
  const tm_json *parts = tm_json_get(message, "content"), *plain = tm_llm_plain(a, message);
  if (plain) {
    put_turn(input, a, role, plain);
    return 0;
  }
  tm_json *content = tm_json_new_array(a), *calls = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(parts); i++) {
    const tm_json *part = tm_json_at(parts, i);
    const tm_json *request = tm_json_get(part, "toolRequest");
    const tm_json *response = tm_json_get(part, "toolResponse");
    if (request)
      put_call(calls, a, request);
    else if (response)
      put_result(calls, a, response);
    else if (put_part(content, a, part, strcmp(role, "assistant") == 0, err) < 0)
      return -1;
  }
  if (tm_json_len(content))
    put_turn(input, a, role, content);
  for (size_t i = 0; i < tm_json_len(calls); i++)
    tm_json_push(a, input, tm_json_at(calls, i));
  return 0;
}

static void put_text(tm_llm_wire *wire, tm_json *body, tm_arena *a, const tm_llm_question *q) {
  const tm_json *verbosity = tm_json_get(q->config, "verbosity");
  tm_json *text = tm_json_new_object(a);
  if (q->shape) {
    const tm_lowered *lowered = tm_shape_lower(q->shape, TM_DIALECT_OPENAI);
    tm_json *name = tm_json_new_str(a, tm_llm_schema_name(a, q->request));
    tm_json *format = tm_llm_typed(a, "json_schema", "name", name);
    tm_json_set(a, format, "schema", lowered->schema);
    tm_json_set_bool(a, format, "strict", lowered->strict);
    wire->wrapped = lowered->wrapped;
    tm_json_set(a, text, "format", format);
  }
  if (verbosity)
    tm_json_set(a, text, "verbosity", verbosity);
  if (tm_json_len(text))
    tm_json_set(a, body, "text", text);
}

static void put_reasoning(tm_json *body, tm_arena *a, const tm_llm_question *q) {
  const tm_json *effort = tm_json_get(q->config, "reasoningEffort");
  tm_json *include = tm_json_new_array(a);
  if (effort && tm_json_type_of(effort) != TM_JSON_NULL) {
    tm_json *reasoning = tm_json_new_object(a);
    tm_json_set(a, reasoning, "effort", effort);
    tm_json_set(a, body, "reasoning", reasoning);
  }
  if (!q->tool_count) /* only a tool call's reasoning is ever needed again */
    return;
  tm_json_push(a, include, tm_json_new_str(a, "reasoning.encrypted_content"));
  tm_json_set(a, body, "include", include);
}

static void put_tools(tm_json *body, tm_arena *a, const tm_llm_question *q) {
  const char *name, *choice = tm_llm_tool_choice(q, &name);
  tm_json *list = tm_json_new_array(a);
  for (size_t i = 0; i < q->tool_count; i++) {
    const tm_llm_tool *tool = &q->tools[i];
    tm_json *o = tm_llm_typed(a, "function", "name", tm_json_new_str(a, tool->name));
    tm_openai_put_function(o, a, tool);
    tm_json_push(a, list, o);
  }
  tm_json_set(a, body, "tools", list);
  if (name)
    tm_json_set(a, body, "tool_choice",
                tm_llm_typed(a, "function", "name", tm_json_new_str(a, name)));
  else if (choice)
    tm_json_set_str(a, body, "tool_choice", choice);
}

static void put_stream(tm_json *body, tm_arena *a) {
  tm_json *options = tm_json_new_object(a);
  tm_json_set_bool(a, options, "include_obfuscation", false);
  tm_json_set_bool(a, body, "stream", true);
  tm_json_set(a, body, "stream_options", options);
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  if (q->input)
    return tm_openai_chat.build(out, a, q, s, err);
  *out = (tm_llm_wire){.method = "POST"};
  out->url = tm_llm_url(a, &tm_openai_responses, s, "/responses");
  if (tm_openai_put_headers(out, a, &tm_openai_responses, q, s, err) < 0)
    return -1;
  tm_json *body = tm_json_new_object(a), *input = tm_json_new_array(a);
  tm_json_set_str(a, body, "model", q->model);
  for (size_t i = 0; i < tm_json_len(q->messages); i++)
    if (put_message(input, a, tm_json_at(q->messages, i), err) < 0)
      return -1;
  tm_json_set(a, body, "input", input);
  tm_json_set_bool(a, body, "store", false);
  tm_llm_put_config(out, a, body, q->config, fields, FIELDS, tm_llm_openai_rules(q), handled);
  put_text(out, body, a, q);
  put_reasoning(body, a, q);
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
      .input = tm_llm_count(usage, "/input_tokens"),
      .cached_input = tm_llm_count(usage, "/input_tokens_details/cached_tokens"),
      .cache_write = tm_llm_count(usage, "/input_tokens_details/cache_write_tokens"),
      .output = tm_llm_count(usage, "/output_tokens"),
      .reasoning = tm_llm_count(usage, "/output_tokens_details/reasoning_tokens"),
      .total = tm_llm_count(usage, "/total_tokens")};
}

static bool is(const tm_json *o, const char *key, const char *word) {
  const char *text = tm_json_get_str(o, key);
  return text && strcmp(text, word) == 0;
}

static int read_parts(tm_heard *h, const tm_json *item, tm_err *err) {
  const tm_json *content = tm_json_get(item, "content");
  for (size_t i = 0; i < tm_json_len(content); i++) {
    const tm_json *part = tm_json_at(content, i);
    bool refusal = is(part, "type", "refusal");
    if (!refusal && !is(part, "type", "output_text"))
      continue;
    if (tm_heard_say(h, refusal ? &h->refusal : &h->text,
                     tm_json_get(part, refusal ? "refusal" : "text"), "a part of the output",
                     err) < 0)
      return -1;
  }
  return 0;
}

/* With phases, what the model comments on its way is not the answer. */
static int read_output(tm_heard *h, const tm_json *output, tm_err *err) {
  for (size_t i = 0; i < tm_json_len(output); i++) {
    const tm_json *item = tm_json_at(output, i);
    int rc = 0;
    if (is(item, "type", "message") && !is(item, "phase", "commentary"))
      rc = read_parts(h, item, err);
    else if (is(item, "type", "function_call"))
      rc = tm_heard_call(h, tm_json_get(item, "call_id"), tm_json_get(item, "name"),
                         tm_json_get(item, "arguments"), err);
    else if (is(item, "type", "reasoning") && tm_json_get(item, "encrypted_content"))
      tm_heard_opaque(h, item);
    if (rc < 0)
      return -1;
  }
  return 0;
}

static int read_body(tm_heard *h, const tm_json *body, tm_err *err) {
  const tm_json *output = tm_json_get(body, "output");
  bool incomplete = is(body, "status", "incomplete");
  tm_heard_keep(h, &h->model, tm_json_get(body, "model"));
  read_usage(h, tm_json_get(body, "usage"));
  tm_heard_keep(h, &h->finish, tm_json_get(body, "status"));
  if (incomplete) {
    h->finish = "incomplete";
    tm_heard_keep(h, &h->finish, tm_json_pointer(body, "/incomplete_details/reason"));
  }
  if (!output || tm_json_type_of(output) != TM_JSON_ARRAY)
    return tm_err_set(err, TM_FAILED, "no output");
  if (!incomplete && h->finish && strcmp(h->finish, "completed") != 0)
    return tm_err_set(err, TM_FAILED, "its status is %.40s", h->finish);
  return read_output(h, output, err);
}

/* The last event holds the whole answer, and is what counts; deltas are for the eye. */
static int hear(tm_heard *h, const tm_json *event, tm_err *err) {
  const char *type = tm_json_get_str(event, "type");
  const tm_json *response = tm_json_get(event, "response");
  if (!type)
    return tm_err_set(err, TM_FAILED, "an event without a type");
  if (strcmp(type, "response.output_text.delta") == 0)
    return tm_heard_say(h, &h->text, tm_json_get(event, "delta"), "delta", err);
  if (strcmp(type, "error") == 0 || strcmp(type, "response.failed") == 0) {
    const tm_json *error = tm_json_get(response, "error");
    read_usage(h, tm_json_get(response, "usage"));
    h->error = tm_json_copy(h->a, error ? error : event);
    return 0;
  }
  if (strcmp(type, "response.completed") != 0 && strcmp(type, "response.incomplete") != 0)
    return 0;
  tm_buf_reset(&h->text);
  h->whole = true;
  return read_body(h, response, err);
}

static const tm_llm_finish finishes[] = {
    {"max_output_tokens", TM_LLM_TRUNCATED}, {"max_messages", TM_LLM_TRUNCATED},
    {"incomplete", TM_LLM_TRUNCATED},        {"steered", TM_LLM_TRUNCATED},
    {"content_filter", TM_LLM_FILTERED},     {NULL, TM_LLM_NONE}};

/* OpenAI's embeddings are the same whichever way its models are asked. */
static int read_vectors(tm_json **out, tm_heard *h, const tm_json *body, tm_err *err) {
  return tm_openai_chat.vectors(out, h, body, err);
}

#define RESPONSES(as)                                                                    \
  .name = as, .key_env = "OPENAI_API_KEY", .base_env = "OPENAI_BASE_URL",                \
  .base = "https://api.openai.com/v1", .build = build, .read = read_body, .event = hear, \
  .counter = "\"sequence_number\":", .finishes = finishes, .vectors = read_vectors

const tm_provider tm_openai = {RESPONSES("openai"), .elsewhere = &tm_openai_elsewhere};
const tm_provider tm_openai_responses = {RESPONSES("openai-responses")};
