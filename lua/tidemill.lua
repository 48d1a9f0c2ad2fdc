--- The author's half of Tidemill: `local mill = require "tidemill"`.
--
-- Everything here is written over a dozen C functions (`core`): perform (a call that waits), note (a
-- call that is answered at once), fork, and pure ones. Wrong types and unknown options raise; errors
-- that cross a primitive are tables {kind, message, …} that print as their message.
-- docs/primitives.md says what each function takes, returns and raises.

local core = ...
local perform, note, fail = core.perform, core.note, core.fail

local mill = { null = core.null, array = core.array, schema = core.schema }

-- Options -----------------------------------------------------------------------------

local function known(what, opts, allowed)
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

local function want(what, value, kind)
  if type(value) ~= kind then
    fail("usage", ("%s must be a %s, not %s"):format(what, kind, type(value)))
  end
  return value
end

local function milliseconds(what, value)
  local ms = value ~= nil and core.duration(value)
  if value ~= nil and not ms then
    fail("usage", what .. ' must be seconds or a text like "90s", "5m", "2h", "3d"')
  end
  return ms or nil
end

-- Contracts -----------------------------------------------------------------------------

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

-- Models --------------------------------------------------------------------------------------

local llm_options = { model = 1, temperature = 1, seed = 1, topP = 1, topK = 1,
  maxOutputTokens = 1, stopSequences = 1 }
local budget = {}

--- Ask a model through a prompt unit: value, meta. Raises {kind = "llm", class, message}.
function mill.llm(unit, vars, opts)
  want("the unit's name", unit, "string")
  return core.llm(unit, vars, known("mill.llm", opts, llm_options), budget.llm_calls)
end

-- Time, dice, settings, log ---------------------------------------------------------------------

--- Milliseconds since 1970, the same in every replay.
function mill.now() return note("now", "", nil) end

--- A number in [0, 1), or an integer in [1, m] or [m, n].
function mill.random(m, n)
  if m and not n then m, n = 1, m end
  if m and (math.type(m) ~= "integer" or math.type(n) ~= "integer" or m > n) then
    fail("usage", "mill.random takes two integers, the smaller one first")
  end
  return note("random", "", m and { m = m, n = n } or {})
end

function mill.uuid() return note("uuid", "", nil) end

--- A setting of the process (not a secret), read once and kept with the run.
function mill.env(name, default)
  want("the setting's name", name, "string")
  local upper = name:upper()
  for _, word in ipairs { "KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL" } do
    if upper:find(word, 1, true) then
      fail("usage", name .. " looks like a secret: secrets never enter the journal; pass it by "
        .. "reference in the action's headers as {env = \"" .. name .. "\"}")
    end
  end
  local value = note("env", name, nil)
  if value == core.null then return default end
  return value
end

--- A log line, journaled once and never repeated by a replay.
function mill.log(message, fields)
  note("log", "", { message = tostring(message), fields = fields })
end

function mill.sleep(duration)
  local ms = milliseconds("mill.sleep", duration)
  if not ms then fail("usage", "mill.sleep needs a duration") end
  perform("sleep", tostring(duration), { ms = ms })
end

-- The run's own state ------------------------------------------------------------------------------

local fields, declared = {}, nil

mill.state = setmetatable({}, {
  __index = function(_, name) return fields[name] end,
  __newindex = function(_, name, value)
    if not declared then
      fail("usage", "mill.state has no fields: declare them in mill.workflow { state = {…} }")
    end
    if declared[name] == nil then
      fail("usage", ("mill.state has no field %q; declare it in mill.workflow { state = {…} }")
        :format(tostring(name)))
    end
    if value ~= nil then mill.validate(value, declared[name], "mill.state." .. name) end
    fields[name] = value
    note("state", name, { value = value == nil and core.null or value })
  end,
  __pairs = function() return pairs(fields) end,
})

local function declare_state(state)
  declared = nil
  if state == nil then return end
  local document = core.document(core.schema(state))
  declared = {}
  for name, schema in pairs(document.properties or {}) do
    declared[name] = core.schema(schema)
  end
end

-- Gates -----------------------------------------------------------------------------------------------

local gate_options = { ask = 1, show = 1, answer = 1, deadline = 1, on_timeout = 1, on_reject = 1 }

local function check_timeout(opts)
  if opts.deadline ~= nil and opts.on_timeout == nil then
    fail("usage", 'a gate with a deadline must say on_timeout = "fail", "reject" or {answer = …}')
  end
  local t = opts.on_timeout
  if t ~= nil and t ~= "fail" and t ~= "reject" and not (type(t) == "table" and t.answer ~= nil) then
    fail("usage", 'on_timeout must be "fail", "reject" or {answer = …}')
  end
end

--- Ask a person: answer, {approved, by, note, at}. A reject raises {kind = "rejected"} unless
-- on_reject = "return", which gives nil, meta.
function mill.gate(name, opts)
  want("the gate's name", name, "string")
  opts = known("mill.gate", opts, gate_options)
  check_timeout(opts)
  local d = perform("gate", name, {
    ask = want("a gate's ask", opts.ask, "string"),
    show = opts.show,
    answer = opts.answer and core.document(core.schema(opts.answer)),
    deadline_ms = milliseconds("deadline", opts.deadline),
    on_timeout = opts.on_timeout,
  })
  local meta = { approved = d.approved, by = d.by, note = d.note, at = d.at }
  if d.approved then return d.answer, meta end
  if opts.on_reject == "return" then return nil, meta end
  error(setmetatable({
    kind = "rejected", note = d.note, by = d.by,
    message = ("the gate %q was rejected by %s%s"):format(name, d.by,
      d.note and ": " .. d.note or ""),
  }, core.error_mt), 0)
end

-- Decisions -----------------------------------------------------------------------------------------------

--- The decision of this workflow for a business key: made once by `make`, then kept for every run.
-- opts.input: what it is made from; another input under the same key raises {kind = "conflict"}.
function mill.decide(name, key, make, opts)
  want("the decision's name", name, "string")
  want("the decision's key", key, "string")
  want("the decision", make, "function")
  opts = known("mill.decide", opts, { input = 1 })
  local input = opts.input ~= nil and core.hash(opts.input) or nil
  local was = perform("recall", name, { key = key, input_hash = input })
  if was.found then return was.value end
  local value = make()
  return perform("decide", name, {
    key = key, input_hash = input, value = value == nil and core.null or value,
  }).value
end

-- Branches ----------------------------------------------------------------------------------------------------

--- Run functions as branches; their results in order. The first error cancels the others.
function mill.all(functions)
  want("mill.all's list", functions, "table")
  local results, branches = {}, {}
  for i, f in ipairs(functions) do
    want("each branch", f, "function")
    branches[i] = function() results[i] = f() end
  end
  core.fork(branches, nil)
  return results
end

--- fn(item, index) for each item, at most opts.max at once; results in index order.
function mill.map(list, fn, opts)
  want("mill.map's list", list, "table")
  want("mill.map's function", fn, "function")
  opts = known("mill.map", opts, { max = 1 })
  local results, branches = {}, {}
  for i, item in ipairs(list) do
    branches[i] = function() results[i] = fn(item, i) end
  end
  core.fork(branches, opts.max)
  return core.array(results)
end

-- Verbs: inside an action's body ------------------------------------------------------------------------------

local http_options = { headers = 1, json = 1, body = 1, timeout = 1, raw = 1 }

local function request(method, url, opts)
  want("the URL", url, "string")
  opts = known("mill.http", opts, http_options)
  local headers, body = {}, opts.body
  for name, value in pairs(opts.headers or {}) do headers[name] = value end
  if opts.json ~= nil then
    body = core.encode(opts.json)
    headers["Content-Type"] = headers["Content-Type"] or "application/json"
  end
  local res = perform("http", method, {
    method = method, url = url, headers = headers, body = body,
    timeout_ms = milliseconds("timeout", opts.timeout),
  })
  if res.body ~= "" then res.json = core.decode(res.body) end
  -- A server that breaks in the middle of a write may have done it: that is a doubt, no result.
  if res.status >= 500 and not opts.raw then
    error(setmetatable({ kind = "http", status = res.status, unknown = method ~= "GET",
      message = ("%s %s answered %d"):format(method, url, res.status) }, core.error_mt), 0)
  end
  return res
end

mill.http = {
  get = function(url, opts) return request("GET", url, opts) end,
  post = function(url, opts) return request("POST", url, opts) end,
  put = function(url, opts) return request("PUT", url, opts) end,
  patch = function(url, opts) return request("PATCH", url, opts) end,
  delete = function(url, opts) return request("DELETE", url, opts) end,
}

--- Run a program (no shell): {code, out, err}.
function mill.exec(argv, opts)
  want("mill.exec's list", argv, "table")
  opts = known("mill.exec", opts, { cwd = 1, input = 1, timeout = 1 })
  return perform("exec", tostring(argv[1]), {
    argv = core.array(argv), cwd = opts.cwd, input = opts.input,
    timeout_ms = milliseconds("timeout", opts.timeout),
  })
end

local function file(op, path, text)
  want("the path", path, "string")
  return perform("file", op, { op = op, path = path, text = text })
end

mill.file = {
  --- The file's text | nil when there is none.
  read = function(path)
    local text = file("read", path)
    if text == core.null then return nil end
    return text
  end,
  write = function(path, text) file("write", path, want("the text", text, "string")) end,
  append = function(path, text) file("append", path, want("the text", text, "string")) end,
}

mill.json = {
  encode = core.encode,
  --- value | nil, message
  decode = core.decode,
}

-- Actions ------------------------------------------------------------------------------------------------------

--- The body of an action runs only when the host says so; on replay it is not entered.
local function body_of(run, probe, args)
  return function(order)
    local ok, result
    if order.enter == "probe" then
      ok, result = pcall(probe, args, order.key)
      -- A probe may hand its HTTP answer back as it is: 404 says "not there".
      if ok and type(result) == "table" and result.status == 404 then result = nil end
    else
      ok, result = pcall(run, args, order.key)
    end
    if ok then return { ok = result == nil and core.null or result } end
    if type(result) ~= "table" then
      result = { kind = "script", message = tostring(result) }
    end
    return { error = result }
  end
end

--- Perform, and go through the body as often as the host asks for it.
local function act(kind, name, request_, body)
  local answer = perform(kind, name, request_)
  while type(answer) == "table" and answer.enter do
    answer = perform("outcome", name, body(answer))
  end
  if answer == core.null then return nil end
  return answer
end

local action_options = { key = 1, irreversible = 1, blast = 1, gate_above = 1, on_unknown = 1,
  probe = 1, run = 1, repeatable = 1, host = 1 }
local policies = { probe = true, retry = true, ask = true }

local function check_action(name, spec)
  known("action " .. name, spec, action_options)
  local function bad(what) fail("usage", ("action %q %s"):format(name, what)) end
  if not spec.host and type(spec.run) ~= "function" then
    bad("needs run = function(args, key), or host = true")
  end
  if spec.repeatable then
    if spec.irreversible then bad("cannot be repeatable and irreversible") end
    return
  end
  if type(spec.key) ~= "function" then
    bad("needs key = function(args): the same key is the same effect, for ever")
  end
  if spec.on_unknown and not policies[spec.on_unknown] then
    bad('has on_unknown = ' .. tostring(spec.on_unknown) .. '; it is "probe", "retry" or "ask"')
  end
  if spec.irreversible and not spec.on_unknown then
    bad('is irreversible and must say on_unknown = "probe", "retry" or "ask"')
  end
  if spec.on_unknown == "probe" and type(spec.probe) ~= "function" then
    bad('has on_unknown = "probe" and needs probe = function(args, key)')
  end
  if spec.gate_above and type(spec.blast) ~= "function" then
    bad("has gate_above and needs blast = function(args)")
  end
end

local function action_request(name, spec, args)
  if spec.repeatable then return { args = args, repeatable = true, host = spec.host } end
  local key = spec.key(args)
  if type(key) ~= "string" or key == "" or #key > 255 then
    fail("usage", ("the key of action %q must be a text of 1 to 255 bytes"):format(name))
  end
  local blast = spec.blast and spec.blast(args)
  if spec.blast and (type(blast) ~= "number" or blast ~= blast) then
    fail("usage", ("the blast of action %q must be a number"):format(name))
  end
  return {
    args = args, key = key, irreversible = spec.irreversible, blast = blast,
    gate_above = spec.gate_above, on_unknown = spec.on_unknown, host = spec.host,
  }
end

local function make_action(name, spec)
  check_action(name, spec)
  return function(args)
    if args == nil then args = core.null end
    return act("action", name, action_request(name, spec, args),
      body_of(spec.run, spec.probe, args))
  end
end

--- A journaled read: fn() may use the verbs; its result is one record.
function mill.fetch(name, fn)
  want("mill.fetch's name", name, "string")
  want("mill.fetch's function", fn, "function")
  return act("fetch", name, {}, body_of(fn, nil, nil))
end

-- Steps and workflows -----------------------------------------------------------------------------------------------

local step_options = { input = 1, output = 1, check = 1, run = 1, fallback = 1 }

local function as_error(e)
  if type(e) == "table" then return e end
  return setmetatable({ kind = "script", message = tostring(e) }, core.error_mt)
end

local function hold_output(name, spec, input, output)
  if spec.output then mill.validate(output, spec.output, "the output of step " .. name) end
  if not spec.check then return output end
  local ok, why = spec.check(output, input)
  if ok then return output end
  error(setmetatable({ kind = "check",
    message = ("the output of step %s fails its check: %s"):format(name, why or "no reason given"),
  }, core.error_mt), 0)
end

local function make_step(name, spec)
  known("step " .. name, spec, step_options)
  want("a step's run", spec.run, "function")
  if spec.input then spec.input = core.schema(spec.input) end
  if spec.output then spec.output = core.schema(spec.output) end
  local function station(input, ...)
    if spec.input then mill.validate(input, spec.input, "the input of step " .. name) end
    return hold_output(name, spec, input, spec.run(input, ...))
  end
  return function(input, ...)
    local before = core.step(name)
    local result = table.pack(pcall(station, input, ...))
    -- A cancelled run, and a decision a person has made, are no defect of the station.
    if not result[1] and spec.fallback then
      local e = as_error(result[2])
      if e.kind ~= "cancelled" then
        result = table.pack(pcall(function(...)
          return hold_output(name, spec, input, spec.fallback(input, e, ...))
        end, ...))
      end
    end
    core.step(before)
    if not result[1] then error(result[2], 0) end
    return table.unpack(result, 2, result.n)
  end
end

local flow_mt = {}
flow_mt.__index = flow_mt

local function declare(flow, what, name, made)
  want("the name of " .. what, name, "string")
  if flow[name] ~= nil then
    fail("usage", ("%s already has a %q"):format(flow._name, name))
  end
  flow[name] = made
  return made
end

--- flow:step "name" { input, output, check, run, fallback } declares flow.name.
function flow_mt:step(name)
  return function(spec) return declare(self, "a step", name, make_step(name, spec)) end
end

--- flow:action "name" { key, irreversible, blast, gate_above, on_unknown, probe, run, … }.
function flow_mt:action(name)
  want("an action's name", name, "string")
  return function(spec) return make_action(name, spec) end
end

local workflow_options = { about = 1, input = 1, output = 1, budget = 1, state = 1 }

--- mill.workflow "name" { about, input, output, budget, state } -> the flow to fill and return.
function mill.workflow(name)
  want("a workflow's name", name, "string")
  return function(spec)
    known("workflow " .. name, spec, workflow_options)
    known("budget", spec.budget, { llm_calls = 1, usd = 1 })
    return setmetatable({ _name = name, _spec = {
      about = spec.about,
      input = spec.input and core.schema(spec.input),
      output = spec.output and core.schema(spec.output),
      budget = spec.budget or {},
      state = spec.state,
    } }, flow_mt)
  end
end

-- For the host ----------------------------------------------------------------------------------------------------------

--- Called once, when a run's file has loaded: is it a workflow, and is this its input?
function mill._prepare(flow, file, input, step)
  if getmetatable(flow) ~= flow_mt then
    error(("workflows/%s.lua must return its workflow (end it with `return flow`)"):format(file), 0)
  end
  local main = flow[step or "main"]
  if type(main) ~= "function" then
    error(("workflows/%s.lua has no %s"):format(file, step and "step " .. step or "flow.main"), 0)
  end
  declare_state(flow._spec.state)
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

setmetatable(mill, { __index = function(_, name)
  fail("usage", ("mill.%s does not exist; docs/primitives.md lists what does"):format(tostring(name)))
end })

return mill
