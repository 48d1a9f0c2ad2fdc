/* answer.c - a value out of what a model wrote. */
#include "llm/answer.h"

#include <string.h>

/* -- finding the JSON ------------------------------------------------------------------ */

typedef struct span {
  const char *at;
  size_t len;
} span;

static span trim(span s) {
  while (s.len && strchr(" \t\r\n", *s.at))
    s.at++, s.len--;
  while (s.len && strchr(" \t\r\n", s.at[s.len - 1]))
    s.len--;
  return s;
}

/* The next fenced block behind `from`: its content, with what follows ``` cut off up to the end
 * of that line. false: none, or it is not closed. */
static bool next_fence(span *out, const char **from, const char *end) {
  const char *open = memmem(*from, (size_t)(end - *from), "```", 3);
  if (!open)
    return false;
  const char *line = memchr(open, '\n', (size_t)(end - open));
  const char *close = line ? memmem(line, (size_t)(end - line), "```", 3) : NULL;
  if (!close)
    return false;
  *out = (span){line + 1, (size_t)(close - line) - 1};
  *from = close + 3;
  return true;
}

/* The text of the one fenced block; 0: none, 1: one, 2: more. */
static int fenced(span *out, const char *text, size_t len) {
  const char *at = text, *end = text + len;
  span one;
  int count = 0;
  while (count < 2 && next_fence(&one, &at, end))
    if (count++ == 0)
      *out = one;
  return count;
}

/* From an opening brace to its closing one, strings respected; NULL: it never closes. */
static const char *closing(const char *at, const char *end) {
  int depth = 0;
  bool quoted = false;
  for (; at < end; at++) {
    if (quoted) {
      if (*at == '\\')
        at++;
      else if (*at == '"')
        quoted = false;
    } else if (*at == '"') {
      quoted = true;
    } else if (*at == '{') {
      depth++;
    } else if (*at == '}' && --depth == 0) {
      return at + 1;
    }
  }
  return NULL;
}

static int ambiguous(tm_err *err) {
  return tm_err_set(
      err, TM_FAILED,
      "the answer holds more than one thing that could be meant; write exactly one "
      "JSON value and no other text");
}

/* Exactly one object in the prose, and every brace belongs to it. */
static int in_prose(tm_json **out, tm_arena *a, const char *text, size_t len, tm_err *err) {
  const char *end = text + len, *at = text;
  tm_json *found = NULL;
  for (; (at = memchr(at, '{', (size_t)(end - at)));) {
    const char *after = closing(at, end);
    if (!after)
      return tm_err_set(err, TM_FAILED,
                        "the answer is no complete JSON: a brace at byte %zu is never closed; "
                        "write exactly one JSON value and no other text",
                        (size_t)(at - text));
    if (found)
      return ambiguous(err);
    if (tm_json_parse(&found, a, at, (size_t)(after - at), NULL, err) < 0) {
      err->code = err->code == TM_LIMIT ? TM_LIMIT : TM_FAILED;
      return tm_err_wrap(err, "the object in the answer is no JSON");
    }
    at = after;
  }
  *out = found;
  if (found)
    return 0;
  return tm_err_set(err, TM_FAILED,
                    "the answer holds no JSON; write exactly one JSON value and no other text");
}

int tm_answer_json(tm_json **out, tm_arena *a, const char *text, size_t len, tm_err *err) {
  span whole = trim((span){text, len}), block;
  tm_err first = TM_ERR_INIT;
  if (tm_json_parse(out, a, whole.at, whole.len, NULL, &first) == 0)
    return 0;
  if (first.code == TM_LIMIT) {
    *err = first;
    return -1;
  }
  bool looks_whole =
      whole.len && strchr("{[\"", *whole.at) && strchr("}]\"", whole.at[whole.len - 1]);
  int blocks = looks_whole ? 0 : fenced(&block, whole.at, whole.len);
  if (blocks > 1)
    return ambiguous(err);
  if (blocks == 1) {
    block = trim(block);
    if (tm_json_parse(out, a, block.at, block.len, NULL, err) == 0)
      return 0;
    err->code = err->code == TM_LIMIT ? TM_LIMIT : TM_FAILED;
    return tm_err_wrap(err, "the fenced block in the answer is no JSON");
  }
  if (in_prose(out, a, whole.at, whole.len, err) == 0)
    return 0;
  if (looks_whole && err->code != TM_LIMIT) /* the parser's own words help more */
    return tm_err_set(err, TM_FAILED, "the answer is no valid JSON: %.800s", first.msg);
  return -1;
}

/* -- holding it to the schema ---------------------------------------------------------- */

/* The member a pointer leads to, when it is a null inside an object: taken out. */
static bool remove_null(tm_json *value, const char *pointer) {
  const tm_json *at = tm_json_pointer(value, pointer);
  const char *slash = strrchr(pointer, '/');
  if (!slash || !at || tm_json_type_of(at) != TM_JSON_NULL)
    return false;
  char *up = tm_strndup(pointer, (size_t)(slash - pointer));
  /* the tree is ours: tm_json_pointer is const only because it serves readers */
  tm_json *parent = (tm_json *)tm_json_pointer(value, up);
  tm_free(up);
  if (!parent || tm_json_type_of(parent) != TM_JSON_OBJECT)
    return false;
  for (size_t i = 0; i < tm_json_len(parent); i++) {
    const tm_json_member *m = tm_json_member_at(parent, i);
    if (&m->value == at) {
      tm_json_remove(parent, m->key);
      return true;
    }
  }
  return false;
}

#define PRUNINGS 32

int tm_answer_check(tm_json *value, const tm_schema *s, tm_schema_report *report, tm_err *err) {
  for (int i = 0;; i++) {
    int rc = tm_schema_check(s, value, report, err);
    if (rc != 1 || i == PRUNINGS)
      return rc;
    bool changed = false;
    for (size_t e = 0; e < report->count; e++)
      changed |= remove_null(value, report->errors[e].instance);
    if (!changed)
      return 1;
    report->count = 0;
  }
}
