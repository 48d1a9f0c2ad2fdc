/* sim.c - what happens in a seed's history: processes, their disk, the network, people, time.
 *
 *   engine ─► commit ─► queue of the process ─► applied ─► told            the usual way
 *                            │                     └─► told "unknown"     the disk lied
 *                            ├─► refused for ever, told "unknown"         it is broken now
 *                            └─► the process dies: a part of it is applied, nobody is told
 */
#include "sim_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/owner.h"
#include "engine/signal.h"

#define MAX_PEACE 60000 /* steps in which all has to end when the faults have ended */

int sim_draw(sim *s, int n) {
  return (int)(tm_dice_next(&s->dice) % (uint64_t)n);
}

static int draw(sim *s, int n) {
  return sim_draw(s, n);
}

static bool chance(sim *s, int of_thousand) {
  return draw(s, 1000) < of_thousand;
}

void sim_tell(sim *s, const char *fmt, ...) {
  va_list args;
  if (!s->loud)
    return;
  printf("%6d %12lld  ", s->report->steps, (long long)s->world.now);
  va_start(args, fmt);
  vprintf(fmt, args);
  va_end(args);
  printf("\n");
}

void sim_wrong(sim *s, const char *fmt, ...) {
  va_list args;
  if (*s->report->wrong)
    return;
  va_start(args, fmt);
  vsnprintf(s->report->wrong, sizeof s->report->wrong, fmt, args);
  va_end(args);
}

static int number_of(const process *p) {
  return (int)(p - p->sim->at);
}

/* -- the disk ----------------------------------------------------------------------------- */

/* Each batch is watched: what its owner is told, and that the store finds nothing wrong with
 * it. */
typedef struct watch {
  process *process;
  bool unknown; /* whatever became of it, its owner is told that nobody knows */
  void (*done)(tm_batch *b, const tm_err *err);
  void *ctx;
} watch;

static void told(tm_batch *b, const tm_err *err) {
  watch *w = b->ctx;
  tm_err own = *err;
  if (own.code != TM_OK && !w->unknown && !w->process->kit.dead)
    sim_wrong(w->process->sim, "the store refuses a commit: %s", own.msg);
  if (own.code == TM_OK && w->unknown)
    tm_err_set(&own, TM_INTERNAL, "disk I/O error: the outcome of the commit is unknown");
  b->done = w->done;
  b->ctx = w->ctx;
  tm_free(w);
  b->done(b, &own);
}

static void watch_batch(process *p, tm_batch *b) {
  watch *w = tm_new(watch);
  *w = (watch){.process = p, .done = b->done, .ctx = b->ctx};
  b->done = told;
  b->ctx = w;
}

static process *process_of(tm_store *s) {
  return TM_LIST_OF(TM_LIST_OF(s, kit, store), process, kit);
}

/* What a commit added to the journals. */
static void tell_records(process *p) {
  sim *s = p->sim;
  for (int i = 0; s->loud && i < s->run_count; i++) {
    const char *journal = kit_journal(&s->world, s->runs[i]);
    size_t seen = s->shown[i] ? strlen(s->shown[i]) : 0;
    if (strlen(journal) > seen)
      sim_tell(s, "process %d writes %s:%s%s (%s)", number_of(p), s->runs[i], seen ? "" : " ",
               journal + seen, kit_state(&s->world, s->runs[i]));
    s->shown[i] = journal;
  }
}

static void commit(tm_store *store, tm_batch *b) {
  process *p = process_of(store);
  watch_batch(p, b);
  if (p->sim->calm && !p->first) {
    sim_apply(p->sim, b);
    p->commit(store, b);
    tell_records(p);
    return;
  }
  b->next = NULL;
  *p->last = b;
  p->last = &b->next;
}

static tm_batch *shift(process *p) {
  tm_batch *b = p->first;
  p->first = b->next;
  if (!p->first)
    p->last = &p->first;
  b->next = NULL;
  return b;
}

/* To the kit as in its death: told, and not applied. */
static void drop(process *p, tm_batch *b) {
  bool was = p->kit.dead;
  p->kit.dead = true;
  p->commit(&p->kit.store, b);
  p->kit.dead = was;
}

/* The oldest commit comes to the disk. */
static bool apply(process *p) {
  sim *s = p->sim;
  if (!p->first || (p->broken && p->kit.underway))
    return false; /* what is told before has to be heard before */
  bool fails = !p->broken && !s->calm && chance(s, s->weather.unknown * 10);
  bool applied = !p->broken && (!fails || draw(s, 2));
  if (fails && !applied && p->kit.underway)
    return false;
  tm_batch *b = shift(p);
  if (fails) {
    s->report->unknowns++;
    sim_tell(s, "process %d: commit unknown, and %s", number_of(p),
             applied ? "applied" : "lost");
  }
  ((watch *)b->ctx)->unknown = fails || p->broken;
  p->broken = p->broken || fails;
  if (applied)
    sim_apply(s, b);
  if (applied)
    p->commit(&p->kit.store, b);
  else
    drop(p, b);
  tell_records(p);
  return true;
}

/* -- the network -------------------------------------------------------------------------- */

static int find_intent(void *ctx, const tm_record *r) {
  struct {
    const tm_branch *branch;
    bool found;
  } *look = ctx;
  if (r->kind == TM_RECORD_OPEN && strcmp(r->place, look->branch->place) == 0 &&
      !strstr(r->body, "\"gk\":"))
    look->found = true;
  return look->found;
}

/* Law 4, seen from outside: a request that can have an effect finds its intent on the disk. */
static void check_intent(sim *s, const kit_task *t) {
  const tm_branch *b = t->task->branch;
  tm_store *disk = s->world.disk;
  tm_err err = TM_ERR_INIT;
  struct {
    const tm_branch *branch;
    bool found;
  } look = {.branch = b};
  disk->vt->journal(disk, b->run->id, 0, find_intent, &look, &err);
  if (!look.found)
    sim_wrong(s,
              "run %s: the request under key %s at place %s left before its intent was on disk",
              b->run->id, b->action.key, b->place);
}

static const char *key_of(const kit_task *t) {
  const char *key = tm_json_get_str(t->request, "key");
  return key ? key : "";
}

/* Who refused a request and has not done it since refuses the same one from everybody, however
 * late it comes. */
static bool is_refused(sim *s, const kit_task *t) {
  const char *hash = tm_map_get(&s->refused, key_of(t));
  tm_hash own = tm_json_hash(t->request);
  const kit_effect *e = kit_effect_of(&s->world, key_of(t));
  bool done = e->sends > 0 && strcmp(e->request, own.hex) == 0;
  return hash && strcmp(hash, own.hex) == 0 && !done;
}

static void refuse(sim *s, const kit_task *t) {
  tm_hash h = tm_json_hash(t->request);
  tm_map_set(&s->refused, key_of(t), tm_arena_strdup(&s->world.arena, h.hex));
  for (int i = 0; i < s->processes; i++)
    for (tm_list *l = s->at[i].kit.tasks.next; l != &s->at[i].kit.tasks; l = l->next) {
      kit_task *other = TM_LIST_OF(l, kit_task, link);
      if (!other->sent && other->how != KIT_HANGS && is_refused(s, other))
        other->how = KIT_REFUSED;
    }
}

static kit_reply reply(kit *k, const kit_task *t) {
  process *p = TM_LIST_OF(k, process, kit);
  sim *s = p->sim;
  const weather *w = &s->weather;
  const char *key = key_of(t);
  bool effect = t->task->kind == TM_CALL_HOST || strcmp(t->name, "POST") == 0;
  int x = draw(s, 100);
  if (effect)
    check_intent(s, t);
  s->report->sends += effect;
  if (effect && is_refused(s, t))
    return KIT_REFUSED;
  if (s->calm)
    return KIT_OK;
  if ((x -= w->hangs) < 0)
    return KIT_HANGS;
  if ((x -= w->lost) < 0)
    return KIT_LOST;
  if ((x -= w->cut) < 0) {
    s->report->cuts++;
    return KIT_CUT;
  }
  if (t->task->kind == TM_CALL_LLM && (x -= w->put_off) < 0) {
    k->later_ms = x % 2 ? 60 : 40000;
    s->report->put_off++;
    return KIT_LATER;
  }
  /* who honours keys does not refuse what it has done */
  if ((x -= w->refused) < 0 && (!effect || kit_effect_of(&s->world, key)->sends == 0)) {
    if (effect)
      refuse(s, t);
    return KIT_REFUSED;
  }
  return KIT_OK;
}

/* An answer comes after all, long after its request. */
static bool late_answer(process *p) {
  sim *s = p->sim;
  static const kit_reply how[] = {KIT_OK, KIT_LOST, KIT_CUT};
  for (tm_list *l = p->kit.tasks.next; l != &p->kit.tasks; l = l->next) {
    kit_task *t = TM_LIST_OF(l, kit_task, link);
    if (t->how != KIT_HANGS)
      continue;
    sim_tell(s, "process %d: %s is answered late", number_of(p), t->name);
    kit_finish(&p->kit, t, is_refused(s, t) ? KIT_REFUSED : how[draw(s, 3)]);
    return true;
  }
  return false;
}

/* -- processes ---------------------------------------------------------------------------- */

static void resume_all(process *p) {
  tm_err err = TM_ERR_INIT;
  if (tm_engine_resume(p->kit.engine, NULL, &err) < 0)
    sim_wrong(p->sim, "process %d cannot take its runs up: %s", number_of(p), err.msg);
}

/* Under the name of the first process kit_boot took up what that one has. */
static void own_name(process *p) {
  p->kit.engine->ports.park = p->sim->weather.park;
  if (!*p->owner)
    return;
  memcpy(p->kit.engine->owner, p->owner, sizeof p->owner);
  resume_all(p);
}

static void open_process(sim *s, process *p) {
  p->sim = s;
  p->last = &p->first;
  kit_open(&p->kit, &s->world);
  p->vt = *p->kit.store.vt;
  p->commit = p->vt.commit;
  p->vt.commit = commit;
  p->kit.store.vt = &p->vt;
  p->kit.random = true;
  p->kit.told_of = sim_told;
  p->kit.reply = reply;
  tm_dice_seed(&p->kit.dice, &s->dice, sizeof s->dice);
  own_name(p);
}

static void crash(process *p) {
  sim *s = p->sim;
  int kept = 0;
  if (p->down)
    return;
  while (p->first && !p->broken && draw(s, 2)) {
    sim_apply(s, p->first);
    p->commit(&p->kit.store, shift(p));
    tell_records(p);
    kept++;
  }
  p->kit.dead = true;
  while (p->first)
    p->commit(&p->kit.store, shift(p));
  kit_crash(&p->kit);
  p->down = true;
  p->broken = false;
  p->moved_count = 0;
  s->report->crashes++;
  sim_tell(s, "process %d dies (%d commits come through)", number_of(p), kept);
}

/* Which run asked for is there? Whoever was told nothing asks again. */
static void on_started(void *ctx, const char *id, const tm_err *err) {
  sim *s = ctx;
  for (int i = 0; err->code == TM_OK && i < s->run_count; i++)
    if (strcmp(s->names[i], id) == 0)
      s->acked[i] = true;
}

static void submit(sim *s, process *p, int run) {
  char workflow[8];
  snprintf(workflow, sizeof workflow, "%.*s", (int)strcspn(s->runs[run], "."), s->runs[run]);
  tm_json *input = tm_json_new_object(&s->world.arena);
  sim_tell(s, "process %d: start %s", number_of(p), s->runs[run]);
  s->submitted[run] = true;
  tm_engine_start(p->kit.engine, workflow, input, s->runs[run], NULL, on_started, s);
}

static void boot(process *p) {
  sim *s = p->sim;
  sim_tell(s, "process %d starts", number_of(p));
  kit_boot(&p->kit);
  own_name(p);
  p->down = false;
  for (int i = 0; i < s->run_count; i++)
    if (s->submitted[i] && !*kit_state(&s->world, s->runs[i])) {
      if (s->acked[i])
        sim_wrong(s, "run %s was acknowledged and is lost", s->runs[i]);
      submit(s, p, i);
    }
}

/* As if the other process's lease had ended: it does not know, and goes on. */
static void take_over(process *p) {
  sim *s = p->sim;
  tm_err err = TM_ERR_INIT;
  char own[TM_OWNER_MAX];
  const process *other = &s->at[1 - number_of(p)];
  memcpy(own, p->kit.engine->owner, sizeof own);
  memcpy(p->kit.engine->owner, other->down ? own : other->kit.engine->owner, sizeof own);
  int n = tm_engine_resume(p->kit.engine, NULL, &err);
  memcpy(p->kit.engine->owner, own, sizeof own);
  s->report->takeovers += n > 0;
  sim_tell(s, "process %d takes over (%d)", number_of(p), n);
}

/* -- people ------------------------------------------------------------------------------- */

typedef struct choice {
  sim *sim;
  int left; /* rows to pass over */
  const char *id, *body;
} choice;

static int choose(void *ctx, const tm_gate_row *row) {
  choice *c = ctx;
  c->id = tm_arena_strdup(&c->sim->world.arena, row->id);
  c->body = tm_arena_strdup(&c->sim->world.arena, row->body);
  return c->left-- == 0;
}

static void on_decided(void *ctx, const char *id, const tm_err *err) {
  decision *d = ctx;
  (void)id;
  if (err->code != TM_OK)
    return;
  const char *before = tm_map_set(&d->sim->decided, d->gate, (void *)(uintptr_t)d->state);
  d->sim->report->decisions++;
  if (before)
    sim_wrong(d->sim, "two people were told that their word on gate %s counts", d->gate);
}

static void decide(process *p, const choice *c, bool approve) {
  sim *s = p->sim;
  tm_arena *a = &s->world.arena;
  tm_json *body, *word = tm_json_new_object(a);
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&body, a, c->body, strlen(c->body), NULL, &err) < 0)
    return;
  const char *key = tm_json_get_str(body, "key"), *kind = tm_json_get_str(body, "kind");
  tm_json *answer = tm_json_new_str(a, "yes");
  if (kind && strcmp(kind, "doubt") == 0) {
    approve = kit_effect_of(&s->world, key)->sends > 0; /* they look, and tell how it is */
    answer = tm_json_new_object(a);
    tm_json_set_str(a, answer, "done", key);
  }
  tm_json_set(a, word, "answer", answer);
  tm_json_set_str(a, word, "by", approve ? "ann" : "bob");
  decision *d = tm_arena_new(a, decision);
  *d = (decision){.sim = s, .gate = c->id, .state = approve ? "approved" : "rejected"};
  sim_tell(s, "process %d: %s %s", number_of(p), d->state, c->id);
  tm_engine_decide(p->kit.engine, c->id, approve, word, on_decided, d);
}

process *sim_other_up(process *p) {
  process *q = &p->sim->at[1 - number_of(p)];
  return p->sim->processes == 2 && !q->down ? q : p;
}

/* One gate of all, open or not; sometimes two people at once, who do not agree. */
static void person_acts(process *p) {
  sim *s = p->sim;
  choice c = {.sim = s, .left = draw(s, 6)};
  tm_gate_filter f = {.open = draw(s, 10) > 0};
  tm_err err = TM_ERR_INIT;
  s->world.disk->vt->gates(s->world.disk, &f, choose, &c, &err);
  if (!c.id)
    return;
  bool approve = draw(s, 3) > 0;
  decide(p, &c, approve);
  if (draw(s, 3) == 0) {
    s->report->races++;
    decide(sim_other_up(p), &c, !approve);
  }
}

static void on_signalled(void *ctx, const char *id, const tm_err *err) {
  decision *d = ctx;
  (void)id;
  if (err->code == TM_OK)
    tm_map_set(&d->sim->signalled, d->state, d);
}

/* Somebody tells a run of a payment, and perhaps tells it again. */
static void signal_run(process *p) {
  sim *s = p->sim;
  tm_arena *a = &s->world.arena;
  int n = draw(s, 4);
  const char *run = sim_any_run(s), *sid = tm_arena_printf(a, "s%d", n);
  if (!run)
    return;
  decision *d = tm_arena_new(a, decision);
  *d = (decision){.sim = s, .gate = sid, .state = tm_arena_printf(a, "%s %s", run, sid)};
  sim_tell(s, "process %d: signal %s", number_of(p), d->state);
  tm_engine_signal(p->kit.engine, run, "paid", tm_json_new_int(a, n), sid, on_signalled, d);
}

/* Of one workflow or of all; somebody lifts it, or the peace does. */
static void order_many(process *p, bool pause) {
  sim *s = p->sim;
  char name[16] = "";
  if (draw(s, 3))
    snprintf(name, sizeof name, "w%d", draw(s, s->run_count + 1));
  sim_tell(s, "process %d: %s %s", number_of(p), pause ? "pause" : "resume",
           *name ? name : "all");
  if (pause)
    tm_control_pause_many(p->kit.engine, *name ? name : NULL, "", "ann");
  else
    tm_control_resume_many(p->kit.engine, *name ? name : NULL);
  s->report->orders++;
}

static void give_order(process *p) {
  static const tm_order orders[] = {TM_ORDER_CANCEL, TM_ORDER_PAUSE, TM_ORDER_PAUSE,
                                    TM_ORDER_TERMINATE};
  sim *s = p->sim;
  tm_err err = TM_ERR_INIT;
  int which = draw(s, 6);
  const char *run = sim_any_run(s);
  if (which >= 4) {
    order_many(p, which == 4);
    return;
  }
  bool taken = run && tm_control_give(p->kit.engine, run, orders[which], "", "ann", &err) >= 0;
  s->report->orders += taken;
  sim_tell(s, "process %d: order %d to %s: %s", number_of(p), which, run ? run : "nobody",
           taken ? "taken" : err.msg);
}

/* -- chaos -------------------------------------------------------------------------------- */

static void jump(sim *s) {
  static const int64_t far[] = {-3600000, -5000, 5000, 3600000, 172800000};
  int64_t by = far[draw(s, 5)];
  s->world.jumped += s->world.now + s->world.jumped + by > 1000 ? by : 0;
  for (int i = 0; i < s->processes; i++)
    s->at[i].kit.woken = true;
  s->report->jumps++;
  sim_tell(s, "the clock jumps by %lld ms", (long long)by);
}

static void notice(process *p) {
  tm_engine_notice(p->kit.engine);
  p->kit.woken = true;
}

/* A run that was moved goes on, here or wherever it is looked for. */
static void take_up(process *p) {
  tm_err err = TM_ERR_INIT;
  const char *run = p->moved[--p->moved_count];
  int n = tm_engine_resume(p->kit.engine, run, &err);
  sim_tell(p->sim, "process %d takes up %s (%d)", number_of(p), run, n);
  if (n < 0 && err.code != TM_CONFLICT && p->kit.engine->broken.code == TM_OK)
    sim_wrong(p->sim, "run %s was moved and cannot be taken up: %s", run, err.msg);
}

/* An ordinary thing. */
static bool go_on(process *p) {
  if (draw(p->sim, 4) == 0 && apply(p))
    return true;
  return kit_step(&p->kit) || apply(p);
}

static bool rare(process *p) {
  sim *s = p->sim;
  const weather *w = &s->weather;
  int x = draw(s, 1000);
  if ((x -= w->crash) < 0 || (p->broken && draw(s, 8) == 0))
    crash(p);
  else if ((x -= w->decide) < 0)
    person_acts(p);
  else if ((x -= w->order) < 0)
    give_order(p);
  else if ((x -= w->jump) < 0)
    jump(s);
  else if ((x -= w->signal) < 0)
    signal_run(p);
  else if ((x -= w->change) < 0)
    draw(s, 4) ? sim_change(p) : sim_reopen(p);
  else if (p->moved_count && draw(s, 4) == 0)
    take_up(p);
  else if ((x -= w->late) < 0)
    late_answer(p);
  else if ((x -= w->notice) < 0)
    notice(p);
  else if ((x -= w->takeover) < 0 && s->processes == 2)
    take_over(p);
  else
    return false;
  return true;
}

static void chaos_step(sim *s) {
  process *p = &s->at[draw(s, s->processes)];
  if (p->down) {
    if (chance(s, s->weather.boot))
      boot(p);
    return;
  }
  int run = draw(s, s->run_count);
  if (!s->submitted[run] && draw(s, 4) == 0)
    submit(s, p, run);
  else if (!rare(p))
    go_on(p);
}

static int rate(sim *s, int of_thousand) {
  return draw(s, 3) == 0 ? 0 : 1 + draw(s, of_thousand);
}

/* Each seed has a weather of its own: some faults are common in it, some never come. */
static void draw_weather(sim *s) {
  weather *w = &s->weather;
  *w = (weather){.crash = rate(s, 30),
                 .boot = 50 + draw(s, 900),
                 .unknown = rate(s, 8),
                 .takeover = rate(s, 20),
                 .decide = rate(s, 60),
                 .order = rate(s, 6),
                 .jump = rate(s, 8),
                 .late = rate(s, 40),
                 .notice = 20 + draw(s, 200),
                 .lost = rate(s, 20),
                 .cut = rate(s, 20),
                 .refused = rate(s, 10),
                 .hangs = rate(s, 10),
                 .put_off = rate(s, 40),
                 .two = draw(s, 2),
                 .park = draw(s, 2),
                 .signal = rate(s, 40),
                 .change = rate(s, 30)};
}

/* -- peace -------------------------------------------------------------------------------- */

static void calm_down(sim *s) {
  tm_err err = TM_ERR_INIT;
  sim_tell(s, "peace");
  for (int i = 0; i < s->processes; i++)
    crash(&s->at[i]);
  s->report->crashes -= s->processes;
  s->calm = true;
  for (int i = 0; i < s->processes; i++)
    boot(&s->at[i]);
  for (int i = 0; i < s->run_count; i++)
    if (!s->submitted[i])
      submit(s, &s->at[0], i);
  listing l = sim_list(s);
  for (int i = 0; i < l.count; i++) /* paused ones too */
    if (tm_engine_resume(s->at[0].kit.engine, l.runs[i], &err) < 0)
      sim_wrong(s, "run %s cannot be taken up: %s", l.runs[i], err.msg);
  for (int i = 0; i < s->processes; i++)
    s->at[i].kit.person = true;
}

static void lift_pauses(sim *s) {
  char name[16];
  for (int i = 0; i <= s->run_count; i++) {
    snprintf(name, sizeof name, "w%d", i);
    tm_control_resume_many(s->at[0].kit.engine, name);
  }
  tm_control_resume_many(s->at[0].kit.engine, NULL);
}

/* A pause may have been on its way when they resumed it: they look again. */
static bool resume_again(sim *s) {
  tm_err err = TM_ERR_INIT;
  bool any = false;
  listing l = sim_list(s);
  for (int i = 0; i < l.count; i++)
    if (strstr(kit_reason(&s->world, l.runs[i]), "\"for\":\"pause\"") &&
        tm_engine_resume(s->at[0].kit.engine, l.runs[i], &err) > 0)
      any = true;
  return any;
}

static bool peace_step(sim *s) {
  bool any = false;
  for (int i = 0; i < s->processes; i++) {
    process *p = &s->at[i];
    if (p->kit.foreign)
      notice(p);
    if (kit_step(&p->kit)) {
      any = true;
      s->report->steps++;
    }
  }
  return any;
}

/* Nothing fails any more, and nobody starts anew yet. */
static void settle_down(sim *s) {
  process *p = &s->at[0];
  s->calm = true;
  while (s->processes == 1 && !p->down && !p->broken && (apply(p) || kit_step(&p->kit)))
    s->report->steps++;
  if (s->processes == 1 && !p->down && !p->broken)
    sim_woken(p);
}

static void make_peace(sim *s) {
  int from = s->report->steps;
  settle_down(s);
  calm_down(s);
  lift_pauses(s);
  while (peace_step(s) || resume_again(s))
    if (s->report->steps - from > MAX_PEACE) {
      sim_wrong(s, "no rest: after %d steps without faults, something still happens",
                MAX_PEACE);
      return;
    }
}

/* -- a history ---------------------------------------------------------------------------- */

/* The second process is, to the first, the one with the number 1: somebody who lives. */
static void name_owners(sim *s) {
  FILE *f = fopen("/proc/1/stat", "r");
  char text[1024] = "", *at, start[24];
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f)
    fclose(f);
  text[n] = 0;
  at = strrchr(text, ')');
  for (int field = 2; at && field < 22; field++)
    at = strchr(at + 1, ' ');
  if (!at || sscanf(at, " %23[0-9]", start) != 1)
    return;
  char self[TM_OWNER_MAX];
  tm_owner_self(self);
  snprintf(s->at[1].owner, TM_OWNER_MAX, "%.*s:1:%s", (int)strcspn(self, ":"), self, start);
}

static void open_world(sim *s) {
  bool shared = draw(s, 3) == 0;
  s->run_count = 1 + draw(s, MAX_RUNS);
  int workflows = shared ? 1 + s->run_count / 3 : s->run_count;
  char *sources = sim_program(&s->dice, workflows, s->run_count, shared);
  kit_world_open(&s->world, "memory:", sources);
  tm_free(sources);
  for (int i = 0; i < s->run_count; i++) {
    snprintf(s->names[i], sizeof s->names[i], "w%d.r%d", 1 + i % workflows, i + 1);
    s->runs[i] = s->names[i];
  }
  draw_weather(s);
  s->processes = s->weather.two ? 2 : 1;
  if (s->weather.two)
    name_owners(s);
  for (int i = 0; i < s->processes; i++)
    open_process(s, &s->at[i]);
}

static void close_world(sim *s) {
  for (int i = 0; i < s->processes; i++)
    while (s->at[i].first)
      drop(&s->at[i], shift(&s->at[i]));
  s->world.breach[0] = 0; /* reported */
  kit_world_close(&s->world);
  tm_map_free(&s->decided);
  tm_map_free(&s->signalled);
  tm_map_free(&s->refused);
  tm_map_free(&s->forks);
  tm_map_free(&s->undoable);
  tm_map_free(&s->stood);
}

bool sim_play(sim_report *out, uint64_t seed, bool loud) {
  sim *s = tm_new(sim);
  *out = (sim_report){.seed = seed};
  s->report = out;
  s->loud = loud;
  tm_dice_seed(&s->dice, &seed, sizeof seed);
  open_world(s);
  int steps = 30 + draw(s, 500);
  while (out->steps < steps && !*out->wrong) {
    out->steps++;
    chaos_step(s);
  }
  sim_check(s, false);
  if (!*out->wrong)
    make_peace(s);
  sim_check(s, true);
  sim_rehearse(s);
  sim_digest(s);
  sim_show(s);
  close_world(s);
  tm_free(s);
  return !*out->wrong;
}
