--- What exactly went to a model and came back, and how two calls differ.
local cjson = require "cjson"
local content = dofile "spec/content.lua"

local script = [[
local mill = require "tidemill"
local flow = mill.workflow "talk" {}
function flow.main(input)
  return mill.llm("sort", { text = input.text })
end
return flow
]]

describe("the raw truth", function()
  local dir, server

  before_each(function()
    dir = content.folder()
    assert(os.execute(("mkdir -p %s/workflows %s/prompts"):format(dir, dir)))
    content.write(dir .. "/workflows/talk.lua", script)
    content.write(dir .. "/prompts/sort.prompt", "---\nmodel: openai/gpt-4.1\noutput:\n"
      .. "  schema:\n    kind: string\n---\n"
      .. "Sort this line with care:\n{{text}}\nGive one kind.\n")
  end)
  after_each(function()
    if server then server.stop() end
    server = nil
    content.remove(dir)
  end)

  local function cli(...)
    return content.tidemill(dir, { ... },
      ("TIDEMILL_RETRY_BASE_MS=1 OPENAI_API_KEY=sk-canary "
        .. "OPENAI_BASE_URL=http://127.0.0.1:%s/v1")
        :format(server.port))
  end

  local function run(id, text)
    local got = cli("run", "talk", "-q", "--id", id, "--input", cjson.encode { text = text })
    assert.equal(0, got.code, got.err)
  end

  local function serve(...)
    server = content.serve { ... }
  end

  local card = { match = "card", answer = { kind = "card" } }
  local parcel = { match = "parcel", answer = { kind = "parcel" } }

  it("prints the bytes of one attempt, or of every attempt of a call", function()
    serve({ match = "card", times = 1, answer = '{"kind":3}' }, card)
    run("t1", "my card")
    local one, all = cli("show", "t1#2", "--raw"), cli("show", "t1#3", "--raw")
    assert.equal(0, one.code, one.err)
    assert.equal(0, all.code, all.err)
    assert.equal(1, select(2, one.out:gsub("# record", "")))
    assert.equal(2, select(2, all.out:gsub("# record", "")))
    assert.truthy(all.out:find([[\"kind\":3]], 1, true))
    assert.truthy(all.out:find([[\"kind\":\"card\"]], 1, true))
    assert.equal(2, select(2, cli("show", "t1#3", "--curl").out:gsub("curl %-sS", "")))
    assert.is_nil((all.out .. one.out):find("canary", 1, true))
  end)

  it("prints an answer that is no UTF-8 byte for byte", function()
    serve({ match = "card", times = 1, answer = { kind = "cat" }, fault = "invalidutf8" }, card)
    run("t1", "my card")
    local history = cli("show", "t1", "--raw", "--json").json
    assert.truthy(history.records[2].attempt.response.base64)
    local file = content.shell(dir, "tidemill show t1#1 --raw | LC_ALL=C grep -c '[\x80-\xff]'")
    assert.equal(0, file.code, file.err)
  end)

  it("tells what differs between two attempts, place by place", function()
    serve(card, parcel)
    run("t1", "my card")
    run("t2", "my parcel")
    local got = cli("show", "t1#1", "--diff", "t2#1")
    assert.equal(0, got.code, got.err)
    assert.truthy(got.out:find("--- t1#1  attempt sort\n+++ t2#1  attempt sort\n", 1, true))
    assert.truthy(got.out:find("/request/messages/0/content\n", 1, true), got.out)
    assert.truthy(got.out:find("\n-my card\n+my parcel\n", 1, true), got.out)
    assert.truthy(got.out:find("\n Sort this line with care:\n", 1, true), got.out)
    assert.truthy(got.out:find("/response/choices/0/message/content\n", 1, true), got.out)
    assert.is_nil(got.out:find("latency_ms", 1, true))
    assert.is_nil(got.out:find("request_id", 1, true))
  end)

  it("tells what differs between two results, as JSON too", function()
    serve(card, parcel)
    run("t1", "my card")
    run("t2", "my parcel")
    local got = cli("show", "t1#2", "--diff", "t2#2", "--json")
    assert.equal("tidemill.calldiff/1", got.json.schema)
    assert.same({ run = "t1", seq = 2 }, got.json.was)
    local at = {}
    for _, change in ipairs(got.json.changes) do at[change.at] = change end
    assert.same({ at = "/value/kind", was = "card", is = "parcel" }, at["/value/kind"])
    assert.equal("my parcel", at["/request/vars/text"].is)
  end)

  it("says so when two calls do not differ, and takes a record of the same run", function()
    serve({ match = "card", times = 1, answer = '{"kind":3}' }, card)
    run("t1", "my card")
    run("t2", "my card")
    local same = cli("show", "t1#2", "--diff", "t1#2")
    assert.equal("", same.out)
    assert.truthy(same.err:find("do not differ", 1, true))
    local repaired = cli("show", "t1#1", "--diff", "#2")
    assert.truthy(repaired.out:find("+++ t1#2  attempt sort\n", 1, true))
    assert.truthy(repaired.out:find("/request/messages/1\n+", 1, true), repaired.out)
    assert.same({}, cli("show", "t2#1", "--diff", "t2#1", "--json").json.changes)
  end)

  it("refuses what cannot be compared", function()
    serve(card)
    run("t1", "my card")
    for _, case in ipairs {
      { 2, "compare two attempts, or two results", "t1#1", "--diff", "t1#2" },
      { 2, "each as ID#SEQ", "t1#1", "--diff", "t1" },
      { 2, "each as ID#SEQ", "t1", "--diff", "t1#1" },
      { 2, "expected ID#SEQ", "t1#1", "--diff", "t1#x" },
      { 2, "expected ID#SEQ", "t1#1", "--diff", "#" },
      { 2, "none of --raw", "t1#1", "--diff", "t1#1", "--raw" },
      { 4, "there is none with number 99", "t1#1", "--diff", "t1#99" },
      { 4, "there is no run nobody", "t1#1", "--diff", "nobody#1" },
    } do
      local got = cli("show", table.unpack(case, 3))
      assert.equal(case[1], got.code, got.err)
      assert.truthy(got.err:find(case[2], 1, true), got.err)
      assert.equal("", got.out)
    end
  end)
end)
