--- Who can be asked, and what models do not take: `tidemill models`, `capabilities`.
local content = dofile "spec/content.lua"

describe("tidemill models", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/prompts/sort.prompt",
      "---\nmodel: openai-chat/o3\nconfig: { temperature: 0.5 }\n---\nSort.\n")
    content.write(dir .. "/prompts/draft.prompt", "---\nmodel: gemini/house-1\n---\nDraft.\n")
  end)
  after_each(function() content.remove(dir) end)

  local env = "OPENAI_API_KEY=sk-canary-4711-abcdefgh-wxyz ANTHROPIC_API_KEY= GOOGLE_API_KEY= "
    .. "GEMINI_API_KEY= OPENAI_BASE_URL='https://me:canary@gate.example/v1?key=canary'"

  local function cli(...) return content.tidemill(dir, { ... }, env) end

  local function by(list, key, name)
    for _, row in ipairs(list) do if row[key] == name then return row end end
  end

  it("tells providers with their keys masked, and no secret of a URL", function()
    local got = cli("models", "--json")
    assert.equal(0, got.code, got.err)
    assert.equal("tidemill.models/1", got.json.schema)
    local openai = by(got.json.providers, "provider", "openai")
    assert.equal("sk-...wxyz", openai.key)
    assert.equal("https://***@gate.example/v1?***", openai.base_url)
    assert.is_true(openai.ready)
    assert.is_false(by(got.json.providers, "provider", "anthropic").ready)
    local text = cli "models"
    assert.truthy(text.out:find("set ANTHROPIC_API_KEY", 1, true))
    assert.truthy(text.out:find("OPENAI_API_KEY: sk-...wxyz", 1, true))
    assert.is_nil((got.out .. text.out):find("canary", 1, true))
  end)

  it("tells each unit's model, its price, and what a request to it would drop", function()
    content.write(dir .. "/tidemill.yaml",
      "prices:\n  gemini/house-1: { input: 3, output: 4 }\n")
    local all = cli("models", "--json").json
    local o3 = by(all.models, "model", "openai-chat/o3")
    assert.same({ "sort" }, o3.units)
    assert.equal(2, o3.price.input)
    assert.same({ "temperature", "topP", "topK", "stopSequences", "frequencyPenalty",
      "presencePenalty" }, o3.drops)
    local house = by(all.models, "model", "gemini/house-1")
    assert.same({ "draft" }, house.units)
    assert.equal(4, house.price.output)
    assert.truthy(all.prices_as_of:match "^%d+%-%d+%-%d+$")
    assert.truthy(all.capabilities_as_of:match "^%d+%-%d+%-%d+$")
    local text, more = cli("models").out, cli("models", "--all").out
    assert.truthy(text:find("openai-chat/o3 ", 1, true))
    assert.is_nil(text:find("openai/gpt-4.1 ", 1, true))
    assert.truthy(more:find("openai/gpt-4.1 ", 1, true))
  end)

  it("counts the project's capabilities before ours, on the wire and in the list", function()
    local function sent()
      local got = cli("prompt", "render", "sort", "--json")
      assert.equal(0, got.code, got.err)
      return got.json.request.body
    end
    assert.is_nil(sent():find("temperature", 1, true))
    content.write(dir .. "/tidemill.yaml",
      "capabilities:\n  openai/o3*: { stop: false }\n  gemini/*: { sampling: false }\n")
    assert.truthy(sent():find('"temperature":0.5', 1, true))
    local models = cli("models", "--json").json.models
    assert.same({ "stopSequences" }, by(models, "model", "openai-chat/o3").drops)
    assert.same({ "temperature", "topP", "topK", "frequencyPenalty", "presencePenalty" },
      by(models, "model", "gemini/house-1").drops)
  end)

  it("refuses capabilities of another form, with the file and what fits", function()
    for _, case in ipairs {
      { "openai/x: { sampling: sometimes }", "the capabilities of openai/x" },
      { "openai/x: { colour: false }", "sampling (true, false" },
      { "x: { stop: false }", "under PROVIDER/PATTERN" },
      { "openai/x: 3", "must be an object" },
    } do
      content.write(dir .. "/tidemill.yaml", "capabilities:\n  " .. case[1] .. "\n")
      local got = cli "models"
      assert.equal(3, got.code, got.out)
      assert.truthy(got.err:find("tidemill.yaml", 1, true), got.err)
      assert.truthy(got.err:find(case[2], 1, true), got.err)
    end
    content.write(dir .. "/tidemill.yaml", "capabilities: yes\n")
    local got = cli "models"
    assert.equal(3, got.code)
    assert.truthy(got.err:find("capabilities {PROVIDER/PATTERN", 1, true), got.err)
  end)

  it("takes no argument and no flag of others", function()
    assert.equal(2, cli("models", "openai").code)
    assert.equal(2, cli("models", "--by", "model").code)
  end)
end)
