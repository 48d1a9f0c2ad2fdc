/* check.h - the whole C test harness: suites of named cases, one line for each failure.
 *
 * A case is a function `static void name(void)`; CHECK() records a failure and goes
 * on, REQUIRE() leaves the case. Suites register themselves; main is in check.c.
 */
#ifndef TM_SPEC_CHECK_H
#define TM_SPEC_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

typedef void (*check_fn)(void);

void check_register(const char *suite, check_fn run);
void check_begin(const char *name);
void check_end(void);
void check_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The case is skipped, and says why. */
void check_skip(const char *why);
/* In a child, first of all: it does not outlive `parent`, however that one ends. */
void check_tie(pid_t parent);
/* What this thread has computed, in ns: a busy machine does not change it. */
int64_t check_cpu_ns(void);

#define CHECK(cond)                                \
  do {                                             \
    if (!(cond))                                   \
      check_fail(__FILE__, __LINE__, "%s", #cond); \
  } while (0)

#define REQUIRE(cond)                              \
  do {                                             \
    if (!(cond)) {                                 \
      check_fail(__FILE__, __LINE__, "%s", #cond); \
      return;                                      \
    }                                              \
  } while (0)

#define CHECK_STR(got, want)                                                   \
  do {                                                                         \
    const char *g_ = (got), *w_ = (want);                                      \
    if (!g_ || strcmp(g_, w_) != 0)                                            \
      check_fail(__FILE__, __LINE__, "%s\n      got  %s\n      want %s", #got, \
                 g_ ? g_ : "(null)", w_);                                      \
  } while (0)

#define CHECK_INT(got, want)                                                   \
  do {                                                                         \
    long long g_ = (long long)(got), w_ = (long long)(want);                   \
    if (g_ != w_)                                                              \
      check_fail(__FILE__, __LINE__, "%s: got %lld, want %lld", #got, g_, w_); \
  } while (0)

#define CHECK_RUN(fn)           (check_begin(#fn), fn(), check_end())
#define CHECK_RUN_WITH(fn, arg) (check_begin(#fn), fn(arg), check_end())

#define CHECK_SUITE(name)                                          \
  static void suite_##name(void);                                  \
  __attribute__((constructor)) static void register_##name(void) { \
    check_register(#name, suite_##name);                           \
  }                                                                \
  static void suite_##name(void)

#endif
