/* cli_show_diff.c - what differs between two calls: in what was asked, and in what came back.
 *
 * Two attempts are compared as what went over the wire, their bodies as JSON where they are JSON;
 * two results as request, value and meta. What differs each time and says nothing (times, ids)
 * is left out.
 */
#include <stdio.h>
#include <string.h>

#include "face/cli.h"
#include "text/changes.h"

#define MAX_CHANGES 1000
#define SHORT       60 /* bytes of a text that is told in one line */

typedef struct side {
  const char *run, *label;
  long long seq;
  const tm_json *record;
} side;

/* -- what is compared -------------------------------------------------------------------- */

/* A body that is JSON as its value, so that a change has a place in it. */
static const tm_json *body_of(tm_cli *c, const tm_json *body) {
  size_t len = 0;
  const char *text = tm_json_str(body, &len);
  tm_json *v;
  tm_err ignored = TM_ERR_INIT;
  bool json = text && tm_json_parse(&v, &c->arena, text, len, NULL, &ignored) == 0;
  return json ? v : body;
}

static void take(tm_cli *c, tm_json *to, const tm_json *from, const char *const *names) {
  for (; *names; names++) {
    const tm_json *v = tm_json_get(from, *names);
    if (v)
      tm_json_set(&c->arena, to, *names, body_of(c, v));
  }
}

static const tm_json *picture(tm_cli *c, const tm_json *record) {
  static const char *const wire[] = {"provider", "model", "phase", "url",   "request", "status",
                                     "response", "usage", "usd",   "error", NULL};
  static const char *const call[] = {"name", "request", "value", "error", NULL};
  static const char *const meta[] = {"model",  "model_answered", "fingerprint",
                                     "finish", "rounds",         "usage",
                                     "usd",    "dropped",        NULL};
  tm_json *o = tm_json_new_object(&c->arena);
  if (tm_json_get(record, "attempt")) {
    take(c, o, tm_json_get(record, "attempt"), wire);
    return o;
  }
  take(c, o, record, call);
  if (tm_json_get(record, "meta")) {
    tm_json *m = tm_json_new_object(&c->arena);
    take(c, m, tm_json_get(record, "meta"), meta);
    tm_json_set(&c->arena, o, "meta", m);
  }
  return o;
}

/* -- telling ----------------------------------------------------------------------------- */

static void put_line(tm_buf *b, char sign, const tm_json *v) {
  if (!v)
    return;
  tm_buf_printf(b, "%c ", sign);
  tm_json_print(b, v);
  tm_buf_putc(b, '\n');
}

static bool is_long(const char *text, size_t len) {
  return len > SHORT || memchr(text, '\n', len);
}

static void print_change(tm_cli *c, const tm_json *change) {
  const tm_json *was = tm_json_get(change, "was"), *is = tm_json_get(change, "is");
  size_t was_len = 0, is_len = 0;
  const char *old = tm_json_str(was, &was_len), *new = tm_json_str(is, &is_len);
  tm_buf b = TM_BUF_INIT;
  tm_buf_printf(&b, "%s\n", tm_json_get_str(change, "at"));
  if (old && new && (is_long(old, was_len) || is_long(new, is_len))) {
    tm_changes_text(&b, "was", old, was_len, "is", new, is_len);
  } else {
    put_line(&b, '-', was);
    put_line(&b, '+', is);
  }
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

static tm_json *side_json(tm_cli *c, const side *s) {
  tm_json *o = tm_json_new_object(&c->arena);
  tm_json_set_str(&c->arena, o, "run", s->run);
  tm_json_set_int(&c->arena, o, "seq", s->seq);
  return o;
}

static void print_json(tm_cli *c, const side *was, const side *is, const tm_json *changes) {
  tm_json *o = tm_json_new_object(&c->arena);
  tm_json_set_str(&c->arena, o, "schema", "tidemill.calldiff/1");
  tm_json_set(&c->arena, o, "was", side_json(c, was));
  tm_json_set(&c->arena, o, "is", side_json(c, is));
  tm_json_set(&c->arena, o, "changes", changes);
  tm_cli_print_value(c, o, false);
}

static void print_text(tm_cli *c, const side *was, const side *is, const tm_json *changes) {
  const side *sides[] = {was, is};
  for (size_t i = 0; i < 2; i++) {
    const char *name = tm_json_get_str(sides[i]->record, "name");
    char *head =
        tm_arena_printf(&c->arena, "%s %s  %s %s\n", i ? "+++" : "---", sides[i]->label,
                        tm_json_get_str(sides[i]->record, "record"), name ? name : "");
    tm_cli_print_text(c, head, strlen(head));
  }
  for (size_t i = 0; i < tm_json_len(changes); i++)
    print_change(c, tm_json_at(changes, i));
}

/* -- the command ------------------------------------------------------------------------- */

static int split(tm_cli *c, side *s, const char *arg, const char *same_run) {
  int code = tm_cli_split_record(c, arg, &s->run, &s->seq);
  if (!code && s->seq < 0)
    code = tm_cli_fail(c, 2, "'%s': --diff compares two records, each as ID#SEQ", arg);
  if (!*s->run && same_run)
    s->run = same_run;
  s->label = tm_arena_printf(&c->arena, "%s#%lld", s->run, s->seq);
  return code;
}

static int find(tm_cli *c, side *s) {
  int code = 0;
  const tm_json *history = tm_cli_history(c, s->run, true, &code);
  if (!history)
    return code;
  const tm_json *records = tm_json_get(history, "records");
  s->record = tm_cli_record(records, s->seq);
  if (!s->record)
    return tm_cli_fail(c, 4, "run %s has %zu records; there is none with number %lld", s->run,
                       tm_json_len(records), s->seq);
  return 0;
}

int tm_cli_show_diff(tm_cli *c) {
  static const tm_cli_flag others[] = {TM_FLAG_RAW, TM_FLAG_CURL, TM_FLAG_FIELDS};
  side was = {0}, is = {0};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (tm_cli_has(c, others[i]))
      return tm_cli_fail(c, 2, "--diff goes with none of --raw, --curl and --state");
  int code = split(c, &was, c->args[0], NULL);
  if (code || (code = split(c, &is, c->value[TM_FLAG_DIFF], was.run)) ||
      (code = tm_cli_open(c)) || (code = find(c, &was)) || (code = find(c, &is)))
    return code;
  const tm_json *a = tm_json_get(was.record, "attempt"), *b = tm_json_get(is.record, "attempt");
  if (!a != !b)
    return tm_cli_fail(c, 2,
                       "record %s is \"%s\" and %s is \"%s\": compare two attempts, or two "
                       "results",
                       was.label, tm_json_get_str(was.record, "record"), is.label,
                       tm_json_get_str(is.record, "record"));
  const tm_json *changes =
      tm_changes_of(&c->arena, picture(c, was.record), picture(c, is.record), MAX_CHANGES);
  if (tm_cli_has(c, TM_FLAG_JSON))
    print_json(c, &was, &is, changes);
  else if (tm_json_len(changes) == 0)
    tm_cli_note(c, "%s and %s do not differ", was.label, is.label);
  else
    print_text(c, &was, &is, changes);
  return 0;
}
