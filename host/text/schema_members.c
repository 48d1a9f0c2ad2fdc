/* schema_members.c - the check of objects: one walk over the members.
 *
 * The i-th property of a schema is usually the i-th member of its values, so the walk
 * guesses before it looks up. Required names are counted on the way: member names are
 * unique, so the right number of them means that none is missing.
 */
#include "text/schema_program.h"

static const property *find(const object_rules *o, const tm_json_member *m, uint32_t *guess) {
  word w = word_of(m->key, m->key_len);
  uint32_t i = *guess;
  if (i >= o->names.count || !word_same(&o->names.list[i], &w)) {
    i = tm_schema_words_find(&o->names, &w);
    if (i == WORD_NONE)
      return NULL;
  }
  *guess = i + 1;
  return &o->properties[i];
}

static bool tell_member(run *r, const node *n, const char *keyword, const tm_json *v,
                        const place *at, const char *key, uint32_t key_len) {
  const fault f = {
      .n = n, .keyword = keyword, .value = v, .at = at, .key = key, .key_len = key_len};
  return r->sink && tm_schema_tell(r, &f);
}

/* propertyNames: the name is a value of its own. */
static int check_key(run *r, const node *n, const tm_json_member *m, const place *here) {
  const tm_json name = {.type = TM_JSON_STRING, .len = m->key_len, .u.s = m->key};
  fault_list *sink = r->sink;
  fault_list own = {.arena = &r->scratch, .max = 1};
  r->sink = sink ? &own : NULL;
  int answer = tm_schema_eval(r, n->object->key, &name, here, NULL);
  r->sink = sink;
  const fault f = {.n = n,
                   .keyword = "propertyNames",
                   .value = &name,
                   .at = here,
                   .key = m->key,
                   .key_len = m->key_len};
  if (answer > 0 && sink)
    tm_schema_tell_name(r, &f, &own);
  return answer;
}

/* What only some schemas ask of a member: patterns, additional ones, names, marks. */
static int check_member(run *r, const node *n, const tm_json_member *m, const place *here,
                        bool declared, marks *seen) {
  const object_rules *o = n->object;
  bool covered = declared;
  int bad = 0;
  for (uint32_t i = 0; i < o->pattern_count; i++) {
    const pattern_rule *p = &o->patterns[i];
    int match = tm_schema_regex_match(&r->regexes, p->pattern, m->key, m->key_len);
    if (match < 0)
      return tm_schema_undecided(r, here, "the pattern for its name takes too long to match");
    if (match == 0)
      continue;
    covered = true;
    if (!node_passes(p->node, &m->value))
      PART(tm_schema_eval(r, p->node, &m->value, here, NULL));
  }
  if (!covered && o->additional) {
    covered = true;
    if (!node_passes(o->additional, &m->value))
      PART(tm_schema_eval(r, o->additional, &m->value, here, NULL));
  }
  if (o->key)
    PART(check_key(r, n, m, here));
  if (seen && covered)
    marks_set(seen, here->index);
  return bad;
}

/* Adds the required names it met to *met. */
static int check_members(run *r, const node *n, const tm_json *v, const place *at, marks *seen,
                         uint32_t *met) {
  const object_rules *o = n->object;
  const bool plain = !o->pattern_count && !o->key && !seen;
  place here = {at, v, 0};
  uint32_t guess = 0;
  int bad = 0;
  for (uint32_t i = 0; i < v->len; i++) {
    const tm_json_member *m = &v->u.members[i];
    const property *p = find(o, m, &guess);
    const node *sub = p ? p->node : NULL;
    if (p)
      *met += p->required;
    here.index = i;
    if (!plain)
      PART(check_member(r, n, m, &here, sub != NULL, seen));
    else if (!sub)
      sub = o->additional;
    if (sub && !node_passes(sub, &m->value))
      PART(tm_schema_eval(r, sub, &m->value, &here, NULL));
  }
  return bad;
}

/* With a listener only: what is missing comes before what is wrong inside. */
static int tell_missing(run *r, const node *n, const tm_json *v, const place *at) {
  const object_rules *o = n->object;
  int bad = 0;
  for (uint32_t i = 0; i < o->names.count; i++) {
    const word *w = &o->names.list[i];
    if (o->properties[i].required && !tm_json_getn(v, w->s, w->len))
      VIOLATED(tell_member(r, n, "required", v, at, w->s, w->len));
  }
  return bad;
}

static int check_dependency(run *r, const node *n, const dependency *d, const tm_json *v,
                            const place *at, marks *seen) {
  int bad = 0;
  if (!tm_json_getn(v, d->key, d->len))
    return 0;
  if (d->node)
    return tm_schema_eval(r, d->node, v, at, seen);
  for (uint32_t i = 0; i < d->needs->len; i++) {
    const tm_json *name = &d->needs->u.items[i];
    const fault f = {.n = n,
                     .keyword = d->keyword,
                     .value = name,
                     .at = at,
                     .key = d->key,
                     .key_len = d->len};
    if (!tm_json_getn(v, name->u.s, name->len))
      VIOLATED(r->sink && tm_schema_tell(r, &f));
  }
  return bad;
}

int tm_schema_eval_object(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  const object_rules *o = n->object;
  uint32_t met = 0;
  int bad = 0;
  if (v->len < o->min)
    VIOLATED(tell_member(r, n, "minProperties", v, at, NULL, 0));
  if (v->len > o->max)
    VIOLATED(tell_member(r, n, "maxProperties", v, at, NULL, 0));
  if (r->sink && o->required)
    PART(tell_missing(r, n, v, at));
  if (o->walks)
    PART(check_members(r, n, v, at, m, &met));
  if (met < o->required && !r->sink)
    return 1;
  for (const dependency *d = o->dependencies; d; d = d->next)
    PART(check_dependency(r, n, d, v, at, m));
  return bad;
}
