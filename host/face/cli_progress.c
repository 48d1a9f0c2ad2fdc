/* cli_progress.c - events as lines on stderr.
 *
 * What has ended is a line that stays. On a terminal, what is under way stands below those
 * lines and is redrawn in place; elsewhere only the lines appear:
 *
 *     ✓ classify       llm     scripted/demo  12 ms
 *     ✗ draft_reply    llm     openai/gpt-6   rate limited; attempt 2 follows
 *     … pay_refund     action  0.4 s              <- redrawn
 *
 * Names and messages come from scripts and models: all of them go through the escaping cells.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "face/cli.h"
#include "face/waits.h"

#define LIVE_MAX   8   /* lines that are redrawn; the rest is counted */
#define ACTIVE_MAX 512 /* calls under way that are remembered */

typedef struct active {
  char *key; /* run and place */
  char *name, *kind;
  int64_t since_ns;
} active;

struct tm_progress {
  tm_cli *cli;
  char *run; /* NULL: all */
  active active[ACTIVE_MAX];
  size_t count;
  size_t drawn; /* lines of the redrawn part that are on the screen */
  int64_t drawn_ns;
  char *scripted;   /* the first scripted model that answered, or NULL */
  tm_arena scratch; /* of one event */
};

tm_progress *tm_progress_new(tm_cli *c, const char *run) {
  tm_progress *p = tm_new(tm_progress);
  p->cli = c;
  p->run = tm_strdup(run);
  tm_arena_init(&p->scratch, 0);
  return p;
}

/* -- lines ----------------------------------------------------------------------------- */

typedef enum mark { MARK_OK, MARK_BAD, MARK_BUSY, MARK_NOTE, MARK_WAIT } mark;

static const struct {
  const char *symbol, *word, *color;
} marks[] = {[MARK_OK] = {"✓", "ok  ", "32"},
             [MARK_BAD] = {"✗", "fail", "31"},
             [MARK_BUSY] = {"…", "... ", "2"},
             [MARK_NOTE] = {"·", "-   ", "2"},
             [MARK_WAIT] = {"◆", "wait", "33"}};

static void put_mark(tm_progress *p, tm_buf *b, mark m) {
  const char *shown = p->cli->unicode ? marks[m].symbol : marks[m].word;
  if (p->cli->color)
    tm_buf_printf(b, "  \033[%sm%s\033[0m ", marks[m].color, shown);
  else
    tm_buf_printf(b, "  %s ", shown);
}

static size_t columns(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void clear_live(tm_progress *p) {
  if (p->drawn > 0)
    fprintf(stderr, "\033[%zuA\033[J", p->drawn);
  p->drawn = 0;
}

static void draw_live(tm_progress *p) {
  size_t shown = p->count < LIVE_MAX ? p->count : LIVE_MAX, width = columns();
  int64_t now = tm_clock_ns();
  p->drawn_ns = now;
  for (size_t i = 0; i < shown; i++) {
    active *a = &p->active[p->count - shown + i];
    tm_buf b = TM_BUF_INIT, text = TM_BUF_INIT;
    tm_cli_text_cell(&text, a->name, 24, true);
    tm_buf_putc(&text, ' ');
    tm_cli_text_cell(&text, a->kind, 7, true);
    tm_buf_putc(&text, ' ');
    tm_cli_text_duration(&text, (now - a->since_ns) / 1000000);
    put_mark(p, &b, MARK_BUSY);
    tm_cli_text_cell(&b, tm_buf_str(&text), width - 8, false);
    fprintf(stderr, "%s\n", tm_buf_str(&b));
    tm_buf_free(&text);
    tm_buf_free(&b);
  }
  p->drawn = shown;
  if (p->count > shown) {
    fprintf(stderr, "    and %zu more\n", p->count - shown);
    p->drawn++;
  }
}

/* A line that stays, above what is redrawn. */
static void line(tm_progress *p, mark m, const char *name, const char *kind, const char *rest) {
  tm_buf b = TM_BUF_INIT;
  put_mark(p, &b, m);
  tm_cli_text_cell(&b, name, 24, true);
  tm_buf_putc(&b, ' ');
  tm_cli_text_cell(&b, kind, 7, true);
  tm_buf_putc(&b, ' ');
  tm_cli_text_cell(&b, rest, 400, false);
  while (b.len > 0 && b.data[b.len - 1] == ' ')
    b.data[--b.len] = 0;
  clear_live(p);
  fprintf(stderr, "%s\n", tm_buf_str(&b));
  tm_buf_free(&b);
}

void tm_progress_tick(tm_progress *p) {
  if (!p->cli->live || tm_cli_has(p->cli, TM_FLAG_QUIET) || p->count + p->drawn == 0)
    return;
  clear_live(p);
  draw_live(p);
}

/* -- calls under way ------------------------------------------------------------------- */

static char *key_of(tm_progress *p, const tm_json *e) {
  const char *run = tm_json_get_str(e, "run"), *place = tm_json_get_str(e, "place");
  return tm_arena_printf(&p->scratch, "%s %s", run ? run : "", place ? place : "");
}

static void forget(active *a) {
  tm_free(a->key);
  tm_free(a->name);
  tm_free(a->kind);
}

static void begin_call(tm_progress *p, const tm_json *e, const char *name, const char *kind) {
  if (p->count == ACTIVE_MAX)
    return;
  active *a = &p->active[p->count++];
  a->key = tm_strdup(key_of(p, e));
  a->name = tm_strdup(name);
  a->kind = tm_strdup(kind);
  a->since_ns = tm_clock_ns();
}

static void end_call(tm_progress *p, const tm_json *e) {
  const char *key = key_of(p, e);
  for (size_t i = 0; i < p->count; i++)
    if (strcmp(p->active[i].key, key) == 0) {
      forget(&p->active[i]);
      memmove(&p->active[i], &p->active[i + 1], (p->count - i - 1) * sizeof(active));
      p->count--;
      return;
    }
}

/* -- events ---------------------------------------------------------------------------- */

/* The scripted rules are no model: the end says so. */
static void note_model(tm_progress *p, const char *model) {
  if (!p->scripted && model && strncmp(model, "scripted/", 9) == 0)
    p->scripted = tm_strdup(model);
}

/* The message of {"error": "text"} or {"error": {message}}; NULL when there is none. */
static const char *error_of(const tm_json *e) {
  const tm_json *error = tm_json_get(e, "error");
  const char *message = tm_json_get_str(error, "message");
  return message ? message : tm_json_str(error, NULL);
}

static void on_done(tm_progress *p, const tm_json *e, const char *name, const char *kind) {
  const char *model = tm_json_get_str(e, "model"), *error = error_of(e);
  note_model(p, model);
  tm_buf rest = TM_BUF_INIT;
  tm_cli_text_duration(&rest, tm_json_int(tm_json_get(e, "ms"), 0));
  if (model)
    tm_buf_printf(&rest, "  %s", model);
  if (tm_json_get(e, "hit"))
    tm_buf_printf(&rest, " (used again: %s)", tm_json_get_str(e, "hit"));
  if (tm_json_get(e, "error"))
    tm_buf_printf(&rest, "  %s", error ? error : "failed");
  end_call(p, e);
  if (strcmp(kind, "gate") != 0 || tm_json_get(e, "error")) /* else "approved by" has said it */
    line(p, tm_json_get(e, "error") ? MARK_BAD : MARK_OK, name, kind, tm_buf_str(&rest));
  tm_buf_free(&rest);
}

static void on_attempt(tm_progress *p, const tm_json *e, const char *name, const char *kind) {
  const tm_json *a = tm_json_get(e, "attempt");
  const char *error = error_of(a);
  if (!tm_json_get(a, "error"))
    return;
  line(p, MARK_BAD, name, kind,
       tm_arena_printf(&p->scratch, "attempt %lld: %s",
                       (long long)tm_json_int(tm_json_get(a, "n"), 1),
                       error ? error : "failed"));
}

static void on_backoff(tm_progress *p, const tm_json *e, const char *name, const char *kind) {
  const char *until = tm_json_get_str(e, "until"), *error = error_of(e);
  line(p, MARK_WAIT, name, kind,
       tm_arena_printf(&p->scratch, "backs off until %s: %s", until ? until : "later",
                       error ? error : "it was sent away"));
}

static void on_waiting(tm_progress *p, const tm_json *e, const char *name, const char *kind) {
  const char *what = tm_json_get_str(tm_json_get(e, "waiting"), "for");
  line(p, MARK_WAIT, name, kind,
       tm_arena_printf(&p->scratch, "waiting for %s", what ? what : "its turn"));
}

static void on_log(tm_progress *p, const tm_json *e) {
  const tm_json *log = tm_json_get(e, "log"), *fields = tm_json_get(log, "fields");
  const char *level = tm_json_get_str(log, "level"), *message = tm_json_get_str(log, "message");
  tm_buf b = TM_BUF_INIT;
  tm_buf_puts(&b, message ? message : "");
  if (tm_json_len(fields) > 0) {
    tm_buf_putc(&b, ' ');
    tm_json_print(&b, fields);
  }
  line(p, MARK_NOTE, "log", level ? level : "info", tm_buf_str(&b));
  tm_buf_free(&b);
}

static void on_decided(tm_progress *p, const tm_json *e, const char *name) {
  const tm_json *d = tm_json_get(e, "decision");
  const char *state = tm_json_get_str(d, "state"), *by = tm_json_get_str(d, "by");
  line(p, MARK_NOTE, name, "gate",
       tm_arena_printf(&p->scratch, "%s%s%s", state ? state : "decided",
                       by && *by ? " by " : "", by ? by : ""));
}

/* Not a person and not a clock: another run has what it waits for. */
static bool waits_for_run(const tm_json *reason) {
  for (size_t i = 0; i < tm_json_len(reason); i++) {
    const char *what = tm_json_get_str(tm_json_at(reason, i), "for");
    if (what && (strcmp(what, "key") == 0 || strcmp(what, "lock") == 0))
      return true;
  }
  return false;
}

static const char *words_of(tm_progress *p, const tm_json *reason) {
  tm_buf b = TM_BUF_INIT;
  tm_waits_put_all(&b, reason);
  const char *words = tm_arena_strdup(&p->scratch, tm_buf_str(&b));
  tm_buf_free(&b);
  return words;
}

static void on_run(tm_progress *p, const tm_json *e, const char *what) {
  const char *run = tm_json_get_str(e, "run"), *workflow = tm_json_get_str(e, "workflow");
  const char *stuck = tm_json_get_str(e, "message"), *error = stuck ? stuck : error_of(e);
  mark m = stuck || strcmp(what, "failed") == 0 ? MARK_BAD
           : strcmp(what, "done") == 0          ? MARK_OK
           : strcmp(what, "waiting") == 0       ? MARK_WAIT
                                                : MARK_NOTE;
  if (!stuck && m == MARK_BAD && p->run) /* the command says it, with the whole sentence */
    error = NULL;
  if (m == MARK_WAIT && waits_for_run(tm_json_get(e, "reason")))
    what = tm_arena_printf(&p->scratch, "waits for %s", words_of(p, tm_json_get(e, "reason")));
  line(p, m, run ? run : "", "run",
       tm_arena_printf(&p->scratch, "%s%s%s%s%s", what, workflow ? "  " : "",
                       workflow ? workflow : "", error ? "  " : "", error ? error : ""));
}

static void show(tm_progress *p, const tm_json *e, const char *event) {
  const char *name = tm_json_get_str(e, "name"), *kind = tm_json_get_str(e, "kind");
  const char *step = tm_json_get_str(e, "step");
  kind = kind ? kind : "";
  name = name && *name ? name : kind;
  if (step && *step && strcmp(step, name) != 0)
    name = tm_arena_printf(&p->scratch, "%s/%s", step, name);
  if (strcmp(kind, "recall") == 0) /* looking a decision up; the decision itself is told */
    return;
  if (strcmp(event, "call.started") == 0)
    begin_call(p, e, name, kind);
  else if (strcmp(event, "call.done") == 0)
    on_done(p, e, name, kind);
  else if (strcmp(event, "call.attempt") == 0)
    on_attempt(p, e, name, kind);
  else if (strcmp(event, "call.backoff") == 0)
    on_backoff(p, e, name, kind);
  else if (strcmp(event, "call.waiting") == 0)
    on_waiting(p, e, name, kind);
  else if (strcmp(event, "gate.opened") == 0)
    line(p, MARK_WAIT, name, "gate", tm_json_get_str(e, "ask"));
  else if (strcmp(event, "gate.decided") == 0)
    on_decided(p, e, name);
  else if (strcmp(event, "log") == 0)
    on_log(p, e);
  else if (strncmp(event, "run.", 4) == 0 && strcmp(event, "run.woken") != 0)
    on_run(p, e, event + 4);
}

void tm_progress_event(tm_progress *p, const tm_json *e) {
  const char *event = tm_json_get_str(e, "event");
  if (event && !tm_cli_has(p->cli, TM_FLAG_QUIET))
    show(p, e, event);
  tm_arena_reset(&p->scratch);
}

void tm_progress_free(tm_progress **progress) {
  tm_progress *p = *progress;
  if (!p)
    return;
  clear_live(p);
  if (p->scripted)
    tm_cli_note(p->cli, "model: %s (plain rules; no model was asked)", p->scripted);
  while (p->count > 0)
    forget(&p->active[--p->count]);
  tm_arena_free(&p->scratch);
  tm_free(p->scripted);
  tm_free(p->run);
  tm_free(p);
  *progress = NULL;
}
