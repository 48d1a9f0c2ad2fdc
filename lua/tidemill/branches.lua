--- mill.all and mill.map: branches that wait side by side.

local core = ...
local want, known = core.want, core.known

local M = {}

--- Run functions as branches; their results in order. The first error cancels the others.
function M.all(functions)
  want("mill.all's list", functions, "table")
  local results, branches = {}, {}
  for i, f in ipairs(functions) do
    want("each branch", f, "function")
    branches[i] = function() results[i] = f() end
  end
  core.fork(branches, nil)
  return results
end

--- fn(item, index) for each item, at most opts.max at once; results in index order.
function M.map(list, fn, opts)
  want("mill.map's list", list, "table")
  want("mill.map's function", fn, "function")
  opts = known("mill.map", opts, "max")
  local results, branches = {}, {}
  for i, item in ipairs(list) do
    branches[i] = function() results[i] = fn(item, i) end
  end
  core.fork(branches, opts.max)
  return core.array(results)
end

return M
