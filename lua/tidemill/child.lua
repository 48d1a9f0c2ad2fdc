--- mill.call, start, continue_as: runs that a run starts.

local core, mill = ...
local want, known, perform = core.want, core.known, core.perform

local M = {}

local function request(what, workflow, input, opts)
  want("the workflow's name", workflow, "string")
  opts = known(what, opts, what == "mill.call" and "timeout" or "")
  return {
    input = input == nil and core.null or input,
    timeout_ms = core.milliseconds("timeout", opts.timeout),
    budget = next(mill._flow._spec.budget) and mill._flow._spec.budget or nil,
  }
end

--- Run another workflow as a child and wait for its result. Its error is raised as
-- {kind = "child", run, workflow, state, error}; {kind = "timeout"} cancels it.
function M.call(workflow, input, opts)
  return perform("call", workflow, request("mill.call", workflow, input, opts))
end

--- Start another workflow as a child that nobody waits for: its id.
function M.start(workflow, input)
  return perform("start", workflow, request("mill.start", workflow, input))
end

--- End this run and go on as a fresh one with another input. Does not return.
function M.continue_as(input)
  local flow = mill._flow
  if flow._spec.input then
    mill.validate(input, flow._spec.input, "the input of " .. flow._name)
  end
  perform("continue", flow._name, { input = input == nil and core.null or input })
end

return M
