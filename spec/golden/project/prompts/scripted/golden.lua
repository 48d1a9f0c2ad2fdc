return { units = {
  say = function(vars) return "said " .. vars.text end,
  refuse = function() error "no" end,
} }
