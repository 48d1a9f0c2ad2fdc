/* test_store.c - what every store has to do: one suite, run over each driver. */
#include "base/buf.h"
#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

/* -- runs ------------------------------------------------------------------------------ */

static void a_new_run_is_read_back_with_all_its_fields(void) {
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  tm_batch_add(batch, TM_OP_RUN_NEW)->u.run = (tm_run_row){.id = "r1",
                                                           .workflow = "ticket",
                                                           .state = "running",
                                                           .reason = "{\"why\":1}",
                                                           .owner = "host:1",
                                                           .closure = "cl",
                                                           .input_hash = "in",
                                                           .parent = "r0",
                                                           .epoch = 3,
                                                           .wake_at = 77,
                                                           .created = 55,
                                                           .records = 9};
  CHECK_INT(box_commit(&b, batch), TM_OK);
  const tm_run_row *r = box_run(&b, "r1");
  REQUIRE(r);
  CHECK_STR(r->id, "r1");
  CHECK_STR(r->workflow, "ticket");
  CHECK_STR(r->state, "running");
  CHECK_STR(r->reason, "{\"why\":1}");
  CHECK_STR(r->owner, "host:1");
  CHECK_STR(r->closure, "cl");
  CHECK_STR(r->input_hash, "in");
  CHECK_STR(r->parent, "r0");
  CHECK(!r->result);
  CHECK_INT(r->epoch, 3);
  CHECK_INT(r->wake_at, 77);
  CHECK_INT(r->created, 55);
  CHECK_INT(r->updated, 1000);
  CHECK_INT(r->records, 0); /* counted by the store, not taken over */
  CHECK(!box_run(&b, "r"));
  box_close(&b);
}

static void a_second_run_of_an_id_is_told_and_its_group_skipped(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  CHECK_INT(box_append(&b, "r1", 0, 2), TM_OK);
  tm_batch *batch = box_batch(&b);
  op_run(batch, "r1")->u.run.workflow = "another";
  op_record(batch, 0, "never");
  op_state(batch, "done");
  op_run(batch, "r2");
  op_record(batch, 0, "kept");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_EXISTS);
  CHECK_INT(b.statuses[1], TM_OP_FENCED);
  CHECK_INT(b.statuses[2], TM_OP_FENCED);
  CHECK_INT(b.statuses[3], TM_OP_OK);
  CHECK_INT(b.statuses[4], TM_OP_OK);
  REQUIRE(b.found_run);
  CHECK_STR(b.found_run->workflow, "flow");
  CHECK_INT(b.found_run->records, 2);
  CHECK_STR(box_journal(&b, "r1", 0), "0:x 1:x");
  CHECK_STR(box_journal(&b, "r2", 0), "0:kept");
  CHECK_STR(box_run(&b, "r1")->state, "queued");
  box_close(&b);
}

static void the_found_run_counts_records_of_the_same_transaction(void) {
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  op_run(batch, "r1");
  op_record(batch, 0, "x");
  op_record(batch, 1, "x");
  box_send(&b, batch);
  batch = box_batch(&b);
  op_run(batch, "r1");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_EXISTS);
  REQUIRE(b.found_run);
  CHECK_INT(b.found_run->records, 2);
  box_close(&b);
}

static void a_claim_raises_the_epoch_and_a_late_one_is_lost(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  op_claim(batch, "r1", 1, "me");
  op_record(batch, 0, "mine");
  op_claim(batch, "r1", 1, "too late");
  op_record(batch, 1, "never");
  op_claim(batch, "nobody", 1, "me");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_OK);
  CHECK_INT(b.statuses[1], TM_OP_OK);
  CHECK_INT(b.statuses[2], TM_OP_LOST);
  CHECK_INT(b.statuses[3], TM_OP_FENCED);
  CHECK_INT(b.statuses[4], TM_OP_LOST);
  CHECK_INT(box_run(&b, "r1")->epoch, 2);
  CHECK_STR(box_run(&b, "r1")->owner, "me");
  CHECK_STR(box_journal(&b, "r1", 0), "0:mine");
  box_close(&b);
}

static void a_fence_of_another_epoch_skips_its_group_only(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "old");
  box_add_run(&b, "good");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "old", 2);
  op_record(batch, 0, "never");
  tm_batch_add(batch, TM_OP_BLOB)->u.blob.hash = "in no group";
  op_fence(batch, "nobody", 1);
  op_record(batch, 0, "never");
  op_fence(batch, "good", 1);
  op_record(batch, 0, "yes");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  static const tm_op_status want[] = {TM_OP_FENCED, TM_OP_FENCED, TM_OP_OK, TM_OP_FENCED,
                                      TM_OP_FENCED, TM_OP_OK,     TM_OP_OK};
  for (int i = 0; i < 7; i++)
    CHECK_INT(b.statuses[i], want[i]);
  CHECK_STR(box_journal(&b, "old", 0), "");
  CHECK_STR(box_journal(&b, "good", 0), "0:yes");
  box_close(&b);
}

static void run_set_without_a_state_sets_the_owner_alone(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  tm_batch_add(batch, TM_OP_RUN_SET)->u.run = (tm_run_row){
      .state = "waiting", .reason = "a gate", .wake_at = 9, .owner = "me", .result = "42"};
  CHECK_INT(box_commit(&b, batch), TM_OK);
  const tm_run_row *r = box_run(&b, "r1");
  CHECK_STR(r->state, "waiting");
  CHECK_STR(r->reason, "a gate");
  CHECK_STR(r->owner, "me");
  CHECK_STR(r->result, "42");
  CHECK_INT(r->wake_at, 9);
  batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_state(batch, NULL)->u.run.owner = "";
  CHECK_INT(box_commit(&b, batch), TM_OK);
  r = box_run(&b, "r1");
  CHECK_STR(r->state, "waiting");
  CHECK_STR(r->owner, "");
  CHECK_STR(r->reason, "a gate");
  CHECK_STR(r->result, "42");
  CHECK_INT(r->wake_at, 9);
  batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_state(batch, "running");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  r = box_run(&b, "r1");
  CHECK(!r->reason && !r->owner && !r->result);
  CHECK_INT(r->wake_at, 0);
  box_close(&b);
}

static void runs_are_found_by_every_filter_newest_first(void) {
  static const struct {
    const char *id, *workflow, *state;
  } rows[] = {
      {"a1", "x", "queued"},      {"a2", "y", "running"}, {"a%", "x", "waiting"},
      {"ab", "x", "done"},        {"b1", "y", "failed"},  {"a_", "y", "cancelled"},
      {"a\x7f", "y", "diverged"}, {"B", "x", "running"},
  };
  static const struct {
    tm_run_filter f;
    const char *want;
  } cases[] = {
      {{.id = NULL}, "B a\x7f a_ b1 ab a% a2 a1"},
      {{.id = "a%"}, "a%"},
      {{.id = "a"}, ""},
      {{.prefix = "a"}, "a\x7f a_ ab a% a2 a1"},
      {{.prefix = "a%"}, "a%"},
      {{.prefix = "a_"}, "a_"},
      {{.prefix = ""}, "B a\x7f a_ b1 ab a% a2 a1"},
      {{.prefix = "zz"}, ""},
      {{.workflow = "y"}, "a\x7f a_ b1 a2"},
      {{.state = "running"}, "B a2"},
      {{.state = "failed"}, "b1"},
      {{.unfinished = true}, "B a% a2 a1"},
      {{.unfinished = true, .state = "done"}, ""},
      {{.unfinished = true, .prefix = "a", .workflow = "x"}, "a% a1"},
      {{.prefix = "a", .state = "done"}, "ab"},
      {{.id = "ab", .unfinished = true}, ""},
      {{.id = "a1", .unfinished = true, .prefix = "a", .workflow = "x"}, "a1"},
      {{.id = "a1", .prefix = "b"}, ""},
      {{.limit = 2}, "B a\x7f"},
      {{.unfinished = true, .limit = 1}, "B"},
      {{.prefix = "a", .limit = 3}, "a\x7f a_ ab"},
  };
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    tm_op *op = op_run(batch, rows[i].id);
    op->u.run.workflow = rows[i].workflow;
    op->u.run.state = rows[i].state;
  }
  CHECK_INT(box_commit(&b, batch), TM_OK);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    CHECK_STR(box_ids(&b, &cases[i].f), cases[i].want);
  box_close(&b);
}

static void a_run_that_ends_is_no_longer_unfinished(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  static const char *const states[] = {"running", "waiting", "done", "queued", "failed"};
  for (int i = 0; i < 5; i++) {
    tm_batch *batch = box_batch(&b);
    op_fence(batch, "r1", 1);
    op_state(batch, states[i]);
    CHECK_INT(box_commit(&b, batch), TM_OK);
    bool ended = i == 2 || i == 4;
    CHECK_STR(box_ids(&b, &(tm_run_filter){.unfinished = true}), ended ? "" : "r1");
  }
  box_close(&b);
}

/* -- journals -------------------------------------------------------------------------- */

static int check_record(void *ctx, const tm_record *r) {
  int *seen = ctx;
  CHECK_INT(r->kind, 7);
  CHECK_STR(r->place, "1.2");
  CHECK_STR(r->name, "unit");
  CHECK_STR(r->chain, "c0ffee");
  return ++*seen == 2; /* enough */
}

static void records_come_back_in_order_from_any_seq(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  int seen = 0;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  for (int i = 0; i < 3; i++) { /* the two journals interleave on disk */
    CHECK_INT(box_append(&b, "r1", i * 2, i * 2 + 2), TM_OK);
    CHECK_INT(box_append(&b, "r2", i, i + 1), TM_OK);
  }
  CHECK_STR(box_journal(&b, "r1", 0), "0:x 1:x 2:x 3:x 4:x 5:x");
  CHECK_STR(box_journal(&b, "r1", 4), "4:x 5:x");
  CHECK_STR(box_journal(&b, "r1", 6), "");
  CHECK_STR(box_journal(&b, "r1", 99), "");
  CHECK_STR(box_journal(&b, "r2", -1), "0:x 1:x 2:x");
  CHECK_STR(box_journal(&b, "nobody", 0), "");
  CHECK_INT(box_run(&b, "r1")->records, 6);
  CHECK_INT(b.store->vt->journal(b.store, "r1", 0, check_record, &seen, &err), 0);
  CHECK_INT(seen, 2);
  box_close(&b);
}

static void write_chain(void *sealed) {
  char *chain = sealed;
  strcat(chain, "ee");
}

static void a_batch_is_sealed_once_before_it_is_written(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  int seen = 0;
  char chain[16] = "c0ff";
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_record(batch, 0, "x")->u.record.chain = chain;
  batch->seal = write_chain;
  batch->sealed = chain;
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_STR(chain, "c0ffee");
  CHECK_INT(b.store->vt->journal(b.store, "r1", 0, check_record, &seen, &err), 0);
  CHECK_INT(seen, 1);
  box_close(&b);
}

static void a_record_out_of_order_ends_the_store_s_work(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  CHECK_INT(box_append(&b, "r1", 1, 2), TM_INTERNAL);
  CHECK(strstr(b.err.msg, "record 1"));
  CHECK_INT(box_append(&b, "r1", 0, 1), TM_INTERNAL); /* no commit any more */
  CHECK_STR(box_journal(&b, "r1", 0), "");
  box_close(&b);
}

static void empty_and_large_bodies_are_kept(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_buf big = TM_BUF_INIT;
  while (big.len < 300000)
    tm_buf_puts(&big, "large and larger, \xc3\xa4\xe2\x82\xac ");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_record(batch, 0, "");
  op_record(batch, 1, big.data);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  const char *got = box_journal(&b, "r1", 0);
  CHECK(strncmp(got, "0: 1:", 5) == 0 && strcmp(got + 5, big.data) == 0);
  tm_buf_free(&big);
  box_close(&b);
}

/* -- contents -------------------------------------------------------------------------- */

static void put(tm_batch *batch, tm_op_kind what, const char *hash, const char *bytes,
                size_t len) {
  tm_op *op = tm_batch_add(batch, what);
  op->u.blob.hash = hash;
  op->u.blob.bytes = bytes;
  op->u.blob.len = len;
}

static void blobs_and_closures_are_stored_once_byte_for_byte(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  const char *bytes = NULL;
  size_t len = 0;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  put(batch, TM_OP_BLOB, "h1", "a\0b", 3);
  put(batch, TM_OP_BLOB, "h1", "other", 5);
  put(batch, TM_OP_BLOB, "h0", "", 0);
  put(batch, TM_OP_CLOSURE, "h1", "{}", 2);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.store->vt->blob(b.store, "h1", &b.arena, &bytes, &len, &err), 1);
  CHECK(len == 3 && memcmp(bytes, "a\0b", 4) == 0); /* and the NUL behind it */
  CHECK_INT(b.store->vt->blob(b.store, "h0", &b.arena, &bytes, &len, &err), 1);
  CHECK(len == 0 && bytes && !*bytes);
  CHECK_INT(b.store->vt->blob(b.store, "h2", &b.arena, &bytes, &len, &err), 0);
  CHECK_INT(b.store->vt->closure(b.store, "h1", &b.arena, &bytes, &len, &err), 1);
  CHECK(len == 2 && strcmp(bytes, "{}") == 0);
  CHECK_INT(b.store->vt->closure(b.store, "h0", &b.arena, &bytes, &len, &err), 0);
  box_close(&b);
}

static void a_full_arena_is_an_error_and_not_the_end(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  tm_arena small;
  const char *bytes;
  size_t len;
  static const char large[5000] = "x";
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  put(batch, TM_OP_BLOB, "h", large, sizeof large);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  tm_arena_init(&small, 4000);
  CHECK_INT(b.store->vt->blob(b.store, "h", &small, &bytes, &len, &err), -1);
  CHECK_INT(err.code, TM_LIMIT);
  tm_arena_free(&small);
  box_close(&b);
}

/* -- order ----------------------------------------------------------------------------- */

typedef struct queue_check {
  box *b;
  int64_t next;
} queue_check;

static void told_in_turn(tm_batch *batch, const tm_err *err) {
  queue_check *q = batch->ctx;
  CHECK_INT(err->code, TM_OK);
  CHECK_INT(batch->first->next->u.record.seq, q->next);
  q->next++;
  q->b->told++;
  tm_batch_free(&batch);
}

static void send_in_turn(queue_check *q, int64_t seq, bool alone) {
  tm_batch *batch = box_batch(q->b);
  batch->done = told_in_turn;
  batch->ctx = q;
  batch->alone = alone;
  op_fence(batch, "r1", 1);
  op_record(batch, seq, "x");
  box_send(q->b, batch);
}

static void commits_are_told_later_and_in_their_order(void) {
  box b;
  box_open(&b, kind);
  queue_check q = {&b, 0};
  box_add_run(&b, "r1");
  for (int64_t i = 0; i < 500; i++)
    send_in_turn(&q, i, i % 7 == 0); /* the store must not trust `alone` blindly */
  CHECK_INT(q.next, 0);              /* nothing is told before the owner's thread turns to it */
  box_wait(&b);
  CHECK_INT(q.next, 500);
  CHECK_INT(box_run(&b, "r1")->records, 500);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void a_lone_commit_is_told_later_too(void) {
  box b;
  box_open(&b, kind);
  queue_check q = {&b, 0};
  box_add_run(&b, "r1");
  for (int64_t i = 0; i < 20; i++) {
    send_in_turn(&q, i, true);
    CHECK_INT(q.next, i);
    box_wait(&b);
    CHECK_INT(q.next, i + 1);
  }
  box_close(&b);
}

static void closing_waits_for_what_is_queued(void) {
  box b;
  box_open(&b, kind);
  queue_check q = {&b, 0};
  box_add_run(&b, "r1");
  for (int64_t i = 0; i < 100; i++)
    send_in_turn(&q, i, false);
  tm_store_close(&b.store);
  CHECK_INT(q.next, 0);
  box_wait(&b);
  CHECK_INT(q.next, 100);
  box_close(&b);
}

/* -- reading while reading ------------------------------------------------------------- */

static int count_records(void *ctx, const tm_record *r) {
  (void)r;
  ++*(int *)ctx;
  return 0;
}

typedef struct nested {
  box *b;
  int runs, inner, records;
} nested;

static int count_inner(void *ctx, const tm_run_row *row) {
  (void)row;
  ++*(int *)ctx;
  return 0;
}

static int read_inside(void *ctx, const tm_run_row *row) {
  nested *n = ctx;
  tm_err err = TM_ERR_INIT;
  tm_store *s = n->b->store;
  n->runs++;
  CHECK_INT(s->vt->runs(s, &(tm_run_filter){.id = NULL}, count_inner, &n->inner, &err), 0);
  CHECK_INT(s->vt->journal(s, row->id, 0, count_records, &n->records, &err), 0);
  return 0;
}

static void reads_may_stand_inside_each_other(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  box_open(&b, kind);
  nested n = {.b = &b};
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  CHECK_INT(box_append(&b, "r1", 0, 3), TM_OK);
  CHECK_INT(box_append(&b, "r2", 0, 2), TM_OK);
  CHECK_INT(b.store->vt->runs(b.store, &(tm_run_filter){.id = NULL}, read_inside, &n, &err), 0);
  CHECK_INT(n.runs, 2);
  CHECK_INT(n.inner, 4);
  CHECK_INT(n.records, 5);
  box_close(&b);
}

static void its_own_commits_are_no_change_to_it(void) {
  box b;
  box_open(&b, kind);
  CHECK(!b.store->vt->changed(b.store));
  box_add_run(&b, "r1");
  CHECK(box_run(&b, "r1"));
  CHECK(!b.store->vt->changed(b.store));
  box_close(&b);
}

static void run_all(const char *what) {
  kind = what;
  CHECK_RUN(a_new_run_is_read_back_with_all_its_fields);
  CHECK_RUN(a_second_run_of_an_id_is_told_and_its_group_skipped);
  CHECK_RUN(the_found_run_counts_records_of_the_same_transaction);
  CHECK_RUN(a_claim_raises_the_epoch_and_a_late_one_is_lost);
  CHECK_RUN(a_fence_of_another_epoch_skips_its_group_only);
  CHECK_RUN(run_set_without_a_state_sets_the_owner_alone);
  CHECK_RUN(runs_are_found_by_every_filter_newest_first);
  CHECK_RUN(a_run_that_ends_is_no_longer_unfinished);
  CHECK_RUN(records_come_back_in_order_from_any_seq);
  CHECK_RUN(a_batch_is_sealed_once_before_it_is_written);
  CHECK_RUN(a_record_out_of_order_ends_the_store_s_work);
  CHECK_RUN(empty_and_large_bodies_are_kept);
  CHECK_RUN(blobs_and_closures_are_stored_once_byte_for_byte);
  CHECK_RUN(a_full_arena_is_an_error_and_not_the_end);
  CHECK_RUN(commits_are_told_later_and_in_their_order);
  CHECK_RUN(a_lone_commit_is_told_later_too);
  CHECK_RUN(closing_waits_for_what_is_queued);
  CHECK_RUN(reads_may_stand_inside_each_other);
  CHECK_RUN(its_own_commits_are_no_change_to_it);
}

CHECK_SUITE(store_memory) {
  run_all("memory");
}

CHECK_SUITE(store_sqlite) {
  run_all("sqlite");
}
