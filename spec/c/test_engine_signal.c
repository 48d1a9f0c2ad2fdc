/* test_engine_signal.c - events: checked when sent, kept until asked for, told once, in every
 * life.
 */
#include <string.h>

#include "check.h"
#include "engine/signal.h"
#include "engine_kit.h"

static const char *const asks = "{'flow': [['wait', 'paid', {'try': true}], ['llm', 'a']],"
                                " 'events': {'paid': {'type': 'integer'}, 'sent': {}}}";

static void told(void *ctx, const char *id, const tm_err *err) {
  kit *k = ctx;
  (void)id;
  k->last = *err;
  k->last_told = true;
}

static void send(kit *k, const char *run, const char *event, const char *payload,
                 const char *id) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  const char *text = kit_text(k->world, payload);
  CHECK_INT(tm_json_parse(&v, &k->world->arena, text, strlen(text), NULL, &err), 0);
  k->last_told = false;
  tm_engine_signal(k->engine, run, event, v, id, told, k);
}

static void sent(kit *k, const char *run, const char *event, const char *payload,
                 const char *id) {
  send(k, run, event, payload, id);
  kit_run(k);
  CHECK(k->last_told);
  CHECK_STR(k->last.msg, "");
}

static int on_signal(void *ctx, const tm_signal_row *s) {
  tm_buf *out = ctx;
  tm_buf_printf(out, "%s%s@%s", out->len ? " " : "", s->sid, s->place ? s->place : "-");
  return 0;
}

/* "id@place …", "-" for a pending one. */
static const char *signals(kit *k, const char *run) {
  tm_buf out = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  tm_signal_filter f = {.run = run};
  tm_store *d = k->world->disk;
  CHECK_INT(d->vt->signals(d, &f, on_signal, &out, &err), 0);
  const char *text = tm_arena_strdup(&k->world->arena, tm_buf_str(&out));
  tm_buf_free(&out);
  return text;
}

static kit_reply hangs(kit *k, const kit_task *t) {
  (void)k, (void)t;
  return KIT_HANGS;
}

static void ignore(tm_batch *b, const tm_err *err) {
  CHECK_INT(err->code, TM_OK);
  tm_batch_free(&b);
}

/* -- waiting ---------------------------------------------------------------------------- */

static void a_run_waits_as_a_row_until_its_event_comes(void) {
  kit_box box;
  kit *k = kit_box_open(&box, asks);
  kit_play(k, "r");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  CHECK_STR(kit_owner(&box.world, "r"), "");
  CHECK(strstr(kit_reason(&box.world, "r"), "\"for\":\"wait\",\"name\":\"paid\""));
  sent(k, "r", "paid", "7", "one");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 done:1 attempt:2 done:2 end");
  CHECK(strstr(kit_record(&box.world, "r", "done", "1"), "\"v\":7"));
  CHECK(strstr(kit_record(&box.world, "r", "done", "1"), "\"id\":\"one\""));
  CHECK_STR(signals(k, "r"), "one@1");
  kit_box_close(&box);
}

static void an_event_that_comes_early_is_kept(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['gate', 'g', {'ask': '?'}], ['wait', 'paid'],"
                              " ['wait', 'paid']], 'events': {'paid': {}}}");
  kit_play(k, "r");
  sent(k, "r", "paid", "1", "one");
  sent(k, "r", "paid", "2", "two");
  CHECK_STR(signals(k, "r"), "one@- two@-");
  kit_decide(k, "r/g@1", true, NULL);
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "gate=approved trueanswer null;wait=1;wait=2");
  CHECK_STR(kit_journal(&box.world, "r"), "start open:1 decided:1 done:1 done:2 done:3 end");
  kit_box_close(&box);
}

static void branches_take_their_events_in_turn(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['fork', [[['wait', 'paid']], [['wait', 'paid']]]]],"
                              " 'events': {'paid': {}}}");
  kit_play(k, "r");
  send(k, "r", "paid", "1", "one");
  send(k, "r", "paid", "2", "two");
  kit_run(k);
  CHECK_STR(kit_result(&box.world, "r"), "fork=[wait=1|wait=2]");
  CHECK_STR(signals(k, "r"), "one@1/0.1 two@1/1.1");
  kit_box_close(&box);
}

static void a_wait_ends_at_its_timeout(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['wait', 'paid', {'timeout_ms': 5000, 'try': true}]],"
                              " 'events': {'paid': {}}}");
  kit_play(k, "r");
  CHECK_STR(kit_result(&box.world, "r"), "wait=!timeout");
  CHECK_INT(box.world.now, 1005000);
  kit_box_close(&box);
}

/* The time is over while no process lives: what came in time counts, what came later does not.
 */
static void a_timeout_counts_while_nobody_runs(void) {
  for (int late = 0; late < 2; late++) {
    kit_box box;
    kit *k =
        kit_box_open(&box, "{'flow': [['wait', 'paid', {'timeout_ms': 5000, 'try': true}]],"
                           " 'events': {'paid': {}}}");
    kit_start(k, "r");
    while (!*kit_reason(&box.world, "r") && kit_step(k))
      ;
    kit_crash(k);
    box.world.now += late ? 6000 : 1000;
    tm_batch *b = tm_batch_new();
    b->done = ignore;
    tm_op *op = tm_batch_add(b, TM_OP_SIGNAL_NEW);
    op->u.signal = (tm_signal_row){
        .run = "r", .sid = "x", .name = "paid", .body = "3", .at = box.world.now};
    box.world.disk->vt->commit(box.world.disk, b);
    box.world.now += 60000;
    kit_boot(k);
    kit_run(k);
    CHECK_STR(kit_result(&box.world, "r"), late ? "wait=!timeout" : "wait=3");
    kit_box_close(&box);
  }
}

/* -- sending ---------------------------------------------------------------------------- */

static void an_event_is_held_to_its_schema_when_it_is_sent(void) {
  kit_box box;
  kit *k = kit_box_open(&box, asks);
  kit_play(k, "r");
  send(k, "r", "paid", "'seven'", NULL);
  CHECK_INT(k->last.code, TM_USAGE);
  CHECK(strstr(k->last.msg, "the payload does not fit the event \"paid\""));
  send(k, "r", "payed", "7", NULL);
  CHECK_INT(k->last.code, TM_USAGE);
  CHECK(strstr(k->last.msg, "declares no event \"payed\"; it declares paid, sent"));
  send(k, "nobody", "paid", "7", NULL);
  CHECK_INT(k->last.code, TM_NOTFOUND);
  send(k, "r", "paid", "7", "@r/1");
  CHECK_INT(k->last.code, TM_USAGE);
  kit_run(k);
  CHECK_STR(signals(k, "r"), "");
  CHECK_STR(kit_state(&box.world, "r"), "waiting");
  kit_box_close(&box);
}

static void the_same_id_is_told_once(void) {
  kit_box box;
  kit *k =
      kit_box_open(&box, "{'flow': [['wait', 'paid'], ['wait', 'paid'], ['gate', 'g', {'ask':"
                         " '?'}]], 'events': {'paid': {}, 'sent': {}}}");
  kit_play(k, "r");
  sent(k, "r", "paid", "1", "one");
  sent(k, "r", "paid", "1", "one");
  CHECK_STR(kit_reason(&box.world, "r"),
            "[{\"for\":\"wait\",\"name\":\"paid\",\"place\":\"2\"}]");
  send(k, "r", "paid", "2", "one");
  CHECK_INT(k->last.code, TM_CONFLICT);
  send(k, "r", "sent", "1", "one");
  CHECK_INT(k->last.code, TM_CONFLICT);
  sent(k, "r", "paid", "1", "two");
  CHECK_STR(signals(k, "r"), "one@1 two@2");
  kit_box_close(&box);
}

static void a_run_that_has_ended_hears_nothing(void) {
  kit_box box;
  kit *k = kit_box_open(&box, asks);
  kit_play(k, "r");
  sent(k, "r", "paid", "1", "one");
  CHECK_STR(kit_state(&box.world, "r"), "done");
  send(k, "r", "paid", "1", "two");
  CHECK_INT(k->last.code, TM_CONFLICT);
  CHECK(strstr(k->last.msg, "has ended (done)"));
  sent(k, "r", "paid", "1", "one"); /* it did hear that one */
  kit_box_close(&box);
}

/* -- emitting --------------------------------------------------------------------------- */

static const char *const tells =
    "{'flow': [['wait', 'paid'], ['wait', 'paid', {'timeout_ms': 9000, 'try': true}]],"
    " 'teller': [['emit', 'paid', {'run': 'r', 'payload': 5}], ['llm', 'a']],"
    " 'events': {'paid': {'type': 'integer'}}}";

static void start_teller(kit *k) {
  tm_engine_start(k->engine, "teller", tm_json_null(&k->world->arena), "t", NULL, NULL, NULL);
}

/* The teller dies at each of its commits: it tells once. */
static void a_run_tells_another_exactly_once(void) {
  for (int die = 0; die < 12; die++) {
    kit_box box;
    kit *k = kit_box_open(&box, tells);
    kit_play(k, "r");
    start_teller(k);
    k->die_after = k->commits + 1 + die / 2;
    if (die % 2)
      k->die_before = k->die_after, k->die_after = 0;
    kit_run(k);
    kit_crash(k);
    kit_boot(k);
    if (!*kit_state(&box.world, "t"))
      start_teller(k);
    kit_run(k);
    CHECK_STR(kit_state(&box.world, "t"), "done");
    CHECK_STR(signals(k, "r"), "@t/1@1");
    CHECK_STR(kit_result(&box.world, "r"), "wait=5;wait=!timeout");
    kit_box_close(&box);
  }
}

static void an_emit_that_cannot_be_says_why(void) {
  static const struct {
    const char *to, *payload, *kind;
  } cases[] = {{"r", "'x'", "usage"}, {"nobody", "1", "not_found"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    kit_box box;
    char sources[256];
    snprintf(sources, sizeof sources,
             "{'flow': [['wait', 'paid']], 'teller': [['emit', 'paid', {'run': '%s', 'payload':"
             " %s, 'try': true}]], 'events': {'paid': {'type': 'integer'}}}",
             cases[i].to, cases[i].payload);
    kit *k = kit_box_open(&box, sources);
    kit_play(k, "r");
    start_teller(k);
    kit_run(k);
    char want[64];
    snprintf(want, sizeof want, "emit=!%s", cases[i].kind);
    CHECK_STR(kit_result(&box.world, "t"), want);
    CHECK_STR(signals(k, "r"), "");
    kit_box_close(&box);
  }
}

/* -- crashes ---------------------------------------------------------------------------- */

static void an_event_is_told_once_whatever_commit_is_the_last(void) {
  for (int die = 0; die < 16; die++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': [['wait', 'paid'], ['llm', 'a'], ['wait', 'paid'],"
                                " ['llm', 'b']], 'events': {'paid': {}}}");
    kit_play(k, "r");
    send(k, "r", "paid", "1", "one");
    send(k, "r", "paid", "2", "two");
    k->die_after = k->commits + 1 + die / 2;
    if (die % 2)
      k->die_before = k->die_after, k->die_after = 0;
    kit_run(k);
    kit_crash(k);
    kit_boot(k);
    sent(k, "r", "paid", "1", "one"); /* the sender was not told: it sends again */
    sent(k, "r", "paid", "2", "two");
    CHECK_STR(kit_state(&box.world, "r"), "done");
    CHECK_STR(signals(k, "r"), "one@1 two@3");
    kit_box_close(&box);
  }
}

/* A wait that loses a race in the very turn of its event does not swallow it. */
static void a_dropped_wait_gives_its_event_back(void) {
  for (int die = 0; die < 2; die++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': [['fork', [[['llm', 'first']], [['wait', 'paid']]],"
                                " {'race': true}], ['wait', 'paid']], 'events': {'paid': {}}}");
    k->reply = hangs;
    kit_play(k, "r");
    send(k, "r", "paid", "1", "one");
    kit_turn(k);
    kit_finish(k, kit_task_at(k, "first"), KIT_OK);
    kit_hear(k); /* the event is there: its outcome stands behind the winner's, in one batch */
    if (die)
      k->die_after = k->commits + 1;
    kit_run(k);
    if (die) {
      CHECK_STR(signals(k, "r"), "one@1/1.1");
      kit_crash(k);
      kit_boot(k);
      kit_run(k);
    }
    CHECK(kit_record(&box.world, "r", "done", "1/1.1")); /* else nothing is tested here */
    CHECK_STR(kit_state(&box.world, "r"), "done");
    CHECK_STR(signals(k, "r"), "one@2");
    kit_box_close(&box);
  }
}

CHECK_SUITE(engine_signal) {
  CHECK_RUN(a_run_waits_as_a_row_until_its_event_comes);
  CHECK_RUN(an_event_that_comes_early_is_kept);
  CHECK_RUN(branches_take_their_events_in_turn);
  CHECK_RUN(a_wait_ends_at_its_timeout);
  CHECK_RUN(a_timeout_counts_while_nobody_runs);
  CHECK_RUN(an_event_is_held_to_its_schema_when_it_is_sent);
  CHECK_RUN(the_same_id_is_told_once);
  CHECK_RUN(a_run_that_has_ended_hears_nothing);
  CHECK_RUN(a_run_tells_another_exactly_once);
  CHECK_RUN(an_emit_that_cannot_be_says_why);
  CHECK_RUN(an_event_is_told_once_whatever_commit_is_the_last);
  CHECK_RUN(a_dropped_wait_gives_its_event_back);
}
