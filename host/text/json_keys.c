/* json_keys.c - keys that stand twice in one object: refused, or the last value kept. */
#include <stdlib.h>
#include <string.h>

#include "text/json_parser.h"

static bool same_key(const tm_json_member *a, const tm_json_member *b) {
  return a->spare == b->spare && a->key_len == b->key_len &&
         memcmp(a->key, b->key, a->key_len) == 0;
}

/* True when no key stands twice, for sure. A set of 64 bits sorts most keys out; with many
 * members it would not, and comparing each pair would let a large object take for ever. */
static bool surely_unique(const tm_json_member *m, size_t n) {
  uint64_t seen = 0;
  if (n > 64)
    return false;
  for (size_t i = 0; i < n; i++) {
    uint64_t bit = (uint64_t)1 << (m[i].spare & 63);
    for (size_t j = 0; (seen & bit) && j < i; j++)
      if (same_key(&m[i], &m[j]))
        return false;
    seen |= bit;
  }
  return true;
}

/* By key, equal keys in the order of their places. */
static int by_key(const void *left, const void *right) {
  const tm_json_member *a = *(tm_json_member *const *)left,
                       *b = *(tm_json_member *const *)right;
  if (a->key_len != b->key_len)
    return a->key_len < b->key_len ? -1 : 1;
  int order = memcmp(a->key, b->key, a->key_len);
  return order ? order : a < b ? -1 : a > b;
}

static tm_json_member **sorted(tm_json_parser *p, tm_json_member *m, size_t n) {
  size_t size = n * sizeof(tm_json_member *);
  tm_json_member **order =
      p->arena->limit ? tm_try_realloc(NULL, size) : tm_realloc(NULL, size);
  if (!order) {
    tm_json_fail_memory(p);
    return NULL;
  }
  for (size_t i = 0; i < n; i++)
    order[i] = &m[i];
  qsort(order, n, sizeof *order, by_key);
  return order;
}

/* Move the last value of each key to its first member and mark the others as dropped (no
 * key). Returns the first of those in the text, NULL when all keys differ. */
static const char *merge(tm_json_member **order, size_t n) {
  const char *repeated = NULL;
  tm_json_member *first = n ? order[0] : NULL;
  for (size_t i = 1; i < n; i++) {
    tm_json_member *m = order[i];
    if (!same_key(first, m)) {
      first = m;
      continue;
    }
    if (!repeated || m->key < repeated)
      repeated = m->key;
    first->value = m->value;
    m->key = NULL;
  }
  return repeated;
}

bool tm_json_settle(tm_json_parser *p, tm_json_member *m, uint32_t *n) {
  if (surely_unique(m, *n))
    return true;
  tm_json_member **order = sorted(p, m, *n);
  if (!order)
    return false;
  const char *repeated = merge(order, *n);
  free(order);
  if (!repeated)
    return true;
  if (!p->last_wins) {
    tm_json_fail(p, repeated - 1, TM_USAGE, "the key \"%s\" stands twice in one object",
                 tm_json_shown(repeated, strlen(repeated)).text);
    return false;
  }
  p->had_duplicates = true;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < *n; i++)
    if (m[i].key)
      m[kept++] = m[i];
  *n = kept;
  return true;
}
