/* test_store_drop.c - what is taken out of a store, and what is not, over each driver. */
#include <string.h>

#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

static tm_op *op_drop(tm_batch *batch, const char *id, int64_t records) {
  tm_op *op = tm_batch_add(batch, TM_OP_RUN_DROP);
  op->u.run = (tm_run_row){.id = id, .epoch = 1, .records = records};
  return op;
}

/* An ended run of so many records; its parent may be NULL. */
static void add_ended(box *b, const char *id, const char *parent, int64_t records) {
  tm_batch *batch = box_batch(b);
  op_run(batch, id)->u.run.parent = parent;
  for (int64_t seq = 0; seq < records; seq++)
    op_record(batch, seq, "x");
  op_state(batch, "done");
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static tm_op_status drop(box *b, const char *id, int64_t records) {
  tm_batch *batch = box_batch(b);
  op_drop(batch, id, records);
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[0];
}

static int64_t last_swept;

static void swept(tm_batch *batch, const tm_err *err) {
  CHECK_STR(err->msg, "");
  last_swept = batch->first->u.sweep.swept;
  ((box *)batch->ctx)->told++;
  tm_batch_free(&batch);
}

static int64_t sweep(box *b, int64_t limit) {
  tm_batch *batch = box_batch(b);
  batch->done = swept;
  tm_batch_add(batch, TM_OP_SWEEP)->u.sweep.limit = limit;
  box_send(b, batch);
  box_wait(b);
  return last_swept;
}

static void sweep_all(box *b) {
  while (sweep(b, 2) > 0)
    CHECK_STR(box_verify(b), "");
}

/* -- runs ------------------------------------------------------------------------------ */

static void a_dropped_run_is_gone_and_its_id_is_free(void) {
  box b;
  tm_run_filter all = {.id = NULL}, by_prefix = {.prefix = "/"};
  box_open(&b, kind);
  add_ended(&b, "r1", NULL, 5);
  add_ended(&b, "r2", NULL, 3);
  CHECK_INT(drop(&b, "r1", 5), TM_OP_OK);
  CHECK(!box_run(&b, "r1"));
  CHECK_STR(box_ids(&b, &all), "r2");
  CHECK_STR(box_ids(&b, &by_prefix), "");
  CHECK_STR(box_journal(&b, "r1", 0), "");
  CHECK_STR(box_verify(&b), "");
  add_ended(&b, "r1", NULL, 2); /* while the old one's records may still be there */
  sweep_all(&b);
  CHECK_STR(box_journal(&b, "r1", 0), "0:x 1:x");
  CHECK_STR(box_journal(&b, "r2", 0), "0:x 1:x 2:x");
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void a_sweep_takes_no_more_than_it_may(void) {
  box b;
  if (strcmp(kind, "memory") == 0)
    return; /* a run goes whole there */
  box_open(&b, kind);
  add_ended(&b, "r1", NULL, 7);
  add_ended(&b, "r2", NULL, 4);
  box_add_run(&b, "r3");
  CHECK_INT(drop(&b, "r1", 7), TM_OP_OK);
  CHECK_INT(drop(&b, "r2", 4), TM_OP_OK);
  CHECK_INT(sweep(&b, 5), 5);
  CHECK_STR(box_verify(&b), ""); /* in the middle of a journal */
  box_reopen(&b);
  CHECK_INT(sweep(&b, 5), 5);
  CHECK_INT(sweep(&b, 5), 1);
  CHECK_INT(sweep(&b, 5), 0);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void put_answer(box *b, const char *hash, int64_t expires) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, "r1", 1);
  tm_batch_add(batch, TM_OP_CACHE)->u.cache =
      (tm_cache_row){.hash = hash, .value = "1", .run = "r1", .expires = expires};
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static bool has_answer(box *b, const char *hash) {
  tm_cache_row row;
  tm_err err = TM_ERR_INIT;
  return b->store->vt->cached(b->store, hash, &b->arena, &row, &err) == 1;
}

static void a_sweep_takes_answers_that_have_expired(void) {
  box b;
  box_open(&b, kind); /* the box's clock stands at 1000 */
  box_add_run(&b, "r1");
  put_answer(&b, "old", 900);
  put_answer(&b, "older", 800);
  put_answer(&b, "fresh", 1001);
  put_answer(&b, "lasting", 0);
  CHECK_INT(sweep(&b, 1), 1);
  CHECK_INT(sweep(&b, 10), 1);
  CHECK_INT(sweep(&b, 10), 0);
  CHECK(!has_answer(&b, "old") && !has_answer(&b, "older"));
  CHECK(has_answer(&b, "fresh") && has_answer(&b, "lasting"));
  box_close(&b);
}

static void what_has_changed_or_lives_is_not_dropped(void) {
  box b;
  box_open(&b, kind);
  add_ended(&b, "ended", NULL, 2);
  box_add_run(&b, "queued");
  CHECK_INT(drop(&b, "ended", 1), TM_OP_LOST); /* it has another record by now */
  CHECK_INT(drop(&b, "queued", 0), TM_OP_LOST);
  CHECK_INT(drop(&b, "nobody", 0), TM_OP_LOST);
  CHECK(box_run(&b, "ended") && box_run(&b, "queued"));

  tm_batch *batch = box_batch(&b); /* retried in the same transaction */
  op_fence(batch, "ended", 1);
  op_record(batch, 2, "x");
  op_drop(batch, "ended", 2);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[2], TM_OP_LOST);
  CHECK_STR(box_journal(&b, "ended", 0), "0:x 1:x 2:x");
  box_close(&b);
}

static void a_parent_goes_behind_its_children(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "living");
  add_ended(&b, "its-child", "living", 1);
  add_ended(&b, "parent", NULL, 1);
  add_ended(&b, "child", "parent", 1);
  CHECK_INT(drop(&b, "its-child", 1), TM_OP_LOST);
  CHECK_INT(drop(&b, "parent", 1), TM_OP_LOST);
  CHECK_INT(drop(&b, "child", 1), TM_OP_OK);
  CHECK_INT(drop(&b, "parent", 1), TM_OP_OK);
  CHECK(box_run(&b, "its-child"));
  box_close(&b);
}

static tm_op *op_effect(tm_batch *batch, tm_op_kind op_kind) {
  tm_op *op = tm_batch_add(batch, op_kind);
  op->u.effect = (tm_effect_row){
      .ns = "flow", .action = "pay", .key = "k", .args_hash = "h", .place = "1"};
  return op;
}

static void an_effect_in_doubt_keeps_its_run_and_a_result_outlives_it(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  tm_effect_row key = {.ns = "flow", .action = "pay", .key = "k"}, row;
  box_open(&b, kind);
  add_ended(&b, "r1", NULL, 1);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_effect(batch, TM_OP_EFFECT_CLAIM);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.store->vt->in_doubt(b.store, "r1", &err), 1);
  CHECK_INT(drop(&b, "r1", 1), TM_OP_LOST);

  batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  op_effect(batch, TM_OP_EFFECT_DONE)->u.effect.result = "7";
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.store->vt->in_doubt(b.store, "r1", &err), 0);
  CHECK_INT(drop(&b, "r1", 1), TM_OP_OK);
  CHECK_INT(b.store->vt->effect(b.store, &key, &b.arena, &row, &err), 1);
  CHECK_STR(row.result, "7");
  CHECK_STR(row.run, "r1");

  batch = box_batch(&b); /* another run, which asks for the same */
  op_run(batch, "r2");
  op_effect(batch, TM_OP_EFFECT_CLAIM);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[1], TM_OP_EXISTS);
  CHECK_STR(b.found_effect->result, "7");
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void gates_and_signals_go_with_their_run(void) {
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  op_run(batch, "r1");
  op_record(batch, 0, "x");
  tm_batch_add(batch, TM_OP_GATE_NEW)->u.gate =
      (tm_gate_row){.id = "r1/ask", .place = "1", .name = "ask", .body = "{}"};
  tm_op *op = tm_batch_add(batch, TM_OP_SIGNAL_EMIT);
  op->u.signal = (tm_signal_row){.run = "r1", .sid = "s", .name = "e", .body = "{}"};
  op_state(batch, "failed");
  op_run(batch, "r2");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(drop(&b, "r1", 1), TM_OP_OK);
  CHECK(!box_gate(&b, "r1/ask"));
  sweep_all(&b);
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

/* -- contents -------------------------------------------------------------------------- */

static void add_with(box *b, const char *id, const char *closure) {
  static const tm_content files[] = {{"f1", "one", 3}, {"f2", "two", 3}};
  tm_batch *batch = box_batch(b);
  tm_op *op = tm_batch_add(batch, TM_OP_CLOSURE);
  op->u.closure.manifest = (tm_content){closure, "{}", 2};
  op->u.closure.files = files;
  op->u.closure.count = 2;
  op_run(batch, id)->u.run.closure = closure;
  op_record(batch, 0, "x");
  op_state(batch, "done");
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static int list_content(void *ctx, const tm_unused *row) {
  tm_buf_printf(ctx, "%s:%lld ", row->hash, (long long)row->uses);
  return 0;
}

static const char *closures(box *b, const char *run) {
  tm_buf out = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->closures(b->store, run, list_content, &out, &err), 0);
  const char *text = tm_arena_strdup(&b->arena, tm_buf_str(&out));
  tm_buf_free(&out);
  return text;
}

static int keep_content(void *ctx, const tm_unused *row) {
  ((tm_unused *)ctx)->seen_run = row->seen_run;
  ((tm_unused *)ctx)->seen_closure = row->seen_closure;
  return 0;
}

/* As it is told now. */
static tm_unused look(box *b, const char *hash) {
  tm_unused u = {.hash = hash};
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->closures(b->store, NULL, keep_content, &u, &err), 0);
  return u;
}

static tm_op_status drop_content(box *b, tm_op_kind op_kind, tm_unused u) {
  tm_batch *batch = box_batch(b);
  tm_batch_add(batch, op_kind)->u.unused = u;
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[0];
}

static void a_closure_stays_while_a_run_has_or_had_it(void) {
  box b;
  box_open(&b, kind);
  add_with(&b, "r1", "c1");
  add_with(&b, "r2", "c2");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  tm_batch_add(batch, TM_OP_RUN_PIN)->u.run.closure = "c2"; /* moved */
  CHECK_INT(box_commit(&b, batch), TM_OK);
  add_with(&b, "r3", "c3");
  CHECK_STR(closures(&b, NULL), "c1:1 c2:2 c3:1 ");
  CHECK_INT(drop_content(&b, TM_OP_CLOSURE_DROP, look(&b, "c1")), TM_OP_LOST);
  CHECK_INT(drop(&b, "r1", 1), TM_OP_OK);
  CHECK_STR(closures(&b, NULL), "c1:0 c2:1 c3:1 ");
  CHECK_INT(drop_content(&b, TM_OP_CLOSURE_DROP, look(&b, "c1")), TM_OP_OK);
  CHECK_STR(closures(&b, NULL), "c2:1 c3:1 ");
  CHECK_STR(closures(&b, "r2"), "c2:1 ");
  CHECK_INT(drop(&b, "r3", 1), TM_OP_OK);
  CHECK_INT(drop_content(&b, TM_OP_CLOSURE_DROP, look(&b, "c3")), TM_OP_LOST); /* the newest */
  box_close(&b);
}

static void what_came_since_it_was_looked_at_counts(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  const char *bytes;
  size_t len;
  box_open(&b, kind);
  add_with(&b, "r1", "c1");
  add_with(&b, "r2", "c2");
  CHECK_INT(drop(&b, "r1", 1), TM_OP_OK);
  tm_unused before = look(&b, "c1"), file = look(&b, "f1");
  add_with(&b, "r3", "c1"); /* by a process that had it in memory */
  CHECK_INT(drop_content(&b, TM_OP_CLOSURE_DROP, before), TM_OP_LOST);
  add_with(&b, "r4", "c3");
  CHECK_INT(drop_content(&b, TM_OP_BLOB_DROP, file), TM_OP_LOST);
  CHECK_INT(drop_content(&b, TM_OP_BLOB_DROP, look(&b, "f1")), TM_OP_OK);
  CHECK_INT(b.store->vt->blob(b.store, "f1", &b.arena, &bytes, &len, &err), 0);
  CHECK_INT(b.store->vt->blob(b.store, "f2", &b.arena, &bytes, &len, &err), 1);
  box_close(&b);
}

static void a_closure_that_was_dropped_is_stored_again_by_who_needs_it(void) {
  box b;
  tm_err err = TM_ERR_INIT;
  const char *bytes;
  size_t len;
  box_open(&b, kind);
  add_with(&b, "r1", "c1");
  add_with(&b, "r2", "c2");
  CHECK_INT(drop(&b, "r1", 1), TM_OP_OK);
  CHECK_INT(drop_content(&b, TM_OP_CLOSURE_DROP, look(&b, "c1")), TM_OP_OK);
  CHECK_INT(drop_content(&b, TM_OP_BLOB_DROP, look(&b, "f1")), TM_OP_OK);
  add_with(&b, "r3", "c1");
  CHECK_STR(closures(&b, NULL), "c2:1 c1:1 ");
  CHECK_INT(b.store->vt->blob(b.store, "f1", &b.arena, &bytes, &len, &err), 1);
  box_close(&b);
}

static void run_all(const char *what) {
  kind = what;
  CHECK_RUN(a_dropped_run_is_gone_and_its_id_is_free);
  CHECK_RUN(a_sweep_takes_no_more_than_it_may);
  CHECK_RUN(a_sweep_takes_answers_that_have_expired);
  CHECK_RUN(what_has_changed_or_lives_is_not_dropped);
  CHECK_RUN(a_parent_goes_behind_its_children);
  CHECK_RUN(an_effect_in_doubt_keeps_its_run_and_a_result_outlives_it);
  CHECK_RUN(gates_and_signals_go_with_their_run);
  CHECK_RUN(a_closure_stays_while_a_run_has_or_had_it);
  CHECK_RUN(what_came_since_it_was_looked_at_counts);
  CHECK_RUN(a_closure_that_was_dropped_is_stored_again_by_who_needs_it);
}

CHECK_SUITE(store_drop_memory) {
  run_all("memory");
}

CHECK_SUITE(store_drop_sqlite) {
  run_all("sqlite");
}
