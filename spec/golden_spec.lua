--- Journals of earlier days, in spec/golden: each replays for ever. One is never edited or made
-- again; a new kind of record or call gets a new one (spec/golden/make.sh).
local cjson = require "cjson"
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

describe("a golden journal", function()
  local names, kinds, put_off = {}, {}, 0
  local calls, fields = {}, {} -- "done llm", "open due" …: what some record holds

  -- What a record of that kind may have and need not: one of each is among the journals.
  local variants = {
    start = { "fork", "copied", "seed", "events", "parent", "depth", "budget", "env" },
    open = { "due", "gate", "expires", "key", "epoch", "child", "to", "back", "taken",
      "since" },
    attempt = { "at" },
    decided = { "answer", "note" },
    done = { "m", "q", "s", "edited", "cached", "was", "at" },
    fail = { "m", "q" },
    ["end"] = { "continued", "llm_calls", "v", "e" },
  }

  local function each_kind(path, macro, each)
    local list = content.read(path):match("#define " .. macro .. "(.-)\n\n")
    local count = 0
    for word, class in list:gmatch 'X%(%w+, "(%w+)",?%s*(%u*)' do
      count = count + 1
      each(word, class)
    end
    return count
  end

  setup(function()
    local list = io.popen "ls spec/golden/*.capsule"
    for path in list:lines() do
      names[#names + 1] = path
      for _, record in ipairs(cjson.decode(content.read(path)).records) do
        kinds[record.record] = true
        local body = record.body
        calls[record.record .. " " .. (body.k or body.gk or body.state or "")] = true
        for field in pairs(body) do fields[record.record .. " " .. field] = true end
        if type(body.m) == "table" and body.m.cached then fields["done cached"] = true end
        if body.fork and body.fork.copied then fields["start copied"] = true end
        if body.k == "recall" and body.v.was then fields["done was"] = true end
        if body.gk then calls["gate " .. body.gk] = true end
        if record.record == "open" and record.body.back then put_off = put_off + 1 end
      end
    end
    list:close()
  end)

  it("replays, whatever has become of tidemill since", function()
    assert.truthy(#names >= 11)
    for _, path in ipairs(names) do
      local got = kit.replay(path, { dir = "spec/golden/project" })
      assert.equal("equal", got.verdict, path .. ": " .. tostring(got.message))
    end
  end)

  it("exists for each kind of record", function()
    assert.truthy(each_kind("host/engine/journal.h", "TM_RECORD_KINDS", function(word)
      assert.truthy(kinds[word], "no golden journal has a record " .. word)
    end) >= 11)
    assert.truthy(put_off >= 2, "a model's call that was put off, waiting and ended")
  end)

  it("exists for each kind of call, and for how calls and runs end", function()
    local has = {
      AWAITED = function(word) return calls["done " .. word] or calls["open " .. word] end,
      NOTED = function(word) return calls["note " .. word] end,
      VERB = function(word) return calls["attempt " .. word] or word == "host" end,
      INNER = function() return true end,
    }
    assert.truthy(each_kind("host/engine/call.h", "TM_CALL_KINDS", function(word, class)
      assert.truthy(has[class](word), "no golden journal has a call " .. word)
    end) >= 26)
    for _, what in ipairs { "fail wait", "fail emit", "fail call", "fail gate", "fail action",
      "gate gate", "gate action", "gate doubt", "decided approved", "decided rejected",
      "decided expired", "end done", "end failed", "end cancelled" } do
      assert.truthy(calls[what], "no golden journal has " .. what)
    end
  end)

  it("exists for each thing that a record may hold", function()
    for record, list in pairs(variants) do
      for _, field in ipairs(list) do
        local what = record .. " " .. field
        assert.truthy(fields[what], "no golden journal has a record " .. what)
      end
    end
  end)

  -- These began with other sources, and two of them were moved to newer ones.
  local other = { approved = true, mended = true, moved = true }

  it("fits its sources when only their lines moved and a local has another name", function()
    local dir = content.folder()
    finally(function() content.remove(dir) end)
    assert(os.execute("cp -r spec/golden/project/. " .. dir))
    local list = io.popen("ls " .. dir .. "/workflows/*.lua")
    for path in list:lines() do
      local text = content.read(path):gsub("local said", "local told")
        :gsub("text = said", "text = told"):gsub("said = said", "said = told")
      content.write(path, "-- moved by a line\n" .. text)
    end
    list:close()
    local fit = 0
    for _, path in ipairs(names) do
      local name = path:match "([^/]+)%.capsule$"
      local got = kit.replay(path, { dir = dir, sources = "disk" })
      local wanted = other[name] and "diverged" or "equal"
      assert.equal(wanted, got.verdict, path .. ": " .. tostring(got.message))
      if wanted == "equal" then fit = fit + 1 end
    end
    assert.equal(#names - 3, fit)
  end)

  it("diverges when its script asks for something else", function()
    local text = content.read "spec/golden/whole.capsule"
    local dir = content.folder()
    finally(function() content.remove(dir) end)
    assert(os.execute("cp -r spec/golden/project/. " .. dir))
    local tell = "---\nmodel: scripted/golden\n---\nTell {{text}}.\n"
    content.write(dir .. "/prompts/say.prompt", tell)
    content.write(dir .. "/run.capsule", text)
    local got = kit.replay(dir .. "/run.capsule", { dir = dir, sources = "disk" })
    assert.equal("diverged", got.verdict)
    assert.equal("/prompt", got.changes[1].at)
  end)
end)
