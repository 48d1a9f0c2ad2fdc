--- Pauses of a workflow and of everything, and orders to a run that another process has.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "%s" {}
local act = flow:action "act" { key = function(a) return a.id end,
  run = function(a, key)
    mill.file.append("log.txt", key .. "\n")
    if a.wait then mill.exec { "cat", a.wait } end
    return "did " .. key
  end }
function flow.main(input)
  if input.gate then mill.gate("go", { ask = "Go on?" }) end
  local ok, did = pcall(act, { id = input.id, wait = input.wait })
  mill.sleep(0)
  if not ok then error(did, 0) end
  return did
end
return flow
]]

describe("a pause", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", workflow:format "w")
    content.write(dir .. "/workflows/v.lua", workflow:format "v")
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end
  local function run(flow, id, ...)
    return cli("run", flow, "--id", id, "--input", ('{"id":"%s"}'):format(id), ...)
  end
  local function log() return content.read(dir .. "/log.txt") end

  it("of a workflow keeps its new runs as paused rows, until it is resumed", function()
    assert.equal(0, cli("pause", "--workflow", "w", "--note", "too dear").code)
    local rests = run("w", "one-in-w")
    assert.equal(8, rests.code)
    assert.matches("workflow w is paused by .+: too dear\n", rests.err)
    assert.matches("resume --workflow w\n", rests.err, 1, true)
    assert.equal(0, run("v", "one-in-v").code)
    local got = cli("show", "one-in-w", "--json").json
    assert.equal("waiting", got.state)
    assert.equal("pause", got.reason[1]["for"])
    assert.equal("w", got.reason[1].workflow)
    assert.equal("too dear", got.reason[1].note)
    assert.equal("one-in-v\n", log())
    got = cli("resume", "one-in-w")
    assert.equal(5, got.code)
    assert.matches("workflow w is paused by .+: too dear; ", got.err)
    assert.matches("`tidemill resume --workflow w` lifts it", got.err, 1, true)
    assert.equal(0, cli("resume").code)
    assert.equal("one-in-v\n", log())
    assert.equal(0, cli("resume", "--workflow", "w").code)
    assert.equal("did one-in-w\n", cli("result", "one-in-w").out)
  end)

  it("keeps what comes for a waiting run, and does not act on it", function()
    local gated = '{"gate":true,"id":"g"}'
    assert.equal(8, cli("run", "w", "--id", "gated-1", "--input", gated).code)
    assert.equal(0, cli("pause", "--all").code)
    assert.equal(8, cli("approve", "gated-1").code)
    assert.is_nil(log())
    assert.equal(0, cli("resume", "--all").code)
    assert.equal("did g\n", cli("result", "gated-1").out)
  end)

  it("of one run is lifted by resume, not by what it waited for", function()
    content.write(dir .. "/workflows/e.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "e" { events = { hello = { type = "string" } } }
      function flow.main(input)
        if input.ask then mill.gate("go", { ask = "Go on?" }) end
        if input.hear then return mill.wait "hello" end
        return "went on"
      end
      return flow]])
    for id, input in pairs { one = '{"ask":true}', two = '{"hear":true}' } do
      assert.equal(8, cli("run", "e", "--id", id, "--input", input).code)
      assert.equal(0, cli("pause", id).code)
    end
    assert.equal(8, cli("approve", "one").code)
    local said = cli("signal", "two", "hello", "--input", '"x"')
    assert.equal(0, said.code, said.err)
    assert.matches("run two is paused", said.err, 1, true)
    assert.equal(0, cli("resume").code)
    for _, id in ipairs { "one", "two" } do
      local info = cli("show", id, "--json").json
      assert.equal("pause", info.reason[1]["for"])
      assert.equal(0, cli("resume", id).code)
    end
    assert.equal("went on\n", cli("result", "one").out)
    assert.equal("x\n", cli("result", "two").out)
  end)

  it("of a workflow is what a run that was approved waits for then", function()
    local got = cli("run", "w", "--id", "gated-1", "--input", '{"id":"k","gate":true}')
    assert.equal(8, got.code)
    assert.equal(0, cli("pause", "--workflow", "w").code)
    got = cli("approve", "gated-1")
    assert.equal(8, got.code)
    assert.matches("run gated%-1 is still waiting: workflow w is paused by .+\n +tidemill "
      .. "resume %-%-workflow w\n", got.err)
    assert.is_nil(log())
    assert.equal(0, cli("resume", "--workflow", "w").code)
    assert.equal("k\n", log())
  end)

  it("of everything at start-up: nothing begins until it is resumed", function()
    assert.equal(0, cli("start", "w", "--id", "before", "--input", '{"id":"b"}').code)
    assert.equal(0, cli("resume", "--paused").code)
    assert.equal(8, run("v", "after-1").code)
    assert.is_nil(log())
    for _, id in ipairs { "before", "after-1" } do
      assert.is_true(cli("show", id, "--json").json.reason[1].all)
    end
    assert.equal(0, cli("resume", "--all").code)
    assert.equal("did b\n", cli("result", "before").out)
    assert.equal("did after-1\n", cli("result", "after-1").out)
  end)

  it("is for one thing, that there is", function()
    assert.equal(2, cli("pause").code)
    assert.equal(2, cli("pause", "before", "--all").code)
    assert.equal(2, cli("resume", "--workflow", "w", "--all").code)
    local got = cli("pause", "--workflow", "nothing")
    assert.equal(4, got.code)
    assert.matches('there is no workflow "nothing"', got.err, 1, true)
  end)

  it("holds the children of a paused workflow, and their parent waits", function()
    content.write(dir .. "/workflows/p.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "p" {}
      function flow.main() return mill.call("w", { id = "c" }) end
      return flow]])
    assert.equal(0, cli("pause", "--workflow", "w").code)
    assert.equal(8, cli("run", "p", "--id", "parent").code)
    assert.is_nil(log())
    assert.equal(0, cli("resume", "--workflow", "w").code)
    assert.equal("did c\n", cli("result", "parent").out)
  end)
end)

describe("an order for a run that another process has", function()
  local dir, handle, line

  --- This process has the run, inside an action that waits for the line.
  before_each(function()
    dir = content.folder()
    line = dir .. "/line"
    os.execute("mkdir -p " .. dir .. "/workflows && mkfifo " .. line)
    content.write(dir .. "/workflows/w.lua", workflow:format "w")
    handle = kit.start("w", { id = "k", wait = line, gate = true },
      { dir = dir, db = "sqlite:" .. dir .. "/t.db", id = "run-here" })
    assert(handle.engine:approve("run-here", "go"))
    while content.read(dir .. "/log.txt") == nil do handle.engine:dispatch(20) end
  end)
  after_each(function()
    handle:close()
    content.remove(dir)
  end)

  --- The command in a process of its own, while this one goes on.
  local function order(...)
    local out = dir .. "/order.txt"
    local bin = os.getenv "TIDEMILL_BIN" or io.popen("readlink /proc/$PPID/exe"):read "l"
    local words = table.concat({ ... }, " ")
    os.execute(("cd %s && { %s --db sqlite:%s/t.db %s >%s 2>&1; echo $? >>%s.end; } &"):format(
      dir, bin, dir, words, out, out))
    for round = 1, 500 do
      handle.engine:dispatch(20)
      -- What is under way in an action ends before anything else happens.
      if round == 20 then os.execute(("timeout 5 sh -c 'echo go > %s' &"):format(line)) end
      local code = content.read(out .. ".end")
      if code then return tonumber(code), content.read(out) end
    end
    error "the order did not come to an end"
  end

  it("cancels it there", function()
    local code, said = order("cancel", "run-here", "--note", "enough")
    assert.equal(0, code, said)
    assert.equal("cancelled", handle:state())
    for _, r in ipairs(handle:history()) do
      if r.record == "cancel" then assert.equal("enough", r.note) end
    end
  end)

  it("pauses it there", function()
    local code, said = order("pause", "run-here")
    assert.equal(0, code, said)
    assert.equal("pause", handle.engine:get(handle.id).reason[1]["for"])
  end)

  it("terminates it there, at once", function()
    local code, said = order("terminate", "run-here")
    assert.equal(0, code, said)
    assert.equal("terminated", handle.engine:get(handle.id).error.kind)
  end)
end)
