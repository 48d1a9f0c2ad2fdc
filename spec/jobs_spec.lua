--- `tidemill test --jobs`: spec files side by side; and the same of the C suites.
local content = dofile "spec/content.lua"

describe("tidemill test --jobs", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert(os.execute("mkdir " .. dir .. "/spec"))
  end)
  after_each(function() content.remove(dir) end)

  local function spec(name, body)
    content.write(("%s/spec/%s_spec.lua"):format(dir, name), body)
  end

  -- What hangs is ended, and then fails what is expected of it.
  local function test(args)
    return content.shell(dir, "exec timeout 60 tidemill test " .. args)
  end

  it("runs files at the same time, and shows each whole, in their order", function()
    assert(os.execute("mkfifo " .. dir .. "/pipe"))
    spec("a", [[
      it("hears the other", function()
        print "a begins"
        print("a hears " .. io.open("pipe"):read "a")
      end)]])
    spec("b", [[
      it("is heard", function()
        print "b begins"
        local pipe = io.open("pipe", "w")
        pipe:write "b"
        pipe:close()
      end)]])
    for _, jobs in ipairs { "--jobs 2", "--jobs=2", "spec --jobs 7", "--jobs 1 --jobs 2" } do
      local got = test(jobs)
      assert.equal("a begins\na hears b\nspec/a_spec.lua: 1 passed, 0 failed\n"
        .. "b begins\nspec/b_spec.lua: 1 passed, 0 failed\n2 passed, 0 failed\n", got.out)
      assert.equal(0, got.code)
    end
  end)

  it("adds up what all of them told, and fails when one of them did", function()
    spec("a", 'it("one", function() end) pending("two") it("three", function() end)')
    spec("b", 'it("is so", function() assert.equal(1, 2) end) it("is", function() end)')
    spec("c", 'error "not a spec"')
    spec("d", 'it("four", function() end)')
    local got = test "--jobs 3"
    assert.equal(1, got.code)
    assert.truthy(got.out:find("skip spec/a_spec.lua:1: two", 1, true), got.out)
    assert.truthy(got.out:find("FAIL spec/b_spec.lua:1: is so\n", 1, true), got.out)
    assert.truthy(got.out:find("not a spec", 1, true), got.out)
    local lines = {}
    for line in got.out:gmatch "[^\n]*%d+ passed[^\n]*" do lines[#lines + 1] = line end
    assert.same({ "spec/a_spec.lua: 2 passed, 0 failed, 1 skipped",
      "spec/b_spec.lua: 1 passed, 1 failed", "spec/c_spec.lua: 0 passed, 1 failed",
      "spec/d_spec.lua: 1 passed, 0 failed", "4 passed, 2 failed, 1 skipped" }, lines)
  end)

  it("names a file whose process dies, and goes on", function()
    spec("a", 'it("dies", function() print "last words" os.execute "kill -9 $PPID" end)')
    spec("b", 'it("cannot tell", function() io.output "/dev/null" end)')
    spec("c", [[it("passes", function() end)
      setmetatable({}, { __gc = function() os.execute "kill -ABRT $PPID" end })]])
    spec("d", 'it("passes", function() end)')
    for _, jobs in ipairs { 2, 4 } do
      local got = test("--jobs " .. jobs)
      local errors = {}
      for line in got.out:gmatch "ERROR [^\n]*" do errors[#errors + 1] = line end
      local alone = "; `tidemill test spec/%s_spec.lua` runs this file alone"
      assert.same({
        "ERROR spec/a_spec.lua: its process was ended by signal 9 (Killed)" .. alone:format "a",
        "ERROR spec/b_spec.lua: its process ended with status 0 before it told what passed"
          .. alone:format "b",
        "ERROR spec/c_spec.lua: its process was ended by signal 6 (Aborted)"
          .. alone:format "c" }, errors)
      assert.equal("last words\n", got.out:match "^[^\n]*\n")
      assert.equal("spec/c_spec.lua: 1 passed, 0 failed\nspec/d_spec.lua: 1 passed, 0 failed\n"
        .. "2 passed, 3 failed\n", got.out:match "spec/c_spec.lua: %d.*")
      assert.equal(1, got.code)
    end
  end)

  it("leaves nothing at work when it is killed", function()
    for _, name in ipairs { "a", "b" } do
      spec(name, [[
        it("stays", function()
          local life = io.open("life", "w")
          life:write "x"
          life:flush()
          io.open "never"
        end)]])
    end
    local got = content.shell(dir, [[
      mkfifo life never
      tidemill test --jobs 2 >/dev/null 2>&1 &
      exec 3<life
      timeout 60 head -c 2 <&3
      kill -KILL $!
      timeout 60 cat <&3 # until nobody is left who could write
      echo " and gone"]])
    assert.equal("xx and gone\n", got.out, got.err)
  end)

  it("leaves the other arguments to busted", function()
    spec("a", 'it("one", function() end) it("two", function() error "never" end)')
    spec("b", 'it("one", function() end)')
    assert.equal("spec/a_spec.lua: 1 passed, 0 failed\nspec/b_spec.lua: 1 passed, 0 failed\n"
      .. "2 passed, 0 failed\n", test("--jobs 2 --filter one").out)
    assert.equal("1 passed, 0 failed\n", test("spec/b_spec.lua --jobs 2").out)
    local listed = test "--jobs 2 --list"
    assert.equal(0, listed.code)
    assert.equal(test("--list").out, listed.out)
    local missing = test "--jobs 2 spec/a_spec.lua spec/b_spec.lua spec/c_spec.lua"
    assert.equal(1, missing.code)
    assert.equal("2 passed, 2 failed", missing.out:match "([^\n]*)\n$")
  end)

  it("says what it cannot take", function()
    spec("a", 'it("one", function() end)')
    spec("b", 'it("one", function() end)')
    for args, why in pairs {
      ["--jobs"] = "--jobs: nothing is not a number of processes; say --jobs 4",
      ["--jobs 0"] = '--jobs: "0" is not a number of processes',
      ["--jobs=two"] = '--jobs: "two" is not a number of processes',
    } do
      local got = test(args)
      assert.equal(2, got.code)
      assert.truthy(got.err:find(why, 1, true), got.err)
    end
    local got = test "--jobs 2 -o TAP"
    assert.equal(1, got.code)
    assert.truthy(got.err:find("--jobs cannot join what another", 1, true), got.err)
  end)
end)

describe("tidemill-check --jobs", function()
  local program = (os.getenv "TIDEMILL_BUILD" or "build/dev") .. "/tidemill-check"
  if not io.open(program) then return pending(program .. " is not built") end

  local function check(words)
    return content.shell(".", ("TIDEMILL_CHECK_SELF=1 exec %s %s"):format(program, words))
  end

  it("shows what it shows without", function()
    local suites = " schema_text self_mixed self_passes number"
    local alone = check(suites)
    assert.equal(1, alone.code)
    assert.truthy(alone.out:find("FAIL self_mixed: fails", 1, true), alone.out)
    for _, jobs in ipairs { "2", "9" } do
      assert.same(alone, check("--jobs " .. jobs .. suites))
    end
  end)

  it("names a suite that dies, and goes on", function()
    local got = check "--jobs 2 self_dies self_passes"
    assert.equal("its last words\nFAIL self_dies: its process ended with signal 9\n"
      .. "1 passed, 1 failed\n", got.out)
    assert.equal(1, got.code)
  end)
end)
