--- Actions and mill.fetch: the only doors to the outside.

local core, mill, part = ...
local want, known, fail, perform = core.want, core.known, core.fail, core.perform

local M = {}

--- The body of an action runs only when the host says so; on replay it is not entered.
function M.body_of(run, probe, args, db)
  return function(order)
    local ok, result
    if order.enter == "probe" then
      ok, result = pcall(probe, args, order.key)
      -- A probe may hand its HTTP answer back as it is: 404 says "not there".
      if ok and type(result) == "table" and result.status == 404 then result = nil end
    else
      ok, result = pcall(run, args, order.key, db)
    end
    if ok then return { ok = result == nil and core.null or result } end
    if type(result) ~= "table" then
      result = { kind = "script", message = tostring(result) }
    end
    return { error = result }
  end
end

--- Perform, and go through the body as often as the host asks for it.
function M.act(kind, name, request_, body)
  local answer, entered = perform(kind, name, request_)
  while entered == true do answer, entered = perform("outcome", name, body(answer)) end
  if answer == core.null then return nil end
  return answer
end

local action_options = "about:string input key:function irreversible:boolean blast:function "
  .. "gate_above:number on_unknown probe:function run:function repeatable:boolean "
  .. "host:boolean window undo:function db:boolean"
local policies = { probe = true, retry = true, ask = true }

local function check_action(name, spec)
  known("action " .. name, spec, action_options)
  local function bad(what) fail("usage", ("action %q %s"):format(name, what)) end
  if spec.db then part("db").check(spec, bad) end
  if not spec.host and not spec.run then
    bad("needs run = function(args, key), or host = true")
  end
  if spec.repeatable then
    if spec.irreversible then bad("cannot be repeatable and irreversible") end
    if spec.undo then bad("cannot be repeatable and have an undo") end
    return
  end
  if not spec.key and not spec.db then
    bad("needs key = function(args): the same key is the same effect, for ever")
  end
  if spec.on_unknown and not policies[spec.on_unknown] then
    bad('has on_unknown = ' .. tostring(spec.on_unknown) .. '; it is "probe", "retry" or "ask"')
  end
  if spec.irreversible and not spec.on_unknown then
    bad('is irreversible and must say on_unknown = "probe", "retry" or "ask"')
  end
  if spec.on_unknown == "probe" and not spec.probe then
    bad('has on_unknown = "probe" and needs probe = function(args, key)')
  end
  if spec.gate_above and not spec.blast then
    bad("has gate_above and needs blast = function(args)")
  end
end

local function action_request(name, spec, args)
  if spec.repeatable then return { args = args, repeatable = true, host = spec.host } end
  local key = spec.key and spec.key(args)
  if spec.key and (type(key) ~= "string" or key == "" or #key > 255) then
    fail("usage", ("the key of action %q must be a text of 1 to 255 bytes%s")
      :format(name, type(key) ~= "string" and ", not " .. type(key) or ""), spec.key)
  end
  local blast = spec.blast and spec.blast(args)
  if spec.blast and (type(blast) ~= "number" or blast ~= blast) then
    fail("usage", ("the blast of action %q must be a number"):format(name), spec.blast)
  end
  return {
    args = args, key = key, irreversible = spec.irreversible, blast = blast,
    gate_above = spec.gate_above, on_unknown = spec.on_unknown, host = spec.host,
    window_ms = core.milliseconds("window", spec.window), db = spec.db,
  }
end

--- What flow:action "name" { … } makes: a function of the arguments.
function M.make(name, spec)
  check_action(name, spec)
  if spec.input then spec.input = core.schema(spec.input) end
  return function(args)
    if args == nil then args = core.null end
    if spec.input then mill.validate(args, spec.input, "the input of action " .. name) end
    local request_ = action_request(name, spec, args)
    local result = M.act("action", name, request_,
      M.body_of(spec.run, spec.probe, args, spec.db and part("db").handle))
    if spec.undo then part("undo").note(name, spec, args, result, request_.key) end
    return result
  end
end

--- A journaled read: fn() may use the verbs; its result is one record.
function M.fetch(name, fn)
  want("mill.fetch's name", name, "string")
  want("mill.fetch's function", fn, "function")
  return M.act("fetch", name, {}, M.body_of(fn))
end

return M
