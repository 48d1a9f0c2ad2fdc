/* api.c - opening an engine, errors, and the loop: composition and nothing else.
 */
#include "face/api.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "face/watchdog.h"

#define STAMP_MS      5 /* how long a look at the project's files is good */
#define TRIM_MS       500
#define VIRTUAL_START 1767225600000 /* 2026-01-01T00:00:00Z */

const char *tidemill_version(void) {
  return TIDEMILL_VERSION_STRING;
}

const char *tidemill_strerror(int code) {
  return tm_err_word((tm_code)(code < 0 ? -code : code));
}

void tidemill_free(void *p) {
  tm_free(p);
}

/* -- errors ---------------------------------------------------------------------------- */

int tm_api_fail(tidemill *t, const tm_err *err) {
  if (&t->err != err)
    t->err = *err;
  if (t->err.code == TM_OK)
    t->err.code = TM_INTERNAL;
  return -(int)t->err.code;
}

int tm_api_enter(tidemill *t) {
  if (!t->engine)
    return TIDEMILL_EINTERNAL;
  if (t->engine->broken.code != TM_OK)
    return tm_api_fail(t, &t->engine->broken);
  tm_err_clear(&t->err);
  return 0;
}

const char *tidemill_errmsg(const tidemill *t) {
  return t ? t->err.msg : "out of memory";
}

const char *tidemill_errjson(tidemill *t) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *o = tm_json_new_object(&a), *e = tm_json_new_object(&a);
  size_t valid = tm_json_utf8_valid(t->err.msg, strlen(t->err.msg));
  tm_json_set_str(&a, e, "code", tm_err_word(t->err.code));
  tm_json_set(&a, e, "message", tm_json_new_strn(&a, t->err.msg, valid));
  tm_json_set(&a, o, "error", e);
  tm_free(t->errjson);
  tm_api_give(o, &t->errjson, NULL);
  tm_arena_free(&a);
  return t->errjson;
}

int tm_api_give(const tm_json *v, char **out, size_t *len) {
  tm_buf text = TM_BUF_INIT;
  tm_json_print(&text, v);
  if (len)
    *len = text.len;
  if (out)
    *out = tm_buf_take(&text, NULL);
  tm_buf_free(&text);
  return 0;
}

int tm_api_json(tm_json **out, tm_arena *a, const char *what, const char *text, size_t len,
                tm_err *err) {
  if (!text) {
    *out = tm_json_new_object(a);
    return 0;
  }
  if (tm_json_parse(out, a, text, len == SIZE_MAX ? strlen(text) : len, NULL, err) < 0)
    return tm_err_wrap(err, "%s is not JSON", what);
  return 0;
}

/* -- what the engine asks for ---------------------------------------------------------- */

int tm_api_sources(tidemill *t, tm_closure **out, tm_err *err) {
  int64_t now = tm_clock_mono(&tm_clock_system);
  if (!t->sources || now - t->stamped >= STAMP_MS) {
    uint64_t stamp = tm_closure_stamp(t->options->dir);
    t->stamped = now;
    if (!t->sources || stamp != t->stamp || !stamp) {
      tm_closure *fresh;
      if (tm_closure_scan(&fresh, t->options->dir, t->options->models, t->options->prices,
                          err) < 0)
        return -1;
      tm_closure_release(&t->sources);
      t->sources = fresh;
      t->stamp = stamp;
    }
  }
  *out = tm_closure_retain(t->sources);
  return 0;
}

static int sources(void *ctx, tm_closure **out, tm_err *err) {
  return tm_api_sources(ctx, out, err);
}

static const char *setting(void *ctx, const char *name) {
  (void)ctx;
  return getenv(name);
}

void tm_api_say(void *ctx, const tm_json *event) {
  tidemill *t = ctx;
  if (!t->event)
    return;
  tm_buf_reset(&t->event_text);
  tm_json_print(&t->event_text, event);
  t->event(t->event_user, t->event_text.data, t->event_text.len);
}

void tidemill_on_event(tidemill *t, tidemill_event_fn fn, void *user) {
  t->event = fn;
  t->event_user = user;
  if (t->engine)
    t->engine->ports.event = fn ? tm_api_say : NULL;
}

static void wake(void *ctx) {
  tm_loop_wake(((tidemill *)ctx)->loop);
}

static void post(void *ctx, void (*fn)(void *arg), void *arg) {
  tm_loop_post(ctx, fn, arg);
}

static int64_t virtual_time(void *ctx) {
  return ((tidemill *)ctx)->virtual_now;
}

static int64_t turn(void *ctx) {
  tidemill *t = ctx;
  int64_t wait = tm_engine_turn(t->engine);
  return t->options->virtual_clock && wait > 0 ? -1 : wait;
}

/* -- open and close ---------------------------------------------------------------------------
 */

/* TIDEMILL_BUSY_MS: how long to wait for another process that writes; 0: the store's own. */
static int busy_ms(void) {
  const char *text = setting(NULL, "TIDEMILL_BUSY_MS");
  long ms = text ? strtol(text, NULL, 10) : 0;
  return ms > 0 && ms < INT_MAX ? (int)ms : 0;
}

static int open_engine(tidemill *t, const tidemill_options *o, tm_err *err) {
  tm_fault_init();
  if (tm_options_resolve(&t->options, o, err) < 0 || tm_loop_open(&t->loop, err) < 0)
    return -1;
  t->virtual_now = VIRTUAL_START;
  t->clock = t->options->virtual_clock
                 ? (tm_clock){.wall = virtual_time, .mono = virtual_time, .ctx = t}
                 : tm_clock_system;
  tm_store_host host = {.post = post, .ctx = t->loop, .clock = &t->clock, .busy_ms = busy_ms()};
  if (tm_store_open(&t->store, t->options->db, &host, err) < 0)
    return -1;
  t->guest = (tm_guest_host){.memory = t->options->memory, .steps = t->options->steps};
  tm_list_init(&t->guest.spares);
  tm_arena_init(&t->scopes, 0);
  tm_ports ports = {
      .clock = &t->clock,
      .store = t->store,
      .guest = &tm_guest_lua,
      .guest_ctx = &t->guest,
      .start = tm_world_start,
      .cancel = tm_world_cancel,
      .sources = sources,
      .setting = setting,
      .scopes = tm_json_len(t->options->budgets) ? tm_budgets_scopes : NULL,
      .cost = tm_budgets_cost,
      .still_clock = t->options->virtual_clock,
      .park = true,
      .wake = wake,
      .ctx = t,
  };
  if (tm_engine_open(&t->engine, &ports, err) < 0)
    return -1;
  tm_loop_before_sleep(t->loop, turn, t);
  if (t->options->watchdog_ms > 0)
    t->watchdog = tm_watchdog_start(t->engine, t->options->db, t->options->watchdog_ms);
  return tm_api_begin(t, err);
}

int tidemill_open(tidemill **out, const tidemill_options *o) {
  tidemill *t = tm_new(tidemill);
  tm_err err = TM_ERR_INIT;
  *out = t;
  return open_engine(t, o, &err) < 0 ? tm_api_fail(t, &err) : 0;
}

static void free_host_fns(tm_map *m) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(m, &i));) {
    tm_host_fn *f = e->value;
    tm_free(f->name);
    tm_free(f);
  }
  tm_map_free(m);
}

void tidemill_close(tidemill *t) {
  if (!t)
    return;
  tm_watchdog_stop(&t->watchdog);
  if (t->engine) {
    tm_engine_stop(t->engine);
    while (t->engine->in_flight || t->engine->looks)
      tm_loop_turn(t->loop, 50);
  }
  tm_engine_close(&t->engine);
  if (t->loop) {
    tm_loop_before_sleep(t->loop, NULL, NULL);
    tm_loop_turn(t->loop, 0); /* what was posted and is no longer wanted frees itself */
  }
  tm_world_close(t);
  tm_store_close(&t->store);
  tm_loop_close(&t->loop);
  tm_closure_release(&t->sources);
  free_host_fns(&t->actions);
  free_host_fns(&t->providers);
  tidemill_options_free(t->options);
  tm_arena_free(&t->scopes);
  tm_buf_free(&t->event_text);
  tm_free(t->errjson);
  tm_free(t);
}

/* -- the loop
 * ------------------------------------------------------------------------------------ */

static void notice(tidemill *t) {
  int64_t now = tm_clock_mono(&tm_clock_system);
  if (now - t->noticed < TM_API_NOTICE_MS)
    return;
  t->noticed = now;
  tm_engine_notice(t->engine);
  if (now - t->trimmed < TRIM_MS)
    return;
  t->trimmed = now;
  tm_guest_trim(&t->guest);
}

int tidemill_fd(const tidemill *t) {
  return t->loop ? tm_loop_fd(t->loop) : -1;
}

int64_t tidemill_timeout(const tidemill *t) {
  if (!t->engine)
    return -1;
  int64_t wait = tm_loop_timeout(t->loop);
  bool waits = !tm_list_empty(&t->engine->runs) || t->engine->parked.count;
  return waits && (wait < 0 || wait > TM_API_NOTICE_MS) ? TM_API_NOTICE_MS : wait;
}

int tidemill_dispatch(tidemill *t, int64_t max_ms) {
  int rc = tm_api_enter(t);
  if (rc < 0)
    return rc;
  notice(t);
  tm_loop_turn(t->loop, max_ms);
  if (t->engine->broken.code != TM_OK)
    return tm_api_fail(t, &t->engine->broken);
  return !tm_engine_idle(t->engine);
}

void tidemill_wakeup(tidemill *t) {
  tm_loop_wake(t->loop);
}

int tidemill_advance(tidemill *t, int64_t ms) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  if (rc < 0)
    return rc;
  if (!t->options->virtual_clock || ms < 0) {
    tm_err_set(&err, TM_USAGE, "only a virtual clock can be advanced (option clock=virtual)");
    return tm_api_fail(t, &err);
  }
  t->virtual_now += ms;
  tm_loop_wake(t->loop);
  return 0;
}
