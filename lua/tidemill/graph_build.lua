--- A workflow's tree as a graph: what it does durably, and in which order.
--
-- Pure code is folded: what calls no primitive, does not leave its function and does not raise
-- is tried, found to have drawn nothing, and taken back. A function is followed where it is
-- called; one that is called more than once (with the same functions and texts), or by itself,
-- is drawn once, beside, and each call of it is a node that points there. Which ones these are
-- is known only at the end, so the drawing is repeated until no more turn up.
--
-- `ends` is what the next node follows: a list of {from, label, kind}.
-- @module tidemill.graph_build

local value = require("tidemill.graph_value")

local M = {}
M.__index = M

local MAX_NODES = 2000
local MAX_NESTED = 60 -- calls within calls
local MAX_SOURCE = 60 -- bytes of a condition, as it is shown

--- One pass. `known` is kept from pass to pass: {shared, pure, keys, values}; with `coarse`,
-- what a function is called with is not looked at, so each is drawn once.
function M.new(known)
  return setmetatable({ known = known, values = known.values, nodes = {}, edges = {},
    groups = {}, ends = {}, work = 0, moves = 0, again = {}, seen = {}, stack = {}, queue = {},
    entries = {}, met = {} }, M)
end

-- Nodes -----------------------------------------------------------------------------------

--- The source of an expression on one line, cut.
function M:source(e)
  if not e.from then return "…" end
  local source = self.frame.func.tree.source
  local text = source:sub(e.from, e.to):gsub("%s+", " ")
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]", "?") end
  if #text <= MAX_SOURCE then return text end
  local cut = MAX_SOURCE
  while text:byte(cut + 1) & 0xC0 == 0x80 do cut = cut - 1 end
  return text:sub(1, cut) .. "…"
end

--- An edge; kind "error", "back", "call" or nil.
function M:edge(from, to, label, kind)
  table.insert(self.edges, { from = from, to = to, label = label, kind = kind })
end

--- A node that follows all ends, and is the only end now. `at`: what it was read from.
function M:node(kind, label, at, more)
  if #self.nodes >= MAX_NODES then
    error({ code = 10, message = ("more than %d nodes: a drawing that nobody could read")
      :format(MAX_NODES) })
  end
  local node = more or {}
  node.kind, node.label, node.group = kind, label, self.group
  node.file, node.line = self.frame.func.tree.file, at.line
  table.insert(self.nodes, node)
  local id = #self.nodes
  for _, e in ipairs(self.ends) do self:edge(e.from, id, e.label, e.kind) end
  self.ends = { { from = id } }
  return id
end

--- A node that stands for durable work.
function M:durable(kind, label, at, more)
  self.work = self.work + 1
  return self:node(kind, label, at, more)
end

--- A group that the nodes from now on are in; the one before, to go back to. `tree`: where `at`
-- stands, when that is not here.
function M:start_group(kind, label, at, tree)
  table.insert(self.groups, { kind = kind, label = label, parent = self.group,
    file = (tree or self.frame.func.tree).file, line = at.line })
  local outer = self.group
  self.group = #self.groups
  return outer
end

local function join(...)
  local list = {}
  for _, ends in ipairs { ... } do
    for _, e in ipairs(ends) do list[#list + 1] = e end
  end
  return list
end
M.join = join

-- Trying ----------------------------------------------------------------------------------

local function copy(t)
  local c = {}
  for k, v in pairs(t) do c[k] = v end
  return c
end

--- Where the drawing stands, to go back to.
function M:mark()
  return { nodes = #self.nodes, edges = #self.edges, groups = #self.groups, ends = self.ends,
    work = self.work, moves = self.moves, caught = self.catch and #self.catch,
    again = copy(self.again) }
end

local function cut(list, n)
  for i = #list, n + 1, -1 do list[i] = nil end
end

--- As if nothing had been drawn since the mark.
function M:back(mark)
  cut(self.nodes, mark.nodes)
  cut(self.edges, mark.edges)
  cut(self.groups, mark.groups)
  if self.catch then cut(self.catch, mark.caught) end
  self.ends, self.work, self.moves, self.again = mark.ends, mark.work, mark.moves, mark.again
end

--- Was anything drawn, left or raised since the mark?
function M:moved(mark)
  return self.work > mark.work or self.moves > mark.moves
end

-- Expressions -------------------------------------------------------------------------------

local expr = {}

--- Draw the calls in an expression, in the order in which they are made.
function M:expr(e)
  local visit = expr[e.t]
  if visit then visit(self, e) end
end

--- The same for several.
function M:exprs(list)
  for _, e in ipairs(list) do self:expr(e) end
end

function expr.paren(self, e) self:expr(e.e) end
function expr.unary(self, e) self:expr(e.e) end

function expr.index(self, e)
  self:expr(e.obj)
  self:expr(e.key)
end

function expr.table(self, e)
  for _, item in ipairs(e.items) do
    if item.key then self:expr(item.key) end
    self:expr(item.value)
  end
end

--- `a and b`: b only when a holds.
function expr.binary(self, e)
  self:expr(e.left)
  if e.op ~= "and" and e.op ~= "or" then return self:expr(e.right) end
  local mark = self:mark()
  local id = self:node("branch", self:source(e.left), e.left)
  local on, off = "yes", "no"
  if e.op == "or" then on, off = off, on end
  self.ends = { { from = id, label = on } }
  self:expr(e.right)
  if not self:moved(mark) then return self:back(mark) end
  self.ends = join(self.ends, { { from = id, label = off } })
end

function expr.callexpr(self, e)
  self:expr(e.fn)
  self:exprs(e.args)
  self:apply(self.values:eval(e.fn, self.frame), e, e.args, e.fn)
end

function expr.method(self, e)
  self:expr(e.obj)
  self:exprs(e.args)
  local fn = self.values:method(e, self.frame)
  local args = e.args
  if fn and fn.k ~= "pure" and fn.k ~= "curry" then args = { e.obj, table.unpack(e.args) } end
  self:apply(fn, e, args, e)
end

-- Statements --------------------------------------------------------------------------------

local statement = {}

--- Draw a statement. `tail`: it is the last one of its function.
function M:statement(s, tail)
  local visit = statement[s.t]
  if visit then visit(self, s, tail) end
end

--- A block: its labels can be reached from inside. `loop`: it is a loop's body.
function M:block(list, loop, is_body)
  local block = { outer = self.here, loop = loop, labels = {} }
  for _, s in ipairs(list) do
    if s.t == "label" then block.labels[s.label] = { waiting = {} } end
  end
  self.here = block
  for i, s in ipairs(list) do self:statement(s, is_body and i == #list) end
  self.here = block.outer
end

statement["local"] = function(self, s) self:exprs(s.exprs) end
statement["do"] = function(self, s) self:block(s.body) end
function statement.call(self, s) self:expr(s.expr) end

function statement.assign(self, s)
  for _, target in ipairs(s.targets) do
    if target.t == "index" then self:expr(target) end
  end
  self:exprs(s.exprs)
end

statement["if"] = function(self, s)
  local mark, out = nil, {}
  for i, clause in ipairs(s.clauses) do
    self:expr(clause.cond)
    mark = mark or self:mark()
    local id = self:node("branch", self:source(clause.cond), clause.cond)
    self.ends = { { from = id, label = "yes" } }
    self:block(clause.body)
    out[i] = self.ends
    self.ends = { { from = id, label = "no" } }
  end
  if s.orelse then self:block(s.orelse) end
  if not self:moved(mark) then return self:back(mark) end
  out[#out + 1] = self.ends
  self.ends = join(table.unpack(out))
end

--- Run `fn`, which draws a loop and returns the node and the label by which it is left, or
-- false where only a break leaves it.
function M:loop(fn)
  local mark, outer = self:mark(), self.breaks
  local loop = { ends = {}, hops = 0 }
  self.breaks = loop
  local id, label = fn()
  self.breaks = outer
  local moved = self.work > mark.work or self.moves - loop.hops > mark.moves
  if not moved then return self:back(mark) end
  self.ends = join(id and { { from = id, label = label } } or {}, loop.ends)
end

--- All ends lead back to a node that is there.
function M:back_to(head)
  for _, e in ipairs(self.ends) do
    self:edge(e.from, head, e.label or "again", e.kind or "back")
  end
end

statement["while"] = function(self, s)
  self:loop(function()
    local head, forever = #self.nodes + 1, s.cond.t == "true"
    self:expr(s.cond)
    local id = self:node("loop", "while " .. self:source(s.cond), s)
    self.ends = { { from = id, label = not forever and "yes" or nil } }
    self:block(s.body, true)
    self:back_to(head)
    return not forever and id, "no"
  end)
end

statement["repeat"] = function(self, s)
  self:loop(function()
    local head = #self.nodes + 1
    self:block(s.body, true)
    self:expr(s.cond)
    local id = self:node("loop", "until " .. self:source(s.cond), s.cond)
    self.ends = { { from = id, label = "no" } }
    self:back_to(head)
    return id, "yes"
  end)
end

local function counted(self, s, head)
  self:exprs(s.exprs)
  self:loop(function()
    local id = self:node("loop", head, s)
    self.ends = { { from = id, label = "each" } }
    self:block(s.body, true)
    self:back_to(id)
    return id, "done"
  end)
end

--- Several expressions, as they stand.
local function sources(self, list)
  local text = {}
  for i, e in ipairs(list) do text[i] = self:source(e) end
  return table.concat(text, ", ")
end

function statement.fornum(self, s)
  counted(self, s, ("for %s = %s"):format(s.var.name, sources(self, s.exprs)))
end

function statement.forin(self, s)
  local names = {}
  for i, var in ipairs(s.vars) do names[i] = var.name end
  counted(self, s,
    ("for %s in %s"):format(table.concat(names, ", "), sources(self, s.exprs)))
end

--- A jump that stays in its loop is no way out of it.
function M:hop()
  self.moves = self.moves + 1
  if self.breaks then self.breaks.hops = self.breaks.hops + 1 end
end

statement["break"] = function(self)
  self:hop()
  self.breaks.ends = join(self.breaks.ends, self.ends)
  self.ends = {}
end

statement["goto"] = function(self, s)
  local block, crossed = self.here, false
  while not block.labels[s.label] do
    crossed = crossed or block.loop
    block = block.outer
  end
  if crossed then self.moves = self.moves + 1 else self:hop() end
  local label = block.labels[s.label]
  if label.id then
    self:back_to(label.id)
  else
    label.waiting = join(label.waiting, self.ends)
  end
  self.ends = {}
end

function statement.label(self, s)
  local label = self.here.labels[s.label]
  self.ends = join(self.ends, label.waiting)
  label.id = self:node("label", s.label, s)
end

--- Nothing is said of a return that is the function's last statement, or of one whose value was
-- drawn: the edges say it.
statement["return"] = function(self, s, tail)
  local work = self.work
  self:exprs(s.exprs)
  if not tail and self.work == work and #self.ends > 0 then
    self:node("return", ("return " .. sources(self, s.exprs)):match "^(.-)%s*$", s)
  end
  self.moves = self.moves + 1
  self.returns = join(self.returns, self.ends)
  self.ends = {}
end

--- What is raised here goes to the nearest pcall, or is the end.
function M:raise(ends)
  self.moves = self.moves + 1
  for _, e in ipairs(ends) do
    if self.catch then
      table.insert(self.catch, { from = e.from, label = e.label, kind = "error" })
    end
  end
end

-- Calls of functions --------------------------------------------------------------------------

local function word_of(v)
  if not v or v.k == "const" then return v and v.name or "-" end
  if v.k == "string" then return ("%q"):format(v.value) end
  if v.k == "union" then
    local list = {}
    for i, item in ipairs(v.items) do list[i] = word_of(item.v) end
    return "(" .. table.concat(list, "|") .. ")"
  end
  if not v.node then return v.k .. (v.name or "") end
  return ("%s:%d@%s"):format(v.k, v.node.from, v.frame.key)
end

--- Two calls with the same key draw the same. Interned: keys stand in keys.
function M:key(v, args)
  local words = { v.node.tree and v.node.tree.file or "", word_of(v) }
  if self.known.coarse then words[2] = v.node.from end
  for i = 1, self.known.coarse and 0 or #(v.node.params or {}) do
    words[#words + 1] = word_of(args[i])
  end
  local text, keys = table.concat(words, " "), self.known.keys
  if not keys[text] then
    keys.n = (keys.n or 0) + 1
    keys[text] = "#" .. keys.n
  end
  return keys[text]
end

--- Draw the body of a function that was called.
function M:body(v, args, key)
  local outer = { self.frame, self.here, self.breaks, self.returns }
  self.frame, self.here, self.breaks, self.returns = value.frame(v, args, key), nil, nil, {}
  self:block(v.node.body, false, true)
  self.ends = join(self.ends, self.returns)
  self.frame, self.here, self.breaks, self.returns = table.unpack(outer, 1, 4)
end

--- A node that points at what is drawn elsewhere.
function M:reference(key, name, at)
  self.work = self.work + 1
  self:node("subroutine", name, at, { key = key })
end

--- Is it on the way already? Then it calls itself.
function M:is_inside(key, v)
  local times = 0
  for _, inner in ipairs(self.stack) do
    if inner.key == key then return key end
    if inner.node == v.node then times = times + 1 end
    if times > 1 then return inner.key end -- new functions each time, without end
  end
end

local function was_pure(self, mark, key)
  if self.work > mark.work then return false end
  for other, n in pairs(self.again) do
    if other ~= key and n ~= (mark.again[other] or 0) then return false end
  end
  return true
end

--- Draw `draw` as the inside of `key`, or take it back when it is pure.
function M:inside(key, v, group, at, draw)
  if #self.stack > MAX_NESTED then
    error({ code = 10, message = ("%s:%d: more than %d functions deep"):format(
      self.frame.func.tree.file, at.line, MAX_NESTED) })
  end
  local mark, outer = self:mark(), self.group
  if group then self:start_group(group.kind, group.label, v.node, v.frame.func.tree) end
  table.insert(self.stack, { key = key, node = v.node })
  draw()
  table.remove(self.stack)
  self.group = outer
  if #self.ends == 0 and #mark.ends > 0 then
    self.work = self.work + 1 -- it never returns: that is worth a look
  elseif was_pure(self, mark, key) then
    self:back(mark)
    self.known.pure[key] = true
  end
end

--- Follow a call. `name` is what people call it; `draw` draws its inside.
function M:follow(v, args, at, name, draw, group)
  local key = self:key(v, args)
  if self.known.pure[key] then return end
  local inside = self:is_inside(key, v)
  if inside then
    self.known.shared[inside] = true
    self.again[inside] = (self.again[inside] or 0) + 1
    self.moves = self.moves + 1
    self:node("subroutine", name, at, { key = inside })
  elseif self.seen[key] then -- drawn in place; the next pass draws it beside
    self.known.shared[key] = true
    self:reference(key, name, at)
  elseif self.known.shared[key] then
    self:reference(key, name, at)
    self.queue[key] = self.queue[key]
      or { draw = draw, key = key, v = v, group = group, name = name, frame = self.frame }
    self.queue[#self.queue + 1] = key
  else
    self:inside(key, v, group, at, function() draw(key) end)
    self.seen[key] = not self.known.pure[key]
  end
end

--- What was called more than once, each by itself: an entry, the body, the way back.
function M:beside()
  local i = 1
  while self.queue[i] do
    local key = self.queue[i]
    local item = self.queue[key]
    if not self.entries[key] then self:aside(item) end
    i = i + 1
  end
end

--- One function, beside.
function M:aside(item)
  local v, name = item.v, item.name
  self.frame, self.group, self.catch, self.ends = v.frame, nil, nil, {}
  self:start_group(item.group and item.group.kind or "function",
    item.group and item.group.label or name, v.node)
  self.entries[item.key] = self:node("entry", name, v.node)
  table.insert(self.stack, { key = item.key, node = v.node })
  self.frame = item.frame
  item.draw(item.key)
  self.frame = v.frame
  table.remove(self.stack)
  if #self.ends > 0 then self:node("exit", "back", v.node) end
  self.group, self.ends = nil, {}
end

return M
