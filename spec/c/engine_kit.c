/* engine_kit.c - a process and its world, one thing at a time.
 *
 *   engine ─► commit ─► [dies before?] ─► disk ─► [dies after?] ─► told list ─► kit_hear ─►
 * engine
 */
#include "engine_kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "check.h"
#include "engine/owner.h"
#include "engine_guest.h"

#define MAX_STEPS 200000

/* -- the store's thread writes letters ------------------------------------------------- */

typedef struct kit_letter {
  struct kit_letter *next;
  void (*fn)(void *arg);
  void *arg;
} kit_letter;

static void post(void *ctx, void (*fn)(void *arg), void *arg) {
  kit_world *w = ctx;
  kit_letter *l = tm_new(kit_letter);
  *l = (kit_letter){.fn = fn, .arg = arg};
  pthread_mutex_lock(&w->mutex);
  *w->last = l;
  w->last = &l->next;
  pthread_cond_signal(&w->come);
  pthread_mutex_unlock(&w->mutex);
}

/* False: there is none, and none was to be waited for. */
static bool take_letter(kit_world *w, bool wait) {
  pthread_mutex_lock(&w->mutex);
  while (wait && !w->first)
    pthread_cond_wait(&w->come, &w->mutex);
  kit_letter *l = w->first;
  if (l)
    w->first = l->next;
  if (!w->first)
    w->last = &w->first;
  pthread_mutex_unlock(&w->mutex);
  if (!l)
    return false;
  l->fn(l->arg);
  tm_free(l);
  return true;
}

/* -- commits --------------------------------------------------------------------------- */

/* A batch on its way, and whom to tell. */
typedef struct kit_parcel {
  struct kit_parcel *next;
  kit *kit;
  tm_batch *batch;
  void (*done)(tm_batch *b, const tm_err *err);
  void *ctx;
  tm_err err;
} kit_parcel;

static void put_told(kit *k, kit_parcel *p) {
  *k->told_last = p;
  k->told_last = &p->next;
}

static void arrived(tm_batch *b, const tm_err *err) {
  kit_parcel *p = b->ctx;
  p->err = *err;
  p->kit->underway--;
  put_told(p->kit, p);
}

static void tell_others(kit *k) {
  for (int i = 0; i < k->world->kit_count; i++)
    if (k->world->kits[i] != k)
      k->world->kits[i]->foreign = true;
}

static kit *kit_of(tm_store *s) {
  return TM_LIST_OF(s, kit, store);
}

static void disk_commit(tm_store *s, tm_batch *b) {
  kit *k = kit_of(s);
  kit_parcel *p = tm_new(kit_parcel);
  *p = (kit_parcel){.kit = k, .batch = b, .done = b->done, .ctx = b->ctx};
  k->commits++;
  if (k->commits == k->die_before)
    k->dead = true;
  if (k->dead) {
    put_told(k, p);
    return;
  }
  b->done = arrived;
  b->ctx = p;
  k->underway++;
  tell_others(k);
  k->world->disk->vt->commit(k->world->disk, b);
  if (k->commits == k->die_after)
    k->dead = true;
}

/* Tell the engine of its oldest batch; in death everything failed. */
static bool tell(kit *k) {
  kit_parcel *p = k->told;
  tm_err dead = {.code = TM_INTERNAL, .msg = "the process died"};
  if (!p)
    return false;
  k->told = p->next;
  if (!k->told)
    k->told_last = &k->told;
  p->batch->done = p->done;
  p->batch->ctx = p->ctx;
  p->done(p->batch, k->dead ? &dead : &p->err);
  k->woken = true;
  tm_free(p);
  return true;
}

/* -- reads: the disk's ----------------------------------------------------------------- */

static tm_store *disk(tm_store *s) {
  return kit_of(s)->world->disk;
}

static int disk_runs(tm_store *s, const tm_run_filter *f, tm_run_fn fn, void *ctx,
                     tm_err *err) {
  return disk(s)->vt->runs(disk(s), f, fn, ctx, err);
}

typedef struct reading {
  kit *kit;
  tm_record_fn fn;
  void *ctx;
} reading;

static int on_record(void *ctx, const tm_record *r) {
  reading *d = ctx;
  tm_record copy = *r;
  if (d->kit->damage && d->kit->damage(&copy))
    return 1;
  return d->fn(d->ctx, &copy);
}

static int disk_journal(tm_store *s, const char *run, int64_t from, tm_record_fn fn, void *ctx,
                        tm_err *err) {
  reading d = {.kit = kit_of(s), .fn = fn, .ctx = ctx};
  return disk(s)->vt->journal(disk(s), run, from, on_record, &d, err);
}

static int disk_gates(tm_store *s, const tm_gate_filter *f, tm_gate_fn fn, void *ctx,
                      tm_err *err) {
  return disk(s)->vt->gates(disk(s), f, fn, ctx, err);
}

static int disk_blob(tm_store *s, const char *hash, tm_arena *a, const char **bytes,
                     size_t *len, tm_err *err) {
  return disk(s)->vt->blob(disk(s), hash, a, bytes, len, err);
}

static int disk_closure(tm_store *s, const char *hash, tm_arena *a, const char **manifest,
                        size_t *len, tm_err *err) {
  return disk(s)->vt->closure(disk(s), hash, a, manifest, len, err);
}

static int disk_effect(tm_store *s, const tm_effect_row *key, tm_arena *a, tm_effect_row *out,
                       tm_err *err) {
  return disk(s)->vt->effect(disk(s), key, a, out, err);
}

static int disk_decision(tm_store *s, const tm_decision_row *key, tm_arena *a,
                         tm_decision_row *out, tm_err *err) {
  return disk(s)->vt->decision(disk(s), key, a, out, err);
}

static int disk_decisions(tm_store *s, const tm_decision_filter *f, tm_decision_fn fn,
                          void *ctx, tm_err *err) {
  return disk(s)->vt->decisions(disk(s), f, fn, ctx, err);
}

static int disk_cached(tm_store *s, const char *hash, tm_arena *a, tm_cache_row *out,
                       tm_err *err) {
  return disk(s)->vt->cached(disk(s), hash, a, out, err);
}

static int disk_similar(tm_store *s, const char *scope, int64_t now, int64_t limit,
                        tm_cache_fn fn, void *ctx, tm_err *err) {
  return disk(s)->vt->similar(disk(s), scope, now, limit, fn, ctx, err);
}

static int disk_signals(tm_store *s, const tm_signal_filter *f, tm_signal_fn fn, void *ctx,
                        tm_err *err) {
  return disk(s)->vt->signals(disk(s), f, fn, ctx, err);
}

static int disk_locks(tm_store *s, const tm_lock_filter *f, tm_lock_fn fn, void *ctx,
                      tm_err *err) {
  return disk(s)->vt->locks(disk(s), f, fn, ctx, err);
}

static int disk_closures(tm_store *s, const char *run, tm_unused_fn fn, void *ctx,
                         tm_err *err) {
  return disk(s)->vt->closures(disk(s), run, fn, ctx, err);
}

static int disk_blobs(tm_store *s, tm_unused_fn fn, void *ctx, tm_err *err) {
  return disk(s)->vt->blobs(disk(s), fn, ctx, err);
}

static int disk_in_doubt(tm_store *s, const char *run, tm_err *err) {
  return disk(s)->vt->in_doubt(disk(s), run, err);
}

static int disk_orders(tm_store *s, tm_order_fn fn, void *ctx, tm_err *err) {
  return disk(s)->vt->orders(disk(s), fn, ctx, err);
}

static bool disk_changed(tm_store *s) {
  bool was = kit_of(s)->foreign;
  kit_of(s)->foreign = false;
  return was;
}

static const tm_store_vt disk_vt = {
    .name = "kit",
    .commit = disk_commit,
    .runs = disk_runs,
    .journal = disk_journal,
    .gates = disk_gates,
    .blob = disk_blob,
    .closure = disk_closure,
    .effect = disk_effect,
    .decision = disk_decision,
    .decisions = disk_decisions,
    .cached = disk_cached,
    .similar = disk_similar,
    .signals = disk_signals,
    .locks = disk_locks,
    .closures = disk_closures,
    .blobs = disk_blobs,
    .in_doubt = disk_in_doubt,
    .orders = disk_orders,
    .changed = disk_changed,
};

/* -- the executor, and the other side -------------------------------------------------- */

static int start_task(void *ctx, tm_task *task, const char *name, const tm_json *request,
                      tm_err *err) {
  kit *k = ctx;
  if (strcmp(name, "unknown model") == 0)
    return tm_err_set(err, TM_CONFIG, "there is no such model");
  kit_task *t = tm_new(kit_task);
  t->task = task;
  t->name = tm_strdup(name);
  t->request = request;
  t->how = k->reply ? k->reply(k, t) : KIT_OK;
  task->handle = t;
  tm_list_append(&k->tasks, &t->link);
  k->started++;
  return 0;
}

static void free_task(kit_task *t) {
  tm_list_remove(&t->link);
  tm_free(t->name);
  tm_free(t);
}

static void cancel_task(void *ctx, tm_task *task) {
  (void)ctx;
  free_task(task->handle);
}

static kit_effect *effect_at(kit_world *w, const char *key) {
  kit_effect *e = tm_map_get(&w->effects, key);
  if (e)
    return e;
  e = tm_new(kit_effect);
  tm_map_set(&w->effects, key, e);
  return e;
}

static bool is_effect(const kit_task *t) {
  return t->task->kind == TM_CALL_HOST || strcmp(t->name, "POST") == 0;
}

/* The request reaches the other side. */
static void arrive(kit *k, const kit_task *t, kit_reply how) {
  const char *key = tm_json_get_str(t->request, "key");
  if (!key || !*key)
    return;
  kit_effect *e = effect_at(k->world, key);
  if (strcmp(t->name, "GET") == 0)
    e->probes++;
  if (!is_effect(t) || (how != KIT_OK && how != KIT_CUT))
    return;
  tm_hash h = tm_json_hash(t->request);
  if (e->sends++ == 0)
    memcpy(e->request, h.hex, sizeof h.hex);
  else if (strcmp(e->request, h.hex) != 0)
    e->mixed = true;
}

#define USD_A_CALL  1.0
#define USD_A_LATER 0.25
#define LATER_MS    60000

static tm_json *reply_meta(tm_arena *a, const kit_task *t, double usd) {
  if (t->task->kind != TM_CALL_LLM)
    return NULL;
  tm_json *meta = tm_json_new_object(a), *usage = tm_json_new_object(a);
  tm_json_set_int(a, usage, "input", 500);
  tm_json_set_int(a, usage, "output", 250);
  tm_json_set_str(a, meta, "model", "kit");
  tm_json_set(a, meta, "usage", usage);
  tm_json_set(a, meta, "usd", tm_json_new_double(a, usd));
  return meta;
}

/* How often the task's call was put off before. */
static int64_t delays(const kit_task *t) {
  return tm_json_int(tm_json_get(t->task->state, "n"), 0);
}

static void put_off(kit *k, tm_arena *a, kit_task *t) {
  tm_task *task = t->task;
  int64_t n = delays(t) + 1;
  tm_json *state = tm_json_new_object(a), *meta = reply_meta(a, t, (double)n * USD_A_LATER);
  tm_json *error = tm_run_error(a, "llm", "too many requests");
  tm_json_set_str(a, error, "class", "rate_limited");
  tm_json_set_str(a, error, "model", "kit");
  tm_json_set_int(a, state, "n", n);
  free_task(t);
  tm_task_later(task, k->later_ms ? k->later_ms : LATER_MS, state, meta, error);
}

static tm_json *reply_value(kit *k, tm_arena *a, const kit_task *t) {
  const char *key = tm_json_get_str(t->request, "key");
  tm_json *v = tm_json_new_object(a);
  if (t->task->kind == TM_CALL_LLM) {
    tm_hash h = tm_json_hash(t->request);
    tm_json_set_str(a, v, "says", tm_arena_printf(a, "%s:%.8s", t->name, h.hex));
  } else if (strcmp(t->name, "GET") == 0 && kit_effect_of(k->world, key)->sends == 0) {
    return NULL;
  } else {
    tm_json_set_str(a, v, "done", key);
  }
  return v;
}

static void send(kit *k, kit_task *t, kit_reply how) {
  tm_arena a;
  if (t->sent)
    return;
  t->sent = true;
  arrive(k, t, how);
  if (t->task->kind != TM_CALL_LLM)
    return;
  tm_arena_init(&a, 0);
  tm_json *attempt = tm_json_new_object(&a);
  tm_json_set_str(&a, attempt, "model", "kit");
  tm_task_attempt(t->task, attempt);
  tm_arena_free(&a);
}

void kit_finish(kit *k, kit_task *t, kit_reply how) {
  tm_arena a;
  tm_task *task = t->task;
  tm_arena_init(&a, 0);
  send(k, t, how);
  k->woken = true;
  if (how == KIT_LATER && task->kind == TM_CALL_LLM) {
    put_off(k, &a, t);
  } else if (how == KIT_OK) {
    double usd = USD_A_CALL + (double)delays(t) * USD_A_LATER;
    tm_json *value = reply_value(k, &a, t), *meta = reply_meta(&a, t, usd);
    free_task(t);
    tm_task_finish(task, value, meta, NULL);
  } else {
    tm_json *error = tm_run_error(&a, how == KIT_REFUSED ? "refused" : "cut", "%s", t->name);
    tm_json_set_bool(&a, error, "unknown", how != KIT_REFUSED);
    free_task(t);
    tm_task_finish(task, NULL, NULL, error);
  }
  tm_arena_free(&a);
}

kit_task *kit_task_at(kit *k, const char *name) {
  for (tm_list *l = k->tasks.next; l != &k->tasks; l = l->next) {
    kit_task *t = TM_LIST_OF(l, kit_task, link);
    if (strcmp(t->name, name) == 0)
      return t;
  }
  return NULL;
}

int kit_task_count(const kit *k) {
  int n = 0;
  for (const tm_list *l = k->tasks.next; l != &k->tasks; l = l->next)
    n++;
  return n;
}

/* -- ports ----------------------------------------------------------------------------- */

static int64_t world_now(void *ctx) {
  return ((kit_world *)ctx)->now;
}

static int64_t world_wall(void *ctx) {
  return ((kit_world *)ctx)->now + ((kit_world *)ctx)->jumped;
}

static int scan_sources(void *ctx, tm_closure **out, tm_err *err) {
  kit *k = ctx;
  tm_arena a;
  tm_json *models;
  tm_arena_init(&a, 0);
  int rc = tm_json_parse(&models, &a, k->world->sources, strlen(k->world->sources), NULL, err);
  if (rc == 0)
    rc = tm_closure_scan(out, "/nonexistent", models, NULL, err);
  tm_arena_free(&a);
  return rc;
}

static const char *setting(void *ctx, const char *name) {
  (void)ctx;
  return strcmp(name, "COLOUR") == 0 ? "blue" : NULL;
}

static void on_event(void *ctx, const tm_json *event) {
  kit *k = ctx;
  const char *place = tm_json_get_str(event, "place"), *name = tm_json_get_str(event, "name");
  tm_buf_printf(&k->events, "%s %s %s %s\n", tm_json_get_str(event, "event"),
                tm_json_get_str(event, "run"), place ? place : "", name ? name : "");
}

static void wake(void *ctx) {
  ((kit *)ctx)->woken = true;
}

static void on_told(void *ctx, const char *id, const tm_err *err) {
  kit *k = ctx;
  (void)id;
  k->last = *err;
  k->last_told = true;
}

void kit_start(kit *k, const char *id) {
  tm_json *input = tm_json_new_object(&k->world->arena);
  k->last_told = false;
  tm_engine_start(k->engine, "flow", input, id, NULL, on_told, k);
}

void kit_play(kit *k, const char *id) {
  kit_start(k, id);
  kit_run(k);
}

void kit_cancel(kit *k, const char *id) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_control_give(k->engine, id, TM_ORDER_CANCEL, "enough", "kit", &err), 0);
  CHECK_STR(err.msg, "");
}

void kit_decide(kit *k, const char *gate, bool approve, const char *decision) {
  kit_world *w = k->world;
  tm_json *d = tm_json_new_object(&w->arena);
  tm_err err = TM_ERR_INIT;
  if (decision) {
    const char *text = kit_text(w, decision);
    CHECK_INT(tm_json_parse(&d, &w->arena, text, strlen(text), NULL, &err), 0);
  }
  k->last_told = false;
  tm_engine_decide(k->engine, gate, approve, d, on_told, k);
}

/* -- a person -------------------------------------------------------------------------- */

typedef struct asked {
  tm_arena *arena;
  int64_t now;
  const char *id, *body;
} asked;

/* Whose time is up is nobody's to decide; a paused run closes it only when it is resumed. */
static int first_open(void *ctx, const tm_gate_row *row) {
  asked *a = ctx;
  if (row->expires && row->expires <= a->now)
    return 0;
  a->id = tm_arena_strdup(a->arena, row->id);
  a->body = tm_arena_strdup(a->arena, row->body);
  return 1;
}

/* Approves what is asked; of a doubt it tells how it is. */
static bool person_acts(kit *k) {
  kit_world *w = k->world;
  asked a = {.arena = &w->arena, .now = tm_clock_wall(&w->clock)};
  tm_gate_filter f = {.open = true};
  tm_err err = TM_ERR_INIT;
  tm_json *body;
  w->disk->vt->gates(w->disk, &f, first_open, &a, &err);
  if (!a.id || tm_json_parse(&body, &w->arena, a.body, strlen(a.body), NULL, &err) < 0)
    return false;
  const char *key = tm_json_get_str(body, "key");
  if (strcmp(tm_json_get_str(body, "kind"), "doubt") != 0)
    kit_decide(k, a.id, true, "{'answer': 'yes', 'by': 'kit'}");
  else if (kit_effect_of(w, key)->sends == 0)
    kit_decide(k, a.id, false, "{'by': 'kit'}");
  else
    kit_decide(k, a.id, true,
               tm_arena_printf(&w->arena, "{'answer': {'done': '%s'}, 'by': 'kit'}", key));
  return true;
}

/* -- one thing at a time --------------------------------------------------------------- */

bool kit_hear(kit *k) {
  while (take_letter(k->world, k->underway > 0 && !k->told))
    ;
  return tell(k);
}

bool kit_turn(kit *k) {
  if (!k->woken && (k->due < 0 || k->due > k->world->now))
    return false;
  k->woken = false;
  int64_t wait = tm_engine_turn(k->engine);
  k->due = wait < 0 ? -1 : k->world->now + wait;
  return true;
}

static bool work(kit *k) {
  kit_task *ready[64];
  size_t n = 0;
  for (tm_list *l = k->tasks.next; l != &k->tasks && n < 64; l = l->next) {
    kit_task *t = TM_LIST_OF(l, kit_task, link);
    if (t->how != KIT_HANGS)
      ready[n++] = t;
  }
  if (n == 0)
    return false;
  kit_task *t = ready[k->random ? tm_dice_next(&k->dice) % n : 0];
  if (t->sent)
    kit_finish(k, t, t->how);
  else
    send(k, t, t->how);
  return true;
}

static bool time_passes(kit *k) {
  if (k->still || k->due <= k->world->now)
    return false;
  k->world->now = k->due;
  return kit_turn(k);
}

static bool try_thing(kit *k, unsigned which) {
  switch (which) {
  case 0:
    return kit_hear(k);
  case 1:
    return kit_turn(k);
  case 2:
    return work(k);
  case 3:
    return k->person && person_acts(k);
  default:
    return time_passes(k);
  }
}

/* In random order time still waits until nothing else can happen, most of the time. */
static bool random_thing(kit *k) {
  unsigned n = tm_dice_next(&k->dice) % 16 == 0 ? 5 : 3;
  unsigned first = (unsigned)(tm_dice_next(&k->dice) % n);
  for (unsigned i = 0; i < n; i++)
    if (try_thing(k, (first + i) % n))
      return true;
  return false;
}

bool kit_step(kit *k) {
  if (k->dead)
    return false;
  if (k->random && random_thing(k))
    return true;
  for (unsigned i = 0; i < 5; i++)
    if (try_thing(k, i))
      return true;
  return false;
}

bool kit_steps(kit *k, int n) {
  while (n-- > 0)
    if (!kit_step(k))
      return false;
  return true;
}

void kit_run(kit *k) {
  int steps = 0;
  while (kit_step(k) && ++steps < MAX_STEPS)
    ;
  CHECK(steps < MAX_STEPS);
}

/* -- processes ------------------------------------------------------------------------- */

void kit_boot(kit *k) {
  tm_err err = TM_ERR_INIT;
  tm_ports ports = {
      .clock = &k->world->clock,
      .store = &k->store,
      .guest = &kit_guest,
      .guest_ctx = k,
      .start = start_task,
      .cancel = cancel_task,
      .sources = scan_sources,
      .setting = setting,
      .event = on_event,
      .wake = wake,
      .records_max = k->records_max,
      .ctx = k,
  };
  k->dead = k->woken = k->foreign = false;
  k->due = -1;
  k->commits = k->started = k->die_before = k->die_after = 0;
  CHECK_INT(tm_engine_open(&k->engine, &ports, &err), 0);
  CHECK(tm_engine_resume(k->engine, NULL, &err) >= 0);
  CHECK_STR(err.msg, "");
}

void kit_open(kit *k, kit_world *w) {
  *k = (kit){.world = w, .store = {.vt = &disk_vt}};
  k->told_last = &k->told;
  tm_list_init(&k->tasks);
  w->kits[w->kit_count++] = k;
  kit_boot(k);
}

static void end_process(kit *k) {
  while (kit_hear(k))
    ;
  tm_engine_close(&k->engine);
  CHECK(tm_list_empty(&k->tasks));
}

void kit_crash(kit *k) {
  if (!k->engine)
    return;
  k->dead = true;
  end_process(k);
}

void kit_close(kit *k) {
  tm_engine_stop(k->engine);
  end_process(k);
}

void kit_name_other(char *out) {
  char self[TM_OWNER_MAX], path[48], text[1024] = "", start[24] = "0";
  tm_owner_self(self);
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)getppid());
  FILE *f = fopen(path, "r");
  if (f) {
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
  }
  char *at = strrchr(text, ')');
  for (int field = 2; at && field < 22; field++)
    at = strchr(at + 1, ' ');
  if (at)
    sscanf(at, " %23[0-9]", start);
  snprintf(out, TM_OWNER_MAX, "%.*s:%ld:%s", (int)strcspn(self, ":"), self, (long)getppid(),
           start);
}

/* -- worlds ---------------------------------------------------------------------------- */

static void quiet(void *ctx, tm_log_level level, const char *component, const char *msg) {
  (void)ctx, (void)level, (void)component, (void)msg;
}

void kit_world_open(kit_world *w, const char *url, const char *sources) {
  tm_err err = TM_ERR_INIT;
  *w = (kit_world){.now = 1000000};
  w->clock = (tm_clock){.wall = world_wall, .mono = world_now, .ctx = w};
  w->last = &w->first;
  pthread_mutex_init(&w->mutex, NULL);
  pthread_cond_init(&w->come, NULL);
  tm_arena_init(&w->arena, 0);
  w->sources = kit_text(w, sources);
  tm_log_set_sink(quiet, NULL);
  tm_store_host host = {.post = post, .ctx = w, .clock = &w->clock};
  CHECK_INT(tm_store_open(&w->disk, url, &host, &err), 0);
}

typedef struct told {
  tm_buf longest;
} told;

/* Is the line at `at` the error of a fork? Then its path has paths below it. */
static bool is_forks_error(const tm_buf *list, size_t at) {
  const char *line = tm_buf_str(list) + at, *end = strchr(line, '>');
  if (!end || strncmp(end, "> error ", 8) != 0)
    return false;
  size_t n = (size_t)(end - line); /* "<PATH" */
  for (const char *l = tm_buf_str(list); l < line; l = strchr(l, '\n') + 1)
    if (strncmp(l, line, n) == 0 && l[n] != '>' && (n == 1 || l[n] == '.'))
      return true;
  return false;
}

static size_t first_difference(const tm_buf *a, const tm_buf *b) {
  size_t line = 0, i = 0;
  for (; i < a->len && i < b->len && a->data[i] == b->data[i]; i++)
    if (a->data[i] == '\n')
      line = i + 1;
  return line;
}

/* Both lists of what a run was told, this life's and the longest of the lives before, have to
 * begin alike. */
void kit_trace(kit_world *w, const char *run, const tm_buf *now) {
  told *t = tm_map_get(&w->traces, run);
  if (!t) {
    t = tm_new(told);
    tm_map_set(&w->traces, run, t);
  }
  size_t both = now->len < t->longest.len ? now->len : t->longest.len;
  if (both && memcmp(now->data, t->longest.data, both) != 0 && !w->breach[0]) {
    size_t at = first_difference(now, &t->longest);
    w->drained = is_forks_error(now, at) || is_forks_error(&t->longest, at);
    snprintf(w->breach, sizeof w->breach,
             "law 7: run %s was told, in one life\n%.180s\nin another\n%.180s", run,
             tm_buf_str(&t->longest) + at, tm_buf_str(now) + at);
  }
  if (now->len <= t->longest.len)
    return;
  tm_buf_reset(&t->longest);
  tm_buf_put(&t->longest, now->data, now->len);
}

void kit_world_close(kit_world *w) {
  tm_map_entry *e;
  for (int i = 0; i < w->kit_count; i++) {
    kit_crash(w->kits[i]);
    tm_buf_free(&w->kits[i]->events);
  }
  CHECK_STR(w->breach, "");
  for (size_t i = 0; (e = tm_map_next(&w->effects, &i));) {
    CHECK(!((kit_effect *)e->value)->mixed);
    tm_free(e->value);
  }
  for (size_t i = 0; (e = tm_map_next(&w->traces, &i));) {
    tm_buf_free(&((told *)e->value)->longest);
    tm_free(e->value);
  }
  tm_store_close(&w->disk);
  while (take_letter(w, false))
    ;
  tm_map_free(&w->effects);
  tm_map_free(&w->traces);
  tm_arena_free(&w->arena);
  pthread_cond_destroy(&w->come);
  pthread_mutex_destroy(&w->mutex);
}

kit *kit_box_open(kit_box *b, const char *sources) {
  kit_world_open(&b->world, "memory:", sources);
  kit_open(&b->kit, &b->world);
  return &b->kit;
}

void kit_box_close(kit_box *b) {
  kit_world_close(&b->world);
}
