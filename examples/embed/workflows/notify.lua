--- Sends one text message through the program that embeds the engine.
local mill = require "tidemill"

local flow = mill.workflow "notify" {
  about = "Send one text message, once.",
  input = mill.schema {
    type = "object",
    required = mill.array { "to", "text" },
    properties = { to = { type = "string" }, text = { type = "string" } },
  },
}

-- The body is a C function of examples/embed.c.
local send_sms = flow:action "send_sms" {
  key = function(args) return args.to .. ": " .. args.text end,
  on_unknown = "retry",
  host = true,
}

function flow.main(input)
  local sent = send_sms { to = input.to, text = input.text }
  return { message_id = sent.id, characters = #input.text }
end

return flow
