--- A model that sends us away: for the golden capsules of a call that was put off.
local mill = require "tidemill"

local flow = mill.workflow "patient" {}

function flow.main(x)
  return mill.all {
    function() return mill.llm("ask", { text = x.text }) end,
    function() mill.sleep(0.01) return mill.llm("say", { text = x.text }) end,
  }
end

return flow
