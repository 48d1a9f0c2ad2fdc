/* api_look.c - get, result, list, gates, history: the store's rows as versioned JSON.
 */
#include <string.h>

#include "engine/wake.h"
#include "face/api.h"

void tm_api_put_time(tm_arena *a, tm_json *o, const char *key, int64_t ms) {
  char text[TM_CLOCK_TEXT];
  if (ms <= 0)
    return;
  tm_clock_format(ms, text);
  tm_json_set_str(a, o, key, text);
}

void tm_api_put_text(tm_arena *a, tm_json *o, const char *key, const char *s) {
  if (s && *s)
    tm_json_set_str(a, o, key, s);
}

void tm_api_put_json(tm_arena *a, tm_json *o, const char *key, const char *text) {
  tm_json *v;
  tm_err ignored = TM_ERR_INIT;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  if (text && *text && tm_json_parse(&v, a, text, strlen(text), &opts, &ignored) == 0)
    tm_json_set(a, o, key, v);
}

static bool is(const char *state, const char *word) {
  return strcmp(state, word) == 0;
}

static tm_json *run_json(tm_arena *a, const tm_run_row *row) {
  tm_json *o = tm_json_new_object(a);
  bool ended_badly =
      is(row->state, "failed") || is(row->state, "cancelled") || is(row->state, "diverged");
  tm_json_set_str(a, o, "schema", "tidemill.run/1");
  tm_json_set_str(a, o, "id", row->id);
  tm_json_set_str(a, o, "workflow", row->workflow);
  tm_json_set_str(a, o, "state", row->state);
  if (is(row->state, "done"))
    tm_api_put_json(a, o, "result", row->result);
  else
    tm_api_put_json(a, o, ended_badly ? "error" : "reason", row->reason);
  tm_api_put_text(a, o, "continued", tm_wake_successor(row, a));
  tm_api_put_time(a, o, "created", row->created);
  tm_api_put_time(a, o, "updated", row->updated);
  tm_api_put_time(a, o, "wake_at", row->wake_at);
  tm_api_put_text(a, o, "parent", row->parent);
  tm_api_put_text(a, o, "sources", row->closure);
  tm_json_set_int(a, o, "records", row->records);
  return o;
}

/* -- get, result ----------------------------------------------------------------------- */

typedef struct reading {
  tm_arena *arena;
  tm_json *list; /* of what is read */
  tm_json *fields;
  bool raw;
  tm_err *err;
} reading;

static int read_field(void *ctx, const tm_record *r) {
  reading *read = ctx;
  tm_json *body;
  if (r->kind == TM_RECORD_NOTE && strstr(r->body, "\"k\":\"state\"") &&
      tm_json_parse(&body, read->arena, r->body, r->body_len, NULL, read->err) == 0)
    tm_json_set(read->arena, read->fields, r->name,
                tm_json_get(tm_json_get(body, "v"), "value"));
  return 0;
}

static int get(tidemill *t, const char *run, tm_arena *a, tm_json **out, tm_run_row *row,
               tm_err *err) {
  if (tm_api_find_run(t, run, a, row, err) < 0)
    return -1;
  reading read = {.arena = a, .fields = tm_json_new_object(a), .err = err};
  if (t->store->vt->journal(t->store, row->id, 0, read_field, &read, err) < 0)
    return -1;
  *out = run_json(a, row);
  if (tm_json_len(read.fields))
    tm_json_set(a, *out, "state_fields", read.fields);
  return 0;
}

int tidemill_get(tidemill *t, const char *run, char **out, size_t *len) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o;
  tm_run_row row;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  rc = get(t, run, &a, &o, &row, &err) < 0 ? tm_api_fail(t, &err) : tm_api_give(o, out, len);
  tm_arena_free(&a);
  return rc;
}

int tidemill_result(tidemill *t, const char *run, char **out, size_t *len) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *value;
  tm_run_row row;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  if (tm_api_find_run(t, run, &a, &row, &err) == 0 && tm_api_follow(t, &a, &row, &err) == 0) {
    if (!is(row.state, "done"))
      tm_api_explain(&err, &row);
    else if (tm_json_parse(&value, &a, row.result, strlen(row.result), NULL, &err) == 0)
      tm_api_give(value, out, len);
  }
  tm_arena_free(&a);
  return err.code == TM_OK ? 0 : tm_api_fail(t, &err);
}

/* -- list, gates
 * -------------------------------------------------------------------------------- */

static int give_list(tidemill *t, reading *read, const char *schema, const char *key, int rc,
                     char **out, size_t *len) {
  tm_json *o = tm_json_new_object(read->arena);
  tm_json_set_str(read->arena, o, "schema", schema);
  tm_json_set(read->arena, o, key, read->list);
  return rc < 0 ? tm_api_fail(t, read->err) : tm_api_give(o, out, len);
}

static int list_run(void *ctx, const tm_run_row *row) {
  reading *read = ctx;
  tm_json_push(read->arena, read->list, run_json(read->arena, row));
  return 0;
}

int tidemill_list(tidemill *t, const char *filter, char **out, size_t *len) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *f;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  reading read = {.arena = &a, .list = tm_json_new_array(&a), .err = &err};
  rc = tm_api_json(&f, &a, "the filter", filter, SIZE_MAX, &err);
  if (rc == 0) {
    tm_run_filter rows = {.workflow = tm_json_get_str(f, "workflow"),
                          .state = tm_json_get_str(f, "state"),
                          .unfinished = tm_json_bool(tm_json_get(f, "unfinished"), false),
                          .limit = tm_json_int(tm_json_get(f, "limit"), 0)};
    rc = t->store->vt->runs(t->store, &rows, list_run, &read, &err);
  }
  rc = give_list(t, &read, "tidemill.runs/1", "runs", rc, out, len);
  tm_arena_free(&a);
  return rc;
}

static int list_gate(void *ctx, const tm_gate_row *row) {
  reading *read = ctx;
  tm_arena *a = read->arena;
  tm_json *o = tm_json_new_object(a), *body = NULL;
  tm_err ignored = TM_ERR_INIT;
  tm_json_set_str(a, o, "id", row->id);
  tm_json_set_str(a, o, "run", row->run);
  tm_json_set_str(a, o, "workflow", row->workflow);
  tm_json_set_str(a, o, "name", row->name);
  tm_json_set_str(a, o, "state", row->state);
  tm_json_set_str(a, o, "place", row->place);
  tm_json_set_str(a, o, "digest", row->digest);
  if (tm_json_parse(&body, a, row->body, strlen(row->body), NULL, &ignored) == 0)
    for (size_t i = 0; i < tm_json_len(body); i++)
      tm_json_set(a, o, tm_json_member_at(body, i)->key, &tm_json_member_at(body, i)->value);
  tm_api_put_json(a, o, "decision", row->decision);
  tm_api_put_text(a, o, "by", row->by);
  tm_api_put_time(a, o, "opened", row->opened);
  tm_api_put_time(a, o, "expires", row->expires);
  tm_api_put_time(a, o, "decided", row->decided);
  tm_json_push(a, read->list, o);
  return 0;
}

int tidemill_gates(tidemill *t, const char *filter, char **out, size_t *len) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *f;
  tm_run_row row = {0};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  reading read = {.arena = &a, .list = tm_json_new_array(&a), .err = &err};
  rc = tm_api_json(&f, &a, "the filter", filter, SIZE_MAX, &err);
  const char *run = rc == 0 ? tm_json_get_str(f, "run") : NULL;
  if (rc == 0 && run)
    rc = tm_api_find_run(t, run, &a, &row, &err);
  if (rc == 0) {
    tm_gate_filter rows = {.run = row.id, .open = !tm_json_bool(tm_json_get(f, "all"), false)};
    rc = t->store->vt->gates(t->store, &rows, list_gate, &read, &err);
  }
  rc = give_list(t, &read, "tidemill.gates/1", "gates", rc, out, len);
  tm_arena_free(&a);
  return rc;
}

/* -- history
 * ---------------------------------------------------------------------------------------- */

/* The journal's short keys, spelt out. */
static const char *spelt(const char *key) {
  static const char *const names[][2] = {{"k", "kind"},  {"i", "identity"}, {"q", "request"},
                                         {"w", "where"}, {"s", "step"},     {"v", "value"},
                                         {"m", "meta"},  {"e", "error"},    {"a", "attempt"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i][0], key) == 0)
      return names[i][1];
  return key;
}

/* An attempt without the bytes that went over the wire. */
static tm_json *brief(tm_arena *a, const tm_json *attempt) {
  tm_json *copy = tm_json_copy(a, attempt);
  tm_json_remove(copy, "request");
  tm_json_remove(copy, "response");
  tm_json_remove(copy, "headers");
  return copy;
}

/* Where a call goes on, without what was said until then. */
static tm_json *back_brief(tm_arena *a, const tm_json *back) {
  tm_json *copy = tm_json_copy(a, back);
  tm_json_remove(copy, "state");
  return copy;
}

static int history_record(void *ctx, const tm_record *r) {
  reading *read = ctx;
  tm_arena *a = read->arena;
  tm_json *o = tm_json_new_object(a), *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  if (tm_json_parse(&body, a, r->body, r->body_len, &opts, read->err) < 0)
    return -1;
  tm_json_set_int(a, o, "seq", r->seq);
  tm_json_set_str(a, o, "record", tm_record_word(r->kind));
  tm_api_put_text(a, o, "place", r->place);
  tm_api_put_text(a, o, "name", r->name);
  for (size_t i = 0; i < tm_json_len(body); i++) {
    const tm_json_member *m = tm_json_member_at(body, i);
    bool attempt = r->kind == TM_RECORD_ATTEMPT && strcmp(m->key, "a") == 0;
    bool back = r->kind == TM_RECORD_OPEN && strcmp(m->key, "back") == 0;
    const tm_json *v = read->raw ? &m->value
                       : attempt ? brief(a, &m->value)
                       : back    ? back_brief(a, &m->value)
                                 : &m->value;
    tm_json_set(a, o, spelt(m->key), v);
  }
  tm_json_push(a, read->list, o);
  return 0;
}

int tidemill_history(tidemill *t, const char *run, const char *opts, char **out, size_t *len) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o, *f;
  tm_run_row row;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  reading read = {.arena = &a, .list = tm_json_new_array(&a), .err = &err};
  rc = tm_api_json(&f, &a, "the options", opts, SIZE_MAX, &err);
  if (rc == 0)
    rc = get(t, run, &a, &o, &row, &err);
  if (rc == 0) {
    read.raw = tm_json_bool(tm_json_get(f, "raw"), false);
    rc = t->store->vt->journal(t->store, row.id, tm_json_int(tm_json_get(f, "from"), 0),
                               history_record, &read, &err);
  }
  if (rc >= 0 && err.code == TM_OK) {
    tm_json_set_str(&a, o, "schema", "tidemill.history/1");
    tm_json_set_str(&a, o, "run", row.id);
    tm_json_set(&a, o, "records", read.list);
    rc = tm_api_give(o, out, len);
  } else {
    rc = tm_api_fail(t, &err);
  }
  tm_arena_free(&a);
  return rc;
}
