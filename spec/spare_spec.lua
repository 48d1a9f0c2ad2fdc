--- Runs of one process share the loading of their file, and nothing that a run did or learned.
local content = dofile "spec/content.lua"

describe("a run that comes after others in the same process", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/parent.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "parent" {}
function flow.main(input)
  local results = {}
  for i = 1, 6 do
    local ok, got = pcall(mill.call, "child", { i = i })
    if ok then results[i] = got else results[i] = got.message:match "([^:]+)$" end
  end
  return results
end
return flow
]])
  end)
  after_each(function() content.remove(dir) end)

  --- workflows/child.lua: what stands before its main, and its main.
  local function child(head, main)
    content.write(dir .. "/workflows/child.lua", ([[
local mill = require "tidemill"
local flow = mill.workflow "child" {}
%s
function flow.main(input)
%s
end
return flow
]]):format(head, main))
  end

  --- What six children gave, one after the other.
  local function six(env)
    local r = content.tidemill(dir, { "run", "parent", "--id", "p" }, env)
    assert.equal(0, r.code, r.err)
    return r.json
  end

  --- Each of them replays in a process of its own, where no other run was before it.
  local function replays_alone()
    local count = 0
    for _, run in ipairs(content.tidemill(dir, { "list", "--json" }).json.runs) do
      local r = content.tidemill(dir, { "replay", run.id })
      assert.equal(0, r.code, r.err)
      count = count + 1
    end
    assert.equal(7, count)
  end

  it("finds the file's own variables as they were declared", function()
    child("local n, list = 0, {}\ncounted = 0", [[
  n, counted, list[#list + 1] = n + 1, counted + 1, input.i
  late = (late or 0) + 1
  return { n, counted, late, list ]] .. "}")
    for i, got in ipairs(six()) do assert.same({ 1, 1, 1, { i } }, got) end
    replays_alone()
  end)

  it("finds the library and its tables as they are", function()
    child("", [[
  local found = not rawget(mill, "mark") and flow.extra == nil and math.extra == nil
  mill.mark, flow.extra = true, true
  local ok = pcall(function() math.extra = 1 end)
  getmetatable(flow).__index.extra = true
  return found and not ok]])
    for _, got in ipairs(six()) do assert.is_true(got) end
  end)

  it("throws its own dice, also while the file loads", function()
    child("local early = math.random(1 << 40)", "return { early, math.random(1 << 40) }")
    local seen = {}
    for _, got in ipairs(six()) do
      assert.is_nil(seen[got[1]] or seen[got[2]])
      seen[got[1]], seen[got[2]] = true, true
    end
    replays_alone()
  end)

  it("throws other dice than the run before it, when only its main does", function()
    child("", "return math.random(1 << 40)")
    local seen = {}
    for _, got in ipairs(six()) do
      assert.is_nil(seen[got])
      seen[got] = true
    end
    replays_alone()
  end)

  it("keeps the settings that its file reads while it loads", function()
    child('local place = mill.env "PLACE"', "return place")
    assert.same({ "Kiel", "Kiel", "Kiel", "Kiel", "Kiel", "Kiel" }, six "PLACE=Kiel")
    replays_alone()
  end)

  it("is not touched by one that failed, ran wild or grew large", function()
    child("local n = 0", [[
  n = n + 1
  if input.i == 2 then error { kind = "x", message = "failed" } end
  if input.i == 3 then
    local grown = {}
    for i = 1, 20000 do grown[i] = { i } end
    return #grown
  end
  if input.i == 4 then local s = ("x"):rep(1 << 20) return #s end
  local function fail() error { kind = "y", message = "in a branch" } end
  if input.i == 5 then mill.all { fail } end
  return n]])
    assert.same({ 1, " failed", 20000, 1 << 20, " in a branch", 1 }, six())
  end)

  it("takes back what it did itself, and not what another one did", function()
    child([[
local book = flow:action "book" {
  key = function(args) return "k" .. args.i end,
  on_unknown = "retry",
  run = function(args) return args end,
  undo = function(args) mill.file.append("undone.txt", args.i .. "\n") return true end,
}
]], [[
  if input.i < 3 then book { i = input.i } end
  error { kind = "x", message = "no" }]])
    assert.same({ " no", " no", " no", " no", " no", " no" }, six())
    assert.equal("1\n2\n", content.read(dir .. "/undone.txt"))
  end)
end)
