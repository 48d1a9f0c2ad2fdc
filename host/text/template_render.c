/* template_render.c - tree and data to a stream of pieces.
 *
 * Text and structure never mix: a helper such as role adds a piece of its own kind, and
 * what a variable prints is only ever added to a text piece. All limits on what a template
 * may cost are kept here: output bytes, steps, and depth.
 */
#include "text/template_run.h"

#define MAX_STEPS 20000000 /* nodes and items visited */
#define MAX_DEPTH 200      /* blocks and partials inside each other, at run time */

static int run(render *r, const place *in, const program *p);

/* -- the output stream ----------------------------------------------------------------- */

static piece *add_piece(render *r, piece_kind kind) {
  piece *p = tm_arena_new(r->scratch, piece);
  if (!p)
    return NULL;
  *p = (piece){.kind = kind, .start = r->out->text.len};
  if (r->out->last)
    r->out->last->next = p;
  else
    r->out->first = p;
  r->out->last = p;
  return p;
}

static void put(render *r, const char *s, size_t len) {
  piece *p = r->out->last;
  if (len == 0)
    return;
  if (!p || p->kind != PIECE_TEXT)
    p = add_piece(r, PIECE_TEXT);
  tm_buf_put(&r->out->text, s, len);
  if (p)
    p->len += len;
  else
    r->out->text.failed = true;
}

/* Through all indents, innermost first: each puts its own before the bytes of a line. */
static void put_indented(render *r, indent *in, const char *s, size_t len) {
  if (!in) {
    put(r, s, len);
    return;
  }
  while (len > 0 && !r->out->text.failed) {
    if (in->due)
      put_indented(r, in->up, in->text.s, in->text.len);
    const char *newline = memchr(s, '\n', len);
    size_t n = newline ? (size_t)(newline - s) + 1 : len;
    in->due = newline != NULL;
    put_indented(r, in->up, s, n);
    s += n;
    len -= n;
  }
}

static int put_text(render *r, const place *in, size_t at, const char *s, size_t len) {
  put_indented(r, in->indent, s, len);
  return r->out->text.failed ? tm_template_too_large(r, in, at) : 0;
}

/* A structural piece; it counts as the start of a line for the indents it stands in. NULL
 * when memory ran out. */
static piece *put_piece(render *r, const place *in, piece_kind kind) {
  for (indent *i = in->indent; i; i = i->up)
    if (i->due) {
      i->due = false;
      put_indented(r, i->up, i->text.s, i->text.len);
    }
  return r->out->text.failed ? NULL : add_piece(r, kind);
}

/* -- helpers that print ---------------------------------------------------------------- */

/* name=value pairs as an object on top of `base`; undefined becomes null. */
static int collect(render *r, const place *in, size_t at, const hash_pair *pairs,
                   tm_json *object) {
  for (const hash_pair *h = pairs; h; h = h->next) {
    const tm_json *v;
    if (tm_template_evaluate(r, in, h->value, &v) < 0)
      return -1;
    if (!v)
      v = tm_json_null(r->scratch);
    if (!v || !tm_json_setn(r->scratch, object, h->name.s, h->name.len, v))
      return tm_template_no_memory(r, in, at);
  }
  return 0;
}

/* The template itself may open any role. A role that comes from data must not reach the
 * place that instructions come from. */
static int check_role(render *r, const place *in, const expr *e, const char *role) {
  slice name = {role, strlen(role)};
  if (!tm_template_is_role(name))
    return FAIL(r, in, e->at, TM_USAGE,
                "there is no role \"%s\"; the roles are system, user, model, tool", role);
  if (e->kind != EXPR_LITERAL && slice_is(name, "system"))
    return FAIL(r, in, e->at, TM_USAGE,
                "the role system comes from a variable here; only {{role \"system\"}}, written "
                "in the template, may open it");
  return 0;
}

static int run_role(render *r, const place *in, const expr *call) {
  const tm_json *v;
  if (tm_template_evaluate(r, in, call->args, &v) < 0)
    return -1;
  const char *role = tm_template_kept_text(r, in, call->at, v);
  if (!role || check_role(r, in, call->args, role) < 0)
    return -1;
  tm_json *extra = call->hash ? tm_json_new_object(r->scratch) : NULL;
  if (extra && collect(r, in, call->at, call->hash, extra) < 0)
    return -1;
  piece *p = put_piece(r, in, PIECE_ROLE);
  if (!p || (call->hash && !extra))
    return tm_template_no_memory(r, in, call->at);
  p->name = role;
  p->extra = extra;
  return 0;
}

static int run_media(render *r, const place *in, const expr *call) {
  const tm_json *url, *type;
  if (tm_template_evaluate_named(r, in, call, "url", &url) < 0 ||
      tm_template_evaluate_named(r, in, call, "contentType", &type) < 0)
    return -1;
  if (!tm_template_truthy(url, false))
    return FAIL(r, in, call->at, TM_USAGE,
                "media has no url here; put it into {{#if …}} when it may be absent");
  const char *link = tm_template_kept_text(r, in, call->at, url), *kind = NULL;
  if (!link)
    return -1;
  if (tm_template_truthy(type, false) && !(kind = tm_template_kept_text(r, in, call->at, type)))
    return -1;
  piece *p = put_piece(r, in, PIECE_MEDIA);
  if (!p)
    return tm_template_no_memory(r, in, call->at);
  p->name = link;
  p->type = kind;
  return 0;
}

static int run_section(render *r, const place *in, const expr *call) {
  const tm_json *v;
  if (tm_template_evaluate(r, in, call->args, &v) < 0)
    return -1;
  const char *name = tm_template_kept_text(r, in, call->at, v);
  piece *p = name ? put_piece(r, in, PIECE_SECTION) : NULL;
  if (name && !p)
    return tm_template_no_memory(r, in, call->at);
  if (!p)
    return -1;
  p->name = name;
  return 0;
}

static int print_value(render *r, const place *in, const expr *e) {
  const tm_json *v;
  slice text;
  if (tm_template_evaluate(r, in, e, &v) < 0 || tm_template_text_of(r, in, e->at, v, &text) < 0)
    return -1;
  return put_text(r, in, e->at, text.s, text.len);
}

static int run_print(render *r, const place *in, const expr *e) {
  if (e->kind != EXPR_CALL)
    return print_value(r, in, e);
  switch (e->helper) {
  case HELPER_LOG:
    return 0;
  case HELPER_ROLE:
    return run_role(r, in, e);
  case HELPER_HISTORY:
    return put_piece(r, in, PIECE_HISTORY) ? 0 : tm_template_no_memory(r, in, e->at);
  case HELPER_MEDIA:
    return run_media(r, in, e);
  case HELPER_SECTION:
    return run_section(r, in, e);
  case HELPER_JSON:
    if (tm_template_json_of(r, in, e) < 0)
      return -1;
    return put_text(r, in, e->at, tm_buf_str(&r->text), r->text.len);
  default:
    return print_value(r, in, e);
  }
}

/* -- blocks ---------------------------------------------------------------------------- */

static int run_within(render *r, const place *in, const program *p, const tm_json *value) {
  scope s = {value, in->scope};
  place inner = *in;
  if (value != in->scope->value)
    inner.scope = &s;
  return run(r, &inner, p);
}

static int run_item(render *r, const place *in, const node *block, frame *f,
                    const tm_json *value) {
  params names = {.up = in->params};
  place inner = *in;
  inner.frame = f;
  if (block->param_count) {
    names.value[0] = value;
    if (block->param_count > 1 &&
        !(names.value[1] = tm_template_frame_value(r, f, (slice){"key", 3})))
      return tm_template_no_memory(r, in, block->at);
    inner.params = &names;
  }
  return run_within(r, &inner, block->body, value);
}

static int run_each(render *r, const place *in, const node *block, const tm_json *list) {
  size_t count = tm_json_len(list);
  bool object = count && tm_json_type_of(list) == TM_JSON_OBJECT;
  if (!count)
    return run(r, in, block->inverse);
  if (!block->body)
    return 0;
  for (size_t i = 0; i < count; i++) {
    frame f = {.index = i, .count = count, .up = in->frame};
    if (object)
      f.member = tm_json_member_at(list, i);
    if (run_item(r, in, block, &f, object ? &f.member->value : tm_json_at(list, i)) < 0)
      return -1;
  }
  return 0;
}

static int run_with(render *r, const place *in, const node *block, const tm_json *value) {
  params names = {.value = {value, NULL}, .up = in->params};
  place inner = *in;
  if (!tm_template_truthy(value, true))
    return run(r, in, block->inverse);
  if (block->param_count)
    inner.params = &names;
  return run_within(r, &inner, block->body, value);
}

/* {{#value}}: true keeps the context, a list is walked, anything else becomes the context. */
static int run_section_of(render *r, const place *in, const node *block, const tm_json *value) {
  if (!value || tm_json_type_of(value) == TM_JSON_NULL)
    return run(r, in, block->inverse);
  if (tm_json_type_of(value) == TM_JSON_BOOL)
    return run(r, in, tm_json_bool(value, false) ? block->body : block->inverse);
  if (tm_json_type_of(value) == TM_JSON_ARRAY)
    return run_each(r, in, block, value);
  return run_within(r, in, block->body, value);
}

static int run_block(render *r, const place *in, const node *block) {
  const expr *call = block->call;
  const tm_json *value, *other = NULL;
  if (tm_template_evaluate(r, in, call->args, &value) < 0 ||
      (call->args->next && tm_template_evaluate(r, in, call->args->next, &other) < 0))
    return -1;
  bool zero = false, holds;
  switch (call->helper) {
  case HELPER_EACH:
    return run_each(r, in, block, value);
  case HELPER_WITH:
    return run_with(r, in, block, value);
  case HELPER_IF:
  case HELPER_UNLESS: {
    const tm_json *include;
    if (tm_template_evaluate_named(r, in, call, "includeZero", &include) < 0)
      return -1;
    zero = tm_template_truthy(include, false);
    holds = tm_template_truthy(value, zero) == (call->helper == HELPER_IF);
    break;
  }
  case HELPER_IF_EQUALS:
  case HELPER_UNLESS_EQUALS:
    holds = tm_template_same(value, other) == (call->helper == HELPER_IF_EQUALS);
    break;
  default:
    return run_section_of(r, in, block, value);
  }
  return run(r, in, holds ? block->body : block->inverse);
}

/* -- partials ---------------------------------------------------------------------------------
 */

/* The context a partial gets: the given one or the current, with name=value on top. */
static int partial_context(render *r, const place *in, const node *n, const tm_json **out) {
  *out = in->scope->value;
  if (n->context && tm_template_evaluate(r, in, n->context, out) < 0)
    return -1;
  if (!n->hash)
    return 0;
  tm_json *object = tm_json_new_object(r->scratch);
  if (*out && tm_json_type_of(*out) == TM_JSON_OBJECT)
    for (size_t i = 0; i < tm_json_len(*out); i++) {
      const tm_json_member *m = tm_json_member_at(*out, i);
      if (!tm_json_setn(r->scratch, object, m->key, m->key_len, &m->value))
        return tm_template_no_memory(r, in, n->at);
    }
  if (!object)
    return tm_template_no_memory(r, in, n->at);
  if (collect(r, in, n->at, n->hash, object) < 0)
    return -1;
  *out = object;
  return 0;
}

/* A partial sees its context and the @ variables, not the contexts and names of its caller. */
static int run_partial(render *r, const place *in, const node *n) {
  const tm_json *context;
  if (partial_context(r, in, n, &context) < 0)
    return -1;
  scope s = {context, NULL};
  indent own = {.text = n->text, .due = true, .up = in->indent};
  place inner = {.src = &n->partial->source,
                 .scope = &s,
                 .frame = in->frame,
                 .indent = n->text.len ? &own : in->indent};
  return run(r, &inner, n->partial->body);
}

/* -- the walk
 * ------------------------------------------------------------------------------------ */

static int run_node(render *r, const place *in, const node *n) {
  if (++r->steps > MAX_STEPS)
    return FAIL(r, in, n->at, TM_LIMIT, "rendering this takes more than %d steps", MAX_STEPS);
  switch (n->kind) {
  case NODE_TEXT:
    return put_text(r, in, n->at, n->text.s, n->text.len);
  case NODE_PRINT:
    return run_print(r, in, n->call);
  case NODE_BLOCK:
    return run_block(r, in, n);
  case NODE_PARTIAL:
    return run_partial(r, in, n);
  default:
    return 0;
  }
}

static int run(render *r, const place *in, const program *p) {
  if (!p || !p->first) {
    r->steps++;
    return 0;
  }
  if (++r->depth > MAX_DEPTH)
    return FAIL(r, in, p->first->at, TM_LIMIT,
                "blocks and partials stand inside each other more than %d deep here; does a "
                "partial call itself without an end?",
                MAX_DEPTH);
  int rc = 0;
  for (const node *n = p->first; n && rc == 0; n = n->next)
    rc = run_node(r, in, n);
  r->depth--;
  return rc;
}

int tm_template_run(stream *out, tm_arena *scratch, const tm_template *t, const tm_json *data,
                    const tm_json *context, tm_err *err) {
  render r = {.out = out, .scratch = scratch, .root = data, .context = context, .err = err};
  scope s = {data, NULL};
  place in = {.src = &t->source, .scope = &s};
  tm_buf_init(&out->text, TM_TEMPLATE_OUTPUT);
  tm_buf_init(&r.text, TM_TEMPLATE_OUTPUT);
  int rc = run(&r, &in, t->body);
  tm_buf_free(&r.text);
  return rc;
}
