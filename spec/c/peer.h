/* peer.h - a server in a thread, for tests of what speaks HTTP.
 *
 * The test gives a function that answers each whole request with raw bytes, so that a fault is
 * written down exactly as it goes over the wire. One thread, poll(), loopback, a free port.
 */
#ifndef TM_SPEC_PEER_H
#define TM_SPEC_PEER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define PEER_CONNECTIONS 1200

typedef enum peer_then { PEER_KEEP, PEER_CLOSE, PEER_RESET } peer_then;

typedef struct peer peer;
/* `n` counts requests from 1. Append the raw answer to `reply` (nothing: hang). */
typedef peer_then (*peer_fn)(peer *p, int n, const char *request, tm_buf *reply);

struct peer {
  peer_fn answer;
  void *ctx;
  int port;
  atomic_int requests, connections;
  char url[64];
  /* from here on the thread's own */
  pthread_t thread;
  int listener, stop[2];
  size_t count;
  struct pollfd fds[PEER_CONNECTIONS];
  tm_buf in[PEER_CONNECTIONS];
};

static void peer_drop(peer *p, size_t i, bool reset) {
  struct linger hard = {.l_onoff = 1, .l_linger = 0};
  if (reset)
    setsockopt(p->fds[i].fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(p->fds[i].fd);
  tm_buf_free(&p->in[i]);
  p->count--;
  p->fds[i] = p->fds[p->count];
  p->in[i] = p->in[p->count];
}

/* Length of the first whole request, 0 when it is not whole yet. */
static size_t peer_whole(const tm_buf *b) {
  const char *end = strstr(tm_buf_str(b), "\r\n\r\n");
  if (!end)
    return 0;
  size_t need = (size_t)(end - b->data) + 4;
  const char *length = strcasestr(b->data, "\r\ncontent-length:");
  if (length && length < end)
    need += (size_t)strtoul(length + 17, NULL, 10);
  return b->len >= need ? need : 0;
}

/* Everything or until the other side is gone. */
static bool peer_write(int fd, const char *bytes, size_t len) {
  while (len) {
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes += n;
    len -= (size_t)n;
  }
  return true;
}

static bool peer_serve(peer *p, size_t i) {
  char chunk[16384];
  tm_buf *in = &p->in[i];
  ssize_t n = recv(p->fds[i].fd, chunk, sizeof chunk, 0);
  if (n <= 0)
    return peer_drop(p, i, false), false;
  tm_buf_put(in, chunk, (size_t)n);
  for (size_t len; (len = peer_whole(in));) {
    char *request = tm_strndup(in->data, len);
    memmove(in->data, in->data + len, in->len - len + 1);
    in->len -= len;
    tm_buf reply = TM_BUF_INIT;
    int nth = atomic_fetch_add(&p->requests, 1) + 1;
    peer_then then = p->answer(p, nth, request, &reply);
    bool alive = peer_write(p->fds[i].fd, tm_buf_str(&reply), reply.len);
    tm_buf_free(&reply);
    tm_free(request);
    if (!alive || then != PEER_KEEP)
      return peer_drop(p, i, then == PEER_RESET), false;
  }
  return true;
}

static void *peer_run(void *arg) {
  peer *p = arg;
  p->fds[0] = (struct pollfd){.fd = p->stop[0], .events = POLLIN};
  p->fds[1] = (struct pollfd){.fd = p->listener, .events = POLLIN};
  p->count = 2;
  while (poll(p->fds, p->count, -1) > 0 && !p->fds[0].revents) {
    for (size_t i = p->count; i-- > 2;)
      if (p->fds[i].revents)
        peer_serve(p, i);
    if (p->fds[1].revents && p->count < PEER_CONNECTIONS) {
      p->fds[p->count] =
          (struct pollfd){.fd = accept(p->listener, NULL, NULL), .events = POLLIN};
      tm_buf_init(&p->in[p->count++], 0);
      atomic_fetch_add(&p->connections, 1);
    }
  }
  while (p->count > 2)
    peer_drop(p, p->count - 1, false);
  return NULL;
}

static peer *peer_start(peer_fn answer, void *ctx) {
  peer *p = tm_new(peer);
  p->answer = answer;
  p->ctx = ctx;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(p->listener, (struct sockaddr *)&at, len) < 0 || listen(p->listener, 1024) < 0 ||
      getsockname(p->listener, (struct sockaddr *)&at, &len) < 0 || pipe(p->stop) < 0)
    abort();
  p->port = ntohs(at.sin_port);
  snprintf(p->url, sizeof p->url, "http://127.0.0.1:%d", p->port);
  pthread_create(&p->thread, NULL, peer_run, p);
  return p;
}

static void peer_stop(peer **peer_ptr) {
  peer *p = *peer_ptr;
  *peer_ptr = NULL;
  if (write(p->stop[1], "x", 1) != 1)
    abort();
  pthread_join(p->thread, NULL);
  close(p->stop[0]);
  close(p->stop[1]);
  close(p->listener);
  tm_free(p);
}

/* A plain answer with its length. `headers` as lines that end in CRLF, or "". */
__attribute__((unused)) static peer_then peer_reply(tm_buf *out, int status,
                                                    const char *headers, const char *body) {
  tm_buf_printf(out, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
                strlen(body), body);
  return PEER_KEEP;
}

#endif
