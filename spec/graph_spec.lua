--- `tidemill graph`: a workflow is drawn from its source, and nothing of it is run.
local content = dofile "spec/content.lua"

local HEAD = [[
local mill = require "tidemill"
local flow = mill.workflow "w" { about = "To be drawn." }
local pay = flow:action "pay" { key = function(a) return a.id end, on_unknown = "ask",
  run = function() end }
local read = flow:action "read" { repeatable = true, run = function() end }
]]

local SHARED = [[
local mill = require "tidemill"
local M = {}
function M.helper(x) return mill.llm("helper", x) end
function M.pure(x) return x end
function M.unused(x) return mill.llm("unused", x) end
local days = 5
M.patient = { ask = "?", deadline = days .. "d", on_timeout = { answer = days } }
M.branches = { M.helper, M.lacking.f }
return M
]]

describe("graph", function()
  local dir

  setup(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows/lib " .. dir .. "/prompts")
    content.write(dir .. "/workflows/lib/shared.lua", SHARED)
    content.write(dir .. "/prompts/listed.prompt", "---\ntools: [pay, look]\n---\nhi\n")
  end)
  teardown(function() content.remove(dir) end)

  --- Draw a workflow file that ends in this.
  local function graph(body, args)
    content.write(dir .. "/workflows/w.lua", HEAD .. body .. "\nreturn flow\n")
    return content.tidemill(dir, { "graph", "w", table.unpack(args or {}) })
  end

  local function document(body)
    local got = graph(body, { "--json" })
    assert.equal(0, got.code, got.err)
    return got.json
  end

  --- The nodes of a kind, as labels.
  local function labels(doc, kind)
    local list = {}
    for _, node in ipairs(doc.nodes) do
      if node.kind == kind then list[#list + 1] = node.label end
    end
    return list
  end

  describe("draws", function()
    local count = 0
    local text = content.read "spec/cases/graph/cases.txt" .. "\n"
    for title, body, expected in text:gmatch "## ([^\n]+)\n\n(.-)\n=>\n(.-\n)\n" do
      count = count + 1
      it(title, function()
        local got = graph(body)
        assert.equal(0, got.code, got.err)
        assert.equal(expected, got.out)
        assert.equal("", got.err)
      end)
    end

    it("each of its cases", function()
      local _, titles = text:gsub("\n## ", "")
      assert.equal(titles, count)
      assert.truthy(count >= 29)
    end)
  end)

  describe("the shipped workflows", function()
    -- A call of one of these is a line that the drawing has to know.
    local waits = {}
    for name in ([[llm gate decide all map race within wait emit call start sleep lock fetch
      embed agent tools continue_as]]):gmatch "%l+" do waits[name] = true end

    --- Every path and line of a file where a primitive stands.
    local function primitives(path, found)
      local n = 0
      for line in (content.read(path) .. "\n"):gmatch "(.-)\n" do
        n = n + 1
        for name in line:gsub("%-%-.*", ""):gmatch "mill%.([%l_]+)" do
          if waits[name] then found[#found + 1] = path .. ":" .. n end
        end
      end
      return found
    end

    local function check(project, name)
      local got = content.tidemill(project, { "graph", name, "--json" })
      assert.equal(0, got.code, name .. got.err)
      local has, actions, ids, entered = {}, {}, {}, {}
      for _, node in ipairs(got.json.nodes) do
        has[("%s:%d"):format(node.file, node.line)] = true
        if node.action then actions[node.action] = true end
        ids[node.id] = true
      end
      local path = ("workflows/%s.lua"):format(name)
      local source = content.read(project .. "/" .. path)
      for _, place in ipairs(primitives(project .. "/" .. path, {})) do
        local at = place:sub(#project + 2)
        assert.truthy(has[at], name .. " lacks " .. at)
      end
      for action in source:gmatch 'flow:action "([%w_]+)"' do
        assert.truthy(actions[action], name .. " lacks the action " .. action)
      end
      for _, edge in ipairs(got.json.edges) do
        assert.truthy(ids[edge.from] and ids[edge.to])
        entered[edge.to] = true
      end
      for _, node in ipairs(got.json.nodes) do
        local first = node.kind == "start" or node.kind == "entry"
        assert.truthy(first or entered[node.id], name .. ": nothing leads to " .. node.label)
        assert.truthy(node.kind ~= "unknown" or name == "message_router", node.label)
      end
      local _, drawn = content.tidemill(project, { "graph", name }).out:gsub("\n  +n%d+", "")
      assert.truthy(drawn >= #got.json.nodes + #got.json.edges)
      return source
    end

    it("have each of their primitives, on its line", function()
      local count = 0
      for _, where in ipairs { ".", "examples/embed", "lua/init" } do
        local list = assert(io.popen(("ls %s/workflows/*.lua"):format(where)))
        for path in list:lines() do
          local source = check(where, path:match "([^/]+)%.lua$")
          count = count + #primitives(path, {})
          assert.truthy(source)
        end
        list:close()
      end
      assert.truthy(count > 25, count)
    end)

    it("have what they require, on its line there", function()
      local doc = content.tidemill(".", { "graph", "sales_email", "--json" }).json
      local found = primitives("workflows/lib/pain_points.lua", {})
      assert.equal(1, #found)
      local has
      for _, node in ipairs(doc.nodes) do
        has = has or ("%s:%d"):format(node.file, node.line) == found[1] and node.unit
      end
      assert.equal("extract_pain_points", has)
    end)
  end)

  it("is shown in docs/graph.md as it is printed, with each kind of node", function()
    local page = content.read "docs/graph.md"
    local count = 0
    for name, shown in page:gmatch "<!%-%- graph: ([%w_]+) %-%->\n```mermaid\n(.-)```" do
      assert.equal(content.tidemill(".", { "graph", name }).out, shown)
      count = count + 1
    end
    assert.equal(1, count)
    local source = content.read "lua/tidemill/graph_calls.lua"
      .. content.read "lua/tidemill/graph_build.lua" .. content.read "lua/tidemill/graph.lua"
    for kind in source:gmatch ':node%("([%l_]+)"' do
      assert.truthy(page:find("`" .. kind .. "`", 1, true), kind)
    end
    for kind in source:gmatch ':durable%("([%l_]+)"' do
      assert.truthy(page:find("`" .. kind .. "`", 1, true), kind)
    end
  end)

  it("has a shape for programs", function()
    local doc = document [[
function flow.main(x)
  mill.gate("sure", { ask = "?", deadline = "3d", on_timeout = { answer = 1 } })
  if x.a then pcall(pay, x) end
  return mill.race { function() mill.wait "event" end }
end]]
    assert.equal("tidemill.graph/1", doc.schema)
    assert.equal("w", doc.workflow)
    assert.equal("workflows/w.lua", doc.file)
    assert.same({ id = "n2", kind = "gate", label = "sure", file = "workflows/w.lua", line = 7,
      deadline = "3d", on_timeout = "{ answer = 1 }" }, doc.nodes[2])
    assert.same({ id = "n5", kind = "action", label = "pay", action = "pay", line = 8,
      file = "workflows/w.lua" }, doc.nodes[5])
    assert.same({ id = "n7", kind = "wait", label = "event", event = "event", line = 9,
      group = "g1", file = "workflows/w.lua" }, doc.nodes[7])
    assert.same({ { id = "g1", kind = "race", label = "race", line = 9,
      file = "workflows/w.lua" } }, doc.groups)
    assert.same({ from = "n3", to = "n4", label = "yes" }, doc.edges[3])
    assert.same({ from = "n4", to = "n6", label = "error", kind = "error" }, doc.edges[6])
    local none = graph("function flow.main() end", { "--json" })
    assert.truthy(none.out:find('"groups":[]', 1, true), none.out)
  end)

  it("speaks graphviz, too", function()
    local got = graph([[
function flow.main(x)
  if x.a == "b" then mill.lock(x.id, function() mill.llm "a" end) end
  return pcall(pay, x)
end]], { "--format", "dot" })
    assert.equal([[
digraph "w" {
  n1 [label="w", shape=oval];
  n2 [label="x.a == \"b\"", shape=diamond];
  n5 [label="pcall", shape=box];
  n6 [label="action: pay", shape=box];
  n7 [label="done", shape=oval];
  subgraph cluster_g1 {
    label="lock x.id";
    n3 [label="lock x.id", shape=box];
    n4 [label="model: a", shape=box, style=rounded];
  }
  n1 -> n2;
  n2 -> n3 [label="yes"];
  n3 -> n4;
  n4 -> n5;
  n2 -> n5 [label="no"];
  n5 -> n6;
  n6 -> n7;
  n5 -> n7 [label="error", style=dashed];
}
]], got.out)
    local details = graph([[
function flow.main()
  mill.gate("a\\b", { ask = "?", deadline = "1d", on_timeout = "fail" })
end]], { "--format=dot" })
    local line = '[label="person: a\\\\b\\nafter 1d: fail", shape=hexagon]'
    assert.truthy(details.out:find(line, 1, true), details.out)
    assert.equal(2, graph("function flow.main() end", { "--format", "svg" }).code)
  end)

  it("runs nothing: what would raise, loop or write while it loads is drawn", function()
    local got = graph [[
local file = io.open("written.txt", "w")
error("raised")
while true do end
local x = nil; x.y = 1
function flow.main() mill.llm "a" end]]
    assert.equal(0, got.code, got.err)
    assert.truthy(got.out:find('n2("model: a")', 1, true), got.out)
    assert.is_nil(content.read(dir .. "/written.txt"))
    assert.is_nil(content.read(dir .. "/.tidemill/tidemill.db"))
  end)

  describe("marks what it cannot follow", function()
    local function unknown(body, ...)
      assert.same({ ... }, labels(document(body), "unknown"))
    end

    it("a call of something that came from outside", function()
      unknown("function flow.main(x) x.f() x[1]() x.a.b(1) x:go() end",
        "x.f", "x[1]", "x.a.b", "x:go")
      unknown("function flow.main(x) local f = x.t[x.k]; f() end", "f")
      unknown("local lib = require(tostring(1)) function flow.main() lib.go() end", "lib.go")
      unknown("function flow.main(...) local f = ...; f() end", "f")
      unknown("flow.main = some_function()", "flow.main")
      unknown("function flow.main(x) mill.map(x, x.f) mill.lock('a', x.g) end", "x.f", "x.g")
    end)

    it("but none of Lua's own, and none of a text", function()
      unknown [[
local cjson = require "cjson"
function flow.main(x)
  local n = tonumber(x.n) or math.floor(2.5)
  for word in x.text:gmatch "%w+" do n = n + #word:upper():rep(2) end
  table.sort(x.list, function(a, b) return a < b end)
  local it = x.text:gmatch "."
  it()
  return cjson.encode { n, ("x"):rep(3), mill.json.encode(x), mill.uuid(), select("#", 1) }
end]]
    end)

    it("with all that it may be", function()
      local doc = document [[
local f
if os then f = function() mill.llm "a" end else f = function() mill.llm "b" end end
function flow.main(x) f(x); (x.quick and f or pay)(x) end]]
      assert.same({ "f", "(x.quick and f or pay)" }, labels(doc, "unknown"))
      assert.same({ "a", "b" }, labels(doc, "llm"))
      assert.same({ "pay" }, labels(doc, "action"))
    end)
  end)

  it("shows the source of a condition on one line, cut between characters", function()
    local doc = document([[
function flow.main(x)
  if x.text
     ==   "]] .. ("ä"):rep(60) .. [[" then mill.llm "a" end
  if x.bytes == "]] .. "\xff\xfe" .. [[" then mill.llm "a" end
end]])
    assert.same({ 'x.text == "' .. ("ä"):rep(24) .. "…", 'x.bytes == "??"' },
      labels(doc, "branch"))
  end)

  it("has limits, and names them", function()
    local function refused(body, why)
      local got = graph(body)
      assert.equal(10, got.code, got.out)
      assert.truthy(got.err:find(why, 1, true), got.err)
    end
    refused("function flow.main() " .. ("mill.llm 'a' "):rep(2100) .. "end",
      "more than 2000 nodes")
    refused("function flow.main() return 1" .. (" + 1"):rep(2000) .. " end",
      "workflows/w.lua:6: an expression of more than 500 parts")
    local chain = { "local function f0() mill.llm 'a' end" }
    for i = 1, 70 do chain[i + 1] = ("local function f%d() f%d() end"):format(i, i - 1) end
    refused(table.concat(chain, "\n") .. "\nfunction flow.main() f70() end",
      "more than 60 functions deep")
  end)

  it("knows the tools that a prompt names, on a line or below it", function()
    local function tools(head)
      content.write(dir .. "/prompts/other.prompt", "---\n" .. head .. "---\n- read\n")
      return labels(document "function flow.main(x) mill.agent('other', x) end", "action")
    end
    assert.same({ "pay", "read" }, tools "model: a/b\ntools: [pay, 'read'] # - both\n")
    assert.same({ "pay", "read" }, tools "tools:\n  - pay\n  - \"read\"\ninput:\n  - pay\n")
    assert.same({ "read" }, tools "tools:\n- read\nconfig:\n- pay\n")
    assert.same({ "pay" }, tools "tools: # one\n  - pay\n")
    assert.same({}, tools "toolsmith: [pay]\n")
  end)

  it("follows 64 of the things that one name may be, and marks that there are more", function()
    local body = { "local f" }
    for i = 1, 100 do body[i + 1] = ("f = function() mill.llm 'u%d' end"):format(i) end
    local doc = document(table.concat(body, "\n") .. "\nfunction flow.main() f() end")
    assert.same({ "f" }, labels(doc, "unknown"))
    local rest = 0
    for _, node in ipairs(doc.nodes) do
      if node.kind == "entry" then rest = rest + 1 end
    end
    assert.equal(100, #labels(doc, "llm"))
    assert.equal(36, rest)
  end)

  it("draws functions once that would be drawn thousands of times", function()
    local body = { "local function f0(u) mill.llm(u) end" }
    for i = 1, 12 do
      body[i + 1] = ("local function f%d(u) f%d(u .. 'a') f%d(u .. 'b') end")
        :format(i, i - 1, i - 1)
    end
    local doc = document(table.concat(body, "\n") .. "\nfunction flow.main() f12 'x' end")
    assert.same({ "u" }, labels(doc, "llm"))
    assert.truthy(#doc.nodes < 100)
  end)

  it("ends for functions that make and call functions without end", function()
    local doc = document [[
local function ask(unit) mill.llm(unit) end
local function forever(f) ask "a" forever(function() f() forever(f) end) end
function flow.main() ask "b" forever(function() mill.sleep "1h" end) end]]
    assert.truthy(#labels(doc, "subroutine") >= 1)
    local units = labels(doc, "llm")
    table.sort(units)
    assert.same({ "a", "b" }, units)
  end)

  describe("says what is wrong:", function()
    local function fails(args, code, message)
      local got = content.tidemill(dir, { "graph", table.unpack(args) })
      assert.equal(code, got.code, got.out .. got.err)
      assert.equal("", got.out)
      assert.equal("tidemill: " .. message .. "\n", got.err)
    end

    it("a name that is no workflow", function()
      fails({ "nobody" }, 4,
        'there is no workflow "nobody": workflows/nobody.lua does not exist')
      fails({ "../w" }, 4, 'there is no workflow "../w": workflows/../w.lua does not exist')
      local got = content.tidemill(dir, { "graph", "nobody", "--json" })
      assert.equal(4, got.code)
      assert.truthy((got.out .. got.err):find('"error"', 1, true))
    end)

    it("a mistake in a file, with its line", function()
      content.write(dir .. "/workflows/bad.lua", "local x = 1\n\nreturn ((1\n")
      fails({ "bad" }, 2,
        "workflows/bad.lua:4: ')' expected (to close '(' at line 3) near <eof>")
      content.write(dir .. "/workflows/lib/broken.lua", "\nreturn =\n")
      content.write(dir .. "/workflows/w.lua",
        'local b = require "lib.broken" ' .. HEAD .. "function flow.main() b() end return flow")
      fails({ "w" }, 2, "workflows/lib/broken.lua:2: unexpected symbol near '='")
    end)

    it("a file that is no workflow", function()
      content.write(dir .. "/workflows/none.lua", "return 3\n")
      fails({ "none" }, 2, "workflows/none.lua does not return what reads as a workflow; "
        .. "end it with `return flow`")
    end)
  end)
end)
