/* proc.h - one child process: argv in, exit code and both outputs out. No shell.
 */
#ifndef TM_NET_PROC_H
#define TM_NET_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"

typedef struct tm_proc tm_proc;

typedef struct tm_proc_req {
  const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
  const char *const *env;  /* "NAME=value", NULL-terminated; NULL: inherited */
  const char *cwd;         /* NULL: inherited */
  const char *input;       /* written to stdin; NULL: none */
  size_t input_len;
  int64_t timeout_ms; /* 0: 600 s; then SIGTERM, 5 s later SIGKILL */
  size_t max_output;  /* bytes of each stream kept; 0: 16 MiB; more kills the child */
} tm_proc_req;

typedef struct tm_proc_res {
  int code;   /* exit code, or -1 */
  int signal; /* that ended it, or 0 */
  bool timed_out, too_much;
  const char *out, *errout;
  size_t out_len, errout_len;
  int64_t total_ms;
} tm_proc_res;

/* `done` is called exactly once from the loop, unless cancelled. -1 (program not found ...):
 * nothing was started and done is never called. */
int tm_proc_start(tm_proc **out, tm_loop *l, const tm_proc_req *req,
                  void (*done)(void *ctx, const tm_proc_res *res), void *ctx, tm_err *err);
void tm_proc_cancel(tm_proc **p); /* kills the child, silences done */

#endif
