/* test_vm.c - one bounded state: what it costs, how it ends, and what it says then. */
#include "script.h"

#include "base/mem.h"

static const tm_vm_opts plain = {.seed = "spec"};

static void opening_one_takes_at_most_18_kb(void) {
  tm_vm *vm = NULL;
  tm_err err = TM_ERR_INIT;
  REQUIRE(tm_vm_open(&vm, &plain, &err) == 0);
  CHECK(tm_vm_memory(vm) <= 18 * 1024);
  tm_vm_close(&vm);
  CHECK(vm == NULL);
  tm_vm_close(&vm);
}

static void a_script_ends_with_its_values(void) {
  script s;
  CHECK(script_run(&s, plain, "return 1, 'two'"));
  CHECK_INT(s.status, TM_VM_DONE);
  CHECK_INT(s.nresults, 2);
  CHECK_STR(lua_tostring(s.co, -1), "two");
  script_close(&s);
}

static void a_primitive_waits_and_gets_its_answer(void) {
  script s;
  CHECK(script_run(&s, plain, "print(wait('for it'))"));
  CHECK_INT(s.status, TM_VM_YIELD);
  CHECK_INT(s.nresults, 1);
  lua_pop(s.co, s.nresults);
  lua_pushliteral(s.co, "answer");
  script_go(&s, 1);
  CHECK_INT(s.status, TM_VM_DONE);
  CHECK_STR(script_out(&s), "answer\n");
  script_close(&s);
}

/* Answers each wait with true until the script ends; how many there were. */
static int answer_all(script *s) {
  int waits = 0;
  for (; s->status == TM_VM_YIELD; waits++) {
    lua_pop(s->co, s->nresults);
    lua_pushboolean(s->co, true);
    script_go(s, 1);
  }
  return waits;
}

static void waiting_is_possible_nearly_everywhere(void) {
  static const char *const places[] = {
      "wait()",
      "pcall(wait)",
      "xpcall(wait, print)",
      "local t = setmetatable({}, { __index = wait }) local _ = t.x",
      "local t = setmetatable({}, { __newindex = wait }) t.x = 1",
      "local t = setmetatable({}, { __add = wait, __lt = wait }) local _ = t + 1",
      "local t = setmetatable({}, { __lt = wait }) local _ = t < t",
      "local t = setmetatable({}, { __concat = wait }) local _ = t .. 'x'",
      "for _ in function(_, done) if not done then return wait() end end do end",
      "pairs(setmetatable({}, { __pairs = function() wait() return next, {} end }))",
      "do local x <close> = setmetatable({}, { __close = wait }) end",
      "pcall(function() local x <close> = setmetatable({}, { __close = wait }) error('e') end)",
      "for k in pairs { a = 1 } do wait(k) end",
  };
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    script s;
    CHECK(script_run(&s, plain, places[i]));
    CHECK_INT(answer_all(&s), 1);
    if (s.status != TM_VM_DONE)
      check_fail(__FILE__, __LINE__, "%s: %s", places[i], script_out(&s));
    script_close(&s);
  }
}

static void an_error_is_told_with_its_place(void) {
  script s;
  CHECK(script_run(&s, plain, "\n\nerror('broken')"));
  CHECK_INT(s.status, TM_VM_ERROR);
  CHECK_STR(s.error, "x:3: broken");
  script_close(&s);
}

static void error_values_become_text_without_running_script_code(void) {
  static const struct {
    const char *source, *text;
  } rows[] = {
      {"error({ message = 'from a table' })", "from a table"},
      {"error({ code = 1 })", "(a table without a message was raised)"},
      {"error(setmetatable({}, { __index = { message = 'm' } }))",
       "(a table without a message was raised)"},
      {"error(7)", "7"},
      {"error(7.5)", "7.5"},
      {"error(true)", "(a boolean was raised)"},
      {"error(nil)", "(a nil was raised)"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    script s;
    CHECK(script_run(&s, plain, rows[i].source));
    CHECK_STR(s.error, rows[i].text);
    script_close(&s);
  }
}

static void a_syntax_error_names_file_and_line(void) {
  script s;
  CHECK(!script_run(&s, plain, "x = 1\nx = = 2"));
  CHECK_STR(s.error, "x:2: unexpected symbol near '='");
  script_close(&s);
}

static void a_byte_order_mark_and_a_first_line_with_a_hash_are_passed_over(void) {
  script s;
  CHECK(script_run(&s, plain, "\xEF\xBB\xBF#!/usr/bin/env tidemill\nerror('here')"));
  CHECK_STR(s.error, "x:2: here");
  script_close(&s);
}

static void a_stop_for_steps_says_where_and_which_limit(void) {
  script s;
  tm_vm_opts opts = {.steps = 10000};
  CHECK(script_run(&s, opts, "local n = 0\nwhile true do\n  n = n + 1\nend"));
  CHECK_INT(s.status, TM_VM_STOPPED);
  CHECK_INT(s.err.code, TM_LIMIT);
  CHECK(strstr(s.err.msg, "more than 10000 instructions") != NULL);
  CHECK(strstr(s.err.msg, "at x:2") || strstr(s.err.msg, "at x:3"));
  CHECK(strstr(s.err.msg, "`steps`") != NULL);
  script_close(&s);
}

static void the_budget_counts_one_resume_and_not_the_run(void) {
  script s;
  tm_vm_opts opts = {.steps = 50000};
  CHECK(script_run(&s, opts, "for i = 1, 10 do for j = 1, 30000 do end wait() end"));
  for (int i = 0; i < 10; i++) {
    CHECK_INT(s.status, TM_VM_YIELD);
    script_go(&s, 0);
  }
  CHECK_INT(s.status, TM_VM_DONE);
  script_close(&s);
}

static void a_stop_for_memory_says_where_and_which_limit(void) {
  script s;
  tm_vm_opts opts = {.memory = (size_t)1 << 20};
  CHECK(script_run(&s, opts, "local t = {}\nfor i = 1, 1e7 do\n  t[i] = { i }\nend"));
  CHECK_INT(s.status, TM_VM_STOPPED);
  CHECK_STR(s.err.msg,
            "the script used more than 1 MiB of memory, at x:3: keep less at once, or "
            "raise the limit `memory`");
  script_close(&s);
}

static void garbage_does_not_count_as_memory(void) {
  script s;
  tm_vm_opts opts = {.memory = (size_t)1 << 20};
  CHECK(script_run(&s, opts,
                   "for i = 1, 2000 do local t = ('x'):rep(100000) .. i end print('done')"));
  CHECK_STR(script_out(&s), "done\n");
  script_close(&s);
}

static void memory_in_use_stays_below_the_cap(void) {
  script s;
  tm_vm_opts opts = {.memory = (size_t)1 << 20};
  CHECK(script_run(&s, opts, "t = {} for i = 1, 1e7 do t[i] = i .. '' end"));
  CHECK(tm_vm_memory(s.vm) <= (size_t)1 << 20);
  script_close(&s);
}

static int stop_here(lua_State *L) {
  tm_vm_stop(tm_vm_of(L), TM_CANCELLED, "the lease was lost");
  return 0;
}

static int add_stop(lua_State *L) {
  lua_pushcfunction(L, stop_here);
  lua_setglobal(L, "stop");
  return 0;
}

/* Run `source` with a primitive `stop`; the host's word is final wherever it is spoken. */
static void stops_for_good(const char *source) {
  script s = {.nresults = 0};
  tm_vm *vm = NULL;
  tm_err err = TM_ERR_INIT;
  tm_vm_opts opts = {.owner = &s};
  script_job job = {.s = &s, .source = source, .len = strlen(source)};
  REQUIRE(tm_vm_open(&vm, &opts, &err) == 0);
  s.vm = vm;
  REQUIRE(tm_vm_protect(vm, add_stop, NULL, &err) == 0);
  REQUIRE(tm_vm_protect(vm, script_load, &job, &err) == 0);
  script_go(&s, 0);
  CHECK_INT(s.status, TM_VM_STOPPED);
  CHECK_INT(s.err.code, TM_CANCELLED);
  CHECK_STR(s.err.msg, "the lease was lost");
  CHECK_STR(tm_buf_str(&s.out), "before\n");
  script_close(&s);
}

static void no_pcall_swallows_a_stop_by_the_host(void) {
  stops_for_good("print('before') stop() print('after')");
  stops_for_good("print('before') pcall(stop) print('after')");
  stops_for_good("print('before') xpcall(stop, print) print('after')");
  stops_for_good("print('before') coroutine.wrap(stop)() print('after')");
  stops_for_good(
      "print('before') coroutine.wrap(function() stop() print('in') end)() print('after')");
  stops_for_good("print('before') table.sort({ 1, 2 }, stop) print('after')");
  stops_for_good("print('before') pcall(string.gsub, 'x', 'x', stop) print('after')");
  stops_for_good(
      "local x <close> = setmetatable({}, { __close = function() print('closed') end }) "
      "print('before') pcall(stop) print('after')");
}

static void a_stopped_vm_is_not_resumed(void) {
  script s;
  CHECK(script_run(&s, plain, "wait() print('ran')"));
  tm_vm_stop(s.vm, TM_CANCELLED, "cancelled");
  tm_vm_stop(s.vm, TM_FAILED, "the first word counts");
  CHECK(tm_vm_stopped(s.vm));
  script_go(&s, 0);
  CHECK_INT(s.status, TM_VM_STOPPED);
  CHECK_STR(s.err.msg, "cancelled");
  CHECK_STR(tm_buf_str(&s.out), "");
  script_close(&s);
}

static int eat_memory(lua_State *L) {
  for (int i = 0; i < 1000; i++) {
    lua_newuserdatauv(L, 1 << 16, 0);
    luaL_ref(L, LUA_REGISTRYINDEX);
  }
  return 0;
}

static void out_of_memory_under_protection_is_an_error(void) {
  tm_vm *vm = NULL;
  tm_err err = TM_ERR_INIT;
  tm_vm_opts opts = {.memory = (size_t)1 << 20};
  REQUIRE(tm_vm_open(&vm, &opts, &err) == 0);
  CHECK_INT(tm_vm_protect(vm, eat_memory, NULL, &err), -1);
  CHECK_INT(err.code, TM_LIMIT);
  CHECK(tm_vm_stopped(vm));
  tm_vm_close(&vm);
}

static int raise_in_c(lua_State *L) {
  return luaL_error(L, "no %s", (const char *)lua_touserdata(L, 1));
}

static void an_error_under_protection_is_handed_back(void) {
  tm_vm *vm = NULL;
  tm_err err = TM_ERR_INIT;
  char what[] = "luck";
  REQUIRE(tm_vm_open(&vm, &plain, &err) == 0);
  CHECK_INT(tm_vm_protect(vm, raise_in_c, what, &err), -1);
  CHECK_STR(err.msg, "no luck");
  CHECK_INT(lua_gettop(tm_vm_state(vm)), 0);
  tm_vm_close(&vm);
}

static const char varied[] =
    "local t = {} for i = 1, 20 do t['k' .. i] = { i } end "
    "for k, v in pairs(t) do t[k] = (k:gsub('k', '%0' .. tostring(v))) end "
    "table.sort({ 3, 1, 2 }, function(a, b) return a < b end) "
    "print(coroutine.wrap(function() coroutine.yield(cjson.encode(t)) end)())";

static bool ends_well_or_clearly(script *s) {
  bool done = s->status == TM_VM_DONE;
  CHECK(done || s->err.code == TM_LIMIT || strstr(s->error, "memory") ||
        strstr(s->error, "too large"));
  return done;
}

/* Fail the n-th allocation, until there is no n-th. Lua collects and asks again, so most go
 * well. */
static void every_allocation_may_fail_once(void) {
  size_t asked, n = 0;
  do {
    script s;
    tm_mem_fail_at(++n);
    script_run(&s, plain, varied);
    asked = tm_mem_fail_at(0);
    ends_well_or_clearly(&s);
    script_close(&s);
  } while (asked >= n);
  CHECK(n > 300);
}

/* From hardly enough for Lua itself upwards: wherever memory ends, it ends clearly. */
static void memory_may_end_anywhere(void) {
  size_t memory = 2048;
  for (bool done = false; !done && memory < (size_t)1 << 20; memory += 101) {
    script s;
    script_run(&s, (tm_vm_opts){.memory = memory}, varied);
    done = ends_well_or_clearly(&s);
    script_close(&s);
  }
  CHECK(memory < (size_t)1 << 18);
}

static void coroutines_know_their_vm_and_owner(void) {
  script s;
  CHECK(script_run(&s, plain, "coroutine.wrap(function() print('inside') end)()"));
  CHECK_STR(script_out(&s), "inside\n");
  CHECK(tm_vm_of(s.co) == s.vm);
  CHECK(tm_vm_owner(s.co) == &s);
  script_close(&s);
}

static void a_trusted_vm_has_everything_and_no_limits(void) {
  script s;
  tm_vm_opts opts = {.trusted = true, .steps = 10};
  CHECK(script_run(&s, opts,
                   "for i = 1, 100000 do end print(type(io), type(debug), type(load))"));
  CHECK_STR(script_out(&s), "table table function\n");
  script_close(&s);
}

static void what_blocks_a_wait_has_a_name(void) {
  static const struct {
    const char *source, *by;
  } rows[] = {
      {"print(blocked())", "nothing\n"},
      {"print(select(2, pcall(blocked)))", "nothing\n"},
      {"print(setmetatable({}, { __index = blocked }).x)", "nothing\n"},
      {"table.sort({ 1, 2 }, function() print(blocked()) end)",
       "the order function of table.sort\n"},
      {"table.sort({ 1, 2 }, function() pcall(function() print(blocked()) end) end)",
       "the order function of table.sort\n"},
      {"('x'):gsub('x', function() print(blocked()) end)",
       "the replacement function of string.gsub\n"},
      {"tostring(setmetatable({}, { __tostring = function() print(blocked()) return '' end }))",
       "a __tostring metamethod\n"},
      {"('%s'):format(setmetatable({}, { __tostring = function() print(blocked()) return '' "
       "end }))",
       "a __tostring metamethod\n"},
      {"xpcall(error, function() print(blocked()) end)", "the message handler of xpcall\n"},
      {"table.concat(setmetatable({}, { __len = function() print(blocked()) return 0 end }))",
       "a metamethod that a function of the table library calls\n"},
      {"coroutine.wrap(function() print(blocked()) end)()", "your own coroutine\n"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    script s;
    CHECK(script_run(&s, plain, rows[i].source));
    CHECK_STR(script_out(&s), rows[i].by);
    script_close(&s);
  }
}

static void a_resting_collector_wakes_when_there_is_garbage(void) {
  script s;
  script_run(&s, plain, "wait() local t for i = 1, 300000 do t = { i } end wait() print(t[1])");
  tm_vm_rest_collector(s.vm);
  script_go(&s, 0);
  CHECK_INT(s.status, TM_VM_YIELD);
  CHECK(tm_vm_memory(s.vm) < (size_t)1 << 20); /* of 17 MiB that were made */
  script_go(&s, 0);
  CHECK_STR(script_out(&s), "300000\n");
  script_close(&s);
}

/* What lies in a vm's own chunks, and what is too large for them. */
static void a_vm_of_any_size_is_closed(void) {
  static const char *const sources[] = {
      "wait()",
      "local t = {} for i = 1, 2000 do t[i] = { i } end wait(t)",
      "local s = ('x'):rep(1 << 20) wait(s)",
      ("local t = {} for i = 1, 500 do t[i] = ('y'):rep(i) end t = nil local u = {} "
       "for i = 1, 500 do u[i] = ('z'):rep(500 - i) end print(#u[1] + #u[500]) wait(u)"),
  };
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    script s;
    script_run(&s, plain, sources[i]);
    CHECK_INT(s.status, TM_VM_YIELD);
    script_close(&s);
  }
}

static bool pooled(void) { /* not below the address sanitizer: there, no vm can be kept */
  script s;
  script_run_bare(&s, plain, "wait()");
  bool kept = tm_vm_keep(s.vm);
  script_close(&s);
  if (!kept)
    check_skip("no vm can be kept in this build");
  return kept;
}

static void a_vm_that_was_kept_comes_back_as_it_was(void) {
  script s;
  if (!pooled())
    return;
  script_run_bare(&s, plain,
                  "x = 1 wait() x = x + 1 y = {} for i = 1, 9000 do y[i] = { i } end z = "
                  "('z'):rep(1 << 20) "
                  "print(x, math.random(1 << 30))");
  REQUIRE(tm_vm_keep(s.vm));
  size_t before = tm_vm_memory(s.vm);
  tm_vm_hand_over(s.vm, &s, "one");
  script_go(&s, 0);
  char *first = tm_strdup(script_out(&s));
  CHECK(strncmp(first, "2 ", 2) == 0);
  for (int i = 0; i < 3; i++) {
    tm_buf_reset(&s.out);
    REQUIRE(tm_vm_rewind(s.vm));
    CHECK_INT(tm_vm_memory(s.vm), before);
    tm_vm_hand_over(s.vm, &s, i == 2 ? "two" : "one");
    script_go(&s, 0);
    CHECK_INT(s.status, TM_VM_DONE);
    CHECK(strcmp(script_out(&s), first) == 0 || i == 2);
  }
  CHECK(strcmp(script_out(&s), first) != 0);
  tm_free(first);
  script_close(&s);
}

static void what_cannot_come_back_is_not_kept(void) {
  static const char *const never[] = {
      "math.random() wait()",                                      /* has seen its own dice */
      "local t = {} for i = 1, 40000 do t[i] = { i } end wait(t)", /* larger than a pool */
      "while true do end",                                         /* was stopped */
  };
  static const char *const once[] = {
      "wait() while true do end",
      "wait() local t = {} for i = 1, 1 << 30 do t[i] = i end",
  };
  tm_vm_opts opts = {.steps = 1000000};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
    script s;
    script_run_bare(&s, opts, never[i]);
    CHECK(!tm_vm_keep(s.vm));
    CHECK(!tm_vm_rewind(s.vm));
    script_close(&s);
  }
  for (size_t i = 0; i < sizeof once / sizeof *once && pooled(); i++) {
    script s;
    script_run_bare(&s, opts, once[i]);
    CHECK(tm_vm_keep(s.vm));
    script_go(&s, 0);
    CHECK(!tm_vm_rewind(s.vm));
    script_close(&s);
  }
}

CHECK_SUITE(vm) {
  CHECK_RUN(a_vm_that_was_kept_comes_back_as_it_was);
  CHECK_RUN(what_cannot_come_back_is_not_kept);
  CHECK_RUN(a_resting_collector_wakes_when_there_is_garbage);
  CHECK_RUN(a_vm_of_any_size_is_closed);
  CHECK_RUN(opening_one_takes_at_most_18_kb);
  CHECK_RUN(a_script_ends_with_its_values);
  CHECK_RUN(a_primitive_waits_and_gets_its_answer);
  CHECK_RUN(waiting_is_possible_nearly_everywhere);
  CHECK_RUN(an_error_is_told_with_its_place);
  CHECK_RUN(error_values_become_text_without_running_script_code);
  CHECK_RUN(a_syntax_error_names_file_and_line);
  CHECK_RUN(a_byte_order_mark_and_a_first_line_with_a_hash_are_passed_over);
  CHECK_RUN(a_stop_for_steps_says_where_and_which_limit);
  CHECK_RUN(the_budget_counts_one_resume_and_not_the_run);
  CHECK_RUN(a_stop_for_memory_says_where_and_which_limit);
  CHECK_RUN(garbage_does_not_count_as_memory);
  CHECK_RUN(memory_in_use_stays_below_the_cap);
  CHECK_RUN(no_pcall_swallows_a_stop_by_the_host);
  CHECK_RUN(a_stopped_vm_is_not_resumed);
  CHECK_RUN(out_of_memory_under_protection_is_an_error);
  CHECK_RUN(an_error_under_protection_is_handed_back);
  CHECK_RUN(every_allocation_may_fail_once);
  CHECK_RUN(memory_may_end_anywhere);
  CHECK_RUN(coroutines_know_their_vm_and_owner);
  CHECK_RUN(a_trusted_vm_has_everything_and_no_limits);
  CHECK_RUN(what_blocks_a_wait_has_a_name);
}
