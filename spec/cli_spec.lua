--- The command line: what it prints where, and how it ends.
local content = dofile "spec/content.lua"

describe("tidemill", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert.equal(0, content.tidemill(dir, { "init" }).code)
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end
  local function ada(...) return cli("run", "hello", "--input", '{"name":"Ada"}', ...) end
  local function loud(...) return cli("run", "hello", "--input", '{"name":"ADA"}', ...) end

  it("has a new project that runs and passes its own spec", function()
    local got = ada()
    assert.equal(0, got.code)
    assert.equal("Hello, Ada.\n", got.out)
    got = cli "test"
    assert.equal(0, got.code, got.out)
    assert.equal("3 passed, 0 failed\n", got.out)
  end)

  it("keeps what is there when init comes again", function()
    content.write(dir .. "/tidemill.yaml", "model: scripted/mine\n")
    local got = cli "init"
    assert.equal(0, got.code)
    assert.truthy(got.err:find("kept     ./tidemill.yaml", 1, true))
    assert.equal("model: scripted/mine\n", content.read(dir .. "/tidemill.yaml"))
  end)

  it("prints the result alone on standard output", function()
    assert.truthy(ada().err:find("run     done", 1, true))
    assert.equal("", ada("--quiet").err)
    local got = ada("--json")
    assert.equal("tidemill.run/1", got.json.schema)
    assert.equal("done", got.json.state)
  end)

  it("labels the scripted model", function()
    local label = "model: scripted/demo (plain rules; no model was asked)"
    assert.truthy(ada().err:find(label, 1, true))
  end)

  it("says what to type at a gate, and it works", function()
    local got = loud("--id", "loud-one")
    assert.equal(8, got.code)
    assert.equal("", got.out)
    local typed = got.err:match "\n  (tidemill approve [^\n]*)"
    assert.equal("tidemill approve loud-one loud", typed)
    got = content.shell(dir, typed)
    assert.equal(0, got.code, got.err)
    assert.equal("Hello, ADA!\n", got.out)
  end)

  it("starts without driving, and resumes by a prefix of the id", function()
    local id = cli("start", "hello", "--input", '{"name":"Ada"}').out:match "%S+"
    assert.truthy(cli("list").out:find(id, 1, true))
    assert.equal(8, cli("result", id).code)
    assert.equal("Hello, Ada.\n", cli("resume", id:sub(1, 8)).out)
    assert.equal("Hello, Ada.\n", cli("result", id).out)
    assert.equal("Hello, Ada.\n", cli("resume", id).out)
  end)

  it("gives the same run for the same id, and a conflict for another input", function()
    assert.equal(0, ada("--id", "greet").code)
    assert.equal("Hello, Ada.\n", ada("--id", "greet").out)
    local got = loud("--id", "greet")
    assert.equal(5, got.code)
    assert.equal("", got.out)
  end)

  it("takes its input from a file and from standard input", function()
    content.write(dir .. "/ada.json", '{"name":"Ada"}')
    assert.equal("Hello, Ada.\n", cli("run", "hello", "--input", "@ada.json").out)
    local got = content.shell(dir, "tidemill run hello --input - < ada.json")
    assert.equal("Hello, Ada.\n", got.out)
    assert.equal("Hello, Ada.\n", cli("run", "workflows/hello.lua", "--input=@ada.json").out)
  end)

  it("ends with the code of the trouble", function()
    local codes = {
      { 2 }, { 2, "rum", "hello" }, { 2, "run" }, { 2, "run", "a", "b" },
      { 2, "run", "hello", "--inptu", "{}" }, { 2, "run", "hello", "--input" },
      { 2, "run", "hello", "--raw" }, { 2, "list", "--json=yes" },
      { 2, "list", "--limit", "no" }, { 2, "run", "hello", "--input", "{" },
      { 2, "run", "hello", "--input", "{}" },
      { 2, "run", "hello", "--timeout", "soon" }, { 2, "--model", "nonsense", "list" },
      { 2, "show", "abcdefgh#x" }, { 2, "prompt", "draw", "x" }, { 2, "help", "nothing" },
      { 3, "-C", "nowhere", "list" }, { 4, "run", "nothing" }, { 4, "show", "abcdefgh" },
      { 4, "result", "abcdefgh" }, { 4, "prompt", "show", "nothing" },
      { 4, "run", "hello", "--input", "@nothing.json" },
      { 0, "help" }, { 0, "help", "run" }, { 0, "run", "--help" }, { 0, "--help" }, { 0, "-h" },
      { 0, "test", "--help" }, { 0, "version" }, { 0, "doctor" }, { 0, "list" }, { 0, "gates" },
    }
    for _, case in ipairs(codes) do
      local got = cli(table.unpack(case, 2))
      local what = table.concat({ table.unpack(case, 2) }, " ") .. ": " .. got.err
      assert.equal(case[1], got.code, what)
      if case[1] ~= 0 then
        assert.equal("", got.out, what)
        assert.truthy(got.err:find("^tidemill: "), what)
      end
    end
  end)

  it("says of --all what it means to each command", function()
    for command, means in pairs({
      list = "all of them: no limit", gates = "the decided ones, too",
      repin = "every run that has not ended",
    }) do
      assert.truthy(cli(command, "--help").out:find("%-%-all +" .. means), command)
      assert.equal(0, cli(command, "--all").code, command)
    end
  end)

  it("guesses what was meant", function()
    assert.truthy(cli("aprove").err:find("did you mean `tidemill approve`?", 1, true))
    assert.truthy(cli("list", "--limti", "3").err:find("did you mean --limit?", 1, true))
  end)

  it("gives errors as JSON when asked", function()
    for _, args in ipairs({ { "run", "nothing", "--json" }, { "--json", "rum" } }) do
      local got = cli(table.unpack(args))
      local cjson = require "cjson"
      local err = cjson.decode(got.err).error
      assert.equal("", got.out)
      assert.truthy(#err.message > 0)
      assert.truthy(({ not_found = true, usage = true })[err.code])
    end
  end)

  it("lets no control character of an input reach the terminal's lines", function()
    local evil = '{"name":"\\u001b[2JA\\u202eD\\u0085A"}'
    local got = content.shell(dir, ([[tidemill run hello --id evil-one --input '%s' || true
      tidemill approve evil-one; tidemill gates --all; tidemill list; tidemill show evil-one]])
      :format(evil))
    assert.falsy(got.err:find "[\27\194]\155?%[31m")
    assert.falsy(got.err:find("\27", 1, true))
    assert.falsy(got.err:find("\226\128\174", 1, true))
    -- A pipe gets the result exactly as it is.
    assert.equal("Hello, \27[2JA\226\128\174D\194\133A!", got.out:match "^[^\n]*")
  end)

  --- What a command writes to a terminal, or nil when there is none to be had.
  local function typed(command, settings)
    local got = content.shell(dir, ("script -qec 'echo ok' /dev/null 2>&1 | grep -q ok || " ..
      "exit 99\nenv TERM=xterm %s script -qec %q /dev/null </dev/null")
      :format(settings or "", command))
    if got.code ~= 99 then return got.out end
    pending "needs `script` and a pseudo-terminal"
  end

  it("escapes a result for a terminal", function()
    local out = typed [[tidemill run hello --input '{"name":"\u001b[31mx\u202e"}' 2>/dev/null]]
    if not out then return end
    assert.truthy(out:find([[Hello, \u001b[31mx\u202e.]], 1, true), out)
  end)

  it("redraws what is under way on a terminal, in colours if they are wanted", function()
    content.write(dir .. "/workflows/nap.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "nap" {}
      function flow.main() mill.sleep(0.25) return 1 end
      return flow
    ]])
    local out = typed "tidemill run nap"
    if not out then return end
    assert.truthy(out:find("\27[1A\27[J", 1, true), out) -- one line up, and cleared
    assert.truthy(out:find("\27[32m", 1, true), out)
    for _, plain in ipairs { typed("tidemill run nap", "NO_COLOR=1"),
      typed "tidemill run nap --no-color" } do
      assert.truthy(plain:find("\27[1A\27[J", 1, true), plain)
      assert.falsy(plain:find("\27%[%d+m"), plain)
    end
    local quiet = typed "tidemill run nap -q"
    assert.equal("1", quiet:match "^%s*(.-)%s*$")
    assert.falsy(cli("run", "nap").err:find("\27", 1, true))
  end)

  it("detaches at the first Ctrl-C and says how to go on", function()
    content.write(dir .. "/workflows/nap.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "nap" { about = "Sleeps." }
      function flow.main() mill.log "lies down" mill.sleep(1.5) return "rested" end
      return flow]])
    local got = content.interrupted(dir, "run nap --id my-nap", "lies down")
    assert.equal(130, got.code, got.err)
    assert.truthy(got.err:find("tidemill resume my-nap", 1, true), got.err)
    assert.equal("rested\n", cli("resume", "my-nap").out)
  end)

  it("stops following when the time is over", function()
    content.write(dir .. "/workflows/nap.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "nap" { about = "Sleeps." }
      function flow.main() mill.sleep(60) return "rested" end
      return flow]])
    local got = cli("run", "nap", "--timeout", "200ms")
    assert.equal(8, got.code, got.err)
    assert.equal("", got.out)
  end)

  it("cancels a run", function()
    loud("--id", "unwanted")
    assert.equal(0, cli("cancel", "unwanted", "--note", "never mind").code)
    assert.equal(6, cli("result", "unwanted").code)
    assert.truthy(cli("list", "--state", "cancelled").out:find "unwanted")
  end)

  it("shows a run, a record, and what a model was sent", function()
    ada("--id", "shown-one")
    local shown = cli("show", "shown-one").out
    assert.truthy(shown:find("state     done", 1, true))
    local seq = shown:match "(%d+)%s+%S+%s+attempt"
    assert.equal("attempt", cli("show", "shown-one#" .. seq).json.record)
    local raw = cli("show", "shown-one#" .. seq, "--raw").out
    assert.truthy(raw:find('"unit":"greeting"', 1, true))
    assert.equal(4, cli("show", "shown-one#99").code)
    assert.equal("shown-one", cli("show", "shown-one", "--json").json.run)
  end)

  it("ends quietly when its reader has gone", function()
    ada()
    assert.equal(0, content.shell(dir, "tidemill list --json | true").code)
  end)
end)
