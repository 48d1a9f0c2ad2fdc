/* template_check.c - finds variables that no input can ever have.
 *
 * Only what is certain is refused: a plain name looked up at the root, that is outside of
 * #each, #with and {{#value}} bodies. Partials that get the root unchanged are looked into.
 */
#include <stdio.h>

#include "text/template_tree.h"

typedef struct checker {
  const tm_template_source *src;
  const tm_json *known;
  tm_err *err;
} checker;

static int check_program(const checker *c, const program *p);

static void list_known(char *out, size_t size, const tm_json *known) {
  size_t n = 0;
  out[0] = '\0';
  for (size_t i = 0; i < tm_json_len(known); i++) {
    size_t need = tm_json_member_at(known, i)->key_len + 8;
    if (n + need > size) {
      snprintf(out + n, size - n, " …");
      return;
    }
    n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "",
                          tm_json_member_at(known, i)->key);
  }
}

static int check_expr(const checker *c, const expr *e);

static int check_values(const checker *c, const expr *args, const hash_pair *hash) {
  for (const expr *e = args; e; e = e->next)
    if (check_expr(c, e) < 0)
      return -1;
  for (; hash; hash = hash->next)
    if (check_expr(c, hash->value) < 0)
      return -1;
  return 0;
}

static int check_expr(const checker *c, const expr *e) {
  char names[400];
  if (e->kind == EXPR_CALL)
    return check_values(c, e->args, e->hash);
  if (e->kind != EXPR_PATH || e->depth || !e->part_count ||
      tm_json_getn(c->known, e->parts[0].s, e->parts[0].len))
    return 0;
  list_known(names, sizeof names, c->known);
  return tm_template_fail(c->err, c->src, e->at, TM_USAGE,
                          "there is no variable \"%.*s\"; the input schema has %s",
                          (int)e->parts[0].len, e->parts[0].s, *names ? names : "none");
}

/* Does the block leave the context as it is for its body? */
static bool keeps_context(const node *block) {
  switch (block->call->helper) {
  case HELPER_IF:
  case HELPER_UNLESS:
  case HELPER_IF_EQUALS:
  case HELPER_UNLESS_EQUALS:
    return true;
  default:
    return false;
  }
}

static int check_block(const checker *c, const node *n) {
  if (check_values(c, n->call->args, n->call->hash) < 0)
    return -1;
  if (n->body && keeps_context(n) && check_program(c, n->body) < 0)
    return -1;
  return n->inverse ? check_program(c, n->inverse) : 0;
}

static int check_partial(const checker *c, const node *n) {
  if (check_values(c, n->context, n->hash) < 0)
    return -1;
  if (n->context || n->hash || n->partial->checked)
    return 0;
  n->partial->checked = true;
  checker inner = *c;
  inner.src = &n->partial->source;
  return check_program(&inner, n->partial->body);
}

static int check_program(const checker *c, const program *p) {
  int rc = 0;
  for (const node *n = p->first; n && rc == 0; n = n->next)
    switch (n->kind) {
    case NODE_PRINT:
      rc = check_expr(c, n->call);
      break;
    case NODE_BLOCK:
      rc = check_block(c, n);
      break;
    case NODE_PARTIAL:
      rc = check_partial(c, n);
      break;
    default:
      break;
    }
  return rc;
}

int tm_template_check(const tm_template *t, const tm_json *known, tm_err *err) {
  checker c = {.src = &t->source, .known = known, .err = err};
  return known ? check_program(&c, t->body) : 0;
}
