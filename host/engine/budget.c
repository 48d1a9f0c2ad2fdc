/* budget.c - prices, sums and the end of the money.
 */
#include "engine/budget.h"

#include <math.h>

#include "engine/reuse.h"
#include "engine/spend.h"

static tm_json *used_up(tm_branch *b, const char *which, const char *amount) {
  tm_json *e =
      tm_run_error(&b->scratch, "budget",
                   "the workflow's budget of %s is used up; raise it in mill.workflow, or "
                   "look at `tidemill show` for what was spent",
                   amount);
  tm_json_set_str(&b->scratch, e, "budget", which);
  return e;
}

/* What the call has cost already, and the run is told of with its outcome. */
static double so_far(const tm_branch *b) {
  const tm_json *meta = tm_json_get(b->back, "meta");
  if (!meta && b->reuse)
    meta = b->reuse->embed;
  return tm_json_number(tm_json_get(meta, "usd"), 0);
}

static tm_json *over(tm_branch *b, const tm_json *budget) {
  tm_run *r = b->run;
  const tm_json *calls = tm_json_get(budget, "llm_calls"), *usd = tm_json_get(budget, "usd");
  if (calls && r->llm_calls > tm_json_int(calls, INT64_MAX) &&
      r->llm_calls - tm_reuse_uncounted(r) > tm_json_int(calls, INT64_MAX))
    return used_up(
        b, "llm_calls",
        tm_arena_printf(&b->scratch, "%lld model calls", (long long)tm_json_int(calls, 0)));
  if (usd && r->usd + so_far(b) >= tm_json_number(usd, 0))
    return used_up(b, "usd", tm_arena_printf(&b->scratch, "%g USD", tm_json_number(usd, 0)));
  return NULL;
}

tm_json *tm_budget_refuses(tm_branch *b, const tm_json *budget) {
  tm_json *error = over(b, budget);
  return error ? error : over(b, b->run->allowance);
}

/* The smaller one of what is left of two limits; false: there is no limit. */
static bool left_of(double *out, const tm_json *a, const tm_json *b, double spent) {
  if (!a && !b)
    return false;
  double x = tm_json_number(a, HUGE_VAL), y = tm_json_number(b, HUGE_VAL);
  *out = (x < y ? x : y) - spent;
  if (*out < 0)
    *out = 0;
  return true;
}

tm_json *tm_budget_left(const tm_run *r, const tm_json *budget, tm_arena *a) {
  const tm_json *more = r->allowance;
  tm_json *left = tm_json_new_object(a);
  double n;
  if (left_of(&n, tm_json_get(budget, "usd"), tm_json_get(more, "usd"), r->usd))
    tm_json_set(a, left, "usd", tm_json_new_double(a, n));
  if (left_of(&n, tm_json_get(budget, "llm_calls"), tm_json_get(more, "llm_calls"),
              (double)r->llm_calls))
    tm_json_set_int(a, left, "llm_calls", (int64_t)n);
  return tm_json_len(left) ? left : NULL;
}

/* -- calls under way ------------------------------------------------------------------- */

/* For others: who waits for a day's budget holds its own share of the run's meanwhile. */
static bool is_held(const tm_branch *b, const tm_json *budget) {
  const tm_run *r = b->run;
  const tm_json *usd = tm_json_get(budget, "usd");
  int64_t others = (int64_t)r->holding - (b->cost > 0);
  return usd && others > 0 && r->usd + r->held - b->cost >= tm_json_number(usd, 0);
}

bool tm_budget_full(const tm_branch *b, const tm_json *budget) {
  return is_held(b, budget) || is_held(b, b->run->allowance);
}

void tm_budget_hold(tm_branch *b, const tm_json *budget, const tm_json *request) {
  tm_run *r = b->run;
  const tm_ports *p = &r->engine->ports;
  tm_budget_release(b);
  if (!p->cost || (!tm_json_get(budget, "usd") && !tm_json_get(r->allowance, "usd")))
    return;
  b->cost = p->cost(p->ctx, request) + so_far(b);
  if (b->cost > 0) {
    r->held += b->cost;
    r->holding++;
  }
}

void tm_budget_release(tm_branch *b) {
  tm_run *r = b->run;
  if (!(b->cost > 0))
    return;
  r->holding--;
  r->held = r->holding ? r->held - b->cost : 0;
  b->cost = 0;
  tm_spend_wake(r->engine);
}

bool tm_budget_unsent(const tm_json *meta, const tm_json *error) {
  return error && (!meta || tm_json_bool(tm_json_get(meta, "unsent"), false));
}

void tm_budget_add(tm_branch *b, const tm_json *meta) {
  double usd = tm_json_number(tm_json_get(meta, "usd"), 0);
  tm_budget_release(b);
  b->run->usd += usd;
  for (tm_branch *up = b; up; up = up->parent)
    up->usd += usd;
  b->run->llm_calls +=
      tm_json_int(tm_json_get(meta, "llm_calls"), 0); /* a child's: a call counts itself */
  if (b->kind == TM_CALL_LLM)
    b->run->llm_calls -= tm_reuse_is_free(meta); /* nobody was asked after all */
}
