/* mem_reuse.c - decisions and answers of the store in memory. */
#include "store/mem_reuse.h"

#include <stdlib.h>
#include <string.h>

#include "store/apply.h"

typedef struct made {
  tm_decision_row row;
  struct made *before; /* the one that it followed */
} made;

typedef struct tm_mem_answer {
  tm_cache_row row;
  struct tm_mem_answer *older;
  bool gone; /* it had expired, and another one came */
} tm_mem_answer;

/* -- decisions ------------------------------------------------------------------------- */

/* The NULs keep ("a", "bc") and ("ab", "c") apart. */
static made *latest(tm_mem_reuse *m, const tm_decision_row *d) {
  tm_buf_reset(&m->key);
  tm_buf_put(&m->key, d->ns, strlen(d->ns) + 1);
  tm_buf_put(&m->key, d->name, strlen(d->name) + 1);
  tm_buf_puts(&m->key, d->key);
  return tm_map_getn(&m->decisions, m->key.data, m->key.len);
}

const tm_decision_row *tm_mem_reuse_decision(tm_mem_reuse *m, const tm_decision_row *key) {
  const made *d = latest(m, key);
  return d ? &d->row : NULL;
}

static void void_it(tm_mem_reuse *m, tm_decision_row *row, const tm_decision_row *by,
                    int64_t at) {
  row->voided = at;
  row->by = tm_arena_strdup(m->arena, by->by);
  row->note = tm_arena_strdup(m->arena, by->note);
}

static int decide(tm_mem_reuse *m, tm_batch *b, tm_op *op, tm_err *err) {
  tm_decision_row *d = &op->u.decision;
  made *stands = latest(m, d);
  if (!tm_apply_decides(op, stands ? &stands->row : NULL, b->at)) {
    tm_decision_row *found = tm_arena_new(&b->arena, tm_decision_row);
    op->found.decision = found;
    op->status = TM_OP_EXISTS;
    return tm_apply_copy_decision(&b->arena, found, &stands->row, err);
  }
  d->at = d->at ? d->at : b->at;
  if (stands && tm_decision_holds(&stands->row, b->at))
    void_it(m, &stands->row, d, b->at);
  d->version = stands ? stands->row.version + 1 : 1;
  made *kept = tm_arena_new(m->arena, made);
  kept->before = stands;
  tm_map_setn(&m->decisions, m->key.data, m->key.len, kept);
  int rc = tm_apply_copy_decision(m->arena, &kept->row, d, err);
  kept->row.voided = 0;
  kept->row.by = kept->row.note = NULL;
  return rc;
}

static void reopen(tm_mem_reuse *m, const tm_batch *b, tm_op *op) {
  made *stands = latest(m, &op->u.decision);
  if (stands && tm_decision_holds(&stands->row, b->at))
    void_it(m, &stands->row, &op->u.decision, b->at);
  else
    op->status = TM_OP_LOST;
}

static bool wanted(const tm_decision_filter *f, const tm_decision_row *d) {
  return (!f->ns || strcmp(f->ns, d->ns) == 0) && (!f->name || strcmp(f->name, d->name) == 0) &&
         (!f->key || strcmp(f->key, d->key) == 0);
}

static int by_key(const void *a, const void *b) {
  const tm_decision_row *x = &(*(made *const *)a)->row, *y = &(*(made *const *)b)->row;
  int order = strcmp(x->ns, y->ns);
  order = order ? order : strcmp(x->name, y->name);
  return order ? order : strcmp(x->key, y->key);
}

int tm_mem_reuse_decisions(const tm_mem_reuse *m, const tm_decision_filter *f,
                           tm_decision_fn fn, void *ctx) {
  made **all = tm_new_array(made *, m->decisions.used + 1);
  size_t n = 0;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&m->decisions, &i));)
    all[n++] = e->value;
  qsort(all, n, sizeof *all, by_key);
  int rc = 0;
  for (size_t i = 0; i < n && rc == 0; i++)
    for (const made *d = all[i]; d && rc == 0; d = f->past ? d->before : NULL)
      if (wanted(f, &d->row))
        rc = fn(ctx, &d->row);
  tm_free(all);
  return 0;
}

/* -- answers --------------------------------------------------------------------------- */

static bool expired(const tm_cache_row *row, int64_t now) {
  return row->expires && row->expires <= now;
}

static int cache(tm_mem_reuse *m, const tm_batch *b, tm_op *op, tm_err *err) {
  const tm_cache_row *row = &op->u.cache;
  tm_mem_answer *stands = tm_map_get(&m->answers, row->hash);
  if (stands && !expired(&stands->row, b->at)) {
    op->status = TM_OP_EXISTS;
    return 0;
  }
  if (stands)
    stands->gone = true;
  tm_mem_answer *kept = tm_arena_new(m->arena, tm_mem_answer);
  kept->older = m->newest;
  m->newest = kept;
  tm_map_set(&m->answers, row->hash, kept);
  if (tm_apply_copy_cache(m->arena, &kept->row, row, err) < 0)
    return -1;
  if (row->vector)
    kept->row.vector = tm_arena_strndup(m->arena, row->vector, row->vector_len);
  kept->row.vector_len = row->vector_len;
  if (!kept->row.at)
    kept->row.at = b->at;
  return 0;
}

int64_t tm_mem_reuse_sweep(tm_mem_reuse *m, int64_t now, int64_t limit) {
  int64_t swept = 0;
  tm_map_entry *e;
  for (size_t i = 0; swept < limit && (e = tm_map_next(&m->answers, &i));) {
    tm_mem_answer *a = e->value;
    if (!expired(&a->row, now))
      continue;
    a->gone = true;
    tm_map_remove(&m->answers, e->key);
    i = 0; /* the map may have moved what is left */
    swept++;
  }
  return swept;
}

const tm_cache_row *tm_mem_reuse_cached(const tm_mem_reuse *m, const char *hash) {
  const tm_mem_answer *a = tm_map_get(&m->answers, hash);
  return a ? &a->row : NULL;
}

int tm_mem_reuse_similar(const tm_mem_reuse *m, const char *scope, int64_t now, int64_t limit,
                         tm_cache_fn fn, void *ctx) {
  for (const tm_mem_answer *a = m->newest; a && limit > 0; a = a->older) {
    if (a->gone || !a->row.scope || strcmp(a->row.scope, scope) != 0 || expired(&a->row, now))
      continue;
    limit--;
    if (fn(ctx, &a->row) != 0)
      break;
  }
  return 0;
}

/* -- both ------------------------------------------------------------------------------ */

int tm_mem_reuse_apply(tm_mem_reuse *m, tm_batch *b, tm_op *op, tm_err *err) {
  if (op->kind == TM_OP_CACHE)
    return cache(m, b, op, err);
  if (op->kind == TM_OP_DECISION)
    return decide(m, b, op, err);
  reopen(m, b, op);
  return 0;
}

void tm_mem_reuse_free(tm_mem_reuse *m) {
  tm_map_free(&m->decisions);
  tm_map_free(&m->answers);
  tm_buf_free(&m->key);
}
