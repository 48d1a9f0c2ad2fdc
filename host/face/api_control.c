/* api_control.c - orders: cancel, terminate, pause and resume a run, a workflow, everything.
 */
#include <string.h>

#include "engine/orders.h"
#include "face/api.h"
#include "face/watchdog.h"

static void until_durable(tidemill *t) {
  while ((t->engine->turn || t->engine->in_flight) && t->engine->broken.code == TM_OK)
    tm_loop_turn(t->loop, 10);
}

/* -- one run --------------------------------------------------------------------------- */

static int give(tidemill *t, const char *run, tm_order order, const tm_json *opts,
                tm_err *err) {
  tm_arena a;
  tm_run_row row;
  const char *note = tm_json_get_str(opts, "note"), *by = tm_json_get_str(opts, "by");
  tm_arena_init(&a, 0);
  int rc = tm_api_find_run(t, run, &a, &row, err);
  if (rc == 0)
    rc = tm_control_give(t->engine, row.id, order, note, by ? by : t->options->by, err);
  if (rc >= 0)
    until_durable(t);
  tm_arena_free(&a);
  return rc < 0 ? -1 : 0;
}

static tm_order order_of(const char *op) {
  return strcmp(op, "cancel") == 0      ? TM_ORDER_CANCEL
         : strcmp(op, "terminate") == 0 ? TM_ORDER_TERMINATE
         : strcmp(op, "pause") == 0     ? TM_ORDER_PAUSE
                                        : TM_ORDER_NONE;
}

/* A run does not go on by its own name while its workflow is paused. */
static int refuse_paused(tidemill *t, const tm_run_row *row, tm_err *err) {
  const tm_order_row *pause = tm_orders_pause(t->engine, row->workflow);
  if (!pause || !tm_control_is_paused(row))
    return 0;
  bool all = strcmp(pause->target, "all") == 0;
  return tm_err_set(err, TM_CONFLICT,
                    "run %s rests: %s%s is paused%s%s%s%s; `tidemill resume %s%s` lifts it",
                    row->id, all ? "everything" : "workflow ", all ? "" : row->workflow,
                    *pause->by ? " by " : "", pause->by, *pause->note ? ": " : "", pause->note,
                    all ? "--all" : "--workflow ", all ? "" : row->workflow);
}

static int resume(tidemill *t, const char *run, tm_err *err) {
  tm_arena a;
  tm_run_row row = {0};
  tm_arena_init(&a, 0);
  tm_orders_read(t->engine);
  int rc = run ? tm_api_find_run(t, run, &a, &row, err) : 0;
  if (rc == 0 && run)
    rc = refuse_paused(t, &row, err);
  if (rc == 0 && !(run && tm_engine_find(t->engine, row.id)))
    rc = tm_engine_resume(t->engine, row.id, err);
  if (rc >= 0 && run && !tm_engine_find(t->engine, row.id))
    rc = tm_err_set(err, TM_CONFLICT, "run %s is %s%s; there is nothing to resume", row.id,
                    row.state, row.owner && *row.owner ? " in another process" : "");
  t->adopted = t->adopted || !run;
  tm_arena_free(&a);
  return rc < 0 ? -1 : 0;
}

/* -- many ------------------------------------------------------------------------------ */

static int any_run(void *ctx, const tm_run_row *row) {
  (void)row;
  *(bool *)ctx = true;
  return 1;
}

/* Is there such a workflow, on disk or in a run? A misspelt name would pause nothing. */
static int check_workflow(tidemill *t, const char *name, tm_err *err) {
  tm_closure *sources = NULL;
  tm_run_filter runs = {.workflow = name, .limit = 1};
  tm_buf path = TM_BUF_INIT;
  tm_err ignored = TM_ERR_INIT;
  bool known = false;
  tm_buf_printf(&path, "workflows/%s.lua", name);
  if (tm_api_sources(t, &sources, &ignored) == 0)
    known = tm_closure_file(sources, tm_buf_str(&path)) != NULL;
  tm_closure_release(&sources);
  if (!known)
    t->store->vt->runs(t->store, &runs, any_run, &known, &ignored);
  if (!known)
    tm_err_set(err, TM_NOTFOUND, "there is no workflow \"%s\": %s does not exist", name,
               tm_buf_str(&path));
  tm_buf_free(&path);
  return known ? 0 : -1;
}

/* Of a workflow, or of all. 1: neither is named in the options. */
static int control_many(tidemill *t, const char *op, const tm_json *opts, tm_err *err) {
  const char *workflow = tm_json_get_str(opts, "workflow");
  const char *by = tm_json_get_str(opts, "by"), *note = tm_json_get_str(opts, "note");
  bool pause = strcmp(op, "pause") == 0, all = tm_json_bool(tm_json_get(opts, "all"), false);
  if (!workflow && !all)
    return 1;
  if (workflow && all)
    return tm_err_set(err, TM_USAGE, "say one of \"workflow\" and \"all\"");
  if (!pause && strcmp(op, "resume") != 0)
    return tm_err_set(err, TM_USAGE, "%s is for one run; name it", op);
  if (workflow && check_workflow(t, workflow, err) < 0)
    return -1;
  if (pause)
    tm_control_pause_many(t->engine, workflow, note, by ? by : t->options->by);
  else
    tm_control_resume_many(t->engine, workflow);
  until_durable(t);
  return 0;
}

/* -- the door -------------------------------------------------------------------------- */

static int control(tidemill *t, const char *run, const char *op, const tm_json *opts,
                   tm_err *err) {
  tm_order order = order_of(op);
  int rc = run ? 1 : control_many(t, op, opts, err);
  if (rc <= 0)
    return rc;
  if (order != TM_ORDER_NONE)
    return give(t, run, order, opts, err);
  if (strcmp(op, "resume") == 0)
    return resume(t, run, err);
  if (strcmp(op, "repin") == 0 || strcmp(op, "retry") == 0)
    return tm_api_move(t, run, op, opts, err);
  return tm_err_set(err, TM_USAGE,
                    "there is no operation \"%s\"; there are cancel, terminate, pause, resume, "
                    "repin and retry",
                    op);
}

int tidemill_control(tidemill *t, const char *run, const char *op, const char *opts) {
  static const char *const known[] = {"note", "by", "sources", "workflow", "all", NULL};
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  rc = tm_api_json(&o, &a, "the options", opts, SIZE_MAX, &err);
  if (rc == 0)
    rc = tm_api_members(o, known, "the options", &err);
  if (rc == 0)
    rc = control(t, run, op, o, &err);
  tm_arena_free(&a);
  return rc < 0 ? tm_api_fail(t, &err) : 0;
}

int tm_api_begin(tidemill *t, tm_err *err) {
  if (t->options->watchdog_ms > 0)
    tm_watchdog_read(t->engine, t->options->db);
  if (t->options->paused)
    tm_control_pause_many(t->engine, NULL, "--paused", t->options->by);
  until_durable(t);
  if (t->engine->broken.code != TM_OK)
    *err = t->engine->broken;
  return t->engine->broken.code == TM_OK ? 0 : -1;
}
