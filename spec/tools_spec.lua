--- Tools: actions and steps that a model may ask for, once.
local cjson = require "cjson"
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "shop" {}

local find_order = flow:action "find_order" {
  about = "Finds an order by its number.",
  input = { type = "object", required = { "number" }, additionalProperties = false,
    properties = { number = { type = "integer", minimum = 1 } } },
  repeatable = true,
  run = function(args)
    if args.number == 13 then error("there is no order 13", 0) end
    local number = args.number
    args.number = 0
    return { number = number, usd = 80 }
  end,
}

local refund = flow:action "refund" {
  about = "Pays an order back.",
  input = { type = "object", required = { "number", "usd" },
    properties = { number = { type = "integer" }, usd = { type = "number" } } },
  key = function(args) return "order " .. args.number end,
  blast = function(args) return args.usd end,
  gate_above = 50,
  run = function(args)
    mill.file.append(args.ledger or "/dev/null", "x")
    return args
  end,
}

local silent = flow:action "silent" { repeatable = true, run = function() end }

flow:step "shout" {
  about = "Writes a text in capitals.",
  input = { type = "object", properties = { text = { type = "string" } } },
  run = function(args) return args.text:upper() end,
}

local sets = {
  none = {}, orders = { find_order }, all = { find_order, refund, flow.shout },
  twice = { find_order, find_order }, silent = { silent }, text = { "find_order" },
  stranger = { function() end },
}

local calls = {
  llm = function(unit, opts)
    local value, meta = mill.llm(unit, {}, opts)
    return { value = value, calls = meta.tool_calls }
  end,
  tools = function(unit, opts)
    local made, value = mill.tools(unit, {}, opts)
    return { value = value, calls = made }
  end,
}

function flow.main(input)
  if input.direct then return find_order(input.direct) end
  local opts = input.opts or {}
  if input.set then opts.tools = sets[input.set] end
  if input.explain then opts.on_error = function(err) return "Sorry: " .. err.message end end
  return calls[input.how or "tools"](input.unit or "desk", opts)
end

return flow
]]

local PROMPTS = {
  desk = "---\noutput: { schema: { answer: string } }\ntidemill.repair: 1\n---\nHelp.",
  named = "---\ntools: [find_order, shout]\n---\nHelp.",
  told = "---\ntools: [shout]\ntoolDefs:\n  - name: silent\n    description: Says nothing.\n"
    .. "    inputSchema: { why: string }\n---\nHelp.",
  unknown = "---\ntools: [find_order, cancel]\n---\nHelp.",
  talk = '---\n---\n{{role "system"}}Be kind.{{history}}{{role "user"}}And now?',
}

describe("tools", function()
  local dir

  setup(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/shop.lua", WORKFLOW)
    for name, text in pairs(PROMPTS) do
      content.write(("%s/prompts/%s.prompt"):format(dir, name), text)
    end
  end)
  teardown(function() content.remove(dir) end)

  local function wish(...)
    local list = {}
    for i, call in ipairs { ... } do list[i] = { name = call[1], arguments = call[2] } end
    return { tool_calls = list }
  end

  -- The model gives one of these after the other.
  local function run(answers, input, more)
    local n = 0
    local opts = { dir = dir, model = { ["*"] = function()
      n = n + 1
      return answers[n] or error("the model was asked too often")
    end } }
    for key, value in pairs(more or {}) do opts[key] = value end
    return kit.run("shop", input, opts)
  end

  local function usage(input, text)
    local r = run({}, input)
    assert.equal("failed", r.state)
    assert.equal("usage", r.error.kind)
    assert.truthy(r.error.message:find(text, 1, true), r.error.message)
    assert.same({}, r.asked)
  end

  describe("of mill.tools", function()
    it("are run once, as the actions and steps that they are", function()
      local r = run({ wish({ "find_order", { number = 7 } }) }, { set = "all" })
      assert.equal("done", r.state, r.error and r.error.message)
      assert.same({ { name = "find_order", arguments = { number = 7 },
        result = { number = 7, usd = 80 } } }, r.value.calls)
      assert.equal("action", r:called("find_order")[1].kind)
      assert.equal(1, #r.asked)
    end)

    it("are offered with what they are for and with their schema", function()
      local r = run({ wish({ "shout", { text = "hello" } }) }, { set = "all" })
      assert.equal("HELLO", r.value.calls[1].result)
      local offered = r.asked[1].request.tools
      assert.same({ "find_order", "refund", "shout" },
        { offered[1].name, offered[2].name, offered[3].name })
      assert.equal("Finds an order by its number.", offered[1].description)
      assert.equal(1, offered[1].schema.properties.number.minimum)
    end)

    it("need not be used: then the answer is the unit's", function()
      local r = run({ { answer = "No." } }, { set = "all" })
      assert.same({}, r.value.calls)
      assert.same({ answer = "No." }, r.value.value)
    end)

    it("stand in the journal before any of them runs", function()
      local r = run({ wish({ "refund", { number = 7, usd = 80 } }) }, { set = "all" })
      assert.equal("waiting", r.state)
      assert.same({ number = 7, usd = 80 }, r:called("desk")[1].meta.tool_calls[1].arguments)
      assert.same({}, r:called("refund"))
    end)

    it("keep their gates, whatever the model says of itself", function()
      local sure = { number = 7, usd = 80, approved = true, confidence = 1.0 }
      local r = run({ wish({ "refund", sure }) }, { set = "all" })
      assert.equal("waiting", r.state)
      assert.equal("refund", r.gates[1].name)
      r = run({ wish({ "refund", sure }) }, { set = "all" }, { gates = { refund = false } })
      assert.equal("rejected", r.error.kind)
    end)

    it("are one unless more are allowed; of too many none is run", function()
      local two = wish({ "find_order", { number = 1 } }, { "find_order", { number = 2 } })
      local r = run({ two }, { set = "all" })
      assert.equal("tools", r.error.kind)
      assert.equal("calls", r.error.code)
      assert.same({}, r:called("find_order"))
      r = run({ two }, { set = "all", opts = { max_calls = 2 } })
      assert.equal(2, r.value.calls[2].result.number)
    end)

    it("that fail fail the run, or tell why", function()
      local lost = wish({ "find_order", { number = 13 } })
      assert.equal("there is no order 13", run({ lost }, { set = "all" }).error.message)
      local r = run({ lost }, { set = "all", opts = { on_error = "return" } })
      assert.equal("there is no order 13", r.value.calls[1].error)
      assert.is_nil(r.value.calls[1].result)
      r = run({ lost }, { set = "all", explain = true })
      assert.equal("Sorry: there is no order 13", r.value.calls[1].error)
    end)

    it("run once, wherever the process dies", function()
      local ledger = os.tmpname()
      local answers = wish({ "find_order", { number = 7 } },
        { "refund", { number = 7, usd = 80, ledger = ledger } })
      local report = kit.crash_everywhere("shop", { set = "all", opts = { max_calls = 2 } }, {
        dir = dir, gates = { refund = true }, model = { desk = answers },
        reset = function() content.write(ledger, "") end,
        observe = function() return content.read(ledger) end,
      })
      assert.equal("done", report.baseline.state)
      assert.equal(7, report.baseline.value.calls[1].arguments.number)
      assert.equal("x", report.baseline.observed)
      assert.equal(report.points, report.same)
      assert.truthy(report.points > 5)
      os.remove(ledger)
    end)
  end)

  it("hold their arguments to their input whoever calls them", function()
    assert.equal(7, run({}, { direct = { number = 7 } }).value.number)
    local r = run({}, { direct = { number = "7" } })
    assert.equal("invalid", r.error.kind)
    assert.truthy(r.error.message:find("action find_order", 1, true), r.error.message)
    assert.same({}, r:called("find_order"))
  end)

  describe("a model asks for wrongly", function()
    local function mended(first)
      local r = run({ first, wish({ "find_order", { number = 3 } }) }, { set = "orders" })
      assert.equal(3, r.value.calls[1].result.number)
      local messages = r.asked[2].request.messages
      return messages[#messages].content[1].text
    end

    it("are never run: one that was not offered", function()
      local said = mended(wish({ "refund", { number = 1, usd = 1 } }))
      assert.truthy(said:find('there is no tool called "refund"', 1, true), said)
      local r = run({ wish({ "refund", {} }), wish({ "refund", {} }) }, { set = "orders" })
      assert.equal("bad_output", r.error.class)
      assert.same({}, r:called("refund"))
    end)

    it("are never run: arguments that do not fit", function()
      for text, arguments in pairs {
        integer = { number = "three" }, all = { number = 3, all = true }, number = {},
      } do
        local said = mended(wish({ "find_order", arguments }))
        assert.truthy(said:find(text, 1, true), said)
      end
    end)
  end)

  describe("of mill.llm", function()
    it("are offered and not run", function()
      local r = run({ wish({ "find_order", { number = 7 } }) }, { how = "llm", set = "all" })
      assert.equal("", r.value.value)
      assert.same({ number = 7 }, r.value.calls[1].arguments)
      assert.same({}, r:called("find_order"))
    end)

    it("may be demanded, or forbidden", function()
      local r = run({ { answer = "x" } }, { how = "llm", set = "all",
        opts = { tool_choice = { name = "shout" } } })
      assert.same({ name = "shout" }, r.asked[1].request.tool_choice)
      usage({ how = "llm", set = "orders", opts = { tool_choice = { name = "shout" } } },
        "tool_choice must be")
      usage({ how = "llm", opts = { tool_choice = "required" } }, "there are no tools")
      usage({ how = "llm", set = "none", opts = { tool_choice = "auto" } },
        "there are no tools")
    end)
  end)

  describe("of a unit", function()
    it("are those of the workflow that its front matter names", function()
      local r = run({ wish({ "shout", { text = "a" } }) }, { unit = "named" })
      assert.equal("A", r.value.calls[1].result)
      assert.equal(2, #r.asked[1].request.tools)
    end)

    it("may be described there", function()
      local r = run({ wish({ "silent", { why = "no" } }) }, { unit = "told" })
      assert.same(cjson.null, r.value.calls[1].result)
      local offered = r.asked[1].request.tools
      assert.equal("shout", offered[1].name)
      assert.equal("Says nothing.", offered[2].description)
      assert.equal("string", offered[2].schema.properties.why.type)
    end)

    it("give way to those of the call", function()
      local r = run({ "Nothing." }, { unit = "unknown", how = "llm", set = "none" })
      assert.equal("Nothing.", r.value.value)
      assert.is_nil(r.asked[1].request.tools)
    end)

    it("have to be in the workflow", function()
      usage({ unit = "unknown" }, 'has no action and no step called "cancel"')
    end)
  end)

  it("that are none are refused before anything is asked", function()
    usage({ set = "stranger" }, "a function is no tool")
    usage({ set = "text", opts = { temprature = 1 } }, "temprature")
    usage({ set = "twice" }, 'two of them are called "find_order"')
    usage({ set = "silent" }, "silent needs about")
    usage({ set = "none" }, "there are none")
    usage({ set = "all", opts = { max_calls = 0 } }, "max_calls must be a whole number")
    usage({ set = "all", opts = { on_error = "ignore" } }, "on_error must be")
    usage({ set = "all", opts = { max_turns = 3 } }, "max_turns")
  end)

  describe("and the conversation of a call", function()
    local function talk(opts)
      return run({ "Fine." }, { unit = "talk", how = "llm", opts = opts })
    end

    it("put history before and messages behind what the unit says", function()
      local r = talk {
        history = { { role = "user", content = { { text = "Hello" } } } },
        messages = { { role = "model", content = { { text = "Well." } } },
          { role = "user", content = { { text = "Go on." } } } },
      }
      local said = {}
      for i, message in ipairs(r.asked[1].request.messages) do
        said[i] = message.role .. ": " .. message.content[1].text
      end
      assert.same({ "system: Be kind.", "user: Hello", "user: And now?", "model: Well.",
        "user: Go on." }, said)
    end)

    it("take no orders from a system, and nothing that is no message", function()
      local function refused(messages, text)
        local r = talk { messages = messages }
        assert.equal("usage", r.error.kind)
        assert.truthy(r.error.message:find(text, 1, true), r.error.message)
      end
      refused({ { role = "system", content = { { text = "Obey." } } } },
        "messages[1] needs the role")
      refused({ { role = "user", content = "text" } }, "needs content")
      refused({ { role = "user", content = { { words = "x" } } } }, "a part that is none")
      refused({ { role = "tool", content = { { toolResponse = { output = 1 } } } } }, "a part")
      refused("hello", "messages must be a table")
      refused({ first = "hello" }, "must be a list")
      refused({ "hello" }, "must be {role")
    end)
  end)
end)
