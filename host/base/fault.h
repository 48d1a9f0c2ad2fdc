/* fault.h - named points to die at, for tests.
 *
 * TIDEMILL_CRASH_AT=point:n kills the process with SIGKILL at the n-th passing of
 * the named point. Off (one load and a branch) when the variable is not set.
 */
#ifndef TM_BASE_FAULT_H
#define TM_BASE_FAULT_H

#include <stdbool.h>

extern bool tm_fault_armed;
/* Reads the environment; called once at start. A value it cannot read ends the process. */
void tm_fault_init(void);
void tm_fault_hit(const char *point); /* through TM_FAULT only */

#define TM_FAULT(point)    \
  do {                     \
    if (tm_fault_armed)    \
      tm_fault_hit(point); \
  } while (0)

#endif
