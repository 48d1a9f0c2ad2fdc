--- What a node of a drawing says.
-- @module tidemill.graph_words

local before = {
  llm = "model: ", agent = "agent: ", tools = "model with a tool: ", decide = "decide: ",
  gate = "person: ", wait = "wait for ", sleep = "sleep ", emit = "emit ", call = "call ",
  start_child = "start ", lock = "lock ", within = "within ", fetch = "fetch ", step = "step ",
  unknown = "? ", action = "action: ",
}

--- The second line: what a reviewer should not have to look up.
local function details(node)
  local list = {}
  local function say(what) list[#list + 1] = what end
  if node.repeatable then say "repeatable" end
  if node.db then say "in the database" end
  if node.irreversible then say "irreversible" end
  if node.gate_above then say("a person approves above " .. node.gate_above) end
  if node.deadline then say(("after %s: %s"):format(node.deadline, node.on_timeout or "?")) end
  if node.timeout then say(node.timeout .. " at most") end
  return #list > 0 and "\n" .. table.concat(list, ", ") or ""
end

--- The words of a node, perhaps on two lines.
return function(node)
  return (before[node.kind] or "") .. node.label .. details(node)
end
