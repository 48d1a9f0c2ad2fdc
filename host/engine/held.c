/* held.c - the line of a run that has keys, and the calls that wait in it.
 */
#include "engine/held.h"

#include <stdio.h>
#include <string.h>

#include "engine/effect.h"
#include "engine/owner.h"
#include "engine/park.h"
#include "engine/wake.h"

#define LINES "#key" /* their namespace: no workflow's name; a line's key is the holder's id */

bool tm_held_is(const tm_branch *b) {
  return !tm_list_empty(&b->held);
}

static void line_op(tm_run *r, tm_op_kind kind, const char *holder) {
  tm_op *op = tm_turn_op(r->engine, r, kind);
  op->u.lock = (tm_lock_row){
      .ns = LINES, .key = tm_arena_strdup(&tm_turn_of(r->engine)->batch->arena, holder)};
}

/* -- waiting ----------------------------------------------------------------------------- */

static const tm_branch *next_held(const tm_run *r, const tm_list **at) {
  while ((*at = (*at)->next) != &r->branches) {
    const tm_branch *b = TM_LIST_OF(*at, tm_branch, link);
    if (!b->dead && tm_held_is(b))
      return b;
  }
  return NULL;
}

/* Another branch of the run may wait for the same one. */
static void leave(tm_branch *b) {
  const tm_run *r = b->run;
  const tm_branch *other;
  bool wanted = r->lost || r->ended;
  tm_list_remove(&b->held);
  for (const tm_list *at = &r->branches; !wanted && (other = next_held(r, &at));)
    wanted = strcmp(other->waits_for, b->waits_for) == 0;
  if (!wanted)
    line_op(b->run, TM_OP_LOCK_DROP, b->waits_for);
}

void tm_held_gone(tm_branch *b) {
  if (tm_held_is(b))
    leave(b);
}

static void joined(tm_after *after, const tm_err *err) {
  if (tm_after_awaited(after, err))
    tm_held_look(after->branch);
}

void tm_held_begin(tm_branch *b, const char *holder) {
  tm_engine *e = b->run->engine;
  tm_list_append(&e->held, &b->held);
  b->waits = true;
  b->waits_for = tm_arena_strdup(&b->scratch, holder);
  line_op(b->run, TM_OP_LOCK_WANT, holder);
  tm_turn_after(e, joined, b->run, b);
  tm_engine_make_runnable(b->run); /* it may give its claim back now */
}

/* -- looking ----------------------------------------------------------------------------- */

/* Another run has it by now: the row has to say so. */
static void now_held_by(tm_branch *b, const char *holder) {
  if (strcmp(b->waits_for, holder) == 0)
    return;
  tm_run_goes_on(b->run);
  leave(b);
  tm_held_begin(b, holder);
}

/* What action.c would hold it for. It is asked often, so nothing of it stays in the scratch. */
static bool still_held(tm_branch *b) {
  tm_arena a;
  tm_effect_row row;
  char state[16];
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  bool held = tm_effect_find(b, &a, &row, &err) == 1 && !row.result &&
              strcmp(row.args_hash, b->action.hash) == 0 && !tm_effect_is_ours(b, &row) &&
              tm_effect_left_by(b->run->engine, &row, state) == TM_EFFECT_HELD;
  if (held)
    now_held_by(b, row.run);
  tm_arena_free(&a);
  return held;
}

void tm_held_look(tm_branch *b) {
  tm_run *r = b->run;
  if (!tm_held_is(b) || b->dead || r->lost || r->ended || r->order == TM_ORDER_PAUSE)
    return;
  if (!tm_run_gives_up(r) && still_held(b))
    return;
  tm_run_goes_on(r);
  leave(b);
  b->waits = false;
  b->waits_for = NULL;
  tm_action_launch(b);
}

void tm_held_look_again(tm_run *r) {
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next)
    tm_held_look(TM_LIST_OF(l, tm_branch, link));
}

bool tm_held_by(char run[64], tm_engine *e, const tm_run_row *row, const tm_json *reason) {
  tm_arena a;
  tm_effect_row found;
  char state[16];
  tm_err err = TM_ERR_INIT;
  const char *place = tm_json_get_str(reason, "place");
  tm_effect_row key = {.ns = row->workflow,
                       .action = tm_json_get_str(reason, "name"),
                       .key = tm_json_get_str(reason, "key")};
  if (!key.action || !key.key || !place)
    return false;
  tm_arena_init(&a, 0);
  int rc = e->ports.store->vt->effect(e->ports.store, &key, &a, &found, &err);
  if (rc < 0)
    tm_engine_break(e, &err);
  bool own = rc == 1 && strcmp(found.run, row->id) == 0 && strcmp(found.place, place) == 0;
  bool held = rc < 0 || (rc == 1 && !found.result && !own &&
                         tm_effect_left_by(e, &found, state) == TM_EFFECT_HELD);
  snprintf(run, 64, "%s", rc == 1 ? found.run : "");
  tm_arena_free(&a);
  return held;
}

/* -- the line ---------------------------------------------------------------------------- */

typedef struct line {
  tm_arena arena;
  const char **of; /* runs that stand in it, or the lines that a run stands in */
  size_t count, cap;
} line;

static void note(line *l, const char *text) {
  if (l->count == l->cap) {
    l->cap = l->cap ? 2 * l->cap : 8;
    l->of = tm_realloc(l->of, l->cap * sizeof *l->of);
  }
  l->of[l->count++] = tm_arena_strdup(&l->arena, text);
}

static int note_run(void *ctx, const tm_lock_row *row) {
  note(ctx, row->run);
  return 0;
}

static int note_line(void *ctx, const tm_lock_row *row) {
  if (strcmp(row->ns, LINES) == 0)
    note(ctx, row->key);
  return 0;
}

static void read_line(line *l, tm_engine *e, const tm_lock_filter *f, tm_lock_fn fn) {
  tm_err err = TM_ERR_INIT;
  *l = (line){.count = 0};
  tm_arena_init(&l->arena, 0);
  if (e->ports.store->vt->locks(e->ports.store, f, fn, l, &err) < 0)
    tm_engine_break(e, &err);
}

static void free_line(line *l) {
  tm_free(l->of);
  tm_arena_free(&l->arena);
}

/* Another living process has it parked, and sees what is committed here. */
static bool is_looked_after(tm_engine *e, const char *id) {
  tm_arena a;
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  bool is = false;
  tm_arena_init(&a, 0);
  int found = tm_wake_row(e, id, &a, &row, &err);
  const tm_json *reason = found == 1 ? tm_wake_reason(&row, &a) : NULL;
  for (size_t i = 0; !is && i < tm_json_len(reason); i++) {
    const char *at = tm_json_get_str(tm_json_at(reason, i), "at");
    is = at && strcmp(at, e->owner) != 0 && tm_owner_alive(at);
  }
  tm_arena_free(&a);
  return is;
}

void tm_held_notice(tm_engine *e, const char *holder) {
  line l;
  tm_lock_filter f = {.ns = LINES, .key = holder};
  read_line(&l, e, &f, note_run);
  for (size_t i = 0; i < l.count; i++)
    if (tm_engine_find(e, l.of[i]) || !is_looked_after(e, l.of[i]))
      tm_wake_run(e, l.of[i]);
  free_line(&l);
}

bool tm_held_says(const tm_run_row *row) {
  return row->reason && strstr(row->reason, "\"for\":\"key\"");
}

void tm_held_reconcile(tm_run *r) {
  line l;
  tm_lock_filter f = {.run = r->id};
  if (!r->was_held)
    return;
  read_line(&l, r->engine, &f, note_line);
  for (size_t i = 0; i < l.count; i++)
    line_op(r, TM_OP_LOCK_DROP, l.of[i]);
  free_line(&l);
}

void tm_held_leave(tm_run *r) {
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next)
    tm_held_gone(TM_LIST_OF(l, tm_branch, link));
  tm_held_reconcile(r);
}

/* -- in memory or not -------------------------------------------------------------------- */

bool tm_held_near(const tm_run *r) {
  const tm_branch *b;
  for (const tm_list *at = &r->branches; (b = next_held(r, &at));) {
    const tm_run *holder = tm_engine_find(r->engine, b->waits_for);
    if (holder && holder != r && holder->state != TM_RUN_WAITING)
      return true;
  }
  return false;
}

/* Parking frees a run with all its branches: each is off the list before the next is looked at. */
void tm_held_rest(tm_engine *e, const char *holder) {
  tm_list waiting;
  tm_list_init(&waiting);
  for (tm_list *l; (l = tm_list_shift(&e->held));)
    tm_list_append(&waiting, l);
  for (tm_list *l; (l = tm_list_shift(&waiting));) {
    tm_run *r = TM_LIST_OF(l, tm_branch, held)->run;
    bool waits = strcmp(TM_LIST_OF(l, tm_branch, held)->waits_for, holder) == 0;
    tm_list_append(&e->held, l);
    if (!waits || r->pending || strcmp(r->id, holder) == 0)
      continue;
    tm_park_run(r);
    tm_engine_settle_forgotten(r);
  }
}
