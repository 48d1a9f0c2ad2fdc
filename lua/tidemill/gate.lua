--- mill.gate: a question that a person answers.

local core = ...
local fail = core.fail

local gate_options = "ask show answer deadline on_timeout on_reject"

local function check_timeout(opts)
  if opts.deadline ~= nil and opts.on_timeout == nil then
    fail("usage",
      'a gate with a deadline must say on_timeout = "fail", "reject" or {answer = …}')
  end
  local t = opts.on_timeout
  local answers = type(t) == "table" and t.answer ~= nil
  if t ~= nil and t ~= "fail" and t ~= "reject" and not answers then
    fail("usage", 'on_timeout must be "fail", "reject" or {answer = …}')
  end
end

local M = {}

--- Ask a person: answer, {approved, by, note, at}. A reject raises {kind = "rejected"} unless
-- on_reject = "return", which gives nil, meta.
function M.gate(name, opts)
  core.want("the gate's name", name, "string")
  opts = core.known("mill.gate", opts, gate_options)
  check_timeout(opts)
  local d = core.perform("gate", name, {
    ask = core.want("a gate's ask", opts.ask, "string"),
    show = opts.show,
    answer = opts.answer and core.document(core.schema(opts.answer)),
    deadline_ms = core.milliseconds("deadline", opts.deadline),
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
