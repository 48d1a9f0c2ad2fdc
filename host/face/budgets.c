/* budgets.c - the budgets of tidemill.yaml, as the engine asks for them: which of them a model call
 * counts for, and what it may cost.
 */
#include "face/api.h"

static size_t add(tm_scope *out, const tm_json *limits, const char *name, const char *about) {
  const tm_json *calls = tm_json_get(limits, "llm_calls");
  if (!limits)
    return 0;
  *out = (tm_scope){.name = name,
                    .about = about,
                    .usd = tm_json_number(tm_json_get(limits, "usd"), -1),
                    .llm_calls = calls ? tm_json_int(calls, -1) : -1};
  return 1;
}

/* Not known is without a key: a model that cannot be asked is refused elsewhere. */
static const char *key_of(tidemill *t, const char *model) {
  tm_err ignored = TM_ERR_INIT;
  tm_llm *llm;
  return model && tm_world_llm(t, &llm, &ignored) == 0 ? tm_llm_key_name(llm, model) : NULL;
}

size_t tm_budgets_scopes(void *ctx, const char *workflow, const char *model,
                         tm_scope out[TM_SCOPES]) {
  tidemill *t = ctx;
  const tm_json *all = t->options->budgets, *keys = tm_json_get(all, "keys");
  const char *key = keys ? key_of(t, model) : NULL;
  tm_arena *a = &t->scopes;
  size_t n = 0;
  tm_arena_reset(a);
  n += add(&out[n], tm_json_get(all, "day"), "all", "all runs");
  n += add(&out[n], tm_json_get(tm_json_get(all, "workflows"), workflow),
           tm_arena_printf(a, "workflow:%s", workflow),
           tm_arena_printf(a, "the workflow %s", workflow));
  if (key)
    n += add(&out[n], tm_json_get(keys, key), tm_arena_printf(a, "key:%s", key),
             tm_arena_printf(a, "the key in %s", key));
  return n;
}

double tm_budgets_cost(void *ctx, const tm_json *request) {
  tm_err ignored = TM_ERR_INIT;
  tm_llm *llm;
  return tm_world_llm(ctx, &llm, &ignored) == 0 ? tm_llm_estimate(llm, request) : 0;
}
