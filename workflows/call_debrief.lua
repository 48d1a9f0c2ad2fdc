--- A sales call: its transcript through small units, then a mail that a person lets out.
local mill = require "tidemill"
local clean = require("lib.text").clean
local pain_points = require "lib.pain_points"
local ledger = require "lib.ledger"

local flow = mill.workflow "call_debrief" {
  about = "Sum up a sales call, list pains, objections and next steps, send the follow-up.",
  input = mill.schema "call",
  output = mill.schema "call_debrief",
  budget = { usd = 0.30, llm_calls = 20 },
}

local outbox = mill.env("OUTBOX_FILE", ".tidemill/outbox.jsonl")

-- One follow-up for each call. The outbox file stands in for a mail server.
local send_mail = flow:action "send_mail" {
  key = function(args) return args.call_id end,
  irreversible = true,
  on_unknown = "probe",
  probe = function(_, key) return ledger.find(outbox, key) end,
  run = function(args, key)
    return ledger.add(outbox, key, { to = args.to, subject = args.subject, body = args.body })
  end,
}

-- Who promised what. Every step has an owner, or it is nobody's: `us` or `customer`.
flow:step "next_steps" {
  run = function(call) return mill.llm("find_next_steps", { text = call.text }).next_steps end,
  check = function(steps)
    if #steps > 7 then return nil, "more than seven next steps is a project plan" end
    return true
  end,
}

-- The mail may not promise what nobody said: every price in it stands in the transcript.
flow:step "write" {
  output = mill.schema "mail",
  run = function(debrief) return mill.llm("write_follow_up", debrief) end,
  check = function(mail, debrief)
    for price in mail.body:gmatch("[$€]%s?%d[%d.,]*%d") do
      if not debrief.text:find(price, 1, true) then
        return nil, price .. " is not in the call"
      end
    end
    return true
  end,
}

-- A mail that is out is out: a person reads it first. Three days of silence mean no.
function flow.follow_up(call, debrief)
  local mail = flow.write(debrief)
  local _, said = mill.gate("follow_up", {
    ask = "Send this mail to " .. call.email .. "?",
    show = { to = call.email, subject = mail.subject, body = mail.body },
    deadline = "3d",
    on_timeout = "reject",
    on_reject = "return",
  })
  if said.approved then
    send_mail { call_id = call.id, to = call.email, subject = mail.subject, body = mail.body }
  end
  local note = said.note or ""
  return { sent = said.approved, subject = mail.subject, body = mail.body, note = note }
end

function flow.main(call)
  local text = clean(call.transcript, 40000)
  local found = mill.all {
    function() return mill.llm("summarize_call", { text = text }).summary end,
    function() return pain_points(text) end,
    function() return mill.llm("find_objections", { text = text }).objections end,
    function() return flow.next_steps { text = text } end,
  }
  local debrief = { customer = call.customer, text = text }
  debrief.summary, debrief.next_steps = found[1], found[4]
  return {
    call_id = call.id,
    summary = found[1],
    pain_points = found[2],
    objections = found[3],
    next_steps = found[4],
    mail = flow.follow_up(call, debrief),
  }
end

return flow
