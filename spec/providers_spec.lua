--- The shipped line on real wires: each provider's format, over HTTP on loopback.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local answers = {
  { match = "You sort support tickets",
    answer = { categories = { "billing" }, confidence = 1 } },
  { match = "You list what hurts", answer = { pain_points = { {
    pain = "a crack in the base", quote = "The lamp arrived with a crack in the base.",
    severity = "medium" } } } },
  { match = "You decide refunds", answer = {
    refund = true, usd = 20, reason = "The customer asks for 20 USD.", confidence = 1,
  } },
  { match = "You draft replies", answer = {
    "They want 20 USD. I would write: Hello, we are sorry.",
    { reply = "Hello, we are sorry. We look at the refund today." },
  } },
}

local wires = {
  openai = {
    model = "openai/gpt-4.1-mini",
    env = "OPENAI_API_KEY=sk-canary-4711 OPENAI_BASE_URL=http://127.0.0.1:%s/v1",
    path = "/v1/chat/completions",
    turns = "messages",
  },
  ["openai-responses"] = {
    model = "openai-responses/gpt-4.1-mini",
    env = "OPENAI_API_KEY=sk-canary-4711 OPENAI_BASE_URL=http://127.0.0.1:%s/v1",
    path = "/v1/responses",
    turns = "input",
    seedless = true,
  },
  anthropic = {
    model = "anthropic/claude-sonnet-4-6",
    env = "ANTHROPIC_API_KEY=sk-canary-4711 ANTHROPIC_BASE_URL=http://127.0.0.1:%s",
    path = "/v1/messages",
    turns = "messages",
    seedless = true,
  },
  gemini = {
    model = "gemini/gemini-3-flash",
    env = "GOOGLE_API_KEY=sk-canary-4711 GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:%s",
    path = "/v1beta/models/gemini-3-flash:generateContent",
    turns = "contents",
  },
  ollama = {
    model = "ollama/llama3.2",
    env = "OLLAMA_API_KEY=sk-canary-4711 OLLAMA_HOST=127.0.0.1:%s",
    path = "/api/chat",
    turns = "messages",
    free = true,
  },
}

for name, wire in pairs(wires) do
  describe("support_ticket over " .. name .. "'s wire format", function()
    local dir, server

    before_each(function() dir = content.project() end)
    after_each(function()
      server.stop()
      content.remove(dir)
    end)

    local function run(rules, ...)
      server = content.serve(rules)
      return content.tidemill(dir, { "run", "support_ticket", "-q", "--id", "t1", "--model",
        wire.model, "--input", "@workflows/samples/ticket-03-refund-20.json", ... },
        wire.env:format(server.port))
    end

    it("ends with the same result as with any other model", function()
      local got = run(answers)
      assert.equal(0, got.code, got.err)
      assert.same({ "billing" }, got.json.categories)
      assert.equal("Hello, we are sorry. We look at the refund today.", got.json.parts[1].reply)
      assert.same({ state = "paid", usd = 20, reason = "The customer asks for 20 USD." },
        got.json.refund)
    end)

    it("keeps the exact bytes of each attempt, and never the key", function()
      run(answers)
      local got = content.tidemill(dir, { "show", "t1", "--raw", "--json" })
      assert.equal(0, got.code, got.err)
      local attempts = 0
      for _, record in ipairs(got.json.records) do
        local a = record.record == "attempt" and record.kind == "llm" and record.attempt
        if a then
          attempts = attempts + 1
          assert.truthy(a.url:find(wire.path, 1, true))
          local model = wire.model:match "/(.*)"
          assert.equal(model, cjson.decode(a.request).model or a.url:match "models/([^:]+)")
          assert.truthy(cjson.decode(a.response))
          assert.equal(200, a.status)
        end
      end
      assert.equal(5, attempts) -- classify, pain points, reply in two phases, refund
      assert.is_nil(got.out:find("canary", 1, true))
      local store = content.shell(dir, "cat .tidemill/*")
      assert.is_nil(store.out:find("canary", 1, true))
    end)

    it("shows the exact request before anything is sent, without a key", function()
      server = content.serve(answers)
      local got = content.tidemill(dir, { "prompt", "render", "classify", "--json", "--model",
        wire.model, "--input", '{"text":"where is my card"}' })
      assert.equal(0, got.code, got.err)
      assert.truthy(got.json.request.body:find("where is my card", 1, true))
    end)

    it("sends the seed a unit sets, where the wire has a place for one", function()
      server = content.serve(answers)
      content.write(dir .. "/prompts/dice.prompt",
        "---\nconfig: { temperature: 0 }\ntidemill.seed: 4711\n---\nThrow.\n")
      local got = content.tidemill(dir, { "prompt", "render", "dice", "--json", "--model",
        wire.model, "--input", "{}" }, wire.env:format(server.port))
      assert.equal(0, got.code, got.err)
      local sent = got.json.request.body:find('"seed":4711', 1, true) ~= nil
      assert.equal(not wire.seedless, sent, got.json.request.body)
    end)

    it("prints each call as a curl command that repeats it", function()
      run(answers)
      local first = content.tidemill(dir, { "show", "t1#1", "--curl" })
      assert.equal(0, first.code, first.err)
      assert.truthy(first.out:find("curl ", 1, true))
      assert.is_nil(first.out:find("canary", 1, true))
      local key = first.out:match "%$([A-Z_]+)"
      local again = content.shell(dir, ("command -v curl >/dev/null || exit 99\n"
        .. "export %s=k\n%s"):format(key or "NO_KEY", first.out))
      if again.code == 99 then
        pending "curl is not installed"
        return
      end
      assert.truthy(again.out:find("billing", 1, true), again.out .. again.err)
    end)

    it("repairs an answer that breaks its schema, with the errors fed back", function()
      local rules = { { match = "You sort support tickets", times = 1,
        answer = { categories = { "rant" }, confidence = 1 } } }
      for i, rule in ipairs(answers) do rules[i + 1] = rule end
      local got = run(rules)
      assert.equal(0, got.code, got.err)
      assert.same({ "billing" }, got.json.categories)
      local show = content.tidemill(dir, { "show", "t1", "--raw", "--json" })
      local second = cjson.decode(show.json.records[3].attempt.request)
      assert.truthy(cjson.encode(second[wire.turns]):find("rant", 1, true))
    end)

    it("tries again after a 429 and a 500, and says so", function()
      local rules = {
        { times = 1, fault = "429", headers = { ["Retry-After-Ms"] = "1" } },
        { times = 1, fault = "500", headers = { ["Retry-After-Ms"] = "1" } },
      }
      for _, rule in ipairs(answers) do rules[#rules + 1] = rule end
      local got = run(rules)
      assert.equal(0, got.code, got.err)
      local show = content.tidemill(dir, { "show", "t1", "--json" })
      local classes = {}
      for _, record in ipairs(show.json.records) do
        local e = record.record == "attempt" and record.attempt.error
        if e then classes[#classes + 1] = e.class end
      end
      assert.same({ "rate_limited", "server_error" }, classes)
    end)

    if wire.free then return end
    it("fails with the variable's name when there is no key", function()
      server = content.serve(answers)
      local env = wire.env:format(server.port):gsub("sk%-canary%-4711", "")
        :gsub("http://%S+", "")
      local got = content.tidemill(dir, { "run", "support_ticket", "-q", "--model", wire.model,
        "--input", "@workflows/samples/ticket-03-refund-20.json" }, env)
      -- The step's fallback asks a person, and shows why.
      assert.equal(8, got.code, got.err)
      local gates = content.tidemill(dir, { "gates", "--json" })
      assert.truthy(gates.json.gates[1].ask:find(wire.env:match "^[A-Z_]+", 1, false))
    end)
  end)
end

describe("a cassette", function()
  it("answers all rungs of a unit offline, without a key", function()
    local dir = content.folder()
    finally(function() content.remove(dir) end)
    os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir))
    content.write(dir .. "/workflows/w.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "w" {}
      function flow.main() return (mill.llm("rate", {})) end
      return flow
    ]])
    content.write(dir .. "/prompts/rate.prompt", [[
---
model: openai/small
output: { schema: { stars: integer } }
tidemill.repair: 0
tidemill.tries: [{}, { model: anthropic/larger }]
tidemill.fallback: [gemini/other]
---
How many stars?
]])
    local server = content.serve { { match = "How many",
      answer = { "many", { stars = 4 } } } }
    if not server then return pending "needs build/dev/mock-server" end
    local function run(env, ...)
      return content.tidemill(dir, { "run", "w", "-q", ... }, env)
    end
    local keys = ("OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1 ANTHROPIC_API_KEY=k "
      .. "ANTHROPIC_BASE_URL=http://127.0.0.1:%s"):format(server.port, server.port)
    local live = run(keys, "--record", dir .. "/tape")
    server.stop()
    assert.equal('{"stars":4}\n', live.out, live.err)
    local offline = run("OPENAI_API_KEY= ANTHROPIC_API_KEY=", "--model",
      "cassette/" .. dir .. "/tape")
    assert.equal('{"stars":4}\n', offline.out, offline.err)
  end)

  it("has the vectors of like questions and of mill.embed, too, each model's own", function()
    local dir = content.folder()
    finally(function() content.remove(dir) end)
    os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir))
    content.write(dir .. "/tidemill.yaml", "models: { embed: openai/small }\n")
    content.write(dir .. "/workflows/w.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "w" {}
      function flow.main()
        local out = { hits = {} }
        out.small = mill.embed({ "x", "yes" })
        out.large = mill.embed({ "x", "yes" }, { model = "openai/large" })
        out.gemini = mill.embed("x", { model = "gemini/other" })
        for i, text in ipairs { "one", "two" } do
          local _, meta = mill.llm("say", { text = text }, { model = "anthropic/one" })
          out.hits[i] = meta.cached and meta.cached.hit or "asked"
        end
        return out
      end
      return flow
    ]])
    content.write(dir .. "/prompts/say.prompt", [[
---
input: { schema: { text: string } }
tidemill.cache: { similar: 0.05, of: text, embed: openai/vectors }
---
Say {{text}}
]])
    local server = content.serve { { answer = "fine" } }
    if not server then return pending "needs build/dev/mock-server" end
    local function run(env, db, ...)
      local url = "sqlite:" .. dir .. db
      return content.tidemill(dir, { "run", "w", "-q", "--db", url, ... }, env)
    end
    local keys = ("OPENAI_API_KEY=k ANTHROPIC_API_KEY=k GOOGLE_API_KEY=k "
      .. "GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:%s OPENAI_BASE_URL=http://127.0.0.1:%s/v1 "
      .. "ANTHROPIC_BASE_URL=http://127.0.0.1:%s"):format(server.port, server.port, server.port)
    local live = run(keys, "/a.db", "--record", dir .. "/tape")
    server.stop()
    assert.equal(0, live.code, live.err)
    assert.same({ "asked", "similar" }, live.json.hits)
    local none = "OPENAI_API_KEY= ANTHROPIC_API_KEY= GOOGLE_API_KEY= GEMINI_API_KEY="
    local function edited(fn) -- the tape with lines changed
      local text = content.read(dir .. "/tape"):gsub("[^\n]+\n", fn)
      content.write(dir .. "/other", text)
      return run(none, "/" .. #text .. ".db", "--model", "cassette/" .. dir .. "/other")
    end
    local same = edited(function(line) return line end)
    assert.same(live.json, same.json, same.err)
    local told = edited(function(line) -- a vector is played as that of its model
      return line:find('"model":"openai/large"', 1, true)
        and line:gsub('embedding%p+:%[[^,]+', function(n) return n:gsub("%[.*", "[7") end)
        or line
    end)
    assert.equal(7, told.json.large[1][1], told.err)
    assert.same(live.json.small, told.json.small)
    local without = edited(function(line)
      return line:find("openai/vectors", 1, true) and ""
    end)
    assert.equal(1, without.code)
    assert.truthy(without.err:find("holds no answer to this request", 1, true), without.err)
  end)
end)
