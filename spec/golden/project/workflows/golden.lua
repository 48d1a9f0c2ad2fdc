--- One of each: what a journal can hold. Only for the golden capsules.
local mill = require "tidemill"

local flow = mill.workflow "golden" {
  state = { type = "object", properties = { progress = { type = "string" } } },
}

local pay = flow:action "pay" {
  key = function(a) return a.id end,
  irreversible = true,
  on_unknown = "ask",
  blast = function(a) return a.usd end,
  gate_above = 50,
  run = function(a) mill.file.append("ledger", a.id .. "\n") return { paid = a.usd } end,
}

local function notes()
  mill.log("noted", { n = 1 })
  mill.state.progress = "noted"
  return { mill.now() > 0, #mill.uuid(), mill.random(6) <= 6, mill.env("GOLDEN_NAME"),
    math.random(1000) <= 1000 }
end

flow:step "ask" { run = function(x) return mill.llm("say", { text = x.text }) end }

function flow.main(x)
  local noted = notes()
  local said = flow.ask(x)
  local both = mill.all({
    function() return mill.llm("say", { text = "left" }) end,
    function() mill.sleep(0.01) return mill.llm("say", { text = "right" }) end,
  })
  local ok, caught = pcall(mill.llm, "refuse", { text = said })
  local read = mill.fetch("ledger", function() return mill.file.read("ledger") end)
  local kept = mill.decide("fee", "customer", function() return 5 end)
  local paid = pay { id = "golden-1", usd = x.usd }
  if x.ask then mill.gate("sure", { ask = "Sure?", show = { paid = paid } }) end
  if x.fail then mill.llm("refuse", { text = "twice" }) end
  return { noted = noted, said = said, both = both, caught = not ok and caught.kind,
    read = read, kept = kept, paid = paid }
end

return flow
