/* check.c - runs every registered suite, or those named on the command line.
 *
 * The last line is "N passed, N failed" (", N skipped" when there are any). With `--jobs N` each
 * suite is a process of its own, N of them side by side; what they print is shown in the same
 * order as without, and a process that dies is one failure.
 */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SUITES 128

typedef struct counts {
  int passed, failed, skipped;
} counts;

static struct {
  const char *name;
  check_fn run;
  pid_t pid; /* with --jobs: of its process, 0 when that has ended */
  int status;
  FILE *printed;
} suites[MAX_SUITES];
static int suite_count;

static const char *suite, *running;
static int failures;
static counts total;
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

void check_tie(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent)
    _exit(1);
}

int64_t check_cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void check_end(void) {
  if (failures)
    total.failed++;
  else if (skip)
    total.skipped++;
  else
    total.passed++;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool named(const char *name, int argc, char **argv) {
  for (int i = 0; i < argc; i++)
    if (strcmp(argv[i], name) == 0)
      return true;
  return argc == 0;
}

/* Sorted, and only those that are wanted. */
static void choose(int argc, char **argv) {
  int kept = 0;
  qsort(suites, (size_t)suite_count, sizeof suites[0], by_name);
  for (int i = 0; i < suite_count; i++)
    if (named(suites[i].name, argc, argv))
      suites[kept++] = suites[i];
  suite_count = kept;
}

static void run(int i) {
  suite = suites[i].name;
  suites[i].run();
}

/* -- side by side ---------------------------------------------------------------------- */

/* The suite's process: it prints to a file, tells its counts in `told`, and does not outlive the
 * one that waits for it. It ends as main does, so that a sanitizer has its last look. */
static void begin(int i, counts *told, pid_t parent) {
  check_tie(parent);
  if (dup2(fileno(suites[i].printed), 1) < 0 || dup2(1, 2) < 0)
    abort();
  total = (counts){0};
  run(i);
  *told = total;
  exit(0);
}

static void start(int i, counts *told) {
  pid_t self = getpid();
  suites[i].printed = tmpfile();
  fflush(NULL);
  suites[i].pid = suites[i].printed ? fork() : -1;
  if (suites[i].pid < 0)
    abort();
  if (suites[i].pid == 0)
    begin(i, told, self);
}

static void wait_for_one(void) {
  int status = 0;
  pid_t pid;
  while ((pid = wait(&status)) < 0 && errno == EINTR)
    ;
  for (int i = 0; i < suite_count; i++) {
    if (suites[i].pid != pid)
      continue;
    suites[i].pid = 0;
    suites[i].status = status;
  }
}

static void show(int i, const counts *told) {
  char bytes[4096];
  size_t n;
  rewind(suites[i].printed);
  while ((n = fread(bytes, 1, sizeof bytes, suites[i].printed)) > 0)
    fwrite(bytes, 1, n, stdout);
  fclose(suites[i].printed);
  total.passed += told->passed;
  total.failed += told->failed;
  total.skipped += told->skipped;
  if (suites[i].status == 0)
    return;
  bool killed = WIFSIGNALED(suites[i].status);
  printf("FAIL %s: its process ended with %s %d\n", suites[i].name,
         killed ? "signal" : "status",
         killed ? WTERMSIG(suites[i].status) : WEXITSTATUS(suites[i].status));
  total.failed++;
}

static void run_side_by_side(int jobs) {
  counts *told = mmap(NULL, sizeof *told * MAX_SUITES, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int started = 0, shown = 0;
  if (told == MAP_FAILED)
    abort();
  while (shown < suite_count) {
    for (; jobs > 0 && started < suite_count; jobs--, started++)
      start(started, &told[started]);
    wait_for_one();
    jobs++;
    for (; shown < started && suites[shown].pid == 0; shown++)
      show(shown, &told[shown]);
  }
  munmap(told, sizeof *told * MAX_SUITES);
}

int main(int argc, char **argv) {
  int jobs = 1, first = 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 2 && strcmp(argv[1], "--jobs") == 0) {
    jobs = atoi(argv[2]);
    first = 3;
  }
  choose(argc - first, argv + first);
  if (jobs > 1)
    run_side_by_side(jobs);
  else
    for (int i = 0; i < suite_count; i++)
      run(i);
  printf("%d passed, %d failed", total.passed, total.failed);
  if (total.skipped)
    printf(", %d skipped", total.skipped);
  printf("\n");
  return total.failed || total.passed + total.skipped == 0;
}
