/* fuzz_checks.c - content checks on the first line, an answer on the second, the variables
 * behind it: the same outcome with and without a report, errors that can be read, and nothing
 * that is quoted from the source itself is found ungrounded.
 */
#include "fuzz.h"
#include "text/checks.h"
#include "text/wording.h"

static const char source[] = "I was charged twice on May 3rd,  and “nobody” answers. It's $5!";

/* A line, without its end; the rest stays behind it. */
static tm_wording take_line(const char **at, const char *end) {
  const char *stop = memchr(*at, '\n', (size_t)(end - *at));
  tm_wording line = {*at, (size_t)((stop ? stop : end) - *at)};
  *at = stop ? stop + 1 : end;
  return line;
}

static tm_json *parse(tm_arena *a, tm_wording text) {
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  return tm_json_parse(&v, a, text.s, text.len, NULL, &err) < 0 ? NULL : v;
}

static void report_can_be_read(const tm_schema_report *r) {
  for (size_t i = 0; i < r->count; i++) {
    const tm_schema_error *e = &r->errors[i];
    const char *texts[] = {e->instance, e->schema, e->keyword, e->message, e->advice};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
      MUST(texts[t] && tm_json_utf8_valid(texts[t], strlen(texts[t])) == strlen(texts[t]));
    MUST(*e->message && *e->advice && !strpbrk(e->message, "\n\x1b"));
  }
}

static void outcomes_agree(tm_arena *a, const tm_checks *c, const tm_json *answer,
                           const tm_json *vars) {
  tm_err err = TM_ERR_INIT;
  tm_schema_report all = {.arena = a, .max = 50};
  int plain = tm_checks_run(c, answer, vars, NULL, &err);
  int told = tm_checks_run(c, answer, vars, &all, &err);
  MUST(plain == told && (told != 1 || all.count > 0));
  if (told < 0)
    fuzz_must_explain(&err);
  report_can_be_read(&all);
  tm_json_len(tm_schema_report_json(a, &all));
}

/* Any run of characters of a text stands in that text. */
static void its_own_words_are_grounded(tm_arena *a, tm_wording text) {
  if (text.len < 4 || tm_json_utf8_valid(text.s, text.len) != text.len)
    return;
  tm_wording folded = tm_wording_fold(a, text), part, again = tm_wording_fold(a, folded);
  MUST(!folded.s || !again.s ||
       (again.len == folded.len && memcmp(again.s, folded.s, again.len) == 0));
  MUST(!folded.s || tm_wording_holds(a, folded, text) || a->failed);
  for (size_t at = 0; folded.s && tm_wording_quoted(text, &at, &part);)
    MUST(tm_wording_holds(a, folded, part) || a->failed);
  tm_words words;
  if (folded.s && tm_wording_words(&words, a, folded) == 0)
    MUST(tm_wording_similar(&words, &words) == 1.0);
}

static void fails_cleanly(const uint8_t *bytes, size_t len, const tm_json *spec,
                          const tm_json *answer, const tm_json *vars) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_checks *c;
  tm_schema_report report = {.arena = &a};
  tm_arena_init(&a, FUZZ_ARENA);
  tm_mem_fail_at(fuzz_fail_at(bytes, len));
  if (tm_checks_compile(&c, &a, spec, &err) < 0 ||
      tm_checks_run(c, answer, vars, &report, &err) < 0)
    fuzz_must_explain(&err);
  tm_mem_fail_at(0);
  tm_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *text = fuzz_text(bytes, len);
  const char *at = text, *end = text + len;
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_checks *c;
  tm_arena_init(&a, FUZZ_ARENA);
  tm_json *spec = parse(&a, take_line(&at, end));
  tm_wording line = take_line(&at, end);
  tm_json *answer = parse(&a, line), *vars = parse(&a, (tm_wording){at, (size_t)(end - at)});
  its_own_words_are_grounded(&a, line);
  if (!vars && !a.failed) {
    vars = tm_json_new_object(&a);
    tm_json_set_str(&a, vars, "text", source);
  }
  if (spec && answer && tm_checks_compile(&c, &a, spec, &err) == 0) {
    outcomes_agree(&a, c, answer, vars);
    fails_cleanly(bytes, len, spec, answer, vars);
  } else if (spec && answer) {
    fuzz_must_explain(&err);
  }
  tm_arena_free(&a);
  free(text);
  return 0;
}
