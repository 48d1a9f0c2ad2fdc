/* fuzz_value.c - a JSON value that goes into Lua and comes back is the same value: integers and
 * doubles, empty lists and empty objects, null and NUL.
 */
#include "fuzz.h"
#include "script/value.h"
#include "script/vm.h"

typedef struct trip {
  const tm_json *in;
  tm_arena *a;
  tm_json *out;
  tm_err err;
  int rc;
} trip;

static int there_and_back(lua_State *L) {
  trip *t = lua_touserdata(L, 1);
  tm_value_push(L, t->in);
  t->rc = tm_value_read(&t->out, L, -1, t->a, &t->err);
  MUST(lua_gettop(L) == 2);
  return 0;
}

static size_t depth_of(const tm_json *v) {
  size_t most = 0;
  for (size_t i = 0; i < tm_json_len(v); i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    size_t d = depth_of(m ? &m->value : tm_json_at(v, i));
    most = d > most ? d : most;
  }
  return tm_json_type_of(v) >= TM_JSON_ARRAY ? most + 1 : 0;
}

/* Members come back sorted, which the canonical print does not see; but it would not see that
 * 1.0 became 1 either: so the sorted value is compared as plain text after a second trip. */
static void comes_back(tm_vm *vm, tm_arena *a, const tm_json *v) {
  trip one = {.in = v, .a = a}, two = {.a = a};
  tm_err err = TM_ERR_INIT;
  MUST(tm_vm_protect(vm, there_and_back, &one, &err) == 0);
  if (one.rc < 0) {
    fuzz_must_explain(&one.err);
    MUST(depth_of(v) > TM_VALUE_DEPTH || a->failed);
    return;
  }
  tm_hash before = tm_json_hash(v), after = tm_json_hash(one.out);
  MUST(memcmp(&before, &after, sizeof before) == 0 && tm_json_equal(v, one.out));
  two.in = one.out;
  MUST(tm_vm_protect(vm, there_and_back, &two, &err) == 0);
  MUST(two.rc == 0 ? fuzz_identical(one.out, two.out) : a->failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *text = fuzz_text(bytes, len);
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  tm_vm *vm = NULL;
  tm_vm_opts opts = {.seed = "fuzz"};
  tm_json_opts loose = {.last_wins = true};
  tm_arena_init(&a, 4 * FUZZ_ARENA);
  if (tm_json_parse(&v, &a, text, len, &loose, &err) == 0) {
    MUST(tm_vm_open(&vm, &opts, &err) == 0);
    comes_back(vm, &a, v);
    tm_vm_close(&vm);
  }
  tm_arena_free(&a);
  free(text);
  return 0;
}
