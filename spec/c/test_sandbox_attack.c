/* test_sandbox_attack.c - scripts that try to run for ever, to eat all memory or to get out.
 * Each ends within its budget, in the way its row says, and leaves nothing behind.
 */
#include "script.h"

#include <stdlib.h>

#define STEPS  UINT64_C(500000)
#define MEMORY ((size_t)8 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 10
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOWER 10
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif

typedef struct attack {
  const char *name;
  const char *source;
  tm_vm_status status;
  const char *message; /* is in what the script or the host says */
} attack;

#define STEPS_OVER  TM_VM_STOPPED, "instructions without waiting"
#define MEMORY_OVER TM_VM_STOPPED, "of memory"
#define FINE        TM_VM_DONE, ""
#define RAISES      TM_VM_ERROR

static const attack endless[] = {
    {"while loop", "while true do end", STEPS_OVER},
    {"goto", "::a:: goto a", STEPS_OVER},
    {"numeric for", "for i = 1, math.maxinteger do end", STEPS_OVER},
    {"repeat with a call", "local function f() end repeat f() until false", STEPS_OVER},
    {"tail calls", "local function f() return f() end f()", STEPS_OVER},
    {"recursion", "local function f() return 1 + f() end f()", MEMORY_OVER},
    {"recursion in a pcall loop",
     "local function f() return 1 + f() end while true do pcall(f) end", TM_VM_STOPPED,
     "the script"},
    {"ipairs over an endless __index",
     "for _ in ipairs(setmetatable({}, { __index = function() return 1 end })) do end",
     STEPS_OVER},
    {"iterator", "for _ in function() return 1 end do end", STEPS_OVER},
    {"__index chain", "local t = setmetatable({}, {}) getmetatable(t).__index = t; return t.x",
     RAISES, "loop"},
    {"__concat",
     "local t = setmetatable({}, { __concat = function() while true do end end }) "
     "return t .. t",
     STEPS_OVER},
};

static const attack swallowed[] = {
    {"pcall in a loop", "while true do pcall(function() while true do end end) end",
     STEPS_OVER},
    {"pcall of pcall", "local function f() pcall(f) while true do end end f()", STEPS_OVER},
    {"xpcall with a handler that loops",
     "local function loop() while true do end end while true do xpcall(loop, loop) end",
     STEPS_OVER},
    {"a handler that raises", "xpcall(error, function() error('again') end) while true do end",
     STEPS_OVER},
    {"a coroutine in a loop",
     "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
     STEPS_OVER},
    {"coroutine.wrap under pcall",
     "while true do pcall(coroutine.wrap(function() while true do end end)) end", STEPS_OVER},
    {"coroutines in coroutines",
     "local function f() pcall(coroutine.wrap(f)) while true do end end f()", STEPS_OVER},
    {"a coroutine that yields for ever",
     "local co = coroutine.wrap(function() while true do coroutine.yield() end end) "
     "while true do co() end",
     STEPS_OVER},
    {"many short coroutines",
     "while true do local n = 0 coroutine.wrap(function() for i = 1, 200 do n = n + i end "
     "end)() end",
     STEPS_OVER},
    {"__close that loops",
     "local x <close> = setmetatable({}, { __close = function() while true do end end })",
     STEPS_OVER},
    {"__close after a stop",
     "local x <close> = setmetatable({}, { __close = function() while true do end end }) "
     "while true do end",
     STEPS_OVER},
    {"coroutine.close on a __close that loops",
     "local co = coroutine.create(function() local x <close> = setmetatable({}, "
     "{ __close = function() while true do end end }) coroutine.yield() end) "
     "coroutine.resume(co) coroutine.close(co)",
     STEPS_OVER},
    {"wrap closes with hooks off",
     "local function loop() while true do end end "
     "coroutine.wrap(function() local x <close> = setmetatable({}, { __close = loop }) "
     "table.sort({ 1, 2, 3 }, loop) end)()",
     STEPS_OVER},
    {"coroutine.close with hooks off",
     "local function loop() while true do end end "
     "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = "
     "loop }) "
     "table.sort({ 1, 2, 3 }, loop) end) pcall(coroutine.resume, co) pcall(coroutine.close, "
     "co) "
     "while true do end",
     STEPS_OVER},
    {"sort with an order that loops",
     "table.sort({ 1, 2, 3 }, function() while true do end end)", STEPS_OVER},
    {"sort with an order that swallows",
     "local function loop() while true do end end "
     "table.sort({ 1, 2, 3 }, function() while true do pcall(loop) end end)",
     STEPS_OVER},
    {"a looping handler inside sort",
     "local function loop() while true do end end "
     "table.sort({ 1, 2, 3 }, function() xpcall(loop, loop) end) while true do end",
     STEPS_OVER},
    {"pcall as order",
     "local t = {} for i = 1, 3000 do t[i] = function() while true do end end end "
     "while true do table.sort(t, pcall) end",
     STEPS_OVER},
    {"gsub callback that swallows",
     "local function loop() while true do end end "
     "return (('x'):rep(1000):gsub('.', function() pcall(loop) end))",
     STEPS_OVER},
    {"pcall as gsub callback", "while true do ('x'):rep(1000):gsub('.', pcall) end",
     STEPS_OVER},
    {"gsub in gsub in gsub",
     "local function f(s) return (s:gsub('.', f)) end while true do pcall(f, 'abc') end",
     TM_VM_STOPPED, ""},
    {"__tostring that loops",
     "tostring(setmetatable({}, { __tostring = function() while true do end end }))",
     STEPS_OVER},
    {"__tostring in string.format",
     "(''):format(1) return ('%s'):format(setmetatable({}, "
     "{ __tostring = function() while true do pcall(error) end end }))",
     STEPS_OVER},
    {"__index that loops inside table.concat",
     "table.concat(setmetatable({}, { __len = function() return 9 end, "
     "__index = function() while true do pcall(error) end end }))",
     STEPS_OVER},
    {"__lt that loops inside sort",
     "local mt = { __lt = function() while true do end end } "
     "table.sort({ setmetatable({}, mt), setmetatable({}, mt) })",
     STEPS_OVER},
    {"__pairs that loops",
     "for _ in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end",
     STEPS_OVER},
    {"an error object with a __tostring that loops",
     "error(setmetatable({}, { __tostring = function() while true do end end }))", RAISES,
     "a table without a message"},
    {"an error object with a huge __name",
     "error(setmetatable({}, { __name = ('x'):rep(1e6) }))", RAISES,
     "a table without a message"},
    {"error(nil)", "error(nil)", RAISES, "nil was raised"},
    {"error with a function", "error(print)", RAISES, "function was raised"},
};

static const attack greedy[] = {
    {"a table that grows", "local t = {} for i = 1, math.huge do t[i] = i end", MEMORY_OVER},
    {"a table that grows under pcall",
     "while true do pcall(function() local t = {} for i = 1, math.huge do t[i] = { i } end "
     "end) end",
     MEMORY_OVER},
    {"a global that grows under pcall",
     "t = {} while true do pcall(function() for i = 1, 1000 do t[#t + 1] = { i } end end) end",
     MEMORY_OVER},
    {"string.rep twice as long", "local s = 'x' while true do s = s:rep(2) end", MEMORY_OVER},
    {"string.rep beyond all bounds",
     "for i = 1, 100 do print(select(2, pcall(string.rep, 'xx', math.maxinteger))) end",
     TM_VM_DONE, "string.rep: a result of"},
    {"string.rep with a separator", "string.rep('', math.maxinteger, 'x')", RAISES,
     "string.rep"},
    {"concatenation", "local s = 'x' while true do s = s .. s end", MEMORY_OVER},
    {"concatenation under pcall",
     "s = 'x' while true do pcall(function() while true do s = s .. s end end) end",
     MEMORY_OVER},
    {"string.format", "local s = 'x' while true do s = ('%s%s'):format(s, s) end", RAISES,
     "string.format"},
    {"table.concat", "local s = 'x' while true do s = table.concat { s, s, s } end",
     MEMORY_OVER},
    {"gsub that grows", "local s = 'xx' while true do s = s:gsub('.', '%0%0') end",
     MEMORY_OVER},
    {"string.pack", "string.pack('c4000000000', 'x')", RAISES, "string.pack"},
    {"string.pack of many", "string.pack(('c999999'):rep(20), table.unpack({}, 1, 20))", RAISES,
     "string.pack"},
    {"coroutines",
     "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
     TM_VM_STOPPED, ""},
    {"closures", "local t = {} while true do local n t[#t + 1] = function() return n end end",
     MEMORY_OVER},
    {"unpack",
     "local t = {} for i = 1, 1e5 do t[i] = i end "
     "local function f(...) return f(1, ...) end f(table.unpack(t))",
     TM_VM_STOPPED, ""},
    {"a huge unpack", "table.unpack({}, 1, 1e8)", RAISES, "too many results"},
    {"varargs",
     "local function f(...) return select('#', ...) + f(1, 2, 3, 4, 5, 6, 7, 8, 9, ...) end "
     "f()",
     TM_VM_STOPPED, ""},
    {"utf8.char",
     "local s = utf8.char(1114111) local t = {} "
     "while true do t[#t + 1] = utf8.char(#t + 256):rep(100) end",
     TM_VM_STOPPED, ""},
    {"shared tables in cjson.encode",
     "local t = {} for i = 1, 60 do t = { t, t } end cjson.encode(t)", RAISES, "cjson.encode"},
    {"gmatch iterators", "local t = {} while true do t[#t + 1] = ('x'):gmatch('x') end",
     MEMORY_OVER},
    {"traversals",
     "local t = {} for i = 1, 1000 do t['k' .. i] = i end "
     "local keep = {} while true do keep[#keep + 1] = pairs(t) end",
     TM_VM_STOPPED, ""},
};

static const attack inside_c[] = {
    {"exponential pattern", "('a'):rep(28):find(('a?'):rep(28) .. ('a'):rep(28))", STEPS_OVER},
    {"cubic pattern", "('x'):rep(100000):find('.-.-.-b')", STEPS_OVER},
    {"cubic gsub", "('x'):rep(100000):gsub('.-.-b', '')", STEPS_OVER},
    {"quadratic gmatch", "for _ in ('x'):rep(1000000):gmatch('x*y') do end", STEPS_OVER},
    {"%b", "('('):rep(1000000):find('%b()')", STEPS_OVER},
    {"a pattern under pcall",
     "while true do pcall(string.find, ('x'):rep(100000), '.-.-.-b') end", STEPS_OVER},
    {"a pattern in a coroutine",
     "while true do coroutine.wrap(function() return ('x'):rep(100000):find('.-.-.-b') end)() "
     "end",
     STEPS_OVER},
    {"a pattern inside sort",
     "table.sort({ 1, 2 }, function() while true do pcall(string.find, ('x'):rep(100000), "
     "'.-.-b') "
     "end end)",
     STEPS_OVER},
    {"find plain, again and again",
     "local s, p = ('a'):rep(1000000), ('a'):rep(1000) .. 'b' while true do s:find(p, 1, true) "
     "end",
     STEPS_OVER},
    {"table.move over a huge range", "table.move({}, 1, math.maxinteger - 1, 2)", STEPS_OVER},
    {"table.insert with a length that lies",
     "table.insert(setmetatable({}, { __len = function() return math.maxinteger - 1 end }), 1, "
     "1)",
     STEPS_OVER},
    {"table.remove with a length that lies",
     "table.remove(setmetatable({}, { __len = function() return math.maxinteger end }), 1)",
     STEPS_OVER},
    {"table.concat with a length that lies",
     "table.concat(setmetatable({}, { __len = function() return 1e15 // 1 | 0 end, "
     "__index = function() return '' end }))",
     STEPS_OVER},
    {"table.concat over a huge range", "table.concat({}, '', 1, math.maxinteger)", STEPS_OVER},
    {"table.sort with a length that lies",
     "table.sort(setmetatable({}, { __len = function() return 2000000000 end }))", STEPS_OVER},
    {"table.sort, again and again",
     "local t = {} for i = 1, 20000 do t[i] = -i end while true do table.sort(t) end",
     STEPS_OVER},
    {"an order that is none",
     "local t = {} for i = 1, 2000 do t[i] = i end "
     "table.sort(t, function() return true end) table.sort(t, function(a) return a % 3 == 0 "
     "end)",
     FINE},
    {"an order that empties the table",
     "local t = { 3, 1, 2 } table.sort(t, function(a, b) t[1] = nil t[3] = nil return a < b "
     "end)",
     FINE},
    {"pairs, again and again",
     "local t = {} for i = 1, 20000 do t['k' .. i] = i end while true do pairs(t) end",
     STEPS_OVER},
    {"next, again and again",
     "local t = {} for i = 1, 20000 do t['k' .. i] = i end while true do next(t) end",
     STEPS_OVER},
    {"large strings, again and again",
     "local s = ('x'):rep(100000) while true do s:upper() end", STEPS_OVER},
    {"cjson.encode, again and again",
     "local t = {} for i = 1, 20000 do t[i] = i end while true do cjson.encode(t) end",
     STEPS_OVER},
    {"nested gsub callbacks", "local function f() return (('x'):gsub('x', f)) end f()", RAISES,
     "C stack overflow"},
    {"nested coroutines", "local function f() return coroutine.wrap(f)() end f()", RAISES,
     "C stack overflow"},
    {"nested __index functions",
     "local t = setmetatable({}, { __index = function(t, k) return t[k .. 'x'] end }) return "
     "t.a",
     RAISES, "overflow"},
    {"a pattern of too many parts", "('x'):rep(1000):find(('x?'):rep(1000) .. 'y')", RAISES,
     "too complex"},
};

/* Nothing in here is seen by the hook or charged: processor time is the last wall. */
static const attack slow[] = {
    {"comparing large strings",
     "local a, b = ('x'):rep(3000000) .. 'a', ('x'):rep(3000000) .. 'a' while a <= b do end",
     TM_VM_STOPPED, ""},
    {"numbers out of large strings",
     "local s = ('0'):rep(3000000) while true do tonumber(s) end", TM_VM_STOPPED, ""},
    {"counting characters", "local s = ('x'):rep(3000000) while true do utf8.len(s) end",
     TM_VM_STOPPED, ""},
};

static void attack_with(const attack *a, tm_vm_opts opts, double seconds) {
  script s;
  script_run(&s, opts, a->source);
  const char *said = script_out(&s);
  if (s.status != a->status || !strstr(said, a->message))
    check_fail(__FILE__, __LINE__, "%s: status %d, \"%.200s\"; want %d, \"%s\"", a->source,
               s.status, said, a->status, a->message);
  if (s.seconds > seconds * SLOWER)
    check_fail(__FILE__, __LINE__, "%s: took %.2f s", a->source, s.seconds);
  if (s.status == TM_VM_STOPPED) { /* and it stays stopped */
    script_go(&s, 0);
    CHECK_INT(s.status, TM_VM_STOPPED);
    CHECK_INT(s.err.code, TM_LIMIT);
  }
  script_close(&s);
}

static void run_all(const attack *attacks, size_t n, tm_vm_opts opts, double seconds) {
  for (size_t i = 0; i < n; i++) {
    check_begin(attacks[i].name);
    attack_with(&attacks[i], opts, seconds);
    check_end();
  }
}

#define RUN_ALL(attacks, opts, seconds) \
  run_all(attacks, sizeof attacks / sizeof *attacks, opts, seconds)

/* -- source texts ---------------------------------------------------------------------- */

static char *repeated(const char *head, const char *part, size_t n, const char *tail) {
  tm_buf b = TM_BUF_INIT;
  tm_buf_puts(&b, head);
  for (size_t i = 0; i < n; i++)
    tm_buf_puts(&b, part);
  tm_buf_puts(&b, tail);
  return tm_buf_take(&b, NULL);
}

static void refuses_source(char *source, const char *message) {
  script s;
  CHECK(!script_run(&s, (tm_vm_opts){.memory = MEMORY}, source));
  if (!strstr(s.error, message))
    check_fail(__FILE__, __LINE__, "\"%.200s\" does not say \"%s\"", s.error, message);
  script_close(&s);
  free(source);
}

static void deeply_nested_source_is_a_clean_error(void) {
  refuses_source(repeated("return ", "(", 500000, ""), "overflow");
  refuses_source(repeated("return ", "{", 1000, ""), "overflow");
  refuses_source(repeated("", "do ", 1000, ""), "overflow");
  refuses_source(repeated("return ", "not ", 1000, "1"), "overflow");
}

static void a_source_of_more_than_a_mebibyte_is_refused(void) {
  refuses_source(repeated("", "--xxxxx\n", 131073, ""), "1 MiB");
}

static void bytecode_is_refused(void) {
  refuses_source(repeated("\x1BLua", "T", 10, ""), "compiled Lua is refused");
}

/* -- two runs -------------------------------------------------------------------------- */

static void runs_share_nothing(void) {
  script a, b;
  CHECK(script_run(&a, (tm_vm_opts){.memory = 0},
                   "x = 1 print(pcall(function() string.format = nil end)) tostring = nil"));
  CHECK(script_run(&b, (tm_vm_opts){.memory = 0},
                   "print(x, tostring(1), string.format('%d', 2))"));
  CHECK_STR(script_out(&b), "nil 1 2\n");
  script_close(&a);
  script_close(&b);
}

CHECK_SUITE(sandbox_attack) {
  tm_vm_opts opts = {.steps = STEPS, .memory = MEMORY};
  tm_vm_opts patient = {.steps = STEPS * 40, .memory = MEMORY};
  tm_vm_opts clocked = {.cpu_ms = 100, .memory = MEMORY * 4};
  RUN_ALL(endless, opts, 0.5);
  RUN_ALL(swallowed, opts, 0.5);
  RUN_ALL(inside_c, opts, 0.5);
  RUN_ALL(greedy, patient, 1.0);
  RUN_ALL(slow, clocked, 0.5);
  CHECK_RUN(deeply_nested_source_is_a_clean_error);
  CHECK_RUN(a_source_of_more_than_a_mebibyte_is_refused);
  CHECK_RUN(bytecode_is_refused);
  CHECK_RUN(runs_share_nothing);
}
