/* test_engine_like.c - a look for like answers that is under way: what ends it, and who goes on. */
#include <string.h>

#include "check.h"
#include "engine/reuse.h"
#include "engine_kit.h"

#define ASK                                                                                 \
  "{'flow': [['llm', 'a', {'text': '%s', 'cache': {'similar': 0.5, 'of': 'text', 'embed': " \
  "'e/m'}}]]}"

static tm_look *looking; /* the one that is held up */
static tm_store_vt slow;

static void hold_up(tm_store *s, tm_look *look) {
  (void)s;
  look->err = TM_ERR_INIT;
  looking = look;
}

static void let_go(kit *k) {
  tm_look *look = looking;
  REQUIRE(look);
  looking = NULL;
  slow.similar(&k->store, look->scope, look->now, look->limit, look->fn, look->ctx, &look->err);
  look->done(look);
  kit_run(k);
}

static void put_done(tm_batch *b, const tm_err *err) {
  CHECK_INT(err->code, TM_OK);
  tm_batch_free(&b);
}

/* The vector of a text is known, so nobody is asked for it. */
static void know(kit *k, const char *text) {
  tm_batch *b = tm_batch_new();
  tm_json *o = tm_json_new_object(&b->arena);
  tm_json_set_str(&b->arena, o, "embed", "e/m");
  tm_json_set_str(&b->arena, o, "input", text);
  tm_batch_add(b, TM_OP_CACHE)->u.cache =
      (tm_cache_row){.hash = tm_arena_strdup(&b->arena, tm_json_hash(o).hex),
                     .value = "[0.6,0.8]",
                     .run = "before"};
  b->done = put_done;
  k->world->disk->vt->commit(k->world->disk, b);
  kit_run(k);
}

static void ask(kit_box *box, kit *k, const char *id, const char *text) {
  char sources[200];
  snprintf(sources, sizeof sources, ASK, text);
  box->world.sources = kit_text(&box->world, sources);
  kit_play(k, id);
}

static kit *open_box(kit_box *box) {
  kit *k = kit_box_open(box, ASK);
  slow = *k->store.vt;
  slow.look = hold_up;
  k->store.vt = &slow;
  looking = NULL;
  know(k, "one");
  know(k, "two");
  ask(box, k, "first", "one");
  let_go(k);
  CHECK_INT(k->started, 1);
  ask(box, k, "like", "two");
  CHECK_INT(k->engine->looks, 1);
  return k;
}

static void give(kit *k, const char *run, tm_order order) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_control_give(k->engine, run, order, "", "ann", &err), 0);
  kit_run(k);
}

static void others_go_on_until_it_ends(void) {
  kit_box box;
  kit *k = open_box(&box);
  box.world.sources = kit_text(&box.world, "{'flow': [['llm', 'b']]}");
  kit_play(k, "other");
  CHECK_STR(kit_state(&box.world, "other"), "done");
  CHECK_STR(kit_state(&box.world, "like"), "running");
  let_go(k);
  CHECK(strstr(kit_record(&box.world, "like", "done", "1"), "\"hit\":\"similar\""));
  CHECK_STR(kit_result(&box.world, "like"), kit_result(&box.world, "first"));
  CHECK_INT(k->started, 2);
  kit_box_close(&box);
}

static void a_run_may_end_before(void) {
  kit_box box;
  kit *k = open_box(&box);
  give(k, "like", TM_ORDER_TERMINATE);
  CHECK_STR(kit_state(&box.world, "like"), "cancelled");
  CHECK_INT(k->engine->tasks, 0);
  let_go(k);
  CHECK_INT(k->engine->looks, 0);
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void a_run_that_pauses_looks_once_more(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit *k = open_box(&box);
  give(k, "like", TM_ORDER_PAUSE);
  let_go(k);
  CHECK_STR(kit_state(&box.world, "like"), "waiting");
  CHECK_INT(tm_engine_resume(k->engine, "like", &err), 1);
  kit_run(k);
  let_go(k);
  CHECK_STR(kit_result(&box.world, "like"), kit_result(&box.world, "first"));
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void the_same_question_follows_it(void) {
  kit_box box;
  kit *k = open_box(&box);
  ask(&box, k, "same", "two");
  CHECK_INT(k->engine->looks, 1);
  let_go(k);
  CHECK_STR(kit_result(&box.world, "same"), kit_result(&box.world, "first"));
  ask(&box, k, "again", "two"); /* a hit is kept by its own question only when it was asked */
  let_go(k);
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

CHECK_SUITE(engine_like) {
  CHECK_RUN(others_go_on_until_it_ends);
  CHECK_RUN(a_run_may_end_before);
  CHECK_RUN(a_run_that_pauses_looks_once_more);
  CHECK_RUN(the_same_question_follows_it);
}
