/* picoschema.c - Dotprompt's short way to write a schema, expanded to JSON Schema.
 *
 *   title: string, shown on top        a required member with a description
 *   subtitle?: string                  optional, and then null is allowed too
 *   tags(array, for search): string    items of one kind
 *   author(object): {name: string}     a nested object, closed like every object
 *   color(enum): [RED, BLUE]           one of
 *   (*): number                        any other member
 *
 * A document that is JSON Schema already is taken as it is.
 */
#include <string.h>

#include "text/schema.h"

#define PICO_DEPTH 64

typedef struct expansion {
  tm_arena *a;
  tm_schema_named named;
  void *ctx;
  tm_err *err;
} expansion;

/* -- words ----------------------------------------------------------------------------- */

/* "type, description" cut in two; without a comma the description is NULL. */
typedef struct phrase {
  char *type, *description;
} phrase;

static char *trimmed(tm_arena *a, const char *s, size_t len) {
  while (len && strchr(" \t\r\n", s[0])) {
    s++;
    len--;
  }
  while (len && strchr(" \t\r\n", s[len - 1]))
    len--;
  return tm_arena_strndup(a, s, len);
}

static int out_of_memory(const expansion *x) {
  return tm_err_set(x->err, TM_LIMIT, "picoschema: out of memory");
}

static int split(const expansion *x, phrase *out, const char *s, size_t len) {
  const char *comma = memchr(s, ',', len);
  size_t head = comma ? (size_t)(comma - s) : len;
  out->type = trimmed(x->a, s, head);
  out->description = comma ? trimmed(x->a, comma + 1, len - head - 1) : NULL;
  if (!out->type || (comma && !out->description))
    return out_of_memory(x);
  if (out->description && !*out->description)
    out->description = NULL;
  return 0;
}

static bool is_scalar(const char *type) {
  static const char *const scalars[] = {"string", "boolean", "null", "number", "integer"};
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
    if (type && strcmp(type, scalars[i]) == 0)
      return true;
  return false;
}

/* -- what is JSON Schema already ------------------------------------------------------- */

static bool is_json_schema(const tm_json *doc) {
  static const char *const lists[] = {"allOf", "anyOf", "oneOf", "enum"};
  if (tm_json_type_of(doc) == TM_JSON_BOOL)
    return true;
  const tm_json *type = tm_json_get(doc, "type");
  const char *name = tm_json_str(type, NULL);
  if (name && (is_scalar(name) || strcmp(name, "object") == 0 || strcmp(name, "array") == 0))
    return true;
  if (type && tm_json_type_of(type) == TM_JSON_ARRAY)
    return true;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    const tm_json *list = tm_json_get(doc, lists[i]);
    if (list && tm_json_type_of(list) == TM_JSON_ARRAY)
      return true;
  }
  for (size_t i = 0; i < tm_json_len(doc); i++)
    if (tm_json_type_of(doc) == TM_JSON_OBJECT && tm_json_member_at(doc, i)->key[0] == '$')
      return true;
  return false;
}

/* -- expanding ------------------------------------------------------------------------- */

static tm_json *expand(const expansion *x, const tm_json *doc, const char *path, int depth);

static void describe(const expansion *x, tm_json *schema, const char *description) {
  if (description)
    tm_json_set_str(x->a, schema, "description", description);
}

/* "string, what it is" or the name of a schema. */
static tm_json *expand_words(const expansion *x, const tm_json *doc, const char *path) {
  phrase p;
  size_t len;
  const char *s = tm_json_str(doc, &len);
  if (split(x, &p, s, len) < 0)
    return NULL;
  tm_json *schema = tm_json_new_object(x->a);
  if (is_scalar(p.type)) {
    tm_json_set_str(x->a, schema, "type", p.type);
  } else if (strcmp(p.type, "any") != 0) {
    const tm_json *known = x->named ? x->named(x->ctx, p.type) : NULL;
    if (!known) {
      tm_err_set(x->err, TM_USAGE,
                 "picoschema: %s: \"%.80s\" is neither a type (string, number, integer, "
                 "boolean, null, any) nor the name of a known schema",
                 path, p.type);
      return NULL;
    }
    schema = tm_json_copy(x->a, known);
    if (schema && tm_json_type_of(schema) != TM_JSON_OBJECT)
      return schema; /* true or false take no description */
  }
  describe(x, schema, p.description);
  return schema;
}

/* {"type": T} also allows null. Schemas without a plain type (a $ref, any) stay as they are. */
static void allow_null(const expansion *x, tm_json *schema) {
  const char *type = tm_json_get_str(schema, "type");
  if (!type || strcmp(type, "null") == 0)
    return;
  tm_json *types = tm_json_new_array(x->a);
  tm_json_push(x->a, types, tm_json_new_str(x->a, type));
  tm_json_push(x->a, types, tm_json_new_str(x->a, "null"));
  tm_json_set(x->a, schema, "type", types);
}

static tm_json *expand_enum(const expansion *x, const tm_json *values, bool optional,
                            const char *path) {
  if (tm_json_type_of(values) != TM_JSON_ARRAY) {
    tm_err_set(x->err, TM_USAGE, "picoschema: %s: an enum lists its values in an array", path);
    return NULL;
  }
  tm_json *list = tm_json_copy(x->a, values);
  bool has_null = false;
  for (size_t i = 0; i < tm_json_len(values); i++)
    has_null = has_null || tm_json_type_of(tm_json_at(values, i)) == TM_JSON_NULL;
  if (optional && !has_null)
    tm_json_push(x->a, list, tm_json_null(x->a));
  tm_json *schema = tm_json_new_object(x->a);
  tm_json_set(x->a, schema, "enum", list);
  return schema;
}

static tm_json *expand_array(const expansion *x, const tm_json *items, const char *path,
                             int depth) {
  tm_json *inner = expand(x, items, path, depth);
  tm_json *schema = inner ? tm_json_new_object(x->a) : NULL;
  tm_json_set_str(x->a, schema, "type", "array");
  tm_json_set(x->a, schema, "items", inner);
  return schema;
}

/* "name?(kind, description)" taken apart */
typedef struct field {
  char *name;
  bool optional;
  bool has_kind;
  phrase kind;
} field;

static int read_field(const expansion *x, field *f, const tm_json_member *m, const char *path) {
  const char *open = memchr(m->key, '(', m->key_len);
  size_t len = open ? (size_t)(open - m->key) : m->key_len;
  *f = (field){.name = trimmed(x->a, m->key, len), .has_kind = open != NULL};
  if (!f->name)
    return out_of_memory(x);
  len = strlen(f->name);
  f->optional = len > 0 && f->name[len - 1] == '?';
  if (f->optional)
    f->name[len - 1] = 0;
  if (!*f->name)
    return tm_err_set(x->err, TM_USAGE, "picoschema: %s: \"%s\" names no member", path, m->key);
  if (!open)
    return 0;
  if (m->key[m->key_len - 1] != ')')
    return tm_err_set(x->err, TM_USAGE, "picoschema: %s: \"%s\" lacks its closing )", path,
                      m->key);
  return split(x, &f->kind, open + 1, (size_t)(m->key + m->key_len - 1 - (open + 1)));
}

static tm_json *expand_field(const expansion *x, const field *f, const tm_json *value,
                             const char *path, int depth) {
  tm_json *schema;
  const char *kind = f->has_kind ? f->kind.type : "";
  if (!f->has_kind || strcmp(kind, "object") == 0) {
    schema = expand(x, value, path, depth);
  } else if (strcmp(kind, "array") == 0) {
    schema = expand_array(x, value, path, depth);
  } else if (strcmp(kind, "enum") == 0) {
    schema = expand_enum(x, value, f->optional, path);
  } else {
    tm_err_set(x->err, TM_USAGE,
               "picoschema: %s: in parentheses stands array, object or enum, not \"%.80s\"",
               path, kind);
    return NULL;
  }
  if (schema && f->optional && tm_json_type_of(schema) == TM_JSON_OBJECT)
    allow_null(x, schema);
  if (schema && f->has_kind)
    describe(x, schema, f->kind.description);
  return schema;
}

static tm_json *expand_object(const expansion *x, const tm_json *doc, const char *path,
                              int depth) {
  tm_json *schema = tm_json_new_object(x->a), *properties = tm_json_new_object(x->a);
  tm_json *required = tm_json_new_array(x->a);
  tm_json *others = tm_json_new_bool(x->a, false);
  for (size_t i = 0; i < tm_json_len(doc); i++) {
    const tm_json_member *m = tm_json_member_at(doc, i);
    char *inner = tm_arena_printf(x->a, "%s/%s", path, m->key);
    field f;
    if (strcmp(m->key, "(*)") == 0) {
      others = expand(x, &m->value, inner ? inner : path, depth + 1);
      if (!others)
        return NULL;
      continue;
    }
    if (read_field(x, &f, m, path) < 0)
      return NULL;
    if (tm_json_get(properties, f.name)) {
      tm_err_set(x->err, TM_USAGE, "picoschema: %s: the member \"%.80s\" stands there twice",
                 path, f.name);
      return NULL;
    }
    tm_json *one = expand_field(x, &f, &m->value, inner ? inner : path, depth + 1);
    if (!one)
      return NULL;
    tm_json_set(x->a, properties, f.name, one);
    if (!f.optional)
      tm_json_push(x->a, required, tm_json_new_str(x->a, f.name));
  }
  tm_json_set_str(x->a, schema, "type", "object");
  tm_json_set(x->a, schema, "properties", properties);
  if (tm_json_len(required))
    tm_json_set(x->a, schema, "required", required);
  tm_json_set(x->a, schema, "additionalProperties", others);
  return schema;
}

/* NULL: err is set, or memory ran out. */
static tm_json *expand(const expansion *x, const tm_json *doc, const char *path, int depth) {
  if (depth > PICO_DEPTH) {
    tm_err_set(x->err, TM_LIMIT, "picoschema: %.200s: nested deeper than %d", path, PICO_DEPTH);
    return NULL;
  }
  if (tm_json_type_of(doc) == TM_JSON_STRING)
    return expand_words(x, doc, path);
  if (tm_json_type_of(doc) == TM_JSON_OBJECT)
    return expand_object(x, doc, path, depth);
  tm_err_set(x->err, TM_USAGE,
             "picoschema: %s: expected a type like \"string, what it is\" or an object of "
             "members, not %s",
             path, tm_json_type_name(doc));
  return NULL;
}

int tm_picoschema_expand(tm_json **out, tm_arena *a, const tm_json *doc, tm_schema_named named,
                         void *ctx, tm_err *err) {
  const expansion x = {a, named, ctx, err};
  tm_json *schema;
  tm_err_clear(err);
  const tm_json *properties = tm_json_get(doc, "properties");
  if (is_json_schema(doc)) {
    schema = tm_json_copy(a, doc);
  } else if (properties && tm_json_type_of(properties) == TM_JSON_OBJECT) {
    schema = tm_json_new_object(a);
    tm_json_set_str(a, schema, "type", "object");
    for (size_t i = 0; i < tm_json_len(doc); i++) {
      const tm_json_member *m = tm_json_member_at(doc, i);
      tm_json_setn(a, schema, m->key, m->key_len, tm_json_copy(a, &m->value));
    }
  } else {
    schema = expand(&x, doc, "schema", 0);
  }
  if (err->code != TM_OK)
    return -1;
  if (!schema || a->failed)
    return out_of_memory(&x);
  *out = schema;
  return 0;
}
