/* fuzz_pattern.c - Lua patterns: our counted matcher, in a sandbox, does what Lua's own does,
 * in a trusted state. The first byte says where the pattern ends; both are short, because Lua's
 * own has no limit.
 */
#include "fuzz.h"
#include "script/vm.h"

#define PATTERN_MAX 16
#define SUBJECT_MAX 12

static const char script[] =
    "local s, p = ...\n"
    "local function bare(ok, ...) if ok then return ... end return (tostring((...))) end\n"
    "local function show(...) local t = table.pack(...)\n"
    "  for i = 1, t.n do t[i] = ('%q'):format(t[i]) end return table.concat(t, ' ') end\n"
    "local function each() local t = {}\n"
    "  for a, b in s:gmatch(p) do t[#t + 1] = show(a, b) end return table.concat(t, ';') end\n"
    "return table.concat({ show(bare(pcall(string.find, s, p))),\n"
    "  show(bare(pcall(string.find, s, p, 3))), show(bare(pcall(string.match, s, p))),\n"
    "  show(bare(pcall(each))), show(bare(pcall(string.gsub, s, p, '<%0>'))),\n"
    "  show(bare(pcall(string.gsub, s, p, '%1', 2))) }, '\\n')";

typedef struct job {
  const char *subject, *pattern;
  size_t subject_len, pattern_len;
  lua_State *co;
} job;

static int load(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  tm_err err = TM_ERR_INIT;
  j->co = lua_newthread(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "fuzz");
  MUST(tm_vm_load(j->co, "=fuzz", script, sizeof script - 1, &err) == 0);
  lua_pushlstring(j->co, j->subject, j->subject_len);
  lua_pushlstring(j->co, j->pattern, j->pattern_len);
  return 0;
}

static void matches(tm_buf *out, job j, bool trusted) {
  tm_vm *vm = NULL;
  tm_err err = TM_ERR_INIT;
  tm_vm_opts opts = {.seed = "fuzz", .trusted = trusted};
  int results = 0;
  size_t len;
  MUST(tm_vm_open(&vm, &opts, &err) == 0);
  MUST(tm_vm_protect(vm, load, &j, &err) == 0);
  MUST(tm_vm_resume(vm, j.co, 2, &results, &err) == TM_VM_DONE);
  const char *text = lua_tolstring(j.co, -1, &len);
  tm_buf_put(out, text, len);
  tm_vm_close(&vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2)
    return 0;
  size_t n = bytes[0] % PATTERN_MAX + 1;
  n = n < len ? n : len - 1;
  size_t rest = len - 1 - n < SUBJECT_MAX ? len - 1 - n : SUBJECT_MAX;
  char *pattern = fuzz_text(bytes + 1, n), *subject = fuzz_text(bytes + 1 + n, rest);
  tm_buf ours = TM_BUF_INIT, stock = TM_BUF_INIT;
  job j = {subject, pattern, rest, n, NULL};
  matches(&ours, j, false);
  matches(&stock, j, true);
  if (!fuzz_same(&ours, &stock))
    fprintf(stderr, "ours:\n%s\nLua's:\n%s\n", tm_buf_str(&ours), tm_buf_str(&stock));
  MUST(fuzz_same(&ours, &stock));
  tm_buf_free(&ours);
  tm_buf_free(&stock);
  free(pattern);
  free(subject);
  return 0;
}
