--- Law 10: confidence may ask for more (another try, a person), and never for less.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "payout" {}

local pay = flow:action "pay" {
  key = function(args) return "k" .. args.usd end,
  irreversible = true,
  blast = function(args) return args.usd end,
  gate_above = 50,
  on_unknown = "probe",
  probe = function(args)
    if mill.file.read(args.ledger) ~= "" then return true end
  end,
  run = function(args)
    mill.file.append(args.ledger, args.usd .. "\n")
    return true
  end,
}

flow:step "look" { about = "Looks.", input = { type = "object" }, run = function() end }

local bounds = { tools = { flow.look }, max_turns = 2, max_calls = 2, usd = 1 }

function flow.main(input)
  if input.how == "tools" then
    local _, value = mill.tools(input.unit, { text = "x" }, { tools = { flow.look } })
    return value
  elseif input.how == "agent" then
    local value, done = mill.agent(input.unit, { text = "x" }, bounds)
    return { value = value, unsure = done.unsure, by = done.reviewed and done.reviewed.by }
  end
  local claim, meta = mill.llm(input.unit, { text = "I want my money back." })
  if claim.usd > 0 then pay { usd = claim.usd, ledger = input.ledger } end
  return { usd = claim.usd, unsure = meta.unsure, model = meta.model, rung = meta.rung,
    by = meta.reviewed and meta.reviewed.by }
end

return flow
]]

local function prompt(more)
  return ([[
---
input: { schema: { text: string } }
output: { schema: { usd: number, confidence: number } }
%s
---
{{text}}]]):format(more)
end

local PROMPTS = {
  plain = "tidemill.repair: 0",
  careful = "tidemill.confidence: { of: confidence, at_least: 0.8 }",
  climbing = "tidemill.confidence: { of: /confidence, at_least: 0.8 }\n"
    .. "tidemill.tries: [{}, { temperature: 0 }, { seed: 7 }]",
  reviewed = "tidemill.confidence: { of: confidence, at_least: 0.8, else: review }\n"
    .. "tidemill.tries: [{}, { temperature: 0 }]",
}

describe("confidence", function()
  local dir, ledger

  setup(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/payout.lua", WORKFLOW)
    for name, more in pairs(PROMPTS) do
      content.write(("%s/prompts/%s.prompt"):format(dir, name), prompt(more))
    end
  end)
  teardown(function() content.remove(dir) end)
  before_each(function()
    ledger = os.tmpname()
    content.write(ledger, "")
  end)
  after_each(function() os.remove(ledger) end)

  -- How sure the model is, one time after the other.
  local function run(unit, usd, sure, gates)
    local n = 0
    return kit.run("payout", { unit = unit, ledger = ledger }, { dir = dir, gates = gates,
      model = { ["*"] = function()
        n = n + 1
        return { usd = usd, confidence = sure[n] or error("asked too often") }
      end } })
  end

  it("above the number is an answer like any other", function()
    local r = run("careful", 20, { 0.8 })
    assert.equal("done", r.state, r.error and r.error.message)
    assert.is_nil(r.value.unsure)
  end)

  it("below it is told to the script", function()
    local r = run("careful", 20, { 0.79 })
    assert.equal("done", r.state)
    assert.is_true(r.value.unsure)
    assert.equal(1, #r.asked)
  end)

  it("below it asks the next of tries, and no further than that", function()
    local r = run("climbing", 20, { 0.1, 0.9 })
    assert.is_nil(r.value.unsure)
    assert.equal(1, r.value.rung)
    assert.equal(0, r.asked[2].request.config.temperature)
    r = run("climbing", 20, { 0.1, 0.2, 0.3 })
    assert.is_true(r.value.unsure)
    assert.equal(3, #r.asked)
  end)

  it("below it asks a person, when the unit says so", function()
    local seen
    local r = run("reviewed", 20, { 0.1, 0.2 }, { review_reviewed = function(gate)
      seen = gate.show
      return { approve = true, answer = { usd = 15, confidence = 1 }, by = "ann" }
    end })
    assert.equal("done", r.state, r.error and r.error.message)
    assert.equal(15, r.value.usd)
    assert.equal("ann", r.value.by)
    assert.same({ usd = 20, confidence = 0.2 }, seen.answer)
    assert.equal("I want my money back.", seen.vars.text)
    assert.equal("15\n", content.read(ledger))
    assert.equal("waiting", run("reviewed", 20, { 0.1, 0.2 }).state)
    assert.equal("rejected", run("reviewed", 20, { 0.1, 0.2 },
      { review_reviewed = false }).error.kind)
  end)

  it("below it asks the same of an agent and of a call with tools", function()
    local opts = { dir = dir, model = { ["*"] = { usd = 1, confidence = 0 } }, gates = {
      review_reviewed = { approve = true, answer = { usd = 9, confidence = 1 }, by = "ann" } } }
    local r = kit.run("payout", { unit = "reviewed", how = "agent" }, opts)
    assert.same({ value = { usd = 9, confidence = 1 }, unsure = true, by = "ann" }, r.value)
    r = kit.run("payout", { unit = "reviewed", how = "tools" }, opts)
    assert.equal(9, r.value.usd)
    r = kit.run("payout", { unit = "careful", how = "agent" }, opts)
    assert.same({ value = { usd = 1, confidence = 0 }, unsure = true }, r.value)
  end)

  it("takes from a person only an answer that fits the unit", function()
    local run_ = kit.start("payout", { unit = "reviewed", ledger = ledger }, { dir = dir,
      model = { reviewed = { usd = 20, confidence = 0 } } })
    local ok, err = run_:approve("review_reviewed",
      { answer = { usd = "a lot", confidence = 1 } })
    assert.is_nil(ok)
    assert.truthy(err.message:find("usd", 1, true), err.message)
    run_:close()
  end)

  it("as high as it can be removes no gate", function()
    for _, unit in ipairs { "plain", "careful", "climbing", "reviewed" } do
      for _, sure in ipairs { 1.0, 1e308 } do
        local r = run(unit, 80, { sure })
        assert.equal("waiting", r.state)
        assert.equal("pay", r.gates[1].name)
        assert.equal("", content.read(ledger))
      end
    end
  end)

  it("adds a review to the action's gate, and does not take its place", function()
    local r = run("reviewed", 80, { 0.1, 0.2 }, { review_reviewed =
      { approve = true, answer = { usd = 80, confidence = 1 } } })
    assert.equal("waiting", r.state)
    assert.same({ "pay", "review_reviewed" }, { r.gates[1].name, r.gates[2].name })
    assert.equal("", content.read(ledger))
  end)

  it("leads to the same end, wherever the process dies", function()
    local report = kit.crash_everywhere("payout", { unit = "reviewed", ledger = ledger }, {
      dir = dir, model = { reviewed = { usd = 80, confidence = 0.5 } },
      gates = { review_reviewed = { approve = true, answer = { usd = 70, confidence = 1 } },
        pay = true },
      reset = function() content.write(ledger, "") end,
      observe = function() return content.read(ledger) end,
    })
    assert.equal("70\n", report.baseline.observed)
    assert.equal(report.points, report.same)
  end)
end)
