/* cli_models.c - `models`: who can be asked, with which key, at what price. */
#include <stdio.h>
#include <string.h>

#include "face/cli.h"

static void put_cell(tm_buf *b, const char *text, size_t columns) {
  tm_cli_text_cell(b, text ? text : "", columns, true);
  tm_buf_putc(b, ' ');
}

static void print_line(tm_cli *c, tm_buf *b) {
  while (b->len > 0 && b->data[b->len - 1] == ' ')
    b->len--;
  tm_cli_print_text(c, tm_buf_str(b), b->len);
  putchar('\n');
  tm_buf_free(b);
}

/* What stands for its key: the key masked, the variable to set, or why it needs none. */
static const char *key_text(tm_cli *c, const tm_json *p) {
  const char *key = tm_json_get_str(p, "key"), *env = tm_json_get_str(p, "key_env");
  if (tm_json_bool(tm_json_get(p, "in_process"), false))
    return "in this process";
  if (key)
    return tm_arena_printf(&c->arena, "%s: %s", env, key);
  if (!env || tm_json_bool(tm_json_get(p, "ready"), false))
    return "needs no key";
  return tm_arena_printf(&c->arena, "set %s", env);
}

static void print_provider(tm_cli *c, const tm_json *p) {
  tm_buf b = TM_BUF_INIT;
  put_cell(&b, tm_json_get_str(p, "provider"), 17);
  put_cell(&b, key_text(c, p), 33);
  if (tm_json_get_str(p, "base_url"))
    tm_buf_puts(&b, tm_json_get_str(p, "base_url"));
  print_line(c, &b);
}

static void put_list(tm_buf *b, const tm_json *list) {
  for (size_t i = 0; i < tm_json_len(list); i++)
    tm_buf_printf(b, "%s%s", i ? ", " : "", tm_json_str(tm_json_at(list, i), NULL));
}

static void put_rate(tm_buf *b, const tm_json *price, const char *key) {
  double n = tm_json_number(tm_json_get(price, key), -1);
  if (n < 0)
    tm_buf_printf(b, "%8s ", "?");
  else
    tm_buf_printf(b, "%8g ", n);
}

static void print_model(tm_cli *c, const tm_json *m) {
  const tm_json *price = tm_json_get(m, "price");
  tm_buf b = TM_BUF_INIT, units = TM_BUF_INIT;
  put_list(&units, tm_json_get(m, "units"));
  put_cell(&b, tm_json_get_str(m, "model"), 32);
  put_rate(&b, price, "input");
  put_rate(&b, price, "cached_input");
  put_rate(&b, price, "output");
  tm_buf_putc(&b, ' ');
  put_cell(&b, tm_buf_str(&units), 28);
  put_list(&b, tm_json_get(m, "drops"));
  print_line(c, &b);
  tm_buf_free(&units);
}

static void print_head(tm_cli *c) {
  tm_buf b = TM_BUF_INIT;
  putchar('\n');
  put_cell(&b, "USD for a million tokens", 32);
  tm_buf_printf(&b, "%8s %8s %8s  ", "input", "cached", "output");
  put_cell(&b, "units", 28);
  tm_buf_puts(&b, "does not take");
  print_line(c, &b);
}

int tm_cli_models(tm_cli *c) {
  char *text = NULL;
  size_t len = 0;
  int code = tm_cli_open(c);
  if (code)
    return code;
  int rc = tidemill_examine(c->engine, NULL, "models", NULL, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len);
  const tm_json *providers = tm_json_get(answer, "providers");
  const tm_json *models = tm_json_get(answer, "models");
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, answer, false);
    return 0;
  }
  for (size_t i = 0; i < tm_json_len(providers); i++)
    print_provider(c, tm_json_at(providers, i));
  print_head(c);
  for (size_t i = 0; i < tm_json_len(models); i++)
    if (tm_cli_has(c, TM_FLAG_PRICED) ||
        tm_json_len(tm_json_get(tm_json_at(models, i), "units")) > 0)
      print_model(c, tm_json_at(models, i));
  return 0;
}
