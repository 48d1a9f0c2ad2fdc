/* sandbox_sort.c - table.sort, stable: elements that compare equal keep their order.
 *
 * The stock quicksort leaves equal elements in an order that hangs on a random pivot for large
 * tables. This is a bottom-up merge sort over indices into a copy of the elements: an order
 * function may be inconsistent, or change the table, and still nothing goes out of bounds.
 *
 *   stack   1 table · 2 order function or nil · 3 copy of the elements · 4 two rows of indices
 */
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "script/sandbox.h"
#include "script/vm.h"

static bool less(lua_State *L, uint32_t a, uint32_t b) {
  bool ordered = !lua_isnil(L, 2);
  if (ordered)
    lua_pushvalue(L, 2);
  lua_rawgeti(L, 3, a);
  lua_rawgeti(L, 3, b);
  if (ordered)
    lua_call(L, 2, 1);
  bool result = ordered ? lua_toboolean(L, -1) : lua_compare(L, -2, -1, LUA_OPLT);
  lua_settop(L, 4);
  return result;
}

/* Merge from[low..middle) and from[middle..high) into `to`; the left one first when equal. */
static void merge(lua_State *L, const uint32_t *from, uint32_t *to, size_t low, size_t middle,
                  size_t high) {
  size_t left = low, right = middle;
  if (middle >= high || !less(L, from[middle], from[middle - 1])) {
    memcpy(to + low, from + low, (high - low) * sizeof *to);
    return;
  }
  for (size_t i = low; i < high; i++) {
    bool take_right = right < high && (left >= middle || less(L, from[right], from[left]));
    to[i] = take_right ? from[right++] : from[left++];
  }
}

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* The sorted row of indices: one of the two. */
static const uint32_t *order(lua_State *L, uint32_t *rows, size_t n) {
  uint32_t *from = rows, *to = rows + n;
  for (size_t width = 1; width < n; width *= 2) {
    tm_vm_charge(L, n);
    for (size_t low = 0; low < n; low += 2 * width)
      merge(L, from, to, low, least(low + width, n), least(low + 2 * width, n));
    uint32_t *filled = to;
    to = from;
    from = filled;
  }
  return from;
}

static void copy_elements(lua_State *L, uint32_t *rows, size_t n) {
  for (size_t i = 0; i < n; i++) {
    lua_geti(L, 1, (lua_Integer)i + 1);
    lua_rawseti(L, 3, (lua_Integer)i + 1);
    rows[i] = (uint32_t)i + 1;
  }
}

int tm_sandbox_sort(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer len = luaL_len(L, 1);
  luaL_argcheck(L, len < INT_MAX, 1, "array too big");
  if (!lua_isnoneornil(L, 2))
    luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  if (len < 2)
    return 0;
  size_t n = (size_t)len;
  tm_vm_charge(L, n);
  tm_vm_reserve(L, n * (sizeof(lua_Integer) * 2 + sizeof(uint32_t) * 2), "table.sort");
  lua_createtable(L, (int)n, 0);
  uint32_t *rows = lua_newuserdatauv(L, 2 * n * sizeof *rows, 0);
  copy_elements(L, rows, n);
  const uint32_t *sorted = order(L, rows, n);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 3, sorted[i]);
    lua_seti(L, 1, (lua_Integer)i + 1);
  }
  return 0;
}
