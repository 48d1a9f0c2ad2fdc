/* bucket.c - a rate as a bucket, and what response headers tell of a provider's own. */
#include "llm/bucket.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "llm/retry.h"

#define MINUTE_MS 60000.0
#define RESET_MAX (INT64_C(24) * 3600 * 1000) /* a reset further off is a clock that is wrong */

tm_bucket tm_bucket_of_minute(int64_t per_minute, int64_t now) {
  double size = ceil((double)per_minute / 60);
  return (tm_bucket){.size = size,
                     .per_ms = ((double)per_minute - size + 1) / MINUTE_MS,
                     .level = size,
                     .at = now};
}

void tm_bucket_fill(tm_bucket *b, int64_t now) {
  if (now > b->at)
    b->level = fmin(b->size, b->level + (double)(now - b->at) * b->per_ms);
  b->at = now;
}

int64_t tm_bucket_wait(const tm_bucket *b, double n, int64_t now) {
  tm_bucket then = *b;
  if (b->size <= 0)
    return 0;
  tm_bucket_fill(&then, now);
  double missing = fmin(n, b->size) - then.level;
  if (missing <= 0)
    return 0;
  double ms = b->per_ms > 0 ? ceil(missing / b->per_ms) : MINUTE_MS;
  return ms < (double)RESET_MAX ? (int64_t)ms : RESET_MAX;
}

/* -- times ----------------------------------------------------------------------------- */

int64_t tm_told_duration(const char *text) {
  static const struct {
    const char *unit;
    double ms;
  } units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
  double sum = 0;
  if (!*text)
    return -1;
  while (*text) {
    char *end;
    double n = strtod(text, &end);
    size_t i = 0;
    while (i < 4 && strncmp(end, units[i].unit, strlen(units[i].unit)) != 0)
      i++;
    if (end == text || i == 4 || !(n >= 0))
      return -1;
    sum += n * units[i].ms;
    text = end + strlen(units[i].unit);
  }
  return sum < (double)RESET_MAX ? (int64_t)ceil(sum) : RESET_MAX;
}

int64_t tm_told_time(const char *text) {
  struct tm t = {0};
  int end = 0, hours = 0, minutes = 0;
  char sign = 'Z';
  if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour,
             &t.tm_min, &t.tm_sec, &end) != 6 ||
      !end || t.tm_year < 1970)
    return -1;
  text += end;
  double part = *text == '.' ? strtod(text, NULL) : 0;
  text += *text == '.' ? 1 + strspn(text + 1, "0123456789") : 0;
  if (strcmp(text, "Z") != 0 &&
      (sscanf(text, "%c%2d:%2d", &sign, &hours, &minutes) != 3 || (sign != '+' && sign != '-')))
    return -1;
  t.tm_year -= 1900;
  t.tm_mon--;
  int64_t offset = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
  return ((int64_t)timegm(&t) - offset * 60) * 1000 + (int64_t)(part * 1000);
}

/* -- headers --------------------------------------------------------------------------- */

typedef struct told {
  const char *limit, *remaining, *reset;
} told;

/* The part of a told that the rest of a header's name says; NULL: none. */
static const char **part_of(told *t, const char *word, size_t len) {
  if (len == 5 && memcmp(word, "limit", 5) == 0)
    return &t->limit;
  if (len == 9 && memcmp(word, "remaining", 9) == 0)
    return &t->remaining;
  return len == 5 && memcmp(word, "reset", 5) == 0 ? &t->reset : NULL;
}

/* "limit-requests" of OpenAI, "requests-limit" of Anthropic. */
static void note(told *requests, told *tokens, const char *name, bool unit_first,
                 const char *value) {
  const char *dash = strchr(name, '-');
  if (!dash)
    return;
  const char *unit = unit_first ? name : dash + 1, *word = unit_first ? dash + 1 : name;
  size_t unit_len = unit_first ? (size_t)(dash - name) : strlen(unit);
  size_t word_len = unit_first ? strlen(word) : (size_t)(dash - name);
  told *t = unit_len == 8 && memcmp(unit, "requests", 8) == 0 ? requests
            : unit_len == 6 && memcmp(unit, "tokens", 6) == 0 ? tokens
                                                              : NULL;
  const char **part = t ? part_of(t, word, word_len) : NULL;
  if (part && !*part)
    *part = value;
}

static double number(const char *text) {
  char *end;
  double n = text ? strtod(text, &end) : -1;
  return text && end != text && !*end && n >= 0 && n < 1e15 ? n : -1;
}

/* ms until it is full again; 0: not told. */
static int64_t reset_ms(const char *text, const tm_http_res *res, int64_t now) {
  if (!text)
    return 0;
  int64_t ms = tm_told_duration(text);
  if (ms >= 0)
    return ms;
  const char *date = tm_http_header_of(res, "date");
  int64_t at = tm_told_time(text), from = date ? tm_retry_date(date) : -1;
  ms = at - (from < 0 ? now : from);
  return at < 0 || ms < 0 ? 0 : ms > RESET_MAX ? RESET_MAX : ms;
}

static bool make(tm_bucket *out, const told *t, const tm_http_res *res, int64_t now) {
  double limit = number(t->limit), left = number(t->remaining);
  *out = (tm_bucket){0};
  if (limit < 1 || left < 0)
    return false;
  int64_t reset = reset_ms(t->reset, res, now);
  bool filling = reset > 0 && left < limit;
  *out = (tm_bucket){.size = limit,
                     .per_ms = filling ? (limit - left) / (double)reset : limit / MINUTE_MS,
                     .level = fmin(left, limit),
                     .at = now};
  return true;
}

bool tm_told_read(tm_told *out, const tm_http_res *res, int64_t now) {
  static const char openai[] = "x-ratelimit-", anthropic[] = "anthropic-ratelimit-";
  told requests = {0}, tokens = {0};
  for (size_t i = 0; i < res->header_count; i++) {
    const char *name = res->headers[i].name, *value = res->headers[i].value;
    if (*name == 'x' && strncmp(name, openai, sizeof openai - 1) == 0)
      note(&requests, &tokens, name + sizeof openai - 1, false, value);
    else if (*name == 'a' && strncmp(name, anthropic, sizeof anthropic - 1) == 0)
      note(&requests, &tokens, name + sizeof anthropic - 1, true, value);
  }
  bool any = make(&out->requests, &requests, res, now);
  return make(&out->tokens, &tokens, res, now) || any;
}
