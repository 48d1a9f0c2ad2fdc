/* schema_compile.c - from a surveyed document to a program: every node is filled by its
 * keywords, then what the check can know beforehand is worked out.
 */
#include "text/schema_program.h"

/* -- children -------------------------------------------------------------------------- */

/* Nothing but $ref and words about it? */
static bool only_refers(const node *n) {
  static const char *const words[] = {"$ref",     "title",   "description", "$comment",
                                      "examples", "default", "deprecated"};
  const tm_json *s = n->source;
  if (s->type != TM_JSON_OBJECT || !tm_json_get_str(s, "$ref") || n == n->home->node)
    return false;
  if (n->home->draft7)
    return true;
  for (uint32_t i = 0; i < s->len; i++) {
    bool known = false;
    for (size_t w = 0; w < sizeof words / sizeof *words && !known; w++)
      known = strcmp(s->u.members[i].key, words[w]) == 0;
    if (!known)
      return false;
  }
  return true;
}

/* The node of a subschema; one that only refers is stepped over, as long as no scope that a
 * $dynamicRef could look at is lost by it. NULL on error. */
const node *tm_schema_child(compiler *c, const tm_json *schema) {
  node *n = tm_schema_node_at(c, schema);
  const resource *home = n->home;
  for (int hop = 0; hop < 16 && n->home == home && only_refers(n); hop++) {
    size_t len;
    bool dynamic;
    const char *ref = tm_json_str(tm_json_get(n->source, "$ref"), &len);
    n = tm_schema_resolve_ref(c, n, "$ref", ref, len, &dynamic);
    if (!n)
      return NULL;
  }
  return n;
}

/* -- what the check can know beforehand ------------------------------------------------ */

/* Whole limits that a double holds too: the usual ones, checked without looking further. */
static bool is_plain_limit(const tm_json *v) {
  const int64_t exact = INT64_C(1) << 53;
  return !v || (v->type == TM_JSON_INT && v->u.i >= -exact && v->u.i <= exact);
}

static void settle_number(number_rules *r) {
  r->simple = !r->above && !r->below && !r->multiple && is_plain_limit(r->min) &&
              is_plain_limit(r->max);
  if (!r->simple)
    return;
  r->least = r->min ? r->min->u.i : INT64_MIN;
  r->most = r->max ? r->max->u.i : INT64_MAX;
  r->low = r->min ? (double)r->min->u.i : -HUGE_VAL;
  r->high = r->max ? (double)r->max->u.i : HUGE_VAL;
}

/* -- one node -------------------------------------------------------------------------- */

/* Types that pass with nothing more to look at. */
static uint8_t light_types(const node *n) {
  if (n->choices || n->same || n->wide)
    return 0;
  unsigned light = n->types & TYPE_ALL;
  if (n->number)
    light &= ~(TYPE_BIT(TM_JSON_INT) | TYPE_BIT(TM_JSON_DOUBLE));
  if (n->string)
    light &= ~TYPE_BIT(TM_JSON_STRING);
  if (n->array)
    light &= ~TYPE_BIT(TM_JSON_ARRAY);
  if (n->object)
    light &= ~TYPE_BIT(TM_JSON_OBJECT);
  return (uint8_t)light;
}

static int fill(compiler *c, node *n) {
  const tm_json *s = n->source;
  n->types = TYPE_ALL;
  if (s->type == TM_JSON_BOOL) {
    n->types = s->u.b ? TYPE_ALL : 0;
    n->light = n->types;
    return 0;
  }
  bool only_ref = n->home->draft7 && tm_json_get(s, "$ref");
  for (uint32_t i = 0; i < s->len; i++) {
    const tm_json_member *m = &s->u.members[i];
    const keyword_rule *k = tm_schema_keyword(n->home, m->key, m->key_len);
    if (!k || !k->fill || (only_ref && strcmp(k->name, "$ref") != 0))
      continue;
    if (k->fill(c, n, k, &m->value) < 0)
      return -1;
  }
  if (n->number)
    settle_number(n->number);
  n->light = light_types(n);
  return 0;
}

int tm_schema_compile(tm_schema **out, tm_arena *a, const tm_json *doc,
                      const tm_schema_opts *opts, tm_err *err) {
  compiler c = {.a = a, .opts = opts, .err = err};
  const char *base = opts && opts->base_uri ? opts->base_uri : "";
  tm_schema *s = tm_arena_new(a, tm_schema);
  if (!s)
    return tm_schema_no_memory(&c);
  char *uri = tm_schema_uri_join(a, base, "", 0);
  if (!uri)
    return tm_schema_no_memory(&c);
  const resource *r = tm_schema_survey(&c, doc, uri, NULL);
  if (!r)
    return -1;
  /* Filling may find more documents, whose nodes are appended to the list. */
  for (node *n = c.first; n; n = n->next)
    if (fill(&c, n) < 0)
      return -1;
  for (node *n = c.first; n; n = n->next)
    if (n->same && (tm_schema_tags_settle(&c, &n->same->any) < 0 ||
                    tm_schema_tags_settle(&c, &n->same->one) < 0))
      return -1;
  s->root = r->node;
  s->dynamic = c.dynamic;
  *out = s;
  return 0;
}
