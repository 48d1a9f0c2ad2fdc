/* main.c - the program `tidemill`. */
#include <stdlib.h>
#include <sys/resource.h>

#include "face/cli.h"

/* Keys live in this process, in its environment and in requests under way: it leaves no core file.
 * A limit of one byte, not of none: the kernel pipes a core to a program whatever the limit is,
 * but for this one (core(5), do_coredump). Being no longer "dumpable" would do it too, but it
 * would hide the process from its own owner's debugger and /proc. */
static void forbid_core_files(void) {
  struct rlimit limit;
  if (getenv("TIDEMILL_CORE") || getrlimit(RLIMIT_CORE, &limit) < 0)
    return;
  limit.rlim_cur = limit.rlim_max < 1 ? limit.rlim_max : 1;
  setrlimit(RLIMIT_CORE, &limit);
}

int main(int argc, char **argv) {
  forbid_core_files();
  return tm_cli_main(argc, argv);
}
