/* globals.c - reading tables of C functions out of one state, and making them in another.
 *
 *   tables   0: _G · 1: the first table met in it · …, each with its metatable's number
 *   entries  (0, "next", C function) · (0, "string", table 3) · (3, "rep", C function) · …
 */
#include "script/globals.h"

#include <lauxlib.h>
#include <stdint.h>
#include <string.h>

typedef struct value {
  int type; /* Lua's */
  union {
    bool boolean;
    lua_Integer integer;
    lua_Number number;
    struct {
      const char *bytes;
      size_t len;
    } string;
    struct {
      lua_CFunction fn, under; /* under: its upvalue, a C function too; NULL: none */
    } function;
    int table;
  } u;
  bool whole; /* of numbers: an integer */
} value;

typedef struct entry {
  struct entry *next;
  int table;
  const char *key;
  size_t len;
  value value;
} entry;

#define TABLES_MAX 32

struct tm_globals {
  entry *first, **last;
  int strings; /* the metatable of strings */
  int count;
  struct {
    const void *at;
    int fields;
    int meta;  /* index of its metatable; -1: none */
    bool lazy; /* some table's __index, and holds no table itself */
  } tables[TABLES_MAX];
};

/* -- reading --------------------------------------------------------------------------- */

typedef struct reader {
  tm_globals *g;
  tm_arena *a;
  lua_State *L;
  const char *odd; /* the key of what cannot be written down; NULL: all can */
} reader;

static int read_table(reader *r);

/* The C function at `index`, with at most one upvalue. */
static bool read_function(reader *r, int index, value *v) {
  lua_State *L = r->L;
  v->u.function.fn = lua_tocfunction(L, index);
  v->u.function.under = NULL;
  if (!lua_getupvalue(L, index, 1))
    return v->u.function.fn != NULL;
  v->u.function.under = lua_tocfunction(L, -1);
  bool plain = v->u.function.under && !lua_getupvalue(L, -1, 1);
  lua_pop(L, plain ? 1 : 2);
  return plain && v->u.function.fn && !lua_getupvalue(L, index, 2);
}

static bool read_value(reader *r, int index, value *v) {
  lua_State *L = r->L;
  v->type = lua_type(L, index);
  switch (v->type) {
  case LUA_TBOOLEAN:
    v->u.boolean = lua_toboolean(L, index);
    return true;
  case LUA_TNUMBER:
    v->whole = lua_isinteger(L, index);
    if (v->whole)
      v->u.integer = lua_tointeger(L, index);
    else
      v->u.number = lua_tonumber(L, index);
    return true;
  case LUA_TSTRING:
    v->u.string.bytes = lua_tolstring(L, index, &v->u.string.len);
    v->u.string.bytes = tm_arena_strndup(r->a, v->u.string.bytes, v->u.string.len);
    return true;
  case LUA_TTABLE:
    lua_pushvalue(L, index);
    v->u.table = read_table(r);
    return v->u.table >= 0;
  case LUA_TFUNCTION:
    return read_function(r, index, v);
  default:
    return false;
  }
}

static void read_entry(reader *r, int table) {
  entry *e = tm_arena_new(r->a, entry);
  e->table = table;
  if (lua_type(r->L, -2) != LUA_TSTRING) {
    r->odd = "a key that is no string";
    return;
  }
  e->key = lua_tolstring(r->L, -2, &e->len);
  e->key = tm_arena_strndup(r->a, e->key, e->len);
  if (!read_value(r, lua_gettop(r->L), &e->value))
    r->odd = e->key;
  *r->g->last = e;
  r->g->last = &e->next;
  r->g->tables[table].fields++;
}

/* Pops the table on top; its index. */
static int read_table(reader *r) {
  tm_globals *g = r->g;
  const void *at = lua_topointer(r->L, -1);
  int i = 0;
  while (i < g->count && g->tables[i].at != at)
    i++;
  if (i < g->count || i == TABLES_MAX || !lua_checkstack(r->L, 8)) {
    lua_pop(r->L, 1);
    return i < g->count ? i : -1;
  }
  g->count++;
  g->tables[i].at = at;
  g->tables[i].meta = lua_getmetatable(r->L, -1) ? read_table(r) : -1;
  lua_pushnil(r->L);
  while (lua_next(r->L, -2)) {
    read_entry(r, i);
    lua_pop(r->L, 1);
  }
  lua_pop(r->L, 1);
  return i;
}

static void find_lazy(tm_globals *g) {
  for (const entry *e = g->first; e; e = e->next)
    if (e->value.type == LUA_TTABLE && strcmp(e->key, "__index") == 0)
      g->tables[e->value.u.table].lazy = true;
  for (const entry *e = g->first; e; e = e->next)
    if (e->value.type == LUA_TTABLE || g->tables[e->table].meta >= 0)
      g->tables[e->table].lazy = false;
}

int tm_globals_read(tm_globals **out, tm_arena *a, lua_State *L, tm_err *err) {
  tm_globals *g = tm_arena_new(a, tm_globals);
  reader r = {.g = g, .a = a, .L = L};
  g->last = &g->first;
  lua_pushglobaltable(L);
  read_table(&r);
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  int strings = read_table(&r);
  lua_pop(L, 1);
  if (r.odd || strings < 0)
    return tm_err_set(err, TM_INTERNAL, "the global %s cannot be copied",
                      r.odd ? r.odd : "string");
  g->strings = strings;
  find_lazy(g);
  *out = g;
  return 0;
}

/* -- setting up ------------------------------------------------------------------------ */

static void push_value(lua_State *L, const value *v, int tables) {
  switch (v->type) {
  case LUA_TBOOLEAN:
    lua_pushboolean(L, v->u.boolean);
    break;
  case LUA_TNUMBER:
    if (v->whole)
      lua_pushinteger(L, v->u.integer);
    else
      lua_pushnumber(L, v->u.number);
    break;
  case LUA_TSTRING:
    lua_pushlstring(L, v->u.string.bytes, v->u.string.len);
    break;
  case LUA_TTABLE:
    lua_pushvalue(L, tables + v->u.table);
    break;
  default:
    if (v->u.function.under)
      lua_pushcfunction(L, v->u.function.under);
    lua_pushcclosure(L, v->u.function.fn, v->u.function.under != NULL);
  }
}

/* -- filling by and by ----------------------------------------------------------------- */

/* What a lazy table's metatable has as __index: upvalues are the globals and its number. */
static int fill(lua_State *L) {
  const tm_globals *g = lua_touserdata(L, lua_upvalueindex(1));
  int table = (int)lua_tointeger(L, lua_upvalueindex(2));
  size_t len;
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &len) : NULL;
  for (const entry *e = key ? g->first : NULL; e; e = e->next)
    if (e->table == table && e->len == len && memcmp(e->key, key, len) == 0) {
      push_value(L, &e->value, 0);
      lua_pushvalue(L, 2);
      lua_pushvalue(L, -2);
      lua_rawset(L, 1);
      return 1;
    }
  return 0;
}

/* Hang `fill` onto the empty table on top. [-0, +0] */
static void make_lazy(lua_State *L, const tm_globals *g, int table) {
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "__index");
  lua_pushlightuserdata(L, (void *)(uintptr_t)g);
  lua_pushinteger(L, table);
  lua_pushcclosure(L, fill, 2);
  lua_rawset(L, -3);
  lua_setmetatable(L, -2);
}

/* The globals and the number of the lazy table at `index`; NULL for any other. [-0, +0] */
static const tm_globals *lazy_at(lua_State *L, int index, int *table) {
  const tm_globals *g = NULL;
  if (!lua_checkstack(L, 6) || !lua_getmetatable(L, index))
    return NULL;
  lua_pushliteral(L, "__index");
  lua_rawget(L, -2);
  if (lua_tocfunction(L, -1) == fill) {
    lua_getupvalue(L, -1, 1);
    lua_getupvalue(L, -2, 2);
    g = lua_touserdata(L, -2);
    *table = (int)lua_tointeger(L, -1);
    lua_pop(L, 2);
  }
  lua_pop(L, 2);
  return g;
}

void tm_globals_complete(lua_State *L, int index) {
  int table;
  index = lua_absindex(L, index);
  const tm_globals *g = lazy_at(L, index, &table);
  for (const entry *e = g ? g->first : NULL; e; e = e->next) {
    if (e->table != table)
      continue;
    lua_pushlstring(L, e->key, e->len);
    if (lua_rawget(L, index) == LUA_TNIL) {
      lua_pushlstring(L, e->key, e->len);
      push_value(L, &e->value, 0);
      lua_rawset(L, index);
    }
    lua_pop(L, 1);
  }
  if (g) {
    lua_pushnil(L);
    lua_setmetatable(L, index);
  }
}

/* -- all of them ----------------------------------------------------------------------- */

void tm_globals_set(lua_State *L, const tm_globals *g) {
  int top = lua_gettop(L), tables = top + 1;
  luaL_checkstack(L, g->count + 8, "globals");
  for (int i = 0; i < g->count; i++) {
    lua_createtable(L, 0, g->tables[i].lazy ? 0 : g->tables[i].fields);
    if (g->tables[i].lazy)
      make_lazy(L, g, i);
  }
  for (int i = 0; i < g->count; i++)
    if (g->tables[i].meta >= 0) {
      lua_pushvalue(L, tables + g->tables[i].meta);
      lua_setmetatable(L, tables + i);
    }
  for (const entry *e = g->first; e; e = e->next) {
    if (g->tables[e->table].lazy)
      continue;
    lua_pushlstring(L, e->key, e->len);
    push_value(L, &e->value, tables);
    lua_rawset(L, tables + e->table);
  }
  lua_pushvalue(L, tables);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushliteral(L, "");
  lua_pushvalue(L, tables + g->strings);
  lua_setmetatable(L, -2);
  lua_settop(L, top);
}
