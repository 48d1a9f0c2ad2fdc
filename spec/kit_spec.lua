--- The test kit itself: stand-ins, time, restarts, crashes.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local FLOWS = {
  ask = [[
    function flow.main(x) return mill.llm("unit", { text = x.text }) end]],
  nap = [[
    function flow.main() mill.sleep(3 * 86400) mill.sleep(0.5) return "rested" end]],
  gate = [[
    function flow.main()
      local a = mill.gate("first", { ask = "?", answer = { type = "integer" } })
      local b = mill.gate("second", { ask = "?", deadline = "2d",
        on_timeout = { answer = "silence" } })
      return { a, b }
    end]],
  pay = [[
    local pay = flow:action "pay" {
      host = true, key = function(a) return a.id end, irreversible = true, on_unknown = "ask",
    }
    function flow.main(x) return pay { id = x.id } end]],
  twice = [[
    function flow.main() return #mill.map({ 1, 2 }, function() mill.gate("same", { ask = "?" })
      return 1 end) end]],
  steps = [[
    flow:step "double" { run = function(x) return { n = x.n * 2 } end }
    function flow.main(x) return flow.double(flow.double(x)) end]],
  append = [[
    local append = flow:action "append" {
      key = function(a) return a.id end, irreversible = true, on_unknown = "ask",
      run = function(a) mill.file.append(a.path, a.id .. "\n") return { at = a.path } end,
    }
    function flow.main(x)
      append { id = "one", path = x.path }
      mill.sleep(1)
      append { id = "two", path = x.path }
      return mill.now() > 0
    end]],
  careless = [[
    local append = flow:action "append" {
      key = function(a) return a.id end, irreversible = true, on_unknown = "retry",
      run = function(a) mill.file.append(a.path, a.id .. "\n") end,
    }
    function flow.main(x) append { id = "one", path = x.path } end]],
  settings = [[
    function flow.main() return mill.env("KIT_SPEC_NAME") end]],
}

describe("the kit", function()
  local dir

  setup(function()
    dir = content.folder()
    assert(os.execute("mkdir -p " .. dir .. "/workflows " .. dir .. "/prompts"))
    for name, body in pairs(FLOWS) do
      local head = "local mill = require 'tidemill'\nlocal flow = mill.workflow '%s' {}\n"
      content.write(("%s/workflows/%s.lua"):format(dir, name),
        head:format(name) .. body .. "\nreturn flow\n")
    end
    local prompt = "---\nmodel: openai/none\n---\nSay: {{text}}\n"
    content.write(dir .. "/prompts/unit.prompt", prompt)
  end)
  teardown(function() content.remove(dir) end)

  local function options(opts)
    opts = opts or {}
    opts.dir = dir
    return opts
  end
  local function run(name, input, opts) return kit.run(name, input, options(opts)) end

  it("answers for a model by value, by function, and for any other unit", function()
    assert.equal("yes", run("ask", {}, { model = { unit = "yes" } }).value)
    local r = run("ask", { text = "a" }, {
      model = { unit = function(vars, request) return vars.text .. request.unit end },
    })
    assert.equal("aunit", r.value)
    assert.equal("a", r.asked[1].vars.text)
    assert.equal("star", run("ask", {}, { model = { ["*"] = "star" } }).value)
  end)

  it("tells what a failing model said", function()
    local model = { unit = function() error { message = "no idea" } end }
    local r = run("ask", {}, { model = model })
    assert.equal("failed", r.state)
    assert.truthy(r.error.message:find("no idea", 1, true))
  end)

  it("refuses options that it does not know", function()
    local ok, err = pcall(kit.run, "ask", {}, { modell = {} })
    assert.is_false(ok)
    assert.truthy(err:find('no option "modell"', 1, true))
  end)

  it("tells a run that was refused", function()
    local r = run("nothing", {})
    assert.equal("failed", r.state)
    assert.equal("not_found", r.error.code)
    assert.is_nil(r.id)
  end)

  it("lets three days pass in no time", function()
    local before = os.time()
    assert.equal("rested", run("nap").value)
    assert.truthy(os.time() - before < 5)
  end)

  it("moves the clock by hand, also across a restart", function()
    local handle = kit.start("nap", nil, options())
    assert.equal("waiting", handle:state())
    assert.equal("waiting", handle:advance "2d")
    assert.equal("waiting", handle:restart())
    assert.equal("waiting", handle:advance "1d")
    assert.equal("done", handle:advance "1s")
    assert.equal("rested", handle:result())
    handle:close()
  end)

  it("plays people: values, functions, silence", function()
    local asked
    local r = run("gate", nil, {
      gates = {
        first = function(gate)
          asked = gate.ask
          return { approve = true, answer = 7 }
        end,
        second = "timeout",
      },
    })
    assert.equal("done", r.state)
    assert.equal("?", asked)
    assert.equal(7, r.value[1])
    assert.equal("waiting", run("gate").state)
    local wrong = { gates = { first = { approve = true, answer = "x" } } }
    assert.has_error(function() run("gate", nil, wrong) end)
  end)

  it("decides each of two gates of one name", function()
    assert.equal(2, run("twice", nil, { gates = { same = true } }).value)
  end)

  it("approves by hand, and hands out a refused answer's error", function()
    local handle = kit.start("gate", nil, options())
    local state, err = handle:approve("first", { answer = "seven" })
    assert.is_nil(state)
    assert.equal("usage", err.code)
    assert.equal("waiting", handle:approve("first", { answer = 7 }))
    assert.equal("second", handle:gates()[1].name)
    handle:close()
  end)

  it("stands in for host actions and notes their effects", function()
    local r = run("pay", { id = "T-1" }, {
      actions = { pay = function(args, key) return { paid = args.id, under = key } end },
    })
    assert.equal("done", r.state)
    assert.equal("T-1", r.value.paid)
    assert.equal(1, #r.effects)
    assert.equal("pay", r.effects[1].action)
  end)

  it("runs one step alone", function()
    local r = kit.step("steps", "double", { n = 4 }, options())
    assert.equal("done", r.state)
    assert.same({ n = 8 }, r.value)
    assert.same({ n = 16 }, run("steps", { n = 4 }).value)
  end)

  it("sets the environment for a run and puts it back", function()
    assert.equal("there", run("settings", nil, { env = { KIT_SPEC_NAME = "there" } }).value)
    assert.is_nil(os.getenv "KIT_SPEC_NAME")
  end)

  it("shares one store in a world", function()
    local world = kit.world(options { model = { unit = "same" } })
    assert.equal("same", world.run("ask", {}).value)
    assert.equal("same", world.run("ask", {}).value)
    assert.equal(2, #world.engine:list({}).runs)
    world.close()
  end)

  it("kills after every record and finds the same end", function()
    local path = dir .. "/ledger"
    local report = kit.crash_everywhere("append", { path = path }, options {
      reset = function() os.remove(path) end,
      observe = function() return content.read(path) end,
    })
    assert.truthy(report.points >= 8)
    assert.equal(report.points, report.same)
    assert.equal("one\ntwo\n", report.baseline.observed)
  end)

  it("finds an effect that a crash repeats", function()
    local path = dir .. "/ledger"
    local ok, err = pcall(kit.crash_everywhere, "careless", { path = path }, options {
      point = "store.commit.pre",
      reset = function() os.remove(path) end,
      observe = function() return content.read(path) end,
    })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("another observed", 1, true), tostring(err))
  end)
end)
