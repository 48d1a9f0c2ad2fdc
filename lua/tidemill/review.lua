--- What becomes of an answer that is below the confidence its unit asks for.

local _, mill = ...

local M = {}

--- With `else: review` a person answers in its place: value, meta. Without, it comes as it is,
-- and meta.unsure says so.
function M.unsure(unit, vars, says, value, meta)
  if says.confidence["else"] ~= "review" then return value, meta end
  local answer, by = mill.gate("review_" .. unit, {
    ask = "The model is not sure. What is the answer?",
    show = { vars = vars, answer = value, at_least = says.confidence.at_least },
    answer = says.output,
  })
  meta.reviewed = by
  return answer, meta
end

return M
