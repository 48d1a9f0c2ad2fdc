--- The words of a Lua 5.4 source: a list of {kind, text, from, to, line}.
--
-- `kind` is "name", "string", "number", "eof", or the word itself for keywords and operators.
-- The source has been through `load` (tidemill.syntax), so what stands here is known to be Lua.
-- @module tidemill.syntax_lex

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or
  repeat return then true until while]]):gmatch "%l+" do keywords[word] = true end

-- The longest first.
local operators = { "^%.%.%.", "^[=~<>]=", "^//", "^::", "^<<", "^>>", "^%.%.",
  "^[-+*/%%^#&~|<>=(){}%[%];:,.]" }

--- Where what is neither word nor comment begins again, from `at` on.
local function skip(source, at)
  while true do
    at = source:find("%S", at) or #source + 1
    if source:sub(at, at + 1) ~= "--" then return at end
    local equals = source:match("^%[(=*)%[", at + 2)
    local _, close
    if equals then _, close = source:find("]" .. equals .. "]", at, true) end
    at = (close or (source:find("\n", at, true) or #source)) + 1
  end
end

--- The end of the quoted string that begins at `at`.
local function quoted(source, at)
  local quote = source:sub(at, at)
  local stop = "[\\" .. quote .. "]"
  local i = source:find(stop, at + 1)
  while source:sub(i, i) == "\\" do i = source:find(stop, i + 2) end
  return i
end

--- The end of the numeral that begins at `at`.
local function numeral(source, at)
  local hex = source:find("^0[xX]", at)
  local _, to = source:find(hex and "^0[xX][%x.]*" or "^[%d.]*", at)
  local _, exponent = source:find(hex and "^[pP][+-]?%d+" or "^[eE][+-]?%d+", to + 1)
  return exponent or to
end

--- The kind and the end of the word at `at`.
local function word(source, at)
  local first = source:sub(at, at)
  if first == "" then return "eof", at - 1 end
  if first:find "[%a_]" then
    local _, to = source:find("^[%w_]+", at)
    local text = source:sub(at, to)
    return keywords[text] and text or "name", to
  end
  if source:find("^%.?%d", at) then return "number", numeral(source, at) end
  if first == '"' or first == "'" then return "string", quoted(source, at) end
  local equals = source:match("^%[(=*)%[", at)
  if equals then
    local _, to = source:find("]" .. equals .. "]", at, true)
    return "string", to
  end
  for _, pattern in ipairs(operators) do
    local _, to = source:find(pattern, at)
    if to then return source:sub(at, to), to end
  end
  error(("byte %d is no Lua"):format(at))
end

--- The words of `source`, whose lines end in "\n"; the last one is "eof".
return function(source)
  local words, at, line = {}, 1, 1
  local function count(from, to)
    local _, ends = source:sub(from, to):gsub("\n", "")
    line = line + ends
  end
  repeat
    local from = skip(source, at)
    count(at, from - 1)
    local kind, to = word(source, from)
    words[#words + 1] =
      { kind = kind, text = source:sub(from, to), from = from, to = to, line = line }
    count(from, to)
    at = to + 1
  until kind == "eof"
  return words
end
