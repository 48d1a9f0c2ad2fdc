--- mill.now, random, uuid, env, log, sleep: time, dice, settings and log, all journaled.

local core = ...
local note, fail = core.note, core.fail

local M = {}

--- Milliseconds since 1970, the same in every replay.
function M.now() return note("now", "", nil) end

--- A number in [0, 1), or an integer in [1, m] or [m, n].
function M.random(m, n)
  if m and not n then m, n = 1, m end
  if m and (math.type(m) ~= "integer" or math.type(n) ~= "integer" or m > n) then
    fail("usage", "mill.random takes two integers, the smaller one first")
  end
  return note("random", "", m and { m = m, n = n } or {})
end

function M.uuid() return note("uuid", "", nil) end

--- A setting of the process (not a secret), read once and kept with the run.
function M.env(name, default)
  core.want("the setting's name", name, "string")
  local upper = name:upper()
  for _, word in ipairs { "KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL" } do
    if upper:find(word, 1, true) then
      fail("usage", name .. " looks like a secret: secrets never enter the journal; pass it by "
        .. "reference in the action's headers as {env = \"" .. name .. "\"}")
    end
  end
  local value = core.setting(name)
  if value == nil then value = note("env", name, nil) end
  if value == core.null then return default end
  return value
end

--- A log line, journaled once and never repeated by a replay.
function M.log(message, fields)
  if type(message) == "table" or type(message) == "function" then
    fail("usage", "mill.log takes a text; values go into its second argument, a table of "
      .. "fields")
  end
  note("log", "", { message = tostring(message), fields = fields })
end

function M.sleep(duration)
  local ms = core.milliseconds("mill.sleep", duration)
  if not ms then fail("usage", "mill.sleep needs a duration") end
  core.perform("sleep", tostring(duration), { ms = ms })
end

return M
