--- The refund against a payment server that loses answers: decided once, paid once.
local kit = require "tidemill.test"
local content = dofile "spec/content.lua"

describe("a refund at a payment server", function()
  local server

  -- The settings of runs whose payment server follows these rules; nil without the mock.
  local function settings(rules)
    server = content.serve(rules)
    return server and {
      REFUNDS_URL = ("http://127.0.0.1:%d/refunds"):format(server.port),
      TIDEMILL_HTTP_PRIVATE = "127.0.0.1",
    }
  end
  local function executed() return server.get("/counts").executed end

  after_each(function()
    if server then server.stop() end
    server = nil
  end)

  local function with_mock(name, rules, test)
    it(name, function()
      local env = settings(rules)
      if not env then return pending("needs the mock server of the build") end
      local runs = kit.world { env = env }
      test(function(sample) return runs.run("support_ticket", content.sample(sample)) end)
      runs.close()
    end)
  end

  with_mock("is paid, with the ticket's id as its key", {}, function(run)
    assert.equal("paid", run("ticket-03-refund-20").value.refund.state)
    local posted = server.get("/log")[1]
    assert.equal("POST", posted.method)
    assert.equal("T-1003", posted.headers["idempotency-key"])
  end)

  with_mock("retry after timeout reuses the decision, and pays once",
    { { path = "/refunds", fault = "lost", times = 1 } },
    function(run)
      local first = run "ticket-03-refund-20"
      local again = run "ticket-12-duplicate"
      assert.equal("paid", first.value.refund.state)
      assert.same(first.value.refund, again.value.refund)
      assert.equal(1, #first:called "refund_decision")
      assert.equal(0, #again:called "refund_decision")
      assert.equal(1, executed())
    end)

  with_mock("is sent again when the probe says that it did not happen",
    { { path = "/refunds", fault = "reset", times = 1 } },
    function(run)
      assert.equal("paid", run("ticket-03-refund-20").value.refund.state)
      assert.equal(1, executed())
    end)

  with_mock("stops at a person when nobody can say whether it happened",
    { { path = "/refunds", fault = "reset" } },
    function(run)
      local result = run "ticket-03-refund-20"
      assert.equal("waiting", result.state)
      assert.equal("doubt", result.gates[1].kind)
      assert.equal(0, executed())
    end)

  with_mock("fails plainly when the server refuses it",
    { { path = "/refunds", fault = "422" } },
    function(run)
      local result = run "ticket-03-refund-20"
      assert.equal("failed", result.state)
      assert.equal("the payment server answered 422", result.error.message)
    end)

  it("is paid once, wherever the process dies", function()
    local env, ticket = settings {}, content.sample "ticket-03-refund-20"
    if not env then return pending("needs the mock server of the build") end
    local report = kit.crash_everywhere("support_ticket", ticket, {
      env = env,
      point = "store.commit.pre",
      observe = executed,
    })
    assert.equal(1, report.baseline.observed)
    assert.truthy(report.points > 5)
  end)
end)
