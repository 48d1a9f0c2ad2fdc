--- Sales mail: interest, route, pains and draft.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local function run(name, opts) return kit.run("sales_email", content.sample(name), opts) end

describe("sales_email", function()
  it("drafts an answer to a hot mail and takes up what hurts", function()
    local value = run("email-01-hot").value
    assert.equal("hot", value.interest)
    assert.equal("sales", value.route)
    assert.truthy(value.draft:find "Our current tool is slow")
  end)

  it("sends cold mails to the newsletter without a draft", function()
    local value = run("email-02-cold").value
    assert.equal("newsletter", value.route)
    assert.equal(require("cjson").null, value.draft)
  end)

  it("drafts the same answer, wherever it dies on the way", function()
    local report = kit.crash_everywhere("sales_email", content.sample "email-01-hot")
    assert.equal("hot", report.baseline.value.interest)
    assert.equal(report.points, report.same)
    assert.truthy(report.points > 5)
  end)

  it("spends one call on advertising", function()
    local result = run "email-03-not-sales"
    assert.equal("ignore", result.value.route)
    assert.equal(1, #result.calls)
  end)

  it("asks a person when the model is not sure", function()
    local result = run "email-04-unclear"
    assert.equal("waiting", result.state)
    assert.equal("qualify", result.gates[1].name)
    local gates = { qualify = { approve = true, answer = "cold" } }
    result = run("email-04-unclear", { gates = gates })
    assert.equal("newsletter", result.value.route)
  end)

  it("takes two days of silence for warm", function()
    local handle = kit.start("sales_email", content.sample "email-04-unclear")
    handle:advance "3d"
    assert.equal("done", handle:state())
    assert.equal("warm", handle:result().interest)
  end)
end)

describe("extract_pain_points", function()
  it("serves tickets, calls and mails alike", function()
    local used = {}
    local model = {
      extract_pain_points = function(vars)
        used[#used + 1] = vars.text
        return { pain_points = { { pain = "x", quote = "not in the text", severity = "low" } } }
      end,
    }
    local gates = { follow_up = { approve = false } }
    kit.run("support_ticket", content.sample "ticket-11-question", { model = model })
    kit.run("call_debrief", content.sample "call-01-warm", { model = model, gates = gates })
    kit.run("sales_email", content.sample "email-05-warm", { model = model })
    assert.equal(3, #used)
  end)
end)
