/* test_engine_time.c - timers and a wall clock that jumps: while a process has the run its own span
 * counts, behind a restart the time that was recorded. */
#include "check.h"
#include "engine_kit.h"

#define HOUR INT64_C(3600000)

typedef struct timed {
  const char *sources, *end;
} timed;

/* Each waits ten seconds. */
static const timed waits[] = {
    {"{'flow': [['sleep', 10000], ['log', '', {}]]}", "done"},
    {"{'flow': [['gate', 'g', {'ask': '?', 'deadline_ms': 10000, 'on_timeout': 'fail'}]]}",
     "failed"},
    {"{'flow': [['call', 'sub', {'timeout_ms': 10000}]], 'sub': [['gate', 'g', {'ask': '?'}]]}",
     "failed"},
    {"{'events': {'paid': {}}, 'flow': [['wait', 'paid', {'timeout_ms': 10000}]]}", "failed"},
};
#define WAITS ((int)(sizeof waits / sizeof *waits))

static kit *wait_in(kit_box *b, const timed *w, bool parked) {
  kit *k = kit_box_open(b, w->sources);
  k->engine->ports.park = parked;
  k->still = true;
  kit_play(k, "r");
  CHECK_STR(kit_state(&b->world, "r"), "waiting");
  return k;
}

static void pass(kit *k, int64_t ms) {
  k->world->now += ms;
  k->woken = true;
  kit_run(k);
}

static void a_jump_neither_fires_nor_holds_up(int64_t by, bool parked) {
  for (int i = 0; i < WAITS; i++) {
    kit_box b;
    kit *k = wait_in(&b, &waits[i], parked);
    b.world.jumped += by;
    pass(k, 9999);
    CHECK_STR(kit_state(&b.world, "r"), "waiting");
    pass(k, 1);
    CHECK_STR(kit_state(&b.world, "r"), waits[i].end);
    kit_box_close(&b);
  }
}

static void a_jump_back_does_not_hold_a_timer_up(void) {
  a_jump_neither_fires_nor_holds_up(-HOUR / 4, false);
}

static void a_jump_forward_does_not_fire_one(void) {
  a_jump_neither_fires_nor_holds_up(HOUR, false);
}

static void of_a_parked_run_neither(void) {
  a_jump_neither_fires_nor_holds_up(-HOUR / 4, true);
  a_jump_neither_fires_nor_holds_up(HOUR, true);
}

/* It is taken up for something else, and its other timer goes on as it was set. */
static void a_parked_timer_keeps_its_span_when_the_run_is_wanted_for_something_else(void) {
  for (int back = 0; back < 2; back++) {
    kit_box b;
    kit *k = kit_box_open(&b, "{'flow': [['fork', [[['sleep', 10000]],"
                              " [['gate', 'g', {'ask': '?'}]]]]]}");
    k->engine->ports.park = true;
    k->still = true;
    kit_play(k, "r");
    b.world.jumped += back ? -HOUR / 4 : HOUR;
    pass(k, 1000);
    kit_decide(k, "r/g@1/1.1", true, NULL);
    pass(k, 8999);
    CHECK(kit_record(&b.world, "r", "done", "1/1.1") != NULL);
    CHECK(kit_record(&b.world, "r", "done", "1/0.1") == NULL);
    pass(k, 1);
    CHECK_STR(kit_state(&b.world, "r"), "done");
    kit_box_close(&b);
  }
}

/* What is set behind the jump is set by the clock as it is then. */
static void a_timer_set_behind_a_jump_is_exact_too(void) {
  kit_box b;
  kit *k = kit_box_open(&b, "{'flow': [['sleep', 1000], ['sleep', 10000]]}");
  k->still = true;
  kit_play(k, "r");
  b.world.jumped -= HOUR / 4;
  pass(k, 1000);
  pass(k, 9999);
  CHECK_STR(kit_state(&b.world, "r"), "waiting");
  pass(k, 1);
  CHECK_STR(kit_state(&b.world, "r"), "done");
  kit_box_close(&b);
}

static void behind_a_restart_the_recorded_time_counts(void) {
  for (int i = 0; i < WAITS; i++) {
    for (int late = 0; late < 2; late++) {
      kit_box b;
      kit *k = wait_in(&b, &waits[i], false);
      b.world.jumped += late ? 5000 : -5000;
      b.world.now += 4000;
      kit_crash(k);
      b.world.now -= 900000; /* the machine was started anew: another monotonic time */
      b.world.jumped += 900000;
      kit_boot(k);
      pass(k, late ? 999 : 10999);
      CHECK(strcmp(kit_state(&b.world, "r"), waits[i].end) != 0);
      pass(k, 1);
      CHECK_STR(kit_state(&b.world, "r"), waits[i].end);
      kit_box_close(&b);
    }
  }
}

CHECK_SUITE(engine_time) {
  CHECK_RUN(a_jump_back_does_not_hold_a_timer_up);
  CHECK_RUN(a_jump_forward_does_not_fire_one);
  CHECK_RUN(of_a_parked_run_neither);
  CHECK_RUN(a_parked_timer_keeps_its_span_when_the_run_is_wanted_for_something_else);
  CHECK_RUN(a_timer_set_behind_a_jump_is_exact_too);
  CHECK_RUN(behind_a_restart_the_recorded_time_counts);
}
