--- The house: who may include whom, what stands at the top of a file, how long a file may be.

-- Floors from below; folders on one floor do not see each other.
local floors = {
  base = 0, text = 1, net = 2, store = 3, llm = 3, engine = 4, script = 5, face = 6,
}

-- Foreign headers, and the files (as patterns of their path under host/) that may include them.
local fences = {
  { "^yaml%.h$", { "^text/yaml%.c$" } },
  { "^pcre2%.h$", { "^text/schema_regex%.c$" } },
  { "^uv%.h$", { "^net/" } },
  { "^curl/", { "^net/" } },
  { "^sqlite3%.h$", { "^store/sqlite_[%w_]+%.[ch]$", "^store/store_sqlite%.c$" } },
  { "^libpq%-fe%.h$", { "^store/store_pg%.c$" } },
  { "^lua[%w-]*%.h$", { "^script/", "^face/kit[_%a]*%.c$" } },
  { "^lauxlib%.h$", { "^script/", "^face/kit[_%a]*%.c$" } },
  { "^sodium%.h$", { "^base/hash%.c$", "^base/id%.c$" } },
  { "^emmintrin%.h$", { "^text/json_scan%.h$" } },
  { "^malloc%.h$", { "^base/mem%.c$" } },
  { "^sys/prctl%.h$", { "^face/kit_jobs%.c$" } }, -- of Linux alone
  { "^microhttpd%.h$", { "^face/server[%w_]*%.[ch]$" } },
}

-- Of the system, for everybody: the C library and POSIX.
local system = {}
for name in ([[
  assert ctype dirent dlfcn errno fcntl fnmatch inttypes limits locale math poll pthread pwd
  signal stdarg stdatomic stdbool stddef stdint stdio stdlib string strings termios time unistd
  arpa/inet netinet/in sys/file sys/inotify sys/ioctl sys/mman sys/random sys/resource
  sys/select sys/socket sys/stat sys/statvfs sys/sysmacros sys/time sys/types sys/un sys/wait
]]):gmatch "%S+" do system[name .. ".h"] = true end

local MAX_LINES = 750
local MAX_WORKFLOW = 120

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

-- The paths under host/, sorted.
local function sources()
  local found = {}
  local list = assert(io.popen "cd host && find . -name '*.[ch]' | LC_ALL=C sort")
  for line in list:lines() do found[#found + 1] = line:sub(3) end
  list:close()
  return found
end

-- Each #include of a text: path, and whether it stands in quotes.
local function includes(text)
  local found = {}
  for line in ("\n" .. text):gmatch "\n([^\n]*)" do
    local mark, path = line:match '^%s*#%s*include%s*(["<])([^">]+)[">]'
    if path then found[#found + 1] = { path = path, ours = mark == '"' } end
  end
  return found
end

local function any(path, patterns)
  for _, p in ipairs(patterns) do
    if path:find(p) then return true end
  end
  return false
end

-- What is wrong with a file of ours being included, or nil.
local function ours(from, path)
  local here, there = from:match "^(%w+)/", path:match "^(%w+)/"
  if not there then
    if path == "tidemill.h" and here == "face" then return nil end
    return 'is not included by its path under host/'
  end
  if not floors[there] then return "is in no folder that has a floor" end
  if not here then return "is seen from outside of the house" end
  if here == there or floors[there] < floors[here] then return nil end
  if floors[there] == floors[here] then return "is a neighbour, and neighbours are blind" end
  return "is on a higher floor"
end

-- What is wrong with a header of somebody else, or nil.
local function foreign(from, path)
  for _, fence in ipairs(fences) do
    if path:find(fence[1]) then
      return not any(from, fence[2]) and "is fenced: it belongs to another file" or nil
    end
  end
  return not system[path] and "is a foreign header without a fence: give it one file" or nil
end

-- Every breach in a text that stands at `from`, one line each.
local function breaches(from, text)
  local found = {}
  for _, i in ipairs(includes(text)) do
    local why = (i.ours and ours or foreign)(from, i.path)
    if why then found[#found + 1] = ("%s: %s %s"):format(from, i.path, why) end
  end
  return found
end

describe("the house", function()
  local files = sources()

  local function each(check)
    local found = {}
    for _, path in ipairs(files) do
      for _, line in ipairs(check(path, read("host/" .. path))) do found[#found + 1] = line end
    end
    assert.equal("", table.concat(found, "\n"))
  end

  it("has files on every floor", function()
    local seen = {}
    for _, path in ipairs(files) do seen[path:match "^(%w+)/" or ""] = true end
    for folder in pairs(floors) do assert.truthy(seen[folder], folder) end
  end)

  it("includes its own folder and lower floors only", function() each(breaches) end)

  it("says at the top of each file what it is for", function()
    each(function(path, text)
      local name = path:match "[^/]+$"
      local starts = text:sub(1, #name + 6) == "/* " .. name .. " - "
      return starts and {} or { path .. ' does not start with "/* ' .. name .. ' - "' }
    end)
  end)

  it("has no file over " .. MAX_LINES .. " lines", function()
    each(function(path, text)
      local _, lines = text:gsub("\n", "")
      if lines <= MAX_LINES then return {} end
      return { ("%s has %d lines: split it by idea"):format(path, lines) }
    end)
  end)

  it("ships no workflow over " .. MAX_WORKFLOW .. " lines", function()
    local list = assert(io.popen "ls workflows/*.lua")
    for path in list:lines() do
      local _, lines = read(path):gsub("\n", "")
      assert.is_true(lines <= MAX_WORKFLOW, ("%s has %d lines"):format(path, lines))
    end
    list:close()
  end)
end)

describe("the check of the house", function()
  local function says(from, text, what)
    local found = table.concat(breaches(from, text), "\n")
    if not what then return assert.equal("", found) end
    assert.truthy(found:find(what, 1, true), from .. ": " .. text .. "\n" .. found)
  end

  it("knows the floors", function()
    says("engine/run.c", '#include "engine/run.h"\n#include "store/store.h"')
    says("store/store.c", '#include "engine/run.h"', "higher floor")
    says("store/store.c", 'int x;\n  #  include "llm/llm.h"', "neighbour")
    says("llm/llm.c", '#include "store/store.h"', "neighbour")
    says("text/json.c", '#include "net/loop.h"', "higher floor")
    says("face/api.c", '#include "tidemill.h"')
    says("engine/run.c", '#include "tidemill.h"', "not included by its path")
    says("engine/run.c", '#include "run.h"', "not included by its path")
    says("engine/run.c", '#include "../store/store.h"', "not included by its path")
    says("engine/run.c", '#include "spec/c/check.h"', "no folder")
    says("tidemill.h", '#include "base/err.h"', "outside of the house")
  end)

  it("knows the fences", function()
    says("text/yaml.c", "#include <yaml.h>")
    says("text/prompt.c", "#include <yaml.h>", "fenced")
    says("text/schema_check.c", "#define PCRE2_CODE_UNIT_WIDTH 8\n#include <pcre2.h>", "fenced")
    says("net/loop.c", "#include <uv.h>\n#include <curl/curl.h>")
    says("engine/run.c", "#include <uv.h>", "fenced")
    says("llm/ask.c", "#include <curl/curl.h>", "fenced")
    says("store/sqlite_read.c", "#include <sqlite3.h>")
    says("store/store_mem.c", "#include <sqlite3.h>", "fenced")
    says("script/vm.c", "#include <lua.h>\n#include <lauxlib.h>\n#include <lualib.h>")
    says("face/cli.c", "#include <lua.h>", "fenced")
    says("face/cli.c", "#include <lauxlib.h>", "fenced")
    says("engine/journal.c", "#include <sodium.h>", "fenced")
    says("engine/journal.c", "#include <archive.h>", "without a fence")
    says("engine/journal.c", "#include <string.h>\n#include <sys/stat.h>")
  end)
end)
