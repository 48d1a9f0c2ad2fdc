/* schema_say.c - a violation in words: what is wrong, and what to do about it.
 *
 * The words come from the schema's source, so a compiled node keeps none. Messages are for
 * people; the advice is written so that it can be handed to a model as it is.
 */
#include "text/schema_program.h"

#define VALUE_MAX   80   /* bytes of a value shown */
#define CHOICES_MAX 1500 /* bytes of a list of allowed values */
#define ABOUT_MAX   200  /* bytes of a description that goes into advice */
#define TEXT_MAX    (32 * 1024)

/* -- pieces of sentences --------------------------------------------------------------- */

void tm_schema_put_string(tm_buf *out, const char *s, size_t len) {
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

/* The beginning of a text that others wrote, as it is. */
void tm_schema_put_start(tm_buf *out, const char *text, size_t room) {
  size_t len = strlen(text), keep = len;
  if (len > room)
    for (keep = room; keep > 0 && ((unsigned char)text[keep] & 0xc0) == 0x80;)
      keep--;
  tm_buf_put(out, text, keep);
  if (keep < len)
    tm_buf_puts(out, "…");
}

static void put_count(tm_buf *out, unsigned long n, const char *noun) {
  tm_buf_printf(out, "%lu %s%s", n, noun, n == 1 ? "" : "s");
}

/* A value as it stands in a sentence. */
static void put_value(tm_buf *out, const tm_json *v) {
  if (v->type == TM_JSON_STRING) {
    tm_schema_put_string(out, v->u.s, v->len);
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
    tm_schema_put_string(out, v->u.s, v->len);
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

/* -- sentences ------------------------------------------------------------------------- */

const char *tm_schema_subject(const telling *t) {
  return t->place.len ? tm_buf_str(&t->place) : "the value";
}

/* "<subject> must <be what>; it is <value>" */
static void say_must(telling *t, const fault *f, const char *be, const tm_json *limit) {
  tm_buf_printf(&t->message, "%s must %s", tm_schema_subject(t), be);
  if (limit) {
    tm_buf_putc(&t->message, ' ');
    put_exact(&t->message, limit);
  }
  tm_buf_printf(&t->advice, "Correct %s: it must %s", tm_schema_subject(t), be);
  if (limit) {
    tm_buf_putc(&t->advice, ' ');
    put_exact(&t->advice, limit);
  }
  tm_buf_putc(&t->advice, '.');
  tm_buf_puts(&t->message, "; it is ");
  put_value(&t->message, f->value);
}

void tm_schema_say_type(telling *t, const fault *f, unsigned types) {
  tm_buf_printf(&t->message, "%s must be ", tm_schema_subject(t));
  put_types(&t->message, types);
  tm_buf_puts(&t->message, "; it is ");
  put_value(&t->message, f->value);
  tm_buf_printf(&t->advice, "Give %s as ", tm_schema_subject(t));
  put_types(&t->advice, types);
  bool quoted = f->value->type == TM_JSON_STRING;
  tm_buf_puts(&t->advice, quoted && !(types & TYPE_BIT(TM_JSON_STRING)) &&
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
    tm_schema_put_string(out, m->key, m->key_len);
  }
  return shown;
}

/* The schema `false`: what stands here may not stand here. */
static void say_forbidden(telling *t, const fault *f) {
  /* unevaluatedProperties: other schemas than the one around it may allow more */
  bool member =
      f->at && f->at->of->type == TM_JSON_OBJECT && f->n->keyword && f->n->keyword[0] != 'u';
  tm_buf allowed = {.limit = TEXT_MAX};
  size_t count = member ? put_allowed(&allowed, f->n->up) : 0;
  tm_buf_printf(&t->message, "%s is not allowed here", tm_schema_subject(t));
  if (count)
    tm_buf_printf(&t->message, "; allowed %s %s", count == 1 ? "is" : "are",
                  tm_buf_str(&allowed));
  tm_buf_printf(&t->advice, "Leave out %s", tm_schema_subject(t));
  if (count)
    tm_buf_printf(&t->advice, "; only %s may stand there", tm_buf_str(&allowed));
  tm_buf_putc(&t->advice, '.');
  tm_buf_free(&allowed);
}

static void say_const(telling *t, const fault *f, const tm_json *value) {
  tm_buf_printf(&t->message, "%s must be ", tm_schema_subject(t));
  put_exact(&t->message, value);
  tm_buf_puts(&t->message, "; it is ");
  put_value(&t->message, f->value);
  tm_buf_printf(&t->advice, "Set %s to exactly ", tm_schema_subject(t));
  put_exact(&t->advice, value);
  tm_buf_putc(&t->advice, '.');
}

void tm_schema_say_choice(telling *t, const fault *f, const tm_json *list) {
  tm_buf_printf(&t->message, "%s must be one of ", tm_schema_subject(t));
  put_list(&t->message, list, CHOICES_MAX / 4);
  tm_buf_puts(&t->message, "; it is ");
  put_value(&t->message, f->value);
  tm_buf_printf(&t->advice, "Use for %s exactly one of: ", tm_schema_subject(t));
  put_list(&t->advice, list, CHOICES_MAX);
  tm_buf_putc(&t->advice, '.');
}

static unsigned long chars_of(const tm_json *v) {
  unsigned long n = 0;
  for (uint32_t i = 0; i < v->len; i++)
    n += ((unsigned char)v->u.s[i] & 0xc0) != 0x80;
  return n;
}

/* minLength, maxItems ...: "must have at least 3 characters; it has 1" */
static void say_size(telling *t, const fault *f, const tm_json *limit, const char *noun) {
  bool least = f->keyword[1] == 'i';
  unsigned long want = (unsigned long)tm_json_int(limit, 0);
  unsigned long have = f->value->type == TM_JSON_STRING ? chars_of(f->value) : f->value->len;
  tm_buf_printf(&t->message, "%s must have at %s ", tm_schema_subject(t),
                least ? "least" : "most");
  put_count(&t->message, want, noun);
  tm_buf_printf(&t->message, "; it has %lu", have);
  tm_buf_printf(&t->advice, "%s %s to at %s ", least ? "Extend" : "Shorten",
                tm_schema_subject(t), least ? "least" : "most");
  put_count(&t->advice, want, noun);
  tm_buf_printf(&t->advice, "; it has %lu.", have);
}

static void say_required(telling *t, const fault *f) {
  tm_buf_printf(&t->message, "%s is missing ", tm_schema_subject(t));
  tm_schema_put_string(&t->message, f->key, f->key_len);
  tm_buf_puts(&t->advice, "Add the member ");
  tm_schema_put_string(&t->advice, f->key, f->key_len);
  const tm_json *properties = tm_json_get(f->n->source, "properties");
  const tm_json *schema = tm_json_getn(properties, f->key, f->key_len);
  const char *type = tm_json_get_str(schema, "type");
  const char *about = tm_json_get_str(schema, "description");
  if (type || about) {
    tm_buf_printf(&t->advice, " (%s%s", type ? type : "", type && about ? ": " : "");
    if (about)
      tm_schema_put_start(&t->advice, about, ABOUT_MAX);
    tm_buf_putc(&t->advice, ')');
  }
  tm_buf_printf(&t->advice, " to %s.",
                t->place.len ? tm_schema_subject(t) : "the object at the top");
}

static void say_dependent(telling *t, const fault *f) {
  tm_buf_printf(&t->message, "%s has ", tm_schema_subject(t));
  tm_schema_put_string(&t->message, f->key, f->key_len);
  tm_buf_puts(&t->message, " and so must have ");
  put_value(&t->message, f->value);
  tm_buf_puts(&t->message, " too");
  tm_buf_puts(&t->advice, "Add the member ");
  put_value(&t->advice, f->value);
  tm_buf_printf(&t->advice, " to %s, or leave out ", tm_schema_subject(t));
  tm_schema_put_string(&t->advice, f->key, f->key_len);
  tm_buf_putc(&t->advice, '.');
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

static void say_format(telling *t, const fault *f, const char *format) {
  const char *example = format_example(format);
  tm_buf_printf(&t->message, "%s must be a valid %s; it is ", tm_schema_subject(t), format);
  put_value(&t->message, f->value);
  tm_buf_printf(&t->advice, "Write %s as a valid %s", tm_schema_subject(t), format);
  if (example)
    tm_buf_printf(&t->advice, ", like %s", example);
  tm_buf_putc(&t->advice, '.');
}

static void say_pattern(telling *t, const fault *f, const tm_json *pattern) {
  const char *text = tm_json_str(pattern, NULL);
  tm_buf_printf(&t->message, "%s must match the pattern %s; it is ", tm_schema_subject(t),
                text);
  put_value(&t->message, f->value);
  tm_buf_printf(&t->advice, "Rewrite %s so that it matches the regular expression %s",
                tm_schema_subject(t), text);
  const char *about = tm_json_get_str(f->n->source, "description");
  if (about) {
    tm_buf_puts(&t->advice, " (");
    tm_schema_put_start(&t->advice, about, ABOUT_MAX);
    tm_buf_putc(&t->advice, ')');
  }
  tm_buf_putc(&t->advice, '.');
}

static void say_repeated(telling *t, const fault *f) {
  tm_buf_printf(&t->message, "%s must not repeat items; items %u and %u are both ",
                tm_schema_subject(t), f->first, f->second);
  put_value(&t->message, &f->value->u.items[f->second]);
  tm_buf_printf(&t->advice, "Remove the repeated item %u of %s.", f->second,
                tm_schema_subject(t));
}

static void say_contains(telling *t, const fault *f) {
  bool few = f->first < f->second;
  tm_buf_printf(&t->message, "%s must contain at %s ", tm_schema_subject(t),
                few ? "least" : "most");
  put_count(&t->message, f->second, "item");
  tm_buf_printf(&t->message, " of the kind that \"contains\" describes; it contains %u",
                f->first);
  tm_buf_printf(&t->advice, "%s %s so that at %s %u fit the schema in \"contains\".",
                few ? "Add items to" : "Remove items from", tm_schema_subject(t),
                few ? "least" : "most", f->second);
}

static void say_not(telling *t, const fault *f, const tm_json *schema) {
  tm_buf text = {.limit = TEXT_MAX};
  tm_json_print(&text, schema);
  bool brief = text.len <= VALUE_MAX && !text.failed;
  tm_buf_printf(&t->message, "%s must not fit the schema in \"not\"%s%s; it is ",
                tm_schema_subject(t), brief ? ", " : "", brief ? tm_buf_str(&text) : "");
  put_value(&t->message, f->value);
  tm_buf_printf(&t->advice, "Change %s so that it no longer fits what \"not\" excludes%s%s.",
                tm_schema_subject(t), brief ? ": " : "", brief ? tm_buf_str(&text) : "");
  tm_buf_free(&text);
}

static void say_both(telling *t, const fault *f) {
  tm_buf_printf(&t->message,
                "%s must fit exactly one of the alternatives in \"oneOf\"; it fits those "
                "numbered %u and %u",
                tm_schema_subject(t), f->first, f->second);
  tm_buf_printf(&t->advice, "Change %s so that only one of its alternatives fits.",
                tm_schema_subject(t));
}

static void say_number(telling *t, const fault *f, const tm_json *limit) {
  static const char *const phrases[][2] = {
      {"minimum", "be at least"},
      {"maximum", "be at most"},
      {"exclusiveMinimum", "be greater than"},
      {"exclusiveMaximum", "be less than"},
      {"multipleOf", "be a multiple of"},
  };
  for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
    if (strcmp(f->keyword, phrases[i][0]) == 0)
      say_must(t, f, phrases[i][1], limit);
}

void tm_schema_say(telling *t, const fault *f) {
  const char *k = f->keyword;
  const tm_json *limit = tm_json_get(f->n->source, k);
  size_t len = strlen(k);
  if (f->n->types == 0)
    say_forbidden(t, f);
  else if (strcmp(k, "type") == 0)
    tm_schema_say_type(t, f, f->n->types);
  else if (strcmp(k, "enum") == 0)
    tm_schema_say_choice(t, f, limit);
  else if (strcmp(k, "const") == 0)
    say_const(t, f, limit);
  else if (strcmp(k, "required") == 0)
    say_required(t, f);
  else if (strcmp(k, "dependentRequired") == 0 || strcmp(k, "dependencies") == 0)
    say_dependent(t, f);
  else if (len > 6 && strcmp(k + 3, "Length") == 0)
    say_size(t, f, limit, "character");
  else if (strcmp(k, "contains") == 0 || strcmp(k, "maxContains") == 0)
    say_contains(t, f);
  else if (strcmp(k + 3, "Items") == 0)
    say_size(t, f, limit, "item");
  else if (strcmp(k + 3, "Properties") == 0)
    say_size(t, f, limit, "member");
  else if (strcmp(k, "uniqueItems") == 0)
    say_repeated(t, f);
  else if (strcmp(k, "pattern") == 0)
    say_pattern(t, f, limit);
  else if (strcmp(k, "format") == 0)
    say_format(t, f, tm_json_get_str(f->n->source, k));
  else if (strcmp(k, "not") == 0)
    say_not(t, f, limit);
  else if (strcmp(k, "oneOf") == 0)
    say_both(t, f);
  else
    say_number(t, f, limit);
}

void tm_schema_telling_open(telling *t, const fault *f) {
  tm_buf_init(&t->place, TEXT_MAX);
  tm_buf_init(&t->message, TEXT_MAX);
  tm_buf_init(&t->advice, TEXT_MAX);
  tm_schema_place_print(&t->place, f->at);
}

void tm_schema_telling_free(telling *t) {
  tm_buf_free(&t->place);
  tm_buf_free(&t->message);
  tm_buf_free(&t->advice);
}
