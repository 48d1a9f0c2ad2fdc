--- mill.check and mill.validate: values held to schemas.

local core = ...

local M = {}

--- Errors of a value against a schema: true | nil, list of {instance, keyword, message}.
function M.check(value, schema)
  local ok, errors = core.check(value, core.schema(schema))
  if ok then return true end
  return nil, errors
end

--- The value itself when it holds to the schema; raises {kind = "invalid", errors} otherwise.
function M.validate(value, schema, what)
  local ok, errors = M.check(value, schema)
  if ok then return value end
  error(setmetatable({
    kind = "invalid",
    message = (what or "the value") .. " is invalid: " .. errors[1].message,
    errors = errors,
  }, core.error_mt), 0)
end

--- The value with absent members filled in from the schema's `default`: never done unasked.
function M.fill(value, schema)
  return core.fill(value, core.schema(schema))
end

return M
