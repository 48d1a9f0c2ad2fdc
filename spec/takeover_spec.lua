--- A key whose run was terminated between intent and result: the next run settles it.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "w" {}
local pay = flow:action "pay" { key = function(a) return a.id end, on_unknown = "%s",
  probe = function(_, key) return mill.file.read(key .. ".receipt") end,
  run = function(_, key)
    mill.file.append("sent.txt", key .. "\n")
    if not mill.file.read("broken") then
      mill.file.write("broken", "")
      error("the line went dead")
    end
    return "receipt " .. key
  end }
function flow.main(input) return pay { id = input.id } end
return flow
]]

describe("a key of a run that was terminated", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
  end)
  after_each(function() content.remove(dir) end)

  --- A world in which run one has sent, and was terminated before it knew what became of it.
  local function left(policy)
    content.write(dir .. "/workflows/w.lua", workflow:format(policy))
    local one = kit.start("w", { id = "k" }, { dir = dir })
    assert.equal("running", one:state())
    assert(one.engine:control(one.id, "terminate"))
    one:drive()
    assert.equal("cancelled", one:state())
    return one
  end

  --- The next run in the same engine.
  local function next_run(one)
    one.id = assert(one.engine:start("w", { id = "k" }, {}))
    one:drive()
    return one
  end

  local function sent() return content.read(dir .. "/sent.txt") end

  it("is probed: found, nothing is sent", function()
    local run = left "probe"
    content.write(dir .. "/k.receipt", "receipt of one")
    assert.equal("receipt of one", next_run(run):result())
    assert.equal("k\n", sent())
    run:close()
  end)

  it("is probed: not found, it is sent", function()
    local run = next_run(left "probe")
    assert.equal("receipt k", run:result())
    assert.equal("k\nk\n", sent())
    run:close()
  end)

  it("asks a person in the new run", function()
    local run = next_run(left "ask")
    assert.equal("doubt", run:gates()[1].kind)
    assert.matches("was ended before it knew", run:gates()[1].ask, 1, true)
    assert.equal("k\n", sent())
    assert.equal("done", run:resolve("pay", "seen on the statement"))
    assert.equal("seen on the statement", run:result())
    assert.equal("equal", run.engine:examine(run.id, "replay").verdict)
    run:close()
  end)
end)
