/* id.h - identifiers and dice.
 */
#ifndef TM_BASE_ID_H
#define TM_BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#define TM_ID_LEN 16 /* characters: 80 random bits in Crockford's base 32, lower case */

/* A fresh random id, NUL-terminated. */
void tm_id_new(char out[TM_ID_LEN + 1]);
/* Cryptographically random bytes. */
void tm_id_random(void *out, size_t len);

/* xoshiro256**: a run's own dice, seeded from its id, the same in each replay. */
typedef struct tm_dice {
  uint64_t s[4];
} tm_dice;
void tm_dice_seed(tm_dice *d, const void *bytes, size_t len);
uint64_t tm_dice_next(tm_dice *d);
double tm_dice_unit(tm_dice *d); /* [0, 1) */

#endif
