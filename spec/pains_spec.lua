--- docs/pains.md: what it names is there, and the small proofs that had no other place.
local content = dofile "spec/content.lua"

describe("docs/pains.md", function()
  local text = content.read "docs/pains.md"

  it("has all twenty-five", function()
    for n = 1, 25 do assert.truthy(text:find(("\n| P%d |"):format(n), 1, true), "P" .. n) end
  end)

  --- "`file`: name" or "`file`: \"sentence\"", as often as it comes.
  local function proofs()
    local list = {}
    for file, sentence in text:gmatch '`(spec/[%w_/]+%.%a+)`: "([^"]+)"' do
      list[#list + 1] = { file = file, name = sentence }
    end
    for file, name in text:gmatch "`(spec/c/[%w_]+%.c)`: ([%w_]+)" do
      list[#list + 1] = { file = file, name = ("CHECK_RUN(%s)"):format(name) }
    end
    return list
  end

  it("names only proofs that exist", function()
    local list = proofs()
    assert.truthy(#list > 40)
    for _, proof in ipairs(list) do
      local source = assert(content.read(proof.file), proof.file)
      assert.truthy(source:find(proof.name, 1, true), proof.file .. ": " .. proof.name)
    end
  end)

  it("has a proof, or an honest word, in every row", function()
    for row in text:gmatch "\n(| P%d[^\n]*)" do
      assert.truthy(row:find("`spec/", 1, true) or row:find("not yet", 1, true), row)
    end
  end)
end)

describe("an error", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert(os.execute("mkdir " .. dir .. "/workflows"))
  end)
  after_each(function() content.remove(dir) end)

  local function run(body)
    content.write(dir .. "/workflows/w.lua", ([[
local mill = require "tidemill"
local flow = mill.workflow "w" { about = "For its errors." }
%s
return flow
]]):format(body))
    return content.tidemill(dir, { "run", "w", "--id", "r", "--input", "{}" })
  end

  it("that crosses a primitive is a plain table, with no address and no traceback", function()
    local got = run [[
local act = flow:action "act" {
  key = function() return "k" end, on_unknown = "ask",
  run = function() error({ kind = "refused", message = "no", inner = tostring({}) }) end,
}
function flow.main()
  local _, of_action = pcall(act, {})
  local ask = { ask = "?", deadline = 0.01, on_timeout = "fail" }
  local _, of_gate = pcall(mill.gate, "late", ask)
  return { action = of_action, gate = of_gate }
end]]
    assert.equal(0, got.code, got.err)
    assert.equal("no", got.json.action.message)
    assert.equal("timeout", got.json.gate.kind)
    assert.falsy(got.out:find "0x%x+" or got.out:find "traceback")
  end)

  it("of a value that is too large names the call, and sends nothing", function()
    local got = run [[
local act = flow:action "act" {
  key = function() return "k" end, on_unknown = "ask",
  run = function() mill.file.append("sent.txt", "sent") end,
}
function flow.main()
  local big, list = ("x"):rep(1024 * 1024), {}
  for i = 1, 40 do list[i] = big end
  act { list = list }
end]]
    assert.truthy(got.code == 1 or got.code == 10, got.code .. got.err)
    local why = content.tidemill(dir, { "show", "r" }).out
    assert.truthy(why:find "workflows/w.lua:%d+: the value is too large", why)
    assert.falsy(content.read(dir .. "/sent.txt"))
  end)
end)
