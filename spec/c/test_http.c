/* test_http.c - requests over real sockets, against a peer that does exactly one thing wrong.
 */
#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "net/curl.h"
#include "net/http.h"
#include "peer.h"
#include "tls_peer.h"

/* One request and what became of it. */
typedef struct asked {
  tm_loop *loop;
  tm_http *http;
  peer *peer;
  tm_http_call *call;
  int calls;
  tm_http_fault fault;
  bool sent;
  int status;
  char *body;
  size_t body_len;
  char message[512], header[64];
  int64_t first_byte_ms, total_ms;
  size_t header_count;
  const char *want_header;
  size_t data_len;
  int data_calls;
} asked;

static void answered(void *ctx, const tm_http_res *res) {
  asked *a = ctx;
  a->calls++;
  a->call = NULL;
  a->fault = res->fault;
  a->sent = res->sent;
  a->status = res->status;
  tm_free(a->body);
  a->body = tm_strndup(res->body, res->body_len);
  a->body_len = res->body_len;
  a->first_byte_ms = res->first_byte_ms;
  a->total_ms = res->total_ms;
  a->header_count = res->header_count;
  snprintf(a->message, sizeof a->message, "%s", res->message);
  const char *value = a->want_header ? tm_http_header_of(res, a->want_header) : NULL;
  snprintf(a->header, sizeof a->header, "%s", value ? value : "");
}

static void open_all(asked *a, peer_fn fn, void *ctx) {
  tm_err err = TM_ERR_INIT;
  *a = (asked){0};
  if (tm_loop_open(&a->loop, &err) < 0 || tm_http_open(&a->http, a->loop, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s", err.msg);
  if (fn)
    a->peer = peer_start(fn, ctx);
}

static void close_all(asked *a) {
  tm_http_close(&a->http);
  tm_loop_close(&a->loop);
  if (a->peer)
    peer_stop(&a->peer);
  tm_free(a->body);
}

static void start(asked *a, tm_http_req req) {
  tm_err err = TM_ERR_INIT;
  req.method = req.method ? req.method : "GET";
  req.url = req.url ? req.url : a->peer->url;
  int before = a->calls;
  if (tm_http_start(&a->call, a->http, &req, answered, a, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s", err.msg);
  CHECK_INT(a->calls, before);
}

static void ask(asked *a, tm_http_req req) {
  int before = a->calls;
  start(a, req);
  while (a->call && a->calls == before)
    tm_loop_turn(a->loop, -1);
}

/* -- plain requests -------------------------------------------------------------------- */

static peer_then echo(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n;
  return peer_reply(reply, 200, "X-Tide:  high \r\nx-two: 1\r\nX-Two: 2\r\n", request);
}

static void a_request_goes_out_as_it_was_given(void) {
  asked a;
  open_all(&a, echo, NULL);
  char url[128];
  snprintf(url, sizeof url, "%s/v1/chat?x=1", a.peer->url);
  tm_http_header headers[] = {{"Content-Type", "application/json"}, {"X-Empty", ""}};
  ask(&a, (tm_http_req){.method = "POST",
                        .url = url,
                        .headers = headers,
                        .header_count = 2,
                        .body = "{\"a\":1}",
                        .body_len = 7});
  CHECK_INT(a.fault, TM_HTTP_OK);
  CHECK_INT(a.status, 200);
  CHECK(a.sent);
  CHECK(strstr(a.body, "POST /v1/chat?x=1 HTTP/1.1\r\n") == a.body);
  CHECK(strstr(a.body, "\r\nContent-Type: application/json\r\n"));
  CHECK(strstr(a.body, "\r\nX-Empty:\r\n"));
  CHECK(strstr(a.body, "\r\nAccept-Encoding: gzip\r\n"));
  CHECK(strstr(a.body, "\r\nUser-Agent: tidemill"));
  CHECK(strstr(a.body, "\r\n\r\n{\"a\":1}"));
  CHECK(!strstr(a.body, "Expect"));
  close_all(&a);
}

static void every_method_is_sent_and_none_leaks_into_the_next(void) {
  static const struct {
    const char *method, *body, *line;
  } table[] = {
      {"GET", NULL, "GET / "},   {"POST", "b", "POST / "},   {"GET", NULL, "GET / "},
      {"PUT", "b", "PUT / "},    {"GET", NULL, "GET / "},    {"DELETE", NULL, "DELETE / "},
      {"POST", NULL, "POST / "}, {"PATCH", "b", "PATCH / "}, {"GET", NULL, "GET / "}};
  asked a;
  open_all(&a, echo, NULL);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    ask(&a, (tm_http_req){.method = table[i].method,
                          .body = table[i].body,
                          .body_len = table[i].body ? 1 : 0});
    CHECK_INT(strncmp(a.body, table[i].line, strlen(table[i].line)), 0);
    CHECK_INT(strstr(a.body, "\r\n\r\nb") != NULL, table[i].body != NULL);
    CHECK(!strstr(a.body, "urlencoded"));
  }
  CHECK_INT(atomic_load(&a.peer->connections), 1);
  close_all(&a);
}

static void answer_headers_are_found_by_lower_case_names_and_trimmed(void) {
  asked a;
  open_all(&a, echo, NULL);
  a.want_header = "x-tide";
  ask(&a, (tm_http_req){0});
  CHECK_STR(a.header, "high");
  CHECK_INT(a.header_count, 4);
  a.want_header = "x-two";
  ask(&a, (tm_http_req){0});
  CHECK_STR(a.header, "1");
  close_all(&a);
}

static peer_then five_hundred(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  return peer_reply(reply, 503, "Retry-After: 7\r\n", "busy");
}

static void a_status_is_an_answer_and_not_a_fault(void) {
  asked a;
  open_all(&a, five_hundred, NULL);
  a.want_header = "retry-after";
  ask(&a, (tm_http_req){0});
  CHECK_INT(a.fault, TM_HTTP_OK);
  CHECK_INT(a.status, 503);
  CHECK_STR(a.body, "busy");
  CHECK_STR(a.header, "7");
  close_all(&a);
}

static peer_then elsewhere(peer *p, int n, const char *request, tm_buf *reply) {
  (void)n, (void)request;
  char location[128];
  snprintf(location, sizeof location, "Location: %s/landing\r\n", p->url);
  return peer_reply(reply, 307, location, "");
}

static void a_redirect_is_told_and_not_followed(void) {
  asked a;
  open_all(&a, elsewhere, NULL);
  ask(&a, (tm_http_req){0});
  CHECK_INT(a.status, 307);
  CHECK_INT(atomic_load(&a.peer->requests), 1);
  close_all(&a);
}

static peer_then interim(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  tm_buf_puts(reply, "HTTP/1.1 103 Early Hints\r\nX-Tide: wrong\r\n\r\n");
  return peer_reply(reply, 200, "X-Tide: right\r\n", "ok");
}

static void only_the_last_header_block_counts(void) {
  asked a;
  open_all(&a, interim, NULL);
  a.want_header = "x-tide";
  ask(&a, (tm_http_req){0});
  CHECK_INT(a.status, 200);
  CHECK_STR(a.header, "right");
  CHECK_INT(a.header_count, 2);
  close_all(&a);
}

/* -- what is refused before anything happens ------------------------------------------- */

static void what_cannot_be_a_request_is_refused_at_once(void) {
  static const struct {
    const char *method, *url, *name, *value, *says;
  } table[] = {
      {"GET", "file:///etc/passwd", "A", "b", "only http"},
      {"GET", "gopher://localhost/", "A", "b", "only http"},
      {"GET", "localhost:80", "A", "b", "only http"},
      {"GET", "http://", "A", "b", "needs a host"},
      {"GET", "http:///path", "A", "b", "needs a host"},
      {"GET", "http://user:hunter2@localhost/", "A", "b", "no user name"},
      {"GET", "http://localhost/a b", "A", "b", "space"},
      {"GET", "http://localhost/a\r\nX: y", "A", "b", "control character"},
      {"GET /x", "http://localhost/", "A", "b", "no HTTP method"},
      {"GET", "http://localhost/", "A: b\r\nC", "b", "cannot be sent"},
      {"GET", "http://localhost/", "A", "b\r\nX-Evil: 1", "single line"},
      {"GET", "http://localhost/", "", "b", "cannot be sent"},
  };
  asked a;
  open_all(&a, NULL, NULL);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_err err = TM_ERR_INIT;
    tm_http_header header = {table[i].name, table[i].value};
    tm_http_req req = {
        .method = table[i].method, .url = table[i].url, .headers = &header, .header_count = 1};
    CHECK_INT(tm_http_start(&a.call, a.http, &req, answered, &a, &err), -1);
    CHECK_INT(err.code, TM_USAGE);
    CHECK(a.call == NULL);
    if (!strstr(err.msg, table[i].says))
      check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.msg, table[i].says);
    CHECK(!strstr(err.msg, "hunter2"));
  }
  tm_loop_turn(a.loop, 0);
  CHECK_INT(a.calls, 0);
  close_all(&a);
}

static void a_missing_libcurl_is_named_with_its_package(void) {
  static const char *const names[] = {"libcurl-that-is-not-there.so.4", NULL};
  static const char *const wrong[] = {"libm.so.6", NULL};
  tm_err err = TM_ERR_INIT;
  tm_curl curl;
  CHECK_INT(tm_curl_load(&curl, names, &err), -1);
  CHECK_INT(err.code, TM_CONFIG);
  CHECK(strstr(err.msg, "libcurl4"));
  CHECK(strstr(err.msg, "libcurl-that-is-not-there.so.4"));
  CHECK_INT(tm_curl_load(&curl, wrong, &err), -1);
  CHECK(strstr(err.msg, "curl_global_init"));
  tm_curl_unload(&curl);
}

/* -- faults ---------------------------------------------------------------------------- */

static void nobody_listening_is_refused_and_nothing_was_sent(void) {
  asked a;
  open_all(&a, echo, NULL);
  char url[128];
  snprintf(url, sizeof url, "%s/?key=secret", a.peer->url);
  peer_stop(&a.peer);
  ask(&a, (tm_http_req){.url = url});
  CHECK_INT(a.fault, TM_HTTP_REFUSED);
  CHECK(!a.sent);
  CHECK_INT(a.status, 0);
  CHECK(strstr(a.message, "127.0.0.1") && strstr(a.message, "nothing was sent"));
  CHECK(!strstr(a.message, "secret"));
  close_all(&a);
}

static peer_then say(peer *p, int n, const char *request, tm_buf *reply) {
  (void)n, (void)request;
  tm_buf_puts(reply, p->ctx);
  return PEER_CLOSE;
}

static void an_answer_that_is_cut_or_no_http_is_a_reset(void) {
  static const char *const table[] = {
      "",
      "HTTP/1.1 200 OK\r\nContent-Le",
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
      "SSH-2.0-OpenSSH_9.2\r\n",
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    asked a;
    union {
      const char *text;
      void *ctx;
    } raw = {table[i]};
    open_all(&a, say, raw.ctx);
    ask(&a, (tm_http_req){.method = "POST", .body = "x", .body_len = 1});
    if (a.fault != TM_HTTP_RESET)
      check_fail(__FILE__, __LINE__, "case %zu: fault %d, \"%s\"", i, (int)a.fault, a.message);
    CHECK(a.sent);
    CHECK(*a.message);
    close_all(&a);
  }
}

static peer_then reset(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  tm_buf_puts(reply, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
  return PEER_RESET;
}

static void a_reset_in_the_body_is_a_reset_and_may_have_been_executed(void) {
  asked a;
  open_all(&a, reset, NULL);
  ask(&a, (tm_http_req){0});
  CHECK_INT(a.fault, TM_HTTP_RESET);
  CHECK(a.sent);
  close_all(&a);
}

static peer_then stale(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)request;
  if (n == 2)
    return PEER_RESET;
  return peer_reply(reply, 200, "", "ok");
}

static void a_kept_connection_that_died_is_replaced_without_a_word(void) {
  asked a;
  open_all(&a, stale, NULL);
  ask(&a, (tm_http_req){0});
  ask(&a, (tm_http_req){0});
  CHECK_INT(a.fault, TM_HTTP_OK);
  CHECK_STR(a.body, "ok");
  CHECK_INT(atomic_load(&a.peer->requests), 3);
  close_all(&a);
}

static peer_then hang(peer *p, int n, const char *request, tm_buf *reply) {
  (void)n, (void)request;
  if (p->ctx)
    tm_buf_puts(reply, p->ctx);
  return PEER_KEEP;
}

static void silence_ends_by_the_deadline_that_it_broke(void) {
  asked a;
  open_all(&a, hang, NULL);
  ask(&a, (tm_http_req){.first_byte_ms = 15});
  CHECK_INT(a.fault, TM_HTTP_TIMEOUT);
  CHECK(a.sent && a.total_ms >= 15);
  CHECK(strstr(a.message, "no answer began within 15 ms"));
  ask(&a, (tm_http_req){.total_ms = 15});
  CHECK_INT(a.fault, TM_HTTP_TIMEOUT);
  CHECK(strstr(a.message, "no complete answer within 15 ms"));
  close_all(&a);

  open_all(&a, hang, (char[]){"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"});
  ask(&a, (tm_http_req){.idle_ms = 15});
  CHECK_INT(a.fault, TM_HTTP_TIMEOUT);
  CHECK_INT(a.status, 200);
  CHECK(strstr(a.message, "silent for 15 ms"));
  ask(&a, (tm_http_req){.total_ms = 15});
  CHECK(strstr(a.message, "no complete answer within 15 ms"));
  close_all(&a);
}

/* A listener whose queue is full: the handshake of TCP is never finished. */
static void a_connection_that_never_stands_has_a_deadline_of_its_own(void) {
  asked a;
  open_all(&a, NULL, NULL);
  int listener = socket(AF_INET, SOCK_STREAM, 0), fill[4];
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  REQUIRE(bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 0) == 0);
  getsockname(listener, (struct sockaddr *)&at, &len);
  for (int i = 0; i < 4; i++) {
    fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fill[i], (struct sockaddr *)&at, len);
  }
  char url[128];
  snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(at.sin_port));
  ask(&a, (tm_http_req){.url = url, .connect_ms = 30});
  CHECK_INT(a.fault, TM_HTTP_TIMEOUT);
  CHECK(!a.sent);
  for (int i = 0; i < 4; i++)
    close(fill[i]);
  close(listener);
  close_all(&a);
}

/* -- TLS ------------------------------------------------------------------------------- */

static void a_peer_that_speaks_no_tls_is_refused_before_anything_is_sent(void) {
  asked a;
  open_all(&a, say, (char[]){"HTTP/1.1 400 Bad\r\n\r\n"});
  char url[128];
  snprintf(url, sizeof url, "https://127.0.0.1:%d/", a.peer->port);
  ask(&a, (tm_http_req){.url = url, .total_ms = 60});
  CHECK(a.fault == TM_HTTP_REFUSED || a.fault == TM_HTTP_TIMEOUT);
  CHECK(!a.sent);
  close_all(&a);
}

static void a_bad_certificate_is_not_accepted_and_nothing_is_sent(void) {
  static const struct {
    const char *kind, *host;
    tm_http_fault fault;
  } table[] = {
      {"good", "localhost", TM_HTTP_OK},        {"good", "127.0.0.1", TM_HTTP_TLS},
      {"expired", "localhost", TM_HTTP_TLS},    {"wronghost", "localhost", TM_HTTP_TLS},
      {"selfsigned", "localhost", TM_HTTP_TLS}, {"notca", "localhost", TM_HTTP_TLS}};
  tls_peers tls;
  asked a;
  if (!tls_start(&tls))
    return;
  open_all(&a, NULL, NULL);
  tls_trust(&tls, a.http);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    char url[128];
    snprintf(url, sizeof url, "https://%s:%d/", table[i].host, tls_port(&tls, table[i].kind));
    ask(&a, (tm_http_req){.url = url});
    bool fine = table[i].fault == TM_HTTP_OK;
    if (a.fault != table[i].fault || a.sent != fine ||
        (!fine && !strstr(a.message, "certificate")))
      check_fail(__FILE__, __LINE__, "%s for %s: fault %d, %s", table[i].kind, table[i].host,
                 (int)a.fault, a.message);
  }
  close_all(&a);
  tls_stop(&tls);
}

/* An authority that only the test vouches for is nobody to the program. */
static void a_certificate_that_nobody_vouches_for_is_not_accepted(void) {
  tls_peers tls;
  asked a;
  char url[128];
  if (!tls_start(&tls))
    return;
  open_all(&a, NULL, NULL);
  snprintf(url, sizeof url, "https://localhost:%d/", tls_port(&tls, "good"));
  ask(&a, (tm_http_req){.url = url});
  CHECK_INT(a.fault, TM_HTTP_TLS);
  CHECK(!a.sent);
  close_all(&a);
  tls_stop(&tls);
}

/* -- redirects, and the guard ---------------------------------------------------------- */

static peer_then send_elsewhere(peer *p, int n, const char *request, tm_buf *reply) {
  char headers[128];
  (void)n, (void)request;
  snprintf(headers, sizeof headers, "Location: %s/landing\r\n", (const char *)p->ctx);
  return peer_reply(reply, 307, headers, "");
}

static void a_redirect_is_an_answer_and_no_header_goes_on_with_it(void) {
  peer *other = peer_start(echo, NULL);
  asked a;
  open_all(&a, send_elsewhere, other->url);
  tm_http_header key = {"Authorization", "Bearer secret"};
  ask(&a,
      (tm_http_req){
          .method = "POST", .headers = &key, .header_count = 1, .body = "x", .body_len = 1});
  CHECK_INT(a.fault, TM_HTTP_OK);
  CHECK_INT(a.status, 307);
  CHECK_INT(other->connections, 0);
  close_all(&a);
  peer_stop(&other);
}

static tm_guard *guard_of(const char *entries) {
  tm_err err = TM_ERR_INIT;
  tm_guard *g = tm_guard_new();
  CHECK_INT(tm_guard_allow(g, entries, &err), 0);
  return g;
}

/* Refused at once or when it connects: the caller hears of it either way. */
static void check_guarded(asked *a, const char *url, const tm_guard *g, bool lets) {
  tm_err err = TM_ERR_INIT;
  int before = a->calls, connections = a->peer->connections;
  tm_http_req req = {.method = "GET", .url = url, .guard = g};
  int rc = tm_http_start(&a->call, a->http, &req, answered, a, &err);
  while (rc == 0 && a->calls == before)
    tm_loop_turn(a->loop, -1);
  const char *says = rc < 0 ? err.msg : a->message;
  bool let = rc == 0 && a->fault == TM_HTTP_OK;
  if (let != lets ||
      (!lets && (!strstr(says, "private address") || !strstr(says, "TIDEMILL_HTTP_PRIVATE") ||
                 a->peer->connections != connections || (rc == 0 && a->sent))))
    check_fail(__FILE__, __LINE__, "%s: %s, %s", url, let ? "sent" : "not sent", says);
}

static void a_guarded_url_does_not_reach_this_machine_however_it_is_spelt(void) {
  static const char *const hosts[] = {
      "127.0.0.1", "localhost",          "127.1",     "2130706433", "0x7f000001", "0177.0.0.1",
      "0.0.0.0",   "[::ffff:127.0.0.1]", "LOCALHOST", "127.0.0.01"};
  tm_guard *g = guard_of("");
  asked a;
  open_all(&a, echo, NULL);
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    char url[128];
    snprintf(url, sizeof url, "http://%s:%d/", hosts[i], a.peer->port);
    check_guarded(&a, url, g, false);
  }
  CHECK_INT(a.peer->requests, 0);
  ask(&a, (tm_http_req){.url = a.peer->url}); /* accepted behind any other that there was */
  CHECK_INT(a.peer->connections, 1);
  close_all(&a);
  tm_guard_free(&g);
}

static void what_the_operator_lists_is_reached(void) {
  static const struct {
    const char *list, *host;
    bool lets;
  } table[] = {{"127.0.0.1", "127.0.0.1", true},    {"127.0.0.0/8", "127.0.0.1", true},
               {"127.0.0.1:1", "127.0.0.1", false}, {"localhost", "localhost", true},
               {"localhost", "127.0.0.1", false},   {"127.0.0.1 ::1", "localhost", true},
               {"10.0.0.0/8", "127.0.0.1", false}};
  asked a;
  open_all(&a, echo, NULL);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    char url[128];
    tm_guard *g = guard_of(table[i].list);
    snprintf(url, sizeof url, "http://%s:%d/", table[i].host, a.peer->port);
    check_guarded(&a, url, g, table[i].lets);
    tm_guard_free(&g);
  }
  close_all(&a);
}

/* A model's base URL is not guarded, and its connection is kept. */
static void a_connection_that_was_kept_is_judged_again(void) {
  tm_guard *g = guard_of("");
  asked a;
  char url[128];
  open_all(&a, echo, NULL);
  snprintf(url, sizeof url, "http://localhost:%d/", a.peer->port);
  ask(&a, (tm_http_req){.url = url});
  CHECK_INT(a.fault, TM_HTTP_OK);
  check_guarded(&a, url, g, false);
  CHECK_INT(a.peer->requests, 1);
  ask(&a, (tm_http_req){.url = url});
  CHECK_INT(a.fault, TM_HTTP_OK);
  close_all(&a);
  tm_guard_free(&g);
}

static void a_host_that_is_not_written_plainly_is_not_guessed_at(void) {
  static const char *const urls[] = {"http://127.0.0.%31/", "http://localhost\\@x/",
                                     "http://[]/", "http://:80/"};
  tm_guard *g = guard_of("*.internal");
  asked a;
  open_all(&a, echo, NULL);
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    tm_err err = TM_ERR_INIT;
    tm_http_req req = {.method = "GET", .url = urls[i], .guard = g};
    CHECK_INT(tm_http_start(&a.call, a.http, &req, answered, &a, &err), -1);
    CHECK_INT(err.code, TM_USAGE);
  }
  close_all(&a);
  tm_guard_free(&g);
}

/* -- limits ---------------------------------------------------------------------------- */

static const char gzipped[] = /* {"tide":"high"} */
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xab\x56\x2a\xc9\x4c\x49\x55\xb2\x52\xca\xc8\x4c"
    "\xcf\x50\xaa\x05\x00\x68\xe2\x9a\xc2\x0f\x00\x00\x00";

static peer_then zipped(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  tm_buf_printf(reply,
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                sizeof gzipped - 1);
  tm_buf_put(reply, gzipped, sizeof gzipped - 1);
  return PEER_KEEP;
}

static void a_gzipped_body_arrives_decoded(void) {
  asked a;
  open_all(&a, zipped, NULL);
  ask(&a, (tm_http_req){0});
  CHECK_STR(a.body, "{\"tide\":\"high\"}");
  close_all(&a);
}

typedef struct bits {
  tm_buf *out;
  unsigned byte, count;
} bits;

/* The `n` low bits of `code`, its highest first, as Huffman codes go. */
static void put_bits(bits *b, unsigned code, int n) {
  while (n-- > 0) {
    b->byte |= (code >> n & 1u) << b->count;
    if (++b->count == 8) {
      tm_buf_putc(b->out, (char)b->byte);
      b->byte = b->count = 0;
    }
  }
}

/* One 'a', and then "258 bytes more of the same" in 13 bits, n times over. */
static void put_bomb(tm_buf *out, size_t n) {
  tm_buf_put(out, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
  bits b = {.out = out};
  put_bits(&b, 1, 1); /* the last block */
  put_bits(&b, 2, 2); /* fixed codes: 01, lowest bit first */
  put_bits(&b, 0x91, 8);
  for (size_t i = 0; i < n; i++) {
    put_bits(&b, 0xc5, 8);
    put_bits(&b, 0, 5);
  }
  put_bits(&b, 0, 7);
  put_bits(&b, 0, 7);
}

static peer_then bomb(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  tm_buf packed = TM_BUF_INIT;
  put_bomb(&packed, (size_t)256 * 1024 * 1024 / 258);
  tm_buf_printf(reply,
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                packed.len);
  tm_buf_put(reply, packed.data, packed.len);
  tm_buf_free(&packed);
  return PEER_CLOSE;
}

static void a_gzip_bomb_is_cut_at_the_decoded_limit(void) {
  asked a;
  open_all(&a, bomb, NULL);
  ask(&a, (tm_http_req){.max_body = (size_t)1 << 20});
  CHECK_INT(a.fault, TM_HTTP_LIMIT);
  CHECK(a.body_len <= (size_t)1 << 20);
  CHECK(strstr(a.message, "more than 1048576 bytes"));
  close_all(&a);
}

static peer_then endless(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  tm_buf_puts(reply, "HTTP/1.1 200 OK\r\n\r\n");
  tm_buf_reserve(reply, (size_t)8 << 20);
  while (reply->len < (size_t)8 << 20)
    tm_buf_puts(reply, "tide after tide after tide after tide after tide after tide ");
  return PEER_CLOSE;
}

static void an_endless_body_is_cut_at_the_limit(void) {
  asked a;
  open_all(&a, endless, NULL);
  ask(&a, (tm_http_req){.max_body = 100000});
  CHECK_INT(a.fault, TM_HTTP_LIMIT);
  CHECK_INT(a.status, 200);
  close_all(&a);
}

static peer_then wordy(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)request;
  const char *block = n == 2 ? "HTTP/1.1 103 Wait\r\nLink: x\r\n\r\n" : "X-Pad: 0123456789\r\n";
  if (n != 2)
    tm_buf_puts(reply, "HTTP/1.1 200 OK\r\n");
  if (n == 3) {
    tm_buf_puts(reply, "X-Long: ");
    for (int i = 0; i < 400000; i++)
      tm_buf_putc(reply, 'x');
  }
  for (int i = 0; i < 1000; i++)
    tm_buf_puts(reply, block);
  tm_buf_puts(reply, n == 2 ? "" : "\r\n");
  return PEER_CLOSE;
}

static void too_many_headers_too_long_ones_and_floods_of_interim_answers_are_cut(void) {
  asked a;
  open_all(&a, wordy, NULL);
  for (int i = 0; i < 3; i++) {
    ask(&a, (tm_http_req){.max_headers = 10000});
    if (a.fault != TM_HTTP_LIMIT)
      check_fail(__FILE__, __LINE__, "flood %d: fault %d %s", i + 1, (int)a.fault, a.message);
    CHECK(strstr(a.message, "headers"));
  }
  close_all(&a);
}

/* -- data as it comes, cancelling, starting from callbacks ----------------------------- */

static int count_data(void *ctx, int status, const char *bytes, size_t len, tm_err *err) {
  (void)bytes, (void)err;
  asked *a = ctx;
  CHECK_INT(status, 200);
  CHECK_INT(a->calls, 0);
  a->data_calls++;
  a->data_len += len;
  return 0;
}

static void data_is_told_as_it_comes_and_kept(void) {
  asked a;
  open_all(&a, endless, NULL);
  ask(&a, (tm_http_req){.on_data = count_data});
  CHECK_INT(a.fault, TM_HTTP_OK);
  CHECK(a.data_calls > 1);
  CHECK_INT(a.data_len, a.body_len);
  close_all(&a);
}

static int refuse_data(void *ctx, int status, const char *bytes, size_t len, tm_err *err) {
  (void)ctx, (void)status, (void)bytes, (void)len;
  return tm_err_set(err, TM_USAGE, "not what I asked for");
}

static void a_listener_can_stop_the_answer_and_say_why(void) {
  asked a;
  open_all(&a, endless, NULL);
  ask(&a, (tm_http_req){.on_data = refuse_data});
  CHECK_INT(a.fault, TM_HTTP_ABORTED);
  CHECK(strstr(a.message, "not what I asked for"));
  close_all(&a);
}

static int cancel_itself(void *ctx, int status, const char *bytes, size_t len, tm_err *err) {
  (void)status, (void)bytes, (void)len, (void)err;
  asked *a = ctx;
  a->data_calls++;
  tm_http_cancel(&a->call);
  return 0;
}

static void a_call_can_be_cancelled_from_its_own_data(void) {
  asked a;
  open_all(&a, endless, NULL);
  ask(&a, (tm_http_req){.on_data = cancel_itself});
  CHECK_INT(a.calls, 0);
  CHECK_INT(a.data_calls, 1);
  ask(&a, (tm_http_req){0});
  CHECK_INT(a.calls, 1);
  CHECK_INT(a.fault, TM_HTTP_OK);
  close_all(&a);
}

static void a_cancelled_call_is_silent_at_every_moment(void) {
  asked a;
  open_all(&a, hang, (char[]){"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"});
  for (int turns = 0; turns < 6; turns++) {
    start(&a, (tm_http_req){0});
    for (int i = 0; i < turns; i++)
      tm_loop_turn(a.loop, 5);
    tm_http_cancel(&a.call);
    CHECK(a.call == NULL);
    tm_http_cancel(&a.call);
  }
  for (int i = 0; i < 5; i++)
    tm_loop_turn(a.loop, 1);
  CHECK_INT(a.calls, 0);
  start(&a, (tm_http_req){0});
  start(&a, (tm_http_req){0});
  close_all(&a); /* with two in flight */
  CHECK_INT(a.calls, 0);
}

static void chain(void *ctx, const tm_http_res *res) {
  asked *a = ctx;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(res->fault, TM_HTTP_OK);
  if (++a->calls < 5)
    CHECK_INT(tm_http_start(&a->call, a->http,
                            &(tm_http_req){.method = "GET", .url = a->peer->url}, chain, a,
                            &err),
              0);
}

static int start_another(void *ctx, int status, const char *bytes, size_t len, tm_err *err) {
  (void)status, (void)bytes, (void)len;
  asked *a = ctx;
  if (a->data_calls++)
    return 0;
  tm_http_req req = {.method = "GET", .url = a->peer->url};
  return tm_http_start(&a->call, a->http, &req, chain, a, err);
}

static void a_call_can_be_started_from_done_and_from_data(void) {
  asked a;
  open_all(&a, echo, NULL);
  tm_err err = TM_ERR_INIT;
  tm_http_req req = {.method = "GET", .url = a.peer->url, .on_data = start_another};
  REQUIRE(tm_http_start(&a.call, a.http, &req, chain, &a, &err) == 0);
  while (a.calls < 6)
    tm_loop_turn(a.loop, -1);
  CHECK_INT(atomic_load(&a.peer->requests), 6);
  close_all(&a);
}

/* -- many at once ---------------------------------------------------------------------- */

#define IN_FLIGHT 1000
#define REQUESTS  5000

typedef struct crowd {
  tm_loop *loop;
  tm_http *http;
  const char *url;
  int started, finished, wrong;
} crowd;

static void one_more(crowd *c);

static void one_done(void *ctx, const tm_http_res *res) {
  crowd *c = ctx;
  c->finished++;
  c->wrong += res->fault != TM_HTTP_OK || res->status != 200;
  one_more(c);
}

static void one_more(crowd *c) {
  if (c->started == REQUESTS)
    return;
  tm_err err = TM_ERR_INIT;
  tm_http_call *call;
  tm_http_req req = {.method = "POST", .url = c->url, .body = "{}", .body_len = 2};
  c->started++;
  if (tm_http_start(&call, c->http, &req, one_done, c, &err) < 0)
    c->finished = REQUESTS;
}

static void a_thousand_are_in_flight_on_kept_connections(void) {
  struct rlimit files = {0};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2500) {
    check_skip("needs 2,500 open files (ulimit -n)");
    return;
  }
  asked a;
  open_all(&a, echo, NULL);
  crowd c = {.loop = a.loop, .http = a.http, .url = a.peer->url};
  while (c.started < IN_FLIGHT)
    one_more(&c);
  while (c.finished < REQUESTS)
    tm_loop_turn(a.loop, -1);
  CHECK_INT(c.wrong, 0);
  CHECK_INT(atomic_load(&a.peer->requests), REQUESTS);
  CHECK(atomic_load(&a.peer->connections) <= IN_FLIGHT + 10);
  close_all(&a);
}

/* -- proxies --------------------------------------------------------------------------- */

static void a_proxy_of_the_environment_is_asked_and_none_is_not(void) {
  asked a;
  open_all(&a, echo, NULL);
  setenv("http_proxy", a.peer->url, 1);
  ask(&a, (tm_http_req){.url = "http://mill.test/wheel"});
  unsetenv("http_proxy");
  CHECK_INT(a.fault, TM_HTTP_OK);
  CHECK(strstr(a.body, "GET http://mill.test/wheel HTTP/1.1\r\n") == a.body);
  CHECK(strstr(a.body, "\r\nUser-Agent: tidemill"));
  close_all(&a);
  open_all(&a, echo, NULL);
  ask(&a, (tm_http_req){0});
  CHECK_INT(a.fault, TM_HTTP_OK);
  CHECK(strstr(a.body, "GET / HTTP/1.1\r\n") == a.body);
  close_all(&a);
}

static void an_agent_or_encoding_of_ones_own_goes_out_alone(void) {
  asked a;
  open_all(&a, echo, NULL);
  tm_http_header own[] = {{"user-agent", "sluice"}, {"Accept-Encoding", "identity"}};
  ask(&a, (tm_http_req){.headers = own, .header_count = 2});
  CHECK(strstr(a.body, "\r\nuser-agent: sluice\r\n"));
  CHECK(strstr(a.body, "\r\nAccept-Encoding: identity\r\n"));
  CHECK(!strstr(a.body, "tidemill"));
  CHECK(!strstr(a.body, "gzip"));
  close_all(&a);
}

CHECK_SUITE(http) {
  CHECK_RUN(a_request_goes_out_as_it_was_given);
  CHECK_RUN(an_agent_or_encoding_of_ones_own_goes_out_alone);
  CHECK_RUN(a_proxy_of_the_environment_is_asked_and_none_is_not);
  CHECK_RUN(every_method_is_sent_and_none_leaks_into_the_next);
  CHECK_RUN(answer_headers_are_found_by_lower_case_names_and_trimmed);
  CHECK_RUN(a_status_is_an_answer_and_not_a_fault);
  CHECK_RUN(a_redirect_is_told_and_not_followed);
  CHECK_RUN(only_the_last_header_block_counts);
  CHECK_RUN(what_cannot_be_a_request_is_refused_at_once);
  CHECK_RUN(a_missing_libcurl_is_named_with_its_package);
  CHECK_RUN(nobody_listening_is_refused_and_nothing_was_sent);
  CHECK_RUN(an_answer_that_is_cut_or_no_http_is_a_reset);
  CHECK_RUN(a_reset_in_the_body_is_a_reset_and_may_have_been_executed);
  CHECK_RUN(a_kept_connection_that_died_is_replaced_without_a_word);
  CHECK_RUN(silence_ends_by_the_deadline_that_it_broke);
  CHECK_RUN(a_connection_that_never_stands_has_a_deadline_of_its_own);
  CHECK_RUN(a_peer_that_speaks_no_tls_is_refused_before_anything_is_sent);
  CHECK_RUN(a_bad_certificate_is_not_accepted_and_nothing_is_sent);
  CHECK_RUN(a_certificate_that_nobody_vouches_for_is_not_accepted);
  CHECK_RUN(a_redirect_is_an_answer_and_no_header_goes_on_with_it);
  CHECK_RUN(a_guarded_url_does_not_reach_this_machine_however_it_is_spelt);
  CHECK_RUN(what_the_operator_lists_is_reached);
  CHECK_RUN(a_connection_that_was_kept_is_judged_again);
  CHECK_RUN(a_host_that_is_not_written_plainly_is_not_guessed_at);
  CHECK_RUN(a_gzipped_body_arrives_decoded);
  CHECK_RUN(a_gzip_bomb_is_cut_at_the_decoded_limit);
  CHECK_RUN(an_endless_body_is_cut_at_the_limit);
  CHECK_RUN(too_many_headers_too_long_ones_and_floods_of_interim_answers_are_cut);
  CHECK_RUN(data_is_told_as_it_comes_and_kept);
  CHECK_RUN(a_listener_can_stop_the_answer_and_say_why);
  CHECK_RUN(a_call_can_be_cancelled_from_its_own_data);
  CHECK_RUN(a_cancelled_call_is_silent_at_every_moment);
  CHECK_RUN(a_call_can_be_started_from_done_and_from_data);
  CHECK_RUN(a_thousand_are_in_flight_on_kept_connections);
}
