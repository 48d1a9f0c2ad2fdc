/* options.c - one table of keys for tidemill_options_set and tidemill.yaml.
 */
#include "face/options.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "llm/llm.h"
#include "llm/models.h"
#include "net/guard.h"
#include "text/yaml.h"

#define MAX_YAML ((size_t)64 << 10)

tidemill_options *tidemill_options_new(void) {
  tidemill_options *o = tm_new(tidemill_options);
  tm_arena_init(&o->arena, 0);
  o->models = tm_json_new_object(&o->arena);
  o->prices = tm_json_new_object(&o->arena);
  o->retain = tm_json_new_object(&o->arena);
  o->capabilities = tm_json_new_object(&o->arena);
  o->budgets = tm_json_new_object(&o->arena);
  return o;
}

void tidemill_options_free(tidemill_options *o) {
  if (!o)
    return;
  tm_arena_free(&o->arena);
  tm_free(o);
}

/* -- values ---------------------------------------------------------------------------- */

/* "64M", "512K", "1G" or bytes; 0 for anything else. */
static uint64_t parse_size(const char *s) {
  char *end;
  errno = 0;
  unsigned long long n = strtoull(s, &end, 10);
  if (errno || end == s || *s == '-')
    return 0;
  unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
  if (shift)
    end++;
  return *end || n > (UINT64_MAX >> shift) ? 0 : (uint64_t)n << shift;
}

static int set_text(tidemill_options *o, const char **field, const char *value) {
  *field = tm_arena_strdup(&o->arena, value);
  return *value ? 0 : TIDEMILL_EUSAGE;
}

/* "PROVIDER/MODEL" or "UNIT=PROVIDER/MODEL". */
static int set_model(tidemill_options *o, const char *value) {
  const char *eq = strchr(value, '='), *model = eq ? eq + 1 : value;
  const char *slash = strchr(model, '/');
  if (!slash || slash == model || !slash[1] || eq == value)
    return TIDEMILL_EUSAGE;
  tm_json *name = tm_json_new_str(&o->arena, model);
  if (eq)
    tm_json_setn(&o->arena, o->models, value, (size_t)(eq - value), name);
  else
    tm_json_set(&o->arena, o->models, "*", name);
  return 0;
}

static int set_clock(tidemill_options *o, const char *value) {
  o->virtual_clock = strcmp(value, "virtual") == 0;
  return o->virtual_clock || strcmp(value, "system") == 0 ? 0 : TIDEMILL_EUSAGE;
}

static int add_private(tidemill_options *o, const char *value) {
  tm_err err = TM_ERR_INIT;
  tm_guard *probe = tm_guard_new();
  int rc = tm_guard_allow(probe, value, &err);
  tm_guard_free(&probe);
  const char *so_far = o->http_private;
  o->http_private = so_far ? tm_arena_printf(&o->arena, "%s %s", so_far, value)
                           : tm_arena_strdup(&o->arena, value);
  return rc < 0 ? TIDEMILL_EUSAGE : 0;
}

static int set_flag(bool *field, const char *value) {
  *field = strcmp(value, "true") == 0;
  return *field || strcmp(value, "false") == 0 ? 0 : TIDEMILL_EUSAGE;
}

int tidemill_options_set(tidemill_options *o, const char *key, const char *value) {
  if (!value || tm_json_utf8_valid(value, strlen(value)) != strlen(value))
    return TIDEMILL_EUSAGE;
  if (strcmp(key, "dir") == 0)
    return set_text(o, &o->dir, value);
  if (strcmp(key, "db") == 0)
    return set_text(o, &o->db, value);
  if (strcmp(key, "by") == 0)
    return set_text(o, &o->by, value);
  if (strcmp(key, "record") == 0)
    return set_text(o, &o->record, value);
  if (strcmp(key, "http_private") == 0)
    return add_private(o, value);
  if (strcmp(key, "model") == 0)
    return set_model(o, value);
  if (strcmp(key, "clock") == 0)
    return set_clock(o, value);
  if (strcmp(key, "paused") == 0)
    return set_flag(&o->paused, value);
  if (strcmp(key, "watchdog") == 0)
    return (o->watchdog_ms = tm_clock_duration(value, strlen(value))) >= 0 ? 0
                                                                           : TIDEMILL_EUSAGE;
  if (strcmp(key, "memory") == 0)
    return (o->memory = (size_t)parse_size(value)) ? 0 : TIDEMILL_EUSAGE;
  if (strcmp(key, "steps") == 0)
    return (o->steps = parse_size(value)) ? 0 : TIDEMILL_EUSAGE;
  return TIDEMILL_EUSAGE;
}

/* -- tidemill.yaml --------------------------------------------------------------------- */

static char *read_yaml(const char *path, size_t *len, tm_err *err) {
  FILE *f = fopen(path, "rb");
  if (!f) {
    if (errno != ENOENT && errno != ENOTDIR)
      tm_err_set(err, TM_CONFIG, "cannot read %s: %s", path, strerror(errno));
    return NULL;
  }
  char *text = tm_alloc(MAX_YAML + 2);
  *len = fread(text, 1, MAX_YAML + 1, f);
  fclose(f);
  return text;
}

static int bad_setting(tm_err *err, const char *path, const char *key) {
  return tm_err_set(
      err, TM_CONFIG,
      "%s: \"%s\" is not a setting, or not of the right form; settings are db, model, "
      "models {UNIT: PROVIDER/MODEL}, prices {PROVIDER/MODEL: {input, output}}, limits "
      "{PROVIDER: {requests_per_minute}}, http {private: [HOST]}, retain "
      "{done: 30d, failed: 90d, cancelled: 30d, WORKFLOW: {done: 3d}}, capabilities "
      "{PROVIDER/PATTERN: {sampling, stop, forced_tool}}, budgets {day, workflows: {NAME}, "
      "keys: {VARIABLE}}, each {usd, llm_calls}, memory, steps",
      path, key);
}

static int yaml_models(tidemill_options *o, const char *path, const tm_json *models,
                       tm_err *err) {
  for (size_t i = 0; i < tm_json_len(models); i++) {
    const tm_json_member *m = tm_json_member_at(models, i);
    const char *model = tm_json_str(&m->value, NULL);
    if (!model || !strchr(model, '/'))
      return bad_setting(err, path, m->key);
    const char *key = tm_arena_printf(&o->arena, "?%s", m->key); /* below what a flag says */
    tm_json_set_str(&o->arena, o->models, key, model);
  }
  return 0;
}

static int yaml_prices(tidemill_options *o, const char *path, const tm_json *prices,
                       tm_err *err) {
  for (size_t i = 0; i < tm_json_len(prices); i++) {
    const tm_json_member *m = tm_json_member_at(prices, i);
    bool sound = strchr(m->key, '/') &&
                 tm_json_number(tm_json_get(&m->value, "input"), -1) >= 0 &&
                 tm_json_number(tm_json_get(&m->value, "output"), -1) >= 0;
    if (!sound)
      return bad_setting(err, path, m->key);
    tm_json_set(&o->arena, o->prices, m->key, &m->value);
  }
  return 0;
}

static int yaml_limits(tidemill_options *o, const char *path, const tm_json *limits,
                       tm_err *err) {
  o->limits = tm_json_copy(&o->arena, limits);
  return tm_llm_check_limits(limits, err) < 0 ? tm_err_wrap(err, "%s", path) : 0;
}

/* http: {private: [HOST, ...]} */
static int yaml_http(tidemill_options *o, const char *path, const tm_json *http, tm_err *err) {
  const tm_json *list = tm_json_get(http, "private");
  if (tm_json_len(http) != 1 || !list || tm_json_type_of(list) != TM_JSON_ARRAY)
    return bad_setting(err, path, "http");
  for (size_t i = 0; i < tm_json_len(list); i++) {
    const char *entry = tm_json_str(tm_json_at(list, i), NULL);
    if (!entry || !*entry || add_private(o, entry) < 0)
      return bad_setting(err, path, entry ? entry : "http");
  }
  return 0;
}

static bool is_ended_state(const char *word) {
  return strcmp(word, "done") == 0 || strcmp(word, "failed") == 0 ||
         strcmp(word, "cancelled") == 0 || strcmp(word, "imported") == 0;
}

/* "30d" as ms, into `to`; "forever" is what no entry means, and takes back what is general. */
static int put_retention(tidemill_options *o, const char *path, tm_json *to,
                         const tm_json_member *m, tm_err *err) {
  const char *text = tm_json_str(&m->value, NULL);
  int64_t ms = text && strcmp(text, "forever") == 0 ? -1
               : text && *text                      ? tm_clock_duration(text, strlen(text))
                                                    : -2;
  if (!is_ended_state(m->key) || ms < (text && strcmp(text, "forever") == 0 ? -1 : 0))
    return bad_setting(err, path, m->key);
  tm_json_set_int(&o->arena, to, m->key, ms);
  return 0;
}

static int yaml_retain(tidemill_options *o, const char *path, const tm_json *retain,
                       tm_err *err) {
  for (size_t i = 0; i < tm_json_len(retain); i++) {
    const tm_json_member *m = tm_json_member_at(retain, i);
    if (tm_json_type_of(&m->value) != TM_JSON_OBJECT) {
      if (put_retention(o, path, o->retain, m, err) < 0)
        return -1;
      continue;
    }
    tm_json *own = tm_json_new_object(&o->arena);
    for (size_t k = 0; k < tm_json_len(&m->value); k++)
      if (put_retention(o, path, own, tm_json_member_at(&m->value, k), err) < 0)
        return -1;
    tm_json_set(&o->arena, o->retain, m->key, own);
  }
  return 0;
}

/* What tm_models_add does not take is told here, where the file's name is known. */
static int yaml_capabilities(tidemill_options *o, const char *path, const tm_json *rules,
                             tm_err *err) {
  tm_models probe = {0};
  int rc = tm_models_add(&probe, rules, err);
  tm_models_free(&probe);
  o->capabilities = tm_json_copy(&o->arena, rules);
  if (rc < 0) {
    err->code = TM_CONFIG;
    tm_err_wrap(err, "%s", path);
  }
  return rc;
}

/* {usd?, llm_calls?}, one of them at least. */
static bool is_budget(const tm_json *v) {
  const tm_json *usd = tm_json_get(v, "usd"), *calls = tm_json_get(v, "llm_calls");
  size_t known = (usd ? 1u : 0u) + (calls ? 1u : 0u);
  return known && tm_json_len(v) == known && (!usd || tm_json_number(usd, -1) >= 0) &&
         (!calls || tm_json_int(calls, -1) >= 0);
}

static int yaml_budgets(tidemill_options *o, const char *path, const tm_json *budgets,
                        tm_err *err) {
  for (size_t i = 0; i < tm_json_len(budgets); i++) {
    const tm_json_member *m = tm_json_member_at(budgets, i);
    bool day = strcmp(m->key, "day") == 0;
    if (!day && strcmp(m->key, "workflows") != 0 && strcmp(m->key, "keys") != 0)
      return bad_setting(err, path, m->key);
    for (size_t k = 0; !day && k < tm_json_len(&m->value); k++)
      if (!tm_json_member_at(&m->value, k) ||
          !is_budget(&tm_json_member_at(&m->value, k)->value))
        return bad_setting(err, path, m->key);
    if (day ? !is_budget(&m->value) : tm_json_type_of(&m->value) != TM_JSON_OBJECT)
      return bad_setting(err, path, m->key);
  }
  o->budgets = tm_json_copy(&o->arena, budgets);
  return 0;
}

static int yaml_setting(tidemill_options *o, const char *path, const tm_json_member *m,
                        tm_err *err) {
  char number[32];
  const char *text = tm_json_str(&m->value, NULL);
  if (strcmp(m->key, "models") == 0 && tm_json_type_of(&m->value) == TM_JSON_OBJECT)
    return yaml_models(o, path, &m->value, err);
  if (strcmp(m->key, "retain") == 0 && tm_json_type_of(&m->value) == TM_JSON_OBJECT)
    return yaml_retain(o, path, &m->value, err);
  if (strcmp(m->key, "prices") == 0 && tm_json_type_of(&m->value) == TM_JSON_OBJECT)
    return yaml_prices(o, path, &m->value, err);
  if (strcmp(m->key, "limits") == 0 && tm_json_type_of(&m->value) == TM_JSON_OBJECT)
    return yaml_limits(o, path, &m->value, err);
  if (strcmp(m->key, "http") == 0 && tm_json_type_of(&m->value) == TM_JSON_OBJECT)
    return yaml_http(o, path, &m->value, err);
  if (strcmp(m->key, "budgets") == 0 && tm_json_type_of(&m->value) == TM_JSON_OBJECT)
    return yaml_budgets(o, path, &m->value, err);
  if (strcmp(m->key, "capabilities") == 0 && tm_json_type_of(&m->value) == TM_JSON_OBJECT)
    return yaml_capabilities(o, path, &m->value, err);
  if (!text && tm_json_type_of(&m->value) == TM_JSON_INT) {
    snprintf(number, sizeof number, "%lld", (long long)tm_json_int(&m->value, 0));
    text = number;
  }
  if (!text)
    return bad_setting(err, path, m->key);
  if (strcmp(m->key, "model") == 0 && strchr(text, '/')) {
    tm_json_set_str(&o->arena, o->models, "?", text); /* below a unit's own front matter */
    return 0;
  }
  bool ours = strcmp(m->key, "db") == 0 || strcmp(m->key, "memory") == 0 ||
              strcmp(m->key, "steps") == 0;
  bool given = (strcmp(m->key, "db") == 0 && o->db) ||
               (strcmp(m->key, "memory") == 0 && o->memory) ||
               (strcmp(m->key, "steps") == 0 && o->steps);
  if (!ours || (!given && tidemill_options_set(o, m->key, text) < 0))
    return bad_setting(err, path, m->key);
  return 0;
}

static int read_project(tidemill_options *o, tm_err *err) {
  size_t len = 0;
  tm_json *doc;
  const char *path = tm_arena_printf(&o->arena, "%s/tidemill.yaml", o->dir);
  char *text = read_yaml(path, &len, err);
  if (!text)
    return err->code == TM_OK ? 0 : -1;
  int rc = tm_yaml_parse(&doc, &o->arena, text, len, 1, err);
  tm_free(text);
  if (rc < 0) {
    err->code = TM_CONFIG;
    return tm_err_wrap(err, "%s", path);
  }
  tm_json_type type = tm_json_type_of(doc);
  if (type != TM_JSON_OBJECT && type != TM_JSON_NULL)
    return tm_err_set(err, TM_CONFIG, "%s: expected settings, one `name: value` a line", path);
  for (size_t i = 0; i < tm_json_len(doc); i++)
    if (yaml_setting(o, path, tm_json_member_at(doc, i), err) < 0)
      return -1;
  return 0;
}

/* -- filling in ------------------------------------------------------------------------ */

static const char *login(void) {
  const char *user = getenv("USER");
  return user && *user ? user : getuid() == 0 ? "root" : "unknown";
}

static void copy_given(tidemill_options *o, const tidemill_options *given) {
  tm_arena *a = &o->arena;
  o->dir = tm_arena_strdup(a, given->dir ? given->dir : ".");
  o->db = given->db ? tm_arena_strdup(a, given->db) : NULL;
  o->by = tm_arena_strdup(a, given->by ? given->by : login());
  o->record = tm_arena_strdup(a, given->record);
  o->http_private = tm_arena_strdup(a, given->http_private);
  o->models = tm_json_copy(a, given->models);
  o->memory = given->memory;
  o->steps = given->steps;
  o->virtual_clock = given->virtual_clock;
  o->paused = given->paused;
  o->watchdog_ms = given->watchdog_ms;
}

int tm_options_resolve(tidemill_options **out, const tidemill_options *given, tm_err *err) {
  tidemill_options *none = given ? NULL : tidemill_options_new();
  tidemill_options *o = tidemill_options_new();
  struct stat st;
  copy_given(o, given ? given : none);
  tidemill_options_free(none);
  if (stat(o->dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
    tm_err_set(err, TM_CONFIG, "there is no folder %s", o->dir);
    goto fail;
  }
  if (read_project(o, err) < 0)
    goto fail;
  if (!o->db)
    o->db = tm_arena_printf(&o->arena, "sqlite:%s/.tidemill/tidemill.db", o->dir);
  *out = o;
  return 0;

fail:
  tidemill_options_free(o);
  return -1;
}
