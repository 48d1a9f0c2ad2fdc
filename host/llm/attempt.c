/* attempt.c - what is told of one attempt. */
#include "llm/attempt.h"

#include <string.h>
#include <strings.h>

static bool carries_key(const char *header) {
  static const char *const names[] = {
      "authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key",
      "cookie",        "x-amz-security-token"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasecmp(header, names[i]) == 0)
      return true;
  return false;
}

static void put_masked(tm_arena *a, tm_json *o, const char *key, const char *text,
                       const char *secret) {
  if (!text)
    return;
  size_t len = strlen(text);
  const char *masked = tm_llm_mask(a, text, &len, secret);
  tm_json_lend(a, o, key, tm_attempt_bytes(a, masked, len, NULL));
}

tm_json *tm_attempt_headers(tm_arena *a, const tm_llm_wire *wire) {
  tm_json *out = tm_json_new_object(a);
  for (size_t i = 0; i < wire->header_count; i++) {
    const tm_http_header *h = &wire->headers[i];
    put_masked(a, out, h->name, carries_key(h->name) ? "***" : h->value, wire->secret);
  }
  return out;
}

static tm_json *base64(tm_arena *a, const char *bytes, size_t len) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *out = tm_arena_alloc(a, (len + 2) / 3 * 4 + 1), *at = out;
  if (!out)
    return NULL;
  for (size_t i = 0; i < len; i += 3) {
    unsigned block = 0;
    for (size_t k = 0; k < 3; k++)
      block = block << 8 | (i + k < len ? (unsigned char)bytes[i + k] : 0);
    for (size_t k = 0; k < 4; k++)
      *at++ = i + k > len ? '=' : digits[block >> (18 - 6 * k) & 63];
  }
  tm_json *o = tm_json_new_object(a);
  tm_json_set(a, o, "base64", tm_json_new_strn(a, out, (size_t)(at - out)));
  return o;
}

tm_json *tm_attempt_bytes(tm_arena *a, const char *bytes, size_t len, const char *secret) {
  bytes = tm_llm_mask(a, bytes, &len, secret);
  if (!bytes)
    return tm_json_null(a);
  if (tm_json_utf8_valid(bytes, len) != len)
    return base64(a, bytes, len);
  return tm_json_new_strn(a, bytes, len);
}

/* As tm_attempt_bytes does, without a copy of what may be long. */
static void lend_bytes(tm_arena *a, tm_json *o, const char *key, const char *bytes, size_t len,
                       const char *secret) {
  bytes = tm_llm_mask(a, bytes, &len, secret);
  if (bytes && tm_json_utf8_valid(bytes, len) == len)
    tm_json_lend_strn(a, o, key, bytes, len);
  else
    tm_json_lend(a, o, key, tm_attempt_bytes(a, bytes, len, NULL));
}

static tm_json *error_of(tm_arena *a, const tm_attempt *t) {
  tm_json *error = tm_json_new_object(a);
  tm_json_set_str(a, error, "class", tm_llm_class_word(t->class));
  put_masked(a, error, "message", t->message ? t->message : "", t->wire->secret);
  return error;
}

tm_json *tm_attempt_json(tm_arena *a, const tm_attempt *t) {
  const tm_llm_wire *wire = t->wire;
  const char *id = t->answer->request_id;
  tm_json *o = tm_json_new_object(a);
  tm_json_lend_int(a, o, "n", t->n);
  tm_json_lend_int(a, o, "round", t->round);
  if (t->rung)
    tm_json_lend_int(a, o, "rung", t->rung);
  if (t->unsure)
    tm_json_set_bool(a, o, "unsure", true);
  tm_json_lend_str(a, o, "phase", t->phase);
  tm_json_lend_str(a, o, "provider", t->question->provider);
  tm_json_lend_str(a, o, "model", t->question->model);
  tm_json_lend_str(a, o, "method", wire->method);
  put_masked(a, o, "url", wire->url, wire->secret);
  tm_json_lend(a, o, "headers", tm_attempt_headers(a, wire));
  lend_bytes(a, o, "request", wire->body, wire->body_len, wire->secret);
  lend_bytes(a, o, "response", t->response, t->response_len, wire->secret);
  tm_json_lend_int(a, o, "status", t->status);
  tm_json_lend_str(a, o, "request_id", id);
  tm_json_lend_int(a, o, "first_byte_ms", t->first_byte_ms);
  tm_json_lend_int(a, o, "latency_ms", t->latency_ms);
  tm_json_lend_int(a, o, "at", t->at);
  tm_json_lend(a, o, "usage", t->answer->usage ? t->answer->usage : tm_json_null(a));
  tm_json_lend(a, o, "usd", t->usd ? tm_json_new_double(a, *t->usd) : tm_json_null(a));
  if (t->question->stream)
    tm_json_set_bool(a, o, "streamed", true);
  if (t->class != TM_LLM_NONE)
    tm_json_lend(a, o, "error", error_of(a, t));
  if (t->retry_in_ms >= 0)
    tm_json_lend_int(a, o, "retry_in_ms", t->retry_in_ms);
  return o;
}
