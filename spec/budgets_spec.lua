--- Budgets of a day, kept in the store: for all runs, a workflow, a key; held before a call,
-- settled after it.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local script = [[
local mill = require "tidemill"
local flow = mill.workflow "%s" { budget = { usd = %s } }
local function ask() return mill.llm("say") end
function flow.main(input)
  if input.branches then
    local list = {}
    for i = 1, input.branches do list[i] = i end
    return #mill.map(list, function()
      local ok, err = pcall(ask)
      if not ok and err.kind ~= "budget" then error(err) end
      return ok
    end)
  end
  for _ = 1, input.calls do ask() end
  return "done"
end
return flow
]]

describe("budgets of a day", function()
  local dir, server

  -- Each answer costs 1 USD: 1,000 tokens out at 1,000 USD for a million.
  local function serve(more)
    local usage = { prompt_tokens = 0, completion_tokens = 1000, total_tokens = 1000 }
    local rule = { answer = "yes", with = { usage = usage } }
    for k, v in pairs(more or {}) do rule[k] = v end
    server = content.serve { rule }
  end

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/talk.lua", script:format("talk", 1000))
    content.write(dir .. "/workflows/chat.lua", script:format("chat", 1000))
    content.write(dir .. "/prompts/say.prompt",
      "---\nmodel: openai/small\nconfig: { maxOutputTokens: 1000 }\n---\nSay yes.\n")
  end)
  after_each(function()
    if server then server.stop() end
    server = nil
    content.remove(dir)
  end)

  local function budgets(text)
    content.write(dir .. "/tidemill.yaml",
      "prices:\n  openai/small: { input: 0, output: 1000 }\nbudgets:\n" .. text)
  end

  local function keys()
    return ("OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1"):format(server.port)
  end

  local function cli(...) return content.tidemill(dir, { ... }, keys()) end

  local function run(workflow, id, input)
    return cli("run", workflow, "-q", "--id", id, "--timeout", "20s", "--input",
      cjson.encode(input))
  end

  local function spent() return cli("usage", "--json").json.total.usd end
  local function asked() return server.get("/counts").models end

  local function refused(id)
    local got = cli("show", id, "--json")
    for _, r in ipairs(got.json.records) do
      if r.record == "fail" then return r.error end
    end
  end

  it("end the money of all runs together, with an error of its own kind", function()
    serve()
    budgets "  day: { usd: 2.5 }\n"
    assert.equal(0, run("talk", "t1", { calls = 2 }).code)
    assert.equal(0, run("chat", "t2", { calls = 1 }).code) -- 2 spent: the last that may go over
    local got = run("talk", "t3", { calls = 1 })
    assert.equal(1, got.code)
    assert.truthy(got.err:find("the budget of " .. os.date "!%Y-%m-%d"
      .. " for all runs, 2.5 USD (3.0000 spent), is used up", 1, true), got.err)
    local err = refused "t3"
    assert.equal("budget", err.kind)
    assert.equal("usd", err.budget)
    assert.equal("all", err.scope)
    assert.equal(3, spent())
  end)

  it("count calls", function()
    serve()
    budgets "  day: { llm_calls: 2 }\n"
    assert.equal(0, run("talk", "t1", { calls = 2 }).code)
    assert.equal(1, run("talk", "t2", { calls = 1 }).code)
    assert.equal("llm_calls", refused("t2").budget)
    assert.equal(2, asked())
  end)

  it("are of one workflow, too", function()
    serve()
    budgets "  workflows:\n    talk: { usd: 1 }\n"
    assert.equal(0, run("talk", "t1", { calls = 1 }).code)
    assert.equal(1, run("talk", "t2", { calls = 1 }).code)
    assert.equal("workflow:talk", refused("t2").scope)
    assert.equal(0, run("chat", "t3", { calls = 2 }).code)
  end)

  it("are of one key, too", function()
    serve()
    budgets "  keys:\n    OPENAI_API_KEY: { usd: 1 }\n"
    assert.equal(0, run("talk", "t1", { calls = 1 }).code)
    assert.equal(1, run("chat", "t2", { calls = 1 }).code)
    assert.equal("key:OPENAI_API_KEY", refused("t2").scope)
    budgets "  keys:\n    ANTHROPIC_API_KEY: { usd: 1 }\n"
    assert.equal(0, run("chat", "t3", { calls = 2 }).code)
  end)

  it("are overshot by one call at most, however many are asked side by side", function()
    serve { delay_ms = 20 }
    budgets "  day: { usd: 2.5 }\n"
    assert.equal(0, run("talk", "t1", { branches = 12 }).code)
    assert.equal(3, spent())
    assert.equal(3, asked())
  end)

  it("are overshot by one call at most by several processes", function()
    serve { delay_ms = 20 }
    budgets "  day: { usd: 2.5 }\n"
    local env = ("OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1"):format(server.port)
    local lines = {}
    for i = 1, 4 do
      local one = "%s tidemill run talk -q --id t%d --input '{\"branches\":4}' >/dev/null &"
      lines[i] = one:format(env, i)
    end
    local got = content.shell(dir, table.concat(lines, "\n") .. "\nwait")
    assert.equal(0, got.code, got.err)
    for i = 1, 4 do assert.equal("done", cli("show", "t" .. i, "--json").json.state) end
    assert.equal(3, spent())
    assert.equal(3, asked())
  end)

  it("let the calls of one run overshoot its own budget by one, side by side", function()
    serve { delay_ms = 20 }
    budgets "  day: { usd: 1000 }\n"
    content.write(dir .. "/workflows/talk.lua", script:format("talk", 2.5))
    assert.equal(0, run("talk", "t1", { branches = 12 }).code)
    assert.equal(3, spent())
    content.write(dir .. "/tidemill.yaml",
      "prices:\n  openai/small: { input: 0, output: 1000 }\n")
    assert.equal(0, run("talk", "t2", { branches = 12 }).code)
    assert.equal(6, spent())
  end)

  it("let vectors of one run overshoot its own budget by one request, side by side", function()
    content.write(dir .. "/workflows/vec.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "vec" { budget = { usd = 0.0015 } }
local function embed(text) return mill.embed(text, { model = "openai/vectors" }) end
local function like(text) return mill.llm("say", { text = text }) end
function flow.main(input)
  local ask = input.like and like or embed
  return #mill.map(input.texts, function(text)
    local ok, err = pcall(ask, text)
    if not ok and err.kind ~= "budget" then error(err) end
    return ok
  end)
end
return flow
]])
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: openai/free\n"
      .. "tidemill.cache: { similar: 0.9, of: text, embed: openai/vectors }\n---\n"
      .. "Say {{text}}.\n")
    serve { path = "chat" } -- and of vectors each text is a token
    for i, budgets_too in ipairs { "", "budgets: { day: { usd: 1000 } }\n" } do
      content.write(dir .. "/tidemill.yaml", "prices:\n  openai/free: { input: 0, output: 0 }\n"
        .. "  openai/vectors: { input: 1000, output: 0 }\n" .. budgets_too) -- 0.001 a text
      for _, like in ipairs { false, true } do
        local texts = {}
        for k = 1, 8 do texts[k] = ("%d %s %d"):format(i, like, k) end
        local id = ("v%d%s"):format(i, like and "like" or "")
        assert.equal(0, run("vec", id, { texts = texts, like = like }).code)
        local n = 0
        for _, r in ipairs(cli("show", id, "--json").json.records) do
          if r.record == "attempt" and r.kind == "embed" then n = n + 1 end
        end
        assert.equal(2, n, id) -- one went over, and the rest waited for it
      end
    end
  end)

  it("are not touched by a replay, nor by a run that is asked for again", function()
    serve()
    budgets "  day: { usd: 2.5, llm_calls: 3 }\n"
    assert.equal(0, run("talk", "t1", { calls = 2 }).code)
    for _ = 1, 3 do
      assert.equal(0, cli("replay", "t1").code)
      assert.equal(0, run("talk", "t1", { calls = 2 }).code)
    end
    assert.equal(0, run("talk", "t2", { calls = 1 }).code)
    assert.equal(1, run("talk", "t3", { calls = 1 }).code)
  end)

  it("count once what a crash cut off, wherever it came", function()
    for _, point in ipairs { "record.pre:2", "record.post:2", "record.pre:3", "record.post:3",
      "store.commit.pre:3", "store.commit.post:3", "store.commit.pre:4",
      "store.commit.post:4" } do
      serve()
      budgets "  day: { llm_calls: 2 }\n"
      local env = ("OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1 ")
        :format(server.port) .. "TIDEMILL_CRASH_AT=" .. point
      local got = content.tidemill(dir,
        { "run", "talk", "-q", "--id", "t1", "--input", '{"calls":1}' }, env)
      assert.truthy(got.code ~= 0, point)
      assert.equal(0, cli("resume", "t1", "--timeout", "20s").code, point)
      assert.equal(0, run("talk", "t2", { calls = 1 }).code, point) -- the second call of two
      assert.equal(1, run("talk", "t3", { calls = 1 }).code, point)
      server.stop()
      content.shell(dir, "rm -rf .tidemill")
    end
    server = nil
  end)

  it("hold nothing any more for a run that was stopped", function()
    serve { delay_ms = 60000 }
    budgets "  day: { usd: 1 }\n"
    local got = cli("run", "talk", "-q", "--id", "t1", "--timeout", "300ms", "--input",
      '{"calls":1}')
    assert.equal(8, got.code, got.err)
    assert.equal(0, cli("terminate", "t1").code)
    server.stop()
    serve()
    assert.equal(0, run("talk", "t2", { calls = 1 }).code)
  end)

  --- A run of `workflow` is asked and its process gone; it is ended from outside. What the day
  -- has counted.
  local function calls_of_terminated(workflow, input)
    serve { delay_ms = 60000 }
    assert.equal(8, cli("run", workflow, "-q", "--id", "t1", "--timeout", "300ms", "--input",
      cjson.encode(input)).code)
    assert.equal(1, asked())
    assert.equal(0, cli("terminate", "t1").code)
    server.stop()
    server = nil
    return content.tidemill(dir, { "doctor" }).out:match "all runs: ([^;\n]+)"
  end

  it("count a call that was under way when its run was terminated", function()
    budgets "  day: { llm_calls: 5 }\n"
    assert.equal("1 of 5 calls", calls_of_terminated("talk", { calls = 1 }):match "%d of.*")
  end)

  it("count no call for vectors, also when the run is terminated meanwhile", function()
    budgets "  day: { llm_calls: 5 }\n"
    content.write(dir .. "/workflows/vec.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "vec" {}
function flow.main() return mill.embed("a", { model = "openai/vectors" }) end
return flow
]])
    assert.equal("0 of 5 calls", calls_of_terminated("vec", {}):match "%d of.*")
  end)

  it("count nothing for a call of which no byte was sent", function()
    content.write(dir .. "/prompts/say.prompt",
      "---\nmodel: openai/small\ntidemill.retries: 1\n---\nSay yes.\n")
    content.write(dir .. "/workflows/chat.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "chat" { budget = { llm_calls = 2 } }
function flow.main(input)
  local kinds = {}
  for i = 1, input.calls do
    local ok, err = pcall(mill.llm, "say")
    kinds[i] = ok and "ok" or err.class or err.kind
  end
  return kinds
end
return flow
]])
    budgets "  day: { llm_calls: 2 }\n"
    serve()
    local env = ("OPENAI_API_KEY=k TIDEMILL_RETRY_BASE_MS=1 "
      .. "OPENAI_BASE_URL=http://127.0.0.1:%s/v1"):format(server.port)
    local function kinds(id, calls, of)
      local got = content.tidemill(dir, { "run", "chat", "-q", "--id", id, "--input",
        cjson.encode { calls = calls } }, of or env)
      assert.equal(0, got.code, got.err)
      return got.json
    end
    server.stop()
    assert.same({ "network", "network", "network" }, kinds("t1", 3))
    assert.same({ "auth" }, kinds("t2", 1, "OPENAI_API_KEY="))
    assert.equal(0, content.tidemill(dir, { "replay", "t1" }, env).code)
    serve()
    env = env:gsub(":%d+/", ":" .. server.port .. "/")
    assert.same({ "ok", "ok", "budget" }, kinds("t3", 3))
    assert.equal("2 of 2 calls", cli("doctor").out:match "all runs: [^;\n]-(%d of [^;\n]+)")
  end)

  it("count a call that a provider refused, or cut off", function()
    content.write(dir .. "/prompts/say.prompt",
      "---\nmodel: openai/small\ntidemill.retries: 0\n---\nSay yes.\n")
    server = content.serve { { times = 1, fault = "500" }, { times = 1, fault = "reset" },
      { answer = "yes" } }
    budgets "  day: { llm_calls: 2 }\n"
    for i = 1, 2 do
      local got = run("talk", "t" .. i, { calls = 1 })
      assert.truthy(got.code == 1 and refused("t" .. i).kind == "llm", got.err)
    end
    assert.equal(1, run("talk", "t3", { calls = 1 }).code)
    assert.equal("budget", refused("t3").kind)
  end)

  it("hold nothing for a call that is put off", function()
    server = content.serve {
      { times = 1, fault = "429", headers = { ["Retry-After"] = "3600" } },
      { answer = "yes", with = { usage = { prompt_tokens = 0, completion_tokens = 1000 } } },
    }
    budgets "  day: { usd: 0.5, llm_calls: 1 }\n"
    local command = [[run talk --id t1 --input '{"calls":1}']]
    local got = content.interrupted(dir, command, "backs off", keys())
    assert.equal(130, got.code, got.err)
    assert.equal("waiting", cli("show", "t1", "--json").json.state)
    assert.equal(0, run("talk", "t2", { calls = 1 }).code)
    assert.equal(1, run("talk", "t3", { calls = 1 }).code)
  end)

  it("are for vectors, too, which are no model calls", function()
    content.write(dir .. "/workflows/vec.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "vec" {}
local function embed(text) return mill.embed(text, { model = "openai/vectors" }) end
function flow.main(input)
  return #mill.map(input.texts, function(text)
    local ok, err = pcall(embed, text)
    if not ok and err.kind ~= "budget" then error(err) end
    return ok
  end)
end
return flow
]])
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: openai/small\n"
      .. "tidemill.cache: { similar: 0.9, of: text, embed: openai/vectors }\n---\n"
      .. "Say {{text}}.\n")
    content.write(dir .. "/workflows/talk.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "talk" {}
function flow.main() return mill.llm("say", { text = "seven" }) end
return flow
]])
    serve { path = "chat" } -- and of vectors each text is a token
    budgets "  day: { usd: 0.0015, llm_calls: 1 }\n"
    local yaml = content.read(dir .. "/tidemill.yaml")
    yaml = yaml:gsub("budgets:", "  openai/vectors: { input: 1000, output: 0 }\n%0")
    content.write(dir .. "/tidemill.yaml", yaml)
    assert.equal(0, run("vec", "t1", { texts = { "one" } }).code)
    local before = spent()
    assert.truthy(before > 0 and before < 0.0015, before)
    assert.equal(0, run("vec", "t2", { texts = { "two", "three", "four", "five" } }).code)
    local all = cli("usage", "--by", "model", "--json").json.rows[1]
    assert.equal(2, all.attempts) -- one went over, and the rest waited for it
    assert.equal(0, run("vec", "t3", { texts = { "one" } }).code) -- is there: costs nothing
    assert.equal(1, run("talk", "t4", {}).code)
    assert.equal("usd", refused("t4").budget)
    assert.equal(2, cli("usage", "--json").json.total.attempts) -- nor for a look
    budgets "  day: { usd: 10, llm_calls: 1 }\n"
    assert.equal(0, cli("retry", "t4", "-q").code)
    assert.truthy(cli("doctor").out:find("1 of 1 calls", 1, true))
  end)

  it("tell with a refusal what the look for a like answer has cost", function()
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: openai/small\n"
      .. "tidemill.cache: { similar: 0.9, of: text, embed: openai/vectors }\n---\n"
      .. "Say {{text}}.\n")
    local function flow(usd)
      content.write(dir .. "/workflows/talk.lua", ([[
local mill = require "tidemill"
local flow = mill.workflow "talk" { budget = { usd = %s } }
function flow.main(input) return mill.llm("say", { text = input.text }) end
return flow
]]):format(usd))
    end
    local prices = "prices:\n  openai/small: { input: 0, output: 1000 }\n"
      .. "  openai/vectors: { input: 1000, output: 0 }\n"
    serve { path = "chat" } -- and of vectors each text is a token: 0.001
    local function refuses(times, id, text)
      assert.equal(1, run("talk", id, { text = text }).code)
      for _, r in ipairs(cli("show", id, "--json").json.records) do
        if r.record == "fail" then
          assert.equal("budget", r.error.kind)
          assert.equal("openai/vectors", r.meta.embed.model)
          assert.equal(0.001, r.meta.embed.usd)
          assert.equal(0.001, r.meta.usd)
        end
      end
      assert.equal(times, asked()) -- none of the model
    end
    content.write(dir .. "/tidemill.yaml", prices .. "budgets: { day: { usd: 0.0005 } }\n")
    flow(1000)
    refuses(1, "t1", "seven")
    content.write(dir .. "/tidemill.yaml", prices) -- the same of the run's own
    flow(0.0005)
    refuses(2, "t2", "eight")
    assert.equal(0.002, spent())
  end)

  it("get back what was held for a run that is terminated while its call is put off", function()
    server = content.serve {
      { times = 1, fault = "429", headers = { ["Retry-After"] = "3600" } },
      { times = 1, fault = "429", headers = { ["Retry-After-Ms"] = "300" } },
      { times = 1, delay_ms = 60000, answer = "late" },
      { answer = "yes", with = { usage = { prompt_tokens = 0, completion_tokens = 1000 } } },
    }
    budgets "  day: { usd: 0.5 }\n"
    assert.equal(8, run("talk", "t1", { calls = 1 }).code)
    assert.equal("waiting", cli("show", "t1", "--json").json.state)
    assert.equal(0, cli("terminate", "t1").code)
    -- And one that has gone on, and hangs.
    local got = content.tidemill(dir, { "run", "talk", "-q", "--id", "t2", "--timeout",
      "2500ms", "--input", '{"calls":1}' }, ("TIDEMILL_LONG_WAIT_MS=100 OPENAI_API_KEY=k "
        .. "OPENAI_BASE_URL=http://127.0.0.1:%s/v1"):format(server.port))
    assert.equal(8, got.code, got.err)
    assert.equal(3, #server.get "/log")
    assert.equal(0, cli("terminate", "t2").code)
    assert.equal(0, run("talk", "t3", { calls = 1 }).code) -- else it would wait for the rest
    assert.equal(1, spent())
    for _, id in ipairs { "t1", "t2" } do
      assert.equal("cancelled", cli("show", id, "--json").json.state)
    end
  end)

  it("lose nothing when the process that asks for several dies", function()
    content.write(dir .. "/prompts/say.prompt",
      "---\nmodel: openai/small\ntidemill.cache: exact\n---\nSay yes.\n")
    serve { delay_ms = 20 }
    budgets "  day: { usd: 1000, llm_calls: 2 }\n"
    local env = ("OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1 ")
      :format(server.port) .. "TIDEMILL_CRASH_AT=record.pre:2"
    local got = content.tidemill(dir,
      { "run", "talk", "-q", "--id", "t1", "--input", '{"branches":5}' }, env)
    assert.truthy(got.code ~= 0)
    local at = asked()
    got = cli("resume", "t1", "--timeout", "20s")
    assert.equal(0, got.code, got.err)
    assert.equal("done", cli("show", "t1", "--json").json.state)
    assert.truthy(asked() <= at + 1) -- for all five
    local told = cli("doctor").out
    assert.truthy(told:find(" 1 of 2 calls", 1, true), told)
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: openai/small\n---\nSay yes.\n")
    assert.equal(0, run("talk", "t2", { calls = 1 }).code)
    assert.equal(1, run("talk", "t3", { calls = 1 }).code)
  end)

  it("go on when they are raised", function()
    serve()
    budgets "  day: { usd: 1 }\n"
    assert.equal(1, run("talk", "t1", { calls = 2 }).code)
    budgets "  day: { usd: 5 }\n"
    local got = cli("retry", "t1")
    assert.equal(0, got.code, got.err)
    assert.equal(2, spent())
  end)

  it("are told by doctor, as they stand today", function()
    serve()
    budgets "  day: { usd: 2.5, llm_calls: 9 }\n  workflows:\n    talk: { usd: 2 }\n"
    local function told()
      for _, check in ipairs(cli("doctor", "--json").json.checks) do
        if check.name == "budgets" then return check end
      end
    end
    run("talk", "t1", { calls = 1 })
    run("chat", "t2", { calls = 1 })
    assert.equal("all runs: 2.0000 of 2.5 USD, 2 of 9 calls; "
      .. "workflow talk: 1.0000 of 2 USD, 1 calls", told().detail)
    assert.is_nil(told().flagged)
    run("talk", "t3", { calls = 1 })
    assert.is_true(told().ok)
    assert.is_true(told().flagged)
    content.write(dir .. "/tidemill.yaml", "")
    assert.is_nil(told())
  end)

  it("must be of their form", function()
    serve()
    for _, text in ipairs { "  day: 20\n", "  day: {}\n", "  day: { usd: -1 }\n",
      "  day: { usd: much }\n", "  day: { eur: 1 }\n", "  day: { llm_calls: 1.5 }\n",
      "  week: { usd: 1 }\n", "  workflows: { usd: 1 }\n", "  keys: [a]\n",
      "  workflows: 1\n" } do
      budgets(text)
      local got = cli "list"
      assert.equal(3, got.code, text)
      assert.truthy(got.err:find("budgets {day, workflows: {NAME}", 1, true), got.err)
    end
  end)
end)
