--- busted's output for `tidemill test`: a paragraph for each failure, and as the last line
-- "N passed, N failed" (", N skipped" when there are any).
-- @module tidemill.test_report
local pretty = require("pl.pretty")

local function text_of(message)
  if message == nil then return "it failed without a message" end
  return type(message) == "string" and message or pretty.write(message)
end

local function indent(text)
  return "    " .. text:gsub("%s+$", ""):gsub("\n", "\n    ")
end

local function place_of(entry)
  local trace = entry.element.trace or entry.trace
  if not trace or not trace.short_src then return "" end
  return ("%s:%s: "):format(trace.short_src, trace.currentline)
end

return function(options)
  local busted = require("busted")
  local handler = require("busted.outputHandlers.base")()

  local function report(word, entry)
    local name = entry.name ~= "" and entry.name or entry.element.descriptor or "the suite"
    io.write(word, " ", place_of(entry), name, "\n")
    io.write(indent(text_of(entry.message)), "\n")
    if options.verbose and entry.trace and entry.trace.traceback then
      io.write(indent(entry.trace.traceback), "\n")
    end
  end

  --- Passed, failed, skipped; `handler.others` are those of other processes.
  function handler.counts()
    local others = handler.others or { passed = 0, failed = 0, skipped = 0 }
    return handler.successesCount + others.passed,
      handler.failuresCount + handler.errorsCount + others.failed,
      handler.pendingsCount + others.skipped
  end

  handler.suiteEnd = function()
    for _, entry in ipairs(handler.failures) do report("FAIL", entry) end
    for _, entry in ipairs(handler.errors) do report("ERROR", entry) end
    for _, entry in ipairs(handler.pendings) do
      local why = entry.message and " (" .. text_of(entry.message) .. ")" or ""
      io.write("skip ", place_of(entry), entry.name, why, "\n")
    end
    local passed, failed, skipped = handler.counts()
    io.write(("%d passed, %d failed"):format(passed, failed))
    io.write(skipped > 0 and (", %d skipped\n"):format(skipped) or "\n")
    io.flush()
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
