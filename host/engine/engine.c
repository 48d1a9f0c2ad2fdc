/* engine.c - the turn, the tables of runs, starting and taking up.
 */
#include "engine/engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/held.h"
#include "engine/orders.h"
#include "engine/owner.h"
#include "engine/park.h"
#include "engine/replay.h"
#include "engine/reuse.h"
#include "engine/wake.h"

#define MAX_IN_FLIGHT 2 /* batches at the store; more would only make groups smaller */
/* What was done and is not yet on disk is done again after a crash: no more than so many bodies
 * of actions, and half of them in one batch, so that scripts run while the other half is
 * written. */
#define MAX_EFFECTS 64
/* Ops of a turn that are worth a batch of their own while the store has nothing to do: it writes
 * them while the rest of a crowd is driven. */
#define EARLY_OPS 128

int tm_engine_open(tm_engine **out, const tm_ports *ports, tm_err *err) {
  (void)err;
  tm_engine *e = tm_new(tm_engine);
  e->ports = *ports;
  tm_owner_self(e->owner);
  tm_list_init(&e->runs);
  tm_list_init(&e->runnable);
  tm_list_init(&e->held);
  tm_list_init(&e->again);
  tm_list_init(&e->saving);
  *out = e;
  return 0;
}

int64_t tm_engine_now(const tm_engine *e) {
  return tm_clock_wall(e->ports.clock);
}

int64_t tm_engine_mono(const tm_engine *e) {
  return tm_clock_mono(e->ports.clock);
}

tm_run *tm_engine_find(const tm_engine *e, const char *id) {
  return tm_map_get(&e->by_id, id);
}

void tm_engine_make_runnable(tm_run *r) {
  if (!tm_list_empty(&r->runnable) || r->lost)
    return;
  tm_list_append(&r->engine->runnable, &r->runnable);
  if (!r->engine->turning && !r->engine->announced && r->engine->ports.wake) {
    r->engine->announced = true;
    r->engine->ports.wake(r->engine->ports.ctx);
  }
}

static void enter_tables(tm_run *r) {
  tm_list_append(&r->engine->runs, &r->link);
  tm_map_set(&r->engine->by_id, r->id, r);
  tm_park_enter(r);
}

void tm_engine_forget(tm_run *r) {
  tm_list_remove(&r->runnable);
  if (tm_engine_find(r->engine, r->id) == r)
    tm_map_remove(&r->engine->by_id, r->id);
  r->forgotten = true;
}

void tm_engine_settle_forgotten(tm_run *r) {
  if (r->forgotten)
    tm_run_free(&r);
}

/* -- timers ---------------------------------------------------------------------------- */

void tm_engine_clear_timer(tm_branch *b) {
  b->due = 0;
  tm_heap_remove(&b->run->engine->timers, &b->timer);
}

/* `due` is of the wall clock, as it is recorded: after a restart it counts. In this process the
 * monotonic clock does, from here on: a jump of the wall clock neither fires a timer nor holds it
 * up. A run that was parked here keeps what its timer was set to then. */
void tm_engine_set_timer(tm_branch *b, int64_t due) {
  const tm_run *r = b->run;
  tm_engine *e = r->engine;
  int64_t ahead = r->parked_here ? r->mono_ahead : tm_engine_mono(e) - tm_engine_now(e);
  b->due = due;
  tm_heap_put(&e->timers, &b->timer, due + ahead > 0 ? due + ahead : 1); /* 0 is none */
}

static void fire_due(tm_engine *e) {
  int64_t now = tm_engine_mono(e);
  tm_heap_node *n;
  while ((n = tm_heap_first(&e->timers)) && n->due <= now) {
    tm_branch *b = TM_HEAP_OF(n, tm_branch, timer);
    tm_engine_clear_timer(b);
    tm_exec_due(b);
  }
}

/* Ms until the next timer; -1: there is none. */
static int64_t next_due(const tm_engine *e) {
  const tm_heap_node *n = tm_heap_first(&e->timers);
  int64_t parked = tm_park_due(e, NULL), due = n ? n->due : parked;
  if (!due)
    return -1;
  if (parked && parked < due)
    due = parked;
  int64_t wait = due - tm_engine_mono(e);
  return wait < 0 ? 0 : wait;
}

/* -- the turn -------------------------------------------------------------------------- */

static int effects_of(const tm_turn *t) {
  return t ? t->effects : 0;
}

static bool must_wait_for_store(const tm_engine *e) {
  return e->effects + effects_of(e->turn) >= MAX_EFFECTS;
}

/* A task may be done at once, but is heard of only when the loop goes round. */
static void drive_all(tm_engine *e) {
  tm_list *l;
  e->begun = 0;
  while (e->begun < MAX_EFFECTS / 2 && !must_wait_for_store(e) &&
         (l = tm_list_shift(&e->runnable))) {
    tm_run_drive(TM_LIST_OF(l, tm_run, runnable));
    bool early = e->in_flight == 0 && e->turn && e->turn->batch->count >= EARLY_OPS;
    if (early || (effects_of(e->turn) >= MAX_EFFECTS / 2 && e->in_flight < MAX_IN_FLIGHT))
      tm_turn_submit(e);
  }
}

int64_t tm_engine_turn(tm_engine *e) {
  if (e->broken.code != TM_OK)
    return -1;
  e->turning = true;
  tm_engine_beat(e);
  fire_due(e);
  tm_park_fire(e);
  tm_flight_turn(e);
  drive_all(e);
  if (e->turn && e->in_flight < MAX_IN_FLIGHT)
    tm_turn_submit(e);
  e->turning = e->announced = false;
  tm_engine_rest(e);
  if (!tm_list_empty(&e->again))
    return 0;
  return tm_list_empty(&e->runnable) || must_wait_for_store(e) ? next_due(e) : 0;
}

bool tm_engine_idle(const tm_engine *e) {
  return tm_list_empty(&e->runnable) && tm_list_empty(&e->again) && !e->turn &&
         e->in_flight == 0 && e->tasks == 0 && next_due(e) != 0;
}

/* -- starting -------------------------------------------------------------------------- */

typedef struct starting {
  tm_engine_fn done;
  void *ctx;
} starting;

void tm_engine_enter(tm_run *r) {
  if (r->begins_paused) {
    tm_event_run(r, "run.started", NULL, NULL);
    tm_event_run(r, "run.paused", "note", tm_json_new_str(&r->arena, r->order_note));
    r->lost = r->forgotten = true;
    return;
  }
  enter_tables(r);
  tm_event_run(r, "run.started", NULL, NULL);
  tm_run_begin(r);
  tm_control_obey(r);
}

/* Whatever came of it, it is no longer on its way. */
static void heard(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  (void)err;
  if (tm_engine_unborn(r->engine, r->id) == r)
    tm_map_remove(&r->engine->unborn, r->id);
}

tm_run *tm_engine_unborn(const tm_engine *e, const char *id) {
  return tm_map_get(&e->unborn, id);
}

static void started(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  starting *s = a->ctx;
  tm_err own = *err;
  bool fresh = err->code == TM_OK && a->op->status == TM_OP_OK;
  if (fresh) {
    tm_engine_enter(r);
  } else {
    r->lost = r->forgotten = true;
    const tm_run_row *was = err->code == TM_OK ? a->op->found.run : NULL;
    if (was && strcmp(was->input_hash, a->op->u.run.input_hash) != 0)
      tm_err_set(&own, TM_CONFLICT,
                 "run %s exists with another workflow or input; choose another --id", r->id);
  }
  if (s->done)
    s->done(s->ctx, r->id, &own);
}

void tm_engine_hash_input(tm_run *r, char out[TM_HASH_HEX + 1]) {
  tm_json *o = tm_json_new_object(&r->arena);
  tm_json_set_str(&r->arena, o, "workflow", r->workflow);
  tm_json_set(&r->arena, o, "input", r->input);
  if (r->only_step)
    tm_json_set_str(&r->arena, o, "step", r->only_step);
  memcpy(out, tm_json_hash(o).hex, TM_HASH_HEX + 1);
}

static void record_start(tm_run *r) {
  tm_arena *a = &r->arena;
  tm_json *body = tm_json_new_object(a);
  tm_json_set(a, body, "input", r->input);
  tm_json_set_str(a, body, "workflow", r->workflow);
  tm_json_set_str(a, body, "closure", r->closure->hash.hex);
  if (r->only_step)
    tm_json_set_str(a, body, "step", r->only_step);
  if (r->settings)
    tm_json_set(a, body, "env", r->settings);
  if (r->events)
    tm_json_set(a, body, "events", r->events);
  if (r->parent)
    tm_json_set_str(a, body, "parent", r->parent);
  if (r->depth)
    tm_json_set_int(a, body, "depth", r->depth);
  if (r->allowance)
    tm_json_set(a, body, "budget", r->allowance);
  tm_json_set_int(a, body, "at", r->created);
  tm_turn_record(r, TM_RECORD_START, "", r->workflow, body);
}

/* Its workflow is paused: it is a row, and nothing of it begins. */
static void begin_paused(tm_run *r, const tm_order_row *pause, tm_run_row *row, tm_arena *a) {
  row->state = "waiting";
  row->owner = NULL;
  row->reason = tm_json_text(a, tm_orders_reason(pause, a), NULL);
  r->order_note = tm_arena_strdup(&r->arena, pause->note);
  r->begins_paused = true;
}

tm_after *tm_engine_store_new(tm_run *r, bool chained, void (*fn)(tm_after *, const tm_err *)) {
  tm_engine *e = r->engine;
  tm_turn *t = tm_turn_of(e);
  tm_arena *a = &t->batch->arena;
  tm_closure_lend(r->closure, t->batch);
  tm_op *op = tm_batch_add(t->batch, TM_OP_RUN_NEW);
  op->chained = chained;
  char input_hash[TM_HASH_HEX + 1];
  tm_engine_hash_input(r, input_hash);
  op->u.run = (tm_run_row){
      .id = tm_arena_strdup(a, r->id),
      .workflow = tm_arena_strdup(a, r->workflow),
      .state = "running",
      .owner = tm_arena_strdup(a, e->owner),
      .closure = tm_arena_strdup(a, r->closure->hash.hex),
      .input_hash = tm_arena_strdup(a, input_hash),
      .parent = tm_arena_strdup(a, r->parent),
      .epoch = 1,
      .created = r->created,
      .updated = r->created,
  };
  r->owned = true;
  r->epoch = 1;
  t->guard = r;
  const tm_order_row *pause = tm_orders_pause(e, r->workflow);
  if (pause)
    begin_paused(r, pause, &op->u.run, a);
  record_start(r);
  if (!tm_engine_unborn(e, r->id))
    tm_map_set(&e->unborn, r->id, r);
  tm_turn_after(e, heard, r, NULL);
  tm_after *after = tm_turn_after(e, fn, r, NULL);
  after->op = op;
  return after;
}

static void store_start(tm_run *r, tm_engine_fn done, void *ctx) {
  tm_after *after = tm_engine_store_new(r, false, started);
  starting *s = tm_arena_new(&tm_turn_of(r->engine)->batch->arena, starting);
  *s = (starting){.done = done, .ctx = ctx};
  after->ctx = s;
}

static int open_guest(tm_run *r, tm_err *err) {
  const tm_ports *p = &r->engine->ports;
  r->state = TM_RUN_RUNNING;
  return p->guest->open(&r->guest, p->guest_ctx, r, err);
}

static int check_start(tm_engine *e, const char *workflow, const char *id, tm_err *err) {
  if (e->broken.code != TM_OK) {
    *err = e->broken;
    return -1;
  }
  size_t n =
      strspn(workflow, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/");
  if (!*workflow || workflow[n] || strstr(workflow, "//"))
    return tm_err_set(err, TM_USAGE, "\"%s\" is not a workflow's name", workflow);
  if (id &&
      (!*id || strlen(id) > 63 ||
       id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")]))
    return tm_err_set(err, TM_USAGE,
                      "\"%s\" is no run id: 1 to 63 letters, digits, '_', '-' and '.'", id);
  return 0;
}

void tm_engine_start(tm_engine *e, const char *workflow, const tm_json *input, const char *id,
                     const char *step, tm_engine_fn done, void *ctx) {
  tm_err err = TM_ERR_INIT;
  tm_closure *closure = NULL;
  tm_run *r = NULL;
  char fresh[TM_ID_LEN + 1];
  if (check_start(e, workflow, id, &err) < 0 ||
      e->ports.sources(e->ports.ctx, &closure, &err) < 0)
    goto fail;
  tm_id_new(fresh);
  r = tm_run_new(e, id ? id : fresh, workflow, closure);
  tm_closure_release(&closure);
  r->input = tm_json_copy(&r->arena, input);
  r->only_step = step ? tm_arena_strdup(&r->arena, step) : NULL;
  r->created = tm_engine_now(e);
  if (open_guest(r, &err) < 0)
    goto fail;
  store_start(r, done, ctx);
  return;

fail:
  tm_run_free(&r);
  if (done)
    done(ctx, NULL, &err);
}

/* -- taking up ------------------------------------------------------------------------- */

static void fail_taking_up(tm_run *r, const tm_err *err) {
  tm_log(TM_LOG_ERROR, "engine", "run %s cannot go on: %s", r->id, err->msg);
  tm_event_run(r, "run.stuck", "message", tm_json_new_str(&r->arena, err->msg));
  tm_turn_op(r->engine, r, TM_OP_RUN_SET)->u.run.owner = ""; /* for one that can read it */
  r->lost = true;
  tm_engine_forget(r);
}

static void claimed(tm_after *a, const tm_err *err) {
  tm_run *r = a->run;
  tm_err own = TM_ERR_INIT;
  r->claiming = false;
  if (err->code != TM_OK || r->lost)
    return;
  tm_control_inherit(r);
  if (tm_control_asleep(r))
    return;
  if (tm_replay_load(r, &own) < 0 || open_guest(r, &own) < 0)
    fail_taking_up(r, &own);
  else
    tm_run_begin(r);
}

static int take_up(tm_engine *e, const tm_run_row *row, bool asked, tm_err *err) {
  tm_closure *closure = NULL;
  if (tm_engine_closure(e, row->closure, &closure, err) < 0)
    return tm_err_wrap(err, "run %s", row->id);
  tm_run *r = tm_run_new(e, row->id, row->workflow, closure);
  tm_closure_release(&closure);
  r->epoch = row->epoch;
  r->next_seq = row->records; /* at least so many: tm_replay_load looks */
  r->claiming = true;
  r->asked = asked;
  r->was_held = tm_held_says(row);
  enter_tables(r);
  tm_op *op = tm_turn_op(e, r, TM_OP_RUN_SET); /* the claim goes in front of it */
  op->u.run.state = "running";
  op->u.run.updated = tm_engine_now(e);
  op->u.run.owner = e->owner;
  tm_turn_after(e, claimed, r, NULL);
  return 0;
}

/* The project's sources as they are now, when they are those: they are compiled already. */
static tm_closure *current(tm_engine *e, const char *hash) {
  tm_closure *now = NULL;
  tm_err ignored = TM_ERR_INIT;
  if (!e->ports.sources || e->ports.sources(e->ports.ctx, &now, &ignored) < 0)
    return NULL;
  if (strcmp(now->hash.hex, hash) != 0)
    tm_closure_release(&now);
  return now;
}

int tm_engine_closure(tm_engine *e, const char *hash, tm_closure **out, tm_err *err) {
  tm_closure *c = tm_map_get(&e->closures, hash);
  if (!c) {
    c = current(e, hash);
    if (!c && tm_closure_load(&c, e->ports.store, hash, err) < 0)
      return -1;
    tm_map_set(&e->closures, hash, c);
  }
  *out = tm_closure_retain(c);
  return 0;
}

typedef struct collecting {
  tm_engine *engine;
  tm_arena arena;
  tm_run_row *rows[256];
  int count;
  bool one;   /* asked for by name: also when it only waits */
  bool woken; /* by what it waits for: not when it is paused */
} collecting;

static bool takes_up(const collecting *c, const tm_run_row *row) {
  tm_engine *e = c->engine;
  bool asked = c->one && !c->woken, waits = strcmp(row->state, "waiting") == 0;
  if (tm_engine_find(e, row->id) || tm_engine_unborn(e, row->id) ||
      (!asked && tm_control_paused(e, row)))
    return false;
  bool owned = row->owner && *row->owner; /* somebody was at it, even if it waits */
  if (owned && strcmp(row->owner, e->owner) != 0 && tm_owner_alive(row->owner))
    return false;
  if (!asked && waits && !owned && tm_orders_pause(e, row->workflow))
    return false; /* what comes for it waits with it */
  return c->one || owned || !waits || row->wake_at || tm_control_rests(row) ||
         tm_wake_ready(e, row);
}

static int collect(void *ctx, const tm_run_row *row) {
  collecting *c = ctx;
  if (!takes_up(c, row))
    return 0;
  tm_run_row *copy = tm_arena_new(&c->arena, tm_run_row);
  *copy = *row;
  copy->id = tm_arena_strdup(&c->arena, row->id);
  copy->workflow = tm_arena_strdup(&c->arena, row->workflow);
  copy->closure = tm_arena_strdup(&c->arena, row->closure);
  copy->reason = tm_arena_strdup(&c->arena, row->reason);
  c->rows[c->count++] = copy;
  return c->count == (int)(sizeof c->rows / sizeof c->rows[0]);
}

static int take_up_all(tm_engine *e, const char *id, const char *workflow, bool woken,
                       tm_err *err) {
  tm_run_filter f = {.id = id, .workflow = workflow, .unfinished = true};
  int total = 0, round;
  if (e->broken.code != TM_OK) {
    *err = e->broken;
    return -1;
  }
  do {
    collecting c = {.engine = e, .one = id != NULL, .woken = woken};
    tm_arena_init(&c.arena, 0);
    int rc = e->ports.store->vt->runs(e->ports.store, &f, collect, &c, err);
    for (int i = 0; rc >= 0 && i < c.count; i++)
      rc = take_up(e, c.rows[i], c.one && !c.woken, err);
    round = c.count;
    total += round;
    tm_arena_free(&c.arena);
    if (rc < 0)
      return -1;
  } while (round == 256);
  return total;
}

int tm_engine_resume(tm_engine *e, const char *id, tm_err *err) {
  tm_run *r = id ? tm_engine_find(e, id) : NULL;
  if (r)
    r->asked = true; /* it is just being taken up, and a pause may wait for it */
  return take_up_all(e, id, NULL, false, err);
}

int tm_engine_resume_workflow(tm_engine *e, const char *workflow, tm_err *err) {
  return take_up_all(e, NULL, workflow, false, err);
}

int tm_engine_rouse(tm_engine *e, const char *id, tm_err *err) {
  return take_up_all(e, id, NULL, true, err);
}

void tm_engine_notice(tm_engine *e) {
  if (!e->ports.store->vt->changed(e->ports.store))
    return;
  tm_orders_read(e);
  tm_orders_look(e);
  for (tm_list *l = e->runs.next, *next; l != &e->runs; l = next) {
    next = l->next;
    tm_run *r = TM_LIST_OF(l, tm_run, link);
    if (r->lost || r->ended)
      continue;
    for (tm_list *bl = r->branches.next; bl != &r->branches; bl = bl->next)
      tm_wake_look(TM_LIST_OF(bl, tm_branch, link));
  }
  tm_park_look(e);
}

void tm_engine_break(tm_engine *e, const tm_err *err) {
  if (e->broken.code != TM_OK)
    return;
  e->broken = *err;
  tm_log(TM_LOG_INFO, "engine", "%s", err->msg); /* whoever drives it is told, and says it */
}

/* -- closing --------------------------------------------------------------------------- */

/* Give back what this process holds, so that another one need not wait to see it dead. */
static void give_back(tm_engine *e) {
  for (tm_list *l = e->runs.next; l != &e->runs; l = l->next) {
    tm_run *r = TM_LIST_OF(l, tm_run, link);
    if (!r->owned || r->ended || r->lost)
      continue;
    tm_op *op = tm_turn_op(e, r, TM_OP_RUN_SET);
    op->u.run.state = tm_run_state_word(TM_RUN_QUEUED); /* nobody runs it */
    op->u.run.owner = "";
    op->u.run.updated = tm_engine_now(e);
  }
}

void tm_engine_stop(tm_engine *e) {
  if (e->broken.code == TM_OK) {
    e->turning = true;
    give_back(e);
    if (e->turn)
      tm_turn_submit(e);
  }
  tm_err_set(&e->broken, TM_INTERNAL, "the engine is closed");
}

void tm_engine_close(tm_engine **engine) {
  tm_engine *e = *engine;
  *engine = NULL;
  if (!e)
    return;
  assert(e->in_flight == 0 && e->looks == 0);
  e->turning = true; /* nobody is to be woken for it any more */
  tm_turn_discard(&e->turn);
  while (!tm_list_empty(&e->runs)) {
    tm_run *r = TM_LIST_OF(e->runs.next, tm_run, link);
    tm_run_free(&r);
  }
  tm_map_entry *c;
  for (size_t i = 0; (c = tm_map_next(&e->closures, &i));) {
    tm_closure *closure = c->value;
    tm_closure_release(&closure);
  }
  tm_map_free(&e->closures);
  tm_flight_close(e);
  tm_map_free(&e->by_id);
  tm_map_free(&e->unborn);
  tm_buf_free(&e->scratch);
  tm_heap_free(&e->timers);
  tm_orders_free(e);
  tm_park_free(e);
  tm_free(e);
}
