--- The engine inside other programs: the example, and the installed library in foreign hands.
local content = require "spec.content"

local build = os.getenv "TIDEMILL_BUILD" or "build/dev"
local sanitized = build:find("asan", 1, true) ~= nil

--- Run a command: its output and whether it succeeded.
local function sh(command, ...)
  local pipe = io.popen(command:format(...) .. " 2>&1")
  local out = pipe:read "a"
  return out, (pipe:close())
end

local consumer = [[
#include <stdio.h>
#include <string.h>
#include <tidemill.h>
int main(void) {
  puts(tidemill_version());
  return strcmp(tidemill_version(), TIDEMILL_VERSION_STRING) != 0;
}
]]

local cmake = [[
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(tidemill 0.1 CONFIG REQUIRED)
add_executable(consumer consumer.c)
target_link_libraries(consumer PRIVATE tidemill::tidemill)
]]

describe("embedding", function()
  it("runs a workflow whose action is a C function, and prints its result", function()
    local out, ok = sh("%s/embed examples/embed", build)
    assert.is_true(ok)
    assert.matches('{"characters":20,"message_id":"sms-1"}\n', out, 1, true)
  end)

  it("enters the C function once for one key, also in another process", function()
    local dir = content.folder()
    local first = sh("%s/embed examples/embed sqlite:%s/e.db", build, dir)
    local second = sh("%s/embed examples/embed sqlite:%s/e.db", build, dir)
    assert.matches("sms 1: ", first, 1, true)
    assert.is_nil(second:find("sms ", 1, true))
    assert.matches('"message_id":"sms%-1"', second)
    content.remove(dir)
  end)

  it("keeps the example under 80 lines", function()
    local _, lines = content.read("examples/embed.c"):gsub("\n", "")
    assert.is_true(lines < 80)
  end)
end)

describe("the installed library", function()
  if sanitized then
    pending "is tried in the plain build (its consumers are not sanitized)"
    return
  end
  local prefix = content.folder()
  local work = content.folder()
  content.write(work .. "/consumer.c", consumer)
  content.write(work .. "/CMakeLists.txt", cmake)
  local log, installed = sh("cmake --install %s --prefix %s", build, prefix)
  local libdir = sh("cd %s && dirname $(find $PWD -name libtidemill.so)", prefix):gsub("%s", "")

  teardown(function()
    content.remove(prefix)
    content.remove(work)
  end)

  it("installs", function() assert.is_true(installed, log) end)

  it("is found by pkg-config, from C", function()
    local out, ok = sh("cd %s && export PKG_CONFIG_PATH=%s/pkgconfig && "
      .. "cc -std=c99 -pedantic -Werror consumer.c -o c "
      .. "$(pkg-config --cflags --libs tidemill) -Wl,-rpath,%s && ./c", work, libdir, libdir)
    assert.is_true(ok, out)
    assert.equal("0.1.0\n", out)
  end)

  it("is found by CMake", function()
    local out, ok = sh("cd %s && cmake -G Ninja -S . -B b -DCMAKE_PREFIX_PATH=%s "
      .. "&& cmake --build b && b/consumer", work, prefix)
    assert.is_true(ok, out)
    assert.matches("0%.1%.0\n$", out)
  end)

  it("exports the functions of tidemill.h and nothing else", function()
    local header = content.read "host/tidemill.h"
    local declared, exported = {}, {}
    for name in header:gmatch "(tidemill_[a-z_]+)%(" do declared[name] = true end
    local out = sh("nm -D --defined-only %s/libtidemill.so", build)
    for name in out:gmatch " T ([%w_]+)" do exported[#exported + 1] = name end
    assert.is_true(#exported > 20)
    for _, name in ipairs(exported) do assert.is_true(declared[name] or false, name) end
    for name in pairs(declared) do
      assert.is_truthy(out:find(" T " .. name .. "\n", 1, true), name .. " is not exported")
    end
  end)
end)
