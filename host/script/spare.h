/* spare.h - vms that are loaded and wait for a run.
 *
 *   loaded, kept ─► with its run ─ its run is over: rewound ─► idle ─┬─ taken ─► with its run …
 *                                └ cannot be rewound, or lacks
 *                                  something: gone                   └─ not wanted: gone
 *
 * "Not wanted" is measured: the fewest that were idle between two looks were not needed by anybody.
 */
#ifndef TM_SCRIPT_SPARE_H
#define TM_SCRIPT_SPARE_H

#include "base/list.h"
#include "script/vm.h"

/* A vm with the library and one workflow's file loaded, as a run finds it at its begin. */
typedef struct tm_spare {
  struct tm_spare *next;
  char *workflow;
  tm_vm *vm;
  int flow, library; /* as in tm_guest */
  bool lacks; /* its run used a part of the library that it had not loaded: the next one has */
} tm_spare;

/* All of one program. */
typedef struct tm_spares {
  tm_list link; /* in the list that tm_spare_trim goes through; from the first spare on */
  tm_spare *first;
  int idle, all;
  int least; /* idle ones since the last look */
} tm_spares;

void tm_spare_init(tm_spares *s);
/* Those that are idle; no run may have one. */
void tm_spare_free(tm_spares *s);

/* May there be one more? Each costs its memory twice, some 80 KB. */
bool tm_spare_wanted(const tm_spares *s);
/* One more, of a vm that has been kept: the caller's, with the vm. */
tm_spare *tm_spare_new(tm_spares *s, tm_list *looked_at, const char *workflow, tm_vm *vm,
                       int flow, int library);
/* An idle one of that workflow, now the caller's; NULL: there is none. */
tm_spare *tm_spare_take(tm_spares *s, const char *workflow);
/* Its run is over: idle again, or gone with its vm. */
void tm_spare_give(tm_spares *s, tm_spare **spare);

/* Let go of what nobody has needed since the last look; call it now and then. */
void tm_spare_trim(tm_list *looked_at);

#endif
