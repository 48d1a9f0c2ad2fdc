/* fuzz_json.c - any bytes into the JSON parser; what parses must survive every print. */
#include "fuzz.h"

typedef void (*print_fn)(tm_buf *out, const tm_json *v);

/* Print, parse, print: the text stays, and so does the value. */
static void survives(const tm_json *v, print_fn print) {
  tm_buf once = TM_BUF_INIT, twice = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *again;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH_MAX};
  tm_arena_init(&a, 0);
  print(&once, v);
  MUST(tm_json_utf8_valid(tm_buf_str(&once), once.len) == once.len);
  MUST(tm_json_parse(&again, &a, tm_buf_str(&once), once.len, &opts, &err) == 0);
  print(&twice, again);
  MUST(fuzz_same(&once, &twice));
  if (print != tm_json_print_canonical)
    MUST(tm_json_equal(v, again) && fuzz_identical(v, again));
  tm_arena_free(&a);
  tm_buf_free(&once);
  tm_buf_free(&twice);
}

/* Every member is found by its name and by its pointer. */
static void members_are_found(const tm_json *v) {
  for (size_t i = 0; i < tm_json_len(v); i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    MUST(!m || tm_json_getn(v, m->key, m->key_len) == &m->value);
    MUST(m || tm_json_at(v, i));
  }
}

static void copies_are_equal(const tm_json *v) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_json *copy = tm_json_copy(&a, v);
  tm_hash one = tm_json_hash(v), other = tm_json_hash(copy);
  MUST(fuzz_identical(v, copy) && memcmp(&one, &other, sizeof one) == 0);
  tm_arena_free(&a);
}

static int parse(tm_json **out, tm_arena *a, const char *text, size_t len, bool last_wins,
                 bool *dropped) {
  tm_err err = TM_ERR_INIT;
  tm_json_opts opts = {.last_wins = last_wins, .had_duplicates = dropped};
  int rc = tm_json_parse(out, a, text, len, &opts, &err);
  if (rc < 0)
    fuzz_must_explain(&err);
  return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *text = fuzz_text(bytes, len);
  tm_arena a;
  tm_json *v, *loose;
  bool dropped = false;
  tm_arena_init(&a, FUZZ_ARENA);
  int strict = parse(&v, &a, text, len, false, NULL);
  int rc = parse(&loose, &a, text, len, true, &dropped);
  MUST(strict == 0 ? rc == 0 && !dropped && fuzz_identical(v, loose) : rc < 0 || dropped);
  if (rc == 0) {
    survives(loose, tm_json_print);
    survives(loose, tm_json_print_pretty);
    survives(loose, tm_json_print_canonical);
    members_are_found(loose);
    copies_are_equal(loose);
  }
  tm_mem_fail_at(fuzz_fail_at(bytes, len));
  tm_arena_free(&a);
  parse(&v, &a, text, len, false, NULL);
  tm_mem_fail_at(0);
  tm_arena_free(&a);
  free(text);
  return 0;
}
