/* schema_names.c - how schemas and members are found by name: sets of words for the
 * check, a table for compiling, and absolute URIs (RFC 3986, section 5).
 */
#include "base/hash.h"
#include "text/schema_program.h"

/* -- words ----------------------------------------------------------------------------- */

static uint32_t word_hash(const word *w) {
  uint64_t h = (w->head ^ (w->tail * UINT64_C(0x9e3779b97f4a7c15)) ^ w->len) *
               UINT64_C(0xff51afd7ed558ccd);
  return (uint32_t)(h >> 32);
}

uint32_t tm_schema_words_find(const word_set *set, const word *w) {
  if (set->count <= 4) {
    for (uint32_t i = 0; i < set->count; i++)
      if (word_same(&set->list[i], w))
        return i;
    return WORD_NONE;
  }
  for (uint32_t at = word_hash(w) & set->mask;; at = (at + 1) & set->mask) {
    uint32_t i = set->slots[at];
    if (i == 0)
      return WORD_NONE;
    if (word_same(&set->list[i - 1], w))
      return i - 1;
  }
}

int tm_schema_words_init(word_set *set, tm_arena *a, size_t room) {
  size_t slots = 8;
  while (slots < room * 2)
    slots *= 2;
  *set = (word_set){.mask = (uint32_t)(slots - 1)};
  set->list = tm_arena_array(a, word, room + 1);
  set->slots = tm_arena_array(a, uint32_t, slots);
  return set->list && set->slots ? 0 : -1;
}

uint32_t tm_schema_words_add(word_set *set, const char *s, size_t len) {
  word w = word_of(s, (uint32_t)len);
  uint32_t at = word_hash(&w) & set->mask;
  for (; set->slots[at]; at = (at + 1) & set->mask)
    if (word_same(&set->list[set->slots[at] - 1], &w))
      return set->slots[at] - 1;
  set->list[set->count] = w;
  set->slots[at] = ++set->count;
  return set->count - 1;
}

/* -- the table for compiling ----------------------------------------------------------- */

static name_slot *slot_of(const name_table *t, const void *key, size_t len) {
  size_t at = (size_t)tm_hash_fast(key, len) & (t->cap - 1);
  while (t->slots[at].key &&
         (t->slots[at].len != len || memcmp(t->slots[at].key, key, len) != 0))
    at = (at + 1) & (t->cap - 1);
  return &t->slots[at];
}

void *tm_schema_names_get(const name_table *t, const void *key, size_t len) {
  return t->cap ? slot_of(t, key, len)->value : NULL;
}

/* The old slots stay in the arena: doubling wastes less than the table itself. */
static int grow(name_table *t, tm_arena *a) {
  name_table bigger = {.cap = t->cap ? t->cap * 2 : 64, .count = t->count};
  bigger.slots = tm_arena_array(a, name_slot, bigger.cap);
  if (!bigger.slots)
    return -1;
  for (size_t i = 0; i < t->cap; i++)
    if (t->slots[i].key)
      *slot_of(&bigger, t->slots[i].key, t->slots[i].len) = t->slots[i];
  *t = bigger;
  return 0;
}

int tm_schema_names_put(name_table *t, tm_arena *a, const void *key, size_t len, void *value) {
  if (t->count * 2 >= t->cap && grow(t, a) < 0)
    return -1;
  name_slot *s = slot_of(t, key, len);
  t->count += s->key == NULL;
  *s = (name_slot){key, len, value};
  return 0;
}

/* -- URIs ------------------------------------------------------------------------------ */

/*   scheme ":" "//" authority path "?" query       (the fragment is cut off before) */
typedef struct span {
  const char *s;
  size_t len;
  bool there;
} span;

typedef struct uri_parts {
  span scheme, authority, path, query;
} uri_parts;

static size_t scheme_len(const char *s, size_t len) {
  for (size_t i = 0; i < len; i++) {
    char c = s[i];
    if (c == ':')
      return i;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool rest = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter && !(i > 0 && rest))
      return 0;
  }
  return 0;
}

static uri_parts split(const char *s, size_t len) {
  uri_parts p = {0};
  const char *hash = memchr(s, '#', len);
  if (hash)
    len = (size_t)(hash - s);
  size_t scheme = scheme_len(s, len);
  if (scheme) {
    p.scheme = (span){s, scheme, true};
    s += scheme + 1;
    len -= scheme + 1;
  }
  const char *mark = memchr(s, '?', len);
  if (mark) {
    p.query = (span){mark + 1, len - (size_t)(mark + 1 - s), true};
    len = (size_t)(mark - s);
  }
  if (len >= 2 && s[0] == '/' && s[1] == '/') {
    const char *path = memchr(s + 2, '/', len - 2);
    size_t end = path ? (size_t)(path - s) : len;
    p.authority = (span){s + 2, end - 2, true};
    s += end;
    len -= end;
  }
  p.path = (span){s, len, true};
  return p;
}

/* "a/b/../c" to "a/c", in place. Returns the new length. */
static size_t remove_dots(char *path, size_t len) {
  size_t from = 0, to = 0;
  while (from < len) {
    size_t end = from + 1;
    while (end < len && path[end] != '/')
      end++;
    size_t skip = path[from] == '/' ? 1 : 0;
    const char *name = path + from + skip;
    size_t name_len = end - from - skip;
    bool last = end == len;
    if (name_len == 1 && name[0] == '.') {
      if (last && skip)
        path[to++] = '/';
    } else if (name_len == 2 && name[0] == '.' && name[1] == '.') {
      while (to > 0 && path[to - 1] != '/')
        to--;
      if (to > 0)
        to--;
      if (last && skip)
        path[to++] = '/';
    } else {
      memmove(path + to, path + from, end - from);
      to += end - from;
    }
    from = end;
  }
  return to;
}

static char *put(char *to, const char *s, size_t len) {
  if (len)
    memcpy(to, s, len);
  return to + len;
}

/* The path of a relative reference, laid on the base's. */
static size_t merge(char *to, const uri_parts *base, const span *path) {
  if (path->len && path->s[0] == '/')
    return (size_t)(put(to, path->s, path->len) - to);
  size_t keep = base->path.len;
  while (keep > 0 && base->path.s[keep - 1] != '/')
    keep--;
  char *end = put(to, base->path.s, keep);
  if (keep == 0 && base->authority.there)
    end = put(end, "/", 1);
  return (size_t)(put(end, path->s, path->len) - to);
}

char *tm_schema_uri_join(tm_arena *a, const char *base, const char *ref, size_t len) {
  uri_parts b = split(base, strlen(base)), r = split(ref, len);
  char *out = tm_arena_alloc(a, strlen(base) + len + 8);
  if (!out)
    return NULL;
  const span *scheme = r.scheme.there ? &r.scheme : &b.scheme;
  bool own = r.scheme.there || r.authority.there;
  const span *authority = own ? &r.authority : &b.authority;
  bool inherits = !own && r.path.len == 0;
  const span *query = inherits && !r.query.there ? &b.query : &r.query;
  char *at = out;
  if (scheme->there)
    at = put(put(at, scheme->s, scheme->len), ":", 1);
  if (authority->there)
    at = put(put(at, "//", 2), authority->s, authority->len);
  if (inherits) {
    at = put(at, b.path.s, b.path.len);
  } else if (own) {
    char *path = at;
    at = put(at, r.path.s, r.path.len);
    if (authority->there)
      at = path + remove_dots(path, (size_t)(at - path));
  } else {
    at += remove_dots(at, merge(at, &b, &r.path));
  }
  if (query->there)
    at = put(put(at, "?", 1), query->s, query->len);
  *at = 0;
  return out;
}
