/* test_schema.c - what is said of a violation, errors in schemas, drafts, documents, defaults.
 *
 * The official suite (test_schema_suite.c) covers what each keyword means; here stands what
 * is ours.
 */
#include "schema_kit.h"

/* -- messages -------------------------------------------------------------------------- */

/* Each error as a line "instance|schema|keyword|message". */
static void expect_report(const char *schema, const char *value, const char *want) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_buf got = TM_BUF_INIT;
  tm_arena_init(&a, 0);
  const tm_schema_opts opts = {.assert_format = true};
  const tm_schema *s = compile(&a, schema, &opts);
  const tm_json *v = parse(&a, value);
  tm_schema_report report = {.arena = &a};
  CHECK_INT(s && v ? tm_schema_check(s, v, &report, &err) : -2, 1);
  for (size_t i = 0; i < report.count; i++) {
    const tm_schema_error *e = &report.errors[i];
    tm_buf_printf(&got, "%s%s|%s|%s|%s", i ? "\n" : "", e->instance, e->schema, e->keyword,
                  e->message);
    CHECK(e->advice && *e->advice);
  }
  CHECK_STR(tm_buf_str(&got), want);
  tm_buf_free(&got);
  tm_arena_free(&a);
}

static void each_violation_says_where_and_what(void) {
  static const struct {
    const char *schema, *value, *want;
  } cases[] = {
      {"{\"properties\":{\"categories\":{\"items\":{\"enum\":[\"billing\",\"bug\"]}}}}",
       "{\"categories\":[\"rant\"]}",
       "/categories/0|/properties/categories/items/enum|enum|/categories/0 must be one of "
       "\"billing\", \"bug\"; it is \"rant\""},
      {"{\"type\":\"object\"}", "[]", "|/type|type|the value must be an object; it is []"},
      {"{\"type\":[\"integer\",\"null\"]}", "1.5",
       "|/type|type|the value must be an integer or null; it is 1.5"},
      {"{\"items\":{\"type\":\"number\"}}", "[[1,2]]",
       "/0|/items/type|type|/0 must be a number; it is an array of 2 items"},
      {"{\"const\":{\"a\":1}}", "2", "|/const|const|the value must be {\"a\":1}; it is 2"},
      {"{\"minimum\":1.5}", "1", "|/minimum|minimum|the value must be at least 1.5; it is 1"},
      {"{\"exclusiveMaximum\":3}", "3",
       "|/exclusiveMaximum|exclusiveMaximum|the value must be less than 3; it is 3"},
      {"{\"multipleOf\":0.01}", "0.075",
       "|/multipleOf|multipleOf|the value must be a multiple of 0.01; it is 0.075"},
      {"{\"minLength\":2}", "\"é\"",
       "|/minLength|minLength|the value must have at least 2 characters; it has 1"},
      {"{\"maxItems\":1}", "[1,2]",
       "|/maxItems|maxItems|the value must have at most 1 item; it has 2"},
      {"{\"minProperties\":1}", "{}",
       "|/minProperties|minProperties|the value must have at least 1 member; it has 0"},
      {"{\"pattern\":\"^[a-z]+$\"}", "\"A\"",
       "|/pattern|pattern|the value must match the pattern ^[a-z]+$; it is \"A\""},
      {"{\"format\":\"date\"}", "\"soon\"",
       "|/format|format|the value must be a valid date; it is \"soon\""},
      {"{\"uniqueItems\":true}", "[1,2,1.0]",
       "|/uniqueItems|uniqueItems|the value must not repeat items; items 0 and 2 are both 1.0"},
      {"{\"required\":[\"b\"]}", "{}", "|/required|required|the value is missing \"b\""},
      {"{\"properties\":{\"a\":true},\"additionalProperties\":false}", "{\"b/c\":1}",
       "/b~1c|/additionalProperties|additionalProperties|/b~1c is not allowed here; allowed is "
       "\"a\""},
      {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}",
       "|/dependentRequired|dependentRequired|the value has \"a\" and so must have \"b\" too"},
      {"{\"propertyNames\":{\"maxLength\":1}}", "{\"abc\":1}",
       "/abc|/propertyNames|propertyNames|the name \"abc\" is not allowed for a member: /abc "
       "must have at most 1 character; it has 3"},
      {"{\"contains\":{\"type\":\"string\"}}", "[1]",
       "|/contains|contains|the value must contain at least 1 item of the kind that "
       "\"contains\" describes; it contains 0"},
      {"{\"not\":{\"type\":\"string\"}}", "\"s\"",
       "|/not|not|the value must not fit the schema in \"not\", {\"type\":\"string\"}; it is "
       "\"s\""},
      {"{\"oneOf\":[{\"minimum\":1},{\"maximum\":5}]}", "3",
       "|/oneOf|oneOf|the value must fit exactly one of the alternatives in \"oneOf\"; it fits "
       "those numbered 0 and 1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect_report(cases[i].schema, cases[i].value, cases[i].want);
}

static void all_violations_are_told_missing_members_first(void) {
  expect_report("{\"required\":[\"a\",\"b\"],\"properties\":{\"c\":{\"type\":\"string\"},"
                "\"d\":{\"minimum\":1}}}",
                "{\"d\":0,\"c\":1}",
                "|/required|required|the value is missing \"a\"\n"
                "|/required|required|the value is missing \"b\"\n"
                "/d|/properties/d/minimum|minimum|/d must be at least 1; it is 0\n"
                "/c|/properties/c/type|type|/c must be a string; it is 1");
}

static void alternatives_tell_about_the_one_that_was_meant(void) {
  /* the only one of the right type */
  expect_report("{\"anyOf\":[{\"type\":\"object\",\"required\":[\"a\"]},{\"type\":\"null\"}]}",
                "{}", "|/anyOf/0/required|required|the value is missing \"a\"");
  /* none of the right type: the types together */
  expect_report("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "3",
                "|/anyOf|anyOf|the value must be a string or null; it is 3");
  /* told apart by a member */
  static const char tagged[] =
      "{\"oneOf\":[{\"type\":\"object\",\"required\":[\"kind\",\"r\"],\"properties\":{\"kind\":"
      "{\"const\":\"circle\"}}},{\"type\":\"object\",\"required\":[\"kind\",\"w\"],"
      "\"properties\":{\"kind\":{\"const\":\"square\"}}}]}";
  expect_report(tagged, "{\"kind\":\"square\"}",
                "|/oneOf/1/required|required|the value is missing \"w\"");
  expect_report(
      tagged, "{\"kind\":\"oval\"}",
      "/kind|/oneOf|oneOf|/kind must be one of \"circle\", \"square\"; it is \"oval\"");
  expect_report("{\"anyOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "3",
                "|/anyOf|anyOf|the value fits none of the 2 alternatives; number 0: the value "
                "must be at least 5; it is 3; number 1: the value must be a multiple of 2; it "
                "is 3");
}

static void long_values_are_cut_at_a_character(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s = compile(&a, "{\"maxLength\":3,\"enum\":[\"x\"]}", NULL);
  char text[400];
  memset(text, 'x', sizeof text);
  for (size_t i = 1; i + 1 < sizeof text; i += 2)
    memcpy(text + i, "é", 2);
  tm_schema_report report = {.arena = &a};
  const tm_json *v = tm_json_new_strn(&a, text, sizeof text - 1);
  REQUIRE(s && tm_schema_check(s, v, &report, &err) == 1);
  REQUIRE(report.count == 2);
  const char *message = report.errors[0].message;
  CHECK(strlen(message) < 160);
  CHECK(strstr(message, "…\"") != NULL);
  CHECK(tm_json_utf8_valid(message, strlen(message)) == strlen(message));
  tm_arena_free(&a);
}

static void a_report_stops_at_its_maximum(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s = compile(&a, "{\"items\":{\"type\":\"string\"}}", NULL);
  const tm_json *v = parse(&a, "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]");
  static const size_t max[] = {1, 2, 0}, want[] = {1, 2, 20};
  for (size_t i = 0; i < 3; i++) {
    tm_schema_report report = {.arena = &a, .max = max[i]};
    CHECK_INT(tm_schema_check(s, v, &report, &err), 1);
    CHECK_INT(report.count, want[i]);
  }
  tm_schema_report report = {.arena = &a, .max = 1};
  CHECK_INT(tm_schema_check(s, v, &report, &err), 1);
  const tm_json *json = tm_schema_report_json(&a, &report);
  CHECK_STR(tm_json_text(&a, json, NULL),
            "[{\"instance\":\"/0\",\"schema\":\"/items/type\",\"keyword\":\"type\","
            "\"message\":\"/0 must be a string; it is 1\"}]");
  tm_arena_free(&a);
}

static void advice_can_be_followed_without_the_schema(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s =
      compile(&a,
              "{\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":"
              "\"string\",\"description\":\"the full name\"},\"age\":{\"type\":"
              "\"integer\"}}}",
              NULL);
  tm_schema_report report = {.arena = &a};
  REQUIRE(s && tm_schema_check(s, parse(&a, "{\"age\":\"12\"}"), &report, &err) == 1);
  REQUIRE(report.count == 2);
  CHECK_STR(report.errors[0].advice,
            "Add the member \"name\" (string: the full name) to the object at the top.");
  CHECK_STR(report.errors[1].advice, "Give /age as an integer, without quotes.");
  tm_arena_free(&a);
}

/* -- schemas that are wrong ------------------------------------------------------------ */

static void a_wrong_schema_names_its_place(void) {
  static const struct {
    const char *schema, *want;
  } cases[] = {
      {"3", "schema (root): a schema is an object or a boolean, not integer"},
      {"{\"type\":\"strng\"}", "schema /type: \"strng\" is not a type; the types are null, "
                               "boolean, integer, number, string, array and object"},
      {"{\"properties\":{\"x\":{\"minLength\":-1}}}",
       "schema /properties/x/minLength: must be a whole number that is not negative"},
      {"{\"properties\":[]}", "schema /properties: must be an object of schemas, not array"},
      {"{\"items\":3}", "schema /items: a schema is an object or a boolean, not integer"},
      {"{\"allOf\":[]}", "schema /allOf: must have at least one schema"},
      {"{\"required\":\"a\"}", "schema /required: must be an array of strings, not string"},
      {"{\"required\":[1]}",
       "schema /required: must be an array of strings; item 0 is not one"},
      {"{\"multipleOf\":0}", "schema /multipleOf: must be greater than 0"},
      {"{\"minimum\":\"1\"}", "schema /minimum: must be a number, not string"},
      {"{\"$defs\":{\"a\":{\"pattern\":\"[a\"}}}",
       "schema /$defs/a/pattern: \"[a\" is not a regular expression: a [ without its ]"},
      {"{\"pattern\":\"a\\\\Z\"}",
       "schema /pattern: \"a\\Z\" is not a regular expression: \\Z is not in the dialect of "
       "JSON Schema (ECMA-262); write $"},
      {"{\"pattern\":\"(*LIMIT_MATCH=9)a\"}",
       "schema /pattern: \"(*LIMIT_MATCH=9)a\" is not a regular expression: nothing to repeat "
       "behind ("},
      {"{\"$ref\":\"#/$defs/x\"}", "schema /$ref: \"#/$defs/x\" leads nowhere: nothing is at "
                                   "that pointer"},
      {"{\"$ref\":\"#x\"}", "schema /$ref: \"#x\" leads nowhere: no schema has that $anchor"},
      {"{\"$ref\":\"https://example.org/s.json\"}",
       "schema /$ref: \"https://example.org/s.json\" leads nowhere: no such document here, and "
       "references are never fetched"},
      {"{\"$schema\":\"http://json-schema.org/draft-04/schema#\"}",
       "schema /$schema: \"http://json-schema.org/draft-04/schema#\" is not a known "
       "metaschema; "
       "known are https://json-schema.org/draft/2020-12/schema and "
       "http://json-schema.org/draft-07/schema#"},
      {"{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}",
       "schema /$defs/b/$anchor: the name \"x\" is taken by another schema"},
      {"{\"$defs\":{\"a\":{\"$id\":\"x\"},\"b\":{\"$id\":\"x\"}}}",
       "schema /$defs/b/$id: \"x\" is the name of another schema already"},
      {"{\"$id\":\"http://x/#y\"}",
       "schema /$id: \"http://x/#y\" must not have a fragment; use $anchor"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_arena a;
    tm_schema *s = NULL;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, 0);
    CHECK_INT(tm_schema_compile(&s, &a, parse(&a, cases[i].schema), NULL, &err), -1);
    CHECK_INT(err.code, TM_USAGE);
    CHECK_STR(err.msg, cases[i].want);
    tm_arena_free(&a);
  }
}

/* -- drafts and documents -------------------------------------------------------------- */

static void draft_07_is_read_as_draft_07(void) {
#define D7 "\"$schema\":\"http://json-schema.org/draft-07/schema#\","
  static const verdict cases[] = {
      {"{" D7 "\"items\":[{\"type\":\"string\"}],\"additionalItems\":{\"type\":\"null\"}}",
       "[\"a\",null]", 0},
      {"{" D7 "\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}", "[\"a\",1]", 1},
      {"{" D7 "\"items\":{\"type\":\"string\"},\"additionalItems\":false}", "[\"a\",\"b\"]", 0},
      {"{" D7 "\"definitions\":{\"a\":{\"type\":\"string\"}},\"properties\":{\"x\":{\"$ref\":"
       "\"#/definitions/a\",\"maxLength\":1}}}",
       "{\"x\":\"abc\"}", 0},
      {"{" D7 "\"dependencies\":{\"a\":[\"b\"],\"c\":{\"minProperties\":3}}}", "{\"a\":1}", 1},
      {"{" D7 "\"dependencies\":{\"a\":[\"b\"],\"c\":{\"minProperties\":3}}}",
       "{\"c\":1,\"d\":1}", 1},
      {"{" D7 "\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", 0},
      {"{" D7 "\"unevaluatedProperties\":false}", "{\"a\":1}", 0},
      {"{" D7 "\"prefixItems\":[false]}", "[1]", 0},
      {"{" D7
       "\"definitions\":{\"a\":{\"$id\":\"#here\",\"type\":\"string\"}},\"$ref\":\"#here\"}",
       "1", 1},
      {"{" D7 "\"if\":{\"const\":1},\"then\":false,\"else\":true}", "1", 1},
      {"{" D7 "\"contains\":{\"const\":1},\"minContains\":0}", "[2]", 1},
      {"{" D7 "\"$ref\":\"http://json-schema.org/draft-07/schema#\"}", "{\"minLength\":-1}", 1},
      {"{" D7 "\"allOf\":[{\"$ref\":\"http://json-schema.org/draft-07/schema#\"}]}",
       "{\"minLength\":-1}", 1},
  };
  EXPECT_ALL(cases, NULL);
  const tm_schema_opts opts = {.draft7 = true};
  CHECK_INT(check_opts("{\"items\":[false]}", "[1]", &opts), 1);
#undef D7
}

static void built_in_metaschemas_check_schemas(void) {
  static const verdict cases[] = {
      {"{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}", "{\"type\":\"strng\"}",
       1},
      {"{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
       "{\"properties\":{\"a\":{\"items\":{\"minLength\":-1}}}}", 1},
      {"{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
       "{\"properties\":{\"a\":{\"items\":{\"minLength\":1}}}}", 0},
      {"{\"$ref\":\"http://json-schema.org/draft-07/schema\"}", "{\"items\":[true]}", 0},
      {"{\"$ref\":\"http://json-schema.org/draft-07/schema\"}", "{\"type\":3}", 1},
  };
  EXPECT_ALL(cases, NULL);
}

static const tm_json *find_document(void *ctx, const char *uri) {
  return tm_json_get(ctx, uri);
}

static void documents_come_from_resolve(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *documents =
      parse(&a, "{\"https://example.org/schemas/money.json\":{\"$defs\":{\"usd\":"
                "{\"minimum\":0}}}}");
  const tm_schema_opts opts = {.resolve = find_document,
                               .ctx = documents,
                               .base_uri = "https://example.org/schemas/order.json"};
  static const char schema[] =
      "{\"properties\":{\"usd\":{\"$ref\":\"money.json#/$defs/usd\"}}}";
  CHECK_INT(check_opts(schema, "{\"usd\":-1}", &opts), 1);
  CHECK_INT(check_opts(schema, "{\"usd\":1}", &opts), 0);
  tm_arena_free(&a);
}

static void unevaluated_sees_through_other_schemas(void) {
  static const verdict cases[] = {
      {"{\"$ref\":\"#/$defs/"
       "a\",\"unevaluatedProperties\":false,\"$defs\":{\"a\":{\"properties\":"
       "{\"x\":true}}}}",
       "{\"x\":1}", 0},
      {"{\"$ref\":\"#/$defs/"
       "a\",\"unevaluatedProperties\":false,\"$defs\":{\"a\":{\"properties\":"
       "{\"x\":true}}}}",
       "{\"x\":1,\"y\":2}", 1},
      {"{\"anyOf\":[{\"properties\":{\"x\":{\"const\":1}},\"required\":[\"x\"]},{"
       "\"properties\":"
       "{\"y\":true}}],\"unevaluatedProperties\":false}",
       "{\"x\":2,\"y\":1}", 1},
      {"{\"prefixItems\":[true],\"contains\":{\"const\":\"c\"},\"unevaluatedItems\":false}",
       "[1,\"c\",\"c\"]", 0},
      {"{\"prefixItems\":[true],\"unevaluatedItems\":{\"type\":\"string\"}}", "[1,\"a\",2]", 1},
  };
  EXPECT_ALL(cases, NULL);
}

static void unevaluated_keeps_track_of_large_objects(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s = compile(&a,
                               "{\"anyOf\":[{\"patternProperties\":{\"^k\":true}},true],"
                               "\"unevaluatedProperties\":false}",
                               NULL);
  tm_json *v = tm_json_new_object(&a);
  for (int i = 0; i < 2000; i++)
    tm_json_set_int(&a, v, tm_arena_printf(&a, "k%d", i), i);
  CHECK_INT(tm_schema_check(s, v, NULL, &err), 0);
  tm_json_set_int(&a, v, "other", 1);
  CHECK_INT(tm_schema_check(s, v, NULL, &err), 1);
  tm_arena_free(&a);
}

/* -- defaults -------------------------------------------------------------------------- */

static void defaults_are_filled_on_request(void) {
  static const struct {
    const char *schema, *value, *want;
  } cases[] = {
      {"{\"properties\":{\"a\":{\"default\":1},\"b\":{\"default\":2}}}", "{\"b\":5}",
       "{\"b\":5,\"a\":1}"},
      {"{\"properties\":{\"a\":{\"properties\":{\"x\":{\"default\":[]}}}}}", "{\"a\":{}}",
       "{\"a\":{\"x\":[]}}"},
      {"{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d\"}},\"$defs\":{\"d\":{\"default\":7}}}",
       "{}", "{\"a\":7}"},
      {"{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d\",\"default\":8}},\"$defs\":{\"d\":{}}}",
       "{}", "{\"a\":8}"},
      {"{\"items\":{\"properties\":{\"a\":{\"default\":null}}}}", "[{},{\"a\":1},3]",
       "[{\"a\":null},{\"a\":1},3]"},
      {"{\"allOf\":[{\"properties\":{\"a\":{\"default\":1}}}]}", "{}", "{\"a\":1}"},
      {"{\"properties\":{\"a\":{\"$ref\":\"#\",\"default\":{}},\"b\":{\"default\":1}}}", "{}",
       "{\"a\":{},\"b\":1}"},
      {"{\"$ref\":\"#\"}", "{}", "{}"},
      {"{\"properties\":{\"a\":{\"default\":1}}}", "[]", "[]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_arena a, out;
    tm_arena_init(&a, 0);
    tm_arena_init(&out, 0);
    const tm_schema *s = compile(&a, cases[i].schema, NULL);
    const tm_json *v = parse(&a, cases[i].value);
    CHECK_STR(tm_json_text(&a, tm_schema_fill(&out, s, v), NULL), cases[i].want);
    CHECK_STR(tm_json_text(&a, v, NULL), cases[i].value); /* untouched */
    tm_arena_free(&out);
    tm_arena_free(&a);
  }
}

CHECK_SUITE(schema) {
  CHECK_RUN(each_violation_says_where_and_what);
  CHECK_RUN(all_violations_are_told_missing_members_first);
  CHECK_RUN(alternatives_tell_about_the_one_that_was_meant);
  CHECK_RUN(long_values_are_cut_at_a_character);
  CHECK_RUN(a_report_stops_at_its_maximum);
  CHECK_RUN(advice_can_be_followed_without_the_schema);
  CHECK_RUN(a_wrong_schema_names_its_place);
  CHECK_RUN(draft_07_is_read_as_draft_07);
  CHECK_RUN(built_in_metaschemas_check_schemas);
  CHECK_RUN(documents_come_from_resolve);
  CHECK_RUN(unevaluated_sees_through_other_schemas);
  CHECK_RUN(unevaluated_keeps_track_of_large_objects);
  CHECK_RUN(defaults_are_filled_on_request);
}
