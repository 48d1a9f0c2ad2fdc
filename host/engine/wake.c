/* wake.c - what a waiting run waits for has come: find the run, wherever it is.
 */
#include "engine/wake.h"

#include <string.h>

#include "engine/child.h"
#include "engine/held.h"
#include "engine/lock.h"
#include "engine/signal.h"

/* -- rows ------------------------------------------------------------------------ */

typedef struct reading {
  tm_arena *arena;
  tm_run_row *row;
  bool found;
} reading;

static int copy_row(void *ctx, const tm_run_row *row) {
  reading *r = ctx;
  tm_arena *a = r->arena;
  *r->row = *row;
  r->row->id = tm_arena_strdup(a, row->id);
  r->row->workflow = tm_arena_strdup(a, row->workflow);
  r->row->state = tm_arena_strdup(a, row->state);
  r->row->reason = tm_arena_strdup(a, row->reason);
  r->row->owner = tm_arena_strdup(a, row->owner);
  r->row->closure = tm_arena_strdup(a, row->closure);
  r->row->input_hash = tm_arena_strdup(a, row->input_hash);
  r->row->parent = tm_arena_strdup(a, row->parent);
  r->row->result = tm_arena_strdup(a, row->result);
  r->found = true;
  return 1;
}

int tm_wake_row(tm_engine *e, const char *id, tm_arena *a, tm_run_row *out, tm_err *err) {
  reading r = {.arena = a, .row = out};
  tm_run_filter f = {.id = id};
  tm_store *s = e->ports.store;
  return s->vt->runs(s, &f, copy_row, &r, err) < 0 ? -1 : r.found;
}

bool tm_wake_over(const char *state) {
  return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
         strcmp(state, "cancelled") == 0;
}

bool tm_wake_ended(const tm_run_row *row) {
  return tm_wake_over(row->state);
}

const tm_json *tm_wake_reason(const tm_run_row *row, tm_arena *a) {
  tm_json *reason;
  tm_err err = TM_ERR_INIT;
  bool says = row->reason && *row->reason;
  if (!says || tm_json_parse(&reason, a, row->reason, strlen(row->reason), NULL, &err) < 0)
    return NULL;
  return reason;
}

const char *tm_wake_successor(const tm_run_row *row, tm_arena *a) {
  if (strcmp(row->state, "done") != 0)
    return NULL;
  return tm_json_get_str(tm_wake_reason(row, a), "continued");
}

/* -- is there something to go on with? ------------------------------------------- */

bool tm_wake_came(tm_engine *e, const tm_run_row *row, const tm_json *reason) {
  const char *what = tm_json_get_str(reason, "for"), *name = tm_json_get_str(reason, "name");
  const char *other = tm_json_get_str(reason, "run");
  char holder[64];
  if (!what)
    return false;
  if (strcmp(what, "gate") == 0)
    return tm_gate_decided(e, row->id, tm_json_get_str(reason, "gate"));
  if (strcmp(what, "wait") == 0)
    return tm_signal_pending(e, row->id, name);
  if (strcmp(what, "call") == 0)
    return other && tm_child_over(e, other);
  if (strcmp(what, "key") == 0)
    return !tm_held_by(holder, e, row, reason);
  return strcmp(what, "lock") == 0 && tm_lock_is_first(e, row->workflow, name, row->id);
}

bool tm_wake_ready(tm_engine *e, const tm_run_row *row) {
  tm_arena a;
  bool ready = false;
  tm_arena_init(&a, 0);
  const tm_json *reasons = tm_wake_reason(row, &a);
  for (size_t i = 0; !ready && i < tm_json_len(reasons); i++)
    ready = tm_wake_came(e, row, tm_json_at(reasons, i));
  tm_arena_free(&a);
  return ready;
}

/* -- waking ------------------------------------------------------------------------ */

void tm_wake_look(tm_branch *b) {
  tm_gate_notice(b);
  if (b->dead || !b->waits || b->phase != TM_PHASE_LIVE || b->run->lost || b->run->ended)
    return;
  if (b->kind == TM_CALL_WAIT)
    tm_signal_look(b);
  else if (b->kind == TM_CALL_CALL)
    tm_child_look(b);
  else if (b->kind == TM_CALL_LOCK)
    tm_lock_look(b);
  else if (b->kind == TM_CALL_ACTION)
    tm_held_look(b);
}

static void look_in(tm_run *r) {
  bool waited = r->state == TM_RUN_WAITING;
  for (tm_list *l = r->branches.next, *next; l != &r->branches; l = next) {
    next = l->next;
    tm_wake_look(TM_LIST_OF(l, tm_branch, link));
  }
  if (waited && r->state != TM_RUN_WAITING)
    tm_event_run(r, "run.woken", NULL, NULL);
}

void tm_wake_run(tm_engine *e, const char *id) {
  tm_arena a;
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  tm_run *r = tm_engine_find(e, id);
  if (r) {
    look_in(r);
    return;
  }
  tm_arena_init(&a, 0);
  if (tm_wake_row(e, id, &a, &row, &err) == 1 && strcmp(row.state, "waiting") == 0 &&
      tm_wake_ready(e, &row) && tm_engine_rouse(e, id, &err) > 0)
    tm_event_run(tm_engine_find(e, id), "run.woken", NULL, NULL);
  tm_arena_free(&a);
}
