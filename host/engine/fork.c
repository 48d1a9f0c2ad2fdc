/* fork.c - a new run from the beginning of another one's story.
 *
 *   old  START ─ done 1 ─ open 2 ─ done 2 ─ open 3 ┊ fail 3 ─ END
 *                                                  ┊ before
 *   new  START'─ done 1 ─ open 2 ─ done 2            3 is asked anew
 *
 * Records are copied, not shared by reference: a journal is one chain of hashes.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/change.h"

/* -- finding the record ----------------------------------------------------------------- */

static bool about(const tm_entry *e, const char *what) {
  const char *step = tm_json_get_str(e->body, "s");
  return strcmp(e->place, what) == 0 || strcmp(e->name, what) == 0 ||
         (step && strcmp(step, what) == 0);
}

static const tm_entry *first_about(const tm_journal *j, const char *what) {
  for (const tm_entry *e = j->first; e; e = e->next)
    if (*e->place && about(e, what))
      return e;
  return NULL;
}

static const tm_entry *first_result(const tm_journal *j, const char *what) {
  for (const tm_entry *e = j->first; e; e = e->next)
    if ((e->kind == TM_RECORD_DONE || e->kind == TM_RECORD_FAIL) && about(e, what))
      return e;
  return NULL;
}

int tm_fork_find(int64_t *seq, const tm_journal *j, const char *what, tm_err *err) {
  char *end;
  long long n = strtoll(what, &end, 10);
  const tm_entry *e = first_about(j, what);
  if (*what && !*end && n > 0 && n <= j->length) {
    *seq = n;
    return 0;
  }
  if (!e)
    return tm_err_set(err, TM_NOTFOUND,
                      "the run has no step, call or record \"%s\"; `tidemill show` lists them",
                      what);
  *seq = e->seq;
  return 0;
}

/* -- where a story cannot be cut -------------------------------------------------------- */

static bool is_kind(const tm_entry *e, tm_record_kind kind, const char *word) {
  const char *k = tm_json_get_str(e->body, "k");
  return e->kind == kind && k && strcmp(k, word) == 0;
}

/* Of one branch: places differ in their last number alone. */
static bool same_branch(const char *a, const char *b) {
  const char *end_a = strrchr(a, '.'), *end_b = strrchr(b, '.');
  size_t n = end_a ? (size_t)(end_a - a) : 0, m = end_b ? (size_t)(end_b - b) : 0;
  return n == m && memcmp(a, b, n) == 0;
}

static bool is_let_go(const tm_entry *lock, int64_t seq) {
  for (const tm_entry *e = lock->next; e && e->seq < seq; e = e->next)
    if (is_kind(e, TM_RECORD_NOTE, "unlock") && strcmp(e->name, lock->name) == 0 &&
        same_branch(e->place, lock->place))
      return true;
  return false;
}

const tm_entry *tm_fork_lock(const tm_journal *j, int64_t seq) {
  const tm_entry *outermost = NULL;
  for (const tm_entry *e = j->first; e && e->seq < seq; e = e->next) {
    if (!is_kind(e, TM_RECORD_DONE, "lock") || is_let_go(e, seq))
      continue;
    const tm_entry *first = tm_journal_at(j, e->place)->first;
    if (!outermost || first->seq < outermost->seq)
      outermost = first;
  }
  return outermost;
}

static bool is_done_before(const tm_journal *j, const char *action, int64_t seq) {
  for (const tm_entry *e = j->first; e && e->seq < seq; e = e->next)
    if (is_kind(e, TM_RECORD_DONE, "action") && strcmp(e->name, action) == 0)
      return true;
  return false;
}

const tm_entry *tm_fork_undo(const tm_journal *j, int64_t seq) {
  for (const tm_entry *e = j->first; e; e = e->next)
    if (e->seq >= seq && is_kind(e, TM_RECORD_OPEN, "action") &&
        strncmp(e->name, "undo ", 5) == 0 && is_done_before(j, e->name + 5, seq))
      return e;
  return NULL;
}

/* -- the new tale ----------------------------------------------------------------------- */

typedef struct forking {
  tm_engine *engine;
  tm_arena *arena;
  const tm_fork *how;
  tm_journal old;
  int64_t before, copied;
  const tm_entry *edited;
  tm_tale tale;
} forking;

static tm_json *start_body(forking *f, const char *old) {
  tm_arena *a = f->arena;
  const tm_json *was = f->old.first->body;
  const char *seed = tm_json_get_str(was, "seed");
  tm_json *body = tm_json_copy(a, was), *link = tm_json_new_object(a);
  tm_json_set_str(a, body, "closure", f->tale.closure->hash.hex);
  tm_json_set_int(a, body, "at", f->tale.created);
  tm_json_set_str(a, link, "run", old);
  tm_json_set_int(a, link, "seq", f->before);
  tm_json_set_int(a, link, "copied", f->copied);
  tm_json_set(a, body, "fork", link);
  tm_json_set_str(a, body, "seed", seed ? seed : old);
  return body;
}

/* Did its call end in the shared part? A sleep that goes on is shared as well: its end stands.
 */
static bool is_shared(const forking *f, const tm_entry *e) {
  const tm_entry *end = tm_place_outcome(tm_journal_at(&f->old, e->place));
  const char *kind = tm_json_get_str(e->body, "k");
  if (e->kind == TM_RECORD_ATTEMPT || !*e->place)
    return false;
  return (end && end->seq < f->before) || (kind && strcmp(kind, "sleep") == 0);
}

static const tm_json *body_of(forking *f, const tm_entry *e) {
  tm_arena *a = f->arena;
  if (e != f->edited)
    return e->body;
  tm_json *body = tm_json_copy(a, e->body);
  const tm_json *was = tm_json_get(body, e->kind == TM_RECORD_DONE ? "v" : "e");
  tm_json_set_str(a, body, "edited", tm_json_hash(was ? was : tm_json_null(a)).hex);
  tm_json_remove(body, "e");
  tm_json_set(a, body, "v", f->how->result);
  return body;
}

static void put(forking *f, tm_record_kind kind, const tm_entry *e, const tm_json *body) {
  tm_record *r = &f->tale.records[f->tale.count++];
  r->kind = (int)kind;
  r->place = e->place;
  r->name = e->name;
  r->body = tm_json_text(f->arena, body, &r->body_len);
}

static void copy_story(forking *f, const char *old) {
  f->tale.records = tm_arena_array(f->arena, tm_record, (size_t)f->old.length + 1);
  f->tale.count = 0;
  for (const tm_entry *e = f->old.first->next; e && e->seq < f->before; e = e->next)
    f->copied += is_shared(f, e);
  put(f, TM_RECORD_START, f->old.first, start_body(f, old));
  for (const tm_entry *e = f->old.first->next; e && e->seq < f->before; e = e->next)
    if (is_shared(f, e))
      put(f, e == f->edited ? TM_RECORD_DONE : e->kind, e, body_of(f, e));
  tm_verify_link(&f->tale, 0, f->arena);
}

static int choose_edit(forking *f, tm_err *err) {
  const tm_fork *how = f->how;
  f->edited = how->edited ? first_result(&f->old, how->edited) : NULL;
  if (!how->edited)
    return 0;
  if (!f->edited)
    return tm_err_set(err, TM_NOTFOUND,
                      "the run has no result of \"%s\" to put another one in its place",
                      how->edited);
  if (!how->from)
    f->before = f->edited->seq + 1;
  else if (f->edited->seq >= f->before)
    return tm_err_set(
        err, TM_USAGE,
        "the result of \"%s\" (record %lld) is not before record %lld, from which "
        "the new run goes on by itself",
        how->edited, (long long)f->edited->seq, (long long)f->before);
  return 0;
}

static int check_story(const forking *f, tm_err *err) {
  for (const tm_entry *e = f->old.first; e && e->seq < f->before; e = e->next)
    if (e->kind == TM_RECORD_CANCEL)
      return tm_err_set(err, TM_CONFLICT,
                        "the run was cancelled in record %lld; fork it from there or before "
                        "(--from %lld)",
                        (long long)e->seq, (long long)e->seq);
  const tm_entry *lock = tm_fork_lock(&f->old, f->before);
  if (lock)
    return tm_err_set(
        err, TM_CONFLICT,
        "at record %lld the run holds the lock \"%s\", which a new one cannot share; "
        "fork it from before (--from %lld)",
        (long long)f->before, lock->name, (long long)lock->seq);
  const tm_entry *undo = tm_fork_undo(&f->old, f->before);
  if (undo)
    return tm_err_set(
        err, TM_CONFLICT,
        "record %lld undid what the new run would take for done (\"%s\"); fork it "
        "from before that action",
        (long long)undo->seq, undo->name + 5);
  return 0;
}

static int make(forking *f, const char *old, tm_err *err) {
  tm_verdict v;
  f->before = f->old.length;
  if (f->how->from && tm_fork_find(&f->before, &f->old, f->how->from, err) < 0)
    return -1;
  if (choose_edit(f, err) < 0 || check_story(f, err) < 0)
    return -1;
  copy_story(f, old);
  if (tm_verify_play(&v, f->arena, &f->tale, &f->engine->ports, err) < 0)
    return -1;
  if (v.equal)
    return 0;
  return tm_err_set(err, TM_DIVERGED,
                    "the shared part does not fit: %s. Fork from an earlier record", v.message);
}

static int fork_run(tm_engine *e, tm_arena *a, const char *run, const tm_fork *how,
                    tm_engine_fn done, void *ctx, tm_err *err) {
  forking f = {.engine = e, .arena = a, .how = how, .old = {.arena = a}};
  char fresh[TM_ID_LEN + 1];
  tm_closure *own = NULL;
  if (tm_verify_read(&f.tale, a, e->ports.store, run, err) < 0 ||
      tm_engine_closure(e, f.tale.sources, &own, err) < 0)
    return -1;
  int rc = tm_journal_load(&f.old, a, e->ports.store, run, err);
  if (rc == 0) {
    tm_id_new(fresh);
    f.tale.parent = run;
    f.tale.run = how->id ? how->id : tm_arena_strdup(a, fresh);
    f.tale.closure = how->closure ? how->closure : own;
    f.tale.created = f.tale.updated = tm_engine_now(e);
    f.tale.state = "queued";
    f.tale.reason = f.tale.result = NULL;
    f.tale.epoch = 1;
    rc = make(&f, run, err);
  }
  if (rc == 0)
    tm_change_create(e, &f.tale, done, ctx);
  tm_journal_free(&f.old);
  tm_closure_release(&own);
  return rc;
}

void tm_change_fork(tm_engine *e, const char *run, const tm_fork *how, tm_engine_fn done,
                    void *ctx) {
  tm_err err = e->broken;
  tm_arena a;
  tm_arena_init(&a, 0);
  if (err.code != TM_OK || fork_run(e, &a, run, how, done, ctx, &err) < 0)
    done(ctx, NULL, &err);
  tm_arena_free(&a);
}
