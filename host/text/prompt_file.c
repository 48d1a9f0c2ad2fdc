/* prompt_file.c - front matter and body.
 *
 *   [blank lines and # lines]
 *   ---
 *   front matter
 *   ---
 *   body, trimmed
 *
 * Anything else is a body from the first byte to the last, kept as it is.
 */
#include "text/prompt_file.h"

#include <stdio.h>

#include "text/template_tree.h"

typedef struct lines {
  const char *at, *end;
  int number; /* of the line that next_line gave last */
} lines;

/* The next line without its end; false after the last. */
static bool next_line(lines *l, slice *out) {
  if (l->at >= l->end)
    return false;
  const char *newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
  const char *stop = newline ? newline : l->end;
  *out = (slice){l->at, (size_t)(stop - l->at)};
  if (out->len && out->s[out->len - 1] == '\r')
    out->len--;
  l->at = newline ? newline + 1 : l->end;
  l->number++;
  return true;
}

static bool is_fence(slice line) {
  return line.len >= 3 && memcmp(line.s, "---", 3) == 0 &&
         tm_template_is_blank(line.s + 3, line.len - 3);
}

/* Go past blank lines and # lines; true when the next one was ---. */
static bool find_fence(lines *l) {
  slice line;
  while (next_line(l, &line)) {
    if (is_fence(line))
      return true;
    if (!(line.len && line.s[0] == '#') && !tm_template_is_blank(line.s, line.len))
      return false;
  }
  return false;
}

static void set_body(tm_prompt_file *out, const lines *l) {
  slice rest = {l->at, (size_t)(l->end - l->at)};
  slice body = tm_template_trim(rest);
  out->body = body.s;
  out->body_len = body.len;
  out->body_line = l->number + 1;
  for (const char *p = rest.s; p < body.s; p++)
    out->body_line += *p == '\n';
}

int tm_prompt_split(tm_prompt_file *out, const char *path, const char *text, size_t len,
                    tm_err *err) {
  size_t bom = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  lines l = {text + bom, text + len, 0};
  *out =
      (tm_prompt_file){.path = path, .body = text + bom, .body_len = len - bom, .body_line = 1};
  if (!find_fence(&l))
    return 0;
  int opened = l.number;
  out->front = l.at;
  out->front_line = opened + 1;
  for (slice line; next_line(&l, &line);)
    if (is_fence(line)) {
      out->front_len = (size_t)(line.s - out->front);
      set_body(out, &l);
      return 0;
    }
  return tm_err_set(err, TM_USAGE,
                    "%s:%d: this --- opens the front matter, but no second --- line ends it",
                    path, opened);
}

/* -- where a key stands ---------------------------------------------------------------- */

/* Does the line begin with `key:`, quoted or not? */
static bool begins_with_key(slice line, const char *key) {
  size_t n = strlen(key);
  bool quoted = line.len && (line.s[0] == '"' || line.s[0] == '\'');
  if (line.len < n + 2 * quoted || memcmp(line.s + quoted, key, n) != 0)
    return false;
  line = (slice){line.s + n + 2 * quoted, line.len - n - 2 * quoted};
  line = tm_template_trim(line);
  return line.len && line.s[0] == ':';
}

static int line_of(const tm_prompt_file *f, const char *key, const char *sub) {
  lines l = {f->front, f->front ? f->front + f->front_len : NULL, f->front_line - 1};
  slice line;
  int found = 0;
  while (next_line(&l, &line)) {
    bool top = line.len && line.s[0] != ' ' && line.s[0] != '#';
    if (top && found)
      break;
    if (top && begins_with_key(line, key))
      found = l.number;
    else if (found && sub && begins_with_key(tm_template_trim(line), sub))
      return l.number;
    if (found && !sub)
      break;
  }
  return found ? found : f->front_line;
}

int tm_prompt_fail(tm_err *err, const tm_prompt_file *f, const char *key, const char *sub,
                   tm_code code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tm_err_setv(err, code, fmt, args);
  va_end(args);
  return tm_err_wrap(err, "%s:%d", f->path, line_of(f, key, sub));
}
