/* value.c - Lua values to JSON values and back. */
#include "script/value.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "script/sandbox.h"

/* -- arrays ---------------------------------------------------------------------------- */

static const char array_key;

void tm_value_array_mt(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "array");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

void tm_value_mark_array(lua_State *L) {
  tm_value_array_mt(L);
  lua_setmetatable(L, -2);
}

/* -- to Lua ---------------------------------------------------------------------------- */

static void push_items(lua_State *L, const tm_json *v) {
  size_t n = tm_json_len(v);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    tm_value_push(L, tm_json_at(v, i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  tm_value_mark_array(L);
}

static void push_members(lua_State *L, const tm_json *v) {
  size_t n = tm_json_len(v);
  lua_createtable(L, 0, (int)n);
  for (size_t i = 0; i < n; i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    lua_pushlstring(L, m->key, m->key_len);
    tm_value_push(L, &m->value);
    lua_rawset(L, -3);
  }
}

static void push_string(lua_State *L, const tm_json *v) {
  size_t len;
  const char *s = tm_json_str(v, &len);
  lua_pushlstring(L, s, len);
}

void tm_value_push(lua_State *L, const tm_json *v) {
  luaL_checkstack(L, 4, "the value is nested too deeply");
  switch (v ? tm_json_type_of(v) : TM_JSON_NULL) {
  case TM_JSON_NULL:
    lua_pushlightuserdata(L, NULL);
    break;
  case TM_JSON_BOOL:
    lua_pushboolean(L, tm_json_bool(v, false));
    break;
  case TM_JSON_INT:
    lua_pushinteger(L, tm_json_int(v, 0));
    break;
  case TM_JSON_DOUBLE:
    lua_pushnumber(L, tm_json_number(v, 0));
    break;
  case TM_JSON_STRING:
    push_string(L, v);
    break;
  case TM_JSON_ARRAY:
    push_items(L, v);
    break;
  case TM_JSON_OBJECT:
    push_members(L, v);
    break;
  }
}

/* -- from Lua -----------------------------------------------------------------------
 *
 * Frames live on the C stack, one for each table that is being read: they give the path of an
 * error, and they find a table that contains itself.
 */
typedef struct frame {
  const struct frame *up;
  const void *table;
  const char *key; /* where we are in it: a name, or NULL and an item */
  size_t len;
  size_t item;
  int depth;
} frame;

typedef struct reader {
  lua_State *L;
  tm_arena *a;
  tm_err *err;
  size_t left; /* bytes that may still be made */
} reader;

typedef struct entry {
  const char *key; /* stays in the table, and so in memory */
  size_t len;
} entry;

static tm_json *read_value(reader *r, int index, const frame *up);

static void print_path(tm_buf *out, const frame *f) {
  if (!f)
    return;
  print_path(out, f->up);
  tm_buf_putc(out, '/');
  if (!f->key)
    tm_buf_printf(out, "%zu", f->item);
  else
    tm_buf_put(out, f->key, tm_json_utf8_valid(f->key, f->len));
}

/* Always NULL. */
static tm_json *fail(reader *r, const frame *f, tm_code code, const char *what) {
  tm_buf path = TM_BUF_INIT;
  print_path(&path, f);
  tm_err_set(r->err, code, "at %s: %s", path.len ? tm_buf_str(&path) : "the top", what);
  tm_buf_free(&path);
  return NULL;
}

static tm_json *fail_type(reader *r, const frame *f, const char *type) {
  char what[160];
  snprintf(what, sizeof what,
           "a %s, which JSON cannot hold; use tables, strings, numbers, booleans and null",
           type);
  return fail(r, f, TM_USAGE, what);
}

/* Take the cost of a value or a key from what is left. */
static bool afford(reader *r, size_t bytes) {
  size_t cost = bytes + sizeof(tm_json_member);
  bool fits = cost <= r->left;
  r->left = fits ? r->left - cost : 0;
  return fits;
}

static tm_json *read_string(reader *r, int index, const frame *f) {
  size_t len;
  const char *s = lua_tolstring(r->L, index, &len);
  if (!afford(r, len))
    return NULL;
  if (tm_json_utf8_valid(s, len) != len)
    return fail(r, f, TM_USAGE,
                "a string that is not UTF-8; encode binary data, as base64 or hex");
  return tm_json_new_strn(r->a, s, len);
}

static tm_json *read_number(reader *r, int index, const frame *f) {
  if (lua_isinteger(r->L, index))
    return tm_json_new_int(r->a, lua_tointeger(r->L, index));
  double d = lua_tonumber(r->L, index);
  if (!isfinite(d))
    return fail(r, f, TM_USAGE, isnan(d) ? "not a number (NaN)" : "an infinite number");
  return tm_json_new_double(r->a, d);
}

#define FEW 8 /* members that need no list of their own, which is nearly always so */

/* What the keys of a table are. */
typedef struct shape {
  entry few[FEW]; /* the first names */
  size_t names, items;
  lua_Integer low, high; /* of the items */
  int odd;               /* the lowest type of a key that is neither; 0 (nil): none */
} shape;

static void survey_key(lua_State *L, shape *s) {
  int type = lua_type(L, -1);
  if (type == LUA_TSTRING) {
    if (s->names < FEW)
      s->few[s->names].key = lua_tolstring(L, -1, &s->few[s->names].len);
    s->names++;
  } else if (lua_isinteger(L, -1)) {
    lua_Integer i = lua_tointeger(L, -1);
    s->low = s->items == 0 || i < s->low ? i : s->low;
    s->high = s->items == 0 || i > s->high ? i : s->high;
    s->items++;
  } else if (s->odd == 0 || type < s->odd) {
    s->odd = type;
  }
}

static void survey(shape *s, lua_State *L, int index) {
  s->names = s->items = 0;
  s->odd = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    survey_key(L, s);
  }
}

/* `here` is this table's own frame, which its children see as their `up`. */
static tm_json *read_items(reader *r, int index, size_t n, frame *here) {
  tm_json *array = tm_json_new_array(r->a);
  for (size_t i = 0; array && i < n; i++) {
    here->key = NULL;
    here->item = i;
    lua_rawgeti(r->L, index, (lua_Integer)i + 1);
    tm_json *item = read_value(r, lua_gettop(r->L), here);
    lua_pop(r->L, 1);
    if (!tm_json_push(r->a, array, item))
      return NULL;
  }
  return array;
}

static int by_key(const void *x, const void *y) {
  const entry *a = x, *b = y;
  size_t len = a->len < b->len ? a->len : b->len;
  int diff = len ? memcmp(a->key, b->key, len) : 0;
  return diff ? diff : (a->len > b->len) - (a->len < b->len);
}

static void sort_few(entry *e, size_t n) {
  for (size_t i = 1; i < n; i++)
    for (size_t j = i; j > 0 && by_key(&e[j - 1], &e[j]) > 0; j--) {
      entry later = e[j - 1];
      e[j - 1] = e[j];
      e[j] = later;
    }
}

/* The names of a table in order: of several errors each process meets the same one. */
static entry *sorted_names(reader *r, int index, shape *s) {
  if (s->names <= FEW) {
    sort_few(s->few, s->names);
    return s->few;
  }
  entry *all = tm_arena_array(r->a, entry, s->names), *e = all;
  if (!all)
    return NULL;
  lua_pushnil(r->L);
  while (lua_next(r->L, index)) {
    lua_pop(r->L, 1);
    e->key = lua_tolstring(r->L, -1, &e->len);
    e++;
  }
  qsort(all, s->names, sizeof *all, by_key);
  return all;
}

static tm_json *read_member(reader *r, int index, const entry *e, frame *here) {
  if (tm_json_utf8_valid(e->key, e->len) != e->len)
    return fail(r, here->up, TM_USAGE, "a key that is not UTF-8; encode binary data");
  if (!afford(r, e->len))
    return NULL;
  here->key = e->key;
  here->len = e->len;
  lua_pushlstring(r->L, e->key, e->len);
  lua_rawget(r->L, index);
  tm_json *value = read_value(r, lua_gettop(r->L), here);
  lua_pop(r->L, 1);
  return value;
}

static tm_json *read_members(reader *r, int index, shape *s, frame *here) {
  tm_json *object = tm_json_new_object(r->a);
  const entry *entries = sorted_names(r, index, s);
  for (size_t i = 0; entries && i < s->names; i++) {
    tm_json *value = read_member(r, index, &entries[i], here);
    if (!tm_json_addn(r->a, object, entries[i].key, entries[i].len, value))
      return NULL;
  }
  return entries ? object : NULL;
}

/* True for an array by its metatable. */
static bool marked(lua_State *L, int index) {
  if (!lua_getmetatable(L, index))
    return false;
  tm_value_array_mt(L);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

static bool has_pairs(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__pairs") == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}

/* Why a table can be neither array nor object, or NULL. */
static const char *misshapen(const shape *s, bool array) {
  if (s->odd == LUA_TNUMBER)
    return "a table with a fraction as key; keys are strings, or 1 to n";
  if (s->odd)
    return "a table with a key that is no string and no number; keys are strings, or 1 to n";
  if (s->names && (s->items || array))
    return "a table with both names and numbers as keys; JSON has lists and objects apart";
  if (s->items && (s->low != 1 || s->high != (lua_Integer)s->items))
    return "a list with holes, or one that does not start at 1; fill them with null";
  return NULL;
}

/* Why the table may not be entered, or NULL. */
static const char *forbidden(reader *r, int index, const frame *here) {
  for (const frame *f = here->up; f; f = f->up)
    if (f->table == here->table)
      return "a table that contains itself";
  if (has_pairs(r->L, index))
    return "a table with __pairs; copy what it holds into a plain one";
  return NULL;
}

static tm_json *read_plain(reader *r, int index, const frame *up) {
  frame here = {.up = up, .table = lua_topointer(r->L, index), .depth = up ? up->depth + 1 : 1};
  if (here.depth > TM_VALUE_DEPTH || !lua_checkstack(r->L, 8))
    return fail(r, up, TM_LIMIT, "more than 100 tables inside each other");
  const char *why = forbidden(r, index, &here);
  if (why)
    return fail(r, up, TM_USAGE, why);
  shape s;
  survey(&s, r->L, index);
  bool array = marked(r->L, index);
  why = misshapen(&s, array);
  if (why)
    return fail(r, up, TM_USAGE, why);
  return array || s.items ? read_items(r, index, s.items, &here)
                          : read_members(r, index, &s, &here);
}

/* A read-only view is read through. */
static tm_json *read_table(reader *r, int index, const frame *up) {
  lua_pushvalue(r->L, index);
  tm_sandbox_thaw(r->L, -1);
  tm_json *result = read_plain(r, lua_gettop(r->L), up);
  lua_pop(r->L, 1);
  return result;
}

static tm_json *read_value(reader *r, int index, const frame *up) {
  if (!afford(r, 0))
    return NULL;
  switch (lua_type(r->L, index)) {
  case LUA_TNONE:
  case LUA_TNIL:
    return tm_json_null(r->a);
  case LUA_TBOOLEAN:
    return tm_json_new_bool(r->a, lua_toboolean(r->L, index));
  case LUA_TNUMBER:
    return read_number(r, index, up);
  case LUA_TSTRING:
    return read_string(r, index, up);
  case LUA_TTABLE:
    return read_table(r, index, up);
  case LUA_TLIGHTUSERDATA:
    if (!lua_touserdata(r->L, index))
      return tm_json_null(r->a);
    break;
  default:
    break;
  }
  return fail_type(r, up, luaL_typename(r->L, index));
}

int tm_value_read(tm_json **out, lua_State *L, int index, tm_arena *a, tm_err *err) {
  reader r = {L, a, err, TM_VALUE_BYTES};
  int top = lua_gettop(L);
  err->code = TM_OK;
  *out = lua_checkstack(L, 8) ? read_value(&r, lua_absindex(L, index), NULL) : NULL;
  lua_settop(L, top);
  if (*out)
    return 0;
  if (err->code == TM_OK)
    tm_err_set(err, TM_LIMIT, "the value is too large to be kept: %zu MiB at most",
               TM_VALUE_BYTES >> 20);
  return -1;
}
