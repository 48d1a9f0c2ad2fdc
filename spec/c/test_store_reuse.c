/* test_store_reuse.c - what outlives a run: decisions by their keys, answers by their hash; over
 * each driver. And the file of an older schema, brought up to this one.
 */
#include <string.h>

#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

static void open_box(box *b) {
  box_open(b, kind);
  box_add_run(b, "r1"); /* the box's clock stands at 1000 */
}

static const char *kept(box *b, tm_buf *text) {
  const char *s = tm_arena_strdup(&b->arena, tm_buf_str(text));
  tm_buf_free(text);
  return s;
}

/* -- decisions ------------------------------------------------------------------------- */

static tm_op *put_decision(tm_batch *batch, const char *key, const char *value) {
  tm_op *op = tm_batch_add(batch, TM_OP_DECISION);
  op->u.decision = (tm_decision_row){.ns = "flow",
                                     .name = "level",
                                     .key = key,
                                     .input_hash = "",
                                     .value = value,
                                     .run = "r1",
                                     .by = "run r1"};
  return op;
}

/* One decision, by the fenced run; what its op came to. */
static tm_op_status decide(box *b, const char *key, const char *value, int64_t expires,
                           int64_t over) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, "r1", 1);
  tm_op *op = put_decision(batch, key, value);
  op->u.decision.expires = expires;
  op->u.decision.version = over;
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[1];
}

static tm_op_status reopen(box *b, const char *key) {
  tm_batch *batch = box_batch(b);
  tm_batch_add(batch, TM_OP_DECISION_VOID)->u.decision =
      (tm_decision_row){.ns = "flow", .name = "level", .key = key, .by = "ann", .note = "no"};
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[0];
}

static int on_decision(void *ctx, const tm_decision_row *d) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s.%lld=%s", out->len ? " " : "", d->key, (long long)d->version,
                d->value);
  if (d->voided)
    tm_buf_printf(out, "!%s:%s", d->by, d->note ? d->note : "");
  return 0;
}

static const char *decisions(box *b, const tm_decision_filter *f) {
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->decisions(b->store, f, on_decision, &text, &err), 0);
  return kept(b, &text);
}

static const char *all(box *b) {
  return decisions(b, &(tm_decision_filter){.past = true});
}

static void a_decision_that_holds_stays(void) {
  box b;
  open_box(&b);
  CHECK_INT(decide(&b, "k", "1", 1001, 0), TM_OP_OK);
  CHECK_INT(decide(&b, "k", "2", 0, 0), TM_OP_EXISTS);
  CHECK_INT(decide(&b, "other", "3", 0, 0), TM_OP_OK);
  CHECK_STR(all(&b), "k.1=1 other.1=3");
  tm_decision_row key = {.ns = "flow", .name = "level", .key = "k"}, row;
  tm_err err = TM_ERR_INIT;
  REQUIRE(b.store->vt->decision(b.store, &key, &b.arena, &row, &err) == 1);
  CHECK_STR(row.value, "1");
  CHECK_STR(row.run, "r1");
  CHECK_INT(row.at, 1000);
  CHECK_INT(row.expires, 1001);
  CHECK_INT(row.version, 1);
  CHECK_INT(row.voided, 0);
  CHECK(tm_decision_holds(&row, 1000));
  CHECK(!tm_decision_holds(&row, 1001));
  box_close(&b);
}

static void one_that_expired_is_followed_and_kept(void) {
  box b;
  open_box(&b);
  CHECK_INT(decide(&b, "k", "1", 1000, 0), TM_OP_OK); /* its time is over at once */
  CHECK_INT(decide(&b, "k", "2", 0, 0), TM_OP_OK);
  CHECK_INT(decide(&b, "k", "3", 0, 0), TM_OP_EXISTS);
  CHECK_STR(all(&b), "k.2=2 k.1=1");
  CHECK_STR(decisions(&b, &(tm_decision_filter){.key = "k"}), "k.2=2");
  box_close(&b);
}

static void one_that_is_reopened_is_followed_and_kept_with_who_and_why(void) {
  box b;
  open_box(&b);
  CHECK_INT(reopen(&b, "k"), TM_OP_LOST);
  CHECK_INT(decide(&b, "k", "1", 0, 0), TM_OP_OK);
  CHECK_INT(reopen(&b, "k"), TM_OP_OK);
  CHECK_INT(reopen(&b, "k"), TM_OP_LOST);
  CHECK_STR(all(&b), "k.1=1!ann:no");
  CHECK_INT(decide(&b, "k", "2", 0, 0), TM_OP_OK);
  CHECK_STR(all(&b), "k.2=2 k.1=1!ann:no");
  box_close(&b);
}

static void of_two_that_reopen_one_version_the_first_wins(void) {
  box b;
  open_box(&b);
  CHECK_INT(decide(&b, "k", "1", 0, 0), TM_OP_OK);
  CHECK_INT(decide(&b, "k", "2", 0, 1), TM_OP_OK);
  CHECK_INT(decide(&b, "k", "3", 0, 1), TM_OP_EXISTS);
  CHECK_STR(all(&b), "k.2=2 k.1=1!run r1:");
  box_close(&b);
}

static void a_fenced_run_decides_nothing_and_a_person_always_may(void) {
  box b;
  open_box(&b);
  CHECK_INT(decide(&b, "k", "1", 0, 0), TM_OP_OK);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 99);
  put_decision(batch, "new", "2");
  tm_batch_add(batch, TM_OP_DECISION_VOID)->u.decision =
      (tm_decision_row){.ns = "flow", .name = "level", .key = "k", .by = "ann"};
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[1], TM_OP_FENCED);
  CHECK_INT(b.statuses[2], TM_OP_OK);
  CHECK_STR(all(&b), "k.1=1!ann:");
  box_close(&b);
}

static void they_are_listed_by_workflow_name_and_key(void) {
  box b;
  open_box(&b);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  put_decision(batch, "b", "1");
  put_decision(batch, "a", "2");
  put_decision(batch, "c", "3")->u.decision.name = "age";
  put_decision(batch, "d", "4")->u.decision.ns = "a flow";
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_STR(all(&b), "d.1=4 c.1=3 a.1=2 b.1=1");
  CHECK_STR(decisions(&b, &(tm_decision_filter){.ns = "flow", .name = "level"}), "a.1=2 b.1=1");
  CHECK_STR(decisions(&b, &(tm_decision_filter){.ns = "flow", .key = "c"}), "c.1=3");
  CHECK_STR(decisions(&b, &(tm_decision_filter){.ns = "nobody"}), "");
  box_close(&b);
}

/* -- answers --------------------------------------------------------------------------- */

static tm_op_status cache(box *b, const char *hash, const char *scope, const char *value,
                          int64_t expires) {
  static const float vector[2] = {0.6f, 0.8f};
  tm_batch *batch = box_batch(b);
  op_fence(batch, "r1", 1);
  tm_batch_add(batch, TM_OP_CACHE)->u.cache =
      (tm_cache_row){.hash = hash,
                     .scope = scope,
                     .value = value,
                     .vector = scope ? vector : NULL,
                     .vector_len = scope ? sizeof vector : 0,
                     .run = "r1",
                     .expires = expires};
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[1];
}

static int on_answer(void *ctx, const tm_cache_row *row) {
  tm_buf *out = ctx;
  float vector[2] = {0, 0};
  if (row->vector_len == sizeof vector)
    memcpy(vector, row->vector, sizeof vector);
  tm_buf_printf(out, "%s%s=%s", out->len ? " " : "", row->hash, row->value);
  CHECK(vector[0] == 0.6f && vector[1] == 0.8f);
  return 0;
}

static const char *similar(box *b, const char *scope, int64_t now, int64_t limit) {
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->similar(b->store, scope, now, limit, on_answer, &text, &err), 0);
  return kept(b, &text);
}

static const char *cached(box *b, const char *hash) {
  tm_cache_row row;
  tm_err err = TM_ERR_INIT;
  int found = b->store->vt->cached(b->store, hash, &b->arena, &row, &err);
  if (found != 1)
    return found == 0 ? "none" : "an error";
  return tm_arena_printf(&b->arena, "%s by %s at %lld until %lld", row.value, row.run,
                         (long long)row.at, (long long)row.expires);
}

static void the_first_answer_to_a_hash_stays_until_it_expires(void) {
  box b;
  open_box(&b);
  CHECK_STR(cached(&b, "h"), "none");
  CHECK_INT(cache(&b, "h", NULL, "1", 1001), TM_OP_OK);
  CHECK_INT(cache(&b, "h", NULL, "2", 0), TM_OP_EXISTS);
  CHECK_STR(cached(&b, "h"), "1 by r1 at 1000 until 1001");
  CHECK_INT(cache(&b, "old", NULL, "3", 1000), TM_OP_OK);
  CHECK_INT(cache(&b, "old", NULL, "4", 0), TM_OP_OK);
  CHECK_STR(cached(&b, "old"), "4 by r1 at 1000 until 0");
  box_close(&b);
}

static void answers_of_a_scope_come_newest_first_and_bounded(void) {
  box b;
  open_box(&b);
  cache(&b, "a", "s", "1", 0);
  cache(&b, "b", "s", "2", 1500);
  cache(&b, "c", "other", "3", 0);
  cache(&b, "d", NULL, "4", 0);
  cache(&b, "e", "s", "5", 0);
  CHECK_STR(similar(&b, "s", 1000, 10), "e=5 b=2 a=1");
  CHECK_STR(similar(&b, "s", 1500, 10), "e=5 a=1");
  CHECK_STR(similar(&b, "s", 1000, 2), "e=5 b=2");
  CHECK_STR(similar(&b, "none", 1000, 10), "");
  box_close(&b);
}

static void an_expired_answer_of_a_scope_is_followed_by_the_new_one_alone(void) {
  box b;
  open_box(&b);
  cache(&b, "a", "s", "1", 1000);
  cache(&b, "b", "s", "2", 0);
  cache(&b, "a", "s", "3", 0);
  CHECK_STR(similar(&b, "s", 0, 10), "a=3 b=2");
  box_close(&b);
}

static void a_fenced_run_keeps_no_answer(void) {
  box b;
  open_box(&b);
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 99);
  tm_batch_add(batch, TM_OP_CACHE)->u.cache =
      (tm_cache_row){.hash = "h", .value = "1", .run = "r1"};
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[1], TM_OP_FENCED);
  CHECK_STR(cached(&b, "h"), "none");
  box_close(&b);
}

/* -- the file of an older schema -------------------------------------------------------- */

static void decisions_of_an_older_schema_hold_for_ever(void) {
  box b;
  box_open_old(&b, 4,
               "INSERT INTO tm_decision (ns, name, key, value, run, at)"
               " VALUES ('flow', 'level', 'k', '1', 'r1', 1)");
  box_add_run(&b, "r1");
  CHECK_INT(decide(&b, "k", "2", 0, 0), TM_OP_EXISTS);
  CHECK_STR(all(&b), "k.1=1");
  CHECK_INT(decide(&b, "k", "3", 0, 1), TM_OP_OK);
  CHECK_INT(cache(&b, "a", "s", "1", 0), TM_OP_OK);
  box_reopen(&b);
  CHECK_STR(all(&b), "k.2=3 k.1=1!run r1:");
  CHECK_STR(similar(&b, "s", 1000, 10), "a=1");
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void run_all(const char *of) {
  kind = of;
  CHECK_RUN(a_decision_that_holds_stays);
  CHECK_RUN(one_that_expired_is_followed_and_kept);
  CHECK_RUN(one_that_is_reopened_is_followed_and_kept_with_who_and_why);
  CHECK_RUN(of_two_that_reopen_one_version_the_first_wins);
  CHECK_RUN(a_fenced_run_decides_nothing_and_a_person_always_may);
  CHECK_RUN(they_are_listed_by_workflow_name_and_key);
  CHECK_RUN(the_first_answer_to_a_hash_stays_until_it_expires);
  CHECK_RUN(answers_of_a_scope_come_newest_first_and_bounded);
  CHECK_RUN(an_expired_answer_of_a_scope_is_followed_by_the_new_one_alone);
  CHECK_RUN(a_fenced_run_keeps_no_answer);
}

CHECK_SUITE(store_reuse_memory) {
  run_all("memory");
}

CHECK_SUITE(store_reuse_sqlite) {
  run_all("sqlite");
  CHECK_RUN(decisions_of_an_older_schema_hold_for_ever);
}
