/* schema_dialect.c - which JSON Schema each provider's structured output takes.
 *
 * One line for each keyword, one column for each dialect. Where a column says "say", the
 * provider refuses or ignores the keyword, and its meaning is put in words instead.
 */
#include <string.h>

#include "text/schema_lower.h"

/* -- the table ------------------------------------------------------------------------- */

enum {
  DROP = LOWER_DROP,
  KEEP = LOWER_KEEP,
  ONE = LOWER_SCHEMA,
  LIST = LOWER_LIST,
  MAP = LOWER_MAP,
  SAY = LOWER_SAY,
  OWN = LOWER_OWN,
  FORMAT,   /* kept when the provider knows the format */
  FEW,      /* kept when 0 or 1 */
  ANCHORED, /* kept when the pattern speaks of the whole string */
  INTEGER   /* kept for integers */
};

static const struct {
  const char *name;
  unsigned char how[4]; /* OpenAI, Anthropic, Gemini, grammar */
} keywords[] = {
    {"$schema", {DROP, DROP, DROP, DROP}},
    {"$id", {DROP, DROP, DROP, DROP}},
    {"$comment", {DROP, DROP, DROP, DROP}},
    {"title", {KEEP, KEEP, KEEP, KEEP}},
    {"description", {OWN, OWN, OWN, OWN}},
    {"type", {OWN, OWN, OWN, OWN}},
    {"properties", {OWN, OWN, OWN, OWN}},
    {"required", {OWN, OWN, OWN, OWN}},
    {"additionalProperties", {OWN, OWN, OWN, OWN}},
    {"enum", {OWN, OWN, OWN, OWN}},
    {"const", {OWN, OWN, OWN, OWN}},
    {"$ref", {OWN, OWN, OWN, OWN}},
    {"oneOf", {OWN, OWN, OWN, OWN}},
    {"allOf", {OWN, OWN, OWN, LIST}},
    {"anyOf", {LIST, LIST, LIST, LIST}},
    {"$defs", {MAP, MAP, MAP, MAP}},
    {"definitions", {MAP, MAP, MAP, MAP}},
    {"items", {OWN, OWN, OWN, OWN}},
    {"prefixItems", {SAY, SAY, LIST, SAY}},
    {"minLength", {SAY, SAY, SAY, KEEP}},
    {"maxLength", {SAY, SAY, SAY, KEEP}},
    {"pattern", {KEEP, SAY, SAY, ANCHORED}},
    {"format", {FORMAT, FORMAT, FORMAT, FORMAT}},
    {"minimum", {KEEP, SAY, KEEP, INTEGER}},
    {"maximum", {KEEP, SAY, KEEP, INTEGER}},
    {"exclusiveMinimum", {KEEP, SAY, SAY, INTEGER}},
    {"exclusiveMaximum", {KEEP, SAY, SAY, INTEGER}},
    {"multipleOf", {KEEP, SAY, SAY, SAY}},
    {"minItems", {KEEP, FEW, KEEP, KEEP}},
    {"maxItems", {KEEP, SAY, KEEP, KEEP}},
    {"uniqueItems", {SAY, SAY, SAY, SAY}},
    {"additionalItems", {SAY, SAY, SAY, SAY}},
    {"minProperties", {SAY, SAY, SAY, SAY}},
    {"maxProperties", {SAY, SAY, SAY, SAY}},
    {"patternProperties", {SAY, SAY, SAY, SAY}},
    {"propertyNames", {SAY, SAY, SAY, SAY}},
    {"contains", {SAY, SAY, SAY, SAY}},
    {"minContains", {SAY, SAY, SAY, SAY}},
    {"maxContains", {SAY, SAY, SAY, SAY}},
    {"dependentRequired", {SAY, SAY, SAY, SAY}},
    {"dependentSchemas", {SAY, SAY, SAY, SAY}},
    {"dependencies", {SAY, SAY, SAY, SAY}},
    {"unevaluatedItems", {SAY, SAY, SAY, SAY}},
    {"unevaluatedProperties", {SAY, SAY, SAY, SAY}},
    {"not", {SAY, SAY, SAY, SAY}},
    {"if", {SAY, SAY, SAY, SAY}},
    {"then", {SAY, SAY, SAY, SAY}},
    {"else", {SAY, SAY, SAY, SAY}},
    {"$dynamicRef", {SAY, SAY, SAY, SAY}},
    {"contentEncoding", {SAY, SAY, SAY, SAY}},
    {"contentMediaType", {SAY, SAY, SAY, SAY}},
};

/* -- what the columns leave open ------------------------------------------------------- */

static bool knows_format(tm_dialect d, const char *format) {
  static const char *const known[] = {"date-time", "date", "time", "duration", "email",
                                      "hostname",  "ipv4", "ipv6", "uuid",     "uri"};
  size_t count = sizeof known / sizeof *known;
  if (d == TM_DIALECT_OPENAI)
    count--; /* all but uri */
  if (d == TM_DIALECT_GRAMMAR)
    return format && (strcmp(format, "date-time") == 0 || strcmp(format, "date") == 0 ||
                      strcmp(format, "time") == 0 || strcmp(format, "uuid") == 0);
  for (size_t i = 0; format && i < count; i++)
    if (strcmp(format, known[i]) == 0)
      return true;
  return false;
}

static bool is_anchored(const char *pattern) {
  size_t len = pattern ? strlen(pattern) : 0;
  return len >= 2 && pattern[0] == '^' && pattern[len - 1] == '$' && pattern[len - 2] != '\\';
}

static bool is_integer(const tm_json *schema) {
  const char *type = tm_json_get_str(schema, "type");
  return type && strcmp(type, "integer") == 0;
}

static lower_how keep_if(bool kept) {
  return kept ? LOWER_KEEP : LOWER_SAY;
}

lower_how tm_dialect_keyword(tm_dialect d, const char *keyword, const tm_json *schema,
                             const tm_json *value) {
  for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
    if (strcmp(keyword, keywords[i].name) != 0)
      continue;
    unsigned char how = keywords[i].how[d];
    switch (how) {
    case FORMAT:
      return keep_if(knows_format(d, tm_json_str(value, NULL)));
    case FEW:
      return keep_if(tm_json_int(value, 2) <= 1);
    case ANCHORED:
      return keep_if(is_anchored(tm_json_str(value, NULL)));
    case INTEGER:
      return keep_if(is_integer(schema));
    default:
      return (lower_how)how;
    }
  }
  return LOWER_DROP;
}

bool tm_dialect_takes_choice(tm_dialect d, const tm_json *value) {
  tm_json_type t = tm_json_type_of(value);
  if (d == TM_DIALECT_GRAMMAR || d == TM_DIALECT_OPENAI)
    return true;
  if (d == TM_DIALECT_GEMINI)
    return t == TM_JSON_STRING || t == TM_JSON_INT || t == TM_JSON_DOUBLE || t == TM_JSON_NULL;
  return t != TM_JSON_ARRAY && t != TM_JSON_OBJECT;
}

bool tm_dialect_closes_objects(tm_dialect d) {
  return d == TM_DIALECT_OPENAI || d == TM_DIALECT_ANTHROPIC;
}

bool tm_dialect_requires_all(tm_dialect d) {
  return d == TM_DIALECT_OPENAI;
}

bool tm_dialect_needs_object(tm_dialect d) {
  return d == TM_DIALECT_OPENAI;
}

bool tm_dialect_recurses(tm_dialect d) {
  return d != TM_DIALECT_ANTHROPIC;
}

/* Two closed objects in an allOf would exclude each other's members. */
bool tm_dialect_merges_all(tm_dialect d) {
  return d != TM_DIALECT_GRAMMAR;
}

bool tm_dialect_has_one_of(tm_dialect d) {
  return d == TM_DIALECT_GRAMMAR;
}

bool tm_dialect_needs_types(tm_dialect d) {
  return d != TM_DIALECT_GRAMMAR;
}

bool tm_dialect_orders_members(tm_dialect d) {
  return d == TM_DIALECT_GEMINI;
}

/* -- constraints in words -------------------------------------------------------------- */

#define SAID_MAX 300 /* bytes of a schema quoted in a description */

void tm_dialect_say(tm_buf *out, const char *keyword, const tm_json *value) {
  static const struct {
    const char *keyword, *before, *after;
  } words[] = {
      {"minLength", "at least ", " characters"},
      {"maxLength", "at most ", " characters"},
      {"pattern", "matching the regular expression ", ""},
      {"format", "in the format ", ""},
      {"minimum", "at least ", ""},
      {"maximum", "at most ", ""},
      {"exclusiveMinimum", "greater than ", ""},
      {"exclusiveMaximum", "less than ", ""},
      {"multipleOf", "a multiple of ", ""},
      {"minItems", "at least ", " items"},
      {"maxItems", "at most ", " items"},
      {"minProperties", "at least ", " members"},
      {"maxProperties", "at most ", " members"},
      {"const", "exactly ", ""},
      {"enum", "one of ", ""},
  };
  tm_buf text = TM_BUF_INIT;
  if (strcmp(keyword, "uniqueItems") == 0) {
    tm_buf_puts(out,
                tm_json_bool(value, false) ? "no repeated items" : "repeated items allowed");
    return;
  }
  if (tm_json_type_of(value) == TM_JSON_STRING && strcmp(keyword, "const") != 0)
    tm_buf_puts(&text, tm_json_str(value, NULL));
  else
    tm_json_print(&text, value);
  size_t i = 0;
  while (i < sizeof words / sizeof *words && strcmp(keyword, words[i].keyword) != 0)
    i++;
  if (text.len > SAID_MAX)
    tm_buf_printf(out, "held to \"%s\" of the full schema", keyword);
  else if (i < sizeof words / sizeof *words)
    tm_buf_printf(out, "%s%s%s", words[i].before, tm_buf_str(&text), words[i].after);
  else
    tm_buf_printf(out, "%s: %s", keyword, tm_buf_str(&text));
  tm_buf_free(&text);
}
