/* json_scan.h - what the files of json share: eight or sixteen bytes at a time, UTF-8, key
 * hashes.
 */
#ifndef TM_TEXT_JSON_SCAN_H
#define TM_TEXT_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SCAN_ONES UINT64_C(0x0101010101010101)
#define SCAN_HIGH UINT64_C(0x8080808080808080)

/* Eight bytes, the first in the lowest bits. */
static inline uint64_t scan_load(const char *s) {
  uint64_t w;
  memcpy(&w, s, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  w = __builtin_bswap64(w);
#endif
  return w;
}

/* Flags the top bit of each byte that is 0x00-0x1F, a quote or a backslash. A borrow may
 * flag a byte above a true one for nothing; the lowest flag is always true. */
static inline uint64_t scan_escaped(uint64_t w) {
  uint64_t quote = w ^ SCAN_ONES * '"', slash = w ^ SCAN_ONES * '\\';
  return (((quote - SCAN_ONES) & ~quote) | ((slash - SCAN_ONES) & ~slash) |
          ((w - SCAN_ONES * 0x20) & ~w)) &
         SCAN_HIGH;
}

/* The same, and bytes that are not ASCII. */
static inline uint64_t scan_special(uint64_t w) {
  return scan_escaped(w) | (w & SCAN_HIGH);
}

/* The n bytes at s, four to seven, the last of them twice: to ask whether any is flagged. */
static inline uint64_t scan_few(const char *s, size_t n) {
  uint32_t a, b;
  memcpy(&a, s, sizeof a);
  memcpy(&b, s + (n - sizeof b), sizeof b);
  return (uint64_t)b << 32 | a;
}

/* Index of the first flagged byte; flags must not be 0. */
static inline size_t scan_first(uint64_t flags) {
  return (size_t)__builtin_ctzll(flags) >> 3;
}

#define SCAN_WIDE 16

/* Of sixteen bytes at s the first that is 0x00-0x1F, a quote or a backslash; 16: none. */
static inline size_t scan_wide_escaped(const char *s) {
#ifdef __SSE2__
  __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s), low = _mm_set1_epi8(0x1F);
  v = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))),
                   _mm_cmpeq_epi8(_mm_min_epu8(v, low), v));
  return (size_t)__builtin_ctz((unsigned)_mm_movemask_epi8(v) | 1U << SCAN_WIDE);
#else
  uint64_t a = scan_escaped(scan_load(s)), b = scan_escaped(scan_load(s + 8));
  return a ? scan_first(a) : b ? 8 + scan_first(b) : SCAN_WIDE;
#endif
}

/* Of sixteen bytes at s the first that is a or b; 16: none. */
static inline size_t scan_wide_either(const char *s, char a, char b) {
#ifdef __SSE2__
  __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
  v = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(a)), _mm_cmpeq_epi8(v, _mm_set1_epi8(b)));
  return (size_t)__builtin_ctz((unsigned)_mm_movemask_epi8(v) | 1U << SCAN_WIDE);
#else
  size_t n = 0;
  while (n < SCAN_WIDE && s[n] != a && s[n] != b)
    n++;
  return n;
#endif
}

/* All of sixteen bytes are ASCII. */
static inline int scan_wide_ascii(const char *s) {
#ifdef __SSE2__
  return _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)s)) == 0;
#else
  return !((scan_load(s) | scan_load(s + 8)) & SCAN_HIGH);
#endif
}

/* Length of the well-formed UTF-8 character at s, of which `left` bytes may be read; 0 when
 * there is none. Well-formed is table 3-7 of the Unicode standard: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF. */
static inline size_t scan_character(const char *s, size_t left) {
  const unsigned char *u = (const unsigned char *)s;
  if (left && u[0] < 0x80)
    return 1;
  if (left < 2 || u[0] < 0xC2 || u[0] > 0xF4 || (u[1] & 0xC0) != 0x80)
    return 0;
  if (u[0] < 0xE0)
    return 2;
  if (left < 3 || (u[2] & 0xC0) != 0x80)
    return 0;
  if (u[0] < 0xF0)
    return (u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F) ? 0 : 3;
  if (left < 4 || (u[3] & 0xC0) != 0x80)
    return 0;
  return (u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F) ? 0 : 4;
}

/* A hash of a key from its length and its first and last eight bytes: quick to make, and
 * enough to tell most keys apart. Equal hashes still need a comparison. */
static inline uint32_t scan_key_hash(const char *key, size_t len) {
  uint64_t a = 0, b = 0;
  if (len >= 8) {
    a = scan_load(key);
    b = scan_load(key + (len - 8));
  } else if (len >= 4) {
    a = scan_few(key, len);
  } else {
    for (size_t i = 0; i < len; i++)
      a = a << 8 | (unsigned char)key[i];
  }
  uint64_t h = (a ^ len) * UINT64_C(0x9E6C63D0676A9A99);
  h = (h ^ h >> 32 ^ b) * UINT64_C(0xD6E8FEB86659FD93);
  return (uint32_t)(h >> 32);
}

#endif
