/* test_loop.c - timers, posts and the place to commit in a turn. */
#include "check.h"

#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "net/loop.h"

typedef struct trace {
  tm_loop *loop;
  char text[64];
  tm_timer *other;
  int commits;
  int64_t allow;
} trace;

static void note(trace *t, char c) {
  size_t n = strlen(t->text);
  if (n + 1 < sizeof t->text)
    t->text[n] = c;
}

static void note_a(void *ctx) {
  note(ctx, 'a');
}
static void note_b(void *ctx) {
  note(ctx, 'b');
}
static void note_c(void *ctx) {
  note(ctx, 'c');
}

static tm_loop *open_loop(trace *t) {
  tm_err err = TM_ERR_INIT;
  *t = (trace){.allow = -1};
  if (tm_loop_open(&t->loop, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s", err.msg);
  return t->loop;
}

static void turn_until(trace *t, size_t notes) {
  for (int i = 0; i < 1000 && strlen(t->text) < notes; i++)
    tm_loop_turn(t->loop, 1000);
}

static void a_timer_never_fires_before_its_start_function_returns(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_timer_start(l, 0, note_a, &t);
  CHECK_STR(t.text, "");
  turn_until(&t, 1);
  CHECK_STR(t.text, "a");
  tm_loop_close(&l);
}

static void timers_fire_in_the_order_they_are_due_and_never_early(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  int64_t start = tm_clock_ns();
  tm_timer_start(l, 12, note_c, &t);
  tm_timer_start(l, 3, note_a, &t);
  tm_timer_start(l, 3, note_b, &t);
  turn_until(&t, 3);
  CHECK_STR(t.text, "abc");
  CHECK(tm_clock_ns() - start >= 12000000);
  tm_loop_close(&l);
}

static void a_cancelled_timer_is_silent_and_its_memory_is_used_again(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_timer *timer = tm_timer_start(l, 0, note_a, &t), *old = timer;
  tm_timer_cancel(&timer);
  CHECK(timer == NULL);
  tm_timer_cancel(&timer);
  CHECK(tm_timer_start(l, 0, note_b, &t) == old);
  turn_until(&t, 1);
  CHECK_STR(t.text, "b");
  tm_loop_close(&l);
}

static void cancel_the_other(void *ctx) {
  trace *t = ctx;
  note(t, 'x');
  tm_timer_cancel(&t->other);
}

static void a_timer_may_cancel_one_that_is_due_in_the_same_turn(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_timer_start(l, 0, cancel_the_other, &t);
  t.other = tm_timer_start(l, 0, note_a, &t);
  tm_timer_start(l, 0, note_b, &t);
  turn_until(&t, 2);
  CHECK_STR(t.text, "xb");
  tm_loop_close(&l);
}

static void *post_three(void *arg) {
  trace *t = arg;
  tm_loop_post(t->loop, note_a, t);
  tm_loop_post(t->loop, note_b, t);
  tm_loop_post(t->loop, note_c, t);
  return NULL;
}

static void posts_from_another_thread_end_the_sleep_and_keep_their_order(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  pthread_t thread;
  pthread_create(&thread, NULL, post_three, &t);
  while (strlen(t.text) < 3)
    tm_loop_turn(l, -1);
  pthread_join(thread, NULL);
  CHECK_STR(t.text, "abc");
  tm_loop_close(&l);
}

static void post_again(void *ctx) {
  trace *t = ctx;
  note(t, 'p');
  tm_loop_post(t->loop, note_a, t);
}

static void what_a_post_posts_runs_in_the_turn_after(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_loop_post(l, post_again, &t);
  tm_loop_turn(l, 1000);
  CHECK_STR(t.text, "p");
  tm_loop_turn(l, 1000);
  CHECK_STR(t.text, "pa");
  tm_loop_close(&l);
}

static int64_t commit(void *ctx) {
  trace *t = ctx;
  note(t, '|');
  t->commits++;
  return t->allow;
}

static void before_sleep_comes_after_due_timers_and_before_the_sleep(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_loop_before_sleep(l, commit, &t);
  tm_loop_post(l, note_b, &t);
  tm_timer_start(l, 0, note_a, &t);
  tm_loop_turn(l, 1000);
  CHECK_STR(t.text, "a|b");
  CHECK_INT(t.commits, 1);
  tm_loop_close(&l);
}

static void in_a_turn_of_zero_before_sleep_comes_last(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_loop_before_sleep(l, commit, &t);
  tm_loop_post(l, note_b, &t);
  tm_loop_turn(l, 0);
  CHECK_STR(t.text, "b|");
  tm_loop_close(&l);
}

static void before_sleep_can_forbid_and_shorten_the_sleep(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_loop_before_sleep(l, commit, &t);
  t.allow = 0;
  tm_loop_turn(l, -1); /* would hang if it slept */
  t.allow = 2;
  tm_loop_turn(l, -1);
  CHECK_INT(t.commits, 2);
  tm_loop_close(&l);
}

static void a_foreign_loop_can_drive_it_by_its_fd_and_timeout(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_loop_turn(l, 0);
  CHECK_INT(tm_loop_timeout(l), -1);
  tm_timer_start(l, 5, note_a, &t);
  tm_loop_turn(l, 0);
  int64_t ms = tm_loop_timeout(l);
  CHECK(ms >= 0 && ms <= 6);
  for (int i = 0; i < 100 && !*t.text; i++) {
    struct pollfd fd = {.fd = tm_loop_fd(l), .events = POLLIN};
    poll(&fd, 1, (int)tm_loop_timeout(l));
    tm_loop_turn(l, 0);
  }
  CHECK_STR(t.text, "a");
  tm_loop_wake(l);
  struct pollfd fd = {.fd = tm_loop_fd(l), .events = POLLIN};
  CHECK_INT(poll(&fd, 1, 1000), 1);
  tm_loop_close(&l);
}

static void closing_forgets_timers_and_posts_without_calling_them(void) {
  trace t;
  tm_loop *l = open_loop(&t);
  tm_timer_start(l, 0, note_a, &t);
  tm_timer_start(l, 1000000, note_a, &t);
  tm_loop_post(l, note_b, &t);
  tm_loop_close(&l);
  CHECK(l == NULL);
  CHECK_STR(t.text, "");
  tm_loop_close(&l);
}

CHECK_SUITE(loop) {
  CHECK_RUN(a_timer_never_fires_before_its_start_function_returns);
  CHECK_RUN(timers_fire_in_the_order_they_are_due_and_never_early);
  CHECK_RUN(a_cancelled_timer_is_silent_and_its_memory_is_used_again);
  CHECK_RUN(a_timer_may_cancel_one_that_is_due_in_the_same_turn);
  CHECK_RUN(posts_from_another_thread_end_the_sleep_and_keep_their_order);
  CHECK_RUN(what_a_post_posts_runs_in_the_turn_after);
  CHECK_RUN(before_sleep_comes_after_due_timers_and_before_the_sleep);
  CHECK_RUN(in_a_turn_of_zero_before_sleep_comes_last);
  CHECK_RUN(before_sleep_can_forbid_and_shorten_the_sleep);
  CHECK_RUN(a_foreign_loop_can_drive_it_by_its_fd_and_timeout);
  CHECK_RUN(closing_forgets_timers_and_posts_without_calling_them);
}
