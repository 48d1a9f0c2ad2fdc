/* hash.c - SHA-256 and BLAKE2b by libsodium (its hashing needs no sodium_init), and a fast
 * hash. */
#include "base/hash.h"

#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(((tm_hasher *)0)->state),
               "tm_hasher is too small for libsodium's state");

static crypto_hash_sha256_state *state_of(tm_hasher *h) {
  return (crypto_hash_sha256_state *)(void *)h->state;
}

/* Not secrets: libsodium's own, which takes the same time for each digit, is five times slower.
 */
static void put_hex(char *out, const unsigned char *raw, size_t n) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[raw[i] >> 4];
    *out++ = digits[raw[i] & 15];
  }
  *out = '\0';
}

void tm_hash_begin(tm_hasher *h) {
  crypto_hash_sha256_init(state_of(h));
}

void tm_hash_add(tm_hasher *h, const void *bytes, size_t len) {
  if (len)
    crypto_hash_sha256_update(state_of(h), bytes, len);
}

static void put_size(unsigned char out[8], size_t len) {
  for (int i = 0; i < 8; i++)
    out[i] = (unsigned char)((uint64_t)len >> (8 * i));
}

void tm_hash_add_field(tm_hasher *h, const void *bytes, size_t len) {
  unsigned char size[8];
  put_size(size, len);
  tm_hash_add(h, size, sizeof size);
  tm_hash_add(h, bytes, len);
}

tm_hash tm_hash_end(tm_hasher *h) {
  unsigned char raw[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_final(state_of(h), raw);
  tm_hash out = {{0}};
  put_hex(out.hex, raw, sizeof raw);
  return out;
}

tm_hash tm_hash_bytes(const void *bytes, size_t len) {
  tm_hasher h;
  tm_hash_begin(&h);
  tm_hash_add(&h, bytes, len);
  return tm_hash_end(&h);
}

/* Most of what is hashed is a few hundred bytes in many fields: gathered in one place first,
 * for each call of the library costs more than the bytes. */
#define GATHER 1024

static size_t gather(unsigned char *out, const tm_span *fields, size_t count) {
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (fields[i].len > GATHER - 8 || at > GATHER - 8 - fields[i].len)
      return 0;
    put_size(out + at, fields[i].len);
    if (fields[i].len)
      memcpy(out + at + 8, fields[i].bytes, fields[i].len);
    at += 8 + fields[i].len;
  }
  return at;
}

tm_hash tm_hash_spans(const tm_span *fields, size_t count) {
  crypto_generichash_state h;
  unsigned char raw[crypto_generichash_BYTES], size[8], all[GATHER];
  tm_hash out = {{0}};
  size_t len = gather(all, fields, count);
  if (len) {
    crypto_generichash(raw, sizeof raw, all, len, NULL, 0);
    put_hex(out.hex, raw, sizeof raw);
    return out;
  }
  crypto_generichash_init(&h, NULL, 0, sizeof raw);
  for (size_t i = 0; i < count; i++) {
    put_size(size, fields[i].len);
    crypto_generichash_update(&h, size, sizeof size);
    crypto_generichash_update(&h, fields[i].bytes, fields[i].len);
  }
  crypto_generichash_final(&h, raw, sizeof raw);
  put_hex(out.hex, raw, sizeof raw);
  return out;
}

/* -- the fast one ---------------------------------------------------------------
 * Eight bytes a step: xor in, multiply to 128 bits, fold the halves together. The
 * constants are odd with about half their bits set; the length goes in at the end,
 * so that a text and the same text with a NUL behind it differ. */

static uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 wide = (unsigned __int128)a * b;
  return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

uint64_t tm_hash_fast(const void *bytes, size_t len) {
  const uint64_t k1 = 0x9A4D6C35B3E1F28Bu, k2 = 0xD35A9E6471C80F57u;
  const unsigned char *p = bytes;
  uint64_t h = k1, word;
  size_t left = len;
  for (; left >= 8; p += 8, left -= 8) {
    memcpy(&word, p, 8);
    h = fold(h ^ word, k2) + k1;
  }
  word = 0;
  if (left)
    memcpy(&word, p, left);
  h = fold(h ^ word, k2);
  return fold(h ^ (uint64_t)len, k1);
}
