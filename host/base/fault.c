/* fault.c - die at a named point, on purpose and without a farewell. */
#include "base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool tm_fault_armed;

static char wanted[64];
static atomic_long passings_left;

/* A value that cannot be read ends the process: a test that never crashes proves nothing. */
void tm_fault_init(void) {
  const char *value = getenv("TIDEMILL_CRASH_AT");
  if (!value || !*value)
    return;
  size_t name = strcspn(value, ":");
  char *end = NULL;
  long n = value[name] ? strtol(value + name + 1, &end, 10) : 1;
  if (name == 0 || name >= sizeof wanted || n < 1 || (end && *end)) {
    fprintf(stderr,
            "tidemill: TIDEMILL_CRASH_AT=%s is not understood. Give the name of a point and "
            "how often it is passed, such as commit:3, or unset the variable.\n",
            value);
    exit(2);
  }
  memcpy(wanted, value, name);
  wanted[name] = '\0';
  atomic_store(&passings_left, n);
  tm_fault_armed = true;
}

void tm_fault_hit(const char *point) {
  if (strcmp(point, wanted) == 0 && atomic_fetch_sub(&passings_left, 1) == 1)
    kill(getpid(), SIGKILL);
}
