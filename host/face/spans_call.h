/* spans_call.h - one call of a run on its way to a span: what its records say, as attributes.
 *
 * Names are OpenTelemetry's for models (gen_ai.*, of autumn 2026), HTTP and code; what it has no
 * name for is tidemill.*. Money and tokens stand once, at the call: its attempts say theirs as
 * tidemill.attempt.*, so that whoever sums gen_ai.usage.* counts nothing twice.
 */
#ifndef TM_FACE_SPANS_CALL_H
#define TM_FACE_SPANS_CALL_H

#include "face/spans.h"

typedef struct tm_spans_call {
  tm_arena arena; /* of all below */
  tm_otlp_span_id id;
  const char *place, *name, *kind, *step, *where; /* NULL or "": not known so far */
  const char *model, *prompt;                     /* of a model's: asked; hash of the unit */
  const char *child;                              /* the run that it began */
  const tm_json *request;                         /* kept where contents are told */
  bool irreversible, has_blast;
  double blast;
  const char *gate;         /* how it was decided */
  int64_t seq, start, last; /* ms since 1970; 0: not known */
  bool opened;              /* an OPEN says when it began */
  tm_json *events;
  int64_t dropped;
} tm_spans_call;

/* Take in what a record says of the call beside its result. */
void tm_spans_call_see(tm_spans_call *c, const tm_record *r, const tm_json *body, bool content);
/* Copied. */
void tm_spans_call_event(tm_spans_call *c, int64_t at, const char *name,
                         const tm_json *attributes);

/* "chat MODEL", "gate NAME" …; CLIENT where a model is asked. */
const char *tm_spans_call_title(const tm_spans_call *c, tm_arena *a, const tm_json *meta);
tm_otlp_kind tm_spans_call_kind(const tm_spans_call *c);
/* Its attributes; end: the body of DONE or FAIL, NULL: there is none. */
tm_json *tm_spans_call_attributes(const tm_spans_call *c, tm_arena *a, const char *run,
                                  const tm_json *end, bool content);
/* Of one attempt at a model; of one verb in an action's body. */
tm_json *tm_spans_attempt_attributes(tm_arena *a, const char *run, const tm_json *attempt,
                                     bool content);
tm_json *tm_spans_verb_attributes(tm_arena *a, const char *kind, const tm_json *verb,
                                  bool content);
/* error.type of an error value, NULL without one. */
const char *tm_spans_error_type(const tm_json *error);
/* The message of an error where contents are told, else NULL. */
const char *tm_spans_error_message(const tm_json *error, bool content);

#endif
