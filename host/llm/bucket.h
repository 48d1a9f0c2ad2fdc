/* bucket.h - a rate as a bucket that fills by the millisecond, and what response headers tell of
 * a provider's own.
 *
 *   size ──┐  level grows by per_ms, up to size; a request takes its tokens out
 *          │
 *      0 ──┤  who comes waits until there is enough
 *          │
 *          v  a request larger than the bucket goes when it is full, and leaves a debt
 *
 * A bucket of so many a minute holds a second's worth, at least one: so no second sees more than
 * twice the rate. It is filled by what is missing of the minute, so that a minute, wherever it
 * begins, never sees more than its limit of requests.
 */
#ifndef TM_LLM_BUCKET_H
#define TM_LLM_BUCKET_H

#include "net/http.h"

typedef struct tm_bucket {
  double size, per_ms; /* size 0: there is no limit */
  double level;
  int64_t at; /* wall ms of the level */
} tm_bucket;

/* A full one; 0 a minute: none. */
tm_bucket tm_bucket_of_minute(int64_t per_minute, int64_t now);
/* Up to now. A clock that was set back takes nothing away. */
void tm_bucket_fill(tm_bucket *b, int64_t now);
/* How long until `n` can be taken (more than its size: until it is full); 0: now. */
int64_t tm_bucket_wait(const tm_bucket *b, double n, int64_t now);

/* What one response tells of requests and of tokens; size 0: nothing. A bucket that was told is
 * as large as the provider's limit, and fills at the rate at which that one does. */
typedef struct tm_told {
  tm_bucket requests, tokens;
} tm_told;

/* x-ratelimit-{limit,remaining,reset}-{requests,tokens} of OpenAI and its like, and
 * anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}. False: nothing is told. */
bool tm_told_read(tm_told *out, const tm_http_res *res, int64_t now);

/* "1s" "6m0s" "20ms" "1h2m3.5s" in ms; -1 when it is none. */
int64_t tm_told_duration(const char *text);
/* "2026-11-20T07:05:33Z" in ms since 1970; -1 when it is none. */
int64_t tm_told_time(const char *text);

#endif
