/* test_check.c - suites that end badly, for spec/jobs_spec.lua, which looks at what the harness
 * makes of them. They are there when TIDEMILL_CHECK_SELF is set.
 */
#include <signal.h>
#include <stdlib.h>

#include "check.h"

static void passes(void) {
  CHECK(true);
}

static void fails(void) {
  CHECK_INT(1, 2);
}

static void is_skipped(void) {
  check_skip("for once");
}

static void dies(void) {
  printf("its last words\n");
  raise(SIGKILL);
}

static void self_mixed(void) {
  CHECK_RUN(passes);
  CHECK_RUN(fails);
  CHECK_RUN(is_skipped);
}

static void self_dies(void) {
  CHECK_RUN(passes);
  CHECK_RUN(dies);
}

static void self_passes(void) {
  CHECK_RUN(passes);
}

__attribute__((constructor)) static void register_self(void) {
  if (!getenv("TIDEMILL_CHECK_SELF"))
    return;
  check_register("self_dies", self_dies);
  check_register("self_mixed", self_mixed);
  check_register("self_passes", self_passes);
}
