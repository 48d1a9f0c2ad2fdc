/* prompt_file.h - the two halves of a prompt file, and where its keys stand. */
#ifndef TM_TEXT_PROMPT_FILE_H
#define TM_TEXT_PROMPT_FILE_H

#include "text/prompt.h"

typedef struct tm_prompt_file {
  const char *path;  /* for messages */
  const char *front; /* YAML between the two --- lines; NULL without front matter */
  size_t front_len;
  int front_line;
  const char *body; /* trimmed when there is front matter, else the whole file */
  size_t body_len;
  int body_line;
} tm_prompt_file;

/* Slices of `text`; nothing is copied. */
int tm_prompt_split(tm_prompt_file *out, const char *path, const char *text, size_t len,
                    tm_err *err);

/* "path:line: ..." with the line that the top-level `key` (and `sub` under it, may be NULL)
 * stands on; always -1. */
int tm_prompt_fail(tm_err *err, const tm_prompt_file *f, const char *key, const char *sub,
                   tm_code code, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Read the tidemill.* keys of `meta` into one object. */
int tm_prompt_settings(tm_json **out, tm_arena *a, const tm_json *meta, const tm_prompt_file *f,
                       tm_err *err);

/* `tidemill.cache` as {ttl_ms?, similar?, of?, embed?}; TM_USAGE says what is wrong with it. */
int tm_prompt_cache(tm_json **out, tm_arena *a, const tm_json *given, tm_err *err);

#endif
