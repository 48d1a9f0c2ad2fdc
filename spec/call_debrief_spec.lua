--- The call debrief: small units over one transcript, and a mail that waits for a person.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

describe("call_debrief", function()
  local dir, env

  before_each(function()
    dir = content.folder()
    env = { OUTBOX_FILE = dir .. "/outbox.jsonl" }
  end)
  after_each(function() content.remove(dir) end)

  local function sent() return content.ledger(env.OUTBOX_FILE) end

  local function run(name, opts)
    opts = opts or {}
    opts.env = env
    return kit.run("call_debrief", content.sample(name), opts)
  end

  local function start(name)
    return kit.start("call_debrief", content.sample(name), { env = env })
  end

  it("finds pains, objections and next steps with their owners", function()
    local result = run("call-01-warm", { gates = { follow_up = { approve = true } } })
    assert.equal("done", result.state)
    local value = result.value
    assert.truthy(value.summary:find "Sam and Dana")
    assert.equal(4, #value.pain_points)
    assert.equal("That is too expensive for what we are sure about today.", value.objections[1])
    assert.equal("us", value.next_steps[1].who)
    assert.equal("customer", value.next_steps[2].who)
  end)

  it("sends one mail, wherever it dies on the way", function()
    local report = kit.crash_everywhere("call_debrief", content.sample "call-01-warm", {
      env = env,
      gates = { follow_up = { approve = true } },
      reset = function() os.remove(env.OUTBOX_FILE) end,
      observe = function() return #sent() end,
    })
    assert.equal(1, report.baseline.observed)
    assert.equal(report.points, report.same)
    assert.truthy(report.points > 10)
  end)

  it("sends the mail once a person said yes", function()
    local handle = start "call-01-warm"
    assert.equal("waiting", handle:state())
    assert.same({}, sent())
    handle:approve "follow_up"
    assert.equal("done", handle:state())
    assert.equal(1, #sent())
    assert.equal("dana@harbourfoods.example", sent()[1].to)
  end)

  it("sends nothing after a no, and keeps the note", function()
    local handle = start "call-01-warm"
    handle:reject("follow_up", { note = "I will phone her" })
    assert.equal("done", handle:state())
    assert.same({}, sent())
    assert.is_false(handle:result().mail.sent)
    assert.equal("I will phone her", handle:result().mail.note)
  end)

  it("takes three days of silence for a no", function()
    local handle = start "call-01-warm"
    handle:advance "2d"
    assert.equal("waiting", handle:state())
    handle:advance "2d"
    assert.equal("done", handle:state())
    assert.is_false(handle:result().mail.sent)
    assert.same({}, sent())
  end)

  it("waits for its person through a restart", function()
    local handle = start "call-03-objections"
    handle:restart()
    assert.equal("waiting", handle:state())
    handle:approve "follow_up"
    assert.equal("done", handle:state())
    assert.equal(1, #sent())
  end)

  it("does not let a mail name a price that nobody said", function()
    local mail = { subject = "Offer", body = "It is yours for $99.00 a month." }
    local result = run("call-02-short", { model = { write_follow_up = mail } })
    assert.equal("failed", result.state)
    assert.truthy(result.error.message:find("$99.00", 1, true))
    assert.same({}, sent())
  end)

  it("debriefs every sample", function()
    for _, name in ipairs(content.samples "call-") do
      local result = run(name, { gates = { follow_up = { approve = false } } })
      assert.equal("done", result.state, name)
    end
  end)
end)
