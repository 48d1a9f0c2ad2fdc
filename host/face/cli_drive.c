/* cli_drive.c - following a run: drive it, and say what became of it.
 *
 * The engine works in slices of a tenth of a second: between them the progress is redrawn and a
 * signal is seen. Following ends when the run does, or when a person has the next move: also at
 * a gate with a deadline, for which the engine alone would wait. A run that only sleeps is
 * followed.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "face/cli.h"
#include "face/waits.h"

#define SLICE_MS 100

/* The one thing a signal handler can reach; one program follows one run. */
static volatile sig_atomic_t signalled;

static void on_signal(int number) {
  signalled = number;
}

/* The first signal is taken as a wish, the second one by the system's default. */
static void catch_signals(void) {
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGINT, &sa, NULL);
  sigaction(SIGTERM, &sa, NULL);
}

typedef struct following {
  tm_cli *cli;
  const char *run; /* NULL: all */
  tm_progress *progress;
  bool at_gate;        /* the run's last word was that it waits at a gate */
  bool heard;          /* something happened in this slice */
  int64_t end;         /* when --timeout is over, monotonic ms; -1: never */
  const char **others; /* runs that were woken or started; in the arena of the command */
  size_t other_count;
} following;

static bool has_gate(const tm_json *reason) {
  for (size_t i = 0; i < tm_json_len(reason); i++) {
    const char *what = tm_json_get_str(tm_json_at(reason, i), "for");
    if (what && strcmp(what, "gate") == 0)
      return true;
  }
  return false;
}

/* Anything for this run is done here; what is brought on beside it is noted. */
static void note_other(following *f, const char *event, const char *run) {
  bool brought = strcmp(event, "run.woken") == 0 || strcmp(event, "run.started") == 0;
  if (!brought || strcmp(run, f->run) == 0)
    return;
  for (size_t i = 0; i < f->other_count; i++)
    if (strcmp(f->others[i], run) == 0)
      return;
  const char **more = tm_arena_array(&f->cli->arena, const char *, f->other_count + 1);
  if (f->other_count)
    memcpy(more, f->others, f->other_count * sizeof *more);
  more[f->other_count++] = tm_arena_strdup(&f->cli->arena, run);
  f->others = more;
}

static void on_event(void *user, const char *json, size_t len) {
  following *f = user;
  f->heard = true;
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_json *e;
  tm_arena_init(&a, 0);
  if (tm_json_parse(&e, &a, json, len, NULL, &err) == 0) {
    const char *event = tm_json_get_str(e, "event"), *run = tm_json_get_str(e, "run");
    if (event && run && f->run && strcmp(run, f->run) == 0)
      f->at_gate = strcmp(event, "run.waiting") == 0 && has_gate(tm_json_get(e, "reason"));
    if (event && run && f->run)
      note_other(f, event, run);
    tm_progress_event(f->progress, e);
  }
  tm_arena_free(&a);
}

/* Of all runs: does each one that has not ended wait for a person or a clock? Asked only when
 * nothing was heard for a slice, for there may be many. */
static bool all_wait(tm_cli *c) {
  char *text = NULL;
  size_t len = 0;
  tm_arena a;
  tm_json *list = NULL;
  tm_err err = TM_ERR_INIT;
  bool wait = true;
  if (tidemill_list(c->engine, "{\"unfinished\":true}", &text, &len) < 0)
    return true;
  tm_arena_init(&a, 0);
  tm_json_parse(&list, &a, text, len, NULL, &err);
  const tm_json *runs = tm_json_get(list, "runs");
  for (size_t i = 0; wait && i < tm_json_len(runs); i++) {
    const char *state = tm_json_get_str(tm_json_at(runs, i), "state");
    wait = state && strcmp(state, "waiting") == 0;
  }
  tm_arena_free(&a);
  tidemill_free(text);
  return wait;
}

static int64_t now_ms(void) {
  return tm_clock_ns() / 1000000;
}

static int64_t end_of(const tm_cli *c) {
  return c->timeout_ms < 0 ? -1 : now_ms() + c->timeout_ms;
}

/* How long the next slice is; 0: the time is over. */
static int64_t slice_at(const following *f, int64_t at) {
  int64_t left = f->end < 0 ? SLICE_MS : f->end - at;
  return left < 0 ? 0 : left < SLICE_MS ? left : SLICE_MS;
}

static int slices(following *f) {
  tm_cli *c = f->cli;
  for (;;) {
    int64_t at = now_ms(), slice = slice_at(f, at);
    if (slice == 0)
      return TIDEMILL_EWAITING;
    f->heard = false;
    int rc = tidemill_run(c->engine, f->run, slice);
    if (rc != TIDEMILL_EWAITING)
      return rc;
    if (signalled)
      return 128 + signalled;
    if (now_ms() - at < slice / 2 || f->at_gate || (!f->run && !f->heard && all_wait(c)))
      return rc;
    tm_progress_tick(f->progress);
  }
}

static int drive(following *f) {
  tm_cli *c = f->cli;
  f->progress = tm_progress_new(c, f->run);
  tidemill_on_event(c->engine, on_event, f);
  catch_signals();
  int rc = slices(f);
  tidemill_on_event(c->engine, NULL, NULL);
  tm_progress_free(&f->progress);
  return rc;
}

int tm_cli_drive(tm_cli *c, const char *run) {
  following f = {.cli = c, .run = run, .end = end_of(c)};
  return drive(&f);
}

/* -- what it brought on ---------------------------------------------------------------- */

static bool waits(tm_cli *c, const char *run) {
  int code = 0;
  const char *state = tm_json_get_str(tm_cli_get(c, run, &code), "state");
  return state && strcmp(state, "waiting") == 0;
}

/* Until it ends or waits, whoever for. False: a signal came, or the time is over. */
static bool see_to(following *f, const char *run) {
  for (;;) {
    int64_t at = now_ms(), slice = slice_at(f, at);
    if (slice == 0 || signalled)
      return false;
    int rc = tidemill_run(f->cli->engine, run, slice);
    if (rc != TIDEMILL_EWAITING || waits(f->cli, run) || now_ms() - at < slice / 2)
      return true;
    tm_progress_tick(f->progress);
  }
}

static void see_to_others(following *f) {
  tm_cli *c = f->cli;
  f->progress = tm_progress_new(c, NULL);
  tidemill_on_event(c->engine, on_event, f);
  for (size_t i = 0; i < f->other_count; i++) /* each may bring on more */
    if (!see_to(f, f->others[i]))
      break;
  tidemill_on_event(c->engine, NULL, NULL);
  tm_progress_free(&f->progress);
}

int tm_cli_follow(tm_cli *c, const char *run) {
  following f = {.cli = c, .run = run, .end = end_of(c)};
  int rc = drive(&f), code = tm_cli_conclude(c, run, rc);
  if (rc <= 0 && f.other_count > 0)
    see_to_others(&f);
  return code;
}

/* -- what to type next ----------------------------------------------------------------- */

/* `tidemill` with the flags that found this project and database. */
static void own_name(tm_cli *c, tm_buf *out) {
  tm_buf_puts(out, "tidemill");
  static const struct {
    tm_cli_flag flag;
    const char *text;
  } kept[] = {{TM_FLAG_DIR, " -C "}, {TM_FLAG_DB, " --db "}};
  for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
    const char *value = c->value[kept[i].flag];
    if (value) {
      tm_buf_puts(out, kept[i].text);
      tm_cli_text_shell(out, value, strlen(value));
    }
  }
}

/* An answer to show in a command: the first choice of an enum, else a blank to fill. */
static void sample_answer(tm_buf *out, const tm_json *schema) {
  if (!schema || tm_json_type_of(schema) != TM_JSON_OBJECT)
    return;
  const tm_json *first = tm_json_at(tm_json_get(schema, "enum"), 0);
  const char *type = tm_json_get_str(schema, "type");
  tm_buf_puts(out, " --answer ");
  tm_buf value = TM_BUF_INIT;
  if (first)
    tm_json_print(&value, first);
  else
    tm_buf_puts(&value, type && strcmp(type, "string") == 0 ? "\"…\"" : "{…}");
  tm_cli_text_shell(out, tm_buf_str(&value), value.len);
  tm_buf_free(&value);
}

/* What to call the i-th gate: its name, or NAME@PLACE when its run has another one of that
 * name. */
static const char *word_of(const tm_json *gates, size_t i) {
  const tm_json *gate = tm_json_at(gates, i);
  const char *run = tm_json_get_str(gate, "run"), *name = tm_json_get_str(gate, "name");
  const char *id = tm_json_get_str(gate, "id");
  for (size_t j = 0; run && name && id && j < tm_json_len(gates); j++) {
    const char *r = tm_json_get_str(tm_json_at(gates, j), "run");
    const char *n = tm_json_get_str(tm_json_at(gates, j), "name");
    if (j != i && r && n && strcmp(r, run) == 0 && strcmp(n, name) == 0)
      return id + strlen(run) + 1;
  }
  return name ? name : "";
}

void tm_cli_gate_commands(tm_cli *c, tm_buf *out, const tm_json *gates, size_t i) {
  const tm_json *gate = tm_json_at(gates, i);
  const char *run = tm_json_get_str(gate, "run"), *word = word_of(gates, i);
  const char *kind = tm_json_get_str(gate, "kind");
  bool doubt = kind && strcmp(kind, "doubt") == 0;
  tm_buf line = TM_BUF_INIT;
  own_name(c, &line);
  tm_buf_printf(out, "  %s %s %s ", tm_buf_str(&line), doubt ? "resolve" : "approve",
                run ? run : "ID");
  tm_cli_text_shell(out, word, strlen(word));
  if (doubt)
    tm_buf_puts(out, " --applied '{…}'");
  else
    sample_answer(out, tm_json_get(gate, "answer"));
  tm_buf_printf(out, "\n  %s %s %s ", tm_buf_str(&line), doubt ? "resolve" : "reject",
                run ? run : "ID");
  tm_cli_text_shell(out, word, strlen(word));
  tm_buf_puts(out, doubt ? " --not-applied\n" : "\n");
  tm_buf_free(&line);
}

/* Every open gate of the run, with what to type; the number of them. */
static size_t tell_gates(tm_cli *c, const char *run) {
  tm_json *filter = tm_json_new_object(&c->arena);
  tm_json_set_str(&c->arena, filter, "run", run);
  char *text = NULL;
  size_t len = 0;
  if (tidemill_gates(c->engine, tm_json_text(&c->arena, filter, NULL), &text, &len) < 0)
    return 0;
  const tm_json *gates = tm_json_get(tm_cli_take(c, text, len), "gates");
  tm_buf b = TM_BUF_INIT;
  for (size_t i = 0; i < tm_json_len(gates); i++) {
    const tm_json *gate = tm_json_at(gates, i);
    const char *ask = tm_json_get_str(gate, "ask"), *name = tm_json_get_str(gate, "name");
    tm_buf_printf(&b, "run %s waits for a person at gate %s%s%s\n", run, name ? name : "?",
                  ask ? ": " : "", ask ? ask : "");
    tm_cli_gate_commands(c, &b, gates, i);
  }
  if (b.len > 0) {
    b.data[--b.len] = 0;
    tm_cli_note(c, "%s", tm_buf_str(&b));
  }
  tm_buf_free(&b);
  return tm_json_len(gates);
}

/* Of a model that sent us away: until when, and its words. */
static void put_reason(tm_buf *b, const tm_json *reason) {
  const tm_json *first = tm_json_at(reason, 0);
  const char *what = tm_json_get_str(first, "for"), *until = tm_json_get_str(first, "until");
  const char *message = tm_json_get_str(first, "message");
  if (what && until && message && strcmp(what, "backoff") == 0)
    tm_buf_printf(b, "it backs off until %s, because %s", until, message);
  else if (tm_json_len(reason) > 0) {
    tm_buf_puts(b, "it waits for ");
    tm_waits_put_all(b, reason);
  }
}

/* "everything is paused by ann: spring cleaning", and the operand of the `resume` that lifts it. */
static void put_pause(tm_buf *b, tm_buf *go, const char *run, const tm_json *pause) {
  const char *workflow = tm_json_get_str(pause, "workflow");
  const char *by = tm_json_get_str(pause, "by"), *note = tm_json_get_str(pause, "note");
  bool all = tm_json_bool(tm_json_get(pause, "all"), false);
  tm_buf_puts(b, all ? "everything" : workflow ? "workflow " : "it");
  tm_buf_printf(b, "%s is paused", workflow ? workflow : "");
  if (by && *by)
    tm_buf_printf(b, " by %s", by);
  if (note && *note)
    tm_buf_printf(b, ": %s", note);
  tm_buf_puts(go, all ? "--all" : workflow ? "--workflow " : run);
  tm_buf_puts(go, workflow ? workflow : "");
}

static void tell_waiting(tm_cli *c, const char *run, const tm_json *info) {
  if (tell_gates(c, run) > 0)
    return;
  tm_buf b = TM_BUF_INIT, go = TM_BUF_INIT;
  const tm_json *reason = tm_json_get(info, "reason"), *first = tm_json_at(reason, 0);
  const char *what = tm_json_get_str(first, "for");
  own_name(c, &go);
  tm_buf_puts(&go, " resume ");
  if (what && strcmp(what, "pause") == 0) {
    put_pause(&b, &go, run, first);
  } else {
    put_reason(&b, reason);
    tm_buf_puts(&go, run);
  }
  tm_cli_note(c, "run %s is still %s%s%s\n  %s", run,
              tm_json_get_str(info, "state") ? tm_json_get_str(info, "state") : "waiting",
              b.len ? ": " : "", tm_buf_str(&b), tm_buf_str(&go));
  tm_buf_free(&go);
  tm_buf_free(&b);
}

static int tell_detached(tm_cli *c, const char *run, int code) {
  tm_buf go = TM_BUF_INIT;
  own_name(c, &go);
  tm_cli_note(c, "left run %s in the journal; go on with\n  %s resume %s", run, tm_buf_str(&go),
              run);
  tm_buf_free(&go);
  return code;
}

/* -- the end --------------------------------------------------------------------------- */

int tm_cli_print_result(tm_cli *c, const char *run) {
  char *text = NULL;
  size_t len = 0;
  int rc = tidemill_result(c->engine, run, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  tm_cli_print_value(c, tm_cli_take(c, text, len), true);
  return 0;
}

const char *tm_cli_latest(tm_cli *c, const char *run) {
  for (;;) {
    int code = 0;
    const char *next = tm_json_get_str(tm_cli_get(c, run, &code), "continued");
    if (!next)
      return run;
    run = next;
  }
}

int tm_cli_conclude(tm_cli *c, const char *first, int rc) {
  int code = -rc;
  bool json = tm_cli_has(c, TM_FLAG_JSON);
  if (rc < 0 && rc != TIDEMILL_EWAITING)
    tm_cli_api_fail(c, rc); /* before the next call clears the message */
  const char *run = tm_cli_latest(c, first);
  if (rc > 0)
    return tell_detached(c, run, rc);
  if (json || rc == TIDEMILL_EWAITING) {
    const tm_json *info = tm_cli_get(c, run, &code);
    if (!info)
      return code;
    if (json)
      tm_cli_print_value(c, info, false);
    if (rc == TIDEMILL_EWAITING)
      tell_waiting(c, tm_json_get_str(info, "id") ? tm_json_get_str(info, "id") : run, info);
    return -rc;
  }
  return rc == TIDEMILL_OK ? tm_cli_print_result(c, run) : code;
}
