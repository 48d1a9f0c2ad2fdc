--- Two hundred messages that real people wrote to a bank: none may end in an error.
local cjson = require "cjson"
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local SOURCE = "../shared/data/customer-messages/"

-- Every so-many-th message of all folds, so that every kind is in.
local function messages(count)
  local all = {}
  for fold = 0, 9 do
    local text = content.read(SOURCE .. "banking-fold" .. fold .. ".json")
    for _, message in ipairs(text and cjson.decode(text) or {}) do
      all[#all + 1] = message.text
    end
  end
  local some = {}
  for i = 1, #all, math.max(1, #all // count) do
    if #some < count then some[#some + 1] = all[i] end
  end
  return some
end

describe("real customer messages", function()
  local some = messages(200)
  if #some == 0 then
    pending("need " .. SOURCE .. ", which is not here")
    return
  end

  it("each get a reply or a person", function()
    local dir = content.folder()
    finally(function() content.remove(dir) end)
    local env = { REFUNDS_FILE = dir .. "/refunds.jsonl" }
    local count = { done = 0, triage = 0 }
    for i, text in ipairs(some) do
      local ticket = { id = "R-" .. i, text = text, paid_usd = i % 3 == 0 and 40 or nil }
      local result = kit.run("support_ticket", ticket, { env = env })
      if result.state == "done" then
        count.done = count.done + 1
        assert.truthy(#result.value.parts >= 1)
      else
        assert.equal("waiting", result.state, text)
        assert.equal("triage", result.gates[1].name, text)
        count.triage = count.triage + 1
      end
    end
    assert.equal(200, count.done + count.triage)
    assert.truthy(count.done > 150)
    assert.truthy(count.triage > 0)
  end)
end)
