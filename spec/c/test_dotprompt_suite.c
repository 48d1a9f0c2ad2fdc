/* test_dotprompt_suite.c - Dotprompt's own conformance cases, when they are at hand.
 *
 * Each YAML file is a list of groups {name, template, data, schemas, partials, tests}; each
 * test gives data {input, context, messages}, options and what it expects of the rendered
 * messages and of the front matter. As their own runner does, `raw` is compared only when
 * it is expected, and messages are compared as values, not as text.
 */
#include <dirent.h>
#include <stdlib.h>

#include "check.h"
#include "text/prompt.h"
#include "text/yaml.h"

#define SUITE "../shared/suites/dotprompt/spec"

/* Cases where the reference is wrong and we are not: "group: test", and why. */
static const struct {
  const char *name, *why;
} exceptions[] = {
    {NULL, "none: every case passes; what we do otherwise is not asked by the suite"},
};

typedef struct totals {
  int passed, total, excused;
} totals;

typedef struct group {
  const tm_json *doc;
} group;

/* -- what a case brings ---------------------------------------------------------------- */

static const char *partial_of(void *ctx, const char *name, size_t *len) {
  const tm_json *doc = ((group *)ctx)->doc;
  const char *text = tm_json_str(tm_json_get(tm_json_get(doc, "partials"), name), len);
  return text ? text
              : tm_json_str(tm_json_get(tm_json_get(doc, "resolverPartials"), name), len);
}

static const tm_json *schema_of(void *ctx, const char *name) {
  const tm_json *doc = ((group *)ctx)->doc;
  const tm_json *found = tm_json_get(tm_json_get(doc, "schemas"), name);
  return found ? found : tm_json_get(tm_json_get(doc, "resolverSchemas"), name);
}

/* A member of the test's data, else of the group's. */
static const tm_json *data_of(const tm_json *g, const tm_json *test, const char *key) {
  const tm_json *own = tm_json_get(tm_json_get(test, "data"), key);
  return own ? own : tm_json_get(tm_json_get(g, "data"), key);
}

/* options.input.default under the given input. */
static tm_json *input_of(tm_arena *a, const tm_json *g, const tm_json *test) {
  const tm_json *options = tm_json_get(tm_json_get(test, "options"), "input");
  const tm_json *layers[] = {tm_json_get(options, "default"), data_of(g, test, "input")};
  tm_json *out = tm_json_new_object(a);
  for (int l = 0; l < 2; l++)
    for (size_t i = 0; i < tm_json_len(layers[l]); i++)
      tm_json_set(a, out, tm_json_member_at(layers[l], i)->key,
                  &tm_json_member_at(layers[l], i)->value);
  return out;
}

/* -- comparing ------------------------------------------------------------------------- */

static bool same(tm_arena *a, const char *what, const tm_json *got, const tm_json *want) {
  if (got && want && tm_json_equal(got, want))
    return true;
  printf("      %s\n        got  %s\n        want %s\n", what,
         got ? tm_json_text(a, got, NULL) : "nothing",
         want ? tm_json_text(a, want, NULL) : "nothing");
  return false;
}

/* Expected objects default to {} for these, in their runner too. */
static const tm_json *wanted(tm_arena *a, const tm_json *expect, const char *key) {
  const tm_json *v = tm_json_get(expect, key);
  return v ? v : tm_json_new_object(a);
}

static bool front_matter_fits(tm_arena *a, const tm_prompt *p, const tm_json *expect) {
  bool ok = same(a, "config", p->config, wanted(a, expect, "config")) &&
            same(a, "ext", p->ext, wanted(a, expect, "ext"));
  const tm_json *raw = tm_json_get(expect, "raw"), *model = tm_json_get(expect, "model");
  const tm_json *in = tm_json_get(tm_json_get(expect, "input"), "schema");
  const tm_json *out = tm_json_get(tm_json_get(expect, "output"), "schema");
  ok = ok && (!raw || same(a, "raw", p->meta, raw));
  ok = ok && (!model || same(a, "model", tm_json_new_str(a, p->model), model));
  ok = ok && (!in || same(a, "input.schema", p->input_schema, in));
  ok = ok && (!out || same(a, "output.schema", p->output_schema, out));
  return ok;
}

static bool case_fits(tm_arena *a, const tm_json *g, const tm_json *test, tm_err *err) {
  group ctx = {g};
  tm_prompt_source src = {partial_of, schema_of, &ctx, true};
  const tm_json *expect = tm_json_get(test, "expect"), *want = tm_json_get(expect, "messages");
  size_t len;
  const char *text = tm_json_str(tm_json_get(g, "template"), &len);
  tm_prompt *p;
  tm_json *messages;
  if (tm_prompt_parse(&p, a, "case", "case.prompt", text, len, &src, err) < 0 ||
      tm_prompt_render(&messages, a, p, input_of(a, g, test), data_of(g, test, "context"),
                       data_of(g, test, "messages"), err) < 0) {
    printf("      %s\n", err->msg);
    return false;
  }
  return (!want || same(a, "messages", messages, want)) && front_matter_fits(a, p, expect);
}

/* -- walking --------------------------------------------------------------------------------
 */

static bool excused(const char *name) {
  for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
    if (exceptions[i].name && strcmp(exceptions[i].name, name) == 0)
      return true;
  return false;
}

static void run_case(totals *t, const tm_json *g, const tm_json *test) {
  char name[256];
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_arena_init(&a, 0);
  const char *desc = tm_json_get_str(test, "desc");
  snprintf(name, sizeof name, "%s: %s", tm_json_get_str(g, "name"), desc ? desc : "");
  t->total++;
  if (case_fits(&a, g, test, &err)) {
    t->passed++;
    if (excused(name))
      check_fail(__FILE__, __LINE__, "%s passes; take it out of the exceptions", name);
  } else if (excused(name)) {
    t->excused++;
  } else {
    check_fail(__FILE__, __LINE__, "%s", name);
  }
  tm_arena_free(&a);
}

static void run_file(totals *t, const char *path) {
  static char text[128 << 10];
  FILE *f = fopen(path, "rb");
  if (!f)
    return;
  size_t len = fread(text, 1, sizeof text, f);
  fclose(f);
  tm_arena a;
  tm_json *doc = NULL;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  if (tm_yaml_parse(&doc, &a, text, len, 1, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", path, err.msg);
  for (size_t i = 0; i < tm_json_len(doc); i++) {
    const tm_json *g = tm_json_at(doc, i), *tests = tm_json_get(g, "tests");
    for (size_t k = 0; k < tm_json_len(tests); k++)
      run_case(t, g, tm_json_at(tests, k));
  }
  tm_arena_free(&a);
}

static int run_folder(totals *t, const char *folder) {
  struct dirent **entries;
  int n = scandir(folder, &entries, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    char path[512];
    const char *name = entries[i]->d_name, *dot = strrchr(name, '.');
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!dot)
      run_folder(t, path);
    else if (dot && strcmp(dot, ".yaml") == 0)
      run_file(t, path);
    free(entries[i]);
  }
  if (n >= 0)
    free(entries);
  return n;
}

static void dotprompts_own_cases_pass(void) {
  totals t = {0};
  if (run_folder(&t, SUITE) < 0) {
    check_skip("the suite is not at " SUITE);
    return;
  }
  CHECK(t.total > 100);
  printf("Dotprompt: %d/%d", t.passed, t.total);
  if (t.excused)
    printf(" (%d differ on purpose)", t.excused);
  printf("\n");
}

CHECK_SUITE(dotprompt_suite) {
  CHECK_RUN(dotprompts_own_cases_pass);
}
