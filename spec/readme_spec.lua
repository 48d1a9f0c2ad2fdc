--- The README's first workflow, run as a reader would: every marked block, in order.
--
--   <!-- run: file=PATH -->    the block is written to PATH
--   <!-- run: KEY=VALUE … -->  the block is a shell script: exit=N (0), expect=TEXT printed
local content = dofile "spec/content.lua"

-- The marked blocks: {file?, exit?, expect?, text}.
local function blocks_of(text)
  local blocks = {}
  for head, body in text:gmatch "<!%-%- run(.-) %-%->\n```%w*\n(.-)\n```" do
    blocks[#blocks + 1] = {
      file = head:match "file=(%S+)",
      exit = tonumber(head:match "exit=(%d+)" or 0),
      expect = head:match "expect=(.+)$",
      text = body .. "\n",
    }
  end
  return blocks
end

describe("README.md", function()
  local readme = content.read "README.md"
  local blocks = blocks_of(readme)

  it("has marked blocks of both kinds", function()
    local _, marks = readme:gsub("<!%-%- run", "")
    assert.equal(marks, #blocks)
    assert.truthy(#blocks >= 10)
  end)

  it("does what it says", function()
    local dir = content.folder()
    finally(function() content.remove(dir) end)
    for i, block in ipairs(blocks) do
      if block.file then
        os.execute(("mkdir -p '%s/%s'"):format(dir, block.file:match "^(.*)/" or "."))
        content.write(dir .. "/" .. block.file, block.text)
      else
        local got = content.shell(dir, block.text)
        local where = table.concat({ "block " .. i, block.text, got.out, got.err }, "\n")
        assert.equal(block.exit, got.code, where)
        if block.expect then assert.truthy(got.out:find(block.expect, 1, true), where) end
      end
    end
  end)

  it("names only files that are here", function()
    local pages = { "README.md", "docs/cli.md", "docs/laws.md", "docs/primitives.md" }
    for _, path in ipairs(pages) do
      local text = content.read(path)
      for target in text:gmatch "%]%(([%w_./-]+)%)" do
        local folder = path:match "^(.*/)" or ""
        assert.truthy(content.read(folder .. target), path .. " points at " .. target)
      end
      for file in text:gmatch "`([%w_]+/[%w_/.-]+%.[a-z]+)`" do
        local ours = file:match "^host/" or file:match "^spec/" or file:match "^docs/"
        if ours then assert.truthy(content.read(file), path .. " names " .. file) end
      end
    end
  end)
end)

describe("docs/cli.md", function()
  it("has every command and every exit code that the program's help has", function()
    local text, help = content.read "docs/cli.md", content.tidemill(".", { "help" }).out
    local commands = help:match "\n\n(.-)\n\n"
    local count = 0
    for name in ("\n" .. commands):gmatch "\n  (%l+)" do
      assert.truthy(text:find("`" .. name, 1, true), "docs/cli.md lacks " .. name)
      count = count + 1
    end
    assert.truthy(count > 10)
    for code in help:match("Exit codes:(.+)"):gmatch "%f[%d](%d+) %a" do
      local row = "\n| " .. code .. " |"
      assert.truthy(text:find(row, 1, true), "docs/cli.md lacks exit code " .. code)
    end
  end)
end)

describe("examples/demo.sh", function()
  it("runs to its end: each ticket done, each refund paid once", function()
    local got = content.shell(".", "examples/demo.sh $(command -v tidemill)")
    assert.equal(0, got.code, got.out .. got.err)
    assert.equal("", got.err)
    local _, done = got.out:gsub("  done\n", "")
    assert.equal(12, done, got.out)
    local paid, owed = {}, { ["T-1002"] = true, ["T-1003"] = true, ["T-1004"] = true,
      ["T-1007"] = true }
    for key in got.out:gmatch '{"key":"([^"]+)"' do
      assert.is_nil(paid[key], key)
      paid[key] = true
    end
    assert.same(owed, paid)
  end)
end)
