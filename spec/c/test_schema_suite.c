/* test_schema_suite.c - the official JSON-Schema-Test-Suite, when it lies beside the project.
 *
 * Required: every file directly in a draft's folder. Optional and format are counted apart,
 * because the suite itself leaves them open; for them only a share must pass.
 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "check.h"
#include "text/json.h"
#include "text/schema.h"

#define SUITE      "../shared/suites/json-schema/"
#define REMOTE_URI "http://localhost:1234/"
#define FILES_MAX  512

/* -- files ----------------------------------------------------------------------------- */

static bool read_file(tm_buf *out, const char *path) {
  FILE *f = fopen(path, "rb");
  char block[8192];
  size_t n;
  if (!f)
    return false;
  while ((n = fread(block, 1, sizeof block, f)) > 0)
    tm_buf_put(out, block, n);
  fclose(f);
  return true;
}

static tm_json *read_json(tm_arena *a, const char *path) {
  tm_buf text = TM_BUF_INIT;
  tm_json *doc = NULL;
  tm_err err = TM_ERR_INIT;
  if (read_file(&text, path) && tm_json_parse(&doc, a, text.data, text.len, NULL, &err) < 0)
    check_fail(path, 0, "%s", err.msg);
  tm_buf_free(&text);
  return doc;
}

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the .json files directly in a folder, sorted. */
static size_t list_files(tm_arena *a, const char *folder, char *names[FILES_MAX]) {
  DIR *d = opendir(folder);
  size_t count = 0;
  for (struct dirent *e = d ? readdir(d) : NULL; e && count < FILES_MAX; e = readdir(d)) {
    size_t len = strlen(e->d_name);
    if (len > 5 && strcmp(e->d_name + len - 5, ".json") == 0)
      names[count++] = tm_arena_strdup(a, e->d_name);
  }
  if (d)
    closedir(d);
  qsort(names, count, sizeof *names, by_name);
  return count;
}

/* -- remotes --------------------------------------------------------------------------- */

typedef struct remotes {
  tm_arena arena;
  tm_json *cache; /* uri -> document */
} remotes;

static const tm_json *resolve(void *ctx, const char *uri) {
  remotes *r = ctx;
  size_t prefix = strlen(REMOTE_URI);
  const tm_json *known = tm_json_get(r->cache, uri);
  if (known || strncmp(uri, REMOTE_URI, prefix) != 0)
    return known;
  char *path = tm_arena_printf(&r->arena, SUITE "remotes/%s", uri + prefix);
  const tm_json *doc = is_folder(path) ? NULL : read_json(&r->arena, path);
  return doc ? tm_json_set(&r->arena, r->cache, uri, doc) : NULL;
}

/* -- running --------------------------------------------------------------------------- */

typedef struct tally {
  size_t passed, total;
} tally;

typedef struct dialect {
  const char *folder;
  bool draft7, assert_format;
} dialect;

static void run_test(const dialect *d, const char *file, const tm_json *group,
                     const tm_json *test, const tm_schema *schema, const char *why, tally *t) {
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_schema_report report = {.arena = &a};
  bool want = tm_json_bool(tm_json_get(test, "valid"), false);
  const tm_json *data = tm_json_get(test, "data");
  tm_arena_init(&a, 0);
  int got = schema ? tm_schema_check(schema, data, NULL, &err) : -1;
  /* the second pass, with a report, must come to the same answer and say why */
  if (schema && tm_schema_check(schema, data, &report, &err) != got)
    got = -2;
  if (got == 1 && report.count == 0)
    got = -3;
  tm_arena_free(&a);
  t->total++;
  if (got == (want ? 0 : 1)) {
    t->passed++;
    return;
  }
  printf("  %s %s | %s | %s: %s\n", d->folder, file, tm_json_get_str(group, "description"),
         tm_json_get_str(test, "description"),
         got < 0 ? (why ? why : err.msg)
         : got   ? "found invalid"
                 : "found valid");
}

static void run_group(const dialect *d, const char *file, const tm_json *group, remotes *r,
                      tally *t) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_schema *schema = NULL;
  tm_schema_opts opts = {
      .resolve = resolve, .ctx = r, .draft7 = d->draft7, .assert_format = d->assert_format};
  tm_arena_init(&a, (size_t)16 << 20);
  const tm_json *source = tm_json_get(group, "schema"), *tests = tm_json_get(group, "tests");
  if (tm_schema_compile(&schema, &a, source, &opts, &err) < 0)
    schema = NULL;
  for (size_t i = 0; i < tm_json_len(tests); i++)
    run_test(d, file, group, tm_json_at(tests, i), schema, err.msg, t);
  tm_arena_free(&a);
}

static tally run_folder(const dialect *d) {
  tally t = {0, 0};
  remotes r;
  char *names[FILES_MAX];
  tm_arena_init(&r.arena, 0);
  r.cache = tm_json_new_object(&r.arena);
  size_t count = list_files(&r.arena, d->folder, names);
  for (size_t i = 0; i < count; i++) {
    tm_arena file;
    tm_arena_init(&file, 0);
    const tm_json *groups =
        read_json(&file, tm_arena_printf(&file, "%s/%s", d->folder, names[i]));
    for (size_t g = 0; g < tm_json_len(groups); g++)
      run_group(d, names[i], tm_json_at(groups, g), &r, &t);
    tm_arena_free(&file);
  }
  tm_arena_free(&r.arena);
  return t;
}

/* All of `folder`, or at least `percent` of it. */
static void expect(const char *title, const dialect *d, size_t percent) {
  if (!is_folder(d->folder)) {
    check_skip("the suite is not here");
    return;
  }
  tally t = run_folder(d);
  printf("%s: %zu/%zu\n", title, t.passed, t.total);
  CHECK(t.total > 0);
  CHECK(t.passed * 100 >= t.total * percent);
}

static void all_required_tests_of_2020_12_pass(void) {
  dialect d = {SUITE "tests/draft2020-12", false, false};
  expect("JSON-Schema-Test-Suite 2020-12 required", &d, 100);
}

static void optional_tests_of_2020_12_pass_but_for_other_drafts(void) {
  dialect d = {SUITE "tests/draft2020-12/optional", false, false};
  expect("JSON-Schema-Test-Suite 2020-12 optional", &d, 95);
}

static void format_tests_of_2020_12_pass_mostly(void) {
  dialect d = {SUITE "tests/draft2020-12/optional/format", false, true};
  expect("JSON-Schema-Test-Suite 2020-12 format", &d, 95);
}

static void all_required_tests_of_draft_07_pass(void) {
  dialect d = {SUITE "tests/draft7", true, false};
  expect("JSON-Schema-Test-Suite draft-07 required", &d, 100);
}

static void optional_tests_of_draft_07_pass_mostly(void) {
  dialect d = {SUITE "tests/draft7/optional", true, false};
  expect("JSON-Schema-Test-Suite draft-07 optional", &d, 90);
}

static void format_tests_of_draft_07_pass_mostly(void) {
  dialect d = {SUITE "tests/draft7/optional/format", true, true};
  expect("JSON-Schema-Test-Suite draft-07 format", &d, 95);
}

CHECK_SUITE(schema_suite) {
  CHECK_RUN(all_required_tests_of_2020_12_pass);
  CHECK_RUN(optional_tests_of_2020_12_pass_but_for_other_drafts);
  CHECK_RUN(format_tests_of_2020_12_pass_mostly);
  CHECK_RUN(all_required_tests_of_draft_07_pass);
  CHECK_RUN(optional_tests_of_draft_07_pass_mostly);
  CHECK_RUN(format_tests_of_draft_07_pass_mostly);
}
