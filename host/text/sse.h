/* sse.h - splitters for streamed answers: Server-Sent Events and NDJSON.
 *
 * Fed any chunking of the bytes, they call back once for each whole event or
 * line. Data handed to the callback is valid during the call only.
 */
#ifndef TM_TEXT_SSE_H
#define TM_TEXT_SSE_H

#include "base/buf.h"
#include "base/err.h"

typedef struct tm_sse_event {
  const char *event; /* "message" when none was given */
  const char *data;  /* lines joined by \n, NUL-terminated */
  size_t len;
  const char *id;
} tm_sse_event;

typedef int (*tm_sse_fn)(void *ctx, const tm_sse_event *e, tm_err *err); /* -1 stops */

typedef struct tm_sse {
  tm_buf line, data, event, id;
  size_t max_line;  /* bytes; 0: 1 MiB */
  size_t max_event; /* bytes of data; 0: 16 MiB */
  bool started, cr, has_data;
  bool ndjson; /* lines instead of events: each non-blank line is one event */
} tm_sse;

void tm_sse_init(tm_sse *s, bool ndjson);
int tm_sse_feed(tm_sse *s, const char *bytes, size_t len, tm_sse_fn fn, void *ctx, tm_err *err);
/* End of input. An SSE event without its blank line is dropped; an NDJSON line is delivered. */
int tm_sse_end(tm_sse *s, tm_sse_fn fn, void *ctx, tm_err *err);
void tm_sse_free(tm_sse *s);

#endif
