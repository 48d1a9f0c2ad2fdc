--- What an expression may stand for, found by reading alone.
--
-- A value is nil (not known) or a table with `k`:
--   mill                     the library
--   prim     name            a primitive: "llm", "http.get"
--   func     node, frame     a function; the frame is what its outer variables are
--   flow     node, frame     a workflow, filled in by stores
--   table    node, frame     any other table; meta: its metatable
--   action   name, spec, node, frame; step: the same
--   curry    what, name      `mill.workflow "x"`, `flow:step "x"`: wants its table
--   string   value
--   const    name?           a number, a truth value, or "nil": nothing that could be called
--   pure     name            a function of Lua's own library, or what it returned
--   union    items, open     one of several {label, v}; open: or something unknown
--
-- A frame is {outer, func, args, key}: one way in which a function is called.
-- @module tidemill.graph_value

local syntax = require("tidemill.syntax")
local scope = require("tidemill.graph_scope")

local M = {}
M.__index = M

local MAX_LOOKS = 1000000
local MAX_DEPTH = 24
local MAX_ITEMS = 64 -- of one name: whatever else it may be is not known

local CONST, NIL = { k = "const" }, { k = "const", name = "nil" }

local standard = {}
for name in ([[assert collectgarbage coroutine error getmetatable ipairs math next pairs pcall
  print rawequal rawget rawlen rawset select setmetatable string table tonumber tostring type
  utf8 xpcall os io]]):gmatch "%w+" do standard[name] = true end

-- What strings answer to: x:gsub() of an unknown x is one of these.
M.string_methods = {}
for name in ([[byte char find format gmatch gsub len lower match pack packsize rep reverse sub
  unpack upper]]):gmatch "%l+" do M.string_methods[name] = true end

-- Primitives that wait for nobody and change nothing outside: not drawn.
M.quiet = {}
for name in ([[null array schema validate check fill similar now random uuid env log state
  json]]):gmatch "%l+" do M.quiet[name] = true end

--- A reader of the project's files. `read(path)` gives a file's text, or nil.
function M.new(read)
  return setmetatable({ read = read, trees = {}, files = {}, looks = 0, depth = 0 }, M)
end

--- The annotated tree of a file, nil when there is no such file; raises {message, code}.
function M:tree(path)
  if self.trees[path] ~= nil then return self.trees[path] or nil end
  local source = self.read(path)
  self.trees[path] = false
  if not source then return nil end
  local tree, why, limit = syntax.parse(source, path)
  if not tree then error({ message = why, code = limit and 10 or 2 }) end
  self.trees[path] = scope(tree)
  table.insert(self.files, tree)
  tree.frame = { func = tree, args = {}, key = path }
  for _, store in ipairs(tree.stores) do self:keep(tree, store) end
  return tree
end

--- What is put into a table belongs to every table that it may be put into.
function M:keep(tree, store)
  local v = store.obj and self:eval(store.obj, tree.frame)
  for _, item in ipairs(v and v.k == "union" and v.items or { { v = v } }) do
    local node = item.v and (item.v.k == "table" or item.v.k == "flow") and item.v.node
    if node then
      node.stored = node.stored or {}
      local key = store.key and self:eval(store.key, tree.frame)
      table.insert(node.stored, { key = key and key.value, value = store.value })
    end
  end
end

-- Unions ------------------------------------------------------------------------------

local function same(a, b)
  return a == b or a.k == b.k and a.node ~= nil and a.node == b.node and a.frame == b.frame
    or a.k == "prim" and b.k == "prim" and a.name == b.name
end

local function gather(list, v, label)
  if not v then list.open = true return end
  if v.k == "const" then return end
  if v.k == "union" then
    list.open = list.open or v.open
    for _, item in ipairs(v.items) do gather(list, item.v, item.label or label) end
    return
  end
  for _, item in ipairs(list) do
    if same(item.v, v) then return end
  end
  if #list == MAX_ITEMS then list.open = true return end
  list[#list + 1] = { v = v, label = label }
end

--- One of several: `list` has {v, label} and perhaps `open`. `always`: a union also of one.
local function union(list, always)
  if #list == 0 then return not list.open and not always and CONST or nil end
  if #list == 1 and not list.open and not always then return list[1].v end
  return { k = "union", items = list, open = list.open }
end

local works = { func = true, action = true, step = true, prim = true }

--- Is it, or may it be, something whose call could be drawn?
function M.may_work(v)
  if not v then return false end
  for _, item in ipairs(v.k == "union" and v.items or {}) do
    if works[item.v.k] then return true end
  end
  return works[v.k] or false
end

-- Tables ------------------------------------------------------------------------------

--- Every field of a table as {key?, value}, in the order of the source.
local function fields(v)
  local list, n = {}, 0
  for _, item in ipairs(v.node.items or {}) do
    local key = item.key and (item.key.value or item.key.raw)
    if not item.key then
      n = n + 1
      key = tostring(n)
    end
    list[#list + 1] = { key = key, value = item.value }
  end
  for _, item in ipairs(v.node.stored or {}) do list[#list + 1] = item end
  return list
end

--- The field `key` of a table; without a key, any of them.
function M:field(v, key)
  local list = {}
  for _, item in ipairs(fields(v)) do
    if not key or item.key == key then
      gather(list, item.value and self:eval(item.value, v.frame), not key and item.key or nil)
    elseif not item.key then
      gather(list, item.value and self:eval(item.value, v.frame))
    end
  end
  if #list > 0 or list.open then return union(list, not key) end
  local index = v.meta and v.meta.k == "table" and self:field(v.meta, "__index")
  return index and index.k == "table" and self:field(index, key) or nil
end

--- The values in a table in order, as {label, v, e}: v nil where it is not known, e the
-- expression.
function M:elements(v)
  local list = {}
  for _, item in ipairs(fields(v)) do
    local found = item.value and self:eval(item.value, v.frame)
    list[#list + 1] = { label = item.key, v = found, e = item.value or nil }
  end
  return list
end

--- The field of a declaration's table: its expression, or nil.
function M.option(spec, name)
  for _, item in ipairs(spec and spec.t == "table" and spec.items or {}) do
    if item.key and item.key.value == name then return item.value end
  end
end

-- Expressions ---------------------------------------------------------------------------

local eval = {}

--- What `e` may be in `frame`.
function M:eval(e, frame)
  local look = e and eval[e.t]
  if not look then return nil end
  self.looks = self.looks + 1
  if self.looks > MAX_LOOKS then
    error({ code = 10, message = "too much stands behind too many names to be drawn" })
  end
  if self.depth > MAX_DEPTH then return nil end
  self.depth = self.depth + 1
  local v = look(self, e, frame)
  self.depth = self.depth - 1
  return v
end

local function constant() return CONST end
eval["true"], eval["false"], eval.number = constant, constant, constant
eval["nil"] = function() return NIL end

function eval.string(_, e) return { k = "string", value = e.value } end
function eval.func(_, e, frame) return { k = "func", node = e, frame = frame } end
function eval.table(_, e, frame) return { k = "table", node = e, frame = frame } end
function eval.paren(self, e, frame) return self:eval(e.e, frame) end
function eval.unary() return CONST end

function eval.binary(self, e, frame)
  if e.op == ".." then
    local a, b = self:eval(e.left, frame), self:eval(e.right, frame)
    if a and b and a.k == "string" and b.k == "string" then
      return { k = "string", value = a.value .. b.value }
    end
    return CONST
  end
  if e.op ~= "and" and e.op ~= "or" then return CONST end
  local list = {}
  if e.op == "or" then gather(list, self:eval(e.left, frame)) end
  gather(list, self:eval(e.right, frame))
  return union(list)
end

--- The frame, at or around `frame`, of the function that declares a variable.
local function frame_of(func, frame)
  local at = frame
  while at and at.func ~= func do at = at.outer end
  return at or { func = func, args = {}, key = "?", outer = func.tree and func.tree.frame }
end

function eval.name(self, e, frame)
  local var = e.var
  if not var then
    if e.name == "require" then return { k = "pure", name = "require" } end
    return standard[e.name] and { k = "pure", name = e.name } or nil
  end
  if var.busy then return CONST end -- x = x or y: what x was is said elsewhere
  var.busy = true
  local at, list = frame_of(var.func, frame), {}
  if var.param then gather(list, at.args[var] or nil) end
  for _, value in ipairs(var.values) do gather(list, value and self:eval(value, at)) end
  var.busy = nil
  return union(list)
end

function eval.element(self, e, frame)
  local v = self:eval(e.obj, frame)
  return v and (v.k == "table" or v.k == "flow") and self:field(v) or nil
end

local function index(self, v, key)
  if not v then return nil end
  if v.k == "mill" then return key and { k = "prim", name = key } end
  if v.k == "prim" then return key and { k = "prim", name = v.name .. "." .. key } end
  if v.k == "pure" then return { k = "pure", name = v.name .. "." .. (key or "?") } end
  if v.k == "table" or v.k == "flow" then return self:field(v, key) end
  if v.k ~= "union" then return nil end
  local list = { open = v.open }
  for _, item in ipairs(v.items) do gather(list, index(self, item.v, key), item.label) end
  return union(list, true)
end

function eval.index(self, e, frame)
  local key = e.key.raw
  if e.key.t ~= "number" then
    local v = self:eval(e.key, frame)
    key = v and v.k == "string" and v.value
  end
  return index(self, self:eval(e.obj, frame), key)
end

-- Calls ---------------------------------------------------------------------------------

--- A frame for a call of `v` with the values `args` (false: unknown; `open`: perhaps more).
function M.frame(v, args, key)
  local bound, absent = {}, not args.open and NIL
  for i, param in ipairs(v.node.params) do
    bound[param.var] = args[i] == nil and absent or args[i]
  end
  return { outer = v.frame, func = v.node, args = bound, key = key }
end

--- The values of argument expressions.
function M:values(exprs, frame)
  local list, last = {}, exprs[#exprs]
  for i, e in ipairs(exprs) do list[i] = self:eval(e, frame) or false end
  list.open = last and (last.t == "vararg" or last.t == "callexpr" or last.t == "method")
  return list
end

--- What `require(name)` returns.
function M:module(name)
  if name == "tidemill" then return { k = "mill" } end
  if name == "cjson" then return { k = "pure", name = "cjson" } end
  local tree = self:tree("workflows/" .. name:gsub("%.", "/") .. ".lua")
  return tree and self:returned({ node = tree, frame = nil }, tree.frame)
end

--- What a function may return.
function M:returned(v, frame)
  local list = {}
  for _, e in ipairs(v.node.returns) do gather(list, self:eval(e, frame)) end
  return union(list)
end

-- What these return may be anything that was put in.
local opaque = { ["table.unpack"] = true, ["table.remove"] = true, select = true, next = true,
  rawget = true, getmetatable = true, pcall = true, xpcall = true }

local called = {}

function called.pure(self, fn, e, frame)
  if fn.name == "require" then
    local name = self:eval(e.args[1], frame)
    if not name or name.k ~= "string" then return nil end
    return self:module(name.value)
  end
  if opaque[fn.name] then return nil end
  if fn.name ~= "assert" and fn.name ~= "setmetatable" then
    return { k = "pure", name = fn.name }
  end
  local v = self:eval(e.args[1], frame)
  if fn.name == "assert" or not v or v.k ~= "table" then return v end
  return { k = "table", node = v.node, frame = v.frame, meta = self:eval(e.args[2], frame) }
end

function called.prim(self, fn, e, frame)
  if fn.name == "array" then return self:eval(e.args[1], frame) end
  if fn.name == "workflow" then return { k = "curry", what = "flow" } end
  return M.quiet[fn.name:match "^%l+"] and { k = "pure", name = "mill." .. fn.name } or nil
end

function called.curry(_, fn, e, frame)
  return { k = fn.what, name = fn.name, node = e, spec = e.args[1], frame = frame }
end

function called.func(self, fn, e, frame)
  return self:returned(fn, M.frame(fn, self:values(e.args, frame), "?"))
end

function eval.callexpr(self, e, frame)
  local fn = self:eval(e.fn, frame)
  local look = fn and called[fn.k]
  return look and look(self, fn, e, frame)
end

--- What the call `obj:name(…)` calls, and the value of obj.
function M:method(e, frame)
  local obj = self:eval(e.obj, frame)
  local kind = obj and obj.k
  if kind == "flow" and (e.name == "step" or e.name == "action") then
    local name = self:eval(e.args[1], frame)
    name = name and name.k == "string" and name.value
    return { k = "curry", what = e.name, name = name }, obj
  end
  local found = index(self, obj, e.name)
  if M.string_methods[e.name] and not M.may_work(found) then
    found = { k = "pure", name = e.name }
  end
  return found, obj
end

function eval.method(self, e, frame)
  local fn, obj = self:method(e, frame)
  if not fn then return nil end
  if fn.k == "curry" or fn.k == "pure" then return fn end
  if fn.k ~= "func" then return nil end
  local args = self:values(e.args, frame)
  table.insert(args, 1, obj or false)
  return self:returned(fn, M.frame(fn, args, "?"))
end

return M
