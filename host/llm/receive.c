/* receive.c - whatever came back, as an answer or as one class of error.
 *
 *   fault below HTTP      -> network, timeout, server_error (too large), invalid_request
 *   2xx, JSON, readable   -> the provider's read()
 *   2xx, anything else    -> server_error: a gateway's page, a cut body; worth another try
 *   other statuses        -> by the words in the error body, else by the status
 */
#include <stdio.h>
#include <string.h>

#include "llm/provider.h"

#define QUOTE_MAX    200
#define COUNT_ABSURD INT64_C(1000000000000)

bool tm_llm_retryable(tm_llm_class c) {
  return c == TM_LLM_NETWORK || c == TM_LLM_TIMEOUT || c == TM_LLM_RATE_LIMITED ||
         c == TM_LLM_OVERLOADED || c == TM_LLM_SERVER;
}

/* -- text for people ------------------------------------------------------------- */

const char *tm_llm_quote(tm_arena *a, const char *text, size_t len, size_t max) {
  size_t n = len < max ? len : max;
  char *out = tm_arena_alloc(a, n * 4 + 4), *at = out;
  if (!out)
    return "";
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c >= ' ' && c <= '~')
      *at++ = (char)c;
    else if (c == '\n' || c == '\t' || c == '\r')
      *at++ = ' ';
    else
      at += snprintf(at, 5, "\\x%02x", c);
  }
  memcpy(at, len > max ? "..." : "", len > max ? 4 : 1);
  return out;
}

const char *tm_llm_mask(tm_arena *a, const char *text, size_t *len, const char *secret) {
  size_t n = secret ? strlen(secret) : 0;
  if (n < 4 || !text || !memmem(text, *len, secret, n))
    return text;
  tm_buf out = TM_BUF_INIT;
  const char *at = text, *end = text + *len;
  for (const char *hit; (hit = memmem(at, (size_t)(end - at), secret, n)); at = hit + n) {
    tm_buf_put(&out, at, (size_t)(hit - at));
    tm_buf_puts(&out, "***");
  }
  tm_buf_put(&out, at, (size_t)(end - at));
  *len = out.len;
  const char *masked = tm_arena_strndup(a, tm_buf_str(&out), out.len);
  tm_buf_free(&out);
  if (!masked)
    *len = 0;
  return masked ? masked : "";
}

/* -- counts ---------------------------------------------------------------------- */

int64_t tm_llm_count(const tm_json *o, const char *pointer) {
  int64_t n = tm_json_int(tm_json_pointer(o, pointer), -1);
  return n < 0 || n > COUNT_ABSURD ? -1 : n;
}

static void put_count(tm_arena *a, tm_json *o, const char *key, int64_t n) {
  tm_json_set(a, o, key, n < 0 ? tm_json_null(a) : tm_json_new_int(a, n));
}

tm_json *tm_llm_usage(tm_arena *a, tm_llm_counts c) {
  tm_json *o = tm_json_new_object(a);
  if (c.total < 0 && c.input >= 0 && c.output >= 0)
    c.total = c.input + c.output;
  put_count(a, o, "input", c.input);
  put_count(a, o, "cached_input", c.cached_input);
  put_count(a, o, "output", c.output);
  put_count(a, o, "reasoning", c.reasoning);
  put_count(a, o, "total", c.total);
  return o;
}

/* -- classes ----------------------------------------------------------------------------------
 */

static tm_llm_class class_of_status(int status) {
  switch (status) {
  case 401:
  case 403:
    return TM_LLM_AUTH;
  case 402:
    return TM_LLM_QUOTA;
  case 408:
  case 504:
    return TM_LLM_TIMEOUT;
  case 409: /* somebody else is at it: try again */
    return TM_LLM_SERVER;
  case 429:
    return TM_LLM_RATE_LIMITED;
  case 503:
  case 529:
    return TM_LLM_OVERLOADED;
  default:
    return status >= 300 && status < 500 ? TM_LLM_INVALID : TM_LLM_SERVER;
  }
}

/* The stable words in error bodies; messages are never looked at. */
static tm_llm_class class_of_word(const char *word) {
  static const struct {
    const char *word;
    tm_llm_class class;
  } words[] = {{"insufficient_quota", TM_LLM_QUOTA},
               {"billing_hard_limit_reached", TM_LLM_QUOTA},
               {"billing_not_active", TM_LLM_QUOTA},
               {"billing_error", TM_LLM_QUOTA},
               {"enforced_spend_limit_reached", TM_LLM_QUOTA},
               {"contract_spend_limit_reached", TM_LLM_QUOTA},
               {"context_length_exceeded", TM_LLM_CONTEXT},
               {"exceed_context_size_error", TM_LLM_CONTEXT},
               {"content_filter", TM_LLM_FILTERED},
               {"content_policy_violation", TM_LLM_FILTERED},
               {"invalid_api_key", TM_LLM_AUTH},
               {"authentication_error", TM_LLM_AUTH},
               {"permission_error", TM_LLM_AUTH},
               {"rate_limit_error", TM_LLM_RATE_LIMITED},
               {"rate_limit_exceeded", TM_LLM_RATE_LIMITED},
               {"overloaded_error", TM_LLM_OVERLOADED},
               {"unavailable_error", TM_LLM_OVERLOADED},
               {"timeout_error", TM_LLM_TIMEOUT},
               {"api_error", TM_LLM_SERVER},
               {"server_error", TM_LLM_SERVER}};
  for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i].word, word) == 0)
      return words[i].class;
  return TM_LLM_NONE;
}

static tm_llm_class class_of_error(const tm_json *error, int status) {
  static const char *const places[] = {"/details/error_code", "/code", "/type", "/status"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    tm_llm_class c = class_of_word(tm_json_str(tm_json_pointer(error, places[i]), NULL));
    if (c != TM_LLM_NONE)
      return c;
  }
  return class_of_status(status);
}

/* -- the outcomes ---------------------------------------------------------------- */

static void fault(tm_llm_answer *out, tm_arena *a, const tm_http_res *res) {
  static const struct {
    tm_llm_class class;
    int retry;
  } table[] = {[TM_HTTP_REFUSED] = {TM_LLM_NETWORK, 0}, [TM_HTTP_TLS] = {TM_LLM_NETWORK, -1},
               [TM_HTTP_RESET] = {TM_LLM_NETWORK, 0},   [TM_HTTP_TIMEOUT] = {TM_LLM_TIMEOUT, 0},
               [TM_HTTP_LIMIT] = {TM_LLM_SERVER, -1},   [TM_HTTP_ABORTED] = {TM_LLM_SERVER, -1},
               [TM_HTTP_INVALID] = {TM_LLM_INVALID, -1}};
  out->class = table[res->fault].class;
  out->retry = table[res->fault].retry;
  out->message = tm_arena_strdup(a, res->message);
}

static void misunderstood(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                          const tm_http_res *res, const char *how) {
  out->class = TM_LLM_SERVER;
  out->message = tm_arena_printf(
      a, "%s answered with status %d, but not as its API does (%s). It begins: %s", p->name,
      res->status, how, tm_llm_quote(a, res->body, res->body_len, QUOTE_MAX));
}

static void redirected(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                       const tm_http_res *res) {
  const char *to = tm_http_header_of(res, "location");
  out->message =
      tm_arena_printf(a,
                      "%s sent us elsewhere (status %d to %s), and redirects are not "
                      "followed; set %s to the right address",
                      p->name, res->status,
                      to ? tm_llm_quote(a, to, strlen(to), QUOTE_MAX) : "nowhere", p->base_env);
}

static void complain(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                     const tm_http_res *res, const tm_json *error) {
  size_t len;
  const char *said = tm_json_str(tm_json_get(error, "message"), &len);
  if (!said)
    said = tm_json_str(error, &len);
  if (!said) {
    said = res->body;
    len = res->body_len;
  }
  out->message = tm_arena_printf(a, "%s answered with status %d: %s", p->name, res->status,
                                 len ? tm_llm_quote(a, said, len, QUOTE_MAX) : "(nothing)");
}

static const char *header_copy(tm_arena *a, const tm_http_res *res, const char *one,
                               const char *other) {
  const char *value = tm_http_header_of(res, one);
  if (!value)
    value = tm_http_header_of(res, other);
  return value ? tm_llm_quote(a, value, strlen(value), QUOTE_MAX) : NULL;
}

void tm_llm_receive(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                    const tm_http_res *res) {
  *out = (tm_llm_answer){0};
  if (res->fault != TM_HTTP_OK) {
    fault(out, a, res);
    return;
  }
  out->request_id = header_copy(a, res, "x-request-id", "request-id");
  tm_err err = TM_ERR_INIT;
  tm_json *body = NULL;
  int parsed = tm_json_parse(&body, a, res->body, res->body_len,
                             &(tm_json_opts){.last_wins = true}, &err);
  const tm_json *error = parsed == 0 ? tm_json_get(body, "error") : NULL;
  bool failed = error && tm_json_type_of(error) != TM_JSON_NULL;
  bool fine = res->status >= 200 && res->status < 300;
  if (!fine || failed) {
    out->class = class_of_error(error, fine ? 500 : res->status);
    if (res->status >= 300 && res->status < 400)
      redirected(out, a, p, res);
    else
      complain(out, a, p, res, error);
  } else if (parsed < 0 || tm_json_type_of(body) != TM_JSON_OBJECT) {
    misunderstood(out, a, p, res, parsed < 0 ? err.msg : "no JSON object");
    out->retry = err.code == TM_LIMIT ? -1 : 0;
  } else if (p->read(out, a, body, &err) < 0) {
    misunderstood(out, a, p, res, err.msg);
  }
  const char *told = tm_http_header_of(res, "x-should-retry");
  if (told && out->class != TM_LLM_NONE)
    out->retry = strcmp(told, "true") == 0 ? 1 : strcmp(told, "false") == 0 ? -1 : out->retry;
}
