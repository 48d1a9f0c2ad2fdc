--- Plain text out of what people send: no markup, no control characters, no endless tail.
local M = {}

local entities =
  { amp = "&", lt = "<", gt = ">", quot = '"', nbsp = " ", mdash = "-", ["#39"] = "'" }

-- The bytes 0x80-0xBF never start a character: a border is where the next byte is none of them.
local function border(text, at)
  while at > 0 and ((text:byte(at + 1) or 0) & 0xC0) == 0x80 do at = at - 1 end
  return at
end

-- Beginning and end: people say hello first and what they want last.
local function shorten(text, bytes)
  if #text <= bytes then return text end
  local head = border(text, bytes * 3 // 4)
  local tail = border(text, #text - bytes // 4)
  return text:sub(1, head) .. " […] " .. text:sub(tail + 1)
end

--- Markup and control characters out, runs of blanks to one, about `bytes` bytes.
function M.clean(text, bytes)
  text = text:gsub("%c", function(c) return c == "\n" and "\n" or " " end)
  text = text:gsub("<[%a/!][^<>]*>", " ")
  text = text:gsub("&(#?%w+);", entities)
  text = text:gsub("[ \t]+", " "):gsub(" ?\n ?", "\n"):gsub("\n\n+", "\n\n")
  return shorten(text:match("^%s*(.-)%s*$"), bytes or 8000)
end

return M
