--- A key that another run's action has: who waits says so, and goes on when it is settled.
local content = dofile "spec/content.lua"

local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "w" {}
local pay = flow:action "pay" { key = function(a) return a.id end, on_unknown = "ask",
  run = function(a)
    mill.file.append("log.txt", a.id .. "\n")
    if a.wait then mill.exec { "cat", a.wait } end
    if a.odd then error("the receipt is odd") end
    return { sent = a.id }
  end }
function flow.main(input)
  if input.locks then
    return mill.lock(input.locks[1], function()
      if input.gate then mill.gate("go", { ask = "?" }) end
      return mill.lock(input.locks[2], function() return "both" end)
    end)
  end
  return pay(input)
end
return flow
]]

describe("a run that waits for a key of another run", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", workflow)
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end
  local function run(id, input) return cli("run", "w", "--id", id, "--input", input) end

  local held = 'waits for the key "k" of action "pay", held by run doubt-1'

  --- Run doubt-1 has the key in doubt, run later-1 waits for it.
  local function doubtful()
    assert.equal(8, run("doubt-1", '{"id":"k","odd":true}').code)
    local got = run("later-1", '{"id":"k","odd":true}')
    assert.equal(8, got.code, got.err)
    return got
  end

  it("says so, wherever one looks", function()
    local got = doubtful()
    assert.matches("◆ later%-1 +run +waits for the key", got.err)
    assert.matches("run later-1 is still waiting: it " .. held, got.err, 1, true)
    assert.matches("later%-1 +waiting .* key k of pay %(run doubt%-1%)", cli("list").out)
    assert.matches(held, cli("show", "later-1").out, 1, true)
    assert.matches("run later-1 " .. held, cli("doctor").out, 1, true)
    local why = cli("show", "later-1", "--json").json.reason[1]
    assert.same({ "key", "pay", "k", "doubt-1", "1" },
      { why["for"], why.name, why.key, why.run, why.place })
    got = cli("doctor", "--deep")
    assert.equal(0, got.code, got.out)
    assert.equal("k\n", content.read(dir .. "/log.txt"))
  end)

  it("is followed while another process is at work on the key", function()
    local got = content.shell(dir, [[
      mkfifo line
      go() { timeout 20 tidemill run w --id $1 --input '{"id":"k","wait":"line"}'; }
      go one >one.out 2>&1 &
      until test -s log.txt; do :; done
      { go two 2>two.err; echo $? >two.end; } >two.out &
      until grep -q 'the key' two.err; do :; done
      tidemill show two >show.out
      echo go | timeout 20 tee line >tee.out
      wait
      cat show.out two.err two.out two.end; cat log.txt]])
    assert.matches('waits for the key "k" of action "pay", held by run one', got.out, 1, true)
    assert.equal('{"sent":"k"}\n', content.read(dir .. "/two.out"))
    assert.equal("0\n", content.read(dir .. "/two.end"), got.out)
    assert.equal("k\n", content.read(dir .. "/log.txt"))
  end)

  it("can be ended, and leaves the other as it is", function()
    doubtful()
    assert.equal(0, cli("cancel", "later-1").code)
    assert.equal("cancelled", cli("show", "later-1", "--json").json.state)
    assert.equal(0, cli("resolve", "doubt-1", "--applied", "7").code)
    assert.equal("7\n", cli("result", "doubt-1").out)
  end)

  it("is gone on with by the command that settles the key", function()
    doubtful()
    local got = cli("resolve", "doubt-1", "--applied", "7")
    assert.equal(0, got.code, got.err)
    assert.equal("7\n", got.out)
    assert.equal("7\n", cli("result", "later-1").out)
    assert.equal("done", cli("show", "later-1", "--json").json.state)
  end)

  it("is named by doctor when runs wait for each other", function()
    local locks = '{"locks":["%s","%s"]%s}'
    assert.equal(8, run("first-1", locks:format("a", "b", ',"gate":true')).code)
    assert.equal(8, run("second-1", locks:format("b", "a", "")).code)
    assert.equal(0, cli("doctor").code)
    assert.equal(8, cli("approve", "first-1").code)
    local got = cli("doctor")
    assert.equal(3, got.code, got.out)
    assert.matches("FAIL  circles", got.out, 1, true)
    assert.matches('run first-1 waits for lock "b", held by run second-1', got.out, 1, true)
    assert.matches('run second-1 waits for lock "a", held by run first-1', got.out, 1, true)
    assert.equal(0, cli("cancel", "first-1").code)
    assert.equal(0, cli("doctor").code)
  end)
end)
