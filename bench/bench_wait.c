/* bench_wait.c - runs that wait for a person: starting them, keeping them, letting them go on.
 *
 *   bench_wait [RUNS]     default 10000
 *   bench=B6 metric=start_s, bytes_per_waiting, resume_s
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define WINDOW 100

static const char workflow[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'ask' {}\n"
    "local answer = { id = 'c0ffee', ok = true, note = ('x'):rep(64) }\n"
    "local step = flow:action 'step' { repeatable = true, run = function() return answer end "
    "}\n"
    "function flow.main(input)\n"
    "  step(1)\n"
    "  mill.gate('go', { ask = 'Go on?' })\n"
    "  step(2)\n"
    "  return input.n\n"
    "end\n"
    "return flow\n";

static char (*ids)[64];
static int known;

static void remember(const char *id) {
  snprintf(ids[known++], sizeof ids[0], "%s", id);
}

static void decided(void *ctx, const char *id, const tm_err *err) {
  (void)ctx;
  (void)id;
  if (err->code != TM_OK)
    kit_die("decide", err->msg);
}

int main(int argc, char **argv) {
  int runs = argc > 1 ? atoi(argv[1]) : 10000;
  ids = tm_alloc((size_t)runs * sizeof *ids);
  kit_project("ask", workflow);
  tidemill *t = kit_open();
  kit_crowd(t, "ask", 1, WINDOW, WINDOW, "run.waiting", NULL); /* what is made once */
  double before = kit_rss_mb(0);
  kit_print("B6", "start_s", kit_crowd(t, "ask", 1, runs, WINDOW, "run.waiting", remember),
            "s");
  kit_print("B6", "bytes_per_waiting", (kit_rss_mb(0) - before) * (1 << 20) / runs, "B");
  double begin = kit_seconds();
  for (int i = 0; i < runs; i++) {
    char gate[96];
    snprintf(gate, sizeof gate, "%s/go@2", ids[i]);
    tm_engine_decide(t->engine, gate, true, NULL, decided, NULL);
    if (i % WINDOW == WINDOW - 1)
      kit_await(t, WINDOW, "run.done");
  }
  kit_print("B6", "resume_s", kit_seconds() - begin, "s");
  tidemill_close(t);
  tm_free(ids);
  return 0;
}
