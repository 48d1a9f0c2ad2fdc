/* bench_recover.c - a thousand runs in flight, killed when half of their steps are done, taken
 * up again in a fresh process.
 *
 *   bench=B7 metric=recover_s, executed_twice, lost
 *
 * A step appends its name as a line to a file, so the file tells what was done how often. The
 * time is from the start of the second process to the last run's end.
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

#define ROUNDS 3
#define RUNS   1000
#define STEPS  10

static const char workflow[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'append' {}\n"
    "local step = flow:action 'append' { repeatable = true, host = true }\n"
    "function flow.main(input)\n"
    "  local me = mill.uuid()\n"
    "  for i = 1, input.n do step(me .. ' ' .. i) end\n"
    "  return input.n\n"
    "end\n"
    "return flow\n";

/* A line is {"args":"UUID N",…}: as it comes, since only equal or not counts. */
static void append(void *user, tidemill_call *call) {
  size_t len;
  const char *line = tidemill_call_input(call, &len);
  char text[512];
  int n = snprintf(text, sizeof text, "%.*s\n", (int)len, line);
  if (write(*(int *)user, text, (size_t)n) != n)
    kit_die("the file", "cannot be written");
  tidemill_complete(call, "{\"id\":\"c0ffee\",\"ok\":true}", SIZE_MAX);
}

static char *file_path(const char *dir) {
  static char path[512];
  snprintf(path, sizeof path, "%s/lines", dir);
  return path;
}

static tidemill *open_with_file(const char *dir, int *fd) {
  tidemill *t = kit_open();
  *fd = open(file_path(dir), O_WRONLY | O_CREAT | O_APPEND, 0600);
  tidemill_register_action(t, "append", append, fd);
  return t;
}

static void first_life(const char *dir) {
  int fd;
  tidemill *t = open_with_file(dir, &fd);
  kit_crowd(t, "append", STEPS, RUNS, RUNS, "run.done", NULL);
  pause();
}

static void second_life(const char *dir) {
  int fd;
  tidemill *t = open_with_file(dir, &fd);
  if (tidemill_control(t, NULL, "resume", NULL) < 0 || tidemill_run(t, NULL, -1) < 0)
    kit_die("resume", tidemill_errmsg(t));
  tidemill_close(t);
}

static off_t size_of(const char *path) {
  struct stat st;
  return stat(path, &st) < 0 ? 0 : st.st_size;
}

/* How large is the file when all is done once? Learned from a first line. */
static void kill_at_half(pid_t pid, const char *path) {
  char line[512] = "";
  FILE *f;
  while (size_of(path) < 200)
    usleep(200);
  if (!(f = fopen(path, "r")) || !fgets(line, sizeof line, f))
    kit_die(path, "cannot be read");
  fclose(f);
  while (size_of(path) < (off_t)strlen(line) * RUNS * STEPS / 2)
    usleep(200);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void count(const char *path, double *lines, double *distinct) {
  static char *all[2 * RUNS * STEPS];
  char line[512];
  size_t n = 0;
  FILE *f = fopen(path, "r");
  while (f && n < 2 * RUNS * STEPS && fgets(line, sizeof line, f))
    all[n++] = tm_strdup(line);
  qsort(all, n, sizeof *all, by_text);
  *lines = (double)n;
  *distinct = 0;
  for (size_t i = 0; i < n; i++)
    *distinct += i == 0 || strcmp(all[i - 1], all[i]) != 0;
  for (size_t i = 0; i < n; i++)
    tm_free(all[i]);
  fclose(f);
}

static void one_round(double *recover, double *twice, double *lost) {
  const char *dir = kit_project("append", workflow);
  pid_t pid = fork();
  if (pid == 0) {
    first_life(dir);
    _exit(0);
  }
  kill_at_half(pid, file_path(dir));
  double begin = kit_seconds(), lines, distinct;
  pid = fork();
  if (pid == 0) {
    second_life(dir);
    _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  *recover = kit_seconds() - begin;
  if (status != 0)
    kit_die("the second process", "failed");
  count(file_path(dir), &lines, &distinct);
  *twice = lines - distinct;
  *lost = RUNS * STEPS - distinct;
}

int main(void) {
  double recover[ROUNDS], twice[ROUNDS], lost[ROUNDS];
  for (int i = 0; i < ROUNDS; i++)
    one_round(&recover[i], &twice[i], &lost[i]);
  kit_print("B7", "recover_s", kit_median(recover, ROUNDS), "s");
  kit_print("B7", "executed_twice", kit_median(twice, ROUNDS), "");
  kit_print("B7", "lost", kit_median(lost, ROUNDS), "");
  return 0;
}
