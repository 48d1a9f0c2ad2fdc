--- `tidemill check` and `tidemill prompt lint`: every mistake at once, each with file and line.
local content = dofile "spec/content.lua"

describe("check", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows/schemas " .. dir .. "/workflows/lib " ..
      dir .. "/prompts/team")
  end)
  after_each(function() content.remove(dir) end)

  local function write(path, text) content.write(dir .. "/" .. path, text) end

  local function workflow(name, spec, head)
    write("workflows/" .. name .. ".lua", ([[
local mill = require "tidemill"
%s
local flow = mill.workflow "%s" { %s }
function flow.main() return 1 end
return flow
]]):format(head or "", name, spec or ""))
  end

  --- These findings and no others, as lines; each a plain text that begins its line.
  local function finds(args, expected)
    local got = content.tidemill(dir, args)
    local lines = {}
    for line in got.out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(#expected, #lines, got.out .. got.err)
    for i, start in ipairs(expected) do
      assert.equal(start, lines[i]:sub(1, #start))
    end
    assert.equal(#expected > 0 and 9 or 0, got.code, got.err)
    return got
  end

  it("tells a schema's error with its line", function()
    write("workflows/schemas/s.json", [[
{
  "type": "object",
  "properties": {
    "a/b": {
      "type": "strin" },
    "c: d": {
      "pattern": "(" }
  }
}]])
    finds({ "check" }, { 'workflows/schemas/s.json:5: schema /properties/a~1b/type: "strin"' })
    write("workflows/schemas/s.json", '{"properties": {\n"c: d": {\n"pattern": "("}}}')
    finds({ "check" }, { "workflows/schemas/s.json:3: schema /properties/c: d/pattern:" })
    write("workflows/schemas/s.json", '{\n  "type":\n}')
    finds({ "check" }, { "workflows/schemas/s.json:3: column 1" })
    write("workflows/schemas/s.json", '{\n"$ref": "other.json"}')
    finds({ "check" }, { 'workflows/schemas/s.json:2: schema /$ref: "other.json" leads' })
    write("workflows/schemas/s.json", "\n3")
    finds({ "check" }, { "workflows/schemas/s.json:2: schema (root): " })
  end)

  it("tells a prompt's error with its line", function()
    write("prompts/a.prompt", "---\nmodel: [\n---\nhi")
    write("prompts/b.prompt", "---\ntidemill.mod: direct\n---\nhi")
    write("prompts/c.prompt", "one\ntwo {{nobody x}}")
    write("prompts/team/d.prompt", "---\ninput: {}\noutput:\n  schema:\n    a: strin\n---\nhi")
    write("prompts/good.prompt", "hi")
    local all = {
      "prompts/a.prompt:3: column 1: ",
      'prompts/b.prompt:2: there is no setting "tidemill.mod"',
      "prompts/c.prompt:2: ",
      "prompts/team/d.prompt:4: output.schema: ",
    }
    finds({ "check" }, all)
    finds({ "check", "prompts" }, all)
    finds({ "prompt", "lint" }, all)
    finds({ "prompt", "lint", "team/d" }, { all[4] })
    finds({ "prompt", "lint", "good" }, {})
  end)

  it("tells a script's error with its line, and does not run it", function()
    write("workflows/a.lua", "local x = 1\n\nreturn ((1\n")
    workflow("b", "", 'local lib = require "lib.nobody"')
    workflow("c", "inptu = 's'")
    workflow("d", "input = 'nobody'")
    write("workflows/e.lua", "return 3")
    write("workflows/f.lua", "local x = nil\nreturn x.y")
    workflow("g", "", "mill.sleep(1)")
    workflow("good", "input = { type = 'object', required = { 'id' } }",
      "local who = mill.env 'NOBODY'")
    finds({ "check" }, {
      "workflows/a.lua:4: ')' expected (to close '(' at line 3)",
      'workflows/b.lua:2: module "lib.nobody": workflows/lib/nobody.lua does not exist',
      'workflows/c.lua:3: workflow c does not know the option "inptu"',
      'workflows/d.lua:3: there is no schema "nobody"',
      "workflows/e.lua: workflows/e.lua must return its workflow",
      "workflows/f.lua:2: attempt to index a nil value",
      "workflows/g.lua:2: mill.sleep cannot be called while the file loads",
    })
    finds({ "check", "good" }, {})
    assert.equal(0, #content.tidemill(dir, { "list", "--json" }).json.runs)
  end)

  it("stops a script that never ends while it loads", function()
    write("workflows/w.lua", "while true do pcall(function() while true do end end) end")
    finds({ "check" }, { "workflows/w.lua: the script " })
  end)

  it("tells a mistake once, in the file that has it", function()
    write("workflows/lib/bad.lua", "return ((1\n")
    write("workflows/schemas/s.json", '{\n"type": "strin"}')
    workflow("a", "", 'local bad = require "lib.bad"')
    workflow("b", "input = 's'")
    workflow("c", "input = 's'")
    local lib, schema = "workflows/lib/bad.lua:2: ')' expected",
      "workflows/schemas/s.json:2: schema /type: "
    finds({ "check" }, { lib, schema })
    finds({ "check", "c", "b" }, { schema })
    finds({ "check", "a" }, { lib })
  end)

  it("prints one document for programs", function()
    write("workflows/schemas/s.json", '{\n"type": "strin"}')
    workflow("w")
    local got = content.tidemill(dir, { "check", "--json" })
    assert.equal(9, got.code)
    assert.equal("tidemill.check/1", got.json.schema)
    assert.is_false(got.json.ok)
    assert.equal(2, got.json.files)
    assert.equal("workflows/schemas/s.json", got.json.findings[1].file)
    assert.equal(2, got.json.findings[1].line)
    assert.equal("schema /type: ", got.json.findings[1].message:sub(1, 14))
    got = content.tidemill(dir, { "check", "w", "--json" })
    assert.equal(0, got.code)
    assert.is_true(got.json.ok)
    assert.same({}, got.json.findings)
  end)

  it("knows what there is to look at", function()
    local got = content.tidemill(dir, { "check", "nobody" })
    assert.equal(4, got.code)
    assert.truthy(got.err:find("workflows/nobody.lua does not exist", 1, true))
    got = content.tidemill(dir, { "prompt", "lint", "nobody" })
    assert.equal(4, got.code)
    assert.truthy(got.err:find("prompts/nobody.prompt does not exist", 1, true))
  end)

  it("has nothing to report of this project", function()
    local got = content.tidemill(".", { "check", "--db", "memory:" })
    assert.equal("", got.out)
    assert.equal(0, got.code)
    assert.truthy(got.err:find "^nothing to report %(%d+ files%)")
  end)
end)
