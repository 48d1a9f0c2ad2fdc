--- Runs that are parked at a gate while the world around them changes.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

describe("a parked run", function()
  local dir

  before_each(function() dir = content.project() end)
  after_each(function() content.remove(dir) end)

  local function run(id, sample)
    local input = "@workflows/samples/" .. sample .. ".json"
    return content.tidemill(dir, { "run", "support_ticket", "--id", id, "--input", input })
  end

  local function edit(path, from, to)
    local text, count = content.read(dir .. "/" .. path):gsub(from, to)
    assert.truthy(count > 0)
    content.write(dir .. "/" .. path, text)
  end

  local function raw(id) return content.tidemill(dir, { "show", id, "--raw" }).out end

  it("prompt edit changes new runs, not parked ones", function()
    assert.equal(8, run("parked", "ticket-05-unknown").code) -- before its reply is drafted
    edit("prompts/draft_reply.prompt", "You draft replies", "You are a pirate")
    assert.equal(0, run("new", "ticket-11-question").code)
    local approved = content.tidemill(dir, { "approve", "parked", "--answer", '"product"' })
    assert.equal(0, approved.code, approved.err)
    assert.falsy(raw("parked"):find("You are a pirate", 1, true))
    assert.truthy(raw("parked"):find("You draft replies", 1, true))
    assert.truthy(raw("new"):find("You are a pirate", 1, true))
  end)

  it("finishes although its workflow is gone", function()
    assert.equal(8, run("parked", "ticket-05-unknown").code)
    os.remove(dir .. "/workflows/support_ticket.lua")
    local approved = content.tidemill(dir, { "approve", "parked", "--answer", '"product"' })
    assert.equal(0, approved.code, approved.err)
    assert.same({ "product" }, approved.json.categories)
  end)

  it("is decided by one person only", function()
    assert.equal(8, run("parked", "ticket-04-refund-180").code)
    assert.equal(0, content.tidemill(dir, { "reject", "parked", "--note", "no" }).code)
    assert.equal(5, content.tidemill(dir, { "approve", "parked", "pay_refund" }).code)
    assert.same({}, content.ledger(dir .. "/.tidemill/refunds.jsonl"))
  end)

  it("takes no answer that its gate's schema refuses", function()
    assert.equal(8, run("parked", "ticket-05-unknown").code)
    local refused = content.tidemill(dir, { "approve", "parked", "--answer", '"gardening"' })
    assert.equal(2, refused.code)
    assert.equal(8, content.tidemill(dir, { "result", "parked" }).code)
  end)
end)

describe("a gate that opens right after a log line", function()
  it("is waited for like any other", function()
    local dir = content.folder()
    finally(function() content.remove(dir) end)
    os.execute("mkdir " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "w" {}
      local act = flow:action "act" {
        key = function() return "k" end,
        blast = function() return 2 end,
        gate_above = 1,
        run = function() return 1 end,
      }
      function flow.main()
        mill.log "now"
        return act()
      end
      return flow]])
    assert.equal("waiting", kit.run("w", {}, { dir = dir }).state)
    assert.equal(1, kit.run("w", {}, { dir = dir, gates = { act = true } }).value)
  end)
end)

describe("a killed run", function()
  it("retry after a kill reuses the decision and pays once", function()
    local dir = content.project()
    finally(function() content.remove(dir) end)
    local args = {
      "run", "support_ticket", "--id", "killed",
      "--input", "@workflows/samples/ticket-03-refund-20.json",
    }
    local kills = 0
    for point = 1, 30 do
      local got = content.tidemill(dir, args, "TIDEMILL_CRASH_AT=record.post:" .. point)
      if got.code == 0 then break end
      assert.equal(137, got.code)
      kills = kills + 1
    end
    assert.truthy(kills > 0)
    local got = content.tidemill(dir, args)
    assert.equal(0, got.code, got.err)
    assert.equal("paid", got.json.refund.state)
    assert.equal(1, #content.ledger(dir .. "/.tidemill/refunds.jsonl"))
  end)
end)
