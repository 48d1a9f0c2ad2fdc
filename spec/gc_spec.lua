--- gc: runs that ended long ago go, with what nobody needs any more; all else stays.
local engine = require "tidemill.engine"
local content = dofile "spec/content.lua"

local FLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "line" { events = { hello = { type = "string" } } }

local pay = flow:action "pay" {
  key = function(a) return a.id end, irreversible = true, on_unknown = "ask",
  run = function(a) mill.file.append("ledger", a.id .. "\n") return { paid = a.id } end,
}

function flow.main(x)
  if x.pay then pay { id = x.pay } end
  if x.remember then return mill.decide("colour", x.remember, function() return "blue" end) end
  if x.child then return mill.call("line", x.child) end
  if x.start then return mill.start("line", x.start) end
  if x.next then return mill.continue_as(x.next) end
  if x.ask then mill.gate("sure", { ask = "Sure?" }) end
  if x.wait then mill.wait "hello" end
  if x.fail then error "no" end
  return x.text
end

return flow
]]

describe("gc", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows"):format(dir)))
    content.write(dir .. "/workflows/line.lua", FLOW)
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end

  local function run(id, input)
    return cli("run", "line", "--id", id, "--input", input or "{}")
  end

  --- The document of a collection of all that has ended.
  local function gc(...)
    local got = cli("gc", "--json", "--older-than", "0s", ...)
    assert.equal(0, got.code, got.err)
    return got.json
  end

  local function runs()
    local ids = {}
    for _, r in ipairs(cli("list", "--json", "--all").json.runs) do ids[#ids + 1] = r.id end
    table.sort(ids)
    return table.concat(ids, " ")
  end

  local function sound()
    local got = cli("doctor", "--deep")
    assert.equal(0, got.code, got.out .. got.err)
  end

  it("takes an ended run with its journal, gates and events, and says so", function()
    run "a"
    run("b", '{"ask":true}')
    cli("approve", "b", "sure")
    assert.equal("a b", runs())
    local got = gc()
    assert.same({ 2, 1, 0, false }, { got.runs, got.gates, got.events, got.dry_run })
    assert.truthy(got.records >= 7)
    assert.equal("", runs())
    assert.equal(4, cli("show", "a").code)
    sound()
  end)

  it("counts the same in a dry run, and takes nothing", function()
    run "a"
    run("b", '{"wait":true}')
    cli("signal", "b", "hello", "--input", '"x"')
    content.write(dir .. "/workflows/other.lua", "return 1 -- other sources from here on\n")
    run("c", '{"child":{"text":"x"}}')
    content.write(dir .. "/workflows/other.lua", "return 2 -- and others again\n")
    run("d", '{"wait":true}')
    local would = gc "--dry-run"
    assert.equal("a b c c:1 d", runs())
    assert.is_true(would.dry_run)
    local did = gc()
    would.dry_run = false
    assert.same(would, did)
    assert.same({ 4, 1, 2, 1 }, { did.runs, did.events, did.sources, did.files })
    assert.equal("d", runs())
    assert.equal(0, gc().runs)
    assert.equal(0, cli("signal", "d", "hello", "--input", '"x"').code)
    sound()
  end)

  it("keeps a run that a living run refers to: a parent, a child, a fork", function()
    run("parent", '{"child":{"ask":true}}')
    run("ended", '{"start":{"text":"x"}}')
    run("origin", '{"text":"x"}')
    cli("fork", "origin", "--from", "1", "--id", "fork")
    run("free", '{"text":"x"}')
    run("waits", '{"ask":true}')
    assert.equal(8, cli("fork", "waits", "--from", "1", "--id", "twin").code)
    cli("cancel", "twin")
    local got = gc()
    assert.equal("parent parent:1 twin waits", runs())
    assert.same({ 5, 0 }, { got.runs, got.kept.family }) -- twin's root is not asked for
    assert.equal(0, cli("approve", "parent:1", "sure").code)
    assert.equal(0, cli("resume", "parent").code)
    assert.equal(2, gc().runs)
    assert.equal("twin waits", runs())
    sound()
  end)

  it("keeps a whole family as long as one of it is not due", function()
    content.write(dir .. "/tidemill.yaml", "retain: {done: 0s, failed: 90d}\n")
    run("p", '{"start":{"fail":true}}')
    cli "resume"
    run "free"
    local got = cli("gc", "--json").json
    assert.same({ 1, 1 }, { got.runs, got.kept.family })
    assert.equal("p p:1", runs())
  end)

  it("takes the old links of a run that never ends", function()
    run("r", '{"next":{"next":{"ask":true}}}')
    assert.equal("r r~2 r~3", runs())
    assert.equal(2, gc().runs)
    assert.equal("r~3", runs())
    assert.equal(0, cli("approve", "r~3", "sure").code)
  end)

  it("keeps a chain that a parent's mill.call follows", function()
    run("p", '{"child":{"next":{"ask":true}}}')
    cli "resume"
    assert.equal(0, gc().runs)
    assert.equal(0, cli("approve", "p:1~2", "sure").code)
    assert.equal(0, cli("resume", "p").code)
    assert.equal(3, gc().runs)
  end)

  it("keeps effects: the same key does not act twice", function()
    assert.equal(0, run("a", '{"pay":"k"}').code)
    assert.equal(1, gc().runs)
    assert.equal(0, run("a", '{"pay":"k"}').code) -- the id is free again
    assert.equal("k\n", content.read(dir .. "/ledger"))
    sound()
  end)

  it("keeps decisions", function()
    run("a", '{"remember":"T-1"}')
    assert.equal(1, gc().runs)
    local kept = run("b", '{"remember":"T-1"}')
    assert.equal("blue\n", kept.out)
    assert.matches('"run":"a"', cli("show", "b", "--json").out:gsub("%s", ""))
  end)

  it("keeps a run that left an action in doubt", function()
    content.write(dir .. "/workflows/stuck.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "stuck" {}
      local act = flow:action "act" {
        key = function() return "k" end, irreversible = true, on_unknown = "ask",
        run = function() mill.exec { "sh", "-c", "kill -9 $PPID" } end,
      }
      function flow.main() act {} end
      return flow
    ]])
    cli("run", "stuck", "--id", "s")
    cli("resume", "s")
    assert.equal(0, cli("terminate", "s").code)
    local got = gc()
    assert.same({ 0, 1 }, { got.runs, got.kept.in_doubt })
    assert.equal("s", runs())
    sound()
  end)

  it("keeps the sources that a run has or had, and no others", function()
    run("moved", '{"ask":true}')
    content.write(dir .. "/workflows/other.lua", "return 1\n")
    run("gone", '{"text":"x"}')
    content.write(dir .. "/workflows/other.lua", "return 2\n")
    assert.equal(8, cli("repin", "moved").code)
    local got = gc()
    assert.same({ 1, 1, 1 }, { got.runs, got.sources, got.files })
    sound()
    local first = cli("show", "moved", "--json").json
    assert.is_table(first)
    assert.equal(0, cli("replay", "moved").code)
    cli("approve", "moved", cli("gates", "--json").json.gates[1].name)
    got = gc()
    assert.same({ 1, 1, 0 }, { got.runs, got.sources, got.files }) -- the newest stay
    assert.equal(0, run("new").code)
    sound()
  end)

  it("keeps the sources that an imported run had", function()
    run("moved", '{"ask":true}')
    content.write(dir .. "/workflows/other.lua", "return 1\n")
    assert.equal(8, cli("repin", "moved").code)
    content.write(dir .. "/moved.capsule", cli("export", "moved").out)
    os.execute(("rm -rf %s/.tidemill"):format(dir))
    content.write(dir .. "/workflows/other.lua", "return 2\n")
    run("newest", '{"ask":true}')
    assert.equal(0, cli("import", "moved.capsule").code)
    content.write(dir .. "/workflows/other.lua", "return 3\n")
    run("really", '{"ask":true}')
    local got = cli("gc", "--json", "--older-than", "1d").json
    assert.same({ 0, 0, 0 }, { got.runs, got.sources, got.files })
    sound()
    assert.equal(0, cli("replay", "moved").code)
    got = gc()
    assert.same({ 1, 2, 1 }, { got.runs, got.sources, got.files })
    sound()
  end)

  describe("by tidemill.yaml", function()
    local e

    local function open(yaml)
      content.write(dir .. "/tidemill.yaml", yaml)
      e = assert(engine.open { dir = dir, db = "memory:", clock = "virtual" })
    end

    local function ended(id, input)
      assert(e:start("line", input, { id = id }))
      e:run(id, 10000)
    end

    local function left()
      local ids = {}
      for _, r in ipairs(assert(e:list {}).runs) do ids[#ids + 1] = r.id end
      table.sort(ids)
      return table.concat(ids, " ")
    end

    it("runs are kept as long as their state and workflow say", function()
      content.write(dir .. "/workflows/short.lua", (FLOW:gsub('"line"', '"short"')))
      open "retain: {done: 30d, failed: 90d, short: {done: 1h, failed: forever}}\n"
      ended("done", { text = "x" })
      ended("failed", { fail = true })
      assert(e:start("short", { text = "x" }, { id = "short" }))
      e:run("short", 10000)
      assert(e:start("short", { fail = true }, { id = "short-failed" }))
      e:run("short-failed", 10000)
      assert(e:start("line", { ask = true }, { id = "cancelled" }))
      e:run("cancelled", 10000)
      e:control("cancelled", "cancel")
      e:run("cancelled", 10000)
      assert.equal(0, assert(e:gc {}).runs)
      e:advance(2 * 3600 * 1000)
      assert.equal(1, assert(e:gc {}).runs)
      e:advance(30 * 86400 * 1000)
      assert.equal(0, assert(e:gc { workflow = "short" }).runs)
      assert.equal(1, assert(e:gc {}).runs)
      assert.equal("cancelled failed short-failed", left())
      e:advance(60 * 86400 * 1000)
      assert.equal(1, assert(e:gc {}).runs)
      assert.equal("cancelled short-failed", left())
      assert.equal(2, assert(e:gc { older_than = "1d" }).runs)
    end)
  end)

  it("wants to be told how long", function()
    local got = cli "gc"
    assert.equal(2, got.code)
    assert.matches("retain", got.err)
    assert.equal(2, cli("gc", "--older-than", "soon").code)
    content.write(dir .. "/tidemill.yaml", "retain: {finished: 3d}\n")
    got = cli "gc"
    assert.equal(3, got.code)
    assert.matches('"finished"', got.err)
    content.write(dir .. "/tidemill.yaml", "retain: {done: soon}\n")
    assert.equal(3, cli("gc").code)
  end)

  it("goes on while others write, and leaves a sound store wherever it is killed", function()
    local can = os.execute "strace -f -qq -o /dev/null true 2>/dev/null" == true
    if not can then pending "strace is missing" return end
    local function fill()
      os.execute(("rm -rf %s/.tidemill"):format(dir))
      content.write(dir .. "/workflows/other.lua", "return 1\n")
      run("p", '{"child":{"child":{"text":"x"}}}')
      run("b", '{"wait":true}')
      cli("signal", "b", "hello", "--input", '"x"')
      content.write(dir .. "/workflows/other.lua", "return 2\n")
      run("stays", '{"ask":true}')
    end
    for at = 1, os.getenv "TIDEMILL_ALL_POINTS" and 40 or 12 do
      fill()
      content.shell(dir, ("export ASAN_OPTIONS=detect_leaks=0\nexec strace -f -qq -o /dev/null "
        .. "-e trace=pwrite64 -e inject=pwrite64:signal=KILL:when=%d "
        .. "tidemill gc --older-than 0s"):format(at))
      sound()
      assert.equal(0, run("another" .. at, '{"text":"x"}').code)
      gc()
      assert.equal("stays", runs())
      sound()
      assert.equal(0, cli("approve", "stays", "sure").code)
    end
  end)
end)
