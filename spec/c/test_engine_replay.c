/* test_engine_replay.c - taking runs up: what is whole goes on, what is not is left for a
 * person.
 */
#include "check.h"
#include "engine_kit.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static const char *const story =
    "{'flow': [['now'], ['llm', 'a'], ['sleep', 100], ['llm', 'b'], ['llm', 'hangs']]}";

static kit_reply last_hangs(kit *k, const kit_task *t) {
  (void)k;
  return strcmp(t->name, "hangs") == 0 ? KIT_HANGS : KIT_OK;
}

static int change_a_body(tm_record *r) {
  if (r->seq == 3)
    r->body = "{\"k\":\"llm\",\"v\":\"other\"}", r->body_len = strlen(r->body);
  return 0;
}

static int lose_one(tm_record *r) {
  if (r->seq >= 3)
    r->seq++;
  return 0;
}

static int lose_the_last(tm_record *r) {
  return r->seq == 7;
}

static int use_unknown_kind(tm_record *r) {
  if (r->seq == 3)
    r->kind = 77;
  return 0;
}

static void a_damaged_journal_stops_its_run_and_no_other(void) {
  static int (*const damages[])(tm_record *) = {change_a_body, lose_one, lose_the_last,
                                                use_unknown_kind};
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
    kit_box box;
    kit *k = kit_box_open(&box, story);
    k->reply = last_hangs;
    kit_play(k, "r");
    const char *before = kit_journal(&box.world, "r");
    CHECK_STR(before, "start note:1 attempt:2 done:2 open:3 done:3 attempt:4 done:4");
    kit_crash(k);
    k->damage = damages[i];
    kit_boot(k);
    kit_run(k);
    CHECK_INT(kit_count(k, "run.stuck r"), 1);
    CHECK(tm_engine_find(k->engine, "r") == NULL);
    CHECK_INT(k->started, 0);
    CHECK_STR(kit_journal(&box.world, "r"), before);
    CHECK_STR(kit_owner(&box.world, "r"), ""); /* one that can read it may have it */
    k->damage = NULL;
    kit_play(k, "s");
    CHECK_STR(kit_state(&box.world, "s"), "running");
    kit_crash(k);
    kit_boot(k); /* and with the database restored it goes on */
    kit_run(k);
    for (kit_task *t; (t = kit_task_at(k, "hangs"));)
      kit_finish(k, t, KIT_OK);
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r"), "done");
    kit_box_close(&box);
  }
}

static void a_timer_that_came_due_while_dead_fires_once(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['sleep', 60000], ['sleep', 1000]]}");
  k->still = true;
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  CHECK(strstr(kit_reason(&box.world, "r"), "\"until\":\"1970-01-01T00:17:40.000Z\"") != NULL);
  kit_crash(k);
  box.world.now += 3600000;
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 done:1 open:2");
  k->still = false;
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 done:1 open:2 done:2 end");
  CHECK_INT(box.world.now, 4601000);
  kit_box_close(&box);
}

static void a_sleep_goes_on_where_it_was(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['sleep', 60000]]}");
  k->still = true;
  kit_play(k, "r");
  for (int i = 0; i < 3; i++) {
    kit_crash(k);
    box.world.now += 10000;
    kit_boot(k);
    kit_run(k);
  }
  k->still = false;
  kit_run(k);
  CHECK_INT(box.world.now, 1060000);
  kit_box_close(&box);
}

static void a_short_sleep_keeps_the_run_a_long_one_gives_it_back(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['sleep', 1500], ['sleep', 9000]]}");
  k->still = true;
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "running");
  k->still = false;
  while (!strstr(kit_journal(&box.world, "r"), "open:2") && kit_step(k))
    ;
  k->still = true;
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  CHECK_STR(kit_owner(&box.world, "r"), "");
  k->still = false;
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_INT(kit_epoch(&box.world, "r"), 2); /* claimed anew to go on */
  kit_box_close(&box);
}

static void a_run_that_ended_is_not_taken_up(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['now']]}");
  tm_err err = TM_ERR_INIT;
  kit_play(k, "r");
  kit_crash(k);
  kit_boot(k);
  CHECK_INT(tm_engine_resume(k->engine, "r", &err), 0);
  CHECK_INT(tm_engine_resume(k->engine, "nobody", &err), 0);
  CHECK(tm_engine_idle(k->engine));
  kit_box_close(&box);
}

static void more_runs_than_one_look_can_hold_are_taken_up(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a']]}");
  char id[16];
  k->reply = hangs;
  for (int i = 0; i < 600; i++) {
    snprintf(id, sizeof id, "r%d", i);
    kit_start(k, id);
  }
  kit_run(k);
  CHECK_INT(k->started, 600);
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(k->started, 600);
  kit_box_close(&box);
}

static void a_run_of_sources_that_are_gone_is_an_error(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a']]}");
  k->reply = hangs;
  kit_play(k, "r");
  kit_crash(k);
  k->other = kit_text(&box.world, "{'another': []}"); /* this host's language cannot open it */
  kit_boot(k);
  kit_run(k);
  CHECK_INT(kit_count(k, "run.stuck r"), 1);
  CHECK_STR(kit_owner(&box.world, "r"), "");
  k->other = NULL;
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

static void after_a_stop_nothing_starts(void) {
  for (int steps = 0; steps < 12; steps++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': [['now'], ['action', 'pay', {'key': 'k1', 'args': {},"
                                " 'host': true}]]}");
    kit_start(k, "r");
    kit_steps(k, steps);
    int started = k->started;
    tm_engine_stop(k->engine);
    while (kit_hear(k))
      ;
    CHECK_INT(k->started, started);
    kit_crash(k);
    kit_boot(k);
    if (!*kit_state(&box.world, "r"))
      kit_start(k, "r");
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r"), "done");
    kit_box_close(&box);
  }
}

CHECK_SUITE(engine_replay) {
  CHECK_RUN(a_damaged_journal_stops_its_run_and_no_other);
  CHECK_RUN(a_timer_that_came_due_while_dead_fires_once);
  CHECK_RUN(a_sleep_goes_on_where_it_was);
  CHECK_RUN(a_short_sleep_keeps_the_run_a_long_one_gives_it_back);
  CHECK_RUN(a_run_that_ended_is_not_taken_up);
  CHECK_RUN(more_runs_than_one_look_can_hold_are_taken_up);
  CHECK_RUN(a_run_of_sources_that_are_gone_is_an_error);
  CHECK_RUN(after_a_stop_nothing_starts);
}
