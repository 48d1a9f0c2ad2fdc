/* test_store_claims.c - what only one may have: gates, effects and decisions, over each driver.
 */
#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

/* -- gates ----------------------------------------------------------------------------- */

static void open_gate(tm_batch *batch, const char *id, const char *digest) {
  tm_batch_add(batch, TM_OP_GATE_NEW)->u.gate = (tm_gate_row){.id = id,
                                                              .place = "1",
                                                              .name = "approve",
                                                              .digest = digest,
                                                              .body = "{\"ask\":1}",
                                                              .opened = 5,
                                                              .expires = 60};
}

static void decide_gate(tm_batch *batch, const char *id, const char *digest,
                        const char *state) {
  tm_batch_add(batch, TM_OP_GATE_DECIDE)->u.gate = (tm_gate_row){
      .id = id, .digest = digest, .state = state, .decision = "{}", .by = "ann", .decided = 8};
}

static void a_gate_is_decided_once_and_only_as_it_was_shown(void) {
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  op_run(batch, "r1");
  open_gate(batch, "r1/approve", "d1");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  const tm_gate_row *g = box_gate(&b, "r1/approve");
  REQUIRE(g);
  CHECK_STR(g->run, "r1");
  CHECK_STR(g->workflow, "flow");
  CHECK_STR(g->place, "1");
  CHECK_STR(g->name, "approve");
  CHECK_STR(g->state, "open");
  CHECK_STR(g->digest, "d1");
  CHECK_STR(g->body, "{\"ask\":1}");
  CHECK(!g->decision && !g->by);
  CHECK(g->opened == 5 && g->expires == 60 && g->decided == 0);

  batch = box_batch(&b);
  decide_gate(batch, "r1/approve", "another digest", "approved");
  decide_gate(batch, "r1/nothing", NULL, "approved");
  decide_gate(batch, "r1/approve", "d1", "rejected");
  decide_gate(batch, "r1/approve", "d1", "approved");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_LOST);
  CHECK_INT(b.statuses[1], TM_OP_LOST);
  CHECK_INT(b.statuses[2], TM_OP_OK);
  CHECK_INT(b.statuses[3], TM_OP_LOST);
  g = box_gate(&b, "r1/approve");
  CHECK_STR(g->state, "rejected");
  CHECK_STR(g->decision, "{}");
  CHECK_STR(g->by, "ann");
  CHECK_INT(g->decided, 8);
  box_close(&b);
}

static void gates_open_once_and_close_with_their_run(void) {
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  op_run(batch, "r1");
  open_gate(batch, "r1/a", "");
  open_gate(batch, "r1/b", NULL);
  op_run(batch, "r2");
  open_gate(batch, "r2/a", "");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  open_gate(batch, "r1/a", "again");
  tm_batch_add(batch, TM_OP_GATE_CLOSE)->u.gate.id = "r1/a";
  tm_batch_add(batch, TM_OP_GATE_CLOSE)->u.gate.id = "r1/a";
  tm_batch_add(batch, TM_OP_GATE_CLOSE)->u.gate.id = "r2/a"; /* another run's */
  decide_gate(batch, "r1/b", "", "approved");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  static const tm_op_status want[] = {TM_OP_OK,   TM_OP_EXISTS, TM_OP_OK,
                                      TM_OP_LOST, TM_OP_LOST,   TM_OP_OK};
  for (int i = 0; i < 6; i++)
    CHECK_INT(b.statuses[i], want[i]);
  CHECK_STR(box_gate(&b, "r1/a")->state, "closed");
  CHECK_STR(box_gates(&b, &(tm_gate_filter){.id = NULL}), "r1/a r1/b r2/a");
  CHECK_STR(box_gates(&b, &(tm_gate_filter){.run = "r1"}), "r1/a r1/b");
  CHECK_STR(box_gates(&b, &(tm_gate_filter){.open = true}), "r2/a");
  CHECK_STR(box_gates(&b, &(tm_gate_filter){.run = "r1", .open = true}), "");
  CHECK_STR(box_gates(&b, &(tm_gate_filter){.run = "r2", .open = true}), "r2/a");
  CHECK_STR(box_gates(&b, &(tm_gate_filter){.id = "r2/a", .run = "r1"}), "");
  CHECK_STR(box_gates(&b, &(tm_gate_filter){.id = "r1/a", .open = true}), "");
  box_close(&b);
}

/* -- effects and decisions ------------------------------------------------------------- */

static tm_op *effect(tm_batch *batch, tm_op_kind what, const char *key, const char *place,
                     const char *result) {
  tm_op *op = tm_batch_add(batch, what);
  op->u.effect = (tm_effect_row){.ns = "flow",
                                 .action = "pay",
                                 .key = key,
                                 .args_hash = "args",
                                 .place = place,
                                 .result = result};
  return op;
}

static int read_effect(box *b, const char *key, tm_effect_row *out) {
  tm_err err = TM_ERR_INIT;
  tm_effect_row k = {.ns = "flow", .action = "pay", .key = key};
  return b->store->vt->effect(b->store, &k, &b->arena, out, &err);
}

static void an_effect_belongs_to_the_first_who_claims_it(void) {
  box b;
  tm_effect_row e;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  effect(batch, TM_OP_EFFECT_CLAIM, "T-1", "1.1", NULL);
  effect(batch, TM_OP_EFFECT_CLAIM, "T-1", "1.1", NULL);
  effect(batch, TM_OP_EFFECT_CLAIM, "T-1", "1.2", NULL);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[1], TM_OP_OK);
  CHECK_INT(b.statuses[2], TM_OP_OK);
  CHECK_INT(b.statuses[3], TM_OP_EXISTS);

  batch = box_batch(&b);
  op_fence(batch, "r2", 1);
  effect(batch, TM_OP_EFFECT_CLAIM, "T-1", "1.1", NULL);
  effect(batch, TM_OP_EFFECT_DONE, "T-1", "1.1", "stolen");
  effect(batch, TM_OP_EFFECT_DROP, "T-1", "1.1", NULL);
  op_fence(batch, "r1", 1);
  effect(batch, TM_OP_EFFECT_DONE, "T-1", "1.1", "paid");
  effect(batch, TM_OP_EFFECT_DONE, "T-1", "1.1", "paid twice");
  effect(batch, TM_OP_EFFECT_DROP, "T-1", "1.1", NULL);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  static const tm_op_status want[] = {TM_OP_OK, TM_OP_EXISTS, TM_OP_LOST, TM_OP_LOST,
                                      TM_OP_OK, TM_OP_OK,     TM_OP_LOST, TM_OP_LOST};
  for (int i = 0; i < 8; i++)
    CHECK_INT(b.statuses[i], want[i]);
  REQUIRE(b.found_effect);
  CHECK_STR(b.found_effect->run, "r1");
  CHECK_INT(read_effect(&b, "T-1", &e), 1);
  CHECK_STR(e.result, "paid");
  CHECK_STR(e.run, "r1");
  CHECK_STR(e.place, "1.1");
  CHECK_STR(e.args_hash, "args");
  CHECK_INT(read_effect(&b, "T-2", &e), 0);
  box_close(&b);
}

static void a_dropped_effect_can_be_claimed_by_another(void) {
  box b;
  tm_effect_row e;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  effect(batch, TM_OP_EFFECT_CLAIM, "T-1", "1", NULL);
  effect(batch, TM_OP_EFFECT_DROP, "T-1", "1", NULL);
  effect(batch, TM_OP_EFFECT_DONE, "T-1", "1", "late");
  op_fence(batch, "r2", 1);
  effect(batch, TM_OP_EFFECT_CLAIM, "T-1", "9", NULL);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[2], TM_OP_OK);
  CHECK_INT(b.statuses[3], TM_OP_LOST);
  CHECK_INT(b.statuses[5], TM_OP_OK);
  CHECK_INT(read_effect(&b, "T-1", &e), 1);
  CHECK_STR(e.run, "r2");
  CHECK(!e.result);
  box_close(&b);
}

static void keys_do_not_run_into_each_other(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  tm_decision_row d;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  tm_batch_add(batch, TM_OP_DECISION)->u.decision =
      (tm_decision_row){.ns = "ab", .name = "c", .key = "d", .value = "1"};
  tm_batch_add(batch, TM_OP_DECISION)->u.decision =
      (tm_decision_row){.ns = "a", .name = "bc", .key = "d", .value = "2"};
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_OK);
  CHECK_INT(b.statuses[1], TM_OP_OK);
  tm_decision_row key = {.ns = "a", .name = "bc", .key = "d"};
  CHECK_INT(b.store->vt->decision(b.store, &key, &b.arena, &d, &err), 1);
  CHECK_STR(d.value, "2");
  box_close(&b);
}

static void the_first_decision_stays(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  tm_decision_row d, first = {.ns = "flow",
                              .name = "refund",
                              .key = "T-1",
                              .input_hash = "h",
                              .value = "true",
                              .run = "r1",
                              .at = 3};
  tm_decision_row second = first;
  second.value = "false";
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  tm_batch_add(batch, TM_OP_DECISION)->u.decision = first;
  tm_batch_add(batch, TM_OP_DECISION)->u.decision = second;
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_OK);
  CHECK_INT(b.statuses[1], TM_OP_EXISTS);
  CHECK_INT(b.store->vt->decision(b.store, &first, &b.arena, &d, &err), 1);
  CHECK_STR(d.value, "true");
  CHECK_STR(d.input_hash, "h");
  CHECK_STR(d.run, "r1");
  CHECK_INT(d.at, 3);
  second.key = "T-2";
  CHECK_INT(b.store->vt->decision(b.store, &second, &b.arena, &d, &err), 0);
  box_close(&b);
}

static void run_all(const char *what) {
  kind = what;
  CHECK_RUN(a_gate_is_decided_once_and_only_as_it_was_shown);
  CHECK_RUN(gates_open_once_and_close_with_their_run);
  CHECK_RUN(an_effect_belongs_to_the_first_who_claims_it);
  CHECK_RUN(a_dropped_effect_can_be_claimed_by_another);
  CHECK_RUN(keys_do_not_run_into_each_other);
  CHECK_RUN(the_first_decision_stays);
}

CHECK_SUITE(store_claims_memory) {
  run_all("memory");
}

CHECK_SUITE(store_claims_sqlite) {
  run_all("sqlite");
}
