--- One unit asked once, without a workflow: `tidemill prompt run`.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local unit = [[
---
model: openai/gpt-4.1
input:
  schema:
    text: string
output:
  schema:
    kind: string
    words: integer
---
Sort: {{text}}
]]

describe("tidemill prompt run", function()
  local dir, server

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/prompts"):format(dir)))
    content.write(dir .. "/prompts/sort.prompt", unit)
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: openai/gpt-4.1\n---\nSay: hello\n")
  end)
  after_each(function()
    if server then server.stop() end
    server = nil
    content.remove(dir)
  end)

  local function run(name, ...)
    return content.tidemill(dir, { "prompt", "run", name, ... },
      ("TIDEMILL_RETRY_BASE_MS=1 OPENAI_API_KEY=sk-canary "
        .. "OPENAI_BASE_URL=http://127.0.0.1:%s/v1")
        :format(server and server.port or 9))
  end

  local input = '{"text":"my card"}'

  it("prints the value alone on stdout, and what it took on stderr", function()
    server = content.serve { { answer = { kind = "card", words = 2 } } }
    local got = run("sort", "--input", input)
    assert.equal(0, got.code, got.err)
    assert.same({ kind = "card", words = 2 }, cjson.decode(got.out))
    assert.truthy(got.err:match
      "^openai/gpt%-4%.1 %(answered by mock%-1%), 1 attempt, %d+ tokens in, %d+ tokens out, "
      .. "[%d.e-]+ USD, .*; kept in no journal\n$", got.err)
    assert.equal("", run("sort", "--input", input, "-q").err)
  end)

  it("prints a text as it is", function()
    server = content.serve { { answer = "Hello." } }
    assert.equal("Hello.\n", run("say").out)
  end)

  it("takes the model of the command line", function()
    server = content.serve { { match = '"gpt-5.9"', answer = { kind = "x", words = 1 } } }
    local got = run("sort", "--input", input, "--model", "openai/gpt-5.9", "--json")
    assert.equal(0, got.code, got.err)
    assert.equal("openai/gpt-5.9", got.json.meta.model)
  end)

  it("repairs as a run does, and tells every attempt as JSON or byte for byte", function()
    local rules = { { times = 1, answer = { kind = "card" } },
      { answer = { kind = "card", words = 2 } } }
    server = content.serve(rules)
    local got = run("sort", "--input", input, "--json")
    assert.equal("tidemill.promptrun/1", got.json.schema)
    assert.equal(1, got.json.meta.rounds)
    assert.equal(2, #got.json.attempts)
    assert.equal("bad_output", got.json.attempts[1].error.class)
    server.stop()
    server = content.serve(rules)
    got = run("sort", "--input", input, "--raw")
    assert.equal(0, got.code, got.err)
    assert.truthy(got.out:find("# attempt 1: sort\n> POST http", 1, true))
    assert.truthy(got.out:find("# attempt 2: sort\n", 1, true))
    assert.truthy(got.out:find("Sort: my card", 1, true))
    assert.is_nil(got.out:find("canary", 1, true))
  end)

  it("fails with the model's error, after all that was tried", function()
    server = content.serve { { answer = { kind = "card" } } }
    local got = run("sort", "--input", input)
    assert.equal(1, got.code)
    assert.equal("", got.out)
    assert.truthy(got.err:find("3 attempts", 1, true), got.err)
    assert.truthy(got.err:find("tidemill: bad_output: ", 1, true), got.err)
    assert.truthy(got.err:find("words", 1, true), got.err)
    got = run("sort", "--input", input, "--json")
    assert.equal(1, got.code)
    assert.equal("bad_output", got.json.error.class)
    assert.is_nil(got.json.value)
  end)

  it("offers the tools that the unit describes, and tells what the model asks for", function()
    content.write(dir .. "/prompts/desk.prompt", [[
---
model: openai/gpt-4.1
tools: [find_order, refund]
toolDefs:
  - name: find_order
    description: Finds an order by its number.
    inputSchema: { number: integer }
---
Where is order 7?
]])
    local sent = { { name = "find_order", arguments = { number = 7 } } }
    server = content.serve { { tool = sent[1] } }
    local got = run "desk"
    assert.equal(0, got.code, got.err)
    local said = cjson.decode(got.out)
    assert.same(sent, said.tool_calls)
    assert.truthy(got.err:find("it asks for 1 call of tools; none was made", 1, true), got.err)
    assert.truthy(got.err:find("refund was not offered", 1, true), got.err)
    local raw = run("desk", "--raw").out
    assert.truthy(raw:find("Finds an order by its number.", 1, true), raw)
    assert.is_nil(raw:find("refund", 1, true))
    local all = run("desk", "--json").json
    assert.same({ "refund" }, all.not_offered)
    assert.same({ number = 7 }, all.meta.tool_calls[1].arguments)
    server.stop()
    server = content.serve { { answer = "On its way." } }
    assert.equal("On its way.\n", run("desk").out)
    content.write(dir .. "/prompts/desk.prompt",
      "---\nmodel: openai/m\ntoolDefs: [{ name: find_order }]\n---\nWhere?\n")
    got = run "desk"
    assert.equal(2, got.code)
    local why = "prompts/desk.prompt: toolDefs: find_order needs"
    assert.truthy(got.err:find(why, 1, true), got.err)
  end)

  it("says that it waits for its turn, and does not wait for long", function()
    server = content.serve {
      { times = 1, fault = "429", headers = { ["Retry-After"] = "3600" } },
      { answer = "Hello." },
    }
    local got = run "say"
    assert.equal(1, got.code)
    assert.truthy(got.err:find("rate_limited: ", 1, true), got.err)
    assert.truthy(got.err:match "ask again in %d%d%d%d s", got.err)
    assert.equal(1, #server.get "/log")
    content.write(dir .. "/tidemill.yaml", "limits: { openai: { requests_per_minute: 30 } }\n")
    content.write(dir .. "/prompts/say.prompt",
      "---\nmodel: openai/m\ntidemill.checks: { min_chars: 99 }\n"
        .. "tidemill.repair: 1\n---\nHello.\n")
    got = run "say"
    assert.truthy(got.err:find("2 attempts", 1, true), got.err)
    assert.truthy(got.err:find("waiting for the rate limit of openai", 1, true), got.err)
  end)

  it("leaves nothing behind", function()
    server = content.serve { { answer = "Hello." } }
    assert.equal(0, run("say").code)
    assert.equal("prompts\n", content.shell(dir, "ls -A").out)
  end)

  it("refuses what cannot be asked", function()
    for _, case in ipairs {
      { 2, "usage: tidemill prompt run NAME" },
      { 4, "there is no prompt unit \"nobody\"", "nobody" },
      { 2, "/text must be a string", "sort", "--input", '{"text":3}' },
      { 2, "not JSON", "sort", "--input", "{" },
      { 3, "no provider is called", "say", "--model", "nobody/x" },
      { 2, "expected PROVIDER/MODEL", "say", "--model", "x" },
    } do
      local got = run(table.unpack(case, 3))
      assert.equal(case[1], got.code, got.err)
      assert.truthy(got.err:find(case[2], 1, true), got.err)
      assert.equal("", got.out)
    end
    local got = content.tidemill(dir, { "prompt", "run", "say" }, "OPENAI_API_KEY= ")
    assert.equal(3, got.code, got.err)
    assert.truthy(got.err:find("OPENAI_API_KEY", 1, true))
    got = content.tidemill(dir, { "prompt", "lint", "--raw" })
    assert.equal(2, got.code)
    assert.truthy(got.err:find("--raw is for", 1, true))
  end)
end)
