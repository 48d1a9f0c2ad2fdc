/* api_blame.c - what stands behind a call: which files, with which bytes, and in which commit.
 *
 *   RUN#SEQ ─ record ─ its call ─ the sources at that time ─┬─ prompt, partials, schemas   hash
 *                                                           ├─ script and line             hash
 *                                                           └─ who named the model
 *   hash ─ git ─ commit, author, date, subject
 *
 * The bytes are those that the run keeps, so it makes no difference what became of the files since.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/api.h"
#include "face/git.h"

#define FORKS_UP 100

typedef struct blaming {
  tidemill *t;
  tm_arena *arena;
  tm_err *err;
  int64_t seq;                           /* of the record that was named */
  const char *place, *record, *name;     /* "" is the run itself */
  const char *workflow, *closure, *fork; /* fork: whose call it is, when it was copied */
  int64_t fork_seq, copied;
  const char *kind, *where, *step, *prompt;
  const tm_json *meta;
  const char *asked;
  bool ended; /* the call's result has been seen */
} blaming;

/* -- the call -------------------------------------------------------------------------- */

static const char *keep(blaming *x, const char *s) {
  return s && *s ? tm_arena_strdup(x->arena, s) : NULL;
}

static int see_named(void *ctx, const tm_record *r) {
  blaming *x = ctx;
  if (r->seq == x->seq) {
    x->place = tm_arena_strdup(x->arena, r->place ? r->place : "");
    x->record = tm_record_word(r->kind);
    x->name = keep(x, r->name);
  }
  return 1;
}

static void see_run(blaming *x, const tm_record *r, const tm_json *body) {
  const tm_json *fork = tm_json_get(body, "fork");
  if (r->kind == TM_RECORD_REPIN && r->seq < x->seq)
    x->closure = keep(x, tm_json_get_str(body, "now"));
  if (r->kind != TM_RECORD_START)
    return;
  x->workflow = keep(x, tm_json_get_str(body, "workflow"));
  x->closure = keep(x, tm_json_get_str(body, "closure"));
  x->fork = keep(x, tm_json_get_str(fork, "run"));
  x->fork_seq = tm_json_int(tm_json_get(fork, "seq"), 0);
  x->copied = tm_json_int(tm_json_get(fork, "copied"), 0);
}

static void see_call(blaming *x, const tm_record *r, const tm_json *body) {
  const tm_json *q = tm_json_get(body, "q");
  if (r->kind == TM_RECORD_ATTEMPT || r->kind == TM_RECORD_DECIDED)
    return; /* their kind may be a verb's */
  const char *kind = keep(x, tm_json_get_str(body, "k"));
  const char *where = keep(x, tm_json_get_str(body, "w"));
  const char *step = keep(x, tm_json_get_str(body, "s"));
  x->kind = kind ? kind : x->kind;
  x->where = where ? where : x->where;
  x->step = step ? step : x->step;
  if (q) {
    x->prompt = keep(x, tm_json_get_str(q, "prompt"));
    x->asked = keep(x, tm_json_get_str(q, "model"));
  }
  if (tm_json_get(body, "m"))
    x->meta = tm_json_copy(x->arena, tm_json_get(body, "m"));
}

/* Records at one place are of one call up to its result; behind that it is asked anew. */
static int see_record(void *ctx, const tm_record *r) {
  blaming *x = ctx;
  tm_arena a;
  tm_json *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  bool here = *x->place && r->place && strcmp(r->place, x->place) == 0;
  bool of_run = r->kind == TM_RECORD_START || r->kind == TM_RECORD_REPIN;
  if (r->seq > x->seq && (x->ended || !*x->place))
    return 1;
  if (!here && !of_run)
    return 0;
  tm_arena_init(&a, 0);
  int rc = tm_json_parse(&body, &a, r->body, r->body_len, &opts, x->err);
  if (rc == 0 && of_run)
    see_run(x, r, body);
  else if (rc == 0) {
    if (x->ended) {
      x->ended = false;
      x->meta = NULL;
    }
    see_call(x, r, body);
    x->ended =
        r->kind == TM_RECORD_DONE || r->kind == TM_RECORD_FAIL || r->kind == TM_RECORD_NOTE;
  }
  tm_arena_free(&a);
  return rc < 0;
}

static int read_journal(blaming *x, const char *run, int64_t from, tm_record_fn fn) {
  tm_store *s = x->t->store;
  return s->vt->journal(s, run, from, fn, x, x->err) < 0 || x->err->code != TM_OK ? -1 : 0;
}

static int find_call(blaming *x, const tm_run_row *row) {
  if (read_journal(x, row->id, x->seq, see_named) < 0)
    return -1;
  if (!x->place)
    return tm_err_set(x->err, TM_NOTFOUND,
                      "the run has %lld records; there is none with number %lld",
                      (long long)row->records, (long long)x->seq);
  return read_journal(x, row->id, 0, see_record);
}

/* A record that a fork copied was made on the sources of the run that it was copied from. */
static int find_sources(blaming *x, const char **shared) {
  blaming up = *x;
  *shared = NULL;
  for (int i = 0; i < FORKS_UP && up.fork && up.seq > 0 && up.seq <= up.copied; i++) {
    const char *run = up.fork;
    up = (blaming){
        .t = x->t, .arena = x->arena, .err = x->err, .place = "", .seq = up.fork_seq - 1};
    if (read_journal(&up, run, 0, see_record) < 0)
      return -1;
    if (!up.closure)
      break; /* it was taken away: the fork's own sources have to do */
    *shared = run;
    x->closure = up.closure;
  }
  return 0;
}

/* -- files ----------------------------------------------------------------------------- */

typedef struct telling {
  blaming *call;
  tm_closure *sources, *disk; /* disk: NULL when the project cannot be read */
  tm_git git;
  tm_git_state state;
  tm_json *files;
} telling;

static bool same(const char *a, const char *b) {
  return a && b && strcmp(a, b) == 0;
}

static const char *on_disk(const telling *y, const tm_source *s) {
  const tm_source *now = y->disk ? tm_closure_file(y->disk, s->name) : NULL;
  return !now ? "gone" : strcmp(now->hash.hex, s->hash.hex) == 0 ? "same" : "changed";
}

static tm_json *commit_json(tm_arena *a, const tm_git_commit *c) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "hash", c->hash);
  tm_json_set_str(a, o, "author", c->author);
  tm_json_set_str(a, o, "date", c->date);
  tm_json_set_str(a, o, "subject", c->subject);
  return o;
}

static void put_commit(telling *y, tm_json *o, const tm_source *s, const char *disk) {
  tm_arena *a = y->call->arena;
  tm_git_commit commit;
  bool found = false;
  if (y->state == TM_GIT_OK)
    y->state = tm_git_find(&commit, &found, &y->git, s->name, s->bytes, s->len);
  tm_json_set_str(a, o, "state",
                  y->state != TM_GIT_OK       ? "unknown"
                  : found                     ? "committed"
                  : strcmp(disk, "same") == 0 ? "uncommitted"
                                              : "nowhere");
  if (found)
    tm_json_set(a, o, "commit", commit_json(a, &commit));
}

static void put_file(telling *y, const char *role, const char *file, int64_t line) {
  const blaming *x = y->call;
  tm_arena *a = x->arena;
  const tm_source *s = tm_closure_file(y->sources, file);
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "role", role);
  tm_json_set_str(a, o, "file", file);
  if (line > 0)
    tm_json_set_int(a, o, "line", line);
  bool other = strcmp(role, "prompt") == 0 && s && x->prompt && !same(s->hash.hex, x->prompt);
  if (other) { /* these sources are not the call's: what it says itself counts */
    tm_json_set_str(a, o, "hash", x->prompt);
    tm_json_set_str(a, o, "state", "unknown");
  } else if (s) {
    const char *disk = on_disk(y, s);
    tm_json_set_str(a, o, "hash", s->hash.hex);
    tm_json_set_str(a, o, "disk", disk);
    put_commit(y, o, s, disk);
  }
  tm_json_push(a, y->files, o);
}

static const char *role_of(const char *file) {
  const char *slash = strrchr(file, '/');
  if (strncmp(file, "prompts/", 8) != 0)
    return "schema";
  return slash && slash[1] == '_' ? "partial" : "prompt";
}

static int put_unit(telling *y) {
  blaming *x = y->call;
  tm_json *names;
  if (tm_program_unit_files(&names, x->arena, tm_program_of(y->sources), x->name, x->err) < 0)
    return -1;
  for (size_t i = 0; i < tm_json_len(names); i++) {
    const char *file = tm_json_member_at(names, i)->key;
    put_file(y, role_of(file), file, 0);
  }
  return 0;
}

static void put_script(telling *y) {
  blaming *x = y->call;
  const char *colon = x->where ? strrchr(x->where, ':') : NULL;
  if (colon)
    put_file(y, "script", tm_arena_strndup(x->arena, x->where, (size_t)(colon - x->where)),
             strtoll(colon + 1, NULL, 10));
  else if (x->workflow)
    put_file(y, "script", tm_arena_printf(x->arena, "workflows/%s.lua", x->workflow), 0);
}

/* -- the model ------------------------------------------------------------------------- */

/* Who named the model, in the order in which they are heard (request.c). */
static const char *named_by(telling *y) {
  blaming *x = y->call;
  const tm_closure *c = y->sources;
  const tm_prompt *unit = NULL;
  const char *hash, *key = tm_arena_printf(x->arena, "?%s", x->name);
  tm_err ignored = TM_ERR_INIT;
  tm_program_unit(&unit, &hash, tm_program_of(y->sources), x->name, &ignored);
  const char *by_flag = tm_closure_model(c, x->name);
  const char *by_file = tm_json_get_str(c->models, key);
  const char *first = by_flag               ? by_flag
                      : by_file             ? by_file
                      : unit && unit->model ? unit->model
                                            : tm_json_get_str(c->models, "?");
  if (!same(first, x->asked))
    return "the script";
  return by_flag ? "--model" : !by_file && unit && unit->model ? "the prompt" : "tidemill.yaml";
}

static tm_json *model_json(telling *y) {
  blaming *x = y->call;
  tm_arena *a = x->arena;
  tm_json *o = tm_json_new_object(a);
  const tm_json *cached = tm_json_get(x->meta, "cached");
  tm_json_set_str(a, o, "asked", x->asked);
  tm_json_set_str(a, o, "named_by", named_by(y));
  tm_api_put_text(a, o, "last", tm_json_get_str(x->meta, "model"));
  tm_api_put_text(a, o, "answered", tm_json_get_str(x->meta, "model_answered"));
  tm_api_put_text(a, o, "provider", tm_json_get_str(x->meta, "provider"));
  tm_api_put_text(a, o, "fingerprint", tm_json_get_str(x->meta, "fingerprint"));
  tm_api_put_text(a, o, "from_run", tm_json_get_str(cached, "run"));
  return o;
}

/* -- the document ---------------------------------------------------------------------- */

static tm_json *git_json(telling *y) {
  static const char *const words[] = {"ok", "not_installed", "no_work_tree", "failed"};
  tm_arena *a = y->call->arena;
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "state", words[y->state]);
  if (y->state == TM_GIT_FAILED)
    tm_json_set_str(a, o, "message", y->git.why);
  return o;
}

static void put_facts(tm_json *o, blaming *x) {
  tm_arena *a = x->arena;
  tm_json_set_int(a, o, "seq", x->seq);
  tm_json_set_str(a, o, "record", x->record);
  tm_api_put_text(a, o, "place", x->place);
  tm_api_put_text(a, o, "kind", x->kind);
  tm_api_put_text(a, o, "name", x->name);
  tm_api_put_text(a, o, "step", x->step);
  tm_api_put_text(a, o, "sources", x->closure);
}

static int tell(tm_json *o, telling *y) {
  blaming *x = y->call;
  tm_arena *a = x->arena;
  bool of_a_unit = x->kind && strcmp(x->kind, "llm") == 0;
  tm_err ignored = TM_ERR_INIT;
  if (tm_engine_closure(x->t->engine, x->closure, &y->sources, x->err) < 0 ||
      tm_loop_open(&y->git.loop, x->err) < 0)
    return -1;
  tm_api_sources(x->t, &y->disk, &ignored);
  y->files = tm_json_new_array(a);
  y->state = tm_git_look(&y->git);
  if (of_a_unit && put_unit(y) < 0)
    return -1;
  put_script(y);
  tm_json_set(a, o, "files", y->files);
  if (x->asked)
    tm_json_set(a, o, "model", model_json(y));
  tm_json_set(a, o, "git", git_json(y));
  return 0;
}

int tm_api_blame(tm_json *out, tm_arena *a, tidemill *t, const tm_run_row *row,
                 const tm_json *opts, tm_err *err) {
  static const char *const known[] = {"seq", NULL};
  const char *shared;
  blaming x = {
      .t = t, .arena = a, .err = err, .seq = tm_json_int(tm_json_get(opts, "seq"), -1)};
  telling y = {.call = &x, .git = {.dir = t->options->dir ? t->options->dir : ".", .arena = a}};
  if (tm_api_members(opts, known, "the options of \"blame\"", err) < 0)
    return -1;
  if (x.seq < 0)
    return tm_err_set(err, TM_USAGE, "\"blame\" is about a record: {\"seq\": N}");
  if (find_call(&x, row) < 0 || find_sources(&x, &shared) < 0)
    return -1;
  put_facts(out, &x);
  tm_api_put_text(a, out, "shared", shared);
  int rc = tell(out, &y);
  tm_loop_close(&y.git.loop);
  tm_closure_release(&y.disk);
  tm_closure_release(&y.sources);
  return rc;
}
