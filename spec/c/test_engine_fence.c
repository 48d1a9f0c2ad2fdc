/* test_engine_fence.c - two processes on one disk: who lost a run writes nothing more. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "engine_kit.h"

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

typedef struct pair {
  kit_world world;
  kit first, second;
} pair;

/* The first process has begun the run and hangs; the second takes it up. */
static void take_over(pair *p, const char *sources) {
  kit_world_open(&p->world, "memory:", sources);
  kit_open(&p->first, &p->world);
  p->first.reply = hangs;
  kit_play(&p->first, "r");
  kit_open(&p->second, &p->world);
}

static void the_loser_writes_nothing_more(void) {
  pair p;
  take_over(&p, "{'flow': [['now'], ['llm', 'a'], ['log', '', {}]]}");
  CHECK_INT(kit_epoch(&p.world, "r"), 1);
  p.second.reply = hangs;
  kit_run(&p.second);
  CHECK_INT(kit_epoch(&p.world, "r"), 2);
  const char *before = kit_journal(&p.world, "r");
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  kit_run(&p.first);
  CHECK_STR(kit_journal(&p.world, "r"), before);
  CHECK(tm_engine_find(p.first.engine, "r") == NULL);
  CHECK(tm_engine_idle(p.first.engine));
  kit_finish(&p.second, kit_task_at(&p.second, "a"), KIT_OK);
  kit_run(&p.second);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  CHECK_STR(kit_journal(&p.world, "r"), "start note:1 attempt:2 done:2 note:3 end");
  kit_world_close(&p.world);
}

static void the_losers_effect_is_absorbed_by_its_key(void) {
  pair p;
  take_over(&p,
            "{'flow': [['action', 'pay', {'key': 'p1', 'args': {}, 'on_unknown': 'probe'}]]}");
  kit_finish(&p.first, kit_task_at(&p.first, "POST"), KIT_OK); /* it arrived; then: too late */
  kit_run(&p.second);
  kit_run(&p.first);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  CHECK_STR(kit_effects(&p.world), "p1");
  CHECK_INT(kit_effect_of(&p.world, "p1")->probes, 1);
  kit_world_close(&p.world);
}

static void the_losers_other_runs_go_on(void) {
  pair p;
  take_over(&p, "{'flow': [['llm', 'a']]}");
  p.second.reply = hangs;
  kit_run(&p.second); /* has r now */
  kit_start(&p.first, "s");
  kit_run(&p.first);
  CHECK_INT(kit_task_count(&p.first), 2);
  while (kit_task_at(&p.first, "a")) /* both in one batch: r is refused, s is not */
    kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  kit_run(&p.first);
  CHECK_STR(kit_state(&p.world, "s"), "done");
  CHECK_STR(kit_journal(&p.world, "r"), "start");
  kit_world_close(&p.world);
}

/* The words of the model stand in the journal of nobody. */
static void the_losers_answer_is_nobodys(void) {
  pair p;
  take_over(&p, "{'flow': [['llm', 'a', {'cache': {}}]]}");
  p.second.reply = hangs;
  kit_run(&p.second); /* has r now */
  kit_play(&p.first, "s");
  CHECK_INT(p.first.started, 1); /* follows the question of r */
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  kit_run(&p.first);
  CHECK_STR(kit_journal(&p.world, "s"), "start");
  CHECK_INT(p.first.started, 2);
  kit_finish(&p.first, kit_task_at(&p.first, "a"), KIT_OK);
  kit_run(&p.first);
  CHECK_STR(kit_journal(&p.world, "s"), "start attempt:1 done:1 end");
  kit_finish(&p.second, kit_task_at(&p.second, "a"), KIT_OK);
  kit_run(&p.second);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  kit_world_close(&p.world);
}

static void a_timer_of_the_loser_does_not_fire(void) {
  pair p;
  take_over(&p, "{'flow': [['sleep', 500], ['llm', 'a']]}");
  kit_steps(&p.second, 3);
  kit_run(&p.first);
  kit_run(&p.second);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  CHECK_STR(kit_journal(&p.world, "r"), "start open:1 done:1 attempt:2 done:2 end");
  kit_world_close(&p.world);
}

/* A run that waits for a person belongs to nobody; both processes hold it in memory. */
static void of_two_that_wake_a_waiting_run_one_gets_it(void) {
  for (int who = 0; who < 2; who++) {
    pair p;
    tm_err err = TM_ERR_INIT;
    take_over(&p, "{'flow': [['gate', 'g', {'ask': '?'}], ['llm', 'a']]}");
    p.first.reply = NULL;
    CHECK_INT(tm_engine_resume(p.second.engine, "r", &err), 1);
    kit_run(&p.second);
    CHECK_STR(kit_owner(&p.world, "r"), "");
    kit_decide(who ? &p.second : &p.first, "r/g@1", true, NULL);
    for (bool more = true; more;) {
      more = kit_step(&p.first);
      more = kit_step(&p.second) || more;
      tm_engine_notice(p.first.engine);
      tm_engine_notice(p.second.engine);
    }
    CHECK_STR(kit_state(&p.world, "r"), "done");
    CHECK_STR(kit_journal(&p.world, "r"), "start open:1 decided:1 done:1 attempt:2 done:2 end");
    CHECK_INT(p.first.started + p.second.started, 1);
    kit_world_close(&p.world);
  }
}

static void of_two_that_resume_at_once_one_gets_it(void) {
  pair p;
  take_over(&p, "{'flow': [['llm', 'a']]}");
  kit third;
  kit_open(&third, &p.world); /* its claim and the second's are both under way */
  kit_run(&p.second);
  kit_run(&third);
  CHECK_INT(kit_epoch(&p.world, "r"), 2);
  CHECK_INT(p.second.started + third.started, 1);
  CHECK_STR(kit_state(&p.world, "r"), "done");
  kit_world_close(&p.world);
}

/* The first process does the effect; a run of the second waits for the same key. */
static void a_held_action_hears_of_another_process(void) {
  pair p;
  kit_world_open(&p.world,
                 "memory:", "{'flow': [['action', 'pay', {'key': 'k1', 'args': {}}]]}");
  kit_open(&p.first, &p.world);
  kit_open(&p.second, &p.world);
  p.first.reply = hangs;
  kit_play(&p.first, "one");
  kit_play(&p.second, "two");
  CHECK_INT(p.second.started, 0);
  kit_finish(&p.first, kit_task_at(&p.first, "POST"), KIT_OK);
  kit_run(&p.first);
  tm_engine_notice(p.second.engine);
  kit_run(&p.second);
  CHECK_STR(kit_state(&p.world, "two"), "done");
  CHECK_STR(kit_effects(&p.world), "k1");
  kit_world_close(&p.world);
}

/* -- the same on a real file ----------------------------------------------------------- */

static void a_run_on_sqlite_survives_its_processes(void) {
  char dir[] = "/tmp/tidemill-engine-XXXXXX", url[96], command[96];
  kit_world w;
  kit k;
  REQUIRE(mkdtemp(dir) != NULL);
  snprintf(url, sizeof url, "sqlite:%s/t.db", dir);
  kit_world_open(&w, url,
                 "{'flow': [['now'], ['llm', 'a'], ['action', 'pay', {'key': 'p1', 'args': {},"
                 " 'on_unknown': 'probe'}], ['fork', [[['sleep', 4000]], [['gate', 'g', {'ask':"
                 " '?'}]]]], ['action', 'big', {'key': 'p2', 'args': {}, 'on_unknown': 'probe',"
                 " 'blast': 2, 'gate_above': 1}]]}");
  kit_open(&k, &w);
  k.person = true;
  for (int life = 0; life < 40; life++) {
    if (!*kit_state(&w, "r"))
      kit_start(&k, "r");
    kit_steps(&k, 2 + 3 * life);
    kit_crash(&k);
    kit_boot(&k);
  }
  kit_run(&k);
  CHECK_STR(kit_state(&w, "r"), "done");
  CHECK_STR(kit_effects(&w), "p1 p2");
  tm_err err = TM_ERR_INIT;
  CHECK_INT(kit_verify(&w, "r", &err), 0);
  kit_world_close(&w);
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  CHECK_INT(system(command), 0);
}

CHECK_SUITE(engine_fence) {
  CHECK_RUN(the_loser_writes_nothing_more);
  CHECK_RUN(the_losers_effect_is_absorbed_by_its_key);
  CHECK_RUN(the_losers_other_runs_go_on);
  CHECK_RUN(the_losers_answer_is_nobodys);
  CHECK_RUN(a_timer_of_the_loser_does_not_fire);
  CHECK_RUN(of_two_that_wake_a_waiting_run_one_gets_it);
  CHECK_RUN(of_two_that_resume_at_once_one_gets_it);
  CHECK_RUN(a_held_action_hears_of_another_process);
  CHECK_RUN(a_run_on_sqlite_survives_its_processes);
}
