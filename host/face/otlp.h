/* otlp.h - spans as OTLP/JSON writes them, and the ids that they are known by.
 *
 *   {"traceId":HEX32, "spanId":HEX16, "parentSpanId"?, "name", "kind", "startTimeUnixNano":"…",
 *    "endTimeUnixNano":"…", "attributes":[{"key", "value":{"stringValue"|"boolValue"|"intValue"|
 *    "doubleValue"|"arrayValue":…}}], "events"?:[{"timeUnixNano", "name", "attributes"}],
 *    "droppedEventsCount"?, "links"?:[{"traceId", "spanId"}], "status"?:{"code":2, "message"?}}
 *
 * The JSON of protobuf: ids in hex, enums as numbers, 64-bit integers as decimal strings. Ids are
 * hashes of what a journal says, never dice: whoever reads the same record gets the same id.
 * Values are built in the caller's arena.
 */
#ifndef TM_FACE_OTLP_H
#define TM_FACE_OTLP_H

#include "text/json.h"

#define TM_OTLP_EVENTS 1000 /* kept on one span; the others are counted */

typedef enum tm_otlp_kind { TM_OTLP_INTERNAL = 1, TM_OTLP_CLIENT = 3 } tm_otlp_kind;

typedef struct tm_otlp_trace_id {
  char hex[33];
} tm_otlp_trace_id;

typedef struct tm_otlp_span_id {
  char hex[17];
} tm_otlp_span_id;

/* Of the run and the chain of its first record; of a span: what it tells of, its run, and the chain
 * of the record that it begins with. */
tm_otlp_trace_id tm_otlp_trace(const char *run, const char *chain);
tm_otlp_span_id tm_otlp_span(const char *what, const char *run, const char *chain);

/* Append an attribute to a list. A NULL text is left out, and so is a double that is not finite. */
void tm_otlp_put_text(tm_arena *a, tm_json *attributes, const char *key, const char *s);
void tm_otlp_put_int(tm_arena *a, tm_json *attributes, const char *key, int64_t i);
void tm_otlp_put_double(tm_arena *a, tm_json *attributes, const char *key, double d);
void tm_otlp_put_bool(tm_arena *a, tm_json *attributes, const char *key, bool b);
/* An array with this one text; left out for NULL. */
void tm_otlp_put_one(tm_arena *a, tm_json *attributes, const char *key, const char *s);
/* A value as text: a string as it is, all else as JSON; NULL is left out. */
void tm_otlp_put_value(tm_arena *a, tm_json *attributes, const char *key, const tm_json *v);

/* An event at a time (ms since 1970) with these attributes (NULL: none) at the end of a list. */
void tm_otlp_put_event(tm_arena *a, tm_json *events, int64_t at, const char *name,
                       const tm_json *attributes);

typedef struct tm_otlp_link {
  tm_otlp_trace_id trace;
  tm_otlp_span_id span;
} tm_otlp_link;

/* A whole span; what is NULL, empty or 0 is left out. */
typedef struct tm_otlp_record {
  tm_otlp_trace_id trace;
  tm_otlp_span_id id;
  const char *parent; /* hex */
  const char *name;
  tm_otlp_kind kind;
  int64_t start, end; /* ms since 1970 */
  const tm_json *attributes, *events;
  int64_t dropped_events;
  const tm_otlp_link *link;
  bool failed;
  const char *message; /* of a failed one */
} tm_otlp_record;

tm_json *tm_otlp_json(tm_arena *a, const tm_otlp_record *r);

#endif
