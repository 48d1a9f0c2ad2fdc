/* gc.h - taking away runs that ended long ago, and what no run needs any more.
 *
 *   pages of ended runs ─► families that may go ─► RUN_DROP, children first
 *     ─► SWEEP until nothing is left ─► closures of no run ─► files of no closure
 *
 * Each step is one small batch. Whoever dies in between leaves a store in which each run is there
 * or not, and the next collection goes on.
 *
 * A *family* is a run, the runs that it started, and those that were forked from any of them. It
 * goes as a whole, when all have ended and the time of each is over: a parent that is retried looks
 * for its children, and a fork is understood by the run that it came from. A run that left an effect
 * in doubt stays until somebody has settled it. Effects and decisions stay for ever: without its
 * stored result the same key would act a second time.
 */
#ifndef TM_ENGINE_GC_H
#define TM_ENGINE_GC_H

#include "engine/engine.h"

typedef struct tm_gc_policy {
  const tm_json *retain; /* {STATE: ms, WORKFLOW: {STATE: ms}}: how long ended runs are kept; a
                            state that is not named is kept for ever */
  int64_t older_than;    /* ms, instead of `retain`; -1: none */
  const char *workflow;  /* runs of this one alone; NULL: of all */
  bool dry_run;          /* count, and change nothing */
} tm_gc_policy;

typedef struct tm_gc_count {
  int64_t runs, records, gates, events; /* of the runs that went */
  int64_t sources, files;               /* closures and their files */
  int64_t family, in_doubt;             /* kept, although their time is over */
} tm_gc_count;

typedef struct tm_gc tm_gc;
/* The policy has to live as long as it. */
tm_gc *tm_gc_new(tm_engine *e, const tm_gc_policy *policy);
/* One batch: 1 when it was handed over (`done` is told, then this is called again), 0 when there is
 * nothing more to do (done is not told), -1 on error. */
int tm_gc_step(tm_gc *g, tm_engine_fn done, void *ctx, tm_err *err);
tm_gc_count tm_gc_counted(const tm_gc *g);
void tm_gc_free(tm_gc **g);

#endif
