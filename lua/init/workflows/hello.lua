--- Greets a person, and asks before it is loud.
local mill = require "tidemill"

local flow = mill.workflow "hello" {
  about = "Write a greeting; a person approves the loud ones.",
  input = {
    type = "object",
    properties = { name = { type = "string" } },
    required = { "name" },
  },
}

function flow.main(person)
  local greeting = mill.llm("greeting", { name = person.name })
  if greeting.loud then
    mill.gate("loud", { ask = "Shall it be this loud?", show = greeting })
  end
  return greeting.text
end

return flow
