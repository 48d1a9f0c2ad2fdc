/* owner.c - process names from /proc.
 */
#include "engine/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_text(const char *path, char *out, size_t size) {
  FILE *f = fopen(path, "r");
  if (!f)
    return false;
  size_t n = fread(out, 1, size - 1, f);
  fclose(f);
  out[n] = 0;
  return n > 0;
}

static void boot_id(char out[40]) {
  if (!read_text("/proc/sys/kernel/random/boot_id", out, 37))
    strcpy(out, "unknown");
}

/* Field 22 of /proc/PID/stat; the name in field 2 may hold anything, so count from its last
 * ')'. */
static bool start_of(long pid, char out[24]) {
  char path[48], stat[1024];
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  if (!read_text(path, stat, sizeof stat))
    return false;
  char *at = strrchr(stat, ')');
  for (int field = 2; at && field < 22; field++)
    at = strchr(at + 1, ' ');
  return at && sscanf(at, " %23[0-9]", out) == 1;
}

void tm_owner_self(char out[TM_OWNER_MAX]) {
  char boot[40], start[24];
  boot_id(boot);
  if (!start_of((long)getpid(), start))
    strcpy(start, "0");
  snprintf(out, TM_OWNER_MAX, "%s:%ld:%s", boot, (long)getpid(), start);
}

bool tm_owner_alive(const char *owner) {
  char boot[40], theirs[40], start[24], now[24];
  long pid;
  if (!owner || sscanf(owner, "%39[^:]:%ld:%23s", theirs, &pid, start) != 3)
    return false;
  boot_id(boot);
  return strcmp(boot, theirs) == 0 && start_of(pid, now) && strcmp(now, start) == 0;
}
