--- Taking actions back, in reverse, when a run fails after all.

local core, mill, part = ...
local action = part("action")

local M = {}

-- What was done and can be undone, in the order in which it was done.
local done = {}

--- An action with an `undo` has been done.
function M.note(name, spec, args, result, key)
  mill._undo = M
  done[#done + 1] = { name = name, undo = spec.undo, args = args, result = result, key = key,
    db = spec.db }
end

local function undo(entry)
  local request = { args = { args = entry.args, result = entry.result },
    key = entry.key and "undo " .. entry.key, db = entry.db,
    on_unknown = not entry.db and "retry" or nil }
  local function run(_, key, handle)
    return entry.undo(entry.args, entry.result, key, handle)
  end
  action.act("action", "undo " .. entry.name, request,
    action.body_of(run, nil, nil, entry.db and part("db").handle))
end

--- The run has failed or was cancelled: undo in reverse. An undo that fails is noted in the
-- error's list `not_undone`, and the others go on.
function M.unwind(e)
  core.unwinding()
  local failed = {}
  for i = #done, 1, -1 do
    local ok, why = pcall(undo, done[i])
    if not ok then
      failed[#failed + 1] = { action = done[i].name, key = done[i].key,
        message = type(why) == "table" and why.message or tostring(why) }
    end
  end
  if #failed == 0 then return e end
  if type(e) ~= "table" then e = { kind = "script", message = tostring(e) } end
  e.not_undone = core.array(failed)
  return e
end

return M
