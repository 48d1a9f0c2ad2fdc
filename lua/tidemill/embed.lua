--- mill.embed and mill.similar: texts as vectors, and how alike two of them are.

local core, mill = ...

local M = {}

local MOST = 256 -- texts of one call

local function check_texts(texts)
  if #texts == 0 or #texts > MOST then
    core.fail("usage", ("mill.embed takes 1 to %d texts, not %d"):format(MOST, #texts))
  end
  for i, text in ipairs(texts) do
    core.want("text " .. i .. " of mill.embed", text, "string")
    if text == "" then core.fail("usage", "text " .. i .. " of mill.embed is empty") end
  end
end

--- The vector of a text, or a list of those of a list of texts; and meta. Each is asked for
-- once and kept for other runs.
-- opts.model: PROVIDER/MODEL (else the model of the unit "embed"); opts.dimensions: how many
-- numbers; opts.ttl: how long it is kept ("90d").
function M.embed(texts, opts)
  opts = core.known("mill.embed", opts, "dimensions model ttl")
  local one = type(texts) == "string"
  if not one then core.want("the texts of mill.embed", texts, "table") end
  local list = one and { texts } or table.move(texts, 1, #texts, 1, {})
  check_texts(list)
  if opts.dimensions ~= nil and math.type(opts.dimensions) ~= "integer" then
    core.fail("usage", "dimensions must be a whole number")
  end
  local cassette = core.cassette("embed") -- plays what the model said when it was recorded
  local model = opts.model or core.model("embed") or cassette
  if not model then
    core.fail("config", "mill.embed needs a model: give opts.model, or set one for \"embed\" "
      .. "with --model embed=PROVIDER/MODEL or under models in tidemill.yaml")
  end
  core.want("model", model, "string")
  local vectors, meta = core.perform("embed", "embed", {
    model = model, input = core.array(list), dimensions = opts.dimensions,
    ttl_ms = core.milliseconds("ttl", opts.ttl or "90d"),
  }, { budget = mill._budget, played_by = cassette ~= model and cassette or nil })
  return one and vectors[1] or vectors, meta
end

--- How alike two vectors are: the cosine of their angle, -1 to 1; 0 when one has no length.
function M.similar(a, b)
  core.want("the first vector", a, "table")
  core.want("the second vector", b, "table")
  if #a ~= #b or #a == 0 then
    core.fail("usage", ("mill.similar: vectors of %d and %d numbers cannot be compared")
      :format(#a, #b))
  end
  local dot, aa, bb = 0.0, 0.0, 0.0
  for i = 1, #a do
    local x, y = a[i], b[i]
    if type(x) ~= "number" or type(y) ~= "number" then
      core.fail("usage", "mill.similar: number " .. i .. " of a vector is none")
    end
    dot, aa, bb = dot + x * y, aa + x * x, bb + y * y
  end
  if aa == 0 or bb == 0 then return 0.0 end
  return math.max(-1.0, math.min(1.0, dot / math.sqrt(aa * bb)))
end

return M
