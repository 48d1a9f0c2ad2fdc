/* test_store_spend.c - budgets: what a day's account allows, holds and counts; over each driver. */
#include <string.h>

#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

#define TODAY "2026-11-20"

static tm_op *put(tm_batch *b, tm_op_kind op, const char *place, int64_t nano) {
  tm_op *o = tm_batch_add(b, op);
  o->u.spend = (tm_spend_row){.scope = "all",
                              .day = TODAY,
                              .place = place,
                              .nano = nano,
                              .calls = op == TM_OP_SPEND_HOLD,
                              .limit_nano = -1,
                              .limit_calls = -1};
  return o;
}

/* One batch of one op, of a run; its status. */
static tm_op_status one(box *b, const char *run, const tm_op *like) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, run, 1);
  tm_op *o = tm_batch_add(batch, like->kind);
  o->u.spend = like->u.spend;
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[1];
}

static tm_op_status hold(box *b, const char *run, const char *place, int64_t nano,
                         int64_t limit_nano, int64_t limit_calls) {
  tm_op like = {.kind = TM_OP_SPEND_HOLD,
                .u.spend = {.scope = "all",
                            .day = TODAY,
                            .place = place,
                            .nano = nano,
                            .calls = 1,
                            .limit_nano = limit_nano,
                            .limit_calls = limit_calls}};
  return one(b, run, &like);
}

static void add(box *b, const char *run, const char *place, int64_t nano) {
  tm_op like = {.kind = TM_OP_SPEND_ADD,
                .u.spend = {.scope = "all", .day = TODAY, .place = place, .nano = nano}};
  CHECK_INT(one(b, run, &like), TM_OP_OK);
}

static void drop(box *b, const char *run, const char *place, int64_t calls) {
  tm_op like = {.kind = TM_OP_SPEND_DROP, .u.spend = {.place = place, .calls = calls}};
  CHECK_INT(one(b, run, &like), TM_OP_OK);
}

/* "spent calls held_nano held_calls" of an account. */
static const char *account(box *b, const char *scope, const char *day) {
  tm_spend_row row;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->account(b->store, scope, day, &row, &err), 0);
  return tm_arena_printf(&b->arena, "%lld %lld %lld %lld", (long long)row.nano,
                         (long long)row.calls, (long long)row.held_nano,
                         (long long)row.held_calls);
}

static void open_runs(box *b) {
  box_open(b, kind);
  box_add_run(b, "r1");
  box_add_run(b, "r2");
}

static void a_call_is_held_until_the_limit_is_reached(void) {
  box b;
  open_runs(&b);
  CHECK_INT(hold(&b, "r1", "1", 60, 100, -1), TM_OP_OK);
  CHECK_INT(hold(&b, "r1", "2", 60, 100, -1), TM_OP_OK); /* the one that may go over */
  CHECK_INT(hold(&b, "r2", "1", 60, 100, -1), TM_OP_EXISTS);
  CHECK_INT(hold(&b, "r1", "2", 60, 100, -1), TM_OP_OK); /* held already */
  CHECK_STR(account(&b, "all", TODAY), "0 0 120 2");
  add(&b, "r1", "1", 30);
  CHECK_STR(account(&b, "all", TODAY), "30 0 90 2");
  drop(&b, "r1", "1", 1);
  CHECK_STR(account(&b, "all", TODAY), "30 1 60 1");
  CHECK_STR(account(&b, "all", "2026-11-21"), "0 0 0 0");
  CHECK_INT(hold(&b, "r2", "1", 60, 100, -1), TM_OP_OK); /* 30 spent, 60 held */
  add(&b, "r1", "2", 80);
  CHECK_INT(hold(&b, "r2", "2", 1, 100, -1), TM_OP_LOST); /* 110 spent */
  CHECK_INT(hold(&b, "r2", "2", 1, 200, -1), TM_OP_OK);
  CHECK_INT(hold(&b, "r2", "3", 1, -1, -1), TM_OP_OK);
  box_close(&b);
}

static void calls_are_counted_when_they_end_and_while_they_last(void) {
  box b;
  open_runs(&b);
  CHECK_INT(hold(&b, "r1", "1", 0, -1, 2), TM_OP_OK);
  CHECK_INT(hold(&b, "r1", "2", 0, -1, 2), TM_OP_OK);
  CHECK_INT(hold(&b, "r1", "3", 0, -1, 2), TM_OP_EXISTS);
  drop(&b, "r1", "2", 0); /* never asked */
  CHECK_INT(hold(&b, "r1", "3", 0, -1, 2), TM_OP_OK);
  drop(&b, "r1", NULL, 1); /* all of the run */
  CHECK_INT(hold(&b, "r2", "1", 0, -1, 2), TM_OP_LOST);
  CHECK_INT(hold(&b, "r2", "1", 0, -1, 3), TM_OP_OK);
  drop(&b, "r1", NULL, 1); /* it holds nothing any more */
  drop(&b, "r2", NULL, 0);
  CHECK_INT(hold(&b, "r2", "1", 0, -1, 3), TM_OP_OK);
  box_close(&b);
}

static void vectors_hold_money_and_no_call(void) {
  box b;
  tm_op vectors = {.kind = TM_OP_SPEND_HOLD,
                   .u.spend = {.scope = "all",
                               .day = TODAY,
                               .place = "1",
                               .nano = 5,
                               .limit_nano = 100,
                               .limit_calls = -1}};
  open_runs(&b);
  CHECK_INT(one(&b, "r1", &vectors), TM_OP_OK);
  CHECK_STR(account(&b, "all", TODAY), "0 0 5 0");
  CHECK_INT(hold(&b, "r2", "1", 0, -1, 1), TM_OP_OK);
  CHECK_INT(hold(&b, "r1", "1", 7, -1, 1), TM_OP_EXISTS); /* the model's call is another hold */
  CHECK_INT(hold(&b, "r1", "1", 7, -1, 2), TM_OP_OK);
  CHECK_STR(account(&b, "all", TODAY), "0 0 7 2");
  drop(&b, "r2", "1", 1);
  CHECK_INT(one(&b, "r2", &vectors), TM_OP_OK);
  drop(&b, "r1", NULL, 1);
  drop(&b, "r2", NULL, 1);
  CHECK_STR(account(&b, "all", TODAY), "0 2 0 0");
  box_close(&b);
}

static void scopes_and_days_are_apart(void) {
  box b;
  open_runs(&b);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  put(batch, TM_OP_SPEND_HOLD, "1", 50)->u.spend.limit_nano = 50;
  tm_op *other = put(batch, TM_OP_SPEND_HOLD, "1", 50);
  other->u.spend.scope = "workflow:x";
  other->u.spend.limit_nano = 50;
  tm_op *later = put(batch, TM_OP_SPEND_HOLD, "2", 50);
  later->u.spend.day = "2026-11-21";
  later->u.spend.limit_nano = 50;
  put(batch, TM_OP_SPEND_HOLD, "3", 50)->u.spend.limit_nano = 50;
  put(batch, TM_OP_SPEND_ADD, "1", 50);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[1], TM_OP_OK);
  CHECK_INT(b.statuses[2], TM_OP_OK);
  CHECK_INT(b.statuses[3], TM_OP_OK);
  CHECK_INT(b.statuses[4], TM_OP_EXISTS);
  CHECK_INT(hold(&b, "r2", "1", 1, 50, -1), TM_OP_LOST);
  box_close(&b);
}

static void a_fenced_run_spends_and_holds_nothing(void) {
  box b;
  open_runs(&b);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 9);
  put(batch, TM_OP_SPEND_HOLD, "1", 50);
  put(batch, TM_OP_SPEND_ADD, "1", 50);
  op_fence(batch, "r2", 1);
  put(batch, TM_OP_SPEND_HOLD, "1", 1)->u.spend.limit_nano = 1;
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[1], TM_OP_FENCED);
  CHECK_INT(b.statuses[4], TM_OP_OK);
  box_close(&b);
}

/* What it spent stays; what is held for it does not, also not for the next run of that name. */
static void a_dropped_run_holds_nothing(void) {
  box b;
  open_runs(&b);
  CHECK_INT(hold(&b, "r1", "1", 60, 100, -1), TM_OP_OK);
  CHECK_INT(hold(&b, "r2", "1", 30, 100, -1), TM_OP_OK);
  add(&b, "r1", "1", 20);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_state(batch, "failed");
  tm_batch_add(batch, TM_OP_RUN_DROP)->u.run = (tm_run_row){.id = "r1", .epoch = 1};
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[2], TM_OP_OK);
  CHECK_STR(account(&b, "all", TODAY), "20 0 30 1");
  box_add_run(&b, "r1");
  drop(&b, "r1", NULL, 1);
  CHECK_STR(account(&b, "all", TODAY), "20 0 30 1");
  CHECK_INT(hold(&b, "r1", "1", 60, 100, -1), TM_OP_OK);
  CHECK_STR(account(&b, "all", TODAY), "20 0 90 2");
  box_close(&b);
}

static void accounts_outlive_the_process(void) {
  box b;
  open_runs(&b);
  CHECK_INT(hold(&b, "r1", "1", 60, 100, -1), TM_OP_OK);
  add(&b, "r1", "1", 20); /* 40 of it stay held */
  box_reopen(&b);
  CHECK_INT(hold(&b, "r2", "1", 60, 60, -1), TM_OP_EXISTS);
  CHECK_INT(hold(&b, "r2", "1", 60, 61, -1), TM_OP_OK);
  CHECK_INT(hold(&b, "r2", "2", 60, 20, -1), TM_OP_LOST);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void run_all(const char *of) {
  kind = of;
  CHECK_RUN(a_call_is_held_until_the_limit_is_reached);
  CHECK_RUN(calls_are_counted_when_they_end_and_while_they_last);
  CHECK_RUN(vectors_hold_money_and_no_call);
  CHECK_RUN(scopes_and_days_are_apart);
  CHECK_RUN(a_fenced_run_spends_and_holds_nothing);
  CHECK_RUN(a_dropped_run_holds_nothing);
}

CHECK_SUITE(store_spend) {
  run_all("memory");
  run_all("sqlite");
  CHECK_RUN(accounts_outlive_the_process);
}
