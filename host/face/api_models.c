/* api_models.c - who can be asked: providers and their keys, models with what they cost and what
 * they do not take.
 */
#include <string.h>

#include "face/api.h"
#include "script/embed.h"

typedef struct listing {
  tidemill *t;
  tm_llm *llm;
  tm_arena *arena;
  tm_json *models; /* name -> {model, units?, price, drops} */
} listing;

/* The model's row, made when it is new. NULL: it is not written as a model is, or nobody asks it. */
static int add_model(listing *x, const char *name, tm_json **row, tm_err *err) {
  tm_arena *a = x->arena;
  tm_json *drops;
  const tm_json *known = tm_json_get(x->models, name);
  if (!known) {
    if (tm_llm_drops(&drops, a, x->llm, name, err) < 0)
      return -1;
    const tm_json *price = tm_llm_price(x->llm, name);
    tm_json *o = tm_json_new_object(a);
    tm_json_set_str(a, o, "model", name);
    tm_json_set(a, o, "units", tm_json_new_array(a));
    tm_json_set(a, o, "price", price ? price : tm_json_null(a));
    tm_json_set(a, o, "drops", drops);
    known = tm_json_set(a, x->models, name, o);
  }
  *row = (tm_json *)(uintptr_t)known;
  return 0;
}

/* A unit whose model cannot be asked is `tidemill check`'s and doctor's business: it is left out. */
static void add_unit(listing *x, tm_closure *c, const char *name) {
  const tm_prompt *unit;
  const char *hash;
  tm_err err = TM_ERR_INIT;
  tm_json *row;
  if (tm_program_unit(&unit, &hash, tm_program_of(c), name, &err) < 0)
    return;
  const char *model = tm_request_model(c, unit, NULL);
  if (!model || add_model(x, model, &row, &err) < 0)
    return;
  tm_json *units = tm_json_copy(x->arena, tm_json_get(row, "units"));
  tm_json_push(x->arena, units, tm_json_new_str(x->arena, name));
  tm_json_set(x->arena, row, "units", units);
}

static int add_units(listing *x, tm_err *err) {
  tm_closure *c = NULL;
  tm_map_entry *e;
  char name[256];
  if (tm_api_sources(x->t, &c, err) < 0)
    return -1;
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));)
    if (tm_api_unit_name(e->key, name))
      add_unit(x, c, name);
  tm_closure_release(&c);
  return 0;
}

/* Every model that a table of prices names; a pattern names none. */
static void add_priced(listing *x, const tm_json *prices) {
  tm_json *row;
  for (size_t i = 0; i < tm_json_len(prices); i++) {
    tm_err err = TM_ERR_INIT;
    const char *name = tm_json_member_at(prices, i)->key;
    if (!strpbrk(name, "*?["))
      add_model(x, name, &row, &err);
  }
}

static int read_table(const tm_json **out, tm_arena *a, const char *file, tm_err *err) {
  const tm_embed_file *f = tm_embed_find(file);
  tm_json *table;
  int rc = tm_json_parse(&table, a, f->bytes, f->len, NULL, err);
  *out = rc == 0 ? table : NULL;
  return rc;
}

static tm_json *values(tm_arena *a, const tm_json *object) {
  tm_json *list = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(object); i++)
    tm_json_push(a, list, &tm_json_member_at(object, i)->value);
  return list;
}

int tm_api_models(tm_json **out, tm_arena *a, tidemill *t, tm_err *err) {
  listing x = {.t = t, .arena = a, .models = tm_json_new_object(a)};
  const tm_json *prices, *rules;
  if (tm_world_llm(t, &x.llm, err) < 0 || read_table(&prices, a, "prices.json", err) < 0 ||
      read_table(&rules, a, "models.json", err) < 0 || add_units(&x, err) < 0)
    return -1;
  add_priced(&x, t->options->prices);
  add_priced(&x, tm_json_get(prices, "models"));
  tm_json *o = *out = tm_json_new_object(a);
  tm_json_set_str(a, o, "schema", "tidemill.models/1");
  tm_json_set(a, o, "providers", tm_llm_describe(x.llm, a));
  tm_json_set(a, o, "models", values(a, x.models));
  tm_json_set(a, o, "prices_as_of", tm_json_get(prices, "as_of"));
  tm_json_set(a, o, "capabilities_as_of", tm_json_get(rules, "as_of"));
  return 0;
}
