--- Journals of earlier days, in spec/golden: each replays for ever. One is never edited or made
-- again; a new kind of record or call gets a new one (spec/golden/make.sh).
local cjson = require "cjson"
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

describe("a golden journal", function()
  local names, kinds, put_off = {}, {}, 0

  setup(function()
    local list = io.popen "ls spec/golden/*.capsule"
    for path in list:lines() do
      names[#names + 1] = path
      for _, record in ipairs(cjson.decode(content.read(path)).records) do
        kinds[record.record] = true
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
    local header = content.read "host/engine/journal.h"
    local table_of_kinds = header:match "#define TM_RECORD_KINDS(.-)\n\n"
    local count = 0
    for word in table_of_kinds:gmatch 'X%(%w+, "(%w+)"%)' do
      count = count + 1
      assert.truthy(kinds[word], "no golden journal has a record " .. word)
    end
    assert.truthy(count >= 11)
    assert.truthy(put_off >= 2, "a model's call that was put off, waiting and ended")
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
