/* test_engine_branch.c - forks, the first error, cancels. */
#include "check.h"
#include "engine_kit.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static kit *open_by_hand(kit_box *box, const char *sources) {
  kit *k = kit_box_open(box, sources);
  k->reply = hangs;
  k->still = true;
  kit_play(k, "r");
  return k;
}

static void finish(kit *k, const char *name, kit_reply how) {
  kit_task *t = kit_task_at(k, name);
  CHECK(t != NULL);
  if (t)
    kit_finish(k, t, how);
}

/* Names of the tasks under way, in the order of their start. */
static const char *tasks(kit *k) {
  tm_buf text = TM_BUF_INIT;
  for (tm_list *l = k->tasks.next; l != &k->tasks; l = l->next)
    tm_buf_printf(&text, "%s%s", text.len ? " " : "", TM_LIST_OF(l, kit_task, link)->name);
  const char *s = tm_arena_strdup(&k->world->arena, tm_buf_str(&text));
  tm_buf_free(&text);
  return s;
}

/* -- forks ----------------------------------------------------------------------------- */

static void branches_start_in_their_order(void) {
  kit_box box;
  kit *k = open_by_hand(
      &box, "{'flow': [['fork', [[['llm', 'a']], [['fork', [[['llm', 'b']], [['llm',"
            " 'c']]]]], [['llm', 'd']]]]]}");
  CHECK_STR(tasks(k), "a d b c"); /* inner branches come behind those that were there */
  kit_box_close(&box);
}

static void results_stand_in_index_order(void) {
  kit_box box;
  kit *k =
      open_by_hand(&box, "{'flow': [['fork', [[['llm', 'a']], [], [['random', '', {'m': 3, 'n':"
                         " 3}]], [['llm', 'b']]]]]}");
  finish(k, "b", KIT_OK);
  kit_run(k);
  finish(k, "a", KIT_OK);
  kit_run(k);
  const char *result = kit_result(&box.world, "r");
  CHECK(strncmp(result, "fork=[llm={\"says\":\"a:", 21) == 0);
  CHECK(strstr(result, "||random=3|llm={\"says\":\"b:") != NULL);
  kit_box_close(&box);
}

static void at_most_max_branches_run_at_once(void) {
  kit_box box;
  kit *k =
      open_by_hand(&box, "{'flow': [['fork', [[['llm', 'a']], [['llm', 'b']], [['llm', 'c']],"
                         " [['llm', 'd']], [['llm', 'e']]], {'max': 2}]]}");
  CHECK_STR(tasks(k), "a b");
  finish(k, "b", KIT_OK);
  kit_run(k);
  CHECK_STR(tasks(k), "a c");
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(tasks(k), "a c");
  finish(k, "a", KIT_OK);
  finish(k, "c", KIT_OK);
  kit_run(k);
  CHECK_STR(tasks(k), "d e");
  finish(k, "d", KIT_OK);
  finish(k, "e", KIT_OK);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void a_fork_of_none_goes_on(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fork', []], ['fork', [], {'max': 0}], ['llm', 'a']]}");
  kit_play(k, "r");
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:3 done:3 end");
  kit_box_close(&box);
}

/* -- the first error ------------------------------------------------------------------- */

static const char *const failing =
    "{'flow': [['fork', [[['llm', 'a']], [['llm', 'b'], ['log', '', {}]], [['sleep', 90000]],"
    " [['gate', 'g', {'ask': '?'}]], [['fork', [[['llm', 'c']]]]], [['llm', 'd'], ['llm', "
    "'e']]],"
    " {'try': true}], ['llm', 'z']]}";

static void the_first_error_cancels_the_siblings(void) {
  kit_box box;
  kit *k = open_by_hand(&box, failing);
  CHECK_STR(tasks(k), "a b d c");
  finish(k, "a", KIT_REFUSED);
  kit_run(k);
  CHECK_STR(tasks(k), "z");
  CHECK_STR(kit_gates(&box.world), "r/g@1/3.1 closed");
  CHECK_INT(k->due, -1);
  finish(k, "z", KIT_OK);
  kit_run(k);
  CHECK(strncmp(kit_result(&box.world, "r"), "fork=!refused;llm=", 18) == 0);
  kit_box_close(&box);
}

/* a fails and b is answered in one batch: b's result is on the disk, but nobody is told of it,
 * now or in a replay. */
static void an_outcome_left_over_is_passed_over(void) {
  for (int crash = 0; crash < 2; crash++) {
    kit_box box;
    kit *k = open_by_hand(&box, failing);
    finish(k, "a", KIT_REFUSED);
    finish(k, "b", KIT_OK);
    kit_run(k);
    CHECK(kit_record(&box.world, "r", "done", "1/1.1") != NULL);
    if (crash) {
      kit_crash(k);
      kit_boot(k);
      kit_run(k);
    }
    CHECK_STR(tasks(k), "z");
    CHECK_INT(kit_count(k, "log"), 0);
    finish(k, "z", KIT_OK);
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r"), "done");
    kit_box_close(&box);
  }
}

/* The other way round b is told first, and its log line stands. */
static void an_outcome_before_the_error_is_told(void) {
  kit_box box;
  kit *k = open_by_hand(&box, failing);
  finish(k, "b", KIT_OK);
  finish(k, "a", KIT_REFUSED);
  kit_run(k);
  CHECK_INT(kit_count(k, "log"), 1);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(tasks(k), "z");
  CHECK_INT(kit_count(k, "log"), 1);
  kit_box_close(&box);
}

static void an_error_that_nobody_catches_fails_the_run(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fork', [[['fork', [[['raise', 'deep']], [['gate', 'g',"
                         " {'ask': '?'}]]]]], [['sleep', 50]]]]]}");
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "failed");
  CHECK(strstr(kit_reason(&box.world, "r"), "\"kind\":\"deep\"") != NULL);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1/1.1 end");
  kit_box_close(&box);
}

/* -- races, and actions under way ------------------------------------------------------------
 */

static void the_first_to_end_decides_a_race(void) {
  for (int crash = 0; crash < 2; crash++) {
    kit_box box;
    kit *k =
        open_by_hand(&box, "{'flow': [['fork', [[['llm', 'a']], [['llm', 'b']], [['gate', 'g',"
                           " {'ask': '?'}]]], {'race': true}], ['llm', 'z']]}");
    finish(k, "b", KIT_OK);
    finish(k, "a", KIT_OK); /* in the same batch, but behind */
    kit_run(k);
    if (crash) {
      kit_crash(k);
      kit_boot(k);
      kit_run(k);
    }
    CHECK_STR(tasks(k), "z");
    CHECK_STR(kit_gates(&box.world), "r/g@1/2.1 closed");
    finish(k, "z", KIT_OK);
    kit_run(k);
    CHECK(strncmp(kit_result(&box.world, "r"), "fork=[|llm={\"says\":\"b:", 22) == 0);
    kit_box_close(&box);
  }
}

static const char *const action_beside_failure =
    "{'flow': [['fork', [[['llm', 'a']], [['action', 'pay', {'key': 'p1', 'args': {}, "
    "'on_unknown':"
    " 'probe'}], ['log', '', {}]]], {'try': true}], ['llm', 'z']]}";

/* The fork goes on when the effect is known, and not before; its branch does not. */
static void the_first_error_waits_for_an_action_under_way(void) {
  for (int crash = 0; crash < 2; crash++) {
    kit_box box;
    kit *k = open_by_hand(&box, action_beside_failure);
    finish(k, "a", KIT_REFUSED);
    kit_run(k);
    CHECK_STR(tasks(k), "POST");
    if (crash) { /* it arrived; nobody saw the answer */
      k->die_before = k->commits + 1;
      finish(k, "POST", KIT_OK);
      kit_run(k);
      kit_crash(k);
      kit_boot(k);
      kit_run(k);
      CHECK_STR(tasks(k), "GET");
      finish(k, "GET", KIT_OK);
    } else {
      finish(k, "POST", KIT_OK);
    }
    kit_run(k);
    CHECK_STR(tasks(k), "z");
    CHECK(kit_record(&box.world, "r", "done", "1/1.1") != NULL);
    CHECK_INT(kit_count(k, "log"), 0);
    CHECK_STR(kit_effects(&box.world), "p1");
    kit_crash(k);
    kit_boot(k);
    kit_run(k);
    CHECK_STR(tasks(k), "z");
    kit_box_close(&box);
  }
}

static void cleaning_up_is_done_in_a_cancelled_run_too(void) {
  kit_box box;
  kit *k =
      open_by_hand(&box, "{'flow': [['llm', 'a', {'try': true}], ['llm', 'b', {'try': true}],"
                         " ['unwind'], ['action', 'undo', {'key': 'k1', 'args': {}}]]}");
  kit_cancel(k, "r");
  kit_run(k);
  CHECK_STR(tasks(k), "POST");
  kit_crash(k);
  kit_boot(k);
  k->reply = NULL;
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

/* -- cancel ---------------------------------------------------------------------------- */

static const char *const waiting_everywhere =
    "{'flow': [['fork', [[['llm', 'a', {'try': true}], ['log', '', {'m': 1}]], [['sleep', "
    "90000]],"
    " [['gate', 'g', {'ask': '?'}]]], {'try': true}], ['llm', 'never', {'try': true}]]}";

static void a_cancel_ends_what_waits(void) {
  kit_box box;
  kit *k = open_by_hand(&box, waiting_everywhere);
  kit_cancel(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "running"); /* not before it is on the disk */
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_gates(&box.world), "r/g@1/2.1 closed");
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1/1.1 open:1/2.1 cancel note:1/0.2 end");
  CHECK_STR(kit_body(&box.world, "r", 3),
            "{\"note\":\"enough\",\"by\":\"kit\",\"at\":1000000}");
  CHECK_INT(kit_count(k, "run.cancelled"), 1);
  kit_box_close(&box);
}

static void a_run_taken_up_is_cancelled(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['llm', 'a'], ['gate', 'g', {'ask': '?', 'try': true}],"
                         " ['llm', 'b', {'try': true}]]}");
  kit_play(k, "r");
  kit_crash(k);
  kit_boot(k);
  kit_cancel(k, "r"); /* nobody has it in memory */
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_gates(&box.world), "r/g@2 closed");
  CHECK_INT(k->started, 0);
  CHECK(strstr(kit_record(&box.world, "r", "cancel", ""), "\"by\":\"kit\"") != NULL);
  kit_box_close(&box);
}

static void a_cancel_is_kept_over_a_crash(void) {
  kit_box box;
  kit *k = open_by_hand(&box, waiting_everywhere);
  k->die_after = k->commits + 1;
  kit_cancel(k, "r");
  kit_run(k);
  kit_crash(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1/1.1 open:1/2.1 cancel");
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_gates(&box.world), "r/g@1/2.1 closed");
  CHECK_INT(k->started, 0);
  kit_box_close(&box);
}

static const char *const patient =
    "{'flow': [['fork', [[['llm', 'a', {'try': true}], ['log', '', {'m': 1}]], [['sleep', "
    "90000,"
    " {'try': true}]], [['gate', 'g', {'ask': '?', 'try': true}]]]]]}";

/* Its request and a model's answer meet in one batch, either way round. What was recorded
 * before the cancel is told before it, and what stands behind it is told all the same: a replay
 * tells the same story (the world looks). */
static void an_answer_that_meets_a_cancel_is_told(void) {
  for (int first = 0; first < 2; first++)
    for (int crash = 0; crash < 2; crash++) {
      kit_box box;
      kit *k = open_by_hand(&box, patient);
      if (first)
        finish(k, "a", KIT_OK);
      kit_cancel(k, "r");
      if (!first)
        finish(k, "a", KIT_OK);
      if (crash) { /* told, but the end is not written */
        k->die_before = k->commits + 2;
        kit_run(k);
        kit_crash(k);
        kit_boot(k);
      }
      kit_run(k);
      CHECK_STR(kit_state(&box.world, "r"), "cancelled");
      CHECK(kit_record(&box.world, "r", "done", "1/0.1") != NULL);
      CHECK_INT(kit_count(k, "log"), 1 + crash);
      kit_box_close(&box);
    }
}

/* No record says how far a read had come, so a cancel does not interrupt it: a life after this
 * one could not tell its place in the story. */
static void a_cancel_lets_a_read_end(void) {
  for (int crash = 0; crash < 2; crash++) {
    kit_box box;
    kit *k =
        open_by_hand(&box, "{'flow': [['fork', [[['fetch', 'look', {'body': [['http', 'GET',"
                           " {'key': ''}]], 'try': true}]], [['gate', 'g', {'ask': '?', 'try':"
                           " true}], ['state', 'x', {'value': '$all'}]]]]]}");
    kit_cancel(k, "r");
    kit_run(k);
    CHECK_STR(kit_gates(&box.world), "r/g@1/1.1 closed");
    CHECK(kit_record(&box.world, "r", "note", "1/1.2") != NULL);
    if (crash) {
      kit_crash(k);
      kit_boot(k);
      kit_run(k);
    }
    CHECK_STR(tasks(k), "GET");
    finish(k, "GET", KIT_REFUSED);
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r"), "cancelled");
    kit_box_close(&box);
  }
}

static void a_run_that_ended_cannot_be_cancelled(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['now']]}");
  tm_err err = TM_ERR_INIT;
  kit_start(k, "r");
  while (!strstr(kit_journal(&box.world, "r"), "end") && kit_step(k))
    ;
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_CANCEL, "", "", &err),
            -1); /* it has not heard yet */
  CHECK_INT(err.code, TM_CONFLICT);
  kit_run(k);
  tm_err_clear(&err);
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_CANCEL, "", "", &err), -1);
  CHECK_INT(err.code, TM_CONFLICT);
  CHECK_STR(kit_journal(&box.world, "r"), "start note:1 end");
  kit_box_close(&box);
}

static void a_cancel_while_a_decision_is_stored_gives_one_answer(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['decide', 'd', {'key': 'k', 'value': 1, 'try': true}],"
                         " ['log', '', {}]]}");
  kit_start(k, "r");
  kit_turn(k), kit_hear(k);
  kit_turn(k); /* the decision is on its way */
  kit_cancel(k, "r");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(box.world.breach, "");
  kit_box_close(&box);
}

/* -- notes and decisions --------------------------------------------------------------- */

static void a_decision_is_made_once_for_all_runs(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['recall', 'd', {'key': 'k'}], ['decide', 'd', {'key': 'k',"
                         " 'value': 1}]]}");
  kit_play(k, "one");
  box.world.sources =
      kit_text(&box.world, "{'flow': [['decide', 'd', {'key': 'k', 'value': 2}],"
                           " ['recall', 'd', {'key': 'k'}]]}");
  kit_play(k, "two");
  CHECK_STR(kit_result(&box.world, "two"), "decide=value 1;recall=value 1");
  box.world.sources =
      kit_text(&box.world, "{'flow': [['recall', 'd', {'key': 'k', 'input_hash':"
                           " 'x', 'try': true}]]}");
  kit_play(k, "three");
  CHECK_STR(kit_result(&box.world, "three"), "recall=!conflict");
  kit_box_close(&box);
}

static void dice_are_the_runs_own(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['random'], ['random', '', {'m': 1, 'n': 1000000}], ['env',"
                         " 'COLOUR'], ['env', 'SIZE']]}");
  kit_play(k, "one");
  kit_play(k, "two");
  CHECK(strcmp(kit_result(&box.world, "one"), kit_result(&box.world, "two")) != 0);
  CHECK(strstr(kit_result(&box.world, "one"), "env=\"blue\";env=null") != NULL);
  kit_box_close(&box);
}

CHECK_SUITE(engine_branch) {
  CHECK_RUN(branches_start_in_their_order);
  CHECK_RUN(results_stand_in_index_order);
  CHECK_RUN(at_most_max_branches_run_at_once);
  CHECK_RUN(a_fork_of_none_goes_on);
  CHECK_RUN(the_first_error_cancels_the_siblings);
  CHECK_RUN(an_outcome_left_over_is_passed_over);
  CHECK_RUN(an_outcome_before_the_error_is_told);
  CHECK_RUN(an_error_that_nobody_catches_fails_the_run);
  CHECK_RUN(the_first_to_end_decides_a_race);
  CHECK_RUN(the_first_error_waits_for_an_action_under_way);
  CHECK_RUN(cleaning_up_is_done_in_a_cancelled_run_too);
  CHECK_RUN(a_cancel_ends_what_waits);
  CHECK_RUN(a_run_taken_up_is_cancelled);
  CHECK_RUN(a_cancel_is_kept_over_a_crash);
  CHECK_RUN(an_answer_that_meets_a_cancel_is_told);
  CHECK_RUN(a_cancel_lets_a_read_end);
  CHECK_RUN(a_run_that_ended_cannot_be_cancelled);
  CHECK_RUN(a_cancel_while_a_decision_is_stored_gives_one_answer);
  CHECK_RUN(a_decision_is_made_once_for_all_runs);
  CHECK_RUN(dice_are_the_runs_own);
}
