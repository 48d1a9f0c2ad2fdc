/* cli_gc.c - gc: what went, or would go, in one sentence. */
#include <string.h>

#include "face/cli.h"

static long long at(const tm_json *doc, const char *key) {
  return (long long)tm_json_int(tm_json_get(doc, key), 0);
}

static void put_count(tm_buf *b, const tm_json *doc, const char *key, const char *one,
                      const char *many) {
  long long n = at(doc, key);
  if (n)
    tm_buf_printf(b, ", %lld %s", n, n == 1 ? one : many);
}

static void print_text(tm_cli *c, const tm_json *doc) {
  const tm_json *kept = tm_json_get(doc, "kept");
  bool dry = tm_json_bool(tm_json_get(doc, "dry_run"), false);
  tm_buf b = TM_BUF_INIT;
  tm_buf_printf(&b, "%s %lld run%s", dry ? "would take away" : "took away", at(doc, "runs"),
                at(doc, "runs") == 1 ? "" : "s");
  put_count(&b, doc, "records", "record", "records");
  put_count(&b, doc, "gates", "gate", "gates");
  put_count(&b, doc, "events", "event", "events");
  put_count(&b, doc, "sources", "list of sources", "lists of sources");
  put_count(&b, doc, "files", "source file", "source files");
  tm_buf_putc(&b, '\n');
  if (at(kept, "family"))
    tm_buf_printf(&b,
                  "kept %lld whose time is over: a run of the same family is not that far\n",
                  at(kept, "family"));
  if (at(kept, "in_doubt"))
    tm_buf_printf(
        &b,
        "kept %lld that left an action in doubt: look at the other side under its key "
        "(`tidemill show` tells it)\n",
        at(kept, "in_doubt"));
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

int tm_cli_gc(tm_cli *c) {
  tm_json *o = tm_json_new_object(&c->arena);
  char *text = NULL;
  size_t len = 0;
  int code = tm_cli_open(c);
  if (code)
    return code;
  if (tm_cli_has(c, TM_FLAG_OLDER))
    tm_json_set_str(&c->arena, o, "older_than", c->value[TM_FLAG_OLDER]);
  if (tm_cli_has(c, TM_FLAG_WORKFLOW))
    tm_json_set_str(&c->arena, o, "workflow", c->value[TM_FLAG_WORKFLOW]);
  if (tm_cli_has(c, TM_FLAG_COUNT_ONLY))
    tm_json_set_bool(&c->arena, o, "dry_run", true);
  int rc = tidemill_gc(c->engine, tm_json_text(&c->arena, o, NULL), &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *doc = tm_cli_take(c, text, len);
  if (tm_cli_has(c, TM_FLAG_JSON))
    tm_cli_print_value(c, doc, false);
  else
    print_text(c, doc);
  return 0;
}
