/* test_engine_found.c - what the simulator (sim.h) found once, each as a case of its own. */
#include "check.h"
#include "engine_kit.h"
#include "store_box.h"

static const char *const stores[] = {"memory", "sqlite"};

/* -- the store's fences ------------------------------------------------------------------- */

/* Who claims saw the run with one record; its owner, thought dead, wrote another one since. */
static void a_run_that_went_on_cannot_be_claimed(void) {
  for (int i = 0; i < 2; i++) {
    box b;
    box_open(&b, stores[i]);
    box_add_run(&b, "r1");
    CHECK_INT(box_append(&b, "r1", 0, 2), TM_OK);
    tm_batch *batch = box_batch(&b);
    op_claim(batch, "r1", 1, "me")->u.run.records = 1;
    op_state(batch, "running");
    op_claim(batch, "r1", 1, "me")->u.run.records = 2;
    CHECK_INT(box_commit(&b, batch), TM_OK);
    CHECK_INT(b.statuses[0], TM_OP_LOST);
    CHECK_INT(b.statuses[1], TM_OP_FENCED);
    CHECK_INT(b.statuses[2], TM_OP_OK);
    CHECK_INT(box_run(&b, "r1")->epoch, 2);
    box_close(&b);
  }
}

/* Two claim epoch 1, and both count on 2 from then on: the owner tells them apart. */
static void of_two_with_one_epoch_the_owner_writes(void) {
  for (int i = 0; i < 2; i++) {
    box b;
    box_open(&b, stores[i]);
    box_add_run(&b, "r1");
    tm_batch *batch = box_batch(&b);
    op_claim(batch, "r1", 1, "winner");
    op_claim(batch, "r1", 1, "loser");
    op_fence(batch, "r1", 2)->u.run.owner = "loser";
    op_record(batch, 0, "never");
    op_fence(batch, "r1", 2)->u.run.owner = "winner";
    op_record(batch, 0, "mine");
    CHECK_INT(box_commit(&b, batch), TM_OK);
    CHECK_INT(b.statuses[1], TM_OP_LOST);
    CHECK_INT(b.statuses[2], TM_OP_FENCED);
    CHECK_INT(b.statuses[4], TM_OP_OK);
    CHECK_STR(box_journal(&b, "r1", 0), "0:mine");
    box_reopen(&b); /* of the file, the owner is read back; memory has forgotten the run */
    batch = box_batch(&b);
    op_fence(batch, "r1", 2)->u.run.owner = "loser";
    CHECK_INT(box_commit(&b, batch), TM_OK);
    CHECK_INT(b.statuses[0], TM_OP_FENCED);
    box_close(&b);
  }
}

/* -- orders ------------------------------------------------------------------------------- */

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static int order(kit *k, const char *run, tm_order what) {
  tm_err err = TM_ERR_INIT;
  return tm_control_give(k->engine, run, what, "", "kit", &err);
}

/* Between the order and its commit a timer fires, and somebody wants to cancel. */
static void a_run_that_is_being_paused_does_nothing_more(void) {
  kit_box b;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&b, "{'flow': [['sleep', 9000], ['llm', 'a']]}");
  k->still = true;
  kit_play(k, "r");
  CHECK_INT(order(k, "r", TM_ORDER_PAUSE), 0);
  kit_turn(k);
  b.world.now += 9000;
  CHECK_INT(order(k, "r", TM_ORDER_CANCEL), -1);
  kit_run(k);
  CHECK_STR(kit_journal(&b.world, "r"), "start open:1");
  CHECK_STR(kit_owner(&b.world, "r"), "");
  CHECK_INT(kit_verify(&b.world, "r", &err), 0);
  CHECK_INT(tm_engine_resume(k->engine, "r", &err), 1);
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "r"), "done");
  kit_box_close(&b);
}

/* The order is on disk, and the process dies before it was carried out. */
static void a_cancel_of_a_waiting_run_is_taken_up(void) {
  kit_box b;
  kit *k = kit_box_open(&b, "{'flow': [['gate', 'g', {'ask': '?'}]]}");
  kit_play(k, "r");
  k->die_after = k->commits + 1;
  CHECK_INT(order(k, "r", TM_ORDER_CANCEL), 0);
  kit_run(k);
  CHECK_STR(kit_journal(&b.world, "r"), "start open:1 cancel");
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "r"), "cancelled");
  kit_box_close(&b);
}

/* An intent is on disk, the process starts anew, and the cancel comes before it has looked at
 * the key: the action is settled first, as every replay will have it. */
static void a_cancel_right_after_a_restart_lets_a_begun_action_end(void) {
  for (int steps = 0; steps < 12; steps++) {
    kit_box b;
    kit *k = kit_box_open(&b, "{'flow': [['action', 'pay', {'key': 'p1', 'args': {},"
                              " 'on_unknown': 'probe'}]]}");
    k->reply = hangs;
    kit_play(k, "r");
    kit_crash(k);
    k->reply = NULL;
    kit_boot(k);
    kit_steps(k, steps);
    if (strcmp(kit_state(&b.world, "r"), "running") == 0)
      order(k, "r", TM_ORDER_CANCEL);
    kit_run(k);
    const char *journal = kit_journal(&b.world, "r");
    CHECK(strstr(journal, "done:1") || strstr(journal, "fail:1"));
    kit_box_close(&b);
  }
}

CHECK_SUITE(engine_found) {
  CHECK_RUN(a_run_that_went_on_cannot_be_claimed);
  CHECK_RUN(of_two_with_one_epoch_the_owner_writes);
  CHECK_RUN(a_run_that_is_being_paused_does_nothing_more);
  CHECK_RUN(a_cancel_of_a_waiting_run_is_taken_up);
  CHECK_RUN(a_cancel_right_after_a_restart_lets_a_begun_action_end);
}
