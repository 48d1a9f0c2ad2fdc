/* mem_order.c - orders of the store in memory: a map by target.
 */
#include "store/mem_order.h"

#include <string.h>

#include "store/apply.h"

static int give(tm_map *orders, tm_arena *a, int64_t at, tm_op *op, tm_err *err) {
  tm_order_row *kept = tm_arena_new(a, tm_order_row);
  if (tm_apply_copy_order(a, kept, &op->u.order, err) < 0)
    return -1;
  if (!kept->at)
    kept->at = at;
  tm_map_set(orders, kept->target, kept);
  return 0;
}

int tm_mem_order_apply(tm_map *orders, tm_arena *a, tm_batch *b, tm_op *op, bool takes,
                       tm_err *err) {
  const tm_order_row *o = &op->u.order, *was = tm_map_get(orders, o->target);
  bool gives = op->kind == TM_OP_ORDER_NEW || op->kind == TM_OP_ORDER_GIVE;
  if (gives && takes && !(was && was->rank > o->rank))
    return give(orders, a, b->at, op, err);
  bool goes = was && !gives && (op->kind == TM_OP_ORDER_DONE || !o->at || o->at == was->at);
  if (goes)
    tm_map_remove(orders, o->target);
  else if (op->kind != TM_OP_ORDER_DONE)
    op->status = TM_OP_LOST;
  return 0;
}

void tm_mem_order_forget(tm_map *orders, const char *run) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(orders, &i));) {
    const tm_order_row *row = e->value;
    if (row->run && strcmp(row->run, run) == 0)
      tm_map_remove(orders, e->key);
  }
}

int tm_mem_order_read(const tm_map *orders, tm_order_fn fn, void *ctx) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(orders, &i));)
    if (fn(ctx, e->value) != 0)
      break;
  return 0;
}
