/* test_engine_orders.c - orders that reach a run wherever it is, and pauses of many runs. */
#include "check.h"
#include "engine/orders.h"
#include "engine_kit.h"
#include "store_box.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static const char *const two = "{'flow': [['llm', 'a'], ['llm', 'b']]}";

typedef struct pair {
  kit_world world;
  kit first, second;
} pair;

/* Two processes; both live, and know it of each other. */
static void open_pair(pair *p, const char *sources) {
  kit_world_open(&p->world, "memory:", sources);
  kit_open(&p->first, &p->world);
  kit_name_other(p->first.engine->owner);
  kit_open(&p->second, &p->world);
}

/* Each hears of what the other has committed. */
static void both(pair *p) {
  for (bool any = true; any;) {
    any = false;
    kit *const kits[] = {&p->first, &p->second};
    for (int i = 0; i < 2; i++) {
      if (kits[i]->foreign) {
        tm_engine_notice(kits[i]->engine);
        kits[i]->woken = true;
      }
      while (kit_step(kits[i]))
        any = true;
    }
  }
}

static int order(kit *k, const char *run, tm_order what) {
  tm_err err = TM_ERR_INIT;
  return tm_control_give(k->engine, run, what, "enough", "ann", &err);
}

static int count_order(void *ctx, const tm_order_row *row) {
  (void)row;
  ++*(int *)ctx;
  return 0;
}

static int orders_left(kit_world *w) {
  int n = 0;
  tm_err err = TM_ERR_INIT;
  w->disk->vt->orders(w->disk, count_order, &n, &err);
  return n;
}

/* -- one run, which another process has ------------------------------------------------- */

static void a_cancel_reaches_a_run_that_another_process_has(void) {
  pair p;
  open_pair(&p, "{'flow': [['llm', 'a', {'try': true}], ['llm', 'b']]}");
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  CHECK_INT(order(&p.second, "r", TM_ORDER_CANCEL), 1);
  both(&p);
  CHECK_STR(kit_state(&p.world, "r"), "cancelled");
  CHECK_STR(kit_journal(&p.world, "r"), "start cancel end");
  CHECK(strstr(kit_record(&p.world, "r", "cancel", ""), "\"by\":\"ann\"") != NULL);
  CHECK_INT(kit_epoch(&p.world, "r"), 1); /* nobody took it over */
  CHECK_INT(orders_left(&p.world), 0);
  kit_world_close(&p.world);
}

static void terminate_and_pause_reach_it_too(void) {
  pair p;
  open_pair(&p, "{'flow': [['llm', 'a']]}");
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  kit_play(&p.first, "s");
  CHECK_INT(order(&p.second, "r", TM_ORDER_TERMINATE), 1);
  CHECK_INT(order(&p.second, "s", TM_ORDER_PAUSE), 1);
  both(&p);
  CHECK(strstr(kit_reason(&p.world, "r"), "terminated") != NULL);
  CHECK_STR(kit_state(&p.world, "s"), "running"); /* what is under way ends first */
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  both(&p);
  CHECK_STR(kit_state(&p.world, "s"), "done"); /* and there was nothing behind it */
  CHECK_INT(orders_left(&p.world), 0);
  kit_world_close(&p.world);
}

/* The order outlives the process that should have heard it. */
static void whoever_takes_the_run_up_carries_the_order_out(void) {
  pair p;
  tm_err err = TM_ERR_INIT;
  open_pair(&p, "{'flow': [['llm', 'a', {'try': true}], ['llm', 'b']]}");
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  CHECK_INT(order(&p.second, "r", TM_ORDER_CANCEL), 1);
  kit_run(&p.second);
  CHECK_INT(orders_left(&p.world), 1);
  kit_crash(&p.first);
  kit_name_other(p.second.engine->owner); /* now the second one sees that it is its own */
  CHECK_INT(tm_engine_resume(p.second.engine, NULL, &err), 1);
  kit_run(&p.second);
  CHECK_STR(kit_state(&p.world, "r"), "cancelled");
  CHECK_INT(orders_left(&p.world), 0);
  kit_boot(&p.first);
  kit_world_close(&p.world);
}

/* The pause was given before, also when it is read only while the run is being taken up. */
static void a_run_that_is_resumed_by_its_name_is_past_its_pause(void) {
  pair p;
  tm_err err = TM_ERR_INIT;
  open_pair(&p, two);
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  CHECK_INT(order(&p.second, "r", TM_ORDER_PAUSE), 1);
  kit_run(&p.second);
  CHECK_INT(orders_left(&p.world), 1);
  kit_crash(&p.first);
  kit_name_other(p.second.engine->owner);
  CHECK_INT(tm_engine_resume(p.second.engine, "r", &err), 1);
  p.second.foreign = true; /* somebody commits something */
  tm_engine_notice(p.second.engine);
  kit_run(&p.second);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  CHECK_INT(orders_left(&p.world), 0);
  kit_boot(&p.first);
  kit_world_close(&p.world);
}

/* Also by the process that carried it out, which nobody tells of its own commits. */
static void a_pause_is_carried_out_once(void) {
  pair p;
  tm_err err = TM_ERR_INIT;
  open_pair(&p, "{'flow': [['llm', 'a'], ['gate', 'g', {'ask': '?'}], ['llm', 'b']]}");
  p.first.engine->ports.park = true;
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  CHECK_INT(order(&p.second, "r", TM_ORDER_PAUSE), 1);
  kit_run(&p.second);
  tm_engine_notice(p.first.engine);
  p.first.reply = NULL;
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  kit_run(&p.first);
  CHECK(strstr(kit_reason(&p.world, "r"), "\"for\":\"pause\"") != NULL);
  CHECK_INT(orders_left(&p.world), 0);
  CHECK_INT(tm_engine_resume(p.first.engine, "r", &err), 1);
  kit_run(&p.first);
  CHECK_STR(kit_gates(&p.world), "r/g@2 open");
  kit_decide(&p.first, "r/g@2", true, NULL); /* it is taken up, and not by its name */
  kit_run(&p.first);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  kit_world_close(&p.world);
}

/* It ended before it could hear. */
static void an_order_that_comes_too_late_is_gone(void) {
  pair p;
  open_pair(&p, "{'flow': [['llm', 'a']]}");
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  CHECK_INT(order(&p.second, "r", TM_ORDER_CANCEL), 1);
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  kit_run(&p.first);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  both(&p);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  CHECK_INT(orders_left(&p.world), 0);
  kit_world_close(&p.world);
}

static void a_cancel_goes_down_to_a_child_that_another_process_has(void) {
  pair p;
  open_pair(&p, "{'flow': [['call', 'child']], 'child': [['gate', 'g', {'ask': '?'}],"
                " ['llm', 'a', {'try': true}], ['llm', 'b']]}");
  kit_play(&p.second, "r");
  CHECK_STR(kit_gates(&p.world), "r:1/g@1 open");
  tm_engine_stop(p.second.engine); /* so that the first one takes the child up */
  while (kit_hear(&p.second))
    ;
  kit_crash(&p.second);
  p.first.reply = hangs;
  kit_decide(&p.first, "r:1/g@1", true, NULL);
  kit_run(&p.first);
  CHECK_STR(kit_state(&p.world, "r:1"), "running");
  kit_boot(&p.second);
  CHECK_INT(order(&p.second, "r", TM_ORDER_CANCEL), 0);
  both(&p);
  CHECK_STR(kit_state(&p.world, "r"), "cancelled");
  CHECK_STR(kit_state(&p.world, "r:1"), "cancelled");
  CHECK_INT(kit_count(&p.first, "run.cancelled"), 1); /* it ended where it was */
  CHECK_INT(orders_left(&p.world), 0);
  kit_world_close(&p.world);
}

/* -- many runs -------------------------------------------------------------------------- */

static void a_paused_workflow_begins_nothing_and_goes_on_when_resumed(void) {
  kit_box b;
  kit *k = kit_box_open(&b, two);
  k->reply = hangs;
  kit_play(k, "old");
  tm_control_pause_many(k->engine, "flow", "too dear", "ann");
  kit_run(k);
  kit_play(k, "new");
  CHECK_STR(kit_journal(&b.world, "new"), "start");
  CHECK_STR(kit_state(&b.world, "new"), "waiting");
  CHECK_STR(kit_reason(&b.world, "new"),
            "[{\"for\":\"pause\",\"note\":\"too dear\",\"by\":\"ann\",\"workflow\":\"flow\"}]");
  kit_finish(k, kit_task_at(k, "a"), KIT_OK); /* what is under way ends; nothing follows it */
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "old"), "waiting");
  CHECK_INT(kit_task_count(k), 0);
  kit_crash(k); /* it outlives the process */
  kit_boot(k);
  kit_run(k);
  CHECK_INT(kit_task_count(k), 0);
  k->reply = NULL;
  tm_control_resume_many(k->engine, "flow");
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "old"), "done");
  CHECK_STR(kit_state(&b.world, "new"), "done");
  CHECK_INT(orders_left(&b.world), 0);
  kit_box_close(&b);
}

/* Something comes for a run that waits: it is kept, and not acted upon. */
static void a_waiting_run_is_not_woken_while_its_workflow_is_paused(void) {
  kit_box b;
  kit *k = kit_box_open(&b, "{'flow': [['gate', 'g', {'ask': '?'}], ['llm', 'a']]}");
  k->engine->ports.park = true;
  kit_play(k, "r");
  tm_control_pause_many(k->engine, NULL, "", "ann");
  kit_run(k);
  kit_decide(k, "r/g@1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_journal(&b.world, "r"), "start open:1");
  tm_control_resume_many(k->engine, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "r"), "done");
  kit_box_close(&b);
}

static void each_pause_is_lifted_by_its_own_name(void) {
  kit_box b;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&b, two);
  k->reply = hangs;
  kit_play(k, "alone");
  CHECK_INT(order(k, "alone", TM_ORDER_PAUSE), 0);
  kit_finish(k, kit_task_at(k, "a"), KIT_OK);
  kit_run(k);
  tm_control_pause_many(k->engine, NULL, "", "ann");
  tm_control_pause_many(k->engine, "flow", "", "ann");
  kit_run(k);
  kit_play(k, "r");
  k->reply = NULL;
  tm_control_resume_many(k->engine, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "r"), "waiting"); /* its workflow still is */
  tm_control_resume_many(k->engine, "flow");
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "r"), "done");
  CHECK_STR(kit_state(&b.world, "alone"), "waiting"); /* it was paused by its name */
  CHECK_INT(tm_engine_resume(k->engine, "alone", &err), 1);
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "alone"), "done");
  kit_box_close(&b);
}

static void a_cancel_reaches_a_run_whose_workflow_is_paused(void) {
  kit_box b;
  kit *k = kit_box_open(&b, two);
  tm_control_pause_many(k->engine, "flow", "", "ann");
  kit_run(k);
  kit_play(k, "r");
  CHECK_INT(order(k, "r", TM_ORDER_CANCEL), 0);
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "r"), "cancelled");
  kit_box_close(&b);
}

static void a_pause_is_seen_by_the_other_process_and_so_is_its_end(void) {
  pair p;
  open_pair(&p, two);
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  tm_control_pause_many(p.second.engine, "flow", "", "ann");
  both(&p);
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  both(&p);
  CHECK(strstr(kit_reason(&p.world, "r"), "\"workflow\":\"flow\"") != NULL);
  p.first.reply = NULL;
  tm_control_resume_many(p.second.engine, "flow");
  both(&p);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  kit_world_close(&p.world);
}

/* The other one lifts it while a run here is just being put to rest. */
static void a_run_that_rests_too_late_goes_on(void) {
  pair p;
  open_pair(&p, two);
  p.first.reply = hangs;
  kit_play(&p.first, "r");
  tm_control_pause_many(p.second.engine, "flow", "", "ann");
  both(&p);
  tm_control_resume_many(p.second.engine, "flow");
  kit_run(&p.second);
  p.first.reply = NULL;
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  kit_run(&p.first);
  both(&p);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  kit_world_close(&p.world);
}

/* -- the store -------------------------------------------------------------------------- */

static tm_op *put(tm_batch *batch, tm_op_kind kind, const char *run, const char *target,
                  int64_t rank) {
  tm_op *op = tm_batch_add(batch, kind);
  op->u.order = (tm_order_row){
      .target = target, .run = run, .what = "x", .rank = rank, .note = "n", .by = "b"};
  return op;
}

static void the_store_keeps_one_order_for_each_target(void) {
  static const char *const kinds[] = {"memory", "sqlite"};
  for (int i = 0; i < 2; i++) {
    box b;
    int left = 0;
    tm_err err = TM_ERR_INIT;
    box_open(&b, kinds[i]);
    box_add_run(&b, "r1");
    tm_batch *batch = box_batch(&b);
    put(batch, TM_OP_ORDER_NEW, "r1", "run:r1", 2);
    put(batch, TM_OP_ORDER_NEW, "r1", "run:r1", 1); /* weaker */
    put(batch, TM_OP_ORDER_NEW, "r1", "run:r1", 3);
    put(batch, TM_OP_ORDER_NEW, "nobody", "run:nobody", 1);
    put(batch, TM_OP_ORDER_NEW, NULL, "all", 0);
    op_fence(batch, "r1", 9); /* not ours: its group is skipped */
    put(batch, TM_OP_ORDER_DONE, NULL, "run:r1", 0);
    put(batch, TM_OP_ORDER_LIFT, NULL, "all", 0);
    CHECK_INT(box_commit(&b, batch), TM_OK);
    static const tm_op_status want[] = {TM_OP_OK, TM_OP_LOST,   TM_OP_OK,     TM_OP_LOST,
                                        TM_OP_OK, TM_OP_FENCED, TM_OP_FENCED, TM_OP_OK};
    for (int n = 0; n < 8; n++)
      CHECK_INT(b.statuses[n], want[n]);
    b.store->vt->orders(b.store, count_order, &left, &err);
    CHECK_INT(left, 1);
    batch = box_batch(&b);
    op_fence(batch, "r1", 1);
    put(batch, TM_OP_ORDER_DONE, NULL, "run:r1", 0);
    op_state(batch, "done");
    put(batch, TM_OP_ORDER_NEW, "r1", "run:r1", 1); /* it has ended */
    CHECK_INT(box_commit(&b, batch), TM_OK);
    CHECK_INT(b.statuses[3], TM_OP_LOST);
    left = 0;
    b.store->vt->orders(b.store, count_order, &left, &err);
    CHECK_INT(left, 0);
    box_close(&b);
  }
}

CHECK_SUITE(engine_orders) {
  CHECK_RUN(a_cancel_reaches_a_run_that_another_process_has);
  CHECK_RUN(terminate_and_pause_reach_it_too);
  CHECK_RUN(whoever_takes_the_run_up_carries_the_order_out);
  CHECK_RUN(a_run_that_is_resumed_by_its_name_is_past_its_pause);
  CHECK_RUN(a_pause_is_carried_out_once);
  CHECK_RUN(an_order_that_comes_too_late_is_gone);
  CHECK_RUN(a_cancel_goes_down_to_a_child_that_another_process_has);
  CHECK_RUN(a_paused_workflow_begins_nothing_and_goes_on_when_resumed);
  CHECK_RUN(a_waiting_run_is_not_woken_while_its_workflow_is_paused);
  CHECK_RUN(each_pause_is_lifted_by_its_own_name);
  CHECK_RUN(a_cancel_reaches_a_run_whose_workflow_is_paused);
  CHECK_RUN(a_pause_is_seen_by_the_other_process_and_so_is_its_end);
  CHECK_RUN(a_run_that_rests_too_late_goes_on);
  CHECK_RUN(the_store_keeps_one_order_for_each_target);
}
