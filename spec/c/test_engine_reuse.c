/* test_engine_reuse.c - one question, many who ask: what they are told, and who is asked, when
 * runs end, pause and go in the middle of it.
 */
#include <string.h>

#include "check.h"
#include "engine_kit.h"

#define ASK "{'flow': [['llm', 'a', {'cache': {}}]]}"
#define TWO "{'flow': [['llm', 'b'], ['llm', 'a', {'cache': {}}]]}"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

/* Two runs that ask the same, the first one's question under way. */
static kit *both(kit_box *box) {
  kit *k = kit_box_open(box, ASK);
  k->reply = hangs;
  kit_play(k, "one");
  kit_play(k, "two");
  CHECK_INT(kit_task_count(k), 1);
  CHECK(strstr(k->events.data, "call.started two 1 a"));
  return k;
}

static void give(kit *k, const char *run, tm_order order) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_control_give(k->engine, run, order, "", "ann", &err), 0);
  kit_run(k);
}

static void finish(kit *k, const char *name, kit_reply how) {
  kit_task *t = kit_task_at(k, name);
  REQUIRE(t);
  kit_finish(k, t, how);
}

static void who_follows_is_told_with_the_first(void) {
  kit_box box;
  kit *k = both(&box);
  finish(k, "a", KIT_OK);
  kit_run(k);
  CHECK(strstr(kit_result(&box.world, "one"), "a:"));
  CHECK_STR(kit_result(&box.world, "two"), kit_result(&box.world, "one"));
  CHECK_INT(k->started, 1);
  CHECK_STR(kit_journal(&box.world, "one"), "start attempt:1 done:1 end");
  CHECK_STR(kit_journal(&box.world, "two"), "start done:1 end");
  kit_play(k, "three");
  CHECK_STR(kit_result(&box.world, "three"), kit_result(&box.world, "one"));
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void who_follows_asks_when_the_first_is_ended(void) {
  kit_box box;
  kit *k = both(&box);
  give(k, "one", TM_ORDER_TERMINATE);
  CHECK_STR(kit_state(&box.world, "one"), "cancelled");
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "a", KIT_OK);
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "two"), "start attempt:1 done:1 end");
  CHECK_INT(k->started, 2);
  kit_box_close(&box);
}

static void an_error_of_the_first_is_no_answer_for_others(void) {
  kit_box box;
  kit *k = both(&box);
  finish(k, "a", KIT_REFUSED);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "one"), "failed");
  finish(k, "a", KIT_OK);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_INT(k->started, 2);
  kit_box_close(&box);
}

static void who_follows_may_end_or_pause_before(void) {
  kit_box box;
  kit *k = both(&box);
  kit_play(k, "three");
  give(k, "two", TM_ORDER_CANCEL);
  CHECK_STR(kit_state(&box.world, "two"), "cancelled");
  give(k, "three", TM_ORDER_PAUSE);
  CHECK_STR(kit_state(&box.world, "three"), "waiting");
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "a", KIT_OK);
  kit_run(k);
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_engine_resume(k->engine, "three", &err), 1);
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "three"), kit_result(&box.world, "one"));
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void an_answer_on_its_way_to_the_disk_is_found(void) {
  kit_box box;
  kit *k = kit_box_open(&box, ASK);
  k->reply = hangs;
  kit_play(k, "one");
  box.world.sources = kit_text(&box.world, TWO);
  kit_play(k, "two");
  finish(k, "b", KIT_OK);
  kit_turn(k);
  finish(k, "a", KIT_OK);
  kit_hear(k); /* of b: the answer to a stands in the turn that is being filled */
  kit_turn(k);
  CHECK_INT(kit_task_count(k), 0);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_INT(k->started, 2);
  kit_box_close(&box);
}

static void a_process_ends_in_the_middle_of_it(void) {
  kit_box box;
  kit *k = both(&box);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "a", KIT_OK);
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "two"), kit_result(&box.world, "one"));
  kit_box_close(&box);
  both(&box);
  kit_box_close(&box); /* in peace, with somebody waiting */
}

static kit_reply busy_once(kit *k, const kit_task *t) {
  (void)k;
  return t->task->state ? KIT_OK : KIT_LATER;
}

/* Each is put off by itself, the first one's try answers both, and each keeps what it spent. */
static void who_follows_one_that_is_put_off_is_put_off_itself(void) {
  kit_box box;
  kit *k = kit_box_open(&box, ASK);
  k->reply = busy_once;
  k->still = true;
  kit_start(k, "one");
  kit_start(k, "two");
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "one"), "start attempt:1 open:1");
  CHECK_STR(kit_journal(&box.world, "two"), "start attempt:1 open:1");
  CHECK_STR(kit_state(&box.world, "two"), "waiting");
  box.world.now += 60000;
  k->woken = true;
  kit_run(k);
  CHECK_INT(k->started, 3);
  CHECK_STR(kit_journal(&box.world, "one"), "start attempt:1 open:1 attempt:1 done:1 end");
  CHECK_STR(kit_journal(&box.world, "two"), "start attempt:1 open:1 done:1 end");
  CHECK_STR(kit_result(&box.world, "two"), kit_result(&box.world, "one"));
  const char *done = kit_record(&box.world, "two", "done", "1");
  CHECK(strstr(done, "\"hit\":\"flight\""));
  CHECK(strstr(done, "\"usd\":0.25"));
  kit_box_close(&box);
}

static void a_question_with_tools_is_everybodys_own(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a', {'cache': {}, 'tools': [{}]}]]}");
  k->reply = hangs;
  kit_play(k, "one");
  kit_play(k, "two");
  CHECK_INT(kit_task_count(k), 2);
  finish(k, "a", KIT_OK);
  finish(k, "a", KIT_OK);
  kit_run(k);
  kit_start(k, "three");
  kit_run(k);
  CHECK_INT(kit_task_count(k), 1);
  kit_box_close(&box);
}

static void who_follows_is_no_model_call_of_the_budget(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['fork', [[['llm', 'a', {'cache': {}}]],"
                              " [['llm', 'a', {'cache': {}}]], [['llm', 'b', {'budget':"
                              " {'llm_calls': 2}}]]]], ['llm', 'c', {'budget': {'llm_calls':"
                              " 2}, 'try': true}]]}");
  kit_play(k, "one");
  CHECK_INT(k->started, 2);
  CHECK(strstr(kit_result(&box.world, "one"), "llm=!budget"));
  kit_box_close(&box);
}

/* -- under a budget of the day --------------------------------------------------------- */

static size_t one_budget(void *ctx, const char *workflow, const char *model,
                         tm_scope out[TM_SCOPES]) {
  (void)ctx, (void)workflow, (void)model;
  out[0] = (tm_scope){.name = "all", .about = "all runs", .usd = 1.5, .llm_calls = 9};
  return 1;
}

static double two_usd(void *ctx, const tm_json *request) {
  (void)ctx, (void)request;
  return 2;
}

static void set_budget(kit *k) {
  k->engine->ports.scopes = one_budget;
  k->engine->ports.cost = two_usd;
}

/* "calls held_calls held_usd" of the day on which the kit's clock stands. */
static const char *account(kit_box *box, kit *k) {
  static char text[64];
  char now[TM_CLOCK_TEXT];
  tm_store *disk = box->world.disk;
  tm_spend_row row;
  tm_err err = TM_ERR_INIT;
  tm_clock_format(tm_engine_now(k->engine), now);
  now[10] = '\0';
  CHECK_INT(disk->vt->account(disk, "all", now, &row, &err), 0);
  snprintf(text, sizeof text, "%d %d %g", (int)row.calls, (int)row.held_calls,
           (double)row.held_nano / 1e9);
  return text;
}

static void what_the_first_held_is_free_when_it_is_ended(void) {
  kit_box box;
  kit *k = kit_box_open(&box, ASK);
  set_budget(k);
  k->reply = hangs;
  kit_play(k, "one");
  kit_play(k, "two");
  kit_play(k, "three");
  CHECK_INT(kit_task_count(k), 1);
  CHECK_STR(account(&box, k), "0 1 2");
  give(k, "one", TM_ORDER_TERMINATE);
  CHECK_STR(kit_state(&box.world, "one"), "cancelled");
  CHECK_INT(kit_task_count(k), 1); /* one of those who followed asks, for both */
  CHECK_STR(account(&box, k), "1 1 2");
  finish(k, "a", KIT_OK);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_STR(kit_result(&box.world, "three"), kit_result(&box.world, "two"));
  CHECK_STR(account(&box, k), "2 0 0");
  kit_box_close(&box);
}

static void a_process_that_dies_leaks_nothing_of_it(void) {
  kit_box box;
  kit *k = kit_box_open(&box, ASK);
  k->reply = hangs;
  set_budget(k);
  kit_play(k, "one");
  kit_play(k, "two");
  kit_crash(k);
  kit_boot(k);
  set_budget(k);
  kit_run(k);
  CHECK_INT(kit_task_count(k), 1);
  CHECK_STR(account(&box, k), "1 1 2"); /* the first one's was asked, whoever leads now */
  finish(k, "a", KIT_OK);
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "two"), kit_result(&box.world, "one"));
  CHECK_STR(account(&box, k), "2 0 0");
  kit_box_close(&box);
}

CHECK_SUITE(engine_reuse) {
  CHECK_RUN(what_the_first_held_is_free_when_it_is_ended);
  CHECK_RUN(a_process_that_dies_leaks_nothing_of_it);
  CHECK_RUN(who_follows_is_told_with_the_first);
  CHECK_RUN(who_follows_asks_when_the_first_is_ended);
  CHECK_RUN(an_error_of_the_first_is_no_answer_for_others);
  CHECK_RUN(who_follows_may_end_or_pause_before);
  CHECK_RUN(an_answer_on_its_way_to_the_disk_is_found);
  CHECK_RUN(a_process_ends_in_the_middle_of_it);
  CHECK_RUN(who_follows_one_that_is_put_off_is_put_off_itself);
  CHECK_RUN(a_question_with_tools_is_everybodys_own);
  CHECK_RUN(who_follows_is_no_model_call_of_the_budget);
}
