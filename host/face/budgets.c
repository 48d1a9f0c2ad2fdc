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

/* -- how they stand -------------------------------------------------------------------- */

typedef struct telling {
  tidemill *t;
  const char *day;
  tm_buf *out;
  bool used_up;
} telling;

static int tell(telling *x, const char *name, const char *about, const tm_json *limits,
                tm_err *err) {
  tm_store *s = x->t->store;
  const tm_json *usd = tm_json_get(limits, "usd"), *calls = tm_json_get(limits, "llm_calls");
  tm_spend_row now;
  if (s->vt->account(s, name, x->day, &now, err) < 0)
    return -1;
  double spent = (double)now.nano / 1e9;
  tm_buf_printf(x->out, "%s%s: %.4f", x->out->len ? "; " : "", about, spent);
  if (usd)
    tm_buf_printf(x->out, " of %g", tm_json_number(usd, 0));
  tm_buf_printf(x->out, " USD, %lld", (long long)now.calls);
  if (calls)
    tm_buf_printf(x->out, " of %lld", (long long)tm_json_int(calls, 0));
  tm_buf_puts(x->out, " calls");
  if (now.held_calls)
    tm_buf_printf(x->out, " and %lld under way", (long long)now.held_calls);
  x->used_up = x->used_up || (usd && spent >= tm_json_number(usd, 0)) ||
               (calls && now.calls >= tm_json_int(calls, 0));
  return 0;
}

static int tell_list(telling *x, tm_arena *a, const char *of, const char *about,
                     const tm_json *list, tm_err *err) {
  for (size_t i = 0; i < tm_json_len(list); i++) {
    const tm_json_member *m = tm_json_member_at(list, i);
    if (tell(x, tm_arena_printf(a, "%s:%s", of, m->key),
             tm_arena_printf(a, "%s %s", about, m->key), &m->value, err) < 0)
      return -1;
  }
  return 0;
}

int tm_budgets_tell(bool *used_up, tm_buf *out, tm_arena *a, tidemill *t, tm_err *err) {
  const tm_json *all = t->options->budgets;
  char day[TM_CLOCK_TEXT];
  tm_clock_format(tm_clock_wall(&t->clock), day);
  telling x = {.t = t, .day = tm_arena_printf(a, "%.10s", day), .out = out};
  if ((tm_json_get(all, "day") &&
       tell(&x, "all", "all runs", tm_json_get(all, "day"), err) < 0) ||
      tell_list(&x, a, "workflow", "workflow", tm_json_get(all, "workflows"), err) < 0 ||
      tell_list(&x, a, "key", "key", tm_json_get(all, "keys"), err) < 0)
    return -1;
  *used_up = x.used_up;
  return 0;
}

/* -- what a call may cost -------------------------------------------------------------- */

double tm_budgets_cost(void *ctx, const tm_json *request) {
  tm_err ignored = TM_ERR_INIT;
  tm_llm *llm;
  return tm_world_llm(ctx, &llm, &ignored) == 0 ? tm_llm_estimate(llm, request) : 0;
}
