/* limits.c - how much may be asked of whom, as tidemill.yaml says it. */
#include "llm/limits.h"

#include <string.h>

#include "base/clock.h"

#define LIMIT_MAX INT64_C(1000000000)

static int bad_key(const char *name, const char *key, const char *known, tm_err *err) {
  return tm_err_set(
      err, TM_CONFIG,
      "limits: %s: \"%s\" is not a setting, or not of the right form; there are %s", name, key,
      known);
}

static int read_limit(tm_limit *out, const char *name, const tm_json *table, tm_err *err) {
  *out = (tm_limit){.name = name};
  for (size_t i = 0; i < tm_json_len(table); i++) {
    const tm_json_member *m = tm_json_member_at(table, i);
    int64_t *field = strcmp(m->key, "requests_per_minute") == 0 ? &out->requests
                     : strcmp(m->key, "tokens_per_minute") == 0 ? &out->tokens
                     : strcmp(m->key, "concurrent") == 0        ? &out->concurrent
                                                                : NULL;
    int64_t n = tm_json_int(&m->value, 0);
    if (!field || n < 1 || n > LIMIT_MAX)
      return bad_key(name, m->key,
                     "requests_per_minute, tokens_per_minute and concurrent, each a whole "
                     "number from 1",
                     err);
    *field = n;
  }
  return 0;
}

static bool read_share(double *out, const tm_json *v) {
  double n = tm_json_number(v, -1);
  *out = n;
  return n > 0 && n <= 1;
}

static bool read_duration(int64_t *out, const tm_json *v) {
  size_t len;
  const char *text = tm_json_str(v, &len);
  int64_t seconds = tm_json_int(v, -1);
  *out = text ? tm_clock_duration(text, len) : seconds < LIMIT_MAX ? seconds * 1000 : -1;
  return *out > 0;
}

static bool read_calls(int *out, const tm_json *v) {
  int64_t n = tm_json_int(v, 0);
  *out = n > 0 && n <= TM_BREAKER_CALLS_MAX ? (int)n : 0;
  return *out > 0;
}

static int read_breaker(tm_breaker_rule *out, const tm_json *table, tm_err *err) {
  if (tm_json_type_of(table) == TM_JSON_BOOL && !tm_json_bool(table, true)) {
    out->calls = 0;
    return 0;
  }
  if (tm_json_type_of(table) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_CONFIG,
                      "limits: breaker is false, or {errors, bad_outputs, "
                      "calls, cool_down}");
  for (size_t i = 0; i < tm_json_len(table); i++) {
    const tm_json_member *m = tm_json_member_at(table, i);
    bool good = strcmp(m->key, "errors") == 0        ? read_share(&out->errors, &m->value)
                : strcmp(m->key, "bad_outputs") == 0 ? read_share(&out->bad_outputs, &m->value)
                : strcmp(m->key, "calls") == 0       ? read_calls(&out->calls, &m->value)
                : strcmp(m->key, "cool_down") == 0
                    ? read_duration(&out->cool_down_ms, &m->value)
                    : false;
    if (!good)
      return bad_key("breaker", m->key,
                     "errors and bad_outputs (shares over 0, up to 1), calls (1 to 1000) and "
                     "cool_down (30s)",
                     err);
  }
  return 0;
}

int tm_limits_read(tm_limits *out, tm_arena *a, const tm_json *table, tm_err *err) {
  tm_limit *all = tm_arena_array(a, tm_limit, tm_json_len(table) + 1);
  if (table && tm_json_type_of(table) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_CONFIG, "limits is no table");
  *out = (tm_limits){.all = all, .breaker = TM_BREAKER_DEFAULT};
  for (size_t i = 0; i < tm_json_len(table); i++) {
    const tm_json_member *m = tm_json_member_at(table, i);
    if (strcmp(m->key, "breaker") == 0) {
      if (read_breaker(&out->breaker, &m->value, err) < 0)
        return -1;
      continue;
    }
    if (tm_json_type_of(&m->value) != TM_JSON_OBJECT || !tm_json_len(&m->value))
      return tm_err_set(err, TM_CONFIG,
                        "limits: %.100s: here stands a PROVIDER or a PROVIDER/MODEL with "
                        "{requests_per_minute, tokens_per_minute, concurrent}, or breaker",
                        m->key);
    if (read_limit(&all[out->count++], tm_arena_strdup(a, m->key), &m->value, err) < 0)
      return -1;
  }
  return 0;
}

const tm_limit *tm_limits_of(const tm_limits *l, const char *name) {
  for (size_t i = 0; i < l->count; i++)
    if (strcmp(l->all[i].name, name) == 0)
      return &l->all[i];
  return NULL;
}
