/* changes.c - comparing: values member by member, texts line by line.
 *
 * The lines are compared by Myers' greedy search for the shortest way through the grid of both
 * texts: V[k] is how far down diagonal k a way of d edits reaches; all V are kept to walk back.
 *
 *      0   A   B   C     right: a line of `was` goes
 *    0 ●──►                down: a line of `is` comes
 *    A     ╲             diagonal: both have it
 *    X         ▼
 */
#include "text/changes.h"

#include <stdio.h>

/* -- values ----------------------------------------------------------------------------- */

typedef struct comparing {
  tm_arena *arena;
  tm_json *list;
  size_t max;
  tm_buf at;
} comparing;

static void put_key(tm_buf *at, const char *key, size_t len) {
  tm_buf_putc(at, '/');
  for (size_t i = 0; i < len; i++) {
    if (key[i] == '~')
      tm_buf_puts(at, "~0");
    else if (key[i] == '/')
      tm_buf_puts(at, "~1");
    else
      tm_buf_putc(at, key[i]);
  }
}

static void note(comparing *c, const tm_json *was, const tm_json *is) {
  tm_arena *a = c->arena;
  if (tm_json_len(c->list) >= c->max)
    return;
  tm_json *o = tm_json_new_object(a);
  tm_json_set(a, o, "at", tm_json_new_strn(a, tm_buf_str(&c->at), c->at.len));
  if (was)
    tm_json_set(a, o, "was", was);
  if (is)
    tm_json_set(a, o, "is", is);
  tm_json_push(a, c->list, o);
}

static void compare(comparing *c, const tm_json *was, const tm_json *is);

static void compare_at(comparing *c, const char *key, size_t len, const tm_json *was,
                       const tm_json *is) {
  size_t before = c->at.len;
  put_key(&c->at, key, len);
  compare(c, was, is);
  c->at.len = before;
}

static void compare_objects(comparing *c, const tm_json *was, const tm_json *is) {
  for (size_t i = 0; i < tm_json_len(was); i++) {
    const tm_json_member *m = tm_json_member_at(was, i);
    compare_at(c, m->key, m->key_len, &m->value, tm_json_getn(is, m->key, m->key_len));
  }
  for (size_t i = 0; i < tm_json_len(is); i++) {
    const tm_json_member *m = tm_json_member_at(is, i);
    if (!tm_json_getn(was, m->key, m->key_len))
      compare_at(c, m->key, m->key_len, NULL, &m->value);
  }
}

static void compare_arrays(comparing *c, const tm_json *was, const tm_json *is) {
  size_t n = tm_json_len(was) > tm_json_len(is) ? tm_json_len(was) : tm_json_len(is);
  for (size_t i = 0; i < n; i++) {
    char key[24];
    int len = snprintf(key, sizeof key, "%zu", i);
    compare_at(c, key, (size_t)len, tm_json_at(was, i), tm_json_at(is, i));
  }
}

static void compare(comparing *c, const tm_json *was, const tm_json *is) {
  if (!was || !is) {
    note(c, was, is);
    return;
  }
  tm_json_type type = tm_json_type_of(was);
  if (tm_json_equal(was, is))
    return;
  if (type == TM_JSON_OBJECT && tm_json_type_of(is) == type)
    compare_objects(c, was, is);
  else if (type == TM_JSON_ARRAY && tm_json_type_of(is) == type)
    compare_arrays(c, was, is);
  else
    note(c, was, is);
}

tm_json *tm_changes_of(tm_arena *a, const tm_json *was, const tm_json *is, size_t max) {
  comparing c = {.arena = a, .list = tm_json_new_array(a), .max = max};
  if (was || is)
    compare(&c, was, is);
  tm_buf_free(&c.at);
  return c.list;
}

/* -- texts ------------------------------------------------------------------------------ */

#define MAX_EDITS 2000 /* the way back takes memory by their square */
#define AROUND    3

typedef struct lines {
  const char **at;
  size_t *len; /* with its end of line */
  size_t count;
} lines;

static lines split(tm_arena *a, const char *text, size_t len) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++)
    n += text[i] == '\n';
  lines l = {.at = tm_arena_array(a, const char *, n + 1),
             .len = tm_arena_array(a, size_t, n + 1)};
  for (const char *end = text + len; text < end;) {
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    size_t size = stop ? (size_t)(stop - text) + 1 : (size_t)(end - text);
    l.at[l.count] = text;
    l.len[l.count++] = size;
    text += size;
  }
  return l;
}

static bool same(const lines *was, size_t i, const lines *is, size_t j) {
  return was->len[i] == is->len[j] && memcmp(was->at[i], is->at[j], was->len[i]) == 0;
}

/* One diagonal further: from the better of its neighbours, then down as far as lines are equal.
 */
static long reach(const long *v, long k, long d, const lines *was, const lines *is) {
  bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
  long x = down ? v[k + 1] : v[k - 1] + 1;
  while (x < (long)was->count && x - k < (long)is->count &&
         same(was, (size_t)x, is, (size_t)(x - k)))
    x++;
  return x;
}

/* Walk back from the corner: mark the lines that go and those that come. */
static void walk_back(long **ways, long d, const lines *was, const lines *is, bool *gone,
                      bool *come) {
  long x = (long)was->count, y = (long)is->count;
  for (; d > 0; d--) {
    const long *v = ways[d - 1] + d;
    long k = x - y;
    bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
    x = down ? v[k + 1] : v[k - 1];
    y = x - (down ? k + 1 : k - 1);
    if (down)
      come[y] = true;
    else
      gone[x] = true;
  }
}

/* False: too many edits. */
static bool search(tm_arena *a, const lines *was, const lines *is, bool *gone, bool *come) {
  long most = (long)(was->count + is->count);
  long **ways = tm_arena_array(a, long *, MAX_EDITS + 1);
  long *now = tm_arena_array(a, long, 2 * MAX_EDITS + 5);
  long *v = now + MAX_EDITS + 2;
  for (long d = 0; d <= most && d <= MAX_EDITS; d++) {
    for (long k = -d; k <= d; k += 2) {
      v[k] = reach(v, k, d, was, is);
      if (v[k] >= (long)was->count && v[k] - k >= (long)is->count) {
        walk_back(ways, d, was, is, gone, come);
        return true;
      }
    }
    ways[d] = tm_arena_array(a, long, (size_t)(2 * d + 3));
    memcpy(ways[d], v - d - 1, (size_t)(2 * d + 3) * sizeof *v);
  }
  return false;
}

static void put_line(tm_buf *out, char sign, const lines *l, size_t i) {
  tm_buf_putc(out, sign);
  tm_buf_put(out, l->at[i], l->len[i]);
  if (l->at[i][l->len[i] - 1] != '\n')
    tm_buf_puts(out, "\n\\ No newline at end of file\n");
}

typedef struct hunk {
  size_t i, j;         /* where it begins */
  size_t i_end, j_end; /* and ends */
} hunk;

/* From the next change at or behind (i, j), with the lines around; false: there is none. */
static bool next_hunk(hunk *h, const lines *was, const lines *is, const bool *gone,
                      const bool *come) {
  size_t i = h->i_end, j = h->j_end, quiet = 0;
  while (i < was->count && j < is->count && !gone[i] && !come[j])
    i++, j++;
  if (i >= was->count && j >= is->count)
    return false;
  size_t back = i - h->i_end < AROUND ? i - h->i_end : AROUND;
  h->i = i - back;
  h->j = j - back;
  while ((i < was->count || j < is->count) && quiet <= 2 * AROUND) {
    bool changed = (i < was->count && gone[i]) || (j < is->count && come[j]);
    quiet = changed ? 0 : quiet + 1;
    if (i < was->count && gone[i])
      i++;
    else if (j < is->count && come[j])
      j++;
    else
      i++, j++;
  }
  size_t cut = quiet > AROUND ? quiet - AROUND : 0;
  h->i_end = i - cut;
  h->j_end = j - cut;
  return true;
}

static void put_range(tm_buf *out, char sign, size_t from, size_t to) {
  size_t n = to - from;
  tm_buf_printf(out, "%c%zu", sign, n ? from + 1 : from);
  if (n != 1)
    tm_buf_printf(out, ",%zu", n);
}

static void put_hunk(tm_buf *out, const hunk *h, const lines *was, const lines *is,
                     const bool *gone, const bool *come) {
  tm_buf_puts(out, "@@ ");
  put_range(out, '-', h->i, h->i_end);
  tm_buf_putc(out, ' ');
  put_range(out, '+', h->j, h->j_end);
  tm_buf_puts(out, " @@\n");
  for (size_t i = h->i, j = h->j; i < h->i_end || j < h->j_end;) {
    if (i < h->i_end && gone[i]) {
      put_line(out, '-', was, i++);
    } else if (j < h->j_end && come[j]) {
      put_line(out, '+', is, j++);
    } else {
      put_line(out, ' ', was, i++);
      j++;
    }
  }
}

static void put_names(tm_buf *out, const char *was, const char *is) {
  tm_buf_printf(out, "--- %s%s\n", was ? "was/" : "/dev/null", was ? was : "");
  tm_buf_printf(out, "+++ %s%s\n", is ? "now/" : "/dev/null", is ? is : "");
}

void tm_changes_text(tm_buf *out, const char *was_name, const char *was, size_t was_len,
                     const char *is_name, const char *is, size_t is_len) {
  tm_arena a;
  if (was_len == is_len && memcmp(was, is, was_len) == 0)
    return;
  put_names(out, was_name, is_name);
  tm_arena_init(&a, 0);
  bool text =
      tm_json_utf8_valid(was, was_len) == was_len && tm_json_utf8_valid(is, is_len) == is_len;
  lines l = split(&a, was, text ? was_len : 0), m = split(&a, is, text ? is_len : 0);
  bool *gone = tm_arena_array(&a, bool, l.count + 1),
       *come = tm_arena_array(&a, bool, m.count + 1);
  if (!text || !search(&a, &l, &m, gone, come)) {
    tm_buf_puts(out, "Files differ\n");
  } else {
    hunk h = {0};
    while (next_hunk(&h, &l, &m, gone, come))
      put_hunk(out, &h, &l, &m, gone, come);
  }
  tm_arena_free(&a);
}
