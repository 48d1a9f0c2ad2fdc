/* bench_runs.c - durable steps: alone, many runs at once; what they cost.
 *
 *   bench=B1s metric=step_us · bench=B1t metric=steps_per_s
 *   bench=B1c metric=cpu_us_per_step, peak_rss_mb, vm_bytes_per_run
 *
 * A step is a repeatable action that returns the same 100 bytes of JSON and reaches nothing
 * outside; its result is on disk (SQLite, WAL, synchronous=FULL) before the next one starts.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "kit.h"
#include "script/guest.h"

#define ROUNDS 5
#define STEPS  10
#define RUNS   1000
#define WINDOW 100
#define ALONE  50

static const char workflow[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'steps' {}\n"
    "local answer = { id = 'c0ffee', ok = true, note = ('x'):rep(64) }\n"
    "local step = flow:action 'step' { repeatable = true, run = function() return answer end "
    "}\n"
    "function flow.main(input)\n"
    "  for i = 1, input.n do step(i) end\n"
    "  return input.n\n"
    "end\n"
    "return flow\n";

/* One run at a time: from its start on disk to its end on disk, by its steps. */
static void bench_alone(tidemill *t) {
  double us[ALONE];
  char input[32];
  snprintf(input, sizeof input, "{\"n\":%d}", STEPS);
  for (int i = 0; i < ALONE; i++) {
    char *id;
    if (tidemill_start(t, "steps", input, SIZE_MAX, NULL, &id) < 0)
      kit_die("start", tidemill_errmsg(t));
    double begin = kit_seconds();
    if (tidemill_run(t, id, -1) < 0)
      kit_die("run", tidemill_errmsg(t));
    us[i] = (kit_seconds() - begin) * 1e6 / STEPS;
    tidemill_free(id);
  }
  kit_print("B1s", "step_us", kit_median(us, ALONE), "us");
}

/* A thousand runs of ten steps, a hundred at a time. */
static void bench_crowd(tidemill *t) {
  double rate[ROUNDS], cpu[ROUNDS];
  for (int r = 0; r < ROUNDS; r++) {
    double begin = kit_cpu();
    rate[r] = RUNS * STEPS / kit_crowd(t, "steps", STEPS, RUNS, WINDOW, NULL, NULL);
    cpu[r] = (kit_cpu() - begin) * 1e6 / (RUNS * STEPS);
  }
  kit_print("B1t", "steps_per_s", kit_median(rate, ROUNDS), "/s");
  kit_print("B1c", "cpu_us_per_step", kit_median(cpu, ROUNDS), "us");
}

static void bench_memory(tidemill *t) {
  char *id;
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  kit_print("B1c", "peak_rss_mb", (double)u.ru_maxrss / 1024, "MB");
  tidemill_start(t, "steps", "{\"n\":1}", SIZE_MAX, NULL, &id);
  const tm_run *r = tm_engine_find(t->engine, id);
  if (!r)
    kit_die("a run", "is not there");
  tm_vm *vm = ((tm_guest *)r->guest)->vm;
  lua_gc(tm_vm_state(vm), LUA_GCCOLLECT);
  kit_print("B1c", "vm_bytes_per_run", (double)tm_vm_memory(vm), "B");
  tidemill_free(id);
}

int main(void) {
  kit_project("steps", workflow);
  tidemill *t = kit_open();
  bench_alone(t);
  bench_crowd(t);
  bench_memory(t);
  tidemill_close(t);
  return 0;
}
