--- Runs busted inside `tidemill test`: called once with its arguments, returns the exit code.
-- @module tidemill.test_main

local test_jobs = require "tidemill.test_jobs"

-- busted ends by os.exit; inside the program that must only end busted.
local function catching_exit(fn)
  local real, sentinel = os.exit, {}
  os.exit = function(code) -- luacheck: ignore 122
    sentinel.code = (code == nil or code == true) and 0 or code == false and 1 or code
    error(sentinel)
  end
  local ok, err = pcall(fn)
  os.exit = real -- luacheck: ignore 122
  if ok then return 0 end
  if err == sentinel then return sentinel.code end
  error(err, 0)
end

--- `--from FILE`: make a spec of a capsule, and run that one.
local function take_capsule(arguments)
  if arguments[1] ~= "--from" then return arguments end
  local ok, spec = pcall(require("tidemill.test_capsule").write_spec, arguments[2] or "")
  if not ok then
    io.stderr:write("tidemill: ", tostring(spec), "\n")
    return nil
  end
  io.stderr:write("wrote ", spec, "\n")
  return table.pack(spec, table.unpack(arguments, 3))
end

--- The handler of output that busted made, for who must know the counts.
local function report()
  local made
  package.preload["busted.outputHandlers.plain"] = function()
    local new = require "tidemill.test_report"
    return function(options)
      made = new(options)
      return made
    end
  end
  return function() return made end
end

local function run(arguments)
  arguments = take_capsule(arguments)
  if not arguments then return 2 end
  local jobs, wrong = test_jobs.take(arguments)
  if not jobs then
    io.stderr:write("tidemill: ", wrong, "\n")
    return 2
  end
  local found, runner = pcall(require, "busted.runner")
  if not found then
    io.stderr:write("tidemill: busted is not installed (sudo apt-get install lua-busted): ",
      (tostring(runner):match("^[^\n]*")), "\n")
    return 3
  end
  package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;" .. package.path
  local output = report()
  if jobs > 1 then test_jobs.install(jobs, output) end
  arguments[0] = "tidemill test"
  _G.arg = arguments
  -- busted calls itself by the name of the chunk that calls it.
  local call = assert(load("local runner, options = ... runner(options)", "@tidemill test"))
  local code = catching_exit(function()
    call(runner, { standalone = false, output = "plain" })
  end)
  local handler = output()
  local failed = handler and select(2, handler.counts()) or 0
  return (code ~= 0 or failed > 0) and 1 or 0
end

return run
