/* api_reuse.c - what outlives runs: decisions, listed and reopened. */
#include <string.h>

#include "engine/decision.h"
#include "face/api.h"

typedef struct reading {
  tm_arena *arena;
  tm_json *list;
  int64_t now;
} reading;

static int list_decision(void *ctx, const tm_decision_row *row) {
  reading *r = ctx;
  tm_json *o = tm_json_new_object(r->arena);
  const char *state = row->voided                      ? "reopened"
                      : tm_decision_holds(row, r->now) ? "holds"
                                                       : "expired";
  tm_json_set_str(r->arena, o, "workflow", row->ns);
  tm_json_set_str(r->arena, o, "name", row->name);
  tm_json_set_str(r->arena, o, "key", row->key);
  tm_json_set_int(r->arena, o, "version", row->version);
  tm_json_set_str(r->arena, o, "state", state);
  tm_api_put_json(r->arena, o, "value", row->value);
  tm_api_put_text(r->arena, o, "run", row->run);
  tm_api_put_time(r->arena, o, "at", row->at);
  tm_api_put_time(r->arena, o, "expires", row->expires);
  tm_api_put_time(r->arena, o, "reopened", row->voided);
  tm_api_put_text(r->arena, o, "by", row->by);
  tm_api_put_text(r->arena, o, "note", row->note);
  tm_json_push(r->arena, r->list, o);
  return 0;
}

int tidemill_decisions(tidemill *t, const char *filter, char **out, size_t *len) {
  static const char *const known[] = {"workflow", "name", "key", "all", NULL};
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *f;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  reading read = {&a, tm_json_new_array(&a), tm_engine_now(t->engine)};
  if (tm_api_json(&f, &a, "the filter", filter, SIZE_MAX, &err) == 0 &&
      tm_api_members(f, known, "the filter", &err) == 0) {
    tm_decision_filter which = {.ns = tm_json_get_str(f, "workflow"),
                                .name = tm_json_get_str(f, "name"),
                                .key = tm_json_get_str(f, "key"),
                                .past = tm_json_bool(tm_json_get(f, "all"), false)};
    t->store->vt->decisions(t->store, &which, list_decision, &read, &err);
  }
  tm_json *o = tm_json_new_object(&a);
  tm_json_set_str(&a, o, "schema", "tidemill.decisions/1");
  tm_json_set(&a, o, "decisions", read.list);
  rc = err.code == TM_OK ? tm_api_give(o, out, len) : tm_api_fail(t, &err);
  tm_arena_free(&a);
  return rc;
}

int tidemill_reopen(tidemill *t, const char *workflow, const char *name, const char *key,
                    const char *opts) {
  static const char *const known[] = {"note", "by", NULL};
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o;
  tm_api_waiting w = {0};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  if (!workflow || !name || !key)
    tm_err_set(&err, TM_USAGE, "a decision is named by its workflow, its name and its key");
  if (err.code != TM_OK || tm_api_json(&o, &a, "the options", opts, SIZE_MAX, &err) < 0 ||
      tm_api_members(o, known, "the options", &err) < 0) {
    rc = tm_api_fail(t, &err);
  } else {
    const char *by = tm_json_get_str(o, "by");
    tm_decision_row which = {.ns = workflow,
                             .name = name,
                             .key = key,
                             .by = by ? by : t->options->by,
                             .note = tm_json_get_str(o, "note")};
    tm_decision_reopen(t->engine, &which, tm_api_finished, &w);
    rc = tm_api_wait(t, &w);
  }
  tm_arena_free(&a);
  return rc;
}
