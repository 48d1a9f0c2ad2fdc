/* openai.c - Chat Completions: OpenAI's, and of all who speak it (vLLM, llama.cpp, Ollama,
 * Azure's v1, gateways) by OPENAI_BASE_URL.
 *
 *   POST BASE/chat/completions
 *   {model, messages:[{role, content}], response_format?:{type:"json_schema",
 * json_schema:{name, schema, strict}}, max_completion_tokens?, temperature? ...}
 *   -> {id, model, choices:[{message:{content, refusal?}, finish_reason}], usage}
 */
#include <ctype.h>
#include <string.h>

#include "llm/provider.h"

/* -- asking ---------------------------------------------------------------------- */

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
    {"topK", "top_k",
     0}, /* not OpenAI's own, but taken by most others: the last of the table */
};
#define FIELDS (sizeof fields / sizeof *fields)

static tm_json *text_part(tm_arena *a, const tm_json *text) {
  tm_json *part = tm_json_new_object(a);
  tm_json_set_str(a, part, "type", "text");
  tm_json_set(a, part, "text", text);
  return part;
}

static tm_json *image_part(tm_arena *a, const char *url) {
  tm_json *part = tm_json_new_object(a), *image = tm_json_new_object(a);
  tm_json_set_str(a, image, "url", url);
  tm_json_set_str(a, part, "type", "image_url");
  tm_json_set(a, part, "image_url", image);
  return part;
}

static int put_parts(tm_json *out, tm_arena *a, const tm_json *message, tm_err *err) {
  const tm_json *parts = tm_json_get(message, "content");
  for (size_t i = 0; i < tm_json_len(parts); i++) {
    const tm_json *part = tm_json_at(parts, i), *text = tm_json_get(part, "text");
    tm_llm_media media;
    if (text)
      tm_json_push(a, out, text_part(a, text));
    else if (tm_llm_media_of(&media, a, part) && strncmp(media.type, "image/", 6) == 0)
      tm_json_push(a, out, image_part(a, media.url));
    else if (!tm_json_get(part, "metadata"))
      return tm_err_set(err, TM_USAGE,
                        "openai: a message holds something that is neither text nor an image "
                        "(%s); only those can be sent",
                        media.type ? media.type : "an unknown part");
  }
  return 0;
}

static int put_message(tm_json *messages, tm_arena *a, const tm_json *message, tm_err *err) {
  const char *role = tm_llm_role(message);
  if (!role)
    return tm_err_set(
        err, TM_USAGE,
        "openai: a message has the role \"%s\"; only system, user and model can be "
        "sent",
        tm_json_get_str(message, "role") ? tm_json_get_str(message, "role") : "");
  tm_json *out = tm_json_new_object(a), *content = tm_llm_plain(a, message);
  tm_json_set_str(a, out, "role", role);
  if (!content) {
    content = tm_json_new_array(a);
    if (put_parts(content, a, message, err) < 0)
      return -1;
  }
  tm_json_set(a, out, "content", content);
  tm_json_push(a, messages, out);
  return 0;
}

/* The schema's name on the wire: at most 64 of [A-Za-z0-9_-]. */
static const char *schema_name(tm_arena *a, const tm_json *request) {
  const char *name = tm_json_get_str(request, "schema_name");
  if (!name || !*name)
    name = tm_json_get_str(request, "unit");
  if (!name || !*name)
    name = "answer";
  char *out = tm_arena_strndup(a, name, strnlen(name, 64));
  for (char *c = out; c && *c; c++)
    if (!isalnum((unsigned char)*c) && *c != '-')
      *c = '_';
  return out;
}

static void put_schema(tm_llm_wire *wire, tm_json *body, tm_arena *a,
                       const tm_llm_question *q) {
  const tm_lowered *lowered = tm_shape_lower(q->shape, TM_DIALECT_OPENAI);
  tm_json *format = tm_json_new_object(a), *inner = tm_json_new_object(a);
  tm_json_set_str(a, inner, "name", schema_name(a, q->request));
  tm_json_set(a, inner, "schema", lowered->schema);
  tm_json_set_bool(a, inner, "strict", lowered->strict);
  wire->wrapped = lowered->wrapped;
  tm_json_set_str(a, format, "type", "json_schema");
  tm_json_set(a, format, "json_schema", inner);
  tm_json_set(a, body, "response_format", format);
}

static unsigned rules_of(const tm_llm_question *q, const tm_json *config) {
  unsigned rules = tm_llm_model_rules("openai", q->model);
  const char *effort = tm_json_get_str(config, "reasoningEffort");
  if (rules & TM_MODEL_SAMPLING_BARE && !(effort && strcmp(effort, "none") == 0))
    rules |= NO_SAMPLING;
  return rules;
}

static int put_headers(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                       const tm_llm_settings *s, tm_err *err) {
  if (tm_llm_key(&out->secret, &tm_openai, s, q->model, err) < 0)
    return -1;
  tm_llm_put_header(out, "Content-Type", "application/json");
  tm_llm_put_header(out, "Accept", "application/json");
  if (out->secret)
    tm_llm_put_header(out, "Authorization", tm_arena_printf(a, "Bearer %s", out->secret));
  tm_llm_put_header(out, "OpenAI-Organization", tm_llm_setting(s, "OPENAI_ORG_ID"));
  tm_llm_put_header(out, "OpenAI-Project", tm_llm_setting(s, "OPENAI_PROJECT_ID"));
  return 0;
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  *out = (tm_llm_wire){.method = "POST"};
  out->url = tm_llm_url(a, &tm_openai, s, "/chat/completions");
  if (put_headers(out, a, q, s, err) < 0)
    return -1;
  tm_json *body = tm_json_new_object(a), *messages = tm_json_new_array(a);
  tm_json_set_str(a, body, "model", q->model);
  for (size_t i = 0; i < tm_json_len(q->messages); i++)
    if (put_message(messages, a, tm_json_at(q->messages, i), err) < 0)
      return -1;
  tm_json_set(a, body, "messages", messages);
  const tm_json *config = tm_json_get(q->request, "config");
  size_t known = tm_llm_own_base(&tm_openai, s) ? FIELDS - 1 : FIELDS;
  tm_llm_put_config(out, a, body, config, fields, known, rules_of(q, config), NULL);
  if (q->shape)
    put_schema(out, body, a, q);
  return tm_llm_put_body(out, a, body, err);
}

/* -- reading --------------------------------------------------------------------- */

static void read_usage(tm_llm_answer *out, tm_arena *a, const tm_json *usage) {
  if (!usage || tm_json_type_of(usage) != TM_JSON_OBJECT)
    return;
  out->usage = tm_llm_usage(
      a, (tm_llm_counts){
             .input = tm_llm_count(usage, "/prompt_tokens"),
             .cached_input = tm_llm_count(usage, "/prompt_tokens_details/cached_tokens"),
             .output = tm_llm_count(usage, "/completion_tokens"),
             .reasoning = tm_llm_count(usage, "/completion_tokens_details/reasoning_tokens"),
             .total = tm_llm_count(usage, "/total_tokens")});
}

/* Content is text, null, or (with some servers) a list of parts. */
static int read_content(tm_llm_answer *out, tm_arena *a, const tm_json *content, tm_err *err) {
  if (!content || tm_json_type_of(content) == TM_JSON_NULL) {
    out->text = "";
    return 0;
  }
  if (tm_json_type_of(content) == TM_JSON_ARRAY) {
    tm_json *holder = tm_json_new_object(a);
    tm_json_set(a, holder, "content", content);
    content = tm_llm_plain(a, holder);
  }
  out->text = tm_json_str(content, &out->text_len);
  return out->text ? 0 : tm_err_set(err, TM_FAILED, "message.content is no text");
}

static void judge_finish(tm_llm_answer *out, tm_arena *a, const tm_json *message) {
  size_t len = 0;
  const char *refusal = tm_json_str(tm_json_get(message, "refusal"), &len);
  const char *finish = out->finish ? out->finish : "";
  if (refusal && len) {
    out->class = TM_LLM_REFUSED;
    out->message =
        tm_arena_printf(a, "the model refused: %s", tm_llm_quote(a, refusal, len, 300));
  } else if (strcmp(finish, "content_filter") == 0) {
    out->class = TM_LLM_FILTERED;
    out->message = "the provider's content filter held the answer back";
  } else if (strcmp(finish, "length") == 0) {
    out->class = TM_LLM_TRUNCATED;
    out->message =
        "the answer was cut at the output limit; raise config.maxOutputTokens (hidden "
        "reasoning counts too)";
  }
}

static int read_answer(tm_llm_answer *out, tm_arena *a, const tm_json *body, tm_err *err) {
  const tm_json *choice = tm_json_at(tm_json_get(body, "choices"), 0);
  const tm_json *message = tm_json_get(choice, "message");
  read_usage(out, a, tm_json_get(body, "usage"));
  if (!choice || !message || tm_json_type_of(message) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_FAILED, choice ? "no message in choices[0]" : "no choices");
  out->finish = tm_json_get_str(choice, "finish_reason");
  out->model = tm_json_get_str(body, "model");
  out->fingerprint = tm_json_get_str(body, "system_fingerprint");
  if (read_content(out, a, tm_json_get(message, "content"), err) < 0)
    return -1;
  judge_finish(out, a, message);
  return 0;
}

const tm_provider tm_openai = {.name = "openai",
                               .key_env = "OPENAI_API_KEY",
                               .base_env = "OPENAI_BASE_URL",
                               .base = "https://api.openai.com/v1",
                               .build = build,
                               .read = read_answer};
