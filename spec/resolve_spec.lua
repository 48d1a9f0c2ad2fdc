--- An action in doubt: what it asks, and how a person resolves it.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

-- The body writes its line, then breaks: nobody knows whether it counts.
local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "w" {}
local function act(name)
  return flow:action(name) { key = function(a) return a.id end, on_unknown = "ask",
    run = function(a)
      local before = mill.file.read(name .. ".txt") or ""
      mill.file.append(name .. ".txt", a.id .. "\n")
      if before == "" then error("the receipt is odd") end
      return { sent = "again" }
    end }
end
local pay, ship = act "pay", act "ship"
function flow.main(input)
  if input.both then
    return mill.all { function() return pay { id = "k" } end,
                      function() return ship { id = "k" } end }
  end
  if input.gate then mill.gate("sure", { ask = "Sure?" }) end
  return pay { id = "k" }
end
return flow
]]

describe("tidemill resolve", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", workflow)
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end
  local function lines(name) return content.read(dir .. "/" .. name .. ".txt") end

  --- A run that stops in doubt, because its process died when the line was written.
  local function doubtful(id)
    local words = { "run", "w", "--id", id, "--input", "{}" }
    assert.equal(137, content.tidemill(dir, words, "TIDEMILL_CRASH_AT=record.post:4").code)
    assert.equal("k\n", lines "pay")
    local got = cli(table.unpack(words))
    assert.equal(8, got.code, got.err)
    return got
  end

  --- A run with this input, that waits for a person.
  local function stopped(id, input)
    local got = cli("run", "w", "--id", id, "--input", input)
    assert.equal(8, got.code, got.err)
    return got
  end

  it("is what the run says to type", function()
    local got = stopped("doubt-1", "{}")
    local typed = got.err:match "\n  (tidemill resolve [^\n]*%-%-applied[^\n]*)"
    assert.equal("tidemill resolve doubt-1 pay --applied '{…}'", typed)
    got = content.shell(dir, (typed:gsub("{…}", '{"id": 7}')))
    assert.equal(0, got.code, got.err)
    assert.same({ id = 7 }, cli("result", "doubt-1", "--json").json)
    assert.equal("k\n", lines "pay")
  end)

  it("does it now when it did not happen", function()
    doubtful "doubt-1"
    local got = cli("resolve", "doubt-1", "--not-applied", "--note", "no such payment")
    assert.equal(0, got.code, got.err)
    assert.same({ sent = "again" }, cli("result", "doubt-1", "--json").json)
    assert.equal("k\nk\n", lines "pay")
    local gate = cli("gates", "doubt-1", "--all", "--json").json.gates[1]
    assert.equal("rejected", gate.state)
    assert.equal("no such payment", gate.decision.note)
  end)

  it("counts once: the second word is told who was first", function()
    doubtful "doubt-1"
    assert.equal(0, cli("resolve", "doubt-1", "--applied", "null").code)
    local got = cli("resolve", "doubt-1", "--not-applied")
    assert.equal(5, got.code)
    assert.matches('the gate "pay" was already approved by', got.err, 1, true)
    assert.equal("k\n", lines "pay")
  end)

  it("asks which one, when several are in doubt", function()
    stopped("doubt-1", '{"both":true}')
    local got = cli("resolve", "doubt-1", "--applied", "1")
    assert.equal(2, got.code)
    assert.matches("more than one action in doubt; name one", got.err, 1, true)
    assert.equal(8, cli("resolve", "doubt-1", "ship", "--applied", "1").code)
    assert.same({ 2, 1 }, cli("resolve", "doubt-1", "--applied", "2", "--json").json.result)
  end)

  it("is not for the other gates, which are approved", function()
    stopped("doubt-1", '{"gate":true}')
    local got = cli("resolve", "doubt-1", "--applied", "1")
    assert.equal(4, got.code)
    assert.matches("run doubt-1 has no action in doubt", got.err, 1, true)
    assert.equal(4, cli("resolve", "doubt-1", "sure", "--applied", "1").code)
  end)

  it("is the only word for a doubt: approve and reject are refused", function()
    doubtful "doubt-1"
    for _, word in ipairs { "approve", "reject", "approve pay", "reject pay" } do
      local command, gate = word:match "^(%w+) ?(%w*)$"
      local got = cli(command, "doubt-1", gate ~= "" and gate or nil)
      assert.equal(5, got.code)
      assert.matches('action "pay" of run doubt-1 is in doubt', got.err, 1, true)
      assert.matches("`tidemill resolve doubt-1 pay`", got.err, 1, true)
    end
    assert.equal("k\n", lines "pay")
    assert.equal(0, cli("resolve", "doubt-1", "--applied", "null").code)
  end)

  it("wants one of the two, and a result that is JSON", function()
    doubtful "doubt-1"
    for _, flags in ipairs { {}, { "--not-applied", "--applied", "1" } } do
      local got = cli("resolve", "doubt-1", table.unpack(flags))
      assert.equal(2, got.code)
      assert.matches("say one of --applied JSON", got.err, 1, true)
    end
    local got = cli("resolve", "doubt-1", "--applied", "{id")
    assert.equal(2, got.code)
    assert.matches("--applied: not JSON", got.err, 1, true)
    assert.equal(8, cli("resume", "doubt-1").code)
  end)

  it("stays what it was in a replay", function()
    local handle = kit.start("w", {}, { dir = dir })
    handle:advance("2s")
    assert.equal("done", handle:resolve("pay", { id = 1 }, { by = "Ada" }))
    assert.same({ id = 1 }, handle:result())
    local doc = handle.engine:examine(handle.id, "replay")
    assert.equal("equal", doc.verdict)
    handle:close()
  end)
end)
