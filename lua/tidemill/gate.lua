--- mill.gate: a question that a person answers.

local core, use = ...
local fail = core.fail

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

local M = {}

--- Ask a person: answer, {approved, by, note, at}. A reject raises {kind = "rejected"} unless
-- on_reject = "return", which gives nil, meta.
function M.gate(name, opts)
  use.want("the gate's name", name, "string")
  opts = use.known("mill.gate", opts, gate_options)
  check_timeout(opts)
  local d = core.perform("gate", name, {
    ask = use.want("a gate's ask", opts.ask, "string"),
    show = opts.show,
    answer = opts.answer and core.document(core.schema(opts.answer)),
    deadline_ms = use.milliseconds("deadline", opts.deadline),
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

return M
