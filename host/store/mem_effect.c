/* mem_effect.c - effects of the store in memory: a map by their three names.
 */
#include "store/mem_effect.h"

#include <string.h>

#include "store/apply.h"

/* Three names as one key; the NULs keep ("a", "bc") and ("ab", "c") apart. */
tm_effect_row *tm_mem_effect_find(tm_mem_effects *m, const tm_effect_row *e) {
  tm_buf_reset(&m->key);
  tm_buf_put(&m->key, e->ns, strlen(e->ns) + 1);
  tm_buf_put(&m->key, e->action, strlen(e->action) + 1);
  tm_buf_puts(&m->key, e->key);
  return tm_map_getn(&m->by_key, m->key.data, m->key.len);
}

static bool same(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "") == 0;
}

static int claim(tm_mem_effects *m, const char *run, tm_effect_row *taken, tm_batch *b,
                 tm_op *op, tm_err *err) {
  if (taken) {
    tm_effect_row *found = tm_arena_new(&b->arena, tm_effect_row);
    op->found.effect = found;
    if (strcmp(taken->run, run) != 0 || !same(taken->place, op->u.effect.place))
      op->status = TM_OP_EXISTS;
    return tm_apply_copy_effect(&b->arena, found, taken, err);
  }
  tm_effect_row *e = tm_arena_new(m->arena, tm_effect_row);
  tm_map_setn(&m->by_key, m->key.data, m->key.len, e);
  if (tm_apply_copy_effect(m->arena, e, &op->u.effect, err) < 0)
    return -1;
  e->run = run;
  e->result = NULL;
  return 0;
}

int tm_mem_effect_apply(tm_mem_effects *m, const char *run, bool over, tm_batch *b, tm_op *op,
                        tm_err *err) {
  tm_effect_row *e = tm_mem_effect_find(m, &op->u.effect);
  bool takes = op->kind == TM_OP_EFFECT_TAKE;
  if (op->kind == TM_OP_EFFECT_CLAIM)
    return claim(m, run, e, b, op, err);
  if (!e || e->result || !same(e->run, takes ? op->u.effect.run : run) || (takes && !over)) {
    op->status = TM_OP_LOST;
  } else if (takes) {
    e->run = run;
    e->place = tm_arena_strdup(m->arena, op->u.effect.place);
  } else if (op->kind == TM_OP_EFFECT_DONE) {
    e->result = tm_arena_strdup(m->arena, op->u.effect.result);
  } else {
    tm_map_setn(&m->by_key, m->key.data, m->key.len, NULL);
  }
  return 0;
}

void tm_mem_effect_free(tm_mem_effects *m) {
  tm_map_free(&m->by_key);
  tm_buf_free(&m->key);
}
