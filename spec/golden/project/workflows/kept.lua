--- What is kept outside of a run's journal, and told in it: decisions with a life, answers that
-- are used again, vectors, tables of one's own. Only for the golden capsules.
local mill = require "tidemill"

local flow = mill.workflow "kept" {}

local setup = flow:action "setup" { db = true, run = function(_, _, db)
  return db.exec "create table if not exists orders (id text primary key, n integer)"
end }

local order = flow:action "order" {
  db = true,
  key = function(a) return a.id end,
  run = function(a, _, db)
    db.exec("insert into orders (id, n) values (?, ?)", { a.id, a.n })
    return db.one("select count(*) as orders from orders").orders
  end,
}

local function decide(n, opts)
  return mill.decide("fee", "customer", function() return n end, opts)
end

function flow.main(x)
  setup()
  local out = { order = { order { id = x.id, n = 1 }, order { id = x.id, n = 1 } } }
  out.fees = { decide(5, { ttl = "30d" }), decide(6), decide(7, { reopen = true }) }
  out.said = { mill.llm("again", { text = "hello" }), mill.llm("again", { text = "hello" }) }
  if x.embed then
    local vectors, meta = mill.embed({ "one", "two" }, { model = "openai/golden" })
    out.embedded = { #vectors, mill.similar(vectors[1], vectors[1]) > 0.99, meta.reused }
  end
  return out
end

return flow
