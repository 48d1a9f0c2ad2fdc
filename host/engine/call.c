/* call.c - the table of call.h as functions.
 */
#include "engine/call.h"

#include <string.h>

static const struct {
  const char *word;
  tm_call_class class;
  const char *author;
} kinds[TM_CALL_KIND_COUNT] = {
#define X(name, word, class, author) {word, TM_CALL_##class, author},
    TM_CALL_KINDS(X)
#undef X
};

const char *tm_call_word(tm_call_kind k) {
  return kinds[k].word;
}

const char *tm_call_author(tm_call_kind k) {
  return kinds[k].author;
}

tm_call_class tm_call_class_of(tm_call_kind k) {
  return kinds[k].class;
}

/* Asked for each call of a script. */
int tm_call_by_word(const char *word) {
  for (int k = 0; k < TM_CALL_KIND_COUNT; k++)
    if (*kinds[k].word == *word && strcmp(kinds[k].word, word) == 0)
      return k;
  return -1;
}
