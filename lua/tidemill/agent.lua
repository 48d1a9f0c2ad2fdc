--- mill.agent: a loop in which a model asks for tools until it answers, held by three bounds.
--
--    turn   ask the model ── an answer ──────────────────────────────> value, meta
--     ^        │ tool calls, checked against their schemas
--     │        ├── a bound is reached: they are not run ─────────────> raise, or nil, meta
--     │        │ each is run as the action or step that it is
--     └────────┘ what they gave is put behind the conversation
--
-- Each turn is a call of its own in the journal, and so is each tool: a replay asks nobody.

local core, mill, part = ...
local known, fail = core.known, core.fail
local tools = part("tools")

local TURNS_MAX, CALLS_MAX = 100, 1000

-- Those of mill.llm but for tool_choice: a tool demanded in each turn would leave no end.
local options = "max_turns:number max_calls:number usd:number on_error on_bound:string "
  .. mill._llm_options:gsub(" tool_choice", "")

local M = {}

local function number_of_usd(usd)
  if type(usd) ~= "number" or not (usd > 0 and usd < math.huge) then
    fail("usage", "usd must be a number above 0: what the agent may spend")
  end
  return usd
end

-- All three, always: a bound that nobody chose is none.
local function bounds_of(opts)
  for _, name in ipairs { "max_turns", "max_calls", "usd" } do
    if opts[name] == nil then
      fail("usage", ("mill.agent needs %s; its bounds are max_turns, max_calls and usd")
        :format(name))
    end
  end
  if opts.on_bound ~= nil and opts.on_bound ~= "raise" and opts.on_bound ~= "return" then
    fail("usage", 'on_bound must be "raise" or "return"')
  end
  return {
    turns = tools.count("max_turns", opts.max_turns, TURNS_MAX),
    calls = tools.count("max_calls", opts.max_calls, CALLS_MAX),
    usd = number_of_usd(opts.usd),
  }
end

-- What the model said, and what the tools said to it, as messages; `opaque` as it came.
local function asked(text, wanted)
  local parts = core.array {}
  if text ~= "" then parts[1] = { text = text } end
  for _, call in ipairs(wanted) do
    parts[#parts + 1] = { toolRequest = { ref = call.id, name = call.name,
      input = call.arguments, opaque = call.opaque } }
  end
  return { role = "model", content = parts }
end

local function answered(wanted, calls)
  local parts = core.array {}
  for i, call in ipairs(calls) do
    local output = call.result
    if call.error then output = { error = call.error } end
    parts[i] = { toolResponse = { ref = wanted[i].id, name = call.name, output = output } }
  end
  return { role = "tool", content = parts }
end

local why = {
  turns = "it used its %s turns without an answer; raise max_turns, or ask for less",
  calls = "it asked for more than its %s calls of tools; raise max_calls, or ask for less",
  usd = "it used up its %s USD; raise usd, or ask a cheaper model",
}

-- What the agent has done so far, as the caller gets it.
local function state_of(agent)
  return { turns = agent.turns, calls = agent.calls, usd = core.spent() - agent.spent,
    messages = agent.said }
end

local function stop(agent, code, wanted)
  local meta = state_of(agent)
  meta.stopped, meta.wanted = code, wanted
  if agent.on_bound == "return" then return nil, meta end
  local text = why[code]:format(agent.bounds[code])
  error(setmetatable({ kind = "agent", code = code, turns = meta.turns, calls = meta.calls,
    usd = meta.usd, wanted = wanted, messages = meta.messages,
    message = ("the agent %q stopped: %s"):format(agent.unit, text) }, core.error_mt), 0)
end

-- The bound that stands against running these calls, or nil. In the last turn nobody would be
-- told what they gave, so they are not run.
local function bound_against(agent, wanted)
  if agent.turns == agent.bounds.turns then return "turns" end
  if #agent.calls + #wanted > agent.bounds.calls then return "calls" end
  if core.spent() - agent.spent >= agent.bounds.usd then return "usd" end
end

local function run_all(agent, text, wanted)
  local done = {}
  agent.said[#agent.said + 1] = asked(text, wanted)
  for i, call in ipairs(wanted) do
    done[i] = tools.run(agent.offer, call, agent.on_error)
    agent.calls[#agent.calls + 1] = done[i]
  end
  agent.said[#agent.said + 1] = answered(wanted, done)
end

local function new_agent(unit, opts, says)
  local agent = { unit = unit, bounds = bounds_of(opts), offer = tools.offer(unit, opts, says),
    on_error = tools.on_error(opts.on_error, "return"), on_bound = opts.on_bound,
    said = core.array {}, calls = core.array {}, turns = 0, spent = core.spent() }
  tools.some(unit, agent.offer)
  for i, message in ipairs(opts.messages or {}) do agent.said[i] = message end
  return agent
end

--- Ask until the model answers, running the tools it asks for: value, meta. opts: max_turns,
-- max_calls, usd (all three required), tools, on_error, on_bound, and the options of mill.llm.
function M.agent(unit, vars, opts)
  core.want("the unit's name", unit, "string")
  opts = known("mill.agent", opts, options)
  local agent = new_agent(unit, opts, core.unit(unit) or {})
  while true do
    local value, meta = tools.ask(unit, vars, opts, agent.offer, agent.said)
    local wanted = meta.tool_calls or {}
    agent.turns = agent.turns + 1
    if #wanted == 0 then
      local done = state_of(agent)
      done.model, done.unsure, done.reviewed = meta.model, meta.unsure, meta.reviewed
      return value, done
    end
    local bound = bound_against(agent, wanted)
    if bound then return stop(agent, bound, wanted) end
    run_all(agent, value, wanted)
    if core.spent() - agent.spent >= agent.bounds.usd then return stop(agent, "usd") end
  end
end

return M
