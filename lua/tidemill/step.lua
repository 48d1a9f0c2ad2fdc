--- Steps: a named station with a contract in, a contract out, a check and a fallback.

local core, mill = ...
local want, known = core.want, core.known

local M = {}

local step_options = "input output check run fallback"

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
    message = ("the output of step %s fails its check: %s")
      :format(name, why or "no reason given"),
  }, core.error_mt), 0)
end

--- What flow:step "name" { … } makes: a function of the input.
function M.make(name, spec)
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

return M
