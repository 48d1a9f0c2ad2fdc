--- A key is only ever on its way to whom it is for: not in a file, not in an answer, not in a
-- word of ours, whatever the other side says back.
local content = dofile "spec/content.lua"

local KEY = "sk-canary-4711-a/b"

local script = [[
local mill = require "tidemill"
local flow = mill.workflow "echo" { about = "asks a model and a server that say the key again" }
local call = flow:action "call" {
  key = function(args) return args.url end,
  run = function(args)
    return mill.http.post(args.url, { json = args, raw = true,
      headers = { Authorization = { env = "WORLD_TOKEN" } } })
  end,
}
function flow.main(input)
  local ok, said = pcall(mill.llm, "say", { question = "What is my key?" })
  mill.log("the model said", { said = tostring(ok and said or said.message) })
  local answer = call { url = input.url }
  mill.log("the server said", { body = answer.body, headers = answer.headers })
  return { ok = ok, said = tostring(ok and said or said.message), server = answer.body }
end
return flow
]]

local unit = [[
---
config: { maxOutputTokens: %d }
tidemill.retries: 1
---
{{question}}
]]

local wires = {
  openai = { model = "openai/m", env = "OPENAI_API_KEY=%s OPENAI_BASE_URL=%s/v1" },
  ["openai-responses"] = { model = "openai-responses/m",
    env = "OPENAI_API_KEY=%s OPENAI_BASE_URL=%s/v1" },
  anthropic = { model = "anthropic/m", env = "ANTHROPIC_API_KEY=%s ANTHROPIC_BASE_URL=%s" },
  gemini = { model = "gemini/m", env = "GOOGLE_API_KEY=%s GOOGLE_GEMINI_BASE_URL=%s" },
  ollama = { model = "ollama/m", env = "OLLAMA_API_KEY=%s OLLAMA_HOST=%s" },
}
local plain, streamed = 100, 20000

describe("a key", function()
  local dir, server

  before_each(function()
    dir = content.project()
    content.write(dir .. "/workflows/echo.lua", script)
    server = content.serve {}
  end)
  after_each(function()
    server.stop()
    content.remove(dir)
  end)

  local function environment(wire, fault)
    local at = ("http://127.0.0.1:%d"):format(server.port)
    local base = fault and at .. "/fault/" .. fault or at
    return wire.env:format(KEY, base) .. " TIDEMILL_HTTP_PRIVATE=127.0.0.1 " ..
      ("TIDEMILL_RETRY_BASE_MS=1 WORLD_TOKEN='Bearer %s'"):format(KEY)
  end

  -- Everything that is told of a run with such a model, and everything that is on the disk.
  local function all_of(wire, fault, limit)
    local env = environment(wire, fault)
    content.write(dir .. "/prompts/say.prompt", unit:format(limit))
    local input = ('{"url":"http://127.0.0.1:%d/fault/echoerror/x"}'):format(server.port)
    local told = {}
    local function tell(...)
      local got = content.tidemill(dir, { ... }, env)
      told[#told + 1] = got.out .. got.err
      return got
    end
    local run = tell("run", "echo", "--id", "e1", "--model", wire.model, "--record",
      "tape.jsonl", "--input", input)
    for _, flag in ipairs { "--raw", "--curl", "--json", "--state" } do
      tell("show", "e1", flag)
    end
    tell("export", "e1")
    tell("prompt", "render", "say", "--model", wire.model, "--input", '{"question":"x"}')
    tell "doctor"
    local files = content.shell(dir, "find . -type f | xargs cat")
    return table.concat(told, "\n"), files.out, run
  end

  for name, wire in pairs(wires) do
    for _, fault in ipairs { "echo", "echo3", "echo18", "echoerror", "echomoved" } do
      it(("that %s says again (%s) is kept nowhere"):format(name, fault), function()
        for _, limit in ipairs { plain, streamed } do
          local told, files, run = all_of(wire, fault, limit)
          assert.equal(0, run.code, run.err)
          assert.truthy(told:find("***", 1, true), told)
          assert.is_nil(told:find("canary", 1, true))
          assert.is_nil(files:find("canary", 1, true))
          assert.is_nil((told .. files):find('"sk-"', 1, true)) -- of echo3
          content.shell(dir, "rm -rf .tidemill tape.jsonl")
        end
      end)
    end
  end
end)

describe("a key that is quoted otherwise encoded", function()
  it("is kept nowhere, whole or in the pieces of a stream", function()
    local dir = content.project()
    finally(function() content.remove(dir) end)
    content.write(dir .. "/prompts/say.prompt", "---\ntidemill.retries: 0\n---\n{{question}}\n")
    content.write(dir .. "/workflows/echo.lua", [[
local mill = require "tidemill"
local flow = mill.workflow "echo" {}
function flow.main() return mill.llm("say", { question = "What is my key?" }) end
return flow
]])
    local function encoded(command)
      local command_line = ("printf '%%s' 'user:%s' | %s"):format(KEY, command)
      return (content.shell(dir, command_line).out:gsub("%s", ""))
    end
    local forms = { encoded "base64", encoded "od -An -tx1", encoded "tail -c 18 | base64" }
    for i, form in ipairs(forms) do
      local secret = form:sub(-16, -5) -- of the key's own
      for _, limit in ipairs { 100, 20000 } do
        content.write(dir .. "/prompts/say.prompt", unit:format(limit))
        local server = content.serve { { answer = "Basic " .. form .. " was sent" } }
        local env = wires.openai.env:format(KEY, "http://127.0.0.1:" .. server.port .. "/v1")
        local id = "r" .. i .. "-" .. limit
        local got = content.tidemill(dir, { "run", "echo", "--id", id, "--model", "openai/m",
          "--record", "tape.jsonl" }, env)
        server.stop()
        assert.equal(0, got.code, got.err)
        assert.truthy(got.out:find("***", 1, true), got.out)
        local raw = content.tidemill(dir, { "show", id, "--raw" }).out
        assert.truthy(raw:find("*** ", 1, true) or raw:find("***", 1, true))
        local files = content.shell(dir, "cat tape.jsonl .tidemill/*").out
        for _, text in ipairs { got.out .. got.err, raw, files } do
          assert.is_nil(text:find(secret, 1, true), form)
        end
      end
    end
  end)
end)

describe("a process that dies", function()
  local dir, server

  before_each(function()
    dir = content.project()
    content.write(dir .. "/workflows/echo.lua", script)
    content.write(dir .. "/prompts/say.prompt", unit:format(plain))
    server = content.serve {}
  end)
  after_each(function()
    server.stop()
    content.remove(dir)
  end)

  -- Aborts a run that waits for its model, and says what that left behind. `env`: set for it.
  local function abort(env)
    local wait = [[
      ulimit -c unlimited || exit 3
      %s OPENAI_API_KEY=%s OPENAI_BASE_URL=http://127.0.0.1:%d/fault/hang/v1 \
        tidemill run echo --id e1 -q --model openai/m --input '{"url":"x"}' &
      until grep -q ' 0100007F:%04X 01 ' /proc/net/tcp; do kill -0 $!; done
      kill -ABRT $!
      wait $! || true
      cat core* 2>/dev/null | grep -ac %s || true
    ]]
    return content.shell(dir, wait:format(env, KEY, server.port, server.port, KEY))
  end

  it("leaves no core file with its keys", function()
    local got = abort ""
    assert.equal("0", got.out:match "%d+", got.err)
    assert.is_nil(content.shell(dir, "ls").out:find("core", 1, true))
  end)

  it("leaves one when TIDEMILL_CORE is set, for who looks for a bug", function()
    local pattern = content.read "/proc/sys/kernel/core_pattern"
    local sanitized = (os.getenv "TIDEMILL_BUILD" or ""):find("asan", 1, true)
    if sanitized or not pattern:match "^core" then
      return pending "core files go elsewhere here, or are not written"
    end
    local got = abort "TIDEMILL_CORE=1"
    assert.is_true(tonumber(got.out:match "%d+") > 0, got.err)
  end)
end)
