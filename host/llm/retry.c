/* retry.c - how long to wait before asking again. */
#include "llm/retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t tm_retry_backoff(tm_dice *dice, int64_t base_ms, int n) {
  int64_t cap = base_ms * (TM_RETRY_CAP_MS / TM_RETRY_BASE_MS);
  int64_t most = n < 4 ? base_ms << n : cap;
  return (int64_t)((double)(most < cap ? most : cap) * tm_dice_unit(dice));
}

int64_t tm_retry_date(const char *text) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  struct tm t = {0};
  char month[4], zone[4];
  if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3s", &t.tm_mday, month,
             &t.tm_year, &t.tm_hour, &t.tm_min, &t.tm_sec, zone) != 7)
    return -1;
  const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
  if (!at || (at - months) % 3 || strcmp(zone, "GMT") != 0 || t.tm_year < 1970)
    return -1;
  t.tm_mon = (int)((at - months) / 3);
  t.tm_year -= 1900;
  return (int64_t)timegm(&t) * 1000;
}

#define TOO_LONG (TM_RETRY_ASKED_MAX + 1)

/* A number that is not negative, times `unit`; -1 when it is none. */
static int64_t number(const char *text, double unit) {
  char *end;
  double n = text ? strtod(text, &end) : -1;
  if (!text || end == text || *end || !(n >= 0))
    return -1;
  double ms = n * unit;
  return ms > (double)TM_RETRY_ASKED_MAX ? TOO_LONG : (int64_t)ms;
}

int64_t tm_retry_asked(const tm_http_res *res, int64_t wall_ms) {
  int64_t ms = number(tm_http_header_of(res, "retry-after-ms"), 1);
  const char *after = tm_http_header_of(res, "retry-after");
  if (ms < 0)
    ms = number(after, 1000);
  if (ms >= 0 || !after)
    return ms;
  int64_t until = tm_retry_date(after);
  if (until < 0)
    return -1;
  const char *date = tm_http_header_of(res, "date");
  int64_t now = date ? tm_retry_date(date) : -1;
  ms = until - (now < 0 ? wall_ms : now);
  return ms < 0 ? 0 : ms > TM_RETRY_ASKED_MAX ? TOO_LONG : ms;
}
