/* test_schema_lower.c - schemas rewritten for each provider's structured output.
 */
#include "base/mem.h"
#include "check.h"
#include "text/schema.h"

#define OPENAI    TM_DIALECT_OPENAI
#define ANTHROPIC TM_DIALECT_ANTHROPIC
#define GEMINI    TM_DIALECT_GEMINI
#define GRAMMAR   TM_DIALECT_GRAMMAR

static tm_json *parse(tm_arena *a, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return v;
}

typedef struct lowered {
  tm_dialect dialect;
  const char *schema, *want, *lost;
} lowered;

static void expect_all(const lowered *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_json *lost = NULL;
    tm_schema *compiled;
    tm_arena_init(&a, 0);
    const tm_json *schema = parse(&a, cases[i].schema);
    char *before = tm_json_text(&a, schema, NULL);
    const tm_json *out = tm_schema_lower(&a, schema, cases[i].dialect, &lost);
    if (!tm_json_equal(out, parse(&a, cases[i].want)))
      check_fail(__FILE__, __LINE__, "case %zu, dialect %d\n      got  %s\n      want %s", i,
                 (int)cases[i].dialect, tm_json_text(&a, out, NULL), cases[i].want);
    CHECK_STR(tm_json_text(&a, lost, NULL), cases[i].lost);
    CHECK_STR(tm_json_text(&a, schema, NULL), before); /* pure */
    CHECK_INT(tm_schema_compile(&compiled, &a, out, NULL, &err), 0);
    tm_arena_free(&a);
  }
}

#define EXPECT_ALL(cases) expect_all(cases, sizeof(cases) / sizeof *(cases))

static void objects_are_closed_and_members_required_as_the_provider_wants(void) {
  static const char schema[] =
      "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"string\"},"
      "\"b\":{\"type\":\"integer\"},\"c\":{\"enum\":[\"x\",\"y\"]}}}";
  static const lowered cases[] = {
      {OPENAI, schema,
       "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
       "[\"integer\",\"null\"]},\"c\":{\"type\":[\"string\",\"null\"],\"enum\":[\"x\",\"y\","
       "null]}},"
       "\"required\":[\"a\",\"b\",\"c\"],\"additionalProperties\":false}",
       "[]"},
      {ANTHROPIC, schema,
       "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
       "\"integer\"},\"c\":{\"type\":\"string\",\"enum\":[\"x\",\"y\"]}},\"required\":[\"a\"],"
       "\"additionalProperties\":false}",
       "[]"},
      {GEMINI, schema,
       "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
       "\"integer\"},\"c\":{\"type\":\"string\",\"enum\":[\"x\",\"y\"]}},\"required\":[\"a\"],"
       "\"propertyOrdering\":[\"a\",\"b\",\"c\"]}",
       "[]"},
      {GRAMMAR, schema, schema, "[]"},
  };
  EXPECT_ALL(cases);
}

static void constraints_that_are_refused_are_said_in_the_description(void) {
  static const char schema[] =
      "{\"type\":\"object\",\"required\":[\"n\",\"s\",\"l\"],\"additionalProperties\":false,"
      "\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":1,\"multipleOf\":2},\"s\":{"
      "\"type\":"
      "\"string\",\"minLength\":2,\"pattern\":\"^a\",\"description\":\"the "
      "s\"},\"l\":{\"type\":"
      "\"array\",\"items\":{\"type\":\"string\",\"format\":\"uri\"},\"minItems\":2,"
      "\"uniqueItems\":"
      "true}}}";
  static const lowered cases[] = {
      {OPENAI, schema,
       "{\"type\":\"object\",\"required\":[\"n\",\"s\",\"l\"],\"additionalProperties\":false,"
       "\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":1,\"multipleOf\":2},\"s\":{"
       "\"type\":"
       "\"string\",\"pattern\":\"^a\",\"description\":\"the s (at least 2 characters)\"},\"l\":"
       "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"description\":\"(in the format "
       "uri)\"},"
       "\"minItems\":2,\"description\":\"(no repeated items)\"}}}",
       "[\"/properties/s/minLength: only said in the "
       "description\",\"/properties/l/items/format: "
       "only said in the description\",\"/properties/l/uniqueItems: only said in the "
       "description\"]"},
      {ANTHROPIC, schema,
       "{\"type\":\"object\",\"required\":[\"n\",\"s\",\"l\"],\"additionalProperties\":false,"
       "\"properties\":{\"n\":{\"type\":\"integer\",\"description\":\"(at least 1; a multiple "
       "of "
       "2)\"},\"s\":{\"type\":\"string\",\"description\":\"the s (at least 2 characters; "
       "matching "
       "the regular expression ^a)\"},\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
       "\"format\":\"uri\"},\"description\":\"(at least 2 items; no repeated items)\"}}}",
       "[\"/properties/n/minimum: only said in the description\",\"/properties/n/multipleOf: "
       "only "
       "said in the description\",\"/properties/s/minLength: only said in the description\","
       "\"/properties/s/pattern: only said in the description\",\"/properties/l/minItems: only "
       "said in the description\",\"/properties/l/uniqueItems: only said in the "
       "description\"]"},
      {GRAMMAR, "{\"type\":\"number\",\"minimum\":1}",
       "{\"type\":\"number\",\"description\":\"(at least 1)\"}",
       "[\"/minimum: only said in the description\"]"},
      {GRAMMAR, "{\"type\":\"string\",\"pattern\":\"^a+$\"}",
       "{\"type\":\"string\",\"pattern\":\"^a+$\"}", "[]"},
  };
  EXPECT_ALL(cases);
}

static void one_of_becomes_any_of_and_all_of_is_merged(void) {
  static const char either[] =
      "{\"type\":\"object\",\"required\":[\"x\"],\"additionalProperties\":"
      "false,\"properties\":{\"x\":{\"oneOf\":[{\"type\":\"string\"},"
      "{\"type\":\"null\"}]}}}";
  static const char any[] =
      "{\"type\":\"object\",\"required\":[\"x\"],\"additionalProperties\":"
      "false,\"properties\":{\"x\":{\"anyOf\":[{\"type\":\"string\"},"
      "{\"type\":\"null\"}]}}}";
  static const char all[] =
      "{\"allOf\":[{\"$ref\":\"#/$defs/a\"},{\"properties\":{\"y\":{\"type\":\"string\"}},"
      "\"required\":[\"y\"]}],\"$defs\":{\"a\":{\"type\":\"object\",\"properties\":{\"x\":{"
      "\"type\":"
      "\"number\"}},\"required\":[\"x\"]}}}";
  static const lowered cases[] = {
      {OPENAI, either, any, "[]"},
      {ANTHROPIC, either, any, "[]"},
      {GEMINI, either, any, "[]"},
      {GRAMMAR, either, either, "[]"},
      {OPENAI, all,
       "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"},\"y\":{\"type\":"
       "\"string\"}},\"required\":[\"x\",\"y\"],\"additionalProperties\":false,\"$defs\":{"
       "\"a\":"
       "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"}},\"required\":[\"x\"],"
       "\"additionalProperties\":false}}}",
       "[]"},
      {GRAMMAR, all, all, "[]"},
  };
  EXPECT_ALL(cases);
}

static void references_stay_and_recursion_ends_where_it_is_refused(void) {
  static const char tree[] =
      "{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"required\":[\"k\"],"
      "\"additionalProperties\":false,\"properties\":{\"k\":{\"type\":\"array\",\"items\":{\"$"
      "ref\":"
      "\"#/$defs/n\"}}}}}}";
  static const lowered cases[] = {
      {OPENAI, tree,
       "{\"type\":\"object\",\"required\":[\"k\"],\"additionalProperties\":false,"
       "\"properties\":"
       "{\"k\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/"
       "n\"}}},\"$defs\":{\"n\":{\"type\":"
       "\"object\",\"required\":[\"k\"],\"additionalProperties\":false,\"properties\":{\"k\":"
       "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"}}}}}}",
       "[]"},
      {ANTHROPIC, tree,
       "{\"type\":\"object\",\"required\":[\"k\"],\"additionalProperties\":false,"
       "\"properties\":"
       "{\"k\":{\"type\":\"array\",\"items\":{\"description\":\"The same shape as #/$defs/n of "
       "the full schema\"}}}}",
       "[\"/properties/k/items/$ref: the provider takes no schema that contains itself\"]"},
      {OPENAI,
       "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":"
       "\"https://example.org/x\"}},\"additionalProperties\":false}",
       "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":[\"string\","
       "\"number\",\"boolean\",\"null\"]}},\"additionalProperties\":false}",
       "[\"/properties/a/$ref: the provider only follows references inside the schema\","
       "\"/properties/a/type: any value becomes string, number, boolean or null\"]"},
  };
  EXPECT_ALL(cases);
}

static void a_root_that_is_no_object_is_wrapped_for_openai(void) {
  static const char list[] = "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/x\"},\"$defs\":"
                             "{\"x\":{\"type\":\"string\"}}}";
  static const lowered cases[] = {
      {OPENAI, list,
       "{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"array\",\"items\":{\"$ref\":"
       "\"#/$defs/"
       "x\"}}},\"required\":[\"value\"],\"additionalProperties\":false,\"$defs\":{\"x\":"
       "{\"type\":\"string\"}}}",
       "[\"the root is no plain object: the answer stands in the member \\\"value\\\" of "
       "one\"]"},
      {OPENAI, "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}",
       "{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"array\",\"items\":{\"$ref\":"
       "\"#/properties/value\"}}},\"required\":[\"value\"],\"additionalProperties\":false}",
       "[\"the root is no plain object: the answer stands in the member \\\"value\\\" of "
       "one\"]"},
      {ANTHROPIC, list, list, "[]"},
  };
  EXPECT_ALL(cases);
}

static void open_objects_and_odd_enums_are_reported(void) {
  static const lowered cases[] = {
      {OPENAI, "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}}",
       "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false,\"description\":"
       "\"(additionalProperties: {\\\"type\\\":\\\"number\\\"})\"}",
       "[\"/additionalProperties: only said in the description\"]"},
      {ANTHROPIC, "{\"type\":\"object\",\"additionalProperties\":true}",
       "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}",
       "[\"/additionalProperties: the provider takes closed objects only\"]"},
      {ANTHROPIC, "{\"enum\":[[1],[2]]}",
       "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"number\",\"boolean\",\"null\"]},"
       "\"description\":\"(one of [[1],[2]])\"}",
       "[\"/enum: only said in the description\",\"/type: any value becomes string, number, "
       "boolean or null\"]"},
      {GEMINI, "{\"const\":\"x\"}", "{\"type\":\"string\",\"enum\":[\"x\"]}", "[]"},
      {GEMINI, "{\"const\":true}", "{\"type\":\"boolean\",\"description\":\"(exactly true)\"}",
       "[\"/const: only said in the description\"]"},
      {GRAMMAR, "{}", "{}", "[]"},
  };
  EXPECT_ALL(cases);
}

static void annotations_that_only_people_need_are_left_out(void) {
  static const lowered cases[] = {
      {OPENAI,
       "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":\"http://x/\","
       "\"$comment\":\"c\",\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\","
       "\"default\":\"d\",\"examples\":[1],\"x-own\":1}},\"required\":[\"a\"],"
       "\"additionalProperties\":false}",
       "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"],"
       "\"additionalProperties\":false}",
       "[]"},
  };
  EXPECT_ALL(cases);
}

static void lowering_survives_a_small_arena(void) {
  tm_arena docs;
  tm_arena_init(&docs, 0);
  const tm_json *schema = parse(
      &docs, "{\"allOf\":[{\"$ref\":\"#/$defs/a\"},{\"properties\":{\"y\":{\"oneOf\":[true]}},"
             "\"not\":{}}],\"$defs\":{\"a\":{\"type\":\"object\",\"properties\":{\"x\":"
             "{\"const\":1,\"minimum\":0}}}}}");
  for (int d = 0; d < 4; d++) {
    const tm_json *out = NULL;
    for (size_t limit = 64; !out; limit += 96) {
      tm_arena a;
      tm_json *lost;
      tm_arena_init(&a, limit);
      out = tm_schema_lower(&a, schema, (tm_dialect)d, &lost);
      tm_arena_free(&a);
      REQUIRE(limit < 1 << 20);
    }
  }
  tm_arena_free(&docs);
}

CHECK_SUITE(schema_lower) {
  CHECK_RUN(objects_are_closed_and_members_required_as_the_provider_wants);
  CHECK_RUN(constraints_that_are_refused_are_said_in_the_description);
  CHECK_RUN(one_of_becomes_any_of_and_all_of_is_merged);
  CHECK_RUN(references_stay_and_recursion_ends_where_it_is_refused);
  CHECK_RUN(a_root_that_is_no_object_is_wrapped_for_openai);
  CHECK_RUN(open_objects_and_odd_enums_are_reported);
  CHECK_RUN(annotations_that_only_people_need_are_left_out);
  CHECK_RUN(lowering_survives_a_small_arena);
}
