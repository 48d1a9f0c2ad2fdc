/* test_owner.c - telling whether the process of a name lives. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "engine/owner.h"

static void this_process_lives(void) {
  char self[TM_OWNER_MAX], again[TM_OWNER_MAX];
  tm_owner_self(self);
  tm_owner_self(again);
  CHECK_STR(self, again);
  CHECK(tm_owner_alive(self));
}

static void unreadable_names_do_not(void) {
  static const char *const names[] = {"", "x", "a:b:c", "::", "boot:12", "boot:12:", "boot::5"};
  CHECK(!tm_owner_alive(NULL));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    CHECK(!tm_owner_alive(names[i]));
}

/* A copy of this process's name with another boot, pid or start. */
static void another_boot_pid_or_start_is_another_process(void) {
  char self[TM_OWNER_MAX], boot[64], start[32], name[160];
  long pid;
  tm_owner_self(self);
  REQUIRE(sscanf(self, "%63[^:]:%ld:%31s", boot, &pid, start) == 3);
  CHECK_INT(pid, getpid());
  snprintf(name, sizeof name, "x%s:%ld:%s", boot + 1, pid, start);
  CHECK(!tm_owner_alive(name));
  snprintf(name, sizeof name, "%s:%ld:%s0", boot, pid, start);
  CHECK(!tm_owner_alive(name));
  snprintf(name, sizeof name, "%s:%d:%s", boot, 1 << 30, start);
  CHECK(!tm_owner_alive(name));
}

static void a_process_that_ended_is_dead_at_once(void) {
  int fds[2];
  char name[TM_OWNER_MAX] = "";
  REQUIRE(pipe(fds) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    tm_owner_self(name);
    _exit(write(fds[1], name, sizeof name) == (ssize_t)sizeof name ? 0 : 1);
  }
  CHECK_INT(read(fds[0], name, sizeof name), sizeof name);
  CHECK_INT(waitpid(child, NULL, 0), child);
  CHECK(*name != 0);
  CHECK(!tm_owner_alive(name));
  close(fds[0]);
  close(fds[1]);
}

CHECK_SUITE(owner) {
  CHECK_RUN(this_process_lives);
  CHECK_RUN(unreadable_names_do_not);
  CHECK_RUN(another_boot_pid_or_start_is_another_process);
  CHECK_RUN(a_process_that_ended_is_dead_at_once);
}
