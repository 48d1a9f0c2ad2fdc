/* models.c - what models do not take: tables of rules. */
#include "llm/models.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define TABLES_MAX ((size_t)1 << 20)

/* -- a rule ---------------------------------------------------------------------------- */

static bool read_sampling(unsigned *flags, const tm_json *v) {
  static const struct {
    const char *word;
    unsigned flag;
  } words[] = {{"effort_none", TM_MODEL_SAMPLING_BARE},
               {"version_2023", TM_MODEL_VERSION_2023}};
  const char *word = tm_json_str(v, NULL);
  if (tm_json_type_of(v) == TM_JSON_BOOL)
    *flags |= tm_json_bool(v, true) ? 0 : TM_MODEL_NO_SAMPLING;
  for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i].word, word) == 0)
      return *flags |= words[i].flag, true;
  return !word && tm_json_type_of(v) == TM_JSON_BOOL;
}

static bool read_switch(unsigned *flags, const tm_json *v, unsigned flag) {
  *flags |= tm_json_bool(v, true) ? 0 : flag;
  return tm_json_type_of(v) == TM_JSON_BOOL;
}

static bool read_rule(unsigned *flags, const tm_json_member *rule) {
  const char *slash = strchr(rule->key, '/');
  bool good = slash && slash != rule->key && slash[1] &&
              tm_json_type_of(&rule->value) == TM_JSON_OBJECT;
  *flags = 0;
  for (size_t i = 0; good && i < tm_json_len(&rule->value); i++) {
    const tm_json_member *m = tm_json_member_at(&rule->value, i);
    if (strcmp(m->key, "sampling") == 0)
      good = read_sampling(flags, &m->value);
    else if (strcmp(m->key, "stop") == 0)
      good = read_switch(flags, &m->value, TM_MODEL_NO_STOP);
    else
      good = strcmp(m->key, "forced_tool") == 0 &&
             read_switch(flags, &m->value, TM_MODEL_NO_FORCED_TOOL);
  }
  return good;
}

/* -- tables ---------------------------------------------------------------------------- */

int tm_models_add(tm_models *m, const tm_json *table, tm_err *err) {
  const tm_json *rules = tm_json_get(table, "models");
  rules = rules ? rules : table;
  size_t n = tm_json_len(rules);
  if (!rules || tm_json_type_of(rules) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_USAGE,
                      "a table of capabilities must be an object of PROVIDER/PATTERN");
  if (!m->arena.limit)
    tm_arena_init(&m->arena, TABLES_MAX);
  tm_model_rule *all = tm_arena_array(&m->arena, tm_model_rule, n + m->count + 1);
  for (size_t i = 0; all && i < n; i++) {
    const tm_json_member *rule = tm_json_member_at(rules, i);
    if (!read_rule(&all[i].flags, rule))
      return tm_err_set(err, TM_USAGE,
                        "the capabilities of %.80s must be an object of sampling (true, false, "
                        "\"effort_none\" or \"version_2023\"), stop and forced_tool (true or "
                        "false), under PROVIDER/PATTERN",
                        rule->key);
    all[i].name = tm_arena_strdup(&m->arena, rule->key);
  }
  if (m->arena.failed)
    return tm_err_set(err, TM_LIMIT, "the tables of capabilities are larger than %zu bytes",
                      TABLES_MAX);
  if (m->count)
    memcpy(all + n, m->rules, m->count * sizeof *all);
  m->rules = all;
  m->count += n;
  return 0;
}

void tm_models_free(tm_models *m) {
  tm_arena_free(&m->arena);
  *m = (tm_models){0};
}

/* -- whose rule it is ------------------------------------------------------------------ */

static const tm_model_rule *rule_of(const tm_models *m, const char *provider, size_t len,
                                    const char *model) {
  for (size_t i = 0; i < m->count; i++) {
    const char *name = m->rules[i].name;
    if (strncmp(name, provider, len) == 0 && name[len] == '/' &&
        fnmatch(name + len + 1, model, 0) == 0)
      return &m->rules[i];
  }
  return NULL;
}

unsigned tm_models_flags(const tm_models *m, const char *provider, const char *model) {
  const tm_model_rule *rule = rule_of(m, provider, strlen(provider), model);
  const char *dash = strchr(provider, '-');
  if (!rule && dash)
    rule = rule_of(m, provider, (size_t)(dash - provider), model);
  return rule ? rule->flags : 0;
}
