/* prompt_settings.c - the tidemill.* keys of the front matter: known, typed, in one object. */
#include <stdio.h>

#include "base/clock.h"
#include "text/checks.h"
#include "text/prompt_file.h"

#define PREFIX "tidemill."

typedef bool (*fits_fn)(const tm_json *v);

static bool is_type(const tm_json *v, tm_json_type type) {
  return tm_json_type_of(v) == type;
}

static bool in_range(const tm_json *v, int64_t low, int64_t high) {
  return is_type(v, TM_JSON_INT) && tm_json_int(v, 0) >= low && tm_json_int(v, 0) <= high;
}

static bool fits_mode(const tm_json *v) {
  const char *s = tm_json_str(v, NULL);
  return s && (strcmp(s, "direct") == 0 || strcmp(s, "reason_then_extract") == 0);
}

static bool fits_repair(const tm_json *v) {
  return in_range(v, 0, 10);
}

static bool fits_retries(const tm_json *v) {
  return in_range(v, 0, 20);
}

/* Milliseconds, or -1. */
static int64_t duration_of(const tm_json *v) {
  size_t len = 0;
  const char *s = tm_json_str(v, &len);
  return s ? tm_clock_duration(s, len) : in_range(v, 1, INT64_MAX) ? tm_json_int(v, -1) : -1;
}

static bool fits_timeout(const tm_json *v) {
  return duration_of(v) > 0;
}

static bool fits_tries(const tm_json *v) {
  return is_type(v, TM_JSON_ARRAY) && tm_json_len(v) > 0;
}

static bool fits_fallback(const tm_json *v) {
  if (!fits_tries(v))
    return false;
  for (size_t i = 0; i < tm_json_len(v); i++)
    if (!is_type(tm_json_at(v, i), TM_JSON_STRING))
      return false;
  return true;
}

/* What they hold is for tm_checks_compile. */
static bool fits_checks(const tm_json *v) {
  return is_type(v, TM_JSON_OBJECT) || is_type(v, TM_JSON_ARRAY);
}

static bool fits_stream(const tm_json *v) {
  return is_type(v, TM_JSON_BOOL);
}

static bool fits_timeouts(const tm_json *v) {
  static const char *const known[] = {"connect", "first_byte", "idle", "total"};
  if (!is_type(v, TM_JSON_OBJECT))
    return false;
  for (size_t i = 0; i < tm_json_len(v); i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    size_t k = 0;
    while (k < 4 && strcmp(known[k], m->key) != 0)
      k++;
    if (k == 4 || duration_of(&m->value) <= 0)
      return false;
  }
  return true;
}

static bool fits_seed(const tm_json *v) {
  return is_type(v, TM_JSON_INT);
}

static bool is_confidence_key(const char *key) {
  return strcmp(key, "of") == 0 || strcmp(key, "at_least") == 0 || strcmp(key, "else") == 0;
}

static bool fits_confidence(const tm_json *v) {
  const char *of = tm_json_get_str(v, "of"), *otherwise = tm_json_get_str(v, "else");
  const tm_json *least = tm_json_get(v, "at_least");
  if (!is_type(v, TM_JSON_OBJECT) || !of || !*of || !least)
    return false;
  for (size_t i = 0; i < tm_json_len(v); i++)
    if (!is_confidence_key(tm_json_member_at(v, i)->key))
      return false;
  if (tm_json_get(v, "else") &&
      !(otherwise && (strcmp(otherwise, "return") == 0 || strcmp(otherwise, "review") == 0)))
    return false;
  return is_type(least, TM_JSON_INT) || is_type(least, TM_JSON_DOUBLE);
}

/* What it holds is for tm_prompt_cache. */
static bool fits_cache(const tm_json *v) {
  const char *s = tm_json_str(v, NULL);
  return is_type(v, TM_JSON_OBJECT) || (s && strcmp(s, "exact") == 0);
}

static const struct setting {
  const char *name;
  fits_fn fits;
  const char *what;
} settings[] = {
#define X(name, what) {#name, fits_##name, what},
    TM_PROMPT_SETTINGS(X)
#undef X
};

#define SETTINGS (sizeof settings / sizeof settings[0])

static const struct setting *setting_named(const char *name) {
  for (size_t i = 0; i < SETTINGS; i++)
    if (strcmp(settings[i].name, name) == 0)
      return &settings[i];
  return NULL;
}

static int refuse_unknown(const tm_prompt_file *f, const char *key, tm_err *err) {
  char known[512];
  size_t n = 0;
  for (size_t i = 0; i < SETTINGS; i++)
    n += (size_t)snprintf(known + n, sizeof known - n, "%s" PREFIX "%s", i ? ", " : "",
                          settings[i].name);
  return tm_prompt_fail(err, f, key, NULL, TM_USAGE,
                        "there is no setting \"%s\"; the settings are %s", key, known);
}

static int check_checks(tm_arena *a, const tm_json_member *m, const tm_prompt_file *f,
                        tm_err *err) {
  tm_err why = TM_ERR_INIT;
  tm_checks *checks;
  if (tm_checks_compile(&checks, a, &m->value, &why) == 0)
    return 0;
  return tm_prompt_fail(err, f, m->key, NULL, why.code, "%s: %s", m->key, why.msg);
}

static int read_cache(const tm_json **value, tm_arena *a, const tm_json_member *m,
                      const tm_prompt_file *f, tm_err *err) {
  tm_err why = TM_ERR_INIT;
  tm_json *cache;
  if (tm_prompt_cache(&cache, a, &m->value, &why) < 0)
    return tm_prompt_fail(err, f, m->key, NULL, why.code, "%s: %s", m->key, why.msg);
  *value = cache;
  return 0;
}

static int add_setting(tm_json *out, tm_arena *a, const tm_json_member *m,
                       const tm_prompt_file *f, tm_err *err) {
  const char *name = m->key + strlen(PREFIX);
  const struct setting *s = setting_named(name);
  const tm_json *value = &m->value;
  if (!s)
    return refuse_unknown(f, m->key, err);
  if (!s->fits(value))
    return tm_prompt_fail(err, f, m->key, NULL, TM_USAGE, "%s must be %s", m->key, s->what);
  if (s->fits == fits_checks && check_checks(a, m, f, err) < 0)
    return -1;
  if (s->fits == fits_cache && read_cache(&value, a, m, f, err) < 0)
    return -1;
  if (s->fits == fits_timeout)
    value = tm_json_new_int(a, duration_of(value));
  if (!value || !tm_json_set(a, out, name, value))
    return tm_err_set(err, TM_LIMIT, "%s: no memory is left to read this", f->path);
  return 0;
}

int tm_prompt_settings(tm_json **out, tm_arena *a, const tm_json *meta, const tm_prompt_file *f,
                       tm_err *err) {
  *out = tm_json_new_object(a);
  if (!*out)
    return tm_err_set(err, TM_LIMIT, "%s: no memory is left to read this", f->path);
  for (size_t i = 0; i < tm_json_len(meta); i++) {
    const tm_json_member *m = tm_json_member_at(meta, i);
    if (strncmp(m->key, PREFIX, strlen(PREFIX)) == 0 && add_setting(*out, a, m, f, err) < 0)
      return -1;
  }
  return 0;
}
