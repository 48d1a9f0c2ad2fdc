--- mill.decide: a decision that is made once for a business key and kept across runs.

local core = ...
local want, known, perform = core.want, core.known, core.perform

local M = {}

-- Is a decision that holds to be made anew? `reopen` is true, or a function that judges it.
local function reopens(reopen, was)
  if type(reopen) ~= "function" then return reopen end
  return reopen(was.value, { run = was.run, at = was.at, version = was.version,
    other_input = was.other_input or false })
end

--- The decision of this workflow for a business key: made once by `make`, then kept for every
-- run.
-- opts.input: what it is made from; the same key with another one raises {kind = "conflict"}.
-- opts.ttl: how long it holds ("30d", or seconds); after that the next run that asks decides.
-- opts.reopen: true, or function(value, {run, at, version, other_input}): decide anew, although
-- there is one that holds. Of two runs that do so at once the first one's is kept for both.
function M.decide(name, key, make, opts)
  want("the decision's name", name, "string")
  want("the decision's key", key, "string")
  want("the decision", make, "function")
  opts = known("mill.decide", opts, "input ttl reopen")
  local reopen, ttl = opts.reopen, core.milliseconds("ttl", opts.ttl)
  if reopen ~= nil and type(reopen) ~= "boolean" then want("reopen", reopen, "function") end
  local input = opts.input ~= nil and core.hash(opts.input) or nil
  local was = perform("recall", name, { key = key, input_hash = input, peek = reopen and true })
  local again = was.found and reopen and reopens(reopen, was)
  if was.found and not again then
    if was.other_input then
      error(setmetatable({ kind = "conflict", message = ("the decision %q for key %q was made "
        .. "from another input (by run %s); use another key for another question")
        :format(name, key, was.run) }, core.error_mt), 0)
    end
    return was.value
  end
  local value = make()
  return perform("decide", name, {
    key = key, input_hash = input, value = value == nil and core.null or value, ttl_ms = ttl,
    over = again and was.version or nil,
  }).value
end

return M
