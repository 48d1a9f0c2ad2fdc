/* test_fsck.c - each thing that fsck looks for, in a journal made to have it. */
#include "check.h"
#include "engine/change.h"
#include "engine/fsck.h"
#include "engine_kit.h"

typedef struct line {
  tm_record_kind kind;
  const char *place, *name, *body;
} line;

#define START \
  { TM_RECORD_START, "", "flow", "{'input': {}, 'workflow': 'flow', 'closure': '$'}" }
#define END \
  { TM_RECORD_END, "", "done", "{'state': 'done', 'v': null}" }
#define MAX_LINES 8

static void on_done(void *ctx, const char *id, const tm_err *err) {
  (void)id;
  CHECK_STR(err->msg, "");
  *(bool *)ctx = true;
}

static tm_closure *sources_of(kit *k) {
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(k->engine->ports.sources(k, &c, &err), 0);
  return c;
}

/* "$" stands for the hash of the sources. */
static const char *fill(kit *k, const tm_closure *c, const char *body) {
  const char *text = kit_text(k->world, body), *at = strchr(text, '$');
  return at ? tm_arena_printf(&k->world->arena, "%.*s%s%s", (int)(at - text), text, c->hash.hex,
                              at + 1)
            : text;
}

static tm_tale tale_of(kit *k, const char *state, const line *lines) {
  tm_tale t = {.run = "r", .workflow = "flow", .state = state, .input_hash = "", .epoch = 1};
  t.closure = sources_of(k);
  t.records = tm_arena_array(&k->world->arena, tm_record, MAX_LINES);
  for (; lines[t.count].name; t.count++) {
    const char *body = fill(k, t.closure, lines[t.count].body);
    t.records[t.count] = (tm_record){.kind = (int)lines[t.count].kind,
                                     .place = lines[t.count].place,
                                     .name = lines[t.count].name,
                                     .body = body,
                                     .body_len = strlen(body)};
  }
  tm_verify_link(&t, 0, &k->world->arena);
  return t;
}

static void write_tale(kit *k, tm_tale *t) {
  bool done = false;
  tm_change_create(k->engine, t, on_done, &done);
  while (!done && kit_step(k))
    ;
  CHECK(done);
  tm_closure_release(&t->closure);
}

static const char *findings(kit *k) {
  tm_json *o;
  tm_err err = TM_ERR_INIT;
  tm_buf b = TM_BUF_INIT;
  CHECK_INT(tm_fsck(&o, &k->world->arena, k->engine, NULL, &err), 0);
  const tm_json *list = tm_json_get(o, "findings");
  for (size_t i = 0; i < tm_json_len(list); i++) {
    const tm_json *f = tm_json_at(list, i);
    CHECK_STR(tm_json_get_str(f, "run"), "r");
    tm_buf_printf(&b, "%s%lld %s", i ? "; " : "",
                  (long long)tm_json_int(tm_json_get(f, "record"), -1),
                  tm_json_get_str(f, "what"));
  }
  const char *text = tm_arena_strdup(&k->world->arena, tm_buf_str(&b));
  tm_buf_free(&b);
  return text;
}

static void finds(const char *state, const line *lines, const char *want) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': []}");
  tm_tale t = tale_of(k, state, lines);
  write_tale(k, &t);
  CHECK_STR(findings(k), want);
  kit_box_close(&box);
}

static void a_sound_database_has_no_findings(void) {
  kit_box box;
  kit *k = kit_box_open(&box,
                        "{'flow': [['llm', 'a'], ['action', 'pay', {'key': 'p', 'args': {},"
                        " 'blast': 2, 'gate_above': 1}], ['fork', [[['llm', 'b']], [['now']]]],"
                        " ['sleep', 10], ['gate', 'g', {'ask': '?'}]]}");
  kit_play(k, "r");
  CHECK_STR(findings(k), "");
  kit_decide(k, "r/pay@2", true, NULL);
  kit_run(k);
  CHECK_STR(findings(k), "");
  kit_decide(k, "r/g@5", true, NULL);
  kit_run(k);
  CHECK_STR(kit_state(&box.world, "r"), "done");
  CHECK_STR(findings(k), "");
  kit_box_close(&box);
}

static void a_run_that_nobody_runs_is_found(void) {
  finds("running", (line[]){START, {0}}, "-1 it was stopped in the middle, and nobody runs it");
  finds("waiting", (line[]){START, {0}}, "-1 it waits without a reason");
  finds("queued", (line[]){START, {0}}, "");
  finds("done", (line[]){START, {0}}, "-1 it is done, but its journal has no end");
}

static void a_row_that_does_not_fit_its_journal_is_found(void) {
  finds("failed", (line[]){START, END, {0}},
        "1 it ended done in the journal and is failed in its row");
  finds("done", (line[]){START, END, {TM_RECORD_CANCEL, "", "cancel", "{}"}, {0}},
        "2 a record stands behind the end");
}

static void an_edited_record_is_found(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': []}");
  tm_tale t = tale_of(k, "done", (line[]){START, END, {0}});
  t.records[1].body = kit_text(&box.world, "{'state': 'done', 'v': 1}");
  t.records[1].body_len = strlen(t.records[1].body);
  write_tale(k, &t);
  CHECK_STR(findings(k),
            "-1 record 1 of run r was changed after it was written (its hash does not "
            "fit the chain); restore the database from a backup");
  kit_box_close(&box);
}

static void a_swapped_or_missing_record_is_found(void) {
  static const char changed[] =
      "-1 record 1 of run r was changed after it was written (its hash does not "
      "fit the chain); restore the database from a backup";
  static const line lines[] = {START,
                               {TM_RECORD_NOTE, "1", "now", "{'k': 'now', 'v': 1}"},
                               {TM_RECORD_NOTE, "2", "now", "{'k': 'now', 'v': 2}"},
                               END,
                               {0}};
  for (int missing = 0; missing < 2; missing++) {
    kit_box box;
    kit *k = kit_box_open(&box, "{'flow': []}");
    tm_tale t = tale_of(k, "done", lines);
    tm_record first = t.records[1];
    if (missing) {
      memmove(&t.records[1], &t.records[2], 2 * sizeof first);
      t.count--;
    } else {
      t.records[1] = t.records[2];
      t.records[2] = first;
    }
    for (size_t i = 0; i < t.count; i++)
      t.records[i].seq = (int64_t)i;
    write_tale(k, &t);
    CHECK_STR(findings(k), changed);
    kit_box_close(&box);
  }
}

static void waits_for(const char *reason, const char *want) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': []}");
  tm_tale t = tale_of(k, "waiting", (line[]){START, {0}});
  t.reason = kit_text(&box.world, reason);
  write_tale(k, &t);
  CHECK_STR(findings(k), want);
  kit_box_close(&box);
}

static void a_reason_that_cannot_come_about_is_found(void) {
  waits_for("[{'for': 'wait', 'name': 'paid', 'place': '1'}]", "");
  waits_for("[{'for': 'pause', 'by': 'ann'}]", "");
  waits_for("[{'for': 'gate', 'name': 'sure', 'place': '1'}]",
            "-1 it waits for gate \"sure\", which nobody can decide");
  waits_for("[{'for': 'call', 'name': 'flow', 'place': '1', 'run': 'r'}]", "");
  waits_for("[{'for': 'call', 'name': 'flow', 'place': '1', 'run': 'gone'}]",
            "-1 it waits for run gone, which is not in this database");
  waits_for("[{'for': 'lock', 'name': 'k', 'place': '1'}]",
            "-1 it waits for lock \"k\", and does not stand in its line");
  waits_for("[{'for': 'sleep', 'place': '1', 'until': '2026-11-20T07:05:33.123Z'}]",
            "-1 it waits for a time, but no timer is set");
  waits_for("nonsense",
            "-1 what it waits for cannot be read: line 1, column 1 (byte 0): 'n' where a "
            "value was expected");
}

static void an_outcome_without_an_intent_is_found(void) {
  finds("done",
        (line[]){
            START, {TM_RECORD_DONE, "1", "pay", "{'k': 'action', 'v': 1, 'q': {}}"}, END, {0}},
        "1 action \"pay\" has an outcome without an intent before it");
  finds("done",
        (line[]){
            START,
            {TM_RECORD_DONE, "1", "pay", "{'k': 'action', 'v': 1, 'q': {'repeatable': true}}"},
            {TM_RECORD_DONE, "2", "pay", "{'k': 'action', 'm': {'stored_by': 'q'}}"},
            {TM_RECORD_DONE, "3", "book", "{'k': 'action', 'v': 1, 'q': {'db': true}}"},
            END,
            {0}},
        "");
}

static void an_effect_that_is_not_kept_is_found(void) {
  finds("done",
        (line[]){START,
                 {TM_RECORD_OPEN, "1", "pay", "{'k': 'action', 'key': 'p'}"},
                 {TM_RECORD_DONE, "1", "pay", "{'k': 'action', 'v': 1}"},
                 END,
                 {0}},
        "2 action \"pay\" was done under key \"p\", but its effect is not kept");
  finds("done",
        (line[]){START,
                 {TM_RECORD_DONE, "1", "book",
                  "{'k': 'action', 'v': 1, 'q': {'db': true, 'key': 'b'}}"},
                 END,
                 {0}},
        "1 action \"book\" was done under key \"b\", but its effect is not kept");
}

static void a_second_outcome_is_found(void) {
  finds("done",
        (line[]){START,
                 {TM_RECORD_DONE, "1", "a", "{'k': 'llm'}"},
                 {TM_RECORD_FAIL, "1", "a", "{'k': 'llm'}"},
                 END,
                 {0}},
        "2 place 1 has a second outcome (the first is record 1)");
}

static void decisions_that_do_not_agree_are_found(void) {
  finds("done",
        (line[]){START,
                 {TM_RECORD_OPEN, "1", "g", "{'k': 'gate', 'gate': 'r/g@1'}"},
                 {TM_RECORD_DECIDED, "1", "g", "{'gate': 'r/g@1', 'state': 'approved'}"},
                 {TM_RECORD_DECIDED, "1", "g", "{'gate': 'r/g@1', 'state': 'rejected'}"},
                 END,
                 {0}},
        "3 gate r/g@1 has a second decision; 1 gate r/g@1 was opened, but is not kept");
}

static void sources_that_are_missing_are_found(void) {
  finds(
      "queued",
      (line[]){START,
               {TM_RECORD_REPIN, "", "repin",
                "{'now': '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}"},
               {TM_RECORD_REPIN, "", "repin", "{'now': '$'}"},
               {0}},
      "1 loading the sources of a run: the sources 0123456789ab… are not in the database");
}

static void a_story_that_goes_back_too_far_is_damaged(void) {
  finds("queued", (line[]){START, {TM_RECORD_RETRY, "", "retry", "{'from': 0}"}, {0}},
        "-1 record 1 of run r goes back to record 0, which cannot be; the journal is damaged, "
        "restore the database from a backup");
}

CHECK_SUITE(fsck) {
  CHECK_RUN(a_sound_database_has_no_findings);
  CHECK_RUN(a_run_that_nobody_runs_is_found);
  CHECK_RUN(a_row_that_does_not_fit_its_journal_is_found);
  CHECK_RUN(an_edited_record_is_found);
  CHECK_RUN(a_swapped_or_missing_record_is_found);
  CHECK_RUN(a_reason_that_cannot_come_about_is_found);
  CHECK_RUN(an_outcome_without_an_intent_is_found);
  CHECK_RUN(an_effect_that_is_not_kept_is_found);
  CHECK_RUN(a_second_outcome_is_found);
  CHECK_RUN(decisions_that_do_not_agree_are_found);
  CHECK_RUN(sources_that_are_missing_are_found);
  CHECK_RUN(a_story_that_goes_back_too_far_is_damaged);
}
