/* cli_usage.c - `usage`: what the models cost, as a table. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "face/cli.h"

/* clang-format off */
static const struct {
  const char *name;
  int width;
} columns[] = {{"calls", 7}, {"attempts", 9}, {"failed", 7}, {"input", 10}, {"cached", 10},
               {"output", 10}, {"reasoning", 10}, {"unpriced", 9}, {"USD", 10}};
/* clang-format on */
#define COLUMNS (sizeof columns / sizeof *columns)

/* -- the table --------------------------------------------------------------------------- */

static const char *count_text(tm_cli *c, const tm_json *o, const char *key) {
  const tm_json *n = tm_json_get(o, key);
  return n && tm_json_type_of(n) == TM_JSON_INT
             ? tm_arena_printf(&c->arena, "%lld", (long long)tm_json_int(n, 0))
             : "?";
}

/* Whole cents hide what one call costs: four digits behind the point, more below a cent. */
static const char *usd_text(tm_cli *c, const tm_json *usd) {
  double n = tm_json_number(usd, -1);
  if (n < 0)
    return "?";
  return tm_arena_printf(&c->arena, n > 0 && n < 0.01 ? "%.6f" : "%.4f", n);
}

static void fill(tm_cli *c, const char *cells[COLUMNS], const tm_json *row) {
  const tm_json *tokens = tm_json_get(row, "tokens");
  size_t n = 0;
  cells[n++] = count_text(c, row, "calls");
  cells[n++] = count_text(c, row, "attempts");
  cells[n++] = count_text(c, row, "failed");
  cells[n++] = count_text(c, tokens, "input");
  cells[n++] = count_text(c, tokens, "cached_input");
  cells[n++] = count_text(c, tokens, "output");
  cells[n++] = count_text(c, tokens, "reasoning");
  cells[n++] = count_text(c, row, "unpriced");
  cells[n++] = usd_text(c, tm_json_get(row, "usd"));
}

static void print_line(tm_cli *c, const char *name, const char *const cells[COLUMNS]) {
  tm_buf b = TM_BUF_INIT;
  tm_cli_text_cell(&b, name, 30, true);
  for (size_t i = 0; i < COLUMNS; i++)
    tm_buf_printf(&b, "%*s", columns[i].width, cells ? cells[i] : columns[i].name);
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  putchar('\n');
  tm_buf_free(&b);
}

static void print_table(tm_cli *c, const tm_json *answer) {
  const tm_json *rows = tm_json_get(answer, "rows");
  const char *by = tm_json_get_str(answer, "by"), *cells[COLUMNS];
  print_line(c, by, NULL);
  for (size_t i = 0; i < tm_json_len(rows); i++) {
    fill(c, cells, tm_json_at(rows, i));
    print_line(c, tm_json_get_str(tm_json_at(rows, i), by), cells);
  }
  fill(c, cells, tm_json_get(answer, "total"));
  print_line(c, "total", cells);
}

/* -- the command ------------------------------------------------------------------------- */

/* A day or a time as it is; a duration as the time so long ago. 0 or the exit code. */
static int put_time(tm_cli *c, tm_json *opts, tm_cli_flag flag, const char *name) {
  const char *given = c->value[flag];
  if (!given)
    return 0;
  int64_t ago = tm_clock_duration(given, strlen(given)), now = tm_clock_wall(&tm_clock_system);
  bool is_ago = flag == TM_FLAG_SINCE && ago > 0 && ago < now;
  char text[TM_CLOCK_TEXT];
  if (!is_ago && tm_clock_parse(given) < 0)
    return tm_cli_fail(c, 2,
                       "--%s '%s': expected a day or a time in UTC, such as 2026-11-20 or "
                       "2026-11-20T08:00:00Z%s",
                       name, given, flag == TM_FLAG_SINCE ? ", or a duration such as 7d" : "");
  if (is_ago)
    tm_clock_format(now - ago, text);
  tm_json_set_str(&c->arena, opts, name, is_ago ? text : given);
  return 0;
}

int tm_cli_usage(tm_cli *c) {
  tm_json *opts = tm_json_new_object(&c->arena);
  const char *run = c->arg_count > 0 ? c->args[0] : NULL;
  char *text = NULL;
  size_t len = 0;
  int code = put_time(c, opts, TM_FLAG_SINCE, "since");
  if (!code)
    code = put_time(c, opts, TM_FLAG_UNTIL, "until");
  if (tm_cli_has(c, TM_FLAG_BY))
    tm_json_set_str(&c->arena, opts, "by", c->value[TM_FLAG_BY]);
  if (tm_cli_has(c, TM_FLAG_WORKFLOW))
    tm_json_set_str(&c->arena, opts, "workflow", c->value[TM_FLAG_WORKFLOW]);
  if (code || (code = tm_cli_open(c)))
    return code;
  const char *o = tm_json_text(&c->arena, opts, NULL);
  int rc = tidemill_examine(c->engine, run, "usage", o, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len);
  if (tm_cli_has(c, TM_FLAG_JSON))
    tm_cli_print_value(c, answer, false);
  else if (tm_json_len(tm_json_get(answer, "rows")) == 0)
    tm_cli_note(c, "no model was asked");
  else
    print_table(c, answer);
  return 0;
}
