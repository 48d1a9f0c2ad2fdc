--- Tools: actions and steps of the workflow that a model may ask for. The model names one, the
-- script runs it: keys, gates and the journal hold as for any other call of it.

local core, mill, part = ...
local known, fail = core.known, core.fail

local M = {}

-- What is offered -----------------------------------------------------------------------

local function bad(unit, what, ...)
  fail("usage", ("the tools of %q: " .. what):format(unit, ...))
end

-- A model reads what a tool is for, and its arguments are held to a schema: both must be there.
local function definition(unit, entry, own)
  local name = entry.name
  if #name > 64 or name:find "[^%w_-]" then
    bad(unit, "%q cannot be a tool's name: at most 64 letters, digits, - and _", name)
  end
  local about = own and own.description or entry.about
  local input = own and own.inputSchema or entry.input
  if type(about) ~= "string" then
    bad(unit, "%s needs about = \"…\": the model reads it", name)
  end
  if input == nil then
    bad(unit, "%s needs input = SCHEMA: what the model fills in is held to it", name)
  end
  return { name = name, description = about, schema = core.document(core.schema(input)) }
end

-- What the workflow has declared: {name, about, input, run}, by name and by function.
local function declared()
  local by_name, by_run, made = {}, {}, mill._made
  for i = 1, #made, 3 do
    local name, spec, run = made[i], made[i + 1], made[i + 2]
    local entry = { name = name, about = spec.about, input = spec.input, run = run,
      twice = by_name[name] ~= nil }
    by_name[name], by_run[run] = entry, entry
  end
  return by_name, by_run
end

-- Tools of the call are functions; tools of a unit are names.
local function entry_of(unit, tool)
  local by_name, by_run = declared()
  if type(tool) == "string" then
    local entry = by_name[tool]
    if not entry then
      bad(unit, "the workflow has no action and no step called %q", tool)
    elseif entry.twice then
      bad(unit, "the workflow has more than one %q; hand it over by tools = {…}", tool)
    end
    return entry
  end
  local entry = type(tool) == "function" and by_run[tool]
  if not entry then
    bad(unit, "a %s is no tool; a tool is what flow:action or flow:step made", type(tool))
  end
  return entry
end

-- Names in the unit's front matter, then definitions there that are not among them.
local function of_unit(says)
  local list, own, seen = {}, {}, {}
  for _, name in ipairs(says.tools or {}) do
    list[#list + 1], seen[name] = name, true
  end
  for _, def in ipairs(says.toolDefs or {}) do
    own[def.name] = def
    if not seen[def.name] then list[#list + 1] = def.name end
  end
  return list, own
end

--- What a call offers: opts.tools, else what its unit says: {list of definitions, by_name,
-- says}.
function M.offer(unit, opts, says)
  local tools, own = opts.tools, {}
  if tools == nil then
    tools, own = of_unit(says)
  else
    core.want("tools", tools, "table")
  end
  local offer = { list = core.array {}, by_name = {}, says = says }
  for i, tool in ipairs(tools) do
    local entry = entry_of(unit, tool)
    if offer.by_name[entry.name] then bad(unit, "two of them are called %q", entry.name) end
    offer.by_name[entry.name] = entry
    offer.list[i] = definition(unit, entry, own[entry.name])
  end
  return offer
end

--- Raises when nothing is on offer.
function M.some(unit, offer)
  if #offer.list == 0 then bad(unit, "there are none; give tools = { … }") end
end

-- Asking --------------------------------------------------------------------------------

local choices = { auto = true, none = true, required = true }

local function check_choice(choice, offer)
  if choice == nil or choices[choice] then return end
  if type(choice) ~= "table" or not offer.by_name[choice.name] then
    fail("usage", 'tool_choice must be "auto", "none", "required" or {name = …} of a tool')
  end
end

--- Ask once, with these tools on offer and with messages behind the unit's own: value, meta.
function M.ask(unit, vars, opts, offer, messages)
  local sent = {}
  for name in mill._llm_options:gmatch "([%w_]+):?%a*" do sent[name] = opts[name] end
  check_choice(opts.tool_choice, offer)
  sent.tools = #offer.list > 0 and offer.list or nil
  if messages and #messages > 0 then sent.messages = messages end
  local value, meta = core.llm(unit, vars, next(sent) and sent, mill._budget)
  if not meta.unsure then return value, meta end
  return part("review").unsure(unit, vars, offer.says, value, meta)
end

--- mill.llm of a unit that says more than what a plain call needs to know.
function M.llm(unit, vars, opts, says)
  opts = opts or {}
  return M.ask(unit, vars, opts, M.offer(unit, opts, says))
end

-- Running -------------------------------------------------------------------------------

-- Never a tool's own result: what ends the run, a person's no, and mistakes of the author.
local final = { cancelled = true, rejected = true, budget = true, usage = true }

local function told(on_error, e, call)
  local message = tostring(e.message or "it failed")
  if type(on_error) ~= "function" then return message end
  return on_error(e, call) or message
end

-- An action's body may change its arguments, and a replay does not enter it: it gets its own.
local function copy(value)
  return core.decode(core.encode(value))
end

--- Run one call of a model's answer: {name, arguments, result | error}. on_error: "raise",
-- "return", or a function of the error and the call whose result the model is told.
function M.run(offer, wanted, on_error)
  local entry = offer.by_name[wanted.name]
  if not entry then fail("usage", ("the tool %q was not offered"):format(wanted.name)) end
  local call = { name = wanted.name, arguments = wanted.arguments }
  local ok, result = pcall(entry.run, copy(wanted.arguments))
  if ok then
    call.result = result == nil and core.null or result
    return call
  end
  local e = type(result) == "table" and result
    or { kind = "script", message = tostring(result) }
  if on_error == "raise" or final[e.kind] then error(result, 0) end
  call.error = told(on_error, e, call)
  return call
end

--- on_error as the caller gave it, or `otherwise`.
function M.on_error(value, otherwise)
  if value == nil then return otherwise end
  if value ~= "raise" and value ~= "return" and type(value) ~= "function" then
    fail("usage", 'on_error must be "raise", "return" or function(err, call)')
  end
  return value
end

--- A whole number from 1 to `most`; `what` is its name.
function M.count(what, n, most)
  if math.type(n) ~= "integer" or n < 1 or n > most then
    fail("usage", ("%s must be a whole number from 1 to %d"):format(what, most))
  end
  return n
end

--- Ask once, and run once what the model chose: calls, value, meta. calls is empty when it
-- chose none, and value is its answer then.
function M.tools(unit, vars, opts)
  core.want("the unit's name", unit, "string")
  opts = known("mill.tools", opts, mill._llm_options .. " max_calls:number on_error")
  local max = M.count("max_calls", opts.max_calls or 1, 100)
  local on_error = M.on_error(opts.on_error, "raise")
  local offer = M.offer(unit, opts, core.unit(unit) or {})
  M.some(unit, offer)
  local value, meta = M.ask(unit, vars, opts, offer)
  local wanted, calls = meta.tool_calls or {}, core.array {}
  if #wanted > max then
    error(setmetatable({ kind = "tools", code = "calls", wanted = wanted,
      message = ("%s asked for %d calls of tools where %d may be made, and none was; "
        .. "raise max_calls, or say in the prompt how many"):format(unit, #wanted, max),
    }, core.error_mt), 0)
  end
  for i, call in ipairs(wanted) do calls[i] = M.run(offer, call, on_error) end
  return calls, value, meta
end

return M
