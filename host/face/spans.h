/* spans.h - the spans of one run, read off its journal.
 *
 *   START ─ ATTEMPT ─ ATTEMPT ─ DONE ─ OPEN ─ DECIDED ─ DONE ─ END
 *           └ attempt┘└ attempt┘  │     └── events ───┘   │     │
 *           └──────── a call ─────┘     └──── a call ─────┘     │
 *   └───────────────────────── the root ───────────────────────┘
 *
 * Pure: records in, spans out; so a span is there when the record that completes it is committed,
 * is the same whenever it is read, and a replay, which writes no records, adds none (law 6). A span
 * is known by the record that it begins with (otlp.h). What comes later never changes one that was
 * there: END closes the root and every call that was still open, and a RETRY begins another root,
 * linked to the one before, for what is asked anew. Records that a fork copied are the other
 * run's spans.
 *
 * What went to a model and came back, inputs, results, keys, messages of errors and of the log are
 * left out unless `content` is set.
 */
#ifndef TM_FACE_SPANS_H
#define TM_FACE_SPANS_H

#include "engine/journal.h"
#include "face/otlp.h"

typedef struct tm_spans tm_spans;

typedef struct tm_spans_of {
  const char *run;
  tm_otlp_trace_id trace;
  const char *parent;       /* span that the root hangs under, in hex; NULL: none */
  const tm_otlp_link *link; /* of the first root; NULL: none */
  bool content;
  tm_buf *out; /* spans are appended, with commas between; NULL: not wanted */
  /* A call began this run; its span's id. May be NULL. Valid in the call. */
  void (*child)(void *ctx, const char *run, const char *span);
  void *ctx;
} tm_spans_of;

/* `of` is copied, what it points at has to stay. */
tm_spans *tm_spans_begin(const tm_spans_of *of);
/* The next record of its journal and its body. */
void tm_spans_record(tm_spans *s, const tm_record *r, const tm_json *body);
/* The run that goes on for it, as its END said; NULL: none. Valid until the end. */
const char *tm_spans_successor(const tm_spans *s);
/* The last root so far; no span needs to be there for it yet. */
tm_otlp_span_id tm_spans_root(const tm_spans *s);
void tm_spans_free(tm_spans **s);

#endif
