/* template_parse.c - tokens to tree, by recursive descent: text, tags, blocks, partials.
 *
 *   program := (text | comment | print | block | partial)*
 *   print   := {{ call }}
 *   block   := {{# call names? }} program (else program)? {{/ path }}
 *   else    := {{else}} | {{^}} | {{else call names? }} program else?
 *   partial := {{> name value? hash* }}
 */
#include "text/template_parser.h"

#define MAX_UNITS 256

static int parse_program(parser *p, program **out);

/* -- nodes ----------------------------------------------------------------------------- */

static node *append(parser *p, program *to, node_kind kind) {
  node *n = take(p, sizeof *n);
  if (!n)
    return NULL;
  *n = (node){.kind = kind, .at = p->token.at, .strip = p->token.strip, .prev = to->last};
  if (to->last)
    to->last->next = n;
  else
    to->first = n;
  to->last = n;
  return n;
}

/* The end of a tag: }} and its tilde. */
static int close_tag(parser *p, node *n) {
  if (p->token.kind != TOKEN_CLOSE)
    return REFUSE(p, p->token.at, "}} is missing here");
  n->strip.close = p->token.strip.close;
  return advance(p);
}

static int parse_text(parser *p, program *to, node_kind kind) {
  node *n = append(p, to, kind);
  if (!n)
    return -1;
  n->text = n->original = p->token.text;
  return advance(p);
}

static int parse_print(parser *p, program *to) {
  node *n = append(p, to, NODE_PRINT);
  if (!n || advance(p) < 0 || tm_template_parse_call(p, &n->call, '{') < 0)
    return -1;
  if (n->call->kind == EXPR_CALL && tm_template_check_call(p->src, n->call, '{', 0, p->err) < 0)
    return -1;
  return close_tag(p, n);
}

/* -- partials -------------------------------------------------------------------------- */

/* Partial names become file names: a relative path that stays inside its folder. */
static bool is_partial_name(slice s) {
  bool fresh = true;
  for (size_t i = 0; i < s.len; i++) {
    if (fresh && (s.s[i] == '.' || s.s[i] == '/'))
      return false;
    if (s.s[i] == '\\' || (unsigned char)s.s[i] < ' ')
      return false;
    fresh = s.s[i] == '/';
  }
  return s.len > 0 && !fresh;
}

static int find_unit(parser *p, node *n, slice name) {
  unit **at = &p->template->units;
  size_t count = 0;
  for (; *at; at = &(*at)->next, count++)
    if (slice_equal((*at)->name, name)) {
      n->partial = *at;
      return 0;
    }
  if (count == MAX_UNITS)
    return REFUSE(p, n->at, "a template has at most %d partials", MAX_UNITS);
  unit *u = n->partial = *at = take(p, sizeof *u);
  if (!u)
    return -1;
  *u = (unit){.name = name, .caller = p->src, .at = n->at};
  return 0;
}

static int parse_partial(parser *p, program *to) {
  node *n = append(p, to, NODE_PARTIAL);
  expr *name = NULL;
  if (!n || advance(p) < 0)
    return -1;
  if (p->token.kind == TOKEN_LEFT)
    return REFUSE(p, p->token.at, "a partial's name is fixed; choose between partials by #if");
  if (!tm_template_starts_value(&p->token))
    return REFUSE(p, p->token.at, "the partial's name is missing here");
  if (tm_template_parse_value(p, &name) < 0)
    return -1;
  if (!is_partial_name(name->text))
    return REFUSE(p, name->at, "%.*s is no name of a partial; write {{> folder/name}}",
                  TEXT(name->text));
  expr call = {0};
  if (find_unit(p, n, name->text) < 0 || tm_template_parse_arguments(p, &call) < 0)
    return -1;
  if (call.arg_count > 1)
    return REFUSE(p, call.args->next->at,
                  "a partial takes one context; pass more by name=value");
  n->context = call.args;
  n->hash = call.hash;
  return close_tag(p, n);
}

/* -- blocks ---------------------------------------------------------------------------------
 */

static int parse_names(parser *p, names *n) {
  if (p->token.kind != TOKEN_AS)
    return 0;
  if (advance(p) < 0)
    return -1;
  for (; p->token.kind == TOKEN_ID; n->count++) {
    if (n->count == 2)
      return REFUSE(p, p->token.at, "a block gives at most two names");
    n->name[n->count] = p->token.text;
    if (advance(p) < 0)
      return -1;
  }
  if (!n->count)
    return REFUSE(p, p->token.at, "a name is missing after |");
  if (p->token.kind != TOKEN_PIPE)
    return REFUSE(p, p->token.at, "| is missing after the names");
  return advance(p);
}

/* {{# or {{else, the call, the names, }}. */
static int parse_block_open(parser *p, node *block, names *n) {
  if (advance(p) < 0 || tm_template_parse_call(p, &block->call, '#') < 0 ||
      parse_names(p, n) < 0)
    return -1;
  block->param_count = n->count;
  if (tm_template_check_call(p->src, block->call, '#', n->count, p->err) < 0)
    return -1;
  return close_tag(p, block);
}

static int parse_body(parser *p, node *block, names *n) {
  n->up = p->names;
  if (n->count)
    p->names = n;
  int rc = parse_program(p, &block->body);
  p->names = n->up;
  return rc;
}

static int parse_rest(parser *p, node *block, names *n, bool chained);

/* {{else if x}} is an inverse that holds one block. That block has no closing tag, so the
 * tildes of the tag that follows it (or its own) count as its closing ones. */
static int parse_chain(parser *p, node *block, bool chained) {
  program *inverse = block->inverse = take(p, sizeof *inverse);
  node *nested = inverse ? append(p, inverse, NODE_BLOCK) : NULL;
  names n = {0};
  if (!nested || parse_block_open(p, nested, &n) < 0)
    return -1;
  inverse->chained = true;
  block->inverse_strip = nested->strip;
  if (chained)
    block->close_strip = nested->strip;
  if (parse_rest(p, nested, &n, true) < 0)
    return -1;
  if (chained)
    nested->close_strip = nested->strip;
  return 0;
}

/* Body and else part, up to the closing tag. */
static int parse_rest(parser *p, node *block, names *n, bool chained) {
  if (deeper(p) < 0 || parse_body(p, block, n) < 0)
    return -1;
  int rc = 0;
  if (p->token.kind == TOKEN_OPEN_ELSE) {
    rc = parse_chain(p, block, chained);
  } else if (p->token.kind == TOKEN_ELSE) {
    block->inverse_strip = p->token.strip;
    if (chained)
      block->close_strip = p->token.strip;
    rc = advance(p) < 0 ? -1 : parse_program(p, &block->inverse);
  }
  p->depth--;
  return rc;
}

static int parse_block_end(parser *p, node *block) {
  slice name = block->call->text;
  if (p->token.kind == TOKEN_END)
    return REFUSE(p, block->at, "this block is not closed by {{/%.*s}}", TEXT(name));
  if (p->token.kind != TOKEN_OPEN_END)
    return REFUSE(p, p->token.at, "a second else; a block has one");
  size_t at = p->token.at;
  block->close_strip.open = p->token.strip.open;
  expr *path = NULL;
  if (advance(p) < 0 || tm_template_parse_value(p, &path) < 0)
    return -1;
  if (!slice_equal(path->text, name))
    return REFUSE(p, at, "{{/%.*s}} stands where {{/%.*s}} is due", TEXT(path->text),
                  TEXT(name));
  if (p->token.kind != TOKEN_CLOSE)
    return REFUSE(p, p->token.at, "}} is missing here");
  block->close_strip.close = p->token.strip.close;
  return advance(p);
}

static int parse_block(parser *p, program *to) {
  bool inverted = p->token.kind == TOKEN_OPEN_INVERSE;
  node *block = append(p, to, NODE_BLOCK);
  names n = {0};
  if (!block || parse_block_open(p, block, &n) < 0)
    return -1;
  if (inverted && n.count)
    return REFUSE(p, block->at, "{{^ … }} gives no names; use {{# … }} and {{else}}");
  if (parse_rest(p, block, &n, false) < 0 || parse_block_end(p, block) < 0)
    return -1;
  if (block->inverse && block->inverse->chained)
    block->inverse->first->close_strip = block->close_strip;
  if (inverted) {
    program *body = block->body;
    block->body = block->inverse;
    block->inverse = body;
  }
  return 0;
}

static int parse_program(parser *p, program **out) {
  program *to = *out = take(p, sizeof *to);
  if (!to)
    return -1;
  for (int rc = 0; rc == 0;)
    switch (p->token.kind) {
    case TOKEN_TEXT:
      rc = parse_text(p, to, NODE_TEXT);
      break;
    case TOKEN_COMMENT:
      rc = parse_text(p, to, NODE_COMMENT);
      break;
    case TOKEN_OPEN:
      rc = parse_print(p, to);
      break;
    case TOKEN_OPEN_BLOCK:
    case TOKEN_OPEN_INVERSE:
      rc = parse_block(p, to);
      break;
    case TOKEN_OPEN_PARTIAL:
      rc = parse_partial(p, to);
      break;
    default:
      return 0;
    }
  return -1;
}

int tm_template_parse(program **out, tm_arena *a, tm_template *t, const tm_template_source *src,
                      tm_err *err) {
  parser p = {.arena = a, .template = t, .src = src, .lexer = {.src = src}, .err = err};
  if (advance(&p) < 0 || parse_program(&p, out) < 0)
    return -1;
  if (p.token.kind == TOKEN_OPEN_END)
    return REFUSE(&p, p.token.at, "this closes a block that was never opened");
  if (p.token.kind != TOKEN_END)
    return REFUSE(&p, p.token.at, "an else outside of any block");
  return 0;
}
