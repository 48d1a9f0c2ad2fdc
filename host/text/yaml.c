/* yaml.c - front matter and settings files: libyaml's events, held to a strict subset.
 *
 * Whatever YAML can say that JSON cannot (aliases, anchors, tags, several documents, keys
 * that are not text) is refused with its place. A container is built while it is open and
 * put into its parent when it closes, because the value tree copies what it is given:
 *
 *   levels[0] { input: . }   levels[1] { schema: . }   levels[2] { text: "string" }  <- open
 */
#include "text/yaml.h"

#include <yaml.h>

#define MAX_BYTES  ((size_t)64 << 10)
#define MAX_DEPTH  64
#define MAX_NUMBER 320 /* characters of a number; the longest useful double has far fewer */

typedef struct level {
  tm_json *value;
  const char *key; /* in the arena; NULL while a key is awaited */
  size_t key_len;
} level;

typedef struct reader {
  yaml_parser_t parser;
  yaml_event_t event;
  tm_arena *arena;
  tm_err *err;
  size_t first_line;
  size_t depth;
  level levels[MAX_DEPTH];
  tm_json *root;
} reader;

/* -- what went wrong ------------------------------------------------------------------- */

static size_t line_of(const reader *r, yaml_mark_t mark) {
  return r->first_line + mark.line;
}

__attribute__((format(printf, 4, 5))) static int fail_at(reader *r, yaml_mark_t mark,
                                                         tm_code code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tm_err_setv(r->err, code, fmt, args);
  va_end(args);
  return tm_err_wrap(r->err, "line %zu, column %zu", line_of(r, mark), mark.column + 1);
}

#define REFUSE(r, ...) fail_at((r), (r)->event.start_mark, TM_USAGE, __VA_ARGS__)

static int out_of_memory(reader *r) {
  return fail_at(r, r->event.start_mark, TM_LIMIT, "no memory is left to read this");
}

/* What people usually did when libyaml says this. */
static const char *hint_for(const char *problem) {
  static const struct {
    const char *problem, *hint;
  } hints[] = {
      {"found character that cannot start any token",
       "; indent with spaces, not tabs, and put text that begins with one of @ ` % in quotes"},
      {"found a tab character that violates indentation", "; indent with spaces"},
      {"mapping values are not allowed in this context",
       "; put text that contains \": \" in quotes, and check the indentation"},
      {"did not find expected key", "; the indentation of this line fits none above it"},
      {"could not find expected ':'", "; a key needs a colon and a space after it"},
      {"did not find expected ',' or ']'", "; a list in brackets is not closed"},
      {"did not find expected ',' or '}'", "; an object in braces is not closed"},
      {"found unexpected end of stream", "; a quote is not closed"},
      {"did not find expected <document start>",
       "; something follows a value that is complete"},
      {"control characters are not allowed", "; remove it"},
  };
  for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
    if (strcmp(problem, hints[i].problem) == 0)
      return hints[i].hint;
  return "";
}

static yaml_mark_t mark_at(const char *text, size_t offset) {
  yaml_mark_t mark = {.index = offset};
  for (size_t i = 0; i < offset; i++) {
    mark.column += ((unsigned char)text[i] & 0xC0) != 0x80;
    if (text[i] == '\n') {
      mark.line++;
      mark.column = 0;
    }
  }
  return mark;
}

static int refuse_syntax(reader *r, const char *text) {
  const yaml_parser_t *p = &r->parser;
  const char *problem = p->problem ? p->problem : "this is not YAML";
  if (p->error == YAML_MEMORY_ERROR)
    return out_of_memory(r);
  if (p->error == YAML_READER_ERROR)
    return fail_at(r, mark_at(text, p->problem_offset), TM_USAGE, "%s%s", problem,
                   hint_for(problem));
  if (p->context && p->context_mark.line != p->problem_mark.line)
    return fail_at(r, p->problem_mark, TM_USAGE, "%s %s that starts on line %zu%s", problem,
                   p->context, line_of(r, p->context_mark), hint_for(problem));
  return fail_at(r, p->problem_mark, TM_USAGE, "%s%s", problem, hint_for(problem));
}

/* -- scalars --------------------------------------------------------------------------- */

static bool is_one_of(const char *s, const char *const words[]) {
  for (size_t i = 0; words[i]; i++)
    if (strcmp(s, words[i]) == 0)
      return true;
  return false;
}

static size_t count_digits(const char *s) {
  return strspn(s, "0123456789");
}

/* Rewrite a decimal number of the core schema ("+01", ".5", "1.") as JSON writes it.
 * False when s is no number. */
static bool number_text(char out[MAX_NUMBER + 8], const char *s) {
  const char *sign = *s == '-' ? "-" : "";
  if (*s == '-' || *s == '+')
    s++;
  size_t whole = count_digits(s);
  const char *fraction = s[whole] == '.' ? s + whole + 1 : "";
  size_t places = count_digits(fraction);
  const char *rest = s[whole] == '.' ? fraction + places : s + whole;
  if (whole + places == 0)
    return false;
  const char *exponent = rest;
  if (*rest == 'e' || *rest == 'E') {
    rest++;
    if (*rest == '-' || *rest == '+')
      rest++;
    if (!count_digits(rest))
      return false;
    rest += count_digits(rest);
  }
  if (*rest)
    return false;
  for (; whole > 1 && *s == '0'; whole--)
    s++;
  bool point = fraction[0] || (exponent > s && exponent[-1] == '.');
  snprintf(out, MAX_NUMBER + 8, "%s%.*s%s%.*s%s", sign, whole ? (int)whole : 1, whole ? s : "0",
           point ? "." : "", places ? (int)places : (int)point, places ? fraction : "0",
           exponent);
  return true;
}

/* A plain scalar by the core schema, decimal numbers only; anything else is text. */
static int read_plain(reader *r, tm_json **out, const char *s, size_t len) {
  static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
  static const char *const trues[] = {"true", "True", "TRUE", NULL};
  static const char *const falses[] = {"false", "False", "FALSE", NULL};
  char number[MAX_NUMBER + 8];
  if (is_one_of(s, nulls))
    *out = tm_json_null(r->arena);
  else if (is_one_of(s, trues) || is_one_of(s, falses))
    *out = tm_json_new_bool(r->arena, is_one_of(s, trues));
  else if (len > MAX_NUMBER || !number_text(number, s))
    *out = tm_json_new_strn(r->arena, s, len);
  else if (tm_json_parse(out, r->arena, number, strlen(number), NULL, r->err) < 0)
    return r->err->code == TM_LIMIT && r->arena->failed
               ? out_of_memory(r)
               : REFUSE(r, "the number %s is out of range; put it in quotes to keep it as text",
                        number);
  return 0;
}

/* -- the tree -------------------------------------------------------------------------- */

/* Put a finished value where it belongs: the root, the open list, or under the open key. */
static int place(reader *r, const tm_json *value) {
  if (!value)
    return out_of_memory(r);
  if (r->depth == 0) {
    r->root = (tm_json *)value;
    return 0;
  }
  level *top = &r->levels[r->depth - 1];
  tm_json *put;
  if (tm_json_type_of(top->value) == TM_JSON_ARRAY) {
    put = tm_json_push(r->arena, top->value, value);
  } else {
    put = tm_json_setn(r->arena, top->value, top->key, top->key_len, value);
    top->key = NULL;
  }
  return put ? 0 : out_of_memory(r);
}

static bool awaits_key(const reader *r) {
  const level *top = r->depth ? &r->levels[r->depth - 1] : NULL;
  return top && tm_json_type_of(top->value) == TM_JSON_OBJECT && !top->key;
}

static int take_key(reader *r, const char *s, size_t len) {
  level *top = &r->levels[r->depth - 1];
  if (len == 0)
    return REFUSE(r, "this key is empty; give it a name");
  if (tm_json_getn(top->value, s, len))
    return REFUSE(r, "the key \"%s\" stands here twice; keep one of them", s);
  top->key = tm_arena_strndup(r->arena, s, len);
  top->key_len = len;
  return top->key ? 0 : out_of_memory(r);
}

static int refuse_decoration(reader *r, const yaml_char_t *anchor, const yaml_char_t *tag) {
  if (anchor)
    return REFUSE(r, "anchors (&%s) are not allowed; write the value out", anchor);
  if (tag)
    return REFUSE(r, "tags (%s) are not allowed; remove it", tag);
  return 0;
}

static int on_scalar(reader *r) {
  const char *s = (const char *)r->event.data.scalar.value;
  size_t len = r->event.data.scalar.length;
  if (refuse_decoration(r, r->event.data.scalar.anchor, r->event.data.scalar.tag) < 0)
    return -1;
  if (awaits_key(r))
    return take_key(r, s, len);
  tm_json *value = NULL;
  if (r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
    value = tm_json_new_strn(r->arena, s, len);
  else if (read_plain(r, &value, s, len) < 0)
    return -1;
  return place(r, value);
}

static int open_level(reader *r, tm_json *container, const yaml_char_t *anchor,
                      const yaml_char_t *tag) {
  if (refuse_decoration(r, anchor, tag) < 0)
    return -1;
  if (awaits_key(r))
    return REFUSE(r, "a key must be text, not a list or an object");
  if (r->depth == MAX_DEPTH)
    return fail_at(r, r->event.start_mark, TM_LIMIT, "nested deeper than %d levels", MAX_DEPTH);
  if (!container)
    return out_of_memory(r);
  r->levels[r->depth++] = (level){.value = container};
  return 0;
}

static int close_level(reader *r) {
  const tm_json *value = r->levels[--r->depth].value;
  return place(r, value);
}

static int on_event(reader *r) {
  switch (r->event.type) {
  case YAML_SCALAR_EVENT:
    return on_scalar(r);
  case YAML_SEQUENCE_START_EVENT:
    return open_level(r, tm_json_new_array(r->arena), r->event.data.sequence_start.anchor,
                      r->event.data.sequence_start.tag);
  case YAML_MAPPING_START_EVENT:
    return open_level(r, tm_json_new_object(r->arena), r->event.data.mapping_start.anchor,
                      r->event.data.mapping_start.tag);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    return close_level(r);
  case YAML_ALIAS_EVENT:
    return REFUSE(r,
                  "aliases (*%s) are not allowed; write the value out, or put text that "
                  "begins with * in quotes",
                  r->event.data.alias.anchor);
  case YAML_DOCUMENT_START_EVENT:
    return r->root ? REFUSE(r, "a second document starts here; only one is allowed") : 0;
  default:
    return 0;
  }
}

static int read_events(reader *r, const char *text) {
  for (bool more = true; more;) {
    if (!yaml_parser_parse(&r->parser, &r->event))
      return refuse_syntax(r, text);
    more = r->event.type != YAML_STREAM_END_EVENT;
    int rc = on_event(r);
    yaml_event_delete(&r->event);
    if (rc < 0)
      return -1;
  }
  return 0;
}

static int check_bytes(reader *r, const char *text, size_t len) {
  if (len > MAX_BYTES)
    return fail_at(r, (yaml_mark_t){0}, TM_LIMIT,
                   "%zu bytes of YAML are more than the %zu allowed", len, MAX_BYTES);
  size_t valid = tm_json_utf8_valid(text, len);
  if (valid < len)
    return fail_at(r, mark_at(text, valid), TM_USAGE,
                   "these bytes are not UTF-8; save the file as UTF-8");
  return 0;
}

int tm_yaml_parse(tm_json **out, tm_arena *a, const char *text, size_t len, int first_line,
                  tm_err *err) {
  reader r = {.arena = a, .err = err, .first_line = (size_t)first_line};
  if (check_bytes(&r, text, len) < 0)
    return -1;
  if (!yaml_parser_initialize(&r.parser))
    return out_of_memory(&r);
  yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
  yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
  int rc = read_events(&r, text);
  if (rc == 0 && !r.root) {
    r.root = tm_json_new_object(a);
    rc = r.root ? 0 : out_of_memory(&r);
  }
  yaml_parser_delete(&r.parser);
  if (rc == 0)
    *out = r.root;
  return rc;
}
