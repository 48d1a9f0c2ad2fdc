/* cli_orders.c - the commands that stop runs and let them go on: resume, cancel, terminate,
 * pause.
 */
#include <stdio.h>
#include <string.h>

#include "face/cli.h"

#define SLICE_MS     50
#define ELSEWHERE_MS 5000 /* how long to wait for another process to carry an order out */

static bool is_state(const tm_json *info, const char *state) {
  const char *is = tm_json_get_str(info, "state");
  return is && strcmp(is, state) == 0;
}

bool tm_cli_is_paused(const tm_json *info) {
  const char *why = tm_json_get_str(tm_json_at(tm_json_get(info, "reason"), 0), "for");
  return is_state(info, "waiting") && why && strcmp(why, "pause") == 0;
}

/* -- resume ---------------------------------------------------------------------------- */

static const tm_json *unfinished(tm_cli *c) {
  char *text = NULL;
  size_t len = 0;
  if (tidemill_list(c->engine, "{\"unfinished\":true}", &text, &len) < 0)
    return NULL;
  return tm_json_get(tm_cli_take(c, text, len), "runs");
}

/* One line for each run of the list, as it stands now; 1 when one of them failed. */
static int tell_states(tm_cli *c, const tm_json *runs) {
  int code = 0, worst = 0;
  for (size_t i = 0; i < tm_json_len(runs); i++) {
    const char *id = tm_json_get_str(tm_json_at(runs, i), "id");
    const tm_json *info = id ? tm_cli_get(c, id, &code) : NULL;
    const char *state = tm_json_get_str(info, "state"),
               *flow = tm_json_get_str(info, "workflow");
    if (tm_cli_has(c, TM_FLAG_JSON) && info)
      tm_cli_print_value(c, info, false);
    else
      printf("%s  %-9s  %s\n", id ? id : "?",
             tm_cli_is_paused(info) ? "paused"
             : state                ? state
                                    : "?",
             flow ? flow : "");
    if (state && (strcmp(state, "failed") == 0 || strcmp(state, "diverged") == 0))
      worst = 1;
  }
  return worst;
}

/* {workflow?, all?, note?} of the flags. */
static tm_json *many(tm_cli *c) {
  tm_json *o = tm_json_new_object(&c->arena);
  if (tm_cli_has(c, TM_FLAG_WORKFLOW))
    tm_json_set_str(&c->arena, o, "workflow", c->value[TM_FLAG_WORKFLOW]);
  if (tm_cli_has(c, TM_FLAG_WHOLE))
    tm_json_set_bool(&c->arena, o, "all", true);
  if (tm_cli_has(c, TM_FLAG_NOTE))
    tm_json_set_str(&c->arena, o, "note", c->value[TM_FLAG_NOTE]);
  return o;
}

/* ID, --workflow and --all: how many are said. */
static int said(const tm_cli *c) {
  return (c->arg_count > 0) + tm_cli_has(c, TM_FLAG_WORKFLOW) + tm_cli_has(c, TM_FLAG_WHOLE);
}

static int resume_all(tm_cli *c) {
  const tm_json *runs = unfinished(c);
  const char *opts = tm_json_text(&c->arena, many(c), NULL);
  int rc = tidemill_control(c->engine, NULL, "resume", opts);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  if (tm_json_len(runs) == 0) {
    tm_cli_note(c, "nothing to resume: every run has ended");
    return 0;
  }
  rc = tm_cli_drive(c, NULL);
  int worst = tell_states(c, runs);
  return rc > 0 ? rc : worst;
}

int tm_cli_resume(tm_cli *c) {
  const char *id = NULL;
  if (said(c) > 1)
    return tm_cli_fail(c, 2, "say one of ID, --workflow NAME and --all");
  int code = tm_cli_open(c);
  if (code)
    return code;
  if (c->arg_count == 0)
    return resume_all(c);
  return (code = tm_cli_full_id(c, &id)) ? code : tm_cli_go_on(c, id);
}

/* -- cancel, terminate, pause --------------------------------------------------------- */

static bool goes_on(const tm_json *info) {
  return is_state(info, "running") || is_state(info, "waiting") || is_state(info, "queued");
}

/* The order is carried out here, or by the process that has the run, which sees it within a
 * moment; what is under way in it ends first. The run as it is then; NULL: an error was told. */
static const tm_json *see_through(tm_cli *c, const char *id, bool pause, int *code) {
  int rc = tm_cli_drive(c, id);
  const tm_json *info = tm_cli_get(c, id, code);
  for (int i = 0; info && rc <= 0 && i < ELSEWHERE_MS / SLICE_MS; i++) {
    if (pause ? tm_cli_is_paused(info) || !goes_on(info) : !goes_on(info))
      break;
    tidemill_dispatch(c->engine, SLICE_MS);
    info = tm_cli_get(c, id, code);
  }
  *code = rc > 0 ? rc : *code;
  return info;
}

static int order(tm_cli *c, const char *op, bool pause) {
  const char *id = NULL;
  int code = tm_cli_open(c);
  if (code || (code = tm_cli_full_id(c, &id)))
    return code;
  const char *opts = tm_json_text(&c->arena, many(c), NULL);
  int rc = tidemill_control(c->engine, id, op, opts);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *info = see_through(c, id, pause, &code);
  if (!info)
    return code;
  if (!pause && !goes_on(info) && (rc = tm_cli_drive(c, NULL)) > 0) /* its children */
    return rc;
  if (tm_cli_has(c, TM_FLAG_JSON))
    tm_cli_print_value(c, info, false);
  if (pause ? tm_cli_is_paused(info) : is_state(info, "cancelled"))
    return 0;
  tm_cli_note(c, "run %s was asked to %s; it is %s", id, op, tm_json_get_str(info, "state"));
  return code;
}

int tm_cli_cancel(tm_cli *c) {
  return order(c, "cancel", false);
}

int tm_cli_terminate(tm_cli *c) {
  return order(c, "terminate", false);
}

int tm_cli_pause(tm_cli *c) {
  if (said(c) != 1)
    return tm_cli_fail(c, 2, "say one of ID, --workflow NAME and --all");
  if (c->arg_count > 0)
    return order(c, "pause", true);
  int code = tm_cli_open(c);
  if (code)
    return code;
  int rc = tidemill_control(c->engine, NULL, "pause", tm_json_text(&c->arena, many(c), NULL));
  return rc < 0 ? tm_cli_api_fail(c, rc) : 0;
}
