/* cli_project.c - the project itself: its prompts, its health, a new one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "face/cli.h"
#include "script/embed.h"

/* -- prompt ---------------------------------------------------------------------------- */

static void print_prompt_list(tm_cli *c, const tm_json *answer) {
  const tm_json *prompts = tm_json_get(answer, "prompts");
  tm_buf b = TM_BUF_INIT;
  for (size_t i = 0; i < tm_json_len(prompts); i++) {
    const tm_json *p = tm_json_at(prompts, i);
    const char *model = tm_json_get_str(p, "model"), *about = tm_json_get_str(p, "about");
    const char *more = about ? about : model ? model : "";
    tm_cli_text_cell(&b, tm_json_get_str(p, "name"), 24, *more != 0);
    tm_buf_printf(&b, "%s%s\n", *more ? " " : "", more);
  }
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

/* The messages as text for people: "[system]" and what it says. */
static void print_messages(tm_cli *c, const tm_json *messages) {
  tm_buf b = TM_BUF_INIT;
  for (size_t i = 0; i < tm_json_len(messages); i++) {
    const tm_json *m = tm_json_at(messages, i), *content = tm_json_get(m, "content");
    const char *role = tm_json_get_str(m, "role");
    tm_buf_printf(&b, "[%s]\n", role ? role : "?");
    for (size_t j = 0; j < tm_json_len(content); j++) {
      const tm_json *part = tm_json_at(content, j);
      const char *text = tm_json_get_str(part, "text");
      if (text)
        tm_buf_puts(&b, text);
      else if (part)
        tm_json_print(&b, part);
      tm_buf_putc(&b, '\n');
    }
    if (tm_json_str(content, NULL))
      tm_buf_printf(&b, "%s\n", tm_json_str(content, NULL));
  }
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

static void print_prompt(tm_cli *c, const char *op, const tm_json *answer) {
  const char *source = tm_json_get_str(answer, "source");
  if (!tm_cli_has(c, TM_FLAG_JSON) && strcmp(op, "list") == 0)
    print_prompt_list(c, answer);
  else if (!tm_cli_has(c, TM_FLAG_JSON) && source)
    tm_cli_print_text(c, source, strlen(source));
  else if (!tm_cli_has(c, TM_FLAG_JSON) && c->pretty && tm_json_get(answer, "messages"))
    print_messages(c, tm_json_get(answer, "messages"));
  else
    tm_cli_print_value(c, answer, false);
}

int tm_cli_prompt(tm_cli *c) {
  const char *op = c->args[0], *name = c->arg_count > 1 ? c->args[1] : NULL, *input = "{}";
  size_t input_len = 2, len = 0;
  char *text = NULL;
  int code;
  bool list = strcmp(op, "list") == 0, run = strcmp(op, "run") == 0;
  if (!run && tm_cli_has(c, TM_FLAG_RAW))
    return tm_cli_fail(c, 2, "--raw is for `tidemill prompt run NAME`");
  if (strcmp(op, "lint") == 0)
    return tm_cli_lint(c);
  if (!list && !run && strcmp(op, "show") != 0 && strcmp(op, "render") != 0)
    return tm_cli_fail(c, 2,
                       "usage: tidemill prompt list|show|render|run|lint [NAME], not '%s'", op);
  if (!list && !name)
    return tm_cli_fail(c, 2,
                       "usage: tidemill prompt %s NAME; `tidemill prompt list` has the "
                       "names",
                       op);
  if (tm_cli_has(c, TM_FLAG_VARS) &&
      (code = tm_cli_read_json(c, TM_FLAG_VARS, &input, &input_len)))
    return code;
  if (run)
    return tm_cli_prompt_run(c, name, input, input_len);
  if ((code = tm_cli_open(c)))
    return code;
  int rc = tidemill_prompt(c->engine, op, list ? NULL : name, input, input_len, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  print_prompt(c, op, tm_cli_take(c, text, len));
  return 0;
}

/* -- doctor ---------------------------------------------------------------------------- */

static void print_check(tm_cli *c, const tm_json *check) {
  const char *name = tm_json_get_str(check, "name"), *hint = tm_json_get_str(check, "hint");
  bool ok = tm_json_bool(tm_json_get(check, "ok"), false);
  tm_buf b = TM_BUF_INIT;
  bool flagged = tm_json_bool(tm_json_get(check, "flagged"), false);
  tm_buf_puts(&b, !ok ? "FAIL  " : flagged ? "note  " : "ok    ");
  tm_cli_text_cell(&b, name, 16, true);
  tm_buf_printf(&b, " %s\n",
                tm_json_get_str(check, "detail") ? tm_json_get_str(check, "detail") : "");
  if (hint)
    tm_buf_printf(&b, "%22s -> %s\n", "", hint);
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

int tm_cli_doctor(tm_cli *c) {
  char *text = NULL;
  size_t len = 0;
  int code = tm_cli_open(c);
  if (code)
    return code;
  int rc = tidemill_doctor(c->engine, &text, &len);
  if (rc < 0)
    return tm_cli_api_fail(c, rc);
  const tm_json *answer = tm_cli_take(c, text, len), *checks = tm_json_get(answer, "checks");
  const tm_json *deep = NULL;
  bool json = tm_cli_has(c, TM_FLAG_JSON);
  for (size_t i = 0; !json && i < tm_json_len(checks); i++)
    print_check(c, tm_json_at(checks, i));
  if (tm_cli_has(c, TM_FLAG_DEEP))
    code = tm_cli_fsck(c, &deep);
  if (json) {
    tm_json *all = tm_json_copy(&c->arena, answer);
    if (deep)
      tm_json_set(&c->arena, all, "journals", deep);
    tm_cli_print_value(c, all, false);
  }
  return tm_json_bool(tm_json_get(answer, "ok"), false) ? code : 3;
}

/* -- init ------------------------------------------------------------------------------ */

#define TEMPLATE "init/" /* lua/init/ is a whole small project */

/* Create the folders above path; 0, or -1 with errno. */
static int make_folders(tm_cli *c, const char *path) {
  char *copy = tm_arena_strdup(&c->arena, path);
  for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(copy, 0777) < 0 && errno != EEXIST)
      return -1;
    *slash = '/';
  }
  return 0;
}

/* Write one file of the template, unless there is one already. 0 or the exit code. */
static int write_file(tm_cli *c, const char *dir, const tm_embed_file *f) {
  const char *name = f->name + strlen(TEMPLATE);
  if (strcmp(name, "gitignore") == 0)
    name = ".gitignore";
  char *path = tm_arena_printf(&c->arena, "%s/%s", dir, name);
  if (make_folders(c, path) < 0)
    return tm_cli_fail(c, 3, "cannot create %s: %s", path, strerror(errno));
  FILE *out = fopen(path, "wxe");
  if (!out && errno == EEXIST) {
    tm_cli_note(c, "kept     %s", path);
    return 0;
  }
  bool ok = out && fwrite(f->bytes, 1, f->len, out) == f->len;
  if (out && fclose(out) != 0)
    ok = false;
  if (!ok)
    return tm_cli_fail(c, 3, "cannot write %s: %s", path, strerror(errno));
  tm_cli_note(c, "created  %s", path);
  return 0;
}

int tm_cli_init(tm_cli *c) {
  const char *given = c->arg_count > 0 ? c->args[0] : c->value[TM_FLAG_DIR];
  const char *dir = given ? given : ".";
  int code = 0;
  const tm_embed_file *f;
  for (size_t i = 0; !code && (f = tm_embed_at(i)); i++)
    if (strncmp(f->name, TEMPLATE, strlen(TEMPLATE)) == 0)
      code = write_file(c, dir, f);
  if (code)
    return code;
  tm_buf cd = TM_BUF_INIT;
  if (given) {
    tm_buf_puts(&cd, "cd ");
    tm_cli_text_shell(&cd, given, strlen(given));
    tm_buf_puts(&cd, " && ");
  }
  tm_cli_note(c, "\ntry: %stidemill run hello --input '{\"name\":\"Ada\"}'", tm_buf_str(&cd));
  tm_buf_free(&cd);
  return 0;
}
