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

static int month_days(int year, int month) { /* month: 0 to 11 */
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return lengths[month] + (month == 1 && leap(year));
}

/* Days since 1970-01-01 to a date. Own code, because gmtime_r reads the time zone files. */
static date date_of(int64_t days) {
  int64_t since = days - YEAR_0 / DAY_MS; /* days since 0000-01-01, never negative */
  int cycles = (int)(since / 146097);     /* of 400 years */
  int rest = (int)(since % 146097), year = cycles * 400;
  while (rest >= 365 + leap(year))
    rest -= 365 + leap(year++);
  int month = 0;
  for (;; month++) {
    int length = month_days(year, month);
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

/* Days from 1970-01-01 to a date of 1970 or later; -1 when there is no such day. */
static int64_t days_to(int year, int month, int day) {
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month - 1))
    return -1;
  int64_t days = day - 1;
  for (int y = 1970; y < year; y++)
    days += 365 + leap(y);
  for (int m = 0; m < month - 1; m++)
    days += month_days(year, m);
  return days;
}

/* The digits of `text` at the 'd's of `shape`, as numbers between what is no 'd'; false: it does
 * not begin with this shape. */
static bool read_shape(const char *text, const char *shape, int *out) {
  for (bool inside = false; *shape; text++, shape++) {
    if (*shape != 'd') {
      if (*text != *shape)
        return false;
      out += inside;
      inside = false;
      continue;
    }
    if (*text < '0' || *text > '9')
      return false;
    *out = (inside ? *out * 10 : 0) + (*text - '0');
    inside = true;
  }
  return true;
}

int64_t tm_clock_parse(const char *text) {
  int n[7] = {0};
  if (!read_shape(text, "dddd-dd-dd", n))
    return -1;
  int64_t days = days_to(n[0], n[1], n[2]);
  if (days < 0 || !text[10])
    return days < 0 ? -1 : days * DAY_MS;
  if (!read_shape(text, "dddd-dd-ddTdd:dd:dd", n) || n[3] > 23 || n[4] > 59 || n[5] > 59)
    return -1;
  const char *rest = text + 19;
  if (*rest == '.') {
    size_t some = strspn(rest + 1, "0123456789");
    for (size_t i = 0; i < 3; i++)
      n[6] = n[6] * 10 + (i < some ? rest[1 + i] - '0' : 0);
    rest += some ? 1 + some : 0;
  }
  if (strcmp(rest, "Z") != 0)
    return -1;
  return days * DAY_MS + ((n[3] * 60 + n[4]) * 60 + n[5]) * INT64_C(1000) + n[6];
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
