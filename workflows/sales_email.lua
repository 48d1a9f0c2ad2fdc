--- A mail to sales: what hurts, how interested, where it goes, and a draft for the warm ones.
local mill = require "tidemill"
local clean = require("lib.text").clean
local pain_points = require "lib.pain_points"

local flow = mill.workflow "sales_email" {
  about = "Qualify a mail to sales and draft the answer to the interested ones.",
  input = mill.schema "sales_email",
  output = mill.schema "sales_lead",
  budget = { usd = 0.10, llm_calls = 10 },
}

-- Routing is a rule, not an opinion: the model says how interested, the table where to.
local route_of = { hot = "sales", warm = "sales", cold = "newsletter", not_sales = "ignore" }

-- Unsure is not cold: a person says.
flow:step "qualify" {
  run = function(mail) return mill.llm("qualify_email", { text = mail.text }) end,
  check = function(lead)
    if lead.confidence < 0.5 then return nil, "the model is not sure" end
    return true
  end,
  fallback = function(mail, err)
    local interest = mill.gate("qualify", {
      ask = "How interested is this writer? (" .. err.message .. ")",
      show = mail,
      answer = { type = "string", enum = { "hot", "warm", "cold", "not_sales" } },
      deadline = "2d",
      on_timeout = { answer = "warm" },
    })
    return { interest = interest, because = "A person said so.", confidence = 1 }
  end,
}

function flow.main(mail)
  local text = clean(mail.text)
  local lead = flow.qualify { from = mail.from, text = text }
  local pains, draft = mill.array {}, mill.null
  if lead.interest ~= "not_sales" then pains = pain_points(text) end
  if route_of[lead.interest] == "sales" then
    draft = mill.llm("draft_sales_reply", { text = text, pain_points = pains }).reply
  end
  return {
    email_id = mail.id,
    interest = lead.interest,
    because = lead.because,
    pain_points = pains,
    route = route_of[lead.interest],
    draft = draft,
  }
end

return flow
