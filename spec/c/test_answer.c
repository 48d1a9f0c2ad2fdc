/* test_answer.c - finding the one JSON value in what a model wrote. */
#include "check.h"

#include "llm/answer.h"

static void the_value_is_found_or_refused_by_plain_rules(void) {
  static const struct {
    const char *text, *value; /* NULL: refused */
    const char *says;
  } table[] = {
      {"{\"a\":1}", "{\"a\":1}", NULL},
      {" \n[1,2]\t", "[1,2]", NULL},
      {"\"text\"", "\"text\"", NULL},
      {"null", "null", NULL},
      {"```json\n{\"a\":1}\n```", "{\"a\":1}", NULL},
      {"```\n[1]\n```", "[1]", NULL},
      {"Here it is:\n```json\n{\"a\":1}\n```\nIs that right?", "{\"a\":1}", NULL},
      {"Sure! {\"a\":{\"b\":\"}\"}} Hope it helps.", "{\"a\":{\"b\":\"}\"}}", NULL},
      {"Answer: {\"quote\":\"\\\"{\"}", "{\"quote\":\"\\\"{\"}", NULL},
      {"```json\n{\"a\":1}\n```\nor\n```json\n{\"a\":2}\n```", NULL, "more than one"},
      {"Either {\"a\":1} or {\"a\":2}.", NULL, "more than one"},
      {"I cannot say.", NULL, "no JSON"},
      {"", NULL, "no JSON"},
      {"{\"a\":1", NULL, "never closed"},
      {"So: {\"a\":1", NULL, "never closed"},
      {"{\"a\":1,}", NULL, "no valid JSON"},
      {"{'a':1}", NULL, "no valid JSON"},
      {"{\"a\":1,\"a\":2}", NULL, "no valid JSON"},
      {"Use {braces} like {\"a\":1}", NULL, "no JSON"},
      {"```json\n{\"a\":}\n```", NULL, "fenced block"},
      {"```json\n{\"a\":1}", "{\"a\":1}", NULL},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_json *v = NULL;
    tm_arena_init(&a, 0);
    int rc = tm_answer_json(&v, &a, table[i].text, strlen(table[i].text), &err);
    const char *got = rc == 0 ? tm_json_text(&a, v, NULL) : NULL;
    if (table[i].value ? !got || strcmp(got, table[i].value) != 0 : got != NULL)
      check_fail(__FILE__, __LINE__, "%s: got %s", table[i].text, got ? got : err.msg);
    if (!table[i].value && !strstr(err.msg, table[i].says))
      check_fail(__FILE__, __LINE__, "%s: \"%s\" does not say \"%s\"", table[i].text, err.msg,
                 table[i].says);
    tm_arena_free(&a);
  }
}

static void check(const char *schema, const char *value, int want, const char *left) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *doc, *v;
  tm_schema *s;
  tm_arena_init(&a, 0);
  REQUIRE(tm_json_parse(&doc, &a, schema, strlen(schema), NULL, &err) == 0);
  REQUIRE(tm_json_parse(&v, &a, value, strlen(value), NULL, &err) == 0);
  REQUIRE(tm_schema_compile(&s, &a, doc, NULL, &err) == 0);
  tm_schema_report report = {.arena = &a};
  CHECK_INT(tm_answer_check(v, s, &report, &err), want);
  CHECK_STR(tm_json_text(&a, v, NULL), left);
  CHECK_INT(report.count > 0, want == 1);
  tm_arena_free(&a);
}

static void a_null_for_an_absent_member_is_taken_out_and_a_wanted_null_stays(void) {
  static const char schema[] =
      "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b/c\":{\"type\":"
      "\"integer\"},\"d\":{\"type\":[\"string\",\"null\"]},\"e\":{\"type\":\"array\",\"items\":"
      "{"
      "\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"}}}}},\"required\":[\"a\"]"
      "}";
  check(schema, "{\"a\":\"s\",\"b/c\":null,\"d\":null}", 0, "{\"a\":\"s\",\"d\":null}");
  check(schema, "{\"a\":\"s\",\"e\":[{\"x\":null},{\"x\":1}]}", 0,
        "{\"a\":\"s\",\"e\":[{},{\"x\":1}]}");
  check(schema, "{\"a\":\"s\",\"e\":[null]}", 1, "{\"a\":\"s\",\"e\":[null]}");
  check(schema, "{\"a\":\"s\",\"b/c\":\"no\"}", 1, "{\"a\":\"s\",\"b/c\":\"no\"}");
  check("{\"type\":\"string\"}", "null", 1, "null");
}

CHECK_SUITE(answer) {
  CHECK_RUN(the_value_is_found_or_refused_by_plain_rules);
  CHECK_RUN(a_null_for_an_absent_member_is_taken_out_and_a_wanted_null_stays);
}
