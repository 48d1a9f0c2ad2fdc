--- Memory that runs out, at any allocation of any library: a clear end, and nothing is lost.
--
-- A preloaded library refuses the n-th allocation of the process. A test run takes some,
-- evenly spread; TIDEMILL_ALL_POINTS=1 takes all.
local content = dofile "spec/content.lua"

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "small" { input = { type = "object" } }

local line = flow:action "line" {
  key = function(args) return args.key end,
  on_unknown = "retry",
  run = function(args, key)
    local seen = mill.file.read "ledger.txt" or ""
    if not seen:find(key .. "\n", 1, true) then mill.file.append("ledger.txt", key .. "\n") end
    return { written = args.key }
  end,
}

function flow.main()
  line { key = "first" }
  local said = mill.llm("say", { name = "Ada" })
  line { key = "second" }
  return { said = said.greeting }
end

return flow
]]

local PROMPT = [[
---
model: scripted/demo
input: { schema: { name: string } }
output: { schema: { greeting: string } }
---
Greet {{name}}.
]]

local RULES = [[
return { about = "One greeting.", units = {
  say = function(vars) return { greeting = "Hello " .. vars.name } end,
} }
]]

describe("an allocation that is refused", function()
  local library = (os.getenv "TIDEMILL_BUILD" or "build/dev") .. "/librefuse.so"
  local file = io.open(library)
  if not file then
    pending("needs " .. library .. ", which a sanitized build has not")
    return
  end
  file:close()

  local dir
  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts/scripted"):format(dir, dir)))
    content.write(dir .. "/workflows/small.lua", WORKFLOW)
    content.write(dir .. "/prompts/say.prompt", PROMPT)
    content.write(dir .. "/prompts/scripted/demo.lua", RULES)
  end)
  after_each(function() content.remove(dir) end)

  local function run(setting)
    local path = library
    if path:sub(1, 1) ~= "/" then path = io.popen("pwd"):read "l" .. "/" .. path end
    local preload = setting and ("%s LD_PRELOAD=%s "):format(setting, path) or ""
    return content.shell(dir, preload .. "tidemill run small --id r --input '{}'")
  end

  it("ends the process with a message, and the next start goes on", function()
    local asked = dir .. "/asked"
    assert.equal(0, run("TIDEMILL_ASKED=" .. asked).code)
    local total = tonumber(content.read(asked))
    assert.truthy(total > 500)
    local step = os.getenv "TIDEMILL_ALL_POINTS" and 1 or total // 60
    local refused = 0
    for n = 1, total, step do
      os.execute(("rm -rf %s/.tidemill %s/ledger.txt"):format(dir, dir))
      local got = run("TIDEMILL_REFUSE=" .. n)
      local context = ("allocation %d: exit %d\n%s"):format(n, got.code, got.err)
      if got.code ~= 0 then
        refused = refused + 1
        assert.truthy(({ [2] = true, [3] = true, [10] = true, [70] = true,
          [75] = true, [127] = true })[got.code], context)
        assert.not_equal("", got.err, context)
      end
      got = run()
      if got.code == 1 or got.code == 10 then got = content.shell(dir, "tidemill retry r") end
      assert.equal(0, got.code, context .. got.err)
      assert.equal('{"said":"Hello Ada"}\n', got.out, context)
      assert.equal("first\nsecond\n", content.read(dir .. "/ledger.txt"), context)
    end
    assert.truthy(refused > 10)
  end)
end)
