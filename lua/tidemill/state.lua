--- mill.state: the run's own declared fields, visible from outside (`tidemill show`).

local core, mill = ...
local note, fail = core.note, core.fail

local fields, declared = {}, nil

local M = {}

M.state = setmetatable({}, {
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

--- Called by the host before main: the fields of mill.workflow { state = … }.
function M.declare(state)
  declared = {}
  local document = core.document(core.schema(state))
  for name, schema in pairs(document.properties or {}) do
    declared[name] = core.schema(schema)
  end
end

return M
