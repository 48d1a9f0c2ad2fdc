/* kit.c - the project, the figures and the crowds of the benchmarks. */
#include "kit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256];
static pid_t maker; /* of the folder: a child that ends leaves it alone */

void kit_die(const char *what, const char *why) {
  fprintf(stderr, "bench: %s: %s\n", what, why);
  exit(1);
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  return remove(path);
}

static void clean_up(void) {
  if (*dir && getpid() == maker)
    nftw(dir, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *kit_project(const char *name, const char *lua) {
  char path[512];
  const char *tmp = getenv("TMPDIR");
  if (!maker)
    atexit(clean_up);
  maker = getpid();
  clean_up();
  snprintf(dir, sizeof dir, "%s/tidemill-bench-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(dir))
    kit_die(dir, "cannot be made");
  snprintf(path, sizeof path, "%s/workflows", dir);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/workflows/%s.lua", dir, name);
  FILE *f = fopen(path, "w");
  if (!f || fputs(lua, f) < 0 || fclose(f) != 0)
    kit_die(path, "cannot be written");
  return dir;
}

tidemill *kit_open(void) {
  tidemill *t;
  tidemill_options *o = tidemill_options_new();
  tidemill_options_set(o, "dir", dir);
  if (tidemill_open(&t, o) < 0)
    kit_die("open", tidemill_errmsg(t));
  tidemill_options_free(o);
  return t;
}

/* -- figures --------------------------------------------------------------------------- */

double kit_seconds(void) {
  return (double)tm_clock_ns() / 1e9;
}

double kit_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

double kit_rss_mb(int pid) {
  char path[64];
  long pages = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", pid ? pid : getpid());
  FILE *f = fopen(path, "r");
  if (!f || fscanf(f, "%*d %ld", &pages) != 1)
    kit_die(path, "cannot be read");
  fclose(f);
  return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double kit_median(double *values, size_t n) {
  qsort(values, n, sizeof *values, by_value);
  return values[n / 2];
}

void kit_print(const char *id, const char *metric, double value, const char *unit) {
  printf("bench=%s metric=%s value=%.6g unit=%s\n", id, metric, value, unit);
  fflush(stdout);
}

/* -- crowds ---------------------------------------------------------------------------- */

typedef struct crowd {
  char head[64]; /* of the events that count */
  int reached, entered;
  void (*started)(const char *id);
} crowd;

static void on_event(void *ctx, const char *json, size_t len) {
  crowd *c = ctx;
  (void)len;
  c->reached += strncmp(json, c->head, strlen(c->head)) == 0;
}

static void on_start(void *ctx, const char *id, const tm_err *err) {
  crowd *c = ctx;
  if (err->code != TM_OK)
    kit_die("start", err->msg);
  c->entered++;
  if (c->started)
    c->started(id);
}

static void listen_for(tidemill *t, crowd *c, const char *event) {
  snprintf(c->head, sizeof c->head, "{\"event\":\"%s\"", event);
  tidemill_on_event(t, on_event, c);
}

double kit_crowd(tidemill *t, const char *workflow, int n, int total, int window,
                 const char *event, void (*started)(const char *id)) {
  tm_arena a;
  crowd c = {.started = started};
  if (event)
    listen_for(t, &c, event);
  tm_arena_init(&a, 0);
  tm_json *input = tm_json_new_object(&a);
  tm_json_set_int(&a, input, "n", n);
  double begin = kit_seconds();
  for (int begun = 0; c.reached < total;) {
    for (; begun < total && begun - c.reached < window; begun++)
      tm_engine_start(t->engine, workflow, input, NULL, NULL, on_start, &c);
    tidemill_dispatch(t, -1);
    if (!event)
      c.reached = c.entered - (int)t->engine->by_id.count;
  }
  double spent = kit_seconds() - begin;
  tidemill_on_event(t, NULL, NULL);
  tm_arena_free(&a);
  return spent;
}

void kit_await(tidemill *t, int count, const char *event) {
  crowd c = {.reached = 0};
  listen_for(t, &c, event);
  while (c.reached < count)
    tidemill_dispatch(t, -1);
  tidemill_on_event(t, NULL, NULL);
}
