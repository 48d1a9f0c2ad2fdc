/* answer.h - a value out of what a model wrote, held to its schema.
 */
#ifndef TM_LLM_ANSWER_H
#define TM_LLM_ANSWER_H

#include "text/schema.h"

/* The one JSON value in a text: the whole text; or its one fenced block; or the one object in
 * the prose. TM_FAILED when there is none, or more than one could be meant; err is fit to be
 * fed back to the model. TM_LIMIT when it is too large. */
int tm_answer_json(tm_json **out, tm_arena *a, const char *text, size_t len, tm_err *err);

/* Check `value` (which is changed): members that are null where the schema wants another
 * type or nothing are taken out first, because strict dialects have to write absent as null.
 * 0 fits, 1 does not (the report says why), -1 could not be decided. */
int tm_answer_check(tm_json *value, const tm_schema *s, tm_schema_report *report, tm_err *err);

#endif
