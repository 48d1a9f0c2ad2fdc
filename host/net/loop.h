/* loop.h - the event loop of one engine (uv.h stays in net/).
 *
 * One loop belongs to one thread. Only tm_loop_post and tm_loop_wake may be
 * called from others. A callback is never run before the function that asked
 * for it has returned, and never from inside another callback's start function.
 */
#ifndef TM_NET_LOOP_H
#define TM_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct tm_loop tm_loop;
typedef struct tm_timer tm_timer;

/* libuv's own memory ends the process as ours does, with a message; by itself it aborts. For a
 * process that is ours alone, before its first loop. */
void tm_loop_own_memory(void);

/* Open a loop for the calling thread. Blocks SIGPIPE in that thread: a peer that hangs up is an
 * error of its own call and not the end of the process. */
int tm_loop_open(tm_loop **out, tm_err *err);
/* Cancels what is pending (without calling back) and releases the loop. A tm_http on it has to
 * be closed before; not to be called from a callback. */
void tm_loop_close(tm_loop **l);

/* Called once in each turn, after all callbacks and before the loop may sleep: the place where
 * an engine commits what the turn produced. Returns the longest sleep in ms that it allows
 * (0: do not sleep, there is work; -1: no opinion). NULL takes it away. */
void tm_loop_before_sleep(tm_loop *l, int64_t (*fn)(void *ctx), void *ctx);

/* One turn: sleep at most max_ms (-1: until something happens), run what is due. In a turn that
 * may sleep, before_sleep comes first (for what the last turn and its caller did); in turn(0),
 * after which the caller may sleep by himself, it comes last. Not to be called from a callback.
 */
void tm_loop_turn(tm_loop *l, int64_t max_ms);

/* For foreign loops: poll this fd for reading, at most this long (ms, -1: no timer), then
 * turn(0). Whatever is started between two turns needs a turn(0) before the next poll. */
int tm_loop_fd(const tm_loop *l);
int64_t tm_loop_timeout(const tm_loop *l);

/* Any thread: run fn(arg) on the loop's thread in its next turn, in the order of posting. What
 * is still waiting when the loop closes is forgotten: arg must be owned by somebody else. */
void tm_loop_post(tm_loop *l, void (*fn)(void *arg), void *arg);
/* Any thread, async-signal-safe: end the current sleep. */
void tm_loop_wake(tm_loop *l);

/* Fires once, not before delay_ms have passed. The handle is the caller's until it fires or is
 * cancelled; cancel nulls it, takes NULL, and silences the callback. Timers that are due at the
 * same time fire in the order of their start. */
tm_timer *tm_timer_start(tm_loop *l, int64_t delay_ms, void (*fn)(void *ctx), void *ctx);
void tm_timer_cancel(tm_timer **t);

#endif
