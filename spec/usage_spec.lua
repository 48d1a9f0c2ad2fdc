--- What the models cost, read off the journals: `tidemill usage` over a mock on loopback.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local script = [[
local mill = require "tidemill"
local flow = mill.workflow "%s" {}
function flow.main(input)
  local said = {}
  for i, unit in ipairs(input.units) do said[i] = mill.llm(unit, { text = input.text }) end
  return said
end
return flow
]]

local function rule(match, usage, more)
  local r = { match = match, answer = "yes", with = { usage = usage } }
  for k, v in pairs(more or {}) do r[k] = v end
  return r
end

local big = { prompt_tokens = 1000, completion_tokens = 500, total_tokens = 1500,
  prompt_tokens_details = { cached_tokens = 400 },
  completion_tokens_details = { reasoning_tokens = 300 } }
local plain = { prompt_tokens = 100, completion_tokens = 10, total_tokens = 110 }

describe("tidemill usage", function()
  local dir, server

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    for _, name in ipairs { "first", "second" } do
      content.write(("%s/workflows/%s.lua"):format(dir, name), script:format(name))
    end
    for name, model in pairs { sort = "openai/big", draft = "openai/small",
      guess = "openai/priceless" } do
      content.write(("%s/prompts/%s.prompt"):format(dir, name),
        ("---\nmodel: %s\n---\n%s: {{text}}\n"):format(model, name))
    end
    content.write(dir .. "/tidemill.yaml", [[
prices:
  openai/big: { input: 10, cached_input: 1, output: 100 }
  openai/small: { input: 1, output: 2 }
]])
  end)
  after_each(function()
    if server then server.stop() end
    server = nil
    content.remove(dir)
  end)

  local function env()
    return ("TIDEMILL_RETRY_BASE_MS=1 OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1")
      :format(server.port)
  end

  local function cli(...) return content.tidemill(dir, { ... }, env()) end

  local function run(workflow, units, ...)
    return cli("run", workflow, "-q", "--input",
      cjson.encode { units = units, text = "where is my card" }, ...)
  end

  local function usage(...)
    local got = cli("usage", "--json", ...)
    assert.equal(0, got.code, got.err)
    return got.json
  end

  local function rows(by, ...)
    local told = {}
    for _, row in ipairs(usage("--by", by, ...).rows) do told[row[by]] = row end
    return told
  end

  local rules = { rule("sort:", big), rule("draft:", plain), rule("guess:", plain) }
  -- 600 at 10, 400 at 1 and 500 at 100; and 100 at 1 and 10 at 2, for a million
  local dear, cheap = (6000 + 400 + 50000) / 1e6, 120 / 1e6

  it("tells tokens and money by model, and what has no price apart", function()
    server = content.serve(rules)
    assert.equal(0, run("first", { "sort", "draft", "draft", "guess" }).code)
    local all = usage()
    assert.equal("tidemill.usage/1", all.schema)
    assert.equal("model", all.by)
    assert.same({ "openai/big", "openai/small", "openai/priceless" },
      { all.rows[1].model, all.rows[2].model, all.rows[3].model })
    assert.same({ model = "openai/big", calls = 1, attempts = 1, failed = 0, usd = dear,
      unpriced = 0, untold = 0, tokens = { input = 1000, cached_input = 400,
        cache_write = cjson.null, output = 500, reasoning = 300 } }, all.rows[1])
    assert.near(2 * cheap, all.rows[2].usd, 1e-12)
    assert.equal(cjson.null, all.rows[3].usd)
    assert.equal(1, all.rows[3].unpriced)
    assert.equal(100, all.rows[3].tokens.input)
    assert.equal(4, all.total.calls)
    assert.equal(1300, all.total.tokens.input)
    assert.near(dear + 2 * cheap, all.total.usd, 1e-12)
    assert.equal(1, all.total.unpriced)
  end)

  it("tells the same by unit, by workflow and by day", function()
    server = content.serve(rules)
    run("first", { "sort", "draft" })
    run("second", { "sort" })
    assert.equal(2, rows "unit".sort.calls)
    assert.near(2 * dear, rows "unit".sort.usd, 1e-12)
    assert.equal(1, rows "unit".draft.calls)
    assert.equal(2, rows "workflow".first.calls)
    assert.equal(1, rows "workflow".second.calls)
    local today = rows "day"[os.date "!%Y-%m-%d"]
    assert.equal(3, today.calls)
    assert.near(2 * dear + cheap, today.usd, 1e-12)
  end)

  it("counts what failed attempts cost, and an attempt without a word of tokens as such",
    function()
      server = content.serve {
        { times = 1, fault = "500", headers = { ["Retry-After-Ms"] = "1" } },
        { match = "sort:", times = 1, answer = "{}", with = { usage = big } },
        { match = "sort:", answer = { ok = true }, with = { usage = big } },
      }
      content.write(dir .. "/prompts/sort.prompt", "---\nmodel: openai/big\noutput:\n"
        .. "  schema:\n    ok: boolean\n---\nsort: {{text}}\n")
      local got = run("first", { "sort" })
      assert.equal(0, got.code, got.err)
      local row = rows "model"["openai/big"]
      assert.equal(1, row.calls)
      assert.equal(3, row.attempts)
      assert.equal(2, row.failed)
      assert.equal(1, row.untold)
      assert.equal(0, row.unpriced)
      assert.near(2 * dear, row.usd, 1e-12)
    end)

  it("counts vectors, and those that a look for like answers asked for", function()
    content.write(dir .. "/workflows/first.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "first" {}
function flow.main()
  mill.embed({ "a", "b" }, { model = "openai/vectors" })
  mill.embed({ "a" }, { model = "openai/vectors" }) -- is there
  for _ = 1, 2 do mill.llm("draft", { text = "where is my card" }) end
  return "done"
end
return flow
]])
    content.write(dir .. "/prompts/draft.prompt", "---\nmodel: openai/small\n"
      .. "tidemill.cache: { similar: 0.9, of: text, embed: openai/vectors }\n---\n"
      .. "draft: {{text}}\n")
    content.write(dir .. "/tidemill.yaml", "prices:\n"
      .. "  openai/small: { input: 1, output: 2 }\n"
      .. "  openai/vectors: { input: 1000, output: 0 }\n")
    server = content.serve(rules)
    assert.equal(0, run("first", {}, "--id", "t1").code)
    local vectors = rows "model"["openai/vectors"]
    assert.equal(2, vectors.calls)
    assert.equal(2, vectors.attempts)
    assert.near(vectors.tokens.input / 1000, vectors.usd, 1e-12)
    assert.equal(1, rows "unit".embed.calls)
    assert.equal(1, rows "unit".draft.calls) -- and a hit, for which nobody was asked
    assert.near(vectors.usd + cheap, usage().total.usd, 1e-12)
    assert.equal(2, usage().total.calls)
  end)

  it("counts a run that failed, with all it cost", function()
    server = content.serve { { match = "sort:", answer = "{}", with = { usage = big } } }
    content.write(dir .. "/prompts/sort.prompt", "---\nmodel: openai/big\noutput:\n"
      .. "  schema:\n    ok: boolean\ntidemill.repair: 1\n---\nsort: {{text}}\n")
    assert.equal(1, run("first", { "sort" }).code)
    local total = usage().total
    assert.equal(2, total.attempts)
    assert.equal(2, total.failed)
    assert.near(2 * dear, total.usd, 1e-12)
  end)

  it("counts each model of a call that fell back, and the call once in all", function()
    server = content.serve {
      { match = '"big"', fault = "402" },
      rule("draft:", plain),
    }
    content.write(dir .. "/prompts/draft.prompt",
      "---\nmodel: openai/big\ntidemill.fallback: [openai/small]\n---\ndraft: {{text}}\n")
    local got = run("first", { "draft" })
    assert.equal(0, got.code, got.err)
    local all = usage()
    assert.equal(1, all.total.calls)
    assert.equal(2, all.total.attempts)
    assert.equal(1, rows "model"["openai/big"].calls)
    assert.equal(1, rows "model"["openai/small"].calls)
  end)

  it("adds nothing for a replay, a fork's shared part or a question asked again", function()
    server = content.serve(rules)
    run("first", { "sort", "draft" }, "--id", "t1")
    local before = usage()
    assert.equal(0, cli("replay", "t1").code)
    assert.equal(0, run("first", { "sort", "draft" }, "--id", "t1").code)
    assert.same(before, usage())
    assert.equal(0, cli("fork", "t1", "--from", "draft", "--id", "t2").code)
    local after = usage()
    assert.equal(before.total.calls + 1, after.total.calls)
    assert.near(before.total.usd + cheap, after.total.usd, 1e-12)
  end)

  it("is narrowed down by time, by workflow and to one run", function()
    server = content.serve(rules)
    run("first", { "sort" }, "--id", "t1")
    run("second", { "draft" }, "--id", "t2")
    local today = os.date "!%Y-%m-%d"
    assert.equal(2, usage("--since", today, "--until", today).total.calls)
    assert.equal(2, usage("--since", "1h").total.calls)
    assert.equal(0, usage("--until", "2020-01-01").total.calls)
    assert.equal(0, usage("--since", "9998-01-01").total.calls)
    assert.equal(1, usage("--workflow", "second").total.calls)
    assert.equal("openai/small", usage("--workflow", "second").rows[1].model)
    assert.equal("t1", usage("t1").run)
    assert.equal(1, usage("t1").total.calls)
    assert.equal("openai/big", usage("t1").rows[1].model)
  end)

  it("is a table for people, with ? for what nobody told", function()
    server = content.serve(rules)
    run("first", { "sort", "guess" })
    local got = cli "usage"
    local lines = {}
    for line in got.out:gmatch "[^\n]+" do lines[#lines + 1] = line:gsub(" +", " ") end
    assert.same({
      "model calls attempts failed input cached output reasoning unpriced USD",
      "openai/big 1 1 0 1000 400 500 300 0 0.0564",
      "openai/priceless 1 1 0 100 ? 10 ? 1 ?",
      "total 2 2 0 1100 400 510 300 1 0.0564",
    }, lines)
  end)

  it("says so when no model was asked", function()
    server = content.serve {}
    local got = cli "usage"
    assert.equal(0, got.code)
    assert.equal("", got.out)
    assert.truthy(got.err:find("no model was asked", 1, true))
    assert.equal(0, usage().total.usd)
    assert.equal("[]", cli("usage", "--json").out:match '"rows":(%b[])')
  end)

  it("refuses what it cannot read, with what it can", function()
    server = content.serve {}
    for _, case in ipairs {
      { 2, "by model, workflow, unit or day", "--by", "colour" },
      { 2, "such as 2026-11-20", "--since", "yesterday" },
      { 2, "such as 2026-11-20", "--since", "2026-02-30" },
      { 2, "such as 2026-11-20", "--until", "7d" },
      { 2, "since is not before until", "--since", "2026-11-20", "--until", "2026-11-19" },
      { 2, "has no flag --limit", "--limit", "3" },
      { 4, "there is no run nobody", "nobody" },
    } do
      local got = cli("usage", table.unpack(case, 3))
      assert.equal(case[1], got.code, got.err)
      assert.equal("", got.out)
      assert.truthy(got.err:find(case[2], 1, true), got.err)
    end
  end)
end)
