/* template_helper.c - the helpers a template may call, and how each may be called. */
#include <stdio.h>

#include "text/template_tree.h"

/* Where a helper may stand. */
enum { PRINT = 1, BLOCK = 2, INSIDE = 4 };

typedef struct rule {
  const char *name;
  tm_template_helper helper;
  int forms;
  size_t min, max;   /* plain arguments */
  const char *named; /* allowed name=value arguments, space separated; "*": any */
  size_t params;     /* names it can give by `as |…|` */
  const char *usage;
} rule;

static const rule rules[] = {
    {"if", HELPER_IF, BLOCK, 1, 1, "includeZero", 0, "{{#if value}} … {{/if}}"},
    {"unless", HELPER_UNLESS, BLOCK, 1, 1, "includeZero", 0, "{{#unless value}} … {{/unless}}"},
    {"each", HELPER_EACH, BLOCK, 1, 1, "", 2, "{{#each list}} … {{/each}}"},
    {"with", HELPER_WITH, BLOCK, 1, 1, "", 1, "{{#with value}} … {{/with}}"},
    {"lookup", HELPER_LOOKUP, PRINT | INSIDE, 2, 2, "", 0, "{{lookup value key}}"},
    {"log", HELPER_LOG, PRINT, 0, 100, "*", 0, "{{log value}}"},
    {"role", HELPER_ROLE, PRINT, 1, 1, "*", 0, "{{role \"system\"}}"},
    {"history", HELPER_HISTORY, PRINT, 0, 0, "", 0, "{{history}}"},
    {"media", HELPER_MEDIA, PRINT, 0, 0, "url contentType", 0,
     "{{media url=link contentType=\"image/png\"}}"},
    {"section", HELPER_SECTION, PRINT, 1, 1, "", 0, "{{section \"name\"}}"},
    {"json", HELPER_JSON, PRINT | INSIDE, 1, 1, "indent", 0, "{{json value indent=2}}"},
    {"ifEquals", HELPER_IF_EQUALS, BLOCK, 2, 2, "", 0, "{{#ifEquals a b}} … {{/ifEquals}}"},
    {"unlessEquals", HELPER_UNLESS_EQUALS, BLOCK, 2, 2, "", 0,
     "{{#unlessEquals a b}} … {{/unlessEquals}}"},
};

#define RULES (sizeof rules / sizeof rules[0])

tm_template_helper tm_template_helper_named(slice name) {
  for (size_t i = 0; i < RULES; i++)
    if (slice_is(name, rules[i].name))
      return rules[i].helper;
  return HELPER_NONE;
}

int tm_template_unknown_helper(const tm_template_source *src, const expr *call, tm_err *err) {
  char known[256];
  size_t n = 0;
  for (size_t i = 0; i < RULES; i++)
    n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", rules[i].name);
  return tm_template_fail(err, src, call->at, TM_USAGE,
                          "there is no helper \"%.*s\"; the helpers are %s",
                          (int)call->text.len, call->text.s, known);
}

bool tm_template_is_role(slice name) {
  return slice_is(name, "system") || slice_is(name, "user") || slice_is(name, "model") ||
         slice_is(name, "tool");
}

static int check_role(const tm_template_source *src, const expr *call, tm_err *err) {
  const expr *name = call->args;
  if (name->kind != EXPR_LITERAL || tm_template_is_role(name->text))
    return 0;
  return tm_template_fail(err, src, name->at, TM_USAGE,
                          "there is no role \"%.*s\"; the roles are system, user, model, tool",
                          (int)name->text.len, name->text.s);
}

/* Is `name` one of the space separated words? */
static bool allows(const char *words, slice name) {
  if (strcmp(words, "*") == 0)
    return true;
  for (const char *w = words; *w; w += strspn(w, " ")) {
    size_t n = strcspn(w, " ");
    if (slice_equal((slice){w, n}, name))
      return true;
    w += n;
  }
  return false;
}

static int check_named(const tm_template_source *src, const expr *call, const rule *r,
                       tm_err *err) {
  for (const hash_pair *h = call->hash; h; h = h->next)
    if (!allows(r->named, h->name))
      return tm_template_fail(err, src, h->value->at, TM_USAGE,
                              "%s does not take %.*s=; write %s", r->name, (int)h->name.len,
                              h->name.s, r->usage);
  if (r->helper == HELPER_MEDIA && !call->hash)
    return tm_template_fail(err, src, call->at, TM_USAGE, "media needs url=; write %s",
                            r->usage);
  return 0;
}

static int check_form(const tm_template_source *src, const expr *call, const rule *r, char form,
                      tm_err *err) {
  if (r->forms & (form == '{' ? PRINT : form == '#' ? BLOCK : INSIDE))
    return 0;
  const char *hint = "";
  if (form == '{' && !call->args && !call->hash)
    hint = "; for a variable of that name write {{this.…}}";
  const char *where = form == '#'   ? "is not a block"
                      : form == '(' ? "cannot stand in ( )"
                                    : "is a block";
  return tm_template_fail(err, src, call->at, TM_USAGE, "%s %s; write %s%s", r->name, where,
                          r->usage, hint);
}

static int check_section(const tm_template_source *src, const expr *call, size_t param_count,
                         tm_err *err) {
  if (!param_count)
    return 0;
  return tm_template_fail(err, src, call->at, TM_USAGE,
                          "{{#%.*s}} gives no names; write {{#with %.*s as |name|}}",
                          (int)call->text.len, call->text.s, (int)call->text.len, call->text.s);
}

static int refuse_count(const tm_template_source *src, const expr *call, const rule *r,
                        char form, tm_err *err) {
  static const char *const counts[] = {"no plain value", "one value", "two values"};
  const char *hint =
      form == '{' && !call->args ? ", or {{this.…}} for a variable of that name" : "";
  return tm_template_fail(err, src, call->at, TM_USAGE, "%s takes %s, not %zu; write %s%s",
                          r->name, counts[r->min], call->arg_count, r->usage, hint);
}

int tm_template_check_call(const tm_template_source *src, const expr *call, char form,
                           size_t param_count, tm_err *err) {
  if (call->helper == HELPER_SECTION_OF)
    return check_section(src, call, param_count, err);
  const rule *r = rules;
  while (r->helper != call->helper)
    r++;
  if (check_form(src, call, r, form, err) < 0)
    return -1;
  if (call->arg_count < r->min || call->arg_count > r->max)
    return refuse_count(src, call, r, form, err);
  if (param_count > r->params)
    return tm_template_fail(err, src, call->at, TM_USAGE, "%s gives %s", r->name,
                            r->params == 0   ? "no names; take out as |…|"
                            : r->params == 1 ? "one name, as in as |value|"
                                             : "two names, as in as |value key|");
  if (r->helper == HELPER_ROLE && check_role(src, call, err) < 0)
    return -1;
  return check_named(src, call, r, err);
}
