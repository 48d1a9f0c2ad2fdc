--- What a command brings on beside its run, it goes on with: nothing is left for nobody.
local content = dofile "spec/content.lua"

describe("a command that goes on with a run", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
  end)
  after_each(function() content.remove(dir) end)

  --- workflows/NAME.lua with this main.
  local function workflow(name, main)
    content.write(("%s/workflows/%s.lua"):format(dir, name), ([[
local mill = require "tidemill"
local flow = mill.workflow "%s" { events = { paid = { type = "integer" } } }
function flow.main(input)
%s
end
return flow
]]):format(name, main))
  end

  local function cli(...) return content.tidemill(dir, { ... }) end
  local function state(id) return cli("show", id, "--json").json.state end

  local function waits(...)
    local got = cli(...)
    assert.equal(8, got.code, got.err)
  end

  before_each(function()
    workflow("child", 'mill.gate("go", { ask = "?" }) return true')
    workflow("parent", 'return { child = mill.call("child", {}) }')
  end)

  it("ends the parent of the child that was approved", function()
    waits("run", "parent", "--id", "top")
    local got = cli("approve", "top:1")
    assert.equal(0, got.code, got.err)
    assert.equal("true\n", got.out)
    assert.equal('{"child":true}\n', cli("result", "top").out)
  end)

  it("also by resume, when the approval was kept for a pause", function()
    waits("run", "parent", "--id", "top")
    assert.equal(0, cli("pause", "top:1").code)
    waits("approve", "top:1")
    assert.equal("waiting", state "top")
    assert.equal(0, cli("resume", "top:1").code)
    assert.equal("done", state "top")
  end)

  it("also by an event", function()
    workflow("child", 'return mill.wait("paid")')
    waits("run", "parent", "--id", "top")
    assert.equal(0, cli("signal", "top:1", "paid", "--input", "7").code)
    assert.equal('{"child":7}\n', cli("result", "top").out)
  end)

  it("does the work of the children that it started", function()
    workflow("worker", 'mill.sleep(0.01) return "worked"')
    workflow("starter", [[
      mill.gate("go", { ask = "?" })
      return mill.start("worker", {}) ]])
    waits("run", "starter", "--id", "top")
    local got = cli("approve", "top")
    assert.equal(0, got.code, got.err)
    assert.equal("top:2\n", got.out)
    assert.equal('worked\n', cli("result", "top:2").out)
  end)

  it("hands the lock on to the one that waits for it", function()
    workflow("locker", [[
      return mill.lock("till", function()
        mill.gate("go", { ask = "?" })
        return true
      end) ]])
    waits("run", "locker", "--id", "first-1")
    waits("run", "locker", "--id", "second-1")
    assert.equal(0, #cli("gates", "second-1", "--json").json.gates)
    local got = cli("approve", "first-1")
    assert.equal(0, got.code, got.err) -- that the other one waits for a person is no failure
    assert.equal(1, #cli("gates", "second-1", "--json").json.gates)
    assert.equal("waiting", state "second-1")
    assert.equal(0, cli("approve", "second-1").code)
  end)

  it("leaves alone what it did not bring on", function()
    waits("run", "parent", "--id", "top")
    waits("run", "child", "--id", "other")
    assert.equal(0, cli("approve", "top:1").code)
    assert.equal("waiting", state "other")
  end)
end)
