--- mill.wait and mill.emit: what runs are told from outside, and tell each other.

local core = ...
local want, known, fail, perform = core.want, core.known, core.fail, core.perform

local M = {}

local declared = {}

local function names()
  local list = {}
  for name in pairs(declared) do list[#list + 1] = name end
  return #list > 0 and "it declares " .. table.concat(list, ", ")
    or "declare it in mill.workflow { events = { NAME = schema } }"
end

--- Wait for the next event of a name: payload, {id, at}. With a timeout it raises
-- {kind = "timeout"} when none came in time. Events that came before are not lost.
function M.wait(name, opts)
  want("the event's name", name, "string")
  opts = known("mill.wait", opts, "timeout")
  if not declared[name] then
    fail("usage", ("this workflow declares no event %q; %s"):format(name, names()))
  end
  return perform("wait", name, { timeout_ms = core.milliseconds("timeout", opts.timeout) })
end

--- Tell another run (or this one) of an event, exactly once.
function M.emit(run, name, payload)
  want("the run's id", run, "string")
  want("the event's name", name, "string")
  perform("emit", name, { run = run, payload = payload == nil and core.null or payload })
end

--- Called by the host before main: mill.workflow { events = {NAME = schema} }.
function M.hear(events)
  declared = want("events", events, "table")
  local documents = {}
  for name, schema in pairs(events) do
    documents[name] = core.document(core.schema(schema))
  end
  core.events(documents)
end

return M
