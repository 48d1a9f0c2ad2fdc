/* http_poll.c - libcurl's sockets and its one timer, on the loop.
 *
 * libcurl says "watch" when a request goes out on a connection and "do not watch"
 * when the answer is in. On a busy connection that is twice for each request, and
 * each costs system calls. So a connection's socket stays watched until it is closed,
 * or until it turns readable while nobody wants to know (the peer hung up).
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http_in.h"

struct tm_http_sock {
  uv_poll_t poll;
  tm_http_shard *shard; /* whose wish it is; NULL before the first */
  curl_socket_t fd;
  int wanted, armed; /* UV_READABLE | UV_WRITABLE: libcurl's wish, the loop's state */
  bool connection;   /* opened by open_socket, so close_socket will tell of its end */
};

static void ready(uv_poll_t *poll, int status, int events) {
  tm_http_sock *s = poll->data;
  if (!s->wanted) {
    uv_poll_stop(poll);
    s->armed = 0;
    return;
  }
  if (status < 0) {
    /* The socket has an error, and libuv has stopped watching it. libcurl had better find out
     * by reading: told of an "error" it takes a kept connection that died for a failed request.
     */
    uv_poll_start(poll, s->wanted, ready);
    s->armed = s->wanted;
    events = UV_READABLE;
  }
  int flags = events & UV_READABLE ? CURL_CSELECT_IN : 0;
  flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
  tm_http_act(s->shard, s->fd, flags);
}

static tm_http_sock *sock_at(tm_http *h, curl_socket_t fd) {
  return (size_t)fd < h->sock_cap ? h->socks[fd] : NULL;
}

static tm_http_sock *add_sock(tm_http *h, curl_socket_t fd, bool connection) {
  if ((size_t)fd >= h->sock_cap) {
    size_t cap = h->sock_cap ? h->sock_cap : 64;
    while (cap <= (size_t)fd)
      cap *= 2;
    h->socks = tm_realloc(h->socks, cap * sizeof(tm_http_sock *));
    memset(h->socks + h->sock_cap, 0, (cap - h->sock_cap) * sizeof(tm_http_sock *));
    h->sock_cap = cap;
  }
  tm_http_sock *s = tm_new(tm_http_sock);
  if (uv_poll_init_socket(tm_loop_uv(h->loop), &s->poll, fd) < 0) {
    tm_free(s);
    return NULL;
  }
  s->poll.data = s;
  s->fd = fd;
  s->connection = connection;
  h->socks[fd] = s;
  return s;
}

static void free_sock(uv_handle_t *handle) {
  tm_free(handle->data);
}

static void drop_sock(tm_http *h, tm_http_sock *s) {
  h->socks[s->fd] = NULL;
  uv_poll_stop(&s->poll);
  uv_close((uv_handle_t *)&s->poll, free_sock);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused) {
  (void)easy, (void)unused;
  tm_http_shard *shard = ctx;
  tm_http *h = shard->http;
  tm_http_sock *s = sock_at(h, fd);
  if (what == CURL_POLL_REMOVE) {
    if (s && !s->connection)
      drop_sock(h, s);
    else if (s)
      s->wanted = 0;
    return 0;
  }
  if (!s && !(s = add_sock(h, fd, false)))
    return -1;
  s->shard = shard;
  s->wanted =
      (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  if (s->wanted != s->armed && uv_poll_start(&s->poll, s->wanted, ready) == 0)
    s->armed = s->wanted;
  return 0;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to) {
  (void)purpose;
  tm_http_call *c = ctx;
  if (!tm_http_wire_lets(c, &to->addr))
    return CURL_SOCKET_BAD;
  int fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->protocol);
  if (fd >= 0 && !add_sock(c->http, fd, true)) {
    close(fd);
    fd = -1;
  }
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int close_socket(void *ctx, curl_socket_t fd) {
  tm_http_sock *s = sock_at(ctx, fd);
  if (s)
    drop_sock(ctx, s);
  return close(fd);
}

static void timer_fired(void *ctx) {
  tm_http_shard *s = ctx;
  s->timer = NULL;
  tm_http_act(s, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_wanted(CURLM *multi, long ms, void *ctx) {
  (void)multi;
  tm_http_shard *s = ctx;
  tm_timer_cancel(&s->timer);
  if (ms >= 0)
    s->timer = tm_timer_start(s->http->loop, ms, timer_fired, s);
  return 0;
}

int tm_http_poll_open(tm_http_shard *s, tm_err *err) {
  const tm_curl *curl = &s->http->curl;
  s->multi = curl->multi_init();
  if (!s->multi)
    return tm_err_set(err, TM_TEMP, "libcurl could not start: out of memory or files");
  curl->multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
  curl->multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
  curl->multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
  curl->multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
  curl->multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)TM_HTTP_SHARD); /* kept when idle */
  return 0;
}

void tm_http_poll_close(tm_http *h) {
  for (size_t fd = 0; fd < h->sock_cap; fd++)
    if (h->socks[fd])
      drop_sock(h, h->socks[fd]);
  tm_free(h->socks);
  h->socks = NULL;
  h->sock_cap = 0;
}

int tm_http_poll_options(tm_http_call *c) {
  const tm_curl *curl = &c->http->curl;
  int failed = curl->easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) != CURLE_OK;
  failed |= curl->easy_setopt(c->easy, CURLOPT_OPENSOCKETDATA, c) != CURLE_OK;
  failed |= curl->easy_setopt(c->easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket) != CURLE_OK;
  failed |= curl->easy_setopt(c->easy, CURLOPT_CLOSESOCKETDATA, c->http) != CURLE_OK;
  return failed ? -1 : 0;
}
