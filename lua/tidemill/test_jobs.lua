--- `tidemill test --jobs N`: each spec file in a process of its own, N of them side by side.
--
-- busted reads its arguments and finds the files; where it would load them, the process makes a
-- copy of itself for each file. What a copy prints is kept, and shown whole when the files
-- before it have been shown: the output does not depend on who ends first. The counts of all
-- copies go into the last line of the process that made them.
-- @module tidemill.test_jobs
local M = {}

-- These look at all files at once.
local WHOLE = { "^%-%-list$", "^%-l$", "^%-%-coverage$", "^%-c$", "^%-%-repeat" }

local function looks_at_all(word)
  for _, pattern in ipairs(WHOLE) do
    if word:find(pattern) then return true end
  end
  return false
end

local function number(text)
  local n = math.tointeger(tonumber(text))
  if n and n >= 1 then return n end
  return nil, ("--jobs: %s is not a number of processes; say --jobs 4"):format(
    text and '"' .. text .. '"' or "nothing")
end

--- Take `--jobs N` or `--jobs=N` out of the arguments, in place; the last one counts.
-- @treturn integer|nil how many processes: 1 when nothing is said; nil and why it cannot be
function M.take(arguments)
  local jobs, at, whole = 1, 1, false
  while arguments[at] do
    local word = arguments[at]
    local text = word:match "^%-%-jobs=(.*)$"
    if text or word == "--jobs" then
      table.remove(arguments, at)
      local err
      jobs, err = number(text or table.remove(arguments, at))
      if not jobs then return nil, err end
    else
      whole = whole or looks_at_all(word)
      at = at + 1
    end
  end
  return whole and 1 or jobs
end

--- What a copy printed: the text without its last line "N passed, N failed", and the counts.
local function told(text)
  local before, line = ("\n" .. text):match "^(.*\n)([^\n]+)\n*$"
  local passed, failed = (line or ""):match "^(%d+) passed, (%d+) failed"
  if not passed then return text end
  return before:sub(2), {
    passed = tonumber(passed), failed = tonumber(failed),
    skipped = tonumber(line:match " failed, (%d+) skipped$") or 0, line = line,
  }
end

--- How a copy ended that did not end as one should; nil: it did.
local function trouble(counts, status, signal)
  if signal then return "its process was ended by " .. signal end
  if not counts then
    return ("its process ended with status %d before it told what passed"):format(status)
  end
  if status ~= 0 and counts.failed == 0 then
    return ("its process ended with status %d after all had passed"):format(status)
  end
end

local function show(copy, total)
  copy.out:seek "set"
  local text, counts = told(copy.out:read "a")
  copy.out:close()
  io.write(text, text:match "[^\n]$" and "\n" or "")
  local wrong = trouble(counts, copy.status, copy.signal)
  if wrong then
    io.write(("ERROR %s: %s; `tidemill test %s` runs this file alone\n"):format(
      copy.file, wrong, copy.file))
    total.failed = total.failed + 1
  end
  if counts then
    io.write(copy.file, ": ", counts.line, "\n")
    total.passed = total.passed + counts.passed
    total.failed = total.failed + counts.failed
    total.skipped = total.skipped + counts.skipped
  end
  io.flush()
end

--- Makes a copy for each file, `jobs` at a time, and shows them in the order of the files.
-- @treturn string|table in a copy its file, at once; else, when all have ended, their counts
local function each_in_a_copy(files, jobs)
  local processes = require "tidemill.jobs"
  local copies, at_work, shown = {}, {}, 0
  local total = { passed = 0, failed = 0, skipped = 0 }
  while shown < #files do
    while #copies < #files and jobs > 0 do
      local copy = { file = files[#copies + 1], out = assert(io.tmpfile()) }
      local pid = processes.fork(copy.out)
      if not pid then return copy.file end
      copies[#copies + 1], at_work[pid], jobs = copy, copy, jobs - 1
    end
    local pid, status, signal = processes.wait()
    local copy = at_work[pid]
    if copy then -- else it is a process of a --helper
      copy.ended, copy.status, copy.signal, jobs = true, status, signal, jobs + 1
    end
    while copies[shown + 1] and copies[shown + 1].ended do
      shown = shown + 1
      show(copies[shown], total)
    end
  end
  return total
end

--- Let busted, which is about to be loaded, run its files in `jobs` processes.
-- `output()` is its handler of output (tidemill.test_report), which gets the counts of the
-- copies as `others`; nil when it is another one.
function M.install(jobs, output)
  local name = "busted.modules.test_file_loader"
  local new = require(name)
  package.loaded[name] = function(busted, loaders)
    local load, one, find = new(busted, loaders)
    local function load_in_copies(roots, patterns, options)
      local handler, files = output(), find(roots, patterns, options)
      if not handler then
        error("--jobs cannot join what another --output prints; leave one out", 0)
      end
      if #files < 2 or handler.errorsCount > 0 then return load(files, patterns, options) end
      local got = each_in_a_copy(files, jobs)
      if type(got) == "string" then return load({ got }, patterns, options) end
      handler.others = got
      return files
    end
    return load_in_copies, one, find
  end
end

return M
