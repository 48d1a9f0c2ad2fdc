--- Answers that are used again: the same question, a like one, one that is being asked.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local DAY = 86400000

--- As far from each other as their first numbers say: cos(x/100).
local function vector_of(text)
  local angle = (tonumber(text:match "%d+") or 0) / 100
  local function short(x) return math.floor(x * 2e6) / 1e6 end
  return { short(math.cos(angle)), short(math.sin(angle)), 0 }
end

describe("an answer", function()
  local dir, worlds, asked, embedded

  before_each(function()
    dir, worlds, asked, embedded = content.folder(), {}, {}, {}
    os.execute("mkdir -p " .. dir .. "/workflows " .. dir .. "/prompts")
  end)
  after_each(function()
    for _, world in ipairs(worlds) do world.close() end
    content.remove(dir)
  end)

  local function unit(cache, more, body)
    content.write(dir .. "/prompts/say.prompt", ("---\ninput: { schema: { text: string, "
      .. "tone?: string } }\noutput: { schema: { said: string } }\n%s\n%s---\n%s")
      :format(cache and "tidemill.cache: " .. cache or "", more or "",
        body or "Say {{text}} {{tone}}"))
  end

  --- `main`: the lines of flow.main(input).
  local function workflow(main, spec)
    content.write(dir .. "/workflows/w.lua", ([[
local mill = require "tidemill"
local flow = mill.workflow "w" { %s }
function flow.main(input)
%s
end
return flow
]]):format(spec or "", main))
  end

  local SAY = [[
  local value, meta = mill.llm("say", { text = input.text, tone = input.tone })
  return { said = value.said, meta = meta }]]

  --- In a store of the folder: a new world sees what changed on the disk.
  local function world(model)
    worlds[#worlds + 1] = kit.world { dir = dir, db = "sqlite:" .. dir .. "/t.db", model = {
      say = model or function(vars)
        asked[#asked + 1] = vars.text
        return { said = vars.text .. " " .. #asked }
      end,
      embed = function(_, request)
        local list = {}
        for i, text in ipairs(request.input) do
          embedded[#embedded + 1] = text
          list[i] = vector_of(text)
        end
        return list
      end,
    } }
    return worlds[#worlds]
  end

  local function done(w, input)
    local r = w.run("w", input)
    assert.equal("done", r.state, r.error and r.error.message)
    return r.value, r
  end

  describe("to the same question", function()
    it("is asked for once, in all runs, and told as a hit", function()
      unit "exact"
      workflow(SAY)
      local w = world()
      local first, one = done(w, { text = "a" })
      assert.is_nil(first.meta.cached)
      local second, two = done(w, { text = "a" })
      assert.equal("a 1", second.said)
      assert.equal("exact", second.meta.cached.hit)
      assert.equal(one.id, second.meta.cached.run)
      assert.equal(0, second.meta.usd)
      assert.equal(0, second.meta.attempts)
      assert.equal(0, second.meta.usage.total)
      assert.equal("test/kit", second.meta.model)
      assert.equal("a 1", two:called("say")[1].value.said)
      for _, record in ipairs(two.history) do assert.not_equal("attempt", record.record) end
      assert.equal(1, #asked)
      assert.equal("equal", w.engine:examine(two.id, "replay").verdict)
    end)

    it("is not kept for a unit that does not ask for it", function()
      unit(nil)
      workflow(SAY)
      local w = world()
      done(w, { text = "a" })
      assert.is_nil(done(w, { text = "a" }).meta.cached)
      assert.equal(2, #asked)
    end)

    it("is another one's when variables, settings, schema or the prompt differ", function()
      unit "exact"
      workflow [[
        local function ask(vars, opts) mill.llm("say", vars, opts) end
        ask({ text = "a" })
        ask({ text = "b" })
        ask({ text = "a", tone = "loud" })
        ask({ text = "a" }, { temperature = 0.5 })
        ask({ text = "a" }, { checks = { max_chars = 99 } })
        return {}]]
      local w = world()
      done(w, {})
      assert.equal(5, #asked)
      done(w, {})
      assert.equal(5, #asked)
      unit("exact", nil, "Do say {{text}}")
      done(world(), {})
      assert.equal(10, #asked)
      unit("exact", "tidemill.checks: { max_chars: 90 }\n", "Do say {{text}}")
      done(world(), {})
      assert.equal(15, #asked)
      unit("{ ttl: 1d }", "tidemill.checks: { max_chars: 90 }\ntidemill.timeout: 9s\n",
        "Do say {{text}}") -- how it is sent, and kept, is no other question
      done(world(), {})
      assert.equal(15, #asked)
    end)

    it("lives as long as its ttl says, and is then asked for anew", function()
      unit "{ ttl: 7d }"
      workflow(SAY)
      local w = world()
      done(w, { text = "a" })
      assert(w.engine:advance(7 * DAY - 1))
      assert.equal("a 1", done(w, { text = "a" }).said)
      assert(w.engine:advance(1))
      assert.equal("a 2", done(w, { text = "a" }).said)
      assert.equal("a 2", done(w, { text = "a" }).said)
    end)

    it("is asked for by a call that wants one of its own", function()
      unit "exact"
      workflow [[
        mill.llm("say", { text = "a" })
        return mill.llm("say", { text = "a" }, { cache = false })]]
      assert.equal("a 2", done(world(), {}).said)
    end)

    it("is kept only when it was accepted", function()
      unit("exact", "tidemill.repair: 0\ntidemill.checks: { must_match: good }\n")
      workflow [[
        local ok, err = pcall(mill.llm, "say", { text = "a" })
        return { ok = ok, class = not ok and err.class or nil }]]
      local answers = { "bad", "good", "worse" }
      local w = world(function()
        asked[#asked + 1] = true
        return { said = answers[#asked] }
      end)
      assert.equal("bad_output", done(w, {}).class)
      assert.is_true(done(w, {}).ok)
      assert.is_true(done(w, {}).ok)
      assert.equal(2, #asked)
    end)

    it("is held to the unit again when it comes out of the store", function()
      unit "exact"
      workflow(SAY)
      local db = dir .. "/t.db"
      local opts = { dir = dir, db = "sqlite:" .. db, model = { say = function()
        asked[#asked + 1] = true
        return { said = "fine" }
      end } }
      assert.equal("fine", kit.run("w", { text = "a" }, opts).value.said)
      assert.equal("exact", kit.run("w", { text = "a" }, opts).value.meta.cached.hit)
      local good = content.read(db)
      for _, damage in ipairs({
        '{"v":{"sbid":"fine"}', '{"v":{"said":  1234}', '{?v":{"said":"fine"}',
      }) do
        local bad, count = good:gsub('{"v":{"said":"fine"}', damage)
        assert.equal(1, count)
        content.write(db, bad)
        assert.is_nil(kit.run("w", { text = "a" }, opts).value.meta.cached)
      end
      content.write(db, good)
      assert.equal("exact", kit.run("w", { text = "a" }, opts).value.meta.cached.hit)
      assert.equal(4, #asked)
    end)

    it("that is a hit is no model call of the budget, and costs nothing", function()
      unit "exact"
      workflow([[
        local said = {}
        for i = 1, 4 do said[i] = mill.llm("say", { text = "a" }).said end
        mill.map({ 1, 2, 3 }, function() mill.llm("say", { text = "a" }) end)
        local _, err = pcall(mill.llm, "say", { text = input.other })
        said[5] = err and err.kind
        return said]], "budget = { llm_calls = 1 }")
      local w = world()
      local value, r = done(w, { other = "b" })
      assert.same({ "a 1", "a 1", "a 1", "a 1", "budget" }, value)
      local ended = r.history[#r.history]
      assert.equal(2, ended.llm_calls) -- the one asked, and the one refused
      assert.equal("equal", w.engine:examine(r.id, "replay").verdict)
      assert.same({ "a 1", "a 1", "a 1", "a 1" }, done(w, { other = "a" }))
    end)

    it("is not looked for, nor kept, when tools are among the question", function()
      unit "exact"
      content.write(dir .. "/prompts/say.prompt",
        "---\ntools: [pay]\ntidemill.cache: exact\n---\nx")
      workflow(SAY)
      local r = world().run("w", { text = "a" })
      local text = "prompts/say.prompt:3: tidemill.cache does not go with tools"
      assert.truthy(r.error.message:find(text, 1, true), r.error.message)
    end)

    it("that is unsure is not kept, and unsure for all who waited for it", function()
      content.write(dir .. "/prompts/say.prompt", "---\ninput: { schema: { text: string } }\n"
        .. "output: { schema: { said: string, sure: number } }\ntidemill.cache: exact\n"
        .. "tidemill.confidence: { of: sure, at_least: 0.8 }\n---\nSay {{text}}")
      workflow [[
        return mill.map({ 1, 2 }, function()
          local _, meta = mill.llm("say", { text = "a" })
          return { unsure = meta.unsure, hit = meta.cached and meta.cached.hit }
        end)]]
      local w = world(function()
        asked[#asked + 1] = true
        return { said = "x", sure = #asked == 1 and 0.5 or 1 }
      end)
      assert.same({ { unsure = true }, { unsure = true, hit = "flight" } }, done(w, {}))
      assert.same({ {}, { hit = "flight" } }, done(w, {}))
      assert.same({ { hit = "exact" }, { hit = "exact" } }, done(w, {}))
      assert.equal(2, #asked)
    end)

    it("comes to the same end wherever the run is killed", function()
      unit "{ similar: 0.9, of: text, embed: openai/text-embedding-3-small }"
      workflow [[
        local a = mill.llm("say", { text = "1" }).said
        local b = mill.llm("say", { text = "1" }).said
        local c = mill.llm("say", { text = "2" }).said
        return { a == b, b == c }]]
      kit.crash_everywhere("w", {}, { dir = dir, model = {
        say = { said = "x" }, embed = { { 1, 0 } },
      } })
    end)

    it("is taken over by a fork and stands in a capsule like any other", function()
      unit "exact"
      workflow(SAY)
      local w = world()
      done(w, { text = "a" })
      local _, r = done(w, { text = "a" })
      local capsule = w.engine:examine(r.id, "export")
      assert.equal("tidemill.capsule/1", capsule.schema)
      local fork = assert(w.engine:fork(r.id, { from = "say" }))
      w.engine:run(fork)
      assert.equal("exact", w.engine:result(fork).meta.cached.hit)
      assert.is_true(w.engine:examine(nil, "fsck").ok)
      assert.equal(1, #asked)
    end)
  end)

  describe("to a question that is being asked", function()
    it("is asked for once and told to all who wait for it", function()
      unit "exact"
      workflow [[
        return mill.map({ "a", "a", "b", "a" }, function(text)
          local value, meta = mill.llm("say", { text = text })
          return { said = value.said, hit = meta.cached and meta.cached.hit }
        end)]]
      local w = world()
      local value, r = done(w, {})
      assert.equal(2, #asked)
      local hits = {}
      for i, v in ipairs(value) do
        assert.equal(v.said, value[i == 3 and 3 or 1].said)
        hits[i] = v.hit or "asked"
      end
      assert.same({ "asked", "flight", "asked", "flight" }, hits)
      assert.equal("equal", w.engine:examine(r.id, "replay").verdict)
    end)

    it("is asked for again by those who waited when the first one fails", function()
      unit("exact", "tidemill.retries: 0\ntidemill.repair: 0\n")
      workflow [[
        return mill.map({ 1, 2, 3 }, function()
          return (mill.llm("say", { text = "a" })).said
        end, { settle = true })]]
      local w = world(function()
        asked[#asked + 1] = true
        return #asked == 1 and { wrong = true } or { said = "fine" }
      end)
      local value = done(w, {})
      assert.is_false(value[1].ok)
      assert.equal("fine", value[2].value)
      assert.equal("fine", value[3].value)
      assert.equal(3, #asked)
    end)

    it("goes on with the next one when the first one is cancelled", function()
      unit "exact"
      workflow [[
        local function ask() return mill.llm("say", { text = "a" }).said end
        local said = mill.all {
          function() return (mill.race { ask, function() return "quick" end }) end,
          ask, ask,
        }
        return said]]
      local w = world()
      assert.same({ "quick", "a 1", "a 1" }, done(w, {}))
      assert.equal(1, #asked)
    end)
  end)

  describe("to a like question", function()
    local LIKE = "{ similar: 0.95, of: text, embed: openai/text-embedding-3-small, ttl: 7d }"

    it("is told from the declared likeness on, with how like it is", function()
      unit(LIKE)
      workflow(SAY)
      local w = world()
      local _, one = done(w, { text = "10" })
      local near, two = done(w, { text = "30" }) -- cos 0.2
      assert.equal("10 1", near.said)
      assert.equal("similar", near.meta.cached.hit)
      assert.equal(0.9801, near.meta.cached.similarity)
      assert.equal(one.id, near.meta.cached.run)
      assert.equal("equal", w.engine:examine(two.id, "replay").verdict)
      assert.is_nil(done(w, { text = "50" }).meta.cached) -- cos 0.4 from 10
      local far = done(w, { text = "51" }) -- the nearest one is taken, not the first
      assert.equal("50 2", far.said)
      assert.equal("exact", done(w, { text = "50" }).meta.cached.hit)
      assert.same({ "10", "50" }, asked)
    end)

    it("asks for the vector of a text once, and tells what it cost", function()
      unit(LIKE)
      workflow(SAY)
      local w = world()
      local first, r = done(w, { text = "10" })
      assert.equal("test/kit", first.meta.embed.model)
      assert.truthy(done(w, { text = "20" }).meta.embed)
      assert.is_nil(done(w, { text = "20" }).meta.embed)
      assert.same({ "10", "20" }, embedded)
      local kinds = {}
      for _, record in ipairs(r.history) do
        if record.record == "attempt" then kinds[#kinds + 1] = record.kind end
      end
      assert.same({ "embed", "llm" }, kinds)
    end)

    it("is told only where all else is the same, partials too", function()
      unit(LIKE, nil, "Say {{text}} {{tone}} {{> style}}")
      content.write(dir .. "/prompts/_style.prompt", "kindly")
      workflow(SAY)
      local w = world()
      done(w, { text = "10", tone = "x" })
      assert.is_nil(done(w, { text = "11", tone = "y" }).meta.cached)
      assert.truthy(done(w, { text = "12", tone = "y" }).meta.cached)
      content.write(dir .. "/prompts/_style.prompt", "rudely")
      w = world()
      assert.is_nil(done(w, { text = "13", tone = "y" }).meta.cached)
      assert.truthy(done(w, { text = "12", tone = "y" }).meta.cached)
      unit(LIKE, nil, "Do say {{text}} {{tone}} {{> style}}")
      assert.is_nil(done(world(), { text = "14", tone = "y" }).meta.cached)
    end)

    it("is told only in the same conversation", function()
      unit(LIKE)
      workflow [[
        local _, meta = mill.llm("say", { text = input.text }, {
          messages = { { role = "user", content = { { text = input.more } } } } })
        return meta.cached and meta.cached.hit or "asked" ]]
      local w = world()
      assert.equal("asked", done(w, { text = "10", more = "and loud" }))
      assert.equal("similar", done(w, { text = "11", more = "and loud" }))
      assert.equal("asked", done(w, { text = "12", more = "and low" }))
    end)

    it("expires like any other", function()
      unit(LIKE)
      workflow(SAY)
      local w = world()
      done(w, { text = "10" })
      assert(w.engine:advance(7 * DAY))
      assert.is_nil(done(w, { text = "11" }).meta.cached)
    end)

    it("is held to the unit's checks, over the question's own variables", function()
      unit(LIKE, "tidemill.checks: { of: said, grounded_in: text }\n")
      workflow(SAY)
      local w = world(function(vars)
        asked[#asked + 1] = vars.text
        return { said = ('you say "%s"'):format(vars.text) }
      end)
      done(w, { text = "10" })
      assert.equal('you say "11"', done(w, { text = "11" }).said)
      assert.equal(2, #asked)
    end)

    it("does without when there is no vector to be had, and tells a mistake", function()
      unit(LIKE, "tidemill.retries: 0\n")
      workflow(SAY)
      local function run(embed)
        local opts = { dir = dir, model = { say = { said = "x" }, embed = embed } }
        return kit.run("w", { text = "a" }, opts)
      end
      assert.equal("done", run({ "no", "vectors" }).state)
      unit "{ similar: 0.95, of: text, embed: nobody/x }"
      local r = run(nil)
      assert.equal("failed", r.state)
      assert.truthy(r.error.message:find("prompts/say.prompt cannot embed with nobody/x: no "
        .. 'provider is called "nobody"', 1, true), r.error.message)
    end)
  end)

  describe("a vector", function()
    it("is asked for once for each text, and kept for other runs", function()
      workflow [[
        local all, meta = mill.embed({ "10", "20" })
        local one = mill.embed "10"
        local more, other = mill.embed({ "30", "10" })
        return { all = all, one = one, meta = meta, other = other, more = more }]]
      local w = world()
      local value, r = done(w, {})
      assert.same({ vector_of "10", vector_of "20" }, value.all)
      assert.same(vector_of "10", value.one)
      assert.same({ vector_of "30", vector_of "10" }, value.more)
      assert.equal(0, value.meta.reused)
      assert.equal(1, value.other.reused)
      assert.same({ "10", "20", "30" }, embedded)
      assert.equal("equal", w.engine:examine(r.id, "replay").verdict)
      value = done(w, {})
      assert.equal(2, value.meta.reused)
      assert.equal(0, value.meta.usd)
      assert.equal(3, #embedded)
      assert(w.engine:advance(90 * DAY))
      done(w, {})
      assert.equal(6, #embedded)
    end)

    it("is compared by the cosine", function()
      workflow [[
        return { mill.similar({ 1, 0 }, { 2, 0 }), mill.similar({ 1, 0 }, { 0, 3 }),
          mill.similar({ 1, 0 }, { -1, 0 }), mill.similar({ 0, 0 }, { 1, 0 }) }]]
      assert.same({ 1.0, 0.0, -1.0, 0.0 }, done(world(), {}))
    end)

    it("needs texts, a model and vectors of one length", function()
      for main, text in pairs({
        ["mill.embed {}"] = "takes 1 to 256 texts, not 0",
        ["mill.embed ''"] = "text 1 of mill.embed is empty",
        ["mill.embed { 1 }"] = "text 1 of mill.embed",
        ["mill.embed(7)"] = "the texts of mill.embed",
        ["mill.embed('a', { size = 1 })"] = "size",
        ["mill.embed('a', { dimensions = 'x' })"] = "dimensions must be a whole number",
        ["mill.embed('a', { model = 'nobody' })"] = "must be written as PROVIDER/MODEL",
        ["mill.similar({ 1 }, { 1, 2 })"] = "vectors of 1 and 2 numbers",
        ["mill.similar({ 'x' }, { 'x' })"] = "number 1 of a vector is none",
      }) do
        workflow(main)
        local r = world().run("w", {})
        assert.equal("failed", r.state, main)
        assert.truthy(r.error.message:find(text, 1, true), main .. ": " .. r.error.message)
      end
      workflow "mill.embed 'a'"
      local r = kit.run("w", {}, { dir = dir, model = { say = "x" } })
      assert.equal("config", r.error.kind)
    end)
  end)

  it("is not kept by a setting that makes no sense", function()
    workflow(SAY)
    for cache, text in pairs({
      ["often"] = "must be exact, or an object",
      ["{ ttl: soon }"] = "ttl must be a duration",
      ["{ ttl: 7 }"] = "ttl must be a duration",
      ["{ til: 7d }"] = 'there is no key "til"; the keys are ttl, similar, of and embed',
      ["{ of: text }"] = "of goes with similar only",
      ["{ similar: 0, of: text, embed: a/b }"] = "above 0 and up to 1",
      ["{ similar: 1.5, of: text, embed: a/b }"] = "above 0 and up to 1",
      ["{ similar: high, of: text, embed: a/b }"] = "above 0 and up to 1",
      ["{ similar: 0.9, embed: a/b }"] = "similar needs of",
      ["{ similar: 0.9, of: text }"] = "similar needs embed",
      ["{ similar: 0.9, of: text, embed: small }"] = "similar needs embed",
      ["{ similar: 0.9, of: txt, embed: a/b }"] = 'no variable "txt" in input.schema',
    }) do
      unit(cache)
      local r = world().run("w", { text = "a" })
      assert.equal("failed", r.state, cache)
      assert.truthy(r.error.message:find("prompts/say.prompt:4: tidemill.cache", 1, true),
        r.error.message)
      assert.truthy(r.error.message:find(text, 1, true), cache .. ": " .. r.error.message)
    end
  end)
end)

describe("an answer over a real wire", function()
  local dir, server

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows " .. dir .. "/prompts")
    content.write(dir .. "/tidemill.yaml", "model: openai/gpt-5-mini\n")
    content.write(dir .. "/workflows/w.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "w" { budget = { usd = 1 } }
function flow.main(input)
  return mill.map(input.texts, function(text)
    local value, meta = mill.llm("say", { text = text })
    return { value = value, hit = meta.cached and meta.cached.hit or "asked", usd = meta.usd,
      saved = meta.cached and meta.cached.usd, embed = meta.embed and meta.embed.usd }
  end)
end
return flow
]])
    server = content.serve { { delay_ms = 150, answer = { said = "fine" } } }
  end)
  after_each(function()
    server.stop()
    content.remove(dir)
  end)

  local function unit(cache)
    content.write(dir .. "/prompts/say.prompt", "---\noutput: { schema: { said: string } }\n"
      .. "tidemill.cache: " .. cache .. "\n---\nSay {{text}}")
  end

  local env = "OPENAI_API_KEY=sk-canary-4711 OPENAI_BASE_URL=http://127.0.0.1:%s/v1"

  local function run(...)
    local input = require("cjson").encode({ texts = { ... } })
    local got = content.tidemill(dir, { "run", "w", "-q", "--input", input },
      env:format(server.port))
    assert.equal(0, got.code, got.err)
    return got.json
  end

  local function requests() return #server.get "/log" end

  it("costs one request for all who ask, at once and later, in whatever process", function()
    unit "{ ttl: 1h }"
    local first = run("a", "a", "a", "a", "a")
    assert.equal(1, requests())
    assert.equal("asked", first[1].hit)
    assert.truthy(first[1].usd > 0)
    for i = 2, 5 do
      assert.same({ "flight", 0, "fine" }, { first[i].hit, first[i].usd, first[i].value.said })
      assert.equal(first[1].usd, first[i].saved)
    end
    assert.equal("exact", run("a")[1].hit)
    assert.equal(1, requests())
    local runs = content.tidemill(dir, { "list", "--json" }).json.runs
    assert.truthy(content.tidemill(dir, { "show", runs[1].id }).out
      :find("used again (exact) from run " .. runs[2].id, 1, true))
    local records = content.tidemill(dir, { "show", runs[1].id, "--json" }).json.records
    local hit
    for _, r in ipairs(records) do if r.meta and r.meta.cached then hit = r.seq end end
    local raw = content.tidemill(dir, { "show", ("%s#%d"):format(runs[1].id, hit), "--raw" })
    assert.equal(4, raw.code, raw.err)
    assert.truthy(raw.err:find("show " .. runs[2].id .. " --raw", 1, true), raw.err)
    assert.equal(0, content.tidemill(dir, { "doctor", "--deep" }).code)
  end)

  it("of two processes that ask at once: the first one's stays for others", function()
    unit "exact"
    local one = ([[%s tidemill run w -q --input '{"texts":["a"]}' > out%%d &]])
      :format(env:format(server.port))
    content.shell(dir, one:format(1) .. "\n" .. one:format(2) .. "\nwait")
    for i = 1, 2 do
      local out = require("cjson").decode(content.read(dir .. "/out" .. i))
      assert.equal("fine", out[1].value.said)
    end
    local asked = requests()
    assert.truthy(asked <= 2)
    assert.equal("exact", run("a")[1].hit)
    assert.equal(asked, requests())
  end)

  it("to a like question costs the embedding alone", function()
    unit "{ similar: 0.05, of: text, embed: openai/text-embedding-3-small }"
    local first = run("a")[1]
    assert.equal(2, requests())
    assert.equal("asked", first.hit)
    assert.truthy(first.embed > 0 and first.usd > first.embed)
    local like = run("b")[1]
    assert.equal(3, requests())
    assert.equal("similar", like.hit)
    assert.equal(like.embed, like.usd)
    assert.truthy(like.saved > 0)
  end)

  it("is a vector that the budget pays for, and no more than that", function()
    content.write(dir .. "/workflows/w.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "w" { budget = { usd = 0.00000001 } }
function flow.main(input)
  local opts = { model = "openai/text-embedding-3-small" }
  local _, meta = mill.embed(input.texts[1], opts)
  local again = mill.embed(input.texts[1], opts)
  local _, err = pcall(mill.embed, input.texts[2], opts)
  return { usd = meta.usd, again = #again, err = err.kind }
end
return flow
]])
    local got = run("a", "b")
    assert.truthy(got.usd > 0)
    assert.same({ 3, "budget" }, { got.again, got.err })
    assert.equal(1, requests())
  end)
end)
