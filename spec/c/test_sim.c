/* test_sim.c - a handful of random histories in every test run; `./dev sim` plays many more. */
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "sim.h"

#define SECONDS 4 /* at most */
#define SEEDS   200

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void no_history_breaks_a_law(void) {
  double until = now_s() + SECONDS;
  int faults = 0, put_off = 0, kin = 0, changes = 0, keys = 0;
  for (uint64_t seed = 1; seed <= SEEDS && now_s() < until; seed++) {
    sim_report r;
    if (!sim_play(&r, seed, false))
      check_fail(__FILE__, __LINE__, "%s\n      play it again: ./dev sim --seed %llu", r.wrong,
                 (unsigned long long)seed);
    faults += r.crashes + r.unknowns + r.cuts;
    put_off += r.put_off;
    kin += r.emits > 0 && r.starts + r.links > 0;
    changes += r.repins + r.forks + r.retries;
    keys += r.keys;
  }
  CHECK(faults > 0 && put_off > 0 && kin > 0 && changes > 0 && keys > 0);
}

/* Each broke a law once, in the simulator as it is: a follower told too early, a race's loser after a
 * RETRY, a gate that was decided before the row that waits for it was on the disk, a row that named
 * what a cancel had given up. */
static void what_broke_a_law_once_breaks_none_now(void) {
  static const uint64_t seeds[] = {82452, 157708, 193241, 325060, 901099, 1052458};
  for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
    sim_report r;
    if (!sim_play(&r, seeds[i], false))
      check_fail(__FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seeds[i], r.wrong);
  }
}

static void a_seed_is_played_again_exactly(void) {
  for (uint64_t seed = 1000; seed < 1010; seed++) {
    sim_report a, b;
    sim_play(&a, seed, false);
    sim_play(&b, seed, false);
    CHECK_STR(a.digest, b.digest);
    CHECK_INT(a.steps, b.steps);
    CHECK_STR(a.wrong, b.wrong);
  }
}

CHECK_SUITE(sim) {
  CHECK_RUN(no_history_breaks_a_law);
  CHECK_RUN(what_broke_a_law_once_breaks_none_now);
  CHECK_RUN(a_seed_is_played_again_exactly);
}
