--- A run in the hands of a spec: its engine, its stand-ins, its end. Used by tidemill.test.
-- @module tidemill.test_run
local cjson = require("cjson")
local engine = require("tidemill.engine")

local PATIENCE_S = 60 -- real time that one drive may take
local ROUNDS = 10000  -- decisions and wake-ups of one run
local STEP_MS = 10    -- how far time goes on for a wait of less than two seconds

local KNOWN = {
  model = true, gates = true, actions = true, env = true, dir = true, db = true, id = true,
  durable = true, memory = true, steps = true,
}

local Run = {}
Run.__index = Run

-- -- stand-ins --------------------------------------------------------------------------

local function as_text(value)
  return type(value) == "string" and value or cjson.encode(value)
end

--- The provider that answers from `answers`; every request is noted in `asked`.
local function answering(answers, asked)
  return function(request)
    local answer = answers[request.unit]
    if answer == nil then answer = answers["*"] end
    asked[#asked + 1] = { unit = request.unit, vars = request.vars, request = request }
    if type(answer) == "function" then answer = answer(request.vars, request) end
    -- Without a schema prose is wanted, as in the first phase of reason_then_extract.
    return request.schema and answer or as_text(answer)
  end
end

--- The units of the table answer from it, the others as the project says.
local function models_of(model)
  if type(model) ~= "table" then return model end
  local list = {}
  for unit in pairs(model) do
    list[#list + 1] = unit == "*" and "test/kit" or unit .. "=test/kit"
  end
  table.sort(list)
  return list
end

local function acting(name, result, effects)
  return function(args, key)
    effects[#effects + 1] = { action = name, args = args, key = key }
    if type(result) == "function" then return result(args, key) end
    return result
  end
end

--- Call fn with the settings of the options in the environment.
local function with_env(env, fn, ...)
  local before = {}
  for name, value in pairs(env or {}) do
    before[name] = os.getenv(name) or false
    engine.setenv(name, value)
  end
  local got = table.pack(pcall(fn, ...))
  for name, value in pairs(before) do engine.setenv(name, value or nil) end
  if not got[1] then error(got[2], 0) end
  return table.unpack(got, 2, got.n)
end

-- -- opening ----------------------------------------------------------------------------

local function remove_database(path)
  for _, suffix in ipairs({ "", ".db", ".db-wal", ".db-shm", ".db-journal", ".db.lock" }) do
    os.remove(path .. suffix)
  end
end

function Run:open()
  local opts = self.opts
  local e, err = with_env(opts.env, engine.open, {
    dir = opts.dir or ".",
    db = opts.db or (self.file and "sqlite:" .. self.file .. ".db") or "memory:",
    clock = "virtual",
    model = models_of(opts.model),
    memory = opts.memory and tostring(opts.memory),
    steps = opts.steps and tostring(opts.steps),
    by = "test",
  })
  if not e then error("tidemill.test: " .. err.message, 0) end
  if type(opts.model) == "table" then e:provider("test", answering(opts.model, self.asked)) end
  for name, result in pairs(opts.actions or {}) do
    e:action(name, acting(name, result, self.effects))
  end
  self.engine = e
end

--- A run to come. Unknown options raise.
local function new(workflow, opts, durable)
  opts = opts or {}
  for key in pairs(opts) do
    if not KNOWN[key] then error(("tidemill.test: there is no option %q"):format(key), 3) end
  end
  local self = setmetatable({ workflow = workflow, opts = opts, asked = {}, effects = {} }, Run)
  if opts.durable ~= nil then durable = opts.durable end
  if durable and not opts.db then self.file = os.tmpname() end
  return self
end

--- Start it in its engine; nil when it is refused, which self.refused explains.
function Run:begin(input, step)
  if not self.engine then self:open() end
  self.id, self.refused = with_env(self.opts.env, self.engine.start, self.engine,
    self.workflow, input, { id = self.opts.id, step = step })
  if self.id then self.now = engine.time(self.engine:get(self.id).created) end
  return self.id
end

--- Take the run up in an engine that was opened on its store; the clock goes on where it was.
function Run:resume(id, now)
  local info = assert(self.engine:get(id))
  self.id, self.now = id, engine.time(info.created)
  if now > self.now then self:pass(now - self.now) end
  return self.engine:control(id, "resume")
end

function Run:close()
  if self.engine and not self.shared then self.engine:close() end
  if self.file then remove_database(self.file) end
  self.engine, self.file = nil, nil
end

Run.__gc = Run.close

-- -- driving ----------------------------------------------------------------------------

local function turn(self, ms)
  return with_env(self.opts.env, self.engine.dispatch, self.engine, ms)
end

--- Work until nothing is left to do here: it has ended, or waits for a person or the clock.
function Run:drive()
  local patience = os.time() + PATIENCE_S
  if not turn(self, 0) then return end
  while turn(self, 20) do -- 20 ms at most, less when something happens
    if os.time() > patience then
      error(("tidemill.test: %s works for more than %d s"):format(self.workflow, PATIENCE_S), 0)
    end
  end
end

local function info(self)
  if not self.id then return { state = "failed", error = self.refused } end
  return assert(self.engine:get(self.id))
end

--- "running", "waiting", "done", "failed" …
function Run:state() return info(self).state end

--- What mill.state holds now.
function Run:fields() return info(self).state_fields or {} end

--- The result of a run that is done; else nil and the error.
function Run:result()
  if not self.id then return nil, self.refused end
  return self.engine:result(self.id)
end

--- The open gates; `all`: the decided ones after them.
function Run:gates(all)
  if not self.id then return {} end
  local gates = self.engine:gates({ run = self.id }).gates
  if not all then return gates end
  for _, gate in ipairs(self.engine:gates({ run = self.id, all = true }).gates) do
    if gate.state ~= "open" then gates[#gates + 1] = gate end
  end
  return gates
end

--- Move the clock.
function Run:pass(ms)
  self.now = self.now + ms
  assert(self.engine:advance(ms))
end

--- Let time pass ("3d", or milliseconds), and go on.
function Run:advance(duration)
  self:pass(type(duration) == "number" and duration or engine.duration(duration))
  self:drive()
  return self:state()
end

local function decide(self, op, name, opts)
  local ok, err = self.engine[op](self.engine, self.id, name, opts)
  if not ok then return nil, err end
  self:drive()
  return self:state()
end

--- Say yes to a gate, and go on: opts {answer, note, by}. The state, or nil and the error.
function Run:approve(name, opts) return decide(self, "approve", name, opts) end

--- Say whether an action in doubt happened, and go on: its result, or nil: it did not.
function Run:resolve(action, result, opts)
  local ok, err = self.engine:resolve(self.id, action, result, opts)
  if not ok then return nil, err end
  self:drive()
  return self:state()
end

--- Tell the run of an event, and go on: opts {id}. The state, or nil and the error.
function Run:signal(event, payload, opts)
  local ok, err = self.engine:signal(self.id, event, payload, opts)
  if not ok then return nil, err end
  self:drive()
  return self:state()
end

--- Say no to a gate, and go on.
function Run:reject(name, opts) return decide(self, "reject", name, opts) end

--- Close the engine and open it again on the same store, as a new process would; go on.
function Run:restart()
  if not (self.file or self.opts.db) then
    error("tidemill.test: restart needs a store that outlives the engine: durable = true", 2)
  end
  self.engine:close()
  self:open()
  assert(self:resume(self.id, self.now))
  self:drive()
  return self:state()
end

--- The journal's records, in order.
function Run:history()
  return self.id and self.engine:history(self.id).records or {}
end

-- -- to the end --------------------------------------------------------------------------

local function decision_for(self, gate)
  local decision = (self.opts.gates or {})[gate.name]
  if decision == nil and self.person then decision = self.person end
  if type(decision) == "function" then decision = decision(gate, self) end
  if type(decision) == "boolean" then decision = { approve = decision } end
  return decision
end

--- An action in doubt is resolved: approved is applied, with the answer as its result.
local function decide_gate(self, gate, decision)
  local opts = { answer = decision.answer, note = decision.note, by = decision.by }
  if gate.kind ~= "doubt" then
    local op = decision.approve and "approve" or "reject"
    return self.engine[op](self.engine, self.id, gate.id, opts)
  end
  local result
  if decision.approve then result = decision.answer == nil and cjson.null or decision.answer end
  return self.engine:resolve(self.id, gate.id, result, { note = opts.note, by = opts.by })
end

--- Decide one gate: "decided"; else "open" (nobody answers one of them) or nil (no gate).
local function decide_gates(self)
  local open_gate
  for _, gate in ipairs(self:gates()) do
    local decision = decision_for(self, gate)
    if type(decision) == "table" then
      local _, err = decide_gate(self, gate, decision)
      if err then error(("tidemill.test: gate %q: %s"):format(gate.name, err.message), 0) end
      return "decided"
    end
    open_gate = open_gate or decision ~= "timeout"
  end
  return open_gate and "open" or nil
end

local ENDED = { done = true, failed = true, cancelled = true, diverged = true }

--- Drive the run to its end: gates by the options, sleeps by moving the clock.
function Run:finish()
  for _ = 1, ROUNDS do
    self:drive()
    local now = info(self)
    if ENDED[now.state] then return end
    local gates = decide_gates(self)
    if gates == "open" then return end
    if gates ~= "decided" then
      if now.state == "waiting" and not now.wake_at then return end
      self:pass(now.wake_at and math.max(engine.time(now.wake_at) - self.now, 1) or STEP_MS)
    end
  end
  error(("tidemill.test: %s still goes on after %d waits"):format(self.workflow, ROUNDS), 0)
end

local Result = {}
Result.__index = Result

--- The calls of that name, in the order of their completion.
function Result:called(name)
  local found = {}
  for _, call in ipairs(self.calls) do
    if call.name == name then found[#found + 1] = call end
  end
  return found
end

--- The calls that a journal tells of: {name, kind, place, step, request, value | error, meta}.
local function calls_of(history)
  local calls, requests = {}, {}
  for _, r in ipairs(history) do
    if r.record == "open" then requests[r.place] = r.request end
    if r.record == "done" or r.record == "fail" then
      calls[#calls + 1] = {
        name = r.name, kind = r.kind, place = r.place, step = r.step, meta = r.meta,
        request = r.request or requests[r.place], value = r.value, error = r.error,
      }
    end
  end
  return calls
end

--- {id, state, value, error, reason, fields, calls, gates, history, asked, effects}
function Run:collect()
  local history, now = self:history(), info(self)
  return setmetatable({
    id = self.id, state = now.state, value = now.result, error = now.error,
    reason = now.reason, fields = now.state_fields or {}, history = history,
    calls = calls_of(history), gates = self:gates(true), asked = self.asked,
    effects = self.effects,
  }, Result)
end

--- Start, finish, collect; the error of a callback comes through.
function Run:whole(input, step)
  local ok, result = pcall(function()
    if self:begin(input, step) then self:finish() end
    return self:collect()
  end)
  self:close()
  if not ok then error(result, 0) end
  return result
end

return new
