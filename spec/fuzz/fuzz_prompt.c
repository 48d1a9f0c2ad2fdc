/* fuzz_prompt.c - any bytes as a prompt file: front matter, settings, schemas and body at once.
 * What parses renders the same each time, and every mistake names the file.
 */
#include "fuzz.h"
#include "text/prompt.h"

static const char partial[] = "[{{this}}]";
static const char vars[] =
    "{\"a\":[1,\"x\",{\"b\":null}],\"b\":{\"c\":1.5},\"s\":\"t\\nu\",\"z\":0}";

static const char *partial_of(void *ctx, const char *name, size_t *len) {
  (void)ctx;
  *len = sizeof partial - 1;
  return strcmp(name, "none") == 0 ? NULL : partial;
}

static void explains(const tm_err *err) {
  fuzz_must_explain(err);
  MUST(err->code == TM_LIMIT || strncmp(err->msg, "fuzz.prompt", 11) == 0);
}

static int parse(tm_prompt **out, tm_arena *a, const char *text, size_t len, bool keep) {
  tm_err err = TM_ERR_INIT;
  tm_prompt_source src = {.partial = partial_of, .keep_unknown = keep};
  int rc = tm_prompt_parse(out, a, "fuzz", "fuzz.prompt", text, len, &src, &err);
  if (rc < 0)
    explains(&err);
  return rc;
}

static int render(tm_json **out, tm_arena *a, const tm_prompt *p) {
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  if (tm_json_parse(&v, a, vars, sizeof vars - 1, NULL, &err) < 0)
    return -1;
  int rc = tm_prompt_render(out, a, p, v, v, NULL, &err);
  if (rc < 0)
    fuzz_must_explain(&err);
  return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *text = fuzz_text(bytes, len);
  tm_arena a;
  tm_prompt *strict, *loose;
  tm_json *one, *other;
  tm_arena_init(&a, 4 * FUZZ_ARENA);
  if (parse(&loose, &a, text, len, true) == 0) {
    int rc = render(&one, &a, loose);
    MUST(a.failed || render(&other, &a, loose) == rc || a.failed);
    MUST(a.failed || rc < 0 || fuzz_identical(one, other));
  } else {
    MUST(parse(&strict, &a, text, len, false) < 0);
  }
  tm_arena_free(&a);
  tm_mem_fail_at(fuzz_fail_at(bytes, len));
  if (parse(&strict, &a, text, len, false) == 0)
    render(&one, &a, strict);
  tm_mem_fail_at(0);
  tm_arena_free(&a);
  free(text);
  return 0;
}
