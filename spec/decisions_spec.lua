--- mill.decide over the life of a decision: it expires, it is reopened, two runs race for it.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "w" {}
function flow.main(input)
  local made = false
  local reopen = input.reopen
  if reopen == "unless it is high" then
    reopen = function(value, was)
      flow.was = was
      return value.level ~= "high"
    end
  elseif reopen == "when the input is another" then
    reopen = function(_, was) return was.other_input end
  end
  local value = mill.decide("level", input.key or "k", function()
    made = true
    if input.slow then mill.sleep(input.slow) end
    if input.ask then mill.gate("level", { ask = "How high?" }) end
    return { level = input.level }
  end, { ttl = input.ttl, reopen = reopen, input = input.of })
  return { level = value.level, made = made, was = flow.was }
end
return flow
]]

describe("a decision", function()
  local dir, world

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", WORKFLOW)
    world = kit.world { dir = dir }
  end)
  after_each(function()
    world.close()
    content.remove(dir)
  end)

  local function run(input)
    local r = world.run("w", input)
    assert.equal("done", r.state, r.error and r.error.message)
    return r.value, r
  end

  local function recalled(r)
    for _, record in ipairs(r.history) do
      if record.kind == "recall" then return record.value end
    end
  end

  it("holds until its time is over, and is then made anew by the next run that asks", function()
    assert.same({ level = "low", made = true }, run { level = "low", ttl = "30d" })
    assert(world.engine:advance(29 * 86400000))
    assert.same({ level = "low", made = false }, run { level = "high" })
    assert(world.engine:advance(86400000))
    local value, r = run { level = "high" }
    assert.same({ level = "high", made = true }, value)
    assert.equal("expired", recalled(r).was["end"])
    assert.equal(1, recalled(r).was.version)
    assert.same({ level = "high", made = false }, run { level = "low" })
  end)

  it("that a run was told stays that run's, whatever becomes of it", function()
    local first, one = run { level = "low", ttl = "1h" }
    assert(world.engine:advance(2 * 3600000))
    run { level = "high" }
    assert(world.engine:reopen("w", "level", "k"))
    assert.equal("low", first.level)
    assert.equal("equal", world.engine:examine(one.id, "replay").verdict)
  end)

  it("is reopened from outside; who, when and why are kept", function()
    run { level = "low" }
    assert(world.engine:reopen("w", "level", "k", { by = "ann", note = "a mistake" }))
    local list = world.engine:decisions({ workflow = "w" }).decisions
    assert.equal(1, #list)
    assert.equal("reopened", list[1].state)
    assert.equal("ann", list[1].by)
    assert.equal("a mistake", list[1].note)
    assert.truthy(list[1].reopened)

    local value, r = run { level = "high" }
    assert.same({ level = "high", made = true }, value)
    assert.equal("ann", recalled(r).was.by)
    assert.equal("a mistake", recalled(r).was.note)

    list = world.engine:decisions({ workflow = "w", all = true }).decisions
    assert.equal(2, #list)
    assert.equal("holds", list[1].state)
    assert.equal(2, list[1].version)
    assert.equal("high", list[1].value.level)
    assert.equal("reopened", list[2].state)
    assert.equal("low", list[2].value.level)
    assert.equal("ann", list[2].by)
  end)

  it("that does not hold, or that nobody made, cannot be reopened", function()
    local _, err = world.engine:reopen("w", "level", "k")
    assert.equal("not_found", err.code)
    assert.truthy(err.message:find("tidemill decisions w", 1, true))
    run { level = "low", ttl = "1h" }
    assert(world.engine:advance(3600000))
    _, err = world.engine:reopen("w", "level", "k")
    assert.equal("conflict", err.code)
    assert.truthy(err.message:find("has expired", 1, true))
    run { level = "low" }
    assert(world.engine:reopen("w", "level", "k"))
    _, err = world.engine:reopen("w", "level", "k")
    assert.truthy(err.message:find("was reopened", 1, true))
  end)

  it("is reopened by the script that asks, always or when it says so", function()
    run { level = "low" }
    assert.same({ level = "high", made = true }, run { level = "high", reopen = true })
    assert.same({ level = "high", made = false }, run { level = "x", reopen = false })
    local value, r = run { level = "x", reopen = "unless it is high" }
    assert.equal("high", value.level)
    assert.equal(2, value.was.version)
    assert.is_false(value.was.other_input)
    assert.equal("equal", world.engine:examine(r.id, "replay").verdict)
    run { level = "low", reopen = true }
    value, r = run { level = "top", reopen = "unless it is high" }
    assert.equal("top", value.level)
    assert.equal("equal", world.engine:examine(r.id, "replay").verdict)
    local past = world.engine:decisions({ all = true }).decisions
    assert.equal(4, #past)
    assert.equal("run " .. r.id, past[2].by)
  end)

  it("from another input is a conflict, unless the script reopens it", function()
    run { level = "low", of = { n = 1 } }
    local r = world.run("w", { level = "high", of = { n = 2 } })
    assert.equal("conflict", r.error.kind)
    r = world.run("w", { level = "high", of = { n = 2 }, reopen = false })
    assert.equal("conflict", r.error.kind)
    local again = { level = "high", of = { n = 2 }, reopen = "when the input is another" }
    assert.same({ level = "high", made = true }, run(again))
    again.level = "low"
    assert.same({ level = "high", made = false }, run(again))
  end)

  it("of two runs that reopen it at once is the first one's, for both", function()
    run { level = "low" }
    local slow = { level = "slow", reopen = true, ask = true }
    local a = assert(world.engine:start("w", slow))
    slow.level = "late"
    local b = assert(world.engine:start("w", slow))
    world.engine:run(a)
    world.engine:run(b)
    assert(world.engine:approve(b, "level"))
    world.engine:run(b)
    assert(world.engine:approve(a, "level"))
    world.engine:run(a)
    assert.same({ level = "late", made = true }, world.engine:result(b))
    assert.same({ level = "late", made = true }, world.engine:result(a))
    assert.equal(2, #world.engine:decisions({ all = true }).decisions)
  end)

  it("comes to the same end wherever it is killed", function()
    kit.crash_everywhere("w", { level = "low", ttl = "1d", reopen = true }, { dir = dir })
  end)

  it("refuses what is no time and no way to reopen", function()
    for input, text in pairs({
      [{ ttl = "soon" }] = "ttl must be seconds or a text",
      [{ reopen = 7 }] = "reopen must be a function",
    }) do
      local r = world.run("w", input)
      assert.equal("usage", r.error.kind)
      assert.truthy(r.error.message:find(text, 1, true), r.error.message)
    end
  end)
end)

describe("tidemill decisions", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", WORKFLOW)
    content.write(dir .. "/tidemill.yaml", "model: scripted/demo\n")
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end
  local function run(input, ...) return cli("run", "w", "-q", "--input", input, ...) end

  it("lists them; reopen lets one hold no more, once", function()
    assert.equal(0, run('{"level":"low","key":"T-1"}').code)
    assert.equal(0, run('{"level":"low","key":"T-2"}').code)
    local got = cli("decisions", "w", "level")
    assert.equal(0, got.code)
    local first = 'w  level  T-1  holds\n  value    {"level":"low"}'
    assert.truthy(got.out:find(first, 1, true), got.out)
    assert.truthy(got.out:find("T-2", 1, true))
    assert.falsy(cli("decisions", "w", "level", "T-2").out:find("T-1", 1, true))
    assert.equal("", cli("decisions", "other").out)

    got = cli("reopen", "w", "level", "T-1", "--note", "it was a typo")
    assert.equal(0, got.code, got.err)
    assert.equal(5, cli("reopen", "w", "level", "T-1").code)
    assert.equal(4, cli("reopen", "w", "level", "T-9").code)
    assert.equal(2, cli("reopen", "w", "level").code)
    assert.truthy(cli("decisions").out:find("reopened .- by .-: it was a typo"))
    assert.same({ level = "high", made = true }, run('{"level":"high","key":"T-1"}').json)
    assert.same({ level = "low", made = false }, run('{"level":"high","key":"T-2"}').json)
    assert.falsy(cli("decisions").out:find("typo", 1, true))
    assert.truthy(cli("decisions", "--all").out:find("typo", 1, true))
    assert.equal("tidemill.decisions/1", cli("decisions", "--json").json.schema)
    assert.equal(0, cli("doctor", "--deep").code)
  end)

  it("of processes that race for an expired one there is one winner", function()
    assert.equal(0, run('{"level":"old","ttl":0.001}').code)
    local many = {}
    for i = 1, 6 do
      many[i] = ([[tidemill run w -q --id r%d --input '{"level":"p%d","slow":0.5}' > out%d &]])
        :format(i, i, i)
    end
    content.shell(dir, table.concat(many, "\n") .. "\nwait")
    local level, makers, winners = nil, 0, 0
    for i = 1, 6 do
      local value = require("cjson").decode(content.read(dir .. "/out" .. i))
      level = level or value.level
      assert.equal(level, value.level)
      if value.made then makers = makers + 1 end
      if value.level == "p" .. i then winners = winners + 1 end
    end
    assert.equal(1, winners)
    assert.truthy(makers > 1, "they did not race")
    local list = cli("decisions", "w", "level", "k", "--all", "--json").json.decisions
    assert.equal(2, #list)
    assert.equal(level, list[1].value.level)
  end)
end)
