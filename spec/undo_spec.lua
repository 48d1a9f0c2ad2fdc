--- What happens to the effects of a run that does not end well: undo, deadlines, windows.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "trip" { %s }
local function book(name)
  return flow:action(name) {
    key = function(a) return name .. a.id end,
    host = true,
    undo = function(args, result, key)
      mill.file.append("undone.txt", name .. " " .. result.ref .. " " .. key .. "\n")
    end,
  }
end
local flight, hotel, car = book "flight", book "hotel", book "car"
function flow.main(input)
  flight(input)
  mill.log "flight booked"
  hotel(input)
  if input.wait then mill.gate("go_on", { ask = "Go on?" }) end
  if input.sleep then mill.sleep(input.sleep) end
  car(input)
  return "booked"
end
return flow
]]

describe("undo", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/trip.lua", workflow:format "")
  end)
  after_each(function() content.remove(dir) end)

  local function hosts(car)
    local function ref(name) return function() return { ref = name:upper() } end end
    return { flight = ref "f", hotel = ref "h", car = car or ref "c" }
  end

  local function undone() return content.read(dir .. "/undone.txt") end

  local reversed = "hotel H undo hotelx\nflight F undo flightx\n"

  it("does nothing for a run that ends well", function()
    local r = kit.run("trip", { id = "x" }, { dir = dir, actions = hosts() })
    assert.equal("booked", r.value)
    assert.is_nil(undone())
  end)

  it("goes back through what was done when the run fails, last first", function()
    local r = kit.run("trip", { id = "x" },
      { dir = dir, actions = hosts(function() error("no car left") end) })
    assert.equal("failed", r.state)
    assert.matches("no car left", r.error.message, 1, true)
    assert.equal(reversed, undone())
  end)

  it("goes back when a person says no", function()
    local r = kit.run("trip", { id = "x", wait = true },
      { dir = dir, actions = hosts(), gates = { go_on = false } })
    assert.equal("rejected", r.error.kind)
    assert.equal(reversed, undone())
  end)

  it("goes back when the run is cancelled, also after a restart", function()
    local h = kit.start("trip", { id = "x", wait = true }, { dir = dir, actions = hosts() })
    h:restart()
    h.engine:control(h.id, "cancel", { note = "changed plans" })
    h.engine:run(h.id)
    assert.equal("cancelled", h:state())
    assert.equal(reversed, undone())
    h:close()
  end)

  it("goes back when the run is cancelled and its script catches that", function()
    content.write(dir .. "/workflows/trip.lua", (workflow:format ""):gsub("  if input.wait.-\n",
      '  pcall(mill.gate, "go_on", { ask = "Go on?" })\n  do return "never mind" end\n'))
    local h = kit.start("trip", { id = "x" }, { dir = dir, actions = hosts() })
    h.engine:control(h.id, "cancel", { note = "changed plans" })
    h.engine:run(h.id)
    assert.equal("cancelled", h:state())
    assert.equal(reversed, undone())
    h:close()
  end)

  it("undoes each effect once, wherever the process dies", function()
    local report = kit.crash_everywhere("trip", { id = "x", wait = true }, {
      dir = dir, actions = hosts(), gates = { go_on = false },
      reset = function() os.remove(dir .. "/undone.txt") end,
      -- The file does not honour keys: a line may come twice, never under another key.
      observe = function()
        local seen, list = {}, {}
        for line in (undone() or ""):gmatch "[^\n]+" do
          if not seen[line] then list[#list + 1] = line end
          seen[line] = true
        end
        return table.concat(list, ";")
      end,
    })
    assert.is_true(report.points > 8)
  end)

  it("names what could not be undone, and goes on with the rest", function()
    content.write(dir .. "/workflows/trip.lua", (workflow:format ""):gsub(
      'mill.file.append%("undone', 'if name == "hotel" then error("hotel is shut") end %0'))
    local r = kit.run("trip", { id = "x" },
      { dir = dir, actions = hosts(function() error("no car left") end) })
    assert.equal("flight F undo flightx\n", undone())
    assert.equal("hotel", r.error.not_undone[1].action)
    assert.matches("hotel is shut", r.error.not_undone[1].message, 1, true)
  end)

  it("goes back when the run's deadline passes", function()
    content.write(dir .. "/workflows/trip.lua", workflow:format 'deadline = "2d"')
    local r = kit.run("trip", { id = "x", sleep = "3d" }, { dir = dir, actions = hosts() })
    assert.equal("timeout", r.error.kind)
    assert.equal(reversed, undone())
    local early = kit.run("trip", { id = "y", sleep = "1d" }, { dir = dir, actions = hosts() })
    assert.equal("booked", early.value)
  end)
end)

describe("an action whose body raises", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
  end)
  after_each(function() content.remove(dir) end)

  local function run(body, opts)
    content.write(dir .. "/workflows/w.lua", ([[
      local mill = require "tidemill"
      local flow = mill.workflow "w" {}
      local act = flow:action "act" { key = function() return "k" end, on_unknown = "ask",
        run = function() %s end }
      function flow.main() return act {} end
      return flow]]):format(body))
    opts = opts or {}
    opts.dir = dir
    return kit.run("w", {}, opts)
  end

  it("before it did anything has failed, and its key is free", function()
    local r = run [[ mill.file.read "none" error("not today") ]]
    assert.equal("failed", r.state)
    assert.matches("not today", r.error.message, 1, true)
  end)

  it("after it did something is in doubt, and a person is asked", function()
    local body = [[ mill.file.append("a.txt", "x") error("the receipt is odd") ]]
    assert.equal("waiting", run(body).state)
    local r = run(body, { gates = { act = { approve = true, answer = "it happened" } } })
    assert.equal("it happened", r.value)
  end)
end)

describe("an action that lost a race", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/race.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "race" {}
      local quick = flow:action "quick" { repeatable = true,
        run = function() return "quick" end }
      local slow = flow:action "slow" { key = function(a) return a.id end,
        run = function(_, key)
          mill.exec { "sleep", "0.1" }
          mill.file.append("slow.txt", key .. "\n")
          return "slow"
        end }
      function flow.main()
        local order = {}
        local winner = mill.race {
          function() order[#order + 1] = slow { id = "s" } return "slow" end,
          function() order[#order + 1] = quick {} quick {} return "quick" end,
        }
        order[#order + 1] = "after " .. winner
        return order
      end
      return flow]])
  end)
  after_each(function() content.remove(dir) end)

  it("is not cut off between intent and result, and its branch goes no further", function()
    local r = kit.run("race", {}, { dir = dir })
    assert.same({ "quick", "after quick" }, r.value)
    assert.equal("s\n", content.read(dir .. "/slow.txt"))
    assert.equal("slow", r:called("slow")[1].value)
  end)

  it("ends the same wherever the process dies", function()
    local report = kit.crash_everywhere("race", {}, { dir = dir,
      reset = function() os.remove(dir .. "/slow.txt") end })
    assert.is_true(report.points >= 5)
  end)
end)

describe("an action's result", function()
  it("may look like the host's own orders", function()
    local dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
    content.write(dir .. "/workflows/w.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "w" {}
      local odd = flow:action "odd" { repeatable = true,
        run = function() return { enter = "run", key = "k" } end }
      function flow.main() local r = odd {} mill.sleep("1d") return r end
      return flow]])
    local h = kit.start("w", {}, { dir = dir })
    h:restart()
    h:advance("2d")
    assert.same({ enter = "run", key = "k" }, h:result())
    h:close()
    content.remove(dir)
  end)
end)
