/* fsck.c - reading every journal with suspicion.
 *
 *   a run      its journal loads (no gap, chain, kinds) ─ the row fits it ─ sources are there
 *              a reason to wait that can come about, or a live owner
 *   a place    at most one outcome ─ no outcome of an action without its intent
 *   an effect  a finished intent has its row, with a result
 *   a gate     at most one decision, alike in journal and row ─ none open behind an end
 */
#include "engine/fsck.h"

#include <stdio.h>
#include <string.h>

#include "engine/held.h"
#include "engine/owner.h"

#define MAX_FINDINGS 1000

typedef struct checking {
  tm_engine *engine;
  tm_arena *arena; /* of the findings */
  tm_arena own;    /* of the run being looked at */
  tm_json *findings;
  int64_t runs, records;
  const tm_run_row *row;
  tm_journal journal;
  tm_map sound; /* closures that were loaded */
} checking;

static void find(checking *c, int64_t record, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* record -1: the run itself. */
static void find(checking *c, int64_t record, const char *hint, const char *fmt, ...) {
  va_list args;
  tm_buf what = TM_BUF_INIT;
  if (tm_json_len(c->findings) >= MAX_FINDINGS)
    return;
  va_start(args, fmt);
  tm_buf_vprintf(&what, fmt, args);
  va_end(args);
  tm_json *o = tm_json_new_object(c->arena);
  tm_json_set_str(c->arena, o, "run", c->row->id);
  if (record >= 0)
    tm_json_set_int(c->arena, o, "record", record);
  size_t valid = tm_json_utf8_valid(tm_buf_str(&what), what.len);
  tm_json_set(c->arena, o, "what", tm_json_new_strn(c->arena, tm_buf_str(&what), valid));
  tm_json_set_str(c->arena, o, "hint", hint);
  tm_json_push(c->arena, c->findings, o);
  tm_buf_free(&what);
}

static bool is(const char *a, const char *b) {
  return a && strcmp(a, b) == 0;
}

static const char restore[] = "restore the database from a backup, or find out who changed it";

/* -- places and effects ----------------------------------------------------------------- */

static bool is_outcome(const tm_entry *e) {
  return e->kind == TM_RECORD_DONE || e->kind == TM_RECORD_FAIL;
}

/* Done by this run: not read back, not by a key that another run had used before. */
static bool did_it(const tm_entry *e) {
  const tm_json *q = tm_json_get(e->body, "q");
  return e->kind == TM_RECORD_DONE && is(tm_json_get_str(e->body, "k"), "action") &&
         !tm_json_get_str(tm_json_get(e->body, "m"), "stored_by") &&
         !tm_json_bool(tm_json_get(q, "repeatable"), false);
}

/* It stands in the outcome, or in a record before it (a gate's). */
static const tm_json *request_of(const tm_place *p, const tm_entry *done) {
  for (const tm_entry *e = p->first; e && e != done; e = e->next_here)
    if (tm_json_get(e->body, "q"))
      return tm_json_get(e->body, "q");
  return tm_json_get(done->body, "q");
}

static const tm_entry *intent_before(const tm_place *p, const tm_entry *done) {
  const tm_entry *found = NULL;
  for (const tm_entry *e = p->first; e && e != done; e = e->next_here)
    if (e->kind == TM_RECORD_OPEN && tm_json_get(e->body, "key"))
      found = e;
  return found;
}

static void check_effect(checking *c, const tm_entry *done, const char *key, tm_err *err) {
  tm_store *s = c->engine->ports.store;
  tm_effect_row want = {.ns = c->row->workflow, .action = done->name, .key = key}, row;
  int found = s->vt->effect(s, &want, &c->own, &row, err);
  if (found == 0)
    find(c, done->seq, restore,
         "action \"%s\" was done under key \"%s\", but its effect is not kept", done->name,
         want.key);
  else if (found > 0 && !row.result)
    find(c, done->seq, restore,
         "action \"%s\" was done under key \"%s\", but its effect is kept without a result",
         done->name, want.key);
}

/* A db action has none: its effect and its record are one transaction. */
static void check_intent(checking *c, const tm_place *p, const tm_entry *done, bool foreign,
                         tm_err *err) {
  const tm_entry *intent = intent_before(p, done);
  const tm_json *q = request_of(p, done);
  bool db = tm_json_bool(tm_json_get(q, "db"), false);
  const char *key = tm_json_get_str(db ? q : intent ? intent->body : NULL, "key");
  if (!db && !intent)
    find(c, done->seq, restore, "action \"%s\" has an outcome without an intent before it",
         done->name);
  else if (key && !foreign)
    check_effect(c, done, key, err);
}

static void check_place(checking *c, const tm_place *p, bool foreign, tm_err *err) {
  const tm_entry *outcome = NULL;
  for (const tm_entry *e = p->first; e; e = e->next_here) {
    if (!is_outcome(e))
      continue;
    if (outcome)
      find(c, e->seq, restore, "place %s has a second outcome (the first is record %lld)",
           e->place, (long long)outcome->seq);
    outcome = e;
    if (did_it(e))
      check_intent(c, p, e, foreign, err);
  }
}

/* -- gates ------------------------------------------------------------------------------ */

typedef struct gate_seen {
  checking *c;
  const tm_entry *decided; /* in the journal */
  const char *id;
  bool row;
} gate_seen;

static int check_gate_row(void *ctx, const tm_gate_row *row) {
  gate_seen *g = ctx;
  g->row = true;
  const char *state = g->decided ? tm_json_get_str(g->decided->body, "state") : NULL;
  if (state && strcmp(state, row->state) != 0)
    find(g->c, g->decided->seq, restore, "gate %s was %s in the journal and is %s in its row",
         row->id, state, row->state);
  return 1;
}

static void check_gate(checking *c, const tm_entry *open, bool foreign, tm_err *err) {
  gate_seen g = {.c = c, .id = tm_json_get_str(open->body, "gate")};
  tm_store *s = c->engine->ports.store;
  for (const tm_entry *e = c->journal.first; e; e = e->next)
    if (e->kind == TM_RECORD_DECIDED && is(tm_json_get_str(e->body, "gate"), g.id)) {
      if (g.decided)
        find(c, e->seq, restore, "gate %s has a second decision", g.id);
      g.decided = e;
    }
  tm_gate_filter f = {.id = g.id};
  if (s->vt->gates(s, &f, check_gate_row, &g, err) >= 0 && !g.row && !foreign)
    find(c, open->seq, restore, "gate %s was opened, but is not kept", g.id);
}

static int find_open(void *ctx, const tm_gate_row *row) {
  find(ctx, -1, "it does no harm: a decision on it reaches nobody",
       "gate %s is open, although its run has ended", row->id);
  return 0;
}

/* -- the run
 * ----------------------------------------------------------------------------------- */

static void check_closure(checking *c, const char *hash, int64_t record) {
  tm_closure *closure;
  tm_err err = TM_ERR_INIT;
  if (!hash || tm_map_get(&c->sound, hash))
    return;
  if (tm_closure_load(&closure, c->engine->ports.store, hash, &err) < 0) {
    find(c, record, restore, "%s", err.msg);
    return;
  }
  tm_closure_release(&closure);
  tm_map_set(&c->sound, hash, c);
}

/* The row says what the journal says: sources, end. */
static void check_row(checking *c) {
  const tm_entry *end = tm_journal_end(&c->journal);
  const char *sources = tm_json_get_str(c->journal.first->body, "closure");
  check_closure(c, sources, 0);
  for (const tm_entry *e = c->journal.first; e; e = e->next)
    if (e->kind == TM_RECORD_REPIN) {
      sources = tm_json_get_str(e->body, "now");
      check_closure(c, sources, e->seq);
    }
  if (!is(sources, c->row->closure ? c->row->closure : ""))
    find(c, -1, restore, "its sources are %.12s… in the journal and %.12s… in its row",
         sources ? sources : "", c->row->closure ? c->row->closure : "");
  if (c->row->records != c->journal.length)
    find(c, -1, restore, "it has %lld records, and its row says %lld",
         (long long)c->journal.length, (long long)c->row->records);
  if (end && strcmp(end->name, c->row->state) != 0)
    find(c, end->seq, restore, "it ended %s in the journal and is %s in its row", end->name,
         c->row->state);
  if (end && end->next)
    find(c, end->next->seq, restore, "a record stands behind the end");
}

static bool unfinished(const char *state) {
  return is(state, "queued") || is(state, "running") || is(state, "waiting");
}

/* -- what it waits for can come --------------------------------------------------------- */

typedef struct answerable {
  const char *name;
  bool found;
} answerable;

static int see_gate(void *ctx, const tm_gate_row *row) {
  answerable *a = ctx;
  a->found |= is(row->place, a->name) && !is(row->state, "closed");
  return a->found;
}

static int see_stand(void *ctx, const tm_lock_row *row) {
  answerable *a = ctx;
  a->found |= is(row->key, a->name);
  return a->found;
}

static int see_run(void *ctx, const tm_run_row *row) {
  (void)row;
  ((answerable *)ctx)->found = true;
  return 1;
}

static const char look_again[] = "`tidemill resume` looks again";

static void check_gate_can_be_decided(checking *c, const tm_json *why, tm_err *err) {
  tm_store *s = c->engine->ports.store;
  tm_gate_filter f = {.run = c->row->id};
  answerable a = {.name = tm_json_get_str(why, "place")};
  if (s->vt->gates(s, &f, see_gate, &a, err) >= 0 && !a.found)
    find(c, -1, look_again, "it waits for gate \"%s\", which nobody can decide",
         tm_json_get_str(why, "name"));
}

static void check_run_is_there(checking *c, const tm_json *why, tm_err *err) {
  tm_store *s = c->engine->ports.store;
  tm_run_filter f = {.id = tm_json_get_str(why, "run")};
  answerable a = {.name = f.id};
  if (f.id && s->vt->runs(s, &f, see_run, &a, err) >= 0 && !a.found)
    find(c, -1, restore, "it waits for run %s, which is not in this database", f.id);
}

static void check_stands_in_line(checking *c, const tm_json *why, tm_err *err) {
  tm_store *s = c->engine->ports.store;
  tm_lock_filter f = {.run = c->row->id};
  answerable a = {.name = tm_json_get_str(why, "name")};
  if (s->vt->locks(s, &f, see_stand, &a, err) >= 0 && !a.found)
    find(c, -1, look_again, "it waits for lock \"%s\", and does not stand in its line", a.name);
}

static void check_key_is_held(checking *c, const tm_json *why) {
  const char *action = tm_json_get_str(why, "name"), *key = tm_json_get_str(why, "key");
  char holder[64];
  if (!tm_held_by(holder, c->engine, c->row, why))
    find(c, -1, look_again, "it waits for key \"%s\" of action \"%s\", which nobody holds",
         key ? key : "", action ? action : "");
}

/* One entry of the row's reason, {for, name, place, gate?, key?, run?, until?}. */
static void check_wait(checking *c, const tm_json *why, tm_err *err) {
  const char *what = tm_json_get_str(why, "for");
  if (tm_json_get_str(why, "until") && !c->row->wake_at)
    find(c, -1, look_again, "it waits for a time, but no timer is set");
  if (is(what, "gate"))
    check_gate_can_be_decided(c, why, err);
  else if (is(what, "call"))
    check_run_is_there(c, why, err);
  else if (is(what, "lock"))
    check_stands_in_line(c, why, err);
  else if (is(what, "key"))
    check_key_is_held(c, why);
}

static void check_waits(checking *c) {
  tm_err err = TM_ERR_INIT;
  tm_json *list;
  if (tm_json_parse(&list, &c->own, c->row->reason, strlen(c->row->reason), NULL, &err) == 0)
    for (size_t i = 0; i < tm_json_len(list); i++)
      check_wait(c, tm_json_at(list, i), &err);
  if (err.code != TM_OK)
    find(c, -1, restore, "what it waits for cannot be read: %s", err.msg);
}

static void check_reason(checking *c) {
  const tm_run_row *row = c->row;
  bool owned = row->owner && *row->owner && tm_owner_alive(row->owner);
  bool over = tm_journal_end(&c->journal) != NULL;
  if (owned || is(row->state, "queued"))
    return;
  if (is(row->state, "running"))
    find(c, -1, "`tidemill resume` takes it up",
         "it was stopped in the middle, and nobody runs it");
  else if (is(row->state, "waiting") && (!row->reason || !*row->reason))
    find(c, -1, "`tidemill resume` takes it up", "it waits without a reason");
  else if (is(row->state, "waiting"))
    check_waits(c);
  else if (!over &&
           (is(row->state, "done") || is(row->state, "failed") || is(row->state, "cancelled")))
    find(c, -1, restore, "it is %s, but its journal has no end", row->state);
}

/* Records of a fork or an import tell of effects and gates that are kept elsewhere. */
static bool is_foreign(const checking *c) {
  return tm_json_get(c->journal.first->body, "fork") != NULL || c->row->epoch == 0 ||
         is(c->row->state, "imported");
}

static void check_story(checking *c, tm_err *err) {
  bool foreign = is_foreign(c);
  tm_map_entry *m;
  for (size_t i = 0; (m = tm_map_next(&c->journal.places, &i));)
    if (*m->key)
      check_place(c, m->value, foreign, err);
  for (const tm_entry *e = c->journal.first; e; e = e->next)
    if (e->kind == TM_RECORD_OPEN && tm_json_get_str(e->body, "gate"))
      check_gate(c, e, foreign, err);
}

static int check_run(void *ctx, const tm_run_row *row) {
  checking *c = ctx;
  tm_err err = TM_ERR_INIT;
  tm_store *s = c->engine->ports.store;
  c->row = row;
  c->runs++;
  tm_arena_reset(&c->own);
  c->journal = (tm_journal){.arena = &c->own};
  if (tm_journal_load(&c->journal, &c->own, s, row->id, &err) < 0) {
    find(c, -1, restore, "%s", err.msg);
    return 0;
  }
  c->records += c->journal.length;
  check_row(c);
  check_reason(c);
  check_story(c, &err);
  if (!unfinished(row->state) && !is(row->state, "diverged")) {
    tm_gate_filter open = {.run = row->id, .open = true};
    s->vt->gates(s, &open, find_open, c, &err);
  }
  if (err.code != TM_OK)
    find(c, -1, restore, "%s", err.msg);
  tm_journal_free(&c->journal);
  return 0;
}

int tm_fsck(tm_json **out, tm_arena *a, tm_engine *e, const char *run, tm_err *err) {
  checking c = {.engine = e, .arena = a, .findings = tm_json_new_array(a)};
  tm_run_filter f = {.id = run};
  tm_arena_init(&c.own, 0);
  int rc = e->ports.store->vt->runs(e->ports.store, &f, check_run, &c, err);
  tm_json *o = *out = tm_json_new_object(a);
  tm_json_set_int(a, o, "runs", c.runs);
  tm_json_set_int(a, o, "records", c.records);
  tm_json_set(a, o, "findings", c.findings);
  tm_map_free(&c.sound);
  tm_arena_free(&c.own);
  return rc < 0 ? -1 : 0;
}
