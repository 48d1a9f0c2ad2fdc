/* test_store_cell.c - cells: what processes have to agree on; over each driver. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "store_box.h"

static const char *kind; /* of the store under test */

static tm_op *put(tm_batch *b, const char *name, int64_t version, const char *body) {
  tm_op *op = tm_batch_add(b, TM_OP_CELL_PUT);
  op->u.cell = (tm_cell_row){.name = name, .version = version, .body = body};
  return op;
}

static int on_cell(void *ctx, const tm_cell_row *c) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s.%lld=%s", out->len ? " " : "", c->name, (long long)c->version,
                c->body);
  return 0;
}

static const char *cells(box *b, const tm_cell_filter *f) {
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(b->store->vt->cells(b->store, f, on_cell, &text, &err), 0);
  const char *s = tm_arena_strdup(&b->arena, tm_buf_str(&text));
  tm_buf_free(&text);
  return s;
}

static const char *cell(box *b, const char *name) {
  return cells(b, &(tm_cell_filter){.name = name});
}

static tm_op_status write_one(box *b, const char *name, int64_t version, const char *body) {
  tm_batch *batch = box_batch(b);
  put(batch, name, version, body);
  CHECK_INT(box_commit(b, batch), TM_OK);
  return b->statuses[0];
}

static void a_cell_is_written_by_who_knows_its_version(void) {
  box b;
  box_open(&b, kind);
  CHECK_STR(cell(&b, "rate"), "");
  CHECK_INT(write_one(&b, "rate", 0, "one"), TM_OP_OK);
  CHECK_STR(cell(&b, "rate"), "rate.1=one");
  CHECK_INT(write_one(&b, "rate", 1, "two"), TM_OP_OK);
  CHECK_INT(write_one(&b, "rate", 2, "three"), TM_OP_OK);
  CHECK_INT(write_one(&b, "rate", 2, "late"), TM_OP_EXISTS);
  CHECK_INT(write_one(&b, "rate", 0, "new"), TM_OP_EXISTS);
  CHECK_INT(write_one(&b, "none", 1, "x"), TM_OP_LOST);
  CHECK_STR(cell(&b, "rate"), "rate.3=three");
  CHECK_STR(cell(&b, "none"), "");
  box_close(&b);
}

/* What a process was told that it came too late for. */
static tm_cell_row told;
static char told_body[16];

static void keep_found(tm_batch *batch, const tm_err *err) {
  CHECK_INT(err->code, TM_OK);
  const tm_cell_row *found = batch->first->found.cell;
  if (found) {
    told = *found;
    snprintf(told_body, sizeof told_body, "%s", found->body);
  }
  ((box *)batch->ctx)->told++;
  tm_batch_free(&batch);
}

static void the_late_one_is_told_what_stands_there(void) {
  box b;
  box_open(&b, kind);
  write_one(&b, "rate", 0, "one");
  write_one(&b, "rate", 1, "two");
  tm_batch *batch = box_batch(&b);
  batch->done = keep_found;
  put(batch, "rate", 1, "late");
  told = (tm_cell_row){0};
  box_send(&b, batch);
  box_wait(&b);
  CHECK_INT(told.version, 2);
  CHECK_STR(told_body, "two");
  box_close(&b);
}

static void cells_are_listed_by_name(void) {
  box b;
  box_open(&b, kind);
  write_one(&b, "llm/b", 0, "2");
  write_one(&b, "other", 0, "3");
  write_one(&b, "llm/a", 0, "1");
  CHECK_STR(cells(&b, &(tm_cell_filter){.prefix = "llm/"}), "llm/a.1=1 llm/b.1=2");
  CHECK_STR(cells(&b, &(tm_cell_filter){.prefix = ""}), "llm/a.1=1 llm/b.1=2 other.1=3");
  CHECK_STR(cells(&b, &(tm_cell_filter){.prefix = "llm/%"}), "");
  box_close(&b);
}

static void a_cell_is_in_no_group(void) {
  box b;
  box_open(&b, kind);
  box_add_run(&b, "r1");
  tm_batch *batch = box_batch(&b);
  op_fence(batch, "r1", 9);
  put(batch, "rate", 0, "one");
  op_record(batch, 0, "never");
  CHECK_INT(box_commit(&b, batch), TM_OK);
  CHECK_INT(b.statuses[1], TM_OP_OK);
  CHECK_INT(b.statuses[2], TM_OP_FENCED);
  CHECK_STR(cell(&b, "rate"), "rate.1=one");
  box_close(&b);
}

/* -- two writers on one file ----------------------------------------------------------- */

static int read_count(void *ctx, const tm_cell_row *c) {
  tm_cell_row *out = ctx;
  out->version = c->version;
  snprintf(told_body, sizeof told_body, "%s", c->body);
  return 0;
}

/* Add one to the number in the cell, as often as it takes. */
static void add_one(box *b) {
  char body[16];
  do {
    tm_cell_row row = {0};
    tm_err err = TM_ERR_INIT;
    told_body[0] = '\0';
    CHECK_INT(
        b->store->vt->cells(b->store, &(tm_cell_filter){.name = "n"}, read_count, &row, &err),
        0);
    snprintf(body, sizeof body, "%d", atoi(told_body) + 1);
    if (write_one(b, "n", row.version, body) == TM_OP_OK)
      return;
    CHECK_INT(b->statuses[0], TM_OP_EXISTS);
  } while (true);
}

static void of_two_writers_one_is_faster_and_nothing_is_lost(void) {
  box a, b;
  tm_err err = TM_ERR_INIT;
  box_open(&a, "sqlite");
  REQUIRE(box_open_url(&b, a.url, &err) == 0);
  tm_batch *one = box_batch(&a), *other = box_batch(&b);
  put(one, "rate", 0, "a");
  put(other, "rate", 0, "b");
  box_send(&a, one);
  box_send(&b, other);
  box_wait(&a);
  box_wait(&b);
  CHECK_INT((a.statuses[0] == TM_OP_OK) + (b.statuses[0] == TM_OP_OK), 1);
  CHECK_INT((a.statuses[0] == TM_OP_EXISTS) + (b.statuses[0] == TM_OP_EXISTS), 1);
  for (int i = 0; i < 20; i++) {
    add_one(&a);
    add_one(&b);
    add_one(&b);
  }
  CHECK_STR(cell(&a, "n"), "n.60=60");
  CHECK_STR(cell(&b, "n"), "n.60=60");
  box_close(&b);
  box_close(&a);
}

static void a_cell_outlives_its_process(void) {
  box b;
  box_open(&b, "sqlite");
  write_one(&b, "rate", 0, "one");
  box_reopen(&b);
  CHECK_STR(cell(&b, "rate"), "rate.1=one");
  CHECK_INT(write_one(&b, "rate", 1, "two"), TM_OP_OK);
  box_close(&b);
}

static void run_all(const char *of) {
  kind = of;
  CHECK_RUN(a_cell_is_written_by_who_knows_its_version);
  CHECK_RUN(the_late_one_is_told_what_stands_there);
  CHECK_RUN(cells_are_listed_by_name);
  CHECK_RUN(a_cell_is_in_no_group);
}

CHECK_SUITE(store_cell_memory) {
  run_all("memory");
}

CHECK_SUITE(store_cell_sqlite) {
  run_all("sqlite");
  CHECK_RUN(of_two_writers_one_is_faster_and_nothing_is_lost);
  CHECK_RUN(a_cell_outlives_its_process);
}
