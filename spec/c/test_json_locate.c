/* test_json_locate.c - the line of a value that a pointer names. */
#include "check.h"
#include "text/json_locate.h"

static int line_of(const char *text, const char *pointer) {
  return tm_json_locate(text, strlen(text), pointer);
}

static const char schema[] = "\n{\n"
                             "  \"type\": \"object\",\n"
                             "  \"properties\": {\n"
                             "    \"a\": {\"x\": [{}, [[1], \"]}\\\"\"]]},\n"
                             "    \"list\": [\n"
                             "      1,\n"
                             "      {\"deep\":\n"
                             "         null},\n"
                             "      3]\n"
                             "  },\n"
                             "  \"\": 1,\n"
                             "  \"last\": true\n"
                             "}\n";

static void the_empty_pointer_names_the_whole(void) {
  CHECK_INT(line_of(schema, ""), 2);
  CHECK_INT(line_of("7", ""), 1);
  CHECK_INT(line_of(" \r\n\t\"x\"", ""), 2);
}

static void members_and_elements_have_their_lines(void) {
  CHECK_INT(line_of(schema, "/type"), 3);
  CHECK_INT(line_of(schema, "/properties"), 4);
  CHECK_INT(line_of(schema, "/properties/a/x/1/0/0"), 5);
  CHECK_INT(line_of(schema, "/properties/list"), 6);
  CHECK_INT(line_of(schema, "/properties/list/0"), 7);
  CHECK_INT(line_of(schema, "/properties/list/1"), 8);
  CHECK_INT(line_of(schema, "/properties/list/1/deep"), 9);
  CHECK_INT(line_of(schema, "/properties/list/2"), 10);
  CHECK_INT(line_of(schema, "/"), 12);
  CHECK_INT(line_of(schema, "/last"), 13);
}

static void what_is_not_there_has_no_line(void) {
  static const char *const none[] = {"/typ",
                                     "/types",
                                     "/type/0",
                                     "/properties/list/3",
                                     "/properties/list/01",
                                     "/properties/list/-",
                                     "/properties/list/",
                                     "/last/x",
                                     "type",
                                     "/properties/list/9999999999"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    CHECK_INT(line_of(schema, none[i]), 0);
  CHECK_INT(line_of("[]", "/0"), 0);
  CHECK_INT(line_of("{}", "/"), 0);
}

static void keys_are_compared_as_they_are_meant(void) {
  CHECK_INT(line_of("{\"a/b\":1,\n\"c~d\":2,\n\"~1\":3}", "/a~1b"), 1);
  CHECK_INT(line_of("{\"a/b\":1,\n\"c~d\":2,\n\"~1\":3}", "/c~0d"), 2);
  CHECK_INT(line_of("{\"a/b\":1,\n\"c~d\":2,\n\"~1\":3}", "/~01"), 3);
  CHECK_INT(line_of("{\"a\\\"b\":1,\n\"\\u0041\\n\":2}", "/a\"b"), 1);
  CHECK_INT(line_of("{\"a\\\"b\":1,\n\"\\u0041\\n\":2}", "/A\n"), 2);
  CHECK_INT(line_of("{\"x\":1,\n\"\\u00e9\":2}", "/\xC3\xA9"), 2);
  CHECK_INT(line_of("{\"x\":1,\n\"\\u20AC\":2}", "/\xE2\x82\xAC"), 2);
  CHECK_INT(line_of("{\"x\":1,\n\"\\ud83d\\ude00\":2}", "/\xF0\x9F\x98\x80"), 2);
}

/* Every prefix of a text: no read beyond its end, and no answer from there. */
static void a_text_that_is_cut_is_survived(void) {
  char copy[sizeof schema];
  for (size_t n = 0; n < sizeof schema; n++) {
    memset(copy, '1', sizeof copy);
    memcpy(copy, schema, n);
    int line = tm_json_locate(copy, n, "/properties/list/1/deep");
    CHECK(line == 0 || line == 9);
    CHECK(line == 0 || n > strlen("\n{\n"));
  }
  CHECK_INT(line_of("", ""), 0);
  CHECK_INT(line_of("{\"a\\", "/a"), 0);
  CHECK_INT(line_of("{\"\\ud83d", "/a"), 0);
}

CHECK_SUITE(json_locate) {
  CHECK_RUN(the_empty_pointer_names_the_whole);
  CHECK_RUN(members_and_elements_have_their_lines);
  CHECK_RUN(what_is_not_there_has_no_line);
  CHECK_RUN(keys_are_compared_as_they_are_meant);
  CHECK_RUN(a_text_that_is_cut_is_survived);
}
