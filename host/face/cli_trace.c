/* cli_trace.c - `trace`: a run's spans as OTLP/JSON, printed, or sent to a collector.
 *
 * The same spans have the same ids whenever they are sent, so sending again is harmless.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "face/cli.h"
#include "net/http.h"

#define BATCH       512 /* spans in a request: a collector takes a few MiB at once */
#define TIMEOUT_MS  10000
#define MAX_HEADERS 32

/* -- where to -------------------------------------------------------------------------- */

static const char *env(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static bool is_text(const char *s) {
  return tm_json_utf8_valid(s, strlen(s)) == strlen(s);
}

/* A base URL and the path of traces behind it. */
static const char *with_path(tm_cli *c, const char *base) {
  size_t len = strlen(base);
  while (len > 0 && base[len - 1] == '/')
    len--;
  return tm_arena_printf(&c->arena, "%.*s/v1/traces", (int)len, base);
}

/* As OpenTelemetry has it: the endpoint of traces is taken as it is, a general one is a base. One that
 * was typed is a base when it has no path. */
static const char *endpoint(tm_cli *c) {
  const char *typed = c->arg_count > 1 ? c->args[1] : NULL;
  const char *exact = env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const char *base = env("OTEL_EXPORTER_OTLP_ENDPOINT");
  if (typed) {
    const char *host = strstr(typed, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    return path && path[1] ? typed : with_path(c, typed);
  }
  return exact ? exact : with_path(c, base ? base : "http://localhost:4318");
}

/* Without what may be a secret: name and password, and what stands behind a '?'. */
static const char *shown(tm_cli *c, const char *url) {
  const char *host = strstr(url, "://");
  host = host ? host + 3 : url;
  const char *end = host + strcspn(host, "/?#"), *at = memchr(host, '@', (size_t)(end - host));
  const char *rest = at ? at + 1 : host;
  return tm_arena_printf(&c->arena, "%.*s%.*s", (int)(host - url), url,
                         (int)strcspn(rest, "?#"), rest);
}

static int hex(char c) {
  const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* "%3D" is "=": values are written as in a URL. */
static char *decoded(tm_cli *c, const char *s, size_t len) {
  char *out = tm_arena_strndup(&c->arena, s, len), *to = out;
  for (size_t i = 0; i < len; i++) {
    bool coded = s[i] == '%' && i + 2 < len && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0;
    *to++ = coded ? (char)(hex(s[i + 1]) * 16 + hex(s[i + 2])) : s[i];
    i += coded ? 2 : 0;
  }
  *to = '\0';
  return out;
}

typedef struct headers {
  tm_http_header list[MAX_HEADERS + 1];
  size_t count;
} headers;

static size_t trimmed(const char **s, size_t len) {
  while (len > 0 && strchr(" \t", **s)) {
    ++*s;
    len--;
  }
  while (len > 0 && strchr(" \t", (*s)[len - 1]))
    len--;
  return len;
}

/* "name=value,name=value" of a variable. 0, or the exit code; a value is never told. */
static int read_headers(tm_cli *c, headers *h, const char *variable) {
  const char *text = env(variable);
  while (text && *text) {
    size_t len = strcspn(text, ","), eq = strcspn(text, "=,");
    const char *name = text, *value = text + eq + 1;
    size_t name_len = trimmed(&name, eq);
    if (eq >= len || !name_len || h->count == MAX_HEADERS)
      return tm_cli_fail(c, 3, "%s: expected NAME=VALUE with commas between, at most %d",
                         variable, MAX_HEADERS);
    size_t value_len = trimmed(&value, len - eq - 1);
    h->list[h->count++] = (tm_http_header){tm_arena_strndup(&c->arena, name, name_len),
                                           decoded(c, value, value_len)};
    text += len + (text[len] == ',');
  }
  return 0;
}

/* -- sending --------------------------------------------------------------------------- */

typedef struct sending {
  tm_cli *cli;
  tm_loop *loop;
  tm_http *http;
  const char *url, *shown;
  headers headers;
  int64_t timeout_ms;
  bool done;
  int code; /* of the exit */
  int64_t sent, rejected;
} sending;

static const char *spans_word(int64_t n) {
  return n == 1 ? "span" : "spans";
}

/* What a collector says of spans that it did not take. */
static int64_t rejected(sending *x, const tm_http_res *res, const char **why) {
  tm_json *o = NULL;
  tm_err ignored = TM_ERR_INIT;
  if (tm_json_parse(&o, &x->cli->arena, res->body, res->body_len, NULL, &ignored) < 0)
    return 0;
  const tm_json *partial = tm_json_get(o, "partialSuccess");
  const tm_json *n = tm_json_get(partial, "rejectedSpans");
  *why = tm_json_get_str(partial, "errorMessage");
  return tm_json_str(n, NULL) ? strtoll(tm_json_str(n, NULL), NULL, 10) : tm_json_int(n, 0);
}

static void answered(void *ctx, const tm_http_res *res) {
  sending *x = ctx;
  const char *why = NULL;
  x->done = true;
  if (res->fault != TM_HTTP_OK) {
    x->code = tm_cli_fail(x->cli, res->fault == TM_HTTP_INVALID ? 2 : 75,
                          "%s did not take the spans: %s; sending again is harmless", x->shown,
                          res->message ? res->message : "no answer");
  } else if (res->status < 200 || res->status > 299) {
    bool later = res->status == 429 || res->status >= 500;
    x->code = tm_cli_fail(
        x->cli, later ? 75 : 3, "%s answered with status %d%s", x->shown, res->status,
        later ? "; try again later, sending again is harmless"
              : ": is it an OTLP/HTTP endpoint, and are OTEL_EXPORTER_OTLP_HEADERS right?");
  } else if ((x->rejected = rejected(x, res, &why)) > 0) {
    x->code =
        tm_cli_fail(x->cli, 1, "%s rejected %lld %s%s%s", x->shown, (long long)x->rejected,
                    spans_word(x->rejected), why ? ": " : "", why ? why : "");
  }
}

static void post(sending *x, const tm_json *request) {
  tm_http_call *call;
  tm_err err = TM_ERR_INIT;
  size_t len = 0;
  const char *body = tm_json_text(&x->cli->arena, request, &len);
  tm_http_req req = {.method = "POST",
                     .url = x->url,
                     .headers = x->headers.list,
                     .header_count = x->headers.count,
                     .body = body,
                     .body_len = len,
                     .connect_ms = x->timeout_ms,
                     .total_ms = x->timeout_ms,
                     .max_body = 1 << 20};
  x->done = false;
  if (tm_http_start(&call, x->http, &req, answered, x, &err) < 0) {
    x->code = tm_cli_fail(x->cli, (int)err.code, "%s: %s", x->shown, err.msg);
    return;
  }
  while (!x->done)
    tm_loop_turn(x->loop, -1);
}

/* The request again, with these spans alone. */
static tm_json *part(tm_arena *a, const tm_json *resource, const tm_json *scope,
                     const tm_json *spans, size_t from) {
  tm_json *list = tm_json_new_array(a), *scoped = tm_json_new_object(a);
  tm_json *scopes = tm_json_new_array(a), *r = tm_json_new_object(a);
  tm_json *all = tm_json_new_array(a), *out = tm_json_new_object(a);
  for (size_t i = from; i < from + BATCH && i < tm_json_len(spans); i++)
    tm_json_push(a, list, tm_json_at(spans, i));
  tm_json_set(a, scoped, "scope", scope);
  tm_json_set(a, scoped, "spans", list);
  tm_json_push(a, scopes, scoped);
  tm_json_set(a, r, "resource", resource);
  tm_json_set(a, r, "scopeSpans", scopes);
  tm_json_push(a, all, r);
  tm_json_set(a, out, "resourceSpans", all);
  return out;
}

static void post_all(sending *x, const tm_json *doc) {
  const tm_json *r = tm_json_pointer(doc, "/resourceSpans/0");
  const tm_json *scoped = tm_json_pointer(r, "/scopeSpans/0");
  const tm_json *spans = tm_json_get(scoped, "spans");
  for (size_t i = 0; x->code == 0 && i < tm_json_len(spans); i += BATCH) {
    tm_json *request = part(&x->cli->arena, tm_json_get(r, "resource"),
                            tm_json_get(scoped, "scope"), spans, i);
    post(x, request);
    x->sent = (int64_t)(i + BATCH < tm_json_len(spans) ? i + BATCH : tm_json_len(spans));
  }
}

static void tell_sent(sending *x) {
  tm_cli *c = x->cli;
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_json *o = tm_json_new_object(&c->arena);
    tm_json_set_str(&c->arena, o, "schema", "tidemill.sent/1");
    tm_json_set_str(&c->arena, o, "to", x->shown);
    tm_json_set_int(&c->arena, o, "spans", x->sent);
    tm_cli_print_value(c, o, false);
  } else {
    tm_cli_note(c, "sent %lld %s to %s", (long long)x->sent, spans_word(x->sent), x->shown);
  }
}

static int read_settings(tm_cli *c, sending *x) {
  const char *wait = env("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
  wait = wait ? wait : env("OTEL_EXPORTER_OTLP_TIMEOUT");
  x->timeout_ms = wait ? strtoll(wait, NULL, 10) : TIMEOUT_MS;
  if (x->timeout_ms <= 0 || x->timeout_ms > 3600000)
    x->timeout_ms = TIMEOUT_MS;
  x->url = endpoint(c);
  if (!is_text(x->url))
    return tm_cli_fail(c, 2, "the collector's URL is not UTF-8");
  x->shown = shown(c, x->url);
  x->headers.list[x->headers.count++] = (tm_http_header){"Content-Type", "application/json"};
  bool own = env("OTEL_EXPORTER_OTLP_TRACES_HEADERS") != NULL;
  return read_headers(c, &x->headers,
                      own ? "OTEL_EXPORTER_OTLP_TRACES_HEADERS" : "OTEL_EXPORTER_OTLP_HEADERS");
}

static int send_spans(tm_cli *c, const char *text, size_t len) {
  sending x = {.cli = c};
  tm_err err = TM_ERR_INIT;
  tm_json *doc;
  tm_json_opts opts = {.max_bytes = TM_JSON_BYTES_MAX};
  int code = read_settings(c, &x);
  if (code)
    return code;
  if (tm_json_parse(&doc, &c->arena, text, len, &opts, &err) < 0 ||
      tm_loop_open(&x.loop, &err) < 0 || tm_http_open(&x.http, x.loop, &err) < 0)
    code = tm_cli_fail(c, (int)err.code, "%s", err.msg);
  if (!code) {
    post_all(&x, doc);
    code = x.code;
  }
  if (!code)
    tell_sent(&x);
  tm_http_close(&x.http);
  tm_loop_close(&x.loop);
  return code;
}

/* -- the command ----------------------------------------------------------------------- */

int tm_cli_trace(tm_cli *c) {
  tm_json *opts = tm_json_new_object(&c->arena);
  char *text = NULL;
  size_t len = 0;
  if (c->arg_count > 1 && !tm_cli_has(c, TM_FLAG_SEND))
    return tm_cli_fail(c, 2, "'%s': a URL is for --send; `tidemill trace %s` prints",
                       c->args[1], c->args[0]);
  int code = tm_cli_open(c);
  if (code)
    return code;
  if (tm_cli_has(c, TM_FLAG_CONTENT))
    tm_json_set_bool(&c->arena, opts, "content", true);
  const char *service = env("OTEL_SERVICE_NAME");
  if (service && is_text(service))
    tm_json_set_str(&c->arena, opts, "service", service);
  const char *o = tm_json_text(&c->arena, opts, NULL);
  int rc = tidemill_examine(c->engine, c->args[0], "trace", o, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  if (tm_cli_has(c, TM_FLAG_SEND)) {
    code = send_spans(c, text, len);
  } else {
    tm_cli_print_text(c, text, len);
    putchar('\n');
  }
  tidemill_free(text);
  return code;
}
