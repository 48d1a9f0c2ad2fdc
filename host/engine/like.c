/* like.c - which of the answers that are kept is one to a text that is like this one.
 *
 *   start ─► the store's thread: each vector of the scope ─► the few that are likest
 *                                                                 │ done, on the loop
 *         told as a hit ◄── the first of them that is an answer ◄─┘ none: the model is asked
 *
 * Ten thousand vectors of 1,536 numbers are sixty megabytes, so the loop does not wait for them. What
 * the thread works on is its own: the branch may be gone before it has ended.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/reuse.h"

#define BEST  8    /* of the likest: another release may have left what is no answer here */
#define SLACK 1e-6 /* of what floats lose: a text is like itself, by 1 */

typedef struct like {
  char hash[TM_HASH_HEX + 1];
  double cosine;
} like;

struct tm_likes {
  tm_look look;
  tm_engine *engine;
  tm_branch *branch; /* NULL: it does not want it any more, */
  atomic_bool gone;  /* as the thread sees it */
  char scope[TM_HASH_HEX + 1];
  size_t n;
  double least;
  size_t count;
  like best[BEST]; /* the likest first; of equals the newest */
  float vector[];
};

/* -- vectors --------------------------------------------------------------------------- */

/* Of length 1; false for a vector of no length. */
static bool set_unit(float *out, const tm_json *vector) {
  size_t n = tm_json_len(vector);
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    double x = tm_json_number(tm_json_at(vector, i), 0);
    sum += x * x;
  }
  if (!(sum > 0) || isinf(sum))
    return false;
  for (size_t i = 0; i < n; i++)
    out[i] = (float)(tm_json_number(tm_json_at(vector, i), 0) / sqrt(sum));
  return true;
}

const unsigned char *tm_like_packed(tm_arena *a, const tm_json *vector) {
  size_t n = tm_json_len(vector);
  float *v = tm_arena_array(a, float, n);
  unsigned char *out = tm_arena_alloc(a, n * 4);
  if (!set_unit(v, vector))
    return NULL;
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, &v[i], sizeof bits);
    for (int k = 0; k < 4; k++)
      out[i * 4 + (size_t)k] = (unsigned char)(bits >> (8 * k));
  }
  return out;
}

static float number_at(const unsigned char *bytes) {
  uint32_t bits =
      bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

#define LANES 8 /* sums side by side: none waits for the one before */

static double product(const float *v, const unsigned char *bytes, size_t n) {
  double sums[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t k = 0; k < LANES; k++)
      sums[k] += (double)v[i + k] * (double)number_at(bytes + 4 * (i + k));
  for (; i < n; i++)
    sum += (double)v[i] * (double)number_at(bytes + 4 * i);
  for (size_t k = 0; k < LANES; k++)
    sum += sums[k];
  return sum;
}

/* -- on the store's thread ------------------------------------------------------------- */

static int compare(void *ctx, const tm_cache_row *row) {
  tm_likes *l = ctx;
  if (atomic_load_explicit(&l->gone, memory_order_relaxed))
    return 1;
  if (row->vector_len != l->n * 4 || strlen(row->hash) > TM_HASH_HEX)
    return 0;
  double cosine = product(l->vector, row->vector, l->n);
  size_t at = l->count;
  while (at && cosine > l->best[at - 1].cosine)
    at--;
  if (!(cosine >= l->least) || at == BEST)
    return 0;
  l->count += l->count < BEST;
  memmove(&l->best[at + 1], &l->best[at], (l->count - 1 - at) * sizeof *l->best);
  l->best[at].cosine = cosine;
  strcpy(l->best[at].hash, row->hash);
  return 0;
}

/* -- on the loop ----------------------------------------------------------------------- */

static bool take(tm_branch *b, const like *one) {
  tm_arena *a = &b->scratch;
  tm_cache_row row;
  const tm_json *kept = tm_reuse_kept(b, one->hash, &row);
  if (!kept)
    return false;
  tm_json *meta = tm_reuse_meta(b, tm_json_get(kept, "m"), "similar", row.run, row.at);
  tm_json *cached = (tm_json *)tm_json_get(meta, "cached");
  double shown = round(one->cosine * 10000) / 10000;
  tm_json_set(a, cached, "similarity", tm_json_new_double(a, shown > 1 ? 1 : shown));
  const tm_json *v = tm_json_get(kept, "v");
  tm_run_outcome(b, v, NULL, meta);
  tm_flight_land(b, v, meta);
  return true;
}

static void tell(tm_branch *b, const tm_likes *l) {
  if (l->look.err.code != TM_OK && l->look.err.code != TM_LIMIT) {
    tm_engine_break(l->engine, &l->look.err);
    return;
  }
  if (b->run->order == TM_ORDER_PAUSE) {
    b->phase = TM_PHASE_HELD; /* it looks once more */
    tm_flight_fail(b, false);
    return;
  }
  for (size_t i = 0; i < l->count; i++)
    if (take(b, &l->best[i]))
      return;
  tm_reuse_ask(b);
}

static void done(tm_look *look) {
  tm_likes *l = look->ctx;
  tm_branch *b = l->branch;
  l->engine->looks--;
  if (b) {
    tm_engine_beat(l->engine);
    l->engine->tasks--;
    b->reuse->likes = NULL;
    tell(b, l);
    tm_engine_rest(l->engine);
  }
  tm_free(l);
}

void tm_like_start(tm_branch *b) {
  tm_engine *e = b->run->engine;
  tm_reuse *u = b->reuse;
  const tm_store_vt *vt = e->ports.store->vt;
  size_t n = tm_json_len(u->vector);
  tm_likes *l = tm_alloc(sizeof *l + n * sizeof(float));
  if (!set_unit(l->vector, u->vector)) {
    tm_free(l);
    tm_reuse_ask(b);
    return;
  }
  l->engine = e;
  l->branch = b;
  l->n = n;
  l->least = tm_json_number(tm_json_get(u->settings, "similar"), 1) - SLACK;
  memcpy(l->scope, u->scope, sizeof l->scope);
  l->look = (tm_look){.scope = l->scope,
                      .now = tm_engine_now(e),
                      .limit = TM_REUSE_SCAN,
                      .fn = compare,
                      .ctx = l,
                      .done = done};
  u->likes = l;
  e->tasks++;
  e->looks++;
  if (vt->look) {
    vt->look(e->ports.store, &l->look);
    return;
  }
  vt->similar(e->ports.store, l->scope, l->look.now, l->look.limit, compare, l, &l->look.err);
  done(&l->look);
}

void tm_like_gone(tm_branch *b) {
  tm_likes *l = b->reuse ? b->reuse->likes : NULL;
  if (!l)
    return;
  b->reuse->likes = NULL;
  l->branch = NULL;
  l->engine->tasks--;
  atomic_store_explicit(&l->gone, true, memory_order_relaxed);
}
