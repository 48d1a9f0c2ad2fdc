--- mill.decide: a decision that is made once for a business key and kept across runs.

local core = ...
local want, known, perform = core.want, core.known, core.perform

local M = {}

--- The decision of this workflow for a business key: made once by `make`, then kept for every
-- run. opts.input: what it is made from; another input under the same key raises
-- {kind = "conflict"}.
function M.decide(name, key, make, opts)
  want("the decision's name", name, "string")
  want("the decision's key", key, "string")
  want("the decision", make, "function")
  opts = known("mill.decide", opts, "input")
  local input = opts.input ~= nil and core.hash(opts.input) or nil
  local was = perform("recall", name, { key = key, input_hash = input })
  if was.found then return was.value end
  local value = make()
  return perform("decide", name, {
    key = key, input_hash = input, value = value == nil and core.null or value,
  }).value
end

return M
