/* server.c - mock-server: sockets and HTTP/1.1, one thread, epoll.
 *
 *   mock-server [--port N] [--rules FILE] [--no-log]
 *
 * Prints "listening PORT" when it is ready. Ends when stdin is closed, on SIGTERM, on
 * POST /quit, or with the process that started it.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "mock.h"

#define EVENTS  512
#define DRIP_MS 3

typedef struct conn {
  struct server *server;
  tm_list link; /* among those that wait for their time */
  int fd;
  tm_buf in, out;
  size_t sent, step;
  bool reset_after;
  const char *drip; /* what follows every DRIP_MS; NULL: nothing */
  int64_t due_ms;   /* the reply is held back until then; 0: no reply waits */
  bool close_after, stuck, writing;
} conn;

typedef struct server {
  mock mock;
  int epoll_fd;
  tm_list delayed;
} server;

static int64_t now_ms(void) {
  return tm_clock_ns() / 1000000;
}

const char *mock_header(const mock_request *r, const char *name) {
  for (size_t i = 0; i < r->header_count; i++)
    if (strcmp(r->headers[i].name, name) == 0)
      return r->headers[i].value;
  return NULL;
}

static void drop(conn *c, bool reset) {
  struct linger hard = {.l_onoff = 1, .l_linger = 0};
  if (reset)
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(c->fd);
  tm_list_remove(&c->link);
  tm_buf_free(&c->in);
  tm_buf_free(&c->out);
  tm_free(c);
}

static void watch(conn *c, bool writing) {
  if (c->writing == writing)
    return;
  c->writing = writing;
  struct epoll_event ev = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c};
  epoll_ctl(c->server->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

/* false: the connection is gone. */
static bool flush(conn *c) {
  while (c->sent < c->out.len) {
    size_t left = c->out.len - c->sent, len = c->step && c->step < left ? c->step : left;
    ssize_t n = send(c->fd, c->out.data + c->sent, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
      return drop(c, false), false;
    c->sent += n < 0 ? 0 : (size_t)n;
    if (n < 0 || (c->step && c->sent < c->out.len)) {
      watch(c, true);
      return true;
    }
  }
  tm_buf_reset(&c->out);
  c->sent = 0;
  watch(c, false);
  if (c->close_after)
    return drop(c, c->reset_after), false;
  return true;
}

/* -- requests -------------------------------------------------------------------------- */

/* Cut `text` (which is changed) into a request; false when it is none. */
static bool parse_head(mock_request *r, char *text) {
  char *line = strsep(&text, "\n"), *at = line;
  *r = (mock_request){.method = strsep(&at, " "), .path = strsep(&at, " ")};
  if (!r->path || !at)
    return false;
  while ((line = strsep(&text, "\n")) && r->header_count < MOCK_HEADERS) {
    line[strcspn(line, "\r")] = '\0';
    char *value = strchr(line, ':');
    if (!value)
      continue;
    *value++ = '\0';
    for (char *p = line; *p; p++)
      *p = (char)tolower((unsigned char)*p);
    r->headers[r->header_count].name = line;
    r->headers[r->header_count++].value = value + strspn(value, " \t");
  }
  return true;
}

static void put_head(conn *c, const mock_reply *reply, bool told) {
  tm_buf_printf(&c->out, "HTTP/1.1 %d %s\r\n%s", reply->status,
                reply->status < 400 ? "OK" : "Error", tm_buf_str(&reply->headers));
  if (told && reply->status != 204)
    tm_buf_printf(&c->out, "Content-Length: %zu\r\n", reply->body.len);
  tm_buf_puts(&c->out, "\r\n");
}

static void put_reply(conn *c, mock_reply *reply) {
  size_t before = c->out.len;
  mock_manner manner = reply->manner;
  bool half = manner == MOCK_TRUNCATE || manner == MOCK_CUT || manner == MOCK_STALL;
  if (reply->raw.len) {
    tm_buf_put(&c->out, reply->raw.data, reply->raw.len);
  } else {
    put_head(c, reply, manner != MOCK_LINGER);
    tm_buf_put(&c->out, tm_buf_str(&reply->body), reply->body.len);
  }
  if (half)
    c->out.len = before + (c->out.len - before) - reply->body.len / 2 - 1;
  c->close_after = manner == MOCK_TRUNCATE || manner == MOCK_CUT || manner == MOCK_LAST ||
                   manner == MOCK_SNAP;
  c->reset_after = manner == MOCK_CUT || manner == MOCK_SNAP;
  c->stuck = manner == MOCK_STALL || manner == MOCK_LINGER || reply->drip;
  c->drip = reply->drip;
  c->step = reply->step;
}

/* false: the connection is gone. */
static bool respond(conn *c, const mock_request *r) {
  mock_reply reply = {.status = 200};
  mock_answer(&c->server->mock, r, &reply);
  mock_manner manner = reply.manner;
  if (manner == MOCK_HANG)
    c->stuck = true;
  else if (manner != MOCK_RESET && manner != MOCK_CLOSE)
    put_reply(c, &reply);
  if (reply.delay_ms > 0 && c->out.len) {
    c->due_ms = now_ms() + reply.delay_ms;
    tm_list_append(&c->server->delayed, &c->link);
  }
  if (c->drip) {
    c->due_ms = now_ms() + DRIP_MS;
    tm_list_append(&c->server->delayed, &c->link);
  }
  tm_buf_free(&reply.headers);
  tm_buf_free(&reply.body);
  tm_buf_free(&reply.raw);
  if (manner == MOCK_RESET || manner == MOCK_CLOSE)
    return drop(c, manner == MOCK_RESET), false;
  return true;
}

/* Bytes of the first whole request in the buffer; 0: not whole yet. *head: of its head. */
static size_t whole(const tm_buf *in, size_t *head) {
  const char *end = memmem(tm_buf_str(in), in->len, "\r\n\r\n", 4);
  if (!end)
    return 0;
  *head = (size_t)(end - in->data);
  size_t body = 0;
  for (const char *at = in->data; at && at < end; at = memchr(at, '\n', (size_t)(end - at))) {
    at += *at == '\n';
    if (strncasecmp(at, "content-length:", 15) == 0)
      body = (size_t)strtoul(at + 15, NULL, 10);
  }
  size_t need = *head + 4 + body;
  return in->len >= need ? need : 0;
}

/* All whole requests that wait, one after the other, until one is held back. */
static void serve(conn *c) {
  size_t head;
  for (size_t len; !c->stuck && !c->due_ms && (len = whole(&c->in, &head));) {
    mock_request r;
    char after = c->in.data[len];
    c->in.data[head] = c->in.data[len] = '\0';
    bool good = parse_head(&r, c->in.data);
    r.body = c->in.data + head + 4;
    r.body_len = len - head - 4;
    if (!good) {
      drop(c, false);
      return;
    }
    if (!respond(c, &r))
      return;
    c->in.data[len] = after;
    memmove(c->in.data, c->in.data + len, c->in.len - len + 1);
    c->in.len -= len;
  }
  if (!c->due_ms && c->out.len)
    flush(c);
}

static void readable(conn *c) {
  tm_buf_reserve(&c->in, 16384);
  ssize_t n = recv(c->fd, c->in.data + c->in.len, 16384, 0);
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0) {
    drop(c, false);
    return;
  }
  c->in.len += (size_t)n;
  c->in.data[c->in.len] = '\0';
  serve(c);
}

/* -- time ------------------------------------------------------------------------------ */

/* One piece more, and then it waits again. */
static void drip(conn *c) {
  tm_buf_puts(&c->out, c->drip);
  if (!flush(c))
    return;
  c->due_ms = now_ms() + DRIP_MS;
  tm_list_append(&c->server->delayed, &c->link);
}

/* Sends what is due; returns the ms until the next, -1: none. */
static int run_delayed(server *s) {
  int64_t now = now_ms(), next = -1;
  for (tm_list *at = s->delayed.next, *after; at != &s->delayed; at = after) {
    conn *c = TM_LIST_OF(at, conn, link);
    after = at->next;
    if (c->due_ms > now) {
      next = next < 0 || c->due_ms - now < next ? c->due_ms - now : next;
      continue;
    }
    tm_list_remove(at);
    c->due_ms = 0;
    if (c->drip)
      drip(c);
    else if (flush(c) && !c->out.len)
      serve(c);
  }
  return (int)next;
}

/* -- the server ------------------------------------------------------------------------ */

static int listen_on(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 4096) < 0 ||
      getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
    perror("mock-server: cannot listen");
    exit(1);
  }
  printf("listening %d\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

static void accept_all(server *s, int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    conn *c = tm_new(conn);
    c->server = s;
    c->fd = fd;
    tm_list_init(&c->link);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
  }
}

static bool stdin_ended(void) {
  char bytes[256];
  return read(0, bytes, sizeof bytes) <= 0;
}

static void run(server *s, int listener) {
  struct epoll_event events[EVENTS];
  struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &listener};
  struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, listener, &on_listener);
  epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, 0,
            &on_stdin); /* refused for a file: then nobody watches */
  while (!s->mock.quit) {
    int n = epoll_wait(s->epoll_fd, events, EVENTS, run_delayed(s));
    for (int i = 0; i < n; i++) {
      void *who = events[i].data.ptr;
      if (!who && stdin_ended())
        return;
      if (who == &listener)
        accept_all(s, listener);
      else if (who && ((conn *)who)->writing)
        flush(who);
      else if (who)
        readable(who);
    }
  }
}

int main(int argc, char **argv) {
  server s = {.mock = {.keep_log = true}};
  tm_err err = TM_ERR_INIT;
  int port = 0;
  tm_arena_init(&s.mock.arena, 0);
  tm_list_init(&s.delayed);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--no-log") == 0) {
      s.mock.keep_log = false;
    } else if (i + 1 < argc && strcmp(argv[i], "--port") == 0) {
      port = atoi(argv[++i]);
    } else if (i + 1 < argc && strcmp(argv[i], "--rules") == 0) {
      if (mock_load_rules(&s.mock, argv[++i], &err) < 0) {
        fprintf(stderr, "mock-server: %s\n", err.msg);
        return 2;
      }
    } else {
      fprintf(stderr, "usage: mock-server [--port N] [--rules FILE] [--no-log]\n");
      return 2;
    }
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  run(&s, listen_on(port));
  return 0;
}
