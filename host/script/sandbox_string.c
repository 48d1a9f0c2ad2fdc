/* sandbox_string.c - the string functions whose result may be large, or may show an address.
 * Sizes are checked before anything is built. Patterns are in sandbox_pattern.c.
 */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "script/sandbox.h"
#include "script/vm.h"

/* The box of a buffer grows by asking the allocator directly, where a refusal raises at once:
 * no garbage is collected for it. So make room first, for the worst case of its growth. */
void tm_sandbox_room(lua_State *L, luaL_Buffer *b, size_t more, const char *who) {
  if (more > b->size - b->n)
    tm_vm_reserve(L, more > SIZE_MAX / 2 ? more : b->size + more, who);
}

/* -- one string to another of the same length ------------------------------------------ */

static int lower(int c) {
  return tolower(c);
}
static int upper(int c) {
  return toupper(c);
}

static int map_bytes(lua_State *L, int (*map)(int c), const char *who) {
  size_t len;
  luaL_Buffer b;
  const char *s = luaL_checklstring(L, 1, &len);
  tm_vm_reserve(L, len, who);
  char *out = luaL_buffinitsize(L, &b, len);
  for (size_t i = 0; i < len; i++)
    out[map ? i : len - 1 - i] = (char)(map ? map((unsigned char)s[i]) : s[i]);
  luaL_pushresultsize(&b, len);
  return 1;
}

static int l_lower(lua_State *L) {
  return map_bytes(L, lower, "string.lower");
}
static int l_upper(lua_State *L) {
  return map_bytes(L, upper, "string.upper");
}
static int l_reverse(lua_State *L) {
  return map_bytes(L, NULL, "string.reverse");
}

/* -- rep ------------------------------------------------------------------------------- */

static int l_rep(lua_State *L) {
  size_t len, gap;
  luaL_Buffer b;
  const char *s = luaL_checklstring(L, 1, &len);
  lua_Integer n = luaL_checkinteger(L, 2);
  const char *separator = luaL_optlstring(L, 3, "", &gap);
  if (n <= 0 || len + gap == 0)
    return lua_pushliteral(L, ""), 1;
  size_t times = (size_t)n, most = (size_t)PTRDIFF_MAX;
  bool fits = len + gap <= most / times;
  size_t total = fits ? len * times + gap * (times - 1) : most;
  tm_vm_reserve(L, total, "string.rep");
  char *out = luaL_buffinitsize(L, &b, total);
  for (size_t i = 0; i < times; i++) {
    memcpy(out, s, len);
    out += len;
    if (gap && i + 1 < times) {
      memcpy(out, separator, gap);
      out += gap;
    }
  }
  luaL_pushresultsize(&b, total);
  return 1;
}

/* -- format and pack: the stock functions behind a check of their arguments ------------ */

/* Call upvalue 1 with all arguments. It cannot see who called, so its errors get place and name
 * here. No script code runs in it. [-n, +m, e] */
static int call_stock(lua_State *L, const char *name) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) == LUA_OK)
    return lua_gettop(L);
  tm_vm_charge(L, 1);
  luaL_where(L, 1);
  luaL_gsub(L, lua_tostring(L, -2), "to '?'", name);
  lua_concat(L, 2);
  return lua_error(L);
}

/* What %s prints, without an address; gives its length. */
static size_t settle_string(lua_State *L, int arg) {
  size_t len = 0;
  if (arg > lua_gettop(L))
    return 0;
  tm_sandbox_tostring(L, arg, &len);
  lua_replace(L, arg);
  return len;
}

/* The conversion letter of the item that starts at *p, just behind its %. */
static char next_letter(const char **p, const char *end) {
  while (*p < end && !isalpha((unsigned char)**p) && **p != '%')
    (*p)++;
  return *p < end ? *(*p)++ : '\0';
}

static int l_format(lua_State *L) {
  size_t len;
  const char *p = luaL_checklstring(L, 1, &len), *end = p + len;
  size_t total = len;
  int arg = 1;
  while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
    p++;
    char letter = next_letter(&p, end);
    if (letter == 'p')
      return luaL_error(L,
                        "string.format: %%p prints an address, which differs in each replay");
    if (letter == '%')
      continue;
    arg++;
    total += letter == 's' ? settle_string(L, arg) : 128;
    if (letter == 'q' && lua_isstring(L, arg))
      total += 4 * lua_rawlen(L, arg);
  }
  tm_vm_reserve(L, total, "string.format");
  return call_stock(L, "to 'format'");
}

/* Only c[n] makes more bytes than its arguments have. */
static int l_pack(lua_State *L) {
  size_t len, total = 0;
  const char *p = luaL_checklstring(L, 1, &len), *end = p + len;
  while (p < end) {
    bool fixed = *p++ == 'c';
    size_t n = 0;
    for (; fixed && p < end && isdigit((unsigned char)*p); p++)
      n = n < SIZE_MAX / 100 ? n * 10 + (size_t)(*p - '0') : n;
    total = total + n < SIZE_MAX / 100 ? total + n : SIZE_MAX / 100;
  }
  tm_vm_reserve(L, total, "string.pack");
  return call_stock(L, "to 'pack'");
}

/* Put `fn` in front of the stock function of that name in the table on top. [-0, +0, m] */
static void shadow(lua_State *L, const char *name, lua_CFunction fn) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, fn, 1);
  lua_setfield(L, -2, name);
}

void tm_sandbox_string(lua_State *L) {
  static const luaL_Reg replaced[] = {
      {"lower", l_lower}, {"upper", l_upper}, {"reverse", l_reverse},
      {"rep", l_rep},     {NULL, NULL},
  };
  luaL_setfuncs(L, replaced, 0);
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  shadow(L, "format", l_format);
  shadow(L, "pack", l_pack);
  tm_sandbox_pattern(L);
}

const char *tm_sandbox_string_role(lua_CFunction fn) {
  if (fn == l_format)
    return "a __tostring metamethod";
  return tm_sandbox_pattern_role(fn);
}
