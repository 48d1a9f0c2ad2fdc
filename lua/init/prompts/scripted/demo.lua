--- Plain rules in place of a model, for tests and for a first run without a key.
return {
  about = "Names in capitals are greeted loudly.",
  units = {
    greeting = function(vars)
      local loud = vars.name == vars.name:upper()
      return { text = "Hello, " .. vars.name .. (loud and "!" or "."), loud = loud }
    end,
  },
}
