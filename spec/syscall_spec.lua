--- Killed, or refused by the disk, at a write: the next start goes on as if nothing had been.
--
-- strace does it to the k-th pwrite64 or fdatasync of the program. A test run takes a few of
-- them, evenly spread; TIDEMILL_ALL_POINTS=1 takes all.
local content = dofile "spec/content.lua"

local ALL = os.getenv "TIDEMILL_ALL_POINTS"
local SYSCALLS = { "pwrite64", "fdatasync" }

-- The other side is a file that honours keys: a line under a known key is not written again.
local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "small" { about = "One line before the gate, one behind it." }

local line = flow:action "line" {
  key = function(args) return args.key end,
  on_unknown = "retry",
  run = function(args, key)
    local seen = mill.file.read "ledger.txt" or ""
    if not seen:find(key .. "\n", 1, true) then mill.file.append("ledger.txt", key .. "\n") end
    return { written = args.key }
  end,
}

function flow.main()
  line { key = "before" }
  mill.gate("go", { ask = "Go on?" })
  mill.sleep(0.01)
  line { key = "behind" }
  return { lines = 2 }
end

return flow
]]

local RUN = "tidemill run small --id r --input '{}'"
local APPROVE = "tidemill approve r go"

local function can_trace()
  return os.execute "strace -f -qq -o /dev/null true 2>/dev/null" == true
end

describe("a process that dies or fails at a write", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert(os.execute("mkdir " .. dir .. "/workflows"))
    content.write(dir .. "/workflows/small.lua", WORKFLOW)
  end)
  after_each(function() content.remove(dir) end)

  local function afresh() os.execute(("rm -rf %s/.tidemill %s/ledger.txt"):format(dir, dir)) end

  -- A sanitized build looks for leaks at its end, and cannot while it is traced.
  local function shell(script)
    return content.shell(dir, "export ASAN_OPTIONS=detect_leaks=0\n" .. script)
  end

  local function inject(syscall, what, command)
    return shell(("exec strace -f -qq -o /dev/null -e trace=%s -e inject=%s:%s %s"):format(
      syscall, syscall, what, command))
  end

  --- How many such calls `command` makes, at most in one thread (strace counts by thread).
  local function count(syscall, command)
    shell(("exec strace -f -qq -o %s/trace -e trace=%s %s"):format(dir, syscall, command))
    local by, most = {}, 0
    for thread in (content.read(dir .. "/trace") or ""):gmatch("(%d+) +" .. syscall) do
      by[thread] = (by[thread] or 0) + 1
      most = math.max(most, by[thread])
    end
    assert.truthy(most > 0)
    return most
  end

  --- 1 … n: all of them, or `some`, evenly spread.
  local function points(n, some)
    local list, step = {}, ALL and 1 or math.max(1, n / some)
    for at = 1, n, step do list[#list + 1] = math.floor(at) end
    return list
  end

  --- What it told was told after it was on the disk.
  local function check_acknowledged(got)
    local shown = shell "tidemill show r"
    if got.err:find("run     waiting", 1, true) or got.err:find("✓ line", 1, true) then
      assert.equal(0, shown.code, got.err)
    end
    for _ in got.err:gmatch "✓ line" do assert.truthy(shown.out:find("done +action")) end
  end

  --- Whoever asked for the run asks again, and the person looks again.
  local function go_on()
    local got = shell(RUN)
    if got.code == 8 then got = shell(APPROVE) end
    return got
  end

  local function check_end(context)
    assert.equal("before\nbehind\n", content.read(dir .. "/ledger.txt"), context)
    assert.equal('{"lines":2}\n', shell("tidemill result r").out, context)
    local replayed = shell "tidemill replay r"
    assert.equal(0, replayed.code, context .. replayed.err)
    local sound = shell "tidemill doctor"
    assert.equal(0, sound.code, context .. sound.out)
  end

  local function recover(context)
    local got = go_on()
    assert.equal(0, got.code, context .. got.err)
    check_end(context)
  end

  --- To the point: the first command is under strace, or is done already.
  local function stage(command)
    afresh()
    if command == APPROVE then assert.equal(8, shell(RUN).code) end
  end

  local function sweep(some, visit)
    for _, command in ipairs { RUN, APPROVE } do
      for _, syscall in ipairs(SYSCALLS) do
        stage(command)
        for _, k in ipairs(points(count(syscall, command), some)) do
          stage(command)
          visit(command, syscall, k, ("%s, %s %d: "):format(command, syscall, k))
        end
      end
    end
  end

  local function traced(name, body)
    it(name, function()
      if not can_trace() then pending "strace is not installed, or may not trace here" end
      body()
    end)
  end

  traced("loses and doubles nothing when it is killed there", function()
    local killed = 0
    sweep(4, function(command, syscall, k, context)
      local got = inject(syscall, "signal=KILL:when=" .. k, command)
      if got.code == 137 then killed = killed + 1 end
      check_acknowledged(got)
      recover(context)
    end)
    assert.truthy(killed > 8)
  end)

  traced("loses and doubles nothing when it is killed again while it recovers", function()
    local killed = 0
    sweep(1, function(command, syscall, k, context)
      inject(syscall, "signal=KILL:when=" .. k, command)
      for again = 1, ALL and 60 or 9, ALL and 1 or 4 do
        local got = inject(syscall, "signal=KILL:when=" .. again, RUN)
        if got.code == 137 then killed = killed + 1 end
      end
      recover(context)
    end)
    assert.truthy(killed > 3)
  end)

  --- A write that failed ends the process with a message, or was one that may fail.
  local function check_stopped(got, context)
    if got.code == 70 or got.code == 75 then
      assert.truthy(got.err:find "disk" or got.err:find "No space", context .. got.err)
      return 1
    end
    assert.truthy(got.code == 0 or got.code == 8, context .. got.code .. got.err)
    return 0
  end

  for _, fault in ipairs { "EIO", "ENOSPC" } do
    traced("stops and says so at " .. fault .. ", and the next start goes on", function()
      local stopped = 0
      sweep(2, function(command, syscall, k, context)
        local when = fault == "ENOSPC" and "+" or ""
        local got = inject(syscall, ("error=%s:when=%d%s"):format(fault, k, when), command)
        stopped = stopped + check_stopped(got, context)
        check_acknowledged(got)
        recover(context)
      end)
      assert.truthy(stopped > 1)
    end)
  end
end)
