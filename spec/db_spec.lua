--- Actions on the user's own tables: their statements and their record are one transaction.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

local HEAD = [[
local mill = require "tidemill"
local flow = mill.workflow "w" {}
local function act(name, run, more)
  local spec = { db = true, run = run }
  for k, v in pairs(more or {}) do spec[k] = v end
  return flow:action(name)(spec)
end
local schema = act("schema", function(_, _, db)
  db.exec [=[create table if not exists orders (id text primary key, n integer not null,
    check (n < 100))]=]
end)
local book = act("book", function(a, _, db)
  db.exec("insert into orders (id, n) values (?, ?)", { a.id, a.n })
  return db.one("select count(*) as count, sum(n) as sum from orders")
end)
local rows = act("rows", function(_, _, db)
  return db.query "select id, n from orders order by id"
end)
local function sql(text, values)
  return act("sql", function(_, _, db) return db.query(text, values) end) {}
end
]]

describe("a db action", function()
  local dir

  before_each(function()
    dir = content.folder()
    os.execute("mkdir -p " .. dir .. "/workflows")
  end)
  after_each(function() content.remove(dir) end)

  --- The workflow "w" with this main.
  local function workflow(main)
    content.write(dir .. "/workflows/w.lua",
      HEAD .. "function flow.main(x)\nschema {}\n" .. main .. "\nend\nreturn flow\n")
  end

  local function run(main, input, opts)
    workflow(main)
    opts = opts or {}
    opts.dir = dir
    if opts.durable == nil then opts.durable = true end
    return kit.run("w", input or {}, opts)
  end

  local function cli(...) return content.tidemill(dir, { ... }) end

  --- What main returned, or the message it failed with.
  local function told(main, input)
    local got = run(main, input)
    return got.state == "done" and got.value or got.error.message
  end

  it("sees what it writes, and gives its result", function()
    assert.same({ count = 1, sum = 5 }, told 'return book { id = "a", n = 5 }')
    assert.same({ { id = "a", n = 5 }, { id = "b", n = 6 } }, told [[
      book { id = "a", n = 5 }
      book { id = "b", n = 6 }
      return rows {}
    ]])
  end)

  it("hands values over exactly", function()
    assert.same({ i = 9007199254740993, f = 0.1, t = "a'b\0?c", b = 1, e = "" }, told [[
      local got = sql("select ? as i, ? as f, ? as t, ? as b, ? as n, ? as e",
        { 9007199254740993, 0.1, "a'b\0?c", true, mill.null, "" })[1]
      if got.n ~= mill.null then error "null" end
      got.n = nil
      return got
    ]])
    assert.same({ 3, 2, 0 }, told [[
      return act("changes", function(_, _, db)
        local a = db.exec "insert into orders values ('a', 1), ('b', 2), ('c', 3)"
        local b = db.exec("update orders set n = n + 1 where n > ?", { 1 })
        return { a, b, db.exec "create table other (x)" }
      end) {}
    ]])
    assert.same({ { id = "a" } },
      told [[return sql "insert into orders values ('a', 1) returning id"]])
  end)

  it("is undone when a statement fails, and the script hears why", function()
    local got = run [[
      book { id = "a", n = 5 }
      local ok, e = pcall(act("two", function(_, _, db)
        db.exec "update orders set n = 6"
        db.exec "insert into orders values ('b', 500)"
      end), {})
      return { ok, e.kind, e.code, e.message, rows {} }
    ]]
    assert.same({ false, "db", "constraint", "CHECK constraint failed: n < 100",
      { { id = "a", n = 5 } } }, got.value)
  end)

  it("is undone when its function raises, or is stopped", function()
    assert.same({ "no", {} }, told [[
      local ok, e = pcall(act("raises", function(_, _, db)
        db.exec "insert into orders values ('b', 1)"
        error({ kind = "mine", message = "no" })
      end), {})
      return { e.message, rows {} }
    ]])
    workflow [[
      if x.look then return rows {} end
      act("stuck", function(_, _, db)
        db.exec "insert into orders values ('b', 1)"
        while true do end
      end) {}
    ]]
    content.write(dir .. "/tidemill.yaml", "steps: 5000000\n")
    assert.not_equal(0, cli("run", "w", "--id", "stuck").code)
    assert.equal("[]\n", cli("run", "w", "--input", '{"look":true}').out)
    assert.equal(0, cli("doctor", "--deep").code)
  end)

  it("does not go on after a failed statement, even when that is caught", function()
    assert.same({ "constraint", "constraint", {} }, told [[
      local inner
      local ok, e = pcall(act("swallows", function(_, _, db)
        db.exec "insert into orders values ('a', 1)"
        pcall(db.exec, "insert into orders values ('a', 2)")
        local _, again = pcall(db.exec, "insert into orders values ('b', 2)")
        inner = again.code
        return "fine"
      end), {})
      return { inner, e.code, rows {} }
    ]])
  end)

  it("looks at deferred constraints before its end", function()
    assert.same({ "constraint", 0 }, told [[
      sql "create table line (o text references orders deferrable initially deferred)"
      local ok, e = pcall(act("line", function(_, _, db)
        db.exec "insert into line values ('nobody')"
      end), {})
      return { e.code, #sql "select * from line" }
    ]])
    assert.same(1, told [[
      sql "create table line (o text references orders deferrable initially deferred)"
      act("line", function(_, _, db)
        db.exec "insert into line values ('late')"
        db.exec "insert into orders values ('late', 1)"
      end) {}
      return #sql "select * from line"
    ]])
  end)

  it("touches nothing of ours, no settings, no files, no transactions", function()
    for _, statement in ipairs {
      "select * from tm_run", "delete from tm_journal", "update TM_Run set state = 'done'",
      "create table tm_mine (x)", "drop table tm_effect", "alter table tm_run add column x",
      "alter table orders rename to tm_orders", "create index tm_x on orders (n)",
      "create index x on tm_run (id)",
      "create trigger t after insert on tm_run begin select 1; end",
      "insert into orders select id, 1 from tm_run",
      "pragma journal_mode = delete", "select * from pragma_table_info('orders')",
      "attach 'x.db' as x", "begin", "commit", "rollback", "savepoint a", "release a",
      "analyze",
      "vacuum", "create temp table t (x)", "create virtual table f using fts5(x)",
      "select load_extension('x')", "delete from sqlite_master",
      "select 1; select 2", "select 1; drop table orders", "", "  -- nothing",
      "selec 1", "select * from nothing", "select 1 where",
    } do
      local got = run([[
        local ok, e = pcall(sql, x.statement)
        if not ok then return { e.kind, e.code } end
        return { "done" }
      ]], { statement = statement })
      assert.same({ "db", "usage" }, got.value or got.error, statement)
    end
  end)

  it("does not let a view or trigger reach what it may not", function()
    for _, made in ipairs {
      { "create view v as select * from tm_run", "select * from v" },
      { "create trigger t after insert on orders begin delete from tm_run; end",
        "insert into orders values ('a', 1)" },
    } do
      assert.same({ "db", "usage" }, told(([[
        local ok, e = pcall(function()
          sql %q
          sql %q
        end)
        return { e.kind, e.code }
      ]]):format(made[1], made[2])))
    end
  end)

  it("says what is wrong with its values", function()
    for given, message in pairs {
      ['"select ?", {}'] = "has 1 parameters, and 0 values",
      ['"select 1", { 2 }'] = "has 0 parameters, and 1 values",
      ['"select ?", { {} }'] = "value 1 is a table",
      ["\"select x'00' as b\""] = 'column "b" is a blob',
      ['"select 9e999 as b"'] = "infinite",
      ['"with recursive c (x) as (select 1 union all select x + 1 from c) select * from c"'] =
        "more than 10000 rows",
    } do
      assert.matches(message, told("return sql(" .. given .. ")"), 1, true)
    end
  end)

  it("gives a statement no end of time", function()
    assert.matches("takes too long", told [[
      return sql("with recursive c (x) as (select 1 union all select x + 1 from c) "
        .. "select max(x) from c")
    ]], 1, true)
  end)

  it("refuses verbs and waiting inside, and statements outside", function()
    for _, body in ipairs { 'mill.http.get "http://x"', 'mill.file.read "x"', "mill.sleep(1)",
      'mill.exec { "true" }', "book { id = 1, n = 1 }" } do
      assert.matches("does not work inside", told(([[
        act("waits", function(_, _, db) db.exec "insert into orders values ('a', 1)" %s end) {}
      ]]):format(body)), 1, true)
    end
    assert.matches("only inside the run", told [[
      local kept
      act("leaks", function(_, _, db) kept = db end) {}
      kept.query "select 1"
    ]], 1, true)
  end)

  it("is checked when it is declared", function()
    for option, value in pairs { host = "true", repeatable = "true", on_unknown = '"ask"',
      irreversible = "true", window = '"1h"' } do
      assert.matches("needs no " .. option, told(([[
        flow:action "x" { db = true, run = function() end, %s = %s }
      ]]):format(option, value)), 1, true)
    end
  end)

  it("wants a store with tables", function()
    local got = run('return book { id = "a", n = 1 }', {}, { durable = false })
    assert.equal("failed", got.state)
    assert.matches("needs a database with tables", got.error.message)
    assert.same({ "db", "config" }, { got.error.kind, got.error.code })
  end)

  it("happens once for its key, in whatever run", function()
    local main = [[
      return act("keyed", function(a, key, db)
        db.exec("insert into orders values (?, ?)", { key, a.n })
        return { n = a.n, rows = db.one("select count(*) as c from orders").c }
      end, { key = function(a) return a.id end }) { id = x.id, n = x.n }
    ]]
    workflow(main)
    local function go(id, input) return cli("run", "w", "--id", id, "--input", input) end
    assert.equal('{"n":1,"rows":1}\n', go("a", '{"id":"k","n":1}').out)
    assert.equal('{"n":1,"rows":1}\n', go("b", '{"id":"k","n":1}').out)
    assert.matches("with other arguments", go("c", '{"id":"k","n":2}').err)
    assert.equal('{"n":2,"rows":2}\n', go("d", '{"id":"k2","n":2}').out)
    assert.equal(0, cli("doctor", "--deep").code)
    assert.equal(4, cli("gc", "--older-than", "0s", "--json").json.runs)
    assert.equal('{"n":1,"rows":1}\n', go("a", '{"id":"k","n":1}').out)
  end)

  it("is told again by a replay, which touches no table", function()
    workflow 'local got = book { id = "a", n = 5 } mill.gate("g", { ask = "?" }) return got'
    assert.equal(8, cli("run", "w", "--id", "r").code)
    local other = 'sql "drop table orders"'
    content.write(dir .. "/workflows/drop.lua",
      (HEAD:gsub('"w"', '"drop"')) .. "function flow.main()\n" .. other
      .. "\nend\nreturn flow\n")
    assert.equal(0, cli("run", "drop").code)
    assert.equal("equal", cli("replay", "r", "--json").json.verdict)
    assert.equal('{"count":1,"sum":5}\n', cli("approve", "r", "g").out)
  end)

  it("can wait for a person, and be undone", function()
    local paid = [[
      local pay = act("pay", function(a, _, db)
        db.exec("insert into orders values (?, ?)", { a.id, a.n })
        return a.n
      end, { blast = function(a) return a.n end, gate_above = 50,
             undo = function(a, result, key, db)
               db.exec("delete from orders where id = ? and n = ?", { a.id, result })
             end })
    ]]
    workflow("if x.look then return rows {} end\n" .. paid
      .. 'pay { id = "small", n = 1 } pay { id = "large", n = 60 } return rows {}')
    assert.equal(8, cli("run", "w", "--id", "a").code)
    assert.equal('[{"id":"small","n":1}]\n', cli("run", "w", "--input", '{"look":true}').out)
    assert.equal('[{"id":"large","n":60},{"id":"small","n":1}]\n',
      cli("approve", "a", "pay").out)
    workflow("if x.look then return rows {} end\n" .. paid
      .. 'pay { id = "third", n = 1 } error "after all"')
    assert.equal(1, cli("run", "w", "--id", "b").code)
    assert.equal('[{"id":"large","n":60},{"id":"small","n":1}]\n',
      cli("run", "w", "--input", '{"look":true}').out)
    assert.equal(0, cli("doctor", "--deep").code)
  end)

  it("takes its turn among branches", function()
    assert.same({ { 1, 2, 3, 4 }, 4 }, told [[
      local list = mill.map({ 1, 2, 3, 4 }, function(n)
        if n == 2 then mill.sleep(0.01) end
        mill.fetch("read", function() return n end)
        book { id = "o" .. n, n = n }
        return n
      end)
      return { list, #rows {} }
    ]])
  end)

  it("loses no update when many processes write at once", function()
    workflow [[
      for i = 1, x.times or 0 do
        act("add", function(_, _, db)
          local was = db.one "select n from orders where id = 'sum'"
          if was then
            db.exec("update orders set n = ? where id = 'sum'", { was.n + 1 })
          else
            db.exec "insert into orders values ('sum', 1)"
          end
        end) {}
      end
      return rows {}
    ]]
    local got = content.shell(dir, [[
      for p in 1 2 3 4; do tidemill run w -q --input '{"times":15}' >/dev/null & done
      wait
      tidemill run w -q
    ]])
    assert.equal('[{"id":"sum","n":60}]\n', got.out, got.err)
    assert.equal(0, cli("doctor", "--deep").code)
  end)

  it("happens once for a key that many processes want at once", function()
    workflow [[
      for i = 1, 15 do
        act("keyed", function(_, key, db)
          db.exec("insert into orders values (?, 1)", { key })
        end, { key = function(a) return a.id end }) { id = "k" .. i }
      end
      return #rows {}
    ]]
    local got = content.shell(dir, [[
      for p in 1 2 3 4 5 6; do tidemill run w -q & done
      wait
    ]])
    assert.equal(("15\n"):rep(6), got.out, got.err)
  end)

  it("is not done by a process that has lost the run", function()
    workflow [[
      local slow = flow:action "slow" { repeatable = true, host = true }
      mill.all {
        function() slow {} end,
        function()
          act("once", function(_, _, db)
            return db.query "insert into orders values (hex(randomblob(8)), 1) returning id"
          end) {}
        end,
      }
      return #rows {}
    ]]
    local engine = require "tidemill.engine"
    local function open() return assert(engine.open { dir = dir }) end
    local first, second = open(), open()
    local over
    second:action("slow", function() return 1 end)
    first:action("slow", function()
      if not over then
        over = true
        assert(second:control("r", "resume"))
        second:run("r", 10000)
      end
      return 1
    end)
    assert(first:start("w", {}, { id = "r" }))
    first:run("r", 10000)
    assert.is_true(over)
    assert.equal("done", assert(second:get "r").state)
    assert.equal(1, second:get("r").result)
    first:close()
    second:close()
    assert.equal("1\n", cli("result", "r").out)
    workflow "return #rows {}"
    assert.equal("1\n", cli("run", "w").out)
  end)

  local KILLED = [[
    book { id = "first", n = 1 }
    act("keyed", function(a, key, db)
      db.exec("insert into orders values (?, 2)", { key })
      db.exec "update orders set n = n + 1 where id = 'first'"
    end, { key = function() return "second" end }) {}
    mill.sleep(0.01)
    book { id = "third", n = 3 }
    return rows {}
  ]]
  local ALL = '[{"id":"first","n":2},{"id":"second","n":2},{"id":"third","n":3}]\n'

  it("and its record are there together, wherever the process dies", function()
    workflow(KILLED)
    local report = kit.crash_everywhere("w", {}, { dir = dir, durable = true })
    assert.equal(report.points, report.same)
    assert.truthy(report.points > 5)
    assert.same(3, #report.baseline.value)
  end)

  it("and its record are there together, whatever write is the last or fails", function()
    if not os.execute "strace -f -qq -o /dev/null true 2>/dev/null" then
      pending "strace is missing"
      return
    end
    -- afterwards: as many orders as records of actions that made them
    workflow("if x.look then return rows {} end\n" .. KILLED)
    for _, how in ipairs { "pwrite64:signal=KILL", "fdatasync:signal=KILL",
      "pwrite64:error=ENOSPC", "fdatasync:error=EIO" } do
      for at = 1, os.getenv "TIDEMILL_ALL_POINTS" and 60 or 10 do
        os.execute(("rm -rf %s/.tidemill"):format(dir))
        content.shell(dir, ([[
          export ASAN_OPTIONS=detect_leaks=0
          exec strace -f -qq -o /dev/null -e trace=%s -e inject=%s:when=%d+4 \
            tidemill run w --id r]]):format(how:match "^%w+", how, at))
        cli("pause", "r") -- the next one that works here would go on with it
        local known = cli("show", "r", "--json")
        local orders = cli("run", "w", "--id", "look", "--input", '{"look":true}').out
        if known.code == 0 then
          local made = 0
          for _, r in ipairs(known.json.records) do
            local action = r.record == "done" and (r.name == "book" or r.name == "keyed")
            if action then made = made + 1 end
          end
          local _, there = orders:gsub('"id"', "")
          assert.equal(made, there, how .. " " .. at)
          cli("resume", "r")
          assert.equal(ALL, cli("result", "r").out)
        end
        assert.equal(0, cli("doctor", "--deep").code)
      end
    end
  end)
end)
