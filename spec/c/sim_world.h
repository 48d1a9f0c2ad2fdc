/* sim_world.h - a history under way: what sim.c moves and sim_check.c judges. */
#ifndef TM_SPEC_SIM_WORLD_H
#define TM_SPEC_SIM_WORLD_H

#include "engine/owner.h"
#include "sim.h"

#define MAX_LISTED 64
#define MAX_RUNS   4

typedef struct sim sim;

typedef struct process {
  kit kit;
  sim *sim;
  tm_store_vt vt;                           /* the kit's, with our commit */
  void (*commit)(tm_store *s, tm_batch *b); /* the kit's */
  tm_batch *first, **last;                  /* committed, not yet applied */
  bool broken;                              /* its store takes nothing more */
  bool down;
  char owner[TM_OWNER_MAX]; /* "": the process's own */
} process;

/* How bad it is: of 1000 steps, so many do this. */
typedef struct weather {
  int crash, boot, unknown, takeover, decide, order, jump, late, notice;
  int signal;
  int lost, cut, refused, hangs, put_off; /* of 100 tasks */
  bool two;                               /* processes */
  bool park;                              /* what waits leaves the memory */
} weather;

struct sim {
  kit_world world;
  process at[2];
  int processes;
  tm_dice dice;
  weather weather;
  sim_report *report;
  bool loud, calm;
  char names[MAX_RUNS][32];
  const char *runs[MAX_RUNS];
  bool acked[MAX_RUNS], submitted[MAX_RUNS];
  int run_count;
  const char *shown[MAX_RUNS]; /* of each journal, when loud */
  tm_map signalled;            /* "RUN SID", as somebody was told */
  tm_map decided;              /* gate -> "approved" or "rejected", as somebody was told */
};

typedef struct decision {
  sim *sim;
  const char *gate, *state;
} decision;

void sim_tell(sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first is kept. */
void sim_wrong(sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* sim_check.c: hold the disk and what was acknowledged to the laws. */
void sim_check(sim *s, bool at_end);
void sim_rehearse(sim *s); /* every run that ended, from its journal */
void sim_digest(sim *s);
void sim_show(sim *s);

#endif
