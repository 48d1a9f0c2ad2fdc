/* schema_tags.c - alternatives that a member tells apart.
 *
 *   oneOf: [ {kind: const "text", ...}, {kind: const "number", ...}, ... ]
 *
 * When each alternative takes objects only, requires the same member and gives it strings of
 * its own, at most one alternative can hold, and that member says which: the others need not
 * be tried.
 */
#include "text/schema_program.h"

/* The strings that alternative `n` gives to the member, NULL when it does not settle it. */
static const word_set *values_of(const node *n, const word *key) {
  if (n->types != TYPE_BIT(TM_JSON_OBJECT) || !n->object)
    return NULL;
  uint32_t at = tm_schema_words_find(&n->object->names, key);
  if (at == WORD_NONE || !n->object->properties[at].required)
    return NULL;
  const node *member = n->object->properties[at].node;
  const choice *c = member ? member->choices : NULL;
  return c && !c->next && c->other_count == 0 && c->strings.count ? &c->strings : NULL;
}

/* 1: every value names one alternative; 0: not so; -1: out of memory. */
static int collect(compiler *c, tag_table *t, const node_list *l) {
  size_t room = 0;
  for (uint32_t i = 0; i < l->count; i++) {
    const word_set *values = values_of(l->list[i], &t->key);
    if (!values)
      return 0;
    room += values->count;
  }
  t->which = tm_arena_array(c->a, uint32_t, room);
  if (!t->which || tm_schema_words_init(&t->values, c->a, room) < 0)
    return tm_schema_no_memory(c);
  for (uint32_t i = 0; i < l->count; i++) {
    const word_set *values = values_of(l->list[i], &t->key);
    for (uint32_t k = 0; k < values->count; k++) {
      uint32_t before = t->values.count;
      uint32_t at = tm_schema_words_add(&t->values, values->list[k].s, values->list[k].len);
      if (at < before)
        return 0; /* two alternatives share it */
      t->which[at] = i;
    }
  }
  return 1;
}

int tm_schema_tags_settle(compiler *c, node_list *l) {
  if (l->count < 2 || !l->list[0]->object)
    return 0;
  const word_set *names = &l->list[0]->object->names;
  for (uint32_t i = 0; i < names->count; i++) {
    if (!values_of(l->list[0], &names->list[i]))
      continue;
    tag_table *t = tm_arena_new(c->a, tag_table);
    if (!t)
      return tm_schema_no_memory(c);
    t->key = names->list[i];
    int found = collect(c, t, l);
    if (found < 0)
      return -1;
    if (found) {
      l->tags = t;
      return 0;
    }
  }
  return 0;
}

uint32_t tm_schema_tags_find(const tag_table *t, const tm_json *v, uint32_t *member) {
  *member = WORD_NONE;
  if (v->type != TM_JSON_OBJECT)
    return WORD_NONE;
  const tm_json *value = NULL;
  for (uint32_t i = 0; i < v->len && !value; i++) {
    word key = word_of(v->u.members[i].key, v->u.members[i].key_len);
    if (word_same(&key, &t->key)) {
      value = &v->u.members[i].value;
      *member = i;
    }
  }
  if (!value || value->type != TM_JSON_STRING)
    return WORD_NONE;
  word w = word_of(value->u.s, value->len);
  uint32_t at = tm_schema_words_find(&t->values, &w);
  return at == WORD_NONE ? WORD_NONE : t->which[at];
}
