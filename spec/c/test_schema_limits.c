/* test_schema_limits.c - schemas and values that want too much: recursion, bombs, patterns that
 * explode, and memory that runs out at each step.
 */
#include "schema_kit.h"

/* -- limits ---------------------------------------------------------------------------- */

static void a_schema_that_only_refers_to_itself_is_undecided(void) {
  static const char *const schemas[] = {
      "{\"$ref\":\"#\"}",
      ("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"}]},\"b\":"
       "{\"$ref\":\"#/$defs/a\"}}}"),
      "{\"not\":{\"$ref\":\"#\"}}",
  };
  for (size_t i = 0; i < 3; i++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, 0);
    const tm_schema *s = compile(&a, schemas[i], NULL);
    CHECK_INT(tm_schema_check(s, parse(&a, "1"), NULL, &err), -1);
    CHECK_INT(err.code, TM_LIMIT);
    CHECK(strstr(err.msg, "infinite recursion") != NULL);
    tm_arena_free(&a);
  }
}

/* each level tries the next one twice: 2^60 ways without a limit */
static void a_schema_bomb_is_undecided(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  tm_buf text = TM_BUF_INIT;
  tm_buf_puts(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{\"d60\":true");
  for (int i = 0; i < 60; i++)
    tm_buf_printf(&text,
                  ",\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"minimum\":0,\"$ref\":"
                  "\"#/$defs/d%d\"}]}",
                  i, i + 1, i + 1);
  tm_buf_puts(&text, "}}");
  const tm_schema *s = compile(&a, tm_buf_str(&text), NULL);
  CHECK_INT(tm_schema_check(s, parse(&a, "1"), NULL, &err), -1);
  CHECK_INT(err.code, TM_LIMIT);
  tm_buf_free(&text);
  tm_arena_free(&a);
}

static void a_long_chain_of_references_compiles(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  tm_buf text = TM_BUF_INIT;
  tm_buf_puts(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{\"d5000\":{\"type\":\"string\"}");
  for (int i = 0; i < 5000; i++)
    tm_buf_printf(&text, ",\"d%d\":{\"$ref\":\"#/$defs/d%d\"}", i, i + 1);
  tm_buf_puts(&text, "}}");
  const tm_schema *s = compile(&a, tm_buf_str(&text), NULL);
  int answer = tm_schema_check(s, parse(&a, "1"), NULL, &err);
  CHECK(answer == 1 || answer == -1);
  tm_buf_free(&text);
  tm_arena_free(&a);
}

static tm_json *nested(tm_arena *a, int depth) {
  tm_json *v = tm_json_new_array(a);
  for (int i = 0; i < depth; i++) {
    tm_json *outer = tm_json_new_array(a);
    tm_json_push(a, outer, v);
    v = outer;
  }
  return v;
}

static void a_value_as_deep_as_the_parser_takes_is_decided(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s = compile(&a,
                               "{\"anyOf\":[{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},"
                               "\"unevaluatedItems\":false},{\"type\":\"string\"}]}",
                               NULL);
  CHECK_INT(tm_schema_check(s, nested(&a, TM_JSON_DEPTH), NULL, &err), 0);
  CHECK_INT(tm_schema_check(s, nested(&a, 5000), NULL, &err), -1);
  CHECK(strstr(err.msg, "nested too deep") != NULL);
  tm_arena_free(&a);
}

static void a_schema_nested_too_deep_is_refused(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_schema *s;
  tm_arena_init(&a, 0);
  tm_json *doc = tm_json_new_object(&a);
  for (int i = 0; i < 3000; i++) {
    tm_json *outer = tm_json_new_object(&a);
    tm_json_set(&a, outer, "not", doc);
    doc = outer;
  }
  CHECK_INT(tm_schema_compile(&s, &a, doc, NULL, &err), -1);
  CHECK_INT(err.code, TM_LIMIT);
  tm_arena_free(&a);
}

static int64_t matching_time(const char *pattern, size_t len, int *answer) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  tm_schema *s = NULL;
  tm_json *doc = tm_json_new_object(&a);
  tm_json_set_str(&a, doc, "pattern", pattern);
  char *text = tm_arena_alloc(&a, len + 1);
  memset(text, 'a', len);
  text[len] = 'b';
  const tm_json *v = tm_json_new_strn(&a, text, len + 1);
  CHECK_INT(tm_schema_compile(&s, &a, doc, NULL, &err), 0);
  int64_t start = check_cpu_ns();
  *answer = tm_schema_check(s, v, NULL, &err);
  int64_t spent = check_cpu_ns() - start;
  tm_arena_free(&a);
  return spent;
}

static void a_pattern_that_explodes_gives_up_soon(void) {
  static const char *const patterns[] = {"^(a+)+$", "^(a|aa)+$", "^(.*a){30}$", "^([a-z]+)*#$"};
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    int answer;
    int64_t spent = matching_time(patterns[i], 100000, &answer);
    CHECK(answer == 1 || answer == -1);
    CHECK(spent < INT64_C(1000000000)); /* 100 ms on a quiet machine */
  }
}

static void a_hundred_thousand_unique_items_are_quick(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s = compile(&a, "{\"uniqueItems\":true}", NULL);
  tm_json *v = tm_json_new_array(&a);
  for (int i = 0; i < 100000; i++)
    tm_json_push(&a, v,
                 i % 2 ? tm_json_new_int(&a, i)
                       : tm_json_new_str(&a, tm_arena_printf(&a, "item %d", i)));
  int64_t start = check_cpu_ns();
  CHECK_INT(tm_schema_check(s, v, NULL, &err), 0);
  CHECK(check_cpu_ns() - start < INT64_C(1000000000));
  tm_json_push(&a, v, tm_json_new_int(&a, 77));
  CHECK_INT(tm_schema_check(s, v, NULL, &err), 1);
  tm_arena_free(&a);
}

/* -- memory ---------------------------------------------------------------------------- */

static const char everything[] =
    "{\"$id\":\"http://x/"
    "y\",\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":"
    "\"#/$defs/"
    "s\"},\"b\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":3},{\"enum\":[\"x\",null,"
    "{\"k\":1}]}]},\"c\":{\"uniqueItems\":true,\"prefixItems\":[true],\"items\":{\"const\":1}}}"
    ","
    "\"patternProperties\":{\"^(x|y)\":true},\"dependentRequired\":{\"a\":[\"b\"]},"
    "\"dependentSchemas\":{\"b\":{\"minProperties\":1}},\"unevaluatedProperties\":false,"
    "\"$defs\":{\"s\":{\"$anchor\":\"s\",\"type\":\"string\",\"pattern\":\"^(a|b)+$\","
    "\"format\":"
    "\"date\"},\"d\":{\"$dynamicAnchor\":\"d\",\"not\":{\"$dynamicRef\":\"#d\"}},\"m\":{\"$"
    "ref\":"
    "\"https://json-schema.org/draft/2020-12/schema\"}}}";

static void compiling_survives_each_failing_allocation(void) {
  tm_arena docs;
  tm_arena_init(&docs, 0);
  const tm_json *doc = parse(&docs, everything);
  int answer = -1;
  for (size_t n = 1; answer < 0; n++) {
    tm_arena a;
    tm_schema *s = NULL;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, (size_t)16 << 20);
    tm_mem_fail_at(n);
    answer = tm_schema_compile(&s, &a, doc, NULL, &err);
    tm_mem_fail_at(0);
    if (answer < 0 && err.code != TM_LIMIT)
      check_fail(__FILE__, __LINE__, "at %zu: %s", n, err.msg);
    tm_arena_free(&a);
    REQUIRE(n < 10000);
  }
  tm_arena_free(&docs);
}

static void compiling_respects_a_soft_arena(void) {
  tm_arena docs;
  tm_arena_init(&docs, 0);
  const tm_json *doc = parse(&docs, everything);
  int answer = -1;
  for (size_t limit = 256; answer < 0; limit += limit / 8 + 64) {
    tm_arena a;
    tm_schema *s = NULL;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, limit);
    answer = tm_schema_compile(&s, &a, doc, NULL, &err);
    if (answer < 0 && err.code != TM_LIMIT)
      check_fail(__FILE__, __LINE__, "with %zu: %s", limit, err.msg);
    tm_arena_free(&a);
    REQUIRE(limit < (size_t)64 << 20);
  }
  tm_arena_free(&docs);
}

static void reporting_survives_each_failing_allocation(void) {
  tm_arena docs;
  tm_arena_init(&docs, 0);
  const tm_schema *s = compile(&docs, everything, NULL);
  const tm_json *v = parse(&docs, "{\"a\":3,\"b\":\"z\",\"c\":[1,2,2],\"q\":1}");
  for (size_t n = 1; n < 200; n++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, (size_t)1 << 20);
    tm_schema_report report = {.arena = &a};
    tm_mem_fail_at(n);
    int answer = tm_schema_check(s, v, &report, &err);
    tm_mem_fail_at(0);
    CHECK(answer == 1 || (answer == -1 && err.code == TM_LIMIT));
    for (size_t i = 0; i < report.count; i++)
      CHECK(report.errors[i].instance && report.errors[i].message && report.errors[i].advice);
    tm_arena_free(&a);
  }
  tm_arena_free(&docs);
}

static void a_valid_value_asks_for_no_memory(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s =
      compile(&a,
              "{\"properties\":{\"a\":{\"pattern\":\"^(x|y)+$\"},\"b\":{\"anyOf\":"
              "[{\"type\":\"string\"},{\"uniqueItems\":true}]}},"
              "\"unevaluatedProperties\":false}",
              NULL);
  const tm_json *v = parse(&a, "{\"a\":\"xyx\",\"b\":[1,2,3]}");
  tm_schema_report report = {.arena = &a};
  size_t used = a.used;
  tm_mem_fail_at(0);
  CHECK_INT(tm_schema_check(s, v, &report, &err), 0);
  CHECK_INT(tm_mem_fail_at(0), 0);
  CHECK_INT(a.used, used);
  tm_arena_free(&a);
}

CHECK_SUITE(schema_limits) {
  CHECK_RUN(a_schema_that_only_refers_to_itself_is_undecided);
  CHECK_RUN(a_schema_bomb_is_undecided);
  CHECK_RUN(a_long_chain_of_references_compiles);
  CHECK_RUN(a_value_as_deep_as_the_parser_takes_is_decided);
  CHECK_RUN(a_schema_nested_too_deep_is_refused);
  CHECK_RUN(a_pattern_that_explodes_gives_up_soon);
  CHECK_RUN(a_hundred_thousand_unique_items_are_quick);
  CHECK_RUN(compiling_survives_each_failing_allocation);
  CHECK_RUN(compiling_respects_a_soft_arena);
  CHECK_RUN(reporting_survives_each_failing_allocation);
  CHECK_RUN(a_valid_value_asks_for_no_memory);
}
