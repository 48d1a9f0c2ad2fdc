/* uvloop.h - the loop as net/ itself sees it: libuv's handle, and a seat for what must be
 * dropped when the loop closes under it. Not for the floors above.
 */
#ifndef TM_NET_UVLOOP_H
#define TM_NET_UVLOOP_H

#include <uv.h>

#include "base/list.h"
#include "net/loop.h"

uv_loop_t *tm_loop_uv(tm_loop *l);

/* Something that waits on the loop. `drop` is called by tm_loop_close for each guest still
 * seated, after which its handles are closed and `gone` says that nothing points at it. */
typedef struct tm_loop_guest {
  tm_list link;
  void (*drop)(struct tm_loop_guest *g);
  void (*gone)(struct tm_loop_guest *g);
} tm_loop_guest;

void tm_loop_seat(tm_loop *l, tm_loop_guest *g);
void tm_loop_unseat(tm_loop_guest *g);

#endif
