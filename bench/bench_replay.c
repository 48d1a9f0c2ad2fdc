/* bench_replay.c - a long run taken up again after its process was killed: how long is the
 * replay?
 *
 *   bench=B8 metric=replay_ms_1000, replay_ms_100000
 *
 * From "resume" in a fresh process, which has the database open, until the run has gone past
 * its last journaled step.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

#define ROUNDS 3

static const char workflow[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'long' {}\n"
    "local answer = { id = 'c0ffee', ok = true, note = ('x'):rep(64) }\n"
    "local step = flow:action 'step' { repeatable = true, run = function() return answer end "
    "}\n"
    "local last = flow:action 'last' { repeatable = true, host = true }\n"
    "function flow.main(input)\n"
    "  for i = 1, input.n do step(i) end\n"
    "  last()\n"
    "  return input.n\n"
    "end\n"
    "return flow\n";

/* Never finishes the call: the process dies in it. */
static void die_here(void *user, tidemill_call *call) {
  (void)user;
  (void)call;
  raise(SIGKILL);
}

static void note_time(void *user, tidemill_call *call) {
  *(double *)user = kit_seconds();
  tidemill_complete(call, "null", SIZE_MAX);
}

static void run_and_die(int steps) {
  char *id, input[32];
  tidemill *t = kit_open();
  tidemill_register_action(t, "last", die_here, NULL);
  snprintf(input, sizeof input, "{\"n\":%d}", steps);
  if (tidemill_start(t, "long", input, SIZE_MAX, NULL, &id) < 0)
    kit_die("start", tidemill_errmsg(t));
  tidemill_run(t, id, -1);
  kit_die("the run", "did not come to its end");
}

static void in_child(void (*work)(int arg), int arg, bool dies) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    work(arg);
    fflush(stdout);
    _exit(0);
  }
  waitpid(pid, &status, 0);
  if (dies ? !WIFSIGNALED(status) : status != 0)
    kit_die("a child", "ended in another way than it should");
}

static int out[2];

static void replay(int steps) {
  (void)steps;
  double reached = 0;
  tidemill *t = kit_open();
  tidemill_register_action(t, "last", note_time, &reached);
  double begin = kit_seconds();
  if (tidemill_control(t, NULL, "resume", NULL) < 0 || tidemill_run(t, NULL, -1) < 0)
    kit_die("resume", tidemill_errmsg(t));
  double ms = (reached - begin) * 1e3;
  tidemill_close(t);
  if (write(out[1], &ms, sizeof ms) != sizeof ms)
    kit_die("pipe", "cannot be written");
}

static void bench(int steps, const char *metric) {
  double ms[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    kit_project("long", workflow);
    in_child(run_and_die, steps, true);
    in_child(replay, steps, false);
    if (read(out[0], &ms[i], sizeof ms[i]) != sizeof ms[i])
      kit_die("pipe", "cannot be read");
  }
  kit_print("B8", metric, kit_median(ms, ROUNDS), "ms");
}

int main(void) {
  setenv("TMPDIR", "/dev/shm", 0); /* a hundred thousand steps, one by one: spare the disk */
  if (pipe(out) < 0)
    kit_die("pipe", "no more files");
  bench(1000, "replay_ms_1000");
  bench(100000, "replay_ms_100000");
  return 0;
}
