/* api_runs.c - start, run: calls that change something and wait until it is durable; and what the
 * files beside it share: finding a run, waiting for the engine.
 */
#include <stdio.h>
#include <string.h>

#include "engine/held.h"
#include "engine/owner.h"
#include "engine/park.h"
#include "engine/wake.h"
#include "face/api.h"
#include "face/waits.h"

#define MAX_DEPTH 100 /* runs that wait for each other; more is a circle */

/* -- waiting for a continuation of the engine ------------------------------------------ */

void tm_api_finished(void *ctx, const char *id, const tm_err *err) {
  tm_api_waiting *w = ctx;
  w->done = true;
  w->err = *err;
  snprintf(w->id, sizeof w->id, "%s", id ? id : "");
}

int tm_api_await(tidemill *t, tm_api_waiting *w, tm_err *err) {
  while (!w->done)
    tm_loop_turn(t->loop, -1);
  *err = w->err;
  return err->code == TM_OK ? 0 : -1;
}

int tm_api_wait(tidemill *t, tm_api_waiting *w) {
  tm_err err;
  return tm_api_await(t, w, &err) == 0 ? 0 : tm_api_fail(t, &err);
}

/* -- finding --------------------------------------------------------------------------------
 */

#define MIN_PREFIX 6

typedef struct finding {
  tm_arena *arena;
  tm_run_row *row;
  int count;
} finding;

static int copy_row(void *ctx, const tm_run_row *row) {
  finding *f = ctx;
  tm_run_row *to = f->row;
  tm_arena *a = f->arena;
  *to = *row;
  to->id = tm_arena_strdup(a, row->id);
  to->workflow = tm_arena_strdup(a, row->workflow);
  to->state = tm_arena_strdup(a, row->state);
  to->reason = row->reason ? tm_arena_strdup(a, row->reason) : NULL;
  to->owner = row->owner ? tm_arena_strdup(a, row->owner) : NULL;
  to->closure = row->closure ? tm_arena_strdup(a, row->closure) : NULL;
  to->input_hash = row->input_hash ? tm_arena_strdup(a, row->input_hash) : NULL;
  to->parent = row->parent ? tm_arena_strdup(a, row->parent) : NULL;
  to->result = row->result ? tm_arena_strdup(a, row->result) : NULL;
  f->count++;
  return 0;
}

int tm_api_find_run(tidemill *t, const char *given, tm_arena *a, tm_run_row *row, tm_err *err) {
  finding f = {.arena = a, .row = row};
  tm_run_filter exact = {.id = given}, prefix = {.prefix = given, .limit = 2};
  if (!given || !*given)
    return tm_err_set(err, TM_USAGE, "a run's id is needed");
  if (t->store->vt->runs(t->store, &exact, copy_row, &f, err) < 0)
    return -1;
  if (f.count == 0 && strlen(given) >= MIN_PREFIX &&
      t->store->vt->runs(t->store, &prefix, copy_row, &f, err) < 0)
    return -1;
  if (f.count > 1)
    return tm_err_set(err, TM_USAGE,
                      "more than one run begins with \"%s\"; give more of the id", given);
  if (f.count == 0)
    return tm_err_set(err, TM_NOTFOUND, "there is no run %s (`tidemill list` shows them)",
                      given);
  return 0;
}

int tm_api_follow(tidemill *t, tm_arena *a, tm_run_row *row, tm_err *err) {
  for (const char *next; (next = tm_wake_successor(row, a));)
    if (tm_api_find_run(t, next, a, row, err) < 0)
      return -1;
  return 0;
}

/* -- start ------------------------------------------------------------------------------------
 */

int tm_api_members(const tm_json *o, const char *const *known, const char *what, tm_err *err) {
  if (tm_json_type_of(o) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_USAGE, "%s must be a JSON object", what);
  for (size_t i = 0; i < tm_json_len(o); i++) {
    const char *const *k = known;
    while (*k && strcmp(*k, tm_json_member_at(o, i)->key) != 0)
      k++;
    if (!*k)
      return tm_err_set(err, TM_USAGE, "%s has the unknown member \"%s\"", what,
                        tm_json_member_at(o, i)->key);
  }
  return 0;
}

int tidemill_start(tidemill *t, const char *workflow, const char *input, size_t len,
                   const char *opts, char **id) {
  static const char *const known[] = {"id", "step", NULL};
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *value, *o;
  tm_api_waiting w = {0};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  if (tm_api_json(&value, &a, "the input", input, len, &err) < 0 ||
      tm_api_json(&o, &a, "the options", opts, SIZE_MAX, &err) < 0 ||
      tm_api_members(o, known, "the options", &err) < 0) {
    rc = tm_api_fail(t, &err);
  } else {
    tm_engine_start(t->engine, workflow, value, tm_json_get_str(o, "id"),
                    tm_json_get_str(o, "step"), tm_api_finished, &w);
    rc = tm_api_wait(t, &w);
    if (rc == 0 && id)
      *id = tm_strdup(w.id);
  }
  tm_arena_free(&a);
  return rc;
}

/* -- run ------------------------------------------------------------------------------- */

/* Runs that a dead process left are taken up once for each handle. */
static int adopt(tidemill *t, tm_err *err) {
  if (t->adopted)
    return 0;
  t->adopted = true;
  return tm_engine_resume(t->engine, NULL, err) < 0 ? -1 : 0;
}

static bool run_rests(const tidemill *t, const char *id, int depth);

/* A timer that will not fire by itself: there is none, or the clock stands still before it. */
static bool timer_rests(const tidemill *t, int64_t due) {
  return !due || (t->options->virtual_clock && due > tm_engine_now(t->engine));
}

/* Another living process is at work on it: it will settle what it holds. */
static bool works_elsewhere(const tidemill *t, const char *id) {
  tm_arena a;
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  bool works = tm_wake_row(t->engine, id, &a, &row, &err) == 1 &&
               strcmp(row.state, "running") == 0 && row.owner &&
               strcmp(row.owner, t->engine->owner) != 0 && tm_owner_alive(row.owner);
  tm_arena_free(&a);
  return works;
}

/* One entry of a row's reason: a key that is settled, or is about to be, is noticed before long. */
static bool key_rests(const tidemill *t, const tm_run_row *row, const tm_json *why) {
  const char *what = tm_json_get_str(why, "for");
  char holder[64], still[64];
  if (!what || strcmp(what, "key") != 0)
    return true;
  return tm_held_by(holder, t->engine, row, why) && !works_elsewhere(t, holder) &&
         tm_held_by(still, t->engine, row, why) && strcmp(holder, still) == 0;
}

/* By the row of a run, does each key that it waits for rest, and (`runs`) each run? */
static bool reasons_rest(const tidemill *t, const char *id, bool runs, int depth) {
  tm_arena a;
  tm_run_row row;
  tm_err err = TM_ERR_INIT;
  bool rest = true;
  tm_arena_init(&a, 0);
  int found = tm_wake_row(t->engine, id, &a, &row, &err);
  const tm_json *reasons = found == 1 ? tm_wake_reason(&row, &a) : NULL;
  for (size_t i = 0; rest && i < tm_json_len(reasons); i++) {
    const char *other = tm_json_get_str(tm_json_at(reasons, i), "run");
    rest = key_rests(t, &row, tm_json_at(reasons, i)) &&
           (!runs || !other || run_rests(t, other, depth + 1));
  }
  tm_arena_free(&a);
  return rest;
}

/* Waits for people only (a virtual clock stands still, so its timers are people too). One that waits
 * for another run waits for what that one waits for. */
static bool waits_outside(const tidemill *t, const tm_run *r, int depth) {
  bool keys = false;
  if (r->state != TM_RUN_WAITING || r->owned || r->uncommitted || r->ended ||
      !tm_list_empty(&r->runnable) || !tm_list_empty(&r->deliveries))
    return false;
  for (tm_list *l = r->branches.next; l != &r->branches; l = l->next) {
    const tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (!b->dead && !timer_rests(t, b->due))
      return false;
    if (!b->dead && b->waits && b->waits_for && !run_rests(t, b->waits_for, depth + 1))
      return false;
    if (!b->dead && tm_held_is(b))
      keys = true;
  }
  return !keys || reasons_rest(t, r->id, false, 0);
}

/* Nothing of this engine will bring it on, unless people do. */
static bool run_rests(const tidemill *t, const char *id, int depth) {
  const tm_run *r = tm_engine_find(t->engine, id);
  if (depth > MAX_DEPTH)
    return true;
  if (r)
    return (r->lost && r->uncommitted == 0) || waits_outside(t, r, depth);
  if (!tm_park_holds(t->engine, id))
    return true;
  return timer_rests(t, tm_park_due(t->engine, id)) && reasons_rest(t, id, true, depth);
}

static bool all_wait(const tidemill *t) {
  const tm_engine *e = t->engine;
  if (!tm_engine_idle(e) || !timer_rests(t, tm_park_due(t->engine, NULL)))
    return false;
  for (tm_list *l = e->runs.next; l != &e->runs; l = l->next) {
    const tm_run *r = TM_LIST_OF(l, tm_run, link);
    if (!r->lost && !waits_outside(t, r, 0))
      return false;
  }
  return true;
}

static int code_of_state(const char *state) {
  static const struct {
    const char *state;
    int code;
  } codes[] = {{"done", 0},
               {"failed", TIDEMILL_EFAILED},
               {"cancelled", TIDEMILL_ECANCELLED},
               {"diverged", TIDEMILL_EDIVERGED}};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (strcmp(codes[i].state, state) == 0)
      return codes[i].code;
  return TIDEMILL_EWAITING;
}

/* A run that failed for want of a key, or with a wrong one, has nothing wrong with it: it goes on
 * when that is mended. */
static int code_of(const char *state, const tm_json *reason) {
  const char *code = tm_json_get_str(reason, "code"), *class = tm_json_get_str(reason, "class");
  bool ours = (code && strcmp(code, tm_err_word(TM_CONFIG)) == 0) ||
              (class && strcmp(class, "auth") == 0);
  int rc = code_of_state(state);
  return rc == TIDEMILL_EFAILED && ours ? TIDEMILL_ECONFIG : rc;
}

static void say_wait(tm_err *err, const char *run, const tm_json *reason) {
  tm_buf words = TM_BUF_INIT;
  tm_waits_put(&words, reason);
  tm_err_set(err, TM_WAITING, "run %s waits for %s", run, tm_buf_str(&words));
  tm_buf_free(&words);
}

/* What an unfinished run waits for, by the first of its reasons. */
static void explain_waiting(tm_err *err, const char *run, const tm_json *reason) {
  const char *name = tm_json_get_str(reason, "name"), *what = tm_json_get_str(reason, "for");
  const char *until = tm_json_get_str(reason, "until");
  const char *message = tm_json_get_str(reason, "message");
  if (what && strcmp(what, "backoff") == 0)
    tm_err_set(err, TM_WAITING, "run %s backs off until %s: \"%s\" was sent away: %s", run,
               until ? until : "later", name ? name : "", message ? message : "");
  else
    say_wait(err, run, reason);
}

void tm_api_explain(tm_err *err, const tm_run_row *row) {
  tm_arena a;
  tm_arena_init(&a, 0);
  const tm_json *reason = tm_wake_reason(row, &a);
  int code = code_of(row->state, reason);
  const char *message = tm_json_get_str(reason, "message");
  if (code == TIDEMILL_EWAITING)
    explain_waiting(err, row->id, tm_json_at(reason, 0));
  else
    tm_err_set(err, (tm_code)-code, "run %s %s%s%s%s%s", row->id, row->state,
               message ? ": " : "", message ? message : "",
               code == TIDEMILL_ECONFIG ? "; when that is mended, go on with: tidemill retry "
                                        : "",
               code == TIDEMILL_ECONFIG ? row->id : "");
  tm_arena_free(&a);
}

static int state_code(tidemill *t, const char *run, tm_err *err) {
  tm_arena a;
  tm_run_row row;
  tm_arena_init(&a, 0);
  int code = tm_api_find_run(t, run, &a, &row, err);
  if (code == 0 && code_of_state(row.state) != 0)
    tm_api_explain(err, &row);
  tm_arena_free(&a);
  return -(int)err->code;
}

/* True when driving can end: the run's, or everybody's, next move is not ours. */
static bool at_rest(tidemill *t, const char *run) {
  if (!run)
    return all_wait(t);
  return run_rests(t, run, 0);
}

static int drive(tidemill *t, const char *run, int64_t timeout_ms) {
  int64_t end = timeout_ms < 0 ? INT64_MAX : tm_clock_mono(&tm_clock_system) + timeout_ms;
  while (!at_rest(t, run)) {
    int64_t left = end - tm_clock_mono(&tm_clock_system);
    if (left <= 0)
      return TIDEMILL_EWAITING;
    int rc = tidemill_dispatch(t, left < TM_API_NOTICE_MS ? left : TM_API_NOTICE_MS);
    if (rc < 0)
      return rc;
  }
  return 0;
}

/* Also along the runs that go on for it. */
static int drive_on(tidemill *t, tm_run_row *row, tm_arena *a, int64_t timeout_ms,
                    tm_err *err) {
  int64_t begin = tm_clock_mono(&tm_clock_system);
  if (!row)
    return drive(t, NULL, timeout_ms);
  for (;;) {
    const char *id = row->id;
    int64_t gone = tm_clock_mono(&tm_clock_system) - begin;
    int rc = drive(t, id, timeout_ms < 0 ? -1 : gone < timeout_ms ? timeout_ms - gone : 0);
    if (rc != 0 || tm_api_find_run(t, id, a, row, err) < 0 ||
        tm_api_follow(t, a, row, err) < 0 || strcmp(row->id, id) == 0)
      return rc;
  }
}

int tidemill_run(tidemill *t, const char *run, int64_t timeout_ms) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_run_row row = {0};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  if (adopt(t, &err) < 0 || (run && tm_api_find_run(t, run, &a, &row, &err) < 0)) {
    rc = tm_api_fail(t, &err);
  } else {
    bool here = run && (tm_engine_find(t->engine, row.id) || tm_park_holds(t->engine, row.id));
    if (run && !here) /* one that is parked here is taken up when its time has come */
      tm_engine_rouse(t->engine, row.id, &err);
    tm_err_clear(&err);
    rc = drive_on(t, run ? &row : NULL, &a, timeout_ms, &err);
    if (rc == TIDEMILL_EWAITING && !run) {
      tm_err_set(&err, TM_WAITING, "the time is over; runs are still going");
      rc = tm_api_fail(t, &err);
    } else if ((rc == 0 || rc == TIDEMILL_EWAITING) && run) {
      rc = state_code(t, row.id, &err);
      if (rc < 0)
        tm_api_fail(t, &err);
    }
  }
  tm_arena_free(&a);
  return rc;
}
