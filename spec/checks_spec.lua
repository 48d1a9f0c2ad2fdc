--- Content checks: of a prompt unit and of one call, in the repair round of the model.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local PROMPT = [[
---
input: { schema: { text: string } }
output: { schema: { reply: string } }
tidemill.checks:
  - { of: reply, must_not_match: "(?:[Ss]orry)", max_chars: 60 }
  - grounded_in: text
tidemill.repair: 1
---
{{text}}]]

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "checked" {}
function flow.main(input)
  local answer, meta = mill.llm("reply", { text = input.text }, { checks = input.checks })
  return { reply = answer.reply, rounds = meta.rounds }
end
return flow
]]

describe("content checks", function()
  local dir

  setup(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/checked.lua", WORKFLOW)
    content.write(dir .. "/prompts/reply.prompt", PROMPT)
  end)
  teardown(function() content.remove(dir) end)

  -- The model answers with one of these after the other.
  local function run(replies, checks)
    local n = 0
    local function answer()
      n = n + 1
      return { reply = replies[n] }
    end
    return kit.run("checked", { text = "I was charged twice.", checks = checks },
      { dir = dir, model = { reply = answer } })
  end

  it("of a unit send an answer back with what is wrong", function()
    local r = run { "You said “charged thrice”.", "You said “charged twice”." }
    assert.same({ reply = "You said “charged twice”.", rounds = 1 }, r.value)
    local messages = r.asked[2].request.messages
    assert.truthy(messages[#messages].content[1].text:find("charged thrice", 1, true))
  end)

  it("that fail to the end fail the call", function()
    local r = run { "Sorry!", "So sorry!" }
    assert.equal("failed", r.state)
    assert.equal("bad_output", r.error.class)
    assert.equal("/reply", r.error.errors[1].instance)
    assert.equal("must_not_match", r.error.errors[1].keyword)
  end)

  it("of a call come on top of the unit's", function()
    local r = run({ "Fine.", "We refund you." }, { must_match = "refund" })
    assert.same({ reply = "We refund you.", rounds = 1 }, r.value)
    r = run({ "Sorry, a refund.", "Sorry: refund" }, { { must_match = "refund" } })
    assert.equal("bad_output", r.error.class)
  end)

  it("that are none are refused where they are asked for", function()
    local r = run({ "Fine." }, { max_char = 3 })
    assert.equal("failed", r.state)
    assert.equal("usage", r.error.kind)
    assert.truthy(r.error.message:find('there is no check "max_char"', 1, true))
  end)
end)
