--- The Big List of Naughty Strings, when it lies beside the project: each is only text to a
-- run, its journal, a model, a person and an action, and comes back as it was.
local kit = require "tidemill.test"
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local LIST = "../shared/suites/naughty-strings/blns.json"

local WORKFLOW = [[
local mill = require "tidemill"
local text = { type = "string" }
local flow = mill.workflow "naughty" {
  input = { type = "object", properties = { texts = { type = "array", items = text } } },
  state = { type = "object", properties = { last = text } },
}
local keep = flow:action "keep" {
  repeatable = true,
  run = function(args) return { kept = args.text } end,
}
function flow.main(input)
  local out = {}
  for i, s in ipairs(input.texts) do
    local answer = mill.llm("echo", { text = s })
    local said, meta = mill.gate("person", { ask = s, show = { text = s }, answer = text })
    mill.state.last = s
    out[i] = { text = s, model = answer.text, said = said, note = meta.note,
      kept = keep { text = s }.kept, state = mill.state.last, [s] = s }
  end
  return { all = mill.array(out) }
end
return flow
]]

local PROMPT = [[
---
input: { schema: { text: string } }
output: { schema: { text: string } }
---
{{role "system"}}Say it again.
{{role "user"}}<{{text}}>]]

describe("naughty strings", function()
  local file = content.read(LIST)
  if not file then
    return pending("the list is not there")
  end
  local texts = cjson.decode(file)
  local dir

  setup(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/naughty.lua", WORKFLOW)
    content.write(dir .. "/prompts/echo.prompt", PROMPT)
  end)
  teardown(function() content.remove(dir) end)

  -- Parts of the list, because a run that waits for a person is replayed when it goes on: 500
  -- gates in one run would be 500 replays of all before them.
  local parts = {}
  for i, s in ipairs(texts) do
    if i % 40 == 1 then parts[#parts + 1] = {} end
    table.insert(parts[#parts], s)
  end

  local function expected(part)
    local all = {}
    for i, s in ipairs(part) do
      all[i] = { text = s, model = s, said = s, note = s, kept = s, state = s, [s] = s }
    end
    return { all = all }
  end

  local function person(part)
    local i = 0
    return function()
      i = i + 1
      return { approve = true, answer = part[i], note = part[i], by = "person" }
    end
  end

  local function check(part)
    local r = kit.run("naughty", { texts = part }, {
      dir = dir,
      model = { echo = function(vars) return { text = vars.text } end },
      gates = { person = person(part) },
    })
    assert.equal("done", r.state, r.error and r.error.message)
    assert.same(expected(part), r.value)
    for i, s in ipairs(part) do
      assert.same({
        { role = "system", content = { { text = "Say it again.\n" } } },
        { role = "user", content = { { text = "<" .. s .. ">" } } },
      }, r.asked[i].request.messages)
    end
    assert.equal(#part, #r.gates)
    for _, gate in ipairs(r.gates) do
      assert.same({ answer = gate.show.text, note = gate.show.text }, gate.decision)
    end
  end

  local function check_restarted(part)
    local run = kit.start("naughty", { texts = part }, {
      dir = dir,
      model = { echo = function(vars) return { text = vars.text } end },
    })
    for i, s in ipairs(part) do
      if i % 20 == 0 or i == #part then run:restart() end
      assert(run:approve("person", { answer = s, note = s }))
    end
    assert.equal("done", run:state())
    assert.same(expected(part), (run:result()))
    run:close()
  end

  it("come back from input, model, gate, note, action, state and result", function()
    assert.is_true(#texts > 500)
    for _, part in ipairs(parts) do check(part) end
  end)

  it("come back from the journal of another process", function()
    for _, part in ipairs(parts) do check_restarted(part) end
  end)
end)
