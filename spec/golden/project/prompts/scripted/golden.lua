return { units = {
  say = function(vars) return "said " .. vars.text end,
  again = function(vars) return "again " .. vars.text end,
  refuse = function() error "no" end,
} }
