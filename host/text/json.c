/* json.c - the tree: reading it, comparing it, building and growing it.
 *
 *   array   items   -> [ value | value | value |  room  ]   16 bytes each
 *   object  members -> [ key, value | key, value | room ]   32 bytes each
 *
 * A container grows by doubling into fresh arena memory; the old place is left to the
 * arena. The room behind the items belongs to one tm_json only: a shallow copy is made
 * "full", so that two that share their items never write into the same room.
 */
#include "text/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "text/json_scan.h"

_Static_assert(sizeof(tm_json) == 16, "a value is two words");
_Static_assert(sizeof(tm_json_member) == 32, "a member is a key and a value");

/* -- reading --------------------------------------------------------------------------- */

static bool is(const tm_json *v, tm_json_type type) {
  return v && v->type == type;
}

const char *tm_json_type_name(const tm_json *v) {
  static const char *const names[] = {"null",   "boolean", "integer", "number",
                                      "string", "array",   "object"};
  return v ? names[v->type] : "nothing";
}

bool tm_json_bool(const tm_json *v, bool otherwise) {
  return is(v, TM_JSON_BOOL) ? v->u.b : otherwise;
}

/* True when d is an integer that an int64 holds; 2^63 itself is the first that it does not. */
static bool integer_of(double d, int64_t *out) {
  const double limit = 9223372036854775808.0;
  if (!(d >= -limit && d < limit) || d < trunc(d) || d > trunc(d))
    return false;
  *out = (int64_t)d;
  return true;
}

int64_t tm_json_int(const tm_json *v, int64_t otherwise) {
  int64_t i;
  if (is(v, TM_JSON_INT))
    return v->u.i;
  return is(v, TM_JSON_DOUBLE) && integer_of(v->u.d, &i) ? i : otherwise;
}

double tm_json_number(const tm_json *v, double otherwise) {
  if (is(v, TM_JSON_INT))
    return (double)v->u.i;
  return is(v, TM_JSON_DOUBLE) ? v->u.d : otherwise;
}

const char *tm_json_str(const tm_json *v, size_t *len) {
  bool found = is(v, TM_JSON_STRING);
  if (len)
    *len = found ? v->len : 0;
  return found ? v->u.s : NULL;
}

size_t tm_json_len(const tm_json *v) {
  return is(v, TM_JSON_ARRAY) || is(v, TM_JSON_OBJECT) ? v->len : 0;
}

const tm_json *tm_json_at(const tm_json *array, size_t i) {
  return is(array, TM_JSON_ARRAY) && i < array->len ? &array->u.items[i] : NULL;
}

const tm_json_member *tm_json_member_at(const tm_json *object, size_t i) {
  return is(object, TM_JSON_OBJECT) && i < object->len ? &object->u.members[i] : NULL;
}

static inline tm_json_member *find_hash(const tm_json *object, const char *key, size_t len,
                                        uint32_t hash) {
  if (!is(object, TM_JSON_OBJECT))
    return NULL;
  for (uint32_t i = 0; i < object->len; i++) {
    tm_json_member *m = &object->u.members[i];
    if (m->spare == hash && m->key_len == len && memcmp(m->key, key, len) == 0)
      return m;
  }
  return NULL;
}

static tm_json_member *find(const tm_json *object, const char *key, size_t len) {
  return find_hash(object, key, len, scan_key_hash(key, len));
}

const tm_json *tm_json_geth(const tm_json *object, const char *key, size_t len, uint32_t hash) {
  const tm_json_member *m = find_hash(object, key, len, hash);
  return m ? &m->value : NULL;
}

const tm_json *tm_json_getn(const tm_json *object, const char *key, size_t len) {
  const tm_json_member *m = find(object, key, len);
  return m ? &m->value : NULL;
}

const char *tm_json_get_str(const tm_json *object, const char *key) {
  return tm_json_str(tm_json_get(object, key), NULL);
}

/* -- pointers (RFC 6901) --------------------------------------------------------------- */

/* True when the reference token, with ~0 and ~1 for ~ and /, spells the key. */
static bool spells(const char *token, size_t len, const tm_json_member *m) {
  size_t at = 0;
  for (size_t i = 0; i < len; i++, at++) {
    char c = token[i];
    if (c == '~') {
      char code = ++i < len ? token[i] : '\0';
      if (code != '0' && code != '1')
        return false;
      c = code == '0' ? '~' : '/';
    }
    if (at >= m->key_len || m->key[at] != c)
      return false;
  }
  return at == m->key_len;
}

/* "0", "17"; no sign, no leading zero, and not "-", which is the place behind the last. */
static const tm_json *item_named(const tm_json *array, const char *token, size_t len) {
  size_t i = 0;
  if (len == 0 || len > 10 || (len > 1 && token[0] == '0'))
    return NULL;
  for (size_t k = 0; k < len; k++) {
    if (token[k] < '0' || token[k] > '9')
      return NULL;
    i = i * 10 + (size_t)(token[k] - '0');
  }
  return tm_json_at(array, i);
}

static const tm_json *child_named(const tm_json *v, const char *token, size_t len) {
  if (is(v, TM_JSON_ARRAY))
    return item_named(v, token, len);
  if (!memchr(token, '~', len))
    return tm_json_getn(v, token, len);
  for (size_t i = 0; is(v, TM_JSON_OBJECT) && i < v->len; i++)
    if (spells(token, len, &v->u.members[i]))
      return &v->u.members[i].value;
  return NULL;
}

const tm_json *tm_json_pointer(const tm_json *v, const char *pointer) {
  while (v && *pointer) {
    if (*pointer++ != '/')
      return NULL;
    size_t len = strcspn(pointer, "/");
    v = child_named(v, pointer, len);
    pointer += len;
  }
  return v;
}

/* -- equality -------------------------------------------------------------------------- */

static bool same_number(const tm_json *a, const tm_json *b) {
  if (a->type == b->type)
    return a->type == TM_JSON_INT ? a->u.i == b->u.i : a->u.d <= b->u.d && a->u.d >= b->u.d;
  int64_t i;
  const tm_json *whole = a->type == TM_JSON_INT ? a : b, *real = whole == a ? b : a;
  return integer_of(real->u.d, &i) && i == whole->u.i;
}

static bool same_items(const tm_json *a, const tm_json *b) {
  for (size_t i = 0; i < a->len; i++)
    if (!tm_json_equal(&a->u.items[i], &b->u.items[i]))
      return false;
  return true;
}

/* Keys are unique, so equal counts and a partner for each member of a are enough. Members
 * mostly stand in the same order: the same place is tried before the search. */
static bool same_members(const tm_json *a, const tm_json *b) {
  for (size_t i = 0; i < a->len; i++) {
    const tm_json_member *m = &a->u.members[i], *other = &b->u.members[i];
    if (m->key_len != other->key_len || memcmp(m->key, other->key, m->key_len) != 0)
      other = find(b, m->key, m->key_len);
    if (!other || !tm_json_equal(&m->value, &other->value))
      return false;
  }
  return true;
}

static bool is_number(const tm_json *v) {
  return v->type == TM_JSON_INT || v->type == TM_JSON_DOUBLE;
}

bool tm_json_equal(const tm_json *a, const tm_json *b) {
  if (!a || !b || a == b)
    return a == b;
  if (is_number(a) && is_number(b))
    return same_number(a, b);
  if (a->type != b->type || a->len != b->len)
    return false;
  switch ((tm_json_type)a->type) {
  case TM_JSON_BOOL:
    return a->u.b == b->u.b;
  case TM_JSON_STRING:
    return memcmp(a->u.s, b->u.s, a->len) == 0;
  case TM_JSON_ARRAY:
    return same_items(a, b);
  case TM_JSON_OBJECT:
    return same_members(a, b);
  default:
    return true;
  }
}

/* -- building -------------------------------------------------------------------------- */

static tm_json *new_value(tm_arena *a, tm_json v) {
  tm_json *out = tm_arena_alloc(a, sizeof *out);
  if (out)
    *out = v;
  return out;
}

tm_json *tm_json_null(tm_arena *a) {
  return new_value(a, (tm_json){.type = TM_JSON_NULL});
}

tm_json *tm_json_new_bool(tm_arena *a, bool b) {
  return new_value(a, (tm_json){.type = TM_JSON_BOOL, .u.b = b});
}

tm_json *tm_json_new_int(tm_arena *a, int64_t i) {
  return new_value(a, (tm_json){.type = TM_JSON_INT, .u.i = i});
}

tm_json *tm_json_new_double(tm_arena *a, double d) {
  assert(isfinite(d));
  return new_value(a, (tm_json){.type = TM_JSON_DOUBLE, .u.d = d});
}

/* A copy of bytes whose length a value can hold; NULL when the arena cannot. */
static char *copy_bytes(tm_arena *a, const char *s, size_t len) {
  if (len <= UINT32_MAX)
    return tm_arena_strndup(a, s, len);
  a->failed = true;
  return NULL;
}

tm_json *tm_json_new_strn(tm_arena *a, const char *s, size_t len) {
  assert(tm_json_utf8_valid(s, len) == len);
  char *copy = copy_bytes(a, s, len);
  if (!copy)
    return NULL;
  return new_value(a, (tm_json){.type = TM_JSON_STRING, .len = (uint32_t)len, .u.s = copy});
}

tm_json *tm_json_new_str(tm_arena *a, const char *s) {
  return s ? tm_json_new_strn(a, s, strlen(s)) : tm_json_null(a);
}

tm_json *tm_json_new_array(tm_arena *a) {
  return new_value(a, (tm_json){.type = TM_JSON_ARRAY});
}

tm_json *tm_json_new_object(tm_arena *a) {
  return new_value(a, (tm_json){.type = TM_JSON_OBJECT});
}

/* -- growing --------------------------------------------------------------------------- */

static tm_json shallow(const tm_json *v) {
  tm_json copy = *v;
  copy.spare = 0;
  return copy;
}

/* Room for one more piece of `size` bytes behind the `len` that stand at `pieces`: the same
 * place, or a new one of twice the size; NULL when the arena ran out. */
static void *room_for_one(tm_arena *a, tm_json *container, void *pieces, size_t size) {
  if (container->spare && container->len < (uint64_t)1 << (container->spare - 1))
    return pieces;
  unsigned power = 2; /* the first room is for four */
  while (((uint64_t)1 << power) <= container->len)
    power++;
  if (power > 31) {
    a->failed = true;
    return NULL;
  }
  void *grown = tm_arena_alloc(a, size << power);
  if (!grown)
    return NULL;
  if (container->len)
    memcpy(grown, pieces, container->len * size);
  container->spare = (uint16_t)(power + 1);
  return grown;
}

tm_json *tm_json_push(tm_arena *a, tm_json *array, const tm_json *item) {
  if (!array || !item)
    return NULL;
  assert(array->type == TM_JSON_ARRAY);
  tm_json copy = shallow(item); /* item may stand in the array itself */
  tm_json *items = room_for_one(a, array, array->u.items, sizeof *items);
  if (!items)
    return NULL;
  array->u.items = items;
  tm_json *place = &items[array->len++];
  *place = copy;
  return place;
}

tm_json *tm_json_addn(tm_arena *a, tm_json *object, const char *key, size_t len,
                      const tm_json *value) {
  if (!object || !value)
    return NULL;
  assert(object->type == TM_JSON_OBJECT);
  assert(tm_json_utf8_valid(key, len) == len);
  tm_json copy = shallow(value);
  char *own_key = copy_bytes(a, key, len);
  tm_json_member *members = room_for_one(a, object, object->u.members, sizeof *members);
  if (!own_key || !members)
    return NULL;
  object->u.members = members;
  tm_json_member *m = &members[object->len++];
  *m = (tm_json_member){own_key, (uint32_t)len, scan_key_hash(key, len), copy};
  return &m->value;
}

tm_json *tm_json_lendh(tm_arena *a, tm_json *object, const char *key, size_t len, uint32_t hash,
                       const tm_json *value) {
  if (!object || !value)
    return NULL;
  assert(object->type == TM_JSON_OBJECT);
  tm_json copy = shallow(value);
  tm_json_member *members = room_for_one(a, object, object->u.members, sizeof *members);
  if (!members)
    return NULL;
  object->u.members = members;
  tm_json_member *m = &members[object->len++];
  *m = (tm_json_member){key, (uint32_t)len, hash, copy};
  return &m->value;
}

void tm_json_lend_strn(tm_arena *a, tm_json *object, const char *key, const char *s,
                       size_t len) {
  if (len > UINT32_MAX)
    a->failed = true;
  else
    tm_json_lend(a, object, key,
                 &(tm_json){.type = TM_JSON_STRING, .len = (uint32_t)len, .u.s = s});
}

tm_json *tm_json_setn(tm_arena *a, tm_json *object, const char *key, size_t len,
                      const tm_json *value) {
  if (!object || !value)
    return NULL;
  tm_json_member *m = find(object, key, len);
  if (!m)
    return tm_json_addn(a, object, key, len, value);
  m->value = shallow(value);
  return &m->value;
}

tm_json *tm_json_set(tm_arena *a, tm_json *object, const char *key, const tm_json *value) {
  return tm_json_setn(a, object, key, strlen(key), value);
}

void tm_json_remove(tm_json *object, const char *key) {
  tm_json_member *m = find(object, key, strlen(key));
  if (!m)
    return;
  size_t behind = (size_t)(object->u.members + object->len - (m + 1));
  memmove(m, m + 1, behind * sizeof *m);
  object->len--;
}

/* -- deep copies -----------------------------------------------------------------------
 * One piece of memory: values and members in front, keys and strings behind them. */

typedef struct room {
  char *cells, *text;
} room;

/* Bytes of cells below v; those of its strings are added to *text. */
static size_t measure(const tm_json *v, size_t *text) {
  size_t cells = 0;
  if (v->type == TM_JSON_STRING) {
    *text += (size_t)v->len + 1;
  } else if (v->type == TM_JSON_ARRAY) {
    cells = v->len * sizeof(tm_json);
    for (size_t i = 0; i < v->len; i++)
      cells += measure(&v->u.items[i], text);
  } else if (v->type == TM_JSON_OBJECT) {
    cells = v->len * sizeof(tm_json_member);
    for (size_t i = 0; i < v->len; i++) {
      *text += (size_t)v->u.members[i].key_len + 1;
      cells += measure(&v->u.members[i].value, text);
    }
  }
  return cells;
}

static void *take_cells(room *r, size_t size) {
  void *p = r->cells;
  r->cells += size;
  return p;
}

static const char *take_text(room *r, const char *s, size_t len) {
  char *copy = r->text;
  if (len)
    memcpy(copy, s, len);
  copy[len] = '\0';
  r->text += len + 1;
  return copy;
}

static void copy_into(room *r, tm_json *out, const tm_json *v) {
  *out = shallow(v);
  if (v->type == TM_JSON_STRING) {
    out->u.s = take_text(r, v->u.s, v->len);
  } else if (v->type == TM_JSON_ARRAY && v->len) {
    out->u.items = take_cells(r, v->len * sizeof(tm_json));
    for (size_t i = 0; i < v->len; i++)
      copy_into(r, &out->u.items[i], &v->u.items[i]);
  } else if (v->type == TM_JSON_OBJECT && v->len) {
    out->u.members = take_cells(r, v->len * sizeof(tm_json_member));
    for (size_t i = 0; i < v->len; i++) {
      const tm_json_member *from = &v->u.members[i];
      tm_json_member *to = &out->u.members[i];
      to->key = take_text(r, from->key, from->key_len);
      to->key_len = from->key_len;
      to->spare = from->spare;
      copy_into(r, &to->value, &from->value);
    }
  }
}

tm_json *tm_json_copy(tm_arena *a, const tm_json *v) {
  size_t text = 0, cells = v ? sizeof *v + measure(v, &text) : 0;
  char *at = v ? tm_arena_alloc(a, cells + text) : NULL;
  if (!at)
    return NULL;
  room r = {at, at + cells};
  tm_json *out = take_cells(&r, sizeof *out);
  copy_into(&r, out, v);
  return out;
}

/* -- UTF-8 ----------------------------------------------------------------------------- */

size_t tm_json_utf8_valid(const char *s, size_t len) {
  size_t at = 0;
  while (at < len) {
    if (len - at >= SCAN_WIDE && scan_wide_ascii(s + at)) {
      at += SCAN_WIDE;
      continue;
    }
    if (len - at >= 8 && !(scan_load(s + at) & SCAN_HIGH)) {
      at += 8;
      continue;
    }
    if (len - at >= 4 && len - at < 8 && !(scan_few(s + at, len - at) & SCAN_HIGH))
      return len;
    size_t n = scan_character(s + at, len - at);
    if (!n)
      return at;
    at += n;
  }
  return at;
}
