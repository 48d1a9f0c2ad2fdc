/* check.c - runs every registered suite, or those named on the command line.
 *
 * The last line is "N passed, N failed" (", N skipped" when there are any).
 */
#include "check.h"

#include <stdarg.h>
#include <stdlib.h>

#define MAX_SUITES 128

static struct {
  const char *name;
  check_fn run;
} suites[MAX_SUITES];
static int suite_count;

static const char *suite, *running;
static int failures, passed, failed, skipped;
static bool skip;

void check_register(const char *name, check_fn run) {
  if (suite_count == MAX_SUITES)
    abort();
  suites[suite_count].name = name;
  suites[suite_count++].run = run;
}

void check_begin(const char *name) {
  running = name;
  failures = 0;
  skip = false;
}

void check_fail(const char *file, int line, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  printf("FAIL %s: %s\n    %s:%d: ", suite, running, file, line);
  vprintf(fmt, args);
  printf("\n");
  va_end(args);
  failures++;
}

void check_skip(const char *why) {
  printf("skip %s: %s (%s)\n", suite, running, why);
  skip = true;
}

void check_end(void) {
  if (failures)
    failed++;
  else if (skip)
    skipped++;
  else
    passed++;
}

static bool wanted(const char *name, int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], name) == 0)
      return true;
  return argc < 2;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  qsort(suites, (size_t)suite_count, sizeof suites[0], by_name);
  for (int i = 0; i < suite_count; i++) {
    suite = suites[i].name;
    if (wanted(suite, argc, argv))
      suites[i].run();
  }
  if (skipped)
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  else
    printf("%d passed, %d failed\n", passed, failed);
  return failed || passed + skipped == 0;
}
