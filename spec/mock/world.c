/* world.c - effects by idempotency key, and the log of everything received.
 *
 *   POST /refunds          with Idempotency-Key: executed once, the same answer ever after
 *   GET  /refunds/KEY      the stored answer, or 404
 *   GET  /log              [{n, ms, method, path, headers, auth, body}, ...]; ms: a clock's
 *   GET  /counts           {requests, models, executed}
 *   POST /quit
 *
 * Any other first word does what /refunds does, under its own name.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mock.h"

static bool secret(const char *header) {
  return strcmp(header, "authorization") == 0 || strcmp(header, "x-api-key") == 0 ||
         strcmp(header, "x-goog-api-key") == 0;
}

static void put_bytes(tm_arena *a, tm_json *o, const char *key, const char *s, size_t len) {
  bool text = tm_json_utf8_valid(s, len) == len;
  tm_json_set(a, o, key, text ? tm_json_new_strn(a, s, len) : tm_json_null(a));
}

void mock_log(mock *m, const mock_request *r) {
  if (!m->keep_log)
    return;
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *o = tm_json_new_object(&a), *headers = tm_json_new_object(&a);
  bool auth = false;
  for (size_t i = 0; i < r->header_count; i++) {
    auth |= secret(r->headers[i].name);
    const char *value = secret(r->headers[i].name) ? "(present)" : r->headers[i].value;
    put_bytes(&a, headers, r->headers[i].name, value, strlen(value));
  }
  tm_json_set_int(&a, o, "n", m->requests);
  tm_json_set_int(&a, o, "ms", tm_clock_ns() / 1000000);
  tm_json_set_str(&a, o, "method", r->method);
  put_bytes(&a, o, "path", r->path, strlen(r->path));
  tm_json_set(&a, o, "headers", headers);
  tm_json_set_bool(&a, o, "auth", auth);
  put_bytes(&a, o, "body", r->body, r->body_len);
  tm_buf_puts(&m->log, m->log.len ? "," : "");
  tm_json_print(&m->log, o);
  tm_arena_free(&a);
}

/* What stands in the store under "/refunds KEY"; executes when it is the first time. */
static const char *execute(mock *m, const mock_request *r, const char *slot) {
  const char *stored = slot ? tm_map_get(&m->effects, slot) : NULL;
  if (stored)
    return stored;
  m->executed++;
  bool json = *r->body == '{' || *r->body == '[';
  char *answer = tm_arena_printf(&m->arena, "{\"id\":\"effect_%lld\",\"request\":%s}",
                                 (long long)m->executed, json ? r->body : "null");
  if (slot)
    tm_map_set(&m->effects, slot, answer);
  return answer;
}

static void act(mock *m, const mock_request *r, mock_reply *out) {
  const char *key = mock_header(r, "idempotency-key");
  char slot[512];
  snprintf(slot, sizeof slot, "%.*s %s", (int)strcspn(r->path, "?"), r->path, key ? key : "");
  bool again = key && tm_map_get(&m->effects, slot);
  tm_buf_puts(&out->body, execute(m, r, key ? slot : NULL));
  tm_buf_printf(&out->headers, "Idempotent-Replayed: %s\r\n", again ? "true" : "false");
}

static void probe(mock *m, const mock_request *r, mock_reply *out) {
  const char *slash = strrchr(r->path, '/');
  char slot[512];
  snprintf(slot, sizeof slot, "%.*s %s", (int)(slash - r->path), r->path, slash + 1);
  const char *stored = tm_map_get(&m->effects, slot);
  out->status = stored ? 200 : 404;
  tm_buf_puts(&out->body,
              stored ? stored : "{\"error\":{\"message\":\"there is no such thing\"}}");
}

void mock_world(mock *m, const mock_request *r, mock_reply *out) {
  tm_buf_puts(&out->headers, "Content-Type: application/json\r\n");
  if (strcmp(r->path, "/log") == 0) {
    tm_buf_printf(&out->body, "[%s]", tm_buf_str(&m->log));
  } else if (strcmp(r->path, "/counts") == 0) {
    tm_buf_printf(&out->body, "{\"requests\":%lld,\"models\":%lld,\"executed\":%lld}",
                  (long long)m->requests, (long long)m->models, (long long)m->executed);
  } else if (strcmp(r->path, "/quit") == 0) {
    m->quit = true;
  } else if (strcmp(r->method, "POST") == 0) {
    act(m, r, out);
  } else {
    probe(m, r, out);
  }
}
