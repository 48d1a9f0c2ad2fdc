/* cli_blame.c - `blame`: the files behind a call, and the commits that they are in. */
#include <string.h>

#include "face/cli.h"

static bool is(const tm_json *o, const char *key, const char *word) {
  const char *s = tm_json_get_str(o, key);
  return s && strcmp(s, word) == 0;
}

static const char *text(const tm_json *o, const char *key) {
  const char *s = tm_json_get_str(o, key);
  return s ? s : "";
}

static void put_head(tm_buf *b, const tm_json *doc) {
  const char *step = tm_json_get_str(doc, "step");
  const char *shared = tm_json_get_str(doc, "shared");
  tm_buf_printf(b,
                "record %lld of run %s: ", (long long)tm_json_int(tm_json_get(doc, "seq"), 0),
                text(doc, "run"));
  if (tm_json_get(doc, "place"))
    tm_buf_printf(b, "%s %s, place %s", text(doc, "kind"), text(doc, "name"),
                  text(doc, "place"));
  else
    tm_buf_printf(b, "%s", text(doc, "record"));
  if (step)
    tm_buf_printf(b, ", step %s", step);
  if (shared)
    tm_buf_printf(b, "; shared with run %s", shared);
  tm_buf_putc(b, '\n');
}

static void put_commit(tm_buf *b, const tm_json *file) {
  const tm_json *commit = tm_json_get(file, "commit");
  if (commit)
    tm_buf_printf(b, "%10s%.12s  %.10s  %s: %s\n", "", text(commit, "hash"),
                  text(commit, "date"), text(commit, "author"), text(commit, "subject"));
  else if (is(file, "state", "uncommitted"))
    tm_buf_printf(b, "%10sas in the working tree, not committed\n", "");
  else if (is(file, "state", "nowhere"))
    tm_buf_printf(b, "%10snowhere in git's history\n", "");
}

static void put_file(tm_buf *b, const tm_json *file) {
  long long line = (long long)tm_json_int(tm_json_get(file, "line"), 0);
  tm_buf_printf(b, "%-9s %s", text(file, "role"), text(file, "file"));
  if (line)
    tm_buf_printf(b, ":%lld", line);
  if (tm_json_get(file, "hash"))
    tm_buf_printf(b, "@%.12s", text(file, "hash"));
  if (is(file, "disk", "changed"))
    tm_buf_puts(b, "  (changed since)");
  if (is(file, "disk", "gone"))
    tm_buf_puts(b, "  (gone since)");
  tm_buf_putc(b, '\n');
  put_commit(b, file);
}

static void put_model(tm_buf *b, const tm_json *model) {
  const char *answered = tm_json_get_str(model, "answered");
  const char *last = tm_json_get_str(model, "last");
  const char *run = tm_json_get_str(model, "from_run");
  tm_buf_printf(b, "%-9s %s, named by %s", "model", text(model, "asked"),
                text(model, "named_by"));
  if (last && strcmp(last, text(model, "asked")) != 0)
    tm_buf_printf(b, "; asked last: %s", last);
  if (answered)
    tm_buf_printf(b, "; answered: %s", answered);
  if (tm_json_get(model, "fingerprint"))
    tm_buf_printf(b, " (%s)", text(model, "fingerprint"));
  if (run)
    tm_buf_printf(b, "; the answer is run %s's, used again", run);
  tm_buf_putc(b, '\n');
}

static void put_git(tm_buf *b, const tm_json *git) {
  const char *why = is(git, "state", "not_installed")  ? "git is not installed"
                    : is(git, "state", "no_work_tree") ? "not a git work tree"
                    : is(git, "state", "failed")       ? text(git, "message")
                                                       : NULL;
  if (why)
    tm_buf_printf(b, "%-9s %s\n", "git", why);
}

static void print(tm_cli *c, const tm_json *doc) {
  const tm_json *files = tm_json_get(doc, "files"), *model = tm_json_get(doc, "model");
  tm_buf b = TM_BUF_INIT;
  put_head(&b, doc);
  for (size_t i = 0; i < tm_json_len(files); i++)
    put_file(&b, tm_json_at(files, i));
  if (model)
    put_model(&b, model);
  put_git(&b, tm_json_get(doc, "git"));
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

int tm_cli_blame(tm_cli *c) {
  const char *run;
  long long seq;
  char *got = NULL;
  size_t len = 0;
  int code = tm_cli_split_record(c, c->args[0], &run, &seq);
  if (code)
    return code;
  if (seq < 0)
    return tm_cli_fail(c, 2, "'%s': expected ID#SEQ; `tidemill show %s` lists the records", run,
                       run);
  if ((code = tm_cli_open(c)))
    return code;
  const char *opts = tm_arena_printf(&c->arena, "{\"seq\":%lld}", seq);
  int rc = tidemill_examine(c->engine, run, "blame", opts, &got, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *doc = tm_cli_take(c, got, len);
  if (tm_cli_has(c, TM_FLAG_JSON))
    tm_cli_print_value(c, doc, false);
  else
    print(c, doc);
  return 0;
}
