/* test_sandbox.c - what a script sees: each entry of docs/sandbox.md, in one row or more. */
#include "script.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct row {
  const char *name;
  const char *source;
  const char *out; /* what it prints, or raises */
} row;

static const row globals[] = {
    {"the allow-list of globals",
     "print = print local names = {} for k in pairs(_G) do names[#names + 1] = k end "
     "print(table.concat(names, ' '))",
     "_G _VERSION assert blocked cjson coroutine error getmetatable ipairs math next pairs "
     "pcall print "
     "rawequal rawget rawlen rawset select setmetatable string table tonumber tostring type "
     "utf8 wait "
     "xpcall\n"},
    {"the functions of each library",
     "for _, lib in ipairs { 'coroutine', 'math', 'string', 'table', 'utf8' } do local names = "
     "{} "
     "for k in pairs(_G[lib]) do names[#names + 1] = k end print(lib, table.concat(names, ' "
     "')) end",
     "coroutine close create isyieldable resume running status wrap yield\n"
     "math abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min "
     "mininteger modf "
     "pi rad random randomseed sin sqrt tan tointeger type ult\n"
     "string byte char find format gmatch gsub len lower match pack packsize rep reverse sub "
     "unpack "
     "upper\n"
     "table concat insert move pack remove sort unpack\n"
     "utf8 char charpattern codepoint codes len offset\n"},
    {"nothing that loads code, and nothing that reaches outside",
     "print(load, loadstring, dofile, loadfile, require, io, os, debug, package, "
     "collectgarbage, warn, "
     "string.dump)",
     "nil nil nil nil nil nil nil nil nil nil nil nil\n"},
};

static const row frozen[] = {
    {"a library cannot be written", "string.trim = 1",
     "x:1: cannot set 'trim' in the library string: it is read-only; use a local"},
    {"nor overwritten", "math.random = 1",
     "x:1: cannot set 'random' in the library math: it is read-only; use a local"},
    {"nor by rawset", "rawset(table, 'sort', 1)",
     "x:1: rawset: the libraries are read-only; use a local"},
    {"nor by table.insert", "table.insert(table, 1)",
     "cannot set '?' in the library table: it is read-only; use a local"},
    {"its metatable is out of reach",
     "print(getmetatable(string), pcall(setmetatable, string, {}))",
     "false false cannot change a protected metatable\n"},
    {"and so is that of strings", "print(getmetatable(''))", "false\n"},
    {"pairs and next see through, and hand out the view only",
     "local _, view = pairs(utf8) print(view == utf8, next(utf8) == 'char', rawget(utf8, "
     "'char') == "
     "utf8.char)",
     "true true true\n"},
    {"methods of strings work", "print(('x'):rep(3), ('%d'):format(7), #'abc', '10' + 5)",
     "xxx 7 3 15\n"},
    {"a global of the script's own is free", "x = 1 tostring = 2 print = print", ""},
};

static const row addresses[] = {
    {"tostring shows no address",
     "print(tostring {}, tostring(print), tostring(coroutine.create(print)), tostring(string))",
     "table function thread library string\n"},
    {"nor does print", "print({}, print, cjson.null)", "table function null\n"},
    {"nor does %s", "print(('%s %5s %-6s|'):format({}, print, 1.5))",
     "table function 1.5   |\n"},
    {"nor does a table with a __name", "print(setmetatable({}, { __name = 'ticket' }))",
     "ticket\n"},
    {"%p is refused", "('%p'):format {}",
     "x:1: string.format: %p prints an address, which differs in each replay"},
    {"__tostring works", "print(setmetatable({}, { __tostring = function() return 'me' end }))",
     "me\n"},
    {"__tostring has to give a string",
     "tostring(setmetatable({}, { __tostring = function() end }))",
     "x:1: '__tostring' must return a string"},
    {"the rest of format is stock",
     "print(('%5.2f|%q|%x|%%|%c|%i'):format(1.234, 'a\\n', 255, 65, 3))",
     " 1.23|\"a\\\n\"|ff|%|A|3\n"},
    {"format wants its arguments", "('%s'):format()",
     "x:1: bad argument #2 to 'format' (no value)"},
    {"format says what is wrong with them", "('%d'):format('x')",
     "x:1: bad argument #2 to 'format' (number expected, got string)"},
    {"pack, too", "string.pack('i4', 1e10)",
     "x:1: bad argument #2 to 'pack' (integer overflow)"},
    {"and knows its letters", "('%y'):format(1)", "x:1: invalid conversion '%y' to 'format'"},
};

static const row order[] = {
    {"pairs goes by key: numbers, strings, booleans",
     "for k, v in pairs { b = 1, a = 2, [10] = 3, [2] = 4, [1.5] = 5, [-1] = 6, [true] = 7, "
     "[false] = 8, "
     "B = 9, aa = 10, [''] = 11 } do print(k, v) end",
     "-1 6\n1.5 5\n2 4\n10 3\n 11\nB 9\na 2\naa 10\nb 1\nfalse 8\ntrue 7\n"},
    {"infinities and large numbers too",
     "for k in pairs { [math.huge] = 1, [-math.huge] = 1, [math.maxinteger] = 1, "
     "[math.mininteger] = 1, "
     "[2.0 ^ 63] = 1, [-2.0 ^ 63 - 2048] = 1, [0.5] = 1 } do print(k) end",
     "-inf\n-9.2233720368548e+18\n-9223372036854775808\n0.5\n9223372036854775807\n"
     "9.2233720368548e+18\ninf\n"},
    {"strings go by bytes",
     "for k in pairs { ['a\\0b'] = 1, a = 1, ['é'] = 1, z = 1 } do print(#k) end",
     "1\n3\n1\n2\n"},
    {"next goes the same way",
     "local t = { c = 1, a = 2, b = 3, 10, 20 } local k, v = next(t) "
     "while k do print(k, v) k, v = next(t, k) end print(next {})",
     "1 10\n2 20\na 2\nb 3\nc 1\nnil\n"},
    {"a table as a key has no order", "pairs { [{}] = 1 }",
     "x:1: pairs: a table as key has no order that a replay would repeat; use a string, a "
     "number or a "
     "boolean as key"},
    {"nor has a function", "next { [print] = 1 }",
     "x:1: next: a function as key has no order that a replay would repeat; use a string, a "
     "number or a "
     "boolean as key"},
    {"such a table can still be used", "local t, k = {}, {} t[k] = 5 print(t[k])", "5\n"},
    {"what is removed on the way is not met",
     "local t = { a = 1, b = 2, c = 3 } for k in pairs(t) do print(k) t.b = nil end", "a\nc\n"},
    {"what is added on the way is not met (by next: after its second step)",
     "local t = { a = 1, b = 2 } for k in pairs(t) do print(k) t[k .. k] = 1 end "
     "for k in next, t do print(k) t[k .. '!'] = 1 end",
     "a\nb\na\na!\naa\nb\nbb\n"},
    {"values may change on the way",
     "local t = { a = 1, b = 2 } for k, v in pairs(t) do t[k] = v * 2 end print(t.a, t.b)",
     "2 4\n"},
    {"traversals may be nested",
     "local t = { x = 1, y = 2 } for a in pairs(t) do for b in pairs(t) do print(a, b) end end "
     "for a in next, t do for b in next, { p = 1, q = 2 } do print(a, b) end end",
     "x x\nx y\ny x\ny y\nx p\nx q\ny p\ny q\n"},
    {"more of them than are remembered",
     "local out = {} local function walk(n) for k in next, { a = n, b = n } do out[#out + 1] = "
     "k "
     "if n > 0 then walk(n - 1) end end end walk(9) print(#out)",
     "2046\n"},
    {"next from any key, and from none that is there",
     "local t = { a = 1, c = 3, e = 5 } print(next(t, 'c'), next(t, 'b'), next(t, 'e'), "
     "next(t, 'a'))",
     "e c nil c 3\n"},
    {"__pairs is honoured",
     "local t = setmetatable({}, { __pairs = function() return function(_, k) "
     "if not k then return 1, 'one' end end, nil, nil end }) for k, v in pairs(t) do print(k, "
     "v) end",
     "1 one\n"},
    {"ipairs is stock", "for i, v in ipairs { 'a', 'b', nil, 'd' } do print(i, v) end",
     "1 a\n2 b\n"},
    {"table.sort keeps equal elements in order",
     "local t = {} for i = 1, 200 do t[i] = { k = i % 3, i = i } end "
     "table.sort(t, function(a, b) return a.k < b.k end) "
     "for i = 2, 200 do assert(t[i - 1].k < t[i].k or t[i - 1].i < t[i].i) end print 'stable'",
     "stable\n"},
    {"table.sort sorts",
     "local t = { 5, 2, 8, 1 } table.sort(t) print(table.concat(t, ' ')) "
     "t = { 'b', 'a', 'C' } table.sort(t) print(table.concat(t, ' ')) "
     "table.sort(t, function(a, b) return a > b end) print(table.concat(t, ' '))",
     "1 2 5 8\nC a b\nb a C\n"},
    {"its order function may raise", "table.sort({ 1, 2 }, function() error('no') end)",
     "x:1: no"},
    {"what cannot be compared is an error", "table.sort { 1, 'a' }",
     "attempt to compare string with number"},
};

static const row chance[] = {
    {"math.random is the run's own",
     "print(math.random(100), math.random(100), math.random(5, 6), math.random() < 1)", NULL},
    {"its arguments are Lua's",
     "print(pcall(math.random, 0) , math.type(math.random(0)), pcall(math.random, 2, 1)) "
     "print(pcall(math.random, 1, 2, 3)) print(pcall(math.random, -5)) "
     "for i = 1, 100 do local n = math.random(math.mininteger, math.maxinteger) "
     "assert(math.type(n) == 'integer') n = math.random(3) assert(n >= 1 and n <= 3) end",
     NULL},
    {"math.randomseed is refused", "math.randomseed(42)",
     "x:1: math.randomseed: the dice belong to the run and are seeded from its id, so that a "
     "replay throws "
     "the same; just call math.random"},
};

static const row collector[] = {
    {"__gc is refused", "setmetatable({}, { __gc = print })",
     "x:1: setmetatable: __gc is not there in workflows: when it would run differs in each "
     "replay; use a "
     "variable with <close>"},
    {"__mode is refused", "setmetatable({}, { __mode = 'k' })",
     "x:1: setmetatable: __mode is not there in workflows: when an entry would go differs in "
     "each replay"},
    {"and has no effect when it is set later",
     "local mt = {} local t = setmetatable({}, mt) mt.__mode = 'v' "
     "for i = 1, 100 do t[i] = {} end for i = 1, 30000 do local s = ('x'):rep(1000) .. i end "
     "local n = 0 for _ in pairs(t) do n = n + 1 end print(n, mt.__mode)",
     "100 v\n"},
    {"nor does __gc",
     "local mt = {} setmetatable({}, mt) mt.__gc = function() print 'ran' end "
     "for i = 1, 30000 do local s = ('x'):rep(1000) .. i end",
     ""},
    {"__close is there",
     "do local x <close> = setmetatable({}, { __close = function() print 'closed' end }) "
     "end",
     "closed\n"},
    {"setmetatable is otherwise stock",
     "local t = {} print(setmetatable(t, { __index = { a = 1 } }) == t, t.a, "
     "pcall(setmetatable, 1, {})) "
     "print(pcall(setmetatable, t)) print(getmetatable(setmetatable({}, { __metatable = 'm' "
     "})))",
     "true 1 false bad argument #1 to '?' (table expected, got number)\n"
     "false bad argument #2 to '?' (nil or table expected, got no value)\nm\n"},
};

static const row coroutines[] = {
    {"coroutines of the script's own work",
     "local co = coroutine.create(function(a, b) print(a, b) local c = coroutine.yield(a + b) "
     "print(c) "
     "return 'end' end) print(coroutine.resume(co, 1, 2)) print(coroutine.status(co)) "
     "print(coroutine.resume(co, 'c')) print(coroutine.status(co)) print(coroutine.resume(co))",
     "1 2\ntrue 3\nsuspended\nc\ntrue end\ndead\nfalse cannot resume dead coroutine\n"},
    {"errors of wrap say where", "coroutine.wrap(function() error('deep') end)()",
     "x:1: x:1: deep"},
    {"resume gives errors back",
     "print(coroutine.resume(coroutine.create(function() error { message = 'm' } end)))",
     "false table\n"},
    {"a coroutine may be closed",
     "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = "
     "function() "
     "print 'closed' end }) coroutine.yield() end) coroutine.resume(co) "
     "print(coroutine.close(co), "
     "coroutine.status(co))",
     "closed\ntrue dead\n"},
    {"the run itself does not yield by hand", "coroutine.yield(1)",
     "x:1: coroutine.yield: not inside a coroutine of your own"},
    {"and says so", "print(coroutine.isyieldable(), coroutine.wrap(coroutine.isyieldable)())",
     "false true\n"},
    {"a branch is resumed by the run only", "coroutine.resume((coroutine.running()))",
     "x:1: coroutine.resume: this is a branch of the run; only the run resumes it"},
    {"nor is it closed", "coroutine.close((coroutine.running()))",
     "x:1: coroutine.close: this is a branch of the run; only the run resumes it"},
    {"a coroutine cannot resume itself",
     "coroutine.wrap(function() print(coroutine.resume((coroutine.running()))) end)()",
     "false cannot resume non-suspended coroutine\n"},
    {"wrap iterates",
     "for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do "
     "print(i) end",
     "1\n2\n3\n"},
};

static const row tables[] = {
    {"insert and remove",
     "local t = { 1, 2, 3 } table.insert(t, 4) table.insert(t, 1, 0) print(table.concat(t, "
     "',')) "
     "print(table.remove(t), table.remove(t, 1), table.remove({}), table.concat(t, ','))",
     "0,1,2,3,4\n4 0 nil 1,2,3\n"},
    {"positions are checked",
     "print(pcall(table.insert, {}, 5, 1)) print(pcall(table.remove, { 1 }, 7)) "
     "print(pcall(table.insert, {}, 1, 2, 3)) print(pcall(table.insert, {}))",
     "false bad argument #2 to '?' (position out of bounds)\n"
     "false bad argument #2 to '?' (position out of bounds)\n"
     "false wrong number of arguments to 'insert'\nfalse wrong number of arguments to "
     "'insert'\n"},
    {"move, also over itself",
     "print(table.concat(table.move({ 1, 2, 3, 4 }, 1, 3, 2), ',')) "
     "print(table.concat(table.move({ 1, 2, 3, 4 }, 2, 4, 1), ',')) "
     "print(table.concat(table.move({ 1, 2, 3 }, 1, 3, 3, { 9, 9 }), ','))",
     "1,1,2,3\n2,3,4,4\n9,9,1,2,3\n"},
    {"concat",
     "print(table.concat({ 1, 'b', 2.5 }, '-', 2, 3), table.concat {}, "
     "pcall(table.concat, { 1, {} }))",
     "b-2.5  false invalid value (at index 2) in table for 'concat'\n"},
    {"unpack and pack",
     "print(table.unpack({ 1, 2, 3 }, 2)) print(table.pack(1, nil).n, "
     "select('#', table.unpack({}, 1, 3)))",
     "2 3\n2 3\n"},
    {"metamethods are honoured",
     "local log = {} local t = setmetatable({}, { __index = function(_, i) return i <= 3 and i "
     "or nil end, "
     "__len = function() return 3 end, __newindex = function(_, k, v) log[#log + 1] = k .. '=' "
     ".. "
     "tostring(v) end }) print(table.concat(t, ','), table.unpack(t)) table.insert(t, 'x') "
     "print(table.concat(log, ' '))",
     "1,2,3 1 2 3\n4=x\n"},
};

static const row json[] = {
    {"cjson.encode prints canonically",
     "print(cjson.encode { z = 1, a = { 1, 2.5, cjson.null, true }, m = { x = 'é\\n' } })",
     "{\"a\":[1,2.5,null,true],\"m\":{\"x\":\"é\\n\"},\"z\":1}\n"},
    {"cjson.decode is lua-cjson's",
     "local v = cjson.decode '[1,{\"a\":null}]' print(v[1], v[2].a == "
     "cjson.null, pcall(cjson.decode, '[1'))",
     "1.0 true false Expected comma or array end but found T_END at character 3\n"},
    {"what cannot be JSON is named", "cjson.encode { a = { print } }",
     "x:1: cjson.encode: at /a/0: a function, which JSON cannot hold; use tables, strings, "
     "numbers, booleans "
     "and null"},
    {"there is no second instance with the stock encode",
     "print(cjson.new, cjson.encode_max_depth)", "nil nil\n"},
    {"and it is read-only", "cjson.encode = print",
     "x:1: cannot set 'encode' in the library cjson: it is read-only; use a local"},
};

static void run_row(const row *r) {
  script s;
  script_run(&s, (tm_vm_opts){.seed = "spec"}, r->source);
  if (r->out)
    CHECK_STR(script_out(&s), r->out);
  else
    CHECK_INT(s.status, TM_VM_DONE);
  script_close(&s);
}

static void run_rows(const row *rows, size_t n) {
  for (size_t i = 0; i < n; i++) {
    check_begin(rows[i].name);
    run_row(&rows[i]);
    check_end();
  }
}

#define RUN_ROWS(rows) run_rows(rows, sizeof rows / sizeof *rows)

/* -- the same in each process ---------------------------------------------------------- */

static const char everything[] =
    "local t = {} for i = 1, 40 do t['key' .. i * 7919 % 1000] = i t[i / 4] = i end t[true] = "
    "1 "
    "for k, v in pairs(t) do print(k, v) end for k in next, t do print(k) end "
    "local rows = {} for i = 1, 5000 do rows[i] = { i % 17, i } end "
    "table.sort(rows, function(a, b) return a[1] < b[1] end) "
    "for i = 1, 5000, 100 do print(rows[i][1], rows[i][2]) end "
    "for i = 1, 20 do print(math.random(), math.random(1000)) end "
    "print({}, print, coroutine.create(print), string, ('%s'):format({})) "
    "print(cjson.encode(t.none or { z = 1, y = { b = {}, a = 1 } })) "
    "print(pcall(cjson.encode, { b = print, a = {}, [{}] = 1, [1.5] = 2 })) "
    "print(pcall(cjson.encode, { b = print, a = 0 / 0, c = '\\xff' })) "
    "local weak, mt = {}, {} setmetatable(weak, mt) mt.__mode = 'k' "
    "for i = 1, 100 do weak[i] = {} end for i = 1, 3000 do local s = ('x'):rep(999) .. i end "
    "print(#weak) print(pcall(error, {})) print(pcall(string.rep)) "
    "for w in ('one two three'):gmatch('%a+') do print(w) end print(os, io, debug)";

static void run_everything(tm_buf *out, const char *seed) {
  script s;
  script_run(&s, (tm_vm_opts){.seed = seed}, everything);
  tm_buf_puts(out, script_out(&s));
  CHECK_INT(s.status, TM_VM_DONE);
  script_close(&s);
}

/* This very program, started anew with its own addresses and hash seed. */
static void run_in_another_process(tm_buf *out) {
  char path[512], command[600], line[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  REQUIRE(n > 0);
  path[n] = '\0';
  snprintf(command, sizeof command, "TM_SPEC_PRINT=1 '%s' sandbox_print", path);
  FILE *f = popen(command, "r");
  REQUIRE(f != NULL);
  while (fgets(line, sizeof line, f))
    if (!strstr(line, " passed, "))
      tm_buf_puts(out, line);
  pclose(f);
}

static void a_script_prints_the_same_in_each_process(void) {
  tm_buf here = TM_BUF_INIT;
  run_everything(&here, "run-1");
  CHECK(here.len > 2000);
  for (int i = 0; i < 3; i++) {
    tm_buf there = TM_BUF_INIT;
    run_in_another_process(&there);
    CHECK_STR(tm_buf_str(&there), tm_buf_str(&here));
    tm_buf_free(&there);
  }
  tm_buf_free(&here);
}

static void another_run_throws_other_dice(void) {
  tm_buf a = TM_BUF_INIT, b = TM_BUF_INIT;
  run_everything(&a, "run-1");
  run_everything(&b, "run-2");
  CHECK(strcmp(tm_buf_str(&a), tm_buf_str(&b)) != 0);
  tm_buf_free(&a);
  tm_buf_free(&b);
}

/* What the copies are made from. */
static void assembled_anew(void) {
  setenv("TM_SPEC_ASSEMBLED", "1", 1);
  RUN_ROWS(globals);
  RUN_ROWS(frozen);
  RUN_ROWS(order);
  unsetenv("TM_SPEC_ASSEMBLED");
}

CHECK_SUITE(sandbox) {
  assembled_anew();
  RUN_ROWS(globals);
  RUN_ROWS(frozen);
  RUN_ROWS(addresses);
  RUN_ROWS(order);
  RUN_ROWS(chance);
  RUN_ROWS(collector);
  RUN_ROWS(coroutines);
  RUN_ROWS(tables);
  RUN_ROWS(json);
  CHECK_RUN(a_script_prints_the_same_in_each_process);
  CHECK_RUN(another_run_throws_other_dice);
}

CHECK_SUITE(sandbox_print) {
  if (!getenv("TM_SPEC_PRINT"))
    return;
  tm_buf out = TM_BUF_INIT;
  run_everything(&out, "run-1");
  fputs(tm_buf_str(&out), stdout);
  tm_buf_free(&out);
}
