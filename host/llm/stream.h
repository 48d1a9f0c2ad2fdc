/* stream.h - a streamed answer: bytes as they come, heard event by event.
 *
 *   bytes ── SSE or lines ──> events ── provider.event ──> heard ── at the end ──> answer
 *                                                            └── text so far, to a listener
 *
 * A stream that ends without its terminator is an error of class network, whatever it has said
 * by then.
 */
#ifndef TM_LLM_STREAM_H
#define TM_LLM_STREAM_H

#include "llm/provider.h"
#include "text/sse.h"

typedef struct tm_llm_stream {
  const tm_provider *p;
  tm_arena *work; /* one event at a time */
  tm_arena arena; /* what is kept */
  tm_sse sse;
  tm_heard heard;
  size_t events, told; /* told: bytes of text that the listener has had */
  bool broken;
  tm_err err;
  tm_buf frame; /* what was around the text in the last event, but for the number of it */
  size_t text_at, number_at; /* where in `frame` the text stood, and the number */
  bool numbered;
} tm_llm_stream;

tm_llm_stream *tm_llm_stream_new(const tm_provider *p, tm_arena *work);
void tm_llm_stream_free(tm_llm_stream **s);

/* Bytes of a 2xx answer. -1: it cannot become one any more. */
int tm_llm_stream_feed(tm_llm_stream *s, const char *bytes, size_t len);
/* The text that has come since the last call; "" when there is none. What may be the beginning of
 * the secret waits for what follows; NULL: nothing waits. */
const char *tm_llm_stream_news(tm_llm_stream *s, size_t *len, const char *secret);

/* The end of the HTTP call: what it all came to. */
void tm_llm_stream_end(tm_llm_answer *out, tm_arena *a, tm_llm_stream *s,
                       const tm_http_res *res, const char *secret);

#endif
