/* api_gc.c - tidemill_gc: how long ended runs are kept, and what went.
 */
#include <string.h>

#include "engine/gc.h"
#include "face/api.h"

static int read_policy(tm_gc_policy *out, tidemill *t, const tm_json *opts, tm_err *err) {
  static const char *const known[] = {"older_than", "workflow", "dry_run", NULL};
  const char *older = tm_json_get_str(opts, "older_than");
  if (tm_api_members(opts, known, "the options", err) < 0)
    return -1;
  *out = (tm_gc_policy){.retain = t->options->retain,
                        .workflow = tm_json_get_str(opts, "workflow"),
                        .dry_run = tm_json_bool(tm_json_get(opts, "dry_run"), false),
                        .older_than = -1};
  if (older && (out->older_than = tm_clock_duration(older, strlen(older))) < 0)
    return tm_err_set(err, TM_USAGE, "\"%s\" is no duration such as 30d or 12h", older);
  if (!older && tm_json_len(out->retain) == 0)
    return tm_err_set(err, TM_USAGE,
                      "nothing says how long runs are kept: put `retain: {done: 30d, failed: "
                      "90d, cancelled: 30d}` into tidemill.yaml, or say --older-than 30d");
  return 0;
}

static int collect(tidemill *t, tm_gc *gc, tm_err *err) {
  int rc;
  for (;;) {
    tm_api_waiting w = {0};
    if ((rc = tm_gc_step(gc, tm_api_finished, &w, err)) <= 0)
      return rc;
    while (!w.done)
      tm_loop_turn(t->loop, -1);
    if (w.err.code != TM_OK) {
      *err = w.err;
      return -1;
    }
  }
}

static tm_json *told(tm_arena *a, const tm_gc_policy *p, tm_gc_count n) {
  tm_json *o = tm_json_new_object(a), *kept = tm_json_new_object(a);
  tm_json_set_str(a, o, "schema", "tidemill.gc/1");
  tm_json_set_bool(a, o, "dry_run", p->dry_run);
  tm_json_set_int(a, o, "runs", n.runs);
  tm_json_set_int(a, o, "records", n.records);
  tm_json_set_int(a, o, "gates", n.gates);
  tm_json_set_int(a, o, "events", n.events);
  tm_json_set_int(a, o, "sources", n.sources);
  tm_json_set_int(a, o, "files", n.files);
  tm_json_set_int(a, kept, "family", n.family);
  tm_json_set_int(a, kept, "in_doubt", n.in_doubt);
  tm_json_set(a, o, "kept", kept);
  return o;
}

int tidemill_gc(tidemill *t, const char *opts, char **out, size_t *len) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o;
  tm_gc_policy policy;
  tm_gc *gc = NULL;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  rc = tm_api_json(&o, &a, "the options", opts, SIZE_MAX, &err);
  if (rc == 0)
    rc = read_policy(&policy, t, o, &err);
  if (rc == 0) {
    gc = tm_gc_new(t->engine, &policy);
    rc = collect(t, gc, &err);
  }
  rc = rc < 0 ? tm_api_fail(t, &err)
              : tm_api_give(told(&a, &policy, tm_gc_counted(gc)), out, len);
  tm_gc_free(&gc);
  tm_arena_free(&a);
  return rc;
}
