/* gemini.c - Google's generateContent.
 *
 *   POST BASE/v1beta/models/MODEL:generateContent        x-goog-api-key
 *   {contents:[{role:"user"|"model", parts}], systemInstruction?, tools?, generationConfig?:{
 *    temperature, maxOutputTokens, responseMimeType, responseJsonSchema ...}}
 *   -> {candidates:[{content:{parts}, finishReason}], promptFeedback?, usageMetadata,
 *       modelVersion, responseId}
 *   or :streamGenerateContent?alt=sse, events that are pieces of the same object
 *
 * A stream has no terminator of its own: it is whole when a piece has told a finishReason, or
 * that the prompt was blocked.
 *
 *   POST BASE/v1beta/models/MODEL:batchEmbedContents {requests:[{model, content}]}
 *   -> {embeddings:[{values}]}
 */
#include <string.h>

#include "llm/provider.h"

static const tm_llm_field fields[] = {
    {"temperature", "temperature", TM_MODEL_NO_SAMPLING},
    {"topP", "topP", TM_MODEL_NO_SAMPLING},
    {"topK", "topK", TM_MODEL_NO_SAMPLING},
    {"maxOutputTokens", "maxOutputTokens", 0},
    {"stopSequences", "stopSequences", TM_MODEL_NO_STOP},
    {"seed", "seed", 0},
    {"frequencyPenalty", "frequencyPenalty", TM_MODEL_NO_SAMPLING},
    {"presencePenalty", "presencePenalty", TM_MODEL_NO_SAMPLING},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const handled[] = {"reasoningEffort", NULL};

/* What a signed call has to carry when it comes from another model; documented by Google. */
#define NO_SIGNATURE "skip_thought_signature_validator"

/* -- asking ---------------------------------------------------------------------------- */

/* {key: {...}} */
static tm_json *boxed(tm_arena *a, const char *key, const tm_json *value) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set(a, o, key, value);
  return o;
}

static tm_json *media_part(tm_arena *a, const tm_llm_media *media) {
  tm_json *inner = tm_json_new_object(a);
  tm_json_set_str(a, inner, "mimeType", media->type);
  tm_json_set_str(a, inner, media->data ? "data" : "fileUri",
                  media->data ? media->data : media->url);
  return boxed(a, media->data ? "inlineData" : "fileData", inner);
}

static tm_json *call_part(tm_arena *a, const tm_json *request) {
  const tm_json *input = tm_json_get(request, "input"),
                *opaque = tm_json_get(request, "opaque");
  tm_json *call = tm_json_new_object(a);
  tm_json_set(a, call, "name", tm_json_get(request, "name"));
  tm_json_set(a, call, "args", input ? input : tm_json_new_object(a));
  tm_json *part = boxed(a, "functionCall", call);
  tm_json_set(a, part, "thoughtSignature",
              tm_json_len(opaque) ? tm_json_at(opaque, 0) : tm_json_new_str(a, NO_SIGNATURE));
  return part;
}

/* The response must be an object. */
static tm_json *result_part(tm_arena *a, const tm_json *response) {
  const tm_json *output = tm_json_get(response, "output");
  tm_json *inner = tm_json_new_object(a);
  bool object = output && tm_json_type_of(output) == TM_JSON_OBJECT;
  tm_json_set(a, inner, "name", tm_json_get(response, "name"));
  tm_json_set(a, inner, "response",
              object ? output : boxed(a, "result", output ? output : tm_json_null(a)));
  return boxed(a, "functionResponse", inner);
}

static int put_part(tm_json *parts, tm_arena *a, const tm_json *part, tm_err *err) {
  const tm_json *text = tm_json_get(part, "text");
  const tm_json *request = tm_json_get(part, "toolRequest");
  const tm_json *response = tm_json_get(part, "toolResponse");
  tm_llm_media media;
  if (text)
    tm_json_push(a, parts, boxed(a, "text", text));
  else if (request)
    tm_json_push(a, parts, call_part(a, request));
  else if (response)
    tm_json_push(a, parts, result_part(a, response));
  else if (tm_llm_media_of(&media, a, part))
    tm_json_push(a, parts, media_part(a, &media));
  else if (!tm_json_get(part, "metadata"))
    return tm_llm_refuse_part("gemini", part, "text and media", err);
  return 0;
}

static int put_messages(tm_json *body, tm_arena *a, const tm_json *all, tm_err *err) {
  tm_json *contents = tm_json_new_array(a), *system = tm_llm_system(a, all);
  size_t len = 0;
  if (!system)
    return tm_err_set(err, TM_USAGE, "gemini: a system message may only hold text");
  for (size_t i = 0; i < tm_json_len(all); i++) {
    const tm_json *from = tm_json_get(tm_json_at(all, i), "content");
    const char *role = tm_llm_role(tm_json_at(all, i));
    if (strcmp(role, "system") == 0)
      continue;
    tm_json *turn = tm_json_new_object(a), *parts = tm_json_new_array(a);
    for (size_t k = 0; k < tm_json_len(from); k++)
      if (put_part(parts, a, tm_json_at(from, k), err) < 0)
        return -1;
    tm_json_set_str(a, turn, "role", strcmp(role, "assistant") == 0 ? "model" : "user");
    tm_json_set(a, turn, "parts", parts);
    tm_json_push(a, contents, turn);
  }
  if (!tm_json_len(contents))
    return tm_err_set(err, TM_USAGE,
                      "gemini: the prompt has only system text; put what is asked into {{role "
                      "\"user\"}}");
  if (tm_json_str(system, &len) && len) {
    tm_json *parts = tm_json_new_array(a);
    tm_json_push(a, parts, boxed(a, "text", system));
    tm_json_set(a, body, "systemInstruction", boxed(a, "parts", parts));
  }
  tm_json_set(a, body, "contents", contents);
  return 0;
}

static void put_effort(tm_llm_wire *wire, tm_json *config, tm_arena *a, const char *effort) {
  static const char *const levels[][2] = {
      {"minimal", "MINIMAL"}, {"low", "LOW"}, {"medium", "MEDIUM"}, {"high", "HIGH"}};
  for (size_t i = 0; effort && i < sizeof levels / sizeof *levels; i++)
    if (strcmp(levels[i][0], effort) == 0) {
      tm_json *level = tm_json_new_str(a, levels[i][1]);
      tm_json_set(a, config, "thinkingConfig", boxed(a, "thinkingLevel", level));
      return;
    }
  if (effort)
    tm_llm_drop(wire, a, "reasoningEffort");
}

static void put_tools(tm_json *body, tm_arena *a, const tm_llm_question *q) {
  const char *name, *choice = tm_llm_tool_choice(q, &name);
  tm_json *list = tm_json_new_array(a), *tools = tm_json_new_array(a);
  for (size_t i = 0; i < q->tool_count; i++) {
    tm_json *o = tm_json_new_object(a);
    tm_json_set_str(a, o, "name", q->tools[i].name);
    if (q->tools[i].description)
      tm_json_set_str(a, o, "description", q->tools[i].description);
    tm_json_set(a, o, "parametersJsonSchema",
                tm_shape_lower(q->tools[i].shape, TM_DIALECT_GEMINI)->schema);
    tm_json_push(a, list, o);
  }
  tm_json_push(a, tools, boxed(a, "functionDeclarations", list));
  tm_json_set(a, body, "tools", tools);
  if (!choice && !name)
    return;
  tm_json *how = tm_json_new_object(a);
  tm_json_set_str(a, how, "mode",
                  name || strcmp(choice, "required") == 0 ? "ANY"
                  : strcmp(choice, "none") == 0           ? "NONE"
                                                          : "AUTO");
  if (name) {
    tm_json *names = tm_json_new_array(a);
    tm_json_push(a, names, tm_json_new_str(a, name));
    tm_json_set(a, how, "allowedFunctionNames", names);
  }
  tm_json_set(a, body, "toolConfig", boxed(a, "functionCallingConfig", how));
}

static int build_embeddings(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                            tm_err *err) {
  static const tm_llm_field names[] = {{"dimensions", "outputDimensionality", 0}};
  tm_json *body = tm_json_new_object(a), *requests = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(q->input); i++) {
    tm_json *o = tm_json_new_object(a), *parts = tm_json_new_array(a);
    tm_json_push(a, parts, boxed(a, "text", tm_json_at(q->input, i)));
    tm_json_set_str(a, o, "model", tm_arena_printf(a, "models/%s", q->model));
    tm_json_set(a, o, "content", boxed(a, "parts", parts));
    out->dropped = NULL;
    tm_llm_put_config(out, a, o, q->config, names, 1, 0, NULL);
    tm_json_push(a, requests, o);
  }
  tm_json_set(a, body, "requests", requests);
  return tm_llm_put_body(out, a, body, err);
}

static void put_url(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                    const tm_llm_settings *s) {
  const char *verb = q->input    ? "batchEmbedContents"
                     : q->stream ? "streamGenerateContent"
                                 : "generateContent";
  out->url =
      tm_llm_url(a, &tm_gemini, s, tm_arena_printf(a, "/v1beta/models/%s:%s", q->model, verb));
  if (q->stream && out->url)
    out->url = tm_arena_printf(a, "%s%calt=sse", out->url, strchr(out->url, '?') ? '&' : '?');
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  *out = (tm_llm_wire){.method = "POST"};
  if (strpbrk(q->model, "?#% "))
    return tm_err_set(err, TM_USAGE, "gemini: \"%.80s\" cannot be the name of a model",
                      q->model);
  put_url(out, a, q, s);
  if (tm_llm_key(&out->secret, &tm_gemini, s, q, err) < 0)
    return -1;
  tm_llm_put_types(out, q, "text/event-stream");
  tm_llm_put_header(out, "x-goog-api-key", out->secret);
  if (q->input)
    return build_embeddings(out, a, q, err);
  tm_json *body = tm_json_new_object(a), *config = tm_json_new_object(a);
  if (put_messages(body, a, q->messages, err) < 0)
    return -1;
  tm_llm_put_config(out, a, config, q->config, fields, FIELDS, q->rules, handled);
  put_effort(out, config, a, tm_json_get_str(q->config, "reasoningEffort"));
  if (q->shape) {
    const tm_lowered *lowered = tm_shape_lower(q->shape, TM_DIALECT_GEMINI);
    tm_json_set_str(a, config, "responseMimeType", "application/json");
    tm_json_set(a, config, "responseJsonSchema", lowered->schema);
    out->wrapped = lowered->wrapped;
  }
  if (q->tool_count)
    put_tools(body, a, q);
  if (tm_json_len(config))
    tm_json_set(a, body, "generationConfig", config);
  return tm_llm_put_body(out, a, body, err);
}

/* -- reading --------------------------------------------------------------------------- */

static int64_t sum(int64_t a, int64_t b) {
  return a < 0 ? b : b < 0 ? a : a + b;
}

/* Thoughts are not among the candidates' tokens; with everybody else they are. */
static void read_usage(tm_heard *h, const tm_json *usage) {
  if (!usage || tm_json_type_of(usage) != TM_JSON_OBJECT)
    return;
  int64_t said = tm_llm_count(usage, "/candidatesTokenCount");
  int64_t thought = tm_llm_count(usage, "/thoughtsTokenCount");
  h->counted = true;
  h->counts = (tm_llm_counts){.input = sum(tm_llm_count(usage, "/promptTokenCount"),
                                           tm_llm_count(usage, "/toolUsePromptTokenCount")),
                              .cached_input = tm_llm_count(usage, "/cachedContentTokenCount"),
                              .cache_write = -1,
                              .output = sum(said, thought),
                              .reasoning = thought,
                              .total = tm_llm_count(usage, "/totalTokenCount")};
}

static int read_part(tm_heard *h, const tm_json *part, tm_err *err) {
  const tm_json *call = tm_json_get(part, "functionCall");
  if (tm_json_bool(tm_json_get(part, "thought"), false))
    return 0;
  if (!call)
    return tm_heard_say(h, &h->text, tm_json_get(part, "text"), "a part's text", err);
  if (tm_json_get(part, "thoughtSignature"))
    tm_heard_opaque(h, tm_json_get(part, "thoughtSignature"));
  return tm_heard_call(h, tm_json_get(call, "id"), tm_json_get(call, "name"),
                       tm_json_get(call, "args"), err);
}

/* A piece of a stream, or all of an answer: they look the same. */
static int hear(tm_heard *h, const tm_json *body, tm_err *err) {
  const tm_json *candidate = tm_json_at(tm_json_get(body, "candidates"), 0);
  const tm_json *parts = tm_json_pointer(candidate, "/content/parts");
  const tm_json *blocked = tm_json_pointer(body, "/promptFeedback/blockReason");
  read_usage(h, tm_json_get(body, "usageMetadata"));
  tm_heard_keep(h, &h->model, tm_json_get(body, "modelVersion"));
  tm_heard_keep(h, &h->id, tm_json_get(body, "responseId"));
  if (blocked) {
    h->finish = "SAFETY";
    tm_heard_keep(h, &h->why, blocked);
    h->whole = true;
    return 0;
  }
  for (size_t i = 0; i < tm_json_len(parts); i++)
    if (read_part(h, tm_json_at(parts, i), err) < 0)
      return -1;
  tm_heard_keep(h, &h->finish, tm_json_get(candidate, "finishReason"));
  tm_heard_keep(h, &h->why, tm_json_get(candidate, "finishMessage"));
  h->whole = h->finish != NULL;
  return 0;
}

static int read_body(tm_heard *h, const tm_json *body, tm_err *err) {
  if (hear(h, body, err) < 0)
    return -1;
  if (h->whole)
    return 0;
  return tm_err_set(err, TM_FAILED,
                    tm_json_len(tm_json_get(body, "candidates")) ? "no finishReason"
                                                                 : "no candidates");
}

static int read_vectors(tm_json **out, tm_heard *h, const tm_json *body, tm_err *err) {
  const tm_json *list = tm_json_get(body, "embeddings");
  (void)err;
  *out = tm_json_new_array(h->a);
  read_usage(h, tm_json_get(body, "usageMetadata"));
  for (size_t i = 0; i < tm_json_len(list); i++)
    tm_json_push(h->a, *out, tm_json_get(tm_json_at(list, i), "values"));
  return 0;
}

static const tm_llm_finish finishes[] = {{"MAX_TOKENS", TM_LLM_TRUNCATED},
                                         {"SAFETY", TM_LLM_FILTERED},
                                         {"RECITATION", TM_LLM_FILTERED},
                                         {"LANGUAGE", TM_LLM_FILTERED},
                                         {"BLOCKLIST", TM_LLM_FILTERED},
                                         {"PROHIBITED_CONTENT", TM_LLM_FILTERED},
                                         {"SPII", TM_LLM_FILTERED},
                                         {"MALFORMED_FUNCTION_CALL", TM_LLM_BAD_OUTPUT},
                                         {"UNEXPECTED_TOOL_CALL", TM_LLM_BAD_OUTPUT},
                                         {"TOO_MANY_TOOL_CALLS", TM_LLM_BAD_OUTPUT},
                                         {"MALFORMED_RESPONSE", TM_LLM_BAD_OUTPUT},
                                         {"CONTINUATION", TM_LLM_TRUNCATED},
                                         {"OTHER", TM_LLM_SERVER},
                                         {NULL, TM_LLM_NONE}};

const tm_provider tm_gemini = {.name = "gemini",
                               .key_env = "GOOGLE_API_KEY",
                               .other_key_env = "GEMINI_API_KEY",
                               .base_env = "GOOGLE_GEMINI_BASE_URL",
                               .base = "https://generativelanguage.googleapis.com",
                               .build = build,
                               .read = read_body,
                               .event = hear,
                               .finishes = finishes,
                               .vectors = read_vectors};
