--- A file that stands in for another company's server: one JSON line for each key.
local mill = require "tidemill"

local M = {}

--- The line written under `key`, or nil. For an action's `probe`.
function M.find(path, key)
  local text = mill.file.read(path)
  for line in (text or ""):gmatch("[^\n]+") do
    local row = mill.json.decode(line) -- nil for a line that a crash has cut off
    if row and row.key == key then return row end
  end
  return nil
end

--- Write one line. For an action's `run`.
function M.add(path, key, row)
  row.key = key
  mill.file.append(path, mill.json.encode(row) .. "\n")
  return row
end

return M
