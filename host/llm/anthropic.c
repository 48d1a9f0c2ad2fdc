/* anthropic.c - the Messages API.
 *
 *   POST BASE/v1/messages      x-api-key, anthropic-version
 *   {model, max_tokens, system?, messages:[{role, content}], output_config?:{format:{type:
 *    "json_schema", schema}, effort?}, stop_sequences? ...}
 *   -> {content:[{type:"text", text}], stop_reason, usage, model}
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
    {"stopSequences", "stop_sequences", 0},
    {"maxOutputTokens", "max_tokens", 0},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const handled[] = {"reasoningEffort", NULL};

/* -- asking ---------------------------------------------------------------------- */

static tm_json *text_block(tm_arena *a, const tm_json *text) {
  tm_json *block = tm_json_new_object(a);
  tm_json_set_str(a, block, "type", "text");
  tm_json_set(a, block, "text", text);
  return block;
}

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

static int put_blocks(tm_json *out, tm_arena *a, const tm_json *message, tm_err *err) {
  const tm_json *parts = tm_json_get(message, "content");
  for (size_t i = 0; i < tm_json_len(parts); i++) {
    const tm_json *part = tm_json_at(parts, i), *text = tm_json_get(part, "text");
    tm_llm_media media;
    tm_json *block = text                               ? text_block(a, text)
                     : tm_llm_media_of(&media, a, part) ? media_block(a, &media)
                                                        : NULL;
    if (block)
      tm_json_push(a, out, block);
    else if (!tm_json_get(part, "metadata"))
      return tm_err_set(
          err, TM_USAGE,
          "anthropic: a message holds something that is neither text, image nor PDF "
          "(%s); only those can be sent",
          media.type ? media.type : "an unknown part");
  }
  return 0;
}

static int put_turn(tm_json *messages, tm_arena *a, const tm_json *message, const char *role,
                    tm_err *err) {
  tm_json *out = tm_json_new_object(a), *content = tm_llm_plain(a, message);
  tm_json_set_str(a, out, "role", role);
  if (!content) {
    content = tm_json_new_array(a);
    if (put_blocks(content, a, message, err) < 0)
      return -1;
  }
  tm_json_set(a, out, "content", content);
  tm_json_push(a, messages, out);
  return 0;
}

/* System messages, wherever they stand, go into one text in front. */
static int put_messages(tm_json *body, tm_arena *a, const tm_json *all, tm_err *err) {
  tm_buf system = TM_BUF_INIT;
  tm_json *turns = tm_json_new_array(a);
  int rc = 0;
  for (size_t i = 0; i < tm_json_len(all) && rc == 0; i++) {
    const tm_json *message = tm_json_at(all, i);
    const char *role = tm_llm_role(message);
    size_t len;
    const char *text = NULL;
    if (role && strcmp(role, "system") == 0 &&
        (text = tm_json_str(tm_llm_plain(a, message), &len))) {
      tm_buf_puts(&system, system.len ? "\n\n" : "");
      tm_buf_put(&system, text, len);
    } else if (role && strcmp(role, "system") != 0) {
      rc = put_turn(turns, a, message, role, err);
    } else {
      rc = tm_err_set(err, TM_USAGE,
                      "anthropic: message %zu cannot be sent: its role must be system (text "
                      "only), user or model",
                      i + 1);
    }
  }
  if (rc == 0 && tm_json_len(turns) == 0)
    rc = tm_err_set(err, TM_USAGE,
                    "anthropic: the prompt has only system text; put what is asked into "
                    "{{role \"user\"}}");
  if (system.len)
    tm_json_set(a, body, "system", tm_json_new_strn(a, system.data, system.len));
  tm_json_set(a, body, "messages", turns);
  tm_buf_free(&system);
  return rc;
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
  tm_llm_put_header(out, "Content-Type", "application/json");
  tm_llm_put_header(out, "Accept", "application/json");
  if (!tm_llm_setting(s, tm_anthropic.key_env) && token) {
    out->secret = token;
    tm_llm_put_header(out, "Authorization", tm_arena_printf(a, "Bearer %s", token));
    return 0;
  }
  if (tm_llm_key(&out->secret, &tm_anthropic, s, q->model, err) < 0)
    return -1;
  tm_llm_put_header(out, "x-api-key", out->secret);
  return 0;
}

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  *out = (tm_llm_wire){.method = "POST"};
  out->url = tm_llm_url(a, &tm_anthropic, s, "/v1/messages");
  if (put_headers(out, a, q, s, err) < 0)
    return -1;
  const tm_json *config = tm_json_get(q->request, "config");
  unsigned rules = tm_llm_model_rules("anthropic", q->model);
  tm_json *body = tm_json_new_object(a);
  tm_json_set_str(a, body, "model", q->model);
  tm_json_set_int(a, body, "max_tokens", MAX_TOKENS);
  if (put_messages(body, a, q->messages, err) < 0)
    return -1;
  tm_llm_put_config(out, a, body, config, fields, FIELDS, rules, handled);
  put_output(out, body, a, q, tm_json_get_str(config, "reasoningEffort"));
  const char *version = tm_llm_setting(s, "ANTHROPIC_VERSION");
  bool old = rules & TM_MODEL_VERSION_2023 && samples(body);
  tm_llm_put_header(out, "anthropic-version", version ? version : old ? VERSION_2023 : VERSION);
  return tm_llm_put_body(out, a, body, err);
}

/* -- reading ----------------------------------------------------------------------------------
 */

static int64_t sum(int64_t a, int64_t b) {
  return a < 0 ? b : b < 0 ? a : a + b;
}

/* Anthropic's input_tokens leave the cache out; everybody else's include it, and so do ours. */
static void read_usage(tm_llm_answer *out, tm_arena *a, const tm_json *usage) {
  if (!usage || tm_json_type_of(usage) != TM_JSON_OBJECT)
    return;
  int64_t cached = tm_llm_count(usage, "/cache_read_input_tokens");
  int64_t written = tm_llm_count(usage, "/cache_creation_input_tokens");
  int64_t fresh = tm_llm_count(usage, "/input_tokens");
  out->usage = tm_llm_usage(
      a, (tm_llm_counts){.input = fresh < 0 ? -1 : sum(sum(fresh, cached), written),
                         .cached_input = cached,
                         .output = tm_llm_count(usage, "/output_tokens"),
                         .reasoning =
                             tm_llm_count(usage, "/output_tokens_details/thinking_tokens"),
                         .total = -1});
}

static void judge_stop(tm_llm_answer *out, tm_arena *a, const tm_json *body) {
  const char *stop = out->finish ? out->finish : "";
  if (strcmp(stop, "refusal") == 0) {
    const tm_json *why = tm_json_pointer(body, "/stop_details/explanation");
    size_t len = 0;
    const char *text = tm_json_str(why, &len);
    out->class = TM_LLM_REFUSED;
    out->message = tm_arena_printf(a, "the model refused: %s",
                                   text ? tm_llm_quote(a, text, len, 300) : "no reason given");
  } else if (strcmp(stop, "max_tokens") == 0) {
    out->class = TM_LLM_TRUNCATED;
    out->message =
        "the answer was cut at the output limit; raise config.maxOutputTokens (hidden "
        "reasoning counts too)";
  } else if (strcmp(stop, "model_context_window_exceeded") == 0) {
    out->class = TM_LLM_CONTEXT;
    out->message =
        "prompt and answer together do not fit the model's context window; shorten the "
        "prompt";
  }
}

static int read_answer(tm_llm_answer *out, tm_arena *a, const tm_json *body, tm_err *err) {
  const tm_json *content = tm_json_get(body, "content");
  read_usage(out, a, tm_json_get(body, "usage"));
  if (!content || tm_json_type_of(content) != TM_JSON_ARRAY)
    return tm_err_set(err, TM_FAILED, "no content");
  tm_buf text = TM_BUF_INIT;
  for (size_t i = 0; i < tm_json_len(content); i++) {
    const char *type = tm_json_get_str(tm_json_at(content, i), "type");
    size_t len;
    const char *piece = tm_json_str(tm_json_get(tm_json_at(content, i), "text"), &len);
    if (type && strcmp(type, "text") == 0 && piece)
      tm_buf_put(&text, piece, len);
  }
  out->text = tm_arena_strndup(a, tm_buf_str(&text), text.len);
  out->text_len = out->text ? text.len : 0;
  tm_buf_free(&text);
  out->finish = tm_json_get_str(body, "stop_reason");
  out->model = tm_json_get_str(body, "model");
  judge_stop(out, a, body);
  return out->text ? 0 : tm_err_set(err, TM_LIMIT, "the answer is too large");
}

const tm_provider tm_anthropic = {.name = "anthropic",
                                  .key_env = "ANTHROPIC_API_KEY",
                                  .base_env = "ANTHROPIC_BASE_URL",
                                  .base = "https://api.anthropic.com",
                                  .build = build,
                                  .read = read_answer};
