--- Run capsules in specs: replaying one, and writing the spec that does. Used by tidemill.test
-- and `tidemill test --from`.
-- @module tidemill.test_capsule
local engine = require("tidemill.engine")

local M = {}

local function read(path)
  local file, err = io.open(path, "rb")
  if not file then error("tidemill.test: " .. err, 0) end
  local text = file:read("a")
  file:close()
  return text
end

--- Verify the capsule in a file and replay it in a store of its own: no keys, no network. opts:
-- sources = "disk" (the project's, as they are now; nil: the capsule's own), dir.
-- @treturn table {verdict = "equal" | "diverged", records, message, …}
function M.replay(path, opts)
  opts = opts or {}
  local e, err = engine.open({ dir = opts.dir or ".", db = "memory:", clock = "virtual" })
  local id, doc
  if e then id, err = e:import(read(path)) end
  if id then doc, err = e:examine(id, "replay", { sources = opts.sources }) end
  if e then e:close() end
  if not doc then error(("tidemill.test: %s: %s"):format(path, err.message), 0) end
  return doc
end

local TEMPLATE = [[
--- Run %s of %s, recorded: its script has to ask for the same, in the same order.
local kit = require("tidemill.test")

describe("the recorded run %s", function()
  local capsule = "spec/capsules/%s.capsule"

  it("replays on the sources it was made with", function()
    local got = kit.replay(capsule)
    assert.equal("equal", got.verdict, got.message)
  end)

  -- Delete this case when the workflow is meant to ask for something else.
  it("replays on the project's sources", function()
    local got = kit.replay(capsule, { sources = "disk" })
    assert.equal("equal", got.verdict, got.message)
  end)
end)
]]

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  assert(file:close())
end

--- Keep the capsule of a file under spec/capsules, with a spec beside it.
-- @treturn string the spec's path
function M.write_spec(path)
  local text = read(path)
  local ok, doc = pcall(require("cjson").decode, text)
  local run = ok and type(doc) == "table" and doc.run
  if type(run) ~= "table" or type(run.id) ~= "string" or not run.id:find("^[%w_.-]+$") then
    error(path .. " is no run capsule (`tidemill export RUN` makes one)", 0)
  end
  M.replay(path) -- one that does not verify gets no spec
  assert(os.execute("mkdir -p spec/capsules"))
  write(("spec/capsules/%s.capsule"):format(run.id), text)
  local spec = ("spec/capsules/%s_spec.lua"):format(run.id)
  write(spec, TEMPLATE:format(run.id, run.workflow, run.id, run.id))
  return spec
end

return M
