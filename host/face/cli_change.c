/* cli_change.c - replay, diff, repin, retry, fork, export, import, and doctor's deep look.
 */
#include <stdio.h>
#include <string.h>

#include "face/cli.h"

/* -- documents -------------------------------------------------------------------------- */

static const char *text_at(const tm_json *o, const char *key, const char *otherwise) {
  const char *s = tm_json_get_str(o, key);
  return s ? s : otherwise;
}

/* {"sources": --to} as JSON; with `otherwise` when --to was not given (NULL: nothing). */
static const char *sources_opts(tm_cli *c, const char *otherwise) {
  const char *to = c->value[TM_FLAG_TO] ? c->value[TM_FLAG_TO] : otherwise;
  tm_json *o = tm_json_new_object(&c->arena);
  if (to)
    tm_json_set_str(&c->arena, o, "sources", to);
  return tm_json_text(&c->arena, o, NULL);
}

/* NULL with *code set and the message told. */
static const tm_json *examine(tm_cli *c, const char *run, const char *op, const char *opts,
                              int *code) {
  char *text = NULL;
  size_t len = 0;
  int rc = tidemill_examine(c->engine, run, op, opts, &text, &len);
  *code = rc < 0 ? tm_cli_api_fail(c, rc) : 0;
  return rc < 0 ? NULL : tm_cli_take(c, text, len);
}

static void print_buf(tm_cli *c, tm_buf *b) {
  tm_cli_print_text(c, tm_buf_str(b), b->len);
  tm_buf_free(b);
}

/* -- what changed ----------------------------------------------------------------------- */

static void put_value(tm_buf *b, const tm_json *v) {
  if (v)
    tm_json_print(b, v);
  else
    tm_buf_puts(b, "(nothing)");
}

static void put_changes(tm_buf *b, const char *label, const tm_json *list) {
  for (size_t i = 0; i < tm_json_len(list); i++) {
    const tm_json *o = tm_json_at(list, i);
    tm_buf_printf(b, "%s%s: ", label, text_at(o, "at", ""));
    put_value(b, tm_json_get(o, "was"));
    tm_buf_puts(b, " -> ");
    put_value(b, tm_json_get(o, "is"));
    tm_buf_putc(b, '\n');
  }
}

static void put_sources(tm_buf *b, const tm_json *doc) {
  const tm_json *files = tm_json_get(doc, "files");
  for (size_t i = 0; i < tm_json_len(files); i++)
    tm_buf_puts(b, text_at(tm_json_at(files, i), "diff", ""));
  put_changes(b, "models", tm_json_get(doc, "models"));
  put_changes(b, "prices", tm_json_get(doc, "prices"));
}

int tm_cli_diff(tm_cli *c) {
  int code = tm_cli_open(c);
  const tm_json *doc =
      code ? NULL : examine(c, c->args[0], "diff", sources_opts(c, NULL), &code);
  tm_buf b = TM_BUF_INIT;
  if (!doc)
    return code;
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, doc, false);
    return 0;
  }
  put_sources(&b, doc);
  if (b.len == 0)
    tm_cli_note(c, "nothing has changed since the run began");
  print_buf(c, &b);
  return 0;
}

/* -- replay
 * ------------------------------------------------------------------------------------ */

static bool is_equal(const tm_json *doc) {
  return strcmp(text_at(doc, "verdict", ""), "equal") == 0;
}

static void put_verdict(tm_buf *b, const tm_json *doc) {
  long long records = (long long)tm_json_int(tm_json_get(doc, "records"), 0);
  const char *ended = tm_json_get_str(doc, "ended");
  if (!is_equal(doc)) {
    tm_buf_printf(b, "diverged: %s\n", text_at(doc, "message", "?"));
    put_changes(b, "  ", tm_json_get(doc, "changes"));
  } else if (ended) {
    tm_buf_printf(b, "equal: %lld records, to the end (%s)\n", records, ended);
  } else {
    tm_buf_printf(b, "equal: %lld records, and goes on from there\n", records);
  }
}

/* A verdict and, when it is not equal, what the sources differ in. The exit code. */
static int print_verdict(tm_cli *c, const char *run, const tm_json *doc) {
  tm_buf b = TM_BUF_INIT;
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, doc, false);
  } else {
    if (run)
      tm_buf_printf(&b, "%s  ", run);
    put_verdict(&b, doc);
    if (!is_equal(doc))
      put_sources(&b, doc);
    print_buf(c, &b);
  }
  return is_equal(doc) ? 0 : 7;
}

int tm_cli_replay(tm_cli *c) {
  int code = tm_cli_open(c);
  const tm_json *doc =
      code ? NULL : examine(c, c->args[0], "replay", sources_opts(c, NULL), &code);
  return doc ? print_verdict(c, NULL, doc) : code;
}

/* -- repin
 * ------------------------------------------------------------------------------------- */

static bool may_move(const tm_json *run) {
  static const char *const states[] = {"queued", "running", "waiting", "diverged"};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (strcmp(states[i], text_at(run, "state", "")) == 0)
      return true;
  return false;
}

/* Tell why a run is not moved, or move it. The exit code. */
static int repin_now(tm_cli *c, const char *run, const tm_json *doc) {
  int rc = tidemill_control(c->engine, run, "repin", sources_opts(c, "disk"));
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  tm_cli_note(c, "run %s uses the sources %.12s… now (before: %.12s…)", run,
              text_at(doc, "to", "?"), text_at(doc, "from", "?"));
  return 0;
}

static int repin_one(tm_cli *c, const char *run, bool many) {
  int code = 0;
  const tm_json *info = tm_cli_get(c, run, &code);
  if (!info)
    return code;
  if (!may_move(info))
    return repin_now(c, run, NULL);
  const tm_json *doc = examine(c, run, "replay", sources_opts(c, "disk"), &code);
  if (!doc)
    return code;
  if (tm_cli_has(c, TM_FLAG_DRYRUN) || !is_equal(doc))
    return print_verdict(c, many ? run : NULL, doc);
  return repin_now(c, run, doc);
}

/* Of all runs that have not ended; one that cannot be moved does not keep the others. */
static int repin_all(tm_cli *c) {
  char *text = NULL;
  size_t len = 0;
  int rc = tidemill_list(c->engine, "{}", &text, &len), worst = 0, moved = 0;
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *runs = tm_json_get(tm_cli_take(c, text, len), "runs");
  for (size_t i = 0; i < tm_json_len(runs); i++) {
    const tm_json *run = tm_json_at(runs, i);
    if (!may_move(run))
      continue;
    int code = repin_one(c, text_at(run, "id", ""), true);
    worst = code > worst ? code : worst;
    moved += code == 0;
  }
  if (moved && !tm_cli_has(c, TM_FLAG_DRYRUN))
    rc = tm_cli_drive(c, NULL);
  return rc > 0 ? rc : worst;
}

int tm_cli_repin(tm_cli *c) {
  const char *id = NULL;
  bool all = tm_cli_has(c, TM_FLAG_EVERY);
  if (all == (c->arg_count > 0))
    return tm_cli_fail(c, 2, "usage: tidemill repin ID, or tidemill repin --all");
  int code = tm_cli_open(c);
  if (code)
    return code;
  if (all)
    return repin_all(c);
  if ((code = tm_cli_full_id(c, &id)) || (code = repin_one(c, id, false)) ||
      tm_cli_has(c, TM_FLAG_DRYRUN))
    return code;
  const tm_json *info = tm_cli_get(c, id, &code);
  if (!info || strcmp(text_at(info, "state", ""), "waiting") == 0) /* paused: it stays so */
    return code;
  return tm_cli_go_on(c, id);
}

/* -- retry, fork
 * ---------------------------------------------------------------------------------- */

int tm_cli_retry(tm_cli *c) {
  const char *id = NULL;
  int code = tm_cli_open(c);
  if (code || (code = tm_cli_full_id(c, &id)))
    return code;
  int rc = tidemill_control(c->engine, id, "retry", sources_opts(c, NULL));
  return rc < 0 ? tm_cli_api_fail(c, rc) : tm_cli_go_on(c, id);
}

/* "CALL=JSON" or "CALL=@FILE" as {CALL: value}; 0 or the exit code. */
static int read_edit(tm_cli *c, tm_json *opts) {
  const char *given = c->value[TM_FLAG_EDIT], *eq = strchr(given, '=');
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  tm_json *value, *edit = tm_json_new_object(&c->arena);
  if (!eq || eq == given)
    return tm_cli_fail(c, 2, "--edit '%s': expected CALL=JSON or CALL=@FILE", given);
  int rc = 0;
  if (eq[1] == '@')
    rc = tm_cli_read_file(&text, eq + 2, &err);
  else
    tm_buf_puts(&text, eq + 1);
  if (rc == 0)
    rc = tm_json_parse(&value, &c->arena, tm_buf_str(&text), text.len, NULL, &err);
  tm_buf_free(&text);
  if (rc < 0)
    return tm_cli_fail(c, (int)err.code, "--edit: %s", err.msg);
  tm_json_set(&c->arena, edit, tm_arena_strndup(&c->arena, given, (size_t)(eq - given)), value);
  tm_json_set(&c->arena, opts, "edit", edit);
  return 0;
}

/* Names between commas. */
static tm_json *split(tm_cli *c, const char *names) {
  tm_json *list = tm_json_new_array(&c->arena);
  for (size_t n; *names; names += n + (names[n] == ',')) {
    n = strcspn(names, ",");
    tm_json_push(&c->arena, list, tm_json_new_strn(&c->arena, names, n));
  }
  return list;
}

int tm_cli_fork(tm_cli *c) {
  tm_json *o = tm_json_new_object(&c->arena);
  char *text = NULL;
  int code;
  if (!tm_cli_has(c, TM_FLAG_FROM) && !tm_cli_has(c, TM_FLAG_EDIT))
    return tm_cli_fail(c, 2,
                       "say where the new run leaves the old one: --from STEP, a call's name "
                       "or a record's number; or --edit CALL=JSON");
  if (tm_cli_has(c, TM_FLAG_FROM))
    tm_json_set_str(&c->arena, o, "from", c->value[TM_FLAG_FROM]);
  if (tm_cli_has(c, TM_FLAG_NEWID))
    tm_json_set_str(&c->arena, o, "id", c->value[TM_FLAG_NEWID]);
  if (tm_cli_has(c, TM_FLAG_WITH))
    tm_json_set(&c->arena, o, "with", split(c, c->value[TM_FLAG_WITH]));
  if ((tm_cli_has(c, TM_FLAG_EDIT) && (code = read_edit(c, o))) || (code = tm_cli_open(c)))
    return code;
  int rc = tidemill_fork(c->engine, c->args[0], tm_json_text(&c->arena, o, NULL), &text);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const char *id = tm_arena_strdup(&c->arena, text);
  tidemill_free(text);
  tm_cli_note(c, "run %s goes on from %s", id, c->args[0]);
  return tm_cli_go_on(c, id);
}

/* -- export, import
 * ---------------------------------------------------------------------------------- */

int tm_cli_export(tm_cli *c) {
  int code = tm_cli_open(c);
  bool redact = tm_cli_has(c, TM_FLAG_REDACT);
  const tm_json *doc =
      code ? NULL
           : examine(c, c->args[0], "export", redact ? "{\"redact\":true}" : NULL, &code);
  tm_buf b = TM_BUF_INIT;
  if (!doc)
    return code;
  tm_json_print_pretty(&b, doc); /* a document to keep and compare, whoever reads it */
  if (b.len && b.data[b.len - 1] != '\n')
    tm_buf_putc(&b, '\n');
  fwrite(tm_buf_str(&b), 1, b.len, stdout);
  tm_buf_free(&b);
  if (redact)
    tm_cli_note(c, "redacted: it can be read and compared, but not imported or replayed");
  return 0;
}

int tm_cli_import(tm_cli *c) {
  tm_buf text = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  char *id = NULL;
  int code;
  if (tm_cli_read_file(&text, c->args[0], &err) < 0) {
    tm_buf_free(&text);
    return tm_cli_fail(c, (int)err.code, "%s", err.msg);
  }
  if ((code = tm_cli_open(c)) == 0) {
    int rc = tidemill_import(c->engine, tm_buf_str(&text), text.len, &id);
    code = rc < 0 ? tm_cli_api_fail(c, rc) : 0;
  }
  tm_buf_free(&text);
  if (id)
    printf("%s\n", id);
  tidemill_free(id);
  return code;
}

/* -- doctor --deep
 * --------------------------------------------------------------------------------- */

static void put_finding(tm_buf *b, const tm_json *f) {
  const tm_json *record = tm_json_get(f, "record");
  tm_buf_printf(b, "FAIL  run %s", text_at(f, "run", "?"));
  if (record)
    tm_buf_printf(b, ", record %lld", (long long)tm_json_int(record, 0));
  tm_buf_printf(b, ": %s\n%22s -> %s\n", text_at(f, "what", "?"), "", text_at(f, "hint", ""));
}

int tm_cli_fsck(tm_cli *c, const tm_json **doc) {
  int code = 0;
  *doc = examine(c, NULL, "fsck", NULL, &code);
  const tm_json *findings = tm_json_get(*doc, "findings");
  size_t n = tm_json_len(findings);
  tm_buf b = TM_BUF_INIT;
  if (!*doc || tm_cli_has(c, TM_FLAG_JSON))
    return code ? code : n ? 9 : 0;
  for (size_t i = 0; i < n; i++)
    put_finding(&b, tm_json_at(findings, i));
  tm_buf_printf(&b, "%s  journals         %lld runs, %lld records, %zu findings\n",
                n ? "FAIL" : "ok  ", (long long)tm_json_int(tm_json_get(*doc, "runs"), 0),
                (long long)tm_json_int(tm_json_get(*doc, "records"), 0), n);
  print_buf(c, &b);
  return n ? 9 : 0;
}
