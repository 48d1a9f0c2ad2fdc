/* retry.h - how long to wait before asking again.
 */
#ifndef TM_LLM_RETRY_H
#define TM_LLM_RETRY_H

#include "base/id.h"
#include "net/http.h"

#define TM_RETRY_BASE_MS   500
#define TM_RETRY_CAP_MS    8000              /* of our own backoff */
#define TM_RETRY_ASKED_MAX INT64_C(86400000) /* a longer wait is not waited for */
#define TM_RETRY_LONG_MS   30000 /* a longer wait is put off, to whoever can outlast a process */
#define TM_RETRY_HERE_MS   60000 /* no longer than that, where nobody can */

/* Full jitter: anywhere in 0 .. base * 2^n, capped at 16 * base. */
int64_t tm_retry_backoff(tm_dice *dice, int64_t base_ms, int n);
/* What the server asked for by retry-after-ms or Retry-After (seconds, or an HTTP date seen
 * from the answer's own Date, else from wall_ms); more than TM_RETRY_ASKED_MAX when it is more.
 * -1: nothing, or nothing readable. */
int64_t tm_retry_asked(const tm_http_res *res, int64_t wall_ms);
/* "Sun, 06 Nov 1994 08:49:37 GMT" to ms since 1970; -1 when it is none. */
int64_t tm_retry_date(const char *text);

#endif
