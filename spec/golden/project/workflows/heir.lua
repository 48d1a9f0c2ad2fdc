--- A key that an ended run left in doubt: for the golden capsule of the one that takes it over.
local mill = require "tidemill"

local flow = mill.workflow "heir" {}

local send = flow:action "send" {
  key = function() return "letter" end,
  on_unknown = "ask",
  run = function(a)
    mill.file.append("sent", "x")
    if a.odd then error "the receipt is odd" end
    return "sent"
  end,
}

function flow.main(x) return send { odd = x.odd } end

return flow
