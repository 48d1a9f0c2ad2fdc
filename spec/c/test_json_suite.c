/* test_json_suite.c - every file of nst/JSONTestSuite against the parser.
 *
 * y_ must parse, n_ must be refused, i_ may do either but must not crash. Duplicate keys are
 * legal JSON: the suite runs with last_wins; by default we refuse them, and exactly them.
 */
#include <dirent.h>
#include <stdlib.h>

#include "base/buf.h"
#include "check.h"
#include "text/json.h"

#define FOLDER "../shared/suites/json/test_parsing"

static bool read_file(tm_buf *out, const char *name) {
  char path[512], piece[4096];
  snprintf(path, sizeof path, "%s/%s", FOLDER, name);
  FILE *f = fopen(path, "rb");
  if (!f)
    return false;
  for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
    tm_buf_put(out, piece, n);
  fclose(f);
  return true;
}

/* A parsed value printed and parsed again is the same value. */
static bool survives(const tm_json *v) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *again = NULL;
  tm_buf text = TM_BUF_INIT, second = TM_BUF_INIT;
  tm_arena_init(&a, 0);
  tm_json_print(&text, v);
  bool same = tm_json_parse(&again, &a, text.data, text.len, NULL, &err) == 0;
  tm_json_print(&second, again);
  same = same && tm_json_equal(v, again) && strcmp(text.data, second.data) == 0;
  tm_buf_free(&text);
  tm_buf_free(&second);
  tm_arena_free(&a);
  return same;
}

static bool parses(const tm_buf *text, bool last_wins, const char *name) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  tm_json_opts opts = {.last_wins = last_wins};
  tm_arena_init(&a, (size_t)64 << 20);
  bool ok = tm_json_parse(&v, &a, tm_buf_str(text), text->len, &opts, &err) == 0;
  if (ok && !survives(v))
    check_fail(__FILE__, __LINE__, "%s does not survive printing", name);
  if (!ok && (err.code == TM_OK || strncmp(err.msg, "line ", 5) != 0))
    check_fail(__FILE__, __LINE__, "%s: an error without a place: %s", name, err.msg);
  tm_arena_free(&a);
  return ok;
}

/* "y_", "n_" or "i_" against what happened. */
static bool as_wanted(const char *name, bool parsed) {
  return name[0] == 'i' || parsed == (name[0] == 'y');
}

static void the_suite_passes(void) {
  DIR *folder = opendir(FOLDER);
  if (!folder) {
    check_skip(FOLDER " is not there");
    return;
  }
  int passed = 0, total = 0, refused_by_default = 0;
  for (struct dirent *e; (e = readdir(folder));) {
    const char *name = e->d_name;
    tm_buf text = TM_BUF_INIT;
    if (name[0] != '.' && name[1] == '_' && read_file(&text, name)) {
      bool parsed = parses(&text, true, name), ok = as_wanted(name, parsed);
      total += name[0] != 'i';
      passed += name[0] != 'i' && ok;
      if (!ok)
        check_fail(__FILE__, __LINE__, "%s %s", name, parsed ? "parsed" : "was refused");
      refused_by_default += parsed && !parses(&text, false, name);
    }
    tm_buf_free(&text);
  }
  closedir(folder);
  printf("JSONTestSuite: %d/%d\n", passed, total);
  CHECK(total >= 283);
  CHECK_INT(refused_by_default, 2);
}

CHECK_SUITE(json_suite) {
  CHECK_RUN(the_suite_passes);
}
