--- Which variable each name of a tree means, and what is ever put into it.
--
-- A variable is {name, func, values, param?}: the function that declares it, and the
-- expressions assigned to it anywhere (`false`: something that no expression here says). Order
-- is not looked at: a variable that two values are assigned to may hold either.
--
-- The tree gets, as a whole: `funcs`, every function with itself first; `stores`, what is put
-- into tables: {obj, key, value}, key false when it is not known; `calls`, all calls;
-- `globals`. Each function gets `outer`, `tree`, `returns` and, where it has a name, `title`,
-- each call its `func`, each name its `var` (nil: a global that nobody here assigns to).
-- @module tidemill.graph_scope

local scan = {}
scan.__index = scan

--- A variable that begins here.
function scan:var(name_node, values, param)
  local var = { name = name_node.name, func = self.func, values = values, param = param }
  name_node.var = var
  self.scope[var.name] = var
  return var
end

--- Run `fn` with a scope of its own.
function scan:inside(fn)
  local outer = self.scope
  self.scope = setmetatable({}, { __index = outer })
  fn()
  self.scope = outer
end

--- The expression that the i-th of several targets gets; nil when it is nil, false when
-- unknown.
local function value_at(exprs, i)
  local last = exprs[#exprs]
  if i <= #exprs then
    if i < #exprs or last.t ~= "vararg" then return exprs[i] end
  end
  if last and (last.t == "callexpr" or last.t == "method" or last.t == "vararg") then
    return false
  end
  return nil
end

-- Expressions ---------------------------------------------------------------------------

local expr = {}

--- Go through an expression.
function scan:expr(e)
  local visit = expr[e.t]
  if visit then visit(self, e) end
end

function scan:exprs(list)
  for _, e in ipairs(list) do self:expr(e) end
end

function expr.name(self, e)
  e.var = self.scope[e.name] or self.tree.globals[e.name]
end

function expr.index(self, e)
  self:expr(e.obj)
  self:expr(e.key)
end

--- table.insert(t, v) is a store; so is flow:step "name" { … }.
local function hidden_store(e)
  local fn = e.fn
  if not fn then return nil end
  if fn.t == "index" and fn.obj.name == "table" and fn.key.value == "insert" and e.args[2] then
    return { obj = e.args[1], key = false, value = e.args[#e.args] }
  elseif fn.t == "method" and fn.name == "step" and fn.args[1] then
    return { obj = fn.obj, key = fn.args[1], value = e }
  end
  return nil
end

function expr.callexpr(self, e)
  self:expr(e.fn)
  self:exprs(e.args)
  e.func = self.func
  table.insert(self.tree.calls, e)
  table.insert(self.tree.stores, hidden_store(e))
end

function expr.method(self, e)
  self:expr(e.obj)
  self:exprs(e.args)
  e.func = self.func
  table.insert(self.tree.calls, e)
end

function expr.func(self, e) self:enter(e) end

function expr.table(self, e)
  for _, item in ipairs(e.items) do
    if item.key then self:expr(item.key) end
    item.value.title = item.key and item.key.value
    self:expr(item.value)
  end
end

function expr.paren(self, e) self:expr(e.e) end
function expr.unary(self, e) self:expr(e.e) end

function expr.binary(self, e)
  self:expr(e.left)
  self:expr(e.right)
end

-- Statements ----------------------------------------------------------------------------

local statement = {}

--- Go through statements in a scope of their own.
function scan:block(list)
  self:inside(function()
    for _, s in ipairs(list) do self:statement(s) end
  end)
end

--- Go through a statement.
function scan:statement(s)
  local visit = statement[s.t]
  if visit then visit(self, s) end
end

--- One target of an assignment gets `value` (false: unknown).
function scan:assign(target, value)
  if target.t == "index" then
    table.insert(self.tree.stores,
      { obj = target.obj, key = target.key.t == "string" and target.key, value = value })
    return
  end
  local globals = self.tree.globals
  local var = self.scope[target.name] or globals[target.name]
  if not var then
    var = { name = target.name, func = self.tree, values = {} }
    globals[target.name] = var
  end
  target.var = var
  table.insert(var.values, value)
end

statement["local"] = function(self, s)
  self:exprs(s.exprs)
  for i, name in ipairs(s.names) do
    if s.exprs[i] then s.exprs[i].title = name.name end
    self:var(name, { value_at(s.exprs, i) })
  end
end

function statement.assign(self, s)
  self:exprs(s.exprs)
  for i, target in ipairs(s.targets) do
    self:expr(target)
    local value = value_at(s.exprs, i)
    if value then value.title = self.tree.source:sub(target.from, target.to) end
    if value ~= nil then self:assign(target, value) end
  end
end

function statement.call(self, s) self:expr(s.expr) end

statement["function"] = function(self, s)
  self:expr(s.target)
  self:assign(s.target, s.func)
  s.func.title = self.tree.source:sub(s.target.from, s.target.to)
  self:expr(s.func)
end

function statement.localfunction(self, s)
  self:var(s.name, { s.func })
  s.func.title = s.name.name
  self:expr(s.func)
end

statement["if"] = function(self, s)
  for _, clause in ipairs(s.clauses) do
    self:expr(clause.cond)
    self:block(clause.body)
  end
  if s.orelse then self:block(s.orelse) end
end

statement["while"] = function(self, s)
  self:expr(s.cond)
  self:block(s.body)
end

-- The condition sees what the body declares.
statement["repeat"] = function(self, s)
  self:inside(function()
    for _, inner in ipairs(s.body) do self:statement(inner) end
    self:expr(s.cond)
  end)
end

statement["do"] = function(self, s) self:block(s.body) end

function statement.fornum(self, s)
  self:exprs(s.exprs)
  self:inside(function()
    self:var(s.var, {})
    self:block(s.body)
  end)
end

--- The values that `for _, v in ipairs(list)` goes through are the elements of the list.
function statement.forin(self, s)
  self:exprs(s.exprs)
  local from = s.exprs[1]
  local list = from.t == "callexpr" and from.fn.t == "name"
    and (from.fn.name == "ipairs" or from.fn.name == "pairs") and from.args[1]
  self:inside(function()
    for i, var in ipairs(s.vars) do
      self:var(var, { i == 2 and list and { t = "element", obj = list } or false })
    end
    self:block(s.body)
  end)
end

statement["return"] = function(self, s)
  self:exprs(s.exprs)
  table.insert(self.func.returns, s.exprs[1])
end

--- A function: its parameters, then its body.
function scan:enter(func)
  local outer = self.func
  table.insert(self.tree.funcs, func)
  func.outer, func.returns, func.tree = outer, {}, self.tree
  self.func = func
  self:inside(function()
    for _, param in ipairs(func.params) do self:var(param, {}, true) end
    self:block(func.body)
  end)
  self.func = outer
end

--- Annotate a tree of tidemill.syntax.
return function(tree)
  tree.funcs, tree.stores, tree.calls, tree.globals = {}, {}, {}, {}
  setmetatable({ tree = tree, scope = {} }, scan):enter(tree)
  return tree
end
