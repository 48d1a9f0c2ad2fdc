/* test_engine_takeover.c - a key whose run was ended between intent and result: the next that
 * comes to it settles what became of it, by its own policy. */
#include <stdio.h>

#include "check.h"
#include "engine_kit.h"
#include "store_box.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static kit_reply arrives_and_hangs(kit *k, const kit_task *t) {
  (void)k;
  return strcmp(t->name, "POST") == 0 ? KIT_CUT : KIT_OK;
}

static void order(kit *k, const char *run, tm_order what) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_control_give(k->engine, run, what, "", "kit", &err), 0);
  kit_run(k);
}

/* Run r has sent (or not), and is terminated before it heard of it. */
static kit *end_in_flight(kit_box *b, const char *sources, bool arrived) {
  kit *k = kit_box_open(b, sources);
  k->reply = hangs;
  kit_play(k, "r");
  if (arrived) { /* it is cut off after it arrived, and before its policy was asked */
    kit_finish(k, kit_task_at(k, "POST"), KIT_CUT);
    kit_hear(k);
  }
  order(k, "r", TM_ORDER_TERMINATE);
  CHECK_STR(kit_state(&b->world, "r"), "cancelled");
  k->reply = NULL;
  return k;
}

static const char *const probing =
    "{'flow': [['action', 'pay', {'key': 'k', 'args': {}, 'on_unknown': 'probe'}]]}";
static const char *const retrying =
    "{'flow': [['action', 'pay', {'key': 'k', 'args': {}, 'on_unknown': 'retry',"
    " 'window_ms': 60000}]]}";
static const char *const asking =
    "{'flow': [['action', 'pay', {'key': 'k', 'args': {}, 'on_unknown': 'ask'}]]}";

static void a_probe_that_finds_it_gives_its_result(void) {
  kit_box b;
  kit *k = end_in_flight(&b, probing, true);
  kit_play(k, "s");
  CHECK_STR(kit_result(&b.world, "s"), "action={\"done\":\"k\"}");
  CHECK_STR(kit_effects(&b.world), "k");
  CHECK_STR(kit_journal(&b.world, "s"), "start open:1 attempt:1 done:1 end");
  CHECK(strstr(kit_record(&b.world, "s", "open", "1"), "\"taken\":\"r\"") != NULL);
  kit_play(k, "t"); /* and from then on it is known */
  CHECK_STR(kit_journal(&b.world, "t"), "start done:1 end");
  kit_box_close(&b);
}

static void a_probe_that_finds_nothing_lets_it_be_sent(void) {
  kit_box b;
  kit *k = end_in_flight(&b, probing, false);
  kit_play(k, "s");
  CHECK_STR(kit_result(&b.world, "s"), "action={\"done\":\"k\"}");
  CHECK_STR(kit_effects(&b.world), "k");
  CHECK_INT(kit_effect_of(&b.world, "k")->probes, 1);
  kit_box_close(&b);
}

/* The one that is held by the key while its run is ended is the next. */
static void who_waits_for_the_key_takes_it_over(void) {
  kit_box b;
  kit *k = kit_box_open(&b, probing);
  k->reply = hangs;
  kit_play(k, "r");
  kit_play(k, "s");
  kit_play(k, "t");
  CHECK_INT(kit_task_count(k), 1);
  k->reply = NULL;
  order(k, "r", TM_ORDER_TERMINATE);
  CHECK_STR(kit_state(&b.world, "s"), "done");
  CHECK_STR(kit_state(&b.world, "t"), "done");
  CHECK_STR(kit_effects(&b.world), "k");
  kit_box_close(&b);
}

static void retry_sends_again_while_the_first_ones_window_is_open(void) {
  kit_box b;
  kit *k = end_in_flight(&b, retrying, true);
  b.world.now += 50000;
  kit_play(k, "s");
  CHECK_STR(kit_state(&b.world, "s"), "done");
  CHECK_STR(kit_effects(&b.world), "kx2");
  CHECK_STR(kit_gates(&b.world), "");
  kit_box_close(&b);
}

/* Counted from the first try of all, through runs that took it over and were ended too. */
static void retry_asks_when_the_first_ones_window_is_over(void) {
  kit_box b;
  kit *k = end_in_flight(&b, retrying, true);
  b.world.now += 50000;
  k->reply = hangs;
  kit_play(k, "s");
  order(k, "s", TM_ORDER_TERMINATE);
  b.world.now += 11000;
  kit_play(k, "t");
  CHECK_STR(kit_gates(&b.world), "t/pay@1! open");
  CHECK_STR(kit_effects(&b.world), "k");
  kit_box_close(&b);
}

static void ask_asks_in_the_run_that_comes(void) {
  kit_box b;
  kit *k = end_in_flight(&b, asking, true);
  kit_play(k, "s");
  CHECK_STR(kit_gates(&b.world), "s/pay@1! open");
  CHECK_STR(kit_journal(&b.world, "s"), "start open:1 open:1");
  kit_play(k, "t"); /* it is held by s, which lives */
  CHECK_STR(kit_gates(&b.world), "s/pay@1! open");
  kit_decide(k, "s/pay@1!", true, "{'answer': {'paid': 3}}");
  kit_run(k);
  CHECK_STR(kit_result(&b.world, "s"), "action={\"paid\":3}");
  CHECK_STR(kit_result(&b.world, "t"), "action={\"paid\":3}");
  CHECK_STR(kit_effects(&b.world), "k");
  kit_box_close(&b);
}

/* Another run's approval is not this one's. */
static void above_the_limit_its_own_person_is_asked_first(void) {
  kit_box b;
  kit *k = kit_box_open(&b, "{'flow': [['action', 'pay', {'key': 'k', 'args': {}, 'blast': 9,"
                            " 'gate_above': 5, 'on_unknown': 'probe'}]]}");
  k->reply = hangs;
  kit_play(k, "r");
  kit_decide(k, "r/pay@1", true, NULL);
  kit_run(k);
  CHECK_INT(kit_task_count(k), 1);
  order(k, "r", TM_ORDER_TERMINATE);
  k->reply = NULL;
  kit_play(k, "s");
  CHECK_STR(kit_gates(&b.world), "r/pay@1 approved, s/pay@1 open");
  CHECK_INT(kit_effect_of(&b.world, "k")->probes, 0);
  kit_decide(k, "s/pay@1", false, NULL);
  kit_play(k, "t");
  kit_decide(k, "t/pay@1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "s"), "failed");
  CHECK_STR(kit_state(&b.world, "t"), "done");
  CHECK_STR(kit_effects(&b.world), "k");
  kit_box_close(&b);
}

static void of_two_that_come_at_once_one_takes_it(void) {
  kit_box b;
  kit *k = end_in_flight(&b, probing, false);
  kit_start(k, "s");
  kit_start(k, "t");
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "s"), "done");
  CHECK_STR(kit_state(&b.world, "t"), "done");
  CHECK_STR(kit_effects(&b.world), "k");
  CHECK_INT(kit_effect_of(&b.world, "k")->probes, 1);
  kit_box_close(&b);
}

/* Die around each commit of the one that takes over: the same end, one effect, nothing sent
 * without a probe before it. */
static void it_survives_a_crash_at_any_commit(void) {
  for (int n = 1; n <= 12; n++) {
    for (int before = 0; before < 2; before++) {
      kit_box b;
      kit *k = end_in_flight(&b, probing, n % 2 == 0);
      *(before ? &k->die_before : &k->die_after) = k->commits + n / 2 + 1;
      kit_play(k, "s");
      kit_crash(k);
      kit_boot(k);
      if (!*kit_state(&b.world, "s"))
        kit_start(k, "s");
      kit_run(k);
      CHECK_STR(kit_result(&b.world, "s"), "action={\"done\":\"k\"}");
      CHECK_STR(kit_effects(&b.world), "k");
      kit_box_close(&b);
    }
  }
}

/* The first one's cut-off policy is already at work when it is ended: a probe under way. */
static void a_probe_under_way_does_not_matter(void) {
  kit_box b;
  kit *k = kit_box_open(&b, probing);
  k->reply = arrives_and_hangs;
  kit_start(k, "r");
  while (kit_effect_of(&b.world, "k")->sends == 0 && kit_step(k))
    ;
  order(k, "r", TM_ORDER_TERMINATE);
  k->reply = NULL;
  kit_play(k, "s");
  CHECK_STR(kit_result(&b.world, "s"), "action={\"done\":\"k\"}");
  CHECK_STR(kit_effects(&b.world), "k");
  kit_box_close(&b);
}

/* -- the store ---------------------------------------------------------------------------- */

static tm_op *effect(tm_batch *batch, tm_op_kind what, const char *run, const char *result) {
  tm_op *op = tm_batch_add(batch, what);
  op->u.effect = (tm_effect_row){.ns = "flow",
                                 .action = "pay",
                                 .key = "k",
                                 .args_hash = "args",
                                 .run = run,
                                 .place = "1",
                                 .result = result};
  return op;
}

/* Whoever had it writes no result any more, however late it comes. */
static void a_claim_is_taken_only_from_a_run_that_has_ended(void) {
  static const char *const kinds[] = {"memory", "sqlite"};
  static const char *const states[] = {"running", "waiting", "diverged", "failed"};
  for (int i = 0; i < 8; i++) {
    bool ended = i % 4 == 3;
    box b;
    box_open(&b, kinds[i / 4]);
    box_add_run(&b, "r1");
    box_add_run(&b, "r2");
    tm_batch *batch = box_batch(&b);
    op_fence(batch, "r1", 1);
    effect(batch, TM_OP_EFFECT_CLAIM, NULL, NULL);
    op_state(batch, states[i % 4]);
    op_fence(batch, "r2", 1);
    effect(batch, TM_OP_EFFECT_TAKE, "r2", NULL); /* not whose it is */
    effect(batch, TM_OP_EFFECT_TAKE, "r1", NULL);
    op_fence(batch, "r1", 1);
    effect(batch, TM_OP_EFFECT_DONE, NULL, "\"late\"");
    CHECK_INT(box_commit(&b, batch), TM_OK);
    CHECK_INT(b.statuses[4], TM_OP_LOST);
    CHECK_INT(b.statuses[5], ended ? TM_OP_OK : TM_OP_LOST);
    CHECK_INT(b.statuses[7], ended ? TM_OP_LOST : TM_OP_OK);
    box_close(&b);
  }
}

CHECK_SUITE(engine_takeover) {
  CHECK_RUN(a_probe_that_finds_it_gives_its_result);
  CHECK_RUN(a_probe_that_finds_nothing_lets_it_be_sent);
  CHECK_RUN(who_waits_for_the_key_takes_it_over);
  CHECK_RUN(retry_sends_again_while_the_first_ones_window_is_open);
  CHECK_RUN(retry_asks_when_the_first_ones_window_is_over);
  CHECK_RUN(ask_asks_in_the_run_that_comes);
  CHECK_RUN(above_the_limit_its_own_person_is_asked_first);
  CHECK_RUN(of_two_that_come_at_once_one_takes_it);
  CHECK_RUN(it_survives_a_crash_at_any_commit);
  CHECK_RUN(a_probe_under_way_does_not_matter);
  CHECK_RUN(a_claim_is_taken_only_from_a_run_that_has_ended);
}
