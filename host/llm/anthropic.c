/* anthropic.c - the Messages API.
 *
 *   POST BASE/v1/messages      x-api-key, anthropic-version
 *   {model, max_tokens, system?, messages:[{role, content}], output_config?:{format:{type:
 *    "json_schema", schema}, effort?}, stop_sequences? ...}
 *   -> {content:[{type:"text", text} | {type:"tool_use", id, name, input}], stop_reason, usage,
 *       model}
 *   or events message_start, content_block_start, content_block_delta ..., message_delta and at
 *      last message_stop
 *
 * Sampling parameters exist only for older models, and only under the API version of 2023.
 */
#include <string.h>

#include "llm/provider.h"

#define MAX_TOKENS   4096
#define VERSION      "2026-10-21"
#define VERSION_2023 "2023-06-01"

static const tm_llm_field fields[] = {
    {"temperature", "temperature", TM_MODEL_NO_SAMPLING},
    {"topP", "top_p", TM_MODEL_NO_SAMPLING},
    {"topK", "top_k", TM_MODEL_NO_SAMPLING},
    {"stopSequences", "stop_sequences", TM_MODEL_NO_STOP},
    {"maxOutputTokens", "max_tokens", 0},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const handled[] = {"reasoningEffort", NULL};

#define CAN "text, images and PDF"

/* -- asking ---------------------------------------------------------------------------- */

/* An image or a PDF; NULL: neither. */
static tm_json *media_block(tm_arena *a, const tm_llm_media *media) {
  bool image = strncmp(media->type, "image/", 6) == 0;
  if (!image && strcmp(media->type, "application/pdf") != 0)
    return NULL;
  tm_json *block = tm_json_new_object(a), *source = tm_json_new_object(a);
  tm_json_set_str(a, source, "type", media->data ? "base64" : "url");
  if (media->data)
    tm_json_set_str(a, source, "media_type", media->type);
  tm_json_set_str(a, source, media->data ? "data" : "url",
                  media->data ? media->data : media->url);
  tm_json_set_str(a, block, "type", image ? "image" : "document");
  tm_json_set(a, block, "source", source);
  return block;
}

static void put_opaque(tm_json *out, tm_arena *a, const tm_json *request) {
  const tm_json *opaque = tm_json_get(request, "opaque");
  for (size_t i = 0; i < tm_json_len(opaque); i++)
    tm_json_push(a, out, tm_json_at(opaque, i));
}

/* A turn with thinking has to begin with it: that of the first tool call stands before any text. */
static const tm_json *first_tool_use(const tm_json *parts) {
  for (size_t i = 0; i < tm_json_len(parts); i++)
    if (tm_json_get(tm_json_at(parts, i), "toolRequest"))
      return tm_json_get(tm_json_at(parts, i), "toolRequest");
  return NULL;
}

static void put_tool_use(tm_json *out, tm_arena *a, const tm_json *request) {
  const tm_json *input = tm_json_get(request, "input");
  tm_json *block = tm_llm_typed(a, "tool_use", "id", tm_json_get(request, "ref"));
  tm_json_set(a, block, "name", tm_json_get(request, "name"));
  tm_json_set(a, block, "input", input ? input : tm_json_new_object(a));
  tm_json_push(a, out, block);
}

static void put_tool_result(tm_json *out, tm_arena *a, const tm_json *response) {
  tm_json *block = tm_llm_typed(a, "tool_result", "tool_use_id", tm_json_get(response, "ref"));
  tm_json_set(a, block, "content", tm_llm_as_text(a, tm_json_get(response, "output")));
  tm_json_push(a, out, block);
}

static int put_block(tm_json *out, tm_arena *a, const tm_json *part, tm_err *err) {
  const tm_json *text = tm_json_get(part, "text");
  const tm_json *request = tm_json_get(part, "toolRequest");
  const tm_json *response = tm_json_get(part, "toolResponse");
  tm_llm_media media;
  tm_json *block = tm_llm_media_of(&media, a, part) ? media_block(a, &media) : NULL;
  if (text)
    block = tm_llm_typed(a, "text", "text", text);
  if (block)
    tm_json_push(a, out, block);
  else if (request)
    put_tool_use(out, a, request);
  else if (response)
    put_tool_result(out, a, response);
  else if (!tm_json_get(part, "metadata"))
    return tm_llm_refuse_part("anthropic", part, CAN, err);
  return 0;
}

/* Results of tools come from the user; all of a turn are in one message. */
static int put_turn(tm_json *messages, tm_arena *a, const tm_json *message, const char *role,
                    tm_err *err) {
  const tm_json *parts = tm_json_get(message, "content");
  tm_json *out = tm_json_new_object(a), *content = tm_llm_plain(a, message);
  tm_json_set_str(a, out, "role", strcmp(role, "tool") == 0 ? "user" : role);
  if (!content) {
    const tm_json *first = first_tool_use(parts);
    content = tm_json_new_array(a);
    put_opaque(content, a, first);
    for (size_t i = 0; i < tm_json_len(parts); i++) {
      const tm_json *use = tm_json_get(tm_json_at(parts, i), "toolRequest");
      if (use && use != first)
        put_opaque(content, a, use);
      if (put_block(content, a, tm_json_at(parts, i), err) < 0)
        return -1;
    }
  }
  tm_json_set(a, out, "content", content);
  tm_json_push(a, messages, out);
  return 0;
}

/* System messages, wherever they stand, go into one text in front. */
static int put_messages(tm_json *body, tm_arena *a, const tm_json *all, tm_err *err) {
  tm_json *turns = tm_json_new_array(a), *system = tm_llm_system(a, all);
  if (!system)
    return tm_err_set(err, TM_USAGE, "anthropic: a system message may only hold text");
  for (size_t i = 0; i < tm_json_len(all); i++) {
    const char *role = tm_llm_role(tm_json_at(all, i));
    if (strcmp(role, "system") != 0 && put_turn(turns, a, tm_json_at(all, i), role, err) < 0)
      return -1;
  }
  if (tm_json_len(turns) == 0)
    return tm_err_set(err, TM_USAGE,
                      "anthropic: the prompt has only system text; put what is asked into "
                      "{{role \"user\"}}");
  size_t len = 0;
  if (tm_json_str(system, &len) && len)
    tm_json_set(a, body, "system", system);
  tm_json_set(a, body, "messages", turns);
  return 0;
}

static void put_tools(tm_llm_wire *wire, tm_json *body, tm_arena *a, const tm_llm_question *q,
                      unsigned rules) {
  const char *name, *choice = tm_llm_tool_choice(q, &name);
  tm_json *list = tm_json_new_array(a), *how = tm_json_new_object(a);
  for (size_t i = 0; i < q->tool_count; i++) {
    tm_json *o = tm_json_new_object(a);
    tm_json_set_str(a, o, "name", q->tools[i].name);
    if (q->tools[i].description)
      tm_json_set_str(a, o, "description", q->tools[i].description);
    tm_json_set(a, o, "input_schema",
                tm_shape_lower(q->tools[i].shape, TM_DIALECT_ANTHROPIC)->schema);
    tm_json_push(a, list, o);
  }
  tm_json_set(a, body, "tools", list);
  bool forced = name || (choice && strcmp(choice, "required") == 0);
  if (forced && rules & TM_MODEL_NO_FORCED_TOOL) {
    tm_llm_drop(wire, a, "tool_choice");
    return;
  }
  if (!name && !choice)
    return;
  tm_json_set_str(a, how, "type", name ? "tool" : forced ? "any" : choice);
  if (name)
    tm_json_set_str(a, how, "name", name);
  tm_json_set(a, body, "tool_choice", how);
}

static void put_output(tm_llm_wire *wire, tm_json *body, tm_arena *a, const tm_llm_question *q,
                       const char *effort) {
  static const char *const efforts[] = {"low", "medium", "high", "xhigh", "max"};
  tm_json *output = tm_json_new_object(a);
  if (q->shape) {
    const tm_lowered *lowered = tm_shape_lower(q->shape, TM_DIALECT_ANTHROPIC);
    tm_json *format = tm_json_new_object(a);
    tm_json_set_str(a, format, "type", "json_schema");
    tm_json_set(a, format, "schema", lowered->schema);
    wire->wrapped = lowered->wrapped;
    tm_json_set(a, output, "format", format);
  }
  bool known = false;
  for (size_t i = 0; effort && i < sizeof efforts / sizeof *efforts; i++)
    known |= strcmp(effort, efforts[i]) == 0;
  if (known)
    tm_json_set_str(a, output, "effort", effort);
  else if (effort)
    tm_llm_drop(wire, a, "reasoningEffort");
  if (tm_json_len(output))
    tm_json_set(a, body, "output_config", output);
}

static bool samples(const tm_json *body) {
  return tm_json_get(body, "temperature") || tm_json_get(body, "top_p") ||
         tm_json_get(body, "top_k");
}

static int put_headers(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                       const tm_llm_settings *s, tm_err *err) {
  const char *token = tm_llm_setting(s, "ANTHROPIC_AUTH_TOKEN");
  if (tm_llm_key(&out->secret, &tm_anthropic, s, q, err) < 0)
    return -1;
  tm_llm_put_types(out, q, "text/event-stream");
  if (token && out->secret == token)
    tm_llm_put_bearer(out, a);
  else
    tm_llm_put_header(out, "x-api-key", out->secret);
  return 0;
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  *out = (tm_llm_wire){.method = "POST"};
  if (q->input)
    return tm_err_set(err, TM_USAGE,
                      "anthropic has no embeddings; ask openai, gemini or ollama for them");
  out->url = tm_llm_url(a, &tm_anthropic, s, "/v1/messages");
  if (put_headers(out, a, q, s, err) < 0)
    return -1;
  const tm_json *config = q->config;
  unsigned rules = q->rules;
  tm_json *body = tm_json_new_object(a);
  tm_json_set_str(a, body, "model", q->model);
  tm_json_set_int(a, body, "max_tokens", MAX_TOKENS);
  if (put_messages(body, a, q->messages, err) < 0)
    return -1;
  tm_llm_put_config(out, a, body, config, fields, FIELDS, rules, handled);
  put_output(out, body, a, q, tm_json_get_str(config, "reasoningEffort"));
  if (q->tool_count)
    put_tools(out, body, a, q, rules);
  if (q->stream)
    tm_json_set_bool(a, body, "stream", true);
  const char *version = tm_llm_setting(s, "ANTHROPIC_VERSION");
  bool old = rules & TM_MODEL_VERSION_2023 && samples(body);
  tm_llm_put_header(out, "anthropic-version", version ? version : old ? VERSION_2023 : VERSION);
  return tm_llm_put_body(out, a, body, err);
}

/* -- reading --------------------------------------------------------------------------- */

static int64_t sum(int64_t a, int64_t b) {
  return a < 0 ? b : b < 0 ? a : a + b;
}

/* A later event tells only what changed. */
static void take(int64_t *to, const tm_json *usage, const char *pointer) {
  int64_t n = tm_llm_count(usage, pointer);
  if (n >= 0)
    *to = n;
}

/* Anthropic's input_tokens leave the cache out; everybody else's include it, and so do ours. A
 * later event may tell any of the three again. */
static void read_usage(tm_heard *h, const tm_json *usage) {
  tm_llm_counts *c = &h->counts;
  if (!usage || tm_json_type_of(usage) != TM_JSON_OBJECT)
    return;
  int64_t fresh = c->input < 0 ? -1 : c->input - sum(sum(0, c->cached_input), c->cache_write);
  h->counted = true;
  take(&fresh, usage, "/input_tokens");
  take(&c->cached_input, usage, "/cache_read_input_tokens");
  take(&c->cache_write, usage, "/cache_creation_input_tokens");
  take(&c->output, usage, "/output_tokens");
  take(&c->reasoning, usage, "/output_tokens_details/thinking_tokens");
  c->input = fresh < 0 ? -1 : sum(sum(fresh, c->cached_input), c->cache_write);
}

static void read_end(tm_heard *h, const tm_json *o) {
  tm_heard_keep(h, &h->finish, tm_json_get(o, "stop_reason"));
  tm_heard_keep(h, &h->why, tm_json_pointer(o, "/stop_details/explanation"));
}

static bool is(const tm_json *o, const char *key, const char *word) {
  const char *text = tm_json_get_str(o, key);
  return text && strcmp(text, word) == 0;
}

static int read_body(tm_heard *h, const tm_json *body, tm_err *err) {
  const tm_json *content = tm_json_get(body, "content");
  read_usage(h, tm_json_get(body, "usage"));
  if (!content || tm_json_type_of(content) != TM_JSON_ARRAY)
    return tm_err_set(err, TM_FAILED, "no content");
  for (size_t i = 0; i < tm_json_len(content); i++) {
    const tm_json *block = tm_json_at(content, i);
    int rc = 0;
    if (is(block, "type", "text"))
      rc = tm_heard_say(h, &h->text, tm_json_get(block, "text"), "content[].text", err);
    else if (is(block, "type", "tool_use"))
      rc = tm_heard_call(h, tm_json_get(block, "id"), tm_json_get(block, "name"),
                         tm_json_get(block, "input"), err);
    else if (is(block, "type", "thinking") || is(block, "type", "redacted_thinking"))
      tm_heard_opaque(h, block);
    if (rc < 0)
      return -1;
  }
  tm_heard_keep(h, &h->model, tm_json_get(body, "model"));
  read_end(h, body);
  return 0;
}

/* -- listening ------------------------------------------------------------------------- */

static int begin_block(tm_heard *h, const tm_json *block, tm_err *err) {
  if (is(block, "type", "text"))
    return tm_heard_say(h, &h->text, tm_json_get(block, "text"), "content_block.text", err);
  if (is(block, "type", "tool_use"))
    return tm_heard_call(h, tm_json_get(block, "id"), tm_json_get(block, "name"), NULL, err);
  if (is(block, "type", "thinking") || is(block, "type", "redacted_thinking"))
    tm_heard_opaque(h, block);
  return 0;
}

/* The last thought, as text that grows: it has to go back byte for byte. */
static void think(tm_heard *h, const tm_json *delta, const char *key) {
  size_t last = tm_json_len(h->opaque), len, more_len;
  tm_json *block = last ? (tm_json *)tm_json_at(h->opaque, last - 1) : NULL;
  const char *more = tm_json_str(tm_json_get(delta, key), &more_len);
  const char *text = tm_json_str(tm_json_get(block, key), &len);
  if (!block || !more)
    return;
  tm_json_set(h->a, block, key,
              text ? tm_json_new_str(h->a, tm_arena_printf(h->a, "%s%s", text, more))
                   : tm_json_new_strn(h->a, more, more_len));
}

/* Blocks come one after the other, so a piece always belongs to the last. */
static int hear_delta(tm_heard *h, const tm_json *delta, tm_err *err) {
  if (is(delta, "type", "text_delta"))
    return tm_heard_say(h, &h->text, tm_json_get(delta, "text"), "delta.text", err);
  if (is(delta, "type", "input_json_delta") && h->tool_count)
    return tm_heard_say(h, &h->tools[h->tool_count - 1].text,
                        tm_json_get(delta, "partial_json"), "delta.partial_json", err);
  think(h, delta, is(delta, "type", "signature_delta") ? "signature" : "thinking");
  return 0;
}

static int hear(tm_heard *h, const tm_json *event, tm_err *err) {
  const char *type = tm_json_get_str(event, "type");
  if (!type)
    return tm_err_set(err, TM_FAILED, "an event without a type");
  if (strcmp(type, "content_block_delta") == 0)
    return hear_delta(h, tm_json_get(event, "delta"), err);
  if (strcmp(type, "content_block_start") == 0)
    return begin_block(h, tm_json_get(event, "content_block"), err);
  if (strcmp(type, "message_start") == 0) {
    tm_heard_keep(h, &h->model, tm_json_pointer(event, "/message/model"));
    read_usage(h, tm_json_pointer(event, "/message/usage"));
  } else if (strcmp(type, "message_delta") == 0) {
    read_end(h, tm_json_get(event, "delta"));
    read_usage(h, tm_json_get(event, "usage"));
  } else if (strcmp(type, "message_stop") == 0) {
    h->whole = true;
  }
  return 0;
}

static const tm_llm_finish finishes[] = {{"refusal", TM_LLM_REFUSED},
                                         {"max_tokens", TM_LLM_TRUNCATED},
                                         {"pause_turn", TM_LLM_TRUNCATED},
                                         {"model_context_window_exceeded", TM_LLM_CONTEXT},
                                         {NULL, TM_LLM_NONE}};

const tm_provider tm_anthropic = {.name = "anthropic",
                                  .key_env = "ANTHROPIC_API_KEY",
                                  .other_key_env = "ANTHROPIC_AUTH_TOKEN",
                                  .base_env = "ANTHROPIC_BASE_URL",
                                  .base = "https://api.anthropic.com",
                                  .build = build,
                                  .read = read_body,
                                  .event = hear,
                                  .finishes = finishes};
