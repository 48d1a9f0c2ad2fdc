/* effect.c - the row of an action's key in the store: who has it, what came of it.
 */
#include "engine/effect.h"

#include <stdio.h>
#include <string.h>

static tm_effect_row row_of(const tm_branch *b) {
  return (tm_effect_row){
      .ns = b->run->workflow,
      .action = b->name,
      .key = b->action.key,
      .args_hash = b->action.hash,
      .run = b->run->id,
      .place = b->place,
  };
}

int tm_effect_find(tm_branch *b, tm_arena *a, tm_effect_row *out, tm_err *err) {
  tm_store *s = b->run->engine->ports.store;
  tm_effect_row key = row_of(b);
  return s->vt->effect(s, &key, a, out, err);
}

bool tm_effect_is_ours(const tm_branch *b, const tm_effect_row *row) {
  return strcmp(row->run, b->run->id) == 0 && strcmp(row->place, b->place) == 0;
}

tm_op *tm_effect_op(tm_branch *b, tm_op_kind kind) {
  tm_engine *e = b->run->engine;
  tm_op *op = tm_turn_op(e, b->run, kind);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  tm_effect_row row = row_of(b);
  op->u.effect = (tm_effect_row){
      .ns = tm_arena_strdup(a, row.ns),
      .action = tm_arena_strdup(a, row.action),
      .key = tm_arena_strdup(a, row.key),
      .args_hash = tm_arena_strdup(a, row.args_hash),
      .run = tm_arena_strdup(a, row.run),
      .place = tm_arena_strdup(a, row.place),
  };
  return op;
}

/* -- the run that has it --------------------------------------------------------------- */

static int take_state(void *ctx, const tm_run_row *row) {
  snprintf(ctx, 16, "%s", row->state);
  return 1;
}

tm_effect_left tm_effect_left_by(tm_engine *e, const tm_effect_row *row, char state[16]) {
  static const char *const going[] = {"", "queued", "running", "waiting"};
  static const char *const ended[] = {"done", "failed", "cancelled"};
  tm_store *s = e->ports.store;
  tm_run_filter f = {.id = row->run};
  tm_err err = TM_ERR_INIT;
  *state = 0;
  if (s->vt->runs(s, &f, take_state, state, &err) < 0)
    tm_engine_break(e, &err);
  for (size_t i = 0; i < sizeof going / sizeof *going; i++)
    if (strcmp(state, going[i]) == 0)
      return TM_EFFECT_HELD;
  for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
    if (strcmp(state, ended[i]) == 0)
      return TM_EFFECT_ENDED;
  return TM_EFFECT_STUCK;
}

typedef struct first_try {
  tm_arena *arena;
  const char *place;
  int64_t at;
} first_try;

static int take_intent(void *ctx, const tm_record *r) {
  first_try *f = ctx;
  tm_json *body = NULL;
  tm_err err = TM_ERR_INIT;
  if (r->kind != TM_RECORD_OPEN || !r->place || strcmp(r->place, f->place) != 0 ||
      tm_json_parse(&body, f->arena, r->body, r->body_len, NULL, &err) < 0 ||
      tm_json_get(body, "gk"))
    return 0;
  f->at = tm_json_int(tm_json_get(body, "since"), tm_json_int(tm_json_get(body, "at"), 0));
  return 1;
}

int64_t tm_effect_since(tm_branch *b, const tm_effect_row *row) {
  tm_store *s = b->run->engine->ports.store;
  first_try f = {.arena = &b->scratch, .place = row->place};
  tm_err err = TM_ERR_INIT;
  if (s->vt->journal(s, row->run, 0, take_intent, &f, &err) < 0)
    tm_engine_break(b->run->engine, &err);
  return f.at > 0 ? f.at : 1;
}
