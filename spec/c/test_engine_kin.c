/* test_engine_kin.c - what the simulator (sim_kin.c) found about runs that come of runs, are moved,
 * or undo what they did: each as a case of its own.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "engine/capsule.h"
#include "engine/signal.h"
#include "engine_kit.h"

static tm_closure *closure_of(kit *k, const char *sources) {
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  const char *before = k->world->sources;
  k->world->sources = kit_text(k->world, sources);
  CHECK_INT(k->engine->ports.sources(k, &c, &err), 0);
  k->world->sources = before;
  return c;
}

static void on_done(void *ctx, const char *id, const tm_err *err) {
  kit *k = ctx;
  (void)id;
  k->last = *err;
  k->last_told = true;
}

static void take_up(kit *k, const char *run) {
  tm_err err = TM_ERR_INIT;
  while (!k->last_told && kit_step(k))
    ;
  CHECK_STR(k->last.msg, "");
  CHECK(tm_engine_resume(k->engine, run, &err) >= 0);
  kit_run(k);
}

/* Moved to other sources, or (retry) tried again on them (NULL: its own); and taken up. */
static void move(kit *k, const char *run, bool retry, const char *sources) {
  tm_closure *to = sources ? closure_of(k, sources) : NULL;
  k->last_told = false;
  if (retry)
    tm_change_retry(k->engine, run, to, "kit", on_done, k);
  else
    tm_change_repin(k->engine, run, to, "kit", on_done, k);
  take_up(k, run);
  tm_closure_release(&to);
}

static void send(kit *k, const char *run, const char *id, int n) {
  k->last_told = false;
  tm_engine_signal(k->engine, run, "go", tm_json_new_int(&k->world->arena, n), id, on_done, k);
  kit_run(k);
  CHECK(k->last_told);
}

static int count_row(void *ctx, const tm_signal_row *row) {
  (void)row;
  ++*(int *)ctx;
  return 0;
}

static int events_of(kit *k, const char *run) {
  int n = 0;
  tm_err err = TM_ERR_INIT;
  tm_signal_filter f = {.run = run};
  k->world->disk->vt->signals(k->world->disk, &f, count_row, &n, &err);
  return n;
}

static kit_reply refuses(kit *k, const kit_task *t) {
  (void)k;
  return strcmp(t->name, "POST") == 0 ? KIT_REFUSED : KIT_OK;
}

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

/* -- chains ------------------------------------------------------------------------------- */

/* "r~2:1" is not a link of r's chain, although it has a '~' in it. */
static void a_child_of_a_link_has_a_chain_of_its_own(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['call', 'sub'], ['again', 2]],"
                              " 'sub': [['again', 1], ['now']]}");
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r:1~2"), "done");
  CHECK_STR(kit_state(&box.world, "r~2:1~2"), "done");
  CHECK_STR(kit_state(&box.world, "r~3"), "done");
  CHECK_STR(kit_reason(&box.world, "r~2:1"), "{\"continued\":\"r~2:1~2\"}");
  CHECK(strstr(kit_result(&box.world, "r~3"), "call={\"told\":\"\"}"));
  kit_box_close(&box);
}

/* A timer that guards the script may stand before the branch that goes on. */
static void a_run_that_went_on_beside_a_timer_replays(void) {
  kit_box box;
  tm_verdict v;
  tm_err err = TM_ERR_INIT;
  kit *k =
      kit_box_open(&box, "{'flow': [['llm', 'a'], ['fork', [[['sleep', 900000]], [['again',"
                         " 1]]], {'race': true}]]}");
  kit_start(k, "r");
  while (strcmp(kit_state(&box.world, "r"), "done") != 0 && kit_step(k))
    ;
  CHECK_STR(kit_reason(&box.world, "r"), "{\"continued\":\"r~2\"}");
  CHECK_INT(tm_replay_check(&v, &box.world.arena, k->engine, "r", NULL, &err), 0);
  CHECK(v.equal);
  CHECK_STR(v.ended, "done");
  kit_box_close(&box);
}

/* The cancel is on its way to the disk when the script wants to go on as another run. */
static void a_cancelled_run_does_not_go_on_as_another(void) {
  kit_box box;
  tm_verdict v;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a'], ['again', 1]]}");
  k->reply = hangs;
  kit_play(k, "r");
  kit_finish(k, kit_task_at(k, "a"), KIT_OK);
  kit_cancel(k, "r");
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start attempt:1 done:1 cancel end");
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_state(&box.world, "r~2"), "");
  CHECK_INT(tm_replay_check(&v, &box.world.arena, k->engine, "r", NULL, &err), 0);
  CHECK(v.equal);
  kit_box_close(&box);
}

/* -- births ------------------------------------------------------------------------------- */

/* The child's row is on the disk, and its own process has not heard of that yet. */
static void an_order_to_a_run_being_born_is_obeyed_once(void) {
  static const tm_order orders[] = {TM_ORDER_CANCEL, TM_ORDER_TERMINATE, TM_ORDER_PAUSE};
  static const char *const states[] = {"cancelled", "cancelled", "waiting"};
  for (int i = 0; i < 3; i++) {
    kit_box box;
    tm_err err = TM_ERR_INIT;
    kit *k = kit_box_open(&box, "{'flow': [['start', 'sub'], ['llm', 'a']],"
                                " 'sub': [['gate', 'g', {'ask': '?'}]]}");
    kit_start(k, "r");
    while (!*kit_state(&box.world, "r:1") && kit_turn(k))
      while (!*kit_state(&box.world, "r:1") && k->underway + (k->told != NULL) == 1 &&
             kit_hear(k))
        ;
    CHECK_STR(kit_state(&box.world, "r:1"), "running");
    CHECK(!tm_engine_find(k->engine, "r:1"));
    CHECK_INT(tm_engine_resume(k->engine, "r:1", &err), 0);
    CHECK_INT(tm_control_give(k->engine, "r:1", orders[i], "", "kit", &err), 0);
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r:1"), states[i]);
    CHECK_STR(kit_state(&box.world, "r"), "done");
    CHECK_INT(kit_count(k, "run.started r:1"), 1);
    kit_box_close(&box);
  }
}

/* -- locks -------------------------------------------------------------------------------- */

/* On its new sources it never asks for the lock it stood in line for. */
static void a_moved_run_leaves_lines_that_it_does_not_ask_for(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['lock', 'anna'], ['gate', 'g', {'ask': '?'}],"
                              " ['unlock', 'anna'], ['llm', 'a']]}");
  kit_play(k, "a");
  kit_play(k, "b");
  kit_play(k, "c");
  CHECK_STR(kit_journal(&box.world, "b"), "start");
  move(k, "b", false, "{'flow': [['llm', 'a']]}");
  CHECK_STR(kit_state(&box.world, "b"), "done");
  kit_decide(k, "a/g@2", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "a"), "done");
  kit_decide(k, "c/g@2", true, NULL);
  kit_run(k);
  CHECK_STR(k->last.msg, "");
  CHECK_STR(kit_state(&box.world, "c"), "done");
  kit_box_close(&box);
}

/* -- undo --------------------------------------------------------------------------------- */

static const char *const undoes = "{'flow': [['action', 'pay', {'key': 'p', 'args': {}, "
                                  "'on_unknown': 'retry', 'undo': true}],"
                                  " ['llm', 'a'], ['raise', 'bad']]}";

/* It had failed, and was undoing: the cancel came too late to cut that off. */
static void a_cancel_does_not_cut_an_undo_off(void) {
  for (int step = 0; step < 12; step++) {
    kit_box box;
    kit *k = kit_box_open(&box, undoes);
    tm_err err = TM_ERR_INIT;
    kit_start(k, "r");
    while (!strstr(kit_journal(&box.world, "r"), "done:2") && kit_step(k))
      ;
    kit_steps(k, step);
    if (tm_engine_find(k->engine, "r"))
      tm_control_give(k->engine, "r", TM_ORDER_CANCEL, "", "kit", &err);
    kit_run(k);
    CHECK_STR(kit_effects(&box.world), "p undo p");
    kit_box_close(&box);
  }
}

/* A commit that a call waited for comes back when a cancel has ended that call, and the script is
 * in another one: that one is not answered. */
static void what_was_for_a_cancelled_call_is_not_told_to_the_next(void) {
  static const char *const calls[] = {
      "['decide', 'd', {'key': 'k', 'value': 'a decision'}]",
      "['lock', 'anna']",
      "['emit', 'go', {'run': 'r', 'payload': 1}]",
      "['llm', 'a']",
      "['fetch', 'look', {'body': [['ok', 1]]}]",
  };
  for (size_t i = 0; i < 5; i++)
    for (int step = 0; step < 8; step++) {
      kit_box box;
      tm_err err = TM_ERR_INIT;
      char text[400];
      snprintf(text, sizeof text,
               "{'events': {'go': {}}, 'flow': [['action', 'pay', {'key': 'p', 'args': {},"
               " 'on_unknown': 'retry', 'undo': true}], %s, ['raise', 'bad']]}",
               calls[i]);
      kit *k = kit_box_open(&box, text);
      kit_start(k, "r");
      while (!strstr(kit_journal(&box.world, "r"), "done:1") && kit_step(k))
        ;
      kit_steps(k, step);
      if (tm_engine_find(k->engine, "r"))
        tm_control_give(k->engine, "r", TM_ORDER_CANCEL, "", "kit", &err);
      kit_run(k);
      CHECK_STR(kit_effects(&box.world), "p undo p");
      const char *undone = kit_record(&box.world, "r", "done", "3");
      CHECK(undone && strstr(undone, "\"v\":{\"done\":\"undo p\"}"));
      kit_box_close(&box);
    }
}

/* -- another try -------------------------------------------------------------------------- */

/* Under a lock all is void when it is tried again: it fails at the action, then it is mended. */
#define UNDER_LOCK(steps)                                                        \
  "{'events': {'go': {}}, 'flow': [['lock', 'l'], " steps ", ['action', 'pay', " \
  "{'key': 'p', 'args': {}, 'on_unknown': 'retry'}], ['unlock', 'l']], "         \
  "'sub': [['llm', 'inside']]}"

static void fail_once(kit *k) {
  k->reply = refuses;
  kit_play(k, "r");
  k->world->now += 1000;
}

static void try_again(kit *k) {
  k->reply = NULL;
  CHECK_STR(kit_state(k->world, "r"), "failed");
  move(k, "r", true, NULL);
  CHECK_STR(kit_state(k->world, "r"), "done");
}

static void an_event_of_a_void_wait_is_heard_again(void) {
  kit_box box;
  kit *k = kit_box_open(&box, UNDER_LOCK("['wait', 'go']"));
  fail_once(k);
  send(k, "r", "one", 7);
  try_again(k);
  CHECK_STR(kit_journal(&box.world, "r"),
            "start done:1 open:2 done:2 open:3 attempt:3 fail:3 end retry done:1 done:2 open:3"
            " attempt:3 done:3 note:4 end");
  CHECK(strstr(kit_result(&box.world, "r"), "wait=7"));
  kit_box_close(&box);
}

static void what_is_emitted_anew_is_another_event_when_it_says_another_thing(void) {
  static const char *const payloads[] = {"1", "'$now'"};
  for (int i = 0; i < 2; i++) {
    kit_box box;
    char text[500];
    snprintf(text, sizeof text,
             UNDER_LOCK("['now'], ['emit', 'go', {'run': 'r', 'payload': %s}]"), payloads[i]);
    kit *k = kit_box_open(&box, text);
    fail_once(k);
    CHECK_INT(events_of(k, "r"), 1);
    try_again(k);
    CHECK_INT(events_of(k, "r"), 1 + i);
    kit_box_close(&box);
  }
}

static void a_child_asked_for_anew_is_the_old_one_when_that_is_good(void) {
  static const char *const inputs[] = {"1", "'$now'"}, *const children[] = {"r:3", "r:3.1"};
  static const char *const kinds[] = {"call", "start"};
  for (int i = 0; i < 4; i++) {
    kit_box box;
    char text[500];
    snprintf(text, sizeof text, UNDER_LOCK("['now'], ['%s', 'sub', {'input': %s}]"),
             kinds[i / 2], inputs[i % 2]);
    kit *k = kit_box_open(&box, text);
    fail_once(k);
    CHECK_STR(kit_state(&box.world, "r:3"), "done");
    try_again(k);
    CHECK_STR(kit_state(&box.world, "r:3.1"), i % 2 ? "done" : "");
    CHECK(strstr(kit_result(&box.world, "r"),
                 i < 2 ? "call={\"told\":\"llm={"
                       : tm_arena_printf(&box.world.arena, "start=\"%s\"", children[i % 2])));
    kit_box_close(&box);
  }
}

/* What goes back to before one lock may go back to before the end of another: to its beginning. */
static void another_try_begins_outside_of_all_locks(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fork', [[['lock', 'l'], ['sleep', 50], ['unlock', 'l'],"
                         " ['sleep', 900000]], [['sleep', 10], ['lock', 'm'], ['sleep', 500],"
                         " ['action', 'pay', {'key': 'p', 'args': {}, 'on_unknown':"
                         " 'retry'}]]]]]}");
  fail_once(k);
  CHECK_STR(kit_journal(&box.world, "r"),
            "start open:1/1.1 done:1/0.1 open:1/0.2 done:1/1.1 done:1/1.2 open:1/1.3 done:1/0.2"
            " note:1/0.3 open:1/0.4 done:1/1.3 open:1/1.4 attempt:1/1.4 fail:1/1.4 end");
  try_again(k);
  CHECK(strstr(kit_body(&box.world, "r", 15), "\"from\":2,"));
  kit_box_close(&box);
}

/* It was cancelled when its parent failed, which is no answer to another try. */
static void a_child_that_ended_with_its_parent_is_made_anew(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['fork', [[['call', 'sub']], [['action', 'pay', {'key':"
                         " 'p', 'args': {}, 'on_unknown': 'retry'}]]]]],"
                         " 'sub': [['gate', 'g', {'ask': '?'}]]}");
  fail_once(k);
  CHECK_STR(kit_state(&box.world, "r:1-0.1"), "cancelled");
  k->person = true;
  try_again(k);
  CHECK_STR(kit_state(&box.world, "r:1-0.1.1"), "done");
  kit_box_close(&box);
}

static kit_reply refuses_models(kit *k, const kit_task *t) {
  (void)k;
  return t->task->kind == TM_CALL_LLM ? KIT_REFUSED : KIT_OK;
}

/* The other run's child is at work again: its end would be told to that run alone. */
static void a_fork_that_is_tried_again_has_a_child_of_its_own(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['call', 'sub']], 'sub': [['llm', 'a']]}");
  k->reply = refuses_models;
  kit_play(k, "r");
  k->last_told = false;
  tm_change_fork(k->engine, "r", &(tm_fork){.id = "f"}, on_done, k);
  take_up(k, "f");
  CHECK_STR(kit_journal(&box.world, "f"), "start open:1 fail:1 end");
  k->reply = hangs;
  move(k, "r:1", true, NULL);
  CHECK_STR(kit_state(&box.world, "r:1"), "running");
  k->reply = NULL;
  move(k, "f", true, NULL);
  CHECK_STR(kit_state(&box.world, "f:1"), "done");
  CHECK_STR(kit_state(&box.world, "f"), "done");
  kit_box_close(&box);
}

/* Its row has the other run as parent, and yet it is nobody's child. */
static void a_fork_is_not_cancelled_with_the_run_it_was_forked_from(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['start', 'sub'], ['gate', 'g', {'ask': '?'}]],"
                              " 'sub': [['gate', 'h', {'ask': '?'}]]}");
  kit_play(k, "r");
  k->last_told = false;
  tm_change_fork(k->engine, "r", &(tm_fork){.id = "f"}, on_done, k);
  take_up(k, "f");
  CHECK_STR(kit_state(&box.world, "f"), "waiting");
  kit_cancel(k, "r");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "cancelled");
  CHECK_STR(kit_state(&box.world, "r:1"), "cancelled");
  CHECK_STR(kit_state(&box.world, "f"), "waiting");
  kit_decide(k, "f/g@2", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "f"), "done");
  kit_box_close(&box);
}

/* The value of the note at place 2, as text. */
static const char *thrown(kit_box *box, const char *run) {
  tm_json *body = NULL;
  tm_err err = TM_ERR_INIT;
  const char *text = kit_record(&box->world, run, "note", "2");
  tm_json_parse(&body, &box->world.arena, text, strlen(text), NULL, &err);
  const tm_json *value = tm_json_get(body, "v");
  return value ? tm_json_text(&box->world.arena, value, NULL) : "";
}

static void a_fork_throws_the_dice_of_the_run_it_was_forked_from(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['gate', 'g', {'ask': '?'}],"
                              " ['random', '', {'m': 1, 'n': 1000000000}]]}");
  kit_play(k, "r");
  kit_play(k, "s");
  k->last_told = false;
  tm_change_fork(k->engine, "r", &(tm_fork){.id = "f"}, on_done, k);
  take_up(k, "f");
  kit_decide(k, "r/g@1", true, NULL);
  kit_decide(k, "f/g@1", true, NULL);
  kit_decide(k, "s/g@1", true, NULL);
  kit_run(k);
  const char *first = thrown(&box, "r");
  CHECK(*first);
  CHECK_STR(thrown(&box, "f"), first);
  CHECK(strcmp(thrown(&box, "s"), first) != 0);
  kit_box_close(&box);
}

/* -- moments that a test has to meet ------------------------------------------------------- */

/* What has come is no reason to wait, also before the script hears of it. */
static void a_run_does_not_wait_for_what_it_has(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'events': {'go': {}}, 'flow': [['wait', 'go'], ['llm', 'a']]}");
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  tm_engine_signal(k->engine, "r", "go", tm_json_new_int(&box.world.arena, 1), "one", on_done,
                   k);
  while (!strstr(kit_journal(&box.world, "r"), "done:1") && kit_step(k))
    ;
  CHECK_STR(kit_state(&box.world, "r"), "running");
  kit_box_close(&box);
}

static void a_terminated_run_takes_its_children_along(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&box, "{'flow': [['start', 'sub'], ['call', 'sub']],"
                              " 'sub': [['gate', 'g', {'ask': '?'}]]}");
  kit_play(k, "r");
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_TERMINATE, "", "kit", &err), 0);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r:1"), "cancelled");
  CHECK_STR(kit_state(&box.world, "r:2"), "cancelled");
  kit_box_close(&box);
}

/* It had its approval, and waited for a key that another run had, when its sources changed. */
static void an_approval_is_for_the_sources_that_it_was_given_on(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit *k =
      kit_box_open(&box, "{'flow': [['action', 'pay', {'key': 'k', 'args': {}, 'blast': 60,"
                         " 'gate_above': 50, 'on_unknown': 'retry'}]]}");
  k->reply = hangs;
  kit_play(k, "h");
  kit_play(k, "r");
  kit_decide(k, "h/pay@1", true, NULL);
  kit_run(k);
  kit_decide(k, "r/pay@1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 decided:1");
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_PAUSE, "", "kit", &err), 0);
  kit_run(k);
  kit_finish(k, kit_task_at(k, "POST"), KIT_REFUSED);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "h"), "failed");
  k->reply = NULL;
  move(k, "r", false,
       "{'flow': [['action', 'pay', {'key': 'k', 'args': {}, 'blast': 60,"
       " 'gate_above': 50, 'on_unknown': 'retry'}], ['now']]}");
  CHECK_STR(kit_effects(&box.world), "");
  CHECK(strstr(kit_gates(&box.world), "r/pay@1~1 open"));
  kit_decide(k, "r/pay@1~1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_effects(&box.world), "k");
  kit_box_close(&box);
}

/* Both claim the run at one epoch; the loser stops, and gives back what it thinks is its own. */
static void who_lost_a_claim_gives_nothing_back(void) {
  kit_box box;
  kit other, *k = kit_box_open(&box, "{'flow': [['wait', 'go']], 'events': {'go': {}}}");
  tm_err err = TM_ERR_INIT;
  kit_open(&other, &box.world);
  strcpy(other.engine->owner, "somebody else");
  kit_play(k, "r");
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_PAUSE, "", "kit", &err), 0);
  kit_run(k);
  CHECK_INT(tm_engine_resume(k->engine, "r", &err), 1);
  CHECK_INT(tm_engine_resume(other.engine, "r", &err), 1);
  k->woken = other.woken = true;
  CHECK(kit_turn(k) && kit_turn(&other));
  tm_engine_stop(other.engine);
  while (kit_hear(&other))
    ;
  CHECK_STR(kit_owner(&box.world, "r"), k->engine->owner);
  CHECK_STR(kit_state(&box.world, "r"), "running");
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  kit_box_close(&box);
}

static void a_paused_run_is_not_roused_by_what_it_waited_for(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&box, "{'flow': [['gate', 'g', {'ask': '?'}], ['llm', 'a']]}");
  kit_play(k, "r");
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_PAUSE, "", "kit", &err), 0);
  kit_run(k);
  kit_decide(k, "r/g@1", true, NULL);
  kit_run(k);
  CHECK_INT(k->last.code, TM_OK);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1");
  CHECK_INT(tm_engine_resume(k->engine, "r", &err), 1);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

/* The same calls, and another result. */
static void a_rehearsal_holds_the_end_to_what_it_was(void) {
  kit_box box;
  tm_verdict v;
  tm_err err = TM_ERR_INIT;
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a'], ['now']]}");
  kit_play(k, "r");
  tm_closure *to = closure_of(k, "{'flow': [['llm', 'a'], ['now', '', {'told': true}]]}");
  k->trial = true;
  CHECK_INT(tm_replay_check(&v, &box.world.arena, k->engine, "r", to, &err), 0);
  CHECK(!v.equal && strstr(v.message, "another end (record"));
  tm_closure_release(&to);
  kit_box_close(&box);
}

static void a_fork_does_not_take_for_done_what_was_undone(void) {
  kit_box box;
  kit *k = kit_box_open(&box, undoes);
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "failed");
  tm_change_fork(k->engine, "r", &(tm_fork){.id = "f", .from = "a"}, on_done, k);
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "undid what the new run would take for done (\"pay\")"));
  tm_change_fork(k->engine, "r", &(tm_fork){.id = "f", .from = "pay"}, on_done, k);
  kit_run(k);
  CHECK_STR(k->last.msg, "");
  kit_box_close(&box);
}

/* It ended in a process that died before it could say so. */
static void a_call_at_its_timeout_looks_first(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  kit other, *k = kit_box_open(&box, "{'flow': [['call', 'sub', {'timeout_ms': 5000}]],"
                                     " 'sub': [['gate', 'g', {'ask': '?'}]]}");
  kit_open(&other, &box.world);
  k->still = true;
  kit_play(k, "r");
  tm_engine_decide(other.engine, "r:1/g@1", true, tm_json_new_object(&box.world.arena), NULL,
                   NULL);
  CHECK_STR(err.msg, "");
  while (strcmp(kit_state(&box.world, "r:1"), "done") != 0 && kit_step(&other))
    ;
  kit_crash(&other);
  k->still = false;
  kit_run(k);
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 done:1 end");
  kit_box_close(&box);
}

/* The lock was let go between the reading of the line and the hearing of it. */
static void who_joins_a_line_looks_again(void) {
  kit_box box;
  kit other, *k = kit_box_open(&box, "{'flow': [['lock', 'anna'], ['llm', 'a'], ['unlock',"
                                     " 'anna']]}");
  kit_open(&other, &box.world);
  strcpy(other.engine->owner, "somebody else");
  k->reply = hangs;
  kit_play(k, "a");
  kit_start(&other, "b");
  while (!tm_engine_find(other.engine, "b") && kit_step(&other))
    ;
  CHECK(kit_turn(&other)); /* in line, and not told of it */
  kit_finish(k, kit_task_at(k, "a"), KIT_OK);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "a"), "done");
  kit_run(&other);
  CHECK_STR(kit_state(&box.world, "b"), "done");
  kit_box_close(&box);
}

/* Whoever edits a capsule can seal it anew; its records hang on each other all the same. */
static void a_capsule_that_was_edited_and_sealed_anew_is_refused(void) {
  kit_box box;
  tm_err err = TM_ERR_INIT;
  tm_json *capsule;
  tm_tale tale = {.closure = NULL};
  kit *k = kit_box_open(&box, "{'flow': [['llm', 'a']]}");
  tm_arena *a = &box.world.arena;
  kit_play(k, "r");
  CHECK_INT(tm_capsule_export(&capsule, a, k->engine, "r", false, &err), 0);
  CHECK_INT(tm_capsule_read(&tale, a, capsule, &err), 0);
  tm_closure_release(&tale.closure);
  const tm_json *done = tm_json_at(tm_json_get(capsule, "records"), 2);
  tm_json_set_str(a, (tm_json *)(uintptr_t)tm_json_get(done, "body"), "v", "another answer");
  tm_json_remove(capsule, "seal");
  tm_json_set_str(a, capsule, "seal", tm_json_hash(capsule).hex);
  CHECK_INT(tm_capsule_read(&tale, a, capsule, &err), -1);
  CHECK(strstr(err.msg, "record 2 of the capsule was changed"));
  kit_box_close(&box);
}

CHECK_SUITE(engine_kin) {
  CHECK_RUN(a_child_of_a_link_has_a_chain_of_its_own);
  CHECK_RUN(a_run_that_went_on_beside_a_timer_replays);
  CHECK_RUN(a_cancelled_run_does_not_go_on_as_another);
  CHECK_RUN(an_order_to_a_run_being_born_is_obeyed_once);
  CHECK_RUN(a_moved_run_leaves_lines_that_it_does_not_ask_for);
  CHECK_RUN(a_cancel_does_not_cut_an_undo_off);
  CHECK_RUN(what_was_for_a_cancelled_call_is_not_told_to_the_next);
  CHECK_RUN(an_event_of_a_void_wait_is_heard_again);
  CHECK_RUN(what_is_emitted_anew_is_another_event_when_it_says_another_thing);
  CHECK_RUN(a_child_asked_for_anew_is_the_old_one_when_that_is_good);
  CHECK_RUN(another_try_begins_outside_of_all_locks);
  CHECK_RUN(a_child_that_ended_with_its_parent_is_made_anew);
  CHECK_RUN(a_fork_that_is_tried_again_has_a_child_of_its_own);
  CHECK_RUN(a_fork_is_not_cancelled_with_the_run_it_was_forked_from);
  CHECK_RUN(a_fork_throws_the_dice_of_the_run_it_was_forked_from);
  CHECK_RUN(a_run_does_not_wait_for_what_it_has);
  CHECK_RUN(a_terminated_run_takes_its_children_along);
  CHECK_RUN(an_approval_is_for_the_sources_that_it_was_given_on);
  CHECK_RUN(who_lost_a_claim_gives_nothing_back);
  CHECK_RUN(a_paused_run_is_not_roused_by_what_it_waited_for);
  CHECK_RUN(a_rehearsal_holds_the_end_to_what_it_was);
  CHECK_RUN(a_fork_does_not_take_for_done_what_was_undone);
  CHECK_RUN(a_call_at_its_timeout_looks_first);
  CHECK_RUN(who_joins_a_line_looks_again);
  CHECK_RUN(a_capsule_that_was_edited_and_sealed_anew_is_refused);
}
