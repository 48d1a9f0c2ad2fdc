/* mem_effect.h - effects of the store in memory: a map by their three names. */
#ifndef TM_STORE_MEM_EFFECT_H
#define TM_STORE_MEM_EFFECT_H

#include "base/buf.h"
#include "base/map.h"
#include "store/store.h"

typedef struct tm_mem_effects {
  tm_arena *arena; /* of the store: holds the rows */
  tm_map by_key;
  tm_buf key; /* scratch */
} tm_mem_effects;

/* NULL: there is none. */
tm_effect_row *tm_mem_effect_find(tm_mem_effects *m, const tm_effect_row *e);
/* The ops of effects, of the guarded `run`; `over`: the run that TAKE names has ended. */
int tm_mem_effect_apply(tm_mem_effects *m, const char *run, bool over, tm_batch *b, tm_op *op,
                        tm_err *err);
void tm_mem_effect_free(tm_mem_effects *m);

#endif
