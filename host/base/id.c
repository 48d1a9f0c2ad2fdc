/* id.c - random identifiers, and dice that fall the same way in each replay. */
#include "base/id.h"

#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

/* sodium_init answers at once when it ran before, and is safe from any thread. */
void tm_id_random(void *out, size_t len) {
  if (sodium_init() < 0) {
    fprintf(stderr, "tidemill: the system gives no random numbers (is /dev/urandom there?)\n");
    _exit(70);
  }
  randombytes_buf(out, len);
}

/* Ten bytes are sixteen letters of five bits. */
void tm_id_new(char out[TM_ID_LEN + 1]) {
  static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
  unsigned char raw[TM_ID_LEN * 5 / 8];
  tm_id_random(raw, sizeof raw);
  unsigned bits = 0, held = 0;
  size_t at = 0;
  for (int i = 0; i < TM_ID_LEN; i++) {
    if (held < 5) {
      bits = bits << 8 | raw[at++];
      held += 8;
    }
    held -= 5;
    out[i] = letters[bits >> held & 31];
  }
  out[TM_ID_LEN] = '\0';
}

/* The seed is a SHA-256 and not the fast hash: journals rest on these dice for ever,
 * and the fast hash may be changed any day. */
void tm_dice_seed(tm_dice *d, const void *bytes, size_t len) {
  unsigned char raw[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(raw, bytes, len);
  for (int i = 0; i < 4; i++) {
    d->s[i] = 0;
    for (int k = 0; k < 8; k++)
      d->s[i] |= (uint64_t)raw[i * 8 + k] << (8 * k);
  }
  d->s[0] |= 1; /* a state of all zeros would stay there */
}

static uint64_t rotate(uint64_t x, int by) {
  return x << by | x >> (64 - by);
}

uint64_t tm_dice_next(tm_dice *d) {
  uint64_t *s = d->s;
  uint64_t result = rotate(s[1] * 5, 7) * 9;
  uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotate(s[3], 45);
  return result;
}

double tm_dice_unit(tm_dice *d) {
  return (double)(tm_dice_next(d) >> 11) * 0x1p-53;
}
