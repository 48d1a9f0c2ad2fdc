/* cli_run.c - the commands that move runs: run, start, approve, reject, resolve, signal,
 * result.
 */
#include <stdio.h>
#include <string.h>

#include "face/cli.h"

/* "workflows/triage.lua", as the shell completes it, means triage. */
static const char *workflow_name(tm_cli *c, const char *arg) {
  size_t len = strlen(arg);
  if (len < 5 || strcmp(arg + len - 4, ".lua") != 0)
    return arg;
  const char *slash = strrchr(arg, '/'), *name = slash ? slash + 1 : arg;
  return tm_arena_strndup(&c->arena, name, len - 4 - (size_t)(name - arg));
}

/* Start the workflow of the command line; its id in the arena. 0 or the exit code. */
static int start(tm_cli *c, const char **id) {
  const char *input = "{}";
  size_t len = 2;
  int code;
  if (tm_cli_has(c, TM_FLAG_INPUT) && (code = tm_cli_read_json(c, TM_FLAG_INPUT, &input, &len)))
    return code;
  if ((code = tm_cli_open(c)))
    return code;
  tm_json *opts = tm_json_new_object(&c->arena);
  if (tm_cli_has(c, TM_FLAG_ID))
    tm_json_set_str(&c->arena, opts, "id", c->value[TM_FLAG_ID]);
  char *got = NULL;
  int rc = tidemill_start(c->engine, workflow_name(c, c->args[0]), input, len,
                          tm_json_text(&c->arena, opts, NULL), &got);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  *id = tm_arena_strdup(&c->arena, got);
  tidemill_free(got);
  return 0;
}

int tm_cli_run(tm_cli *c) {
  const char *id = NULL;
  int code = start(c, &id);
  return code ? code : tm_cli_follow(c, id);
}

int tm_cli_start(tm_cli *c) {
  const char *id = NULL;
  int code = start(c, &id);
  if (code)
    return code;
  if (!tm_cli_has(c, TM_FLAG_JSON)) {
    printf("%s\n", id);
    return 0;
  }
  const tm_json *info = tm_cli_get(c, id, &code);
  if (info)
    tm_cli_print_value(c, info, false);
  return code;
}

int tm_cli_full_id(tm_cli *c, const char **id) {
  int code = 0;
  const tm_json *info = tm_cli_get(c, c->args[0], &code);
  const char *found = tm_json_get_str(info, "id");
  *id = found ? found : c->args[0];
  return code;
}

/* {note?, answer?} of the flags, as JSON text. 0 or the exit code. */
static int decision(tm_cli *c, const char **opts) {
  const char *answer = NULL;
  size_t len = 0;
  int code;
  tm_json *o = tm_json_new_object(&c->arena), *value = NULL;
  if (tm_cli_has(c, TM_FLAG_NOTE))
    tm_json_set_str(&c->arena, o, "note", c->value[TM_FLAG_NOTE]);
  if (tm_cli_has(c, TM_FLAG_ANSWER)) {
    tm_err err = TM_ERR_INIT;
    if ((code = tm_cli_read_json(c, TM_FLAG_ANSWER, &answer, &len)))
      return code;
    if (tm_json_parse(&value, &c->arena, answer, len, NULL, &err) == 0)
      tm_json_set(&c->arena, o, "answer", value);
  }
  *opts = tm_json_text(&c->arena, o, NULL);
  return 0;
}

/* Take the run up and follow it. One that has ended is told as it ended; one that another
 * living process follows goes on there. */
int tm_cli_go_on(tm_cli *c, const char *id) {
  int rc = tidemill_control(c->engine, id, "resume", NULL);
  if (rc == TIDEMILL_ECONFLICT) {
    const char *why = tm_arena_strdup(&c->arena, tidemill_errmsg(c->engine));
    rc = tidemill_run(c->engine, id, 0);
    return rc == TIDEMILL_EWAITING ? tm_cli_fail(c, 5, "%s", why) : tm_cli_conclude(c, id, rc);
  }
  return rc < 0 ? tm_cli_api_fail(c, rc) : tm_cli_follow(c, id);
}

/* What was said to a paused run is kept: only `resume` lifts a pause. */
static bool rests(tm_cli *c, const char *id) {
  int code = 0;
  if (!tm_cli_is_paused(tm_cli_get(c, id, &code)))
    return false;
  tm_cli_note(c, "run %s is paused: it hears of this when it goes on (`tidemill resume %s`)",
              id, id);
  return true;
}

static int decide(tm_cli *c, int (*op)(tidemill *, const char *, const char *, const char *)) {
  const char *opts = NULL, *id = NULL;
  int code = decision(c, &opts);
  if (code || (code = tm_cli_open(c)) || (code = tm_cli_full_id(c, &id)))
    return code;
  int rc = op(c->engine, id, c->arg_count > 1 ? c->args[1] : NULL, opts);
  return rc < 0 ? tm_cli_api_fail(c, rc) : rests(c, id) ? 8 : tm_cli_go_on(c, id);
}

int tm_cli_approve(tm_cli *c) {
  return decide(c, tidemill_approve);
}

int tm_cli_reject(tm_cli *c) {
  return decide(c, tidemill_reject);
}

int tm_cli_resolve(tm_cli *c) {
  const char *opts = NULL, *id = NULL, *result = NULL;
  size_t len = 0;
  bool applied = tm_cli_has(c, TM_FLAG_APPLIED);
  if (applied == tm_cli_has(c, TM_FLAG_NOTAPPLIED))
    return tm_cli_fail(c, 2,
                       "say one of --applied JSON (it happened; its result) and "
                       "--not-applied (it did not; do it now)");
  int code = decision(c, &opts);
  if (code || (applied && (code = tm_cli_read_json(c, TM_FLAG_APPLIED, &result, &len))) ||
      (code = tm_cli_open(c)) || (code = tm_cli_full_id(c, &id)))
    return code;
  int rc =
      tidemill_resolve(c->engine, id, c->arg_count > 1 ? c->args[1] : NULL, result, len, opts);
  return rc < 0 ? tm_cli_api_fail(c, rc) : rests(c, id) ? 8 : tm_cli_go_on(c, id);
}

/* Nothing goes on here: it was told before, and the run has ended since; or it is elsewhere. */
static void tell_where(tm_cli *c, const char *id) {
  int code = 0;
  const char *state = tm_json_get_str(tm_cli_get(c, id, &code), "state");
  bool goes_on = state && (strcmp(state, "running") == 0 || strcmp(state, "waiting") == 0 ||
                           strcmp(state, "queued") == 0);
  if (goes_on)
    tm_cli_note(c, "run %s has the event; another process goes on with it", id);
  else
    tm_cli_note(c, "run %s has had this event before, and is %s now", id, state ? state : "?");
}

/* It is told. Whoever has the run goes on with it; when nobody does, it goes on here. */
static int tell_and_go_on(tm_cli *c, const char *first) {
  const char *id = tm_cli_latest(c, first);
  if (rests(c, id))
    return 0;
  int rc = tidemill_control(c->engine, id, "resume", NULL);
  if (rc == TIDEMILL_ECONFLICT) {
    tell_where(c, id);
    return 0;
  }
  int code = rc < 0 ? tm_cli_api_fail(c, rc) : tm_cli_follow(c, id);
  return code == 8 ? 0 : code; /* that it waits for something else is no failure of the event */
}

int tm_cli_signal(tm_cli *c) {
  const char *payload = NULL, *id = NULL;
  size_t len = 0;
  int code;
  if (tm_cli_has(c, TM_FLAG_PAYLOAD) &&
      (code = tm_cli_read_json(c, TM_FLAG_PAYLOAD, &payload, &len)))
    return code;
  if ((code = tm_cli_open(c)) || (code = tm_cli_full_id(c, &id)))
    return code;
  tm_json *opts = tm_json_new_object(&c->arena);
  if (tm_cli_has(c, TM_FLAG_DELIVERY))
    tm_json_set_str(&c->arena, opts, "id", c->value[TM_FLAG_DELIVERY]);
  int rc = tidemill_signal(c->engine, id, c->args[1], payload, len,
                           tm_json_text(&c->arena, opts, NULL));
  return rc < 0 ? tm_cli_api_fail(c, rc) : tell_and_go_on(c, id);
}

int tm_cli_result(tm_cli *c) {
  int code = tm_cli_open(c);
  return code ? code : tm_cli_print_result(c, c->args[0]);
}
