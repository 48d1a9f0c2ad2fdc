/* reuse.c - a question to a model: hashed, looked for, asked, kept. */
#include "engine/reuse.h"

#include <string.h>

#include "engine/backoff.h"
#include "engine/budget.h"
#include "engine/spend.h"
#include "text/checks.h"

#define VECTOR_TTL_MS (INT64_C(90) * 24 * 60 * 60 * 1000) /* of a text's, in the store */

/* -- questions ------------------------------------------------------------------------- */

static bool is_in(const char *const *names, const char *name) {
  while (*names && strcmp(*names, name) != 0)
    names++;
  return *names != NULL;
}

static tm_json *without(tm_arena *a, const tm_json *object, const char *const *names) {
  tm_json *out = tm_json_new_object(a);
  for (size_t i = 0; i < tm_json_len(object); i++) {
    const tm_json_member *m = tm_json_member_at(object, i);
    if (!is_in(names, m->key))
      tm_json_set(a, out, m->key, &m->value);
  }
  return out;
}

/* Members of a request that concern the wire, or this very thing: the answer is the same. */
#define WIRE "cache", "repair", "retries", "stream", "timeout", "timeout_ms", "timeouts"

static void hash_into(char out[TM_HASH_HEX + 1], const tm_json *v) {
  tm_hash h = tm_json_hash(v);
  memcpy(out, h.hex, sizeof h.hex);
}

/* A prompt's hash is its file's alone: what it includes counts, too. */
static tm_json *partials(tm_arena *a, const tm_closure *c) {
  tm_json *out = tm_json_new_object(a);
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));) {
    const tm_source *file = e->value;
    const char *base = strrchr(file->name, '/');
    if (strncmp(file->name, "prompts/", 8) == 0 && base[1] == '_')
      tm_json_set_str(a, out, file->name, file->hash.hex);
  }
  return out;
}

static void set_scope(tm_branch *b, tm_reuse *u) {
  tm_arena *a = &b->scratch;
  const char *of = tm_json_get_str(u->settings, "of");
  const char *const rendered[] = {WIRE, "messages", "vars", NULL}, *const one[] = {of, NULL};
  tm_json *o = without(a, u->request, rendered);
  tm_json_set_str(a, o, "prompt", tm_json_get_str(b->request, "prompt"));
  tm_json_set(a, o, "vars", without(a, tm_json_get(u->request, "vars"), one));
  if (tm_json_get(b->request, "opts")) /* a conversation around what the unit renders */
    tm_json_set(a, o, "opts", tm_json_get(b->request, "opts"));
  tm_json_set(a, o, "partials", partials(a, b->run->closure));
  tm_json_set(a, o, "like", u->settings);
  hash_into(u->scope, o);
}

/* What is compared; NULL when there is nothing. */
static const char *text_of(tm_branch *b, const tm_reuse *u) {
  const char *of = tm_json_get_str(u->settings, "of");
  const tm_json *v = of ? tm_json_get(tm_json_get(u->request, "vars"), of) : NULL;
  if (!v || tm_json_type_of(v) == TM_JSON_NULL)
    return NULL;
  const char *text = tm_json_str(v, NULL);
  text = text ? text : tm_json_text(&b->scratch, v, NULL);
  return *text ? text : NULL;
}

static bool has_tools(const tm_json *request) {
  const tm_json *messages = tm_json_get(request, "messages");
  for (size_t i = 0; i < tm_json_len(messages); i++) {
    const char *role = tm_json_get_str(tm_json_at(messages, i), "role");
    if (role && strcmp(role, "tool") == 0)
      return true;
  }
  return tm_json_len(tm_json_get(request, "tools")) > 0;
}

static tm_reuse *question_of(tm_branch *b) {
  static const char *const wire[] = {WIRE, NULL};
  const tm_json *request = tm_json_get(b->live, "request");
  const tm_json *settings = tm_json_get(request, "cache");
  if (!settings || tm_json_type_of(settings) != TM_JSON_OBJECT || has_tools(request))
    return NULL;
  tm_reuse *u = tm_arena_new(&b->scratch, tm_reuse);
  *u = (tm_reuse){.branch = b, .request = request, .settings = settings};
  tm_list_init(&u->link);
  hash_into(u->hash, without(&b->scratch, request, wire));
  u->embed = tm_json_get(tm_json_get(b->back, "meta"), "embed");
  u->text = text_of(b, u);
  if (u->text)
    set_scope(b, u);
  return u;
}

/* -- hits ------------------------------------------------------------------------------ */

static tm_json *no_usage(tm_arena *a) {
  static const char *const counts[] = {"input",  "cached_input", "cache_write",
                                       "output", "reasoning",    "total"};
  tm_json *o = tm_json_new_object(a);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    tm_json_set_int(a, o, counts[i], 0);
  return o;
}

/* What an answer's meta says of the answer, not of the asking. */
static tm_json *lasting(tm_arena *a, const tm_json *meta) {
  static const char *const names[] = {"model",    "model_first", "model_answered",
                                      "provider", "fingerprint", "finish",
                                      "rung",     "unsure"};
  tm_json *o = tm_json_new_object(a);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const tm_json *v = tm_json_get(meta, names[i]);
    if (v)
      tm_json_set(a, o, names[i], v);
  }
  return o;
}

static bool is_known(const tm_json *n) {
  return n && tm_json_type_of(n) != TM_JSON_NULL;
}

/* Adds what a look for like ones cost. A meta without `usd` tells of nothing spent. */
static void add_embed(tm_branch *b, tm_json *meta) {
  const tm_json *embed = b->reuse ? b->reuse->embed : NULL;
  const tm_json *own = tm_json_get(meta, "usd"), *more = tm_json_get(embed, "usd");
  if (!embed)
    return;
  bool known = (!own || is_known(own)) && is_known(more);
  tm_json_set(&b->scratch, meta, "embed", embed);
  tm_json_set(
      &b->scratch, meta, "usd",
      known ? tm_json_new_double(&b->scratch, tm_json_number(own, 0) + tm_json_number(more, 0))
            : tm_json_null(&b->scratch));
}

const tm_json *tm_reuse_so_far(tm_branch *b, const tm_json *meta) {
  if (!b->reuse || !b->reuse->embed)
    return meta;
  tm_json *full = meta ? tm_json_copy(&b->scratch, meta) : tm_json_new_object(&b->scratch);
  add_embed(b, full);
  return full;
}

/* What it spent before it was put off; else nothing, but for the embedding. */
static void put_spent(tm_branch *b, tm_json *meta) {
  static const char *const names[] = {"attempts", "rounds", "latency_ms",
                                      "usage",    "usd",    "embed"};
  tm_arena *a = &b->scratch;
  const tm_json *before = tm_json_get(b->back, "meta");
  for (size_t i = 0; i < 3; i++)
    tm_json_set_int(a, meta, names[i], 0);
  tm_json_set(a, meta, "usage", no_usage(a));
  tm_json_set_int(a, meta, "usd", 0);
  if (!before)
    add_embed(b, meta);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (tm_json_get(before, names[i]))
      tm_json_set(a, meta, names[i], tm_json_get(before, names[i]));
}

tm_json *tm_reuse_meta(tm_branch *b, const tm_json *meta, const char *hit, const char *run,
                       int64_t at) {
  tm_arena *a = &b->scratch;
  tm_json *o = lasting(a, meta), *cached = tm_json_new_object(a);
  const tm_json *usd = tm_json_get(meta, "usd");
  put_spent(b, o);
  tm_json_set_str(a, cached, "hit", hit);
  tm_json_set_str(a, cached, "run", run);
  tm_json_set_int(a, cached, "at", at);
  if (is_known(usd))
    tm_json_set(a, cached, "usd", usd);
  tm_json_set(a, o, "cached", cached);
  return o;
}

/* An answer that another release of ours, or another hand, put there may not be one here. */
static bool is_answer(tm_branch *b, const tm_json *v) {
  const tm_json *request = b->reuse->request, *schema = tm_json_get(request, "schema");
  const tm_json *checks = tm_json_get(request, "checks");
  tm_arena *a = &b->scratch;
  tm_schema *compiled;
  tm_checks *rules;
  tm_err err = TM_ERR_INIT;
  bool wants_text = !schema || tm_json_type_of(schema) == TM_JSON_NULL;
  if (!v || (wants_text && tm_json_type_of(v) != TM_JSON_STRING))
    return false;
  if (!wants_text && (tm_schema_compile(&compiled, a, schema, NULL, &err) < 0 ||
                      tm_schema_check(compiled, v, NULL, &err) != 0))
    return false;
  return !checks || (tm_checks_compile(&rules, a, checks, &err) == 0 &&
                     tm_checks_run(rules, v, tm_json_get(request, "vars"), NULL, &err) == 0);
}

static const tm_json *answer_in(tm_branch *b, const char *text) {
  tm_json *kept;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&kept, &b->scratch, text, strlen(text), NULL, &err) < 0 ||
      !is_answer(b, tm_json_get(kept, "v")))
    return NULL;
  return kept;
}

/* No room for what is there: it is as if it were not. Else nothing is known of the store. */
static void cannot_read(tm_branch *b, const tm_err *err) {
  if (err->code != TM_LIMIT)
    tm_engine_break(b->run->engine, err);
}

const tm_json *tm_reuse_kept(tm_branch *b, const char *hash, tm_cache_row *row) {
  tm_engine *e = b->run->engine;
  tm_err err = TM_ERR_INIT;
  int found = e->ports.store->vt->cached(e->ports.store, hash, &b->scratch, row, &err);
  if (found < 0)
    cannot_read(b, &err);
  if (found != 1 || (row->expires && row->expires <= tm_engine_now(e)))
    return NULL;
  return answer_in(b, row->value);
}

static bool take_exact(tm_branch *b) {
  tm_cache_row row;
  const tm_json *kept = tm_reuse_kept(b, b->reuse->hash, &row);
  if (!kept)
    return false;
  tm_run_outcome(b, tm_json_get(kept, "v"), NULL,
                 tm_reuse_meta(b, tm_json_get(kept, "m"), "exact", row.run, row.at));
  return true;
}

/* -- asking ---------------------------------------------------------------------------- */

static bool may_spend(tm_branch *b) {
  tm_json *error = tm_budget_refuses(b, tm_json_get(b->live, "budget"));
  if (!error)
    return true;
  tm_run_outcome(b, NULL, error, tm_reuse_so_far(b, tm_json_get(b->back, "meta")));
  tm_flight_fail(b, false);
  return false;
}

void tm_reuse_ask(tm_branch *b) {
  const tm_json *budget = tm_json_get(b->live, "budget");
  if (b->reuse)
    b->reuse->looked = true;
  if (!may_spend(b))
    return;
  if (tm_budget_full(b, budget)) {
    tm_spend_wait(b);
    return;
  }
  tm_budget_hold(b, budget, tm_json_get(b->live, "request"));
  tm_spend_ask(b, TM_CALL_LLM, tm_json_get(b->live, "request"));
}

static const char *embedder(const tm_branch *b) {
  return tm_json_get_str(b->reuse->settings, "embed");
}

static void look_for_like_ones(tm_branch *b) {
  tm_reuse *u = b->reuse;
  u->vector = tm_embed_known(b, embedder(b), 0, u->text);
  if (u->vector) {
    tm_like_start(b);
  } else if (may_spend(b)) {
    tm_json *texts = tm_json_new_array(&b->scratch);
    tm_json_push(&b->scratch, texts, tm_json_new_str(&b->scratch, u->text));
    tm_embed_ask(b, embedder(b), 0, texts);
  }
}

void tm_reuse_go_on(tm_branch *b) {
  if (b->reuse && b->reuse->text && !b->back && !b->reuse->looked)
    look_for_like_ones(b);
  else
    tm_reuse_ask(b);
}

void tm_reuse_launch(tm_branch *b) {
  if (tm_backoff_waits(b))
    return;
  if (!b->reuse)
    b->reuse = question_of(b);
  if (!b->reuse || b->reuse->flight) /* none to look for; or others follow it already */
    tm_reuse_ask(b);
  else if (take_exact(b) || (!b->reuse->alone && tm_flight_join(b)))
    tm_spend_inherit(b);
  else if (b->reuse->text && !b->back) /* it looked before it asked for the first time */
    look_for_like_ones(b);
  else
    tm_reuse_ask(b);
}

/* A mistake of ours, not bad weather: it is told, and does not just go without effect. */
static bool is_mistake(const tm_json *error) {
  const char *class = tm_json_get_str(error, "class"), *code = tm_json_get_str(error, "code");
  return (code && (strcmp(code, "config") == 0 || strcmp(code, "usage") == 0)) ||
         (class && (strcmp(class, "auth") == 0 || strcmp(class, "invalid_request") == 0));
}

static void refuse_embed(tm_branch *b, const tm_json *error) {
  tm_arena *a = &b->scratch;
  tm_json *e = tm_json_copy(a, error);
  const char *why = tm_json_get_str(error, "message");
  tm_json_set_str(a, e, "kind", "llm");
  tm_json_set_str(
      a, e, "message",
      tm_arena_printf(a, "tidemill.cache of prompts/%s.prompt cannot embed with %s: %s",
                      b->name, embedder(b), why ? why : "?"));
  tm_json *meta = tm_json_new_object(a);
  tm_json_set_bool(a, meta, "unsent", true);
  tm_run_outcome(b, NULL, e, meta);
  tm_flight_fail(b, true);
}

static void embedded(tm_branch *b, const tm_json *value, const tm_json *meta,
                     const tm_json *error) {
  tm_reuse *u = b->reuse;
  tm_arena *a = &b->scratch;
  if (error && is_mistake(error)) {
    refuse_embed(b, error);
    return;
  }
  if (value) {
    static const char *const names[] = {"model", "usage", "usd"};
    tm_json *cost = tm_json_new_object(a);
    for (size_t i = 0; i < 3; i++)
      if (tm_json_get(meta, names[i]))
        tm_json_set(a, cost, names[i], tm_json_copy(a, tm_json_get(meta, names[i])));
    u->embed = cost;
    u->vector = tm_json_copy(a, tm_json_at(value, 0));
    tm_embed_keep(b, embedder(b), 0, u->text, u->vector, VECTOR_TTL_MS);
    tm_like_start(b);
  } else {
    tm_reuse_ask(b);
  }
}

/* -- keeping --------------------------------------------------------------------------- */

void tm_reuse_put(tm_run *r, const tm_cache_row *row) {
  tm_engine *e = r->engine;
  if (r->lost || r->ended)
    return;
  tm_op *op = tm_turn_op(e, r, TM_OP_CACHE);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  op->u.cache = (tm_cache_row){
      .hash = tm_arena_strdup(a, row->hash),
      .scope = tm_arena_strdup(a, row->scope),
      .value = tm_arena_strdup(a, row->value),
      .vector = row->vector ? tm_arena_strndup(a, row->vector, row->vector_len) : NULL,
      .vector_len = row->vector_len,
      .run = tm_arena_strdup(a, r->id),
      .at = tm_engine_now(e),
      .expires = row->expires,
  };
}

static void keep(tm_branch *b, const tm_json *value, const tm_json *meta) {
  tm_reuse *u = b->reuse;
  tm_arena *a = &b->scratch;
  tm_json *kept = tm_json_new_object(a), *about = lasting(a, meta);
  const tm_json *usd = tm_json_get(meta, "usd");
  int64_t ttl = tm_json_int(tm_json_get(u->settings, "ttl_ms"), 0);
  if (usd)
    tm_json_set(a, about, "usd", usd);
  tm_json_set(a, kept, "v", value);
  tm_json_set(a, kept, "m", about);
  const unsigned char *vector = u->vector ? tm_like_packed(a, u->vector) : NULL;
  tm_reuse_put(b->run, &(tm_cache_row){
                           .hash = u->hash,
                           .scope = vector ? u->scope : NULL,
                           .value = tm_json_text(a, kept, NULL),
                           .vector = vector,
                           .vector_len = vector ? tm_json_len(u->vector) * 4 : 0,
                           .expires = ttl ? tm_engine_now(b->run->engine) + ttl : 0,
                       });
}

static void answered(tm_branch *b, const tm_json *value, const tm_json *meta) {
  tm_json *full = meta ? tm_json_copy(&b->scratch, meta) : tm_json_new_object(&b->scratch);
  add_embed(b, full);
  tm_run_outcome(b, value, NULL, full);
  if (tm_json_get(meta, "tool_calls")) {
    tm_flight_fail(b, true);
    return;
  }
  if (!tm_json_bool(tm_json_get(meta, "unsure"), false))
    keep(b, value, meta);
  tm_flight_land(b, value, full);
}

void tm_reuse_done(tm_branch *b, tm_call_kind kind, const tm_json *value, const tm_json *meta,
                   const tm_json *error) {
  if (kind == TM_CALL_EMBED) {
    embedded(b, value, meta, error);
  } else if (b->reuse && !error) {
    answered(b, value, meta);
  } else {
    tm_run_outcome(b, value, error, tm_reuse_so_far(b, meta));
    tm_flight_fail(b, true);
  }
}

/* -- counting -------------------------------------------------------------------------- */

bool tm_reuse_is_free(const tm_json *meta) {
  return tm_json_bool(tm_json_get(meta, "unsent"), false) ||
         (tm_json_get(meta, "cached") && tm_json_int(tm_json_get(meta, "attempts"), 0) == 0);
}

int64_t tm_reuse_uncounted(const tm_run *r) {
  int64_t n = 0;
  for (const tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (b->dead || b->kind != TM_CALL_LLM)
      continue;
    bool hit = b->phase == TM_PHASE_ANSWERED && tm_reuse_is_free(b->answer.meta);
    bool follows =
        b->phase == TM_PHASE_LIVE && !b->back && b->reuse && !tm_list_empty(&b->reuse->link);
    n += hit || follows || (b->phase == TM_PHASE_LIVE && b->reuse && b->reuse->likes);
  }
  return n;
}
