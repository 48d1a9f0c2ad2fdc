/* test_naughty.c - the Big List of Naughty Strings, when it lies beside the project: each of
 * them is only text to JSON, to a prompt and to an error message.
 */
#include "check.h"
#include "text/prompt.h"

#define LIST "../shared/suites/naughty-strings/blns.json"

typedef bool (*trial)(tm_arena *a, const char *s, size_t len);

static tm_json *parse(tm_arena *a, const char *text, size_t len) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  return tm_json_parse(&v, a, text, len, NULL, &err) < 0 ? NULL : v;
}

static tm_json *read_list(tm_arena *a) {
  static char text[64 << 10];
  FILE *f = fopen(LIST, "rb");
  if (!f)
    return NULL;
  size_t len = fread(text, 1, sizeof text, f);
  fclose(f);
  return parse(a, text, len);
}

static bool is_text(const tm_json *v, const char *s, size_t len) {
  size_t n;
  const char *got = tm_json_str(v, &n);
  return got && n == len && memcmp(got, s, len) == 0;
}

/* -- JSON ------------------------------------------------------------------------------ */

typedef void (*print_fn)(tm_buf *out, const tm_json *v);

static bool survives_print(tm_arena *a, print_fn print, const char *s, size_t len) {
  tm_buf text = TM_BUF_INIT;
  tm_json *object = tm_json_new_object(a);
  tm_json_setn(a, object, s, len, tm_json_new_strn(a, s, len));
  print(&text, object);
  tm_json *again = parse(a, text.data, text.len);
  tm_buf_free(&text);
  return tm_json_len(again) == 1 && is_text(tm_json_getn(again, s, len), s, len);
}

static bool survives_json(tm_arena *a, const char *s, size_t len) {
  return survives_print(a, tm_json_print, s, len) &&
         survives_print(a, tm_json_print_pretty, s, len) &&
         survives_print(a, tm_json_print_canonical, s, len);
}

/* -- a prompt --------------------------------------------------------------------------------
 */

static const char prompt_file[] = "---\n"
                                  "input:\n"
                                  "  schema: { s: string, list(array): string }\n"
                                  "---\n"
                                  "{{role \"system\"}}Sort it.{{role \"user\"}}"
                                  "[{{s}}]{{#each list}}[{{this}}]{{/each}}{{json s}}";

/* [s][s][s]"s" and nothing else. */
static bool is_the_message(tm_arena *a, const tm_json *content, const char *s, size_t len) {
  tm_buf want = TM_BUF_INIT;
  for (int i = 0; i < 3; i++) {
    tm_buf_putc(&want, '[');
    tm_buf_put(&want, s, len);
    tm_buf_putc(&want, ']');
  }
  tm_json_print(&want, tm_json_new_strn(a, s, len));
  bool same = tm_json_len(content) == 1 &&
              is_text(tm_json_get(tm_json_at(content, 0), "text"), want.data, want.len);
  tm_buf_free(&want);
  return same;
}

static bool stays_text_in_a_prompt(tm_arena *a, const char *s, size_t len) {
  tm_err err = TM_ERR_INIT;
  tm_prompt *p;
  tm_json *messages, *vars = tm_json_new_object(a), *list = tm_json_new_array(a);
  const tm_json *text = tm_json_new_strn(a, s, len);
  tm_json_push(a, list, text);
  tm_json_push(a, list, text);
  tm_json_set(a, vars, "s", text);
  tm_json_set(a, vars, "list", list);
  if (tm_prompt_parse(&p, a, "naughty", "naughty.prompt", prompt_file, sizeof prompt_file - 1,
                      NULL, &err) < 0 ||
      tm_prompt_render(&messages, a, p, vars, NULL, NULL, &err) < 0) {
    printf("      %s\n", err.msg);
    return false;
  }
  const tm_json *first = tm_json_at(messages, 0), *second = tm_json_at(messages, 1);
  return tm_json_len(messages) == 2 && strcmp(tm_json_get_str(first, "role"), "system") == 0 &&
         is_text(tm_json_pointer(first, "/content/0/text"), "Sort it.", 8) &&
         strcmp(tm_json_get_str(second, "role"), "user") == 0 &&
         is_the_message(a, tm_json_get(second, "content"), s, len);
}

/* -- an error message ------------------------------------------------------------------ */

/* One line of UTF-8 with no control characters. */
static bool is_a_line(const char *message) {
  size_t len = strlen(message);
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
      return false;
  return len && tm_json_utf8_valid(message, len) == len;
}

static bool is_told(tm_arena *a, const tm_json *schema_doc, const tm_json *value) {
  tm_err err = TM_ERR_INIT;
  tm_schema *schema;
  tm_schema_report report = {.arena = a};
  if (tm_schema_compile(&schema, a, schema_doc, NULL, &err) < 0 ||
      tm_schema_check(schema, value, &report, &err) != 1)
    return false;
  bool fine = report.count > 0 && tm_schema_report_json(a, &report);
  for (size_t i = 0; i < report.count; i++)
    fine = fine && is_a_line(report.errors[i].message) && is_a_line(report.errors[i].advice) &&
           tm_json_pointer(value, report.errors[i].instance);
  return fine;
}

static tm_json *closed(tm_arena *a) {
  static const char text[] = "{\"additionalProperties\":false}";
  return parse(a, text, sizeof text - 1);
}

/* As a wrong value, as the name of a member that is too much, as one that is missing. */
static bool is_told_in_errors(tm_arena *a, const char *s, size_t len) {
  tm_json *object = tm_json_new_object(a), *names = tm_json_new_array(a);
  tm_json *none = tm_json_new_object(a), *needs = tm_json_new_object(a);
  const tm_json *text = tm_json_new_strn(a, s, len);
  tm_json *one_of = tm_json_new_object(a), *choices = tm_json_new_array(a);
  tm_json_push(a, choices, tm_json_new_str(a, "something else altogether"));
  tm_json_set(a, one_of, "enum", choices);
  tm_json_setn(a, object, s, len, text);
  tm_json_push(a, names, text);
  tm_json_set(a, needs, "required", names);
  return is_told(a, one_of, text) && is_told(a, closed(a), object) && is_told(a, needs, none);
}

/* -- all of them ----------------------------------------------------------------------- */

static void try_all(const char *title, trial fits) {
  tm_arena lists;
  tm_arena_init(&lists, 0);
  const tm_json *list = read_list(&lists);
  size_t passed = 0, total = tm_json_len(list);
  if (!list)
    check_skip(LIST " is not there");
  for (size_t i = 0; i < total; i++) {
    tm_arena a;
    size_t len;
    const char *s = tm_json_str(tm_json_at(list, i), &len);
    tm_arena_init(&a, 0);
    bool ok = fits(&a, s, len);
    passed += ok;
    if (!ok)
      check_fail(__FILE__, __LINE__, "string %zu: %s", i,
                 tm_json_text(&a, tm_json_at(list, i), NULL));
    tm_arena_free(&a);
  }
  if (list) {
    printf("Naughty strings, %s: %zu/%zu\n", title, passed, total);
    CHECK(total > 500);
  }
  tm_arena_free(&lists);
}

static void each_survives_json(void) {
  try_all("JSON", survives_json);
}

static void each_stays_text_in_a_prompt(void) {
  try_all("prompt", stays_text_in_a_prompt);
}

static void each_is_told_in_one_line_of_an_error(void) {
  try_all("errors", is_told_in_errors);
}

CHECK_SUITE(naughty_suite) {
  CHECK_RUN(each_survives_json);
  CHECK_RUN(each_stays_text_in_a_prompt);
  CHECK_RUN(each_is_told_in_one_line_of_an_error);
}
