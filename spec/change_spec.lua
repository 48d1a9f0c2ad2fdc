--- Runs that move on: replay, diff, repin, retry, fork, capsules, and the deep look at them.
local content = dofile "spec/content.lua"

local FLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "line" {}

local pay = flow:action "pay" {
  key = function(a) return a.id end, irreversible = true, on_unknown = "ask",
  run = function(a) mill.file.append("ledger", a.id .. "\n") return { paid = a.id } end,
}

function flow.main(x)
  local said = mill.llm("one", { text = x.text })
  local paid = pay { id = "p-" .. x.text }
  local dice = math.random(1000000)
  local more = mill.llm("two", { text = said, dice = dice })
  if x.ask then mill.gate("sure", { ask = "Sure?" }) end
  return { said, paid.paid, more }
end

return flow
]]

local RULES = [[
return { units = {
  one = function(vars) return "one says " .. vars.text end,
  two = function(vars) return "two says " .. vars.text end,
} }
]]

local function prompt(about)
  return ("---\nmodel: scripted/demo\n---\n%s {{text}}\n"):format(about)
end

describe("a run", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts/scripted"):format(dir, dir)))
    content.write(dir .. "/workflows/line.lua", FLOW)
    content.write(dir .. "/prompts/one.prompt", prompt "One:")
    content.write(dir .. "/prompts/two.prompt", prompt "Two:")
    content.write(dir .. "/prompts/scripted/demo.lua", RULES)
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end

  local function start(id, input)
    return cli("run", "line", "--id", id, "--input", input or '{"text":"a"}')
  end

  local function parked(id)
    local got = start(id, '{"text":"a","ask":true}')
    assert.equal(8, got.code, got.err)
  end

  local function edit(path, from, to)
    local text, count = content.read(dir .. "/" .. path):gsub(from, to)
    assert.truthy(count > 0)
    content.write(dir .. "/" .. path, text)
  end

  local function ledger() return content.read(dir .. "/ledger") or "" end

  describe("replayed", function()
    it("is equal on its own sources, whatever is on disk", function()
      assert.equal(0, start("done-1").code)
      parked("wait-1")
      os.remove(dir .. "/workflows/line.lua")
      local got = cli("replay", "done-1")
      assert.equal(0, got.code, got.err)
      assert.truthy(got.out:find("to the end (done)", 1, true))
      got = cli("replay", "wait-1", "--json")
      assert.equal(0, got.code)
      assert.equal("equal", got.json.verdict)
      assert.equal("p-a\n", ledger()) -- the same key: paid once, whoever asks
    end)

    it("is equal whatever it did", function()
      local head = 'local mill = require "tidemill"\nlocal flow = mill.workflow "%s" %s\n'
      content.write(dir .. "/workflows/kid.lua", head:format("kid", "{}") .. [[
function flow.main(x) mill.sleep(0.01) return x.n * 2 end
return flow]])
      content.write(dir .. "/workflows/many.lua",
        head:format("many", "{ events = { paid = { type = 'object' } } }") .. [[
function flow.main(x)
  local a = mill.call("kid", { n = 2 })
  local b = mill.lock("k", function() return mill.now() > 0 end)
  local ok, e = pcall(mill.wait, "paid", { timeout = 0.02 })
  local c = mill.race { function() mill.sleep(0.01) return 1 end, function() mill.sleep(9) end }
  if x.rest then mill.log "rests" mill.sleep(60) end
  if not x.again then return mill.continue_as { again = true } end
  return { a, b, ok, e.kind, c }
end
return flow]])
      assert.equal(0, cli("run", "many", "--id", "many-1").code)
      local resting = [[run many --id many-2 --input '{"rest":true}']]
      assert.equal(130, content.interrupted(dir, resting, "rests").code)
      assert.equal(0, cli("terminate", "many-2").code)
      local runs = cli("list", "--all", "--json").json.runs
      assert.equal(6, #runs)
      for _, run in ipairs(runs) do
        local got = cli("replay", run.id)
        assert.equal(0, got.code, run.id .. ": " .. got.out)
      end
    end)

    it("stays equal with a renamed local, a comment and other pure code", function()
      parked("wait-1")
      edit("workflows/line.lua", "local said",
        "-- a comment\n  local pure = #x.text\n  local word")
      edit("workflows/line.lua", "text = said", "text = word")
      edit("workflows/line.lua", "{ said,", "{ word,")
      local got = cli("replay", "wait-1", "--to", "disk")
      assert.equal(0, got.code, got.out .. got.err)
    end)

    it("names both lines and the text that changed", function()
      parked("wait-1")
      edit("workflows/line.lua", "text = said, dice", "text = said .. '!', dice")
      local got = cli("replay", "wait-1", "--to", "disk")
      assert.equal(7, got.code)
      for _, part in ipairs {
        'workflows/line.lua:13 asks for llm "two"', "asked for at workflows/line.lua:13",
        '/vars/text: "one says a" -> "one says a!"',
        '-  local more = mill.llm("two", { text = said, dice',
        "+  local more = mill.llm(\"two\", { text = said .. '!',",
      } do
        assert.truthy(got.out:find(part, 1, true), part .. " is not in " .. got.out)
      end
    end)
  end)

  describe("compared", function()
    it("shows what changed on disk since it began", function()
      assert.equal(0, start("done-1").code)
      local got = cli("diff", "done-1")
      assert.equal("", got.out)
      assert.truthy(got.err:find("nothing has changed", 1, true))
      edit("prompts/two.prompt", "Two:", "Second:")
      content.write(dir .. "/prompts/three.prompt", prompt "Three:")
      os.remove(dir .. "/prompts/one.prompt")
      got = cli("diff", "done-1")
      assert.equal(0, got.code)
      assert.truthy(got.out:find("-Two: {{text}}\n+Second: {{text}}\n", 1, true), got.out)
      assert.truthy(got.out:find("--- /dev/null\n+++ now/prompts/three.prompt", 1, true))
      assert.truthy(got.out:find("--- was/prompts/one.prompt\n+++ /dev/null", 1, true))
      local changes = {}
      for _, file in ipairs(cli("diff", "done-1", "--json").json.files) do
        changes[file.name] = file.change
      end
      assert.same({ ["prompts/one.prompt"] = "removed", ["prompts/two.prompt"] = "changed",
        ["prompts/three.prompt"] = "added" }, changes)
    end)
  end)

  describe("repinned", function()
    it("moves when its journal fits the new sources, and back again", function()
      parked("wait-1")
      local before = cli("show", "wait-1", "--json").json
      edit("workflows/line.lua", 'return { said, paid.paid, more }', 'return "new end"')
      assert.equal(0, cli("repin", "wait-1", "--dry-run").code)
      assert.equal("waiting", cli("show", "wait-1", "--json").json.state)
      assert.equal(8, cli("repin", "wait-1").code)
      assert.equal(8, cli("repin", "wait-1", "--to", before.sources:sub(1, 12)).code)
      assert.equal(0, cli("repin", "--all", "--dry-run").code)
      assert.equal(0, cli("repin", "--all").code)
      local got = cli("approve", "wait-1")
      assert.equal(0, got.code, got.err)
      assert.equal("new end\n", got.out)
      assert.equal("p-a\n", ledger())
      assert.equal(0, cli("replay", "wait-1").code)
    end)

    it("stays paused", function()
      parked("wait-1")
      assert.equal(0, cli("pause", "wait-1").code)
      edit("workflows/line.lua", 'return { said, paid.paid, more }', 'return "new end"')
      local got = cli("repin", "wait-1")
      assert.equal(0, got.code, got.err)
      assert.equal("pause", cli("show", "wait-1", "--json").json.reason[1]["for"])
      assert.equal(8, cli("resume", "wait-1").code)
      assert.equal("new end\n", cli("approve", "wait-1").out)
    end)

    it("stays when its journal does not fit", function()
      parked("wait-1")
      edit("prompts/one.prompt", "One:", "First:")
      local got = cli("repin", "wait-1")
      assert.equal(7, got.code)
      assert.truthy(got.out:find("-One: {{text}}\n+First: {{text}}", 1, true), got.out)
      got = cli("approve", "wait-1")
      assert.equal(0, got.code, got.err)
    end)

    it("does not move when it has ended", function()
      assert.equal(0, start("done-1").code)
      edit("workflows/line.lua", "return { said, paid.paid, more }", "return more")
      local got = cli("repin", "done-1")
      assert.equal(5, got.code)
      assert.truthy(got.err:find("only a run that has not ended moves", 1, true))
    end)
  end)

  describe("retried", function()
    it("goes on from the call that failed, and pays once", function()
      content.write(dir .. "/prompts/scripted/demo.lua", [[
return { units = {
  one = function(vars) return "one says " .. vars.text end,
  two = function() error "out of order" end,
} }]])
      assert.equal(1, start("bad-1").code)
      content.write(dir .. "/prompts/scripted/demo.lua", RULES)
      local got = cli("retry", "bad-1")
      assert.equal(0, got.code, got.err)
      assert.same({ "one says a", "p-a", "two says one says a" }, got.json)
      assert.equal("p-a\n", ledger())
      assert.equal(0, cli("replay", "bad-1").code)
      assert.equal(5, cli("retry", "bad-1").code)
      assert.equal(0, cli("doctor", "--deep").code)
    end)

    it("of a script's own mistake needs the mended script", function()
      edit("workflows/line.lua", "return { said, paid.paid, more }", "return said.nothing.here")
      assert.equal(1, start("bad-1").code)
      local got = cli("retry", "bad-1")
      assert.equal(5, got.code)
      assert.truthy(got.err:find("would only fail again", 1, true), got.err)
      edit("workflows/line.lua", "return said.nothing.here", "return more")
      got = cli("retry", "bad-1", "--to", "disk")
      assert.equal(0, got.code, got.err)
      assert.equal("two says one says a\n", got.out)
      assert.equal("p-a\n", ledger())
    end)
  end)

  describe("retried or forked", function()
    local BROKEN = [[
return { units = {
  one = function(vars) return "one says " .. vars.text end,
  two = function() error "out of order" end,
} }]]

    it("asks again for the lock that it held", function()
      edit("workflows/line.lua", "local more = (mill.llm%b())",
        'local more = mill.lock("till", function() mill.sleep(0.01) return %1 end)')
      content.write(dir .. "/prompts/scripted/demo.lua", BROKEN)
      assert.equal(1, start("bad-1").code)
      local inside = cli("fork", "bad-1", "--from", "two")
      assert.equal(5, inside.code, inside.err)
      assert.truthy(inside.err:find('holds the lock "till"', 1, true), inside.err)
      content.write(dir .. "/prompts/scripted/demo.lua", RULES)
      local got = cli("retry", "bad-1")
      assert.equal(0, got.code, got.err)
      assert.equal(2, select(2, cli("show", "bad-1").out:gsub("done +lock", "")))
      assert.equal(0, cli("replay", "bad-1").code)
      assert.equal(0, cli("doctor", "--deep").code)
    end)

    it("does not take for done what was undone", function()
      edit("workflows/line.lua", "  run = function", [[
  undo = function(a) mill.file.append("ledger", "back " .. a.id .. "\n") end,
  run = function]])
      content.write(dir .. "/prompts/scripted/demo.lua", BROKEN)
      assert.equal(1, start("bad-1").code)
      assert.equal("p-a\nback p-a\n", ledger())
      content.write(dir .. "/prompts/scripted/demo.lua", RULES)
      local got = cli("retry", "bad-1")
      assert.equal(5, got.code)
      assert.truthy(got.err:find("has undone what it had done", 1, true), got.err)
      got = cli("fork", "bad-1", "--from", "two")
      assert.equal(5, got.code)
      assert.truthy(got.err:find("undid what the new run would take", 1, true), got.err)
      assert.equal("p-a\nback p-a\n", ledger())
    end)
  end)

  describe("forked", function()
    it("shares what was done, with the dice of the first", function()
      assert.equal(0, start("done-1").code)
      edit("prompts/two.prompt", "Two:", "Second:")
      local got = cli("fork", "done-1", "--from", "two", "--id", "fork-1",
        "--with", "prompts/two.prompt")
      assert.equal(0, got.code, got.err)
      assert.equal("p-a\n", ledger())
      local first = cli("show", "done-1", "--raw").out:match '"dice":(%d+)'
      local info = cli("show", "fork-1", "--json").json
      assert.equal("done-1", info.parent)
      assert.equal(first, cli("show", "fork-1", "--raw").out:match '"dice":(%d+)')
      assert.equal(0, cli("replay", "fork-1").code)
      assert.equal(0, cli("doctor", "--deep").code)
    end)

    it("takes another result of a call", function()
      assert.equal(0, start("done-1").code)
      content.write(dir .. "/answer.json", '"another answer"')
      local got = cli("fork", "done-1", "--edit", "one=@" .. dir .. "/answer.json")
      assert.equal(0, got.code, got.err)
      assert.same({ "another answer", "p-a", "two says another answer" }, got.json)
      assert.equal("p-a\n", ledger())
    end)

    it("refuses a changed file that the shared part was made with", function()
      assert.equal(0, start("done-1").code)
      edit("prompts/one.prompt", "One:", "First:")
      local got = cli("fork", "done-1", "--from", "two", "--with", "prompts/one.prompt")
      assert.equal(7, got.code)
      assert.truthy(got.err:find("the shared part does not fit", 1, true), got.err)
      assert.equal(2, cli("fork", "done-1").code)
      assert.equal(4, cli("fork", "done-1", "--from", "nowhere").code)
    end)
  end)

  describe("whose process dies while it is changed", function()
    -- Run the command again and again, killed at its n-th commit, until it lives.
    local function killed_everywhere(make, args, check)
      for _, point in ipairs { "store.commit.pre", "store.commit.post" } do
        for n = 1, 20 do
          local id = ("%s-%d"):format(point:match "%w+$", n)
          make(id)
          local words = {}
          for i, word in ipairs(args) do words[i] = word:gsub("ID", id) end
          local got = content.tidemill(dir, words, ("TIDEMILL_CRASH_AT=%s:%d"):format(point, n))
          check(id, got)
          if got.code < 128 then break end
          assert.truthy(n < 20)
        end
      end
      assert.falsy(cli("doctor", "--deep").out:find("FAIL  run", 1, true))
    end

    it("is moved whole or not at all", function()
      local moved = 0
      killed_everywhere(function(id)
        content.write(dir .. "/workflows/line.lua", FLOW)
        assert.equal(8, start(id, '{"text":"a","ask":true}').code)
        edit("workflows/line.lua", 'return { said, paid.paid, more }', 'return "new end"')
      end, { "repin", "ID" }, function(id)
        assert.equal(0, cli("replay", id).code)
        assert.equal(8, cli("resume", id).code)
        local got = cli("approve", id)
        assert.equal(0, got.code, got.err)
        moved = moved + (got.out == "new end\n" and 1 or 0)
        assert.equal(0, cli("replay", id).code)
      end)
      assert.truthy(moved > 0)
      assert.equal("p-a\n", ledger())
    end)

    it("is retried once", function()
      killed_everywhere(function(id)
        local broken = RULES:gsub("two says ", '%0" .. nil .. "')
        content.write(dir .. "/prompts/scripted/demo.lua", broken)
        assert.equal(1, start(id).code)
        content.write(dir .. "/prompts/scripted/demo.lua", RULES)
      end, { "retry", "ID" }, function(id, got)
        local state = cli("show", id, "--json").json.state
        if state == "failed" then assert.equal(0, cli("retry", id).code)
        elseif got.code >= 128 then assert.equal(0, cli("resume", id).code) end
        assert.equal("done", cli("show", id, "--json").json.state)
        assert.equal(0, cli("replay", id).code)
      end)
      assert.equal("p-a\n", ledger())
    end)

    it("is forked or imported whole or not at all", function()
      assert.equal(0, start("done-1").code)
      content.write(dir .. "/run.capsule", cli("export", "done-1").out)
      killed_everywhere(function() end,
        { "fork", "done-1", "--from", "two", "--id", "ID" }, function(id, got)
          local known = cli("show", id, "--json")
          if known.code == 4 then
            assert.truthy(got.code >= 128)
          else
            assert.equal(0, cli("replay", id).code)
            assert.equal(0, cli("resume", id).code)
          end
        end)
      local n, got = 0
      repeat
        n = n + 1
        got = content.tidemill(dir, { "--db", "sqlite:other.db", "import", "run.capsule" },
          ("TIDEMILL_CRASH_AT=store.commit.pre:%d"):format(n))
        local there = cli("--db", "sqlite:other.db", "replay", "done-1").code
        assert.equal(got.code == 0 and 0 or 4, there)
      until got.code == 0 or n > 9
      assert.equal(0, got.code)
    end)
  end)

  describe("in a capsule", function()
    local function export(id, ...)
      local got = cli("export", id, ...)
      assert.equal(0, got.code, got.err)
      content.write(dir .. "/run.capsule", got.out)
      return got.out
    end

    it("replays elsewhere without sources, keys or effects", function()
      content.write(dir .. "/workflows/odd.lua", "-- \xff\nreturn {}\n") -- no text, but kept
      assert.equal(0, start("done-1").code)
      export("done-1")
      local other = content.folder()
      finally(function() content.remove(other) end)
      local got = content.shell(other, ([[
        cp %s/run.capsule .
        tidemill import run.capsule && tidemill replay done-1]]):format(dir))
      assert.equal(0, got.code, got.err)
      assert.equal("done-1\nequal: ", got.out:sub(1, 14))
      local again = content.tidemill(other, { "import", "run.capsule" })
      assert.equal(0, again.code, again.err)
      local here = cli("export", "done-1")
      local there = content.tidemill(other, { "export", "done-1" })
      assert.same(here.json.run.result, there.json.run.result)
      for _, part in ipairs { "records", "sources", "files", "gates" } do
        assert.same(here.json[part], there.json[part])
      end
      assert.same({}, there.json.effects) -- they are not that database's
    end)

    it("that had not ended is imported to look at and to fork, not to go on", function()
      parked("wait-1")
      export("wait-1")
      local other = content.folder()
      finally(function() content.remove(other) end)
      local function there(...) return content.tidemill(other, { ... }) end
      assert.equal(0, there("import", dir .. "/run.capsule").code)
      assert.equal("imported", there("show", "wait-1", "--json").json.state)
      assert.equal(5, there("resume", "wait-1").code)
      local sources = there("show", "wait-1", "--json").json.sources
      assert.equal(5, there("repin", "wait-1", "--to", sources).code)
      assert.equal(0, there("replay", "wait-1").code)
      local forked = there("fork", "wait-1", "--from", "sure", "--id", "fork-1")
      assert.equal(8, forked.code, forked.err)
      assert.equal(0, there("approve", "fork-1").code)
      assert.truthy(there("doctor", "--deep").out:find("2 runs, ", 1, true))
    end)

    it("that had ended is sound there, and is not retried but forked", function()
      content.write(dir .. "/workflows/bad.lua", [[
        local mill = require "tidemill"
        local flow = mill.workflow "bad" {}
        local note = flow:action "note" { db = true, key = function(a) return a.id end,
          run = function() return true end }
        local pay = flow:action "pay" { key = function(a) return a.id end,
          run = function(a) mill.file.append("ledger", a.id) return true end }
        local fall = flow:action "fall" { key = function(a) return a.id end,
          run = function() error "not today" end }
        function flow.main() note { id = "k" } pay { id = "k" } fall { id = "k" } end
        return flow]])
      assert.equal(1, cli("run", "bad", "--id", "bad-1").code)
      export("bad-1")
      local other = content.folder()
      finally(function() content.remove(other) end)
      local function there(...) return content.tidemill(other, { ... }) end
      assert.equal(0, there("import", dir .. "/run.capsule").code)
      assert.equal("failed", there("show", "bad-1", "--json").json.state)
      assert.matches("1 runs, %d+ records, 0 findings", there("doctor", "--deep").out)
      local got = there("retry", "bad-1")
      assert.equal(5, got.code)
      assert.matches("run bad-1 was imported", got.err, 1, true)
      assert.equal(1, there("fork", "bad-1", "--from", "fall", "--id", "fork-1").code)
      assert.equal(0, there("gc", "--older-than", "0s").code)
      assert.same({}, there("list", "--json", "--all").json.runs)
    end)

    it("that was tampered with is refused", function()
      assert.equal(0, start("done-1").code)
      local text = export("done-1")
      local function refused(from, to)
        local changed, count = text:gsub(from, to, 1)
        assert.equal(1, count, from)
        content.write(dir .. "/run.capsule", changed)
        local got = content.tidemill(dir, { "--db", "memory:", "import", "run.capsule" })
        assert.equal(2, got.code)
        return got.err
      end
      assert.truthy(refused("one says a", "one says b"):find("does not fit its seal", 1, true))
      assert.truthy(refused('"abi": 1', '"abi": 2'):find("seal", 1, true))
      assert.truthy(refused("tidemill.capsule/1", "something"):find("no run capsule", 1, true))
      assert.truthy(refused("{", "["):find("no run capsule", 1, true))
    end)

    it("redacted holds no text of anybody, and says that it does not replay", function()
      assert.equal(0, start("done-1", '{"text":"secret words"}').code)
      local text = export("done-1", "--redact")
      assert.falsy(text:find("secret words", 1, true))
      assert.truthy(text:find("sha256:", 1, true))
      local got = cli("import", "run.capsule")
      assert.equal(2, got.code)
      assert.truthy(got.err:find("the capsule is redacted", 1, true))
    end)

    it("becomes a spec", function()
      assert.equal(0, start("done-1").code)
      export("done-1")
      local got = cli("test", "--from", "run.capsule")
      assert.equal(0, got.code, got.out .. got.err)
      assert.equal("2 passed, 0 failed\n", got.out)
      assert.truthy(content.read(dir .. "/spec/capsules/done-1_spec.lua"))
      edit("workflows/line.lua", '"p%-" %.%. x%.text', '"q-" .. x.text')
      got = cli "test"
      assert.truthy(got.out:find("1 passed, 1 failed", 1, true), got.out)
      assert.truthy(got.out:find("asks for action \"pay\"", 1, true), got.out)
      assert.equal(2, cli("test", "--from", "workflows/line.lua").code)
    end)
  end)

  it("is looked at deeply by doctor", function()
    assert.equal(0, start("done-1").code)
    parked("wait-1")
    local got = cli("doctor", "--deep")
    assert.equal(0, got.code, got.out .. got.err)
    assert.truthy(got.out:find("2 runs", 1, true), got.out)
  end)
end)
