--- Who answered: another model than asked, or not the same one as before, shows.
local content = dofile "spec/content.lua"

local script = [[
local mill = require "tidemill"
local flow = mill.workflow "%s" {}
function flow.main() return mill.llm("sort") end
return flow
]]

describe("the model that answered", function()
  local dir, server

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    for _, name in ipairs { "talk", "chat" } do
      content.write(("%s/workflows/%s.lua"):format(dir, name), script:format(name))
    end
    content.write(dir .. "/prompts/sort.prompt", "---\nmodel: openai/gpt-4.1\n---\nSort.\n")
  end)
  after_each(function()
    if server then server.stop() end
    server = nil
    content.remove(dir)
  end)

  local function cli(...)
    return content.tidemill(dir, { ... },
      ("OPENAI_API_KEY=k OPENAI_BASE_URL=http://127.0.0.1:%s/v1"):format(server.port))
  end

  -- Each answer is the model's name and, perhaps, a fingerprint; one run for each.
  local function runs(answers, workflow, ...)
    local rules = {}
    for i, a in ipairs(answers) do
      rules[i] = { times = 1, answer = "yes",
        with = { model = a[1], system_fingerprint = a[2] } }
    end
    if server then server.stop() end
    server = content.serve(rules)
    for i in ipairs(answers) do
      local got = cli("run", workflow or "talk", "-q", "--id", (workflow or "t") .. i, ...)
      assert.equal(0, got.code, got.err)
    end
  end

  local function doctor()
    local got = cli("doctor", "--json")
    for _, check in ipairs(got.json.checks) do
      if check.name == "answers" then return check, got end
    end
  end

  it("is not remarkable when it is the one that was asked", function()
    runs { { "gpt-4.1" }, { "gpt-4.1" } }
    local check, got = doctor()
    assert.is_true(check.ok)
    assert.is_nil(check.flagged)
    assert.is_nil(cli("show", "t1").out:find("answer", 1, true))
    assert.truthy(got.json.ok ~= nil)
  end)

  it("is flagged on the line of its call, and in the head when it is another one", function()
    runs { { "gpt-4.1-mini" } }
    local out = cli("show", "t1").out
    assert.truthy(out:find("[gpt-4.1-mini answered, asked was gpt-4.1] yes", 1, true), out)
    assert.truthy(out:match "\nanswers +sort: openai/gpt%-4%.1 answered as gpt%-4%.1%-mini "
      .. "since %d+%-%d+%-%d+ %d+:%d+, which is another model\n", out)
    local check = doctor()
    assert.is_true(check.ok)
    assert.is_true(check.flagged)
    assert.is_true(check.findings[1].other)
    assert.is_false(check.findings[1].drift)
    local text = cli("doctor").out
    assert.truthy(text:match "\nnote  answers +sort: openai/gpt%-4%.1 answered as ", text)
  end)

  it("is the same model with a date, a revision or :latest behind its name", function()
    for name, other in pairs {
      ["gpt-4.1-2025-04-14"] = false, ["gpt-4.1-20250414"] = false, ["gpt-4.1-001"] = false,
      ["gpt-4.1:latest"] = false, ["gpt-4.1@20250414"] = false, ["models/gpt-4.1"] = false,
      ["gpt-4.1-nano"] = true, ["gpt-4.10"] = true, ["gpt-4"] = true, ["gpt-4.1-"] = true,
      ["gpt-4.1-2025-04-14-x"] = true, ["mock"] = true,
    } do
      runs { { name } }
      assert.equal(other, doctor().flagged or false, name)
      content.shell(dir, "rm -rf .tidemill")
    end
  end)

  it("has drifted when its dated name or its fingerprint changed between runs", function()
    runs { { "gpt-4.1-2025-04-14", "fp_1" }, { "gpt-4.1-2025-04-14", "fp_1" },
      { "gpt-4.1-2025-04-14", "fp_2" }, { "gpt-4.1-2026-09-30", "fp_2" } }
    local check = doctor()
    assert.is_true(check.flagged)
    local finding = check.findings[1]
    assert.is_true(finding.drift)
    assert.is_false(finding.other)
    assert.equal("sort", finding.unit)
    local told = {}
    for i, a in ipairs(finding.answers) do
      told[i] = ("%s %s %d"):format(a.answered, a.fingerprint, a.calls)
    end
    assert.same({ "gpt-4.1-2025-04-14 fp_1 2", "gpt-4.1-2025-04-14 fp_2 1",
      "gpt-4.1-2026-09-30 fp_2 1" }, told)
    local day = "%d+%-%d+%-%d+ %d+:%d+"
    assert.truthy(check.detail:match("^sort: openai/gpt%-4%.1 answered "
      .. "as gpt%-4%.1%-2025%-04%-14 %(fp_1%) until " .. day
      .. ", as gpt%-4%.1%-2025%-04%-14 %(fp_2%) until " .. day
      .. ", as gpt%-4%.1%-2026%-09%-30 %(fp_2%) since " .. day .. "$"), check.detail)
    local shown = cli("show", "t4").out
    assert.truthy(shown:find("\nanswers   sort: openai/gpt-4.1 answered as", 1, true), shown)
  end)

  it("that answers by turns is told so", function()
    runs { { "gpt-4.1-1" }, { "gpt-4.1-2" }, { "gpt-4.1-1" } }
    assert.equal("sort: openai/gpt-4.1 answered as gpt-4.1-1 and as gpt-4.1-2 by turns",
      doctor().detail)
  end)

  it("is compared with runs of the same workflow when a run is shown", function()
    runs({ { "gpt-4.1-1" } }, "talk")
    runs({ { "gpt-4.1-2" } }, "chat")
    assert.is_nil(cli("show", "talk1").out:find("\nanswers", 1, true))
    assert.is_true(doctor().flagged)
  end)

  it("is not asked for when a cassette answers", function()
    runs({ { "gpt-4.1" } }, "talk", "--record", "tape.cassette")
    local got = cli("run", "talk", "-q", "--id", "again", "--model", "cassette/tape.cassette")
    assert.equal(0, got.code, got.err)
    assert.is_nil(cli("show", "again").out:find("answered", 1, true))
    assert.is_nil(doctor().flagged)
  end)
end)
