--- The author's half of Tidemill: `local mill = require "tidemill"`.
--
-- Everything here is written over a dozen C functions (`core`): perform (a call that waits), note (a
-- call that is answered at once), fork, and pure ones. Each run has its own copy, so the parts load
-- when they are first used (`homes`). Wrong types and unknown options raise; errors that cross a
-- primitive are tables {kind, message, …} that print as their message. docs/primitives.md says what
-- each function takes, returns and raises.

local core = ...
local fail = core.fail

local mill = { null = core.null, array = core.array, schema = core.schema,
  json = { encode = core.encode, decode = core.decode } }

-- Options -----------------------------------------------------------------------------

local use = {}

function use.known(what, opts, allowed)
  if opts == nil then return {} end
  if type(opts) ~= "table" then
    fail("usage", what .. " takes a table of options, not a " .. type(opts))
  end
  for key in pairs(opts) do
    if not allowed[key] then
      local names = {}
      for name in pairs(allowed) do names[#names + 1] = tostring(name) end
      fail("usage", ("%s does not know the option %q; it takes %s"):format(
        what, tostring(key), table.concat(names, ", ")))
    end
  end
  return opts
end

function use.want(what, value, kind)
  if type(value) ~= kind then
    fail("usage", ("%s must be a %s, not %s"):format(what, kind, type(value)))
  end
  return value
end

function use.milliseconds(what, value)
  local ms = value ~= nil and core.duration(value)
  if value ~= nil and not ms then
    fail("usage", what .. ' must be seconds or a text like "90s", "5m", "2h", "3d"')
  end
  return ms or nil
end

-- Contracts ---------------------------------------------------------------------------

--- Errors of a value against a schema: true | nil, list of {instance, keyword, message}.
function mill.check(value, schema)
  local ok, errors = core.check(value, core.schema(schema))
  if ok then return true end
  return nil, errors
end

--- The value itself when it holds to the schema; raises {kind = "invalid", errors} otherwise.
function mill.validate(value, schema, what)
  local ok, errors = mill.check(value, schema)
  if ok then return value end
  error(setmetatable({
    kind = "invalid",
    message = (what or "the value") .. " is invalid: " .. errors[1].message,
    errors = errors,
  }, core.error_mt), 0)
end

-- Models ------------------------------------------------------------------------------

local llm_options = { model = 1, temperature = 1, seed = 1, topP = 1, topK = 1,
  maxOutputTokens = 1, stopSequences = 1 }
local budget = {}

--- Ask a model through a prompt unit: value, meta. Raises {kind = "llm", class, message}.
function mill.llm(unit, vars, opts)
  use.want("the unit's name", unit, "string")
  return core.llm(unit, vars, use.known("mill.llm", opts, llm_options), budget.llm_calls)
end

-- The other parts, loaded when they are first used ------------------------------------

local homes = {
  now = "clock", random = "clock", uuid = "clock", env = "clock", log = "clock", sleep = "clock",
  state = "state", gate = "gate", decide = "decide", all = "branches", map = "branches",
  http = "verbs", exec = "verbs", file = "verbs", fetch = "action",
}
local loaded = {}

local function part(name)
  if not loaded[name] then loaded[name] = core.library(name)(core, use, mill) end
  return loaded[name]
end

setmetatable(mill, { __index = function(_, name)
  local home = homes[name]
  if not home then
    fail("usage", ("mill.%s does not exist; docs/primitives.md lists what does"):format(
      tostring(name)))
  end
  mill[name] = part(home)[name]
  return mill[name]
end })

-- Workflows ---------------------------------------------------------------------------

local flow_mt = {}
flow_mt.__index = flow_mt

local function declare(flow, what, name, made)
  use.want("the name of " .. what, name, "string")
  if flow[name] ~= nil then
    fail("usage", ("%s already has a %q"):format(flow._name, name))
  end
  flow[name] = made
  return made
end

--- flow:step "name" { input, output, check, run, fallback } declares flow.name.
function flow_mt:step(name)
  return function(spec) return declare(self, "a step", name, part("step").make(name, spec)) end
end

--- flow:action "name" { key, irreversible, blast, gate_above, on_unknown, probe, run, … }.
function flow_mt.action(_, name)
  use.want("an action's name", name, "string")
  return function(spec) return part("action").make(name, spec) end
end

local workflow_options = { about = 1, input = 1, output = 1, budget = 1, state = 1 }

--- mill.workflow "name" { about, input, output, budget, state } -> the flow to fill and return.
function mill.workflow(name)
  use.want("a workflow's name", name, "string")
  return function(spec)
    use.known("workflow " .. name, spec, workflow_options)
    use.known("budget", spec.budget, { llm_calls = 1, usd = 1 })
    return setmetatable({ _name = name, _spec = {
      about = spec.about,
      input = spec.input and core.schema(spec.input),
      output = spec.output and core.schema(spec.output),
      budget = spec.budget or {},
      state = spec.state,
    } }, flow_mt)
  end
end

-- For the host ------------------------------------------------------------------------

--- Called once, when a run's file has loaded: is it a workflow, and is this its input?
function mill._prepare(flow, file, input, step)
  if getmetatable(flow) ~= flow_mt then
    error(("workflows/%s.lua must return its workflow (end it with `return flow`)"):format(file), 0)
  end
  local main = flow[step or "main"]
  if type(main) ~= "function" then
    error(("workflows/%s.lua has no %s"):format(file, step and "step " .. step or "flow.main"), 0)
  end
  if flow._spec.state then part("state").declare(flow._spec.state) end
  budget = flow._spec.budget
  if flow._spec.input and not step then
    mill.validate(input, flow._spec.input, "the input of " .. flow._name)
  end
end

--- The main branch.
function mill._main(flow, input, step)
  local result = flow[step or "main"](input)
  if flow._spec.output and not step then
    mill.validate(result, flow._spec.output, "the result of " .. flow._name)
  end
  return result
end

return mill
