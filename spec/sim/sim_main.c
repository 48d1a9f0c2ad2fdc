/* sim_main.c - tidemill-sim: random histories of the engine by the thousand, one seed each.
 *
 *   tidemill-sim [SEEDS] [--seconds S] [--from SEED]   as many, or as long, whichever ends
 * first tidemill-sim --seed SEED                           one, told step by step
 *
 * The last line is "N passed, N failed". What failed is played again by its seed.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sim.h"

#define MAX_SHOWN 10

static int kit_failures;
static volatile uint64_t playing;

/* The kit's own checks (check.h) end here: they are findings like the laws'. */
void check_fail(const char *file, int line, const char *fmt, ...) {
  va_list args;
  printf("seed %llu: %s:%d: ", (unsigned long long)playing, file, line);
  va_start(args, fmt);
  vprintf(fmt, args);
  va_end(args);
  printf("\n");
  kit_failures++;
}

static void on_death(int sig) {
  char text[96];
  int n =
      snprintf(text, sizeof text, "seed %llu: signal %d\n", (unsigned long long)playing, sig);
  if (write(1, text, (size_t)n) < 0)
    _exit(70);
  signal(sig, SIG_DFL);
  raise(sig);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

typedef struct totals {
  long played, failed, runs, steps, crashes, unknowns, takeovers, decisions, races, orders,
      jumps, sends, cuts, emits, starts, links, undos, locks, keys, repins, retries, forks,
      refusals, reopened, reused;
} totals;

static void add(totals *t, const sim_report *r, bool ok) {
  t->played++;
  t->failed += !ok;
  t->runs += r->runs;
  t->steps += r->steps;
  t->crashes += r->crashes;
  t->unknowns += r->unknowns;
  t->takeovers += r->takeovers;
  t->decisions += r->decisions;
  t->races += r->races;
  t->orders += r->orders;
  t->jumps += r->jumps;
  t->sends += r->sends;
  t->cuts += r->cuts;
  t->emits += r->emits;
  t->starts += r->starts;
  t->links += r->links;
  t->undos += r->undos;
  t->locks += r->locks;
  t->keys += r->keys;
  t->reopened += r->reopened;
  t->reused += r->reused;
  t->repins += r->repins;
  t->retries += r->retries;
  t->forks += r->forks;
  t->refusals += r->refusals;
}

static bool play(totals *t, uint64_t seed, bool loud) {
  sim_report r;
  playing = seed;
  kit_failures = 0;
  bool ok = sim_play(&r, seed, loud) && kit_failures == 0;
  add(t, &r, ok);
  if (*r.wrong && t->failed <= MAX_SHOWN)
    printf("seed %llu: %s\n", (unsigned long long)seed, r.wrong);
  return ok;
}

static void conclude(const totals *t, double seconds) {
  printf("%ld histories in %.0f s: %ld runs, %ld steps, %ld crashes, %ld commits of unknown "
         "outcome,\n%ld take-overs, %ld clock jumps, %ld sends (%ld cut off), %ld decisions "
         "(%ld raced), %ld orders\n",
         t->played, seconds, t->runs, t->steps, t->crashes, t->unknowns, t->takeovers, t->jumps,
         t->sends, t->cuts, t->decisions, t->races, t->orders);
  printf("%ld emits, %ld started, %ld gone on as another, %ld undone, %ld locks, %ld waits for "
         "keys;\n%ld repins, %ld retries, %ld forks (%ld of these refused), "
         "%ld decisions reopened, %ld answers used again\n",
         t->emits, t->starts, t->links, t->undos, t->locks, t->keys, t->repins, t->retries,
         t->forks, t->refusals, t->reopened, t->reused);
  printf("%ld passed, %ld failed\n", t->played - t->failed, t->failed);
}

static int usage(void) {
  fputs("usage: tidemill-sim [SEEDS] [--seconds S] [--from SEED] | --seed SEED\n", stderr);
  return 2;
}

static bool number(uint64_t *out, const char *text) {
  char *end;
  errno = 0;
  *out = text ? strtoull(text, &end, 10) : 0;
  return text && *text && *text != '-' && !*end && errno == 0;
}

int main(int argc, char **argv) {
  uint64_t seeds = 20000, seconds = 300, from = 1, one = 0;
  bool single = false;
  for (int i = 1; i < argc; i++) {
    bool word = strncmp(argv[i], "--", 2) == 0;
    uint64_t *to = !word                               ? &seeds
                   : strcmp(argv[i], "--seconds") == 0 ? &seconds
                   : strcmp(argv[i], "--from") == 0    ? &from
                   : strcmp(argv[i], "--seed") == 0    ? &one
                                                       : NULL;
    if (!to || !number(to, word ? argv[++i] : argv[i]))
      return usage();
    single = single || to == &one;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGABRT, on_death);
  signal(SIGSEGV, on_death);
  totals t = {.played = 0};
  double start = now_s();
  if (single)
    play(&t, one, true);
  for (uint64_t i = 0; !single && i < seeds && now_s() - start < (double)seconds; i++)
    play(&t, from + i, false);
  conclude(&t, now_s() - start);
  return t.failed > 0;
}
