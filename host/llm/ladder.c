/* ladder.c - which model and which configuration is asked next. */
#include "llm/ladder.h"

#include <math.h>
#include <string.h>

static int check(const tm_json *list, const char *name, tm_json_type type, const char *what,
                 tm_err *err) {
  bool good = tm_json_type_of(list) == TM_JSON_ARRAY && tm_json_len(list) <= TM_LADDER_MAX;
  for (size_t i = 0; good && i < tm_json_len(list); i++) {
    const tm_json *item = tm_json_at(list, i), *model = tm_json_get(item, "model");
    good = tm_json_type_of(item) == type && (!model || tm_json_str(model, NULL));
  }
  return good ? 0
              : tm_err_set(err, TM_USAGE, "%s must be a list of at most %d %s", name,
                           TM_LADDER_MAX, what);
}

static const tm_json *given(const tm_json *request, const char *key) {
  const tm_json *v = tm_json_get(request, key);
  return v && tm_json_type_of(v) != TM_JSON_NULL && tm_json_len(v) ? v : NULL;
}

int tm_ladder_open(tm_ladder *out, const tm_json *request, tm_err *err) {
  *out = (tm_ladder){.tries = given(request, "tries"), .fallback = given(request, "fallback")};
  if (out->tries &&
      check(out->tries, "tries", TM_JSON_OBJECT,
            "objects, for example {} or {temperature: 0, model: \"openai/x\"}", err) < 0)
    return -1;
  if (out->fallback && check(out->fallback, "fallback", TM_JSON_STRING,
                             "models, each as PROVIDER/MODEL", err) < 0)
    return -1;
  return 0;
}

bool tm_ladder_doubt(tm_ladder *l) {
  if (l->rung + 1 >= tm_json_len(l->tries))
    return false;
  l->rung++;
  return true;
}

bool tm_ladder_next(tm_ladder *l, tm_llm_class class) {
  switch (class) {
  case TM_LLM_BAD_OUTPUT:
  case TM_LLM_TRUNCATED:
  case TM_LLM_CONTEXT:
    return tm_ladder_doubt(l);
  case TM_LLM_NETWORK:
  case TM_LLM_TIMEOUT:
  case TM_LLM_RATE_LIMITED:
  case TM_LLM_OVERLOADED:
  case TM_LLM_SERVER:
  case TM_LLM_QUOTA:
  case TM_LLM_UNAVAILABLE:
    if (l->fall >= tm_json_len(l->fallback))
      return false;
    l->fall++;
    return true;
  default:
    return false;
  }
}

/* A provider that has fallen out stays out, whatever model a higher rung names. */
const char *tm_ladder_model(const tm_ladder *l, const tm_json *request) {
  if (l->fall)
    return tm_json_str(tm_json_at(l->fallback, l->fall - 1), NULL);
  const char *model = tm_json_get_str(tm_json_at(l->tries, l->rung), "model");
  return model ? model : tm_json_get_str(request, "model");
}

const tm_json *tm_ladder_config(const tm_ladder *l, tm_arena *a, const tm_json *request) {
  const tm_json *config = tm_json_get(request, "config"), *over = tm_json_at(l->tries, l->rung);
  if (!tm_json_len(over))
    return config;
  tm_json *out = config ? tm_json_copy(a, config) : tm_json_new_object(a);
  for (size_t i = 0; i < tm_json_len(over); i++) {
    const tm_json_member *m = tm_json_member_at(over, i);
    if (strcmp(m->key, "model") != 0)
      tm_json_setn(a, out, m->key, m->key_len, tm_json_copy(a, &m->value));
  }
  return out;
}

/* What does not say how sure it is is not sure. */
bool tm_ladder_unsure(const tm_json *request, const tm_json *value) {
  const tm_json *wish = tm_json_get(request, "confidence");
  const char *of = tm_json_get_str(wish, "of");
  if (!of)
    return false;
  const tm_json *said = *of == '/' ? tm_json_pointer(value, of) : tm_json_get(value, of);
  return !(tm_json_number(said, -HUGE_VAL) >= tm_json_number(tm_json_get(wish, "at_least"), 0));
}

const char *tm_ladder_model_at(const tm_ladder *l, size_t i) {
  size_t tries = tm_json_len(l->tries);
  for (; i < tries; i++) {
    const char *model = tm_json_get_str(tm_json_at(l->tries, i), "model");
    return model ? model : "";
  }
  return tm_json_str(tm_json_at(l->fallback, i - tries), NULL);
}
