--- `tidemill graph WORKFLOW`: the drawing of a workflow, read from its sources. Nothing is run.
-- @module tidemill.graph

local build = require("tidemill.graph_calls")
local value = require("tidemill.graph_value")

local MAX_PASSES = 20

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

--- The tools that the front matter of a prompt unit names: `tools: [a, b]`, or a list below.
local function tools_of(unit)
  local text = (read("prompts/" .. unit .. ".prompt") or ""):gsub("\r\n", "\n")
  local head = text:match "^%-%-%-\n(.-\n)%-%-%-\n"
  local line, below = ("\n" .. (head or "")):match "\ntools:[ \t]*([^\n]*)\n(.*)"
  local names = {}
  line = (line or ""):gsub("#.*", "")
  for word in line:gmatch "[%w_-]+" do names[#names + 1] = word end
  for item in (below or ""):gmatch "([^\n]*)\n" do
    local word = item:match "^%s*%-%s*[\"']?([%w_-]+)"
    if not word or line:find "%S" then break end
    names[#names + 1] = word
  end
  return names
end

-- Declarations --------------------------------------------------------------------------

--- The actions and steps that a file declares, in its order.
local function declarations(values, tree)
  local list = {}
  for _, call in ipairs(tree.calls) do
    local how = call.fn and call.fn.t == "method" and call.fn.name
    local v = (how == "action" or how == "step") and values:eval(call, tree.frame)
    if v and (v.k == "action" or v.k == "step") then list[#list + 1] = v end
  end
  return list
end

local function declared(values)
  local map = {}
  for _, tree in ipairs(values.files) do
    for _, v in ipairs(declarations(values, tree)) do
      if v.name then map[v.name] = map[v.name] or v end
    end
  end
  return map
end

-- What main does not come to --------------------------------------------------------------

local function is_within(node, outer)
  return outer and node.from >= outer.from and node.to <= outer.to
end

-- What the body of an action may call, and declarations: a drawing does not go there.
local verbs = { http = true, exec = true, file = true, workflow = true }

local function is_work(v)
  if not v then return false end
  if v.k == "prim" then
    local name = v.name:match "^[%l_]+"
    return not verbs[name] and not value.quiet[name]
  elseif v.k == "union" then
    for _, item in ipairs(v.items) do
      if is_work(item.v) then return true end
    end
  end
  return v.k == "action" or v.k == "step"
end

--- Does this call do durable work, by itself or by pcall?
local function is_work_call(values, tree, call)
  local fn = call.fn and values:eval(call.fn, tree.frame)
  if not fn or fn.k ~= "pure" then return is_work(fn) end
  return (fn.name == "pcall" or fn.name == "xpcall")
    and is_work(values:eval(call.args[1], tree.frame))
end

--- A function that main does not come to, beside the rest.
local function draw_left(b, tree, v, name, at)
  b.frame, b.group, b.ends = tree.frame, nil, {}
  b:start_group("unreached", "not reached from main", at)
  b:node("entry", name, at)
  b:apply(v, at, { { t = "vararg" } })
  if #b.ends > 0 then b:node("exit", "back", at) end
  b.group, b.ends = nil, {}
  b:beside()
end

--- What main did not come to: steps that only a model calls, and functions that nobody calls.
local function draw_rest(b, values, tree)
  local open = {}
  for _, call in ipairs(tree.calls) do
    if is_work_call(values, tree, call) then open[#open + 1] = call end
  end
  local function draw_if(v, name, at, has)
    for _, call in ipairs(open) do
      if has(call) and not b.met[call] then return draw_left(b, tree, v, name, at) end
    end
  end
  for _, v in ipairs(declarations(values, tree)) do
    if v.k == "step" then
      draw_if(v, "step " .. (v.name or "?"), v.node,
        function(call) return is_within(call, v.spec) end)
    end
  end
  local holds = {}
  for _, call in ipairs(open) do holds[call.func] = true end
  for i = #tree.funcs, 1, -1 do -- the outer ones, which may call the inner ones, last
    local func = tree.funcs[i]
    local title = func == tree and "while the file loads" or func.title or "a function"
    if holds[func] then
      draw_if({ k = "func", node = func, frame = tree.frame }, title, func,
        function(call) return call.func == func end)
    end
  end
end

-- The drawing -----------------------------------------------------------------------------

local function pass(known, tree, flow, name)
  local b = build.new(known)
  b.frame = tree.frame
  local main, at = known.values:field(flow, "main"), flow.node
  b.begin = b:node("start", name, at)
  if main and main.k == "func" then
    local key = b:key(main, {})
    b.entries[key] = b.begin
    b.stack[1] = { key = key, node = main.node }
    b:body(main, { open = true }, key)
    b.stack[1] = nil
    at = { line = main.node.last }
  else
    b:apply(main, at, { { t = "vararg" } }, nil, "flow.main")
  end
  if #b.ends > 0 then b:node("end", "done", at) end
  b.ends = {}
  b:beside()
  draw_rest(b, known.values, tree)
  for id, node in ipairs(b.nodes) do
    if node.key and b.entries[node.key] then b:edge(id, b.entries[node.key], nil, "call") end
    node.key = nil
  end
  return b
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local function flow_of(values, tree)
  local v = values:returned({ node = tree }, tree.frame)
  if v and v.k == "flow" then return v end
  error({ code = 2, message = tree.file
    .. " does not return what reads as a workflow; end it with `return flow`" })
end

local function draw(name, file, coarse)
  local values = value.new(read)
  local tree = not name:find("..", 1, true) and values:tree(file)
  if not tree then
    error({ code = 4, message = ('there is no workflow "%s": %s does not exist')
      :format(name, file) })
  end
  local known = { shared = {}, pure = {}, keys = {}, values = values, tools = tools_of,
    declared = function() return declared(values) end, coarse = coarse }
  local flow, drawing = flow_of(values, tree), nil
  for _ = 1, MAX_PASSES do
    local before = count(known.shared)
    drawing = pass(known, tree, flow, name)
    if count(known.shared) == before then break end
  end
  return drawing
end

--- Where functions that make functions would go on and on, each is drawn once, whatever it is
-- called with.
local function draw_some_way(name, file)
  local ok, got = pcall(draw, name, file)
  if ok then return got end
  if type(got) ~= "table" or got.code ~= 10 then error(got, 0) end
  return draw(name, file, true)
end

--- As a document: ids are "n1", "g1"; a list that is empty stays a list.
local function document(b, name, file, array)
  local doc = { schema = "tidemill.graph/1", workflow = name, file = file,
    nodes = array {}, edges = array {}, groups = array {} }
  for i, node in ipairs(b.nodes) do
    node.id, node.group = "n" .. i, node.group and "g" .. node.group
    doc.nodes[i] = node
  end
  for i, edge in ipairs(b.edges) do
    edge.from, edge.to = "n" .. edge.from, "n" .. edge.to
    doc.edges[i] = edge
  end
  for i, group in ipairs(b.groups) do
    group.id, group.parent = "g" .. i, group.parent and "g" .. group.parent
    doc.groups[i] = group
  end
  return doc
end

local formats = { mermaid = true, dot = true }

local function answer(request)
  local name = request.workflow
  local file = ("workflows/%s.lua"):format(name)
  if request.format and not formats[request.format] then
    error({ code = 2, message = ("there is no format '%s': it is mermaid or dot")
      :format(request.format) })
  end
  local drawing = draw_some_way(name, file)
  local doc = document(drawing, name, file, request.array)
  if request.json then return { document = doc } end
  return { text = require("tidemill.graph_" .. (request.format or "mermaid"))(doc) }
end

--- {workflow, format?, json?} -> {text} or {document}; {code, message} when it cannot be drawn.
return function(request)
  local ok, got = pcall(answer, request)
  if ok then return got end
  if type(got) == "table" and got.message then return got end
  error(got, 0)
end
