/* cli_out.c - what the program says: results on stdout, the rest on stderr. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/cli.h"

/* One line on stderr, made safe: parts of it may come from models or files. */
static void say(const char *prefix, const char *text) {
  tm_buf b = TM_BUF_INIT;
  tm_buf_puts(&b, prefix);
  tm_cli_text_escape(&b, text, strlen(text), true);
  tm_buf_putc(&b, '\n');
  fflush(stdout);
  fputs(tm_buf_str(&b), stderr);
  tm_buf_free(&b);
}

static void fail_json(tm_cli *c, int code, const char *message) {
  tm_json *error = tm_json_new_object(&c->arena), *outer = tm_json_new_object(&c->arena);
  tm_json_set_str(&c->arena, error, "code", tidemill_strerror(-code));
  size_t valid = tm_json_utf8_valid(message, strlen(message));
  tm_json_set(&c->arena, error, "message", tm_json_new_strn(&c->arena, message, valid));
  tm_json_set(&c->arena, outer, "error", error);
  fprintf(stderr, "%s\n", tm_json_text(&c->arena, outer, NULL));
}

int tm_cli_fail(tm_cli *c, int code, const char *fmt, ...) {
  tm_buf b = TM_BUF_INIT;
  va_list args;
  va_start(args, fmt);
  tm_buf_vprintf(&b, fmt, args);
  va_end(args);
  if (tm_cli_has(c, TM_FLAG_JSON))
    fail_json(c, code, tm_buf_str(&b));
  else
    say("tidemill: ", tm_buf_str(&b));
  tm_buf_free(&b);
  return code;
}

int tm_cli_api_fail(tm_cli *c, int rc) {
  if (tm_cli_has(c, TM_FLAG_JSON))
    fprintf(stderr, "%s\n", tidemill_errjson(c->engine));
  else
    say("tidemill: ", tidemill_errmsg(c->engine));
  return -rc;
}

void tm_cli_note(tm_cli *c, const char *fmt, ...) {
  if (tm_cli_has(c, TM_FLAG_QUIET))
    return;
  tm_buf b = TM_BUF_INIT;
  va_list args;
  va_start(args, fmt);
  tm_buf_vprintf(&b, fmt, args);
  va_end(args);
  say("", tm_buf_str(&b));
  tm_buf_free(&b);
}

const tm_json *tm_cli_take(tm_cli *c, char *text, size_t len) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  tm_json_opts opts = {.max_bytes = SIZE_MAX};
  if (!text || tm_json_parse(&v, &c->arena, text, len, &opts, &err) < 0)
    v = tm_json_null(&c->arena);
  tidemill_free(text);
  return v;
}

void tm_cli_print_text(tm_cli *c, const char *text, size_t len) {
  if (!c->pretty) {
    fwrite(text, 1, len, stdout);
    return;
  }
  tm_buf safe = TM_BUF_INIT;
  tm_cli_text_escape(&safe, text, len, true);
  fwrite(tm_buf_str(&safe), 1, safe.len, stdout);
  tm_buf_free(&safe);
}

void tm_cli_print_value(tm_cli *c, const tm_json *v, bool raw_string) {
  size_t len;
  const char *s = raw_string ? tm_json_str(v, &len) : NULL;
  if (s) {
    tm_cli_print_text(c, s, len);
    putchar('\n');
    return;
  }
  tm_buf b = TM_BUF_INIT;
  if (c->pretty)
    tm_json_print_pretty(&b, v);
  else
    tm_json_print(&b, v);
  while (b.len > 0 && b.data[b.len - 1] == '\n')
    b.len--;
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  putchar('\n');
  tm_buf_free(&b);
}

int tm_cli_flush(void) {
  if (fflush(stdout) == 0 && !ferror(stdout))
    return 0;
  if (errno == EPIPE) /* the reader had enough, as in `tidemill list | head -1` */
    return 0;
  fprintf(stderr, "tidemill: cannot write to standard output: %s\n", strerror(errno));
  return 75;
}
