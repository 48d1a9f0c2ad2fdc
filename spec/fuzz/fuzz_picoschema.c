/* fuzz_picoschema.c - any YAML as an output schema: what the expansion makes of Picoschema is a
 * JSON Schema that compiles, and a JSON Schema stays what it is.
 */
#include "fuzz.h"
#include "text/schema.h"
#include "text/yaml.h"

static const tm_json *named(void *ctx, const char *name) {
  return strcmp(name, "Ticket") == 0 ? ctx : NULL;
}

static int expand(tm_json **out, tm_arena *a, const tm_json *doc, tm_json *ticket) {
  tm_err err = TM_ERR_INIT;
  int rc = tm_picoschema_expand(out, a, doc, named, ticket, &err);
  if (rc < 0)
    fuzz_must_explain(&err);
  return rc;
}

/* Changed, and not only by the `type: object` that `properties` implies. */
static bool is_picoschema(const tm_json *doc, const tm_json *schema) {
  return !fuzz_identical(doc, schema) && !tm_json_get(doc, "properties");
}

static void is_a_schema(tm_arena *a, const tm_json *doc, tm_json *schema, tm_json *ticket) {
  tm_err err = TM_ERR_INIT;
  tm_schema *s;
  tm_json *again;
  int rc = tm_schema_compile(&s, a, schema, NULL, &err);
  bool wrong = rc < 0 && err.code != TM_LIMIT && is_picoschema(doc, schema);
  if (wrong)
    fprintf(stderr, "%s\n%s\n", err.msg, tm_json_text(a, schema, NULL));
  MUST(!wrong);
  if (rc == 0 && tm_json_get(schema, "type") && expand(&again, a, schema, ticket) == 0)
    MUST(fuzz_identical(schema, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *text = fuzz_text(bytes, len);
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *doc, *schema, *ticket;
  tm_arena_init(&a, FUZZ_ARENA);
  ticket = tm_json_new_object(&a);
  tm_json_set_str(&a, ticket, "type", "object");
  if (tm_yaml_parse(&doc, &a, text, len, 1, &err) == 0) {
    if (expand(&schema, &a, doc, ticket) == 0)
      is_a_schema(&a, doc, schema, ticket);
    tm_mem_fail_at(fuzz_fail_at(bytes, len));
    expand(&schema, &a, doc, ticket);
    tm_mem_fail_at(0);
  }
  tm_arena_free(&a);
  free(text);
  return 0;
}
