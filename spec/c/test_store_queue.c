/* test_store_queue.c - what stands in line: signals of a run, runs for a lock, children; over
 * each driver. And the file of the first schema, brought up to this one.
 */
#include <sqlite3.h>
#include <string.h>

#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

static tm_signal_row *put_signal(tm_batch *b, tm_op_kind op, const char *run, const char *sid) {
  tm_op *o = tm_batch_add(b, op);
  o->u.signal = (tm_signal_row){.run = run, .sid = sid, .name = "paid", .body = "1", .at = 7};
  return &o->u.signal;
}

static void at_place(tm_batch *b, tm_op_kind op, const char *sid, const char *place) {
  put_signal(b, op, NULL, sid)->place = place;
}

static void put_lock(tm_batch *b, tm_op_kind op, const char *key) {
  tm_batch_add(b, op)->u.lock = (tm_lock_row){.ns = "flow", .key = key};
}

static int on_signal(void *ctx, const tm_signal_row *s) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s.%s=%s@%s", out->len ? " " : "", s->name, s->sid, s->body,
                s->place ? s->place : "-");
  return 0;
}

static int on_lock(void *ctx, const tm_lock_row *l) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s:%s", out->len ? " " : "", l->key, l->run);
  return 0;
}

static const char *kept(box *b, tm_buf *text) {
  const char *s = tm_arena_strdup(&b->arena, tm_buf_str(text));
  tm_buf_free(text);
  return s;
}

static const char *signals(box *b, const tm_signal_filter *f) {
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->signals(b->store, f, on_signal, &text, &err), 0);
  return kept(b, &text);
}

static const char *locks(box *b, const tm_lock_filter *f) {
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->locks(b->store, f, on_lock, &text, &err), 0);
  return kept(b, &text);
}

static const char *line(box *b, const char *key) {
  return locks(b, &(tm_lock_filter){.ns = "flow", .key = key});
}

/* -- signals --------------------------------------------------------------------------- */

static void signals_stand_in_the_order_in_which_they_came(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "b");
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "a")->name = "sent";
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "c");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1"}), "paid.b=1@- sent.a=1@- paid.c=1@-");
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1", .name = "paid"}),
            "paid.b=1@- paid.c=1@-");
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1", .sid = "a"}), "sent.a=1@-");
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r"}), "");
  box_close(&b);
}

static void a_signal_of_the_same_sid_is_kept_once(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  tm_batch *batch = box_batch(&b);
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "a");
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "a")->body = "2";
  put_signal(batch, TM_OP_SIGNAL_NEW, "r2", "a");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[0], TM_OP_OK);
  CHECK_INT(b.statuses[1], TM_OP_EXISTS);
  CHECK_INT(b.statuses[2], TM_OP_OK);
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1"}), "paid.a=1@-");
  box_close(&b);
}

static void a_run_that_has_ended_takes_no_signal(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "early");
  op_fence(batch, "r1", 1);
  op_state(batch, "done");
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "late");
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "early"); /* again: it was taken then */
  put_signal(batch, TM_OP_SIGNAL_NEW, "nobody", "x");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  static const tm_op_status want[] = {TM_OP_OK,   TM_OP_OK,     TM_OP_OK,
                                      TM_OP_LOST, TM_OP_EXISTS, TM_OP_LOST};
  for (int i = 0; i < 6; i++)
    CHECK_INT(b.statuses[i], want[i]);
  box_close(&b);
}

static void a_signal_is_used_by_one_place_and_can_be_given_back(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "a");
  op_fence(batch, "r1", 1);
  at_place(batch, TM_OP_SIGNAL_CONSUME, "a", "1");
  at_place(batch, TM_OP_SIGNAL_CONSUME, "a", "1");
  at_place(batch, TM_OP_SIGNAL_CONSUME, "a", "2");
  at_place(batch, TM_OP_SIGNAL_FREE, "a", "2");
  at_place(batch, TM_OP_SIGNAL_CONSUME, "none", "1");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  static const tm_op_status want[] = {TM_OP_OK,   TM_OP_OK,   TM_OP_OK,  TM_OP_OK,
                                      TM_OP_LOST, TM_OP_LOST, TM_OP_LOST};
  for (int i = 0; i < 7; i++)
    CHECK_INT(b.statuses[i], want[i]);
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1"}), "paid.a=1@1");
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1", .pending = true}), "");
  batch = box_batch(&b);
  op_fence(batch, "r1", 1);
  at_place(batch, TM_OP_SIGNAL_FREE, "a", "1");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1", .pending = true}), "paid.a=1@-");
  box_close(&b);
}

static void a_fenced_run_sends_and_uses_nothing(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 9);
  put_signal(batch, TM_OP_SIGNAL_EMIT, "r2", "never");
  put_lock(batch, TM_OP_LOCK_WANT, "k");
  put_signal(batch, TM_OP_SIGNAL_NEW, "r2", "from outside");
  op_fence(batch, "r1", 1);
  put_signal(batch, TM_OP_SIGNAL_EMIT, "r2", "sent");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r2"}),
            "paid.from outside=1@- paid.sent=1@-");
  CHECK_STR(line(&b, "k"), "");
  box_close(&b);
}

static void pending_signals_move_and_used_ones_stay(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "a");
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "b");
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "c");
  op_fence(batch, "r1", 1);
  at_place(batch, TM_OP_SIGNAL_CONSUME, "a", "1");
  op_run(batch, "r1~2");
  put_signal(batch, TM_OP_SIGNAL_MOVE, "r1", NULL);
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1"}), "paid.a=1@1");
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1~2"}), "paid.b=1@- paid.c=1@-");
  box_close(&b);
}

/* -- locks ----------------------------------------------------------------------------- */

static void join(box *b, const char *run, const char *key) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, run, 1);
  put_lock(batch, TM_OP_LOCK_WANT, key);
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static void leave(box *b, const char *run, const char *key) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, run, 1);
  put_lock(batch, TM_OP_LOCK_DROP, key);
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static void the_first_in_line_has_the_lock(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  box_add_run(&b, "r2");
  box_add_run(&b, "r3");
  join(&b, "r2", "k");
  CHECK_INT(b.statuses[1], TM_OP_OK);
  join(&b, "r3", "k");
  CHECK_INT(b.statuses[1], TM_OP_EXISTS);
  join(&b, "r1", "k");
  join(&b, "r1", "other");
  CHECK_INT(b.statuses[1], TM_OP_OK);
  join(&b, "r2", "k"); /* once more: it has it */
  CHECK_INT(b.statuses[1], TM_OP_OK);
  CHECK_STR(line(&b, "k"), "k:r2 k:r3 k:r1");
  leave(&b, "r2", "k");
  CHECK_STR(line(&b, "k"), "k:r3 k:r1");
  join(&b, "r2", "k");
  CHECK_STR(line(&b, "k"), "k:r3 k:r1 k:r2"); /* at the end again */
  join(&b, "r3", "k");
  CHECK_INT(b.statuses[1], TM_OP_OK);
  CHECK_STR(locks(&b, &(tm_lock_filter){.run = "r1"}), "k:r1 other:r1");
  leave(&b, "r1", NULL);
  CHECK_STR(locks(&b, &(tm_lock_filter){.run = "r1"}), "");
  CHECK_STR(line(&b, "k"), "k:r3 k:r2");
  box_close(&b);
}

/* -- children -------------------------------------------------------------------------- */

static void a_chained_run_needs_the_group_before_it(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 9);
  op_run(batch, "r1:1")->chained = true;
  op_record(batch, 0, "never");
  op_fence(batch, "r1", 1);
  op_record(batch, 0, "asked");
  op_run(batch, "r1:2")->chained = true;
  op_record(batch, 0, "born");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK(!box_run(&b, "r1:1"));
  CHECK_INT(b.statuses[1], TM_OP_FENCED);
  CHECK_INT(b.statuses[2], TM_OP_FENCED);
  CHECK_STR(box_journal(&b, "r1:2", 0), "0:born");
  box_close(&b);
}

static void children_are_found_by_their_parent(void) {
  box b;
  box_open(&b, kind);
  tm_batch *batch = box_batch(&b);
  op_run(batch, "p");
  op_run(batch, "p:1")->u.run.parent = "p";
  op_run(batch, "p:2")->u.run.parent = "p";
  op_state(batch, "done");
  op_run(batch, "q:1")->u.run.parent = "q";
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_STR(box_ids(&b, &(tm_run_filter){.parent = "p"}), "p:2 p:1");
  CHECK_STR(box_ids(&b, &(tm_run_filter){.parent = "p", .unfinished = true}), "p:1");
  CHECK_STR(box_ids(&b, &(tm_run_filter){.parent = "p", .id = "q:1"}), "");
  CHECK_STR(box_ids(&b, &(tm_run_filter){.parent = "nobody"}), "");
  box_close(&b);
}

/* -- the file of the first schema ------------------------------------------------------ */

/* What the first release left: without this schema's tables, and with a run in it. */
static void make_old(const char *path) {
  sqlite3 *db;
  REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
  CHECK_INT(sqlite3_exec(db,
                         "DROP TABLE tm_signal; DROP TABLE tm_lock; DROP INDEX tm_run_parent;"
                         "DROP TABLE tm_cell; DROP TABLE tm_spent; DROP TABLE tm_spending;"
                         "PRAGMA user_version = 1",
                         NULL, NULL, NULL),
            SQLITE_OK);
  sqlite3_close(db);
}

static void a_file_of_the_first_schema_is_brought_up(void) {
  box b;
  box_open(&b, "sqlite");
  box_add_run(&b, "r1");
  CHECK_INT(box_append(&b, "r1", 0, 2), TM_OK);
  tm_store_close(&b.store);
  make_old(box_path(&b, ""));
  box_reopen(&b);
  CHECK_STR(box_journal(&b, "r1", 0), "0:x 1:x");
  tm_batch *batch = box_batch(&b);
  put_signal(batch, TM_OP_SIGNAL_NEW, "r1", "a");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  join(&b, "r1", "k");
  box_reopen(&b);
  CHECK_STR(signals(&b, &(tm_signal_filter){.run = "r1"}), "paid.a=1@-");
  CHECK_STR(line(&b, "k"), "k:r1");
  CHECK_STR(box_verify(&b), "");
  box_close(&b);
}

static void run_all(const char *of) {
  kind = of;
  CHECK_RUN(signals_stand_in_the_order_in_which_they_came);
  CHECK_RUN(a_signal_of_the_same_sid_is_kept_once);
  CHECK_RUN(a_run_that_has_ended_takes_no_signal);
  CHECK_RUN(a_signal_is_used_by_one_place_and_can_be_given_back);
  CHECK_RUN(a_fenced_run_sends_and_uses_nothing);
  CHECK_RUN(pending_signals_move_and_used_ones_stay);
  CHECK_RUN(the_first_in_line_has_the_lock);
  CHECK_RUN(a_chained_run_needs_the_group_before_it);
  CHECK_RUN(children_are_found_by_their_parent);
}

CHECK_SUITE(store_queue_memory) {
  run_all("memory");
}

CHECK_SUITE(store_queue_sqlite) {
  run_all("sqlite");
  CHECK_RUN(a_file_of_the_first_schema_is_brought_up);
}
