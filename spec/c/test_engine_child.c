/* test_engine_child.c - runs that runs start: one transaction with the asking, one end told
 * once.
 */
#include <string.h>

#include "check.h"
#include "engine/signal.h"
#include "engine_kit.h"

static const char *const calls =
    "{'flow': [['call', 'sub', {'input': {'n': 1}}], ['llm', 'after']],"
    " 'sub': [['llm', 'inside']]}";

static int on_row(void *ctx, const tm_run_row *r) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s<%s", out->len ? " " : "", r->id, r->parent ? r->parent : "");
  return 0;
}

/* "id<parent …", oldest last. */
static const char *runs(kit *k) {
  tm_buf out = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  tm_run_filter all = {.limit = 0};
  tm_store *d = k->world->disk;
  CHECK_INT(d->vt->runs(d, &all, on_row, &out, &err), 0);
  const char *text = tm_arena_strdup(&k->world->arena, tm_buf_str(&out));
  tm_buf_free(&out);
  return text;
}

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

/* -- calling ---------------------------------------------------------------------------- */

static void a_call_gives_the_result_of_its_child(void) {
  kit_box box;
  kit *k = kit_box_open(&box, calls);
  kit_play(k, "r");
  CHECK_STR(runs(k), "r:1<r r<");
  CHECK_STR(kit_state(&box.world, "r:1"), "done");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 done:1 attempt:2 done:2 end");
  CHECK_STR(kit_journal(&box.world, "r:1"), "start attempt:1 done:1 end");
  CHECK(strstr(kit_body(&box.world, "r:1", 0), "\"input\":{\"n\":1}"));
  CHECK(strstr(kit_body(&box.world, "r:1", 0), "\"parent\":\"r\",\"depth\":1"));
  CHECK(strstr(kit_result(&box.world, "r"), "call={\"told\":"));
  kit_box_close(&box);
}

static void a_parent_waits_as_a_row(void) {
  kit_box box;
  kit *k = kit_box_open(&box, calls);
  k->reply = hangs;
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  CHECK_STR(kit_owner(&box.world, "r"), "");
  CHECK_STR(kit_reason(&box.world, "r"),
            "[{\"for\":\"call\",\"name\":\"sub\",\"place\":\"1\",\"run\":\"r:1\"}]");
  kit_finish(k, kit_task_at(k, "inside"), KIT_OK);
  kit_run(k);
  kit_finish(k, kit_task_at(k, "after"), KIT_OK);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void a_child_is_of_its_parents_sources(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['gate', 'g', {'ask': '?'}], ['call', 'sub']],"
                              " 'sub': [['llm', 'old']]}");
  kit_play(k, "r");
  box.world.sources = kit_text(&box.world, "{'flow': [], 'sub': [['llm', 'new']]}");
  kit_decide(k, "r/g@1", true, NULL);
  kit_run(k);
  CHECK(strstr(kit_result(&box.world, "r"), "old"));
  kit_box_close(&box);
}

static void a_childs_error_is_raised_in_its_parent(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['call', 'sub', {'try': true}], ['call', 'none', {'try':"
                         " true}]], 'sub': [['raise', 'bad']]}");
  kit_play(k, "r");
  CHECK_STR(kit_result(&box.world, "r"), "call=!child;call=!child");
  const char *fail = kit_record(&box.world, "r", "fail", "1");
  CHECK(strstr(fail, "run r:1 of workflow \\\"sub\\\" failed: raised by the script"));
  CHECK(strstr(fail, "\"error\":{\"kind\":\"bad\""));
  CHECK(strstr(kit_record(&box.world, "r", "fail", "2"), "there is no workflow \\\"none\\\""));
  CHECK_STR(runs(k), "r:1<r r<");
  kit_box_close(&box);
}

static void branches_have_children_side_by_side(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['fork', [[['call', 'sub']], [['call', 'sub']]]]],"
                              " 'sub': [['sleep', 5000], ['random', '', {'m': 1, 'n': 1}]]}");
  kit_play(k, "r");
  CHECK_STR(runs(k), "r:1-1.1<r r:1-0.1<r r<");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_INT(box.world.now, 1005000);
  kit_box_close(&box);
}

static void a_started_child_is_nobodys_to_wait_for(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['start', 'sub', {'input': 3}]],"
                              " 'sub': [['gate', 'g', {'ask': '?'}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_result(&box.world, "r"), "start=\"r:1\"");
  CHECK_STR(kit_state(&box.world, "r:1"), "waiting");
  CHECK_STR(kit_journal(&box.world, "r"), "start done:1 end");
  kit_decide(k, "r:1/g@1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r:1"), "done");
  kit_box_close(&box);
}

static void ids_stay_short(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['call', 'flow2']], 'flow2': [['call', 'flow3']],"
                              " 'flow3': [['now']]}");
  const char *id = "a-run-with-a-name-of-its-own-that-is-as-long-as-it-may-be-63-c";
  kit_play(k, id);
  CHECK_STR(kit_state(&box.world, id), "done");
  CHECK_INT(strlen(id), 62);
  CHECK(strstr(runs(k), ">") == NULL && strlen(runs(k)) < 5 * 64);
  CHECK(strstr(runs(k), "a-run-with-a-name-of-its:"));
  kit_box_close(&box);
}

static void a_workflow_that_calls_itself_for_ever_is_stopped(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['call', 'flow']]}");
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "failed");
  CHECK(strstr(kit_reason(&box.world, "r"), "nested 64 deep"));
  kit_box_close(&box);
}

static void a_call_ends_at_its_timeout_and_its_child_with_it(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['call', 'sub', {'timeout_ms': 5000, 'try': true}]],"
                              " 'sub': [['gate', 'g', {'ask': '?'}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_result(&box.world, "r"), "call=!timeout");
  CHECK_INT(box.world.now, 1005000);
  CHECK_STR(kit_state(&box.world, "r:1"), "cancelled");
  CHECK_STR(kit_gates(&box.world), "r:1/g@1 closed");
  kit_box_close(&box);
}

/* -- crashes ---------------------------------------------------------------------------- */

/* Dies before and after each commit: the end is always the same, and each child is one. */
static void all_is_the_same_whatever_commit_is_the_last(void) {
  static const char *const sources =
      "{'flow': [['start', 'sub'], ['fork', [[['call', 'sub']], [['call', 'mid']]]], ['llm', "
      "'e']],"
      " 'mid': [['call', 'sub'], ['llm', 'm']], 'sub': [['llm', 'inside'], ['sleep', 5]]}";
  for (int die = 2; die < 60; die++) {
    kit_box box;
    kit *k = kit_box_open(&box, sources);
    if (die % 2)
      k->die_before = die / 2;
    else
      k->die_after = die / 2;
    kit_play(k, "r");
    kit_crash(k);
    kit_boot(k);
    if (!*kit_state(&box.world, "r"))
      kit_start(k, "r");
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r"), "done");
    CHECK_STR(kit_state(&box.world, "r:1"), "done");
    CHECK_STR(kit_state(&box.world, "r:2-0.1"), "done");
    CHECK_STR(kit_state(&box.world, "r:2-1.1:1"), "done");
    kit_box_close(&box);
  }
}

/* Two processes on one disk: the child ends in the other one. */
static void a_child_that_ends_elsewhere_wakes_its_parent(void) {
  kit_world w;
  kit one, two;
  kit_world_open(&w, "memory:",
                 "{'flow': [['call', 'sub'], ['llm', 'after']],"
                 " 'sub': [['gate', 'g', {'ask': '?'}]]}");
  kit_open(&one, &w);
  kit_play(&one, "r");
  kit_crash(&one); /* parent and child are rows now */
  kit_open(&two, &w);
  kit_decide(&two, "r:1/g@1", true, NULL);
  kit_run(&two);
  CHECK_STR(kit_state(&w, "r:1"), "done");
  CHECK_STR(kit_state(&w, "r"), "done");
  kit_world_close(&w);
}

/* -- cancelling ------------------------------------------------------------------------- */

static void a_cancel_goes_down_to_the_children(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['start', 'sub'], ['call', 'mid']], 'mid': [['call',"
                              " 'sub']], 'sub': [['gate', 'g', {'ask': '?'}]]}");
  kit_play(k, "r");
  CHECK_STR(runs(k), "r:2:1<r:2 r:2<r r:1<r r<");
  kit_cancel(k, "r");
  kit_run(k);
  static const char *const all[] = {"r", "r:1", "r:2", "r:2:1"};
  for (int i = 0; i < 4; i++) {
    CHECK_STR(kit_state(&box.world, all[i]), "cancelled");
    const char *story = kit_journal(&box.world, all[i]), *cancel = strstr(story, "cancel");
    CHECK(cancel && !strstr(cancel + 1, "cancel")); /* once */
  }
  kit_box_close(&box);
}

/* The process dies behind each of its commits: the children hear of it in the next one. */
static void a_cancel_goes_down_whenever_the_process_dies(void) {
  bool over = false;
  for (int n = 1; !over; n++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': [['start', 'sub'], ['call', 'sub']],"
                                " 'sub': [['gate', 'g', {'ask': '?'}]]}");
    kit_play(k, "r");
    kit_crash(k); /* the children are rows now */
    kit_boot(k);
    k->die_after = k->commits + n;
    kit_cancel(k, "r");
    kit_run(k);
    over = k->commits < k->die_after;
    bool asked = kit_record(&box.world, "r", "cancel", "") != NULL;
    kit_crash(k);
    k->die_after = 0;
    kit_boot(k);
    kit_run(k);
    static const char *const all[] = {"r", "r:1", "r:2"};
    for (int i = 0; asked && i < 3; i++)
      CHECK_STR(kit_state(&box.world, all[i]), "cancelled");
    kit_box_close(&box);
  }
}

static void a_child_that_lost_its_race_is_cancelled(void) {
  for (int dies = 0; dies < 2; dies++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': [['fork', [[['llm', 'first']], [['call', 'sub']]],"
                                " {'race': true}], ['gate', 'end', {'ask': '?'}]],"
                                " 'sub': [['gate', 'g', {'ask': '?'}]]}");
    k->reply = hangs;
    kit_play(k, "r");
    CHECK_STR(kit_state(&box.world, "r:1-1.1"), "waiting");
    if (dies)
      k->die_after = k->commits + 1;
    kit_finish(k, kit_task_at(k, "first"), KIT_OK);
    kit_run(k);
    if (dies) {
      kit_crash(k);
      kit_boot(k);
      kit_run(k);
    }
    CHECK_STR(kit_state(&box.world, "r"), "waiting");
    CHECK_STR(kit_state(&box.world, "r:1-1.1"), "cancelled");
    kit_box_close(&box);
  }
}

/* -- going on as another ------------------------------------------------------------------ */

static void a_run_goes_on_as_a_fresh_one(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['wait', 'go'], ['wait', 'go', {'timeout_ms': 900,"
                              " 'try': true}], ['continue', '', {'input': {'n': 2}}]],"
                              " 'events': {'go': {}}}");
  tm_json *v = tm_json_new_int(&box.world.arena, 7);
  kit_play(k, "r");
  k->still = true;
  tm_engine_signal(k->engine, "r", "go", v, "one", NULL, NULL);
  kit_run(k);
  k->still = false;
  while (strcmp(kit_state(&box.world, "r"), "done") != 0 && kit_step(k))
    ;
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 done:1 open:2 fail:2 open:3 end");
  CHECK_STR(kit_reason(&box.world, "r"), "{\"continued\":\"r~2\"}");
  CHECK_STR(kit_state(&box.world, "r~2"), "waiting");
  CHECK(strstr(kit_body(&box.world, "r~2", 0), "\"input\":{\"n\":2}"));
  tm_engine_signal(k->engine, "r", "go", v, "two", NULL, NULL); /* told where it goes on */
  tm_engine_signal(k->engine, "r", "go", v, "one", NULL, NULL); /* r has had that one */
  while (!*kit_state(&box.world, "r~3") && kit_step(k))
    ;
  CHECK_STR(kit_state(&box.world, "r~2"), "done");
  kit_box_close(&box);
}

static void what_nobody_waited_for_moves_on(void) {
  for (int die = 0; die < 14; die++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': [['wait', 'go'], ['continue', '', {'input': 1}]],"
                                " 'events': {'go': {}}}");
    tm_json *v = tm_json_new_int(&box.world.arena, 7);
    kit_play(k, "r");
    tm_engine_signal(k->engine, "r", "go", v, "one", NULL, NULL);
    tm_engine_signal(k->engine, "r", "go", v, "two", NULL, NULL);
    kit_turn(k), kit_hear(k); /* both are on the disk */
    k->die_after = k->commits + 1 + die / 2;
    if (die % 2)
      k->die_before = k->die_after, k->die_after = 0;
    kit_run(k);
    kit_crash(k);
    kit_boot(k);
    kit_run(k);
    CHECK_STR(runs(k), "r~3< r~2< r<");
    CHECK_STR(kit_state(&box.world, "r~2"), "done");
    CHECK_STR(kit_state(&box.world, "r~3"), "waiting");
    kit_box_close(&box);
  }
}

static void a_parent_waits_for_the_last_of_the_chain(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['call', 'sub']], 'sub': [['wait', 'go', {'timeout_ms':"
                         " 5}], ['now']], 'events': {'go': {}}}");
  kit_play(k, "p");
  CHECK_STR(kit_state(&box.world, "p"), "failed"); /* the wait timed out in the child */
  kit_box_close(&box);
  k = kit_box_open(&box, "{'flow': [['call', 'sub', {'input': 1}]],"
                         " 'sub': [['wait', 'go'], ['continue', '', {'input': 2}]],"
                         " 'events': {'go': {}}}");
  tm_json *v = tm_json_new_int(&box.world.arena, 7);
  kit_play(k, "p");
  tm_engine_signal(k->engine, "p:1", "go", v, "one", NULL, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "p:1"), "done");
  CHECK_STR(kit_state(&box.world, "p"), "waiting");
  CHECK_STR(kit_state(&box.world, "p:1~2"), "waiting");
  kit_cancel(k, "p");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "p:1~2"), "cancelled");
  kit_box_close(&box);
}

CHECK_SUITE(engine_child) {
  CHECK_RUN(a_call_gives_the_result_of_its_child);
  CHECK_RUN(a_parent_waits_as_a_row);
  CHECK_RUN(a_child_is_of_its_parents_sources);
  CHECK_RUN(a_childs_error_is_raised_in_its_parent);
  CHECK_RUN(branches_have_children_side_by_side);
  CHECK_RUN(a_started_child_is_nobodys_to_wait_for);
  CHECK_RUN(ids_stay_short);
  CHECK_RUN(a_workflow_that_calls_itself_for_ever_is_stopped);
  CHECK_RUN(a_call_ends_at_its_timeout_and_its_child_with_it);
  CHECK_RUN(all_is_the_same_whatever_commit_is_the_last);
  CHECK_RUN(a_child_that_ends_elsewhere_wakes_its_parent);
  CHECK_RUN(a_cancel_goes_down_to_the_children);
  CHECK_RUN(a_cancel_goes_down_whenever_the_process_dies);
  CHECK_RUN(a_child_that_lost_its_race_is_cancelled);
  CHECK_RUN(a_run_goes_on_as_a_fresh_one);
  CHECK_RUN(what_nobody_waited_for_moves_on);
  CHECK_RUN(a_parent_waits_for_the_last_of_the_chain);
}
