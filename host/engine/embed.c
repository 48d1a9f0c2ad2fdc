/* embed.c - mill.embed: vectors of texts, each asked for once.
 *
 * A vector is kept by the hash of model, dimensions and text; only texts that have none go out.
 */
#include <string.h>

#include "engine/backoff.h"
#include "engine/budget.h"
#include "engine/reuse.h"
#include "engine/spend.h"

/* -- what is known --------------------------------------------------------------------- */

static tm_hash hash_of(tm_arena *a, const char *model, int64_t dimensions, const char *text) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "embed", model);
  tm_json_set_str(a, o, "input", text);
  if (dimensions)
    tm_json_set_int(a, o, "dimensions", dimensions);
  return tm_json_hash(o);
}

const tm_json *tm_embed_known(tm_branch *b, const char *model, int64_t dimensions,
                              const char *text) {
  tm_engine *e = b->run->engine;
  tm_arena *a = &b->scratch;
  tm_hash hash = hash_of(a, model, dimensions, text);
  tm_cache_row row;
  tm_json *v;
  tm_err err = TM_ERR_INIT;
  int found = e->ports.store->vt->cached(e->ports.store, hash.hex, a, &row, &err);
  if (found < 0 && err.code != TM_LIMIT)
    tm_engine_break(e, &err);
  if (found != 1 || (row.expires && row.expires <= tm_engine_now(e)) ||
      tm_json_parse(&v, a, row.value, strlen(row.value), NULL, &err) < 0)
    return NULL;
  return tm_json_len(v) ? v : NULL;
}

void tm_embed_keep(tm_branch *b, const char *model, int64_t dimensions, const char *text,
                   const tm_json *vector, int64_t ttl_ms) {
  tm_arena *a = &b->scratch;
  tm_hash hash = hash_of(a, model, dimensions, text);
  tm_reuse_put(b->run, &(tm_cache_row){.hash = hash.hex,
                                       .value = tm_json_text(a, vector, NULL),
                                       .expires = tm_engine_now(b->run->engine) + ttl_ms});
}

/* Who plays the model's vectors offline; NULL: the model itself is asked. */
static const char *player(const tm_branch *b) {
  const tm_json *of = b->kind == TM_CALL_EMBED ? b->live : b->reuse->settings;
  return tm_json_get_str(of, "played_by");
}

static tm_json *request_of(tm_branch *b, const char *model, int64_t dimensions,
                           const tm_json *texts) {
  tm_arena *a = &b->scratch;
  const char *plays = player(b);
  tm_json *request = tm_json_new_object(a), *config = tm_json_new_object(a);
  tm_json_set_str(a, request, "unit", "embed");
  tm_json_set_str(a, request, "model", plays ? plays : model);
  if (plays)
    tm_json_set_str(a, request, "as", model);
  tm_json_set(a, request, "input", texts);
  if (dimensions) {
    tm_json_set_int(a, config, "dimensions", dimensions);
    tm_json_set(a, request, "config", config);
  }
  return request;
}

void tm_embed_ask(tm_branch *b, const char *model, int64_t dimensions, const tm_json *texts) {
  const tm_json *budget = tm_json_get(b->live, "budget");
  tm_json *request = request_of(b, model, dimensions, texts);
  if (tm_budget_full(b, budget)) {
    tm_spend_wait(b);
    return;
  }
  tm_budget_hold(b, budget, request);
  tm_spend_ask(b, TM_CALL_EMBED, request);
}

/* -- mill.embed ------------------------------------------------------------------------ */

static int64_t dimensions_of(const tm_branch *b) {
  return tm_json_int(tm_json_get(b->request, "dimensions"), 0);
}

static void finish(tm_branch *b, const tm_json *meta, size_t asked) {
  tm_arena *a = &b->scratch;
  tm_json *full = tm_json_copy(a, meta);
  tm_json_set_int(a, full, "reused", (int64_t)(tm_json_len(b->reuse->vectors) - asked));
  tm_run_outcome(b, b->reuse->vectors, NULL, full);
}

static tm_json *no_cost(tm_branch *b) {
  tm_arena *a = &b->scratch;
  tm_json *meta = tm_json_new_object(a);
  tm_json_set_str(a, meta, "model", tm_json_get_str(b->request, "model"));
  tm_json_set_int(a, meta, "attempts", 0);
  tm_json_set_int(a, meta, "usd", 0);
  return meta;
}

void tm_embed_launch(tm_branch *b) {
  if (tm_backoff_waits(b))
    return;
  tm_arena *a = &b->scratch;
  const tm_json *texts = tm_json_get(b->request, "input");
  const char *model = tm_json_get_str(b->request, "model");
  tm_reuse *u = b->reuse = tm_arena_new(a, tm_reuse);
  tm_json *missing = tm_json_new_array(a);
  u->branch = b;
  tm_list_init(&u->link);
  u->vectors = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(texts); i++) {
    const tm_json *text = tm_json_at(texts, i);
    const tm_json *known = tm_embed_known(b, model, dimensions_of(b), tm_json_str(text, NULL));
    if (!known)
      tm_json_push(a, missing, text);
    tm_json_push(a, u->vectors, known ? known : tm_json_null(a));
  }
  if (!tm_json_len(missing)) {
    finish(b, no_cost(b), 0);
    return;
  }
  tm_json *error = tm_budget_refuses(b, tm_json_get(b->live, "budget"));
  if (error)
    tm_run_outcome(b, NULL, error, NULL);
  else
    tm_embed_ask(b, model, dimensions_of(b), missing);
}

void tm_embed_done(tm_branch *b, const tm_json *value, const tm_json *meta,
                   const tm_json *error) {
  tm_arena *a = &b->scratch;
  const tm_json *texts = tm_json_get(b->request, "input");
  const char *model = tm_json_get_str(b->request, "model");
  int64_t ttl = tm_json_int(tm_json_get(b->request, "ttl_ms"), 0);
  if (error) {
    tm_run_outcome(b, NULL, error, meta);
    return;
  }
  tm_json *all = tm_json_new_array(a);
  size_t came = 0;
  for (size_t i = 0; i < tm_json_len(texts); i++) {
    const tm_json *v = tm_json_at(b->reuse->vectors, i);
    if (tm_json_type_of(v) == TM_JSON_NULL) {
      v = tm_json_at(value, came++);
      tm_embed_keep(b, model, dimensions_of(b), tm_json_str(tm_json_at(texts, i), NULL), v,
                    ttl);
    }
    tm_json_push(a, all, v);
  }
  b->reuse->vectors = all;
  finish(b, meta, came);
}
