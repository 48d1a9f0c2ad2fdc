/* sim_check.c - the laws, held to the disk and to what people were told. */
#include <string.h>

#include "engine/orders.h"
#include "engine/park.h"
#include "engine/verify.h"
#include "engine/wake.h"
#include "sim_world.h"

static int same_decision(void *ctx, const tm_gate_row *row) {
  decision *d = ctx;
  if (strcmp(row->state, d->state) != 0)
    sim_wrong(d->sim, "somebody was told that gate %s is %s; it is %s", row->id, d->state,
              row->state);
  d->gate = NULL;
  return 1;
}

static void check_decisions(sim *s) {
  tm_map_entry *e;
  tm_err err = TM_ERR_INIT;
  for (size_t i = 0; (e = tm_map_next(&s->decided, &i));) {
    decision d = {.sim = s, .gate = e->key, .state = e->value};
    tm_gate_filter f = {.id = e->key};
    s->world.disk->vt->gates(s->world.disk, &f, same_decision, &d, &err);
    if (d.gate)
      sim_wrong(s, "gate %s was decided, and is gone", e->key);
  }
}

static int is_woken(void *ctx, const tm_run_row *row) {
  process *p = ctx;
  sim *s = p->sim;
  tm_engine *e = p->kit.engine;
  tm_json *reason = NULL;
  tm_err err = TM_ERR_INIT;
  if ((!tm_engine_find(e, row->id) && !tm_park_holds(e, row->id)) || !row->reason ||
      tm_orders_pause(e, row->workflow) ||
      tm_json_parse(&reason, &s->world.arena, row->reason, strlen(row->reason), NULL, &err) < 0)
    return 0;
  bool parked = tm_park_holds(e, row->id); /* else an action may be at work behind its gate */
  for (size_t i = 0; i < tm_json_len(reason); i++)
    if ((parked || strcmp(tm_json_get_str(tm_json_at(reason, i), "for"), "gate") != 0) &&
        tm_wake_came(e, row, tm_json_at(reason, i)))
      sim_wrong(s, "run %s waits for what has come: %s", row->id, row->reason);
  return 0;
}

void sim_woken(process *p) {
  tm_store *disk = p->sim->world.disk;
  tm_run_filter waiting = {.state = "waiting"};
  tm_err err = TM_ERR_INIT;
  disk->vt->runs(disk, &waiting, is_woken, p, &err);
}

static void rehearse(sim *s, const char *run) {
  tm_verdict v;
  tm_err err = TM_ERR_INIT;
  const char *why = kit_reason(&s->world, run);
  if (strstr(why, "\"terminated\""))
    return; /* its end did not come from its script */
  if (tm_replay_check(&v, &s->world.arena, s->at[0].kit.engine, run, NULL, &err) < 0)
    sim_wrong(s, "run %s cannot be rehearsed: %s", run, err.msg);
  else if (!v.equal)
    sim_wrong(s, "run %s: its journal, played again, is another story: %s", run,
              v.message ? v.message : "?");
}

static int list_run(void *ctx, const tm_run_row *row) {
  listing *l = ctx;
  tm_arena *a = &l->sim->world.arena;
  l->parents[l->count] = tm_arena_strdup(a, row->parent);
  l->runs[l->count++] = tm_arena_strdup(a, row->id);
  return l->count == MAX_LISTED;
}

listing sim_list(sim *s) {
  listing l = {.sim = s};
  tm_run_filter all = {.limit = 0};
  tm_err err = TM_ERR_INIT;
  s->world.disk->vt->runs(s->world.disk, &all, list_run, &l, &err);
  return l;
}

const char *sim_any_run(sim *s) {
  listing l = sim_list(s);
  return l.count ? l.runs[sim_draw(s, l.count)] : NULL;
}

static int count_signal(void *ctx, const tm_signal_row *row) {
  (void)row;
  ++*(int *)ctx;
  return 0;
}

static void check_signals(sim *s) {
  tm_map_entry *e;
  tm_err err = TM_ERR_INIT;
  listing l = sim_list(s);
  for (size_t i = 0; (e = tm_map_next(&s->signalled, &i));) {
    int n = 0;
    const char *run = tm_arena_strndup(&s->world.arena, e->key, strcspn(e->key, " "));
    tm_signal_filter f = {.run = run, .sid = strchr(e->key, ' ') + 1};
    s->world.disk->vt->signals(s->world.disk, &f, count_signal, &n, &err);
    for (int k = 0; n == 0 && k < l.count; k++) { /* it moved on with its run */
      f.run = l.runs[k];
      if (strncmp(f.run, run, strcspn(run, "~")) == 0 && strchr(f.run, '~'))
        s->world.disk->vt->signals(s->world.disk, &f, count_signal, &n, &err);
    }
    if (n != 1)
      sim_wrong(s, "signal %s was taken, and is there %d times", e->key, n);
  }
}

void sim_check(sim *s, bool at_end) {
  char text[1500] = "";
  listing l = sim_list(s);
  for (int i = 0; i < s->run_count; i++)
    if (!*kit_state(&s->world, s->runs[i]) && (s->acked[i] || at_end))
      sim_wrong(s, "run %s was acknowledged and is lost", s->runs[i]);
  s->report->reused = 0;
  sim_laws(&s->world, l.runs, l.count, at_end, &s->report->reused, text, sizeof text);
  if (*text)
    sim_wrong(s, "%s", text);
  check_decisions(s);
  check_signals(s);
  sim_kin(s, at_end);
  for (int i = 0; i < s->processes; i++)
    if (kit_count(&s->at[i].kit, "run.stuck"))
      sim_wrong(s, "a run could not be taken up");
}

void sim_rehearse(sim *s) {
  listing l = sim_list(s);
  for (int i = 0; i < l.count && !*s->report->wrong; i++)
    rehearse(s, l.runs[i]);
  s->report->runs = l.count;
}

static int add_chain(void *ctx, const tm_record *r) {
  tm_hash_add_field(ctx, r->chain, strlen(r->chain));
  return 0;
}

void sim_digest(sim *s) {
  tm_hasher h;
  tm_err err = TM_ERR_INIT;
  tm_store *disk = s->world.disk;
  tm_hash_begin(&h);
  listing l = sim_list(s);
  for (int i = 0; i < l.count; i++)
    disk->vt->journal(disk, l.runs[i], 0, add_chain, &h, &err);
  memcpy(s->report->digest, tm_hash_end(&h).hex, TM_HASH_HEX + 1);
}

void sim_show(sim *s) {
  sim_tell(s, "sources %s", s->world.sources);
  listing l = sim_list(s);
  for (int i = 0; i < l.count; i++)
    sim_tell(s, "%s %s %s\n  %s", l.runs[i], kit_state(&s->world, l.runs[i]),
             kit_reason(&s->world, l.runs[i]), kit_journal(&s->world, l.runs[i]));
  sim_tell(s, "effects %s", kit_effects(&s->world));
  sim_tell(s, "gates %s", kit_gates(&s->world));
}
