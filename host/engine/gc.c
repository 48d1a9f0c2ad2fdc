/* gc.c - taking away runs that ended long ago, and what no run needs any more. */
#include "engine/gc.h"

#include <string.h>

#include "engine/wake.h"

#define PAGE       64   /* ended runs that are read at once */
#define DROPS      64   /* of runs, closures or blobs in a batch */
#define SWEEP_ROWS 1000 /* measured: 4 to 10 ms */

typedef enum phase { RUNS, SWEEP, SOURCES, FILES, OVER } phase;

/* A run that goes. */
typedef struct doomed {
  const char *id, *workflow, *state;
  int64_t epoch, records, updated, gates, events;
} doomed;

typedef struct doom_list {
  doomed *at;
  size_t count, cap;
} doom_list;

struct tm_gc {
  tm_engine *engine;
  const tm_gc_policy *policy;
  phase phase;
  int64_t after;   /* the place in the list of ended runs */
  tm_arena arena;  /* of what follows */
  doom_list list;  /* to be dropped, from its end on */
  tm_map released; /* of a dry run: closure -> how many of its runs would go */
  int64_t now;
  tm_gc_count count;
  tm_op *ops; /* of the batch under way: the first of `op_count` */
  size_t op_count;
  doomed *dropping; /* the runs of these ops */
  tm_engine_fn done;
  void *ctx;
};

tm_gc *tm_gc_new(tm_engine *e, const tm_gc_policy *policy) {
  tm_gc *g = tm_new(tm_gc);
  g->engine = e;
  g->policy = policy;
  g->now = tm_engine_now(e);
  tm_arena_init(&g->arena, 0);
  return g;
}

void tm_gc_free(tm_gc **g) {
  if (!*g)
    return;
  tm_free((*g)->list.at);
  tm_map_free(&(*g)->released);
  tm_arena_free(&(*g)->arena);
  tm_free(*g);
  *g = NULL;
}

tm_gc_count tm_gc_counted(const tm_gc *g) {
  return g->count;
}

/* -- may it go? ------------------------------------------------------------------------ */

/* ms that ended runs of this kind are kept; -1: for ever. */
static int64_t retention(const tm_gc *g, const char *workflow, const char *state) {
  const tm_gc_policy *p = g->policy;
  if (p->older_than >= 0)
    return p->older_than;
  const tm_json *own = tm_json_get(tm_json_get(p->retain, workflow), state);
  return tm_json_int(own ? own : tm_json_get(p->retain, state), -1);
}

static bool is_due(const tm_gc *g, const doomed *d) {
  int64_t keep = retention(g, d->workflow, d->state);
  return (tm_wake_over(d->state) || strcmp(d->state, "imported") == 0) && keep >= 0 &&
         g->now - d->updated >= keep;
}

/* -- families -------------------------------------------------------------------------- */

static doomed *add(doom_list *l) {
  if (l->count == l->cap) {
    l->cap = l->cap ? 2 * l->cap : PAGE;
    l->at = tm_realloc(l->at, l->cap * sizeof *l->at);
  }
  return &l->at[l->count++];
}

typedef struct reading {
  tm_gc *gc;
  doom_list *list;
  bool roots; /* only runs without a parent in this store */
} reading;

static bool has_parent(tm_gc *g, const tm_run_row *row) {
  tm_arena a;
  tm_run_row parent;
  tm_err ignored = TM_ERR_INIT;
  if (!row->parent || !*row->parent)
    return false;
  tm_arena_init(&a, 0);
  int found = tm_wake_row(g->engine, row->parent, &a, &parent, &ignored);
  tm_arena_free(&a);
  return found != 0; /* one that cannot be read is there */
}

static int note_run(void *ctx, const tm_run_row *row) {
  reading *r = ctx;
  tm_arena *a = &r->gc->arena;
  if (r->roots && has_parent(r->gc, row))
    return 0;
  *add(r->list) = (doomed){.id = tm_arena_strdup(a, row->id),
                           .workflow = tm_arena_strdup(a, row->workflow ? row->workflow : ""),
                           .state = tm_arena_strdup(a, row->state),
                           .epoch = row->epoch,
                           .records = row->records,
                           .updated = row->updated};
  return 0;
}

/* The root and all below it: parents before their children. */
static int read_family(tm_gc *g, doom_list *out, const doomed *root, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  reading r = {.gc = g, .list = out};
  *add(out) = *root;
  for (size_t i = 0; i < out->count; i++) {
    tm_run_filter f = {.parent = out->at[i].id};
    if (s->vt->runs(s, &f, note_run, &r, err) < 0)
      return -1;
  }
  return 0;
}

static int count_gate(void *ctx, const tm_gate_row *row) {
  (void)row;
  ++((doomed *)ctx)->gates;
  return 0;
}

static int count_event(void *ctx, const tm_signal_row *row) {
  (void)row;
  ++((doomed *)ctx)->events;
  return 0;
}

static int count_belongings(tm_gc *g, doomed *d, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  tm_gate_filter gates = {.run = d->id};
  tm_signal_filter events = {.run = d->id};
  return s->vt->gates(s, &gates, count_gate, d, err) < 0 ||
                 s->vt->signals(s, &events, count_event, d, err) < 0
             ? -1
             : 0;
}

/* 1: all of it may go. Otherwise those whose own time is over are counted as kept. */
static int family_may_go(tm_gc *g, const doom_list *family, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  int64_t due = 0, doubts = 0;
  for (size_t i = 0; i < family->count; i++) {
    const doomed *d = &family->at[i];
    bool its_time = is_due(g, d);
    int doubt = its_time ? s->vt->in_doubt(s, d->id, err) : 0;
    if (doubt < 0)
      return -1;
    due += its_time;
    doubts += doubt;
  }
  if (due == (int64_t)family->count && !doubts)
    return 1;
  g->count.in_doubt += doubts;
  g->count.family += due - doubts;
  return 0;
}

static int doom_family(tm_gc *g, const doomed *root, doom_list *doomed_ones, tm_err *err) {
  doom_list family = {0};
  int rc = read_family(g, &family, root, err);
  if (rc == 0)
    rc = family_may_go(g, &family, err);
  for (size_t i = 0; rc == 1 && i < family.count; i++) {
    rc = count_belongings(g, &family.at[i], err) < 0 ? -1 : 1;
    *add(doomed_ones) = family.at[i];
  }
  tm_free(family.at);
  return rc < 0 ? -1 : 0;
}

/* The next page of ended runs: 1, or 0 when there are no more. */
static int read_page(tm_gc *g, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  doom_list roots = {0};
  reading r = {.gc = g, .list = &roots, .roots = true};
  tm_run_filter f = {.workflow = g->policy->workflow, .after = &g->after, .limit = PAGE};
  int64_t before = g->after;
  tm_arena_reset(&g->arena);
  g->list.count = 0;
  int rc = s->vt->runs(s, &f, note_run, &r, err);
  for (size_t i = 0; rc == 0 && i < roots.count; i++)
    if (is_due(g, &roots.at[i]))
      rc = doom_family(g, &roots.at[i], &g->list, err);
  tm_free(roots.at);
  return rc < 0 ? -1 : g->after != before;
}

/* -- batches --------------------------------------------------------------------------- */

static void count_run(tm_gc *g, const doomed *d) {
  g->count.runs++;
  g->count.records += d->records;
  g->count.gates += d->gates;
  g->count.events += d->events;
}

static void count_op(tm_gc *g, const tm_op *op, size_t i) {
  if (op->kind == TM_OP_SWEEP && op->u.sweep.swept == 0)
    g->phase = SOURCES;
  if (op->status != TM_OP_OK)
    return;
  if (op->kind == TM_OP_RUN_DROP)
    count_run(g, &g->dropping[i]);
  g->count.sources += op->kind == TM_OP_CLOSURE_DROP;
  g->count.files += op->kind == TM_OP_BLOB_DROP;
}

static void committed(tm_after *after, const tm_err *err) {
  tm_gc *g = after->ctx;
  const tm_op *op = g->ops;
  for (size_t i = 0; err->code == TM_OK && i < g->op_count; i++, op = op->next)
    count_op(g, op, i);
  g->done(g->ctx, NULL, err);
}

static tm_op *add_op(tm_gc *g, tm_op_kind kind) {
  tm_op *op = tm_batch_add(tm_turn_of(g->engine)->batch, kind);
  if (g->op_count++ == 0)
    g->ops = op;
  return op;
}

static int hand_over(tm_gc *g) {
  tm_turn_after(g->engine, committed, NULL, NULL)->ctx = g;
  return 1;
}

/* From the end of the list: children are behind their parents. */
static int drop_runs(tm_gc *g) {
  tm_arena *a = &tm_turn_of(g->engine)->batch->arena;
  g->dropping = tm_arena_array(a, doomed, DROPS);
  while (g->list.count > 0 && g->op_count < DROPS) {
    const doomed *d = &g->list.at[--g->list.count];
    g->dropping[g->op_count] = *d;
    tm_op *op = add_op(g, TM_OP_RUN_DROP);
    op->u.run =
        (tm_run_row){.id = tm_arena_strdup(a, d->id), .epoch = d->epoch, .records = d->records};
  }
  return hand_over(g);
}

static int release(void *ctx, const tm_unused *row) {
  tm_map *released = ctx;
  intptr_t n = (intptr_t)tm_map_get(released, row->hash);
  tm_map_set(released, row->hash, (void *)(n + 1));
  return 0;
}

static int pretend_runs(tm_gc *g, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  for (size_t i = 0; i < g->list.count; i++) {
    count_run(g, &g->list.at[i]);
    if (s->vt->closures(s, g->list.at[i].id, release, &g->released, err) < 0)
      return -1;
  }
  return 0;
}

static int step_runs(tm_gc *g, tm_err *err) {
  int more = 1;
  while (g->list.count == 0 && more == 1) {
    more = read_page(g, err);
    if (more == 1 && g->policy->dry_run) {
      more = pretend_runs(g, err) < 0 ? -1 : 1;
      g->list.count = 0;
    }
  }
  if (more < 0)
    return -1;
  if (g->list.count > 0)
    return drop_runs(g);
  g->phase = g->policy->dry_run ? SOURCES : SWEEP;
  return 0;
}

static int step_sweep(tm_gc *g) {
  add_op(g, TM_OP_SWEEP)->u.sweep.limit = SWEEP_ROWS;
  return hand_over(g);
}

/* -- contents -------------------------------------------------------------------------- */

typedef struct closure_list {
  tm_gc *gc;
  tm_unused *at;
  size_t count, cap;
} closure_list;

static int note_content(void *ctx, const tm_unused *row) {
  closure_list *l = ctx;
  if (l->count == l->cap) {
    l->cap = l->cap ? 2 * l->cap : PAGE;
    l->at = tm_realloc(l->at, l->cap * sizeof *l->at);
  }
  l->at[l->count] = *row;
  l->at[l->count].hash = tm_arena_strdup(&l->gc->arena, row->hash);
  l->at[l->count++].uses -= (intptr_t)tm_map_get(&l->gc->released, row->hash);
  return 0;
}

static int drop_content(tm_gc *g, tm_op_kind kind, const tm_unused *u) {
  if (g->policy->dry_run) {
    *(kind == TM_OP_CLOSURE_DROP ? &g->count.sources : &g->count.files) += 1;
    return 0;
  }
  tm_op *op = add_op(g, kind);
  op->u.unused = *u;
  op->u.unused.hash = tm_arena_strdup(&tm_turn_of(g->engine)->batch->arena, u->hash);
  return 0;
}

/* The newest one stays: new runs are likely to have it. */
static bool is_loose(const closure_list *l, size_t i) {
  return l->at[i].uses == 0 && i + 1 < l->count;
}

static int step_sources(tm_gc *g, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  closure_list l = {.gc = g};
  tm_arena_reset(&g->arena);
  int rc = s->vt->closures(s, NULL, note_content, &l, err);
  g->phase = FILES;
  for (size_t i = 0; rc == 0 && i < l.count; i++)
    if (is_loose(&l, i))
      drop_content(g, TM_OP_CLOSURE_DROP, &l.at[i]);
  tm_free(l.at);
  return rc < 0 ? -1 : g->op_count ? hand_over(g) : 0;
}

static int note_files(tm_gc *g, tm_map *files, const char *closure, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  const char *text;
  size_t len;
  tm_json *manifest;
  int found = s->vt->closure(s, closure, &g->arena, &text, &len, err);
  if (found <= 0)
    return found;
  if (tm_json_parse(&manifest, &g->arena, text, len, NULL, err) < 0)
    return tm_err_wrap(err, "the list of sources %.12s…", closure);
  const tm_json *list = tm_json_get(manifest, "files");
  for (size_t i = 0; i < tm_json_len(list); i++) {
    const char *hash = tm_json_str(&tm_json_member_at(list, i)->value, NULL);
    if (hash)
      tm_map_set(files, hash, g);
  }
  return 0;
}

static int step_files(tm_gc *g, tm_err *err) {
  tm_store *s = g->engine->ports.store;
  closure_list l = {.gc = g}, blobs = {.gc = g};
  tm_map files = TM_MAP_INIT;
  tm_arena_reset(&g->arena);
  int rc = s->vt->closures(s, NULL, note_content, &l, err);
  for (size_t i = 0; rc == 0 && i < l.count; i++)
    if (!g->policy->dry_run || !is_loose(&l, i))
      rc = note_files(g, &files, l.at[i].hash, err);
  if (rc == 0)
    rc = s->vt->blobs(s, note_content, &blobs, err);
  for (size_t i = 0; rc == 0 && i < blobs.count; i++)
    if (l.count > 0 && !tm_map_get(&files, blobs.at[i].hash)) {
      blobs.at[i].seen_closure = l.at[0].seen_closure;
      drop_content(g, TM_OP_BLOB_DROP, &blobs.at[i]);
    }
  g->phase = OVER;
  tm_map_free(&files);
  tm_free(l.at);
  tm_free(blobs.at);
  return rc < 0 ? -1 : g->op_count ? hand_over(g) : 0;
}

int tm_gc_step(tm_gc *g, tm_engine_fn done, void *ctx, tm_err *err) {
  int rc = 0;
  g->done = done;
  g->ctx = ctx;
  g->op_count = 0;
  if (g->engine->broken.code != TM_OK) {
    *err = g->engine->broken;
    return -1;
  }
  while (rc == 0 && g->phase != OVER)
    rc = g->phase == RUNS      ? step_runs(g, err)
         : g->phase == SWEEP   ? step_sweep(g)
         : g->phase == SOURCES ? step_sources(g, err)
                               : step_files(g, err);
  return rc;
}
