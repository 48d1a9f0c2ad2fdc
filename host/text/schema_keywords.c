/* schema_keywords.c - what each keyword leaves in a node: one function for each, and the table
 * that says in which draft and vocabulary it is one.
 */
#include "text/schema_program.h"

/* -- rules on demand ------------------------------------------------------------------- */

static number_rules *number_of(compiler *c, node *n) {
  if (!n->number)
    n->number = tm_arena_new(c->a, number_rules);
  if (!n->number)
    tm_schema_no_memory(c);
  return n->number;
}

static string_rules *string_of(compiler *c, node *n) {
  if (!n->string) {
    n->string = tm_arena_new(c->a, string_rules);
    if (n->string)
      n->string->max = UINT32_MAX;
  }
  if (!n->string)
    tm_schema_no_memory(c);
  return n->string;
}

static array_rules *array_of(compiler *c, node *n) {
  if (!n->array) {
    n->array = tm_arena_new(c->a, array_rules);
    if (n->array) {
      n->array->max = n->array->max_contains = UINT32_MAX;
      n->array->min_contains = 1;
    }
  }
  if (!n->array)
    tm_schema_no_memory(c);
  return n->array;
}

static inplace *same_of(compiler *c, node *n) {
  if (!n->same)
    n->same = tm_arena_new(c->a, inplace);
  if (!n->same)
    tm_schema_no_memory(c);
  return n->same;
}

/* Room for every name that `properties` and `required` can bring; those of `properties` come
 * first and in their order, because values mostly have them in that order too. */
static object_rules *object_of(compiler *c, node *n) {
  if (n->object)
    return n->object;
  object_rules *o = tm_arena_new(c->a, object_rules);
  const tm_json *properties = tm_json_get(n->source, "properties");
  size_t room = tm_json_len(properties) + tm_json_len(tm_json_get(n->source, "required"));
  if (!o || tm_schema_words_init(&o->names, c->a, room) < 0)
    goto fail;
  o->properties = tm_arena_array(c->a, property, room + 1);
  if (!o->properties)
    goto fail;
  for (size_t i = 0; i < tm_json_len(properties); i++) {
    const tm_json_member *m = tm_json_member_at(properties, i);
    if (m)
      tm_schema_words_add(&o->names, m->key, m->key_len);
  }
  o->max = UINT32_MAX;
  return n->object = o;

fail:
  tm_schema_no_memory(c);
  return NULL;
}

/* -- values that keywords take --------------------------------------------------------- */

/* A count: not negative, whole; what is larger than any array can be is cut. */
static int take_count(const compiler *c, const node *n, const keyword_rule *k, const tm_json *v,
                      uint32_t *out) {
  double d = tm_json_number(v, -1);
  if (!(d >= 0) || d != floor(d))
    return tm_schema_bad(c, n, k->name, "must be a whole number that is not negative");
  *out = d >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)d;
  return 0;
}

static int take_number(const compiler *c, const node *n, const keyword_rule *k,
                       const tm_json *v) {
  if (v->type == TM_JSON_INT || v->type == TM_JSON_DOUBLE)
    return 0;
  return tm_schema_bad(c, n, k->name, "must be a number, not %s", tm_json_type_name(v));
}

static int take_strings(const compiler *c, const node *n, const char *name, const tm_json *v) {
  if (v->type != TM_JSON_ARRAY)
    return tm_schema_bad(c, n, name, "must be an array of strings, not %s",
                         tm_json_type_name(v));
  for (uint32_t i = 0; i < v->len; i++)
    if (v->u.items[i].type != TM_JSON_STRING)
      return tm_schema_bad(c, n, name, "must be an array of strings; item %u is not one", i);
  return 0;
}

static const regex *take_regex(compiler *c, const node *n, const char *name, const char *s,
                               size_t len) {
  const char *why;
  const regex *re = tm_schema_regex_new(c->a, s, len, &why);
  if (!re && (c->a->failed || strcmp(why, TM_SCHEMA_NO_MEMORY) == 0))
    tm_schema_no_memory(c);
  else if (!re)
    tm_schema_bad(c, n, name, "\"%.*s\" is not a regular expression: %s", (int)len, s, why);
  return re;
}

/* -- lists of subschemas --------------------------------------------------------------- */

static int child_list(compiler *c, const tm_json *list, node_list *out) {
  out->list = tm_arena_array(c->a, const node *, (size_t)list->len + 1);
  if (!out->list)
    return tm_schema_no_memory(c);
  for (uint32_t i = 0; i < list->len; i++)
    if (!(out->list[out->count++] = tm_schema_child(c, &list->u.items[i])))
      return -1;
  return 0;
}

/* -- any type -------------------------------------------------------------------------- */

static unsigned type_bit(const char *name) {
  static const struct {
    const char *name;
    unsigned bits;
  } types[] = {
      {"null", TYPE_BIT(TM_JSON_NULL)},
      {"boolean", TYPE_BIT(TM_JSON_BOOL)},
      {"integer", TYPE_BIT(TM_JSON_INT) | TYPE_INTEGRAL},
      {"number", TYPE_BIT(TM_JSON_INT) | TYPE_BIT(TM_JSON_DOUBLE)},
      {"string", TYPE_BIT(TM_JSON_STRING)},
      {"array", TYPE_BIT(TM_JSON_ARRAY)},
      {"object", TYPE_BIT(TM_JSON_OBJECT)},
  };
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (name && strcmp(name, types[i].name) == 0)
      return types[i].bits;
  return 0;
}

static int add_type(const compiler *c, node *n, const tm_json *name) {
  const char *s = tm_json_str(name, NULL);
  unsigned bits = type_bit(s);
  if (!bits)
    return tm_schema_bad(c, n, "type",
                         "%s%s%s is not a type; the types are null, boolean, integer, number, "
                         "string, array and object",
                         s ? "\"" : "", s ? s : tm_json_type_name(name), s ? "\"" : "");
  n->types = (uint8_t)(n->types | bits);
  return 0;
}

static int fill_type(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  n->types = 0;
  if (v->type != TM_JSON_ARRAY)
    return add_type(c, n, v);
  if (v->len == 0)
    return tm_schema_bad(c, n, "type", "an empty list of types allows nothing");
  for (uint32_t i = 0; i < v->len; i++)
    if (add_type(c, n, &v->u.items[i]) < 0)
      return -1;
  return 0;
}

static int add_choice(compiler *c, node *n, const char *keyword, const tm_json *list,
                      uint32_t count) {
  choice *ch = tm_arena_new(c->a, choice);
  if (!ch || tm_schema_words_init(&ch->strings, c->a, count) < 0)
    return tm_schema_no_memory(c);
  ch->others = tm_arena_array(c->a, const tm_json *, (size_t)count + 1);
  if (!ch->others)
    return tm_schema_no_memory(c);
  ch->keyword = keyword;
  for (uint32_t i = 0; i < count; i++) {
    if (list[i].type == TM_JSON_STRING)
      tm_schema_words_add(&ch->strings, list[i].u.s, list[i].len);
    else
      ch->others[ch->other_count++] = &list[i];
  }
  ch->next = (choice *)(uintptr_t)n->choices;
  n->choices = ch;
  return 0;
}

static int fill_enum(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  if (v->type != TM_JSON_ARRAY)
    return tm_schema_bad(c, n, k->name, "must be an array, not %s", tm_json_type_name(v));
  return add_choice(c, n, k->name, v->u.items, v->len);
}

static int fill_const(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  return add_choice(c, n, k->name, v, 1);
}

/* -- numbers --------------------------------------------------------------------------- */

static int fill_number(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  number_rules *r = number_of(c, n);
  if (!r || take_number(c, n, k, v) < 0)
    return -1;
  switch (k->name[0] == 'e' ? k->name[10] : k->name[1]) {
  case 'i': /* minimum, exclusiveMinimum */
    *(k->name[0] == 'e' ? &r->above : &r->min) = v;
    return 0;
  case 'a':
    *(k->name[0] == 'e' ? &r->below : &r->max) = v;
    return 0;
  default:
    if (!(tm_json_number(v, 0) > 0))
      return tm_schema_bad(c, n, k->name, "must be greater than 0");
    r->multiple = v;
    return 0;
  }
}

/* -- strings --------------------------------------------------------------------------- */

static int fill_length(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  string_rules *r = string_of(c, n);
  return r ? take_count(c, n, k, v, k->name[1] == 'i' ? &r->min : &r->max) : -1;
}

static int fill_pattern(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  string_rules *r = string_of(c, n);
  if (!r)
    return -1;
  if (v->type != TM_JSON_STRING)
    return tm_schema_bad(c, n, k->name, "must be a string, not %s", tm_json_type_name(v));
  r->pattern = take_regex(c, n, k->name, v->u.s, v->len);
  return r->pattern ? 0 : -1;
}

static int fill_format(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  if (v->type != TM_JSON_STRING)
    return tm_schema_bad(c, n, k->name, "must be a string, not %s", tm_json_type_name(v));
  format_kind kind = n->home->assert_format ? tm_schema_format_find(v->u.s) : FORMAT_NONE;
  if (kind == FORMAT_NONE)
    return 0; /* an unknown format says nothing */
  string_rules *r = string_of(c, n);
  if (!r)
    return -1;
  r->format = kind;
  return 0;
}

/* -- arrays ---------------------------------------------------------------------------- */

static int fill_array_count(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  array_rules *r = array_of(c, n);
  if (!r)
    return -1;
  bool least = k->name[1] == 'i';
  if (k->name[3] == 'C')
    return take_count(c, n, k, v, least ? &r->min_contains : &r->max_contains);
  return take_count(c, n, k, v, least ? &r->min : &r->max);
}

static int fill_unique(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  if (v->type != TM_JSON_BOOL)
    return tm_schema_bad(c, n, k->name, "must be true or false");
  array_rules *r = v->u.b ? array_of(c, n) : NULL;
  if (r)
    r->unique = true;
  return r || !v->u.b ? 0 : -1;
}

static int fill_prefix(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  array_rules *r = array_of(c, n);
  return r ? child_list(c, v, &r->prefix) : -1;
}

static int fill_items(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  if (v->type == TM_JSON_ARRAY) /* draft-07 */
    return fill_prefix(c, n, k, v);
  array_rules *r = array_of(c, n);
  return r && (r->items = tm_schema_child(c, v)) ? 0 : -1;
}

/* draft-07: only beside an array of items */
static int fill_additional_items(compiler *c, node *n, const keyword_rule *k,
                                 const tm_json *v) {
  const tm_json *items = tm_json_get(n->source, "items");
  if (!items || items->type != TM_JSON_ARRAY)
    return 0;
  return fill_items(c, n, k, v);
}

static int fill_contains(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  array_rules *r = array_of(c, n);
  return r && (r->contains = tm_schema_child(c, v)) ? 0 : -1;
}

static int fill_rest_items(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  n->wide = true;
  return (n->rest_items = tm_schema_child(c, v)) ? 0 : -1;
}

/* -- objects --------------------------------------------------------------------------- */

static int fill_object_count(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  object_rules *r = object_of(c, n);
  return r ? take_count(c, n, k, v, k->name[1] == 'i' ? &r->min : &r->max) : -1;
}

static int fill_properties(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  object_rules *r = object_of(c, n);
  if (!r)
    return -1;
  r->walks = true;
  for (uint32_t i = 0; i < v->len; i++) {
    const tm_json_member *m = &v->u.members[i];
    uint32_t at = tm_schema_words_add(&r->names, m->key, m->key_len);
    if (!(r->properties[at].node = tm_schema_child(c, &m->value)))
      return -1;
  }
  return 0;
}

static int fill_required(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  object_rules *r = object_of(c, n);
  if (!r || take_strings(c, n, k->name, v) < 0)
    return -1;
  r->walks = true;
  for (uint32_t i = 0; i < v->len; i++) {
    const tm_json *name = &v->u.items[i];
    uint32_t at = tm_schema_words_add(&r->names, name->u.s, name->len);
    r->required += !r->properties[at].required;
    r->properties[at].required = true;
  }
  return 0;
}

static int fill_patterns(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  object_rules *r = object_of(c, n);
  if (!r)
    return -1;
  r->walks = true;
  r->patterns = tm_arena_array(c->a, pattern_rule, (size_t)v->len + 1);
  if (!r->patterns)
    return tm_schema_no_memory(c);
  for (uint32_t i = 0; i < v->len; i++) {
    const tm_json_member *m = &v->u.members[i];
    pattern_rule *p = &r->patterns[r->pattern_count++];
    p->pattern = take_regex(c, n, k->name, m->key, m->key_len);
    if (!p->pattern || !(p->node = tm_schema_child(c, &m->value)))
      return -1;
  }
  return 0;
}

static int fill_additional(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  object_rules *r = object_of(c, n);
  if (!r || !(r->additional = tm_schema_child(c, v)))
    return -1;
  r->walks = true;
  return 0;
}

static int fill_key(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  object_rules *r = object_of(c, n);
  if (!r || !(r->key = tm_schema_child(c, v)))
    return -1;
  r->walks = true;
  return 0;
}

/* dependentRequired, dependentSchemas and draft-07's dependencies, which is both */
static int fill_dependencies(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  object_rules *r = object_of(c, n);
  if (!r)
    return -1;
  if (v->type != TM_JSON_OBJECT)
    return tm_schema_bad(c, n, k->name, "must be an object, not %s", tm_json_type_name(v));
  for (uint32_t i = v->len; i-- > 0;) {
    const tm_json_member *m = &v->u.members[i];
    dependency *d = tm_arena_new(c->a, dependency);
    if (!d)
      return tm_schema_no_memory(c);
    *d = (dependency){.key = m->key, .len = m->key_len, .keyword = k->name};
    if (k->shape == SHAPE_PLAIN || m->value.type == TM_JSON_ARRAY) {
      if (take_strings(c, n, k->name, &m->value) < 0)
        return -1;
      d->needs = &m->value;
    } else if (!(d->node = tm_schema_child(c, &m->value))) {
      return -1;
    }
    d->next = r->dependencies;
    r->dependencies = d;
  }
  return 0;
}

static int fill_rest_members(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  (void)k;
  n->wide = true;
  return (n->rest_members = tm_schema_child(c, v)) ? 0 : -1;
}

/* -- the same value -------------------------------------------------------------------- */

static int fill_ref(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  inplace *same = same_of(c, n);
  bool dynamic;
  if (!same)
    return -1;
  if (v->type != TM_JSON_STRING)
    return tm_schema_bad(c, n, k->name, "must be a string, not %s", tm_json_type_name(v));
  const node *to = tm_schema_resolve_ref(c, n, k->name, v->u.s, v->len, &dynamic);
  if (!to)
    return -1;
  if (k->name[1] == 'r') {
    same->ref = to;
    return 0;
  }
  same->dynamic = to;
  if (dynamic) {
    same->dynamic_name = tm_json_get_str(to->source, "$dynamicAnchor");
    c->dynamic = true;
  }
  return 0;
}

static int fill_group(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  inplace *same = same_of(c, n);
  if (!same)
    return -1;
  if (v->len == 0)
    return tm_schema_bad(c, n, k->name, "must have at least one schema");
  return child_list(c, v,
                    k->name[1] == 'l'                        ? &same->all
                    : k->name[1] == 'n' && k->name[0] == 'a' ? &same->any
                                                             : &same->one);
}

static int fill_single(compiler *c, node *n, const keyword_rule *k, const tm_json *v) {
  inplace *same = same_of(c, n);
  if (!same)
    return -1;
  const node **to = &same->none;
  if (k->name[0] == 'i')
    to = &same->condition;
  else if (k->name[0] == 't')
    to = &same->then;
  else if (k->name[0] == 'e')
    to = &same->otherwise;
  return (*to = tm_schema_child(c, v)) ? 0 : -1;
}

/* -- the table ------------------------------------------------------------------------- */

#define OLD  1
#define NEW  2
#define BOTH 3
#define K(name, drafts, vocabulary, shape, fill) \
  { name, sizeof(name) - 1, drafts, VOCABULARY_##vocabulary, SHAPE_##shape, fill }

static const keyword_rule keywords[] = {
    K("$ref", BOTH, CORE, PLAIN, fill_ref),
    K("$dynamicRef", NEW, CORE, PLAIN, fill_ref),
    K("$defs", NEW, CORE, MAP, NULL),
    K("definitions", BOTH, CORE, MAP, NULL),
    K("type", BOTH, VALIDATION, PLAIN, fill_type),
    K("enum", BOTH, VALIDATION, PLAIN, fill_enum),
    K("const", BOTH, VALIDATION, PLAIN, fill_const),
    K("minimum", BOTH, VALIDATION, PLAIN, fill_number),
    K("maximum", BOTH, VALIDATION, PLAIN, fill_number),
    K("exclusiveMinimum", BOTH, VALIDATION, PLAIN, fill_number),
    K("exclusiveMaximum", BOTH, VALIDATION, PLAIN, fill_number),
    K("multipleOf", BOTH, VALIDATION, PLAIN, fill_number),
    K("minLength", BOTH, VALIDATION, PLAIN, fill_length),
    K("maxLength", BOTH, VALIDATION, PLAIN, fill_length),
    K("pattern", BOTH, VALIDATION, PLAIN, fill_pattern),
    K("format", BOTH, FORMAT, PLAIN, fill_format),
    K("properties", BOTH, APPLICATOR, MAP, fill_properties),
    K("required", BOTH, VALIDATION, PLAIN, fill_required),
    K("additionalProperties", BOTH, APPLICATOR, SCHEMA, fill_additional),
    K("patternProperties", BOTH, APPLICATOR, MAP, fill_patterns),
    K("propertyNames", BOTH, APPLICATOR, SCHEMA, fill_key),
    K("minProperties", BOTH, VALIDATION, PLAIN, fill_object_count),
    K("maxProperties", BOTH, VALIDATION, PLAIN, fill_object_count),
    K("dependentRequired", NEW, VALIDATION, PLAIN, fill_dependencies),
    K("dependentSchemas", NEW, APPLICATOR, MAP, fill_dependencies),
    K("dependencies", BOTH, APPLICATOR, DEPENDENCIES, fill_dependencies),
    K("prefixItems", NEW, APPLICATOR, LIST, fill_prefix),
    K("items", NEW, APPLICATOR, SCHEMA, fill_items),
    K("items", OLD, APPLICATOR, EITHER, fill_items),
    K("additionalItems", OLD, APPLICATOR, SCHEMA, fill_additional_items),
    K("contains", BOTH, APPLICATOR, SCHEMA, fill_contains),
    K("minContains", NEW, VALIDATION, PLAIN, fill_array_count),
    K("maxContains", NEW, VALIDATION, PLAIN, fill_array_count),
    K("minItems", BOTH, VALIDATION, PLAIN, fill_array_count),
    K("maxItems", BOTH, VALIDATION, PLAIN, fill_array_count),
    K("uniqueItems", BOTH, VALIDATION, PLAIN, fill_unique),
    K("allOf", BOTH, APPLICATOR, LIST, fill_group),
    K("anyOf", BOTH, APPLICATOR, LIST, fill_group),
    K("oneOf", BOTH, APPLICATOR, LIST, fill_group),
    K("not", BOTH, APPLICATOR, SCHEMA, fill_single),
    K("if", BOTH, APPLICATOR, SCHEMA, fill_single),
    K("then", BOTH, APPLICATOR, SCHEMA, fill_single),
    K("else", BOTH, APPLICATOR, SCHEMA, fill_single),
    K("unevaluatedItems", NEW, UNEVALUATED, SCHEMA, fill_rest_items),
    K("unevaluatedProperties", NEW, UNEVALUATED, SCHEMA, fill_rest_members),
    K("contentSchema", NEW, OTHER, SCHEMA, NULL),
};

const keyword_rule *tm_schema_keyword(const resource *home, const char *name, size_t len) {
  unsigned draft = home->draft7 ? OLD : NEW;
  for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
    const keyword_rule *k = &keywords[i];
    if (k->len == len && (k->drafts & draft) && memcmp(k->name, name, len) == 0)
      return k->vocabulary & home->vocabularies ? k : NULL;
  }
  return NULL;
}
