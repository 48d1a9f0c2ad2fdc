/* receive.c - whatever came back, as an answer or as one class of error.
 *
 *   fault below HTTP      -> network, timeout, server_error (too large), invalid_request
 *   2xx, JSON, readable   -> the provider's read()
 *   2xx, anything else    -> server_error: a gateway's page, a cut body; worth another try
 *   other statuses        -> by the words in the error body, else by the status
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/provider.h"
#include "llm/retry.h"

#define QUOTE_MAX    200
#define COUNT_ABSURD INT64_C(1000000000000)

bool tm_llm_retryable(tm_llm_class c) {
  return c == TM_LLM_NETWORK || c == TM_LLM_TIMEOUT || c == TM_LLM_RATE_LIMITED ||
         c == TM_LLM_OVERLOADED || c == TM_LLM_SERVER || c == TM_LLM_UNAVAILABLE;
}

/* -- text for people ------------------------------------------------------------------- */

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

/* -- counts ---------------------------------------------------------------------------- */

int64_t tm_llm_count(const tm_json *o, const char *pointer) {
  int64_t n = tm_json_int(tm_json_pointer(o, pointer), -1);
  return n < 0 || n > COUNT_ABSURD ? -1 : n;
}

static void put_count(tm_arena *a, tm_json *o, const char *key, int64_t n) {
  if (n < 0)
    tm_json_lend_str(a, o, key, NULL);
  else
    tm_json_lend_int(a, o, key, n);
}

tm_json *tm_llm_usage(tm_arena *a, tm_llm_counts c) {
  tm_json *o = tm_json_new_object(a);
  if (c.total < 0 && c.input >= 0 && c.output >= 0)
    c.total = c.input + c.output;
  put_count(a, o, "input", c.input);
  put_count(a, o, "cached_input", c.cached_input);
  put_count(a, o, "cache_write", c.cache_write);
  put_count(a, o, "output", c.output);
  put_count(a, o, "reasoning", c.reasoning);
  put_count(a, o, "total", c.total);
  return o;
}

/* -- classes --------------------------------------------------------------------------- */

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
               {"invalid_prompt", TM_LLM_INVALID},
               {"bio_policy", TM_LLM_FILTERED},
               {"misalignment_policy_violation", TM_LLM_FILTERED},
               {"API_KEY_INVALID", TM_LLM_AUTH},
               {"PERMISSION_DENIED", TM_LLM_AUTH},
               {"RESOURCE_EXHAUSTED", TM_LLM_RATE_LIMITED},
               {"UNAVAILABLE", TM_LLM_OVERLOADED},
               {"DEADLINE_EXCEEDED", TM_LLM_TIMEOUT},
               {"server_error", TM_LLM_SERVER}};
  for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i].word, word) == 0)
      return words[i].class;
  return TM_LLM_NONE;
}

static tm_llm_class class_of_error(const tm_json *error, int status) {
  static const char *const places[] = {"/details/error_code", "/details/0/reason", "/code",
                                       "/type", "/status"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    tm_llm_class c = class_of_word(tm_json_str(tm_json_pointer(error, places[i]), NULL));
    if (c != TM_LLM_NONE)
      return c;
  }
  return class_of_status(status);
}

/* -- the outcomes ---------------------------------------------------------------------- */

void tm_llm_faulty(tm_llm_answer *out, tm_arena *a, const tm_http_res *res) {
  static const struct {
    tm_llm_class class;
    int retry;
  } table[] = {
      [TM_HTTP_REFUSED] = {TM_LLM_NETWORK, 0},  [TM_HTTP_TLS] = {TM_LLM_NETWORK, -1},
      [TM_HTTP_RESET] = {TM_LLM_NETWORK, 0},    [TM_HTTP_TIMEOUT] = {TM_LLM_TIMEOUT, 0},
      [TM_HTTP_LIMIT] = {TM_LLM_SERVER, -1},    [TM_HTTP_ABORTED] = {TM_LLM_SERVER, -1},
      [TM_HTTP_INVALID] = {TM_LLM_INVALID, -1}, [TM_HTTP_GUARDED] = {TM_LLM_INVALID, -1}};
  out->class = table[res->fault].class;
  out->retry = table[res->fault].retry;
  out->message = tm_arena_strdup(a, res->message);
}

void tm_llm_misunderstood(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
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

/* Google says in the body how long to wait: {details:[{retryDelay:"34s"}]}. */
static int64_t wait_asked(const tm_json *error) {
  const tm_json *details = tm_json_get(error, "details");
  for (size_t i = 0; i < tm_json_len(details); i++) {
    const char *delay = tm_json_get_str(tm_json_at(details, i), "retryDelay");
    char *end;
    double s = delay ? strtod(delay, &end) : 0;
    if (s > 0 && strcmp(end, "s") == 0)
      return s * 1000 <= (double)TM_RETRY_ASKED_MAX ? (int64_t)(s * 1000)
                                                    : TM_RETRY_ASKED_MAX + 1;
  }
  return 0;
}

void tm_llm_complain(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                     const tm_http_res *res, const tm_json *error) {
  bool fine = res->status >= 200 && res->status < 300;
  size_t len;
  const char *said = tm_json_str(tm_json_get(error, "message"), &len);
  out->class = class_of_error(error, fine ? 500 : res->status);
  out->wait_ms = wait_asked(error);
  if (!said)
    said = tm_json_str(error, &len);
  if (!said) {
    said = res->body;
    len = res->body_len;
  }
  out->message = tm_arena_printf(a, "%s answered with status %d: %s", p->name, res->status,
                                 len ? tm_llm_quote(a, said, len, QUOTE_MAX) : "(nothing)");
}

void tm_llm_read_headers(tm_llm_answer *out, tm_arena *a, const tm_http_res *res) {
  const char *id = tm_http_header_of(res, "x-request-id");
  const char *told = tm_http_header_of(res, "x-should-retry");
  if (!id)
    id = tm_http_header_of(res, "request-id");
  if (id)
    out->request_id = tm_llm_quote(a, id, strlen(id), QUOTE_MAX);
  if (told && out->class != TM_LLM_NONE)
    out->retry = strcmp(told, "true") == 0 ? 1 : strcmp(told, "false") == 0 ? -1 : out->retry;
}

/* -- what was heard -------------------------------------------------------------------- */

static tm_llm_class class_of_finish(const tm_provider *p, const char *finish) {
  for (const tm_llm_finish *f = p->finishes; f && finish && f->word; f++)
    if (strcmp(f->word, finish) == 0)
      return f->class;
  return TM_LLM_NONE;
}

static const char *say_finish(tm_arena *a, tm_llm_class class, const tm_heard *h) {
  const char *why = h->why ? tm_llm_quote(a, h->why, strlen(h->why), 300) : NULL;
  switch (class) {
  case TM_LLM_REFUSED:
    return tm_arena_printf(a, "the model refused: %s", why ? why : "no reason given");
  case TM_LLM_FILTERED:
    return tm_arena_printf(a, "the provider's content filter held the answer back (%s)",
                           why ? why : h->finish);
  case TM_LLM_TRUNCATED:
    return "the answer was cut at the output limit; raise config.maxOutputTokens (hidden "
           "reasoning counts too)";
  case TM_LLM_CONTEXT:
    return "prompt and answer together do not fit the model's context window; shorten the "
           "prompt";
  default:
    return tm_arena_printf(a, "the provider ended the answer with \"%.60s\"%s%s", h->finish,
                           why ? ": " : "", why ? why : "");
  }
}

static tm_json *tool_calls(tm_arena *a, const tm_heard *h) {
  tm_json *list = tm_json_new_array(a);
  for (size_t i = 0; i < h->tool_count; i++) {
    const tm_heard_tool *tool = &h->tools[i];
    tm_json *o = tm_json_new_object(a);
    const char *id = tool->id ? tool->id : tm_arena_printf(a, "call_%zu", i + 1);
    tm_json_set_str(a, o, "id", id);
    tm_json_set_str(a, o, "name", tool->name ? tool->name : "");
    tm_json_set(a, o, "arguments",
                tm_json_new_strn(a, tm_buf_str(&tool->text), tool->text.len));
    if (tool->opaque)
      tm_json_set(a, o, "opaque", tm_json_copy(a, tool->opaque));
    tm_json_push(a, list, o);
  }
  return list;
}

static const char *copy(tm_arena *a, const char *text) {
  return text ? tm_arena_strdup(a, text) : NULL;
}

/* Refusals and filters are told of even when the finish word says nothing of them. */
void tm_llm_heard_out(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                      const tm_heard *h) {
  out->finish = copy(a, h->finish);
  out->model = copy(a, h->model);
  out->fingerprint = copy(a, h->fingerprint);
  if (h->counted)
    out->usage = tm_llm_usage(a, h->counts);
  if (!out->request_id)
    out->request_id = copy(a, h->id);
  out->text =
      tm_heard_failed(h) ? NULL : tm_arena_strndup(a, tm_buf_str(&h->text), h->text.len);
  out->text_len = out->text ? h->text.len : 0;
  if (h->tool_count)
    out->tool_calls = tool_calls(a, h);
  out->class = class_of_finish(p, h->finish);
  if (h->refusal.len) {
    out->class = TM_LLM_REFUSED;
    out->message =
        tm_arena_printf(a, "the model refused: %s",
                        tm_llm_quote(a, tm_buf_str(&h->refusal), h->refusal.len, 300));
  } else if (out->class != TM_LLM_NONE) {
    out->message = say_finish(a, out->class, h);
  }
}

static void read_body(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                      const tm_http_res *res, const tm_json *body, bool embedding) {
  tm_heard h;
  tm_err err = TM_ERR_INIT;
  tm_json *vectors = NULL;
  tm_heard_init(&h, a);
  int rc = embedding ? p->vectors(&vectors, &h, body, &err) : p->read(&h, body, &err);
  if (embedding && h.counted && h.counts.output < 0)
    h.counts.output = 0; /* vectors are no tokens: not told, but known */
  tm_llm_heard_out(out, a, p, &h);
  out->vectors = vectors;
  if (rc == 0 && embedding && !tm_json_len(vectors))
    rc = tm_err_set(&err, TM_FAILED, "no vectors");
  if (rc < 0)
    tm_llm_misunderstood(out, a, p, res, err.msg);
  tm_heard_free(&h);
}

void tm_llm_receive(tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                    const tm_http_res *res, bool embedding) {
  *out = (tm_llm_answer){0};
  if (res->fault != TM_HTTP_OK) {
    tm_llm_faulty(out, a, res);
    return;
  }
  tm_err err = TM_ERR_INIT;
  tm_json *body = NULL;
  int parsed = tm_json_parse(&body, a, res->body, res->body_len,
                             &(tm_json_opts){.last_wins = true}, &err);
  const tm_json *error = parsed == 0 ? tm_json_get(body, "error") : NULL;
  bool failed = error && tm_json_type_of(error) != TM_JSON_NULL;
  bool fine = res->status >= 200 && res->status < 300;
  if (!fine || failed) {
    tm_llm_complain(out, a, p, res, error);
    if (res->status >= 300 && res->status < 400)
      redirected(out, a, p, res);
  } else if (parsed < 0 || tm_json_type_of(body) != TM_JSON_OBJECT) {
    tm_llm_misunderstood(out, a, p, res, parsed < 0 ? err.msg : "no JSON object");
    out->retry = err.code == TM_LIMIT ? -1 : 0;
  } else {
    read_body(out, a, p, res, body, embedding);
  }
  tm_llm_read_headers(out, a, res);
}
