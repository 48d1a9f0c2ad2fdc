--- lua/tidemill/syntax.lua reads all of Lua 5.4. The proof: what it read is printed back, and
-- the compiler makes the same bytes of it.
local syntax = require "tidemill.syntax"
local content = dofile "spec/content.lua"

-- Printing a tree ----------------------------------------------------------------------

local printer = {}
printer.__index = printer

function printer:put(text) self.out[#self.out + 1] = text end

--- Functions stand on their own lines: the compiler keeps these even in stripped bytes.
function printer:reach(line)
  while self.line < line do
    self:put "\n"
    self.line = self.line + 1
  end
end

function printer:list(nodes)
  for i, node in ipairs(nodes) do
    if i > 1 then self:put "," end
    self:node(node)
  end
end

function printer:args(nodes)
  self:put "("
  self:list(nodes)
  self:put ")"
end

local print_node = {}

function printer:node(node) print_node[node.t](self, node) end

function printer:raw(text)
  local _, ends = text:gsub("\n", "")
  self.line = self.line + ends
  self:put(" " .. text .. " ")
end

function print_node.name(p, n) p:put(" " .. n.name .. " ") end
function print_node.number(p, n) p:put(" " .. n.raw .. " ") end
function print_node.string(p, n) p:raw(n.raw) end
print_node["nil"] = function(p) p:put " nil " end
print_node["true"] = function(p) p:put " true " end
print_node["false"] = function(p) p:put " false " end
function print_node.vararg(p) p:put " ... " end

function print_node.paren(p, n)
  p:put "("
  p:node(n.e)
  p:put ")"
end

local function operand(p, n)
  if n.t ~= "binary" and n.t ~= "unary" then return p:node(n) end
  p:put "("
  p:node(n)
  p:put ")"
end

function print_node.binary(p, n)
  operand(p, n.left)
  p:put(" " .. n.op .. " ")
  operand(p, n.right)
end

function print_node.unary(p, n)
  p:put(" " .. n.op .. " ")
  operand(p, n.e)
end

function print_node.index(p, n)
  p:node(n.obj)
  p:put "["
  p:node(n.key)
  p:put "]"
end

function print_node.callexpr(p, n)
  p:node(n.fn)
  p:args(n.args)
end

function print_node.method(p, n)
  p:node(n.obj)
  p:put(":" .. n.name)
  p:args(n.args)
end

function print_node.table(p, n)
  p:put "{"
  for _, item in ipairs(n.items) do
    if item.key then
      p:put "["
      p:node(item.key)
      p:put "]="
    end
    p:node(item.value)
    p:put ","
  end
  p:put "}"
end

function printer:func(n, skip)
  self:put "("
  local params = { table.unpack(n.params, skip and 2 or 1) }
  self:list(params)
  if n.vararg then self:put(#params > 0 and ",..." or "...") end
  self:put ")"
  self:block(n.body)
  self:reach(n.last)
  self:put " end "
end

function print_node.func(p, n)
  p:reach(n.line)
  p:put " function"
  p:func(n)
end

function printer:block(list)
  for _, s in ipairs(list) do self:node(s) end
end

print_node["local"] = function(p, s)
  p:put "local "
  for i, name in ipairs(s.names) do
    p:put((i > 1 and "," or "") .. name.name)
    if name.attrib then p:put("<" .. name.attrib .. ">") end
  end
  if #s.exprs > 0 then p:put " = " end
  p:list(s.exprs)
  p:put ";"
end

function print_node.assign(p, s)
  p:list(s.targets)
  p:put "="
  p:list(s.exprs)
  p:put ";"
end

function print_node.call(p, s)
  p:node(s.expr)
  p:put ";"
end

print_node["function"] = function(p, s)
  p:reach(s.func.line)
  p:put " function "
  local function path(e)
    if e.t == "name" then return p:put(e.name) end
    path(e.obj)
    p:put((s.method and e == s.target and ":" or ".") .. e.key.value)
  end
  path(s.target)
  p:func(s.func, s.method)
end

function print_node.localfunction(p, s)
  p:reach(s.func.line)
  p:put(" local function " .. s.name.name)
  p:func(s.func)
end

print_node["if"] = function(p, s)
  for i, clause in ipairs(s.clauses) do
    p:put(i == 1 and " if " or " elseif ")
    p:node(clause.cond)
    p:put " then "
    p:block(clause.body)
  end
  if s.orelse then
    p:put " else "
    p:block(s.orelse)
  end
  p:put " end "
end

print_node["while"] = function(p, s)
  p:put " while "
  p:node(s.cond)
  print_node["do"](p, s)
end

print_node["do"] = function(p, s)
  p:put " do "
  p:block(s.body)
  p:put " end "
end

print_node["repeat"] = function(p, s)
  p:put " repeat "
  p:block(s.body)
  p:put " until "
  p:node(s.cond)
  p:put ";"
end

function print_node.fornum(p, s)
  p:put(" for " .. s.var.name .. "=")
  p:list(s.exprs)
  print_node["do"](p, s)
end

function print_node.forin(p, s)
  p:put " for "
  p:list(s.vars)
  p:put " in "
  p:list(s.exprs)
  print_node["do"](p, s)
end

print_node["return"] = function(p, s)
  p:put " return "
  p:list(s.exprs)
  p:put ";"
end

print_node["goto"] = function(p, s) p:put(" goto " .. s.label .. ";") end
function print_node.label(p, s) p:put(" ::" .. s.label .. "::") end
print_node["break"] = function(p) p:put " break; " end
function print_node.empty(p) p:put ";" end

local function printed(tree)
  local p = setmetatable({ out = {}, line = 1 }, printer)
  p:block(tree.body)
  return table.concat(p.out)
end

local function bytes(source)
  return string.dump(assert(load(source, "=x", "t")), true)
end

--- The tree means what the source means.
local function reads(source, name)
  local tree, why = syntax.parse(source, name or "x.lua")
  assert.truthy(tree, why)
  local back = printed(tree)
  assert.truthy(bytes(source) == bytes(back), (name or source) .. "\n" .. back)
  return tree
end

-- ---------------------------------------------------------------------------------------

describe("the reader of Lua", function()
  it("reads every Lua file of the project as the compiler does", function()
    local list = assert(io.popen "find lua workflows spec examples bench -name '*.lua'")
    local count = 0
    for path in list:lines() do
      reads(content.read(path), path)
      count = count + 1
    end
    list:close()
    assert.truthy(count > 100, count)
  end)

  it("reads every kind of word", function()
    reads [===[
      local a = 0xA0p-2 + 3.5e+2 + .5 + 3. + 1e10 + 0x.8P1 + 0Xff + 3
      local b = "a\"b\\" .. 'it\'s \z
          on' .. "\x41\u{48}\065\
      next" .. [[
      long ]] .. [=[ a ]] b ]=] .. ""
      --[[ a comment
        over lines ]] local c --[==[ ]] ]=] ]==] = 1 -- and the rest
      --[ only this line
      local d = #b .. 1 ..2
      local e = a//1 ~ ~3 & 5 | 6 << 2 >> 1
      local f = a ~= 3, a == b, a <= 2, a >= 3, a < 4, a > 5
      return ... ]===]
  end)

  it("binds operators as Lua does", function()
    reads "local a, b, c = ... return a or b and c, (a or b) and c, not a == b, not (a == b)"
    reads "local a, b = ... return -a ^ 2, (-a) ^ 2, 2 ^ -a ^ b, -a * b, #a + b, - - a, ~a | b"
    reads "local a, b = ... return a .. b .. 'c', (a .. b) .. 'c', a + b .. 1, a << 1 .. 2"
    reads "local a, b = ... return a - b - 1, a - (b - 1), a // b % 2 / 3, a & b ~ 1 | 2, a < b"
    reads "local a, b, c = ... return a and b or c, a == b ~= c, (a) (b).c, (a)"
    reads "local f = ... return (f()), f(), (...), ..."
  end)

  it("reads every statement", function()
    reads [[
      local x <const>, y <close> = 1, nil;
      local function f(a, ...) return f(a, ...) end
      local t = { 1, 2; 3, a = 1, ["b"] = 2, [3] = f, f(), }
      function t.g() end
      function t.a.b.c:d(e) return self, e end
      function global(...) return end
      f"x" f'y' f[=[z]=] f{ 1 } t.g():h"i":j{}.k = 3
      t.a, t[1], z = z, f()
      do local a; do end; ; end
      while x do if x then break end end
      repeat local q = f() until q
      for i = 1, 3 do t[i] = i end
      for i = 3, 1, -1 do goto continue; t[i] = i ::continue:: end
      for k, v in pairs(t) do t[v] = k end
      if x then elseif y then t.g() elseif t then else f() end
      do goto done end
      ::done::
      return function() end, function(...) return ... end;]]
    reads ""
    reads "return"
    reads "local a = 1 -- no line end"
    reads "\r\nlocal function f()\r\n return '\\\r\n'\r\nend\n\r\rreturn f"
  end)

  it("knows where each thing stands", function()
    local source = 'local a = 1\n\nlocal b = f(\n  "x",\n  g . h : i { 2 })\n'
    local tree = reads(source)
    local call = tree.body[2].exprs[1]
    assert.equal(3, call.line)
    assert.equal('f(\n  "x",\n  g . h : i { 2 })', source:sub(call.from, call.to))
    local inner = call.args[2]
    assert.equal("method", inner.t)
    assert.equal(5, inner.line)
    assert.equal("g . h : i { 2 }", source:sub(inner.from, inner.to))
    assert.equal("x", call.args[1].value)
    assert.equal("a\nA\0b", reads('return "a\\nA\\z   \\0b"').body[1].exprs[1].value)
  end)

  it("says what the compiler says of what is no Lua, with its line", function()
    local bad = { "x = ", "local 1", "f(", "return return", "x = }", "if x then",
      "for i do end",
      "a.b:c = 1", "x = 'a\nb'", "x = [[", "--[[", "goto nowhere", "break",
      "::a:: ::a::",
      "local x <const> = 1; x = 2", "local x <odd> = 1", "x = 3..2", "x = 0x",
      "return ... end",
      "function f() return ... end", "x = '\\q'", "x = \"\\u{110000000000}\"", "a b", "x = @",
      "local function f() end end", "x += 1", "x != 1", "local t = {1 2}", "(f)", "f() = 1",
      "\27Lua" }
    for _, source in ipairs(bad) do
      local tree, why, limit = syntax.parse("\n" .. source, "workflows/bad.lua")
      local compiled, expected = load("\n" .. source, "@workflows/bad.lua", "t")
      assert.is_nil(compiled)
      assert.is_nil(tree, source)
      assert.equal(expected, why, source)
      assert.truthy(why:find "^workflows/bad.lua:%d+: ", why)
      assert.falsy(limit)
    end
  end)

  it("does not run what it reads", function()
    reads [[error "run" os.exit(3) return (function() error "run" end)()]]
  end)

  it("has limits, and names them", function()
    local function refuses(source, what)
      local tree, why, limit = syntax.parse(source, "workflows/x.lua")
      assert.is_nil(tree)
      assert.truthy(why:find(what, 1, true), why)
      assert.is_true(limit)
    end
    assert.truthy(syntax.parse("return 1" .. (" + 1"):rep(400), "x.lua"))
    refuses("return\n\n1" .. (" + 1"):rep(5000),
      "workflows/x.lua:3: an expression of more than 500 parts")
    refuses("local x = f" .. ("()"):rep(5000), "x.lua:1: an expression of more than 500 parts")
    refuses("x = " .. ("("):rep(300) .. "1" .. (")"):rep(300), "x.lua: nested deeper than")
    refuses("x = [[" .. ("a"):rep(1024 * 1024) .. "]]", "x.lua: larger than 1048576 bytes")
  end)
end)
