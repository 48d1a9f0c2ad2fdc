--- `tidemill blame`: from a record to its files, their bytes and their commits, in a real
-- repository.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "sale" {}
local note = flow:action "note" {
  key = function(args) return args.id end,
  on_unknown = "retry",
  run = function() return 1 end,
}
function flow.main(input)
  mill.llm("draft", { text = input.text })
  mill.llm("plain", { text = input.text }, { model = "scripted/other" })
  note { id = input.id }
  mill.gate("sure", { ask = "Sure?" })
  return mill.llm("plain", { text = input.text })
end
return flow
]]

local draft = [[
---
model: scripted/demo
output: { schema: { reply: tone } }
---
{{> voice}}
Answer: {{text}}
]]

local rules = [[
return { units = {
  draft = function() return { reply = "kind" } end,
  plain = function() return "yes" end,
} }
]]

describe("tidemill blame", function()
  local dir

  local function write(name, text) content.write(dir .. "/" .. name, text) end

  local function shell(script)
    local got = content.shell(dir, script)
    assert.equal(0, got.code, got.err)
    return got.out
  end

  local function commit(subject, more)
    shell(([[
      export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.com GIT_COMMITTER_NAME=Bo
      export GIT_COMMITTER_EMAIL=bo@example.com GIT_AUTHOR_DATE='2026-03-04T05:06:07 +0000'
      export GIT_CONFIG_GLOBAL=/dev/null
      %s
      git add prompts workflows
      git commit -q -m '%s']]):format(more or "", subject))
    return shell("git rev-parse HEAD"):match "%x+"
  end

  before_each(function()
    dir = content.folder()
    shell "mkdir -p workflows/schemas prompts/scripted; git init -q -b main ."
    write("workflows/sale.lua", workflow)
    write("workflows/schemas/tone.json", '{"type":"string","enum":["kind","brief"]}')
    write("prompts/draft.prompt", draft)
    write("prompts/_voice.prompt", "Be kind.\n")
    write("prompts/plain.prompt", "Say: {{text}}\n")
    write("prompts/scripted/demo.lua", rules)
    write("prompts/scripted/other.lua", rules)
    write("tidemill.yaml", "model: scripted/demo\n")
  end)
  after_each(function() content.remove(dir) end)

  local function cli(...) return content.tidemill(dir, { ... }) end

  local function run(id)
    local got = cli("run", "sale", "-q", "--id", id, "--input",
      cjson.encode { id = id, text = "hello" })
    assert.equal(8, got.code, got.err)
  end

  -- The number of the first record of that kind and name.
  local function seq(id, record, name)
    for _, r in ipairs(cli("show", id, "--json").json.records) do
      if r.record == record and r.name == name then return math.tointeger(r.seq) end
    end
    error("no record " .. record .. " " .. name)
  end

  local function blame(id, record, name)
    local got = cli("blame", ("%s#%d"):format(id, seq(id, record, name)), "--json")
    assert.equal(0, got.code, got.err)
    local files = {}
    for _, file in ipairs(got.json.files) do files[file.file] = file end
    return got.json, files
  end

  local function sha256(name) return shell("sha256sum " .. name):match "%x+" end

  it("names the prompt, its partials and schemas, the script and the model", function()
    local hash = commit "The first prompts"
    run "s-1"
    local doc, files = blame("s-1", "done", "draft")
    assert.equal("tidemill.blame/1", doc.schema)
    assert.equal("s-1", doc.run)
    assert.equal("llm", doc.kind)
    assert.equal("draft", doc.name)
    assert.same({ state = "ok" }, doc.git)
    local roles = {}
    for _, file in ipairs(doc.files) do roles[file.role] = file.file end
    assert.same({ prompt = "prompts/draft.prompt", partial = "prompts/_voice.prompt",
      schema = "workflows/schemas/tone.json", script = "workflows/sale.lua" }, roles)
    for name, file in pairs(files) do
      assert.equal(sha256(name), file.hash)
      assert.equal("committed", file.state)
      assert.equal("same", file.disk)
      assert.same({ hash = hash, author = "Ada", date = "2026-03-04T05:06:07+00:00",
        subject = "The first prompts" }, file.commit)
    end
    assert.equal("scripted/demo", doc.model.asked)
    assert.equal("demo", doc.model.answered)
    assert.equal("the prompt", doc.model.named_by)
  end)

  it("says who named the model", function()
    run "s-1"
    assert.equal("the script", (blame("s-1", "done", "plain")).model.named_by)
    assert.equal(0, cli("approve", "s-1", "-q").code)
    local records = cli("show", "s-1", "--json").json.records
    local last = cli("blame", ("s-1#%d"):format(records[#records - 1].seq), "--json").json
    assert.equal("tidemill.yaml", last.model.named_by)
    local got = cli("run", "sale", "-q", "--id", "s-2", "--input", '{"id":"s-2","text":"x"}',
      "--model", "draft=scripted/other")
    assert.equal(8, got.code)
    assert.equal("--model", (blame("s-2", "done", "draft")).model.named_by)
  end)

  it("finds the commit of the bytes that the run had, whatever came later", function()
    commit "One"
    write("prompts/_voice.prompt", "Be brief.\n")
    local brief = commit "Two"
    run "s-1"
    write("prompts/_voice.prompt", "Be silent.\n")
    commit "Three"
    local _, files = blame("s-1", "done", "draft")
    assert.equal(brief, files["prompts/_voice.prompt"].commit.hash)
    assert.equal("changed", files["prompts/_voice.prompt"].disk)
    assert.equal("same", files["prompts/draft.prompt"].disk)
    write("prompts/_voice.prompt", "Be brief.\n")
    local again = commit "Four"
    _, files = blame("s-1", "done", "draft")
    assert.equal(again, files["prompts/_voice.prompt"].commit.hash)
    shell "rm prompts/_voice.prompt"
    commit "Five"
    _, files = blame("s-1", "done", "draft")
    assert.equal(again, files["prompts/_voice.prompt"].commit.hash)
    assert.equal("gone", files["prompts/_voice.prompt"].disk)
  end)

  it("finds it on another branch, and in a merge that made it", function()
    commit "One"
    shell "git checkout -q -b side"
    write("prompts/_voice.prompt", "Be brief.\n")
    local side = commit "On the side"
    run "s-1"
    shell "git checkout -q main"
    local _, files = blame("s-1", "done", "draft")
    assert.equal(side, files["prompts/_voice.prompt"].commit.hash)
    assert.equal("changed", files["prompts/_voice.prompt"].disk)
    write("prompts/_voice.prompt", "Be silent.\n")
    commit "On main"
    local merged = commit("Both", [[
      git merge -q side >/dev/null 2>&1 || true
      printf 'Be brief, be silent.\n' >prompts/_voice.prompt]])
    run "s-2"
    _, files = blame("s-2", "done", "draft")
    assert.equal(merged, files["prompts/_voice.prompt"].commit.hash)
  end)

  it("tells what is not committed, or nowhere", function()
    run "s-1"
    local _, files = blame("s-1", "done", "draft")
    assert.equal("uncommitted", files["prompts/draft.prompt"].state)
    commit "One"
    write("prompts/_voice.prompt", "Be brief.\n")
    run "s-2"
    _, files = blame("s-2", "done", "draft")
    assert.equal("uncommitted", files["prompts/_voice.prompt"].state)
    assert.is_nil(files["prompts/_voice.prompt"].commit)
    assert.equal("committed", files["prompts/draft.prompt"].state)
    write("prompts/_voice.prompt", "Be kind.\n")
    _, files = blame("s-2", "done", "draft")
    assert.equal("nowhere", files["prompts/_voice.prompt"].state)
    local out = cli("blame", ("s-2#%d"):format(seq("s-2", "done", "draft"))).out
    assert.truthy(out:find("nowhere in git's history", 1, true))
    assert.truthy(out:find("(changed since)", 1, true))
  end)

  it("names the line of an action and of a gate", function()
    local hash = commit "One"
    run "s-1"
    local lines = {}
    for line in workflow:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    for name, call in pairs { note = "note { id", sure = "mill.gate" } do
      local doc, files = blame("s-1", "open", name)
      local script = files["workflows/sale.lua"]
      assert.equal(1, #doc.files)
      assert.truthy(lines[script.line]:find(call, 1, true), lines[script.line])
      assert.equal(hash, script.commit.hash)
      assert.is_nil(doc.model)
    end
    assert.equal("workflows/sale.lua", blame("s-1", "start", "sale").files[1].file)
  end)

  it("goes by the sources that the run had at that time", function()
    local first = commit "One"
    run "s-1"
    write("workflows/sale.lua", workflow .. "-- moved\n")
    local second = commit "Two"
    assert.equal(8, cli("repin", "s-1", "-q").code)
    assert.equal(0, cli("approve", "s-1", "-q").code)
    local _, files = blame("s-1", "done", "draft")
    assert.equal(first, files["workflows/sale.lua"].commit.hash)
    local records = cli("show", "s-1", "--json").json.records
    local last = cli("blame", ("s-1#%d"):format(records[#records - 1].seq), "--json").json
    assert.equal(second, last.files[2].commit.hash)
    write("workflows/sale.lua", workflow .. "-- forked\n")
    local third = commit "Three"
    assert.equal(8, cli("fork", "s-1", "--from", "sure", "--with", "workflows/sale.lua", "--id",
      "s-2", "-q").code)
    local doc
    doc, files = blame("s-2", "done", "draft")
    assert.equal("s-1", doc.shared)
    assert.equal(first, files["workflows/sale.lua"].commit.hash)
    doc, files = blame("s-2", "open", "sure")
    assert.is_nil(doc.shared)
    assert.equal(third, files["workflows/sale.lua"].commit.hash)
  end)

  it("says why git was not asked", function()
    run "s-1"
    shell "rm -rf .git"
    local at = ("s-1#%d"):format(seq("s-1", "done", "draft"))
    local got = cli("blame", at)
    assert.equal(0, got.code)
    local hash = sha256("prompts/draft.prompt"):sub(1, 12)
    assert.truthy(got.out:find("prompts/draft.prompt@" .. hash, 1, true))
    assert.truthy(got.out:find("not a git work tree", 1, true))
    got = content.shell(dir, "T=$(command -v tidemill); PATH=/nowhere; $T blame '" .. at .. "'")
    assert.equal(0, got.code, got.err)
    assert.truthy(got.out:find("git is not installed", 1, true))
    write(".git", "nonsense\n")
    local doc = blame("s-1", "done", "draft")
    assert.equal("failed", doc.git.state)
    assert.truthy(doc.git.message:find("invalid gitfile", 1, true), doc.git.message)
  end)

  it("runs nothing that the repository names, and changes nothing in it", function()
    commit "One"
    run "s-1"
    write("ran.sh", "#!/bin/sh\ntouch " .. dir .. "/ran\n")
    shell [[
      chmod +x ran.sh
      for hook in post-index-change reference-transaction post-checkout; do
        cp ran.sh .git/hooks/$hook
      done
      git config core.fsmonitor "$PWD/ran.sh"
      git config core.pager "$PWD/ran.sh"
      git config diff.external "$PWD/ran.sh"
      git config gpg.program "$PWD/ran.sh"
      git config log.showSignature true
      git config filter.x.clean "$PWD/ran.sh"
      git config diff.x.textconv "$PWD/ran.sh"
      printf '* filter=x diff=x\n' >.git/info/attributes]]
    write("prompts/_voice.prompt", "Be brief.\n")
    local list = "find .git -type f -exec sha256sum {} + | sort; "
      .. "find .git -printf '%p %T@\\n' | sort"
    local before = shell(list)
    local got = content.tidemill(dir, { "blame", ("s-1#%d"):format(seq("s-1", "done", "draft")),
      "--json" }, "GIT_DIR=/nowhere GIT_WORK_TREE=/nowhere")
    assert.equal(0, got.code, got.err)
    assert.equal("ok", got.json.git.state)
    assert.equal("committed", got.json.files[1].state)
    assert.equal(before, shell(list))
    assert.is_nil(content.read(dir .. "/ran"))
  end)

  it("prints names that are no text", function()
    commit("One", "export GIT_AUTHOR_NAME=$(printf 'A\\303\\277da')")
    shell "git config i18n.logOutputEncoding ISO-8859-1"
    run "s-1"
    local _, files = blame("s-1", "done", "draft")
    assert.equal("A?da", files["prompts/draft.prompt"].commit.author)
  end)

  it("knows its mistakes", function()
    run "s-1"
    local got = cli("blame", "s-1")
    assert.equal(2, got.code)
    assert.truthy(got.err:find("expected ID#SEQ", 1, true))
    assert.equal(2, cli("blame").code)
    assert.equal(4, cli("blame", "s-1#999").code)
    assert.equal(4, cli("blame", "nobody#1").code)
  end)
end)
