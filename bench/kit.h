/* kit.h - what the benchmarks of whole runs share: a project in a fresh folder, figures,
 * children.
 *
 * The project and its database lie in a folder of their own under TMPDIR (default /tmp), which
 * should be on the disk in question; it is gone when the process that made it ends.
 */
#ifndef TM_BENCH_KIT_H
#define TM_BENCH_KIT_H

#include "face/api.h"

/* Ends the program with "PROGRAM: what: why". */
_Noreturn void kit_die(const char *what, const char *why);
/* A fresh project with workflows/NAME.lua; its folder, the same until the next call. */
const char *kit_project(const char *name, const char *lua);
/* An engine on it. */
tidemill *kit_open(void);

double kit_seconds(void);                    /* of wall time, from any moment */
double kit_cpu(void);                        /* of processor time, this process's */
double kit_rss_mb(int pid);                  /* resident now; 0: this process */
double kit_median(double *values, size_t n); /* sorts them */
/* One line "bench=… metric=… value=… unit=…". */
void kit_print(const char *id, const char *metric, double value, const char *unit);

/* A crowd of runs: at most `window` at once, until `total` have reached `event` ("run.done",
 * "run.waiting"; NULL: have ended, and nobody listens to events). `started` is told each id, may be NULL. Seconds that took. */
double kit_crowd(tidemill *t, const char *workflow, int n, int total, int window,
                 const char *event, void (*started)(const char *id));
/* Dispatch until `count` more runs have reached `event`. */
void kit_await(tidemill *t, int count, const char *event);

#endif
