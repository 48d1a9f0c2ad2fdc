/* test_engine_backoff.c - a model's call that is put off: a record, a timer, the rest of the time.
 */
#include <stdio.h>

#include "check.h"
#include "engine/change.h"
#include "engine/fsck.h"
#include "engine/park.h"
#include "engine/verify.h"
#include "engine_kit.h"

#define MINUTE 60000

static kit_reply busy_once(kit *k, const kit_task *t) {
  (void)k;
  return t->task->kind == TM_CALL_LLM && !t->task->state ? KIT_LATER : KIT_OK;
}

static kit_reply busy_twice(kit *k, const kit_task *t) {
  (void)k;
  bool model = t->task->kind == TM_CALL_LLM;
  return model && tm_json_int(tm_json_get(t->task->state, "n"), 0) < 2 ? KIT_LATER : KIT_OK;
}

static kit *open_still(kit_box *box, const char *sources) {
  kit *k = kit_box_open(box, sources);
  k->reply = busy_once;
  k->still = true;
  kit_play(k, "r");
  return k;
}

static void pass(kit *k, int64_t ms) {
  k->world->now += ms;
  k->woken = true;
  kit_run(k);
}

static const tm_json *json(kit_world *w, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(text ? tm_json_parse(&v, &w->arena, text, strlen(text), NULL, &err) : -1, 0);
  return v;
}

static void it_waits_as_a_row_and_is_asked_once_more(void) {
  kit_box box;
  kit *k = open_still(&box, "{'flow': [['llm', 'a']]}");
  kit_world *w = &box.world;
  CHECK_STR(kit_state(w, "r"), "waiting");
  CHECK_STR(kit_owner(w, "r"), "");
  CHECK_STR(kit_journal(w, "r"), "start attempt:1 open:1");
  CHECK_INT(k->started, 1);
  CHECK_INT(kit_count(k, "call.backoff"), 1);
  pass(k, MINUTE - 1);
  CHECK_INT(k->started, 1);
  pass(k, 1);
  CHECK_INT(k->started, 2);
  CHECK_STR(kit_state(w, "r"), "done");
  CHECK_STR(kit_journal(w, "r"), "start attempt:1 open:1 attempt:1 done:1 end");
  CHECK_INT(kit_count(k, "call.started"), 1);
  kit_box_close(&box);
}

static void its_reason_says_which_model_and_why_and_until_when(void) {
  kit_box box;
  kit *k = open_still(&box, "{'flow': [['llm', 'a']]}");
  (void)k;
  CHECK_STR(kit_reason(&box.world, "r"),
            "[{\"for\":\"backoff\",\"name\":\"a\",\"place\":\"1\",\"until\":"
            "\"1970-01-01T00:17:40.000Z\",\"model\":\"kit\",\"class\":\"rate_limited\","
            "\"message\":\"too many requests\"}]");
  kit_box_close(&box);
}

static void a_crash_waits_for_the_rest_of_the_time_only(void) {
  kit_box box;
  kit *k = open_still(&box, "{'flow': [['llm', 'a']]}");
  k->world->now += MINUTE / 2;
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(k->started, 0);
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  pass(k, MINUTE / 2 - 1);
  CHECK_INT(k->started, 0);
  pass(k, 1);
  CHECK_INT(k->started, 1);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void what_was_spent_before_is_in_the_result_once(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a'], ['llm', 'b', {'budget': {'usd': 1.5},"
                              " 'try': true}]]}");
  k->reply = busy_twice;
  k->still = true;
  kit_play(k, "r");
  for (int i = 0; i < 2; i++) {
    kit_crash(k);
    kit_boot(k);
    k->reply = busy_twice;
    pass(k, MINUTE);
  }
  kit_world *w = &box.world;
  const tm_json *done = json(w, kit_record(w, "r", "done", "1"));
  CHECK(tm_json_number(tm_json_pointer(done, "/m/usd"), 0) == 1.5);
  CHECK_STR(kit_journal(w, "r"),
            "start attempt:1 open:1 attempt:1 open:1 attempt:1 done:1 fail:2 end");
  const tm_json *end = json(w, kit_record(w, "r", "end", ""));
  CHECK(tm_json_number(tm_json_get(end, "usd"), 0) == 1.5);
  CHECK_INT(tm_json_int(tm_json_get(end, "llm_calls"), 0), 2);
  kit_box_close(&box);
}

static void money_that_is_gone_by_then_is_not_spent_and_what_was_is_counted(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['fork', [[['llm', 'a', {'budget': {'usd': 1},"
                              " 'try': true}]], [['sleep', 1000], ['llm', 'b']]]]]}");
  k->reply = busy_once;
  k->still = true;
  kit_play(k, "r");
  k->reply = NULL;
  pass(k, 1000);
  pass(k, MINUTE);
  const tm_json *fail = json(&box.world, kit_record(&box.world, "r", "fail", "1/0.1"));
  CHECK_STR(tm_json_str(tm_json_pointer(fail, "/e/kind"), NULL), "budget");
  CHECK(tm_json_number(tm_json_pointer(fail, "/m/usd"), 0) == 0.25);
  CHECK_INT(k->started, 2);
  kit_box_close(&box);
}

static void a_parked_run_is_taken_up_at_its_time(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a']]}");
  k->engine->ports.park = true;
  k->reply = busy_once;
  k->still = true;
  kit_play(k, "r");
  CHECK(tm_engine_find(k->engine, "r") == NULL);
  CHECK_INT(tm_park_due(k->engine, "r"), k->world->now + MINUTE);
  pass(k, MINUTE);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_INT(k->started, 2);
  kit_box_close(&box);
}

static void of_two_processes_that_wait_one_asks(void) {
  kit_box box;
  kit *k = open_still(&box, "{'flow': [['llm', 'a']]}"), other;
  kit_open(&other, &box.world); /* has taken the waiting run up as well */
  other.still = true;
  kit_run(&other);
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  box.world.now += MINUTE;
  k->woken = other.woken = true;
  for (bool any = true; any;) {
    any = kit_step(k);
    any = kit_step(&other) || any;
  }
  CHECK_INT(k->started + other.started, 2);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void a_race_and_a_limit_cut_it(void) {
  kit_box box;
  kit *k = open_still(
      &box, "{'flow': [['fork', [[['llm', 'a']], [['sleep', 20000]]], {'race': true}]]}");
  pass(k, 20000);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  pass(k, MINUTE);
  CHECK_INT(k->started, 1);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(k->started, 0);
  kit_box_close(&box);
}

static void a_cancel_cuts_it_also_after_a_crash(void) {
  for (int crash = 0; crash < 2; crash++) {
    kit_box box;
    kit *k = open_still(&box, "{'flow': [['llm', 'a']]}");
    if (crash) {
      kit_crash(k);
      kit_boot(k);
      kit_run(k);
    }
    kit_cancel(k, "r");
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r"), "cancelled");
    pass(k, MINUTE);
    CHECK_INT(k->started, crash ? 0 : 1);
    kit_box_close(&box);
  }
}

static void a_pause_keeps_it_and_what_is_over_by_then_is_not_waited_for(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit *k = open_still(&box, "{'flow': [['llm', 'a']]}");
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_PAUSE, "", "kit", &err), 0);
  kit_run(k);
  pass(k, 2 * MINUTE);
  CHECK_INT(k->started, 1);
  CHECK_INT(tm_engine_resume(k->engine, "r", &err), 1);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_INT(k->started, 2);
  CHECK(!strstr(kit_record(&box.world, "r", "done", "1"), "\"q\":")); /* its OPEN has it */
  kit_box_close(&box);
}

static kit_reply busy_then_refused(kit *k, const kit_task *t) {
  return busy_once(k, t) == KIT_LATER ? KIT_LATER : KIT_REFUSED;
}

static void on_done(void *ctx, const char *id, const tm_err *err) {
  (void)id;
  *(tm_err *)ctx = *err;
}

static void a_call_that_failed_is_retried_from_its_beginning(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a']]}");
  k->reply = busy_then_refused;
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "failed");
  k->still = true;
  k->reply = busy_once;
  tm_buf_reset(tm_map_get(&box.world.traces, "r")); /* the script will be told another story */
  tm_change_retry(k->engine, "r", NULL, "kit", on_done, &err);
  kit_run(k);
  CHECK_STR(err.msg, "");
  CHECK_INT(tm_engine_resume(k->engine, "r", &err), 1);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "waiting"); /* put off anew: nothing was counted on */
  pass(k, MINUTE);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(
      kit_journal(&box.world, "r"),
      "start attempt:1 open:1 attempt:1 fail:1 end retry attempt:1 open:1 attempt:1 done:1 "
      "end");
  kit_box_close(&box);
}

static void a_fork_asks_anew_and_keeps_what_ended(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a'], ['llm', 'b']]}");
  k->reply = busy_once;
  kit_play(k, "r");
  tm_change_fork(k->engine, "r", &(tm_fork){.from = "b", .id = "f"}, on_done, &err);
  kit_run(k);
  CHECK_STR(err.msg, "");
  int before = k->started;
  CHECK_INT(tm_engine_resume(k->engine, "f", &err), 1);
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "f"),
            "start open:1 done:1 attempt:2 open:2 attempt:2 done:2 end");
  CHECK_INT(k->started - before, 2);
  CHECK_STR(kit_result(&box.world, "f"), kit_result(&box.world, "r"));
  kit_box_close(&box);
}

static void nobody_finds_anything_wrong_with_its_journal(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  tm_verdict v;
  tm_json *doc;
  kit *k = open_still(&box, "{'flow': [['llm', 'a'], ['gate', 'ask', {'ask': '?'}]]}");
  for (int i = 0; i < 2; i++) { /* while it waits, and behind it */
    CHECK_INT(tm_fsck(&doc, &box.world.arena, k->engine, NULL, &err), 0);
    CHECK_STR(tm_json_text(&box.world.arena, tm_json_get(doc, "findings"), NULL), "[]");
    CHECK_INT(tm_replay_check(&v, &box.world.arena, k->engine, "r", NULL, &err), 0);
    CHECK(v.equal);
    pass(k, MINUTE);
  }
  kit_box_close(&box);
}

/* -- dying at every moment -------------------------------------------------------------- */

static const char *const line =
    "{'flow': [['llm', 'a', {'was': '$acc'}], ['fork', [[['llm', 'b']], [['sleep', 90000],"
    " ['llm', 'c']]]], ['action', 'pay', {'key': 'p1', 'args': {'of': '$acc'},"
    " 'on_unknown': 'probe'}]]}";

static void open_line(kit_box *box, bool park) {
  kit_box_open(box, line);
  box->kit.reply = busy_twice;
  box->kit.engine->ports.park = park;
}

static void a_crash_at_every_moment_changes_nothing(void) {
  for (int park = 0; park < 2; park++) {
    kit_box box;
    open_line(&box, park);
    kit_start(&box.kit, "r");
    int n = 0;
    while (kit_step(&box.kit))
      n++;
    char want[1024];
    snprintf(want, sizeof want, "%s", kit_result(&box.world, "r"));
    CHECK_STR(kit_state(&box.world, "r"), "done");
    kit_box_close(&box);
    CHECK(n > 30);
    for (int at = 0; at < n; at++) {
      open_line(&box, park);
      kit_start(&box.kit, "r");
      kit_steps(&box.kit, at);
      kit_crash(&box.kit);
      kit_boot(&box.kit);
      box.kit.engine->ports.park = park;
      if (!*kit_state(&box.world, "r"))
        kit_start(&box.kit, "r");
      kit_run(&box.kit);
      CHECK_STR(kit_state(&box.world, "r"), "done");
      CHECK_STR(kit_result(&box.world, "r"), want);
      CHECK_STR(kit_effects(&box.world), "p1");
      kit_box_close(&box);
    }
  }
}

CHECK_SUITE(engine_backoff) {
  CHECK_RUN(it_waits_as_a_row_and_is_asked_once_more);
  CHECK_RUN(its_reason_says_which_model_and_why_and_until_when);
  CHECK_RUN(a_crash_waits_for_the_rest_of_the_time_only);
  CHECK_RUN(what_was_spent_before_is_in_the_result_once);
  CHECK_RUN(money_that_is_gone_by_then_is_not_spent_and_what_was_is_counted);
  CHECK_RUN(a_parked_run_is_taken_up_at_its_time);
  CHECK_RUN(of_two_processes_that_wait_one_asks);
  CHECK_RUN(a_race_and_a_limit_cut_it);
  CHECK_RUN(a_cancel_cuts_it_also_after_a_crash);
  CHECK_RUN(a_pause_keeps_it_and_what_is_over_by_then_is_not_waited_for);
  CHECK_RUN(a_call_that_failed_is_retried_from_its_beginning);
  CHECK_RUN(a_fork_asks_anew_and_keeps_what_ended);
  CHECK_RUN(nobody_finds_anything_wrong_with_its_journal);
  CHECK_RUN(a_crash_at_every_moment_changes_nothing);
}
