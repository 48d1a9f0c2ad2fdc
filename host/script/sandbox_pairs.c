/* sandbox_pairs.c - next and pairs in the order of keys: numbers by value, then strings by
 * bytes, then false and true.
 *
 * Lua's own order hangs on addresses and on a seed that each process draws anew. Here a
 * traversal works from a snapshot: the keys, sorted, copied out of the table. A key that loses
 * its value during the traversal is passed over, a new one is not met: both the same in each
 * replay. (next takes its snapshot at the second step: the first mostly asks whether a table is
 * empty.)
 *
 *   snapshot  [ count | at | dense ][ key … ][ bytes of string keys … ]
 *
 * A table with just the keys 1..n is "dense" and needs no keys. pairs keeps its snapshot in the
 * iterator. next has no place to keep one, so the vm remembers the last few traversals; which
 * ones is decided by the script's own calls, never by the collector.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "script/sandbox.h"
#include "script/vm.h"

typedef enum key_kind { KEY_INT, KEY_FLOAT, KEY_STRING, KEY_BOOL } key_kind;

typedef struct key {
  union {
    lua_Integer i;
    lua_Number n;
    const char *s;
    bool b;
  } u;
  size_t len; /* of a string */
  key_kind kind;
} key;

typedef struct snapshot {
  size_t count, at;
  bool dense;
  key keys[];
} snapshot;

/* -- keys ------------------------------------------------------------------------------ */

static key read_key(lua_State *L, int index, const char *who) {
  key k = {.kind = KEY_INT};
  switch (lua_type(L, index)) {
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      k.u.i = lua_tointeger(L, index);
    } else {
      k.kind = KEY_FLOAT;
      k.u.n = lua_tonumber(L, index);
    }
    break;
  case LUA_TSTRING:
    k.kind = KEY_STRING;
    k.u.s = lua_tolstring(L, index, &k.len);
    break;
  case LUA_TBOOLEAN:
    k.kind = KEY_BOOL;
    k.u.b = lua_toboolean(L, index);
    break;
  default:
    luaL_error(L,
               "%s: a %s as key has no order that a replay would repeat; use a string, a "
               "number or a boolean as key",
               who, luaL_typename(L, index));
  }
  return k;
}

static void push_key(lua_State *L, const key *k) {
  switch (k->kind) {
  case KEY_INT:
    lua_pushinteger(L, k->u.i);
    break;
  case KEY_FLOAT:
    lua_pushnumber(L, k->u.n);
    break;
  case KEY_STRING:
    lua_pushlstring(L, k->u.s, k->len);
    break;
  case KEY_BOOL:
    lua_pushboolean(L, k->u.b);
    break;
  }
}

/* A float key is never equal to an integer: Lua makes those integers. */
static int compare_mixed(lua_Integer i, lua_Number n) {
  if (n >= 0x1p63)
    return -1;
  if (n < -0x1p63)
    return 1;
  return i <= (lua_Integer)floor(n) ? -1 : 1;
}

static int compare_numbers(const key *a, const key *b) {
  if (a->kind == KEY_INT && b->kind == KEY_INT)
    return (a->u.i > b->u.i) - (a->u.i < b->u.i);
  if (a->kind == KEY_FLOAT && b->kind == KEY_FLOAT)
    return (a->u.n > b->u.n) - (a->u.n < b->u.n);
  return a->kind == KEY_INT ? compare_mixed(a->u.i, b->u.n) : -compare_mixed(b->u.i, a->u.n);
}

static int compare_strings(const key *a, const key *b) {
  size_t len = a->len < b->len ? a->len : b->len;
  int diff = len ? memcmp(a->u.s, b->u.s, len) : 0;
  return diff ? diff : (a->len > b->len) - (a->len < b->len);
}

static int rank(const key *k) {
  return k->kind == KEY_STRING ? 1 : k->kind == KEY_BOOL ? 2 : 0;
}

static int compare(const void *x, const void *y) {
  const key *a = x, *b = y;
  if (rank(a) != rank(b))
    return rank(a) - rank(b);
  if (a->kind == KEY_STRING)
    return compare_strings(a, b);
  return a->kind == KEY_BOOL ? a->u.b - b->u.b : compare_numbers(a, b);
}

/* -- snapshots ------------------------------------------------------------------------- */

typedef struct survey {
  size_t count, bytes;
  lua_Integer low, high;
  bool integers; /* all keys are */
} survey;

/* One walk over the table on top; raises for a key that has no order. [-0, +0, e] */
static survey look_over(lua_State *L, const char *who) {
  survey s = {.low = LUA_MAXINTEGER, .high = LUA_MININTEGER, .integers = true};
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    key k = read_key(L, -1, who);
    s.count++;
    s.bytes += k.len;
    if (k.kind != KEY_INT) {
      s.integers = false;
    } else {
      s.low = k.u.i < s.low ? k.u.i : s.low;
      s.high = k.u.i > s.high ? k.u.i : s.high;
    }
  }
  return s;
}

/* Copy the keys of the table below the snapshot on top into it. [-0, +0, e] */
static void fill(lua_State *L, snapshot *shot, size_t count, const char *who) {
  char *bytes = (char *)(shot->keys + count);
  lua_pushnil(L);
  while (shot->count < count && lua_next(L, -3)) {
    lua_pop(L, 1);
    key k = read_key(L, -1, who);
    if (k.kind == KEY_STRING) {
      memcpy(bytes, k.u.s, k.len);
      k.u.s = bytes;
      bytes += k.len;
    }
    shot->keys[shot->count++] = k;
  }
  lua_settop(L, lua_gettop(L) - (shot->count == count));
}

static bool sorted(const snapshot *shot) {
  for (size_t i = 1; i < shot->count; i++)
    if (compare(&shot->keys[i - 1], &shot->keys[i]) > 0)
      return false;
  return true;
}

/* The snapshot of the table on top. [-0, +1, e] */
static snapshot *take_snapshot(lua_State *L, const char *who) {
  survey s = look_over(L, who);
  bool dense = s.integers && (s.count == 0 || (s.low == 1 && s.high == (lua_Integer)s.count));
  tm_vm_charge(L, s.count * (dense ? 1 : 4));
  size_t extra = dense ? 0 : s.count * sizeof(key) + s.bytes;
  snapshot *shot = lua_newuserdatauv(L, sizeof *shot + extra, 0);
  *shot = (snapshot){.dense = dense, .count = dense ? s.count : 0};
  if (dense)
    return shot;
  fill(L, shot, s.count, who);
  if (!sorted(shot))
    qsort(shot->keys, shot->count, sizeof(key), compare);
  return shot;
}

/* The next pair that still has a value, of the table at index 1. [-0, +1..2, m] */
static int step(lua_State *L, snapshot *shot) {
  while (shot->at < shot->count) {
    size_t i = shot->at++;
    if (shot->dense)
      lua_pushinteger(L, (lua_Integer)i + 1);
    else
      push_key(L, &shot->keys[i]);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 1) != LUA_TNIL)
      return 2;
    lua_pop(L, 2);
  }
  lua_pushnil(L);
  return 1;
}

/* -- pairs ----------------------------------------------------------------------------- */

static int iterate(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  tm_sandbox_thaw(L, 1);
  return step(L, lua_touserdata(L, lua_upvalueindex(1)));
}

static int finish_pairs(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 3;
}

int tm_sandbox_pairs(lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 3, 0, finish_pairs);
    return 3;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  tm_sandbox_thaw(L, 2);
  take_snapshot(L, "pairs");
  lua_pushcclosure(L, iterate, 1);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/* -- next ---------------------------------------------------------------------------
 *
 * The traversals that the vm remembers: a userdata whose user values 2i+1 and 2i+2 hold a table
 * and its snapshot, so that neither goes away while it is remembered.
 */
#define TRAVERSALS 8

typedef struct memory {
  const void *tables[TRAVERSALS]; /* NULL: free */
  int oldest;
} memory;

static const char memory_key;

/* [-0, +1, m] */
static memory *push_memory(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &memory_key) != LUA_TNIL)
    return lua_touserdata(L, -1);
  lua_pop(L, 1);
  memory *m = lua_newuserdatauv(L, sizeof *m, 2 * TRAVERSALS);
  *m = (memory){.oldest = 0};
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &memory_key);
  return m;
}

static int recall(const memory *m, const void *table) {
  for (int i = 0; i < TRAVERSALS; i++)
    if (m->tables[i] == table)
      return i;
  return -1;
}

/* Forget a traversal of the memory at `index`. [-0, +0] */
static void forget(lua_State *L, int index, memory *m, int slot) {
  m->tables[slot] = NULL;
  for (int i = 1; i <= 2; i++) {
    lua_pushnil(L);
    lua_setiuservalue(L, index, 2 * slot + i);
  }
}

/* Remember the snapshot on top as a traversal of the table at index 1. [-0, +0] */
static int remember(lua_State *L, int index, memory *m) {
  int slot = recall(m, NULL);
  if (slot < 0) {
    slot = m->oldest;
    m->oldest = (m->oldest + 1) % TRAVERSALS;
  }
  m->tables[slot] = lua_topointer(L, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, 2 * slot + 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, index, 2 * slot + 1);
  return slot;
}

/* Put the snapshot's place behind `k`; also where k is not in it (any more). */
static void seek(snapshot *shot, const key *k) {
  if (shot->dense) {
    bool inside = k->kind == KEY_INT && k->u.i >= 0 && (size_t)k->u.i <= shot->count;
    shot->at = inside ? (size_t)k->u.i : shot->count;
    return;
  }
  if (shot->at > 0 && compare(&shot->keys[shot->at - 1], k) == 0)
    return;
  size_t low = 0, high = shot->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(&shot->keys[middle], k) <= 0)
      low = middle + 1;
    else
      high = middle;
  }
  shot->at = low;
}

/* The smallest key, in one walk and without a snapshot. A traversal of this table that was
 * under way is over. */
static int first(lua_State *L) {
  memory *m = push_memory(L);
  int slot = recall(m, lua_topointer(L, 1));
  if (slot >= 0)
    forget(L, 3, m, slot);
  lua_settop(L, 1);
  size_t count = 0;
  lua_pushnil(L); /* 2: the smallest so far, nil at first */
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    key k = read_key(L, -1, "next"), least = {.kind = KEY_INT};
    if (count++)
      least = read_key(L, 2, "next");
    if (count == 1 || compare(&k, &least) < 0) {
      lua_pushvalue(L, -1);
      lua_replace(L, 2);
    }
  }
  tm_vm_charge(L, count);
  if (count == 0)
    return lua_pushnil(L), 1;
  lua_pushvalue(L, 2);
  lua_rawget(L, 1);
  return 2;
}

int tm_sandbox_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  tm_sandbox_thaw(L, 1);
  if (lua_isnil(L, 2))
    return first(L);
  key k = read_key(L, 2, "next");
  memory *m = push_memory(L);
  int slot = recall(m, lua_topointer(L, 1));
  if (slot < 0) {
    lua_pushvalue(L, 1);
    take_snapshot(L, "next");
    slot = remember(L, 3, m);
  } else {
    lua_getiuservalue(L, 3, 2 * slot + 2);
  }
  snapshot *shot = lua_touserdata(L, -1);
  seek(shot, &k);
  int n = step(L, shot);
  if (n == 1)
    forget(L, 3, m, slot);
  return n;
}
