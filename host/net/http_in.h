/* http_in.h - what http.c, http_wire.c and http_poll.c share. Not for the floors above.
 *
 *   http.c       a call's life: start, watch its deadlines, finish, cancel
 *   http_wire.c  a request as libcurl's options, an answer as bytes and headers
 *   http_poll.c  libcurl's sockets and its one timer, on the loop
 */
#ifndef TM_NET_HTTP_IN_H
#define TM_NET_HTTP_IN_H

#include "base/buf.h"
#include "net/curl.h"
#include "net/http.h"
#include "net/uvloop.h"

typedef struct tm_http_sock tm_http_sock;

/* One of libcurl's multi handles, with its own connections. To find a free connection libcurl
 * walks all of a host's: a thousand in one list cost as much as the requests themselves. */
typedef struct tm_http_shard {
  tm_http *http;
  CURLM *multi;
  tm_timer *timer;
  size_t count; /* calls in flight */
} tm_http_shard;

#define TM_HTTP_SHARD 128 /* calls in flight, before the next shard is used */

struct tm_http {
  tm_loop *loop;
  tm_curl curl;
  tm_http_shard **shards; /* none: libcurl is not loaded yet */
  size_t shard_count;
  tm_http_sock **socks; /* by file descriptor */
  size_t sock_cap;
  tm_list active; /* in flight */
  tm_list queued; /* started from inside libcurl: it takes no new ones there */
  tm_list doomed; /* cancelled from inside libcurl */
  tm_list idle;   /* calls to be used again, each with its easy handle */
  size_t idle_count;
  bool inside;     /* libcurl is on the stack */
  int64_t came_at; /* when the first bytes came that it has read since; 0: none */
  bool reaping;
};

struct tm_http_call {
  tm_list link;
  tm_http *http;
  tm_http_shard *shard;
  CURL *easy;
  void (*done)(void *ctx, const tm_http_res *res);
  int (*on_data)(void *ctx, int status, const char *bytes, size_t len, tm_err *err);
  void *ctx;

  /* the request */
  tm_buf body;
  tm_buf lines;             /* headers, each with its NUL */
  struct curl_slist *nodes; /* a list of them */
  size_t line_count, node_cap;
  char origin[128]; /* scheme://host:port, for messages */
  const tm_guard *guard;
  tm_guard_place place; /* of a guarded URL */
  bool denied;          /* by the guard */
  size_t max_body, max_headers;
  int64_t connect_ms, first_byte_ms, idle_ms, total_ms;

  /* the answer so far */
  tm_buf in;         /* body, decoded */
  tm_buf head;       /* name NUL value NUL ... of the last header block */
  size_t head_count; /* headers in it */
  size_t head_bytes; /* of all header blocks, as received */
  tm_http_header *list;
  size_t list_cap;
  bool head_whole; /* its closing blank line came */
  int status;
  tm_http_fault stopped; /* why we made libcurl stop: LIMIT, ABORTED; else OK */
  tm_err why;            /* what on_data said */

  /* clocks, in ms of the monotonic clock; 0: has not happened */
  int64_t started, sent_at, first_at, last_at, armed_until;
  tm_timer *watch;
  bool finishing; /* inside done */
  char detail[CURL_ERROR_SIZE];
  char message[512];
};

int64_t tm_http_now(void);
/* May this call be connected to that address? What may not is remembered in `denied`. */
bool tm_http_wire_lets(tm_http_call *c, const struct sockaddr *to);
/* A deadline may have come nearer: sent, or first byte. */
void tm_http_rewatch(tm_http_call *c);

/* http_wire.c */
int tm_http_wire_prepare(tm_http_call *c, tm_err *err); /* once for each easy handle */
int tm_http_wire_request(tm_http_call *c, const tm_http_req *req, tm_err *err);
void tm_http_wire_forget(tm_http_call *c);
void tm_http_wire_result(tm_http_res *out, tm_http_call *c, CURLcode code);
void tm_http_wire_timeout(tm_http_res *out, tm_http_call *c, int64_t now);

/* http_poll.c */
int tm_http_poll_open(tm_http_shard *s, tm_err *err);
void tm_http_poll_close(tm_http *h);       /* after the multi handles are gone */
int tm_http_poll_options(tm_http_call *c); /* 0, or libcurl refused one */
/* Calls libcurl, then settles what it left to do. In http.c. */
void tm_http_act(tm_http_shard *s, curl_socket_t fd, int events);

#endif
