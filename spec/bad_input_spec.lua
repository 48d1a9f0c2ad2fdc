--- Whatever is wrong with what a person brings: one clear message, the right code, no loss.
local content = dofile "spec/content.lua"

describe("bad input", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows/schemas " .. dir .. "/prompts")
  end)
  after_each(function() content.remove(dir) end)

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

  --- `tidemill run w`: it ends with `code`, and its one message holds each of the words.
  local function refused(code, words, input, env)
    local got = content.tidemill(dir, { "run", "w", "-q", "--input", input or "{}" }, env)
    assert.equal(code, got.code, got.err)
    assert.equal("", got.out)
    local _, lines = got.err:gsub("\n", "")
    assert.equal(1, lines, got.err)
    for _, word in ipairs(words) do
      assert.truthy(got.err:find(word, 1, true), ("%q in %s"):format(word, got.err))
    end
    return got
  end

  local function runs() return #content.tidemill(dir, { "list", "--json" }).json.runs end

  it("is a script that does not compile: file and line, and no run", function()
    workflow "return ((1"
    refused(2, { "workflows/w.lua:5", "to close '(' at line 4" })
    assert.equal(0, runs())
  end)

  it("is a script that raises: file and line, and the run is kept", function()
    workflow "local x = nil; return x.y"
    refused(1, { "workflows/w.lua:4", "nil value" })
    assert.equal(1, runs())
  end)

  it("is a primitive, an option or a type that does not exist", function()
    workflow [[mill.gates("x")]]
    refused(1, { "workflows/w.lua:4", "mill.gates does not exist", "docs/primitives.md" })
    workflow [[mill.gate("x", { ask = "?", shw = 1 })]]
    refused(1, { "workflows/w.lua:4", '"shw"', "it takes ask show" })
    workflow [[mill.gate("x", { ask = 5 })]]
    refused(1, { "workflows/w.lua:4", "must be a string, not number" })
  end)

  it("is a prompt that is missing, or whose front matter is no YAML", function()
    workflow [[mill.llm("say", {})]]
    refused(1, { "prompts/say.prompt does not exist" })
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: [\n---\nhi")
    refused(1, { "prompts/say.prompt", "line" })
    content.write(dir .. "/prompts/say.prompt", "---\ntidemill.mod: direct\n---\nhi")
    refused(1, { "prompts/say.prompt:2", 'no setting "tidemill.mod"', "tidemill.mode" })
    content.write(dir .. "/prompts/say.prompt", "hi {{nobody x}}")
    refused(1, { "prompts/say.prompt:1:", "nobody" })
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: scripted/demo\nhi")
    refused(1, { "prompts/say.prompt", "---" })
  end)

  it("is a schema that does not compile, or is not there", function()
    content.write(dir .. "/workflows/schemas/s.json", '{"type":"strin"}')
    workflow("return 1", "input = 's'")
    refused(2, { "workflows/schemas/s.json", "strin" })
    content.write(dir .. "/workflows/schemas/s.json", '{"type":')
    refused(2, { "workflows/schemas/s.json", "line 1" })
    workflow("return 1", "input = 'none'")
    refused(2, { "workflows/schemas/none.json does not exist" })
  end)

  it("is input that breaks the input schema: the place in it, and no run", function()
    workflow("return 1", "input = { type = 'object', required = { 'id' } }")
    refused(2, { "the input of w is invalid", '"id"' })
    refused(2, { "line 1", "column" }, "{nonsense")
    assert.equal(0, runs())
  end)

  it("is a database that is not ours, or newer, or no database: untouched", function()
    workflow "return 1"
    os.execute("mkdir -p " .. dir .. "/.tidemill")
    local path = dir .. "/.tidemill/tidemill.db"
    content.write(path, ("not a database at all. "):rep(100))
    refused(3, { "tidemill.db" })
    assert.equal(("not a database at all. "):rep(100), content.read(path))

    os.remove(path)
    assert.equal(0, content.tidemill(dir, { "run", "w", "-q" }).code)
    local ours = content.read(path)
    -- Where SQLite keeps a file's version and the program that it belongs to.
    local function refused_with(offset, number, words)
      local other = ours:sub(1, offset) .. string.pack(">I4", number) .. ours:sub(offset + 5)
      content.write(path, other)
      refused(3, words)
      assert.equal(other, content.read(path))
    end
    refused_with(60, 9999, { "tidemill.db", "version 9999" })
    refused_with(68, 1, { "tidemill.db" })
  end)

  it("is a missing key: the variable's name", function()
    content.write(dir .. "/prompts/say.prompt",
      "---\nmodel: anthropic/claude-sonnet-4-6\n---\nhi")
    workflow [[return (mill.llm("say", {}))]]
    refused(3, { "ANTHROPIC_API_KEY", "tidemill retry " }, nil,
      "ANTHROPIC_API_KEY= ANTHROPIC_BASE_URL=")
  end)

  it("is a tidemill.yaml that holds no settings", function()
    workflow "return 1"
    for _, text in ipairs { "[1]", "5", "model", '"text"', "- db: x" } do
      content.write(dir .. "/tidemill.yaml", text .. "\n")
      refused(3, { "tidemill.yaml: expected settings" })
    end
    content.write(dir .. "/tidemill.yaml", "# nothing yet\n")
    assert.equal(0, content.tidemill(dir, { "run", "w", "-q" }).code)
  end)

  it("is an option of the wrong type: what it must be", function()
    local function raises(main, words) workflow(main) refused(1, words) end
    raises("flow:action 'a' { key = 5, run = print }",
      { "workflows/w.lua:4", "action a: key must be a function, not number" })
    raises("flow:action 'a' { key = print, run = print, irreversible = 'no' }",
      { "action a: irreversible must be a boolean, not string" })
    raises("flow:step 's' { run = print, check = 1 }", { "step s: check must be a function" })
    raises("local v = mill.validate(5, 7)",
      { "workflows/w.lua:4", "a schema must be a name, a Picoschema text or a table" })
    raises("mill.log {}", { "workflows/w.lua:4", "mill.log takes a text" })
    content.write(dir .. "/prompts/say.prompt", "---\nmodel: scripted/demo\n---\nhi")
    raises("mill.llm('say', {}, { temperature = 'hot' })", { "temperature must be a number" })
    raises("mill.llm('say', 5)", { "workflows/w.lua:4", "prompt say", "must be an object" })
    workflow("return 1", "about = 5")
    refused(2, { "workflow w: about must be a string, not number" })
  end)

  it("is a workflow of another name than its file's", function()
    workflow "return 1"
    os.execute(("mv %s/workflows/w.lua %s/workflows/v.lua"):format(dir, dir))
    local got = content.tidemill(dir, { "run", "v", "-q" })
    assert.equal(2, got.code, got.err)
    assert.matches('workflows/v.lua declares the workflow "w"', got.err, 1, true)
  end)

  it("is a database that another program holds: one message, and the run comes back", function()
    workflow "mill.gate('go', { ask = '?' }) return 1"
    local run = content.tidemill(dir, { "run", "w", "-q", "--id", "one" })
    assert.equal(8, run.code, run.err)
    local busy = content.locked(dir .. "/.tidemill/tidemill.db", function()
      return content.tidemill(dir, { "approve", "one", "go" }, "TIDEMILL_BUSY_MS=50")
    end)
    assert.equal(75, busy.code, busy.err)
    assert.equal(1, select(2, busy.err:gsub("\n", "")), busy.err)
    assert.equal(0, content.tidemill(dir, { "approve", "one", "go" }).code)
    assert.equal("1\n", content.tidemill(dir, { "resume", "one", "-q" }).out)
  end)

  it("is a primitive where nothing can wait: the callback's name", function()
    workflow "table.sort({ 2, 1 }, function(a, b) mill.sleep(1) return a < b end)"
    refused(1, { "workflows/w.lua:4", "mill.sleep cannot wait inside", "table.sort" })
    workflow "(('x'):gsub('x', function() mill.sleep(1) end))"
    content.write(dir .. "/workflows/w.lua", (content.read(dir .. "/workflows/w.lua")
      :gsub("%(%('x'%)(.-)%)\nend", "local _ = ('x')%1\nend")))
    refused(1, { "workflows/w.lua:4", "mill.sleep cannot wait inside", "gsub" })
  end)

  it("is a script that never ends, eats memory, or wraps it all in pcall", function()
    workflow "while true do pcall(function() while true do end end) end"
    refused(1, { "workflows/w.lua:4", "instructions", "`steps`" })
    workflow [[local t = {}
      while true do pcall(function() t[#t + 1] = ("x"):rep(1e5) .. #t end) end]]
    refused(1, { "workflows/w.lua:5", "memory" })
  end)
end)
