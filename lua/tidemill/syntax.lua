--- Lua 5.4 source as a tree, without running any of it.
--
--   block       a list of statements
--   statement   {t = "local", names, exprs}  {t = "assign", targets, exprs}  {t = "call", expr}
--               {t = "function", target, func}  {t = "localfunction", name, func}
--               {t = "if", clauses = {{cond, body} …}, orelse}  {t = "while", cond, body}
--               {t = "repeat", body, cond}  {t = "fornum", var, exprs, body}
--               {t = "forin", vars, exprs, body}  {t = "do", body}  {t = "return", exprs}
--               {t = "goto", label}  {t = "label", label}  {t = "break"}  {t = "empty"}
--   expression  {t = "name", name}  {t = "string", raw, value}  {t = "number", raw}
--               {t = "nil"}  {t = "true"}  {t = "false"}  {t = "vararg"}
--               {t = "index", obj, key, dot}  {t = "callexpr", fn, args}
--               {t = "method", obj, name, args}  {t = "func", params, vararg, body, last}
--               {t = "table", items = {{key, dot, value} …}}  {t = "paren", e}
--               {t = "binary", op, left, right}  {t = "unary", op, e}
--
-- Each has `line`, and `from` and `to`, the bytes of the source that it was read from. Whether
-- the source is Lua at all is said by Lua's own compiler, in its own words; so nothing is
-- checked here twice.
-- @module tidemill.syntax

local lex = require("tidemill.syntax_lex")

local M = {}

local MAX_BYTES = 1024 * 1024
local MAX_CHAIN = 500 -- operators, or calls, in one row: the tree is walked by recursion

-- The binding to the left and to the right of each operator.
local binding = {
  ["or"] = { 1, 1 }, ["and"] = { 2, 2 },
  ["<"] = { 3, 3 }, [">"] = { 3, 3 }, ["<="] = { 3, 3 }, [">="] = { 3, 3 }, ["~="] = { 3, 3 },
  ["=="] = { 3, 3 }, ["|"] = { 4, 4 }, ["~"] = { 5, 5 }, ["&"] = { 6, 6 },
  ["<<"] = { 7, 7 }, [">>"] = { 7, 7 }, [".."] = { 9, 8 }, ["+"] = { 10, 10 },
  ["-"] = { 10, 10 }, ["*"] = { 11, 11 }, ["/"] = { 11, 11 }, ["//"] = { 11, 11 },
  ["%"] = { 11, 11 }, ["^"] = { 14, 13 },
}
local UNARY = 12
local unary = { ["not"] = true, ["-"] = true, ["#"] = true, ["~"] = true }
local closing = { eof = true, ["end"] = true, ["else"] = true, ["elseif"] = true,
  ["until"] = true }

local parser = {}
parser.__index = parser

--- On by one word, which is returned.
function parser:next()
  local word = self.word
  self.at = self.at + 1
  self.word = self.words[self.at]
  self.last = word
  return word
end

--- The next word if it is of this kind, or nil.
function parser:take(kind)
  if self.word.kind == kind then return self:next() end
end

--- The next word, which has to be of this kind.
function parser:need(kind)
  if self.word.kind ~= kind then
    error({ line = self.word.line, message = ("'%s' expected near '%s'")
      :format(kind, self.word.text) })
  end
  return self:next()
end

--- A node that begins at `first` (a word or a node) and ends at the last word that was read.
function parser:node(t, first, fields)
  fields.t, fields.line, fields.from, fields.to = t, first.line, first.from, self.last.to
  return fields
end

local function deeper(count, line)
  if count < MAX_CHAIN then return count + 1 end
  error({ line = line, limit = true,
    message = ("an expression of more than %d parts: too long to be read"):format(MAX_CHAIN) })
end

-- Expressions ---------------------------------------------------------------------------

function parser:name()
  local word = self:need("name")
  return self:node("name", word, { name = word.text })
end

function parser:string()
  local word = self:need("string")
  -- A literal and nothing else: Lua reads its own escapes.
  local value = load("return " .. word.text, "=literal", "t", {})()
  return self:node("string", word, { raw = word.text, value = value })
end

--- A name behind a dot, or before "=" in a table, is a text.
function parser:key(word)
  return self:node("string", word, { raw = '"' .. word.text .. '"', value = word.text })
end

function parser:exprs()
  local list = { self:expr() }
  while self:take(",") do list[#list + 1] = self:expr() end
  return list
end

--- One item of a table.
function parser:field()
  local first = self.word
  if self:take("[") then
    local key = self:expr()
    self:need("]")
    self:need("=")
    return { key = key, value = self:expr() }
  end
  if first.kind == "name" and self.words[self.at + 1].kind == "=" then
    self:next()
    local key = self:key(first)
    self:next()
    return { key = key, dot = true, value = self:expr() }
  end
  return { value = self:expr() }
end

function parser:table()
  local first, items = self:need("{"), {}
  while self.word.kind ~= "}" do
    items[#items + 1] = self:field()
    if not (self:take(",") or self:take(";")) then break end
  end
  self:need("}")
  return self:node("table", first, { items = items })
end

--- Behind the word `function`, which is `first`.
function parser:func(first)
  local params, vararg = {}, false
  self:need("(")
  while self.word.kind ~= ")" do
    if self:take("...") then vararg = true else params[#params + 1] = self:name() end
    if not self:take(",") then break end
  end
  self:need(")")
  local body = self:block()
  local last = self:need("end").line
  return self:node("func", first,
    { params = params, vararg = vararg, body = body, last = last })
end

--- The arguments of a call: in parentheses, one text, or one table.
function parser:args()
  if self.word.kind == "string" then return { self:string() } end
  if self.word.kind == "{" then return { self:table() } end
  self:need("(")
  local args = self.word.kind == ")" and {} or self:exprs()
  self:need(")")
  return args
end

local begins_args = { ["("] = true, ["{"] = true, string = true }

--- One more `.name`, `[key]`, `:name(args)` or `(args)` behind `e`; nil when there is none.
function parser:suffix(e)
  local kind = self.word.kind
  if begins_args[kind] then
    local args = self:args()
    return self:node("callexpr", e, { fn = e, args = args })
  end
  if kind == "." then
    self:next()
    local key = self:key(self:need("name"))
    return self:node("index", e, { obj = e, key = key, dot = true })
  elseif kind == "[" then
    self:next()
    local key = self:expr()
    self:need("]")
    return self:node("index", e, { obj = e, key = key })
  elseif kind == ":" then
    self:next()
    local name = self:need("name").text
    local args = self:args()
    return self:node("method", e, { obj = e, name = name, args = args })
  end
end

--- A name or an expression in parentheses, and all that hangs on it.
function parser:suffixed()
  local first, count = self.word, 0
  local e
  if self:take("(") then
    local inner = self:expr()
    self:need(")")
    e = self:node("paren", first, { e = inner })
  else
    e = self:name()
  end
  while true do
    local longer = self:suffix(e)
    if not longer then return e end
    e, count = longer, deeper(count, e.line)
  end
end

local constants = { ["nil"] = "nil", ["true"] = "true", ["false"] = "false",
  ["..."] = "vararg" }

--- An expression without an operator.
function parser:simple()
  local first = self.word
  local kind = first.kind
  if kind == "string" then return self:string() end
  if kind == "{" then return self:table() end
  if kind == "number" then
    self:next()
    return self:node("number", first, { raw = first.text })
  elseif constants[kind] then
    self:next()
    return self:node(constants[kind], first, {})
  elseif kind == "function" then
    return self:func(self:next())
  end
  return self:suffixed()
end

--- An expression whose operators bind more than `limit`.
function parser:expr(limit)
  local first, count = self.word, 0
  local left
  limit = limit or 0
  if unary[first.kind] then
    self:next()
    local e = self:expr(UNARY)
    left = self:node("unary", first, { op = first.kind, e = e })
  else
    left = self:simple()
  end
  while true do
    local bind = binding[self.word.kind]
    if not bind or bind[1] <= limit then return left end
    local op = self:next().kind
    local right = self:expr(bind[2])
    left = self:node("binary", left, { op = op, left = left, right = right })
    count = deeper(count, left.line)
  end
end

-- Statements ----------------------------------------------------------------------------

local statements = {}

statements["if"] = function(p, first)
  local clauses, orelse = {}, nil
  repeat
    p:next()
    local cond = p:expr()
    p:need("then")
    clauses[#clauses + 1] = { cond = cond, body = p:block() }
  until p.word.kind ~= "elseif"
  if p:take("else") then orelse = p:block() end
  p:need("end")
  return p:node("if", first, { clauses = clauses, orelse = orelse })
end

statements["while"] = function(p, first)
  p:next()
  local cond = p:expr()
  p:need("do")
  local body = p:block()
  p:need("end")
  return p:node("while", first, { cond = cond, body = body })
end

statements["repeat"] = function(p, first)
  p:next()
  local body = p:block()
  p:need("until")
  local cond = p:expr()
  return p:node("repeat", first, { body = body, cond = cond })
end

statements["do"] = function(p, first)
  p:next()
  local body = p:block()
  p:need("end")
  return p:node("do", first, { body = body })
end

statements["for"] = function(p, first)
  p:next()
  local vars = { p:name() }
  local numeric = p.word.kind == "="
  while not numeric and p:take(",") do vars[#vars + 1] = p:name() end
  p:need(numeric and "=" or "in")
  local exprs = p:exprs()
  p:need("do")
  local body = p:block()
  p:need("end")
  if not numeric then
    return p:node("forin", first, { vars = vars, exprs = exprs, body = body })
  end
  return p:node("fornum", first, { var = vars[1], exprs = exprs, body = body })
end

statements["function"] = function(p, first)
  p:next()
  local target, method = p:name(), nil
  while p.word.kind == "." or p.word.kind == ":" do
    method = p:next().kind == ":"
    local key = p:key(p:need("name"))
    target = p:node("index", target, { obj = target, key = key, dot = true })
  end
  local func = p:func(first)
  if method then
    table.insert(func.params, 1, { t = "name", name = "self", line = first.line,
      from = first.from, to = first.from })
  end
  return p:node("function", first, { target = target, func = func, method = method })
end

statements["local"] = function(p, first)
  p:next()
  if p:take("function") then
    local name = p:name()
    local func = p:func(first)
    return p:node("localfunction", first, { name = name, func = func })
  end
  local names = {}
  repeat
    local name = p:name()
    if p:take("<") then
      name.attrib = p:need("name").text
      p:need(">")
    end
    names[#names + 1] = name
  until not p:take(",")
  local exprs = p:take("=") and p:exprs() or {}
  return p:node("local", first, { names = names, exprs = exprs })
end

statements["return"] = function(p, first)
  p:next()
  local exprs = (closing[p.word.kind] or p.word.kind == ";") and {} or p:exprs()
  local node = p:node("return", first, { exprs = exprs })
  p:take(";")
  return node
end

statements["goto"] = function(p, first)
  p:next()
  return p:node("goto", first, { label = p:need("name").text })
end

statements["::"] = function(p, first)
  p:next()
  local label = p:need("name").text
  p:need("::")
  return p:node("label", first, { label = label })
end

statements["break"] = function(p, first)
  p:next()
  return p:node("break", first, {})
end

statements[";"] = function(p, first)
  p:next()
  return p:node("empty", first, {})
end

function parser:statement()
  local first = self.word
  local special = statements[first.kind]
  if special then return special(self, first) end
  local e = self:suffixed()
  if self.word.kind ~= "=" and self.word.kind ~= "," then
    return self:node("call", first, { expr = e })
  end
  local targets = { e }
  while self:take(",") do targets[#targets + 1] = self:suffixed() end
  self:need("=")
  local exprs = self:exprs()
  return self:node("assign", first, { targets = targets, exprs = exprs })
end

--- Statements, up to a word that ends a block.
function parser:block()
  local list = {}
  while not closing[self.word.kind] do list[#list + 1] = self:statement() end
  return list
end

-- The whole file ------------------------------------------------------------------------

--- The tree of a source: {t = "func", params, vararg, body, source, file}, as of one function;
-- nil, a message with file and line, and whether a limit was met. `file` is the name for
-- messages.
function M.parse(source, file)
  if #source > MAX_BYTES then
    return nil, ("%s: larger than %d bytes; no script that people read is"):format(file,
      MAX_BYTES), true
  end
  local ok, why = load(source, "@" .. file, "t")
  if not ok and type(why) == "string" and why:sub(1, #file) == file then return nil, why end
  if not ok then return nil, file .. ": nested deeper than Lua's compiler goes", true end
  source = source:gsub("\r\n", "\n"):gsub("\n\r", "\n"):gsub("\r", "\n")
  local words = lex(source)
  local p = setmetatable({ words = words, at = 1, word = words[1], last = words[1] }, parser)
  local done, body = pcall(p.block, p)
  if not done then
    if type(body) ~= "table" then error(body, 0) end
    return nil, ("%s:%d: %s"):format(file, body.line, body.message), body.limit
  end
  p:need("eof")
  return { t = "func", params = {}, vararg = true, body = body, line = 0, last = 0, from = 1,
    to = #source, source = source, file = file }
end

return M
