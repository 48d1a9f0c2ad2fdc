/* template.c - compiling and rendering from outside: the passes in their order. */
#include "text/template_tree.h"

#define SCRATCH_MAX ((size_t)64 << 20) /* bytes one rendering may use besides its output */

int tm_template_fail(tm_err *err, const tm_template_source *src, size_t at, tm_code code,
                     const char *fmt, ...) {
  int line = src->first_line;
  size_t column = 1;
  for (size_t i = 0; i < at && i < src->len; i++) {
    column += ((unsigned char)src->text[i] & 0xC0) != 0x80;
    if (src->text[i] == '\n') {
      line++;
      column = 1;
    }
  }
  va_list args;
  va_start(args, fmt);
  tm_err_setv(err, code, fmt, args);
  va_end(args);
  return tm_err_wrap(err, "%s:%d:%zu", src->file, line, column);
}

/* Keep a copy of a source: the tree's slices point into it. */
static int keep_source(tm_template_source *out, tm_arena *a, const char *file, const char *text,
                       size_t len, int first_line, tm_err *err) {
  *out = (tm_template_source){
      .file = tm_arena_strdup(a, file), .len = len, .first_line = first_line};
  out->text = tm_arena_strndup(a, text, len);
  if (!out->file || !out->text)
    return tm_err_set(err, TM_LIMIT, "%s: no memory is left to compile this", file);
  size_t valid = tm_json_utf8_valid(text, len);
  if (valid < len)
    return tm_template_fail(err, out, valid, TM_USAGE,
                            "these bytes are not UTF-8; save the file as UTF-8");
  return 0;
}

static int parse_source(program **out, tm_arena *a, tm_template *t,
                        const tm_template_source *src, tm_err *err) {
  if (tm_template_parse(out, a, t, src, err) < 0)
    return -1;
  tm_template_strip(*out);
  return 0;
}

/* The file a partial comes from, for messages: folder/_name.prompt. */
static char *unit_file(tm_arena *a, slice name) {
  const char *slash = memrchr(name.s, '/', name.len);
  int folder = slash ? (int)(slash - name.s) + 1 : 0;
  return tm_arena_printf(a, "%.*s_%.*s.prompt", folder, name.s, (int)name.len - folder,
                         name.s + folder);
}

static int load_unit(tm_arena *a, tm_template *t, unit *u, tm_template_partial partial,
                     void *ctx, tm_err *err) {
  char *file = unit_file(a, u->name), *name = tm_arena_strndup(a, u->name.s, u->name.len);
  size_t len = 0;
  if (!file || !name)
    return tm_template_fail(err, u->caller, u->at, TM_LIMIT,
                            "no memory is left to compile this");
  const char *text = partial ? partial(ctx, name, &len) : NULL;
  if (!text)
    return tm_template_fail(err, u->caller, u->at, TM_NOTFOUND,
                            "there is no partial \"%s\"; it would be the file %s", name, file);
  if (keep_source(&u->source, a, file, text, len, 1, err) < 0)
    return -1;
  return parse_source(&u->body, a, t, &u->source, err);
}

int tm_template_compile(tm_template **out, tm_arena *a, const char *text, size_t len,
                        const char *file, int first_line, const tm_json *known,
                        tm_template_partial partial, void *ctx, tm_err *err) {
  tm_template *t = tm_arena_new(a, tm_template);
  if (!t)
    return tm_err_set(err, TM_LIMIT, "%s: no memory is left to compile this", file);
  if (keep_source(&t->source, a, file, text, len, first_line, err) < 0 ||
      parse_source(&t->body, a, t, &t->source, err) < 0)
    return -1;
  for (unit *u = t->units; u; u = u->next) /* grows while partials call partials */
    if (load_unit(a, t, u, partial, ctx, err) < 0)
      return -1;
  if (tm_template_check(t, known, err) < 0)
    return -1;
  *out = t;
  return 0;
}

int tm_template_render(tm_json **messages, tm_arena *a, const tm_template *t,
                       const tm_json *data, const tm_json *context, const tm_json *history,
                       tm_err *err) {
  stream s = {0};
  tm_arena scratch;
  tm_arena_init(&scratch, SCRATCH_MAX);
  int rc = tm_template_run(&s, &scratch, t, data, context, err);
  if (rc == 0) {
    tm_json *made = tm_template_messages(a, &s, history);
    if (made)
      *messages = made;
    else
      rc = tm_err_set(err, TM_LIMIT, "%s: no memory is left for the messages", t->source.file);
  }
  tm_buf_free(&s.text);
  tm_arena_free(&scratch);
  return rc;
}
