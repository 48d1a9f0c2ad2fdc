/* template_parser.h - the state of one parse, shared by its two halves: expressions and nodes.
 */
#ifndef TM_TEXT_TEMPLATE_PARSER_H
#define TM_TEXT_TEMPLATE_PARSER_H

#include "text/template_tree.h"

/* Names that `as |a b|` gives, innermost first. */
typedef struct names {
  slice name[2];
  size_t count;
  struct names *up;
} names;

typedef struct parser {
  tm_arena *arena;
  tm_template *template;
  const tm_template_source *src;
  lexer lexer;
  token token; /* the next one, not yet used */
  names *names;
  size_t depth;
  tm_err *err;
} parser;

#define REFUSE(p, at, ...) tm_template_fail((p)->err, (p)->src, (at), TM_USAGE, __VA_ARGS__)
#define TEXT(slice)        (int)(slice).len, (slice).s

static inline int advance(parser *p) {
  return tm_template_lex(&p->lexer, &p->token, p->err);
}

/* Zeroed memory of the template; NULL sets the error. */
static inline void *take(parser *p, size_t size) {
  void *got = tm_arena_zalloc(p->arena, size);
  if (!got)
    tm_template_fail(p->err, p->src, p->token.at, TM_LIMIT,
                     "no memory is left to compile this");
  return got;
}

/* One level further in; the caller takes it back from p->depth. */
static inline int deeper(parser *p) {
  if (++p->depth > TM_TEMPLATE_NESTING)
    return tm_template_fail(p->err, p->src, p->token.at, TM_LIMIT,
                            "nested deeper than %d levels", TM_TEMPLATE_NESTING);
  return 0;
}

/* Can the next token begin a value? */
bool tm_template_starts_value(const token *t);
int tm_template_parse_value(parser *p, expr **out);
/* value* name=value*, into call->args and call->hash. */
int tm_template_parse_arguments(parser *p, expr *call);
/* A call of a helper, or a plain value. Form: '{' print, '#' block, '(' subexpression. */
int tm_template_parse_call(parser *p, expr **out, char form);

#endif
