--- mill.all, map, race, within: branches that wait side by side.

local core, mill = ...
local want, known = core.want, core.known

local M = {}

--- What a settled branch leaves: {ok = true, value} or {ok = false, error}.
local function settled(f, ...)
  local ok, value = pcall(f, ...)
  if ok then return { ok = true, value = value } end
  if type(value) ~= "table" then value = { kind = "script", message = tostring(value) } end
  return { ok = false, error = value }
end

local function run(branches, results, opts)
  core.fork(branches, opts.max)
  return core.array(results)
end

local function list_of(what, functions)
  want(what, functions, "table")
  for _, f in ipairs(functions) do want("each branch", f, "function") end
  return functions
end

--- Run functions as branches; their results in order. The first error cancels the others;
-- opts.settle collects {ok, value | error} instead; opts.max: at most so many at once.
function M.all(functions, opts)
  opts = known("mill.all", opts, "max settle:boolean")
  local results, branches = {}, {}
  for i, f in ipairs(list_of("mill.all's list", functions)) do
    branches[i] = function()
      if opts.settle then results[i] = settled(f) else results[i] = f() end
    end
  end
  return run(branches, results, opts)
end

--- fn(item, index) for each item; results in index order. Options as mill.all.
function M.map(list, fn, opts)
  want("mill.map's list", list, "table")
  want("mill.map's function", fn, "function")
  opts = known("mill.map", opts, "max settle:boolean")
  local results, branches = {}, {}
  for i, item in ipairs(list) do
    branches[i] = function()
      if opts.settle then results[i] = settled(fn, item, i) else results[i] = fn(item, i) end
    end
  end
  return run(branches, results, opts)
end

--- Run functions as branches until the first ends: its result, its index. The others are
-- cancelled where they wait; an error of the first is raised.
function M.race(functions)
  local value, index
  local branches = {}
  for i, f in ipairs(list_of("mill.race's list", functions)) do
    branches[i] = function() value, index = f(), i end
  end
  if #branches == 0 then core.fail("usage", "mill.race needs at least one function") end
  core.fork(branches, nil, true)
  return value, index
end

--- fn() within a duration, or raise {kind = "timeout"}: for whatever waits.
function M.within(duration, fn)
  want("mill.within's function", fn, "function")
  local value, index = M.race { fn, function() mill.sleep(duration) end }
  if index == 1 then return value end
  error(setmetatable({ kind = "timeout",
    message = ("nothing came within %s"):format(tostring(duration)) }, core.error_mt), 0)
end

return M
