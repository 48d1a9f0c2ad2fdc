/* mem_spend.h - budgets of the store in memory: what was spent, and what is held for calls.
 *
 * Strings are kept in the store's arena; the lists themselves are freed with _free.
 */
#ifndef TM_STORE_MEM_SPEND_H
#define TM_STORE_MEM_SPEND_H

#include "store/store.h"

typedef struct tm_mem_held {
  const char *run;
  tm_spend_row row; /* scope, day, place, nano */
} tm_mem_held;

typedef struct tm_mem_spend {
  tm_arena *arena;
  tm_spend_row *sums; /* scope, day, nano, calls */
  size_t sum_count, sum_cap;
  tm_mem_held *held;
  size_t held_count, held_cap;
} tm_mem_spend;

/* The ops of budgets, of the guarded run. */
int tm_mem_spend_apply(tm_mem_spend *s, const char *run, tm_batch *b, tm_op *op);
/* The run goes: nothing is held for it. What it spent stays in the accounts. */
void tm_mem_spend_forget(tm_mem_spend *s, const char *run);
void tm_mem_spend_account(tm_mem_spend *s, const char *scope, const char *day,
                          tm_spend_row *out);
void tm_mem_spend_free(tm_mem_spend *s);

#endif
