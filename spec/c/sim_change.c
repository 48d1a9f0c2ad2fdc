/* sim_change.c - people who change a history: repin, retry, fork, with sources that fit or do not.
 *
 * What a fork has to begin with is worked out here, from the story of its origin, at the moment
 * when it is asked for.
 */
#include <stdio.h>
#include <string.h>

#include "engine/change.h"
#include "engine/decision.h"
#include "sim_world.h"

/* -- other sources ------------------------------------------------------------------------ */

/* The seed's sources with another hash, 0: and the same scripts, 1: with a step behind each, 2:
 * with one in front of each, which fits no run that has asked for anything. */
static const char *sources_of(sim *s, int how) {
  tm_arena *a = &s->world.arena;
  tm_json *old, *changed = tm_json_new_object(a);
  tm_err err = TM_ERR_INIT;
  tm_json_parse(&old, a, s->world.sources, strlen(s->world.sources), NULL, &err);
  for (size_t i = 0; i < tm_json_len(old); i++) {
    const tm_json_member *m = tm_json_member_at(old, i);
    const tm_json *script = &m->value;
    if (how > 0 && *m->key == 'w') {
      tm_json *longer = tm_json_new_array(a), *more = tm_json_new_array(a);
      tm_json_push(a, more, tm_json_new_str(a, "llm"));
      tm_json_push(a, more, tm_json_new_str(a, "more"));
      if (how == 2)
        tm_json_push(a, longer, more);
      for (size_t k = 0; k < tm_json_len(script); k++)
        tm_json_push(a, longer, tm_json_copy(a, tm_json_at(script, k)));
      if (how == 1)
        tm_json_push(a, longer, tm_json_copy(a, more));
      script = longer;
    }
    tm_json_set(a, changed, m->key, script);
  }
  tm_json_set_int(a, changed, "revision", ++s->revision);
  return tm_json_text(a, changed, NULL);
}

static tm_closure *closure_of(process *p, int how) {
  kit_world *w = &p->sim->world;
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  const char *before = w->sources;
  w->sources = sources_of(p->sim, how);
  if (p->kit.engine->ports.sources(&p->kit, &c, &err) < 0)
    sim_wrong(p->sim, "the sources of a move cannot be read: %s", err.msg);
  w->sources = before;
  return c;
}

/* -- who is told -------------------------------------------------------------------------- */

typedef struct change {
  process *process;
  const char *what, *run;
  int *count;
  sim_fork *fork;
  bool over;
} change;

static void on_changed(void *ctx, const char *id, const tm_err *err) {
  change *c = ctx;
  process *p = c->process;
  sim *s = p->sim;
  if (c->over)
    sim_wrong(s, "the %s of run %s was answered twice", c->what, c->run);
  c->over = true;
  if (err->code != TM_OK) {
    s->report->refusals++;
    sim_tell(s, "%s of %s: %s", c->what, c->run, err->msg);
    return;
  }
  ++*c->count;
  sim_tell(s, "%s of %s is done (%s)", c->what, c->run, id);
  if (c->fork)
    c->fork->acked = true;
  if (p->moved_count < MAX_TAKEN && !p->down)
    p->moved[p->moved_count++] = tm_arena_strdup(&s->world.arena, id);
}

static change *begin(process *p, const char *what, const char *run, int *count) {
  change *c = tm_arena_new(&p->sim->world.arena, change);
  *c = (change){.process = p, .what = what, .run = run, .count = count};
  sim_tell(p->sim, "%s of %s is asked for", what, run);
  return c;
}

/* -- forks -------------------------------------------------------------------------------- */

static bool is_shared(const tm_journal *j, const tm_entry *e, int64_t before) {
  const tm_entry *end = tm_place_outcome(tm_journal_at(j, e->place));
  const char *kind = tm_json_get_str(e->body, "k");
  if (!*e->place || e->kind == TM_RECORD_ATTEMPT)
    return false;
  return (end && end->seq < before) || (kind && strcmp(kind, "sleep") == 0);
}

static void expect(sim_fork *f, tm_arena *a, const tm_journal *j, int64_t before) {
  f->story = tm_arena_array(a, const char *, (size_t)j->length + 1);
  for (const tm_entry *e = j->first->next; e && e->seq < before; e = e->next)
    if (is_shared(j, e, before))
      f->story[f->count++] = tm_arena_printf(a, "%s %s %s %s", tm_record_word((int)e->kind),
                                             e->place, e->name, tm_json_text(a, e->body, NULL));
}

static const tm_entry *some_result(sim *s, const tm_journal *j) {
  const tm_entry *found = NULL;
  for (const tm_entry *e = j->first; e; e = e->next)
    if (e->kind == TM_RECORD_DONE && *e->place && sim_draw(s, 3) > 0)
      found = e;
  return found;
}

static void fork_run(process *p, const char *run) {
  sim *s = p->sim;
  tm_arena *a = &s->world.arena;
  tm_journal j = {.arena = a};
  tm_err err = TM_ERR_INIT;
  if (s->forks.count >= 3 || tm_journal_load(&j, a, s->world.disk, run, &err) < 0)
    return;
  int64_t before = j.length;
  sim_fork *f = tm_arena_new(a, sim_fork);
  const char *id = tm_arena_printf(a, "%s.f%d", sim_workflow(a, run), (int)s->forks.count + 1);
  tm_fork how = {.id = id};
  const tm_entry *edited = sim_draw(s, 4) == 0 ? some_result(s, &j) : NULL;
  *f = (sim_fork){.origin = run, .edited = edited != NULL};
  if (edited) {
    how.edited = edited->place;
    how.result = tm_json_new_str(a, "another result");
    before = edited->seq + 1;
  } else if (sim_draw(s, 3)) {
    before = 1 + sim_draw(s, (int)j.length);
    how.from = tm_arena_printf(a, "%lld", (long long)before);
  }
  expect(f, a, &j, before);
  tm_journal_free(&j);
  tm_map_set(&s->forks, id, f);
  change *c = begin(p, "fork", run, &s->report->forks);
  c->fork = f;
  if (sim_draw(s, 3) == 0)
    how.closure = closure_of(p, sim_draw(s, 3));
  tm_change_fork(p->kit.engine, run, &how, on_changed, c);
  tm_closure_release(&how.closure);
}

/* -- moves -------------------------------------------------------------------------------- */

static void move_run(process *p, const char *run, bool retry) {
  sim *s = p->sim;
  change *c = begin(p, retry ? "retry" : "repin", run,
                    retry ? &s->report->retries : &s->report->repins);
  tm_closure *to = !retry || sim_draw(s, 2) ? closure_of(p, sim_draw(s, 3)) : NULL;
  if (retry)
    tm_change_retry(p->kit.engine, run, to, "ann", on_changed, c);
  else
    tm_change_repin(p->kit.engine, run, to, "ann", on_changed, c);
  tm_closure_release(&to);
}

void sim_change(process *p) {
  sim *s = p->sim;
  const char *run = sim_any_run(s);
  if (!run)
    return;
  p->kit.trial = true;
  bool failed = strcmp(kit_state(&s->world, run), "failed") == 0;
  if (sim_draw(s, 4) == 0)
    fork_run(p, run);
  else
    move_run(p, run, failed || sim_draw(s, 10) == 0);
  p->kit.trial = false;
}

/* -- decisions ---------------------------------------------------------------------------- */

static void on_reopened(void *ctx, const char *id, const tm_err *err) {
  sim *s = ctx;
  (void)id;
  s->report->reopened += err->code == TM_OK;
  sim_tell(s, "a decision is reopened: %s", err->code == TM_OK ? "yes" : err->msg);
}

void sim_reopen(process *p) {
  sim *s = p->sim;
  char workflow[16];
  snprintf(workflow, sizeof workflow, "w%d", sim_draw(s, s->run_count + 1));
  tm_decision_row which = {.ns = workflow,
                           .name = "d",
                           .key = sim_draw(s, 2) ? "k1" : "k0",
                           .by = "ann",
                           .note = ""};
  tm_decision_reopen(p->kit.engine, &which, on_reopened, s);
}
