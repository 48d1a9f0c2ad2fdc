/* clock.h - time, handed in.
 *
 * `wall` is milliseconds since 1970 UTC and may jump; `mono` is milliseconds
 * from an arbitrary start and never goes back (CLOCK_BOOTTIME on the system
 * clock). Tests and the simulator hand in a virtual clock.
 */
#ifndef TM_BASE_CLOCK_H
#define TM_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef struct tm_clock {
  int64_t (*wall)(void *ctx);
  int64_t (*mono)(void *ctx);
  void *ctx;
} tm_clock;

extern const tm_clock tm_clock_system;

static inline int64_t tm_clock_wall(const tm_clock *c) {
  return c->wall(c->ctx);
}
static inline int64_t tm_clock_mono(const tm_clock *c) {
  return c->mono(c->ctx);
}

/* Nanoseconds of CLOCK_MONOTONIC, for measuring only. */
int64_t tm_clock_ns(void);

#define TM_CLOCK_TEXT 25 /* "2026-11-20T07:05:33.123Z" and the NUL */
/* RFC 3339, UTC, milliseconds. */
void tm_clock_format(int64_t wall_ms, char out[TM_CLOCK_TEXT]);
/* Back from "2026-11-20T07:05:33.123Z", the fraction optional, or from a day, "2026-11-20": its
 * first moment, UTC. -1 when it is neither, or before 1970. */
int64_t tm_clock_parse(const char *text);
/* "250ms" "30s" "5m" "2h" "7d" "1.5h", or a bare number of seconds, to milliseconds; -1 when
 * it is none. */
int64_t tm_clock_duration(const char *text, size_t len);

#endif
