/* sim_world.h - a history under way: what sim.c moves and sim_check.c judges. */
#ifndef TM_SPEC_SIM_WORLD_H
#define TM_SPEC_SIM_WORLD_H

#include "engine/owner.h"
#include "sim.h"

#define MAX_LISTED 512
#define MAX_TAKEN  8
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
  char owner[TM_OWNER_MAX];     /* "": the process's own */
  const char *moved[MAX_TAKEN]; /* runs to be taken up: they were moved, or are forks */
  int moved_count;
} process;

/* How bad it is: of 1000 steps, so many do this. */
typedef struct weather {
  int crash, boot, unknown, takeover, decide, order, jump, late, notice;
  int signal, change;
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
  tm_map refused;              /* keys of effects */
  tm_map forks;                /* id -> sim_fork, of all that were asked for */
  tm_map undoable;             /* "RUN PLACE" of actions, as their scripts were told */
  tm_map stood;                /* run -> stood: its journal, as it was seen last */
  int revision;                /* of the sources that runs are moved to */
  tm_map decided;              /* gate -> "approved" or "rejected", as somebody was told */
};

typedef struct decision {
  sim *sim;
  const char *gate, *state;
} decision;

/* What a fork has to begin with. */
typedef struct sim_fork {
  const char *origin;
  const char **story; /* "kind place name body" */
  int count;
  bool edited; /* the last one's body is another */
  bool acked;  /* somebody was told that it is there */
} sim_fork;

typedef struct listing {
  sim *sim;
  const char *runs[MAX_LISTED], *parents[MAX_LISTED];
  int count;
} listing;

int sim_draw(sim *s, int n);
process *sim_other_up(process *p); /* or itself, when it is alone */
/* All runs: children, forks and those that go on for others too. */
listing sim_list(sim *s);
const char *sim_any_run(sim *s); /* NULL: there is none */

/* sim_change.c: somebody moves a run to other sources, lets it try again, or forks it. */
void sim_change(process *p);

/* Somebody lets a decision hold no more, if it is there. */
void sim_reopen(process *p);

/* sim_told.c: what holds at the moment when a script is told, or when a commit is applied. */
void sim_told(kit *k, tm_branch *b, const tm_answer *a);
void sim_apply(sim *s, const tm_batch *b);

/* sim_kin.c: runs that came of runs, and what runs tell each other. */
void sim_kin(sim *s, bool at_end);

void sim_tell(sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first is kept. */
void sim_wrong(sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* sim_check.c: hold the disk and what was acknowledged to the laws. */
void sim_check(sim *s, bool at_end);
/* A process at rest: no run waits there for what has come. */
void sim_woken(process *p);
void sim_rehearse(sim *s); /* every run that ended, from its journal */
void sim_digest(sim *s);
void sim_show(sim *s);

#endif
