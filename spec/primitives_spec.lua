--- Each primitive as docs/primitives.md promises it, in workflows of a few lines.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

describe("the primitives", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows/schemas " .. dir .. "/prompts")
  end)
  after_each(function() content.remove(dir) end)

  --- Run main (the lines between `function flow.main(input)` and its `end`).
  local function run(main, opts)
    opts = opts or {}
    content.write(dir .. "/workflows/w.lua", ([[
local mill = require "tidemill"
local flow = mill.workflow "w" { %s }
%s
function flow.main(input)
%s
end
return flow
]]):format(opts.spec or "", opts.declare or "", main))
    opts.spec, opts.declare = nil, nil
    local input = opts.input or {}
    opts.input, opts.dir = nil, dir
    return kit.run("w", input, opts)
  end

  local function value(main, opts)
    local r = run(main, opts)
    assert.equal("done", r.state, r.error and r.error.message)
    return r.value
  end

  local function message(main, opts)
    local r = run(main, opts)
    assert.equal("failed", r.state)
    return r.error.message, r.error
  end

  describe("values", function()
    it("cross exactly: integers, doubles, null, empty arrays and objects", function()
      assert.same('[9007199254740993,1.5,null,[],{}]', value [[
        return mill.json.encode { 9007199254740993, 1.5, mill.null, mill.array {}, {} }]])
      assert.is_true(value [[
        local cjson = require "cjson"
        return cjson.null == mill.null and math.type(mill.json.decode "3") == "integer"]])
    end)

    it("that are no JSON are refused with their path", function()
      local text = message [[ return { list = { 1, function() end } } ]]
      assert.matches("/list/1", text, 1, true)
    end)
  end)

  describe("schemas", function()
    it("are found by name, or written in place as JSON Schema or Picoschema", function()
      content.write(dir .. "/workflows/schemas/color.json", '{"enum":["red","blue"]}')
      assert.same({ true, false, true, false }, value [[
        local pico = mill.schema { name = "string", age = "integer" }
        return { (mill.check("red", "color")), (mill.check("green", "color")) or false,
          (mill.check({ name = "Bo", age = 3 }, pico)),
          (mill.check({ name = "Bo", age = "3" }, pico)) or false }]])
    end)

    it("may be a line or a few of Picoschema", function()
      assert.same({ true, false, true, false }, value [[
        local many = mill.schema "name: string\nage?: integer, in years"
        return { (mill.check("x", "string, any text")), (mill.check(5, "string")) or false,
          (mill.check({ name = "Bo" }, many)), (mill.check({ age = 5 }, many)) or false }]])
      assert.matches("workflows/schemas/nosuch.json does not exist",
        message [[ mill.schema "nosuch" ]], 1, true)
      assert.matches('the schema "strin, x"', message [[ mill.schema "strin, x" ]], 1, true)
    end)

    it("fill in their defaults when asked", function()
      assert.same({ n = 3, s = "given" }, value [[
        return mill.fill({ s = "given" }, { type = "object", properties = {
          n = { type = "integer", default = 3 }, s = { type = "string", default = "no" } } })]])
    end)

    it("tell what is wrong, where", function()
      local errors = value [[
        local _, errors = mill.check({ n = "x" }, { type = "object",
          properties = { n = { type = "integer" } } })
        return errors]]
      assert.equal("/n", errors[1].instance)
      assert.equal("type", errors[1].keyword)
    end)

    it("hold a workflow's input before anything is stored, and its result", function()
      local spec = "input = { type = 'array' }"
      local refused = run("return 1", { spec = spec, input = { a = 1 } })
      assert.equal("failed", refused.state)
      assert.is_nil(refused.id)
      assert.matches("the input of w is invalid", refused.error.message, 1, true)
      local text = message("return 1", { spec = "output = { type = 'string' }" })
      assert.matches("the result of w is invalid", text, 1, true)
    end)
  end)

  describe("a step", function()
    it("holds its input and output to their contracts", function()
      local declare = [[flow:step "double" { input = { type = "integer" },
        output = { type = "integer", maximum = 10 }, run = function(n) return 2 * n end }]]
      assert.equal(8, value("return flow.double(4)", { declare = declare }))
      assert.matches("the input of step double", message("return flow.double('x')",
        { declare = declare }), 1, true)
      assert.matches("the output of step double", message("return flow.double(6)",
        { declare = declare }), 1, true)
    end)

    it("falls back when it raises or its check fails, with the error in hand", function()
      assert.same({ "no: odd", "4" }, value("return { flow.even(3), flow.even(4) }",
        { declare = [[flow:step "even" {
          run = function(n) return tostring(n) end,
          check = function(_, n) if n % 2 == 1 then return nil, "odd" end return true end,
          fallback = function(_, err) return "no: " .. err.message:match "odd" end }]] }))
    end)
  end)

  describe("noted calls", function()
    it("tell the journal's time", function()
      assert.equal(86400000, value [[
        local before = mill.now()
        mill.sleep("1d")
        return mill.now() - before]])
    end)

    it("roll dice within their bounds, and name things", function()
      local r = value [[
        return { mill.random(), mill.random(6), mill.random(7, 9), mill.uuid() }]]
      assert.is_true(r[1] >= 0 and r[1] < 1)
      assert.is_true(r[2] >= 1 and r[2] <= 6 and r[3] >= 7 and r[3] <= 9)
      assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", r[4])
    end)

    it("read settings, never secrets", function()
      assert.same({ "here", "default" }, value(
        [[ return { mill.env("TM_SPEC_PLACE"), mill.env("TM_SPEC_NONE", "default") } ]],
        { env = { TM_SPEC_PLACE = "here" } }))
      assert.matches("looks like a secret", message [[ return mill.env "MY_API_KEY" ]], 1,
        true)
    end)

    it("keep the run's declared fields, seen from outside", function()
      local r = run([[ mill.state.round = 2 return mill.state.round ]],
        { spec = "state = { round = 'integer' }" })
      assert.equal(2, r.value)
      assert.same({ round = 2 }, r.fields)
      assert.matches('no field "rounds"', message([[ mill.state.rounds = 2 ]],
        { spec = "state = { round = 'integer' }" }), 1, true)
      assert.matches("mill.state.round is invalid", message([[ mill.state.round = "x" ]],
        { spec = "state = { round = 'integer' }" }), 1, true)
    end)
  end)

  describe("branches", function()
    it("run side by side, and give their results in order", function()
      assert.same({ 30, 10, 20, ms = 3000 }, (function()
        local r = value [[
          local t = mill.now()
          local list = mill.map({ 3, 1, 2 }, function(n) mill.sleep(n) return n * 10 end)
          return { list = list, ms = mill.now() - t }]]
        r.list.ms = r.ms
        return r.list
      end)())
    end)

    it("keep to their window", function()
      assert.equal(6000, value [[
        local t = mill.now()
        mill.map({ 3, 1, 2 }, function(n) mill.sleep(n) end, { max = 1 })
        return mill.now() - t]])
    end)

    it("are cancelled by the first error, or settle", function()
      local text = message [[
        mill.all { function() mill.sleep("1d") end, function() error("second") end }]]
      assert.matches("second", text, 1, true)
      local r = value [[
        return mill.all({ function() return 1 end, function() error("no") end },
          { settle = true })]]
      assert.same({ ok = true, value = 1 }, r[1])
      assert.is_false(r[2].ok)
    end)

    it("race, and the losers' gates are closed", function()
      local r = run([[
        local v, i = mill.race {
          function() return (mill.gate("slow", { ask = "?" })) end,
          function() return (mill.gate("fast", { ask = "?" })) end,
        }
        return { v, i }]], { gates = { fast = { approve = true, answer = "quick" } } })
      assert.same({ "quick", 2 }, r.value)
      assert.equal("closed", r.gates[1].state)
    end)

    it("end within their time, or raise", function()
      local _, err = message [[ return mill.within("1h", function() mill.sleep("2h") end) ]]
      assert.equal("timeout", err.kind)
      assert.equal(7, value [[ return mill.within("1h", function() return 7 end) ]])
    end)
  end)

  describe("a gate", function()
    it("gives the answer and who gave it", function()
      local r = value([[
        local answer, meta = mill.gate("price", { ask = "How much?",
          answer = { type = "integer" } })
        return { answer, meta.approved, meta.note }]],
        { gates = { price = { approve = true, answer = 12, note = "fair" } } })
      assert.same({ 12, true, "fair" }, r)
    end)

    it("raises a reject, or returns it", function()
      local _, err = message([[ mill.gate("g", { ask = "?" }) ]], { gates = { g = false } })
      assert.equal("rejected", err.kind)
      assert.same({ "nil", false }, value([[
        local answer, meta = mill.gate("g", { ask = "?", on_reject = "return" })
        return { type(answer), meta.approved }]], { gates = { g = false } }))
    end)

    it("has no default for silence, and does what it says", function()
      assert.matches("must say on_timeout", message
        [[ mill.gate("g", { ask = "?", deadline = "1d" }) ]], 1, true)
      local function silent(what)
        return run(([[ local a, m = mill.gate("g", { ask = "?", deadline = "1d",
          on_timeout = %s, on_reject = "return" })
          return { a or "none", m.by } ]]):format(what),
          { gates = { g = "timeout" } })
      end
      assert.equal("timeout", silent('"fail"').error.kind)
      assert.same({ "none", "timeout" }, silent('"reject"').value)
      assert.same({ 5, "timeout" }, silent("{ answer = 5 }").value)
    end)
  end)

  describe("an error", function()
    it("is a plain table: kind, code, message, step and retryable", function()
      local e = value [[
        flow:step "station" { run = function()
          local _, e = pcall(mill.emit, "nobody", "paid", 1)
          local names = {}
          for name, v in pairs(e) do names[#names + 1] = name .. ":" .. type(v) end
          return { names = names, e = e }
        end }
        return flow.station()]]
      assert.same({ "code:string", "kind:string", "message:string", "retryable:boolean",
        "step:string" }, e.names)
      assert.equal("station", e.e.step)
      assert.equal(e.e.kind, e.e.code)
      assert.is_false(e.e.retryable)
      assert.is_nil(e.e.message:find "0x%x%x")
    end)
  end)

  describe("a decision", function()
    it("is made once for its key", function()
      assert.same({ 1, 1, 2 }, value [[
        local made = 0
        local function make() made = made + 1 return made end
        return { mill.decide("d", "a", make), mill.decide("d", "a", make),
          mill.decide("d", "b", make) }]])
    end)

    it("raises when the same key comes with another input", function()
      local _, err = message [[
        mill.decide("d", "a", function() return 1 end, { input = { n = 1 } })
        mill.decide("d", "a", function() return 2 end, { input = { n = 2 } })]]
      assert.equal("conflict", err.kind)
    end)
  end)

  describe("an action", function()
    local function ledger() return dir .. "/ledger.txt" end

    it("does its effect once for its key, in any run", function()
      local world = kit.world { dir = dir }
      content.write(dir .. "/workflows/w.lua", [[
        local mill = require "tidemill"
        local flow = mill.workflow "w" {}
        local book = flow:action "book" { key = function(a) return a.id end,
          run = function(a, key) mill.file.append("ledger.txt", key .. "\n") return a.seat end }
        function flow.main(input) return book(input) end
        return flow]])
      assert.equal(4, world.run("w", { id = "x", seat = 4 }).value)
      assert.equal(4, world.run("w", { id = "x", seat = 4 }).value)
      assert.equal("conflict", world.run("w", { id = "x", seat = 5 }).error.kind)
      assert.equal("x\n", content.read(ledger()))
      world.close()
    end)

    it("reads and writes files, and runs programs, inside its body alone", function()
      local r = value([[ return act() ]], { declare = [[
        local act = flow:action "act" { repeatable = true, run = function()
          mill.file.write("a.txt", "one ")
          mill.file.append("a.txt", "two")
          local ran = mill.exec({ "sh", "-c", "cat; echo err >&2; exit 3" }, { input = "in" })
          return { mill.file.read("a.txt"), mill.file.read("none.txt") or "nil", ran }
        end }]] })
      assert.same({ "one two", "nil", { code = 3, out = "in", err = "err\n" } }, r)
      assert.matches("works only inside an action", message [[ mill.file.read "a" ]], 1, true)
      assert.matches("does not work inside an action", message([[ act() ]], { declare = [[
        local act = flow:action "act" { repeatable = true,
          run = function() mill.sleep(1) end }]] }), 1, true)
    end)

    it("may be a journaled read", function()
      content.write(dir .. "/a.txt", "hello")
      assert.equal("hello", value [[
        return mill.fetch("a", function() return mill.file.read("a.txt") end)]])
    end)

    it("must say what it would break", function()
      local function declare(spec)
        return (message("return 1", { declare = 'flow:action "a" { ' .. spec .. " }" }))
      end
      assert.matches("needs key", declare "run = function() end", 1, true)
      assert.matches("must say on_unknown", declare
        "run = function() end, key = function() end, irreversible = true", 1, true)
      assert.matches("needs probe", declare
        "run = function() end, key = function() end, on_unknown = 'probe'", 1, true)
      assert.matches("needs blast", declare
        "run = function() end, key = function() end, gate_above = 1", 1, true)
    end)

    it("takes its key's text from the arguments, and nothing else", function()
      assert.matches("must be a text of 1 to 255 bytes", message([[ a {} ]], { declare = [[
        local a = flow:action "a" { key = function() return 5 end, run = function() end }]] }),
        1, true)
    end)

    it("says where its key came from, also when a tail call hides the caller", function()
      local function declare()
        return { declare = [[
          local a = flow:action "a" { key = function(args) return args.id end,
            run = function() end }]] }
      end
      assert.matches("^workflows/w.lua:%d+: the key of action \"a\" .+, not nil$",
        message([[ a {} ]], declare()))
      local told = message([[ return a {} ]], declare())
      local line = told:match '^workflows/w.lua:(%d+): the key of action "a" .+, not nil$'
      local n = 0
      for text in content.read(dir .. "/workflows/w.lua"):gmatch "[^\n]*" do
        n = n + 1
        if n == tonumber(line) then assert.matches("key = function", text, 1, true) end
      end
      assert.truthy(line, told)
    end)
  end)

  describe("a budget", function()
    local prompt = "---\nmodel: test/kit\n---\nSay something."

    it("ends the model calls of a run", function()
      content.write(dir .. "/prompts/say.prompt", prompt)
      local _, err = message([[ for _ = 1, 3 do mill.llm("say") end ]],
        { spec = "budget = { llm_calls = 2 }", model = { say = "hi" } })
      assert.equal("budget", err.kind)
    end)
  end)

  it("do not exist under other names, and say so", function()
    assert.matches("workflows/w.lua:5: mill.gates does not exist", message
      [[ return mill.gates("x") ]], 1, true)
  end)
end)
