--- mill.http, exec, file: effects, legal only inside an action's body or mill.fetch.

local core = ...
local want, known, perform = core.want, core.known, core.perform

local M = {}

local http_options = "headers:table json body:string timeout raw:boolean"

local function request(method, url, opts)
  want("the URL", url, "string")
  opts = known("mill.http", opts, http_options)
  local headers, body = {}, opts.body
  for name, value in pairs(opts.headers or {}) do headers[name] = value end
  if opts.json ~= nil then
    body = core.encode(opts.json)
    headers["Content-Type"] = headers["Content-Type"] or "application/json"
  end
  local res = perform("http", method, {
    method = method, url = url, headers = headers, body = body,
    timeout_ms = core.milliseconds("timeout", opts.timeout),
  })
  if res.body ~= "" then res.json = core.decode(res.body) end
  -- A server that breaks in the middle of a write may have done it: that is a doubt, no result.
  if res.status >= 500 and not opts.raw then
    error(setmetatable({ kind = "http", status = res.status, unknown = method ~= "GET",
      message = ("%s %s answered %d"):format(method, url, res.status) }, core.error_mt), 0)
  end
  return res
end

M.http = {
  get = function(url, opts) return request("GET", url, opts) end,
  post = function(url, opts) return request("POST", url, opts) end,
  put = function(url, opts) return request("PUT", url, opts) end,
  patch = function(url, opts) return request("PATCH", url, opts) end,
  delete = function(url, opts) return request("DELETE", url, opts) end,
}

--- Run a program (no shell): {code, out, err}.
function M.exec(argv, opts)
  want("mill.exec's list", argv, "table")
  opts = known("mill.exec", opts, "cwd:string input:string timeout")
  return perform("exec", tostring(argv[1]), {
    argv = core.array(argv), cwd = opts.cwd, input = opts.input,
    timeout_ms = core.milliseconds("timeout", opts.timeout),
  })
end

local function file(op, path, text)
  want("the path", path, "string")
  return perform("file", op, { op = op, path = path, text = text })
end

M.file = {
  --- The file's text | nil when there is none.
  read = function(path)
    local text = file("read", path)
    if text == core.null then return nil end
    return text
  end,
  write = function(path, text) file("write", path, want("the text", text, "string")) end,
  append = function(path, text) file("append", path, want("the text", text, "string")) end,
}

return M
