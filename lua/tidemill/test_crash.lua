--- Kill a run's process at every point, go on in another one, compare the ends.
-- Used by tidemill.test.
-- @module tidemill.test_crash
local engine = require("tidemill.engine")
local new = require("tidemill.test_run")

local POINTS = 10000
local HOOKS = { point = true, reset = true, observe = true }

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

--- Did the effect that the gate asks about happen? A verb that was finished is in the journal;
-- one that was cut off by a kill right after a record had not begun.
local function happened(gate, run)
  local found = false
  for _, r in ipairs(run:history()) do
    if r.place == gate.place and r.record == "open" then
      found = found and r.key == nil
    elseif r.place == gate.place and r.record == "attempt" then
      found = found or not r.attempt.error
    end
  end
  return found
end

--- The names of the ids that mill.uuid() drew: each life draws its own, at the same places.
local function drawn_ids(history)
  local names = {}
  for _, r in ipairs(history) do
    if r.record == "note" and r.kind == "uuid" then
      names[r.value] = "mill.uuid() at " .. r.place
    end
  end
  return names
end

--- The value with each drawn id, also within a longer text, under its name. A table is changed
-- in place: a copy would lose what makes it an array.
local function renamed(value, names)
  if type(value) == "string" then
    return (value:gsub("%x+%-%x+%-%x+%-%x+%-%x+", names))
  elseif type(value) == "table" then
    for key, item in pairs(value) do value[key] = renamed(item, names) end
  end
  return value
end

--- Plays the person whom a doubt asks: looks, and answers with what a life without crashes had.
local function person(values)
  return function(gate, run)
    if gate.kind ~= "doubt" then return nil end
    local approve = happened(gate, run)
    local key = renamed(gate.action .. " " .. gate.key, drawn_ids(run:history()))
    return { approve = approve, answer = approve and values[key] }
  end
end

--- One life of the run: a fresh process takes it up where it is, or starts it.
local function live(scene, db)
  local run = new(scene.workflow, scene.opts)
  run.file, run.person = db, scene.person
  run:open()
  local known = run.engine:list({}).runs[1]
  if known then
    run:resume(known.id, engine.time(known.updated))
  else
    run:begin(scene.input)
  end
  if run.id then run:finish() end
  return run
end

--- The end, and which effects there were: each key once, with the result it had.
local function outcome(run, observe)
  local result = run:collect()
  local names = drawn_ids(result.history)
  local keys, values, opened = {}, {}, {}
  for _, r in ipairs(result.history) do
    if r.record == "open" and r.key then
      opened[r.place] = renamed(r.name .. " " .. r.key, names)
    elseif r.record == "done" and opened[r.place] then
      keys[opened[r.place]], values[opened[r.place]] = true, r.value
    end
  end
  return {
    state = result.state, value = renamed(result.value, names),
    error = result.error and renamed(result.error.message, names),
    effects = keys, observed = observe and renamed(observe(), names), values = values,
  }
end

--- A process that dies at the n-th passing of the point (nil: lives), then one that goes on.
-- nil when the first one should have died and did not.
local function crash_at(n, scene)
  if scene.reset then scene.reset() end
  local db = os.tmpname()
  local how, code = engine.doomed(function()
    live(scene, db).engine:close()
  end, n and ("%s:%d"):format(scene.point, n))
  if how == "exit" and code ~= 0 then
    error(("tidemill.test: the process of %s failed, see above"):format(scene.workflow), 0)
  end
  local run = live(scene, db)
  local got = outcome(run, scene.observe)
  run:close()
  if n and how == "exit" then return nil end
  return got
end

local function difference(want, got)
  for _, key in ipairs({ "state", "error", "value", "effects", "observed" }) do
    if not same(want[key], got[key]) then return key end
  end
end

local function text(value)
  return type(value) == "table" and require("cjson").encode(value) or tostring(value)
end

local function scene_of(workflow, input, opts)
  local scene = { workflow = workflow, input = input, opts = {}, point = "record.post" }
  for key, value in pairs(opts or {}) do
    (HOOKS[key] and scene or scene.opts)[key] = value
  end
  -- math.random is seeded from the run's id: one id, so that all lives throw the same.
  scene.opts.id = scene.opts.id or "crash-everywhere"
  return scene
end

--- See tidemill.test.
return function(workflow, input, opts)
  local scene = scene_of(workflow, input, opts)
  local plain = crash_at(nil, scene)
  scene.person = person(plain.values)
  local report = { points = 0, same = 0, baseline = plain }
  for n = 1, POINTS do
    local got = crash_at(n, scene)
    if not got then break end
    local what = difference(plain, got)
    if what then
      local message = "tidemill.test: killed at %s:%d, %s has another %s: %s instead of %s"
      local last, first = text(got[what]), text(plain[what])
      error(message:format(scene.point, n, workflow, what, last, first), 2)
    end
    report.points, report.same = n, report.same + 1
  end
  if report.points == 0 then
    error(("tidemill.test: %s never passed %s"):format(workflow, scene.point), 2)
  end
  return report
end
