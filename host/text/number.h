/* number.h - decimal text to numbers and back, exactly and without a locale.
 *
 * Reading rounds correctly (to nearest, ties to even); writing gives the fewest
 * digits that read back as the same double.
 */
#ifndef TM_TEXT_NUMBER_H
#define TM_TEXT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TM_NUMBER_TEXT 32 /* bytes that hold any number and the NUL */

/* digits * 10^exp10 as a double. `text` is the whole number as written, with its sign and
 * followed by anything that is no part of a number; it decides when `digits` cannot:
 * pass `exact` false when the text has more digits than `digits` holds.
 * Infinite when it is too large for a double. */
double tm_number_read(uint64_t digits, int exp10, bool exact, const char *text);

typedef enum tm_number_form {
  TM_NUMBER_DOUBLE,  /* always with ".0" or an exponent, -0.0 keeps its sign */
  TM_NUMBER_SHORTEST /* as ECMAScript's Number::toString: 1.0 is 1, -0.0 is 0 */
} tm_number_form;

/* Write a finite double and a NUL; returns the length. */
size_t tm_number_write_double(char out[TM_NUMBER_TEXT], double d, tm_number_form form);
size_t tm_number_write_int(char out[TM_NUMBER_TEXT], int64_t i);

#endif
