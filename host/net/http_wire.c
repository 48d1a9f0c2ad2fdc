/* http_wire.c - a request as libcurl's options; an answer as bytes, headers, or a fault in
 * words. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "net/http_in.h"

/* -- what libcurl calls ---------------------------------------------------------------- */

bool tm_http_wire_lets(tm_http_call *c, const struct sockaddr *to) {
  bool lets = !c->guard || tm_guard_lets(c->guard, c->place.host, to);
  c->denied |= !lets; /* of a name's addresses, another may do */
  return lets;
}

static bool may_use(tm_http_call *c, const char *ip, int port) {
  struct sockaddr_storage to;
  if (!c->guard)
    return true;
  c->denied = !tm_guard_address(&to, ip, port) ||
              !tm_guard_lets(c->guard, c->place.host, (const struct sockaddr *)&to);
  return !c->denied;
}

/* The connection stands and the request is about to be written. It may be one that was kept
 * from a request without a guard. */
static int about_to_send(void *ctx, char *ip, char *local_ip, int port, int local_port) {
  (void)local_ip, (void)local_port;
  tm_http_call *c = ctx;
  if (!may_use(c, ip, port))
    return CURL_PREREQFUNC_ABORT;
  c->sent_at = tm_http_now();
  tm_http_rewatch(c);
  return CURL_PREREQFUNC_OK;
}

static void bytes_came(tm_http_call *c) {
  tm_http *h = c->http;
  if (!h->came_at) /* of all lines and pieces that libcurl has read, one clock */
    h->came_at = tm_http_now();
  c->last_at = h->came_at;
  if (c->first_at)
    return;
  c->first_at = c->last_at;
  tm_http_rewatch(c);
}

static void put_header(tm_http_call *c, const char *line, size_t len) {
  const char *colon = memchr(line, ':', len);
  if (!colon || colon == line)
    return;
  for (const char *p = line; p < colon; p++)
    tm_buf_putc(&c->head, (char)tolower((unsigned char)*p));
  tm_buf_putc(&c->head, '\0');
  const char *from = colon + 1, *end = line + len;
  while (from < end && (*from == ' ' || *from == '\t'))
    from++;
  while (end > from && isspace((unsigned char)end[-1]))
    end--;
  tm_buf_put(&c->head, from, strnlen(from, (size_t)(end - from)));
  tm_buf_putc(&c->head, '\0');
  c->head_count++;
}

static size_t on_header(char *line, size_t one, size_t len, void *ctx) {
  (void)one;
  tm_http_call *c = ctx;
  bytes_came(c);
  c->head_bytes += len;
  if (c->head_bytes > c->max_headers) {
    c->stopped = TM_HTTP_LIMIT;
    return 0;
  }
  if (len > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
    tm_buf_reset(&c->head); /* a further block: what came before was 1xx */
    c->head_count = 0;
    c->head_whole = false;
  } else if (*line == '\r' || *line == '\n') {
    c->head_whole = true;
  } else {
    put_header(c, line, len);
  }
  return len;
}

static int status_of(tm_http_call *c) {
  long status = 0;
  if (!c->status && c->http->curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) == 0)
    c->status = status < 200 ? 0 : (int)status; /* 1xx is no answer yet */
  return c->status;
}

static size_t on_body(char *bytes, size_t one, size_t len, void *ctx) {
  (void)one;
  tm_http_call *c = ctx;
  bytes_came(c);
  tm_buf_put(&c->in, bytes, len);
  if (c->in.failed) {
    c->stopped = TM_HTTP_LIMIT;
    return 0;
  }
  if (c->on_data && c->on_data(c->ctx, status_of(c), bytes, len, &c->why) < 0)
    c->stopped = TM_HTTP_ABORTED;
  return c->stopped == TM_HTTP_OK && c->done ? len : 0; /* no done: cancelled in on_data */
}

/* -- options --------------------------------------------------------------------------- */

#define SET(option, value) \
  (failed |= c->http->curl.easy_setopt(c->easy, CURLOPT_##option, value) != CURLE_OK)

#define READ_SIZE 4096L /* each request in flight has such a buffer; an answer is a few KB */

static bool has_proxy(void) {
  static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                      "ALL_PROXY"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = getenv(names[i]);
    if (value && *value)
      return true;
  }
  return false;
}

int tm_http_wire_prepare(tm_http_call *c, tm_err *err) {
  int failed = tm_http_poll_options(c) < 0;
  if (!has_proxy()) { /* libcurl need not look for one at each request */
    SET(PROXY, "");
    SET(NOPROXY, "");
  }
  SET(PROTOCOLS_STR, "http,https");
  SET(NOSIGNAL, 1L);
  SET(BUFFERSIZE, READ_SIZE);
  SET(FOLLOWLOCATION, 0L);
  SET(SSL_VERIFYPEER, 1L);
  SET(SSL_VERIFYHOST, 2L);
  SET(ACCEPT_ENCODING, "gzip");
  SET(SUPPRESS_CONNECT_HEADERS, 1L);
  SET(TCP_KEEPALIVE, 1L);
  SET(WRITEFUNCTION, on_body);
  SET(WRITEDATA, c);
  SET(HEADERFUNCTION, on_header);
  SET(HEADERDATA, c);
  SET(PREREQFUNCTION, about_to_send);
  SET(PREREQDATA, c);
  SET(ERRORBUFFER, c->detail);
  SET(PRIVATE, c);
  if (failed)
    return tm_err_set(
        err, TM_CONFIG,
        "the libcurl installed here is too old for a safe request; install libcurl "
        "7.85 or newer (package libcurl4)");
  return 0;
}

static bool one_line(const char *s) {
  return !strpbrk(s, "\r\n");
}

static bool token(const char *s) {
  if (!*s)
    return false;
  for (; *s; s++)
    if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
      return false;
  return true;
}

static void put_line(tm_http_call *c, const char *name, const char *value) {
  tm_buf_puts(&c->lines, name);
  /* libcurl's way to send a header without a value is a semicolon */
  tm_buf_puts(&c->lines, *value ? ": " : ";");
  tm_buf_put(&c->lines, value, strlen(value) + 1);
  c->line_count++;
}

/* Also undoes one that libcurl sends by itself. */
static void put_bare(tm_http_call *c, const char *line) {
  tm_buf_put(&c->lines, line, strlen(line) + 1);
  c->line_count++;
}

/* The lines as libcurl wants them: a list, which it only reads. */
static struct curl_slist *list_lines(tm_http_call *c) {
  if (c->line_count > c->node_cap) {
    c->node_cap = c->line_count;
    c->nodes = tm_realloc(c->nodes, c->node_cap * sizeof *c->nodes);
  }
  char *at = c->lines.data;
  for (size_t i = 0; i < c->line_count; i++) {
    bool last = i + 1 == c->line_count;
    c->nodes[i] = (struct curl_slist){.data = at, .next = last ? NULL : &c->nodes[i + 1]};
    at += strlen(at) + 1;
  }
  return c->nodes;
}

static int check_header(const tm_http_header *h, tm_err *err) {
  if (token(h->name) && one_line(h->value))
    return 0;
  return tm_err_set(err, TM_USAGE,
                    "the header \"%.60s\" cannot be sent: its name must be a plain word and "
                    "its value a single line",
                    h->name);
}

#define EXPECT_FROM ((size_t)1 << 19) /* libcurl asks with a body of a megabyte */

/* Agent and encoding are written here and not set as options: what libcurl makes of those it
 * formats twice, byte by byte. */
static int set_headers(tm_http_call *c, const tm_http_req *req, tm_err *err) {
  bool typed = false, named = false, coded = false;
  for (size_t i = 0; i < req->header_count; i++) {
    const tm_http_header *h = &req->headers[i];
    if (check_header(h, err) < 0)
      return -1;
    typed |= strcasecmp(h->name, "content-type") == 0;
    named |= strcasecmp(h->name, "user-agent") == 0;
    coded |= strcasecmp(h->name, "accept-encoding") == 0;
    put_line(c, h->name, h->value);
  }
  if (!named)
    put_line(c, "User-Agent", "tidemill/0.1");
  if (!coded)
    put_line(c, "Accept-Encoding", "gzip");
  if (req->body_len >= EXPECT_FROM)
    put_bare(c, "Expect:"); /* no 100-continue: it costs a round trip, and most ignore it */
  if (!typed)
    put_bare(c, "Content-Type:"); /* nor libcurl's guess that it is a form */
  return 0;
}

static void say_denied(const tm_http_call *c, char *out, size_t cap) {
  bool six = strchr(c->place.host, ':') != NULL;
  snprintf(out, cap,
           "%s leads to a private address, and a URL that may hold data is not sent "
           "there: nothing was sent. To allow it, list \"%s%.100s%s:%d\" in tidemill.yaml "
           "(http: {private: [...]}) or in TIDEMILL_HTTP_PRIVATE",
           c->origin, six ? "[" : "", c->place.host, six ? "]" : "", c->place.port);
}

/* Host and port of a guarded URL, as the guard wants them. An address that stands there as such
 * is judged at once: a proxy would not tell us what it connects to. */
static int set_place(tm_http_call *c, const char *url, tm_err *err) {
  struct sockaddr_storage to;
  if (!c->guard)
    return 0;
  if (!tm_guard_place_of(&c->place, url))
    return tm_err_set(err, TM_USAGE, "%s: the host is not written plainly", c->origin);
  if (!tm_guard_address(&to, c->place.host, c->place.port) ||
      tm_guard_lets(c->guard, c->place.host, (const struct sockaddr *)&to))
    return 0;
  char why[sizeof c->message];
  say_denied(c, why, sizeof why);
  return tm_err_set(err, TM_USAGE, "%s", why);
}

/* Sets scheme and host for messages; the rest of the URL is libcurl's to judge. */
static int set_url(tm_http_call *c, const char *url, tm_err *err) {
  bool tls = strncasecmp(url, "https://", 8) == 0;
  if (!tls && strncasecmp(url, "http://", 7) != 0)
    return tm_err_set(err, TM_USAGE,
                      "\"%.80s\" cannot be requested: only http:// and https:// addresses are "
                      "allowed",
                      url);
  for (const char *p = url; *p; p++)
    if ((unsigned char)*p <= ' ' || *p == 0x7f)
      return tm_err_set(
          err, TM_USAGE,
          "the address holds a space or a control character at byte %zu; write it "
          "as %%%02X",
          (size_t)(p - url), (unsigned)(unsigned char)*p);
  size_t scheme = tls ? 8 : 7, host = strcspn(url + scheme, "/?#\\");
  if (!host || memchr(url + scheme, '@', host))
    return tm_err_set(err, TM_USAGE,
                      "the address needs a host, and no user name or password in front of it; "
                      "pass secrets in a header");
  size_t n = scheme + host < sizeof c->origin ? scheme + host : sizeof c->origin - 1;
  memcpy(c->origin, url, n);
  c->origin[n] = '\0';

  if (set_place(c, url, err) < 0)
    return -1;

  int failed = 0;
  SET(URL, url);
  /* HTTP/2 where TLS negotiates it, and then many requests on one connection. In clear text
   * waiting for a first answer would hold all others back. */
  SET(HTTP_VERSION, tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
  SET(PIPEWAIT, tls ? 1L : 0L);
  return failed ? tm_err_set(err, TM_USAGE, "%s: libcurl does not take this address", c->origin)
                : 0;
}

static int set_method(tm_http_call *c, const tm_http_req *req, tm_err *err) {
  if (!token(req->method))
    return tm_err_set(err, TM_USAGE, "\"%.20s\" is no HTTP method", req->method);
  bool post = strcmp(req->method, "POST") == 0, get = strcmp(req->method, "GET") == 0;
  bool head = strcmp(req->method, "HEAD") == 0;
  int failed = 0;
  SET(CUSTOMREQUEST, NULL);
  SET(POSTFIELDS, NULL);
  SET(HTTPGET,
      1L); /* undoes whatever the handle did last; after POSTFIELDS, which means POST */
  if (req->body || post) {
    tm_buf_put(&c->body, req->body, req->body ? req->body_len : 0);
    SET(POST, 1L);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)(req->body ? req->body_len : 0));
    SET(POSTFIELDS, c->body.data);
  } else if (head) {
    SET(NOBODY, 1L);
  }
  bool natural = req->body ? post : post || get || head;
  if (!natural)
    SET(CUSTOMREQUEST, req->method);
  return failed ? tm_err_set(err, TM_TEMP, "libcurl refused the request: out of memory") : 0;
}

static int64_t given(int64_t ms, int64_t otherwise) {
  return ms > 0 ? ms : otherwise;
}

int tm_http_wire_request(tm_http_call *c, const tm_http_req *req, tm_err *err) {
  c->on_data = req->on_data;
  c->guard = req->guard;
  c->max_headers = req->max_headers ? req->max_headers : (size_t)256 << 10;
  c->in.limit = req->max_body ? req->max_body : (size_t)16 << 20;
  c->connect_ms = given(req->connect_ms, 10000);
  c->first_byte_ms = given(req->first_byte_ms, 600000);
  c->idle_ms = given(req->idle_ms, 120000);
  c->total_ms = given(req->total_ms, 600000);
  if (set_url(c, req->url, err) < 0 || set_headers(c, req, err) < 0 ||
      set_method(c, req, err) < 0)
    return -1;
  int failed = 0;
  SET(HTTPHEADER, list_lines(c));
  SET(CONNECTTIMEOUT_MS, (long)c->connect_ms);
  return failed ? tm_err_set(err, TM_TEMP, "libcurl refused the request: out of memory") : 0;
}

#define KEPT_BYTES ((size_t)16 << 10) /* a larger buffer is not kept for the next call */

static void trim(tm_buf *b) {
  if (b->cap > KEPT_BYTES)
    tm_buf_free(b);
  tm_buf_reset(b);
}

void tm_http_wire_forget(tm_http_call *c) {
  trim(&c->body);
  trim(&c->in);
  trim(&c->head);
  trim(&c->lines);
  c->line_count = 0;
  c->head_count = c->head_bytes = 0;
  c->head_whole = false;
  c->status = 0;
  c->guard = NULL;
  c->denied = false;
  c->stopped = TM_HTTP_OK;
  tm_err_clear(&c->why);
  c->started = c->sent_at = c->first_at = c->last_at = c->armed_until = 0;
  c->detail[0] = c->message[0] = '\0';
}

/* -- results --------------------------------------------------------------------------- */

#define TOO_LARGE 100 /* CURLE_TOO_LARGE, which libcurl 7 has no name for yet */

static tm_http_fault fault_of(const tm_http_call *c, CURLcode code) {
  if (c->stopped != TM_HTTP_OK)
    return c->stopped;
  if (c->denied && code != CURLE_OK)
    return TM_HTTP_GUARDED;
  switch (code) {
  case CURLE_OK: /* libcurl takes headers that end in the middle for whole ones */
    return c->head_whole ? TM_HTTP_OK : TM_HTTP_RESET;
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL: /* also said of an answer that is no HTTP */
    return c->sent_at ? TM_HTTP_RESET : TM_HTTP_INVALID;
  case CURLE_OPERATION_TIMEDOUT:
    return TM_HTTP_TIMEOUT;
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
  case CURLE_SSL_INVALIDCERTSTATUS:
    return TM_HTTP_TLS;
  case CURLE_FILESIZE_EXCEEDED:
  case CURLE_OUT_OF_MEMORY: /* what libcurl before 8.6 says of a header line over its own limit
                             */
    return TM_HTTP_LIMIT;
  default:
    if ((int)code == TOO_LARGE)
      return TM_HTTP_LIMIT;
    return c->sent_at ? TM_HTTP_RESET : TM_HTTP_REFUSED;
  }
}

static void put_headers(tm_http_res *out, tm_http_call *c) {
  if (c->head_count > c->list_cap) {
    c->list_cap = c->head_count * 2;
    c->list = tm_realloc(c->list, c->list_cap * sizeof *c->list);
  }
  const char *at = c->head.data;
  for (size_t i = 0; i < c->head_count; i++) {
    c->list[i].name = at;
    at += strlen(at) + 1;
    c->list[i].value = at;
    at += strlen(at) + 1;
  }
  out->headers = c->list;
  out->header_count = c->head_count;
}

static void fill(tm_http_res *out, tm_http_call *c, tm_http_fault fault) {
  *out = (tm_http_res){.fault = fault,
                       .sent = c->sent_at != 0,
                       .status = status_of(c),
                       .body = tm_buf_str(&c->in),
                       .body_len = c->in.len,
                       .total_ms = tm_http_now() - c->started,
                       .message = c->message};
  if (c->first_at)
    out->first_byte_ms = c->first_at - c->started;
  put_headers(out, c);
}

/* Only printable ASCII: the text may hold what the server sent. */
static void scrub(char *s) {
  for (; *s; s++)
    if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
      *s = '?';
}

static void explain(tm_http_call *c, tm_http_fault fault, CURLcode code) {
  const char *detail = c->detail[0]       ? c->detail
                       : code == CURLE_OK ? "the headers end in the middle"
                                          : c->http->curl.easy_strerror(code);
  char *out = c->message;
  size_t cap = sizeof c->message;
  switch (fault) {
  case TM_HTTP_OK:
    out[0] = '\0';
    return;
  case TM_HTTP_REFUSED:
    snprintf(out, cap, "%s could not be reached, nothing was sent: %s", c->origin, detail);
    break;
  case TM_HTTP_TLS:
    snprintf(out, cap, "%s showed a certificate that is not accepted, nothing was sent: %s",
             c->origin, detail);
    break;
  case TM_HTTP_TIMEOUT:
    snprintf(out, cap, "%s took too long: %s", c->origin, detail);
    break;
  case TM_HTTP_LIMIT:
    if (c->head_bytes > c->max_headers || !c->in.failed)
      snprintf(out, cap, "%s sent more than %zu bytes of headers", c->origin, c->max_headers);
    else
      snprintf(out, cap, "%s sent a body of more than %zu bytes", c->origin, c->in.limit);
    break;
  case TM_HTTP_ABORTED:
    snprintf(out, cap, "%s: stopped while reading the answer: %.300s", c->origin, c->why.msg);
    break;
  case TM_HTTP_INVALID:
    snprintf(out, cap, "%s cannot be requested: %s", c->origin, detail);
    break;
  case TM_HTTP_GUARDED:
    say_denied(c, out, cap);
    break;
  case TM_HTTP_RESET:
    snprintf(out, cap, "the connection to %s was cut before the answer was whole: %s",
             c->origin, detail);
    break;
  }
  scrub(out);
}

void tm_http_wire_result(tm_http_res *out, tm_http_call *c, CURLcode code) {
  tm_http_fault fault = fault_of(c, code);
  explain(c, fault, code);
  fill(out, c, fault);
}

void tm_http_wire_timeout(tm_http_res *out, tm_http_call *c, int64_t now) {
  if (now - c->started >= c->total_ms)
    snprintf(c->detail, sizeof c->detail, "no complete answer within %lld ms",
             (long long)c->total_ms);
  else if (c->first_at)
    snprintf(c->detail, sizeof c->detail, "silent for %lld ms in the middle of the answer",
             (long long)c->idle_ms);
  else
    snprintf(c->detail, sizeof c->detail, "no answer began within %lld ms",
             (long long)c->first_byte_ms);
  explain(c, TM_HTTP_TIMEOUT, CURLE_OPERATION_TIMEDOUT);
  fill(out, c, TM_HTTP_TIMEOUT);
}

const char *tm_http_header_of(const tm_http_res *r, const char *name) {
  for (size_t i = 0; i < r->header_count; i++)
    if (strcmp(r->headers[i].name, name) == 0)
      return r->headers[i].value;
  return NULL;
}
