--- The author's half of Tidemill: `local mill = require "tidemill"`.
--
-- Written over some C functions (`core`, script/bind.c): perform (a call that waits), note (a
-- call that is answered at once), fork, and pure ones. Each run has its own copy, so the parts
-- load when they are first used. Wrong types and unknown options raise; errors that cross a
-- primitive are tables {kind, message} that print as their message. docs/primitives.md says
-- what each function takes, returns and raises.

local core = ...
local mill = { null = core.null, array = core.array, schema = core.schema,
  json = { encode = core.encode, decode = core.decode } }

-- The parts of the library, loaded when they are first used ----------------------------

local loaded = {}

local function part(name)
  if not loaded[name] then loaded[name] = core.library(name)(core, mill, part) end
  return loaded[name]
end

mill._undo = false -- the part that undoes, once something was done that can be undone
mill._part = part -- the host loads ahead what runs like this one have used

-- Models ------------------------------------------------------------------------------

mill._budget = {}

-- mill.tools and mill.agent take them, too.
mill._llm_options = "cache:boolean checks history:table messages:table model:string "
  .. "temperature:number seed:number topP:number topK:number maxOutputTokens:number "
  .. "stopSequences:table tools:table tool_choice"

--- Ask a model through a prompt unit: value, meta. Raises {kind = "llm", class, message}.
function mill.llm(unit, vars, opts)
  core.want("the unit's name", unit, "string")
  core.known("mill.llm", opts, mill._llm_options)
  local says = core.unit(unit)
  if says or opts and opts.tools ~= nil then
    return part("tools").llm(unit, vars, opts, says or {})
  end
  return core.llm(unit, vars, opts, mill._budget)
end

-- Actions and steps as they were declared, for tools: a name, what it says, the function; one
-- list and no table for each, because every run has its own.
local declared = {}
mill._made = declared

local function remember(name, spec, run)
  local n = #declared
  declared[n + 1], declared[n + 2], declared[n + 3] = name, spec, run
  return run
end

setmetatable(mill, { __index = function(_, name)
  mill[name] = part(core.home(name))[name]
  return mill[name]
end })

-- Workflows ---------------------------------------------------------------------------

local flow_mt = {}
flow_mt.__index = flow_mt

local function declare(flow, what, name, made)
  core.want("the name of " .. what, name, "string")
  if flow[name] ~= nil then
    core.fail("usage", ("%s already has a %q"):format(flow._name, name))
  end
  flow[name] = made
  return made
end

--- flow:step "name" { about, input, output, check, run, fallback } declares flow.name.
function flow_mt:step(name)
  return function(spec)
    local run = declare(self, "a step", name, part("step").make(name, spec))
    return remember(name, spec, run)
  end
end

--- flow:action "name" { about, input, key, irreversible, blast, gate_above, on_unknown, … }.
function flow_mt.action(_, name)
  core.want("an action's name", name, "string")
  return function(spec) return remember(name, spec, part("action").make(name, spec)) end
end

--- mill.workflow "name" { about, input, output, budget, state, events } -> the flow to fill.
function mill.workflow(name)
  core.want("a workflow's name", name, "string")
  return function(spec)
    core.known("workflow " .. name, spec,
      "about:string input output budget:table state events:table deadline")
    core.known("budget", spec.budget, "llm_calls:number usd:number")
    return setmetatable({ _name = name, _spec = {
      about = spec.about,
      input = spec.input and core.schema(spec.input),
      output = spec.output and core.schema(spec.output),
      budget = spec.budget or {},
      state = spec.state,
      events = spec.events,
      deadline = core.milliseconds("deadline", spec.deadline) and spec.deadline,
    } }, flow_mt)
  end
end

-- For the host ------------------------------------------------------------------------

--- Called once, when a run's file has loaded: is it a workflow, and is this its input? (nil: it
-- is only being checked.)
function mill._prepare(flow, file, input, step)
  if getmetatable(flow) ~= flow_mt then
    error(("workflows/%s.lua must return its workflow (end it with `return flow`)")
      :format(file), 0)
  end
  if flow._name ~= file then
    error(("workflows/%s.lua declares the workflow %q; the name must be the file's")
      :format(file, flow._name), 0)
  end
  local main = flow[step or "main"]
  if type(main) ~= "function" then
    error(("workflows/%s.lua has no %s")
      :format(file, step and "step " .. step or "flow.main"), 0)
  end
  mill._flow = flow
  if flow._spec.state then part("state").declare(flow._spec.state) end
  if flow._spec.events then part("event").hear(flow._spec.events) end
  mill._budget = flow._spec.budget
  if flow._spec.input and input ~= nil and not step then
    mill.validate(input, flow._spec.input, "the input of " .. flow._name)
  end
end

local function main(flow, input, step)
  local result = flow[step or "main"](input)
  if flow._spec.output and not step then
    mill.validate(result, flow._spec.output, "the result of " .. flow._name)
  end
  return result
end

--- The main branch: what it did is undone when it raises, and when the run was cancelled,
-- also if the script caught that and returned.
function mill._main(flow, input, step)
  local ok, result
  if flow._spec.deadline then
    ok, result = pcall(mill.within, flow._spec.deadline, function()
      return main(flow, input, step)
    end)
  else
    ok, result = pcall(main, flow, input, step)
  end
  local undo = mill._undo
  if ok then
    if not (undo and core.cancelled()) then return result end
    result = { kind = "cancelled", message = "the run was cancelled" }
  end
  if undo then result = undo.unwind(result) end
  error(result, 0)
end

return mill
