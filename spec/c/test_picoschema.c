/* test_picoschema.c - short schemas expanded, JSON Schema taken as it is, and what is refused.
 */
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

static const tm_json *find_named(void *ctx, const char *name) {
  return tm_json_get(ctx, name);
}

static const char named[] = "{\"Money\":{\"type\":\"number\",\"description\":\"in USD\"},"
                            "\"Union\":{\"anyOf\":[true]},\"Any\":true}";

static void expect(const char *doc, const char *want) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *out = NULL;
  tm_arena_init(&a, 0);
  if (tm_picoschema_expand(&out, &a, parse(&a, doc), find_named, parse(&a, named), &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", doc, err.msg);
  else if (!tm_json_equal(out, parse(&a, want)))
    check_fail(__FILE__, __LINE__, "%s:\n      got  %s\n      want %s", doc,
               tm_json_text(&a, out, NULL), want);
  tm_schema *schema;
  CHECK_INT(out ? tm_schema_compile(&schema, &a, out, NULL, &err) : -1, 0);
  tm_arena_free(&a);
}

static void a_word_is_a_type_with_a_description(void) {
  expect("\"string\"", "{\"type\":\"string\"}");
  expect("\"number,the price, with tax\"",
         "{\"type\":\"number\",\"description\":\"the price, with tax\"}");
  expect("\"integer ,   how many  \"", "{\"type\":\"integer\",\"description\":\"how many\"}");
  expect("\"boolean,\"", "{\"type\":\"boolean\"}");
  expect("\"null\"", "{\"type\":\"null\"}");
  expect("\"any\"", "{}");
  expect("\"any, whatever\"", "{\"description\":\"whatever\"}");
}

static void an_object_is_closed_and_requires_what_is_not_optional(void) {
  expect("{\"a\":\"string\",\"b?\":\"integer, or not\"}",
         "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
         "[\"integer\",\"null\"],\"description\":\"or not\"}},\"required\":[\"a\"],"
         "\"additionalProperties\":false}");
  expect("{\"a?\":\"any\"}",
         "{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}");
  expect(
      "{\"a\":{\"b\":\"string\"}}",
      "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":"
      "{\"type\":\"string\"}},\"required\":[\"b\"],\"additionalProperties\":false}},"
      "\"required\":[\"a\"],\"additionalProperties\":false}");
}

static void members_come_in_their_order(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *out;
  tm_arena_init(&a, 0);
  const tm_json *doc = parse(&a, "{\"z\":\"string\",\"a\":\"string\",\"m\":\"string\"}");
  REQUIRE(tm_picoschema_expand(&out, &a, doc, NULL, NULL, &err) == 0);
  const tm_json *properties = tm_json_get(out, "properties");
  CHECK_STR(tm_json_member_at(properties, 0)->key, "z");
  CHECK_STR(tm_json_member_at(properties, 1)->key, "a");
  CHECK_STR(tm_json_member_at(properties, 2)->key, "m");
  tm_arena_free(&a);
}

static void parentheses_say_array_object_or_enum(void) {
  expect(
      "{\"tags(array, to find it)\":\"string, one\"}",
      "{\"type\":\"object\",\"properties\":{\"tags\":{\"type\":\"array\",\"items\":{\"type\":"
      "\"string\",\"description\":\"one\"},\"description\":\"to find it\"}},\"required\":"
      "[\"tags\"],\"additionalProperties\":false}");
  expect(
      "{\"tags?(array)\":{\"n?\":\"number\"}}",
      "{\"type\":\"object\",\"properties\":{\"tags\":{\"type\":[\"array\",\"null\"],\"items\":"
      "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":[\"number\",\"null\"]}},"
      "\"additionalProperties\":false}}},\"additionalProperties\":false}");
  expect("{\"o?(object, inside)\":{\"x\":\"string\"}}",
         "{\"type\":\"object\",\"properties\":{\"o\":{\"type\":[\"object\",\"null\"],"
         "\"description\":\"inside\",\"properties\":{\"x\":{\"type\":\"string\"}},\"required\":"
         "[\"x\"],\"additionalProperties\":false}},\"additionalProperties\":false}");
  expect("{\"c(enum, pick)\":[\"a\",\"b\"]}",
         "{\"type\":\"object\",\"properties\":{\"c\":{\"enum\":[\"a\",\"b\"],\"description\":"
         "\"pick\"}},\"required\":[\"c\"],\"additionalProperties\":false}");
  expect("{\"c?(enum)\":[\"a\"]}",
         "{\"type\":\"object\",\"properties\":{\"c\":{\"enum\":[\"a\","
         "null]}},\"additionalProperties\":false}");
  expect("{\"c?(enum)\":[null]}",
         "{\"type\":\"object\",\"properties\":{\"c\":{\"enum\":[null]}},"
         "\"additionalProperties\":false}");
}

static void a_star_is_any_other_member(void) {
  expect(
      "{\"a\":\"string\",\"(*)\":\"number, lucky\"}",
      "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"],"
      "\"additionalProperties\":{\"type\":\"number\",\"description\":\"lucky\"}}");
}

static void names_stand_for_known_schemas(void) {
  expect("\"Money\"", "{\"type\":\"number\",\"description\":\"in USD\"}");
  expect("\"Money, what it costs\"", "{\"type\":\"number\",\"description\":\"what it costs\"}");
  expect("{\"m?\":\"Money\",\"u?\":\"Union\",\"a?\":\"Any, x\"}",
         "{\"type\":\"object\",\"properties\":{\"m\":{\"type\":[\"number\",\"null\"],"
         "\"description\":\"in USD\"},\"u\":{\"anyOf\":[true]},\"a\":true},"
         "\"additionalProperties\":false}");
}

static void json_schema_is_taken_as_it_is(void) {
  static const char *const docs[] = {
      "true",
      "{\"type\":\"string\",\"minLength\":3}",
      "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}",
      "{\"type\":[\"string\",\"null\"]}",
      "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{}}}",
      "{\"anyOf\":[{\"type\":\"string\"}]}",
      "{\"enum\":[1,2]}",
  };
  for (size_t i = 0; i < sizeof docs / sizeof *docs; i++)
    expect(docs[i], docs[i]);
  expect("{\"properties\":{\"a\":{\"type\":\"string\"}}}",
         "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}");
  /* a member that happens to be called "type" or "properties" */
  expect(
      "{\"type\":\"string, of ticket\"}",
      "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\",\"description\":\"of "
      "ticket\"}},\"required\":[\"type\"],\"additionalProperties\":false}");
}

static void what_makes_no_sense_is_refused_by_place(void) {
  static const struct {
    const char *doc, *want;
  } cases[] = {
      {"\"strng\"", "picoschema: schema: \"strng\" is neither a type (string, number, integer, "
                    "boolean, null, any) nor the name of a known schema"},
      {"{\"a\":{\"b\":\"strng\"}}",
       "picoschema: schema/a/b: \"strng\" is neither a type (string, number, integer, boolean, "
       "null, any) nor the name of a known schema"},
      {"{\"a\":3}", "picoschema: schema/a: expected a type like \"string, what it is\" or an "
                    "object of members, not integer"},
      {"[1]", "picoschema: schema: expected a type like \"string, what it is\" or an object of "
              "members, not array"},
      {"{\"a(list)\":\"string\"}",
       "picoschema: schema/a(list): in parentheses stands array, object or enum, not \"list\""},
      {"{\"a(enum)\":\"x\"}",
       "picoschema: schema/a(enum): an enum lists its values in an array"},
      {"{\"a(array\":\"x\"}", "picoschema: schema: \"a(array\" lacks its closing )"},
      {"{\"?\":\"string\"}", "picoschema: schema: \"?\" names no member"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_json *out;
    tm_arena_init(&a, 0);
    CHECK_INT(tm_picoschema_expand(&out, &a, parse(&a, cases[i].doc), NULL, NULL, &err), -1);
    CHECK_INT(err.code, TM_USAGE);
    CHECK_STR(err.msg, cases[i].want);
    tm_arena_free(&a);
  }
}

static void nesting_has_a_limit(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *out, *doc;
  tm_arena_init(&a, 0);
  doc = tm_json_new_str(&a, "string");
  for (int i = 0; i < 100; i++) {
    tm_json *outer = tm_json_new_object(&a);
    tm_json_set(&a, outer, "a", doc);
    doc = outer;
  }
  CHECK_INT(tm_picoschema_expand(&out, &a, doc, NULL, NULL, &err), -1);
  CHECK_INT(err.code, TM_LIMIT);
  tm_arena_free(&a);
}

static void expanding_survives_a_small_arena(void) {
  tm_arena docs;
  tm_arena_init(&docs, 0);
  const tm_json *doc = parse(&docs, "{\"a\":\"string, x\",\"b?(array)\":{\"c\":\"Money\"},"
                                    "\"d?(enum)\":[1],\"(*)\":\"any\"}");
  tm_json *names = parse(&docs, named);
  int answer = -1;
  for (size_t limit = 64; answer < 0; limit += 48) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_json *out;
    tm_arena_init(&a, limit);
    answer = tm_picoschema_expand(&out, &a, doc, find_named, names, &err);
    CHECK(answer == 0 || err.code == TM_LIMIT);
    tm_arena_free(&a);
    REQUIRE(limit < 1 << 20);
  }
  tm_arena_free(&docs);
}

CHECK_SUITE(picoschema) {
  CHECK_RUN(a_word_is_a_type_with_a_description);
  CHECK_RUN(an_object_is_closed_and_requires_what_is_not_optional);
  CHECK_RUN(members_come_in_their_order);
  CHECK_RUN(parentheses_say_array_object_or_enum);
  CHECK_RUN(a_star_is_any_other_member);
  CHECK_RUN(names_stand_for_known_schemas);
  CHECK_RUN(json_schema_is_taken_as_it_is);
  CHECK_RUN(what_makes_no_sense_is_refused_by_place);
  CHECK_RUN(nesting_has_a_limit);
  CHECK_RUN(expanding_survives_a_small_arena);
}
