/* template_run.h - the state of one rendering: what names mean at each place of the tree. */
#ifndef TM_TEXT_TEMPLATE_RUN_H
#define TM_TEXT_TEMPLATE_RUN_H

#include "text/template_tree.h"

#define TM_TEMPLATE_OUTPUT ((size_t)16 << 20) /* bytes of rendered text */

/* The context and those around it, for `..`. */
typedef struct scope {
  const tm_json *value; /* NULL: undefined */
  const struct scope *up;
} scope;

/* What each round of #each adds to the @ variables. */
typedef struct frame {
  size_t index, count;
  const tm_json_member *member; /* NULL: a list */
  const struct frame *up;
} frame;

/* Values of `as |a b|`. */
typedef struct params {
  const tm_json *value[2];
  const struct params *up;
} params;

/* Indent of a partial that stood alone on an indented line. */
typedef struct indent {
  slice text;
  bool due; /* a line begins: the next byte gets the indent */
  struct indent *up;
} indent;

/* Everything that a name can mean at one place of the tree. */
typedef struct place {
  const tm_template_source *src;
  const scope *scope;
  const frame *frame;
  const params *params;
  indent *indent;
} place;

typedef struct render {
  stream *out;
  tm_arena *scratch;
  tm_buf text; /* of the value being printed */
  const tm_json *root, *context;
  size_t steps, depth;
  tm_err *err;
} render;

#define FAIL(r, in, at, code, ...) \
  tm_template_fail((r)->err, (in)->src, (at), (code), __VA_ARGS__)

/* Both set the error and return -1. */
int tm_template_no_memory(render *r, const place *in, size_t at);
int tm_template_too_large(render *r, const place *in, size_t at);

/* The value of an expression; NULL is undefined. */
int tm_template_evaluate(render *r, const place *in, const expr *e, const tm_json **out);
/* The value of name=, undefined when it was not given. */
int tm_template_evaluate_named(render *r, const place *in, const expr *call, const char *name,
                               const tm_json **out);
/* index, key, first or last of a round; NULL: no such name, or no memory. */
const tm_json *tm_template_frame_value(render *r, const frame *f, slice name);

/* The bytes that {{value}} would print; valid until the next call. */
int tm_template_text_of(render *r, const place *in, size_t at, const tm_json *v, slice *out);
/* The same, NUL-terminated and for the whole rendering; NULL sets the error. */
const char *tm_template_kept_text(render *r, const place *in, size_t at, const tm_json *v);
/* The bytes of {{json value indent=2}}, into r->text. */
int tm_template_json_of(render *r, const place *in, const expr *call);

#endif
