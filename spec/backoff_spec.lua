--- A provider that sends us away for long: the wait outlives the process, and nothing spins.
local cjson = require "cjson"
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "w" { about = "Asks once." }
function flow.main(x)
  if x.within then return mill.within(x.within, function() return mill.llm "say" end) end
  if x.race then
    return mill.race { function() return mill.llm "say" end,
      function() mill.sleep(x.race) return "late" end }
  end
  return mill.llm "say"
end
return flow
]]

local function project()
  local dir = content.folder()
  assert(os.execute("mkdir -p " .. dir .. "/workflows " .. dir .. "/prompts"))
  content.write(dir .. "/workflows/w.lua", WORKFLOW)
  content.write(dir .. "/prompts/say.prompt", "---\ntidemill.retries: 1\n---\nSay it.\n")
  return dir
end

local function away(headers, fault)
  return { times = 1, fault = fault or "429", headers = headers }
end

local MODEL = "openai/gpt-4.1-mini"

local function env_of(server)
  return { OPENAI_API_KEY = "sk-canary-4711",
    OPENAI_BASE_URL = ("http://127.0.0.1:%s/v1"):format(server.port) }
end

describe("a wait of two minutes that a provider asks for", function()
  local dir, server, run

  local function start(input, headers, fault)
    server = content.serve { away(headers or { ["Retry-After"] = "120" }, fault),
      { answer = "Hello." } }
    run = kit.start("w", input or {}, { dir = dir, model = MODEL, env = env_of(server) })
    return run
  end

  local function requests() return #server.get "/log" end

  before_each(function() dir = project() end)
  after_each(function()
    run:close()
    server.stop()
    content.remove(dir)
  end)

  it("is a row with a due time, and one request more", function()
    start()
    assert.equal("waiting", run:state())
    assert.equal("waiting", run:advance "119s")
    assert.equal(1, requests())
    assert.equal("done", run:advance "14s") -- a tenth on top at most
    assert.equal("Hello.", run:result())
    assert.equal(2, requests())
  end)

  it("is one for vectors, too, also in another process", function()
    content.write(dir .. "/workflows/w.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "w" {}
function flow.main(x)
  if x.like then return mill.llm("like", { text = "a" }) end
  local v, meta = mill.embed({ "a", "b" }, { model = "openai/vectors" })
  return { #v, meta.attempts }
end
return flow
]])
    content.write(dir .. "/prompts/like.prompt", "---\ntidemill.cache: { similar: 0.9, "
      .. "of: text, embed: openai/vectors }\n---\nSay {{text}}\n")
    start()
    assert.equal("waiting", run:state())
    assert.equal("backoff", run.engine:get(run.id).reason[1]["for"])
    assert.equal("waiting", run:advance "100s")
    assert.equal("waiting", run:restart())
    assert.equal("waiting", run:advance "19s")
    assert.equal(1, requests())
    assert.equal("done", run:advance "14s")
    assert.same({ 2, 2 }, run:result())
    assert.equal(2, requests())
    assert.equal("equal", run.engine:examine(run.id, "replay").verdict)
    run:close()
    server.stop()
    start { like = true } -- nobody waits two minutes to look for a like answer
    assert.equal("done", run:state())
    assert.equal("Hello.", run:result())
  end)

  it("has a reason that a person understands", function()
    start()
    local info = run.engine:get(run.id)
    local reason = info.reason[1]
    assert.same({ "backoff", "say", "openai", "gpt-4.1-mini", "rate_limited" },
      { reason["for"], reason.name, reason.provider, reason.model, reason.class })
    assert.equal(info.wake_at, reason["until"])
    local _, err = run:result()
    assert.truthy(err.message:find("backs off until " .. reason["until"], 1, true), err.message)
    assert.truthy(err.message:find("the mock says 429", 1, true), err.message)
  end)

  it("goes on in another process for the rest of the time", function()
    start()
    run:advance "100s"
    assert.equal("waiting", run:restart())
    assert.equal(1, requests())
    assert.equal("done", run:advance "33s")
    assert.equal(2, requests())
  end)

  it("counts attempts and tokens on", function()
    start()
    run:restart()
    run:advance "133s"
    local done
    for _, r in ipairs(run:history()) do
      if r.record == "done" then done = r end
    end
    assert.equal(2, done.meta.attempts)
    assert.truthy(done.meta.usage.output > 0)
    assert.truthy(done.meta.usd > 0)
  end)

  it("is kept in milliseconds and as a date as well", function()
    start({}, { ["Retry-After-Ms"] = "120000" })
    assert.equal("waiting", run:advance "119s")
    assert.equal("done", run:advance "14s")
    run:close()
    server.stop()
    start({}, { Date = "Sun, 06 Nov 1994 08:49:37 GMT",
      ["Retry-After"] = "Sun, 06 Nov 1994 08:51:37 GMT" }, "503")
    assert.equal("waiting", run:advance "119s")
    assert.equal("done", run:advance "14s")
  end)

  it("is cut by mill.within", function()
    start { within = "30s" }
    assert.equal("failed", run:advance "31s")
    local _, err = run:result()
    assert.truthy(err.message:find("nothing came within 30s", 1, true), err.message)
    run:advance "10m"
    assert.equal(1, requests())
  end)

  it("loses a race like any other wait", function()
    start { race = "30s" }
    assert.equal("done", run:advance "31s")
    assert.equal("late", run:result())
    run:advance "10m"
    assert.equal(1, requests())
  end)

  it("is cut by a cancel", function()
    start()
    assert(run.engine:control(run.id, "cancel"))
    run:drive()
    assert.equal("cancelled", run:state())
    run:advance "10m"
    assert.equal(1, requests())
  end)

  it("replays, forks and is exported while it waits and behind it", function()
    start()
    for _ = 1, 2 do
      assert.equal("equal", run.engine:examine(run.id, "replay").verdict)
      assert.same({}, run.engine:examine(nil, "fsck").findings)
      run:advance "133s"
    end
    assert.equal("done", run:state())
  end)
end)

describe("a provider that wants no further request", function()
  local dir, server

  before_each(function() dir = project() end)
  after_each(function()
    server.stop()
    content.remove(dir)
  end)

  local function error_after(fault)
    server = content.serve { { fault = fault, headers = { ["Retry-After"] = "100000" } } }
    local r = kit.run("w", {}, { dir = dir, model = MODEL, env = env_of(server) })
    assert.equal("failed", r.state)
    return r.error, #server.get "/log"
  end

  it("is believed: more than a day is an error at once", function()
    local err, requests = error_after "429"
    assert.equal(1, requests)
    assert.truthy(err.message:find("more than a day", 1, true), err.message)
  end)

  it("for the money's or the key's sake is an error at once", function()
    local _, requests = error_after "quota"
    assert.equal(1, requests)
    server.stop()
    _, requests = error_after "401"
    assert.equal(1, requests)
  end)
end)

describe("following a run that waits for long", function()
  it("says so once, and leaves it alone", function()
    local dir = project()
    local server = content.serve { away { ["Retry-After"] = "600" } }
    finally(function()
      server.stop()
      content.remove(dir)
    end)
    local words = {}
    for name, value in pairs(env_of(server)) do words[#words + 1] = name .. "=" .. value end
    local got = content.tidemill(dir, { "run", "w", "--id", "r", "--model", MODEL, "--input",
      "{}", "--timeout", "2s" }, table.concat(words, " "))
    assert.equal(8, got.code, got.err)
    local _, times = got.err:gsub("waiting  w", "")
    assert.equal(1, times, got.err)
    assert.truthy(got.err:find("waiting: it backs off until %S+, because openai"), got.err)
    assert.equal(1, #server.get "/log")
  end)
end)

describe("kill -9 during the wait after a 429", function()
  -- The program's own word that it waits is the moment of the kill.
  local SCRIPT = [[
export %s TIDEMILL_LONG_WAIT_MS=100
mkfifo said
tidemill run w --id r --model openai/gpt-4.1-mini --input '{}' 2>said &
pid=$!
while read -r line; do
  case $line in *"backs off until"*) kill -9 $pid; break;; esac
done <said
wait $pid || true
tidemill show r --json
]]

  it("costs exactly one more request, and not before its time", function()
    local dir = project()
    local server = content.serve { away { ["Retry-After-Ms"] = "2100" }, { answer = "Hello." } }
    finally(function()
      server.stop()
      content.remove(dir)
    end)
    local words = {}
    for name, value in pairs(env_of(server)) do words[#words + 1] = name .. "=" .. value end
    local env = table.concat(words, " ")
    local killed = content.shell(dir, SCRIPT:format(env))
    assert.equal(0, killed.code, killed.err)
    assert.equal("waiting", killed.json.state, killed.out)
    assert.equal(1, #server.get "/log")
    local ended = content.tidemill(dir, { "resume", "r" }, env)
    assert.equal(0, ended.code, ended.err)
    assert.truthy(ended.out:find "Hello%.")
    assert.equal(2, #server.get "/log")
    local show = content.tidemill(dir, { "show", "r", "--json" })
    local at = {}
    for _, r in ipairs(show.json.records) do
      if r.record == "attempt" then at[#at + 1] = r.attempt.at end
    end
    assert.equal(2, #at)
    assert.truthy(at[2] - at[1] >= 2100)
    local table_of = content.tidemill(dir, { "show", "r" })
    assert.truthy(table_of.out:find("backs off until", 1, true), table_of.out)
    assert.is_nil(content.shell(dir, "cat .tidemill/*").out:find("canary", 1, true))
  end)
end)

describe("a run with such a wait", function()
  it("comes to the same end, killed after any of its records", function()
    local dir, server = project(), nil
    local opts = { dir = dir, model = MODEL, env = {} }
    function opts.reset()
      if server then server.stop() end
      server = content.serve { away { ["Retry-After"] = "120" }, { answer = "Hello." } }
      for name, value in pairs(env_of(server)) do opts.env[name] = value end
    end
    finally(function()
      server.stop()
      content.remove(dir)
    end)
    local report = kit.crash_everywhere("w", {}, opts)
    assert.equal("Hello.", report.baseline.value)
    assert.truthy(report.points >= 6)
    assert.equal(report.points, report.same)
  end)

  it("keeps the conversation out of a redacted capsule, and of what is shown", function()
    local dir = project()
    content.write(dir .. "/prompts/say.prompt",
      "---\noutput: { schema: { n: integer } }\n---\nSay it.\n")
    local server = content.serve { { times = 1, answer = { n = "sesame" } },
      away { ["Retry-After"] = "120" }, { answer = { n = 1 } } }
    local run = kit.start("w", {}, { dir = dir, model = MODEL, env = env_of(server) })
    finally(function()
      run:close()
      server.stop()
      content.remove(dir)
    end)
    assert.equal("waiting", run:state())
    for _, r in ipairs(run:history()) do
      assert.is_nil(r.back and r.back.state, "what was said stands in the raw history only")
    end
    local whole = cjson.encode(run.engine:examine(run.id, "export"))
    local redacted = cjson.encode(run.engine:examine(run.id, "export", { redact = true }))
    assert.truthy(whole:find("sesame", 1, true))
    assert.is_nil(redacted:find("sesame", 1, true))
    assert.equal("done", run:advance "133s") -- repaired, although it was sent away in between
    assert.same({ n = 1 }, run:result())
    assert.equal(3, #server.get "/log")
  end)
end)

describe("docs/primitives.md", function()
  it("shows how a person answers when all tries have come to nothing", function()
    local example = content.read("docs/primitives.md")
      :match "<!%-%- spec: escalation %-%->\n```lua\n(.-)\n```"
    local dir = project()
    content.write(dir .. "/workflows/w.lua", ([[
local mill = require "tidemill"
local flow = mill.workflow "w" { about = "Escalates." }
%s
function flow.main(x) return classify(x) end
return flow
]]):format(example))
    content.write(dir .. "/prompts/classify.prompt", [[
---
tidemill.retries: 1
tidemill.fallback: [anthropic/claude-sonnet-4-6]
---
Sort {{text}}.
]])
    local server = content.serve { { fault = "500" } }
    local env = env_of(server)
    env.TIDEMILL_RETRY_BASE_MS = "1"
    env.ANTHROPIC_API_KEY = "sk-canary-4711"
    env.ANTHROPIC_BASE_URL = "http://127.0.0.1:" .. server.port
    finally(function()
      server.stop()
      content.remove(dir)
    end)
    local r = kit.run("w", { text = "where is my card" }, { dir = dir, model = MODEL, env = env,
      gates = { classify_by_hand = { approve = true, answer = { category = "delivery" } } } })
    assert.equal("done", r.state, r.error and r.error.message)
    assert.same({ category = "delivery" }, r.value)
    assert.equal(4, #server.get "/log")
    assert.truthy(r.gates[1].ask:find("the mock says 500", 1, true), r.gates[1].ask)
  end)
end)
