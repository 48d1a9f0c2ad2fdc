/* bench_hello.c - the program itself: from its start to the result of a one-step durable
 * workflow.
 *
 *   bench=B5 metric=hello_ms (the database is created), hello_again_ms (it is there),
 *                   idle_rss_mb, installed_mb
 *
 * Runs the `tidemill` that lies beside this program (or TIDEMILL_BIN), by fork and exec. Idle
 * is a `tidemill run` whose run sleeps.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

#define ROUNDS 21

static const char hello[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'hello' {}\n"
    "local greet = flow:action 'greet' { repeatable = true, run = function(name)\n"
    "  return { greeting = 'Hello, ' .. name }\n"
    "end }\n"
    "function flow.main(input)\n"
    "  local answer = greet(input.name)\n"
    "  if input.sleep then mill.sleep('1h') end\n"
    "  return answer\n"
    "end\n"
    "return flow\n";

static char program[512];

static void find_program(void) {
  const char *given = getenv("TIDEMILL_BIN");
  ssize_t n = given ? -1 : readlink("/proc/self/exe", program, sizeof program - 1);
  if (n < 0) {
    snprintf(program, sizeof program, "%s", given ? given : "tidemill");
    return;
  }
  program[n] = '\0';
  char *slash = strrchr(program, '/');
  snprintf(slash + 1, sizeof program - (size_t)(slash + 1 - program), "tidemill");
}

static pid_t begin_run(const char *dir, const char *input) {
  pid_t pid = fork();
  if (pid == 0) {
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, 0);
    dup2(nothing, 1);
    dup2(nothing, 2);
    execl(program, program, "-C", dir, "run", "hello", "--input", input, (char *)NULL);
    _exit(127);
  }
  return pid;
}

static double timed_run(const char *dir) {
  int status;
  double begin = kit_seconds();
  pid_t pid = begin_run(dir, "{\"name\":\"tide\"}");
  waitpid(pid, &status, 0);
  double spent = (kit_seconds() - begin) * 1e3;
  if (status != 0)
    kit_die(program, "failed; build it, or set TIDEMILL_BIN");
  return spent;
}

static void bench_start(void) {
  double created[ROUNDS], again[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    const char *dir = kit_project("hello", hello);
    created[i] = timed_run(dir);
    again[i] = timed_run(dir);
  }
  kit_print("B5", "hello_ms", kit_median(created, ROUNDS), "ms");
  kit_print("B5", "hello_again_ms", kit_median(again, ROUNDS), "ms");
}

static void bench_idle(void) {
  pid_t pid = begin_run(kit_project("hello", hello), "{\"name\":\"tide\",\"sleep\":true}");
  usleep(500000); /* long past its last step */
  kit_print("B5", "idle_rss_mb", kit_rss_mb(pid), "MB");
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

/* Program, library and header are all that is installed; of these, what a run needs. */
static void bench_size(void) {
  struct stat st;
  if (stat(program, &st) < 0)
    kit_die(program, "is not there");
  kit_print("B5", "installed_mb", (double)st.st_size / (1 << 20), "MB");
}

int main(void) {
  find_program();
  bench_start();
  bench_idle();
  bench_size();
  return 0;
}
