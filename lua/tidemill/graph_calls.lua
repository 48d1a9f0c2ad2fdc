--- How each kind of call is drawn: the primitives, actions, steps, Lua's pcall and error, and
-- what cannot be known.
--
-- Each is a method of the drawing (tidemill.graph_build) that gets the call, its argument
-- expressions (behind pcall(f, …) not the call's own) and draws behind `self.ends`.
-- @module tidemill.graph_calls

local build = require("tidemill.graph_build")
local value = require("tidemill.graph_value")

local M = build
local join = build.join
local UNKNOWN = { t = "vararg" } -- an argument of which nothing is known

--- What an argument is called: its text when it is one; else its source.
function M:text_of(e)
  if not e then return "?" end
  local v = self.values:eval(e, self.frame)
  if v and v.k == "string" then return v.value, v.value end
  return self:source(e)
end

--- The field `name` of a call's table of options, as its source without quotes; or nil.
function M:option(e, name)
  local v = e and self.values:eval(e, self.frame)
  local found = v and v.k == "table" and value.option(v.node, name)
  if not found then return nil end
  local outer = self.frame
  self.frame = v.frame -- the table may stand elsewhere
  local text = self:text_of(found)
  self.frame = outer
  return text
end

--- Draw a call of the function that `e` stands for, with arguments that are not known.
function M:apply_to(e, at, args)
  if not e then return end
  self:apply(self.values:eval(e, self.frame), at, args or { UNKNOWN }, e)
end

-- Primitives --------------------------------------------------------------------------------

local primitive = {}

function primitive.llm(self, e, args)
  local name, unit = self:text_of(args[1])
  self:durable("llm", name, e, { unit = unit })
end

--- The tools of a call: those it names, else those its prompt names.
local function tools_of(self, args, unit)
  local opts = self.values:eval(args[3], self.frame)
  local given = opts and opts.k == "table" and value.option(opts.node, "tools")
  if given then
    local list = self.values:eval(given, self.frame)
    return list and list.k == "table" and self.values:elements(list) or { { e = given } }
  end
  local made, found = self.known.declared(), {}
  for _, name in ipairs(unit and self.known.tools(unit) or {}) do
    found[#found + 1] = { label = name, v = made[name] }
  end
  return found
end

local function draw_tools(self, e, args, kind, comes_back)
  local name, unit = self:text_of(args[1])
  local id = self:durable(kind, name, e, { unit = unit })
  local out = { { from = id, label = not comes_back and "none" or nil } }
  for _, tool in ipairs(tools_of(self, args, unit)) do
    self.ends = { { from = id, label = "tool" } }
    self:apply(tool.v, e, { UNKNOWN }, tool.e, tool.label)
    if not comes_back then
      out = join(out, self.ends)
    elseif #self.nodes > id then
      self:back_to(id)
    end
  end
  self.ends = out
end

function primitive.agent(self, e, args) draw_tools(self, e, args, "agent", true) end
function primitive.tools(self, e, args) draw_tools(self, e, args, "tools", false) end

function primitive.embed(self, e) self:durable("embed", "vectors", e) end

function primitive.decide(self, e, args)
  local id = self:durable("decide", (self:text_of(args[1])), e)
  self.ends = { { from = id, label = "new" } }
  self:apply_to(args[3], e, {})
  self.ends = join(self.ends, { { from = id, label = "known" } })
end

function primitive.gate(self, e, args)
  local deadline = self:option(args[2], "deadline")
  local late = deadline and self:option(args[2], "on_timeout")
  local on_reject = self:option(args[2], "on_reject")
  self:durable("gate", (self:text_of(args[1])), e,
    { deadline = deadline, on_timeout = late, on_reject = on_reject })
end

function primitive.wait(self, e, args)
  local name, event = self:text_of(args[1])
  self:durable("wait", name, e, { event = event, timeout = self:option(args[2], "timeout") })
end

function primitive.emit(self, e, args)
  local name, event = self:text_of(args[2])
  self:durable("emit", name, e, { event = event })
end

function primitive.call(self, e, args)
  local name, workflow = self:text_of(args[1])
  local timeout = self:option(args[3], "timeout")
  self:durable("call", name, e, { workflow = workflow, timeout = timeout })
end

function primitive.start(self, e, args)
  local name, workflow = self:text_of(args[1])
  self:durable("start_child", name, e, { workflow = workflow })
end

function primitive.sleep(self, e, args) self:durable("sleep", (self:text_of(args[1])), e) end
function primitive.fetch(self, e, args) self:durable("fetch", (self:text_of(args[1])), e) end

--- The run ends here, and begins again.
function primitive.continue_as(self, e)
  local id = self:durable("continue", "continue as a fresh run", e)
  if self.begin then self:edge(id, self.begin, nil, "back") end
  self.ends, self.moves = {}, self.moves + 1
end

local function held(kind, label)
  return function(self, e, args)
    local outer = self:start_group(kind, label .. " " .. self:text_of(args[1]), e)
    self:durable(kind, (self:text_of(args[1])), e)
    self:apply_to(args[2], e, {})
    self.group = outer
  end
end
primitive.lock, primitive.within = held("lock", "lock"), held("within", "within")

--- Branches side by side, and where they meet.
local function branches(self, e, kind, label, list, meet)
  local outer = self:start_group(kind, label, e)
  local id, out = self:durable(kind, label, e), {}
  for i, branch in ipairs(list) do
    self.ends = { { from = id, label = branch.label or tostring(i) } }
    self:apply(branch.v, e, branch.args or {}, branch.e)
    out = join(out, self.ends)
  end
  self.ends = out
  self:node("join", meet, e)
  self.group = outer
end

local function list_of(self, e)
  local v = e and self.values:eval(e, self.frame)
  local list = v and v.k == "table" and self.values:elements(v) or {}
  local here = v and v.k == "table" and v.frame.func.tree == self.frame.func.tree
  for _, item in ipairs(list) do
    item.e, item.label = here and item.e or not item.v and e, item.label or "each"
  end
  return list[1] and list or { { label = "each", e = e } }
end

function primitive.all(self, e, args)
  branches(self, e, "all", "all", list_of(self, args[1]), "all are done")
end

function primitive.race(self, e, args)
  branches(self, e, "race", "race", list_of(self, args[1]), "the first is done")
end

function primitive.map(self, e, args)
  local over = args[1] and self:source(args[1]) or "?"
  local fn = args[2] and self.values:eval(args[2], self.frame)
  branches(self, e, "map", "map " .. over,
    { { label = "each", v = fn, e = args[2], args = { UNKNOWN } } }, "all are done")
end

--- http, exec, file: allowed in an action only, where a drawing does not go.
local function verb(self, e, args, fn)
  self:durable("verb", fn.name .. " " .. self:text_of(args[1]), e)
end

-- Lua's own -----------------------------------------------------------------------------------

local standard = {}

function standard.error(self, e, args)
  local ends = self.ends
  if #ends == 0 then return end
  self:node("fail", "error " .. (args[1] and self:source(args[1]) or ""), e)
  self:raise(self.ends)
  self.ends = {}
end

--- pcall(f, …): whatever f raises is caught, and goes on.
local function protected(self, e, args, rest, handler)
  local mark, outer = self:mark(), self.catch
  local id = self:node("try", "pcall", e)
  self.catch = {}
  self:apply_to(args[1], e, rest)
  local caught = self.catch
  self.catch = outer
  if not self:moved(mark) then return self:back(mark) end
  local done = self.ends
  self.ends = join({ { from = id, label = "error", kind = "error" } }, caught)
  self:apply_to(handler, e)
  self.ends = join(done, self.ends)
end

function standard.pcall(self, e, args)
  protected(self, e, args, { table.unpack(args, 2) })
end

function standard.xpcall(self, e, args)
  protected(self, e, args, { table.unpack(args, 3) }, args[2])
end

-- Actions and steps
-- -----------------------------------------------------------------------------

local function flag(spec, name)
  local found = value.option(spec, name)
  return found and found.t == "true" or nil
end

local function apply_action(self, v, e)
  local spec, above = v.spec, value.option(v.spec, "gate_above")
  self:durable("action", v.name or "an action", e, {
    action = v.name, repeatable = flag(spec, "repeatable"), db = flag(spec, "db"),
    irreversible = flag(spec, "irreversible"), gate_above = above and self:source(above),
  })
end

--- The step's own functions are read in the frame in which it was declared.
function M:in_step(v, name, args)
  local found, outer = value.option(v.spec, name), self.frame
  if not found then return end
  self.frame = v.frame
  local fn = self.values:eval(found, v.frame)
  self.frame = outer
  self:apply(fn, found, args)
end

--- run, then its check; whatever fails goes to the fallback.
local function draw_step(self, v, args)
  local here = self.frame
  self.frame = v.frame
  local id = self:node("step", v.name or "a step", v.node, { step = v.name })
  self.frame = here
  local fallback = value.option(v.spec, "fallback")
  local outer, failed = self.catch, {}
  if fallback then self.catch = failed end
  self:in_step(v, "run", args)
  local ends
  if value.option(v.spec, "check") then
    self:in_step(v, "check", { UNKNOWN })
    self.frame = v.frame
    local check = self:node("check", "check of " .. (v.name or "the step"),
      value.option(v.spec, "check"))
    self.frame = here
    ends = { { from = check, label = "holds" } }
    failed[#failed + 1] = { from = check, label = "fails", kind = "error" }
  end
  self.catch = outer
  ends = ends or self.ends
  if fallback then
    self.ends = join({ { from = id, label = "fails", kind = "error" } }, failed)
    self:in_step(v, "fallback", { UNKNOWN })
    ends = join(ends, self.ends)
  elseif outer then
    self:raise(failed)
  elseif #failed > 0 then
    self.ends, self.frame = failed, v.frame
    self:node("fail", "error: the check fails", value.option(v.spec, "check"))
    self.frame = here
  end
  self.ends = ends
end

local function apply_step(self, v, e, args)
  local frame = self.frame
  self:follow(v, {}, e, v.name or "a step", function()
    local outer = self.frame
    self.frame = frame
    draw_step(self, v, args)
    self.frame = outer
  end, { kind = "step", label = "step " .. (v.name or "?") })
end

-- Any call
-- --------------------------------------------------------------------------------------

local apply = {}

function apply.prim(self, v, e, args)
  local name = v.name:match "^[%l_]+"
  if primitive[name] then
    primitive[name](self, e, args, v)
  elseif not value.quiet[name] then
    verb(self, e, args, v)
  end
end

apply.action, apply.step = apply_action, apply_step

--- A name for people: `flow.line`, `propose`; nil for anything longer.
local function name_of(self, e)
  local text = e and e.from and self:source(e)
  return text and text:match "^[%w_.:]+" == text and text
    or e and e.t == "method" and self:source(e.obj) .. ":" .. e.name or nil
end

function apply.func(self, v, e, args, callee)
  local values = self.known.coarse and { open = true } or self.values:values(args, self.frame)
  local name = name_of(self, callee)
  self:follow(v, values, e, name or v.node.title or "a function",
    function(key) self:body(v, values, key) end,
    name and { kind = "function", label = name })
end

-- The functions of Lua's library that call what they are given.
local callers = { gsub = true, ["string.gsub"] = true, ["table.sort"] = true,
  ["coroutine.wrap"] = true, ["coroutine.create"] = true }

--- How often they call it, and when, is theirs to say.
function apply.pure(self, v, e, args)
  if standard[v.name] then return standard[v.name](self, e, args) end
  local list = {}
  for _, arg in ipairs(callers[v.name] and args or {}) do
    local given = self.values:eval(arg, self.frame)
    if value.may_work(given) then
      list[#list + 1] = { v = given, label = "calls", args = { UNKNOWN } }
    end
  end
  if #list > 0 then self:choose({ items = list, maybe = true }, e, args, e.fn or e) end
end

function apply.union(self, v, e, args, callee) self:choose(v, e, args, callee) end

-- Values that are called only when something has gone wrong, or that declare.
function apply.curry() end

--- One of several, or something unknown: a marked node, and a way for each that is known.
function M:choose(v, e, args, callee)
  local mark = self:mark()
  local label = callee and callee.from and self:source(self:callee_of(callee)) or "?"
  local id, out = self:node("unknown", label, e), {}
  for _, item in ipairs(v.items) do
    self.ends = { { from = id, label = item.label } }
    if item.v then self:apply(item.v, e, item.args or args, nil) end
    out = join(out, self.ends)
  end
  if v.open or v.maybe then
    out = join(out, { { from = id, label = #v.items > 0 and "else" or nil } })
  end
  if v.open then
    self.work = self.work + 1
  elseif not self:moved(mark) then
    return self:back(mark)
  end
  self.ends = out
end

--- Draw what the call `e` of the value `v` does. `callee`: what names it in the source.
function M:apply(v, e, args, callee, label)
  self.met[e] = true
  local draw = v and apply[v.k]
  if draw then return draw(self, v, e, args, callee) end
  if v and (v.k == "const" or v.k == "string") then return end -- an error when it is reached
  if label then
    self:durable("unknown", label, e)
  else
    self:choose({ items = {}, open = true }, e, args, callee)
  end
end

--- What is shown of a call that nobody can follow: all but its arguments.
function M:callee_of(e)
  if e.t ~= "method" then return e end
  local source = self.frame.func.tree.source
  local _, to = source:find(":%s*" .. e.name, e.obj.to)
  return { from = e.from, to = to or e.to }
end

return M
