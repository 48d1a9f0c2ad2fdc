/* fuzz_yaml.c - any bytes into the strict YAML reader. Its values are JSON values, so they
 * print and parse as such; and JSON is YAML, so what the reader takes of that print is the same
 * value.
 */
#include "fuzz.h"
#include "text/yaml.h"

static int read_yaml(tm_json **out, tm_arena *a, const char *text, size_t len) {
  tm_err err = TM_ERR_INIT;
  int rc = tm_yaml_parse(out, a, text, len, 1, &err);
  if (rc < 0)
    fuzz_must_explain(&err);
  return rc;
}

/* U+0085, U+2028, U+2029: line ends to libyaml, as in YAML 1.1, and so folded to spaces. */
static bool has_other_line_ends(const tm_buf *b) {
  return strstr(tm_buf_str(b), "\xC2\x85") || strstr(tm_buf_str(b), "\xE2\x80\xA8") ||
         strstr(tm_buf_str(b), "\xE2\x80\xA9");
}

static void is_json_too(const tm_json *v) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *again;
  tm_buf text = TM_BUF_INIT;
  tm_arena_init(&a, 0);
  tm_json_print(&text, v);
  MUST(tm_json_parse(&again, &a, tm_buf_str(&text), text.len, NULL, &err) == 0);
  MUST(fuzz_identical(v, again));
  if (!has_other_line_ends(&text) &&
      tm_yaml_parse(&again, &a, tm_buf_str(&text), text.len, 1, &err) == 0)
    MUST(fuzz_identical(v, again));
  tm_buf_free(&text);
  tm_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *text = fuzz_text(bytes, len);
  tm_arena a;
  tm_json *v;
  tm_arena_init(&a, FUZZ_ARENA);
  if (read_yaml(&v, &a, text, len) == 0)
    is_json_too(v);
  tm_arena_free(&a);
  tm_mem_fail_at(fuzz_fail_at(bytes, len));
  read_yaml(&v, &a, text, len);
  tm_mem_fail_at(0);
  tm_arena_free(&a);
  free(text);
  return 0;
}
