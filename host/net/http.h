/* http.h - requests by libcurl's multi interface on the loop: thousands in flight on one
 * thread.
 *
 * libcurl is loaded at the first request (loading it takes longer than a whole small run).
 * TLS is always verified, only http and https, redirects are not followed. A request is
 * copied at start; nothing of it needs to outlive the call. When a connection that was kept
 * from an earlier request turns out to be dead, the request is sent again at once on a fresh
 * one: what must not happen twice needs an idempotency key.
 */
#ifndef TM_NET_HTTP_H
#define TM_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/guard.h"
#include "net/loop.h"

typedef struct tm_http tm_http;
typedef struct tm_http_call tm_http_call;

int tm_http_open(tm_http **out, tm_loop *loop, tm_err *err); /* cheap; loads nothing yet */
/* Cancels what is in flight, silently. Before the loop is closed; not from a callback of h. */
void tm_http_close(tm_http **h);

typedef struct tm_http_header {
  const char *name, *value;
} tm_http_header;

typedef struct tm_http_req {
  const char *method; /* "GET", "POST" ... */
  const char *url;
  const tm_http_header *headers;
  size_t header_count;
  const char *body; /* NULL: none */
  size_t body_len;
  /* 0: 10 s, 600 s, 120 s, 600 s. connect: until the request can be sent; first_byte: from
   * there to the first byte of the answer; idle: without a byte after that; total: all of it.
   */
  int64_t connect_ms, first_byte_ms, idle_ms, total_ms;
  size_t max_body;    /* bytes after decoding; 0: 16 MiB */
  size_t max_headers; /* bytes; 0: 256 KiB */
  const tm_guard
      *guard; /* of a URL that may hold data; NULL: whoever wrote it may go anywhere */
  /* Bytes as they come, before `done`; may be NULL. Return -1 to abort with err. They are
   * kept for the result too. */
  int (*on_data)(void *ctx, int status, const char *bytes, size_t len, tm_err *err);
} tm_http_req;

/* What went wrong below HTTP; a status, even 500, is TM_HTTP_OK. */
typedef enum tm_http_fault {
  TM_HTTP_OK,
  TM_HTTP_REFUSED, /* nothing was sent: name, connect, TLS handshake */
  TM_HTTP_TLS,     /* certificate not accepted: nothing was sent */
  TM_HTTP_RESET,   /* cut at any later moment: may have been executed */
  TM_HTTP_TIMEOUT, /* `sent` says whether it may have been executed */
  TM_HTTP_LIMIT,   /* body or headers larger than allowed */
  TM_HTTP_ABORTED, /* by on_data */
  TM_HTTP_INVALID, /* the request itself: bad URL, scheme not allowed */
  TM_HTTP_GUARDED  /* the address is not for this URL: nothing was sent */
} tm_http_fault;

typedef struct tm_http_res {
  tm_http_fault fault;
  bool sent;        /* at least one byte of the request may have left */
  int status;       /* 0 without an answer */
  const char *body; /* NUL-terminated, decoded */
  size_t body_len;
  const tm_http_header *headers; /* as received, names in lower case */
  size_t header_count;
  int64_t first_byte_ms, total_ms;
  const char *message; /* for people, when fault is not OK; never holds a secret */
} tm_http_res;

/* First value of a header (name in lower case) or NULL. */
const char *tm_http_header_of(const tm_http_res *r, const char *name);

/* `done` is called exactly once from the loop, unless cancelled; res is valid during the call.
 * -1 only for what is known at once (bad URL, guarded address, libcurl missing); then done is never called. */
int tm_http_start(tm_http_call **out, tm_http *h, const tm_http_req *req,
                  void (*done)(void *ctx, const tm_http_res *res), void *ctx, tm_err *err);
/* The answer's last useful byte has come (said from on_data): do not wait for the end longer than
 * this without a byte. The call then ends as TM_HTTP_TIMEOUT with all that came. */
void tm_http_hurry(tm_http_call *c, int64_t idle_ms);
/* May a byte of the request have left by now? NULL: no. */
bool tm_http_sent(const tm_http_call *c);
void tm_http_cancel(tm_http_call **c); /* silences done; NULL is fine */

#endif
