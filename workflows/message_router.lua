--- A router: one call says where a message belongs, a table takes it there.
local mill = require "tidemill"

local flow = mill.workflow "message_router" {
  about = "Send a message to the station that knows; a person sorts the doubtful ones.",
  input = { text = "string" },
  output = {
    route = "string",
    answer = "string",
    ["by(enum)"] = { "rule", "model", "person" },
  },
  budget = { usd = 0.05, llm_calls = 6 },
}

-- Each station is as dear as it has to be: a rule, a model, a person.
local routes = {
  opening_hours = function() return "We are open from 9 to 17, Monday to Friday.", "rule" end,
  product = function(text)
    return mill.llm("answer_question", { text = text }).answer, "model"
  end,
  complaint = function(text)
    local answer = mill.gate("complaint", {
      ask = "What do we answer?",
      show = { text = text },
      answer = { type = "string" },
    })
    return answer, "person"
  end,
}

-- The unit asks again when the model is not sure, then a person (tidemill.confidence): its
-- enum is the table's keys, so nothing can arrive that has no station.
function flow.main(message)
  local route = mill.llm("route_message", { text = message.text }).route
  local answer, by = routes[route](message.text)
  return { route = route, answer = answer, by = by }
end

return flow
