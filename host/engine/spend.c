/* spend.c - budgets of a day, shared by all that work on the store. */
#include "engine/spend.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/reuse.h"

#define NANO       1e9
#define FIRST_WAIT 100 /* ms; twice as long each time, */
#define LONG_WAIT  6   /* that often: another process holds the rest, or died with it */

/* Rounded up: what is too small to count must not be free. */
static int64_t nano(double usd) {
  double n = usd * NANO;
  if (!(n > 0))
    return 0;
  return n < 9e18 ? (int64_t)n + (n > (double)(int64_t)n) : INT64_MAX / 4;
}

/* -- ops ------------------------------------------------------------------------------- */

static tm_op *put(tm_branch *b, tm_op_kind kind, const char *scope) {
  tm_op *op = tm_turn_op(b->run->engine, b->run, kind);
  tm_arena *a = &tm_turn_of(b->run->engine)->batch->arena;
  op->u.spend = (tm_spend_row){.scope = tm_arena_strdup(a, scope),
                               .day = tm_arena_strdup(a, b->spend_day),
                               .place = tm_arena_strdup(a, b->place)};
  return op;
}

static void drop(tm_branch *b, int64_t calls) {
  if (*b->spend_day)
    put(b, TM_OP_SPEND_DROP, NULL)->u.spend.calls = calls;
  *b->spend_day = '\0';
}

/* -- may it be asked? ------------------------------------------------------------------ */

typedef struct holding {
  tm_call_kind kind;
  const tm_json *request;
  tm_op *ops[TM_SCOPES];
  tm_scope scopes[TM_SCOPES];
  size_t count;
} holding;

static void start(tm_branch *b, const holding *x) {
  b->money_waits = 0;
  tm_exec_start_task(b, x->kind, b->name, x->request);
}

static tm_json *used_up(tm_branch *b, const tm_scope *s, const tm_spend_row *now) {
  tm_arena *a = &b->scratch;
  bool money = s->usd >= 0 && now->nano >= nano(s->usd);
  const char *limit =
      money ? tm_arena_printf(a, "%g USD (%.4f spent)", s->usd, (double)now->nano / NANO)
            : tm_arena_printf(a, "%lld model calls", (long long)s->llm_calls);
  tm_json *e = tm_run_error(a, "budget",
                            "the budget of %s for %s, %s, is used up; raise `budgets` in "
                            "tidemill.yaml, or go on with `tidemill retry` after 00:00 UTC",
                            now->day, s->about, limit);
  tm_json_set_str(a, e, "budget", money ? "usd" : "llm_calls");
  tm_json_set_str(a, e, "scope", s->name);
  return e;
}

static bool gone(const tm_branch *b) {
  return b->dead || b->run->lost || b->run->ended || b->phase != TM_PHASE_LIVE;
}

static void held(tm_after *after, const tm_err *err) {
  tm_branch *b = after->branch;
  const holding *x = after->ctx;
  tm_json *error = NULL;
  bool waits = false;
  if (err->code != TM_OK || gone(b) || !*b->spend_day)
    return;
  for (size_t i = 0; i < x->count && !error; i++) {
    const tm_op *op = x->ops[i];
    if (op->status == TM_OP_LOST)
      error = used_up(b, &x->scopes[i], op->found.spend);
    waits = waits || op->status == TM_OP_EXISTS;
  }
  if (!error && !waits && b->run->order != TM_ORDER_PAUSE) {
    start(b, x);
    return;
  }
  drop(b, 0);
  if (!error && waits) {
    tm_spend_wait(b);
    return;
  }
  if (error)
    tm_run_outcome(b, NULL, error, tm_reuse_so_far(b, tm_json_get(b->back, "meta")));
  else
    b->phase = TM_PHASE_HELD;
  tm_flight_fail(b, false);
}

static void set_day(tm_branch *b) {
  char now[TM_CLOCK_TEXT];
  tm_clock_format(tm_engine_now(b->run->engine), now);
  snprintf(b->spend_day, sizeof b->spend_day, "%.10s", now);
}

void tm_spend_ask(tm_branch *b, tm_call_kind kind, const tm_json *request) {
  tm_engine *e = b->run->engine;
  holding x = {.kind = kind, .request = request};
  if (e->ports.scopes)
    x.count = e->ports.scopes(e->ports.ctx, b->run->workflow, tm_json_get_str(request, "model"),
                              x.scopes);
  if (!x.count) {
    start(b, &x);
    return;
  }
  set_day(b);
  double cost = e->ports.cost ? e->ports.cost(e->ports.ctx, request) : 0;
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  for (size_t i = 0; i < x.count; i++) {
    tm_scope *s = &x.scopes[i];
    s->name = tm_arena_strdup(a, s->name);
    s->about = tm_arena_strdup(a, s->about);
    x.ops[i] = put(b, TM_OP_SPEND_HOLD, s->name);
    x.ops[i]->u.spend.nano = nano(cost);
    x.ops[i]->u.spend.calls = kind == TM_CALL_LLM;
    x.ops[i]->u.spend.limit_nano = s->usd < 0 ? -1 : nano(s->usd);
    x.ops[i]->u.spend.limit_calls = kind == TM_CALL_LLM ? s->llm_calls : -1;
  }
  tm_after *after = tm_turn_after(e, held, b->run, b);
  after->ctx = tm_arena_new(a, holding);
  memcpy(after->ctx, &x, sizeof x);
}

/* -- waiting --------------------------------------------------------------------------- */

void tm_spend_wait(tm_branch *b) {
  tm_engine *e = b->run->engine;
  int64_t ms = FIRST_WAIT << (b->money_waits < LONG_WAIT ? b->money_waits : LONG_WAIT);
  if (b->money_waits++ == LONG_WAIT)
    tm_log(
        TM_LOG_INFO, "budget",
        "run %s waits: what is left of a budget is held for other calls. If their process has "
        "died, `tidemill resume` goes on with them",
        b->run->id);
  tm_list_remove(&b->saving);
  tm_list_append(&e->saving, &b->saving);
  tm_engine_set_timer(b, tm_engine_now(e) + ms);
}

void tm_spend_wake(tm_engine *e) {
  int64_t now = tm_engine_now(e);
  while (!tm_list_empty(&e->saving)) {
    tm_branch *b = TM_LIST_OF(e->saving.next, tm_branch, saving);
    tm_list_remove(&b->saving);
    if (!gone(b))
      tm_engine_set_timer(b, now);
  }
}

static void settled(tm_after *after, const tm_err *err) {
  if (err->code == TM_OK)
    tm_spend_wake(after->run->engine);
}

/* -- what it cost ---------------------------------------------------------------------- */

void tm_spend_attempt(tm_branch *b, const tm_json *attempt) {
  tm_engine *e = b->run->engine;
  const char *provider = tm_json_get_str(attempt, "provider");
  const char *model = tm_json_get_str(attempt, "model");
  int64_t cost = nano(tm_json_number(tm_json_get(attempt, "usd"), 0));
  tm_scope scopes[TM_SCOPES];
  bool held = *b->spend_day != '\0';
  if (!e->ports.scopes || !cost || !provider || !model)
    return;
  if (!held)
    set_day(b); /* a fallback with a budget of its own: only counted */
  const char *name = tm_arena_printf(&b->scratch, "%s/%s", provider, model);
  size_t n = e->ports.scopes(e->ports.ctx, b->run->workflow, name, scopes);
  for (size_t i = 0; i < n; i++)
    put(b, TM_OP_SPEND_ADD, scopes[i].name)->u.spend.nano = cost;
  if (!held)
    *b->spend_day = '\0';
}

void tm_spend_settle(tm_branch *b, bool asked) {
  tm_run *r = b->run;
  tm_list_remove(&b->saving);
  if (!*b->spend_day || r->lost || r->ended)
    return;
  drop(b, asked);
  tm_turn_after(r->engine, settled, r, NULL);
}

void tm_spend_inherit(tm_branch *b) {
  tm_run *r = b->run;
  if (!r->engine->ports.scopes || r->epoch <= 1 || *b->spend_day)
    return;
  put(b, TM_OP_SPEND_DROP, NULL)->u.spend.calls = 1;
  tm_turn_after(r->engine, settled, r, NULL);
}

void tm_spend_end(tm_run *r) {
  if (r->engine->ports.scopes)
    tm_turn_op(r->engine, r, TM_OP_SPEND_DROP)->u.spend.calls = 1;
}
