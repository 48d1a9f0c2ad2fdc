--- Runs that have to do with others: events, children, locks, undo, races, questions with an
-- end. Only for the golden capsules.
local mill = require "tidemill"

local flow = mill.workflow "company" {
  events = { paid = { type = "integer" } },
  budget = { usd = 1, llm_calls = 20 },
}

local book = flow:action "book" {
  key = function(a) return a.id end,
  on_unknown = "ask",
  run = function(a)
    mill.file.append("seats", a.id .. "\n")
    if a.lost then error "the answer is lost" end
    return { seat = a.id, said = mill.exec({ "echo", "booked" }).out }
  end,
  undo = function(a, _, key) mill.file.append("seats", key .. "\n") return a.id end,
}

local count = flow:action "count" {
  repeatable = true,
  run = function() return #(mill.file.read("seats") or "") end,
}

local function caught(...)
  local ok, e = pcall(...)
  return not ok and e.kind
end

function flow.events(x)
  mill.emit(x.id, "paid", 7)
  local nobody = caught(mill.emit, "nobody", "paid", 7)
  local paid = mill.wait "paid"
  return { nobody, paid, caught(mill.wait, "paid", { timeout = 0.01 }) }
end

function flow.children(x)
  local told = mill.call("helper", { text = x.text }, { timeout = "1h" })
  return { told, caught(mill.call, "helper", { fail = true }), mill.start("helper", x) }
end

function flow.branches()
  local first, which = mill.race {
    function() mill.sleep "1h" end,
    function() mill.sleep(0.01) return "soon" end,
  }
  local all = mill.map({ 1, 2, 3 }, function(n)
    if n == 2 then error { kind = "two", message = "no two" } end
    mill.sleep(0.01)
    return n
  end, { max = 2, settle = true })
  local late = caught(mill.within, 0.01, function() mill.sleep "1h" end)
  return { first, which, all[1].value, all[2].error.kind, late }
end

function flow.questions()
  local maybe = mill.gate("maybe",
    { ask = "Maybe?", deadline = 0.01, on_timeout = { answer = "no" } })
  return { maybe,
    caught(mill.gate, "soon", { ask = "Soon?", deadline = 0.01, on_timeout = "fail" }) }
end

function flow.web(x)
  return mill.fetch("page", function() return mill.http.get(x.url .. "/page").status end)
end

function flow.main(x)
  local out = {}
  mill.lock("customer", function() out.book = book { id = x.id, lost = x.lost } end)
  out.count = count {}
  if x.wait then mill.gate("sure", { ask = "Sure?" }) end
  if x.fail then mill.call("helper", { fail = true }) end
  if x.again then mill.continue_as { id = x.again } end
  for _, part in ipairs { "events", "children", "branches", "questions", "web" } do
    if x[part] then out[part] = flow[part](x) end
  end
  return out
end

return flow
