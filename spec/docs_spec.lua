--- The pages under docs/ name what there is: commands, flags, variables, settings, functions.
local content = dofile "spec/content.lua"

-- Every word in these files that the pattern captures.
local function found(files, pattern)
  local list, seen = {}, {}
  local pipe = io.popen("cat " .. files)
  for word in pipe:read("a"):gmatch(pattern) do
    if not seen[word] then list[#list + 1] = word end
    seen[word] = true
  end
  pipe:close()
  table.sort(list)
  assert.truthy(#list > 0)
  return list
end

-- The words that do not stand on the page in this form.
local function missing(page, words, form)
  local text, lacking = content.read(page), {}
  for _, word in ipairs(words) do
    local wanted = form:format(word)
    if not text:find(wanted, 1, true) then lacking[#lacking + 1] = wanted end
  end
  return lacking
end

describe("docs/", function()
  it("cli.md has every command and every flag", function()
    local commands, flags = {}, {}
    for name in content.tidemill(".", { "help" }).out:gmatch "\n  (%l+)%f[%W]" do
      commands[#commands + 1] = name
      local help = content.tidemill(".", { "help", name }).out
      for flag in help:gmatch "\n   ?%s*%-?%a?,? ?%-%-([%l-]+)" do flags[#flags + 1] = flag end
    end
    assert.truthy(#commands > 30)
    assert.truthy(#flags > 2 * #commands)
    assert.same({}, missing("docs/cli.md", commands, "`%s"))
    assert.same({}, missing("docs/cli.md", flags, "--%s"))
  end)

  it("cli.md has every variable of the environment", function()
    local ours = found("host/*/*.c", '"(TIDEMILL_[%u_]+)"')
    local keys = found("host/llm/*.c", '"(%u+_[%u_]*KEY)"')
    local bases = found("host/llm/*.c", 'base_env = "([%u_]+)"')
    assert.same({}, missing("docs/cli.md", ours, "`%s"))
    assert.same({}, missing("docs/cli.md", keys, "`%s`"))
    assert.same({}, missing("docs/cli.md", bases, "`%s`"))
  end)

  it("cli.md has every key of tidemill.yaml", function()
    local keys = found("host/face/options.c", 'strcmp%(m%->key, "(%l+)"%)')
    local not_at_the_top = { day = true, workflows = true, keys = true }
    for i = #keys, 1, -1 do
      if not_at_the_top[keys[i]] then table.remove(keys, i) end
    end
    assert.same({}, missing("docs/cli.md", keys, "`%s: "))
  end)

  it("prompts.md has every setting of a unit", function()
    local settings = found("host/text/prompt.h", 'X%((%l+), "')
    assert.same({}, missing("docs/prompts.md", settings, "| `tidemill.%s`"))
  end)

  it("primitives.md has every primitive", function()
    local names = found("lua/tidemill.lua", "function mill%.(%l[%l_]*)")
    for _, list in ipairs(found("host/script/modules.c", '{"%l+", " ([%l_ ]+) "}')) do
      for name in list:gmatch "[%l_]+" do names[#names + 1] = name end
    end
    assert.truthy(#names > 30)
    assert.same({}, missing("docs/primitives.md", names, "`mill.%s"))
    local kit = found("lua/tidemill/test.lua", "function M%.(%l[%l_]*)")
    assert.same({}, missing("docs/primitives.md", kit, "`kit.%s("))
  end)

  it("primitives.md has every option of an action, a step and a gate", function()
    local source = content.read "lua/tidemill/action.lua"
      :match "local action_options = (.-)\nlocal"
    source = source .. content.read "lua/tidemill/step.lua":match 'step_options = ("[^"]+")'
      .. content.read "lua/tidemill/gate.lua":match 'gate_options = ("[^"]+")'
    local options = {}
    for list in source:gmatch '"([^"]+)"' do
      for name in list:gmatch "([%l_]+)[%l:]*" do options[#options + 1] = name end
    end
    assert.truthy(#options > 25)
    assert.same({}, missing("docs/primitives.md", options, "`%s`"))
  end)

  it("embedding.md has every shape that the library hands out", function()
    local shapes = found("host/face/api*.c", '"(tidemill%.%l+/%d)"')
    assert.same({}, missing("docs/embedding.md", shapes, "`%s`"))
  end)
end)

describe("host/tidemill.h", function()
  it("is read in one sitting", function()
    local _, lines = content.read("host/tidemill.h"):gsub("\n", "")
    assert.truthy(lines <= 250)
  end)
end)
