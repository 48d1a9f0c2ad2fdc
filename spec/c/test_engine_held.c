/* test_engine_held.c - a call whose key another call has: it waits as every other wait does, and is
 * woken by whatever settles the key, wherever it lies. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "engine_kit.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

/* What is sent is cut off before it arrives: a person is asked. */
static kit_reply loses(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_LOST;
}

static const char *const pay =
    "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}, 'on_unknown': 'ask'}]]}";
static const char *const doubt = "one/pay@1!";

static void finish(kit *k, kit_reply how) {
  kit_task *t = kit_task_at(k, "POST");
  CHECK(t != NULL);
  if (t)
    kit_finish(k, t, how);
  kit_run(k);
}

static void order(kit *k, const char *run, tm_order what) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_control_give(k->engine, run, what, "", "kit", &err), 0);
  kit_run(k);
}

static void decide(kit *k, bool applied) {
  kit_decide(k, doubt, applied, applied ? "{'answer': 3}" : NULL);
  kit_run(k);
  CHECK_INT(k->last.code, TM_OK);
}

static int count_stand(void *ctx, const tm_lock_row *row) {
  (void)row;
  ++*(int *)ctx;
  return 0;
}

/* How many lines the run stands in. */
static int stands(kit_world *w, const char *run) {
  int n = 0;
  tm_err err = TM_ERR_INIT;
  tm_lock_filter f = {.run = run};
  CHECK_INT(w->disk->vt->locks(w->disk, &f, count_stand, &n, &err), 0);
  return n;
}

/* Run one has sent, and a person is to say whether it happened; two waits for its key. */
static kit *begin(kit_box *b, bool park) {
  kit *k = kit_box_open(b, pay);
  k->engine->ports.park = park;
  k->reply = loses;
  kit_play(k, "one");
  kit_play(k, "two");
  CHECK_STR(kit_gates(&b->world), "one/pay@1! open");
  CHECK_STR(kit_state(&b->world, "two"), "waiting");
  CHECK(!park || !tm_engine_find(k->engine, "two"));
  k->reply = NULL;
  return k;
}

static void its_row_says_what_it_waits_for(void) {
  kit_box b;
  kit *k = begin(&b, false);
  const char *reason = tm_arena_printf(&b.world.arena,
                                       "[{\"for\":\"key\",\"name\":\"pay\",\"place\":\"1\","
                                       "\"key\":\"k1\",\"run\":\"one\",\"at\":\"%s\"}]",
                                       k->engine->owner);
  CHECK_STR(kit_reason(&b.world, "two"), reason);
  CHECK_STR(kit_owner(&b.world, "two"), "");
  CHECK_INT(stands(&b.world, "two"), 1);
  decide(k, true);
  CHECK_STR(kit_result(&b.world, "two"), "action=3");
  CHECK_STR(kit_reason(&b.world, "two"), "");
  CHECK_INT(stands(&b.world, "two"), 0);
  kit_box_close(&b);
}

/* While the key's run is at work here, its end is near: who waits stays in memory until that one
 * rests, too. */
static void it_leaves_the_memory_when_the_other_rests(void) {
  kit_box b;
  kit *k = kit_box_open(&b, pay);
  k->engine->ports.park = true;
  k->reply = hangs;
  kit_play(k, "one");
  kit_play(k, "two");
  CHECK_STR(kit_state(&b.world, "two"), "waiting");
  CHECK(tm_engine_find(k->engine, "two") != NULL);
  k->reply = loses;
  finish(k, KIT_LOST);
  CHECK_STR(kit_gates(&b.world), "one/pay@1! open");
  CHECK(tm_engine_find(k->engine, "one") == NULL);
  CHECK(tm_engine_find(k->engine, "two") == NULL);
  k->reply = NULL;
  decide(k, true);
  CHECK_STR(kit_state(&b.world, "two"), "done");
  kit_box_close(&b);
}

/* -- what settles the key ---------------------------------------------------------------- */

static void applied(kit *k) {
  decide(k, true);
}

/* Then it is done now, by the one that has the key. */
static void not_applied(kit *k) {
  decide(k, false);
}

/* … or it certainly fails: the key is free, and the next one does it. */
static void given_up(kit *k) {
  k->reply = hangs;
  decide(k, false);
  k->reply = NULL;
  finish(k, KIT_REFUSED);
}

static void terminated(kit *k) {
  order(k, "one", TM_ORDER_TERMINATE);
  if (strstr(kit_gates(k->world), "two/pay@1! open")) {
    kit_decide(k, "two/pay@1!", true, "{'answer': 3}");
    kit_run(k);
  }
}

static void cancelled(kit *k) {
  order(k, "one", TM_ORDER_CANCEL);
  decide(k, false);
}

static void (*const settlers[])(kit *k) = {applied, not_applied, given_up, terminated,
                                           cancelled};
#define SETTLERS (sizeof settlers / sizeof *settlers)

static void check_settled(kit_world *w) {
  CHECK_STR(kit_state(w, "two"), "done");
  CHECK_INT(stands(w, "two"), 0);
  CHECK(kit_effect_of(w, "k1")->sends <= 1);
}

static void whatever_settles_the_key_wakes_it(void) {
  for (size_t i = 0; i < SETTLERS; i++)
    for (int park = 0; park < 2; park++) {
      kit_box b;
      kit *k = begin(&b, park);
      settlers[i](k);
      check_settled(&b.world);
      kit_box_close(&b);
    }
}

/* The run that had it need not end for that. */
static void while_the_other_run_lives_on(void) {
  for (int i = 0; i < 6; i++) {
    kit_box b;
    kit *k =
        kit_box_open(&b, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}, 'try': true,"
                         " 'on_unknown': 'ask'}], ['gate', 'g', {'ask': '?'}]]}");
    k->engine->ports.park = i % 2;
    k->reply = loses;
    kit_play(k, "one");
    kit_play(k, "two");
    k->reply = NULL;
    settlers[i / 2](k);
    CHECK_STR(kit_state(&b.world, "one"), "waiting");
    CHECK(strstr(kit_gates(&b.world), "two/g@2 open") != NULL);
    CHECK_INT(stands(&b.world, "two"), 0);
    kit_box_close(&b);
  }
}

/* -- a slow disk ------------------------------------------------------------------------- */

/* Commits lie here until they are let through, one by one. */
typedef struct slow {
  kit_box box;
  tm_store_vt vt;
  void (*commit)(tm_store *s, tm_batch *b); /* the kit's */
  tm_batch *kept[8];
  int count;
} slow;

static void keep(tm_store *store, tm_batch *b) {
  slow *s = TM_LIST_OF(TM_LIST_OF(store, kit, store), slow, box.kit);
  CHECK(s->count < 8);
  s->kept[s->count++] = b;
}

static void slow_down(slow *s) {
  s->vt = *s->box.kit.store.vt;
  s->commit = s->vt.commit;
  s->vt.commit = keep;
  s->box.kit.store.vt = &s->vt;
}

/* The oldest one is written, heard of, and acted upon. */
static void let_through(slow *s) {
  tm_batch *b = s->kept[0];
  REQUIRE(s->count > 0);
  memmove(s->kept, s->kept + 1, sizeof s->kept - sizeof *s->kept);
  s->count--;
  s->commit(&s->box.kit.store, b);
  while (kit_hear(&s->box.kit) || kit_turn(&s->box.kit))
    ;
}

/* The key is settled by one commit, and by the next one who waits for it joins the line: nobody
 * stood in it to be told. */
static void also_when_it_came_a_moment_too_late(void) {
  slow s = {.count = 0};
  kit *k = kit_box_open(&s.box, "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}}],"
                                " ['gate', 'g', {'ask': '?'}]]}");
  k->reply = hangs;
  kit_play(k, "one");
  s.box.world.sources = kit_text(
      &s.box.world, "{'flow': [['llm', 'a'], ['action', 'pay', {'key': 'k1', 'args': {}}]]}");
  kit_play(k, "two");
  slow_down(&s);
  kit_finish(k, kit_task_at(k, "a"), KIT_OK);
  kit_turn(k);
  kit_finish(k, kit_task_at(k, "POST"), KIT_OK);
  kit_turn(k);
  CHECK_INT(s.count, 2);
  let_through(&s); /* two hears of its answer, and looks for the key */
  CHECK(!tm_list_empty(&k->engine->held));
  while (s.count > 0)
    let_through(&s);
  CHECK_STR(kit_gates(&s.box.world), "one/g@2 open");
  CHECK_STR(kit_state(&s.box.world, "two"), "done");
  kit_box_close(&s.box);
}

static void also_when_its_process_died_meanwhile(void) {
  for (size_t i = 0; i < SETTLERS; i++) {
    kit_box b;
    kit *k = begin(&b, i % 2);
    kit_crash(k);
    kit_boot(k);
    kit_run(k);
    CHECK_STR(kit_state(&b.world, "two"), "waiting");
    settlers[i](k);
    check_settled(&b.world);
    kit_box_close(&b);
  }
}

/* The key is settled in another process than the one in whose memory it waits, or by one that was
 * there before it came. */
static void also_when_another_process_has_the_key(void) {
  for (size_t i = 0; i < 2 * SETTLERS; i++) {
    kit_world w;
    kit first, second;
    bool dies = i >= SETTLERS;
    kit_world_open(&w, "memory:", pay);
    kit_open(&first, &w);
    first.reply = loses;
    first.engine->ports.park = true;
    kit_play(&first, "one");
    first.reply = NULL;
    kit_open(&second, &w);
    second.engine->ports.park = i % 2;
    kit_play(&second, "two");
    CHECK_STR(kit_state(&w, "two"), "waiting");
    if (dies)
      kit_crash(&second); /* its row is nobody's: who settles the key takes it up */
    settlers[i % SETTLERS](&first);
    for (int n = 0; n < 200; n++)
      kit_steps(n % 2 && !dies ? &second : &first, 3);
    check_settled(&w);
    if (dies)
      kit_boot(&second);
    kit_world_close(&w);
  }
}

/* Another living process has it parked: that one goes on with it, and not who settles the key. */
static void who_looks_after_it_goes_on_with_it(void) {
  for (int park = 0; park < 2; park++) {
    kit_world w;
    kit first, second;
    kit_world_open(&w, "memory:", pay);
    kit_open(&first, &w);
    first.reply = loses;
    kit_play(&first, "one");
    first.reply = NULL;
    kit_open(&second, &w);
    kit_name_other(second.engine->owner);
    second.engine->ports.park = park;
    kit_play(&second, "two");
    decide(&first, true);
    CHECK_STR(kit_state(&w, "two"), "waiting");
    CHECK(tm_engine_find(first.engine, "two") == NULL);
    tm_engine_notice(second.engine);
    second.woken = true;
    kit_run(&second);
    CHECK_STR(kit_state(&w, "two"), "done");
    CHECK_INT(stands(&w, "two"), 0);
    kit_world_close(&w);
  }
}

static void it_is_taken_up_by_who_comes_later(void) {
  kit_world w;
  kit first, second;
  kit_world_open(&w, "memory:", pay);
  kit_open(&first, &w);
  first.reply = loses;
  kit_play(&first, "one");
  kit_play(&first, "two");
  first.reply = NULL;
  kit_decide(&first, doubt, true, "{'answer': 3}");
  while (!strstr(kit_journal(&w, "one"), "done:1") && kit_step(&first))
    ;
  kit_crash(&first); /* the key is settled, and nobody was told */
  CHECK_STR(kit_state(&w, "two"), "waiting");
  kit_open(&second, &w);
  kit_run(&second);
  CHECK_STR(kit_state(&w, "two"), "done");
  kit_boot(&first);
  kit_world_close(&w);
}

/* The key changes hands while it waits: its row names who has it now. */
static void its_row_names_who_has_the_key_now(void) {
  kit_box b;
  kit *k = begin(&b, false);
  kit_play(k, "three");
  k->reply = hangs;
  decide(k, false);
  finish(k, KIT_REFUSED); /* the next one has it */
  const char *has = strstr(kit_journal(&b.world, "two"), "open:1") ? "two" : "three";
  const char *waits = *has == 't' && has[1] == 'w' ? "three" : "two";
  char run[32];
  snprintf(run, sizeof run, "\"run\":\"%s\"", has);
  CHECK_STR(kit_state(&b.world, waits), "waiting");
  CHECK(strstr(kit_reason(&b.world, waits), run) != NULL);
  CHECK_INT(stands(&b.world, waits), 1);
  finish(k, KIT_OK);
  CHECK_STR(kit_state(&b.world, "two"), "done");
  CHECK_STR(kit_state(&b.world, "three"), "done");
  CHECK_STR(kit_effects(&b.world), "k1");
  kit_box_close(&b);
}

/* Both branches of a run ask for one key: the second waits for its own run. */
static void branches_of_a_run_wait_for_each_other(void) {
  kit_box b;
  kit *k = kit_box_open(
      &b, "{'flow': [['fork', ["
          " [['action', 'pay', {'key': 'k1', 'args': {}, 'on_unknown': 'ask'}]],"
          " [['action', 'pay', {'key': 'k1', 'args': {}, 'on_unknown': 'ask'}]]]]]}");
  k->engine->ports.park = true;
  k->reply = loses;
  kit_play(k, "r");
  k->reply = NULL;
  CHECK_STR(kit_state(&b.world, "r"), "waiting");
  CHECK(strstr(kit_reason(&b.world, "r"), "\"for\":\"key\"") != NULL);
  CHECK(tm_engine_find(k->engine, "r") == NULL);
  kit_decide(k, strstr(kit_gates(&b.world), "r/pay@1/0.1!") ? "r/pay@1/0.1!" : "r/pay@1/1.1!",
             true, "{'answer': 3}");
  kit_run(k);
  CHECK_STR(kit_state(&b.world, "r"), "done");
  CHECK_INT(stands(&b.world, "r"), 0);
  kit_box_close(&b);
}

/* -- what comes while it waits ----------------------------------------------------------- */

static void it_can_be_cancelled_and_terminated(void) {
  static const tm_order ends[] = {TM_ORDER_CANCEL, TM_ORDER_TERMINATE};
  for (int i = 0; i < 4; i++) {
    kit_box b;
    kit *k = begin(&b, i % 2);
    order(k, "two", ends[i / 2]);
    CHECK_STR(kit_state(&b.world, "two"), "cancelled");
    CHECK_INT(stands(&b.world, "two"), 0);
    decide(k, true);
    CHECK_STR(kit_state(&b.world, "one"), "done");
    kit_box_close(&b);
  }
}

/* The key comes free under the pause: nothing begins before it is lifted. */
static void it_can_be_paused(void) {
  for (int park = 0; park < 2; park++) {
    kit_box b;
    tm_err err = TM_ERR_INIT;
    kit *k = begin(&b, park);
    order(k, "two", TM_ORDER_PAUSE);
    given_up(k);
    CHECK_STR(kit_state(&b.world, "one"), "failed");
    CHECK(strstr(kit_reason(&b.world, "two"), "\"for\":\"pause\"") != NULL);
    CHECK_STR(kit_effects(&b.world), "");
    CHECK_INT(tm_engine_resume(k->engine, "two", &err), 1);
    kit_run(k);
    check_settled(&b.world);
    kit_box_close(&b);
  }
}

/* A race against the clock: the call that waits for the key loses, and the run goes on. */
static void a_timeout_ends_the_wait(void) {
  for (int park = 0; park < 2; park++) {
    kit_box b;
    kit *k = begin(&b, park);
    b.world.sources = kit_text(
        &b.world, "{'flow': [['fork', [[['sleep', 60000]], [['action', 'pay', {'key': 'k1',"
                  " 'args': {}, 'on_unknown': 'ask'}]]], {'race': true}], ['llm', 'a']]}");
    k->still = true;
    kit_play(k, "three");
    CHECK_STR(kit_state(&b.world, "three"), "waiting");
    CHECK(!park || !tm_engine_find(k->engine, "three"));
    k->still = false;
    b.world.now += 60000;
    k->woken = true;
    kit_run(k);
    CHECK_STR(kit_state(&b.world, "three"), "done");
    CHECK_INT(stands(&b.world, "three"), 0);
    CHECK_STR(kit_state(&b.world, "two"), "waiting");
    decide(k, true);
    kit_box_close(&b);
  }
}

/* -- deaths ------------------------------------------------------------------------------ */

/* Three runs, one key, a death before or after each commit: all end, and it happens once. */
static void all_end_whatever_commit_is_the_last(void) {
  static const char *const work =
      "{'flow': [['action', 'pay', {'key': 'one', 'args': {}, 'on_unknown': 'probe'}],"
      " ['sleep', 10], ['llm', 'e']]}";
  static const char *const ids[] = {"a", "b", "c"};
  for (int die = 2; die < 60; die++) {
    kit_box b;
    kit *k = kit_box_open(&b, work);
    *(die % 2 ? &k->die_before : &k->die_after) = die / 2;
    for (int life = 0; life < 2; life++) {
      k->engine->ports.park = die % 4 < 2;
      for (int i = 0; i < 3; i++)
        if (!*kit_state(&b.world, ids[i]))
          kit_start(k, ids[i]);
      kit_run(k);
      if (life == 0) {
        kit_crash(k);
        kit_boot(k);
      }
    }
    for (int i = 0; i < 3; i++)
      CHECK_STR(kit_state(&b.world, ids[i]), "done");
    CHECK_STR(kit_effects(&b.world), "one");
    kit_box_close(&b);
  }
}

CHECK_SUITE(engine_held) {
  CHECK_RUN(its_row_says_what_it_waits_for);
  CHECK_RUN(it_leaves_the_memory_when_the_other_rests);
  CHECK_RUN(whatever_settles_the_key_wakes_it);
  CHECK_RUN(while_the_other_run_lives_on);
  CHECK_RUN(also_when_it_came_a_moment_too_late);
  CHECK_RUN(also_when_its_process_died_meanwhile);
  CHECK_RUN(also_when_another_process_has_the_key);
  CHECK_RUN(who_looks_after_it_goes_on_with_it);
  CHECK_RUN(it_is_taken_up_by_who_comes_later);
  CHECK_RUN(its_row_names_who_has_the_key_now);
  CHECK_RUN(branches_of_a_run_wait_for_each_other);
  CHECK_RUN(it_can_be_cancelled_and_terminated);
  CHECK_RUN(it_can_be_paused);
  CHECK_RUN(a_timeout_ends_the_wait);
  CHECK_RUN(all_end_whatever_commit_is_the_last);
}
