/* wording.h - texts compared as a reader would: private to checks.c. */
#ifndef TM_TEXT_WORDING_H
#define TM_TEXT_WORDING_H

#include "text/json.h"

typedef struct tm_wording {
  const char *s;
  size_t len;
} tm_wording;

/* In these, an s of NULL means that a soft arena ran out. */

/* The text without what does not matter when texts are compared: A to Z become small, a run of
 * white space one space, curly quotation marks and apostrophes straight ones. */
tm_wording tm_wording_fold(tm_arena *a, tm_wording text);

/* The next quotation at or behind *at, without its marks: "…", “…”, „…“ or «…». False: none, or
 * it is not closed. A straight mark opens only before a word and closes only behind one, so
 * that 5" is a measure. */
bool tm_wording_quoted(tm_wording text, size_t *at, tm_wording *out);

/* Does a quotation stand in a folded text? Punctuation at its end may be the quoter's own. */
bool tm_wording_holds(tm_arena *a, tm_wording folded, tm_wording quotation);

typedef struct tm_words {
  tm_wording *list; /* sorted, each once */
  size_t count;
} tm_words;

/* The words of a folded text. -1: out of memory. */
int tm_wording_words(tm_words *out, tm_arena *a, tm_wording folded);
/* 2 * shared / (words of both), 0 to 1; two texts without words are the same. */
double tm_wording_similar(const tm_words *a, const tm_words *b);

#endif
