/* test_rules.c - the scripted model: rules in, answers out. */
#include "script/rules.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"

static const char rules[] =
    "local cjson = require 'cjson'\n"
    "local calls = 0\n"
    "return {\n"
    "  about = 'Rules for the spec.',\n"
    "  units = {\n"
    "    classify = function(vars) return { category = vars.text:find 'refund' and 'billing' "
    "or 'other' } "
    "end,\n"
    "    greet = 'Hello!',\n"
    "    count = function() calls = calls + 1 return calls end,\n"
    "    echo = function(vars, request) return request.phase .. ' ' .. "
    "request.messages[1].content end,\n"
    "    raw = function() return 'no { json', 'raw' end,\n"
    "    json = function(vars) return cjson.encode(vars) end,\n"
    "    nothing = function() end,\n"
    "    breaks = function() error('broken rule') end,\n"
    "    down = function() error { message = 'overloaded', retryable = true } end,\n"
    "    refuses = function() error { message = 'no' } end,\n"
    "    loops = function() while true do end end,\n"
    "    list = function() local mill = require 'tidemill' return { a = mill.array {}, b = "
    "mill.null } end,\n"
    "    odd = function() return print or tostring end,\n"
    "    waits = function() coroutine.yield() end,\n"
    "  },\n"
    "}\n";

/* A rules file for the time of one case. */
typedef struct fixture {
  char path[64];
  tm_rules *rules;
  tm_arena arena;
  tm_buf answer;
  tm_err err;
} fixture;

static int open_text(fixture *f, const char *text) {
  memset(f, 0, sizeof *f);
  snprintf(f->path, sizeof f->path, "/tmp/tidemill-rules-XXXXXX");
  int fd = mkstemp(f->path);
  if (fd < 0 || write(fd, text, strlen(text)) < 0)
    abort();
  close(fd);
  return tm_rules_open(&f->rules, f->path, &f->err);
}

static void close_all(fixture *f) {
  tm_rules_close(&f->rules);
  tm_arena_free(&f->arena);
  tm_buf_free(&f->answer);
  unlink(f->path);
}

static int ask(fixture *f, const char *request) {
  tm_json *v = NULL;
  tm_buf_reset(&f->answer);
  tm_err_clear(&f->err);
  CHECK_INT(tm_json_parse(&v, &f->arena, request, strlen(request), NULL, &f->err), 0);
  return tm_rules_answer(f->rules, v, &f->answer, &f->err);
}

static void answers(fixture *f, const char *request, const char *text) {
  CHECK_INT(ask(f, request), 0);
  CHECK_STR(tm_buf_str(&f->answer), text);
}

static void fails(fixture *f, const char *request, tm_code code, const char *part) {
  CHECK_INT(ask(f, request), -1);
  CHECK_INT(f->err.code, code);
  if (!strstr(f->err.msg, part))
    check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", f->err.msg, part);
}

static void a_table_becomes_json(void) {
  fixture f;
  REQUIRE(open_text(&f, rules) == 0);
  answers(&f, "{\"unit\":\"classify\",\"vars\":{\"text\":\"refund!\"},\"schema\":{}}",
          "{\"category\":\"billing\"}");
  answers(&f, "{\"unit\":\"count\"}", "1");
  answers(&f, "{\"unit\":\"list\"}", "{\"a\":[],\"b\":null}");
  CHECK_STR(tm_rules_about(f.rules), "Rules for the spec.");
  close_all(&f);
}

static void a_string_is_text_unless_a_schema_asks_for_a_value(void) {
  fixture f;
  REQUIRE(open_text(&f, rules) == 0);
  answers(&f, "{\"unit\":\"greet\"}", "Hello!");
  answers(&f, "{\"unit\":\"greet\",\"schema\":{},\"phase\":\"reason\"}", "Hello!");
  answers(&f, "{\"unit\":\"greet\",\"schema\":{},\"phase\":\"extract\"}", "\"Hello!\"");
  answers(&f, "{\"unit\":\"raw\",\"schema\":{},\"phase\":\"answer\"}", "no { json");
  close_all(&f);
}

static void a_rule_sees_the_whole_request(void) {
  fixture f;
  REQUIRE(open_text(&f, rules) == 0);
  answers(&f, "{\"unit\":\"echo\",\"phase\":\"answer\",\"messages\":[{\"content\":\"hi\"}]}",
          "answer hi");
  answers(&f, "{\"unit\":\"json\",\"vars\":{\"b\":[],\"a\":1}}", "{\"a\":1,\"b\":[]}");
  close_all(&f);
}

static void rules_may_count_their_calls(void) {
  fixture f;
  REQUIRE(open_text(&f, rules) == 0);
  answers(&f, "{\"unit\":\"count\"}", "1");
  answers(&f, "{\"unit\":\"count\"}", "2");
  close_all(&f);
}

static void a_unit_without_a_rule_says_what_to_add(void) {
  fixture f;
  char want[256];
  REQUIRE(open_text(&f, rules) == 0);
  CHECK_INT(ask(&f, "{\"unit\":\"draft\"}"), -1);
  snprintf(want, sizeof want,
           "the scripted model %s has no rule for unit draft; add units.draft", f.path);
  CHECK_STR(f.err.msg, want);
  CHECK_INT(f.err.code, TM_CONFIG);
  close_all(&f);
}

static void a_rule_that_raises_is_a_model_that_fails(void) {
  fixture f;
  REQUIRE(open_text(&f, rules) == 0);
  fails(&f, "{\"unit\":\"breaks\"}", TM_FAILED, "broken rule");
  fails(&f, "{\"unit\":\"breaks\"}", TM_FAILED, "the rule for unit breaks in /tmp/");
  fails(&f, "{\"unit\":\"down\"}", TM_TEMP, "overloaded");
  fails(&f, "{\"unit\":\"refuses\"}", TM_FAILED, "no");
  fails(&f, "{\"unit\":\"nothing\"}", TM_FAILED, "returned nothing");
  fails(&f, "{\"unit\":\"odd\"}", TM_FAILED, "a function, which JSON cannot hold");
  fails(&f, "{\"unit\":\"waits\"}", TM_FAILED, "not inside a coroutine of your own");
  answers(&f, "{\"unit\":\"greet\"}", "Hello!");
  close_all(&f);
}

static void a_rule_that_never_ends_is_stopped_and_the_rest_goes_on(void) {
  fixture f;
  REQUIRE(open_text(&f, rules) == 0);
  answers(&f, "{\"unit\":\"count\"}", "1");
  fails(&f, "{\"unit\":\"loops\"}", TM_LIMIT, "instructions without waiting");
  answers(&f, "{\"unit\":\"count\"}", "1");
  close_all(&f);
}

static void a_file_that_is_no_rules_file_is_refused(void) {
  static const struct {
    const char *text, *part;
  } rows[] = {
      {"return {", "expected"},
      {"error('at load')", "at load"},
      {"return 1", "returns a table"},
      {"", "returns a table"},
      {"return {}", "no table `units`"},
      {"return require 'socket'", "not \"socket\""},
      {"return { units = {} }, io.read()", "io"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fixture f;
    CHECK_INT(open_text(&f, rows[i].text), -1);
    CHECK_INT(f.err.code, TM_CONFIG);
    if (!strstr(f.err.msg, rows[i].part))
      check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", f.err.msg, rows[i].part);
    CHECK(strstr(f.err.msg, f.path) != NULL);
    close_all(&f);
  }
}

static void a_missing_file_is_not_found(void) {
  tm_rules *r = NULL;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_rules_open(&r, "/nonexistent/rules.lua", &err), -1);
  CHECK_INT(err.code, TM_NOTFOUND);
  CHECK(r == NULL);
  tm_rules_close(&r);
}

CHECK_SUITE(rules) {
  CHECK_RUN(a_table_becomes_json);
  CHECK_RUN(a_string_is_text_unless_a_schema_asks_for_a_value);
  CHECK_RUN(a_rule_sees_the_whole_request);
  CHECK_RUN(rules_may_count_their_calls);
  CHECK_RUN(a_unit_without_a_rule_says_what_to_add);
  CHECK_RUN(a_rule_that_raises_is_a_model_that_fails);
  CHECK_RUN(a_rule_that_never_ends_is_stopped_and_the_rest_goes_on);
  CHECK_RUN(a_file_that_is_no_rules_file_is_refused);
  CHECK_RUN(a_missing_file_is_not_found);
}
