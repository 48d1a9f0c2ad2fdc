/* test_value.c - Lua values to JSON values and back, without loss and without surprise. */
#include "script/value.h"

#include "script.h"

/* tojson(v): what tm_value_read makes of v, or its error. fromjson(text): what tm_value_push
 * makes. */
static int l_tojson(lua_State *L) {
  tm_arena a;
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  tm_arena_init(&a, 0);
  int top = lua_gettop(L);
  if (tm_value_read(&v, L, 1, &a, &err) == 0)
    tm_json_print(&text, v);
  else
    tm_buf_printf(&text, "%s: %s", tm_err_word(err.code), err.msg);
  CHECK_INT(lua_gettop(L), top);
  lua_pushlstring(L, tm_buf_str(&text), text.len);
  tm_arena_free(&a);
  tm_buf_free(&text);
  return 1;
}

static int l_fromjson(lua_State *L) {
  size_t len;
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  const char *text = luaL_checklstring(L, 1, &len);
  tm_arena_init(&a, 0);
  CHECK_INT(tm_json_parse(&v, &a, text, len, NULL, &err), 0);
  tm_value_push(L, v);
  tm_arena_free(&a);
  return 1;
}

static int l_array(lua_State *L) {
  lua_settop(L, 1);
  tm_value_mark_array(L);
  return 1;
}

static int add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"tojson", l_tojson}, {"fromjson", l_fromjson}, {"array", l_array}, {NULL, NULL}};
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, NULL);
  lua_setglobal(L, "null");
  return 0;
}

/* What the expressions print. */
static void prints(const char *expressions, const char *want) {
  char source[1024];
  script s = {.nresults = 0};
  tm_vm_opts opts = {.owner = &s};
  snprintf(source, sizeof source, "print(%s)", expressions);
  script_job job = {.s = &s, .source = source, .len = strlen(source)};
  REQUIRE(tm_vm_open(&s.vm, &opts, &s.err) == 0);
  CHECK_INT(tm_vm_protect(s.vm, add_functions, NULL, &s.err), 0);
  CHECK_INT(tm_vm_protect(s.vm, script_load, &job, &s.err), 0);
  if (job.compiled)
    script_go(&s, 0);
  tm_buf_putc(&s.out, '\0');
  CHECK_STR(s.status == TM_VM_DONE ? strtok(s.out.data, "\n") : s.error, want);
  script_close(&s);
}

static void plain_values_go_both_ways(void) {
  static const char *const texts[] = {
      "null",      "true",   "false", "0",
      "-1",        "1.5",    "1.0",   "9007199254740993",
      "1e+300",    "\"\"",   "\"é\"", "9223372036854775807",
      "[]",        "{}",     "[[]]",  "-9223372036854775808",
      "[null,1]",  "[{}]",   "0.1",   "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
      "{\"\":[]}", "[1,[2]]"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char expression[128];
    snprintf(expression, sizeof expression, "tojson(fromjson '%s')", texts[i]);
    prints(expression, texts[i]);
  }
}

static void integers_and_doubles_keep_their_kind(void) {
  prints("math.type(fromjson '3'), math.type(fromjson '3.0'), tojson(3), tojson(3.0)",
         "integer float 3 3.0");
}

static void null_is_a_value_of_its_own(void) {
  prints(
      "(fromjson '[null,1]')[1] == null, #fromjson '[null,null]', tojson(nil), tojson { null }",
      "true 2 null [null]");
}

static void keys_come_back_sorted(void) {
  prints("tojson { b = 1, a = 2, B = 3, ['\\xC3\\xA9'] = 4, [''] = 5 }",
         "{\"\":5,\"B\":3,\"a\":2,\"b\":1,\"é\":4}");
}

static void lists_are_arrays_and_the_rest_objects(void) {
  prints("tojson { 1, 2, 3 }, tojson {}, tojson(array {}), tojson(array { 1 })",
         "[1,2,3] {} [] [1]");
  prints("tojson { [2] = 'b', [1] = 'a' }", "[\"a\",\"b\"]");
  prints("tojson { n = 1 }, tojson(setmetatable({ a = 1 }, { __index = { b = 2 } }))",
         "{\"n\":1} {\"a\":1}");
}

#define TEN "/0/0/0/0/0/0/0/0/0/0"

static void what_is_no_json_is_named_with_its_path(void) {
  static const struct {
    const char *expression, *error;
  } rows[] = {
      {"print",
       "usage: at the top: a function, which JSON cannot hold; use tables, strings, numbers, "
       "booleans and null"},
      {"{ items = { 1, 2, print } }",
       "usage: at /items/2: a function, which JSON cannot hold; use "
       "tables, strings, numbers, booleans and null"},
      {"{ a = coroutine.create(print) }",
       "usage: at /a: a thread, which JSON cannot hold; use tables, "
       "strings, numbers, booleans and null"},
      {"{ x = 0 / 0 }", "usage: at /x: not a number (NaN)"},
      {"{ x = { y = -1 / 0 } }", "usage: at /x/y: an infinite number"},
      {"{ s = '\\xFF' }",
       "usage: at /s: a string that is not UTF-8; encode binary data, as base64 or hex"},
      {"{ a = { ['\\xC3'] = 1 } }",
       "usage: at /a: a key that is not UTF-8; encode binary data"},
      {"{ 1, x = 2 }", "usage: at the top: a table with both names and numbers as keys; JSON "
                       "has lists and objects apart"},
      {"{ [2] = 1 }", "usage: at the top: a list with holes, or one that does not start at 1; "
                      "fill them with null"},
      {"{ a = { 1, nil, 3 } }",
       "usage: at /a: a list with holes, or one that does not start at 1; fill them with null"},
      {"{ [1.5] = 1 }",
       "usage: at the top: a table with a fraction as key; keys are strings, or 1 to n"},
      {"{ [true] = 1, [1.5] = 1 }",
       "usage: at the top: a table with a key that is no string and no "
       "number; keys are strings, or 1 to n"},
      {"{ a = string }",
       "usage: at /a/byte: a function, which JSON cannot hold; use tables, strings, "
       "numbers, booleans and null"},
      {"(function() local t = {} t.me = { t } return t end)()",
       "usage: at /me/0: a table that contains itself"},
      {"(function() local t = {} for _ = 1, 100 do t = { t } end return t end)()",
       "limit: at " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
       ": more than 100 tables inside each other"},
      {"(function() local t = {} for _ = 1, 60 do t = { t, t } end return t end)()",
       "limit: the value is too large to be kept: 32 MiB at most"},
      {"{ a = setmetatable({}, { __pairs = print }) }",
       "usage: at /a: a table with __pairs; copy what it holds into a plain one"},
      {"(function() local t = array { 1 } t.x = 1 return t end)()",
       "usage: at the top: a table with both names and numbers as keys; JSON has lists and "
       "objects apart"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char expression[512];
    snprintf(expression, sizeof expression, "tojson(%s)", rows[i].expression);
    prints(expression, rows[i].error);
  }
}

static void a_table_may_stand_in_two_places(void) {
  prints("(function() local t = { 1 } return tojson { t, t } end)()", "[[1],[1]]");
}

static void strings_may_hold_nul(void) {
  prints("#fromjson '\"a\\\\u0000b\"', tojson 'a\\0b'", "3 \"a\\u0000b\"");
}

static void the_metatable_of_arrays_is_out_of_reach(void) {
  prints("getmetatable(fromjson '[]'), tostring(fromjson '[1]'), pcall(setmetatable, fromjson "
         "'[]', {})",
         "false array false cannot change a protected metatable");
}

CHECK_SUITE(value) {
  CHECK_RUN(plain_values_go_both_ways);
  CHECK_RUN(integers_and_doubles_keep_their_kind);
  CHECK_RUN(null_is_a_value_of_its_own);
  CHECK_RUN(keys_come_back_sorted);
  CHECK_RUN(lists_are_arrays_and_the_rest_objects);
  CHECK_RUN(what_is_no_json_is_named_with_its_path);
  CHECK_RUN(a_table_may_stand_in_two_places);
  CHECK_RUN(strings_may_hold_nul);
  CHECK_RUN(the_metatable_of_arrays_is_out_of_reach);
}
