--- A thousand runs against a provider that fails three requests of ten.
local engine = require "tidemill.engine"
local content = dofile "spec/content.lua"

local RUNS, WINDOW_MS = 1000, 500

local WORKFLOW = [[
local mill = require "tidemill"
local flow = mill.workflow "w" { about = "Asks once." }
function flow.main(x)
  mill.sleep(x.after)
  return mill.llm("say", { n = x.n })
end
return flow
]]

--- How many of these times (ms, ascending) lie in one window, at most.
local function most_in_a_window(at)
  local most, from = 0, 1
  for i = 1, #at do
    while at[i] - at[from] >= WINDOW_MS do from = from + 1 end
    most = math.max(most, i - from + 1)
  end
  return most
end

describe("a thousand runs against a provider that fails three requests of ten", function()
  local dir, server, e, log, states

  -- Real time: a run asks every second millisecond; waits between attempts are of up to 1 s.
  setup(function()
    dir = content.folder()
    assert(os.execute("mkdir -p " .. dir .. "/workflows " .. dir .. "/prompts"))
    content.write(dir .. "/workflows/w.lua", WORKFLOW)
    content.write(dir .. "/prompts/say.prompt", "---\ntidemill.retries: 10\n---\nSay {{n}}.\n")
    server = content.serve { { share = 15, fault = "429" }, { share = 18, fault = "500" },
      { answer = "Hello." } }
    engine.setenv("OPENAI_API_KEY", "sk-canary-4711")
    engine.setenv("OPENAI_BASE_URL", ("http://127.0.0.1:%s/v1"):format(server.port))
    engine.setenv("TIDEMILL_RETRY_BASE_MS", "60")
    e = assert(engine.open { dir = dir, db = "memory:", model = "openai/gpt-4.1-mini" })
    for n = 1, RUNS do
      assert(e:start("w", { n = n, after = 0.1 + n / 500 }, { id = "r" .. n }))
    end
    e:run(nil, 60000)
    states = {}
    for _, run in ipairs(e:list({}).runs) do
      states[run.state] = (states[run.state] or 0) + 1
    end
    log = server.get "/log"
  end)

  teardown(function()
    e:close()
    server.stop()
    for _, name in ipairs { "OPENAI_API_KEY", "OPENAI_BASE_URL", "TIDEMILL_RETRY_BASE_MS" } do
      engine.setenv(name, nil)
    end
    content.remove(dir)
  end)

  it("brings each of them to its end", function()
    assert.same({ done = RUNS }, states)
  end)

  it("makes no more than 1.6 attempts a request", function()
    assert.truthy(#log > 1.3 * RUNS, #log) -- three of ten did fail
    assert.truthy(#log <= 1.6 * RUNS, #log)
  end)

  it("never sends more than twice the rate at which requests came", function()
    local came, seen, all = {}, {}, {}
    for i, request in ipairs(log) do
      all[i] = request.ms
      local n = request.body:match "Say (%d+)"
      if not seen[n] then
        seen[n] = true
        came[#came + 1] = request.ms
      end
    end
    assert.equal(RUNS, #came)
    assert.truthy(came[RUNS] - came[1] > 3 * WINDOW_MS, "they came all at once")
    -- A process that had to stand still is asked for more in the window after it.
    local nominal, sent = most_in_a_window(came), most_in_a_window(all)
    assert.truthy(sent <= 2 * nominal,
      ("%d in %d ms, %d came"):format(sent, WINDOW_MS, nominal))
  end)
end)
