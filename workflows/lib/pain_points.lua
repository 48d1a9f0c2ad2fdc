--- What hurts the writer: one thinking unit, the same for tickets, calls and sales mails.
local mill = require "tidemill"

-- Blanks and case do not count when a quote is looked up.
local function plain(text)
  return (text:lower():gsub("%s+", " "))
end

--- The pain points in `text`. One whose quote does not stand in the text is made up: dropped.
return function(text)
  local found = mill.llm("extract_pain_points", { text = text })
  local source, kept = plain(text), mill.array {}
  for _, point in ipairs(found.pain_points) do
    if source:find(plain(point.quote), 1, true) then kept[#kept + 1] = point end
  end
  if #kept < #found.pain_points then
    mill.log("dropped pain points without a source", { dropped = #found.pain_points - #kept })
  end
  return kept
end
