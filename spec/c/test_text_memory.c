/* test_text_memory.c - the n-th allocation fails, for every n, in what other files of floor 1
 * do with values: expanding, lowering, filling, reporting, copying, printing. Either nothing
 * came out, or what comes out without a failure. Parsing and compiling have this in their own
 * files.
 */
#include "check.h"
#include "text/schema.h"

/* What a job made, as text; "" when it says that it failed. */
typedef void (*job)(tm_buf *out, tm_arena *a, const tm_json *doc);

static void put(tm_buf *out, tm_arena *a, const tm_json *v) {
  if (v && !a->failed)
    tm_json_print(out, v);
}

static void expand(tm_buf *out, tm_arena *a, const tm_json *doc) {
  tm_err err = TM_ERR_INIT;
  tm_json *schema;
  if (tm_picoschema_expand(&schema, a, doc, NULL, NULL, &err) == 0)
    put(out, a, schema);
  else
    CHECK_INT(err.code, TM_LIMIT);
}

static void lower(tm_buf *out, tm_arena *a, const tm_json *doc) {
  bool failed = false;
  for (int d = TM_DIALECT_OPENAI; d <= TM_DIALECT_GRAMMAR; d++) {
    tm_json *lost = NULL, *low = tm_schema_lower(a, doc, (tm_dialect)d, &lost);
    failed = failed || !low;
    put(out, a, low);
    put(out, a, lost);
  }
  if (failed)
    tm_buf_reset(out);
}

static void fill(tm_buf *out, tm_arena *a, const tm_json *doc) {
  tm_err err = TM_ERR_INIT;
  tm_schema *s;
  if (tm_schema_compile(&s, a, doc, NULL, &err) == 0)
    put(out, a, tm_schema_fill(a, s, tm_json_new_object(a)));
}

static void report(tm_buf *out, tm_arena *a, const tm_json *doc) {
  tm_err err = TM_ERR_INIT;
  tm_schema *s;
  tm_schema_report r = {.arena = a};
  tm_json *value = tm_json_new_object(a);
  tm_json_set_int(a, value, "a", 7);
  if (value && !a->failed && tm_schema_compile(&s, a, doc, NULL, &err) == 0 &&
      tm_schema_check(s, value, &r, &err) == 1) {
    for (size_t i = 0; i < r.count; i++)
      CHECK(*r.errors[i].message && *r.errors[i].advice && *r.errors[i].schema);
    put(out, a, tm_schema_report_json(a, &r));
  }
}

static void copy(tm_buf *out, tm_arena *a, const tm_json *doc) {
  tm_json *all = tm_json_new_array(a);
  for (int i = 0; i < 20; i++)
    tm_json_set(a, tm_json_push(a, all, tm_json_copy(a, doc)), "n", tm_json_new_int(a, i));
  put(out, a, all);
  size_t len;
  char *text = tm_json_text(a, all, &len);
  CHECK(text == NULL || a->failed || len == out->len);
}

static void print(tm_buf *out, tm_arena *a, const tm_json *doc) {
  static void (*const prints[])(tm_buf *, const tm_json *) = {
      tm_json_print, tm_json_print_pretty, tm_json_print_canonical};
  (void)a;
  for (size_t i = 0; i < sizeof prints / sizeof *prints; i++) {
    tm_buf soft;
    tm_buf_init(&soft, (size_t)1 << 20);
    prints[i](&soft, doc);
    if (!soft.failed)
      tm_buf_put(out, soft.data, soft.len);
    tm_buf_free(&soft);
  }
}

static const char pico[] =
    "{\"title\":\"string, what it is\",\"tags?(array, for search)\":\"string\","
    "\"author(object)\":{\"name\":\"string\",\"age?\":\"integer\"},"
    "\"color?(enum, which)\":[\"RED\",1,null],\"(*)\":\"number\"}";

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^(x|y)+$\","
    "\"default\":\"x\"},\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"},"
    "\"minItems\":2,\"default\":[]},\"c\":{\"oneOf\":[{\"const\":1},{\"enum\":[\"z\",null]}],"
    "\"default\":1},\"d\":{\"allOf\":[{\"minimum\":2,\"type\":\"number\"},{\"maximum\":9}]}},"
    "\"required\":[\"a\",\"b\"],\"patternProperties\":{\"^q\":{\"format\":\"date\"}},"
    "\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#/$defs/n\"},"
    "\"v\":{\"type\":[\"integer\",\"null\"],\"description\":\"a \\\"number\\\"\"}}}}}";

/* The job without a failure, then with the first allocation failing, the second … */
static void survives(job work, const char *text) {
  tm_arena docs;
  tm_err err = TM_ERR_INIT;
  tm_json *doc = NULL;
  tm_buf want = TM_BUF_INIT;
  tm_arena_init(&docs, 0);
  CHECK_INT(tm_json_parse(&doc, &docs, text, strlen(text), NULL, &err), 0);
  work(&want, &docs, doc);
  CHECK(want.len > 0);
  bool finished = false;
  for (size_t n = 1; !finished; n++) {
    tm_arena a;
    tm_buf got = TM_BUF_INIT;
    tm_arena_init(&a, (size_t)1 << 20);
    tm_mem_fail_at(n);
    work(&got, &a, doc);
    finished = tm_mem_fail_at(0) < n;
    bool whole = got.len == want.len && memcmp(got.data, want.data, got.len) == 0;
    /* of three prints, or of the errors */
    bool may_be_less = work == print || work == report;
    if (!whole && (finished || (got.len && !may_be_less)))
      check_fail(__FILE__, __LINE__, "at %zu: %s\n      instead of %s", n, tm_buf_str(&got),
                 tm_buf_str(&want));
    tm_buf_free(&got);
    tm_arena_free(&a);
    REQUIRE(n < 10000);
  }
  tm_buf_free(&want);
  tm_arena_free(&docs);
}

static void expanding_picoschema_survives_each_failing_allocation(void) {
  survives(expand, pico);
}

static void lowering_survives_each_failing_allocation(void) {
  survives(lower, schema);
}

static void filling_survives_each_failing_allocation(void) {
  survives(fill, schema);
}

static void reporting_as_json_survives_each_failing_allocation(void) {
  survives(report, schema);
}

static void building_and_copying_survive_each_failing_allocation(void) {
  survives(copy, schema);
}

static void printing_survives_each_failing_allocation(void) {
  survives(print, schema);
}

CHECK_SUITE(text_memory) {
  CHECK_RUN(expanding_picoschema_survives_each_failing_allocation);
  CHECK_RUN(lowering_survives_each_failing_allocation);
  CHECK_RUN(filling_survives_each_failing_allocation);
  CHECK_RUN(reporting_as_json_survives_each_failing_allocation);
  CHECK_RUN(building_and_copying_survive_each_failing_allocation);
  CHECK_RUN(printing_survives_each_failing_allocation);
}
