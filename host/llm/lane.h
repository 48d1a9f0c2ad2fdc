/* lane.h - the line in front of a model: who may be asked now, who waits, who is turned away.
 *
 *   enter ──┬── GO ──────────────────────────────> under way ── leave ── what came of it
 *           ├── WAIT ── in line, oldest first ──> called(GO)              │
 *           │              └────────────────────> called(SHUT)            v
 *           └── SHUT: the breaker is open                          breaker, headers, tokens
 *
 * A lane is a provider, a model and a key (with the server's address: another one is another
 * account). It has the meter of its model, and shares that of the provider when there is a limit on
 * the provider. What the meters hold is in cells, the same for all processes; a process comes by its
 * share of them in meter.h, and tells only changes: a breaker that opens or closes, a pause that the
 * provider asked for, a limit of the provider's that is almost used up. With nothing of it, a request
 * costs a look-up in memory, and one read of the cell in a second.
 *
 * In line the oldest question goes first, also over the lanes of one provider. After a pause those
 * who waited go one by one, spread over as long again.
 */
#ifndef TM_LLM_LANE_H
#define TM_LLM_LANE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "llm/meter.h"

typedef struct tm_lane tm_lane;
typedef struct tm_tally tm_tally; /* a meter, and what this process holds of it */

typedef enum tm_lane_word { TM_LANE_GO, TM_LANE_WAIT, TM_LANE_SHUT } tm_lane_word;

typedef struct tm_lanes {
  tm_loop *loop;
  const tm_clock *clock;
  tm_limits limits;
  tm_arena arena;     /* of the limits */
  tm_arena scratch;   /* within one function */
  tm_llm_cells cells; /* without `read`: nothing is shared */
  char owner[TM_ID_LEN + 1];
  tm_map tallies, lanes; /* by the names of their cells */
  tm_lane *last;         /* whoever was asked last is mostly asked again, */
  tm_buf last_who;       /* and found without a hash of its key */
  uint64_t tickets;
  tm_timer *timer;
  int64_t timer_ns; /* when it fires */
} tm_lanes;

/* A question's way through a lane, kept by who asks; zeroed at first. */
typedef struct tm_pass {
  tm_list link;
  tm_lane *lane;   /* NULL: nothing holds it up */
  uint64_t ticket; /* kept from one request of the question to the next */
  double need;     /* tokens, as far as can be told before */
  bool in_line, inside, probe;
  void (*called)(void *ctx, tm_lane_word word);
  void *ctx;
} tm_pass;

/* To whom a request is to go. */
typedef struct tm_lane_to {
  const char *provider, *model;
  const char *secret, *url; /* secret may be NULL */
  bool exempt;              /* in this process: held up only by limits of its own name */
} tm_lane_to;

void tm_lanes_open(tm_lanes *l, tm_loop *loop);
/* Gives slots back; not from a callback. */
void tm_lanes_close(tm_lanes *l);
int tm_lanes_restrain(tm_lanes *l, const tm_json *limits, const tm_llm_cells *cells,
                      const tm_clock *clock, tm_err *err);

/* pass->need is set. WAIT: `called` comes from the loop, with GO or SHUT, unless tm_lane_drop is
 * first. */
tm_lane_word tm_lane_enter(tm_lanes *l, tm_pass *pass, const tm_lane_to *to);
/* What came of a request that went; res NULL: no headers; used -1: tokens are not known; asked -1: no
 * wait was asked for. */
void tm_lane_leave(tm_lanes *l, tm_pass *pass, tm_llm_class class, const tm_http_res *res,
                   double used, int64_t asked_ms);
/* It is given up: out of the line, or under way and never heard of. */
void tm_lane_drop(tm_lanes *l, tm_pass *pass);

/* Of one in line: what for ("the rate limit of openai/gpt-4.1"), and how long at least; -1: not known.
 */
const char *tm_lane_waits_for(const tm_pass *pass, int64_t *ms);
/* Of one in line: how long the pause is still that its provider asked everybody for; 0: there is none.
 */
int64_t tm_lane_pause(const tm_lanes *l, const tm_pass *pass);
/* Of one turned away: why, for people. */
const char *tm_lane_shut(tm_arena *a, const tm_lanes *l, const tm_pass *pass);

tm_json *tm_lanes_describe(tm_lanes *l, tm_arena *a);

#endif
