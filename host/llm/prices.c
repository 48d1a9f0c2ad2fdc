/* prices.c - what tokens cost: a dated table, and over it what the user knows better. */
#include "llm/prices.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

#define TABLES_MAX ((size_t)4 << 20)

static const tm_json *models_of(const tm_json *table) {
  const tm_json *models = tm_json_get(table, "models");
  return models ? models : table;
}

static int check(const tm_json *models, tm_err *err) {
  static const char *const rates[] = {"input", "cached_input", "cache_write", "output"};
  for (size_t i = 0; i < tm_json_len(models); i++) {
    const tm_json_member *m = tm_json_member_at(models, i);
    bool good = tm_json_type_of(&m->value) == TM_JSON_OBJECT;
    for (size_t k = 0; k < sizeof rates / sizeof *rates && good; k++) {
      const tm_json *rate = tm_json_get(&m->value, rates[k]);
      good = !rate || tm_json_number(rate, -1) >= 0;
    }
    if (!good)
      return tm_err_set(err, TM_USAGE,
                        "the price of %.80s must be an object with input and output, each in "
                        "USD for a million tokens",
                        m->key);
  }
  return 0;
}

static const tm_json *patterns_of(tm_arena *a, const tm_json *models) {
  tm_json *out = tm_json_new_object(a);
  for (size_t i = 0; i < tm_json_len(models); i++) {
    const tm_json_member *m = tm_json_member_at(models, i);
    if (strpbrk(m->key, "*?["))
      tm_json_lend(a, out, m->key, &m->value);
  }
  return out;
}

int tm_prices_add(tm_prices *p, const tm_json *table, tm_err *err) {
  const tm_json *models = models_of(table);
  if (!models || tm_json_type_of(models) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_USAGE, "a table of prices must be an object of PROVIDER/MODEL");
  if (check(models, err) < 0)
    return -1;
  if (!p->arena.limit)
    tm_arena_init(&p->arena, TABLES_MAX);
  tm_price_table t = {.models = tm_json_copy(&p->arena, models)};
  t.patterns = patterns_of(&p->arena, t.models);
  if (p->arena.failed)
    return tm_err_set(err, TM_LIMIT, "the tables of prices are larger than %zu bytes",
                      TABLES_MAX);
  p->tables = tm_realloc(p->tables, (p->count + 1) * sizeof *p->tables);
  p->tables[p->count++] = t;
  return 0;
}

void tm_prices_free(tm_prices *p) {
  tm_arena_free(&p->arena);
  tm_free(p->tables);
  *p = (tm_prices){0};
}

/* -- whose price it is ----------------------------------------------------------------- */

/* Length without a date at the end: -YYYYMMDD or -YYYY-MM-DD. */
static size_t undated(const char *name) {
  static const char *const shapes[] = {"-dddddddd", "-dddd-dd-dd"};
  size_t len = strlen(name);
  for (size_t i = 0; i < 2; i++) {
    size_t n = strlen(shapes[i]);
    bool fits = len > n;
    for (size_t k = 0; fits && k < n; k++) {
      char c = name[len - n + k];
      fits = shapes[i][k] == 'd' ? isdigit((unsigned char)c) != 0 : c == '-';
    }
    if (fits)
      return len - n;
  }
  return len;
}

static const tm_json *by_pattern(const tm_json *patterns, const char *name) {
  for (size_t i = 0; i < tm_json_len(patterns); i++) {
    const tm_json_member *m = tm_json_member_at(patterns, i);
    if (fnmatch(m->key, name, 0) == 0)
      return &m->value;
  }
  return NULL;
}

const tm_json *tm_prices_of(const tm_prices *p, const char *provider, const char *model) {
  char name[256];
  size_t n = strlen(provider), len = strlen(model);
  if (n + 1 + len >= sizeof name)
    return NULL;
  memcpy(name, provider, n);
  name[n] = '/';
  memcpy(name + n + 1, model, len + 1);
  for (size_t i = p->count; i-- > 0;) {
    const tm_json *models = p->tables[i].models, *price = tm_json_get(models, name);
    if (!price)
      price = tm_json_getn(models, name, undated(name));
    if (!price)
      price = by_pattern(p->tables[i].patterns, name);
    if (price)
      return price;
  }
  return NULL;
}

/* -- sums ------------------------------------------------------------------------------ */

static double count(const tm_json *usage, const char *key, double otherwise) {
  return tm_json_number(tm_json_get(usage, key), otherwise);
}

bool tm_prices_usd(double *out, const tm_prices *p, const char *provider, const char *model,
                   const tm_json *usage) {
  const tm_json *price = tm_prices_of(p, provider, model);
  double input = count(usage, "input", -1), output = count(usage, "output", -1);
  double in_rate = count(price, "input", -1), out_rate = count(price, "output", -1);
  if (input < 0 || in_rate < 0 || output < 0 || (output > 0 && out_rate < 0))
    return false;
  double cached = count(usage, "cached_input", 0), written = count(usage, "cache_write", 0);
  double fresh = input - cached - written;
  *out = ((fresh > 0 ? fresh : 0) * in_rate + cached * count(price, "cached_input", in_rate) +
          written * count(price, "cache_write", in_rate) +
          output * (out_rate > 0 ? out_rate : 0)) /
         1e6;
  return true;
}
