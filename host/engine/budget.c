/* budget.c - prices, sums and the end of the money.
 */
#include "engine/budget.h"

static tm_json *used_up(tm_branch *b, const char *which, const char *amount) {
  tm_json *e = tm_run_error(&b->scratch, "budget",
                            "the workflow's budget of %s is used up; raise it in mill.workflow, or "
                            "look at `tidemill show` for what was spent",
                            amount);
  tm_json_set_str(&b->scratch, e, "budget", which);
  return e;
}

tm_json *tm_budget_refuses(tm_branch *b, const tm_json *budget) {
  tm_run *r = b->run;
  const tm_json *calls = tm_json_get(budget, "llm_calls"), *usd = tm_json_get(budget, "usd");
  if (calls && r->llm_calls > tm_json_int(calls, INT64_MAX))
    return used_up(b, "llm_calls",
                   tm_arena_printf(&b->scratch, "%lld model calls",
                                   (long long)tm_json_int(calls, 0)));
  if (usd && r->usd >= tm_json_number(usd, 0))
    return used_up(b, "usd",
                   tm_arena_printf(&b->scratch, "%g USD", tm_json_number(usd, 0)));
  return NULL;
}

const tm_json *tm_budget_price(tm_branch *b, const tm_json *meta) {
  const char *model = tm_json_get_str(meta, "model");
  const tm_json *price = model ? tm_json_get(b->run->closure->prices, model) : NULL;
  const tm_json *usage = tm_json_get(meta, "usage");
  if (!meta || !price || !usage)
    return meta;
  double in = tm_json_number(tm_json_get(usage, "input"), 0);
  double out = tm_json_number(tm_json_get(usage, "output"), 0);
  double usd = (in * tm_json_number(tm_json_get(price, "input"), 0) +
                out * tm_json_number(tm_json_get(price, "output"), 0)) /
               1e6;
  tm_json *priced = tm_json_copy(&b->scratch, meta);
  tm_json_set(&b->scratch, priced, "usd", tm_json_new_double(&b->scratch, usd));
  return priced;
}

void tm_budget_add(tm_run *r, const tm_json *meta) {
  r->usd += tm_json_number(tm_json_get(meta, "usd"), 0);
}
