/* bench_runs.c - durable steps: alone (B1s), many runs at once (B1t, B1c), a waiting run's memory.
 *
 * A step is a repeatable action that returns the same 100 bytes of JSON and reaches nothing outside;
 * its result is on disk (SQLite, WAL, synchronous=FULL) before the next one starts. The project and
 * the database lie in a fresh folder under TMPDIR (default /tmp).
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "face/api.h"

#define ROUNDS 5
#define STEPS  10
#define RUNS   1000
#define WINDOW 100

static const char workflow[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'steps' {}\n"
    "local answer = { id = 'c0ffee', ok = true, note = ('x'):rep(64) }\n"
    "local step = flow:action 'step' { repeatable = true, run = function() return answer end }\n"
    "function flow.main(input)\n"
    "  for i = 1, input.n do step(i) end\n"
    "  return input.n\n"
    "end\n"
    "return flow\n";

static char dir[256];

static void die(const char *what, const char *why) {
  fprintf(stderr, "bench_runs: %s: %s\n", what, why);
  exit(1);
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  return remove(path);
}

static void clean_up(void) {
  nftw(dir, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_project(void) {
  char path[300];
  const char *tmp = getenv("TMPDIR");
  snprintf(dir, sizeof dir, "%s/tidemill-bench-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(dir))
    die(dir, "cannot be made");
  atexit(clean_up);
  snprintf(path, sizeof path, "%s/workflows", dir);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/workflows/steps.lua", dir);
  FILE *f = fopen(path, "w");
  if (!f || fputs(workflow, f) < 0 || fclose(f) != 0)
    die(path, "cannot be written");
}

static tidemill *open_engine(void) {
  tidemill *t;
  tidemill_options *o = tidemill_options_new();
  tidemill_options_set(o, "dir", dir);
  if (tidemill_open(&t, o) < 0)
    die("open", tidemill_errmsg(t));
  tidemill_options_free(o);
  return t;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
  qsort(values, n, sizeof *values, by_value);
  return values[n / 2];
}

static double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print(const char *id, const char *metric, double value, const char *unit) {
  printf("bench=%s metric=%s value=%.6g unit=%s\n", id, metric, value, unit);
  fflush(stdout);
}

/* B1s: one run at a time; from the run's start on disk to its end on disk, by its steps. */
static void bench_alone(tidemill *t) {
  double us[50];
  char input[32];
  snprintf(input, sizeof input, "{\"n\":%d}", STEPS);
  for (int i = 0; i < 50; i++) {
    char *id;
    if (tidemill_start(t, "steps", input, SIZE_MAX, NULL, &id) < 0)
      die("start", tidemill_errmsg(t));
    int64_t begin = tm_clock_ns();
    if (tidemill_run(t, id, -1) < 0)
      die("run", tidemill_errmsg(t));
    us[i] = (double)(tm_clock_ns() - begin) / 1e3 / STEPS;
    tidemill_free(id);
  }
  print("B1s", "step_us", median(us, 50), "us");
}

typedef struct crowd {
  tidemill *t;
  int started, flying;
} crowd;

static void flown(void *ctx, const char *json, size_t len) {
  crowd *c = ctx;
  (void)len;
  if (strncmp(json, "{\"event\":\"run.done\"", 19) == 0)
    c->flying--;
}

static void started(void *ctx, const char *id, const tm_err *err) {
  (void)ctx;
  (void)id;
  if (err->code != TM_OK)
    die("start", err->msg);
}

static void launch(crowd *c, const tm_json *input) {
  while (c->flying < WINDOW && c->started < RUNS) {
    c->flying++;
    c->started++;
    tm_engine_start(c->t->engine, "steps", input, NULL, NULL, started, NULL);
  }
}

/* B1t, B1c: a thousand runs of ten steps, a hundred at a time. */
static void bench_crowd(tidemill *t) {
  double rate[ROUNDS], cpu[ROUNDS];
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *input = tm_json_new_object(&a);
  tm_json_set_int(&a, input, "n", STEPS);
  for (int r = 0; r < ROUNDS; r++) {
    crowd c = {.t = t};
    tidemill_on_event(t, flown, &c);
    int64_t begin = tm_clock_ns();
    double cpu_begin = cpu_seconds();
    do {
      launch(&c, input);
      tidemill_dispatch(t, -1);
    } while (c.flying > 0 || c.started < RUNS);
    rate[r] = RUNS * STEPS / ((double)(tm_clock_ns() - begin) / 1e9);
    cpu[r] = (cpu_seconds() - cpu_begin) * 1e6 / (RUNS * STEPS);
    tidemill_on_event(t, NULL, NULL);
  }
  print("B1t", "steps_per_s", median(rate, ROUNDS), "/s");
  print("B1c", "cpu_us_per_step", median(cpu, ROUNDS), "us");
  tm_arena_free(&a);
}

static void bench_memory(tidemill *t) {
  char *id;
  tidemill_start(t, "steps", "{\"n\":1}", SIZE_MAX, NULL, &id);
  tm_run *r = tm_engine_find(t->engine, id);
  if (r)
    lua_gc(tm_vm_state(((tm_guest *)r->guest)->vm), LUA_GCCOLLECT);
  print("B1", "vm_bytes_per_run", r ? (double)tm_vm_memory(((tm_guest *)r->guest)->vm) : 0, "B");
  tidemill_free(id);
}

int main(void) {
  make_project();
  tidemill *t = open_engine();
  bench_alone(t);
  bench_crowd(t);
  bench_memory(t);
  tidemill_close(t);
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  print("B1c", "peak_rss_mb", (double)u.ru_maxrss / 1024, "MB");
  return 0;
}
