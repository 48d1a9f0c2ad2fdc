--- A support ticket: classify it, split it, draft the replies, decide a refund, pay it once.
local mill = require "tidemill"
local clean = require("lib.text").clean
local pain_points = require "lib.pain_points"
local payments = require "lib.payments"

local flow = mill.workflow "support_ticket" {
  about = "Classify a ticket, draft the reply, decide a refund, pay it once.",
  input = mill.schema "ticket",
  output = mill.schema "ticket_result",
  budget = { usd = 0.50, llm_calls = 40 },
}

-- The only door to the money. One refund for each ticket, for ever; above 50 USD a person
-- approves, however sure the model is; after a crash the other side is asked, never guessed.
local pay_refund = flow:action "pay_refund" {
  key = function(args) return args.ticket_id end,
  irreversible = true,
  blast = function(args) return args.usd end,
  gate_above = 50,
  on_unknown = "probe",
  probe = function(_, key) return payments.find(key) end,
  run = function(args, key) return payments.pay(args, key) end,
}

-- No category fits, or the model is not sure: a person says, the model does not guess.
flow:step "classify" {
  run = function(ticket) return mill.llm("classify", { text = ticket.text }) end,
  check = function(class)
    if #class.categories == 0 then return nil, "no category fits" end
    if class.confidence < 0.5 then return nil, "the model is not sure" end
    return true
  end,
  fallback = function(ticket, err)
    local category = mill.gate("triage", {
      ask = "Which category is this ticket? (" .. err.message .. ")",
      show = ticket,
      answer = mill.schema "category",
    })
    return { categories = { category }, confidence = 1 }
  end,
}

-- Several issues in one ticket: each gets its own part of the text, or else the whole text.
flow:step "split" {
  run = function(ticket) return mill.llm("split_ticket", ticket).parts end,
  check = function(parts, ticket)
    local open = {}
    for _, category in ipairs(ticket.categories) do open[category] = true end
    for _, part in ipairs(parts) do
      if not open[part.category] then return nil, "unexpected part: " .. part.category end
      open[part.category] = nil
    end
    if next(open) then return nil, "no part for " .. next(open) end
    return true
  end,
  fallback = function(ticket)
    local parts = {}
    for i, category in ipairs(ticket.categories) do
      parts[i] = { category = category, text = ticket.text }
    end
    return parts
  end,
}

-- One issue on its line: what hurts, then the reply, reasoned in prose and extracted from it.
function flow.line(part)
  local pains = pain_points(part.text)
  local vars = { text = part.text, category = part.category, pain_points = pains }
  local draft = mill.llm("draft_reply", vars)
  return { category = part.category, pain_points = pains, reply = draft.reply }
end

-- Never more than was paid. A model that asks for it has lost the thread: a person decides.
flow:step "refund" {
  run = function(ticket)
    return mill.llm("refund_decision", { text = ticket.text, paid_usd = ticket.paid_usd })
  end,
  check = function(decision, ticket)
    if decision.usd > ticket.paid_usd then return nil, "the refund is more than was paid" end
    return true
  end,
  fallback = function(ticket, err)
    return mill.gate("refund", {
      ask = "Which refund? (" .. err.message .. ")",
      show = ticket,
      answer = mill.schema "refund_decision",
    })
  end,
}

-- Decided once for each ticket id, paid once for each ticket id: in this run and all others.
function flow.settle(ticket)
  local none = { state = "none", usd = 0, reason = "Nothing was paid." }
  if not ticket.paid_usd then return none end
  local decision = mill.decide("refund", ticket.id, function()
    return flow.refund(ticket)
  end, { input = ticket })
  none.reason = decision.reason
  if not decision.refund then return none end
  local paid, why = pcall(pay_refund, { ticket_id = ticket.id, usd = decision.usd })
  if paid then return { state = "paid", usd = decision.usd, reason = decision.reason } end
  if type(why) ~= "table" or why.kind ~= "rejected" then error(why, 0) end
  return { state = "rejected", usd = 0, reason = why.note or "A person said no." }
end

function flow.main(ticket)
  local text = clean(ticket.text)
  local categories = flow.classify({ id = ticket.id, text = text }).categories
  local parts = { { category = categories[1], text = text } }
  if #categories > 1 then parts = flow.split { text = text, categories = categories } end
  local lines, refund = mill.map(parts, flow.line), flow.settle(ticket)
  return { ticket_id = ticket.id, categories = categories, parts = lines, refund = refund }
end

return flow
