/* sim_laws.c - what a disk has to look like, whatever happened to it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

typedef struct judge {
  kit_world *world;
  const char *run;
  bool at_end;
  tm_map decisions; /* mill.decide: key and version -> the value that runs were told */
  int *reused;      /* answers that were used again */
  char *wrong;
  size_t size;
} judge;

static void wrong(judge *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void wrong(judge *g, const char *fmt, ...) {
  va_list args;
  if (*g->wrong)
    return;
  int n = snprintf(g->wrong, g->size, "run %s: ", g->run);
  va_start(args, fmt);
  vsnprintf(g->wrong + n, g->size - (size_t)n, fmt, args);
  va_end(args);
}

const char *sim_workflow(tm_arena *a, const char *run) {
  return strchr(run, ':') ? "w0" : tm_arena_strndup(a, run, strcspn(run, "."));
}

/* -- gates -------------------------------------------------------------------------------- */

typedef struct gate_seen {
  judge *judge;
  const tm_entry *decided;
  bool found;
} gate_seen;

static int compare_gate(void *ctx, const tm_gate_row *row) {
  gate_seen *s = ctx;
  const char *state = tm_json_get_str(s->decided->body, "state");
  s->found = true;
  if (!state || strcmp(state, row->state) != 0)
    wrong(s->judge, "its journal says that gate %s was %s, its row says %s", row->id,
          state ? state : "?", row->state);
  return 1;
}

static void judge_decided(judge *g, const tm_place *p, const tm_entry *decided) {
  const char *id = tm_json_get_str(decided->body, "gate");
  gate_seen seen = {.judge = g, .decided = decided};
  tm_gate_filter f = {.id = id};
  tm_err err = TM_ERR_INIT;
  bool opened = false;
  for (const tm_entry *e = p->first; e; e = e->next_here) {
    const char *other = tm_json_get_str(e->body, "gate");
    if (!other || !id || strcmp(other, id) != 0)
      continue;
    opened = opened || (e->kind == TM_RECORD_OPEN && e->seq < decided->seq);
    if (e->kind == TM_RECORD_DECIDED && e != decided)
      wrong(g, "gate %s was decided twice, by records %lld and %lld", id, (long long)e->seq,
            (long long)decided->seq);
  }
  if (!opened)
    wrong(g, "gate %s was decided and never opened", id ? id : "?");
  g->world->disk->vt->gates(g->world->disk, &f, compare_gate, &seen, &err);
  if (!seen.found)
    wrong(g, "gate %s was decided and has no row", id ? id : "?");
}

/* -- actions and decisions ---------------------------------------------------------------- */

static const char *intended_key(const tm_place *p, int64_t before) {
  for (const tm_entry *e = p->first; e; e = e->next_here)
    if (e->kind == TM_RECORD_OPEN && !tm_json_get(e->body, "gk") && e->seq < before)
      return tm_json_get_str(e->body, "key");
  return NULL;
}

/* The person of these worlds tells doubts as they are, so what is done has always arrived. */
static void judge_action(judge *g, const tm_place *p, const tm_entry *done) {
  const char *key = intended_key(p, done->seq);
  if (tm_json_get(tm_json_get(done->body, "m"), "stored_by"))
    return;
  if (!key)
    wrong(g, "the action at place %s has an outcome (record %lld) and no intent", done->place,
          (long long)done->seq);
  else if (kit_effect_of(g->world, key)->sends == 0)
    wrong(g, "the action at place %s is done, and the other side never saw its key %s",
          done->place, key);
}

static const tm_json *request_at(const tm_place *p) {
  for (const tm_entry *e = p->first; e; e = e->next_here)
    if (tm_json_get(e->body, "q"))
      return tm_json_get(e->body, "q");
  return NULL;
}

static void judge_decision(judge *g, const tm_place *p, const tm_entry *done) {
  tm_arena *a = &g->world->arena;
  const tm_json *v = tm_json_get(done->body, "v");
  const char *told = tm_json_text(a, tm_json_get(v, "value"), NULL);
  const char *what = tm_arena_printf(a, "%s %s %lld", sim_workflow(a, g->run),
                                     tm_json_get_str(request_at(p), "key"),
                                     (long long)tm_json_int(tm_json_get(v, "version"), 0));
  if (!tm_json_bool(tm_json_get(v, "found"), true) && strcmp(told, "null") == 0)
    return; /* recalled before it was decided */
  const char *before = tm_map_get(&g->decisions, what);
  if (!before)
    tm_map_set(&g->decisions, what, (void *)(uintptr_t)told);
  else if (strcmp(before, told) != 0)
    wrong(g, "the decision %s was told as %s and as %s", what, before, told);
}

/* -- answers that are used again ------------------------------------------------------------ */

typedef struct telling {
  const char *value;
  tm_arena *arena;
  bool found;
} telling;

static int find_answer(void *ctx, const tm_record *r) {
  telling *t = ctx;
  tm_json *body;
  tm_err err = TM_ERR_INIT;
  if (r->kind != TM_RECORD_DONE ||
      tm_json_parse(&body, t->arena, r->body, r->body_len, NULL, &err) < 0)
    return 0;
  const char *kind = tm_json_get_str(body, "k");
  t->found = kind && strcmp(kind, "llm") == 0 &&
             strcmp(tm_json_text(t->arena, tm_json_get(body, "v"), NULL), t->value) == 0;
  return t->found;
}

static void judge_answer(judge *g, const tm_entry *done) {
  const tm_json *cached = tm_json_get(tm_json_get(done->body, "m"), "cached");
  const char *from = tm_json_get_str(cached, "run");
  tm_arena *a = &g->world->arena;
  telling t = {.value = tm_json_text(a, tm_json_get(done->body, "v"), NULL), .arena = a};
  tm_err err = TM_ERR_INIT;
  if (!cached)
    return;
  ++*g->reused;
  g->world->disk->vt->journal(g->world->disk, from, 0, find_answer, &t, &err);
  if (!t.found)
    wrong(g, "the answer at place %s is said to be run %s's, which was never told it",
          done->place, from);
}

/* -- journals ----------------------------------------------------------------------------- */

static void judge_outcome(judge *g, const tm_place *p, const tm_entry *e) {
  const char *kind = tm_json_get_str(e->body, "k");
  const tm_json *request = request_at(p);
  if (e->kind != TM_RECORD_DONE || !kind || tm_json_get(e->body, "edited"))
    return;
  if (strcmp(kind, "action") == 0 && !tm_json_bool(tm_json_get(request, "repeatable"), false))
    judge_action(g, p, e);
  if (strcmp(kind, "llm") == 0)
    judge_answer(g, e);
  if (strcmp(kind, "decide") == 0 || strcmp(kind, "recall") == 0)
    judge_decision(g, p, e);
}

static void judge_place(judge *g, const tm_place *p) {
  int outcomes = 0;
  for (const tm_entry *e = p->first; e; e = e->next_here) {
    if (e->kind == TM_RECORD_DECIDED)
      judge_decided(g, p, e);
    if (e->kind != TM_RECORD_DONE && e->kind != TM_RECORD_FAIL && e->kind != TM_RECORD_NOTE)
      continue;
    if (outcomes++)
      wrong(g, "place %s has a second outcome (record %lld)", e->place, (long long)e->seq);
    judge_outcome(g, p, e);
  }
}

static void judge_end(judge *g, const tm_journal *j) {
  const tm_entry *end = tm_journal_end(j);
  const char *state = kit_state(g->world, g->run);
  bool over = strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
              strcmp(state, "cancelled") == 0;
  if (end && end->next)
    wrong(g, "record %lld stands behind its end", (long long)end->next->seq);
  if (over != (end != NULL))
    wrong(g, "its row says %s, its journal %s", state, end ? end->name : "goes on");
  if (strcmp(state, "diverged") == 0 || (g->at_end && !over))
    wrong(g, "it is %s: %s", state, kit_reason(g->world, g->run));
}

static void judge_run(judge *g) {
  tm_journal j = {.arena = NULL};
  tm_err err = TM_ERR_INIT;
  tm_map_entry *p;
  if (tm_journal_load(&j, &g->world->arena, g->world->disk, g->run, &err) < 0) {
    wrong(g, "%s", err.msg);
    return;
  }
  for (size_t i = 0; (p = tm_map_next(&j.places, &i));)
    if (*p->key)
      judge_place(g, p->value);
  judge_end(g, &j);
  tm_journal_free(&j);
}

static int count_open(void *ctx, const tm_gate_row *row) {
  judge *g = ctx;
  g->run = row->run;
  wrong(g, "gate %s is still open", row->id);
  return 1;
}

/* A cancel, a fork's error, or the end of a race, lets an action that was begun come to its end
 * first. When its intent (or a result) was still on its way to the disk, and is lost, the next
 * life tells the branches in another order. Nothing that came of the difference can be on the
 * disk, for it would stand behind what was lost; the rehearsal judges what is. */
static bool may_differ(kit_world *w, const char *const *runs, int count) {
  if (w->drained)
    return true;
  for (int i = 0; i < count; i++) {
    const char *named = tm_arena_printf(&w->arena, "run %s was told", runs[i]);
    const char *moved = tm_arena_printf(&w->arena, "run %s#", runs[i]);
    if (strstr(w->breach, named) || strstr(w->breach, moved))
      return strstr(kit_journal(w, runs[i]), " cancel") || strstr(w->sources, "\"race\":true");
  }
  return false;
}

void sim_laws(kit_world *w, const char *const *runs, int count, bool at_end, int *reused,
              char *text, size_t size) {
  judge g = {.world = w, .at_end = at_end, .reused = reused, .wrong = text, .size = size};
  tm_gate_filter open = {.open = true};
  tm_err err = TM_ERR_INIT;
  for (int i = 0; i < count && !*text; i++) {
    g.run = runs[i];
    judge_run(&g);
  }
  tm_map_free(&g.decisions);
  if (at_end && !*text)
    w->disk->vt->gates(w->disk, &open, count_open, &g, &err);
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&w->effects, &i)) && !*text;)
    if (((kit_effect *)e->value)->mixed)
      snprintf(text, size, "two different requests came under the key %s", e->key);
  if (w->breach[0] && !*text && !may_differ(w, runs, count))
    snprintf(text, size, "%s", w->breach);
}
