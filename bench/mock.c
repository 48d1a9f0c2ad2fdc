/* mock.c - the mock of spec/mock, started for a benchmark. */
#include "mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

static void mock_path(char *out, size_t size) {
  const char *given = getenv("TM_MOCK_SERVER");
  ssize_t n = given ? -1 : readlink("/proc/self/exe", out, size - 1);
  if (n < 0) {
    snprintf(out, size, "%s", given ? given : "mock-server");
    return;
  }
  out[n] = '\0';
  char *slash = strrchr(out, '/');
  snprintf(slash + 1, size - (size_t)(slash + 1 - out), "mock-server");
}

/* About 1 KB of answer, in a file of rules that is gone when the mock has read it. */
static void write_rules(char *path) {
  int fd = mkstemp(path);
  FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
  if (!f)
    kit_die(path, "cannot be written");
  fprintf(f, "[{\"answer\":{\"category\":\"billing\",\"urgency\":3,\"reply\":\"");
  for (int i = 0; i < 14; i++)
    fprintf(f, "Thank you for telling us; we have looked into it and found out. ");
  fprintf(f, "\",\"refund\":true}}]");
  fclose(f);
}

pid_t mock_start(int *port) {
  char path[4096], rules[] = "/tmp/tidemill-bench.XXXXXX";
  int out[2];
  mock_path(path, sizeof path);
  write_rules(rules);
  if (pipe(out) < 0)
    kit_die("pipe", "no more files");
  pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], 1);
    execlp(path, path, "--no-log", "--rules", rules, (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  FILE *lines = fdopen(out[0], "r");
  if (!lines || fscanf(lines, "listening %d", port) != 1)
    kit_die(path, "did not start; build it, or set TM_MOCK_SERVER");
  fclose(lines);
  unlink(rules);
  return pid;
}
