/* orders.c - orders that wait in the store for the process that has the run.
 */
#include "engine/orders.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/owner.h"
#include "engine/wake.h"

static const char *const words[] = {"none", "cancel", "terminate", "pause"};

/* A stronger wish is not replaced by a weaker one. */
static int64_t rank_of(tm_order order) {
  return order == TM_ORDER_TERMINATE ? 3 : order == TM_ORDER_CANCEL ? 2 : 1;
}

tm_order tm_orders_kind(const tm_order_row *row) {
  for (int i = TM_ORDER_CANCEL; i <= TM_ORDER_PAUSE; i++)
    if (strcmp(row->what, words[i]) == 0)
      return (tm_order)i;
  return TM_ORDER_NONE;
}

/* -- the copy -------------------------------------------------------------------------- */

static int keep(void *ctx, const tm_order_row *row) {
  tm_orders *o = ctx;
  tm_order_row *copy = tm_arena_new(&o->arena, tm_order_row);
  *copy = *row;
  copy->target = tm_arena_strdup(&o->arena, row->target);
  copy->run = row->run ? tm_arena_strdup(&o->arena, row->run) : NULL;
  copy->what = tm_arena_strdup(&o->arena, row->what);
  copy->note = tm_arena_strdup(&o->arena, row->note);
  copy->by = tm_arena_strdup(&o->arena, row->by);
  tm_map_set(&o->by_target, copy->target, copy);
  o->pauses += !row->run;
  return 0;
}

void tm_orders_free(tm_engine *e) {
  tm_map_free(&e->orders.by_target);
  tm_arena_free(&e->orders.arena);
  e->orders.read = false;
}

static bool is_gone(const tm_orders *before, const tm_orders *now) {
  tm_map_entry *m;
  for (size_t i = 0; (m = tm_map_next(&before->by_target, &i));)
    if (!((const tm_order_row *)m->value)->run && !tm_map_get(&now->by_target, m->key))
      return true;
  return false;
}

void tm_orders_read(tm_engine *e) {
  tm_err err = TM_ERR_INIT;
  tm_store *s = e->ports.store;
  tm_orders now = {.read = true};
  tm_arena_init(&now.arena, 0);
  if (s->vt->orders(s, keep, &now, &err) < 0)
    tm_log(TM_LOG_ERROR, "engine", "the orders cannot be read: %s", err.msg);
  now.lifted = e->orders.lifted || (e->orders.pauses && is_gone(&e->orders, &now));
  tm_orders_free(e);
  e->orders = now;
}

static const tm_order_row *find(tm_engine *e, const char *kind, const char *name) {
  char target[160];
  if (!e->orders.read)
    tm_orders_read(e);
  if (e->orders.by_target.count == 0 ||
      snprintf(target, sizeof target, "%s%s", kind, name) >= (int)sizeof target)
    return NULL;
  return tm_map_get(&e->orders.by_target, target);
}

const tm_order_row *tm_orders_pause(tm_engine *e, const char *workflow) {
  const tm_order_row *own = find(e, "workflow:", workflow);
  return own ? own : find(e, "all", "");
}

const tm_order_row *tm_orders_of(tm_engine *e, const char *run) {
  return find(e, "run:", run);
}

tm_json *tm_orders_reason(const tm_order_row *pause, tm_arena *a) {
  tm_json *reason = tm_json_new_array(a), *why = tm_json_new_object(a);
  const char *name = strchr(pause->target, ':');
  tm_json_set_str(a, why, "for", "pause"); /* first: control.c knows it by its beginning */
  tm_json_set_str(a, why, "note", pause->note);
  tm_json_set_str(a, why, "by", pause->by);
  if (name)
    tm_json_set_str(a, why, "workflow", name + 1);
  else
    tm_json_set_bool(a, why, "all", true);
  tm_json_push(a, reason, why);
  return reason;
}

/* -- giving ---------------------------------------------------------------------------- */

void tm_orders_give(tm_engine *e, tm_run *from, const char *run, tm_order order,
                    const char *note, const char *by) {
  tm_op *op = from ? tm_turn_op(e, from, TM_OP_ORDER_GIVE) : tm_turn_free(e, TM_OP_ORDER_NEW);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  op->u.order = (tm_order_row){
      .target = tm_arena_printf(a, "run:%s", run),
      .run = tm_arena_strdup(a, run),
      .what = words[order],
      .rank = rank_of(order),
      .note = tm_arena_strdup(a, note ? note : ""),
      .by = tm_arena_strdup(a, by ? by : ""),
  };
}

static void gone(tm_after *a, const tm_err *err) {
  tm_engine *e = a->ctx;
  if (err->code == TM_OK)
    e->orders.read = false;
}

/* The store tells of what others commit: an order that goes by our own hand stays in the copy,
 * and would be carried out again when its run is next taken up. */
static void forget_copy(tm_engine *e) {
  tm_turn_after(e, gone, NULL, NULL)->ctx = e;
}

void tm_orders_done(tm_run *r) {
  if (!r->order_kept)
    return;
  r->order_kept = false;
  tm_op *op = tm_turn_op(r->engine, r, TM_OP_ORDER_DONE);
  op->u.order.target = tm_arena_printf(&tm_turn_of(r->engine)->batch->arena, "run:%s", r->id);
  forget_copy(r->engine);
}

void tm_orders_lift(tm_engine *e, const tm_order_row *row) {
  tm_op *op = tm_turn_free(e, TM_OP_ORDER_LIFT);
  op->u.order.target = tm_arena_strdup(&tm_turn_of(e)->batch->arena, row->target);
  op->u.order.at = row->at;
  forget_copy(e);
}

/* -- carrying out ---------------------------------------------------------------------- */

static bool at_work(const tm_run *r) {
  return !r->lost && !r->ended;
}

/* Nobody has the run in memory here: it has ended, or is taken up for the order. */
static void look_elsewhere(tm_engine *e, const tm_order_row *row) {
  tm_arena a;
  tm_run_row run;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  int found = tm_wake_row(e, row->run, &a, &run, &err);
  bool over = found == 0 || (found == 1 && tm_wake_ended(&run));
  bool rests = found == 1 && tm_control_is_paused(&run) &&
               tm_orders_kind(row) == TM_ORDER_PAUSE; /* somebody else was faster */
  bool elsewhere = found == 1 && run.owner && *run.owner && tm_owner_alive(run.owner);
  if (over || rests)
    tm_orders_lift(e, row);
  else if (found == 1 && !elsewhere && tm_engine_resume(e, row->run, &err) > 0)
    tm_control_obey_row(tm_engine_find(e, row->run), tm_orders_kind(row), row);
  tm_arena_free(&a);
}

/* One that is being taken up inherits it when it is ours: tm_control_inherit knows whether a
 * person has resumed it since. */
static void look_at_run(tm_engine *e, const tm_order_row *row) {
  tm_run *r = tm_engine_find(e, row->run);
  if (!r)
    look_elsewhere(e, row);
  else if (at_work(r) && !r->claiming && !r->order_kept)
    tm_control_obey_row(r, tm_orders_kind(row), row);
}

typedef struct rested {
  tm_arena arena;
  const char **ids;
  size_t count, cap;
} rested;

static int note_rested(void *ctx, const tm_run_row *row) {
  rested *k = ctx;
  if (!tm_control_rests(row))
    return 0;
  if (k->count == k->cap) {
    k->cap = k->cap ? 2 * k->cap : 8;
    k->ids = tm_realloc(k->ids, k->cap * sizeof *k->ids);
  }
  k->ids[k->count++] = tm_arena_strdup(&k->arena, row->id);
  return 0;
}

/* A pause was lifted: what rested under it, and is under none now, goes on. A run that was put
 * to rest here while another process lifted the pause is among these. */
static void rouse_rested(tm_engine *e) {
  rested k = {.ids = NULL};
  tm_err err = TM_ERR_INIT;
  tm_run_filter waiting = {.state = "waiting"};
  tm_store *s = e->ports.store;
  e->orders.lifted = false;
  tm_arena_init(&k.arena, 0);
  s->vt->runs(s, &waiting, note_rested, &k, &err);
  for (size_t i = 0; i < k.count; i++)
    tm_engine_rouse(e, k.ids[i], &err);
  tm_free(k.ids);
  tm_arena_free(&k.arena);
}

void tm_orders_look(tm_engine *e) {
  tm_map_entry *m;
  if (!e->orders.read)
    tm_orders_read(e);
  if (e->orders.lifted)
    rouse_rested(e);
  if (e->orders.by_target.count == 0)
    return;
  for (size_t i = 0; (m = tm_map_next(&e->orders.by_target, &i));)
    if (((const tm_order_row *)m->value)->run)
      look_at_run(e, m->value);
  for (tm_list *l = e->runs.next, *next; l != &e->runs; l = next) {
    next = l->next;
    tm_run *r = TM_LIST_OF(l, tm_run, link);
    const tm_order_row *pause = at_work(r) ? tm_orders_pause(e, r->workflow) : NULL;
    if (pause && r->order == TM_ORDER_NONE && !r->cancelling)
      tm_control_obey_row(r, TM_ORDER_PAUSE, pause);
  }
}
