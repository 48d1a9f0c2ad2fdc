/* test_engine.c - the laws of journal.h, each with a case that fails when it is broken. */
#include "check.h"
#include "engine_kit.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

/* A run whose tasks the test finishes. */
static kit *open_by_hand(kit_box *box, const char *sources) {
  kit *k = kit_box_open(box, sources);
  k->reply = hangs;
  return k;
}

static void finish(kit *k, const char *name) {
  kit_task *t = kit_task_at(k, name);
  CHECK(t != NULL);
  if (t)
    kit_finish(k, t, KIT_OK);
}

/* -- limits ---------------------------------------------------------------------------- */

static void a_journal_that_is_too_long_stops_its_run_and_sends_nothing_more(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a'], ['llm', 'b'], ['llm', 'c']]}");
  k->records_max = 5; /* start, and two calls of two records each */
  kit_crash(k);
  kit_boot(k);
  kit_start(k, "r");
  kit_run(k);
  CHECK_INT(k->started, 2);
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1 attempt:2 done:2 end");
  CHECK_STR(kit_state(&box.world, "r"), "failed");
  CHECK(strstr(kit_reason(&box.world, "r"), "has 5 records") &&
        strstr(kit_reason(&box.world, "r"), "mill.continue_as"));
  kit_box_close(&box);
}

/* -- law 1 ----------------------------------------------------------------------------- */

static void law_1_a_call_starts_after_the_records_it_rests_on(void) {
  kit_box box;
  kit *k = open_by_hand(&box, "{'flow': [['now'], ['llm', 'a', {'at': '$now'}]]}");
  kit_start(k, "r");
  CHECK(kit_turn(k) && kit_hear(k)); /* the start */
  CHECK(kit_turn(k));
  CHECK_STR(kit_journal(&box.world, "r"), "start note:1");
  CHECK_INT(k->started, 0);
  CHECK(kit_hear(k));
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void law_1_a_result_is_told_after_its_commit(void) {
  kit_box box;
  kit *k = open_by_hand(&box, "{'flow': [['llm', 'a'], ['log', '', {'m': 1}]]}");
  kit_play(k, "r");
  finish(k, "a");
  kit_turn(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1");
  kit_turn(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1");
  CHECK_INT(kit_count(k, "call.done"), 0);
  kit_hear(k);
  kit_run(k);
  CHECK_INT(kit_count(k, "call.done"), 1);
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1 note:2 end");
  kit_box_close(&box);
}

static void law_1_what_is_not_committed_is_never_told(void) {
  kit_box box;
  kit *k = open_by_hand(&box, "{'flow': [['llm', 'a'], ['log', '', {'m': 1}]]}");
  kit_play(k, "r");
  k->die_before = k->commits + 1;
  finish(k, "a");
  kit_run(k);
  CHECK(k->dead);
  kit_crash(k);
  CHECK_INT(kit_count(k, "call.done") + kit_count(k, "log"), 0);
  CHECK_STR(kit_journal(&box.world, "r"), "start");
  kit_boot(k);
  kit_run(k);
  finish(k, "a"); /* asked again: nobody knew of the answer */
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void law_1_the_records_of_a_turn_are_one_transaction(void) {
  kit_box box;
  kit *k = open_by_hand(&box, "{'flow': [['fork', [[['llm', 'a']], [['llm', 'b']]]]]}");
  kit_play(k, "r");
  int before = k->commits;
  finish(k, "a");
  finish(k, "b");
  kit_turn(k);
  CHECK_INT(k->commits - before, 1);
  CHECK_STR(kit_journal(&box.world, "r"),
            "start attempt:1/0.1 done:1/0.1 attempt:1/1.1 done:1/1.1");
  kit_box_close(&box);
}

static void law_1_a_start_is_told_when_it_is_durable(void) {
  kit_box box;
  kit *k = open_by_hand(&box, "{'flow': []}");
  kit_start(k, "r");
  kit_turn(k);
  CHECK(!k->last_told);
  kit_hear(k);
  CHECK(k->last_told);
  CHECK_INT(k->last.code, TM_OK);
  kit_box_close(&box);
}

/* -- law 2 ----------------------------------------------------------------------------- */

static const char *const two_branches =
    "{'flow': [['log', '', {}], ['fork', [[['llm', 'a'], ['llm', 'c']],"
    " [['llm', 'b'], ['fork', [[['random']]]], ['llm', 'd']]]], ['llm', 'e']]}";

/* What the records say of the calls: places and identities, without their order. */
static void play_in_order(char out[512], const char *order) {
  static const char *const places[] = {"2/0.1", "2/0.2", "2/1.1", "2/1.3", "3"};
  kit_box box;
  kit *k = open_by_hand(&box, two_branches);
  tm_buf text = TM_BUF_INIT;
  kit_play(k, "r");
  for (const char *c = order; *c; c++) {
    finish(k, (const char[]){*c, 0});
    kit_run(k);
  }
  CHECK_STR(kit_state(&box.world, "r"), "done");
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    const char *body = kit_record(&box.world, "r", "done", places[i]);
    tm_buf_printf(&text, "%s %.50s\n", places[i], body ? body : "-");
  }
  CHECK(kit_record(&box.world, "r", "note", "2/1.2/0.1") != NULL);
  snprintf(out, 512, "%s", tm_buf_str(&text));
  tm_buf_free(&text);
  kit_box_close(&box);
}

static void law_2_a_place_is_no_arrival_order(void) {
  char one[512], other[512];
  play_in_order(one, "acbde");
  play_in_order(other, "bdace");
  CHECK_STR(one, other);
  CHECK(strstr(one, "2/1.3 {\"k\":\"llm\",\"i\":\"") != NULL);
}

static void law_2_an_identity_is_the_hash_of_the_canonical_request(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'u', {'a': 1, 'b': 2}], ['llm', 'u', {'b': 2,"
                              " 'a': 1}], ['llm', 'u', {'a': 1, 'b': 3}]]}");
  kit_play(k, "r");
  const char *one = kit_record(&box.world, "r", "done", "1");
  const char *two = kit_record(&box.world, "r", "done", "2");
  const char *three = kit_record(&box.world, "r", "done", "3");
  REQUIRE(one && two && three);
  CHECK(strncmp(one, two, 50) == 0);
  CHECK(strncmp(one, three, 50) != 0);
  kit_box_close(&box);
}

/* -- law 3 ----------------------------------------------------------------------------- */

static const char *const story =
    "{'flow': [['now'], ['llm', 'a', {'x': 1}], ['fork', [[['sleep', 9000]], [['llm', 'b']]]],"
    " ['gate', 'g', {'ask': '?'}]]}";

static kit_reply b_hangs(kit *k, const kit_task *t) {
  (void)k;
  return strcmp(t->name, "b") == 0 ? KIT_HANGS : KIT_OK;
}

/* The run has come to `story`'s sleep and its model b; then it is taken up with another script.
 */
static kit *take_up_with(kit_box *box, const char *other, tm_buf *before) {
  kit *k = kit_box_open(box, story);
  k->reply = b_hangs;
  kit_start(k, "r");
  while (!kit_task_at(k, "b") && kit_step(k))
    ;
  kit_crash(k);
  tm_buf_puts(before, kit_journal(&box->world, "r"));
  k->other = kit_text(&box->world, other);
  kit_boot(k);
  kit_run(k);
  return k;
}

static void diverges(const char *other, const char *place, const char *says) {
  kit_box box;
  tm_buf before = TM_BUF_INIT;
  kit *k = take_up_with(&box, other, &before);
  CHECK_STR(kit_state(&box.world, "r"), "diverged");
  CHECK_STR(kit_journal(&box.world, "r"), tm_buf_str(&before)); /* nothing is overwritten */
  CHECK_INT(k->started, 0);                                     /* nothing is sent */
  CHECK_STR(kit_owner(&box.world, "r"), "");
  CHECK_INT(kit_count(k, "run.diverged"), 1);
  const char *reason = kit_reason(&box.world, "r");
  char at[32];
  snprintf(at, sizeof at, "diverged at place %s: ", place);
  if (!strstr(reason, at) || !strstr(reason, says))
    check_fail(__FILE__, __LINE__, "%s\n    says %s\n    want %s ... %s", other, reason, at,
               says);
  tm_buf_free(&before);
  kit_box_close(&box);
}

static void law_3_same_place_other_identity_diverges(void) {
  diverges("{'flow': [['now'], ['llm', 'a', {'x': 2}]]}", "2", "flow:2 asks for llm");
  diverges("{'flow': [['now'], ['llm', 'z', {'x': 1}]]}", "2", "asked for at flow:2");
  diverges("{'flow': [['now'], ['sleep', 10]]}", "2", "asks for sleep");
  diverges("{'flow': [['random'], ['llm', 'a', {'x': 1}]]}", "1", "the journal has now");
}

static void law_3_a_call_more_or_less_diverges(void) {
  diverges("{'flow': [['llm', 'a', {'x': 1}], ['now']]}", "1", "asks for llm \\\"a\\\"");
  diverges("{'flow': [['now'], ['llm', 'a', {'x': 1}], ['gate', 'g', {'ask': '?'}]]}", "3/0.1",
           "no longer asks for");
  diverges("{'flow': [['now']]}", "2", "the script");
  diverges("{'flow': [['now'], ['llm', 'a', {'x': 1}], ['fork', [[['sleep', 8000]], [['llm',"
           " 'b']]]]]}",
           "3/0.1", "{\\\"ms\\\":9000}");
}

static void law_3_what_comes_after_the_frontier_may_differ(void) {
  kit_box box;
  tm_buf before = TM_BUF_INIT;
  kit *k =
      take_up_with(&box,
                   "{'flow': [['now'], ['llm', 'a', {'x': 1}], ['fork', [[['sleep', 9000]],"
                   " [['llm', 'b']]]], ['llm', 'other']]}",
                   &before);
  finish(k, "b");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  tm_buf_free(&before);
  kit_box_close(&box);
}

static void law_3_a_log_line_may_change(void) {
  kit_box box;
  kit *k = open_by_hand(&box, "{'flow': [['log', '', {'m': 'old'}], ['llm', 'a']]}");
  kit_play(k, "r");
  kit_crash(k);
  k->other = kit_text(&box.world, "{'flow': [['log', '', {'m': 'new'}], ['llm', 'a']]}");
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "running");
  kit_box_close(&box);
}

static void law_3_a_note_is_held_to_its_own_record(void) {
  kit_box box;
  kit *k =
      open_by_hand(&box, "{'flow': [['llm', 'a', {'x': 1}], ['env', 'COLOUR'], ['llm', 'b']]}");
  kit_play(k, "r");
  finish(k, "a");
  kit_run(k);
  kit_crash(k);
  k->other = kit_text(&box.world, "{'flow': [['llm', 'a', {'x': 1}], ['env', 'SIZE']]}");
  kit_boot(k);
  kit_run(k);
  const char *reason = kit_reason(&box.world, "r");
  CHECK_STR(kit_state(&box.world, "r"), "diverged");
  CHECK(strstr(reason, "asks for env \\\"SIZE\\\"") != NULL);
  CHECK(strstr(reason, "\\\"x\\\":1") == NULL); /* the request of the call before */
  CHECK_INT(kit_task_count(k), 0);
  kit_box_close(&box);
}

/* -- law 4 ----------------------------------------------------------------------------- */

static void law_4_the_intent_is_committed_before_the_effect(void) {
  kit_box box;
  kit *k =
      open_by_hand(&box, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 3}}]]}");
  kit_start(k, "r");
  kit_turn(k), kit_hear(k);
  kit_turn(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1");
  const char *open = kit_record(&box.world, "r", "open", "1");
  REQUIRE(open != NULL);
  CHECK(strstr(open, "\"key\":\"k1\",\"epoch\":1}") != NULL);
  CHECK_INT(k->started, 0);
  kit_hear(k);
  kit_turn(k);
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void law_4_an_intent_that_is_lost_had_no_effect(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}}]]}");
  k->die_before = 2;
  kit_play(k, "r");
  kit_crash(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start");
  CHECK_STR(kit_effects(&box.world), "");
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_effects(&box.world), "k1");
  CHECK(strstr(kit_record(&box.world, "r", "open", "1"), "\"epoch\":2") != NULL);
  kit_box_close(&box);
}

/* -- law 5 ----------------------------------------------------------------------------- */

static void law_5_a_run_goes_on_with_the_sources_it_began_with(void) {
  kit_box box;
  kit *k = open_by_hand(&box, "{'flow': [['llm', 'a'], ['log', '', {}]]}");
  kit_play(k, "old");
  kit_crash(k);
  box.world.sources = kit_text(&box.world, "{'flow': [['llm', 'new'], ['now'], ['now']]}");
  kit_boot(k);
  kit_run(k);
  finish(k, "a");
  kit_play(k, "new");
  finish(k, "new");
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "old"), "start attempt:1 done:1 note:2 end");
  CHECK_STR(kit_journal(&box.world, "new"), "start attempt:1 done:1 note:2 note:3 end");
  kit_box_close(&box);
}

/* -- law 6 ----------------------------------------------------------------------------- */

static void law_6_a_replay_does_nothing_and_costs_nothing(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['now'], ['log', '', {}], ['env', 'COLOUR'], ['llm', 'a'],"
                         " ['action', 'pay', {'key': 'p1', 'args': {}, 'on_unknown': 'probe'}],"
                         " ['fetch', 'look'], ['sleep', 100], ['gate', 'g', {'ask': '?'}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  int events = kit_count(k, "");
  const char *journal = kit_journal(&box.world, "r");
  int64_t now = box.world.now;
  for (int life = 0; life < 3; life++) {
    kit_crash(k);
    kit_boot(k);
    tm_err err = TM_ERR_INIT;
    CHECK_INT(tm_engine_resume(k->engine, "r", &err), 1);
    kit_run(k);
    CHECK_INT(k->started, 0);
    CHECK_INT(k->commits, 2); /* the claim, and that it waits */
    CHECK_INT(box.world.now, now);
    CHECK_STR(kit_journal(&box.world, "r"), journal);
  }
  CHECK_INT(kit_count(k, "") - events, 3);
  CHECK_INT(kit_count(k, "run.waiting"), 4);
  CHECK_STR(kit_effects(&box.world), "p1");
  CHECK_INT(kit_effect_of(&box.world, "p1")->probes, 0);
  kit_box_close(&box);
}

static void spends_two(const char *sources) {
  kit_box box;
  kit *k = kit_box_open(&box, sources);
  k->person = true;
  kit_start(k, "r");
  while (!*kit_gates(&box.world) && kit_step(k))
    ;
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(k->started, 0); /* c would be the third */
  CHECK(strstr(kit_result(&box.world, "r"), "llm=!budget") != NULL);
  kit_box_close(&box);
}

static void law_6_what_was_spent_is_read_from_the_journal(void) {
  spends_two("{'flow': [['llm', 'a'], ['llm', 'b', {'budget': {'llm_calls': 2}}], ['gate', 'g',"
             " {'ask': '?'}], ['llm', 'c', {'budget': {'llm_calls': 2}, 'try': true}]]}");
  spends_two("{'flow': [['llm', 'a'], ['llm', 'b', {'budget': {'usd': 2}}], ['gate', 'g',"
             " {'ask': '?'}], ['llm', 'c', {'budget': {'usd': 2}, 'try': true}]]}");
}

/* -- law 7 ----------------------------------------------------------------------------- */

static const char *const racing =
    "{'flow': [['fork', [[['llm', 'a'], ['llm', 'x', {'of': '$all'}]],"
    " [['llm', 'b'], ['llm', 'y', {'of': '$all'}]], [['sleep', 500], ['llm', 'z', {'of': "
    "'$all'}]]"
    "]], ['llm', 'end', {'of': '$all'}]]}";

/* Requests hold a hash of all that the run was told so far, in order: another order would
 * diverge.
 */
static void law_7_resumptions_follow_the_journal(void) {
  static const char *const orders[] = {"ab", "ba"};
  for (int i = 0; i < 2; i++)
    for (int deaths = 0; deaths < 2; deaths++) {
      kit_box box;
      kit *k = open_by_hand(&box, racing);
      kit_play(k, "r");
      for (const char *c = orders[i]; *c; c++) {
        finish(k, (const char[]){*c, 0});
        kit_run(k);
      }
      if (deaths) {
        kit_crash(k);
        kit_boot(k);
        kit_run(k);
      }
      static const char *const rest[] = {"z", "y", "x", "end"};
      for (int j = 0; j < 4; j++) {
        finish(k, rest[j]);
        kit_run(k);
      }
      CHECK_STR(kit_state(&box.world, "r"), "done");
      kit_box_close(&box);
    }
}

static void law_7_completions_of_one_batch_are_told_in_its_order(void) {
  kit_box box;
  kit *k = open_by_hand(&box, racing);
  kit_play(k, "r");
  finish(k, "b");
  finish(k, "a");
  kit_run(k);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "running");
  CHECK(kit_task_at(k, "x") && kit_task_at(k, "y"));
  kit_box_close(&box);
}

/* -- law 8 ----------------------------------------------------------------------------- */

static void law_8_a_stop_cannot_be_caught(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fork', [[['gate', 'g', {'ask': '?'}]], [['sleep', 10],"
                         " ['stop']]], {'try': true}], ['llm', 'a']]}");
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "failed");
  CHECK(strstr(kit_reason(&box.world, "r"), "\"limit\"") != NULL);
  CHECK_INT(k->started, 0);
  CHECK_STR(kit_gates(&box.world), "r/g@1/0.1 closed");
  CHECK(tm_engine_idle(k->engine) && tm_engine_find(k->engine, "r") == NULL);
  kit_box_close(&box);
}

static void law_8_a_cancel_cannot_be_caught(void) {
  kit_box box;
  kit *k =
      open_by_hand(&box, "{'flow': [['llm', 'a', {'try': true}], ['llm', 'b', {'try': true}],"
                         " ['sleep', 1, {'try': true}], ['now']]}");
  tm_err err = TM_ERR_INIT;
  kit_play(k, "r");
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_CANCEL, "enough", "kit", &err), 0);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_journal(&box.world, "r"), "start cancel note:4 end");
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void law_8_a_failing_run_harms_no_other(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['raise', 'bad']]}");
  kit_play(k, "one");
  box.world.sources = kit_text(&box.world, "{'flow': [['llm', 'a']]}");
  kit_play(k, "two");
  CHECK_STR(kit_state(&box.world, "one"), "failed");
  CHECK_STR(kit_state(&box.world, "two"), "done");
  kit_box_close(&box);
}

/* -- law 9 ----------------------------------------------------------------------------- */

static const char *const big_payment =
    "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 82000}, 'blast': 82000,"
    " 'gate_above': 50}]]}";

static void law_9_what_was_approved_is_what_is_done(void) {
  kit_box box;
  kit *k = kit_box_open(&box, big_payment);
  kit_play(k, "r");
  CHECK_STR(kit_gates(&box.world), "r/pay@1 open");
  CHECK_STR(kit_effects(&box.world), "");
  k->die_after = k->commits + 1;
  kit_decide(k, "r/pay@1", true, "{'by': 'ann'}");
  kit_run(k);
  kit_crash(k);
  CHECK_STR(kit_gates(&box.world), "r/pay@1 approved");
  k->other = kit_text(
      &box.world, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 820000}, 'blast':"
                  " 82000, 'gate_above': 50}]]}");
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "diverged");
  CHECK_STR(kit_effects(&box.world), "");
  kit_box_close(&box);
}

static void law_9_an_approval_is_of_what_was_shown(void) {
  kit_box box;
  kit *k = kit_box_open(&box, big_payment);
  kit_play(k, "r");
  kit_decide(k, "r/pay@1", true, "{'digest': '0123'}");
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "not what was shown") != NULL);
  kit_run(k);
  CHECK_STR(kit_effects(&box.world), "");
  CHECK_STR(kit_gates(&box.world), "r/pay@1 open");
  kit_box_close(&box);
}

/* The digest of the one gate of a fresh run. */
static const char *digest_of(const char *sources, const char *id, char out[80]) {
  kit_box box;
  kit *k = kit_box_open(&box, sources);
  kit_play(k, id);
  const char *open = kit_record(&box.world, id, "open", "1");
  const char *at = open ? strstr(open, "\"digest\":\"") : NULL;
  snprintf(out, 80, "%.64s", at ? at + 10 : "none");
  kit_box_close(&box);
  return out;
}

static void law_9_the_digest_covers_all_that_matters(void) {
  static const char *const other[] = {
      "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 82001}, 'blast': 82000,"
      " 'gate_above': 50}]]}",
      "{'flow': [['action', 'pay', {'key': 'k2', 'args': {'usd': 82000}, 'blast': 82000,"
      " 'gate_above': 50}]]}",
      "{'flow': [['action', 'pax', {'key': 'k1', 'args': {'usd': 82000}, 'blast': 82000,"
      " 'gate_above': 50}]]}",
      "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 82000}, 'blast': 82000,"
      " 'gate_above': 50}], ['now']]}", /* other sources */
  };
  char one[80], two[80];
  digest_of(big_payment, "r", one);
  CHECK_INT(strlen(one), 64);
  CHECK_STR(digest_of(big_payment, "r", two), one);
  CHECK(strcmp(digest_of(big_payment, "q", two), one) != 0);
  for (size_t i = 0; i < sizeof other / sizeof *other; i++)
    CHECK(strcmp(digest_of(other[i], "r", two), one) != 0);
}

static void law_9_an_approval_is_used_once(void) {
  kit_box box;
  kit *k = kit_box_open(&box, big_payment);
  kit_play(k, "r");
  kit_decide(k, "r/pay@1", true, NULL);
  kit_run(k);
  CHECK_INT(k->last.code, TM_OK);
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_decide(k, "r/pay@1", true, NULL);
  CHECK_INT(k->last.code, TM_CONFLICT);
  kit_run(k);
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

/* -- starting -------------------------------------------------------------------------- */

static void starting_twice_gives_the_same_run(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a']]}");
  kit_start(k, "r");
  kit_start(k, "r");
  kit_run(k);
  CHECK_INT(k->last.code, TM_OK);
  CHECK_INT(kit_count(k, "run.started"), 1);
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1 end");
  kit_play(k, "r");
  CHECK_INT(k->last.code, TM_OK);
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1 end");
  tm_json *input = tm_json_new_int(&box.world.arena, 5);
  tm_engine_start(k->engine, "flow", input, "r", NULL, NULL, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static void told(void *ctx, const char *id, const tm_err *err) {
  (void)id;
  *(tm_err *)ctx = *err;
}

static void a_start_that_cannot_be_says_why(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['now']]}");
  tm_json *input = tm_json_new_int(&box.world.arena, 5);
  tm_err err = TM_ERR_INIT;
  kit_play(k, "r");
  tm_engine_start(k->engine, "flow", input, "r", NULL, told, &err);
  kit_run(k);
  CHECK_INT(err.code, TM_CONFLICT);
  tm_engine_start(k->engine, "nothing", input, "s", NULL, told, &err);
  CHECK_INT(err.code, TM_NOTFOUND);
  tm_engine_start(k->engine, "../flow", input, "s", NULL, told, &err);
  CHECK_INT(err.code, TM_USAGE);
  tm_engine_start(k->engine, "flow", input, "a b", NULL, told, &err);
  CHECK_INT(err.code, TM_USAGE);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "s"), "");
  kit_box_close(&box);
}

static void an_engine_closed_over_a_start_leaks_nothing(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['now']]}");
  kit_start(k, "r"); /* its turn never comes */
  kit_box_close(&box);
}

static void a_model_that_cannot_be_called_is_an_error_of_the_call(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'unknown model', {'try': true}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_result(&box.world, "r"), "llm=!llm");
  CHECK(strstr(kit_record(&box.world, "r", "fail", "1"), "there is no such model") != NULL);
  kit_box_close(&box);
}

CHECK_SUITE(engine) {
  CHECK_RUN(a_journal_that_is_too_long_stops_its_run_and_sends_nothing_more);
  CHECK_RUN(law_1_a_call_starts_after_the_records_it_rests_on);
  CHECK_RUN(law_1_a_result_is_told_after_its_commit);
  CHECK_RUN(law_1_what_is_not_committed_is_never_told);
  CHECK_RUN(law_1_the_records_of_a_turn_are_one_transaction);
  CHECK_RUN(law_1_a_start_is_told_when_it_is_durable);
  CHECK_RUN(law_2_a_place_is_no_arrival_order);
  CHECK_RUN(law_2_an_identity_is_the_hash_of_the_canonical_request);
  CHECK_RUN(law_3_same_place_other_identity_diverges);
  CHECK_RUN(law_3_a_call_more_or_less_diverges);
  CHECK_RUN(law_3_what_comes_after_the_frontier_may_differ);
  CHECK_RUN(law_3_a_log_line_may_change);
  CHECK_RUN(law_3_a_note_is_held_to_its_own_record);
  CHECK_RUN(law_4_the_intent_is_committed_before_the_effect);
  CHECK_RUN(law_4_an_intent_that_is_lost_had_no_effect);
  CHECK_RUN(law_5_a_run_goes_on_with_the_sources_it_began_with);
  CHECK_RUN(law_6_a_replay_does_nothing_and_costs_nothing);
  CHECK_RUN(law_6_what_was_spent_is_read_from_the_journal);
  CHECK_RUN(law_7_resumptions_follow_the_journal);
  CHECK_RUN(law_7_completions_of_one_batch_are_told_in_its_order);
  CHECK_RUN(law_8_a_stop_cannot_be_caught);
  CHECK_RUN(law_8_a_cancel_cannot_be_caught);
  CHECK_RUN(law_8_a_failing_run_harms_no_other);
  CHECK_RUN(law_9_what_was_approved_is_what_is_done);
  CHECK_RUN(law_9_an_approval_is_of_what_was_shown);
  CHECK_RUN(law_9_the_digest_covers_all_that_matters);
  CHECK_RUN(law_9_an_approval_is_used_once);
  CHECK_RUN(starting_twice_gives_the_same_run);
  CHECK_RUN(a_start_that_cannot_be_says_why);
  CHECK_RUN(an_engine_closed_over_a_start_leaks_nothing);
  CHECK_RUN(a_model_that_cannot_be_called_is_an_error_of_the_call);
}
