/* cli_list.c - tables: list and gates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "face/cli.h"

/* Milliseconds since 1970 of a time member, which the API gives as text. */
static int64_t time_at(const tm_json *object, const char *key) {
  return tm_cli_text_time(tm_json_get_str(object, key));
}

/* "3 min ago", "in 2 d", or nothing for no time. */
static void put_relative(tm_buf *out, int64_t at) {
  if (at <= 0)
    return;
  int64_t ms = at - tm_clock_wall(&tm_clock_system);
  if (ms > 0)
    tm_buf_puts(out, "in ");
  tm_cli_text_duration(out, ms < 0 ? -ms : ms);
  if (ms <= 0)
    tm_buf_puts(out, " ago");
}

/* A run's reason in few words: [{"for":"gate","name":"triage","place":"4"}] -> "gate triage";
 * "key k of pay (run r)". */
static void put_reason(tm_buf *out, const tm_json *reason) {
  for (size_t i = 0; i < tm_json_len(reason); i++) {
    const tm_json *r = tm_json_at(reason, i);
    const char *what = tm_json_get_str(r, "for"), *name = tm_json_get_str(r, "name");
    if (!what)
      return;
    tm_buf_printf(out, "%s%s", i > 0 ? ", " : "", what);
    if (strcmp(what, "key") == 0)
      tm_buf_printf(out, " %s of", tm_json_get_str(r, "key"));
    if (name && *name && strcmp(name, what) != 0)
      tm_buf_printf(out, " %s", name);
    if (tm_json_get(r, "run"))
      tm_buf_printf(out, " (run %s)", tm_json_get_str(r, "run"));
    if (tm_json_get(r, "until")) {
      tm_buf_putc(out, ' ');
      put_relative(out, time_at(r, "until"));
    }
  }
}

static void print_run(tm_cli *c, const tm_json *run) {
  tm_buf b = TM_BUF_INIT, cell = TM_BUF_INIT;
  tm_cli_text_cell(&b, tm_json_get_str(run, "id"), 16, true);
  tm_buf_puts(&b, "  ");
  tm_cli_text_cell(&b, tm_json_get_str(run, "state"), 9, true);
  tm_buf_puts(&b, "  ");
  tm_cli_text_cell(&b, tm_json_get_str(run, "workflow"), 24, true);
  tm_buf_puts(&b, "  ");
  put_relative(&cell, time_at(run, "updated"));
  tm_cli_text_cell(&b, tm_buf_str(&cell), 11, true);
  tm_buf_puts(&b, "  ");
  tm_buf_reset(&cell);
  put_reason(&cell, tm_json_get(run, "reason"));
  tm_cli_text_cell(&b, tm_buf_str(&cell), 60, false);
  while (b.len > 0 && b.data[b.len - 1] == ' ')
    b.len--;
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  putchar('\n');
  tm_buf_free(&cell);
  tm_buf_free(&b);
}

static int bad_state(tm_cli *c, const char *state) {
  static const char *const states[] = {"queued", "running",   "waiting", "done",
                                       "failed", "cancelled", "diverged"};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (strcmp(state, states[i]) == 0)
      return 0;
  return tm_cli_fail(c, 2,
                     "--state '%s': a run is queued, running, waiting, done, failed, cancelled "
                     "or diverged",
                     state);
}

/* The filter of the flags; 0 or the exit code. */
static int list_filter(tm_cli *c, const char **filter) {
  tm_json *f = tm_json_new_object(&c->arena);
  if (tm_cli_has(c, TM_FLAG_STATE) && bad_state(c, c->value[TM_FLAG_STATE]))
    return 2;
  if (tm_cli_has(c, TM_FLAG_STATE))
    tm_json_set_str(&c->arena, f, "state", c->value[TM_FLAG_STATE]);
  if (tm_cli_has(c, TM_FLAG_WORKFLOW))
    tm_json_set_str(&c->arena, f, "workflow", c->value[TM_FLAG_WORKFLOW]);
  const char *limit = c->value[TM_FLAG_LIMIT];
  char *end = NULL;
  long n = limit ? strtol(limit, &end, 10) : 20;
  if (n < 1 || (end && *end))
    return tm_cli_fail(c, 2, "--limit '%s': expected a number from 1", limit);
  if (!tm_cli_has(c, TM_FLAG_ALL))
    tm_json_set_int(&c->arena, f, "limit", n);
  *filter = tm_json_text(&c->arena, f, NULL);
  return 0;
}

int tm_cli_list(tm_cli *c) {
  const char *filter = NULL;
  char *text = NULL;
  size_t len = 0;
  int code = list_filter(c, &filter);
  if (code || (code = tm_cli_open(c)))
    return code;
  int rc = tidemill_list(c->engine, filter, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len), *runs = tm_json_get(answer, "runs");
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, answer, false);
    return 0;
  }
  if (tm_json_len(runs) == 0)
    tm_cli_note(c, "no runs");
  for (size_t i = 0; i < tm_json_len(runs); i++)
    print_run(c, tm_json_at(runs, i));
  return 0;
}

/* -- gates ----------------------------------------------------------------------------- */

static void put_labelled(tm_buf *out, const char *label, const tm_json *v) {
  if (!v || tm_json_type_of(v) == TM_JSON_NULL)
    return;
  tm_buf_printf(out, "  %-7s ", label);
  if (tm_json_str(v, NULL))
    tm_buf_puts(out, tm_json_str(v, NULL));
  else
    tm_json_print(out, v);
  tm_buf_putc(out, '\n');
}

static void print_gate(tm_cli *c, const tm_json *gates, size_t i) {
  const tm_json *gate = tm_json_at(gates, i);
  const char *state = tm_json_get_str(gate, "state"), *name = tm_json_get_str(gate, "name");
  bool open = !state || strcmp(state, "open") == 0;
  tm_buf b = TM_BUF_INIT;
  tm_buf_printf(&b, "%s  run %s", name ? name : "?", tm_json_get_str(gate, "run"));
  if (tm_json_get_str(gate, "workflow"))
    tm_buf_printf(&b, " (%s)", tm_json_get_str(gate, "workflow"));
  tm_buf_puts(&b, "  opened ");
  put_relative(&b, time_at(gate, "opened"));
  if (open && time_at(gate, "expires") > 0) {
    tm_buf_puts(&b, ", expires ");
    put_relative(&b, time_at(gate, "expires"));
  }
  if (!open)
    tm_buf_printf(&b, "  %s%s%s", state, tm_json_get_str(gate, "by") ? " by " : "",
                  tm_json_get_str(gate, "by") ? tm_json_get_str(gate, "by") : "");
  tm_buf_putc(&b, '\n');
  put_labelled(&b, "ask", tm_json_get(gate, "ask"));
  put_labelled(&b, "show", tm_json_get(gate, "show"));
  put_labelled(&b, "answer", tm_json_get(gate, "answer"));
  if (!open)
    put_labelled(&b, "decided", tm_json_get(gate, "decision"));
  else
    tm_cli_gate_commands(c, &b, gates, i);
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

int tm_cli_gates(tm_cli *c) {
  int code = tm_cli_open(c);
  if (code)
    return code;
  tm_json *filter = tm_json_new_object(&c->arena);
  if (c->arg_count > 0) {
    const tm_json *info = tm_cli_get(c, c->args[0], &code);
    if (!info)
      return code;
    tm_json_set_str(&c->arena, filter, "run", tm_json_get_str(info, "id"));
  }
  if (tm_cli_has(c, TM_FLAG_DECIDED))
    tm_json_set_bool(&c->arena, filter, "all", true);
  char *text = NULL;
  size_t len = 0;
  int rc = tidemill_gates(c->engine, tm_json_text(&c->arena, filter, NULL), &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len), *gates = tm_json_get(answer, "gates");
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, answer, false);
    return 0;
  }
  if (tm_json_len(gates) == 0)
    tm_cli_note(c, "no open gates");
  for (size_t i = 0; i < tm_json_len(gates); i++)
    print_gate(c, gates, i);
  return 0;
}
