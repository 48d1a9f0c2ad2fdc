/* test_proc.c - children: what they say, how they end, how they are made to end. */
#include "check.h"

#include <signal.h>
#include <stdlib.h>

#include "net/proc.h"

typedef struct seen {
  tm_loop *loop;
  int calls;
  tm_proc_res res;
  char out[64], errout[64];
} seen;

static void finished(void *ctx, const tm_proc_res *res) {
  seen *s = ctx;
  s->calls++;
  s->res = *res;
  snprintf(s->out, sizeof s->out, "%s", res->out);
  snprintf(s->errout, sizeof s->errout, "%s", res->errout);
}

static tm_err last;

static int start(seen *s, tm_proc **p, const tm_proc_req *req) {
  tm_err_clear(&last);
  *s = (seen){0};
  if (tm_loop_open(&s->loop, &last) < 0)
    return -1;
  return tm_proc_start(p, s->loop, req, finished, s, &last);
}

static void run(seen *s, const tm_proc_req *req) {
  tm_proc *p;
  if (start(s, &p, req) < 0) {
    check_fail(__FILE__, __LINE__, "%s", last.msg);
    return;
  }
  CHECK_INT(s->calls, 0);
  while (!s->calls)
    tm_loop_turn(s->loop, -1);
  CHECK_INT(s->calls, 1);
}

static void both_outputs_and_the_exit_code_are_kept_apart(void) {
  seen s;
  const char *argv[] = {"sh", "-c", "printf one; printf two >&2; exit 7", NULL};
  run(&s, &(tm_proc_req){.argv = argv});
  CHECK_INT(s.res.code, 7);
  CHECK_INT(s.res.signal, 0);
  CHECK_STR(s.out, "one");
  CHECK_STR(s.errout, "two");
  tm_loop_close(&s.loop);
}

static void arguments_reach_the_program_without_a_shell(void) {
  seen s;
  const char *argv[] = {"printf", "%s|", "a b", "$HOME", "*", NULL};
  run(&s, &(tm_proc_req){.argv = argv});
  CHECK_STR(s.out, "a b|$HOME|*|");
  tm_loop_close(&s.loop);
}

static void input_environment_and_folder_are_the_callers(void) {
  seen s;
  const char *argv[] = {"sh", "-c", "pwd; echo $TIDE; cat", NULL};
  const char *env[] = {"TIDE=high", "PATH=/usr/bin:/bin", NULL};
  run(&s, &(tm_proc_req){.argv = argv, .env = env, .cwd = "/", .input = "in", .input_len = 2});
  CHECK_STR(s.out, "/\nhigh\nin");
  tm_loop_close(&s.loop);
}

static void a_child_that_does_not_read_its_input_is_no_error(void) {
  seen s;
  size_t len = (size_t)4 << 20;
  char *input = calloc(1, len);
  const char *argv[] = {"true", NULL};
  run(&s, &(tm_proc_req){.argv = argv, .input = input, .input_len = len});
  CHECK_INT(s.res.code, 0);
  free(input);
  tm_loop_close(&s.loop);
}

static void a_program_that_is_not_there_is_known_at_once(void) {
  seen s;
  tm_proc *p;
  const char *argv[] = {"no-such-program-here", NULL};
  CHECK_INT(start(&s, &p, &(tm_proc_req){.argv = argv}), -1);
  CHECK_INT(last.code, TM_NOTFOUND);
  CHECK(strstr(last.msg, "no-such-program-here"));
  CHECK(p == NULL);
  tm_loop_turn(s.loop, 0);
  CHECK_INT(s.calls, 0);
  tm_loop_close(&s.loop);
}

static void a_child_that_takes_too_long_is_ended_with_all_it_started(void) {
  seen s;
  const char *argv[] = {"sh", "-c", "sleep 1000 & sleep 1000", NULL};
  run(&s, &(tm_proc_req){.argv = argv, .timeout_ms = 20});
  CHECK(s.res.timed_out);
  CHECK_INT(s.res.signal, SIGTERM);
  CHECK_INT(s.res.code, -1);
  CHECK(s.res.total_ms >= 20);
  tm_loop_close(&s.loop);
}

static void a_flooding_child_is_killed_and_its_output_cut(void) {
  seen s;
  const char *argv[] = {"yes", NULL};
  run(&s, &(tm_proc_req){.argv = argv, .max_output = 100000});
  CHECK(s.res.too_much);
  CHECK_INT(s.res.out_len, 100000);
  CHECK_INT(s.res.signal, SIGKILL);
  tm_loop_close(&s.loop);
}

static void a_cancelled_child_dies_silently(void) {
  seen s;
  tm_proc *p;
  const char *argv[] = {"sleep", "1000", NULL};
  REQUIRE(start(&s, &p, &(tm_proc_req){.argv = argv}) == 0);
  tm_proc_cancel(&p);
  CHECK(p == NULL);
  for (int i = 0; i < 20; i++)
    tm_loop_turn(s.loop, 5);
  CHECK_INT(s.calls, 0);
  tm_loop_close(&s.loop);
}

static void a_loop_that_closes_takes_its_children_with_it(void) {
  seen s;
  tm_proc *p;
  const char *argv[] = {"sleep", "1000", NULL};
  REQUIRE(start(&s, &p, &(tm_proc_req){.argv = argv}) == 0);
  tm_loop_close(&s.loop);
  CHECK_INT(s.calls, 0);
}

static void a_grandchild_that_keeps_the_output_open_does_not_hold_the_result(void) {
  seen s;
  const char *argv[] = {"sh", "-c", "(trap '' TERM; sleep 3) & echo done", NULL};
  run(&s, &(tm_proc_req){.argv = argv});
  CHECK_INT(s.res.code, 0);
  CHECK_STR(s.out, "done\n");
  CHECK(s.res.total_ms < 2500);
  tm_loop_close(&s.loop);
}

CHECK_SUITE(proc) {
  CHECK_RUN(both_outputs_and_the_exit_code_are_kept_apart);
  CHECK_RUN(arguments_reach_the_program_without_a_shell);
  CHECK_RUN(input_environment_and_folder_are_the_callers);
  CHECK_RUN(a_child_that_does_not_read_its_input_is_no_error);
  CHECK_RUN(a_program_that_is_not_there_is_known_at_once);
  CHECK_RUN(a_child_that_takes_too_long_is_ended_with_all_it_started);
  CHECK_RUN(a_flooding_child_is_killed_and_its_output_cut);
  CHECK_RUN(a_cancelled_child_dies_silently);
  CHECK_RUN(a_loop_that_closes_takes_its_children_with_it);
  CHECK_RUN(a_grandchild_that_keeps_the_output_open_does_not_hold_the_result);
}
