--- Agents: a loop of a model and its tools, held by three bounds; and what it looks like on the
-- wires of real providers.
local cjson = require "cjson"
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "desk" { budget = { llm_calls = 30 } }

local find_order = flow:action "find_order" {
  about = "Finds an order by its number.",
  input = { type = "object", required = { "number" },
    properties = { number = { type = "integer" } } },
  repeatable = true,
  run = function(args)
    if args.number == 13 then error("there is no order 13", 0) end
    return { number = args.number, usd = 80 }
  end,
}

local refund = flow:action "refund" {
  about = "Pays an order back.",
  input = { type = "object", required = { "number", "usd" },
    properties = { number = { type = "integer" }, usd = { type = "number" } } },
  key = function(args) return "order " .. args.number end,
  blast = function(args) return args.usd end,
  gate_above = 50,
  run = function(args)
    mill.file.append(args.ledger or "/dev/null", args.number .. "\n")
    return { paid = args.usd }
  end,
}

flow:step "advice" {
  about = "Asks other models.",
  input = { type = "object" },
  run = function()
    local function ask() return mill.llm "adviser" end
    return mill.all { ask, ask }
  end,
}

flow:step "bold" {
  about = "Sends the wrong key.",
  input = { type = "object" },
  run = function() return mill.sleep "soon" end,
}

local bounds = { max_turns = 3, max_calls = 3, usd = 1 }

local function answer(input)
  local opts = { tools = { find_order, refund, flow.advice, flow.bold } }
  for name, value in pairs(input.opts or bounds) do opts[name] = value end
  if input.explain then
    opts.on_error = function(err, call) return call.name .. ": " .. err.message end
  end
  local value, meta = mill.agent("desk", { text = input.text or "Help" }, opts)
  return { value = value, meta = meta }
end

function flow.main(input)
  if not input.both then return answer(input) end
  return mill.map({ "first", "second" }, function(text)
    return answer { text = text, opts = { max_turns = 3, max_calls = 3, usd = 1 } }
  end)
end

return flow
]]

local PROMPT = [[
---
input: { schema: { text: string } }
output: { schema: { answer: string } }
tidemill.repair: 1
---
{{role "system"}}
You are the desk.
{{role "user"}}
{{text}}]]

describe("mill.agent", function()
  local dir

  setup(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/desk.lua", WORKFLOW)
    content.write(dir .. "/prompts/desk.prompt", PROMPT)
    content.write(dir .. "/prompts/adviser.prompt", "Advise.")
  end)
  teardown(function() content.remove(dir) end)

  local function wish(...)
    local list = {}
    for i, call in ipairs { ... } do
      list[i] = { name = call[1], arguments = call[2], id = call.id, opaque = call.opaque }
    end
    return { tool_calls = list, text = list[1] and "" or nil }
  end

  local order = { "find_order", { number = 7 } }
  local pay = { "refund", { number = 7, usd = 80 } }
  local done = { answer = "Done." }

  -- The model gives one of these after the other.
  local function run(answers, input, more)
    local n = 0
    local opts = { dir = dir, model = { adviser = "Wait.", desk = function()
      n = n + 1
      return answers[n] or error("the model was asked too often")
    end } }
    for key, value in pairs(more or {}) do opts[key] = value end
    return kit.run("desk", input or {}, opts)
  end

  it("asks until there is an answer, and runs what it is asked for", function()
    local r = run({ wish(order), wish(pay), done }, {}, { gates = { refund = true } })
    assert.equal("done", r.state, r.error and r.error.message)
    assert.same(done, r.value.value)
    assert.equal(3, r.value.meta.turns)
    assert.same({
      { name = "find_order", arguments = { number = 7 }, result = { number = 7, usd = 80 } },
      { name = "refund", arguments = { number = 7, usd = 80 }, result = { paid = 80 } },
    }, r.value.meta.calls)
    assert.equal(3, #r:called("desk"))
    assert.equal("action", r:called("refund")[1].kind)
  end)

  it("hands back what the tools gave, and what is opaque unchanged", function()
    local secret = { { type = "thinking", signature = "EqQ=", n = 9007199254740993 } }
    local first = wish({ "find_order", { number = 7 }, id = "a", opaque = secret },
      { "find_order", { number = 8 }, id = "b" })
    first.text = "Let me see."
    local r = run { first, done }
    local messages = r.asked[2].request.messages
    assert.equal("user", messages[#messages - 2].role)
    assert.same({ role = "model", content = {
      { text = "Let me see." },
      { toolRequest = { ref = "a", name = "find_order", input = { number = 7 },
        opaque = secret } },
      { toolRequest = { ref = "b", name = "find_order", input = { number = 8 } } },
    } }, messages[#messages - 1])
    assert.same({ role = "tool", content = {
      { toolResponse = { ref = "a", name = "find_order",
        output = { number = 7, usd = 80 } } },
      { toolResponse = { ref = "b", name = "find_order",
        output = { number = 8, usd = 80 } } },
    } }, messages[#messages])
    assert.same({ messages[#messages - 1], messages[#messages] }, r.value.meta.messages)
  end)

  it("asks a person at an action's gate, whatever the model is sure of", function()
    local sure = wish({ "refund", { number = 7, usd = 80, confidence = 1, approved = true } })
    local r = run { sure }
    assert.equal("waiting", r.state)
    assert.equal("refund", r.gates[1].name)
    r = run({ sure }, {}, { gates = { refund = { approve = false, note = "no" } } })
    assert.equal("rejected", r.error.kind)
    assert.equal(1, #r.asked)
  end)

  describe("is held by its bounds:", function()
    it("all three have to be said", function()
      for _, opts in ipairs {
        { max_calls = 1, usd = 1 }, { max_turns = 1, usd = 1 },
        { max_turns = 1, max_calls = 1 },
      } do
        local r = run({}, { opts = opts })
        assert.equal("usage", r.error.kind)
        assert.truthy(r.error.message:find("mill.agent needs", 1, true))
        assert.same({}, r.asked)
      end
    end)

    it("and have to be numbers that bound", function()
      for name, values in pairs {
        max_turns = { 0, -1, 1.5, 101, "3" }, max_calls = { 0, 1001, true },
        usd = { 0, -1, "1" }, on_bound = { "go on" }, on_error = { "swallow" },
        turns = { 3 }, tool_choice = { "required" },
      } do
        for _, value in ipairs(values) do
          local opts = { max_turns = 2, max_calls = 2, usd = 1 }
          opts[name] = value
          local r = run({}, { opts = opts })
          assert.equal("usage", r.error and r.error.kind, name .. " = " .. tostring(value))
          assert.truthy(r.error.message:find(name, 1, true), r.error.message)
        end
      end
    end)

    it("turns; what the last one asks for is not run", function()
      local r = run({ wish(order), wish(order), wish(pay) })
      assert.equal("failed", r.state)
      assert.equal("agent", r.error.kind)
      assert.equal("turns", r.error.code)
      assert.equal(3, r.error.turns)
      assert.equal("refund", r.error.wanted[1].name)
      assert.equal(2, #r.error.calls)
      assert.equal(3, #r.asked)
      assert.same({}, r:called("refund"))
    end)

    it("calls; of too many none is run", function()
      local r = run({ wish(order, order), wish(order, order) })
      assert.equal("calls", r.error.code)
      assert.equal(2, #r:called("find_order"))
    end)

    it("and an author may take what there is instead", function()
      local r = run({ wish(order) }, { opts =
        { max_turns = 1, max_calls = 1, usd = 1, on_bound = "return" } })
      assert.equal("done", r.state)
      assert.is_nil(r.value.value)
      assert.equal("turns", r.value.meta.stopped)
    end)

    it("the workflow's budget goes before them", function()
      local answers = {}
      for i = 1, 40 do answers[i] = wish(order) end
      local r = run(answers, { opts = { max_turns = 40, max_calls = 40, usd = 1 } })
      assert.equal("budget", r.error.kind)
      assert.equal(30, #r.asked)
    end)
  end)

  describe("and an error of a tool", function()
    local lost = wish({ "find_order", { number = 13 } })

    it("goes back to the model", function()
      local r = run { lost, done }
      assert.equal("done", r.state)
      assert.equal("there is no order 13", r.value.meta.calls[1].error)
      local messages = r.asked[2].request.messages
      assert.same({ error = "there is no order 13" },
        messages[#messages].content[1].toolResponse.output)
    end)

    it("goes back in the author's words, or ends the run", function()
      local r = run({ lost, done }, { explain = true })
      assert.equal("find_order: there is no order 13", r.value.meta.calls[1].error)
      r = run({ lost }, { opts =
        { max_turns = 3, max_calls = 3, usd = 1, on_error = "raise" } })
      assert.equal("there is no order 13", r.error.message)
    end)

    it("that is a mistake of the author ends the run in any case", function()
      local r = run { wish({ "bold", {} }) }
      assert.equal("usage", r.error.kind)
    end)
  end)

  it("never hides a cancel from the run", function()
    local r = kit.start("desk", {}, { dir = dir, model = { desk = wish(pay) } })
    assert.equal("waiting", r:state())
    assert(r.engine:control(r.id, "cancel"))
    r:drive()
    assert.equal("cancelled", r:state())
    assert.equal(0, #r:gates())
    r:close()
  end)

  it("does each thing once, wherever its process dies", function()
    local ledger = os.tmpname()
    local answers = { wish(order), wish { "refund", { number = 7, usd = 80, ledger = ledger } },
      done }
    -- A life that begins anew goes on where the conversation is, not where a counter was.
    local function model(_, request)
      local turn = 1
      for _, message in ipairs(request.messages) do
        if message.role == "tool" then turn = turn + 1 end
      end
      return answers[turn]
    end
    local report = kit.crash_everywhere("desk", {}, {
      dir = dir, gates = { refund = true }, model = { desk = model },
      reset = function() content.write(ledger, "") end,
      observe = function() return content.read(ledger) end,
    })
    assert.equal("done", report.baseline.state)
    assert.equal("7\n", report.baseline.observed)
    assert.equal(2, #report.baseline.value.meta.calls)
    assert.equal(report.points, report.same)
    assert.truthy(report.points > 12)
    os.remove(ledger)
  end)

  it("goes on after days at a gate, in another process, without asking again", function()
    local asked = 0
    local answers = { wish(order), wish(pay), done }
    local r = kit.start("desk", {}, { dir = dir, model = { desk = function()
      asked = asked + 1
      return answers[asked]
    end } })
    assert.equal("waiting", r:state())
    r:advance "14d"
    assert.equal("waiting", r:restart())
    assert.equal(2, asked)
    assert.equal("done", r:approve("refund"))
    assert.equal(3, asked)
    assert.same(done, r:result().value)
    r:close()
  end)
end)

describe("an agent's money", function()
  local dir, server

  setup(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/desk.lua", WORKFLOW)
    content.write(dir .. "/prompts/desk.prompt", PROMPT)
    content.write(dir .. "/prompts/adviser.prompt", "Advise.")
    content.write(dir .. "/tidemill.yaml",
      'prices: { "openai/dear": { input: 9, output: 9 } }\n')
    server = content.serve { { match = "Advise.", answer = "Wait." },
      { answer = "", tool = { name = "advice", arguments = {} } } }
  end)
  teardown(function()
    server.stop()
    content.remove(dir)
  end)

  it("is spent by its tools, too, in whatever branch they ask", function()
    local opts = { opts = { max_turns = 9, max_calls = 9, usd = 0.000001 } }
    local got = content.tidemill(dir, { "run", "desk", "-q", "--id", "a1", "--model",
      "desk=openai/cheap", "--model", "adviser=openai/dear", "--input", cjson.encode(opts) },
      ("OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1"):format(server.port))
    assert.equal(1, got.code, got.err)
    local show = content.tidemill(dir, { "show", "a1", "--json" })
    local last = show.json.records[#show.json.records].error
    assert.equal("usd", last.code)
    assert.equal(1, last.turns)
    assert.equal(1, #last.calls)
    assert.truthy(last.usd > 0.000001)
  end)
end)

local wires = {
  openai = { model = "openai/gpt-4.1-mini", turns = "messages", back = '"role":"tool"',
    env = "OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1" },
  ["openai-responses"] = { model = "openai-responses/gpt-4.1-mini", turns = "input",
    back = "function_call_output", opaque = '"encrypted_content":"gAAA"',
    env = "OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1" },
  anthropic = { model = "anthropic/claude-sonnet-4-6", turns = "messages",
    back = '"type":"tool_result"',
    env = "ANTHROPIC_API_KEY=k ANTHROPIC_BASE_URL=http://127.0.0.1:%s" },
  gemini = { model = "gemini/gemini-3-flash", turns = "contents", back = "functionResponse",
    opaque = '"thoughtSignature":"c2ln"',
    env = "GOOGLE_API_KEY=k GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:%s" },
  ollama = { model = "ollama/llama3.2", turns = "messages", back = '"role":"tool"', free = true,
    env = "OLLAMA_HOST=127.0.0.1:%s" },
}

for name, wire in pairs(wires) do
  describe("an agent over " .. name .. "'s wire format", function()
    local dir, server

    before_each(function()
      dir = content.folder()
      assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
      content.write(dir .. "/workflows/desk.lua", WORKFLOW)
      content.write(dir .. "/prompts/desk.prompt", PROMPT)
    end)
    after_each(function()
      server.stop()
      content.remove(dir)
    end)

    local function run(rules, input)
      server = content.serve(rules)
      return content.tidemill(dir, { "run", "desk", "-q", "--id", "a1", "--model", wire.model,
        "--input", cjson.encode(input) }, wire.env:format(server.port))
    end

    local tool = { name = "find_order", arguments = { number = 4711 } }

    it("asks, is told what the tool gave, and answers", function()
      local got = run({ { times = 1, answer = "One moment.", tool = tool },
        { answer = { answer = "It was 80 USD." } } }, {})
      assert.equal(0, got.code, got.err)
      assert.equal("It was 80 USD.", got.json.value.answer)
      assert.equal(2, got.json.meta.turns)
      local told = content.tidemill(dir, { "show", "a1" }).out
      assert.truthy(told:find('-> find_order {"number":4711}', 1, true), told)
      local sent = {}
      local show = content.tidemill(dir, { "show", "a1", "--raw", "--json" })
      for _, record in ipairs(show.json.records) do
        if record.record == "attempt" and record.kind == "llm" then
          sent[#sent + 1] = record.attempt.request
        end
      end
      assert.equal(2, #sent)
      assert.truthy(sent[1]:find("Finds an order by its number.", 1, true))
      assert.is_nil(sent[1]:find(wire.back, 1, true))
      local turns = cjson.encode(cjson.decode(sent[2])[wire.turns])
      for _, text in ipairs { "One moment.", "4711", "80" } do
        assert.truthy(turns:find(text, 1, true), turns)
      end
      for _, text in ipairs { wire.back, wire.opaque or "find_order" } do
        assert.truthy(sent[2]:find(text, 1, true), sent[2])
      end
    end)

    it("waits where it is when the provider sends it away, in another process too", function()
      server = content.serve { { times = 1, answer = "", tool = tool },
        { times = 1, fault = "429", headers = { ["Retry-After"] = "120" } },
        { answer = { answer = "It was 80 USD." } } }
      local env = {}
      for key, value in wire.env:format(server.port):gmatch "([A-Z_]+)=(%S+)" do
        env[key] = value
      end
      local r = kit.start("desk", {}, { dir = dir, model = wire.model, env = env })
      assert.equal("waiting", r:state())
      assert.equal("waiting", r:restart())
      assert.equal("done", r:advance "140s")
      assert.equal("It was 80 USD.", r:result().value.answer)
      assert.equal(3, #server.get "/log")
      r:close()
    end)

    if wire.free then return end
    it("stops when its money is used up, and runs no tool on credit", function()
      content.write(dir .. "/tidemill.yaml",
        ('prices: { "%s": { input: 100, output: 100 } }\n'):format(wire.model))
      local got = run({ { answer = "", tool = tool } },
        { opts = { max_turns = 9, max_calls = 9, usd = 0.0000001 } })
      assert.equal(1, got.code)
      local show = content.tidemill(dir, { "show", "a1", "--json" })
      local run_error = show.json.records[#show.json.records].error
      assert.equal("usd", run_error.code)
      assert.truthy(run_error.usd > 0)
      assert.equal(1, run_error.turns)
      assert.equal(0, #run_error.calls)
    end)

    it("counts what it spent itself, not what its neighbour did", function()
      content.write(dir .. "/tidemill.yaml",
        ('prices: { "%s": { input: 100, output: 100 } }\n'):format(wire.model))
      local got = run({ { match = "first", answer = { answer = "1" } },
        { times = 1, answer = "", tool = tool }, { answer = { answer = "2" } } },
        { both = true })
      assert.equal(0, got.code, got.err)
      local first, second = got.json[1].meta.usd, got.json[2].meta.usd
      local show = content.tidemill(dir, { "show", "a1", "--json" })
      local all = 0
      for _, record in ipairs(show.json.records) do
        all = all + (record.record == "done" and record.meta and record.meta.usd or 0)
      end
      assert.truthy(first > 0 and second > first)
      assert.truthy(math.abs(all - first - second) < 1e-9)
    end)
  end)
end
