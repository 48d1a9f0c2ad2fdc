--- An orchestrator and its workers: one call plans the parts, workers write them side by side,
-- one call puts them together. How many parts there may be is the schema's word.
local mill = require "tidemill"

local flow = mill.workflow "report_team" {
  about = "Answer a broad question from a text: plan parts, work on each, write the report.",
  input = { question = "string", text = "string" },
  output = {
    report = "string",
    ["parts(array)"] = { question = "string", finding = "string" },
  },
  budget = { usd = 0.20, llm_calls = 10 },
}

local WORKERS = 3 -- at a time

-- A worker knows its own part and the text, and nothing of the others.
flow:step "work" {
  run = function(part, text)
    local found = mill.llm("work_on_part", { question = part, text = text })
    return { question = part, finding = found.finding }
  end,
  -- One part that fails is a gap in the report, not the end of it.
  fallback = function(part) return { question = part, finding = "Nothing was found." } end,
}

function flow.main(task)
  local plan = mill.llm("plan_parts", { question = task.question })
  local parts = mill.map(plan.parts, function(part)
    return flow.work(part, task.text)
  end, { max = WORKERS })
  local vars = { question = task.question, parts = parts }
  return { report = mill.llm("write_report", vars).report, parts = parts }
end

return flow
