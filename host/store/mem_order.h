/* mem_order.h - orders of the store in memory: a map by target, kept in the store's arena. */
#ifndef TM_STORE_MEM_ORDER_H
#define TM_STORE_MEM_ORDER_H

#include "base/map.h"
#include "store/store.h"

/* The ops of orders; `takes`: what a new one is for has not ended. */
int tm_mem_order_apply(tm_map *orders, tm_arena *a, tm_batch *b, tm_op *op, bool takes,
                       tm_err *err);
/* The run is dropped: an order for it that nobody carried out goes with it. */
void tm_mem_order_forget(tm_map *orders, const char *run);
int tm_mem_order_read(const tm_map *orders, tm_order_fn fn, void *ctx);

#endif
