--- mill.lock: one run of a workflow at a time for a key.

local core = ...
local want, perform = core.want, core.perform

local M = {}

local function let_go(key, ok, ...)
  core.note("unlock", key, {})
  if not ok then error((...), 0) end
  return ...
end

--- fn() while no other run of this workflow is inside the lock of that key; runs take turns in
-- the order in which they came. What fn returns or raises is returned or raised.
function M.lock(key, fn)
  want("the lock's key", key, "string")
  want("mill.lock's function", fn, "function")
  if key == "" or #key > 255 then
    core.fail("usage", "the key of mill.lock must be a text of 1 to 255 bytes")
  end
  perform("lock", key, {})
  return let_go(key, pcall(fn))
end

return M
