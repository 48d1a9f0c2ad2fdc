/* fuzz_schema.c - a schema on the first line, a value behind it: whether the value fits is the
 * same answer on every way to it, what is said about it can be read, and whatever a schema
 * says, lowering it gives a schema.
 */
#include "fuzz.h"
#include "text/schema.h"

static bool has_nul(const tm_json *v) {
  for (size_t i = 0; i < tm_json_len(v); i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    if ((m && strlen(m->key) != m->key_len) || has_nul(m ? &m->value : tm_json_at(v, i)))
      return true;
  }
  return false;
}

/* A pointer is a C string: it ends at a NUL in a name. */
static void report_can_be_read(const tm_schema_report *r, const tm_json *value) {
  bool names_hold_nul = has_nul(value);
  for (size_t i = 0; i < r->count; i++) {
    const tm_schema_error *e = &r->errors[i];
    const char *texts[] = {e->instance, e->schema, e->keyword, e->message, e->advice};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
      MUST(texts[t] && tm_json_utf8_valid(texts[t], strlen(texts[t])) == strlen(texts[t]));
    MUST(*e->message && *e->advice && !strpbrk(e->message, "\n\x1b") &&
         !strpbrk(e->advice, "\n\x1b"));
    MUST(names_hold_nul || tm_json_pointer(value, e->instance));
  }
}

static int check(const tm_schema *s, const tm_json *value, tm_schema_report *report) {
  tm_err err = TM_ERR_INIT;
  int answer = tm_schema_check(s, value, report, &err);
  if (answer < 0)
    fuzz_must_explain(&err);
  return answer;
}

static void answers_agree(tm_arena *a, const tm_schema *s, const tm_json *value) {
  tm_schema_report all = {.arena = a, .max = 50}, one = {.arena = a, .max = 1};
  int answer = check(s, value, NULL);
  MUST(check(s, value, NULL) == answer);
  int told = check(s, value, &all), first = check(s, value, &one);
  MUST(answer < 0 || told < 0 || told == answer);
  MUST(told != 1 || (all.count > 0 && one.count <= 1));
  MUST(told != 1 || first != 0);
  report_can_be_read(&all, value);
  tm_json_len(tm_schema_report_json(a, &all));
}

static void defaults_fill(tm_arena *a, const tm_schema *s, const tm_json *value) {
  tm_json *filled = tm_schema_fill(a, s, value);
  MUST(filled || a->failed);
  for (size_t i = 0; i < tm_json_len(value) && filled; i++) {
    const tm_json_member *m = tm_json_member_at(value, i);
    MUST(!m || tm_json_getn(filled, m->key, m->key_len));
  }
}

static void lowers(tm_arena *a, const tm_json *doc) {
  for (int d = TM_DIALECT_OPENAI; d <= TM_DIALECT_GRAMMAR; d++) {
    tm_err err = TM_ERR_INIT;
    tm_json *lost = NULL, *low = tm_schema_lower(a, doc, (tm_dialect)d, &lost);
    tm_schema *s;
    if (!low || a->failed)
      return;
    for (size_t i = 0; i < tm_json_len(lost); i++)
      MUST(tm_json_str(tm_json_at(lost, i), NULL));
    int rc = tm_schema_compile(&s, a, low, NULL, &err);
    if (rc < 0 && err.code != TM_LIMIT)
      fprintf(stderr, "dialect %d: %s\n%s\n", d, err.msg, tm_json_text(a, low, NULL));
    MUST(rc == 0 || err.code == TM_LIMIT);
  }
}

/* The same once more, with an allocation failing on the way. */
static void fails_cleanly(const uint8_t *bytes, size_t len, const tm_json *doc,
                          const tm_json *value) {
  tm_arena a;
  tm_schema *s;
  tm_err err = TM_ERR_INIT;
  tm_schema_report report = {.arena = &a};
  tm_arena_init(&a, FUZZ_ARENA);
  tm_mem_fail_at(fuzz_fail_at(bytes, len));
  if (tm_schema_compile(&s, &a, doc, NULL, &err) < 0)
    fuzz_must_explain(&err);
  else
    check(s, value, &report);
  tm_mem_fail_at(0);
  tm_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  const uint8_t *line = memchr(bytes, '\n', len);
  size_t head = line ? (size_t)(line - bytes) : len;
  char *schema = fuzz_text(bytes, head), *text = fuzz_text(bytes + head, len - head);
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *doc, *value;
  tm_schema *s;
  tm_schema_opts opts = {.assert_format = true, .draft7 = len & 1};
  tm_arena_init(&a, FUZZ_ARENA);
  if (tm_json_parse(&doc, &a, schema, head, NULL, &err) < 0)
    goto done;
  if (tm_schema_compile(&s, &a, doc, &opts, &err) < 0) {
    fuzz_must_explain(&err);
    goto done;
  }
  if (tm_json_parse(&value, &a, text, len - head, NULL, &err) < 0)
    value = tm_json_null(&a);
  if (!value)
    goto done;
  answers_agree(&a, s, value);
  defaults_fill(&a, s, value);
  if (!opts.draft7 && !memmem(schema, head, "draft-07", 8)) /* dialects know 2020-12 */
    lowers(&a, doc);
  fails_cleanly(bytes, len, doc, value);

done:
  tm_arena_free(&a);
  free(schema);
  free(text);
  return 0;
}
