/* schema_kit.h - what the schema tests share: schemas and values from text, verdicts in tables.
 */
#ifndef TM_SPEC_SCHEMA_KIT_H
#define TM_SPEC_SCHEMA_KIT_H

#include "base/mem.h"
#include "check.h"
#include "text/schema.h"

static inline tm_json *parse(tm_arena *a, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return v;
}

static inline tm_schema *compile(tm_arena *a, const char *text, const tm_schema_opts *opts) {
  tm_schema *s = NULL;
  tm_err err = TM_ERR_INIT;
  const tm_json *doc = parse(a, text);
  if (doc && tm_schema_compile(&s, a, doc, opts, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return s;
}

/* -1, 0, 1; with and without a report must agree. */
static inline int check_opts(const char *schema, const char *value,
                             const tm_schema_opts *opts) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  const tm_schema *s = compile(&a, schema, opts);
  const tm_json *v = parse(&a, value);
  tm_schema_report report = {.arena = &a};
  int quick = s && v ? tm_schema_check(s, v, NULL, &err) : -2;
  int full = s && v ? tm_schema_check(s, v, &report, &err) : -2;
  CHECK_INT(quick, full);
  CHECK((full == 1) == (report.count > 0));
  tm_arena_free(&a);
  return quick;
}

static inline int check_one(const char *schema, const char *value) {
  return check_opts(schema, value, NULL);
}

typedef struct verdict {
  const char *schema, *value;
  int want;
} verdict;

static inline void expect_all(const verdict *cases, size_t count, const tm_schema_opts *opts) {
  for (size_t i = 0; i < count; i++) {
    int got = check_opts(cases[i].schema, cases[i].value, opts);
    if (got != cases[i].want)
      check_fail(__FILE__, __LINE__, "%s on %s: got %d, want %d", cases[i].schema,
                 cases[i].value, got, cases[i].want);
  }
}

#define EXPECT_ALL(cases, opts) expect_all(cases, sizeof(cases) / sizeof *(cases), opts)

#endif
