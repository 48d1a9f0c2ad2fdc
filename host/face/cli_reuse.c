/* cli_reuse.c - decisions and reopen: what runs keep for each other. */
#include <stdio.h>
#include <string.h>

#include "face/cli.h"

static const char *text_at(const tm_json *o, const char *key) {
  const char *s = tm_json_get_str(o, key);
  return s ? s : "";
}

/* refund  T-17  {"usd":20}  by run 01J…, 2026-03-01T12:00:00Z, until …; reopened by ann … */
static void print_decision(tm_cli *c, const tm_json *d) {
  tm_buf b = TM_BUF_INIT;
  const char *state = text_at(d, "state");
  tm_buf_printf(&b, "%s  %s  %s  %s\n  value    ", text_at(d, "workflow"), text_at(d, "name"),
                text_at(d, "key"), state);
  if (tm_json_get(d, "value"))
    tm_json_print(&b, tm_json_get(d, "value"));
  tm_buf_printf(&b, "\n  decided  %s by run %s", text_at(d, "at"), text_at(d, "run"));
  if (tm_json_get(d, "expires"))
    tm_buf_printf(&b, ", holds until %s", text_at(d, "expires"));
  tm_buf_putc(&b, '\n');
  if (tm_json_get(d, "reopened")) {
    tm_buf_printf(&b, "  reopened %s by %s", text_at(d, "reopened"), text_at(d, "by"));
    if (tm_json_get(d, "note"))
      tm_buf_printf(&b, ": %s", text_at(d, "note"));
    tm_buf_putc(&b, '\n');
  }
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

int tm_cli_decisions(tm_cli *c) {
  static const char *const names[] = {"workflow", "name", "key"};
  int code = tm_cli_open(c);
  if (code)
    return code;
  tm_json *filter = tm_json_new_object(&c->arena);
  for (int i = 0; i < c->arg_count; i++)
    tm_json_set_str(&c->arena, filter, names[i], c->args[i]);
  if (tm_cli_has(c, TM_FLAG_PAST))
    tm_json_set_bool(&c->arena, filter, "all", true);
  char *text = NULL;
  size_t len = 0;
  int rc = tidemill_decisions(c->engine, tm_json_text(&c->arena, filter, NULL), &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len), *list = tm_json_get(answer, "decisions");
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, answer, false);
    return 0;
  }
  if (tm_json_len(list) == 0)
    tm_cli_note(c, "no decisions");
  for (size_t i = 0; i < tm_json_len(list); i++)
    print_decision(c, tm_json_at(list, i));
  return 0;
}

int tm_cli_reopen(tm_cli *c) {
  int code = tm_cli_open(c);
  if (code)
    return code;
  tm_json *o = tm_json_new_object(&c->arena);
  if (tm_cli_has(c, TM_FLAG_NOTE))
    tm_json_set_str(&c->arena, o, "note", c->value[TM_FLAG_NOTE]);
  int rc = tidemill_reopen(c->engine, c->args[0], c->args[1], c->args[2],
                           tm_json_text(&c->arena, o, NULL));
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  tm_cli_note(c, "reopened; the next run of %s that asks for \"%s\" decides anew", c->args[0],
              c->args[1]);
  return 0;
}
