/* test_store_order.c - orders for runs, workflows and everything; over each driver. */
#include <string.h>

#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

static int on_order(void *ctx, const tm_order_row *o) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s=%s/%s", out->len ? " " : "", o->target, o->what, o->note);
  return 0;
}

static const char *orders(box *b) {
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->orders(b->store, on_order, &text, &err), 0);
  const char *s = tm_arena_strdup(&b->arena, tm_buf_str(&text));
  tm_buf_free(&text);
  return s;
}

static tm_op *op_order(tm_batch *batch, tm_op_kind op, const char *run, int64_t rank,
                       const char *note) {
  tm_op *o = tm_batch_add(batch, op);
  o->u.order = (tm_order_row){
      .target = run ? tm_arena_printf(&batch->arena, "run:%s", run) : "all",
      .run = run,
      .what = rank > 1 ? "cancel" : "pause",
      .rank = rank,
      .note = note,
      .by = "Ada",
  };
  return o;
}

static tm_op_status give(box *b, const char *run, int64_t rank, const char *note) {
  tm_batch *batch = box_batch(b);
  op_order(batch, TM_OP_ORDER_NEW, run, rank, note);
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[0];
}

static tm_op_status lift(box *b, const char *run, int64_t at) {
  tm_batch *batch = box_batch(b);
  op_order(batch, TM_OP_ORDER_LIFT, run, 1, "")->u.order.at = at;
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[0];
}

/* Of the guarded run `by`, for the run `run`. */
static void by_run(box *b, tm_op_kind op, const char *by, const char *run) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, by, 1);
  op_order(batch, op, run, 2, "by a run");
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static void an_order_is_replaced_by_one_that_ranks_no_lower(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  CHECK_INT(give(&b, "r1", 1, "first"), TM_OP_OK);
  CHECK_INT(give(&b, "r1", 1, "second"), TM_OP_OK);
  CHECK_STR(orders(&b), "run:r1=pause/second");
  CHECK_INT(give(&b, "r1", 2, "third"), TM_OP_OK);
  CHECK_INT(give(&b, "r1", 1, "late"), TM_OP_LOST);
  CHECK_STR(orders(&b), "run:r1=cancel/third");
  CHECK_INT(give(&b, NULL, 1, "of all"), TM_OP_OK);
  CHECK_INT(lift(&b, "r1", 0), TM_OP_OK);
  CHECK_INT(lift(&b, "r1", 0), TM_OP_LOST);
  CHECK_STR(orders(&b), "all=pause/of all");
  box_close(&b);
}

static void an_order_is_for_a_run_that_has_not_ended(void) {
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  op_run(batch, "r1");
  op_record(batch, 0, "x");
  op_state(batch, "done");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(give(&b, "r1", 2, "x"), TM_OP_LOST);
  CHECK_INT(give(&b, "none", 2, "x"), TM_OP_LOST);
  CHECK_STR(orders(&b), "");
  box_close(&b);
}

static void an_order_is_lifted_as_it_was_read(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  CHECK_INT(give(&b, "r1", 2, "x"), TM_OP_OK);
  CHECK_INT(lift(&b, "r1", 1), TM_OP_LOST); /* another one, by now */
  CHECK_STR(orders(&b), "run:r1=cancel/x");
  box_close(&b);
}

static void a_run_orders_another_and_carries_out_its_own(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  by_run(&b, TM_OP_ORDER_GIVE, "r1", "r2");
  CHECK_STR(orders(&b), "run:r2=cancel/by a run");
  box_reopen(&b);
  by_run(&b, TM_OP_ORDER_DONE, "r2", "r2");
  CHECK_STR(orders(&b), "");
  by_run(&b, TM_OP_ORDER_DONE, "r2", "r2"); /* nothing was ordered: nothing happens */
  box_close(&b);
}

/* Its id is free again, and the next run of that name was ordered nothing. */
static void an_order_goes_with_its_run(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  CHECK_INT(give(&b, "r1", 2, "x"), TM_OP_OK);
  CHECK_INT(give(&b, "r2", 2, "y"), TM_OP_OK);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_state(batch, "done");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  batch = box_batch(&b);
  tm_batch_add(batch, TM_OP_RUN_DROP)->u.run =
      (tm_run_row){.id = "r1", .epoch = 1, .records = box_run(&b, "r1")->records};
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_OK);
  CHECK_STR(orders(&b), "run:r2=cancel/y");
  box_close(&b);
}

static void run_all(const char *what) {
  kind = what;
  CHECK_RUN(an_order_is_replaced_by_one_that_ranks_no_lower);
  CHECK_RUN(an_order_is_for_a_run_that_has_not_ended);
  CHECK_RUN(an_order_is_lifted_as_it_was_read);
  CHECK_RUN(a_run_orders_another_and_carries_out_its_own);
  CHECK_RUN(an_order_goes_with_its_run);
}

CHECK_SUITE(store_order_memory) {
  run_all("memory");
}

CHECK_SUITE(store_order_sqlite) {
  run_all("sqlite");
}
