/* number.c - doubles and their decimal digits.
 *
 * Both directions rest on powers of ten to 128 bits:
 *
 *   10^e = g * 2^(floor_log2(10^e) - 127),  2^127 <= g < 2^128,  g rounded up
 *
 * which are put together from a coarse table (each 27th power, 192 bits) and a fine
 * one (0..26); for every e from -292 to 324 the product gives g exactly. Writing is
 * R. Giulietti's Schubfach: of all decimals in the interval that rounds to the double,
 * at most two with the right exponent have to be looked at. Reading multiplies the
 * digits by g, keeps a lower and an upper bound of the product, and is done when both
 * round to the same double; the C library decides the rest.
 */
#include "text/number.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POWER_MIN (-292)
#define POWER_MAX 324

typedef struct wide {
  uint64_t hi, lo;
} wide;

/* 5^(27 a), a from -11, to its top 192 bits (cut); the power of two is implied. */
static const uint64_t coarse[24][3] = {
    {0xA76C582338ED2621, 0xAF2AF2B80AF6F24E, 0x657C8F4D43323A36},
    {0x873E4F75E2224E68, 0x5A7744A6E804A291, 0xCC35EDDFCF0996D7},
    {0xDA7F5BF590966848, 0xAF39A475506A899E, 0xA30294CC2934E662},
    {0xB080392CC4349DEC, 0xBD8D794D96AACFB3, 0xFE13A5C86AF64418},
    {0x8E938662882AF53E, 0x547EB47B7282EE9C, 0x41B0230E1421487D},
    {0xE65829B3046B0AFA, 0x0CB4A5A3112A5112, 0xA3B561B1CB208396},
    {0xBA121A4650E4DDEB, 0x92F34D62616CE413, 0x21A0183E10583CD3},
    {0x964E858C91BA2655, 0x3A6A07F8D510F86F, 0xE9082F25E9C5E9EC},
    {0xF2D56790AB41C2A2, 0xFAE27299423FB9C3, 0x3695DAD7E8858901},
    {0xC428D05AA4751E4C, 0xAA97E14C3C26B886, 0x96842DC95323F5A8},
    {0x9E74D1B791E07E48, 0x775EA264CF55347D, 0xCA49F1C05120C9C7},
    {0x8000000000000000, 0x0000000000000000, 0x0000000000000000}, /* 5^0 */
    {0xCECB8F27F4200F3A, 0x0000000000000000, 0x0000000000000000},
    {0xA70C3C40A64E6C51, 0x999090B65F67D924, 0x0000000000000000},
    {0x86F0AC99B4E8DAFD, 0x69A028BB3DED71A3, 0xDF9F915627C04E28},
    {0xDA01EE641A708DE9, 0xE80E6F4820CC9495, 0xD74BAAD03BC1D8D3},
    {0xB01AE745B101E9E4, 0x5EC05DCFF72E7F8F, 0xC04C79FFE324301F},
    {0x8E41ADE9FBEBC27D, 0x14588F13BE847307, 0x23BD6A2059C002F5},
    {0xE5D3EF282A242E81, 0x8F1668C8A86DA5FA, 0xF0B5CCF5176ECC7C},
    {0xB9A74A0637CE2EE1, 0x6D953E2BD7173692, 0x88EFB0037AC08BDE},
    {0x95F83D0A1FB69CD9, 0x4ABDAF101564F98E, 0x0D5A4AF7B3A98E47},
    {0xF24A01A73CF2DCCF, 0xBC633B39673C8CEC, 0x3D9C44CD2F36917C},
    {0xC3B8358109E84F07, 0x0A862F80EC4700C8, 0x02606EA01029DC37},
    {0x9E19DB92B4E31BA9, 0x6C07A2C26A8346D1, 0x4944D9F52CD0DEC2},
};

/* 5^0 to 5^26. */
static const uint64_t fine[27] = {
    1,
    5,
    25,
    125,
    625,
    3125,
    15625,
    78125,
    390625,
    1953125,
    9765625,
    48828125,
    244140625,
    1220703125,
    6103515625,
    30517578125,
    152587890625,
    762939453125,
    3814697265625,
    19073486328125,
    95367431640625,
    476837158203125,
    2384185791015625,
    11920928955078125,
    59604644775390625,
    298023223876953125,
    1490116119384765625,
};

static const double exact_tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static wide multiply(uint64_t a, uint64_t b) {
  unsigned __int128 p = (unsigned __int128)a * b;
  return (wide){(uint64_t)(p >> 64), (uint64_t)p};
}

/* hi:lo + add, where the sum cannot run over */
static wide plus(wide w, uint64_t add) {
  uint64_t lo = w.lo + add;
  return (wide){w.hi + (lo < add), lo};
}

/* floor(log2(10^e)) for |e| <= 1233 */
static int log2_of_power(int e) {
  return (e * 1741647) >> 19;
}

static wide power_of_ten(int e) {
  int step = (e + 297) / 27;
  uint64_t small = fine[e + 297 - step * 27];
  small <<= __builtin_clzll(small);
  const uint64_t *big = coarse[step];
  wide low = multiply(big[2], small);
  wide mid = plus(multiply(big[1], small), low.hi);
  wide top = plus(multiply(big[0], small), mid.hi);
  uint64_t rest = low.lo;
  if (!(top.hi >> 63)) {
    top.hi = top.hi << 1 | top.lo >> 63;
    top.lo = top.lo << 1 | mid.lo >> 63;
    mid.lo <<= 1;
  }
  return (mid.lo | rest) ? plus(top, 1) : top;
}

/* -- reading --------------------------------------------------------------------------- */

/* strtod under the plain locale: the embedding program may have set another. In glibc
 * and musl this locale is a constant, so nothing is allocated. */
static double read_slowly(const char *text) {
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  double d = strtod_l(text, NULL, plain);
  freelocale(plain);
  return d;
}

/* The mantissa (53 bits) that every value between low and high (their top bit at the
 * same place, 127) rounds to; 0 when they do not agree, or when low may be a tie. */
static uint64_t round_both(wide low, wide high) {
  if (low.hi >> 10 != high.hi >> 10)
    return 0;
  uint64_t mantissa = low.hi >> 11;
  if (!(low.hi >> 10 & 1))
    return mantissa;
  return (low.hi & 0x3FF) || low.lo ? mantissa + 1 : 0;
}

/* digits * 10^exp10, or -1 when bounds are not enough or the double is not a normal one. */
static double read_by_bounds(uint64_t digits, int exp10) {
  int lead = __builtin_clzll(digits);
  uint64_t w = digits << lead;
  wide g = power_of_ten(exp10);
  wide low = multiply(g.lo, w);
  wide top = plus(multiply(g.hi, w), low.hi); /* low.lo is below what is looked at */
  int shift = __builtin_clzll(top.hi);        /* 0 or 1 */
  /* g is at most one too large, so the true product is less than w < 2^64 below the
   * computed one, and the 64 bits cut off add less than one: [top - 1, top + 1]. */
  wide under = {top.hi - (top.lo == 0), top.lo - 1}, over = plus(top, 1);
  if (__builtin_clzll(under.hi) != shift || __builtin_clzll(over.hi) != shift)
    return -1;
  if (shift) {
    under.hi = under.hi << 1 | under.lo >> 63;
    under.lo <<= 1;
    over.hi = over.hi << 1 | over.lo >> 63;
  }
  uint64_t mantissa = round_both(under, over);
  /* the product's unit: w is digits * 2^lead, g is 10^e * 2^(127 - log2), 64 bits are cut */
  int exp2 = log2_of_power(exp10) - 127 - lead + 64 - shift + 64 + 11;
  if (!mantissa || exp2 < -1074 || exp2 > 970)
    return -1;
  return ldexp((double)mantissa, exp2);
}

double tm_number_read(uint64_t digits, int exp10, bool exact, const char *text) {
  bool negative = *text == '-';
  double d = -1;
  if (!exact)
    return read_slowly(text);
  if (digits == 0)
    d = 0;
  else if (digits <= (uint64_t)1 << 53 && exp10 >= -22 && exp10 <= 22)
    d = exp10 < 0 ? (double)digits / exact_tens[-exp10] : (double)digits * exact_tens[exp10];
  else if (exp10 >= POWER_MIN && exp10 <= 308)
    d = read_by_bounds(digits, exp10);
  if (d < 0)
    return read_slowly(text);
  return negative ? -d : d;
}

/* -- writing --------------------------------------------------------------------------- */

typedef struct decimal {
  uint64_t digits;
  int exp10;
} decimal;

/* The top 64 bits of g * c / 2^64, with the lowest set when anything was cut ("to odd"):
 * comparisons with even numbers come out as for the true product. */
static uint64_t scale(wide g, uint64_t c) {
  wide low = multiply(g.lo, c);
  wide top = plus(multiply(g.hi, c), low.hi);
  return top.hi | (top.lo > 1);
}

/* The shortest decimal that rounds to c * 2^q, the closest of them when several do.
 * `narrow`: the gap below is half the gap above (c is the smallest of its exponent). */
static decimal shortest(uint64_t c, int q, bool narrow) {
  int k = (q * 1262611 - (narrow ? 524031 : 0)) >> 22; /* floor(log10(the interval)) */
  int h = q + log2_of_power(-k) + 1;
  wide g = power_of_ten(-k);
  uint64_t odd = c & 1; /* ties go to even: an odd c does not own its borders */
  uint64_t lower = scale(g, (4 * c - 2 + narrow) << h) + odd;
  uint64_t value = scale(g, (4 * c) << h);
  uint64_t upper = scale(g, (4 * c + 2) << h) - odd;
  uint64_t s = value / 4, tens = s / 10;
  bool under = lower <= 40 * tens, over = 40 * tens + 40 <= upper;
  if (s >= 10 && under != over)
    return (decimal){tens + over, k + 1};
  under = lower <= 4 * s;
  over = 4 * s + 4 <= upper;
  if (under != over)
    return (decimal){s + over, k};
  uint64_t middle = 4 * s + 2;
  bool up = value > middle || (value == middle && (s & 1));
  return (decimal){s + up, k};
}

static decimal strip_zeros(decimal d) {
  if (d.digits % 100000000 == 0) {
    d.digits /= 100000000;
    d.exp10 += 8;
  }
  for (; d.digits % 100 == 0; d.exp10 += 2)
    d.digits /= 100;
  if (d.digits % 10 == 0) {
    d.digits /= 10;
    d.exp10++;
  }
  return d;
}

/* Digits of a positive finite double, without zeros at their end. */
static decimal decimal_of(double d) {
  uint64_t bits;
  memcpy(&bits, &d, sizeof bits);
  int exponent = (int)(bits >> 52);
  uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
  uint64_t c = exponent ? fraction | (uint64_t)1 << 52 : fraction;
  int q = (exponent ? exponent : 1) - 1075;
  if (q <= 0 && q > -53 && (c & (((uint64_t)1 << -q) - 1)) == 0)
    return strip_zeros((decimal){c >> -q, 0}); /* an integer below 2^53 */
  return strip_zeros(shortest(c, q, fraction == 0 && exponent > 1));
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

/* The digits of n at `out`, no NUL; returns how many. */
static size_t write_digits(char *out, uint64_t n) {
  char back[20];
  char *at = back + sizeof back;
  for (; n >= 100; n /= 100)
    memcpy(at -= 2, pairs + n % 100 * 2, 2);
  if (n >= 10)
    memcpy(at -= 2, pairs + n * 2, 2);
  else
    *--at = (char)('0' + n);
  size_t len = (size_t)(back + sizeof back - at);
  memcpy(out, at, len);
  return len;
}

size_t tm_number_write_int(char out[TM_NUMBER_TEXT], int64_t i) {
  size_t sign = i < 0;
  out[0] = '-';
  size_t len = sign + write_digits(out + sign, sign ? 0 - (uint64_t)i : (uint64_t)i);
  out[len] = '\0';
  return len;
}

/* "1e+21" "1.5e-7": the n digits stand at out, the point belongs behind the first. */
static size_t write_exponent(char *out, size_t n, int exp10) {
  size_t len = n;
  if (n > 1) {
    memmove(out + 2, out + 1, n - 1);
    out[1] = '.';
    len++;
  }
  out[len++] = 'e';
  out[len++] = exp10 < 0 ? '-' : '+';
  return len + write_digits(out + len, (uint64_t)(exp10 < 0 ? -exp10 : exp10));
}

/* Lay out a positive double; `point` is where the point falls, counted from the first digit. */
static size_t write_positive(char *out, double d, tm_number_form form) {
  decimal dec = decimal_of(d);
  size_t n = write_digits(out, dec.digits);
  int point = (int)n + dec.exp10;
  if (point > 21 || point < -5)
    return write_exponent(out, n, point - 1);
  if (point <= 0) {
    size_t zeros = (size_t)-point;
    memmove(out + 2 + zeros, out, n);
    memset(out, '0', 2 + zeros);
    out[1] = '.';
    return n + 2 + zeros;
  }
  size_t whole = (size_t)point;
  if (whole < n) {
    memmove(out + whole + 1, out + whole, n - whole);
    out[whole] = '.';
    return n + 1;
  }
  memset(out + n, '0', whole - n);
  if (form == TM_NUMBER_SHORTEST)
    return whole;
  memcpy(out + whole, ".0", 2);
  return whole + 2;
}

size_t tm_number_write_double(char out[TM_NUMBER_TEXT], double d, tm_number_form form) {
  assert(isfinite(d));
  size_t len = 0;
  if (signbit(d) && (d < 0 || form == TM_NUMBER_DOUBLE))
    out[len++] = '-';
  if (d < 0 || d > 0)
    len += write_positive(out + len, fabs(d), form);
  else
    len += form == TM_NUMBER_DOUBLE ? (memcpy(out + len, "0.0", 3), 3u) : (out[len] = '0', 1u);
  out[len] = '\0';
  return len;
}
