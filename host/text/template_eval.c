/* template_eval.c - what an expression is worth: names looked up, lookup and json called. */
#include "text/template_run.h"

int tm_template_no_memory(render *r, const place *in, size_t at) {
  return FAIL(r, in, at, TM_LIMIT, "no memory is left to render this");
}

int tm_template_too_large(render *r, const place *in, size_t at) {
  return FAIL(r, in, at, TM_LIMIT,
              "the rendered text is larger than %zu MiB, or memory ran out",
              TM_TEMPLATE_OUTPUT >> 20);
}

/* -- names to values ------------------------------------------------------------------- */

static const tm_json *follow(render *r, const tm_json *v, const slice *parts, size_t n) {
  for (size_t i = 0; i < n && v; i++)
    v = tm_template_member(r->scratch, v, parts[i]);
  return v;
}

static const tm_json *find_context(render *r, const place *in, const expr *e) {
  const scope *s = in->scope;
  for (size_t i = 0; i < e->depth && s; i++)
    s = s->up;
  return s ? follow(r, s->value, e->parts, e->part_count) : NULL;
}

const tm_json *tm_template_frame_value(render *r, const frame *f, slice name) {
  if (slice_is(name, "index"))
    return tm_json_new_int(r->scratch, (int64_t)f->index);
  if (slice_is(name, "key"))
    return f->member ? tm_json_new_strn(r->scratch, f->member->key, f->member->key_len)
                     : tm_json_new_int(r->scratch, (int64_t)f->index);
  if (slice_is(name, "first"))
    return tm_json_new_bool(r->scratch, f->index == 0);
  if (slice_is(name, "last"))
    return tm_json_new_bool(r->scratch, f->index + 1 == f->count);
  return NULL;
}

/* @name: of the innermost #each, else of the caller's context, else @root. */
static const tm_json *find_data(render *r, const place *in, const expr *e) {
  const frame *f = in->frame;
  for (size_t i = 0; i < e->depth && f; i++)
    f = f->up;
  const tm_json *v = f ? tm_template_frame_value(r, f, e->parts[0]) : NULL;
  if (!v && r->context)
    v = tm_json_getn(r->context, e->parts[0].s, e->parts[0].len);
  if (!v && slice_is(e->parts[0], "root"))
    v = r->root;
  return follow(r, v, e->parts + 1, e->part_count - 1);
}

static const tm_json *find_param(render *r, const place *in, const expr *e) {
  const params *p = in->params;
  for (size_t i = 0; i < e->depth && p; i++)
    p = p->up;
  return p ? follow(r, p->value[e->param], e->parts, e->part_count) : NULL;
}

/* -- calls that give a value ----------------------------------------------------------- */

static const expr *named_argument(const expr *call, const char *name) {
  for (const hash_pair *h = call->hash; h; h = h->next)
    if (slice_is(h->name, name))
      return h->value;
  return NULL;
}

int tm_template_evaluate_named(render *r, const place *in, const expr *call, const char *name,
                               const tm_json **out) {
  const expr *e = named_argument(call, name);
  *out = NULL;
  return e ? tm_template_evaluate(r, in, e, out) : 0;
}

int tm_template_text_of(render *r, const place *in, size_t at, const tm_json *v, slice *out) {
  tm_buf_reset(&r->text);
  tm_template_print(&r->text, v);
  if (r->text.failed)
    return tm_template_too_large(r, in, at);
  *out = (slice){tm_buf_str(&r->text), r->text.len};
  return 0;
}

const char *tm_template_kept_text(render *r, const place *in, size_t at, const tm_json *v) {
  slice text = {0};
  if (tm_template_text_of(r, in, at, v, &text) < 0)
    return NULL;
  const char *kept = tm_arena_strndup(r->scratch, text.s, text.len);
  if (!kept)
    tm_template_no_memory(r, in, at);
  return kept;
}

static int call_lookup(render *r, const place *in, const expr *call, const tm_json **out) {
  const tm_json *from, *key;
  slice name;
  if (tm_template_evaluate(r, in, call->args, &from) < 0 ||
      tm_template_evaluate(r, in, call->args->next, &key) < 0)
    return -1;
  *out = from;
  if (!from || !tm_template_truthy(from, false))
    return 0;
  if (!key || tm_json_type_of(key) == TM_JSON_NULL) {
    *out = NULL;
    return 0;
  }
  if (tm_template_text_of(r, in, call->at, key, &name) < 0)
    return -1;
  *out = tm_template_member(r->scratch, from, name);
  return 0;
}

int tm_template_json_of(render *r, const place *in, const expr *call) {
  const tm_json *v, *width;
  if (tm_template_evaluate(r, in, call->args, &v) < 0 ||
      tm_template_evaluate_named(r, in, call, "indent", &width) < 0)
    return -1;
  int64_t n = tm_json_int(width, 0);
  tm_buf_reset(&r->text);
  tm_template_print_json(&r->text, r->scratch, v, n < 0 ? 0 : n > 10 ? 10 : (size_t)n);
  if (r->text.failed)
    return tm_template_too_large(r, in, call->at);
  return 0;
}

static int call_json(render *r, const place *in, const expr *call, const tm_json **out) {
  if (tm_template_json_of(r, in, call) < 0)
    return -1;
  *out = tm_json_new_strn(r->scratch, tm_buf_str(&r->text), r->text.len);
  return *out ? 0 : tm_template_no_memory(r, in, call->at);
}

int tm_template_evaluate(render *r, const place *in, const expr *e, const tm_json **out) {
  switch (e->kind) {
  case EXPR_LITERAL:
    *out = e->literal;
    return 0;
  case EXPR_PATH:
    *out = find_context(r, in, e);
    break;
  case EXPR_DATA:
    *out = find_data(r, in, e);
    break;
  case EXPR_PARAM:
    *out = find_param(r, in, e);
    break;
  case EXPR_CALL:
    if (e->helper == HELPER_LOOKUP)
      return call_lookup(r, in, e, out);
    return call_json(r, in, e, out);
  }
  return r->scratch->failed ? tm_template_no_memory(r, in, e->at) : 0;
}
