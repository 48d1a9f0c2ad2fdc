local kit = require "tidemill.test"

describe("hello", function()
  it("greets", function()
    local result = kit.run("hello", { name = "Ada" })
    assert.equal("done", result.state)
    assert.equal("Hello, Ada.", result.value)
  end)

  it("asks a person before it is loud", function()
    local result = kit.run("hello", { name = "ADA" })
    assert.equal("waiting", result.state)
    assert.equal("loud", result.gates[1].name)

    result = kit.run("hello", { name = "ADA" }, { gates = { loud = true } })
    assert.equal("Hello, ADA!", result.value)
  end)

  it("ends the same wherever it crashes", function()
    kit.crash_everywhere("hello", { name = "ADA" }, { gates = { loud = true } })
  end)
end)
