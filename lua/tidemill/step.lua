--- Steps: a named station with a contract in, a contract out, a check and a fallback.

local core, mill = ...
local want, known = core.want, core.known

local M = {}

local step_options = "about:string input output check:function run:function fallback:function"

local function as_error(e)
  if type(e) == "table" then return e end
  return setmetatable({ kind = "script", message = tostring(e) }, core.error_mt)
end

local function hold_output(name, spec, output)
  if spec.output then mill.validate(output, spec.output, "the output of step " .. name) end
  return output
end

--- The content check: what a schema cannot say about an output, given what it was made from.
local function hold_check(name, spec, input, output)
  if not spec.check then return output end
  local ok, why = spec.check(output, input)
  if ok then return output end
  error(setmetatable({ kind = "check",
    message = ("the output of step %s fails its check: %s")
      :format(name, why or "no reason given"),
  }, core.error_mt), 0)
end

-- A cancelled run, and a person's no, are no defect of the station.
local function is_final(e)
  return e.kind == "cancelled" or e.kind == "rejected"
end

--- What flow:step "name" { … } makes: a function of the input.
function M.make(name, spec)
  known("step " .. name, spec, step_options)
  want(("step %s: run"):format(name), spec.run, "function")
  if spec.input then spec.input = core.schema(spec.input) end
  if spec.output then spec.output = core.schema(spec.output) end
  local function station(input, ...)
    if spec.input then mill.validate(input, spec.input, "the input of step " .. name) end
    return hold_check(name, spec, input, hold_output(name, spec, spec.run(input, ...)))
  end
  local function fallback(input, e, ...)
    return hold_output(name, spec, spec.fallback(input, e, ...))
  end
  return function(input, ...)
    local before = core.step(name)
    local result = table.pack(pcall(station, input, ...))
    if not result[1] and spec.fallback then
      local e = as_error(result[2])
      if not is_final(e) then result = table.pack(pcall(fallback, input, e, ...)) end
    end
    core.step(before)
    if not result[1] then error(result[2], 0) end
    return table.unpack(result, 2, result.n)
  end
end

return M
