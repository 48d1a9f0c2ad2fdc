/* watchdog.c - the last resort: a process whose engine does not come back ends itself.
 */
#include "face/watchdog.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/map.h"
#include "engine/orders.h"

#define LOOKS     10 /* in the time that is allowed */
#define MAX_NOTES ((size_t)64 << 10)

struct tm_watchdog {
  tm_engine *engine;
  int64_t limit_ms;
  char *notes; /* a path; NULL: none */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  bool stop;
};

/* "sqlite:PATH" -> PATH.hung, the caller's; NULL for a database without a path. */
static char *notes_of(const char *db) {
  tm_buf path = TM_BUF_INIT;
  if (strncmp(db, "sqlite:", 7) != 0)
    return NULL;
  tm_buf_printf(&path, "%s.hung", db + 7);
  return tm_buf_take(&path, NULL);
}

/* -- the end --------------------------------------------------------------------------- */

static void put(int fd, const char *text, int len) {
  ssize_t ignored = write(fd, text, (size_t)len);
  (void)ignored;
}

/* The engine's thread stands still in that branch, so what it points at stays. */
static _Noreturn void bite(const tm_watchdog *w) {
  const tm_branch *b = atomic_load_explicit(&w->engine->beat.at, memory_order_relaxed);
  char text[512], note[80];
  int n =
      snprintf(text, sizeof text,
               "tidemill: %s%s%s%s%s%.120s%s has not come back for %lld s. This process ends; "
               "the journal is as after any crash, and `tidemill resume` goes on\n",
               b ? "run " : "the engine", b ? b->run->id : "", b && *b->step ? ", step " : "",
               b ? b->step : "", b && b->name ? " at " : "", b && b->name ? b->name : "",
               b ? "," : "", (long long)(w->limit_ms / 1000));
  put(STDERR_FILENO, text, n < (int)sizeof text ? n : (int)sizeof text - 1);
  int fd = b && w->notes ? open(w->notes, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd >= 0)
    put(fd, note, snprintf(note, sizeof note, "%s\n", b->run->id));
  _exit(70);
}

/* Looks are counted, not read off a clock: a process that was stopped and goes on is not hung. */
static void *watch(void *arg) {
  tm_watchdog *w = arg;
  int64_t ms = w->limit_ms / LOOKS > 0 ? w->limit_ms / LOOKS : 1;
  uint64_t last = 0;
  int same = 0;
  pthread_mutex_lock(&w->mutex);
  while (!w->stop) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&w->wake, &w->mutex, &until);
    uint64_t now = atomic_load_explicit(&w->engine->beat.count, memory_order_relaxed);
    same = now % 2 == 1 && now == last ? same + 1 : 0;
    last = now;
    if (same >= LOOKS && !w->stop)
      bite(w);
  }
  pthread_mutex_unlock(&w->mutex);
  return NULL;
}

tm_watchdog *tm_watchdog_start(tm_engine *e, const char *db, int64_t limit_ms) {
  tm_watchdog *w = tm_new(tm_watchdog);
  pthread_condattr_t attr;
  w->engine = e;
  w->limit_ms = limit_ms;
  w->notes = notes_of(db);
  pthread_mutex_init(&w->mutex, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&w->wake, &attr);
  pthread_condattr_destroy(&attr);
  if (pthread_create(&w->thread, NULL, watch, w) == 0)
    return w;
  pthread_cond_destroy(&w->wake);
  pthread_mutex_destroy(&w->mutex);
  tm_free(w->notes);
  tm_free(w);
  return NULL;
}

void tm_watchdog_stop(tm_watchdog **watchdog) {
  tm_watchdog *w = *watchdog;
  *watchdog = NULL;
  if (!w)
    return;
  pthread_mutex_lock(&w->mutex);
  w->stop = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->mutex);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->wake);
  pthread_mutex_destroy(&w->mutex);
  tm_free(w->notes);
  tm_free(w);
}

/* -- the next start -------------------------------------------------------------------- */

/* Lines of `text` that say `run`. */
static int times_of(const char *text, const char *run, size_t len) {
  int n = 0;
  for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
    n += strcspn(at, "\n") == len && strncmp(at, run, len) == 0;
  return n;
}

static void rewrite(const char *path, const tm_buf *rest) {
  FILE *f = rest->len ? fopen(path, "wb") : NULL;
  if (!rest->len)
    unlink(path);
  if (!f)
    return;
  fwrite(rest->data, 1, rest->len, f);
  fclose(f);
}

/* Orders for those that were noted too often; their lines are used up. */
static void judge(tm_engine *e, const char *path, const char *text) {
  tm_buf rest = TM_BUF_INIT;
  bool changed = false;
  for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
    size_t len = strcspn(at, "\n");
    char run[64];
    if (len == 0 || len >= sizeof run || times_of(text, at, len) < TM_WATCHDOG_TIMES) {
      tm_buf_put(&rest, at, len);
      tm_buf_putc(&rest, '\n');
      continue;
    }
    changed = true;
    snprintf(run, sizeof run, "%.*s", (int)len, at);
    tm_orders_give(e, NULL, run, TM_ORDER_PAUSE,
                   "its process hung three times while it was at work", "watchdog");
  }
  if (changed)
    rewrite(path, &rest);
  tm_buf_free(&rest);
}

void tm_watchdog_read(tm_engine *e, const char *db) {
  char *path = notes_of(db);
  FILE *f = path ? fopen(path, "rb") : NULL;
  if (f) {
    char *text = tm_alloc(MAX_NOTES + 1);
    text[fread(text, 1, MAX_NOTES, f)] = 0;
    fclose(f);
    judge(e, path, text);
    tm_free(text);
  }
  tm_free(path);
}
