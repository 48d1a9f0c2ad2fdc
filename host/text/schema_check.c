/* schema_check.c - the check itself: is this value allowed by this node?
 *
 * Each eval answers 0 valid, 1 invalid, -1 undecided. A first pass only wants the answer and
 * stops at the first violation; when the caller asked for a report, a second pass over the
 * invalid value goes on after each violation and tells it.
 */
#include <stdlib.h>

#include "text/schema_program.h"

int tm_schema_undecided(run *r, const place *at, const char *why) {
  tm_buf where;
  tm_buf_init(&where, 64 * 1024);
  tm_schema_place_print(&where, at);
  tm_schema_pointer_clip(&where);
  tm_err_set(r->err, TM_LIMIT, "%s: %s", where.len ? tm_buf_str(&where) : "the value", why);
  tm_buf_free(&where);
  return -1;
}

static bool tell(run *r, const node *n, const char *keyword, const tm_json *v,
                 const place *at) {
  const fault f = {.n = n, .keyword = keyword, .value = v, .at = at};
  return r->sink && tm_schema_tell(r, &f);
}

/* -- scalars --------------------------------------------------------------------------- */

static bool chosen(const choice *c, const tm_json *v) {
  if (v->type == TM_JSON_STRING) {
    word w = word_of(v->u.s, v->len);
    return tm_schema_words_find(&c->strings, &w) != WORD_NONE;
  }
  for (uint32_t i = 0; i < c->other_count; i++)
    if (tm_json_equal(c->others[i], v))
      return true;
  return false;
}

static int check_choices(run *r, const node *n, const tm_json *v, const place *at) {
  int bad = 0;
  for (const choice *c = n->choices; c; c = c->next)
    if (!chosen(c, v))
      VIOLATED(tell(r, n, c->keyword, v, at));
  return bad;
}

/* -1, 0, 1: exact, also between an int64 and a double. */
static int compare_mixed(int64_t i, double d) {
  if (d >= 9223372036854775808.0)
    return -1;
  if (d < -9223372036854775808.0)
    return 1;
  int64_t whole = (int64_t)d;
  if (i != whole)
    return i < whole ? -1 : 1;
  double rest = d - (double)whole;
  return rest > 0 ? -1 : rest < 0;
}

static int compare(const tm_json *a, const tm_json *b) {
  if (a->type == TM_JSON_INT && b->type == TM_JSON_INT)
    return (a->u.i > b->u.i) - (a->u.i < b->u.i);
  if (a->type == TM_JSON_INT)
    return compare_mixed(a->u.i, b->u.d);
  if (b->type == TM_JSON_INT)
    return -compare_mixed(b->u.i, a->u.d);
  return (a->u.d > b->u.d) - (a->u.d < b->u.d);
}

/* A number as digits * 10^exponent: the decimal that a person wrote, so that 0.0075 is a
 * multiple of 0.0001 although no double is. */
#define MANY_DIGITS UINT64_C(100000000000000000)

typedef struct decimal {
  uint64_t digits;
  int exponent;
} decimal;

static decimal decimal_of(const tm_json *v) {
  if (v->type == TM_JSON_INT)
    return (decimal){v->u.i < 0 ? -(uint64_t)v->u.i : (uint64_t)v->u.i, 0};
  char text[32];
  tm_json_format_double(text, fabs(v->u.d));
  decimal out = {0, 0};
  bool fraction = false;
  for (const char *c = text; *c && *c != 'e' && *c != 'E'; c++) {
    if (*c == '.') {
      fraction = true;
    } else if (out.digits >= MANY_DIGITS) { /* only zeros follow */
      out.exponent += !fraction;
    } else {
      out.digits = out.digits * 10 + (uint64_t)(*c - '0');
      out.exponent -= fraction;
    }
  }
  const char *e = strpbrk(text, "eE");
  if (e)
    out.exponent += atoi(e + 1);
  return out;
}

/* a mod b == 0, as decimals */
static bool is_multiple(const tm_json *a, const tm_json *b) {
  decimal x = decimal_of(a), y = decimal_of(b);
  if (x.digits == 0)
    return true;
  unsigned __int128 left = x.digits, unit = y.digits;
  if (x.exponent >= y.exponent) {
    left %= unit;
    for (int i = x.exponent - y.exponent; i > 0 && left; i--)
      left = left * 10 % unit;
    return left == 0;
  }
  for (int i = y.exponent - x.exponent; i > 0; i--) {
    unit *= 10;
    if (unit > left)
      return false;
  }
  return left % unit == 0;
}

static int check_number(run *r, const node *n, const tm_json *v, const place *at) {
  const number_rules *k = n->number;
  int bad = 0;
  if (k->simple && (v->type == TM_JSON_INT ? v->u.i >= k->least && v->u.i <= k->most
                                           : v->u.d >= k->low && v->u.d <= k->high))
    return 0;
  if (k->min && compare(v, k->min) < 0)
    VIOLATED(tell(r, n, "minimum", v, at));
  if (k->max && compare(v, k->max) > 0)
    VIOLATED(tell(r, n, "maximum", v, at));
  if (k->above && compare(v, k->above) <= 0)
    VIOLATED(tell(r, n, "exclusiveMinimum", v, at));
  if (k->below && compare(v, k->below) >= 0)
    VIOLATED(tell(r, n, "exclusiveMaximum", v, at));
  if (k->multiple && !is_multiple(v, k->multiple))
    VIOLATED(tell(r, n, "multipleOf", v, at));
  return bad;
}

static uint32_t count_chars(const char *s, uint32_t len) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < len; i++)
    n += ((unsigned char)s[i] & 0xc0) != 0x80;
  return n;
}

/* A code point takes one to four bytes: mostly the byte length settles it. */
static bool too_short(const tm_json *v, uint32_t min) {
  if (v->len < min)
    return true;
  return v->len / 4 < min && count_chars(v->u.s, v->len) < min;
}

static bool too_long(const tm_json *v, uint32_t max) {
  return v->len > max && count_chars(v->u.s, v->len) > max;
}

static int check_string(run *r, const node *n, const tm_json *v, const place *at) {
  const string_rules *k = n->string;
  int bad = 0;
  if (k->min && too_short(v, k->min))
    VIOLATED(tell(r, n, "minLength", v, at));
  if (too_long(v, k->max))
    VIOLATED(tell(r, n, "maxLength", v, at));
  if (k->pattern) {
    int match = tm_schema_regex_match(&r->regexes, k->pattern, v->u.s, v->len);
    if (match < 0)
      return tm_schema_undecided(r, at, "its pattern takes too long to match");
    if (match == 0)
      VIOLATED(tell(r, n, "pattern", v, at));
  }
  if (k->format && !tm_schema_format_fits(k->format, v->u.s, v->len))
    VIOLATED(tell(r, n, "format", v, at));
  return bad;
}

/* -- marks: what has been evaluated, for unevaluated* ---------------------------------- */

typedef struct marks_room {
  marks m;
  uint64_t local[MARKS_LOCAL];
} marks_room;

static marks *marks_open(run *r, marks_room *room, const tm_json *v) {
  room->m.words = (v->len + 63) / 64;
  room->m.bits = room->local;
  if (room->m.words > MARKS_LOCAL) {
    room->m.bits = tm_arena_alloc(&r->scratch, room->m.words * sizeof(uint64_t));
    if (!room->m.bits)
      return NULL;
  }
  memset(room->m.bits, 0, room->m.words * sizeof(uint64_t));
  return &room->m;
}

static void marks_merge(marks *into, const marks *from) {
  for (uint32_t i = 0; i < into->words; i++)
    into->bits[i] |= from->bits[i];
}

/* Evaluate a schema that may fail without harm: its marks count only when it does not. */
static int eval_branch(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  if (!m)
    return node_passes(n, v) ? 0 : tm_schema_eval(r, n, v, at, NULL);
  marks_room room;
  marks *own = marks_open(r, &room, v);
  if (!own)
    return tm_schema_undecided(r, at, "too large to keep track of what was evaluated");
  int answer = tm_schema_eval(r, n, v, at, own);
  if (answer == 0)
    marks_merge(m, own);
  return answer;
}

/* The same, and nobody hears of what is wrong. */
static int eval_quietly(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  fault_list *sink = r->sink;
  r->sink = NULL;
  int answer = eval_branch(r, n, v, at, m);
  r->sink = sink;
  return answer;
}

/* -- other schemas about the same value ------------------------------------------------ */

/* Where a $dynamicRef lands: in the outermost resource of the scope that has the name. */
static const node *dynamic_target(const run *r, const inplace *s) {
  const node *found = s->dynamic;
  if (!s->dynamic_name)
    return found;
  for (const scope *sc = r->scopes; sc; sc = sc->up)
    for (const anchor *a = sc->of->dynamic; a; a = a->next)
      if (strcmp(a->name, s->dynamic_name) == 0)
        found = a->node;
  return found;
}

/* How many alternatives hold; with marks all of them must be tried. */
static int count_matches(run *r, const node_list *l, const tm_json *v, const place *at,
                         marks *m, uint32_t enough, uint32_t found[2]) {
  int matches = 0;
  if (l->tags) {
    uint32_t member;
    found[0] = tm_schema_tags_find(l->tags, v, &member);
    if (found[0] == WORD_NONE)
      return 0;
    int answer = eval_quietly(r, l->list[found[0]], v, at, m);
    return answer < 0 ? -1 : !answer;
  }
  for (uint32_t i = 0; i < l->count; i++) {
    if (!node_type_fits(l->list[i], v))
      continue;
    int answer = eval_quietly(r, l->list[i], v, at, m);
    if (answer < 0)
      return -1;
    if (answer > 0)
      continue;
    if (matches < 2)
      found[matches] = i;
    if ((uint32_t)++matches == enough && !m)
      break;
  }
  return matches;
}

/* Try the alternatives once more, each with its own ear, and tell about the likeliest. */
static bool tell_none(run *r, const node *n, const char *keyword, const node_list *l,
                      const tm_json *v, const place *at) {
  fault_list *sink = r->sink;
  const fault f = {.n = n, .keyword = keyword, .value = v, .at = at};
  if (!sink)
    return false;
  if (l->tags && v->type == TM_JSON_OBJECT) {
    uint32_t member, which = tm_schema_tags_find(l->tags, v, &member);
    if (which != WORD_NONE) {
      tm_schema_eval(r, l->list[which], v, at, NULL);
      return run_collects(r);
    }
    if (member != WORD_NONE) {
      const place here = {at, v, member};
      const fault tag = {
          .n = n, .keyword = keyword, .value = &v->u.members[member].value, .at = &here};
      return tm_schema_tell_tag(r, &tag, l->tags);
    }
  }
  fault_list *tries = tm_arena_array(&r->scratch, fault_list, (size_t)l->count + 1);
  if (!tries)
    return false;
  for (uint32_t i = 0; i < l->count; i++) {
    tries[i] = (fault_list){.arena = &r->scratch, .max = sink->max};
    r->sink = &tries[i];
    if (tm_schema_eval(r, l->list[i], v, at, NULL) < 0)
      tm_err_clear(r->err); /* the answer is known: this part of the report is poorer */
  }
  r->sink = sink;
  return tm_schema_tell_none(r, &f, tries, l->count);
}

static int check_groups(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  const inplace *s = n->same;
  uint32_t found[2] = {0, 0};
  int bad = 0;
  for (uint32_t i = 0; i < s->all.count; i++)
    if (m || !node_passes(s->all.list[i], v))
      PART(tm_schema_eval(r, s->all.list[i], v, at, m));
  if (s->any.count) {
    int matches = count_matches(r, &s->any, v, at, m, 1, found);
    if (matches < 0)
      return -1;
    if (matches == 0)
      VIOLATED(tell_none(r, n, "anyOf", &s->any, v, at));
  }
  if (s->one.count) {
    int matches = count_matches(r, &s->one, v, at, m, 2, found);
    if (matches < 0)
      return -1;
    if (matches == 0)
      VIOLATED(tell_none(r, n, "oneOf", &s->one, v, at));
    const fault f = {.n = n,
                     .keyword = "oneOf",
                     .value = v,
                     .at = at,
                     .first = found[0],
                     .second = found[1]};
    if (matches > 1)
      VIOLATED(r->sink && tm_schema_tell(r, &f));
  }
  return bad;
}

static int check_same(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  const inplace *s = n->same;
  int bad = 0;
  if (++r->steps > SCHEMA_STEPS)
    return tm_schema_undecided(r, at, "the schema takes too many steps to check");
  if (s->ref)
    PART(tm_schema_eval(r, s->ref, v, at, m));
  if (s->dynamic)
    PART(tm_schema_eval(r, dynamic_target(r, s), v, at, m));
  if (s->all.count || s->any.count || s->one.count)
    PART(check_groups(r, n, v, at, m));
  if (s->none) {
    int answer = eval_quietly(r, s->none, v, at, NULL);
    if (answer < 0)
      return -1;
    if (answer == 0)
      VIOLATED(tell(r, n, "not", v, at));
  }
  if (s->condition) {
    int answer = eval_quietly(r, s->condition, v, at, m);
    if (answer < 0)
      return -1;
    const node *next = answer == 0 ? s->then : s->otherwise;
    if (next)
      PART(tm_schema_eval(r, next, v, at, m));
  }
  return bad;
}

/* -- one node -------------------------------------------------------------------------- */

static int check_rules(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  int bad = 0;
  if (n->choices)
    PART(check_choices(r, n, v, at));
  switch ((tm_json_type)v->type) {
  case TM_JSON_INT:
  case TM_JSON_DOUBLE:
    if (n->number)
      PART(check_number(r, n, v, at));
    break;
  case TM_JSON_STRING:
    if (n->string)
      PART(check_string(r, n, v, at));
    break;
  case TM_JSON_ARRAY:
    if (n->array)
      PART(tm_schema_eval_array(r, n, v, at, m));
    break;
  case TM_JSON_OBJECT:
    if (n->object)
      PART(tm_schema_eval_object(r, n, v, at, m));
    break;
  case TM_JSON_NULL:
  case TM_JSON_BOOL:
    break;
  }
  if (n->same)
    PART(check_same(r, n, v, at, m));
  return bad;
}

/* unevaluated* looks at what this node's own parts have seen, and hands it on. */
static int check_wide(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  if (v->type != TM_JSON_OBJECT && v->type != TM_JSON_ARRAY)
    return check_rules(r, n, v, at, NULL);
  marks_room room;
  marks *own = marks_open(r, &room, v);
  if (!own)
    return tm_schema_undecided(r, at, "too large to keep track of what was evaluated");
  int answer = check_rules(r, n, v, at, own);
  /* after a violation too little is marked: what it would say of the rest misleads */
  if (answer == 0)
    answer = tm_schema_eval_rest(r, n, v, at, own);
  if (answer == 0 && m)
    marks_merge(m, own);
  return answer;
}

/* The node's resource joins the dynamic scope for as long as the node is evaluated. */
static int check_scoped(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  const scope inner = {r->scopes, n->home};
  r->scopes = &inner;
  int answer = n->wide ? check_wide(r, n, v, at, m) : check_rules(r, n, v, at, m);
  r->scopes = inner.up;
  return answer;
}

static int too_deep(run *r, const place *at) {
  unsigned links = 0;
  for (const place *p = at; p; p = p->up)
    links++;
  return tm_schema_undecided(r, at,
                             links * 8 < SCHEMA_DEPTH
                                 ? "infinite recursion: the schema refers to itself without "
                                   "going deeper into the value"
                                 : "nested too deep to check");
}

int tm_schema_eval(run *r, const node *n, const tm_json *v, const place *at, marks *m) {
  if (!node_type_fits(n, v)) {
    tell(r, n, "type", v, at);
    return 1;
  }
  if (r->depth == SCHEMA_DEPTH)
    return too_deep(r, at);
  r->depth++;
  int answer = r->schema->dynamic ? check_scoped(r, n, v, at, m)
               : n->wide          ? check_wide(r, n, v, at, m)
                                  : check_rules(r, n, v, at, m);
  r->depth--;
  return answer;
}

/* -- the door -------------------------------------------------------------------------- */

#define REPORT_MAX 20

static int check_with_report(run *r, const tm_json *value, tm_schema_report *report) {
  fault_list sink = {.arena = report->arena, .max = report->max ? report->max : REPORT_MAX};
  r->sink = &sink;
  r->steps = 0;
  int answer = tm_schema_eval(r, r->schema->root, value, NULL, NULL);
  r->sink = NULL;
  report->errors = sink.list;
  report->count = sink.count;
  if (answer == 1 && sink.count == 0)
    return tm_err_set(r->err, TM_LIMIT, "out of memory while reporting what is wrong");
  return answer;
}

int tm_schema_check(const tm_schema *s, const tm_json *value, tm_schema_report *report,
                    tm_err *err) {
  run r;
  r.schema = s;
  r.sink = NULL;
  r.scopes = NULL;
  r.depth = 0;
  r.steps = 0;
  r.err = err;
  r.regexes.context = r.regexes.data = NULL;
  r.regexes.used = 0;
  tm_arena_init(&r.scratch, SCHEMA_SCRATCH);
  if (report) {
    report->errors = NULL;
    report->count = 0;
  }
  int answer = node_passes(s->root, value) ? 0 : tm_schema_eval(&r, s->root, value, NULL, NULL);
  if (answer == 1 && report)
    answer = check_with_report(&r, value, report);
  tm_schema_regex_room_free(&r.regexes);
  tm_arena_free(&r.scratch);
  return answer;
}
