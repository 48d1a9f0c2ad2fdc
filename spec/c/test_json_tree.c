/* test_json_tree.c - the value tree: reading, comparing, building and growing it. */
#include "check.h"
#include "text/json.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static tm_json *parse(tm_arena *a, const char *text) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s\n    in %.200s", err.msg, text);
  return v;
}

/* -- reading --------------------------------------------------------------------------------
 */

static void readers_answer_for_any_value(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  const tm_json *v = parse(&a, "[true,7,2.5,\"a\\u0000b\",[1],{\"k\":\"v\"},null,3.0,1e300]");
  size_t len;
  CHECK(tm_json_bool(tm_json_at(v, 0), false));
  CHECK(tm_json_bool(NULL, true));
  CHECK_INT(tm_json_int(tm_json_at(v, 1), -1), 7);
  CHECK_INT(tm_json_int(tm_json_at(v, 2), -1), -1);
  CHECK_INT(tm_json_int(tm_json_at(v, 7), -1), 3);
  CHECK_INT(tm_json_int(tm_json_at(v, 8), -1), -1);
  CHECK(tm_json_number(tm_json_at(v, 2), 0) > 2.4 && tm_json_number(tm_json_at(v, 1), 0) > 6);
  CHECK_STR(tm_json_str(tm_json_at(v, 3), &len), "a");
  CHECK_INT(len, 3);
  CHECK(tm_json_str(tm_json_at(v, 1), &len) == NULL && len == 0);
  CHECK_INT(tm_json_len(tm_json_at(v, 4)), 1);
  CHECK_INT(tm_json_len(tm_json_at(v, 3)), 0);
  CHECK_STR(tm_json_get_str(tm_json_at(v, 5), "k"), "v");
  CHECK(tm_json_get(tm_json_at(v, 5), "K") == NULL);
  CHECK(tm_json_get(tm_json_at(v, 4), "k") == NULL);
  CHECK(tm_json_at(v, 9) == NULL && tm_json_at(NULL, 0) == NULL);
  CHECK(tm_json_member_at(tm_json_at(v, 5), 1) == NULL);
  static const char *const names[] = {"boolean", "integer", "number", "string", "array",
                                      "object",  "null",    "number", "number"};
  for (size_t i = 0; i < COUNT(names); i++)
    CHECK_STR(tm_json_type_name(tm_json_at(v, i)), names[i]);
  CHECK_STR(tm_json_type_name(NULL), "nothing");
  tm_arena_free(&a);
}

static void pointers_follow_rfc_6901(void) {
  static const char *const cases[][2] = {
      {"", NULL},         {"/foo/0", "\"bar\""}, {"/", "0"},
      {"/a~1b", "1"},     {"/c%d", "2"},         {"/k\"l", "6"},
      {"/ ", "7"},        {"/m~0n", "8"},        {"/foo/1", "\"baz\""},
      {"/o/~01/2", "[]"},
  };
  static const char *const none[] = {
      "foo",    "/foo/2", "/foo/-", "/foo/00", "/foo/+0",
      "/foo/ ", "/m~n",   "/m~2n",  "/foo/0/", "/foo/18446744073709551616",
      "/bar",   "/m~"};
  tm_arena a;
  tm_arena_init(&a, 0);
  const tm_json *v = parse(&a, "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,"
                               "\"k\\\"l\":6,\" \":7,\"m~n\":8,\"o\":{\"~1\":[0,0,[]]}}");
  CHECK(tm_json_pointer(v, "") == v);
  for (size_t i = 1; i < COUNT(cases); i++)
    CHECK_STR(tm_json_text(&a, tm_json_pointer(v, cases[i][0]), NULL), cases[i][1]);
  for (size_t i = 0; i < COUNT(none); i++)
    if (tm_json_pointer(v, none[i]))
      check_fail(__FILE__, __LINE__, "%s points at something", none[i]);
  CHECK(tm_json_pointer(NULL, "") == NULL);
  tm_arena_free(&a);
}

static void equality_is_json_schemas(void) {
  static const struct {
    const char *a, *b;
    bool equal;
  } cases[] = {
      {"1", "1.0", true},
      {"0", "-0.0", true},
      {"9007199254740993", "9007199254740992.0", false},
      {"9223372036854775807", "9223372036854775808", false},
      {"1", "true", false},
      {"null", "false", false},
      {"\"a\"", "\"a\\u0000\"", false},
      {"[1,2]", "[2,1]", false},
      {"[]", "{}", false},
      {"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1.0}", true},
      {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
      {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
  };
  tm_arena a;
  tm_arena_init(&a, 0);
  for (size_t i = 0; i < COUNT(cases); i++) {
    const tm_json *x = parse(&a, cases[i].a), *y = parse(&a, cases[i].b);
    if (tm_json_equal(x, y) != cases[i].equal || tm_json_equal(y, x) != cases[i].equal)
      check_fail(__FILE__, __LINE__, "%s and %s", cases[i].a, cases[i].b);
  }
  CHECK(!tm_json_equal(NULL, parse(&a, "null")) && tm_json_equal(NULL, NULL));
  tm_arena_free(&a);
}

/* -- building --------------------------------------------------------------------------------
 */

static void trees_are_built_and_changed(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *o = tm_json_new_object(&a);
  tm_json_set_str(&a, o, "name", "mill");
  tm_json_set_int(&a, o, "n", 1);
  tm_json_set_bool(&a, o, "on", true);
  tm_json_set_str(&a, o, "none", NULL);
  tm_json *list = tm_json_set(&a, o, "list", tm_json_new_array(&a));
  for (int i = 0; i < 10; i++)
    tm_json_push(&a, list, tm_json_new_int(&a, i));
  tm_json_set(&a, o, "n", tm_json_new_double(&a, 2));
  tm_json_setn(&a, o, "k\0k", 3, tm_json_new_strn(&a, "\0", 1));
  tm_json_remove(o, "on");
  tm_json_remove(o, "never there");
  CHECK_STR(tm_json_text(&a, o, NULL), "{\"name\":\"mill\",\"n\":2.0,\"none\":null,"
                                       "\"list\":[0,1,2,3,4,5,6,7,8,9],"
                                       "\"k\\u0000k\":\"\\u0000\"}");
  CHECK(tm_json_getn(o, "k\0k", 3) != NULL && tm_json_get(o, "k") == NULL);
  tm_arena_free(&a);
}

static void parsed_containers_can_grow(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *v = parse(&a, "{\"list\":[1],\"empty\":[],\"o\":{}}");
  for (int i = 2; i < 7; i++)
    tm_json_push(&a, (tm_json *)tm_json_get(v, "list"), tm_json_new_int(&a, i));
  tm_json_push(&a, (tm_json *)tm_json_get(v, "empty"), tm_json_null(&a));
  tm_json_set_int(&a, (tm_json *)tm_json_get(v, "o"), "x", 1);
  tm_json_set_int(&a, v, "more", 2);
  tm_json_addn(&a, v, "last", 4, tm_json_new_int(&a, 3));
  CHECK_STR(tm_json_text(&a, v, NULL), "{\"list\":[1,2,3,4,5,6],\"empty\":[null],"
                                       "\"o\":{\"x\":1},\"more\":2,\"last\":3}");
  tm_arena_free(&a);
}

/* Two that share their items by a shallow copy both grow: neither writes into the other. */
static void shallow_copies_do_not_share_their_room(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *list = tm_json_new_array(&a), *outer = tm_json_new_array(&a);
  tm_json_push(&a, list, tm_json_new_int(&a, 1));
  tm_json *copy = tm_json_push(&a, outer, list);
  tm_json_push(&a, list, tm_json_new_str(&a, "list"));
  tm_json_push(&a, copy, tm_json_new_str(&a, "copy"));
  tm_json_push(&a, list, list);
  CHECK_STR(tm_json_text(&a, list, NULL), "[1,\"list\",[1,\"list\"]]");
  CHECK_STR(tm_json_text(&a, outer, NULL), "[[1,\"copy\"]]");
  tm_arena_free(&a);
}

static void a_deep_copy_stands_alone(void) {
  tm_arena a, b;
  tm_arena_init(&a, 0);
  tm_arena_init(&b, 0);
  static const char text[] = "{\"a\":[1,2.5,\"x\\u0000y\",{\"b\":[]}],\"c\":{},\"d\":null}";
  tm_json *copy = tm_json_copy(&b, parse(&a, text));
  tm_arena_free(&a);
  CHECK_STR(tm_json_text(&b, copy, NULL), text);
  CHECK(tm_json_get(copy, "c") != NULL);
  CHECK(tm_json_copy(&b, NULL) == NULL);
  tm_arena_free(&b);
}

static void builders_pass_null_on(void) {
  tm_arena a;
  tm_arena_init(&a, 8); /* too small for anything */
  tm_json *o = tm_json_new_object(&a), *list = tm_json_new_array(&a);
  CHECK(o == NULL && list == NULL && a.failed);
  CHECK(tm_json_push(&a, list, tm_json_new_int(&a, 1)) == NULL);
  CHECK(tm_json_set(&a, o, "k", list) == NULL);
  tm_json_set_str(&a, o, "k", "v");
  tm_json_remove(o, "k");
  tm_arena_free(&a);
}

CHECK_SUITE(json_tree) {
  CHECK_RUN(readers_answer_for_any_value);
  CHECK_RUN(pointers_follow_rfc_6901);
  CHECK_RUN(equality_is_json_schemas);
  CHECK_RUN(trees_are_built_and_changed);
  CHECK_RUN(parsed_containers_can_grow);
  CHECK_RUN(shallow_copies_do_not_share_their_room);
  CHECK_RUN(a_deep_copy_stands_alone);
  CHECK_RUN(builders_pass_null_on);
}
