--- The test kit: whole workflows in a spec, functions in place of models, people and hosts.
--
--    local kit = require("tidemill.test")
--    local r = kit.run("triage", { text = "I was charged twice" }, {
--      model = { classify = { category = "billing" } },
--      gates = { refund = { approve = true, answer = 20 } },
--    })
--    assert.equal("done", r.state)
--    assert.same({ category = "billing" }, r:called("classify")[1].value)
--
-- Time stands still: a run that sleeps is woken by moving the clock, so a spec never waits.
-- Options of all functions:
--
--    model    { unit = answer | function(vars, request) }; "*" is any other unit; or a model's
--             name; what is not said is as in the project
--    gates    { name = true | false | "timeout" | {approve, answer, note, by}
--             | function(gate) }
--    actions  { name = result | function(args, key) } for actions declared with host = true
--    env      { NAME = value } that mill.env sees
--    dir      the project (".")
--    id       the run's key
--    db       a store; durable: true, a SQLite file of its own; else in memory
--    memory, steps: limits of the script
-- @module tidemill.test
local new = require("tidemill.test_run")

local M = {}

--- Run a workflow until it ends, or waits for a person whom the options do not play.
-- @treturn table {state, value, error, calls, gates, history, fields, asked, effects}; a run
--   that was refused is "failed" with that error and has no id
function M.run(workflow, input, opts)
  return new(workflow, opts):whole(input)
end

--- Run one step alone.
function M.step(workflow, step, input, opts)
  return new(workflow, opts):whole(input, step)
end

--- Start a workflow and keep it in hand, in a SQLite file of its own: state, fields, gates,
-- advance("3d"), approve(name, opts), reject, resolve, restart, result, history, close.
function M.start(workflow, input, opts)
  local run = new(workflow, opts, true)
  if run:begin(input) then run:drive() end
  return run
end

--- Several runs in one store: world.run(workflow, input), with the options of the world.
function M.world(opts)
  local first = new(nil, opts)
  first:open()
  local world = { engine = first.engine }
  function world.run(workflow, input)
    local run = new(workflow, first.opts)
    run.engine, run.shared, run.asked = first.engine, first, first.asked
    return run:whole(input)
  end
  function world.close() first:close() end
  return world
end

--- Replay a run capsule (`tidemill export RUN > FILE`), offline and without keys. opts:
-- sources = "disk" for the project's sources as they are now (nil: the run's own), dir.
-- @treturn table {verdict = "equal" | "diverged", records, message, stands, asked, changes, …}
function M.replay(path, opts)
  return require("tidemill.test_capsule").replay(path, opts)
end

--- Kill the run's process after each record of its journal, go on in a new process, and compare
-- the end with a life without crashes: state, value, effects by key. A difference is an error
-- that names the point. Doubts (on_unknown = "ask") are answered by the truth in the journal.
-- An id of mill.uuid() counts as the same when the same place drew it; the run has the id
-- opts.id or "crash-everywhere".
-- Further options: point ("record.post"; also "store.commit.pre" …), reset() before each life,
-- observe() for what else must be the same.
-- @treturn table {points, same, baseline}
function M.crash_everywhere(workflow, input, opts)
  return require("tidemill.test_crash")(workflow, input, opts)
end

return M
