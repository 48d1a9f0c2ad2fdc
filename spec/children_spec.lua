--- Runs among each other: events, children, locks, state, going on; as docs/primitives.md says.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

describe("runs among each other", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
  end)
  after_each(function() content.remove(dir) end)

  --- workflows/NAME.lua with these options and this main.
  local function workflow(name, spec, main)
    content.write(("%s/workflows/%s.lua"):format(dir, name), ([[
local mill = require "tidemill"
local flow = mill.workflow "%s" { %s }
function flow.main(input)
%s
end
return flow
]]):format(name, spec, main))
  end

  local function run(name, input, opts)
    opts = opts or {}
    opts.dir = dir
    return kit.run(name, input or {}, opts)
  end

  local function start(name, input, opts)
    opts = opts or {}
    opts.dir = dir
    return kit.start(name, input or {}, opts)
  end

  local function cli(...) return content.tidemill(dir, { ... }) end

  describe("mill.wait", function()
    local spec = 'events = { paid = { type = "object", required = { "usd" } }, '
      .. 'note = { type = "string" } }'

    it("gives the payload, its id and its time", function()
      workflow("w", spec, [[
        local payload, meta = mill.wait "paid"
        return { usd = payload.usd, id = meta.id, at = meta.at ]] .. "}")
      local h = start "w"
      assert.equal("waiting", h:state())
      assert.equal("done", h:signal("paid", { usd = 5 }, { id = "order-7" }))
      local got = h:result()
      assert.same({ 5, "order-7" }, { got.usd, got.id })
      assert.matches("^2026%-", got.at)
    end)

    it("survives a restart, and an event that comes early", function()
      workflow("w", spec, [[
        mill.sleep "1d"
        return { mill.wait "paid", (mill.wait "note") ]] .. "}")
      local h = start("w", {}, { durable = true })
      h:signal("note", "first")
      h:signal("paid", { usd = 1 })
      assert.equal("waiting", h:restart())
      h:advance "1d"
      assert.equal("done", h:state())
      assert.same({ { usd = 1 }, "first" }, h:result())
    end)

    it("raises a timeout", function()
      workflow("w", spec, [[
        local ok, e = pcall(mill.wait, "paid", { timeout = "3d" })
        return { ok, e.kind ]] .. "}")
      local h = start "w"
      h:advance "2d"
      assert.equal("waiting", h:state())
      h:advance "1d"
      assert.same({ false, "timeout" }, h:result())
    end)

    it("takes no name that is not declared, and no payload that does not fit", function()
      workflow("w", spec, [[ return mill.wait "payed" ]])
      local r = run "w"
      assert.equal("failed", r.state)
      assert.matches('declares no event "payed"; it declares note, paid', r.error.message,
        1, true)
      workflow("w", spec, [[ return mill.wait "paid" ]])
      local h = start "w"
      local _, err = h:signal("paid", { eur = 5 })
      assert.equal("usage", err.code)
      _, err = h:signal("payed", { usd = 5 })
      assert.equal("usage", err.code)
      assert.equal("done", h:signal("paid", { usd = 5 }))
      _, err = h:signal("paid", { usd = 6 })
      assert.equal("conflict", err.code)
    end)
  end)

  it("tell each other with mill.emit, and hear why it cannot be", function()
    workflow("hearer", 'events = { word = { type = "string" } }',
      [[ return (mill.wait "word") ]])
    workflow("w", "", [[
      local id = mill.start "hearer"
      mill.emit(id, "word", "hello")
      local ok, e = pcall(mill.emit, id, "word", 5)
      local _, f = pcall(mill.emit, "nobody", "word", "x")
      return { id, ok, e.kind, f.kind ]] .. "}")
    local h = start "w"
    local got = h:result()
    assert.same({ false, "usage", "not_found" }, { table.unpack(got, 2) })
    assert.equal("hello", h.engine:result(got[1]))
  end)

  describe("mill.call", function()
    it("runs another workflow and gives its result", function()
      workflow("double", 'input = { type = "object", required = { "n" } }',
        [[ return input.n * 2 ]])
      workflow("w", "", [[
        local both = mill.map({ 1, 2, 3 }, function(n)
          return mill.call("double", { n = n })
        end)
        local ok, e = pcall(mill.call, "double", {})
        return { both, ok, e.kind, e.code ]] .. "}")
      assert.same({ { 2, 4, 6 }, false, "child", "usage" }, run("w").value)
    end)

    it("raises the child's error, and ends at its timeout", function()
      workflow("bad", "", [[ error({ kind = "sour", message = "milk" }) ]])
      workflow("slow", "", [[ mill.sleep "9d" ]])
      workflow("w", "", [[
        local _, e = pcall(mill.call, "bad")
        local _, f = pcall(mill.call, "slow", nil, { timeout = "1d" })
        return { e.kind, e.state, e.error.kind, e.error.message, f.kind ]] .. "}")
      local h = start "w"
      h:advance "1d"
      assert.same({ "child", "failed", "sour", "milk", "timeout" }, h:result())
    end)

    it("shares the budget: a child begins with what is left, and counts when it has ended",
      function()
        os.execute("mkdir -p " .. dir .. "/prompts")
        content.write(dir .. "/prompts/ask.prompt", "---\nmodel: scripted/demo\n---\nHi\n")
        workflow("asker", "budget = { llm_calls = 5 }", [[
          local n = 0
          for _ = 1, input do
            if not pcall(mill.llm, "ask", {}) then break end
            n = n + 1
          end
          return n ]])
        workflow("w", "budget = { llm_calls = 4 }", [[
          mill.llm("ask", {})
          local one = mill.call("asker", 2)
          local two = mill.call("asker", 9)
          local _, e = pcall(mill.llm, "ask", {})
          return { one, two, e.kind ]] .. "}")
        assert.same({ 2, 1, "budget" }, run("w", {}, { model = { ask = "hi" } }).value)
      end)
  end)

  it("take turns in mill.lock, whatever ends the function", function()
    workflow("w", "", [[
      local ok, e = pcall(mill.lock, "k", function() error({ kind = "x", message = "y" }) end)
      local a, b = mill.lock("k", function() return 1, 2 end)
      local inner = mill.lock("k", function()
        return mill.lock("k", function() return 3 end)
      end)
      return { ok, e.kind, a, b, inner ]] .. "}")
    assert.same({ false, "x", 1, 2, 3 }, run("w").value)
  end)

  it("show what they wait for at a lock, and go on in turn", function()
    workflow("w", "", [[
      return mill.lock("anna", function()
        mill.gate("g", { ask = "?" })
        return input
      end) ]])
    assert.equal(8, cli("run", "w", "--id", "first", "--input", "1").code)
    assert.equal(8, cli("run", "w", "--id", "second", "--input", "2").code)
    local reason = cli("list", "--json").json.runs[1].reason[1]
    assert.same({ "lock", "anna", "first" }, { reason["for"], reason.name, reason.run })
    assert.equal(0, cli("approve", "first").code)
    assert.equal(8, cli("resume", "second").code)
    assert.equal("2\n", cli("approve", "second").out)
  end)

  describe("a cancel", function()
    before_each(function()
      workflow("w", "", [[
        if input.depth > 0 then return mill.call("w", { depth = input.depth - 1 }) end
        mill.gate("sure", { ask = "Sure?" })
        mill.sleep(0)
        return "went on"]])
    end)

    local function state(id) return cli("show", id, "--json").json.state end

    it("goes down to children that no process has, before the command ends", function()
      for _, order in ipairs { "cancel", "terminate" } do
        assert.equal(8, cli("run", "w", "--id", order, "--input", '{"depth":2}').code)
        assert.equal("waiting", state(order .. ":1:1"))
        assert.equal(0, cli(order, order).code)
        assert.equal("cancelled", state(order .. ":1"))
        assert.equal("cancelled", state(order .. ":1:1"))
      end
      assert.same({}, cli("gates", "--json").json.gates)
    end)

    it("reaches a child that rests under a pause and was approved meanwhile", function()
      assert.equal(8, cli("run", "w", "--id", "p", "--input", '{"depth":1}').code)
      assert.equal(0, cli("pause", "--workflow", "w").code)
      cli("approve", "p:1")
      assert.equal(0, cli("cancel", "p").code)
      assert.equal(0, cli("resume", "--workflow", "w").code)
      assert.equal("cancelled", state "p:1")
    end)
  end)

  describe("mill.continue_as", function()
    it("goes on as a fresh run, and its result is the last one's", function()
      workflow("w", 'input = { type = "integer" }', [[
        if input == 3 then return "end" end
        mill.continue_as(input + 1)
        return "never" ]])
      local got = cli("run", "w", "--id", "loop", "--input", "1")
      assert.equal(0, got.code, got.err)
      assert.equal("end\n", got.out)
      assert.equal("end\n", cli("result", "loop").out)
      assert.truthy(cli("show", "loop").out:find("continued loop~2", 1, true))
      workflow("w", 'input = { type = "integer" }', [[ mill.continue_as "one" ]])
      local r = run("w", 1)
      assert.equal("failed", r.state)
      assert.equal("invalid", r.error.kind)
    end)

    it("hears in the new run what was told to the old one", function()
      workflow("w", "events = { go = { type = \"integer\" } }", [[
        local n = mill.wait "go"
        if n == 3 then return "heard" end
        mill.continue_as(n) ]])
      cli("start", "w", "--id", "loop")
      for n = 1, 3 do
        assert.equal(0, cli("signal", "loop", "go", "--input", tostring(n)).code)
      end
      assert.equal("heard\n", cli("result", "loop").out)
    end)

    it("wants no other branch at work", function()
      workflow("w", "", [[
        mill.all { function() mill.continue_as(1) end,
          function() mill.gate("g", { ask = "?" }) end } ]])
      assert.matches("other branches are at work", run("w").error.message, 1, true)
    end)
  end)

  describe("on the command line", function()
    local spec = 'events = { paid = { type = "integer" } }, '
      .. 'state = { type = "object", properties = { phase = { type = "string" } } }'

    before_each(function()
      workflow("w", spec, [[
        mill.state.phase = "asked"
        local usd = mill.wait "paid"
        mill.state.phase = "paid"
        return usd ]])
    end)

    it("signal tells a run, once for each id, and goes on with it", function()
      assert.equal(8, cli("run", "w", "--id", "order").code)
      local got = cli("signal", "order", "paid", "--input", '"x"')
      assert.equal(2, got.code)
      assert.truthy(got.err:find("does not fit the event", 1, true))
      assert.equal(2, cli("signal", "order", "payed", "--input", "5").code)
      assert.equal(4, cli("signal", "nobody", "paid", "--input", "5").code)
      got = cli("signal", "order", "paid", "--input", "5", "--id", "k")
      assert.equal(0, got.code, got.err)
      assert.equal("5\n", got.out)
      got = cli("signal", "order", "paid", "--input", "5", "--id", "k")
      assert.equal(0, got.code)
      assert.equal("run order has had this event before, and is done now\n", got.err)
      assert.equal(5, cli("signal", "order", "paid", "--input", "6", "--id", "k").code)
      assert.equal(5, cli("signal", "order", "paid", "--input", "5").code)
    end)

    it("show --state prints the fields", function()
      cli("run", "w", "--id", "order")
      assert.equal('phase = "asked"\n', cli("show", "order", "--state").out)
      cli("signal", "order", "paid", "--input", "5")
      assert.same({ phase = "paid" }, cli("show", "order", "--state", "--json").json)
      assert.equal("order", cli("list", "--state", "done", "--json").json.runs[1].id)
    end)
  end)
end)
