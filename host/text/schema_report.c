/* schema_report.c - a violation in words: where, what, and what to do about it.
 *
 * The words come from the schema's source, so a compiled node keeps none. Messages are for
 * people; the advice is written so that it can be handed to a model as it is.
 */
#include <stdio.h>

#include "text/schema_program.h"

#define VALUE_MAX   80   /* bytes of a value shown */
#define CHOICES_MAX 1500 /* bytes of a list of allowed values */
#define TEXT_MAX    (32 * 1024)
#define POINTER_MAX 300 /* bytes of a pointer in an error that has no field for it */

/* -- pointers ------------------------------------------------------------------------- */

static void put_token(tm_buf *out, const char *s, size_t len) {
  tm_buf_putc(out, '/');
  for (size_t i = 0; i < len; i++) {
    if (s[i] == '~')
      tm_buf_puts(out, "~0");
    else if (s[i] == '/')
      tm_buf_puts(out, "~1");
    else
      tm_buf_putc(out, s[i]);
  }
}

static void put_node(tm_buf *out, const node *n) {
  if (!n->up) {
    if (n->home->outside)
      tm_buf_printf(out, "%s#", n->home->uri);
    return;
  }
  put_node(out, n->up);
  tm_buf_printf(out, "/%s", n->keyword);
  if (n->key)
    put_token(out, n->key, n->key_len);
  if (n->index >= 0)
    tm_buf_printf(out, "/%lld", (long long)n->index);
}

void tm_schema_node_print(tm_buf *out, const node *n, const char *keyword) {
  put_node(out, n);
  if (keyword)
    tm_buf_printf(out, "/%s", keyword);
}

void tm_schema_place_print(tm_buf *out, const place *at) {
  if (!at)
    return;
  tm_schema_place_print(out, at->up);
  if (at->of->type == TM_JSON_ARRAY)
    tm_buf_printf(out, "/%u", at->index);
  else
    put_token(out, at->of->u.members[at->index].key, at->of->u.members[at->index].key_len);
}

void tm_schema_pointer_clip(tm_buf *pointer) {
  size_t keep = POINTER_MAX;
  if (pointer->len <= keep)
    return;
  while (keep > 0 && ((unsigned char)pointer->data[keep] & 0xc0) == 0x80)
    keep--;
  pointer->len = keep;
  tm_buf_puts(pointer, "…");
}

/* -- pieces of sentences ----------------------------------------------------------------- */

static void put_string(tm_buf *out, const char *s, size_t len) {
  size_t keep = len;
  if (keep > VALUE_MAX)
    for (keep = VALUE_MAX; keep > 0 && ((unsigned char)s[keep] & 0xc0) == 0x80;)
      keep--;
  const tm_json cut = {.type = TM_JSON_STRING, .len = (uint32_t)keep, .u.s = s};
  tm_json_print(out, &cut);
  if (keep < len && out->len) {
    out->len--; /* the quote */
    tm_buf_puts(out, "…\"");
  }
}

static void put_count(tm_buf *out, unsigned long n, const char *noun) {
  tm_buf_printf(out, "%lu %s%s", n, noun, n == 1 ? "" : "s");
}

/* A value as it stands in a sentence. */
static void put_value(tm_buf *out, const tm_json *v) {
  if (v->type == TM_JSON_STRING) {
    put_string(out, v->u.s, v->len);
  } else if (v->type == TM_JSON_ARRAY && v->len) {
    tm_buf_puts(out, "an array of ");
    put_count(out, v->len, "item");
  } else if (v->type == TM_JSON_OBJECT && v->len) {
    tm_buf_puts(out, "an object with ");
    put_count(out, v->len, "member");
  } else {
    tm_json_print(out, v);
  }
}

/* A value as it must be written. */
static void put_exact(tm_buf *out, const tm_json *v) {
  if (v->type == TM_JSON_STRING)
    put_string(out, v->u.s, v->len);
  else
    tm_json_print(out, v);
}

static void put_list(tm_buf *out, const tm_json *list, size_t room) {
  size_t start = out->len;
  for (uint32_t i = 0; i < list->len; i++) {
    if (i)
      tm_buf_puts(out, ", ");
    if (out->len - start > room) {
      tm_buf_printf(out, "… and %u more", list->len - i);
      return;
    }
    put_exact(out, &list->u.items[i]);
  }
}

static void put_types(tm_buf *out, unsigned types) {
  static const struct {
    unsigned bit;
    const char *words;
  } names[] = {
      {TYPE_BIT(TM_JSON_STRING), "a string"},  {TYPE_BIT(TM_JSON_DOUBLE), "a number"},
      {TYPE_INTEGRAL, "an integer"},           {TYPE_BIT(TM_JSON_BOOL), "true or false"},
      {TYPE_BIT(TM_JSON_OBJECT), "an object"}, {TYPE_BIT(TM_JSON_ARRAY), "an array"},
      {TYPE_BIT(TM_JSON_NULL), "null"},
  };
  if (types & TYPE_BIT(TM_JSON_DOUBLE))
    types &= ~TYPE_INTEGRAL;
  bool first = true;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!(types & names[i].bit))
      continue;
    tm_buf_printf(out, "%s%s", first ? "" : " or ", names[i].words);
    first = false;
  }
}

/* -- sentences ------------------------------------------------------------------------------
 */

typedef struct words_of {
  tm_buf place; /* the instance pointer */
  tm_buf message;
  tm_buf advice;
} words_of;

static const char *subject(const words_of *w) {
  return w->place.len ? tm_buf_str(&w->place) : "the value";
}

/* "<subject> must <be what>; it is <value>" */
static void say_must(words_of *w, const fault *f, const char *be, const tm_json *limit) {
  tm_buf_printf(&w->message, "%s must %s", subject(w), be);
  if (limit) {
    tm_buf_putc(&w->message, ' ');
    put_exact(&w->message, limit);
  }
  tm_buf_printf(&w->advice, "Correct %s: it must %s", subject(w), be);
  if (limit) {
    tm_buf_putc(&w->advice, ' ');
    put_exact(&w->advice, limit);
  }
  tm_buf_putc(&w->advice, '.');
  tm_buf_puts(&w->message, "; it is ");
  put_value(&w->message, f->value);
}

static void say_type(words_of *w, const fault *f, unsigned types) {
  tm_buf_printf(&w->message, "%s must be ", subject(w));
  put_types(&w->message, types);
  tm_buf_puts(&w->message, "; it is ");
  put_value(&w->message, f->value);
  tm_buf_printf(&w->advice, "Give %s as ", subject(w));
  put_types(&w->advice, types);
  bool quoted = f->value->type == TM_JSON_STRING;
  tm_buf_puts(&w->advice, quoted && !(types & TYPE_BIT(TM_JSON_STRING)) &&
                                  (types & (TYPE_INTEGRAL | TYPE_BIT(TM_JSON_DOUBLE) |
                                            TYPE_BIT(TM_JSON_BOOL)))
                              ? ", without quotes."
                              : ".");
}

/* Names that the schema around a forbidden member allows; how many there are. */
static size_t put_allowed(tm_buf *out, const node *around) {
  size_t shown = 0, start = out->len;
  const tm_json *properties = around ? tm_json_get(around->source, "properties") : NULL;
  for (size_t i = 0; i < tm_json_len(properties); i++) {
    const tm_json_member *m = tm_json_member_at(properties, i);
    if (m->value.type == TM_JSON_BOOL && !m->value.u.b)
      continue;
    if (shown++)
      tm_buf_puts(out, ", ");
    if (out->len - start > CHOICES_MAX) {
      tm_buf_puts(out, "…");
      break;
    }
    put_string(out, m->key, m->key_len);
  }
  return shown;
}

/* The schema `false`: what stands here may not stand here. */
static void say_forbidden(words_of *w, const fault *f) {
  /* unevaluatedProperties: other schemas than the one around it may allow more */
  bool member =
      f->at && f->at->of->type == TM_JSON_OBJECT && f->n->keyword && f->n->keyword[0] != 'u';
  tm_buf allowed = {.limit = TEXT_MAX};
  size_t count = member ? put_allowed(&allowed, f->n->up) : 0;
  tm_buf_printf(&w->message, "%s is not allowed here", subject(w));
  if (count)
    tm_buf_printf(&w->message, "; allowed %s %s", count == 1 ? "is" : "are",
                  tm_buf_str(&allowed));
  tm_buf_printf(&w->advice, "Leave out %s", subject(w));
  if (count)
    tm_buf_printf(&w->advice, "; only %s may stand there", tm_buf_str(&allowed));
  tm_buf_putc(&w->advice, '.');
  tm_buf_free(&allowed);
}

static void say_choice(words_of *w, const fault *f, const tm_json *list, bool one) {
  tm_buf_printf(&w->message, "%s must be %s", subject(w), one ? "" : "one of ");
  tm_buf_printf(&w->advice,
                one ? "Set %s to exactly " : "Use for %s exactly one of: ", subject(w));
  if (one) {
    put_exact(&w->message, list);
    put_exact(&w->advice, list);
  } else {
    put_list(&w->message, list, CHOICES_MAX / 4);
    put_list(&w->advice, list, CHOICES_MAX);
  }
  tm_buf_puts(&w->message, "; it is ");
  put_value(&w->message, f->value);
  tm_buf_putc(&w->advice, '.');
}

static unsigned long chars_of(const tm_json *v) {
  unsigned long n = 0;
  for (uint32_t i = 0; i < v->len; i++)
    n += ((unsigned char)v->u.s[i] & 0xc0) != 0x80;
  return n;
}

/* minLength, maxItems ...: "must have at least 3 characters; it has 1" */
static void say_size(words_of *w, const fault *f, const tm_json *limit, const char *noun) {
  bool least = f->keyword[1] == 'i';
  unsigned long want = (unsigned long)tm_json_int(limit, 0);
  unsigned long have = f->value->type == TM_JSON_STRING ? chars_of(f->value) : f->value->len;
  tm_buf_printf(&w->message, "%s must have at %s ", subject(w), least ? "least" : "most");
  put_count(&w->message, want, noun);
  tm_buf_printf(&w->message, "; it has %lu", have);
  tm_buf_printf(&w->advice, "%s %s to at %s ", least ? "Extend" : "Shorten", subject(w),
                least ? "least" : "most");
  put_count(&w->advice, want, noun);
  tm_buf_printf(&w->advice, "; it has %lu.", have);
}

static void say_required(words_of *w, const fault *f) {
  tm_buf_printf(&w->message, "%s is missing ", subject(w));
  put_string(&w->message, f->key, f->key_len);
  tm_buf_puts(&w->advice, "Add the member ");
  put_string(&w->advice, f->key, f->key_len);
  const tm_json *properties = tm_json_get(f->n->source, "properties");
  const tm_json *schema = tm_json_getn(properties, f->key, f->key_len);
  const char *type = tm_json_get_str(schema, "type");
  const char *about = tm_json_get_str(schema, "description");
  if (type || about) {
    tm_buf_printf(&w->advice, " (%s%s", type ? type : "", type && about ? ": " : "");
    if (about)
      tm_buf_printf(&w->advice, "%.200s", about);
    tm_buf_putc(&w->advice, ')');
  }
  tm_buf_printf(&w->advice, " to %s.", w->place.len ? subject(w) : "the object at the top");
}

static void say_dependent(words_of *w, const fault *f) {
  tm_buf_printf(&w->message, "%s has ", subject(w));
  put_string(&w->message, f->key, f->key_len);
  tm_buf_puts(&w->message, " and so must have ");
  put_value(&w->message, f->value);
  tm_buf_puts(&w->message, " too");
  tm_buf_puts(&w->advice, "Add the member ");
  put_value(&w->advice, f->value);
  tm_buf_printf(&w->advice, " to %s, or leave out ", subject(w));
  put_string(&w->advice, f->key, f->key_len);
  tm_buf_putc(&w->advice, '.');
}

static const char *format_example(const char *format) {
  static const char *const examples[][2] = {
      {"date-time", "2031-05-31T13:45:00Z"},
      {"date", "2031-05-31"},
      {"time", "13:45:00Z"},
      {"duration", "P1DT2H30M"},
      {"email", "ada@example.org"},
      {"hostname", "www.example.org"},
      {"ipv4", "192.0.2.1"},
      {"ipv6", "2001:db8::1"},
      {"uri", "https://example.org/page"},
      {"uuid", "123e4567-e89b-42d3-a456-426614174000"},
      {"json-pointer", "/items/0"},
  };
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
    if (strcmp(format, examples[i][0]) == 0)
      return examples[i][1];
  return NULL;
}

static void say_format(words_of *w, const fault *f, const char *format) {
  const char *example = format_example(format);
  tm_buf_printf(&w->message, "%s must be a valid %s; it is ", subject(w), format);
  put_value(&w->message, f->value);
  tm_buf_printf(&w->advice, "Write %s as a valid %s", subject(w), format);
  if (example)
    tm_buf_printf(&w->advice, ", like %s", example);
  tm_buf_putc(&w->advice, '.');
}

static void say_pattern(words_of *w, const fault *f, const tm_json *pattern) {
  const char *text = tm_json_str(pattern, NULL);
  tm_buf_printf(&w->message, "%s must match the pattern %s; it is ", subject(w), text);
  put_value(&w->message, f->value);
  tm_buf_printf(&w->advice, "Rewrite %s so that it matches the regular expression %s",
                subject(w), text);
  const char *about = tm_json_get_str(f->n->source, "description");
  if (about)
    tm_buf_printf(&w->advice, " (%.200s)", about);
  tm_buf_putc(&w->advice, '.');
}

static void say_repeated(words_of *w, const fault *f) {
  tm_buf_printf(&w->message, "%s must not repeat items; items %u and %u are both ", subject(w),
                f->first, f->second);
  put_value(&w->message, &f->value->u.items[f->second]);
  tm_buf_printf(&w->advice, "Remove the repeated item %u of %s.", f->second, subject(w));
}

static void say_contains(words_of *w, const fault *f) {
  bool few = f->first < f->second;
  tm_buf_printf(&w->message, "%s must contain at %s ", subject(w), few ? "least" : "most");
  put_count(&w->message, f->second, "item");
  tm_buf_printf(&w->message, " of the kind that \"contains\" describes; it contains %u",
                f->first);
  tm_buf_printf(&w->advice, "%s %s so that at %s %u fit the schema in \"contains\".",
                few ? "Add items to" : "Remove items from", subject(w), few ? "least" : "most",
                f->second);
}

static void say_not(words_of *w, const fault *f, const tm_json *schema) {
  tm_buf text = {.limit = TEXT_MAX};
  tm_json_print(&text, schema);
  bool brief = text.len <= VALUE_MAX && !text.failed;
  tm_buf_printf(&w->message, "%s must not fit the schema in \"not\"%s%s; it is ", subject(w),
                brief ? ", " : "", brief ? tm_buf_str(&text) : "");
  put_value(&w->message, f->value);
  tm_buf_printf(&w->advice, "Change %s so that it no longer fits what \"not\" excludes%s%s.",
                subject(w), brief ? ": " : "", brief ? tm_buf_str(&text) : "");
  tm_buf_free(&text);
}

static void say_both(words_of *w, const fault *f) {
  tm_buf_printf(&w->message,
                "%s must fit exactly one of the alternatives in \"oneOf\"; it fits those "
                "numbered %u and %u",
                subject(w), f->first, f->second);
  tm_buf_printf(&w->advice, "Change %s so that only one of its alternatives fits.", subject(w));
}

static void say_number(words_of *w, const fault *f, const tm_json *limit) {
  static const char *const phrases[][2] = {
      {"minimum", "be at least"},
      {"maximum", "be at most"},
      {"exclusiveMinimum", "be greater than"},
      {"exclusiveMaximum", "be less than"},
      {"multipleOf", "be a multiple of"},
  };
  for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
    if (strcmp(f->keyword, phrases[i][0]) == 0)
      say_must(w, f, phrases[i][1], limit);
}

static void say(words_of *w, const fault *f) {
  const char *k = f->keyword;
  const tm_json *limit = tm_json_get(f->n->source, k);
  size_t len = strlen(k);
  if (f->n->types == 0)
    say_forbidden(w, f);
  else if (strcmp(k, "type") == 0)
    say_type(w, f, f->n->types);
  else if (strcmp(k, "enum") == 0 || strcmp(k, "const") == 0)
    say_choice(w, f, limit, k[0] == 'c');
  else if (strcmp(k, "required") == 0)
    say_required(w, f);
  else if (strcmp(k, "dependentRequired") == 0 || strcmp(k, "dependencies") == 0)
    say_dependent(w, f);
  else if (len > 6 && strcmp(k + 3, "Length") == 0)
    say_size(w, f, limit, "character");
  else if (strcmp(k, "contains") == 0 || strcmp(k, "maxContains") == 0)
    say_contains(w, f);
  else if (strcmp(k + 3, "Items") == 0)
    say_size(w, f, limit, "item");
  else if (strcmp(k + 3, "Properties") == 0)
    say_size(w, f, limit, "member");
  else if (strcmp(k, "uniqueItems") == 0)
    say_repeated(w, f);
  else if (strcmp(k, "pattern") == 0)
    say_pattern(w, f, limit);
  else if (strcmp(k, "format") == 0)
    say_format(w, f, tm_json_get_str(f->n->source, k));
  else if (strcmp(k, "not") == 0)
    say_not(w, f, limit);
  else if (strcmp(k, "oneOf") == 0)
    say_both(w, f);
  else
    say_number(w, f, limit);
}

/* -- the list of faults
 * ------------------------------------------------------------------------ */

static char *keep(tm_arena *a, const tm_buf *b) {
  return tm_arena_strndup(a, tm_buf_str(b), b->len);
}

/* Room for one more; NULL when the report's memory ran out (then it counts as full). */
static tm_schema_error *next_error(fault_list *l) {
  if (l->count < l->cap)
    return &l->list[l->count];
  size_t cap = l->cap ? l->cap * 2 : 4;
  tm_schema_error *bigger = tm_arena_array(l->arena, tm_schema_error, cap);
  if (!bigger)
    return NULL;
  if (l->count)
    memcpy(bigger, l->list, l->count * sizeof *bigger);
  l->list = bigger;
  l->cap = cap;
  return &l->list[l->count];
}

static bool add(fault_list *l, tm_schema_error e) {
  tm_schema_error *room = l->count < l->max ? next_error(l) : NULL;
  if (!room || !e.instance || !e.schema || !e.message || !e.advice) {
    l->max = l->count;
    return false;
  }
  *room = e;
  return ++l->count < l->max;
}

static void words_open(words_of *w, const fault *f) {
  tm_buf_init(&w->place, TEXT_MAX);
  tm_buf_init(&w->message, TEXT_MAX);
  tm_buf_init(&w->advice, TEXT_MAX);
  tm_schema_place_print(&w->place, f->at);
}

static bool words_add(run *r, words_of *w, const fault *f) {
  tm_buf where;
  tm_buf_init(&where, TEXT_MAX);
  bool forbidden = f->n->types == 0;
  tm_schema_node_print(&where, f->n, forbidden ? NULL : f->keyword);
  tm_arena *a = r->sink->arena;
  bool more =
      add(r->sink, (tm_schema_error){
                       .instance = keep(a, &w->place),
                       .schema = keep(a, &where),
                       .keyword = forbidden && f->n->keyword ? f->n->keyword : f->keyword,
                       .message = keep(a, &w->message),
                       .advice = keep(a, &w->advice),
                   });
  tm_buf_free(&where);
  tm_buf_free(&w->place);
  tm_buf_free(&w->message);
  tm_buf_free(&w->advice);
  return more;
}

bool tm_schema_tell(run *r, const fault *f) {
  words_of w;
  words_open(&w, f);
  say(&w, f);
  return words_add(r, &w, f);
}

bool tm_schema_tell_name(run *r, const fault *f, const fault_list *why) {
  words_of w;
  words_open(&w, f);
  tm_buf_puts(&w.message, "the name ");
  put_string(&w.message, f->key, f->key_len);
  tm_buf_printf(&w.message, " is not allowed for a member: %s",
                why->count ? why->list[0].message : "the schema for names refuses it");
  tm_buf_puts(&w.advice, "Rename or leave out the member ");
  put_string(&w.advice, f->key, f->key_len);
  tm_buf_putc(&w.advice, '.');
  return words_add(r, &w, f);
}

bool tm_schema_tell_tag(run *r, const fault *f, const tag_table *t) {
  words_of w;
  words_open(&w, f);
  tm_json *list = tm_json_new_array(&r->scratch);
  for (uint32_t i = 0; i < t->values.count; i++)
    tm_json_push(&r->scratch, list,
                 tm_json_new_strn(&r->scratch, t->values.list[i].s, t->values.list[i].len));
  if (list)
    say_choice(&w, f, list, false);
  return words_add(r, &w, f);
}

/* -- alternatives
 * --------------------------------------------------------------------------------- */

#define NOT_MEANT 1000 /* the alternative is about another kind of value */
#define OTHER_TAG 500  /* another value of a member that tells kinds apart */

static bool is_keyword(const tm_schema_error *e, const char *k) {
  return strcmp(e->keyword, k) == 0;
}

/* How far the value is from an alternative: the fewer and the deeper its faults, the nearer. */
static unsigned distance(const fault_list *try, const char *instance) {
  size_t len = strlen(instance);
  unsigned far = (unsigned)try->count;
  if (try->count == 0)
    return NOT_MEANT * 2;
  for (size_t i = 0; i < try->count; i++) {
    const tm_schema_error *e = &try->list[i];
    bool value = is_keyword(e, "const") || is_keyword(e, "enum");
    bool here = e->instance[len] == 0;
    bool child = !here && !strchr(e->instance + len + 1, '/');
    if (here && (value || is_keyword(e, "type")))
      far += NOT_MEANT;
    else if (child && value)
      far += OTHER_TAG;
  }
  return far;
}

/* All of them want another type: the types together. 0: no. */
static unsigned wanted_types(const fault *f, const fault_list *tries, uint32_t count,
                             const char *instance) {
  const inplace *s = f->n->same;
  const node_list *l = f->keyword[0] == 'a' ? &s->any : &s->one;
  unsigned types = 0;
  for (uint32_t i = 0; i < count; i++) {
    const fault_list *t = &tries[i];
    if (t->count != 1 || !is_keyword(t->list, "type") ||
        strcmp(t->list->instance, instance) != 0 || l->list[i]->types == TYPE_ALL)
      return 0;
    types |= l->list[i]->types;
  }
  return types;
}

static bool copy_error(fault_list *to, const tm_schema_error *e) {
  return add(to, (tm_schema_error){
                     .instance = tm_arena_strdup(to->arena, e->instance),
                     .schema = tm_arena_strdup(to->arena, e->schema),
                     .keyword = e->keyword,
                     .message = tm_arena_strdup(to->arena, e->message),
                     .advice = tm_arena_strdup(to->arena, e->advice),
                 });
}

#define ALTERNATIVES_SHOWN 4

static void say_none(words_of *w, const fault *f, const fault_list *tries, uint32_t count) {
  unsigned types = wanted_types(f, tries, count, tm_buf_str(&w->place));
  if (types) {
    say_type(w, f, types);
    return;
  }
  tm_buf_printf(&w->message, "%s fits none of the %u alternatives", subject(w), count);
  tm_buf_printf(&w->advice, "Change %s so that one of its %u alternatives fits", subject(w),
                count);
  for (uint32_t i = 0; i < count && i < ALTERNATIVES_SHOWN; i++) {
    const fault_list *t = &tries[i];
    if (t->count == 0)
      continue;
    tm_buf_printf(&w->message, "; number %u: %.300s", i, t->list[0].message);
    size_t len = strlen(t->list[0].advice);
    tm_buf_printf(&w->advice, "; for number %u: %.*s", i, (int)(len ? len - 1 : 0),
                  t->list[0].advice);
  }
  tm_buf_putc(&w->advice, '.');
}

bool tm_schema_tell_none(run *r, const fault *f, const fault_list *tries, uint32_t count) {
  words_of w;
  words_open(&w, f);
  unsigned nearest = NOT_MEANT;
  const fault_list *meant = NULL;
  for (uint32_t i = 0; i < count; i++) {
    unsigned far = distance(&tries[i], tm_buf_str(&w.place));
    if (far < nearest) {
      nearest = far;
      meant = &tries[i];
    } else if (far == nearest) {
      meant = NULL;
    }
  }
  if (!meant) {
    say_none(&w, f, tries, count);
    return words_add(r, &w, f);
  }
  tm_buf_free(&w.place);
  bool more = true;
  for (size_t i = 0; i < meant->count && more; i++)
    more = copy_error(r->sink, &meant->list[i]);
  return more;
}

tm_json *tm_schema_report_json(tm_arena *a, const tm_schema_report *r) {
  tm_json *out = tm_json_new_array(a);
  for (size_t i = 0; i < r->count; i++) {
    const tm_schema_error *e = &r->errors[i];
    tm_json *o = tm_json_new_object(a);
    tm_json_set_str(a, o, "instance", e->instance);
    tm_json_set_str(a, o, "schema", e->schema);
    tm_json_set_str(a, o, "keyword", e->keyword);
    tm_json_set_str(a, o, "message", e->message);
    tm_json_push(a, out, o);
  }
  return a->failed ? NULL : out;
}
