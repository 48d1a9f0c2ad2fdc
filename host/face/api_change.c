/* api_change.c - a run as a thing to keep, compare and move: examine, fork, import, and the
 * moves of tidemill_control.
 */
#include <stdio.h>
#include <string.h>

#include "engine/capsule.h"
#include "engine/fsck.h"
#include "face/api.h"

#define MIN_HASH 6

/* -- sources ---------------------------------------------------------------------------- */

static int add_hash(tm_arena *a, tm_json *list, const char *hash) {
  if (hash)
    tm_json_set(a, list, hash, tm_json_null(a));
  return 0;
}

/* The sources that the run had at any time, by hash. */
static int past_sources(tidemill *t, tm_arena *a, const tm_run_row *row, tm_json **out,
                        tm_err *err) {
  tm_journal j = {.arena = a};
  if (tm_journal_load(&j, a, t->store, row->id, err) < 0)
    return -1;
  *out = tm_json_new_object(a);
  add_hash(a, *out, tm_json_get_str(j.first->body, "closure"));
  for (const tm_entry *e = j.first; e; e = e->next)
    if (e->kind == TM_RECORD_REPIN)
      add_hash(a, *out, tm_json_get_str(e->body, "now"));
  tm_journal_free(&j);
  return 0;
}

/* Sources that the run had before, by the beginning of their hash. */
static int sources_by_hash(tidemill *t, const tm_run_row *row, const char *given,
                           tm_closure **out, tm_err *err) {
  tm_arena a;
  tm_json *past;
  const char *found = NULL;
  tm_arena_init(&a, 0);
  int rc = past_sources(t, &a, row, &past, err);
  for (size_t i = 0; rc == 0 && strlen(given) >= MIN_HASH && i < tm_json_len(past); i++)
    if (strncmp(tm_json_member_at(past, i)->key, given, strlen(given)) == 0)
      found = tm_json_member_at(past, i)->key;
  if (rc == 0 && !found)
    rc = tm_err_set(err, TM_NOTFOUND,
                    "run %s never had the sources %s (give 6 characters or more of a hash that "
                    "`tidemill show` prints)",
                    row->id, given);
  if (rc == 0)
    rc = tm_engine_closure(t->engine, found, out, err);
  tm_arena_free(&a);
  return rc;
}

/* "disk" (NULL: too), or a hash. */
static int sources_named(tidemill *t, const tm_run_row *row, const char *which,
                         tm_closure **out, tm_err *err) {
  if (!which || strcmp(which, "disk") == 0)
    return tm_api_sources(t, out, err);
  return sources_by_hash(t, row, which, out, err);
}

/* -- moves of tidemill_control ---------------------------------------------------------- */

static int take_up(tidemill *t, const char *run, tm_err *err) {
  return tm_engine_resume(t->engine, run, err) < 0 ? -1 : 0;
}

int tm_api_move(tidemill *t, const char *run, const char *op, const tm_json *opts,
                tm_err *err) {
  tm_arena a;
  tm_run_row row;
  tm_closure *to = NULL;
  tm_api_waiting w = {0};
  const char *by = tm_json_get_str(opts, "by"), *which = tm_json_get_str(opts, "sources");
  bool retry = strcmp(op, "retry") == 0;
  tm_arena_init(&a, 0);
  int rc = tm_api_find_run(t, run, &a, &row, err);
  if (rc == 0 && (which || !retry))
    rc = sources_named(t, &row, which, &to, err);
  if (rc == 0) {
    if (retry)
      tm_change_retry(t->engine, row.id, to, by ? by : t->options->by, tm_api_finished, &w);
    else
      tm_change_repin(t->engine, row.id, to, by ? by : t->options->by, tm_api_finished, &w);
    rc = tm_api_await(t, &w, err);
  }
  if (rc == 0 && !tm_control_is_paused(&row))
    rc = take_up(t, row.id, err);
  tm_closure_release(&to);
  tm_arena_free(&a);
  return rc;
}

/* -- examine ---------------------------------------------------------------------------- */

typedef struct examining {
  tidemill *t;
  tm_arena arena;
  tm_run_row row;
  const tm_json *opts;
  tm_json *out;
  tm_buf text; /* instead of out, of a document that is too large for a tree */
} examining;

static tm_json *document(examining *x, const char *schema) {
  x->out = tm_json_new_object(&x->arena);
  tm_json_set_str(&x->arena, x->out, "schema", schema);
  if (x->row.id)
    tm_json_set_str(&x->arena, x->out, "run", x->row.id);
  return x->out;
}

static void add_members(examining *x, const tm_json *from) {
  for (size_t i = 0; i < tm_json_len(from); i++) {
    const tm_json_member *m = tm_json_member_at(from, i);
    tm_json_set(&x->arena, x->out, m->key, &m->value);
  }
}

/* With other sources: what differs between these and the run's own stands beside the verdict.
 */
static int compare(examining *x, const tm_closure *with, tm_err *err) {
  tm_closure *own;
  if (tm_engine_closure(x->t->engine, x->row.closure, &own, err) < 0)
    return -1;
  tm_json_set_str(&x->arena, x->out, "from", own->hash.hex);
  tm_json_set_str(&x->arena, x->out, "to", with->hash.hex);
  add_members(x, tm_json_copy(&x->arena, tm_closure_changes(&x->arena, own, with)));
  tm_closure_release(&own);
  return 0;
}

static int replay(examining *x, tm_err *err) {
  const char *which = tm_json_get_str(x->opts, "sources");
  tm_closure *with = NULL;
  tm_verdict v;
  if (which && sources_named(x->t, &x->row, which, &with, err) < 0)
    return -1;
  int rc = tm_replay_check(&v, &x->arena, x->t->engine, x->row.id, with, err);
  if (rc == 0) {
    document(x, "tidemill.replay/1");
    add_members(x, v.told);
    if (with)
      rc = compare(x, with, err);
  }
  tm_closure_release(&with);
  return rc;
}

static int diff(examining *x, tm_err *err) {
  tm_closure *now = NULL;
  if (sources_named(x->t, &x->row, tm_json_get_str(x->opts, "sources"), &now, err) < 0)
    return -1;
  document(x, "tidemill.diff/1");
  int rc = compare(x, now, err);
  tm_closure_release(&now);
  return rc;
}

static int export_run(examining *x, tm_err *err) {
  bool redact = tm_json_bool(tm_json_get(x->opts, "redact"), false);
  return tm_capsule_export(&x->out, &x->arena, x->t->engine, x->row.id, redact, err);
}

static int check(examining *x, tm_err *err) {
  tm_json *found;
  if (tm_fsck(&found, &x->arena, x->t->engine, x->row.id, err) < 0)
    return -1;
  document(x, "tidemill.fsck/1");
  tm_json_set_bool(&x->arena, x->out, "ok", tm_json_len(tm_json_get(found, "findings")) == 0);
  add_members(x, found);
  return 0;
}

static int usage(examining *x, tm_err *err) {
  return tm_api_usage(&x->out, &x->arena, x->t, x->row.id, x->opts, err);
}

static int drift(examining *x, tm_err *err) {
  return tm_api_drift(&x->out, &x->arena, x->t, x->row.id ? &x->row : NULL, err);
}

static int models(examining *x, tm_err *err) {
  return tm_api_models(&x->out, &x->arena, x->t, err);
}

static int trace(examining *x, tm_err *err) {
  return tm_api_trace(&x->text, &x->arena, x->t, x->row.id, x->opts, err);
}

static int blame(examining *x, tm_err *err) {
  tm_json *o = document(x, "tidemill.blame/1");
  return tm_api_blame(o, &x->arena, x->t, &x->row, x->opts, err);
}

static int examine(examining *x, const char *run, const char *op, const char *opts,
                   tm_err *err) {
  static const struct {
    const char *op;
    int (*fn)(examining *x, tm_err *err);
    bool of_all; /* when no run is named */
  } ops[] = {{"replay", replay, false}, {"diff", diff, false},   {"export", export_run, false},
             {"fsck", check, true},     {"usage", usage, true},  {"drift", drift, true},
             {"models", models, true},  {"trace", trace, false}, {"blame", blame, false}};
  tm_json *o;
  size_t i = 0;
  while (i < sizeof ops / sizeof *ops && strcmp(ops[i].op, op) != 0)
    i++;
  if (i == sizeof ops / sizeof *ops)
    return tm_err_set(
        err, TM_USAGE,
        "there are replay, diff, export, fsck, usage, drift, models and trace, not \"%s\"", op);
  if (tm_api_json(&o, &x->arena, "the options", opts, SIZE_MAX, err) < 0)
    return -1;
  x->opts = o;
  if ((run || !ops[i].of_all) && tm_api_find_run(x->t, run, &x->arena, &x->row, err) < 0)
    return -1;
  return ops[i].fn(x, err);
}

static int give_text(tm_buf *text, char **out, size_t *len) {
  size_t size = text->len;
  if (len)
    *len = size;
  if (out)
    *out = tm_buf_take(text, &size);
  return 0;
}

int tidemill_examine(tidemill *t, const char *run, const char *op, const char *opts, char **out,
                     size_t *len) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  examining x = {.t = t};
  if (rc < 0)
    return rc;
  tm_arena_init(&x.arena, 0);
  if (examine(&x, run, op, opts, &err) < 0)
    rc = tm_api_fail(t, &err);
  else
    rc = x.out ? tm_api_give(x.out, out, len) : give_text(&x.text, out, len);
  tm_buf_free(&x.text);
  tm_arena_free(&x.arena);
  return rc;
}

/* -- fork
 * ---------------------------------------------------------------------------------------- */

/* The run's sources with some files as they are on disk now; NULL names: as they are. */
static int mixed_sources(tidemill *t, const tm_run_row *row, const tm_json *names,
                         tm_closure **out, tm_err *err) {
  tm_closure *disk = NULL, *made;
  if (tm_engine_closure(t->engine, row->closure, out, err) < 0 ||
      (names && tm_api_sources(t, &disk, err) < 0))
    return -1;
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < tm_json_len(names); i++) {
    const char *name = tm_json_str(tm_json_at(names, i), NULL);
    const tm_source *s = name ? tm_closure_file(disk, name) : NULL;
    if (!s) {
      rc = tm_err_set(err, TM_NOTFOUND,
                      "%s is no source of the project (such as prompts/NAME.prompt or "
                      "workflows/NAME.lua)",
                      name ? name : "a name in \"with\"");
      break;
    }
    made = tm_closure_with(*out, name, s->bytes, s->len);
    tm_closure_release(out);
    *out = made;
  }
  tm_closure_release(&disk);
  return rc;
}

static int start_fork(tidemill *t, const char *run, const tm_json *o, tm_api_waiting *w,
                      tm_arena *a, tm_err *err) {
  tm_run_row row;
  tm_closure *sources = NULL;
  const tm_json *edit = tm_json_get(o, "edit");
  const tm_json_member *edited = tm_json_len(edit) ? tm_json_member_at(edit, 0) : NULL;
  if (tm_api_find_run(t, run, a, &row, err) < 0)
    return -1;
  if (tm_json_len(edit) > 1)
    return tm_err_set(err, TM_USAGE, "a fork changes one result, \"edit\" has %zu",
                      tm_json_len(edit));
  int rc = mixed_sources(t, &row, tm_json_get(o, "with"), &sources, err);
  if (rc == 0) {
    tm_fork how = {.id = tm_json_get_str(o, "id"),
                   .from = tm_json_get_str(o, "from"),
                   .closure = sources,
                   .edited = edited ? edited->key : NULL,
                   .result = edited ? &edited->value : NULL};
    tm_change_fork(t->engine, row.id, &how, tm_api_finished, w);
    rc = tm_api_await(t, w, err);
  }
  tm_closure_release(&sources);
  return rc == 0 ? take_up(t, w->id, err) : -1;
}

int tidemill_fork(tidemill *t, const char *run, const char *opts, char **id) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o;
  tm_api_waiting w = {0};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  rc = tm_api_json(&o, &a, "the options", opts, SIZE_MAX, &err);
  if (rc == 0)
    rc = start_fork(t, run, o, &w, &a, &err);
  if (rc == 0 && id)
    *id = tm_strdup(w.id);
  tm_arena_free(&a);
  return rc < 0 ? tm_api_fail(t, &err) : 0;
}

/* -- import
 * -------------------------------------------------------------------------------------- */

int tidemill_import(tidemill *t, const char *capsule, size_t len, char **id) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_json *o;
  tm_api_waiting w = {0};
  tm_json_opts deep = {.max_depth = TM_JSON_DEPTH + 16, .max_bytes = TM_JSON_BYTES_MAX};
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  rc = tm_json_parse(&o, &a, capsule, len == SIZE_MAX ? strlen(capsule) : len, &deep, &err);
  if (rc < 0) {
    tm_err_wrap(&err, "this is no run capsule");
  } else {
    tm_capsule_import(t->engine, o, tm_api_finished, &w);
    rc = tm_api_await(t, &w, &err);
  }
  if (rc == 0 && id)
    *id = tm_strdup(w.id);
  tm_arena_free(&a);
  return rc < 0 ? tm_api_fail(t, &err) : 0;
}
