/* test_watchdog.c - a function that never comes back ends its process, and not for ever. */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "tidemill.h"

static const char workflow[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'w' {}\n"
    "local stuck = flow:action 'stuck' { host = true, key = function() return 'k' end }\n"
    "function flow.main(input) return stuck {} end\n"
    "return flow\n";

static char dir[64];

static void make_project(void) {
  char path[128];
  strcpy(dir, "/tmp/tidemill-dog-XXXXXX");
  REQUIRE(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/workflows", dir);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/workflows/w.lua", dir);
  FILE *f = fopen(path, "w");
  REQUIRE(f);
  fputs(workflow, f);
  fclose(f);
}

static void remove_project(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  CHECK_INT(system(command), 0);
}

static void never(void *user, tidemill_call *call) {
  (void)user, (void)call;
  for (;;)
    pause();
}

static void at_once(void *user, tidemill_call *call) {
  (void)user;
  tidemill_complete(call, "\"done\"", SIZE_MAX);
}

static tidemill *open_engine(tidemill_fn fn) {
  tidemill *t;
  tidemill_options *o = tidemill_options_new();
  tidemill_options_set(o, "dir", dir);
  CHECK_INT(tidemill_options_set(o, "watchdog", "100ms"), 0);
  CHECK_INT(tidemill_open(&t, o), 0);
  tidemill_options_free(o);
  tidemill_register_action(t, "stuck", fn, NULL);
  return t;
}

/* One process that hangs in the run: its exit code, and what it said. */
static int hang(char *said, size_t size) {
  int ends[2], status = 0;
  size_t n = 0;
  ssize_t got;
  if (pipe(ends) < 0)
    return -1;
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDERR_FILENO);
    tidemill *t = open_engine(never);
    tidemill_start(t, "w", "{}", SIZE_MAX, "{\"id\":\"hung-1\"}", NULL);
    tidemill_run(t, "hung-1", -1);
    _exit(0);
  }
  close(ends[1]);
  while ((got = read(ends[0], said + n, size - 1 - n)) > 0)
    n += (size_t)got;
  said[n] = 0;
  close(ends[0]);
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_process_that_hangs_ends_and_names_the_run(void) {
  char said[1000];
  make_project();
  CHECK_INT(hang(said, sizeof said), 70);
  CHECK(strstr(said, "run hung-1 at stuck, has not come back") != NULL);
  tidemill *t = open_engine(at_once); /* and the next one goes on with it */
  CHECK_INT(tidemill_run(t, "hung-1", 5000), 0);
  tidemill_close(t);
  remove_project();
}

static void after_three_times_the_run_rests_until_a_person_resumes_it(void) {
  char said[1000], *text = NULL;
  make_project();
  for (int i = 0; i < 3; i++)
    CHECK_INT(hang(said, sizeof said), 70);
  tidemill *t = open_engine(never);
  CHECK_INT(tidemill_run(t, NULL, 5000), 0);
  CHECK_INT(tidemill_get(t, "hung-1", &text, NULL), 0);
  CHECK(text && strstr(text, "\"for\":\"pause\"") && strstr(text, "hung three times"));
  tidemill_free(text);
  tidemill_close(t);
  t = open_engine(at_once);
  CHECK_INT(tidemill_control(t, "hung-1", "resume", NULL), 0);
  CHECK_INT(tidemill_run(t, "hung-1", 5000), 0);
  tidemill_close(t);
  remove_project();
}

static void a_slow_wait_is_no_hang(void) {
  make_project();
  tidemill *t = open_engine(at_once);
  for (int i = 0; i < 4; i++)
    tidemill_dispatch(t, 50); /* asleep in the loop, longer than the watchdog waits */
  CHECK_INT(tidemill_start(t, "w", "{}", SIZE_MAX, NULL, NULL), 0);
  CHECK_INT(tidemill_run(t, NULL, 5000), 0);
  tidemill_close(t);
  remove_project();
}

CHECK_SUITE(watchdog) {
  CHECK_RUN(a_process_that_hangs_ends_and_names_the_run);
  CHECK_RUN(after_three_times_the_run_rests_until_a_person_resumes_it);
  CHECK_RUN(a_slow_wait_is_no_hang);
}
