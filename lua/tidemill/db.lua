--- What the body of a db action gets: statements in the transaction that its record is in, too.

local core = ...

local handle = {}

local function statement(name, text, values)
  core.want("the statement of db." .. name, text, "string")
  return core.query(text, core.array(values or {}))
end

--- The rows of a statement, each a table by column; also what RETURNING returns.
function handle.query(text, values) return (statement("query", text, values)) end

--- The first row | nil.
function handle.one(text, values) return statement("one", text, values)[1] end

--- How many rows were inserted, changed or deleted.
function handle.exec(text, values) return (select(2, statement("exec", text, values))) end

local M = { handle = handle }

local never = { "host", "repeatable", "irreversible", "on_unknown", "probe", "window" }

--- bad(message) for each option that an action with db = true must not have.
function M.check(spec, bad)
  for _, option in ipairs(never) do
    if spec[option] then
      bad(("has db = true, and needs no %s: its statements and its record are one transaction")
        :format(option))
    end
  end
end

return M
