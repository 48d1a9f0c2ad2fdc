/* test_yaml.c - the strict YAML subset: values, refusals with their place, limits, memory. */
#include <stdlib.h>

#include "check.h"
#include "text/yaml.h"

/* Parse; the tree as compact JSON, or the message. The answer lives until the next call. */
static const char *read_at(const char *text, size_t len, int first_line) {
  static char answer[4096];
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  int rc = tm_yaml_parse(&v, &a, text, len, first_line, &err);
  snprintf(answer, sizeof answer, "%s", rc == 0 ? tm_json_text(&a, v, NULL) : err.msg);
  tm_arena_free(&a);
  return answer;
}

static const char *read(const char *text) {
  return read_at(text, strlen(text), 1);
}

typedef struct pair {
  const char *text, *want;
} pair;

static void check_all(const pair *cases, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const char *got = read(cases[i].text);
    if (strcmp(got, cases[i].want) != 0)
      check_fail(__FILE__, __LINE__, "%s\n      got  %s\n      want %s", cases[i].text, got,
                 cases[i].want);
  }
}

#define CHECK_ALL(cases) check_all((cases), sizeof(cases) / sizeof(cases)[0])

static void scalars_follow_the_core_schema(void) {
  static const pair cases[] = {
      {"a: null", "{\"a\":null}"},
      {"a: ~", "{\"a\":null}"},
      {"a:", "{\"a\":null}"},
      {"a: NULL", "{\"a\":null}"},
      {"a: nUll", "{\"a\":\"nUll\"}"},
      {"a: true", "{\"a\":true}"},
      {"a: False", "{\"a\":false}"},
      {"a: yes", "{\"a\":\"yes\"}"},
      {"a: no", "{\"a\":\"no\"}"},
      {"a: on", "{\"a\":\"on\"}"},
      {"a: off", "{\"a\":\"off\"}"},
      {"a: y", "{\"a\":\"y\"}"},
      {"a: 12", "{\"a\":12}"},
      {"a: -12", "{\"a\":-12}"},
      {"a: +12", "{\"a\":12}"},
      {"a: 007", "{\"a\":7}"},
      {"a: 0", "{\"a\":0}"},
      {"a: -0", "{\"a\":-0.0}"},
      {"a: 9223372036854775807", "{\"a\":9223372036854775807}"},
      {"a: 1.5", "{\"a\":1.5}"},
      {"a: 1.", "{\"a\":1.0}"},
      {"a: .5", "{\"a\":0.5}"},
      {"a: -.5", "{\"a\":-0.5}"},
      {"a: 1.0", "{\"a\":1.0}"},
      {"a: 2.5e-3", "{\"a\":0.0025}"},
      {"a: 1.e2", "{\"a\":100.0}"},
      {"a: 1:30", "{\"a\":\"1:30\"}"},
      {"a: 0o17", "{\"a\":\"0o17\"}"},
      {"a: 0x1f", "{\"a\":\"0x1f\"}"},
      {"a: 1_000", "{\"a\":\"1_000\"}"},
      {"a: .inf", "{\"a\":\".inf\"}"},
      {"a: .nan", "{\"a\":\".nan\"}"},
      {"a: 1.2.3", "{\"a\":\"1.2.3\"}"},
      {"a: 2026-11-20", "{\"a\":\"2026-11-20\"}"},
      {"a: .", "{\"a\":\".\"}"},
      {"a: x-", "{\"a\":\"x-\"}"},
      {"a: e5", "{\"a\":\"e5\"}"},
      {"a: 1e", "{\"a\":\"1e\"}"},
      {"a: \"12\"", "{\"a\":\"12\"}"},
      {"a: 'true'", "{\"a\":\"true\"}"},
      {"a: \"null\"", "{\"a\":\"null\"}"},
      {"a: ''", "{\"a\":\"\"}"},
  };
  CHECK_ALL(cases);
}

static void keys_are_always_text(void) {
  static const pair cases[] = {
      {"1: a\ntrue: b\nnull: c", "{\"1\":\"a\",\"true\":\"b\",\"null\":\"c\"}"},
      {"no: a", "{\"no\":\"a\"}"},
      {"\"a b\": 1", "{\"a b\":1}"},
      {"(*): any, whatever", "{\"(*)\":\"any, whatever\"}"},
      {"tags(array, of tags): string", "{\"tags(array, of tags)\":\"string\"}"},
      {"field?: string", "{\"field?\":\"string\"}"},
      {"tidemill.mode: direct", "{\"tidemill.mode\":\"direct\"}"},
      {"<<: x", "{\"<<\":\"x\"}"},
  };
  CHECK_ALL(cases);
}

static void structure_is_kept_in_order(void) {
  static const pair cases[] = {
      {"", "{}"},
      {"# only a comment\n", "{}"},
      {"b: 1\na: 2", "{\"b\":1,\"a\":2}"},
      {"a: {b: [1, two, {c: 3}]}", "{\"a\":{\"b\":[1,\"two\",{\"c\":3}]}}"},
      {"a:\n  - 1\n  - b: 2\n    c: 3\n  -\n    - x", "{\"a\":[1,{\"b\":2,\"c\":3},[\"x\"]]}"},
      {"a: []\nb: {}", "{\"a\":[],\"b\":{}}"},
      {"- 1\n- 2", "[1,2]"},
      {"just text", "\"just text\""},
      {"a: |\n  one\n  two\nb: >\n  three\n  four\n",
       "{\"a\":\"one\\ntwo\\n\",\"b\":\"three four\\n\"}"},
      {"a: \"x\\ty\\u00e9\"", "{\"a\":\"x\\tyé\"}"},
      {"a: b # comment", "{\"a\":\"b\"}"},
      {"a: 1\r\nb: 2\r\n", "{\"a\":1,\"b\":2}"},
      {"\xEF\xBB\xBF"
       "a: 1",
       "{\"a\":1}"},
      {"%YAML 1.2\n---\na: 1\n...\n", "{\"a\":1}"},
  };
  CHECK_ALL(cases);
}

static void what_json_cannot_say_is_refused(void) {
  static const pair cases[] = {
      {"a: &x 1", "line 1, column 4: anchors (&x) are not allowed; write the value out"},
      {"a: &x [1]", "line 1, column 4: anchors (&x) are not allowed; write the value out"},
      {"b: 1\na: *x",
       "line 2, column 4: aliases (*x) are not allowed; write the value out, or put "
       "text that begins with * in quotes"},
      {"a: !!str 1",
       "line 1, column 4: tags (tag:yaml.org,2002:str) are not allowed; remove it"},
      {"a: ! x", "line 1, column 4: tags (!) are not allowed; remove it"},
      {"a: !mine {b: 1}", "line 1, column 4: tags (!mine) are not allowed; remove it"},
      {"a: 1\n---\nb: 2",
       "line 2, column 1: a second document starts here; only one is allowed"},
      {"a: 1\nb: 2\na: 3",
       "line 3, column 1: the key \"a\" stands here twice; keep one of them"},
      {"a: {b: 1, \"b\": 2}",
       "line 1, column 11: the key \"b\" stands here twice; keep one of them"},
      {"? [1, 2]\n: x", "line 1, column 3: a key must be text, not a list or an object"},
      {"? {a: 1}\n: x", "line 1, column 3: a key must be text, not a list or an object"},
      {"\"\": 1", "line 1, column 1: this key is empty; give it a name"},
      {"a: 1e999",
       "line 1, column 4: the number 1e999 is out of range; put it in quotes to keep "
       "it as text"},
  };
  CHECK_ALL(cases);
}

static void bad_syntax_names_its_place_and_a_way_out(void) {
  static const pair cases[] = {
      {"a: b: c",
       "line 1, column 5: mapping values are not allowed in this context; put text that "
       "contains \": \" in quotes, and check the indentation"},
      {"a: 1\n\tb: 2",
       "line 2, column 1: found a tab character that violates indentation while "
       "scanning a plain scalar that starts on line 1; indent with spaces"},
      {"a: @x",
       "line 1, column 4: found character that cannot start any token; indent with spaces, "
       "not tabs, and put text that begins with one of @ ` % in quotes"},
      {"a: [1,\nb: 2",
       "line 3, column 1: did not find expected ',' or ']' while parsing a flow "
       "sequence that starts on line 1; a list in brackets is not closed"},
      {"a: 1\n  b: 2",
       "line 2, column 4: mapping values are not allowed in this context; put text "
       "that contains \": \" in quotes, and check the indentation"},
      {"a:\n    b: 1\n  c: 2", "line 3, column 3: did not find expected key while parsing a "
                               "block mapping that starts on "
                               "line 1; the indentation of this line fits none above it"},
      {"x: 1\na: \"open\nb: 2\n",
       "line 4, column 1: found unexpected end of stream while scanning a "
       "quoted scalar that starts on line 2; a quote is not closed"},
      {"a: b\x01", "line 1, column 5: control characters are not allowed; remove it"},
      {"a: ok\nb: \xff", "line 2, column 4: these bytes are not UTF-8; save the file as UTF-8"},
      {"a: \"\\ud800\"", "line 1, column 7: found invalid Unicode character escape code"},
  };
  CHECK_ALL(cases);
}

static void errors_count_lines_from_where_the_text_begins(void) {
  const char *text = "a: 1\na: 2";
  CHECK_STR(read_at(text, strlen(text), 12),
            "line 13, column 1: the key \"a\" stands here twice; keep one of them");
  CHECK_STR(read_at("a: \xff", 4, 7),
            "line 7, column 4: these bytes are not UTF-8; save the file as UTF-8");
}

static void columns_count_characters(void) {
  CHECK_STR(read("{äöü: 1, äöü: 2}"),
            "line 1, column 10: the key \"äöü\" stands here twice; keep one of them");
}

/* -- limits ---------------------------------------------------------------------------- */

static void depth_64_is_read_and_65_is_not(void) {
  char text[256];
  memset(text, '[', 64);
  memset(text + 64, ']', 64);
  text[128] = '\0';
  CHECK(strncmp(read(text), "[[[[", 4) == 0);
  memset(text, '[', 65);
  memset(text + 65, ']', 65);
  text[130] = '\0';
  CHECK_STR(read(text), "line 1, column 65: nested deeper than 64 levels");
}

static void bombs_are_refused_at_once(void) {
  static const char *const units[] = {
      "[", "{", "- ", "[\n", "{a: ", "? ", "[{", "{\"a\":[", "[a,"};
  char *text = malloc(64 << 10);
  for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
    size_t n = strlen(units[u]), len = 0;
    while (len + n <= 64 << 10)
      memcpy(text + len, units[u], n), len += n;
    int64_t start = check_cpu_ns();
    CHECK(strncmp(read_at(text, len, 1), "line ", 5) == 0);
    int64_t ms = (check_cpu_ns() - start) / 1000000;
    if (ms > 500) /* 50 without sanitizers; see bench */
      check_fail(__FILE__, __LINE__, "64 KiB of %s took %lld ms", units[u], (long long)ms);
  }
  free(text);
}

static void more_than_64_kib_is_refused_before_it_is_parsed(void) {
  size_t len = (64 << 10) + 1;
  char *text = malloc(len);
  memset(text, 'a', len);
  CHECK(strncmp(read_at(text, len - 1, 1), "\"aaa", 4) == 0);
  CHECK_STR(read_at(text, len, 1),
            "line 1, column 1: 65537 bytes of YAML are more than the 65536 allowed");
  free(text);
}

static void running_out_of_memory_is_an_error_and_leaks_nothing(void) {
  const char *text = "a: 1\nb: [x, 2.5, {c: true, d: ~}]\ne:\n  - |\n    text\nf: 'g'\n";
  size_t fail = 1;
  for (;; fail++) {
    tm_arena a;
    tm_arena_init(&a, 1 << 20);
    tm_json *v = NULL;
    tm_err err = TM_ERR_INIT;
    tm_mem_fail_at(fail);
    int rc = tm_yaml_parse(&v, &a, text, strlen(text), 1, &err);
    tm_mem_fail_at(0);
    if (rc < 0) {
      CHECK_INT(err.code, TM_LIMIT);
      CHECK(strstr(err.msg, "memory") != NULL);
    }
    tm_arena_free(&a);
    if (rc == 0)
      break;
  }
  CHECK(fail > 1);
}

CHECK_SUITE(yaml) {
  CHECK_RUN(scalars_follow_the_core_schema);
  CHECK_RUN(keys_are_always_text);
  CHECK_RUN(structure_is_kept_in_order);
  CHECK_RUN(what_json_cannot_say_is_refused);
  CHECK_RUN(bad_syntax_names_its_place_and_a_way_out);
  CHECK_RUN(errors_count_lines_from_where_the_text_begins);
  CHECK_RUN(columns_count_characters);
  CHECK_RUN(depth_64_is_read_and_65_is_not);
  CHECK_RUN(bombs_are_refused_at_once);
  CHECK_RUN(more_than_64_kib_is_refused_before_it_is_parsed);
  CHECK_RUN(running_out_of_memory_is_an_error_and_leaks_nothing);
}
