/* schema_report.c - violations collected: where each stands, in pointers, and which of
 * several alternatives is worth telling about.
 */
#include "text/schema_program.h"

#define TEXT_MAX    (32 * 1024)
#define REASON_MAX  300 /* bytes of one alternative's message inside another */
#define POINTER_MAX 300 /* bytes of a pointer in an error that has no field for it */

/* -- pointers -------------------------------------------------------------------------- */

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

/* -- the list of faults ---------------------------------------------------------------- */

/* NULL when there was no memory for it, here or while it was written. */
static char *keep(tm_arena *a, const tm_buf *b) {
  return b->failed && !b->len ? NULL : tm_arena_strndup(a, tm_buf_str(b), b->len);
}

/* The control character at s in code points, 0: it is none. *len: its bytes. */
static unsigned control_at(const char *s, size_t *len) {
  unsigned char c = (unsigned char)s[0], next = (unsigned char)s[c ? 1 : 0];
  bool second = c == 0xc2 && next >= 0x80 && next < 0xa0; /* U+0080 to U+009F */
  *len = second ? 2 : 1;
  return second ? next : c < 0x20 || c == 0x7f ? c : 0;
}

char *tm_schema_keep_line(tm_arena *a, const tm_buf *b) {
  tm_buf line;
  tm_buf_init(&line, TEXT_MAX);
  for (size_t at = 0, len; at < b->len; at += len) {
    unsigned control = control_at(b->data + at, &len);
    if (control)
      tm_buf_printf(&line, "\\u%04x", control);
    else
      tm_buf_putc(&line, b->data[at]);
  }
  char *kept = b->failed && !b->len ? NULL : keep(a, &line);
  tm_buf_free(&line);
  return kept;
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

/* Add what was said, and be done with it. */
static bool add_telling(run *r, telling *t, const fault *f) {
  tm_buf where;
  tm_buf_init(&where, TEXT_MAX);
  bool forbidden = f->n->types == 0;
  tm_schema_node_print(&where, f->n, forbidden ? NULL : f->keyword);
  tm_arena *a = r->sink->arena;
  tm_schema_error e = {
      .instance = keep(a, &t->place),
      .schema = keep(a, &where),
      .keyword = forbidden && f->n->keyword ? f->n->keyword : f->keyword,
      .message = tm_schema_keep_line(a, &t->message),
      .advice = tm_schema_keep_line(a, &t->advice),
  };
  tm_buf_free(&where);
  tm_schema_telling_free(t);
  return add(r->sink, e);
}

bool tm_schema_tell(run *r, const fault *f) {
  telling t;
  tm_schema_telling_open(&t, f);
  tm_schema_say(&t, f);
  return add_telling(r, &t, f);
}

bool tm_schema_tell_name(run *r, const fault *f, const fault_list *why) {
  telling t;
  tm_schema_telling_open(&t, f);
  tm_buf_puts(&t.message, "the name ");
  tm_schema_put_string(&t.message, f->key, f->key_len);
  tm_buf_printf(&t.message, " is not allowed for a member: %s",
                why->count ? why->list[0].message : "the schema for names refuses it");
  tm_buf_puts(&t.advice, "Rename or leave out the member ");
  tm_schema_put_string(&t.advice, f->key, f->key_len);
  tm_buf_putc(&t.advice, '.');
  return add_telling(r, &t, f);
}

bool tm_schema_tell_tag(run *r, const fault *f, const tag_table *tags) {
  telling t;
  tm_schema_telling_open(&t, f);
  tm_json *list = tm_json_new_array(&r->scratch);
  for (uint32_t i = 0; i < tags->values.count; i++)
    tm_json_push(
        &r->scratch, list,
        tm_json_new_strn(&r->scratch, tags->values.list[i].s, tags->values.list[i].len));
  if (list)
    tm_schema_say_choice(&t, f, list);
  return add_telling(r, &t, f);
}

/* -- alternatives ---------------------------------------------------------------------- */

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

static void say_none(telling *t, const fault *f, const fault_list *tries, uint32_t count) {
  unsigned types = wanted_types(f, tries, count, tm_buf_str(&t->place));
  if (types) {
    tm_schema_say_type(t, f, types);
    return;
  }
  tm_buf_printf(&t->message, "%s fits none of the %u alternatives", tm_schema_subject(t),
                count);
  tm_buf_printf(&t->advice, "Change %s so that one of its %u alternatives fits",
                tm_schema_subject(t), count);
  for (uint32_t i = 0; i < count && i < ALTERNATIVES_SHOWN; i++) {
    const tm_schema_error *first = tries[i].list;
    if (tries[i].count == 0)
      continue;
    tm_buf_printf(&t->message, "; number %u: ", i);
    tm_schema_put_start(&t->message, first->message, REASON_MAX);
    size_t len = strlen(first->advice);
    tm_buf_printf(&t->advice, "; for number %u: %.*s", i, (int)(len ? len - 1 : 0),
                  first->advice);
  }
  tm_buf_putc(&t->advice, '.');
}

bool tm_schema_tell_none(run *r, const fault *f, const fault_list *tries, uint32_t count) {
  telling t;
  tm_schema_telling_open(&t, f);
  unsigned nearest = NOT_MEANT;
  const fault_list *meant = NULL;
  for (uint32_t i = 0; i < count; i++) {
    unsigned far = distance(&tries[i], tm_buf_str(&t.place));
    if (far < nearest) {
      nearest = far;
      meant = &tries[i];
    } else if (far == nearest) {
      meant = NULL;
    }
  }
  if (!meant) {
    say_none(&t, f, tries, count);
    return add_telling(r, &t, f);
  }
  tm_schema_telling_free(&t);
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
