/* cli_io.c - opening the engine by the flags, and reading what goes into it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/cli.h"

static int set_option(tm_cli *c, tidemill_options *o, const char *key, const char *value) {
  if (!value || tidemill_options_set(o, key, value) == 0)
    return 0;
  const char *want = strcmp(key, "model") == 0      ? "PROVIDER/MODEL or UNIT=PROVIDER/MODEL"
                     : strcmp(key, "db") == 0       ? "sqlite:PATH or memory:"
                     : strcmp(key, "watchdog") == 0 ? "a duration such as 60s, or 0 for none"
                                                    : "a directory";
  return tm_cli_fail(c, 2, "%s '%s': expected %s", key, value, want);
}

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

int tm_cli_open(tm_cli *c) {
  tidemill_options *o = tidemill_options_new();
  const char *db =
      c->value[TM_FLAG_DB] ? c->value[TM_FLAG_DB] : environment("TIDEMILL_DATABASE_URL");
  int code = set_option(c, o, "dir", c->value[TM_FLAG_DIR]);
  if (!code)
    code = set_option(c, o, "db", db);
  if (!code)
    code = set_option(c, o, "record", c->value[TM_FLAG_RECORD]);
  const char *watchdog = environment("TIDEMILL_WATCHDOG");
  if (!code)
    code = set_option(c, o, "watchdog", watchdog ? watchdog : "60s");
  if (!code && tm_cli_has(c, TM_FLAG_PAUSED))
    code = set_option(c, o, "paused", "true");
  if (!code && c->model_count == 0)
    code = set_option(c, o, "model", environment("TIDEMILL_MODEL"));
  for (size_t i = 0; !code && i < c->model_count; i++)
    code = set_option(c, o, "model", c->models[i]);
  if (!code) {
    int rc = tidemill_open(&c->engine, o);
    if (rc < 0)
      code = c->engine ? tm_cli_api_fail(c, rc) : tm_cli_fail(c, 70, "out of memory");
  }
  tidemill_options_free(o);
  return code;
}

int tm_cli_read_file(tm_buf *out, const char *path, tm_err *err) {
  bool standard = strcmp(path, "-") == 0;
  FILE *f = standard ? stdin : fopen(path, "rb");
  if (!f)
    return tm_err_set(err, TM_NOTFOUND, "cannot read %s: %s", path, strerror(errno));
  char chunk[16384];
  size_t n;
  errno = 0;
  while ((n = fread(chunk, 1, sizeof chunk, f)) > 0 && out->len <= TM_JSON_BYTES)
    tm_buf_put(out, chunk, n);
  bool bad = ferror(f) != 0;
  int why = errno;
  if (!standard)
    fclose(f);
  if (bad)
    return tm_err_set(err, TM_USAGE, "cannot read %s: %s", path, strerror(why));
  if (out->len > TM_JSON_BYTES)
    return tm_err_set(err, TM_LIMIT, "%s is larger than 64 MB", path);
  return 0;
}

int tm_cli_read_json(tm_cli *c, tm_cli_flag flag, const char **text, size_t *len) {
  const char *given = c->value[flag];
  tm_buf b = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  tm_json *parsed;
  int rc = 0;
  if (given[0] == '@' || strcmp(given, "-") == 0)
    rc = tm_cli_read_file(&b, given[0] == '@' ? given + 1 : given, &err);
  else
    tm_buf_puts(&b, given);
  /* Parsed here only to name the flag in the message; the engine parses it again. */
  if (rc == 0 && tm_json_parse(&parsed, &c->arena, tm_buf_str(&b), b.len, NULL, &err) < 0)
    rc = tm_err_wrap(&err, "not JSON");
  if (rc == 0) {
    *text = tm_arena_strndup(&c->arena, tm_buf_str(&b), b.len);
    *len = b.len;
  }
  tm_buf_free(&b);
  return rc < 0 ? tm_cli_fail(c, (int)err.code, "--%s: %s",
                              flag == TM_FLAG_ANSWER    ? "answer"
                              : flag == TM_FLAG_APPLIED ? "applied"
                                                        : "input",
                              err.msg)
                : 0;
}

const tm_json *tm_cli_get(tm_cli *c, const char *run, int *code) {
  char *text = NULL;
  size_t len = 0;
  int rc = tidemill_get(c->engine, run, &text, &len);
  *code = rc < 0 ? tm_cli_api_fail(c, rc) : 0;
  return rc < 0 ? NULL : tm_cli_take(c, text, len);
}
