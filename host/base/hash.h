/* hash.h - SHA-256 for everything that is compared or stored by content, and a
 * fast non-cryptographic hash for tables in memory. (sodium.h stays in hash.c and id.c.)
 */
#ifndef TM_BASE_HASH_H
#define TM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define TM_HASH_HEX 64 /* characters of a hash in hex, without the NUL */

typedef struct tm_hash {
  char hex[TM_HASH_HEX + 1];
} tm_hash;

typedef struct tm_hasher {
  _Alignas(16) unsigned char state[128]; /* holds a crypto_hash_sha256_state */
} tm_hasher;

void tm_hash_begin(tm_hasher *h);
void tm_hash_add(tm_hasher *h, const void *bytes, size_t len);
/* Adds the length as 8 bytes, then the bytes: fields cannot run into each other. */
void tm_hash_add_field(tm_hasher *h, const void *bytes, size_t len);
tm_hash tm_hash_end(tm_hasher *h);
tm_hash tm_hash_bytes(const void *bytes, size_t len);

/* A run of bytes. */
typedef struct tm_span {
  const void *bytes;
  size_t len;
} tm_span;

/* BLAKE2b-256 over fields, each with its length in front: for what is hashed at every step (records,
 * identities), a fifth of SHA-256's cost where the processor has no instruction for it. */
tm_hash tm_hash_spans(const tm_span *fields, size_t count);

uint64_t tm_hash_fast(const void *bytes, size_t len);

#endif
