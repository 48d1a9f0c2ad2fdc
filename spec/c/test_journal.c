/* test_journal.c - reading records back: what is whole is read, what is not is named. */
#include "check.h"
#include "engine/journal.h"

#define MAX 8

/* A store that is nothing but one journal. */
typedef struct shelf {
  tm_store store;
  tm_arena arena;
  tm_record records[MAX];
  int count;
  char chain[TM_HASH_HEX + 1];
} shelf;

static int read_shelf(tm_store *s, const char *run, int64_t from, tm_record_fn fn, void *ctx,
                      tm_err *err) {
  (void)run, (void)from, (void)err;
  shelf *sh = (shelf *)s;
  for (int i = 0; i < sh->count; i++)
    if (fn(ctx, &sh->records[i]) != 0)
      break;
  return 0;
}

static const tm_store_vt shelf_vt = {.name = "shelf", .journal = read_shelf};

static void put(shelf *s, int kind, const char *place, const char *body) {
  tm_record *r = &s->records[s->count];
  *r = (tm_record){.seq = s->count, .kind = kind, .place = place, .name = "n", .body = body};
  r->body_len = strlen(body);
  tm_journal_link(s->chain, r);
  r->chain = tm_arena_strdup(&s->arena, s->chain);
  s->count++;
}

static void open_shelf(shelf *s) {
  *s = (shelf){.store = {.vt = &shelf_vt}};
  tm_arena_init(&s->arena, 0);
  put(s, TM_RECORD_START, "", "{\"input\":1}");
  put(s, TM_RECORD_NOTE, "1", "{\"k\":\"now\",\"v\":5}");
  put(s, TM_RECORD_OPEN, "2", "{\"k\":\"sleep\"}");
  put(s, TM_RECORD_DONE, "2", "{\"k\":\"sleep\",\"v\":null}");
  put(s, TM_RECORD_FAIL, "3/0.1", "{\"k\":\"llm\",\"e\":{}}");
}

static int load(shelf *s, tm_journal *j, tm_err *err) {
  *j = (tm_journal){.arena = NULL};
  return tm_journal_load(j, &s->arena, &s->store, "r", err);
}

static void close_shelf(shelf *s, tm_journal *j) {
  tm_journal_free(j);
  tm_arena_free(&s->arena);
}

static void a_whole_journal_is_read_by_place(void) {
  shelf s;
  tm_journal j;
  tm_err err = TM_ERR_INIT;
  open_shelf(&s);
  CHECK_INT(load(&s, &j, &err), 0);
  CHECK_INT(j.length, 5);
  CHECK_STR(j.chain, s.chain);
  CHECK_INT(j.cursor->seq, 1);
  CHECK_INT(tm_place_outcome(tm_journal_at(&j, "1"))->seq, 1);
  CHECK_INT(tm_place_outcome(tm_journal_at(&j, "2"))->seq, 3);
  CHECK_INT(tm_place_find(tm_journal_at(&j, "2"), TM_RECORD_OPEN)->seq, 2);
  CHECK_INT(tm_place_outcome(tm_journal_at(&j, "3/0.1"))->seq, 4);
  CHECK(tm_place_find(tm_journal_at(&j, "2"), TM_RECORD_DECIDED) == NULL);
  CHECK(tm_journal_at(&j, "9") == NULL);
  CHECK(tm_place_outcome(NULL) == NULL);
  close_shelf(&s, &j);
}

static void what_no_script_asked_for_is_found(void) {
  shelf s;
  tm_journal j;
  tm_err err = TM_ERR_INIT;
  open_shelf(&s);
  CHECK_INT(load(&s, &j, &err), 0);
  tm_journal_at(&j, "1")->asked = true;
  CHECK_INT(tm_journal_unasked(&j)->seq, 2);
  tm_journal_at(&j, "2")->asked = true;
  tm_journal_at(&j, "3/0.1")->asked = true;
  CHECK(tm_journal_unasked(&j) == NULL);
  close_shelf(&s, &j);
}

/* -- damage ---------------------------------------------------------------------------- */

static void change_body(shelf *s) {
  s->records[3].body = "{\"k\":\"sleep\",\"v\":1234}";
  s->records[3].body_len = strlen(s->records[3].body);
}

static void change_place(shelf *s) {
  s->records[3].place = "4";
}

static void change_name(shelf *s) {
  s->records[3].name = "m";
}

static void change_kind(shelf *s) {
  s->records[3].kind = TM_RECORD_FAIL;
}

static void swap_bodies(shelf *s) {
  const char *body = s->records[3].body;
  size_t len = s->records[3].body_len;
  s->records[3].body = s->records[4].body;
  s->records[3].body_len = s->records[4].body_len;
  s->records[4].body = body;
  s->records[4].body_len = len;
}

static void cut_body(shelf *s) {
  s->records[3].body_len -= 2;
}

static void lose_chain(shelf *s) {
  s->records[3].chain = NULL;
}

static void lose_record(shelf *s) {
  memmove(&s->records[3], &s->records[4], sizeof s->records[0]);
  s->count--;
}

static void double_record(shelf *s) {
  s->records[4] = s->records[3];
}

static void use_unknown_kind(shelf *s) {
  s->count = 3;
  memcpy(s->chain, s->records[2].chain, sizeof s->chain);
  put(s, 99, "2", "{}");
}

static void write_nonsense(shelf *s) {
  s->count = 3;
  memcpy(s->chain, s->records[2].chain, sizeof s->chain);
  put(s, TM_RECORD_DONE, "2", "{nonsense");
}

static void lose_start(shelf *s) {
  s->count = 0;
  s->chain[0] = 0;
  put(s, TM_RECORD_NOTE, "1", "{}");
}

static void lose_all(shelf *s) {
  s->count = 0;
}

static void damage_is_named(void) {
  static const struct {
    void (*damage)(shelf *s);
    const char *says;
  } cases[] = {
      {change_body, "record 3 of run r was changed after it was written"},
      {change_place, "record 3 of run r was changed after it was written"},
      {change_name, "record 3 of run r was changed after it was written"},
      {change_kind, "record 3 of run r was changed after it was written"},
      {swap_bodies, "record 3 of run r was changed after it was written"},
      {cut_body, "record 3 of run r was changed after it was written"},
      {lose_chain, "record 3 of run r was changed after it was written"},
      {lose_record, "record 3 of run r is missing (found 4 instead)"},
      {double_record, "record 4 of run r is missing (found 3 instead)"},
      {use_unknown_kind, "record 3 of run r has the unknown kind 99"},
      {write_nonsense, "record 3 of run r: "},
      {lose_start, "run r has no start record"},
      {lose_all, "run r has no start record"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    shelf s;
    tm_journal j;
    tm_err err = TM_ERR_INIT;
    open_shelf(&s);
    cases[i].damage(&s);
    CHECK_INT(load(&s, &j, &err), -1);
    if (strncmp(err.msg, cases[i].says, strlen(cases[i].says)) != 0)
      check_fail(__FILE__, __LINE__, "case %zu says\n      %s", i, err.msg);
    close_shelf(&s, &j);
  }
}

/* -- hashes ---------------------------------------------------------------------------- */

static void an_identity_covers_kind_name_and_request(void) {
  tm_arena a;
  tm_json *one, *same, *other;
  tm_err err = TM_ERR_INIT;
  char x[TM_IDENTITY + 1], y[TM_IDENTITY + 1];
  tm_arena_init(&a, 0);
  CHECK_INT(tm_json_parse(&one, &a, "{\"a\":1,\"b\":2}", 13, NULL, &err), 0);
  CHECK_INT(tm_json_parse(&same, &a, "{\"b\":2.0,\"a\":1}", 15, NULL, &err), 0);
  CHECK_INT(tm_json_parse(&other, &a, "{\"a\":1,\"b\":3}", 13, NULL, &err), 0);
  tm_journal_identity(x, TM_CALL_LLM, "u", one);
  CHECK_INT(strlen(x), TM_IDENTITY);
  tm_journal_identity(y, TM_CALL_LLM, "u", same);
  CHECK_STR(x, y);
  tm_journal_identity(y, TM_CALL_LLM, "u", other);
  CHECK(strcmp(x, y) != 0);
  tm_journal_identity(y, TM_CALL_LLM, "v", one);
  CHECK(strcmp(x, y) != 0);
  tm_journal_identity(y, TM_CALL_ACTION, "u", one);
  CHECK(strcmp(x, y) != 0);
  tm_arena_free(&a);
}

static void words_and_kinds_go_both_ways(void) {
  for (int k = 0; k < TM_CALL_KIND_COUNT; k++)
    CHECK_INT(tm_call_by_word(tm_call_word((tm_call_kind)k)), k);
  CHECK_INT(tm_call_by_word("nonsense"), -1);
  CHECK_INT(tm_call_class_of(TM_CALL_LLM), TM_CALL_AWAITED);
  CHECK_INT(tm_call_class_of(TM_CALL_HTTP), TM_CALL_VERB);
  CHECK_STR(tm_call_author(TM_CALL_GATE), "mill.gate");
  CHECK_STR(tm_record_word(TM_RECORD_DECIDED), "decided");
  CHECK_STR(tm_record_word(99), "?");
  CHECK_STR(tm_record_word(-1), "?");
}

CHECK_SUITE(journal) {
  CHECK_RUN(a_whole_journal_is_read_by_place);
  CHECK_RUN(what_no_script_asked_for_is_found);
  CHECK_RUN(damage_is_named);
  CHECK_RUN(an_identity_covers_kind_name_and_request);
  CHECK_RUN(words_and_kinds_go_both_ways);
}
