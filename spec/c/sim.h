/* sim.h - one seed is one history: random workflows, random faults, the laws, and then peace.
 *
 *            ┌───────────── chaos ─────────────┐   ┌────────── peace ──────────┐
 *   programs │ two processes, one disk; deaths, │   │ every process starts anew, │
 *   of the ─►│ commits of unknown outcome, cut  ├──►│ nothing fails any more:    ├─► the laws
 *   seed     │ and late answers, take-overs,    │   │ each run has to end within │   again
 *            │ zombies, clock jumps, people     │   │ a bound of steps           │
 *            └─────────────────────────────────┘   └───────────────────────────┘
 *
 * The laws that are held, in chaos and at the end:
 *   one effect a key        the other side sees one request under it, however often it is sent
 *   intent before effect    when a request is made, its intent lies on the disk (law 4)
 *   no outcome without it   an action that is done was intended, and has reached the other side
 *   one outcome a place     and the end is the last record
 *   one decision a gate     whoever was told "decided" is the one; the run is told the same
 *   one decision a key      mill.decide tells each run the same, until it is reopened or expires
 *   one answer a question   what is used again was told to the run that it is said to be from
 *   gapless, chained        each journal loads, and only grows
 *   one story               each life is told the same, in the same order (law 7); a rehearsal of
 *                           each run that ended asks for nothing that its journal does not hold
 *   nothing lost            what was acknowledged is there, no run is stuck or diverges, and all
 *                           end when the faults do
 *   one holder a lock       sim_told.c: whoever is told that it has it is the first in its line
 *   kin                     sim_kin.c: children, chains, forks, events, undo
 *
 * Nothing but the seed decides what happens: a failure is played again by its number.
 */
#ifndef TM_SPEC_SIM_H
#define TM_SPEC_SIM_H

#include "engine_kit.h"

typedef struct sim_report {
  uint64_t seed;
  char wrong[2000]; /* the first law that was broken, and how; "" */
  int runs, steps;  /* steps of both phases */
  int crashes, unknowns, takeovers, decisions, races, orders, jumps, sends, cuts, put_off;
  int emits, starts, links, undos, locks, keys, repins, retries, forks, refusals;
  int reopened, reused;
  char digest[TM_HASH_HEX + 1]; /* of every run's journal */
} sim_report;

/* Play a seed; false: a law was broken. Loud: tell each thing that happens. */
bool sim_play(sim_report *out, uint64_t seed, bool loud);

/* sim_program.c: the sources of a seed, workflows "w1" … "wN" and their children's "w0", for
 * so many runs. `shared`: two runs may have the same workflow. To be released with tm_free. */
char *sim_program(tm_dice *dice, int workflows, int runs, bool shared);

/* The workflow of a run, by its id: children are all w0's. */
const char *sim_workflow(tm_arena *a, const char *run);

/* sim_laws.c: what can be said of the disk alone. The first finding goes into `wrong`; answers that
 * were used again are counted. */
void sim_laws(kit_world *w, const char *const *runs, int count, bool at_end, int *reused,
              char *wrong, size_t size);

#endif
