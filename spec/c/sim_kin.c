/* sim_kin.c - laws about more than one run: children, chains, forks, and what runs tell each other.
 *
 *   a run that has a parent was asked for there, in a record; what was asked for is there
 *   a chain of continue_as has each link once, and its last one's result is its result
 *   an emitted event is kept once for its sender and place; one that was used up was told there
 *   a fork begins with its origin's story
 *   what was done and can be undone is undone when the run fails or is cancelled, backwards
 *   a journal only grows
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_world.h"

typedef struct kin {
  sim *sim;
  bool at_end;
  listing all;
  const char *run;
  tm_journal j; /* its story */
  int copied;   /* the first so many records behind START are another run's */
} kin;

static const char *word_of(const tm_entry *e) {
  const char *k = tm_json_get_str(e->body, "k");
  return k ? k : "";
}

static bool is_call(const tm_entry *e, tm_record_kind kind, const char *word) {
  return e->kind == kind && strcmp(word_of(e), word) == 0;
}

static const tm_json *request_of(const tm_journal *j, const tm_entry *e) {
  const tm_place *p = tm_journal_at(j, e->place);
  for (const tm_entry *at = p->first; at; at = at->next_here)
    if (tm_json_get(at->body, "q"))
      return tm_json_get(at->body, "q");
  return NULL;
}

/* -- a journal only grows ----------------------------------------------------------------- */

typedef struct stood {
  int64_t length;
  const char *chain;
} stood;

static int link_at(void *ctx, const tm_record *r) {
  snprintf(ctx, TM_HASH_HEX + 1, "%s", r->chain);
  return 1;
}

static void check_growth(kin *k) {
  sim *s = k->sim;
  tm_arena *a = &s->world.arena;
  char chain[TM_HASH_HEX + 1] = "";
  tm_err err = TM_ERR_INIT;
  stood *was = tm_map_get(&s->stood, k->run), *now = tm_arena_new(a, stood);
  if (was)
    s->world.disk->vt->journal(s->world.disk, k->run, was->length - 1, link_at, chain, &err);
  if (was && strcmp(chain, was->chain) != 0)
    sim_wrong(s, "run %s: record %lld is not what it was", k->run, (long long)was->length - 1);
  *now = (stood){.length = k->j.length, .chain = tm_arena_strdup(a, k->j.chain)};
  tm_map_set(&s->stood, k->run, now);
}

/* -- children and chains ------------------------------------------------------------------ */

/* "r:3~2" -> "r:3", when a run goes on; NULL: it does not. */
static const char *before_link(sim *s, const char *run) {
  tm_arena *a = &s->world.arena;
  const char *tilde = strrchr(run, '~');
  int n = tilde ? atoi(tilde + 1) : 0;
  if (n < 2 || strchr(tilde, ':'))
    return NULL;
  const char *base = tm_arena_strndup(a, run, (size_t)(tilde - run));
  return n == 2 ? base : tm_arena_printf(a, "%s~%d", base, n - 1);
}

typedef struct sought {
  const char *one, *other;
  bool found;
} sought;

static int find_text(void *ctx, const tm_record *r) {
  sought *f = ctx;
  f->found = strstr(r->body, f->one) || strstr(r->body, f->other);
  return f->found;
}

static bool is_run(const kin *k, const char *id) {
  for (int i = 0; i < k->all.count; i++)
    if (strcmp(k->all.runs[i], id) == 0)
      return true;
  return false;
}

static void check_parent(kin *k, const char *parent) {
  sim *s = k->sim;
  tm_arena *a = &s->world.arena;
  tm_err err = TM_ERR_INIT;
  const char *from = before_link(s, k->run), *asker = from ? from : parent;
  bool fork = tm_json_get(k->j.first->body, "fork") != NULL;
  if (fork || !asker || !*asker)
    return;
  sought f = {.one = tm_arena_printf(a, "\"child\":\"%s\"", k->run),
              .other = tm_arena_printf(a, "\"v\":\"%s\"", k->run)};
  if (from)
    f.one = f.other = tm_arena_printf(a, "\"continued\":\"%s\"", k->run);
  s->world.disk->vt->journal(s->world.disk, asker, 0, find_text, &f, &err);
  if (!f.found)
    sim_wrong(s, "run %s is there, and run %s never asked for it", k->run, asker);
}

static void check_link(kin *k, const tm_entry *e) {
  const char *next = tm_json_get_str(e->body, "continued");
  if (!next)
    return;
  k->sim->report->links += k->at_end;
  const char *from = before_link(k->sim, next);
  if (!is_run(k, next))
    sim_wrong(k->sim, "run %s goes on as %s, which is not there", k->run, next);
  if (!from || strcmp(from, k->run) != 0)
    sim_wrong(k->sim, "run %s goes on as %s, which is not its next link", k->run, next);
}

typedef struct last_end {
  kit_world *world;
  const char *state, *next, *value;
} last_end;

static int keep_end(void *ctx, const tm_record *r) {
  last_end *l = ctx;
  tm_json *body;
  tm_err err = TM_ERR_INIT;
  if (r->kind != TM_RECORD_END ||
      tm_json_parse(&body, &l->world->arena, r->body, r->body_len, NULL, &err) < 0)
    return 0;
  l->state = tm_json_get_str(body, "state");
  l->next = tm_json_get_str(body, "continued");
  l->value = tm_json_text(&l->world->arena, tm_json_get(body, "v"), NULL);
  return 0;
}

/* The parent was told what the last of the chain ended with. */
static void check_call(kin *k, const tm_entry *e) {
  sim *s = k->sim;
  tm_arena *a = &s->world.arena;
  const tm_entry *open = tm_place_last(tm_journal_at(&k->j, e->place), TM_RECORD_OPEN);
  const char *id = open ? tm_json_get_str(open->body, "child") : NULL;
  last_end l = {.world = &s->world};
  tm_err err = TM_ERR_INIT;
  while (id) {
    l.state = l.next = l.value = NULL;
    s->world.disk->vt->journal(s->world.disk, id, 0, keep_end, &l, &err);
    id = l.next;
  }
  const char *told = tm_json_text(a, tm_json_get(e->body, "v"), NULL);
  if (!l.state || strcmp(l.state, "done") != 0 || strcmp(l.value, told) != 0)
    sim_wrong(
        s, "run %s was told at place %s that its child gave %.200s; it is %s and gave %.200s",
        k->run, e->place, told, l.state ? l.state : "not over", l.value ? l.value : "");
}

static void check_start(kin *k, const tm_entry *e) {
  const char *id = tm_json_str(tm_json_get(e->body, "v"), NULL);
  k->sim->report->starts += k->at_end;
  if (!id || !is_run(k, id))
    sim_wrong(k->sim, "run %s was told at place %s that it started %s, which is not there",
              k->run, e->place, id ? id : "?");
}

/* -- events ------------------------------------------------------------------------------- */

static int count_row(void *ctx, const tm_signal_row *row) {
  (void)row;
  ++*(int *)ctx;
  return 0;
}

static void check_emit(kin *k, const tm_entry *e) {
  sim *s = k->sim;
  tm_err err = TM_ERR_INIT;
  int n = 0;
  const char *sid = tm_arena_printf(&s->world.arena, "@%s/%s", k->run, e->place);
  for (int i = 0; i < k->all.count; i++) {
    tm_signal_filter f = {.run = k->all.runs[i], .sid = sid};
    s->world.disk->vt->signals(s->world.disk, &f, count_row, &n, &err);
  }
  s->report->emits += k->at_end;
  bool retried =
      strstr(kit_journal(&s->world, k->run), "retry") != NULL; /* others stay out there */
  if (retried ? e->kind == TM_RECORD_DONE && n == 0 : n != (e->kind == TM_RECORD_DONE))
    sim_wrong(s, "run %s emitted at place %s (record %lld: %s), and the event is kept %d times",
              k->run, e->place, (long long)e->seq, tm_record_word((int)e->kind), n);
}

static int check_used(void *ctx, const tm_signal_row *row) {
  kin *k = ctx;
  if (!row->place || !*row->place)
    return 0;
  const tm_place *p = tm_journal_at(&k->j, row->place);
  const tm_entry *e = p ? tm_place_outcome(p) : NULL;
  const char *sid = e ? tm_json_get_str(tm_json_get(e->body, "m"), "id") : NULL;
  if (!sid || strcmp(sid, row->sid) != 0)
    sim_wrong(k->sim, "run %s: event %s was used up by place %s, which was told %s", k->run,
              row->sid, row->place, sid ? sid : "nothing");
  return 0;
}

static void check_events(kin *k) {
  tm_signal_filter f = {.run = k->run};
  tm_err err = TM_ERR_INIT;
  k->sim->world.disk->vt->signals(k->sim->world.disk, &f, check_used, k, &err);
}

/* -- forks -------------------------------------------------------------------------------- */

/* Behind the edited result's kind, place and name. */
static bool same_record(const sim_fork *f, int i, const char *text) {
  size_t n = strlen(f->story[i]);
  if (f->edited && i == f->count - 1)
    n = strcspn(f->story[i], "{");
  return strncmp(f->story[i], text, n) == 0 && (f->edited || !text[n]);
}

static void check_fork(kin *k) {
  sim *s = k->sim;
  tm_arena *a = &s->world.arena;
  const sim_fork *f = tm_map_get(&s->forks, k->run);
  const tm_json *link = tm_json_get(k->j.first->body, "fork");
  k->copied = 0;
  if (!f != !link && !strchr(k->run, '~') && !strchr(k->run, ':'))
    sim_wrong(s, "run %s is %s fork", k->run, f ? "no" : "a");
  if (!f || !link)
    return;
  const tm_entry *e = k->j.first->next;
  for (int i = 0; i < f->count; i++, e = e->next) {
    const char *text = e ? tm_arena_printf(a, "%s %s %s %s", tm_record_word((int)e->kind),
                                           e->place, e->name, tm_json_text(a, e->body, NULL))
                         : "nothing";
    if (!e || !same_record(f, i, text)) {
      if (!strstr(kit_journal(&s->world, k->run), "retry"))
        sim_wrong(s, "run %s was forked from %s: its record %d is %.300s and not %.300s",
                  k->run, f->origin, i + 1, text, f->story[i]);
      break;
    }
    k->copied++;
  }
}

static void check_forks(sim *s) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&s->forks, &i));)
    if (((sim_fork *)e->value)->acked && !*kit_state(&s->world, e->key))
      sim_wrong(s, "the fork %s was acknowledged and is lost", e->key);
}

/* -- undo --------------------------------------------------------------------------------- */

static const tm_entry *undo_of(const kin *k, const char *key, int64_t behind) {
  const char *wanted = tm_arena_printf(&k->sim->world.arena, "undo %s", key);
  for (const tm_entry *e = k->j.first; e; e = e->next) {
    const char *own =
        is_call(e, TM_RECORD_OPEN, "action") ? tm_json_get_str(e->body, "key") : NULL;
    const char *asked = tm_json_get_str(tm_json_get(e->body, "q"), "key");
    own = own ? own : asked;
    if (e->seq > behind && own && strcmp(own, wanted) == 0)
      return e;
  }
  return NULL;
}

/* A run that is done, or that the host ended, undoes nothing. */
static bool has_to_undo(const kin *k) {
  const tm_entry *end = tm_journal_end(&k->j);
  const char *kind = end ? tm_json_get_str(tm_json_get(end->body, "e"), "kind") : NULL;
  return end && strcmp(end->name, "done") != 0 && (!kind || strcmp(kind, "terminated") != 0);
}

static void check_undo(kin *k) {
  sim *s = k->sim;
  int64_t latest = INT64_MAX;
  const char *earlier = "";
  if (!has_to_undo(k) || strstr(kit_journal(&s->world, k->run), " retry"))
    return;
  for (const tm_entry *e = k->j.first; e; e = e->next) {
    const tm_json *q = is_call(e, TM_RECORD_DONE, "action") ? request_of(&k->j, e) : NULL;
    const char *key = tm_json_get_str(q, "key");
    const char *place = tm_arena_printf(&s->world.arena, "%s %s", k->run, e->place);
    if (!key || !tm_map_get(&s->undoable, place))
      continue;
    const tm_entry *undo = undo_of(k, key, e->seq);
    s->report->undos += k->at_end;
    if (!undo)
      sim_wrong(s, "run %s is over, and its action at place %s was not undone", k->run,
                e->place);
    else if (*key != 'x' && undo->seq > latest)
      sim_wrong(s, "run %s undid %s before %s, which was done later", k->run, earlier, key);
    if (undo && *key != 'x') {
      latest = undo->seq;
      earlier = key;
    }
  }
}

/* -- all ---------------------------------------------------------------------------------- */

static void check_entry(kin *k, const tm_entry *e) {
  bool outcome = e->kind == TM_RECORD_DONE || e->kind == TM_RECORD_FAIL;
  if (e->kind == TM_RECORD_END)
    check_link(k, e);
  if (tm_json_get(e->body, "edited"))
    return;
  if (is_call(e, TM_RECORD_DONE, "call"))
    check_call(k, e);
  else if (is_call(e, TM_RECORD_DONE, "start"))
    check_start(k, e);
  else if (outcome && strcmp(word_of(e), "emit") == 0)
    check_emit(k, e);
}

static void check_run(kin *k, const char *parent) {
  tm_err err = TM_ERR_INIT;
  k->j = (tm_journal){.arena = NULL};
  if (tm_journal_load(&k->j, &k->sim->world.arena, k->sim->world.disk, k->run, &err) < 0) {
    sim_wrong(k->sim, "run %s: %s", k->run, err.msg);
    return;
  }
  int n = 0;
  check_growth(k);
  check_parent(k, parent);
  check_fork(k);
  for (const tm_entry *e = k->j.first; e; e = e->next)
    if (n++ > k->copied || e == k->j.first)
      check_entry(k, e);
  check_events(k);
  check_undo(k);
  tm_journal_free(&k->j);
}

void sim_kin(sim *s, bool at_end) {
  kin k = {.sim = s, .at_end = at_end, .all = sim_list(s)};
  if (k.all.count == MAX_LISTED)
    sim_wrong(s, "there are more runs than anybody counts");
  for (int i = 0; i < k.all.count && !*s->report->wrong; i++) {
    k.run = k.all.runs[i];
    check_run(&k, k.all.parents[i]);
  }
  check_forks(s);
}
