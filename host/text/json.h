/* json.h - the value tree: what journal, wire, prompts and schemas are made of.
 *
 * Ordered and exact: int64 stays int64, doubles print shortest round-trip and
 * keep their subtype (1.0 prints as 1.0), [] stays [], {} stays {}, null stays.
 * Strings are strict UTF-8 with a length; they may hold NUL and are followed by
 * one. Every value lives in an arena and dies with it; nothing is freed alone.
 *
 * Builders accept NULL (from a soft arena that ran out) and pass it on, so a
 * chain of them needs one check at its end.
 *
 * Fields of tm_json are read through the functions below; only json*.c and
 * schema.c know the layout.
 */
#ifndef TM_TEXT_JSON_H
#define TM_TEXT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "text/json_scan.h"

typedef enum tm_json_type {
  TM_JSON_NULL,
  TM_JSON_BOOL,
  TM_JSON_INT,
  TM_JSON_DOUBLE,
  TM_JSON_STRING,
  TM_JSON_ARRAY,
  TM_JSON_OBJECT
} tm_json_type;

typedef struct tm_json tm_json;
typedef struct tm_json_member tm_json_member;

struct tm_json {
  uint8_t type;   /* tm_json_type */
  uint8_t flags;  /* 0 */
  uint16_t spare; /* of a container: log2 of its room, plus 1; 0 when it is full */
  uint32_t len;   /* bytes, items or members */
  union {
    bool b;
    int64_t i;
    double d;
    const char *s;
    tm_json *items;
    tm_json_member *members;
  } u;
};

struct tm_json_member {
  const char *key; /* followed by a NUL */
  uint32_t key_len;
  uint32_t spare; /* a hash of the key, so that a search reads few keys */
  tm_json value;
};

/* -- reading --------------------------------------------------------------------------- */

static inline tm_json_type tm_json_type_of(const tm_json *v) {
  return (tm_json_type)v->type;
}
/* JSON Schema's word: "integer" (TM_JSON_INT), "number", "array" ...; "nothing" for NULL. */
const char *tm_json_type_name(const tm_json *v);

/* These four answer NULL or the given default when v is NULL or of another type. */
bool tm_json_bool(const tm_json *v, bool otherwise);
/* Also a double with an integer value. */
int64_t tm_json_int(const tm_json *v, int64_t otherwise);
double tm_json_number(const tm_json *v, double otherwise);
const char *tm_json_str(const tm_json *v, size_t *len); /* len may be NULL */

size_t tm_json_len(const tm_json *v); /* items or members; 0 for the rest and NULL */
const tm_json *tm_json_at(const tm_json *array, size_t i); /* NULL past the end */
const tm_json_member *tm_json_member_at(const tm_json *object, size_t i);
/* NULL when absent. Of a key that is written in the source the compiler makes the hash. */
const tm_json *tm_json_getn(const tm_json *object, const char *key, size_t len);
const tm_json *tm_json_geth(const tm_json *object, const char *key, size_t len, uint32_t hash);
static inline const tm_json *tm_json_get(const tm_json *object, const char *key) {
  size_t len = strlen(key);
  return __builtin_constant_p(len) ? tm_json_geth(object, key, len, scan_key_hash(key, len))
                                   : tm_json_getn(object, key, len);
}
/* The string at a key, NUL-terminated, or NULL. */
const char *tm_json_get_str(const tm_json *object, const char *key);
/* RFC 6901: "" is the value itself. NULL when there is nothing there. */
const tm_json *tm_json_pointer(const tm_json *v, const char *pointer);

/* JSON Schema's equality: 1 equals 1.0, member order does not matter. */
bool tm_json_equal(const tm_json *a, const tm_json *b);

/* -- building: all in arena `a` -------------------------------------------------------
 * Containers hold their items by value. So a container that was pushed or set is a copy
 * that shares its items with the original: go on with the place that is returned. A place
 * is good until the next push, set or remove on the same container. */

tm_json *tm_json_null(tm_arena *a);
tm_json *tm_json_new_bool(tm_arena *a, bool b);
tm_json *tm_json_new_int(tm_arena *a, int64_t i);
tm_json *tm_json_new_double(tm_arena *a, double d);                /* finite; asserts */
tm_json *tm_json_new_str(tm_arena *a, const char *s);              /* copies; NULL gives null */
tm_json *tm_json_new_strn(tm_arena *a, const char *s, size_t len); /* copies; asserts UTF-8 */
tm_json *tm_json_new_array(tm_arena *a);
tm_json *tm_json_new_object(tm_arena *a);
/* Append a (shallow) copy of `item` and return its place in the array, NULL if none. */
tm_json *tm_json_push(tm_arena *a, tm_json *array, const tm_json *item);
/* Insert or replace; returns the value's place in the object. The key is copied. */
tm_json *tm_json_set(tm_arena *a, tm_json *object, const char *key, const tm_json *value);
tm_json *tm_json_setn(tm_arena *a, tm_json *object, const char *key, size_t len,
                      const tm_json *value);
/* As tm_json_setn for a key that the caller knows to be new: no search, so that n members
 * cost n and not n * n. */
tm_json *tm_json_addn(tm_arena *a, tm_json *object, const char *key, size_t len,
                      const tm_json *value);
void tm_json_remove(tm_json *object, const char *key);
/* Deep copy into another arena. */
tm_json *tm_json_copy(tm_arena *a, const tm_json *v);

/* Shorthands for the commonest members. */
static inline void tm_json_set_str(tm_arena *a, tm_json *o, const char *k, const char *s) {
  tm_json_set(a, o, k, tm_json_new_str(a, s));
}
static inline void tm_json_set_int(tm_arena *a, tm_json *o, const char *k, int64_t i) {
  tm_json_set(a, o, k, tm_json_new_int(a, i));
}
static inline void tm_json_set_bool(tm_arena *a, tm_json *o, const char *k, bool b) {
  tm_json_set(a, o, k, tm_json_new_bool(a, b));
}

/* For a tree that does not outlive what it is made from: key and string are kept as they are,
 * not copied. Both are UTF-8, and the key is not in the object yet. A NULL string gives null. */
tm_json *tm_json_lendh(tm_arena *a, tm_json *object, const char *key, size_t len, uint32_t hash,
                       const tm_json *value);
static inline tm_json *tm_json_lend(tm_arena *a, tm_json *object, const char *key,
                                    const tm_json *value) {
  size_t len = strlen(key);
  return tm_json_lendh(a, object, key, len, scan_key_hash(key, len), value);
}
static inline void tm_json_lend_int(tm_arena *a, tm_json *object, const char *key, int64_t i) {
  tm_json_lend(a, object, key, &(tm_json){.type = TM_JSON_INT, .u.i = i});
}
static inline void tm_json_lend_str(tm_arena *a, tm_json *object, const char *key,
                                    const char *s) {
  tm_json value = {.type = TM_JSON_NULL};
  if (s)
    value = (tm_json){.type = TM_JSON_STRING, .len = (uint32_t)strlen(s), .u.s = s};
  tm_json_lend(a, object, key, &value);
}
void tm_json_lend_strn(tm_arena *a, tm_json *object, const char *key, const char *s,
                       size_t len);

/* -- text to value --------------------------------------------------------------------- */

typedef struct tm_json_opts {
  uint32_t max_depth;   /* containers inside each other; 0: TM_JSON_DEPTH */
  size_t max_bytes;     /* of text; 0: TM_JSON_BYTES; at most TM_JSON_BYTES_MAX */
  bool last_wins;       /* duplicate keys: the last value, at the first's place (providers);
                           else an error */
  bool *had_duplicates; /* set to true when last_wins dropped one; may be NULL */
} tm_json_opts;

#define TM_JSON_DEPTH     128
#define TM_JSON_DEPTH_MAX 1024 /* a larger max_depth counts as this: printing recurses */
#define TM_JSON_BYTES     ((size_t)64 << 20)
#define TM_JSON_BYTES_MAX ((size_t)1 << 30)

/* Parse a whole RFC 8259 text. The tree (and its strings) live in `a`; `text` is not kept.
 * NULL opts: the defaults. Errors (TM_USAGE, or TM_LIMIT for size, depth and memory) that have
 * a place say line and column (from 1, in characters) and byte (from 0). Strict: no comments,
 * no BOM, no NaN, no lone surrogates. An integer beyond int64 becomes a double, and so does -0;
 * a number beyond a double is an error. A soft arena's limit holds for the parser's own memory
 * too. */
int tm_json_parse(tm_json **out, tm_arena *a, const char *text, size_t len,
                  const tm_json_opts *opts, tm_err *err);

/* -- value to text --------------------------------------------------------------------
 * A NULL value prints as null. A soft buffer that ran out has `failed` set. */

/* Compact, members in their order. */
void tm_json_print(tm_buf *out, const tm_json *v);
/* Indented by two spaces, for people. */
void tm_json_print_pretty(tm_buf *out, const tm_json *v);
/* RFC 8785: members sorted by UTF-16 code units, numbers as ECMAScript prints them (so 1.0 is
 * 1 and -0.0 is 0); the only form ever hashed. Departs from it in one way: an int64 beyond
 * 2^53 prints all its digits (and so may differ from a double that equals it). */
void tm_json_print_canonical(tm_buf *out, const tm_json *v);
tm_hash tm_json_hash(const tm_json *v); /* of the canonical print */
/* Compact text in the arena; NULL only from a soft one. len may be NULL. */
char *tm_json_text(tm_arena *a, const tm_json *v, size_t *len);

/* Shortest digits that read back as the same double, always with ".0" or an exponent. */
size_t tm_json_format_double(char out[32], double d);
/* Length of the valid UTF-8 at the start of s: equals len when all of it is valid. */
size_t tm_json_utf8_valid(const char *s, size_t len);

#endif
