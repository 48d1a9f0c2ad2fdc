--- What several specs share: the samples, a folder of their own, and the program itself.
local cjson = require "cjson"

local M = {}

function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- The input in workflows/samples/NAME.json.
function M.sample(name)
  return cjson.decode((assert(M.read("workflows/samples/" .. name .. ".json"))))
end

--- The names of the samples that begin with `prefix`, sorted.
function M.samples(prefix)
  local names = {}
  local list = io.popen("ls workflows/samples")
  for file in list:lines() do
    if file:sub(1, #prefix) == prefix then names[#names + 1] = file:gsub("%.json$", "") end
  end
  list:close()
  return names
end

--- A new folder; `content.remove(dir)` when done.
function M.folder()
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir -p " .. dir))
  return dir
end

function M.remove(dir)
  assert(dir:match "^/tmp/")
  os.execute("rm -rf " .. dir)
end

--- A copy of this project's workflows and prompts, to be edited.
function M.project()
  local dir = M.folder()
  assert(os.execute("cp -r workflows prompts tidemill.yaml " .. dir))
  return dir
end

--- The lines of a ledger file, decoded.
function M.ledger(path)
  local rows = {}
  for line in (M.read(path) or ""):gmatch "[^\n]+" do rows[#rows + 1] = cjson.decode(line) end
  return rows
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local here

--- The program that runs these specs, or the one that TIDEMILL_BIN names.
local function program()
  here = here or os.getenv "TIDEMILL_BIN"
  if here then return here end
  local link = io.popen "readlink /proc/$PPID/exe"
  here = link:read "l"
  link:close()
  return here
end

--- Run a script of the shell in `dir`, with `tidemill` on its path: {code, out, err, json}.
function M.shell(dir, script)
  local errors, file = os.tmpname(), os.tmpname()
  local folder = program():match "^(.*)/"
  local set = "set -e; cd %s; PATH=%s:$PATH\n%s"
  M.write(file, set:format(quote(dir), quote(folder), script))
  local pipe = io.popen(("sh %s 2>%s"):format(file, errors))
  local out = pipe:read "a"
  local _, how, code = pipe:close()
  local err = M.read(errors)
  os.remove(errors)
  os.remove(file)
  local ok, json = pcall(cjson.decode, out)
  if how == "signal" then code = 128 + code end
  return { code = code, out = out, err = err, json = ok and json or nil }
end

--- Run a command of the program in `dir`, which gets a Ctrl-C as soon as it has printed `text`
-- (a plain text) to stderr: {code, err}. `env`: "NAME=value" before it.
function M.interrupted(dir, command, text, env)
  local line = "cd %s; echo $$; exec env %s %s/tidemill %s 2>&1 >/dev/null"
  local pipe = io.popen(line:format(quote(dir), env or "", quote(program():match "^(.*)/"),
    command))
  local pid, err = pipe:read("n", "l"), ""
  for said in pipe:lines "L" do
    err = err .. said
    if pid and err:find(text, 1, true) then
      os.execute("kill -INT " .. pid)
      pid = nil
    end
  end
  local _, how, code = pipe:close()
  return { code = how == "signal" and 128 + code or code, err = err }
end

--- What `fn` returns while another process holds the lock of the database at `path`.
function M.locked(path, fn)
  local holder = io.popen(("flock %s.lock sh -c 'echo $$; exec tail -f /dev/null'")
    :format(quote(path)))
  local pid = holder:read "n"
  local got = fn()
  os.execute("kill " .. pid)
  holder:close()
  return got
end

--- The mock of spec/mock with these rules, or nil when it is not built:
-- {port, get(path), stop()}.
function M.serve(rules)
  local mock = (os.getenv "TIDEMILL_BUILD" or "build/dev") .. "/mock-server"
  if not M.read(mock) then return nil end
  local file = os.tmpname()
  M.write(file, #rules > 0 and cjson.encode(rules) or "[]")
  local pipe = io.popen(("echo $$; exec %s --rules %s </dev/zero"):format(quote(mock), file))
  local pid, port = pipe:read("n", "l"), nil
  while not port do port = pipe:read("l"):match "listening (%d+)" end
  local server = { port = port }
  function server.get(path)
    local ask = [==[exec 3<>/dev/tcp/127.0.0.1/%s
      printf 'GET %s HTTP/1.1\r\nHost: mock\r\n\r\n' >&3
      shopt -s nocasematch
      while read -r line <&3 && [ "$line" != $'\r' ]; do
        [[ $line =~ ^content-length:\ ([0-9]+) ]] && length=${BASH_REMATCH[1]}
      done
      head -c "$length" <&3]==]
    local answer = io.popen("bash -c " .. quote(ask:format(port, path)))
    local text = answer:read "a"
    answer:close()
    return cjson.decode(text)
  end
  function server.stop()
    os.execute("kill " .. pid)
    pipe:close()
    os.remove(file)
  end
  return server
end

--- Run the program in `dir` with these words. `env`: "NAME=value" before it.
function M.tidemill(dir, args, env)
  local words = { env or "", "tidemill" }
  for _, word in ipairs(args) do words[#words + 1] = quote(word) end
  return M.shell(dir, table.concat(words, " "))
end

return M
