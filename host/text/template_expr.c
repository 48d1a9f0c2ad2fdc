/* template_expr.c - parses what stands inside a tag: literals, paths, calls.
 *
 *   call  := value value* hash*        hash := name = value
 *   value := path | @path | literal | ( call )
 *   path  := (.. /)* name (. name)*    name := word | [any text]
 */
#include "text/template_parser.h"

#define MAX_PARTS 32

/* -- literals -------------------------------------------------------------------------- */

static int parse_string(parser *p, expr *e) {
  slice raw = p->token.text;
  char quote = raw.s[-1], *text = take(p, raw.len + 1);
  size_t n = 0;
  if (!text)
    return -1;
  for (size_t i = 0; i < raw.len; i++)
    if (!(raw.s[i] == '\\' && i + 1 < raw.len && raw.s[i + 1] == quote))
      text[n++] = raw.s[i];
  e->text = (slice){text, n};
  e->literal = tm_json_new_strn(p->arena, text, n);
  return 0;
}

static int parse_number(parser *p, expr *e) {
  slice t = p->token.text;
  char text[64] = {0};
  bool minus = t.s[0] == '-';
  size_t from = minus;
  while (from + 1 < t.len && t.s[from] == '0' && t.s[from + 1] != '.')
    from++;
  if (t.len - from + minus >= sizeof text)
    return REFUSE(p, p->token.at, "this number is too long");
  text[0] = '-';
  memcpy(text + minus, t.s + from, t.len - from);
  tm_json *value = NULL;
  if (tm_json_parse(&value, p->arena, text, t.len - from + minus, NULL, p->err) < 0 &&
      p->err->code != TM_LIMIT)
    return REFUSE(p, p->token.at, "this number is out of range");
  e->literal = value; /* NULL: the caller says that memory ran out */
  return 0;
}

static int parse_literal(parser *p, expr **out) {
  expr *e = *out = take(p, sizeof *e);
  if (!e)
    return -1;
  *e = (expr){.kind = EXPR_LITERAL, .at = p->token.at, .text = p->token.text};
  bool undefined = false;
  if (p->token.kind == TOKEN_STRING) {
    if (parse_string(p, e) < 0)
      return -1;
  } else if (p->token.kind == TOKEN_NUMBER) {
    if (parse_number(p, e) < 0)
      return -1;
  } else if (slice_is(e->text, "null")) {
    e->literal = tm_json_null(p->arena);
  } else if (slice_is(e->text, "undefined")) {
    undefined = true;
  } else {
    e->literal = tm_json_new_bool(p->arena, slice_is(e->text, "true"));
  }
  if (!e->literal && !undefined)
    return tm_template_fail(p->err, p->src, e->at, TM_LIMIT,
                            "no memory is left to compile this");
  return advance(p);
}

/* -- paths ----------------------------------------------------------------------------- */

static bool is_segment(const token *t) {
  return t->kind == TOKEN_ID || t->kind == TOKEN_SEGMENT || t->kind == TOKEN_NUMBER ||
         t->kind == TOKEN_WORD;
}

/* One segment: a step up, the current context, or a name. */
static int add_segment(parser *p, expr *e, slice parts[MAX_PARTS]) {
  slice name = p->token.text;
  bool up = slice_is(name, "..");
  if (p->token.kind == TOKEN_ID && (up || slice_is(name, ".") || slice_is(name, "this"))) {
    if (e->part_count)
      return REFUSE(p, p->token.at, "%.*s may only stand at the start of a path", TEXT(name));
    e->depth += up;
    e->scoped = true;
    return 0;
  }
  if (e->part_count == MAX_PARTS)
    return REFUSE(p, p->token.at, "a path has at most %d parts", MAX_PARTS);
  parts[e->part_count++] = name;
  return 0;
}

/* A name that `as |…|` gave stands for its value, not for a member of the context. */
static void bind_param(const parser *p, expr *e) {
  if (e->kind != EXPR_PATH || e->scoped || !e->part_count)
    return;
  size_t level = 0;
  for (const names *n = p->names; n; n = n->up, level++)
    for (size_t i = 0; i < n->count; i++)
      if (slice_equal(n->name[i], e->parts[0])) {
        e->kind = EXPR_PARAM;
        e->depth = level;
        e->param = i;
        e->parts++;
        e->part_count--;
        return;
      }
}

static int parse_path(parser *p, expr **out) {
  slice parts[MAX_PARTS];
  expr *e = *out = take(p, sizeof *e);
  if (!e)
    return -1;
  *e = (expr){.kind = EXPR_PATH, .at = p->token.at};
  const char *start = p->src->text + p->token.at, *end = start;
  if (p->token.kind == TOKEN_AT) {
    e->kind = EXPR_DATA;
    if (advance(p) < 0)
      return -1;
  }
  for (bool more = true; more;) {
    if (!is_segment(&p->token))
      return REFUSE(p, p->token.at, "a name is missing here");
    if (add_segment(p, e, parts) < 0)
      return -1;
    end = p->src->text + p->lexer.at;
    if (advance(p) < 0)
      return -1;
    more = p->token.kind == TOKEN_SEPARATOR;
    if (more && advance(p) < 0)
      return -1;
  }
  e->text = (slice){start, (size_t)(end - start)};
  if (p->token.kind == TOKEN_ID && p->token.text.s == end) /* a dot with nothing after it */
    return REFUSE(p, p->token.at, "a name is missing after this dot");
  if (e->kind == EXPR_DATA && !e->part_count)
    return REFUSE(p, e->at, "a name is missing after @");
  e->parts = take(p, sizeof parts[0] * (e->part_count + 1));
  if (!e->parts)
    return -1;
  memcpy(e->parts, parts, sizeof parts[0] * e->part_count);
  bind_param(p, e);
  return 0;
}

/* -- calls ----------------------------------------------------------------------------- */

bool tm_template_starts_value(const token *t) {
  return is_segment(t) || t->kind == TOKEN_STRING || t->kind == TOKEN_AT ||
         t->kind == TOKEN_LEFT;
}

static int parse_subexpression(parser *p, expr **out) {
  if (deeper(p) < 0 || advance(p) < 0 || tm_template_parse_call(p, out, '(') < 0 ||
      tm_template_check_call(p->src, *out, '(', 0, p->err) < 0)
    return -1;
  p->depth--;
  if (p->token.kind != TOKEN_RIGHT)
    return REFUSE(p, p->token.at, ") is missing here");
  return advance(p);
}

int tm_template_parse_value(parser *p, expr **out) {
  switch (p->token.kind) {
  case TOKEN_LEFT:
    return parse_subexpression(p, out);
  case TOKEN_STRING:
  case TOKEN_NUMBER:
  case TOKEN_WORD:
    return parse_literal(p, out);
  default:
    return parse_path(p, out);
  }
}

static int parse_hash(parser *p, hash_pair **out) {
  for (hash_pair **tail = out; p->token.before_equals; tail = &(*tail)->next) {
    hash_pair *pair = *tail = take(p, sizeof *pair);
    if (!pair)
      return -1;
    pair->name = p->token.text;
    if (advance(p) < 0 || advance(p) < 0)
      return -1;
    if (!tm_template_starts_value(&p->token))
      return REFUSE(p, p->token.at, "a value is missing after %.*s=", TEXT(pair->name));
    if (tm_template_parse_value(p, &pair->value) < 0)
      return -1;
  }
  if (tm_template_starts_value(&p->token))
    return REFUSE(p, p->token.at, "plain values come before name=value pairs");
  return 0;
}

int tm_template_parse_arguments(parser *p, expr *call) {
  for (expr **tail = &call->args;
       tm_template_starts_value(&p->token) && !p->token.before_equals; tail = &(*tail)->next) {
    if (tm_template_parse_value(p, tail) < 0)
      return -1;
    call->arg_count++;
  }
  return p->token.before_equals ? parse_hash(p, &call->hash) : 0;
}

/* {{"some key"}} and {{12}} look a member up, as {{[some key]}} does. */
static int literal_to_path(parser *p, expr *e) {
  slice *part = take(p, sizeof *part);
  if (!part)
    return -1;
  *part = e->text;
  e->kind = EXPR_PATH;
  e->parts = part;
  e->part_count = 1;
  return 0;
}

int tm_template_parse_call(parser *p, expr **out, char form) {
  expr *head = NULL, *call = take(p, sizeof *call);
  if (!call)
    return -1;
  if (p->token.kind == TOKEN_LEFT || !tm_template_starts_value(&p->token))
    return REFUSE(p, p->token.at, "a name is missing here");
  if (tm_template_parse_value(p, &head) < 0 ||
      (head->kind == EXPR_LITERAL && literal_to_path(p, head) < 0))
    return -1;
  *call = (expr){.kind = EXPR_CALL, .at = head->at, .text = head->text};
  if (tm_template_parse_arguments(p, call) < 0)
    return -1;
  bool simple = head->kind == EXPR_PATH && !head->scoped && head->part_count == 1;
  if (simple)
    call->helper = tm_template_helper_named(head->parts[0]);
  *out = call;
  if (call->helper != HELPER_NONE)
    return 0;
  if (call->args || call->hash || form == '(')
    return tm_template_unknown_helper(p->src, call, p->err);
  call->helper = HELPER_SECTION_OF;
  call->args = head;
  call->arg_count = 1;
  if (form == '{')
    *out = head;
  return 0;
}
