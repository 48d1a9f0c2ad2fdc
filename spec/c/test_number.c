/* test_number.c - doubles to digits and back: known cases, borders, and many random ones. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/id.h"
#include "check.h"
#include "text/number.h"

static void doubles_print_with_the_fewest_digits(void) {
  static const struct {
    double d;
    const char *text, *shortest;
  } cases[] = {
      {0.0, "0.0", "0"},
      {-0.0, "-0.0", "0"},
      {1.0, "1.0", "1"},
      {-1.5, "-1.5", "-1.5"},
      {0.1, "0.1", "0.1"},
      {0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"},
      {123456789.0, "123456789.0", "123456789"},
      {1e20, "100000000000000000000.0", "100000000000000000000"},
      {1e21, "1e+21", "1e+21"},
      {1e23, "1e+23", "1e+23"},
      {9.5e-7, "9.5e-7", "9.5e-7"},
      {0.000001, "0.000001", "0.000001"},
      {0.00000123, "0.00000123", "0.00000123"},
      {5e-324, "5e-324", "5e-324"},
      {2.2250738585072014e-308, "2.2250738585072014e-308", "2.2250738585072014e-308"},
      {1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"},
      {9007199254740992.0, "9007199254740992.0", "9007199254740992"},
      {295147905179352830000.0, "295147905179352830000.0", "295147905179352830000"},
      {333333333.33333329, "333333333.3333333", "333333333.3333333"},
      {4.35, "4.35", "4.35"},
      {-0.0000033333333333333333, "-0.0000033333333333333333", "-0.0000033333333333333333"},
  };
  char out[TM_NUMBER_TEXT];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t len = tm_number_write_double(out, cases[i].d, TM_NUMBER_DOUBLE);
    CHECK_STR(out, cases[i].text);
    CHECK_INT(len, strlen(cases[i].text));
    tm_number_write_double(out, cases[i].d, TM_NUMBER_SHORTEST);
    CHECK_STR(out, cases[i].shortest);
  }
}

static void integers_print_all_their_digits(void) {
  static const struct {
    int64_t i;
    const char *text;
  } cases[] = {{0, "0"},
               {-1, "-1"},
               {10, "10"},
               {99, "99"},
               {100, "100"},
               {9007199254740993, "9007199254740993"},
               {INT64_MAX, "9223372036854775807"},
               {INT64_MIN, "-9223372036854775808"}};
  char out[TM_NUMBER_TEXT];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK_INT(tm_number_write_int(out, cases[i].i), strlen(cases[i].text));
    CHECK_STR(out, cases[i].text);
  }
}

static int significant(const char *text) {
  int n = 0, zeros = 0;
  for (; *text && *text != 'e'; text++) {
    if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
      continue;
    zeros = *text == '0' ? zeros + 1 : 0;
    n++;
  }
  return n - zeros;
}

/* How many digits printf needs before d reads back. */
static int fewest(double d) {
  char text[40];
  for (int n = 1; n < 17; n++) {
    snprintf(text, sizeof text, "%.*e", n - 1, d);
    if (memcmp(&(double){strtod(text, NULL)}, &d, sizeof d) == 0)
      return n;
  }
  return 17;
}

static void check_double(double d) {
  char text[TM_NUMBER_TEXT];
  if (!isfinite(d))
    return;
  tm_number_write_double(text, d, TM_NUMBER_DOUBLE);
  double back = strtod(text, NULL);
  if (memcmp(&back, &d, sizeof d) != 0)
    check_fail(__FILE__, __LINE__, "%.17g prints as %s", d, text);
  if (significant(text) > fewest(d))
    check_fail(__FILE__, __LINE__, "%.17g prints longer than it must: %s", d, text);
}

static double from_bits(uint64_t bits) {
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

static void borders_of_each_exponent_read_back(void) {
  for (uint64_t exponent = 0; exponent < 2047; exponent++)
    for (uint64_t step = 0; step < 5; step++)
      check_double(from_bits((exponent << 52) + step - 2));
}

static void random_doubles_read_back(void) {
  tm_dice dice;
  tm_dice_seed(&dice, "doubles", 7);
  for (int i = 0; i < 20000; i++) {
    uint64_t roll = tm_dice_next(&dice);
    check_double(from_bits(roll));
    check_double((double)(roll % 100000000) / 100.0);
    check_double((double)(int64_t)roll);
  }
}

/* Read digits * 10^exp10 and compare with the C library. */
static void check_read(uint64_t digits, int exp10) {
  char text[64];
  snprintf(text, sizeof text, "-%llue%d", (unsigned long long)digits, exp10);
  double got = tm_number_read(digits, exp10, true, text), want = strtod(text, NULL);
  if (memcmp(&got, &want, sizeof got) != 0)
    check_fail(__FILE__, __LINE__, "%s reads as %.17g, it is %.17g", text, got, want);
}

static void decimals_read_as_the_nearest_double(void) {
  tm_dice dice;
  tm_dice_seed(&dice, "decimals", 8);
  for (int i = 0; i < 100000; i++) {
    uint64_t roll = tm_dice_next(&dice);
    check_read(roll >> tm_dice_next(&dice) % 64, (int)(tm_dice_next(&dice) % 660) - 340);
  }
  check_read(9007199254740993, 0); /* a tie */
  check_read(9007199254740995, 0);
  check_read(17976931348623159, 292);  /* beyond the largest */
  check_read(24703282292062327, -340); /* about half the smallest */
  check_read(UINT64_MAX, 308);
  check_read(0, 400);
}

static void reading_and_writing_ignore_the_locale(void) {
  char out[TM_NUMBER_TEXT];
  if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8")) {
    check_skip("no locale with a decimal comma is installed");
    return;
  }
  double d =
      tm_number_read(12345678901234567890u, -25, false, "0.00000012345678901234567890123");
  tm_number_write_double(out, d, TM_NUMBER_DOUBLE);
  setlocale(LC_NUMERIC, "C");
  CHECK_STR(out, "1.2345678901234568e-7");
}

CHECK_SUITE(number) {
  CHECK_RUN(doubles_print_with_the_fewest_digits);
  CHECK_RUN(integers_print_all_their_digits);
  CHECK_RUN(borders_of_each_exponent_read_back);
  CHECK_RUN(random_doubles_read_back);
  CHECK_RUN(decimals_read_as_the_nearest_double);
  CHECK_RUN(reading_and_writing_ignore_the_locale);
}
