/* test_engine_action.c - every way through the drawing of action.c. */
#include "check.h"
#include "engine_kit.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static kit_reply refuses(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_REFUSED;
}

/* Nothing that is sent arrives; probes do. */
static kit_reply loses(kit *k, const kit_task *t) {
  (void)k;
  return strcmp(t->name, "GET") == 0 ? KIT_OK : KIT_LOST;
}

/* The first try of each key is cut off after it arrived. */
static kit_reply cuts_once(kit *k, const kit_task *t) {
  const char *key = tm_json_get_str(t->request, "key");
  return strcmp(t->name, "POST") == 0 && kit_effect_of(k->world, key)->sends == 0 ? KIT_CUT
                                                                                  : KIT_OK;
}

static const char *const pay =
    "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 3}}]]}";

static void finish(kit *k, const char *name, kit_reply how) {
  kit_task *t = kit_task_at(k, name);
  CHECK(t != NULL);
  if (t)
    kit_finish(k, t, how);
  kit_run(k);
}

/* -- the key is known ------------------------------------------------------------------ */

static void a_done_effect_gives_its_result_to_another_run(void) {
  kit_box box;
  kit *k = kit_box_open(&box, pay);
  kit_play(k, "one");
  kit_play(k, "two");
  CHECK_STR(kit_result(&box.world, "two"), kit_result(&box.world, "one"));
  CHECK_STR(kit_effects(&box.world), "k1");
  CHECK_STR(kit_journal(&box.world, "two"), "start done:1 end");
  CHECK(strstr(kit_record(&box.world, "two", "done", "1"), "\"stored_by\":\"one\"") != NULL);
  kit_box_close(&box);
}

static void the_same_key_with_other_arguments_is_a_conflict(void) {
  kit_box box;
  kit *k = kit_box_open(&box, pay);
  kit_play(k, "one");
  box.world.sources =
      kit_text(&box.world, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 4}}]]}");
  kit_play(k, "two");
  CHECK_STR(kit_state(&box.world, "two"), "failed");
  CHECK(strstr(kit_reason(&box.world, "two"), "\"conflict\"") != NULL);
  CHECK(strstr(kit_reason(&box.world, "two"), "by run one") != NULL);
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

static void a_key_under_way_holds_the_others(void) {
  kit_box box;
  kit *k = kit_box_open(&box, pay);
  k->reply = hangs;
  kit_play(k, "one");
  kit_play(k, "two");
  kit_play(k, "three");
  CHECK_INT(kit_task_count(k), 1);
  CHECK_STR(kit_state(&box.world, "two"), "waiting");
  finish(k, "POST", KIT_OK);
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_STR(kit_state(&box.world, "three"), "done");
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

static void a_definite_failure_frees_the_key_for_the_next(void) {
  kit_box box;
  kit *k = kit_box_open(&box, pay);
  k->reply = hangs;
  kit_play(k, "one");
  kit_play(k, "two");
  finish(k, "POST", KIT_REFUSED);
  CHECK_STR(kit_state(&box.world, "one"), "failed");
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "POST", KIT_OK);
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

/* After a definite failure the key may even be used for other arguments. */
static void a_definite_failure_leaves_no_trace_of_the_key(void) {
  kit_box box;
  kit *k = kit_box_open(&box, pay);
  k->reply = refuses;
  kit_play(k, "one");
  k->reply = NULL;
  box.world.sources =
      kit_text(&box.world, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 4}}]]}");
  kit_play(k, "two");
  CHECK_STR(kit_state(&box.world, "one"), "failed");
  CHECK_STR(kit_state(&box.world, "two"), "done");
  kit_box_close(&box);
}

/* Both look, see nothing, and claim in one batch: one wins. */
static void start_two_at_once(kit *k) {
  kit_start(k, "one");
  kit_start(k, "two");
  while (kit_task_count(k) == 0 && kit_step(k))
    ;
  for (int i = 0; i < 6; i++)
    kit_hear(k), kit_turn(k);
  CHECK_STR(kit_journal(k->world, "one"), "start open:1");
  CHECK_STR(kit_journal(k->world, "two"), "start open:1 attempt:1");
  CHECK_INT(kit_task_count(k), 1);
}

static void of_two_that_claim_at_once_one_does_it(void) {
  kit_box box;
  kit *k = kit_box_open(&box, pay);
  k->reply = hangs;
  start_two_at_once(k);
  finish(k, "POST", KIT_OK);
  CHECK_STR(kit_state(&box.world, "one"), "done");
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

static const char *const careful_pay =
    "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}, 'on_unknown': 'ask'}]]}";

/* The loser's intent is in its journal, but its body was never entered: there is nothing to
 * doubt.
 */
static void an_intent_that_came_too_late_is_no_doubt(void) {
  kit_box box;
  kit *k = kit_box_open(&box, careful_pay);
  k->reply = hangs;
  start_two_at_once(k);
  kit_crash(k);
  k->reply = NULL;
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "one/pay@1! open");
  kit_decide(k, "one/pay@1!", false, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "one"), "done");
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

/* And when the winner's claim is dropped meanwhile, the loser claims before it does it: a third
 * comes to a key that is taken. */
static void an_intent_that_came_too_late_claims_again(void) {
  kit_box box;
  kit *k = kit_box_open(&box, careful_pay);
  k->reply = hangs;
  start_two_at_once(k);
  kit_task *t = kit_task_at(k, "POST");
  k->die_after = k->commits + 1;
  kit_finish(k, t, KIT_REFUSED); /* the claim is dropped; nobody hears of it */
  kit_run(k);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "");
  CHECK_INT(kit_task_count(k), 1);
  kit_play(k, "three");
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "POST", KIT_OK);
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_STR(kit_state(&box.world, "three"), "done");
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

/* The process dies before the loser has heard that it lost: the effect's row tells it. */
static void an_intent_whose_key_was_taken_is_no_doubt_either(void) {
  kit_box box;
  kit *k = kit_box_open(&box, careful_pay);
  k->reply = hangs;
  kit_start(k, "one");
  kit_start(k, "two");
  k->die_after = 2; /* the starts; the intents */
  kit_run(k);
  kit_crash(k);
  CHECK_STR(kit_journal(&box.world, "one"), "start open:1");
  CHECK_STR(kit_journal(&box.world, "two"), "start open:1");
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "one/pay@1! open");
  kit_decide(k, "one/pay@1!", false, NULL);
  kit_run(k);
  finish(k, "POST", KIT_REFUSED);
  CHECK_STR(kit_gates(&box.world), "one/pay@1! rejected");
  finish(k, "POST", KIT_OK);
  CHECK_STR(kit_state(&box.world, "one"), "failed");
  CHECK_STR(kit_state(&box.world, "two"), "done");
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

/* -- unknown: the process died between intent and result ------------------------------- */

static kit *die_in_flight(kit_box *box, const char *sources, kit_reply how) {
  kit *k = kit_box_open(box, sources);
  k->reply = hangs;
  kit_play(k, "r");
  k->die_before = k->commits + 1; /* the result is never on the disk */
  finish(k, "POST", how);
  kit_crash(k);
  k->reply = NULL;
  kit_boot(k);
  kit_run(k);
  return k;
}

static void retry_sends_again_under_the_same_key(void) {
  kit_box box;
  die_in_flight(&box,
                "{'flow': [['action', 'pay', {'key': 'r1', 'args': {'usd': 3},"
                " 'on_unknown': 'retry'}]]}",
                KIT_OK);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_effects(&box.world), "r1x2"); /* the same bytes: kit_world_close looks */
  kit_box_close(&box);
}

static const char *const probing =
    "{'flow': [['action', 'pay', {'key': 'p1', 'args': {}, 'on_unknown': 'probe'}]]}";

/* Past the time that the receiver keeps a key, a second try would be a second effect. */
static void retry_ends_with_the_keys_window(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'r1', 'args': {}, 'on_unknown':"
                         " 'retry', 'window_ms': 60000}]]}");
  k->reply = hangs;
  kit_play(k, "r");
  kit_finish(k, kit_task_at(k, "POST"), KIT_CUT);
  kit_crash(k);
  box.world.now += 60001;
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! open");
  CHECK_INT(k->started, 0);
  kit_box_close(&box);
}

static void probe_finds_what_was_done(void) {
  kit_box box;
  die_in_flight(&box, probing, KIT_OK);
  CHECK_STR(kit_result(&box.world, "r"), "action={\"done\":\"p1\"}");
  CHECK_STR(kit_effects(&box.world), "p1");
  CHECK_INT(kit_effect_of(&box.world, "p1")->probes, 1);
  kit_box_close(&box);
}

static void probe_finds_nothing_and_it_is_done_now(void) {
  kit_box box;
  die_in_flight(&box, probing, KIT_LOST);
  CHECK_STR(kit_result(&box.world, "r"), "action={\"done\":\"p1\"}");
  CHECK_STR(kit_effects(&box.world), "p1");
  kit_box_close(&box);
}

static const char *const asking =
    "{'flow': [['action', 'pay', {'key': 'a1', 'args': {'usd': 3}, 'on_unknown': 'ask'}]]}";

static void ask_lets_a_person_tell_that_it_happened(void) {
  kit_box box;
  kit *k = die_in_flight(&box, asking, KIT_OK);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! open");
  CHECK_INT(k->started, 0);
  kit_decide(k, "r/pay@1!", true, "{'answer': {'paid': 3}, 'by': 'ann'}");
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "action={\"paid\":3}");
  CHECK_STR(kit_effects(&box.world), "a1");
  kit_play(k, "other"); /* the person's word is the effect's result for all */
  CHECK_STR(kit_result(&box.world, "other"), "action={\"paid\":3}");
  kit_box_close(&box);
}

static void ask_lets_a_person_tell_that_it_did_not(void) {
  kit_box box;
  kit *k = die_in_flight(&box, asking, KIT_LOST);
  kit_decide(k, "r/pay@1!", false, NULL);
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "action={\"done\":\"a1\"}");
  CHECK_STR(kit_effects(&box.world), "a1");
  kit_box_close(&box);
}

static void a_doubt_survives_crashes(void) {
  kit_box box;
  kit *k = die_in_flight(&box, asking, KIT_OK);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! open");
  CHECK_INT(k->started, 0);
  k->die_after = k->commits + 1;
  kit_decide(k, "r/pay@1!", true, "{'answer': 1}");
  kit_run(k);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "action=1");
  CHECK_STR(kit_effects(&box.world), "a1");
  kit_box_close(&box);
}

/* -- unknown: a verb was cut off ------------------------------------------------------- */

static void a_verb_cut_off_is_settled_by_the_policy(void) {
  kit_box box;
  kit *k = kit_box_open(&box, probing);
  k->reply = cuts_once;
  kit_play(k, "r");
  CHECK_STR(kit_result(&box.world, "r"), "action={\"done\":\"p1\"}");
  CHECK_STR(kit_effects(&box.world), "p1");
  kit_box_close(&box);
}

static void a_body_may_say_itself_that_it_does_not_know(void) {
  kit_box box;
  kit *k = kit_box_open(
      &box, "{'flow': [['action', 'pay', {'key': 'a1', 'args': {}, 'on_unknown': 'ask',"
            " 'body': [['http', 'POST'], ['fail', {'kind': 'http', 'message': '502',"
            " 'unknown': true}]]}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_gates(&box.world), "r/pay@1! open");
  CHECK_STR(kit_effects(&box.world), "a1");
  kit_box_close(&box);
}

static void tries_that_lead_nowhere_end_at_a_person(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'r1', 'args': {}}]]}");
  k->reply = loses;
  kit_play(k, "r");
  CHECK_INT(k->started, 3);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! open");
  kit_box_close(&box);
}

static void probes_that_fail_end_at_a_person(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'p1', 'args': {}, 'on_unknown':"
                         " 'probe', 'probe': [['fail', {'kind': 'down'}]]}]]}");
  k->reply = loses;
  kit_play(k, "r");
  CHECK_INT(k->started, 1);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! open");
  kit_box_close(&box);
}

/* The answer to the first doubt is spent: the second one is another gate. */
static void each_doubt_is_a_gate_of_its_own(void) {
  kit_box box;
  kit *k = kit_box_open(&box, asking);
  k->reply = loses;
  kit_play(k, "r");
  kit_decide(k, "r/pay@1!", false, NULL);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! rejected, r/pay@1!2 open");
  int sent = k->started;
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(k->started, 0);
  CHECK_INT(sent, 2);
  kit_decide(k, "r/pay@1!2", false, NULL);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! rejected, r/pay@1!2 rejected, r/pay@1!3 open");
  kit_decide(k, "r/pay@1!3", true, "{'answer': 7}");
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "action=7");
  kit_box_close(&box);
}

static void tries_are_counted_for_each_action_anew(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['action', 'a', {'key': 'r1', 'args': {}}],"
                              " ['action', 'b', {'key': 'r2', 'args': {}}],"
                              " ['action', 'c', {'key': 'r3', 'args': {}}]]}");
  k->reply = cuts_once;
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_gates(&box.world), "");
  CHECK_STR(kit_effects(&box.world), "r1x2 r2x2 r3x2");
  kit_box_close(&box);
}

/* -- gates ----------------------------------------------------------------------------- */

static const char *const two_sizes =
    "{'flow': [['action', 'small', {'key': 'k1', 'args': {}, 'blast': 50, 'gate_above': 50}],"
    " ['action', 'big', {'key': 'k2', 'args': {'usd': 51}, 'blast': 50.5, 'gate_above': 50,"
    " 'try': true}]]}";

static void a_gate_stands_above_the_limit_only(void) {
  kit_box box;
  kit *k = kit_box_open(&box, two_sizes);
  kit_play(k, "r");
  CHECK_STR(kit_effects(&box.world), "k1");
  CHECK_STR(kit_gates(&box.world), "r/big@2 open");
  CHECK_STR(kit_owner(&box.world, "r"), ""); /* nobody need live while a person thinks */
  kit_decide(k, "r/big@2", true, NULL);
  kit_run(k);
  CHECK_STR(kit_effects(&box.world), "k1 k2");
  CHECK_STR(kit_journal(&box.world, "r"),
            "start open:1 attempt:1 done:1 open:2 decided:2 open:2 attempt:2 done:2 end");
  kit_box_close(&box);
}

static void a_rejected_action_is_not_done(void) {
  kit_box box;
  kit *k = kit_box_open(&box, two_sizes);
  kit_play(k, "r");
  kit_decide(k, "r/big@2", false, "{'note': 'too much', 'by': 'ann'}");
  kit_run(k);
  CHECK_STR(kit_effects(&box.world), "k1");
  CHECK_STR(kit_result(&box.world, "r"), "action={\"done\":\"k1\"};action=!rejected");
  const char *fail = kit_record(&box.world, "r", "fail", "2");
  REQUIRE(fail != NULL);
  CHECK(strstr(fail, "\"note\":\"too much\"") && strstr(fail, "\"by\":\"ann\""));
  kit_box_close(&box);
}

static void an_approval_survives_a_crash_at_any_commit(void) {
  for (int i = 1; i < 6; i++)
    for (int after = 0; after < 2; after++) {
      kit_box box;
      kit *k = kit_box_open(&box, two_sizes);
      kit_play(k, "r");
      *(after ? &k->die_after : &k->die_before) = k->commits + i;
      kit_decide(k, "r/big@2", true, NULL);
      kit_run(k);
      kit_crash(k);
      k->person = true; /* retry may be doubted: default policy sends again instead */
      kit_boot(k);
      kit_run(k);
      CHECK_STR(kit_state(&box.world, "r"), "done");
      CHECK_STR(kit_result(&box.world, "r"),
                "action={\"done\":\"k1\"};action={\"done\":\"k2\"}");
      CHECK(strstr(kit_gates(&box.world), "!") == NULL);
      kit_box_close(&box);
    }
}

/* Approved, but meanwhile another call has the key: it waits, and does not ask again. */
static void an_approved_action_that_is_held_does_not_ask_again(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}, 'blast': 60,"
                         " 'gate_above': 50}]]}");
  k->reply = hangs;
  kit_play(k, "one");
  kit_play(k, "two");
  kit_decide(k, "one/pay@1", true, NULL);
  kit_run(k);
  kit_decide(k, "two/pay@1", true, NULL);
  kit_run(k);
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "POST", KIT_REFUSED);
  CHECK_STR(kit_gates(&box.world), "one/pay@1 approved, two/pay@1 approved");
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "POST", KIT_OK);
  CHECK_STR(kit_state(&box.world, "two"), "done");
  kit_box_close(&box);
}

/* -- repeatable, fetch, host ----------------------------------------------------------- */

static void a_repeatable_action_has_one_record(void) {
  kit_box box;
  kit *k = kit_box_open(
      &box, "{'flow': [['action', 'read', {'repeatable': true, 'args': {}, 'body':"
            " [['ok', 5]]}], ['fetch', 'look', {'body': [['ok', 6]]}],"
            " ['fetch', 'bad', {'try': true, 'body': [['fail', {'kind': 'x'}]]}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_result(&box.world, "r"), "action=5;fetch=6;fetch=!x");
  CHECK_STR(kit_journal(&box.world, "r"), "start done:1 done:2 fail:3 end");
  CHECK_INT(k->commits, 5); /* the start, the end, and one for each */
  kit_box_close(&box);
}

static void a_host_action_needs_no_body(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {'usd': 1}, 'host':"
                         " true}], ['action', 'no', {'key': 'k2', 'args': {}, 'host': true,"
                         " 'try': true}]]}");
  k->reply = hangs;
  kit_play(k, "r");
  kit_task *t = kit_task_at(k, "pay");
  REQUIRE(t != NULL);
  CHECK_STR(tm_json_text(&box.world.arena, t->request, NULL),
            "{\"enter\":\"run\",\"key\":\"k1\",\"args\":{\"usd\":1}}");
  finish(k, "pay", KIT_OK);
  finish(k, "no", KIT_REFUSED);
  CHECK_STR(kit_result(&box.world, "r"), "action={\"done\":\"k1\"};action=!refused");
  kit_box_close(&box);
}

/* -- what may stand where -------------------------------------------------------------- */

static void verbs_live_in_bodies_and_calls_outside(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fetch', 'look', {'try': true, 'body': [['llm', 'a']]}],"
                         " ['fork', [[['http', 'POST']]], {'try': true}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_result(&box.world, "r"), "fetch=!usage;fork=!usage");
  CHECK_INT(k->started, 0);
  kit_box_close(&box);
}

static void a_log_line_in_a_body_is_an_attempt(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fetch', 'look', {'body': [['log', '', {'m': 1}], ['ok',"
                         " 6]]}]]}");
  kit_play(k, "r");
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1 end");
  CHECK(strstr(kit_record(&box.world, "r", "attempt", "1"), "{\"log\":{\"m\":1}}") != NULL);
  kit_box_close(&box);
}

static void secrets_never_reach_the_journal(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fetch', 'look', {'body': [['http', 'GET', {'key': '',"
                         " 'headers': {'X-Api-Key': 'sesame', 'Accept': 'text'}}]]}]]}");
  kit_play(k, "r");
  const char *attempt = kit_record(&box.world, "r", "attempt", "1");
  REQUIRE(attempt != NULL);
  CHECK(strstr(attempt, "\"X-Api-Key\":\"***\",\"Accept\":\"text\"") != NULL);
  kit_box_close(&box);
}

/* -- a cancel does not come between intent and result ---------------------------------- */

static void a_cancel_lets_a_begun_action_end(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}}], ['llm', 'a',"
                         " {'try': true}]]}");
  k->reply = hangs;
  kit_play(k, "r");
  kit_cancel(k, "r");
  kit_run(k);
  CHECK_INT(kit_task_count(k), 1);
  finish(k, "POST", KIT_OK);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 cancel attempt:1 done:1 end");
  kit_play(k, "other"); /* its result is there */
  CHECK_STR(kit_effects(&box.world), "k1");
  kit_box_close(&box);
}

static void a_cancel_lets_an_unknown_action_be_settled(void) {
  kit_box box;
  kit *k = kit_box_open(&box, probing);
  k->reply = cuts_once;
  kit_start(k, "r");
  while (kit_effect_of(&box.world, "p1")->sends == 0 && kit_step(k))
    ;
  for (int i = 0; i < 6; i++)
    kit_task_count(k) ? (void)kit_step(k) : (void)(kit_hear(k), kit_turn(k));
  kit_cancel(k, "r");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK(kit_record(&box.world, "r", "done", "1") != NULL);
  CHECK_INT(kit_effect_of(&box.world, "p1")->probes, 1);
  kit_box_close(&box);
}

/* The other branch is given up: it is not waited for any more. */
static void a_cancelled_run_says_that_it_waits_for_its_doubt(void) {
  kit_box box;
  kit *k = kit_box_open(
      &box, "{'flow': [['fork', [[['action', 'pay', {'key': 'a1', 'args': {}, 'on_unknown': "
            "'ask'}]], [['gate', 'ask', {'ask': '?', 'try': true}]]], {}]]}");
  k->reply = loses;
  kit_play(k, "r");
  CHECK(strstr(kit_reason(&box.world, "r"), "\"name\":\"ask\""));
  kit_cancel(k, "r");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  CHECK_STR(
      kit_reason(&box.world, "r"),
      "[{\"for\":\"gate\",\"name\":\"pay\",\"place\":\"1/0.1\",\"gate\":\"r/pay@1/0.1!\"}]");
  kit_box_close(&box);
}

static void a_cancelled_run_settles_after_a_crash_what_it_began(void) {
  kit_box box;
  kit *k = kit_box_open(&box, asking);
  k->reply = hangs;
  kit_play(k, "r");
  kit_cancel(k, "r");
  kit_run(k);
  kit_finish(k, kit_task_at(k, "POST"), KIT_OK);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/pay@1! open");
  kit_decide(k, "r/pay@1!", true, "{'answer': 1}");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK(kit_record(&box.world, "r", "done", "1") != NULL);
  kit_box_close(&box);
}

static void what_did_not_happen_before_a_cancel_is_not_done_after_it(void) {
  kit_box box;
  kit *k = die_in_flight(&box, asking, KIT_LOST);
  kit_cancel(k, "r");
  kit_run(k);
  kit_decide(k, "r/pay@1!", false, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_effects(&box.world), "");
  kit_play(k, "other"); /* the key is free */
  CHECK_STR(kit_state(&box.world, "other"), "done");
  kit_box_close(&box);
}

CHECK_SUITE(engine_action) {
  CHECK_RUN(a_done_effect_gives_its_result_to_another_run);
  CHECK_RUN(the_same_key_with_other_arguments_is_a_conflict);
  CHECK_RUN(a_key_under_way_holds_the_others);
  CHECK_RUN(a_definite_failure_frees_the_key_for_the_next);
  CHECK_RUN(a_definite_failure_leaves_no_trace_of_the_key);
  CHECK_RUN(of_two_that_claim_at_once_one_does_it);
  CHECK_RUN(an_intent_that_came_too_late_is_no_doubt);
  CHECK_RUN(an_intent_that_came_too_late_claims_again);
  CHECK_RUN(an_intent_whose_key_was_taken_is_no_doubt_either);
  CHECK_RUN(retry_sends_again_under_the_same_key);
  CHECK_RUN(retry_ends_with_the_keys_window);
  CHECK_RUN(probe_finds_what_was_done);
  CHECK_RUN(probe_finds_nothing_and_it_is_done_now);
  CHECK_RUN(ask_lets_a_person_tell_that_it_happened);
  CHECK_RUN(ask_lets_a_person_tell_that_it_did_not);
  CHECK_RUN(a_doubt_survives_crashes);
  CHECK_RUN(a_verb_cut_off_is_settled_by_the_policy);
  CHECK_RUN(a_body_may_say_itself_that_it_does_not_know);
  CHECK_RUN(tries_that_lead_nowhere_end_at_a_person);
  CHECK_RUN(probes_that_fail_end_at_a_person);
  CHECK_RUN(each_doubt_is_a_gate_of_its_own);
  CHECK_RUN(tries_are_counted_for_each_action_anew);
  CHECK_RUN(a_gate_stands_above_the_limit_only);
  CHECK_RUN(a_rejected_action_is_not_done);
  CHECK_RUN(an_approval_survives_a_crash_at_any_commit);
  CHECK_RUN(an_approved_action_that_is_held_does_not_ask_again);
  CHECK_RUN(a_repeatable_action_has_one_record);
  CHECK_RUN(a_host_action_needs_no_body);
  CHECK_RUN(verbs_live_in_bodies_and_calls_outside);
  CHECK_RUN(a_log_line_in_a_body_is_an_attempt);
  CHECK_RUN(secrets_never_reach_the_journal);
  CHECK_RUN(a_cancel_lets_a_begun_action_end);
  CHECK_RUN(a_cancel_lets_an_unknown_action_be_settled);
  CHECK_RUN(a_cancelled_run_says_that_it_waits_for_its_doubt);
  CHECK_RUN(a_cancelled_run_settles_after_a_crash_what_it_began);
  CHECK_RUN(what_did_not_happen_before_a_cancel_is_not_done_after_it);
}
