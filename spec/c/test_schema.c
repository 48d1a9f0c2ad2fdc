/* test_schema.c - compiling, checking, what is said of a violation, and the limits.
 *
 * The official suite (test_schema_suite.c) covers what each keyword means; here stands what
 * is ours: messages, advice, errors in schemas, drafts, formats, regexes, memory.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "check.h"
#include "text/schema.h"

static tm_json *parse(tm_arena *a, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return v;
}

static tm_schema *compile(tm_arena *a, const char *text, const tm_schema_opts *opts) {
  tm_schema *s = NULL;
  tm_err err = TM_ERR_INIT;
  const tm_json *doc = parse(a, text);
  if (doc && tm_schema_compile(&s, a, doc, opts, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return s;
}

/* -1, 0, 1; with and without a report must agree. */
static int check_opts(const char *schema, const char *value, const tm_schema_opts *opts) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s = compile(&a, schema, opts);
  const tm_json *v = parse(&a, value);
  tm_schema_report report = {.arena = &a};
  int quick = s && v ? tm_schema_check(s, v, NULL, &err) : -2;
  int full = s && v ? tm_schema_check(s, v, &report, &err) : -2;
  CHECK_INT(quick, full);
  CHECK((full == 1) == (report.count > 0));
  tm_arena_free(&a);
  return quick;
}

static int check_one(const char *schema, const char *value) {
  return check_opts(schema, value, NULL);
}

typedef struct verdict {
  const char *schema, *value;
  int want;
} verdict;

static void expect_all(const verdict *cases, size_t count, const tm_schema_opts *opts) {
  for (size_t i = 0; i < count; i++) {
    int got = check_opts(cases[i].schema, cases[i].value, opts);
    if (got != cases[i].want)
      check_fail(__FILE__, __LINE__, "%s on %s: got %d, want %d", cases[i].schema,
                 cases[i].value, got, cases[i].want);
  }
}

#define EXPECT_ALL(cases, opts) expect_all(cases, sizeof(cases) / sizeof *(cases), opts)

/* -- messages ---------------------------------------------------------------------------- */

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

/* -- schemas that are wrong -------------------------------------------------------------- */

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

/* -- numbers ----------------------------------------------------------------------------- */

static void numbers_are_compared_exactly(void) {
  static const verdict cases[] = {
      {"{\"maximum\":9007199254740992}", "9007199254740993", 1},
      {"{\"exclusiveMinimum\":9007199254740992}", "9007199254740993", 0},
      {"{\"maximum\":9007199254740992.0}", "9007199254740993", 1},
      {"{\"minimum\":0.5}", "0.5", 0},
      {"{\"minimum\":1}", "0.99", 1},
      {"{\"maximum\":9223372036854775807}", "1e19", 1},
      {"{\"minimum\":-9223372036854775808}", "-1e19", 1},
      {"{\"const\":1}", "1.0", 0},
      {"{\"enum\":[1.5,null,[1],{\"b\":2}]}", "{\"b\":2.0}", 0},
      {"{\"type\":\"integer\"}", "1e300", 0},
      {"{\"type\":\"integer\"}", "1.5", 1},
      {"{\"multipleOf\":0.01}", "19.99", 0},
      {"{\"multipleOf\":0.01}", "4.35", 0},
      {"{\"multipleOf\":0.01}", "4.355", 1},
      {"{\"multipleOf\":0.0001}", "0.0075", 0},
      {"{\"multipleOf\":0.5}", "1e308", 0},
      {"{\"multipleOf\":3}", "1e20", 1},
      {"{\"multipleOf\":7}", "9223372036854775807", 0},
      {"{\"multipleOf\":1e-300}", "1e-299", 0},
      {"{\"multipleOf\":1e300}", "1e299", 1},
      {"{\"multipleOf\":2}", "-4", 0},
  };
  EXPECT_ALL(cases, NULL);
}

static void items_are_unique_by_value(void) {
  static const verdict cases[] = {
      {"{\"uniqueItems\":true}", "[1,true,\"1\",null,[1],{\"a\":1}]", 0},
      {"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", 1},
      {"{\"uniqueItems\":true}", "[0,-0.0]", 1},
      /* more than are compared pair by pair */
      {"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,0,-0.0]", 1},
      {"{\"uniqueItems\":true}",
       "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,{\"a\":1,\"b\":2},"
       "{\"b\":2.0,\"a\":1}]",
       1},
      {"{\"uniqueItems\":true}",
       "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,{\"a\":1,\"b\":2},"
       "{\"b\":1,\"a\":2}]",
       0},
      {"{\"uniqueItems\":false}", "[1,1]", 0},
  };
  EXPECT_ALL(cases, NULL);
}

/* -- strings ----------------------------------------------------------------------------- */

static void patterns_are_ecma_262(void) {
  static const verdict cases[] = {
      {"{\"pattern\":\"^INV-[0-9]{4}-[0-9]+$\"}", "\"INV-2026-1\"", 0},
      {"{\"pattern\":\"^INV-[0-9]{4}-[0-9]+$\"}", "\"INV-2026-\"", 1},
      {"{\"pattern\":\"^INV-[0-9]{4}-[0-9]+$\"}", "\"INV-2026-1\\n\"", 1},
      {"{\"pattern\":\"^[^@ ]+@[^@ ]+$\"}", "\"ä@ö\"", 0},
      {"{\"pattern\":\"^[^@ ]+@[^@ ]+$\"}", "\"a@@b\"", 1},
      {"{\"pattern\":\"^a?b{2,3}c*$\"}", "\"bbb\"", 0},
      {"{\"pattern\":\"^a?b{2,3}c*$\"}", "\"abbbb\"", 1},
      {"{\"pattern\":\"^a*a$\"}", "\"aaa\"", 0}, /* overlapping sets */
      {"{\"pattern\":\"^.+$\"}", "\"ab\\u2028\"", 1},
      {"{\"pattern\":\"^.{2}$\"}", "\"é🐲\"", 0},
      {"{\"pattern\":\"^[a-]+$\"}", "\"a-\"", 0},
      {"{\"pattern\":\"^[\\\\w-]+$\"}", "\"a-_9\"", 0},
      {"{\"pattern\":\"^[\\\\s-x]+$\"}", "\" -x\"", 0},
      {"{\"pattern\":\"^[^\\\\S]+$\"}", "\"\\u00a0\\ufeff\"", 0},
      {"{\"pattern\":\"^x{,2}$\"}", "\"x{,2}\"", 0},
      {"{\"pattern\":\"^\\\\u{1F432}$\"}", "\"🐲\"", 0},
      {"{\"pattern\":\"^\\\\ud83d\\\\udc32$\"}", "\"🐲\"", 0},
      {"{\"pattern\":\"^\\\\p{Script=Greek}\\\\p{Lu}$\"}", "\"αA\"", 0},
      {"{\"pattern\":\"^(?<y>a)\\\\k<y>\\\\1$\"}", "\"aaa\"", 0},
      {"{\"pattern\":\"^[]$\"}", "\"\"", 1},
      {"{\"pattern\":\"^[^]$\"}", "\"\\n\"", 0},
      {"{\"pattern\":\"^[[]$\"}", "\"[\"", 0},
      {"{\"pattern\":\"^\\\\/\\\\-\\\\.$\"}", "\"/-.\"", 0},
      {"{\"pattern\":\"^(a|b)$\"}", "\"b\\n\"", 1},
      {"{\"pattern\":\"\"}", "\"\"", 0},
      {"{\"pattern\":\"^\"}", "\"x\"", 0},
      {"{\"pattern\":\"^$\"}", "\"x\"", 1},
      {"{\"pattern\":\"^\\\\v\\\\x41\\\\cJ$\"}", "\"\\u000bA\\n\"", 0},
      {"{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"additionalProperties\":"
       "false}",
       "{\"x-a\":1}", 0},
      {"{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"additionalProperties\":"
       "false}",
       "{\"x-a\":1,\"y\":2}", 1},
  };
  EXPECT_ALL(cases, NULL);
}

static void what_ecma_262_does_not_have_is_refused(void) {
  static const char *const patterns[] = {
      "\\A",  "\\z",       "\\h",  "\\Qa\\E", "a++",   "a**",     "(?>a)", "(?#a)",
      "(?R)", "(*ACCEPT)", "a(",   "a)",      "[b-a]", "\\u12",   "\\x1",  "\\p{Nonsense}",
      "\\pL", "\\c1",      "\\01", "(?<n",    "\\",    "\\ud83d",
  };
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    tm_arena a;
    tm_schema *s;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, 0);
    tm_json *doc = tm_json_new_object(&a);
    tm_json_set_str(&a, doc, "pattern", patterns[i]);
    if (tm_schema_compile(&s, &a, doc, NULL, &err) == 0)
      check_fail(__FILE__, __LINE__, "accepted %s", patterns[i]);
    tm_arena_free(&a);
  }
}

static void formats_assert_only_when_asked(void) {
  CHECK_INT(check_one("{\"format\":\"ipv4\"}", "\"nonsense\""), 0);
  const tm_schema_opts opts = {.assert_format = true};
  CHECK_INT(check_opts("{\"format\":\"ipv4\"}", "\"nonsense\"", &opts), 1);
  CHECK_INT(check_opts("{\"format\":\"ipv4\"}", "12", &opts), 0);
  CHECK_INT(check_opts("{\"format\":\"no-such-format\"}", "\"x\"", &opts), 0);
}

static void formats_know_right_from_wrong(void) {
  /* format, then right ones, NULL, wrong ones, NULL */
  static const char *const cases[][20] = {
      {"date-time", "1998-12-31T23:59:60Z", "1998-12-31T15:59:60.123-08:00",
       "1963-06-19t08:30:06.28z", "2020-02-29T00:00:00+23:59", NULL, "1998-12-31T23:58:60Z",
       "1990-02-31T15:59:59Z", "1990-12-31T15:59:59-24:00", "06/19/1963 08:30:06 PST",
       "2013-350T01:01:01", "1963-06-1৪T00:00:00Z", "2021-02-29T00:00:00Z",
       "2020-01-01T00:00:00", NULL},
      {"date", "1963-06-19", "2020-02-29", NULL, "2021-02-29", "1998-13-01", "1998-1-20",
       "1963-06-1৪", "20230328", "2023-W01", NULL},
      {"time", "08:30:06Z", "23:59:60Z", "01:29:60+01:30", "23:20:50.52Z", "08:30:06-08:00",
       NULL, "24:00:00Z", "22:59:60Z", "08:30:06", "08:30:06+8:00", "12:00:00.Z", "0830:06Z",
       "01:02:03+24:00", NULL},
      {"duration", "P4DT12H30M5S", "P4Y",  "PT0S",        "P1M", "PT36H", "P2W",
       "P1DT12H",  NULL,           "PT1D", "4DT12H30M5S", "P",   "P1YT",  "PT",
       "P2D1Y",    "P1D2H",        "P2S",  "P1Y2W",       "P1",  NULL},
      {"email", "joe.bloggs@example.com", "te~st@example.com", "\"joe bloggs\"@example.com",
       "joe.bloggs@[127.0.0.1]", "joe.bloggs@[IPv6:::1]", NULL, "2962", ".test@example.com",
       "test.@example.com", "te..st@example.com", "joe.bloggs@invalid=domain.com",
       "joe.bloggs@[127.0.0.300]", "a@b, c@d", NULL},
      {"idn-email", "실례@실례.테스트", "joe@example.com", NULL, "2962", "@x", NULL},
      {"hostname", "www.example.com", "xn--4gbwdl.xn--wgbh1c", "a", "1host", "h-o-s-t", NULL,
       "-a-host-name", "a-", "not_valid", "a_b", "a..b", "example.", "", "xn--X",
       "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd", NULL},
      {"idn-hostname", "실례.테스트", "ßς་〇",         "l·l",          "α͵β",
       "א׳ב",          "・ぁ",        "ب٠ب",           "क्‍ष", "بي‌بي",
       "hostname",     NULL,          "〮실례.테스트", "̀hello",        "ـߺ",
       "a·l",          "α͵S",         "A׳ב",           "def・abc",     NULL},
      {"ipv4", "192.168.0.1", "0.0.0.0", NULL, "127.0.0.0.1", "256.256.256.256", "127.0",
       "087.10.0.1", "1.2.3.4 ", "1২7.0.0.1", "0x7f.0.0.1", NULL},
      {"ipv6", "::1", "::", "1:2:3:4:5:6:7:8", "::ffff:192.168.0.1", "1::", "::42:ff:1", NULL,
       "12345::", "1:1:1:1:1:1:1:1:1", "::abcef::", "1::1::1", ":2:3:4:5:6:7:8",
       "1:2:3:4:5:6:7", "::1%eth0", "1:2:3:4:1.2.3", NULL},
      {"uri", "http://foo.bar/?baz=qux#quux", "ldap://[2001:db8::7]/c=GB?objectClass?one",
       "urn:oasis:names", "mailto:a@b.c", "http://-.~_!$&'()*+,;=:%40:80%2f::::::@example.com",
       NULL, "//foo.bar/?baz=qux#quux", "/abc", "abc", "http:// shouldfail.com", "bar,baz:foo",
       "https://[@example.org/", "http://a/ä", "http://a/%g0", "http://a/<>", "http://a:b/",
       NULL},
      {"uri-reference", "/abc", "abc", "#frag", "?q", "//a/b", "", NULL, "\\\\WINDOWS\\x",
       "#frag\\ment", "1a:b", NULL},
      {"iri", "http://ƒøø.ßår/?∂éœ=πîx#πîüx", NULL, "/abc", "http://2001:0db8::7334", NULL},
      {"iri-reference", "/âππ", "#ƒrägmênt", NULL, "\\\\WINDOWS", NULL},
      {"uri-template", "http://a/{term:1}/{term}", "{+x,y*}{#h}", "plain", NULL,
       "http://a/{term", "{}", "{a b}", "}", NULL},
      {"uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2EB8AA08-AA98-11EA-B4AA-73B441D16380",
       NULL, "2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08aa9811eab4aa73b441d16380",
       "2eb8aa08-aa98-11ea-b4ga-73b441d16380", NULL},
      {"json-pointer", "", "/foo/0", "/a~0b~1", "/", NULL, "a", "#/a", "/~", "/~2", NULL},
      {"relative-json-pointer", "1", "0/foo", "2/0/baz", "0#", "0+1/a", NULL, "/foo", "-1/x",
       "0##", "01/a", "", "+1/a", NULL},
      {"regex", "([abc])+\\s+$", "\\p{L}", NULL, "^(abc]", "\\a", "a{2,1}", NULL},
  };
  const tm_schema_opts opts = {.assert_format = true};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, 0);
    tm_schema *s = NULL;
    tm_json *doc = tm_json_new_object(&a);
    tm_json_set_str(&a, doc, "format", cases[i][0]);
    CHECK_INT(tm_schema_compile(&s, &a, doc, &opts, &err), 0);
    int want = 0;
    for (size_t k = 1; s && want < 2; k++) {
      if (!cases[i][k])
        want++;
      else if (tm_schema_check(s, tm_json_new_str(&a, cases[i][k]), NULL, &err) != want)
        check_fail(__FILE__, __LINE__, "%s: %s is found %s", cases[i][0], cases[i][k],
                   want ? "right" : "wrong");
    }
    tm_arena_free(&a);
  }
}

/* -- drafts and documents ---------------------------------------------------------------- */

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

/* -- limits ------------------------------------------------------------------------------ */

static void a_schema_that_only_refers_to_itself_is_undecided(void) {
  static const char *const schemas[] = {
      "{\"$ref\":\"#\"}",
      "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"}]},\"b\":"
      "{\"$ref\":\"#/$defs/a\"}}}",
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
  int64_t start = tm_clock_ns();
  *answer = tm_schema_check(s, v, NULL, &err);
  int64_t spent = tm_clock_ns() - start;
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
  int64_t start = tm_clock_ns();
  CHECK_INT(tm_schema_check(s, v, NULL, &err), 0);
  CHECK(tm_clock_ns() - start < INT64_C(1000000000));
  tm_json_push(&a, v, tm_json_new_int(&a, 77));
  CHECK_INT(tm_schema_check(s, v, NULL, &err), 1);
  tm_arena_free(&a);
}

/* -- memory ------------------------------------------------------------------------------ */

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

/* -- defaults ---------------------------------------------------------------------------- */

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
  CHECK_RUN(numbers_are_compared_exactly);
  CHECK_RUN(items_are_unique_by_value);
  CHECK_RUN(patterns_are_ecma_262);
  CHECK_RUN(what_ecma_262_does_not_have_is_refused);
  CHECK_RUN(formats_assert_only_when_asked);
  CHECK_RUN(formats_know_right_from_wrong);
  CHECK_RUN(draft_07_is_read_as_draft_07);
  CHECK_RUN(built_in_metaschemas_check_schemas);
  CHECK_RUN(documents_come_from_resolve);
  CHECK_RUN(unevaluated_sees_through_other_schemas);
  CHECK_RUN(unevaluated_keeps_track_of_large_objects);
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
  CHECK_RUN(defaults_are_filled_on_request);
}
