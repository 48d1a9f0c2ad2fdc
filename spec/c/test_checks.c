/* test_checks.c - content checks: what they accept, what they say, and what they refuse to be.
 */
#include "text/checks.h"

#include "check.h"

#define VARS                                                                      \
  "{\"text\":\"I was charged twice on May 3rd,\\n  and nobody “answers” me. " \
  "It's a shame!\",\"list\":[\"red apples\",{\"note\":\"green pears\"}],\"n\":7}"

typedef struct outcome {
  tm_arena arena;
  int answer;
  tm_schema_report report;
  tm_err err;
} outcome;

static tm_json *parse(tm_arena *a, const char *text) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  CHECK_INT(tm_json_parse(&v, a, text, strlen(text), NULL, &err), 0);
  return v;
}

static void hold(outcome *o, const char *spec, const char *answer, size_t max) {
  tm_checks *c;
  *o = (outcome){.answer = -2};
  tm_arena_init(&o->arena, 0);
  o->report = (tm_schema_report){.arena = &o->arena, .max = max};
  const tm_json *value = parse(&o->arena, answer), *vars = parse(&o->arena, VARS);
  if (tm_checks_compile(&c, &o->arena, parse(&o->arena, spec), &o->err) == 0) {
    o->answer = tm_checks_run(c, value, vars, &o->report, &o->err);
    tm_err err = TM_ERR_INIT;
    CHECK_INT(tm_checks_run(c, value, vars, NULL, &err), o->answer);
  }
}

/* One line "instance schema keyword: message" for each error, or what went wrong. */
static void says(const char *spec, const char *answer, const char *want) {
  outcome o;
  tm_buf lines = TM_BUF_INIT;
  hold(&o, spec, answer, 0);
  for (size_t i = 0; i < o.report.count; i++) {
    const tm_schema_error *e = &o.report.errors[i];
    tm_buf_printf(&lines, "%s%s %s %s: %s", i ? "\n" : "", e->instance, e->schema, e->keyword,
                  e->message);
    CHECK(*e->advice);
  }
  if (o.answer < 0)
    tm_buf_printf(&lines, "%s: %s", tm_err_word(o.err.code), o.err.msg);
  CHECK_STR(tm_buf_str(&lines), want);
  CHECK(o.answer < 0 || (o.answer == 1) == (o.report.count > 0));
  tm_buf_free(&lines);
  tm_arena_free(&o.arena);
}

static void passes(const char *spec, const char *answer) {
  says(spec, answer, "");
}

/* -- the checks -------------------------------------------------------------------------------
 */

static void patterns_are_looked_for_in_every_text(void) {
  passes("{\"must_match\":\"ello$\"}", "\"Hello\"");
  passes("{\"must_match\":[\"^a$\",\"^b$\"]}", "{\"x\":[\"a\"],\"y\":\"b\"}");
  says("{\"must_match\":[\"a\",\"\\\\d{3}\"]}", "\"abc\"",
       " /must_match must_match: the answer must match the pattern \\d{3}");
  says("{\"must_not_match\":\"(?:sorry|as an AI)\"}", "{\"a/b\":[\"fine\",\"so sorry\"]}",
       "/a~1b/1 /must_not_match must_not_match: /a~1b/1 must not match the pattern "
       "(?:sorry|as an AI)");
  says("{\"must_match\":\"x\"}", "[]",
       " /must_match must_match: the answer must match the pattern x");
  passes("{\"must_not_match\":\"x\"}", "7");
}

static void characters_are_counted_not_bytes(void) {
  passes("{\"max_chars\":5,\"min_chars\":5}", "\"äöüß€\"");
  passes("{\"max_chars\":4}", "{\"longer name\":\"ab\",\"b\":[\"cd\",17]}");
  says("{\"max_chars\":3}", "\"äöüß\"",
       " /max_chars max_chars: the answer must have at most 3 characters; it has 4");
  says("{\"min_chars\":1}", "\"\"",
       " /min_chars min_chars: the answer must have at least 1 characters; it has 0");
}

static void quotations_must_stand_in_the_source(void) {
  static const char spec[] = "{\"grounded_in\":\"text\"}";
  passes(spec, "\"no quotation at all\"");
  passes(spec, "\"They were \\\"charged twice on May 3rd, and nobody\\\" helped.\"");
  passes(spec, "\"“Charged twice on may 3rd.” «charged twice» „nobody ”\"");
  passes(spec, "\"“it’s a shame,” they say\"");
  passes(spec, "\"a 5\\\" pipe and a 6\\\" pipe\"");
  says(spec, "\"“charged thrice” and \\\"nobody\\\"\"",
       " /grounded_in grounded_in: the answer quotes \"charged thrice\", which does not stand "
       "in "
       "\"text\"");
  says(spec, "{\"why\":\"“unclosed \\\"refund\\\"\"}",
       "/why /grounded_in grounded_in: /why quotes \"refund\", which does not stand in "
       "\"text\"");
}

static void a_source_may_be_any_variable_or_several(void) {
  passes("{\"grounded_in\":\"list\"}", "\"“red apples” “green pears”\"");
  passes("{\"grounded_in\":[\"text\",\"/list/1\"]}", "\"“charged” “green pears”\"");
  says("{\"grounded_in\":[\"text\",\"none\"]}", "\"“red apples”\"",
       " /grounded_in grounded_in: the answer quotes \"red apples\", which does not stand in "
       "[\"text\",\"none\"]");
}

static void similarity_is_a_share_of_words(void) {
  passes("{\"similar_to\":{\"text\":\"Refund the customer - now\"}}",
         "\"now, refund THE customer!\"");
  passes("{\"similar_to\":{\"variable\":\"list\",\"at_least\":0.8}}",
         "[\"Red apples\",\"pears: green?\"]");
  passes("{\"similar_to\":{\"text\":\"a b\",\"at_least\":0.66}}", "\"a—b—c—a—b\"");
  says("{\"similar_to\":{\"text\":\"a b c d\",\"at_least\":0.6}}", "\"a b x y\"",
       " /similar_to similar_to: the answer must share 60 % of its words or more with the "
       "expected text; it shares 50 %");
  says("{\"similar_to\":\"text\"}", "\"something else\"",
       " /similar_to similar_to: the answer must share 50 % of its words or more with text; it "
       "shares 0 %");
}

static void a_set_may_look_at_one_member(void) {
  static const char answer[] = "{\"reply\":{\"text\":\"Hello you\"},\"n~/\":\"abc\"}";
  passes("{\"of\":\"reply\",\"max_chars\":9}", answer);
  passes("{\"of\":\"absent\",\"must_match\":\"x\",\"min_chars\":5}", answer);
  says("[{\"of\":\"/reply/text\",\"max_chars\":5},{\"of\":\"n~/\",\"must_match\":\"z\"}]",
       answer,
       "/reply/text /0/max_chars max_chars: /reply/text must have at most 5 characters; it has "
       "9\n"
       "/n~0~1 /1/must_match must_match: /n~0~1 must match the pattern z");
}

static void a_report_keeps_what_it_has_and_its_limit(void) {
  outcome o;
  hold(&o, "{\"grounded_in\":\"text\"}", "\"“a1” “b2” “c3” “d4”\"", 3);
  CHECK_INT(o.answer, 1);
  CHECK_INT(o.report.count, 3);
  CHECK_STR(
      o.report.errors[2].advice,
      "Quote only what stands in the source, word for word: \"c3\" in the answer does not. "
      "Correct the quotation or leave it out.");
  tm_arena_free(&o.arena);
}

static void messages_are_one_line_of_utf8(void) {
  outcome o;
  tm_buf spec = TM_BUF_INIT;
  tm_buf_puts(&spec, "{\"must_match\":\"\\n\\u001b2J");
  for (int i = 0; i < 200; i++)
    tm_buf_puts(&spec, "€");
  tm_buf_puts(&spec, "\"}");
  hold(&o, tm_buf_str(&spec), "\"x\"", 0);
  tm_buf_free(&spec);
  CHECK_INT(o.answer, 1);
  const char *message = o.report.count ? o.report.errors[0].message : "";
  CHECK(strstr(message, "\\u000a\\u001b2J€€") && strstr(message, "…"));
  CHECK_INT(tm_json_utf8_valid(message, strlen(message)), strlen(message));
  CHECK(tm_schema_report_json(&o.arena, &o.report) != NULL);
  tm_arena_free(&o.arena);
}

/* -- what is no check ------------------------------------------------------------------ */

static void a_wrong_spec_says_what_it_takes(void) {
  static const char *const cases[][2] = {
      {"7", "usage: checks are an object, or a list of objects"},
      {"[[]]", "usage: checks are an object, or a list of objects"},
      {"{\"max_char\":3}",
       "usage: there is no check \"max_char\"; the checks are must_match, must_not_match, "
       "max_chars, min_chars, grounded_in, similar_to, and `of` for where"},
      {"{\"max_chars\":-1}", "usage: the check max_chars takes a whole number of characters"},
      {"{\"must_match\":[]}",
       "usage: the check must_match takes a regular expression, or a list of up to 64 of them"},
      {"{\"must_match\":\"(\"}",
       "usage: the check must_match: \"(\" is not a regular expression: missing closing "
       "parenthesis"},
      {"{\"grounded_in\":[1]}",
       "usage: the check grounded_in takes the name of a variable, or a list of up to 64"},
      {"{\"similar_to\":{\"variable\":\"a\",\"text\":\"b\"}}",
       "usage: the check similar_to takes the name of a variable, or {variable or text, "
       "at_least: a number above 0 and up to 1}"},
      {"{\"similar_to\":{\"variable\":\"a\",\"at_last\":0.3}}",
       "usage: the check similar_to takes the name of a variable, or {variable or text, "
       "at_least: a number above 0 and up to 1}"},
      {"{\"similar_to\":{\"variable\":\"a\",\"at_least\":50}}",
       "usage: the check similar_to takes the name of a variable, or {variable or text, "
       "at_least: a number above 0 and up to 1}"},
      {"{\"of\":\"\"}",
       "usage: the check of takes the name of a member of the answer, or a JSON pointer"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    says(cases[i][0], "\"x\"", cases[i][1]);
}

static void a_pattern_that_takes_too_long_is_no_answer(void) {
  char answer[64];
  snprintf(answer, sizeof answer, "\"%s!\"", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  says("{\"must_match\":\"(a|aa)+$\"}", answer,
       "limit: the pattern (a|aa)+$ takes too long on the answer");
}

/* Half a megabyte of opening marks, and of quotations, in time that is not quadratic. */
static void many_quotation_marks_cost_little(void) {
  tm_buf b = TM_BUF_INIT;
  outcome o;
  tm_buf_putc(&b, '"');
  for (int i = 0; i < 60000; i++)
    tm_buf_puts(&b, "“a„«");
  for (int i = 0; i < 20000; i++)
    tm_buf_puts(&b, " “charged”");
  tm_buf_putc(&b, '"');
  hold(&o, "{\"grounded_in\":\"text\",\"similar_to\":\"text\"}", tm_buf_str(&b), 0);
  CHECK_INT(o.answer, 1);
  tm_arena_free(&o.arena);
  tm_buf_free(&b);
}

static void running_out_of_memory_is_an_error_each_time(void) {
  static const char spec[] =
      "[{\"of\":\"a\",\"must_match\":\"(q|c)+\",\"grounded_in\":\"text\"},"
      "{\"similar_to\":{\"text\":\"x\"},\"must_not_match\":\"y\",\"max_chars\":1}]";
  tm_arena docs;
  tm_arena_init(&docs, 0);
  const tm_json *doc = parse(&docs, spec), *vars = parse(&docs, VARS);
  const tm_json *answer = parse(&docs, "{\"a\":\"“zz” d\",\"e\":[\"f\"]}");
  bool finished = false;
  for (size_t n = 1; !finished && n < 500; n++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_schema_report report = {.arena = &a};
    tm_checks *c;
    tm_arena_init(&a, (size_t)1 << 20);
    tm_mem_fail_at(n);
    int rc = tm_checks_compile(&c, &a, doc, &err);
    rc = rc < 0 ? rc : tm_checks_run(c, answer, vars, &report, &err);
    finished = tm_mem_fail_at(0) < n;
    CHECK(finished ? rc == 1 && report.count == 4 : rc == 1 || err.code == TM_LIMIT);
    tm_arena_free(&a);
  }
  CHECK(finished);
  tm_arena_free(&docs);
}

CHECK_SUITE(checks) {
  CHECK_RUN(patterns_are_looked_for_in_every_text);
  CHECK_RUN(characters_are_counted_not_bytes);
  CHECK_RUN(quotations_must_stand_in_the_source);
  CHECK_RUN(a_source_may_be_any_variable_or_several);
  CHECK_RUN(similarity_is_a_share_of_words);
  CHECK_RUN(a_set_may_look_at_one_member);
  CHECK_RUN(a_report_keeps_what_it_has_and_its_limit);
  CHECK_RUN(messages_are_one_line_of_utf8);
  CHECK_RUN(a_wrong_spec_says_what_it_takes);
  CHECK_RUN(a_pattern_that_takes_too_long_is_no_answer);
  CHECK_RUN(many_quotation_marks_cost_little);
  CHECK_RUN(running_out_of_memory_is_an_error_each_time);
}
