/* fuzz.h - what the fuzz targets share: a property that must hold, bytes taken from the input,
 * and the n-th allocation failing.
 *
 * A target is one LLVMFuzzerTestOneInput; it keeps nothing between two inputs. A broken
 * property says which one and ends the process, so that libFuzzer keeps the input.
 */
#ifndef TM_SPEC_FUZZ_H
#define TM_SPEC_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/json.h"

#define FUZZ_ARENA ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MUST(cond)                                                                     \
  do {                                                                                 \
    if (!(cond)) {                                                                     \
      fprintf(stderr, "%s:%d: it does not hold that %s\n", __FILE__, __LINE__, #cond); \
      abort();                                                                         \
    }                                                                                  \
  } while (0)

/* The input as text followed by a NUL, in memory of its own exact size, so that a read past
 * the end is seen. */
static inline char *fuzz_text(const uint8_t *bytes, size_t len) {
  char *text = malloc(len ? len : 1);
  MUST(text);
  memcpy(text, bytes, len);
  return text;
}

/* Which allocation should fail: another one for each input, none for most. */
static inline size_t fuzz_fail_at(const uint8_t *bytes, size_t len) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < len; i++)
    h = (h ^ bytes[i]) * 16777619u;
  return h % 4 ? 0 : 1 + h / 4 % 24;
}

/* An error is one that its reader can use: a code for what it is, a message in UTF-8. */
static inline void fuzz_must_explain(const tm_err *err) {
  MUST(err->code == TM_USAGE || err->code == TM_LIMIT);
  MUST(err->msg[0] && tm_json_utf8_valid(err->msg, strlen(err->msg)) == strlen(err->msg));
}

static inline bool fuzz_same(const tm_buf *a, const tm_buf *b) {
  return a->len == b->len && memcmp(tm_buf_str(a), tm_buf_str(b), a->len) == 0;
}

/* Both print the same text: the same value, with subtypes and the order of members. */
static inline bool fuzz_identical(const tm_json *a, const tm_json *b) {
  tm_buf x = TM_BUF_INIT, y = TM_BUF_INIT;
  tm_json_print(&x, a);
  tm_json_print(&y, b);
  bool same = fuzz_same(&x, &y);
  tm_buf_free(&x);
  tm_buf_free(&y);
  return same;
}

#endif
