/* test_json.c - JSON text to value and back, and every way to fail. */
#include <math.h>
#include <stdlib.h>

#include "base/id.h"
#include "check.h"
#include "text/json.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* -- helpers --------------------------------------------------------------------------- */

static tm_json *parse(tm_arena *a, const char *text) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s\n    in %.200s", err.msg, text);
  return v;
}

typedef void (*printer)(tm_buf *, const tm_json *);

static void check_print(const char *text, printer print, const char *want) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_buf b = TM_BUF_INIT;
  print(&b, parse(&a, text));
  CHECK_STR(tm_buf_str(&b), want);
  tm_buf_free(&b);
  tm_arena_free(&a);
}

static void check_error(const char *text, size_t len, const tm_json_opts *opts, tm_code code,
                        const char *want) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_err err = TM_ERR_INIT;
  tm_json *v = (tm_json *)&a;
  CHECK_INT(tm_json_parse(&v, &a, text, len, opts, &err), -1);
  CHECK(v == NULL);
  CHECK_INT(err.code, code);
  CHECK_STR(err.msg, want);
  tm_arena_free(&a);
}

/* -- text to value to text ------------------------------------------------------------- */

static void values_survive_a_round_trip(void) {
  static const char *const same[] = {
      "null",
      "true",
      "false",
      "0",
      "-1",
      "9223372036854775807",
      "-9223372036854775808",
      "9007199254740993",
      "1.0",
      "-0.0",
      "0.1",
      "1e+21",
      "5e-324",
      "\"\"",
      "[]",
      "{}",
      "[[],{},[[]],{\"\":{}}]",
      "{\"b\":1,\"a\":2,\"c\":[1,1.0,\"1\",null]}",
      "\"\\u0000a\\u0000\"",
      "\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7F\"",
      "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x8C\x8A\"",
      "{\"a\\u0000b\":1,\"a\":2,\"a\\u0000\":3}",
  };
  for (size_t i = 0; i < COUNT(same); i++)
    check_print(same[i], tm_json_print, same[i]);
}

static void other_spellings_print_as_one(void) {
  static const char *const pairs[][2] = {
      {" [ 1 ,\t2\r\n,3 ] ", "[1,2,3]"},
      {"-0", "-0.0"},
      {"1E2", "100.0"},
      {"1e-2", "0.01"},
      {"1.50", "1.5"},
      {"9223372036854775808", "9223372036854776000.0"},
      {"-9223372036854775809", "-9223372036854776000.0"},
      {"123456789012345678901234567890", "1.2345678901234568e+29"},
      {"0.1000000000000000055511151231257827021181583404541015625", "0.1"},
      {"1e-400", "0.0"},
      {"0e999999999999", "0.0"},
      {"\"\\/\\u0041\\u00e9\\u20AC\\ud83c\\udf0a\"",
       "\"/A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8A\""},
      {"\"12345678\\n12345678\\t1234567\xC3\xA9\\u00e9x\"",
       "\"12345678\\n12345678\\t1234567\xC3\xA9\xC3\xA9x\""},
  };
  for (size_t i = 0; i < COUNT(pairs); i++)
    check_print(pairs[i][0], tm_json_print, pairs[i][1]);
}

/* Strings of each length, with something special at each place: the scan goes by eights. */
static void strings_of_each_length_survive(void) {
  static const char *const specials[] = {"\\n", "\\\"", "\\u0000", "\xC3\xA9",
                                         "\xF0\x9F\x8C\x8A"};
  char text[160];
  for (size_t len = 0; len < 40; len++)
    for (size_t at = 0; at <= len; at++)
      for (size_t k = 0; k < COUNT(specials); k++) {
        snprintf(text, sizeof text, "[\"%.*s%s%.*s\",%zu]", (int)at,
                 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", specials[k],
                 (int)(len - at), "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ", len);
        check_print(text, tm_json_print, text);
      }
}

static void pretty_print_is_indented_by_two(void) {
  check_print("{\"a\":[1,{\"b\":null}],\"c\":[],\"d\":{}}", tm_json_print_pretty,
              "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n"
              "  \"c\": [],\n  \"d\": {}\n}");
}

/* The examples of RFC 8785 (3.2.2 and 3.2.3), and the one departure from it. */
static void canonical_print_follows_rfc_8785(void) {
  check_print("{\"numbers\":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"
              "\"string\":\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\","
              "\"literals\":[null,true,false]}",
              tm_json_print_canonical,
              "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,"
              "1e-27],\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  check_print("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew\","
              "\"1\":\"One\",\"\\ud83d\\ude00\":\"Smiley\",\"\\u0080\":\"Control\","
              "\"\\u00f6\":\"o\"}",
              tm_json_print_canonical,
              "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\","
              "\"\xC3\xB6\":\"o\",\"\xE2\x82\xAC\":\"Euro Sign\","
              "\"\xF0\x9F\x98\x80\":\"Smiley\",\"\xEF\xAC\xB3\":\"Hebrew\"}");
  check_print("[1.0,-0.0,-0,1e2,9007199254740993,{\"b\":1,\"a\":{},\"\":[]}]",
              tm_json_print_canonical,
              "[1,0,0,100,9007199254740993,{\"\":[],\"a\":{},\"b\":1}]");
}

static void members_sort_with_many_keys(void) {
  tm_buf text = TM_BUF_INIT, want = TM_BUF_INIT;
  for (int i = 0; i < 1000; i++)
    tm_buf_printf(&text, "%c\"%03d\":%d", i ? ',' : '{', i * 7 % 1000, i * 7 % 1000);
  for (int i = 0; i < 1000; i++)
    tm_buf_printf(&want, "%c\"%03d\":%d", i ? ',' : '{', i, i);
  tm_buf_putc(&text, '}');
  tm_buf_putc(&want, '}');
  check_print(text.data, tm_json_print_canonical, want.data);
  tm_buf_free(&text);
  tm_buf_free(&want);
}

static void equal_values_hash_alike(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_hash one = tm_json_hash(parse(&a, "{\"a\":1,\"b\":[1.5,\"x\"]}"));
  tm_hash two = tm_json_hash(parse(&a, "{ \"b\": [15e-1,\"\\u0078\"], \"a\": 1.0 }"));
  tm_hash other = tm_json_hash(parse(&a, "{\"a\":1,\"b\":[\"x\",1.5]}"));
  CHECK_STR(one.hex, two.hex);
  CHECK(strcmp(one.hex, other.hex) != 0);
  CHECK_STR(tm_json_hash(NULL).hex, tm_hash_bytes("null", 4).hex);
  tm_arena_free(&a);
}

/* -- errors ---------------------------------------------------------------------------- */

static void errors_say_what_and_where(void) {
  static const char *const cases[][2] = {
      {"", "line 1, column 1 (byte 0): the text ends where a value was expected"},
      {"[1,\n 2,\n]", "line 3, column 1 (byte 8): ']' where a value was expected; is there a "
                      "comma too many?"},
      {"{\"a\":1,}",
       "line 1, column 8 (byte 7): '}' where a key was expected; is there a comma "
       "too many?"},
      {"{\"a\" 1}", "line 1, column 6 (byte 5): '1' where a colon was expected, behind the key "
                    "\"a\""},
      {"{a:1}", "line 1, column 2 (byte 1): 'a' where a key in double quotes was expected"},
      {"[1 2]", "line 1, column 4 (byte 3): '2' where ',' or ']' was expected"},
      {"{\"a\":1", "line 1, column 7 (byte 6): the text ends inside an object"},
      {"[", "line 1, column 2 (byte 1): the text ends where a value was expected"},
      {"[\"ab", "line 1, column 5 (byte 4): the text ends inside a string"},
      {"\"\xC3\xA9\\x\"", "line 1, column 3 (byte 3): a backslash before 'x'; JSON knows \\\" "
                          "\\\\ \\/ \\b \\f \\n \\r \\t and \\u"},
      {"\"a\nb\"", "line 1, column 3 (byte 2): a line break inside a string; write it as \\n"},
      {"\"\\ud800\"",
       "line 1, column 2 (byte 1): \\ud800 is half a character, the other half is "
       "missing"},
      {"\"\\udc00\"", "line 1, column 2 (byte 1): \\udc00 is the second half of a character "
                      "without the first"},
      {"\"\\u12g4\"", "line 1, column 2 (byte 1): \\u needs four hex digits behind it"},
      {"\"\xC0\x80\"", "line 1, column 2 (byte 1): the byte 0xC0 is not valid UTF-8 here"},
      {"\"\xED\xA0\x80\"", "line 1, column 2 (byte 1): the byte 0xED is not valid UTF-8 here"},
      {"\"\xF4\x90\x80\x80\"",
       "line 1, column 2 (byte 1): the byte 0xF4 is not valid UTF-8 here"},
      {"\"\\n\xE2\x82\"", "line 1, column 4 (byte 3): the byte 0xE2 is not valid UTF-8 here"},
      {"\xEF\xBB\xBF{}", "line 1, column 1 (byte 0): a byte order mark; save the text as UTF-8 "
                         "without one"},
      {"'a'", "line 1, column 1 (byte 0): strings are written in double quotes"},
      {"[1] // one", "line 1, column 5 (byte 4): '/' behind the end of the value"},
      {"// one", "line 1, column 1 (byte 0): JSON has no comments"},
      {"[NaN]",
       "line 1, column 2 (byte 1): NaN and Infinity are no JSON numbers; use null or a "
       "string"},
      {"None", "line 1, column 1 (byte 0): JSON writes null, true and false in small letters"},
      {"nul", "line 1, column 1 (byte 0): 'n' where a value was expected"},
      {"+1",
       "line 1, column 1 (byte 0): a number begins with a digit or with '-', not with '+'"},
      {"[01]", "line 1, column 2 (byte 1): a number with a zero in front; leave the zero out"},
      {"[1.]",
       "line 1, column 4 (byte 3): ']' where a digit was expected, behind the point of a "
       "number"},
      {"1e", "line 1, column 3 (byte 2): the end of the text where the digits of an exponent "
             "were expected"},
      {"[-]", "line 1, column 3 (byte 2): ']' where the digits of a number were expected"},
      {"[1e400]", "line 1, column 2 (byte 1): the number is too large; the largest is about "
                  "1.8e308"},
      {"\xE2\x81\xA0[]", "line 1, column 1 (byte 0): '\xE2\x81\xA0' (U+2060) where a value was "
                         "expected"},
      {"{\"k\":1,\n\"k\":2}", "line 2, column 1 (byte 8): the key \"k\" stands twice in one "
                              "object"},
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    check_error(cases[i][0], strlen(cases[i][0]), NULL, TM_USAGE, cases[i][1]);
  check_error("[1\0]", 4, NULL, TM_USAGE,
              "line 1, column 3 (byte 2): the byte 0x00 where ',' or ']' was expected");
}

static void each_cut_of_a_text_is_an_error(void) {
  static const char text[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\ud83c\\udf0a\xC3\xA9\",true,null],"
                             "\"b\":{}}";
  tm_arena a;
  for (size_t len = 0; len < sizeof text - 1; len++) {
    char *cut = malloc(len + 1); /* its own block, so that a read behind it is seen */
    memcpy(cut, text, len);
    cut = realloc(cut, len ? len : 1);
    tm_arena_init(&a, 0);
    tm_err err = TM_ERR_INIT;
    tm_json *v;
    CHECK_INT(tm_json_parse(&v, &a, cut, len, NULL, &err), -1);
    tm_arena_free(&a);
    free(cut);
  }
}

/* -- limits ---------------------------------------------------------------------------------
 */

static void depth_is_limited_without_recursion(void) {
  tm_buf b = TM_BUF_INIT;
  while (b.len < (size_t)1 << 20)
    tm_buf_puts(&b, "{\"a\":");
  check_error(b.data, b.len, NULL, TM_LIMIT,
              "line 1, column 641 (byte 640): arrays and objects stand more than 128 deep in "
              "each other, which is the limit");
  tm_buf_reset(&b);
  for (int i = 0; i < 3; i++)
    tm_buf_putc(&b, '[');
  tm_buf_puts(&b, "]]]");
  check_print(b.data, tm_json_print, b.data);
  check_error(b.data, b.len, &(tm_json_opts){.max_depth = 2}, TM_LIMIT,
              "line 1, column 3 (byte 2): arrays and objects stand more than 2 deep in each "
              "other, which is the limit");
  tm_buf_free(&b);
}

static void size_is_limited(void) {
  check_error("[1,2]", 5, &(tm_json_opts){.max_bytes = 4}, TM_LIMIT,
              "the JSON text has 5 bytes, at most 4 are read");
}

static void a_bomb_stops_at_the_arenas_limit(void) {
  tm_buf b = TM_BUF_INIT;
  tm_buf_putc(&b, '[');
  while (b.len < (size_t)1 << 20)
    tm_buf_puts(&b, "[],");
  tm_buf_puts(&b, "[]]");
  tm_arena a;
  tm_arena_init(&a, (size_t)4 << 20);
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  CHECK_INT(tm_json_parse(&v, &a, b.data, b.len, NULL, &err), -1);
  CHECK_INT(err.code, TM_LIMIT);
  CHECK(strstr(err.msg, "needs more memory than the 4194304 bytes") != NULL);
  CHECK(a.failed && a.used <= (size_t)4 << 20);
  tm_arena_free(&a);
  tm_buf_free(&b);
}

/* Milliseconds would be minutes if keys were compared pair by pair. */
static void many_keys_are_not_quadratic(void) {
  tm_buf b = TM_BUF_INIT;
  for (int i = 0; i < 100000; i++) /* the first and last eight bytes are all the same */
    tm_buf_printf(&b, "%c\"same key%06dthe same\":0", i ? ',' : '{', i);
  tm_buf_puts(&b, "}");
  tm_arena a;
  tm_arena_init(&a, 0);
  int64_t start = check_cpu_ns();
  tm_json *v = parse(&a, b.data);
  CHECK_INT(tm_json_len(v), 100000);
  CHECK(check_cpu_ns() - start < INT64_C(3000000000));
  b.len--;
  tm_buf_puts(&b, ",\"same key054321the same\":1}");
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_json_parse(&v, &a, b.data, b.len, NULL, &err), -1);
  CHECK(strstr(err.msg, "\"same key054321the same\" stands twice") != NULL);
  tm_arena_free(&a);
  tm_buf_free(&b);
}

static void the_last_of_equal_keys_wins_when_asked(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  static const char text[] = "{\"a\":1,\"b\":2,\"a\":{\"c\":3,\"c\":4},\"b\":5,\"d\":6}";
  bool had = false;
  tm_json_opts opts = {.last_wins = true, .had_duplicates = &had};
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  REQUIRE(tm_json_parse(&v, &a, text, sizeof text - 1, &opts, &err) == 0);
  CHECK(had);
  CHECK_STR(tm_json_text(&a, v, NULL), "{\"a\":{\"c\":4},\"b\":5,\"d\":6}");
  had = false;
  REQUIRE(tm_json_parse(&v, &a, "{\"a\":1}", 7, &opts, &err) == 0);
  CHECK(!had);
  tm_arena_free(&a);
}

/* -- UTF-8 ----------------------------------------------------------------------------- */

static void utf8_is_checked_strictly(void) {
  static const struct {
    const char *text;
    size_t len, valid;
  } cases[] = {
      {"", 0, 0},
      {"plain ASCII, more than eight", 28, 28},
      {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8A\0x", 11, 11},
      {"12345678\xFF", 9, 8},
      {"\xC3", 1, 0},
      {"a\xE2\x82", 3, 1},
      {"\xF0\x9F\x8C", 3, 0},
      {"\xC1\xBF", 2, 0},
      {"\xE0\x9F\xBF", 3, 0},
      {"\xED\x9F\xBF", 3, 3},
      {"\xED\xA0\x80", 3, 0},
      {"\xF0\x8F\xBF\xBF", 4, 0},
      {"\xF4\x8F\xBF\xBF", 4, 4},
      {"\xF5\x80\x80\x80", 4, 0},
      {"\x80", 1, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    CHECK_INT(tm_json_utf8_valid(cases[i].text, cases[i].len), cases[i].valid);
}

/* -- memory -----------------------------------------------------------------------------------
 */

#define RICH                                                                                \
  "{\"a\":[1,2.5,\"x\\n\",{\"b\":[]}],\"c\":{},\"d\":null,\"1\":1,\"2\":1,\"3\":1,\"4\":1," \
  "\"5\":1,\"6\":1,\"7\":1,\"8\":1,\"9\":1,\"10\":1,\"11\":1,\"12\":1,\"13\":1,\"14\":1,"   \
  "\"15\":1}"

/* Parse, copy, change, print in each form. False when memory ran out, and then cleanly. */
static bool work(tm_arena *a, tm_buf *b, const char *text) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0) {
    CHECK_INT(err.code, TM_LIMIT);
    CHECK(v == NULL && a->failed);
    return false;
  }
  tm_json *copy = tm_json_copy(a, v);
  tm_json *list = copy ? tm_json_set(a, copy, "list", tm_json_new_array(a)) : NULL;
  for (int i = 0; i < 9; i++)
    tm_json_push(a, list, tm_json_new_str(a, "item"));
  char *printed = tm_json_text(a, copy, NULL);
  tm_json_print_canonical(b, copy);
  tm_json_print_pretty(b, copy);
  if (a->failed || b->failed)
    return false;
  CHECK(copy && list && printed);
  CHECK_INT(tm_json_len(list), 9);
  return true;
}

static void every_failing_allocation_is_survived(void) {
  tm_buf many = TM_BUF_INIT;
  for (int i = 0; i < 300; i++)
    tm_buf_printf(&many, "%c\"key %d\":[%d,\"%d\"]", i ? ',' : '{', i, i, i);
  tm_buf_putc(&many, '}');
  const char *const texts[] = {RICH, many.data};
  for (size_t k = 0; k < COUNT(texts); k++) {
    bool done = false;
    for (size_t n = 1; !done && n < 1000; n++) {
      tm_arena a;
      tm_buf b;
      tm_arena_init(&a, 1 << 20);
      tm_buf_init(&b, 1 << 20);
      tm_mem_fail_at(n);
      done = work(&a, &b, texts[k]);
      size_t asked = tm_mem_fail_at(0);
      CHECK_INT(done, asked < n);
      tm_buf_free(&b);
      tm_arena_free(&a);
    }
    CHECK(done);
  }
  tm_buf_free(&many);
}

static void a_soft_buffer_fails_and_does_not_overrun(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  const tm_json *v = parse(&a, RICH);
  size_t full;
  tm_json_text(&a, v, &full);
  for (size_t limit = 1; limit <= full; limit++) {
    tm_buf b;
    tm_buf_init(&b, limit);
    tm_json_print(&b, v);
    CHECK_INT(b.failed, limit < full);
    CHECK(b.len <= limit && strlen(tm_buf_str(&b)) == b.len);
    tm_buf_free(&b);
  }
  tm_arena_free(&a);
}

/* -- noise
 * ------------------------------------------------------------------------------------- */

/* Texts with a few bytes changed: whatever parses prints as something that parses to the same.
 */
static void damaged_texts_do_no_harm(void) {
  static const char bytes[] = "\"\\{}[]:,0129.eE+-truefalsn \n\t\x80\xC3\xED\xF0\xFF";
  tm_dice dice;
  tm_dice_seed(&dice, "noise", 5);
  char text[] = RICH "[1e5,-0.5,\"\\u00e9\\ud83c\\udf0a\"]";
  size_t len = sizeof text - 1;
  tm_arena a;
  tm_arena_init(&a, 1 << 16);
  int parsed = 0;
  for (int i = 0; i < 20000; i++) {
    char *damaged = malloc(len);
    size_t start = tm_dice_next(&dice) % len, n = tm_dice_next(&dice) % (len - start) + 1;
    memcpy(damaged, text + start, n);
    for (uint64_t k = tm_dice_next(&dice) % 3; k > 0; k--)
      damaged[tm_dice_next(&dice) % n] = bytes[tm_dice_next(&dice) % (sizeof bytes - 1)];
    damaged = realloc(damaged, n);
    tm_arena_reset(&a);
    tm_err err = TM_ERR_INIT;
    tm_json *v, *again;
    if (tm_json_parse(&v, &a, damaged, n, NULL, &err) == 0) {
      size_t size;
      char *printed = tm_json_text(&a, v, &size);
      CHECK(printed && tm_json_parse(&again, &a, printed, size, NULL, &err) == 0);
      CHECK(tm_json_equal(v, again));
      parsed++;
    } else {
      CHECK(err.code != TM_OK && err.msg[0]);
    }
    free(damaged);
  }
  CHECK(parsed > 20);
  tm_arena_free(&a);
}

CHECK_SUITE(json) {
  CHECK_RUN(values_survive_a_round_trip);
  CHECK_RUN(other_spellings_print_as_one);
  CHECK_RUN(strings_of_each_length_survive);
  CHECK_RUN(pretty_print_is_indented_by_two);
  CHECK_RUN(canonical_print_follows_rfc_8785);
  CHECK_RUN(members_sort_with_many_keys);
  CHECK_RUN(equal_values_hash_alike);
  CHECK_RUN(errors_say_what_and_where);
  CHECK_RUN(each_cut_of_a_text_is_an_error);
  CHECK_RUN(depth_is_limited_without_recursion);
  CHECK_RUN(size_is_limited);
  CHECK_RUN(a_bomb_stops_at_the_arenas_limit);
  CHECK_RUN(many_keys_are_not_quadratic);
  CHECK_RUN(the_last_of_equal_keys_wins_when_asked);
  CHECK_RUN(utf8_is_checked_strictly);
  CHECK_RUN(every_failing_allocation_is_survived);
  CHECK_RUN(a_soft_buffer_fails_and_does_not_overrun);
  CHECK_RUN(damaged_texts_do_no_harm);
}
