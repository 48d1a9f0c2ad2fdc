--- The support line: what the founding texts ask of it, one sentence each.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local sample = content.sample

describe("support_ticket", function()
  local dir, env

  before_each(function()
    dir = content.folder()
    env = { REFUNDS_FILE = dir .. "/refunds.jsonl" }
  end)
  after_each(function() content.remove(dir) end)

  local function run(ticket, opts)
    opts = opts or {}
    opts.env = env
    return kit.run("support_ticket", ticket, opts)
  end

  local function paid() return content.ledger(env.REFUNDS_FILE) end

  -- How a run went, as one line: what was asked of whom, in order.
  local function path_of(result)
    local words = {}
    for i, call in ipairs(result.calls) do words[i] = call.kind .. " " .. call.name end
    return table.concat(words, ", ")
  end

  local function unit_calls(result, unit)
    local n = 0
    for _, call in ipairs(result.calls) do
      if call.kind == "llm" and call.name == unit then n = n + 1 end
    end
    return n
  end

  it("runs a plain ticket from text to reply", function()
    local result = run(sample "ticket-11-question")
    assert.equal("done", result.state)
    assert.same({ "product" }, result.value.categories)
    assert.equal("none", result.value.refund.state)
    assert.truthy(result.value.parts[1].reply:find "^Hello, ")
  end)

  it("has a sample for each kind of trouble, and each of them ends well", function()
    local gates = {
      triage = { approve = true, answer = "product" },
      pay_refund = { approve = false, note = "not now" },
    }
    local names = content.samples "ticket-"
    assert.equal(12, #names)
    for _, name in ipairs(names) do
      local result = run(sample(name), { gates = gates })
      assert.equal("done", result.state, name)
    end
  end)

  it("unknown category routes to a human", function()
    local result = run(sample "ticket-05-unknown")
    assert.equal("waiting", result.state)
    assert.equal("triage", result.gates[1].name)

    local gates = { triage = { approve = true, answer = "product" } }
    result = run(sample "ticket-05-unknown", { gates = gates })
    assert.equal("done", result.state)
    assert.same({ "product" }, result.value.categories)
  end)

  it("takes a category outside the list for unknown, too", function()
    local model = { classify = { categories = { "gardening" }, confidence = 1 } }
    local result = run(sample "ticket-11-question", { model = model })
    assert.equal("waiting", result.state)
    assert.equal("triage", result.gates[1].name)
  end)

  it("asks a human when the model is not sure", function()
    local model = { classify = { categories = { "billing" }, confidence = 0.3 } }
    local result = run(sample "ticket-11-question", { model = model })
    assert.equal("triage", result.gates[1].name)
  end)

  it("two categories split and run twice", function()
    local result = run(sample "ticket-02-two-issues")
    assert.equal("done", result.state)
    assert.same({ "billing", "technical" }, result.value.categories)
    assert.equal(2, unit_calls(result, "draft_reply"))
    assert.equal("billing", result.value.parts[1].category)
    assert.equal("technical", result.value.parts[2].category)
    assert.equal(1, #paid())
  end)

  it("gives each line the whole text when the split leaves one out", function()
    local model = { split_ticket = { parts = { { category = "billing", text = "half" } } } }
    local result = run(sample "ticket-02-two-issues", { model = model })
    assert.equal("done", result.state)
    assert.equal(2, #result.value.parts)
  end)

  it("pays a small refund without asking", function()
    local result = run(sample "ticket-03-refund-20")
    assert.equal("paid", result.value.refund.state)
    assert.equal(20, result.value.refund.usd)
    assert.same({ { key = "T-1003", ticket_id = "T-1003", usd = 20 } }, paid())
  end)

  it("above threshold gates regardless of confidence = 1.0", function()
    local sure = { refund = true, usd = 180, reason = "Certain.", confidence = 1.0 }
    local result = run(sample "ticket-04-refund-180", { model = { refund_decision = sure } })
    assert.equal("waiting", result.state)
    assert.equal("pay_refund", result.gates[1].name)
    assert.same({}, paid())
  end)

  it("pays a large refund after a yes, and not after a no", function()
    local yes = { pay_refund = { approve = true } }
    local result = run(sample "ticket-04-refund-180", { gates = yes })
    assert.equal("paid", result.value.refund.state)
    assert.equal(1, #paid())

    local ticket = sample "ticket-04-refund-180"
    ticket.id = "T-2004"
    local no = { pay_refund = { approve = false, note = "never returned" } }
    result = run(ticket, { gates = no })
    assert.equal("rejected", result.value.refund.state)
    assert.equal("never returned", result.value.refund.reason)
    assert.equal(1, #paid())
  end)

  it("does not let a ticket talk its way to the money", function()
    local result = run(sample "ticket-08-injection")
    assert.equal("waiting", result.state)
    assert.equal("pay_refund", result.gates[1].name)
    assert.same({}, paid())
  end)

  it("asks a human when the model wants to refund more than was paid", function()
    local greedy = { refund = true, usd = 5000, reason = "Why not.", confidence = 1 }
    local result = run(sample "ticket-03-refund-20", { model = { refund_decision = greedy } })
    assert.equal("waiting", result.state)
    assert.equal("refund", result.gates[1].name)
    assert.same({}, paid())
  end)

  it("double run refunds once", function()
    local ticket = sample "ticket-03-refund-20"
    for _, point in ipairs { "record.post", "store.commit.pre" } do
      local report = kit.crash_everywhere("support_ticket", ticket, {
        env = env,
        point = point,
        reset = function() os.remove(env.REFUNDS_FILE) end,
        observe = function() return #paid() end,
      })
      assert.equal(1, report.baseline.observed)
      assert.equal(report.points, report.same)
      assert.truthy(report.points > 10)
    end
  end)

  it("reuses decision and refund when the same ticket comes again", function()
    local shared = kit.world { env = env }
    local first = shared.run("support_ticket", sample "ticket-03-refund-20")
    local again = shared.run("support_ticket", sample "ticket-12-duplicate")
    assert.equal(1, unit_calls(first, "refund_decision"))
    assert.equal(0, unit_calls(again, "refund_decision"))
    assert.same(first.value.refund, again.value.refund)
    assert.equal(1, #paid())
  end)

  it("refuses another ticket under a known id", function()
    local shared = kit.world { env = env }
    shared.run("support_ticket", sample "ticket-03-refund-20")
    local other = sample "ticket-03-refund-20"
    other.text = "Please refund 40 USD."
    local result = shared.run("support_ticket", other)
    assert.equal("failed", result.state)
    assert.equal("conflict", result.error.kind)
    assert.equal(1, #paid())
  end)

  it("fortieth ticket runs like the first", function()
    local kinds =
      { "ticket-01-angry", "ticket-02-two-issues", "ticket-03-refund-20", "ticket-11-question" }
    local first = {}
    for i = 1, 40 do
      local kind = kinds[(i - 1) % #kinds + 1]
      local ticket = sample(kind)
      ticket.id = "F-" .. i
      local path = path_of(run(ticket))
      first[kind] = first[kind] or path
      assert.equal(first[kind], path, "ticket " .. i)
    end
  end)

  it("keeps no pain point that the customer did not write", function()
    local made_up = {
      pain_points = {
        { pain = "slow", quote = "it is slow as a snail", severity = "high" },
        { pain = "plan", quote = "a student plan", severity = "low" },
      },
    }
    local model = { extract_pain_points = made_up }
    local result = run(sample "ticket-11-question", { model = model })
    assert.equal(1, #result.value.parts[1].pain_points)
    assert.equal("plan", result.value.parts[1].pain_points[1].pain)
  end)

  it("hands markup and control characters to no model", function()
    local seen
    local model = {
      classify = function(vars)
        seen = vars.text
        return { categories = { "account" }, confidence = 1 }
      end,
    }
    run(sample "ticket-10-html-emoji", { model = model })
    assert.falsy(seen:find "<")
    assert.falsy(seen:find "%c")
    assert.truthy(seen:find "can't log in")
  end)

  it("refuses a ticket without an id before anything is asked", function()
    local result = run { text = "hello" }
    assert.equal("failed", result.state)
    assert.equal(0, #result.calls)
  end)
end)
