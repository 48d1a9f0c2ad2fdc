--- Limits and breakers, with real processes on one database and the mock as the provider.
local monotime = require("system").monotime
local content = dofile "spec/content.lua"

describe("limits", function()
  local dir, server

  before_each(function()
    dir = content.folder()
    os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir))
    content.write(dir .. "/prompts/say.prompt",
      "---\ninput: { schema: { n: integer } }\noutput: { schema: { ok: boolean } }\n"
        .. "tidemill.retries: 0\ntidemill.repair: 0\n---\nSay {{n}}.\n")
    content.write(dir .. "/workflows/many.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "many" {}

flow:step "say" {
  run = function(n) return mill.llm("say", { n = n }) end,
  fallback = function(_, err) return { class = err.class } end,
}

function flow.main(input)
  local list = {}
  for n = 1, input.n do list[n] = n end
  return mill.map(list, flow.say)
end

return flow
]])
  end)
  after_each(function()
    if server then server.stop() end
    server = nil
    content.remove(dir)
  end)

  local function settings(limits)
    content.write(dir .. "/tidemill.yaml", "model: openai/m\nlimits:\n" .. limits)
  end

  local function env()
    return ("OPENAI_API_KEY=sk-canary-4711 OPENAI_BASE_URL=http://127.0.0.1:%s/v1")
      :format(server.port)
  end

  --- `processes` runs of `n` calls each, all at once; when the requests came, in ms after the
  -- runs were started, sorted.
  local function run_together(processes, n)
    local lines = {}
    for i = 1, processes do
      local line = "%s tidemill run many -q --input '{\"n\":%d}' >out%d 2>&1 &"
      lines[i] = line:format(env(), n, i)
    end
    lines[#lines + 1] = "wait"
    local began = monotime() * 1000 // 1 -- the mock looks at the same clock
    local got = content.shell(dir, table.concat(lines, "\n"))
    local times = {}
    for _, request in ipairs(server.get "/log") do
      times[#times + 1] = request.ms - began
    end
    table.sort(times)
    local outs = ""
    for i = 1, processes do outs = outs .. content.read(("%s/out%d"):format(dir, i)) end
    return times, outs .. got.err
  end

  local function run(n, ...)
    local input = ('{"n":%d}'):format(n)
    return content.tidemill(dir, { "run", "many", "--input", input, ... }, env())
  end

  --- How often each class stands in a result; "ok" for an answer.
  local function classes(result)
    local counts = {}
    for _, one in ipairs(result) do
      local class = one.class or "ok"
      counts[class] = (counts[class] or 0) + 1
    end
    return counts
  end

  it("are kept by two processes together", function()
    server = content.serve { { answer = { ok = true } } }
    settings "  openai: { requests_per_minute: 600 }\n"
    local times, said = run_together(2, 20)
    assert.equal(40, #times, said)
    -- Ten at once and ten a second after that: each for itself would be done in one second.
    assert.truthy(times[40] >= 2900, times[40])
    for from = 1, 40 do
      local within = 0
      for to = from, 40 do
        if times[to] - times[from] < 1000 then within = within + 1 end
      end
      -- Twice the rate in a second, and what was taken as shares before it.
      assert.truthy(within <= 20 + 10, within)
    end
  end)

  it("of requests under way are kept by two processes together", function()
    server = content.serve { { answer = { ok = true }, delay_ms = 60 } }
    settings "  openai/m: { concurrent: 3 }\n"
    local times, said = run_together(2, 9)
    assert.equal(18, #times, said)
    for i, at in ipairs(times) do
      local inside = 0
      for k = 1, i do
        if times[k] + 58 > at then inside = inside + 1 end
      end
      assert.truthy(inside <= 3, inside)
    end
  end)

  it("are learned from what the provider tells", function()
    server = content.serve { { answer = { ok = true }, headers = {
      ["x-ratelimit-limit-requests"] = "10", ["x-ratelimit-remaining-requests"] = "0",
      ["x-ratelimit-reset-requests"] = "2s" } } }
    settings "  breaker: false\n"
    assert.equal(0, run(1, "-q").code)
    local times = run_together(2, 2)
    assert.equal(5, #times)
    -- One in 200 ms, told by the first process; after the second the others wait again.
    assert.truthy(times[5] - times[1] >= 400, times[5] - times[1])
    local doctor = content.tidemill(dir, { "doctor", "--json" }, env())
    assert.equal("openai/m", doctor.json.limits[1].model)
    assert.equal(10, doctor.json.limits[1].told.requests.limit)
  end)

  it("that make a call wait are seen", function()
    server = content.serve { { answer = { ok = true } } }
    settings "  openai: { requests_per_minute: 40 }\n"
    local got = run(2)
    assert.equal(0, got.code, got.err)
    assert.truthy(got.err:find("waiting for the rate limit of openai", 1, true), got.err)
  end)

  it("that are misspelt are refused with the place", function()
    server = content.serve {}
    settings "  openai: { requests_per_minutes: 40 }\n"
    local got = run(1)
    assert.equal(3, got.code)
    assert.truthy(got.err:find('tidemill.yaml: limits: openai: "requests_per_minutes" is not a '
      .. "setting", 1, true), got.err)
    settings "  opnai: { concurrent: 4 }\n"
    got = content.tidemill(dir, { "doctor" }, env())
    assert.equal(3, got.code)
    assert.truthy(got.out:find('no provider is called "opnai"', 1, true), got.out)
  end)

  describe("of what fails", function()
    local breaker = "  breaker: { errors: 0.5, bad_outputs: 0.5, calls: 4, cool_down: 1h }\n"

    local function break_it(rule)
      server = content.serve { rule }
      settings(breaker)
      local got = run(6, "-q")
      assert.equal(0, got.code, got.err)
      return run(5, "-q")
    end

    it("open a breaker, and the fallback is taken at once", function()
      local got = break_it { fault = "500" }
      assert.equal(0, got.code, got.err)
      assert.same({ unavailable = 5 }, classes(got.json))
      local requests = #server.get "/log"
      assert.truthy(requests <= 6)
      local doctor = content.tidemill(dir, { "doctor" }, env())
      assert.equal(3, doctor.code)
      assert.truthy(doctor.out:find("FAIL  breakers", 1, true), doctor.out)
      local why = "openai/m: open, 4 of the last 4 attempts failed (server_error)"
      assert.truthy(doctor.out:find(why, 1, true), doctor.out)
      assert.is_nil(doctor.out:find("canary", 1, true))
      doctor = content.tidemill(dir, { "doctor", "--json" }, env())
      local lane = doctor.json.limits[1]
      assert.equal("openai/m", lane.model)
      assert.equal("open", lane.breaker.state)
      assert.truthy(lane.breaker["until"]:match "^20%d%d%-")
    end)

    it("open a breaker for many short processes, too", function()
      server = content.serve { { fault = "500" } }
      settings "  breaker: { errors: 0.9, calls: 10, cool_down: 1h }\n"
      for i = 1, 10 do
        assert.same({ server_error = 1 }, classes(run(1, "-q").json), i)
        local lane = content.tidemill(dir, { "doctor", "--json" }, env()).json.limits[1]
        assert.same(i < 10 and { answered = 0, failed = i, broken = 0 } or nil, lane.recent)
        assert.equal(i == 10 and "open" or nil, lane.breaker and lane.breaker.state)
      end
      assert.same({ unavailable = 1 }, classes(run(1, "-q").json))
      assert.equal(10, #server.get "/log")
    end)

    it("do not open it for short processes that are mostly answered", function()
      local rules = { { fault = "500", times = 1 } }
      for i = 2, 10 do
        rules[i] = { times = 1, answer = i % 3 ~= 0 and { ok = true } or nil,
          fault = i % 3 == 0 and "500" or nil }
      end
      server = content.serve(rules)
      settings "  breaker: { errors: 0.75, calls: 6, cool_down: 1h }\n"
      for _ = 1, 10 do assert.is_nil(classes(run(1, "-q").json).unavailable) end
      local lane = content.tidemill(dir, { "doctor", "--json" }, env()).json.limits[1]
      assert.is_nil(lane.breaker)
      assert.equal(6, lane.recent.answered + lane.recent.failed)
    end)

    it("leave nothing behind while all is well", function()
      server = content.serve { { answer = { ok = true } } }
      settings(breaker)
      run(6, "-q")
      assert.same({}, content.tidemill(dir, { "doctor", "--json" }, env()).json.limits)
    end)

    it("leave the rungs and limits of the fallback model as they are", function()
      server = content.serve { { fault = "500" } }
      local other = content.serve { { answer = { { ok = "bad" }, { ok = true } } } }
      finally(function() other.stop() end)
      content.write(dir .. "/prompts/say.prompt",
        "---\ninput: { schema: { n: integer } }\noutput: { schema: { ok: boolean } }\n"
          .. "tidemill.retries: 0\ntidemill.repair: 0\n"
          .. "tidemill.tries: [{}, { temperature: 0 }]\n"
          .. "tidemill.fallback: [anthropic/b]\n---\nSay {{n}}.\n")
      settings("  anthropic: { concurrent: 1 }\n" .. breaker)
      local keys = ("%s ANTHROPIC_API_KEY=k ANTHROPIC_BASE_URL=http://127.0.0.1:%s")
        :format(env(), other.port)
      local function go(n)
        return content.tidemill(dir,
          { "run", "many", "-q", "--input", ('{"n":%d}'):format(n) }, keys)
      end
      local got = go(6)
      assert.equal(0, got.code, got.err)
      assert.same({ ok = 6 }, classes(got.json))
      local before = #server.get "/log"
      assert.same({ ok = 5 }, classes(go(5).json))
      assert.equal(before, #server.get "/log") -- it stays shut for the next process, too
      assert.equal(6 + 5 + 1, #other.get "/log") -- and one answer was no good
    end)

    it("count answers that break their schema", function()
      local got = break_it { answer = { ok = "yes" } }
      assert.same({ unavailable = 5 }, classes(got.json))
      local doctor = content.tidemill(dir, { "doctor" }, env())
      assert.truthy(doctor.out:find("broke their schema (bad_output)", 1, true), doctor.out)
    end)

    it("let one probe through after the cool-down, which closes it", function()
      server = content.serve { { fault = "500", times = 4 }, { answer = { ok = true } } }
      settings "  breaker: { errors: 0.5, calls: 4, cool_down: 10ms }\n"
      run(4, "-q")
      local got = run(6, "-q")
      assert.truthy(classes(got.json).ok >= 1, got.out)
      got = run(6, "-q")
      assert.same({ ok = 6 }, classes(got.json))
      local doctor = content.tidemill(dir, { "doctor" }, env())
      assert.equal(0, doctor.code, doctor.out)
      assert.truthy(doctor.out:find("breakers         all closed", 1, true), doctor.out)
    end)

    it("leave a provider alone that fails three times out of ten", function()
      local rules = {}
      for _ = 1, 30 do
        for _ = 1, 3 do rules[#rules + 1] = { fault = "500", times = 1 } end
        for _ = 1, 7 do rules[#rules + 1] = { answer = { ok = true }, times = 1 } end
      end
      server = content.serve(rules)
      settings "  openai: { concurrent: 50 }\n"
      local got = run(300, "-q")
      assert.same({ ok = 210, server_error = 90 }, classes(got.json))
    end)
  end)
end)
