/* api_signal.c - events from outside: held to what the workflow declares, kept, told once. */
#include "engine/signal.h"
#include "face/api.h"

static int read_payload(tm_json **out, tm_arena *a, const char *json, size_t len, tm_err *err) {
  if (json)
    return tm_api_json(out, a, "the event's payload", json, len, err);
  *out = tm_json_null(a);
  return 0;
}

int tidemill_signal(tidemill *t, const char *run, const char *event, const char *json,
                    size_t len, const char *opts) {
  static const char *const known[] = {"id", NULL};
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_run_row row;
  tm_json *payload, *o;
  tm_api_waiting w = {0};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  if (tm_api_json(&o, &a, "the options", opts, SIZE_MAX, &err) < 0 ||
      tm_api_members(o, known, "the options", &err) < 0 ||
      read_payload(&payload, &a, json, len, &err) < 0 ||
      tm_api_find_run(t, run, &a, &row, &err) < 0) {
    rc = tm_api_fail(t, &err);
  } else {
    tm_engine_signal(t->engine, row.id, event, payload, tm_json_get_str(o, "id"),
                     tm_api_finished, &w);
    rc = tm_api_wait(t, &w);
  }
  tm_arena_free(&a);
  return rc;
}
