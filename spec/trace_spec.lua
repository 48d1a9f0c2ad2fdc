--- `tidemill trace`: a run as OpenTelemetry spans, read off its journal.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local workflow = [[
local mill = require "tidemill"
local flow = mill.workflow "order" {}
local note = flow:action "note" {
  key = function(args) return args.id end,
  on_unknown = "retry",
  run = function(args)
    local die = "test -f died || { touch died; kill -9 $PPID; }"
    if args.die then mill.exec { "sh", "-c", die } end
    mill.exec { "echo", args.id }
    return { noted = true }
  end,
}
local pay = flow:action "pay" {
  key = function(args) return args.id end,
  irreversible = true,
  blast = function(args) return args.usd end,
  gate_above = 5,
  on_unknown = "ask",
  run = function(args) return { paid = args.usd } end,
}
function flow.main(input)
  mill.log("began with " .. input.text, { about = input.text })
  local class = mill.llm("sort", { text = input.text })
  if input.bad then mill.llm("bad", { text = input.text }) end
  note { id = input.id, die = input.die }
  mill.sleep(0.02)
  mill.lock("customer-4711", function() return mill.call("helper", { text = input.text }) end)
  local fee = mill.decide("fee", input.id, function() return 5 end)
  if input.ask then mill.gate("sure", { ask = "Sure?", show = input.text }) end
  if input.usd then pay { id = input.id, usd = input.usd } end
  return { class = class, fee = fee }
end
return flow
]]

local helper = [[
local mill = require "tidemill"
local flow = mill.workflow "helper" {}
function flow.main(input) return mill.llm("help", { text = input.text }) end
return flow
]]

local loser = [[
local mill = require "tidemill"
local flow = mill.workflow "loser" {}
function flow.main(input)
  mill.race {
    function() return mill.gate("late", { ask = "Now?" }) end,
    function() return mill.sleep(0.001) end,
  }
  if not input.again then return mill.continue_as { again = true } end
end
return flow
]]

local usage = { prompt_tokens = 1000, completion_tokens = 500, total_tokens = 1500,
  prompt_tokens_details = { cached_tokens = 400 },
  completion_tokens_details = { reasoning_tokens = 300 } }

local rules = {
  { match = "bad:", fault = "400" },
  { match = "sort:", times = 1, fault = "500" },
  { answer = "the answer is rosebud", with = { usage = usage } },
}

--- {"stringValue": x} and the like as what they hold.
local function plain(value)
  if value.intValue then return math.tointeger(value.intValue) end
  if value.arrayValue then
    local list = {}
    for i, item in ipairs(value.arrayValue.values) do list[i] = plain(item) end
    return list
  end
  return select(2, next(value))
end

local function attributes(span)
  local told = {}
  for _, a in ipairs(span.attributes or {}) do told[a.key] = plain(a.value) end
  return told
end

local function times(span)
  return math.tointeger(span.startTimeUnixNano), math.tointeger(span.endTimeUnixNano)
end

local function spans_of(doc)
  local r = doc.resourceSpans[1]
  return r and r.scopeSpans[1].spans or {}
end

describe("tidemill trace", function()
  local dir, server

  before_each(function()
    dir = content.folder()
    server = content.serve(rules)
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/order.lua", workflow)
    content.write(dir .. "/workflows/helper.lua", helper)
    content.write(dir .. "/workflows/loser.lua", loser)
    for _, name in ipairs { "sort", "help", "bad" } do
      content.write(("%s/prompts/%s.prompt"):format(dir, name),
        ("---\nmodel: openai/gpt-x\n---\n%s: {{text}}\n"):format(name))
    end
    content.write(dir .. "/tidemill.yaml",
      "prices:\n  openai/gpt-x: { input: 10, cached_input: 1, output: 100 }\n")
  end)
  after_each(function()
    server.stop()
    content.remove(dir)
  end)

  local function env(more)
    return ("TIDEMILL_RETRY_BASE_MS=1 OPENAI_API_KEY=sk-secret-4711 "
      .. "OPENAI_BASE_URL=http://127.0.0.1:%s/v1 %s"):format(server.port, more or "")
  end

  local function cli(...) return content.tidemill(dir, { ... }, env()) end

  local function run(id, input)
    input.id, input.text = id, input.text or "the card of Lovelace"
    return cli("run", "order", "-q", "--id", id, "--input", cjson.encode(input))
  end

  local function trace(...)
    local got = cli("trace", ...)
    assert.equal(0, got.code, got.err)
    return got
  end

  -- Each span as the text that was printed for it, by its id; no id twice.
  local function texts(out)
    local told, last = {}, #out - #"]}]}]}\n"
    for _, span in ipairs(spans_of(cjson.decode(out))) do
      assert.is_nil(told[span.spanId], "twice: " .. span.name)
      local from = out:find(('{"traceId":"%s","spanId":"%s"'):format(span.traceId, span.spanId),
        1, true)
      local to = out:find(',{"traceId":"%x+","spanId":"%x+","', from + 1)
      told[span.spanId] = out:sub(from, to and to - 1 or last)
      assert.same(span, cjson.decode(told[span.spanId]))
    end
    return told
  end

  local function by_name(doc)
    local told = {}
    for _, span in ipairs(spans_of(doc)) do
      told[span.name] = told[span.name] or {}
      table.insert(told[span.name], span)
    end
    return told
  end

  it("has a span for each primitive, each attempt and each run", function()
    assert.equal(0, run("o-1", {}).code)
    local doc = trace("o-1").json
    local names = {}
    for _, span in ipairs(spans_of(doc)) do names[#names + 1] = span.name end
    assert.same({ "attempt", "attempt", "chat gpt-x", "action note", "sleep", "lock",
      "call helper", "recall fee", "decide fee", "invoke_workflow order",
      "attempt", "chat gpt-x", "invoke_workflow helper" }, names)
    local told = {}
    for _, a in ipairs(doc.resourceSpans[1].resource.attributes) do
      told[a.key] = plain(a.value)
    end
    assert.equal("tidemill", told["service.name"])
    assert.equal("tidemill", doc.resourceSpans[1].scopeSpans[1].scope.name)
  end)

  it("tells of a model's call what the conventions name, and counts it once", function()
    run("o-1", {})
    local spans = by_name(trace("o-1").json)
    local chat = spans["chat gpt-x"][1]
    local told = attributes(chat)
    assert.equal(3, chat.kind)
    assert.equal("chat", told["gen_ai.operation.name"])
    assert.equal("openai", told["gen_ai.provider.name"])
    assert.equal("gpt-x", told["gen_ai.request.model"])
    assert.equal("sort", told["gen_ai.prompt.name"])
    assert.truthy(told["gen_ai.prompt.version"]:match "^%x%x%x%x%x%x%x%x$")
    assert.same({ "stop" }, told["gen_ai.response.finish_reasons"])
    assert.equal(1000, told["gen_ai.usage.input_tokens"])
    assert.equal(500, told["gen_ai.usage.output_tokens"])
    assert.equal(400, told["gen_ai.usage.cache_read.input_tokens"])
    assert.equal(300, told["gen_ai.usage.reasoning.output_tokens"])
    assert.near((6000 + 400 + 50000) / 1e6, told["tidemill.cost.usd"], 1e-12)
    assert.equal(2, told["tidemill.attempts"])
    assert.equal("workflows/order.lua", told["code.file.path"])
    assert.equal("integer", math.type(told["code.line.number"]))
    assert.is_nil(chat.status)
    local first, second = spans.attempt[1], spans.attempt[2]
    assert.equal(chat.spanId, first.parentSpanId)
    assert.equal(chat.spanId, second.parentSpanId)
    assert.same({ code = 2 }, first.status)
    assert.equal("server_error", attributes(first)["error.type"])
    assert.equal(500, attributes(first)["http.response.status_code"])
    assert.equal("127.0.0.1", attributes(first)["server.address"])
    assert.equal(server.port, tostring(attributes(first)["server.port"]))
    assert.equal(1000, attributes(second)["tidemill.attempt.input_tokens"])
    for _, attempt in ipairs(spans.attempt) do
      assert.is_nil(attributes(attempt)["gen_ai.usage.input_tokens"])
    end
  end)

  it("has times, kinds, parents and events", function()
    assert.equal(8, run("o-1", { ask = true, usd = 10 }).code)
    assert.equal(8, cli("approve", "o-1", "-q").code)
    assert.equal(0, cli("approve", "o-1", "-q").code)
    local spans = by_name(trace("o-1").json)
    local root = spans["invoke_workflow order"][1]
    local from, to = times(root)
    assert.equal(1, root.kind)
    assert.is_nil(root.parentSpanId)
    assert.near(os.time() * 1e9, from, 600e9)
    for name, list in pairs(spans) do
      for _, span in ipairs(list) do
        local a, b = times(span)
        assert.truthy(from <= a and a <= b and b <= to,
          ("%s: %d to %d, the root %d to %d"):format(name, a, b, from, to))
        assert.equal(root.traceId, span.traceId)
        assert.equal(32, #span.traceId)
        assert.equal(16, #span.spanId)
      end
    end
    local slept, woke = times(spans.sleep[1])
    assert.truthy(woke - slept >= 18e6, woke - slept) -- two clocks, each cut to a millisecond
    local records = cli("show", "o-1", "--json").json.records
    local last = 0
    for _, r in ipairs(records) do
      local verb = r.record == "attempt" and r.kind ~= "llm"
      if r.record == "done" or verb then
        assert.truthy(r.at >= last and r.at <= records[#records].at, r.name)
        last = r.at
      end
    end
    local function events(span)
      local names = {}
      for i, event in ipairs(span.events) do names[i] = event.name end
      return names
    end
    assert.same({ "log" }, events(root))
    assert.same({ "intent", "exec" }, events(spans["action note"][1]))
    assert.same({ "gate.opened", "gate.decided" }, events(spans["gate sure"][1]))
    assert.equal("approved", attributes(spans["gate sure"][1])["tidemill.gate.state"])
    assert.same({ "gate.opened", "gate.decided", "intent" }, events(spans["action pay"][1]))
    assert.is_true(attributes(spans["action pay"][1])["tidemill.action.irreversible"])
    assert.equal(10, attributes(spans["action pay"][1])["tidemill.action.blast"])
    assert.equal("done", attributes(root)["tidemill.run.state"])
    assert.equal("order", attributes(root)["gen_ai.workflow.name"])
  end)

  it("tells how a run failed", function()
    assert.equal(1, run("o-1", { bad = true }).code)
    local spans = by_name(trace("o-1").json)
    for _, span in ipairs { spans["chat gpt-x"][2], spans["invoke_workflow order"][1] } do
      assert.same({ code = 2 }, span.status)
      assert.equal("invalid_request", attributes(span)["error.type"])
    end
  end)

  it("is the same bytes again, also after a replay", function()
    run("o-1", {})
    local first = trace("o-1").out
    assert.equal(first, trace("o-1").out)
    assert.equal(0, cli("replay", "o-1").code)
    assert.equal(0, cli("resume", "o-1", "-q").code)
    assert.equal(first, trace("o-1").out)
  end)

  it("keeps each span as it was when the process is killed and the run goes on", function()
    local got = run("o-1", { die = true, ask = true })
    assert.equal(137, got.code)
    local killed = texts(trace("o-1").out)
    assert.truthy(next(killed))
    assert.equal(8, cli("resume", "o-1", "-q").code)
    local waiting = texts(trace("o-1").out)
    assert.equal(0, cli("approve", "o-1", "-q").code)
    local done = texts(trace("o-1").out)
    local count, kept = 0, 0
    for _ in pairs(done) do count = count + 1 end
    for id, text in pairs(killed) do assert.equal(text, waiting[id]) end
    for id, text in pairs(waiting) do
      assert.equal(text, done[id])
      kept = kept + 1
    end
    assert.equal(14, count)
    assert.equal(count - 2, kept) -- the gate and the root
  end)

  it("has no root before the end, and nothing for a run that has only begun", function()
    run("o-1", { ask = true })
    local doc = trace("o-1").json
    local roots = by_name(doc)
    assert.is_nil(roots["invoke_workflow order"])
    assert.truthy(roots["invoke_workflow helper"])
    cli("start", "helper", "--id", "h-1", "--input", '{"text":"x"}')
    assert.same({}, trace("h-1").json.resourceSpans)
  end)

  it("hangs a child under the call that began it, whoever is asked for", function()
    run("o-1", {})
    local whole = trace("o-1").out
    local spans = by_name(cjson.decode(whole))
    local call, child = spans["call helper"][1], spans["invoke_workflow helper"][1]
    assert.equal(call.spanId, child.parentSpanId)
    assert.equal(call.traceId, child.traceId)
    local id = attributes(call)["tidemill.child.run.id"]
    local alone, all = texts(trace(id).out), texts(whole)
    local count = 0
    for span, text in pairs(alone) do
      assert.equal(text, all[span])
      count = count + 1
    end
    assert.equal(3, count)
  end)

  it("begins another root where a failed run is tried again", function()
    run("o-1", { bad = true })
    local before = texts(trace("o-1").out)
    server.stop()
    server = content.serve { rules[3] }
    assert.equal(0, cli("retry", "o-1", "-q").code)
    local out = trace("o-1").out
    local after = texts(out)
    for id, text in pairs(before) do assert.equal(text, after[id]) end
    local roots = by_name(cjson.decode(out))["invoke_workflow order"]
    assert.equal(2, #roots)
    assert.same({ { traceId = roots[1].traceId, spanId = roots[1].spanId } }, roots[2].links)
    assert.same({ code = 2 }, roots[1].status)
    assert.is_nil(roots[2].status)
  end)

  it("links a fork to the run that it came from, and has only its own", function()
    run("o-1", {})
    local root = by_name(trace("o-1").json)["invoke_workflow order"][1]
    assert.equal(0, cli("fork", "o-1", "--from", "fee", "--id", "o-2", "-q").code)
    local spans = spans_of(trace("o-2").json)
    local names = {}
    for _, span in ipairs(spans) do
      names[#names + 1] = span.name
      assert.not_equal(root.traceId, span.traceId)
    end
    assert.same({ "recall fee", "invoke_workflow order" }, names)
    assert.same({ { traceId = root.traceId, spanId = root.spanId } }, spans[2].links)
  end)

  it("closes what was open at the end, and links the run that goes on", function()
    assert.equal(0, cli("run", "loser", "-q", "--id", "l-1", "--input", "{}").code)
    local before = by_name(trace("l-1").json)
    local gate, root = before["gate late"][1], before["invoke_workflow loser"][1]
    assert.is_true(attributes(gate)["tidemill.abandoned"])
    assert.equal(root.endTimeUnixNano, gate.endTimeUnixNano)
    assert.is_nil(gate.status)
    assert.equal("l-1~2", attributes(root)["tidemill.run.continued"])
    local after = by_name(trace("l-1~2").json)["invoke_workflow loser"][1]
    assert.not_equal(root.traceId, after.traceId)
    assert.same({ { traceId = root.traceId, spanId = root.spanId } }, after.links)
  end)

  it("is whole for journals of earlier days", function()
    local ids = {}
    for path in io.popen("ls $PWD/spec/golden/*.capsule"):lines() do
      if cli("import", path, "-q").code == 0 then
        ids[#ids + 1] = cjson.decode(content.read(path)).run.id
      end
    end
    assert.truthy(#ids > 20)
    for _, id in ipairs(ids) do
      local spans, known = spans_of(trace(id, "--content").json), {}
      for _, span in ipairs(spans) do
        assert.is_nil(known[span.spanId], id)
        known[span.spanId] = true
      end
      local ended = spans[#spans].name:find "^invoke_workflow"
      for _, span in ipairs(spans) do
        local a, b = times(span)
        assert.truthy(a > 1795e15 and b >= a and b < (os.time() + 60) * 1e9, id)
        local up = span.parentSpanId
        assert.truthy(not ended or not up or known[up] or id:find ":", id)
      end
    end
  end)

  it("tells nothing of what was said, and never a key", function()
    run("o-1", { bad = true })
    run("o-2", { usd = 10 })
    for _, id in ipairs { "o-1", "o-2" } do
      local out = trace(id).out
      for _, word in ipairs { "Lovelace", "rosebud", "customer-", "sk-secret", "mock says" } do
        assert.is_nil(out:find(word, 1, true), word)
      end
      local open = trace(id, "--content").out
      assert.truthy(open:find("Lovelace", 1, true))
      assert.truthy(open:find("rosebud", 1, true))
      assert.is_nil(open:find("sk-secret-4711", 1, true))
    end
  end)

  it("tells what was said when that is asked for", function()
    run("o-1", {})
    local spans = by_name(trace("o-1", "--content").json)
    local told = attributes(spans["chat gpt-x"][1])
    assert.equal("the card of Lovelace", told["gen_ai.prompt.variable.text"])
    assert.same({ { role = "assistant", finish_reason = "stop",
      parts = { { type = "text", content = "the answer is rosebud" } } } },
      cjson.decode(told["gen_ai.output.messages"]))
    assert.truthy(attributes(spans.attempt[2])["tidemill.attempt.response"]:find "rosebud")
    assert.equal("customer-4711", attributes(spans.lock[1])["tidemill.lock.key"])
  end)

  describe("--send", function()
    local function send(more, ...)
      return content.tidemill(dir, { "trace", "o-1", "--send", ... }, env(more))
    end

    local function received()
      local log = server.get "/log"
      return log[#log]
    end

    it("posts what is printed to the collector that the environment names", function()
      run("o-1", {})
      local got = send(("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:%s "
        .. "OTEL_EXPORTER_OTLP_HEADERS='Authorization=Bearer%%20t,x-team=mill'"):format(
        server.port))
      assert.equal(0, got.code, got.err)
      assert.equal("", got.out)
      assert.truthy(got.err:find(("sent 13 spans to http://127.0.0.1:%s/v1/traces"):format(
        server.port), 1, true))
      local at = received()
      assert.equal("POST", at.method)
      assert.equal("/v1/traces", at.path)
      assert.equal("application/json", at.headers["content-type"])
      assert.equal("mill", at.headers["x-team"])
      assert.is_true(at.auth)
      assert.same(trace("o-1").json, cjson.decode(at.body))
    end)

    it("takes the endpoint of traces as it is, and one that is typed before both", function()
      run("o-1", {})
      local exact = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:%s/x/y"):format(
        server.port)
      assert.equal(0, send(exact .. " OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1").code)
      assert.equal("/x/y", received().path)
      assert.equal(0, send(exact, ("http://127.0.0.1:%s/"):format(server.port)).code)
      assert.equal("/v1/traces", received().path)
      local got = send(exact, ("http://127.0.0.1:%s/v1/traces?key=hidden"):format(server.port),
        "--json")
      assert.equal(0, got.code, got.err)
      assert.equal("/v1/traces?key=hidden", received().path)
      assert.same({ schema = "tidemill.sent/1", spans = 13,
        to = ("http://127.0.0.1:%s/v1/traces"):format(server.port) }, got.json)
    end)

    it("says what a collector did not take", function()
      run("o-1", {})
      local url = ("http://127.0.0.1:%s/v1/fault/%%s/traces"):format(server.port)
      assert.equal(75, send("", (url:format "503")).code)
      local got = send("", (url:format "401"))
      assert.equal(3, got.code)
      assert.truthy(got.err:find("answered with status 401", 1, true))
      got = send("", "http://127.0.0.1:1")
      assert.equal(75, got.code)
      assert.truthy(got.err:find("sending again is harmless", 1, true))
      server.stop()
      server = content.serve { { answer = "x", with = { partialSuccess = {
        rejectedSpans = "2", errorMessage = "too old" } } } }
      got = send("", ("http://127.0.0.1:%s/v1/chat/completions"):format(server.port))
      assert.equal(1, got.code)
      assert.truthy(got.err:find("rejected 2 spans: too old", 1, true))
    end)
  end)

  it("knows its mistakes", function()
    assert.equal(4, cli("trace", "nobody").code)
    assert.equal(2, cli("trace").code)
    local got = cli("trace", "o-1", "http://127.0.0.1:1")
    assert.equal(2, got.code)
    assert.truthy(got.err:find("a URL is for --send", 1, true))
    got = content.tidemill(dir, { "trace", "o-1", "--send" },
      "OTEL_EXPORTER_OTLP_HEADERS=hush-hush")
    assert.equal(4, got.code)
    run("o-1", {})
    got = content.tidemill(dir, { "trace", "o-1", "--send" },
      "OTEL_EXPORTER_OTLP_HEADERS=hush-hush")
    assert.equal(3, got.code)
    assert.is_nil(got.err:find("hush", 1, true))
  end)
end)
