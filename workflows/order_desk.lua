--- An agent, held short: a model that looks orders up and pays them back, in six turns at most.
-- What a tool may do is the action's word: the key, the gate above 50 USD, the journal.
local mill = require "tidemill"
local ledger = require "lib.ledger"

local flow = mill.workflow "order_desk" {
  about = "Answer a question about an order; look it up and pay it back where that is right.",
  input = { text = "string" },
  budget = { usd = 0.20, llm_calls = 8 },
}

local paid = mill.env("PAID_BACK_FILE", ".tidemill/paid_back.jsonl")

local orders = {
  ["A-7"] = { number = "A-7", usd = 20, state = "lost by the carrier" },
  ["A-8"] = { number = "A-8", usd = 180, state = "arrived broken" },
  ["A-9"] = { number = "A-9", usd = 35, state = "on its way" },
}

local function order_of(args)
  return orders[args.number] or error("there is no order " .. args.number, 0)
end

flow:action "find_order" {
  about = "Looks an order up by its number: what it cost, and where it is.",
  input = { number = "string, as in A-7" },
  repeatable = true,
  run = order_of,
}

local pay_back = flow:action "pay_back" {
  key = function(args) return args.number end,
  irreversible = true,
  blast = function(args) return args.usd end,
  gate_above = 50,
  on_unknown = "probe",
  probe = function(_, key) return ledger.find(paid, key) end,
  run = function(args, key) return ledger.add(paid, key, { usd = args.usd }) end,
}

-- The model names an order. How much that is, it does not say: the order does.
flow:step "refund" {
  about = "Pays an order back, in full.",
  input = { number = "string, as in A-7" },
  run = function(args)
    return pay_back { number = args.number, usd = order_of(args).usd }
  end,
}

-- Its tools are named in prompts/order_desk.prompt.
function flow.main(message)
  local answer, meta = mill.agent("order_desk", { text = message.text }, {
    max_turns = 6, max_calls = 6, usd = 0.10,
  })
  return { answer = answer.answer, calls = meta.calls, turns = meta.turns }
end

return flow
