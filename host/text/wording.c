/* wording.c - what is the same to a reader: quotations found in a source, words shared. */
#include "text/wording.h"

#include <stdlib.h>
#include <string.h>

/* -- characters ------------------------------------------------------------------------ */

static bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool begins(tm_wording t, size_t at, const char *mark) {
  size_t n = strlen(mark);
  return t.len - at >= n && memcmp(t.s + at, mark, n) == 0;
}

/* Bytes of white space at `at`, 0: none. U+00A0 counts: it is what editors put in for a space.
 */
static size_t space_at(tm_wording t, size_t at) {
  return is_space(t.s[at]) ? 1 : begins(t, at, "\u00A0") ? strlen("\u00A0") : 0;
}

/* A mark that has a straight form: its bytes, 0 when it has none. */
static size_t curly_at(tm_wording t, size_t at, char *straight) {
  static const char *const single[] = {"‘", "’", "‚"}, *const pair[] = {"“", "”", "„"};
  for (size_t i = 0; i < 3; i++) {
    if (begins(t, at, single[i]) || begins(t, at, pair[i])) {
      *straight = begins(t, at, pair[i]) ? '"' : '\'';
      return strlen(pair[i]);
    }
  }
  return 0;
}

static bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (unsigned char)c >= 0x80;
}

tm_wording tm_wording_fold(tm_arena *a, tm_wording text) {
  char *out = tm_arena_alloc(a, text.len + 1);
  size_t n = 0;
  for (size_t at = 0, used; out && at < text.len; at += used) {
    char c = text.s[at], straight;
    if ((used = space_at(text, at))) {
      if (n && out[n - 1] != ' ')
        out[n++] = ' ';
    } else if ((used = curly_at(text, at, &straight))) {
      out[n++] = straight;
    } else {
      used = 1;
      out[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
  }
  while (out && n && out[n - 1] == ' ')
    n--;
  return (tm_wording){out, n};
}

/* -- quotations ------------------------------------------------------------------------------
 */

static const struct {
  const char *open, *close, *other; /* another mark that closes it, or NULL */
} marks[] = {{"\"", "\"", NULL}, {"“", "”", NULL}, {"„", "“", "”"}, {"«", "»", NULL}};

#define MARKS (sizeof marks / sizeof marks[0])

/* May the straight mark at `at` open? Not behind a letter or digit, not before a space. */
static bool may_open(tm_wording t, size_t at) {
  return (at == 0 || !is_word_byte(t.s[at - 1])) && at + 1 < t.len && !is_space(t.s[at + 1]);
}

static bool may_close(tm_wording t, size_t at) {
  return !is_space(t.s[at - 1]) && (at + 1 == t.len || !is_word_byte(t.s[at + 1]));
}

/* Bytes of the opening mark at `at`, 0: none of a kind that is in `live`. */
static size_t opening_at(tm_wording t, size_t at, const bool live[MARKS], size_t *kind) {
  for (size_t k = 0; k < MARKS; k++)
    if (live[k] && begins(t, at, marks[k].open) && (k > 0 || may_open(t, at))) {
      *kind = k;
      return strlen(marks[k].open);
    }
  return 0;
}

static size_t closing_at(tm_wording t, size_t at, size_t kind) {
  const char *close = marks[kind].close, *other = marks[kind].other;
  if (begins(t, at, close) && (kind > 0 || may_close(t, at)))
    return strlen(close);
  return other && begins(t, at, other) ? strlen(other) : 0;
}

/* Where the quotation that starts at `start` ends; t.len: nowhere. *n: bytes of the mark. */
static size_t closing_of(tm_wording t, size_t start, size_t kind, size_t *n) {
  size_t i = start + 1;
  while (i < t.len && !(*n = closing_at(t, i, kind)))
    i++;
  return i < t.len ? i : t.len;
}

bool tm_wording_quoted(tm_wording text, size_t *at, tm_wording *out) {
  bool live[MARKS] = {true, true, true, true}; /* a kind that does not close here never will */
  for (size_t i = *at, kind = 0, n; i < text.len; i++) {
    if (!(n = opening_at(text, i, live, &kind)))
      continue;
    size_t start = i + n, end = closing_of(text, start, kind, &n);
    if (end < text.len) {
      *out = (tm_wording){text.s + start, end - start};
      *at = end + n;
      return true;
    }
    live[kind] = false;
  }
  return false;
}

bool tm_wording_holds(tm_arena *a, tm_wording folded, tm_wording quotation) {
  tm_wording q = tm_wording_fold(a, quotation);
  while (q.s && q.len && strchr(".,;:!?", q.s[q.len - 1]))
    q.len--;
  if (q.s && q.len == 0)
    return true;
  return q.s && folded.s && memmem(folded.s, folded.len, q.s, q.len) != NULL;
}

/* -- words -----------------------------------------------------------------------------------
 */

/* Bytes at `at` that belong to a word, 0: none. The dashes, quotation marks and the ellipsis
 * beyond ASCII (U+2000 to U+206F) do not. */
static size_t word_at(tm_wording t, size_t at) {
  if (begins(t, at, "\xE2\x80") || begins(t, at, "\xE2\x81"))
    return 0;
  return is_word_byte(t.s[at]) ? 1 : 0;
}

/* The next word at or behind *at; false at the end. */
static bool next_word(tm_wording t, size_t *at, tm_wording *out) {
  size_t i = *at;
  while (i < t.len && !word_at(t, i))
    i += (unsigned char)t.s[i] == 0xE2 && t.len - i >= 3 ? 3 : 1;
  size_t start = i;
  while (i < t.len && word_at(t, i))
    i++;
  *at = i;
  *out = (tm_wording){t.s + start, i - start};
  return i > start;
}

static int compare(const tm_wording *a, const tm_wording *b) {
  int order = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);
  return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_letters(const void *a, const void *b) {
  return compare(a, b);
}

int tm_wording_words(tm_words *out, tm_arena *a, tm_wording folded) {
  tm_wording word;
  size_t total = 0, at = 0;
  while (next_word(folded, &at, &word))
    total++;
  *out = (tm_words){tm_arena_array(a, tm_wording, total + 1), 0};
  if (!out->list)
    return -1;
  at = 0;
  for (size_t i = 0; next_word(folded, &at, &word); i++)
    out->list[i] = word;
  qsort(out->list, total, sizeof *out->list, by_letters);
  for (size_t i = 0; i < total; i++)
    if (i == 0 || compare(&out->list[i], &out->list[out->count - 1]) != 0)
      out->list[out->count++] = out->list[i];
  return 0;
}

double tm_wording_similar(const tm_words *a, const tm_words *b) {
  size_t shared = 0;
  for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
    int order = compare(&a->list[i], &b->list[k]);
    shared += order == 0;
    i += order <= 0;
    k += order >= 0;
  }
  size_t both = a->count + b->count;
  return both ? 2.0 * (double)shared / (double)both : 1.0;
}
