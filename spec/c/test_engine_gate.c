/* test_engine_gate.c - questions to people: opened once, decided once. */
#include "check.h"
#include "engine_kit.h"

static const char *const ask = "{'flow': [['gate', 'ask', {'ask': 'sure?', 'show': [1, 2]}]]}";

static kit *open_at_gate(kit_box *box, const char *sources) {
  kit *k = kit_box_open(box, sources);
  kit_play(k, "r");
  return k;
}

/* Only the gate that the row names counts, and not one that was answered long ago. */
static void a_run_that_waits_for_its_second_gate_is_left_alone(void) {
  kit_box box;
  kit *k = kit_box_open(&box,
                        "{'flow': [['gate', 'a', {'ask': '?'}], ['gate', 'b', {'ask': '?'}]]}");
  kit_play(k, "r");
  kit_decide(k, "r/a@1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/a@1 approved, r/b@2 open");
  kit_crash(k);
  kit_boot(k);
  CHECK(tm_engine_find(k->engine, "r") == NULL);
  kit_decide(k, "r/b@2", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void a_waiting_run_needs_no_process(void) {
  kit_box box;
  kit *k = open_at_gate(&box, ask);
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  CHECK_STR(kit_owner(&box.world, "r"), "");
  CHECK_STR(kit_reason(&box.world, "r"),
            "[{\"for\":\"gate\",\"name\":\"ask\",\"place\":\"1\",\"gate\":\"r/ask@1\"}]");
  CHECK_INT(kit_count(k, "gate.opened"), 1);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(k->commits, 0); /* nothing was decided: it is left alone */
  kit_decide(k, "r/ask@1", true, "{'answer': 3, 'note': 'fine', 'by': 'ann'}");
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "gate=approved trueanswer 3");
  const char *decided = kit_record(&box.world, "r", "decided", "1");
  REQUIRE(decided != NULL);
  CHECK(strstr(decided, "\"answer\":3,\"note\":\"fine\",\"by\":\"ann\",\"at\":1000000") !=
        NULL);
  kit_box_close(&box);
}

static void exactly_one_decision_wins(void) {
  kit_box box;
  kit *k = open_at_gate(&box, ask);
  kit_decide(k, "r/ask@1", true, "{'by': 'ann'}");
  kit_decide(k, "r/ask@1", false, "{'by': 'bob'}");
  kit_turn(k);
  kit_hear(
      k); /* both are told in the order of their decisions: the last one stands in `last` */
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "already approved by ann") != NULL);
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "gate=approved trueanswer null");
  kit_decide(k, "r/ask@1", false, NULL);
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "already approved by ann at 1970-01-01T00:16:40.000Z") != NULL);
  kit_box_close(&box);
}

static void a_gate_that_is_not_there_is_not_found(void) {
  kit_box box;
  kit *k = open_at_gate(&box, ask);
  kit_decide(k, "r/other@1", true, NULL);
  CHECK_INT(k->last.code, TM_NOTFOUND);
  kit_box_close(&box);
}

static void a_rejection_is_told_with_its_note(void) {
  kit_box box;
  kit *k = open_at_gate(&box, ask);
  kit_decide(k, "r/ask@1", false, "{'note': 'no'}");
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "gate=approved falseanswer null");
  CHECK(strstr(kit_record(&box.world, "r", "done", "1"), "\"note\":\"no\"") != NULL);
  kit_box_close(&box);
}

static void an_answer_is_held_to_its_schema(void) {
  kit_box box;
  kit *k = open_at_gate(&box, "{'flow': [['gate', 'ask', {'ask': '?', 'answer': {'enum': ['a',"
                              " 'b']}}]]}");
  kit_decide(k, "r/ask@1", true, NULL);
  CHECK_INT(k->last.code, TM_USAGE);
  CHECK(strstr(k->last.msg, "wants an answer") != NULL);
  kit_decide(k, "r/ask@1", true, "{'answer': 'c'}");
  CHECK_INT(k->last.code, TM_USAGE);
  CHECK(strstr(k->last.msg, "does not fit") != NULL);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/ask@1 open");
  kit_decide(k, "r/ask@1", true, "{'answer': 'b'}");
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "gate=approved trueanswer \"b\"");
  kit_box_close(&box);
}

static void a_rejection_needs_no_answer(void) {
  kit_box box;
  kit *k = open_at_gate(
      &box, "{'flow': [['gate', 'ask', {'ask': '?', 'answer': {'type': 'string'}}]]}");
  kit_decide(k, "r/ask@1", false, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

/* -- deadlines ------------------------------------------------------------------------- */

static void ends_at_deadline(const char *on_timeout, const char *result) {
  kit_box box;
  char sources[256];
  snprintf(
      sources, sizeof sources,
      "{'flow': [['gate', 'ask', {'ask': '?', 'deadline_ms': 5000, 'on_timeout': %s, 'try':"
      " true}]]}",
      on_timeout);
  kit *k = open_at_gate(&box, sources);
  CHECK_STR(kit_gates(&box.world), "r/ask@1 expired");
  CHECK_INT(box.world.now, 1005000);
  CHECK_STR(kit_result(&box.world, "r"), result);
  kit_decide(k, "r/ask@1", true, NULL);
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "already expired") != NULL);
  kit_box_close(&box);
}

static void what_happens_at_the_deadline_is_said_by_the_script(void) {
  ends_at_deadline("'fail'", "gate=!timeout");
  ends_at_deadline("'reject'", "gate=approved falseanswer null");
  ends_at_deadline("{'answer': 9}", "gate=approved trueanswer 9");
}

static const char *const with_deadline =
    "{'flow': [['gate', 'ask', {'ask': '?', 'deadline_ms': 5000, 'on_timeout': 'reject'}]]}";

static void go_to_gate(kit *k) {
  kit_start(k, "r");
  while (!*kit_gates(k->world) && kit_step(k))
    ;
  kit_hear(k);
}

static void a_deadline_passes_while_nobody_runs(void) {
  kit_box box;
  kit *k = kit_box_open(&box, with_deadline);
  go_to_gate(k);
  kit_crash(k);
  box.world.now += 60000;
  kit_boot(k);
  kit_decide(k, "r/ask@1", true, NULL); /* nobody has noticed yet, but it is too late */
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "has expired") != NULL);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/ask@1 expired");
  CHECK_STR(kit_result(&box.world, "r"), "gate=approved falseanswer null");
  kit_box_close(&box);
}

static void the_deadline_is_the_one_it_was_opened_with(void) {
  kit_box box;
  kit *k = kit_box_open(&box, with_deadline);
  go_to_gate(k);
  kit_crash(k);
  box.world.now += 4000;
  kit_boot(k);
  kit_run(k);
  CHECK_INT(box.world.now, 1005000);
  kit_box_close(&box);
}

static void a_decision_in_time_beats_the_deadline(void) {
  kit_box box;
  kit *k = kit_box_open(&box, with_deadline);
  go_to_gate(k);
  box.world.now += 4999;
  kit_decide(k, "r/ask@1", true, NULL);
  box.world.now += 1;
  k->woken = true;
  kit_run(k); /* the deadline fires in the turn that brings the decision */
  CHECK_STR(kit_gates(&box.world), "r/ask@1 approved");
  CHECK_STR(kit_result(&box.world, "r"), "gate=approved trueanswer null");
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 decided:1 done:1 end");
  kit_box_close(&box);
}

/* -- decided elsewhere, or in another life --------------------------------------------- */

static void a_decision_is_found_after_a_crash(void) {
  kit_box box;
  kit *k = open_at_gate(&box, ask);
  k->die_after = k->commits + 1;
  kit_decide(k, "r/ask@1", true, NULL);
  kit_run(k);
  kit_crash(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1");
  CHECK_STR(kit_gates(&box.world), "r/ask@1 approved");
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 decided:1 done:1 end");
  kit_box_close(&box);
}

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static void another_process_decides(void) {
  kit_box box;
  kit visitor;
  kit *k = open_at_gate(&box, ask);
  kit_open(&visitor, &box.world);
  kit_decide(&visitor, "r/ask@1", true, NULL);
  kit_turn(&visitor);
  kit_crash(&visitor); /* before it could take the run up */
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  tm_engine_notice(k->engine);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

/* The run is busy elsewhere while its gate is decided: it must hear of it all the same. */
static void a_busy_run_hears_of_a_decision(void) {
  kit_box box;
  kit visitor;
  kit *k = kit_box_open(&box, "{'flow': [['fork', [[['gate', 'ask', {'ask': '?'}]], [['llm',"
                              " 'a']]]]]}");
  kit_open(&visitor, &box.world);
  k->reply = hangs;
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "running");
  kit_decide(&visitor, "r/ask@1/0.1", true, NULL);
  kit_turn(&visitor);
  kit_crash(&visitor);
  tm_engine_notice(k->engine);
  kit_finish(k, kit_task_at(k, "a"), KIT_OK);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void whoever_decides_may_take_the_run_up(void) {
  kit_box box;
  kit visitor;
  kit *k = open_at_gate(&box, ask);
  kit_open(&visitor, &box.world);
  kit_decide(&visitor, "r/ask@1", true, NULL);
  kit_run(&visitor);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  tm_engine_notice(k->engine); /* the first one sees that it is too late */
  kit_run(k);
  CHECK(tm_engine_find(k->engine, "r") == NULL);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 decided:1 done:1 end");
  kit_box_close(&box);
}

/* -- nobody asks any more -------------------------------------------------------------- */

static const char *const gate_beside_failure =
    "{'flow': [['fork', [[['gate', 'ask', {'ask': '?'}]], [['llm', 'a'], ['raise', 'bad']]], "
    "{'try':"
    " true}], ['llm', 'b']]}";

static void a_gate_whose_branch_is_gone_is_closed(void) {
  kit_box box;
  kit *k = kit_box_open(&box, gate_beside_failure);
  kit_play(k, "r");
  CHECK_STR(kit_gates(&box.world), "r/ask@1/0.1 closed");
  kit_decide(k, "r/ask@1/0.1", true, NULL);
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "is closed") != NULL);
  kit_box_close(&box);
}

static void a_gate_is_closed_even_if_the_process_dies_first(void) {
  for (int i = 1; i < 8; i++)
    for (int after = 0; after < 2; after++) {
      kit_box box;
      kit *k = kit_box_open(&box, gate_beside_failure);
      *(after ? &k->die_after : &k->die_before) = i;
      kit_play(k, "r");
      kit_crash(k);
      kit_boot(k);
      if (!*kit_state(&box.world, "r"))
        kit_start(k, "r");
      kit_run(k);
      CHECK_STR(kit_state(&box.world, "r"), "done");
      CHECK_STR(kit_gates(&box.world), "r/ask@1/0.1 closed");
      kit_box_close(&box);
    }
}

static void a_diverged_run_keeps_its_gates_open(void) {
  kit_box box;
  kit *k = open_at_gate(&box, "{'flow': [['fork', [[['gate', 'ask', {'ask': '?'}]], [['sleep',"
                              " 100]]]]]}");
  kit_crash(k);
  k->other =
      kit_text(&box.world, "{'flow': [['fork', [[['gate', 'ask', {'ask': '?'}]], [['sleep',"
                           " 101]]]]]}");
  kit_boot(k);
  tm_err err = TM_ERR_INIT;
  tm_engine_resume(k->engine, "r", &err);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "diverged");
  CHECK_STR(kit_gates(&box.world), "r/ask@1/0.1 open");
  kit_box_close(&box);
}

CHECK_SUITE(engine_gate) {
  CHECK_RUN(a_waiting_run_needs_no_process);
  CHECK_RUN(a_run_that_waits_for_its_second_gate_is_left_alone);
  CHECK_RUN(exactly_one_decision_wins);
  CHECK_RUN(a_gate_that_is_not_there_is_not_found);
  CHECK_RUN(a_rejection_is_told_with_its_note);
  CHECK_RUN(an_answer_is_held_to_its_schema);
  CHECK_RUN(a_rejection_needs_no_answer);
  CHECK_RUN(what_happens_at_the_deadline_is_said_by_the_script);
  CHECK_RUN(a_deadline_passes_while_nobody_runs);
  CHECK_RUN(the_deadline_is_the_one_it_was_opened_with);
  CHECK_RUN(a_decision_in_time_beats_the_deadline);
  CHECK_RUN(a_decision_is_found_after_a_crash);
  CHECK_RUN(another_process_decides);
  CHECK_RUN(a_busy_run_hears_of_a_decision);
  CHECK_RUN(whoever_decides_may_take_the_run_up);
  CHECK_RUN(a_gate_whose_branch_is_gone_is_closed);
  CHECK_RUN(a_gate_is_closed_even_if_the_process_dies_first);
  CHECK_RUN(a_diverged_run_keeps_its_gates_open);
}
