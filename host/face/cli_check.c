/* cli_check.c - `check` and `prompt lint`: the mistakes in the project's files, a line each. */
#include <string.h>

#include "face/cli.h"

enum { FINDINGS = 9 };

/* "FILE:LINE: MESSAGE", as editors and CI read it. */
static void print_finding(tm_cli *c, const tm_json *finding) {
  int64_t line = tm_json_int(tm_json_get(finding, "line"), 0);
  tm_buf b = TM_BUF_INIT;
  tm_buf_puts(&b, tm_json_get_str(finding, "file"));
  if (line > 0)
    tm_buf_printf(&b, ":%lld", (long long)line);
  tm_buf_printf(&b, ": %s\n", tm_json_get_str(finding, "message"));
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

static int check(tm_cli *c, const char *what) {
  char *text = NULL;
  size_t len = 0;
  int code = tm_cli_open(c);
  if (code)
    return code;
  int rc = tidemill_check(c->engine, what, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len);
  const tm_json *findings = tm_json_get(answer, "findings");
  int64_t files = tm_json_int(tm_json_get(answer, "files"), 0);
  if (tm_cli_has(c, TM_FLAG_JSON))
    tm_cli_print_value(c, answer, false);
  else
    for (size_t i = 0; i < tm_json_len(findings); i++)
      print_finding(c, tm_json_at(findings, i));
  if (tm_json_len(findings) > 0)
    return FINDINGS;
  tm_cli_note(c, "nothing to report (%lld file%s)", (long long)files, files == 1 ? "" : "s");
  return 0;
}

int tm_cli_check(tm_cli *c) {
  tm_buf names = TM_BUF_INIT;
  for (int i = 0; i < c->arg_count; i++)
    tm_buf_printf(&names, "%s%s", i ? "," : "", c->args[i]);
  int code = check(c, tm_buf_str(&names));
  tm_buf_free(&names);
  return code;
}

int tm_cli_lint(tm_cli *c) {
  return check(c, c->arg_count > 1 ? tm_arena_printf(&c->arena, "prompts/%s", c->args[1])
                                   : "prompts");
}
