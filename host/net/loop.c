/* loop.c - libuv's loop with one place to commit in each turn.
 *
 *   turn(max_ms):  due timers -> before_sleep -> poll -> callbacks -> due timers
 *   turn(0):       due timers -> poll -> callbacks -> before_sleep
 *
 * before_sleep stands in a uv_prepare handle, between the timers and the poll, so
 * that what a timer did is committed before the loop sleeps on it. How long the
 * loop may sleep is a timer of its own, `limit`, set there.
 */
#include <assert.h>
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "net/uvloop.h"

typedef struct post {
  void (*fn)(void *arg);
  void *arg;
} post;

typedef struct posts {
  post *items;
  size_t count, cap;
} posts;

struct tm_loop {
  uv_loop_t uv;
  uv_async_t wake;
  uv_prepare_t prepare;
  uv_timer_t limit;
  int64_t max_ms;  /* of the running turn */
  int64_t allowed; /* before_sleep's last word, for tm_loop_timeout */
  bool turning;
  bool fired; /* a timer ran in this turn: something has happened, so do not sleep */
  int64_t (*before_sleep)(void *ctx);
  void *before_ctx;
  uv_mutex_t lock; /* guards `waiting` alone */
  posts waiting, running;
  tm_timer *timers; /* every timer there is, to be freed with the loop */
  tm_timer *idle;   /* those of them that can be used again */
  tm_list guests;
};

struct tm_timer {
  uv_timer_t uv;
  tm_loop *loop;
  void (*fn)(void *ctx);
  void *ctx;
  tm_timer *older, *next_idle;
};

uv_loop_t *tm_loop_uv(tm_loop *l) {
  return &l->uv;
}

/* -- posts ----------------------------------------------------------------------------- */

void tm_loop_post(tm_loop *l, void (*fn)(void *arg), void *arg) {
  uv_mutex_lock(&l->lock);
  posts *p = &l->waiting;
  if (p->count == p->cap) {
    p->cap = p->cap ? p->cap * 2 : 16;
    p->items = tm_realloc(p->items, p->cap * sizeof *p->items);
  }
  p->items[p->count++] = (post){fn, arg};
  bool first = p->count == 1;
  uv_mutex_unlock(&l->lock);
  if (first)
    tm_loop_wake(l);
}

void tm_loop_wake(tm_loop *l) {
  uv_async_send(&l->wake);
}

static void woken(uv_async_t *async) {
  tm_loop *l = async->data;
  uv_mutex_lock(&l->lock);
  posts due = l->waiting;
  l->waiting = l->running; /* empty: its memory is used again */
  uv_mutex_unlock(&l->lock);
  for (size_t i = 0; i < due.count; i++)
    due.items[i].fn(due.items[i].arg);
  due.count = 0;
  l->running = due;
}

/* -- timers ---------------------------------------------------------------------------- */

static void fired(uv_timer_t *uv);

static tm_timer *fresh_timer(tm_loop *l) {
  tm_timer *t = l->idle;
  if (t) {
    l->idle = t->next_idle;
    return t;
  }
  t = tm_new(tm_timer);
  uv_timer_init(&l->uv, &t->uv);
  t->uv.data = t;
  t->loop = l;
  t->older = l->timers;
  l->timers = t;
  return t;
}

static void retire(tm_timer *t) {
  t->next_idle = t->loop->idle;
  t->loop->idle = t;
}

static void fired(uv_timer_t *uv) {
  tm_timer *t = uv->data;
  void (*fn)(void *ctx) = t->fn;
  void *ctx = t->ctx;
  retire(t);
  t->loop->fired = true;
  fn(ctx);
}

tm_timer *tm_timer_start(tm_loop *l, int64_t delay_ms, void (*fn)(void *ctx), void *ctx) {
  tm_timer *t = fresh_timer(l);
  t->fn = fn;
  t->ctx = ctx;
  /* libuv counts whole milliseconds from a clock read at the start of the turn: read it again,
   * and add the one that rounding may have eaten, so that no timer is early. What is due at once
   * needs no clock. */
  if (delay_ms > 0)
    uv_update_time(&l->uv);
  uv_timer_start(&t->uv, fired, delay_ms > 0 ? (uint64_t)delay_ms + 1 : 0, 0);
  return t;
}

void tm_timer_cancel(tm_timer **timer) {
  tm_timer *t = *timer;
  *timer = NULL;
  if (!t)
    return;
  uv_timer_stop(&t->uv);
  retire(t);
}

/* -- the turn -------------------------------------------------------------------------- */

static void limit_reached(uv_timer_t *uv) {
  (void)uv;
}

static int64_t shorter(int64_t a, int64_t b) {
  return a < 0 ? b : b < 0 || a < b ? a : b;
}

static void prepare(uv_prepare_t *p) {
  tm_loop *l = p->data;
  if (l->max_ms == 0)
    return;
  l->allowed = l->before_sleep ? l->before_sleep(l->before_ctx) : -1;
  int64_t ms = l->fired ? 0 : shorter(l->max_ms, l->allowed);
  if (ms < 0)
    return;
  uv_update_time(&l->uv);
  uv_timer_start(&l->limit, limit_reached, (uint64_t)ms, 0);
}

void tm_loop_before_sleep(tm_loop *l, int64_t (*fn)(void *ctx), void *ctx) {
  l->before_sleep = fn;
  l->before_ctx = ctx;
}

void tm_loop_turn(tm_loop *l, int64_t max_ms) {
  assert(!l->turning && "a turn inside a turn");
  l->turning = true;
  l->max_ms = max_ms;
  l->fired = false;
  uv_run(&l->uv, max_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  uv_timer_stop(&l->limit);
  if (max_ms == 0)
    l->allowed = l->before_sleep ? l->before_sleep(l->before_ctx) : -1;
  l->turning = false;
}

int tm_loop_fd(const tm_loop *l) {
  return uv_backend_fd(&l->uv);
}

int64_t tm_loop_timeout(const tm_loop *l) {
  uv_loop_t *uv = (uv_loop_t *)&l->uv; /* its idea of now is a cache, not a state */
  uv_update_time(uv);
  return shorter(uv_backend_timeout(uv), l->allowed);
}

/* -- opening and closing --------------------------------------------------------------- */

void tm_loop_seat(tm_loop *l, tm_loop_guest *g) {
  tm_list_append(&l->guests, &g->link);
}

void tm_loop_unseat(tm_loop_guest *g) {
  tm_list_remove(&g->link);
}

static void block_sigpipe(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *firm_malloc(size_t size) {
  return tm_realloc(NULL, size);
}

static void *firm_calloc(size_t count, size_t size) {
  return tm_alloc(count * size); /* libuv's counts are small: handles and watchers */
}

void tm_loop_own_memory(void) {
  uv_replace_allocator(firm_malloc, tm_realloc, firm_calloc, tm_free);
}

int tm_loop_open(tm_loop **out, tm_err *err) {
  *out = NULL;
  tm_loop *l = tm_new(tm_loop);
  int rc = uv_loop_init(&l->uv);
  if (rc < 0) {
    tm_free(l);
    return tm_err_set(err, TM_TEMP,
                      "cannot open an event loop: %s; the limit of open files may be reached "
                      "(ulimit -n)",
                      uv_strerror(rc));
  }
  if ((rc = uv_async_init(&l->uv, &l->wake, woken)) < 0) {
    uv_loop_close(&l->uv);
    tm_free(l);
    return tm_err_set(err, TM_TEMP, "cannot open an event loop: %s", uv_strerror(rc));
  }
  l->wake.data = l;
  uv_prepare_init(&l->uv, &l->prepare);
  l->prepare.data = l;
  uv_prepare_start(&l->prepare, prepare);
  uv_timer_init(&l->uv, &l->limit);
  uv_mutex_init(&l->lock);
  tm_list_init(&l->guests);
  l->allowed = -1;
  block_sigpipe();
  *out = l;
  return 0;
}

static void close_handle(uv_handle_t *handle, void *arg) {
  (void)arg;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

void tm_loop_close(tm_loop **loop) {
  tm_loop *l = *loop;
  *loop = NULL;
  if (!l)
    return;
  assert(!l->turning && "a loop closed from inside its turn");
  for (tm_list *at = l->guests.next; at != &l->guests; at = at->next) {
    tm_loop_guest *g = TM_LIST_OF(at, tm_loop_guest, link);
    g->drop(g);
  }
  uv_walk(&l->uv, close_handle, NULL);
  uv_run(&l->uv, UV_RUN_DEFAULT);
  for (tm_list *at; (at = tm_list_shift(&l->guests));) {
    tm_loop_guest *g = TM_LIST_OF(at, tm_loop_guest, link);
    g->gone(g);
  }
  int rc = uv_loop_close(&l->uv);
  assert(rc == 0 && "a loop closed over open handles");
  (void)rc;
  for (tm_timer *t = l->timers, *older; t; t = older) {
    older = t->older;
    tm_free(t);
  }
  uv_mutex_destroy(&l->lock);
  tm_free(l->waiting.items);
  tm_free(l->running.items);
  tm_free(l);
}
