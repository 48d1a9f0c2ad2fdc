/* clock.c - the system's clock, and times as text. */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS   INT64_C(86400000)
#define YEAR_0   (INT64_C(-719528) * DAY_MS)     /* 0000-01-01 */
#define YEAR_END (INT64_C(2932897) * DAY_MS - 1) /* the last millisecond of 9999 */

static int64_t read_ms(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t wall(void *ctx) {
  (void)ctx;
  return read_ms(CLOCK_REALTIME);
}

/* Boot time goes on while the machine sleeps: a lease must run out in a suspended laptop. */
static int64_t mono(void *ctx) {
  (void)ctx;
  return read_ms(CLOCK_BOOTTIME);
}

const tm_clock tm_clock_system = {wall, mono, NULL};

int64_t tm_clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

typedef struct date {
  int year, month, day;
} date;

static bool leap(int year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since 1970-01-01 to a date. Own code, because gmtime_r reads the time zone files. */
static date date_of(int64_t days) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t since = days - YEAR_0 / DAY_MS; /* days since 0000-01-01, never negative */
  int cycles = (int)(since / 146097);     /* of 400 years */
  int rest = (int)(since % 146097), year = cycles * 400;
  while (rest >= 365 + leap(year))
    rest -= 365 + leap(year++);
  int month = 0;
  for (;; month++) {
    int length = lengths[month] + (month == 1 && leap(year));
    if (rest < length)
      break;
    rest -= length;
  }
  return (date){year, month + 1, rest + 1};
}

void tm_clock_format(int64_t wall_ms, char out[TM_CLOCK_TEXT]) {
  int64_t t = wall_ms < YEAR_0 ? YEAR_0 : wall_ms > YEAR_END ? YEAR_END : wall_ms;
  int64_t days = t >= 0 ? t / DAY_MS : -((DAY_MS - 1 - t) / DAY_MS);
  date d = date_of(days);
  unsigned ms = (unsigned)(t - days * DAY_MS);
  char text[96]; /* room for any int, which the compiler cannot know to be small */
  snprintf(text, sizeof text, "%04d-%02d-%02dT%02u:%02u:%02u.%03uZ", d.year, d.month, d.day,
           ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
  memcpy(out, text, TM_CLOCK_TEXT - 1);
  out[TM_CLOCK_TEXT - 1] = '\0';
}

/* Milliseconds of a unit; 0 when it is none. No unit: seconds. */
static int64_t unit_ms(const char *unit, size_t len) {
  static const struct {
    const char *name;
    int64_t ms;
  } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", DAY_MS}};
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (strlen(units[i].name) == len && memcmp(units[i].name, unit, len) == 0)
      return units[i].ms;
  return 0;
}

static size_t digits(const char *s, size_t len) {
  size_t n = 0;
  while (n < len && s[n] >= '0' && s[n] <= '9')
    n++;
  return n;
}

/* Part of a unit that the digits behind the point are worth; whole milliseconds. */
static int64_t fraction_ms(const char *s, size_t len, int64_t unit) {
  int64_t value = 0, scale = 1;
  for (size_t i = 0; i < len && i < 9; i++) {
    value = value * 10 + (s[i] - '0');
    scale *= 10;
  }
  return value * unit / scale;
}

int64_t tm_clock_duration(const char *text, size_t len) {
  size_t whole = digits(text, len), part = 0, at = whole;
  if (whole == 0 || whole > 15)
    return -1;
  if (at < len && text[at] == '.') {
    part = digits(text + at + 1, len - at - 1);
    if (part == 0)
      return -1;
    at += 1 + part;
  }
  int64_t unit = unit_ms(text + at, len - at), value = 0;
  for (size_t i = 0; i < whole; i++)
    value = value * 10 + (text[i] - '0');
  if (!unit || value > INT64_MAX / 2 / unit)
    return -1;
  return value * unit + fraction_ms(text + whole + 1, part, unit);
}
