/* test_stock.c - our string and table functions against the stock ones: the same generated
 * cases run in a trusted vm, which has Lua's own libraries, and in a sandboxed one, and have to
 * print the same.
 */
#include "script.h"

/* Draws subjects and patterns, well-formed and not, from its own dice. */
static const char patterns[] =
    "local seed = 4711\n"
    "local function dice(n) seed = (seed * 1103515245 + 12345) % 2147483648 "
    "return seed // 65536 % n + 1 end\n"
    "local items = { 'a', 'b', 'c', '.', '%a', '%d', '%s', '%w', '%S', '%W', '%p', '[abc]', "
    "'[^a]', "
    "'[a-c]', '[%d_]', '[]]', '[^]b]', '[a-]', '%.', '%%', '()', '%b()', '%bab', '%f[%w]', "
    "'%f[^a]', "
    "'%1', '%2', 'x', '1', ' ', '-', '$', '^', '(', ')', '[', ']', '%', '%f', '%b', '%bx', "
    "'%0', '%z', "
    "'\\0', '%u', '%L', '[%a-z]', '[a%-c]', '\\xE9', '%g', '%x', '%c', '[%W]', '%C', '%Z', "
    "'[^%s]' }\n"
    "local suffixes = { '', '', '', '', '*', '+', '-', '?' }\n"
    "local pieces = { 'a', 'b', 'c', 'x', '1', ' ', '(', ')', '_', '-', ']', '\\0', 'A', "
    "'\\xE9', '%', "
    "'ab', 'aab' }\n"
    "local templates = { '<%0>', '%1', '%%', '%2x', '', '%', '%9', '%x', '[%1%0]' }\n"
    "local function pattern()\n"
    "  local t, open = {}, 0\n"
    "  if dice(6) == 1 then t[1] = '^' end\n"
    "  for _ = 1, dice(6) do\n"
    "    local r = dice(12)\n"
    "    if r == 1 then t[#t + 1] = '(' open = open + 1\n"
    "    elseif r == 2 and open > 0 then t[#t + 1] = ')' open = open - 1\n"
    "    else t[#t + 1] = items[dice(dice(3) == 1 and #items or 20)] .. "
    "suffixes[dice(#suffixes)] end\n"
    "  end\n"
    "  if dice(10) > 1 then t[#t + 1] = (')'):rep(open) end\n"
    "  if dice(8) == 1 then t[#t + 1] = '$' end\n"
    "  return table.concat(t)\n"
    "end\n"
    "local function subject() local t = {} for i = 1, dice(14) - 1 do t[i] = "
    "pieces[dice(#pieces)] end "
    "return table.concat(t) end\n"
    "local function show(...) local t = table.pack(...) "
    "for i = 1, t.n do t[i] = ('%q'):format(t[i]) end return table.concat(t, ' ') end\n"
    /* a message without its place */
    "local function bare(ok, ...) if ok then return ... end "
    "local m = ... local at = m:find(': ', 1, true) return m:sub(at or 1) end\n"
    "local function each(s, p, from) local t = {} for a, b in s:gmatch(p, from) do "
    "t[#t + 1] = show(a, b) if #t > 30 then break end end return table.concat(t, ';') end\n"
    "local function replacement() local r = dice(3) "
    "if r == 1 then return templates[dice(#templates)] end "
    "if r == 2 then return function() return dice(2) == 1 and 'Z' or nil end end "
    "return { a = '1', ab = 2, [1] = 'one' } end\n"
    "for _ = 1, 10000 do\n"
    "  local s, p = subject(), pattern()\n"
    "  local from = dice(3) == 1 and dice(20) - 10 or nil\n"
    "  print(show(s, p, from), show(bare(pcall(string.find, s, p, from))),\n"
    "    show(bare(pcall(string.match, s, p, from))), show(bare(pcall(each, s, p, from))),\n"
    "    show(bare(pcall(string.gsub, s, p, replacement(), dice(4) == 1 and dice(4) - 1 or "
    "nil))))\n"
    "end\n";

static const char tables[] =
    "local seed = 815\n"
    "local function dice(n) seed = (seed * 1103515245 + 12345) % 2147483648 "
    "return seed // 65536 % n + 1 end\n"
    "local function list() local t = {} for i = 1, dice(9) - 1 do t[i] = dice(100) end return "
    "t end\n"
    "local function small() return dice(14) - 3 end\n"
    "local function maybe(f) if dice(3) > 1 then return f() end end\n"
    "local function bare(ok, ...) if ok then return ... end "
    "return ((...):gsub('^.-: ', ''):gsub(\"'?.-'\", '')) end\n"
    "local function show(t, ...) local s = {} for i = -3, 24 do if t[i] then "
    "s[#s + 1] = i .. '=' .. tostring(t[i]) end end print(table.concat(s, ' '), ...) end\n"
    "for _ = 1, 5000 do\n"
    "  local t, u = list(), list()\n"
    "  show(t, bare(pcall(table.insert, t, small(), 'new')))\n"
    "  show(t, bare(pcall(table.insert, t, 'end')))\n"
    "  show(t, bare(pcall(table.remove, t, maybe(small))))\n"
    "  pcall(table.move, t, small(), small(), small(), dice(2) == 1 and u or nil) show(t) "
    "show(u)\n"
    "  show({}, bare(pcall(table.concat, list(), ',', maybe(small), maybe(small))))\n"
    "  show({}, bare(pcall(table.unpack, list(), maybe(small), maybe(small))))\n"
    "  u = list() table.sort(u) show(u) table.sort(u, function(a, b) return a > b end) "
    "show(u)\n"
    "  show({}, ('ab'):rep(small(), maybe(function() return '-' end)), ('aBc'):upper(), "
    "('aBc'):lower(), "
    "('abc'):reverse(), ('%5d|%-4s|%q'):format(dice(99), 'x', 'y\\n'))\n"
    "  show({}, string.pack('i2zc6', dice(999), 'ab', 'cd'):byte(1, -1))\n"
    "end\n";

/* The first line where two texts differ. */
static void report_difference(const char *ours, const char *stock) {
  const char *line = ours;
  for (size_t i = 0; ours[i] && ours[i] == stock[i]; i++)
    if (ours[i] == '\n')
      line = ours + i + 1;
  check_fail(__FILE__, __LINE__, "ours  %.*s\n    stock %.*s", (int)strcspn(line, "\n"), line,
             (int)strcspn(stock + (line - ours), "\n"), stock + (line - ours));
}

static void prints_as_in_stock_lua(const char *source) {
  script ours, stock;
  script_run(&stock, (tm_vm_opts){.trusted = true}, source);
  script_run(&ours, (tm_vm_opts){.seed = "spec"}, source);
  CHECK_STR(ours.error, "");
  CHECK_INT(ours.status, TM_VM_DONE);
  CHECK_INT(stock.status, TM_VM_DONE);
  CHECK(ours.out.len > 500000);
  if (strcmp(tm_buf_str(&ours.out), tm_buf_str(&stock.out)) != 0)
    report_difference(tm_buf_str(&ours.out), tm_buf_str(&stock.out));
  script_close(&ours);
  script_close(&stock);
}

static void ten_thousand_generated_patterns_match_as_in_stock_lua(void) {
  prints_as_in_stock_lua(patterns);
}

static void five_thousand_generated_tables_end_up_as_in_stock_lua(void) {
  prints_as_in_stock_lua(tables);
}

static void prints(const char *source, const char *want) {
  script s;
  script_run(&s, (tm_vm_opts){.seed = "spec"}, source);
  CHECK_STR(script_out(&s), want);
  script_close(&s);
}

static void find_knows_plain_text_and_where_to_begin(void) {
  prints("print(('a.b.c'):find('.', 1, true), ('a.b'):find('%.'), ('abc'):find('', 10), "
         "('abc'):find('', 4), ('abc'):find('c', -1), ('abc'):find('b', -99))",
         "2 2 nil 4 3 2 2\n");
}

static void more_captures_than_32_are_an_error(void) {
  prints("print(#{ ('x'):rep(32):match(('(.)'):rep(32)) }, pcall(string.match, ('x'):rep(33), "
         "('(.)'):rep(33)))",
         "32 false too many captures\n");
}

static void gsub_takes_strings_tables_and_functions(void) {
  prints(
      "print(('hello world'):gsub('o', '0', 1), (('$name'):gsub('%$(%w+)', { name = 'Lua' })), "
      "(('abc'):gsub('%w', function(c) return c == 'b' and '' or nil end)))",
      "hell0 world Lua ac\n");
  prints("print(pcall(string.gsub, 'x', 'x', true))",
         "false bad argument #3 to '?' (string/function/table expected, got boolean)\n");
  prints("print(pcall(string.gsub, 'x', 'x', function() return {} end))",
         "false invalid replacement value (a table)\n");
}

static void anchors_and_empty_matches_end(void) {
  prints("print(('abc'):gsub('', '-'), ('abc'):gsub('^a*', '-'), ('hello'):gsub('l*', 'x'))",
         "-a-b-c- -bc xhxexox 4\n");
}

CHECK_SUITE(stock) {
  CHECK_RUN(ten_thousand_generated_patterns_match_as_in_stock_lua);
  CHECK_RUN(five_thousand_generated_tables_end_up_as_in_stock_lua);
  CHECK_RUN(find_knows_plain_text_and_where_to_begin);
  CHECK_RUN(more_captures_than_32_are_an_error);
  CHECK_RUN(gsub_takes_strings_tables_and_functions);
  CHECK_RUN(anchors_and_empty_matches_end);
}
