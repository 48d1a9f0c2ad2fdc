--- Orders from outside: cancel, terminate, pause, resume.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "w" {}
local tidy = flow:action "tidy" { key = function(a) return a.id end,
  run = function(a) mill.file.append("log.txt", a.id .. "\n") end }
function flow.main(input)
  local ok, err = pcall(mill.gate, "go", { ask = "Go on?" })
  if not ok then
    pcall(tidy, { id = "handler " .. err.kind })
    error(err, 0)
  end
  tidy { id = "went on" }
  return "done"
end
return flow
]]

describe("orders", function()
  local dir, handle

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", workflow)
    handle = kit.start("w", {}, { dir = dir })
  end)
  after_each(function()
    handle:close()
    content.remove(dir)
  end)

  local function order(op, opts)
    local ok, err = handle.engine:control(handle.id, op, opts)
    handle.engine:run(handle.id)
    return ok, err
  end

  local function info() return handle.engine:get(handle.id) end

  it("cancel raises where the run waits, and what comes next is refused", function()
    order("cancel", { note = "enough" })
    assert.equal("cancelled", info().state)
    assert.equal("cancelled", info().error.kind)
    assert.is_nil(content.read(dir .. "/log.txt"))
    assert.equal("closed", handle.engine:gates({ run = handle.id, all = true }).gates[1].state)
  end)

  it("terminate ends a run without asking it, in memory or not", function()
    handle:restart()
    order("terminate", { note = "stop it", by = "Ada" })
    assert.equal("cancelled", info().state)
    assert.equal("the run was terminated by Ada: stop it", info().error.message)
    assert.equal("closed", handle.engine:gates({ run = handle.id, all = true }).gates[1].state)
    local _, err = order "terminate"
    assert.equal("conflict", err.code)
  end)

  it("pause keeps a run where it is, also when its answer has come", function()
    order "pause"
    assert.equal("waiting", info().state)
    assert.equal("pause", info().reason[1]["for"])
    assert.truthy(handle.engine:approve(handle.id, "go", {}))
    handle.engine:control(nil, "resume")
    handle.engine:run()
    assert.equal("pause", info().reason[1]["for"])
    assert.is_nil(content.read(dir .. "/log.txt"))
    order "resume"
    assert.equal("done", info().state)
    assert.equal("went on\n", content.read(dir .. "/log.txt"))
  end)

  it("pause reaches a run that is not in memory", function()
    handle:restart()
    order "pause"
    assert.equal("pause", info().reason[1]["for"])
    order "resume"
    assert.equal("gate", info().reason[1]["for"])
  end)
end)
