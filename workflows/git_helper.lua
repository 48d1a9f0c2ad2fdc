--- Words to a git or gh command: build it, explain it, ask, run it; a no starts over, wiser.
local mill = require "tidemill"
local rules = require "lib.git_rules"

local flow = mill.workflow "git_helper" {
  about = "Turn words into one git or gh command, explain it, run it on a yes.",
  input = mill.schema "git_request",
  output = mill.schema "git_result",
  budget = { usd = 0.20, llm_calls = 20 },
  state = {
    type = "object",
    properties = {
      instructions = { type = "string" },
      round = { type = "integer" },
      command = { type = "string" },
    },
  },
}

local ROUNDS = 3

-- What a command did cannot be asked afterwards: after a crash a person looks and says.
local run_command = flow:action "run_command" {
  key = function(args) return args.id end,
  irreversible = true,
  on_unknown = "ask",
  run = function(args)
    assert(rules.check(args.argv))
    return mill.exec(args.argv, { cwd = args.dir, timeout = "60s" })
  end,
}

-- git or gh, then the arguments, held to the allow-list, then what it will do, in plain words.
flow:step "build" {
  run = function(task)
    local tool = mill.llm("choose_tool", { instructions = task.instructions }).tool
    local vars = { instructions = task.instructions, tool = tool }
    local built = mill.llm("build_command", vars)
    return { tool, table.unpack(built.arguments) }
  end,
  check = function(argv) return rules.check(argv) end,
}

flow:step "explain" {
  run = function(task)
    local vars = { instructions = task.instructions, command = task.command }
    return mill.llm("explain_command", vars).explanation
  end,
}

-- What the person or the rules said is part of the instructions from now on.
local function add(feedback)
  mill.state.instructions = mill.state.instructions .. "\nFeedback: " .. feedback
end

-- One round: a command that the rules allow and a person wants, or nil.
local function propose(round)
  mill.state.round = round
  local ok, argv = pcall(flow.build, { instructions = mill.state.instructions })
  if not ok then
    if type(argv) ~= "table" or argv.kind ~= "check" then error(argv, 0) end
    add(argv.message)
    return nil, { round = round, command = "", explanation = "", note = argv.message }
  end
  local command = rules.print(argv)
  mill.state.command = command
  local explanation =
    flow.explain { instructions = mill.state.instructions, command = command }
  local _, said = mill.gate("run_it_" .. round, {
    ask = "Run this command?",
    show = { command = command, explanation = explanation, round = round },
    on_reject = "return",
  })
  local note = said.note or ""
  local seen = { round = round, command = command, explanation = explanation, note = note }
  if said.approved then return argv, seen end
  add(note ~= "" and note or "not this command")
  return nil, seen
end

function flow.main(task)
  mill.state.instructions = task.request
  local argv, seen
  for round = 1, ROUNDS do
    argv, seen = propose(round)
    if argv then break end
  end
  local done = { code = mill.null, out = "", err = "" }
  if argv then
    done = run_command { id = mill.uuid(), argv = argv, dir = task.dir or "." }
  end
  return {
    ran = argv ~= nil,
    rounds = seen.round,
    command = seen.command,
    explanation = seen.explanation,
    code = done.code,
    output = done.out .. done.err,
    note = argv and seen.note or "Stopped after " .. seen.round .. " rounds. " .. seen.note,
  }
end

return flow
