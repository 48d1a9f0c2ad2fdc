/* schema_fill.c - a copy of a value with absent members filled from `default`.
 *
 * Only what surely applies is followed: properties, items, $ref and allOf. A default is
 * taken as it stands and not filled itself, so a schema that refers to itself ends.
 */
#include "text/schema_program.h"

#define FILL_DEPTH 512
#define FILL_STEPS 1000000

typedef struct filling {
  tm_arena *a;
  unsigned steps;
} filling;

static void fill(filling *f, const node *n, tm_json *v, unsigned depth);

static tm_json *member_of(const tm_json *object, const word *name) {
  for (uint32_t i = 0; i < object->len; i++) {
    const tm_json_member *m = &object->u.members[i];
    if (m->key_len == name->len && memcmp(m->key, name->s, name->len) == 0)
      return &object->u.members[i].value;
  }
  return NULL;
}

/* Beside a $ref a default counts too: the property as written comes before what it means. */
static const tm_json *default_of(const node *n, const word *name, const node *sub) {
  const tm_json *properties = tm_json_get(n->source, "properties");
  const tm_json *own = tm_json_get(tm_json_getn(properties, name->s, name->len), "default");
  return own ? own : tm_json_get(sub->source, "default");
}

static void fill_members(filling *f, const node *n, tm_json *v, unsigned depth) {
  const object_rules *o = n->object;
  for (uint32_t i = 0; i < o->names.count; i++) {
    const word *name = &o->names.list[i];
    const node *sub = o->properties[i].node;
    if (!sub)
      continue;
    tm_json *there = member_of(v, name);
    if (there) {
      fill(f, sub, there, depth + 1);
      continue;
    }
    const tm_json *value = default_of(n, name, sub);
    if (value)
      tm_json_setn(f->a, v, name->s, name->len, tm_json_copy(f->a, value));
  }
}

static void fill_items(filling *f, const array_rules *k, tm_json *v, unsigned depth) {
  for (uint32_t i = 0; i < v->len; i++) {
    const node *sub = i < k->prefix.count ? k->prefix.list[i] : k->items;
    if (sub)
      fill(f, sub, &v->u.items[i], depth + 1);
  }
}

static void fill(filling *f, const node *n, tm_json *v, unsigned depth) {
  if (depth == FILL_DEPTH || ++f->steps > FILL_STEPS)
    return;
  if (v->type == TM_JSON_OBJECT && n->object)
    fill_members(f, n, v, depth);
  if (v->type == TM_JSON_ARRAY && n->array)
    fill_items(f, n->array, v, depth);
  const inplace *s = n->same;
  if (!s)
    return;
  if (s->ref)
    fill(f, s->ref, v, depth + 1);
  for (uint32_t i = 0; i < s->all.count; i++)
    fill(f, s->all.list[i], v, depth + 1);
}

tm_json *tm_schema_fill(tm_arena *a, const tm_schema *s, const tm_json *value) {
  filling f = {.a = a};
  tm_json *out = tm_json_copy(a, value);
  if (!out)
    return NULL;
  fill(&f, s->root, out, 0);
  return a->limit && a->failed ? NULL : out;
}
