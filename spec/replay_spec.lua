--- Replays in fresh processes, each in another environment: the same bytes every time.
--
-- Fifty journals, fresh ones and the golden ones of earlier days. Each is played in some of the
-- 20 environments, those that provoke differences in half of them; TIDEMILL_ALL_POINTS=1 plays
-- all in all.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local ALL = os.getenv "TIDEMILL_ALL_POINTS"
local ZONES = { "UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Europe/Berlin" }
local LANGUAGES = { "C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8" }

-- What differs from process to process in a stock Lua, all of it in requests and in the result.
local PROVOKER = [[
local mill = require "tidemill"
local flow = mill.workflow "provoker" { about = "Ask for what differs in each process." }

function flow.main(input)
  local bag, order, rows = {}, {}, {}
  for i = 1, 40 do bag["key" .. (i * 7919 % 101)] = i end
  for key, value in pairs(bag) do order[#order + 1] = key .. "=" .. value end
  for i = 1, 200 do rows[i] = { rank = i % 3, id = i } end
  table.sort(rows, function(a, b) return a.rank < b.rank end)
  for i, row in ipairs(rows) do rows[i] = row.id end
  local told = {
    order = order, sorted = rows, table = tostring({}), ["function"] = tostring(pairs),
    upper = ("straße ı"):upper(), number = tostring(1234.5), less = "ä" < "z",
    dice = { math.random(), mill.random(1, 6) }, nothing = tostring(os),
    now = mill.now(), uuid = mill.uuid(), error = select(2, pcall(error, {})) ~= nil,
  }
  mill.log("told", told)
  local results = mill.map({ 3, 1, 2 }, function(n)
    mill.sleep(n / 1000)
    order[#order + 1] = n
    return { n = n, first = order[41], roll = math.random(100) }
  end)
  return { told = told, results = results, input = input }
end

return flow
]]

describe("a replay in another process", function()
  local dir, runs, provoked

  local function tidemill(...) return content.tidemill(dir, { ... }) end

  --- Play it to its end; every gate is approved with an answer that its schema takes.
  local function finish(id, workflow, input)
    local got = tidemill("run", workflow, "--id", id, "--input", input)
    for _, answer in ipairs { '"billing"', "true", '"yes"', "{}" } do
      if got.code ~= 8 then break end
      local again = tidemill("approve", id)
      if again.code == 2 then again = tidemill("approve", id, "--answer", answer) end
      if again.code ~= 2 then got = again end
    end
    if got.code == 0 or got.code == 1 then runs[#runs + 1] = id end
    return got
  end

  setup(function()
    dir, runs, provoked = content.project(), {}, {}
    content.write(dir .. "/workflows/provoker.lua", PROVOKER)
    for i = 1, 4 do
      local got = finish("provoked-" .. i, "provoker", '{"n":' .. i .. "}")
      assert.equal(0, got.code, got.err)
      provoked["provoked-" .. i] = true
    end
    for prefix, workflow in pairs {
      ticket = "support_ticket", call = "call_debrief", email = "sales_email",
    } do
      for _, name in ipairs(content.samples(prefix)) do
        finish(name, workflow, "@workflows/samples/" .. name .. ".json")
      end
    end
    local list = io.popen "ls spec/golden/*.capsule"
    local here = assert(io.popen "pwd"):read "l"
    for path in list:lines() do
      local got = tidemill("import", here .. "/" .. path)
      assert.equal(0, got.code, path .. ": " .. got.err)
      runs[#runs + 1] = cjson.decode(content.read(path)).run.id
    end
    list:close()
    table.sort(runs)
  end)
  teardown(function() content.remove(dir) end)

  local function environments()
    local list = {}
    for _, zone in ipairs(ZONES) do
      for _, language in ipairs(LANGUAGES) do
        list[#list + 1] = ("TZ=%s LANG=%s LC_ALL=%s"):format(zone, language, language)
      end
    end
    return list
  end

  --- The verdict of a replay, and the journal as it is printed.
  local function replayed(environment, id)
    local script = "tidemill replay %s --json && tidemill show %s --json && "
      .. "tidemill show %s --raw"
    return content.shell(dir, ("export %s; "):format(environment) .. script:gsub("%%s", id))
  end

  local function check(id, environment, first)
    local got = replayed(environment, id)
    assert.equal(0, got.code, id .. " " .. environment .. got.out .. got.err)
    assert.equal(first, got.out, id .. " " .. environment)
  end

  it("gives identical bytes whatever the zone, the language and the addresses", function()
    local list = environments()
    assert.equal(20, #list)
    assert.truthy(#runs >= 50, #runs)
    for i, id in ipairs(runs) do
      local first = replayed("TZ=UTC", id).out
      assert.truthy(first:find("equal", 1, true), id .. first)
      for at, environment in ipairs(list) do
        if ALL or provoked[id] and at % 2 == i % 2 or at % 7 == i % 7 then
          check(id, environment, first)
        end
      end
    end
  end)

  it("leaves the journal as it was", function()
    local before = tidemill("show", runs[1], "--raw").out
    assert.equal(0, tidemill("replay", runs[1]).code)
    assert.equal(before, tidemill("show", runs[1], "--raw").out)
  end)
end)
