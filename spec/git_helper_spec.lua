--- The git helper: a person decides, a no starts over, and the rules hold whoever asks.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

package.path = "workflows/?.lua;" .. package.path
local rules = require "lib.git_rules"

describe("git_helper", function()
  local dir

  before_each(function()
    dir = content.folder()
    assert(os.execute("cd " .. dir .. " && git init -q . && echo one > one.txt"))
  end)
  after_each(function() content.remove(dir) end)

  local function task(request) return { request = request, dir = dir } end

  it("builds, explains, asks, and runs what a person wants", function()
    local asked
    local gates = {
      run_it_1 = function(gate)
        asked = gate.show
        return { approve = true }
      end,
    }
    local result = kit.run("git_helper", task "What has changed?", { gates = gates })
    assert.equal("done", result.state)
    assert.equal("git status --short --branch", asked.command)
    assert.truthy(asked.explanation:find "reads")
    assert.is_true(result.value.ran)
    assert.equal(0, result.value.code)
    assert.truthy(result.value.output:find "one.txt")
  end)

  it("runs what a person wanted, wherever it dies on the way", function()
    local report = kit.crash_everywhere("git_helper", task "What has changed?", {
      gates = { run_it_1 = { approve = true } },
    })
    assert.is_true(report.baseline.value.ran)
    assert.equal(report.points, report.same)
    assert.truthy(report.points > 10)
  end)

  it("rejected command restarts with feedback appended, at most N rounds", function()
    local told = {}
    local model = {
      choose_tool = function(vars)
        told[#told + 1] = vars.instructions
        return { tool = "git" }
      end,
    }
    local gates = {
      run_it_1 = { approve = false, note = "show it line by line" },
      run_it_2 = { approve = false, note = "only the names" },
      run_it_3 = { approve = false, note = "forget it" },
    }
    local opts = { model = model, gates = gates }
    local result = kit.run("git_helper", task "What has changed?", opts)
    assert.equal("done", result.state)
    assert.is_false(result.value.ran)
    assert.equal(3, result.value.rounds)
    assert.truthy(result.value.note:find "forget it")
    assert.same({
      "What has changed?",
      "What has changed?\nFeedback: show it line by line",
      "What has changed?\nFeedback: show it line by line\nFeedback: only the names",
    }, told)
  end)

  it("does better on the second try", function()
    local gates = {
      run_it_1 = { approve = false, note = "show the diff" },
      run_it_2 = { approve = true },
    }
    local result = kit.run("git_helper", task "What has changed?", { gates = gates })
    assert.equal("git diff", result.value.command)
    assert.equal(2, result.value.rounds)
    assert.is_true(result.value.ran)
  end)

  it("shows its round and command from outside while it waits", function()
    local handle = kit.start("git_helper", task "What has changed?")
    assert.equal("waiting", handle:state())
    local fields = handle:fields()
    assert.equal(1, fields.round)
    assert.equal("git status --short --branch", fields.command)
  end)

  it("asks nobody about a command that the rules refuse", function()
    local model = { build_command = { arguments = { "push", "--force" } } }
    local result = kit.run("git_helper", task "Force it.", { model = model })
    assert.equal("done", result.state)
    assert.is_false(result.value.ran)
    assert.equal(0, #result.gates)
    assert.truthy(result.value.note:find("option --force is not allowed", 1, true))
  end)
end)

describe("the rules for commands", function()
  local function refused(...)
    local ok, why = rules.check { ... }
    assert.is_nil(ok)
    return why
  end

  it("allow the everyday ones", function()
    assert.is_true(rules.check { "git", "status" })
    assert.is_true(rules.check { "git", "log", "--oneline", "-5" })
    assert.is_true(rules.check { "git", "commit", "-m", "a message" })
    assert.is_true(rules.check { "gh", "pr", "list", "--state=open" })
  end)

  it("refuse other programs, other subcommands, and options that are not listed", function()
    assert.equal("the command must start with git or gh", refused("rm", "-rf", "/"))
    refused("git", "config", "core.pager", "sh")
    refused("git", "-c", "alias.x=!sh", "x")
    refused("git", "log", "--output=/etc/passwd")
    refused("git", "push", "--force")
    refused("git", "push", "origin", "+main")
    refused("git", "push", "origin", ":main")
    refused("git", "fetch", "--upload-pack=sh")
    refused("git", "fetch", "ext::sh -c id")
    refused("git", "commit", "-m", "a\nb")
    refused("gh", "api", "/user")
    refused("gh", "pr", "merge")
    refused "git"
    refused()
  end)

  it("print a command as a person would type it", function()
    local argv = { "git", "commit", "-m", "it's done" }
    assert.equal("git commit -m 'it'\\''s done'", rules.print(argv))
  end)
end)
