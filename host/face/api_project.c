/* api_project.c - prompts as they are on disk, and doctor: looking at a project without running
 * it.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/circle.h"
#include "engine/held.h"
#include "engine/owner.h"
#include "engine/wake.h"
#include "face/api.h"
#include "face/waits.h"

#define TOLD_MAX 20 /* runs that wait for keys, in one check of doctor */

/* -- prompts --------------------------------------------------------------------------- */

bool tm_api_unit_name(const char *file, char out[256]) {
  size_t n = strlen(file);
  const char *slash = strrchr(file, '/');
  if (strncmp(file, "prompts/", 8) != 0 || n < 16 || slash[1] == '_')
    return false;
  snprintf(out, 256, "%.*s", (int)(n - 8 - 7), file + 8);
  return true;
}

static tm_json *unit_json(tm_arena *a, const tm_prompt *p, const char *hash) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "name", p->name);
  tm_json_set_str(a, o, "hash", hash);
  tm_json_set_str(a, o, "model", p->model);
  const char *about = tm_json_get_str(p->meta, "description");
  tm_json_set_str(a, o, "about", about);
  if (p->input_schema)
    tm_json_set(a, o, "input", p->input_schema);
  if (p->output_schema)
    tm_json_set(a, o, "output", p->output_schema);
  tm_json_set(a, o, "config", p->config);
  tm_json_set(a, o, "settings", p->settings);
  return o;
}

static int list_units(tm_closure *c, tm_arena *a, tm_json **out, tm_err *err) {
  tm_json *list = tm_json_new_array(a);
  tm_program *program = tm_program_of(c);
  tm_map_entry *e;
  char name[256];
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));) {
    const tm_prompt *p;
    const char *hash;
    if (!tm_api_unit_name(e->key, name))
      continue;
    if (tm_program_unit(&p, &hash, program, name, err) < 0)
      return -1;
    tm_json_push(a, list, unit_json(a, p, hash));
  }
  *out = tm_json_new_object(a);
  tm_json_set_str(a, *out, "schema", "tidemill.prompts/1");
  tm_json_set(a, *out, "prompts", list);
  return 0;
}

static int show_unit(tm_closure *c, const char *name, tm_arena *a, tm_json **out, tm_err *err) {
  const tm_prompt *p;
  const char *hash;
  char file[300];
  if (tm_program_unit(&p, &hash, tm_program_of(c), name, err) < 0) {
    err->code = TM_NOTFOUND;
    return -1;
  }
  snprintf(file, sizeof file, "prompts/%s.prompt", name);
  const tm_source *src = tm_closure_file(c, file);
  *out = unit_json(a, p, hash);
  tm_json_set_str(a, *out, "schema", "tidemill.prompt/1");
  tm_json_set_str(a, *out, "file", file);
  if (tm_json_utf8_valid(src->bytes, src->len) == src->len)
    tm_json_set(a, *out, "source", tm_json_new_strn(a, src->bytes, src->len));
  return 0;
}

static int render_unit(tidemill *t, tm_closure *c, const char *name, const tm_json *vars,
                       tm_arena *a, tm_json **out, tm_err *err) {
  const tm_prompt *p;
  const char *hash;
  tm_json *request, *preview;
  tm_llm *llm;
  if (tm_program_unit(&p, &hash, tm_program_of(c), name, err) < 0 ||
      tm_request_build(&request, a, c, p, vars, NULL, err) < 0 ||
      tm_world_llm(t, &llm, err) < 0 || tm_llm_sketch(&preview, a, llm, request, err) < 0)
    return -1;
  *out = tm_json_new_object(a);
  tm_json_set_str(a, *out, "schema", "tidemill.render/1");
  tm_json_set_str(a, *out, "unit", name);
  tm_json_set_str(a, *out, "hash", hash);
  tm_json_set(a, *out, "model", tm_json_get(request, "model"));
  tm_json_set(a, *out, "messages", tm_json_get(request, "messages"));
  tm_json_set(a, *out, "request", preview);
  return 0;
}

int tidemill_prompt(tidemill *t, const char *op, const char *name, const char *input,
                    size_t len, char **out, size_t *len_out) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  tm_arena a;
  tm_closure *c = NULL;
  tm_json *vars, *o = NULL;
  if (rc < 0)
    return rc;
  tm_arena_init(&a, 0);
  rc = tm_api_sources(t, &c, &err);
  if (rc == 0)
    rc = tm_api_json(&vars, &a, "the input", input, len, &err);
  if (rc == 0 && strcmp(op, "list") == 0)
    rc = list_units(c, &a, &o, &err);
  else if (rc == 0 && name && strcmp(op, "show") == 0)
    rc = show_unit(c, name, &a, &o, &err);
  else if (rc == 0 && name && strcmp(op, "render") == 0)
    rc = render_unit(t, c, name, vars, &a, &o, &err);
  else if (rc == 0 && name && strcmp(op, "run") == 0)
    rc = tm_api_prompt_run(&o, &a, t, c, name, vars, &err);
  else if (rc == 0)
    rc = tm_err_set(&err, TM_USAGE,
                    "there is list, show NAME, render NAME and run NAME, not \"%s\"", op);
  rc = rc < 0 ? tm_api_fail(t, &err) : tm_api_give(o, out, len_out);
  tm_closure_release(&c);
  tm_arena_free(&a);
  return rc;
}

/* -- doctor
 * ------------------------------------------------------------------------------------ */

typedef struct examining {
  tidemill *t;
  tm_arena arena;
  tm_json *checks;
  bool ok;
  int found;
  tm_buf detail;
} examining;

static void report(examining *x, const char *name, bool ok, const char *detail,
                   const char *hint) {
  tm_arena *a = &x->arena;
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "name", name);
  tm_json_set_bool(a, o, "ok", ok);
  tm_json_set_str(a, o, "detail", detail);
  if (hint && !ok)
    tm_json_set_str(a, o, "hint", hint);
  tm_json_push(a, x->checks, o);
  x->ok = x->ok && ok;
}

static void examine_sources(examining *x) {
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  tm_json *units;
  int workflows = 0;
  tm_map_entry *e;
  if (tm_api_sources(x->t, &c, &err) < 0) {
    report(x, "project", false, err.msg, "check the folder given with -C");
    return;
  }
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));)
    workflows += strncmp(e->key, "workflows/", 10) == 0 && !strchr(e->key + 10, '/');
  report(x, "project", workflows > 0,
         tm_arena_printf(&x->arena, "%d workflows, %zu source files in %s", workflows,
                         c->files.count, x->t->options->dir),
         "`tidemill init` makes a first project");
  if (list_units(c, &x->arena, &units, &err) < 0)
    report(x, "prompts", false, err.msg, "mend the file that is named");
  else
    report(x, "prompts", true,
           tm_arena_printf(&x->arena, "%zu units, all valid",
                           tm_json_len(tm_json_get(units, "prompts"))),
           NULL);
  tm_closure_release(&c);
}

static void add_finding(void *ctx, const char *finding) {
  examining *x = ctx;
  tm_buf_printf(&x->detail, "%s%s", x->detail.len ? "; " : "", finding);
}

static void examine_store(examining *x) {
  tm_err err = TM_ERR_INIT;
  tm_buf_reset(&x->detail);
  int rc = x->t->store->vt->verify(x->t->store, add_finding, x, &err);
  report(x, "database", rc == 0,
         rc < 0   ? err.msg
         : rc > 0 ? tm_buf_str(&x->detail)
                  : tm_arena_printf(&x->arena, "%s is sound", x->t->options->db),
         "restore it from a backup, or find out who changed it");
}

/* Every unfinished run has a reason to wait, or a process that runs it. */
static int examine_run(void *ctx, const tm_run_row *row) {
  examining *x = ctx;
  bool owned = row->owner && *row->owner && tm_owner_alive(row->owner);
  bool waits = strcmp(row->state, "waiting") == 0 && row->reason && *row->reason;
  if (owned || waits)
    return 0;
  x->found++;
  tm_buf_printf(&x->detail, "%s%s (%s)", x->found > 1 ? ", " : "", row->id, row->workflow);
  return 0;
}

/* "run a waits for lock "x", held by run b; run b waits for …" */
static void examine_circles(examining *x) {
  tm_err err = TM_ERR_INIT;
  tm_json *stuck = NULL;
  int rc = tm_circle_find(&stuck, &x->arena, x->t->engine, &err);
  tm_buf_reset(&x->detail);
  for (size_t i = 0; i < tm_json_len(stuck); i++) {
    const tm_json *one = tm_json_at(stuck, i);
    tm_buf_printf(&x->detail, "%srun %s waits for ", i ? "; " : "",
                  tm_json_get_str(one, "run"));
    tm_waits_put_all(&x->detail, tm_json_get(one, "reason"));
  }
  if (rc < 0 || tm_json_len(stuck) > 0)
    report(x, "circles", false, rc < 0 ? err.msg : tm_buf_str(&x->detail),
           "they wait for each other, and none of them goes on: `tidemill cancel` one of them");
}

/* Whoever waits for a key of another run's action is told of: nobody need wonder. */
static int note_key(void *ctx, const tm_run_row *row) {
  examining *x = ctx;
  bool told = tm_held_says(row) && x->found < TOLD_MAX;
  const tm_json *reason = told ? tm_wake_reason(row, &x->arena) : NULL;
  if (!reason)
    return 0;
  tm_buf_printf(&x->detail, "; run %s waits for ", row->id);
  tm_waits_put_all(&x->detail, reason);
  x->found++;
  return 0;
}

static const char *with_keys(examining *x, const char *text) {
  tm_err err = TM_ERR_INIT;
  tm_run_filter f = {.state = "waiting"};
  tm_buf_reset(&x->detail);
  tm_buf_puts(&x->detail, text);
  x->found = 0;
  x->t->store->vt->runs(x->t->store, &f, note_key, x, &err);
  return err.code == TM_OK ? tm_buf_str(&x->detail) : tm_arena_strdup(&x->arena, err.msg);
}

static void examine_runs(examining *x) {
  tm_err err = TM_ERR_INIT;
  tm_run_filter f = {.unfinished = true};
  tm_buf_reset(&x->detail);
  x->found = 0;
  x->t->store->vt->runs(x->t->store, &f, examine_run, x, &err);
  bool fine = x->found == 0 && err.code == TM_OK;
  report(x, "runs", fine,
         err.code != TM_OK ? err.msg
         : fine            ? with_keys(x, "every unfinished run has a reason to wait")
                : tm_arena_printf(&x->arena, "stopped in the middle: %s", x->detail.data),
         "`tidemill resume` takes them up");
}

/* "openai (OPENAI_API_KEY: sk-...cdef)", "anthropic (set ANTHROPIC_API_KEY)", "scripted" */
static void tell_provider(tm_buf *out, const tm_json *p) {
  const char *env = tm_json_get_str(p, "key_env"), *key = tm_json_get_str(p, "key");
  tm_buf_printf(out, "%s%s", out->len ? ", " : "", tm_json_get_str(p, "provider"));
  if (env && key)
    tm_buf_printf(out, " (%s: %s)", env, key);
  else if (env && !tm_json_bool(tm_json_get(p, "ready"), false))
    tm_buf_printf(out, " (set %s)", env);
}

static void examine_models(examining *x) {
  tm_err err = TM_ERR_INIT;
  tm_llm *llm;
  if (tm_world_llm(x->t, &llm, &err) < 0) {
    report(x, "models", false, err.msg, NULL);
    return;
  }
  const tm_json *all = tm_llm_describe(llm, &x->arena);
  tm_buf_reset(&x->detail);
  for (size_t i = 0; i < tm_json_len(all); i++)
    tell_provider(&x->detail, tm_json_at(all, i));
  report(x, "models", true, tm_buf_str(&x->detail), NULL);
}

/* "openai/gpt-4.1: open, 31 of the last 40 attempts failed (server_error), until 07:05:33" */
static void tell_breaker(examining *x, const tm_json *lane, const tm_json *breaker) {
  const char *state = tm_json_get_str(breaker, "state"), *why = tm_json_get_str(breaker, "why");
  int64_t until = tm_json_int(tm_json_get(breaker, "until"), 0);
  char text[TM_CLOCK_TEXT];
  bool due = until <= tm_clock_wall(&x->t->clock);
  tm_clock_format(until, text);
  tm_buf_printf(&x->detail, "%s%s: %s, %s, ", x->detail.len ? "; " : "",
                tm_json_get_str(lane, "model"), state, why);
  if (due)
    tm_buf_puts(&x->detail, "the next call tries it");
  else
    tm_buf_printf(&x->detail, "not asked before %.8sZ", text + 11);
  x->found += !due;
}

static void time_as_text(tm_arena *a, tm_json *o, const char *key) {
  char text[TM_CLOCK_TEXT];
  if (!tm_json_get(o, key))
    return;
  tm_clock_format(tm_json_int(tm_json_get(o, key), 0), text);
  tm_json_set_str(a, o, key, text);
}

static tm_json *for_people(tm_arena *a, const tm_json *lanes) {
  tm_json *list = tm_json_new_array(a);
  for (size_t i = 0; i < tm_json_len(lanes); i++) {
    tm_json *lane = tm_json_copy(a, tm_json_at(lanes, i));
    tm_json *breaker = tm_json_copy(a, tm_json_get(lane, "breaker"));
    time_as_text(a, lane, "hold_until");
    time_as_text(a, breaker, "until");
    if (breaker)
      tm_json_set(a, lane, "breaker", breaker);
    tm_json_push(a, list, lane);
  }
  return list;
}

/* What holds back whom. An open breaker is a finding until its cool-down is over. */
static const tm_json *examine_limits(examining *x) {
  tm_err err = TM_ERR_INIT;
  tm_llm *llm;
  if (tm_world_llm(x->t, &llm, &err) < 0)
    return NULL;
  const tm_json *lanes = tm_llm_restraint(llm, &x->arena);
  tm_buf_reset(&x->detail);
  x->found = 0;
  for (size_t i = 0; i < tm_json_len(lanes); i++) {
    const tm_json *breaker = tm_json_get(tm_json_at(lanes, i), "breaker");
    if (breaker)
      tell_breaker(x, tm_json_at(lanes, i), breaker);
  }
  report(x, "breakers", x->found == 0,
         x->detail.len ? tm_arena_strdup(&x->arena, tm_buf_str(&x->detail)) : "all closed",
         "its calls end as unavailable, or go to their fallback, until it answers again");
  return for_people(&x->arena, lanes);
}

/* The last check is worth knowing, and no fault of the project: the doctor need not say no. */
static tm_json *flag(examining *x) {
  tm_json *check = (tm_json *)(uintptr_t)tm_json_at(x->checks, tm_json_len(x->checks) - 1);
  tm_json_set_bool(&x->arena, check, "flagged", true);
  return check;
}

static void examine_answers(examining *x) {
  tm_err err = TM_ERR_INIT;
  tm_json *drift;
  if (tm_api_drift(&drift, &x->arena, x->t, NULL, &err) < 0) {
    report(x, "answers", false, err.msg, "`tidemill doctor --deep` looks closer");
    return;
  }
  const tm_json *findings = tm_json_get(drift, "findings");
  size_t n = tm_json_len(findings);
  tm_buf_reset(&x->detail);
  for (size_t i = 0; i < n; i++)
    add_finding(x, tm_json_get_str(tm_json_at(findings, i), "message"));
  report(x, "answers", true,
         n ? tm_buf_str(&x->detail) : "every model that was asked answered itself, unchanged",
         NULL);
  if (n)
    tm_json_set(&x->arena, flag(x), "findings", findings);
}

static void examine_budgets(examining *x) {
  tm_err err = TM_ERR_INIT;
  bool used_up = false;
  if (!tm_json_len(x->t->options->budgets))
    return;
  tm_buf_reset(&x->detail);
  int rc = tm_budgets_tell(&used_up, &x->detail, &x->arena, x->t, &err);
  report(x, "budgets", rc == 0, rc == 0 ? tm_buf_str(&x->detail) : err.msg, NULL);
  if (used_up)
    flag(x);
}

int tidemill_doctor(tidemill *t, char **out, size_t *len) {
  int rc = tm_api_enter(t);
  if (rc < 0)
    return rc;
  examining x = {.t = t, .ok = true};
  tm_arena_init(&x.arena, 0);
  tm_json *o = tm_json_new_object(&x.arena);
  x.checks = tm_json_new_array(&x.arena);
  examine_sources(&x);
  examine_store(&x);
  examine_runs(&x);
  examine_circles(&x);
  examine_models(&x);
  const tm_json *lanes = examine_limits(&x);
  examine_answers(&x);
  examine_budgets(&x);
  tm_json_set_str(&x.arena, o, "schema", "tidemill.doctor/1");
  tm_json_set_bool(&x.arena, o, "ok", x.ok);
  tm_json_set(&x.arena, o, "checks", x.checks);
  if (lanes)
    tm_json_set(&x.arena, o, "limits", lanes);
  tm_api_give(o, out, len);
  tm_buf_free(&x.detail);
  tm_arena_free(&x.arena);
  return 0;
}
