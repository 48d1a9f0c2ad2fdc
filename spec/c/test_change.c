/* test_change.c - rehearsals, and what they allow: repin, retry, fork. */
#include "check.h"
#include "engine/change.h"
#include "engine_kit.h"

#define FLOW(steps) "{'flow': [" steps "]}"

/* -- helpers ---------------------------------------------------------------------------- */

static tm_closure *closure_of(kit *k, const char *sources) {
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  const char *before = k->world->sources;
  k->world->sources = kit_text(k->world, sources);
  CHECK_INT(k->engine->ports.sources(k, &c, &err), 0);
  k->world->sources = before;
  return c;
}

static tm_verdict check_run(kit *k, const char *run, const char *sources) {
  tm_verdict v = {.equal = false};
  tm_err err = TM_ERR_INIT;
  tm_closure *with = sources ? closure_of(k, sources) : NULL;
  CHECK_INT(tm_replay_check(&v, &k->world->arena, k->engine, run, with, &err), 0);
  CHECK_STR(err.msg, "");
  tm_closure_release(&with);
  return v;
}

static const char *told(kit *k, const tm_verdict *v) {
  return tm_json_text(&k->world->arena, v->told, NULL);
}

/* What a run was told before it was moved is no promise any more. */
static void new_trace(kit *k, const char *run) {
  tm_buf *t = tm_map_get(&k->world->traces, run);
  if (t)
    tm_buf_reset(t);
}

static void on_done(void *ctx, const char *id, const tm_err *err) {
  kit *k = ctx;
  (void)id;
  k->last = *err;
  k->last_told = true;
}

static void until_told(kit *k) {
  while (!k->last_told && kit_step(k))
    ;
  CHECK(k->last_told);
}

static void repin(kit *k, const char *run, const char *sources) {
  tm_closure *to = closure_of(k, sources);
  k->last_told = false;
  tm_change_repin(k->engine, run, to, "kit", on_done, k);
  until_told(k);
  tm_closure_release(&to);
}

static void retry(kit *k, const char *run, const char *sources) {
  tm_closure *to = sources ? closure_of(k, sources) : NULL;
  k->last_told = false;
  tm_change_retry(k->engine, run, to, "kit", on_done, k);
  until_told(k);
  tm_closure_release(&to);
  new_trace(k, run);
}

static void fork_from(kit *k, const char *run, const tm_fork *how) {
  k->last_told = false;
  tm_change_fork(k->engine, run, how, on_done, k);
  until_told(k);
}

static void go_on(kit *k, const char *run) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_engine_resume(k->engine, run, &err), 1);
  kit_run(k);
}

/* -- rehearsals ------------------------------------------------------------------------- */

static const char *const whole =
    FLOW("['now'], ['env', 'COLOUR'], ['log', '', {}], ['llm', 'a'], ['fork', [[['llm', 'b']],"
         " [['sleep', 50], ['llm', 'c', {'of': '$all'}]]]],"
         " ['action', 'pay', {'key': 'p1', 'args': {}}], ['gate', 'g', {'ask': '?'}]");

static void law_6_a_rehearsal_touches_nothing(void) {
  kit_box box;
  kit *k = kit_box_open(&box, whole);
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  for (int round = 0; round < 2; round++) {
    int events = kit_count(k, ""), commits = k->commits, started = k->started;
    const char *journal = kit_journal(&box.world, "r");
    tm_verdict v = check_run(k, "r", NULL);
    CHECK(v.equal);
    CHECK(!k->engine->turn && k->engine->in_flight == 0);
    CHECK_INT(k->commits, commits);
    CHECK_INT(k->started, started);
    CHECK_INT(kit_count(k, ""), events);
    CHECK_STR(kit_journal(&box.world, "r"), journal);
    kit_decide(k, "r/g@7", true, NULL);
    kit_run(k);
  }
  CHECK_STR(kit_state(&box.world, "r"), "done");
  tm_verdict v = check_run(k, "r", NULL);
  CHECK_STR(v.ended, "done");
  kit_box_close(&box);
}

static void a_rehearsal_goes_to_the_end_of_any_run(void) {
  static const char *const flows[][2] = {
      {FLOW("['llm', 'a'], ['raise', 'bad']"), "failed"},
      {FLOW("['llm', 'a'], ['stop']"), "failed"},
      {FLOW("['llm', 'unknown model']"), "failed"},
      {FLOW("['llm', 'unknown model', {'try': true}], ['now']"), "done"},
      {FLOW("['fork', [[['llm', 'a']], [['raise', 'x']]], {'try': true}]"), "done"},
  };
  for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
    kit_box box;
    kit *k = kit_box_open(&box, flows[i][0]);
    kit_play(k, "r");
    tm_verdict v = check_run(k, "r", NULL);
    CHECK(v.equal);
    CHECK_STR(v.ended, flows[i][1]);
    kit_box_close(&box);
  }
}

static void a_rehearsal_of_a_cancelled_run_is_equal(void) {
  kit_box box;
  kit *k = kit_box_open(
      &box, FLOW("['llm', 'a'], ['gate', 'g', {'ask': '?', 'try': true}], ['now']"));
  tm_err err = TM_ERR_INIT;
  kit_play(k, "r");
  CHECK_INT(tm_control_give(k->engine, "r", TM_ORDER_CANCEL, "", "kit", &err), 0);
  kit_run(k);
  tm_verdict v = check_run(k, "r", NULL);
  CHECK(v.equal);
  CHECK_STR(v.ended, "cancelled");
  kit_box_close(&box);
}

static void a_difference_names_both_sides(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, FLOW("['now'], ['llm', 'a', {'x': 1}], ['gate', 'g', {'ask': '?'}]"));
  kit_play(k, "r");
  tm_verdict v =
      check_run(k, "r", FLOW("['now'], ['llm', 'a', {'x': 2}], ['gate', 'g', {'ask': '?'}]"));
  CHECK(!v.equal);
  CHECK_STR(
      told(k, &v),
      "{\"verdict\":\"diverged\",\"records\":5,\"message\":\"diverged at place 2: flow:2 asks "
      "for llm \\\"a\\\" with {\\\"unit\\\":\\\"a\\\",\\\"vars\\\":{\\\"x\\\":2}}; the journal "
      "has "
      "llm \\\"a\\\" with {\\\"unit\\\":\\\"a\\\",\\\"vars\\\":{\\\"x\\\":1}}, asked for at "
      "flow:2 "
      "there (record "
      "3)\",\"place\":\"2\",\"record\":3,\"stands\":{\"kind\":\"llm\",\"name\":\"a\","
      "\"where\":\"flow:2\",\"request\":{\"unit\":\"a\",\"vars\":{\"x\":1}}},\"asked\":{"
      "\"kind\":"
      "\"llm\",\"name\":\"a\",\"where\":\"flow:2\",\"request\":{\"unit\":\"a\",\"vars\":{\"x\":"
      "2}}},"
      "\"changes\":[{\"at\":\"/vars/x\",\"was\":1,\"is\":2}]}");
  kit_box_close(&box);
}

static void more_or_less_than_the_journal_holds_is_a_difference(void) {
  static const char *const others[] = {FLOW("['llm', 'a']"),
                                       FLOW("['llm', 'a'], ['llm', 'b'], ['llm', 'c']"),
                                       FLOW("['llm', 'b'], ['llm', 'a']"),
                                       FLOW("['llm', 'a'], ['llm', 'b'], ['now']"),
                                       FLOW("['llm', 'a'], ['llm', 'b'], ['raise', 'x']"),
                                       "{'other': []}"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    kit_box box;
    kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['llm', 'b']"));
    kit_play(k, "r");
    tm_verdict v = check_run(k, "r", others[i]);
    CHECK(!v.equal);
    CHECK(v.message && *v.message);
    kit_box_close(&box);
  }
}

static void a_damaged_journal_cannot_be_rehearsed(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'a']"));
  tm_verdict v;
  tm_err err = TM_ERR_INIT;
  tm_tale t;
  kit_play(k, "r");
  CHECK_INT(tm_verify_read(&t, &box.world.arena, box.world.disk, "r", &err), 0);
  t.closure = closure_of(k, FLOW("['llm', 'a']"));
  CHECK_INT(tm_verify_play(&v, &box.world.arena, &t, &k->engine->ports, &err), 0);
  t.records[2].body = "{}";
  t.records[2].body_len = 2;
  CHECK_INT(tm_verify_play(&v, &box.world.arena, &t, &k->engine->ports, &err), -1);
  CHECK(strstr(err.msg, "record 2 of run r was changed") != NULL);
  tm_closure_release(&t.closure);
  kit_box_close(&box);
}

/* -- repin ------------------------------------------------------------------------------ */

static void repin_moves_a_waiting_run_and_asks_its_gate_anew(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, FLOW("['llm', 'a'], ['gate', 'g', {'ask': '?'}], ['llm', 'old']"));
  kit_play(k, "r");
  repin(k, "r", FLOW("['llm', 'a'], ['gate', 'g', {'ask': '?'}], ['llm', 'new']"));
  CHECK_STR(k->last.msg, "");
  CHECK_STR(kit_state(&box.world, "r"), "queued");
  CHECK_STR(kit_gates(&box.world), "r/g@2 closed");
  kit_crash(k);
  kit_boot(k);
  kit_run(k);
  CHECK_STR(kit_gates(&box.world), "r/g@2 closed, r/g@2~1 open");
  kit_crash(k);
  kit_boot(k);
  kit_decide(k, "r/g@2~1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK(kit_record(&box.world, "r", "done", "3") != NULL);
  CHECK(strstr(kit_record(&box.world, "r", "done", "3"), "\"new\"") != NULL);
  CHECK(check_run(k, "r", NULL).equal);
  kit_box_close(&box);
}

static void repin_refuses_sources_that_do_not_fit(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['gate', 'g', {'ask': '?'}]"));
  kit_play(k, "r");
  const char *journal = kit_journal(&box.world, "r");
  repin(k, "r", FLOW("['llm', 'b'], ['gate', 'g', {'ask': '?'}]"));
  CHECK_INT(k->last.code, TM_DIVERGED);
  CHECK_STR(kit_journal(&box.world, "r"), journal);
  CHECK_STR(kit_gates(&box.world), "r/g@2 open");
  kit_decide(k, "r/g@2", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  repin(k, "r", FLOW("['llm', 'a'], ['gate', 'g', {'ask': '?'}], ['now']"));
  CHECK_INT(k->last.code, TM_CONFLICT);
  kit_box_close(&box);
}

static void repin_can_be_taken_back(void) {
  kit_box box;
  static const char one[] = FLOW("['llm', 'a'], ['sleep', 90000], ['llm', 'one']");
  static const char two[] = FLOW("['llm', 'a'], ['sleep', 90000], ['llm', 'two']");
  kit *k = kit_box_open(&box, one);
  kit_start(k, "r");
  while (strcmp(kit_state(&box.world, "r"), "waiting") != 0 && kit_step(k))
    ;
  while (kit_hear(k) || kit_turn(k))
    ;
  repin(k, "r", two);
  CHECK_STR(k->last.msg, "");
  repin(k, "r", one);
  CHECK_STR(k->last.msg, "");
  go_on(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_journal(&box.world, "r"),
            "start attempt:1 done:1 open:2 repin repin done:2 attempt:3 done:3 end");
  CHECK(strstr(kit_record(&box.world, "r", "done", "3"), "one") != NULL);
  kit_box_close(&box);
}

static void repin_brings_a_diverged_run_back_to_life(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['gate', 'g', {'ask': '?'}]"));
  kit_play(k, "r");
  kit_crash(k);
  k->other = kit_text(&box.world, FLOW("['llm', 'b'], ['gate', 'g', {'ask': '?'}]"));
  kit_boot(k);
  tm_err err = TM_ERR_INIT;
  tm_engine_resume(k->engine, "r", &err);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "diverged");
  k->other = NULL;
  repin(k, "r", FLOW("['llm', 'a'], ['gate', 'g', {'ask': '?'}]"));
  CHECK_STR(k->last.msg, "");
  go_on(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  kit_decide(k, "r/g@2~1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static const char *const payment =
    FLOW("['action', 'pay', {'key': 'k1', 'args': {'usd': 9}, 'blast': 9, 'gate_above': 5}]");

static void law_9_an_approval_does_not_outlive_a_move(void) {
  kit_box box;
  kit other, *k = kit_box_open(&box, payment);
  kit_play(k, "r");
  kit_open(&other, &box.world);
  other.die_after = other.commits + 1; /* approved there, and nobody has taken it up */
  kit_decide(&other, "r/pay@1", true, NULL);
  kit_run(&other);
  kit_crash(&other);
  repin(k, "r",
        FLOW("['action', 'pay', {'key': 'k1', 'args': {'usd': 9}, 'blast': 9,"
             " 'gate_above': 5}], ['now']"));
  CHECK_STR(k->last.msg, "");
  go_on(k, "r");
  CHECK_STR(kit_gates(&box.world), "r/pay@1 approved, r/pay@1~1 open");
  CHECK_STR(kit_effects(&box.world), "");
  kit_decide(k, "r/pay@1~1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_effects(&box.world), "k1");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static void a_run_at_work_is_not_moved(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['llm', 'b']"));
  k->reply = hangs;
  kit_play(k, "r");
  repin(k, "r", FLOW("['llm', 'a'], ['llm', 'c']"));
  CHECK_INT(k->last.code, TM_CONFLICT);
  k->reply = NULL;
  kit_finish(k, kit_task_at(k, "a"), KIT_OK);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  kit_box_close(&box);
}

/* -- retry ------------------------------------------------------------------------------ */

static kit_reply first_fails(kit *k, const kit_task *t) {
  (void)t;
  return k->started == 1 ? KIT_REFUSED : KIT_OK;
}

static void retry_goes_on_from_the_call_that_failed(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['action', 'pay', {'key': 'p', 'args': {}}],"
                                   " ['llm', 'b'], ['llm', 'c']"));
  k->reply = first_fails;
  k->started = -1; /* the third one */
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "failed");
  retry(k, "r", NULL);
  CHECK_STR(k->last.msg, "");
  go_on(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_effects(&box.world), "p");
  CHECK_STR(
      kit_journal(&box.world, "r"),
      "start attempt:1 done:1 open:2 attempt:2 done:2 attempt:3 fail:3 end retry attempt:3 "
      "done:3 attempt:4 done:4 end");
  CHECK(check_run(k, "r", NULL).equal);
  kit_crash(k);
  kit_boot(k);
  retry(k, "r", NULL);
  CHECK_INT(k->last.code, TM_CONFLICT);
  kit_box_close(&box);
}

static void a_retry_outlives_a_crash(void) {
  for (int die = 1; die < 8; die++) {
    kit_box box;
    kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['llm', 'b']"));
    k->reply = first_fails;
    k->started = 0;
    kit_play(k, "r");
    CHECK_STR(kit_state(&box.world, "r"), "failed");
    k->die_before = k->commits + die;
    k->last_told = false;
    tm_change_retry(k->engine, "r", NULL, "kit", on_done, k);
    kit_run(k);
    new_trace(k, "r");
    if (!k->dead) {
      tm_err err = TM_ERR_INIT;
      tm_engine_resume(k->engine, "r", &err);
      kit_run(k);
    }
    kit_crash(k);
    kit_boot(k);
    k->reply = NULL;
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "r"), die == 1 ? "failed" : "done");
    CHECK(check_run(k, "r", NULL).equal);
    kit_box_close(&box);
  }
}

static void retry_of_a_script_that_raises_needs_another_script(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['raise', 'bad']"));
  kit_play(k, "r");
  retry(k, "r", NULL);
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "would only fail again: raised by the script") != NULL);
  retry(k, "r", FLOW("['llm', 'z'], ['now']"));
  CHECK_INT(k->last.code, TM_DIVERGED);
  retry(k, "r", FLOW("['llm', 'a'], ['llm', 'b']"));
  CHECK_STR(k->last.msg, "");
  go_on(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_journal(&box.world, "r"),
            "start attempt:1 done:1 end retry repin attempt:2 done:2 end");
  kit_box_close(&box);
}

static void a_caught_failure_stays_when_the_script_fails_later(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'unknown model', {'try': true}], ['llm', 'a'],"
                                   " ['raise', 'bad']"));
  kit_play(k, "r");
  retry(k, "r", FLOW("['llm', 'unknown model', {'try': true}], ['llm', 'a']"));
  CHECK_STR(k->last.msg, "");
  go_on(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_INT(k->started, 1);
  kit_box_close(&box);
}

/* -- fork ------------------------------------------------------------------------------- */

static const char *const line =
    FLOW("['now'], ['llm', 'a'], ['action', 'pay', {'key': 'p', 'args': {}}], ['sleep', 10],"
         " ['llm', 'b', {'of': '$acc'}], ['gate', 'g', {'ask': '?'}], ['llm', 'c']");

static void a_fork_shares_what_was_done_and_repeats_nothing(void) {
  kit_box box;
  kit *k = kit_box_open(&box, line);
  kit_play(k, "r");
  int started = k->started;
  fork_from(k, "r", &(tm_fork){.id = "f", .from = "b"});
  CHECK_STR(k->last.msg, "");
  CHECK_STR(kit_journal(&box.world, "f"), "start note:1 done:2 open:3 done:3 open:4 done:4");
  go_on(k, "f");
  CHECK_INT(k->started, started + 1);
  CHECK_STR(kit_effects(&box.world), "p");
  CHECK_STR(kit_gates(&box.world), "r/g@6 open, f/g@6 open");
  CHECK(strstr(kit_body(&box.world, "f", 0), "\"fork\":{\"run\":\"r\",\"seq\":") != NULL);
  CHECK(strstr(kit_body(&box.world, "f", 0), "\"seed\":\"r\"") != NULL);
  kit_decide(k, "f/g@6", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "f"), "done");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  CHECK(check_run(k, "f", NULL).equal);
  kit_box_close(&box);
}

static void a_fork_of_every_record_comes_to_an_end(void) {
  for (int from = 1; from < 12; from++) {
    kit_box box;
    char seq[16];
    kit *k = kit_box_open(&box, line);
    k->person = true;
    kit_play(k, "r");
    CHECK_STR(kit_state(&box.world, "r"), "done");
    snprintf(seq, sizeof seq, "%d", from);
    fork_from(k, "r", &(tm_fork){.id = "f", .from = seq});
    CHECK_STR(k->last.msg, "");
    go_on(k, "f");
    CHECK_STR(kit_state(&box.world, "f"), "done");
    CHECK_STR(kit_result(&box.world, "f"), kit_result(&box.world, "r"));
    CHECK_STR(kit_effects(&box.world), "p");
    kit_box_close(&box);
  }
}

static void a_fork_can_have_another_result(void) {
  kit_box box;
  kit *k = kit_box_open(&box, line);
  kit_play(k, "r");
  tm_json *v = tm_json_new_str(&box.world.arena, "other");
  fork_from(k, "r", &(tm_fork){.id = "f", .edited = "a", .result = v});
  CHECK_STR(k->last.msg, "");
  CHECK_STR(kit_journal(&box.world, "f"), "start note:1 done:2");
  go_on(k, "f");
  CHECK_STR(kit_state(&box.world, "f"), "waiting");
  kit_decide(k, "f/g@6", true, NULL);
  kit_run(k);
  CHECK(strncmp(kit_result(&box.world, "f"), "llm=\"other\";", 12) == 0);
  CHECK_STR(kit_effects(&box.world), "p"); /* the same key: the stored result */
  fork_from(k, "r", &(tm_fork){.id = "h", .edited = "a", .result = v, .from = "c"});
  CHECK_INT(k->last.code, TM_NOTFOUND);
  fork_from(k, "r", &(tm_fork){.id = "h", .edited = "a", .result = v, .from = "g"});
  CHECK_INT(k->last.code, TM_DIVERGED); /* b was asked with what a had said */
  fork_from(k, "r", &(tm_fork){.id = "h", .edited = "b", .result = v, .from = "a"});
  CHECK_INT(k->last.code, TM_USAGE);
  new_trace(k, "f");
  fork_from(k, "r", &(tm_fork){.id = "f"});
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK_STR(kit_state(&box.world, "h"), "");
  kit_box_close(&box);
}

static void a_fork_can_have_other_sources_behind_the_record(void) {
  kit_box box;
  kit *k = kit_box_open(&box, FLOW("['llm', 'a'], ['llm', 'b'], ['llm', 'c']"));
  kit_play(k, "r");
  tm_closure *c = closure_of(k, FLOW("['llm', 'a'], ['llm', 'x']"));
  fork_from(k, "r", &(tm_fork){.id = "f", .from = "c", .closure = c});
  CHECK_INT(k->last.code, TM_DIVERGED);
  fork_from(k, "r", &(tm_fork){.id = "f", .from = "b", .closure = c});
  CHECK_STR(k->last.msg, "");
  tm_closure_release(&c);
  go_on(k, "f");
  CHECK_STR(kit_journal(&box.world, "f"), "start done:1 attempt:2 done:2 end");
  kit_box_close(&box);
}

CHECK_SUITE(change) {
  CHECK_RUN(law_6_a_rehearsal_touches_nothing);
  CHECK_RUN(a_rehearsal_goes_to_the_end_of_any_run);
  CHECK_RUN(a_rehearsal_of_a_cancelled_run_is_equal);
  CHECK_RUN(a_difference_names_both_sides);
  CHECK_RUN(more_or_less_than_the_journal_holds_is_a_difference);
  CHECK_RUN(a_damaged_journal_cannot_be_rehearsed);
  CHECK_RUN(repin_moves_a_waiting_run_and_asks_its_gate_anew);
  CHECK_RUN(repin_refuses_sources_that_do_not_fit);
  CHECK_RUN(repin_can_be_taken_back);
  CHECK_RUN(repin_brings_a_diverged_run_back_to_life);
  CHECK_RUN(law_9_an_approval_does_not_outlive_a_move);
  CHECK_RUN(a_run_at_work_is_not_moved);
  CHECK_RUN(retry_goes_on_from_the_call_that_failed);
  CHECK_RUN(a_retry_outlives_a_crash);
  CHECK_RUN(retry_of_a_script_that_raises_needs_another_script);
  CHECK_RUN(a_caught_failure_stays_when_the_script_fails_later);
  CHECK_RUN(a_fork_shares_what_was_done_and_repeats_nothing);
  CHECK_RUN(a_fork_of_every_record_comes_to_an_end);
  CHECK_RUN(a_fork_can_have_another_result);
  CHECK_RUN(a_fork_can_have_other_sources_behind_the_record);
}
