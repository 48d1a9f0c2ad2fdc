/* meter.h - what all processes know of one provider or model: a cell's text, and what a process
 * may take out of it.
 *
 *   {"requests":{"level","at"}, "tokens":{"level","at"},          of the configured limits
 *    "told":{"requests":{"size","per_ms","level","at"}, "tokens":{…}},  of the provider's headers
 *    "hold","hold_ms",                                           nobody asks before; ms since 1970
 *    "breaker":{"word","until","owner","why"},
 *    "recent":{"answered","failed","broken","at"},              what came of the last attempts
 *    "slots":{OWNER:{"n","wants","until"}}}                       places of the concurrency limit
 *
 * Absent is none. A process takes a share of the buckets and a number of slots, writes the rest back,
 * and spends what it took without the store. What is not spent within TM_METER_SHARE_MS is lost.
 * So a minute may see more than the limit by one share of each process, which is a second's worth
 * of the rate at most. Slots are a lease: of a process that died they come back when it ends.
 *
 * Nothing here reads a clock or writes anything: given the same state and claim, the same comes out.
 */
#ifndef TM_LLM_METER_H
#define TM_LLM_METER_H

#include "llm/bucket.h"
#include "llm/limits.h"

#define TM_METER_SHARE_MS 1000
#define TM_METER_LEASE_MS 30000
#define TM_METER_SLOTS    256 /* processes that may hold slots of one limit */

typedef struct tm_slots {
  char owner[TM_ID_LEN + 1];
  int64_t n, wants; /* held; 1: more are wanted */
  int64_t until;    /* wall ms */
} tm_slots;

typedef struct tm_meter {
  tm_bucket requests, tokens; /* size 0: not limited, or nobody asked yet */
  tm_told told;
  int64_t hold, hold_ms; /* until when (wall ms), and how long that was from its beginning */
  tm_breaker breaker;
  tm_breaker_recent recent;
  tm_slots *slots; /* in the arena that it was read into */
  size_t slot_count;
} tm_meter;

/* Out of a cell's text (NULL: nothing yet), with room for one more holder of slots. A text that is no
 * meter's reads as nothing. */
void tm_meter_read(tm_meter *out, tm_arena *a, const char *text);
char *tm_meter_text(tm_arena *a, const tm_meter *m);

/* What a process has and wants. */
typedef struct tm_claim {
  const char *owner;
  int64_t now;
  int waiting;              /* requests in line */
  double need, needs;       /* tokens of the first of them; of all */
  double left, left_tokens; /* of its share */
  double back;              /* tokens that were taken and not used; negative: used on top */
  int inside;               /* requests under way, */
  int64_t slots;            /* in so many slots */
  bool yield;               /* others want slots: keep none but those in use */
} tm_claim;

typedef struct tm_grant {
  double requests, tokens; /* on top of the share */
  int64_t slots;           /* in all */
  int64_t wait_ms; /* until there may be something for the first in line; -1: not known */
  bool changed;    /* the meter is another now, and has to be written */
} tm_grant;

/* Take what `limit` leaves. */
void tm_meter_claim(tm_meter *m, const tm_limit *limit, const tm_claim *c, tm_grant *out);
/* How many slots this process may use while others want some, too. */
int64_t tm_meter_fair(const tm_meter *m, const tm_limit *limit, const char *owner, int64_t now);
/* Of all processes, now. */
int64_t tm_meter_inside(const tm_meter *m, int64_t now);

#endif
