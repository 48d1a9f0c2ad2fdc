/* schema_lower.c - a schema rewritten for a provider's structured output, and the list of
 * what could not be said there.
 *
 * The answer is checked against the full schema anyway, so lowering may allow more than it;
 * what gets lost is put in words, into the description, for the model to read. Where every
 * member must be required, an optional one may be null instead, and the caller takes such
 * nulls out again before the check.
 */
#include <string.h>

#include "text/schema_lower.h"

#define LOWER_DEPTH     64
#define REFERENCE_DEPTH 512
#define MERGES          2000    /* parts of allOf put into each other */
#define WRAPPER         "value" /* member that holds the answer when the root is no object */

typedef struct lowering {
  tm_arena *a;
  tm_dialect d;
  const tm_json *root;
  tm_json *lost;
  bool wrapped;
  bool failed; /* words did not fit, or memory for them ran out */
  int merges;
} lowering;

typedef struct way {
  const struct way *up;
  const char *token; /* with its slash in front of it when printed */
  size_t index;      /* SIZE_MAX: the token alone */
  const tm_json *schema;
} way;

static tm_json *lower(lowering *x, const tm_json *schema, const way *at, int depth);

/* A schema that nobody has compiled may hold anything anywhere: these count only what is
 * there to be walked. */
static bool is_a(const tm_json *v, tm_json_type type) {
  return v && tm_json_type_of(v) == type;
}

static size_t item_count(const tm_json *v) {
  return is_a(v, TM_JSON_ARRAY) ? tm_json_len(v) : 0;
}

static size_t member_count(const tm_json *v) {
  return is_a(v, TM_JSON_OBJECT) ? tm_json_len(v) : 0;
}

/* -- what is lost ---------------------------------------------------------------------- */

static void put_way(tm_buf *out, const way *at) {
  if (!at)
    return;
  put_way(out, at->up);
  if (at->token)
    tm_buf_printf(out, "/%s", at->token);
  if (at->index != SIZE_MAX)
    tm_buf_printf(out, "/%zu", at->index);
}

static void lose(lowering *x, const way *at, const char *keyword, const char *why) {
  tm_buf text;
  tm_buf_init(&text, 64 * 1024);
  put_way(&text, at);
  tm_buf_printf(&text, "/%s: %s", keyword, why);
  tm_json_push(x->a, x->lost, tm_json_new_str(x->a, tm_buf_str(&text)));
  x->failed = x->failed || text.failed;
  tm_buf_free(&text);
}

/* The keyword goes into the words that will end the description. */
static void say(lowering *x, const way *at, tm_buf *words, const char *keyword,
                const tm_json *value) {
  if (words->len)
    tm_buf_puts(words, "; ");
  tm_dialect_say(words, keyword, value);
  lose(x, at, keyword, "only said in the description");
}

static void end_description(lowering *x, tm_json *out, const tm_json *schema,
                            const tm_buf *words) {
  const char *own = tm_json_get_str(schema, "description");
  if (!words->len) {
    if (own)
      tm_json_set_str(x->a, out, "description", own);
    return;
  }
  tm_json_set_str(
      x->a, out, "description",
      tm_arena_printf(x->a, "%s%s(%s)", own ? own : "", own ? " " : "", tm_buf_str(words)));
}

/* -- types ----------------------------------------------------------------------------- */

static bool has_type(const tm_json *schema, const char *name) {
  const tm_json *type = tm_json_get(schema, "type");
  const char *one = tm_json_str(type, NULL);
  if (one)
    return strcmp(one, name) == 0;
  for (size_t i = 0; i < item_count(type); i++) {
    const char *s = tm_json_str(tm_json_at(type, i), NULL);
    if (s && strcmp(s, name) == 0)
      return true;
  }
  return false;
}

static bool is_object(const tm_json *schema) {
  return has_type(schema, "object") ||
         (!tm_json_get(schema, "type") && tm_json_get(schema, "properties"));
}

static void add_type(lowering *x, tm_json *types, const char *name) {
  for (size_t i = 0; i < tm_json_len(types); i++)
    if (strcmp(tm_json_str(tm_json_at(types, i), NULL), name) == 0)
      return;
  tm_json_push(x->a, types, tm_json_new_str(x->a, name));
}

static void set_types(lowering *x, tm_json *out, const tm_json *types) {
  if (tm_json_len(types) == 1)
    tm_json_set(x->a, out, "type", tm_json_at(types, 0));
  else if (tm_json_len(types) > 1)
    tm_json_set(x->a, out, "type", types);
}

/* A schema without a type gets the one that its other keywords speak of. */
static void infer_type(lowering *x, tm_json *out, const tm_json *schema) {
  tm_json *types = tm_json_new_array(x->a);
  const tm_json *choices = tm_json_get(schema, "enum"), *one = tm_json_get(schema, "const");
  for (size_t i = 0; i < item_count(choices); i++)
    add_type(x, types, tm_json_type_name(tm_json_at(choices, i)));
  if (one)
    add_type(x, types, tm_json_type_name(one));
  if (!tm_json_len(types) && tm_json_get(schema, "properties"))
    add_type(x, types, "object");
  if (!tm_json_len(types) && tm_json_get(schema, "items"))
    add_type(x, types, "array");
  set_types(x, out, types);
}

/* "anything": providers that want a type get the plain ones. */
static tm_json *anything(lowering *x, const way *at) {
  static const char *const plain[] = {"string", "number", "boolean", "null"};
  tm_json *out = tm_json_new_object(x->a), *types = tm_json_new_array(x->a);
  if (!tm_dialect_needs_types(x->d))
    return out;
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    add_type(x, types, plain[i]);
  tm_json_set(x->a, out, "type", types);
  lose(x, at, "type", "any value becomes string, number, boolean or null");
  return out;
}

/* The lowered schema, or null. */
static tm_json *nullable(lowering *x, tm_json *schema) {
  if (has_type(schema, "null"))
    return schema;
  const tm_json *type = tm_json_get(schema, "type");
  tm_json *null = tm_json_new_str(x->a, "null"), *choices;
  if ((is_a(type, TM_JSON_STRING) || is_a(type, TM_JSON_ARRAY)) &&
      !tm_json_get(schema, "const")) {
    tm_json *types = tm_json_new_array(x->a);
    if (tm_json_type_of(type) == TM_JSON_STRING)
      tm_json_push(x->a, types, type);
    else
      types = tm_json_copy(x->a, type);
    tm_json_push(x->a, types, null);
    tm_json_set(x->a, schema, "type", types);
    if (is_a(tm_json_get(schema, "enum"), TM_JSON_ARRAY)) {
      choices = tm_json_copy(x->a, tm_json_get(schema, "enum"));
      tm_json_push(x->a, choices, tm_json_null(x->a));
      tm_json_set(x->a, schema, "enum", choices);
    }
    return schema;
  }
  tm_json *out = tm_json_new_object(x->a), *both = tm_json_new_array(x->a);
  tm_json *nothing = tm_json_new_object(x->a);
  tm_json_set(x->a, nothing, "type", null);
  tm_json_push(x->a, both, schema);
  tm_json_push(x->a, both, nothing);
  tm_json_set(x->a, out, "anyOf", both);
  return out;
}

/* -- references ------------------------------------------------------------------------ */

static const tm_json *target(const lowering *x, const char *ref) {
  return ref && ref[0] == '#' ? tm_json_pointer(x->root, ref + 1) : NULL;
}

/* Is one of the schemas around this one what the reference leads to? */
static bool leads_back(const way *at, const tm_json *to) {
  for (; at; at = at->up)
    if (at->schema == to)
      return true;
  return false;
}

typedef struct visited {
  const tm_json *schema;
  struct visited *next;
} visited;

static bool was_visited(lowering *x, visited **seen, const tm_json *schema) {
  for (const visited *v = *seen; v; v = v->next)
    if (v->schema == schema)
      return true;
  visited *entry = tm_arena_new(x->a, visited);
  if (entry) {
    *entry = (visited){schema, *seen};
    *seen = entry;
  }
  return entry == NULL;
}

/* Does following references from `schema` lead to `to`? Each target is looked at once. */
static bool leads_to(lowering *x, const tm_json *schema, const tm_json *to, visited **seen,
                     int depth) {
  if (!schema || depth > REFERENCE_DEPTH)
    return false;
  const tm_json *next = target(x, tm_json_get_str(schema, "$ref"));
  if (next &&
      (next == to || (!was_visited(x, seen, next) && leads_to(x, next, to, seen, depth + 1))))
    return true;
  bool object = is_a(schema, TM_JSON_OBJECT);
  for (size_t i = 0; i < member_count(schema) + item_count(schema); i++) {
    const tm_json_member *m = object ? tm_json_member_at(schema, i) : NULL;
    const tm_json *part = m ? &m->value : tm_json_at(schema, i);
    if (!(m && m->key[0] == '$') && leads_to(x, part, to, seen, depth + 1))
      return true;
  }
  return false;
}

static bool contains_itself(lowering *x, const tm_json *schema) {
  visited *seen = NULL;
  return leads_to(x, schema, schema, &seen, 0);
}

static tm_json *lower_ref(lowering *x, const char *ref, const way *at) {
  const tm_json *to = target(x, ref);
  if (!to) {
    lose(x, at, "$ref", "the provider only follows references inside the schema");
    return anything(x, at);
  }
  if (!tm_dialect_recurses(x->d) && (leads_back(at, to) || contains_itself(x, to))) {
    lose(x, at, "$ref", "the provider takes no schema that contains itself");
    tm_json *out = tm_json_new_object(x->a);
    tm_json_set_str(x->a, out, "description",
                    tm_arena_printf(x->a, "The same shape as %s of the full schema", ref));
    return out;
  }
  bool moved =
      x->wrapped && strncmp(ref, "#/$defs/", 8) != 0 && strncmp(ref, "#/definitions/", 14) != 0;
  tm_json *out = tm_json_new_object(x->a);
  tm_json_set_str(x->a, out, "$ref",
                  moved ? tm_arena_printf(x->a, "#/properties/" WRAPPER "%s", ref + 1) : ref);
  return out;
}

/* -- merging allOf --------------------------------------------------------------------- */

static void merge_members(lowering *x, tm_json *into, const tm_json *from, const way *at) {
  for (size_t i = 0; i < member_count(from); i++) {
    const tm_json_member *m = tm_json_member_at(from, i);
    const tm_json *there = tm_json_getn(into, m->key, m->key_len);
    if (!there)
      tm_json_setn(x->a, into, m->key, m->key_len, &m->value);
    else if (!tm_json_equal(there, &m->value))
      lose(x, at, "allOf", "two parts describe the same member in different ways");
  }
}

static void merge_names(lowering *x, tm_json *into, const tm_json *from) {
  for (size_t i = 0; i < item_count(from); i++) {
    bool there = false;
    for (size_t k = 0; k < tm_json_len(into) && !there; k++)
      there = tm_json_equal(tm_json_at(into, k), tm_json_at(from, i));
    if (!there)
      tm_json_push(x->a, into, tm_json_at(from, i));
  }
}

static void merge(lowering *x, tm_json *into, const tm_json *part, const way *at, int depth) {
  const tm_json *to = target(x, tm_json_get_str(part, "$ref"));
  if (++x->merges > MERGES)
    return;
  if (to && depth < LOWER_DEPTH)
    merge(x, into, to, at, depth + 8);
  for (size_t i = 0; i < member_count(part); i++) {
    const tm_json_member *m = tm_json_member_at(part, i);
    const tm_json *there = tm_json_get(into, m->key);
    if (strcmp(m->key, "$ref") == 0 && to) {
      continue;
    } else if (strcmp(m->key, "allOf") == 0) {
      for (size_t k = 0; k < item_count(&m->value) && depth < LOWER_DEPTH; k++)
        merge(x, into, tm_json_at(&m->value, k), at, depth + 8);
    } else if (!there) {
      tm_json_set(x->a, into, m->key, tm_json_copy(x->a, &m->value));
    } else if (strcmp(m->key, "properties") == 0 && is_a(there, TM_JSON_OBJECT)) {
      merge_members(x, (tm_json *)(uintptr_t)there, &m->value, at);
    } else if (strcmp(m->key, "required") == 0 && is_a(there, TM_JSON_ARRAY)) {
      merge_names(x, (tm_json *)(uintptr_t)there, &m->value);
    } else if (!tm_json_equal(there, &m->value) && m->key[0] != '$' &&
               strcmp(m->key, "description") != 0 && strcmp(m->key, "title") != 0) {
      lose(x, at, "allOf", "its parts do not fit into one schema");
    }
  }
}

/* The schema with its allOf (and the siblings of a $ref) put together. */
static const tm_json *merged(lowering *x, const tm_json *schema, const way *at) {
  bool has_all = tm_json_get(schema, "allOf") && tm_dialect_merges_all(x->d);
  bool has_ref = tm_json_get(schema, "$ref") != NULL;
  bool siblings = false;
  for (size_t i = 0; has_ref && i < member_count(schema); i++) {
    const char *k = tm_json_member_at(schema, i)->key;
    siblings = siblings || (k[0] != '$' && strcmp(k, "description") != 0 &&
                            strcmp(k, "title") != 0 && strcmp(k, "default") != 0 &&
                            strcmp(k, "examples") != 0 && strcmp(k, "definitions") != 0);
  }
  const tm_json *to = target(x, tm_json_get_str(schema, "$ref"));
  if (!has_all && !(siblings && to && !contains_itself(x, to)))
    return schema;
  tm_json *out = tm_json_new_object(x->a);
  merge(x, out, schema, at, 0);
  return out;
}

/* -- keywords with a function of their own --------------------------------------------- */

static bool is_required(const tm_json *schema, const char *key) {
  const tm_json *names = tm_json_get(schema, "required");
  for (size_t i = 0; i < item_count(names); i++) {
    const char *s = tm_json_str(tm_json_at(names, i), NULL);
    if (s && strcmp(s, key) == 0)
      return true;
  }
  return false;
}

static void lower_members(lowering *x, tm_json *out, const tm_json *schema, const way *at,
                          int depth) {
  const tm_json *members = tm_json_get(schema, "properties");
  tm_json *lowered = tm_json_new_object(x->a), *required = tm_json_new_array(x->a);
  tm_json *order = tm_json_new_array(x->a);
  for (size_t i = 0; i < member_count(members); i++) {
    const tm_json_member *m = tm_json_member_at(members, i);
    const way here = {at, tm_arena_printf(x->a, "properties/%s", m->key), SIZE_MAX, &m->value};
    if (tm_json_type_of(&m->value) == TM_JSON_BOOL && !tm_json_bool(&m->value, true))
      continue; /* forbidden: leaving it out says the same */
    tm_json *one = lower(x, &m->value, &here, depth + 1);
    bool needed = is_required(schema, m->key);
    if (!needed && tm_dialect_requires_all(x->d))
      one = nullable(x, one);
    tm_json_setn(x->a, lowered, m->key, m->key_len, one);
    const tm_json *name = tm_json_new_strn(x->a, m->key, m->key_len);
    if (needed || tm_dialect_requires_all(x->d))
      tm_json_push(x->a, required, name);
    tm_json_push(x->a, order, name);
  }
  tm_json_set(x->a, out, "properties", lowered);
  if (tm_json_len(required))
    tm_json_set(x->a, out, "required", required);
  if (tm_dialect_orders_members(x->d) && tm_json_len(order) > 1)
    tm_json_set(x->a, out, "propertyOrdering", order);
}

static void lower_others(lowering *x, tm_json *out, const tm_json *schema, const way *at,
                         tm_buf *words, int depth) {
  const tm_json *others = tm_json_get(schema, "additionalProperties");
  bool closed =
      others && tm_json_type_of(others) == TM_JSON_BOOL && !tm_json_bool(others, true);
  if (tm_dialect_closes_objects(x->d)) {
    if (member_count(others))
      say(x, at, words, "additionalProperties", others);
    else if (others && !closed)
      lose(x, at, "additionalProperties", "the provider takes closed objects only");
    tm_json_set_bool(x->a, out, "additionalProperties", false);
  } else if (others) {
    const way here = {at, "additionalProperties", SIZE_MAX, others};
    bool schema_of = tm_json_type_of(others) == TM_JSON_OBJECT;
    tm_json_set(x->a, out, "additionalProperties",
                schema_of ? lower(x, others, &here, depth + 1) : others);
  }
}

static void lower_object(lowering *x, tm_json *out, const tm_json *schema, const way *at,
                         tm_buf *words, int depth) {
  if (tm_json_get(schema, "properties") || tm_dialect_closes_objects(x->d))
    lower_members(x, out, schema, at, depth);
  else if (tm_json_get(schema, "required"))
    tm_json_set(x->a, out, "required", tm_json_get(schema, "required"));
  lower_others(x, out, schema, at, words, depth);
}

/* enum and const: what the provider takes of them; const becomes enum where it must. */
static void lower_choice(lowering *x, tm_json *out, const char *keyword, const tm_json *value,
                         const way *at, tm_buf *words) {
  bool one = keyword[0] == 'c';
  bool fits = true;
  for (size_t i = 0; !one && i < item_count(value); i++)
    fits = fits && tm_dialect_takes_choice(x->d, tm_json_at(value, i));
  if (one)
    fits = tm_dialect_takes_choice(x->d, value);
  if (!fits) {
    say(x, at, words, keyword, value);
  } else if (one && x->d == TM_DIALECT_GEMINI) {
    tm_json *list = tm_json_new_array(x->a);
    tm_json_push(x->a, list, value);
    tm_json_set(x->a, out, "enum", list);
  } else {
    tm_json_set(x->a, out, keyword, value);
  }
}

static void lower_list(lowering *x, tm_json *out, const char *keyword, const char *as,
                       const tm_json *list, const way *at, int depth) {
  tm_json *lowered = tm_json_new_array(x->a);
  for (size_t i = 0; i < item_count(list); i++) {
    const way here = {at, keyword, i, tm_json_at(list, i)};
    tm_json_push(x->a, lowered, lower(x, tm_json_at(list, i), &here, depth + 1));
  }
  tm_json_set(x->a, out, as, lowered);
}

static void lower_map(lowering *x, tm_json *out, const char *keyword, const tm_json *map,
                      const way *at, int depth) {
  tm_json *lowered = tm_json_new_object(x->a);
  for (size_t i = 0; i < member_count(map); i++) {
    const tm_json_member *m = tm_json_member_at(map, i);
    const way here = {at, tm_arena_printf(x->a, "%s/%s", keyword, m->key), SIZE_MAX, &m->value};
    if (!tm_dialect_recurses(x->d) && contains_itself(x, &m->value))
      continue; /* nothing refers to it any more */
    tm_json_setn(x->a, lowered, m->key, m->key_len, lower(x, &m->value, &here, depth + 1));
  }
  if (tm_json_len(lowered))
    tm_json_set(x->a, out, keyword, lowered);
}

static void lower_items(lowering *x, tm_json *out, const tm_json *value, const way *at,
                        tm_buf *words, int depth) {
  const way here = {at, "items", SIZE_MAX, value};
  if (tm_json_type_of(value) == TM_JSON_OBJECT)
    tm_json_set(x->a, out, "items", lower(x, value, &here, depth + 1));
  else if (tm_json_type_of(value) != TM_JSON_BOOL || !tm_json_bool(value, true))
    say(x, at, words, "items", value);
}

static void lower_own(lowering *x, tm_json *out, const tm_json *schema, const tm_json_member *m,
                      const way *at, tm_buf *words, int depth) {
  const char *k = m->key;
  if (strcmp(k, "type") == 0)
    tm_json_set(x->a, out, k, &m->value);
  else if (strcmp(k, "items") == 0)
    lower_items(x, out, &m->value, at, words, depth);
  else if (strcmp(k, "enum") == 0 || strcmp(k, "const") == 0)
    lower_choice(x, out, k, &m->value, at, words);
  else if (strcmp(k, "oneOf") == 0 && tm_dialect_has_one_of(x->d))
    lower_list(x, out, k, k, &m->value, at, depth);
  else if (strcmp(k, "oneOf") == 0 && !tm_json_get(schema, "anyOf"))
    lower_list(x, out, k, "anyOf", &m->value, at, depth);
  else if (strcmp(k, "oneOf") == 0)
    say(x, at, words, k, &m->value);
}

/* -- one schema ------------------------------------------------------------------------ */

static bool is_empty(const tm_json *out) {
  return !tm_json_get(out, "type") && !tm_json_get(out, "anyOf") &&
         !tm_json_get(out, "oneOf") && !tm_json_get(out, "allOf") &&
         !tm_json_get(out, "$ref") && !tm_json_get(out, "enum") && !tm_json_get(out, "const");
}

static void lower_keywords(lowering *x, tm_json *out, const tm_json *schema, const way *at,
                           tm_buf *words, int depth) {
  if (tm_dialect_needs_types(x->d) && !tm_json_get(schema, "type"))
    infer_type(x, out, schema);
  for (size_t i = 0; i < tm_json_len(schema); i++) {
    const tm_json_member *m = tm_json_member_at(schema, i);
    switch (tm_dialect_keyword(x->d, m->key, schema, &m->value)) {
    case LOWER_DROP:
      break;
    case LOWER_KEEP:
      tm_json_set(x->a, out, m->key, &m->value);
      break;
    case LOWER_SCHEMA: {
      const way here = {at, m->key, SIZE_MAX, &m->value};
      tm_json_set(x->a, out, m->key, lower(x, &m->value, &here, depth + 1));
      break;
    }
    case LOWER_LIST:
      lower_list(x, out, m->key, m->key, &m->value, at, depth);
      break;
    case LOWER_MAP:
      lower_map(x, out, m->key, &m->value, at, depth);
      break;
    case LOWER_SAY:
      say(x, at, words, m->key, &m->value);
      break;
    case LOWER_OWN:
      lower_own(x, out, schema, m, at, words, depth);
      break;
    }
  }
}

static tm_json *lower(lowering *x, const tm_json *schema, const way *at, int depth) {
  if (depth > LOWER_DEPTH) {
    lose(x, at, "", "nested too deep");
    return anything(x, at);
  }
  if (tm_json_type_of(schema) != TM_JSON_OBJECT)
    return anything(x, at);
  schema = merged(x, schema, at);
  const char *ref = tm_json_get_str(schema, "$ref");
  if (ref && depth > 0)
    return lower_ref(x, ref, at);
  tm_json *out = tm_json_new_object(x->a);
  tm_buf words;
  tm_buf_init(&words, 64 * 1024);
  lower_keywords(x, out, schema, at, &words, depth);
  if (is_object(schema))
    lower_object(x, out, schema, at, &words, depth);
  if (has_type(out, "array") && !tm_json_get(out, "items") && tm_dialect_needs_types(x->d))
    tm_json_set(x->a, out, "items", anything(x, at));
  if (is_empty(out) && tm_dialect_needs_types(x->d))
    tm_json_set(x->a, out, "type", tm_json_get(anything(x, at), "type"));
  end_description(x, out, schema, &words);
  x->failed = x->failed || words.failed;
  tm_buf_free(&words);
  return out;
}

/* -- the root -------------------------------------------------------------------------- */

/* A $ref at the root becomes what it refers to: no provider takes it there. */
static const tm_json *root_of(lowering *x, const tm_json *schema) {
  const tm_json *to = target(x, tm_json_get_str(schema, "$ref"));
  for (int hop = 0; to && target(x, tm_json_get_str(to, "$ref")) && hop < LOWER_DEPTH; hop++)
    to = target(x, tm_json_get_str(to, "$ref"));
  if (!is_a(to, TM_JSON_OBJECT) || to == schema)
    return schema;
  tm_json *out = tm_json_copy(x->a, to);
  for (size_t i = 0; i < tm_json_len(schema); i++) {
    const tm_json_member *m = tm_json_member_at(schema, i);
    if (strcmp(m->key, "$ref") != 0 && !tm_json_get(out, m->key))
      tm_json_set(x->a, out, m->key, &m->value);
  }
  return out;
}

static tm_json *wrap(lowering *x, tm_json *inner) {
  static const char *const shared[] = {"$defs", "definitions"};
  tm_json *out = tm_json_new_object(x->a), *members = tm_json_new_object(x->a);
  tm_json *required = tm_json_new_array(x->a);
  tm_json_push(x->a, required, tm_json_new_str(x->a, WRAPPER));
  for (size_t i = 0; i < 2; i++) {
    const tm_json *defs = tm_json_get(inner, shared[i]);
    if (defs)
      tm_json_set(x->a, out, shared[i], tm_json_copy(x->a, defs));
    tm_json_remove(inner, shared[i]);
  }
  tm_json_set(x->a, members, WRAPPER, inner);
  tm_json_set_str(x->a, out, "type", "object");
  tm_json_set(x->a, out, "properties", members);
  tm_json_set(x->a, out, "required", required);
  tm_json_set_bool(x->a, out, "additionalProperties", false);
  return out;
}

tm_json *tm_schema_lower(tm_arena *a, const tm_json *schema, tm_dialect dialect,
                         tm_json **lost) {
  lowering x = {.a = a, .d = dialect, .root = schema, .lost = tm_json_new_array(a)};
  const tm_json *root = root_of(&x, schema);
  if (!root || !x.lost)
    return NULL;
  const way top = {NULL, NULL, SIZE_MAX, schema};
  const tm_json *whole = merged(&x, root, &top);
  x.wrapped = tm_dialect_needs_object(dialect) &&
              (!is_object(whole) || tm_json_get(whole, "anyOf") || tm_json_get(whole, "oneOf"));
  tm_json *out = lower(&x, root, &top, 0);
  if (x.wrapped && out) {
    tm_json_push(a, x.lost,
                 tm_json_new_str(a,
                                 "the root is no plain object: the answer stands in the member "
                                 "\"" WRAPPER "\" of one"));
    out = wrap(&x, out);
  }
  if (lost)
    *lost = x.lost;
  return x.failed || (a->limit && a->failed) ? NULL : out;
}
