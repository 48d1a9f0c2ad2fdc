--- Where refunds are paid: the payment server of REFUNDS_URL, or without one a ledger file.
-- For the inside of an action only: these functions reach the outside.
local mill = require "tidemill"
local ledger = require "lib.ledger"

local M = {}

local url = mill.env("REFUNDS_URL", "")
local file = mill.env("REFUNDS_FILE", ".tidemill/refunds.jsonl")

--- Pay once under `key`. The server answers a key that it has seen with the first receipt.
function M.pay(args, key)
  if url == "" then
    return ledger.add(file, key, { ticket_id = args.ticket_id, usd = args.usd })
  end
  local answer = mill.http.post(url, { json = args, headers = { ["Idempotency-Key"] = key } })
  if answer.status >= 300 then error("the payment server answered " .. answer.status, 0) end
  return answer.json
end

--- The receipt under `key`, or nil when nothing was paid.
function M.find(key)
  if url == "" then return ledger.find(file, key) end
  local answer = mill.http.get(url .. "/" .. key)
  if answer.status == 200 then return answer.json end
  if answer.status == 404 then return nil end
  error("the payment server answered " .. answer.status, 0)
end

return M
