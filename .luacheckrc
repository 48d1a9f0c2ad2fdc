-- luacheck: Lua 5.4 everywhere; specs add busted's words.
std = "lua54"
max_line_length = 96
files["spec/**/*.lua"].std = "lua54+busted"
files["lua/init/spec/*.lua"].std = "lua54+busted"
