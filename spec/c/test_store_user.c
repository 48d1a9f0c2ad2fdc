/* test_store_user.c - statements of the user's in the transaction of a batch: the store's half. */
#include <string.h>

#include "check.h"
#include "store_box.h"

static tm_code last; /* of the last statement */

/* The rows as JSON; "" when it failed. */
static const char *query(box *b, const char *text) {
  tm_query q = {.text = text, .len = strlen(text)};
  tm_rows out;
  tm_err err = TM_ERR_INIT;
  int rc = b->store->vt->query(b->store, &q, &b->arena, &out, &err);
  last = err.code;
  return rc == 0 ? tm_json_text(&b->arena, out.rows, NULL) : "";
}

static void begin(box *b) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->begin(b->store, &err), 0);
}

/* What is there for good, seen by a transaction of its own. */
static const char *stored(box *b, const char *text) {
  begin(b);
  const char *rows = query(b, text);
  b->store->vt->abandon(b->store);
  return rows;
}

static void open_with_table(box *b) {
  box_open(b, "sqlite");
  box_add_run(b, "r1");
  begin(b);
  CHECK_STR(query(b, "create table t (a integer primary key)"), "[]");
  tm_batch *batch = box_batch(b);
  op_fence(batch, "r1", 1);
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static void statements_and_batch_are_one_transaction(void) {
  box b;
  open_with_table(&b);
  begin(&b);
  CHECK_STR(query(&b, "insert into t values (7) returning a"), "[{\"a\":7}]");
  CHECK_STR(query(&b, "select a from t"), "[{\"a\":7}]");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_record(batch, 0, "with it");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  box_reopen(&b);
  CHECK_STR(stored(&b, "select a from t"), "[{\"a\":7}]");
  CHECK_STR(box_journal(&b, "r1", 0), "0:with it");
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void what_is_abandoned_was_never_there(void) {
  box b;
  open_with_table(&b);
  begin(&b);
  query(&b, "insert into t values (7)");
  query(&b, "create table other (x)");
  b.store->vt->abandon(b.store);
  CHECK_STR(stored(&b, "select a from t"), "[]");
  CHECK_STR(stored(&b, "select x from other"), "");
  CHECK_INT(last, TM_USAGE);
  CHECK_INT(box_append(&b, "r1", 0, 2), TM_OK); /* the store goes on */
  begin(&b);
  query(&b, "insert into t values (8)");
  box_reopen(&b); /* closed in the midst of it */
  CHECK_STR(stored(&b, "select a from t"), "[]");
  CHECK_STR(box_journal(&b, "r1", 0), "0:x 1:x");
  box_close(&b);
}

static void it_begins_behind_all_that_was_committed_before(void) {
  box b;
  open_with_table(&b);
  for (int64_t seq = 0; seq < 40; seq++) { /* on the writer's thread, still under way */
    tm_batch *batch = box_batch(&b);
    op_fence(batch, "r1", 1);
    op_record(batch, seq, "x");
    box_send(&b, batch);
  }
  begin(&b);
  CHECK_INT(box_run(&b, "r1")->records, 40);
  query(&b, "insert into t values (1)");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_record(batch, 40, "x");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(box_run(&b, "r1")->records, 41);
  CHECK_STR(stored(&b, "select count(*) as n from t"), "[{\"n\":1}]");
  box_close(&b);
}

static void nobody_else_writes_meanwhile(void) {
  box a, b;
  tm_err err = TM_ERR_INIT;
  open_with_table(&a);
  REQUIRE(box_open_url(&b, a.url, &err) == 0);
  tm_store_close(&b.store);
  b.host.busy_ms = 5;
  box_reopen(&b);
  begin(&a);
  query(&a, "insert into t values (1)");
  CHECK_INT(b.store->vt->begin(b.store, &err), -1);
  CHECK_INT(err.code, TM_TEMP);
  CHECK_STR(box_ids(&b, &(tm_run_filter){.id = NULL}), "r1"); /* reading goes on */
  tm_batch *batch = box_batch(&a);
  op_fence(batch, "r1", 1);
  CHECK_INT(box_commit(&a, batch), TM_OK);
  CHECK_STR(stored(&b, "select a from t"), "[{\"a\":1}]");
  box_close(&b);
  box_close(&a);
}

static void errors_say_whose_fault_it_is(void) {
  static const struct {
    const char *text;
    tm_code code;
  } cases[] = {{"insert into t values ('x')", TM_CONFLICT},
               {"insert into t values (1), (1)", TM_CONFLICT},
               {"insert into nothing values (1)", TM_USAGE},
               {"select * from tm_run", TM_USAGE},
               {"commit", TM_USAGE},
               {"select 1; select 2", TM_USAGE},
               {"select ?", TM_USAGE},
               {"select zeroblob(1000000000000)", TM_LIMIT}};
  box b;
  open_with_table(&b);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    begin(&b);
    CHECK_STR(query(&b, cases[i].text), "");
    if (last != cases[i].code)
      CHECK_STR(cases[i].text, tm_err_word(last));
    b.store->vt->abandon(b.store);
  }
  begin(&b);
  query(&b, "create table u (a references t deferrable initially deferred)");
  query(&b, "insert into u values (5)");
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b.store->vt->check(b.store, &err), -1);
  CHECK_INT(err.code, TM_CONFLICT);
  query(&b, "insert into t values (5)");
  CHECK_INT(b.store->vt->check(b.store, &err), 0);
  b.store->vt->abandon(b.store);
  box_close(&b);
}

CHECK_SUITE(store_user) {
  CHECK_RUN(statements_and_batch_are_one_transaction);
  CHECK_RUN(what_is_abandoned_was_never_there);
  CHECK_RUN(it_begins_behind_all_that_was_committed_before);
  CHECK_RUN(nobody_else_writes_meanwhile);
  CHECK_RUN(errors_say_whose_fault_it_is);
}
