/* http.c - a call's life.
 *
 *                start                       libcurl says done
 *   idle pool ─────────> active ───────────────────────────────> done() ──> idle pool
 *        ▲       │          │  watch: first byte, idle, total ──────┘
 *        │       └> queued ─┘  (started while libcurl is on the stack)
 *        └───────── doomed <── cancel (while libcurl is on the stack)
 *
 * A call and its easy handle stay together for life, so that the options that never
 * change are set once. libcurl must not be given or robbed of handles from inside its own
 * callbacks: what is asked for there is kept in two lists and settled right after.
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_in.h"

#define IDLE_CALLS 1024

int64_t tm_http_now(void) {
  return tm_clock_ns() / 1000000;
}

/* -- the pool -------------------------------------------------------------------------- */

static void free_call(tm_http_call *c) {
  tm_http *h = c->http;
  tm_http_wire_forget(c);
  if (c->easy)
    h->curl.easy_cleanup(c->easy);
  tm_buf_free(&c->in);
  tm_buf_free(&c->body);
  tm_buf_free(&c->head);
  tm_buf_free(&c->lines);
  tm_free(c->nodes);
  tm_free(c->list);
  tm_free(c);
}

static void recycle(tm_http_call *c) {
  tm_http *h = c->http;
  if (h->idle_count == IDLE_CALLS) {
    free_call(c);
    return;
  }
  tm_http_wire_forget(c);
  c->finishing = false;
  tm_list_append(&h->idle, &c->link);
  h->idle_count++;
}

static int take_call(tm_http_call **out, tm_http *h, tm_err *err) {
  tm_list *kept = tm_list_shift(&h->idle);
  if (kept) {
    h->idle_count--;
    *out = TM_LIST_OF(kept, tm_http_call, link);
    return 0;
  }
  tm_http_call *c = tm_new(tm_http_call);
  tm_list_init(&c->link);
  c->http = h;
  tm_buf_init(&c->in, 1);
  c->easy = h->curl.easy_init();
  if (!c->easy)
    tm_err_set(err, TM_TEMP, "libcurl has no memory for a further request");
  else if (tm_http_wire_prepare(c, err) == 0) {
    *out = c;
    return 0;
  }
  free_call(c);
  return -1;
}

/* -- deadlines ------------------------------------------------------------------------- */

static void watch_fired(void *ctx);

/* While connecting, libcurl keeps the time: it shares it out among a host's addresses. */
static int64_t deadline(const tm_http_call *c) {
  int64_t end = c->started + c->total_ms, next = end;
  if (c->first_at)
    next = c->last_at + c->idle_ms;
  else if (c->sent_at)
    next = c->sent_at + c->first_byte_ms;
  return next < end ? next : end;
}

/* A later deadline than the armed one needs nothing: the watch looks again when it fires. */
void tm_http_rewatch(tm_http_call *c) {
  int64_t until = deadline(c);
  if (c->watch && c->armed_until <= until)
    return;
  int64_t now = tm_http_now();
  tm_timer_cancel(&c->watch);
  c->armed_until = until;
  c->watch = tm_timer_start(c->http->loop, until > now ? until - now : 0, watch_fired, c);
}

/* -- the end of a call ----------------------------------------------------------------- */

static void leave(tm_http_call *c) {
  tm_timer_cancel(&c->watch);
  tm_list_remove(&c->link);
  c->http->curl.multi_remove_handle(c->shard->multi, c->easy);
  c->shard->count--;
}

static void finish(tm_http_call *c, const tm_http_res *res) {
  leave(c);
  c->finishing = true;
  if (c->done)
    c->done(c->ctx, res);
  recycle(c);
}

static void watch_fired(void *ctx) {
  tm_http_call *c = ctx;
  c->watch = NULL;
  int64_t now = tm_http_now();
  if (now < deadline(c)) {
    tm_http_rewatch(c);
    return;
  }
  tm_http_res res;
  tm_http_wire_timeout(&res, c, now);
  finish(c, &res);
}

void tm_http_hurry(tm_http_call *c, int64_t idle_ms) {
  if (c->idle_ms <= idle_ms)
    return;
  c->idle_ms = idle_ms;
  tm_http_rewatch(c);
}

static void drop(tm_http_call *c) {
  leave(c);
  recycle(c);
}

bool tm_http_sent(const tm_http_call *c) {
  return c && c->sent_at;
}

void tm_http_cancel(tm_http_call **call) {
  tm_http_call *c = *call;
  *call = NULL;
  if (!c || c->finishing)
    return;
  c->done = NULL;
  c->on_data = NULL;
  if (!c->http->inside) {
    drop(c);
    return;
  }
  tm_timer_cancel(&c->watch);
  tm_list_remove(&c->link);
  tm_list_append(&c->http->doomed, &c->link);
}

/* -- libcurl's turn -------------------------------------------------------------------- */

static void reap(tm_http_shard *s) {
  tm_http *h = s->http;
  int left;
  h->reaping = true;
  for (CURLMsg *m; (m = h->curl.multi_info_read(s->multi, &left));) {
    if (m->msg != CURLMSG_DONE)
      continue;
    CURLcode code = m->data.result;
    tm_http_call *c = NULL;
    h->curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
    tm_http_res res;
    tm_http_wire_result(&res, c, code);
    finish(c, &res);
  }
  h->reaping = false;
}

/* libcurl refuses to take it: treated like a connection that could not be made. */
static void admit(tm_http_call *c) {
  tm_list_append(&c->http->active, &c->link);
  if (c->http->curl.multi_add_handle(c->shard->multi, c->easy) == CURLM_OK)
    return;
  tm_http_res res;
  tm_http_wire_result(&res, c, CURLE_FAILED_INIT);
  finish(c, &res);
}

void tm_http_act(tm_http_shard *s, curl_socket_t fd, int events) {
  tm_http *h = s->http;
  int running;
  assert(!h->inside && !h->reaping);
  h->inside = true;
  h->came_at = 0;
  h->curl.multi_socket_action(s->multi, fd, events, &running);
  h->inside = false;
  for (tm_list *at; (at = tm_list_shift(&h->doomed));)
    drop(TM_LIST_OF(at, tm_http_call, link));
  reap(s);
  for (tm_list *at; (at = tm_list_shift(&h->queued));)
    admit(TM_LIST_OF(at, tm_http_call, link));
}

/* -- the door -------------------------------------------------------------------------- */

static int add_shard(tm_http *h, tm_err *err) {
  tm_http_shard *s = tm_new(tm_http_shard);
  s->http = h;
  if (tm_http_poll_open(s, err) < 0) {
    tm_free(s);
    return -1;
  }
  h->shards = tm_realloc(h->shards, (h->shard_count + 1) * sizeof *h->shards);
  h->shards[h->shard_count++] = s;
  return 0;
}

/* The first with room, so that few calls share few connections. */
static tm_http_shard *shard_for(tm_http *h, tm_err *err) {
  for (size_t i = 0; i < h->shard_count; i++)
    if (h->shards[i]->count < TM_HTTP_SHARD)
      return h->shards[i];
  if (!h->curl.library && tm_curl_load(&h->curl, NULL, err) < 0)
    return NULL;
  return add_shard(h, err) < 0 ? NULL : h->shards[h->shard_count - 1];
}

int tm_http_start(tm_http_call **out, tm_http *h, const tm_http_req *req,
                  void (*done)(void *ctx, const tm_http_res *res), void *ctx, tm_err *err) {
  tm_http_call *c;
  *out = NULL;
  tm_http_shard *shard = shard_for(h, err);
  if (!shard || take_call(&c, h, err) < 0)
    return -1;
  if (tm_http_wire_request(c, req, err) < 0) {
    recycle(c);
    return -1;
  }
  c->done = done;
  c->ctx = ctx;
  c->shard = shard;
  c->started = tm_http_now();
  if (!h->inside && h->curl.multi_add_handle(shard->multi, c->easy) != CURLM_OK) {
    recycle(c);
    return tm_err_set(err, TM_TEMP, "libcurl has no memory for a further request");
  }
  tm_list_append(h->inside ? &h->queued : &h->active, &c->link);
  shard->count++;
  tm_http_rewatch(c);
  *out = c;
  return 0;
}

int tm_http_open(tm_http **out, tm_loop *loop, tm_err *err) {
  (void)err;
  tm_http *h = tm_new(tm_http);
  h->loop = loop;
  tm_list_init(&h->active);
  tm_list_init(&h->queued);
  tm_list_init(&h->doomed);
  tm_list_init(&h->idle);
  *out = h;
  return 0;
}

void tm_http_close(tm_http **http) {
  tm_http *h = *http;
  *http = NULL;
  if (!h)
    return;
  assert(!h->inside && !h->reaping && "closed from inside a callback");
  for (tm_list *at; (at = tm_list_shift(&h->active));)
    drop(TM_LIST_OF(at, tm_http_call, link));
  for (tm_list *at; (at = tm_list_shift(&h->idle));)
    free_call(TM_LIST_OF(at, tm_http_call, link));
  for (size_t i = 0; i < h->shard_count; i++) {
    h->curl.multi_cleanup(h->shards[i]->multi);
    tm_timer_cancel(&h->shards[i]->timer);
    tm_free(h->shards[i]);
  }
  tm_free(h->shards);
  tm_http_poll_close(h);
  tm_curl_unload(&h->curl);
  tm_free(h);
}
