/* schema_items.c - the check of arrays, of their items' being unique, and of what nothing
 * else has evaluated (unevaluatedItems, unevaluatedProperties).
 */
#include "text/schema_program.h"

static bool tell(run *r, const node *n, const char *keyword, const tm_json *v, const place *at,
                 uint32_t first, uint32_t second) {
  const fault f = {
      .n = n, .keyword = keyword, .value = v, .at = at, .first = first, .second = second};
  return r->sink && tm_schema_tell(r, &f);
}

static int check_items(run *r, const array_rules *k, const tm_json *v, const place *at,
                       marks *m) {
  place here = {at, v, 0};
  int bad = 0;
  uint32_t prefix = k->prefix.count < v->len ? k->prefix.count : v->len;
  uint32_t end = k->items ? v->len : prefix;
  for (uint32_t i = 0; i < end; i++) {
    const node *sub = i < prefix ? k->prefix.list[i] : k->items;
    if (!node_passes(sub, &v->u.items[i])) {
      here.index = i;
      PART(tm_schema_eval(r, sub, &v->u.items[i], &here, NULL));
    }
    if (m)
      marks_set(m, i);
  }
  return bad;
}

static int check_contains(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  const array_rules *k = n->array;
  place here = {at, v, 0};
  uint32_t found = 0;
  int bad = 0;
  fault_list *sink = r->sink;
  bool count_all = m || k->max_contains < v->len;
  for (uint32_t i = 0; i < v->len && (count_all || found < k->min_contains); i++) {
    const tm_json *item = &v->u.items[i];
    here.index = i;
    r->sink = NULL;
    int answer =
        node_passes(k->contains, item) ? 0 : tm_schema_eval(r, k->contains, item, &here, NULL);
    r->sink = sink;
    if (answer < 0)
      return -1;
    if (answer > 0)
      continue;
    found++;
    if (m)
      marks_set(m, i);
  }
  if (found < k->min_contains)
    VIOLATED(tell(r, n, "contains", v, at, found, k->min_contains));
  if (found > k->max_contains)
    VIOLATED(tell(r, n, "maxContains", v, at, found, k->max_contains));
  return bad;
}

int tm_schema_eval_array(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  const array_rules *k = n->array;
  uint32_t first = 0, second = 0;
  int bad = 0;
  if (v->len < k->min)
    VIOLATED(tell(r, n, "minItems", v, at, 0, 0));
  if (v->len > k->max)
    VIOLATED(tell(r, n, "maxItems", v, at, 0, 0));
  if (k->items || k->prefix.count)
    PART(check_items(r, k, v, at, m));
  if (k->contains)
    PART(check_contains(r, n, v, at, m));
  if (k->unique) {
    int unique = tm_schema_unique(r, v, &first, &second);
    if (unique < 0)
      return tm_schema_undecided(r, at, "too large to compare its items with each other");
    if (unique == 0)
      VIOLATED(tell(r, n, "uniqueItems", v, at, first, second));
  }
  return bad;
}

int tm_schema_eval_rest(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  bool array = v->type == TM_JSON_ARRAY;
  const node *rest = array ? n->rest_items : n->rest_members;
  place here = {at, v, 0};
  int bad = 0;
  for (uint32_t i = 0; rest && i < v->len; i++) {
    const tm_json *sub = array ? &v->u.items[i] : &v->u.members[i].value;
    here.index = i;
    if (marks_has(m, i))
      continue;
    if (!node_passes(rest, sub))
      PART(tm_schema_eval(r, rest, sub, &here, NULL));
    marks_set(m, i);
  }
  return bad;
}

/* -- unique ---------------------------------------------------------------------------- */

/* Few items are compared pair by pair; many go into a table by a hash that agrees with
 * tm_json_equal: 1 and 1.0 alike, members in any order. */
#define FEW 12

static uint64_t mix(uint64_t h) {
  h ^= h >> 32;
  h *= UINT64_C(0xd6e8feb86659fd93);
  return h ^ (h >> 32);
}

/* Depth is bounded by the value's own, which the parser bounds; deeper parts of a built
 * value count as equal here and are told apart by tm_json_equal. */
static uint64_t hash_value(const tm_json *v, unsigned depth) {
  uint64_t h = (uint64_t)v->type + 1;
  double d;
  switch ((tm_json_type)v->type) {
  case TM_JSON_NULL:
    return mix(h);
  case TM_JSON_BOOL:
    return mix(h + 8 + v->u.b);
  case TM_JSON_INT:
  case TM_JSON_DOUBLE:
    d = v->type == TM_JSON_INT ? (double)v->u.i : v->u.d;
    if (d == 0)
      d = 0; /* -0.0 is 0 */
    memcpy(&h, &d, sizeof h);
    return mix(h + 3);
  case TM_JSON_STRING:
    return mix(tm_hash_fast(v->u.s, v->len) + h);
  case TM_JSON_ARRAY:
    for (uint32_t i = 0; depth && i < v->len; i++)
      h = mix(h * 31 + hash_value(&v->u.items[i], depth - 1));
    return mix(h);
  case TM_JSON_OBJECT:
    for (uint32_t i = 0; depth && i < v->len; i++) {
      const tm_json_member *m = &v->u.members[i];
      h += mix(tm_hash_fast(m->key, m->key_len) ^ hash_value(&m->value, depth - 1));
    }
    return mix(h);
  }
  return h;
}

#define HASH_DEPTH 128

static int unique_many(run *r, const tm_json *array, uint32_t *first, uint32_t *second) {
  size_t cap = 32;
  while (cap < (size_t)array->len * 2)
    cap *= 2;
  typedef struct {
    uint64_t hash;
    uint32_t item; /* index + 1 */
  } slot;
  slot *slots = tm_arena_zalloc(&r->scratch, cap * sizeof *slots);
  if (!slots)
    return -1;
  for (uint32_t i = 0; i < array->len; i++) {
    uint64_t h = hash_value(&array->u.items[i], HASH_DEPTH);
    size_t at = (size_t)h & (cap - 1);
    for (; slots[at].item; at = (at + 1) & (cap - 1)) {
      if (slots[at].hash != h ||
          !tm_json_equal(&array->u.items[slots[at].item - 1], &array->u.items[i]))
        continue;
      *first = slots[at].item - 1;
      *second = i;
      return 0;
    }
    slots[at].hash = h;
    slots[at].item = i + 1;
  }
  return 1;
}

int tm_schema_unique(run *r, const tm_json *array, uint32_t *first, uint32_t *second) {
  if (array->len > FEW)
    return unique_many(r, array, first, second);
  for (uint32_t i = 1; i < array->len; i++)
    for (uint32_t k = 0; k < i; k++)
      if (tm_json_equal(&array->u.items[k], &array->u.items[i])) {
        *first = k;
        *second = i;
        return 0;
      }
  return 1;
}
