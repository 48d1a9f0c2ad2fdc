--- Which git and gh commands may run: an allow-list of subcommands and of their options.
-- What is not listed is refused: options that start programs, write elsewhere or lose work.
local M = {}

local function set(words)
  local s = {}
  for word in words:gmatch("%S+") do s[word] = true end
  return s
end

local allowed = {
  git = {
    status = set "-s --short -b --branch",
    log = set "--oneline --graph --all --stat -n --author --since --until",
    diff = set "--stat --staged --cached --name-only",
    show = set "--stat --name-only",
    branch = set "-a --all -v --list --show-current",
    switch = set "-c --create",
    add = set "-A --all -u --update",
    commit = set "-m --message -a --all",
    stash = set "-u --include-untracked -m --message",
    tag = set "-a -m --message -l --list",
    fetch = set "--all --prune --tags",
    pull = set "--rebase --ff-only",
    push = set "-u --set-upstream --tags",
  },
  gh = {
    ["pr list"] = set "--state --author --limit",
    ["pr view"] = set "--comments",
    ["pr status"] = set "",
    ["pr create"] = set "--title --body --base --head --draft --fill",
    ["issue list"] = set "--state --label --assignee --limit",
    ["issue view"] = set "--comments",
    ["issue create"] = set "--title --body --label",
    ["repo view"] = set "",
  },
}

-- The options of a subcommand, and where its arguments begin.
local function options_of(argv)
  local tool = allowed[argv[1]]
  if not tool then return nil, "the command must start with git or gh" end
  local name, first = argv[2], 3
  if argv[1] == "gh" then name, first = (argv[2] or "") .. " " .. (argv[3] or ""), 4 end
  if not tool[name or ""] then
    return nil, ("%s %s is not on the list of allowed commands"):format(argv[1], name or "")
  end
  return tool[name], first
end

--- True, or nil and the reason. `argv` is the tool, the subcommand and its arguments.
function M.check(argv)
  local options, first = options_of(argv)
  if not options then return nil, first end
  for i = first, #argv do
    local word = argv[i]
    local option = word:match("^(%-%-[^=]+)=") or word
    if word:find("[%c]") then return nil, "a control character in an argument" end
    if word:find("^[+:]") then return nil, word .. ": a refspec that overwrites or deletes" end
    if word:find("::", 1, true) then return nil, word .. ": remote helpers are not allowed" end
    local count = argv[2] == "log" and word:match("^%-%d+$")
    if word:sub(1, 1) == "-" and word ~= "--" and not options[option] and not count then
      return nil, ("option %s is not allowed for %s %s"):format(option, argv[1], argv[2])
    end
  end
  return true
end

--- The command as a person would type it.
function M.print(argv)
  local words = {}
  for i, word in ipairs(argv) do
    local safe = word:match("^[%w%._/=@:+-]+$")
    words[i] = safe and word or "'" .. word:gsub("'", "'\\''") .. "'"
  end
  return table.concat(words, " ")
end

return M
