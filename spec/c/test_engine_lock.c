/* test_engine_lock.c - one run at a time for a key, in the order in which they came, in every
 * life.
 */
#include <string.h>

#include "check.h"
#include "engine_kit.h"

static const char *const locks = "{'flow': [['lock', 'anna'], ['gate', 'g', {'ask': '?'}], "
                                 "['unlock', 'anna'], ['llm', 'a']]}";

static int on_lock(void *ctx, const tm_lock_row *l) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s", out->len ? " " : "", l->run);
  return 0;
}

/* The runs in the line for a key, the holder first. */
static const char *line(kit *k, const char *key) {
  tm_buf out = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  tm_lock_filter f = {.ns = "flow", .key = key};
  tm_store *d = k->world->disk;
  CHECK_INT(d->vt->locks(d, &f, on_lock, &out, &err), 0);
  const char *text = tm_arena_strdup(&k->world->arena, tm_buf_str(&out));
  tm_buf_free(&out);
  return text;
}

static void answer(kit *k, const char *gate) {
  kit_decide(k, gate, true, NULL);
  kit_run(k);
  CHECK_INT(k->last.code, TM_OK);
}

static void runs_take_turns(void) {
  kit_box box;
  kit *k = kit_box_open(&box, locks);
  kit_play(k, "b");
  kit_play(k, "a");
  kit_play(k, "c");
  CHECK_STR(line(k, "anna"), "b a c");
  CHECK_STR(kit_gates(&box.world), "b/g@2 open");
  CHECK_STR(kit_state(&box.world, "a"), "waiting");
  CHECK_STR(kit_owner(&box.world, "a"), "");
  CHECK_STR(kit_reason(&box.world, "c"),
            "[{\"for\":\"lock\",\"name\":\"anna\",\"place\":\"1\",\"run\":\"b\"}]");
  answer(k, "b/g@2");
  CHECK_STR(kit_state(&box.world, "b"), "done");
  CHECK_STR(line(k, "anna"), "a c");
  answer(k, "a/g@2");
  answer(k, "c/g@2");
  CHECK_STR(kit_state(&box.world, "c"), "done");
  CHECK_STR(line(k, "anna"), "");
  CHECK_STR(kit_journal(&box.world, "a"),
            "start done:1 open:2 decided:2 done:2 note:3 attempt:4 done:4 end");
  kit_box_close(&box);
}

static void other_keys_do_not_wait(void) {
  kit_box box;
  kit *k = kit_box_open(&box, locks);
  kit_play(k, "a");
  box.world.sources = kit_text(&box.world, "{'flow': [['lock', 'bob'], ['llm', 'x']]}");
  kit_play(k, "b");
  CHECK_STR(kit_state(&box.world, "b"), "done");
  CHECK_STR(line(k, "bob"), "");
  kit_box_close(&box);
}

/* An end of any kind lets go. */
static void a_run_that_ends_lets_go(void) {
  static const char *const ends[] = {
      "{'flow': [['lock', 'anna'], ['raise', 'bad']]}",
      "{'flow': [['lock', 'anna'], ['stop']]}",
      "{'flow': [['lock', 'anna'], ['llm', 'a']]}",
  };
  for (size_t i = 0; i < 3; i++) {
    kit_box box;
    kit *k = kit_box_open(&box, locks);
    kit_play(k, "a");
    box.world.sources = kit_text(&box.world, ends[i]);
    kit_start(k, "b");
    box.world.sources = kit_text(&box.world, locks);
    kit_start(k, "c");
    kit_run(k);
    CHECK_STR(line(k, "anna"), "a b c");
    kit_cancel(k, "a");
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "a"), "cancelled");
    CHECK(strcmp(kit_state(&box.world, "b"), "waiting") != 0);
    CHECK_STR(line(k, "anna"), "c");
    CHECK(strstr(kit_gates(&box.world), "c/g@2 open"));
    kit_box_close(&box);
  }
}

static void a_run_that_waits_can_be_cancelled(void) {
  kit_box box;
  kit *k = kit_box_open(&box, locks);
  kit_play(k, "a");
  kit_play(k, "b");
  kit_play(k, "c");
  kit_cancel(k, "b");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "b"), "cancelled");
  CHECK_STR(line(k, "anna"), "a c");
  kit_box_close(&box);
}

static void branches_of_a_run_share_its_lock(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['fork', ["
                              " [['lock', 'anna'], ['sleep', 100], ['unlock', 'anna']],"
                              " [['lock', 'anna'], ['lock', 'anna'], ['unlock', 'anna'],"
                              "  ['gate', 'g', {'ask': '?'}], ['unlock', 'anna']]]],"
                              " ['gate', 'end', {'ask': '?'}]]}");
  kit_play(k, "a");
  CHECK_STR(line(k, "anna"), "a"); /* the second branch holds it */
  CHECK_STR(kit_gates(&box.world), "a/g@1/1.4 open");
  answer(k, "a/g@1/1.4");
  CHECK_STR(line(k, "anna"), "");
  kit_box_close(&box);
}

static void a_branch_that_is_dropped_lets_go(void) {
  for (int dies = 0; dies < 2; dies++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': [['fork', [[['sleep', 100]],"
                                " [['lock', 'anna'], ['gate', 'g', {'ask': '?'}]]],"
                                " {'race': true}], ['gate', 'end', {'ask': '?'}]]}");
    kit_start(k, "a");
    while (!strstr(kit_gates(&box.world), "g@1/1.2") && kit_step(k))
      ;
    CHECK_STR(line(k, "anna"), "a");
    if (dies) {
      while (!kit_record(&box.world, "a", "done", "1/0.1") && kit_step(k))
        ;
      kit_crash(k); /* the race is decided, the lock is still held */
      CHECK_STR(line(k, "anna"), "a");
      kit_boot(k);
    }
    kit_run(k);
    CHECK(strstr(kit_gates(&box.world), "a/end@2 open"));
    CHECK_STR(line(k, "anna"), "");
    kit_box_close(&box);
  }
}

/* Three runs, one lock, a death before or after each commit: all end, one at a time. */
static void all_end_whatever_commit_is_the_last(void) {
  static const char *const work =
      "{'flow': [['lock', 'k'], ['action', 'pay', {'key': 'one', 'args': {}, 'on_unknown':"
      " 'probe'}], ['sleep', 10], ['unlock', 'k'], ['llm', 'e']]}";
  static const char *const ids[] = {"a", "b", "c"};
  for (int die = 2; die < 60; die++) {
    kit_box box;
    kit *k = kit_box_open(&box, work);
    if (die % 2)
      k->die_before = die / 2;
    else
      k->die_after = die / 2;
    for (int life = 0; life < 2; life++) {
      for (int i = 0; i < 3; i++)
        if (!*kit_state(&box.world, ids[i]))
          kit_start(k, ids[i]);
      kit_run(k);
      if (life == 0) {
        kit_crash(k);
        kit_boot(k);
      }
    }
    for (int i = 0; i < 3; i++)
      CHECK_STR(kit_state(&box.world, ids[i]), "done");
    CHECK_STR(line(k, "k"), "");
    CHECK_STR(kit_effects(&box.world), "one");
    kit_box_close(&box);
  }
}

/* The holder ends in another process than the one that waits. */
static void a_lock_is_handed_on_between_processes(void) {
  kit_world w;
  kit one, two;
  kit_world_open(&w, "memory:", locks);
  kit_open(&one, &w);
  kit_play(&one, "a");
  kit_crash(&one); /* a waits at its gate, a row */
  kit_open(&two, &w);
  kit_play(&two, "b");
  CHECK_STR(line(&two, "anna"), "a b");
  kit_boot(&one);
  kit_decide(&one, "a/g@2", true, NULL);
  kit_run(&one);
  CHECK_STR(kit_state(&w, "a"), "done");
  for (int i = 0; i < 100; i++)
    kit_steps(i % 2 ? &one : &two, 3);
  CHECK(strstr(kit_gates(&w), "b/g@2 open"));
  CHECK_STR(line(&two, "anna"), "b");
  kit_world_close(&w);
}

CHECK_SUITE(engine_lock) {
  CHECK_RUN(runs_take_turns);
  CHECK_RUN(other_keys_do_not_wait);
  CHECK_RUN(a_run_that_ends_lets_go);
  CHECK_RUN(a_run_that_waits_can_be_cancelled);
  CHECK_RUN(branches_of_a_run_share_its_lock);
  CHECK_RUN(a_branch_that_is_dropped_lets_go);
  CHECK_RUN(all_end_whatever_commit_is_the_last);
  CHECK_RUN(a_lock_is_handed_on_between_processes);
}
