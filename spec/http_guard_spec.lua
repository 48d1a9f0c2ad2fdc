--- Where mill.http may go: the open internet, and what whoever runs the project lists.
local content = dofile "spec/content.lua"

local probe = [[
local mill = require "tidemill"
local flow = mill.workflow "probe" { about = "asks the URL that it is given" }
function flow.main(input)
  local ok, got = pcall(mill.fetch, "ask", function()
    local headers = { Authorization = "Bearer canary-4711" }
    return mill.http.get(input.url, { headers = headers }).status
  end)
  return { ok = ok, kind = type(got) == "table" and got.kind or nil,
    said = ok and got or tostring(got.message or got) }
end
return flow
]]

describe("a URL that may hold data", function()
  local dir, server

  before_each(function()
    dir = content.project()
    content.write(dir .. "/workflows/probe.lua", probe)
    server = content.serve {}
  end)
  after_each(function()
    server.stop()
    content.remove(dir)
  end)

  local function ask(host, env, path)
    local url = ("http://%s:%d%s"):format(host, server.port, path or "/refunds/x")
    local got = content.tidemill(dir,
      { "run", "probe", "-q", "--input", ('{"url":"%s"}'):format(url) }, env)
    assert.equal(0, got.code, got.err)
    return got.json
  end
  local function settings(text) content.write(dir .. "/tidemill.yaml", text) end

  for _, host in ipairs { "127.0.0.1", "localhost", "2130706433", "0177.1",
    "[::ffff:127.0.0.1]", "0.0.0.0" } do
    it("does not reach this machine as " .. host, function()
      local got = ask(host)
      assert.is_false(got.ok)
      assert.equal("http", got.kind)
      assert.truthy(got.said:find("private address", 1, true), got.said)
      assert.equal(0, server.get("/counts").requests - 1) -- the looking counts itself
    end)
  end

  it("is told what to list, and that is enough", function()
    local said = ask("127.0.0.1").said
    local entry = said:match 'list "([^"]+)"'
    assert.equal("127.0.0.1:" .. server.port, entry)
    settings(('http: { private: ["%s"] }\n'):format(entry))
    assert.same({ ok = true, said = 404 }, ask "127.0.0.1")
  end)

  it("reaches what the environment lists", function()
    assert.is_true(ask("127.0.0.1", "TIDEMILL_HTTP_PRIVATE=10.0.0.0/8,127.0.0.0/8").ok)
    assert.is_false(ask("127.0.0.1", "TIDEMILL_HTTP_PRIVATE=10.0.0.0/8").ok)
  end)

  it("does not follow a redirect, and takes no header along", function()
    settings 'http: { private: ["127.0.0.1"] }\n'
    assert.same({ ok = true, said = 302 }, ask("127.0.0.1", "", "/fault/redirectloop/refunds"))
    assert.equal(1, server.get("/counts").requests - 1)
  end)

  it("needs a list that can be read", function()
    for _, bad in ipairs { 'http: { private: ["http://x"] }', "http: { private: x }",
      "http: { public: [x] }" } do
      settings(bad .. "\n")
      local got = content.tidemill(dir, { "run", "probe", "-q", "--input", "{}" })
      assert.equal(3, got.code)
      assert.truthy(got.err:find("tidemill.yaml", 1, true), got.err)
    end
  end)
end)

describe("a media URL", function()
  it("sends no provider to a private address or a file", function()
    local dir = content.project()
    content.write(dir .. "/prompts/look.prompt",
      '{{media url=url contentType="image/png"}}What is it?\n')
    local function render(url, env)
      return content.tidemill(dir, { "prompt", "render", "look", "--json", "--model",
        "openai/m", "--input", ('{"url":"%s"}'):format(url) }, env)
    end
    for _, url in ipairs { "http://127.0.0.1/a.png", "http://localhost/a", "http://0x7f.1/a",
      "http://169.254.169.254/latest/meta-data", "http://[fd00::1]/a", "file:///etc/passwd" } do
      local got = render(url)
      assert.not_equal(0, got.code, url)
      assert.truthy(got.err:find("TIDEMILL_HTTP_PRIVATE", 1, true), got.err)
    end
    for _, url in ipairs { "https://files.example/a.png", "data:image/png;base64,QUJD" } do
      assert.equal(0, render(url).code, url)
    end
    assert.equal(0, render("http://127.0.0.1/a.png", "TIDEMILL_HTTP_PRIVATE=127.0.0.1").code)
    content.remove(dir)
  end)

  it("is judged in messages that a script hands over, and nothing is sent", function()
    local dir, server = content.project(), content.serve {}
    finally(function() server.stop() content.remove(dir) end)
    content.write(dir .. "/prompts/look.prompt", "What is it?\n")
    content.write(dir .. "/workflows/look.lua", [[
      local mill = require "tidemill"
      local flow = mill.workflow "look" {}
      function flow.main(input)
        local ok, e = pcall(mill.llm, "look", {}, { messages = { { role = "user", content = {
          { media = { url = input.url, contentType = "image/png" } } } } } })
        return { ok = ok, said = not ok and e.message or nil }
      end
      return flow
    ]])
    local got = content.tidemill(dir, { "run", "look", "-q", "--model", "openai/m", "--input",
      '{"url":"http://169.254.169.254/latest"}' }, ("OPENAI_API_KEY=k OPENAI_BASE_URL="
      .. "http://127.0.0.1:%s/v1"):format(server.port))
    assert.equal(0, got.code, got.err)
    assert.is_false(got.json.ok)
    assert.truthy(got.json.said:find("is not sent to fetch media", 1, true), got.json.said)
    assert.equal(0, #server.get "/log")
  end)
end)

describe("TLS", function()
  it("is verified, and nothing can turn that off", function()
    local found = io.popen "grep -rhoE 'SSL_VERIFY(PEER|HOST)[^)]*' host lua"
    local lines = found:read "a"
    found:close()
    assert.equal("SSL_VERIFYPEER, 1L\nSSL_VERIFYHOST, 2L\n", lines)
  end)
end)
