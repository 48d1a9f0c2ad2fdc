/* mem_spend.c - budgets of the store in memory. */
#include "store/mem_spend.h"

#include <string.h>

#include "store/apply.h"

static bool same(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "") == 0;
}

static tm_spend_row *sum_of(tm_mem_spend *s, const char *scope, const char *day) {
  for (size_t i = 0; i < s->sum_count; i++)
    if (same(s->sums[i].scope, scope) && same(s->sums[i].day, day))
      return &s->sums[i];
  if (s->sum_count == s->sum_cap) {
    s->sum_cap = s->sum_cap ? 2 * s->sum_cap : 8;
    s->sums = tm_realloc(s->sums, s->sum_cap * sizeof *s->sums);
  }
  tm_spend_row *row = &s->sums[s->sum_count++];
  *row = (tm_spend_row){.scope = tm_arena_strdup(s->arena, scope),
                        .day = tm_arena_strdup(s->arena, day)};
  return row;
}

static tm_mem_held *held_of(tm_mem_spend *s, const char *run, const tm_spend_row *row) {
  for (size_t i = 0; i < s->held_count; i++)
    if (same(s->held[i].run, run) && same(s->held[i].row.place, row->place) &&
        same(s->held[i].row.scope, row->scope))
      return &s->held[i];
  return NULL;
}

/* What is spent and held in a scope on a day. */
static tm_spend_row state_of(tm_mem_spend *s, const tm_spend_row *of) {
  tm_spend_row now = *sum_of(s, of->scope, of->day);
  for (size_t i = 0; i < s->held_count; i++)
    if (same(s->held[i].row.scope, of->scope) && same(s->held[i].row.day, of->day)) {
      now.held_nano += s->held[i].row.nano;
      now.held_calls += s->held[i].row.calls;
    }
  return now;
}

static void hold(tm_mem_spend *s, const char *run, tm_batch *b, tm_op *op) {
  const tm_spend_row *row = &op->u.spend;
  tm_mem_held *mine = held_of(s, run, row);
  if (mine && mine->row.calls == row->calls) {
    mine->row.day = tm_arena_strdup(s->arena, row->day);
    return;
  }
  tm_spend_row now = state_of(s, row);
  if (!tm_apply_affords(b, op, &now))
    return;
  if (mine)
    *mine = s->held[--s->held_count];
  if (s->held_count == s->held_cap) {
    s->held_cap = s->held_cap ? 2 * s->held_cap : 8;
    s->held = tm_realloc(s->held, s->held_cap * sizeof *s->held);
  }
  s->held[s->held_count++] =
      (tm_mem_held){.run = tm_arena_strdup(s->arena, run),
                    .row = {.scope = tm_arena_strdup(s->arena, row->scope),
                            .day = tm_arena_strdup(s->arena, row->day),
                            .place = tm_arena_strdup(s->arena, row->place),
                            .calls = row->calls,
                            .nano = row->nano}};
}

static void add(tm_mem_spend *s, const char *run, const tm_spend_row *row) {
  tm_mem_held *mine = held_of(s, run, row);
  sum_of(s, row->scope, row->day)->nano += row->nano;
  if (mine)
    mine->row.nano = mine->row.nano > row->nano ? mine->row.nano - row->nano : 0;
}

/* What is held for the run's calls (of one place, or of all) is no more. */
static void drop(tm_mem_spend *s, const char *run, const tm_spend_row *row) {
  size_t kept = 0;
  for (size_t i = 0; i < s->held_count; i++) {
    tm_mem_held h = s->held[i];
    if (same(h.run, run) && (!row->place || same(h.row.place, row->place)))
      sum_of(s, h.row.scope, h.row.day)->calls += row->calls * h.row.calls;
    else
      s->held[kept++] = h;
  }
  s->held_count = kept;
}

int tm_mem_spend_apply(tm_mem_spend *s, const char *run, tm_batch *b, tm_op *op) {
  if (op->kind == TM_OP_SPEND_HOLD)
    hold(s, run, b, op);
  else if (op->kind == TM_OP_SPEND_ADD)
    add(s, run, &op->u.spend);
  else
    drop(s, run, &op->u.spend);
  return 0;
}

void tm_mem_spend_forget(tm_mem_spend *s, const char *run) {
  drop(s, run, &(tm_spend_row){.place = NULL});
}

void tm_mem_spend_account(tm_mem_spend *s, const char *scope, const char *day,
                          tm_spend_row *out) {
  *out = state_of(s, &(tm_spend_row){.scope = scope, .day = day});
}

void tm_mem_spend_free(tm_mem_spend *s) {
  tm_free(s->sums);
  tm_free(s->held);
}
