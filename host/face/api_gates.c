/* api_gates.c - what people decide: approve and reject a gate, resolve an action in doubt.
 *
 * A doubt is a gate like others (engine/action.c), but "yes" and "no" mean nothing clear there: a
 * "no" would do it again. So it is decided in the words of the doubt, by resolve alone.
 */
#include <stdio.h>
#include <string.h>

#include "face/api.h"

/* -- finding the gate ------------------------------------------------------------------ */

typedef struct matching {
  const char *name; /* NULL: any */
  bool doubts;      /* actions in doubt only; else only what is none */
  char id[256];
  int count, seen;
  char doubt[128]; /* an action in doubt that was passed over; "": none */
} matching;

/* "NAME", "NAME@PLACE" or the whole id. */
static bool gate_matches(const tm_gate_row *row, const char *name) {
  const char *short_id = row->id + strlen(row->run) + 1;
  return strcmp(row->name, name) == 0 || strcmp(row->id, name) == 0 ||
         strcmp(short_id, name) == 0;
}

static bool is_doubt(const tm_gate_row *row) {
  tm_arena a;
  tm_json *body = NULL;
  tm_err ignored = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  tm_json_parse(&body, &a, row->body, strlen(row->body), NULL, &ignored);
  const char *kind = tm_json_get_str(body, "kind");
  bool yes = kind && strcmp(kind, "doubt") == 0;
  tm_arena_free(&a);
  return yes;
}

static int match_gate(void *ctx, const tm_gate_row *row) {
  matching *m = ctx;
  bool open = strcmp(row->state, "open") == 0;
  if (m->name && !gate_matches(row, m->name))
    return 0;
  if (is_doubt(row) != m->doubts) {
    if (!m->doubts && open)
      snprintf(m->doubt, sizeof m->doubt, "%s", row->name);
    return 0;
  }
  m->seen++;
  if (open || m->count == 0)
    snprintf(m->id, sizeof m->id, "%s", row->id);
  m->count += open;
  return 0;
}

static int no_gate(const matching *m, const char *run, tm_err *err) {
  if (*m->doubt)
    return tm_err_set(
        err, TM_CONFLICT,
        "action \"%s\" of run %s is in doubt: nobody can approve or reject what may "
        "have happened. Look at the other side, then `tidemill resolve %s %s` with "
        "--applied or --not-applied",
        m->doubt, run, run, m->doubt);
  return tm_err_set(err, TM_NOTFOUND, "run %s %s%s%s", run,
                    m->doubts ? "has no action in doubt" : "waits at no gate",
                    m->name ? " called " : "", m->name ? m->name : "");
}

static int find_gate(matching *m, tidemill *t, const char *run, tm_err *err) {
  tm_gate_filter f = {.run = run};
  if (t->store->vt->gates(t->store, &f, match_gate, m, err) < 0)
    return -1;
  if (m->count > 1)
    return tm_err_set(err, TM_USAGE, "run %s %s%s; name one (`tidemill gates %s`)", run,
                      m->doubts ? "has more than one action in doubt"
                                : "waits at more than one gate",
                      m->name ? " of that name" : "", run);
  return m->seen == 0 ? no_gate(m, run, err) : 0;
}

/* -- deciding -------------------------------------------------------------------------- */

/* Decide the gate that `m` finds; `o` is the decision, in the arena. */
static int decide_found(tidemill *t, tm_arena *a, const char *run, matching *m, bool approve,
                        tm_json *o, tm_err *err) {
  tm_run_row row;
  tm_api_waiting w = {0};
  if (tm_api_find_run(t, run, a, &row, err) < 0 || find_gate(m, t, row.id, err) < 0)
    return tm_api_fail(t, err);
  if (!tm_json_get(o, "by"))
    tm_json_set_str(a, o, "by", t->options->by);
  tm_engine_decide(t->engine, m->id, approve, o, tm_api_finished, &w);
  return tm_api_wait(t, &w);
}

static int decide(tidemill *t, const char *run, const char *gate, bool approve,
                  const char *opts) {
  static const char *const known[] = {"answer", "note", "by", "digest", NULL};
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o;
  matching m = {.name = gate};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  if (tm_api_json(&o, &a, "the decision", opts, SIZE_MAX, &err) < 0 ||
      tm_api_members(o, known, "the decision", &err) < 0)
    rc = tm_api_fail(t, &err);
  else
    rc = decide_found(t, &a, run, &m, approve, o, &err);
  tm_arena_free(&a);
  return rc;
}

int tidemill_approve(tidemill *t, const char *run, const char *gate, const char *opts) {
  return decide(t, run, gate, true, opts);
}

int tidemill_reject(tidemill *t, const char *run, const char *gate, const char *opts) {
  return decide(t, run, gate, false, opts);
}

int tidemill_resolve(tidemill *t, const char *run, const char *action, const char *result,
                     size_t len, const char *opts) {
  static const char *const known[] = {"note", "by", NULL};
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o, *value = NULL;
  matching m = {.name = action, .doubts = true};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  if (tm_api_json(&o, &a, "the options", opts, SIZE_MAX, &err) < 0 ||
      tm_api_members(o, known, "the options", &err) < 0 ||
      (result && tm_api_json(&value, &a, "the action's result", result, len, &err) < 0)) {
    rc = tm_api_fail(t, &err);
  } else {
    if (value)
      tm_json_set(&a, o, "answer", value);
    rc = decide_found(t, &a, run, &m, value != NULL, o, &err);
  }
  tm_arena_free(&a);
  return rc;
}
